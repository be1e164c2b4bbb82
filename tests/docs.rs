//! The documentation is complete and its links work. Its examples run in
//! `tests/workerd/documentation.test.mjs` and `tests/python/test_documentation.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may insist"
)]

mod judge;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use judge::Judge;
use llm_bridge::config::Config;
use llm_bridge::formats::KINDS;

const FRONT_PAGES: &[&str] = &["README.md", "docs/README-zh-CN.md"];
const FRONT_PAGE_LINES: usize = 150;
const FRONT_PAGE_BYTES: usize = 8 * 1024;
const PAGE_LINES: usize = 200;
const ARCHITECTURE_LINES: usize = 250;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Files in `folder` whose names end in `extension`, as paths from the root.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let names = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    names.map(|path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned()).collect()
}

fn pages() -> Vec<String> {
    [files("", "md"), files("docs", "md"), vec!["tests/README.md".to_owned()]].concat()
}

/// Source files below `src`, without the tests at their feet.
fn sources() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("tests.rs") {
                let text = fs::read_to_string(path).unwrap();
                found.push(text.split("#[cfg(test)]").next().unwrap().to_owned());
            }
        }
    }
    found
}

/// A page without its fenced code.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

fn fenced(page: &str, language: &str) -> Vec<String> {
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n"))).map(str::to_owned).collect()
}

/// Lines that somebody wrote: those of generated tables do not count.
fn written_lines(page: &str) -> usize {
    let mut generated = false;
    let written = page.lines().filter(|line| {
        generated =
            (generated || line.starts_with("<!-- ") && line.contains("made by")) && !line.starts_with("<!-- end");
        !generated
    });
    written.count()
}

#[test]
fn front_pages_are_short() {
    for file in FRONT_PAGES {
        let page = read(file);
        assert!(page.lines().count() <= FRONT_PAGE_LINES, "{file} has {} lines", page.lines().count());
        assert!(page.len() <= FRONT_PAGE_BYTES, "{file} has {} bytes", page.len());
    }
}

#[test]
fn front_pages_name_the_two_commands() {
    for file in FRONT_PAGES {
        let shell = fenced(&read(file), "sh").concat();
        assert!(shell.contains("make dev "), "{file}: make dev");
        assert!(shell.contains("make test "), "{file}: make test");
    }
}

#[test]
fn pages_are_short() {
    for file in files("docs", "md") {
        let page = read(&file);
        if !page.contains("Do not edit: run it again.") {
            assert!(written_lines(&page) <= PAGE_LINES, "{file} has {} lines", written_lines(&page));
        }
    }
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= ARCHITECTURE_LINES, "ARCHITECTURE.md has {lines} lines");
}

#[test]
fn every_page_is_in_the_index() {
    let index = read("docs/README.md");
    for file in files("docs", "md") {
        let name = file.trim_start_matches("docs/");
        let is_index = name.starts_with("README");
        assert!(is_index || index.contains(&format!("({name})")), "docs/README.md does not list {name}");
    }
}

/// The targets of a page's links, without those to other hosts.
fn links(page: &str) -> Vec<String> {
    let text = prose(page);
    let targets = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned());
    targets.filter(|target| !target.contains("://") && !target.is_empty()).collect()
}

/// A heading's anchor, as GitHub forms it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    prose(page).lines().filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn links_and_anchors_exist() {
    for file in pages() {
        for link in links(&read(&file)) {
            let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&file).parent().unwrap();
            let target: PathBuf = if path.is_empty() { root().join(&file) } else { root().join(folder).join(path) };
            assert!(target.exists(), "{file}: {link} does not exist");
            if !fragment.is_empty() {
                let page = fs::read_to_string(&target).unwrap();
                assert!(anchors(&page).contains(fragment), "{file}: {link} has no such heading");
            }
        }
    }
}

