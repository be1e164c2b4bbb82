//! [`Platform`] in a scripted world.

use std::cell::Cell;
use std::cell::RefCell;
use std::future::{Future, pending, ready};
use std::rc::Rc;

use llm_bridge::alerts::Observation;
use llm_bridge::gateway::platform::{
    Broken, CallError, ObjectAddress, ObjectError, Priority, ProviderRequest, ReadError, StreamHead,
};
use llm_bridge::gateway::{Platform, RequestState, RsaPublicKey};
use llm_bridge::ids::AccountId;
use llm_bridge::ledger::health::HealthResponse;
use llm_bridge::ledger::registry;
use llm_bridge::ledger::{AccountCommand, AccountResponse, Receipt};
use llm_bridge::operations::LiveEvent;
use llm_bridge::telemetry::metrics::Family;
use llm_bridge::telemetry::otlp::Span;
use llm_bridge::telemetry::{Event, RequestSummary, render};
use llm_bridge::tokens::Encoding;

use super::script::{Bytes, Script, ScriptedPipe, ScriptedResponse};
use super::timer::Timer;
use super::world::{Fate, World};

/// After a deadline, the gateway reads on for this time. A scripted silence outlasts that as well.
const READ_GRACE: u64 = 10;
/// The time after which a request looks whether somebody watches, in milliseconds. A silence outlasts it.
const LOOK: u64 = 10_000;

impl Platform for World {
    type Body = Vec<u8>;
    type Call = ();
    type Upload = ();
    type Answer = ScriptedResponse;
    type Stream = ScriptedResponse;
    type Piece = Bytes;
    type Buffer = ();
    type Sink = Rc<RefCell<Vec<u8>>>;
    type Pipe = ScriptedPipe;
    type Timer = Timer;

    fn now(&self) -> u64 {
        self.clock.get()
    }

