//! Gemini's API: requests against golden documents, responses at every cut, recordings where they are
//! available (`RECORDINGS_DIR`), and hostile bytes.

mod answers;
mod client;
pub(crate) mod grammar;
mod recorded;
mod requests;
mod state;

use llm_bridge::canonical::ResponseEvent;
use llm_bridge::error::Error;
use llm_bridge::formats::gemini::PROVIDER;
use proptest::prelude::*;

/// Events as text, with adjacent texts joined, for comparison.
fn told(event: &ResponseEvent<'_>) -> String {
    match event {
        ResponseEvent::Failed(error) => format!("Failed {} {:?} {}", error.status(), error.code(), error.message()),
        other => format!("{other:?}"),
    }
}

fn whole(body: &[u8]) -> Result<Vec<String>, Error> {
    let mut events = Vec::new();
    (PROVIDER.whole)(body, &mut |event| events.push(told(&event)))?;
    Ok(events)
}

fn stream<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Vec<String>, u32) {
    let (mut decode, mut events) = ((PROVIDER.stream)(), Vec::new());
    for piece in pieces {
        decode.push(piece, &mut |event| events.push(told(&event)));
    }
    decode.finish(&mut |event| events.push(told(&event)));
    (events, decode.malformed())
}

/// Reads a stream in one piece, at every cut in two, and byte by byte, and demands the same events.
fn cut(bytes: &[u8]) -> Vec<String> {
    let (events, malformed) = stream([bytes]);
    for at in 0..bytes.len() {
        let (head, tail) = bytes.split_at(at);
        assert_eq!(stream([head, tail]), (events.clone(), malformed), "cut at {at}");
    }
    assert_eq!(stream(bytes.chunks(1)), (events.clone(), malformed));
    events
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = whole(&bytes);
        let _ = stream([bytes.as_slice()]);
        let _ = (PROVIDER.refusal)(400, &bytes);
    }

    #[test]
    fn an_answer_with_any_value_anywhere_does_not_make_it_panic(
        at in 0_usize..12, value in "(null|true|-1|1e400|\"\"|\"x\"|\\[\\]|\\[7\\]|\\[null\\]|\\{\\}|99999999999999999999)", cut in 0_usize..400
    ) {
        let names = ["candidates", "index", "content", "parts", "text", "functionCall", "name", "args", "finishReason", "usageMetadata", "promptTokenCount", "logprobsResult"];
        let answer = r#"{"candidates":[{"index":0,"content":{"parts":[{"text":"a","functionCall":{"name":"f","args":{}}}]},"finishReason":"STOP","logprobsResult":{}}],"usageMetadata":{"promptTokenCount":1}}"#;
        let odd = answer.replacen(&format!("\"{}\":", names[at]), &format!("\"{}\":{value},\"was\":", names[at]), 1);
        let _ = whole(odd.as_bytes());
        let bytes = format!("data: {odd}\r\n\r\n{odd}\n\n").into_bytes();
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(stream([head, tail]), stream([bytes.as_slice()]));
    }
}
