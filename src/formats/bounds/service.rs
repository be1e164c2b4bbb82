//! How a request asks to be served, as far as that changes its price, and what in it could lead to another model or another reading than
//! this gateway's. It knows no prices and no keys.

use std::borrow::Cow;

use super::limit::hides_limit;
use crate::formats::prompt_wire::each;
use crate::formats::tier::{Priced, REGION, SPEED};
use crate::wire::json::{Document, is_empty_value};

/// Words for a project's own tier: what it is, the provider's account says.
const OWN: &[&str] = &["", "auto"];

/// Words for the usual tier.
const USUAL: &[&str] = &["default", "standard", "standard_only", "on_demand"];

/// Fields besides `service_tier` that choose another price, and the words for the usual one.
const PRICED: &[Priced] = &[SPEED, REGION, ("serviceTier", USUAL)];

/// Fields with which some hosts let a caller choose another model, another provider or paid additions.
const ROUTING: &[&str] = &[
    "models",
    "route",
    "fallbacks",
    "fallback",
    "provider",
    "providers",
    "providerOptions",
    "provider_options",
    "plugins",
    "preset",
    "engine",
    "deployment",
    "deployment_id",
    "model_id",
    "model_list",
    "model_name",
    "custom_llm_provider",
    "api_base",
    "base_url",
    "user_config",
    "router_settings_override",
    "context_window_fallbacks",
    "content_policy_fallbacks",
];

/// Fields that decide what a request costs, besides those that a task reads: some hosts take them in any case of their letters.
const PRICING: &[&str] = &[
    "model",
    "messages",
    "prompt",
    "input",
    "tools",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "num_predict",
    "n",
    "best_of",
    "echo",
    "stream",
    "service_tier",
    "speed",
    "inference_geo",
    "web_search_options",
    "options",
    "extra_body",
];

/// Fields by which a provider adds to a prompt what does not stand in the body.
const ADDING: &[&str] =
    &["web_search_options", "search_parameters", "mcp_servers", "container", "cached_content", "previous_response_id"];

/// Parts of such names, as they may stand in an object within; and the beginning of a letter that is written as its number.
const HINTS: &[&str] = &["cach", "Cach", "search", "Search", "container", "previous", "mcp", "tool", "\\u"];

/// How a request asks to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceTier {
    /// As the provider's account is set up.
    Own,
    /// In the usual way, whatever the account says.
    Usual,
    /// In this way: a tier's word, or the name of a field that chooses another price.
    Other(String),
}

/// How a request, as it is sent, asks to be served.
pub fn tier(document: &Document<'_>) -> ServiceTier {
    let mut tier = ServiceTier::Own;
    for (key, value) in document.edited_members().filter(|(_, value)| *value != "null") {
        let word = serde_json::from_str::<Cow<'_, str>>(value).ok();
        if key == "service_tier" {
            tier = match word {
                Some(word) if OWN.contains(&word.as_ref()) => ServiceTier::Own,
                Some(word) if USUAL.contains(&word.as_ref()) => ServiceTier::Usual,
                Some(word) => ServiceTier::Other(word.into_owned()),
                None => return ServiceTier::Other(key.to_owned()),
            };
        } else if let Some((_, usual)) = PRICED.iter().find(|(name, _)| *name == key)
            && !word.is_some_and(|word| usual.contains(&word.as_ref()))
        {
            return ServiceTier::Other(key.to_owned());
        }
    }
    tier
}

/// Whether a word of [`ServiceTier::Other`] names a field that chooses a price beside those of the tiers.
pub fn is_beside_tiers(word: &str) -> bool {
    [SPEED, REGION].iter().any(|(name, _)| *name == word)
}

/// Whether a provider may add to the prompt what does not stand in the body: results of its own tools, or what it has kept.
pub fn adds_to_prompt(document: &Document<'_>) -> bool {
    document.edited_members().any(|(key, value)| match key {
        "tools" => runs_at_provider(value),
        "extra_body" | "extra" | "options" => HINTS.iter().any(|hint| value.contains(hint)),
        // An empty object asks for it as well.
        _ => ADDING.contains(&key) && value != "null",
    })
}

/// Whether some tool in a list runs at the provider's.
fn runs_at_provider(tools: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    let mut theirs = false;
    let read = each(tools, |tool| {
        let tool: Option<Tool<'_>> = serde_json::from_str(tool).ok();
        let kind = tool.and_then(|tool| tool.kind);
        theirs |= kind.is_some_and(|kind| !matches!(kind.as_ref(), "function" | "custom"));
        Some(())
    });
    // What is no list may be read by nobody knows whom.
    theirs || (read.is_none() && !is_empty_value(tools))
}

