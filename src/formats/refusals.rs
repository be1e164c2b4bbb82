//! Whose fault a provider's refusal is: that of the gateway's own key and account, or that of what was asked. It knows no wire format.
//! Sources: the providers' references of errors, and refusals that users have reported.

use crate::error::Error;

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The gateway's key, account or network: only its operator can act.
    Gateway,
    /// What was asked: its words, its model, its place.
    Request,
}

use About::{Gateway, Request};

/// The words of a refusal with status 403, in lower case, `_`, `-` and `.` as spaces: all of a row have to stand there, and the first such row
/// counts.
const FORBIDDEN: &[(About, &[&str])] = &[
    (Gateway, &["invalid api key"]),
    (Gateway, &["invalid x api key"]),
    (Gateway, &["incorrect api key"]),
    (Gateway, &["api key not valid"]),
    (Gateway, &["api key invalid"]),
    (Gateway, &["api key expired"]),
    (Gateway, &["authentication error"]),
    (Gateway, &["unauthenticated"]),
    (Gateway, &["missing scope"]),
    // One model that this account may not use; others it may.
    (Request, &["model not found"]),
    (Request, &["model", "access"]),
    (Request, &["model", "permission"]),
    (Request, &["model", "does not exist"]),
    (Request, &["model", "not available"]),
    (Request, &["model", "not allowed"]),
    (Request, &["model", "not enabled"]),
    (Request, &["model", "not open"]),
    (Request, &["model", "not support"]),
    (Request, &["model", "unsupported"]),
    (Request, &["model", "blocked"]),
    (Request, &["model", "denied"]),
    (Request, &["model", "disabled"]),
    (Request, &["model", "gated"]),
    (Request, &["model", "restricted"]),
    (Request, &["model", "verified"]),
    (Request, &["model", "subscription"]),
    (Request, &["model", "free tier"]),
    (Request, &["模型"]),
    // The account as a whole, before what it may have been flagged for.
    (Gateway, &["account", "flagged"]),
    (Gateway, &["account", "violat"]),
    (Gateway, &["account", "suspended"]),
    (Gateway, &["account", "deactivated"]),
    (Gateway, &["account", "disabled"]),
    (Gateway, &["organization", "disabled"]),
    (Gateway, &["key", "leaked"]),
    (Gateway, &["key", "flagged"]),
    // The content of the request.
    (Request, &["moderation"]),
    (Request, &["flagged"]),
    (Request, &["content policy"]),
    (Request, &["content filter"]),
    (Request, &["content management"]),
    (Request, &["usage polic"]),
    (Request, &["usage guideline"]),
    (Request, &["safety"]),
    (Request, &["violat"]),
    (Request, &["prohibited"]),
    (Request, &["inappropriate"]),
    (Request, &["harmful"]),
    (Request, &["sensitive"]),
    (Request, &["guardrail"]),
    (Request, &["data policy"]),
    (Request, &["敏感"]),
    (Request, &["违规"]),
    (Request, &["违法"]),
    (Request, &["审核"]),
    // The country that the request comes from.
    (Request, &["country"]),
    (Request, &["countries"]),
    (Request, &["territory"]),
    (Request, &["region"]),
    (Request, &["location"]),
    (Request, &["地区"]),
    // Anthropic, of places that it does not serve.
    (Request, &["forbidden request not allowed"]),
    // The key, and what it stands for.
    (Gateway, &["api key"]),
    (Gateway, &["apikey"]),
    (Gateway, &["this key"]),
    (Gateway, &["your key"]),
    (Gateway, &["key limit"]),
    (Gateway, &["key disabled"]),
    (Gateway, &["key not found"]),
    (Gateway, &["credential"]),
    (Gateway, &["authenti"]),
    (Gateway, &["authoriz"]),
    (Gateway, &["bearer"]),
    (Gateway, &["token", "invalid"]),
    (Gateway, &["token", "expired"]),
    (Gateway, &["access token"]),
    (Gateway, &["security token"]),
    (Gateway, &["signature"]),
    (Gateway, &["scope"]),
    (Gateway, &["permission"]),
    (Gateway, &["access denied"]),
    (Gateway, &["accessdenied"]),
    (Gateway, &["unregistered callers"]),
    (Gateway, &["account"]),
    (Gateway, &["organization"]),
    (Gateway, &["project"]),
    (Gateway, &["billing"]),
    (Gateway, &["ip address"]),
    (Gateway, &["your ip"]),
    (Gateway, &["allowlist"]),
    (Gateway, &["whitelist"]),
    (Gateway, &["firewall"]),
    (Gateway, &["virtual network"]),
    (Gateway, &["密钥"]),
    (Gateway, &["令牌"]),
    (Gateway, &["鉴权"]),
    (Gateway, &["认证"]),
];

/// Messages that say no more than the status does.
const EMPTY: &[&str] =
    &["", "forbidden", "error", "not allowed", "request not allowed", "request forbidden", "403 forbidden"];

/// Codes that blame the key whatever the status: some providers say 400.
const KEY_CODES: &[&str] = &["invalid_api_key", "API_KEY_INVALID", "InvalidApiKey"];

/// How messages begin that blame the key whatever the status.
const KEY_WORDS: &[&str] = &["API key not valid", "API key expired", "Incorrect API key provided", "Invalid API key"];

/// Statuses of the connection between the gateway and its provider. A client would take them for its own connection's: it would ask for
/// a proxy's password, or repeat the request.
const HOPS: &[u16] = &[407, 421, 425, 426];