/// Paths of this project in a page's code spans. Those with a placeholder are left out.
fn paths(page: &str) -> Vec<String> {
    let text = prose(page);
    let spans = text.split('`').skip(1).step_by(2);
    let local = |span: &&str| {
        ["src/", "tests/", "docs/", "configs/", "scripts/", "bench/"].iter().any(|folder| span.starts_with(folder))
    };
    let exact = |span: &&str| !span.contains("NAME") && !span.contains(['*', ' ', '{']);
    spans.filter(local).filter(exact).map(str::to_owned).collect()
}

#[test]
fn paths_that_pages_name_exist() {
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "tests/README.md"] {
        for path in paths(&read(file)) {
            assert!(root().join(&path).exists(), "{file} names {path}, which does not exist");
        }
    }
}

#[test]
fn the_architecture_lists_every_module() {
    let page = read("ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let row = if path.is_dir() { format!("| `{name}/` |") } else { format!("| `{name}` |") };
        let listed = page.contains(&row) || name == "lib.rs" || name == "bin" || name.ends_with(".mjs");
        assert!(listed, "ARCHITECTURE.md has no row for src/{name}");
    }
}

#[test]
fn tests_that_the_security_page_names_exist() {
    let page = read("docs/security.md");
    let rows = page.lines().skip_while(|line| !line.starts_with("| attack")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for name in cell.split(", ").map(|name| name.trim_matches('`')) {
            let file = format!("tests/workerd/{name}.test.mjs");
            assert!(root().join(&file).exists(), "docs/security.md names {file}");
        }
    }
}

/// Status and code of each error that is made with both as literals.
fn error_codes() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for text in sources() {
        for maker in ["Error::caller(", "Error::gateway(", "Error::upstream(", "Self::caller(", "Self::gateway("] {
            for rest in text.split(maker).skip(1) {
                let mut arguments = rest.splitn(3, ',').map(str::trim);
                let (Some(status), Some(code)) = (arguments.next(), arguments.next()) else { continue };
                let literal = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
                if literal && code.len() > 2 && code.starts_with('"') {
                    found.insert((status.to_owned(), code.trim_matches('"').to_owned()));
                }
            }
        }
    }
    found
}

