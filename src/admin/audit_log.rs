//! The audit log as it is stored: its commands, how entries reach it, and how they are listed.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::audit::{AuditEntry, FieldChange};
use super::json_response::json;
use super::query::{Query, invalid};
use super::routes::ROUTES;
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{Bridge, Platform, Response, ask_soon};
use crate::telemetry::{Event, EventKind, RuntimeFailure};
use crate::wire::date::{DAY, read_day, read_time, write_day, write_time};

/// The parameters of [`list`].
pub const PARAMETERS: &[&str] = &["from", "to", "actor", "action", "limit", "before"];

/// The most entries that are stored.
pub const MAX_ENTRIES: u64 = 50_000;
/// The most of them that record a refusal, so that a key without rights cannot push out what others did.
pub const MAX_REFUSALS: u64 = 2_000;

/// The default and the maximum number of entries on a page.
const PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 500;
/// The largest number that JSON carries exactly in every client: 2^53 − 1.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;
/// How often an entry is sent before it is written to the log instead.
const MAX_SENDINGS: usize = 2;

/// A command to the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditCommand {
    /// Stores an entry.
    Record {
        /// The entry.
        entry: Box<AuditEntry>,
        /// Sign-ins with unknown keys in the isolate since its last command.
        failed_sign_ins: u64,
    },
    /// Reads entries.
    Read(AuditQuery),
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Entries at this time or later.
    pub from: Option<Millis>,
    /// Entries before this time.
    pub to: Option<Millis>,
    /// Entries of this actor.
    pub actor: Option<String>,
    /// Entries with this action.
    pub action: Option<String>,
    /// How many at most.
    pub limit: u64,
    /// Entries with a smaller number.
    pub before: Option<u64>,
    /// As in [`AuditCommand::Record`].
    pub failed_sign_ins: u64,
}

/// The response of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuditResponse {
    /// The entry is stored.
    Recorded,
    /// Entries.
    Page(AuditPage),
}

/// Entries, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Each entry and its number.
    pub entries: Vec<(u64, AuditEntry)>,
    /// Whether older entries match as well.
    pub has_more: bool,
    /// Sign-ins with unknown keys, newest day first.
    pub failed_sign_ins: Vec<FailedSignIns>,
    /// How many entries are stored.
    pub stored: u64,
}

/// The sign-ins with unknown keys of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedSignIns {
    /// The day in UTC, counted from 1970-01-01.
    pub day: u64,
    /// How many there were.
    pub count: u64,
}

/// An entry as JSON.
#[derive(Serialize)]
struct EntryView<'a> {
    object: &'static str,
    number: u64,
    id: &'a str,
    at: String,
    request_id: &'a str,
    actor: &'a str,
    address: Option<&'a str>,
    action: &'a str,
    subject: &'a str,
    status: u16,
    changes: &'a [FieldChange],
}

#[derive(Serialize)]
struct EntryList<'a> {
    object: &'static str,
    data: Vec<EntryView<'a>>,
    has_more: bool,
    next_before: Option<u64>,
    failed_sign_ins: Vec<FailedSignInsView>,
    store: StoreView,
}

#[derive(Serialize)]
struct FailedSignInsView {
    day: String,
    count: u64,
}

/// How full the audit log is.
#[derive(Serialize)]
struct StoreView {
    entries: u64,
    max_entries: u64,
    keep_days: u64,
}

/// Sends an entry to the audit log in the background. An entry that does not arrive is written to the log.
pub fn record<P: Platform>(bridge: &Rc<Bridge>, platform: &P, entry: AuditEntry) {
    let failed_sign_ins = bridge.admin_state().take_failed_sign_ins();
    let (bridge, sending) = (Rc::clone(bridge), platform.clone());
    platform.keep(async move {
        let lost = serde_json::to_string(&entry).unwrap_or_default();
        let command = AuditCommand::Record { entry: Box::new(entry), failed_sign_ins };
        for _ in 0..MAX_SENDINGS {
            if let Ok(AuditResponse::Recorded) = ask(&sending, &command).await {
                return;
            }
        }
        bridge.admin_state().add_failed_sign_ins(failed_sign_ins);
        let kind = EventKind::Runtime(RuntimeFailure::AuditLost(&lost));
        sending.log(&Event { at: sending.now(), kind });
    });
}

