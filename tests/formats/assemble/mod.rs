//! Streams assembled to whole responses: recorded ones, ones that go wrong, and ones with unknown fields.

mod documents;
mod errors;
mod fields;
mod recorded;
mod requests;

use std::collections::BTreeMap;

use llm_bridge::canonical::{ResponseEvent, Usage};
use llm_bridge::error::Result;
use llm_bridge::formats::{AssembleOptions, Assembler, PROVIDER_FORMATS, ProviderFormat};
use serde_json::Value;

const MAX_BYTES: usize = 1 << 20;

fn format(name: &str) -> &'static ProviderFormat {
    PROVIDER_FORMATS.iter().find(|format| format.kind.name == name).unwrap()
}

/// Assembles a stream in pieces.
fn assemble<'p>(name: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Vec<u8>> {
    let options = AssembleOptions { max_bytes: MAX_BYTES, choices: 1 };
    let mut assembler = Assembler::new(format(name), options).unwrap();
    for piece in pieces {
        assembler.push(piece)?;
    }
    assembler.finish()
}

/// Events with this data. `sse` for lines of text.
fn sse(data: &[&str]) -> Vec<u8> {
    data.iter().flat_map(|data| format!("data: {data}\n\n").into_bytes()).collect()
}

fn assembled(name: &str, data: &[&str]) -> Value {
    let document = assemble(name, [sse(data).as_slice()]).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&document).unwrap()
}

/// What a response says, with the pieces of a text joined.
#[derive(Debug, Default, PartialEq)]
struct Said {
    id: String,
    model: String,
    texts: BTreeMap<u32, String>,
    thoughts: BTreeMap<u32, String>,
    calls: BTreeMap<(u32, u32), (String, String, String)>,
    states: Vec<(String, Value)>,
    finish: BTreeMap<u32, String>,
    usage: Option<Usage>,
    tier: Option<String>,
    ended: bool,
    failed: Option<String>,
}

impl Said {
    fn take(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { id, model } => {
                id.iter().for_each(|id| self.id = id.to_string());
                model.iter().for_each(|model| self.model = model.to_string());
            }
            ResponseEvent::Text { choice, text } => {
                self.texts.entry(*choice).or_default().push_str(&text.text().unwrap());
            }
            ResponseEvent::Thinking { choice, text } => {
                self.thoughts.entry(*choice).or_default().push_str(&text.text().unwrap());
            }
            ResponseEvent::Call { choice, call, id, name } => {
                self.calls.insert((*choice, *call), (id.to_string(), name.to_string(), String::new()));
            }
            ResponseEvent::Arguments { choice, call, json } => {
                self.calls.get_mut(&(*choice, *call)).unwrap().2.push_str(&json.text().unwrap());
            }
            ResponseEvent::ReasoningState { id, memory } => {
                self.states.push((id.to_string(), serde_json::from_str(memory.get()).unwrap()));
            }
            ResponseEvent::Finish { choice, reason } => drop(self.finish.insert(*choice, format!("{reason:?}"))),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.to_string()),
            ResponseEvent::End => self.ended = true,
            ResponseEvent::Failed(error) => self.failed = Some(error.message().to_owned()),
            ResponseEvent::Logprobs { .. } => {}
        }
    }

    fn streamed(name: &str, bytes: &[u8]) -> Self {
        let (mut said, mut decode) = (Self::default(), (format(name).stream)());
        decode.push(bytes, &mut |event| said.take(&event));
        decode.finish(&mut |event| said.take(&event));
        said
    }

    fn whole(name: &str, bytes: &[u8]) -> Result<Self> {
        let mut said = Self::default();
        (format(name).whole)(bytes, &mut |event| said.take(&event))?;
        Ok(said)
    }
}