/// The first field of a request, as the caller wrote it, that could lead elsewhere than it seems: to another model or provider, or past
/// what this gateway reads, because some hosts take a name in any case of its letters. `nested`: an object in which a limit may be hidden
/// is one as well.
pub fn stray_field<'d>(document: &'d Document<'_>, known: &[&str], nested: bool) -> Option<&'d str> {
    let is_stray = |(key, value): (&str, &str)| {
        let leads = (ROUTING.contains(&key) && !is_empty_value(value)) || (nested && hides_limit(key, value));
        leads || is_variant(key, known)
    };
    document.members().find(|member| is_stray(*member)).map(|(key, _)| key)
}

/// Whether a name is a known one but for the case of its letters. Some readers take `ſ` for `s`, and the sign for Kelvin for `k`.
fn is_variant(key: &str, fields: &[&str]) -> bool {
    if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return false;
    }
    let known = ROUTING.iter().chain(PRICING).chain(fields);
    let folded = || key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    known.into_iter().any(|name| key != *name && folded().eq(name.chars().flat_map(char::to_lowercase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier_of(body: &str) -> ServiceTier {
        tier(&Document::read(body.as_bytes()).unwrap())
    }

    fn led(body: &str) -> Option<String> {
        stray_field(&Document::read(body.as_bytes()).unwrap(), &[], false).map(str::to_owned)
    }

    #[test]
    fn a_tier_is_a_word_and_all_else_is_a_price_that_nobody_knows() {
        let other = |word: &str| ServiceTier::Other(word.to_owned());
        for (body, tier) in [
            ("{}", ServiceTier::Own),
            (r#"{"service_tier":null}"#, ServiceTier::Own),
            (r#"{"service_tier":"auto","speed":null}"#, ServiceTier::Own),
            (r#"{"service_tier":"default","speed":"standard","inference_geo":"global"}"#, ServiceTier::Usual),
            (r#"{"service_tier":"standard_only"}"#, ServiceTier::Usual),
            (r#"{"service_tier":"\u0070riority"}"#, other("priority")),
            (r#"{"service_tier":"Priority"}"#, other("Priority")),
            (r#"{"service_tier":["priority"]}"#, other("service_tier")),
            (r#"{"service_tier":7}"#, other("service_tier")),
            (r#"{"service_tier":"flex","speed":"fast"}"#, other("speed")),
            (r#"{"speed":"fast","service_tier":"flex"}"#, other("speed")),
            (r#"{"inference_geo":"us"}"#, other("inference_geo")),
        ] {
            assert_eq!(tier_of(body), tier, "{body}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_named() {
        for (body, name) in [
            (r#"{"model":"m","messages":[],"models":["x"]}"#, Some("models")),
            (r#"{"route":"fallback"}"#, Some("route")),
            (r#"{"fallbacks":[{"model":"x"}]}"#, Some("fallbacks")),
            (r#"{"provider":{"order":["x"]}}"#, Some("provider")),
            (r#"{"mod\u0065ls":["x"]}"#, Some("models")),
            (r#"{"models":null,"route":""}"#, None),
            (r#"{"MODEL":"x"}"#, Some("MODEL")),
            (r#"{"Max_Tokens":1}"#, Some("Max_Tokens")),
            (r#"{"max_toKens":1}"#, Some("max_to\u{212a}ens")),
            (r#"{"model\u017f":["x"]}"#, Some("model\u{17f}")),
            (r#"{"Models":[]}"#, Some("Models")),
            (r#"{"model":"m","messages":[],"n":1,"temperature":1,"logit_bias":{},"X":1}"#, None),
        ] {
            let body = body.replace("max_toKens", "max_to\u{212a}ens");
            assert_eq!(led(&body).as_deref(), name, "{body}");
        }
        let hidden = Document::read(br#"{"options":{"num_predict":9}}"#).unwrap();
        assert_eq!(stray_field(&hidden, &[], false), None);
        assert_eq!(stray_field(&hidden, &[], true), Some("options"));
    }

    #[test]
    fn what_a_provider_adds_is_known_by_its_field() {
        let adds = |body: &str| adds_to_prompt(&Document::read(body.as_bytes()).unwrap());
        for body in [
            r#"{"web_search_options":{}}"#,
            r#"{"tools":[{"type":"function"},{"type":"web_search_20250305"}]}"#,
            r#"{"tools":{"type":"x"}}"#,
            r#"{"extra_body":{"google":{"cached_content":"c"}}}"#,
        ] {
            assert!(adds(body), "{body}");
        }
        for body in ["{}", r#"{"tools":[{"type":"function"},{"name":"f"},{"type":"custom"}]}"#, r#"{"tools":null}"#] {
            assert!(!adds(body), "{body}");
        }
    }
}
