//! How long a provider asks to wait: all forms in which providers write it, read in one place.
//!
//! The first that says so counts: a header, a field of the error, the error's message, and at last the reset
//! of a limit of which nothing is left. `configs/causes.yaml` has the names of headers and fields. A time
//! that has passed is a wait of 0. Negative times and texts that say nothing do not count.

use crate::catalogue::causes::{
    LimitHeaders, WaitCue, WaitName, WaitUnit, limits, wait_cues, wait_fields, wait_headers,
};
use crate::config::Millis;
use crate::error::Statement;
use crate::wire::date::{DAY, read_day, read_http_date, read_time};

/// A longer wait is a rest, in milliseconds: a day.
pub const LONGEST_WAIT: Millis = DAY;

/// Mere numbers from this on are no seconds to wait but a time since 1970 in seconds …
const EPOCH_SECONDS: Millis = 1_000_000_000;
/// … and from this on, in milliseconds.
const EPOCH_MILLIS: Millis = 10_000_000_000;

/// How long a provider asks to wait before the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// So many milliseconds at least; 0 is now. A jitter belongs on top.
    For(Millis),
    /// So many milliseconds, which is longer than [`LONGEST_WAIT`]. What has failed rests for that long at
    /// most; then one request probes it.
    Rest(Millis),
}

impl Wait {
    /// The wait of so many milliseconds.
    pub fn of(millis: Millis) -> Self {
        if millis > LONGEST_WAIT { Self::Rest(millis) } else { Self::For(millis) }
    }

    /// The whole of it as the provider stated it, in milliseconds.
    pub fn stated(self) -> Millis {
        match self {
            Self::For(millis) | Self::Rest(millis) => millis,
        }
    }

    /// The time until something may be tried again, in milliseconds: [`LONGEST_WAIT`] at most.
    pub fn until_next_try(self) -> Millis {
        self.stated().min(LONGEST_WAIT)
    }

    /// In whole seconds, rounded up and at least 1, as `retry-after` has it.
    pub fn whole_seconds(self) -> u64 {
        self.stated().div_ceil(1000).max(1)
    }
}

/// How long a provider asks to wait, in milliseconds, by a header, a field or the message of its error.
pub fn asked_wait(statement: &Statement, now: Millis) -> Option<Millis> {
    let named = |names: &[WaitName], values: &[(&str, String)]| {
        let find = |wait: &WaitName| {
            let value = values.iter().filter(|(name, _)| *name == wait.name);
            value.filter_map(|(_, value)| read_wait(value, wait.unit, now)).next()
        };
        names.iter().find_map(find)
    };
    named(wait_headers(), &statement.headers)
        .or_else(|| named(wait_fields(), &statement.waits))
        .or_else(|| statement.texts.iter().find_map(|text| wait_in_text(text, now)))
}

/// The time until all limits of which nothing is left are reset, in milliseconds; `None` if something is left
/// of each, or if their resets are not known. Providers report when a limit is *full* again, so that it is an
/// upper bound.
pub fn until_reset(statement: &Statement, now: Millis) -> Option<Millis> {
    let header = |wanted: &str| statement.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| &**value);
    let exhausted = |limit: &&LimitHeaders| {
        header(limit.state).is_some_and(|state| {
            let state = state.trim().to_ascii_lowercase();
            let is_named = !limit.exhausted.is_empty() && state == limit.exhausted;
            is_named || state.starts_with('-') || number(&state, 1) == Some((0, ""))
        })
    };
    let reset = |limit: &LimitHeaders| {
        let stated = header(limit.reset).and_then(|reset| read_wait(reset, WaitUnit::Seconds, now));
        stated.or(limit.window)
    };
    limits().iter().filter(exhausted).filter_map(reset).max()
}

