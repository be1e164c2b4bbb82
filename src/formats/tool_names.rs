//! Gives tools and calls names that a host takes, and tools their own names in its responses. A new name is
//! derived from the old one alone, so it is the same in each request and in each isolate.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::canonical::{ModelRequest, Part, Raw, ResponseEvent, ToolCall, ToolChoice};
use crate::catalogue::Facts;
use crate::catalogue::field::{Field, Fit};

/// Characters of a shortened name that stand for what was cut off.
const MARK: usize = 8;

/// The longest id that is derived, in characters, unless a host demands a length.
const DERIVED_ID: usize = 24;

/// The characters of a derived id.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The tools of a request that were sent under other names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames(Vec<RenamedTool>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct RenamedTool {
    /// The client's name.
    own: String,
    /// The name that was sent.
    sent: String,
}

impl ToolNames {
    /// Gives the tools and calls of a request names that its host takes. Nothing is lost, because
    /// [`ToolNames::restore`] takes the names of tools back, and a call and its result keep one id.
    pub fn fit(request: &mut ModelRequest<'_>, facts: &Facts) -> Self {
        if let Fit::Hash(longest) = facts.fit(Field::CallId) {
            let longest = usize::try_from(longest).unwrap_or(usize::MAX);
            fit_ids(request, IdForm { longest, is_exact: facts.flag(Field::ExactCallId) });
        }
        match facts.fit(Field::ToolName) {
            Fit::Cut(longest) => shorten(request, usize::try_from(longest).unwrap_or(usize::MAX)),
            _ => Self::default(),
        }
    }

    /// Gives a call in a response the name by which the client knows the tool.
    pub fn restore(&self, event: &mut ResponseEvent<'_>) {
        if let ResponseEvent::Call { name, .. } = event
            && let Some(tool) = self.0.iter().find(|tool| tool.sent == *name)
        {
            *name = Cow::Owned(tool.own.clone());
        }
    }
}

fn shorten(request: &mut ModelRequest<'_>, longest: usize) -> ToolNames {
    let mut names = ToolNames::default();
    for tool in &mut request.tools {
        let Some(own) = tool.name.text() else { continue };
        if let Some(sent) = shortened(&own, longest) {
            let renamed = RenamedTool { own: own.into_owned(), sent };
            tool.name = Raw::quoted(&renamed.sent);
            names.0.push(renamed);
        }
    }
    if let Some(ToolChoice::Tool(name)) = &mut request.tool_choice
        && let Some(sent) = name.text().and_then(|own| shortened(&own, longest))
    {
        *name = Raw::quoted(&sent);
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Call(call) = part
            && let Some(sent) = shortened(&call.name, longest)
        {
            call.name = Cow::Owned(sent);
        }
    }
    names
}

/// A name of at most `longest` characters for a longer one; `None` if it is short enough.
fn shortened(name: &str, longest: usize) -> Option<String> {
    // A name has no more characters than bytes.
    if name.len() <= longest || name.chars().count() <= longest {
        return None;
    }
    let kept = name.chars().take(longest.saturating_sub(MARK + 1));
    let mark = Sha256::digest(name).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mark = mark.filter_map(|digit| char::from_digit(digit.into(), 16)).take(MARK);
    Some(kept.chain(['_']).chain(mark).take(longest).collect())
}

/// The ids of calls that a host takes.
#[derive(Clone, Copy)]
struct IdForm {
    /// The most characters.
    longest: usize,
    /// An id has exactly so many, all of them letters and digits.
    is_exact: bool,
}

impl IdForm {
    fn allows(self, id: &str) -> bool {
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || !self.is_exact && b"_-".contains(&byte));
        let fits = if self.is_exact { id.len() == self.longest } else { id.len() <= self.longest };
        is_plain && fits && !id.is_empty()
    }

    /// An id that the host takes for one that it does not; `None` if it takes this one.
    fn derived(self, id: &str) -> Option<String> {
        if self.allows(id) {
            return None;
        }
        let length = if self.is_exact { self.longest } else { self.longest.min(DERIVED_ID) };
        let letters = Sha256::digest(id).into_iter().filter_map(|byte| LETTERS.get(usize::from(byte) % LETTERS.len()));
        Some(letters.map(|letter| char::from(*letter)).take(length).collect())
    }
}

