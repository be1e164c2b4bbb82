//! The address of a provider's API.

use super::format_kind::FormatKind;

/// The checked address of a provider's API, to which paths of endpoints can be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    root: String,
    query: String,
}

impl Address {
    /// Reads an `http` or `https` address: the API's root, the full URL of the adapter's endpoint, the host
    /// alone, or the address that the format's SDKs take. A query is added to each request.
    ///
    /// # Errors
    /// What was expected: "expected a host after ://".
    pub fn parse(text: &str, adapter: FormatKind) -> Result<Self, &'static str> {
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
        let full = path.strip_suffix(adapter.endpoint).filter(|_| !adapter.endpoint.is_empty());
        let root = full.unwrap_or(path).trim_end_matches('/');
        let bare = rest.split_once('?').map_or(rest, |(path, _)| path).trim_end_matches('/') == authority;
        let lacks_version = full.is_none() && !ends_in_version(root);
        let lacks_root = bare || (adapter.root_after_path && lacks_version);
        Ok(Self { root: [root, if lacks_root { adapter.root } else { "" }].concat(), query })
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
    const MODELS: FormatKind = FormatKind { name: "models", root: "/v1beta", endpoint: "", ..CHATS };

    #[test]
    fn root_and_full_url_mean_the_same() {
        let chat = |text: &str| Address::parse(text, CHATS).unwrap().join("/chat/completions");
        assert_eq!(chat("https://a.b/v1"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/chat/completions"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("https://a.b/v1/chat/completions/"), "https://a.b/v1/chat/completions");
        assert_eq!(chat("http://a.b:1/d/x?api-version=1"), "http://a.b:1/d/x/chat/completions?api-version=1");
        assert_eq!(chat("https://a.b/chat/completions?v=1"), "https://a.b/chat/completions?v=1");
    }

    #[test]
    fn a_host_alone_has_the_adapters_root() {
        let messages = |text: &str| Address::parse(text, MESSAGES).unwrap().join("/messages");
        for text in ["https://a.b", "https://a.b/", "https://a.b/v1", "https://a.b/v1/messages", "https://a.b/v1/"] {
            assert_eq!(messages(text), "https://a.b/v1/messages", "{text}");
        }
        assert_eq!(messages("https://a.b/?k=1"), "https://a.b/v1/messages?k=1");
        assert_eq!(Address::parse("https://a.b", CHATS).unwrap().join("/x"), "https://a.b/x");
    }

    #[test]
    fn an_address_for_sdks_gets_the_root() {
        let messages = |text: &str| Address::parse(text, MESSAGES).unwrap().join("/messages");
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
        let models = |text: &str| Address::parse(text, MODELS).unwrap().join("/models/m");
        assert_eq!(models("https://a.b"), "https://a.b/v1beta/models/m");
        assert_eq!(models("https://a.b/v1/publishers/p"), "https://a.b/v1/publishers/p/models/m");
    }

    #[test]
    fn origin_is_without_path() {
        assert_eq!(Address::parse("https://a.b:8/v1/x", CHATS).unwrap().origin(), "https://a.b:8");
        assert_eq!(Address::parse("https://a.b", CHATS).unwrap().origin(), "https://a.b");
    }

    #[test]
    fn a_host_is_without_port() {
        let host = |text: &str| Address::parse(text, CHATS).unwrap().host().to_owned();
        assert_eq!(host("https://a.b:8443/v1"), "a.b");
        assert_eq!(host("http://A.b"), "A.b");
        assert_eq!(host("http://[::1]:80/v1"), "[::1]");
    }

    #[test]
    fn a_port_is_that_of_the_scheme_unless_it_is_named() {
        let port = |text: &str| Address::parse(text, CHATS).unwrap().port();
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
            assert!(Address::parse(text, CHATS).is_err(), "{text}");
        }
    }
}
