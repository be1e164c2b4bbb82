//! Whether a host is public, by its text alone: what a name resolves to is not known here.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// Whether a host is public: its name, its IPv4 address in any spelling of the URL standard, or its IPv6
/// address in brackets; in lower case, without a dot at the end. `None` if it is no host, or if parsers
/// differ about it.
pub fn is_public(host: &str) -> Option<bool> {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = inside.parse().ok()?;
        return Some(is_public_v6(address));
    }
    // Encoded and non-ASCII names become other names when they are called.
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !is_plain || host.split('.').any(str::is_empty) {
        return None;
    }
    if ends_in_number(host) {
        return read_v4(host).map(is_public_v4);
    }
    let is_local = |name: &&str| host == *name || host.strip_suffix(*name).is_some_and(|rest| rest.ends_with('.'));
    Some(host.contains('.') && !LOCAL_NAMES.iter().any(is_local))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_judged_by_their_text() {
        for public in ["example.com", "8.8.8.8", "[2606:4700::1111]", "localhost.example.com"] {
            assert_eq!(is_public(public), Some(true), "{public}");
        }
        for private in ["localhost", "nas.local", "router", "127.0.0.1", "127.1", "0x7f000001", "[::1]", "[fe80::1]"] {
            assert_eq!(is_public(private), Some(false), "{private}");
        }
        for malformed in ["", "a..b", "%6cocalhost", "256.1.1.1", "[::1", "[]"] {
            assert_eq!(is_public(malformed), None, "{malformed}");
        }
    }
}
