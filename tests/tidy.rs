//! The house rules that no compiler or linter checks: dependencies between modules, module comments, sizes,
//! names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

#[path = "support/file_graph.rs"]
mod file_graph;
#[path = "support/literals.rs"]
mod literals;

use std::fs;
use std::path::{Path, PathBuf};

use file_graph::{FileGraph, circles, common_folder, graph_of, read_folder};
use literals::literals;

/// The modules, outermost first. A module may use modules of later bands, and itself.
const BANDS: &[&[&str]] = &[
    &["edge"],
    &["server"],
    &["admin"],
    &["gateway"],
    &["operations"],
    &["session", "policy", "ledger", "formats", "provider", "reasoning_store", "telemetry", "reports", "alerts"],
    &["canonical", "wire", "config", "tokens"],
    &["catalogue"],
    &["error", "ids"],
];

/// Within a band, the first of a pair may use the second.
const NEIGHBOURS: &[(&str, &str)] = &[
    ("formats", "provider"),
    ("telemetry", "ledger"),
    ("reports", "telemetry"),
    ("reports", "ledger"),
    ("alerts", "telemetry"),
];

const VENDORS: &[&str] =
    &["openai", "anthropic", "gemini", "deepseek", "groq", "mistral", "openrouter", "ollama", "closeai"];

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<(PathBuf, String)> {
    read_folder(&source_folder())
}

/// The crate of the tunnel is a world of its own: bands and vendors do not concern it.
fn tunnel_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tunnel/src")
}

/// The sources of both crates.
fn all_sources() -> Vec<(PathBuf, String)> {
    sources().into_iter().chain(read_folder(&tunnel_folder())).collect()
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn band(module: &str) -> Option<usize> {
    BANDS.iter().position(|modules| modules.contains(&module))
}

/// A file without the tests at its end.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn modules_use_only_modules_of_later_bands() {
    for (path, text) in sources() {
        let from = module_of(&path);
        let Some(own) = band(&from) else { continue };
        let used = code(&text).match_indices("crate::").map(|(at, _)| &text[at + "crate::".len()..]);
        for to in used.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()) {
            let Some(other) = band(to) else { continue };
            let neighbour = NEIGHBOURS.contains(&(from.as_str(), to));
            assert!(other > own || from == to || neighbour, "{} uses crate::{to}", path.display());
        }
    }
}

#[test]
fn files_form_no_circle() {
    let mut faults = String::new();
    for folder in [source_folder(), tunnel_folder()] {
        let graph = FileGraph::read(&folder, &read_folder(&folder), code);
        let arrows = graph.arrows();
        for circle in circles(&arrows) {
            faults += &format!("\nin {}:", folder.join(common_folder(&circle)).display());
            for from in &circle {
                let to: Vec<&str> = arrows[from].iter().filter(|to| circle.contains(to)).copied().collect();
                faults += &format!("\n  {from} -> {}", to.join(", "));
            }
        }
    }
    assert!(faults.is_empty(), "files form circles{faults}");
}

#[test]
fn the_graph_of_files_leads_to_where_an_item_is_defined() {
    let graph = graph_of(&[
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a/mod.rs", "mod x; pub mod y; pub use x::{X, deeper as renamed}; pub fn own() {}"),
        ("a/x.rs", "//! use super::y;\nuse super::y; const S: &str = \"super::own\"; fn f<'a>() { y::g(); }"),
        ("a/y.rs", "pub fn g() { let _ = '\"'; r#\"crate::b\"#; }"),
        ("b.rs", "use crate::a::{self, X}; use std::fmt; fn f(x: X) -> fmt::Result { a::renamed(crate::a::own()) }"),
    ]);
    let arrows = graph.arrows();
    let of = |file: &str| arrows[file].iter().copied().collect::<Vec<_>>();
    assert_eq!(of("a/mod.rs"), ["a/x.rs", "a/y.rs"]);
    assert_eq!(of("a/x.rs"), ["a/y.rs"]);
    assert_eq!(of("a/y.rs"), [""; 0]);
    assert_eq!(of("b.rs"), ["a/mod.rs", "a/x.rs"]);
    assert_eq!(circles(&arrows), [[""; 0]; 0]);
}

#[test]
fn a_child_that_imports_from_its_facade_forms_a_circle() {
    let graph = graph_of(&[
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod x; mod y; pub struct Own;"),
        ("a/x.rs", "use super::Own;"),
        ("a/y.rs", ""),
    ]);
    assert_eq!(circles(&graph.arrows()), [["a/mod.rs", "a/x.rs"]]);
}

