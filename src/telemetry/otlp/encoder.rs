//! What both encodings of a message can write.

use super::fields::Field;

/// Writes the fields of one message.
pub(super) trait Encoder: Default {
    /// A string.
    fn text(&mut self, field: Field, value: &str);
    /// The id of a trace or a span.
    fn id(&mut self, field: Field, value: &[u8]);
    /// A `bool`.
    fn truth(&mut self, field: Field, value: bool);
    /// An enum, or a `uint32`.
    fn small(&mut self, field: Field, value: u32);
    /// A `fixed32`.
    fn fixed_small(&mut self, field: Field, value: u32);
    /// An `int64`; larger values than it has become its largest.
    fn integer(&mut self, field: Field, value: u64);
    /// A `fixed64`.
    fn fixed(&mut self, field: Field, value: u64);
    /// A `double`.
    fn number(&mut self, field: Field, value: f64);
    /// A packed list of `fixed64`.
    fn fixed_list(&mut self, field: Field, values: &[u64]);
    /// A packed list of `double`.
    fn number_list(&mut self, field: Field, values: &[f64]);
    /// A message.
    fn message(&mut self, field: Field, write: impl FnOnce(&mut Self));
    /// A repeated message: one for each item.
    fn messages<T>(&mut self, field: Field, items: &[T], write: impl Fn(&mut Self, &T));
    /// A repeated message: items that this encoder has encoded before.
    fn encoded(&mut self, field: Field, items: &[Vec<u8>]);
    /// The message that was written.
    fn into_bytes(self) -> Vec<u8>;
}
