//! Model names in paths and bodies.

use crate::formats::path::segment;

/// The collections of models. A name without a collection belongs to the first.
const COLLECTIONS: &[&str] = &["models/", "tunedModels/"];

pub(crate) fn path(model: &str, stream: bool) -> String {
    let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/{}:{method}", resource(model))
}

/// A model's full name as part of a path: `models/gemini-2.5-flash`.
pub(crate) fn resource(model: &str) -> String {
    let (collection, name) = split(model);
    format!("{collection}{}", segment(name))
}

/// A model's full name in a body.
pub(crate) fn full_name(model: &str) -> String {
    let (collection, name) = split(model);
    format!("{collection}{name}")
}

fn split(model: &str) -> (&str, &str) {
    let named = COLLECTIONS.iter().find_map(|collection| Some((*collection, model.strip_prefix(collection)?)));
    named.unwrap_or(("models/", model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_in_its_collection_and_fits_a_path() {
        assert_eq!(path("gemini-2.5-flash", false), "/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("gemini-3-pro", true), "/models/gemini-3-pro:streamGenerateContent?alt=sse");
        assert_eq!(path("models/gemini-3-pro", false), "/models/gemini-3-pro:generateContent");
        assert_eq!(path("tunedModels/mine-1", false), "/tunedModels/mine-1:generateContent");
        assert_eq!(resource("odd/a?b#c:d e"), "models/odd%2Fa%3Fb%23c%3Ad%20e");
        assert_eq!(resource("models/../x"), "models/..%2Fx");
    }
}
