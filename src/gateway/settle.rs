//! The close of a request: whether it waits for its client, its receipt, once all is known that goes into it, and its line for the log. It counts
//! no tokens itself.

use super::platform::{Platform, Priority};
use super::record::{RequestRecord, UncountedText};
use crate::config::{OnDisconnect, Streaming};
use crate::error::Error;
use crate::formats::tally;
use crate::policy::tokens;
use crate::telemetry::Event;
use crate::tokens::Encoding;
use crate::wire::json::Document;

/// What is left of a request that has ended.
pub struct FinalCharge {
    receipt: RequestRecord,
    error: Option<Error>,
    /// The answer's text, if it is logged.
    text: Option<String>,
    question: Option<Asked>,
}

/// What has been asked.
struct Asked {
    /// Texts of the prompt; the answer's comes after them. None if the prompt was not kept.
    prompt: Option<usize>,
    /// Tokens of the prompt besides.
    besides: u64,
    /// How much of the answer was kept, in bytes, and how much it was.
    kept: u64,
    said: u64,
}

impl RequestRecord {
    /// Whether the answer is heard for its usage although its client has left: the key's word counts before the provider's row.
    pub fn outlives_client(&self, row: &Streaming) -> bool {
        let own = self.permit.as_ref().and_then(|permit| permit.on_disconnect);
        own.unwrap_or(row.on_disconnect) == OnDisconnect::Finish
    }
}

/// Settles a request that has ended, once for each: counts the tokens that its provider did not report, writes its line to the log and sends
/// its receipt to its accounts. No response waits for that.
pub(super) fn settle<P: Platform>(platform: &P, mut charge: FinalCharge) {
    platform.state().lease.replace(None);
    let Some((encoding, texts)) = charge.question() else { return close(platform, &charge) };
    let counting = platform.clone();
    platform.keep(async move {
        if let Ok(counts) = counting.count(encoding, texts).await {
            charge.counted(&counts);
        }
        close(&counting, &charge);
    });
}

fn close<P: Platform>(platform: &P, charge: &FinalCharge) {
    platform.log(&charge.event());
    let record = charge.receipt();
    let Some(admission) = &record.permit else { return };
    let priority = if admission.limited { Priority::Now } else { Priority::Batched };
    for (index, account) in admission.accounts.iter().enumerate() {
        platform.enqueue(account, record.entry(admission, index > 0), priority);
    }
}

impl FinalCharge {
    /// A request has ended.
    pub fn new(receipt: RequestRecord, error: Option<Error>, text: Option<String>) -> Self {
        Self { receipt, error, text, question: None }
    }

    /// Texts whose tokens have to be counted, because the provider reported none; nothing if they are known, or not worth it.
    pub fn question(&mut self) -> Option<(Encoding, Vec<String>)> {
        let UncountedText { prompt, words, said } = self.receipt.unread.take()?;
        let tally = prompt.and_then(|body| tally::prompt(&Document::read(&body).ok()?));
        let answer = tally::spoken(&words);
        let (mut texts, besides, kept) = match tally {
            Some(tally) => (tally.texts, tally.besides, true),
            None => (Vec::new(), 0, false),
        };
        let prompt = kept.then_some(texts.len());
        self.question = Some(Asked { prompt, besides, kept: words.len() as u64, said });
        texts.push(answer);
        let model = self.receipt.called.as_deref().unwrap_or_default();
        Some((tokens::choose(model).encoding, texts))
    }

    /// The answer to the question: the tokens of each text. What was not kept is taken for as long as what was.
    pub fn counted(&mut self, counts: &[u64]) {
        let Some(Asked { prompt, besides, kept, said }) = self.question.take() else { return };
        let (answer, prompts) = counts.split_last().map_or((0, counts), |(answer, prompts)| (*answer, prompts));
        let fresh = prompt.map(|_| prompts.iter().fold(besides, |sum, count| sum.saturating_add(*count)));
        let output = answer.saturating_mul(said.max(kept)).checked_div(kept).unwrap_or(0);
        self.receipt.estimate(fresh, output);
    }

    /// The receipt.
    pub fn receipt(&self) -> &RequestRecord {
        &self.receipt
    }

    /// The event of its end.
    pub fn event(&self) -> Event<'_> {
        self.receipt.end_event(self.error.as_ref(), self.text.as_deref())
    }
}
