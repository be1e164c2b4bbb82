//! Reads and writes decimal text as integers, so that money never passes through a float. `build.rs` includes
//! this file too.

/// Reads a non-negative decimal number as an integer, scaled by 10 to the power of `places`: `2.5` with 6
/// places becomes 2500000.
///
/// `None` if the text is not such a number, has more decimals, or is too large.
pub fn scaled(text: &str, places: i32) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction.trim_end_matches('0')].concat();
    if whole.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let decimals = i32::try_from(digits.len() - whole.len()).ok()?;
    let shift = exponent.parse::<i32>().ok()?.checked_add(places)?.checked_sub(decimals)?;
    let power = 10_u64.checked_pow(shift.unsigned_abs());
    match (number, power) {
        (0, _) => Some(0),
        (_, Some(power)) if shift >= 0 => number.checked_mul(power),
        (_, Some(power)) if number.is_multiple_of(power) => Some(number / power),
        _ => None,
    }
}

/// An amount in units of 10 to the power of minus `places`, as decimal text without zeros at its end: 2500000
/// with 6 places becomes `2.5`.
pub fn text(amount: u64, places: usize) -> String {
    let digits = format!("{amount:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::{scaled, text};

    #[test]
    fn amounts_are_written_exactly() {
        for (amount, places, expected) in [
            (0, 6, "0"),
            (2_500_000, 6, "2.5"),
            (10_000_000, 6, "10"),
            (5, 12, "0.000000000005"),
            (7, 0, "7"),
            (u64::MAX, 6, "18446744073709.551615"),
        ] {
            assert_eq!(text(amount, places), expected);
        }
    }

    #[test]
    fn decimals_are_exact() {
        for (text, units) in [
            ("0", 0),
            ("0.000", 0),
            ("2.50", 2_500_000),
            ("10", 10_000_000),
            ("0.000001", 1),
            ("1e-6", 1),
            ("1.5E2", 150_000_000),
            ("0.1000000000", 100_000),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(scaled(text, 6), Some(units), "{text}");
        }
    }

    #[test]
    fn inexact_and_malformed_numbers_are_refused() {
        for text in [
            "",
            ".5",
            "-1",
            "+1",
            "1,5",
            "1_0",
            "0.0000001",
            "1e-7",
            "18446744073709.551616",
            "1e99",
            "1e-99999999999",
            "NaN",
            ".inf",
            "0x1",
        ] {
            assert_eq!(scaled(text, 6), None, "{text}");
        }
    }
}
