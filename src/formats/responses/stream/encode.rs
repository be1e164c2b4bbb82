//! Writes a streamed response for a client.
//! Source: the OpenAI API reference, "Streaming events"; the order and the fields that the official SDKs, Vercel's
//! and Codex demand.

use super::super::errors::failure_code;
use super::super::request::CallKind;
use super::super::response::item::{Item, ItemKind};
use super::super::response::queue::ItemQueue;
use super::super::response::state::ResponseState;
use super::super::wire::response::Status;
use crate::canonical::ResponseEvent;
use crate::error::Error;
use crate::formats::client_format::ResponseHead;
use crate::formats::stream::{StreamEncoder, recovered_member};
use crate::wire::json::quote;

/// Writes a streamed response.
pub(crate) struct Encoder {
    state: ResponseState,
    queue: ItemQueue,
    events: Events,
    has_started: bool,
    /// Whether the first item of the queue has been opened.
    is_open: bool,
    /// How the response went on that an attempt had left unfinished.
    recovered: Option<&'static str>,
    is_over: bool,
}

/// Writes events with their numbers.
#[derive(Default)]
struct Events {
    next: u64,
}

impl Events {
    /// Writes an event: `members` are its other members, as JSON.
    fn write(&mut self, kind: &str, members: &str, out: &mut Vec<u8>) {
        let pieces = ["event: ", kind, "\ndata: {\"type\":\"", kind, "\",\"sequence_number\":"];
        pieces.iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
        out.extend_from_slice(self.next.to_string().as_bytes());
        [",", members, "}\n\n"].iter().for_each(|piece| out.extend_from_slice(piece.as_bytes()));
        self.next = self.next.saturating_add(1);
    }
}

impl Encoder {
    pub(crate) fn new(head: ResponseHead) -> Self {
        let random = head.random;
        let (state, tools) = ResponseState::new(head);
        Self {
            state,
            queue: ItemQueue::new(random, tools),
            events: Events::default(),
            has_started: false,
            is_open: false,
            recovered: None,
            is_over: false,
        }
    }

    /// The whole response, once all events have come.
    pub(crate) fn into_response(mut self) -> String {
        let status = self.state.status(None);
        self.close(status, &mut Vec::new());
        self.state.write(status)
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_started, true) {
            let response = format!("\"response\":{}", self.state.write(Status::InProgress));
            self.events.write("response.created", &response, out);
            self.events.write("response.in_progress", &response, out);
        }
    }

    /// Writes what can be written: of the first item everything, of the others nothing until it is closed.
    fn write_items(&mut self, out: &mut Vec<u8>) {
        while let Some(item) = self.queue.items.front_mut() {
            let index = self.state.output.len();
            if item.comes_whole() && !item.is_complete() {
                return;
            }
            if !std::mem::replace(&mut self.is_open, true) {
                open(item, index, &mut self.events, out);
            }
            write_piece(item, index, &mut self.events, out);
            if self.queue.items.len() <= 1 || !self.queue.items.front().is_some_and(Item::is_complete) {
                return;
            }
            self.close_first("completed", out);
        }
    }

    /// Closes the first item, which is open.
    fn close_first(&mut self, status: &str, out: &mut Vec<u8>) {
        let Some(item) = self.queue.items.pop_front() else { return };
        let index = self.state.output.len();
        close(&item, index, status, &mut self.events, out);
        self.state.output.push(item.write(status));
        self.is_open = false;
    }

    /// Ends all items. Clients run a call once it is done, so half of one is never called done.
    fn close(&mut self, status: Status<'_>, out: &mut Vec<u8>) {
        loop {
            let (index, is_last) = (self.state.output.len(), self.queue.items.len() == 1);
            let Some(item) = self.queue.items.front_mut() else { return };
            let (is_half, is_call) = match &item.kind {
                ItemKind::Call { json, .. } => (!json.is_complete(), true),
                ItemKind::Message { .. } | ItemKind::Reasoning { .. } => (is_last, false),
            };
            let stays_half = match status {
                Status::Failed(_) => is_half,
                Status::Incomplete(_) => is_half && is_call,
                Status::InProgress | Status::Completed => false,
            };
            if stays_half {
                let opened = std::mem::replace(&mut self.is_open, false);
                if let Some(item) = self.queue.items.pop_front().filter(|_| opened) {
                    self.state.output.push(item.write("incomplete"));
                }
                continue;
            }
            if !std::mem::replace(&mut self.is_open, true) {
                open(item, index, &mut self.events, out);
            }
            write_piece(item, index, &mut self.events, out);
            self.close_first(if is_half && !is_call { status.word() } else { "completed" }, out);
        }
    }

    /// Writes the last event. The error comes first, in the form that SDKs raise.
    fn end(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.start(out);
        let status = self.state.status(failure);
        self.close(status, out);
        if let Some(error) = failure {
            let (code, message) = (quote(failure_code(error)), quote(error.message()));
            let param = error.param().map_or_else(|| "null".to_owned(), quote);
            let kind = quote(error.kind());
            let members = format!(
                "\"code\":{code},\"message\":{message},\"param\":{param},\
                 \"error\":{{\"type\":{kind},\"code\":{code},\"message\":{message},\"param\":{param}}}"
            );
            self.events.write("error", &members, out);
        }
        let recovered = recovered_member(self.recovered);
        let response = format!("\"response\":{}{recovered}", self.state.write(status));
        self.events.write(&format!("response.{}", status.word()), &response, out);
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: &ResponseEvent<'_>, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        self.state.update(event);
        if let ResponseEvent::Failed(error) = event {
            return self.end(Some(error), out);
        }
        if self.queue.add_event(event) {
            self.start(out);
            self.write_items(out);
        }
    }

    fn finish(&mut self, failure: Option<&Error>, out: &mut Vec<u8>) {
        self.end(failure, out);
    }

    fn keep_alive(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if self.has_started && !self.is_over {
            let response = format!("\"response\":{}", self.state.write(Status::InProgress));
            self.events.write("response.in_progress", &response, &mut out);
        } else if !self.is_over {
            self.start(&mut out);
        }
        Some(out)
    }

    fn recovered(&mut self, how: &'static str) {
        self.recovered = Some(how);
    }

    fn completed_at(&mut self, seconds: u64) {
        self.state.completed = Some(seconds);
    }
}

