//! Histograms of durations, which can be added up.

use serde::{Deserialize, Serialize};

use crate::config::Millis;

/// The upper bounds of the buckets in milliseconds, included: 10 ms, doubling to 81.92 s. These are the
/// bounds that OpenTelemetry's GenAI conventions give for `gen_ai.client.operation.duration` and
/// `gen_ai.client.operation.time_to_first_chunk`. A last bucket has all that is longer.
pub const BOUNDS: [Millis; 14] = [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920];

/// The number of buckets.
const BUCKETS: usize = BOUNDS.len() + 1;

/// How many durations fell into each bucket, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    sum: Millis,
}

impl Histogram {
    /// Adds a duration.
    pub fn observe(&mut self, duration: Millis) {
        let bucket = BOUNDS.partition_point(|bound| *bound < duration);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(duration);
    }

    /// Adds another histogram.
    pub fn add(&mut self, more: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&more.counts) {
            *count = count.saturating_add(*more);
        }
        self.sum = self.sum.saturating_add(more.sum);
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The sum of the durations.
    pub fn sum(&self) -> Millis {
        self.sum
    }

    /// How many durations are in each bucket: one for each of [`BOUNDS`], and that of all longer ones.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The duration that this share of the durations does not exceed, interpolated within its bucket as
    /// Prometheus does. Of a duration over the last bound, that bound. `None` if there are no durations.
    pub fn quantile(&self, per_mille: u64) -> Option<Millis> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = count.saturating_mul(per_mille.min(1_000)).div_ceil(1_000).max(1);
        let (mut before, mut lower) = (0u64, 0);
        for (upper, count) in BOUNDS.into_iter().zip(self.counts) {
            let up_to = before.saturating_add(count);
            if up_to >= rank {
                let part = (upper - lower).saturating_mul(rank - before).checked_div(count);
                return part.map(|part| lower.saturating_add(part));
            }
            (before, lower) = (up_to, upper);
        }
        Some(lower)
    }

    /// Its numbers in the order of [`Histogram::columns`].
    pub(super) fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().copied().chain([self.sum])
    }

    /// Takes the numbers that [`Histogram::values`] gave; missing ones are 0.
    pub(super) fn take_from(values: &mut impl Iterator<Item = u64>) -> Self {
        let counts = std::array::from_fn(|_| values.next().unwrap_or(0));
        Self { counts, sum: values.next().unwrap_or(0) }
    }

    /// The names of its numbers as columns of a table, such as `ttft_le_10`.
    pub(super) fn columns(name: &str) -> impl Iterator<Item = String> {
        let bounds = BOUNDS.into_iter().map(move |bound| format!("{name}_le_{bound}"));
        bounds.chain([format!("{name}_le_inf"), format!("{name}_sum")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(durations: &[Millis]) -> Histogram {
        let mut histogram = Histogram::default();
        durations.iter().for_each(|duration| histogram.observe(*duration));
        histogram
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = histogram(&[0, 10, 11, 20, 81_920, 81_921]);
        assert_eq!(histogram.counts()[..2], [2, 2]);
        assert_eq!(histogram.counts()[13..], [1, 1]);
        assert_eq!(histogram.count(), 6);
        assert_eq!(histogram.sum(), 163_882);
    }

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let histogram = histogram(&[15, 15, 300, 300_000]);
        assert_eq!(histogram.quantile(500), Some(20));
        assert_eq!(histogram.quantile(750), Some(320));
        assert_eq!(histogram.quantile(1_000), Some(81_920), "how much longer is not known");
        assert_eq!(Histogram::default().quantile(500), None);
    }

    #[test]
    fn a_quantile_is_interpolated() {
        assert_eq!(histogram(&[100; 8]).quantile(250), Some(100));
        assert_eq!(histogram(&[100; 8]).quantile(500), Some(120));
    }

    #[test]
    fn numbers_and_columns_have_one_order() {
        let histogram = histogram(&[5, 700, 100_000]);
        let columns: Vec<String> = Histogram::columns("ttft").collect();
        let values: Vec<u64> = histogram.values().collect();
        assert_eq!(values.len(), columns.len());
        assert_eq!(values[columns.iter().position(|column| column == "ttft_le_1280").unwrap()], 1);
        assert_eq!(Histogram::take_from(&mut values.into_iter()), histogram);
    }
}
