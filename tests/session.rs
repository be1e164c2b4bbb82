//! A session: a client receives what the provider sent, however its connections break.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use llm_bridge::error::Error;
use llm_bridge::session::{
    AttachedSession, Client, ClientOrigin, CloseCode, FailedResponse, ReadState, Session, SessionAction, SessionLimits,
    SessionOwner, SessionSnapshot, StoredSession, UpgradeParams,
};
use proptest::prelude::*;
use serde_json::Value;

const ID: &str = "0123456789abcdef0123456789abcdef";
const BUFFER: usize = 4_000;
const LIMITS: SessionLimits = SessionLimits { idle: 1_000, resume: 5_000, buffer: BUFFER, requests: 3, message: 2_000 };

fn owner() -> SessionOwner {
    SessionOwner { key_id: "key_1".into(), hash: None }
}

fn params(query: &str) -> UpgradeParams {
    UpgradeParams::read(query, "llm-bridge.v1").unwrap()
}

fn client(query: &str, owner: Option<SessionOwner>) -> Client {
    Client { params: params(query), owner, origin: ClientOrigin::default() }
}

/// A snapshot, written and read.
fn read_back(snapshot: &SessionSnapshot) -> SessionSnapshot {
    SessionSnapshot::read(&snapshot.write()).unwrap()
}

fn session(owned: bool) -> Session {
    Session::new(LIMITS, ID.to_owned(), ClientOrigin::default(), owned.then(owner))
}

