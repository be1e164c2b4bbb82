//! What a provider wants back with the calls of tools: kept before a client learns of the call, and put back before the provider is asked
//! again. It knows no wire format.

use std::collections::HashMap;

use super::object;
use super::platform::{ObjectAddress, Platform};
use crate::canonical::{ModelRequest, Part, Raw, ToolCall};
use crate::config::{Millis, Vault};
use crate::formats::summary::ReasoningState;
use crate::policy::routing::Target;
use crate::provider::ProviderKey;
use crate::reasoning_store::{EntrySeal, MOST, SealedEntry, StoreCommand, StoreResponse};

/// Ids that are longer belong to no call that is kept, in bytes.
const LONGEST_ID: usize = 256;

/// What is kept for one caller, provider and model.
pub(super) struct ReasoningCache {
    account: String,
    seal: EntrySeal,
    life: Millis,
    /// Random bits of this request, and how often they were used.
    dice: u128,
    used: u64,
}

/// An order to keep something. It is carried out before the client gets what came with it: it may come back at once.
pub struct UnstoredSignature {
    account: String,
    order: String,
}

impl ReasoningCache {
    /// The safe of a caller's account. None without a key of the provider's, for there would be nothing to seal with.
    pub(super) fn of(
        vault: Vault,
        account: &str,
        target: &Target<'_>,
        key: Option<&ProviderKey>,
        dice: u128,
    ) -> Option<Self> {
        let key = key.filter(|_| vault.enabled)?;
        let seal = EntrySeal::new(key.reveal(), account, target.provider.adapter, &target.upstream)?;
        Some(Self { account: account.to_owned(), seal, life: vault.life, dice, used: 0 })
    }

    /// Puts back what was kept with the calls of a conversation. What was another model's does not open, and stays away.
    pub(super) async fn recall<H: Platform>(&self, host: &H, request: &mut ModelRequest<'_>) {
        let parts = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        let mut calls: Vec<&mut ToolCall<'_>> = parts.filter_map(unremembered).collect();
        let ids: Vec<String> = calls.iter().rev().take(MOST).map(|call| call.id.clone().into_owned()).collect();
        if ids.is_empty() {
            return;
        }
        let things = self.look_up(host, ids).await;
        let things: HashMap<&str, &SealedEntry> = things.iter().map(|thing| (thing.id.as_str(), thing)).collect();
        for call in &mut calls {
            let found = things.get(call.id.as_ref()).and_then(|thing| self.seal.open(thing));
            call.reasoning_state = found.and_then(|text| Raw::parse(&text).map(|memory| memory.owned()));
        }
    }

    /// Who cannot be reached remembers nothing.
    async fn look_up<H: Platform>(&self, host: &H, ids: Vec<String>) -> Vec<SealedEntry> {
        let Ok(order) = serde_json::to_string(&StoreCommand::Recall(ids)) else { return Vec::new() };
        let Ok(reply) = object::ask_soon(host, ObjectAddress::Vault(&self.account), order).await else {
            return Vec::new();
        };
        match serde_json::from_str(&reply) {
            Ok(StoreResponse::Found(things)) => things,
            Ok(StoreResponse::Kept | StoreResponse::Malformed) | Err(_) => Vec::new(),
        }
    }

    /// The order to keep these, if there are any.
    pub(super) fn keep(&mut self, memories: Vec<ReasoningState>) -> Option<UnstoredSignature> {
        let things = memories.into_iter().filter(|(id, _)| id.len() <= LONGEST_ID);
        let things: Vec<SealedEntry> = things.filter_map(|(id, text)| self.seal(&id, &text)).collect();
        if things.is_empty() {
            return None;
        }
        let order = serde_json::to_string(&StoreCommand::Keep { things, life: self.life }).ok()?;
        Some(UnstoredSignature { account: self.account.clone(), order })
    }

    fn seal(&mut self, id: &str, text: &str) -> Option<SealedEntry> {
        let mut nonce = [0; 24];
        let drawn = self.dice.to_le_bytes().into_iter().chain(self.used.to_le_bytes());
        nonce.iter_mut().zip(drawn).for_each(|(place, byte)| *place = byte);
        self.used = self.used.saturating_add(1);
        self.seal.close(id, text, nonce)
    }
}

impl UnstoredSignature {
    /// Has it kept. If that fails, the provider will have to do without: that is told then, when it matters.
    pub async fn keep<H: Platform>(self, host: &H) {
        let _ = object::ask_soon(host, ObjectAddress::Vault(&self.account), self.order).await;
    }
}

fn unremembered<'p, 'a>(part: &'p mut Part<'a>) -> Option<&'p mut ToolCall<'a>> {
    match part {
        Part::Call(call) if call.reasoning_state.is_none() && call.id.len() <= LONGEST_ID => Some(call),
        _ => None,
    }
}
