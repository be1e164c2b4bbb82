//! Responses that are kept for later requests: sealed, in the caller's own store. What another caller has
//! kept is not found there, like what never was.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::platform::{ObjectAddress, Platform};
use super::reasoning::Unstored;
use super::{AdmittedRequest, Body, Bridge, Response, admit, object};
use crate::config::Millis;
use crate::error::{Error, Result};
use crate::formats::{Earlier, KeptResponses, References};
use crate::policy::routing::Target;
use crate::provider::ProviderKey;
use crate::reasoning_store::{EntrySeal, SealedEntry, StoreCommand, StoreResponse};
use crate::wire::json::Document;
use crate::wire::sse::SseReader;

/// The most bytes of a request's part that is kept, and so much is held while its response is awaited.
const MAX_QUESTION: usize = 2 << 20;
/// The bytes of a slice before it is sealed: a row of the store holds two million.
const SLICE: usize = 1 << 20;
/// The most slices of a response.
const MAX_SLICES: usize = 12;
/// The most bytes of all responses that are kept for one key; beyond, the oldest go.
const CAP: u64 = 64 << 20;
/// The most turns of a conversation that is put together again.
const MAX_TURNS: usize = 200;
/// Names in the seal what is sealed.
const SEALED: [&str; 2] = ["kept", "response"];

/// The part of a request that is kept with its response.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptQuestion {
    /// The response that it goes on from.
    pub(super) previous: Option<String>,
    /// JSON.
    pub(super) question: String,
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Record<'r> {
    previous: Option<String>,
    #[serde(borrow)]
    question: &'r RawValue,
    #[serde(borrow)]
    response: &'r RawValue,
}

/// Keeps the response of one attempt, before the client learns that it is complete.
pub(super) struct ResponseKeeper {
    rules: &'static KeptResponses,
    account: String,
    seal: EntrySeal,
    /// The provider and the key that it is sealed with.
    label: String,
    lifetime: Millis,
    asked: KeptQuestion,
    random: u128,
    nonces: u64,
    reader: SseReader,
}

impl ResponseKeeper {
    /// A keeper for a response of this target. `None` if the gateway has no key of any provider, because that
    /// is what responses are sealed with, and for requests that are too long.
    pub(super) fn of(
        (rules, bridge): (&'static KeptResponses, &Bridge),
        account: &str,
        target: &Target<'_>,
        (asked, random): (KeptQuestion, u128),
    ) -> Option<Self> {
        let vault = bridge.config.vault;
        let (label, key) = sealing_key(bridge, target)?;
        if !vault.enabled || asked.question.len() > MAX_QUESTION {
            return None;
        }
        let seal = EntrySeal::new(key.reveal(), account, SEALED[0], SEALED[1])?;
        let (account, lifetime, reader) = (account.to_owned(), vault.life, SseReader::default());
        Some(Self { rules, account, seal, label, lifetime, asked, random, nonces: 0, reader })
    }

    /// Reads the client's stream. Returns what has to be stored before these bytes leave.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<Unstored> {
        let (rules, mut told) = (self.rules, None);
        self.reader.push(bytes, &mut |block| {
            // Most events are short of the last one's beginning.
            told = block.data.and_then(rules.told).or(told.take());
        });
        self.keep(&told?)
    }

    /// What has to be stored before the client gets this response. `None` if it is too long to be kept.
    pub(super) fn keep(&mut self, response: &str) -> Option<Unstored> {
        let (id, items) = (self.rules.identify)(response)?;
        let (question, raw) = (serde_json::from_str(&self.asked.question).ok()?, serde_json::from_str(response).ok()?);
        let record = Record { previous: self.asked.previous.clone(), question, response: raw };
        let text = serde_json::to_string(&record).ok()?;
        let mut things = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (slice, more) = rest.split_at(rest.floor_char_boundary(SLICE));
            things.push(self.sealed(&format!("{id}/{:02}", things.len()), slice)?);
            rest = more;
        }
        if things.len() > MAX_SLICES {
            return None;
        }
        for item in items.iter().filter(|item| **item != id) {
            things.push(self.sealed(&format!("{item}/00"), &id)?);
        }
        let command = StoreCommand::KeepResponse { things, life: self.lifetime, cap: CAP };
        Some(Unstored::of(self.account.clone(), serde_json::to_string(&command).ok()?, true))
    }

    fn sealed(&mut self, id: &str, text: &str) -> Option<SealedEntry> {
        let mut nonce = [0; 24];
        let bytes = self.random.to_le_bytes().into_iter().chain(self.nonces.to_le_bytes());
        nonce.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        self.nonces = self.nonces.saturating_add(1);
        let SealedEntry { id, sealed } = self.seal.close(id, text, nonce)?;
        Some(SealedEntry { id, sealed: format!("{}:{sealed}", self.label) })
    }
}

