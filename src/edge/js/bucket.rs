//! Buckets of R2, as far as log files need them.

use crate::edge::slots::Settled;
use js_sys::{JsString, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

#[wasm_bindgen]
extern "C" {
    /// <https://developers.cloudflare.com/r2/api/workers/workers-api-reference/>
    pub(in crate::edge) type Bucket;

    #[wasm_bindgen(method, js_name = put, catch)]
    fn start_put(this: &Bucket, key: &str, value: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, js_name = get, catch)]
    fn start_get(this: &Bucket, key: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, js_name = delete, catch)]
    fn start_delete(this: &Bucket, key: &str) -> Result<Promise, JsValue>;

    /// What a bucket stores under a key.
    type BucketObject;

    #[wasm_bindgen(method, catch)]
    fn text(this: &BucketObject) -> Result<Promise, JsValue>;
}

/// The bucket of a binding, if there is such a binding.
pub(in crate::edge) fn bucket(env: &Env, binding: &str) -> Option<Bucket> {
    let bucket = Reflect::get(env, &JsValue::from_str(binding)).ok()?;
    bucket.is_object().then(|| bucket.unchecked_into())
}

impl Bucket {
    /// Stores a text under a key.
    pub(in crate::edge) async fn put(&self, key: &str, text: &str) -> Result<(), JsValue> {
        Settled::of(&self.start_put(key, text)?).await.map(drop)
    }

    /// The text under a key; `None` if there is none.
    pub(in crate::edge) async fn get(&self, key: &str) -> Result<Option<String>, JsValue> {
        let object = Settled::of(&self.start_get(key)?).await?;
        if object.is_null() {
            return Ok(None);
        }
        let text = Settled::of(&object.unchecked_into::<BucketObject>().text()?).await?;
        Ok(Some(text.dyn_into::<JsString>()?.into()))
    }

    /// Deletes what is stored under a key, if anything is.
    pub(in crate::edge) async fn delete(&self, key: &str) -> Result<(), JsValue> {
        Settled::of(&self.start_delete(key)?).await.map(drop)
    }
}
