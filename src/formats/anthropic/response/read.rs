//! A whole answer of a provider's, read.

use super::super::errors::{in_spite, is_error};
use super::super::wire::json::object;
use super::super::wire::response::{Answer, Said};
use super::events::{Told, finish, text, thinking};
use crate::canonical::{Raw, ResponseEvent};
use crate::error::{Error, Result};
use crate::formats::EventSink;

/// Reads a whole answer that came with a status of success.
///
/// # Errors
/// 502 if it is none, or an error in spite of its status.
pub(crate) fn read(body: &[u8], each: EventSink<'_>) -> Result<()> {
    if is_error(body) {
        return Err(in_spite(body));
    }
    let answer: Option<Answer<'_>> = object(body);
    let Some((answer, content)) = answer.and_then(|mut answer| answer.content.take().map(|content| (answer, content)))
    else {
        let message = "The provider answered with a status of success, but with a body that is not a message.";
        return Err(Error::upstream(502, "upstream_invalid_response", message));
    };
    let mut told = Told::default();
    told.start(&answer, each);
    for block in content.iter() {
        if let Some(said) = object::<Said<'_>>(block.get().as_bytes()) {
            whole_block(&said, block, &mut told, each);
        }
    }
    told.usage(answer.usage.as_ref(), each);
    each(ResponseEvent::Finish { choice: 0, reason: finish(answer.stop_reason.as_deref().unwrap_or_default()) });
    each(ResponseEvent::End);
    Ok(())
}

fn whole_block(said: &Said<'_>, block: &Raw<'_>, told: &mut Told, each: EventSink<'_>) {
    match said.kind.as_ref() {
        "text" => text(said.text.as_ref(), each),
        "thinking" => {
            thinking(said.thinking.as_ref(), each);
            told.keep(block.get());
        }
        "redacted_thinking" => told.keep(block.get()),
        "tool_use" => {
            let call = told.call(said, each);
            if let Some(input) = said.input.as_ref().filter(|input| !input.is_blank()) {
                each(ResponseEvent::Arguments { choice: 0, call, json: Raw::quoted(input.get()) });
            }
        }
        // What servers did on their own; the text tells of it.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Usage;

    fn told(body: &str) -> Vec<String> {
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
        let events = told(&body);
        assert!(events.contains(&format!("ReasoningState {{ id: \"toolu_1\", memory: [{thoughts}] }}")), "{events:?}");
        assert_eq!(events.iter().filter(|event| event.starts_with("ReasoningState")).count(), 1);
        assert!(events.contains(&r#"Arguments { choice: 0, call: 0, json: "{\"a\": 1}" }"#.to_owned()), "{events:?}");
        assert!(events.iter().any(|event| event.starts_with("Call { choice: 0, call: 1")));
        let usage =
            Usage { uncached_input: 3, cache_read: 5, cache_write: 7, cache_write_1h: 4, output: 2, reasoning: 1 };
        assert!(events.contains(&format!("{:?}", ResponseEvent::Usage(usage))));
        assert_eq!(events.last().unwrap(), "End");
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