/// The key that a response of a target is sealed with, and its label: the target's own key, or the first key
/// of another provider if the target needs none.
fn sealing_key<'b>(bridge: &'b Bridge, target: &Target<'_>) -> Option<(String, &'b ProviderKey)> {
    let others = (0..bridge.config.providers.len()).map(|index| (index, 0));
    std::iter::once((target.index, target.key)).chain(others).find_map(|(index, at)| {
        let name = &bridge.config.providers.get(index)?.name;
        let key = bridge.account(index).key(name, at).ok()??;
        Some((format!("{at}:{name}"), key))
    })
}

/// The error of a response that could not be kept.
pub(super) fn unkept() -> Error {
    let message = "The response was generated, but could not be stored. Send `store: false` if it need not be.";
    Error::gateway(503, "response_not_stored", message)
}

/// The store of one caller.
pub(super) struct KeptStore<'s, P: Platform> {
    pub(super) bridge: &'s Bridge,
    pub(super) platform: &'s P,
    pub(super) account: &'s str,
}

impl<P: Platform> KeptStore<'_, P> {
    /// What a request refers to.
    ///
    /// # Errors
    /// 404 for what is not kept; 400 for a conversation that is too long; 503.
    pub(super) async fn find(&self, rules: &KeptResponses, references: References) -> Result<Earlier> {
        let (mut earlier, mut seen, mut bytes) = (Earlier::default(), HashSet::new(), 0_usize);
        let mut next = references.previous;
        while let Some(id) = next {
            let text = self.read(&id).await?.ok_or_else(|| {
                let message = format!("Previous response with id '{}' not found.", shown(&id));
                Error::caller(404, "previous_response_not_found", message).at("previous_response_id")
            })?;
            let record: Record<'_> = serde_json::from_str(&text).map_err(|_| unreadable())?;
            bytes = bytes.saturating_add(text.len());
            let is_long = bytes > self.bridge.config.max_body_bytes || earlier.turns.len() >= MAX_TURNS;
            if is_long || !seen.insert(id.clone()) {
                let message = "The conversation that `previous_response_id` continues is too long to be put together. \
                     Send its items in `input`.";
                return Err(Error::caller(400, "conversation_too_long", message).at("previous_response_id"));
            }
            earlier.turns.push((record.question.get().to_owned(), record.response.get().to_owned()));
            next = record.previous;
        }
        earlier.turns.reverse();
        earlier.items = self.items(rules, references.items).await?;
        Ok(earlier)
    }

    async fn items(&self, rules: &KeptResponses, ids: Vec<String>) -> Result<HashMap<String, String>> {
        let (mut found, mut responses) = (HashMap::new(), HashMap::<String, String>::new());
        for id in ids {
            let missing = || {
                let message = format!("Item with id '{}' not found.", shown(&id));
                Error::caller(404, "not_found", message).at("input")
            };
            let response = self.read(&id).await?.ok_or_else(missing)?;
            if !responses.contains_key(&response) {
                let text = self.read(&response).await?.ok_or_else(missing)?;
                responses.insert(response.clone(), text);
            }
            let text = responses.get(&response).map_or("", String::as_str);
            let record: Record<'_> = serde_json::from_str(text).map_err(|_| unreadable())?;
            let item = (rules.item)(record.response.get(), &id).ok_or_else(missing)?;
            found.insert(id, item);
        }
        Ok(found)
    }

    /// Reads what is kept under an id; `None` if nothing is.
    async fn read(&self, id: &str) -> Result<Option<String>> {
        // A longer id is none, but takes as long.
        let id: String = id.chars().take(200).collect();
        let StoreResponse::Found(slices) = self.ask(&StoreCommand::ReadResponse(id)).await? else { return Ok(None) };
        let texts: Option<Vec<String>> = slices.into_iter().map(|slice| self.open(slice)).collect();
        Ok(texts.filter(|texts| !texts.is_empty()).map(|texts| texts.concat()))
    }

    fn open(&self, SealedEntry { id, sealed }: SealedEntry) -> Option<String> {
        let (key, rest) = sealed.split_once(':')?;
        let (name, sealed) = rest.rsplit_once(':')?;
        let index = self.bridge.config.providers.iter().position(|provider| provider.name == name)?;
        let key = self.bridge.account(index).key(name, key.parse().ok()?).ok()??;
        let seal = EntrySeal::new(key.reveal(), self.account, SEALED[0], SEALED[1])?;
        seal.open(&SealedEntry { id, sealed: sealed.to_owned() })
    }

    async fn ask(&self, command: &StoreCommand) -> Result<StoreResponse> {
        let unreachable = || {
            let message = "Stored responses cannot be reached at the moment. Try again.";
            Error::gateway(503, "responses_unavailable", message)
        };
        let command = serde_json::to_string(command).map_err(|_| unreachable())?;
        let answer = object::ask_soon(self.platform, ObjectAddress::Vault(self.account), command).await;
        answer.ok().and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(unreachable)
    }
}

