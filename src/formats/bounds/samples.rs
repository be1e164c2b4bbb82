//! The number of responses that a provider may generate for one question.

use crate::wire::json::{self, Document};

/// Fields that request several responses, of all providers. A provider may return fewer than it generates.
const SAMPLE_FIELDS: &[&str] = &["n", "best_of", "num_return_sequences", "candidate_count", "candidateCount"];

/// The number of responses that may be generated for each question of a request, as it is sent; at least 1.
pub fn read(document: &Document<'_>) -> u64 {
    let asked = document
        .edited_members()
        .filter(|(key, _)| SAMPLE_FIELDS.contains(key))
        .filter_map(|(_, value)| lenient_count(value));
    asked.max().unwrap_or(1).max(1)
}

/// A count as providers may read it: `2`, and lenient ones `2.0`, `"2"` and `" 2_0 "`.
pub fn lenient_count(raw: &str) -> Option<u64> {
    let plain = json::text(raw).map(|text| text.trim().replace('_', ""));
    let number: f64 = plain.as_deref().unwrap_or(raw).parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let number = number.ceil() as u64;
    Some(number).filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples_of(body: &str) -> u64 {
        read(&Document::read(body.as_bytes()).unwrap())
    }

    #[test]
    fn a_count_is_read_as_the_most_lenient_provider_reads_it() {
        for (n, count) in [
            ("2", 2),
            ("2.0", 2),
            ("\"2\"", 2),
            ("2e0", 2),
            ("null", 1),
            ("-1", 1),
            ("[]", 1),
            ("2.5", 3),
            ("\" 1_0 \"", 10),
            ("\"\\u0033\"", 3),
            ("1e400", u64::MAX),
        ] {
            assert_eq!(samples_of(&format!(r#"{{"model":"m","messages":[],"n":{n}}}"#)), count, "{n}");
        }
    }

    #[test]
    fn the_largest_of_all_names_counts() {
        assert_eq!(samples_of(r#"{"model":"m","prompt":["a","b"],"n":2,"best_of":5}"#), 5);
        // Some hosts draw the best of several chats, too.
        assert_eq!(samples_of(r#"{"model":"m","messages":[],"best_of":9,"candidate_count":2}"#), 9);
        assert_eq!(samples_of(r#"{"model":"m","input":["a","b"]}"#), 1);
    }
}
