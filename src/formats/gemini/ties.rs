//! What ties a request to one account: contents, files and stores that lie there.
//! Sources: <https://ai.google.dev/api/caching>, <https://ai.google.dev/api/files>, <https://ai.google.dev/api/file-search>.

use super::request::is_stored;
use crate::formats::ties::{TieField, TieRules};

/// What ties a request.
pub(super) const TIES: TieRules = TieRules {
    dotted: false,
    hints: &["fileUri", "file_uri", "earchStoreNames", "earch_store_names"],
    holders: &[
        "contents",
        "parts",
        "fileData",
        "file_data",
        "functionResponse",
        "function_response",
        "systemInstruction",
        "system_instruction",
        "tools",
        "fileSearch",
        "file_search",
        "generateContentRequest",
        "generate_content_request",
    ],
    fields: &[
        TieField { ties: is_stored, ..TieField::stored("fileUri") },
        TieField { ties: is_stored, ..TieField::stored("file_uri") },
        TieField::stored("cachedContent"),
        TieField::stored("cached_content"),
        TieField::stored("fileSearchStoreNames"),
        TieField::stored("file_search_store_names"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn what_is_stored_ties_a_request() {
        let tie = |body: &str| TIES.tie(&Document::read(body.as_bytes()).unwrap()).map(|tie| tie.field);
        let stored = |body: &str, field: &str| assert_eq!(tie(body).as_deref(), Some(field), "{body}");
        let uri = "https://generativelanguage.googleapis.com/v1beta/files/abc";
        let part = |part: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"x"}},{part}]}}]}}"#);
        stored(&part(&format!(r#"{{"fileData":{{"fileUri":"{uri}"}}}}"#)), "contents[0].parts[1].fileData.fileUri");
        let result = format!(r#"{{"functionResponse":{{"parts":[{{"file_data":{{"file_uri":"{uri}"}}}}]}}}}"#);
        stored(&part(&result), "contents[0].parts[1].functionResponse.parts[0].file_data.file_uri");
        stored(r#"{"cachedContent":"cachedContents/a"}"#, "cachedContent");
        stored(r#"{"cached_content":"cachedContents/a"}"#, "cached_content");
        let store = r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/a"]}}]}"#;
        stored(store, "tools[0].fileSearch.fileSearchStoreNames");
        let counted = format!(r#"{{"generateContentRequest":{}}}"#, r#"{"cachedContent":"cachedContents/a"}"#);
        stored(&counted, "generateContentRequest.cachedContent");
        for free in [
            part(r#"{"fileData":{"fileUri":"https://youtu.be/abc"}}"#),
            part(r#"{"functionCall":{"args":{"fileUri":"files/a"}}}"#),
            part(r#"{"functionResponse":{"response":{"fileData":{"fileUri":"files/a"}}}}"#),
            r#"{"cachedContent":"","contents":[]}"#.to_owned(),
        ] {
            assert_eq!(tie(&free), None, "{free}");
        }
    }
}
