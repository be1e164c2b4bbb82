//! Tells apart the tool calls of a response: by their numbers where the provider counts them, else by their
//! ids, else by their order.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::value::RawValue;

use super::super::wire::{MAX_ITEMS, members, object, string, text};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::formats::stream::EventSink;
use crate::wire::list::BoundedList;

object! {
    /// A message, or a delta of one.
    MessageDeltaFields {
        content: "content",
        refusal: "refusal",
        reasoning_content: "reasoning_content",
        reasoning: "reasoning",
        reasoning_details: "reasoning_details",
        images: "images",
        calls: "tool_calls",
        function_call: "function_call",
    }
}

object! {
    ToolCallDelta { index: "index", id: "id", function: "function", custom: "custom" }
}

object! {
    FunctionDelta { name: "name", arguments: "arguments", input: "input" }
}

/// The most calls in one choice; further ones are ignored.
const MAX_CALLS: usize = 512;

/// Limits of the arguments that are held until the name of their call arrives: pieces, and bytes.
const MAX_HELD_PIECES: usize = 1024;
const MAX_HELD_BYTES: usize = 1 << 20;

/// The calls of a choice so far.
#[derive(Default)]
pub(crate) struct CallTracker(Vec<TrackedCall>);

struct TrackedCall {
    identity: CallIdentity,
    /// Arguments that arrived before the name.
    held: Vec<Raw<'static>>,
}

/// By what the pieces of a call are told from those of others.
pub(crate) struct CallIdentity {
    /// The provider's number.
    pub(crate) index: Option<u64>,
    /// Empty if the provider gives none.
    pub(crate) id: String,
    /// Whether its name has not arrived.
    pub(crate) unnamed: bool,
}

impl AsRef<CallIdentity> for TrackedCall {
    fn as_ref(&self) -> &CallIdentity {
        &self.identity
    }
}

impl TrackedCall {
    fn hold(&mut self, json: &Raw<'_>) {
        let held: usize = self.held.iter().map(|held| held.get().len()).sum();
        if held <= MAX_HELD_BYTES && self.held.len() < MAX_HELD_PIECES {
            self.held.push(json.owned());
        }
    }
}

/// A call of a message, or a piece of one.
struct CallPiece<'a> {
    /// The provider's number.
    index: Option<u64>,
    /// Empty if it is not given.
    id: Cow<'a, str>,
    function: FunctionDelta<'a>,
}

impl CallTracker {
    /// Reads the calls of a message or of a delta. `data` is the JSON that they came in.
    pub(crate) fn read(&mut self, choice: u32, message: &MessageDeltaFields<'_>, data: &[u8], emit: EventSink<'_>) {
        let found: BoundedList<ToolCallDelta<'_>, MAX_ITEMS> =
            message.calls.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        for call in found.iter() {
            let piece = CallPiece {
                index: call.index.and_then(|raw| raw.get().parse().ok()),
                id: call.id.and_then(text).unwrap_or_default(),
                function: members(call.function.or(call.custom)).unwrap_or_default(),
            };
            self.add(choice, &piece, data, emit);
        }
        // The older form, which allows one call.
        if let Some(function) = members::<FunctionDelta<'_>>(message.function_call) {
            self.add(choice, &CallPiece { index: None, id: Cow::Borrowed(""), function }, data, emit);
        }
    }

    fn add(&mut self, choice: u32, piece: &CallPiece<'_>, data: &[u8], emit: EventSink<'_>) {
        let name = piece.function.name.and_then(text).unwrap_or_default();
        let found = find_call(&self.0, piece.index, &piece.id, !name.is_empty());
        let position = found.unwrap_or(self.0.len());
        if found.is_none() {
            if position >= MAX_CALLS {
                return;
            }
            let id =
                if piece.id.is_empty() { derive_id(data, choice, position) } else { piece.id.clone().into_owned() };
            let identity = CallIdentity { index: piece.index, id, unnamed: true };
            self.0.push(TrackedCall { identity, held: Vec::new() });
        }
        let call = u32::try_from(position).unwrap_or(u32::MAX);
        let Some(tracked) = self.0.get_mut(position) else { return };
        if tracked.identity.unnamed && !name.is_empty() {
            tracked.identity.unnamed = false;
            emit(ResponseEvent::Call { choice, call, id: Cow::Borrowed(&tracked.identity.id), name });
            tracked.held.drain(..).for_each(|json| emit(ResponseEvent::Arguments { choice, call, json }));
        }
        let Some(json) = piece.function.arguments.or(piece.function.input).and_then(arguments_piece) else { return };
        if tracked.identity.unnamed {
            tracked.hold(&json);
        } else {
            emit(ResponseEvent::Arguments { choice, call, json });
        }
    }

    /// Ends the choice: emits calls without a name, and returns the finish reason. Some providers report
    /// `stop` after calls.
    pub(crate) fn finish(&mut self, choice: u32, reason: FinishReason, emit: EventSink<'_>) -> FinishReason {
        for (position, tracked) in self.0.iter_mut().enumerate().filter(|(_, tracked)| tracked.identity.unnamed) {
            let call = u32::try_from(position).unwrap_or(u32::MAX);
            tracked.identity.unnamed = false;
            emit(ResponseEvent::Call {
                choice,
                call,
                id: Cow::Borrowed(&tracked.identity.id),
                name: Cow::Borrowed(""),
            });
            tracked.held.drain(..).for_each(|json| emit(ResponseEvent::Arguments { choice, call, json }));
        }
        if reason == FinishReason::Stop && !self.0.is_empty() { FinishReason::Calls } else { reason }
    }
}

