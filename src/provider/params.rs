//! Applies the edits of `param_config` to a request: update, add, rename, delete, in this order. A null
//! counts as absent.

use crate::config::Params;
use crate::wire::json::Document;

/// Makes a row's edits in a request.
pub fn apply(document: &mut Document<'_>, params: &Params) {
    for (key, value) in &params.update {
        document.set(key, value.as_str());
    }
    for (key, value) in &params.add {
        if is_absent(document, key) {
            document.set(key, value.as_str());
        }
    }
    for (old, new) in &params.rename {
        if !is_absent(document, old) {
            document.rename(old, new);
        }
    }
    params.delete.iter().for_each(|key| document.remove(key));
}

fn is_absent(document: &Document<'_>, key: &str) -> bool {
    document.value(key).is_none_or(|value| value == "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn applied(params: &Params, body: &str) -> String {
        let mut document = Document::read(body.as_bytes()).unwrap();
        apply(&mut document, params);
        String::from_utf8(document.render().into_owned()).unwrap()
    }

    #[test]
    fn the_order_is_update_add_rename_delete() {
        let params = Params {
            update: pairs(&[("temperature", "0.6"), ("u", "1")]),
            add: pairs(&[("temperature", "0.9"), ("a", "2"), ("u", "5")]),
            rename: pairs(&[("max_tokens", "max_reasoning_token"), ("a", "a2")]),
            delete: vec!["u".into(), "a2".into(), "none".into()],
        };
        let body = r#"{"model":"m","messages":[],"max_tokens":5}"#;
        assert_eq!(applied(&params, body), r#"{"model":"m","messages":[],"max_reasoning_token":5,"temperature":0.6}"#);
    }

    #[test]
    fn the_clients_value_wins_over_add_and_loses_to_update() {
        let add = Params { add: pairs(&[("effort", "\"low\"")]), ..Params::default() };
        assert_eq!(applied(&add, r#"{"effort":"high"}"#), r#"{"effort":"high"}"#);
        assert_eq!(applied(&add, r#"{"effort":null}"#), r#"{"effort":"low"}"#);
        let update = Params { update: pairs(&[("effort", "\"low\"")]), ..Params::default() };
        assert_eq!(applied(&update, r#"{"effort":"high"}"#), r#"{"effort":"low"}"#);
    }

    #[test]
    fn renames_compose_in_order() {
        let params = Params { rename: pairs(&[("a", "b"), ("b", "c")]), ..Params::default() };
        assert_eq!(applied(&params, r#"{"a":1, "x":2}"#), r#"{"c":1, "x":2}"#);
    }
}
