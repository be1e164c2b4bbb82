//! The only code that knows Workers: the fetch event, the Durable Objects, streams, sockets and the clock.

mod begun;
mod byte_source;
mod clock;
mod context;
mod count;
mod disconnect;
mod fetch;
mod isolate;
mod js;
mod log;
mod log_queue;
mod log_sender;
mod objects;
mod operations_queue;
mod otlp_queue;
mod otlp_request;
mod otlp_sender;
mod platform;
mod receipt_queue;
mod response;
mod sink;
mod upload;
mod url;
mod webhook;
mod websocket;
mod zone;
