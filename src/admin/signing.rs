//! The versions of the secret that signs the texts of keys. No response contains the secret itself.

use serde::Serialize;

use super::audit_trail::AuditTrail;
use super::json_response::json;
use super::registry::{ask, unreachable};
use crate::error::{Error, Result};
use crate::gateway::{Bridge, Platform, Response};
use crate::ledger::registry::{RegistryCommand, RegistryResponse, SigningVersion};
use crate::ledger::signing::bits;
use crate::wire::date::write_time;

/// A version of the signing secret as JSON.
#[derive(Serialize)]
struct VersionView {
    object: &'static str,
    version: u32,
    created_at: String,
    /// Whether new keys are signed with it.
    signs_new_keys: bool,
    /// The number of existing keys that it signed.
    keys: u64,
}

#[derive(Serialize)]
struct VersionList {
    object: &'static str,
    data: Vec<VersionView>,
    /// The number of existing keys that no valid version signed.
    keys_to_rotate: u64,
}

#[derive(Serialize)]
struct EndedVersion {
    object: &'static str,
    version: u32,
    deleted: bool,
    keys_to_rotate: u64,
}

/// Lists the valid versions, oldest first.
///
/// # Errors
/// 503 if the registry cannot be reached.
pub async fn list<P: Platform>(platform: &P) -> Result<Response<P>> {
    Ok(json(200, &versions(platform, RegistryCommand::Versions).await?))
}

/// Adds a version, which signs all keys that are created or rotated from now on.
///
/// # Errors
/// 409 if two versions are valid.
pub async fn renew<P: Platform>(bridge: &Bridge, platform: &P, trail: &AuditTrail) -> Result<Response<P>> {
    let versions =
        versions(platform, RegistryCommand::AddVersion(bits([platform.random_u128(), platform.random_u128()]))).await;
    // Even if the response was lost, the registry may have added it.
    bridge.forget_signing();
    let newest = versions?.data.pop().ok_or_else(unreachable)?;
    trail.changed(&newest.version.to_string(), &(), &newest);
    Ok(json(201, &newest))
}

/// Ends a version. The keys that it signed stop working until they are rotated.
///
/// # Errors
/// 404 if there is no such version, 409 if it is the only one.
pub async fn end<P: Platform>(bridge: &Bridge, platform: &P, trail: &AuditTrail, id: &str) -> Result<Response<P>> {
    let version: u32 = id.parse().map_err(|_| unknown_version())?;
    let versions = versions(platform, RegistryCommand::EndVersion(version)).await;
    bridge.forget_signing();
    let VersionList { keys_to_rotate, .. } = versions.map_err(|error| match error.code() {
        Some("key_not_found") => unknown_version(),
        _ => error,
    })?;
    trail.changed(id, &serde_json::json!({ "version": version }), &());
    Ok(json(200, &EndedVersion { object: "signing_secret", version, deleted: true, keys_to_rotate }))
}

fn unknown_version() -> Error {
    let message = "There is no such version of the signing secret, or it was ended before.";
    Error::caller(404, "signing_secret_not_found", message)
}

async fn versions<P: Platform>(platform: &P, command: RegistryCommand) -> Result<VersionList> {
    let RegistryResponse::Versions(versions, keys_to_rotate) = ask(platform, "", command).await? else {
        return Err(unreachable());
    };
    let newest = versions.last().map(|version| version.version);
    let view = |SigningVersion { version, made_at, keys }: SigningVersion| VersionView {
        object: "signing_secret",
        version,
        created_at: write_time(made_at),
        signs_new_keys: Some(version) == newest,
        keys,
    };
    Ok(VersionList { object: "list", data: versions.into_iter().map(view).collect(), keys_to_rotate })
}