/// The members that say which item an event belongs to.
fn place(item: &Item, index: usize) -> String {
    format!("\"item_id\":\"{}\",\"output_index\":{index}", item.id)
}

fn open(item: &Item, index: usize, events: &mut Events, out: &mut Vec<u8>) {
    let begun = item.write("in_progress");
    events.write("response.output_item.added", &format!("\"output_index\":{index},\"item\":{begun}"), out);
    let place = place(item, index);
    match &item.kind {
        ItemKind::Message { .. } => {
            let part = r#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#;
            let members = format!("{place},\"content_index\":0,\"part\":{part}");
            events.write("response.content_part.added", &members, out);
        }
        ItemKind::Reasoning { .. } if !item.body.is_empty() => {
            let part = r#"{"type":"summary_text","text":""}"#;
            let members = format!("{place},\"summary_index\":0,\"part\":{part}");
            events.write("response.reasoning_summary_part.added", &members, out);
        }
        ItemKind::Reasoning { .. } | ItemKind::Call { .. } => {}
    }
}

/// Writes what has come of an open item since the last time.
fn write_piece(item: &mut Item, index: usize, events: &mut Events, out: &mut Vec<u8>) {
    let place = place(item, index);
    if let ItemKind::Call { tool, json, .. } = &mut item.kind
        && tool.kind == CallKind::Custom
    {
        let piece = json.input.take();
        if !piece.is_empty() {
            events.write("response.custom_tool_call_input.delta", &format!("{place},\"delta\":\"{piece}\""), out);
            item.written = item.written.saturating_add(piece.len());
        }
        return;
    }
    let piece = item.body.get(item.written..).unwrap_or_default();
    if piece.is_empty() || !item.can_stream() {
        return;
    }
    let (kind, members) = match &item.kind {
        ItemKind::Message { .. } => {
            ("response.output_text.delta", format!("{place},\"content_index\":0,\"delta\":\"{piece}\",\"logprobs\":[]"))
        }
        ItemKind::Reasoning { .. } => {
            ("response.reasoning_summary_text.delta", format!("{place},\"summary_index\":0,\"delta\":\"{piece}\""))
        }
        ItemKind::Call { .. } => ("response.function_call_arguments.delta", format!("{place},\"delta\":\"{piece}\"")),
    };
    events.write(kind, &members, out);
    item.written = item.body.len();
}

fn close(item: &Item, index: usize, status: &str, events: &mut Events, out: &mut Vec<u8>) {
    let place = place(item, index);
    match &item.kind {
        ItemKind::Message { logprobs } => {
            let members = format!("{place},\"content_index\":0,\"text\":\"{}\",\"logprobs\":[{logprobs}]", item.body);
            events.write("response.output_text.done", &members, out);
            let members = format!("{place},\"content_index\":0,\"part\":{}", item.part());
            events.write("response.content_part.done", &members, out);
        }
        ItemKind::Reasoning { .. } if !item.body.is_empty() => {
            let members = format!("{place},\"summary_index\":0,\"text\":\"{}\"", item.body);
            events.write("response.reasoning_summary_text.done", &members, out);
            let members = format!("{place},\"summary_index\":0,\"part\":{}", item.part());
            events.write("response.reasoning_summary_part.done", &members, out);
        }
        ItemKind::Reasoning { .. } => {}
        ItemKind::Call { tool, .. } => match tool.kind {
            CallKind::Function => {
                let arguments = item.quoted_arguments(status);
                if item.written == 0 {
                    let members = format!("{place},\"delta\":{arguments}");
                    events.write("response.function_call_arguments.delta", &members, out);
                }
                let members = format!("{place},\"name\":{},\"arguments\":{arguments}", quote(&tool.name));
                events.write("response.function_call_arguments.done", &members, out);
            }
            CallKind::Custom => {
                let input = item.input();
                if item.written == 0 {
                    let members = format!("{place},\"delta\":{}", input.get());
                    events.write("response.custom_tool_call_input.delta", &members, out);
                }
                let members = format!("{place},\"input\":{}", input.get());
                events.write("response.custom_tool_call_input.done", &members, out);
            }
            CallKind::ToolSearch | CallKind::LocalShell | CallKind::Shell | CallKind::ApplyPatch => {}
        },
    }
    let members = format!("\"output_index\":{index},\"item\":{}", item.write(status));
    events.write("response.output_item.done", &members, out);
}
