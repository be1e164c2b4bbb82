//! Finds in a message the few members that say whose it is and what it asks for: one pass over its bytes, in pieces, in little memory,
//! however long it is. It proves no JSON: whoever reads the message later does.

use memchr::memchr2;

use super::frame::MEMBERS;

/// The longest value that is kept, as JSON, in bytes.
const LONGEST: usize = 4096;
/// The longest name that can be one of [`MEMBERS`], each of its characters escaped, and a little more.
const LONGEST_NAME: usize = 64;
/// In place of a text that is longer than any key, type or id.
const TOO_LONG: &str = "\"\u{2026}\"";

/// Why a message tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanError {
    /// It is longer than allowed.
    TooLong,
    /// It is no JSON object.
    NoObject,
}

/// A message that is looked through.
pub struct MessageScan {
    /// Bytes that may yet come.
    room: usize,
    too_long: bool,
    spot: Spot,
    /// A backslash came last.
    escaped: bool,
    /// The name of the member whose value comes, or is being read.
    name: String,
    /// Which of [`MEMBERS`] it is.
    member: Option<usize>,
    value: String,
    /// How often each of [`MEMBERS`] has come.
    seen: [u8; MEMBERS.len()],
    outline: String,
}

/// What is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    /// Nothing has come yet.
    Start,
    /// A name follows, or, if none has come, the end.
    Name {
        first: bool,
    },
    InName,
    Colon,
    Value,
    InText,
    InLiteral,
    /// An object or a list, so many levels deep.
    Nested {
        depth: usize,
        in_text: bool,
    },
    /// A comma follows, or the end.
    Comma,
    End,
    Broken,
}

