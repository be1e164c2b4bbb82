//! Keys made at run time: made, read, changed, removed. The directory knows them all; what a key may do its account has to be told.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::json;
use super::query::Query;
use crate::config::{Millis, Nanos, OnDisconnect};
use crate::error::{Error, Result};
use crate::formats::envelope::invalid_body;
use crate::gateway::platform::{CallError, ObjectAddress};
use crate::gateway::{self, Bridge, Platform, Response};
use crate::ledger::key_text::version_of;
use crate::ledger::registry::{RegistryCommand, RegistryRefusal, RegistryResponse};
use crate::ledger::{ApiKey, KeySecret, id_of, key_schema, secret, signing};
use crate::wire::date::write_time;
use crate::wire::json::Document;

/// Keys on one page.
const PAGE: u64 = 50;
const MOST: u64 = 100;
/// How often an account is told again because its key was changed meanwhile.
const TRIES: usize = 5;

/// A key as its makers see it.
#[derive(Serialize)]
struct View<'a> {
    object: &'static str,
    id: &'a str,
    key_id: String,
    name: Option<&'a str>,
    owner: Option<&'a str>,
    metadata: &'a BTreeMap<String, String>,
    hint: &'a str,
    /// The version of the secret that signed its text; none for a key that was made before keys were signed.
    signing_version: Option<u32>,
    status: &'static str,
    enabled: bool,
    created_at: String,
    updated_at: String,
    expires_at: Option<String>,
    models: Option<&'a [String]>,
    requests_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
    concurrent_requests: Option<u64>,
    max_body_bytes: Option<u64>,
    on_disconnect: Option<OnDisconnect>,
    budget: Option<Budget>,
    parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

#[derive(Serialize)]
struct Budget {
    amount_nanos: Nanos,
    fit: bool,
    per: &'static str,
}

#[derive(Serialize)]
struct Page<'a> {
    object: &'static str,
    data: Vec<View<'a>>,
    has_more: bool,
    next_after: Option<&'a str>,
}

#[derive(Serialize)]
struct Deleted<'a> {
    object: &'static str,
    id: &'a str,
    deleted: bool,
}

fn view(record: &ApiKey, now: Millis) -> View<'_> {
    let terms = &record.limits;
    View {
        object: "key",
        id: &record.id,
        key_id: record.account(),
        name: record.name.as_deref(),
        owner: record.owner.as_deref(),
        metadata: &record.metadata,
        hint: &record.hint,
        signing_version: Some(version_of(&record.hash)).filter(|version| *version > 0),
        status: record.status(now).name(),
        enabled: terms.enabled,
        created_at: write_time(record.created_at),
        updated_at: write_time(record.updated_at),
        expires_at: terms.expires_at.map(write_time),
        models: (!terms.models.is_empty()).then_some(&terms.models),
        requests_per_minute: terms.requests_per_minute,
        tokens_per_minute: terms.tokens_per_minute,
        concurrent_requests: terms.concurrent,
        max_body_bytes: terms.max_body_bytes,
        on_disconnect: terms.on_disconnect,
        budget: terms.budget.map(|budget| Budget {
            amount_nanos: budget.nanos,
            fit: budget.fit,
            per: key_schema::period(budget.per),
        }),
        parent: record.parent(),
        created: None,
        key: None,
    }
}

/// Makes a key. The answer is the only one that shows its text.
///
/// # Errors
/// 400 for a wish that cannot be read, 409 for an id that is taken, 503 if it is to be tried again.
pub async fn create<H: Platform>(bridge: &Bridge, host: &H, body: &[u8]) -> Result<Response<H>> {
    let mut record = key_schema::read(wish(body)?)?;
    if record.id.is_empty() {
        record.id = secret::make_id(host.random_u128());
    }
    let secret = make_secret(bridge, host, &record.id).await?;
    record.set_secret(&secret);
    let id = record.id.clone();
    match ask(host, &id, RegistryCommand::Create(Box::new(record))).await? {
        RegistryResponse::Record(record) => show_secret(bridge, host, 201, *record, &secret).await,
        RegistryResponse::Known(record) => Ok(json(200, &View { created: Some(false), ..view(&record, host.now()) })),
        _ => Err(unreachable()),
    }
}

/// Reads a key, without its text.
///
/// # Errors
/// 404 if there is none of this id.
pub async fn read<H: Platform>(host: &H, id: &str) -> Result<Response<H>> {
    let id = id_of(id);
    let record = expect(ask(host, id, RegistryCommand::Read(id.to_owned())).await?)?;
    Ok(json(200, &view(&record, host.now())))
}

/// A page of keys, in the order in which they were made.
///
/// # Errors
/// 400 for a page that cannot be.
pub async fn list<H: Platform>(host: &H, query: &Query) -> Result<Response<H>> {
    let limit = query.count("limit", MOST)?.unwrap_or(PAGE);
    let (records, more) = page(host, query.text("after"), limit, false).await?;
    let next_after = records.last().filter(|_| more).map(|record| record.id.as_str());
    let data = records.iter().map(|record| view(record, host.now())).collect();
    Ok(json(200, &Page { object: "list", data, has_more: more, next_after }))
}

