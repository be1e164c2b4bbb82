//! What ties a request to one account of a provider: names of things that are stored there, and what only that
//! account can open. Elsewhere they mean nothing.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde_json::value::RawValue;

use crate::error::Error;
use crate::wire::json::Document;
use crate::wire::list;

/// What ties a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The field, as the client's format names it.
    pub field: String,
    /// How.
    pub kind: TieKind,
}

/// How a field ties a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TieKind {
    /// It names what is stored in an account.
    Stored,
    /// It is encrypted, and any account but its own refuses it.
    Sealed,
}

/// The fields of a format that tie requests.
#[derive(Debug)]
pub struct TieRules {
    /// Whether the format writes `messages.0.content`, and not `messages[0].content`.
    pub dotted: bool,
    /// Parts of the names of nested fields that tie. A body without any of them has none.
    pub hints: &'static [&'static str],
    /// The fields whose values may hold fields that tie. Others hold what callers choose, such as the arguments
    /// of calls.
    pub holders: &'static [&'static str],
    /// The fields that tie.
    pub fields: &'static [TieField],
}

/// A field that ties a request, if it is a text, or a list with one.
#[derive(Debug)]
pub struct TieField {
    /// Its name.
    pub name: &'static str,
    /// The field that it has to stand in; `None` for anywhere.
    pub within: Option<&'static str>,
    /// How it ties.
    pub kind: TieKind,
    /// Whether a text that is not empty does.
    pub ties: fn(&str) -> bool,
}

impl TieField {
    /// A field that names what is stored, wherever it stands.
    pub const fn stored(name: &'static str) -> Self {
        Self { name, within: None, kind: TieKind::Stored, ties: |_| true }
    }

    /// The same of a field within another one.
    pub const fn stored_in(within: &'static str, name: &'static str) -> Self {
        Self { within: Some(within), ..Self::stored(name) }
    }
}

/// The fields of requests with `messages`, in either format. Sources: the OpenAI API reference, "Create chat
/// completion"; <https://docs.claude.com/en/docs/build-with-claude/files>,
/// <https://docs.claude.com/en/docs/agents-and-tools/tool-use/code-execution-tool>,
/// <https://docs.claude.com/en/docs/agents-and-tools/tool-use/web-search-tool>.
pub const MESSAGES_TIES: TieRules = TieRules {
    dotted: false,
    hints: &["file_id", "\"audio\"", "skill_id", "encrypted_content"],
    holders: &["messages", "content", "file", "source", "audio", "voice", "container", "skills", "conversation"],
    fields: &[
        TieField::stored("file_id"),
        TieField::stored_in("audio", "id"),
        TieField::stored_in("voice", "id"),
        TieField::stored("container"),
        TieField::stored_in("container", "id"),
        // Those of the provider itself have other names.
        TieField { ties: |id| id.starts_with("skill_"), ..TieField::stored("skill_id") },
        TieField::stored("previous_response_id"),
        TieField::stored("conversation"),
        TieField::stored_in("conversation", "id"),
        TieField::stored("cached_content"),
        TieField { kind: TieKind::Sealed, ..TieField::stored("encrypted_content") },
    ],
};

/// The refusal of a file that is stored in an account, for a provider of another format. `at`: the field that names it.
pub(crate) fn foreign_file(at: &dyn Display) -> Error {
    let message =
        format!("`{at}` names a file that another service holds. Send the file itself, as data or by its URL.");
    Error::caller(400, "unsupported_file", message).at(at.to_string())
}

/// The depth to which values are read: a result of a tool in a message holds documents, which hold images.
const MAX_DEPTH: u8 = 10;

impl TieRules {
    /// What ties a request: the first name of something stored, or else the first sealed text.
    pub fn tie(&self, document: &Document<'_>) -> Option<Tie> {
        let body = document.bytes();
        // Escaped letters may hide a name.
        let is_hinted = |hint: &&str| memchr::memmem::find(body, hint.as_bytes()).is_some();
        let mut search = Search { rules: self, tie: None };
        let depth = if self.hints.iter().any(is_hinted) || is_hinted(&"\\u00") { MAX_DEPTH } else { 1 };
        search.members(document, None, depth);
        search.tie
    }
}

