//! The days and hours in which a price holds, as they are written. The build script and the operator's
//! configuration read them.

const MILLIS_PER_DAY: u64 = 86_400_000;
/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

/// The beginning of a day such as `2026-12-01` (UTC), in milliseconds since 1970. `None` if it is no day.
pub fn midnight(day: &str) -> Option<u64> {
    let mut parts = day.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day_of_month) = (parts.next()??, parts.next()??, parts.next()??);
    let is_day = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day_of_month);
    if !is_day || parts.next().is_some() {
        return None;
    }
    // The civil calendar, with years that begin in March.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day_of_month - 1;
    Some((days - EPOCH) * MILLIS_PER_DAY)
}

/// The hours of a span such as `01-04`: bit `n` is the hour from `n`:00. `None` if it is no span of whole
/// hours of a day.
pub fn hours(span: &str) -> Option<u32> {
    let (start, end) = span.split_once('-')?;
    let (start, end): (u32, u32) = (start.parse().ok()?, end.parse().ok()?);
    (start < end && end <= 24).then(|| (start..end).fold(0, |set, hour| set | 1 << hour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_millisecond() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("2000-02-29", 11_016),
            ("2026-11-27", 20_784),
            ("2026-12-01", 20_788),
            ("2027-01-01", 20_819),
        ] {
            assert_eq!(midnight(text), Some(days * MILLIS_PER_DAY), "{text}");
        }
        for text in
            ["", "2026", "2026-12", "2026-13-01", "2026-12-32", "2026-12-00", "1969-12-31", "2026-12-01-1", "x-1-1"]
        {
            assert_eq!(midnight(text), None, "{text}");
        }
    }

    #[test]
    fn a_span_has_its_first_hour_and_not_its_last() {
        assert_eq!(hours("01-04"), Some(0b1110));
        assert_eq!(hours("0-24"), Some(0xff_ffff));
        for text in ["", "4", "4-4", "5-4", "0-25", "a-b", "1:30-4"] {
            assert_eq!(hours(text), None, "{text}");
        }
    }
}
