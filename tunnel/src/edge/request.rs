//! The object that JavaScript describes a call with.

use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::ReadableStream;

use super::body::RequestStream;
use super::js;
use crate::exchange::{Call, Limits};
use crate::fault::{Fault, FaultKind};
use crate::http1::BodyLength;
use crate::proxy::Proxy;
use crate::target::Target;

/// How long the way to the provider may take if the caller does not say.
const DIAL_MS: f64 = 10_000.0;

/// What the object says.
pub struct Request {
    /// The call.
    pub call: Call,
    /// Its body.
    pub body: RequestStream,
    /// Additional roots in PEM, or an empty text.
    pub ca: String,
    /// How long the way to the provider may take.
    pub dial_ms: f64,
    /// The caller's `AbortSignal`, or `undefined`.
    pub signal: JsValue,
    /// `connect` of `cloudflare:sockets`.
    pub connect: Function,
}

impl Request {
    /// Reads the object.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`].
    pub fn read(object: &JsValue) -> Result<Self, Fault> {
        let headers = headers(&js::get(object, "headers"))?;
        let method = text(object, "method")?;
        let (body, length) = body(&js::get(object, "body"), &method, &headers)?;
        let limits = js::get(object, "limits");
        let call = Call {
            proxy: Proxy::parse(&text(object, "proxy")?)?,
            target: Target::parse(&text(object, "url")?)?,
            method,
            headers,
            body: length,
            limits: Limits {
                max_head: number(&limits, "max_head").map_or(Limits::default().max_head, saturating_usize),
                max_answer_bytes: number(&limits, "max_answer_bytes")
                    .map_or(Limits::default().max_answer_bytes, saturating_u64),
            },
        };
        Ok(Self {
            call,
            body,
            ca: js::get(object, "ca").as_string().unwrap_or_default(),
            dial_ms: number(&limits, "dial_ms").unwrap_or(DIAL_MS),
            signal: js::get(object, "signal"),
            connect: js::get(object, "connect").dyn_into().map_err(|_| invalid("`connect` is not a function"))?,
        })
    }
}

fn invalid(what: &str) -> Fault {
    Fault::new(FaultKind::InvalidCall, what)
}

fn text(object: &JsValue, name: &str) -> Result<String, Fault> {
    js::get(object, name).as_string().ok_or_else(|| invalid(&format!("`{name}` is not a text")))
}

fn number(object: &JsValue, name: &str) -> Option<f64> {
    js::get(object, name).as_f64().filter(|number| *number >= 0.0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates; it is not negative")]
fn saturating_u64(number: f64) -> u64 {
    number as u64
}

fn saturating_usize(number: f64) -> usize {
    usize::try_from(saturating_u64(number)).unwrap_or(usize::MAX)
}

/// Names and values in turn.
fn headers(value: &JsValue) -> Result<Vec<(String, String)>, Fault> {
    let flat: Option<Vec<String>> = Array::from(value).iter().map(|item| item.as_string()).collect();
    let flat = flat.ok_or_else(|| invalid("a header is not a text"))?;
    let pairs = flat.chunks(2).map(|pair| match pair {
        [name, value] => Ok((name.clone(), value.clone())),
        _ => Err(invalid("`headers` has a name without a value")),
    });
    pairs.collect()
}

/// Methods whose meaning expects a body: without one they say that its length is 0 (RFC 9110 8.6).
const WITH_BODY: [&str; 3] = ["POST", "PUT", "PATCH"];

/// Bytes, a text, a stream, or nothing. A stream is sent in chunks unless a header states its length.
fn body(value: &JsValue, method: &str, headers: &[(String, String)]) -> Result<(RequestStream, BodyLength), Fault> {
    if value.is_null() || value.is_undefined() {
        let length = if WITH_BODY.contains(&method) { BodyLength::Known(0) } else { BodyLength::None };
        return Ok((RequestStream::none(), length));
    }
    if let Some(text) = value.as_string() {
        let length = BodyLength::Known(text.len() as u64);
        return Ok((RequestStream::of_bytes(Uint8Array::from(text.as_bytes())), length));
    }
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        let length = BodyLength::Known(u64::from(bytes.length()));
        return Ok((RequestStream::of_bytes(bytes.clone()), length));
    }
    let stream = value.dyn_ref::<ReadableStream>();
    let stream = stream.ok_or_else(|| invalid("`body` is neither bytes, nor a text, nor a stream"))?;
    let stated = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = stated.and_then(|(_, value)| value.trim().parse().ok()).map_or(BodyLength::Chunked, BodyLength::Known);
    Ok((RequestStream::of_stream(stream)?, length))
}
