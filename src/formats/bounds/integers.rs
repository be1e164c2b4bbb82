//! Whole numbers that a client wrote with a fraction of nothing, as languages with one kind of number do: `4096.0`.
//! Some hosts refuse them. Between equal formats they pass as they are.

use crate::canonical::Raw;
use crate::wire::json::parse_integer;

/// A larger number may not be the one that was meant: a double skips some.
const LARGEST: u64 = 1 << 53;

/// A number as whole, if it is so by its value.
pub fn whole(raw: Raw<'_>) -> Raw<'_> {
    let value = raw.get();
    let is_fraction = value.starts_with(|c: char| c.is_ascii_digit()) && value.contains(['.', 'e', 'E']);
    let number = if is_fraction { parse_integer(value).filter(|number| *number < LARGEST) } else { None };
    number.and_then(|number| Raw::from_string(number.to_string())).unwrap_or(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_fraction_is_written_as_whole() {
        let of = |json: &str| whole(Raw::parse(json).unwrap()).get().to_owned();
        assert_eq!([of("7.0"), of("4e1"), of("7"), of("0.0")], ["7", "40", "7", "0"]);
        for other in ["7.5", "-7.0", "1e16", "1e400", "\"7.0\"", "null"] {
            assert_eq!(of(other), other);
        }
    }
}
