//! Calls from regions on a scripted platform: from where each try leaves, and what callers and receipts say
//! of places that a provider refuses.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Opened;
use llm_bridge::gateway::platform::Egress;
use llm_bridge::ledger::health::HealthCommand;
use serde_json::json;
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
providers:
  open: { base_url: https://open.example/v1, models: { m: {}, far: { region: oc } } }
  maybe: { base_url: https://maybe.example/v1, models: { m: {} }, region: { fallback: wnam } }
  far: { base_url: https://far.example/v1, models: { m: {} }, region: weur }
  claude: { base_url: https://api.anthropic.com, adapter: anthropic, models: { m: {} }, region: { fallback: wnam } }
  gemini: { base_url: https://generativelanguage.googleapis.com, adapter: gemini, models: { m: {} }, region: { fallback: wnam } }
routes:
  both: [far/m, open/m]
  one: [open/m, open/far]
regions: { trace: none }
";
const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("OPEN_API_KEY", "1"),
    ("MAYBE_API_KEY", "2"),
    ("FAR_API_KEY", "3"),
    ("CLAUDE_API_KEY", "4"),
    ("GEMINI_API_KEY", "5"),
];
/// The most that is added to a rest at random.
const JITTER: u64 = 30_000;
const WHOLE: &str = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
const OPENAI: &str = r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#;
const ANTHROPIC: &str = r#"{"type":"error","error":{"type":"forbidden","message":"Request not allowed"}}"#;
const GEMINI: &str = r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#;

struct Stage {
    bridge: Opened,
    world: World,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { bridge: bridge(CONFIG, SECRETS), world: World::default() };
        stage.world.clock.set(1_000_000);
        stage
    }

    /// An isolate that runs in this data center; nobody knows where if it has no name.
    fn at(data_center: &str) -> Self {
        let stage = Self::new();
        stage.world.data_center.replace(Some(data_center.to_owned()));
        stage
    }

    /// Asks for a chat, which providers answer so. Returns it, and from where its calls have left.
    fn chat(&self, model: &str, scripts: Vec<Script>) -> (Got, Vec<String>) {
        self.world.calls.borrow_mut().clear();
        *self.world.scripts.borrow_mut() = scripts.into();
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] });
        let got = ask(
            &self.bridge,
            &self.world,
            "POST /v1/chat/completions",
            &[("authorization", "Bearer k")],
            &body.to_string(),
        );
        let place = |egress: &Egress| match egress {
            Egress::Direct => "here".to_owned(),
            Egress::Region(region, number) => format!("{}-{number}", region.name()),
            Egress::Binding(_) | Egress::Proxy(_) => "elsewhere".to_owned(),
        };
        let places = self.world.calls.borrow().iter().map(|call| place(&call.egress)).collect();
        (got, places)
    }

    fn pass(&self, time: u64) {
        self.world.clock.set(self.world.clock.get() + time);
    }
}

fn good() -> Script {
    Script::json(200, WHOLE)
}

fn refused() -> Script {
    Script::json(403, OPENAI)
}

/// What an object of a region says itself.
fn says(outcome: &'static str) -> Script {
    Script { status: 503, headers: vec![("x-llm-bridge-region", outcome)], pieces: Vec::new() }
}

#[test]
fn a_fallback_is_used_after_a_refusal_and_for_a_time() {
    let stage = Stage::new();
    assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["here"]);
    let (got, places) = stage.chat("maybe/m", vec![refused(), good()]);
    assert_eq!((got.status, places), (200, vec!["here".to_owned(), "wnam-0".to_owned()]));
    stage.pass(599_999);
    assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["wnam-0"]);
    stage.pass(JITTER);
    assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["here"]);
}

#[test]
fn other_isolates_in_the_same_data_center_know_of_a_refusal() {
    let first = Stage::at("HKG");
    first.chat("maybe/m", vec![refused(), good()]);
    let isolate = |place: &str| {
        let stage = Stage::at(place);
        let world = World { health: first.world.health.clone(), ..stage.world };
        world.clock.set(first.world.clock.get());
        Stage { world, ..stage }
    };
    let [near, far, nowhere] = [isolate("HKG"), isolate("SIN"), isolate("")];
    for (stage, places) in [(&near, "wnam-0"), (&far, "here"), (&nowhere, "here")] {
        // The first request asks in the background, and leaves before it knows.
        assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["here"]);
        assert_eq!(stage.chat("maybe/m", vec![good()]).1, [places]);
    }
    let again = isolate("HKG");
    again.pass(600_000 + JITTER);
    again.chat("maybe/m", vec![good()]);
    assert_eq!(again.chat("maybe/m", vec![good()]).1, ["here"], "it is served again");
}