/// A session with a connection, on which requests carry ids if `with_ids`.
fn connected(with_ids: bool) -> Session {
    let mut session = session(true);
    let params = if with_ids { params("") } else { UpgradeParams::default() };
    session.connect(&params, 0);
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

/// The actions other than sending.
fn others(actions: Vec<SessionAction>) -> Vec<SessionAction> {
    actions.into_iter().filter(|action| !matches!(action, SessionAction::Send(_))).collect()
}

fn starts(actions: &[SessionAction]) -> Vec<u64> {
    let number = |action: &SessionAction| match action {
        SessionAction::Start(start) => Some(start.number),
        _ => None,
    };
    actions.iter().filter_map(number).collect()
}

fn receive(session: &mut Session, text: &str) -> Vec<SessionAction> {
    session.receive(text.to_owned(), 1)
}

fn start(session: &mut Session, id: &str) -> u64 {
    starts(&receive(session, &format!(r#"{{"type":"chat","id":"{id}","payload":{{"a":1}}}}"#)))[0]
}

#[test]
fn a_request_keeps_its_body_and_its_response_comes_in_numbered_frames() {
    let mut session = connected(true);
    let actions = receive(&mut session, r#"{"type":"chat","id":"a","api_key":"Bearer k","payload":{"x" : 1e0}}"#);
    let SessionAction::Start(start) = &actions[0] else { panic!("{actions:?}") };
    assert_eq!(start.key.as_deref(), Some("k"));
    assert_eq!(start.body, br#"{"x" : 1e0}"#);
    session.response_started(start.number, "req_1".to_owned());
    let mut got =
        sent(&session.receive_stream(start.number, b": hello\n\ndata: {\"choices\":[1.0]}\n\ndata: {\"choices\":[],"));
    got.extend(sent(&session.receive_stream(start.number, b"\"usage\":{}}\n\ndata: [DONE]\n\n")));
    got.extend(sent(&session.response_ended(start.number)));
    let expected = [
        r#"{"id":"a","seq":1,"type":"chunk","data":{"choices":[1.0]}}"#,
        r#"{"id":"a","seq":2,"type":"usage","data":{"choices":[],"usage":{}}}"#,
        r#"{"id":"a","seq":3,"type":"done","request_id":"req_1"}"#,
    ];
    assert_eq!(got, expected);
}

#[test]
fn requests_without_ids_run_one_after_another() {
    let mut session = connected(false);
    let chat = r#"{"type":"chat","payload":{"stream":false}}"#;
    let first = receive(&mut session, chat);
    let SessionAction::Start(start) = &first[0] else { panic!("{first:?}") };
    assert_eq!(start.body, br#"{"stream":true}"#);
    assert_eq!(receive(&mut session, chat), []);
    assert_eq!(sent(&session.receive_stream(1, b"data: {\"choices\":[]}\n\n")), ["data: {\"choices\":[]}\n\n"]);
    let actions = session.response_ended(1);
    assert_eq!(sent(&actions), ["data: [DONE]\n\n"]);
    assert_eq!(starts(&actions), [2]);
    let error = r#"{"error":{"message":"m"}}"#;
    let response = FailedResponse { status: 500, body: error, retry_after_ms: None };
    assert_eq!(sent(&session.request_failed(2, response, 1)), [error]);
    assert_eq!(session.response_ended(2).len(), 1);
}

#[test]
fn an_incomplete_response_is_not_done() {
    let mut session = connected(true);
    let number = start(&mut session, "a");
    session.receive_stream(number, b"data: {\"choices\":[1]}\n\n");
    let end = &frames(&session.response_ended(number))[0];
    assert_eq!(end["type"], "error");
    assert_eq!(end["error"]["code"], "stream_truncated");
}

#[test]
fn requests_are_limited_and_ids_are_unique() {
    let mut session = connected(true);
    assert_eq!(["a", "b", "c"].map(|id| start(&mut session, id)), [1, 2, 3]);
    for (id, code, with_id) in [("d", "too_many_requests", true), ("a", "duplicate_id", false)] {
        let frame = &frames(&receive(&mut session, &format!(r#"{{"type":"chat","id":"{id}","payload":{{}}}}"#)))[0];
        assert_eq!(frame["error"]["code"], code);
        assert_eq!(frame.get("id").is_some(), with_id, "{code}");
    }
    let actions = receive(&mut session, r#"{"type":"cancel","id":"b"}"#);
    assert_eq!(frames(&actions)[0]["cancelled"], true);
    assert_eq!(others(actions), [SessionAction::Cancel(2)]);
    assert_eq!(session.read_state(2, 0), ReadState::Ended);
    assert_eq!(session.receive_stream(2, b"data: {}\n\n"), []);
    assert_eq!(session.response_ended(2), []);
    start(&mut session, "b");
}

#[test]
fn messages_wait_while_a_key_is_authenticated() {
    let mut session = session(false);
    session.connect(&params(""), 0);
    assert_eq!(
        receive(&mut session, r#"{"type":"auth","api_key":"k"}"#),
        [SessionAction::Authenticate("k".to_owned())]
    );
    assert_eq!(receive(&mut session, r#"{"type":"chat","id":1,"payload":{}}"#), []);
    let actions = session.authenticated(Ok(owner()), 1);
    assert_eq!(sent(&actions), [r#"{"type":"authenticated"}"#]);
    assert_eq!(starts(&actions), [1]);
    assert_eq!(session.owner(), Some(&owner()));
}

#[test]
fn a_wrong_key_ends_the_session() {
    let mut session = session(false);
    session.connect(&params(""), 0);
    receive(&mut session, r#"{"type":"auth","api_key":"k"}"#);
    let actions = session.authenticated(Err(Error::caller(401, "invalid_api_key", "no")), 1);
    assert_eq!(others(actions), [SessionAction::Close(CloseCode::WrongKey), SessionAction::Delete]);
}

#[test]
fn a_violation_is_reported_before_the_close() {
    for (text, code) in [("x".repeat(2_001), CloseCode::TooBig), (String::new(), CloseCode::Binary)] {
        let mut session = connected(true);
        let number = start(&mut session, "a");
        let actions = if text.is_empty() { session.receive_binary(b"x", 1) } else { session.receive(text, 1) };
        assert_eq!(frames(&actions).len(), 1);
        assert_eq!(others(actions), [SessionAction::Close(code), SessionAction::Cancel(number), SessionAction::Delete]);
    }
}

#[test]
fn idle_connections_and_lost_sessions_end() {
    let mut session = connected(true);
    assert_eq!(session.due(), 1_000);
    assert_eq!(session.tick(999, 0), []);
    assert_eq!(session.tick(1_000, 500), [], "a ping at 500");
    assert_eq!(others(session.tick(1_500, 500)), [SessionAction::Close(CloseCode::Idle), SessionAction::Delete]);
    let mut session = connected(true);
    let number = start(&mut session, "a");
    assert_eq!(session.tick(5_000, 0), [], "a request is in progress");
    assert_eq!(session.disconnected(1, false, 6_000), [SessionAction::Store]);
    assert_eq!(session.tick(10_999, 0), []);
    assert_eq!(session.tick(11_000, 0), [SessionAction::Cancel(number), SessionAction::Delete]);
}

#[test]
fn a_final_close_ends_the_session_and_so_does_any_without_a_key_or_id() {
    let mut session = connected(true);
    assert_eq!(session.disconnected(2, false, 1), [], "another connection");
    assert_eq!(session.disconnected(1, true, 1), [SessionAction::Delete]);
    let mut nobody = self::session(false);
    nobody.connect(&params(""), 0);
    assert_eq!(nobody.disconnected(1, false, 1), [SessionAction::Delete]);
    assert_eq!(connected(false).disconnected(1, false, 1), [SessionAction::Delete]);
}

#[test]
fn only_its_own_key_resumes_a_session() {
    let mut session = connected(true);
    let number = start(&mut session, "a");
    session.receive_stream(number, b"data: {\"choices\":[1]}\n\n");
    let other = SessionOwner { key_id: "key_2".into(), hash: None };
    for (owner, after, code) in
        [(None, 0, CloseCode::WrongKey), (Some(other), 0, CloseCode::WrongKey), (Some(owner()), 2, CloseCode::Gap)]
    {
        assert_eq!(session.resume(&client("", owner), after, 2).unwrap_err().code, code);
    }
    let actions = session.resume(&client("", Some(owner())), 0, 2).unwrap();
    assert_eq!(frames(&actions).iter().map(|frame| frame["type"].clone()).collect::<Vec<_>>(), ["session", "chunk"]);
    assert_eq!(session.disconnected(1, false, 3), [], "the older connection is displaced");
}

#[test]
fn reading_stops_while_the_client_does_not_take_frames() {
    let mut session = connected(true);
    let number = start(&mut session, "a");
    let quarter = BUFFER / 4;
    assert_eq!(session.read_state(number, quarter - 1), ReadState::Ready);
    assert_eq!(session.read_state(number, quarter), ReadState::Wait);
    receive(&mut session, r#"{"type":"ack","seq":0}"#);
    let piece = format!("data: {{\"choices\":[\"{}\"]}}\n\n", "x".repeat(BUFFER));
    session.receive_stream(number, piece.as_bytes());
    assert_eq!(session.read_state(number, 0), ReadState::Wait);
    receive(&mut session, r#"{"type":"ack","seq":1}"#);
    assert_eq!(session.read_state(number, 0), ReadState::Ready);
}

#[test]
fn requests_that_a_restart_interrupted_end_with_an_error() {
    let mut session = connected(true);
    let number = start(&mut session, "a");
    session.receive_stream(number, b"data: {\"choices\":[1]}\n\n");
    let attached = session.snapshot();
    session.disconnected(1, false, 5);
    let stored = StoredSession { snapshot: read_back(&session.snapshot()), frames: session.frames() };
    let (mut restored, _) = Session::restore(LIMITS, None, Some(stored)).unwrap();
    let got = frames(&restored.resume(&client("", Some(owner())), 0, 6).unwrap());
    assert_eq!(got[1]["type"], "chunk");
    assert_eq!(got[2]["seq"], 2);
    assert_eq!(got[2]["error"]["code"], "session_interrupted");
    let attached = AttachedSession { snapshot: attached, is_forwarded: false };
    let (_, actions) = Session::restore(LIMITS, Some(attached), None).unwrap();
    assert_eq!(frames(&actions)[0]["error"]["code"], "session_interrupted");
    assert_eq!(others(actions), [SessionAction::Close(CloseCode::Interrupted), SessionAction::Delete]);
}

#[test]
fn stored_frames_that_are_older_than_the_connection_are_not_sent_again() {
    let mut session = connected(true);
    let number = start(&mut session, "a");
    session.receive_stream(number, b"data: {\"choices\":[1]}\n\n");
    let stored = || StoredSession { snapshot: session.snapshot(), frames: session.frames() };
    let (older, same) = (stored(), stored());
    session.receive_stream(number, b"data: [DONE]\n\n");
    session.response_ended(number);
    let attached = AttachedSession { snapshot: session.snapshot(), is_forwarded: false };
    let (mut restored, _) = Session::restore(LIMITS, Some(attached), Some(older)).unwrap();
    assert_eq!(restored.resume(&client("", Some(owner())), 0, 6).unwrap_err().code, CloseCode::Gap);
    let (mut restored, _) = Session::restore(LIMITS, None, Some(same)).unwrap();
    assert_eq!(frames(&restored.resume(&client("", Some(owner())), 0, 6).unwrap())[1]["type"], "chunk");
    assert!(Session::restore(LIMITS, None, None).is_none());
}

#[test]
fn an_object_has_one_session() {
    let admit = |session: &mut Option<Session>, query: &str| {
        Session::admit(session, client(query, Some(owner())), LIMITS, ID.to_owned(), 1)
    };
    let resume = format!("session={}&after=0", ID.repeat(2));
    let mut session = None;
    assert_eq!(admit(&mut session, &resume).unwrap_err().code, CloseCode::Unknown);
    assert_eq!(frames(&admit(&mut session, "").unwrap())[0]["resumed"], false);
    assert_eq!(admit(&mut session, "").unwrap_err().code, CloseCode::Unknown);
    assert_eq!(frames(&admit(&mut session, &resume).unwrap())[0]["resumed"], true);
}

#[test]
fn forwarded_frames_count_until_they_are_reported() {
    let mut session = session(true);
    session.connect(&UpgradeParams { is_forwarded: true, ..params("") }, 0);
    let number = start(&mut session, "a");
    let piece = format!("data: {{\"choices\":[\"{}\"]}}\n\n", "x".repeat(BUFFER / 4));
    session.receive_stream(number, piece.as_bytes());
    assert_eq!(session.read_state(number, 0), ReadState::Wait);
    assert_eq!(session.receive_binary(b"9", 1), [], "a report of the forwarding isolate");
    assert_eq!(session.read_state(number, 0), ReadState::Ready);
    assert_eq!(others(session.receive_binary(b"", 1))[0], SessionAction::Close(CloseCode::Binary));
}

/// An event of a session.
#[derive(Clone, Debug)]
enum Event {
    /// This many bytes of the response to this request arrive, if they may be read.
    Chunk(usize, usize),
    /// The client receives up to this many frames.
    Arrive(usize),
    /// The client acknowledges.
    Ack,
    /// The connection breaks, and frames on their way are lost. Whether the object sleeps if it can.
    Cut(bool),
    /// The client comes back.
    Resume,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..3_usize, 1..300_usize).prop_map(|(ask, bytes)| Event::Chunk(ask, bytes)),
        4 => (1..9_usize).prop_map(Event::Arrive),
        2 => Just(Event::Ack),
        1 => any::<bool>().prop_map(Event::Cut),
        2 => Just(Event::Resume),
    ]
}

/// A client, its connection, and a session.
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
    fn execute(&mut self, actions: Vec<SessionAction>) {
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
            self.execute(actions);
        }
    }

    fn cut(&mut self, sleeps: bool) {
        if let Some(number) = self.session.connection() {
            self.is_linked = false;
            self.wire.clear();
            self.session.disconnected(number, false, self.now);
        }
        if sleeps && !self.is_linked && self.ended == 3 {
            let stored = StoredSession { snapshot: read_back(&self.session.snapshot()), frames: self.session.frames() };
            self.session = Session::restore(LIMITS, None, Some(stored)).unwrap().0;
        }
    }

    fn resume(&mut self) {
        if !self.is_linked {
            self.is_linked = true;
            let resumed = self.session.resume(&client("window=2000", Some(owner())), self.last, self.now);
            self.execute(resumed.unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_frame_arrives_once_and_memory_is_bounded(
        events in proptest::collection::vec(event(), 0..300),
        words in proptest::collection::vec(proptest::collection::vec("[a-zé]{0,40}", 0..40), 3),
    ) {
        let mut session = session(true);
        session.connect(&params("window=2000"), 0);
        let numbers = ["0", "1", "2"].map(|id| start(&mut session, id));
        let stream = |words: &Vec<String>| {
            let chunks: String = words.iter().map(|word| format!("data: {{\"choices\":[\"{word}\"]}}\n\n")).collect();
            (chunks + "data: [DONE]\n\n").into_bytes()
        };
        let mut rest: Vec<VecDeque<u8>> = words.iter().map(|words| stream(words).into()).collect();
        let mut over = [false; 3];
        let mut world =
            World { session, wire: VecDeque::new(), is_linked: true, last: 0, texts: BTreeMap::new(), ended: 0, now: 1 };
        // In the end, everything is read and arrives.
        let ending = (0..3_000).flat_map(|n| [
            Event::Resume, Event::Chunk(n % 3, 300), Event::Arrive(9), Event::Ack,
        ]);
        for event in events.into_iter().chain(ending) {
            match event {
                Event::Chunk(at, bytes) => {
                    if !over[at] && world.session.read_state(numbers[at], 0) == ReadState::Ready {
                        let most = bytes.min(rest[at].len());
                        let piece: Vec<u8> = rest[at].drain(..most).collect();
                        over[at] = piece.is_empty();
                        let actions = if over[at] { world.session.response_ended(numbers[at]) } else { world.session.receive_stream(numbers[at], &piece) };
                        world.execute(actions);
                    }
                }
                Event::Arrive(most) => world.arrive(most),
                Event::Ack => world.ack(),
                Event::Cut(sleeps) => world.cut(sleeps),
                Event::Resume => world.resume(),
            }
            // A chunk grows at most eightfold: each of its smallest events gets a frame.
            prop_assert!(world.session.frames().len() < BUFFER + 8 * 300, "{}", world.session.frames().len());
        }
        prop_assert_eq!(world.ended, 3);
        for (id, words) in words.iter().enumerate() {
            prop_assert_eq!(world.texts.get(&id.to_string()).cloned().unwrap_or_default(), words.concat());
        }
    }

    #[test]
    fn any_message_gives_valid_frames(texts in proptest::collection::vec(
        prop_oneof![".*", r#"\{"type":"(chat|cancel|ack|auth|ping)","(id|seq|payload|api_key)":("a"|1|\{\}|null),"(id|payload)":("b"|2|\{\}|\[)\}"#],
        0..20,
    ), with_ids: bool, query in "[a-z=&0-9]{0,20}", protocols in "[a-z.,0-9 -]{0,30}") {
        let _ = UpgradeParams::read(&query, &protocols);
        let mut session = connected(with_ids);
        for text in texts {
            for frame in sent(&receive(&mut session, &text)) {
                prop_assert!(serde_json::from_str::<Value>(&frame).is_ok(), "{}", frame);
            }
            let _ = SessionSnapshot::read(&text);
        }
    }
}
