//! The fields of a request that change its price, and those that could select another model or be read in
//! another way than the gateway reads them.

use std::borrow::Cow;

use super::limit::hides_limit;
use crate::canonical::read_count;
use crate::formats::prompt_wire::each;
use crate::formats::tier::{Priced, REGION, SPEED};
use crate::wire::json::{self, Document, is_empty_value};

/// Tiers that mean the default of the provider's account.
const ACCOUNT_TIERS: &[&str] = &["", "auto"];

/// Names of the standard tier.
const STANDARD_TIERS: &[&str] = &["default", "standard", "standard_only", "on_demand"];

/// Fields besides `service_tier` that select another price, and their values for the standard price.
const PRICED_FIELDS: &[Priced] = &[SPEED, REGION, ("serviceTier", STANDARD_TIERS)];

/// Fields with which some hosts let a caller select another model, another provider or paid additions.
const ROUTING_FIELDS: &[&str] = &[
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

/// Fields that decide the price of a request, besides those that an operation reads. Some hosts ignore the
/// case of their letters.
const PRICING_FIELDS: &[&str] = &[
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

/// Fields that let a provider add to a prompt what is not in the body.
const ADDING_FIELDS: &[&str] =
    &["web_search_options", "search_parameters", "mcp_servers", "container", "cached_content", "previous_response_id"];

/// Parts of the names of such fields, as they may stand in a nested object, and the beginning of an escaped
/// letter.
const ADDING_HINTS: &[&str] = &["cach", "Cach", "search", "Search", "container", "previous", "mcp", "tool", "\\u"];

/// The service tier that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceTier {
    /// The default of the provider's account.
    AccountDefault,
    /// The standard tier.
    Standard,
    /// Another tier, by its name; or the name of a field that selects another price.
    Other(String),
}

/// The service tier that a request asks for, as it is sent.
pub fn tier(document: &Document<'_>) -> ServiceTier {
    let mut tier = ServiceTier::AccountDefault;
    for (key, value) in document.edited_members().filter(|(_, value)| *value != "null") {
        if key == "service_tier" {
            tier = match json::text(value) {
                Some(word) if ACCOUNT_TIERS.contains(&word.as_ref()) => ServiceTier::AccountDefault,
                Some(word) if STANDARD_TIERS.contains(&word.as_ref()) => ServiceTier::Standard,
                Some(word) => ServiceTier::Other(word.into_owned()),
                None => return ServiceTier::Other(key.to_owned()),
            };
        } else if let Some((_, usual)) = PRICED_FIELDS.iter().find(|(name, _)| *name == key)
            && !json::text(value).is_some_and(|word| usual.contains(&word.as_ref()))
        {
            return ServiceTier::Other(key.to_owned());
        }
    }
    tier
}

/// Whether the word of a [`ServiceTier::Other`] is a field that selects a price apart from the tiers.
pub fn is_priced_field(word: &str) -> bool {
    [SPEED, REGION].iter().any(|(name, _)| *name == word)
}

/// Whether a provider may add to the prompt what is not in the body: results of its own tools, or stored
/// content.
pub fn adds_to_prompt(document: &Document<'_>) -> bool {
    document.edited_members().any(|(key, value)| match key {
        "tools" => runs_at_provider(value),
        "extra_body" | "extra" | "options" => ADDING_HINTS.iter().any(|hint| value.contains(hint)),
        // An empty object enables it as well.
        _ => ADDING_FIELDS.contains(&key) && value != "null",
    })
}

/// The beginning of the type of a search tool that the provider runs (`web_search_20250305`).
const SEARCH_TOOL: &str = "web_search";

/// The searches of a tool without `max_uses`, or whose fields cannot be read. An estimate, because Anthropic
/// states no limit: it pauses a response after ten rounds (`pause_turn`,
/// <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>), most of which search once.
const USUAL_SEARCHES: u64 = 10;

/// The most searches that a provider runs itself for a request, as far as its tools say so.
pub fn most_searches(document: &Document<'_>) -> u64 {
    #[derive(serde::Deserialize)]
    struct SearchTool<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(default, deserialize_with = "read_count")]
        max_uses: Option<u64>,
    }
    let mut searches = 0u64;
    let _ = each(document.value("tools").unwrap_or("[]"), |tool| {
        let most = match serde_json::from_str::<SearchTool<'_>>(tool) {
            Ok(tool) if tool.kind.as_ref().is_some_and(|kind| kind.starts_with(SEARCH_TOOL)) => {
                tool.max_uses.unwrap_or(USUAL_SEARCHES)
            }
            Ok(_) => 0,
            // A tool that has a field twice is read by some hosts. Escaped letters may hide its type.
            Err(_) if tool.contains(SEARCH_TOOL) || tool.contains("\\u") => USUAL_SEARCHES,
            Err(_) => 0,
        };
        searches = searches.saturating_add(most);
        Some(())
    });
    searches
}

