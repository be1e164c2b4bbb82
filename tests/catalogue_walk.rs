//! Walks the catalogue: requests that the gateway writes for a model are accepted by a stand-in of its host,
//! which refuses what the documents say (`fixtures/catalogue/documents.yaml`); and for each word of the
//! catalogue there is a request that would be refused, or would lose something, without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may insist")]

#[path = "walk/asks.rs"]
mod asks;
#[path = "walk/documents.rs"]
mod documents;
#[path = "walk/stand_in.rs"]
mod stand_in;

use std::collections::BTreeSet;

use documents::{Documents, ModelDocument};
use llm_bridge::catalogue::field::{EFFORTS, Efforts, FIELDS, Field, Fit, Kind, Table, Value};
use llm_bridge::catalogue::{Evidence, Fact, Facts, Origin, Row, each_row, families, host_named, hosts, matches};
use stand_in::violations;

/// Words whose loss changes nothing at present, with the reason. Each has to be one.
const WITHOUT_EFFECT: &[(&str, &str, &str)] = &[
    ("gpt-4*", "reasoning_effort_with_tools", "keep and drop are the same without words of effort"),
    ("*claude-*", "sampling_at_none", "its words of effort have no none, so it always counts as reasoning"),
    ("openai", "reasoning_content", "what is not known to be wanted is not sent"),
    ("claude-opus-4-5", "prefill", "only a response that is continued shows it: `tests/workerd/route-resume.test.mjs`"),
    ("claude-sonnet-4-5", "prefill", "as above"),
    ("claude-haiku-4-5", "prefill", "as above"),
    ("claude-opus-4-1", "prefill", "as above"),
    ("claude-opus-4", "prefill", "as above"),
    ("claude-sonnet-4", "prefill", "as above"),
    ("claude-3-7-sonnet", "prefill", "as above"),
    ("claude-3-5-sonnet", "prefill", "as above"),
    ("claude-3-5-haiku", "prefill", "as above"),
    ("claude-3-opus", "prefill", "as above"),
    ("claude-3-haiku", "prefill", "as above"),
    ("claude-3-sonnet", "prefill", "as above"),
    ("mistral-large-2512", "prefill", "as above"),
    ("mistral-medium-2604", "prefill", "as above"),
    ("mistral-small-2603", "prefill", "as above"),
    ("ministral-14b-2512", "prefill", "as above"),
    ("ministral-8b-2512", "prefill", "as above"),
    ("ministral-3b-2512", "prefill", "as above"),
];

/// Fields that no row states, or on which the gateway does not act. An operator may state the others:
/// `tests/refit.rs` and the tests of `formats::fit` do.
const UNSTATED: &[&str] = &["prefill", "stream_options", "strict_tools"];

/// Fields of numbers: `tests/prices.rs` compares them with the file and with providers' bills.
const NUMBERS: &[Field] = &[Field::Context, Field::MaxOutput, Field::TokensPerSecond];

/// What applies to a model at a host, with one fact of one row changed or taken away.
fn facts(place: Place<'_>, mutant: Option<&Mutant>) -> Facts {
    let mut facts = Facts::UNKNOWN;
    each_row(place.format, host_named(place.host), place.model, &mut |_, row| {
        for fact in row.facts {
            match mutant {
                Some(mutant) if std::ptr::eq(mutant.row, row) && mutant.old.field == fact.field => {
                    facts.overlay(mutant.new.as_slice());
                }
                _ => facts.overlay(&[*fact]),
            }
        }
    });
    facts
}

/// A model at a host that speaks a format.
#[derive(Clone, Copy)]
struct Place<'a> {
    format: &'a str,
    host: &'a str,
    model: &'a str,
}

/// A change of the catalogue.
struct Mutant {
    row: &'static Row,
    old: Fact,
    /// None if the fact is taken away.
    new: Option<Fact>,
}