/// Keys after one, with those that are gone if so wished; and whether others follow.
///
/// # Errors
/// 400 if there is no such key.
pub async fn page<H: Platform>(
    host: &H,
    after: Option<&str>,
    limit: u64,
    removed: bool,
) -> Result<(Vec<ApiKey>, bool)> {
    let after = after.map(|id| id_of(id).to_owned());
    let order = RegistryCommand::List { after, limit: usize::try_from(limit).unwrap_or(usize::MAX), removed };
    match send(host, &order).await? {
        RegistryResponse::Page { records, more } => Ok((records, more)),
        RegistryResponse::Refused(RegistryRefusal::Unknown) => {
            let message = "`after` must be the id of a key. If it was there once, begin with the first page.";
            Err(Error::caller(400, "invalid_value", message).at("after"))
        }
        _ => Err(unreachable()),
    }
}

/// Whether there is such a key.
///
/// # Errors
/// 404 if not.
pub async fn must_exist<H: Platform>(host: &H, id: &str) -> Result<()> {
    expect(ask(host, id, RegistryCommand::Read(id.to_owned())).await?).map(drop)
}

/// Changes fields of a key.
///
/// # Errors
/// 400 for a wish that cannot be read, 404 if there is no such key.
pub async fn edit<H: Platform>(bridge: &Bridge, host: &H, id: &str, body: &[u8]) -> Result<Response<H>> {
    let wish = wish(body)?;
    key_schema::apply_patch(&mut ApiKey::default(), &wish)?;
    changed(bridge, host, id, wish).await
}

/// Switches a key on or off.
///
/// # Errors
/// 404 if there is no such key.
pub async fn switch<H: Platform>(bridge: &Bridge, host: &H, id: &str, on: bool) -> Result<Response<H>> {
    changed(bridge, host, id, Map::from_iter([("enabled".to_owned(), on.into())])).await
}

async fn changed<H: Platform>(bridge: &Bridge, host: &H, id: &str, wish: Map<String, Value>) -> Result<Response<H>> {
    let record = expect(ask(host, id_of(id), RegistryCommand::edit(id, wish)).await?)?;
    let record = post(bridge, host, record).await?;
    Ok(json(200, &view(&record, host.now())))
}

/// Gives a key a new text; the old one stops working.
///
/// # Errors
/// 404 if there is no such key.
pub async fn rotate<H: Platform>(bridge: &Bridge, host: &H, id: &str) -> Result<Response<H>> {
    let id = id_of(id);
    let secret = make_secret(bridge, host, id).await?;
    let record = expect(ask(host, id, RegistryCommand::rotate(id, &secret)).await?)?;
    show_secret(bridge, host, 200, record, &secret).await
}

/// Removes a key; its receipts and sums stay in its books.
///
/// # Errors
/// 404 if there is no such key, 409 if others have it as their parent.
pub async fn delete<H: Platform>(bridge: &Bridge, host: &H, id: &str) -> Result<Response<H>> {
    let id = id_of(id);
    let record = expect(ask(host, id, RegistryCommand::Retire(id.to_owned())).await?)?;
    post(bridge, host, record).await?;
    match ask(host, id, RegistryCommand::Remove(id.to_owned())).await? {
        RegistryResponse::Removed => Ok(json(200, &Deleted { object: "key", id, deleted: true })),
        // It was not on its way out any more: others brought its removal to an end, and made it anew.
        RegistryResponse::Malformed => {
            let message = "Other requests removed this key and made a new one of its id at the same time.";
            Err(Error::caller(409, "conflict", message))
        }
        _ => Err(unreachable()),
    }
}

/// A new text for a key, signed with the newest version of the secret as the directory has it at this moment.
async fn make_secret<H: Platform>(bridge: &Bridge, host: &H, id: &str) -> Result<KeySecret> {
    let bits = signing::bits([host.random_u128(), host.random_u128()]);
    let RegistryResponse::Signing(signing) = send(host, &RegistryCommand::Signing(Some(bits))).await? else {
        return Err(unreachable());
    };
    let secret = signing.current().map(|signer| KeySecret::make(id, [host.random_u128(), host.random_u128()], signer));
    bridge.learn_signing(signing, host.now());
    secret.ok_or_else(unreachable)
}

async fn show_secret<H: Platform>(
    bridge: &Bridge,
    host: &H,
    status: u16,
    record: ApiKey,
    secret: &KeySecret,
) -> Result<Response<H>> {
    let record = post(bridge, host, record).await?;
    if record.hash != secret.hash() {
        let message = "Another request made a new key for this id at the same time, so that this one's is void.";
        return Err(Error::caller(409, "conflict", message));
    }
    let created = (status == 201).then_some(true);
    Ok(json(status, &View { created, key: Some(secret.text()), ..view(&record, host.now()) }))
}

