//! What is known of one request, from its arrival to its end; the log is written from it. It never holds a key.

use std::rc::Rc;

use super::admission::Admission;
use super::dropped_fields::DroppedFields;
use super::plausible::PlausibleUsage;
use crate::canonical::Usage;
use crate::catalogue::price::ModelPrice;
use crate::config::{Millis, Nanos};
use crate::error::Error;
use crate::ledger::{LOST, Receipt};
use crate::policy::{pricing, tokens};
use crate::telemetry::{Chunk, Event, EventKind, RequestEnd, RequestFields, RequestStart};
use crate::wire::dollars::dollars;

/// How an admitted request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// A whole answer was given.
    #[default]
    Complete,
    /// The request was refused or failed before an answer began.
    Refused,
    /// The answer was cut, by the provider or on the way.
    Truncated,
    /// The answer took longer than allowed.
    TimedOut,
    /// The provider reported an error in the middle of its answer.
    UpstreamError,
    /// The client left before the end.
    ClientClosed,
}

impl Outcome {
    /// Its name in logs and books.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Refused => "refused",
            Self::Truncated => "truncated",
            Self::TimedOut => "timed_out",
            Self::UpstreamError => "upstream_error",
            Self::ClientClosed => "client_closed",
        }
    }
}

/// How tokens become money, and what is estimated where nobody reports them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// What the model costs, if that is known.
    pub price: Option<ModelPrice>,
    /// The prompt, as JSON, unless it is long; and its length in bytes.
    pub prompt: (Option<Rc<Vec<u8>>>, u64),
    /// When the provider was called.
    pub called: Millis,
}

/// What tokens are counted of where the provider reported none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UncountedText {
    /// The prompt, as JSON, unless it is long.
    pub prompt: Option<Rc<Vec<u8>>>,
    /// The beginning of the answer, in pieces of JSON, a line each.
    pub words: Vec<u8>,
    /// The length of the whole answer in bytes.
    pub said: u64,
}

/// What is known of one request.
#[derive(Clone, Debug, Default)]
pub struct RequestRecord {
    /// The request's id, the caller's own or a new one.
    pub request_id: String,
    /// When it arrived.
    pub started: Millis,
    /// Where from, as far as the platform says.
    pub client_ip: Option<String>,
    /// The id of the key it came with.
    pub key_id: Option<String>,
    /// The provider it went to.
    pub provider: Option<String>,
    /// The model asked for, as the caller named it.
    pub model: Option<String>,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// The status of the response.
    pub status: u16,
    /// When the provider was called, once it has begun to answer.
    pub sent: Option<Millis>,
    /// When the first byte of the answer came.
    pub first_byte: Option<Millis>,
    /// The leave it had to go on; a request without one is in no book.
    pub permit: Option<Admission>,
    /// The model called, as its provider names it.
    pub called: Option<String>,
    /// What its provider may plausibly report.
    pub plausible: Option<PlausibleUsage>,
    /// How tokens become money; from the moment in which the provider is called.
    pub meter: Option<Metering>,
    /// The tokens, as the provider reported them, or estimated.
    pub usage: Option<Usage>,
    /// The tokens are an estimate: the provider reported none, or not all.
    pub estimated: bool,
    /// What of them it did report before it went on: those of the prompt, and no more than a part of the answer's.
    pub part: Option<Usage>,
    /// How the provider says it served the request, in its word.
    pub tier: Option<String>,
    /// Tokens that the provider may have made, and bills, without anybody hearing them.
    pub unheard: u64,
    /// What it cost, if that is known.
    pub cost: Option<Nanos>,
    /// What the estimate would be better for being counted.
    pub unread: Option<UncountedText>,
    /// How it ended.
    pub outcome: Outcome,
    /// The model that the provider says it used.
    pub served: Option<String>,
    /// When it ended.
    pub finished: Millis,
    /// Events of a stream that could not be read.
    pub malformed: u32,
    /// What the provider was not told, because its format has no place for it.
    pub dropped: Option<DroppedFields>,
}

impl RequestRecord {
    /// The response header `server-timing`: where the time went, in milliseconds
    /// (<https://www.w3.org/TR/server-timing/>). For answers that are not streamed.
    pub fn server_timing(&self, now: Millis) -> Option<String> {
        let (sent, first_byte) = (self.sent?, self.first_byte?);
        let upstream = now.saturating_sub(sent);
        let gateway = now.saturating_sub(self.started).saturating_sub(upstream);
        let ttft = first_byte.saturating_sub(self.started);
        Some(format!("gateway;dur={gateway}, upstream;dur={upstream}, ttft;dur={ttft}"))
    }

