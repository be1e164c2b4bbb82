//! What is carried between formats, changed and dropped: `tests/fixtures/translation/table.yaml` claims it,
//! documents prove it, and the manual shows it. A claim without documents fails, and so do documents without
//! a claim.
//!
//! `BLESS=1` rewrites what the gateway makes of the documents (`*.written.json`) and the tables of the
//! manual; read the diff before keeping it.

mod answered;
mod asked;
mod page;

pub(crate) use answered::{events, framed, translated};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use llm_bridge::formats::{CHAT, ClientFormat, MESSAGES};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Got, Script, World, ask, bridge};

/// The formats of clients, in the order of the table, each with its endpoint.
const CLIENTS: &[(&ClientFormat, &str)] = &[(CHAT, "POST /v1/chat/completions"), (MESSAGES, "POST /v1/messages")];

/// The model of each provider, unless the documents name another.
const MODELS: &[(&str, &str)] =
    &[("openai", "gpt-4o"), ("anthropic", "claude-haiku-4-5"), ("gemini", "gemini-2.5-flash")];

const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("OPENAI_API_KEY", "key-of-openai"),
    ("ANTHROPIC_API_KEY", "key-of-anthropic"),
    ("GEMINI_API_KEY", "key-of-gemini"),
];

/// The table of claims.
#[derive(Deserialize)]
struct Table {
    /// Claims about requests.
    asked: Vec<Row>,
    /// Claims about responses.
    answered: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    feature: String,
    /// The feature in Chinese.
    zh: String,
    /// The name of its documents.
    documents: String,
    /// By the client's format, then by the provider's. A format without the feature is missing.
    #[serde(default)]
    openai: BTreeMap<String, Cell>,
    #[serde(default)]
    anthropic: BTreeMap<String, Cell>,
}

/// What happens to a feature between two formats.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cell {
    /// It is carried with its meaning.
    Carried,
    /// It becomes something similar.
    Changed(String),
    /// It becomes something similar, and is named as dropped.
    Named { note: String, names: Vec<String> },
    /// It is dropped, and named.
    Dropped(Vec<String>),
    /// It is dropped, without loss.
    Needless(String),
    /// In responses: it is left out.
    Lost(String),
}

impl Cell {
    fn note(&self) -> Option<&str> {
        match self {
            Self::Carried | Self::Dropped(_) => None,
            Self::Changed(note) | Self::Needless(note) | Self::Lost(note) | Self::Named { note, .. } => Some(note),
        }
    }

    /// The fields that are named as dropped.
    fn names(&self) -> &[String] {
        match self {
            Self::Dropped(names) | Self::Named { names, .. } => names,
            _ => &[],
        }
    }
}

impl Row {
    fn of(&self, client: &str) -> &BTreeMap<String, Cell> {
        if client == CHAT.name { &self.openai } else { &self.anthropic }
    }

    /// Each claim between two formats: the client's, the provider's, and the outcome.
    fn claims(&self) -> impl Iterator<Item = (&'static str, &str, &Cell)> {
        CLIENTS.iter().flat_map(|(client, _)| {
            self.of(client.name).iter().map(|(upstream, cell)| (client.name, upstream.as_str(), cell))
        })
    }
}

/// A pair of formats, as documents name it.
fn pair(client: &str, upstream: &str) -> String {
    format!("{client} client, {upstream} provider")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/translation")
}

fn table() -> Table {
    let text = std::fs::read_to_string(folder().join("table.yaml")).unwrap();
    let value: Value = serde_yaml::from_str(&text).unwrap_or_else(|fault| panic!("table.yaml: {fault}"));
    serde_json::from_value(value).unwrap_or_else(|fault| panic!("table.yaml: {fault}"))
}

fn blesses() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// The documents of one row, and what was written of them, which `BLESS=1` replaces.
struct Documents {
    given: Value,
    path: PathBuf,
    written: Map<String, Value>,
    /// The pairs for which a claim was checked.
    claimed: BTreeSet<String>,
}

