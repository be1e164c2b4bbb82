//! Reports: their parts are their total, and their days are their range, in every time zone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may insist")]

#[path = "support/zones.rs"]
mod zones;

use std::collections::{BTreeMap, BTreeSet};

use llm_bridge::gateway::Outcome;
use llm_bridge::ledger::{LOST, TokenCounts};
use llm_bridge::reports::{
    Cell, DayRange, Dimension, Filter, Group, NameCaps, OTHER, OUTCOMES, OffsetChange, Quarter, Report, ReportQuery,
    Resolution, Sums, Zone, accumulate, spans,
};
use llm_bridge::telemetry::RequestSummary;
use llm_bridge::wire::date::{DAY, read_day};
use proptest::prelude::*;
use zones::zones;

const RESOLUTIONS: [Resolution; 4] = [Resolution::Quarter, Resolution::Hour, Resolution::Day, Resolution::Range];

fn day(text: &str) -> u64 {
    read_day(text).unwrap()
}

/// The date that the zone's clocks show.
fn date_at(zone: &Zone, time: u64) -> u64 {
    let local = i64::try_from(time / 1_000).unwrap() + zone.offset_at(time);
    u64::try_from(local.div_euclid(86_400)).unwrap()
}

fn cells(requests: &[RequestSummary]) -> BTreeMap<Cell, Sums> {
    accumulate(requests, &mut BTreeMap::new())
}

fn sum<'s>(parts: impl Iterator<Item = &'s Sums>) -> Sums {
    parts.fold(Sums::default(), |mut sum, part| {
        sum.add(part);
        sum
    })
}

fn report(query: &ReportQuery, zone: &Zone, requests: &[RequestSummary]) -> Report {
    Report::of(query, zone, &cells(requests))
}

/// Ten days around a change of clocks in most zones that have one, as days of UTC.
const WINDOWS: [&str; 4] = ["2026-03-24", "2026-10-20", "2026-04-01", "2031-09-25"];

prop_compose! {
    fn any_tokens()(fresh in 0u64..1_000, output in 0u64..1_000) -> TokenCounts {
        TokenCounts { uncached_input: fresh, output, ..TokenCounts::default() }
    }
}

prop_compose! {
    fn request_after(window: u64)(
        at in window * DAY..(window + 10) * DAY,
        duration in 0u64..200_000,
        (key, owner, provider, model) in ("[ab]", "[uv]?", "[pq]?", "[mn]"),
        team in proptest::option::of("[xy]"),
        outcome in proptest::sample::select(OUTCOMES.to_vec()),
        tokens in proptest::option::of(any_tokens()),
        cost in proptest::option::of(0u64..1_000_000),
    ) -> RequestSummary {
        RequestSummary {
            at,
            duration,
            ttft: cost.map(|cost| cost % 1_000),
            key_id: key,
            owner,
            provider,
            model,
            outcome: outcome.to_owned(),
            tokens,
            cost,
            tags: team.map(|team| ("team".to_owned(), team)).into_iter().collect(),
            ..RequestSummary::default()
        }
    }
}

/// A zone of the database, or one with odd offsets that change at odd times.
fn any_zone() -> impl Strategy<Value = Zone> {
    let known: Vec<Zone> = zones().into_iter().map(|(_, zone)| zone).collect();
    prop_oneof![3 => proptest::sample::select(known), 1 => odd_zone()]
}

fn odd_zone() -> impl Strategy<Value = Zone> {
    let change = (20_500 * DAY..20_800 * DAY, -50_000i64..50_000);
    (-50_000i64..50_000, proptest::collection::btree_map(change.0, change.1, 0..4)).prop_map(|(first, changes)| {
        let changes = changes.into_iter().map(|(at, offset)| OffsetChange { at, offset }).collect();
        Zone::new(first, changes).unwrap()
    })
}

fn dimensions() -> Vec<Dimension> {
    vec![Dimension::Key, Dimension::Owner, Dimension::Provider, Dimension::Model, Dimension::Tag("team".into())]
}

