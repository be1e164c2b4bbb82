//! Counts of tokens inside a key's limits: admitted like requests, in a window of their own, and counted only
//! as far as one isolate should.

use super::admit::{ask_account, refused};
use super::platform::Platform;
use super::refusal::refusal_error;
use super::{Bridge, Caller, admit};
use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, AccountResponse, CountRequest, KeyLimits, LEASE};
use crate::tokens::Encoding;

/// Text that is counted exactly, in bytes: some tenths of a second of work.
const EXACT: usize = 1 << 20;

/// The leave to count.
#[derive(Debug, Default)]
pub(super) struct CountAdmission {
    id: String,
    /// The accounts that hold a place for it until it is released.
    accounts: Vec<AccountId>,
}

/// What is to be counted.
pub(super) struct CountSubject {
    /// The names of its model: as the caller wrote it, and in full.
    pub(super) models: Vec<String>,
    /// The length of its body in bytes.
    pub(super) body: u64,
}

/// Asks for leave. A key that has no limits of requests, and whose terms were heard a moment ago, is not
/// asked about again.
///
/// # Errors
/// 401, 403, 413 or 429 as its account says; 503 if that cannot be reached.
pub(super) async fn admit<H: Platform>(
    bridge: &Bridge,
    host: &H,
    caller: &Caller,
    subject: CountSubject,
) -> Result<CountAdmission> {
    let Some(hash) = &caller.hash else { return Ok(CountAdmission::default()) };
    admit::recall(bridge, host, caller)?;
    let now = host.now();
    let CountSubject { models, body } = subject;
    if let Some(terms) = bridge.known.limits(hash, now).filter(is_free) {
        return terms
            .check(&models, body, now)
            .map(|()| CountAdmission::default())
            .map_err(|refusal| refusal_error(&refusal, None));
    }
    let id = format!("{:032x}", host.random_u128());
    // It has no lease to renew: should its end not be told, its place is free when a lease would be over.
    let mut asked = CountRequest { id: id.clone(), hash: Some(hash.clone()), models, body, lifetime: LEASE };
    let mut leave = CountAdmission { id, accounts: Vec::new() };
    let terms = match ask_account(host, &caller.key_id, &AccountCommand::Count(asked.clone())).await? {
        AccountResponse::Granted { limits: terms, .. } => terms,
        reply => return Err(refused(bridge, host, hash, reply, None)),
    };
    bridge.known.learn(hash, Ok(terms.clone()), now);
    leave.holds(&caller.key_id, &terms);
    let Some(parent) = terms.parent else { return Ok(leave) };
    asked.hash = None;
    match ask_account(host, &parent, &AccountCommand::Count(asked)).await {
        Ok(AccountResponse::Granted { limits: terms, .. }) => leave.holds(&parent, &terms),
        reply => {
            release(host, leave).await;
            return Err(reply.map_or_else(|error| error, |reply| refused(bridge, host, hash, reply, None)));
        }
    }
    Ok(leave)
}

/// The question has been answered. If that cannot be told, its places are free when a lease would be over.
pub(super) async fn release<H: Platform>(host: &H, leave: CountAdmission) {
    for account in &leave.accounts {
        let _ = ask_account(host, account, &AccountCommand::EndCount(leave.id.clone())).await;
    }
}

impl CountAdmission {
    fn holds(&mut self, account: &AccountId, terms: &KeyLimits) {
        self.accounts.extend(terms.concurrent.is_some().then(|| account.clone()));
    }
}

/// Whether nobody has to be asked about a count.
fn is_free(terms: &KeyLimits) -> bool {
    terms.requests_per_minute.is_none() && terms.concurrent.is_none() && terms.parent.is_none()
}

/// The tokens of each text, and whether they are all exact: what is beyond the first MiB of all texts is told
/// by proportion.
///
/// # Errors
/// 503 if the vocabulary cannot be loaded.
pub(super) async fn count<H: Platform>(host: &H, encoding: Encoding, texts: Vec<String>) -> Result<(Vec<u64>, bool)> {
    let (texts, beyond) = cut(texts);
    let bytes: usize = texts.iter().map(String::len).sum();
    let mut counts = host.count(encoding, texts).await.map_err(|_| vocabulary_unavailable())?;
    let tokens = counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
    for (count, beyond) in counts.iter_mut().zip(&beyond) {
        *count = count.saturating_add(beyond.saturating_mul(tokens).div_ceil(bytes.max(1) as u64));
    }
    Ok((counts, beyond.iter().all(|beyond| *beyond == 0)))
}

/// The first MiB of texts, and how many bytes of each are beyond it.
fn cut(mut texts: Vec<String>) -> (Vec<String>, Vec<u64>) {
    let mut left = EXACT;
    let cut = |text: &mut String| {
        let all = text.len();
        text.truncate(text.floor_char_boundary(left));
        if text.len() < all {
            text.shrink_to_fit();
        }
        left = if text.len() < all { 0 } else { left - all };
        (all - text.len()) as u64
    };
    let beyond = texts.iter_mut().map(cut).collect();
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
    fn a_mebibyte_is_counted_and_the_rest_is_known_by_its_length() {
        let (texts, beyond) = cut(vec!["a".repeat(EXACT - 1), "é".to_owned(), String::new(), "bcd".to_owned()]);
        assert_eq!(texts.iter().map(String::len).collect::<Vec<_>>(), [EXACT - 1, 0, 0, 0]);
        assert_eq!(beyond, [0, 2, 0, 3]);
        let (texts, beyond) = cut(vec!["a".repeat(EXACT)]);
        assert_eq!((texts[0].len(), beyond), (EXACT, vec![0]));
    }
}
