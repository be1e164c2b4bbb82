//! The proxies of providers: what the configuration and the secrets say together.

use std::rc::Rc;

use crate::config::{
    Address, CaSource, Config, EgressRule, NoProxy, Problem, Provider, ProviderProxy, ProxyAddress, provider_variable,
};

/// The variable that holds the shared proxy, and takes precedence over `proxy.https`.
const HTTPS: &str = "HTTPS_PROXY";
/// The variable that holds the shared proxy for `http://`, and takes precedence over `proxy.http`.
const HTTP: &str = "HTTP_PROXY";
/// The variable with more hosts that are called without a shared proxy.
const NO_PROXY: &str = "NO_PROXY";

/// The proxy of a provider. `Debug` prints no login.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address.
    pub address: ProxyAddress,
    /// Certificates as PEM that are trusted besides the public ones.
    pub ca: Option<Rc<str>>,
    /// The longest response that is unpacked, in bytes.
    pub max_answer_bytes: usize,
}

/// The proxies of providers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// One for each provider of the configuration, in the same order; `None` if it is called directly.
    pub of_providers: Vec<Option<Rc<Proxy>>>,
    /// What has no effect, or not the expected one.
    pub notes: Vec<Problem>,
}

impl Proxies {
    /// Looks up the proxies of all providers. `secret` returns the value of a variable.
    ///
    /// # Errors
    /// Providers that require a proxy and have none, and variables that hold no proxy. No text of a variable
    /// is repeated.
    pub fn open(config: &Config, secret: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        let mut opener = Opener { config, secret, faults: Vec::new(), notes: Vec::new() };
        let ca = opener.ca();
        let no_proxy = opener.no_proxy();
        let proxy = |provider: &Provider| {
            let address = opener.address(provider, &no_proxy)?;
            Some(Rc::new(Proxy { address, ca: ca.clone(), max_answer_bytes: config.max_answer_bytes }))
        };
        let of_providers = config.providers.iter().map(proxy).collect();
        let Opener { mut faults, notes, .. } = opener;
        faults.dedup();
        if faults.is_empty() { Ok(Self { of_providers, notes }) } else { Err(faults) }
    }
}

struct Opener<'o> {
    config: &'o Config,
    secret: &'o dyn Fn(&str) -> Option<String>,
    faults: Vec<Problem>,
    notes: Vec<Problem>,
}

