//! Finds the members of a JSON object. Large bodies consist of long strings, which are passed over many bytes
//! at a time, several times as fast as serde_json does it.

use std::borrow::Cow;
use std::ops::Range;

/// A member: its key, and the JSON of its value.
pub(super) type Member<'t> = (Cow<'t, str>, &'t str);

/// The members of an object. `None` if the text is not JSON, is no object, has more than `most` members, or
/// is unusual, such as very deep: serde_json then reads it, and says what is wrong, if anything is. Nothing
/// that it refuses is accepted here.
pub(super) fn members(text: &str, most: usize) -> Option<Vec<Member<'_>>> {
    let mut scanner = Scanner::new(text);
    let mut members = Vec::with_capacity(8);
    scanner.expect(b'{')?;
    if scanner.peek()? == b'}' {
        scanner.at += 1;
    } else {
        loop {
            let key = scanner.key()?;
            let name = text.get(key.start..key.end)?;
            scanner.peek()?;
            let start = scanner.at;
            scanner.value()?;
            if members.len() >= most {
                return None;
            }
            members.push((decoded(name)?, text.get(start..scanner.at)?));
            match scanner.token()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
    }
    // Nothing but whitespace may follow.
    scanner.peek().is_none().then_some(members)
}

/// The text of a JSON string that has been scanned. `None` if half of a surrogate pair is missing.
pub(super) fn decoded(json: &str) -> Option<Cow<'_, str>> {
    let inside = json.get(1..json.len().checked_sub(1)?)?;
    if inside.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// Goes through JSON and checks it. `None` means that what stands there is not what was asked for, or not
/// JSON.
pub(super) struct Scanner<'t> {
    bytes: &'t [u8],
    /// Where it stands.
    pub(super) at: usize,
}

/// The depth to which values are followed: one bit each.
const MAX_DEPTH: u32 = u64::BITS;

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// The byte after whitespace, where it then stands.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Takes the byte after whitespace.
    pub(super) fn token(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, expected: u8) -> Option<()> {
        (self.token()? == expected).then_some(())
    }

    /// Takes a key and its colon. Returns where the key stands, quotes included.
    pub(super) fn key(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let start = self.at;
        self.string()?;
        let end = self.at;
        self.expect(b':')?;
        Some(start..end)
    }

    /// Takes a value, unless it is very deep.
    pub(super) fn value(&mut self) -> Option<()> {
        // A bit for each open value, the innermost last: set for an object.
        let (mut open, mut depth) = (0_u64, 0_u32);
        loop {
            match self.peek()? {
                start @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = start == b'{';
                    if self.peek()? == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        depth = depth.checked_add(1).filter(|depth| *depth <= MAX_DEPTH)?;
                        open = (open << 1) | u64::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // The value is over. So may be those that it ends.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = open & 1 == 1;
                match self.token()? {
                    b',' if is_object => {
                        self.key()?;
                        break;
                    }
                    b',' => break,
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                open >>= 1;
                depth -= 1;
            }
        }
    }

    /// Takes a string.
    fn string(&mut self) -> Option<()> {
        if *self.bytes.get(self.at)? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            self.at += plain_length(self.bytes.get(self.at..)?);
            let special = *self.bytes.get(self.at)?;
            self.at += 1;
            match special {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                self.at += 4;
            }
            _ => return None,
        }
        Some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word).then_some(())?;
        self.at += word.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        self.skip(b"-");
        match *self.bytes.get(self.at)? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Some(())
    }

    /// Takes a byte if it is one of these.
    fn skip(&mut self, these: &[u8]) -> bool {
        let is_one = self.bytes.get(self.at).is_some_and(|byte| these.contains(byte));
        self.at += usize::from(is_one);
        is_one
    }

    /// Takes one digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// The bytes that are looked at together in short strings, and in long ones.
const LANES: usize = 16;
const BLOCK: usize = 4 * LANES;