/// Lists entries, newest first.
///
/// # Errors
/// 400 with the name of the invalid parameter, 503 if the audit log cannot be read.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let query = read_query(query)?;
    let failed_sign_ins = bridge.admin_state().take_failed_sign_ins();
    let asked = ask(platform, &AuditCommand::Read(AuditQuery { failed_sign_ins, ..query })).await;
    let Ok(AuditResponse::Page(page)) = asked else {
        bridge.admin_state().add_failed_sign_ins(failed_sign_ins);
        return Err(if asked == Err(ObjectError::Unbound) { unbound() } else { unreachable() });
    };
    Ok(json(200, &view(&page, bridge.admin_settings().keep_audit_days)))
}

fn read_query(query: &Query) -> Result<AuditQuery> {
    let (from, to) = (read_bound(query, "from", 0)?, read_bound(query, "to", DAY)?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(invalid("from", "be earlier than `to`"));
    }
    let action = query.text("action");
    if action.is_some_and(|name| ROUTES.iter().all(|route| route.audit_name != name)) {
        let mut names: Vec<&str> = ROUTES.iter().map(|route| route.audit_name).collect();
        names.sort_unstable();
        names.dedup();
        return Err(invalid("action", &format!("be one of {}", names.join(", "))));
    }
    Ok(AuditQuery {
        from,
        to,
        actor: query.text("actor").map(str::to_owned),
        action: action.map(str::to_owned),
        limit: query.count("limit", MAX_PAGE_SIZE)?.unwrap_or(PAGE_SIZE),
        before: query.count("before", MAX_NUMBER)?,
        failed_sign_ins: 0,
    })
}

/// A time, or a day in UTC: its beginning, or `length` later.
fn read_bound(query: &Query, name: &'static str, length: Millis) -> Result<Option<Millis>> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let day = || read_day(text).map(|day| day.saturating_mul(DAY).saturating_add(length));
    let rule = "be a time such as 2026-11-23T05:39:05Z, or a day such as 2026-11-23";
    read_time(text).or_else(day).map(Some).ok_or_else(|| invalid(name, rule))
}

fn view(page: &AuditPage, keep_days: u64) -> EntryList<'_> {
    let last = page.entries.last().map(|(number, _)| *number);
    EntryList {
        object: "list",
        data: page.entries.iter().map(|(number, entry)| view_entry(*number, entry)).collect(),
        has_more: page.has_more,
        next_before: if page.has_more { last } else { None },
        failed_sign_ins: page
            .failed_sign_ins
            .iter()
            .map(|FailedSignIns { day, count }| FailedSignInsView { day: write_day(*day), count: *count })
            .collect(),
        store: StoreView { entries: page.stored, max_entries: MAX_ENTRIES, keep_days },
    }
}

fn view_entry(number: u64, entry: &AuditEntry) -> EntryView<'_> {
    EntryView {
        object: "audit_entry",
        number,
        id: &entry.id,
        at: write_time(entry.at),
        request_id: &entry.request_id,
        actor: &entry.actor,
        address: entry.address.as_deref(),
        action: &entry.action,
        subject: &entry.subject,
        status: entry.status,
        changes: &entry.changes,
    }
}

async fn ask<P: Platform>(platform: &P, command: &AuditCommand) -> Result<AuditResponse, ObjectError> {
    let command = serde_json::to_string(command).map_err(|_| ObjectError::Unreachable)?;
    let response = ask_soon(platform, ObjectAddress::Operations(OperationsPart::Audit), command).await?;
    serde_json::from_str(&response).map_err(|_| ObjectError::Unreachable)
}

fn unbound() -> Error {
    let message = "The Durable Object binding OPERATIONS of the audit log is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "audit_log_unavailable", message).with_header("retry-after", "1")
}

fn unreachable() -> Error {
    let message = "The audit log cannot be read. Retry shortly.";
    Error::gateway(503, "audit_log_unavailable", message).with_header("retry-after", "1")
}
