//! Finds the few members of a message that a connection without an API key needs. It makes one pass over the
//! bytes, in pieces, and holds a few kilobytes however long the message is. It does not validate JSON: the
//! session does, when it reads the message.

use memchr::memchr2;

use super::client_frame::MEMBERS;

/// The longest value that is kept, as JSON, in bytes.
const MAX_VALUE_BYTES: usize = 4096;
/// The longest name that is kept, in bytes: more than the longest of [`MEMBERS`] with each character escaped.
const MAX_NAME_BYTES: usize = 64;
/// Stands in the outline for a string longer than any key, type or id.
const TOO_LONG: &str = "\"\u{2026}\"";

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// It is longer than the limit.
    TooLong,
    /// It is not a JSON object.
    NotAnObject,
}

/// A message that is being scanned.
pub struct MessageScan {
    /// Bytes that may still be read.
    remaining: usize,
    too_long: bool,
    state: ScanState,
    /// The last character was a backslash.
    escaped: bool,
    /// The name of the current member.
    name: String,
    /// Its index in [`MEMBERS`].
    member: Option<usize>,
    value: String,
    /// How often each of [`MEMBERS`] has occurred.
    seen: [u8; MEMBERS.len()],
    outline: String,
}

/// The position in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScanState {
    /// Before the object.
    Start,
    /// A name follows; before the first one, the end may follow too.
    Name {
        first: bool,
    },
    InName,
    Colon,
    Value,
    InString,
    InLiteral,
    /// Inside an object or a list that is a value.
    Nested {
        depth: usize,
        in_string: bool,
    },
    /// A comma follows, or the end.
    Comma,
    End,
    Broken,
}