/// Rows of the tables of docs/errors.md: a status and its codes.
fn documented_codes() -> Vec<(String, Vec<String>)> {
    let page = read("docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let rows = rows.filter(|(status, _)| status.len() == 3 && status.parse::<u16>().is_ok());
    rows.map(|(status, rest)| {
        let cell = rest.split(" | ").next().unwrap();
        (status.to_owned(), cell.split(", ").map(|code| code.trim_matches('`').to_owned()).collect())
    })
    .collect()
}

#[test]
fn every_error_code_is_documented() {
    let documented = documented_codes();
    let codes = error_codes();
    assert!(codes.len() > 40, "only {} codes were found in src: how errors are made has changed", codes.len());
    for (status, code) in codes {
        // Codes with which a provider's own status is combined have no row of their own.
        let row = documented.iter().any(|(listed, codes)| *listed == status && codes.contains(&code));
        assert!(row, "docs/errors.md does not list {status} `{code}`");
    }
}

#[test]
fn every_documented_code_exists() {
    let all = sources().concat();
    for code in documented_codes().into_iter().flat_map(|(_, codes)| codes) {
        assert!(all.contains(&format!("\"{code}\"")), "docs/errors.md lists `{code}`, which src does not have");
    }
}

fn faults(text: &str) -> Vec<String> {
    let read = Config::read(text, KINDS);
    read.map_or_else(|problems| problems.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

/// The keys that a table of the configuration knows, as its fault about an unknown key lists them.
fn known_keys(text: &str) -> Vec<String> {
    let faults = faults(text);
    let fault = faults.iter().find(|fault| fault.contains("known here: ")).unwrap_or_else(|| panic!("{faults:?}"));
    let (_, list) = fault.split_once("known here: ").unwrap();
    list.trim_end_matches('.').split(", ").map(str::to_owned).collect()
}

#[test]
fn every_configuration_key_is_documented() {
    let row = |provider: &str| format!("providers: {{ p: {{ adapter: echo, models: {{ m: {{}} }}, {provider} }} }}\n");
    let model = |model: &str| format!("providers: {{ p: {{ adapter: echo, models: {{ m: {{ {model} }} }} }} }}\n");
    let top = |section: &str| format!("{section}: {{ zz: 1 }}\n{}", row(""));
    let mut keys = [known_keys(&row("zz: 1")), known_keys(&model("zz: 1"))].concat();
    for section in ["limits", "accounting", "websocket", "vault", "cors", "proxy", "alerts"] {
        keys.extend(known_keys(&top(section)).into_iter().map(|key| format!("{section}.{key}")));
    }
    keys.extend(known_keys(&top("logging")).into_iter().map(|key| format!("logging.{key}")));
    let metrics = known_keys(&format!("telemetry: {{ metrics: {{ zz: 1 }} }}\n{}", row("")));
    keys.extend(metrics.into_iter().map(|key| format!("telemetry.metrics.{key}")));
    keys.extend(known_keys(&model("clocks: { zz: 1 }")).into_iter().map(|key| format!("clocks.{key}")));
    keys.extend(known_keys(&model("echo: { zz: 1 }")).into_iter().map(|key| format!("echo.{key}")));
    for group in ["target", "error_rate"] {
        let section = format!("alerts: {{ {group}: {{ zz: 1 }} }}\n{}", row(""));
        keys.extend(known_keys(&section).into_iter().map(|key| format!("alerts.{group}.{key}")));
    }
    let groups = ["clocks", "echo", "logging.output", "logging.fields", "alerts.target", "alerts.error_rate"];
    for language in ["", "-zh-CN"] {
        let file = format!("docs/configuration{language}.md");
        let page = read(&file) + &read(&format!("docs/catalogue{language}.md"));
        for key in &keys {
            let shown = page.contains(&format!("`{key}`"));
            assert!(shown || groups.contains(&key.as_str()), "{file} and its catalogue do not list `{key}`");
        }
    }
}

#[test]
fn every_log_field_is_documented() {
    let page = read("docs/logs.md");
    let file = "logging: { fields: { zz: true } }\nproviders: { p: { adapter: echo, models: { m: {} } } }\n";
    for field in known_keys(file) {
        assert!(page.contains(&format!("`{field}`")), "docs/logs.md does not list `{field}`");
    }
}

/// An example of YAML as a whole file: a fragment is put where it belongs.
fn completed(example: &str) -> String {
    if example.contains("providers:") {
        example.to_owned()
    } else if example.starts_with("  ") {
        format!("providers:\n{example}")
    } else {
        format!("providers: {{ demo: {{ adapter: echo, models: {{ echo: {{}} }} }} }}\n{example}")
    }
}

#[test]
fn yaml_examples_are_sound() {
    let judge = Judge::new();
    for file in pages() {
        for example in fenced(&read(&file), "yaml") {
            let whole = completed(&example);
            assert_eq!(faults(&whole), [] as [&str; 0], "{file}: {example}");
            assert_eq!(judge.faults_of_text(&whole), None, "{file}: {example}");
        }
    }
}

/// Keys and values of the figures on a front page, by row.
fn figures(page: &str) -> Vec<Vec<String>> {
    let block = page.split("<!-- figures").nth(1).unwrap().split("<!-- end of figures").next().unwrap();
    let rows = block.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = |row: &str| row.split(" | ").skip(1).map(|cell| cell.trim_end_matches(" |").to_owned()).collect();
    rows.map(cells).collect()
}

#[test]
fn both_front_pages_show_the_same_figures() {
    assert_eq!(figures(&read("README.md")), figures(&read("docs/README-zh-CN.md")));
}

#[test]
fn the_figures_are_those_of_the_benchmark() {
    let report = read("docs/benchmarks.md");
    for row in figures(&read("README.md")) {
        for cell in row {
            let number = cell.split(' ').next().unwrap();
            let found =
                report.lines().any(|line| line.split('|').any(|cell| cell.trim().trim_start_matches('+') == number));
            assert!(found, "docs/benchmarks.md does not have {cell}");
        }
    }
}
