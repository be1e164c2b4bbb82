//! Reasoning state that a provider wants back with its tool calls: stored before the client gets the call,
//! and added to the client's next request.

use std::borrow::Cow;
use std::collections::HashMap;

use super::object;
use super::platform::{ObjectAddress, Platform};
use crate::canonical::{ModelRequest, Part, Raw, ResponseEvent, ToolCall};
use crate::config::{Millis, Vault};
use crate::formats::summary::ReasoningState;
use crate::policy::routing::Target;
use crate::provider::ProviderKey;
use crate::reasoning_store::{EntrySeal, MOST, SealedEntry, StoreCommand, StoreResponse};

/// State of calls with longer ids is not stored; in bytes.
const MAX_ID: usize = 256;

/// The reasoning state of one caller, provider and model.
pub(super) struct ReasoningCache {
    account: String,
    seal: EntrySeal,
    lifetime: Millis,
    /// Random bits of this request, and how many nonces were made of them.
    random: u128,
    nonces: u64,
}

/// Reasoning state that has to be stored before the client gets what came with it: a client may come back
/// with it at once.
pub(super) struct Unstored {
    account: String,
    /// Each with whether what came with it may not leave otherwise.
    commands: Vec<(String, bool)>,
}

impl ReasoningCache {
    /// The state of a caller's account. `None` without a key of the provider, because that is what entries
    /// are sealed with.
    pub(super) fn of(
        vault: Vault,
        account: &str,
        target: &Target<'_>,
        key: Option<&ProviderKey>,
        random: u128,
    ) -> Option<Self> {
        let key = key.filter(|_| vault.enabled)?;
        let seal = EntrySeal::new(key.reveal(), account, target.provider.adapter, &target.upstream)?;
        Some(Self { account: account.to_owned(), seal, lifetime: vault.life, random, nonces: 0 })
    }

    /// Adds the state that the client carried, and what was stored, to the calls of a conversation. Another
    /// model's state does not open, and is left out.
    pub(super) async fn recall<P: Platform>(&self, platform: &P, request: &mut ModelRequest<'_>) {
        self.open_carried(request);
        let parts = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        let mut calls: Vec<&mut ToolCall<'_>> = parts.filter_map(call_without_state).collect();
        let ids: Vec<String> = calls.iter().rev().take(MOST).map(|call| call.id.clone().into_owned()).collect();
        if ids.is_empty() {
            return;
        }
        let entries = self.look_up(platform, ids).await;
        let entries: HashMap<&str, &SealedEntry> = entries.iter().map(|entry| (entry.id.as_str(), entry)).collect();
        for call in &mut calls {
            let found = entries.get(call.id.as_ref()).and_then(|entry| self.seal.open(entry));
            call.reasoning_state = found.and_then(|text| Raw::parse(&text).map(|state| state.owned()));
        }
    }

    /// Adds the state that the client carried to its calls.
    fn open_carried(&self, request: &mut ModelRequest<'_>) {
        let carried = std::mem::take(&mut request.sealed_states);
        if carried.is_empty() {
            return;
        }
        let carried: HashMap<&str, &str> =
            carried.iter().rev().take(MOST).map(|(id, sealed)| (id.as_ref(), sealed.as_ref())).collect();
        let parts = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        for call in parts.filter_map(call_without_state) {
            let Some(sealed) = carried.get(call.id.as_ref()) else { continue };
            let entry = SealedEntry { id: call.id.clone().into_owned(), sealed: (*sealed).to_owned() };
            let text = self.seal.open(&entry);
            call.reasoning_state = text.and_then(Raw::from_string);
        }
    }

    /// The entries of these calls; none if the store cannot be reached.
    async fn look_up<P: Platform>(&self, platform: &P, ids: Vec<String>) -> Vec<SealedEntry> {
        let Ok(command) = serde_json::to_string(&StoreCommand::Recall(ids)) else { return Vec::new() };
        let Ok(response) = object::ask_soon(platform, ObjectAddress::Vault(&self.account), command).await else {
            return Vec::new();
        };
        match serde_json::from_str(&response) {
            Ok(StoreResponse::Found(entries)) => entries,
            Ok(StoreResponse::Kept | StoreResponse::Malformed) | Err(_) => Vec::new(),
        }
    }

    /// Seals reasoning state for the store; `None` if there is none.
    pub(super) fn seal_all(&mut self, states: Vec<ReasoningState>) -> Option<Unstored> {
        let short = states.into_iter().filter(|(id, _)| id.len() <= MAX_ID);
        let entries: Vec<SealedEntry> = short.filter_map(|(id, text)| self.seal(&id, &text)).collect();
        if entries.is_empty() {
            return None;
        }
        let command = serde_json::to_string(&StoreCommand::Keep { things: entries, life: self.lifetime }).ok()?;
        Some(Unstored::of(self.account.clone(), command, false))
    }

    /// Seals a call's state for a client that carries it. `None` if it is too long.
    pub(super) fn seal_for_client<'e>(&mut self, id: Cow<'e, str>, memory: &Raw<'_>) -> Option<ResponseEvent<'e>> {
        let entry = self.seal(&id, memory.get()).filter(|_| id.len() <= MAX_ID)?;
        Some(ResponseEvent::ReasoningState { id, memory: Raw::quoted(&entry.sealed) })
    }

    fn seal(&mut self, id: &str, text: &str) -> Option<SealedEntry> {
        let mut nonce = [0; 24];
        let bytes = self.random.to_le_bytes().into_iter().chain(self.nonces.to_le_bytes());
        nonce.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        self.nonces = self.nonces.saturating_add(1);
        self.seal.close(id, text, nonce)
    }
}

impl Unstored {
    /// A command to an account's store. `must`: what came with it may not leave if it fails.
    pub(super) fn of(account: String, command: String, must: bool) -> Self {
        Self { account, commands: vec![(command, must)] }
    }

    /// Both, if there are two; of one account.
    pub(super) fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(mut one), Some(other)) => {
                one.commands.extend(other.commands);
                Some(one)
            }
            (one, other) => one.or(other),
        }
    }

    /// Stores it. If that fails, the provider will miss reasoning state in the next request; that is reported
    /// then. Returns whether what came with it may leave.
    pub(super) async fn store<P: Platform>(self, platform: &P) -> bool {
        for (command, must) in self.commands {
            let answer = object::ask_soon(platform, ObjectAddress::Vault(&self.account), command).await;
            let is_stored = answer.is_ok_and(|text| matches!(serde_json::from_str(&text), Ok(StoreResponse::Kept)));
            if must && !is_stored {
                return false;
            }
        }
        true
    }
}

fn call_without_state<'p, 'a>(part: &'p mut Part<'a>) -> Option<&'p mut ToolCall<'a>> {
    match part {
        Part::Call(call) if call.reasoning_state.is_none() && call.id.len() <= MAX_ID => Some(call),
        _ => None,
    }
}