#[test]
fn a_facade_declares_and_re_exports() {
    const ITEMS: &[&str] = &["fn ", "struct ", "enum ", "trait ", "const ", "static ", "type ", "impl", "macro_rules!"];
    for (path, text) in all_sources().iter().filter(|(path, _)| path.ends_with("mod.rs")) {
        for line in code(text).lines().map(str::trim_start) {
            let item = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
            let item = item.strip_prefix("pub ").unwrap_or(item);
            assert!(!ITEMS.iter().any(|word| item.starts_with(word)), "{}: {line}", path.display());
        }
    }
}

#[test]
fn the_tunnel_waits_in_its_shell_only() {
    for (path, text) in read_folder(&tunnel_folder()) {
        if !path.to_string_lossy().contains("src/edge/") {
            let waits = code(&text).contains("async ") || code(&text).contains(".await");
            assert!(!waits && !text.contains("js_sys") && !text.contains("wasm_bindgen"), "{}", path.display());
        }
    }
}

#[test]
fn nothing_below_the_gateway_waits() {
    for (path, text) in sources() {
        if band(&module_of(&path)) > band("gateway") {
            assert!(!text.contains("async ") && !text.contains(".await"), "{}", path.display());
        }
    }
}

#[test]
fn no_format_names_another() {
    let formats = ["openai", "anthropic", "gemini", "echo", "toy"];
    for (path, text) in sources() {
        let spelt = path.to_string_lossy().into_owned();
        for own in formats.iter().filter(|own| spelt.contains(&format!("formats/{own}"))) {
            for other in formats.iter().filter(|other| *other != own) {
                assert!(!code(&text).contains(&format!("formats::{other}")), "{spelt} names {other}");
            }
        }
    }
}

/// Words of requests and responses that formats spell differently: the gateway asks the format.
const FIELD_WORDS: &[&str] = &[
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "choices",
    "stream_options",
    "chat.completion",
    "service_tier",
    "contents",
];

#[test]
fn the_gateway_knows_no_format() {
    for (path, text) in sources() {
        if module_of(&path) != "gateway" {
            continue;
        }
        let code = code(&text);
        for word in FIELD_WORDS {
            let quoted = [format!("\"{word}\""), format!("`{word}`"), format!("\\\"{word}\\\"")];
            assert!(!quoted.iter().any(|quoted| code.contains(quoted)), "{}: the field `{word}`", path.display());
        }
        for format in ["openai", "anthropic", "gemini", "toy"] {
            assert!(!code.contains(&format!("formats::{format}")), "{}: the format {format}", path.display());
        }
        let chooses = code.matches("kind.name == ").count();
        let expected = usize::from(path.ends_with("gateway/attempt.rs"));
        assert_eq!(chooses, expected, "{}: formats are compared in `Mode::choose` only", path.display());
    }
}

