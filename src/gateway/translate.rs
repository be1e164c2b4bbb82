//! Between two wire formats: a request is read in its client's and written in its provider's, its answer the other way, step by step. It
//! knows neither.

use std::borrow::Cow;
use std::rc::Rc;

use super::host::Call;
use crate::adapters::{Aim, Client, Decode, Each, Encode, Head, Listen, Upstream};
use crate::chat::{Event, Usage};
use crate::config::OnDisconnect;
use crate::error::{Error, Result};
use crate::policy::price;
use crate::policy::route::Target;
use crate::provider::{Secret, params};
use crate::wire::json::Document;

/// So much of an answer is kept for its tokens to be counted, in bytes.
const WORDS: usize = 32 << 10;

/// What is learnt of an answer while it is translated.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) usage: Option<Usage>,
    pub(super) model: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) words: Vec<u8>,
    pub(super) said: u64,
    error: Option<Error>,
    /// Answers that have begun, and whether they have ended.
    choices: Vec<(u32, bool)>,
    ended: bool,
    content: bool,
    /// The text, if it is kept.
    text: Option<String>,
}

/// A streamed answer on its way from one format to another.
pub(super) struct Translate {
    decode: Box<dyn Decode>,
    encode: Box<dyn Encode>,
    facts: Facts,
}

/// The two formats of an exchange, and what the head of its answer says.
pub(super) struct Pair {
    pub(super) upstream: &'static Upstream,
    pub(super) client: &'static Client,
    pub(super) head: Head,
    /// What cannot be carried is refused before it costs anything.
    pub(super) strict: bool,
}

/// The response header that names what a provider was not told.
pub(super) const DROPPED: &str = "x-llm-bridge-dropped";

impl Pair {
    /// The call that a request becomes, and what of it the provider is not told.
    ///
    /// # Errors
    /// 400 for what is not as the client's format wants it, or cannot be said in the provider's.
    pub(super) fn call(
        &self,
        document: &Document<'_>,
        target: &Target<'_>,
        key: Option<&Secret>,
    ) -> Result<(Call, Vec<Cow<'static, str>>)> {
        let mut request = (self.client.read)(document)?;
        let (row, provider) = (target.model, target.provider);
        request.max_tokens = request.max_tokens.map(|asked| row.max_tokens.map_or(asked, |most| asked.min(most)));
        let longest = price::card(provider, row, &target.upstream).max_output;
        let max_output = [row.max_tokens, longest].into_iter().flatten().min();
        let written = (self.upstream.write)(&request, Aim { model: &target.upstream, max_output })?;
        if self.strict && !written.dropped.is_empty() {
            let message =
                format!("The provider cannot be told: {}. This request is strict.", written.dropped.join(", "));
            let first = written.dropped.first().cloned().unwrap_or_default();
            return Err(Error::caller(400, "unsupported_parameter", message).at(first));
        }
        let mut headers = provider.headers.clone();
        let own = key.map(|key| (self.upstream.key)(key.reveal())).into_iter().chain(written.headers);
        headers.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let mut body = written.body;
        if let Ok(mut document) = Document::read(&body) {
            params::apply(&mut document, &row.params);
            if let Cow::Owned(edited) = document.render() {
                body = edited;
            }
        }
        let call = Call {
            url: provider.address.as_ref().map(|address| address.join(&written.path)).unwrap_or_default(),
            headers,
            body: Rc::new(body),
            stream: request.stream,
            ends_with_client: provider.streaming.on_disconnect == OnDisconnect::Cancel,
        };
        Ok((call, written.dropped))
    }

    /// Translates a whole answer.
    ///
    /// # Errors
    /// 502 if it is none, or an error in spite of its status.
    pub(super) fn whole(&self, body: &[u8]) -> Result<(Vec<u8>, Facts)> {
        let (mut facts, mut events) = (Facts::default(), Vec::new());
        (self.upstream.whole)(body, &mut |event| {
            facts.note(&event);
            events.push(event.owned());
        })?;
        match facts.error.take() {
            Some(error) => Err(error),
            None if !facts.is_whole() => {
                Err(Error::upstream(502, "upstream_invalid_response", "The provider's answer does not come to an end."))
            }
            None => Ok(((self.client.whole)(&self.head, &events), facts)),
        }
    }

