//! The parameters of reports: days of the operator's time zone, periods, groups and filters.

use percent_encoding::percent_decode_str;

use super::account::account_of;
use super::query::{Query, invalid};
use crate::config::{Millis, Reporting, is_tag_name};
use crate::error::{Error, Result};
use crate::gateway::Platform;
use crate::reports::{DayRange, Dimension, Filter, Quarter, ReportQuery, Resolution, Zone, date_at, spans};
use crate::wire::date::{DAY, read_day, read_time};

/// The default number of days.
const DEFAULT_DAYS: u64 = 30;
/// How many tags a filter may have, and how many dimensions a report.
const MAX_TAGS: usize = 4;
const MAX_DIMENSIONS: usize = 8;

/// The names of resolutions, and how many days of each a report may have.
const RESOLUTIONS: [(&str, Resolution, u64); 4] = [
    ("quarter", Resolution::Quarter, 31),
    ("hour", Resolution::Hour, 100),
    ("day", Resolution::Day, 800),
    ("total", Resolution::Range, 800),
];

/// A report's parameters.
pub struct ReportParameters {
    /// What it is about.
    pub query: ReportQuery,
    /// The offsets of the zone of its days.
    pub zone: Zone,
    /// The name of its resolution, and those of its dimensions.
    pub resolution: &'static str,
    pub group_by: Vec<String>,
}

impl ReportParameters {
    /// Reads them.
    ///
    /// # Errors
    /// 400 with the name of the invalid parameter; 500 if the runtime does not know the zone.
    pub fn read<P: Platform>(platform: &P, settings: &Reporting, query: &Query) -> Result<Self> {
        let (resolution, periods, max_days) = read_resolution(query)?;
        let (days, quarters) = match read_times(platform, settings, query)? {
            Some((days, quarters)) => (days, Some(quarters)),
            None => (read_days(platform, settings, query)?, None),
        };
        if days.to - days.from >= max_days {
            return Err(invalid(
                "from",
                &format!("be at most {max_days} days before `to` if resolution is {resolution}"),
            ));
        }
        let zone = zone_of_days(platform, settings, days)?;
        let group_by = read_groups(query)?;
        let dimensions = group_by.iter().filter_map(|name| Dimension::named(name)).collect();
        let filters = read_filters(query)?;
        let query = ReportQuery { days, quarters, resolution: periods, group_by: dimensions, filters };
        Ok(Self { query, zone, resolution, group_by })
    }
}

/// The offsets of the operator's zone over some days.
fn zone_of_days<P: Platform>(platform: &P, settings: &Reporting, days: DayRange) -> Result<Zone> {
    // No zone is a day away from UTC.
    let (from, to) = (days.from.saturating_sub(1).saturating_mul(DAY), days.to.saturating_add(2).saturating_mul(DAY));
    let offsets = platform.zone_offsets(&settings.timezone, from, to);
    offsets.and_then(|offsets| Zone::read(&offsets)).ok_or_else(|| {
        let message = format!(
            "The runtime does not know the time zone `{}` of `reporting.timezone`. Expected a name of IANA's database.",
            settings.timezone
        );
        Error::gateway(500, "unknown_timezone", message)
    })
}

fn read_resolution(query: &Query) -> Result<(&'static str, Resolution, u64)> {
    let name = query.text("resolution").unwrap_or("day");
    let known = RESOLUTIONS.into_iter().find(|(known, ..)| *known == name);
    known.ok_or_else(|| invalid("resolution", "be quarter, hour, day or total"))
}

/// The whole quarters of an hour between `from` and `to`, if these are times and not days, and the days in
/// which they lie.
fn read_times<P: Platform>(
    platform: &P,
    settings: &Reporting,
    query: &Query,
) -> Result<Option<(DayRange, (Quarter, Quarter))>> {
    let texts = ["from", "to"].map(|name| query.text(name));
    let is_time = |text: Option<&str>| text.is_some_and(|text| text.contains('T'));
    if !texts.into_iter().any(is_time) {
        return Ok(None);
    }
    let [from, to] = texts;
    let from = read_moment(platform, settings, ("from", from), false)?;
    let from = from.ok_or_else(|| invalid("from", "be given, if `to` is a time"))?;
    let to = read_moment(platform, settings, ("to", to), true)?.unwrap_or_else(|| platform.now().saturating_add(1));
    let (first, last) = (Quarter::of(from), Quarter::of(to.saturating_sub(1)));
    if from >= to {
        return Err(invalid("from", "be before `to`"));
    }
    let days = DayRange { from: first.start() / DAY, to: last.start() / DAY };
    let zone = zone_of_days(platform, settings, days)?;
    let days = DayRange { from: date_at(&zone, first.start()), to: date_at(&zone, last.start()) };
    Ok(Some((days, (first, last))))
}

