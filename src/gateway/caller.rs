//! Who calls: by a key in the headers, by having been admitted before, or without a key where none is asked
//! for.

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
    /// Admits a caller, as far as it can be said without a call to any account: a fixed key is one of those
    /// that are set, a key that was made at run time is signed with a secret that is valid, and no account
    /// has refused it in the last seconds. `known`: who was admitted before, with the same key.
    ///
    /// # Errors
    /// 401 if the key is not good; 503 if the secrets that sign keys are not known here and the directory
    /// does not tell them.
    pub async fn admit<H: Platform>(
        &self,
        host: &H,
        host_name: &str,
        header: &dyn Fn(&str) -> Option<String>,
        known: Option<Caller>,
    ) -> Result<Caller> {
        if self.config.auth == Auth::NoneOnLoopback && is_loopback(host_name, header) {
            return Ok(Caller { key_id: ANONYMOUS.into(), hash: None });
        }
        let caller = match known {
            Some(caller) => self.admit_again(host, caller).await?,
            None => self.read_key(host, auth::presented(header).as_deref()).await?,
        };
        admit::recall(self, host, &caller)?;
        Ok(caller)
    }

    async fn read_key<H: Platform>(&self, host: &H, presented: Option<&str>) -> Result<Caller> {
        let error = match self.access.authenticate(presented) {
            Ok(caller) => return Ok(Caller { key_id: caller.key_id, hash: None }),
            Err(error) => error,
        };
        match presented.and_then(PresentedKey::parse) {
            Some(PresentedKey::Signed(signed)) => {
                let verdict = self.keyring.verdict(host, |signing| signing.verify(&signed)).await?;
                let caller = || Caller { key_id: signed.account(), hash: Some(signed.hash()) };
                decide(verdict, signed.id()).map(|()| caller())
            }
            Some(PresentedKey::Unsigned(id)) => Err(refusal::outdated(id)),
            None => Err(error),
        }
    }

    async fn admit_again<H: Platform>(&self, host: &H, caller: Caller) -> Result<Caller> {
        let Some(hash) = &caller.hash else {
            let is_static = self.access.ids().any(|id| *id == caller.key_id);
            return if is_static { Ok(caller) } else { Err(refusal::unknown()) };
        };
        let version = version_of(hash);
        let verdict = self.keyring.verdict(host, |signing| signing.check_version(version)).await?;
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

/// Whose key it claims to be, if its signature is good. No account is asked, whatever the key: a key that was
/// made up costs a refusal and nothing else. The directory is asked at most once in an isolate, and again
/// when a version is not known, every 4 s at most. Whether a key made at run time still may do anything, only
/// its account can say: [`identify`] asks it.
///
/// # Errors
/// 401 if it is not; 500 if the configuration is faulty, 503 if the directory does not answer and nothing is
/// known here.
pub async fn authenticate<H: Platform>(
    opened: &Opened,
    host: &H,
    host_name: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Caller> {
    let bridge = opened.as_ref().map_err(|problems| misconfigured(problems))?;
    bridge.admit(host, host_name, header, None).await
}

/// Whose key it is, if it is good: as [`authenticate`], and then its account is asked. Nothing is taken.
///
/// # Errors
/// 401 if it is not; 500 if the configuration is faulty, 503 if the directory or the key's account cannot be
/// reached.
pub async fn identify<H: Platform>(
    opened: &Opened,
    host: &H,
    host_name: &str,
    header: &dyn Fn(&str) -> Option<String>,
) -> Result<Caller> {
    let caller = authenticate(opened, host, host_name, header).await?;
    let bridge = opened.as_ref().map_err(|problems| misconfigured(problems))?;
    admit::check(bridge, host, &caller).await?;
    Ok(caller)
}

/// The name called must be loopback's, and, where the platform tells the peer's address, that as well.
fn is_loopback(host_name: &str, header: &dyn Fn(&str) -> Option<String>) -> bool {
    let name = matches!(host_name, "localhost" | "127.0.0.1" | "[::1]" | "::1");
    let peer = header("cf-connecting-ip");
    name && peer.is_none_or(|peer| matches!(peer.as_str(), "127.0.0.1" | "::1"))
}
