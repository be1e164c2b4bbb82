//! How the calls of a provider leave the gateway: the keys of its row that say so.

use std::rc::Rc;

use super::yaml::{Node, Table};

/// How the calls of a provider leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EgressRule {
    /// Directly.
    #[default]
    Direct,
    /// By a service or VPC binding of this name.
    Binding(Rc<str>),
}

impl EgressRule {
    /// Reads the keys of a provider's row. `None` after a fault.
    pub(super) fn read(table: &Table<'_>) -> Option<Self> {
        match table.at("binding") {
            Some(node) => binding(&node),
            None => Some(Self::Direct),
        }
    }
}

fn binding(node: &Node<'_>) -> Option<EgressRule> {
    let name = node.text()?;
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !is_name(&name) {
        node.fault("expected the name of a binding in wrangler.toml, such as HOME_SERVER");
        return None;
    }
    Some(EgressRule::Binding(name.into()))
}
