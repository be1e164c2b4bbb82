//! Chunks of a stream that differ from the one before in their text alone, as almost all do. To compare such a
//! chunk with what is known of the last one costs a small part of parsing it, and tells the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use super::wire::{READ_MEMBERS, has_value};

/// A longer event is not remembered, in bytes.
const MAX_EVENT: usize = 4 << 10;

/// What the next events of a stream have in common with the last one, if they repeat it.
#[derive(Debug)]
pub(super) struct Repetition {
    /// The event up to its text.
    before: Vec<u8>,
    /// What follows its text, up to the end of the event, or up to a string that nobody reads.
    after: Vec<u8>,
    /// What follows that string, if there is one. OpenAI fills chunks with one up to similar lengths.
    last: Option<Vec<u8>>,
    /// Where the delta begins in `before`, and its length in `after`.
    delta: (usize, usize),
}

impl Repetition {
    /// What is known after an event whose only data is the chunk `data`, and whose delta is at `delta` in it.
    /// Nothing if the delta is more than one text.
    pub(super) fn of(event: &[u8], data: &[u8], delta: Range<usize>) -> Option<Self> {
        let end = event.trim_ascii_end().len();
        let start = end.checked_sub(data.len()).filter(|_| event.len() <= MAX_EVENT)?;
        if event.get(start..end)? != data {
            return None;
        }
        let text = text_in(data.get(delta.clone())?)?;
        let text = delta.start + text.start..delta.start + text.end;
        let unread = unread_string(data).filter(|unread| unread.start > delta.end);
        let (after, last) = match unread {
            Some(unread) => (start + text.end..start + unread.start, event.get(start + unread.end..)),
            None => (start + text.end..event.len(), None),
        };
        Some(Self {
            before: event.get(..start + text.start)?.to_vec(),
            after: event.get(after)?.to_vec(),
            last: last.map(<[u8]>::to_vec),
            delta: (start + delta.start, delta.end - text.end),
        })
    }

    /// The event that these bytes begin with, and its delta, if it differs from the last one in its text alone.
    pub(super) fn find<'b>(&self, bytes: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
        let rest = after_same(bytes, &self.before)?;
        let text = plain_string(rest).filter(|text| *text > 0)?;
        let mut rest = after_same(rest.get(text..)?, &self.after)?;
        if let Some(last) = &self.last {
            rest = after_same(rest.get(plain_string(rest)?..)?, last)?;
        }
        let (start, after) = self.delta;
        let delta = bytes.get(start..self.before.len() + text + after)?;
        Some((bytes.get(..bytes.len() - rest.len())?, delta))
    }
}

/// What follows `known`, if the bytes begin with it. Eight of them are compared at a time: comparisons of slices
/// go byte by byte in wasm.
fn after_same<'b>(bytes: &'b [u8], known: &[u8]) -> Option<&'b [u8]> {
    let (begin, rest) = bytes.split_at_checked(known.len())?;
    let ((words, end), (known_words, known_end)) = (begin.as_chunks(), known.as_chunks());
    let is_same = |(word, known): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*word) == u64::from_ne_bytes(*known);
    (end == known_end && words.iter().zip(known_words).all(is_same)).then_some(rest)
}

/// Where the text of a delta is, without its quotes, if nothing else in it has a value.
fn text_in(delta: &[u8]) -> Option<Range<usize>> {
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(delta).ok()?;
    let mut filled = members.iter().filter(|(key, value)| has_value(key, value.get()));
    let (_, text) = filled.next().filter(|_| filled.next().is_none())?;
    let text = text.get().strip_prefix('"')?.strip_suffix('"')?;
    let start = (text.as_ptr() as usize).checked_sub(delta.as_ptr() as usize)?;
    Some(start..start + text.len())
}

/// Where the last member of an object is, without its quotes, if it is a string that nobody reads.
fn unread_string(object: &[u8]) -> Option<Range<usize>> {
    let end = object.strip_suffix(b"\"}")?.len();
    let start = memchr::memrchr(b'"', object.get(..end)?)? + 1;
    let value = plain_string(object.get(start..)?)?;
    let rest = object.get(..start)?.strip_suffix(b"\"")?.trim_ascii_end().strip_suffix(b":")?.strip_suffix(b"\"")?;
    let name = rest.get(memchr::memrchr(b'"', rest)? + 1..)?;
    let is_plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let is_read = READ_MEMBERS.iter().any(|read| read.as_bytes() == name);
    (start + value == end && is_plain && !is_read).then_some(start..end)
}

