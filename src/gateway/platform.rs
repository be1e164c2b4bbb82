//! The port: everything that the gateway asks of the world. Each method starts one thing and reports how it
//! ended; it decides nothing. Time limits, retries and what becomes of a request are the gateway's (`wait`,
//! `call`, `forward`).

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

pub use super::operations_part::OperationsPart;
pub use super::platform_error::{BodyError, Broken, CallError, ObjectError, ReadError};
use super::request_state::RequestState;
use super::rsa_public_key::RsaPublicKey;
use crate::alerts::Observation;
use crate::config::{Millis, Region};
use crate::formats::Framing;
use crate::ids::AccountId;
use crate::ledger::{AccountCommand, Receipt};
use crate::operations::LiveEvent;
use crate::provider::Proxy;
use crate::telemetry::metrics::Family;
use crate::telemetry::otlp::Span;
use crate::telemetry::{Event, RequestSummary};
use crate::tokens::Encoding;

/// The platform, as one request sees it. Clones are handles of the same request.
///
/// Every future may be dropped before it is done. What was started then goes on by itself (a write reaches
/// the client, a command reaches its object); only its result is lost. [`Platform::next`] and
/// [`Platform::Pipe`] lose nothing: they can be awaited again.
pub trait Platform: Clone + 'static {
    /// A client's body, not read yet.
    type Body;
    /// A request to a provider that has been started.
    type Call;
    /// The rest of a request's body that is still to be sent.
    type Upload;
    /// The head of a provider's response, its body not read yet.
    type Answer: ProviderResponse;
    /// A body that is read piece by piece.
    type Stream;
    /// One piece of a body.
    type Piece: Piece;
    /// A whole body that stays outside of the gateway's memory.
    type Buffer;
    /// Where the body of a streamed response is written.
    type Sink;
    /// A copy of a stream to a sink that runs without the gateway, until the stream ends.
    type Pipe: Future<Output = Result<(), Broken>> + Unpin;
    /// Completes after some time.
    type Timer: Future<Output = ()> + Unpin;

    /// Milliseconds since 1970.
    fn now(&self) -> Millis;

    /// Random bits, good enough for identifiers that nobody must guess.
    fn random_u128(&self) -> u128;

    /// The UTC offsets of a time zone from one time to another, as the JSON of [`crate::reports::Zone`];
    /// `None` if the platform does not know the zone.
    fn zone_offsets(&self, name: &str, from: Millis, to: Millis) -> Option<String>;

    /// The data center where this runs, by the platform's three letters, if it says so.
    fn data_center(&self) -> Option<String>;

    /// Writes an event to the log, rendered and filtered as the configuration says.
    fn log(&self, event: &Event<'_>);

    /// What the gateway keeps with this request.
    fn state(&self) -> &RequestState;

    /// Starts a timer.
    fn timer(&self, time: Millis) -> Self::Timer;

    /// Runs a task to its end, even after the response.
    fn keep(&self, task: impl Future<Output = ()> + 'static);

    /// Whether the client is known to have disconnected.
    fn client_left(&self) -> bool;

    /// Completes when the client has disconnected, with the time of it.
    fn until_client_left(&self) -> impl Future<Output = Millis>;

    /// Sends a command to a Durable Object and waits for its response; both are JSON.
    fn ask_object(
        &self,
        address: ObjectAddress<'_>,
        command: String,
    ) -> impl Future<Output = Result<String, ObjectError>>;

    /// Sends a receipt to an account, now or together with others that come within a moment. Repeats it until
    /// it has arrived.
    fn enqueue(&self, account: &AccountId, receipt: Receipt, priority: Priority);

    /// Sends a command to accounts whose response nobody waits for.
    fn notify(&self, accounts: &[AccountId], command: &AccountCommand);

    /// Reports a request that has ended to the operations object, together with others.
    fn report(&self, summary: RequestSummary);

    /// Reports what an alert may be about, likewise.
    fn observe(&self, observation: Observation);

    /// The board on which somebody watches requests live; nothing if nobody does. Each is to be told of all
    /// requests that run.
    fn watched_board(&self) -> Option<u64>;

    /// Asks whether somebody watches, from time to time: a request has run for long.
    fn look_for_watchers(&self, now: Millis);

    /// Reports what has happened to this request, for those who watch, together with others.
    fn report_live(&self, event: LiveEvent);

    /// Whether an admin has ended the request of this run. While it is asked, the platform keeps itself up to
    /// date.
    fn is_ending(&self, run: &str) -> bool;

    /// Exports the spans of a request that has ended, together with others.
    fn export(&self, spans: Vec<Span>);

    /// Adds to a counter of this isolate, which is sent to the operations object with the next report.
    fn measure(&self, family: &'static Family, labels: &[&str], amount: u64);

    /// Sends what was measured if there has been no report for a minute. To be called for callers with a
    /// valid key only: it costs a call of the object.
    fn report_measured(&self);

    /// Reads a small text from an address of the configuration. Redirects are not followed.
    fn fetch_text(&self, url: &str) -> impl Future<Output = Result<String, Broken>>;

    /// Whether a key has signed a message with RS256.
    fn verify_rs256(&self, key: &RsaPublicKey, signature: &[u8], message: &str) -> impl Future<Output = bool>;

    /// Counts the tokens of each text. The first count of an encoding loads its vocabulary.
    fn count(&self, encoding: Encoding, texts: Vec<String>) -> impl Future<Output = Result<Vec<u64>, Broken>>;

    /// Reads a client's whole body in one step.
    fn read_body(&self, body: Self::Body) -> impl Future<Output = Result<Vec<u8>, Broken>>;

    /// Opens a client's body, if there is one.
    fn open_body(&self, body: Self::Body) -> Option<Self::Stream>;

    /// Starts a request to a provider, which leaves as its [`Egress`] says.
    ///
    /// # Errors
    /// The platform refuses it.
    fn call(&self, request: ProviderRequest) -> Result<Self::Call, CallError>;

    /// What of the request's body is still to be sent with [`Platform::upload`]; nothing if it is short.
    fn take_upload(&self, call: &mut Self::Call) -> Option<Self::Upload>;

    /// Sends the rest of a request's body.
    fn upload(&self, upload: Self::Upload) -> impl Future<Output = Result<(), Broken>> + 'static;

    /// Waits for the head of the response. What stands between the gateway and the provider reports why it
    /// failed as [`CallError::Egress`].
    fn head(&self, call: &mut Self::Call) -> impl Future<Output = Result<Self::Answer, CallError>>;

    /// Aborts a request whose response has not begun.
    fn abort_call(&self, call: &Self::Call);

    /// Aborts a request whose response has begun.
    fn abort_answer(&self, answer: &Self::Answer);

    /// Reads a whole response in one step: a copy, and the bytes where they are.
    fn read_answer(&self, answer: &Self::Answer) -> impl Future<Output = Result<(Vec<u8>, Self::Buffer), ReadError>>;

    /// Opens the body of a response.
    fn open_answer(&self, answer: Self::Answer) -> Self::Stream;

    /// The length of a body in bytes, if it is known.
    fn length(&self, stream: &Self::Stream) -> Option<usize>;

    /// The next piece of a body; `None` at its end. The piece is valid until the next call.
    fn next(&self, stream: &mut Self::Stream) -> impl Future<Output = Result<Option<Self::Piece>, ReadError>>;

    /// Whether the last piece is as long as a read could bring: more may be there already.
    fn may_have_more(&self, stream: &Self::Stream) -> bool;

    /// From the next read on, each waits until so many bytes have come, or the end. A read that waits cannot
    /// be broken off.
    fn gather(&self, stream: &mut Self::Stream, least: usize);

    /// Aborts the request whose response is read.
    fn abort(&self, stream: &Self::Stream);

    /// Lets go of what has not been read.
    fn release(&self, stream: &mut Self::Stream) -> impl Future<Output = ()>;

    /// Sends the head of a streamed response to the client. Returns where its body is written.
    ///
    /// # Errors
    /// The platform cannot make the response.
    fn begin_response(&self, head: StreamHead) -> Result<Self::Sink, Broken>;

    /// Writes to a client. `given` counts the bytes that have been handed to the platform: they reach the
    /// client even if the future is dropped.
    fn write(
        &self,
        sink: &mut Self::Sink,
        bytes: &[u8],
        given: &Cell<usize>,
    ) -> impl Future<Output = Result<(), Broken>>;

    /// Ends a response that is complete.
    fn close(&self, sink: &mut Self::Sink) -> impl Future<Output = Result<(), Broken>>;

    /// Breaks a response off.
    fn break_off(&self, sink: &mut Self::Sink) -> impl Future<Output = Result<(), Broken>>;

    /// Copies what has not been read of a stream to a sink. From here on, [`Platform::next`] reads a second
    /// copy, which is kept until it is read.
    ///
    /// # Errors
    /// The stream or the sink is gone.
    fn pipe(&self, stream: &mut Self::Stream, sink: &mut Self::Sink) -> Result<Self::Pipe, Broken>;

    /// Stops a copy. It completes when what it holds has been written.
    fn stop(&self, pipe: &Self::Pipe);
}

/// The headers of a stream of events.
pub(super) fn event_stream_headers(framing: &Framing) -> Vec<(&'static str, String)> {
    vec![
        ("content-type", framing.content_type.to_owned()),
        ("cache-control", "no-cache".to_owned()),
        // Reverse proxies pass events on as they come.
        ("x-accel-buffering", "no".to_owned()),
    ]
}

/// The head of a streamed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamHead {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they are to be sent.
    pub headers: Vec<(&'static str, String)>,
    /// What its body consists of.
    pub kind: StreamKind,
}

/// What the body of a streamed response consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Server-sent events.
    Events,
    /// The bytes of a whole response; so many, if that is known.
    Bytes(Option<usize>),
}

impl StreamHead {
    /// The head of a stream of events.
    pub(super) fn events(framing: &Framing) -> Self {
        Self { status: 200, headers: event_stream_headers(framing), kind: StreamKind::Events }
    }

    /// The head of a long whole response in JSON.
    pub(super) fn bytes(length: Option<usize>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: 200, headers, kind: StreamKind::Bytes(length) }
    }
}

