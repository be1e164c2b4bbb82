//! Turns a provider's refusal of a field into facts with which the request can be written again.

use super::objection::{Demand, Objection};
use crate::catalogue::field::{EFFORTS, Efforts, Field, Fit, Value};
use crate::catalogue::{Fact, Facts};

/// The settings of sampling.
const SAMPLING: &[Field] =
    &[Field::Temperature, Field::TopP, Field::TopK, Field::PresencePenalty, Field::FrequencyPenalty];

/// The facts that satisfy an objection, if they differ from those by which the request was written. Empty if
/// no field of the catalogue can satisfy it.
pub fn facts(objection: &Objection, known: &Facts) -> Vec<Fact> {
    let field = objection.name.field;
    let fit = |field: Field, fit: Fit| vec![Fact { field, value: Value::Fit(fit) }];
    let facts = match &objection.demand {
        Demand::Absent => absent(objection, known),
        Demand::AbsentWithTools => fit(Field::ReasoningEffortWithTools, Fit::NearestOf(only("none"))),
        Demand::Alone => fit(Field::TopPWithTemperature, Fit::Drop),
        Demand::Present if field == Field::ReasoningContent => fit(field, Fit::Keep),
        Demand::OneOf(words) if takes_efforts(field) => efforts(one_of(words), known),
        Demand::Other(word) if takes_efforts(field) => efforts(nearest(without(word, known)), known),
        Demand::AtMost(most) if field == Field::User => fit(field, Fit::Hash(*most)),
        Demand::AtMost(most) if field == Field::LimitFields => lower_limit(*most, known),
        Demand::AtMost(most) if field == Field::Stop => fit(Field::StopTexts, Fit::Cut(*most)),
        Demand::Present | Demand::OneOf(_) | Demand::Other(_) | Demand::AtMost(_) => Vec::new(),
    };
    if facts.iter().all(|fact| known.get(fact.field) == Some(fact.value)) { Vec::new() } else { facts }
}

/// The limit that a provider names, unless it is known to take so little already.
fn lower_limit(most: u64, known: &Facts) -> Vec<Fact> {
    let is_lower = known.count(Field::MaxOutput).is_none_or(|known| most < known);
    is_lower.then_some(Fact { field: Field::MaxOutput, value: Value::Count(most) }).into_iter().collect()
}

/// The facts of a provider that does not take the field.
fn absent(objection: &Objection, known: &Facts) -> Vec<Fact> {
    let (field, value) = (objection.name.field, objection.name.absent);
    if field == Field::ReasoningEffort {
        return efforts(Fit::Drop, known);
    }
    let mut facts = vec![Fact { field, value }];
    // A request without reasoning keeps its settings of sampling, unless this field says otherwise.
    if SAMPLING.contains(&field) {
        facts.push(Fact { field: Field::SamplingAtNone, value });
    }
    facts
}

/// Whether the values of a field are words of effort.
fn takes_efforts(field: Field) -> bool {
    matches!(field, Field::ReasoningEffort | Field::Thinking)
}

/// The words of effort, also beside tools if they differ there.
fn efforts(fit: Fit, known: &Facts) -> Vec<Fact> {
    let with_tools = known.fit(Field::ReasoningEffortWithTools) != Fit::Keep;
    let fields = [Some(Field::ReasoningEffort), with_tools.then_some(Field::ReasoningEffortWithTools)];
    fields.into_iter().flatten().map(|field| Fact { field, value: Value::Fit(fit) }).collect()
}

/// The words of effort of a list. If it has none that asks for reasoning, the field is left out rather than
/// reasoning switched off.
fn one_of(words: &[String]) -> Fit {
    let set = words.iter().fold(0, |set, word| set | only(word).0);
    if set == only("none").0 && words.len() > 1 { Fit::Drop } else { nearest(Efforts(set)) }
}

/// The known words of effort without one.
fn without(word: &str, known: &Facts) -> Efforts {
    let all = match known.fit(Field::ReasoningEffort) {
        Fit::NearestOf(efforts) => efforts.0,
        _ => EFFORTS.iter().fold(0, |set, word| set | only(word).0),
    };
    Efforts(all & !only(word).0)
}

fn nearest(efforts: Efforts) -> Fit {
    if efforts == Efforts::default() { Fit::Drop } else { Fit::NearestOf(efforts) }
}

/// The set of one word; empty if it is no word of effort.
fn only(word: &str) -> Efforts {
    Efforts(EFFORTS.iter().position(|known| *known == word).map_or(0, |index| 1 << index))
}

