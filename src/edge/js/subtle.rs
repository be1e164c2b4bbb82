//! Signatures, verified by the runtime (<https://developers.cloudflare.com/workers/runtime-apis/web-crypto/>).

use js_sys::{Array, Object, Promise, Uint8Array};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::globals::record;
use crate::edge::slots::Settled;
use crate::gateway::RsaPublicKey;

#[wasm_bindgen]
extern "C" {
    type Subtle;

    /// `crypto.subtle`.
    #[wasm_bindgen(thread_local_v2, js_namespace = crypto, js_name = subtle)]
    static SUBTLE: Subtle;

    #[wasm_bindgen(method, js_name = importKey, catch)]
    fn import_key(
        this: &Subtle,
        format: &str,
        key: &Object,
        algorithm: &Object,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn verify(
        this: &Subtle,
        algorithm: &str,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// The name of the algorithm of RS256 (RFC 7518 §3.3).
const ALGORITHM: &str = "RSASSA-PKCS1-v1_5";

/// Whether a key has signed a message with RS256.
///
/// # Errors
/// The runtime does not take the key.
pub(in crate::edge) async fn verify_rs256(
    key: &RsaPublicKey,
    signature: &[u8],
    message: &[u8],
) -> Result<bool, JsValue> {
    let jwk = record([("kty", "RSA"), ("n", key.modulus.as_str()), ("e", key.exponent.as_str())]);
    let algorithm = record([("name", ALGORITHM), ("hash", "SHA-256")]);
    let usages = Array::of1(&JsValue::from_str("verify"));
    let import = SUBTLE.with(|subtle| subtle.import_key("jwk", &jwk, &algorithm, false, &usages))?;
    let key = Settled::of(&import).await?;
    let (signature, message) = (Uint8Array::from(signature), Uint8Array::from(message));
    let verification = SUBTLE.with(|subtle| subtle.verify(ALGORITHM, &key, &signature, &message))?;
    Ok(Settled::of(&verification).await?.is_truthy())
}
