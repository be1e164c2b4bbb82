//! The registry, command by command. It is reopened after each, and must be the same.

use serde_json::json;

use super::*;
use crate::ledger::signing::bits;

fn patch(json: &Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn key(json: &Value, hash: &str) -> RegistryCommand {
    let mut record = key_schema::read(patch(json)).unwrap();
    record.hash = format!("1.{hash}").into();
    RegistryCommand::Create(Box::new(record))
}

/// A registry, and the records that it wrote.
struct TestRegistry(KeyRegistry, BTreeMap<u64, String>, Option<String>);

impl Default for TestRegistry {
    fn default() -> Self {
        let mut registry = Self(KeyRegistry::default(), BTreeMap::new(), None);
        assert!(matches!(registry.handle(RegistryCommand::Signing(Some(bits([1, 2])))), RegistryResponse::Signing(_)));
        registry
    }
}

impl TestRegistry {
    fn handle(&mut self, command: RegistryCommand) -> RegistryResponse {
        let mut writes = Vec::new();
        let reply = self.0.handle(command, 1_000, &mut writes);
        for write in writes {
            match write {
                RegistryWrite::Put(number, text) => drop(self.1.insert(number, text)),
                RegistryWrite::Drop(number) => drop(self.1.remove(&number)),
                RegistryWrite::Signing(text) => self.2 = Some(text),
            }
        }
        // Reopened, it is the same.
        let again = KeyRegistry::open(self.1.clone().into_iter(), self.2.as_deref()).unwrap();
        assert_eq!(again.records, self.0.records);
        assert_eq!(again.numbers, self.0.numbers);
        assert_eq!(again.signing, self.0.signing);
        reply
    }

    fn record(&mut self, command: RegistryCommand) -> ApiKey {
        match self.handle(command) {
            RegistryResponse::Record(record) | RegistryResponse::Changed { after: record, .. } => *record,
            other => panic!("{other:?}"),
        }
    }

    fn made(&mut self, json: &Value) -> ApiKey {
        let record = self.record(key(json, "h"));
        self.record(RegistryCommand::Confirm { id: record.id, version: record.updated_at })
    }

    fn refusal(&mut self, command: RegistryCommand) -> RegistryRefusal {
        match self.handle(command) {
            RegistryResponse::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_incomplete_creation_is_completed_and_a_complete_one_is_recognised() {
    let mut registry = TestRegistry::default();
    let first = registry.record(key(&json!({"id": "a", "name": "A"}), "1"));
    assert_eq!(first.status(0).name(), "incomplete");
    let second = registry.record(key(&json!({"id": "a", "name": "A"}), "2"));
    assert!(
        second.hash.as_str() == "1.2" && second.updated_at > first.updated_at && second.created_at == first.created_at
    );
    // A late confirmation of the first does not confirm the second.
    let record = registry.record(RegistryCommand::Confirm { id: "a".into(), version: second.updated_at });
    assert_eq!(record.status(0).name(), "active");
    registry.record(RegistryCommand::edit("a", patch(&json!({"name": "B"}))));
    match registry.handle(key(&json!({"id": "a", "name": "A"}), "3")) {
        RegistryResponse::AlreadyCreated(record) => {
            assert_eq!((record.hash.as_str(), record.name.as_deref()), ("1.2", Some("B")))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(registry.refusal(key(&json!({"id": "a", "name": "C"}), "4")), RegistryRefusal::Taken);
}

#[test]
fn a_change_returns_the_key_as_it_was_too() {
    let mut registry = TestRegistry::default();
    let made = registry.made(&json!({"id": "a", "name": "A"}));
    let RegistryResponse::Changed { before, after } =
        registry.handle(RegistryCommand::edit("a", patch(&json!({"name": "B"}))))
    else {
        panic!("the key was not changed");
    };
    assert_eq!(*before, made);
    assert_eq!(after.name.as_deref(), Some("B"));
    let RegistryResponse::Changed { before, after } = registry.handle(RegistryCommand::BeginRemoval("a".into())) else {
        panic!("the removal has not begun");
    };
    assert_eq!((before.removing, after.removing), (false, true));
}

#[test]
fn a_parent_has_no_parent() {
    let mut registry = TestRegistry::default();
    registry.made(&json!({"id": "team"}));
    assert_eq!(registry.made(&json!({"id": "kid", "parent": "team"})).parent(), Some("team"));
    for (command, refusal) in [
        (key(&json!({"id": "x", "parent": "nobody"}), ""), RegistryRefusal::NoParent),
        (key(&json!({"id": "x", "parent": "x"}), ""), RegistryRefusal::OwnParent),
        (key(&json!({"id": "x", "parent": "kid"}), ""), RegistryRefusal::Grandparent),
        (RegistryCommand::edit("team", patch(&json!({"parent": "kid"}))), RegistryRefusal::Grandparent),
        (RegistryCommand::BeginRemoval("team".into()), RegistryRefusal::Members(1)),
    ] {
        assert_eq!(registry.refusal(command), refusal);
    }
    registry.made(&json!({"id": "other"}));
    assert_eq!(
        registry.refusal(RegistryCommand::edit("team", patch(&json!({"parent": "other"})))),
        RegistryRefusal::ParentOfOthers
    );
    registry.record(RegistryCommand::edit("kid", patch(&json!({"parent": null}))));
    assert!(registry.record(RegistryCommand::BeginRemoval("team".into())).removing);
    assert_eq!(
        registry.refusal(RegistryCommand::edit("kid", patch(&json!({"parent": "team"})))),
        RegistryRefusal::NoParent
    );
    assert_eq!(registry.refusal(RegistryCommand::edit("team", Map::new())), RegistryRefusal::Removing);
    assert_eq!(registry.refusal(key(&json!({"id": "team"}), "")), RegistryRefusal::Removing);
    assert_eq!(registry.handle(RegistryCommand::CompleteRemoval("kid".into())), RegistryResponse::Malformed);
    assert_eq!(registry.handle(RegistryCommand::CompleteRemoval("team".into())), RegistryResponse::Removed);
    assert_eq!(registry.refusal(RegistryCommand::Read("team".into())), RegistryRefusal::Unknown);
}

#[test]
fn pages_follow_the_order_of_creation() {
    let mut registry = TestRegistry::default();
    for id in ["c", "a", "b", "e", "d"] {
        registry.made(&json!({"id": id}));
    }
    let mut page = |after: Option<&str>| match registry.handle(RegistryCommand::List {
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
        registry.refusal(RegistryCommand::List { after: Some("z".into()), limit: 2, removed: false }),
        RegistryRefusal::Unknown
    );
}

#[test]
fn a_removed_key_is_kept_until_its_id_is_used_again() {
    let mut registry = TestRegistry::default();
    for id in ["a", "b"] {
        registry.made(&json!({"id": id, "name": "secret plan"}));
    }
    registry.record(RegistryCommand::BeginRemoval("a".into()));
    registry.handle(RegistryCommand::CompleteRemoval("a".into()));
    assert!(!registry.1.values().next().unwrap().contains("secret plan"));
    let mut ids = |after: Option<&str>, removed| match registry.handle(RegistryCommand::List {
        after: after.map(str::to_owned),
        limit: 9,
        removed,
    }) {
        RegistryResponse::Page { records, .. } => records.into_iter().map(|record| record.id).collect::<String>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(ids(None, false), "b");
    assert_eq!(ids(None, true), "ab");
    assert_eq!(ids(Some("a"), false), "b");
    assert_eq!(registry.made(&json!({"id": "a"})).status(0).name(), "active");
    match registry.handle(RegistryCommand::List { after: None, limit: 9, removed: true }) {
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
fn keys_of_an_ended_version_must_be_rotated() {
    let mut registry = TestRegistry::default();
    registry.made(&json!({"id": "a"}));
    let counts = |reply: RegistryResponse| match reply {
        RegistryResponse::Versions(versions, others) => {
            (versions.iter().map(|version| (version.version, version.keys)).collect::<Vec<_>>(), others)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(registry.refusal(RegistryCommand::EndVersion(1)), RegistryRefusal::OnlyVersion);
    assert_eq!(counts(registry.handle(RegistryCommand::AddVersion(bits([3, 4])))), (vec![(1, 1), (2, 0)], 0));
    assert_eq!(registry.refusal(RegistryCommand::AddVersion(bits([5, 6]))), RegistryRefusal::VersionsFull);
    assert_eq!(registry.record(RegistryCommand::Read("a".into())).status(0).name(), "active");
    assert_eq!(counts(registry.handle(RegistryCommand::EndVersion(1))), (vec![(2, 0)], 1));
    assert_eq!(registry.record(RegistryCommand::Read("a".into())).status(0).name(), "must_rotate");
    // A key that was signed with it in the meantime is refused.
    assert_eq!(registry.refusal(key(&json!({"id": "b"}), "h")), RegistryRefusal::Outdated);
    let edit = |hash: &str| RegistryCommand::Edit {
        id: "a".into(),
        patch: Map::new(),
        secret: Some((hash.into(), "hint".to_owned())),
    };
    assert_eq!(registry.refusal(edit("1.x")), RegistryRefusal::Outdated);
    assert_eq!(registry.record(edit("2.x")).status(0).name(), "active");
    assert_eq!(counts(registry.handle(RegistryCommand::Versions)), (vec![(2, 1)], 0));
}

#[test]
fn reading_creates_no_secret() {
    let (mut registry, mut writes) = (KeyRegistry::default(), Vec::new());
    assert_eq!(
        registry.handle(RegistryCommand::Signing(None), 0, &mut writes),
        RegistryResponse::Signing(SigningSecrets::default())
    );
    assert_eq!(writes, []);
}
