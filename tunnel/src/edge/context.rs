//! What all calls of one instance share: the provider of cryptography, and TLS contexts with their sessions.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::{CryptoProvider, GetRandomFailed};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::crypto::provider;
use crate::fault::Fault;
use crate::tls::TlsContext;

/// How many sets of roots are remembered.
const CONTEXTS: usize = 8;

/// A context, and the additional roots that it trusts.
struct Known {
    extra_roots: String,
    context: Arc<TlsContext>,
}

thread_local! {
    static PROVIDER: Arc<CryptoProvider> = Arc::new(provider(random));
    static CONTEXT: RefCell<VecDeque<Known>> = const { RefCell::new(VecDeque::new()) };
}

/// The context for these additional roots, in PEM.
///
/// # Errors
/// See [`TlsContext::new`].
pub fn context(extra_roots: &str) -> Result<Arc<TlsContext>, Fault> {
    CONTEXT.with_borrow_mut(|known| {
        if let Some(found) = known.iter().find(|known| known.extra_roots == extra_roots) {
            return Ok(found.context.clone());
        }
        let provider = PROVIDER.with(Arc::clone);
        let context = Arc::new(TlsContext::new(provider, Arc::new(RuntimeClock), extra_roots)?);
        if known.len() >= CONTEXTS {
            known.pop_front();
        }
        known.push_back(Known { extra_roots: extra_roots.to_owned(), context: context.clone() });
        Ok(context)
    })
}

#[derive(Debug)]
struct RuntimeClock;

impl TimeProvider for RuntimeClock {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::try_from_secs_f64(js_sys::Date::now() / 1000.0).ok()?;
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = crypto)]
    static CRYPTO: web_sys::Crypto;
}

fn random(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    let filled = CRYPTO.with(|crypto| crypto.get_random_values_with_u8_array(bytes).map(drop));
    filled.map_err(|_| GetRandomFailed)
}
