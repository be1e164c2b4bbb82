//! What is used of a key's limits at the moment.

use serde::Serialize;

use super::account::{account_of, must_exist};
use super::json_response::json;
use crate::config::Nanos;
use crate::error::{Error, Result};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, LimitStanding};

#[derive(Serialize)]
struct StandingView<'s> {
    object: &'static str,
    key_id: &'s AccountId,
    spent_nanos: Option<Nanos>,
    reserved_nanos: Nanos,
    running_requests: u64,
    requests_in_minute: u64,
    tokens_in_minute: u64,
}

/// What is used of the limits of a key.
///
/// # Errors
/// 404 if there is no such key, 503 if its account cannot be reached.
pub async fn read<P: Platform>(bridge: &Bridge, platform: &P, id: &str) -> Result<Response<P>> {
    let account = account_of(id)?;
    must_exist(bridge, platform, &account).await?;
    let response = gateway::ask_account(platform, &account, &AccountCommand::Standing).await?;
    let AccountResponse::Standing(LimitStanding { spent, reserved, running, requests, tokens }) = response else {
        return Err(unavailable());
    };
    let view = StandingView {
        object: "standing",
        key_id: &account,
        spent_nanos: spent,
        reserved_nanos: reserved,
        running_requests: running,
        requests_in_minute: requests,
        tokens_in_minute: tokens,
    };
    Ok(json(200, &view))
}

fn unavailable() -> Error {
    let message = "The account of this key does not say what is used. Retry shortly.";
    Error::gateway(503, "accounts_unavailable", message)
}
