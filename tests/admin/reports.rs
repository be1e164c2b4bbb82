//! The store of reports, as far as the admin API asks it.

use llm_bridge::reports::{
    IndexedRequest, Period, ReportCommand, ReportLine, ReportResponse, RequestPage, StoreSizes, Sums,
};
use llm_bridge::telemetry::{AttemptSummary, RequestSummary};

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
    let attempt = AttemptSummary { provider: "demo".into(), model: "echo".into(), ..AttemptSummary::default() };
    RequestSummary {
        request_id: "r".into(),
        key_id: "a".into(),
        provider: "demo".into(),
        model: "echo".into(),
        status: 200,
        outcome: "complete".into(),
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
