//! What the choice of a target and a key is stable for: the conversation or the user that a request belongs
//! to. Providers cache prompts for each account, so that a conversation is cheaper and faster where it was
//! before.

use super::record::RequestRecord;
use super::request_head::RequestHead;
use crate::config::{Sticky, Strategy};
use crate::formats::operation::RequestEnvelope;
use crate::formats::session;
use crate::policy::rendezvous::ConversationKey;
use crate::policy::routing::Route;

/// What a request belongs to.
#[derive(Clone, Copy)]
pub(super) struct ConversationKeys {
    /// What the choice of a target and a key is stable for, as the route says.
    pub(super) preferred: ConversationKey,
    /// The conversation, whatever the choice is stable for: two conversations of one user have two prompts.
    /// Only for a route that asks where prompts are in caches.
    pub(super) own: ConversationKey,
}

impl ConversationKeys {
    /// The keys of a request along a route. `random`: random bits.
    pub(super) fn of(
        route: &Route<'_>,
        head: &RequestHead<'_>,
        envelope: &RequestEnvelope<'_>,
        record: &RequestRecord,
        random: u64,
    ) -> Self {
        let key = |sticky| conversation_key(sticky, head, envelope, record, random);
        let preferred = key(route.sticky);
        let own = match (route.strategy, route.sticky) {
            (Strategy::Cheapest, Sticky::User | Sticky::Off) => key(Sticky::Conversation),
            _ => preferred,
        };
        Self { preferred, own }
    }
}

/// The key of a request's conversation or user, among those of its caller. `random`: random bits.
fn conversation_key(
    sticky: Sticky,
    head: &RequestHead<'_>,
    envelope: &RequestEnvelope<'_>,
    record: &RequestRecord,
    random: u64,
) -> ConversationKey {
    let (document, caller) = (&envelope.document, record.key_id().as_bytes());
    match sticky {
        Sticky::Off => ConversationKey::random(random),
        Sticky::User => {
            let user = session::user_id(document).unwrap_or_default();
            ConversationKey::of(&[caller, b"user", user.as_bytes()])
        }
        Sticky::Conversation => {
            if let Some(id) = head.session().or_else(|| session::conversation_id(document)) {
                return ConversationKey::of(&[caller, b"session", id.as_bytes()]);
            }
            let question = document.value(envelope.operation.question_field).unwrap_or_default();
            let [tools, system, opening] = session::beginning(document, question);
            ConversationKey::of(&[caller, tools.as_bytes(), system.as_bytes(), opening.as_bytes()])
        }
    }
}
