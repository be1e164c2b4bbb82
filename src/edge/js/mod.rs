//! Bindings to the JavaScript of the Workers runtime and of the entry module, as far as no crate has them.

mod accepted_socket;
mod bucket;
mod entry_module;
mod event_context;
mod globals;
mod headers;
mod hibernation;
mod objects;
mod runtime;
mod subtle;

pub(super) use accepted_socket::{AcceptedSocket, Closed};
pub(super) use bucket::{Bucket, bucket};
pub(super) use entry_module::{
    StreamedResponse, configuration, data_center, ended, pipe, streamed_response, tunnel, zone_offsets,
};
pub(super) use event_context::EventContext;
pub(super) use globals::{Assets, FixedLengthStream, clear_timer, fetch, fetch_request, random, record, tee};
pub(super) use headers::header;
pub(super) use hibernation::{attach, attachment, last_ping};
pub(super) use objects::{Stub, binding, in_transaction, namespace, set_alarm, stored_alarm};
pub(super) use runtime::{
    CallBody, OpenRequest, ProviderCall, ResponseBody, provider_call, response, settle, sleep, soon,
};
pub(super) use subtle::verify_rs256;
