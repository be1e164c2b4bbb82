//! The toy format with each of the others, as client and as provider, whole and streamed: what it needs of
//! the gateway, its folder and its row in the table of formats have to suffice for.

use llm_bridge::gateway::platform::CallError;
use serde_json::{Value, json};

use crate::support::{Got, Script, World, ask, bridge};

const CONFIG: &str = "
providers:
  openai: { adapter: openai, base_url: https://openai.example/v1, models: { m: { max_tokens: 50, price: { input: 1, output: 2 } } } }
  anthropic: { adapter: anthropic, base_url: https://anthropic.example, models: { m: { max_tokens: 50 } } }
  gemini: { adapter: gemini, base_url: https://gemini.example/v1beta, models: { m: { max_tokens: 50 } } }
  toy: { adapter: toy, base_url: https://toy.example/v1, models: { m: { max_tokens: 50, price: { input: 1, output: 2 } } } }
";

const SECRETS: &[(&str, &str)] = &[
    ("ACCESS_API_KEYS", "k"),
    ("OPENAI_API_KEY", "key-of-openai"),
    ("ANTHROPIC_API_KEY", "key-of-anthropic"),
    ("GEMINI_API_KEY", "key-of-gemini"),
    ("TOY_API_KEY", "key-of-toy"),
];

const CLIENTS: &[&str] = &["openai", "anthropic", "toy"];
const PROVIDERS: &[&str] = &["openai", "anthropic", "gemini", "toy"];

/// The pairs of a client's and a provider's format in which one is the toy.
fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = CLIENTS.iter().flat_map(|client| PROVIDERS.iter().map(|provider| (*client, *provider)));
    all.filter(|(client, provider)| *client == "toy" || *provider == "toy")
}

/// Sends a request with a limit of 99 tokens in a client's format.
fn send(client: &str, provider: &str, streamed: bool, script: Script) -> (Got, World) {
    let model = format!("{provider}/m");
    let (line, body) = match client {
        "openai" => (
            "POST /v1/chat/completions".to_owned(),
            json!({
                "model": model, "max_tokens": 99, "temperature": 0.5, "stream": streamed,
                "stream_options": { "include_usage": true },
                "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hi" }],
            }),
        ),
        "anthropic" => (
            "POST /v1/messages".to_owned(),
            json!({
                "model": model, "max_tokens": 99, "temperature": 0.5, "stream": streamed, "system": "Be brief.",
                "messages": [{ "role": "user", "content": "Hi" }],
            }),
        ),
        _ => (
            format!("POST /v1/toy/{model}:continue"),
            json!({
                "dialogue": [{ "by": "system", "says": "Be brief." }, { "by": "user", "says": "Hi" }],
                "budget": 99, "warmth": 0.5, "live": streamed,
            }),
        ),
    };
    let world = World::saying(script);
    let got = ask(&bridge(CONFIG, SECRETS), &world, &line, &[("authorization", "Bearer k")], &body.to_string());
    (got, world)
}

/// A response of a provider: the text `Hello there`, 3 tokens read and 2 written.
fn response(provider: &str, streamed: bool) -> Script {
    if streamed { stream(provider) } else { whole(provider) }
}

fn stream(provider: &str) -> Script {
    let pieces = match provider {
        "openai" => vec![
            Ok("data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n"),
            Ok("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" there\"},\"finish_reason\":\"stop\"}]}\n\n"),
            Ok("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"),
        ],
        "anthropic" => vec![
            Ok(
                "data: {\"type\":\"message_start\",\"message\":{\"id\":\"a\",\"model\":\"m-1\",\"usage\":{\"input_tokens\":3,\"output_tokens\":0}}}\n\n",
            ),
            Ok(
                "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            ),
            Ok(
                "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello there\"}}\n\n",
            ),
            Ok(
                "data: {\"type\":\"content_block_stop\",\"index\":0}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n",
            ),
            Ok("data: {\"type\":\"message_stop\"}\n\n"),
        ],
        "gemini" => vec![
            Ok(
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hello\"}]}}],\"modelVersion\":\"m-1\"}\n\n",
            ),
            Ok(
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" there\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":2,\"totalTokenCount\":5}}\n\n",
            ),
        ],
        _ => vec![
            Ok("{\"model\":\"m-1\"}\n{\"says\":\"Hel"),
            Ok("lo\"}\n{\"says\":\" there\"}\n"),
            Ok("{\"stop\":\"end\"}\n{\"trailer\":{\"read\":3,\"wrote\":2}}\n"),
        ],
    };
    let kind = if provider == "toy" { "application/x-ndjson" } else { "text/event-stream" };
    Script { status: 200, headers: vec![("content-type", kind)], pieces }
}

fn whole(provider: &str) -> Script {
    Script::json(
        200,
        match provider {
            "openai" => {
                r#"{"model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#
            }
            "anthropic" => {
                r#"{"id":"a","type":"message","role":"assistant","model":"m-1","content":[{"type":"text","text":"Hello there"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#
            }
            "gemini" => {
                r#"{"candidates":[{"content":{"parts":[{"text":"Hello there"}]},"finishReason":"STOP"}],"modelVersion":"m-1","usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}"#
            }
            _ => r#"{"model":"m-1","says":"Hello there","stop":"end","trailer":{"read":3,"wrote":2}}"#,
        },
    )
}

/// What a client reads in a response.
#[derive(Debug, Default, PartialEq)]
struct Read {
    text: String,
    stop: String,
    read: u64,
    wrote: u64,
    has_ended: bool,
    error: Option<String>,
}

impl Read {
    fn of(client: &str, streamed: bool, body: &str) -> Self {
        let mut read = Self { has_ended: !streamed, ..Self::default() };
        match (client, streamed) {
            ("toy", _) => body.lines().filter(|line| !line.is_empty()).for_each(|line| read.toy(&json_of(line))),
            (_, false) => read.whole(client, &json_of(body)),
            ("openai", true) => data_of(body).for_each(|data| read.chunk(data)),
            (_, true) => data_of(body).for_each(|data| read.event(&json_of(data))),
        }
        read
    }

    fn whole(&mut self, client: &str, body: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let [content, stop, input, output] = match client {
            "openai" => [
                "/choices/0/message/content",
                "/choices/0/finish_reason",
                "/usage/prompt_tokens",
                "/usage/completion_tokens",
            ],
            _ => ["/content/0/text", "/stop_reason", "/usage/input_tokens", "/usage/output_tokens"],
        }
        .map(|at| body.pointer(at).cloned().unwrap_or_default());
        (self.text, self.stop) = (text(&content), text(&stop));
        (self.read, self.wrote) = (input.as_u64().unwrap_or(0), output.as_u64().unwrap_or(0));
        self.error = body.pointer("/error/message").map(text);
    }

    fn chunk(&mut self, data: &str) {
        if data == "[DONE]" {
            self.has_ended = true;
            return;
        }
        let chunk = json_of(data);
        self.text += chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).unwrap_or_default();
        self.stop += chunk.pointer("/choices/0/finish_reason").and_then(Value::as_str).unwrap_or_default();
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            (self.read, self.wrote) =
                (usage["prompt_tokens"].as_u64().unwrap(), usage["completion_tokens"].as_u64().unwrap());
        }
        if let Some(message) = chunk.pointer("/error/message") {
            self.error = message.as_str().map(str::to_owned);
        }
    }

    fn event(&mut self, event: &Value) {
        match event["type"].as_str().unwrap() {
            "content_block_delta" => self.text += event["delta"]["text"].as_str().unwrap_or_default(),
            "message_delta" => {
                self.stop = event["delta"]["stop_reason"].as_str().unwrap_or_default().to_owned();
                self.read = event["usage"]["input_tokens"].as_u64().unwrap_or(0);
                self.wrote = event["usage"]["output_tokens"].as_u64().unwrap_or(0);
            }
            "message_stop" => self.has_ended = true,
            "error" => self.error = event["error"]["message"].as_str().map(str::to_owned),
            _ => {}
        }
    }

    fn toy(&mut self, line: &Value) {
        self.text += line["says"].as_str().unwrap_or_default();
        self.stop += line["stop"].as_str().unwrap_or_default();
        if let Some(trailer) = line.get("trailer") {
            (self.read, self.wrote) = (trailer["read"].as_u64().unwrap(), trailer["wrote"].as_u64().unwrap());
            self.has_ended = true;
        }
        if let Some(fault) = line.get("fault") {
            self.error = fault["text"].as_str().map(str::to_owned);
        }
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn data_of(body: &str) -> impl Iterator<Item = &str> {
    body.lines().filter_map(|line| line.strip_prefix("data: "))
}

/// The client's word for a response that came to its end.
fn stop_word(client: &str) -> &'static str {
    match client {
        "openai" => "stop",
        "anthropic" => "end_turn",
        _ => "end",
    }
}

fn expected(client: &str) -> Read {
    Read { text: "Hello there".into(), stop: stop_word(client).into(), read: 3, wrote: 2, has_ended: true, error: None }
}

#[test]
fn a_whole_response_arrives_in_each_pair() {
    for (client, provider) in pairs() {
        let (got, world) = send(client, provider, false, response(provider, false));
        assert_eq!(got.status, 200, "{client} to {provider}: {}", got.body);
        assert_eq!(Read::of(client, false, &got.body), expected(client), "{client} to {provider}: {}", got.body);
        let tokens = world.receipts.borrow()[0].tokens.unwrap();
        assert_eq!(tokens.uncached_input, 3, "{client} to {provider}");
        assert_eq!(tokens.output, 2, "{client} to {provider}");
    }
}

#[test]
fn a_streamed_response_arrives_in_each_pair() {
    for (client, provider) in pairs() {
        let (got, world) = send(client, provider, true, response(provider, true));
        let kind = if client == "toy" { "application/x-ndjson" } else { "text/event-stream" };
        assert!(got.header("content-type").unwrap().starts_with(kind), "{client} to {provider}: {:?}", got.headers);
        assert_eq!(Read::of(client, true, &got.body), expected(client), "{client} to {provider}: {}", got.body);
        let receipt = &world.receipts.borrow()[0];
        assert_eq!(receipt.outcome, "complete", "{client} to {provider}");
        assert_eq!(receipt.tokens.unwrap().output, 2, "{client} to {provider}");
    }
}

#[test]
fn a_complete_response_is_streamed_if_a_stream_was_requested() {
    for (client, provider) in pairs() {
        let (got, _) = send(client, provider, true, response(provider, false));
        assert_eq!(Read::of(client, true, &got.body), expected(client), "{client} to {provider}: {}", got.body);
    }
}

#[test]
fn the_limit_and_the_model_arrive_under_the_providers_names() {
    for (client, provider) in pairs() {
        let (_, world) = send(client, provider, false, response(provider, false));
        let (call, sent) = (world.call(), json_of(std::str::from_utf8(&world.call().body).unwrap()));
        let (path, limit) = match provider {
            "openai" => ("/v1/chat/completions", "/max_tokens"),
            "anthropic" => ("/v1/messages", "/max_tokens"),
            "gemini" => ("/v1beta/models/m:generateContent", "/generationConfig/maxOutputTokens"),
            _ => ("/v1/toy/m:continue", "/budget"),
        };
        assert_eq!(call.url, format!("https://{provider}.example{path}"), "{client}");
        assert_eq!(sent.pointer(limit), Some(&json!(50)), "{client} to {provider}: {sent}");
        assert_eq!(sent.get("model").is_some(), matches!(provider, "openai" | "anthropic"), "{sent}");
    }
}

#[test]
fn an_error_within_a_success_is_an_error() {
    let fault = r#"{"fault":{"kind":"busy","text":"Come back later."}}"#;
    for client in CLIENTS {
        let (got, _) = send(client, "toy", false, Script::json(200, fault));
        assert_eq!(got.status, 529, "{client}: {}", got.body);
        let read =
            if *client == "toy" { Read::of("toy", false, &got.body) } else { Read::of(client, false, &got.body) };
        assert_eq!(read.error.as_deref(), Some("Come back later."), "{client}: {}", got.body);
    }
}

#[test]
fn an_error_in_a_stream_is_an_error_before_and_after_content() {
    let fault = "{\"fault\":{\"kind\":\"busy\",\"text\":\"Come back later.\"}}\n";
    for client in CLIENTS {
        let stream =
            |pieces| Script { headers: vec![("content-type", "application/x-ndjson")], ..Script::stream(pieces) };
        let (got, _) = send(client, "toy", true, stream(vec![Ok(fault)]));
        assert_eq!(got.status, 529, "{client}: {}", got.body);
        let (got, world) = send(client, "toy", true, stream(vec![Ok("{\"says\":\"Hel\"}\n"), Ok(fault)]));
        let read = Read::of(client, true, &got.body);
        assert_eq!(got.status, 200, "{client}: {}", got.body);
        assert_eq!(read.text, "Hel", "{client}: {}", got.body);
        assert_eq!(read.error.as_deref(), Some("Come back later."), "{client}: {}", got.body);
        assert_ne!(world.receipts.borrow()[0].outcome, "complete", "{client}");
    }
}

#[test]
fn a_stream_without_its_trailer_is_incomplete() {
    for client in CLIENTS {
        let pieces = vec![Ok("{\"model\":\"m-1\"}\n{\"says\":\"Hel\"}\n")];
        let script = Script { headers: vec![("content-type", "application/x-ndjson")], ..Script::stream(pieces) };
        let (got, world) = send(client, "toy", true, script);
        let read = Read::of(client, true, &got.body);
        assert!(read.error.is_some(), "{client}: {}", got.body);
        assert_ne!(world.receipts.borrow()[0].outcome, "complete", "{client}");
    }
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let script = response("toy", true);
    let stream: String = script.pieces.iter().map(|piece| piece.clone().unwrap()).collect();
    let stream: &'static str = stream.leak();
    for client in CLIENTS {
        for cut in 1..stream.len() {
            let (before, after) = stream.split_at(cut);
            let script = Script { pieces: vec![Ok(before), Ok(after)], ..script.clone() };
            let (got, _) = send(client, "toy", true, script);
            assert_eq!(Read::of(client, true, &got.body), expected(client), "{client}, cut at {cut}: {}", got.body);
        }
    }
}

#[test]
fn a_request_is_signed_when_it_is_finished() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    for client in CLIENTS {
        let (_, world) = send(client, "toy", false, response("toy", false));
        let call = world.call();
        let header = |name: &str| {
            let found = call.headers.iter().find(|(known, _)| known == name);
            found.unwrap_or_else(|| panic!("{client}: {name}")).1.clone()
        };
        let signed = [header("x-toy-time").as_bytes(), call.url.as_bytes(), &call.body].join(&b'\n');
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"key-of-toy").unwrap();
        mac.update(&signed);
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(header("x-toy-signature"), signature, "{client}");
        assert!(!format!("{call:?}").contains("key-of-toy"), "{client}");
    }
}

