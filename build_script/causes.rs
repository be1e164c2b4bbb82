//! The table of causes: what errors of providers mean.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::cause::{FailureClass, FailureScope};
use crate::source::{self, Evidence, Result, Source, item};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: BTreeMap<String, Source>,
    fields: Fields,
    headers: Headers,
    cues: Vec<Cue>,
    limits: Vec<Limit>,
    causes: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    words: Vec<String>,
    texts: Vec<String>,
    inside: Vec<String>,
    waits: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Headers {
    words: Vec<String>,
    waits: Vec<Name>,
    hints: Vec<String>,
    limits: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    name: String,
    unit: Unit,
}

#[derive(Deserialize, Clone, Copy, Debug)]
enum Unit {
    #[serde(rename = "ms")]
    Millis,
    #[serde(rename = "s")]
    Seconds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cue {
    words: String,
    #[serde(default)]
    hours_ahead: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    state: String,
    #[serde(default)]
    exhausted: String,
    #[serde(default)]
    reset: String,
    window: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    host: OneOrMany<String>,
    #[serde(default)]
    status: OneOrMany<Status>,
    #[serde(default)]
    word: OneOrMany<String>,
    #[serde(default)]
    text: OneOrMany<String>,
    class: String,
    scope: Option<String>,
    wait: Option<u64>,
    at_least: Option<u64>,
    source: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    fn all(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// A status, or a range of statuses such as `500-599`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    One(u16),
    Range(String),
}

impl Status {
    fn range(&self) -> Result<(u16, u16)> {
        match self {
            Self::One(status) => Ok((*status, *status)),
            Self::Range(text) => {
                let range = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
                range.ok_or_else(|| format!("status: `{text}` is no range, such as 500-599"))
            }
        }
    }
}

/// A row, checked.
struct Checked {
    hosts: BTreeSet<String>,
    statuses: Vec<(u16, u16)>,
    words: Vec<String>,
    texts: Vec<String>,
    class: FailureClass,
    scope: FailureScope,
    text: String,
}

/// Builds the table. `hosts`: the names of the catalogue's hosts, each with those that extend it.
pub fn build(path: &str, hosts: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let file: File = source::read(path)?;
    let mut rows: Vec<Checked> = Vec::new();
    for (index, row) in file.causes.iter().enumerate() {
        let fault = |fault: String| format!("causes[{index}] ({}): {fault}", row.label());
        let checked = row.check(&file.sources, hosts).map_err(fault)?;
        checked.check_quotes().map_err(fault)?;
        if rows.last().is_some_and(|last| last.exactness() < checked.exactness()) {
            return Err(fault(ORDER.to_owned()));
        }
        if let Some(earlier) = rows.iter().position(|earlier| earlier.covers(&checked)) {
            return Err(fault(format!("can never count: causes[{earlier}] precedes it")));
        }
        rows.push(checked);
    }
    let used = file.causes.iter().map(|row| row.source.clone()).collect();
    let mut out = source::statics(&file.sources, &used)?;
    let rows: Vec<String> = rows.into_iter().map(|row| row.text).collect();
    out += &format!("static CAUSES: &[CauseRow] = &[{}];\n", rows.join(",\n"));
    out += &file.names();
    source::write("causes.rs", &out)
}

/// The order of the rows.
const ORDER: &str = "more exact rows stand first: those with words and a host, those with words, those with a \
                     host, those with a status only";

impl File {
    /// The names of fields and headers.
    fn names(&self) -> String {
        let waits = |names: &[Name]| {
            let item = |Name { name, unit }: &Name| format!("WaitName {{ name: {name:?}, unit: WaitUnit::{unit:?} }}");
            names.iter().map(item).collect::<Vec<_>>().join(", ")
        };
        let cue = |Cue { words, hours_ahead }: &Cue| {
            format!("WaitCue {{ words: {:?}, hours_ahead: {hours_ahead} }}", words.to_lowercase())
        };
        let limit = |Limit { state, exhausted, reset, window }: &Limit| {
            let window = window.map(|seconds| seconds * 1000);
            format!(
                "LimitHeaders {{ state: {state:?}, exhausted: {exhausted:?}, reset: {reset:?}, window: {window:?} }}"
            )
        };
        let cues: Vec<String> = self.cues.iter().map(cue).collect();
        let limits: Vec<String> = self.limits.iter().map(limit).collect();
        [
            format!("static WORD_FIELDS: &[&str] = &{:?};", self.fields.words),
            format!("static TEXT_FIELDS: &[&str] = &{:?};", self.fields.texts),
            format!("static CONTAINER_FIELDS: &[&str] = &{:?};", self.fields.inside),
            format!("static WORD_HEADERS: &[&str] = &{:?};", self.headers.words),
            format!("static HINT_HEADERS: &[&str] = &{:?};", self.headers.hints),
            format!("static LIMIT_HEADERS: &[&str] = &{:?};", self.headers.limits),
            format!("static WAIT_FIELDS: &[WaitName] = &[{}];", waits(&self.fields.waits)),
            format!("static WAIT_HEADERS: &[WaitName] = &[{}];", waits(&self.headers.waits)),
            format!("static WAIT_CUES: &[WaitCue] = &[{}];", cues.join(", ")),
            format!("static LIMITS: &[LimitHeaders] = &[{}];", limits.join(", ")),
        ]
        .join("\n")
    }
}

impl Row {
    fn label(&self) -> String {
        let words: Vec<&str> = self.word.all().iter().chain(self.text.all()).map(String::as_str).collect();
        format!("{} {}", self.class, words.join(", "))
    }

    fn check(&self, sources: &BTreeMap<String, Source>, known: &BTreeMap<String, Vec<String>>) -> Result<Checked> {
        let class = FailureClass::named(&self.class).ok_or_else(|| format!("`{}` is no class", self.class))?;
        let scope = match &self.scope {
            Some(name) => FailureScope::named(name).ok_or_else(|| format!("`{name}` is no scope"))?,
            None => class.usual_scope(),
        };
        let source = sources.get(&self.source).ok_or_else(|| format!("sources.{} does not exist", self.source))?;
        if source.evidence == Evidence::Guessed && !matches!(scope, FailureScope::Request | FailureScope::Model) {
            return Err("a guess may not concern more than one model".to_owned());
        }
        let mut hosts = BTreeSet::new();
        for name in self.host.all() {
            let family = known.get(name).ok_or_else(|| format!("host: the catalogue has no `{name}`"))?;
            hosts.extend(family.iter().cloned());
        }
        let statuses = self.status.all().iter().map(Status::range).collect::<Result<Vec<_>>>()?;
        let lower = |texts: &OneOrMany<String>| texts.all().iter().map(|text| text.to_lowercase()).collect();
        let (words, texts): (Vec<String>, Vec<String>) = (lower(&self.word), lower(&self.text));
        let [wait, at_least] = [self.wait, self.at_least].map(|seconds| seconds.map(|seconds| seconds * 1000));
        let text = format!(
            "CauseRow {{ hosts: &{hosts:?}, statuses: &{statuses:?}, words: &{words:?}, texts: &{texts:?}, \
             class: FailureClass::{class:?}, scope: FailureScope::{scope:?}, wait: {wait:?}, at_least: {at_least:?}, \
             source: &{} }}",
            item("SOURCE", &self.source)
        );
        // A set prints with braces.
        let set: Vec<&String> = hosts.iter().collect();
        let text = text.replacen(&format!("&{hosts:?}"), &format!("&{set:?}"), 1);
        Ok(Checked { hosts, statuses, words, texts, class, scope, text })
    }
}

/// Statuses of responses that may quote the request.
const QUOTING: &[u16] = &[400, 403, 404, 405, 409, 413, 415, 422];

impl Checked {
    fn exactness(&self) -> u8 {
        let has_words = !(self.words.is_empty() && self.texts.is_empty());
        u8::from(has_words) * 2 + u8::from(!self.hosts.is_empty())
    }

    /// Checks that a caller cannot bring a key or an account down by what it sends: a message that may quote
    /// the request has to match from its beginning, unless it concerns nobody else.
    fn check_quotes(&self) -> Result<()> {
        let is_harmless = matches!(self.scope, FailureScope::Request | FailureScope::Model)
            || matches!(self.class, FailureClass::Region);
        let is_quoting = |status: &u16| self.statuses.iter().any(|(first, last)| (*first..=*last).contains(status));
        let may_quote = self.statuses.is_empty() || QUOTING.iter().any(is_quoting);
        match self.texts.iter().find(|text| text.starts_with('*')) {
            Some(text) if !is_harmless && may_quote && self.words.is_empty() => {
                Err(format!("text: `{text}` may stand in what a caller sent; let it begin the message"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it holds for all that another row holds for.
    fn covers(&self, other: &Self) -> bool {
        let hosts = self.hosts.is_empty() || !other.hosts.is_empty() && other.hosts.is_subset(&self.hosts);
        let within = |(first, last): &(u16, u16)| self.statuses.iter().any(|(a, b)| a <= first && last <= b);
        let statuses = self.statuses.is_empty() || !other.statuses.is_empty() && other.statuses.iter().all(within);
        hosts && statuses && all_fit(&self.words, &other.words) && all_fit(&self.texts, &other.texts)
    }
}

/// Whether what fits one of the `narrow` patterns fits one of the `wide` ones. A pattern is taken for a text: a
/// `*` fits only where the wide one has one.
fn all_fit(wide: &[String], narrow: &[String]) -> bool {
    let fits = |narrow: &String| wide.iter().any(|wide| crate::pattern::matches(wide, narrow));
    wide.is_empty() || !narrow.is_empty() && narrow.iter().all(fits)
}
