//! Statements for a store in SQLite. Values are never part of their text.

/// A value of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// An integer.
    Number(u64),
    /// A text.
    Text(String),
}

/// A statement and the values of its `?`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlStatement {
    /// The text.
    pub text: String,
    /// The values.
    pub values: Vec<SqlValue>,
}

impl SqlStatement {
    /// Adds to the text, and the values of the `?` in it.
    pub(super) fn push(&mut self, text: &str, values: impl IntoIterator<Item = SqlValue>) {
        self.text.push_str(text);
        self.values.extend(values);
    }
}

/// The path of a tag in a column of tags, for `json_extract`.
pub(super) fn tag_path(name: &str) -> SqlValue {
    SqlValue::Text(format!("$.\"{name}\""))
}