/// A provider's words, as far as they tell whose fault a refusal is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words<'w> {
    /// The word for the error itself.
    pub(super) code: Option<&'w str>,
    /// The word for its family.
    pub(super) kind: Option<&'w str>,
    /// What a person should read; only where it stood in JSON: a page, or a line of text, is that of a firewall or proxy.
    pub(super) message: Option<&'w str>,
}

impl Words<'_> {
    /// All of them in the spelling of the table.
    fn plain(&self) -> String {
        let words = [self.code, self.kind, self.message].into_iter().flatten();
        let joined = words.collect::<Vec<_>>().join(" ").to_lowercase();
        joined.replace(['_', '-', '.'], " ")
    }

    /// Whether a refusal with status 403 is about what was asked. Words that no row knows are passed on, unless they say nothing.
    fn is_about_request(&self) -> bool {
        let plain = self.plain();
        let row = FORBIDDEN.iter().find(|(_, words)| words.iter().all(|word| plain.contains(word)));
        let message = self.message.unwrap_or_default().trim().trim_end_matches(['.', '!']).to_lowercase();
        row.map_or(!EMPTY.contains(&message.as_str()), |(about, _)| *about == Request)
    }
}

/// What has to be told of a refusal in place of the provider's own words and status: that it refused the gateway's key, or that the status
/// is no answer to a client. `None` where both are to be passed on. `status` is the provider's.
pub(super) fn instead(status: u16, words: Words<'_>) -> Option<Error> {
    let by_code = words.code.is_some_and(|code| KEY_CODES.contains(&code));
    let by_words = words.message.is_some_and(|message| KEY_WORDS.iter().any(|begin| message.starts_with(begin)));
    let refuses = match status {
        401 => true,
        403 => !words.is_about_request(),
        _ => by_code || by_words,
    };
    if refuses {
        let word = words.code.or(words.kind).map(|word| format!(", {word}")).unwrap_or_default();
        let message = format!("The provider refused the gateway's credentials ({status}{word}). Your own key is fine.");
        return Some(Error::upstream(502, "upstream_credentials_refused", message));
    }
    let passes = (400..600).contains(&status) && !HOPS.contains(&status);
    let message = || format!("The provider answered with status {status}, which is no answer.");
    (!passes).then(|| Error::upstream(502, "upstream_invalid_response", message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, code: &str, message: &str) -> Option<String> {
        let some = |word| Some(word).filter(|word: &&str| !word.is_empty());
        let error = instead(status, Words { code: some(code), kind: None, message: some(message) })?;
        assert_eq!(error.status(), 502);
        error.code().map(str::to_owned)
    }

    #[test]
    fn a_403_about_what_was_asked_is_the_providers_to_word() {
        for (word, message) in [
            (
                "403",
                "openai/gpt-4o requires moderation. Your input was flagged for \"violence\". No credits were charged.",
            ),
            ("unsupported_country_region_territory", "Country, region, or territory not supported"),
            ("model_not_found", "Project `proj_x` does not have access to model `gpt-6-astra`"),
            ("model_not_found", ""),
            ("", "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_CSAM"),
            ("model_permission_blocked_org", "The model `x` is blocked at the organization level."),
            ("Model.AccessDenied", "Model access denied."),
            ("", "Your API key does not have permission to use the model claude-9."),
            ("AccessDeniedException", "You don't have access to the model with the specified model ID."),
            ("", "User location is not supported for the API use."),
            ("", "输入内容包含敏感信息"),
            ("novel_rule", "Requests of this kind wait for Monday."),
        ] {
            assert_eq!(code(403, word, message), None, "{word} {message}");
        }
    }

    #[test]
    fn a_403_about_the_key_or_about_nothing_is_the_gateways() {
        for (word, message) in [
            ("", ""),
            ("", "Forbidden"),
            ("forbidden", "Forbidden."),
            ("PERMISSION_DENIED", "Your API key was reported as leaked. Please use another API key."),
            ("PERMISSION_DENIED", "Generative Language API has not been used in project 7 before or it is disabled."),
            ("PERMISSION_DENIED", "Method doesn't allow unregistered callers."),
            ("permission_error", "Your API key does not have permission to use the specified resource."),
            ("", "Missing Authentication Token"),
            ("", "Your account was flagged for potential abuse."),
            ("", "This organization has been disabled."),
            ("missing_scope", "You have insufficient permissions. Missing scopes: model.request"),
            ("invalid_api_key", "A valid API key gives access to all models."),
            ("", "Key limit exceeded (total limit)."),
            ("", "Access denied due to Virtual Network/Firewall rules."),
        ] {
            assert_eq!(code(403, word, message).as_deref(), Some("upstream_credentials_refused"), "{word} {message}");
        }
        assert!(code(401, "model_not_found", "Your input was flagged").is_some());
    }

    #[test]
    fn other_statuses_blame_the_key_by_their_own_words_only() {
        assert_eq!(
            code(400, "", "Incorrect API key provided: xa***.").as_deref(),
            Some("upstream_credentials_refused")
        );
        assert_eq!(code(400, "invalid_value", "`x`: Invalid API key in your text"), None);
        for status in [400, 402, 404, 408, 409, 413, 422, 429, 451, 500, 503, 529] {
            assert_eq!(code(status, "", "Insufficient Balance"), None, "{status}");
        }
        for status in [0, 101, 302, 304, 407, 421, 425, 426, 600, 999] {
            assert_eq!(code(status, "", "no").as_deref(), Some("upstream_invalid_response"), "{status}");
        }
    }
}
