//! What callers are told of a call that failed between the gateway and its provider, on the way through a
//! proxy.

use super::proxy::Proxy;
use super::redact::redact_proxy;
use crate::error::Error;

/// A kind of failure on the way.
struct Row {
    /// The tunnel's code for it.
    kind: &'static str,
    /// The gateway's, where the tunnel distinguishes more than callers do or less.
    code: &'static str,
    status: u16,
    /// What is said of it; the tunnel's own words follow.
    words: &'static str,
    /// What to do, unless the tunnel's words say it.
    advice: &'static str,
}

const fn row(kind: &'static str, status: u16, words: &'static str, advice: &'static str) -> Row {
    Row { kind, code: kind, status, words, advice }
}

const ROWS: &[Row] = &[
    Row { code: INVALID, ..row("invalid_call", 503, "The call through the proxy of this provider cannot be made", "") },
    row(
        "proxy_unreachable",
        502,
        "The proxy of this provider could not be reached",
        "Check its address, and that it runs.",
    ),
    row(
        "proxy_auth",
        502,
        "The proxy of this provider wants a login, or another one",
        "The gateway's operator sets it in the proxy's address.",
    ),
    row(
        "proxy_refused",
        502,
        "The proxy of this provider did not connect to it",
        "Its rules and its network have to permit this provider's host and port.",
    ),
    row("proxy_protocol", 502, "The proxy of this provider cannot be used", "Check the scheme and the port."),
    row(
        "proxy_timeout",
        504,
        "The connection through the proxy of this provider took too long",
        "Check that the proxy reaches this provider.",
    ),
    row("upstream_certificate", 502, "The provider's certificate was not accepted", ""),
    Row { code: UNREACHABLE, ..row("upstream_tls", 502, "TLS with the provider failed behind the proxy", "") },
    Row {
        code: UNREACHABLE,
        ..row("tunnel_failed", 502, "The gateway failed while it called this provider through its proxy", AGAIN)
    },
    // Something may have been sent: the same as of a direct call, but the tunnel knows why.
    Row { code: UNREACHABLE, ..row("upstream_protocol", 502, "The provider's response cannot be read", "") },
];

const AGAIN: &str = "Send the request again.";
/// The code of a call that the configuration makes impossible.
const INVALID: &str = "proxy_misconfigured";
/// The code of a provider that does not answer as it should, for any other reason.
const UNREACHABLE: &str = "upstream_unreachable";

/// The error of a call through a proxy that got no response, if the tunnel can say more than that; `None` for
/// other failures. `detail` are the tunnel's words.
pub fn proxy_failed(proxy: &Proxy, kind: &str, detail: &str) -> Option<Error> {
    let row = ROWS.iter().find(|row| row.kind == kind)?;
    let mut message = row.words.to_owned();
    // The gateway's own failure says nothing more to callers.
    if !detail.is_empty() && row.advice != AGAIN {
        message.push_str(": ");
        message.push_str(redact_proxy(detail, proxy).as_deref().unwrap_or(detail));
    }
    message.push('.');
    let advice = if row.kind == "proxy_unreachable" && proxy.address.is_private() {
        "Its address is private: a deployed Worker reaches public addresses only. Under `make dev`, check that it runs."
    } else {
        row.advice
    };
    if !advice.is_empty() {
        message.push(' ');
        message.push_str(advice);
    }
    if row.code == INVALID {
        return Some(Error::gateway(row.status, row.code, message));
    }
    Some(Error::upstream(row.status, row.code, message))
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
        let words = "The proxy of this provider did not connect to it: 403 for *** by the proxy. Its rules and its network have to permit this provider's host and port.";
        let detail = "403 for user-name:pass-word by proxy.example:8080";
        assert_eq!(failed("proxy_refused", detail), Some((502, "proxy_refused".to_owned(), words.to_owned())));
        assert_eq!(failed("proxy_timeout", "").unwrap().0, 504);
        let (_, code, message) = failed("upstream_tls", "HandshakeFailure").unwrap();
        assert_eq!(code, "upstream_unreachable");
        assert_eq!(message, "TLS with the provider failed behind the proxy: HandshakeFailure.");
        let (status, code, message) = failed("invalid_call", "`ca` holds no certificate in PEM").unwrap();
        assert_eq!((status, code.as_str()), (503, "proxy_misconfigured"));
        assert_eq!(
            message,
            "The call through the proxy of this provider cannot be made: `ca` holds no certificate in PEM."
        );
        for code in ["upstream_cut", "aborted", "", "proxy"] {
            assert_eq!(failed(code, ""), None, "{code}");
        }
    }

    #[test]
    fn a_private_proxy_that_cannot_be_reached_says_why() {
        let message = |address| failed(address, "proxy_unreachable", "x").unwrap().2;
        assert!(message("socks5://127.0.0.1:7890").contains("a deployed Worker reaches public addresses only."));
        assert!(message("socks5://proxy.example:7890").ends_with("Check its address, and that it runs."));
    }
}
