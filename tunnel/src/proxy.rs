//! The URL of a proxy: `http`, `https`, `socks5` and `socks5h`, each with or without a login.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::fault::{Fault, FaultKind};
use crate::target::host_and_port;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP, in plain text as far as the proxy.
    Http,
    /// HTTP over TLS to the proxy itself.
    Https,
    /// SOCKS5 (RFC 1928). The proxy resolves names, so `socks5` means what others call `socks5h`.
    Socks5,
}

/// Schemes as they are written, and their usual ports.
const SCHEMES: [(&str, Scheme, u16); 4] = [
    ("http", Scheme::Http, 80),
    ("https", Scheme::Https, 443),
    ("socks5", Scheme::Socks5, 1080),
    ("socks5h", Scheme::Socks5, 1080),
];

/// The most bytes of a user name or a password in SOCKS5 (RFC 1929).
const SOCKS_LOGIN_BYTES: usize = 255;

/// User name and password. They are never formatted.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name, percent-decoded.
    pub user: String,
    /// The password, percent-decoded; may be empty.
    pub password: String,
}

/// A proxy that calls go through.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Its name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The login in its URL.
    pub login: Option<Login>,
}

impl Proxy {
    /// Reads a proxy's URL.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`]. The message never quotes the URL, because it may hold a password.
    pub fn parse(url: &str) -> Result<Self, Fault> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("has no scheme"))?;
        let lower = scheme.to_ascii_lowercase();
        let (_, scheme, default_port) = *SCHEMES
            .iter()
            .find(|(name, ..)| *name == lower)
            .ok_or_else(|| invalid("must begin with http://, https://, socks5:// or socks5h://"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(read_login(login, scheme)?), authority),
            None => (None, rest),
        };
        let (host, port) =
            host_and_port(authority, default_port).ok_or_else(|| invalid("names no valid host and port"))?;
        Ok(Self { scheme, host, port, login })
    }
}

fn invalid(what: &str) -> Fault {
    Fault::new(FaultKind::InvalidCall, format!("the proxy's URL {what}"))
}

fn read_login(text: &str, scheme: Scheme) -> Result<Login, Fault> {
    let decode = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| invalid("has a login that is not UTF-8"))
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let login = Login { user: decode(user)?, password: decode(password)? };
    let is_usable = match scheme {
        // RFC 7617: a colon ends the user name.
        Scheme::Http | Scheme::Https => !login.user.contains(':'),
        Scheme::Socks5 => [&login.user, &login.password].iter().all(|part| part.len() <= SOCKS_LOGIN_BYTES),
    };
    if login.user.is_empty() || !is_usable {
        return Err(invalid("has a login that its protocol cannot carry"));
    }
    Ok(login)
}

/// The address alone.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = SCHEMES.iter().find(|(_, scheme, _)| *scheme == self.scheme).map_or("", |(name, ..)| name);
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(formatter, "{scheme}://{open}{}{close}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { " with a login" } else { "" };
        write!(formatter, "{self}{login}")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Login")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_have_their_ports() {
        for (url, scheme, port) in [
            ("http://p.example", Scheme::Http, 80),
            ("HTTPS://p.example/", Scheme::Https, 443),
            ("socks5://p.example", Scheme::Socks5, 1080),
            ("socks5h://p.example:7890", Scheme::Socks5, 7890),
        ] {
            let proxy = Proxy::parse(url).unwrap();
            assert_eq!((proxy.scheme, proxy.port, proxy.host.as_str()), (scheme, port, "p.example"), "{url}");
            assert_eq!(proxy.login, None);
        }
    }

    #[test]
    fn logins_are_decoded() {
        let proxy = Proxy::parse("http://us%40er:pa:s%2Fs@[::1]:8080").unwrap();
        assert_eq!(proxy.host, "::1");
        let login = proxy.login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("us@er", "pa:s/s"));
        let at = Proxy::parse("http://user:p@ss@p.example").unwrap().login.unwrap();
        assert_eq!(at.password, "p@ss", "the last @ ends the login");
        assert_eq!(Proxy::parse("socks5://user@p.example").unwrap().login.unwrap().password, "");
    }

    #[test]
    fn a_login_is_never_shown() {
        let proxy = Proxy::parse("http://hidden:secret@p.example").unwrap();
        let shown = format!("{proxy} {proxy:?} {:?}", proxy.login);
        assert!(!shown.contains("hidden") && !shown.contains("secret"), "{shown}");
        for url in
            ["http://hidden:secret@p.example:x", "hidden:secret@p", "http://hidden:%ff@p", "ftp://hidden:secret@p"]
        {
            let fault = Proxy::parse(url).unwrap_err();
            assert!(!fault.message.contains("hidden") && !fault.message.contains("secret"), "{fault}");
        }
    }

    #[test]
    fn unusable_urls_are_refused() {
        let long = format!("socks5://{}:x@p", "u".repeat(256));
        for url in [
            "p.example:80",
            "socks4://p",
            "http://",
            "http://p/path",
            "http://p?x",
            "http://:x@p",
            "http://a%3Ab:x@p",
            &long,
        ] {
            assert_eq!(Proxy::parse(url).unwrap_err().kind, FaultKind::InvalidCall, "{url}");
        }
    }
}
