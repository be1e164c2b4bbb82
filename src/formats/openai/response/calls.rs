//! The calls of tools in one answer, kept apart: by their numbers, where the provider counts them, else by their ids, else by their order.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::value::RawValue;

use super::super::wire::{MOST, members, object, string, text};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::formats::EventSink;
use crate::wire::list::Few;

object! {
    /// A message, or a piece of one.
    Said {
        content: "content",
        refusal: "refusal",
        reasoning_content: "reasoning_content",
        reasoning: "reasoning",
        calls: "tool_calls",
        function_call: "function_call",
    }
}

object! {
    CallIn { index: "index", id: "id", function: "function", custom: "custom" }
}

object! {
    Function { name: "name", arguments: "arguments", input: "input" }
}

/// Calls that are told apart in one answer; more are not listened to.
const CALLS: usize = 512;

/// Arguments that are held until the name of their call comes: so many pieces, and bytes.
const PIECES: usize = 1024;
const HELD: usize = 1 << 20;

/// The calls so far.
#[derive(Default)]
pub(crate) struct Calls(Vec<Slot>);

/// A call.
struct Slot {
    /// The provider's number for it.
    index: Option<u64>,
    id: String,
    /// Nobody was told of it yet: its name has not come.
    unnamed: bool,
    /// Arguments that came before the name.
    held: Vec<Raw<'static>>,
}

impl Calls {
    /// Reads the calls of a message, or of a piece of one. `data` is all that came with it.
    pub(crate) fn read(&mut self, choice: u32, said: &Said<'_>, data: &[u8], each: EventSink<'_>) {
        let found: Few<CallIn<'_>, MOST> =
            said.calls.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        for call in found.iter() {
            let index = call.index.and_then(|raw| raw.get().parse().ok());
            let id = call.id.and_then(text).unwrap_or_default();
            let function: Function<'_> = members(call.function.or(call.custom)).unwrap_or_default();
            self.take(choice, index, &id, &function, data, each);
        }
        // As it was before there were several at once.
        if let Some(function) = members::<Function<'_>>(said.function_call) {
            self.take(choice, None, "", &function, data, each);
        }
    }

    fn take(
        &mut self,
        choice: u32,
        index: Option<u64>,
        id: &str,
        function: &Function<'_>,
        data: &[u8],
        each: EventSink<'_>,
    ) {
        let name = function.name.and_then(text).unwrap_or_default();
        let known = self.find(index, id, &name);
        let at = known.unwrap_or(self.0.len());
        if known.is_none() {
            if at >= CALLS {
                return;
            }
            let id = if id.is_empty() { made_up(data, choice, at) } else { id.to_owned() };
            self.0.push(Slot { index, id, unnamed: true, held: Vec::new() });
        }
        let call = u32::try_from(at).unwrap_or(u32::MAX);
        let Some(slot) = self.0.get_mut(at) else { return };
        if slot.unnamed && !name.is_empty() {
            slot.unnamed = false;
            each(ResponseEvent::Call { choice, call, id: Cow::Borrowed(&slot.id), name });
            slot.held.drain(..).for_each(|json| each(ResponseEvent::Arguments { choice, call, json }));
        }
        let Some(json) = function.arguments.or(function.input).and_then(piece) else { return };
        if !slot.unnamed {
            each(ResponseEvent::Arguments { choice, call, json });
        } else if slot.held.iter().map(|held| held.get().len()).sum::<usize>() <= HELD && slot.held.len() < PIECES {
            slot.held.push(json.owned());
        }
    }

    /// The call that a piece goes on with, if it begins none.
    fn find(&self, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let begins = !name.is_empty();
        if let Some(index) = index {
            let at = self.0.iter().rposition(|slot| slot.index == Some(index))?;
            // Some count all their calls as the first one: a new id with a name is a new call.
            let other = self.0.get(at).is_some_and(|slot| !slot.unnamed && !id.is_empty() && slot.id != id);
            return (!(begins && other)).then_some(at);
        }
        if !id.is_empty()
            && let Some(at) = self.0.iter().rposition(|slot| slot.id == id)
        {
            return Some(at);
        }
        let last = self.0.len().checked_sub(1)?;
        let waits = self.0.get(last).is_some_and(|slot| slot.unnamed);
        (!begins || (waits && id.is_empty())).then_some(last)
    }

    /// The answer is at its end. Gives the reason: some say that all was said where calls are to be answered.
    pub(crate) fn finish(&mut self, choice: u32, reason: FinishReason, each: EventSink<'_>) -> FinishReason {
        for (at, slot) in self.0.iter_mut().enumerate().filter(|(_, slot)| slot.unnamed) {
            let call = u32::try_from(at).unwrap_or(u32::MAX);
            slot.unnamed = false;
            each(ResponseEvent::Call { choice, call, id: Cow::Borrowed(&slot.id), name: Cow::Borrowed("") });
            slot.held.drain(..).for_each(|json| each(ResponseEvent::Arguments { choice, call, json }));
        }
        if reason == FinishReason::Stop && !self.0.is_empty() { FinishReason::Calls } else { reason }
    }
}