impl MessageScan {
    /// A message of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            room: limit,
            too_long: false,
            spot: Spot::Start,
            escaped: false,
            name: String::new(),
            member: None,
            value: String::new(),
            seen: [0; MEMBERS.len()],
            outline: String::new(),
        }
    }

    /// The next piece; whether more need be read.
    pub fn push(&mut self, text: &str) -> bool {
        if text.len() > self.room {
            self.too_long = true;
            return false;
        }
        self.room -= text.len();
        let mut rest = text;
        while !rest.is_empty() && self.spot != Spot::Broken {
            let taken = self.step(rest).clamp(1, rest.len());
            rest = rest.get(taken..).unwrap_or_default();
        }
        true
    }

    /// The message without what nobody need know of it: an object of those of [`MEMBERS`] that it has, each at most twice; of a list or
    /// an object among them only that it is one.
    ///
    /// # Errors
    /// [`ScanError`]
    pub fn finish(self) -> Result<String, ScanError> {
        match self.spot {
            _ if self.too_long => Err(ScanError::TooLong),
            Spot::End => Ok(["{", &self.outline, "}"].concat()),
            _ => Err(ScanError::NoObject),
        }
    }

    /// Reads on; how many bytes were read. What is not ASCII stands in texts only, which are taken in whole runs.
    fn step(&mut self, rest: &str) -> usize {
        let byte = rest.as_bytes().first().copied().unwrap_or_default();
        let is_space = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        match self.spot {
            Spot::InName | Spot::InText => return self.text(rest),
            Spot::InLiteral => return self.literal(rest),
            Spot::Nested { depth, in_text } => return self.nested(rest, depth, in_text),
            _ if is_space => {}
            Spot::Start if byte == b'{' => self.spot = Spot::Name { first: true },
            Spot::Name { .. } if byte == b'"' => {
                self.name.clear();
                self.spot = Spot::InName;
            }
            Spot::Name { first: true } | Spot::Comma if byte == b'}' => self.spot = Spot::End,
            Spot::Colon if byte == b':' => self.spot = Spot::Value,
            Spot::Comma if byte == b',' => self.spot = Spot::Name { first: false },
            Spot::Value => return self.value(rest, byte),
            _ => self.spot = Spot::Broken,
        }
        1
    }

    fn value(&mut self, rest: &str, byte: u8) -> usize {
        self.value.clear();
        self.spot = match byte {
            b'"' => Spot::InText,
            b'{' | b'[' => {
                self.value.push_str(if byte == b'{' { "{}" } else { "[]" });
                Spot::Nested { depth: 1, in_text: false }
            }
            b'}' | b']' | b',' | b':' => Spot::Broken,
            _ => {
                self.spot = Spot::InLiteral;
                return self.literal(rest);
            }
        };
        if self.spot == Spot::InText {
            self.value.push('"');
        }
        1
    }

    /// A text up to its end, or the next backslash, or as far as it has come.
    fn text(&mut self, rest: &str) -> usize {
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
        match (bytes.get(end), self.spot) {
            (Some(b'\\'), _) => self.escaped = true,
            (_, Spot::InName) => self.named(),
            _ => self.valued(),
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
            self.valued();
            if end == 0 { self.step(rest) } else { end }
        } else {
            run
        }
    }

    fn nested(&mut self, rest: &str, mut depth: usize, mut in_text: bool) -> usize {
        let bytes = rest.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'"' => in_text = !in_text,
                b'\\' => self.escaped = in_text,
                _ if in_text => {
                    at += memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()).unwrap_or(bytes.len() - at)
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth == 1 => {
                    self.valued();
                    return at;
                }
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        self.spot = Spot::Nested { depth, in_text };
        at
    }

    /// Keeps a part of a name or a value, as long as it may still be one that matters.
    fn keep(&mut self, part: &str) {
        let (kept, most) = match self.spot {
            Spot::InName => (&mut self.name, LONGEST_NAME),
            _ if self.member.is_none() => return,
            _ => (&mut self.value, LONGEST),
        };
        if kept.len() <= most {
            // One byte more than allowed says that it was longer.
            let end = part.char_indices().map(|(at, c)| at + c.len_utf8()).find(|end| kept.len() + end > most);
            kept.push_str(part.get(..end.unwrap_or(part.len())).unwrap_or_default());
        }
    }

    /// A name has ended; its closing quote is kept with it.
    fn named(&mut self) {
        let name: Option<String> = serde_json::from_str(&["\"", &self.name].concat()).ok();
        self.member = name.and_then(|name| MEMBERS.iter().position(|member| *member == name));
        self.spot = Spot::Colon;
    }

    fn valued(&mut self) {
        self.spot = Spot::Comma;
        let Some((name, seen)) = self.member.take().and_then(|at| Some((*MEMBERS.get(at)?, self.seen.get_mut(at)?)))
        else {
            return;
        };
        *seen = seen.saturating_add(1);
        if *seen > 2 {
            return;
        }
        let value = match &*self.value {
            text if text.len() <= LONGEST => text,
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

    /// In pieces of so many characters.
    fn scan(text: &str, piece: usize) -> Result<String, ScanError> {
        let mut scan = MessageScan::new(text.len());
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(piece.max(1)) {
            scan.push(&piece.iter().collect::<String>());
        }
        scan.finish()
    }

    #[test]
    fn a_key_is_found_wherever_it_stands() {
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
    fn what_is_no_object_is_told() {
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
            assert_eq!(scan(text, 2), Err(ScanError::NoObject), "{text}");
        }
    }

    #[test]
    fn little_is_kept_of_much() {
        let long = "k".repeat(3 * LONGEST);
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
        assert!(short.push("{}") && !short.push("  "));
        assert_eq!(short.finish(), Err(ScanError::TooLong));
    }

    proptest! {
        /// Whatever a reader of JSON finds, the scan finds as well, however the text is cut.
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

        /// No bytes reach a panic, and what comes out is short.
        #[test]
        fn anything_may_come(text in "[\\PC\\{\\}\\[\\]\":,\\\\]{0,200}", piece in 1..9usize) {
            if let Ok(outline) = scan(&text, piece) {
                prop_assert!(outline.len() <= 2 * MEMBERS.len() * (LONGEST + 16));
            }
        }
    }
}
