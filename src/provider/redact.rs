//! Removes secrets and the provider's address from a provider's messages, in every encoding in which
//! providers repeat them.

use serde_json::Value;

use super::account::ProviderAccount;
use super::proxy::Proxy;
use crate::config::Provider;
use crate::wire::base64;
use crate::wire::dense::parse_tree;
use crate::wire::json::quote;

/// Replaces a secret.
const MASK: &str = "***";

/// The length from which a part of a secret is removed too, in bytes. Shorter parts are how providers mask a
/// key.
const MIN_FRAGMENT: usize = 16;

/// The length from which encoded forms of a secret are searched for, in bytes. Shorter ones would occur in
/// ordinary words.
const MIN_ENCODED: usize = 8;

/// A configured header holds a secret if its name contains one of these words.
const SECRET_HEADERS: &[&str] = &["key", "token", "auth", "secret", "cookie", "password"];

/// Redacts a text: masks secrets, and replaces the provider's address by its name. `None` if nothing had to
/// be changed.
pub fn redact(text: &str, provider: &Provider, account: &ProviderAccount) -> Option<String> {
    let mut clean = text.to_owned();
    for secret in secrets(provider, account) {
        for spelling in encoded_forms(secret) {
            if clean.contains(&spelling) {
                clean = clean.replace(&spelling, MASK);
            }
        }
        clean = redact_fragments(clean, secret);
    }
    if let Some(address) = &provider.address {
        let (origin, host) = (address.origin(), address.host());
        let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
        for place in [origin, authority, host].into_iter().filter(|place| !place.is_empty()) {
            clean = replace_host(clean, place, &provider.name);
        }
    }
    (clean != text).then_some(clean)
}

/// Redacts what a proxy, or a host behind it, says: masks the proxy's login, and takes out its address.
/// `None` if nothing had to be changed.
pub fn redact_proxy(text: &str, proxy: &Proxy) -> Option<String> {
    let mut clean = text.to_owned();
    for secret in proxy.address.secrets() {
        let header = base64::encode(secret.as_bytes());
        for spelling in [header].into_iter().chain(encoded_forms(&secret)) {
            if clean.contains(&spelling) {
                clean = clean.replace(&spelling, MASK);
            }
        }
    }
    for place in [proxy.address.authority().as_str(), proxy.address.host()] {
        clean = replace_host(clean, place, "the proxy");
    }
    (clean != text).then_some(clean)
}

/// Redacts all strings and member names of JSON by `redact`, however they are escaped. Malformed JSON is
/// redacted as text. `None` if nothing had to be changed.
pub fn redact_json(json: &[u8], redact: impl Fn(&str) -> Option<String>) -> Option<Vec<u8>> {
    let Some(mut value) = parse_tree(json) else {
        return redact(&String::from_utf8_lossy(json)).map(String::into_bytes);
    };
    let mut changed = false;
    redact_strings(&mut value, &mut |text| {
        let clean = redact(text);
        changed |= clean.is_some();
        clean
    });
    if changed { serde_json::to_vec(&value).ok() } else { None }
}

