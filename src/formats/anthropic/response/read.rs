//! Reads a provider's whole message.

use super::super::errors::{is_any_error, is_error, read_in_success};
use super::super::wire::json::object;
use super::super::wire::response::{BlockFields, MessageFields};
use super::events::{EventReader, emit_text, emit_thinking, finish_reason};
use crate::canonical::{Raw, ResponseEvent};
use crate::error::{Error, Result};
use crate::formats::stream::EventSink;

/// Reads a whole message that came with a success status.
///
/// # Errors
/// 502 if the body is not a message; the error's own status if it reports an error.
pub(crate) fn read(body: &[u8], emit: EventSink<'_>) -> Result<()> {
    if is_error(body) {
        return Err(read_in_success(body));
    }
    let message: Option<MessageFields<'_>> = object(body);
    let Some((message, content)) =
        message.and_then(|mut message| message.content.take().map(|content| (message, content)))
    else {
        if is_any_error(body) {
            return Err(read_in_success(body));
        }
        let message = "The provider answered with a success status, but its body is not a message.";
        return Err(Error::upstream(502, "upstream_invalid_response", message));
    };
    let mut reader = EventReader::default();
    reader.start(&message, emit);
    for block in content.iter() {
        if let Some(fields) = object::<BlockFields<'_>>(block.get().as_bytes()) {
            read_block(&fields, block, &mut reader, emit);
        }
    }
    reader.usage(message.usage.as_ref(), emit);
    emit(ResponseEvent::Finish {
        choice: 0,
        reason: finish_reason(message.stop_reason.as_deref().unwrap_or_default()),
    });
    emit(ResponseEvent::End);
    Ok(())
}

fn read_block(fields: &BlockFields<'_>, block: &Raw<'_>, reader: &mut EventReader, emit: EventSink<'_>) {
    match fields.kind.as_ref() {
        "text" => emit_text(fields.text.as_ref(), emit),
        "thinking" => {
            emit_thinking(fields.thinking.as_ref(), emit);
            reader.keep_thinking(block.get());
        }
        "redacted_thinking" => reader.keep_thinking(block.get()),
        "tool_use" => {
            let call = reader.call(fields, emit);
            if let Some(input) = fields.input.as_ref().filter(|input| !input.is_blank()) {
                emit(ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(input.get()) });
            }
        }
        // Tools that run on Anthropic's servers; the text covers their results.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

    fn reader(body: &str) -> Vec<String> {
        let mut events = Vec::new();
        read(body.as_bytes(), &mut |event| events.push(format!("{event:?}"))).unwrap();
        events
    }

    #[test]
    fn what_was_thought_before_a_call_is_kept_byte_for_byte_even_without_words() {
        let thoughts =
            r#"{"type":"thinking","thinking":"","signature":"a\u002fb=="},{"type":"redacted_thinking", "data":"x"}"#;
        let body = format!(
            r#"{{"id":"msg_1","type":"message","model":"claude-x","content":[{thoughts},{{"type":"text","text":"hi"}},
            {{"type":"tool_use","id":"toolu_1","name":"f","input":{{"a": 1}}}},{{"type":"tool_use","id":"toolu_2","name":"g","input":{{}}}}],
            "stop_reason":"tool_use","usage":{{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":2,
            "cache_creation":{{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4}},
            "output_tokens_details":{{"thinking_tokens":1}},"service_tier":"standard"}}}}"#
        );
        let events = reader(&body);
        assert!(events.contains(&format!("ReasoningState {{ id: \"toolu_1\", memory: [{thoughts}] }}")), "{events:?}");
        assert_eq!(events.iter().filter(|event| event.starts_with("ReasoningState")).count(), 1);
        assert!(events.contains(&r#"Arguments { choice: 0, call: 0, json: "{\"a\": 1}" }"#.to_owned()), "{events:?}");
        assert!(events.iter().any(|event| event.starts_with("Call { choice: 0, call: 1")));
        let usage = Usage {
            uncached_input: 3,
            cache_read: 5,
            cache_write: 7,
            cache_write_1h: 4,
            output: 2,
            reasoning: 1,
            ..Usage::default()
        };
        assert!(events.contains(&format!("{:?}", ResponseEvent::Usage(usage))));
        assert_eq!(events.last().unwrap(), "End");
    }

    fn usage_of(usage: &str) -> Usage {
        super::super::events::read_usage(usage).unwrap()
    }

    #[test]
    fn searches_and_a_hosts_own_charge_are_part_of_the_usage() {
        let usage = usage_of(r#"{"input_tokens":9,"server_tool_use":{"web_search_requests":3},"cost":0.5}"#);
        let expected = Usage { uncached_input: 9, searches: 3, reported_cost: Some(500_000_000), ..Usage::default() };
        assert_eq!(usage, expected);
        let odd = r#"{"input_tokens":9,"server_tool_use":[7],"iterations":"none","cost":{}}"#;
        assert_eq!(usage_of(odd), Usage { uncached_input: 9, ..Usage::default() });
    }

    #[test]
    fn a_summary_of_the_conversation_is_billed_beside_the_message() {
        // The example of the provider's documentation.
        let usage = usage_of(
            r#"{"input_tokens":23000,"output_tokens":1000,"iterations":[
            {"type":"compaction","input_tokens":180000,"output_tokens":3500},
            {"type":"message","input_tokens":23000,"output_tokens":1000}]}"#,
        );
        assert_eq!(usage, Usage { uncached_input: 203_000, output: 4_500, ..Usage::default() });
        let advised = usage_of(
            r#"{"input_tokens":9,"iterations":[{"type":"message","input_tokens":9},
            {"type":"advisor_message","model":"claude-opus-9","input_tokens":823}]}"#,
        );
        assert_eq!(advised, Usage { uncached_input: 9, has_other_model: true, ..Usage::default() });
    }

    #[test]
    fn success_that_is_no_message_is_an_error() {
        for body in ["", "[]", "{}", "<html>", r#"{"content":null}"#, "[null,null,[],null,null]"] {
            assert_eq!(read(body.as_bytes(), &mut |_| ()).unwrap_err().status(), 502, "{body}");
        }
        let error = br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
        assert_eq!(read(error, &mut |_| ()).unwrap_err().status(), 429);
    }
}
