//! Writes a whole response for a client.
//! Source: <https://ai.google.dev/api/generate-content#generatecontentresponse>.

use super::super::wire::written::{WrittenCandidate, WrittenPart};
use super::candidate::{Candidate, PendingCall, escaped, quoted};
use super::logprobs;
use super::state::ResponseState;
use crate::canonical::{Raw, ResponseEvent};
use crate::formats::client_format::ResponseHead;

/// A part that is being put together.
enum Piece {
    Text { text: String, thought: bool },
    Call,
}

/// A candidate's parts, in order.
#[derive(Default)]
struct Parts {
    choice: u32,
    pieces: Vec<Piece>,
    logprobs: Option<Raw<'static>>,
}

/// Writes a whole response.
pub(crate) fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut state, mut all) = (ResponseState::new(head.clone()), Vec::<Parts>::new());
    for event in events {
        state.update(event);
        add(&mut state, &mut all, event);
    }
    let mut candidates = state.take_candidates();
    let mut calls: Vec<Vec<PendingCall>> =
        candidates.iter_mut().map(|candidate| std::mem::take(&mut candidate.calls)).collect();
    let written = candidates.iter_mut().zip(&mut calls).map(|(candidate, calls)| {
        let parts = all.iter().find(|parts| parts.choice == candidate.index);
        written(candidate, calls, parts)
    });
    let written = written.collect();
    serde_json::to_vec(&state.last(written)).unwrap_or_default()
}

fn add(state: &mut ResponseState, all: &mut Vec<Parts>, event: &ResponseEvent<'_>) {
    match event {
        ResponseEvent::Text { choice, text } => add_text(parts_of(all, *choice), text, false),
        ResponseEvent::Thinking { text, .. } if !state.shows_thoughts || text.is_blank() => return,
        ResponseEvent::Thinking { choice, text } => add_text(parts_of(all, *choice), text, true),
        ResponseEvent::Call { choice, call, id, name } => {
            state.candidate(*choice).calls.push(PendingCall::new(*call, id, name));
            parts_of(all, *choice).pieces.push(Piece::Call);
        }
        ResponseEvent::Arguments { choice, call, json } => state.candidate(*choice).add_arguments(*call, json),
        ResponseEvent::ReasoningState { id, memory } => {
            state.sign(id, memory);
        }
        ResponseEvent::Logprobs { choice, logprobs } => {
            let parts = parts_of(all, *choice);
            parts.logprobs = logprobs::join(parts.logprobs.take(), logprobs);
        }
        _ => return,
    }
    if let ResponseEvent::Text { choice, .. } | ResponseEvent::Thinking { choice, .. } = event {
        state.candidate(*choice);
    }
}

fn parts_of(all: &mut Vec<Parts>, choice: u32) -> &mut Parts {
    let at = all.iter().position(|parts| parts.choice == choice).unwrap_or_else(|| {
        all.push(Parts { choice, ..Parts::default() });
        all.len() - 1
    });
    #[expect(clippy::indexing_slicing, reason = "found or added above")]
    &mut all[at]
}

fn add_text(parts: &mut Parts, piece: &Raw<'_>, is_thought: bool) {
    let piece = escaped(piece);
    match parts.pieces.last_mut() {
        Some(Piece::Text { text, thought }) if *thought == is_thought => text.push_str(piece),
        _ if piece.is_empty() => {}
        _ => parts.pieces.push(Piece::Text { text: piece.to_owned(), thought: is_thought }),
    }
}

fn written<'c>(candidate: &mut Candidate, calls: &'c [PendingCall], parts: Option<&Parts>) -> WrittenCandidate<'c> {
    let (mut written, mut calls) = (Vec::new(), calls.iter());
    for piece in parts.map(|parts| parts.pieces.as_slice()).unwrap_or_default() {
        match piece {
            Piece::Text { text, thought } => {
                written.push(WrittenPart::Text { text: quoted(text), thought: *thought });
            }
            // Calls are kept in the order in which they began.
            Piece::Call => written.extend(calls.next().and_then(|call| candidate.part(call))),
        }
    }
    let logprobs_result = parts.and_then(|parts| parts.logprobs.as_ref()).and_then(logprobs::restore);
    WrittenCandidate { logprobs_result, ..candidate.ended(written) }
}