/// Replaces each string and member name for which `clean` returns a new text.
fn redact_strings(value: &mut Value, clean: &mut impl FnMut(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(other) = clean(text) {
                *text = other;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact_strings(item, clean)),
        Value::Object(members) => {
            let old = std::mem::take(members);
            for (name, mut member) in old {
                redact_strings(&mut member, clean);
                members.insert(clean(&name).unwrap_or(name), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The provider's keys, and the secrets in its configured headers.
fn secrets<'p>(provider: &'p Provider, account: &'p ProviderAccount) -> impl Iterator<Item = &'p str> {
    let keys = account.keys().iter().map(|pooled| pooled.key.reveal());
    let is_secret = |name: &str| SECRET_HEADERS.iter().any(|word| name.contains(word));
    let headers = provider.headers.iter().filter(move |(name, _)| is_secret(name));
    let values = headers.map(|(_, value)| value.rsplit(' ').next().unwrap_or_default());
    keys.chain(values.filter(|value| value.len() >= MIN_ENCODED))
}

/// A secret as plain text, within a JSON string, percent-encoded, and within base64 at any offset.
fn encoded_forms(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    if secret.len() < MIN_ENCODED {
        return all;
    }
    let quoted = quote(secret);
    all.push(quoted.trim_matches('"').to_owned());
    all.push(quoted.trim_matches('"').replace('/', "\\/"));
    for upper in [true, false] {
        all.push(percent_encode(secret, upper));
    }
    // The bytes before and after a secret change the first and last digits of its base64.
    for (before, digits) in [("", 0), ("?", 2), ("??", 3)] {
        let code = base64::encode([before, secret].concat().as_bytes());
        let code = code.trim_end_matches('=');
        let inner = code.get(digits..code.len().saturating_sub(2)).unwrap_or_default().to_owned();
        all.push(inner.replace('+', "-").replace('/', "_"));
        all.push(inner);
    }
    all.retain(|spelling| spelling.len() >= MIN_ENCODED);
    all.dedup();
    all
}

/// Percent-encodes all bytes except letters, digits and `-._~`. `upper`: whether hex digits are in upper
/// case.
fn percent_encode(text: &str, upper: bool) -> String {
    let coded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(coded).collect()
}

/// Masks long parts of a secret.
fn redact_fragments(text: String, secret: &str) -> String {
    let (bytes, whole) = (text.as_bytes(), secret.as_bytes());
    let is_piece = |at: usize, length: usize| {
        bytes.get(at..at + length).is_some_and(|piece| memchr::memmem::find(whole, piece).is_some())
    };
    if whole.len() <= MIN_FRAGMENT || !(0..bytes.len()).any(|at| is_piece(at, MIN_FRAGMENT)) {
        return text;
    }
    let (mut clean, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        if !is_piece(at, MIN_FRAGMENT) {
            clean.push(*byte);
            at += 1;
            continue;
        }
        let mut length = MIN_FRAGMENT;
        while is_piece(at, length + 1) {
            length += 1;
        }
        clean.extend_from_slice(MASK.as_bytes());
        at += length;
    }
    String::from_utf8_lossy(&clean).into_owned()
}

/// Replaces a host's name, in any case, by `name`. A host of a single word is replaced only as a whole word.
fn replace_host(text: String, place: &str, name: &str) -> String {
    let (folded, place) = (text.to_ascii_lowercase(), place.to_ascii_lowercase());
    let single = !place.contains(['.', ':']);
    let joins =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let (mut clean, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in folded.match_indices(&place) {
        let end = at + place.len();
        let bytes = folded.as_bytes();
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        if at < from || (single && (joins(before) || joins(bytes.get(end)))) {
            continue;
        }
        clean.push_str(text.get(from..at).unwrap_or_default());
        clean.push_str(name);
        from = end;
    }
    if from == 0 {
        return text;
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ProxyAddress};

    const KEY: &str = "sk-a/b+c\"d-0123456789";

    fn clean(text: &str) -> String {
        let yaml = "providers: { up: { base_url: 'https://Api.Up.example:8443/v1', headers: { x-azure-key: header-secret-1, x-title: my-title-is-public }, models: { m: {} } } }";
        let config = Config::read(yaml, crate::formats::KINDS).unwrap();
        let provider = config.providers.first().unwrap();
        let account = ProviderAccount::open(provider, |_| Some(KEY.to_owned()));
        redact(text, provider, &account).unwrap_or_else(|| text.to_owned())
    }

    #[test]
    fn a_key_is_removed_in_each_encoding() {
        for text in [
            format!("wrong key {KEY}!"),
            format!("wrong key {}!", quote(KEY).trim_matches('"')),
            format!("wrong key {}!", quote(KEY).trim_matches('"').replace('/', "\\/")),
            format!("https://x.example/?key={}&a=1", percent_encode(KEY, true)),
            format!("https://x.example/?key={}&a=1", percent_encode(KEY, false)),
            "wrong key header-secret-1".to_owned(),
            "wrong key sk-a/b+c\"d-01234567".to_owned(),
        ] {
            let clean = clean(&text);
            assert!(clean.contains(MASK) && !clean.contains("0123456") && !clean.contains("secret-1"), "{clean}");
        }
        for prefix in ["", ":", "u:", "user:"] {
            let coded = base64::encode(format!("{prefix}{KEY}:").as_bytes());
            let (left, _) = (clean(&coded), coded.len());
            assert!(left.len() < coded.len() / 2 + MASK.len() && left.contains(MASK), "{prefix}: {coded} {left}");
        }
        for harmless in ["Incorrect key sk-a/****6789", "my-title-is-public", "nothing at all", ""] {
            assert_eq!(clean(harmless), harmless);
        }
    }

    #[test]
    fn all_keys_of_a_provider_are_removed() {
        let yaml = "providers: { up: { base_url: 'https://up.example', keys: [A, B], models: { m: {} } } }";
        let config = Config::read(yaml, crate::formats::KINDS).unwrap();
        let provider = config.providers.first().unwrap();
        let secret =
            |name: &str| Some(if name == "A" { "key-number-1, key-number-2" } else { "key-number-3" }.to_owned());
        let account = ProviderAccount::open(provider, secret);
        let clean = redact("key-number-1 key-number-2 key-number-3 key-number-4", provider, &account).unwrap();
        assert_eq!(clean, "*** *** *** key-number-4");
    }

    #[test]
    fn an_address_is_replaced_in_each_encoding() {
        for (text, left) in [
            ("no route to https://api.up.example:8443/v1/x", "no route to up/v1/x"),
            ("no route to API.UP.EXAMPLE:8443", "no route to up"),
            ("no route to api.up.example.", "no route to up."),
            ("https%3A%2F%2Fapi.up.example%3A8443%2Fv1", "https%3A%2F%2Fup%3A8443%2Fv1"),
        ] {
            assert_eq!(clean(text), left);
        }
        assert_eq!(
            replace_host("ollama: ollamas at http://OLLAMA/".into(), "ollama", "up"),
            "up: ollamas at http://up/"
        );
    }

    #[test]
    fn a_proxy_is_taken_out_with_its_login() {
        let address = ProxyAddress::parse("http://us%40er:pa%2Fss-word@Proxy.Example:8080").unwrap();
        let proxy = Proxy { address, ca: None, max_answer_bytes: 1 };
        for (text, left) in [
            ("denied for us@er:pa/ss-word at proxy.example:8080", "denied for *** at the proxy"),
            ("Basic dXNAZXI6cGEvc3Mtd29yZA== PROXY.EXAMPLE", "Basic *** the proxy"),
            ("us%40er:pa%2Fss-word, pa%2Fss-word, us@er", "***, ***, ***"),
        ] {
            assert_eq!(redact_proxy(text, &proxy).unwrap(), left);
        }
        assert_eq!(redact_proxy("403 Forbidden", &proxy), None);
    }

    #[test]
    fn strings_of_json_are_redacted_whatever_their_escapes() {
        let yaml = "providers: { up: { base_url: 'https://up.example', models: { m: {} } } }";
        let config = Config::read(yaml, crate::formats::KINDS).unwrap();
        let provider = config.providers.first().unwrap();
        let account = ProviderAccount::open(provider, |_| Some("sk-0123456789abcdef".to_owned()));
        let clean = |json: &str| {
            let clean = redact_json(json.as_bytes(), |text| redact(text, provider, &account));
            clean.map(|clean| String::from_utf8(clean).unwrap())
        };
        let escaped =
            r#"{"error":{"message":"\u0073k-0123456789abcdef at https:\/\/up.example","list":[{"up.example":1}]}}"#;
        assert_eq!(clean(escaped).unwrap(), r#"{"error":{"list":[{"up":1}],"message":"*** at up"}}"#);
        assert_eq!(clean(r#"{"error":{"message":"no"}}"#), None);
        assert_eq!(clean("{oops sk-0123456789abcdef").unwrap(), "{oops ***");
    }
}