/// Reads a waiting time that fills a header or a field: a number, a duration such as `6m0.5s`, or a date.
fn read_wait(text: &str, unit: WaitUnit, now: Millis) -> Option<Millis> {
    let text = text.trim();
    if let Some((millis, "")) = number(text, 1) {
        // A whole number too large for a wait is a time.
        return match (unit, millis) {
            (WaitUnit::Millis, millis) => Some(millis),
            (WaitUnit::Seconds, ..EPOCH_SECONDS) => number(text, 1000).map(|(millis, _)| millis),
            (WaitUnit::Seconds, time @ ..EPOCH_MILLIS) => Some(time.saturating_mul(1000).saturating_sub(now)),
            (WaitUnit::Seconds, time) => Some(time.saturating_sub(now)),
        };
    }
    if let Some((millis, "")) = duration(text) {
        return Some(millis);
    }
    read_http_date(text).or_else(|| read_time(text)).map(|time| time.saturating_sub(now))
}

/// The waiting time that a message states, in milliseconds: after one of the known words, a duration or a
/// date.
fn wait_in_text(text: &str, now: Millis) -> Option<Millis> {
    wait_cues().iter().find_map(|WaitCue { words, hours_ahead }| {
        let (_, after) = text.split_once(words)?;
        let after = ["about ", "approximately ", "~"]
            .iter()
            .fold(after.trim_start(), |text, filler| text.strip_prefix(filler).unwrap_or(text));
        let waiting = duration(after).map(|(millis, _)| millis);
        waiting.or_else(|| {
            let local = date_in_text(after)?;
            Some(local.saturating_sub(hours_ahead * 3_600_000).saturating_sub(now))
        })
    })
}

/// The date that a text begins with, in milliseconds since 1970, without a time zone.
fn date_in_text(text: &str) -> Option<Millis> {
    let (day, rest) = text.split_at_checked(10)?;
    let day = read_day(day)? * DAY;
    let rest = rest.trim_start_matches(['t', ' ']);
    let rest = rest.strip_prefix("at ").unwrap_or(rest);
    let length = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let mut units = [3_600_000, 60_000, 1000].into_iter();
    let parts = rest.get(..length)?.split(':').filter_map(|part| part.parse::<u64>().ok());
    let time: Millis = parts.zip(units.by_ref()).map(|(part, unit)| part.min(60).saturating_mul(unit)).sum();
    Some(day + time)
}

/// The duration that a text begins with, in milliseconds, and the rest of the text: `36.4s`, `1h2m3s`,
/// `900ms`, `37 seconds`, `1 hour and 5 min`.
fn duration(text: &str) -> Option<(Millis, &str)> {
    let (mut total, mut rest) = (None::<Millis>, text);
    while let Some((millis, after)) = component(rest) {
        total = Some(total.unwrap_or(0).saturating_add(millis));
        rest = after;
    }
    total.map(|total| (total, rest))
}

/// One number of a duration with its unit.
fn component(text: &str) -> Option<(Millis, &str)> {
    let text = text.trim_start_matches([' ', ',']);
    let text = text.strip_prefix("and ").unwrap_or(text);
    let (_, after) = number(text, 1)?;
    let word = after.trim_start();
    let length = word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (unit, rest) = word.split_at_checked(length)?;
    let unit = match unit {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => DAY,
        _ => return None,
    };
    number(text, unit).map(|(millis, _)| (millis, rest))
}

