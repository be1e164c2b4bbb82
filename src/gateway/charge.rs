//! Charges a request for its response, as the response's summary has it.

use super::failure::FailureStage;
use super::record::RequestRecord;
use crate::formats::summary::ResponseSummary;

impl RequestRecord {
    /// How far the call had come, if it fails now before the response has left for the client.
    pub(super) fn failure_stage(&self) -> FailureStage {
        match (self.sent, &self.meter) {
            (Some(_), _) => FailureStage::BeforeContent,
            (None, Some(_)) => FailureStage::AwaitingHead,
            (None, None) => FailureStage::BeforeSend,
        }
    }

    /// Takes over what a whole response says of itself, and charges for it if it is one, or at least has usage.
    pub fn charge_whole(&mut self, summary: &mut ResponseSummary) {
        if summary.error.is_none() || summary.usage.is_some() {
            self.charge(summary.usage, summary.tier.as_deref(), &summary.countable, summary.length);
        }
        self.served = summary.model.take();
    }

    /// Takes over what a stream that has ended says of itself, and charges for it.
    pub fn charge_stream(&mut self, summary: &ResponseSummary) {
        let (tier, text, length) = (summary.tier.as_deref(), summary.countable.as_slice(), summary.length);
        // Usage that is known already is more exact than a part of it.
        match summary.partial_usage().filter(|_| self.usage.is_none()) {
            Some(part) => self.charge_in_part(part, tier, text, length),
            None => self.charge(summary.total_usage().or(self.usage), tier, text, length),
        }
        self.served = summary.model.as_ref().map(|model| model.chars().take(200).collect());
        self.malformed = summary.malformed;
    }
}
