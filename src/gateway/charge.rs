//! What a request is charged: the tokens that its provider reported, or an estimate of them, at the model's
//! price.

use super::metering::{Reported, ResponseUsage, UncountedText};
use super::record::RequestRecord;
use crate::canonical::Usage;
use crate::config::{Millis, Nanos};
use crate::policy::model_card::CountedReports;
use crate::policy::{pricing, tokens};
use crate::telemetry::BillLine;

impl RequestRecord {
    /// Charges for a response: by what its provider reported, or by an estimate.
    pub(super) fn charge(&mut self, response: ResponseUsage) {
        let ResponseUsage { reported, tier, countable, length } = response;
        let Some(metering) = &self.metering else {
            self.cost = Some(0);
            return;
        };
        let prompt = metering.prompt.clone();
        self.tier = tier;
        // The usage of the gateway's own responses is known before they end.
        match (reported, self.usage) {
            (Reported::Total(usage), _) | (Reported::Nothing | Reported::Part(_), Some(usage)) => {
                self.charge_reported(usage, Estimate { prompt: prompt.length, output: length });
            }
            (Reported::Part(usage), None) => {
                self.part = Some(usage);
                self.uncounted = Some(UncountedText { prompt: None, countable, length });
                self.estimate(None, tokens::estimate_from_bytes(length));
            }
            (Reported::Nothing, None) => {
                self.uncounted = Some(UncountedText { prompt: prompt.json, countable, length });
                self.estimate(Some(tokens::estimate_from_bytes(prompt.length)), tokens::estimate_from_bytes(length));
            }
        }
    }

    fn charge_reported(&mut self, usage: Usage, lengths: Estimate) {
        let otherwise = (tokens::estimate_from_bytes(lengths.prompt), tokens::estimate_from_bytes(lengths.output));
        let (part, fits) = self.plausible.as_ref().map_or((usage, true), |plausible| plausible.part(usage, otherwise));
        self.usage = Some(part);
        self.cost = self.price(&part).or_else(|| self.reported_cost(&usage));
        self.estimated |= !fits;
        if !fits || self.cost.is_none() {
            self.charge_reserved();
        }
    }

    /// Charges for a request that failed before its response began. One that was refused costs nothing,
    /// unless its provider may bill for it.
    pub(super) fn charge_failure(&mut self, billable: bool, now: Millis) {
        match self.usage {
            None if billable => self.charge(ResponseUsage::default()),
            None => self.cost = Some(0),
            Some(_) => {}
        }
        if billable {
            self.charge_unread(now);
        }
    }

    /// Charges for what the provider may have generated until `now` without anybody reading it, if it has not
    /// reported all that it took and a budget pays for it; no more than was reserved.
    pub(super) fn charge_unread(&mut self, now: Millis) {
        let (Some(metering), Some(plausible), Some(uncounted)) = (&self.metering, &self.plausible, &self.uncounted)
        else {
            return;
        };
        self.unread_tokens = plausible.generated_in(now.saturating_sub(metering.called));
        self.estimate(None, tokens::estimate_from_bytes(uncounted.length));
    }

    /// Estimates the tokens that the provider has not reported. `prompt`: those of the prompt, unless an
    /// earlier estimate of them stands. The tokens of a partial report stand: the response took at least
    /// those.
    pub(super) fn estimate(&mut self, prompt: Option<u64>, output: u64) {
        let output = output.saturating_add(self.unread_tokens);
        let usage = match self.part {
            Some(usage) => Usage { output: output.max(usage.output), ..usage },
            None => {
                let uncached_input = prompt.or(self.usage.map(|usage| usage.uncached_input)).unwrap_or(0);
                Usage { uncached_input, output, ..Usage::default() }
            }
        };
        let length = self.metering.as_ref().map_or(0, |metering| metering.prompt.length);
        let otherwise = (tokens::estimate_from_bytes(length), output);
        let usage = self.plausible.as_ref().map_or(usage, |plausible| plausible.part(usage, otherwise).0);
        let ceiling = if self.unread_tokens > 0 { self.reserved() } else { None };
        self.cost = self.price(&usage).map(|cost| cost.min(ceiling.unwrap_or(Nanos::MAX)));
        (self.usage, self.estimated) = (Some(usage), true);
        if self.cost.is_none() {
            self.charge_reserved();
        }
    }

    /// Charges at least the reservation, marked as an estimate, because the usage or its price is not known.
    /// A key without a budget has no reservation: its cost stays as it is.
    fn charge_reserved(&mut self) {
        let Some(reserved) = self.reserved() else { return };
        (self.cost, self.estimated) = (self.cost.max(Some(reserved)), true);
    }

    /// The most that the request can cost, where that was reserved of a budget.
    fn reserved(&self) -> Option<Nanos> {
        self.plausible.as_ref()?.reserved
    }

    /// What the provider says it charges, in nano-dollars, if that counts where no price is known.
    fn reported_cost(&self, usage: &Usage) -> Option<Nanos> {
        let counts = match self.metering.as_ref()?.counted_reports {
            CountedReports::Nothing => false,
            CountedReports::Detailed => usage.has_detailed_cost,
            CountedReports::All => true,
        };
        usage.reported_cost.filter(|_| counts)
    }

    /// The lines of what the present attempt cost. None if the cost is not known, or is not that of tokens at
    /// the model's price: it may be what the provider says, or what was reserved.
    pub(super) fn bill(&self) -> Vec<BillLine> {
        let (Some(usage), Some(price)) = (&self.usage, self.metering.as_ref().and_then(|metering| metering.price))
        else {
            return Vec::new();
        };
        let asked = self.plausible.as_ref().and_then(|plausible| plausible.tier.as_deref());
        let tiers = [self.tier.as_deref(), asked, None];
        let tier = tiers.into_iter().find(|tier| self.cost.is_some() && price.cost(usage, *tier) == self.cost);
        let lines = tier.and_then(|tier| price.bill(usage, tier)).unwrap_or_default();
        lines.into_iter().map(|line| BillLine(line.kind.into(), line.count, line.rate)).collect()
    }

    /// The price of a usage, in nano-dollars: in the tier in which the provider says it served the request,
    /// or else in the dearer of the tier that was asked for and the usual one. `None` if one of these has no
    /// known price.
    fn price(&self, usage: &Usage) -> Option<Nanos> {
        let price = self.metering.as_ref()?.price?;
        let plausible = self.plausible.as_ref();
        let asked = plausible.and_then(|plausible| plausible.tier.as_deref());
        let is_beside = plausible.is_some_and(|plausible| plausible.besides);
        let served = self.tier.as_deref().filter(|tier| !is_beside && pricing::names_a_tier(tier));
        match (served, asked) {
            (None, Some(asked)) => Some(price.cost(usage, Some(asked))?.max(price.cost(usage, None)?)),
            (served, _) => price.cost(usage, served),
        }
    }
}

/// The lengths in bytes that tokens are estimated from.
#[derive(Clone, Copy)]
struct Estimate {
    prompt: u64,
    output: u64,
}
