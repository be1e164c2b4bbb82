//! The fields of the catalogue: the table each belongs to, and how its value is read. The build script and
//! the operator's configuration read the same fields.

use serde_yaml::Value as Yaml;

/// The table that a field belongs to; it is legal in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// How an API is spoken: `formats`, `hosts`, and a provider of the configuration.
    Hosts,
    /// What a model is and takes: `models`, the models of a host, and a model's row of the configuration.
    Models,
}

/// What a field's value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number, at least 1, and at most this.
    Count(u64),
    /// An amount in dollars. The value is a [`Value::Count`] of nano-dollars.
    Dollars,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of some of these words.
    Words(&'static [&'static str]),
    /// A list of names.
    Names,
    /// What is done to a part of a request: one of these verbs.
    Fit(&'static [Verb]),
}

/// The verbs of a [`Fit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `keep`
    Keep,
    /// `drop`
    Drop,
    /// `rename: name`
    Rename,
    /// `cut: length`
    Cut,
    /// `hash: length`
    Hash,
    /// `nearest_of: [words of effort]`
    NearestOf,
}

/// What is done to a part of a request that a host or a model does not take as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// It is sent unchanged.
    #[default]
    Keep,
    /// It is left out.
    Drop,
    /// It is sent under this name.
    Rename(&'static str),
    /// It is cut to this length (characters, or items of a list).
    Cut(u64),
    /// If it has more characters than this, a hash of it is sent.
    Hash(u64),
    /// The nearest of these words of effort is sent.
    NearestOf(Efforts),
}

impl Fit {
    /// Whether a part of what the caller sent may be lost.
    pub fn removes(self) -> bool {
        !matches!(self, Self::Keep | Self::Rename(_))
    }
}

/// Words of effort, from the lowest to the highest.
pub const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A set of words of effort: bit `n` is `EFFORTS[n]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Efforts(pub u8);

impl Efforts {
    /// The words of the set, from the lowest to the highest.
    pub fn words(self) -> impl DoubleEndedIterator<Item = &'static str> {
        EFFORTS.iter().enumerate().filter(move |(index, _)| self.0 & (1 << index) != 0).map(|(_, word)| *word)
    }

    /// The highest word that is not above `asked`; the lowest word if there is none, or if `asked` is no word
    /// of effort. `None` for an empty set.
    pub fn nearest(self, asked: &str) -> Option<&'static str> {
        let rank = |word: &str| EFFORTS.iter().position(|known| *known == word);
        let not_above = self.words().rev().find(|word| rank(word) <= rank(asked));
        not_above.or_else(|| self.words().next())
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Kind::Flag`].
    Flag(bool),
    /// Of a [`Kind::Count`], or nano-dollars of a [`Kind::Dollars`].
    Count(u64),
    /// Of a [`Kind::Word`].
    Word(&'static str),
    /// Of a [`Kind::Words`]: bit `n` is the word at `n` of the kind's list.
    Words(u16),
    /// Of [`Kind::Names`].
    Names(&'static [&'static str]),
    /// Of a [`Kind::Fit`].
    Fit(Fit),
}

/// A field of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct FieldRow {
    /// The field.
    pub field: Field,
    /// Its name in the files.
    pub name: &'static str,
    /// The table that it belongs to.
    pub table: Table,
    /// What its value may be.
    pub kind: Kind,
}

/// Names that a part of a request may be renamed to.
pub(crate) const NEW_NAMES: &[&str] = &["system", "reasoning", "reasoning_content"];

const KEEP_OR_DROP: Kind = Kind::Fit(&[Verb::Keep, Verb::Drop]);
const EFFORT: Kind = Kind::Fit(&[Verb::Keep, Verb::Drop, Verb::NearestOf]);
const TOKENS: Kind = Kind::Count(u64::MAX);

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal, $table:ident, $kind:expr;)*) => {
        /// A field of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($(#[doc = $doc])+ $field),* }

        /// All fields, in the order of [`Field`].
        pub const FIELDS: &[FieldRow] = &[
            $(FieldRow { field: Field::$field, name: $name, table: Table::$table, kind: $kind }),*
        ];
    };
}

