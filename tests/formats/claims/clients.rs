//! How clients of each format ask.

use llm_bridge::formats::{
    CHAT, CLIENT_FORMATS, CONTENTS, ClientFormat, MESSAGES, ProviderFormat, RESPONSES, provider_format,
};
use serde_json::{Value, json};

/// A client.
pub(super) struct Client {
    pub(super) format: &'static ClientFormat,
    /// Its name in the manual.
    pub(super) shown: &'static str,
    /// The path, by the model, for a whole response or a stream.
    path: fn(&str, bool) -> String,
    /// Whether the model's name stands in the body.
    names_model: bool,
    /// The shortest request, without the model's name.
    pub(super) plain: fn() -> Value,
    /// What asks for a stream, and for all that responses have.
    all: fn(bool) -> Value,
    /// Checks the events of a stream by the rules of the format.
    pub(super) grammar: fn(&[Value]),
    /// What the gateway sets for a provider of the same format, each a name and its value.
    added: &'static [(&'static str, &'static str)],
}

/// The clients, in the order of the manual.
pub(super) static CLIENTS: &[Client] = &[
    Client {
        format: CHAT,
        shown: "OpenAI",
        path: |_, _| "/v1/chat/completions".to_owned(),
        names_model: true,
        plain: || json!({ "messages": [{ "role": "user", "content": "Hello" }] }),
        all: |stream| match stream {
            true => json!({ "stream": true, "stream_options": { "include_usage": true } }),
            false => json!({ "stream": false }),
        },
        grammar: |_| {},
        added: &[],
    },
    Client {
        format: MESSAGES,
        shown: "Anthropic",
        path: |_, _| "/v1/messages".to_owned(),
        names_model: true,
        plain: || json!({ "max_tokens": 2000, "messages": [{ "role": "user", "content": "Hello" }] }),
        all: |stream| json!({ "stream": stream }),
        grammar: |_| {},
        added: &[],
    },
    Client {
        format: CONTENTS,
        shown: "Gemini",
        path: |model, stream| match stream {
            true => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            false => format!("/v1beta/models/{model}:generateContent"),
        },
        names_model: false,
        plain: || json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hello" }] }] }),
        // Clients that do not ask for thoughts get none.
        all: |_| json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } } }),
        grammar: crate::gemini::grammar::check,
        added: &[],
    },
    Client {
        format: RESPONSES,
        shown: "Responses",
        path: |_, _| "/v1/responses".to_owned(),
        names_model: true,
        plain: || json!({ "input": "Hello" }),
        all: |stream| json!({ "stream": stream, "store": false, "include": ["reasoning.encrypted_content"] }),
        grammar: crate::responses::grammar::check,
        // All callers share the provider's key, so nothing is stored there.
        added: &[("store", "false"), ("include", "[\"reasoning.encrypted_content\"]")],
    },
];

/// The client of a format.
pub(super) fn client(name: &str) -> &'static Client {
    CLIENTS.iter().find(|client| client.format.name == name).unwrap()
}

/// A request: its line, and its body.
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Its format as providers speak it.
    pub(super) fn provider(&self) -> &'static ProviderFormat {
        provider_format(self.format.name).unwrap()
    }

    /// A document as the client sends it, for this model. The model stands first, so that the rest stays as it was
    /// written.
    pub(super) fn asks(&self, document: &Value, model: &str, stream: bool) -> Asked {
        let text = document.to_string();
        let body = match self.names_model {
            true => format!("{{\"model\":\"{model}\",{}", text.strip_prefix('{').unwrap()),
            false => text,
        };
        Asked { line: format!("POST {}", (self.path)(model, stream)), body: body.into_bytes() }
    }

    /// The shortest request that asks for everything that a response may have, with these fields besides.
    pub(super) fn question(&self, stream: bool, more: &Value) -> Value {
        let mut document = (self.plain)();
        let fields = document.as_object_mut().unwrap();
        fields.extend((self.all)(stream).as_object().unwrap().clone());
        fields.extend(more.as_object().cloned().unwrap_or_default());
        document
    }

    /// What a provider of the same format gets: the client's own bytes, with the provider's name for the model, and
    /// with what the gateway sets.
    pub(super) fn unchanged(&self, document: &Value, body: Vec<u8>, asked: &str, model: &str) -> String {
        let mut text = String::from_utf8(body).unwrap().replacen(asked, model, 1);
        for (name, json) in self.added {
            if document[*name].is_null() {
                text.truncate(text.len() - 1);
                text.push_str(&format!(",\"{name}\":{json}}}"));
            } else if !document[*name].is_array() {
                // Lists already hold it.
                text = text.replace(&format!("\"{name}\":{}", document[*name]), &format!("\"{name}\":{json}"));
            }
        }
        text
    }
}

#[test]
fn every_format_of_clients_has_claims() {
    for format in CLIENT_FORMATS.iter().filter(|format| format.name != "toy") {
        assert!(CLIENTS.iter().any(|client| client.format.name == format.name), "{}", format.name);
    }
}