impl MessageScan {
    /// A scan of a message of at most this many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            remaining: limit,
            too_long: false,
            state: ScanState::Start,
            escaped: false,
            name: String::new(),
            member: None,
            value: String::new(),
            seen: [0; MEMBERS.len()],
            outline: String::new(),
        }
    }

    /// Scans the next piece; `false` if the message is too long.
    pub fn push(&mut self, text: &str) -> bool {
        if text.len() > self.remaining {
            self.too_long = true;
            return false;
        }
        self.remaining -= text.len();
        let mut rest = text;
        while !rest.is_empty() && self.state != ScanState::Broken {
            let taken = self.step(rest).clamp(1, rest.len());
            rest = rest.get(taken..).unwrap_or_default();
        }
        true
    }

    /// The outline of the message: an object with those of [`MEMBERS`] that occur, each at most twice. Lists
    /// and objects among their values are empty.
    ///
    /// # Errors
    /// The message is too long or not an object.
    pub fn finish(self) -> Result<String, ScanError> {
        match self.state {
            _ if self.too_long => Err(ScanError::TooLong),
            ScanState::End => Ok(["{", &self.outline, "}"].concat()),
            _ => Err(ScanError::NotAnObject),
        }
    }

    /// Reads the next bytes, and returns how many. Only strings hold characters beyond ASCII, and they are
    /// taken in whole runs.
    fn step(&mut self, rest: &str) -> usize {
        let byte = rest.as_bytes().first().copied().unwrap_or_default();
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.state {
            ScanState::InName | ScanState::InString => return self.string(rest),
            ScanState::InLiteral => return self.literal(rest),
            ScanState::Nested { depth, in_string } => return self.nested(rest, depth, in_string),
            _ if is_space => {}
            ScanState::Start if byte == b'{' => self.state = ScanState::Name { first: true },
            ScanState::Name { .. } if byte == b'"' => {
                self.name.clear();
                self.state = ScanState::InName;
            }
            ScanState::Name { first: true } | ScanState::Comma if byte == b'}' => self.state = ScanState::End,
            ScanState::Colon if byte == b':' => self.state = ScanState::Value,
            ScanState::Comma if byte == b',' => self.state = ScanState::Name { first: false },
            ScanState::Value => return self.value(rest, byte),
            _ => self.state = ScanState::Broken,
        }
        1
    }

    fn value(&mut self, rest: &str, byte: u8) -> usize {
        self.value.clear();
        self.state = match byte {
            b'"' => ScanState::InString,
            b'{' | b'[' => {
                self.value.push_str(if byte == b'{' { "{}" } else { "[]" });
                ScanState::Nested { depth: 1, in_string: false }
            }
            b'}' | b']' | b',' | b':' => ScanState::Broken,
            _ => {
                self.state = ScanState::InLiteral;
                return self.literal(rest);
            }
        };
        if self.state == ScanState::InString {
            self.value.push('"');
        }
        1
    }

    /// Reads a string to its end, the next backslash, or the end of the piece.
    fn string(&mut self, rest: &str) -> usize {
        let bytes = rest.as_bytes();
        if std::mem::take(&mut self.escaped) {
            let one = rest.chars().next().map_or(1, char::len_utf8);
            self.keep(rest.get(..one).unwrap_or_default());
            return one;
        }
        let Some(end) = memchr2(b'"', b'\\', bytes) else {
            self.keep(rest);
            return rest.len();
        };
        self.keep(rest.get(..=end).unwrap_or_default());
        match (bytes.get(end), self.state) {
            (Some(b'\\'), _) => self.escaped = true,
            (_, ScanState::InName) => self.end_name(),
            _ => self.end_value(),
        }
        end + 1
    }

    fn literal(&mut self, rest: &str) -> usize {
        let is_end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b'{' | b'[' | b'"' | b':' | b' ' | b'\t' | b'\n' | b'\r');
        let end = rest.as_bytes().iter().position(is_end);
        let run = end.unwrap_or(rest.len());
        self.keep(rest.get(..run).unwrap_or_default());
        if let Some(end) = end {
            self.end_value();
            if end == 0 { self.step(rest) } else { end }
        } else {
            run
        }
    }

    fn nested(&mut self, rest: &str, mut depth: usize, mut in_string: bool) -> usize {
        let bytes = rest.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'"' => in_string = !in_string,
                b'\\' => self.escaped = in_string,
                _ if in_string => {
                    at += memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()).unwrap_or(bytes.len() - at)
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 1 => {
                    self.end_value();
                    return at;
                }
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        self.state = ScanState::Nested { depth, in_string };
        at
    }

    /// Keeps a part of a name or a value that may belong to the outline.
    fn keep(&mut self, part: &str) {
        let (kept, limit) = match self.state {
            ScanState::InName => (&mut self.name, MAX_NAME_BYTES),
            _ if self.member.is_none() => return,
            _ => (&mut self.value, MAX_VALUE_BYTES),
        };
        if kept.len() <= limit {
            // One byte over the limit marks it as longer.
            let end = part.char_indices().map(|(at, c)| at + c.len_utf8()).find(|end| kept.len() + end > limit);
            kept.push_str(part.get(..end.unwrap_or(part.len())).unwrap_or_default());
        }
    }

    /// A name has ended; its closing quote is kept with it.
    fn end_name(&mut self) {
        let name: Option<String> = serde_json::from_str(&["\"", &self.name].concat()).ok();
        self.member = name.and_then(|name| MEMBERS.iter().position(|member| *member == name));
        self.state = ScanState::Colon;
    }

    fn end_value(&mut self) {
        self.state = ScanState::Comma;
        let Some((name, seen)) = self.member.take().and_then(|at| Some((*MEMBERS.get(at)?, self.seen.get_mut(at)?)))
        else {
            return;
        };
        *seen = seen.saturating_add(1);
        if *seen > 2 {
            return;
        }
        let value = match &*self.value {
            text if text.len() <= MAX_VALUE_BYTES => text,
            text if text.starts_with('"') && name != "id" => TOO_LONG,
            _ => "{}",
        };
        let comma = if self.outline.is_empty() { "" } else { "," };
        self.outline.push_str(&[comma, "\"", name, "\":", value].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;
    use proptest::prelude::*;

    /// Scans a text in pieces of this many characters.
    fn scan(text: &str, piece: usize) -> Result<String, ScanError> {
        let mut scan = MessageScan::new(text.len());
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(piece.max(1)) {
            scan.push(&piece.iter().collect::<String>());
        }
        scan.finish()
    }

    #[test]
    fn a_key_is_found_at_any_place() {
        let nested = r#"{"type":"auth","api_key":"no","a":[{"b":"}]\"\\"}, "\\\"", "{"]}"#;
        for (text, outline) in [
            (r#" { "type" : "chat" , "api_key" : "k" } "#.to_owned(), r#"{"type":"chat","api_key":"k"}"#),
            (
                format!(r#"{{"payload":{nested},"x":{nested},"api_key":"k","id":7}}"#),
                r#"{"payload":{},"api_key":"k","id":7}"#,
            ),
            (r#"{"a\u0070i_key":"\u006b\"\\","t":"api_key"}"#.to_owned(), r#"{"api_key":"\u006b\"\\"}"#),
            (r#"{"user":"\"api_key\":\"no\"","api_key":"é"}"#.to_owned(), r#"{"api_key":"é"}"#),
            (r#"{"api_key":"a","api_key":"b","api_key":"c"}"#.to_owned(), r#"{"api_key":"a","api_key":"b"}"#),
            (
                r#"{"seq":-1.5e3,"type":null,"payload":[1,[2]],"API_KEY":1}"#.to_owned(),
                r#"{"seq":-1.5e3,"type":null,"payload":[]}"#,
            ),
            ("{}".to_owned(), "{}"),
        ] {
            for piece in [1, 2, 3, 1000] {
                assert_eq!(scan(&text, piece).as_deref(), Ok(outline), "{text}");
            }
        }
    }

    #[test]
    fn a_message_that_is_no_object_is_an_error() {
        for text in [
            "",
            " ",
            "[]",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\" 1}",
            "{\"a\":1 2}",
            "{\"a\":\"",
            "hello",
            "{\"a\":[}",
        ] {
            assert_eq!(scan(text, 2), Err(ScanError::NotAnObject), "{text}");
        }
    }

    #[test]
    fn the_outline_is_short() {
        let long = "k".repeat(3 * MAX_VALUE_BYTES);
        for (text, outline) in [
            (format!(r#"{{"api_key":"{long}"}}"#), "{\"api_key\":\"\u{2026}\"}"),
            (format!(r#"{{"id":"{long}"}}"#), r#"{"id":{}}"#),
            (format!(r#"{{"seq":{}}}"#, "1".repeat(9000)), r#"{"seq":{}}"#),
            (format!(r#"{{"{long}":1,"id":2}}"#), r#"{"id":2}"#),
        ] {
            assert_eq!(scan(&text, 1000).as_deref(), Ok(outline));
        }
        let many = format!("{{{}\"id\":1}}", "\"type\":1,".repeat(10_000));
        assert_eq!(scan(&many, 4096).as_deref(), Ok(r#"{"type":1,"type":1,"id":1}"#));
        let mut short = MessageScan::new(3);
        assert!(short.push("{}"));
        assert!(!short.push("  "));
        assert_eq!(short.finish(), Err(ScanError::TooLong));
    }

    proptest! {
        /// The scan finds what a JSON reader finds, at any cutting.
        #[test]
        fn the_scan_agrees_with_a_reader(
            members in prop::collection::vec(
                (
                    prop::sample::select(vec!["type", "id", "api_key", "payload", "seq", "other", "Type"]),
                    prop::sample::select(vec!["1", "-2.5", "null", "true", "\"\"", "\"a\\\"b\\\\\"", "\"\\u00e9\"", "\"{é}\"", "[]", "[[{\"id\":\"]\"}]]", "{\"type\":{}}"]),
                    prop::sample::select(vec!["", " ", "\n\t"]),
                ),
                0..8,
            ),
            piece in 1..9usize,
        ) {
            let written: Vec<String> = members.iter().map(|(name, value, space)| format!("{space}\"{name}\"{space}:{value}{space}")).collect();
            let text = format!("{{{}}}", written.join(","));
            let outline = scan(&text, piece).unwrap();
            let (whole, brief) = (Document::read(text.as_bytes()).unwrap(), Document::read(outline.as_bytes()).unwrap());
            prop_assert_eq!(whole.repeated(&MEMBERS), brief.repeated(&MEMBERS));
            for name in MEMBERS {
                let shown = |value: &str| match value.as_bytes() { [b'{', ..] => "{}".to_owned(), [b'[', ..] => "[]".to_owned(), _ => value.to_owned() };
                let times = members.iter().filter(|(member, ..)| *member == name).count();
                if times < 3 {
                    prop_assert_eq!(whole.value(name).map(shown), brief.value(name).map(str::to_owned));
                }
            }
        }

        /// No input panics, and the outline is short.
        #[test]
        fn any_input_gives_a_short_outline(text in "[\\PC\\{\\}\\[\\]\":,\\\\]{0,200}", piece in 1..9usize) {
            if let Ok(outline) = scan(&text, piece) {
                prop_assert!(outline.len() <= 2 * MEMBERS.len() * (MAX_VALUE_BYTES + 16));
            }
        }
    }
}
