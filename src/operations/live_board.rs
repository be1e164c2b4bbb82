//! The requests that are known to run, and what watchers are told of them. The operations object keeps it in
//! memory alone.

use std::collections::{BTreeMap, VecDeque};

use super::live_command::{LiveCommand, LiveResponse};
use super::live_event::{FirstToken, LiveEvent, LiveRequest};
use super::live_tickets::{LiveTickets, TICKET_TIME};
use crate::config::Millis;
use crate::telemetry::RequestSummary;

/// How many requests are listed at most.
const MAX_OPEN: usize = 2_000;
/// How many requests are remembered that have ended.
const MAX_OVER: usize = 500;
/// How many events are shown each second.
const MAX_NEWS: u64 = 200;
/// How many watchers there are at most.
pub const MAX_WATCHERS: usize = 10;
/// For so long after an isolate was heard of, it reports to a watcher.
const WATCH_TIME: Millis = 30_000;

/// The requests that are known to run.
#[derive(Debug)]
pub struct LiveBoard {
    open: BTreeMap<String, OpenRun>,
    /// Requests that have ended, the newest last.
    over: VecDeque<String>,
    tickets: LiveTickets,
    /// Until when isolates report, although nobody watches yet.
    expected_until: Millis,
    /// How long a request takes at most.
    longest: Millis,
    budget: NewsBudget,
}

/// A request that is known to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// The request.
    pub request: LiveRequest,
    /// When the first content of its stream came.
    pub first_token: Option<Millis>,
    /// An admin has asked for its end.
    pub is_ending: bool,
    isolate: u64,
    expires: Millis,
}

