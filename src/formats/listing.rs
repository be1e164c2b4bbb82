//! How the models of a provider are listed, and how its list is read.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::wire::dense::parse_tree;

/// How a provider of a format lists its models.
#[derive(Clone, Copy, Debug)]
pub struct ModelListing {
    /// The path below the API's root, with a query that asks for as many as there may be.
    pub path: &'static str,
    /// The headers of the request, besides the key's.
    pub headers: &'static [(&'static str, &'static str)],
    /// What stands before each model's name.
    pub prefix: &'static str,
    /// What a model has to be able to do, where the list says so.
    pub methods: &'static [&'static str],
}

/// As most hosts list their models.
pub const PLAIN_LISTING: ModelListing = ModelListing { path: "/models", headers: &[], prefix: "", methods: &[] };

/// The most models of a provider that are kept.
const MAX_MODELS: usize = 2000;
/// The longest name of a model that is kept, in bytes.
const MAX_NAME: usize = 200;
/// The fields that hold the list; of some hosts it is the whole document.
const LISTS: &[&str] = &["data", "models"];
/// The fields that hold the name by which a model is called. Where there are two, the second is for people.
const NAMES: &[&str] = &["id", "name"];
/// The field that says what a model can do.
const METHODS: &str = "supportedGenerationMethods";

impl ModelListing {
    /// The names in a list, each once, in its order. `None` if the body is no list.
    pub fn read(&self, body: &[u8]) -> Option<Vec<String>> {
        let document = parse_tree(body)?;
        let list = document.as_array().or_else(|| LISTS.iter().find_map(|field| document.get(field)?.as_array()))?;
        let mut known = BTreeSet::new();
        let names = list.iter().filter(|model| self.may_call(model)).filter_map(|model| self.name(model));
        Some(names.filter(|name| known.insert(*name)).take(MAX_MODELS).map(str::to_owned).collect())
    }

    fn name<'m>(&self, model: &'m Value) -> Option<&'m str> {
        let name = NAMES.iter().find_map(|field| model.get(field)?.as_str()).or(model.as_str())?;
        let name = name.strip_prefix(self.prefix).unwrap_or(name);
        // A name in angle brackets would be a variant's.
        let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'*'));
        (is_plain && (1..=MAX_NAME).contains(&name.len())).then_some(name)
    }

    fn may_call(&self, model: &Value) -> bool {
        let Some(methods) = model.get(METHODS).and_then(Value::as_array) else { return true };
        methods.iter().filter_map(Value::as_str).any(|method| self.methods.contains(&method))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::PROVIDER_FORMATS;

    fn names(format: &str, body: &Value) -> Option<Vec<String>> {
        let format = PROVIDER_FORMATS.iter().find(|known| known.kind.name == format).unwrap();
        format.listing.unwrap().read(body.to_string().as_bytes())
    }

    #[test]
    fn lists_are_read_in_the_shape_of_each_format() {
        let data = serde_json::json!({ "object": "list", "data": [{ "id": "a/b-1", "object": "model" }, { "id": "c" }, { "id": "c" }] });
        assert_eq!(names("openai", &data).unwrap(), ["a/b-1", "c"]);
        assert_eq!(names("responses", &data).unwrap(), ["a/b-1", "c"]);
        let page = serde_json::json!({ "data": [{ "type": "model", "id": "claude-x", "display_name": "Claude X" }], "has_more": false });
        assert_eq!(names("anthropic", &page).unwrap(), ["claude-x"]);
        let models = serde_json::json!({ "models": [
            { "name": "models/gemini-x", "displayName": "X", "supportedGenerationMethods": ["generateContent", "countTokens"] },
            { "name": "models/embed-x", "supportedGenerationMethods": ["embedContent"] },
            { "name": "models/veo-x", "supportedGenerationMethods": ["predictLongRunning"] },
            { "name": "models/new-x" },
        ] });
        assert_eq!(names("gemini", &models).unwrap(), ["gemini-x", "embed-x", "new-x"]);
    }

    #[test]
    fn lists_of_other_hosts_are_read_as_well() {
        let bare = serde_json::json!([{ "id": "a", "name": "Model A" }, "b", 7, null, { "id": null, "name": "c" }]);
        assert_eq!(names("openai", &bare).unwrap(), ["a", "b", "c"]);
        assert_eq!(
            names("openai", &serde_json::json!({ "models": [{ "name": "llama3:8b" }] })).unwrap(),
            ["llama3:8b"]
        );
    }

    #[test]
    fn what_is_no_list_is_none_and_odd_names_are_left_out() {
        for body in
            [serde_json::json!({ "error": "no" }), serde_json::json!("a"), serde_json::json!({ "data": { "id": "a" } })]
        {
            assert_eq!(names("openai", &body), None);
        }
        let odd = ["", "a b", "a\r\nx: y", "é", "a<high>", "*", &"a".repeat(MAX_NAME + 1)]
            .map(|id| serde_json::json!({ "id": id }));
        assert_eq!(names("openai", &serde_json::json!({ "data": odd })).unwrap(), [""; 0]);
        let many: Vec<_> = (0..=MAX_MODELS).map(|number| serde_json::json!({ "id": number.to_string() })).collect();
        assert_eq!(names("openai", &serde_json::json!({ "data": many })).unwrap().len(), MAX_MODELS);
    }
}