impl Opener<'_> {
    /// The proxy of a provider.
    fn address(&mut self, provider: &Provider, no_proxy: &[NoProxy]) -> Option<ProxyAddress> {
        let target = provider.address.as_ref()?;
        let variable = provider_variable(&provider.name, "PROXY");
        if provider.proxy == ProviderProxy::Never {
            if self.value(&variable).is_some() {
                self.notes.push(row_problem(provider, "proxy", format!("`none` takes precedence over {variable}")));
            }
            return None;
        }
        if let Some(own) = self.read(&variable) {
            self.note_precedence(provider, &variable);
            return Some(own);
        }
        match &provider.proxy {
            ProviderProxy::Own(address) => Some(address.clone()),
            ProviderProxy::Shared => self.shared(provider, target, no_proxy),
            ProviderProxy::Unset | ProviderProxy::Never => None,
        }
    }

    /// Notes what leads the calls of a provider elsewhere than to the proxy that a variable holds.
    fn note_precedence(&mut self, provider: &Provider, variable: &str) {
        let (key, but) = match provider.egress {
            EgressRule::Direct => return,
            EgressRule::Binding(_) => ("binding", ""),
            EgressRule::Region(_) => ("region", "; only models with `region: none` are called through that proxy"),
        };
        self.notes.push(row_problem(provider, key, format!("takes precedence over {variable}{but}")));
    }

    /// The shared proxy of a provider that requires one.
    fn shared(&mut self, provider: &Provider, target: &Address, no_proxy: &[NoProxy]) -> Option<ProxyAddress> {
        if no_proxy.iter().any(|hosts| hosts.holds(target.host(), target.port())) {
            let message = "the provider is called without a proxy, because no_proxy holds its host".to_owned();
            self.notes.push(row_problem(provider, "requires_proxy", message));
            return None;
        }
        let is_plain = target.origin().starts_with("http://");
        let plain = is_plain.then(|| self.read(HTTP).or_else(|| self.config.proxy.http.clone())).flatten();
        let shared = plain.or_else(|| self.read(HTTPS)).or_else(|| self.config.proxy.https.clone());
        if shared.is_none() && self.faults.is_empty() {
            let own = provider_variable(&provider.name, "PROXY");
            let message = format!(
                "no proxy is configured: set `proxy.https` or `proxy` of this provider, or a secret {HTTPS} or {own}"
            );
            self.faults.push(row_problem(provider, "requires_proxy", message));
        }
        shared
    }

    /// The certificates that are trusted besides the public ones.
    fn ca(&mut self) -> Option<Rc<str>> {
        match self.config.proxy.ca.as_ref()? {
            CaSource::Pem(text) => Some(text.as_str().into()),
            CaSource::Variable(name) => {
                // Line breaks of a secret are often written as in JSON.
                let found = self.value(name).map(|text| Rc::from(text.replace("\\n", "\n")));
                if found.is_none() {
                    let message = format!("{name} is not set, so only public certificates are trusted");
                    self.notes.push(problem("proxy.ca".to_owned(), message));
                }
                found
            }
        }
    }

    /// The hosts that are called without a shared proxy.
    fn no_proxy(&mut self) -> Vec<NoProxy> {
        let mut lists = vec![self.config.proxy.no_proxy.clone()];
        match self.value(NO_PROXY).map(|list| NoProxy::parse(&list)) {
            Some(Ok(hosts)) => lists.push(hosts),
            Some(Err(_)) => {
                let message = "expected hosts and networks, separated by commas".to_owned();
                self.faults.push(problem(NO_PROXY.to_owned(), message));
            }
            None => {}
        }
        lists
    }

    /// The proxy that a variable holds.
    fn read(&mut self, variable: &str) -> Option<ProxyAddress> {
        let read = ProxyAddress::parse(&self.value(variable)?);
        read.map_err(|expected| self.faults.push(problem(variable.to_owned(), expected.to_owned()))).ok()
    }

    /// The value of a variable that is set.
    fn value(&self, variable: &str) -> Option<String> {
        let value = (self.secret)(variable)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

/// Proxies in the configuration file that a deployed Worker cannot reach.
pub fn private_proxies(config: &Config) -> Vec<Problem> {
    let shared = [("http", &config.proxy.http), ("https", &config.proxy.https)];
    let shared = shared.into_iter().filter_map(|(key, address)| Some((format!("proxy.{key}"), address.as_ref()?)));
    let own = config.providers.iter().filter_map(|provider| match &provider.proxy {
        ProviderProxy::Own(address) => Some((format!("providers.{}.proxy", provider.name), address)),
        ProviderProxy::Unset | ProviderProxy::Shared | ProviderProxy::Never => None,
    });
    let private = shared.chain(own).filter(|(_, address)| address.is_private());
    let message = |address: &ProxyAddress| {
        format!("{} is a private address: a deployed Worker reaches public addresses only", address.authority())
    };
    private.map(|(path, address)| problem(path, message(address))).collect()
}

fn row_problem(provider: &Provider, key: &str, message: String) -> Problem {
    problem(format!("providers.{}.{key}", provider.name), message)
}

fn problem(path: String, message: String) -> Problem {
    Problem { line: 0, path, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::KINDS;

    fn config(row: &str, section: &str) -> Config {
        let text = format!(
            "providers: {{ p-1: {{ base_url: 'https://a.example', models: {{ m: {{}} }}, {row} }}, q: {{ base_url: 'http://b.example', models: {{ m: {{}} }}, {row} }} }}\nproxy: {section}\n"
        );
        Config::read(&text, KINDS).unwrap()
    }

    /// The proxies of both providers, and the notes.
    fn opened(row: &str, section: &str, secrets: &[(&str, &str)]) -> ([Option<String>; 2], Vec<String>) {
        let secret = lookup(secrets);
        let Proxies { of_providers, notes } = Proxies::open(&config(row, section), &secret).unwrap();
        let of = |index: usize| of_providers[index].as_ref().map(|proxy| proxy.address.reveal());
        ([of(0), of(1)], notes.iter().map(ToString::to_string).collect())
    }

    fn lookup(secrets: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name: &str| secrets.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn refused(row: &str, section: &str, secrets: &[(&str, &str)]) -> Vec<String> {
        let faults = Proxies::open(&config(row, section), &lookup(secrets)).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    fn both(first: &str, second: &str) -> [Option<String>; 2] {
        [first, second].map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    const BOTH: &str = "{ http: 'http://h.example:1', https: 'socks5://s.example:2' }";

    #[test]
    fn without_a_word_of_it_a_provider_is_called_directly() {
        for (row, section) in [("", "{}"), ("", BOTH), ("requires_proxy: false", BOTH), ("proxy: none", BOTH)] {
            assert_eq!(opened(row, section, &[]).0, both("", ""), "{row}");
        }
        assert_eq!(opened("", BOTH, &[("HTTPS_PROXY", "http://e.example:3")]).0, both("", ""));
    }

    #[test]
    fn a_shared_proxy_is_chosen_by_the_scheme_of_the_provider() {
        let required = "requires_proxy: true";
        assert_eq!(opened(required, BOTH, &[]).0, both("socks5://s.example:2", "http://h.example:1"));
        let one = "{ https: 'http://s.example:2' }";
        assert_eq!(opened(required, one, &[]).0, both("http://s.example:2", "http://s.example:2"));
    }

    #[test]
    fn secrets_take_precedence_over_the_file() {
        let required = "requires_proxy: true";
        let https = ("HTTPS_PROXY", " http://u:p@e.example:3 ");
        assert_eq!(opened(required, "{}", &[https]).0, both("http://u:p@e.example:3", "http://u:p@e.example:3"));
        assert_eq!(opened(required, BOTH, &[https]).0, both("http://u:p@e.example:3", "http://h.example:1"));
        let own = ("P_1_PROXY", "socks5h://o.example:4");
        assert_eq!(opened(required, BOTH, &[https, own]).0, both("socks5h://o.example:4", "http://h.example:1"));
        assert_eq!(opened("", "{}", &[own]).0, both("socks5h://o.example:4", ""));
        let row = "proxy: 'http://r.example:5'";
        assert_eq!(opened(row, BOTH, &[https, own]).0, both("socks5h://o.example:4", "http://r.example:5"));
        assert_eq!(opened(row, BOTH, &[("P_1_PROXY", " ")]).0, both("http://r.example:5", "http://r.example:5"));
        let (proxies, notes) = opened("proxy: none", BOTH, &[own]);
        assert_eq!(proxies, both("", ""));
        assert_eq!(notes, ["providers.p-1.proxy: `none` takes precedence over P_1_PROXY"]);
    }

    #[test]
    fn what_leads_calls_past_a_proxy_is_noted() {
        let own = ("P_1_PROXY", "socks5h://o.example:4");
        let (_, notes) = opened("region: wnam", BOTH, &[own]);
        let expected = "providers.p-1.region: takes precedence over P_1_PROXY; only models with `region: none` are called through that proxy";
        assert_eq!(notes, [expected]);
        let (_, notes) = opened("region: { fallback: wnam }", BOTH, &[own]);
        assert_eq!(notes, [expected]);
        let (_, notes) = opened("binding: HOME", BOTH, &[own]);
        assert_eq!(notes, ["providers.p-1.binding: takes precedence over P_1_PROXY"]);
        let (_, notes) = opened("region: wnam", BOTH, &[("Q_PROXY", " "), ("HTTPS_PROXY", "http://e.example:3")]);
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn hosts_of_no_proxy_are_called_without_the_shared_proxy() {
        let section = "{ https: 'http://s.example:2', no_proxy: [a.example] }";
        let (proxies, notes) = opened("requires_proxy: true", section, &[]);
        assert_eq!(proxies, both("", "http://s.example:2"));
        assert!(notes[0].starts_with("providers.p-1.requires_proxy: the provider is called without a proxy"));
        let (proxies, _) = opened("requires_proxy: true", section, &[("NO_PROXY", "b.example:80, other")]);
        assert_eq!(proxies, both("", ""));
        let (proxies, _) = opened("proxy: 'http://r.example:5'", section, &[]);
        assert_eq!(proxies, both("http://r.example:5", "http://r.example:5"));
    }

    #[test]
    fn a_required_proxy_that_is_missing_is_a_fault_that_names_what_to_set() {
        let faults = refused("requires_proxy: true", "{}", &[]);
        let expected = "providers.p-1.requires_proxy: no proxy is configured: set `proxy.https` or `proxy` of this provider, or a secret HTTPS_PROXY or P_1_PROXY";
        assert_eq!(faults[0], expected);
        let faults = refused("requires_proxy: true", "{ http: 'http://h.example:1' }", &[]);
        assert_eq!(faults.len(), 1, "{faults:?}");
    }

    #[test]
    fn a_variable_that_holds_no_proxy_is_named_without_its_text() {
        for (name, value) in [
            ("HTTPS_PROXY", "u:secret@e.example:3"),
            ("P_1_PROXY", "http://u:secret@e.example:x"),
            ("NO_PROXY", "http://secret"),
        ] {
            let faults = refused("requires_proxy: true", BOTH, &[(name, value)]);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].starts_with(&format!("{name}: expected")) && !faults[0].contains("secret"), "{faults:?}");
        }
    }

    #[test]
    fn certificates_are_text_or_the_name_of_a_variable() {
        let pem = "-----BEGIN CERTIFICATE-----\\nx\\n-----END CERTIFICATE-----";
        let row = "proxy: 'http://r.example:5'";
        let ca = |section: &str, secrets: &[(&str, &str)]| {
            let opened = Proxies::open(&config(row, section), &lookup(secrets)).unwrap();
            (opened.of_providers[0].as_ref().unwrap().ca.clone(), opened.notes.len())
        };
        assert_eq!(ca("{}", &[]), (None, 0));
        assert_eq!(
            ca(&format!("{{ ca: \"{pem}\" }}"), &[]).0.unwrap(),
            "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----".into()
        );
        assert_eq!(ca("{ ca: OUR_CA }", &[("OUR_CA", "text")]), (Some("text".into()), 0));
        assert_eq!(ca("{ ca: OUR_CA }", &[("OUR_CA", "a\\nb")]), (Some("a\nb".into()), 0));
        assert_eq!(ca("{ ca: OUR_CA }", &[]), (None, 1));
    }

    #[test]
    fn proxies_that_a_deployment_cannot_reach_are_named() {
        let config = config("proxy: 'http://192.168.1.9:5'", "{ https: 'socks5://127.0.0.1:7890' }");
        let paths: Vec<String> = private_proxies(&config).into_iter().map(|problem| problem.path).collect();
        assert_eq!(paths, ["proxy.https", "providers.p-1.proxy", "providers.q.proxy"]);
    }

    #[test]
    fn a_login_is_not_printed() {
        let secret = lookup(&[("P_1_PROXY", "http://hidden:word@o.example:4")]);
        let opened = Proxies::open(&config("", "{}"), &secret).unwrap();
        let shown = format!("{opened:?}");
        assert!(shown.contains("o.example") && !shown.contains("hidden") && !shown.contains("word"), "{shown}");
    }
}
