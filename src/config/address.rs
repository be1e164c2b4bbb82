//! The address of a provider's API.

use super::format_kind::FormatKind;
use super::yaml::Table;
use crate::catalogue;

/// The checked address of a provider's API, to which paths of endpoints can be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    root: String,
    query: String,
}

impl Address {
    /// Reads `base_url` of a provider. `None` after a fault, `Some(None)` for an adapter without one.
    pub(super) fn read(table: &Table<'_>, adapter: FormatKind, adapters: &[FormatKind]) -> Option<Option<Self>> {
        let Some(node) = table.at("base_url") else {
            if adapter.remote {
                table
                    .node()
                    .fault("`base_url` is missing: the root of the provider's API, such as https://api.example.com/v1");
                return None;
            }
            return Some(None);
        };
        if !adapter.remote {
            node.note("this has no effect: the adapter calls no address");
            return Some(None);
        }
        let address = Self::parse(&node.text()?, adapter, adapters);
        let mut address = address.map_err(|expected| node.fault(expected)).ok()?;
        if adapter.root.is_empty() {
            address.complete(catalogue::host_at(address.host(), address.path()).map_or("", |host| host.root));
        }
        let is_meant = |other: &&FormatKind| other.root != adapter.root && address.ends_in(other.name);
        if let Some(FormatKind { name, .. }) = adapters.iter().find(is_meant) {
            node.note(format!(
                "providers print such an address for clients of another format: if so, set `adapter: {name}`"
            ));
        }
        Some(Some(address))
    }

    /// Reads an `http` or `https` address: the API's root, the full URL of an endpoint, the host alone, or
    /// the address that the format's SDKs take. A query is added to each request. `adapters`: all.
    ///
    /// # Errors
    /// What was expected: "expected a host after ://".
    pub fn parse(text: &str, adapter: FormatKind, adapters: &[FormatKind]) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or("expected an address that begins with https:// or http://")?;
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '#' || c == '\\') {
            return Err("expected an address without spaces, backslashes or #");
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with(':') {
            return Err("expected a host after ://");
        }
        if authority.contains('@') {
            return Err("expected an address without user name or password; a key belongs into a secret");
        }
        let (path, query) =
            text.split_once('?').map_or((text, String::new()), |(path, query)| (path, format!("?{query}")));
        let path = path.trim_end_matches('/');
        let full = without_endpoint(path, adapter, adapters);
        let root = full.unwrap_or(path).trim_end_matches('/');
        let bare = root.rsplit_once("://").is_some_and(|(_, rest)| rest == authority) && full.is_none();
        let lacks_version = full.is_none() && !ends_in_version(root) && !root.contains(PUBLISHERS);
        let lacks_root = bare || (adapter.root_after_path && lacks_version);
        Ok(Self { root: [root, if lacks_root { adapter.root } else { "" }].concat(), query })
    }

    /// Completes a path that is only the beginning of that of the host's API, such as none.
    fn complete(&mut self, path: &str) {
        let is_beginning = path.strip_prefix(self.path()).is_some_and(|rest| rest.starts_with('/'));
        if is_beginning {
            self.root = [self.origin(), path].concat();
        }
    }

    /// Whether the path ends in a segment.
    fn ends_in(&self, segment: &str) -> bool {
        self.path().rsplit('/').next() == Some(segment)
    }

    /// The URL of an endpoint such as `/chat/completions`, which may have a query of its own.
    pub fn join(&self, endpoint: &str) -> String {
        let query = match self.query.strip_prefix('?') {
            Some(more) if endpoint.contains('?') => format!("&{more}"),
            _ => self.query.clone(),
        };
        [&self.root, endpoint, &query].concat()
    }

    /// The name of the host, without the port.
    pub fn host(&self) -> &str {
        let authority = self.origin().split_once("://").map_or("", |(_, authority)| authority);
        match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => authority,
        }
    }

    /// The port; that of the scheme if the address names none.
    pub fn port(&self) -> u16 {
        let usual = if self.root.starts_with("https://") { 443 } else { 80 };
        let after_host = self.origin().rsplit_once(self.host()).map_or("", |(_, rest)| rest);
        after_host.strip_prefix(':').and_then(|port| port.parse().ok()).unwrap_or(usual)
    }

    /// The path of the API's root, such as `/v1`. May be empty.
    pub fn path(&self) -> &str {
        self.root.strip_prefix(self.origin()).unwrap_or_default()
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        let host = self.root.find("://").map_or(0, |at| at + 3);
        let end = self.root.get(host..).and_then(|rest| rest.find('/')).map_or(self.root.len(), |at| host + at);
        self.root.get(..end).unwrap_or(&self.root)
    }
}

