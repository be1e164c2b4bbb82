//! All that the gateway ever asks of the outside world. The edge implements it once; tests implement it in a page.

use std::future::Future;
use std::rc::Rc;

use super::Body;
use super::lease::LeaseRenewal;
use super::memory::MemoryReservation;
use super::settle::FinalCharge;
use crate::config::Millis;
use crate::tokens::Encoding;

/// The world outside.
pub trait Platform {
    /// A client's body, not read yet.
    type Body;
    /// A provider's answer, its body not read yet.
    type Answer: ProviderResponse;
    /// The body of a provider's answer, read piece by piece, and handed on where the reading stopped.
    type Stream;
    /// Bytes that stay outside; handed on without a look.
    type Buffer;

    /// Milliseconds since 1970.
    fn now(&self) -> Millis;

    /// Random bits, good enough for identifiers that nobody must guess.
    fn random_u128(&self) -> u128;

    /// Whether the client is known to have left.
    fn client_left(&self) -> bool;

    /// Writes one line to the log.
    fn log(&self, line: &str);

    /// Takes what is left of a request that has ended, exactly once for each: what it asks is counted, its line goes to the log, its
    /// receipt to the books. None of it keeps an answer waiting.
    fn settle(&self, closing: FinalCharge);

    /// This request has a lease: it is renewed whenever it is due, until the request is settled. No answer waits for that, and a request
    /// that is over before the first renewal costs nothing more.
    fn hold(&self, lease: LeaseRenewal);

    /// Reads a client's body of at most `limit` bytes. `announced`: its length, if that is known; then it is not above the limit, and
    /// `room` holds it. If not, `room` grows with it.
    fn read(
        &self,
        body: Self::Body,
        announced: Option<usize>,
        limit: usize,
        room: &MemoryReservation,
    ) -> impl Future<Output = Result<Vec<u8>, BodyError>>;

    /// Takes a client's body that is refused, at most `limit` bytes, and keeps nothing of it: as long as it comes without a pause. A client
    /// that is still sending when its connection closes may never see the refusal.
    fn discard(&self, body: Self::Body, limit: usize) -> impl Future<Output = ()>;

    /// Lets so many milliseconds pass.
    fn pause(&self, time: Millis) -> impl Future<Output = ()>;

    /// Hands an order to an object that keeps something, and waits for its answer; both are JSON.
    fn ask_object(&self, seat: ObjectAddress<'_>, order: String) -> impl Future<Output = Result<String, CallError>>;

    /// Calls a provider and waits for the head of its answer, `within` milliseconds. `room` holds the call's body, and is given back when
    /// that has been sent.
    fn send(
        &self,
        call: ProviderRequest,
        within: Millis,
        room: Option<MemoryReservation>,
    ) -> impl Future<Output = Result<Self::Answer, CallError>>;

    /// Reads an answer, at most `most` bytes of it; of a longer one, its beginning. `room` grows with what is kept, and where there is
    /// none, the answer waits for some.
    fn gather(
        &self,
        answer: Self::Answer,
        within: Millis,
        most: usize,
        room: &MemoryReservation,
    ) -> impl Future<Output = Result<GatheredBody<Self>, CallError>>
    where
        Self: Sized;

    /// Begins to read an answer piece by piece.
    fn open(&self, answer: Self::Answer) -> Self::Stream;

    /// The next piece of an answer; `None` at its end. After [`CallError::TimedOut`] it may be asked again: nothing is lost.
    fn next(&self, stream: &Self::Stream, within: Millis) -> impl Future<Output = Result<Option<Vec<u8>>, CallError>>;

    /// Breaks an answer off.
    fn cancel(&self, stream: &Self::Stream);

    /// Reads the beginning of an answer, at most `limit` bytes, and lets go of the rest; nothing if that takes too long.
    fn peek(&self, answer: Self::Answer, limit: usize, within: Millis) -> impl Future<Output = Vec<u8>>;

    /// Counts the tokens of each text. The first count of an encoding loads its vocabulary, and [`CallError`] says that it could not;
    /// a long count makes way for others. An answer must not wait for it, but one that was asked for just that.
    fn count(&self, encoding: Encoding, texts: Vec<String>) -> impl Future<Output = Result<Vec<u64>, CallError>>;
}

/// Where something is kept: each has one place in the world, and does one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectAddress<'a> {
    /// The books of this account.
    Account(&'a str),
    /// The list of keys.
    Directory,
    /// The same, asked for the secrets that sign keys. A request waits for it, so that it answers soon or not at all.
    Signing,
    /// What is kept for this account, which providers want back. An answer waits for it, so that it answers soon or not at all.
    Vault(&'a str),
}

/// A provider's answer, read.
pub enum GatheredBody<H: Platform> {
    /// All of it: a copy to look into, and the bytes to hand on, where they are kept outside as well.
    Whole(Vec<u8>, Option<H::Buffer>),
    /// It is longer than that: its beginning, and what there is still to read.
    Long(H::Stream, Vec<u8>),
}

impl<H: Platform> Body<H> {
    /// A provider's bytes, and where they are kept outside, if they are.
    pub(super) fn gathered(bytes: Vec<u8>, buffer: Option<H::Buffer>) -> Self {
        match buffer {
            Some(buffer) => Self::Buffer(buffer, bytes),
            None => Self::Bytes(bytes),
        }
    }
}

/// The head of a provider's answer.
pub trait ProviderResponse {
    /// The HTTP status.
    fn status(&self) -> u16;

    /// A header, by its name in lower case.
    fn header(&self, name: &str) -> Option<String>;
}

/// A POST of JSON to a provider. Redirects are not followed: a key goes to its provider and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRequest {
    /// Where to.
    pub url: String,
    /// Besides `content-type`.
    pub headers: Vec<(String, String)>,
    /// What to send.
    pub body: Rc<Vec<u8>>,
    /// Whether the answer will be streamed, and so may have to be broken off in its middle.
    pub stream: bool,
    /// Whether it is broken off when the client leaves.
    pub ends_with_client: bool,
}

/// Why a client's body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// There is no room for it at the moment.
    NoRoom,
    /// It broke off.
    Broken,
}

/// Why a provider or an object gave no answer, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It took longer than allowed.
    TimedOut,
    /// It could not be reached, or the connection broke.
    Broken,
    /// The gateway was deployed without it.
    Unbound,
    /// There was no room for it in memory.
    NoRoom,
    /// The client has left, and a request without one may go on no longer.
    ClientLeft,
}
