//! `param_config`: the edits that a model's row makes in each request. `provider::params` applies them.

use super::yaml::{Node, Table};

/// Edits of a request's top-level fields, in the order in which they are made. Values are JSON texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Fields that are always set.
    pub update: Vec<(String, String)>,
    /// Fields that are set if the client sent nothing or null.
    pub add: Vec<(String, String)>,
    /// Old and new names of fields that are renamed, one after the other.
    pub rename: Vec<(String, String)>,
    /// Fields that are removed last, by their new names.
    pub delete: Vec<String>,
}

impl Params {
    /// Whether there are no edits.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of all fields that are edited.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.update.iter().chain(&self.add).map(|(name, _)| name);
        let renamed = self.rename.iter().flat_map(|(old, new)| [old, new]);
        set.chain(renamed).chain(&self.delete).map(String::as_str)
    }
}

impl Params {
    /// `protected`: the fields that the provider's format does not let a row edit.
    pub(super) fn read(node: &Node<'_>, protected: &[&str]) -> Option<Self> {
        let table = node.table(&["update_params", "add_params", "rename_params", "delete_params"])?;
        let reader = Reader { table, protected };
        Some(Self {
            update: reader.settings("update_params"),
            add: reader.settings("add_params"),
            rename: reader.renames(),
            delete: reader.deletions(),
        })
    }
}

struct Reader<'t> {
    table: Table<'t>,
    protected: &'t [&'t str],
}

impl Reader<'_> {
    fn settings(&self, key: &str) -> Vec<(String, String)> {
        let setting = |(name, node): (String, Node<'_>)| {
            if self.may_edit(&name, &node) { Some((name, node.json()?)) } else { None }
        };
        self.entries(key).into_iter().filter_map(setting).collect()
    }

    fn renames(&self) -> Vec<(String, String)> {
        let rename = |(old, node): (String, Node<'_>)| {
            let new = node.text()?;
            (self.may_edit(&old, &node) && self.may_edit(&new, &node)).then_some((old, new))
        };
        self.entries("rename_params").into_iter().filter_map(rename).collect()
    }

    fn deletions(&self) -> Vec<String> {
        let items = self.table.at("delete_params").and_then(|node| node.list()).unwrap_or_default();
        items.into_iter().filter_map(|node| node.text().filter(|name| self.may_edit(name, &node))).collect()
    }

    fn entries(&self, key: &str) -> Vec<(String, Node<'_>)> {
        self.table.at(key).and_then(|node| node.entries()).unwrap_or_default()
    }

    /// Whether a row may edit a field; if not, that is a fault of the configuration.
    fn may_edit(&self, name: &str, node: &Node<'_>) -> bool {
        if !self.protected.contains(&name) {
            return true;
        }
        let protected = self.protected.join(", ");
        node.fault(format!("`{name}` is set by the gateway; param_config cannot edit {protected}"));
        false
    }
}
