//! Sums that receipts add up to: money by period, and a day's requests by provider and model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::spend::{Spend, day_of};
use super::totals::{Totals, UsageReport};
use crate::config::Millis;

/// Names of models that a day's sums tell apart, for each provider: callers may invent names.
const MOST_MODELS: usize = 200;
/// All others.
const OTHER_MODELS: &str = "(other)";

/// Sums that receipts add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTotals {
    /// By period.
    pub spent: Spend,
    /// The day, counted from 1970-01-01.
    pub day: u64,
    /// Of that day, by provider and model.
    pub models: BTreeMap<String, BTreeMap<String, Totals>>,
}

impl UsageTotals {
    /// Begins a new day, if there is one; gives the sums of the day that is over.
    pub fn roll(&mut self, now: Millis) -> Option<(u64, String)> {
        let day = day_of(now);
        if day <= self.day {
            return None;
        }
        let over = (!self.models.is_empty()).then(|| (self.day, serde_json::to_string(self).unwrap_or_default()));
        self.day = day;
        self.models.clear();
        over
    }

    /// Adds an receipt that was written at `now`.
    pub fn count(&mut self, now: Millis, receipt: &Receipt) {
        self.spent.add(now, receipt.charge());
        if !receipt.member {
            self.tally(receipt);
        }
    }

    fn tally(&mut self, receipt: &Receipt) {
        let models = self.models.entry(receipt.provider.clone()).or_default();
        models.entry(row_of(models, &receipt.model)).or_default().count(receipt);
    }

    /// An receipt of this day was something else than it is.
    pub fn replace(&mut self, was: &Receipt, is: &Receipt) {
        if let Some(models) = self.models.get_mut(&was.provider).filter(|_| !was.member)
            && let Some(totals) = models.get_mut(&row_of(models, &was.model))
        {
            totals.uncount(was);
        }
        if !is.member {
            self.tally(is);
        }
    }

    /// The sums of the day, row by row.
    pub fn reports(&self) -> Vec<UsageReport> {
        let each = |provider: &String, (model, totals): (&String, &Totals)| UsageReport {
            day: self.day,
            provider: provider.clone(),
            model: model.clone(),
            totals: totals.clone(),
        };
        let all = self.models.iter().flat_map(|(provider, models)| models.iter().map(move |row| each(provider, row)));
        all.filter(|report| report.totals.requests > 0).collect()
    }
}

/// The row of a model: its own, or that of all others.
fn row_of(models: &BTreeMap<String, Totals>, model: &str) -> String {
    let known = models.len() < MOST_MODELS || models.contains_key(model);
    (if known { model } else { OTHER_MODELS }).to_owned()
}
