//! A request that is written for a provider.

use std::borrow::Cow;
use std::fmt;

use crate::catalogue::Facts;

/// A request as a provider wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRequest {
    /// The path below the API's root, and the query: `/messages`.
    pub path: String,
    /// Headers besides the key and `content-type`, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: Vec<u8>,
    /// The fields that the provider does not support, by their names in OpenAI's or the client's format
    /// (`seed`, `messages[].name`), each once.
    /// [`ModelRequest::unmapped_fields`](crate::canonical::ModelRequest::unmapped_fields) are among them.
    pub dropped: Vec<Cow<'static, str>>,
    /// The values that the model or its host does not take, with those that were sent instead.
    pub adjusted: Vec<Adjustment>,
}

impl WrittenRequest {
    /// Adds what was changed before the request was written.
    pub fn add(&mut self, changes: Changes) {
        for name in changes.dropped {
            if !self.dropped.contains(&name) {
                self.dropped.push(name);
            }
        }
        self.adjusted.extend(changes.adjusted);
    }
}

/// What was changed in a request before it was written, besides what is lossless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Values that were replaced.
    pub adjusted: Vec<Adjustment>,
    /// Fields that were left out, by their names in OpenAI's format.
    pub dropped: Vec<Cow<'static, str>>,
}

/// A value that was replaced by one that the model or its host takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The field, by its name in OpenAI's format.
    pub field: &'static str,
    /// The client's value; empty if it sent none, or if it is not shown.
    pub from: String,
    /// The value that was sent.
    pub to: String,
}

impl Adjustment {
    /// An adjustment of a field.
    pub fn new(field: &'static str, from: String, to: String) -> Self {
        Self { field, from, to }
    }

    /// The instructions are all that a conversation holds. A model that demands a message of a user gets them as one.
    pub fn instructions_alone() -> Self {
        Self::new("messages", String::new(), "the instructions as the user's turn".to_owned())
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, from, to } = self;
        if from.is_empty() { write!(f, "{field}: {to}") } else { write!(f, "{field}: {from} -> {to}") }
    }
}

/// The model that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct WriteTarget<'a> {
    /// The provider's name for the model.
    pub model: &'a str,
    /// The most tokens that the model can generate, if known: for formats that require a limit.
    pub max_output: Option<u64>,
    /// The name of the limit that the provider honours, if the operator or the catalogue says: for formats
    /// that have several.
    pub limit_field: Option<&'a str>,
    /// What is known of the model and its host.
    pub facts: &'a Facts,
}
