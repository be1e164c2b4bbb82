//! Requests whose work must not be done twice.

use super::service;
use crate::wire::json::Document;
use crate::wire::list;

/// Kinds of output that are dear to generate.
const DEAR_OUTPUT: &[&str] = &["audio", "image"];

/// Whether the work that a request asks for has effects, or is dear: a stored response, a response in the
/// background, tools that run at the provider, sound or images.
pub(super) fn has_effects(document: &Document<'_>) -> bool {
    let is_set = |field: &str| document.value(field).is_some_and(|value| value == "true");
    let mut is_dear = false;
    if let Some(kinds) = document.value("modalities") {
        // What is not a list of words is for the provider to refuse.
        let _ = list::each(kinds, |kind: &str| {
            is_dear |= DEAR_OUTPUT.contains(&kind);
            true
        });
    }
    is_dear || is_set("store") || is_set("background") || service::adds_to_prompt(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeatable(body: &str) -> bool {
        !has_effects(&Document::read(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_plain_chat_may_be_repeated() {
        assert!(repeatable(r#"{"messages":[],"store":false,"modalities":["text"],"tools":[{"type":"function"}]}"#));
    }

    #[test]
    fn work_with_effects_may_not_be_repeated() {
        for field in [
            r#""store":true"#,
            r#""background":true"#,
            r#""modalities":["text","audio"]"#,
            r#""modalities":["image"]"#,
            r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#,
        ] {
            assert!(!repeatable(&format!("{{{field}}}")), "{field}");
        }
    }
}
