//! The items of a response, in the order that clients rely on: one is open at a time, and none is reopened.

use std::collections::VecDeque;

use super::super::request::{CallKind, NamedTool};
use super::super::wire::fields::escaped_text;
use super::item::{Item, ItemKind, JsonProgress};
use crate::canonical::{Raw, ResponseEvent};

/// Items that have begun and are not fully written, oldest first. Only the first choice is kept: the format has
/// no place for more.
#[derive(Debug)]
pub(crate) struct ItemQueue {
    pub(crate) items: VecDeque<Item>,
    /// The tools that come back otherwise than as functions under the name that was sent.
    tools: Vec<NamedTool>,
    /// Random bits for ids, and how many were made.
    random: u128,
    made: u32,
}

impl ItemQueue {
    pub(crate) fn new(random: u128, tools: Vec<NamedTool>) -> Self {
        Self { items: VecDeque::new(), tools, random, made: 0 }
    }

    /// Adds what an event brings. Returns whether something can be written: the reasoning state of a call
    /// follows the call, and belongs before it.
    pub(crate) fn add_event(&mut self, event: &ResponseEvent<'_>) -> bool {
        match event {
            ResponseEvent::Text { choice: 0, text } if !escaped_text(text).is_empty() => {
                let message = |item: &Item| matches!(item.kind, ItemKind::Message { .. });
                self.append(text, message, || ItemKind::Message { logprobs: String::new() });
                true
            }
            ResponseEvent::Thinking { choice: 0, text } if !escaped_text(text).is_empty() => {
                // After its state, reasoning is complete.
                let is_open = |item: &Item| matches!(&item.kind, ItemKind::Reasoning { sealed } if sealed.is_empty());
                self.append(text, is_open, || ItemKind::Reasoning { sealed: Vec::new() });
                true
            }
            ResponseEvent::Call { choice: 0, call, id, name } => {
                let tool = self.tool(name);
                let json = JsonProgress::default();
                let item = self.item(ItemKind::Call { call: *call, call_id: id.clone().into_owned(), tool, json });
                self.items.push_back(item);
                false
            }
            ResponseEvent::Arguments { choice: 0, call, json } => {
                self.add_arguments(*call, json);
                true
            }
            ResponseEvent::ReasoningState { id, memory } => {
                self.add_state(id, memory);
                false
            }
            ResponseEvent::Logprobs { choice: 0, logprobs } => {
                self.add_logprobs(logprobs);
                false
            }
            _ => false,
        }
    }

    fn item(&mut self, kind: ItemKind) -> Item {
        let id = format!("{}_{:032x}{:04x}", kind.prefix(), self.random, self.made);
        self.made = self.made.saturating_add(1);
        Item { id, kind, body: String::new(), written: 0 }
    }

    fn tool(&self, sent: &str) -> NamedTool {
        let known = self.tools.iter().find(|tool| tool.sent == sent).cloned();
        let plain =
            || NamedTool { sent: sent.to_owned(), kind: CallKind::Function, name: sent.to_owned(), namespace: None };
        known.unwrap_or_else(plain)
    }

    fn append(&mut self, text: &Raw<'_>, continues: impl Fn(&Item) -> bool, begin: impl FnOnce() -> ItemKind) {
        if !self.items.back().is_some_and(continues) {
            let item = self.item(begin());
            self.items.push_back(item);
        }
        if let Some(item) = self.items.back_mut() {
            item.body.push_str(escaped_text(text));
        }
    }

    fn add_arguments(&mut self, number: u32, piece: &Raw<'_>) {
        for item in &mut self.items {
            if let ItemKind::Call { call, json, .. } = &mut item.kind
                && *call == number
            {
                json.push(&piece.text().unwrap_or_default());
                item.body.push_str(escaped_text(piece));
                return;
            }
        }
    }

    /// Adds the sealed state of a call to the reasoning before it, or as reasoning without a summary.
    fn add_state(&mut self, id: &str, memory: &Raw<'_>) {
        let Some(sealed) = memory.text() else { return };
        let state = (id.to_owned(), sealed.into_owned());
        let is_its_call = |item: &Item| matches!(&item.kind, ItemKind::Call { call_id, .. } if call_id == id);
        let place = self.items.iter().rposition(is_its_call).unwrap_or(self.items.len());
        let before = place.checked_sub(1).and_then(|before| self.items.get_mut(before));
        if let Some(Item { kind: ItemKind::Reasoning { sealed }, .. }) = before {
            sealed.push(state);
            return;
        }
        let item = self.item(ItemKind::Reasoning { sealed: vec![state] });
        // The call at this place may have been opened, if its state came late.
        let is_open = place == 0 && self.items.front().is_some_and(|call| call.written > 0);
        self.items.insert(if is_open { self.items.len() } else { place }, item);
    }

    fn add_logprobs(&mut self, logprobs: &Raw<'_>) {
        #[derive(serde::Deserialize)]
        struct Listed<'a> {
            #[serde(borrow)]
            content: Option<Raw<'a>>,
        }
        let listed: Option<Listed<'_>> = serde_json::from_str(logprobs.get()).ok();
        let Some(list) = listed.and_then(|listed| listed.content) else { return };
        let inside = list.get().trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
        let message = self.items.iter_mut().rev().find_map(|item| match &mut item.kind {
            ItemKind::Message { logprobs } => Some(logprobs),
            _ => None,
        });
        if let (Some(kept), false) = (message, inside.trim().is_empty()) {
            if !kept.is_empty() {
                kept.push(',');
            }
            kept.push_str(inside);
        }
    }
}