fn places<'a>(
    documents: &'a Documents,
    model: &'a ModelDocument,
) -> impl Iterator<Item = (Place<'a>, &'a ModelDocument)> {
    model.names.iter().flat_map(move |name| {
        model.hosts.iter().map(move |host| {
            let format = documents.hosts[host].format.as_str();
            (Place { format, host, model: name }, model)
        })
    })
}

fn all_places(documents: &Documents) -> Vec<(Place<'_>, &ModelDocument)> {
    documents.models.iter().flat_map(|model| places(documents, model)).collect()
}

#[test]
fn what_is_written_for_a_model_is_what_its_documents_say() {
    let documents = Documents::read();
    let mut faults = String::new();
    let places = all_places(&documents);
    for (place, model) in &places {
        for fault in violations(&documents.hosts[place.host], model, *place, &facts(*place, None)) {
            faults += &format!("\n{} at {}: {fault}", place.model, place.host);
        }
    }
    assert!(places.len() > 150, "{}", places.len());
    assert!(faults.is_empty(), "{faults}");
}

/// All rows, each once, with the name of one and whether it is a host's.
fn rows() -> Vec<(&'static str, &'static Row)> {
    let mut rows: Vec<(&'static str, &'static Row)> = families().to_vec();
    for format in ["openai", "anthropic", "gemini"] {
        each_row(format, None, "", &mut |origin, row| {
            if matches!(origin, Origin::Format(_)) {
                rows.push((format, row));
            }
        });
    }
    for host in hosts() {
        let own = host.rows.last().map(|row| (host.name, *row));
        rows.extend(own.into_iter().chain(host.patterns.iter().chain(host.names).copied()));
    }
    let mut seen = BTreeSet::new();
    rows.retain(|(_, row)| seen.insert(std::ptr::from_ref(*row)));
    rows
}

/// Other values of a fact, and none.
fn changes(fact: Fact) -> Vec<Option<Fact>> {
    let with = |value| Some(Fact { field: fact.field, value });
    let fit = |fit| with(Value::Fit(fit));
    let mut changes = vec![None];
    match fact.value {
        Value::Flag(flag) => changes.push(with(Value::Flag(!flag))),
        Value::Count(count) => changes.extend([with(Value::Count(count + 1)), with(Value::Count(count - 1))]),
        Value::Words(set) => {
            let Kind::Words(words) = FIELDS[fact.field.index()].kind else { unreachable!() };
            changes.extend((0..words.len()).map(|bit| with(Value::Words(set ^ (1 << bit)))));
        }
        Value::Fit(Fit::NearestOf(efforts)) => {
            let toggled = (0..EFFORTS.len()).map(|bit| Efforts(efforts.0 ^ (1 << bit)));
            let others = toggled.filter(|efforts| *efforts != Efforts::default());
            changes.extend(others.map(|efforts| fit(Fit::NearestOf(efforts))));
            changes.extend([fit(Fit::Keep), fit(Fit::Drop)]);
        }
        // All are longer than one character, and than two.
        Value::Fit(Fit::Hash(1)) => changes.push(fit(Fit::Keep)),
        Value::Fit(Fit::Hash(length)) => changes.extend([fit(Fit::Hash(length + 1)), fit(Fit::Keep)]),
        Value::Fit(Fit::Cut(length)) => {
            changes.extend([fit(Fit::Cut(length + 1)), fit(Fit::Cut(length.max(2) - 1)), fit(Fit::Keep)]);
        }
        Value::Fit(Fit::Keep) => changes.push(fit(Fit::Drop)),
        Value::Fit(Fit::Drop | Fit::Rename(_)) => changes.push(fit(Fit::Keep)),
        Value::Word(_) | Value::Names(_) => {}
    }
    changes.retain(|change| *change != Some(fact));
    changes
}

