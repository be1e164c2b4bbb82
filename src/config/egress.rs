//! How the calls of a provider leave the gateway: the keys of its row that say so.

use std::rc::Rc;

use super::proxies::ProviderProxy;
use super::regions::RegionRule;
use super::yaml::{Node, Table};

/// How the calls of a provider or of a model leave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EgressRule {
    /// Directly, or through the provider's proxy.
    #[default]
    Direct,
    /// By a service or VPC binding of this name.
    Binding(Rc<str>),
    /// By a Durable Object that was placed in a region.
    Region(RegionRule),
}

/// A provider's row, as far as it decides how calls leave.
#[derive(Clone, Copy)]
pub(super) struct EgressReader<'p> {
    pub(super) table: &'p Table<'p>,
    /// What the row says of a proxy.
    pub(super) proxy: &'p ProviderProxy,
    /// Whether the provider is called at an address.
    pub(super) is_remote: bool,
}

impl EgressReader<'_> {
    /// How the calls of the provider leave. `None` after a fault.
    pub(super) fn provider(self) -> Option<EgressRule> {
        match self.table.at("binding") {
            Some(node) => {
                self.table.at("region").and_then(|node| self.region(&node));
                binding(&node)
            }
            None => self.table.at("region").map_or(Some(EgressRule::Direct), |node| self.region(&node)),
        }
    }

    /// What a model's row says itself of how its calls leave.
    pub(super) fn model(self, table: &Table<'_>) -> Option<EgressRule> {
        self.region(&table.at("region")?)
    }

    fn region(self, node: &Node<'_>) -> Option<EgressRule> {
        let rule = RegionRule::read(node)?;
        if !self.is_remote {
            node.note("this has no effect: the adapter calls no address");
            return None;
        }
        match (rule, self.conflict()) {
            (Some(_), Some(reason)) => {
                node.fault(reason);
                None
            }
            (Some(rule), None) => Some(EgressRule::Region(rule)),
            (None, Some(_)) => None,
            (None, None) => Some(EgressRule::Direct),
        }
    }

    /// Why the provider and its models cannot have a region.
    fn conflict(self) -> Option<&'static str> {
        if self.table.at("binding").is_some() {
            return Some(
                "the provider is called by a binding, whose calls leave from what is behind it; write one or the other",
            );
        }
        matches!(self.proxy, ProviderProxy::Shared | ProviderProxy::Own(_)).then_some(
            "the provider is called through a proxy, whose calls leave from the proxy; write one or the other",
        )
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
