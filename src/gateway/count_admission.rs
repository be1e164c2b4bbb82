//! Admits requests to count tokens within a key's limits, in a window of their own, and counts the tokens
//! with bounded work.

use super::admit::{ask_account, refused, refused_here};
use super::platform::Platform;
use super::{Bridge, Caller, admit};
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, CountRequest, KeyLimits, LEASE};
use crate::tokens::Encoding;

/// The most text that is counted exactly, in bytes: it takes some tenths of a second.
const MAX_EXACT_BYTES: usize = 1 << 20;

/// The admission of a request to count tokens.
#[derive(Debug, Default)]
pub(super) struct CountAdmission {
    id: String,
    /// The accounts in which it counts as a concurrent request until it is released.
    accounts: Vec<AccountId>,
}

/// The request to count tokens, as far as limits concern it.
pub(super) struct CountSubject {
    /// The names of its model: as the caller wrote it, and in full.
    pub(super) models: Vec<String>,
    /// The length of its body in bytes.
    pub(super) body: u64,
}

/// Admits a request to count tokens. No account is called for a key whose limits are cached and do not limit
/// the number of requests.
///
/// # Errors
/// 401, 403, 413 or 429 from the key's account; 503 if that cannot be reached.
pub(super) async fn admit<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    caller: &Caller,
    subject: CountSubject,
) -> Result<CountAdmission> {
    let Some(hash) = &caller.hash else { return Ok(CountAdmission::default()) };
    admit::recall(bridge, platform, caller)?;
    let now = platform.now();
    let CountSubject { models, body } = subject;
    if let Some(limits) = bridge.known.limits(hash, now).filter(needs_no_call) {
        return limits
            .check(&models, body, now)
            .map(|()| CountAdmission::default())
            .map_err(|refusal| refused_here(platform, &refusal));
    }
    let id = format!("{:032x}", platform.random_u128());
    // It has no lease to renew: if its release is lost, it ends when a lease would expire.
    let mut request = CountRequest { id: id.clone(), hash: Some(hash.clone()), models, body, lifetime: LEASE };
    let mut admission = CountAdmission { id, accounts: Vec::new() };
    let limits = match ask_account(platform, &caller.key_id, &AccountCommand::Count(request.clone())).await? {
        AccountResponse::Granted { limits, .. } => limits,
        response => return Err(refused(bridge, platform, hash, response, None)),
    };
    bridge.known.learn(hash, Ok(limits.clone()), now);
    admission.add_account(&caller.key_id, &limits);
    let Some(parent) = limits.parent else { return Ok(admission) };
    request.hash = None;
    match ask_account(platform, &parent, &AccountCommand::Count(request)).await {
        Ok(AccountResponse::Granted { limits, .. }) => admission.add_account(&parent, &limits),
        response => {
            release(platform, admission).await;
            return Err(response.map_or_else(|error| error, |response| refused(bridge, platform, hash, response, None)));
        }
    }
    Ok(admission)
}

/// Ends the admission once the tokens are counted. If an account cannot be reached, it ends there when a
/// lease would expire.
pub(super) async fn release<P: Platform>(platform: &P, admission: CountAdmission) {
    for account in &admission.accounts {
        let _ = ask_account(platform, account, &AccountCommand::EndCount(admission.id.clone())).await;
    }
}

impl CountAdmission {
    fn add_account(&mut self, account: &AccountId, limits: &KeyLimits) {
        self.accounts.extend(limits.concurrent.is_some().then(|| account.clone()));
    }
}

/// Whether these limits can be checked without a call to an account.
fn needs_no_call(limits: &KeyLimits) -> bool {
    limits.requests_per_minute.is_none() && limits.concurrent.is_none() && limits.parent.is_none()
}

/// The tokens of each text, and whether all of them are exact: text beyond the first MiB in all is estimated
/// in proportion.
///
/// # Errors
/// 503 if the vocabulary cannot be loaded.
pub(super) async fn count<P: Platform>(
    platform: &P,
    encoding: Encoding,
    texts: Vec<String>,
) -> Result<(Vec<u64>, bool)> {
    let (texts, beyond) = truncate(texts);
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut counts = platform.count(encoding, texts).await.map_err(|_| vocabulary_unavailable())?;
    let tokens = counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
    for (count, beyond) in counts.iter_mut().zip(&beyond) {
        *count = count.saturating_add(beyond.saturating_mul(tokens).div_ceil(bytes.max(1) as u64));
    }
    Ok((counts, beyond.iter().all(|beyond| *beyond == 0)))
}

/// The first MiB of the texts, and the number of bytes of each text beyond it.
fn truncate(mut texts: Vec<String>) -> (Vec<String>, Vec<u64>) {
    let mut left = MAX_EXACT_BYTES;
    let truncate_text = |text: &mut String| {
        let all = text.len();
        text.truncate(text.floor_char_boundary(left));
        if text.len() < all {
            text.shrink_to_fit();
        }
        left = if text.len() < all { 0 } else { left - all };
        (all - text.len()) as u64
    };
    let beyond = texts.iter_mut().map(truncate_text).collect();
    (texts, beyond)
}

fn vocabulary_unavailable() -> Error {
    let message = "The gateway's vocabulary could not be loaded: the files in build/assets belong to its deployment.";
    Error::gateway(503, "tokenizer_unavailable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mebibyte_is_counted_and_the_rest_is_estimated_by_its_length() {
        let (texts, beyond) =
            truncate(vec!["a".repeat(MAX_EXACT_BYTES - 1), "é".to_owned(), String::new(), "bcd".to_owned()]);
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [MAX_EXACT_BYTES - 1, 0, 0, 0]);
        assert_eq!(beyond, [0, 2, 0, 3]);
        let (texts, beyond) = truncate(vec!["a".repeat(MAX_EXACT_BYTES)]);
        assert_eq!((texts[0].len(), beyond), (MAX_EXACT_BYTES, vec![0]));
    }
}
