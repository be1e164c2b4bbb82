//! What the operator says of the vault. Words of the file, not deeds.

use super::units::Millis;
use super::yaml::Node;

/// Where that is kept which providers want back, and clients cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vault {
    /// Whether anything is.
    pub enabled: bool,
    /// For so long.
    pub life: Millis,
}

impl Default for Vault {
    fn default() -> Self {
        Self { enabled: true, life: 86_400_000 }
    }
}

impl Vault {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["enabled", "keep_seconds"])?;
        let default = Self::default();
        Some(Self {
            enabled: table.at("enabled").and_then(|node| node.flag()).unwrap_or(default.enabled),
            life: table.at("keep_seconds").and_then(|node| node.seconds()).unwrap_or(default.life),
        })
    }
}
