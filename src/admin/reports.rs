//! Reports: the sums of requests across keys, by periods and groups.

use serde::Serialize;

use super::json_response::json;
use super::query::{Query, invalid};
use super::report_query::ReportParameters;
use super::report_store::{ask_store, unavailable};
use super::report_view::{ReportRowView, SumsView};
use super::table;
use crate::error::{Error, Result};
use crate::gateway::{Body, Bridge, Platform, Response};
use crate::reports::{MAX_ROWS, Quarter, Report, ReportCommand, ReportQuery, ReportResponse};
use crate::wire::date::{write_day, write_time};

/// The parameters of [`list`].
pub const PARAMETERS: &[&str] =
    &["from", "to", "resolution", "group_by", "key", "owner", "provider", "model", "tags", "format"];

#[derive(Serialize)]
struct ReportList<'r> {
    object: &'static str,
    from: String,
    to: String,
    timezone: &'r str,
    resolution: &'static str,
    data: Vec<ReportRowView<'r>>,
    totals: SumsView,
    lost: u64,
}

/// A report: its rows and their totals. As CSV, its rows.
///
/// # Errors
/// 400 with the name of the invalid parameter, or if the report is too long; 503 if the store cannot be
/// reached.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    let is_csv = match query.text("format") {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(invalid("format", "be json or csv")),
    };
    let settings = bridge.reporting();
    let ReportParameters { query, zone, resolution, group_by } = ReportParameters::read(platform, settings, query)?;
    let (range, periods) = (range(&query), query.resolution);
    let (report, lost) = match ask_store(platform, &ReportCommand::Report { query, zone }).await? {
        ReportResponse::Report { rows, lost } => (Report::of_lines(rows), lost),
        ReportResponse::TooManyRows => return Err(too_many_rows()),
        _ => return Err(unavailable()),
    };
    let data = report.rows.iter().map(|row| ReportRowView::of(periods, &group_by, row));
    if is_csv {
        return Ok(csv(&group_by, data));
    }
    let ((from, to), totals) = (range, SumsView::from(&report.totals));
    let (timezone, data) = (settings.timezone.as_str(), data.collect());
    Ok(json(200, &ReportList { object: "list", from, to, timezone, resolution, data, totals, lost }))
}

/// The first and the last day of a report; or when its quarters begin, and when they end.
fn range(query: &ReportQuery) -> (String, String) {
    match query.quarters {
        Some((first, last)) => (write_time(first.start()), write_time(Quarter(last.0.saturating_add(1)).start())),
        None => (write_day(query.days.from), write_day(query.days.to)),
    }
}

fn csv<'r, P: Platform>(group_by: &[String], rows: impl Iterator<Item = ReportRowView<'r>>) -> Response<P> {
    let mut text = String::new();
    table::csv_row(ReportRowView::columns(group_by), &mut text);
    rows.for_each(|row| table::csv_row(row.cells(group_by), &mut text));
    let headers = vec![
        ("content-type", "text/csv; charset=utf-8; header=present".to_owned()),
        ("content-disposition", "attachment; filename=\"report.csv\"".to_owned()),
    ];
    Response { status: 200, headers, body: Body::Bytes(text.into_bytes()) }
}

fn too_many_rows() -> Error {
    let message = format!(
        "The report has more than {MAX_ROWS} rows. Ask for fewer days, a coarser `resolution`, or fewer fields in \
         `group_by`."
    );
    Error::caller(400, "too_many_rows", message).at("group_by")
}
