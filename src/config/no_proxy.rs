//! The hosts that are called directly although a shared proxy is configured.

use std::net::IpAddr;

/// Hosts that are called without the shared proxy. Names are not resolved: a network holds the addresses that
/// are written as such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// Any port if there is none.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// `*`.
    All,
    /// `host.example`: this host and those below it.
    Name(String),
    /// `.host.example`, with its dot: the hosts below it.
    Below(String),
    /// `10.0.0.0/8`, or a single address: its first address, and the length of its prefix.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list separated by commas or white space, as in the variable `NO_PROXY`.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|text| !text.is_empty());
        let entry = |text: &str| entry(text).ok_or_else(|| text.to_owned());
        entries.map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Adds the hosts of another list.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a host, as it is written in an address, is called directly at a port.
    pub fn holds(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        self.0.iter().any(|entry| entry.port.is_none_or(|only| only == port) && entry.hosts.holds(&host))
    }
}

fn entry(text: &str) -> Option<Entry> {
    let text = text.to_ascii_lowercase();
    if let Some(hosts) = network(&text) {
        return Some(Entry { hosts, port: None });
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text.as_str(), None),
    };
    let hosts = network(host).or_else(|| name(host))?;
    Some(Entry { hosts, port })
}

fn network(text: &str) -> Option<Hosts> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address = read_ip(address)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.unwrap_or(longest);
    (prefix <= longest).then_some(Hosts::Network(address, prefix))
}

/// An address, in brackets or not.
fn read_ip(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn name(text: &str) -> Option<Hosts> {
    if text == "*" {
        return Some(Hosts::All);
    }
    let text = text.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(text);
    let bare = text.strip_prefix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let hosts = if bare == text { Hosts::Name } else { Hosts::Below };
    bare.split('.').all(is_label).then(|| hosts(text.to_owned()))
}

impl Hosts {
    fn holds(&self, host: &str) -> bool {
        match self {
            Self::All => true,
            Self::Name(name) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Network(first, prefix) => read_ip(host).is_some_and(|address| shares(*first, address, *prefix)),
        }
    }
}

/// Whether two addresses begin with the same bits.
fn shares(one: IpAddr, other: IpAddr, bits: u32) -> bool {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            u32::from(one).checked_shr(32 - bits) == u32::from(other).checked_shr(32 - bits)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            u128::from(one).checked_shr(128 - bits) == u128::from(other).checked_shr(128 - bits)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_names_suffixes_networks_and_ports() {
        for (entry, holds, passes) in [
            ("a.example", &["a.example", "A.EXAMPLE", "x.a.example"][..], &["ba.example", "a.example.org"][..]),
            (".a.example", &["x.a.example"], &["a.example", "xa.example"]),
            ("*.a.example", &["x.a.example"], &["a.example"]),
            ("localhost", &["localhost", "api.localhost"], &["localhosts"]),
            ("*", &["a.example", "10.0.0.1"], &[]),
            ("10.0.0.0/8", &["10.1.2.3"], &["11.1.2.3", "ten.example", "[::ffff:10.1.2.3]"]),
            ("10.1.2.3", &["10.1.2.3"], &["10.1.2.4"]),
            ("0.0.0.0/0", &["10.1.2.3"], &["[::1]"]),
            ("::1", &["[::1]"], &["[::2]"]),
            ("fd00::/8", &["[fd12::1]"], &["[fe80::1]"]),
        ] {
            let list = NoProxy::parse(entry).unwrap();
            for host in holds {
                assert!(list.holds(host, 443), "{entry} {host}");
            }
            for host in passes {
                assert!(!list.holds(host, 443), "{entry} {host}");
            }
        }
    }

    #[test]
    fn an_entry_with_a_port_holds_for_that_port() {
        let list = NoProxy::parse("a.example:8443, [::1]:80 10.0.0.1:81").unwrap();
        for (host, port) in [("a.example", 8443), ("x.a.example", 8443), ("[::1]", 80), ("10.0.0.1", 81)] {
            assert!(list.holds(host, port), "{host}");
            assert!(!list.holds(host, 443), "{host}");
        }
    }

    #[test]
    fn the_entry_that_is_none_is_named() {
        for list in ["a..b", "a b:x", "10.0.0.0/33", "fd00::/129", "10.0.0.0/x", "http://a", "."] {
            assert!(NoProxy::parse(list).is_err(), "{list}");
        }
        assert_eq!(NoProxy::parse("good.example,b/d").unwrap_err(), "b/d");
        assert_eq!(NoProxy::parse(" , ").unwrap(), NoProxy::default());
    }
}