/// The decimal number that a text begins with, times `unit` and rounded up, and the rest of the text.
fn number(text: &str, unit: Millis) -> Option<(Millis, &str)> {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at_checked(digits(text))?;
    let point = rest.strip_prefix('.').filter(|rest| digits(rest) > 0);
    let (fraction, rest) = point.map_or(Some(("", rest)), |rest| rest.split_at_checked(digits(rest)))?;
    if whole.is_empty() {
        return None;
    }
    // Nine decimals are nanoseconds of a second.
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let fraction = fraction.parse::<u64>().ok()?.saturating_mul(unit).div_ceil(1_000_000_000);
    let whole = whole.parse::<u64>().ok()?.saturating_mul(unit);
    Some((whole.saturating_add(fraction), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-27T12:00:00Z.
    const NOON: Millis = 1_795_780_800_000;
    const SECOND: Millis = 1000;
    const MINUTE: Millis = 60 * SECOND;
    const HOUR: Millis = 60 * MINUTE;

    fn stated(headers: &[(&'static str, &str)], fields: &[(&'static str, &str)], text: &str) -> Statement {
        let owned = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        let texts = vec![text.to_lowercase()];
        Statement { texts, headers: owned(headers), waits: owned(fields), ..Statement::default() }
    }

    #[test]
    fn the_clock_of_these_tests_is_right() {
        assert_eq!(read_time("2026-11-27T12:00:00Z"), Some(NOON));
    }

    #[test]
    fn each_form_of_a_header_is_read() {
        for (name, value, expected) in [
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after-ms", "1500.5", Some(1501)),
            ("retry-after-ms", "0", Some(0)),
            ("retry-after", "2", Some(2 * SECOND)),
            ("retry-after", " 2 ", Some(2 * SECOND)),
            ("retry-after", "0", Some(0)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after", "0.0001", Some(1)),
            ("retry-after", "86400", Some(DAY)),
            ("retry-after", "Fri, 27 Nov 2026 12:00:30 GMT", Some(30 * SECOND)),
            ("retry-after", "Fri, 27 Nov 2026 05:00:00 GMT", Some(0)),
            ("retry-after", "2026-11-27T12:05:00Z", Some(5 * MINUTE)),
            ("retry-after", "6m0s", Some(6 * MINUTE)),
            ("retry-after", "1795780834", Some(34 * SECOND)),
            ("retry-after", "1795780834000", Some(34 * SECOND)),
            ("retry-after", "999999999", Some(999_999_999 * SECOND)),
            ("retry-after", "-5", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after", "99999999999999999999999", None),
        ] {
            assert_eq!(asked_wait(&stated(&[(name, value)], &[], ""), NOON), expected, "{name}: {value}");
        }
    }

    #[test]
    fn each_form_of_a_field_is_read() {
        for (name, value, expected) in [
            ("retryDelay", "36s", Some(36 * SECOND)),
            ("retryDelay", "34.074824224s", Some(34_075)),
            ("retryDelay", "900ms", Some(900)),
            ("retryDelay", "0s", Some(0)),
            ("retryDelay", "soon", None),
            ("retryDelay", "-1s", None),
            ("retry_after_ms", "250", Some(250)),
            ("retry_after", "12", Some(12 * SECOND)),
            ("retry_after_seconds", "1.5", Some(1500)),
            ("resets_in_seconds", "5400", Some(90 * MINUTE)),
            ("resets_at", "2026-11-28T00:00:00Z", Some(12 * HOUR)),
            ("resets_at", "1795780860", Some(MINUTE)),
        ] {
            assert_eq!(asked_wait(&stated(&[], &[(name, value)], ""), NOON), expected, "{name}: {value}");
        }
    }

    #[test]
    fn each_form_of_a_message_is_read() {
        for (text, expected) in [
            ("Please retry in 36.429760048s.", Some(36_430)),
            ("Please retry in 10h17m5.7s.", Some(10 * HOUR + 17 * MINUTE + 5700)),
            ("Limit 3, Used 3. Please try again in 5.289s. Visit https://x", Some(5289)),
            ("Please try again in 6m0s.", Some(6 * MINUTE)),
            ("Please try again in 20ms.", Some(20)),
            ("Please retry after 37 seconds.", Some(37 * SECOND)),
            ("please try again after 1 seconds", Some(SECOND)),
            ("Try again in ~162 min.", Some(162 * MINUTE)),
            ("Try again in about 2 hours and 5 minutes", Some(2 * HOUR + 5 * MINUTE)),
            ("Your limit will reset at 2026-11-27 15:30:06", Some(3 * HOUR + 30 * MINUTE + 6 * SECOND)),
            ("resets at 2026-11-27T12:00:30Z.", Some(30 * SECOND)),
            ("You will regain access on 2026-12-01 at 00:00 UTC.", Some(84 * HOUR)),
            ("您的限额将在 2026-11-27 20:01:00 重置。", Some(MINUTE)),
            ("It resets at 2020-01-01 00:00:00", Some(0)),
            ("Please try again in a few minutes.", None),
            ("Please try again later.", None),
            ("Please wait a moment and try again.", None),
            ("Please retry after 37.", None),
            ("retry in 5 parsecs", None),
            ("It resets at 2026-13-01", None),
            ("retry in", None),
            ("", None),
        ] {
            assert_eq!(asked_wait(&stated(&[], &[], text), NOON), expected, "{text}");
        }
    }

    #[test]
    fn of_two_that_disagree_the_first_in_the_order_counts() {
        let ask = |headers: &[(&'static str, &str)], fields: &[(&'static str, &str)], text: &str| {
            asked_wait(&stated(headers, fields, text), NOON)
        };
        let (ms, seconds, delay) = (("retry-after-ms", "1500"), ("retry-after", "20"), ("retryDelay", "36s"));
        assert_eq!(ask(&[seconds, ms], &[delay], "retry in 50s"), Some(1500));
        assert_eq!(ask(&[seconds], &[delay], "retry in 50s"), Some(20 * SECOND));
        assert_eq!(ask(&[("retry-after", "later")], &[delay], "retry in 50s"), Some(36 * SECOND));
        assert_eq!(ask(&[], &[("retryDelay", "later")], "retry in 50s"), Some(50 * SECOND));
        assert_eq!(ask(&[("retry-after", "0")], &[delay], "retry in 50s"), Some(0));
    }

    #[test]
    fn a_reset_counts_for_a_limit_that_is_exhausted() {
        for (headers, expected) in [
            (&[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "7.66s")][..], Some(7660)),
            (&[("x-ratelimit-remaining-requests", "3"), ("x-ratelimit-reset-requests", "7.66s")], None),
            (&[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "2m59.56s")], Some(179_560)),
            (&[("x-ratelimit-remaining-tokens", "-12"), ("x-ratelimit-reset-tokens", "34")], Some(34 * SECOND)),
            (&[("x-ratelimit-remaining-tokens", "0.0"), ("x-ratelimit-reset-tokens", "59.7")], Some(59_700)),
            (&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795780860000")], Some(MINUTE)),
            (&[("x-ratelimit-remaining-tokens-minute", "0")], Some(MINUTE)),
            (&[("x-ratelimit-remaining-tokens-minute", "4999911")], None),
            (
                &[
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-11-27T12:00:05Z"),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "2026-11-27T12:00:09Z"),
                ],
                Some(9 * SECOND),
            ),
            (
                &[
                    ("anthropic-ratelimit-unified-5h-status", "rejected"),
                    ("anthropic-ratelimit-unified-5h-reset", "1795782600"),
                    ("anthropic-ratelimit-unified-7d-status", "allowed"),
                    ("anthropic-ratelimit-unified-7d-reset", "1796000000"),
                ],
                Some(30 * MINUTE),
            ),
            (&[("x-ratelimit-remaining-requests", ""), ("x-ratelimit-reset-requests", "9s")], None),
            (&[], None),
        ] {
            assert_eq!(until_reset(&stated(headers, &[], ""), NOON), expected, "{headers:?}");
        }
    }

    #[test]
    fn more_than_a_day_is_a_rest() {
        assert_eq!(Wait::of(DAY), Wait::For(DAY));
        let rest = Wait::of(30 * DAY);
        assert_eq!((rest, rest.until_next_try(), rest.stated()), (Wait::Rest(30 * DAY), DAY, 30 * DAY));
        assert_eq!(Wait::For(1).whole_seconds(), 1);
        assert_eq!((Wait::For(0).whole_seconds(), Wait::For(37_010).whole_seconds()), (1, 38));
    }
}
