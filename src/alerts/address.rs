//! Which addresses notices may be sent to. Only the text of an address is judged: what a public name resolves
//! to is not known here. The sender follows no redirect, so the address that was judged is the one that is
//! called.

use std::fmt;

use crate::config::host::is_public;

/// Why notices are not sent to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// It is not an address of a host.
    Malformed,
    /// It is not `https`.
    Insecure,
    /// It contains a user name or a password.
    Credentials,
    /// It names a private, local or otherwise special host.
    Private,
}

/// Checks an address to which notices are to be sent. `allow_private` admits private hosts, and `http`.
///
/// # Errors
/// [`AddressFault`].
pub fn check_address(url: &str, allow_private: bool) -> Result<(), AddressFault> {
    let (is_secure, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err(AddressFault::Malformed),
    };
    // Parsers differ about these: the host that is called could be another one than the host that is judged.
    if url.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '\\') {
        return Err(AddressFault::Malformed);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(AddressFault::Credentials);
    }
    let host = host_of(authority).ok_or(AddressFault::Malformed)?;
    let is_public = is_public(&host).ok_or(AddressFault::Malformed)?;
    match (is_public || allow_private, is_secure || allow_private) {
        (false, _) => Err(AddressFault::Private),
        (true, false) => Err(AddressFault::Insecure),
        (true, true) => Ok(()),
    }
}

/// The host of an authority in lower case, without the port and the dot at its end.
fn host_of(authority: &str) -> Option<String> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    (is_port && !host.is_empty()).then_some(host)
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "expected an address such as https://example.com/hook",
            Self::Insecure => "expected an address that begins with https://",
            Self::Credentials => "expected an address without user name or password",
            Self::Private => "this is a private or local host; notices are sent there only if that is allowed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &[&str] = &[
        "https://hooks.example.com/services/T/B/x",
        "https://hooks.example.com:8443/a?b=c@d#e",
        "https://example.com./",
        "https://HOOKS.Example.COM",
        "https://8.8.8.8/",
        "https://172.32.0.1/",
        "https://[2606:4700::1111]:443/",
        "https://[64:ff9b::808:808]/",
        "https://localhost.example.com/",
        "https://internal-tools.example/",
    ];

    const PRIVATE: &[&str] = &[
        "https://localhost/",
        "https://LOCALHOST./",
        "https://api.localhost/",
        "https://router/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://nas.home.arpa/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://10.1.2.3:8080/",
        "https://100.100.100.200/",
        "https://169.254.169.254/latest/meta-data",
        "https://0xa9fea9fe/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1./",
        "https://198.19.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[::7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[ff02::1]/",
        "https://[2001:db8::1]/",
    ];

    const MALFORMED: &[&str] = &[
        "",
        "example.com",
        "ftp://example.com",
        "HTTPS://example.com",
        "https://",
        "https:///a",
        "https://:443/",
        "https://.",
        "https://a..b/",
        "https://example.com:8x/",
        "https://exa mple.com/",
        "https://example.com\\@localhost/",
        "https://%6cocalhost/",
        "https://ｌocalhost.com/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://1.2.3.999/",
        "https://099.1.1.1/",
        "https://4294967296/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[]/",
    ];

    #[test]
    fn public_addresses_are_allowed() {
        for url in PUBLIC {
            assert_eq!(check_address(url, false), Ok(()), "{url}");
        }
    }

    #[test]
    fn private_addresses_are_allowed_only_on_request() {
        for url in PRIVATE {
            assert_eq!(check_address(url, false), Err(AddressFault::Private), "{url}");
            assert_eq!(check_address(url, true), Ok(()), "{url}");
        }
    }

    #[test]
    fn malformed_addresses_are_never_allowed() {
        for url in MALFORMED {
            assert_eq!(check_address(url, true), Err(AddressFault::Malformed), "{url}");
        }
    }

    #[test]
    fn secrets_do_not_travel_in_the_clear() {
        assert_eq!(check_address("http://example.com/", false), Err(AddressFault::Insecure));
        assert_eq!(check_address("http://example.com/", true), Ok(()));
        assert_eq!(check_address("https://user:pass@example.com/", false), Err(AddressFault::Credentials));
        assert_eq!(check_address("https://example.com@localhost/", true), Err(AddressFault::Credentials));
    }
}
