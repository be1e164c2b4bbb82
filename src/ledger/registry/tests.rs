//! The directory, order by order; opened again after each, it is the same.

use serde_json::json;

use super::*;
use crate::ledger::signing::bits;

fn wish(json: &Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn key(json: &Value, hash: &str) -> RegistryCommand {
    let mut record = key_schema::read(wish(json)).unwrap();
    record.hash = format!("1.{hash}");
    RegistryCommand::Create(Box::new(record))
}

/// A directory, and what it wrote.
struct Desk(KeyRegistry, BTreeMap<u64, String>, Option<String>);

impl Default for Desk {
    fn default() -> Self {
        let mut desk = Self(KeyRegistry::default(), BTreeMap::new(), None);
        assert!(matches!(desk.ask(RegistryCommand::Signing(Some(bits([1, 2])))), RegistryResponse::Signing(_)));
        desk
    }
}

impl Desk {
    fn ask(&mut self, order: RegistryCommand) -> RegistryResponse {
        let mut writes = Vec::new();
        let reply = self.0.handle(order, 1_000, &mut writes);
        for write in writes {
            match write {
                RegistryWrite::Put(number, text) => drop(self.1.insert(number, text)),
                RegistryWrite::Drop(number) => drop(self.1.remove(&number)),
                RegistryWrite::Signing(text) => self.2 = Some(text),
            }
        }
        // Whatever happened: opened again, it is the same.
        let again = KeyRegistry::open(self.1.clone().into_iter(), self.2.as_deref()).unwrap();
        assert_eq!((&again.records, &again.numbers), (&self.0.records, &self.0.numbers));
        assert_eq!(again.signing, self.0.signing);
        reply
    }

    fn record(&mut self, order: RegistryCommand) -> ApiKey {
        match self.ask(order) {
            RegistryResponse::Record(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    fn made(&mut self, json: &Value) -> ApiKey {
        let record = self.record(key(json, "h"));
        self.record(RegistryCommand::Posted { id: record.id, version: record.updated_at })
    }

    fn refusal(&mut self, order: RegistryCommand) -> RegistryRefusal {
        match self.ask(order) {
            RegistryResponse::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_creation_that_broke_off_is_healed_and_one_that_did_not_is_known_again() {
    let mut desk = Desk::default();
    let first = desk.record(key(&json!({"id": "a", "name": "A"}), "1"));
    assert_eq!(first.status(0).name(), "incomplete");
    let second = desk.record(key(&json!({"id": "a", "name": "A"}), "2"));
    assert!(second.hash == "1.2" && second.updated_at > first.updated_at && second.created_at == first.created_at);
    // A late word on the first makes the second no less new.
    let record = desk.record(RegistryCommand::Posted { id: "a".into(), version: second.updated_at });
    assert_eq!(record.status(0).name(), "active");
    desk.record(RegistryCommand::edit("a", wish(&json!({"name": "B"}))));
    match desk.ask(key(&json!({"id": "a", "name": "A"}), "3")) {
        RegistryResponse::Known(record) => {
            assert_eq!((record.hash.as_str(), record.name.as_deref()), ("1.2", Some("B")))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.refusal(key(&json!({"id": "a", "name": "C"}), "4")), RegistryRefusal::Taken);
}

#[test]
fn families_have_two_generations() {
    let mut desk = Desk::default();
    desk.made(&json!({"id": "team"}));
    assert_eq!(desk.made(&json!({"id": "kid", "parent": "team"})).parent(), Some("team"));
    for (order, refusal) in [
        (key(&json!({"id": "x", "parent": "nobody"}), ""), RegistryRefusal::NoParent),
        (key(&json!({"id": "x", "parent": "x"}), ""), RegistryRefusal::OwnParent),
        (key(&json!({"id": "x", "parent": "kid"}), ""), RegistryRefusal::Grandparent),
        (RegistryCommand::edit("team", wish(&json!({"parent": "kid"}))), RegistryRefusal::Grandparent),
        (RegistryCommand::Retire("team".into()), RegistryRefusal::Members(1)),
    ] {
        assert_eq!(desk.refusal(order), refusal);
    }
    desk.made(&json!({"id": "other"}));
    assert_eq!(
        desk.refusal(RegistryCommand::edit("team", wish(&json!({"parent": "other"})))),
        RegistryRefusal::ParentOfOthers
    );
    desk.record(RegistryCommand::edit("kid", wish(&json!({"parent": null}))));
    assert!(desk.record(RegistryCommand::Retire("team".into())).leaving);
    assert_eq!(desk.refusal(RegistryCommand::edit("kid", wish(&json!({"parent": "team"})))), RegistryRefusal::NoParent);
    assert_eq!(desk.refusal(RegistryCommand::edit("team", Map::new())), RegistryRefusal::Leaving);
    assert_eq!(desk.refusal(key(&json!({"id": "team"}), "")), RegistryRefusal::Leaving);
    assert_eq!(desk.ask(RegistryCommand::Remove("kid".into())), RegistryResponse::Confused);
    assert_eq!(desk.ask(RegistryCommand::Remove("team".into())), RegistryResponse::Removed);
    assert_eq!(desk.refusal(RegistryCommand::Read("team".into())), RegistryRefusal::Unknown);
}

#[test]
fn pages_follow_the_order_of_creation() {
    let mut desk = Desk::default();
    for id in ["c", "a", "b", "e", "d"] {
        desk.made(&json!({"id": id}));
    }
    let mut page = |after: Option<&str>| match desk.ask(RegistryCommand::List {
        after: after.map(str::to_owned),
        limit: 2,
        removed: false,
    }) {
        RegistryResponse::Page { records, more } => {
            (records.into_iter().map(|record| record.id).collect::<String>(), more)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(page(None), ("ca".into(), true));
    assert_eq!(page(Some("a")), ("be".into(), true));
    assert_eq!(page(Some("e")), ("d".into(), false));
    assert_eq!(page(Some("d")), (String::new(), false));
    assert_eq!(
        desk.refusal(RegistryCommand::List { after: Some("z".into()), limit: 2, removed: false }),
        RegistryRefusal::Unknown
    );
}

#[test]
fn what_is_gone_is_remembered_until_its_id_is_used_again() {
    let mut desk = Desk::default();
    for id in ["a", "b"] {
        desk.made(&json!({"id": id, "name": "secret plan"}));
    }
    desk.record(RegistryCommand::Retire("a".into()));
    desk.ask(RegistryCommand::Remove("a".into()));
    assert!(!desk.1.values().next().unwrap().contains("secret plan"));
    let mut ids = |after: Option<&str>, removed| match desk.ask(RegistryCommand::List {
        after: after.map(str::to_owned),
        limit: 9,
        removed,
    }) {
        RegistryResponse::Page { records, .. } => records.into_iter().map(|record| record.id).collect::<String>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((ids(None, false), ids(None, true), ids(Some("a"), false)), ("b".into(), "ab".into(), "b".into()));
    assert_eq!(desk.made(&json!({"id": "a"})).status(0).name(), "active");
    match desk.ask(RegistryCommand::List { after: None, limit: 9, removed: true }) {
        RegistryResponse::Page { records, .. } => assert_eq!(records.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_cannot_be_read_is_named() {
    let fault = KeyRegistry::open([(3, "{".to_owned())].into_iter(), None).unwrap_err().to_string();
    assert!(fault.starts_with("The stored record `3` of the table `keys` cannot be read"), "{fault}");
}

#[test]
fn a_secret_that_cannot_be_read_is_named_and_not_replaced() {
    let fault = KeyRegistry::open(std::iter::empty(), Some("{")).unwrap_err().to_string();
    assert!(fault.starts_with("The stored record `0` of the table `signing` cannot be read"), "{fault}");
}

#[test]
fn keys_of_a_version_that_ended_are_to_be_rotated() {
    let mut desk = Desk::default();
    desk.made(&json!({"id": "a"}));
    let counts = |reply: RegistryResponse| match reply {
        RegistryResponse::Versions(versions, others) => {
            (versions.iter().map(|version| (version.version, version.keys)).collect::<Vec<_>>(), others)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(desk.refusal(RegistryCommand::End(1)), RegistryRefusal::OnlyVersion);
    assert_eq!(counts(desk.ask(RegistryCommand::Renew(bits([3, 4])))), (vec![(1, 1), (2, 0)], 0));
    assert_eq!(desk.refusal(RegistryCommand::Renew(bits([5, 6]))), RegistryRefusal::VersionsFull);
    assert_eq!(desk.record(RegistryCommand::Read("a".into())).status(0).name(), "active");
    assert_eq!(counts(desk.ask(RegistryCommand::End(1))), (vec![(2, 0)], 1));
    assert_eq!(desk.record(RegistryCommand::Read("a".into())).status(0).name(), "must_rotate");
    // What is signed with it meanwhile comes too late.
    assert_eq!(desk.refusal(key(&json!({"id": "b"}), "h")), RegistryRefusal::Outdated);
    let edit = |hash: &str| RegistryCommand::Edit {
        id: "a".into(),
        wish: Map::new(),
        secret: Some((hash.to_owned(), "hint".to_owned())),
    };
    assert_eq!(desk.refusal(edit("1.x")), RegistryRefusal::Outdated);
    assert_eq!(desk.record(edit("2.x")).status(0).name(), "active");
    assert_eq!(counts(desk.ask(RegistryCommand::Versions)), (vec![(2, 1)], 0));
}

#[test]
fn nothing_is_made_for_whoever_only_asks() {
    let (mut directory, mut writes) = (KeyRegistry::default(), Vec::new());
    assert_eq!(
        directory.handle(RegistryCommand::Signing(None), 0, &mut writes),
        RegistryResponse::Signing(SigningSecrets::default())
    );
    assert_eq!(writes, []);
}
