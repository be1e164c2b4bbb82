//! Decides whether a provider's error response concerns the gateway's own key and account, or the client's
//! request.
//! Sources: the providers' error references, and error responses that users have reported.

use crate::error::Error;

/// What an error response is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// The gateway's key, account or network: only the operator can act.
    Gateway,
    /// The client's request: its content, its model, its region.
    Request,
}

use About::{Gateway, Request};

/// Words of a 403 response, in lower case, with `_`, `-` and `.` as spaces. A row matches if all of its words
/// are present; the first match decides.
const FORBIDDEN_ROWS: &[(About, &[&str])] = &[
    (Gateway, &["invalid api key"]),
    (Gateway, &["invalid x api key"]),
    (Gateway, &["incorrect api key"]),
    (Gateway, &["api key not valid"]),
    (Gateway, &["api key invalid"]),
    (Gateway, &["api key expired"]),
    (Gateway, &["authentication error"]),
    (Gateway, &["unauthenticated"]),
    (Gateway, &["missing scope"]),
    // A single model that the account may not use.
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
    // What the request names, which may be another account's, or nobody's.
    (Request, &["access the file", "may not exist"]),
    (Request, &["cachedcontent not found"]),
    // The whole account, before the rows for content that was flagged.
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
    // The region of the request.
    (Request, &["country"]),
    (Request, &["countries"]),
    (Request, &["territory"]),
    (Request, &["region"]),
    (Request, &["location"]),
    (Request, &["地区"]),
    // Anthropic, in unsupported regions.
    (Request, &["forbidden request not allowed"]),
    // The key and its account.
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

/// Messages that say no more than the status.
const UNINFORMATIVE: &[&str] =
    &["", "forbidden", "error", "not allowed", "request not allowed", "request forbidden", "403 forbidden"];

/// Codes that blame the key with any status: some providers answer 400.
const KEY_CODES: &[&str] = &["invalid_api_key", "API_KEY_INVALID", "InvalidApiKey"];

/// Beginnings of messages that blame the key with any status.
const KEY_MESSAGES: &[&str] =
    &["API key not valid", "API key expired", "Incorrect API key provided", "Invalid API key"];

/// Statuses that concern the connection between the gateway and the provider. A client would apply them to
/// its own connection: ask for a proxy password, or repeat the request.
const CONNECTION_STATUSES: &[u16] = &[407, 421, 425, 426];

/// The words of an error response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Words<'w> {
    /// The error code.
    pub(super) code: Option<&'w str>,
    /// The error type.
    pub(super) kind: Option<&'w str>,
    /// The message, only if it came in JSON: pages and lines of text come from firewalls and proxies.
    pub(super) message: Option<&'w str>,
}

impl Words<'_> {
    /// All words, spelled like the table.
    fn normalized(&self) -> String {
        let words = [self.code, self.kind, self.message].into_iter().flatten();
        let joined = words.collect::<Vec<_>>().join(" ").to_lowercase();
        joined.replace(['_', '-', '.'], " ")
    }

    /// Whether a 403 response is about the request. Unknown words are passed on, unless they say nothing.
    fn is_about_request(&self) -> bool {
        let normalized = self.normalized();
        let row = FORBIDDEN_ROWS.iter().find(|(_, words)| words.iter().all(|word| normalized.contains(word)));
        let message = self.message.unwrap_or_default().trim().trim_end_matches(['.', '!']).to_lowercase();
        row.map_or(!UNINFORMATIVE.contains(&message.as_str()), |(about, _)| *about == Request)
    }
}

/// The error that replaces the provider's own: it refused the gateway's key, or `status`, the provider's,
/// makes no sense to a client. `None` if the provider's error is passed on.
pub(super) fn instead(status: u16, words: Words<'_>) -> Option<Error> {
    let by_code = words.code.is_some_and(|code| KEY_CODES.contains(&code));
    let by_words = words.message.is_some_and(|message| KEY_MESSAGES.iter().any(|begin| message.starts_with(begin)));
    let refuses = match status {
        401 => true,
        403 => !words.is_about_request(),
        _ => by_code || by_words,
    };
    if refuses {
        let word = words.code.or(words.kind).map(|word| format!(", {word}")).unwrap_or_default();
        let message = format!("The provider refused the gateway's credentials ({status}{word}). Your own key is fine.");
        let error = Error::upstream(502, "upstream_credentials_refused", message);
        // Another try fails until the operator has acted.
        return Some(error.with_header("x-should-retry", "false"));
    }
    let passes = (400..600).contains(&status) && !CONNECTION_STATUSES.contains(&status);
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
            ("", "You do not have permission to access the File abc123 or it may not exist."),
            ("", "CachedContent not found (or permission denied)"),
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
