//! The paths of the admin API.

use crate::error::Error;

/// The prefix of all paths of the admin API.
pub const ROOT: &str = "/admin/api";

/// The operations of the admin API. Each has one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Says who asks, and what they may do.
    Session,
    /// Lists providers and models, also those that cannot be called.
    Models,
    /// Says from where the calls of each provider leave.
    Egress,
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
    /// Reads what is used of the limits of a key.
    Standing,
    /// Shows the configuration as it is served.
    Config,
    /// Checks a configuration that is not in use.
    CheckConfig,
    /// Lists the receipts of a key, a page at a time.
    Receipts,
    /// Takes the request ids out of the receipts of a key.
    Anonymize,
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
    /// Lists the newest lines of log files.
    Logs,
    /// Sums up the requests of some days across keys.
    Reports,
    /// Lists requests across keys, a page at a time.
    Requests,
    /// Reads a request.
    Request,
    /// Deletes the requests of a key, or with some tags.
    DeleteRequests,
    /// Ends a request that is running.
    EndRequest,
    /// Opens a WebSocket that shows requests live.
    Live,
    /// Issues a ticket for it.
    LiveTicket,
    /// Says how full the stores are.
    Stores,
    /// Lists the entries of the audit log, newest first.
    Audit,
    /// Reads what alerts are raised, and where notices were sent.
    Alerts,
    /// Sends a test to all destinations of alerts.
    TestAlerts,
    /// Returns the OpenAPI description of this API.
    Describe,
}

/// What a route does to the gateway, and so which admin keys may call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It changes nothing: read-only admin keys may call it.
    Read,
    /// It changes something: full admin keys only.
    Write,
}

impl Action {
    /// The access that the route of this operation needs. An operation without a route needs full access.
    pub fn access(self) -> Access {
        self.route().map_or(Access::Write, |route| route.access)
    }

    /// The name of this operation in the audit log.
    pub fn audit_name(self) -> &'static str {
        self.route().map_or(READ, |route| route.audit_name)
    }

    fn route(self) -> Option<&'static AdminRoute> {
        ROUTES.iter().find(|route| route.action == self)
    }
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
    /// Which admin keys may call it.
    pub access: Access,
    /// The name of the operation in the audit log.
    pub audit_name: &'static str,
}

/// The name of all operations that change nothing in the audit log: it holds them only if they were refused.
const READ: &str = "read";

const fn read(path: &'static str, action: Action) -> AdminRoute {
    AdminRoute { method: "GET", path, action, access: Access::Read, audit_name: READ }
}

/// A route that changes something. Each call of it is an entry of the audit log with this name.
const fn write(method: &'static str, path: &'static str, action: Action, audit_name: &'static str) -> AdminRoute {
    AdminRoute { method, path, action, access: Access::Write, audit_name }
}

/// All routes. The rows of one path are adjacent.
pub const ROUTES: &[AdminRoute] = &[
    read("/session", Action::Session),
    read("/models", Action::Models),
    read("/egress", Action::Egress),
    read("/keys", Action::List),
    write("POST", "/keys", Action::Create, "key.create"),
    read("/keys/{id}", Action::Read),
    write("PATCH", "/keys/{id}", Action::Edit, "key.edit"),
    write("DELETE", "/keys/{id}", Action::Delete, "key.delete"),
    write("POST", "/keys/{id}/rotate", Action::Rotate, "key.rotate"),
    write("POST", "/keys/{id}/disable", Action::Disable, "key.disable"),
    write("POST", "/keys/{id}/enable", Action::Enable, "key.enable"),
    read("/keys/{id}/standing", Action::Standing),
    read("/keys/{id}/receipts", Action::Receipts),
    write("POST", "/keys/{id}/anonymize", Action::Anonymize, "key.anonymize"),
    read("/usage", Action::Usage),
    read("/export/receipts", Action::ExportReceipts),
    read("/export/usage", Action::ExportUsage),
    read("/signing-secrets", Action::SigningSecrets),
    write("POST", "/signing-secrets", Action::RenewSigning, "signing_secret.renew"),
    write("DELETE", "/signing-secrets/{id}", Action::EndSigning, "signing_secret.end"),
    read("/health", Action::Health),
    write("POST", "/health/reset", Action::ResetHealth, "health.reset"),
    read("/logs", Action::Logs),
    read("/reports", Action::Reports),
    read("/requests", Action::Requests),
    write("DELETE", "/requests", Action::DeleteRequests, "requests.delete"),
    read("/requests/{id}", Action::Request),
    write("POST", "/requests/{id}/end", Action::EndRequest, "request.end"),
    read("/live", Action::Live),
    AdminRoute { method: "POST", ..read("/live", Action::LiveTicket) },
    read("/config", Action::Config),
    AdminRoute { method: "POST", ..read("/config/check", Action::CheckConfig) },
    read("/stores", Action::Stores),
    read("/audit", Action::Audit),
    read("/alerts", Action::Alerts),
    write("POST", "/alerts/test", Action::TestAlerts, "alerts.test"),
    read("/openapi.json", Action::Describe),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_for_get_alone_but_for_tickets_and_checks() {
        for route in ROUTES {
            let keeps_nothing = matches!(route.action, Action::LiveTicket | Action::CheckConfig);
            let is_read = route.method == "GET" || keeps_nothing;
            assert_eq!(route.access == Access::Read, is_read, "{route:?}");
            assert_eq!(route.action.access(), route.access, "{route:?}");
        }
    }

    #[test]
    fn each_change_has_a_name_of_its_own_in_the_audit_log() {
        for route in ROUTES {
            let is_read = route.audit_name == READ;
            assert_eq!(is_read, route.access == Access::Read, "{route:?}");
            let same = ROUTES.iter().filter(|other| other.audit_name == route.audit_name).count();
            assert!(is_read || same == 1, "{route:?}");
            assert_eq!(route.action.audit_name(), route.audit_name);
        }
    }

    #[test]
    fn each_operation_has_one_route() {
        for route in ROUTES {
            assert_eq!(ROUTES.iter().filter(|other| other.action == route.action).count(), 1, "{route:?}");
        }
    }
}