    /// Translates a streamed answer. `keeps_text`: its text is kept, for operators who want it in their log.
    pub(super) fn stream(&self, keeps_text: bool) -> Translate {
        let facts = Facts { text: keeps_text.then(String::new), ..Facts::default() };
        Translate { decode: (self.upstream.stream)(), encode: (self.client.stream)(self.head.clone()), facts }
    }
}

impl Translate {
    /// Reads, and writes what comes of it.
    fn step(&mut self, read: impl FnOnce(&mut dyn Decode, Each<'_>)) -> Vec<u8> {
        let (encode, facts) = (&mut self.encode, &mut self.facts);
        let mut out = Vec::new();
        read(self.decode.as_mut(), &mut |event| {
            if facts.error.is_none() {
                facts.note(&event);
                encode.event(&event, &mut out);
            }
        });
        out
    }
}

impl Listen for Translate {
    fn push<'b>(&mut self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Owned(self.step(|decode, each| decode.push(bytes, each)))
    }

    fn finish(&mut self, failure: &Error) -> Vec<u8> {
        let mut out = self.step(|decode, each| decode.finish(each));
        if self.facts.error.is_none() {
            self.encode.finish(Some(failure).filter(|_| !self.facts.is_whole()), &mut out);
        }
        out
    }

    fn is_whole(&self) -> bool {
        self.facts.is_whole()
    }

    fn is_done(&self) -> bool {
        self.facts.ended || self.facts.error.is_some()
    }

    fn is_between_events(&self) -> bool {
        true
    }

    fn has_content(&self) -> bool {
        self.facts.content
    }

    fn error(&self) -> Option<&Error> {
        self.facts.error.as_ref()
    }

    fn usage(&self) -> Option<Usage> {
        self.facts.usage
    }

    fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    fn tier(&self) -> Option<&str> {
        self.facts.tier.as_deref()
    }

    fn kept_usage(&self) -> Option<&[u8]> {
        None
    }

    fn said(&self) -> (&[u8], u64) {
        (&self.facts.words, self.facts.said)
    }

    fn malformed(&self) -> u32 {
        self.decode.malformed()
    }

    fn text(&self) -> Option<&str> {
        self.facts.text.as_deref()
    }
}

impl Facts {
    fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::Start { model, .. } => {
                if let Some(model) = model.as_ref().filter(|model| !model.is_empty()) {
                    self.model = Some(model.clone().into_owned());
                }
            }
            Event::Text { choice, text } => {
                self.say("content", text.get());
                self.begin(*choice);
                if let Some(kept) = &mut self.text {
                    kept.push_str(&text.text().unwrap_or_default());
                }
            }
            Event::Thinking { choice, text } => {
                self.say("reasoning_content", text.get());
                self.begin(*choice);
            }
            Event::Call { choice, .. } => self.begin(*choice),
            Event::Arguments { choice, json, .. } => {
                self.say("content", json.get());
                self.begin(*choice);
            }
            Event::Finish { choice, .. } => {
                self.begin(*choice);
                self.choices.iter_mut().filter(|(known, _)| known == choice).for_each(|(_, finished)| *finished = true);
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Tier(tier) => self.tier = Some(tier.clone().into_owned()),
            Event::Failed(error) => self.error = Some(error.clone()),
            Event::End => self.ended = true,
            Event::Memory { .. } | Event::Logprobs { .. } => {}
        }
    }

    fn begin(&mut self, choice: u32) {
        self.content = true;
        if !self.choices.iter().any(|(known, _)| *known == choice) {
            self.choices.push((choice, false));
        }
    }

    /// Keeps what is said as the client's counter of tokens reads it, a line each, if there is room.
    fn say(&mut self, field: &str, json: &str) {
        self.said = self.said.saturating_add(json.len().saturating_sub(2) as u64);
        if self.words.len() + json.len() + field.len() < WORDS {
            let line = ["{\"", field, "\":", json, "}\n"];
            line.iter().for_each(|piece| self.words.extend_from_slice(piece.as_bytes()));
        }
    }

    fn is_whole(&self) -> bool {
        let finished = !self.choices.is_empty() && self.choices.iter().all(|(_, finished)| *finished);
        self.error.is_none() && finished
    }
}
