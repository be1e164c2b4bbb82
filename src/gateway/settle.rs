//! Settles a request that has ended: counts the tokens that its provider did not report, writes its line to
//! the log and sends its receipt.

use std::iter;

use super::admission::Admission;
use super::measure::measure_refused;
use super::metering::UncountedText;
use super::platform::{Platform, Priority};
use super::record::{Fact, Outcome, RequestRecord};
use crate::error::Error;
use crate::formats::tally;
use crate::ledger::Receipt;
use crate::policy::tokens;
use crate::tokens::Encoding;
use crate::wire::json::Document;

/// How a request ended, and what the log says of it.
pub(super) struct Ending {
    /// The status that the client got.
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    /// What went wrong, if anything did.
    pub(super) error: Option<Error>,
    /// The response's text, if it is logged.
    pub(super) text: Option<String>,
}

/// Settles a request, once for each. No response waits for that.
pub(super) fn settle<P: Platform>(platform: &P, mut record: RequestRecord, ending: Ending) {
    let Ending { status, outcome, error, text } = ending;
    record.apply(Fact::Ended { status, outcome, at: platform.now() });
    platform.state().lease.replace(None);
    let Some(uncounted) = record.uncounted.take() else {
        return close(platform, &record, error.as_ref(), text.as_deref());
    };
    let (count, encoding, texts) = TokenCount::of(uncounted, record.called());
    let counting = platform.clone();
    platform.keep(async move {
        if let Ok(counts) = counting.count(encoding, texts).await {
            record.apply(count.counted(&counts));
        }
        close(&counting, &record, error.as_ref(), text.as_deref());
    });
}

fn close<P: Platform>(platform: &P, record: &RequestRecord, error: Option<&Error>, text: Option<&str>) {
    platform.log(&record.end_event(error, text));
    let trace = platform.state().trace.get().filter(|trace| trace.is_exported());
    let admission = record.admission();
    if admission.is_none() {
        measure_refused(platform, record);
        if trace.is_none() {
            return;
        }
    }
    let receipt = record.receipt(admission.unwrap_or(&Admission::default()), false);
    let mut summary = record.summary(&receipt, error);
    if let Some(trace) = trace {
        platform.export(trace.spans(&summary));
    }
    let Some(admission) = admission else { return };
    if let Some(watched) = platform.state().watched.get().filter(|watched| watched.is_shown()) {
        summary.run.clone_from(&watched.request.run);
    }
    platform.report(summary);
    let priority = if admission.limited { Priority::Now } else { Priority::Batched };
    // The last account takes the receipt without a copy.
    let receipts = iter::repeat_n(receipt, admission.accounts.len());
    for ((index, account), receipt) in admission.accounts.iter().enumerate().zip(receipts) {
        platform.enqueue(account, Receipt { member: index > 0, ..receipt }, priority);
    }
}

/// Tokens that are being counted.
struct TokenCount {
    /// How many texts are the prompt's; the response's text comes after them. `None` if the prompt was not
    /// kept.
    prompt_texts: Option<usize>,
    /// Tokens of the prompt besides those of its texts.
    besides: u64,
    /// How much of the response's text was kept, in bytes, and how much there was.
    kept: u64,
    length: u64,
}

impl TokenCount {
    /// The texts to count, and the encoding of the model.
    fn of(uncounted: UncountedText, model: &str) -> (Self, Encoding, Vec<String>) {
        let UncountedText { prompt, countable, length } = uncounted;
        let tally = prompt.and_then(|body| tally::prompt(&Document::read(&body).ok()?));
        let prompt_texts = tally.as_ref().map(|tally| tally.texts.len());
        let (mut texts, besides) = tally.map_or_else(Default::default, |tally| (tally.texts, tally.besides));
        texts.push(tally::response_text(&countable));
        let count = Self { prompt_texts, besides, kept: countable.len() as u64, length };
        (count, tokens::choose(model).encoding, texts)
    }

    /// The tokens, by the tokens of each text. Text that was not kept counts in proportion.
    fn counted(self, counts: &[u64]) -> Fact {
        let Self { prompt_texts, besides, kept, length } = self;
        let (response, prompts) = counts.split_last().map_or((0, counts), |(response, prompts)| (*response, prompts));
        let prompt = prompt_texts.map(|_| prompts.iter().fold(besides, |sum, count| sum.saturating_add(*count)));
        let output = response.saturating_mul(length.max(kept)).checked_div(kept).unwrap_or(0);
        Fact::TokensCounted { prompt, output }
    }
}
