//! API keys as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::{Millis, Nanos, OnDisconnect};
use crate::ids::AccountId;
use crate::ledger::key_text::version_of;
use crate::ledger::{self, ApiKey, key_schema};
use crate::wire::date::write_time;

/// A key as JSON.
#[derive(Serialize)]
pub struct KeyView<'a> {
    object: &'static str,
    id: &'a str,
    key_id: AccountId,
    name: Option<&'a str>,
    owner: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    hint: &'a str,
    /// The version of the secret that signed its text; `None` for a key made before keys were signed.
    signing_version: Option<u32>,
    status: &'static str,
    enabled: bool,
    created_at: String,
    updated_at: String,
    expires_at: Option<String>,
    models: Option<&'a [String]>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    concurrent_requests: Option<u64>,
    max_body_bytes: Option<u64>,
    on_disconnect: Option<OnDisconnect>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    show_attempts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'static str>,
    budget: Option<BudgetView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_alerts: Option<&'a [u32]>,
    parent: Option<&'a str>,
    /// In responses to creation: whether this request created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    /// Its text, only in the responses to creation and rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

#[derive(Serialize)]
struct BudgetView {
    amount_nanos: Nanos,
    fit: bool,
    per: &'static str,
}

/// A page of keys as JSON.
#[derive(Serialize)]
pub struct KeyList<'a> {
    /// Always `list`.
    pub object: &'static str,
    /// One page of keys, in the order of their creation.
    pub data: Vec<KeyView<'a>>,
    /// Whether more keys follow.
    pub has_more: bool,
    /// The `after` of the next page.
    pub next_after: Option<&'a str>,
}

/// The response to the deletion of a key.
#[derive(Serialize)]
pub struct DeletedKey<'a> {
    /// Always `key`.
    pub object: &'static str,
    /// The key's id.
    pub id: &'a str,
    /// Always true: the shape of OpenAI's responses to deletions.
    pub deleted: bool,
}

/// Renders a key, without its text.
pub fn view(record: &ApiKey, now: Millis) -> KeyView<'_> {
    let limits = &record.limits;
    let version = version_of(&record.hash);
    KeyView {
        object: "key",
        id: &record.id,
        key_id: record.account(),
        name: record.name.as_deref(),
        owner: record.owner.as_deref(),
        metadata: &record.metadata,
        hint: &record.hint,
        signing_version: (version > 0).then_some(version),
        status: record.status(now).name(),
        enabled: limits.enabled,
        created_at: write_time(record.created_at),
        updated_at: write_time(record.updated_at),
        expires_at: limits.expires_at.map(write_time),
        models: (!limits.models.is_empty()).then_some(&limits.models),
        requests_per_minute: limits.requests_per_minute,
        tokens_per_minute: limits.tokens_per_minute,
        concurrent_requests: limits.concurrent,
        max_body_bytes: limits.max_body_bytes,
        on_disconnect: limits.on_disconnect,
        show_attempts: limits.show_attempts,
        store: limits.never_stores.then_some("never"),
        budget: limits.budget.as_ref().map(BudgetView::from),
        budget_alerts: limits.budget_alerts.as_deref(),
        parent: record.parent(),
        created: None,
        key: None,
    }
}

impl<'a> KeyView<'a> {
    /// Adds whether this request created the key.
    pub fn with_created(self, created: bool) -> Self {
        Self { created: Some(created), ..self }
    }

    /// Adds the text of the key.
    pub fn with_text(self, text: &'a str) -> Self {
        Self { key: Some(text), ..self }
    }
}

impl From<&ledger::Budget> for BudgetView {
    fn from(budget: &ledger::Budget) -> Self {
        Self { amount_nanos: budget.nanos, fit: budget.fit, per: key_schema::period(budget.per) }
    }
}
