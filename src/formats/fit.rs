//! Fits a request to what its host and model take, as the catalogue says. What each format writes in its own
//! way, such as words of effort, is fitted where it is written.

use std::borrow::Cow;
use std::collections::HashSet;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::effort::{self, FittedEffort};
use super::provider_format::ProviderFormat;
use super::tool_names::ToolNames;
use super::written_request::{Adjustment, Changes, WriteTarget, WrittenRequest};
use crate::canonical::{ModelRequest, Raw};
use crate::catalogue::Facts;
use crate::catalogue::field::{Field, Fit};
use crate::error::Result;

/// Bytes of a hash that stands for a user's name.
const HASH: usize = 16;

/// The fewest digits of a telephone number.
const TELEPHONE: usize = 7;

/// Writes a request in a provider's format, fitted to the model and its host. `secret` keys the hash of a
/// user's name, so that the name cannot be found by trying names.
///
/// # Errors
/// 400 for what cannot be expressed in this format.
pub fn write(
    format: &ProviderFormat,
    request: &mut ModelRequest<'_>,
    target: WriteTarget<'_>,
    secret: &[u8],
) -> Result<WrittenRequest> {
    let changes = fit(request, target.facts, secret);
    let mut written = (format.write)(request, target)?;
    written.add(changes);
    Ok(written)
}

/// Changes a request into one that its target takes.
fn fit(request: &mut ModelRequest<'_>, facts: &Facts, secret: &[u8]) -> Changes {
    let mut changes = Changes::default();
    sampling(request, facts, &mut changes);
    stop(request, facts, &mut changes);
    user(request, facts, secret, &mut changes);
    if facts.fit(Field::StrictTools) == Fit::Drop && request.tools.iter().any(|tool| tool.strict == Some(true)) {
        request.tools.iter_mut().for_each(|tool| tool.strict = None);
        changes.dropped.push(Cow::Borrowed("tools[].function.strict"));
    }
    if request.logprobs.is_some() && facts.fit(Field::Logprobs) == Fit::Drop {
        request.logprobs = None;
        changes.dropped.push(Cow::Borrowed("logprobs"));
    }
    changes
}

/// Gives a request tools and names that its host takes, and a limit that its model can reach, if it is to be fitted.
pub fn prepare(
    format: &ProviderFormat,
    request: &mut ModelRequest<'_>,
    facts: &Facts,
    is_fitted: bool,
) -> (ToolNames, Vec<Adjustment>) {
    if !is_fitted {
        return Default::default();
    }
    let adjusted = [lower_limit(request, facts), distinct_tools(request)].into_iter().flatten().collect();
    (ToolNames::fit(request, facts, format.tool_names_begin_with_letter), adjusted)
}

/// Lowers a limit that the model cannot reach: most hosts refuse it, and agents set one for the models they know.
fn lower_limit(request: &mut ModelRequest<'_>, facts: &Facts) -> Option<Adjustment> {
    let (asked, most) = (request.max_tokens?, facts.count(Field::MaxOutput)?);
    (asked > most).then(|| {
        request.max_tokens = Some(most);
        Adjustment::new("max_tokens", asked.to_string(), most.to_string())
    })
}

/// Leaves out tools whose name another one has: Anthropic and Gemini refuse all of them then.
fn distinct_tools(request: &mut ModelRequest<'_>) -> Option<Adjustment> {
    let (count, mut names) = (request.tools.len(), HashSet::new());
    let mut is_first: Vec<bool> = request.tools.iter().map(|tool| names.insert(tool.name.get())).collect();
    let left = names.len();
    (left < count).then(|| {
        is_first.reverse();
        request.tools.retain(|_| is_first.pop().unwrap_or(true));
        Adjustment::new("tools", format!("{count} tools"), format!("{left} names"))
    })
}

/// Leaves out the settings that a model which reasons refuses. The loss of a default loses nothing.
fn sampling(request: &mut ModelRequest<'_>, facts: &Facts, changes: &mut Changes) {
    let FittedEffort { word, .. } = effort::fit(request, facts);
    let effort = word.or_else(|| facts.word(Field::DefaultEffort));
    let is_free = effort == Some("none") && facts.fit(Field::SamplingAtNone) == Fit::Keep;
    let sampling = &mut request.sampling;
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    let clashes = both && facts.fit(Field::TopPWithTemperature) == Fit::Drop;
    let mut leave_out = |value: &mut Option<Raw<'_>>, name: &'static str, default: &str| {
        let lost = value.take().is_some_and(|raw| raw.get().parse::<f64>() != default.parse::<f64>());
        if lost {
            changes.dropped.push(Cow::Borrowed(name));
        }
    };
    if !is_free {
        for (field, name, default, value) in [
            (Field::Temperature, "temperature", "1", &mut sampling.temperature),
            (Field::TopP, "top_p", "1", &mut sampling.top_p),
            (Field::TopK, "top_k", "", &mut sampling.top_k),
            (Field::PresencePenalty, "presence_penalty", "0", &mut sampling.presence_penalty),
            (Field::FrequencyPenalty, "frequency_penalty", "0", &mut sampling.frequency_penalty),
        ] {
            if facts.fit(field) == Fit::Drop {
                leave_out(value, name, default);
            }
        }
    }
    if clashes && sampling.temperature.is_some() {
        leave_out(&mut sampling.top_p, "top_p", "1");
    }
}

