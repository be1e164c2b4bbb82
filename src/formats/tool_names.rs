//! Gives tools and calls names that a host takes, and tools their own names in its responses. A new name is
//! derived from the old one alone, so it is the same in each request and in each isolate.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

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
    /// `begins_with_letter`: the host's format wants a letter or `_` first.
    pub fn fit(request: &mut ModelRequest<'_>, facts: &Facts, begins_with_letter: bool) -> Self {
        if let Fit::Hash(longest) = facts.fit(Field::CallId) {
            let longest = usize::try_from(longest).unwrap_or(usize::MAX);
            fit_ids(request, IdForm { longest, is_exact: facts.flag(Field::ExactCallId) });
        }
        let longest = match facts.fit(Field::ToolName) {
            Fit::Cut(longest) => usize::try_from(longest).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        rename(request, NameForm { longest, begins_with_letter })
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

/// The names of tools that a host takes: of letters, digits, `_` and `-`, as nearly all hosts demand.
#[derive(Clone, Copy)]
struct NameForm {
    /// The most characters.
    longest: usize,
    /// The first character is a letter or `_`.
    begins_with_letter: bool,
}

impl NameForm {
    /// A name that the host takes for one that it does not; `None` if it takes this one.
    fn renamed(self, name: &str) -> Option<String> {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let begins = !self.begins_with_letter || name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        // A name has no more characters than bytes.
        let fits = name.len() <= self.longest || name.chars().count() <= self.longest;
        if name.is_empty() || fits && begins && name.chars().all(is_legal) {
            return None;
        }
        let first = (!begins).then_some('_');
        let legal = name.chars().map(|c| if is_legal(c) { c } else { '_' });
        let kept = first.into_iter().chain(legal).take(self.longest.saturating_sub(MARK + 1));
        let mark = Sha256::digest(name).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let mark = mark.filter_map(|digit| char::from_digit(digit.into(), 16)).take(MARK);
        Some(kept.chain(['_']).chain(mark).take(self.longest).collect())
    }
}

fn rename(request: &mut ModelRequest<'_>, form: NameForm) -> ToolNames {
    let mut names = ToolNames::default();
    for tool in &mut request.tools {
        let Some(own) = tool.name.text() else { continue };
        if let Some(sent) = form.renamed(&own) {
            let renamed = RenamedTool { own: own.into_owned(), sent };
            tool.name = Raw::quoted(&renamed.sent);
            names.0.push(renamed);
        }
    }
    if let Some(ToolChoice::Tool(name)) = &mut request.tool_choice
        && let Some(sent) = name.text().and_then(|own| form.renamed(&own))
    {
        *name = Raw::quoted(&sent);
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Part::Call(call) = part
            && let Some(sent) = form.renamed(&call.name)
        {
            call.name = Cow::Owned(sent);
        }
    }
    names
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
    let calls = request.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
        Part::Call(call) => Some(call.id.as_ref()),
        _ => None,
    });
    let (mut own, mut repeats) = (HashSet::new(), false);
    calls.for_each(|id| repeats |= !own.insert(id));
    if repeats {
        let own = own.into_iter().map(str::to_owned).collect();
        return fit_repeated_ids(request, form, own);
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let (Part::Call(ToolCall { id, .. }) | Part::Result { call: id, .. }) = part else { continue };
        if let Some(derived) = form.derived(id) {
            *id = Cow::Owned(derived);
        }
    }
}

/// Some models number their calls anew in each turn: a call with an id that an earlier one has gets another,
/// and so does its result. `taken`: the ids of the client's calls.
fn fit_repeated_ids(request: &mut ModelRequest<'_>, form: IdForm, mut taken: HashSet<String>) {
    let mut used: HashMap<String, UsedId> = HashMap::new();
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let sent = match part {
            Part::Call(ToolCall { id, .. }) => {
                let known = used.entry(id.clone().into_owned()).or_default();
                let fresh = || (known.times..).map(|number| format!("{id}_{number}")).find(|id| !taken.contains(id));
                let again = if known.times > 0 { fresh() } else { None };
                taken.extend(again.clone());
                let sent = form.derived(again.as_deref().unwrap_or(id)).or(again);
                known.times += 1;
                known.open.push_back(sent.clone());
                sent
            }
            Part::Result { call, .. } => match used.get_mut(call.as_ref()) {
                Some(known) => known.close(),
                None => form.derived(call),
            },
            _ => None,
        };
        let (Part::Call(ToolCall { id, .. }) | Part::Result { call: id, .. }) = part else { continue };
        if let Some(sent) = sent {
            *id = Cow::Owned(sent);
        }
    }
}

/// An id of the client's that calls have.
#[derive(Default)]
struct UsedId {
    /// How many calls have had it.
    times: usize,
    /// What was sent instead for those calls that have no result yet, from the first one on.
    open: VecDeque<Option<String>>,
    /// The same for the call that had a result last: it may have several.
    closed: Option<String>,
}