fields! {
    /// Names of the response's limit that the host honours; the gateway sets the first.
    LimitFields = "limit_fields", Hosts, Kind::Names;
    /// The role `developer`.
    DeveloperRole = "developer_role", Hosts, Kind::Fit(&[Verb::Keep, Verb::Rename]);
    /// The field `stream_options`, with which the gateway asks for usage.
    StreamOptions = "stream_options", Hosts, KEEP_OR_DROP;
    /// The caller's name for its user.
    User = "user", Hosts, Kind::Fit(&[Verb::Keep, Verb::Drop, Verb::Hash]);
    /// A user that is an e-mail address or a telephone number.
    PersonalUser = "personal_user", Hosts, Kind::Fit(&[Verb::Keep, Verb::Drop, Verb::Hash]);
    /// The name of a tool.
    ToolName = "tool_name", Hosts, Kind::Fit(&[Verb::Keep, Verb::Cut]);
    /// The id of a tool call and of its result.
    CallId = "call_id", Hosts, Kind::Fit(&[Verb::Keep, Verb::Hash]);
    /// Whether an id has exactly the length of `call_id`, of letters and digits alone.
    ExactCallId = "exact_call_id", Hosts, Kind::Flag;
    /// The list of texts that end a response.
    StopTexts = "stop_texts", Hosts, Kind::Fit(&[Verb::Keep, Verb::Cut]);
    /// Reasoning of earlier turns.
    ReasoningContent = "reasoning_content", Hosts, Kind::Fit(&[Verb::Keep, Verb::Drop, Verb::Rename]);
    /// `strict` of a tool.
    StrictTools = "strict_tools", Hosts, KEEP_OR_DROP;
    /// Probabilities of tokens.
    Logprobs = "logprobs", Hosts, KEEP_OR_DROP;
    /// The currency of `usage.cost`, if the host reports what it charges; `usd_if_detailed`: US dollars where
    /// the report has a form whose documentation says so.
    ReportsCost = "reports_cost", Hosts, Kind::Word(&["usd", "usd_if_detailed", "none"]);
    /// The price of a search that the provider runs itself.
    SearchFee = "search_fee", Hosts, Kind::Dollars;

    /// The APIs of its host that take the model, where a host has two at one address.
    Endpoints = "endpoints", Models, Kind::Words(&["chat", "responses"]);
    /// The context window, prompt and output together, in tokens.
    Context = "context", Models, TOKENS;
    /// The longest output, in tokens.
    MaxOutput = "max_output", Models, TOKENS;
    /// Output speed, in tokens per second.
    TokensPerSecond = "tokens_per_second", Models, Kind::Count(10_000);
    /// The model's tokenizer.
    Encoding = "encoding", Models, Kind::Word(&["o200k", "cl100k"]);
    /// The nearest tokenizer, if the model's own is not one of the gateway's.
    NearEncoding = "near_encoding", Models, Kind::Word(&["o200k", "cl100k"]);
    /// Kinds of input.
    Input = "input_kinds", Models, Kind::Words(&["text", "image", "audio", "video", "pdf"]);
    /// Whether it calls tools.
    Tools = "tools", Models, Kind::Flag;
    /// Whether its output can be bound to a JSON Schema.
    StructuredOutput = "structured_output", Models, Kind::Flag;
    /// The name of the response's limit that the model demands where the host's names are not known.
    DemandedLimit = "limit_field", Models, Kind::Word(&["max_tokens", "max_completion_tokens"]);
    /// Whether the model reasons before it responds, so that a limit has to leave room for it.
    Thinks = "thinks", Models, Kind::Flag;
    /// How reasoning can be asked for: a word of effort, a budget in tokens, or as much as the model finds
    /// right.
    Thinking = "thinking", Models, Kind::Words(&["effort", "budget", "adaptive"]);
    /// The smallest budget for reasoning, in tokens; a model without a word `none` cannot go below it.
    LeastBudget = "least_budget", Models, TOKENS;
    /// The words of effort.
    ReasoningEffort = "reasoning_effort", Models, EFFORT;
    /// The words of effort in a request with tools, if they differ.
    ReasoningEffortWithTools = "reasoning_effort_with_tools", Models, EFFORT;
    /// The word of effort that the model assumes.
    DefaultEffort = "default_effort", Models, Kind::Word(EFFORTS);
    /// `temperature`, of a request that reasons.
    Temperature = "temperature", Models, KEEP_OR_DROP;
    /// `top_p`, of a request that reasons.
    TopP = "top_p", Models, KEEP_OR_DROP;
    /// `top_k`, of a request that reasons.
    TopK = "top_k", Models, KEEP_OR_DROP;
    /// `presence_penalty`, of a request that reasons.
    PresencePenalty = "presence_penalty", Models, KEEP_OR_DROP;
    /// `frequency_penalty`, of a request that reasons.
    FrequencyPenalty = "frequency_penalty", Models, KEEP_OR_DROP;
    /// `stop`.
    Stop = "stop", Models, KEEP_OR_DROP;
    /// Settings of sampling in a request whose effort is `none`.
    SamplingAtNone = "sampling_at_none", Models, KEEP_OR_DROP;
    /// `top_p` beside `temperature`.
    TopPWithTemperature = "top_p_with_temperature", Models, KEEP_OR_DROP;
    /// How the model is given the beginning of its response, so that it goes on from it: as the last message,
    /// the assistant's, which may have to be marked by a member of this name; `no` if it cannot be.
    Prefill = "prefill", Models, Kind::Word(&["no", "assistant", "prefix", "partial"]);
}

