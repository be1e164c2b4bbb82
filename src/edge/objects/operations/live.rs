//! Watchers of the operations object: their WebSockets, and what is sent to them. Nothing of it is stored.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use worker::{Response, Result, State, WebSocket, WebSocketPair};

use crate::admin::{LiveFilter, live_message, live_snapshot};
use crate::config::Millis;
use crate::edge::clock::now;
use crate::edge::delivery::random_id;
use crate::edge::js::{attach, attachment};
use crate::edge::url::split_url;
use crate::gateway::Opened;
use crate::operations::{
    FlowStep, LiveBoard, LiveCommand, LiveEvent, LiveFlow, LiveNews, LiveResponse, MAX_WATCHERS, OpenRun, Recorded,
};
use crate::telemetry::RequestSummary;

/// How long a watcher may stay connected.
const MAX_TIME: Millis = 3_600_000;
/// The codes and reasons of closed connections.
const EXPIRED: (u16, &str) = (4401, "the time is over; connect with a new ticket");
const TOO_SLOW: (u16, &str) = (4408, "the client confirms too slowly");
const FULL: (u16, &str) = (1013, "too many watchers");

/// The watchers, and what they know.
pub(super) struct Live {
    board: RefCell<LiveBoard>,
    /// A random number, by which isolates notice that the object has forgotten what runs.
    board_id: u64,
    /// What was sent to each watcher. After the object slept, they count anew.
    flows: RefCell<BTreeMap<u64, LiveFlow>>,
    /// When the first watcher's time is over.
    expires: Cell<Option<Millis>>,
}

/// What an isolate reports for watchers.
pub(super) struct LiveReport {
    pub(super) isolate: u64,
    pub(super) events: Vec<LiveEvent>,
    pub(super) dropped: u64,
}

/// What is attached to a watcher's connection.
#[derive(Serialize, Deserialize)]
struct Watcher {
    /// A random number, which names the watcher after the object has slept.
    id: u64,
    expires: Millis,
    filter: LiveFilter,
}

/// The message by which a client confirms what it has taken, as it was sent to it.
#[derive(Deserialize)]
struct Check {
    bytes: u64,
}

impl Live {
    /// Begins without requests, and with the watchers that the runtime has kept.
    pub(super) fn open(state: &State, bridge: &Opened) -> Self {
        let longest = bridge.as_ref().map_or(0, |bridge| bridge.longest_request());
        let expires = watchers(state).map(|(_, watcher)| watcher.expires).min();
        Self {
            board: RefCell::new(LiveBoard::new(longest)),
            board_id: random_id(),
            flows: RefCell::default(),
            expires: Cell::new(expires),
        }
    }

