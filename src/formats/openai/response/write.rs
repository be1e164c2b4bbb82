//! Writes a whole response for a client.
//! Source: the OpenAI API reference, "The chat completion object".

use serde::{Deserialize, Serialize};

use super::super::wire::{WrittenUsage, write_json};
use super::head::{ResponsePrefix, finish_reason, make_id, write_tier};
use crate::canonical::{FinishReason, Raw, ResponseEvent};
use crate::formats::client_format::ResponseHead;
use crate::wire::json::quote;

/// A choice, as far as it has been received.
#[derive(Default)]
struct WrittenChoice<'e> {
    number: u32,
    text: Option<String>,
    thinking: Option<String>,
    calls: Vec<WrittenCall<'e>>,
    logprobs: Vec<&'e Raw<'e>>,
    finish: Option<FinishReason>,
}

struct WrittenCall<'e> {
    number: u32,
    id: &'e str,
    name: &'e str,
    arguments: String,
}

/// Writes a whole response.
pub fn write(head: &ResponseHead, events: &[ResponseEvent<'_>]) -> Vec<u8> {
    let (mut id, mut model, mut service_tier, mut usage) = (None, None, None, None);
    let mut choices: Vec<WrittenChoice<'_>> = Vec::with_capacity(1);
    for event in events {
        match event {
            ResponseEvent::Start { id: reported_id, model: reported_model } => {
                (id, model) = (reported_id.as_deref().or(id), reported_model.as_deref().or(model));
            }
            ResponseEvent::Usage(reported) => usage = Some(*reported),
            ResponseEvent::Tier(reported) => service_tier = Some(reported.as_ref()),
            ResponseEvent::ReasoningState { .. } | ResponseEvent::Failed(_) | ResponseEvent::End => {}
            ResponseEvent::Text { choice, .. }
            | ResponseEvent::Thinking { choice, .. }
            | ResponseEvent::Call { choice, .. }
            | ResponseEvent::Arguments { choice, .. }
            | ResponseEvent::Logprobs { choice, .. }
            | ResponseEvent::Finish { choice, .. } => add_event(&mut choices, *choice, event),
        }
    }
    let mut out = Vec::with_capacity(512);
    let id = id.map_or_else(|| make_id(head), str::to_owned);
    let (model, fingerprint) = (model.unwrap_or(&head.model), head.fingerprint);
    ResponsePrefix { object: "chat.completion", id: &id, created: head.created, model, fingerprint }.write(&mut out);
    out.extend_from_slice(b",\"choices\":[");
    choices.sort_by_key(|choice| choice.number);
    for (at, choice) in choices.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b"," });
        choice.write(&mut out);
    }
    out.push(b']');
    write_tier(service_tier, &mut out);
    if let Some(usage) = usage {
        out.extend_from_slice(b",\"usage\":");
        write_json(&WrittenUsage::from(usage), &mut out);
    }
    out.push(b'}');
    out
}

/// Adds an event to its choice.
fn add_event<'e>(choices: &mut Vec<WrittenChoice<'e>>, number: u32, event: &'e ResponseEvent<'e>) {
    if let Some(found) = choices.iter_mut().find(|choice| choice.number == number) {
        return found.add_event(event);
    }
    let mut new = WrittenChoice { number, ..WrittenChoice::default() };
    new.add_event(event);
    choices.push(new);
}

/// The contents of a JSON string, still escaped.
fn escaped_text<'r>(raw: &'r Raw<'_>) -> &'r str {
    raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default()
}