    fn random_u128(&self) -> u128 {
        let rolled = self.rolled.get();
        self.rolled.set(rolled + 1);
        rolled.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).wrapping_add(7)
    }

    fn data_center(&self) -> Option<String> {
        self.data_center.borrow().clone()
    }

    fn zone_offsets(&self, name: &str, _: u64, _: u64) -> Option<String> {
        if let Some(zone) = &*self.zone.borrow() {
            return Some(serde_json::to_string(zone).unwrap());
        }
        let offset = [("UTC", 0), ("Asia/Kolkata", 19_800)].into_iter().find(|(zone, _)| *zone == name)?.1;
        Some(format!(r#"{{"first":{offset},"changes":[]}}"#))
    }

    fn log(&self, event: &Event<'_>) {
        self.logs.borrow_mut().extend(render(event, &self.logging.borrow()));
    }

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn timer(&self, time: u64) -> Timer {
        self.newest_timer.set(time);
        let number = self.timers_made.get();
        self.timers_made.set(number + 1);
        let key = (self.clock.get().saturating_add(time), number);
        self.timers.borrow_mut().insert(key);
        Timer::new(self.clone(), key)
    }

    fn keep(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Box::pin(task));
    }

    fn client_left(&self) -> bool {
        false
    }

    async fn until_client_left(&self) -> u64 {
        pending().await
    }

    async fn ask_object(&self, address: ObjectAddress<'_>, command: String) -> Result<String, ObjectError> {
        self.called.borrow_mut().push(format!("{address:?}"));
        self.pause().await;
        let fate = self.fates.borrow_mut().pop_front().unwrap_or(Fate::Fine);
        if fate == Fate::Lost {
            return Err(ObjectError::Unreachable);
        }
        let response = match address {
            ObjectAddress::Account(name) => {
                let response = serde_json::from_str(&command)
                    .map_or(AccountResponse::Malformed, |command| self.handle_account(name, command));
                serde_json::to_string(&response).unwrap()
            }
            ObjectAddress::Directory | ObjectAddress::Signing => {
                let mut directory = self.directory.borrow_mut();
                let response = serde_json::from_str(&command)
                    .map_or(registry::RegistryResponse::Malformed, |command| {
                        directory.handle(command, self.clock.get(), &mut Vec::new())
                    });
                serde_json::to_string(&response).unwrap()
            }
            ObjectAddress::Health => {
                let mut health = self.health.borrow_mut();
                let response = serde_json::from_str(&command)
                    .map_or(HealthResponse::Malformed, |command| health.handle(command, self.clock.get()).0);
                serde_json::to_string(&response).unwrap()
            }
            ObjectAddress::Region(region, number) => {
                serde_json::to_string(&self.places.borrow().get(&(region.name(), number))).unwrap()
            }
            ObjectAddress::LogFiles => serde_json::to_string(&self.handle_log_files(&command)).unwrap(),
            ObjectAddress::Operations(part) => {
                let response = self.operations.borrow_mut().get_mut(part.name()).map(|answer| answer(&command));
                response.ok_or(ObjectError::Unbound)?
            }
            ObjectAddress::Vault(name) => {
                let response = self.handle_store(name, serde_json::from_str(&command).unwrap());
                serde_json::to_string(&response).unwrap()
            }
        };
        self.pause().await;
        if fate == Fate::Fine { Ok(response) } else { Err(ObjectError::Unreachable) }
    }

    fn enqueue(&self, account: &AccountId, receipt: Receipt, _: Priority) {
        self.receipts.borrow_mut().push(receipt.clone());
        self.handle_account(account.as_str(), AccountCommand::Settle(vec![receipt]));
    }

    fn notify(&self, accounts: &[AccountId], command: &AccountCommand) {
        for account in accounts {
            self.handle_account(account.as_str(), command.clone());
        }
    }

    fn report(&self, summary: RequestSummary) {
        self.summaries.borrow_mut().push(summary);
    }

    fn watched_board(&self) -> Option<u64> {
        self.is_watched.get().then(|| self.board.get())
    }

    fn look_for_watchers(&self, now: u64) {
        self.looks_for_watchers.borrow_mut().push(now);
        self.is_watched.set(self.finds_watchers.get());
    }

    fn report_live(&self, event: LiveEvent) {
        self.live.borrow_mut().push(event);
    }

    fn is_ending(&self, _: &str) -> bool {
        let looks = self.looks_to_end.get();
        self.looks_to_end.set(if looks > 1 { looks - 1 } else { looks });
        looks == 1
    }

    fn export(&self, spans: Vec<Span>) {
        self.spans.borrow_mut().extend(spans);
    }

    fn observe(&self, observation: Observation) {
        self.observations.borrow_mut().push(observation);
    }

    fn measure(&self, family: &'static Family, labels: &[&str], amount: u64) {
        self.metrics.borrow_mut().observe(family, labels, amount);
    }

    fn report_measured(&self) {
        self.reported_measured.set(self.reported_measured.get() + 1);
    }

    async fn fetch_text(&self, url: &str) -> Result<String, Broken> {
        self.fetched.borrow_mut().push(url.to_owned());
        self.pause().await;
        self.texts.borrow_mut().pop_front().ok_or(Broken)
    }

    async fn verify_rs256(&self, key: &RsaPublicKey, signature: &[u8], _: &str) -> bool {
        signature == format!("signed by {}", key.id).as_bytes()
    }

    async fn count(&self, encoding: Encoding, texts: Vec<String>) -> Result<Vec<u64>, Broken> {
        self.counts(encoding, &texts)
    }

    async fn read_body(&self, body: Vec<u8>) -> Result<Vec<u8>, Broken> {
        Ok(body)
    }

    fn open_body(&self, body: Vec<u8>) -> Option<ScriptedResponse> {
        let text: &'static str = String::from_utf8(body).unwrap().leak();
        Some(ScriptedResponse::from(Script::json(200, text)))
    }

    fn call(&self, request: ProviderRequest) -> Result<(), CallError> {
        self.calls.borrow_mut().push(request);
        Ok(())
    }

    fn take_upload(&self, (): &mut ()) -> Option<()> {
        None
    }

    fn upload(&self, (): ()) -> impl Future<Output = Result<(), Broken>> + 'static {
        ready(Ok(()))
    }

    async fn head(&self, (): &mut ()) -> Result<ScriptedResponse, CallError> {
        self.scripts.borrow_mut().pop_front().map(ScriptedResponse::from).ok_or(CallError::Broken)
    }

    fn abort_call(&self, (): &()) {
        self.cancelled.set(true);
    }

    fn abort_answer(&self, _: &ScriptedResponse) {
        self.cancelled.set(true);
    }

    async fn read_answer(&self, _: &ScriptedResponse) -> Result<(Vec<u8>, ()), ReadError> {
        // No length is known, so that no response is read in one step.
        Err(ReadError::Broken)
    }

    fn open_answer(&self, answer: ScriptedResponse) -> ScriptedResponse {
        answer
    }

    fn length(&self, _: &ScriptedResponse) -> Option<usize> {
        None
    }

    async fn next(&self, stream: &mut ScriptedResponse) -> Result<Option<Bytes>, ReadError> {
        if stream.pieces.front() == Some(&Err(CallError::TimedOut)) {
            let timer = self.newest_timer.get();
            if matches!(stream.silence, None | Some(LOOK)) || timer == READ_GRACE {
                stream.silence = stream.silence.filter(|_| timer == READ_GRACE).or(Some(timer));
                return pending().await;
            }
            stream.silence = None;
            stream.pieces.pop_front();
        }
        let next = stream.pieces.pop_front().transpose().map_err(|lost| match lost {
            CallError::TooLarge => ReadError::TooLarge,
            _ => ReadError::Broken,
        })?;
        let mut text = next.map(str::to_owned);
        // A read that waits takes what comes next, too, as far as it is bytes.
        while let (Some(text), Some(Ok(more))) = (&mut text, stream.pieces.front())
            && text.len() < stream.least
        {
            text.push_str(more);
            stream.pieces.pop_front();
        }
        Ok(text.as_deref().map(Bytes::from))
    }

    fn may_have_more(&self, _: &ScriptedResponse) -> bool {
        false
    }

    fn gather(&self, stream: &mut ScriptedResponse, least: usize) {
        stream.least = least;
    }

    fn abort(&self, _: &ScriptedResponse) {
        self.cancelled.set(true);
    }

    async fn release(&self, _: &mut ScriptedResponse) {}

    fn begin_response(&self, head: StreamHead) -> Result<Self::Sink, Broken> {
        let sink = Self::Sink::default();
        self.begun.replace(Some((head, Rc::clone(&sink))));
        Ok(sink)
    }

    async fn write(&self, sink: &mut Self::Sink, bytes: &[u8], given: &Cell<usize>) -> Result<(), Broken> {
        sink.borrow_mut().extend_from_slice(bytes);
        given.set(bytes.len());
        Ok(())
    }

    async fn close(&self, _: &mut Self::Sink) -> Result<(), Broken> {
        Ok(())
    }

    async fn break_off(&self, _: &mut Self::Sink) -> Result<(), Broken> {
        Ok(())
    }

    fn pipe(&self, stream: &mut ScriptedResponse, sink: &mut Self::Sink) -> Result<ScriptedPipe, Broken> {
        let mut ended = Some(Ok(()));
        for piece in &stream.pieces {
            match piece {
                Ok(piece) => sink.borrow_mut().extend_from_slice(piece.as_bytes()),
                Err(CallError::TimedOut) => {
                    ended = None;
                    break;
                }
                Err(_) => {
                    ended = Some(Err(Broken));
                    break;
                }
            }
        }
        Ok(ScriptedPipe::new(ended))
    }

    fn stop(&self, pipe: &ScriptedPipe) {
        pipe.stop();
    }
}
