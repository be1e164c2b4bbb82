//! Reads and writes dates and times: RFC 3339 in UTC, and the date format of HTTP.
//!
//! A time is a number of milliseconds since 1970-01-01 UTC, a day a number of days since then.

/// The milliseconds of a day.
pub const DAY: u64 = 86_400_000;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// The full year, such as 2026.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
}

/// The calendar date of a day (Howard Hinnant's `civil_from_days`).
pub fn date(days: u64) -> Date {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Date { year: year_of_era + era * 400 + u64::from(month <= 2), month, day }
}

/// The day of a calendar date (Howard Hinnant's `days_from_civil`). Dates before 1970 are day 0.
fn days(date: Date) -> u64 {
    let year = date.year - u64::from(date.month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if date.month > 2 { date.month - 3 } else { date.month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).saturating_sub(719_468)
}

/// The first day of the month after that of a day.
pub fn next_month(day: u64) -> u64 {
    let Date { year, month, .. } = date(day);
    let (year, month) = if month < 12 { (year, month + 1) } else { (year + 1, 1) };
    days(Date { year, month, day: 1 })
}

/// Writes a day as `2026-11-23`.
pub fn write_day(days: u64) -> String {
    let Date { year, month, day } = date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes a time as `2026-11-23T05:39:05.678Z`.
pub fn write_time(time: u64) -> String {
    let (day, millis) = (write_day(time / DAY), time % DAY);
    let (hour, minute, second) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
    format!("{day}T{hour:02}:{minute:02}:{second:02}.{:03}Z", millis % 1000)
}

/// Whether a text is an HTTP date in the preferred form (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn is_http_date(text: &str) -> bool {
    http_date(text).is_some()
}

/// Reads an HTTP date in the preferred form. `None` if it is malformed or lies before 1970.
pub fn read_http_date(text: &str) -> Option<u64> {
    let [day, month, year, hour, minute, second] = http_date(text)?;
    let date = read_day(&format!("{year:04}-{month:02}-{day:02}"))?;
    Some(date * DAY + ((hour * 60 + minute) * 60 + second) * 1000)
}

/// The day, month, year, hour, minute and second of an HTTP date in the preferred form.
fn http_date(text: &str) -> Option<[u64; 6]> {
    const DAYS: &[&str] = &["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: &[&str] = &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (day, rest) = text.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [date, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let clock: Vec<&str> = time.split(':').collect();
    let within = |text: &str, length, most| digits(text, length).filter(|number| *number <= most);
    let [hour, minute, second] = clock.as_slice() else { return None };
    let month = MONTHS.iter().zip(1..).find(|(name, _)| *name == month)?.1;
    let numbers = [
        within(date, 2, 31)?,
        month,
        within(year, 4, 9999)?,
        within(hour, 2, 23)?,
        within(minute, 2, 59)?,
        within(second, 2, 60)?,
    ];
    DAYS.contains(&day).then_some(numbers)
}

/// Reads a day such as `2026-11-23`. `None` if it is malformed, does not exist, or lies before 1970.
pub fn read_day(text: &str) -> Option<u64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if year < 1970 || month == 0 || day == 0 {
        return None;
    }
    let wanted = Date { year, month, day };
    let found = days(wanted);
    // A day that does not exist, such as February 30, is the date of another one.
    (date(found) == wanted).then_some(found)
}

/// Reads a time such as `2026-11-23T05:39:05.678+01:00`. Seconds may have any number of decimals, and the
/// zone may be `Z`. `None` if it is malformed or lies before 1970.
pub fn read_time(text: &str) -> Option<u64> {
    let (day, time) = text.split_once(['T', 't', ' '])?;
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = time.splitn(3, ':');
    let (hour, minute, second) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = read_day(day)? * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + digits(&fraction, 3)?;
    let (sign, offset) = zone.split_at_checked(1)?;
    let offset = match (sign, offset) {
        ("Z" | "z", "") => 0,
        ("+" | "-", offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            (digits(hours, 2)? * 60 + digits(minutes, 2)?) * 60_000
        }
        _ => return None,
    };
    if sign == "-" { local.checked_add(offset) } else { local.checked_sub(offset) }
}

/// A number of exactly `length` decimal digits.
fn digits(text: &str, length: usize) -> Option<u64> {
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(write_time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(write_time(951_782_400_123), "2000-02-29T00:00:00.123Z");
        assert_eq!(write_time(1_795_412_345_678), "2026-11-23T05:39:05.678Z");
    }

    #[test]
    fn written_dates_can_be_read() {
        for day in (0..200_000).step_by(13) {
            assert_eq!(read_day(&write_day(day)), Some(day));
        }
        assert_eq!(read_time("2026-11-23T05:39:05.678Z"), Some(1_795_412_345_678));
        assert_eq!(read_time("2026-11-23t06:39:05.678999+01:00"), Some(1_795_412_345_678));
        assert_eq!(read_time("2026-11-22T23:39:05.6-06:00"), Some(1_795_412_345_600));
    }

    #[test]
    fn only_the_preferred_form_is_an_http_date() {
        assert!(is_http_date("Sun, 06 Nov 1994 08:49:37 GMT"));
        for text in [
            "",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT sk-1",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert!(!is_http_date(text), "{text}");
        }
    }

    #[test]
    fn an_http_date_is_a_time() {
        assert_eq!(read_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(read_http_date("Fri, 27 Nov 2026 05:00:00 GMT"), read_time("2026-11-27T05:00:00Z"));
        for text in ["Sat, 30 Feb 2030 00:00:00 GMT", "Sun, 06 Nov 1964 08:49:37 GMT", "tomorrow"] {
            assert_eq!(read_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn malformed_dates_and_times_are_refused() {
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-1-01",
            "1969-12-31",
            "26-01-01",
            "2026-01-01x",
            "+026-01-01",
        ] {
            assert_eq!(read_day(text), None, "{text}");
        }
        for text in [
            "2026-11-23",
            "2026-11-23T05:39:05",
            "2026-11-23T24:00:00Z",
            "2026-11-23T05:39Z",
            "2026-11-23T05:39:05Zx",
            "é",
            "2026-11-23Té",
        ] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }
}
