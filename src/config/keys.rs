//! Where a provider's keys come from.

use super::yaml::{Node, Table};

/// The source of a provider's keys.
#[derive(Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The provider needs no key.
    Keyless,
    /// Secrets, or else the key in the file.
    Secrets {
        /// The variables that hold the keys; at least one.
        variables: Vec<KeyVariable>,
        /// The key in the file (`api_key`), which counts if no variable is set. Discouraged.
        inline: Option<String>,
    },
}

/// A variable that holds keys, separated by commas or white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVariable {
    /// Its name, such as `OPENAI_API_KEY`.
    pub name: String,
    /// The account of its keys: keys of one account share limits and money. Without it, each key is an
    /// account of its own.
    pub account: Option<String>,
    /// The share of each of its keys, in proportion to the other keys' weights; at least 1.
    pub weight: u32,
}

/// The largest weight of a key: sums of weights stay exact.
const MAX_WEIGHT: u64 = 1_000;

impl KeyVariable {
    fn plain(name: String) -> Self {
        Self { name, account: None, weight: 1 }
    }
}

impl KeySource {
    /// Reads `keys`, or `api_key_env` and `api_key`, of a provider's row.
    pub(super) fn read(provider: &str, table: &Table<'_>) -> Self {
        let named = table.at("api_key_env").and_then(|node| variable(&node, true));
        let inline = table.at("api_key").and_then(|node| {
            node.note("everybody who can read this file can read the key; set it as a secret instead");
            node.text()
        });
        if let Some(node) = table.at("keys") {
            if named.is_some() || inline.is_some() {
                node.fault("`keys` replaces `api_key_env` and `api_key`; write one or the other");
            }
            return Self::Secrets { variables: variables(&node), inline: None };
        }
        if named.as_deref() == Some("none") {
            return Self::Keyless;
        }
        let name = named.unwrap_or_else(|| provider_variable(provider, "API_KEY"));
        Self::Secrets { variables: vec![KeyVariable::plain(name)], inline }
    }
}

/// A variable of a provider: `MY_HOST_API_KEY` for `my-host` and `API_KEY`.
pub fn provider_variable(provider: &str, what: &str) -> String {
    let upper = provider.to_ascii_uppercase().replace(['-', '.'], "_");
    format!("{upper}_{what}")
}

fn variables(node: &Node<'_>) -> Vec<KeyVariable> {
    let Some(items) = node.list() else { return Vec::new() };
    if items.is_empty() {
        node.fault("name at least one variable, or set `api_key_env: none` for a host that takes no key");
    }
    let mut found: Vec<KeyVariable> = Vec::new();
    for item in &items {
        let Some(variable) = key_variable(item) else { continue };
        if found.iter().any(|other| other.name == variable.name) {
            item.fault(format!("`{}` is listed twice", variable.name));
        }
        found.push(variable);
    }
    found
}

fn key_variable(node: &Node<'_>) -> Option<KeyVariable> {
    if node.word().is_some() {
        return variable(node, false).map(KeyVariable::plain);
    }
    let table = node.table(&["env", "account", "weight"])?;
    let Some(env) = table.at("env") else {
        node.fault("`env` is missing: the variable that holds the key");
        return None;
    };
    let weight = table.at("weight").and_then(|node| {
        let weight = node.count(1)?;
        if weight > MAX_WEIGHT {
            node.fault(format!("expected at most {MAX_WEIGHT}"));
        }
        u32::try_from(weight.min(MAX_WEIGHT)).ok()
    });
    let account = table.at("account").and_then(|node| node.text());
    Some(KeyVariable { name: variable(&env, false)?, account, weight: weight.unwrap_or(1) })
}

/// The name of a variable. `or_none`: it may be the word for a host that takes no key.
pub(super) fn variable(node: &Node<'_>, or_none: bool) -> Option<String> {
    let name = node.text()?;
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let none = if or_none { ", or `none` for a host that takes no key" } else { "" };
        node.fault(format!("expected the name of a variable (letters, digits, `_`){none}"));
    }
    Some(name)
}
