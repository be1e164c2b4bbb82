//! What is carried between formats, changed and dropped: `tests/fixtures/translation/table.yaml` claims it,
//! documents prove it, and the manual shows it. A claim without documents fails, and so do documents without
//! a claim.
//!
//! `BLESS=1` rewrites what the gateway makes of the documents (`*.written.json`) and the tables of the
//! manual; read the diff before keeping it.

mod answered;
mod asked;
mod clients;
mod meaning;
mod page;
mod streams;

pub(crate) use streams::{events, framed, translated};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::support::{Got, Script, World, ask, bridge};
use clients::{Asked, CLIENTS};

/// The model of each provider, unless the documents name another.
const MODELS: &[(&str, &str)] = &[
    ("openai", "gpt-4o"),
    ("anthropic", "claude-haiku-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("responses", "gpt-5.1"),
];

const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("OPENAI_API_KEY", "key-of-openai"),
    ("ANTHROPIC_API_KEY", "key-of-anthropic"),
    ("GEMINI_API_KEY", "key-of-gemini"),
    ("RESPONSES_API_KEY", "key-of-responses"),
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
struct Row {
    feature: String,
    /// The feature in Chinese.
    zh: String,
    /// The name of its documents.
    documents: String,
    /// By the client's format, then by the provider's. A format without the feature is missing.
    #[serde(flatten)]
    cells: BTreeMap<String, BTreeMap<String, Cell>>,
}

static NO_CELLS: BTreeMap<String, Cell> = BTreeMap::new();

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
    /// The request is refused, because the provider cannot do without it: the field that the error names.
    Refused(String),
    /// In responses: it is left out.
    Lost(String),
}

impl Cell {
    fn note(&self) -> Option<&str> {
        match self {
            Self::Carried | Self::Dropped(_) | Self::Refused(_) => None,
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
        self.cells.get(client).unwrap_or(&NO_CELLS)
    }

    /// Each claim between two formats: the client's, the provider's, and the outcome.
    fn claims(&self) -> impl Iterator<Item = (&'static str, &str, &Cell)> {
        CLIENTS
            .iter()
            .map(|client| client.format.name)
            .flat_map(|client| self.of(client).iter().map(move |(upstream, cell)| (client, upstream.as_str(), cell)))
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

/// Sends one request through the whole gateway; the provider answers with `script`.
fn through(
    documents: &Documents,
    asked: &Asked,
    headers: &[(&str, &str)],
    upstream: &str,
    script: Script,
) -> (Got, World) {
    let model = documents.model(upstream);
    let mut row = json!({ "max_output": 8192 });
    if let Some(more) = documents.given["rows"][upstream].as_object() {
        row.as_object_mut().unwrap().extend(more.clone());
    }
    let config = json!({ "providers": { upstream: {
        "adapter": upstream, "base_url": format!("https://{upstream}.example/v1"), "keep_alive": 0, "models": { model: row }
    } } });
    let mut all = vec![("authorization", "Bearer k")];
    all.extend_from_slice(headers);
    let (world, body) = (World::saying(script), std::str::from_utf8(&asked.body).unwrap());
    let got = ask(&bridge(&config.to_string(), SECRETS), &world, &asked.line, &all, body);
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
            for client in row.cells.keys() {
                assert!(CLIENTS.iter().any(|known| known.format.name == client), "{}: {client}", row.feature);
            }
            for (client, upstream, cell) in row.claims() {
                let needs_claim = client != upstream || matches!(cell, Cell::Refused(_));
                assert!(needs_claim, "{}: bytes that are not translated need no claim", row.feature);
            }
        }
    }
}