/// A piece of arguments: a string, or an object, as some send them. Nothing if it says nothing.
fn piece(raw: &RawValue) -> Option<Raw<'_>> {
    match string(raw) {
        Some(text) => Some(text).filter(|text| !text.is_blank()),
        None if raw.get().starts_with('{') => Some(Raw::quoted(raw.get())),
        None => None,
    }
}

/// An id for a call that has none: another one in each answer, and the same for the same bytes.
fn made_up(data: &[u8], choice: u32, at: usize) -> String {
    let mut hasher = DefaultHasher::new();
    (data, choice, at).hash(&mut hasher);
    format!("call_{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of the deltas: for each call its id, name and arguments.
    fn told(deltas: &[&str]) -> Vec<(String, String, String)> {
        let mut calls = Calls::default();
        let mut told: Vec<(String, String, String)> = Vec::new();
        let mut each = |event: ResponseEvent<'_>| match event {
            ResponseEvent::Call { call, id, name, .. } => {
                assert_eq!(call as usize, told.len());
                told.push((id.into_owned(), name.into_owned(), String::new()));
            }
            ResponseEvent::Arguments { call, json, .. } => told[call as usize].2.push_str(&json.text().unwrap()),
            other => panic!("{other:?}"),
        };
        for delta in deltas {
            let json = format!("{{\"tool_calls\":[{delta}]}}");
            calls.read(0, &serde_json::from_str(&json).unwrap(), json.as_bytes(), &mut each);
        }
        calls.finish(0, FinishReason::Stop, &mut each);
        told
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
        assert_eq!(told(&deltas), [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]);
    }

    #[test]
    fn whole_calls_need_no_number_and_the_same_number_is_not_the_same_call() {
        let whole = r#"{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}"#;
        assert_eq!(told(&[whole]), [call("a", "f", "{}"), call("b", "f", "{}")]);
        let zeros = r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}"#;
        assert_eq!(told(&[zeros]), told(&[whole]));
        let numberless = [r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#, r#"{"function":{"arguments":"}"}}"#];
        assert_eq!(told(&numberless), [call("a", "f", "{}")]);
    }

    #[test]
    fn the_id_and_name_may_be_repeated() {
        let again = r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#;
        let end = r#"{"id":"a","index":0,"function":{"name":"f","arguments":"}"}}"#;
        assert_eq!(told(&[again, end]), [call("a", "f", "{}")]);
    }

    #[test]
    fn a_call_without_an_id_is_given_one_and_a_late_name_is_waited_for() {
        let found = told(&[r#"{"function":{"name":"f","arguments":{}}},{"function":{"name":"f","arguments":""}}"#]);
        assert!(found.len() == 2 && found[0].0.starts_with("call_") && found[0].0 != found[1].0, "{found:?}");
        let late = [
            r#"{"index":0,"id":"a","function":{"arguments":"{"}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":"}"}}"#,
        ];
        assert_eq!(told(&late), [call("a", "f", "{}")]);
    }
}
