//! The directory, order by order; opened again after each, it is the same.

use serde_json::json;

use super::super::signing::bits;
use super::*;

fn wish(json: &Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

fn key(json: &Value, hash: &str) -> Order {
    let mut record = form::read(wish(json)).unwrap();
    record.hash = format!("1.{hash}");
    Order::Create(Box::new(record))
}

/// A directory, and what it wrote.
struct Desk(Directory, BTreeMap<u64, String>, Option<String>);

impl Default for Desk {
    fn default() -> Self {
        let mut desk = Self(Directory::default(), BTreeMap::new(), None);
        assert!(matches!(desk.ask(Order::Signing(Some(bits([1, 2])))), Reply::Signing(_)));
        desk
    }
}

impl Desk {
    fn ask(&mut self, order: Order) -> Reply {
        let mut writes = Vec::new();
        let reply = self.0.obey(order, 1_000, &mut writes);
        for write in writes {
            match write {
                Write::Put(number, text) => drop(self.1.insert(number, text)),
                Write::Drop(number) => drop(self.1.remove(&number)),
                Write::Signing(text) => self.2 = Some(text),
            }
        }
        // Whatever happened: opened again, it is the same.
        let again = Directory::open(self.1.clone().into_iter(), self.2.as_deref());
        assert_eq!((&again.records, &again.numbers), (&self.0.records, &self.0.numbers));
        assert_eq!(again.signing, self.0.signing);
        reply
    }

    fn record(&mut self, order: Order) -> Record {
        match self.ask(order) {
            Reply::Record(record) => *record,
            other => panic!("{other:?}"),
        }
    }

    fn made(&mut self, json: &Value) -> Record {
        let record = self.record(key(json, "h"));
        self.record(Order::Posted { id: record.id, version: record.updated_at })
    }

    fn refusal(&mut self, order: Order) -> Refusal {
        match self.ask(order) {
            Reply::Refused(refusal) => refusal,
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
    let record = desk.record(Order::Posted { id: "a".into(), version: second.updated_at });
    assert_eq!(record.status(0).name(), "active");
    desk.record(Order::edit("a", wish(&json!({"name": "B"}))));
    match desk.ask(key(&json!({"id": "a", "name": "A"}), "3")) {
        Reply::Known(record) => assert_eq!((record.hash.as_str(), record.name.as_deref()), ("1.2", Some("B"))),
        other => panic!("{other:?}"),
    }
    assert_eq!(desk.refusal(key(&json!({"id": "a", "name": "C"}), "4")), Refusal::Taken);
}

#[test]
fn families_have_two_generations() {
    let mut desk = Desk::default();
    desk.made(&json!({"id": "team"}));
    assert_eq!(desk.made(&json!({"id": "kid", "parent": "team"})).parent(), Some("team"));
    for (order, refusal) in [
        (key(&json!({"id": "x", "parent": "nobody"}), ""), Refusal::NoParent),
        (key(&json!({"id": "x", "parent": "x"}), ""), Refusal::OwnParent),
        (key(&json!({"id": "x", "parent": "kid"}), ""), Refusal::Grandparent),
        (Order::edit("team", wish(&json!({"parent": "kid"}))), Refusal::Grandparent),
        (Order::Retire("team".into()), Refusal::Members(1)),
    ] {
        assert_eq!(desk.refusal(order), refusal);
    }
    desk.made(&json!({"id": "other"}));
    assert_eq!(desk.refusal(Order::edit("team", wish(&json!({"parent": "other"})))), Refusal::ParentOfOthers);
    desk.record(Order::edit("kid", wish(&json!({"parent": null}))));
    assert!(desk.record(Order::Retire("team".into())).leaving);
    assert_eq!(desk.refusal(Order::edit("kid", wish(&json!({"parent": "team"})))), Refusal::NoParent);
    assert_eq!(desk.refusal(Order::edit("team", Map::new())), Refusal::Leaving);
    assert_eq!(desk.refusal(key(&json!({"id": "team"}), "")), Refusal::Leaving);
    assert_eq!(desk.ask(Order::Remove("kid".into())), Reply::Confused);
    assert_eq!(desk.ask(Order::Remove("team".into())), Reply::Removed);
    assert_eq!(desk.refusal(Order::Read("team".into())), Refusal::Unknown);
}

#[test]
fn pages_follow_the_order_of_creation() {
    let mut desk = Desk::default();
    for id in ["c", "a", "b", "e", "d"] {
        desk.made(&json!({"id": id}));
    }
    let mut page =
        |after: Option<&str>| match desk.ask(Order::List { after: after.map(str::to_owned), limit: 2, removed: false })
        {
            Reply::Page { records, more } => (records.into_iter().map(|record| record.id).collect::<String>(), more),
            other => panic!("{other:?}"),
        };
    assert_eq!(page(None), ("ca".into(), true));
    assert_eq!(page(Some("a")), ("be".into(), true));
    assert_eq!(page(Some("e")), ("d".into(), false));
    assert_eq!(page(Some("d")), (String::new(), false));
    assert_eq!(desk.refusal(Order::List { after: Some("z".into()), limit: 2, removed: false }), Refusal::Unknown);
}

#[test]
fn what_is_gone_is_remembered_until_its_id_is_used_again() {
    let mut desk = Desk::default();
    for id in ["a", "b"] {
        desk.made(&json!({"id": id, "name": "secret plan"}));
    }
    desk.record(Order::Retire("a".into()));
    desk.ask(Order::Remove("a".into()));
    assert!(!desk.1.values().next().unwrap().contains("secret plan"));
    let mut ids = |after: Option<&str>, removed| match desk.ask(Order::List {
        after: after.map(str::to_owned),
        limit: 9,
        removed,
    }) {
        Reply::Page { records, .. } => records.into_iter().map(|record| record.id).collect::<String>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((ids(None, false), ids(None, true), ids(Some("a"), false)), ("b".into(), "ab".into(), "b".into()));
    assert_eq!(desk.made(&json!({"id": "a"})).status(0).name(), "active");
    match desk.ask(Order::List { after: None, limit: 9, removed: true }) {
        Reply::Page { records, .. } => assert_eq!(records.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let directory = Directory::open([(1, "{".to_owned())].into_iter(), None);
    assert!(directory.records.is_empty());
}

#[test]
fn a_secret_that_cannot_be_read_is_not_replaced() {
    let mut directory = Directory::open(std::iter::empty(), Some("{"));
    for order in [Order::Signing(Some(bits([1, 2]))), Order::Versions, Order::Renew(bits([1, 2])), Order::End(1)] {
        let mut writes = Vec::new();
        assert_eq!((directory.obey(order, 0, &mut writes), writes), (Reply::Confused, Vec::new()));
    }
}

#[test]
fn keys_of_a_version_that_ended_are_to_be_rotated() {
    let mut desk = Desk::default();
    desk.made(&json!({"id": "a"}));
    let counts = |reply: Reply| match reply {
        Reply::Versions(versions, others) => {
            (versions.iter().map(|version| (version.version, version.keys)).collect::<Vec<_>>(), others)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(desk.refusal(Order::End(1)), Refusal::OnlyVersion);
    assert_eq!(counts(desk.ask(Order::Renew(bits([3, 4])))), (vec![(1, 1), (2, 0)], 0));
    assert_eq!(desk.refusal(Order::Renew(bits([5, 6]))), Refusal::VersionsFull);
    assert_eq!(desk.record(Order::Read("a".into())).status(0).name(), "active");
    assert_eq!(counts(desk.ask(Order::End(1))), (vec![(2, 0)], 1));
    assert_eq!(desk.record(Order::Read("a".into())).status(0).name(), "must_rotate");
    // What is signed with it meanwhile comes too late.
    assert_eq!(desk.refusal(key(&json!({"id": "b"}), "h")), Refusal::Outdated);
    let edit = |hash: &str| Order::Edit {
        id: "a".into(),
        wish: Map::new(),
        secret: Some((hash.to_owned(), "hint".to_owned())),
    };
    assert_eq!(desk.refusal(edit("1.x")), Refusal::Outdated);
    assert_eq!(desk.record(edit("2.x")).status(0).name(), "active");
    assert_eq!(counts(desk.ask(Order::Versions)), (vec![(2, 1)], 0));
}

#[test]
fn nothing_is_made_for_whoever_only_asks() {
    let (mut directory, mut writes) = (Directory::default(), Vec::new());
    assert_eq!(directory.obey(Order::Signing(None), 0, &mut writes), Reply::Signing(Signing::default()));
    assert_eq!(writes, []);
}
