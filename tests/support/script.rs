//! Scripted responses of a provider, and bodies that are read piece by piece.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use llm_bridge::gateway::platform::{Broken, CallError, Piece, ProviderResponse};

/// A response of the provider, piece by piece.
#[derive(Clone, Default)]
pub struct Script {
    pub status: u16,
    pub headers: Vec<(&'static str, &'static str)>,
    pub pieces: Vec<Result<&'static str, CallError>>,
}

impl Script {
    pub fn json(status: u16, body: &'static str) -> Self {
        Self { status, headers: vec![("content-type", "application/json")], pieces: vec![Ok(body)] }
    }

    pub fn stream(pieces: Vec<Result<&'static str, CallError>>) -> Self {
        Self { status: 200, headers: vec![("content-type", "text/event-stream")], pieces }
    }
}

/// A provider's response, and a body that is read.
pub struct ScriptedResponse {
    script: Script,
    pub(super) pieces: VecDeque<Result<&'static str, CallError>>,
    /// The wait in which a scripted silence began, in milliseconds.
    pub(super) silence: Option<u64>,
    /// The bytes that a read waits for.
    pub(super) least: usize,
}

impl From<Script> for ScriptedResponse {
    fn from(script: Script) -> Self {
        let pieces = script.pieces.iter().cloned().collect();
        Self { script, pieces, silence: None, least: 1 }
    }
}

impl ProviderResponse for ScriptedResponse {
    fn status(&self) -> u16 {
        self.script.status
    }

    fn header(&self, name: &str) -> Option<String> {
        self.script.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn length(&self) -> Option<usize> {
        None
    }
}

/// A piece of a body.
pub struct Bytes(Vec<u8>);

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Piece for Bytes {
    fn length(&self) -> usize {
        self.0.len()
    }

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.0);
    }
}

/// A copy of a stream, which is made at once.
pub struct ScriptedPipe {
    /// How the stream ended; `None` if it is silent.
    ended: Option<Result<(), Broken>>,
    is_stopped: Cell<bool>,
}

impl ScriptedPipe {
    pub(super) fn new(ended: Option<Result<(), Broken>>) -> Self {
        Self { ended, is_stopped: Cell::default() }
    }

    pub(super) fn stop(&self) {
        self.is_stopped.set(true);
    }
}

impl Future for ScriptedPipe {
    type Output = Result<(), Broken>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.ended {
            _ if self.is_stopped.get() => Poll::Ready(Ok(())),
            Some(ended) => Poll::Ready(ended),
            None => Poll::Pending,
        }
    }
}
