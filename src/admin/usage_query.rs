//! The period of a usage report, and the fields that it is grouped by.

use super::query::{Query, invalid};
use crate::error::Result;

/// The default and the maximum number of days in a report.
const DEFAULT_DAYS: u64 = 30;
const MAX_DAYS: u64 = 400;

/// The period of a report, and the fields that it is grouped by.
#[derive(Clone, Copy)]
pub struct UsageQuery {
    /// The first day, counted from 1970-01-01.
    pub from: u64,
    /// The last day.
    pub to: u64,
    pub by_key: bool,
    pub by_provider: bool,
    pub by_model: bool,
    pub by_day: bool,
}

impl UsageQuery {
    /// Reads `from`, `to` and `group_by`. `today`: the day that the clocks of the operator's zone show. A
    /// report about many keys can be grouped by key.
    ///
    /// # Errors
    /// 400 with the name of the invalid parameter.
    pub fn read(query: &Query, today: u64, many_keys: bool) -> Result<Self> {
        let to = query.day("to")?.unwrap_or(today);
        let from = query.day("from")?.unwrap_or_else(|| to.saturating_sub(DEFAULT_DAYS - 1));
        if from > to {
            return Err(invalid("from", "not be after `to`"));
        }
        if to - from >= MAX_DAYS {
            return Err(invalid("from", &format!("be at most {MAX_DAYS} days before `to`")));
        }
        match query.text("group_by") {
            None => Ok(Self { from, to, by_key: many_keys, by_provider: true, by_model: true, by_day: true }),
            Some(fields) => {
                let ungrouped = Self { from, to, by_key: false, by_provider: false, by_model: false, by_day: false };
                ungrouped.grouped_by(fields, many_keys)
            }
        }
    }

    fn grouped_by(mut self, fields: &str, many_keys: bool) -> Result<Self> {
        for field in fields.split(',').map(str::trim).filter(|field| !field.is_empty()) {
            match field {
                "key" if many_keys => self.by_key = true,
                "provider" => self.by_provider = true,
                "model" => self.by_model = true,
                "day" => self.by_day = true,
                _ => {
                    let known = if many_keys { "key, provider, model, day" } else { "provider, model, day" };
                    return Err(invalid("group_by", &format!("be a comma-separated list of these: {known}")));
                }
            }
        }
        Ok(self)
    }
}
