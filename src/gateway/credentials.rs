//! Adds a provider's key to a finished request, the last step before it is sent.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::platform::ProviderRequest;
use crate::config::Millis;
use crate::formats::auth::{AuthScheme, SignableRequest};
use crate::provider::ProviderKey;

/// The characters that are escaped in a query. `provider::redact` finds keys in this spelling as well.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds the key, if there is one, to a finished request. It replaces a configured header of the same name.
pub(super) fn apply(request: &mut ProviderRequest, scheme: AuthScheme, key: Option<&ProviderKey>, now: Millis) {
    let Some(key) = key.map(ProviderKey::reveal) else { return };
    match scheme {
        AuthScheme::Bearer => request.headers.push(("authorization".to_owned(), format!("Bearer {key}"))),
        AuthScheme::Header(name) => request.headers.push((name.to_owned(), key.to_owned())),
        AuthScheme::Query(name) => {
            let separator = if request.url.contains('?') { '&' } else { '?' };
            request.url.push(separator);
            request.url.push_str(name);
            request.url.push('=');
            request.url.extend(utf8_percent_encode(key, ESCAPED));
        }
        AuthScheme::Sign(sign) => {
            let ProviderRequest { url, headers, body, .. } = &*request;
            let signature = sign(&SignableRequest { url, headers, body, key, now });
            request.headers.extend(signature.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::config::{KeySource, Provider};
    use crate::provider::{ProviderAccount, redact};

    fn applied(scheme: AuthScheme, url: &str) -> ProviderRequest {
        let key = key();
        let mut request = ProviderRequest {
            method: crate::gateway::platform::RequestMethod::Post,
            url: url.to_owned(),
            headers: vec![("x-own".to_owned(), "1".to_owned())],
            body: Rc::new(b"{}".to_vec()),
            stream: false,
            ends_with_client: true,
            egress: crate::gateway::platform::Egress::Direct,
        };
        apply(&mut request, scheme, Some(&key), 5);
        request
    }

    fn provider() -> Provider {
        let text = "providers: { p: { base_url: 'https://p.example', api_key: 'k/1+secret-key' , models: { m: {} } } }";
        let config = crate::config::Config::read(text, crate::formats::KINDS).unwrap();
        config.providers.into_iter().next().unwrap()
    }

    fn key() -> ProviderKey {
        account().keys()[0].key.clone()
    }

    fn account() -> ProviderAccount {
        let provider = provider();
        assert!(matches!(provider.key, KeySource::Secrets { .. }));
        ProviderAccount::open(&provider, |_| None)
    }

    #[test]
    fn a_key_is_put_where_its_scheme_says() {
        let bearer = applied(AuthScheme::Bearer, "https://p.example/a");
        assert_eq!(bearer.headers[1], ("authorization".to_owned(), "Bearer k/1+secret-key".to_owned()));
        let header = applied(AuthScheme::Header("x-api-key"), "https://p.example/a");
        assert_eq!(header.headers[1], ("x-api-key".to_owned(), "k/1+secret-key".to_owned()));
        let query = applied(AuthScheme::Query("key"), "https://p.example/a");
        assert_eq!(query.url, "https://p.example/a?key=k%2F1%2Bsecret-key");
        assert_eq!(query.headers.len(), 1);
        let second = applied(AuthScheme::Query("key"), "https://p.example/a?alt=sse");
        assert_eq!(second.url, "https://p.example/a?alt=sse&key=k%2F1%2Bsecret-key");
    }

    #[test]
    fn a_signature_covers_the_finished_request() {
        let sign = |request: &SignableRequest<'_>| {
            let body = String::from_utf8_lossy(request.body);
            let SignableRequest { url, headers, key, now, .. } = request;
            vec![("x-signature", format!("{url} {headers:?} {body} {key} {now}"))]
        };
        let signed = applied(AuthScheme::Sign(sign), "https://p.example/a");
        let expected = r#"https://p.example/a [("x-own", "1")] {} k/1+secret-key 5"#;
        assert_eq!(signed.headers[1], ("x-signature".to_owned(), expected.to_owned()));
    }

    #[test]
    fn a_key_in_a_query_is_redacted_where_a_provider_repeats_the_url() {
        let url = applied(AuthScheme::Query("key"), "https://p.example/a").url;
        let shown = redact(&format!("Cannot POST {url}"), &provider(), &account()).unwrap();
        assert!(!shown.contains("secret"), "{shown}");
    }
}
