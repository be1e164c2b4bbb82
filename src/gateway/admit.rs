//! Admission: asks a key's accounts for the most that a request can take.

use super::admission::{Admission, Caller, is_unlimited};
use super::bridge::Bridge;
use super::cost_estimate::CostEstimate;
use super::lease::LeaseRenewal;
use super::measure::measure_limit;
use super::platform::{ObjectAddress, Platform};
use super::refusal::{RefusedRequest, rate_limit_headers, refusal_error};
use crate::config::{Millis, Nanos};
use crate::error::{Error, Result};
use crate::ids::{AccountId, KeyHash};
use crate::ledger::{AccountCommand, AccountResponse, AdmissionRefusal, AdmissionRequest, KeyLimits};

/// Refuses a caller whose key is known here to be invalid. No account is asked, so that a key that was
/// withdrawn costs no more than one that never existed.
///
/// # Errors
/// 401 if an account has said so in the last 4 s.
pub fn recall<P: Platform>(bridge: &Bridge, platform: &P, caller: &Caller) -> Result<()> {
    let now = platform.now();
    match caller.hash.as_ref().and_then(|hash| bridge.known.verdict(hash, now)) {
        Some(Err(refusal)) => Err(refusal_error(&refusal, None)),
        Some(Ok(limits)) if !limits.are_valid(now) => Err(refusal_error(&AdmissionRefusal::Inactive, None)),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Checks that a caller's key is valid, and reserves nothing.
///
/// # Errors
/// 401 if it is not; 503 if its account cannot be reached.
pub async fn check<P: Platform>(bridge: &Bridge, platform: &P, caller: &Caller) -> Result<()> {
    let Some(hash) = &caller.hash else { return Ok(()) };
    recall(bridge, platform, caller)?;
    let limits = match bridge.known.limits(hash, platform.now()) {
        Some(limits) => limits,
        None => match ask_account(platform, &caller.key_id, &AccountCommand::CheckKey(hash.clone())).await? {
            AccountResponse::Granted { limits, .. } => {
                bridge.known.learn(hash, Ok(limits.clone()), platform.now());
                limits
            }
            response => return Err(refused(bridge, platform, hash, response, None)),
        },
    };
    // An invalid parent has effect on its members at once.
    let Some(parent) = limits.parent else { return Ok(()) };
    match ask_account(platform, &parent, &AccountCommand::CheckParent).await? {
        AccountResponse::Granted { .. } => Ok(()),
        response => Err(refused(bridge, platform, hash, response, None)),
    }
}

/// Asks the key's accounts to admit a request. The account of a key without limits is asked every few seconds
/// only.
///
/// # Errors
/// 401, 403, 413 or 429 as its account says; 503 if that cannot be reached.
pub async fn admit<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    caller: &Caller,
    estimate: impl FnOnce() -> CostEstimate,
) -> Result<Admission> {
    let id = format!("{:032x}", platform.random_u128());
    let accounts = if bridge.config.accounting.receipts { vec![caller.key_id.clone()] } else { Vec::new() };
    let mut admission = Admission { id, accounts, ..Admission::default() };
    let Some(hash) = &caller.hash else { return Ok(admission) };
    let (now, estimate) = (platform.now(), estimate());
    if let Some(limits) = bridge.known.limits(hash, now).filter(is_unlimited) {
        admission.adopt(&limits);
        return allowed(&limits, &estimate, now)
            .map(|()| admission)
            .map_err(|refusal| refused_here(platform, &refusal));
    }
    let usage = estimate.usage();
    let refused_request = Some(RefusedRequest { tier: usage.tier.as_deref(), names: estimate.names });
    let mut request = estimate.request(&admission.id, hash, &usage);
    let limits = match ask_to_admit(platform, &caller.key_id, &[], &request).await? {
        AccountResponse::Granted { limits, rate_limits, limit } => {
            admission.accept(&caller.key_id, &limits, rate_limits);
            admission.shorten(&mut request, limit, limits.budget.is_some());
            bridge.known.learn(hash, Ok(limits.clone()), now);
            limits
        }
        response => return Err(refused(bridge, platform, hash, response, refused_request)),
    };
    if let Some(parent) = limits.parent {
        (request.hash, request.fit) = (None, limits.budget.is_some_and(|budget| budget.fit));
        request.draft.iter_mut().for_each(|draft| draft.member = true);
        let response = ask_to_admit(platform, &parent, &[&caller.key_id], &request).await?;
        let AccountResponse::Granted { limit, limits, .. } = response else {
            release(platform, &[&caller.key_id], &admission.id).await;
            return Err(refused(bridge, platform, hash, response, refused_request));
        };
        admission.shorten(&mut request, limit, limits.budget.is_some());
        admission.on_disconnect = admission.on_disconnect.or(limits.on_disconnect);
        admission.accounts.push(parent);
    }
    if admission.limited && request.draft.is_some() {
        platform.state().lease.replace(Some(LeaseRenewal::new(&admission, usage, now)));
    }
    Ok(admission)
}

/// Asks an account to admit a request. If it cannot be reached, it releases what it may have reserved, and so
/// do the accounts that have `granted` the request.
async fn ask_to_admit<P: Platform>(
    platform: &P,
    account: &AccountId,
    granted: &[&AccountId],
    request: &AdmissionRequest,
) -> Result<AccountResponse> {
    let response = ask_account(platform, account, &AccountCommand::Admit(request.clone())).await;
    if response.is_err() {
        release(platform, granted, &request.id).await;
        release(platform, &[account], &request.id).await;
    }
    response
}

/// Raises what is reserved for a request to `cost` nano-dollars, before an attempt that follows one which a
/// provider may bill for. A request without a budget has nothing reserved.
///
/// # Errors
/// As the accounts say; 503 if one cannot be reached, or is too old to know of several attempts.
pub(super) async fn raise<P: Platform>(platform: &P, admission: &Admission, cost: Nanos) -> Result<()> {
    if admission.reserved.is_none() {
        return Ok(());
    }
    let command = AccountCommand::Raise { id: admission.id.clone(), cost };
    for account in &admission.accounts {
        if let AccountResponse::Refused { refusal, .. } = ask_account(platform, account, &command).await? {
            return Err(refused_here(platform, &refusal));
        }
    }
    Ok(())
}

/// Releases what accounts have reserved for a request that does not go on, or may have, if their response was
/// lost. If that fails, too, the lease ends.
async fn release<P: Platform>(platform: &P, accounts: &[&AccountId], id: &str) {
    let release = AccountCommand::Release(id.to_owned());
    for account in accounts {
        let _ = ask_account(platform, account, &release).await;
    }
}

/// What an account without limits would say.
fn allowed(limits: &KeyLimits, estimate: &CostEstimate, now: Millis) -> Result<(), AdmissionRefusal> {
    let models: Vec<&str> = estimate.models.iter().map(String::as_str).collect();
    if !limits.are_valid(now) {
        return Err(AdmissionRefusal::Inactive);
    }
    if !limits.allow_model(&models) {
        return Err(AdmissionRefusal::Model);
    }
    limits.check_others(&estimate.other_models)?;
    if let Some(name) = estimate.stray_field.as_ref().filter(|_| limits.are_bound()) {
        return Err(AdmissionRefusal::StrayField { name: name.clone() });
    }
    limits
        .max_body_bytes
        .filter(|limit| estimate.body > *limit)
        .map_or(Ok(()), |limit| Err(AdmissionRefusal::Body { limit }))
}

/// Asks an account.
///
/// # Errors
/// 503 if it cannot be reached, or does not know the command.
pub async fn ask_account<P: Platform>(
    platform: &P,
    account: &AccountId,
    command: &AccountCommand,
) -> Result<AccountResponse> {
    let unreachable = || {
        Error::gateway(503, "accounts_unavailable", "The account of this API key cannot be reached. Try again shortly.")
            .with_header("retry-after", "1")
    };
    let command = serde_json::to_string(command).map_err(|_| unreachable())?;
    let response =
        platform.ask_object(ObjectAddress::Account(account.as_str()), command).await.map_err(|_| unreachable())?;
    match serde_json::from_str(&response) {
        Ok(AccountResponse::Malformed) | Err(_) => Err(unreachable()),
        Ok(response) => Ok(response),
    }
}

/// The error of a refusal, which is counted.
pub(super) fn refused_here<P: Platform>(platform: &P, refusal: &AdmissionRefusal) -> Error {
    measure_limit(platform, refusal);
    refusal_error(refusal, None)
}

/// The error of an account that refuses. That a key is invalid is cached. `request`: as of [`refusal_error`].
pub(super) fn refused<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    hash: &KeyHash,
    response: AccountResponse,
    request: Option<RefusedRequest<'_>>,
) -> Error {
    let AccountResponse::Refused { refusal, rate_limits } = response else {
        return refusal_error(&AdmissionRefusal::Unknown, None);
    };
    measure_limit(platform, &refusal);
    if matches!(refusal, AdmissionRefusal::Unknown | AdmissionRefusal::Inactive) {
        bridge.known.learn(hash, Err(refusal.clone()), platform.now());
    }
    rate_limit_headers(&rate_limits)
        .into_iter()
        .fold(refusal_error(&refusal, request), |error, (name, value)| error.with_header(name, value))
}