/// A place in a request.
#[derive(Clone, Copy)]
struct Place<'p> {
    parent: Option<&'p Self>,
    step: Step<'p>,
    dotted: bool,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Member(&'p str),
    Item(usize),
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parent.map_or(Ok(()), |parent| parent.fmt(f))?;
        match (self.step, self.parent) {
            (Step::Member(name), None) => f.write_str(name),
            (Step::Member(name), Some(_)) => write!(f, ".{name}"),
            (Step::Item(index), _) if self.dotted => write!(f, ".{index}"),
            (Step::Item(index), _) => write!(f, "[{index}]"),
        }
    }
}

impl<'p> Place<'p> {
    /// The name of the member that it is, or is an item of.
    fn name(&self) -> &'p str {
        match (self.step, self.parent) {
            (Step::Member(name), _) => name,
            (Step::Item(_), Some(parent)) => parent.name(),
            (Step::Item(_), None) => "",
        }
    }
}

/// The search for what ties a request.
struct Search<'r> {
    rules: &'r TieRules,
    tie: Option<Tie>,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.tie.as_ref().is_some_and(|tie| tie.kind == TieKind::Stored)
    }

    /// Looks at the members of an object.
    fn members(&mut self, object: &Document<'_>, parent: Option<&Place<'_>>, depth: u8) {
        for (name, json) in object.edited_members() {
            let place = Place { parent, step: Step::Member(name), dotted: self.rules.dotted };
            let within = parent.map_or("", Place::name);
            let is_here = |field: &&TieField| field.name == name && field.within.is_none_or(|own| own == within);
            let field = self.rules.fields.iter().find(is_here).filter(|field| is_tied(json, field.ties));
            if let Some(field) = field.filter(|field| field.kind == TieKind::Stored || self.tie.is_none()) {
                self.tie = Some(Tie { field: place.to_string(), kind: field.kind });
            }
            if self.is_over() {
                return;
            }
            if self.rules.holders.contains(&name) {
                self.value(json, &place, depth);
            }
        }
    }

    /// Looks into an object, or into those of a list.
    fn value(&mut self, json: &str, place: &Place<'_>, depth: u8) {
        let Some(depth) = depth.checked_sub(1).filter(|_| !self.is_over()) else { return };
        if json.starts_with('{') {
            // What cannot be read is refused elsewhere.
            Document::read(json.as_bytes()).iter().for_each(|object| self.members(object, Some(place), depth));
        } else if json.starts_with('[') && depth > 0 {
            let mut index = 0_usize;
            let _ = list::each(json, |item: &RawValue| {
                let step = Step::Item(index);
                self.value(item.get(), &Place { parent: Some(place), step, ..*place }, depth);
                index = index.saturating_add(1);
                !self.is_over()
            });
        }
    }
}

/// Whether a value is a text that ties, or a list with one.
fn is_tied(json: &str, ties: fn(&str) -> bool) -> bool {
    let is_text = |json: &str| {
        let text = serde_json::from_str::<Text<'_>>(json).map(|text| text.0);
        text.is_ok_and(|text| !text.is_empty() && ties(&text))
    };
    if !json.starts_with('[') {
        return is_text(json);
    }
    let mut found = false;
    let _ = list::each(json, |item: &RawValue| {
        found = is_text(item.get());
        !found
    });
    found
}

