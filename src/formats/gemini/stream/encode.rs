//! Writes a streamed response for a client: server-sent events, or one array of chunks.
//! Source: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.

use super::super::errors;
use super::super::response::{PendingCall, ResponseState, restore_logprobs};
use super::super::wire::written::{WrittenCandidate, WrittenPart, WrittenResponse};
use super::array::Frames;
use crate::canonical::{Raw, ResponseEvent};
use crate::error::Error;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::StreamEncoder;
use crate::formats::tap::PassthroughEnd;

/// Writes a streamed response.
pub(crate) struct Encoder {
    state: ResponseState,
    frames: Frames,
    is_over: bool,
}

impl Encoder {
    pub(crate) fn new(head: ResponseHead) -> Self {
        Self { state: ResponseState::new(head), frames: Frames::Events, is_over: false }
    }

    /// Writes one array.
    pub(crate) fn array(head: ResponseHead) -> Self {
        Self { frames: Frames::Array { is_open: false }, ..Self::new(head) }
    }

    fn text(&mut self, choice: u32, text: &Raw<'_>, thought: bool, out: &mut Vec<u8>) {
        if text.is_blank() || thought && !self.state.shows_thoughts {
            return;
        }
        let whole = self.state.candidate(choice).take_whole();
        self.calls(choice, &whole, out);
        let parts = vec![WrittenPart::Text { text: text.clone(), thought }];
        let candidate = self.state.candidate(choice).written(parts);
        write_chunk(&self.state.chunk(candidate), &mut self.frames, out);
    }

    /// Writes calls that are complete.
    fn calls(&mut self, choice: u32, calls: &[PendingCall], out: &mut Vec<u8>) {
        let candidate = self.state.candidate(choice);
        let parts: Vec<_> = calls.iter().filter_map(|call| candidate.part(call)).collect();
        if !parts.is_empty() {
            let candidate = candidate.written(parts);
            write_chunk(&self.state.chunk(candidate), &mut self.frames, out);
        }
    }

    fn logprobs(&mut self, choice: u32, logprobs: &Raw<'_>, out: &mut Vec<u8>) {
        if let Some(logprobs) = restore_logprobs(logprobs) {
            let candidate = self.state.candidate(choice).written(Vec::new());
            let candidate = WrittenCandidate { logprobs_result: Some(logprobs), ..candidate };
            write_chunk(&self.state.chunk(candidate), &mut self.frames, out);
        }
    }

    /// Signs a call. If it has been written, the signature follows beside an empty text.
    fn sign(&mut self, id: &str, memory: &Raw<'_>, out: &mut Vec<u8>) {
        if let Some(signature) = self.state.sign(id, memory) {
            let parts = vec![WrittenPart::Signature { text: "", thought_signature: &signature }];
            let candidate = self.state.candidate(0).written(parts);
            write_chunk(&self.state.chunk(candidate), &mut self.frames, out);
        }
    }

    fn fail(&mut self, failure: &Error, out: &mut Vec<u8>) {
        self.is_over = true;
        self.frames.fail(failure, out);
        self.frames.end(out);
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match event {
            ResponseEvent::Failed(failure) => self.fail(failure, out),
            ResponseEvent::Text { choice, text } => self.text(*choice, text, false, out),
            ResponseEvent::Thinking { choice, text } => self.text(*choice, text, true, out),
            ResponseEvent::Call { choice, call, id, name } => {
                self.state.candidate(*choice).calls.push(PendingCall::new(*call, id, name));
            }
            ResponseEvent::Arguments { choice, call, json } => self.state.candidate(*choice).add_arguments(*call, json),
            ResponseEvent::Logprobs { choice, logprobs } => self.logprobs(*choice, logprobs, out),
            ResponseEvent::Finish { choice, .. } => {
                self.state.update(event);
                let calls = std::mem::take(&mut self.state.candidate(*choice).calls);
                self.calls(*choice, &calls, out);
            }
            ResponseEvent::ReasoningState { id, memory } => self.sign(id, memory, out),
            ResponseEvent::Start { .. } | ResponseEvent::Usage(_) | ResponseEvent::Tier(_) | ResponseEvent::End => {
                self.state.update(event)
            }
        }
    }

    /// The last chunk has the finish reasons and the usage, which came one after the other.
    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        if let Some(failure) = failure {
            return self.fail(failure, out);
        }
        self.is_over = true;
        let mut candidates = self.state.take_candidates();
        let calls: Vec<Vec<PendingCall>> =
            candidates.iter_mut().map(|candidate| std::mem::take(&mut candidate.calls)).collect();
        let ended = candidates.iter_mut().zip(&calls).map(|(candidate, calls)| {
            let parts = calls.iter().filter_map(|call| candidate.part(call)).collect();
            candidate.ended(parts)
        });
        let ended = ended.collect();
        write_chunk(&self.state.last(ended), &mut self.frames, out);
        self.frames.end(out);
    }
}

fn write_chunk(chunk: &WrittenResponse<'_>, frames: &mut Frames, out: &mut Vec<u8>) {
    frames.write(&serde_json::to_vec(chunk).unwrap_or_default(), out);
}

/// Ends a stream of the provider's own bytes. There is no end marker: the finish reasons end a stream.
pub(in crate::formats::gemini) fn end_passthrough(end: PassthroughEnd<'_>, out: &mut Vec<u8>) {
    if let PassthroughEnd::Incomplete(failure) = end {
        errors::write_event(failure, out);
    }
}
