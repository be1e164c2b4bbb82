//! The error of a stored record that cannot be read.

use std::fmt;

/// A stored record that cannot be read. While there is one, the account or the registry is not opened:
/// without the record, limits could be exceeded or keys lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    table: &'static str,
    key: String,
    cause: String,
}

impl UnreadableRecord {
    /// Names the record by its table and its key there.
    pub(super) fn new(table: &'static str, key: impl fmt::Display, error: &serde_json::Error) -> Self {
        // The parser's own message may quote the record, which may hold a secret.
        let cause = match error.classify() {
            serde_json::error::Category::Eof | serde_json::error::Category::Io => "it is cut off",
            serde_json::error::Category::Syntax => "it is not JSON",
            serde_json::error::Category::Data => "a field is missing or of another type",
        };
        Self { table, key: key.to_string(), cause: format!("{cause}, at column {}", error.column()) }
    }
}

impl fmt::Display for UnreadableRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The stored record `{}` of the table `{}` cannot be read: {}.", self.key, self.table, self.cause)
    }
}

impl std::error::Error for UnreadableRecord {}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let error = serde_json::from_str::<(u32, u32)>(text).unwrap_err();
        UnreadableRecord::new("keys", 7, &error).to_string()
    }

    #[test]
    fn it_names_the_record_and_the_place() {
        assert_eq!(
            message("[1,"),
            "The stored record `7` of the table `keys` cannot be read: it is cut off, at column 3."
        );
        assert_eq!(
            message("[1;"),
            "The stored record `7` of the table `keys` cannot be read: it is not JSON, at column 3."
        );
    }

    #[test]
    fn it_does_not_quote_the_record() {
        let message = message(r#"[1,"secret"]"#);
        assert!(message.contains("a field is missing or of another type"), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}