/// The endpoints that may be written out, longer ones first. All lie at the root of their API.
const ENDPOINTS: &[&str] =
    &["/chat/completions", "/completions", "/responses", "/embeddings", "/messages/count_tokens", "/messages"];

/// The list of models, and what names one below it. Other hosts have such a path for something else, so it is
/// removed after a version only.
const MODELS: &str = "/models";

/// Below this, a cloud lists the publishers of models: its paths have the version in front.
const PUBLISHERS: &str = "/publishers/";

/// An address without the endpoint that is written out in it, and without the name of another format after
/// the version, below which some hosts speak that as well; `None` if it has neither.
fn without_endpoint<'t>(path: &'t str, adapter: FormatKind, adapters: &[FormatKind]) -> Option<&'t str> {
    let own = Some(adapter.endpoint).filter(|endpoint| !endpoint.is_empty());
    let root = own.into_iter().chain(ENDPOINTS.iter().copied()).find_map(|endpoint| path.strip_suffix(endpoint));
    let versioned = |(root, rest): &(&str, &str)| ends_in_version(root) && !rest.contains("/models");
    let models = || path.rsplit_once(MODELS).filter(versioned);
    let listed = || models().filter(|(_, rest)| rest.is_empty() || rest.starts_with('/')).map(|(root, _)| root);
    let root = root.or_else(listed);
    let (above, last) = root.unwrap_or(path).rsplit_once('/')?;
    let is_other = adapter.name != last && adapters.iter().any(|other| other.name == last);
    if is_other && ends_in_version(above) { Some(above) } else { root }
}