fn read_days<P: Platform>(platform: &P, settings: &Reporting, query: &Query) -> Result<DayRange> {
    let to = match query.day("to")? {
        Some(day) => day,
        None => today(platform, settings)?,
    };
    let from = query.day("from")?.unwrap_or_else(|| to.saturating_sub(DEFAULT_DAYS - 1));
    if from > to {
        return Err(invalid("from", "not be after `to`"));
    }
    Ok(DayRange { from, to })
}

/// The day that the clocks of the operator's zone show.
///
/// # Errors
/// 500 if the runtime does not know the zone.
pub fn today<P: Platform>(platform: &P, settings: &Reporting) -> Result<u64> {
    let now = platform.now();
    let day = now / DAY;
    Ok(date_at(&zone_of_days(platform, settings, DayRange { from: day, to: day })?, now))
}

fn read_groups(query: &Query) -> Result<Vec<String>> {
    let names = query.text("group_by").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut groups: Vec<String> = Vec::new();
    for name in names {
        if Dimension::named(name).is_none()
            || groups.iter().any(|group| group == name)
            || groups.len() == MAX_DIMENSIONS
        {
            return Err(invalid(
                "group_by",
                "be a comma-separated list of these: key, owner, provider, model, tag.NAME",
            ));
        }
        groups.push(name.to_owned());
    }
    Ok(groups)
}

fn read_filters(query: &Query) -> Result<Vec<Filter>> {
    let key = read_key(query)?;
    let text = |name| query.text(name).map(str::to_owned);
    let plain = [
        (Dimension::Key, key),
        (Dimension::Owner, text("owner")),
        (Dimension::Provider, text("provider")),
        (Dimension::Model, text("model")),
    ];
    let tags = read_tags(query)?.into_iter().map(|(name, value)| (Dimension::Tag(name), Some(value)));
    let filters = plain.into_iter().chain(tags);
    Ok(filters.filter_map(|(dimension, value)| Some(Filter { dimension, values: vec![Some(value?)] })).collect())
}

/// The `key_id` of the key that `key` names.
///
/// # Errors
/// 400 if that is no name of a key.
pub fn read_key(query: &Query) -> Result<Option<String>> {
    query.text("key").map(|key| account_of(key).map(|account| account.as_str().to_owned())).transpose()
}

/// The tags of `tags`, written as in the header of a request: `team=search, env=prod`.
///
/// # Errors
/// 400 if they are not.
pub fn read_tags(query: &Query) -> Result<Vec<(String, String)>> {
    let tag = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        Some((name.trim().to_owned(), value)).filter(|(name, value)| is_tag_name(name) && !value.is_empty())
    };
    let pairs = query.text("tags").unwrap_or_default().split(',').filter(|pair| !pair.trim().is_empty());
    let tags: Option<Vec<(String, String)>> = pairs.map(tag).collect();
    let tags = tags.filter(|tags| tags.len() <= MAX_TAGS);
    tags.ok_or_else(|| invalid("tags", "be at most 4 tags such as team=search, separated by commas"))
}

/// A time, or a day of the operator's zone: its beginning, or its end if `is_end`.
///
/// # Errors
/// 400 if it is neither.
pub fn read_moment<P: Platform>(
    platform: &P,
    settings: &Reporting,
    (name, text): (&'static str, Option<&str>),
    is_end: bool,
) -> Result<Option<Millis>> {
    let Some(text) = text else { return Ok(None) };
    if let Some(time) = read_time(text) {
        return Ok(Some(time));
    }
    let rule = "be a time such as 2026-11-23T05:39:05Z, or a day such as 2026-11-23";
    let day = read_day(text).ok_or_else(|| invalid(name, rule))?;
    let days = DayRange { from: day, to: day };
    let spans = spans(&zone_of_days(platform, settings, days)?, Resolution::Range, days);
    let quarter =
        if is_end { spans.last().map(|span| Quarter(span.last.0 + 1)) } else { spans.first().map(|span| span.first) };
    Ok(Some(quarter.map_or(day.saturating_mul(DAY), Quarter::start)))
}
