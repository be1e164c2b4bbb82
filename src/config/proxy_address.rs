//! The address of a proxy, with the login that may be part of it.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::host::is_public;

/// The schemes of proxies, and the ports that they usually have.
const SCHEMES: &[(&str, u16)] = &[("http", 80), ("https", 443), ("socks5", 1080), ("socks5h", 1080)];

const EXPECTED: &str = "expected the address of a proxy that begins with http://, https://, socks5:// or socks5h://";

const LOGIN: &str = "expected a login that the proxy's protocol can carry: USER:PASSWORD, percent-encoded";

/// The checked address of a proxy. `Debug` and [`ProxyAddress::shown`] print it without its login.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    scheme: &'static str,
    /// As written, and the user name and the password that it means.
    login: Option<(String, [String; 2])>,
    /// In lower case; an IPv6 address is in brackets.
    host: String,
    port: u16,
}

impl ProxyAddress {
    /// Reads an address such as `socks5://user:password@host:1080`. Characters of a login that have a meaning
    /// in addresses are percent-encoded. A missing port is 80, 443 or 1080, by the scheme.
    ///
    /// # Errors
    /// What was expected, without any of the text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or(EXPECTED)?;
        let known = SCHEMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme));
        let (scheme, usual_port) = known.ok_or(EXPECTED)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.chars().any(|c| !c.is_ascii_graphic() || matches!(c, '/' | '?' | '#' | '\\')) {
            return Err("expected a host and a port after ://; other characters of a login are percent-encoded");
        }
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, rest),
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let port = port.map_or(Some(*usual_port), |port| port.parse().ok().filter(|port| *port > 0));
        let port = port.ok_or("expected a port from 1 to 65535")?;
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        is_public(&host).ok_or("expected the name or the address of a host after ://")?;
        let login = login.map(|written| Some((written.to_owned(), read_login(written, scheme)?)));
        let login = login.map(|login| login.ok_or(LOGIN)).transpose()?;
        Ok(Self { scheme, login, host, port })
    }

    /// The whole address. It holds the login.
    pub fn reveal(&self) -> String {
        let login = self.login.as_ref().map_or(String::new(), |(written, _)| format!("{written}@"));
        format!("{}://{login}{}:{}", self.scheme, self.host, self.port)
    }

    /// The address without the login.
    pub fn shown(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// The host and the port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The host; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it has a login.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// What must not be shown of the login: as it is written in the address, with a colon between its parts,
    /// and each part.
    pub fn secrets(&self) -> Vec<String> {
        let Some((written, [user, password])) = &self.login else { return Vec::new() };
        let pair = format!("{user}:{password}");
        let mut all = vec![written.clone(), pair, password.clone(), user.clone()];
        all.retain(|secret| !secret.is_empty());
        all
    }

    /// Whether it is a private or local host, which a deployed Worker cannot reach.
    pub fn is_private(&self) -> bool {
        is_public(&self.host) == Some(false)
    }
}

/// The user name and the password of a login, if the proxy's protocol can carry them (RFC 7617, RFC 1929).
fn read_login(written: &str, scheme: &str) -> Option<[String; 2]> {
    let (user, password) = written.split_once(':').unwrap_or((written, ""));
    let decode = |part: &str| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
    let login = [decode(user)?, decode(password)?];
    let [user, _] = &login;
    let is_carried =
        if scheme.starts_with("http") { !user.contains(':') } else { login.iter().all(|part| part.len() <= 255) };
    (is_carried && !user.is_empty()).then_some(login)
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port() {
        for (text, shown) in [
            ("http://proxy.example:8080", "http://proxy.example:8080"),
            ("HTTP://Proxy.Example", "http://proxy.example:80"),
            ("https://proxy.example/", "https://proxy.example:443"),
            ("socks5://127.0.0.1:7890", "socks5://127.0.0.1:7890"),
            ("socks5h://[::1]:9", "socks5h://[::1]:9"),
            ("socks5://[::1]", "socks5://[::1]:1080"),
        ] {
            let address = ProxyAddress::parse(text).unwrap();
            assert_eq!(address.shown(), shown);
            assert_eq!(address.reveal(), shown);
        }
    }

    #[test]
    fn a_login_is_part_of_the_address_and_is_not_printed() {
        let address = ProxyAddress::parse("http://us%40er:pa:s%2Fs@proxy.example:1").unwrap();
        assert_eq!(address.reveal(), "http://us%40er:pa:s%2Fs@proxy.example:1");
        let secrets = ["us%40er:pa:s%2Fs", "us@er:pa:s/s", "pa:s/s", "us@er"];
        assert_eq!(address.secrets(), secrets);
        assert_eq!(format!("{address:?} {}", address.shown()), "http://proxy.example:1 http://proxy.example:1");
        assert!(address.has_login());
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_its_text() {
        for text in [
            "",
            "127.0.0.1:7890",
            "socks4://a:1",
            "ftp://a:1",
            "http://",
            "http://:8080",
            "http://a.example:0",
            "http://a.example:65536",
            "http://a.example:x",
            "http://user:secret/word@a.example:1",
            "http://a.example:1/path",
            "http://a b:1",
            "http://ü.example:1",
            "http://[::1",
            "http://:secret@a.example:1",
            "http://a%3ab:secret@a.example:1",
            "http://u:secret%ff@a.example:1",
            &format!("socks5://u:secret{}@a.example:1", "x".repeat(256)),
        ] {
            let fault = ProxyAddress::parse(text).unwrap_err();
            assert!(fault.starts_with("expected") && !fault.contains("secret"), "{text}: {fault}");
        }
    }

    #[test]
    fn private_hosts_are_known() {
        for (text, private) in [("socks5://127.0.0.1:7890", true), ("http://nas:1", true), ("http://a.example", false)]
        {
            assert_eq!(ProxyAddress::parse(text).unwrap().is_private(), private, "{text}");
        }
    }
}
