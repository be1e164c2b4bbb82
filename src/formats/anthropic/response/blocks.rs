//! The blocks of a message for a client, in the order that the format requires: one is open at a time, and
//! none is reopened.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::super::wire::json::escaped_text;
use crate::canonical::{Raw, ResponseEvent};

/// A block that is being written.
#[derive(Debug)]
pub(crate) struct PendingBlock {
    pub(crate) kind: BlockKind,
    /// The contents of a JSON string, still escaped: what has not been written of it yet.
    pub(crate) body: String,
}

/// The kinds of blocks.
#[derive(Debug)]
pub(crate) enum BlockKind {
    Text,
    Thinking,
    Call { call: u32, id: String, name: String, json: JsonProgress },
}

impl BlockKind {
    fn continues(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Text, Self::Text) | (Self::Thinking, Self::Thinking))
    }
}

impl PendingBlock {
    /// Whether the block is complete once another one follows.
    pub(crate) fn is_complete(&self) -> bool {
        match &self.kind {
            BlockKind::Text | BlockKind::Thinking => true,
            BlockKind::Call { json, .. } => json.is_complete(),
        }
    }

    /// Whether it can be written piece by piece. Arguments that are not an object cannot.
    pub(crate) fn can_stream(&self) -> bool {
        match &self.kind {
            BlockKind::Text | BlockKind::Thinking => true,
            BlockKind::Call { json, .. } => json.is_object(),
        }
    }

    /// The text not yet written.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        let quoted = format!("\"{}\"", self.body);
        serde_json::from_str::<String>(&quoted).map_or(Cow::Borrowed(self.body.as_str()), Cow::Owned)
    }

    /// The same as a JSON string.
    pub(crate) fn quoted(&self) -> Raw<'static> {
        let quoted = format!("\"{}\"", self.body);
        Raw::parse(&quoted).map_or_else(|| Raw::quoted(&self.body), |raw| raw.owned())
    }
}

/// Blocks that have begun and are not fully written, oldest first. Only the first choice is kept: the format
/// has no place for more.
#[derive(Debug, Default)]
pub(crate) struct BlockQueue(pub(crate) VecDeque<PendingBlock>);

impl BlockQueue {
    /// Adds what an event brings; returns whether it brought anything.
    pub(crate) fn add_event(&mut self, event: &ResponseEvent<'_>) -> bool {
        match event {
            ResponseEvent::Text { choice: 0, text } if !escaped_text(text).is_empty() => {
                self.add_text(BlockKind::Text, text)
            }
            ResponseEvent::Thinking { choice: 0, text } if !escaped_text(text).is_empty() => {
                self.add_text(BlockKind::Thinking, text)
            }
            ResponseEvent::Call { choice: 0, call, id, name } => {
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                let kind = BlockKind::Call { call: *call, id, name, json: JsonProgress::default() };
                self.0.push_back(PendingBlock { kind, body: String::new() });
            }
            ResponseEvent::Arguments { choice: 0, call, json } => self.add_arguments(*call, json),
            _ => return false,
        }
        true
    }

    fn add_text(&mut self, kind: BlockKind, text: &Raw<'_>) {
        match self.0.back_mut() {
            Some(block) if block.kind.continues(&kind) => block.body.push_str(escaped_text(text)),
            _ => self.0.push_back(PendingBlock { kind, body: escaped_text(text).to_owned() }),
        }
    }

    fn add_arguments(&mut self, number: u32, piece: &Raw<'_>) {
        for block in &mut self.0 {
            if let BlockKind::Call { call, json, .. } = &mut block.kind
                && *call == number
            {
                json.push(&piece.text().unwrap_or_default());
                block.body.push_str(escaped_text(piece));
                return;
            }
        }
    }
}

/// Tracks how far a piece of JSON is complete.
#[derive(Debug, Default)]
pub(crate) struct JsonProgress {
    first: Option<char>,
    depth: u32,
    in_string: bool,
    escaped: bool,
    closed: bool,
}

impl JsonProgress {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if !self.in_string && c.is_ascii_whitespace() {
                continue;
            }
            self.first.get_or_insert(c);
            self.advance(c);
        }
    }

    fn advance(&mut self, c: char) {
        if self.in_string {
            self.in_string = self.escaped || c != '"';
            self.escaped = !self.escaped && c == '\\';
            return;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth = self.depth.saturating_add(1),
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.closed = self.depth == 0;
            }
            _ => {}
        }
    }

    fn is_object(&self) -> bool {
        self.first == Some('{')
    }

    fn is_complete(&self) -> bool {
        self.closed && self.is_object()
    }
}