/// Tells a key's account what it may do, until it knows the newest.
async fn post<H: Platform>(bridge: &Bridge, host: &H, mut record: ApiKey) -> Result<ApiKey> {
    for _ in 0..TRIES {
        gateway::ask_account(host, &record.account(), &record.account_command()).await?;
        // Elsewhere, what was heard of the key before holds for some seconds.
        bridge.forget_key(&record.hash);
        let posted = RegistryCommand::Posted { id: record.id.clone(), version: record.updated_at };
        match send(host, &posted).await? {
            RegistryResponse::Record(newest) if newest.updated_at == record.updated_at => return Ok(*newest),
            RegistryResponse::Record(newest) => record = *newest,
            RegistryResponse::Refused(RegistryRefusal::Unknown) => {
                // It was removed meanwhile: what was just told must not outlive it.
                record.removing = true;
                gateway::ask_account(host, &record.account(), &record.account_command()).await?;
                return Err(refuse(RegistryRefusal::Unknown, &record.id));
            }
            _ => return Err(unreachable()),
        }
    }
    Err(unreachable())
}

fn expect(reply: RegistryResponse) -> Result<ApiKey> {
    match reply {
        RegistryResponse::Record(record) => Ok(*record),
        _ => Err(unreachable()),
    }
}

pub(super) async fn ask<H: Platform>(host: &H, id: &str, order: RegistryCommand) -> Result<RegistryResponse> {
    match send(host, &order).await? {
        RegistryResponse::Refused(refusal) => Err(refuse(refusal, id)),
        reply => Ok(reply),
    }
}

async fn send<H: Platform>(host: &H, order: &RegistryCommand) -> Result<RegistryResponse> {
    let order = serde_json::to_string(order).map_err(|_| unreachable())?;
    let reply = host.ask_object(ObjectAddress::Directory, order).await.map_err(|lost| match lost {
        CallError::Unbound => unbound(),
        CallError::Broken | CallError::TimedOut | CallError::NoRoom | CallError::ClientLeft => unreachable(),
    })?;
    serde_json::from_str(&reply).map_err(|_| unreachable())
}

fn unbound() -> Error {
    let message = "This gateway has no Durable Object DIRECTORY, which keeps the list of keys: add its binding, as wrangler.toml has it.";
    Error::gateway(503, "directory_unavailable", message).with_header("retry-after", "1")
}

pub(super) fn unreachable() -> Error {
    let message = "The list of keys cannot be reached now. Repeat the request shortly.";
    Error::gateway(503, "directory_unavailable", message).with_header("retry-after", "1")
}

fn refuse(refusal: RegistryRefusal, id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    let parent = |rule: &str| Error::caller(400, "invalid_value", format!("`parent` {rule}.")).at("parent");
    match refusal {
        RegistryRefusal::Unknown => Error::caller(404, "key_not_found", format!("There is no key `{shown}`.")),
        RegistryRefusal::Taken => {
            let message = format!("There is a key `{shown}` already, and it was made with other fields.");
            Error::caller(409, "key_exists", message).at("id")
        }
        RegistryRefusal::Removing => {
            let message = format!("The key `{shown}` is being deleted. Repeat its deletion to bring that to an end.");
            Error::caller(409, "key_being_deleted", message)
        }
        RegistryRefusal::Full => Error::caller(409, "too_many_keys", "There are 10000 keys; delete some first."),
        RegistryRefusal::Members(count) => {
            let message = format!("The key `{shown}` is the parent of {count} others. Delete or move them first.");
            Error::caller(409, "key_has_members", message)
        }
        RegistryRefusal::NoParent => parent("must be the id of a key that exists"),
        RegistryRefusal::OwnParent => parent("must be another key"),
        RegistryRefusal::Grandparent => parent("must be a key that has no parent itself"),
        RegistryRefusal::ParentOfOthers => parent("cannot be set: this key is the parent of others"),
        RegistryRefusal::Outdated => {
            let message = "The secret that signs keys was changed at the same time. Repeat the request.";
            Error::caller(409, "conflict", message)
        }
        RegistryRefusal::VersionsFull => {
            let message = "Two versions of the secret that signs keys are valid already; end one of them first.";
            Error::caller(409, "too_many_signing_secrets", message)
        }
        RegistryRefusal::OnlyVersion => {
            let message = "This is the only version of the secret that signs keys that is valid; make a new one first.";
            Error::caller(409, "last_signing_secret", message)
        }
    }
}

/// The body's object, each field once.
fn wish(body: &[u8]) -> Result<Map<String, Value>> {
    let document = Document::read(body).map_err(invalid_body)?;
    let fields: Vec<&str> = key_schema::fields().collect();
    if let Some(name) = document.repeated(&fields) {
        let message = format!("`{name}` stands in the body more than once.");
        return Err(Error::caller(400, "duplicate_key", message).at(name.to_owned()));
    }
    let budget = document.value("budget").and_then(|budget| Document::read(budget.as_bytes()).ok());
    if let Some(name) = budget.and_then(|budget| budget.repeated(key_schema::BUDGET)) {
        let message = format!("`budget.{name}` stands in the body more than once.");
        return Err(Error::caller(400, "duplicate_key", message).at(format!("budget.{name}")));
    }
    serde_json::from_slice(body).map_err(|_| Error::caller(400, "invalid_body", "The body must be a JSON object."))
}
