//! Commands to the key registry, and the errors that its refusals become.

use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError};
use crate::gateway::{Platform, ask_patiently};
use crate::ledger::ApiKey;
use crate::ledger::registry::{RegistryCommand, RegistryRefusal, RegistryResponse};

/// Sends a command that concerns the key `id`; `id` is empty if it concerns no key.
///
/// # Errors
/// The refusal of the command, or 503 if the registry cannot be reached.
pub async fn ask<P: Platform>(platform: &P, id: &str, command: RegistryCommand) -> Result<RegistryResponse> {
    match send(platform, &command).await? {
        RegistryResponse::Refused(refusal) => Err(refused(refusal, id)),
        response => Ok(response),
    }
}

/// As [`ask`], for a command whose response is the record of the key.
///
/// # Errors
/// As [`ask`].
pub async fn ask_record<P: Platform>(platform: &P, id: &str, command: RegistryCommand) -> Result<ApiKey> {
    match ask(platform, id, command).await? {
        RegistryResponse::Record(record) => Ok(*record),
        _ => Err(unreachable()),
    }
}

/// As [`ask`], for a command that changes a key. Returns the key as it was, if that is known, and as it is
/// now.
///
/// # Errors
/// As [`ask`].
pub async fn ask_change<P: Platform>(
    platform: &P,
    id: &str,
    command: RegistryCommand,
) -> Result<(Option<ApiKey>, ApiKey)> {
    match ask(platform, id, command).await? {
        RegistryResponse::Changed { before, after } => Ok((Some(*before), *after)),
        RegistryResponse::Record(record) => Ok((None, *record)),
        _ => Err(unreachable()),
    }
}

/// Sends a command. The caller handles refusals.
///
/// # Errors
/// 503 if the registry cannot be reached.
pub async fn send<P: Platform>(platform: &P, command: &RegistryCommand) -> Result<RegistryResponse> {
    let command = serde_json::to_string(command).map_err(|_| unreachable())?;
    let response =
        ask_patiently(platform, ObjectAddress::Directory, command).await.map_err(|failure| match failure {
            ObjectError::Unbound => unbound(),
            ObjectError::Unreachable => unreachable(),
        })?;
    serde_json::from_str(&response).map_err(|_| unreachable())
}

fn unbound() -> Error {
    let message = "The Durable Object binding DIRECTORY of the key registry is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "directory_unavailable", message).with_header("retry-after", "1")
}

/// The error of a registry that gave no response, or an unexpected one.
pub fn unreachable() -> Error {
    let message = "The key registry cannot be reached. Retry shortly.";
    Error::gateway(503, "directory_unavailable", message).with_header("retry-after", "1")
}

/// The error of a refused command that concerns the key `id`.
pub fn refused(refusal: RegistryRefusal, id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    let conflict = |code: &'static str, message: &str| Error::caller(409, code, message.to_owned());
    match refusal {
        RegistryRefusal::Unknown => Error::caller(404, "key_not_found", format!("There is no key `{id}`.")),
        RegistryRefusal::Taken => {
            conflict("key_exists", &format!("The key `{id}` already exists, with other fields.")).at("id")
        }
        RegistryRefusal::Removing => conflict(
            "key_being_deleted",
            &format!("The key `{id}` is being deleted. Repeat the deletion to complete it."),
        ),
        RegistryRefusal::Full => conflict("too_many_keys", "There are 10000 keys, the maximum. Delete some first."),
        RegistryRefusal::Members(count) => conflict(
            "key_has_members",
            &format!("The key `{id}` is the parent of other keys ({count}). Delete them or change their parent first."),
        ),
        RegistryRefusal::NoParent => invalid_parent("must be the id of an existing key"),
        RegistryRefusal::OwnParent => invalid_parent("must be another key"),
        RegistryRefusal::Grandparent => invalid_parent("must be a key that has no parent itself"),
        RegistryRefusal::ParentOfOthers => invalid_parent("cannot be set, because this key is the parent of others"),
        RegistryRefusal::Outdated => {
            conflict("conflict", "The signing secret was changed at the same time. Repeat the request.")
        }
        RegistryRefusal::VersionsFull => conflict(
            "too_many_signing_secrets",
            "Two versions of the signing secret are valid, the maximum. End one of them first.",
        ),
        RegistryRefusal::OnlyVersion => conflict(
            "last_signing_secret",
            "This is the only valid version of the signing secret. Create a new one first.",
        ),
    }
}

fn invalid_parent(rule: &str) -> Error {
    Error::caller(400, "invalid_value", format!("`parent` {rule}.")).at("parent")
}
