//! The blocks of an answer for a client, in the strict order that its format demands: one is open at a time, and none is opened again.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::super::wire::json::inside;
use crate::canonical::{Raw, ResponseEvent};

/// A block that is being told.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// The inside of a JSON string: what has not been told of it yet.
    pub(crate) body: String,
}

/// What a block holds.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Thinking,
    Call { call: u32, id: String, name: String, json: Json },
}

impl Kind {
    fn is_like(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Text, Self::Text) | (Self::Thinking, Self::Thinking))
    }
}

impl Block {
    /// Whether nothing more belongs to it, as soon as another follows.
    pub(crate) fn is_done(&self) -> bool {
        match &self.kind {
            Kind::Text | Kind::Thinking => true,
            Kind::Call { json, .. } => json.is_whole(),
        }
    }

    /// Whether it can be told piece by piece: arguments that are no object are not.
    pub(crate) fn is_plain(&self) -> bool {
        match &self.kind {
            Kind::Text | Kind::Thinking => true,
            Kind::Call { json, .. } => json.is_object(),
        }
    }

    /// Its text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        let quoted = format!("\"{}\"", self.body);
        serde_json::from_str::<String>(&quoted).map_or(Cow::Borrowed(self.body.as_str()), Cow::Owned)
    }

    /// Its text as a JSON string.
    pub(crate) fn quoted(&self) -> Raw<'static> {
        let quoted = format!("\"{}\"", self.body);
        Raw::parse(&quoted).map_or_else(|| Raw::quoted(&self.body), |raw| raw.owned())
    }
}

/// Blocks that have begun and are not fully told, oldest first. The first answer is the only one: the format has no place for more.
#[derive(Debug, Default)]
pub(crate) struct Blocks(pub(crate) VecDeque<Block>);

impl Blocks {
    /// Takes what a step adds to the blocks; whether it added anything.
    pub(crate) fn take(&mut self, event: &ResponseEvent<'_>) -> bool {
        match event {
            ResponseEvent::Text { choice: 0, text } if !inside(text).is_empty() => self.add(Kind::Text, text),
            ResponseEvent::Thinking { choice: 0, text } if !inside(text).is_empty() => self.add(Kind::Thinking, text),
            ResponseEvent::Call { choice: 0, call, id, name } => {
                let (id, name) = (id.clone().into_owned(), name.clone().into_owned());
                let kind = Kind::Call { call: *call, id, name, json: Json::default() };
                self.0.push_back(Block { kind, body: String::new() });
            }
            ResponseEvent::Arguments { choice: 0, call, json } => self.argue(*call, json),
            _ => return false,
        }
        true
    }

    fn add(&mut self, kind: Kind, text: &Raw<'_>) {
        match self.0.back_mut() {
            Some(block) if block.kind.is_like(&kind) => block.body.push_str(inside(text)),
            _ => self.0.push_back(Block { kind, body: inside(text).to_owned() }),
        }
    }

    fn argue(&mut self, number: u32, piece: &Raw<'_>) {
        for block in &mut self.0 {
            if let Kind::Call { call, json, .. } = &mut block.kind
                && *call == number
            {
                json.push(&piece.text().unwrap_or_default());
                block.body.push_str(inside(piece));
                return;
            }
        }
    }
}

/// How far a piece of JSON has come.
#[derive(Debug, Default)]
pub(crate) struct Json {
    first: Option<char>,
    depth: u32,
    in_text: bool,
    escaped: bool,
    whole: bool,
}

impl Json {
    fn push(&mut self, text: &str) {
        for letter in text.chars() {
            if !self.in_text && letter.is_ascii_whitespace() {
                continue;
            }
            self.first.get_or_insert(letter);
            self.step(letter);
        }
    }

    fn step(&mut self, letter: char) {
        if self.in_text {
            self.in_text = self.escaped || letter != '"';
            self.escaped = !self.escaped && letter == '\\';
            return;
        }
        match letter {
            '"' => self.in_text = true,
            '{' | '[' => self.depth = self.depth.saturating_add(1),
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.whole = self.depth == 0;
            }
            _ => {}
        }
    }

    fn is_object(&self) -> bool {
        self.first == Some('{')
    }

    fn is_whole(&self) -> bool {
        self.whole && self.is_object()
    }
}
