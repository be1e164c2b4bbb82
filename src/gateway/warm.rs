//! Where prompts of conversations were read a short while ago, as far as this isolate knows: providers have
//! them in their caches.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;

use crate::config::Millis;
use crate::policy::rendezvous::{ConversationKey, NodeId};

/// How long a provider keeps a prompt that is not read again, in milliseconds: most do so for five minutes.
const LIFE: Millis = 5 * 60 * 1_000;
/// The conversations of one generation. Two generations are remembered.
const GENERATION: usize = 2_048;

/// Where a prompt was read.
#[derive(Clone, Copy, Debug)]
struct WarmPrompt {
    target: NodeId,
    tokens: u64,
    until: Millis,
}

/// The prompts that this isolate has sent. When a generation is full, the one before it is forgotten.
#[derive(Debug, Default)]
pub(super) struct WarmPrompts(RefCell<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<ConversationKey, WarmPrompt>,
    old: HashMap<ConversationKey, WarmPrompt>,
}

impl WarmPrompts {
    /// Notes that a target has read a conversation's prompt of so many tokens.
    pub(super) fn note(&self, conversation: ConversationKey, target: NodeId, tokens: u64, now: Millis) {
        let generations = &mut *self.0.borrow_mut();
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert(conversation, WarmPrompt { target, tokens, until: now.saturating_add(LIFE) });
    }

    /// The tokens of a conversation's prompt that this target has read a short while ago.
    pub(super) fn tokens(&self, conversation: ConversationKey, target: NodeId, now: Millis) -> u64 {
        let generations = self.0.borrow();
        let found = generations.young.get(&conversation).or_else(|| generations.old.get(&conversation));
        found.filter(|prompt| prompt.target == target && now < prompt.until).map_or(0, |prompt| prompt.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(number: usize) -> ConversationKey {
        ConversationKey::of(&[&number.to_be_bytes()])
    }

    #[test]
    fn a_prompt_is_warm_where_it_was_read_last_for_five_minutes() {
        let (warm, [one, other]) = (WarmPrompts::default(), [b"a", b"b"].map(|name| NodeId::of(&[name])));
        assert_eq!(warm.tokens(conversation(1), one, 0), 0);
        warm.note(conversation(1), one, 5_000, 0);
        assert_eq!((warm.tokens(conversation(1), one, LIFE - 1), warm.tokens(conversation(1), one, LIFE)), (5_000, 0));
        assert_eq!((warm.tokens(conversation(1), other, 0), warm.tokens(conversation(2), one, 0)), (0, 0));
        warm.note(conversation(1), other, 6_000, 1);
        assert_eq!((warm.tokens(conversation(1), one, 2), warm.tokens(conversation(1), other, 2)), (0, 6_000));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_remembered() {
        let (warm, target) = (WarmPrompts::default(), NodeId::of(&[b"a"]));
        (0..10 * GENERATION).for_each(|number| warm.note(conversation(number), target, 1, 0));
        let known = (0..10 * GENERATION).filter(|number| warm.tokens(conversation(*number), target, 0) > 0).count();
        assert!((GENERATION..=2 * GENERATION).contains(&known), "{known}");
        assert_eq!(warm.tokens(conversation(10 * GENERATION - 1), target, 0), 1);
    }
}
