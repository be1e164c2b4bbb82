//! Takes the request ids, which callers may choose, out of the receipts of a key. Amounts stay, so that all
//! sums stay exact.

use serde::Serialize;

use super::account::{account_of, must_exist};
use super::audit_trail::AuditTrail;
use super::json_response::json;
use super::query::Query;
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ledger::{AccountCommand, AccountResponse};

/// The parameters of [`run`].
pub const PARAMETERS: &[&str] = &["member", "before"];

/// The largest number that JSON carries exactly in every client: 2^53 − 1.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// How often the account is asked to go on. A request may make 50 calls on the free plan.
const MAX_COMMANDS: usize = 20;

#[derive(Serialize)]
struct Anonymized {
    object: &'static str,
    anonymized: u64,
    /// `false`: the call has to be repeated, with `next_before` as `before`.
    is_complete: bool,
    next_before: Option<u64>,
}

/// Anonymizes the receipts in the account of a key; with `member`, only those of this member of the key.
///
/// # Errors
/// 400 for an invalid parameter, 404 if there is no such key, 503 if its account cannot be reached.
pub async fn run<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    trail: &AuditTrail,
    id: &str,
    query: &Query,
) -> Result<Response<P>> {
    let account = account_of(id)?;
    let key = query.text("member").map(account_of).transpose()?;
    let (mut anonymized, mut before) = (0u64, query.count("before", MAX_NUMBER)?);
    for _ in 0..MAX_COMMANDS {
        let command = AccountCommand::Anonymize { key: key.clone(), before };
        let AccountResponse::Anonymized { receipts, next } = gateway::ask_account(platform, &account, &command).await?
        else {
            let message = "The account of this key did not respond as expected. Retry shortly.";
            return Err(Error::gateway(503, "accounts_unavailable", message));
        };
        anonymized = anonymized.saturating_add(receipts);
        trail.changed(id, &serde_json::json!({ "receipts": anonymized, "of": key }), &());
        before = next;
        if next.is_none() {
            break;
        }
    }
    if anonymized == 0 {
        must_exist(bridge, platform, &account).await?;
    }
    let is_complete = before.is_none();
    Ok(json(200, &Anonymized { object: "anonymization", anonymized, is_complete, next_before: before }))
}
