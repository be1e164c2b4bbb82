//! Which providers are called through which proxy, as far as the file says it. Secrets may name others.

use super::no_proxy::NoProxy;
use super::proxy_address::ProxyAddress;
use super::yaml::{Node, Table};

/// The keys of the section `proxy`.
const KEYS: &[&str] = &["http", "https", "no_proxy", "ca"];

/// The section `proxy`: what providers share that require a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxySettings {
    /// For providers whose address begins with `http://`.
    pub http: Option<ProxyAddress>,
    /// For all others, and for those as well if there is no other.
    pub https: Option<ProxyAddress>,
    /// Hosts that are called without the shared proxies.
    pub no_proxy: NoProxy,
    /// Certificates that are trusted besides the public ones, in calls through any proxy.
    pub ca: Option<CaSource>,
}

/// Where certificates come from that are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaSource {
    /// Their text, as PEM.
    Pem(String),
    /// The variable that holds their text.
    Variable(String),
}

/// The proxy of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProviderProxy {
    /// None, unless a secret names one for this provider.
    #[default]
    Unset,
    /// The shared one (`requires_proxy`).
    Shared,
    /// The proxy that the provider's row names.
    Own(ProxyAddress),
    /// None, whatever the secrets say.
    Never,
}

impl ProxySettings {
    /// Reads the section.
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(KEYS)?;
        let address = |key: &str| table.at(key).and_then(|node| address(&node));
        Some(Self {
            http: address("http"),
            https: address("https"),
            no_proxy: table.at("no_proxy").map(|node| no_proxy(&node)).unwrap_or_default(),
            ca: table.at("ca").and_then(|node| ca(&node)),
        })
    }
}

/// The word for a provider that is called without a proxy.
const NONE: &str = "none";

impl ProviderProxy {
    /// Reads `proxy` and `requires_proxy` of a provider's row. `remote`: the provider is called at an
    /// address.
    pub(super) fn read(table: &Table<'_>, remote: bool) -> Self {
        let required = table.at("requires_proxy");
        let is_required = required.as_ref().and_then(|node| node.flag()).unwrap_or(false);
        if !remote {
            let nodes = required.filter(|_| is_required).into_iter().chain(table.at("proxy"));
            nodes.for_each(|node| node.note("this has no effect: the adapter calls no address"));
            return Self::Unset;
        }
        let own = table.at("proxy");
        let has_proxy = is_required || own.as_ref().is_some_and(|node| node.word() != Some(NONE));
        if let Some(node) = table.at("binding").filter(|_| has_proxy) {
            node.fault("a provider is called through a proxy, or by this; write one or the other");
        }
        let Some(node) = own else {
            return if is_required { Self::Shared } else { Self::Unset };
        };
        if node.word() != Some(NONE) {
            return address(&node).map_or(Self::Unset, Self::Own);
        }
        if is_required {
            node.fault("`none` contradicts `requires_proxy: true`; write one or the other");
        }
        Self::Never
    }
}

fn address(node: &Node<'_>) -> Option<ProxyAddress> {
    let address = ProxyAddress::parse(&node.text()?).map_err(|expected| node.fault(expected)).ok()?;
    if address.has_login() {
        node.note("everybody who can read this file can read the proxy's login; set the whole address as a secret");
    }
    Some(address)
}

/// Reads a list of hosts, or a text of hosts separated by commas.
fn no_proxy(node: &Node<'_>) -> NoProxy {
    let items = if node.is_list() { node.list().unwrap_or_default() } else { vec![node.clone()] };
    let mut all = NoProxy::default();
    for item in items {
        match item.text().map(|text| NoProxy::parse(&text)) {
            Some(Ok(hosts)) => all.extend(hosts),
            Some(Err(entry)) => item.fault(format!(
                "`{entry}` is no host; expected names (host.example, .host.example), addresses or networks (10.0.0.0/8), each with a port or without"
            )),
            None => {}
        }
    }
    all
}

/// Where a certificate in PEM begins.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
/// Where it ends.
const END: &str = "-----END CERTIFICATE-----";

fn ca(node: &Node<'_>) -> Option<CaSource> {
    let text = node.text()?;
    if text.contains(CERTIFICATE) {
        let is_whole = text.split(CERTIFICATE).skip(1).all(|block| block.contains(END));
        if !is_whole {
            node.fault(format!("a certificate does not end; expected {END} after each {CERTIFICATE}"));
        }
        return is_whole.then_some(CaSource::Pem(text));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        node.fault(format!(
            "expected certificates as PEM ({CERTIFICATE} …), or the name of the variable that holds them (a Worker reads no files)"
        ));
        return None;
    }
    Some(CaSource::Variable(text))
}