#[test]
fn a_client_of_a_silent_provider_gets_an_empty_line() {
    let pieces = vec![Ok("{\"says\":\"Hello\"}\n"), Err(CallError::TimedOut), Ok("{\"says\":\" there\"}\n")];
    let end = Ok("{\"stop\":\"end\"}\n{\"trailer\":{\"read\":3,\"wrote\":2}}\n");
    let script = Script { pieces: [pieces, vec![end]].concat(), ..response("toy", true) };
    let (got, _) = send("toy", "toy", true, script);
    assert!(got.body.contains("\"Hello\"}\n\n"), "{}", got.body);
    assert_eq!(Read::of("toy", true, &got.body), expected("toy"));
}

#[test]
fn keys_are_redacted_in_the_lines_of_a_stream() {
    let piece = "{\"says\":\"Hel\"}\n{\"fault\":{\"kind\":\"busy\",\"text\":\"No key-of-toy today.\"}}\n";
    for client in CLIENTS {
        let script = Script { pieces: vec![Ok(piece)], ..response("toy", true) };
        let (got, _) = send(client, "toy", true, script);
        assert_eq!(Read::of(client, true, &got.body).error.as_deref(), Some("No *** today."), "{client}");
    }
}

#[test]
fn fields_without_a_place_are_named() {
    let body = json!({
        "model": "toy/m", "messages": [{ "role": "user", "content": "Hi" }], "seed": 7, "n": 2, "odd": 1,
        "tools": [{ "type": "function", "function": { "name": "f" } }],
    });
    let world = World::saying(response("toy", false));
    let line = "POST /v1/chat/completions";
    let got = ask(&bridge(CONFIG, SECRETS), &world, line, &[("authorization", "Bearer k")], &body.to_string());
    assert_eq!(got.header("x-llm-bridge-dropped"), Some("odd, tools, n, seed"));
}