    /// When the first watcher's time is over.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        self.expires.get()
    }

    /// Handles a command of the admin API.
    pub(super) fn handle(&self, state: &State, command: &str, now: Millis) -> LiveResponse {
        match serde_json::from_str::<LiveCommand>(command) {
            Ok(command) => self.board.borrow_mut().handle(command, watchers(state).count(), now),
            Err(_) => LiveResponse::Malformed,
        }
    }

    /// Accepts a watcher, whom an isolate has authenticated.
    pub(super) fn connect(&self, state: &State, request: &web_sys::Request, now: Millis) -> Result<Response> {
        let url = request.url();
        let (_, _, query) = split_url(&url);
        let filter = LiveFilter::read(query).unwrap_or_default();
        let pair = WebSocketPair::new()?;
        let count = watchers(state).count();
        state.accept_web_socket(&pair.server);
        if count >= MAX_WATCHERS {
            close(&pair.server, FULL);
        } else {
            let watcher = Watcher { id: random_id(), expires: now.saturating_add(MAX_TIME), filter };
            attach(&pair.server, &serde_json::to_string(&watcher)?);
            self.expires.set(Some(self.expires.get().map_or(watcher.expires, |first| first.min(watcher.expires))));
            self.send_snapshot(&pair.server, &watcher, 0, now);
        }
        Response::from_websocket(pair.client)
    }

    /// Notes what an isolate reports of running requests, and shows what is new.
    pub(super) fn note(&self, state: &State, report: &LiveReport, now: Millis) {
        let is_watched = watchers(state).next().is_some();
        let mut board = self.board.borrow_mut();
        for event in &report.events {
            if board.note(event, report.isolate, now) && is_watched {
                let is_shown = board.admits_news(now);
                let news = match event {
                    LiveEvent::Started(request) => Some(LiveNews::Started(request)),
                    LiveEvent::FirstToken(token) => {
                        board.request(&token.run).map(|request| LiveNews::FirstToken(token, request))
                    }
                };
                news.filter(|_| is_shown).iter().for_each(|news| self.show(state, news));
            }
        }
        if is_watched {
            board.drop_news(report.dropped);
            drop(board);
            self.make_up(state, now);
        }
    }

    /// Notes that requests have ended, and shows it.
    pub(super) fn finish(&self, state: &State, summaries: &[RequestSummary], now: Millis) {
        let is_watched = watchers(state).next().is_some();
        let mut board = self.board.borrow_mut();
        for summary in summaries {
            board.finish(summary);
            if is_watched && board.admits_news(now) {
                self.show(state, &LiveNews::Ended(summary));
            }
        }
    }

    /// The response to a batch of this isolate.
    pub(super) fn response(&self, state: &State, isolate: u64, now: Millis) -> Recorded {
        let board = self.board.borrow();
        let live_until = board.live_until(watchers(state).count(), now);
        Recorded { live_until, board: self.board_id, ending: board.ending(isolate) }
    }

    /// Disconnects the watchers whose time is over.
    pub(super) fn expire(&self, state: &State, now: Millis) {
        let (over, others): (Vec<_>, Vec<_>) = watchers(state).partition(|(_, watcher)| watcher.expires <= now);
        over.iter().for_each(|(socket, _)| close(socket, EXPIRED));
        self.expires.set(others.iter().map(|(_, watcher)| watcher.expires).min());
        self.flows.borrow_mut().retain(|id, _| others.iter().any(|(_, watcher)| watcher.id == *id));
    }

    /// Makes up for what was not shown, once there is room.
    fn make_up(&self, state: &State, now: Millis) {
        let dropped = self.board.borrow_mut().take_dropped(now);
        if let Some(dropped) = dropped {
            watchers(state).for_each(|(socket, watcher)| self.send_snapshot(&socket, &watcher, dropped, now));
        }
    }

    fn send_snapshot(&self, socket: &WebSocket, watcher: &Watcher, dropped: u64, now: Millis) {
        let mut board = self.board.borrow_mut();
        let open: Vec<&OpenRun> = board.open(now).filter(|open| watcher.filter.admits_request(&open.request)).collect();
        self.send(socket, watcher, &live_snapshot(&open, dropped, now));
    }

    /// Shows something to those who want to know.
    fn show(&self, state: &State, news: &LiveNews<'_>) {
        let message = live_message(news);
        let interested = watchers(state).filter(|(_, watcher)| watcher.filter.admits(news));
        interested.for_each(|(socket, watcher)| self.send(&socket, &watcher, &message));
    }

    /// Sends a message. A client that reads too slowly is disconnected, so that what waits stays bounded.
    fn send(&self, socket: &WebSocket, watcher: &Watcher, message: &str) {
        match self.flows.borrow_mut().entry(watcher.id).or_default().step(message.len(), now()) {
            FlowStep::Send => drop(socket.send_with_str(message)),
            FlowStep::SendAndCheck(bytes) => {
                drop(socket.send_with_str(message));
                drop(socket.send_with_str(format!(r#"{{"type":"check","bytes":{bytes}}}"#)));
            }
            FlowStep::TooSlow => close(socket, TOO_SLOW),
        }
    }

    /// Takes a message of a watcher: a check that it sends back. Any other has no meaning.
    pub(super) fn receive(&self, socket: &WebSocket, message: &str) {
        if let (Some(watcher), Ok(Check { bytes })) = (watcher(socket), serde_json::from_str(message))
            && let Some(flow) = self.flows.borrow_mut().get_mut(&watcher.id)
        {
            flow.confirm(bytes);
        }
    }
}

/// The watchers that are connected.
fn watchers(state: &State) -> impl Iterator<Item = (WebSocket, Watcher)> {
    state.get_websockets().into_iter().filter_map(|socket| watcher(&socket).map(|watcher| (socket, watcher)))
}

/// Who is connected; `None` if the connection is being closed.
fn watcher(socket: &WebSocket) -> Option<Watcher> {
    serde_json::from_str(&attachment(socket)?).ok()
}

/// Disconnects a watcher without another message.
fn close(socket: &WebSocket, (code, reason): (u16, &str)) {
    attach(socket, "");
    let _ = socket.close(Some(code), Some(reason));
}
