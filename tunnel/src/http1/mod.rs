//! HTTP/1.1 as a client speaks it: one exchange on one connection, with strict framing (RFC 9112).

mod body;
mod brotli;
mod crc32;
mod decompress;
mod head;
mod request;

pub use body::BodyDecoder;
pub use decompress::{Coding, Decompressor};
pub use head::{Framing, HeadEnd, ResponseHead, find_head_end, is_http, parse_head};
pub use request::{BodyLength, RequestForm, encode_chunk, encode_head, last_chunk};
