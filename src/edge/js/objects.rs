//! Durable Objects, as their callers see them, and their alarms.

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::RequestInit;
use worker::{Env, State};

use crate::config::Millis;

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/durable-objects/api/namespace/>
    pub(in crate::edge) type Namespace;

    #[wasm_bindgen(method, js_name = getByName, catch)]
    pub(in crate::edge) fn get_by_name(this: &Namespace, name: &str) -> Result<Stub, JsValue>;

    /// `options` may have a `locationHint`.
    #[wasm_bindgen(method, js_name = getByName, catch)]
    pub(in crate::edge) fn get_by_name_in(this: &Namespace, name: &str, options: &Object) -> Result<Stub, JsValue>;

    #[wasm_bindgen(method, js_name = newUniqueId, catch)]
    pub(in crate::edge) fn new_unique_id(this: &Namespace) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = idFromString, catch)]
    pub(in crate::edge) fn id_from_string(this: &Namespace, text: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    pub(in crate::edge) fn get(this: &Namespace, id: &JsValue) -> Result<Stub, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/stub/>
    pub(in crate::edge) type Stub;

    #[wasm_bindgen(method, catch)]
    pub(in crate::edge) fn fetch(this: &Stub, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, js_name = fetch, catch)]
    pub(in crate::edge) fn forward(this: &Stub, request: &web_sys::Request) -> Result<Promise, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/alarms/>
    type Storage;

    #[wasm_bindgen(method, js_name = setAlarm, catch)]
    fn set_alarm(this: &Storage, at: f64) -> Result<Promise, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/sqlite-storage-api/#transactionsync>
    #[wasm_bindgen(method, js_name = transactionSync, catch)]
    fn transaction_sync(this: &Storage, write: &mut dyn FnMut() -> Result<(), JsValue>) -> Result<(), JsValue>;
}

/// The objects of a binding.
///
/// # Errors
/// There is no such binding.
pub(in crate::edge) fn namespace(env: &Env, binding: &str) -> Result<Namespace, JsValue> {
    let namespace = Reflect::get(env, &JsValue::from_str(binding))?;
    if namespace.is_undefined() { Err(JsValue::from_str(binding)) } else { Ok(namespace.unchecked_into()) }
}

/// A service or VPC binding; `None` if there is none of this name.
pub(in crate::edge) fn binding(env: &Env, name: &str) -> Option<Stub> {
    let binding = Reflect::get(env, &JsValue::from_str(name)).ok()?;
    let is_service = Reflect::get(&binding, &JsValue::from_str("fetch")).is_ok_and(|fetch| fetch.is_function());
    is_service.then(|| binding.unchecked_into())
}

/// Sets the alarm of an object. It has one; an earlier setting is replaced.
pub(in crate::edge) fn set_alarm(state: &State, at: Millis) {
    #[expect(clippy::cast_precision_loss, reason = "a date")]
    let _ = storage(state).set_alarm(at as f64);
}

/// When the alarm of an object is set, as far as the runtime tells.
pub(in crate::edge) async fn stored_alarm(state: &State) -> Option<Millis> {
    let at = state.storage().get_alarm().await.ok().flatten();
    at.and_then(|at| Millis::try_from(at).ok())
}

/// Runs statements in one transaction: if `write` fails, none of them is stored.
///
/// # Errors
/// Those of `write`; the runtime refuses a transaction.
pub(in crate::edge) fn in_transaction<T>(
    state: &State,
    write: impl FnOnce() -> worker::Result<T>,
) -> worker::Result<T> {
    let (mut write, mut result) = (Some(write), None);
    let stored = storage(state).transaction_sync(&mut || {
        result = write.take().map(|write| write());
        if matches!(result, Some(Ok(_))) { Ok(()) } else { Err(JsValue::from_str("undo")) }
    });
    match result {
        Some(Ok(value)) => stored.map(|()| value).map_err(Into::into),
        Some(failed) => failed,
        None => Err(stored.err().unwrap_or_default().into()),
    }
}

fn storage(state: &State) -> Storage {
    Reflect::get(state.as_raw(), &JsValue::from_str("storage")).unwrap_or_default().unchecked_into()
}
