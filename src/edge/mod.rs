//! The only code that knows Workers: the fetch event, the Durable Objects, streams, sockets and the clock.

mod body;
mod byte_source;
mod clock;
mod context;
mod count;
mod disconnect;
mod echo_stream;
mod fetch;
mod isolate;
mod js;
mod log;
mod long_body;
mod objects;
mod platform;
mod receipt_queue;
mod renewal;
mod response;
mod stream;
mod url;
mod websocket;
