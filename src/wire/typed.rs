//! Reads JSON into types that keep most values as they were written ([`RawValue`]). Of a conversation that is
//! translated, each level is read in that way, so that texts are passed over several times. `serde_json` does
//! that eight bytes at a time; this does it as fast as `members.rs`.

use std::borrow::Cow;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;
use serde_json::value::RawValue;

use super::members::{Scanner, decoded};

/// How `serde_json` asks for a [`RawValue`]: a name of its own, which a test holds against it.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// As in `serde_json`: what nests without end must not fill the stack.
const MAX_DEPTH: u8 = 128;

/// Reads JSON, as `serde_json::from_str` does it, except for the words of errors and for keys that are
/// numbers.
///
/// # Errors
/// If it is not JSON, or something else than `T`.
pub fn from_str<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, Error> {
    let mut reader = Reader::new(json);
    let value = T::deserialize(&mut reader)?;
    if reader.scanner.peek().is_some() { Err(Error::custom("trailing characters")) } else { Ok(value) }
}

/// Reads JSON from its beginning to its end.
pub(super) struct Reader<'de> {
    text: &'de str,
    scanner: Scanner<'de>,
    /// The brackets that are open, except for those in values that are taken whole.
    depth: u8,
}

impl<'de> Reader<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, scanner: Scanner::new(text), depth: 0 }
    }

    /// Checks how the value begins that follows.
    fn expect(&mut self, start: u8) -> Result<(), Error> {
        if self.scanner.peek() == Some(start) { Ok(()) } else { Err(Error::custom("another kind of value")) }
    }

    /// Takes a value as it is written.
    // In each of the types that are read, it would be code of its own.
    #[inline(never)]
    fn value(&mut self) -> Result<&'de str, Error> {
        self.scanner.peek();
        let start = self.scanner.at;
        if self.scanner.value().is_none() {
            // It is wrong or deep, which serde_json tells apart.
            let rest = self.text.get(start..).unwrap_or_default();
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
            values.next().ok_or_else(malformed)??;
            self.scanner.at = start + values.byte_offset();
        }
        self.text.get(start..self.scanner.at).ok_or_else(malformed)
    }
}

fn malformed() -> Error {
    Error::custom("malformed JSON")
}

/// Methods of a deserializer for what is short or rare: `serde_json` reads the value.
macro_rules! leave_to_serde_json {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            serde_json::Deserializer::from_str(self.value()?).$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    leave_to_serde_json! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_bytes deserialize_byte_buf deserialize_unit
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(b'"')?;
        visit_text(self.value()?, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.value()?;
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.scanner.peek() != Some(b'n') {
            return visitor.visit_some(self);
        }
        self.value()?;
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        if name == RAW_VALUE { visitor.visit_map(AsWritten(self.value()?)) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(b'{')?;
        let mut parts = Parts::open(self)?;
        let value = visitor.visit_map(Members(&mut parts))?;
        parts.close(b'}')?;
        Ok(value)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.expect(b'[')?;
        let mut parts = Parts::open(self)?;
        let value = visitor.visit_seq(Items(&mut parts))?;
        parts.close(b']')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.scanner.peek() == Some(b'[') { self.deserialize_seq(visitor) } else { self.deserialize_map(visitor) }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        serde_json::Deserializer::from_str(self.value()?).deserialize_enum(name, variants, visitor)
    }
}

fn visit_text<'de, V: Visitor<'de>>(json: &'de str, visitor: V) -> Result<V::Value, Error> {
    match decoded(json).ok_or_else(malformed)? {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// What is inside of brackets.
struct Parts<'r, 'de> {
    reader: &'r mut Reader<'de>,
    is_first: bool,
    ended: bool,
}

impl<'r, 'de> Parts<'r, 'de> {
    /// Takes the opening bracket.
    fn open(reader: &'r mut Reader<'de>) -> Result<Self, Error> {
        reader.scanner.at += 1;
        reader.depth += 1;
        if reader.depth >= MAX_DEPTH {
            Err(Error::custom("too deep"))
        } else {
            Ok(Self { reader, is_first: true, ended: false })
        }
    }

    /// Takes what stands before a part: nothing before the first one, or else a comma. `false` if it was the
    /// end, which is a bracket.
    #[inline(never)]
    fn next(&mut self, bracket: u8) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let scanner = &mut self.reader.scanner;
        let byte = scanner.peek().ok_or_else(malformed)?;
        self.ended = byte == bracket;
        match (std::mem::take(&mut self.is_first), byte) {
            (true, _) if !self.ended => return Ok(true),
            (false, b',') => {}
            _ if self.ended => {}
            _ => return Err(malformed()),
        }
        scanner.at += 1;
        Ok(!self.ended)
    }

    /// Checks that nothing is left: a tuple has all of its parts before it has seen the end.
    fn close(mut self, bracket: u8) -> Result<(), Error> {
        if self.next(bracket)? {
            return Err(Error::custom("parts are left"));
        }
        self.reader.depth -= 1;
        Ok(())
    }
}

struct Members<'p, 'r, 'de>(&'p mut Parts<'r, 'de>);

impl<'de> MapAccess<'de> for Members<'_, '_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.0.next(b'}')? {
            return Ok(None);
        }
        let Reader { text, scanner, .. } = &mut *self.0.reader;
        let key = scanner.key().and_then(|place| text.get(place)).ok_or_else(malformed)?;
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.0.reader)
    }
}

