//! Orders to Durable Objects, which keep what must not be lost, one thing at a time.

use js_sys::{JsString, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::RequestInit;
use worker::Env;

use super::host::log;
use crate::gateway::host::{Lost, Seat};
use crate::wire::json::quote;

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/durable-objects/api/namespace/>
    type Namespace;

    #[wasm_bindgen(method, js_name = getByName, catch)]
    fn get_by_name(this: &Namespace, name: &str) -> Result<Stub, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/stub/>
    type Stub;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Stub, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
}

/// The name of the one object of its kind.
const ONLY: &str = "only";
/// An object is called by a URL; it looks at the body alone.
const URL: &str = "https://object/";

/// Hands an order to an object and waits for its answer.
pub(super) async fn ask(env: &Env, seat: Seat<'_>, order: String) -> Result<String, Lost> {
    send(env, seat, &order).await.map_err(|error| {
        let reason = quote(&format!("{error:?}"));
        log(&format!("{{\"level\":\"error\",\"event\":\"object_failed\",\"error\":{reason}}}"));
        Lost::Broken
    })
}

async fn send(env: &Env, seat: Seat<'_>, order: &str) -> Result<String, JsValue> {
    let (binding, name) = match seat {
        Seat::Account(name) => ("ACCOUNTS", name),
        Seat::Directory => ("DIRECTORY", ONLY),
    };
    let namespace = Reflect::get(env, &JsValue::from_str(binding))?;
    if namespace.is_undefined() {
        return Err(JsValue::NULL);
    }
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(order));
    let stub = namespace.unchecked_into::<Namespace>().get_by_name(name)?;
    let response: web_sys::Response = JsFuture::from(stub.fetch(URL, &init)?).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    if response.ok() { Ok(text.dyn_into::<JsString>()?.into()) } else { Err(text) }
}
