//! Generates the tables of the documentation from the claims.

use std::fmt::Write as _;
use std::path::Path;

use super::clients::{CLIENTS, Client};
use super::{Cell, Documents, Row, blesses, table};

/// The formats of providers, in the order of the columns.
const PROVIDERS: &[(&str, &str)] =
    &[("openai", "OpenAI"), ("anthropic", "Anthropic"), ("gemini", "Gemini"), ("responses", "Responses")];

/// The tables of one kind, one for each client. The notes of each stand below it, each once.
fn full(kind: &str, rows: &[Row]) -> String {
    CLIENTS.iter().map(|client| of_client(kind, rows, client)).collect()
}

fn of_client(kind: &str, rows: &[Row], client: &Client) -> String {
    let name = client.format.name;
    let columns: Vec<&str> = PROVIDERS.iter().map(|(_, shown)| *shown).collect();
    let title = if kind == "asked" { "Requests of" } else { "Responses for" };
    let mut text = format!("### {title} {} clients\n\n| | {} |\n", client.shown, columns.join(" | "));
    text.push_str(&format!("|---|{}\n", ":-:|".repeat(columns.len())));
    let mut notes: Vec<String> = Vec::new();
    for row in rows {
        let documents = Documents::read(kind, &row.documents);
        let cells = PROVIDERS.iter().map(|(upstream, _)| {
            if name == *upstream {
                if let Some(cell) = row.of(name).get(name) {
                    return mark(cell, &mut notes);
                }
                // Between equal formats the bytes pass unchanged.
                let said = documents.given[name].is_object() && documents.given["rows"].is_null();
                return if said { "✓".to_owned() } else { "–".to_owned() };
            }
            row.of(name).get(*upstream).map_or_else(|| "–".to_owned(), |cell| mark(cell, &mut notes))
        });
        let cells: Vec<String> = cells.collect();
        if cells.iter().any(|cell| cell != "–") {
            writeln!(text, "| {} | {} |", row.feature, cells.join(" | ")).unwrap();
        }
    }
    text.push('\n');
    for (number, note) in notes.iter().enumerate() {
        writeln!(text, "{}. {note}", number + 1).unwrap();
    }
    text.push('\n');
    text
}

fn mark(cell: &Cell, notes: &mut Vec<String>) -> String {
    let names: Vec<String> = cell.names().iter().map(|name| format!("`{name}`")).collect();
    let named = if names.is_empty() { String::new() } else { format!(" Named: {}.", names.join(", ")) };
    let note = match cell {
        Cell::Dropped(_) => format!("Not sent.{named}"),
        Cell::Refused(field) => format!("Refused: `{field}`."),
        cell => cell.note().map(|note| format!("{note}{named}")).unwrap_or_default(),
    };
    let sign = match cell {
        Cell::Carried => return "✓".to_owned(),
        Cell::Changed(_) | Cell::Named { .. } => "≈",
        Cell::Dropped(_) | Cell::Lost(_) => "✗",
        Cell::Needless(_) => "○",
        Cell::Refused(_) => "⊘",
    };
    let known = notes.iter().position(|known| *known == note);
    let number = known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    format!("{sign} <sup>{}</sup>", number + 1)
}

/// The features that are dropped, by provider, for the pages on formats.
fn short(rows: &[Row], chinese: bool) -> String {
    let mut text = String::new();
    for (upstream, shown) in
        [("anthropic", "Anthropic"), ("gemini", "Gemini"), ("openai", "OpenAI"), ("responses", "Responses")]
    {
        let dropped = |cell: Option<&Cell>| matches!(cell, Some(Cell::Dropped(_)));
        let lost = rows.iter().filter(|row| row.cells.values().any(|cells| dropped(cells.get(upstream))));
        let names: Vec<String> = lost.map(|row| if chinese { row.zh.clone() } else { lower(&row.feature) }).collect();
        let (colon, comma, end) = if chinese { ("：", "、", "。") } else { (": ", ", ", ".") };
        writeln!(text, "- {shown}{colon}{}{end}", names.join(comma)).unwrap();
    }
    text
}

/// A name inside a sentence. Names in capitals and names of fields keep their spelling.
fn lower(name: &str) -> String {
    let mut letters = name.chars();
    let (first, second) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    if second.is_lowercase() || second == ' ' {
        first.to_lowercase().chain([second]).chain(letters).collect()
    } else {
        name.to_owned()
    }
}

#[test]
fn the_manual_shows_what_is_claimed() {
    let table = table();
    let pages = [
        ("docs/translation.md", "asked", full("asked", &table.asked)),
        ("docs/translation.md", "answered", full("answered", &table.answered)),
        ("docs/formats.md", "dropped", short(&table.asked, false)),
        ("docs/configuration-zh-CN.md", "dropped", short(&table.asked, true)),
    ];
    for (file, name, made) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (begin, end) = (
            format!("<!-- {name}: made by `BLESS=1 cargo test --test formats` -->\n"),
            format!("<!-- end of {name} -->"),
        );
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{file}: no place for {name}"));
        let (shown, after) = rest.split_once(&end).unwrap();
        if blesses() {
            std::fs::write(&path, [before, &begin, &made, &end, after].concat()).unwrap();
        } else {
            assert_eq!(shown, made, "{file}: `BLESS=1 cargo test --test formats` writes the table of {name} anew");
        }
    }
}
