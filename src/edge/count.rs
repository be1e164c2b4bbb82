//! Token counts on Workers. Vocabularies are static assets, loaded by the first count of an isolate.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::{JsCast, JsValue};
use worker::{Delay, Env};

use super::byte_source::read_buffer;
use super::js;
use super::slots::Settled;
use crate::gateway::platform::Broken;
use crate::tokens::{Counter, Encoding, Vocabulary};

/// The number of bytes that are counted before other tasks run: a few milliseconds of work.
const TURN_BYTES: usize = 32_768;

/// The fixed cost of a text, as the number of bytes that are counted in the same time.
const TEXT_BYTES: usize = 32;

/// The vocabularies of an isolate, loaded when a count first needs them.
struct Vocabularies {
    assets: js::Assets,
    loaded: [OnceCell<Option<Rc<Vocabulary>>>; Encoding::ALL.len()],
}

thread_local! {
    /// Holds values and a binding, nothing that belongs to a request.
    static VOCABULARIES: OnceCell<Rc<Vocabularies>> = const { OnceCell::new() };
}

/// Keeps the binding `ASSETS`, from which vocabularies are loaded.
pub(super) fn prepare(env: &Env) {
    let assets = js_sys::Reflect::get(env, &JsValue::from_str("ASSETS")).unwrap_or_default();
    let vocabularies = Vocabularies { assets: assets.unchecked_into(), loaded: Default::default() };
    VOCABULARIES.with(|cell| drop(cell.set(Rc::new(vocabularies))));
}

/// The number of tokens in each text.
pub(super) async fn count(encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, Broken> {
    let vocabulary = vocabulary(encoding).await?;
    let mut counts = Vec::with_capacity(texts.len());
    let mut left = TURN_BYTES;
    for text in texts {
        let mut counter = Counter::new(&vocabulary, &text);
        while counter.step(left) {
            Delay::from(Duration::ZERO).await;
            left = TURN_BYTES;
        }
        left = left.saturating_sub(text.len() + TEXT_BYTES);
        if left == 0 {
            Delay::from(Duration::ZERO).await;
            left = TURN_BYTES;
        }
        counts.push(counter.tokens());
    }
    Ok(counts)
}

/// Loads a vocabulary. Concurrent first counts may both load the file, because the runtime does not let a
/// request wait for another; only one builds the vocabulary.
async fn vocabulary(encoding: Encoding) -> Result<Rc<Vocabulary>, Broken> {
    let vocabularies = VOCABULARIES.with(|cell| cell.get().cloned()).ok_or(Broken)?;
    let cell = vocabularies.loaded.get(encoding.index()).ok_or(Broken)?;
    if let Some(vocabulary) = cell.get() {
        return vocabulary.clone().ok_or(Broken);
    }
    let packed = load(&vocabularies.assets, encoding).await.map_err(|_| Broken)?;
    cell.get_or_init(|| Vocabulary::read(encoding, packed).map(Rc::new)).clone().ok_or(Broken)
}

async fn load(assets: &js::Assets, encoding: Encoding) -> Result<Vec<u8>, JsValue> {
    let promise = assets.get(&format!("https://assets/{}.bin", encoding.name()))?;
    let response: web_sys::Response = Settled::of(&promise).await?.dyn_into()?;
    if !response.ok() {
        return Err(JsValue::NULL);
    }
    Ok(read_buffer(response.array_buffer()?).await?.0)
}
