//! The totals of an account: spend by period, and the usage of a day by provider and model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::receipt::Receipt;
use super::spend::Spend;
use super::totals::{Totals, UsageReport};
use crate::config::Millis;
use crate::wire::zone::Zone;

/// The maximum number of models per provider in the totals of a day, because callers may invent names.
const MAX_MODELS: usize = 200;
/// The row of all other models.
const OTHER_MODELS: &str = "(other)";

/// The totals of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageTotals {
    /// The spend by period.
    pub spent: Spend,
    /// The day, counted from 1970-01-01. It is one of the zone that was configured when it began, and never
    /// earlier than those before, so that days hold every receipt once, whatever becomes of the zone.
    pub day: u64,
    /// The usage of that day, by provider and model.
    pub models: BTreeMap<String, BTreeMap<String, Totals>>,
}

impl UsageTotals {
    /// Begins a day, if it is a new one. Returns the day that is over and its totals as JSON, if it has any.
    pub fn begin_day(&mut self, day: u64) -> Option<(u64, String)> {
        if day <= self.day {
            return None;
        }
        let past_day = (!self.models.is_empty()).then(|| (self.day, serde_json::to_string(self).unwrap_or_default()));
        self.day = day;
        self.models.clear();
        past_day
    }

    /// Adds a receipt that is written at `now`. Periods of spend are those of the zone.
    /// Returns whether they have to be stored ([`Spend::add`]).
    pub fn count(&mut self, now: Millis, receipt: &Receipt, zone: &Zone) -> bool {
        let begins = self.spent.add(now, receipt.charge(), zone);
        if !receipt.member {
            self.add_to_row(receipt);
        }
        begins
    }

    fn add_to_row(&mut self, receipt: &Receipt) {
        let models = self.models.entry(receipt.provider.clone()).or_default();
        models.entry(row_name(models, &receipt.model)).or_default().count(receipt);
    }

    /// Replaces a receipt of this day by another.
    pub fn replace(&mut self, old: &Receipt, new: &Receipt) {
        if !old.member
            && let Some(models) = self.models.get_mut(&old.provider)
            && let Some(totals) = models.get_mut(&row_name(models, &old.model))
        {
            totals.uncount(old);
        }
        if !new.member {
            self.add_to_row(new);
        }
    }

    /// The usage of the day, a report for each provider and model.
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

/// The name of the row in which a model counts: its own, or that of all others.
fn row_name(models: &BTreeMap<String, Totals>, model: &str) -> String {
    let known = models.len() < MAX_MODELS || models.contains_key(model);
    (if known { model } else { OTHER_MODELS }).to_owned()
}
