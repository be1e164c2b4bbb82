//! Caches the secrets that sign keys, for one isolate. They are fetched from the directory at first use, when
//! a key names an unknown version, and once a minute while keys are presented. Only values are cached:
//! on Workers, a request cannot await a promise of another request.

use std::cell::RefCell;

use super::object;
use super::platform::{ObjectAddress, ObjectError, Platform};
use super::wait::sleep;
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::ledger::registry::{RegistryCommand, RegistryResponse};
use crate::ledger::signing::{SignatureCheck, SigningSecrets};

/// The time after which cached secrets are fetched again. Until then, a version that was ended elsewhere
/// stays valid here.
const MAX_AGE: Millis = 60_000;
/// The least time between two fetches because of an unknown version: anyone can invent one.
const UNKNOWN_VERSION_INTERVAL: Millis = 4_000;
/// The pause after a fetch that failed.
const RETRY_PAUSE: Millis = 1_000;
/// A fetch that takes longer counts as lost, and no request waits longer for the fetch of another.
const FETCH_TIMEOUT: Millis = 2_500;
/// How often a request that waits for the fetch of another looks for its result.
const POLL_INTERVAL: Millis = 10;

/// The cached secrets that sign keys.
#[derive(Default)]
pub(super) struct SigningCache(RefCell<State>);

#[derive(Default)]
struct State {
    signing: Option<SigningSecrets>,
    /// When the secrets were last fetched, or the last fetch failed.
    fetched: Option<Millis>,
    /// When the fetch that is under way began.
    fetching: Option<Millis>,
    /// Whether the binding of the directory is missing.
    unbound: bool,
}

/// The next step of a request that checks a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done(SignatureCheck),
    Fetch,
    Wait,
    GiveUp,
}

impl SigningCache {
    /// The result of `check` on the secrets. It calls no account, and the directory at most once.
    ///
    /// # Errors
    /// 503 if the secrets are not cached here and the directory does not return them.
    pub(super) async fn verdict<P: Platform>(
        &self,
        platform: &P,
        check: impl Fn(&SigningSecrets) -> SignatureCheck,
    ) -> Result<SignatureCheck> {
        let began = platform.now();
        loop {
            let now = platform.now();
            match self.step(now, &check) {
                Step::Done(verdict) => return Ok(verdict),
                Step::Fetch => self.fetch(platform).await,
                Step::Wait if now < began.saturating_add(FETCH_TIMEOUT) => sleep(platform, POLL_INTERVAL).await,
                Step::Wait | Step::GiveUp => return Err(self.unavailable()),
            }
        }
    }

    /// Caches the secrets that the directory returned.
    pub(super) fn learn(&self, signing: SigningSecrets, now: Millis) {
        *self.0.borrow_mut() = State { signing: Some(signing), fetched: Some(now), ..State::default() };
    }

    /// Empties the cache after a change of the secrets: the next key has them fetched again.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = State::default();
    }

    fn step(&self, now: Millis, check: impl Fn(&SigningSecrets) -> SignatureCheck) -> Step {
        let state = self.0.borrow();
        let verdict = state.signing.as_ref().map(check);
        let pause = match verdict {
            Some(decided @ (SignatureCheck::Bad | SignatureCheck::EndedVersion)) => return Step::Done(decided),
            Some(SignatureCheck::Good) => MAX_AGE,
            Some(SignatureCheck::UnknownVersion) => UNKNOWN_VERSION_INTERVAL,
            None => RETRY_PAUSE,
        };
        let is_fetching = state.fetching.is_some_and(|since| now < since.saturating_add(FETCH_TIMEOUT));
        let is_due = state.fetched.is_none_or(|fetched| fetched.saturating_add(pause) <= now);
        match verdict {
            Some(SignatureCheck::Good) if is_fetching => Step::Done(SignatureCheck::Good),
            _ if is_fetching => Step::Wait,
            _ if is_due => Step::Fetch,
            Some(verdict) => Step::Done(verdict),
            None => Step::GiveUp,
        }
    }

    async fn fetch<P: Platform>(&self, platform: &P) {
        self.0.borrow_mut().fetching = Some(platform.now());
        let command = serde_json::to_string(&RegistryCommand::Signing(None)).unwrap_or_default();
        let response = object::ask_soon(platform, ObjectAddress::Signing, command).await;
        let mut state = self.0.borrow_mut();
        (state.fetching, state.fetched) = (None, Some(platform.now()));
        state.unbound = response == Err(ObjectError::Unbound);
        if let Ok(RegistryResponse::Signing(signing)) =
            response.map_or(Ok(RegistryResponse::Malformed), |text| serde_json::from_str(&text))
        {
            state.signing = Some(signing);
        }
    }

    fn unavailable(&self) -> Error {
        let message = if self.0.borrow().unbound {
            "This gateway has no Durable Object DIRECTORY, so that keys made at run time cannot be checked. Its operator adds the binding, as wrangler.toml has it."
        } else {
            "This API key cannot be checked now: the list of keys does not answer. Try again shortly."
        };
        Error::gateway(503, "directory_unavailable", message).with_header("retry-after", "1")
    }
}
