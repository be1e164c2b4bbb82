//! Where prompts of conversations were read a short while ago, as far as this isolate knows: providers have
//! them in their caches.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;

use crate::config::Millis;
use crate::policy::rendezvous::{ConversationKey, NodeId};

/// How long a provider keeps a prompt that is not read again, in milliseconds: most do so for five minutes.
const LIFE: Millis = 5 * 60 * 1_000;
/// The prompts of one generation. Two generations are remembered.
const GENERATION: usize = 2_048;

/// A conversation and the target that has read it. A client may hold one conversation with several models, so
/// that one target's prompt must not replace another's.
type Reading = (ConversationKey, NodeId);

/// What a target has in its cache.
#[derive(Clone, Copy, Debug)]
struct WarmPrompt {
    tokens: u64,
    until: Millis,
}

/// The prompts that this isolate has sent. When a generation is full, the one before it is forgotten.
#[derive(Debug, Default)]
pub(super) struct WarmPrompts(RefCell<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Reading, WarmPrompt>,
    old: HashMap<Reading, WarmPrompt>,
}

impl WarmPrompts {
    /// Notes that a target has read a conversation's prompt of so many tokens.
    pub(super) fn note(&self, conversation: ConversationKey, target: NodeId, tokens: u64, now: Millis) {
        let generations = &mut *self.0.borrow_mut();
        if generations.young.len() >= GENERATION {
            generations.old = mem::take(&mut generations.young);
        }
        generations.young.insert((conversation, target), WarmPrompt { tokens, until: now.saturating_add(LIFE) });
    }

    /// The tokens of a conversation's prompt that this target has read a short while ago.
    pub(super) fn tokens(&self, conversation: ConversationKey, target: NodeId, now: Millis) -> u64 {
        let generations = self.0.borrow();
        let reading = (conversation, target);
        let found = generations.young.get(&reading).or_else(|| generations.old.get(&reading));
        found.filter(|prompt| now < prompt.until).map_or(0, |prompt| prompt.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(number: usize) -> ConversationKey {
        ConversationKey::of(&[&number.to_be_bytes()])
    }

    #[test]
    fn a_prompt_is_warm_for_five_minutes_where_it_was_read() {
        let (warm, [one, other]) = (WarmPrompts::default(), [b"a", b"b"].map(|name| NodeId::of(&[name])));
        assert_eq!(warm.tokens(conversation(1), one, 0), 0);
        warm.note(conversation(1), one, 5_000, 0);
        assert_eq!((warm.tokens(conversation(1), one, LIFE - 1), warm.tokens(conversation(1), one, LIFE)), (5_000, 0));
        assert_eq!((warm.tokens(conversation(1), other, 0), warm.tokens(conversation(2), one, 0)), (0, 0));
        warm.note(conversation(1), one, 5_500, 1);
        assert_eq!(warm.tokens(conversation(1), one, LIFE), 5_500);
    }

    #[test]
    fn a_conversation_with_several_models_is_warm_at_each() {
        let (warm, [large, small]) = (WarmPrompts::default(), [b"a", b"b"].map(|name| NodeId::of(&[name])));
        warm.note(conversation(1), large, 5_000, 0);
        warm.note(conversation(1), small, 6_000, 1);
        assert_eq!((warm.tokens(conversation(1), large, 2), warm.tokens(conversation(1), small, 2)), (5_000, 6_000));
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