/// Whether a list holds a tool that the provider runs.
fn runs_at_provider(tools: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Tool<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    let mut found = false;
    let read = each(tools, |tool| {
        let tool: Option<Tool<'_>> = serde_json::from_str(tool).ok();
        let kind = tool.and_then(|tool| tool.kind);
        found |= kind.is_some_and(|kind| !matches!(kind.as_ref(), "function" | "custom"));
        Some(())
    });
    // A value of another type may be read in any way.
    found || (read.is_none() && !is_empty_value(tools))
}

/// The first field of the caller's request that could select another model or provider, or that differs from
/// a field that the gateway reads only in the case of its letters, which some hosts ignore. `nested`: also
/// report an object that may hide a limit.
pub fn stray_field<'d>(document: &'d Document<'_>, known: &[&str], nested: bool) -> Option<&'d str> {
    // What the gateway reads itself is not passed on.
    let is_unread = |key: &str| ROUTING_FIELDS.contains(&key) && known.iter().all(|known| *known != key);
    let is_stray = |(key, value): (&str, &str)| {
        let leads = (is_unread(key) && !is_empty_value(value)) || (nested && hides_limit(key, value));
        leads || is_variant(key, known)
    };
    document.members().find(|member| is_stray(*member)).map(|(key, _)| key)
}

/// Whether a name differs from a known one only in the case of its letters. Some readers take `ſ` for `s`,
/// and the Kelvin sign for `k`.
fn is_variant(key: &str, fields: &[&str]) -> bool {
    if key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return false;
    }
    let known = ROUTING_FIELDS.iter().chain(PRICING_FIELDS).chain(fields);
    let folded = || key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    known.into_iter().any(|name| key != *name && folded().eq(name.chars().flat_map(char::to_lowercase)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier_of(body: &str) -> ServiceTier {
        tier(&Document::read(body.as_bytes()).unwrap())
    }

    fn stray(body: &str) -> Option<String> {
        stray_field(&Document::read(body.as_bytes()).unwrap(), &[], false).map(str::to_owned)
    }

    #[test]
    fn a_tier_is_a_word_and_other_values_have_unknown_prices() {
        let other = |word: &str| ServiceTier::Other(word.to_owned());
        for (body, tier) in [
            ("{}", ServiceTier::AccountDefault),
            (r#"{"service_tier":null}"#, ServiceTier::AccountDefault),
            (r#"{"service_tier":"auto","speed":null}"#, ServiceTier::AccountDefault),
            (r#"{"service_tier":"default","speed":"standard","inference_geo":"global"}"#, ServiceTier::Standard),
            (r#"{"service_tier":"standard_only"}"#, ServiceTier::Standard),
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
    fn searches_are_bounded_by_what_the_tools_say() {
        let searches =
            |tools: &str| most_searches(&Document::read(format!("{{\"tools\":{tools}}}").as_bytes()).unwrap());
        assert_eq!(searches(r#"[{"type":"web_search_20250305","max_uses":3},{"type":"function"}]"#), 3);
        assert_eq!(searches(r#"[{"type":"web_search_20250305"},{"type":"web_search_9","max_uses":2}]"#), 12);
        assert_eq!(searches(r#"[{"type":"web_search_20250305","max_uses":5.0}]"#), 5, "some hosts take floats");
        assert_eq!(searches(r#"[{"type":"web_search_20250305","max_uses":"5"}]"#), 10);
        assert_eq!(searches(r#"[{"type":"web_search_20250305","max_uses":1,"max_uses":99}]"#), 10, "twice");
        assert_eq!(searches(r#"[{"type":"x","type":"web\u005fsearch_20250305"}]"#), 10);
        assert_eq!([searches("7"), searches("[]"), searches(r#"[{"type":"web_fetch_20250910"},7]"#)], [0; 3]);
    }

    #[test]
    fn fields_that_select_another_model_are_named() {
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
            assert_eq!(stray(&body).as_deref(), name, "{body}");
        }
        let order = Document::read(br#"{"models":["x"],"route":"y"}"#).unwrap();
        assert_eq!(stray_field(&order, &["models"], false), Some("route"), "read by the gateway, not passed on");
        let hidden = Document::read(br#"{"options":{"num_predict":9}}"#).unwrap();
        assert_eq!(stray_field(&hidden, &[], false), None);
        assert_eq!(stray_field(&hidden, &[], true), Some("options"));
    }

    #[test]
    fn fields_that_add_to_the_prompt_are_found() {
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