#[test]
fn a_refusal_is_written_in_the_clients_format() {
    let refused = |line: &str, body: &str| {
        let world = World::default();
        let got = ask(&bridge(CONFIG, SECRETS), &world, line, &[("authorization", "Bearer k")], body);
        let fault = json_of(got.body.trim_end())["fault"]["kind"].as_str().unwrap().to_owned();
        (got.status, fault)
    };
    let dialogue = r#"{"dialogue":[]}"#;
    assert_eq!(refused("POST /toy/toy/m:stop", dialogue), (404, "unknown_url".into()));
    assert_eq!(refused("GET /toy/toy/m:continue", ""), (405, "method_not_allowed".into()));
    assert_eq!(refused("POST /toy/toy/x:continue", dialogue), (404, "model_not_found".into()));
    assert_eq!(refused("POST /toy/toy/m:continue", "{}"), (400, "missing_required_parameter".into()));
    assert_eq!(refused("POST /toy/toy/m:continue", r#"{"dialogue":[],"live":1}"#), (400, "invalid_type".into()));
}

#[test]
fn a_models_name_may_need_encoding_in_a_path() {
    let config = "providers: { toy: { adapter: toy, base_url: https://toy.example, models: { a/b c: {} } } }";
    let world = World::saying(response("toy", false));
    let line = "POST /toy/a%2Fb%20c:continue";
    let got = ask(&bridge(config, SECRETS), &world, line, &[("authorization", "Bearer k")], r#"{"dialogue":[]}"#);
    assert_eq!(got.status, 200, "{}", got.body);
    assert_eq!(world.call().url, "https://toy.example/toy/a%2Fb%20c:continue");
}

#[test]
fn a_keys_budget_sets_the_limit_under_the_formats_name() {
    let config = "providers: { toy: { adapter: toy, base_url: https://toy.example, models: { m: { max_output: 100000, price: { input: 1, output: 2 } } } } }";
    let secrets = [SECRETS, &[("ADMIN_API_KEYS", "admin")]].concat();
    for (line, body) in [
        ("POST /toy/m:continue", r#"{"dialogue":[{"by":"user","says":"Hi"}]}"#),
        ("POST /v1/chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#),
    ] {
        let (gateway, world) = (bridge(config, &secrets), World::saying(response("toy", false)));
        let key = r#"{"id":"a","budget":{"amount":"0.05","per":"total","fit":true}}"#;
        let made = ask(&gateway, &world, "POST /admin/api/keys", &[("authorization", "Bearer admin")], key);
        let bearer = format!("Bearer {}", made.json()["key"].as_str().unwrap());
        let got = ask(&gateway, &world, line, &[("authorization", &bearer)], body);
        assert_eq!(got.status, 200, "{line}: {}", got.body);
        let sent = json_of(std::str::from_utf8(&world.call().body).unwrap());
        let limit = sent["budget"].as_u64().unwrap();
        assert!((10_000..13_000).contains(&limit), "{line}: {sent}");
    }
}