prop_compose! {
    fn any_query(window: u64)(
        (from, length) in (0u64..8, 0u64..6),
        quarters in proptest::option::of((window * 96..(window + 10) * 96, 0u64..96)),
        resolution in proptest::sample::select(RESOLUTIONS.to_vec()),
        group_by in proptest::sample::subsequence(dimensions(), 0..=5),
        team in proptest::option::of(prop_oneof![Just(None), Just(Some("x".to_owned()))]),
    ) -> ReportQuery {
        let filter = |team| Filter { dimension: Dimension::Tag("team".into()), values: vec![team] };
        ReportQuery {
            days: DayRange { from: window + from, to: window + from + length },
            quarters: quarters.map(|(first, length)| (Quarter(first), Quarter(first + length))),
            resolution,
            group_by,
            filters: team.map(filter).into_iter().collect(),
        }
    }
}

prop_compose! {
    /// Requests, and a query about some of the days in which they ended.
    fn any_case()(window in proptest::sample::select(WINDOWS.map(day).to_vec()))(
        requests in proptest::collection::vec(request_after(window), 0..60),
        query in any_query(window),
    ) -> (Vec<RequestSummary>, ReportQuery) {
        (requests, query)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_are_the_total((requests, query) in any_case(), zone in any_zone()) {
        let report = report(&query, &zone, &requests);
        prop_assert_eq!(&sum(report.rows.values()), &report.totals);
        for resolution in RESOLUTIONS {
            let other = self::report(&ReportQuery { resolution, ..query.clone() }, &zone, &requests);
            prop_assert_eq!(&other.totals, &report.totals);
        }
        let ungrouped = self::report(&ReportQuery { group_by: Vec::new(), ..query.clone() }, &zone, &requests);
        prop_assert_eq!(&ungrouped.totals, &report.totals);
    }

    #[test]
    fn the_days_are_the_range((requests, query) in any_case(), zone in any_zone()) {
        let query = ReportQuery { resolution: Resolution::Day, group_by: Vec::new(), ..query };
        let range = report(&query, &zone, &requests);
        let each = (query.days.from..=query.days.to).map(|day| {
            report(&ReportQuery { days: DayRange { from: day, to: day }, ..query.clone() }, &zone, &requests).totals
        });
        let each: Vec<Sums> = each.collect();
        prop_assert_eq!(&sum(each.iter()), &range.totals);
        let rows: Vec<&Sums> = range.rows.values().collect();
        let busy: Vec<&Sums> = each.iter().filter(|day| day.requests > 0).collect();
        prop_assert_eq!(rows, busy);
    }

    #[test]
    fn a_report_has_the_requests_of_its_days_by_the_clocks_of_the_zone(
        (requests, query) in any_case(),
        index in 0..zones().len(),
    ) {
        let zones = zones();
        let (_, zone) = &zones[index];
        let team = |request: &RequestSummary| request.tags.first().map(|(_, team)| team.clone());
        let selected = requests.iter().filter(|request| {
            let date = date_at(zone, request.at);
            let has_team = query.filters.iter().all(|filter| filter.values.contains(&team(request)));
            let quarter = Quarter(request.at / 900_000);
            let is_between = query.quarters.is_none_or(|(first, last)| (first..=last).contains(&quarter));
            (query.days.from..=query.days.to).contains(&date) && has_team && is_between
        });
        let mut expected = Sums::default();
        selected.for_each(|request| expected.count(request));
        prop_assert_eq!(report(&query, zone, &requests).totals, expected);
    }

    #[test]
    fn spans_group_as_the_report_does((requests, query) in any_case(), zone in any_zone()) {
        let spans = query.spans(&zone);
        let query = ReportQuery { filters: Vec::new(), ..query };
        let mut by_spans = Report::default();
        for (cell, sums) in &cells(&requests) {
            let holds: Vec<_> = spans.iter().filter(|span| (span.first..=span.last).contains(&cell.quarter)).collect();
            prop_assert!(holds.len() <= 1);
            let values = || query.group_by.iter().map(|by| cell.value(by).map(str::to_owned)).collect();
            if let Some(span) = holds.first() {
                by_spans.add(Group { period: span.period, values: values() }, sums);
            }
        }
        prop_assert_eq!(by_spans, report(&query, &zone, &requests));
    }

    #[test]
    fn what_an_owner_spent_stays_theirs((requests, query) in any_case(), zone in any_zone()) {
        // Keys change their owners at any time here, and no key exists any more when the report is made.
        let query = ReportQuery { group_by: vec![Dimension::Key, Dimension::Owner], ..query };
        let by_both = report(&query, &zone, &requests);
        let by_owner = report(&ReportQuery { group_by: vec![Dimension::Owner], ..query.clone() }, &zone, &requests);
        for owner in [None, Some("u"), Some("v")] {
            let filter = Filter { dimension: Dimension::Owner, values: vec![owner.map(str::to_owned)] };
            let filters = query.filters.iter().cloned().chain([filter]).collect();
            let alone = report(&ReportQuery { filters, ..query.clone() }, &zone, &requests).totals;
            let owns = |group: &&Group, at: usize| group.values[at].as_deref() == owner;
            let of_owner = by_owner.rows.iter().filter(|(group, _)| owns(group, 0)).map(|(_, sums)| sums);
            let of_both = by_both.rows.iter().filter(|(group, _)| owns(group, 1)).map(|(_, sums)| sums);
            prop_assert_eq!(&sum(of_owner), &alone);
            prop_assert_eq!(&sum(of_both), &alone);
        }
    }

    #[test]
    fn batches_add_up((requests, _) in any_case(), size in 1usize..20) {
        let mut stored: BTreeMap<Cell, Sums> = BTreeMap::new();
        let mut caps = BTreeMap::new();
        for batch in requests.chunks(size) {
            for (cell, sums) in accumulate(batch, &mut caps) {
                stored.entry(cell).or_default().add(&sums);
            }
        }
        prop_assert_eq!(stored, cells(&requests));
    }

    #[test]
    fn sums_are_stored_as_numbers((requests, _) in any_case()) {
        for sums in cells(&requests).values() {
            prop_assert_eq!(&Sums::of_values(sums.values()), sums);
        }
    }
}

#[test]
fn every_zone_has_whole_days_and_hours() {
    let days = DayRange { from: day("2024-02-01"), to: day("2028-11-30") };
    for (name, zone) in zones() {
        let all = spans(&zone, Resolution::Day, days);
        assert_eq!(all.len() as u64, days.to - days.from + 1, "{name}: each day is one span");
        for pair in all.windows(2) {
            assert_eq!(pair[0].last.0 + 1, pair[1].first.0, "{name}: no quarter lies between two days");
        }
        for span in &all {
            let quarters = span.last.0 - span.first.0 + 1;
            assert!((88..=104).contains(&quarters), "{name}: {quarters} quarters in {:?}", span.period);
            let (before, first) = (span.first.start() - 1, span.first.start());
            assert_eq!(date_at(&zone, before) + 1, date_at(&zone, first), "{name}: a day begins at midnight");
        }
    }
}

#[test]
fn an_hour_has_at_most_four_quarters() {
    let days = DayRange { from: day("2026-01-01"), to: day("2026-12-31") };
    for (name, zone) in zones() {
        for span in spans(&zone, Resolution::Hour, days) {
            assert!(span.last.0 - span.first.0 < 4, "{name}: {:?}", span.period.label(Resolution::Hour));
        }
    }
}

#[test]
fn labels_of_hours_are_unique_where_clocks_go_back() {
    let days = DayRange { from: day("2026-01-01"), to: day("2026-12-31") };
    for (name, zone) in zones() {
        let spans = spans(&zone, Resolution::Hour, days);
        let labels: BTreeSet<_> = spans.iter().filter_map(|span| span.period.label(Resolution::Hour)).collect();
        assert_eq!(labels.len(), spans.len(), "{name}");
    }
}

#[test]
fn a_flood_of_names_loses_no_request() {
    let request = |n: u64| RequestSummary {
        at: n,
        provider: "p".into(),
        model: format!("m{n}"),
        outcome: "complete".into(),
        tags: vec![("team".into(), format!("t{n}"))],
        ..RequestSummary::default()
    };
    let requests: Vec<RequestSummary> = (0..5_000).map(request).collect();
    let mut caps: BTreeMap<Quarter, NameCaps> = BTreeMap::new();
    let cells = accumulate(&requests, &mut caps);
    assert_eq!(sum(cells.values()).requests, 5_000);
    assert!(cells.len() < 500, "{} cells", cells.len());
    assert!(cells.keys().any(|cell| cell.model == OTHER && cell.tags["team"] == OTHER));
}

#[test]
fn every_outcome_of_the_gateway_is_counted_by_its_name() {
    let own = [
        Outcome::Complete,
        Outcome::Refused,
        Outcome::Truncated,
        Outcome::TimedOut,
        Outcome::UpstreamError,
        Outcome::ClientClosed,
    ];
    for name in own.map(Outcome::name).into_iter().chain([LOST]) {
        assert!(OUTCOMES.contains(&name), "{name}");
    }
}
