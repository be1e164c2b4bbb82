//! The value of one series, and the row in which it is stored.

use serde::{Deserialize, Serialize};

use super::family::{Family, FamilyKind};
use crate::config::Millis;

/// The value of one series, in the family's integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesValue {
    /// A sum.
    Counter(u64),
    /// A value of the moment.
    Gauge {
        /// The value.
        value: u64,
        /// When it was set.
        at: Millis,
    },
    /// A distribution.
    Histogram {
        /// Observations by bucket, not cumulative. The last bucket has no bound.
        buckets: Vec<u64>,
        /// The sum of the observations.
        sum: u64,
    },
}

/// One series, as it is stored and sent between an isolate and the object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// The family's name.
    pub family: String,
    /// The values of its labels, in the family's order.
    pub labels: Vec<String>,
    /// The value.
    pub value: SeriesValue,
}

impl SeriesValue {
    /// The value of a series without observations.
    pub(super) fn zero(family: &Family) -> Self {
        match family.kind {
            FamilyKind::Counter => Self::Counter(0),
            FamilyKind::Gauge(_) => Self::Gauge { value: 0, at: 0 },
            FamilyKind::Histogram(bounds) => Self::Histogram { buckets: vec![0; bounds.len() + 1], sum: 0 },
        }
    }

    /// Whether the value fits a family. A row that another build stored may not.
    pub(super) fn fits(&self, family: &Family) -> bool {
        match (self, family.kind) {
            (Self::Counter(_), FamilyKind::Counter) | (Self::Gauge { .. }, FamilyKind::Gauge(_)) => true,
            (Self::Histogram { buckets, .. }, FamilyKind::Histogram(bounds)) => buckets.len() == bounds.len() + 1,
            _ => false,
        }
    }

    /// Adds an observation: an amount to a counter, a value to a distribution. A gauge is set, not observed.
    pub(super) fn observe(&mut self, family: &Family, amount: u64) {
        match (self, family.kind) {
            (Self::Counter(total), _) => *total = total.saturating_add(amount),
            (Self::Histogram { buckets, sum }, FamilyKind::Histogram(bounds)) => {
                let index = bounds.partition_point(|bound| *bound < amount);
                if let Some(bucket) = buckets.get_mut(index) {
                    *bucket = bucket.saturating_add(1);
                }
                *sum = sum.saturating_add(amount);
            }
            _ => {}
        }
    }

    /// Adds another value of the same family. The later of two gauges stays.
    pub(super) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Counter(total), Self::Counter(more)) => *total = total.saturating_add(*more),
            (Self::Gauge { value, at }, Self::Gauge { value: new, at: then }) => {
                (*at, *value) = (*at, *value).max((*then, *new));
            }
            (Self::Histogram { buckets, sum }, Self::Histogram { buckets: more, sum: added }) => {
                for (bucket, more) in buckets.iter_mut().zip(more) {
                    *bucket = bucket.saturating_add(*more);
                }
                *sum = sum.saturating_add(*added);
            }
            _ => {}
        }
    }
}
