//! The paths of the admin API.

use crate::error::Error;

/// The prefix of all paths of the admin API.
pub const ROOT: &str = "/admin/api";

/// The operations of the admin API. Each has one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Creates a key. Only this response and that of [`Action::Rotate`] contain the key's text.
    Create,
    /// Lists keys, a page at a time.
    List,
    /// Reads a key, without its text.
    Read,
    /// Changes fields of a key.
    Edit,
    /// Deletes a key and keeps its receipts.
    Delete,
    /// Replaces the text of a key.
    Rotate,
    /// Disables a key: its requests are refused until it is enabled.
    Disable,
    /// Enables a key that was disabled.
    Enable,
    /// Lists the receipts of a key, a page at a time.
    Receipts,
    /// Sums up the usage of all keys, or of one.
    Usage,
    /// Exports the receipts of a key as a file.
    ExportReceipts,
    /// Exports usage as a file.
    ExportUsage,
    /// Lists the versions of the signing secret.
    SigningSecrets,
    /// Adds a version of the signing secret.
    RenewSigning,
    /// Ends a version of the signing secret.
    EndSigning,
    /// Lists the targets and keys that are out.
    Health,
    /// Forgets that one of them is out, or all.
    ResetHealth,
    /// Returns the OpenAPI description of this API.
    Describe,
}

/// One row of the route table.
#[derive(Debug)]
pub struct AdminRoute {
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// The path below [`ROOT`]; `{id}` stands for one segment.
    pub path: &'static str,
    /// What the route does.
    pub action: Action,
}

const fn row(method: &'static str, path: &'static str, action: Action) -> AdminRoute {
    AdminRoute { method, path, action }
}

/// All routes. The rows of one path are adjacent.
pub const ROUTES: &[AdminRoute] = &[
    row("GET", "/keys", Action::List),
    row("POST", "/keys", Action::Create),
    row("GET", "/keys/{id}", Action::Read),
    row("PATCH", "/keys/{id}", Action::Edit),
    row("DELETE", "/keys/{id}", Action::Delete),
    row("POST", "/keys/{id}/rotate", Action::Rotate),
    row("POST", "/keys/{id}/disable", Action::Disable),
    row("POST", "/keys/{id}/enable", Action::Enable),
    row("GET", "/keys/{id}/receipts", Action::Receipts),
    row("GET", "/usage", Action::Usage),
    row("GET", "/export/receipts", Action::ExportReceipts),
    row("GET", "/export/usage", Action::ExportUsage),
    row("GET", "/signing-secrets", Action::SigningSecrets),
    row("POST", "/signing-secrets", Action::RenewSigning),
    row("DELETE", "/signing-secrets/{id}", Action::EndSigning),
    row("GET", "/health", Action::Health),
    row("POST", "/health/reset", Action::ResetHealth),
    row("GET", "/openapi.json", Action::Describe),
];

/// Whether a path belongs to the admin API, whether or not it has a route.
pub fn owns(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The 404 of a path below [`ROOT`] without a route.
pub fn unknown_path() -> Error {
    let message = format!("Unknown URL: the admin API has no such path. See {ROOT}/openapi.json for all paths.");
    Error::caller(404, "unknown_url", message)
}
