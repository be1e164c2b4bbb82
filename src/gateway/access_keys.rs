//! Caches the keys with which Cloudflare Access signs tokens, for one isolate. Only values are cached: on
//! Workers, a request cannot await a promise of another request.

use std::cell::RefCell;

use serde::Deserialize;

use super::platform::{Broken, Platform};
use super::rsa_public_key::RsaPublicKey;
use super::wait::{sleep, within};
use crate::config::Millis;

/// The time after which cached keys are fetched again. A team changes its keys every six weeks, and the old
/// one stays valid for a week
/// (<https://developers.cloudflare.com/cloudflare-one/identity/authorization-cookie/validating-json/>).
const MAX_AGE: Millis = 3_600_000;
/// The time after which keys are used no longer, if they cannot be fetched again.
const MAX_STALE_AGE: Millis = 24 * 3_600_000;
/// The least time between two fetches: anyone can send a token with an unknown key.
const FETCH_INTERVAL: Millis = 60_000;
/// A fetch that takes longer has failed, and no request waits longer for the fetch of another.
const FETCH_TIMEOUT: Millis = 5_000;
/// How often a request that waits for the fetch of another looks for its result.
const POLL_INTERVAL: Millis = 20;
/// The most keys.
const MAX_KEYS: usize = 16;

/// The keys of a team, cached.
#[derive(Debug, Default)]
pub struct AccessKeyCache(RefCell<State>);

#[derive(Debug, Default)]
struct State {
    keys: Vec<RsaPublicKey>,
    /// When the keys were fetched.
    fetched: Option<Millis>,
    /// When a fetch was last begun, and whether it is under way.
    tried: Option<Millis>,
    is_fetching: bool,
}

/// What is known of the key with an id.
#[derive(Debug, PartialEq, Eq)]
pub enum KnownKey {
    /// This is it.
    Key(RsaPublicKey),
    /// The team has no such key.
    Unknown,
    /// The keys of the team cannot be fetched.
    Unavailable,
}

/// The next step of a request that looks for a key.
enum Step {
    Done(KnownKey),
    Fetch,
    Wait,
}

impl AccessKeyCache {
    /// The key with this id, of the team with this origin. Keys are fetched at most once a minute.
    pub async fn find<P: Platform>(&self, platform: &P, origin: &str, id: &str) -> KnownKey {
        let began = platform.now();
        loop {
            match self.step(id, platform.now()) {
                Step::Done(known) => return known,
                Step::Fetch => self.fetch(platform, origin).await,
                Step::Wait if platform.now() < began.saturating_add(FETCH_TIMEOUT) => {
                    sleep(platform, POLL_INTERVAL).await;
                }
                Step::Wait => return KnownKey::Unavailable,
            }
        }
    }

    fn step(&self, id: &str, now: Millis) -> Step {
        let state = self.0.borrow();
        let since = |time: Option<Millis>| time.map_or(Millis::MAX, |time| now.saturating_sub(time));
        let age = since(state.fetched);
        let known = state.keys.iter().find(|key| key.id == id && age <= MAX_STALE_AGE).cloned();
        // A fetch whose request was cut off is over after its time.
        let is_fetching = state.is_fetching && since(state.tried) < FETCH_TIMEOUT;
        let may_fetch = since(state.tried) >= FETCH_INTERVAL;
        match known {
            Some(key) if age <= MAX_AGE || is_fetching || !may_fetch => Step::Done(KnownKey::Key(key)),
            _ if is_fetching => Step::Wait,
            _ if may_fetch => Step::Fetch,
            Some(key) => Step::Done(KnownKey::Key(key)),
            None if age <= MAX_STALE_AGE => Step::Done(KnownKey::Unknown),
            None => Step::Done(KnownKey::Unavailable),
        }
    }

    async fn fetch<P: Platform>(&self, platform: &P, origin: &str) {
        {
            let mut state = self.0.borrow_mut();
            (state.tried, state.is_fetching) = (Some(platform.now()), true);
        }
        let url = [origin, "/cdn-cgi/access/certs"].concat();
        let fetched = within(platform, FETCH_TIMEOUT, platform.fetch_text(&url)).await;
        let keys = fetched.ok().and_then(|text| read(&text).ok());
        let mut state = self.0.borrow_mut();
        state.is_fetching = false;
        if let Some(keys) = keys {
            (state.keys, state.fetched) = (keys, Some(platform.now()));
        }
    }
}

/// The sound keys of a JSON Web Key Set (RFC 7517).
fn read(text: &str) -> Result<Vec<RsaPublicKey>, Broken> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<serde_json::Value>,
    }
    let set: KeySet = serde_json::from_str(text).map_err(|_| Broken)?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<RsaPublicKey>(key).ok());
    Ok(keys.filter(RsaPublicKey::is_sound).take(MAX_KEYS).collect())
}
