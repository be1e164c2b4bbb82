//! The JSON Schema of configuration files (`src/config/schema.rs`) says what the checker says: both know the
//! same keys everywhere, and each value that is put at each place is of the right type for both, or for
//! neither.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may insist")]

mod judge;

use std::collections::BTreeSet;
use std::fs;

use judge::Judge;
use llm_bridge::config::{self, Config, FormatKind};
use llm_bridge::formats::KINDS;
use serde_json::{Map, Value, json};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/config.schema.json");

/// Values of keys that a table demands, by the key's name.
fn sample(key: &str) -> Value {
    match key {
        "providers" => json!({ "p": { "base_url": "https://p.example/v1", "models": { "m": {} } } }),
        "models" => json!({ "m": {} }),
        "base_url" | "endpoint" => json!("https://p.example/v1"),
        "targets" => json!(["p/m"]),
        "model" => json!("p/m"),
        "env" => json!("P_API_KEY"),
        "path" => json!("logs"),
        "fallback" => json!("wnam"),
        "team_domain" => json!("team.cloudflareaccess.com"),
        "audience" => json!("a"),
        "input" | "output" | "above" => json!(1),
        key => panic!("a sample of `{key}`"),
    }
}

/// A place in a document: its path, in which `0` stands for the first item of a list.
type Path = Vec<String>;

/// A document with a value at a place, and what the checker needs in order to get there.
struct Place<'s> {
    document: Value,
    path: Path,
    schema: &'s Value,
}

impl<'s> Place<'s> {
    fn hole(&self) -> String {
        self.path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    }

    fn with(&self, value: Value) -> Value {
        let mut document = self.document.clone();
        *document.pointer_mut(&self.hole()).unwrap() = value;
        document
    }

    /// The place below this one, where this value has a part of this name.
    fn below(&self, container: Value, step: &str, schema: &'s Value) -> Place<'s> {
        let path = self.path.iter().cloned().chain([step.to_owned()]).collect();
        Place { document: self.with(container), path, schema }
    }
}

/// A mapping with what a table demands.
fn demanded(schema: &Value) -> Map<String, Value> {
    let keys = schema["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap());
    let mut table: Map<String, Value> = keys.map(|key| (key.to_owned(), sample(key))).collect();
    for key in schema["else"]["required"].as_array().into_iter().flatten().map(|key| key.as_str().unwrap()) {
        table.insert(key.to_owned(), sample(key));
    }
    table
}

/// Visits a place, each of its alternatives, and all places below.
fn walk<'s>(place: &Place<'s>, visit: &mut impl FnMut(&Place<'s>)) {
    visit(place);
    let ways: Vec<&Value> = place.schema["anyOf"].as_array().map_or(vec![place.schema], |ways| ways.iter().collect());
    // An argument of what is done to a field, such as { cut: 8 }, is no key of its own.
    for way in ways.into_iter().filter(|way| !is_of_catalogue(way)) {
        for (key, schema) in way["properties"].as_object().into_iter().flatten() {
            let mut table = demanded(way);
            table.entry(key).or_insert(Value::Null);
            walk(&place.below(table.into(), key, schema), visit);
        }
        if way["additionalProperties"].is_object() {
            // These names are known to other samples.
            let name = match place.path.last().map(String::as_str) {
                Some("providers") => "p",
                Some("models") => "m",
                _ => "x",
            };
            walk(&place.below(json!({ name: null }), name, &way["additionalProperties"]), visit);
        }
        if way["items"].is_object() {
            walk(&place.below(json!([null]), "0", &way["items"]), visit);
        }
    }
}

fn places(schema: &Value) -> Vec<Place<'_>> {
    let mut places = Vec::new();
    let root = Place { document: Value::Null, path: Vec::new(), schema };
    walk(&root, &mut |place| {
        let (document, path) = (place.document.clone(), place.path.clone());
        places.push(Place { document, path, schema: place.schema });
    });
    places
}

/// What the checker says of a document: each fault with its path.
fn told(document: &Value) -> Vec<(String, String)> {
    let text = serde_json::to_string(document).unwrap();
    let faults = Config::read(&text, KINDS).err().unwrap_or_default();
    faults.into_iter().map(|fault| (fault.path, fault.message)).collect()
}

/// The tables that a schema's alternatives are.
fn tables(schema: &Value) -> impl Iterator<Item = &Value> {
    let ways = schema["anyOf"].as_array().map_or_else(|| vec![schema], |ways| ways.iter().collect());
    ways.into_iter().filter(|way| way["properties"].is_object())
}

#[test]
fn both_know_the_same_keys() {
    let schema = config::schema(KINDS);
    let mut seen = 0;
    for place in places(&schema) {
        for table in tables(place.schema).filter(|table| !is_of_catalogue(table)) {
            let mut document = demanded(table);
            document.insert("zz".into(), json!(1));
            let told = told(&place.with(document.into()));
            let known = told.iter().find_map(|(_, fault)| fault.split_once("known here: "));
            let Some((_, known)) = known else { panic!("{:?}: {told:?}", place.path) };
            let known: BTreeSet<&str> = known.split(", ").collect();
            let keys: BTreeSet<&str> = table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, known, "{:?}", place.path);
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} tables");
}

fn is_of_catalogue(table: &Value) -> bool {
    ["rename", "cut", "hash", "nearest_of"].iter().any(|verb| table["properties"].get(verb).is_some())
}

/// Values of every type, some of which are also of the right kind somewhere.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(100_000),
        json!(1_000_000_000_000_u64),
        json!("zz"),
        json!("YES"),
        json!("0.25"),
        json!("none"),
        json!("*"),
        json!([]),
        json!([null]),
        json!(["zz"]),
        json!([1]),
        json!([-1]),
        json!([{}]),
        json!([[]]),
        json!({}),
        json!({ "zz": null }),
        json!({ "zz": "keep" }),
        json!({ "cut": 0 }),
    ]
}