impl Documents {
    fn read(kind: &str, name: &str) -> Self {
        let file = folder().join(kind).join(format!("{name}.json"));
        let text = std::fs::read(&file).unwrap_or_else(|_| panic!("{kind}/{name}: a claim has no documents"));
        let given = serde_json::from_slice(&text).unwrap_or_else(|fault| panic!("{kind}/{name}: {fault}"));
        let path = folder().join(kind).join(format!("{name}.written.json"));
        let written = std::fs::read(&path).map_or_else(|_| Map::new(), |text| serde_json::from_slice(&text).unwrap());
        Self { given, path, written, claimed: BTreeSet::new() }
    }

    fn model(&self, upstream: &str) -> &str {
        let usual = MODELS.iter().find(|(name, _)| *name == upstream).unwrap().1;
        self.given["models"][upstream].as_str().unwrap_or(usual)
    }

    /// The same without the edits of the operator's row.
    fn unedited(&self) -> Self {
        let mut given = self.given.clone();
        given.as_object_mut().unwrap().remove("rows");
        Self { given, path: PathBuf::new(), written: Map::new(), claimed: BTreeSet::new() }
    }

    /// Compares with what was written before, or replaces it.
    fn compare(&mut self, pair: &str, now: Value) {
        self.claimed.insert(pair.to_owned());
        if blesses() {
            self.written.insert(pair.to_owned(), now);
            return;
        }
        let before =
            self.written.get(pair).unwrap_or_else(|| panic!("{}: {pair} has no document", self.path.display()));
        assert_eq!(before, &now, "{}: {pair}\n{now:#}", self.path.display());
    }

    /// Demands that all claims were checked.
    fn close(mut self) {
        if blesses() {
            self.written.retain(|pair, _| self.claimed.contains(pair));
            let text = serde_json::to_string_pretty(&self.written).unwrap();
            std::fs::write(&self.path, text + "\n").unwrap();
        }
        let told: BTreeSet<String> = self.written.keys().cloned().collect();
        assert_eq!(told, self.claimed, "{}: documents without a claim", self.path.display());
    }
}

/// A request of a client of one format.
struct Sent<'s> {
    client: &'s str,
    headers: &'s [(&'s str, &'s str)],
    body: &'s [u8],
}

/// Sends one request through the whole gateway; the provider answers with `script`.
fn through(documents: &Documents, sent: &Sent<'_>, upstream: &str, script: Script) -> (Got, World) {
    let model = documents.model(upstream);
    let mut row = json!({ "max_output": 8192 });
    if let Some(more) = documents.given["rows"][upstream].as_object() {
        row.as_object_mut().unwrap().extend(more.clone());
    }
    let config = json!({ "providers": { upstream: {
        "adapter": upstream, "base_url": format!("https://{upstream}.example/v1"), "keep_alive": 0, "models": { model: row }
    } } });
    let (_, line) = CLIENTS.iter().find(|(known, _)| known.name == sent.client).unwrap();
    let mut all = vec![("authorization", "Bearer k")];
    all.extend_from_slice(sent.headers);
    let world = World::saying(script);
    let got = ask(&bridge(&config.to_string(), SECRETS), &world, line, &all, std::str::from_utf8(sent.body).unwrap());
    (got, world)
}

#[test]
fn every_document_belongs_to_a_claim_and_no_claim_is_made_twice() {
    let table = table();
    for (kind, rows) in [("asked", &table.asked), ("answered", &table.answered)] {
        let claimed: Vec<&str> = rows.iter().map(|row| row.documents.as_str()).collect();
        let once: BTreeSet<&str> = claimed.iter().copied().collect();
        assert_eq!(claimed.len(), once.len(), "{kind}: documents of two rows");
        for entry in std::fs::read_dir(folder().join(kind)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let stem = name.strip_suffix(".json").unwrap().trim_end_matches(".written").to_owned();
            assert!(once.contains(stem.as_str()), "{kind}/{name}: no row claims it");
        }
        for row in rows {
            for (client, upstream, _) in row.claims() {
                assert_ne!(client, upstream, "{}: bytes that are not translated need no claim", row.feature);
            }
        }
    }
}
