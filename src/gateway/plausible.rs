//! The usage that a provider may plausibly report for a request, and what counts instead of an implausible
//! one.

use crate::canonical::Usage;
use crate::config::{Millis, Nanos};

/// More searches than a provider runs for one request.
const MAX_SEARCHES: u64 = 10_000;

/// The usage that a provider may plausibly report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlausibleUsage {
    /// No prompt has more tokens.
    pub prompt: u64,
    /// No responses have more tokens, all together.
    pub output: u64,
    /// The most that the request can cost, in nano-dollars, where that was reserved of a budget.
    pub reserved: Option<Nanos>,
    /// The tier that was asked for, if not the usual one.
    pub tier: Option<String>,
    /// That word selects a price beside those of the tiers: no reported tier takes its place.
    pub besides: bool,
    /// The tokens that may be generated per second, for all responses together, if a budget pays for tokens
    /// that nobody reads; else 0.
    pub pace: u64,
}

impl PlausibleUsage {
    /// The tokens that the provider may have generated, and bills, in so many milliseconds.
    pub(super) fn generated_in(&self, time: Millis) -> u64 {
        let tokens = (u128::from(self.pace) * u128::from(time)).div_ceil(1_000);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// A usage with `otherwise` (the tokens of the prompt, and of the responses) instead of implausible
    /// parts; and whether all of it was plausible.
    pub(super) fn part(&self, usage: Usage, otherwise: (u64, u64)) -> (Usage, bool) {
        let (prompt, output) = (usage.prompt() <= self.prompt, usage.output <= self.output);
        let mut part = usage;
        if !prompt {
            let uncached_input = otherwise.0.min(self.prompt);
            let (cache_read, cache_write, cache_write_1h) = (0, 0, 0);
            part = Usage { uncached_input, cache_read, cache_write, cache_write_1h, ..usage };
        }
        if !output {
            part.output = otherwise.1.min(self.output);
            part.reasoning = part.reasoning.min(part.output);
        }
        let searches = usage.searches <= MAX_SEARCHES;
        part.searches = part.searches.min(MAX_SEARCHES);
        (part, prompt && output && searches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_may_have_been_generated_grow_with_time() {
        let plausible = PlausibleUsage { pace: 200, ..PlausibleUsage::default() };
        assert_eq!([0, 1, 5, 6, 1_000, 90_500].map(|time| plausible.generated_in(time)), [0, 1, 1, 2, 200, 18_100]);
        assert_eq!(PlausibleUsage { pace: u64::MAX, ..plausible }.generated_in(u64::MAX), u64::MAX);
        assert_eq!(PlausibleUsage::default().generated_in(90_500), 0);
    }

    #[test]
    fn implausible_parts_are_replaced_and_the_rest_is_kept() {
        let plausible = PlausibleUsage { prompt: 1_000, output: 50, ..PlausibleUsage::default() };
        let usage = |fresh, cache_read, output, reasoning| Usage {
            uncached_input: fresh,
            cache_read,
            output,
            reasoning,
            ..Usage::default()
        };
        let part = |reported| plausible.part(reported, (9, 7));
        assert_eq!(part(usage(600, 400, 50, 50)), (usage(600, 400, 50, 50), true));
        assert_eq!(part(usage(600, 401, 50, 5)), (usage(9, 0, 50, 5), false));
        assert_eq!(part(usage(600, 400, 51, 20)), (usage(600, 400, 7, 7), false));
        assert_eq!(part(usage(u64::MAX, 1, u64::MAX, 0)), (usage(9, 0, 7, 0), false));
        assert_eq!(plausible.part(usage(1, 0, 99, 0), (0, 99)), (usage(1, 0, 50, 0), false));
        let searching = |searches| Usage { searches, ..usage(1, 0, 2, 0) };
        assert_eq!(part(searching(9)), (searching(9), true));
        assert_eq!(part(searching(u64::MAX)), (searching(MAX_SEARCHES), false));
    }
}
