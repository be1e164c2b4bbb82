//! What a request needs of its model, read from the requests of each client format; and which targets of a
//! route are left for it.
#![allow(clippy::unwrap_used, reason = "a test may insist")]

use llm_bridge::config::{Config, Needs};
use llm_bridge::formats::{CHAT, CONTENTS, ClientFormat, KINDS, MESSAGES, RESPONSES};
use llm_bridge::policy::routing::{self, Route};
use llm_bridge::wire::json::Document;

/// What a request needs.
fn needs(client: &ClientFormat, body: &str) -> Needs {
    (client.rules.demands)(&Document::read(body.as_bytes()).unwrap()).needs
}

/// The requests of one format that need exactly these.
type Row = (Needs, &'static [&'static str]);

#[track_caller]
fn assert_read(client: &ClientFormat, prompt: &str, rows: &[Row]) {
    assert!(
        Needs::WORDS.iter().all(|(_, need)| rows.iter().any(|(needs, _)| needs == need)) || client.name == "anthropic",
        "each need has a request"
    );
    for (expected, members) in rows {
        for members in *members {
            let body =
                if members.contains(prompt) { format!("{{{members}}}") } else { format!("{{{prompt}:[],{members}}}") };
            assert_eq!(needs(client, &body), *expected, "{}: {body}", client.name);
        }
    }
}

