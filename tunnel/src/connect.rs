//! HTTP proxies: the CONNECT method (RFC 9110 9.3.6), and the credentials that they take.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Fault, FaultKind, printable};
use crate::http1::{HeadEnd, find_head_end, is_http};
use crate::proxy::{Login, Proxy};
use crate::target::Target;

/// The most bytes of a proxy's head.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// What an answer in SOCKS5 begins with …
const SOCKS_VERSION: u8 = 5;
/// … and a complaint in TLS, by a proxy that wants TLS.
const TLS_ALERT: u8 = 21;

/// A CONNECT under way.
#[derive(Debug)]
pub struct Connect {
    has_login: bool,
}

impl Connect {
    /// The request, and what will read its response.
    pub fn new(proxy: &Proxy, target: &Target) -> (Self, Vec<u8>) {
        let address = target.host_and_port();
        let mut request = format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n");
        if let Some(login) = &proxy.login {
            request.push_str(&format!("proxy-authorization: {}\r\n", basic(login)));
        }
        request.push_str("\r\n");
        (Self { has_login: proxy.login.is_some() }, request.into_bytes())
    }

    /// Reads the proxy's response from the beginning of `received`: the length of its head once the tunnel is
    /// established, or nothing while bytes are missing. What follows the head belongs to the tunnel.
    ///
    /// # Errors
    /// [`FaultKind::ProxyAuth`], [`FaultKind::ProxyRefused`], [`FaultKind::ProxyProtocol`].
    pub fn read(&self, received: &[u8]) -> Result<Option<usize>, Fault> {
        let mut start = 0;
        loop {
            let rest = received.get(start..).unwrap_or_default();
            let Some(head) = self.read_head(rest)? else { return Ok(None) };
            start += head.length;
            match head.status {
                // An interim response. Proxies have no reason for one, but may send it.
                100..=199 => {}
                200..=299 => return Ok(Some(start)),
                407 => return Err(login_fault(self.has_login)),
                status => return Err(Fault::new(FaultKind::ProxyRefused, refusal(status, &head.reason))),
            }
        }
    }

    fn read_head(&self, bytes: &[u8]) -> Result<Option<ProxyHead>, Fault> {
        if !is_http(bytes) {
            return Err(not_http(bytes));
        }
        let HeadEnd::At(length) = find_head_end(bytes, 0) else {
            return if bytes.len() > MAX_HEAD { Err(garbled()) } else { Ok(None) };
        };
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(bytes.get(..length).unwrap_or_default()) {
            Ok(httparse::Status::Complete(_)) => {}
            _ => return Err(garbled()),
        }
        let status = response.code.ok_or_else(garbled)?;
        // Reasons are the proxy's words. With a login in play, nothing is quoted: the words might repeat it.
        let reason = if self.has_login { String::new() } else { printable(response.reason.unwrap_or("").as_bytes()) };
        Ok(Some(ProxyHead { status, reason, length }))
    }
}

struct ProxyHead {
    status: u16,
    reason: String,
    length: usize,
}

fn refusal(status: u16, reason: &str) -> String {
    format!("the proxy refused: {status} {reason}").trim_end().to_owned()
}

/// What is no HTTP may be a proxy of another kind.
fn not_http(bytes: &[u8]) -> Fault {
    let other = match bytes.first() {
        Some(&SOCKS_VERSION) => "SOCKS5, not HTTP: its address may have to begin with socks5://",
        Some(&TLS_ALERT) => "TLS, not HTTP: its address may have to begin with https://",
        _ => return garbled(),
    };
    Fault::new(FaultKind::ProxyProtocol, format!("the address of the proxy answers in {other}"))
}

fn garbled() -> Fault {
    Fault::new(FaultKind::ProxyProtocol, "the address of the proxy does not answer in HTTP")
}

/// The fault for status 407.
pub fn login_fault(has_login: bool) -> Fault {
    let message = if has_login {
        "the proxy refused the login in its URL (407)"
    } else {
        "the proxy asks for a login (407), and its URL has none"
    };
    Fault::new(FaultKind::ProxyAuth, message)
}

/// A login as the value of `proxy-authorization` (RFC 7617).
pub fn basic(login: &Login) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{}", login.user, login.password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(url: &str) -> (Connect, String) {
        let target = Target::parse("https://api.example/v1").unwrap();
        let (connect, request) = Connect::new(&Proxy::parse(url).unwrap(), &target);
        (connect, String::from_utf8(request).unwrap())
    }

    fn fault(url: &str, response: &str) -> (FaultKind, String) {
        let fault = connect(url).0.read(response.as_bytes()).unwrap_err();
        assert!(!fault.sent);
        (fault.kind, fault.message)
    }

    #[test]
    fn the_request_names_host_and_port() {
        let (_, request) = connect("http://p");
        assert_eq!(request, "CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n\r\n");
    }

    #[test]
    fn a_login_is_sent_decoded() {
        let (_, request) = connect("http://user:pa%3Ass@p");
        assert!(request.contains("\r\nproxy-authorization: Basic dXNlcjpwYTpzcw==\r\n"), "{request}");
    }

    #[test]
    fn the_tunnel_begins_after_the_head() {
        let (connect, _) = connect("http://p");
        let response = b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\nrest";
        for cut in 0..response.len() - 4 {
            assert_eq!(connect.read(&response[..cut]).unwrap(), None, "after {cut} bytes");
        }
        assert_eq!(connect.read(response).unwrap(), Some(response.len() - 4));
        let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\n";
        assert_eq!(connect.read(interim).unwrap(), Some(interim.len()));
    }

    #[test]
    fn refusals_are_worded() {
        let refused = (FaultKind::ProxyRefused, "the proxy refused: 403 Forbidden by rule".to_owned());
        assert_eq!(fault("http://p", "HTTP/1.1 403 Forbidden by rule\r\n\r\n"), refused);
        let bad_gateway = (FaultKind::ProxyRefused, "the proxy refused: 502".to_owned());
        assert_eq!(fault("http://p", "HTTP/1.1 502\r\n\r\n"), bad_gateway);
    }

    #[test]
    fn a_missing_login_and_a_wrong_one_are_told_apart() {
        let response = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        let (kind, message) = fault("http://p", response);
        assert_eq!((kind, message.contains("has none")), (FaultKind::ProxyAuth, true));
        let (kind, message) = fault("http://user:secret@p", response);
        assert_eq!((kind, message.contains("refused the login")), (FaultKind::ProxyAuth, true));
    }

    #[test]
    fn a_proxy_that_repeats_the_login_is_not_quoted() {
        let (_, message) = fault("http://user:secret@p", "HTTP/1.1 403 no user:secret dXNlcjpzZWNyZXQ=\r\n\r\n");
        assert_eq!(message, "the proxy refused: 403");
    }

    #[test]
    fn what_is_no_http_is_noticed_at_once() {
        for response in
            ["SSH-2.0-OpenSSH_9.2\r\n", "\x05\x00", "\x15\x03\x01", "HTTP/1.1 abc\r\n\r\n", "HTTP/2 200\r\n\r\n"]
        {
            assert_eq!(fault("http://p", response).0, FaultKind::ProxyProtocol, "{response:?}");
        }
        assert!(fault("http://p", "\x05\u{ff}").1.ends_with("begin with socks5://"));
        assert!(fault("http://p", "\x15\x03\x01").1.ends_with("begin with https://"));
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert_eq!(fault("http://p", &endless).0, FaultKind::ProxyProtocol);
    }
}
