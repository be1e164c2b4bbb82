//! The edits that make a client's request ready for a provider of this format.

use serde_json::value::RawValue;

use super::wire::{object, text};
use crate::formats::bounds::{self, Edit, lenient_count};
use crate::wire::json::{Document, quote};
use crate::wire::list;

/// The role of instructions in newer requests of OpenAI. Other hosts know them as `system`.
const DEVELOPER: &str = "developer";

object! {
    MessageRole { role: "role" }
}

/// Makes the edits that formats share, requests the usage of a stream if the gateway needs it, and renames
/// the role `developer` where the host does not know it.
pub(super) fn apply(document: &mut Document<'_>, edit: &Edit<'_>) {
    if edit.asks_for_usage {
        ask_for_usage(document);
    }
    if let Some(role) = edit.developer_role {
        rename_developer(document, role);
    }
    bounds::apply_edit(document, edit);
}

/// Whether a request may be sent as one for a stream. Speech has other encodings there, and the best of
/// several legacy completions is known at the end only. Source: the OpenAI API reference, "Chat" (`audio`)
/// and "Completions" (`best_of`).
pub(super) fn may_stream(document: &Document<'_>) -> bool {
    let is_given = |field: &str| document.value(field).is_some_and(|value| value != "null");
    !is_given("audio") && document.value("best_of").and_then(lenient_count).is_none_or(|count| count <= 1)
}

/// Renames the role `developer` of messages. All other bytes stay as they are.
fn rename_developer(document: &mut Document<'_>, role: &str) {
    let has_role = |messages: &&str| memchr::memmem::find(messages.as_bytes(), DEVELOPER.as_bytes()).is_some();
    if let Some(renamed) = document.value("messages").filter(has_role).and_then(|messages| renamed(messages, role)) {
        document.set("messages", renamed);
    }
}

/// Messages without the role `developer`; `None` if no message has it. A message that cannot be read is left
/// to the host, with all after it.
fn renamed<'m>(messages: &'m str, role: &str) -> Option<String> {
    let role = quote(role);
    let (mut out, mut copied) = (String::with_capacity(messages.len()), 0);
    let _ = list::each(messages, |message: MessageRole<'m>| {
        if let Some(found) = message.role.filter(|raw| text(raw).as_deref() == Some(DEVELOPER)) {
            let start = offset_in(messages, found);
            out.push_str(messages.get(copied..start).unwrap_or_default());
            out.push_str(&role);
            copied = start.saturating_add(found.get().len());
        }
        true
    });
    if copied == 0 {
        return None;
    }
    out.push_str(messages.get(copied..).unwrap_or_default());
    Some(out)
}

/// Where a value begins in the text that it was read from.
fn offset_in(text: &str, value: &RawValue) -> usize {
    (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// Requests a last chunk with the usage of a stream. Other fields of `stream_options` stay as they are.
fn ask_for_usage(document: &mut Document<'_>) {
    let options = document.value("stream_options").filter(|raw| raw.starts_with('{')).unwrap_or("{}").to_owned();
    let Ok(mut options) = Document::read(options.as_bytes()) else { return };
    options.set("include_usage", "true");
    // A field of the gateway, unknown to providers.
    options.remove("include_cost");
    let options = String::from_utf8_lossy(&options.render()).into_owned();
    document.set("stream_options", options);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str) -> String {
        let mut document = Document::read(body.as_bytes()).unwrap();
        rename_developer(&mut document, "system");
        String::from_utf8(document.render().into_owned()).unwrap()
    }

    #[test]
    fn the_role_developer_is_renamed_and_every_other_byte_stays() {
        let body = r#"{"x": 1.0, "messages" : [ {"role" : "developer","content":"a developer"}, {"content":"\u00e9","role":"user"},
            {"role":"d\u0065veloper","content":[{"type":"text","text":"role: developer","role":"developer"}]} ] , "model":"m"}"#;
        let expected = body.replacen(r#""developer""#, r#""system""#, 1).replace(r#""d\u0065veloper""#, r#""system""#);
        assert_eq!(edited(body), expected);
    }

    #[test]
    fn speech_and_the_best_of_several_completions_are_not_streamed() {
        let may = |body: &str| may_stream(&Document::read(body.as_bytes()).unwrap());
        assert!(may(r#"{"messages":[],"n":3,"audio":null}"#) && may(r#"{"prompt":"a","best_of":1}"#));
        assert!(!may(r#"{"messages":[],"audio":{"voice":"x","format":"mp3"}}"#));
        assert!(!may(r#"{"prompt":"a","best_of":2}"#) && !may(r#"{"prompt":"a","best_of":"2"}"#));
    }

    #[test]
    fn a_request_without_the_role_stays_as_it_is() {
        for body in [
            r#"{"messages":[{"role":"system","content":"developer"}]}"#,
            r#"{"messages":[{"role":"user","content":"x"}]}"#,
            r#"{"messages":"developer"}"#,
            r#"{"prompt":"developer"}"#,
        ] {
            assert_eq!(edited(body), body);
        }
    }

    #[test]
    fn messages_before_one_that_cannot_be_read_are_renamed() {
        let body = r#"{"messages":[{"role":"developer"},7,{"role":"developer"}]}"#;
        assert_eq!(edited(body), r#"{"messages":[{"role":"system"},7,{"role":"developer"}]}"#);
    }
}