fn stop(request: &mut ModelRequest<'_>, facts: &Facts, changes: &mut Changes) {
    if request.stop.is_empty() {
        return;
    }
    if facts.fit(Field::Stop) == Fit::Drop {
        request.stop.clear();
        changes.dropped.push(Cow::Borrowed("stop"));
        return;
    }
    let Fit::Cut(most) = facts.fit(Field::StopTexts) else { return };
    let (count, most) = (request.stop.len(), usize::try_from(most).unwrap_or(usize::MAX));
    if count > most {
        request.stop.truncate(most);
        changes.adjusted.push(Adjustment::new("stop", format!("{count} texts"), format!("{most} texts")));
    }
}

fn user(request: &mut ModelRequest<'_>, facts: &Facts, secret: &[u8], changes: &mut Changes) {
    let Some(name) = request.user.as_ref().and_then(Raw::text) else { return };
    let personal = if is_personal(&name) { facts.fit(Field::PersonalUser) } else { Fit::Keep };
    let fit = if personal == Fit::Keep { facts.fit(Field::User) } else { personal };
    match fit {
        Fit::Drop => {
            request.user = None;
            changes.dropped.push(Cow::Borrowed("user"));
        }
        Fit::Hash(longest) if name.chars().count() as u64 > longest => {
            let hash = hash(secret, &name);
            request.user = Some(Raw::quoted(&hash));
            changes.adjusted.push(Adjustment::new("user", String::new(), "a hash".to_owned()));
        }
        _ => {}
    }
}

/// Whether a name is an e-mail address or a telephone number.
fn is_personal(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_telephone = || name.bytes().all(|byte| byte.is_ascii_digit() || b"+-() ./".contains(&byte));
    name.contains('@') || digits >= TELEPHONE && is_telephone()
}

