//! The JSON of contents in requests.

use serde::Serialize;

use crate::canonical::Raw;

/// Source: <https://ai.google.dev/api/caching#Content>.
#[derive(Serialize)]
pub(crate) struct ContentBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<&'static str>,
    pub(crate) parts: Vec<ContentPart<'a>>,
    /// Whether it has tool results, and whether it has calls.
    #[serde(skip)]
    pub(crate) results: bool,
    #[serde(skip)]
    pub(crate) calls: bool,
}

/// The data of a part: exactly one of these. Source: <https://ai.google.dev/api/caching#Part>.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum PartData<'a> {
    Text(&'a Raw<'a>),
    /// A text of the gateway's own.
    #[serde(rename = "text")]
    Filler(&'static str),
    InlineData(InlineBlob<'a>),
    FileData(FileData<'a>),
    FunctionCall(FunctionCallPart<'a>),
    FunctionResponse(FunctionResponsePart<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContentPart<'a> {
    #[serde(flatten)]
    pub(crate) data: PartData<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thought_signature: Option<Raw<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineBlob<'a> {
    pub(crate) mime_type: &'a str,
    pub(crate) data: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mime_type: Option<&'static str>,
    pub(crate) file_uri: &'a str,
}

#[derive(Serialize)]
pub(crate) struct FunctionCallPart<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) args: Raw<'a>,
}

#[derive(Serialize)]
pub(crate) struct FunctionResponsePart<'a> {
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) response: Raw<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<ContentPart<'a>>,
}

/// A tool result that is a text.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolOutcome<'a> {
    Result(&'a str),
    Error(&'a str),
}

#[derive(Serialize)]
pub(crate) struct EmptyObject {}
