//! The settings of the admin API (`admin` in the file).

use super::yaml::Node;

/// The settings of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Days for which an entry of the audit log is kept.
    pub keep_audit_days: u64,
}

impl Default for AdminSettings {
    fn default() -> Self {
        Self { keep_audit_days: 400 }
    }
}

impl AdminSettings {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["keep_audit_days"])?;
        let default = Self::default();
        Some(Self {
            keep_audit_days: table
                .at("keep_audit_days")
                .and_then(|node| node.count(1))
                .unwrap_or(default.keep_audit_days),
        })
    }
}