    /// The provider has said what the answer took; or it has not, and it is estimated by what was said, in bytes.
    pub fn charge(&mut self, reported: Option<Usage>, tier: Option<&str>, words: &[u8], said: u64) {
        let Some(meter) = &self.meter else {
            self.cost = Some(0);
            return;
        };
        let (prompt, length) = meter.prompt.clone();
        self.tier = tier.map(str::to_owned);
        if let Some(usage) = reported {
            let otherwise = (tokens::estimate_from_bytes(length), tokens::estimate_from_bytes(said));
            let (part, fits) =
                self.plausible.as_ref().map_or((usage, true), |plausible| plausible.part(usage, otherwise));
            self.usage = Some(part);
            self.cost = self.price(&part);
            self.estimated |= !fits;
            if !fits || self.cost.is_none() {
                self.charge_reserved();
            }
            return;
        }
        self.unread = Some(UncountedText { prompt, words: words.to_vec(), said });
        self.estimate(Some(tokens::estimate_from_bytes(length)), tokens::estimate_from_bytes(said));
    }

    /// What it took, or the price of that, is not known: under a budget, what was reserved is charged, and marked.
    fn charge_reserved(&mut self) {
        let Some(reserved) = self.plausible.as_ref().and_then(|plausible| plausible.reserved) else { return };
        (self.cost, self.estimated) = (self.cost.max(Some(reserved)), true);
    }

    /// What a usage costs, in nano-dollars: in the tier in which the provider says it served the request, or else in the dearer of the one that
    /// was asked for and the usual one. `None` if one of these has no price that is known.
    fn price(&self, usage: &Usage) -> Option<Nanos> {
        let price = self.meter.as_ref()?.price?;
        let told = self.tier.as_deref().filter(|tier| pricing::names_a_tier(tier));
        let plausible = self.plausible.as_ref();
        let asked = plausible.and_then(|plausible| plausible.tier.as_deref());
        let told = told.filter(|_| !plausible.is_some_and(|plausible| plausible.besides));
        match (told, asked) {
            (None, Some(asked)) => Some(price.cost(usage, Some(asked))?.max(price.cost(usage, None)?)),
            (told, _) => price.cost(usage, told),
        }
    }

    /// The provider has said what it took so far, and has gone on. All of the answer is estimated by what was said, in bytes; the prompt
    /// is known.
    pub fn charge_in_part(&mut self, usage: Usage, tier: Option<&str>, words: &[u8], said: u64) {
        if self.meter.is_none() {
            return self.charge(Some(usage), tier, words, said);
        }
        (self.part, self.tier) = (Some(usage), tier.map(str::to_owned));
        self.unread = Some(UncountedText { prompt: None, words: words.to_vec(), said });
        self.estimate(None, tokens::estimate_from_bytes(said));
    }

    /// An answer ended `now` that was to go on, and its provider has not said all that it took: under a budget, what it may have made since it
    /// was called is charged as well, but no more than was reserved.
    pub fn charge_unheard(&mut self, now: Millis) {
        let (Some(meter), Some(plausible), Some(unread)) = (&self.meter, &self.plausible, &self.unread) else { return };
        self.unheard = plausible.made(now.saturating_sub(meter.called));
        self.estimate(None, tokens::estimate_from_bytes(unread.said));
    }

    /// Nobody reported the tokens: these are an estimate, the prompt's unless there is a better one already. What was reported in part
    /// stays: the answer took at least that.
    pub fn estimate(&mut self, fresh: Option<u64>, output: u64) {
        let output = output.saturating_add(self.unheard);
        let usage = match self.part {
            Some(usage) => Usage { output: output.max(usage.output), ..usage },
            None => {
                let fresh = fresh.or(self.usage.map(|usage| usage.uncached_input)).unwrap_or(0);
                Usage { uncached_input: fresh, output, ..Usage::default() }
            }
        };
        let length = self.meter.as_ref().map_or(0, |meter| meter.prompt.1);
        let otherwise = (tokens::estimate_from_bytes(length), output);
        let usage = self.plausible.as_ref().map_or(usage, |plausible| plausible.part(usage, otherwise).0);
        let most = self.plausible.as_ref().and_then(|plausible| plausible.reserved).filter(|_| self.unheard > 0);
        self.cost = self.price(&usage).map(|cost| cost.min(most.unwrap_or(Nanos::MAX)));
        (self.usage, self.estimated) = (Some(usage), true);
        if self.cost.is_none() {
            self.charge_reserved();
        }
    }