#[test]
fn a_reset_forgets_refused_places_everywhere() {
    let first = Stage::at("HKG");
    first.chat("maybe/m", vec![refused(), good()]);
    first.chat("far/m", vec![refused(), refused()]);
    let near =
        Stage { world: World { health: first.world.health.clone(), ..Stage::at("HKG").world }, ..Stage::at("HKG") };
    near.world.clock.set(first.world.clock.get());
    near.chat("maybe/m", vec![good()]);
    assert_eq!(near.chat("maybe/m", vec![good()]).1, ["wnam-0"]);
    first.world.health.borrow_mut().handle(HealthCommand::Reset(None), first.world.clock.get() + 1);
    for stage in [&first, &near] {
        stage.pass(30_001);
        // It asks in the background.
        stage.chat("maybe/m", vec![good()]);
        assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["here"]);
    }
    assert_eq!(first.chat("far/m", vec![good()]).1, ["weur-0"]);
}

#[test]
fn other_failures_leave_a_call_where_it_is() {
    for script in [Script::json(429, "{}"), Script::json(500, "{}"), Script::json(401, "{}"), Script::json(400, "{}")] {
        let stage = Stage::new();
        assert_eq!(stage.chat("maybe/m", vec![script, good()]).1, ["here"]);
        assert_eq!(stage.chat("maybe/m", vec![good()]).1, ["here"]);
    }
}

#[test]
fn each_try_is_an_attempt_of_the_receipt() {
    let stage = Stage::new();
    stage.chat("maybe/m", vec![refused(), good()]);
    let receipts = stage.world.receipts.borrow();
    let attempts = &receipts.last().unwrap().attempts;
    let failures: Vec<&str> = attempts.iter().map(|attempt| attempt.failure.as_str()).collect();
    assert_eq!(failures, ["region", ""]);
    assert_eq!(attempts[0].cost, Some(0), "what is refused is not billed");
}

#[test]
fn objects_that_send_nothing_are_no_attempts() {
    let stage = Stage::new();
    let (got, places) = stage.chat("far/m", vec![says("full"), says("avoided HK HKG"), good()]);
    assert_eq!((got.status, places.join(" ")), (200, "weur-0 weur-1 weur-2".to_owned()));
    assert!(stage.world.receipts.borrow().last().unwrap().attempts.is_empty());
    // The full one has room again.
    stage.pass(500);
    assert_eq!(stage.chat("far/m", vec![good()]).1, ["weur-0"]);
}

#[test]
fn a_provider_that_an_object_does_not_reach_is_unreachable() {
    let (got, places) = Stage::new().chat("far/m", vec![says("broken"), good()]);
    assert_eq!((got.status, got.code().as_str(), places.len()), (502, "upstream_unreachable", 1));
}

#[test]
fn two_refusals_of_a_region_end_the_search() {
    let stage = Stage::new();
    let (got, places) = stage.chat("far/m", vec![refused(), refused(), good()]);
    assert_eq!((got.status, got.code().as_str()), (403, "provider_region_refused"));
    assert_eq!(places, ["weur-0", "weur-1"]);
    let receipts = stage.world.receipts.borrow().clone();
    let failures: Vec<&str> =
        receipts.last().unwrap().attempts.iter().map(|attempt| attempt.failure.as_str()).collect();
    assert_eq!(failures, ["region", "region"]);
    assert_eq!(stage.chat("far/m", vec![good()]).1, Vec::<String>::new(), "remembered");
}

#[test]
fn a_route_goes_on_when_a_region_is_refused() {
    let stage = Stage::new();
    let (got, places) = stage.chat("both", vec![refused(), refused(), good()]);
    assert_eq!((got.status, places.join(" ")), (200, "weur-0 weur-1 here".to_owned()));
    assert_eq!(stage.chat("both", vec![good()]).1, ["here"], "it rests");
    // The same provider from elsewhere.
    let (got, places) = stage.chat("one", vec![refused(), good()]);
    assert_eq!((got.status, places.join(" ")), (200, "here oc-0".to_owned()));
    assert_eq!(stage.chat("one", vec![good()]).1, ["oc-0"]);
    stage.pass(800_000);
    assert_eq!(stage.chat("one", vec![good()]).1, ["here"]);
}

#[test]
fn refusals_of_all_formats_are_explained() {
    for (model, status, body, words) in [
        ("open/m", 403, OPENAI, "Country, region, or territory not supported. This provider refuses"),
        ("claude/m", 403, ANTHROPIC, "Request not allowed. This provider refuses"),
        ("gemini/m", 400, GEMINI, "User location is not supported for the API use. This provider refuses"),
    ] {
        let refused = || Script::json(status, body);
        let stage = Stage::new();
        let (got, places) = stage.chat(model, vec![refused(), refused(), refused()]);
        let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(words) && message.contains("`region` of this provider"), "{message}");
        assert_eq!((got.status, got.code().as_str()), (status, "provider_region_refused"), "{model}");
        let expected: &[&str] = if model == "open/m" { &["here"] } else { &["here", "wnam-0", "wnam-1"] };
        assert_eq!(places, expected, "{model}");
    }
}
