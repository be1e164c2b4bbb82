//! A request that is written for a provider.

use std::borrow::Cow;

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
}
