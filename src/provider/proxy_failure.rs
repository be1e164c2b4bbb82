//! What callers are told of a call that failed between the gateway and its provider, on the way through a
//! proxy.

use super::proxy::Proxy;
use super::redact::redact_proxy;
use crate::error::Error;

/// A kind of failure: the code, which the tunnel and the gateway share, the status, what is said of it, and
/// whether the tunnel's own words say more.
type Row = (&'static str, u16, &'static str, bool);

const ROWS: &[Row] = &[
    ("proxy_unreachable", 502, "The proxy of this provider could not be reached", false),
    (
        "proxy_auth",
        502,
        "The proxy of this provider wants a login, or another one. The gateway's operator sets it in the proxy's address",
        false,
    ),
    ("proxy_refused", 502, "The proxy of this provider did not connect to it", true),
    ("proxy_protocol", 502, "The proxy of this provider does not speak the protocol of its address", true),
    ("proxy_timeout", 504, "The connection through the proxy of this provider took too long", false),
    ("upstream_certificate", 502, "The provider's certificate was not accepted", true),
    ("upstream_tls", 502, "TLS with the provider failed behind the proxy", true),
];

/// The gateway's code where the tunnel distinguishes more than callers do.
const TLS: (&str, &str) = ("upstream_tls", "upstream_unreachable");

/// The error of a call that failed before anything was sent to the provider; `None` for other failures.
/// `detail` are the tunnel's words.
pub fn proxy_failed(proxy: &Proxy, code: &str, detail: &str) -> Option<Error> {
    let (code, status, words, has_detail) = *ROWS.iter().find(|(known, ..)| *known == code)?;
    let mut message = words.to_owned();
    if has_detail && !detail.is_empty() {
        message.push_str(": ");
        message.push_str(redact_proxy(detail, proxy).as_deref().unwrap_or(detail));
    }
    message.push('.');
    if code == "proxy_unreachable" && proxy.address.is_private() {
        message.push_str(" Its address is private: a deployed Worker reaches public addresses only.");
    }
    let code = if code == TLS.0 { TLS.1 } else { code };
    Some(Error::upstream(status, code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProxyAddress;

    fn failed(address: &str, code: &str, detail: &str) -> Option<(u16, String, String)> {
        let proxy = Proxy { address: ProxyAddress::parse(address).unwrap(), ca: None, max_answer_bytes: 1 };
        let error = proxy_failed(&proxy, code, detail)?;
        Some((error.status(), error.code().unwrap().to_owned(), error.message().to_owned()))
    }

    #[test]
    fn a_failure_has_its_code_its_status_and_what_the_tunnel_says_of_it() {
        let proxy = "http://user-name:pass-word@proxy.example:8080";
        let failed = |code, detail| failed(proxy, code, detail);
        let words = "The proxy of this provider did not connect to it: 403 for *** by the proxy.";
        let detail = "403 for user-name:pass-word by proxy.example:8080";
        assert_eq!(failed("proxy_refused", detail), Some((502, "proxy_refused".to_owned(), words.to_owned())));
        assert_eq!(failed("proxy_timeout", "").unwrap().0, 504);
        let (_, code, message) = failed("upstream_tls", "HandshakeFailure").unwrap();
        assert_eq!(code, "upstream_unreachable");
        assert_eq!(message, "TLS with the provider failed behind the proxy: HandshakeFailure.");
        for code in ["upstream_cut", "aborted", "", "proxy"] {
            assert_eq!(failed(code, ""), None, "{code}");
        }
    }

    #[test]
    fn a_private_proxy_that_cannot_be_reached_says_why() {
        let message = |address| failed(address, "proxy_unreachable", "x").unwrap().2;
        assert!(message("socks5://127.0.0.1:7890").ends_with("a deployed Worker reaches public addresses only."));
        assert!(message("socks5://proxy.example:7890").ends_with("could not be reached."));
    }
}