/// How many bytes come before the first that is special in a string: a quote, a backslash, or a control
/// character.
fn plain_length(bytes: &[u8]) -> usize {
    // Most strings are short.
    let mut length = plain_lanes(bytes.get(..BLOCK).unwrap_or(bytes));
    if length < BLOCK {
        return length;
    }
    for block in bytes.get(BLOCK..).unwrap_or_default().as_chunks::<BLOCK>().0 {
        let found = block.as_chunks().0.iter().fold(0, |found, lanes| found | special_lanes(lanes));
        if found != 0 {
            break;
        }
        length += BLOCK;
    }
    length + plain_lanes(bytes.get(length..).unwrap_or_default())
}

fn plain_lanes(bytes: &[u8]) -> usize {
    let (all, rest) = bytes.as_chunks();
    for (index, lanes) in all.iter().enumerate() {
        let found = special_lanes(lanes);
        if found != 0 {
            return index * LANES + first_lane(found);
        }
    }
    all.len() * LANES + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use simd::{first_lane, special_lanes};
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
use words::{first_lane, special_lanes};

/// Compilers write loops with SIMD instructions, but not a search of the first byte.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd {
    use std::arch::wasm32::{i8x16_bitmask, i8x16_lt, i8x16_splat, u8x16_eq, u8x16_splat, u64x2, v128_or, v128_xor};

    /// A bit for each byte: set if it is special.
    pub(super) fn special_lanes(lanes: &[u8; 16]) -> u16 {
        let [low, high] = lanes.as_chunks().0 else { return 0 };
        let lanes = u64x2(u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        // 2 moves the quote to the end of the control characters, and 80h all of them to the end of signed
        // numbers, whose comparison takes fewer instructions.
        let moved = v128_xor(lanes, u8x16_splat(0x82));
        let low = i8x16_lt(moved, i8x16_splat(-0x5F));
        i8x16_bitmask(v128_or(low, u8x16_eq(lanes, u8x16_splat(b'\\'))))
    }

    pub(super) fn first_lane(found: u16) -> usize {
        found.trailing_zeros() as usize
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod words {
    /// The highest bit of each byte: set if it is special. Of those that are set, the lowest is right; a
    /// borrow can only set higher ones.
    pub(super) fn special_lanes(lanes: &[u8; 16]) -> u128 {
        const ONES: u128 = u128::MAX / 255;
        let word = u128::from_le_bytes(*lanes);
        let has_zero = |word: u128| word.wrapping_sub(ONES) & !word;
        let is_control = word.wrapping_sub(ONES * 0x20) & !word;
        (is_control | has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5C))) & (ONES << 7)
    }

    pub(super) fn first_lane(found: u128) -> usize {
        found.trailing_zeros() as usize / 8
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The members as serde_json finds them; `None` if it refuses the text.
    fn known(text: &str) -> Option<Vec<(String, String)>> {
        #[derive(serde::Deserialize)]
        struct Any<'a>(#[serde(borrow)] &'a serde_json::value::RawValue);
        struct Pairs(Vec<(String, String)>);
        impl<'de> serde::Deserialize<'de> for Pairs {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Collect;
                impl<'de> serde::de::Visitor<'de> for Collect {
                    type Value = Pairs;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                        let mut pairs = Vec::new();
                        while let Some((key, value)) = map.next_entry::<String, Any<'_>>()? {
                            pairs.push((key, value.0.get().to_owned()));
                        }
                        Ok(Pairs(pairs))
                    }
                }
                deserializer.deserialize_map(Collect)
            }
        }
        serde_json::from_str::<Pairs>(text).ok().map(|pairs| pairs.0)
    }

    fn found(text: &str) -> Option<Vec<(String, String)>> {
        let members = members(text, usize::MAX)?;
        Some(members.into_iter().map(|(key, value)| (key.into_owned(), value.to_owned())).collect())
    }

    /// What is read here is read by serde_json in the same way.
    #[track_caller]
    fn assert_sound(text: &str) {
        if let Some(found) = found(text) {
            assert_eq!(Some(found), known(text), "{text}");
        }
    }

    #[test]
    fn json_is_read_here_and_not_left_to_serde() {
        let long = format!("{}\\n{}é\\u00e9{}", "x".repeat(63), "y".repeat(200), "z".repeat(129));
        let long = format!(r#"{{"a":"{long}","b":["{long}",{{"{long}":"{long}"}}]}}"#);
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        for text in [
            "{}",
            " { \n} \t",
            r#"{"a":1,"a":-0.5e+3,"\u0061\n":[],"":{}}"#,
            "\r\n{ \"k\" : [ 1 , {\"x\" : [ ] , \"y\":{ } } , \"\" ] ,\t\"t\":true,\"f\" : false, \"n\":null }\n",
            r#"{"a":[[],[[]],{"b":{"c":[{}]}}],"z":"\"\\\/\b\f\n\r\t\uD800"}"#,
            &long,
            &nested,
        ] {
            assert!(found(text).is_some(), "{text}");
            assert_sound(text);
        }
    }

    /// What is no JSON object.
    const REFUSED: &[&str] = &[
        "",
        " ",
        "{",
        "[]",
        "\"a\"",
        "1",
        "{}{}",
        "{} x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":tru}",
        "{\"a\":nulls}",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":{\"b\"}}",
        "{\"a\":{,}}",
        "{\"a\":\"x}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12",
        "{\"a\":\"x\ny\"}",
        "{\"\\ud800\":1}",
        "\u{feff}{}",
        "{\"a\":\u{a0}1}",
        "{\"a\":1}\0",
    ];

    #[test]
    fn what_is_no_json_or_unusual_is_left_to_serde() {
        let control = format!("{{\"a\":\"{}\u{1f}{}\"}}", "x".repeat(100), "y".repeat(100));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(66), "]".repeat(66));
        for text in REFUSED.iter().copied().chain([control.as_str(), deep.as_str()]) {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(members("{\"a\":1,\"b\":2}", 1), None);
        assert!(members("{\"a\":1}", 1).is_some());
    }

    #[test]
    fn special_bytes_are_found_at_every_place() {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 200, 300] {
            for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                let mut bytes = vec![plain; length];
                assert_eq!(plain_length(&bytes), length);
                for at in 0..length {
                    for special in [0, 1, 0x1f, b'"', b'\\'] {
                        bytes[at] = special;
                        // Another one after it changes nothing.
                        let last = std::mem::replace(&mut bytes[length - 1], b'"');
                        assert_eq!(plain_length(&bytes), at, "{length} {plain} {special}");
                        (bytes[length - 1], bytes[at]) = (last, plain);
                    }
                }
            }
        }
    }

    /// Texts that are JSON, or nearly.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[\\[\\]{},:\" \\\\]",
            2 => "[0-9eE+.\\-]{1,3}",
            2 => "\"[a-z\\\\\"/u0-9é]{0,8}\"",
            1 => "\"[ -~]{60,140}\"",
            1 => Just("true".to_owned()),
            1 => Just("null".to_owned()),
            1 => "\"[a-c]\":",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("{{\"a\":{}}}", pieces.concat()))
    }

    /// JSON values, some of them damaged in one place.
    fn damaged() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            "\"([ !#-\\[\\]-~é]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,90}\"",
        ];
        let value = leaf.prop_recursive(5, 40, 5, |inner| {
            let item = (inner.clone(), "[ \n]?").prop_map(|(value, space)| format!("{space}{value}{space}"));
            let member = ("[a-z]{0,3}", item.clone()).prop_map(|(key, value)| format!("\"{key}\" :{value}"));
            prop_oneof![
                proptest::collection::vec(item, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        });
        (value, any::<proptest::sample::Index>(), proptest::option::of("[ -~\n]")).prop_map(|(value, at, damage)| {
            let mut text = format!("{{\"k\":{value}}}");
            let at = at.index(text.len());
            if let Some(damage) = damage.filter(|_| text.is_char_boundary(at) && text.is_char_boundary(at + 1)) {
                text.replace_range(at..=at, &damage);
            }
            text
        })
    }

    proptest! {
        #[test]
        fn nothing_is_read_that_serde_refuses_or_reads_otherwise(text in nearly_json()) {
            assert_sound(&text);
        }

        #[test]
        fn json_is_read_as_serde_reads_it(text in damaged()) {
            assert_sound(&text);
            // Only a lone surrogate in a key, which is not made here, or depth could be left to serde.
            prop_assert_eq!(found(&text).is_some(), known(&text).is_some(), "{}", text);
        }
    }
}
