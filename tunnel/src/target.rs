//! The URL of a provider, taken apart: who is connected to, and what is asked for.

use std::net::IpAddr;

use crate::fault::{Fault, FaultKind};

/// What a call is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether the provider speaks TLS (`https:`).
    pub is_tls: bool,
    /// The host without the brackets of an IPv6 address.
    pub host: String,
    /// The port, stated or that of the scheme.
    pub port: u16,
    /// Host and stated port, as the `host` header has them.
    pub authority: String,
    /// Path and query; at least `/`.
    pub path: String,
}

impl Target {
    /// Reads an absolute `http:` or `https:` URL as `new URL(…).href` gives it. A fragment is dropped.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for other schemes, credentials in the URL, a host that is no name or
    /// address, and characters that do not belong into a request line.
    pub fn parse(url: &str) -> Result<Self, Fault> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("is not absolute"))?;
        let (is_tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => (true, 443),
            "http" => (false, 80),
            _ => return Err(invalid("is neither http: nor https:")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(invalid("holds credentials"));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("has a path with characters that must be percent-encoded"));
        }
        let (host, port) = host_and_port(authority, default_port).ok_or_else(|| invalid("names no valid host"))?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_tls, host, port, authority: authority.to_owned(), path })
    }

    /// `host:port`, with the brackets of an IPv6 address, as CONNECT wants it.
    pub fn host_and_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The whole URL, as a request to an HTTP proxy names a plain-text resource (RFC 9112 3.2.2).
    pub fn absolute_form(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }
}

fn invalid(what: &str) -> Fault {
    Fault::new(FaultKind::InvalidCall, format!("the provider's URL {what}"))
}

/// Splits an authority without credentials. The host loses the brackets of an IPv6 address.
pub(crate) fn host_and_port(authority: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        if !matches!(address.parse(), Ok(IpAddr::V6(_))) {
            return None;
        }
        match rest.strip_prefix(':') {
            Some(port) => (address, Some(port)),
            None if rest.is_empty() => (address, None),
            None => return None,
        }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_host = authority.starts_with('[') || host.bytes().all(is_name);
    if host.is_empty() || host.len() > 253 || !is_host {
        return None;
    }
    let port = match port {
        None => default_port,
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().filter(|port| *port != 0)?,
        Some(_) => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://API.example.com/v1/chat?x=1#top").unwrap();
        assert!(target.is_tls);
        assert_eq!(target.host, "api.example.com");
        assert_eq!(target.host_and_port(), "api.example.com:443");
        assert_eq!(target.authority, "API.example.com");
        assert_eq!(target.path, "/v1/chat?x=1");
    }

    #[test]
    fn ports_and_addresses_are_read() {
        let target = Target::parse("http://[2001:db8::1]:8080?q").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("2001:db8::1", 8080));
        assert_eq!(target.host_and_port(), "[2001:db8::1]:8080");
        assert_eq!(target.path, "/?q");
        assert_eq!(target.absolute_form(), "http://[2001:db8::1]:8080/?q");
        assert_eq!(Target::parse("http://10.0.0.1").unwrap().host_and_port(), "10.0.0.1:80");
    }

    #[test]
    fn other_urls_are_refused() {
        let long = format!("https://{}/", "a".repeat(254));
        for url in [
            "/v1",
            "ftp://a/",
            "https:///",
            "https://user:pa@a/",
            "https://a:0/",
            "https://a:99999/",
            "https://a:+1/",
            "https://a b/",
            "https://[::1/",
            "https://[a]/",
            "https://a/\r\nx: y",
            "https://a/b c",
            &long,
        ] {
            assert_eq!(Target::parse(url).unwrap_err().kind, FaultKind::InvalidCall, "{url:?}");
        }
    }
}
