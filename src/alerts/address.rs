//! Which addresses notices may be sent to. Only the text of an address is judged: what a public name resolves
//! to is not known here. The sender follows no redirect, so the address that was judged is the one that is
//! called.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

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

/// Ends of names that are local by convention or by standard (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
const LOCAL_NAMES: &[&str] = &[
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "home.arpa",
    "test",
    "invalid",
    "alt",
    "onion",
    "arpa",
];

/// A block of IPv4 addresses that are not public: its first address, and the length of its prefix.
type Block = ([u8; 4], u32);

/// The blocks of IANA's registry of special-purpose addresses that are not globally reachable, and multicast.
const SPECIAL: &[Block] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

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
    let is_public = is_public(&host)?;
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

fn is_public(host: &str) -> Result<bool, AddressFault> {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inside.parse().map_err(|_| AddressFault::Malformed)?;
        return Ok(is_public_v6(address));
    }
    // Encoded and non-ASCII names become other names when they are called.
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !is_plain || host.split('.').any(str::is_empty) {
        return Err(AddressFault::Malformed);
    }
    if ends_in_number(host) {
        let address = read_v4(host).ok_or(AddressFault::Malformed)?;
        return Ok(is_public_v4(address));
    }
    let is_local = |name: &&str| host == *name || host.strip_suffix(*name).is_some_and(|rest| rest.ends_with('.'));
    Ok(host.contains('.') && !LOCAL_NAMES.iter().any(is_local))
}

/// Whether the host is an IPv4 address by the rule of the URL standard: its last part is a number.
fn ends_in_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit()) || read_number(last).is_some()
}

/// Reads an IPv4 address as browsers do: one to four parts, each decimal, octal or hexadecimal. The last part
/// fills the rest of the address.
fn read_v4(host: &str) -> Option<Ipv4Addr> {
    let parts = host.split('.').map(read_number).collect::<Option<Vec<u64>>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address = 0u64;
    for part in first {
        address = (address << 8) | part;
    }
    let rest = u32::try_from(4 - first.len()).ok()? * 8;
    if *last >> rest != 0 {
        return None;
    }
    u32::try_from((address << rest) | last).ok().map(Ipv4Addr::from)
}

fn read_number(part: &str) -> Option<u64> {
    let hexadecimal = part.strip_prefix("0x");
    let octal = part.strip_prefix('0').filter(|rest| !rest.is_empty());
    let (digits, radix) = match (hexadecimal, octal) {
        (Some(""), _) => return Some(0),
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (part, 10),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_number { u64::from_str_radix(digits, radix).ok() } else { None }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(first, length): &Block| {
        let shift = 32 - length;
        u32::from(address) >> shift == u32::from(Ipv4Addr::from(*first)) >> shift
    };
    !SPECIAL.iter().any(is_in)
}

/// Whether an address is in the block of global unicast, and in none of its special parts. An address that
/// contains an IPv4 address is judged by that.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    match (first, second) {
        // 64:ff9b::/96 translates to IPv4.
        (0x64, 0xff9b) => third == 0 && embedded(address, 12).is_some_and(is_public_v4),
        // 2002::/16 is IPv4 as well.
        (0x2002, _) => embedded(address, 2).is_some_and(is_public_v4),
        // 2001::/23 is for protocols, 2001:db8::/32 for documentation.
        (0x2001, second) if second < 0x200 || second == 0xdb8 => false,
        // 3fff::/20 is for documentation.
        (0x3fff, second) if second < 0x1000 => false,
        // ::ffff:0:0/96 is an IPv4 address.
        (0, 0) if third == 0 && address.to_ipv4_mapped().is_some() => {
            address.to_ipv4_mapped().is_some_and(is_public_v4)
        }
        (first, _) => first & 0xe000 == 0x2000,
    }
}

/// The IPv4 address that begins at a byte.
fn embedded(address: Ipv6Addr, at: usize) -> Option<Ipv4Addr> {
    let bytes: [u8; 4] = address.octets().get(at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
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
