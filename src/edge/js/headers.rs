//! Headers, by names that do not have to be decoded each time.

use std::cell::RefCell;

use js_sys::JsString;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

#[wasm_bindgen]
extern "C" {
    type NamedHeaders;

    #[wasm_bindgen(method, catch)]
    fn get(this: &NamedHeaders, name: &JsString) -> Result<Option<String>, JsValue>;
}

/// The most names that are kept: more than the gateway asks for.
const MOST: usize = 64;

thread_local! {
    static NAMES: RefCell<Vec<(String, JsString)>> = const { RefCell::new(Vec::new()) };
}

/// The value of a header, by its name in lower case.
pub(in crate::edge) fn header(headers: &web_sys::Headers, name: &str) -> Option<String> {
    let headers: &NamedHeaders = headers.unchecked_ref();
    let known = NAMES.with_borrow(|names| {
        let (_, known) = names.iter().find(|(known, _)| known == name)?;
        Some(headers.get(known))
    });
    let value = known.unwrap_or_else(|| {
        let own = JsString::from(name);
        let value = headers.get(&own);
        NAMES.with_borrow_mut(|names| {
            if names.len() < MOST {
                names.push((name.to_owned(), own));
            }
        });
        value
    });
    value.ok().flatten()
}