/// The position of the call that a piece continues; `None` if it begins a new one.
pub(crate) fn find_call<T: AsRef<CallIdentity>>(
    known: &[T],
    index: Option<u64>,
    id: &str,
    has_name: bool,
) -> Option<usize> {
    let at = |position: usize| known.get(position).map(AsRef::as_ref);
    if let Some(index) = index {
        let position = known.iter().rposition(|call| call.as_ref().index == Some(index))?;
        // Some providers number every call 0: a new id together with a name begins a new call.
        let other = at(position).is_some_and(|call| !call.unnamed && !id.is_empty() && call.id != id);
        return (!(has_name && other)).then_some(position);
    }
    if !id.is_empty()
        && let Some(position) = known.iter().rposition(|call| call.as_ref().id == id)
    {
        return Some(position);
    }
    let last = known.len().checked_sub(1)?;
    let is_unnamed = at(last).is_some_and(|call| call.unnamed);
    (!has_name || (is_unnamed && id.is_empty())).then_some(last)
}

/// A piece of arguments: a string, or an object, as some providers send them. `None` if it is empty.
fn arguments_piece(raw: &RawValue) -> Option<Raw<'_>> {
    match string(raw) {
        Some(text) => Some(text).filter(|text| !text.is_blank()),
        None if raw.get().starts_with('{') => Some(Raw::quoted(raw.get())),
        None => None,
    }
}

/// An id for a call without one: the same for the same bytes, and different in every response.
fn derive_id(data: &[u8], choice: u32, position: usize) -> String {
    let mut hasher = DefaultHasher::new();
    (data, choice, position).hash(&mut hasher);
    format!("call_{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls that deltas give, each as its id, name and arguments.
    fn calls_of(deltas: &[&str]) -> Vec<(String, String, String)> {
        let mut calls = CallTracker::default();
        let mut seen: Vec<(String, String, String)> = Vec::new();
        let mut emit = |event: ResponseEvent<'_>| match event {
            ResponseEvent::Call { call, id, name, .. } => {
                assert_eq!(call as usize, seen.len());
                seen.push((id.into_owned(), name.into_owned(), String::new()));
            }
            ResponseEvent::Arguments { call, json, .. } => seen[call as usize].2.push_str(&json.text().unwrap()),
            other => panic!("{other:?}"),
        };
        for delta in deltas {
            let json = format!("{{\"tool_calls\":[{delta}]}}");
            calls.read(0, &serde_json::from_str(&json).unwrap(), json.as_bytes(), &mut emit);
        }
        calls.finish(0, FinishReason::Stop, &mut emit);
        seen
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn pieces_are_joined_by_number() {
        let deltas = [
            r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
            r#"{"index":0,"function":{"arguments":"{\"x\""}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{"}},{"index":0,"function":{"arguments":":1}"}}"#,
            r#"{"index":1,"id":"","function":{"name":null,"arguments":"}"}}"#,
        ];
        assert_eq!(calls_of(&deltas), [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]);
    }

    #[test]
    fn whole_calls_need_no_number_and_the_same_number_is_not_the_same_call() {
        let whole = r#"{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}"#;
        assert_eq!(calls_of(&[whole]), [call("a", "f", "{}"), call("b", "f", "{}")]);
        let zeros = r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}"#;
        assert_eq!(calls_of(&[zeros]), calls_of(&[whole]));
        let numberless = [r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#, r#"{"function":{"arguments":"}"}}"#];
        assert_eq!(calls_of(&numberless), [call("a", "f", "{}")]);
    }

    #[test]
    fn the_id_and_name_may_be_repeated() {
        let again = r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#;
        let end = r#"{"id":"a","index":0,"function":{"name":"f","arguments":"}"}}"#;
        assert_eq!(calls_of(&[again, end]), [call("a", "f", "{}")]);
    }

    #[test]
    fn a_call_without_an_id_is_given_one_and_a_late_name_is_waited_for() {
        let found = calls_of(&[r#"{"function":{"name":"f","arguments":{}}},{"function":{"name":"f","arguments":""}}"#]);
        assert!(found.len() == 2 && found[0].0.starts_with("call_") && found[0].0 != found[1].0, "{found:?}");
        let late = [
            r#"{"index":0,"id":"a","function":{"arguments":"{"}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":"}"}}"#,
        ];
        assert_eq!(calls_of(&late), [call("a", "f", "{}")]);
    }
}
