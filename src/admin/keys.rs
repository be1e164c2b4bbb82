//! Creates, reads, changes and deletes API keys. The registry has the record of a key; the key's account has
//! a copy of its limits.

use serde_json::{Map, Value};

use super::audit_trail::AuditTrail;
use super::json_response::json;
use super::key_view::{DeletedKey, KeyList, view};
use super::query::Query;
use super::registry::{ask, ask_change, ask_record, refused, send, unreachable};
use crate::error::{Error, Result};
use crate::formats::body::invalid_body;
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ledger::registry::{RegistryCommand, RegistryRefusal, RegistryResponse};
use crate::ledger::{ApiKey, KeySecret, id_of, key_schema, secret, signing};
use crate::wire::json::Document;

/// The default and the maximum number of keys on a page.
const PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 100;
/// How often the limits of a key are sent to its account while other requests change them.
const MAX_ATTEMPTS: usize = 5;

/// Creates a key. Only the response contains its text.
///
/// # Errors
/// 400 for an invalid body, 409 for an id that is taken, 503 if the request should be repeated.
pub async fn create<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    trail: &AuditTrail,
    body: &[u8],
) -> Result<Response<P>> {
    let mut record = key_schema::read(read_object(body)?)?;
    if record.id.is_empty() {
        record.id = secret::make_id(platform.random_u128());
    }
    let secret = make_secret(bridge, platform, &record.id).await?;
    record.set_secret(&secret);
    let id = record.id.clone();
    match ask(platform, &id, RegistryCommand::Create(Box::new(record))).await? {
        RegistryResponse::Record(record) => {
            trail.changed(&record.id, &(), &view(&record, platform.now()));
            finish_with_secret(bridge, platform, 201, *record, &secret).await
        }
        RegistryResponse::AlreadyCreated(record) => Ok(json(200, &view(&record, platform.now()).with_created(false))),
        _ => Err(unreachable()),
    }
}

/// Reads a key, without its text.
///
/// # Errors
/// 404 if there is no such key.
pub async fn read<P: Platform>(platform: &P, id: &str) -> Result<Response<P>> {
    let id = id_of(id);
    let record = ask_record(platform, id, RegistryCommand::Read(id.to_owned())).await?;
    Ok(json(200, &view(&record, platform.now())))
}

/// Lists keys in the order of their creation.
///
/// # Errors
/// 400 for an invalid parameter.
pub async fn list<P: Platform>(platform: &P, query: &Query) -> Result<Response<P>> {
    let limit = query.count("limit", MAX_PAGE_SIZE)?.unwrap_or(PAGE_SIZE);
    let (records, has_more) = page(platform, query.text("after"), limit, false).await?;
    let last = records.last().map(|record| record.id.as_str());
    let next_after = if has_more { last } else { None };
    let data = records.iter().map(|record| view(record, platform.now())).collect();
    Ok(json(200, &KeyList { object: "list", data, has_more, next_after }))
}

/// The keys that follow the key `after`, and whether more follow these. `removed` includes deleted keys.
///
/// # Errors
/// 400 if there is no key `after`.
pub async fn page<P: Platform>(
    platform: &P,
    after: Option<&str>,
    limit: u64,
    removed: bool,
) -> Result<(Vec<ApiKey>, bool)> {
    let after = after.map(|id| id_of(id).to_owned());
    let command = RegistryCommand::List { after, limit: usize::try_from(limit).unwrap_or(usize::MAX), removed };
    match send(platform, &command).await? {
        RegistryResponse::Page { records, more } => Ok((records, more)),
        RegistryResponse::Refused(RegistryRefusal::Unknown) => {
            let message = "`after` must be the id of a key. If the key was deleted, start with the first page.";
            Err(Error::caller(400, "invalid_value", message).at("after"))
        }
        _ => Err(unreachable()),
    }
}

/// Checks that there is such a key.
///
/// # Errors
/// 404 if there is none.
pub async fn must_exist<P: Platform>(platform: &P, id: &str) -> Result<()> {
    ask_record(platform, id, RegistryCommand::Read(id.to_owned())).await.map(drop)
}

/// Changes fields of a key.
///
/// # Errors
/// 400 for an invalid body, 404 if there is no such key.
pub async fn edit<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    trail: &AuditTrail,
    id: &str,
    body: &[u8],
) -> Result<Response<P>> {
    let patch = read_object(body)?;
    // Applied to an empty record, so that an invalid field is refused with its name.
    key_schema::apply_patch(&mut ApiKey::default(), &patch)?;
    apply(bridge, platform, trail, id, patch).await
}

/// Enables or disables a key.
///
/// # Errors
/// 404 if there is no such key.
pub async fn set_enabled<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    trail: &AuditTrail,
    id: &str,
    enabled: bool,
) -> Result<Response<P>> {
    apply(bridge, platform, trail, id, Map::from_iter([("enabled".to_owned(), enabled.into())])).await
}

async fn apply<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    trail: &AuditTrail,
    id: &str,
    patch: Map<String, Value>,
) -> Result<Response<P>> {
    let record = change(platform, trail, id_of(id), RegistryCommand::edit(id, patch)).await?;
    let record = update_account(bridge, platform, record).await?;
    Ok(json(200, &view(&record, platform.now())))
}