/// The length of a JSON string up to its closing quote, unless it has characters that are written as numbers.
fn plain_string(bytes: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', bytes.get(end..)?)?;
        if bytes.get(end) == Some(&b'"') {
            break;
        }
        if !matches!(bytes.get(end + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
            return None;
        }
        end += 2;
    }
    let text = bytes.get(..end)?;
    (text.iter().all(|byte| *byte >= b' ') && std::str::from_utf8(text).is_ok()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        "data: {\"id\":\"a\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one\"}}],\"p\":\"xy\"}\n\n";

    /// What is known after an event with one delta.
    fn known(event: &str) -> Option<Repetition> {
        let data = event.trim_end().strip_prefix("data: ")?;
        let start = data.find("\"delta\":")? + 8;
        let delta = start..start + data.get(start..)?.find('}')? + 1;
        Repetition::of(event.as_bytes(), data.as_bytes(), delta)
    }

    fn found<'b>(known: &Repetition, event: &'b str) -> Option<(&'b str, &'b str)> {
        let (event, delta) = known.find(event.as_bytes())?;
        Some((std::str::from_utf8(event).unwrap(), std::str::from_utf8(delta).unwrap()))
    }

    #[test]
    fn texts_and_an_unread_last_string_may_differ() {
        let known = known(EVENT).unwrap();
        for (text, last) in [("two", "xy"), ("\u{6570}", ""), ("a \\\"b\\\" \\n", "abcdef")] {
            let event = EVENT.replace("one", text).replace("xy", last);
            let two = [&event, EVENT].concat();
            assert_eq!(found(&known, &two), Some((event.as_str(), format!("{{\"content\":\"{text}\"}}").as_str())));
        }
    }

    #[test]
    fn all_else_has_to_be_parsed() {
        let known = known(EVENT).unwrap();
        let other = [
            ("one", ""),
            ("one", "\\u0041"),
            ("one", "\\x"),
            ("one", "a\tb"),
            ("one\"", "one\",\"role\":\"x\""),
            ("\"one\"", "null"),
            ("\"a\"", "\"b\""),
            ("0", "1"),
            ("}]", ",\"finish_reason\":\"stop\"}]"),
            ("\"p\":\"xy\"", "\"p\":\"xy\",\"usage\":{}"),
            ("\n\n", "\n"),
            ("data: ", "data:"),
        ];
        for (from, to) in other {
            assert_eq!(found(&known, &EVENT.replace(from, to)), None, "{from} {to}");
        }
        let cut = EVENT.as_bytes();
        assert!((0..cut.len()).all(|length| known.find(&cut[..length]).is_none()));
        assert!(known.find(&[&cut[..60], b"\xff", &cut[60..]].concat()).is_none());
    }

    #[test]
    fn only_a_delta_of_one_text_can_be_repeated() {
        let delta = |delta: &str| known(&EVENT.replace("{\"content\":\"one\"}", delta)).is_some();
        assert!(delta("{\"content\":null,\"reasoning\":\"a\",\"role\":\"assistant\"}"));
        assert!(!delta("{\"content\":\"a\",\"reasoning\":\"b\"}"));
        assert!(!delta("{\"content\":\"\"}") && !delta("{\"content\":[1]}") && !delta("{}") && !delta("null"));
    }

    #[test]
    fn a_last_string_that_is_read_stays_the_same() {
        for name in READ_MEMBERS {
            let event = EVENT.replace("\"p\"", &format!("\"{name}\""));
            let known = known(&event).unwrap();
            assert!(found(&known, &event).is_some());
            assert_eq!(found(&known, &event.replace("xy", "zz")), None, "{name}");
        }
        for last in ["\"p\":{\"q\":\"xy\"}", "\"m\\u006fdel\":\"xy\"", "\"p\":1"] {
            let event = EVENT.replace("\"p\":\"xy\"", last);
            assert_eq!(found(&known(&event).unwrap(), &event.replace("xy", "zz").replace('1', "2")), None, "{last}");
        }
    }
}