/// A text, which is copied only if it has escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn tie(body: &str) -> Option<(String, TieKind)> {
        let tie = MESSAGES_TIES.tie(&Document::read(body.as_bytes()).unwrap());
        tie.map(|tie| (tie.field, tie.kind))
    }

    #[track_caller]
    fn assert_stored(body: &str, field: &str) {
        assert_eq!(tie(body), Some((field.to_owned(), TieKind::Stored)), "{body}");
    }

    fn part(part: &str) -> String {
        format!(r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"x"}},{part}]}}]}}"#)
    }

    #[test]
    fn what_is_stored_ties_a_request() {
        assert_stored(&part(r#"{"type":"file","file":{"file_id":"file-1"}}"#), "messages[0].content[1].file.file_id");
        let source = r#"{"type":"document","source":{"type":"file","file_id":"file_1"}}"#;
        assert_stored(&part(source), "messages[0].content[1].source.file_id");
        let result = format!(r#"{{"type":"tool_result","content":[{source}]}}"#);
        assert_stored(&part(&result), "messages[0].content[1].content[0].source.file_id");
        assert_stored(&part(r#"{"type":"container_upload","file_id":"f"}"#), "messages[0].content[1].file_id");
        let ran = r#"{"type":"bash_code_execution_tool_result","content":{"content":[{"file_id":"f"}]}}"#;
        assert_stored(&part(ran), "messages[0].content[1].content.content[0].file_id");
        assert_stored(r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#, "messages[0].audio.id");
        assert_stored(r#"{"audio":{"voice":{"id":"voice_1"}}}"#, "audio.voice.id");
        assert_stored(r#"{"container":"container_1"}"#, "container");
        assert_stored(r#"{"container":{"id":"container_1"}}"#, "container.id");
        assert_stored(r#"{"container":{"skills":[{"skill_id":"skill_1"}]}}"#, "container.skills[0].skill_id");
        assert_stored(r#"{"previous_response_id":"resp_1"}"#, "previous_response_id");
        assert_stored(r#"{"conversation":{"id":"conv_1"}}"#, "conversation.id");
        assert_stored(&part(r#"{"type":"file","file":{"file\u005fid":"f"}}"#), "messages[0].content[1].file.file_id");
    }

    #[test]
    fn a_format_may_write_places_with_dots() {
        let rules = TieRules { dotted: true, ..MESSAGES_TIES };
        let body = part(r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#);
        let field = rules.tie(&Document::read(body.as_bytes()).unwrap()).unwrap().field;
        assert_eq!(field, "messages.0.content.1.source.file_id");
    }

    #[test]
    fn what_is_not_stored_ties_nothing() {
        for body in [
            part(r#"{"type":"file","file":{"file_data":"d"}}"#),
            part(r#"{"type":"file","file":{"file_id":"","file_data":"d"}}"#),
            part(r#"{"type":"text","text":"{\"file_id\":\"file-1\"}"}"#),
            // The arguments of a call are the caller's own.
            part(r#"{"type":"tool_use","id":"t","name":"n","input":{"file_id":"f","source":{"file_id":"f"}}}"#),
            r#"{"tools":[{"input_schema":{"properties":{"file_id":{"type":"string"}}}}],"messages":[]}"#.to_owned(),
            r#"{"container":null,"previous_response_id":"","conversation":{}}"#.to_owned(),
            r#"{"container":{"skills":[{"type":"anthropic","skill_id":"pptx"}]}}"#.to_owned(),
            r#"{"audio":{"voice":"alloy","format":"wav"},"metadata":{"file_id":"f"}}"#.to_owned(),
            r#"{"messages":"file_id"}"#.to_owned(),
        ] {
            assert_eq!(tie(&body), None, "{body}");
        }
        let deep = format!("{}{}", r#"{"content":["#.repeat(60), "]}".repeat(60));
        assert_eq!(tie(&format!(r#"{{"messages":[{deep}],"metadata":{{"file_id":1}}}}"#)), None);
    }

    #[test]
    fn what_is_stored_counts_before_what_is_sealed() {
        let sealed = r#"{"type":"web_search_tool_result","content":[{"encrypted_content":"gA"}]}"#;
        let field = "messages[0].content[1].content[0].encrypted_content".to_owned();
        assert_eq!(tie(&part(sealed)), Some((field, TieKind::Sealed)));
        let both = part(&format!(r#"{sealed},{{"type":"container_upload","file_id":"f"}}"#));
        assert_stored(&both, "messages[0].content[2].file_id");
    }
}