/// How soon a receipt is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// At once: limits wait for it.
    Now,
    /// Together with others.
    Batched,
}

/// A piece of a body. It may lie outside of the gateway's memory.
pub trait Piece {
    /// Its length in bytes.
    fn length(&self) -> usize;

    /// Copies it to the end of a buffer, which grows by no more than that.
    fn append_to(&self, bytes: &mut Vec<u8>);

    /// A copy of it.
    fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.length());
        self.append_to(&mut bytes);
        bytes
    }
}

/// A Durable Object. Each exists once in the world, and handles one command at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectAddress<'a> {
    /// The account of this name.
    Account(&'a str),
    /// The registry of keys.
    Directory,
    /// The registry of keys, asked for the secrets that sign them.
    Signing,
    /// The reasoning store of the account of this name.
    Vault(&'a str),
    /// The health of targets and keys that all isolates share.
    Health,
    /// An object of a region, by its number, asked where it is.
    Region(Region, usize),
    /// The writer of log files.
    LogFiles,
    /// A part of the object of what operators are shown and told.
    Operations(OperationsPart),
}

/// The head of a provider's response.
pub trait ProviderResponse {
    /// The HTTP status.
    fn status(&self) -> u16;

    /// A header, by its name in lower case.
    fn header(&self, name: &str) -> Option<String>;

    /// The length of the body in bytes, if it is known.
    fn length(&self) -> Option<usize>;
}

/// The method of a request to a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestMethod {
    /// Without a body.
    Get,
    /// With a body of JSON.
    #[default]
    Post,
}

impl RequestMethod {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request to a provider. Redirects are not followed: a key goes to its provider and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRequest {
    /// The method.
    pub method: RequestMethod,
    /// Where to.
    pub url: String,
    /// Besides the `content-type` of a body.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Rc<Vec<u8>>,
    /// Whether the response will be streamed, and so may have to be broken off in its middle.
    pub stream: bool,
    /// Whether the platform aborts it when the client disconnects.
    pub ends_with_client: bool,
    /// How it leaves.
    pub egress: Egress,
}

/// How the call of a provider leaves the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Egress {
    /// By the platform's own `fetch`.
    #[default]
    Direct,
    /// By the `fetch` of the binding of this name.
    Binding(Rc<str>),
    /// Through this proxy.
    Proxy(Rc<Proxy>),
    /// By the object with this number in this region, which says in the response header
    /// [`crate::policy::region::OUTCOME`] what became of the call.
    Region(Region, usize),
}
