//! What responses cost their callers where tokens are not all: searches, and charges that providers report.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

mod support;

use llm_bridge::gateway::Opened;
use serde_json::{Value, json};
use support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
providers:
  claude: { adapter: anthropic, base_url: https://claude.example, catalogue: anthropic, models: '*' }
  feeless: { adapter: anthropic, base_url: https://claude.example, models: { m: { price: { input: 1, output: 2 } } } }
  unknown: { base_url: https://up.example, models: { m: {}, priced: { price: { input: 1, output: 2 } } } }
  usd: { base_url: https://up.example, reports_cost: usd, models: '*' }
  none: { base_url: https://up.example, reports_cost: none, models: '*' }
  router: { base_url: https://openrouter.ai/api/v1, models: '*' }
";
const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("ADMIN_API_KEYS", "admin"),
    ("CLAUDE_API_KEY", "sk"),
    ("FEELESS_API_KEY", "sk"),
    ("UNKNOWN_API_KEY", "sk"),
    ("USD_API_KEY", "sk"),
    ("NONE_API_KEY", "sk"),
    ("ROUTER_API_KEY", "sk"),
];
const MESSAGES: &str = "POST /v1/messages";
const CHAT: &str = "POST /v1/chat/completions";
const MODEL: &str = "claude/claude-haiku-4-5";

struct Stage {
    bridge: Opened,
    world: World,
}

impl Stage {
    fn answering(body: &Value) -> Self {
        let world = World::saying(Script::json(200, body.to_string().leak()));
        Self { bridge: bridge(CONFIG, SECRETS), world }
    }

    fn streaming(events: String) -> Self {
        let world = World::saying(Script::stream(vec![Ok(events.leak())]));
        Self { bridge: bridge(CONFIG, SECRETS), world }
    }

    fn post(&self, key: &str, line: &str, body: &Value) -> Got {
        let bearer = format!("Bearer {key}");
        ask(&self.bridge, &self.world, line, &[("authorization", &bearer)], &body.to_string())
    }

    /// A key with a budget in dollars, for the time of the key.
    fn key(&self, budget: &str) -> String {
        let wish = json!({"id": "b", "budget": {"amount": budget, "per": "total"}});
        let got = self.post("admin", "POST /admin/api/keys", &wish);
        assert_eq!(got.status, 201, "{}", got.body);
        got.json()["key"].as_str().unwrap().to_owned()
    }
}

/// A message that took 1,000 tokens, 100 tokens and so many searches.
fn searched(searches: u64) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 1000, "output_tokens": 100, "server_tool_use": {"web_search_requests": searches}},
    })
}

/// A request that may search. Its tokens cost at most $0.0015.
fn search(model: &str, tool: &Value) -> Value {
    json!({"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}], "tools": [tool]})
}

#[test]
fn a_search_costs_the_hosts_fee() {
    // "$10 per 1,000 searches": https://platform.claude.com/docs/en/about-claude/pricing
    let tool = json!({"type": "web_search_20250305", "name": "web_search"});
    let stage = Stage::answering(&searched(3));
    let got = stage.post("k", MESSAGES, &search(MODEL, &tool));
    assert_eq!((got.status, got.header("x-llm-bridge-cost")), (200, Some("0.0315")), "{}", got.body);
    let stage = Stage::answering(&searched(1));
    let got = stage.post("k", MESSAGES, &search("feeless/m", &tool));
    assert_eq!((got.status, got.header("x-llm-bridge-cost")), (200, None), "the fee is not known");
}

#[test]
fn searches_are_reserved_of_a_budget() {
    let tool = |uses: Value| json!({"type": "web_search_20250305", "name": "web_search", "max_uses": uses});
    let most = |budget: &str, tool: &Value| {
        let stage = Stage::answering(&searched(2));
        let got = stage.post(&stage.key(budget), MESSAGES, &search(MODEL, tool));
        (got.status, if got.status == 200 { String::new() } else { got.json()["error"]["message"].to_string() })
    };
    // The whole context, because the model reads what it found: 200,000 tokens at $1.25, and 100 at $5.
    let prompt = 0.25;
    for (tool, fees) in [(tool(json!(2)), 0.02), (tool(json!(5.0)), 0.05), (tool(json!(null)), 0.10)] {
        let enough = format!("{:.4}", prompt + 0.0005 + fees);
        let (status, message) = most(&enough, &tool);
        assert_eq!(status, 200, "{enough}: {message}");
        let less = format!("{:.4}", prompt + fees);
        assert_eq!(most(&less, &tool).0, 429, "{less}");
    }
    let stage = Stage::answering(&searched(2));
    let got = stage.post(&stage.key("9"), MESSAGES, &search("feeless/m", &tool(json!(2))));
    assert_eq!(got.status, 403, "{}", got.body);
    assert!(got.body.contains("price"), "{}", got.body);
}

fn completion(usage: &Value) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}], "usage": usage})
}

fn usage(cost: &Value, details: bool) -> Value {
    let mut usage = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "cost": cost});
    if details {
        usage["cost_details"] = json!({"upstream_inference_cost": null});
    }
    usage
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

#[test]
fn a_reported_charge_is_the_cost_where_its_currency_is_known_and_no_price_is() {
    for (model, details, cost) in [
        ("router/x/y", true, Some("0.0123")),
        ("usd/m", false, Some("0.0123")),
        // The form that OpenRouter documents, at an address that is not known.
        ("unknown/m", true, Some("0.0123")),
        ("unknown/m", false, None),
        ("none/m", true, None),
        ("unknown/priced", true, Some("0.0012")),
    ] {
        let stage = Stage::answering(&completion(&usage(&json!(0.0123), details)));
        let got = stage.post("k", CHAT, &chat(model));
        assert_eq!((got.status, got.header("x-llm-bridge-cost")), (200, cost), "{model} {details}");
    }
    for cost in [json!(-1), json!("free"), json!(1e9)] {
        let stage = Stage::answering(&completion(&usage(&cost, true)));
        assert_eq!(stage.post("k", CHAT, &chat("router/x")).header("x-llm-bridge-cost"), None);
    }
    let stage = Stage::answering(&completion(&usage(&json!(0.0123), true)));
    let got = stage.post(&stage.key("9"), CHAT, &chat("router/x"));
    assert_eq!(got.status, 403, "a budget needs a price before the request: {}", got.body);
}

#[test]
fn an_unknown_cost_never_takes_the_place_of_a_reported_one() {
    let events = |usage: &Value| {
        let chunk = json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]});
        let last = json!({"choices": [], "usage": usage});
        format!("data: {chunk}\n\ndata: {last}\n\ndata: [DONE]\n\n")
    };
    for (model, reported, shown) in [
        ("router/x", json!(0.0123), json!(0.0123)),
        ("none/m", json!(0.0123), json!(0.0123)),
        ("none/m", json!("12 points"), json!("12 points")),
        ("none/m", Value::Null, Value::Null),
        ("unknown/priced", json!(0.0123), json!(0.0012)),
    ] {
        let stage = Stage::streaming(events(&usage(&reported, true)));
        let mut body = chat(model);
        (body["stream"], body["stream_options"]) = (json!(true), json!({"include_cost": true}));
        let got = stage.post("k", CHAT, &body);
        let chunks = got.body.split("data: ").filter_map(|event| serde_json::from_str::<Value>(event.trim()).ok());
        let costs: Vec<Value> =
            chunks.filter(|chunk| chunk["usage"].is_object()).map(|chunk| chunk["usage"]["cost"].clone()).collect();
        assert_eq!(costs, [shown], "{model}: {}", got.body);
    }
}
