//! The secrets that sign keys, as this isolate has heard of them. The directory is asked for them once, again
//! when a key names a version that is not known, and once a minute while keys are shown. Values only are
//! kept: no request waits for another's promise.

use std::cell::RefCell;

use super::object;
use super::platform::{CallError, ObjectAddress, Platform};
use super::wait::sleep;
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::ledger::registry::{RegistryCommand, RegistryResponse};
use crate::ledger::signing::{SignatureCheck, SigningSecrets};

/// A version that was ended elsewhere is good here for so long.
const STALE: Millis = 60_000;
/// The directory is asked about versions that are not known no more often than this: anybody can invent one.
const STRANGE: Millis = 4_000;
/// The directory is left alone for so long after it gave no answer.
const FAILED: Millis = 1_000;
/// A request that has asked and not heard for so long is taken for dead, and no request waits longer for
/// another's answer.
const PATIENCE: Millis = 2_500;
/// Requests that wait for another's answer look again after so long.
const LOOK: Millis = 10;

/// The secrets that sign keys.
#[derive(Default)]
pub(super) struct SigningCache(RefCell<State>);

#[derive(Default)]
struct State {
    signing: Option<SigningSecrets>,
    /// When the directory was last asked, or its answer came.
    asked: Option<Millis>,
    /// Since when a request is asking.
    asking: Option<Millis>,
    /// The gateway has no directory.
    unbound: bool,
}

/// What a request has to do before it knows how a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done(SignatureCheck),
    Ask,
    Wait,
    GiveUp,
}

impl SigningCache {
    /// What `judge` says of the secrets. No account is asked; the directory at most once.
    ///
    /// # Errors
    /// 503 if the secrets are not known here and the directory does not tell them.
    pub(super) async fn verdict<H: Platform>(
        &self,
        host: &H,
        judge: impl Fn(&SigningSecrets) -> SignatureCheck,
    ) -> Result<SignatureCheck> {
        let began = host.now();
        loop {
            let now = host.now();
            match self.step(now, &judge) {
                Step::Done(verdict) => return Ok(verdict),
                Step::Ask => self.ask(host).await,
                Step::Wait if now < began.saturating_add(PATIENCE) => sleep(host, LOOK).await,
                Step::Wait | Step::GiveUp => return Err(self.unavailable()),
            }
        }
    }

    /// Notes what the directory has said.
    pub(super) fn learn(&self, signing: SigningSecrets, now: Millis) {
        *self.0.borrow_mut() = State { signing: Some(signing), asked: Some(now), ..State::default() };
    }

    /// The secrets have changed: the next key has the directory asked.
    pub(super) fn forget(&self) {
        *self.0.borrow_mut() = State::default();
    }

    fn step(&self, now: Millis, judge: impl Fn(&SigningSecrets) -> SignatureCheck) -> Step {
        let state = self.0.borrow();
        let verdict = state.signing.as_ref().map(judge);
        let pause = match verdict {
            Some(decided @ (SignatureCheck::Bad | SignatureCheck::EndedVersion)) => return Step::Done(decided),
            Some(SignatureCheck::Good) => STALE,
            Some(SignatureCheck::UnknownVersion) => STRANGE,
            None => FAILED,
        };
        let is_asked = state.asking.is_some_and(|since| now < since.saturating_add(PATIENCE));
        let is_due = state.asked.is_none_or(|asked| asked.saturating_add(pause) <= now);
        match verdict {
            Some(SignatureCheck::Good) if is_asked => Step::Done(SignatureCheck::Good),
            _ if is_asked => Step::Wait,
            _ if is_due => Step::Ask,
            Some(verdict) => Step::Done(verdict),
            None => Step::GiveUp,
        }
    }

    async fn ask<H: Platform>(&self, host: &H) {
        self.0.borrow_mut().asking = Some(host.now());
        let order = serde_json::to_string(&RegistryCommand::Signing(None)).unwrap_or_default();
        let reply = object::ask_soon(host, ObjectAddress::Signing, order).await;
        let mut state = self.0.borrow_mut();
        (state.asking, state.asked) = (None, Some(host.now()));
        state.unbound = reply == Err(CallError::Unbound);
        if let Ok(RegistryResponse::Signing(signing)) =
            reply.map_or(Ok(RegistryResponse::Malformed), |text| serde_json::from_str(&text))
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
