//! `param_config`: the edits that a model's row asks for in each request. It says what to do, not how.

use super::yaml::{Node, Table};

/// Edits of a request's top-level fields, in the order in which they are made. Values are JSON texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Set always.
    pub update: Vec<(String, String)>,
    /// Set where the client sent nothing (or null).
    pub add: Vec<(String, String)>,
    /// From old to new name, one after the other.
    pub rename: Vec<(String, String)>,
    /// Removed last, by their new names.
    pub delete: Vec<String>,
}

impl Params {
    /// Whether there is nothing to edit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of all fields that are touched.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.update.iter().chain(&self.add).map(|(name, _)| name);
        let renamed = self.rename.iter().flat_map(|(old, new)| [old, new]);
        set.chain(renamed).chain(&self.delete).map(String::as_str)
    }
}

/// Fields that the gateway itself answers for.
const PROTECTED: &[&str] = &["model", "messages", "stream"];

impl Params {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["update_params", "add_params", "rename_params", "delete_params"])?;
        Some(Self {
            update: settings(&table, "update_params"),
            add: settings(&table, "add_params"),
            rename: renames(&table),
            delete: deletions(&table),
        })
    }
}

fn settings(table: &Table<'_>, key: &str) -> Vec<(String, String)> {
    let entries = table.at(key).and_then(|node| node.entries()).unwrap_or_default();
    entries.into_iter().filter_map(|(name, node)| allowed(&name, &node).then(|| Some((name, node.json()?)))?).collect()
}

fn renames(table: &Table<'_>) -> Vec<(String, String)> {
    let entries = table.at("rename_params").and_then(|node| node.entries()).unwrap_or_default();
    let rename = |(old, node): (String, Node<'_>)| {
        let new = node.text()?;
        (allowed(&old, &node) && allowed(&new, &node)).then_some((old, new))
    };
    entries.into_iter().filter_map(rename).collect()
}

fn deletions(table: &Table<'_>) -> Vec<String> {
    let items = table.at("delete_params").and_then(|node| node.list()).unwrap_or_default();
    items.into_iter().filter_map(|node| node.text().filter(|name| allowed(name, &node))).collect()
}

fn allowed(name: &str, node: &Node<'_>) -> bool {
    let allowed = !PROTECTED.contains(&name);
    if !allowed {
        node.fault(format!(
            "`{name}` is the gateway's own to set; param_config may not touch {}",
            PROTECTED.join(", ")
        ));
    }
    allowed
}
