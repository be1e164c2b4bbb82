//! Why what the gateway asked of the platform did not succeed.

use crate::error::Error;

/// The other side is gone: a connection broke, a stream or a sink was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Why a body could not be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// It broke off.
    Broken,
    /// It was compressed, and what it holds is longer than this gateway unpacks.
    TooLarge,
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

/// Why a Durable Object gave no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectError {
    /// The gateway was deployed without it.
    Unbound,
    /// It could not be reached, failed, or took longer than allowed.
    Unreachable,
}

/// Why a provider gave no response, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// It took longer than allowed.
    TimedOut,
    /// It could not be reached, or the connection broke.
    Broken,
    /// It was compressed, and what it holds is longer than this gateway unpacks.
    TooLarge,
    /// There was no room for it in memory.
    NoRoom,
    /// The client has disconnected, and the time of a request without one is over.
    ClientLeft,
    /// What the call leaves by says itself why it failed, in words without secrets. The table of
    /// [`crate::policy::failure`] has the class and scope of its code.
    Egress(Error),
    /// An admin has ended the request.
    Ended,
}

impl From<Broken> for CallError {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

impl From<ReadError> for CallError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Broken => Self::Broken,
            ReadError::TooLarge => Self::TooLarge,
        }
    }
}