/// A call and its result get the same id, because both are derived from the same.
fn fit_ids(request: &mut ModelRequest<'_>, form: IdForm) {
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let (Part::Call(ToolCall { id, .. }) | Part::Result { call: id, .. }) = part else { continue };
        if let Some(derived) = form.derived(id) {
            *id = Cow::Owned(derived);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Role, Tool, Turn};
    use crate::catalogue::Fact;
    use crate::catalogue::field::Value;

    const LONG: &str = "mcp__a_server_with_a_long_name__a_tool_whose_name_is_longer_than_the_host_takes";

    fn facts(list: &[(Field, Value)]) -> Facts {
        let mut facts = Facts::UNKNOWN;
        list.iter().for_each(|(field, value)| facts.overlay(&[Fact { field: *field, value: *value }]));
        facts
    }

    fn openai() -> Facts {
        facts(&[(Field::ToolName, Value::Fit(Fit::Cut(64))), (Field::CallId, Value::Fit(Fit::Hash(40)))])
    }

    fn request(name: &'static str, id: &'static str) -> ModelRequest<'static> {
        let tool =
            |name| Tool { name: Raw::quoted(name), description: None, parameters: None, strict: None, cache: None };
        let call = ToolCall {
            id: Cow::Borrowed(id),
            name: Cow::Borrowed(name),
            arguments: Raw::parse("{}").unwrap(),
            reasoning_state: None,
            cache: None,
        };
        let result = Part::Result { call: Cow::Borrowed(id), parts: Vec::new(), failed: false, cache: None };
        ModelRequest {
            tools: vec![tool("short"), tool(name)],
            tool_choice: Some(ToolChoice::Tool(Raw::quoted(name))),
            turns: vec![
                Turn { role: Role::Assistant, parts: vec![Part::Call(call)] },
                Turn { role: Role::User, parts: vec![result] },
            ],
            ..ModelRequest::default()
        }
    }

    fn ids(request: &ModelRequest<'_>) -> Vec<String> {
        let parts = request.turns.iter().flat_map(|turn| &turn.parts);
        let id = |part: &Part<'_>| match part {
            Part::Call(ToolCall { id, .. }) | Part::Result { call: id, .. } => Some(id.to_string()),
            _ => None,
        };
        parts.filter_map(id).collect()
    }

    fn restored(names: &ToolNames, name: &str) -> String {
        let mut event = ResponseEvent::Call { choice: 0, call: 0, id: "c".into(), name: Cow::Borrowed(name) };
        names.restore(&mut event);
        let ResponseEvent::Call { name, .. } = event else { panic!("{event:?}") };
        name.into_owned()
    }

    #[test]
    fn a_long_name_is_short_in_all_places_and_itself_in_the_response() {
        let mut long = request(LONG, "call_1");
        let names = ToolNames::fit(&mut long, &openai());
        let sent = long.tools[1].name.text().unwrap().into_owned();
        assert_eq!(sent.len(), 64);
        assert_eq!(sent[..55], LONG[..55]);
        assert_eq!(long.tools[0].name, Raw::quoted("short"));
        assert_eq!(long.tool_choice, Some(ToolChoice::Tool(Raw::quoted(&sent))));
        let Part::Call(call) = &long.turns[0].parts[0] else { panic!("{long:?}") };
        assert_eq!(call.name, sent);
        assert_eq!(restored(&names, &sent), LONG);
        assert_eq!(restored(&names, "short"), "short");
        assert_eq!(ToolNames::fit(&mut request(LONG, "call_1"), &openai()), names, "the same each time");
        let other = shortened(&format!("{LONG}_2"), 64).unwrap();
        assert_eq!(other[..55], sent[..55]);
        assert_ne!(other, sent);
        assert_eq!(shortened(LONG, 5).unwrap().len(), 5);
    }

    #[test]
    fn what_a_host_takes_is_left_alone() {
        let sixty_four = &*Box::leak("n".repeat(64).into_boxed_str());
        let mut fine = request(sixty_four, "call_1-a");
        let before = fine.clone();
        assert_eq!(ToolNames::fit(&mut fine, &openai()), ToolNames::default());
        assert_eq!(fine, before);
        let mut unknown = request(LONG, "an id: with anything");
        let before = unknown.clone();
        assert_eq!(ToolNames::fit(&mut unknown, &Facts::UNKNOWN), ToolNames::default());
        assert_eq!(unknown, before);
    }

    #[test]
    fn a_call_and_its_result_get_the_same_legal_id() {
        let long = &*Box::leak("i".repeat(41).into_boxed_str());
        for (id, most) in [(long, 40), ("functions.get:0", 40), ("a b", 40), ("", 40)] {
            let mut fitted = request("f", id);
            ToolNames::fit(&mut fitted, &openai());
            let found = ids(&fitted);
            assert_eq!(found[0], found[1], "{id}");
            assert!(IdForm { longest: most, is_exact: false }.allows(&found[0]), "{found:?}");
            let mut again = request("f", id);
            ToolNames::fit(&mut again, &openai());
            assert_eq!(ids(&again), found, "the same each time");
        }
    }

    #[test]
    fn a_host_may_demand_a_length() {
        let nine = facts(&[(Field::CallId, Value::Fit(Fit::Hash(9))), (Field::ExactCallId, Value::Flag(true))]);
        let fitted = |id| {
            let mut request = request("f", id);
            ToolNames::fit(&mut request, &nine);
            ids(&request)
        };
        assert_eq!(fitted("D681PevKs"), ["D681PevKs"; 2]);
        for id in ["call_1", "call_abcd", "toolu_01A09q90qw90lq917835lq9"] {
            let found = fitted(id);
            assert_eq!(found[0], found[1], "{id}");
            assert!(found[0].len() == 9 && found[0].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{found:?}");
        }
        assert_ne!(fitted("call_1"), fitted("call_2"));
    }
}