    /// What it cost as a client is told it, in JSON: dollars, or `null`. An estimate is not told.
    pub fn told_cost(&self) -> String {
        self.cost.filter(|_| !self.estimated).map_or_else(|| "null".to_owned(), dollars)
    }

    /// What goes into the books. `member`: into those of the key above.
    pub fn entry(&self, permit: &Admission, member: bool) -> Receipt {
        Receipt {
            id: permit.id.clone(),
            request_id: self.request_id.clone(),
            key_id: self.key_id.clone().unwrap_or_default(),
            provider: self.provider.clone().unwrap_or_default(),
            model: self.called.clone().unwrap_or_default(),
            served: self.served.clone(),
            stream: self.stream,
            status: self.status,
            outcome: self.outcome.name().to_owned(),
            started: self.started,
            ended: self.finished,
            ttft_ms: self.first_byte.map(|at| at.saturating_sub(self.started)),
            tokens: self.usage.map(Into::into),
            estimated: self.estimated,
            member,
            reservation: None,
            cost: self.cost,
        }
    }

    /// What goes into the books if nothing is heard of it any more; tokens and cost are still to be guessed.
    pub fn draft(&self) -> Receipt {
        let receipt = self.entry(&Admission::default(), false);
        // Which status its client got is not known.
        Receipt { outcome: LOST.to_owned(), status: 0, estimated: true, ..receipt }
    }

    /// The event of a request's start. `messages` are the conversation's JSON.
    pub fn start_event<'a>(&'a self, now: Millis, messages: Option<&'a str>) -> Event<'a> {
        let start = RequestStart { request: self.request_fields(), messages };
        Event { at: now, kind: EventKind::RequestStart(start) }
    }

    /// The event of a request's end, whatever the end.
    pub fn end_event<'a>(&'a self, error: Option<&'a Error>, response: Option<&'a str>) -> Event<'a> {
        let is_failure = error.is_some() || !matches!(self.outcome, Outcome::Complete | Outcome::ClientClosed);
        let end = RequestEnd {
            request: self.request_fields(),
            status: self.status,
            outcome: self.outcome.name(),
            is_failure,
            error,
            duration: self.finished.saturating_sub(self.started),
            time_to_first_byte: self.first_byte.map(|at| at.saturating_sub(self.started)),
            model_served: self.served.as_deref(),
            input_tokens: self.usage.map(|usage| usage.prompt()),
            output_tokens: self.usage.map(|usage| usage.output),
            is_estimated: self.estimated,
            cost: self.usage.and(self.cost),
            malformed_events: self.malformed,
            dropped: self.dropped.as_ref().map(|dropped| dropped.logged.as_str()),
            response,
        };
        Event { at: self.finished, kind: EventKind::RequestEnd(end) }
    }

    /// The event of a piece of a stream.
    pub fn chunk_event<'a>(&'a self, now: Millis, bytes: &'a [u8]) -> Event<'a> {
        Event { at: now, kind: EventKind::Chunk(Chunk { request: self.request_fields(), bytes }) }
    }

    fn request_fields(&self) -> RequestFields<'_> {
        RequestFields {
            request_id: &self.request_id,
            key_id: self.key_id.as_deref(),
            client_ip: self.client_ip.as_deref(),
            provider: self.provider.as_deref(),
            model: self.model.as_deref(),
            stream: self.model.is_some().then_some(self.stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Logging;
    use crate::telemetry::render;

    #[test]
    fn the_end_of_a_request_is_one_flat_object() {
        let receipt = RequestRecord {
            request_id: "r\"1".into(),
            model: Some("m".into()),
            status: 200,
            started: 5,
            finished: 12,
            ..RequestRecord::default()
        };
        let line = render(&receipt.end_event(None, Some("secret answer")), &Logging::default());
        let expected = r#"{"timestamp":"1970-01-01T00:00:00.012Z","level":"info","event":"request_complete","request_id":"r\"1","model":"m","stream":false,"status":200,"outcome":"complete","duration_ms":7}"#;
        assert_eq!(line.as_deref(), Some(expected));
    }
}
