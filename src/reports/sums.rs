//! The sums of requests. All of their numbers can be added up, so that sums of parts are the sum of the
//! whole.

use super::histogram::Histogram;
use crate::config::Nanos;
use crate::ledger::TokenCounts;
use crate::telemetry::RequestSummary;

/// The outcomes that are counted, by their names in receipts. The last one has all that are not known here.
pub const OUTCOMES: [&str; 8] =
    ["complete", "refused", "truncated", "timed_out", "upstream_error", "client_closed", "lost", "other"];

/// The kinds of tokens, by their names in receipts.
const TOKENS: [&str; 6] = ["fresh", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"];

/// The sums of some requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many requests there are.
    pub requests: u64,
    /// How many ended in each of [`OUTCOMES`].
    outcomes: [u64; OUTCOMES.len()],
    /// Their tokens, as far as these were reported or estimated.
    pub tokens: TokenCounts,
    /// How many requests have no tokens, because none were reported or estimated.
    pub unreported: u64,
    /// How many requests have tokens or a cost that are an estimate.
    pub estimated: u64,
    /// The cost of those with a known price, in nano-dollars.
    pub cost: Nanos,
    /// How many requests have no known price.
    pub unpriced: u64,
    /// How long it took to the first byte of a response.
    pub ttft: Histogram,
    /// How long the requests took.
    pub duration: Histogram,
}

impl Sums {
    /// Adds a request.
    pub fn count(&mut self, request: &RequestSummary) {
        self.requests = self.requests.saturating_add(1);
        let known = OUTCOMES.iter().position(|name| *name == request.outcome);
        if let Some(count) = self.outcomes.get_mut(known.unwrap_or(OUTCOMES.len() - 1)) {
            *count = count.saturating_add(1);
        }
        self.tokens.add(&request.tokens.unwrap_or_default());
        self.unreported = self.unreported.saturating_add(u64::from(request.tokens.is_none()));
        self.estimated = self.estimated.saturating_add(u64::from(request.estimated));
        self.cost = self.cost.saturating_add(request.cost.unwrap_or(0));
        self.unpriced = self.unpriced.saturating_add(u64::from(request.cost.is_none()));
        if let Some(ttft) = request.ttft {
            self.ttft.observe(ttft);
        }
        self.duration.observe(request.duration);
    }

    /// Adds other sums.
    pub fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        for (count, more) in self.outcomes.iter_mut().zip(more.outcomes) {
            *count = count.saturating_add(more);
        }
        self.tokens.add(&more.tokens);
        self.unreported = self.unreported.saturating_add(more.unreported);
        self.estimated = self.estimated.saturating_add(more.estimated);
        self.cost = self.cost.saturating_add(more.cost);
        self.unpriced = self.unpriced.saturating_add(more.unpriced);
        self.ttft.add(&more.ttft);
        self.duration.add(&more.duration);
    }

    /// How many requests had each outcome, without those that none had.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        OUTCOMES.into_iter().zip(self.outcomes).filter(|(_, count)| *count > 0)
    }

    /// The names of its numbers as columns of a table. A column may be added at the end; none may be renamed
    /// or moved, because tables outlive builds.
    pub fn columns() -> Vec<String> {
        let plain = |name: &str| name.to_owned();
        let mut columns = vec![plain("requests")];
        columns.extend(OUTCOMES.map(|outcome| format!("outcome_{outcome}")));
        columns.extend(TOKENS.map(|kind| format!("tokens_{kind}")));
        columns.extend(["unreported", "estimated", "cost", "unpriced"].map(plain));
        columns.extend(Histogram::columns("ttft").chain(Histogram::columns("duration")));
        columns
    }

    /// Its numbers in the order of [`Sums::columns`].
    pub fn values(&self) -> Vec<u64> {
        let mut values = vec![self.requests];
        values.extend(self.outcomes);
        values.extend(token_values(&self.tokens));
        values.extend([self.unreported, self.estimated, self.cost, self.unpriced]);
        values.extend(self.ttft.values().chain(self.duration.values()));
        values
    }

    /// Takes the numbers that [`Sums::values`] gave; missing ones are 0.
    pub fn of_values(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or(0);
        let requests = next();
        let outcomes = std::array::from_fn(|_| next());
        let tokens = TokenCounts {
            uncached_input: next(),
            cache_read: next(),
            cache_write: next(),
            cache_write_1h: next(),
            output: next(),
            reasoning: next(),
        };
        let [unreported, estimated, cost, unpriced] = std::array::from_fn(|_| next());
        let (ttft, duration) = (Histogram::take_from(&mut values), Histogram::take_from(&mut values));
        Self { requests, outcomes, tokens, unreported, estimated, cost, unpriced, ttft, duration }
    }
}

/// The tokens in the order of [`TOKENS`].
fn token_values(tokens: &TokenCounts) -> [u64; TOKENS.len()] {
    let TokenCounts { uncached_input, cache_read, cache_write, cache_write_1h, output, reasoning } = *tokens;
    [uncached_input, cache_read, cache_write, cache_write_1h, output, reasoning]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestSummary {
        let tokens = TokenCounts { uncached_input: 3, output: 5, reasoning: 2, ..TokenCounts::default() };
        RequestSummary {
            outcome: "complete".into(),
            tokens: Some(tokens),
            cost: Some(7),
            ttft: Some(30),
            duration: 900,
            ..RequestSummary::default()
        }
    }

    fn sums(requests: &[RequestSummary]) -> Sums {
        let mut sums = Sums::default();
        requests.iter().for_each(|request| sums.count(request));
        sums
    }

    #[test]
    fn what_was_not_reported_is_counted_apart_from_0() {
        let silent = RequestSummary { tokens: None, cost: None, ttft: None, ..request() };
        let free = RequestSummary { tokens: Some(TokenCounts::default()), cost: Some(0), ..request() };
        let sums = sums(&[request(), silent, free]);
        assert_eq!(sums.requests, 3);
        assert_eq!(sums.unreported, 1);
        assert_eq!(sums.unpriced, 1);
        assert_eq!(sums.cost, 7);
        assert_eq!(sums.ttft.count(), 2);
        assert_eq!(sums.duration.count(), 3);
    }

    #[test]
    fn an_outcome_of_a_later_build_is_another() {
        let later = RequestSummary { outcome: "evaporated".into(), ..request() };
        let sums = sums(&[request(), later]);
        assert_eq!(sums.outcomes().collect::<Vec<_>>(), [("complete", 1), ("other", 1)]);
    }

    #[test]
    fn numbers_and_columns_have_one_order() {
        let sums = sums(&[request(), RequestSummary { outcome: "truncated".into(), estimated: true, ..request() }]);
        let (columns, values) = (Sums::columns(), sums.values());
        assert_eq!(columns.len(), values.len());
        let value = |name: &str| values[columns.iter().position(|column| column == name).unwrap()];
        assert_eq!(value("requests"), 2);
        assert_eq!(value("outcome_truncated"), 1);
        assert_eq!(value("tokens_output"), 10);
        assert_eq!(value("estimated"), 1);
        assert_eq!(value("cost"), 14);
        assert_eq!(value("ttft_sum"), 60);
        assert_eq!(value("duration_le_1280"), 2);
        assert_eq!(Sums::of_values(values.clone()), sums);
    }

    #[test]
    fn columns_have_names_of_their_own() {
        let mut columns = Sums::columns();
        columns.sort();
        let count = columns.len();
        columns.dedup();
        assert_eq!(columns.len(), count);
    }
}