struct Items<'p, 'r, 'de>(&'p mut Parts<'r, 'de>);

impl<'de> SeqAccess<'de> for Items<'_, '_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.0.next(b']')? { seed.deserialize(&mut *self.0.reader).map(Some) } else { Ok(None) }
    }
}

/// The key of a member, a JSON string.
struct Key<'de>(&'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visit_text(self.0, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A value as it is written, in the form in which `serde_json` hands over a [`RawValue`].
struct AsWritten<'de>(&'de str);

impl<'de> MapAccess<'de> for AsWritten<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(RAW_VALUE)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what is read is compared as it is printed")]
    struct Typed<'a> {
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
        #[serde(borrow, default)]
        text: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        list: Vec<&'a RawValue>,
        #[serde(default)]
        number: Option<f64>,
        #[serde(default)]
        inner: Option<Box<Typed<'a>>>,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        pair: Option<(u8, bool)>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        One,
        Two,
    }

    /// What is read here is what serde_json reads.
    fn assert_same<'a, T: Deserialize<'a> + Debug>(json: &'a str) {
        let (own, known) = (from_str::<T>(json), serde_json::from_str::<T>(json));
        assert_eq!(format!("{:?}", own.ok()), format!("{:?}", known.ok()), "{json}");
    }

    fn assert_all_same(json: &str) {
        assert_same::<Typed<'_>>(json);
        assert_same::<&RawValue>(json);
        assert_same::<Box<RawValue>>(json);
        assert_same::<Option<&RawValue>>(json);
        assert_same::<Vec<&RawValue>>(json);
        assert_same::<Vec<Option<Cow<'_, str>>>>(json);
        assert_same::<std::collections::BTreeMap<Cow<'_, str>, &RawValue>>(json);
        assert_same::<Value>(json);
        assert_same::<String>(json);
        assert_same::<&str>(json);
        assert_same::<(u8, u8)>(json);
        assert_same::<Kind>(json);
        assert_same::<()>(json);
        assert_same::<serde::de::IgnoredAny>(json);
    }

    #[test]
    fn a_value_as_it_is_written_is_borrowed() {
        let json = r#" {"raw": [1, {"a":"\u00e9"}] , "text":"plain"} "#;
        let read: Typed<'_> = from_str(json).unwrap();
        let raw = read.raw.unwrap().get();
        assert_eq!(raw, r#"[1, {"a":"\u00e9"}]"#);
        assert!(json.as_bytes().as_ptr_range().contains(&raw.as_ptr()));
        assert_eq!(read.text.as_deref(), Some("plain"));
        assert_eq!(from_str::<&str>(" \"plain\" ").unwrap(), "plain");
    }

    /// JSON that is what it should be, or is not.
    const CASES: &[&str] = &[
        r#"{"raw":null,"text":"a\nb","list":[1,"x",{}],"number":-1.5e3,"kind":"one","pair":[1,true]}"#,
        r#"{"inner":{"inner":{"raw":1},"list":[]},"other":{"a":[1]},"kind":"two"}"#,
        r#"{"raw":1,"raw":2}"#,
        r#"{"raw":1} x"#,
        r#"{"raw":1,}"#,
        r#"{"raw":1 "text":"x"}"#,
        r#"{"raw"}"#,
        r#"{"kind":"three"}"#,
        r#"{"text":7}"#,
        r#"{"text":"\ud800"}"#,
        r#"{"raw":"\ud800"}"#,
        r#"{"\ud800":1}"#,
        r#"{"pair":[1,true,2]}"#,
        r#"{"pair":[1]}"#,
        r#"{"number":01}"#,
        r#"{"raw":nul}"#,
        r#"{"list":[1,]}"#,
        r#"{"list":[,1]}"#,
        r#"{"list":[1}"#,
        r#"[null,"x"]"#,
        r#"["a", "b\\" ,null]"#,
        "[1,2]",
        "[1,2,3]",
        "[]",
        "{}",
        "nul",
        "null",
        "true",
        "\"one\"",
        "\"o\\u006ee\"",
        "",
        " ",
        "{",
        "[",
        "[1",
        "{\"raw\":1",
    ];

    #[test]
    fn all_kinds_of_values_are_read_and_refused_as_by_serde_json() {
        CASES.iter().for_each(|json| assert_all_same(json));
        let long = format!(r#"{{"raw":"{0}\"{0}","text":"{0}","list":["{0}",{{"{0}":1}}]}}"#, "x".repeat(150));
        assert_all_same(&long);
        for depth in [60, 70, 126, 127, 128, 200] {
            for inside in ["7", "", "7,"] {
                let deep = format!(r#"{{"raw":{}{inside}{}}}"#, "[".repeat(depth), "]".repeat(depth));
                assert_all_same(&deep);
                let inner = format!("{}{{{inside}}}{}", r#"{"inner":"#.repeat(depth), "}".repeat(depth));
                assert_all_same(&inner.replace("{7}", "{}"));
            }
        }
    }

    /// Texts that are JSON, or nearly, with the names that are known.
    fn nearly_json() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[\\[\\]{},: ]",
            2 => "[0-9eE+.\\-]{1,2}",
            2 => "\"[a-z\\\\\"/u0-9é]{0,6}\"",
            1 => Just("null".to_owned()),
            1 => Just("true".to_owned()),
            3 => prop_oneof!["raw", "text", "list", "number", "inner", "kind", "pair"].prop_map(|name| format!("\"{name}\":")),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn typed() -> impl Strategy<Value = String> {
        let leaf =
            prop_oneof![Just("null"), Just("7"), Just("\"one\""), Just("\"a\\n\""), Just("[1,true]"), Just("[]")];
        let name = prop_oneof!["raw", "text", "list", "number", "inner", "kind", "pair", "other"];
        leaf.prop_map(str::to_owned).prop_recursive(3, 20, 4, move |inner| {
            let members = proptest::collection::vec((name.clone(), inner.clone()), 0..4);
            let members = members.prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
                format!("{{{}}}", members.join(","))
            });
            prop_oneof![
                members,
                proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[ {} ]", items.join(",")))
            ]
        })
    }

    proptest! {
        #[test]
        fn what_may_be_json_is_read_as_by_serde_json(text in nearly_json()) {
            assert_all_same(&text);
            assert_all_same(&format!("{{{text}}}"));
            assert_all_same(&format!("[{text}]"));
        }

        #[test]
        fn what_is_json_is_read_as_by_serde_json(text in typed()) {
            assert_all_same(&text);
        }
    }
}
