//! The settings of the reasoning store (`vault` in the file).

use super::units::Millis;
use super::yaml::Node;

/// Whether reasoning state is stored for clients that cannot carry it, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vault {
    /// Whether it is stored.
    pub enabled: bool,
    /// How long it is stored.
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
