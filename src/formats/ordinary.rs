//! Tells whether a refused value is one that any host could take. The refusal of such a value says something of
//! its field; that of another value may be about the value alone, or repeat what the caller wrote there.

use super::objection::{self, Demand, Objection};
use crate::canonical::{ModelRequest, Part, Raw};
use crate::catalogue::field::Field;

/// The longest name of a user that no known host refuses for its length, in characters.
const MAX_USER: usize = 64;
/// The most stop texts that any host with such a field takes.
const MAX_STOP: usize = 4;
/// The longest stop text that is ordinary, in characters.
const MAX_STOP_TEXT: usize = 64;
/// The most alternatives for a token that each host with such a field takes.
const MAX_LOGPROBS: u64 = 5;
/// The most candidates for a token that are ordinary.
const MAX_TOP_K: f64 = 500.0;

/// Whether the request's value of the field that is refused is an ordinary one: a number in the range that
/// hosts share, or a text that holds none of the phrases by which refusals are read.
pub fn is_ordinary(objection: &Objection, request: &ModelRequest<'_>) -> bool {
    let within = |value: &Option<Raw<'_>>, least: f64, most: f64| match value {
        Some(value) => value.get().parse::<f64>().is_ok_and(|number| (least..=most).contains(&number)),
        None => true,
    };
    let sampling = &request.sampling;
    match objection.name.field {
        Field::Temperature => within(&sampling.temperature, 0.0, 1.0) && within(&sampling.top_p, 0.0, 1.0),
        Field::TopP => within(&sampling.top_p, 0.0, 1.0) && within(&sampling.temperature, 0.0, 1.0),
        Field::TopK => within(&sampling.top_k, 1.0, MAX_TOP_K),
        Field::PresencePenalty => within(&sampling.presence_penalty, -2.0, 2.0),
        Field::FrequencyPenalty => within(&sampling.frequency_penalty, -2.0, 2.0),
        Field::Logprobs => request.logprobs.is_none_or(|count| count <= MAX_LOGPROBS),
        Field::User => has_ordinary_user(objection, request),
        Field::Stop => has_ordinary_stop(objection, request),
        Field::ReasoningContent => !thoughts(request).any(|text| is_suspect(text)),
        _ => true,
    }
}

fn has_ordinary_user(objection: &Objection, request: &ModelRequest<'_>) -> bool {
    let Some(user) = request.user.as_ref().and_then(Raw::text) else { return true };
    let is_short = matches!(objection.demand, Demand::AtMost(_)) || user.chars().count() <= MAX_USER;
    // All phrases have spaces.
    is_short && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:@+".contains(&byte))
}

fn has_ordinary_stop(objection: &Objection, request: &ModelRequest<'_>) -> bool {
    let is_few = matches!(objection.demand, Demand::AtMost(_)) || request.stop.len() <= MAX_STOP;
    let is_plain = |text: &Raw<'_>| {
        text.text().is_some_and(|text| {
            !text.trim().is_empty() && text.chars().count() <= MAX_STOP_TEXT && !objection::has_phrase(&text)
        })
    };
    is_few && request.stop.iter().all(is_plain)
}

/// The reasoning of earlier turns.
fn thoughts<'r>(request: &'r ModelRequest<'_>) -> impl Iterator<Item = &'r Raw<'r>> {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts.filter_map(|part| if let Part::Thinking { text, .. } = part { Some(text) } else { None })
}

fn is_suspect(text: &Raw<'_>) -> bool {
    text.text().is_none_or(|text| objection::has_phrase(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{Role, Turn};

    fn refusal(message: &str) -> Objection {
        objection::read(message, None).unwrap()
    }

    fn number(json: &'static str) -> Option<Raw<'static>> {
        Raw::parse(json)
    }

    #[test]
    fn a_number_is_ordinary_in_the_range_that_hosts_share() {
        let sent = |field: &str, value: &'static str| {
            let mut request = ModelRequest::default();
            let sampling = &mut request.sampling;
            match field {
                "temperature" => sampling.temperature = number(value),
                "top_p" => sampling.top_p = number(value),
                "top_k" => sampling.top_k = number(value),
                "presence_penalty" => sampling.presence_penalty = number(value),
                "frequency_penalty" => sampling.frequency_penalty = number(value),
                _ => request.logprobs = value.parse().ok(),
            }
            is_ordinary(&refusal(&format!("Unsupported parameter: '{field}'")), &request)
        };
        for (field, ordinary, other) in [
            ("temperature", "0.7", "1.5"),
            ("top_p", "0.9", "-1"),
            ("top_k", "40", "0"),
            ("presence_penalty", "-2", "2.5"),
            ("frequency_penalty", "0.5", "9"),
            ("logprobs", "5", "20"),
        ] {
            assert!(sent(field, ordinary), "{field} {ordinary}");
            assert!(!sent(field, other), "{field} {other}");
        }
    }

    #[test]
    fn a_users_name_is_ordinary_if_it_is_short_and_plain() {
        let sent = |message: &str, user: &str| {
            let request = ModelRequest { user: Some(Raw::quoted(user)), ..ModelRequest::default() };
            is_ordinary(&refusal(message), &request)
        };
        let (absent, too_long) = ("Unsupported parameter: 'user'", "Invalid 'user': maximum length 64");
        assert!(sent(absent, "user_6f1c"));
        let long = "u".repeat(186);
        assert!(!sent(absent, &long), "perhaps it is refused because it is long");
        assert!(sent(too_long, &long));
        assert!(!sent(too_long, "is not supported"));
        assert!(!sent(absent, "'user' is unsupported"));
    }

    #[test]
    fn stop_texts_are_ordinary_without_the_words_of_a_refusal() {
        let sent = |message: &str, stop: &[&str]| {
            let stop = stop.iter().map(|text| Raw::quoted(text)).collect();
            is_ordinary(&refusal(message), &ModelRequest { stop, ..ModelRequest::default() })
        };
        let (absent, too_many) = ("Unsupported parameter: 'stop'", "Invalid 'stop': at most 4 texts");
        assert!(sent(absent, &["END", "\n\nHuman:"]));
        for odd in [&["a", "b", "c", "d", "e"][..], &[" "], &["This is Not Supported"], &["options are"]] {
            assert!(!sent(absent, odd), "{odd:?}");
        }
        assert!(sent(too_many, &["a", "b", "c", "d", "e"]));
        assert!(!sent(too_many, &["at most 1"]));
    }

    #[test]
    fn reasoning_is_ordinary_without_the_words_of_a_refusal() {
        let sent = |thought: &str| {
            let part = Part::Thinking { text: Raw::quoted(thought), signature: None };
            let turns = vec![Turn { role: Role::Assistant, parts: vec![part] }];
            let message = "messages.1.reasoning_content: Extra inputs are not permitted";
            is_ordinary(&refusal(message), &ModelRequest { turns, ..ModelRequest::default() })
        };
        assert!(sent("The user wants the weather."));
        assert!(!sent("It must be passed back."));
    }
}
