//! The meaning of a response.

use std::collections::BTreeMap;

use llm_bridge::canonical::{ResponseEvent, Usage};
use llm_bridge::formats::ProviderFormat;
use serde_json::Value;

/// The meaning of a response, independent of cuts and of the order of its parts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Meaning {
    model: String,
    pub(super) texts: BTreeMap<u32, String>,
    thoughts: BTreeMap<u32, String>,
    /// Of each call its id, its tool's name and its arguments.
    calls: BTreeMap<(u32, u32), (String, String, String)>,
    logprobs: BTreeMap<u32, Vec<Value>>,
    finish: BTreeMap<u32, String>,
    usage: Option<Usage>,
    tier: Option<String>,
    pub(super) failed: Option<String>,
    ended: bool,
}

impl Meaning {
    fn take(&mut self, event: &ResponseEvent<'_>) {
        match event {
            ResponseEvent::Start { model, .. } => self.model = model.as_deref().unwrap_or(&self.model).to_owned(),
            ResponseEvent::Text { choice, text } => {
                self.texts.entry(*choice).or_default().push_str(&text.text().unwrap())
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
            ResponseEvent::Logprobs { choice, logprobs } => {
                let told: Value = serde_json::from_str(logprobs.get()).unwrap();
                self.logprobs.entry(*choice).or_default().extend(told["content"].as_array().unwrap().clone());
            }
            ResponseEvent::Finish { choice, reason } => drop(self.finish.insert(*choice, format!("{reason:?}"))),
            ResponseEvent::Usage(usage) => self.usage = Some(*usage),
            ResponseEvent::Tier(tier) => self.tier = Some(tier.to_string()),
            ResponseEvent::Failed(error) => self.failed = Some(error.message().to_owned()),
            ResponseEvent::End => self.ended = true,
            ResponseEvent::ReasoningState { .. } => {}
        }
    }

    fn finished(mut self) -> Self {
        for (_, _, arguments) in self.calls.values_mut() {
            // No arguments mean an empty object.
            let text = if arguments.is_empty() { "{}" } else { arguments.as_str() };
            *arguments = serde_json::from_str(text).map_or_else(|_| text.to_owned(), |json: Value| json.to_string());
        }
        // A provider that reports no tier has its usual one.
        self.tier = self.tier.filter(|tier| !matches!(tier.as_str(), "default" | "standard"));
        // After an error, the rest of the head and the end do not matter.
        if self.failed.is_some() {
            (self.model, self.usage, self.ended) = (String::new(), None, false);
        }
        self
    }

    pub(super) fn whole(format: &ProviderFormat, body: &[u8]) -> Self {
        let mut meaning = Self::default();
        if let Err(error) = (format.whole)(body, &mut |event| meaning.take(&event)) {
            meaning.failed = Some(error.message().to_owned());
        }
        meaning.finished()
    }

    pub(super) fn streamed(format: &ProviderFormat, bytes: &[u8]) -> Self {
        let (mut meaning, mut decode) = (Self::default(), (format.stream)());
        decode.push(bytes, &mut |event| meaning.take(&event));
        decode.finish(&mut |event| meaning.take(&event));
        assert_eq!(decode.malformed(), 0);
        meaning.finished()
    }
}
