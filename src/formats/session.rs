//! What a request says of the conversation, and of the user, that it belongs to. The fields of all formats
//! are looked for, because clients send those of one format to another.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::opening::{MAX_OPENING, opening};
use crate::wire::json::{self, Document};

/// The longest id that counts, in bytes.
const MAX_ID: usize = 512;
/// The members with the conversation's id, the most telling first.
const CONVERSATION: &[&str] = &["session_id", "prompt_cache_key"];
/// The members with the user's id.
const USER: &[&str] = &["safety_identifier", "user"];
/// The members with the system prompt.
const SYSTEM: &[&str] = &["system", "instructions", "systemInstruction", "system_instruction"];
/// What stands between the user and the session in an id that has both.
const SESSION: &str = "_session_";

#[derive(Deserialize)]
struct Metadata<'d> {
    #[serde(borrow, default)]
    user_id: Option<&'d RawValue>,
}

/// A user's id that is a JSON object within a string.
#[derive(Deserialize)]
struct UserParts<'t> {
    #[serde(borrow)]
    session_id: Cow<'t, str>,
    #[serde(borrow, default)]
    device_id: Cow<'t, str>,
    #[serde(borrow, default)]
    account_uuid: Cow<'t, str>,
}

/// The id that a client gives its conversation, if it gives one.
pub fn conversation_id(document: &Document<'_>) -> Option<String> {
    let own = CONVERSATION.iter().find_map(|name| id(document.value(name)?));
    own.or_else(|| session_of(&id_of_metadata(document)?))
}

/// The id that a client gives its user, if it gives one.
pub fn user_id(document: &Document<'_>) -> Option<String> {
    let own = USER.iter().find_map(|name| id(document.value(name)?));
    own.or_else(|| id_of_metadata(document).map(|id| user_of(&id)))
}

/// What stays the same while a conversation grows, by which providers cache it: the tools, the system prompt
/// and the turns up to the user's first, of each 4 KiB at most. `question`: the JSON of the turns.
pub fn beginning<'d>(document: &'d Document<'_>, question: &'d str) -> [&'d str; 3] {
    let member = |names: &[&str]| names.iter().find_map(|name| document.value(name)).map_or("", cut);
    [member(&["tools", "functions"]), member(SYSTEM), opening(question)]
}

/// A text as an id that can be compared: not empty, and not too long.
pub fn bounded_id(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty() && text.len() <= MAX_ID)
}

fn id(json: &str) -> Option<String> {
    // A string with escapes is at most six times as long.
    let text = (json.len() <= 6 * MAX_ID).then(|| json::text(json))??;
    bounded_id(&text).map(str::to_owned)
}

fn id_of_metadata(document: &Document<'_>) -> Option<String> {
    let metadata: Metadata<'_> = serde_json::from_str(document.value("metadata")?).ok()?;
    id(metadata.user_id?.get())
}

/// The session in a user's id.
fn session_of(user: &str) -> Option<String> {
    if let Ok(parts) = serde_json::from_str::<UserParts<'_>>(user) {
        return bounded_id(&parts.session_id).map(str::to_owned);
    }
    user.rsplit_once(SESSION).and_then(|(_, session)| bounded_id(session)).map(str::to_owned)
}

/// The user in a user's id that may have a session.
fn user_of(user: &str) -> String {
    match serde_json::from_str::<UserParts<'_>>(user) {
        Ok(parts) => format!("{}/{}", parts.account_uuid, parts.device_id),
        Err(_) => user.rsplit_once(SESSION).map_or(user, |(user, _)| user).to_owned(),
    }
}

/// The beginning of a text.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_OPENING)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(body: &str) -> Option<String> {
        conversation_id(&Document::read(body.as_bytes()).unwrap())
    }

    fn user(body: &str) -> Option<String> {
        user_id(&Document::read(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_conversation_has_the_id_that_its_client_gives() {
        let cases = [
            (r#"{"session_id":"s-1","prompt_cache_key":"p"}"#, Some("s-1")),
            (r#"{"prompt_cache_key":" p ","user":"u"}"#, Some("p")),
            (r#"{"metadata":{"user_id":"user_ab_account__session_57a1-ec"}}"#, Some("57a1-ec")),
            (r#"{"metadata":{"user_id":"user_ab_account_c_session_57a1-ec"}}"#, Some("57a1-ec")),
            (
                r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"\",\"session_id\":\"54c1\"}"}}"#,
                Some("54c1"),
            ),
            (r#"{"metadata":{"user_id":"{\"session_id\":\"54c1\"}"}}"#, Some("54c1")),
            (r#"{"metadata":{"user_id":"somebody"}}"#, None),
            (r#"{"metadata":{"user_id":"user_session_"}}"#, None),
            (r#"{"metadata":{"user_id":7},"session_id":7,"prompt_cache_key":""}"#, None),
            (r#"{"metadata":"text"}"#, None),
            (r#"{"user":"u"}"#, None),
        ];
        for (body, expected) in cases {
            assert_eq!(conversation(body).as_deref(), expected, "{body}");
        }
        assert_eq!(conversation(&format!(r#"{{"session_id":"{}"}}"#, "x".repeat(MAX_ID + 1))), None);
    }

    #[test]
    fn a_user_is_the_same_in_all_sessions() {
        let cases = [
            (r#"{"user":"u","safety_identifier":"s"}"#, Some("s")),
            (r#"{"user":"u"}"#, Some("u")),
            (r#"{"metadata":{"user_id":"user_ab_account__session_57a1"}}"#, Some("user_ab_account_")),
            (
                r#"{"metadata":{"user_id":"{\"device_id\":\"d\",\"account_uuid\":\"a\",\"session_id\":\"1\"}"}}"#,
                Some("a/d"),
            ),
            (r#"{"metadata":{"user_id":"somebody"}}"#, Some("somebody")),
            (r#"{"metadata":{}}"#, None),
        ];
        for (body, expected) in cases {
            assert_eq!(user(body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_beginning_has_tools_system_and_the_first_question() {
        let parts = |body: &str, field: &str| {
            let document = Document::read(body.as_bytes()).unwrap();
            let question = document.value(field).unwrap_or_default().to_owned();
            beginning(&document, &question).map(str::to_owned)
        };
        let turn = r#"[{"role":"user","content":"A"}"#;
        let cases = [
            (format!(r#"{{"tools":[1],"messages":{turn}, {{"role":"user"}}]}}"#), "messages", ["[1]", ""]),
            (format!(r#"{{"system":"S","messages":{turn}]}}"#), "messages", ["", "\"S\""]),
            (format!(r#"{{"instructions":"S","input":{turn}]}}"#), "input", ["", "\"S\""]),
            (format!(r#"{{"system_instruction":{{}},"contents":{turn}]}}"#), "contents", ["", "{}"]),
        ];
        for (body, field, [tools, system]) in cases {
            assert_eq!(parts(&body, field), [tools, system, turn], "{body}");
        }
        let long = format!(r#"{{"system":"{}","messages":[]}}"#, "é".repeat(9_000));
        assert!(parts(&long, "messages")[1].len() <= MAX_OPENING);
    }
}
