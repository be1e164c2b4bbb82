//! Amounts of money as decimal text.

/// Writes nano-dollars as dollars, exactly and without trailing zeros: 12750 is `0.00001275`.
pub fn dollars(nanos: u64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let text = format!("{whole}.{rest:09}");
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

/// Writes pico-dollars as dollars, the same way: 2500000 is `0.0000025`.
pub fn dollars_of_picos(picos: u64) -> String {
    let (whole, rest) = (picos / 1_000_000_000_000, picos % 1_000_000_000_000);
    let text = format!("{whole}.{rest:012}");
    let text = text.trim_end_matches('0');
    text.strip_suffix('.').unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_exactly() {
        for (nanos, text) in
            [(0, "0"), (1, "0.000000001"), (12_750, "0.00001275"), (5_000_000_000, "5"), (10_500_000_000, "10.5")]
        {
            assert_eq!(dollars(nanos), text);
            assert_eq!(dollars_of_picos(nanos * 1_000), text);
        }
        assert_eq!(dollars_of_picos(2_500_001), "0.000002500001");
    }
}
