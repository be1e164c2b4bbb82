//! A candidate for a client. Its calls are kept until they are complete: each is written once, and whole.

use std::borrow::Cow;

use super::super::wire::written::{WrittenCall, WrittenCandidate, WrittenContent, WrittenPart};
use crate::canonical::{FinishReason, Raw};

/// The role of a model's content.
const ROLE: &str = "model";

/// A call whose arguments are still coming.
#[derive(Debug)]
pub(crate) struct PendingCall {
    number: u32,
    id: String,
    name: String,
    /// The contents of a JSON string, still escaped.
    arguments: String,
    /// The length of the arguments that were found to be incomplete.
    tried: usize,
    /// The sealed state of the reasoning that led to it.
    signature: Option<String>,
}

/// The state of a candidate.
#[derive(Debug, Default)]
pub(crate) struct Candidate {
    pub(crate) index: u32,
    pub(crate) calls: Vec<PendingCall>,
    pub(crate) finish: Option<FinishReason>,
    /// The tool that was called with arguments which are no object.
    malformed: Option<String>,
}

/// The contents of a JSON string, still escaped.
pub(crate) fn escaped<'r>(text: &'r Raw<'_>) -> &'r str {
    text.get().strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default()
}

/// A JSON string of its contents.
pub(crate) fn quoted(escaped: &str) -> Raw<'static> {
    Raw::from_string(format!("\"{escaped}\"")).unwrap_or_else(|| Raw::quoted(escaped))
}

impl PendingCall {
    pub(crate) fn new(number: u32, id: &str, name: &str) -> Self {
        Self { number, id: id.to_owned(), name: name.to_owned(), arguments: String::new(), tried: 0, signature: None }
    }

    /// The arguments as an object; `None` if they are none.
    fn object(&self) -> Option<Raw<'static>> {
        let quoted = quoted(&self.arguments);
        let text = quoted.text().unwrap_or(Cow::Borrowed(""));
        let text = text.trim();
        let text = if text.is_empty() { "{}" } else { text };
        Raw::from_string(text.to_owned()).filter(|_| text.starts_with('{'))
    }

    /// Whether the arguments are complete before the provider says so.
    fn is_whole(&mut self) -> bool {
        let length = self.arguments.len();
        // Arguments that are looked at again would cost the square of their length.
        length > std::mem::replace(&mut self.tried, length) && self.object().is_some()
    }
}

impl Candidate {
    pub(crate) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    pub(crate) fn add_arguments(&mut self, number: u32, piece: &Raw<'_>) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.number == number) {
            call.arguments.push_str(escaped(piece));
        }
    }

    /// Adds the sealed state of a call. Returns whether the call is still to be written.
    pub(crate) fn sign(&mut self, id: &str, signature: &str) -> bool {
        let call = self.calls.iter_mut().find(|call| call.id == id);
        call.map(|call| call.signature = Some(signature.to_owned())).is_some()
    }

    /// Takes the first calls that are complete, before something else is written.
    pub(crate) fn take_whole(&mut self) -> Vec<PendingCall> {
        let whole = self.calls.iter_mut().map(PendingCall::is_whole).take_while(|is_whole| *is_whole).count();
        self.calls.drain(..whole).collect()
    }

    /// The part of a call. One without an object of arguments is none: a client would execute it.
    pub(crate) fn part<'c>(&mut self, call: &'c PendingCall) -> Option<WrittenPart<'c>> {
        let Some(args) = call.object() else {
            self.malformed.get_or_insert_with(|| call.name.clone());
            return None;
        };
        let function_call = WrittenCall { id: &call.id, name: &call.name, args };
        Some(WrittenPart::Call { function_call, thought_signature: call.signature.as_deref() })
    }

    /// The candidate with these parts.
    pub(crate) fn written<'p>(&self, parts: Vec<WrittenPart<'p>>) -> WrittenCandidate<'p> {
        let content = WrittenContent { parts, role: ROLE };
        WrittenCandidate {
            content,
            finish_reason: None,
            finish_message: None,
            index: self.index,
            logprobs_result: None,
        }
    }

    /// The candidate with its last parts, and why it ends. There is no reason of its own for calls.
    pub(crate) fn ended<'p>(&self, parts: Vec<WrittenPart<'p>>) -> WrittenCandidate<'p> {
        let (reason, message) = match (self.finish, &self.malformed) {
            (Some(FinishReason::Length | FinishReason::Context | FinishReason::Paused), _) => ("MAX_TOKENS", None),
            (Some(FinishReason::Filtered), _) => ("SAFETY", None),
            (_, Some(name)) => {
                let message = format!("The model called {name:?} with arguments that are not an object.");
                ("MALFORMED_FUNCTION_CALL", Some(message))
            }
            (Some(FinishReason::Stop | FinishReason::Calls) | None, None) => ("STOP", None),
        };
        WrittenCandidate { finish_reason: Some(reason), finish_message: message, ..self.written(parts) }
    }
}
