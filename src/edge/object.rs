//! Orders to Durable Objects, which keep what must not be lost, one thing at a time.

use js_sys::{JsString, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::RequestInit;
use worker::Env;

use super::platform::log;
use crate::gateway::platform::{CallError, ObjectAddress};
use crate::wire::json::quote;

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/durable-objects/api/namespace/>
    type Namespace;

    #[wasm_bindgen(method, js_name = getByName, catch)]
    fn get_by_name(this: &Namespace, name: &str) -> Result<Stub, JsValue>;

    #[wasm_bindgen(method, js_name = newUniqueId, catch)]
    fn new_unique_id(this: &Namespace) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, js_name = idFromString, catch)]
    fn id_from_string(this: &Namespace, text: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn get(this: &Namespace, id: &JsValue) -> Result<Stub, JsValue>;

    /// <https://developers.cloudflare.com/durable-objects/api/stub/>
    pub(super) type Stub;

    #[wasm_bindgen(method, catch)]
    fn fetch(this: &Stub, url: &str, init: &RequestInit) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, js_name = fetch, catch)]
    fn pass(this: &Stub, request: &web_sys::Request) -> Result<Promise, JsValue>;
}

/// The name of the one object of its kind.
const ONLY: &str = "only";
/// An object is called by a URL; it looks at the body alone.
const URL: &str = "https://object/";

/// Hands an order to an object and waits for its answer.
pub(super) async fn ask(env: &Env, seat: ObjectAddress<'_>, order: String) -> Result<String, CallError> {
    let (binding, name) = match seat {
        ObjectAddress::Account(name) => ("ACCOUNTS", name),
        ObjectAddress::Directory | ObjectAddress::Signing => ("DIRECTORY", ONLY),
        ObjectAddress::Vault(name) => ("VAULTS", name),
    };
    let Ok(namespace) = namespace(env, binding) else {
        log(&format!("{{\"level\":\"error\",\"event\":\"object_missing\",\"binding\":\"{binding}\"}}"));
        return Err(CallError::Unbound);
    };
    send(&namespace, name, &order).await.map_err(|error| {
        let reason = quote(&format!("{error:?}"));
        log(&format!("{{\"level\":\"error\",\"event\":\"object_failed\",\"error\":{reason}}}"));
        CallError::Broken
    })
}

/// The session of this id, or a new one. The platform makes the ids, and knows those that it has made: whoever guesses reaches no object.
pub(super) fn session(env: &Env, id: Option<&str>) -> Result<Option<Stub>, JsValue> {
    let sessions = namespace(env, "SESSIONS")?;
    let id = match id {
        Some(text) => sessions.id_from_string(text).ok(),
        None => Some(sessions.new_unique_id()?),
    };
    id.map(|id| sessions.get(&id)).transpose()
}

/// Has a session answer a request.
pub(super) async fn pass(session: &Stub, request: &web_sys::Request) -> Result<web_sys::Response, JsValue> {
    JsFuture::from(session.pass(request)?).await?.dyn_into()
}

fn namespace(env: &Env, binding: &str) -> Result<Namespace, JsValue> {
    let namespace = Reflect::get(env, &JsValue::from_str(binding))?;
    if namespace.is_undefined() { Err(JsValue::from_str(binding)) } else { Ok(namespace.unchecked_into()) }
}

async fn send(namespace: &Namespace, name: &str, order: &str) -> Result<String, JsValue> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(order));
    let stub = namespace.get_by_name(name)?;
    let response: web_sys::Response = JsFuture::from(stub.fetch(URL, &init)?).await?.dyn_into()?;
    let text = JsFuture::from(response.text()?).await?;
    if response.ok() { Ok(text.dyn_into::<JsString>()?.into()) } else { Err(text) }
}
