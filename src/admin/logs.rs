//! The newest lines of log files.

use serde::Serialize;
use serde_json::value::RawValue;

use super::json_response::json;
use super::query::{Query, invalid};
use crate::config::{LogLevel, Millis};
use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{Body, Bridge, Platform, Response, ask_patiently};
use crate::telemetry::log_file::{LogCommand, LogPage, LogQuery, LogResponse, LogStatus};
use crate::wire::date::{DAY, read_day, read_time};

/// The parameters of [`list`].
pub const PARAMETERS: &[&str] = &["tail", "level", "request_id", "from", "format"];

/// The default and the maximum number of lines.
const TAIL: u64 = 100;
const MAX_TAIL: u64 = 10_000;

/// Lines, oldest first, and how full the log files are.
#[derive(Serialize)]
struct LogList {
    object: &'static str,
    data: Vec<Box<RawValue>>,
    has_more: bool,
    unread_segments: u64,
    store: LogStatus,
}

/// The newest lines that match, oldest first.
///
/// # Errors
/// 400 with the name of the invalid parameter, 404 without log files, 503 if they cannot be read.
pub async fn list<P: Platform>(bridge: &Bridge, platform: &P, query: &Query) -> Result<Response<P>> {
    if bridge.logging().file.is_none() {
        return Err(disabled());
    }
    let is_text = match query.text("format") {
        None | Some("json") => false,
        Some("ndjson") => true,
        Some(_) => return Err(invalid("format", "be json or ndjson")),
    };
    let query = read_query(query)?;
    let is_complete = !bridge.reporting().enabled || fetch_lines(platform).await;
    let LogResponse::Page(mut page) = ask(platform, LogCommand::Read(query)).await? else {
        return Err(unreachable());
    };
    page.unread_segments = page.unread_segments.saturating_add(u64::from(!is_complete));
    Ok(if is_text { lines(&page) } else { json(200, &view(page)) })
}

/// Has the lines moved to log files that came along with reports. Returns whether they are there.
async fn fetch_lines<P: Platform>(platform: &P) -> bool {
    let address = ObjectAddress::Operations(OperationsPart::Lines);
    match ask_patiently(platform, address, String::new()).await {
        Ok(response) => response == "true",
        // Where there is no such object, no lines wait in it.
        Err(failure) => failure == ObjectError::Unbound,
    }
}

fn read_query(query: &Query) -> Result<LogQuery> {
    let tail = query.count("tail", MAX_TAIL)?.unwrap_or(TAIL);
    let all = LogQuery::newest(usize::try_from(tail).unwrap_or(usize::MAX));
    let request_id = query.text("request_id").map(str::to_owned);
    Ok(LogQuery { level: read_level(query)?, request_id, from: read_from(query)?, ..all })
}

fn read_level(query: &Query) -> Result<LogLevel> {
    let Some(name) = query.text("level") else { return Ok(LogLevel::Debug) };
    let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error];
    let level = levels.into_iter().find(|level| level.name() == name);
    level.ok_or_else(|| invalid("level", "be debug, info, warning or error"))
}

/// A time, or the beginning of a day in UTC.
fn read_from(query: &Query) -> Result<Option<Millis>> {
    let Some(text) = query.text("from") else { return Ok(None) };
    let time = read_time(text).or_else(|| read_day(text).map(|day| day.saturating_mul(DAY)));
    let rule = "be a time such as 2026-11-23T05:39:05Z, or a day such as 2026-11-23";
    time.map(Some).ok_or_else(|| invalid("from", rule))
}

fn view(page: LogPage) -> LogList {
    let LogPage { lines, has_more, unread_segments, status } = page;
    let data = lines.into_iter().filter_map(|line| RawValue::from_string(line).ok()).collect();
    LogList { object: "list", data, has_more, unread_segments, store: status }
}

fn lines<P: Platform>(page: &LogPage) -> Response<P> {
    let text: String = page.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let headers = vec![("content-type", "application/x-ndjson".to_owned())];
    Response { status: 200, headers, body: Body::Bytes(text.into_bytes()) }
}

/// How full the log files are, and the bytes that the database of their object takes.
///
/// # Errors
/// 404 without log files, 503 if they cannot be read.
pub async fn status<P: Platform>(platform: &P) -> Result<(LogStatus, u64)> {
    match ask(platform, LogCommand::Status).await? {
        LogResponse::Status { status, database_bytes } => Ok((status, database_bytes)),
        _ => Err(unreachable()),
    }
}

async fn ask<P: Platform>(platform: &P, command: LogCommand) -> Result<LogResponse> {
    let command = serde_json::to_string(&command).map_err(|_| unreachable())?;
    let response =
        ask_patiently(platform, ObjectAddress::LogFiles, command).await.map_err(|failure| match failure {
            ObjectError::Unbound => unbound(),
            ObjectError::Unreachable => unreachable(),
        })?;
    match serde_json::from_str(&response) {
        Ok(LogResponse::Disabled) => Err(disabled()),
        Ok(response) => Ok(response),
        Err(_) => Err(unreachable()),
    }
}

fn disabled() -> Error {
    let message = "The gateway writes no log files. Set `logging.output.file` in the configuration.";
    Error::caller(404, "log_files_disabled", message)
}

fn unbound() -> Error {
    let message = "The Durable Object binding LOG_FILES of log files is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "log_files_unavailable", message).with_header("retry-after", "1")
}

fn unreachable() -> Error {
    let message = "The log files cannot be read. Retry shortly.";
    Error::gateway(503, "log_files_unavailable", message).with_header("retry-after", "1")
}
