//! Whether the dashboard is served (`dashboard` in the file). Its files are left out when the gateway is
//! built, by a script that knows no YAML, so the key has to stand on a line of its own.

use super::yaml::Table;

/// How the file says that no dashboard is served; see `scripts/build-page.mjs`.
const OFF: &str = "dashboard: false";

/// Reads `dashboard`. The default is true.
pub(super) fn read(table: &Table<'_>, text: &str) -> bool {
    let Some(node) = table.at("dashboard") else { return true };
    let is_served = node.flag().unwrap_or(true);
    if !is_served && !text.lines().any(is_off) {
        node.fault(format!("expected the line `{OFF}`, spelled like this and not indented"));
    }
    is_served
}

/// Whether a line is [`OFF`], and nothing else but a comment.
fn is_off(line: &str) -> bool {
    line.strip_prefix(OFF).map(str::trim).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}
