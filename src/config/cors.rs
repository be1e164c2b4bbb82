//! The web origins that may call the gateway.

use super::yaml::Node;

/// Stands for every origin.
const ANY: &str = "*";

/// The web origins that may read responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Every origin.
    Any,
    /// The listed origins, each as `scheme://host[:port]`.
    Only(Vec<String>),
}

impl Cors {
    /// Whether it lists this origin by name.
    pub fn names(&self, origin: &str) -> bool {
        matches!(self, Self::Only(origins) if origins.iter().any(|listed| listed == origin))
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        Self::read_origins(&node.table(&["origins"])?.at("origins")?)
    }

    /// Reads a list of origins, or `*` for all of them.
    pub(super) fn read_origins(origins: &Node<'_>) -> Option<Self> {
        if origins.word() == Some(ANY) {
            return Some(Self::Any);
        }
        let mut only = Vec::new();
        for item in origins.list()? {
            let origin = item.text()?;
            if origin == ANY {
                return Some(Self::Any);
            }
            if !origin.contains("://") || origin.ends_with('/') {
                item.fault("expected an origin such as https://app.example.com, without a path, or \"*\"");
            }
            only.push(origin);
        }
        Some(Self::Only(only))
    }
}
