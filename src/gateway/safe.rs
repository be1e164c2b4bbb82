//! What a provider wants back with the calls of tools: kept before a client learns of the call, and put back before the provider is asked
//! again. It knows no wire format.

use std::collections::HashMap;

use super::host::{Host, Seat};
use crate::chat::{Call, Part, Raw, Request};
use crate::config::{Millis, Vault};
use crate::policy::route::Target;
use crate::provider::Secret;
use crate::vault::{MOST, Order, Reply, Seal, Thing};

/// Ids that are longer belong to no call that is kept, in bytes.
const LONGEST_ID: usize = 256;

/// What is kept for one caller, provider and model.
pub(super) struct Safe {
    account: String,
    seal: Seal,
    life: Millis,
    /// Random bits of this request, and how often they were used.
    dice: u128,
    used: u64,
}

/// An order to keep something. It is carried out before the client gets what came with it: it may come back at once.
pub struct Keepsake {
    account: String,
    order: String,
}

/// What a provider wants back: the id of a call, and what belongs to it.
pub(super) type Memory = (String, String);

impl Safe {
    /// The safe of a caller's account. None without a key of the provider's, for there would be nothing to seal with.
    pub(super) fn of(
        vault: Vault,
        account: &str,
        target: &Target<'_>,
        key: Option<&Secret>,
        dice: u128,
    ) -> Option<Self> {
        let key = key.filter(|_| vault.enabled)?;
        let seal = Seal::new(key.reveal(), account, target.provider.adapter, &target.upstream)?;
        Some(Self { account: account.to_owned(), seal, life: vault.life, dice, used: 0 })
    }

    /// Puts back what was kept with the calls of a conversation. What was another model's does not open, and stays away.
    pub(super) async fn recall<H: Host>(&self, host: &H, request: &mut Request<'_>) {
        let parts = request.turns.iter_mut().flat_map(|turn| &mut turn.parts);
        let mut calls: Vec<&mut Call<'_>> = parts.filter_map(unremembered).collect();
        let ids: Vec<String> = calls.iter().rev().take(MOST).map(|call| call.id.clone().into_owned()).collect();
        if ids.is_empty() {
            return;
        }
        let things = self.look_up(host, ids).await;
        let things: HashMap<&str, &Thing> = things.iter().map(|thing| (thing.id.as_str(), thing)).collect();
        for call in &mut calls {
            let found = things.get(call.id.as_ref()).and_then(|thing| self.seal.open(thing));
            call.memory = found.and_then(|text| Raw::parse(&text).map(|memory| memory.owned()));
        }
    }

    /// Who cannot be reached remembers nothing.
    async fn look_up<H: Host>(&self, host: &H, ids: Vec<String>) -> Vec<Thing> {
        let Ok(order) = serde_json::to_string(&Order::Recall(ids)) else { return Vec::new() };
        let Ok(reply) = host.order(Seat::Vault(&self.account), order).await else { return Vec::new() };
        match serde_json::from_str(&reply) {
            Ok(Reply::Found(things)) => things,
            Ok(Reply::Kept | Reply::Confused) | Err(_) => Vec::new(),
        }
    }

    /// The order to keep these, if there are any.
    pub(super) fn keep(&mut self, memories: Vec<Memory>) -> Option<Keepsake> {
        let things = memories.into_iter().filter(|(id, _)| id.len() <= LONGEST_ID);
        let things: Vec<Thing> = things.filter_map(|(id, text)| self.seal(&id, &text)).collect();
        if things.is_empty() {
            return None;
        }
        let order = serde_json::to_string(&Order::Keep { things, life: self.life }).ok()?;
        Some(Keepsake { account: self.account.clone(), order })
    }

    fn seal(&mut self, id: &str, text: &str) -> Option<Thing> {
        let mut nonce = [0; 24];
        let drawn = self.dice.to_le_bytes().into_iter().chain(self.used.to_le_bytes());
        nonce.iter_mut().zip(drawn).for_each(|(place, byte)| *place = byte);
        self.used = self.used.saturating_add(1);
        self.seal.close(id, text, nonce)
    }
}

impl Keepsake {
    /// Has it kept. If that fails, the provider will have to do without: that is told then, when it matters.
    pub async fn keep<H: Host>(self, host: &H) {
        let _ = host.order(Seat::Vault(&self.account), self.order).await;
    }
}

fn unremembered<'p, 'a>(part: &'p mut Part<'a>) -> Option<&'p mut Call<'a>> {
    match part {
        Part::Call(call) if call.memory.is_none() && call.id.len() <= LONGEST_ID => Some(call),
        _ => None,
    }
}