#[test]
fn the_toy_format_is_in_builds_of_tests_only() {
    for (path, text) in sources().iter().filter(|(path, _)| !path.to_string_lossy().contains("formats/toy/")) {
        let lines: Vec<&str> = code(text).lines().map(str::trim).collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains("toy::") || pair[1].contains("mod toy")) {
            assert_eq!(pair[0], "#[cfg(feature = \"toy\")]", "{}: {}", path.display(), pair[1]);
        }
    }
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let (shipped, tests) = manifest.split_once("[dev-dependencies]").unwrap();
    let naming = |part: &str| part.lines().filter(|line| line.contains("toy") && !line.starts_with('#')).count();
    assert!(shipped.contains("\ntoy = []\n"), "no build but that of the tests may turn it on");
    assert_eq!(naming(shipped), 1, "no other feature may turn it on");
    assert!(tests.contains("\nllm-bridge = { path = \".\", features = [\"toy\"] }\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in all_sources() {
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn files_have_one_subject() {
    for (path, text) in all_sources() {
        let lines = if path.to_string_lossy().ends_with("tests.rs") { 0 } else { code(&text).lines().count() };
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

/// Folders with comments that are not wrapped yet. It may only shrink.
const UNWRAPPED_FOLDERS: &[&str] = &["src/formats", "tests/formats"];

#[test]
fn comments_are_wrapped_at_110_columns() {
    const WIDTH: usize = 110;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = String::new();
    for (path, text) in all_sources().into_iter().chain(read_folder(&root.join("tests"))) {
        let path = path.strip_prefix(root).unwrap();
        if UNWRAPPED_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            // A URL or an expression may be longer than a line.
            let can_be_wrapped = line.split_whitespace().all(|word| word.len() < 60);
            if line.trim_start().starts_with("//") && line.chars().count() > WIDTH && can_be_wrapped {
                faults += &format!("\n{}:{}", path.display(), number + 1);
            }
        }
    }
    assert!(faults.is_empty(), "comments are longer than {WIDTH} columns:{faults}");
}

#[test]
fn no_vendor_is_named_outside_the_formats() {
    for (path, text) in sources() {
        let code: String =
            code(&text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        // The name of a format's module does not count.
        let code = code.to_lowercase().replace("formats::openai", "");
        if module_of(&path) == "formats" {
            continue;
        }
        for vendor in VENDORS {
            assert!(!code.contains(vendor), "{} names {vendor}", path.display());
        }
    }
}

/// Literals that are no names of hosts or models: a file, and the literal. Formats have their makers' names,
/// and so have headers and fields of their protocols.
const PROTOCOL_WORDS: &[(&str, &str)] = &[
    ("formats/table.rs", "/openai"),
    ("formats/table.rs", "/anthropic"),
    ("formats/openai/format.rs", "openai"),
    ("formats/openai/assemble/completion.rs", "x_groq"),
    ("formats/openai/response/events.rs", "x_groq"),
    ("formats/anthropic/format.rs", "anthropic"),
    ("formats/anthropic/format.rs", "anthropic-version"),
    ("formats/anthropic/format.rs", "anthropic-beta"),
    ("formats/anthropic/request/write.rs", "anthropic-version"),
    ("formats/gemini/format.rs", "gemini"),
    ("formats/gemini/errors/write.rs", "type.googleapis.com/google.rpc.ErrorInfo"),
    ("formats/gemini/errors/write.rs", "type.googleapis.com/google.rpc.BadRequest"),
    ("formats/gemini/errors/write.rs", "type.googleapis.com/google.rpc.QuotaFailure"),
    ("formats/gemini/errors/write.rs", "type.googleapis.com/google.rpc.RetryInfo"),
];

/// The names of hosts, and the beginnings of models' names, that the catalogue knows.
fn catalogued_names() -> (Vec<String>, Vec<String>) {
    let catalogue: serde_yaml::Value = serde_yaml::from_str(include_str!("../configs/catalogue.yaml")).unwrap();
    let keys = |table: &str| catalogue[table].as_mapping().unwrap().clone();
    let text = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
    // `together` is also a word.
    let hosts = keys("hosts").keys().map(text).filter(|name| name != "together").collect();
    let mut models = Vec::new();
    for (pattern, row) in keys("models") {
        let aliases = row.get("aliases").and_then(|list| list.as_sequence().cloned()).unwrap_or_default();
        for name in aliases.iter().chain([&pattern]).map(text) {
            let start = name.trim_start_matches('*').split('*').next().unwrap().trim_end_matches('-').to_owned();
            models.extend((0..10).map(|digit: u8| start.replace('#', &digit.to_string())));
        }
    }
    models.dedup();
    (hosts, models)
}

/// Whether a text has a word, or a word that begins so.
fn names(text: &str, word: &str, is_whole: bool) -> bool {
    let text = text.to_lowercase();
    text.match_indices(word).any(|(at, _)| {
        let begins = !text[..at].ends_with(char::is_alphanumeric);
        let ends = !text[at + word.len()..].starts_with(char::is_alphanumeric);
        begins && (ends || !is_whole)
    })
}

#[test]
fn no_literal_names_a_model_or_a_host() {
    let (hosts, models) = catalogued_names();
    assert!(hosts.len() > 10 && models.iter().any(|name| name == "o3"), "{hosts:?} {models:?}");
    let mut unused = PROTOCOL_WORDS.to_vec();
    for (path, text) in sources() {
        if !["formats", "policy", "gateway"].contains(&&*module_of(&path)) || path.ends_with("tests.rs") {
            continue;
        }
        for literal in literals(code(&text)) {
            let is_named = hosts.iter().any(|name| names(literal, name, true))
                || models.iter().any(|name| names(literal, name, name.len() < 3));
            if !is_named {
                continue;
            }
            let allowed = PROTOCOL_WORDS.iter().find(|(file, word)| path.ends_with(file) && *word == literal);
            let allowed =
                allowed.unwrap_or_else(|| panic!("{}: \"{literal}\" belongs into the catalogue", path.display()));
            unused.retain(|word| word != allowed);
        }
    }
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn literals_are_found_between_comments_and_characters() {
    let code = "// \"a\"\nf('\"', \"b\", '\\'', \"c\\\"d\", r\"e\", br#\"f\"g\"#, for_r, '\\u{41}'); fn x<'a>(_: &'a str) -> \"h\"";
    assert_eq!(literals(code), ["b", "c\\\"d", "e", "f\"g", "h"]);
}

#[test]
fn the_changelog_has_a_place_for_what_is_new_and_names_the_version() {
    let changelog = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("## Unreleased"));
    let version = env!("CARGO_PKG_VERSION");
    assert!(changelog.contains(&format!("\n## {version}")), "CHANGELOG.md has no section for {version}");
}
