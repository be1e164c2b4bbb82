//! What the choice of a target and a key is stable for: the conversation or the user that a request belongs
//! to. Providers cache prompts for each account, so that a conversation is cheaper and faster where it was
//! before.

use super::record::RequestRecord;
use super::request_head::RequestHead;
use crate::config::Sticky;
use crate::formats::operation::RequestEnvelope;
use crate::formats::session;
use crate::policy::rendezvous::ConversationKey;

/// The key of a request's conversation or user, among those of its caller. `random`: random bits.
pub(super) fn conversation_key(
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
