//! Authenticates callers: by a key in the headers, by an earlier admission, or without a key where none is
//! required.

use super::admission::Caller;
use super::admit;
use super::bridge::{ANONYMOUS, Bridge, Opened, misconfigured};
use super::platform::Platform;
use super::refusal;
use crate::config::Auth;
use crate::error::{Error, Result};
use crate::ledger::id_of;
use crate::ledger::key_text::{PresentedKey, version_of};
use crate::ledger::signing::SignatureCheck;
use crate::policy::auth;

impl Bridge {
    /// Admits a caller, as far as can be decided without a call to any account: a fixed key is one of those
    /// that are set, a key made at run time is signed with a valid secret, and no account has refused it in
    /// the last seconds. `known`: the caller that was admitted before with the same key.
    ///
    /// # Errors
    /// 401 if the key is not valid; 503 if the secrets that sign keys are not cached here and the directory
    /// does not return them.
    pub async fn admit<P: Platform>(
        &self,
        platform: &P,
        host_name: &str,
        header: &dyn Fn(&str) -> Option<String>,
        known: Option<Caller>,
    ) -> Result<Caller> {
        if self.config.auth == Auth::NoneOnLoopback && is_loopback(host_name, header) {
            return Ok(Caller { key_id: ANONYMOUS.into(), hash: None });
        }
        let caller = match known {
            Some(caller) => self.admit_again(platform, caller).await?,
            None => self.read_key(platform, auth::presented(header).as_deref()).await?,
        };
        admit::recall(self, platform, &caller)?;
        Ok(caller)
    }

    async fn read_key<P: Platform>(&self, platform: &P, presented: Option<&str>) -> Result<Caller> {
        let error = match self.access.authenticate(presented) {
            Ok(caller) => return Ok(Caller { key_id: caller.key_id, hash: None }),
            Err(error) => error,
        };
        match presented.and_then(PresentedKey::parse) {
            Some(PresentedKey::Signed(signed)) => {
                let verdict = self.keyring.verdict(platform, |signing| signing.verify(&signed)).await?;
                let caller = || Caller { key_id: signed.account(), hash: Some(signed.hash()) };
                decide(verdict, signed.id()).map(|()| caller())
            }
            Some(PresentedKey::Unsigned(id)) => Err(refusal::outdated(id)),
            None => Err(error),
        }
    }

    async fn admit_again<P: Platform>(&self, platform: &P, caller: Caller) -> Result<Caller> {
        let Some(hash) = &caller.hash else {
            let is_static = self.access.ids().any(|id| *id == caller.key_id);
            return if is_static { Ok(caller) } else { Err(refusal::unknown()) };
        };
        let version = version_of(hash);
        let verdict = self.keyring.verdict(platform, |signing| signing.check_version(version)).await?;
        decide(verdict, id_of(caller.key_id.as_str())).map(|()| caller)
    }
}

fn decide(verdict: SignatureCheck, id: &str) -> std::result::Result<(), Error> {
    match verdict {
        SignatureCheck::Good => Ok(()),
        SignatureCheck::EndedVersion => Err(refusal::outdated(id)),
        SignatureCheck::Bad | SignatureCheck::UnknownVersion => Err(refusal::unknown()),
    }
}

/// The caller that the key names, if its signature is valid. No account is called for any key, so an invented
/// key costs nothing but its refusal. The directory is called only if this isolate has no secrets, has had
/// them for a minute, or lacks the key's version (for that, at most every 4 s). Only its account knows
/// whether a key made at run time is still valid: [`identify`] calls it.
///
/// # Errors
/// 401 if the key is not valid; 500 if the configuration is faulty; 503 if the directory does not respond and
/// nothing is cached here.
pub async fn authenticate<P: Platform>(
    opened: &Opened,
    platform: &P,
    host_name: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Caller> {
    let bridge = opened.as_ref().map_err(|problems| misconfigured(problems))?;
    bridge.admit(platform, host_name, header, None).await
}

/// The caller whose key it is: as [`authenticate`], then checked with its account. Nothing is reserved.
///
/// # Errors
/// 401 if the key is not valid; 500 if the configuration is faulty; 503 if the directory or the key's account
/// cannot be reached.
pub async fn identify<P: Platform>(
    opened: &Opened,
    platform: &P,
    host_name: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Caller> {
    let caller = authenticate(opened, platform, host_name, header).await?;
    let bridge = opened.as_ref().map_err(|problems| misconfigured(problems))?;
    admit::check(bridge, platform, &caller).await?;
    Ok(caller)
}

/// Whether the requested host name is loopback and, where the platform reports the peer's address, that is as
/// well.
fn is_loopback(host_name: &str, header: &dyn Fn(&str) -> Option<String>) -> bool {
    let name = matches!(host_name, "localhost" | "127.0.0.1" | "[::1]" | "::1");
    let peer = header("cf-connecting-ip");
    name && peer.is_none_or(|peer| matches!(peer.as_str(), "127.0.0.1" | "::1"))
}
