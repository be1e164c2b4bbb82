//! Why a call through a proxy failed: a stable code, words that may be shown and logged, and whether the
//! provider may have received anything.

use std::fmt;

/// The kind of a failure. Its code is part of the interface of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The call itself cannot be made: its URL, a header, or a body that differs from its stated length.
    InvalidCall,
    /// No connection to the proxy.
    ProxyUnreachable,
    /// The proxy asks for a login, or for another one.
    ProxyAuth,
    /// The proxy understood the call and declined it, or did not reach the provider.
    ProxyRefused,
    /// The address answers, but not as such a proxy does.
    ProxyProtocol,
    /// The tunnel to the provider was not established in time.
    ProxyTimeout,
    /// The certificate of the provider is not valid for it.
    UpstreamCertificate,
    /// TLS with the provider failed for another reason than its certificate.
    UpstreamTls,
    /// The provider's response is not the HTTP that was asked for.
    UpstreamProtocol,
    /// The connection ended before the response did.
    UpstreamCut,
    /// The decompressed response is larger than permitted.
    ResponseTooLarge,
    /// The caller gave up.
    Aborted,
}

impl FaultKind {
    /// All kinds, for tables.
    pub const ALL: [Self; 12] = [
        Self::InvalidCall,
        Self::ProxyUnreachable,
        Self::ProxyAuth,
        Self::ProxyRefused,
        Self::ProxyProtocol,
        Self::ProxyTimeout,
        Self::UpstreamCertificate,
        Self::UpstreamTls,
        Self::UpstreamProtocol,
        Self::UpstreamCut,
        Self::ResponseTooLarge,
        Self::Aborted,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidCall => "invalid_call",
            Self::ProxyUnreachable => "proxy_unreachable",
            Self::ProxyAuth => "proxy_auth",
            Self::ProxyRefused => "proxy_refused",
            Self::ProxyProtocol => "proxy_protocol",
            Self::ProxyTimeout => "proxy_timeout",
            Self::UpstreamCertificate => "upstream_certificate",
            Self::UpstreamTls => "upstream_tls",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::UpstreamCut => "upstream_cut",
            Self::ResponseTooLarge => "response_too_large",
            Self::Aborted => "aborted",
        }
    }
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What failed.
    pub kind: FaultKind,
    /// Words for people. They hold no login and no unprintable byte.
    pub message: String,
    /// Whether a byte of the request may have reached the provider. If not, the call can be repeated
    /// elsewhere.
    pub sent: bool,
}

impl Fault {
    /// A fault before anything was sent.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), sent: false }
    }

    /// The same fault, with what is known of the request.
    #[must_use]
    pub fn with_sent(mut self, sent: bool) -> Self {
        self.sent = sent;
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind.code(), self.message)
    }
}

/// The most characters of foreign text in a message.
const QUOTED_CHARACTERS: usize = 120;

/// Bytes from outside as text that is safe to show: printable ASCII, at most 120 characters.
pub fn printable(bytes: &[u8]) -> String {
    let shown = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    let mut text: String = bytes.iter().take(QUOTED_CHARACTERS).map(shown).collect();
    if bytes.len() > QUOTED_CHARACTERS {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_bytes_are_made_printable_and_cut() {
        assert_eq!(printable(b"ok \x1b[31m\xff\r\n"), "ok ?[31m???");
        assert_eq!(printable(&[b'x'; 500]).len(), 123);
    }

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), FaultKind::ALL.len());
    }
}
