//! A session, told what happens: what a client gets is what the provider sent, however the connection breaks.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use llm_bridge::error::Error;
use llm_bridge::session::{
    ClientOrigin, CloseCode, ReadState, Session, SessionAction, SessionLimits, SessionOwner, SessionSnapshot,
    UpgradeParams,
};
use proptest::prelude::*;
use serde_json::Value;

const ID: &str = "0123456789abcdef0123456789abcdef";
const BUFFER: usize = 4_000;
const RULES: SessionLimits = SessionLimits { idle: 1_000, resume: 5_000, buffer: BUFFER, requests: 3, message: 2_000 };

fn owner() -> SessionOwner {
    SessionOwner { key_id: "key_1".to_owned(), hash: None }
}

fn entry(query: &str) -> UpgradeParams {
    UpgradeParams::read(query, "llm-bridge.v1").unwrap()
}

fn session(owned: bool) -> Session {
    Session::new(RULES, ID.to_owned(), ClientOrigin::default(), owned.then(owner))
}

/// A session with a connection; in the language with names if `named`.
fn connected(named: bool) -> Session {
    let mut session = session(true);
    let entry = if named { entry("") } else { UpgradeParams::default() };
    session.connect(&entry, 0);
    session
}

fn sent(actions: &[SessionAction]) -> Vec<String> {
    let text = |action: &SessionAction| match action {
        SessionAction::Send(text) => Some(text.to_string()),
        _ => None,
    };
    actions.iter().filter_map(text).collect()
}

