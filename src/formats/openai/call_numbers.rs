//! Numbers the tool calls of a stream that passes to a client: official SDKs fail on a piece without `index`, and
//! join calls that have the same one.

use std::ops::Range;

use serde_json::value::RawValue;

use super::response::calls::{CallIdentity, FunctionDelta, MessageDeltaFields, ToolCallDelta, find_call};
use super::wire::{MAX_ITEMS, TappedChoice, members, text};
use crate::wire::json::Document;
use crate::wire::list::BoundedList;

/// The most calls that are numbered; further ones pass as they are.
const MAX_CALLS: usize = 512;

/// The calls of a stream so far.
#[derive(Default)]
pub(super) struct CallNumbers(Vec<NumberedCall>);

struct NumberedCall {
    choice: u64,
    identity: CallIdentity,
    /// The client's number.
    number: u64,
}

impl AsRef<CallIdentity> for &NumberedCall {
    fn as_ref(&self) -> &CallIdentity {
        &self.identity
    }
}

impl CallNumbers {
    /// Numbers the calls in a chunk. Returns the edited chunk; `None` if it can stay as it is.
    pub(super) fn number(&mut self, choices: &[TappedChoice<'_>], chunk: &[u8]) -> Option<Vec<u8>> {
        let mut edits = Vec::new();
        for choice in choices {
            let Some(delta) = choice.delta.filter(|delta| delta.get().contains("\"tool_calls\"")) else { continue };
            let calls = members::<MessageDeltaFields<'_>>(Some(delta)).and_then(|delta| delta.calls);
            let calls: Option<BoundedList<&RawValue, MAX_ITEMS>> = members(calls);
            for raw in calls.unwrap_or_default().iter() {
                edits.extend(self.edit(choice.number(), raw, chunk));
            }
        }
        if edits.is_empty() { None } else { Some(apply(&edits, chunk)) }
    }

    /// Numbers a call, or a piece of one. Returns its place and what it becomes; `None` if it can stay as it is.
    fn edit(&mut self, choice: u64, raw: &RawValue, chunk: &[u8]) -> Option<(Range<usize>, String)> {
        let call = members::<ToolCallDelta<'_>>(Some(raw))?;
        let index = call.index.and_then(|index| index.get().parse().ok());
        let number = self.find(choice, index, &call)?;
        if index == Some(number) {
            return None;
        }
        let start = (raw.get().as_ptr() as usize).checked_sub(chunk.as_ptr() as usize)?;
        // Serde does not tell `null` from a missing member, and a second member with this name would count.
        let mut edited = Document::read(raw.get().as_bytes()).ok()?;
        edited.set("index", number.to_string());
        let edited = String::from_utf8(edited.render().into_owned()).ok()?;
        (start < chunk.len()).then(|| (start..start.saturating_add(raw.get().len()), edited))
    }

    /// The number of the call that a piece belongs to, or begins.
    fn find(&mut self, choice: u64, index: Option<u64>, call: &ToolCallDelta<'_>) -> Option<u64> {
        let id = call.id.and_then(text).unwrap_or_default();
        let function = members::<FunctionDelta<'_>>(call.function.or(call.custom)).unwrap_or_default();
        let has_name = function.name.and_then(text).is_some_and(|name| !name.is_empty());
        let known: Vec<&NumberedCall> = self.0.iter().filter(|known| known.choice == choice).collect();
        if let Some(found) = find_call(&known, index, &id, has_name) {
            let number = known.get(found)?.number;
            let mut all = self.0.iter_mut();
            all.find(|known| known.choice == choice && known.number == number)?.identity.unnamed &= !has_name;
            return Some(number);
        }
        if self.0.len() >= MAX_CALLS {
            return None;
        }
        let is_free = |number: &u64| known.iter().all(|known| known.number != *number);
        let next = known.iter().map(|known| known.number.saturating_add(1)).max().unwrap_or(0);
        let number = index.filter(is_free).unwrap_or(next);
        let identity = CallIdentity { index, id: id.into_owned(), unnamed: !has_name };
        self.0.push(NumberedCall { choice, identity, number });
        Some(number)
    }
}

/// Replaces ranges of a chunk, which stand in order.
fn apply(edits: &[(Range<usize>, String)], chunk: &[u8]) -> Vec<u8> {
    let (mut edited, mut from) = (Vec::with_capacity(chunk.len() + 16 * edits.len()), 0);
    for (range, text) in edits {
        edited.extend_from_slice(chunk.get(from..range.start).unwrap_or_default());
        edited.extend_from_slice(text.as_bytes());
        from = range.end;
    }
    edited.extend_from_slice(chunk.get(from..).unwrap_or_default());
    edited
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::wire::TappedResponse;
    use super::*;

    /// The numbers that a client reads in each chunk with these calls, in the choices that `of` gives.
    fn numbers(chunks: &[(u64, &str)]) -> Vec<Vec<u64>> {
        let mut calls = CallNumbers::default();
        let read = |(choice, list): &(u64, &str)| {
            let chunk = format!("{{\"choices\":[{{\"index\":{choice},\"delta\":{{\"tool_calls\":[{list}]}}}}]}}");
            let tapped: TappedResponse<'_> = serde_json::from_str(&chunk).unwrap();
            let edited = calls.number(&tapped.choices.unwrap_or_default(), chunk.as_bytes());
            let value: Value = serde_json::from_slice(edited.as_deref().unwrap_or(chunk.as_bytes())).unwrap();
            let list = value["choices"][0]["delta"]["tool_calls"].as_array().unwrap().clone();
            list.iter().map(|call| call["index"].as_u64().unwrap()).collect()
        };
        chunks.iter().map(read).collect()
    }

    #[test]
    fn pieces_without_a_number_get_that_of_their_call() {
        let (a, b) =
            (r#"{"id":"a","function":{"name":"f","arguments":"{}"}}"#, r#"{"id":"b","function":{"name":"g"}}"#);
        assert_eq!(numbers(&[(0, a), (0, b)]), [[0], [1]]);
        assert_eq!(numbers(&[(0, &format!("{a}, {b}"))]), [[0, 1]]);
        assert_eq!(numbers(&[(0, a), (1, b), (0, b)]), [[0], [0], [1]]);
        let piece = r#"{ "function":{"arguments":"{"}}"#;
        assert_eq!(numbers(&[(0, a), (0, piece), (0, b), (0, piece), (0, r#"{"id":"a"}"#)]), [[0], [0], [1], [1], [0]]);
        assert_eq!(numbers(&[(0, "{}")]), [[0]]);
    }

    #[test]
    fn odd_numbers_are_written_anew_and_the_same_number_is_not_the_same_call() {
        let odd = |index: &str, id: &str| format!(r#"{{"index":{index},"id":"{id}","function":{{"name":"f"}}}}"#);
        for index in ["null", "\"0\"", "0.0", "-1"] {
            assert_eq!(numbers(&[(0, &odd(index, "a")), (0, &odd(index, "b"))]), [[0], [1]], "{index}");
        }
        let more = r#"{"index":0,"function":{"arguments":"{}"}}"#;
        assert_eq!(numbers(&[(0, &odd("0", "a")), (0, &odd("0", "b")), (0, more)]), [[0], [1], [1]]);
        assert_eq!(numbers(&[(0, &odd("2", "a")), (0, &odd("5", "b"))]), [[2], [5]]);
    }

    #[test]
    fn other_chunks_are_not_touched() {
        let chunk = r#"{"choices":[{"delta":{"content":"\"tool_calls\"","tool_calls":null}},{"delta":{}}]}"#;
        let tapped: TappedResponse<'_> = serde_json::from_str(chunk).unwrap();
        assert_eq!(CallNumbers::default().number(&tapped.choices.unwrap(), chunk.as_bytes()), None);
    }
}
