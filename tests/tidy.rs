//! The house rules that a compiler does not know: arrows between rooms, captions, sizes, names.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

use std::fs;
use std::path::{Path, PathBuf};

/// Outermost first: a room may use those of later bands, and itself.
const BANDS: &[&[&str]] = &[
    &["edge"],
    &["server"],
    &["admin"],
    &["gateway"],
    &["session", "policy", "ledger", "formats", "provider", "reasoning_store"],
    &["canonical", "wire", "config", "tokens"],
    &["error"],
];

/// Between rooms of one band only these; the first may use the second.
const NEIGHBOURS: &[(&str, &str)] = &[("formats", "provider")];

const VENDORS: &[&str] =
    &["openai", "anthropic", "gemini", "deepseek", "groq", "mistral", "openrouter", "ollama", "closeai"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn band(room: &str) -> Option<usize> {
    BANDS.iter().position(|rooms| rooms.contains(&room))
}

/// Without the tests at its foot.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap()
}

#[test]
fn arrows_go_one_way() {
    for (path, text) in sources() {
        let from = room(&path);
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
fn nothing_below_the_gateway_waits() {
    for (path, text) in sources() {
        if band(&room(&path)) > band("gateway") {
            assert!(!text.contains("async ") && !text.contains(".await"), "{}", path.display());
        }
    }
}

#[test]
fn no_format_names_another() {
    let formats = ["openai", "anthropic", "gemini", "echo"];
    for (path, text) in sources() {
        let spelt = path.to_string_lossy().into_owned();
        for own in formats.iter().filter(|own| spelt.contains(&format!("formats/{own}"))) {
            for other in formats.iter().filter(|other| *other != own) {
                assert!(!code(&text).contains(&format!("formats::{other}")), "{spelt} names {other}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn files_have_one_subject() {
    for (path, text) in sources() {
        let lines = if path.ends_with("tests.rs") { 0 } else { code(&text).lines().count() };
        assert!(lines <= 400, "{} has {lines} lines", path.display());
    }
}

#[test]
fn no_vendor_is_named_outside_the_formats() {
    for (path, text) in sources() {
        let code: String =
            code(&text).lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        // Naming an adapter's module is no knowledge of a vendor.
        let code = code.to_lowercase().replace("formats::openai", "");
        if room(&path) == "formats" {
            continue;
        }
        for vendor in VENDORS {
            assert!(!code.contains(vendor), "{} names {vendor}", path.display());
        }
    }
}

#[test]
fn the_changelog_has_a_place_for_what_is_new() {
    let changelog = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("## Unreleased"));
}
