//! Usage, exports and reports in every time zone, through the API: on every page the parts are the total, the
//! days are the range, and all of them agree with the calendar.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod support;
#[path = "support/zones.rs"]
mod zones;

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::Add;

use llm_bridge::gateway::platform::{OperationsPart, Priority};
use llm_bridge::gateway::{Opened, Platform};
use llm_bridge::ids::AccountId;
use llm_bridge::ledger::{Receipt, TokenCounts};
use llm_bridge::reports::{Report, ReportCommand, ReportResponse, accumulate};
use llm_bridge::telemetry::RequestSummary;
use llm_bridge::wire::date::{DAY, read_day, write_day};
use llm_bridge::wire::zone::Zone;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::Value;
use support::{World, ask, bridge};
use zones::zones;

const CONFIG: &str = "
providers: { demo: { adapter: echo, models: { echo: {} } } }
reporting: { timezone: The/Zone }
";
const SECRETS: &[(&str, &str)] = &[("ACCESS_API_KEYS", "caller"), ("ADMIN_API_KEYS", "admin")];
const KEYS: [&str; 3] = ["a", "b", "c"];
/// Days around a change of clocks in most zones that have one.
const WINDOWS: [&str; 4] = ["2026-03-24", "2026-10-20", "2026-04-01", "2031-09-25"];

/// A request that has ended.
#[derive(Clone, Debug)]
struct Ended {
    at: u64,
    key: &'static str,
    provider: String,
    model: String,
    outcome: &'static str,
    tokens: Option<(u64, u64)>,
    cost: Option<u64>,
}

prop_compose! {
    fn any_request(window: u64)(
        at in window * DAY..(window + 10) * DAY,
        key in select(KEYS.to_vec()),
        (provider, model) in ("[pq]", "[mn]"),
        outcome in select(vec!["complete", "truncated", "upstream_error"]),
        tokens in proptest::option::of((0u64..1_000, 0u64..1_000)),
        cost in proptest::option::of(0u64..1_000_000),
    ) -> Ended {
        Ended { at, key, provider, model, outcome, tokens, cost }
    }
}

#[derive(Clone, Debug)]
struct Case {
    requests: Vec<Ended>,
    from: u64,
    to: u64,
    group_by: Vec<&'static str>,
    page: usize,
}

prop_compose! {
    fn any_case()(window in select(WINDOWS.map(|day| read_day(day).unwrap()).to_vec()))(
        mut requests in proptest::collection::vec(any_request(window), 0..40),
        (first, length) in (0u64..9, 0u64..5),
        window in Just(window),
        group_by in subsequence(vec!["key", "provider", "model", "day"], 0..=4),
        page in 1usize..=5,
    ) -> Case {
        requests.sort_by_key(|request| request.at);
        Case { requests, from: window + first, to: window + first + length, group_by, page }
    }
}

/// The numbers that usage, exports and reports share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Numbers {
    requests: u64,
    failed: u64,
    prompt: u64,
    completion: u64,
    cost: u64,
    unpriced: u64,
}

impl Add for Numbers {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            failed: self.failed + more.failed,
            prompt: self.prompt + more.prompt,
            completion: self.completion + more.completion,
            cost: self.cost + more.cost,
            unpriced: self.unpriced + more.unpriced,
        }
    }
}

impl Sum for Numbers {
    fn sum<I: Iterator<Item = Self>>(numbers: I) -> Self {
        numbers.fold(Self::default(), Add::add)
    }
}

impl Numbers {
    /// Of a row of usage, or of reports.
    fn of(row: &Value) -> Self {
        let failures = row.get("failures").or_else(|| row.get("outcomes")).unwrap().as_object().unwrap();
        let failed = failures.iter().filter(|(name, _)| *name != "complete").map(|(_, count)| count.as_u64().unwrap());
        Self {
            requests: row["requests"].as_u64().unwrap(),
            failed: failed.sum(),
            prompt: row["tokens"]["prompt"].as_u64().unwrap(),
            completion: row["tokens"]["completion"].as_u64().unwrap(),
            cost: row["cost_nanos"].as_u64().unwrap(),
            unpriced: row["unpriced_requests"].as_u64().unwrap(),
        }
    }

    /// Of a row of a CSV file.
    fn of_cells(row: &BTreeMap<&str, &str>) -> Self {
        let number = |name: &str| row[name].parse().unwrap();
        Self {
            requests: number("requests"),
            failed: number("failed_requests"),
            prompt: number("prompt_tokens"),
            completion: number("completion_tokens"),
            cost: number("cost_nanos"),
            unpriced: number("unpriced_requests"),
        }
    }

    fn of_request(request: &Ended) -> Self {
        let (prompt, completion) = request.tokens.unwrap_or_default();
        Self {
            requests: 1,
            failed: u64::from(request.outcome != "complete"),
            prompt,
            completion,
            cost: request.cost.unwrap_or(0),
            unpriced: u64::from(request.cost.is_none()),
        }
    }
}

