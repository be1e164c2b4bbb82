//! Writes records of the gateway's own as JSON: the same bytes as serde_json, for a third of the
//! instructions. serde_json looks at each byte of each string, and of each name, for characters to escape;
//! here eight bytes are looked at together, and the names of fields, which are ours, not at all.

use serde::ser::{
    Error, Impossible, Serialize, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct, Serializer,
};

/// About the length of a receipt or a summary, and some more.
const CAPACITY: usize = 1 << 10;

/// The JSON of a record: a value without maps and floating-point numbers. Any other is left to serde_json.
///
/// # Errors
/// JSON cannot be made of it.
pub fn to_string<T: Serialize>(record: &T) -> serde_json::Result<String> {
    let mut text = String::with_capacity(CAPACITY);
    match record.serialize(Writer(&mut text)) {
        Ok(()) => Ok(text),
        Err(_) => serde_json::to_string(record),
    }
}

/// Appends a value.
struct Writer<'t>(&'t mut String);

/// A value that is being written: its elements or fields follow one after the other.
struct Parts<'t> {
    text: &'t mut String,
    is_empty: bool,
    close: char,
}

impl<'t> Writer<'t> {
    fn open(self, open: char, close: char) -> Parts<'t> {
        self.0.push(open);
        Parts { text: self.0, is_empty: true, close }
    }

    fn integer(self, number: impl itoa::Integer) {
        self.0.push_str(itoa::Buffer::new().format(number));
    }
}

impl Parts<'_> {
    fn begin_next(&mut self) {
        if !std::mem::take(&mut self.is_empty) {
            self.text.push(',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.begin_next();
        value.serialize(Writer(self.text))
    }

    fn close(self) {
        self.text.push(self.close);
    }
}

/// Whether nothing in a text has to be escaped.
fn is_plain(text: &str) -> bool {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut last = [b' '; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    !words.iter().chain([&last]).any(|word| has_escapes(u64::from_le_bytes(*word)))
}

/// Whether one of eight bytes is a quote, a backslash or a control character.
fn has_escapes(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of a byte that is below `least`, which is at most 128; and of some after it.
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word & (ONES << 7);
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) != 0
}

fn foreign<T>() -> serde_json::Result<T> {
    Err(Error::custom("this is no record"))
}

impl<'t> Serializer for Writer<'t> {
    type Ok = ();
    type Error = serde_json::Error;
    type SerializeSeq = Parts<'t>;
    type SerializeTuple = Parts<'t>;
    type SerializeTupleStruct = Parts<'t>;
    type SerializeTupleVariant = Impossible<(), serde_json::Error>;
    type SerializeMap = Impossible<(), serde_json::Error>;
    type SerializeStruct = Parts<'t>;
    type SerializeStructVariant = Impossible<(), serde_json::Error>;

    fn serialize_bool(self, value: bool) -> serde_json::Result<()> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> serde_json::Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> serde_json::Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> serde_json::Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> serde_json::Result<()> {
        self.integer(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> serde_json::Result<()> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> serde_json::Result<()> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> serde_json::Result<()> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> serde_json::Result<()> {
        self.integer(value);
        Ok(())
    }

    fn serialize_f32(self, _: f32) -> serde_json::Result<()> {
        foreign()
    }

    fn serialize_f64(self, _: f64) -> serde_json::Result<()> {
        foreign()
    }

    fn serialize_char(self, _: char) -> serde_json::Result<()> {
        foreign()
    }

    fn serialize_str(self, text: &str) -> serde_json::Result<()> {
        if is_plain(text) {
            self.0.push('"');
            self.0.push_str(text);
            self.0.push('"');
        } else {
            self.0.push_str(&serde_json::to_string(text)?);
        }
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> serde_json::Result<()> {
        foreign()
    }

    fn serialize_none(self) -> serde_json::Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> serde_json::Result<()> {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> serde_json::Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> serde_json::Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> serde_json::Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> serde_json::Result<()> {
        let mut parts = self.open('{', '}');
        SerializeStruct::serialize_field(&mut parts, variant, value)?;
        SerializeStruct::end(parts)
    }

    fn serialize_seq(self, _: Option<usize>) -> serde_json::Result<Parts<'t>> {
        Ok(self.open('[', ']'))
    }

    fn serialize_tuple(self, _: usize) -> serde_json::Result<Parts<'t>> {
        Ok(self.open('[', ']'))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> serde_json::Result<Parts<'t>> {
        Ok(self.open('[', ']'))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> serde_json::Result<Self::SerializeTupleVariant> {
        foreign()
    }

    fn serialize_map(self, _: Option<usize>) -> serde_json::Result<Self::SerializeMap> {
        foreign()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> serde_json::Result<Parts<'t>> {
        Ok(self.open('{', '}'))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> serde_json::Result<Self::SerializeStructVariant> {
        foreign()
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.element(value)
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.element(value)
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

impl SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> serde_json::Result<()> {
        self.element(value)
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = serde_json::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> serde_json::Result<()> {
        debug_assert!(is_plain(name), "the name of a field is written as it is");
        self.begin_next();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        value.serialize(Writer(self.text))
    }

    fn end(self) -> serde_json::Result<()> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    enum Kind {
        Plain,
        Listed(Vec<Inner>),
    }

    #[derive(Serialize)]
    struct Pair(Cow<'static, str>, u64, i16);

    #[derive(Clone, Default, Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Inner {
        first_text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        maybe: Option<u64>,
        always: Option<bool>,
        texts: Vec<(String, u8)>,
    }

    #[derive(Serialize)]
    struct Outer {
        kinds: Vec<Kind>,
        pairs: Vec<Pair>,
        nothing: (),
        inner: Box<Inner>,
    }

    fn outer(text: &str, number: u64) -> Outer {
        let inner = Inner {
            first_text: text.to_owned(),
            maybe: number.is_multiple_of(2).then_some(number),
            always: number.is_multiple_of(3).then_some(number.is_multiple_of(2)),
            texts: vec![(text.repeat(2), 7), (String::new(), 255)],
        };
        let kinds = vec![Kind::Plain, Kind::Listed(vec![inner.clone(), Inner::default()]), Kind::Listed(Vec::new())];
        let pairs = vec![Pair(text.to_owned().into(), number, -3)];
        Outer { kinds, pairs, nothing: (), inner: Box::new(inner) }
    }

    proptest! {
        #[test]
        fn a_record_is_written_as_serde_json_does(text in any::<String>(), plain in "[ -~]{0,40}", number in any::<u64>()) {
            for text in [text, plain] {
                let record = outer(&text, number);
                prop_assert_eq!(to_string(&record).unwrap(), serde_json::to_string(&record).unwrap());
            }
        }
    }

    #[test]
    fn each_byte_that_is_escaped_is_seen_at_each_place() {
        for byte in 0..=0x7f_u8 {
            let is_escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
            for before in 0..17 {
                let text = format!("{}{}é\u{80}", "x".repeat(before), char::from(byte));
                assert_eq!(is_plain(&text), !is_escaped, "{text:?}");
            }
        }
    }

    #[test]
    fn what_is_no_record_is_left_to_serde_json() {
        let map = BTreeMap::from([("a", Some(1.5)), ("b", None)]);
        assert_eq!(to_string(&map).unwrap(), r#"{"a":1.5,"b":null}"#);
        assert_eq!(to_string(&(1, map)).unwrap(), r#"[1,{"a":1.5,"b":null}]"#);
        assert!(to_string(&BTreeMap::from([(vec![1], 2)])).is_err());
    }
}