/// A text that stands for a name, the same in every isolate.
fn hash(secret: &[u8], name: &str) -> String {
    let mut text = "user_".to_owned();
    // HMAC accepts keys of any length, so this cannot fail.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) {
        mac.update(name.as_bytes());
        mac.finalize().into_bytes().iter().take(HASH).for_each(|byte| text.push_str(&format!("{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Effort, Thinking, Tool};
    use crate::catalogue::field::Value;
    use crate::catalogue::{self, Fact};

    fn facts(list: &[(Field, Fit)]) -> Facts {
        let mut facts = Facts::UNKNOWN;
        list.iter().for_each(|(field, fit)| facts.overlay(&[Fact { field: *field, value: Value::Fit(*fit) }]));
        facts
    }

    fn raw(json: &'static str) -> Option<Raw<'static>> {
        Raw::parse(json)
    }

    fn told(changes: &Changes) -> (Vec<String>, Vec<&str>) {
        let adjusted = changes.adjusted.iter().map(ToString::to_string).collect();
        (adjusted, changes.dropped.iter().map(Cow::as_ref).collect())
    }

    #[test]
    fn sampling_that_is_refused_is_left_out_and_named() {
        let mut request = ModelRequest { stop: vec![Raw::quoted("END")], ..ModelRequest::default() };
        request.sampling.temperature = raw("0.3");
        request.sampling.top_p = raw("1.0");
        request.sampling.presence_penalty = raw("0");
        let changes = fit(&mut request, &catalogue::family("gpt-5-mini"), b"");
        assert_eq!(told(&changes), (vec![], vec!["temperature", "stop"]), "a default is no loss");
        assert_eq!((request.sampling, request.stop.len()), (Default::default(), 0));
    }

    #[test]
    fn without_reasoning_a_model_takes_sampling() {
        let asked = |model: &str, thinking| {
            let mut request = ModelRequest { thinking, ..ModelRequest::default() };
            request.sampling.temperature = raw("0.3");
            fit(&mut request, &catalogue::family(model), b"").dropped.is_empty()
        };
        assert!(asked("gpt-5.5", Some(Thinking::Off)));
        assert!(asked("gpt-5.1", None), "its default is no reasoning");
        assert!(!asked("gpt-5.1", Some(Thinking::Effort(Effort::Low))));
        assert!(!asked("gpt-5-mini", Some(Thinking::Off)), "it always reasons");
        assert!(!asked("claude-opus-9", Some(Thinking::Off)));
        assert!(asked("gpt-4o", Some(Thinking::Effort(Effort::High))));
    }

    #[test]
    fn top_p_gives_way_to_temperature() {
        let mut request = ModelRequest::default();
        (request.sampling.temperature, request.sampling.top_p) = (raw("0.3"), raw("0.9"));
        let changes = fit(&mut request, &catalogue::family("claude-haiku-4-5"), b"");
        assert_eq!(told(&changes), (vec![], vec!["top_p"]));
        assert!(request.sampling.temperature.is_some() && request.sampling.top_p.is_none());
    }

    #[test]
    fn a_user_is_hashed_where_the_host_refuses_the_name() {
        let facts = facts(&[(Field::User, Fit::Hash(8)), (Field::PersonalUser, Fit::Hash(1))]);
        let sent = |name: &str, secret: &[u8]| {
            let mut request = ModelRequest { user: Some(Raw::quoted(name)), ..ModelRequest::default() };
            let changes = fit(&mut request, &facts, secret);
            (request.user.unwrap().text().unwrap().into_owned(), told(&changes).0)
        };
        assert_eq!(sent("6f1c", b"s"), ("6f1c".to_owned(), vec![]));
        let (long, told) = sent("a-long-name", b"s");
        assert_eq!((long.len(), told), (37, vec!["user: a hash".to_owned()]));
        assert_eq!(sent("a-long-name", b"s").0, long, "the same each time");
        assert_ne!(sent("a-long-name", b"other").0, long, "not to be found by trying names");
        for personal in ["a@b.c", "+49 30 123", "1234567"] {
            assert!(sent(personal, b"s").0.starts_with("user_"), "{personal}");
        }
        assert_eq!(sent("123456", b"s").0, "123456", "too short for a telephone number");
    }

    #[test]
    fn a_limit_that_the_model_cannot_reach_is_lowered() {
        let mut facts = Facts::UNKNOWN;
        facts.overlay(&[Fact { field: Field::MaxOutput, value: Value::Count(16_384) }]);
        let mut request = ModelRequest { max_tokens: Some(32_000), ..ModelRequest::default() };
        assert_eq!(lower_limit(&mut request, &Facts::UNKNOWN), None);
        let lowered = lower_limit(&mut request, &facts).map(|adjustment| adjustment.to_string());
        assert_eq!((lowered.as_deref(), request.max_tokens), (Some("max_tokens: 32000 -> 16384"), Some(16_384)));
        assert_eq!(lower_limit(&mut request, &facts), None);
    }

    #[test]
    fn of_tools_with_one_name_the_first_is_sent() {
        let tool =
            |name, strict| Tool { name: Raw::quoted(name), description: None, parameters: None, strict, cache: None };
        let tools = vec![tool("f", Some(true)), tool("g", None), tool("f", None)];
        let mut request = ModelRequest { tools, ..ModelRequest::default() };
        let adjusted = distinct_tools(&mut request).map(|adjustment| adjustment.to_string());
        assert_eq!(adjusted.as_deref(), Some("tools: 3 tools -> 2 names"));
        assert_eq!(request.tools, [tool("f", Some(true)), tool("g", None)]);
    }

    #[test]
    fn too_many_stop_texts_are_cut() {
        let facts = facts(&[(Field::StopTexts, Fit::Cut(2))]);
        let stop = ["a", "b", "c"].map(Raw::quoted).to_vec();
        let mut request = ModelRequest { stop, ..ModelRequest::default() };
        let changes = fit(&mut request, &facts, b"");
        assert_eq!(told(&changes), (vec!["stop: 3 texts -> 2 texts".to_owned()], vec![]));
        assert_eq!(request.stop, ["a", "b"].map(Raw::quoted));
    }

    #[test]
    fn what_a_host_does_not_have_is_left_out_and_named() {
        let facts = facts(&[(Field::User, Fit::Drop), (Field::Logprobs, Fit::Drop), (Field::StrictTools, Fit::Drop)]);
        let tool =
            |name, strict| Tool { name: Raw::quoted(name), description: None, parameters: None, strict, cache: None };
        let mut request = ModelRequest {
            user: Some(Raw::quoted("u")),
            logprobs: Some(2),
            tools: vec![tool("f", Some(true)), tool("g", None)],
            ..ModelRequest::default()
        };
        let changes = fit(&mut request, &facts, b"");
        assert_eq!(told(&changes), (vec![], vec!["user", "tools[].function.strict", "logprobs"]));
        assert_eq!(fit(&mut request, &facts, b""), Changes::default(), "nothing is left to change");
    }
}
