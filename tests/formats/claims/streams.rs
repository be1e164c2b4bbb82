//! Streams: as providers frame them, and as clients read them.

use std::collections::BTreeMap;

use llm_bridge::canonical::{Raw, ResponseEvent};
use llm_bridge::error::Error;
use llm_bridge::formats::{ClientFormat, ProviderFormat, ResponseHead};
use serde_json::{Value, json};

/// A stream as its provider frames it. Items of the documents are chunks, comments or other texts.
pub(crate) fn framed(upstream: &str, chunks: &[Value]) -> String {
    let frame = |chunk: &Value| match (upstream, chunk) {
        (_, Value::String(comment)) if comment.starts_with(':') => format!("{comment}\n\n"),
        (_, Value::String(word)) => format!("data: {word}\n\n"),
        ("anthropic" | "responses", chunk) => format!("event: {}\ndata: {chunk}\n\n", chunk["type"].as_str().unwrap()),
        ("gemini", chunk) => format!("data: {chunk}\r\n\r\n"),
        _ => format!("data: {chunk}\n\n"),
    };
    chunks.iter().map(frame).collect()
}

/// The events of a stream, for reading. Streams of the Messages API give each event's type twice.
pub(crate) fn events(client: &str, stream: &str) -> Vec<Value> {
    let blocks = stream.split("\n\n").filter(|block| !block.is_empty());
    // An error stands twice at the end of a stream of Gemini: as an event, and bare.
    let blocks = blocks.filter(|block| client != "gemini" || !stream.contains(&format!("data: {block}\n\n{block}")));
    let event = |block: &str| {
        let data = block.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let data = serde_json::from_str(data).unwrap_or_else(|_| json!(data));
        if matches!(client, "anthropic" | "responses") {
            assert_eq!(block.lines().next().unwrap(), format!("event: {}", data["type"].as_str().unwrap()));
        }
        data
    };
    blocks.map(event).collect()
}

/// Makes random ids the same in every run; other ids stay.
pub(super) fn settled(text: &str) -> String {
    let mut settled = text.to_owned();
    for start in ["msg_", "chatcmpl-", "resp_", "rs_", "fc_", "ctc_", "tsc_", "lsh_", "sh_", "apc_", "responseId\":\""]
    {
        let mut from = 0;
        while let Some(at) = settled[from..].find(start).map(|at| from + at + start.len()) {
            from = at;
            let drawn =
                settled[at..].len() >= 32 && settled[at..at + 32].bytes().all(|digit| digit.is_ascii_hexdigit());
            if drawn {
                settled.replace_range(at..at + 32, "drawn");
            }
        }
    }
    // What is sealed is different each time.
    for (start, end) in [("thoughtSignature\":\"bGItdjE6", '"'), ("encrypted_content\":\"lb1.", '"')] {
        let mut from = 0;
        while let Some(at) = settled[from..].find(start).map(|at| from + at + start.len()) {
            let length = settled[at..].find(end).unwrap();
            settled.replace_range(at..at + length, "sealed");
            from = at;
        }
    }
    settled
}

/// Translates a stream, in pieces, as the gateway does.
pub(crate) fn translated<'b>(
    upstream: &ProviderFormat,
    client: &ClientFormat,
    model: &str,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> String {
    let head = ResponseHead {
        random: u128::MAX,
        created: 0,
        model: model.to_owned(),
        include_usage: true,
        ..ResponseHead::default()
    };
    encoded(upstream, client, head, false, pieces)
}

/// Translates a stream, in pieces, whose response has this head; for a client that carries reasoning state or not.
pub(super) fn encoded<'b>(
    upstream: &ProviderFormat,
    client: &ClientFormat,
    head: ResponseHead,
    carries_state: bool,
    pieces: impl IntoIterator<Item = &'b [u8]>,
) -> String {
    let (mut decode, mut encode, mut out) = ((upstream.stream)(), (client.stream)(head), Vec::new());
    let (mut failed, mut open) = (false, BTreeMap::new());
    let mut each = |event: ResponseEvent<'_>| {
        if failed {
            return;
        }
        failed = matches!(event, ResponseEvent::Failed(_));
        if let ResponseEvent::ReasoningState { id, .. } = &event {
            // Encoders get it sealed.
            let sealed = ResponseEvent::ReasoningState { id: id.clone(), memory: Raw::quoted("AAAA") };
            if carries_state {
                encode.event(&sealed, &mut out);
            }
            return;
        }
        match &event {
            ResponseEvent::Text { choice, .. }
            | ResponseEvent::Thinking { choice, .. }
            | ResponseEvent::Call { choice, .. } => {
                open.entry(*choice).or_insert(true);
            }
            ResponseEvent::Finish { choice, .. } => drop(open.insert(*choice, false)),
            _ => {}
        }
        encode.event(&event, &mut out);
    };
    pieces.into_iter().for_each(|piece| decode.push(piece, &mut each));
    decode.finish(&mut each);
    if !failed {
        let broken = Error::upstream(502, "stream_truncated", "The provider's answer broke off before its end.");
        let whole = !open.is_empty() && open.values().all(|open| !open);
        encode.finish(Some(&broken).filter(|_| !whole), &mut out);
    }
    settled(&String::from_utf8(out).unwrap())
}

/// Checks that a provider's stream means the same wherever it is cut: at every byte, and into single bytes.
pub(super) fn check_cuts(upstream: &ProviderFormat, said: &str, what: &str) {
    let whole = decoded(upstream, &[said.as_bytes()], true);
    let bytes: Vec<&[u8]> = said.as_bytes().chunks(1).collect();
    assert_eq!(decoded(upstream, &bytes, true), whole, "{what}: byte by byte");
    let ends: Vec<usize> = ["\n\n", "\r\n\r\n"]
        .iter()
        .flat_map(|end| said.match_indices(end).map(|(at, _)| at + end.len()))
        .chain([said.len()])
        .collect();
    let mut told = BTreeMap::new();
    for cut in 0..said.len() {
        // What follows is read as without a cut, once the next event has passed.
        let mut after: Vec<usize> = ends.iter().copied().filter(|end| *end > cut).collect();
        after.sort_unstable();
        let end = after.get(1).copied().unwrap_or(said.len());
        let uncut = told.entry(end).or_insert_with(|| decoded(upstream, &[&said.as_bytes()[..end]], false));
        let (first, rest) = said.as_bytes()[..end].split_at(cut);
        assert_eq!(&decoded(upstream, &[first, rest], false), uncut, "{what}: cut at {cut}");
        assert!(whole.starts_with(uncut), "{what}: up to {end}");
    }
}

/// The events of a stream in pieces, which has ended or not.
fn decoded(upstream: &ProviderFormat, pieces: &[&[u8]], has_ended: bool) -> Vec<String> {
    let (mut decode, mut told) = ((upstream.stream)(), Vec::new());
    pieces.iter().for_each(|piece| decode.push(piece, &mut |event| told.push(format!("{event:?}"))));
    if has_ended {
        decode.finish(&mut |event| told.push(format!("{event:?}")));
    }
    told
}
