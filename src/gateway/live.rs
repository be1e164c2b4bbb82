//! What watchers are told of a running request, and its end by an admin.

use super::platform::Platform;
use super::record::RequestRecord;
use super::watched_request::WatchedRequest;
use crate::config::Millis;
use crate::error::Error;
use crate::operations::{FirstToken, LiveEvent, LiveRequest};

/// How often a request that watchers know of looks whether it is to end.
const POLL_INTERVAL: Millis = 500;
/// How often another one looks whether somebody watches, as far as its isolate knows.
const LOOK_INTERVAL: Millis = 10_000;
/// A request that has run for so long has its isolate ask whether somebody watches.
const LONG: Millis = 60_000;

/// A request has been admitted. Tells watchers, if there are any.
pub(super) fn report_start<P: Platform>(platform: &P, record: &RequestRecord) {
    let Some(admission) = record.admission() else { return };
    let watched = || Box::new(WatchedRequest::new(record.live_request(admission.id.clone())));
    let _ = platform.state().watched.get_or_init(watched);
    report_running(platform, platform.now());
}

/// Tells watchers of a running request, if there are any and they do not know of it.
pub(super) fn report_running<P: Platform>(platform: &P, now: Millis) {
    let Some(watched) = platform.state().watched.get() else { return };
    match platform.watched_board() {
        Some(board) if watched.board.replace(Some(board)) == Some(board) => {}
        Some(_) => {
            watched.has_content.set(false);
            platform.report_live(LiveEvent::Started(watched.request.clone()));
        }
        None if now.saturating_sub(watched.request.started) >= LONG => platform.look_for_watchers(now),
        None => {}
    }
}

/// Tells watchers that a part of a stream has come. `first_content`: when its first content came, if it has.
pub(super) fn report_piece<P: Platform>(
    platform: &P,
    record: &RequestRecord,
    first_content: Option<Millis>,
    now: Millis,
) {
    report_running(platform, now);
    let watched = platform.state().watched.get().filter(|_| platform.watched_board().is_some());
    if let (Some(watched), Some(at)) = (watched, first_content)
        && !watched.has_content.replace(true)
    {
        let LiveRequest { run, provider, model, .. } = record.live_request(watched.request.run.clone());
        platform.report_live(LiveEvent::FirstToken(FirstToken { run, at, provider, model }));
    }
}

/// The time until the request has to look whether somebody watches, or whether it is to end.
pub(super) fn until_look<P: Platform>(platform: &P) -> Millis {
    let watched = platform.state().watched.get();
    watched.map_or(Millis::MAX, |watched| if watched.is_shown() { POLL_INTERVAL } else { LOOK_INTERVAL })
}

/// Whether an admin has ended the request.
pub(super) fn is_ended<P: Platform>(platform: &P) -> bool {
    let shown = platform.state().watched.get().filter(|watched| watched.is_shown());
    shown.is_some_and(|watched| platform.is_ending(&watched.request.run))
}

/// The error of a request that an admin has ended. Clients do not repeat a request after a 403.
pub(super) fn ended_by_admin() -> Error {
    let message = "An administrator of this gateway has ended the request.";
    Error::caller(403, "request_ended_by_admin", message)
}

impl RequestRecord {
    fn live_request(&self, run: String) -> LiveRequest {
        LiveRequest {
            run,
            started: self.started(),
            request_id: self.request_id().to_owned(),
            key_id: self.key_id().to_owned(),
            provider: self.provider().to_owned(),
            model: self.called().to_owned(),
            route: self.asked().to_owned(),
            stream: self.is_stream(),
        }
    }
}