/// Changes a key in the registry, and notes how.
async fn change<P: Platform>(platform: &P, trail: &AuditTrail, id: &str, command: RegistryCommand) -> Result<ApiKey> {
    let (before, after) = ask_change(platform, id, command).await?;
    let (was, is) = (before.as_ref().map(|before| view(before, platform.now())), view(&after, platform.now()));
    trail.changed(id, &was, &is);
    Ok(after)
}

/// Replaces the text of a key; the old text stops working.
///
/// # Errors
/// 404 if there is no such key.
pub async fn rotate<P: Platform>(bridge: &Bridge, platform: &P, trail: &AuditTrail, id: &str) -> Result<Response<P>> {
    let id = id_of(id);
    let secret = make_secret(bridge, platform, id).await?;
    let record = change(platform, trail, id, RegistryCommand::rotate(id, &secret)).await?;
    finish_with_secret(bridge, platform, 200, record, &secret).await
}

/// Deletes a key. Its account keeps its receipts.
///
/// # Errors
/// 404 if there is no such key, 409 if it is the parent of others.
pub async fn delete<P: Platform>(bridge: &Bridge, platform: &P, trail: &AuditTrail, id: &str) -> Result<Response<P>> {
    let id = id_of(id);
    let (before, record) = ask_change(platform, id, RegistryCommand::BeginRemoval(id.to_owned())).await?;
    trail.changed(id, &view(before.as_ref().unwrap_or(&record), platform.now()), &());
    update_account(bridge, platform, record).await?;
    match ask(platform, id, RegistryCommand::CompleteRemoval(id.to_owned())).await? {
        RegistryResponse::Removed => Ok(json(200, &DeletedKey { object: "key", id, deleted: true })),
        // The removal had not begun: another request completed it, and the key was created again.
        RegistryResponse::Malformed => {
            let message = "Other requests deleted this key and created it again at the same time.";
            Err(Error::caller(409, "conflict", message))
        }
        _ => Err(unreachable()),
    }
}

/// Makes a text for a key, signed with the newest version of the registry's signing secret.
async fn make_secret<P: Platform>(bridge: &Bridge, platform: &P, id: &str) -> Result<KeySecret> {
    let bits = signing::bits([platform.random_u128(), platform.random_u128()]);
    let RegistryResponse::Signing(signing) = send(platform, &RegistryCommand::Signing(Some(bits))).await? else {
        return Err(unreachable());
    };
    let secret =
        signing.current().map(|signer| KeySecret::make(id, [platform.random_u128(), platform.random_u128()], signer));
    bridge.learn_signing(signing, platform.now());
    secret.ok_or_else(unreachable)
}

/// Updates the account of a key with a new text, and responds with that text.
async fn finish_with_secret<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    status: u16,
    record: ApiKey,
    secret: &KeySecret,
) -> Result<Response<P>> {
    let record = update_account(bridge, platform, record).await?;
    if record.hash != secret.hash() {
        let message =
            "Another request replaced the text of this key at the same time. Rotate the key to get a new one.";
        return Err(Error::caller(409, "conflict", message));
    }
    let view = view(&record, platform.now()).with_text(secret.text());
    Ok(json(status, &if status == 201 { view.with_created(true) } else { view }))
}

/// Sends the limits of a key to its account, until the account has the newest version.
async fn update_account<P: Platform>(bridge: &Bridge, platform: &P, mut record: ApiKey) -> Result<ApiKey> {
    for _ in 0..MAX_ATTEMPTS {
        gateway::ask_account(platform, &record.account(), &record.account_command()).await?;
        // Other isolates keep their cached copy for some seconds.
        bridge.forget_key(&record.hash);
        let confirmation = RegistryCommand::Confirm { id: record.id.clone(), version: record.updated_at };
        match send(platform, &confirmation).await? {
            RegistryResponse::Record(newest) if newest.updated_at == record.updated_at => return Ok(*newest),
            RegistryResponse::Record(newest) => record = *newest,
            RegistryResponse::Refused(RegistryRefusal::Unknown) => {
                // The key was removed in the meantime: the limits that were just sent must not outlive it.
                record.removing = true;
                gateway::ask_account(platform, &record.account(), &record.account_command()).await?;
                return Err(refused(RegistryRefusal::Unknown, &record.id));
            }
            _ => return Err(unreachable()),
        }
    }
    Err(unreachable())
}

/// Parses a body that must be a JSON object without repeated fields.
fn read_object(body: &[u8]) -> Result<Map<String, Value>> {
    let document = Document::read(body).map_err(invalid_body)?;
    let fields: Vec<&str> = key_schema::fields().collect();
    if let Some(name) = document.repeated(&fields) {
        return Err(repeated(name.to_owned()));
    }
    let budget = document.value("budget").and_then(|budget| Document::read(budget.as_bytes()).ok());
    if let Some(name) = budget.and_then(|budget| budget.repeated(key_schema::BUDGET)) {
        return Err(repeated(format!("budget.{name}")));
    }
    serde_json::from_slice(body).map_err(|_| Error::caller(400, "invalid_body", "The body must be a JSON object."))
}

fn repeated(name: String) -> Error {
    Error::caller(400, "duplicate_key", format!("`{name}` occurs more than once in the body.")).at(name)
}
