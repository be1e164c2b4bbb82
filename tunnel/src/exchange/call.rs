//! What is asked for.

use crate::http1::BodyLength;
use crate::proxy::Proxy;
use crate::target::Target;

/// A call of a provider through a proxy.
#[derive(Clone, Debug)]
pub struct Call {
    /// The proxy.
    pub proxy: Proxy,
    /// The provider.
    pub target: Target,
    /// The method, as it is sent.
    pub method: String,
    /// Headers of the request. Those of the connection are written by the exchange.
    pub headers: Vec<(String, String)>,
    /// How long the body is.
    pub body: BodyLength,
    /// What a response may be.
    pub limits: Limits,
}

/// Bounds of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a head.
    pub max_head: usize,
    /// The most bytes of a body that was compressed, after decompression. Others are bounded by the reader.
    pub max_answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_head: 128 << 10, max_answer_bytes: 128 << 20 }
    }
}