/// A gateway whose keys made these requests.
struct Books {
    gateway: Opened,
    world: World,
    keys: BTreeMap<&'static str, String>,
}

impl Books {
    fn of(zone: &Zone, requests: &[Ended]) -> Self {
        let world = World::default();
        *world.zone.borrow_mut() = Some(zone.clone());
        world.clock.set(requests.first().map_or(20_500 * DAY, |first| first.at));
        let mut books = Self { gateway: bridge(CONFIG, SECRETS), world, keys: BTreeMap::new() };
        for id in KEYS {
            let made = books.admin("POST", "/keys", &format!(r#"{{"id":"{id}"}}"#));
            let made: Value = serde_json::from_str(&made).unwrap();
            books.keys.insert(id, made["key"].as_str().unwrap().to_owned());
        }
        for (request, number) in requests.iter().zip(0..) {
            books.end(request, number);
        }
        books.keep_reports(zone, requests);
        books
    }

    fn end(&self, request: &Ended, number: usize) {
        let Ended { at, key, provider, model, outcome, cost, .. } = request.clone();
        let key_id = AccountId::from(format!("vk_{key}").as_str());
        let receipt = Receipt {
            id: number.to_string(),
            key_id: key_id.clone(),
            provider,
            model,
            outcome: outcome.to_owned(),
            tokens: request.counts(),
            cost,
            ended: at,
            ..Receipt::default()
        };
        self.world.clock.set(at);
        self.world.enqueue(&key_id, receipt, Priority::Batched);
    }

    /// Lets the store of reports have the requests.
    fn keep_reports(&self, zone: &Zone, requests: &[Ended]) {
        let summaries: Vec<RequestSummary> = requests.iter().map(Ended::summary).collect();
        let (cells, zone) = (accumulate(&summaries, &mut BTreeMap::new()), zone.clone());
        let answer = move |command: &str| {
            let ReportCommand::Report { query, zone: given } = serde_json::from_str(command).unwrap() else {
                panic!("{command}")
            };
            assert_eq!(given, zone);
            let rows = Report::of(&query, &given, &cells).lines();
            serde_json::to_string(&ReportResponse::Report { rows, lost: 0 }).unwrap()
        };
        self.world.operations.borrow_mut().insert(OperationsPart::Reports.name(), Box::new(answer));
    }

    fn send(&self, key: &str, line: &str, body: &str) -> (String, Option<String>) {
        let bearer = format!("Bearer {key}");
        let got = ask(&self.gateway, &self.world, line, &[("authorization", &bearer)], body);
        assert!(got.status < 300, "{line}: {}", got.body);
        let next = got.header("x-next-after").map(str::to_owned);
        (got.body, next)
    }

    fn admin(&self, method: &str, path: &str, body: &str) -> String {
        self.send("admin", &format!("{method} /admin/api{path}"), body).0
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.admin("GET", path, "")).unwrap()
    }

    /// All pages of usage.
    fn pages(&self, query: &str, page: usize) -> Vec<Value> {
        let mut pages = vec![self.get(&format!("/usage?{query}&limit={page}"))];
        while let Some(after) = pages.last().unwrap()["next_after"].as_str().map(str::to_owned) {
            pages.push(self.get(&format!("/usage?{query}&limit={page}&after={after}")));
        }
        pages
    }

    /// All files of an export.
    fn files(&self, query: &str, page: usize) -> Vec<String> {
        let line = format!("GET /admin/api/export/usage?{query}&limit={page}");
        let (text, mut next) = self.send("admin", &line, "");
        let mut files = vec![text];
        while let Some(after) = next {
            let (text, following) = self.send("admin", &format!("{line}&after={after}"), "");
            files.push(text);
            next = following;
        }
        files
    }
}

impl Ended {
    fn counts(&self) -> Option<TokenCounts> {
        let counts = |(prompt, output)| TokenCounts { uncached_input: prompt, output, ..TokenCounts::default() };
        self.tokens.map(counts)
    }

    fn summary(&self) -> RequestSummary {
        RequestSummary {
            at: self.at,
            key_id: format!("vk_{}", self.key),
            provider: self.provider.clone(),
            model: self.model.clone(),
            outcome: self.outcome.to_owned(),
            tokens: self.counts(),
            cost: self.cost,
            ..RequestSummary::default()
        }
    }
}

fn rows(list: &Value) -> &Vec<Value> {
    list["data"].as_array().unwrap()
}

fn sum_of_rows(list: &Value) -> Numbers {
    rows(list).iter().map(Numbers::of).sum()
}

fn csv_rows(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|line| names.iter().copied().zip(line.split(',')).collect()).collect()
}