macro_rules! said {
    ($part:literal) => {
        concat!(r#""messages":[{"role":"user","content":[{"type":"text","text":"x"},"#, $part, "]}]")
    };
}

/// The requests of chats.
const CHATS: &[Row] = &[
    (
        Needs::NONE,
        &[
            said!(r#"{"type":"text","text":"{\"type\":\"image_url\"}"}"#),
            said!(r#"{"type":"file","file":{"filename":"a.txt","file_data":"data:text/plain;base64,eA=="}}"#),
            said!(r#"{"type":"file","file":{"filename":"a.md","file_data":"eA=="}}"#),
            r#""response_format":{"type":"json_object"}"#,
            r#""tools":[],"reasoning_effort":"none""#,
            r#""thinking":{"type":"disabled"},"reasoning_effort":"high""#,
            r#""reasoning":{"enabled":false}"#,
            r#""enable_thinking":false,"thinking_budget":0"#,
        ],
    ),
    (
        Needs::VISION,
        &[
            said!(r#"{"type":"image_url","image_url":{"url":"u"}}"#),
            said!(r#"{"type":"file","file":{"file_data":"data:image\/png;base64,eA=="}}"#),
            r#""messages":[{"role":"tool","content":[{"type":"image_url","image_url":{"url":"u"}}]}]"#,
        ],
    ),
    (
        Needs::AUDIO,
        &[
            said!(r#"{"type":"input_audio","input_audio":{"data":"eA==","format":"wav"}}"#),
            r#""modalities":["text","audio"]"#,
            r#""messages":[{"role":"assistant","audio":{"id":"a"}}]"#,
        ],
    ),
    (
        Needs::PDF,
        &[
            said!(r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,eA=="}}"#),
            said!(r#"{"type":"file","file":{"filename":"a.pdf","file_data":"eA=="}}"#),
            said!(r#"{"type":"file","file":{"file_id":"file-1"}}"#),
        ],
    ),
    (Needs::TOOLS, &[r#""tools":[{"type":"function","function":{"name":"f"}}]"#, r#""functions":[{"name":"f"}]"#]),
    (Needs::STRUCTURED_OUTPUT, &[r#""response_format":{"type":"json_schema","json_schema":{"name":"n"}}"#]),
    (
        Needs::THINKING,
        &[
            r#""reasoning_effort":"low""#,
            r#""thinking":{"type":"enabled"}"#,
            r#""reasoning":{"effort":"high","exclude":false}"#,
            r#""reasoning":{"max_tokens":2000}"#,
            r#""enable_thinking":true"#,
            r#""thinking_budget":2000"#,
        ],
    ),
];

#[test]
fn needs_of_chats_are_read() {
    assert_read(CHAT, "\"messages\"", CHATS);
}

/// The requests of messages.
const IN_MESSAGES: &[Row] = &[
    (
        Needs::NONE,
        &[
            said!(r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}"#),
            said!(r#"{"type":"tool_result","content":"x"}"#),
            r#""thinking":{"type":"disabled"},"output_config":{"effort":"high"}"#,
        ],
    ),
    (
        Needs::VISION,
        &[
            said!(r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"eA=="}}"#),
            said!(r#"{"type":"tool_result","content":[{"type":"image","source":{"type":"url","url":"u"}}]}"#),
            said!(r#"{"type":"document","source":{"type":"content","content":[{"type":"image","source":{}}]}}"#),
        ],
    ),
    (
        Needs::PDF,
        &[
            said!(r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"eA=="}}"#),
            said!(r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#),
        ],
    ),
    (Needs::TOOLS, &[r#""tools":[{"name":"f","input_schema":{}}]"#]),
    (
        Needs::STRUCTURED_OUTPUT,
        &[
            r#""output_config":{"format":{"type":"json_schema","schema":{}}}"#,
            r#""output_format":{"type":"json_schema","schema":{}}"#,
        ],
    ),
    (Needs::THINKING, &[r#""thinking":{"type":"enabled","budget_tokens":2000}"#, r#""thinking":{"type":"adaptive"}"#]),
];

#[test]
fn needs_of_messages_are_read() {
    assert_read(MESSAGES, "\"messages\"", IN_MESSAGES);
}

macro_rules! part {
    ($part:literal) => {
        concat!(r#""contents":[{"parts":[{"text":"x"},"#, $part, "]}]")
    };
}

/// The requests of contents.
const IN_CONTENTS: &[Row] = &[
    (
        Needs::NONE,
        &[
            part!(r#"{"inlineData":{"mimeType":"text/plain","data":"eA=="}}"#),
            r#""generationConfig":{"responseMimeType":"application/json","thinkingConfig":{"thinkingBudget":0}}"#,
            r#""generationConfig":{"thinkingConfig":{"includeThoughts":false}}"#,
            r#""tools":[{"googleSearch":{}}]"#,
        ],
    ),
    (
        Needs::VISION,
        &[
            part!(r#"{"inline_data":{"mime_type":"image/png","data":"eA=="}}"#),
            part!(r#"{"fileData":{"fileUri":"https://a.example/a.png"}}"#),
            part!(r#"{"functionResponse":{"response":{},"parts":[{"inlineData":{"mimeType":"image/png"}}]}}"#),
        ],
    ),
    (
        Needs::AUDIO,
        &[
            part!(r#"{"fileData":{"mimeType":"audio/wav","fileUri":"u"}}"#),
            r#""generationConfig":{"responseModalities":["AUDIO"]}"#,
        ],
    ),
    (
        Needs::PDF,
        &[
            part!(r#"{"inlineData":{"mimeType":"application/pdf","data":"eA=="}}"#),
            part!(r#"{"file_data":{"file_uri":"https://a.example/a.pdf"}}"#),
        ],
    ),
    (Needs::TOOLS, &[r#""tools":[{"functionDeclarations":[{"name":"f"}]}]"#]),
    (
        Needs::STRUCTURED_OUTPUT,
        &[
            r#""generationConfig":{"responseSchema":{"type":"OBJECT"}}"#,
            r#""generation_config":{"response_json_schema":{"type":"object"}}"#,
        ],
    ),
    (
        Needs::THINKING,
        &[
            r#""generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}"#,
            r#""generation_config":{"thinking_config":{"thinking_level":"high"}}"#,
            r#""generationConfig":{"thinkingConfig":{"includeThoughts":true}}"#,
        ],
    ),
];

#[test]
fn needs_of_contents_are_read() {
    assert_read(CONTENTS, "\"contents\"", IN_CONTENTS);
}

macro_rules! item {
    ($part:literal) => {
        concat!(r#""input":[{"role":"user","content":[{"type":"input_text","text":"x"},"#, $part, "]}]")
    };
}

/// The requests of responses.
const IN_RESPONSES: &[Row] = &[
    (
        Needs::NONE,
        &[
            r#""input":"x","text":{"format":{"type":"json_object"}},"reasoning":{"effort":"none"}"#,
            r#""input":"x","reasoning":{"summary":null},"tools":[]"#,
            item!(r#"{"type":"input_file","filename":"a.txt","file_data":"data:text/plain;base64,eA=="}"#),
            r#""input":[{"type":"function_call_output","call_id":"c","output":"{\"type\":\"input_image\"}"}]"#,
        ],
    ),
    (
        Needs::VISION,
        &[
            item!(r#"{"type":"input_image","image_url":"u"}"#),
            r#""input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}]"#,
            r#""input":[{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","image_url":"u"}}]"#,
        ],
    ),
    (Needs::AUDIO, &[item!(r#"{"type":"input_audio","input_audio":{"data":"eA==","format":"wav"}}"#)]),
    (
        Needs::PDF,
        &[
            item!(r#"{"type":"input_file","file_data":"data:application/pdf;base64,eA=="}"#),
            item!(r#"{"type":"input_file","file_url":"https://a.example/a"}"#),
            item!(r#"{"type":"input_file","file_id":"file-1"}"#),
        ],
    ),
    (Needs::TOOLS, &[r#""input":"x","tools":[{"type":"function","name":"f"}]"#]),
    (Needs::STRUCTURED_OUTPUT, &[r#""input":"x","text":{"format":{"type":"json_schema","schema":{}}}"#]),
    (Needs::THINKING, &[r#""input":"x","reasoning":{"effort":"low","summary":"auto"}"#]),
];

#[test]
fn needs_of_responses_are_read() {
    assert_read(RESPONSES, "\"input\"", IN_RESPONSES);
}

const CONFIG: &str = "providers:
  p: { base_url: 'https://p.ai', models: { can: { input_kinds: [text, image, audio, pdf] }, blind: { input_kinds: [text] },
    idle: { tools: false }, loose: { structured_output: false }, unknown: {} } }
  g: { base_url: 'https://api.openai.com/v1', models: '*' }
routes:
  needs: [p/blind, p/idle, p/loose, p/can, p/unknown]
  thoughts: [g/gpt-4.1, g/gpt-5, p/unknown]
  thoughtless: [g/gpt-4.1, g/gpt-4o]
  thinkers: { targets: [{ model: g/gpt-5, when: { needs: [thinking] } }, g/gpt-4.1] }
";

fn shown(route: &Route<'_>) -> Vec<String> {
    route.candidates.iter().map(|candidate| candidate.target.upstream.to_string()).collect()
}

#[test]
fn targets_that_are_known_not_to_serve_a_need_are_left_out() {
    let config = Config::read(CONFIG, KINDS).unwrap();
    let left = |name: &str, needs: Needs| {
        let mut route = routing::resolve(&config, name).unwrap();
        route.fit(100, needs, 0).unwrap();
        shown(&route)
    };
    let all = ["blind", "idle", "loose", "can", "unknown"];
    assert_eq!(left("needs", Needs::NONE), all);
    for need in [Needs::VISION, Needs::AUDIO, Needs::PDF] {
        assert_eq!(left("needs", need), ["idle", "loose", "can", "unknown"]);
    }
    assert_eq!(left("needs", Needs::TOOLS), ["blind", "loose", "can", "unknown"]);
    assert_eq!(left("needs", Needs::STRUCTURED_OUTPUT), ["blind", "idle", "can", "unknown"]);
    assert_eq!(left("needs", Needs::VISION.with(Needs::TOOLS)), ["loose", "can", "unknown"]);
}

#[test]
fn targets_that_cannot_think_come_last_if_it_is_wished() {
    let config = Config::read(CONFIG, KINDS).unwrap();
    let order = |name: &str, needs: Needs| {
        let mut route = routing::resolve(&config, name).unwrap();
        route.fit(100, needs, 0).unwrap();
        let late: Vec<bool> = route.candidates.iter().map(|candidate| candidate.is_late).collect();
        (shown(&route), late)
    };
    let listed = |names: &[&str], late: &[bool]| (names.iter().map(|name| (*name).to_owned()).collect(), late.to_vec());
    assert_eq!(order("thoughts", Needs::NONE), listed(&["gpt-4.1", "gpt-5", "unknown"], &[false; 3]));
    assert_eq!(order("thoughts", Needs::THINKING), listed(&["gpt-5", "unknown", "gpt-4.1"], &[false, false, true]));
    assert_eq!(order("thoughtless", Needs::THINKING), listed(&["gpt-4.1", "gpt-4o"], &[true; 2]));
    assert_eq!(order("thinkers", Needs::THINKING).0, ["gpt-5", "gpt-4.1"]);
    assert_eq!(order("thinkers", Needs::NONE).0, ["gpt-4.1"]);
}
