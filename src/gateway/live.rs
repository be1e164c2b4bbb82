//! What watchers are told of a running request, and its end by an admin.

use super::platform::Platform;
use super::record::RequestRecord;
use super::watched_request::WatchedRequest;
use crate::config::Millis;
use crate::error::Error;
use crate::operations::{FirstToken, LiveEvent, LiveRequest};

/// How often a request that is watched looks whether it is to end.
pub(super) const POLL_INTERVAL: Millis = 500;

/// Tells watchers that a request is running, if there are any and they do not know.
pub(super) fn report_start<P: Platform>(platform: &P, record: &RequestRecord) {
    let state = platform.state();
    let Some(admission) = record.admission().filter(|_| platform.is_watched() && state.watched.get().is_none()) else {
        return;
    };
    let run = admission.id.clone();
    platform.report_live(LiveEvent::Started(record.live_request(run.clone())));
    let _ = state.watched.set(Box::new(WatchedRequest::new(run)));
}

/// Tells watchers that a part of a stream has come. `has_content`: the response has begun.
pub(super) fn report_piece<P: Platform>(platform: &P, record: &RequestRecord, has_content: bool, at: Millis) {
    if !platform.is_watched() {
        return;
    }
    report_start(platform, record);
    let watched = platform.state().watched.get();
    if let Some(watched) = watched.filter(|watched| has_content && !watched.has_content.replace(true)) {
        let LiveRequest { run, provider, model, .. } = record.live_request(watched.run.clone());
        platform.report_live(LiveEvent::FirstToken(FirstToken { run, at, provider, model }));
    }
}

/// Whether an admin has ended the request.
pub(super) fn is_ended<P: Platform>(platform: &P) -> bool {
    platform.state().watched.get().is_some_and(|watched| platform.is_ending(&watched.run))
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