/// Whether the last segment of a path is a version, such as `v1` or `v1beta`.
fn ends_in_version(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATS: FormatKind = FormatKind {
        name: "chats",
        remote: true,
        root: "",
        root_after_path: false,
        endpoint: "/chat/completions",
        protected_fields: &[],
    };
    const MESSAGES: FormatKind =
        FormatKind { name: "messages", root: "/v1", root_after_path: true, endpoint: "/messages", ..CHATS };
    const CONTENTS: FormatKind =
        FormatKind { name: "contents", root: "/v1beta", root_after_path: true, endpoint: "", ..CHATS };
    const ALL: &[FormatKind] = &[CHATS, MESSAGES, CONTENTS];

    #[test]
    fn root_and_full_url_mean_the_same() {
        let chat = |text: &str| Address::parse(text, CHATS, ALL).unwrap().join("/chat/completions");
        assert_eq!(chat("https://a.b/v1"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/chat/completions"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/chat/completions/"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("http://a.b:1/d/x?api-version=1"), "http://a.b:1/d/x/chat/completions?api-version=1");
        assert_eq!(chat("https://a.b/chat/completions?v=1"), "https://a.b/chat/completions?v=1");
    }

    #[test]
    fn a_host_alone_has_the_adapters_root() {
        let messages = |text: &str| Address::parse(text, MESSAGES, ALL).unwrap().join("/messages");
        for text in ["https://a.b", "https://a.b/", "https://a.b/v1", "https://a.b/v1/messages", "https://a.b/v1/"] {
            assert_eq!(messages(text), "https://a.b/v1/messages", "{text}");
        }
        assert_eq!(messages("https://a.b/?k=1"), "https://a.b/v1/messages?k=1");
        assert_eq!(Address::parse("https://a.b", CHATS, ALL).unwrap().join("/x"), "https://a.b/x");
    }

    #[test]
    fn an_address_for_sdks_gets_the_root() {
        let messages = |text: &str| Address::parse(text, MESSAGES, ALL).unwrap().join("/messages");
        for (text, url) in [
            ("https://a.b/anthropic", "https://a.b/anthropic/v1/messages"),
            ("https://a.b/api/anthropic/", "https://a.b/api/anthropic/v1/messages"),
            ("https://a.b/anthropic?k=1", "https://a.b/anthropic/v1/messages?k=1"),
            ("https://a.b/v1/account/gateway/anthropic", "https://a.b/v1/account/gateway/anthropic/v1/messages"),
            ("https://a.b/vendor", "https://a.b/vendor/v1/messages"),
            ("https://a.b/anthropic/v1", "https://a.b/anthropic/v1/messages"),
            ("https://a.b/anthropic/v2/", "https://a.b/anthropic/v2/messages"),
            ("https://a.b/anthropic/v1/messages", "https://a.b/anthropic/v1/messages"),
            ("https://a.b/proxy/messages", "https://a.b/proxy/messages"),
        ] {
            assert_eq!(messages(text), url, "{text}");
        }
        let models = |text: &str| Address::parse(text, CONTENTS, ALL).unwrap().join("/models/m");
        assert_eq!(models("https://a.b"), "https://a.b/v1beta/models/m");
        assert_eq!(models("https://a.b/v1/publishers/p"), "https://a.b/v1/publishers/p/models/m");
    }

    #[test]
    fn addresses_as_vendors_print_them_lead_to_each_format() {
        let url = |text: &str, adapter| Address::parse(text, adapter, ALL).unwrap().join("");
        for (text, chats, messages, contents) in [
            ("https://a.b/v1", "/v1", "/v1", "/v1"),
            ("https://a.b/v1/chat/completions", "/v1", "/v1", "/v1"),
            ("https://a.b/v1/messages/", "/v1", "/v1", "/v1"),
            ("https://a.b/v1/messages/count_tokens", "/v1", "/v1", "/v1"),
            ("https://a.b/v1/responses", "/v1", "/v1", "/v1"),
            ("https://a.b/api/v3/embeddings", "/api/v3", "/api/v3", "/api/v3"),
            ("https://a.b/v1/models", "/v1", "/v1", "/v1"),
            ("https://a.b/v1beta/models/g-2.5:generateContent", "/v1beta", "/v1beta", "/v1beta"),
            ("https://a.b/v1beta/contents", "/v1beta", "/v1beta", "/v1beta/contents/v1beta"),
            ("https://a.b/v1beta/chats/chat/completions", "/v1beta/chats", "/v1beta", "/v1beta"),
            ("https://a.b/api", "/api", "/api/v1", "/api/v1beta"),
        ] {
            for (adapter, path) in [(CHATS, chats), (MESSAGES, messages), (CONTENTS, contents)] {
                assert_eq!(url(text, adapter), format!("https://a.b{path}"), "{text} {}", adapter.name);
            }
        }
        assert_eq!(url("https://a.b/models/chat/completions?api-version=1", CHATS), "https://a.b/models?api-version=1");
        assert_eq!(url("https://a.b/models", CHATS), "https://a.b/models");
        assert_eq!(url("https://a.b/chat/completions", MESSAGES), "https://a.b");
    }

    #[test]
    fn a_path_is_completed_that_is_the_beginning_of_the_hosts() {
        let completed = |text: &str, path: &str| {
            let mut address = Address::parse(text, CHATS, ALL).unwrap();
            address.complete(path);
            address.join("")
        };
        assert_eq!(completed("https://a.b:8/?q=1", "/api/v1"), "https://a.b:8/api/v1?q=1");
        assert_eq!(completed("https://a.b/api", "/api/v1"), "https://a.b/api/v1");
        for whole in ["https://a.b/api/v1", "https://a.b/ap", "https://a.b/api/v1/x", "https://a.b/v1"] {
            assert_eq!(completed(whole, "/api/v1"), whole);
        }
        let address = Address::parse("https://a.b/x/messages2/", CHATS, ALL).unwrap();
        assert!(address.ends_in("messages2") && !address.ends_in("x"));
    }

    #[test]
    fn origin_is_without_path() {
        assert_eq!(Address::parse("https://a.b:8/v1/x", CHATS, ALL).unwrap().origin(), "https://a.b:8");
        assert_eq!(Address::parse("https://a.b", CHATS, ALL).unwrap().origin(), "https://a.b");
    }

    #[test]
    fn a_host_is_without_port() {
        let host = |text: &str| Address::parse(text, CHATS, ALL).unwrap().host().to_owned();
        assert_eq!(host("https://a.b:8443/v1"), "a.b");
        assert_eq!(host("http://A.b"), "A.b");
        assert_eq!(host("http://[::1]:80/v1"), "[::1]");
    }

    #[test]
    fn a_port_is_that_of_the_scheme_unless_it_is_named() {
        let port = |text: &str| Address::parse(text, CHATS, ALL).unwrap().port();
        assert_eq!(port("https://a.b/v1"), 443);
        assert_eq!(port("http://a.b/v1"), 80);
        assert_eq!(port("http://a.b:8080/v1"), 8080);
        assert_eq!(port("https://[::1]:9/v1"), 9);
        assert_eq!(port("https://[::1]/v1"), 443);
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in
            ["", "a.b/v1", "ftp://a.b", "https://", "https:///v1", "https://u:p@a.b", "https://a b", "https://:80/"]
        {
            assert!(Address::parse(text, CHATS, ALL).is_err(), "{text}");
        }
    }
}