/// The number of fields.
pub const FIELD_COUNT: usize = FIELDS.len();

impl Field {
    /// The position in [`FIELDS`].
    pub fn index(self) -> usize {
        // The variants of an enum without values count from 0.
        self as usize
    }
}

/// The field of a name.
pub fn find(name: &str) -> Option<&'static FieldRow> {
    FIELDS.iter().find(|row| row.name == name)
}

/// Reads the value of a field that is not a list of names.
///
/// # Errors
/// What was expected.
pub fn read(kind: Kind, yaml: &Yaml) -> Result<Value, String> {
    match kind {
        Kind::Flag => yaml.as_bool().map(Value::Flag).ok_or_else(|| "expected true or false".to_owned()),
        Kind::Count(most) => {
            let count = yaml.as_u64().filter(|count| (1..=most).contains(count));
            let bound = if most == u64::MAX { String::new() } else { format!(" and at most {most}") };
            count.map(Value::Count).ok_or_else(|| format!("expected a whole number, at least 1{bound}"))
        }
        Kind::Dollars => nanos(yaml).map(Value::Count).ok_or_else(|| "expected dollars, such as 0.01".to_owned()),
        Kind::Word(words) => word_of(words, yaml).map(Value::Word),
        Kind::Words(words) => bits(words, yaml).map(Value::Words),
        Kind::Names => Err("expected a list of names".to_owned()),
        Kind::Fit(verbs) => fit(verbs, yaml).map(Value::Fit),
    }
}

/// An amount in dollars, at most 1000, as nano-dollars.
fn nanos(yaml: &Yaml) -> Option<u64> {
    let dollars = yaml.as_f64().filter(|dollars| (0.0..=1e3).contains(dollars))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let nanos = (dollars * 1e9).round() as u64;
    Some(nanos)
}

fn word_of(words: &'static [&'static str], yaml: &Yaml) -> Result<&'static str, String> {
    let found = yaml.as_str().and_then(|word| words.iter().find(|known| **known == word));
    found.copied().ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

fn bits(words: &'static [&'static str], yaml: &Yaml) -> Result<u16, String> {
    let fault = || format!("expected a list of some of {}", words.join(", "));
    let mut set = 0;
    for item in yaml.as_sequence().ok_or_else(fault)? {
        let word = word_of(words, item)?;
        let index = words.iter().position(|known| *known == word).ok_or_else(fault)?;
        set |= 1 << index;
    }
    Ok(set)
}

fn fit(verbs: &[Verb], yaml: &Yaml) -> Result<Fit, String> {
    let (word, argument) = match yaml {
        Yaml::String(word) => (word.as_str(), None),
        Yaml::Mapping(mapping) if mapping.len() == 1 => {
            let entry = mapping.iter().next().and_then(|(key, value)| Some((key.as_str()?, Some(value))));
            entry.ok_or_else(|| expected(verbs))?
        }
        _ => return Err(expected(verbs)),
    };
    let length = || argument.and_then(Yaml::as_u64).filter(|length| *length > 0);
    let read = match (word, argument) {
        ("keep", None) => Some((Verb::Keep, Fit::Keep)),
        ("drop", None) => Some((Verb::Drop, Fit::Drop)),
        ("rename", Some(name)) => Some((Verb::Rename, Fit::Rename(word_of(NEW_NAMES, name)?))),
        ("cut", Some(_)) => length().map(|length| (Verb::Cut, Fit::Cut(length))),
        ("hash", Some(_)) => length().map(|length| (Verb::Hash, Fit::Hash(length))),
        ("nearest_of", Some(words)) => {
            let set = u8::try_from(bits(EFFORTS, words)?).ok().filter(|set| *set != 0);
            set.map(|set| (Verb::NearestOf, Fit::NearestOf(Efforts(set))))
        }
        _ => None,
    };
    let (_, fit) = read.filter(|(verb, _)| verbs.contains(verb)).ok_or_else(|| expected(verbs))?;
    Ok(fit)
}