impl UsedId {
    /// What is sent instead for the next result.
    fn close(&mut self) -> Option<String> {
        if let Some(next) = self.open.pop_front() {
            self.closed = next;
        }
        self.closed.clone()
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
        let names = ToolNames::fit(&mut long, &openai(), false);
        let sent = long.tools[1].name.text().unwrap().into_owned();
        assert_eq!(sent.len(), 64);
        assert_eq!(sent[..55], LONG[..55]);
        assert_eq!(long.tools[0].name, Raw::quoted("short"));
        assert_eq!(long.tool_choice, Some(ToolChoice::Tool(Raw::quoted(&sent))));
        let Part::Call(call) = &long.turns[0].parts[0] else { panic!("{long:?}") };
        assert_eq!(call.name, sent);
        assert_eq!(restored(&names, &sent), LONG);
        assert_eq!(restored(&names, "short"), "short");
        assert_eq!(ToolNames::fit(&mut request(LONG, "call_1"), &openai(), false), names, "the same each time");
        let other = form(64).renamed(&format!("{LONG}_2")).unwrap();
        assert_eq!(other[..55], sent[..55]);
        assert_ne!(other, sent);
        assert_eq!(form(5).renamed(LONG).unwrap().len(), 5);
    }

    fn form(longest: usize) -> NameForm {
        NameForm { longest, begins_with_letter: false }
    }

    #[test]
    fn a_name_with_other_characters_is_sent_without_them_and_is_itself_in_the_response() {
        for own in ["mcp.server/tool", "a tool", "outil-été", "ns:tool"] {
            let mut odd = request(own, "call_1");
            let names = ToolNames::fit(&mut odd, &Facts::UNKNOWN, false);
            let sent = odd.tools[1].name.text().unwrap().into_owned();
            assert!(sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)), "{sent}");
            assert_eq!(restored(&names, &sent), own);
            let Part::Call(call) = &odd.turns[0].parts[0] else { panic!("{odd:?}") };
            assert_eq!(call.name, sent);
        }
        assert_ne!(form(64).renamed("a.b"), form(64).renamed("a/b"));
        let letters = NameForm { longest: 64, begins_with_letter: true };
        assert!(letters.renamed("21st_builder").unwrap().starts_with("_21st_builder_"));
        assert_eq!(form(64).renamed("21st_builder"), None);
    }

    #[test]
    fn calls_of_several_turns_with_one_id_are_told_apart() {
        let mut both = request("f", "f:0");
        both.turns.extend(both.turns.clone());
        let mut legal = request("f", "call_0");
        legal.turns.extend(legal.turns.clone());
        for request in [&mut both, &mut legal] {
            ToolNames::fit(request, &openai(), false);
            let found = ids(request);
            assert_eq!((&found[0], &found[2]), (&found[1], &found[3]), "{found:?}");
            assert_ne!(found[0], found[2]);
        }
        assert_eq!(ids(&legal), ["call_0", "call_0", "call_0_1", "call_0_1"]);
        let mut parallel = request("f", "x");
        let [calls, results] = &mut parallel.turns[..] else { panic!("{parallel:?}") };
        calls.parts.push(calls.parts[0].clone());
        results.parts.push(results.parts[0].clone());
        ToolNames::fit(&mut parallel, &openai(), false);
        assert_eq!(ids(&parallel), ["x", "x_1", "x", "x_1"]);
        let mut taken = request("f", "x");
        for id in ["x_1", "x", "x"] {
            taken.turns.extend(request("f", id).turns);
        }
        ToolNames::fit(&mut taken, &openai(), false);
        assert_eq!(ids(&taken), ["x", "x", "x_1", "x_1", "x_2", "x_2", "x_3", "x_3"]);
    }

    #[test]
    fn what_a_host_takes_is_left_alone() {
        let sixty_four = &*Box::leak("n".repeat(64).into_boxed_str());
        let mut fine = request(sixty_four, "call_1-a");
        let before = fine.clone();
        assert_eq!(ToolNames::fit(&mut fine, &openai(), false), ToolNames::default());
        assert_eq!(fine, before);
        let mut unknown = request(LONG, "an id: with anything");
        let before = unknown.clone();
        assert_eq!(ToolNames::fit(&mut unknown, &Facts::UNKNOWN, false), ToolNames::default());
        assert_eq!(unknown, before);
    }

    #[test]
    fn a_call_and_its_result_get_the_same_legal_id() {
        let long = &*Box::leak("i".repeat(41).into_boxed_str());
        for (id, most) in [(long, 40), ("functions.get:0", 40), ("a b", 40), ("", 40)] {
            let mut fitted = request("f", id);
            ToolNames::fit(&mut fitted, &openai(), false);
            let found = ids(&fitted);
            assert_eq!(found[0], found[1], "{id}");
            assert!(IdForm { longest: most, is_exact: false }.allows(&found[0]), "{found:?}");
            let mut again = request("f", id);
            ToolNames::fit(&mut again, &openai(), false);
            assert_eq!(ids(&again), found, "the same each time");
        }
    }

    #[test]
    fn a_host_may_demand_a_length() {
        let nine = facts(&[(Field::CallId, Value::Fit(Fit::Hash(9))), (Field::ExactCallId, Value::Flag(true))]);
        let fitted = |id| {
            let mut request = request("f", id);
            ToolNames::fit(&mut request, &nine, false);
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