/// How the checker speaks of a value of another type, out of range, of an unknown word, or of a key that is
/// unknown or missing. All else is about what values mean.
fn is_about_type(fault: &str) -> bool {
    let signs =
        [", found ", "unknown key", "is not known", "is missing", "expected at most", "expected one of", "known here"];
    // Names, which the schema does not know.
    let meant = ["no model is known", "no provider is named"];
    signs.iter().any(|sign| fault.contains(sign)) && !meant.iter().any(|sign| fault.contains(sign))
}

#[test]
fn both_refuse_the_same_types() {
    let (schema, judge) = (config::schema(KINDS), Judge::new());
    let (mut accepted, mut refused) = (0, 0);
    for place in places(&schema) {
        for value in values() {
            let document = place.with(value);
            let (told, judged) = (told(&document), judge.faults(&document));
            if let Some(judged) = &judged {
                assert!(!told.is_empty(), "only the schema refuses {document}: {judged}");
            }
            if told.iter().any(|(_, fault)| is_about_type(fault)) {
                assert!(judged.is_some(), "only the checker refuses {document}: {told:?}");
                refused += 1;
            }
            accepted += usize::from(told.is_empty());
        }
    }
    assert!(accepted > 300 && refused > 3_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn sound_files_are_valid() {
    let judge = Judge::new();
    for file in [include_str!("../configs/config.yaml"), include_str!("fixtures/python-bridge.yaml")] {
        assert!(Config::read(file, KINDS).is_ok());
        assert_eq!(judge.faults_of_text(file), None);
    }
}

#[test]
fn the_words_of_the_documentation_are_in_the_schema() {
    let page = include_str!("../docs/configuration.md");
    let mut schema = config::schema(KINDS);
    let unknown = config::describe(&mut schema, page);
    // Any field of a log line, and a variable among the secrets.
    let expected = ["logging.fields.FIELD"];
    assert_eq!(unknown, expected);
    let text = |path: &str| schema.pointer(path).unwrap()["description"].as_str().unwrap().to_owned();
    assert!(text("/properties/default_provider").starts_with("the provider of names without a provider"));
    let model = "/properties/providers/additionalProperties/properties/models/anyOf/1/additionalProperties";
    assert!(text(&format!("{model}/properties/max_tokens")).contains("a ceiling for the response"));
}

/// `make schema` writes it.
#[test]
fn the_written_schema_is_the_present_one() {
    // The toy format is there in tests only.
    let shipped: Vec<FormatKind> = KINDS.iter().filter(|kind| kind.name != "toy").copied().collect();
    let mut schema = config::schema(&shipped);
    config::describe(&mut schema, include_str!("../docs/configuration.md"));
    let written = fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == format!("{schema:#}\n"),
        "configs/config.schema.json is not the present schema: run make schema"
    );
    let first = include_str!("../configs/config.yaml").lines().next().unwrap();
    assert_eq!(first, "# yaml-language-server: $schema=config.schema.json");
}
