//! The messages to those who watch requests.

use serde::Serialize;

use super::requests::{RequestView, view_summary};
use crate::config::Millis;
use crate::operations::{FirstToken, LiveNews, LiveRequest, OpenRun};
use crate::wire::date::write_time;

/// How many running requests a message lists at most.
const MAX_LISTED: usize = 200;

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Message<'n> {
    /// The requests that are known to run, the newest first.
    Snapshot {
        at: String,
        open: Vec<OpenView<'n>>,
        /// How many more there are.
        more: usize,
        /// How many events were not shown before.
        dropped: u64,
    },
    Started {
        run: &'n str,
        request: StartView<'n>,
    },
    FirstToken {
        run: &'n str,
        at: String,
        ttft_ms: Millis,
        provider: &'n str,
        model: &'n str,
    },
    Ended {
        /// `None` if nobody watched when it was running.
        run: Option<&'n str>,
        request: Box<RequestView<'n>>,
    },
}

#[derive(Serialize)]
struct OpenView<'n> {
    run: &'n str,
    request: StartView<'n>,
    first_token_at: Option<String>,
    ending: bool,
}

#[derive(Serialize)]
struct StartView<'n> {
    request_id: &'n str,
    key_id: &'n str,
    provider: &'n str,
    model: &'n str,
    route: &'n str,
    stream: bool,
    started_at: String,
}

/// The message about some news.
pub fn live_message(news: &LiveNews<'_>) -> String {
    write(&match news {
        LiveNews::Started(request) => Message::Started { run: &request.run, request: view_start(request) },
        LiveNews::FirstToken(FirstToken { run, at, provider, model }, request) => {
            let ttft_ms = at.saturating_sub(request.started);
            Message::FirstToken { run, at: write_time(*at), ttft_ms, provider, model }
        }
        LiveNews::Ended(summary) => {
            let run = Some(summary.run.as_str()).filter(|run| !run.is_empty());
            Message::Ended { run, request: Box::new(view_summary(summary)) }
        }
    })
}

/// The message that lists running requests. `dropped`: how many events were not shown before.
pub fn live_snapshot(open: &[&OpenRun], dropped: u64, now: Millis) -> String {
    let mut newest = open.to_vec();
    newest.sort_unstable_by_key(|open| std::cmp::Reverse(open.request.started));
    let listed = newest.iter().take(MAX_LISTED).map(|open| view_open(open)).collect();
    let more = newest.len().saturating_sub(MAX_LISTED);
    write(&Message::Snapshot { at: write_time(now), open: listed, more, dropped })
}

fn view_open(open: &OpenRun) -> OpenView<'_> {
    OpenView {
        run: &open.request.run,
        request: view_start(&open.request),
        first_token_at: open.first_token.map(write_time),
        ending: open.is_ending,
    }
}

fn view_start(request: &LiveRequest) -> StartView<'_> {
    StartView {
        request_id: &request.request_id,
        key_id: &request.key_id,
        provider: &request.provider,
        model: &request.model,
        route: &request.route,
        stream: request.stream,
        started_at: write_time(request.started),
    }
}

fn write(message: &Message<'_>) -> String {
    serde_json::to_string(message).unwrap_or_default()
}