/// Checks the files of a query: their numbers, and the days that have requests.
fn check_files(
    books: &Books,
    (case, query): (&Case, &str),
    expected: Numbers,
    busy: &[&str],
) -> Result<(), TestCaseError> {
    let files = books.files(&format!("{query}&format=csv"), case.page);
    let of_rows = files.iter().flat_map(|text| csv_rows(text)).map(|row| Numbers::of_cells(&row));
    prop_assert_eq!(of_rows.sum::<Numbers>(), expected);
    let days = format!("from={}&to={}&group_by=day&format=csv", write_day(case.from), write_day(case.to));
    let dates = books.files(&days, 9);
    prop_assert!(dates.iter().flat_map(|text| csv_rows(text)).map(|row| row["day"]).eq(busy.iter().copied()));
    let lines = books.files(query, case.page).concat();
    let lines = lines.lines().map(|line| Numbers::of(&serde_json::from_str(line).unwrap()));
    prop_assert_eq!(lines.sum::<Numbers>(), expected);
    Ok(())
}

/// Checks all that the API says of a case in a zone.
fn check(case: &Case, zone: &Zone) -> Result<(), TestCaseError> {
    let Case { requests, from, to, group_by, page } = case;
    let books = Books::of(zone, requests);
    let range = |from: u64, to: u64| format!("from={}&to={}", write_day(from), write_day(to));
    let query = format!("{}&group_by={}", range(*from, *to), group_by.join(","));
    let here = |request: &&Ended| (*from..=*to).contains(&zone.day_at(request.at));
    let expected: Numbers = requests.iter().filter(here).map(Numbers::of_request).sum();

    let whole = books.get(&format!("/usage?{query}"));
    prop_assert_eq!(Numbers::of(&whole["totals"]), expected, "the calendar");
    let pages = books.pages(&query, *page);
    for one in pages.iter().chain([&whole]) {
        prop_assert_eq!(sum_of_rows(one), Numbers::of(&one["totals"]), "the parts of a page");
        prop_assert_eq!(one["timezone"].as_str(), Some("The/Zone"));
    }
    prop_assert_eq!(pages.iter().map(|one| Numbers::of(&one["totals"])).sum::<Numbers>(), expected, "the pages");

    let of_day = |day| Numbers::of(&books.get(&format!("/usage?{}", range(day, day)))["totals"]);
    let days: BTreeMap<String, Numbers> = (*from..=*to).map(|day| (write_day(day), of_day(day))).collect();
    prop_assert_eq!(days.values().copied().sum::<Numbers>(), expected, "the days");
    let busy: BTreeMap<&str, Numbers> =
        days.iter().filter(|(_, of)| of.requests > 0).map(|(day, of)| (day.as_str(), *of)).collect();

    let by_day = books.get(&format!("/usage?{}&group_by=day", range(*from, *to)));
    let rows_by_day: BTreeMap<&str, Numbers> =
        rows(&by_day).iter().map(|row| (row["day"].as_str().unwrap(), Numbers::of(row))).collect();
    prop_assert_eq!(&rows_by_day, &busy);
    let report = books.get(&format!("/reports?{}", range(*from, *to)));
    let rows_of_report: BTreeMap<&str, Numbers> =
        rows(&report).iter().map(|row| (row["period"].as_str().unwrap(), Numbers::of(row))).collect();
    prop_assert_eq!(&rows_of_report, &busy, "usage and reports");
    prop_assert_eq!(Numbers::of(&report["totals"]), expected);

    let busy: Vec<&str> = busy.keys().copied().collect();
    check_files(&books, (case, &query), expected, &busy)?;

    let own = KEYS.map(|id| {
        let (text, _) = books.send(&books.keys[id], &format!("GET /v1/usage?{}", range(*from, *to)), "");
        let own: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(sum_of_rows(&own), Numbers::of(&own["totals"]), "what the caller sees");
        assert_eq!(own["timezone"].as_str(), Some("The/Zone"));
        Numbers::of(&own["totals"])
    });
    prop_assert_eq!(own.into_iter().sum::<Numbers>(), expected, "what callers see");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_are_the_total_and_days_are_the_range_in_any_zone(case in any_case(), zone in any::<Index>()) {
        check(&case, &zone.get(&zones()).1)?;
    }
}

#[test]
fn requests_of_every_zone_count_on_its_days() {
    for (name, zone) in zones() {
        for window in WINDOWS {
            let window = read_day(window).unwrap();
            // Each hour, one second before it, and at half an hour.
            let times =
                (0..240).flat_map(|hour| [0, 1_800_000, 3_599_000].map(|more| hour * 3_600_000 + more)).step_by(13);
            let requests: Vec<Ended> = times
                .map(|time| Ended {
                    at: window * DAY + time,
                    key: KEYS[usize::try_from(time / 1_000 % 3).unwrap()],
                    provider: "p".into(),
                    model: "m".into(),
                    outcome: "complete",
                    tokens: Some((time % 97, time % 89)),
                    cost: Some(time % 83),
                })
                .collect();
            let case = Case { requests, from: window + 1, to: window + 8, group_by: vec!["key", "day"], page: 2 };
            check(&case, &zone).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}
