//! The secret that signs the texts of keys: its versions, a new one, the end of an old one. The secret itself is shown to nobody.

use serde::Serialize;

use super::json;
use super::keys::{ask, unreachable};
use crate::error::{Error, Result};
use crate::gateway::{Bridge, Platform, Response};
use crate::ledger::registry::{RegistryCommand, RegistryResponse, SigningVersion};
use crate::ledger::signing::bits;
use crate::wire::date::write_time;

/// A version as operators see it.
#[derive(Serialize)]
struct View {
    object: &'static str,
    version: u32,
    created_at: String,
    /// Whether new keys are signed with it.
    signs_new_keys: bool,
    /// How many keys it has signed that are there.
    keys: u64,
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<View>,
    /// How many keys are there that no valid version has signed.
    keys_to_rotate: u64,
}

#[derive(Serialize)]
struct Ended {
    object: &'static str,
    version: u32,
    deleted: bool,
    keys_to_rotate: u64,
}

/// The versions that are valid, oldest first.
///
/// # Errors
/// 503 if the directory cannot be reached.
pub async fn list<H: Platform>(host: &H) -> Result<Response<H>> {
    let (data, keys_to_rotate) = versions(host, RegistryCommand::Versions).await?;
    Ok(json(200, &List { object: "list", data, keys_to_rotate }))
}

/// Makes a new version, which signs all keys that are made or rotated from now on.
///
/// # Errors
/// 409 if two are valid.
pub async fn renew<H: Platform>(bridge: &Bridge, host: &H) -> Result<Response<H>> {
    let made = versions(host, RegistryCommand::Renew(bits([host.random_u128(), host.random_u128()]))).await;
    bridge.forget_signing();
    let newest = made?.0.pop().ok_or_else(unreachable)?;
    Ok(json(201, &newest))
}

/// Ends a version: the keys that it signed are good no more, until they are rotated.
///
/// # Errors
/// 404 if there is no such version, or it was ended before; 409 if it is the only one.
pub async fn end<H: Platform>(bridge: &Bridge, host: &H, id: &str) -> Result<Response<H>> {
    let unknown = || {
        let message = "There is no such version of the secret that signs keys, or it was ended before.";
        Error::caller(404, "signing_secret_not_found", message)
    };
    let version: u32 = id.parse().map_err(|_| unknown())?;
    let ended = versions(host, RegistryCommand::End(version)).await;
    bridge.forget_signing();
    let (_, keys_to_rotate) =
        ended.map_err(|error| if error.code() == Some("key_not_found") { unknown() } else { error })?;
    Ok(json(200, &Ended { object: "signing_secret", version, deleted: true, keys_to_rotate }))
}

async fn versions<H: Platform>(host: &H, order: RegistryCommand) -> Result<(Vec<View>, u64)> {
    let RegistryResponse::Versions(versions, others) = ask(host, "", order).await? else { return Err(unreachable()) };
    let newest = versions.last().map(|version| version.version);
    let view = |SigningVersion { version, made_at, keys }: SigningVersion| View {
        object: "signing_secret",
        version,
        created_at: write_time(made_at),
        signs_new_keys: Some(version) == newest,
        keys,
    };
    Ok((versions.into_iter().map(view).collect(), others))
}