/// Something to tell watchers.
#[derive(Debug, PartialEq, Eq)]
pub enum LiveNews<'e> {
    /// A request has started.
    Started(&'e LiveRequest),
    /// The first content of a stream has come.
    FirstToken(&'e FirstToken, &'e LiveRequest),
    /// A request has ended.
    Ended(&'e RequestSummary),
}

/// What is shown of so much news per second, and how much was left out.
#[derive(Debug, Default)]
struct NewsBudget {
    second: Millis,
    shown: u64,
    dropped: u64,
}

impl LiveBoard {
    /// A board without requests, which take `longest` milliseconds at most.
    pub fn new(longest: Millis) -> Self {
        Self {
            open: BTreeMap::new(),
            over: VecDeque::new(),
            tickets: LiveTickets::default(),
            expected_until: 0,
            longest,
            budget: NewsBudget::default(),
        }
    }

    /// Handles a command, while there are so many watchers.
    pub fn handle(&mut self, command: LiveCommand, watchers: usize, now: Millis) -> LiveResponse {
        match command {
            LiveCommand::Issue { hash, actor } => {
                self.expected_until = now.saturating_add(TICKET_TIME).saturating_add(WATCH_TIME);
                LiveResponse::Issued { expires: self.tickets.issue(hash, actor, now) }
            }
            LiveCommand::Enter { .. } if watchers >= MAX_WATCHERS => LiveResponse::Full,
            LiveCommand::Enter { ticket: None } => LiveResponse::Entered { actor: None },
            LiveCommand::Enter { ticket: Some(hash) } => match self.tickets.redeem(&hash, now) {
                Some(actor) => LiveResponse::Entered { actor: Some(actor) },
                None => LiveResponse::WrongTicket,
            },
            LiveCommand::End { id } => self.end(&id, now),
        }
    }

    /// Until when isolates are to report, while there are so many watchers; 0 if nobody is to be told.
    pub fn live_until(&self, watchers: usize, now: Millis) -> Millis {
        let watched = if watchers > 0 { now.saturating_add(WATCH_TIME) } else { 0 };
        watched.max(if self.expected_until > now { self.expected_until } else { 0 })
    }

    /// The requests that this isolate is to end.
    pub fn ending(&self, isolate: u64) -> Vec<String> {
        let ending = self.open.iter().filter(|(_, open)| open.is_ending && open.isolate == isolate);
        ending.map(|(run, _)| run.clone()).collect()
    }

    /// Takes an event of an isolate. Returns whether it is new.
    pub fn note(&mut self, event: &LiveEvent, isolate: u64, now: Millis) -> bool {
        match event {
            LiveEvent::Started(request) => self.start(request, isolate, now),
            LiveEvent::FirstToken(token) => match self.open.get_mut(&token.run) {
                Some(open) if open.first_token.is_none() => {
                    open.first_token = Some(token.at);
                    open.request.provider.clone_from(&token.provider);
                    open.request.model.clone_from(&token.model);
                    true
                }
                Some(_) | None => false,
            },
        }
    }

    fn start(&mut self, request: &LiveRequest, isolate: u64, now: Millis) -> bool {
        let run = &request.run;
        if self.open.contains_key(run) || self.over.contains(run) {
            return false;
        }
        if self.open.len() >= MAX_OPEN {
            self.expire(now);
        }
        if self.open.len() < MAX_OPEN {
            let expires = request.started.saturating_add(self.longest);
            let open = OpenRun { request: request.clone(), first_token: None, is_ending: false, isolate, expires };
            self.open.insert(run.clone(), open);
        }
        true
    }

    /// A request has ended.
    pub fn finish(&mut self, summary: &RequestSummary) {
        if !summary.run.is_empty() {
            self.open.remove(&summary.run);
            self.over.push_back(summary.run.clone());
            if self.over.len() > MAX_OVER {
                self.over.pop_front();
            }
        }
    }

    /// The request of this run, if it is known to run.
    pub fn request(&self, run: &str) -> Option<&LiveRequest> {
        self.open.get(run).map(|open| &open.request)
    }

    /// The requests that are known to run.
    pub fn open(&mut self, now: Millis) -> impl Iterator<Item = &OpenRun> {
        self.expire(now);
        self.open.values()
    }

    /// Whether there is room for another event this second. If not, it is counted.
    pub fn admits_news(&mut self, now: Millis) -> bool {
        let budget = &mut self.budget;
        if budget.second != now / 1_000 {
            (budget.second, budget.shown) = (now / 1_000, 0);
        }
        if budget.shown >= MAX_NEWS {
            self.drop_news(1);
            return false;
        }
        budget.shown = budget.shown.saturating_add(1);
        true
    }

    /// Counts events that are not shown.
    pub fn drop_news(&mut self, count: u64) {
        self.budget.dropped = self.budget.dropped.saturating_add(count);
    }

    /// How many events were not shown, if some were, and there is room again. They are to be made up for with
    /// a list of the requests that run.
    pub fn take_dropped(&mut self, now: Millis) -> Option<u64> {
        let has_room = self.budget.second != now / 1_000 || self.budget.shown < MAX_NEWS;
        (has_room && self.budget.dropped > 0).then(|| std::mem::take(&mut self.budget.dropped))
    }

    fn end(&mut self, id: &str, now: Millis) -> LiveResponse {
        self.expire(now);
        if self.over.iter().any(|run| run == id) {
            return LiveResponse::Over;
        }
        let mut found: Vec<&mut OpenRun> =
            self.open.values_mut().filter(|open| open.request.run == id || open.request.request_id == id).collect();
        // An id of the gateway's own names one request, whatever a caller calls others.
        if let Some(at) = found.iter().position(|open| open.request.run == id) {
            found = vec![found.swap_remove(at)];
        }
        match found.as_mut_slice() {
            [] => LiveResponse::NotFound,
            [open] => {
                open.is_ending = true;
                LiveResponse::Ending(open.request.clone())
            }
            _ => LiveResponse::Ambiguous,
        }
    }

    /// Forgets requests whose time is over: their isolate has ended.
    fn expire(&mut self, now: Millis) {
        self.open.retain(|_, open| open.expires > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATCHED: usize = 1;

    fn request(run: &str, request_id: &str) -> LiveRequest {
        LiveRequest { run: run.into(), request_id: request_id.into(), started: 1_000, ..LiveRequest::default() }
    }

    fn board(requests: &[(&str, &str)]) -> LiveBoard {
        let mut board = LiveBoard::new(60_000);
        for (run, request_id) in requests {
            assert!(board.note(&LiveEvent::Started(request(run, request_id)), 7, 1_000));
        }
        board
    }

    fn end(board: &mut LiveBoard, id: &str) -> LiveResponse {
        board.handle(LiveCommand::End { id: id.into() }, WATCHED, 2_000)
    }

    fn finish(board: &mut LiveBoard, run: &str) {
        board.finish(&RequestSummary { run: run.into(), ..RequestSummary::default() });
    }

    #[test]
    fn an_event_that_comes_again_is_not_new() {
        let mut board = board(&[("a", "x")]);
        assert!(!board.note(&LiveEvent::Started(request("a", "x")), 7, 1_000));
        let token = |run: &str| {
            LiveEvent::FirstToken(FirstToken { run: run.into(), at: 5, provider: "p".into(), model: "m".into() })
        };
        assert!(board.note(&token("a"), 7, 1_000) && !board.note(&token("a"), 7, 1_000));
        assert!(!board.note(&token("b"), 7, 1_000), "it is not known");
        let open: Vec<_> = board.open(2_000).cloned().collect();
        assert_eq!((open.len(), open[0].first_token, open[0].request.model.as_str()), (1, Some(5), "m"));
        finish(&mut board, "a");
        assert!(!board.note(&LiveEvent::Started(request("a", "x")), 7, 1_000), "it is over");
    }

    #[test]
    fn a_request_is_ended_by_its_run_or_by_an_id_that_no_other_has() {
        let mut board = board(&[("a", "x"), ("b", "y"), ("c", "y"), ("d", "a")]);
        assert_eq!(end(&mut board, "x"), LiveResponse::Ending(request("a", "x")));
        assert_eq!(end(&mut board, "y"), LiveResponse::Ambiguous);
        assert_eq!(end(&mut board, "b"), LiveResponse::Ending(request("b", "y")));
        assert_eq!(end(&mut board, "a"), LiveResponse::Ending(request("a", "x")), "the run of one, the id of another");
        assert_eq!(end(&mut board, "z"), LiveResponse::NotFound);
        assert_eq!((board.ending(7), board.ending(8)), (vec!["a".into(), "b".into()], Vec::new()));
        finish(&mut board, "a");
        assert_eq!((end(&mut board, "a"), board.ending(7)), (LiveResponse::Over, vec!["b".into()]));
    }

    #[test]
    fn a_request_whose_isolate_has_ended_is_forgotten() {
        let mut board = board(&[("a", "x")]);
        assert_eq!(board.open(60_999).count(), 1);
        assert_eq!(board.open(61_000).count(), 0);
        for run in 0..2_500 {
            board.note(&LiveEvent::Started(request(&run.to_string(), "")), 7, 1_000);
        }
        assert_eq!(board.open(1_000).count(), 2_000);
    }

    #[test]
    fn news_is_bounded_and_what_is_left_out_is_told_when_there_is_room() {
        let mut board = board(&[]);
        let shown = (0..300).filter(|_| board.admits_news(5_000)).count();
        assert_eq!((shown, board.take_dropped(5_999)), (200, None));
        assert_eq!((board.take_dropped(6_000), board.take_dropped(6_000)), (Some(100), None));
        assert!(board.admits_news(6_000));
    }

    #[test]
    fn isolates_report_while_somebody_watches_or_is_about_to() {
        let mut board = board(&[]);
        assert_eq!((board.live_until(0, 1_000), board.live_until(1, 1_000)), (0, 31_000));
        board.handle(LiveCommand::Issue { hash: "h".into(), actor: "key_1".into() }, 0, 1_000);
        assert_eq!((board.live_until(0, 1_000), board.live_until(0, 61_000)), (61_000, 0));
        let enter = |board: &mut LiveBoard, watchers| {
            board.handle(LiveCommand::Enter { ticket: Some("h".into()) }, watchers, 2_000)
        };
        assert_eq!(enter(&mut board, MAX_WATCHERS), LiveResponse::Full);
        assert_eq!(enter(&mut board, 0), LiveResponse::Entered { actor: Some("key_1".into()) });
        assert_eq!(enter(&mut board, 0), LiveResponse::WrongTicket);
    }
}