#[cfg(test)]
mod tests {
    use super::super::objection;
    use super::*;
    use crate::catalogue;

    /// What a message teaches of a model, by the names of fields.
    fn learned(message: &str, known: &Facts) -> Vec<(Field, Value)> {
        let objection = objection::read(message, None).unwrap();
        facts(&objection, known).into_iter().map(|fact| (fact.field, fact.value)).collect()
    }

    fn nearest_of(words: &str) -> Value {
        Value::Fit(Fit::NearestOf(Efforts(words.split(' ').fold(0, |set, word| set | only(word).0))))
    }

    #[test]
    fn a_field_that_is_refused_is_left_out_or_renamed() {
        let drop = Value::Fit(Fit::Drop);
        for (message, expected) in [
            ("Unknown parameter: 'stream_options'.", vec![(Field::StreamOptions, drop)]),
            (
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
                vec![(Field::LimitFields, Value::Names(&["max_completion_tokens"]))],
            ),
            ("Unsupported parameter: 'top_p'", vec![(Field::TopP, drop), (Field::SamplingAtNone, drop)]),
            ("Model m does not support parameter reasoningEffort.", vec![(Field::ReasoningEffort, drop)]),
            ("thinking_config is not supported", vec![(Field::Thinking, Value::Words(0))]),
            ("\"thinking.type.enabled\" is not supported", vec![(Field::Thinking, Value::Words(0b100))]),
            ("`temperature` and `top_p` cannot both be specified", vec![(Field::TopPWithTemperature, drop)]),
            (
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                vec![(Field::ReasoningContent, Value::Fit(Fit::Keep))],
            ),
            (
                "Function tools with reasoning_effort are not supported.",
                vec![(Field::ReasoningEffortWithTools, nearest_of("none"))],
            ),
            (
                "Invalid 'user': Expected a string with maximum length 64",
                vec![(Field::User, Value::Fit(Fit::Hash(64)))],
            ),
            ("max_tokens: supports at most 16384 tokens", vec![(Field::MaxOutput, Value::Count(16_384))]),
            (
                "Invalid 'stop': Expected an array with maximum length 4",
                vec![(Field::StopTexts, Value::Fit(Fit::Cut(4)))],
            ),
        ] {
            assert_eq!(learned(message, &Facts::UNKNOWN), expected, "{message}");
        }
    }

    #[test]
    fn a_word_of_effort_becomes_one_that_the_provider_names() {
        let effort = |message: &str, known: &Facts| {
            learned(message, known).into_iter().find(|(field, _)| *field == Field::ReasoningEffort).unwrap().1
        };
        let unknown = Facts::UNKNOWN;
        let supported = "'reasoning_effort' does not support 'none'. Supported values are: 'low' and 'high'.";
        assert_eq!(effort(supported, &unknown), nearest_of("low high"));
        let refused = "'reasoning_effort' does not support 'xhigh' with this model.";
        assert_eq!(effort(refused, &unknown), nearest_of("none minimal low medium high max"));
        assert_eq!(effort(refused, &catalogue::family("gpt-5.2")), nearest_of("none low medium high"));
        let level = "Thinking level MEDIUM is not supported for this model.";
        assert_eq!(effort(level, &unknown), nearest_of("none minimal low high xhigh max"));
        let switch = "`reasoning_effort` must be one of `none` or `default`";
        assert_eq!(effort(switch, &unknown), Value::Fit(Fit::Drop), "reasoning is not switched off");
    }

    #[test]
    fn words_beside_tools_follow() {
        let known = catalogue::family("gpt-9-x");
        let refused = learned("Unsupported parameter: 'reasoning_effort'", &known);
        let fields: Vec<Field> = refused.into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [Field::ReasoningEffort, Field::ReasoningEffortWithTools]);
    }

    #[test]
    fn what_is_known_already_teaches_nothing() {
        let mut known = Facts::UNKNOWN;
        let message = "Unknown parameter: 'stream_options'.";
        let first = facts(&objection::read(message, None).unwrap(), &known);
        known.overlay(&first);
        assert!(learned(message, &known).is_empty());
        assert_eq!(learned("Unsupported parameter: 'user', at most 3, is one", &Facts::UNKNOWN).len(), 1);
        let lower = Fact { field: Field::MaxOutput, value: Value::Count(5) };
        known.overlay(&[lower]);
        assert!(learned("max_tokens: at most 5 tokens", &known).is_empty());
    }
}
