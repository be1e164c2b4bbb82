//! A response for JavaScript, whose body is written as it comes.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Headers, Response, ResponseInit, WritableStreamDefaultWriter};

use super::error::error_of;
use super::js::IdentityTransformStream;
use super::pump::Pump;
use crate::exchange::Event;
use crate::http1::ResponseHead;

/// Makes the response. A task writes its body, at the pace at which it is read.
///
/// # Errors
/// What the runtime says about a head that it does not take.
pub fn respond(head: &ResponseHead, is_head_request: bool, pump: Pump) -> Result<Response, JsValue> {
    let init = ResponseInit::new();
    init.set_status(head.status);
    init.set_headers(&headers(head)?.into());
    if is_head_request || matches!(head.status, 204 | 205 | 304) {
        return Response::new_with_opt_str_and_init(None, &init);
    }
    let stream = IdentityTransformStream::new()?;
    let writer = stream.writable_side().get_writer()?;
    spawn_local(write_body(pump, writer));
    Response::new_with_opt_readable_stream_and_init(Some(&stream.readable_side()), &init)
}

fn headers(head: &ResponseHead) -> Result<Headers, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &head.headers {
        // A byte is a character, as `fetch` has it.
        let value: String = value.iter().map(|byte| char::from(*byte)).collect();
        headers.append(name, &value)?;
    }
    Ok(headers)
}

async fn write_body(mut pump: Pump, writer: WritableStreamDefaultWriter) {
    // Settles when nobody reads any more, also while the provider is silent.
    let mut closed = JsFuture::from(writer.closed());
    let fault = loop {
        let Some(event) = next_while_read(&mut pump, &mut closed).await else { return };
        match event {
            // A second head does not come.
            Event::Head(_) => {}
            Event::Body(bytes) => match write(&mut pump, &writer, &bytes).await {
                Written::Done => {}
                Written::Gone => return,
                Written::Aborted => match pump.abort() {
                    Some(Event::Fault(fault)) => break fault,
                    _ => return,
                },
            },
            Event::End => {
                drop(pump);
                let _ = JsFuture::from(writer.close()).await;
                return;
            }
            Event::Fault(fault) => break fault,
        }
    };
    drop(pump);
    let _ = JsFuture::from(writer.abort_with_reason(&error_of(&fault))).await;
}

/// The next event; `None` if nobody waits for it any more.
async fn next_while_read(pump: &mut Pump, closed: &mut JsFuture) -> Option<Event> {
    let mut next = pin!(pump.next());
    poll_fn(|context| {
        if let Poll::Ready(event) = next.as_mut().poll(context) {
            return Poll::Ready(Some(event));
        }
        Pin::new(&mut *closed).poll(context).map(|_| None)
    })
    .await
}

enum Written {
    Done,
    /// Nobody reads any more.
    Gone,
    Aborted,
}

async fn write(pump: &mut Pump, writer: &WritableStreamDefaultWriter, bytes: &[u8]) -> Written {
    let mut writing = JsFuture::from(writer.write_with_chunk(&Uint8Array::from(bytes)));
    poll_fn(|context| {
        if let Poll::Ready(result) = Pin::new(&mut writing).poll(context) {
            return Poll::Ready(if result.is_ok() { Written::Done } else { Written::Gone });
        }
        pump.poll_aborted(context).map(|()| Written::Aborted)
    })
    .await
}
