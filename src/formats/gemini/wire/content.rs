//! The JSON of what is said in a request.

use serde::Serialize;

use crate::canonical::Raw;

/// <https://ai.google.dev/api/caching#Content>
#[derive(Serialize)]
pub(crate) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    pub(crate) parts: Vec<Piece<'a>>,
    /// It has results, and calls.
    #[serde(skip)]
    pub(crate) results: bool,
    #[serde(skip)]
    pub(crate) calls: bool,
}

/// Exactly one of them, and perhaps a signature. <https://ai.google.dev/api/caching#Part>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Datum<'a> {
    Text(&'a Raw<'a>),
    InlineData(Blob<'a>),
    FileData(File<'a>),
    FunctionCall(FunctionCall<'a>),
    FunctionResponse(FunctionResponse<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Piece<'a> {
    #[serde(flatten)]
    pub(crate) datum: Datum<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thought_signature: Option<Raw<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Blob<'a> {
    pub(crate) mime_type: &'a str,
    pub(crate) data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime_type: Option<&'static str>,
    pub(crate) file_uri: &'a str,
}

#[derive(Serialize)]
pub(crate) struct FunctionCall<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) args: Raw<'a>,
}

#[derive(Serialize)]
pub(crate) struct FunctionResponse<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) response: Raw<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Piece<'a>>,
}

/// What came of a call that gave a text.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome<'a> {
    Result(&'a str),
    Error(&'a str),
}

#[derive(Serialize)]
pub(crate) struct Nothing {}