/// Whether some documented model would notice a change.
fn is_noticed(documents: &Documents, affected: &[(Place<'_>, &ModelDocument)], mutant: &Mutant) -> bool {
    affected.iter().any(|(place, model)| {
        let host = &documents.hosts[place.host];
        !violations(host, model, *place, &facts(*place, Some(mutant))).is_empty()
    })
}

fn applies(place: Place<'_>, row: &'static Row) -> bool {
    let mut found = false;
    each_row(place.format, host_named(place.host), place.model, &mut |_, other| found |= std::ptr::eq(other, row));
    found
}

#[test]
fn each_word_of_the_catalogue_has_a_case_that_fails_without_it() {
    let documents = Documents::read();
    let places = all_places(&documents);
    let (mut faults, mut words, mut noticed_fields) = (String::new(), 0, BTreeSet::new());
    let mut unused: BTreeSet<_> = WITHOUT_EFFECT.iter().map(|(row, field, _)| (*row, *field)).collect();
    for (name, row) in rows() {
        let affected: Vec<_> = places.iter().copied().filter(|(place, _)| applies(*place, row)).collect();
        for old in row.facts.iter().filter(|fact| !NUMBERS.contains(&fact.field)) {
            let field = FIELDS[old.field.index()].name;
            for new in changes(*old) {
                words += 1;
                let mutant = Mutant { row, old: *old, new };
                if is_noticed(&documents, &affected, &mutant) {
                    noticed_fields.insert(field);
                } else if WITHOUT_EFFECT.iter().any(|(known, of, _)| *known == name && *of == field) {
                    unused.remove(&(name, field));
                } else {
                    faults += &format!("\n{name}: {field}: {:?} -> {:?}", old.value, new.map(|new| new.value));
                }
            }
        }
    }
    assert!(words > 400, "{words}");
    assert!(faults.is_empty(), "nobody would notice:{faults}");
    assert!(unused.is_empty(), "these have an effect: {unused:?}");
    let numbers = NUMBERS.iter().map(|field| FIELDS[field.index()].name);
    let without: BTreeSet<_> =
        FIELDS.iter().map(|row| row.name).filter(|name| !noticed_fields.contains(name)).collect();
    let known: BTreeSet<_> = numbers.chain(UNSTATED.iter().copied()).collect();
    assert_eq!(without, known, "fields of the schema without a case");
}

#[test]
fn each_pattern_has_a_documented_model() {
    let documents = Documents::read();
    let places = all_places(&documents);
    let mut faults = String::new();
    for (pattern, _) in families() {
        let base = |model: &str| model.rsplit('/').next().unwrap().to_owned();
        if !places.iter().any(|(place, _)| matches(pattern, &base(place.model))) {
            faults += &format!("\nthe family {pattern}");
        }
    }
    for host in hosts() {
        for (pattern, _) in host.patterns {
            if !places.iter().any(|(place, _)| place.host == host.name && matches(pattern, place.model)) {
                faults += &format!("\n{pattern} at {}", host.name);
            }
        }
        if !documents.hosts.contains_key(host.name) {
            faults += &format!("\nthe host {}", host.name);
        }
    }
    assert!(faults.is_empty(), "without a document:{faults}");
}

#[test]
fn a_guess_removes_nothing() {
    for (name, row) in rows() {
        let removes = row.facts.iter().any(|fact| matches!(fact.value, Value::Fit(fit) if fit.removes()));
        assert!(row.source.evidence != Evidence::Guessed || !removes, "{name}");
    }
}

#[test]
fn a_field_stands_in_its_own_table() {
    let hosts_fields = |row: &Row| row.facts.iter().all(|fact| FIELDS[fact.field.index()].table == Table::Hosts);
    for host in hosts() {
        assert!(host.rows.iter().all(|row| hosts_fields(row)), "{}", host.name);
    }
    for (pattern, row) in families() {
        let is_own = row.facts.iter().all(|fact| FIELDS[fact.field.index()].table == Table::Models);
        assert!(is_own, "{pattern}");
    }
}
