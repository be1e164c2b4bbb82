//! Counting on Workers: vocabularies are static files, loaded by the first count of an isolate. It does not know what is counted.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::{Delay, Env};

use super::byte_source::read_buffer;
use super::js;
use crate::gateway::platform::CallError;
use crate::tokens::{Counter, Encoding, Vocabulary};

/// Bytes that are counted before others get their turn: a few milliseconds.
const TURN: usize = 32_768;

/// What a text takes by itself, however short, in bytes that could have been counted instead.
const EACH: usize = 32;

/// The vocabularies of an isolate: where they come from, and those that a count has asked for.
struct Shelf {
    assets: js::Assets,
    vocabularies: [OnceCell<Option<Rc<Vocabulary>>>; Encoding::ALL.len()],
}

thread_local! {
    /// Only values, and a binding, which belongs to no request.
    static SHELF: OnceCell<Rc<Shelf>> = const { OnceCell::new() };
}

/// Notes where vocabularies come from: the binding `ASSETS`.
pub(super) fn prepare(env: &Env) {
    let assets = js_sys::Reflect::get(env, &JsValue::from_str("ASSETS")).unwrap_or_default();
    let shelf = Shelf { assets: assets.unchecked_into(), vocabularies: Default::default() };
    SHELF.with(|cell| drop(cell.set(Rc::new(shelf))));
}

/// The tokens of each text.
pub(super) async fn count(encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, CallError> {
    let vocabulary = vocabulary(encoding).await?;
    let mut counts = Vec::with_capacity(texts.len());
    let mut left = TURN;
    for text in texts {
        let mut counter = Counter::new(&vocabulary, &text);
        while counter.step(left) {
            Delay::from(Duration::ZERO).await;
            left = TURN;
        }
        left = left.saturating_sub(text.len() + EACH);
        if left == 0 {
            Delay::from(Duration::ZERO).await;
            left = TURN;
        }
        counts.push(counter.tokens());
    }
    Ok(counts)
}

/// Two first counts at once may both load it (the runtime lets neither wait for the other), but only one makes it.
async fn vocabulary(encoding: Encoding) -> Result<Rc<Vocabulary>, CallError> {
    let shelf = SHELF.with(|cell| cell.get().cloned()).ok_or(CallError::Broken)?;
    let cell = shelf.vocabularies.get(encoding.index()).ok_or(CallError::Broken)?;
    if let Some(made) = cell.get() {
        return made.clone().ok_or(CallError::Broken);
    }
    let packed = load(&shelf.assets, encoding).await.map_err(|_| CallError::Broken)?;
    cell.get_or_init(|| Vocabulary::read(encoding, packed).map(Rc::new)).clone().ok_or(CallError::Broken)
}

async fn load(assets: &js::Assets, encoding: Encoding) -> Result<Vec<u8>, JsValue> {
    let promise = assets.get(&format!("https://assets/{}.bin", encoding.name()))?;
    let response: web_sys::Response = JsFuture::from(promise).await?.dyn_into()?;
    if !response.ok() {
        return Err(JsValue::NULL);
    }
    Ok(read_buffer(response.array_buffer()?).await?.0)
}
