//! Commands to Durable Objects.

use js_sys::{JsString, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::RequestInit;
use worker::Env;

use crate::config::Region;
use crate::edge::js::{Stub, namespace, record};
use crate::edge::log::report_failure;
use crate::edge::slots::Settled;
use crate::gateway::platform::{ObjectAddress, ObjectError};
use crate::telemetry::RuntimeFailure;

/// The name of the only object of its class.
const ONLY: &str = "only";
/// The URL of calls to objects, which read the body. Its path is the part that is called, if there are parts.
pub(super) const URL: &str = "https://object/";
/// The binding of the objects that make calls in regions.
pub(in crate::edge) const REGIONS: &str = "REGIONS";

/// Sends a command to an object, and waits for its response.
pub(in crate::edge) async fn ask(
    env: &Env,
    address: ObjectAddress<'_>,
    command: String,
) -> Result<String, ObjectError> {
    let (binding, name) = match address {
        ObjectAddress::Account(name) => ("ACCOUNTS", name),
        ObjectAddress::Directory | ObjectAddress::Signing => ("DIRECTORY", ONLY),
        ObjectAddress::Vault(name) => ("VAULTS", name),
        ObjectAddress::Health => ("HEALTH", ONLY),
        ObjectAddress::LogFiles => ("LOG_FILES", ONLY),
        ObjectAddress::Operations(_) => ("OPERATIONS", ONLY),
        ObjectAddress::Region(..) => (REGIONS, ONLY),
    };
    let Ok(namespace) = namespace(env, binding) else {
        report_failure(RuntimeFailure::ObjectMissing(binding));
        return Err(ObjectError::Unbound);
    };
    let url = match address {
        ObjectAddress::Operations(part) => format!("{URL}{}", part.name()),
        _ => URL.to_owned(),
    };
    let stub = match address {
        ObjectAddress::Region(place, number) => region(env, place, number),
        _ => namespace.get_by_name(name),
    };
    send(stub, &url, &command).await.map_err(|error| {
        report_failure(RuntimeFailure::ObjectFailed(&format!("{error:?}")));
        ObjectError::Unreachable
    })
}

/// The session with this id, or a new one; `None` if the platform did not make the id. A guessed id reaches
/// no object.
pub(in crate::edge) fn session(env: &Env, id: Option<&str>) -> Result<Option<Stub>, JsValue> {
    let sessions = namespace(env, "SESSIONS")?;
    let id = match id {
        Some(text) => sessions.id_from_string(text).ok(),
        None => Some(sessions.new_unique_id()?),
    };
    id.map(|id| sessions.get(&id)).transpose()
}

/// An object that makes calls in a region, by its number. The first call places it.
pub(in crate::edge) fn region(env: &Env, region: Region, number: usize) -> Result<Stub, JsValue> {
    let name = format!("{}-{number}", region.name());
    namespace(env, REGIONS)?.get_by_name_in(&name, &record([("locationHint", region.name())]))
}

/// The operations object.
pub(in crate::edge) fn operations(env: &Env) -> Result<Stub, JsValue> {
    namespace(env, "OPERATIONS")?.get_by_name(ONLY)
}

/// Forwards a request to an object.
pub(in crate::edge) async fn forward(object: &Stub, request: &web_sys::Request) -> Result<web_sys::Response, JsValue> {
    Settled::of(&object.forward(request)?).await?.dyn_into()
}

async fn send(stub: Result<Stub, JsValue>, url: &str, command: &str) -> Result<String, JsValue> {
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&Uint8Array::from(command.as_bytes()));
    let response: web_sys::Response = Settled::of(&stub?.fetch(url, &init)?).await?.dyn_into()?;
    let text = Settled::of(&response.text()?).await?;
    if response.ok() { Ok(text.dyn_into::<JsString>()?.into()) } else { Err(text) }
}
