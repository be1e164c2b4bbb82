//! Protobuf's binary encoding (<https://protobuf.dev/programming-guides/encoding/>), as far as OTLP needs it.

use super::encoder::Encoder;
use super::fields::Field;

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Protobuf {
    pub(super) bytes: Vec<u8>,
}

impl Protobuf {
    fn tag(&mut self, field: Field, kind: u8) {
        self.varint((u64::from(field.number) << 3) | u64::from(kind));
    }

    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    fn delimited(&mut self, field: Field, bytes: &[u8]) {
        self.tag(field, LENGTH_DELIMITED);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

impl Encoder for Protobuf {
    fn text(&mut self, field: Field, value: &str) {
        self.delimited(field, value.as_bytes());
    }

    fn id(&mut self, field: Field, value: &[u8]) {
        self.delimited(field, value);
    }

    fn truth(&mut self, field: Field, value: bool) {
        self.small(field, u32::from(value));
    }

    fn small(&mut self, field: Field, value: u32) {
        self.tag(field, VARINT);
        self.varint(u64::from(value));
    }

    fn fixed_small(&mut self, field: Field, value: u32) {
        self.tag(field, FIXED32);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn integer(&mut self, field: Field, value: u64) {
        self.tag(field, VARINT);
        self.varint(value.min(i64::MAX.unsigned_abs()));
    }

    fn fixed(&mut self, field: Field, value: u64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn number(&mut self, field: Field, value: f64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed_list(&mut self, field: Field, values: &[u64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.delimited(field, &bytes);
    }

    fn number_list(&mut self, field: Field, values: &[f64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.delimited(field, &bytes);
    }

    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.delimited(field, &inner.bytes);
    }

    fn messages<T>(&mut self, field: Field, items: &[T], write: impl Fn(&mut Self, &T)) {
        for item in items {
            self.message(field, |inner| write(inner, item));
        }
    }

    fn encoded(&mut self, field: Field, items: &[Vec<u8>]) {
        items.iter().for_each(|item| self.delimited(field, item));
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The value of a field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'b> {
    /// An integer.
    Varint(u64),
    /// A string or a message.
    Bytes(&'b [u8]),
    /// A field of another type, which is not read.
    Skipped,
}

/// The fields of a message in their order; `None` if it is malformed.
pub(super) fn read(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (tag, rest) = read_varint(bytes)?;
        let (value, rest) = match u8::try_from(tag & 7).ok()? {
            VARINT => read_varint(rest).map(|(value, rest)| (Value::Varint(value), rest))?,
            FIXED64 => (Value::Skipped, rest.get(8..)?),
            FIXED32 => (Value::Skipped, rest.get(4..)?),
            LENGTH_DELIMITED => {
                let (length, rest) = read_varint(rest)?;
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Value::Bytes(value), rest)
            }
            _ => return None,
        };
        fields.push((tag >> 3, value));
        bytes = rest;
    }
    Some(fields)
}

fn read_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field = Field { number: 1, name: "a" };

    #[test]
    fn integers_are_written_in_groups_of_seven_bits() {
        let cases: [(u64, &[u8]); 4] = [(0, &[8, 0]), (1, &[8, 1]), (150, &[8, 0x96, 1]), (300, &[8, 0xac, 2])];
        for (value, bytes) in cases {
            let mut message = Protobuf::default();
            message.integer(FIELD, value);
            assert_eq!(message.bytes, bytes, "{value}");
        }
    }

    #[test]
    fn the_largest_integer_is_that_of_an_int64() {
        let mut message = Protobuf::default();
        message.integer(FIELD, u64::MAX);
        assert_eq!(read(&message.bytes), Some(vec![(1, Value::Varint(i64::MAX.unsigned_abs()))]));
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut message = Protobuf::default();
        message.fixed_small(Field { number: 16, name: "b" }, 7);
        message.number(Field { number: 2, name: "c" }, 0.5);
        message.message(Field { number: 3, name: "d" }, |inner| inner.text(FIELD, "text"));
        let fields = read(&message.bytes).unwrap();
        assert_eq!(fields.first(), Some(&(16, Value::Skipped)));
        assert_eq!(fields.get(1), Some(&(2, Value::Skipped)));
        let Some((3, Value::Bytes(inner))) = fields.get(2) else { panic!("{fields:?}") };
        assert_eq!(read(inner), Some(vec![(1, Value::Bytes(b"text"))]));
    }

    #[test]
    fn malformed_messages_are_not_read() {
        let cut_off: [&[u8]; 4] = [&[8], &[8, 0x80], &[10, 5, 1], &[9, 1, 2]];
        let unknown: [&[u8]; 3] = [&[11], &[0xff; 11], &[10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]];
        for bytes in cut_off.into_iter().chain(unknown) {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
