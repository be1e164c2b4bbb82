//! The store of reports, as far as the admin API asks it.

use llm_bridge::reports::{
    IndexedRequest, Period, ReportCommand, ReportLine, ReportResponse, RequestPage, StoreSizes, Sums,
};
use llm_bridge::telemetry::{AttemptSummary, BillLine, RequestSummary};

use crate::setup::AdminSetup;
use crate::support::World;

/// Lets the operations object respond to commands about reports: it has one request.
pub fn answer(world: &World) {
    let respond = |command: &str| {
        let response = match serde_json::from_str(command).unwrap() {
            ReportCommand::Report { query, .. } => {
                ReportResponse::Report { rows: vec![line(query.group_by.len())], lost: 1 }
            }
            ReportCommand::Requests { .. } => ReportResponse::Requests(page()),
            ReportCommand::Delete { .. } => ReportResponse::Deleted { requests: 1, next: None, waiting: false },
            ReportCommand::Size => {
                ReportResponse::Size(StoreSizes { bytes: 4_096, max_bytes: 8_192, ..StoreSizes::default() })
            }
        };
        serde_json::to_string(&response).unwrap()
    };
    world.operations.borrow_mut().insert("reports", Box::new(respond));
}

fn request() -> RequestSummary {
    let attempt = AttemptSummary {
        provider: "demo".into(),
        model: "echo".into(),
        bill: vec![BillLine("input".into(), 3, 500)],
        ..AttemptSummary::default()
    };
    RequestSummary {
        request_id: "r".into(),
        key_id: "a".into(),
        provider: "demo".into(),
        model: "echo".into(),
        status: 200,
        outcome: "complete".into(),
        cost: Some(2),
        dropped: "seed, user".into(),
        attempts: vec![attempt],
        ..RequestSummary::default()
    }
}

fn line(dimensions: usize) -> ReportLine {
    let mut sums = Sums::default();
    sums.count(&request());
    ReportLine { period: Period::default(), values: vec![None; dimensions], sums: sums.values() }
}

fn page() -> RequestPage {
    RequestPage { requests: vec![IndexedRequest { number: 1, summary: request() }], ..RequestPage::default() }
}

#[test]
fn an_attempt_is_billed_line_by_line() {
    let setup = AdminSetup::open();
    answer(&setup.world);
    let request = setup.ask("GET /requests/r", "").json();
    let attempt = &request["attempts"][0];
    let line = serde_json::json!({"kind": "input", "count": 3, "price": "0.0000000005", "amount_nanos": 2});
    assert_eq!((&attempt["bill"][0], &attempt["cost_nanos"]), (&line, &2.into()), "{request}");
    assert_eq!(request["dropped"], "seed, user");
    // The price of the demonstration is 0 today.
    assert_eq!(attempt.get("price_source"), Some(&serde_json::Value::Null));
    let listed = &setup.ask("GET /requests", "").json()["data"][0]["attempts"][0];
    assert_eq!((&listed["bill"][0], listed.get("price_source")), (&line, None));
}

#[test]
fn a_report_is_about_days_or_about_quarters_of_an_hour() {
    let setup = AdminSetup::open();
    answer(&setup.world);
    let report = |query: &str| setup.ask(&format!("GET /reports?{query}"), "");
    let range = |query: &str| {
        let report = report(query).json();
        [report["from"].as_str().unwrap().to_owned(), report["to"].as_str().unwrap().to_owned()]
    };
    assert_eq!(range("from=2026-11-20&to=2026-11-21"), ["2026-11-20", "2026-11-21"]);
    let times = range("from=2026-11-23T10:07:00Z&to=2026-11-23T11:00:01Z&resolution=quarter");
    assert_eq!(times, ["2026-11-23T10:00:00.000Z", "2026-11-23T11:15:00.000Z"]);
    assert_eq!(
        range("from=2026-11-22&to=2026-11-23T00:00:00Z"),
        ["2026-11-22T00:00:00.000Z", "2026-11-23T00:00:00.000Z"]
    );
    for (query, param) in [
        ("to=2026-11-23T00:00:00Z", "from"),
        ("from=2026-11-23T09:00:00Z&to=2026-11-23T09:00:00Z", "from"),
        ("from=2026-11-23T0&to=2026-11-23", "from"),
    ] {
        let refused = report(query);
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &param.into()), "{query}");
    }
}