fn frames(actions: &[SessionAction]) -> Vec<Value> {
    sent(actions).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

/// What is done besides sending.
fn deeds(actions: Vec<SessionAction>) -> Vec<SessionAction> {
    actions.into_iter().filter(|action| !matches!(action, SessionAction::Send(_))).collect()
}

fn starts(actions: &[SessionAction]) -> Vec<u64> {
    let number = |action: &SessionAction| match action {
        SessionAction::Start(start) => Some(start.number),
        _ => None,
    };
    actions.iter().filter_map(number).collect()
}

fn say(session: &mut Session, text: &str) -> Vec<SessionAction> {
    session.receive(text.to_owned(), 1)
}

fn ask(session: &mut Session, id: &str) -> u64 {
    starts(&say(session, &format!(r#"{{"type":"chat","id":"{id}","payload":{{"a":1}}}}"#)))[0]
}

#[test]
fn a_request_goes_out_as_it_came_and_its_answer_comes_in_numbered_frames() {
    let mut session = connected(true);
    let actions = say(&mut session, r#"{"type":"chat","id":"a","api_key":"Bearer k","payload":{"x" : 1e0}}"#);
    let SessionAction::Start(start) = &actions[0] else { panic!("{actions:?}") };
    assert_eq!((start.key.as_deref(), start.body.as_slice()), (Some("k"), br#"{"x" : 1e0}"#.as_slice()));
    session.began(start.number, "req_1".to_owned());
    let mut got = sent(&session.piece(start.number, b": hello\n\ndata: {\"choices\":[1.0]}\n\ndata: {\"choices\":[],"));
    got.extend(sent(&session.piece(start.number, b"\"usage\":{}}\n\ndata: [DONE]\n\n")));
    got.extend(sent(&session.over(start.number)));
    let expected = [
        r#"{"id":"a","seq":1,"type":"chunk","data":{"choices":[1.0]}}"#,
        r#"{"id":"a","seq":2,"type":"usage","data":{"choices":[],"usage":{}}}"#,
        r#"{"id":"a","seq":3,"type":"done","request_id":"req_1"}"#,
    ];
    assert_eq!(got, expected);
}

#[test]
fn without_names_it_is_one_after_the_other() {
    let mut session = connected(false);
    let chat = r#"{"type":"chat","payload":{"stream":false}}"#;
    let first = say(&mut session, chat);
    let SessionAction::Start(start) = &first[0] else { panic!("{first:?}") };
    assert_eq!(start.body, br#"{"stream":true}"#);
    assert_eq!(say(&mut session, chat), []);
    assert_eq!(sent(&session.piece(1, b"data: {\"choices\":[]}\n\n")), ["data: {\"choices\":[]}\n\n"]);
    let actions = session.over(1);
    assert_eq!((sent(&actions), starts(&actions)), (vec!["data: [DONE]\n\n".to_owned()], vec![2]));
    let error = r#"{"error":{"message":"m"}}"#;
    assert_eq!(sent(&session.failed(2, 500, error, None, 1)), [error]);
    assert_eq!(session.over(2).len(), 1);
}

#[test]
fn an_answer_that_broke_off_is_not_done() {
    let mut session = connected(true);
    let number = ask(&mut session, "a");
    session.piece(number, b"data: {\"choices\":[1]}\n\n");
    let end = &frames(&session.over(number))[0];
    assert_eq!((&end["type"], &end["error"]["code"]), (&"error".into(), &"stream_truncated".into()));
}

#[test]
fn requests_are_bounded_and_names_are_unique() {
    let mut session = connected(true);
    assert_eq!(["a", "b", "c"].map(|id| ask(&mut session, id)), [1, 2, 3]);
    for (id, code, named) in [("d", "too_many_requests", true), ("a", "duplicate_id", false)] {
        let frame = &frames(&say(&mut session, &format!(r#"{{"type":"chat","id":"{id}","payload":{{}}}}"#)))[0];
        assert_eq!((&frame["error"]["code"], frame.get("id").is_some()), (&code.into(), named));
    }
    let actions = say(&mut session, r#"{"type":"cancel","id":"b"}"#);
    assert_eq!(frames(&actions)[0]["cancelled"], true);
    assert_eq!(deeds(actions), [SessionAction::Cancel(2)]);
    assert_eq!(
        (session.reading(2, 0), session.piece(2, b"data: {}\n\n"), session.over(2)),
        (ReadState::Gone, vec![], vec![])
    );
    ask(&mut session, "b");
}

#[test]
fn frames_wait_while_it_is_found_out_whose_key_it_is() {
    let mut session = session(false);
    session.connect(&entry(""), 0);
    assert_eq!(say(&mut session, r#"{"type":"auth","api_key":"k"}"#), [SessionAction::Authenticate("k".to_owned())]);
    assert_eq!(say(&mut session, r#"{"type":"chat","id":1,"payload":{}}"#), []);
    let actions = session.authenticated(Ok(owner()), 1);
    assert_eq!((sent(&actions), starts(&actions)), (vec![r#"{"type":"authenticated"}"#.to_owned()], vec![1]));
    assert_eq!(session.owner(), Some(&owner()));
}

#[test]
fn a_wrong_key_ends_it() {
    let mut session = session(false);
    session.connect(&entry(""), 0);
    say(&mut session, r#"{"type":"auth","api_key":"k"}"#);
    let actions = session.authenticated(Err(Error::caller(401, "invalid_api_key", "no")), 1);
    assert_eq!(deeds(actions), [SessionAction::Close(CloseCode::Key), SessionAction::Forget]);
}

#[test]
fn what_breaks_the_rules_is_told_before_the_end() {
    for (said, code) in [("x".repeat(2_001), CloseCode::TooBig), (String::new(), CloseCode::Binary)] {
        let mut session = connected(true);
        let number = ask(&mut session, "a");
        let actions = if said.is_empty() { session.receive_bytes(1) } else { session.receive(said, 1) };
        assert_eq!(frames(&actions).len(), 1);
        assert_eq!(deeds(actions), [SessionAction::Close(code), SessionAction::Cancel(number), SessionAction::Forget]);
    }
}

#[test]
fn time_ends_what_nobody_uses() {
    let mut session = connected(true);
    assert_eq!((session.due(), session.tick(999, 0), session.tick(1_000, 500)), (1_000, vec![], vec![]));
    assert_eq!(deeds(session.tick(1_500, 500)), [SessionAction::Close(CloseCode::Idle), SessionAction::Forget]);
    let mut session = connected(true);
    let number = ask(&mut session, "a");
    assert_eq!(session.tick(5_000, 0), [], "not while a request is under way");
    assert_eq!(session.lost(1, false, 6_000), [SessionAction::Keep]);
    assert_eq!(session.tick(10_999, 0), []);
    assert_eq!(session.tick(11_000, 0), [SessionAction::Cancel(number), SessionAction::Forget]);
}

#[test]
fn who_says_goodbye_and_who_cannot_come_back_is_forgotten() {
    let mut session = connected(true);
    assert_eq!(session.lost(2, false, 1), [], "another connection");
    assert_eq!(session.lost(1, true, 1), [SessionAction::Forget]);
    let mut nobody = self::session(false);
    nobody.connect(&entry(""), 0);
    assert_eq!(nobody.lost(1, false, 1), [SessionAction::Forget]);
    assert_eq!(connected(false).lost(1, false, 1), [SessionAction::Forget]);
}

#[test]
fn only_its_own_key_takes_it_up() {
    let mut session = connected(true);
    let number = ask(&mut session, "a");
    session.piece(number, b"data: {\"choices\":[1]}\n\n");
    let other = SessionOwner { key_id: "key_2".to_owned(), hash: None };
    for (who, after, code) in
        [(None, 0, CloseCode::Key), (Some(&other), 0, CloseCode::Key), (Some(&owner()), 2, CloseCode::Gap)]
    {
        assert_eq!(session.resume(&entry(""), after, who, ClientOrigin::default(), 2).unwrap_err().code, code);
    }
    let actions = session.resume(&entry(""), 0, Some(&owner()), ClientOrigin::default(), 2).unwrap();
    assert_eq!(frames(&actions).iter().map(|frame| frame["type"].clone()).collect::<Vec<_>>(), ["session", "chunk"]);
    assert_eq!(session.lost(1, false, 3), [], "the older connection has no say any more");
}

#[test]
fn it_stops_reading_for_those_who_do_not() {
    let mut session = connected(true);
    let number = ask(&mut session, "a");
    let quarter = BUFFER / 4;
    assert_eq!(
        (session.reading(number, quarter - 1), session.reading(number, quarter)),
        (ReadState::Go, ReadState::Wait)
    );
    say(&mut session, r#"{"type":"ack","seq":0}"#);
    let piece = format!("data: {{\"choices\":[\"{}\"]}}\n\n", "x".repeat(BUFFER));
    session.piece(number, piece.as_bytes());
    assert_eq!(session.reading(number, 0), ReadState::Wait);
    say(&mut session, r#"{"type":"ack","seq":1}"#);
    assert_eq!(session.reading(number, 0), ReadState::Go);
}

#[test]
fn what_was_under_way_when_the_object_died_is_told() {
    let mut session = connected(true);
    let number = ask(&mut session, "a");
    session.piece(number, b"data: {\"choices\":[1]}\n\n");
    let linked = session.kept();
    session.lost(1, false, 5);
    let (kept, texts) = (session.kept(), session.frames());
    let (mut woken, _) = Session::wake(RULES, SessionSnapshot::read(&kept.write()).unwrap(), &texts, false);
    let got = frames(&woken.resume(&entry(""), 0, Some(&owner()), ClientOrigin::default(), 6).unwrap());
    assert_eq!(got[1]["type"], "chunk");
    assert_eq!((&got[2]["seq"], &got[2]["error"]["code"]), (&2.into(), &"session_interrupted".into()));
    let (_, actions) = Session::wake(RULES, linked, "", true);
    assert_eq!(frames(&actions)[0]["error"]["code"], "session_interrupted");
    assert_eq!(deeds(actions), [SessionAction::Close(CloseCode::Interrupted), SessionAction::Forget]);
}

/// What happens to a connection.
#[derive(Clone, Debug)]
enum Happening {
    /// Bytes of the answer to this request have come, if they may be read.
    Piece(usize, usize),
    /// So many frames on their way arrive.
    Arrive(usize),
    /// The client acknowledges.
    Ack,
    /// The connection breaks, and what is on its way is lost. The object may sleep if it can.
    Cut(bool),
    /// The client comes back.
    Resume,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..3_usize, 1..300_usize).prop_map(|(ask, bytes)| Happening::Piece(ask, bytes)),
        4 => (1..9_usize).prop_map(Happening::Arrive),
        2 => Just(Happening::Ack),
        1 => any::<bool>().prop_map(Happening::Cut),
        2 => Just(Happening::Resume),
    ]
}

/// A client, a wire, a session, and three providers.
struct World {
    session: Session,
    wire: VecDeque<Rc<str>>,
    is_linked: bool,
    last: u64,
    texts: BTreeMap<String, String>,
    ended: usize,
    now: u64,
}

impl World {
    fn obey(&mut self, actions: Vec<SessionAction>) {
        for action in actions {
            match action {
                SessionAction::Send(text) if self.is_linked => self.wire.push_back(text),
                SessionAction::Close(code) => panic!("{code:?}"),
                _ => {}
            }
        }
    }

    fn arrive(&mut self, most: usize) {
        for _ in 0..most {
            let Some(text) = self.wire.pop_front() else { return };
            let frame: Value = serde_json::from_str(&text).unwrap();
            let Some(seq) = frame["seq"].as_u64() else { continue };
            assert_eq!(seq, self.last + 1, "no gap, no repeat");
            self.last = seq;
            match frame["type"].as_str() {
                Some("chunk") => {
                    let words = self.texts.entry(frame["id"].as_str().unwrap().to_owned()).or_default();
                    words.push_str(frame["data"]["choices"][0].as_str().unwrap());
                }
                Some("done") => self.ended += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    fn ack(&mut self) {
        if self.is_linked {
            let text = format!(r#"{{"type":"ack","seq":{}}}"#, self.last);
            let actions = self.session.receive(text, self.now);
            self.obey(actions);
        }
    }

    fn cut(&mut self, sleeps: bool) {
        if let Some(number) = self.session.linked() {
            self.is_linked = false;
            self.wire.clear();
            self.session.lost(number, false, self.now);
        }
        if sleeps && !self.is_linked && self.ended == 3 {
            let kept = SessionSnapshot::read(&self.session.kept().write()).unwrap();
            self.session = Session::wake(RULES, kept, &self.session.frames(), false).0;
        }
    }

    fn resume(&mut self) {
        if !self.is_linked {
            self.is_linked = true;
            let resumed = self.session.resume(
                &entry("window=2000"),
                self.last,
                Some(&owner()),
                ClientOrigin::default(),
                self.now,
            );
            self.obey(resumed.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_breaks_each_word_comes_once_and_memory_is_bounded(
        happenings in proptest::collection::vec(happening(), 0..300),
        words in proptest::collection::vec(proptest::collection::vec("[a-zé]{0,40}", 0..40), 3),
    ) {
        let mut session = session(true);
        session.connect(&entry("window=2000"), 0);
        let numbers = ["0", "1", "2"].map(|id| ask(&mut session, id));
        let stream = |words: &Vec<String>| {
            let chunks: String = words.iter().map(|word| format!("data: {{\"choices\":[\"{word}\"]}}\n\n")).collect();
            (chunks + "data: [DONE]\n\n").into_bytes()
        };
        let mut rest: Vec<VecDeque<u8>> = words.iter().map(|words| stream(words).into()).collect();
        let mut over = [false; 3];
        let mut world =
            World { session, wire: VecDeque::new(), is_linked: true, last: 0, texts: BTreeMap::new(), ended: 0, now: 1 };
        // In the end, all is read, and all arrives.
        let ending = (0..3_000).flat_map(|n| [
            Happening::Resume, Happening::Piece(n % 3, 300), Happening::Arrive(9), Happening::Ack,
        ]);
        for happening in happenings.into_iter().chain(ending) {
            match happening {
                Happening::Piece(at, bytes) => {
                    if !over[at] && world.session.reading(numbers[at], 0) == ReadState::Go {
                        let most = bytes.min(rest[at].len());
                        let piece: Vec<u8> = rest[at].drain(..most).collect();
                        over[at] = piece.is_empty();
                        let actions = if over[at] { world.session.over(numbers[at]) } else { world.session.piece(numbers[at], &piece) };
                        world.obey(actions);
                    }
                }
                Happening::Arrive(most) => world.arrive(most),
                Happening::Ack => world.ack(),
                Happening::Cut(sleeps) => world.cut(sleeps),
                Happening::Resume => world.resume(),
            }
            // A piece becomes no more than eight times as long: each of its smallest events gets a head.
            prop_assert!(world.session.frames().len() < BUFFER + 8 * 300, "{}", world.session.frames().len());
        }
        prop_assert_eq!(world.ended, 3);
        for (id, words) in words.iter().enumerate() {
            prop_assert_eq!(world.texts.get(&id.to_string()).cloned().unwrap_or_default(), words.concat());
        }
    }

    #[test]
    fn no_message_does_harm(texts in proptest::collection::vec(
        prop_oneof![".*", r#"\{"type":"(chat|cancel|ack|auth|ping)","(id|seq|payload|api_key)":("a"|1|\{\}|null),"(id|payload)":("b"|2|\{\}|\[)\}"#],
        0..20,
    ), named: bool, query in "[a-z=&0-9]{0,20}", protocols in "[a-z.,0-9 -]{0,30}") {
        let _ = UpgradeParams::read(&query, &protocols);
        let mut session = connected(named);
        for text in texts {
            for frame in sent(&say(&mut session, &text)) {
                prop_assert!(serde_json::from_str::<Value>(&frame).is_ok(), "{}", frame);
            }
            SessionSnapshot::read(&text);
        }
    }
}