fn expected(verbs: &[Verb]) -> String {
    let spelling = |verb: &Verb| match verb {
        Verb::Keep => "keep",
        Verb::Drop => "drop",
        Verb::Rename => "{ rename: name }",
        Verb::Cut => "{ cut: length }",
        Verb::Hash => "{ hash: length }",
        Verb::NearestOf => "{ nearest_of: [words of effort] }",
    };
    let spellings: Vec<&str> = verbs.iter().map(spelling).collect();
    format!("expected {}", spellings.join(", or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, text: &str) -> Result<Value, String> {
        read(find(name).unwrap().kind, &serde_yaml::from_str(text).unwrap())
    }

    #[test]
    fn a_value_is_one_of_its_kind() {
        let efforts = |text: &str| match read_as("reasoning_effort", text) {
            Ok(Value::Fit(Fit::NearestOf(efforts))) => efforts.words().collect(),
            other => panic!("{other:?}"),
        };
        let words: Vec<&str> = efforts("{ nearest_of: [high, none] }");
        assert_eq!(words, ["none", "high"]);
        for (name, text, value) in [
            ("thinks", "true", Value::Flag(true)),
            ("context", "5", Value::Count(5)),
            ("encoding", "o200k", Value::Word("o200k")),
            ("thinking", "[]", Value::Words(0)),
            ("thinking", "[budget, adaptive]", Value::Words(0b110)),
            ("user", "keep", Value::Fit(Fit::Keep)),
            ("user", "{ hash: 64 }", Value::Fit(Fit::Hash(64))),
            ("stop_texts", "{ cut: 4 }", Value::Fit(Fit::Cut(4))),
            ("developer_role", "{ rename: system }", Value::Fit(Fit::Rename("system"))),
        ] {
            assert_eq!(read_as(name, text), Ok(value), "{name}: {text}");
        }
    }

    #[test]
    fn other_values_are_refused_with_what_was_expected() {
        for (name, text, expected) in [
            ("thinks", "1", "expected true or false"),
            ("context", "0", "expected a whole number, at least 1"),
            ("tokens_per_second", "10001", "expected a whole number, at least 1 and at most 10000"),
            ("encoding", "gpt2", "expected one of o200k, cl100k"),
            ("thinking", "budget", "expected a list of some of effort, budget, adaptive"),
            ("thinking", "[x]", "expected one of effort, budget, adaptive"),
            ("user", "{ cut: 3 }", "expected keep, or drop, or { hash: length }"),
            ("user", "{ hash: 0 }", "expected keep, or drop, or { hash: length }"),
            ("user", "hash", "expected keep, or drop, or { hash: length }"),
            ("reasoning_effort", "{ nearest_of: [] }", "expected keep, or drop, or { nearest_of: [words of effort] }"),
            ("developer_role", "{ rename: boss }", "expected one of system, reasoning, reasoning_content"),
        ] {
            assert_eq!(read_as(name, text), Err(expected.to_owned()), "{name}: {text}");
        }
        assert!(find("no_such_field").is_none());
    }

    #[test]
    fn an_effort_is_raised_only_where_there_is_no_lower_word() {
        let efforts = Efforts(0b010_1100);
        assert_eq!(efforts.words().collect::<Vec<_>>(), ["low", "medium", "xhigh"]);
        for (asked, sent) in [("none", "low"), ("low", "low"), ("high", "medium"), ("max", "xhigh"), ("?", "low")] {
            assert_eq!(efforts.nearest(asked), Some(sent), "{asked}");
        }
        assert_eq!(Efforts::default().nearest("low"), None);
    }
}