/// What is done with a response that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptAction {
    /// It is read, or the items of its request are listed.
    Read,
    /// It is deleted.
    Delete,
}

/// Reads or deletes a response that is kept for the caller.
///
/// # Errors
/// 401, 403 or 503 from the caller's account; 404 for what is not kept.
pub async fn kept_response<P: Platform>(
    bridge: &Bridge,
    platform: &P,
    admitted: &AdmittedRequest<'_, P>,
    action: KeptAction,
) -> Result<Response<P>> {
    admit::check(bridge, platform, &admitted.caller).await?;
    let (id, part) = admitted.path_name.split_once('/').unwrap_or((admitted.path_name, ""));
    let missing = || {
        let message = format!("Response with id '{}' not found.", shown(id));
        Error::caller(404, "not_found", message).at("response_id")
    };
    let rules = admitted.client.kept.ok_or_else(missing)?;
    let store = KeptStore { bridge, platform, account: admitted.caller.key_id.as_str() };
    let text = store.read(id).await?.ok_or_else(missing)?;
    let record: Record<'_> = serde_json::from_str(&text).map_err(|_| missing())?;
    let body = match (action, part) {
        (KeptAction::Read, "") => record.response.get().as_bytes().to_vec(),
        (KeptAction::Read, "input_items") => (rules.list)(record.question.get(), id, admitted.request.query)?,
        (KeptAction::Delete, "") => {
            store.ask(&StoreCommand::DropResponse(id.to_owned())).await?;
            (rules.deleted)(id)
        }
        _ => return Err(missing()),
    };
    Ok(Response::json(200, Body::Bytes(body)))
}

/// The beginning of an id, for a message.
fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

fn unreadable() -> Error {
    Error::gateway(503, "responses_unavailable", "A stored response cannot be read. Send the items in `input`.")
}

/// Whether a body may refer to what is kept. Escaped letters may hide the names.
pub(super) fn may_refer(body: &[u8]) -> bool {
    let words = [b"previous_response_id".as_slice(), b"item_reference", b"\"id\"", b"\\u00"];
    words.iter().any(|word| memchr::memmem::find(body, word).is_some())
}

/// The request with what it refers to in place of the references, and its own part; `None` if it refers to
/// nothing.
///
/// # Errors
/// As [`KeptStore::find`].
pub(super) async fn resolve<P: Platform>(
    store: KeptStore<'_, P>,
    rules: &KeptResponses,
    body: &[u8],
) -> Result<Option<(Vec<u8>, KeptQuestion)>> {
    // What cannot be read is refused elsewhere.
    let Ok(document) = Document::read(body) else { return Ok(None) };
    let references = (rules.references)(&document)?;
    if references == References::default() {
        return Ok(None);
    }
    let asked = KeptQuestion {
        previous: references.previous.clone(),
        question: (rules.question)(&document).unwrap_or_default(),
    };
    let earlier = store.find(rules, references).await?;
    Ok(Some(((rules.resolve)(&document, &earlier), asked)))
}