impl<'e> WrittenChoice<'e> {
    fn add_event(&mut self, event: &'e ResponseEvent<'e>) {
        match event {
            ResponseEvent::Text { text, .. } => self.text.get_or_insert_default().push_str(escaped_text(text)),
            ResponseEvent::Thinking { text, .. } => self.thinking.get_or_insert_default().push_str(escaped_text(text)),
            ResponseEvent::Call { call, id, name, .. } => {
                self.calls.push(WrittenCall { number: *call, id, name, arguments: String::new() });
            }
            ResponseEvent::Arguments { call, json, .. } => {
                let call = self.calls.iter_mut().rev().find(|found| found.number == *call);
                call.into_iter().for_each(|call| call.arguments.push_str(escaped_text(json)));
            }
            ResponseEvent::Logprobs { logprobs, .. } => self.logprobs.push(logprobs),
            ResponseEvent::Finish { reason, .. } => self.finish = Some(*reason),
            ResponseEvent::Start { .. }
            | ResponseEvent::ReasoningState { .. }
            | ResponseEvent::Usage(_)
            | ResponseEvent::Tier(_)
            | ResponseEvent::Failed(_)
            | ResponseEvent::End => {}
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut add = |text: &str| out.extend_from_slice(text.as_bytes());
        add(&format!("{{\"index\":{},\"message\":{{\"role\":\"assistant\",\"content\":", self.number));
        match &self.text {
            None if !self.calls.is_empty() => add("null"),
            text => ["\"", text.as_deref().unwrap_or_default(), "\""].into_iter().for_each(&mut add),
        }
        if let Some(thinking) = &self.thinking {
            [",\"reasoning_content\":\"", thinking, "\""].into_iter().for_each(&mut add);
        }
        add(",\"refusal\":null");
        for (at, call) in self.calls.iter().enumerate() {
            add(if at == 0 { ",\"tool_calls\":[" } else { "," });
            let (id, name) = (quote(call.id), quote(call.name));
            add(&format!("{{\"id\":{id},\"type\":\"function\",\"function\":{{\"name\":{name},\"arguments\":\""));
            add(if call.arguments.is_empty() { "{}" } else { &call.arguments });
            add("\"}}");
        }
        add(if self.calls.is_empty() { "" } else { "]" });
        add("},\"logprobs\":");
        add(&self.logprobs());
        match self.finish {
            Some(reason) => add(&format!(",\"finish_reason\":\"{}\"}}", finish_reason(reason))),
            None => add(",\"finish_reason\":null}"),
        }
    }

    /// The log probabilities of all pieces in one object.
    fn logprobs(&self) -> String {
        #[derive(Deserialize, Serialize)]
        struct Logprobs<'a> {
            #[serde(borrow)]
            content: Option<Vec<Raw<'a>>>,
            #[serde(borrow, skip_serializing_if = "Option::is_none")]
            refusal: Option<Vec<Raw<'a>>>,
        }
        match self.logprobs.as_slice() {
            [] => "null".to_owned(),
            [one] => one.get().to_owned(),
            several => {
                let mut all = Logprobs { content: None, refusal: None };
                for piece in several.iter().filter_map(|raw| serde_json::from_str::<Logprobs<'_>>(raw.get()).ok()) {
                    piece.content.into_iter().for_each(|more| all.content.get_or_insert_default().extend(more));
                    piece.refusal.into_iter().for_each(|more| all.refusal.get_or_insert_default().extend(more));
                }
                Raw::of(&all).get().to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;
    use serde_json::{Value, json};

    fn response_of(events: &[ResponseEvent<'_>]) -> Value {
        let head = ResponseHead { random: 7, created: 1, model: "m".into(), ..ResponseHead::default() };
        serde_json::from_slice(&write(&head, events)).unwrap()
    }

    #[test]
    fn pieces_become_one_message() {
        let call = ResponseEvent::Call { choice: 0, call: 0, id: "c".into(), name: "f".into() };
        let thought = |text| ResponseEvent::Thinking { choice: 0, text: Raw::quoted(text) };
        let finish = ResponseEvent::Finish { choice: 0, reason: FinishReason::Calls };
        let usage = ResponseEvent::Usage(Usage { uncached_input: 2, output: 1, ..Usage::default() });
        let response =
            response_of(&[thought("a\n"), thought("b"), call, finish, usage, ResponseEvent::Tier("flex".into())]);
        let message = &response["choices"][0]["message"];
        assert_eq!((&message["content"], &message["reasoning_content"]), (&Value::Null, &json!("a\nb")));
        assert_eq!(message["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{}"}));
        assert_eq!((&response["usage"]["total_tokens"], &response["service_tier"]), (&json!(3), &json!("flex")));
        assert_eq!(response["id"], "chatcmpl-00000000000000000000000000000007");
    }

    #[test]
    fn halves_of_a_character_meet() {
        let text = |json: &'static str| ResponseEvent::Text { choice: 0, text: Raw::parse(json).unwrap() };
        let response = response_of(&[text(r#""\ud83d""#), text(r#""\ude00""#)]);
        assert_eq!(response["choices"][0]["message"]["content"], "😀");
    }

    #[test]
    fn choices_come_in_order_and_log_probabilities_together() {
        let logprobs = |json: &'static str| ResponseEvent::Logprobs { choice: 1, logprobs: Raw::parse(json).unwrap() };
        let text = ResponseEvent::Text { choice: 0, text: Raw::quoted("x") };
        let response =
            response_of(&[logprobs(r#"{"content":[1]}"#), logprobs(r#"{"content":[2],"refusal":null}"#), text]);
        assert_eq!(response["choices"][1]["logprobs"], json!({"content": [1, 2]}));
        assert_eq!(response["choices"][0]["message"]["content"], "x");
    }
}
