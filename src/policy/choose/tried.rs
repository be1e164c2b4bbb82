//! The attempts of a request that have failed.

use crate::config::Millis;
use crate::policy::failure::{FailureClass, FailureScope};

/// An attempt of this request that has ended without a response for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The index of the candidate.
    pub candidate: usize,
    /// The index of the key.
    pub key: usize,
    /// What went wrong.
    pub class: FailureClass,
    /// What fails with it.
    pub scope: FailureScope,
    /// How long the provider asks to wait, counted from `ended`.
    pub wait: Option<Millis>,
    /// How far it had come.
    pub progress: Progress,
    /// When it ended, in milliseconds since 1970.
    pub ended: Millis,
}

/// How far an attempt had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// Nothing had been sent.
    Unsent,
    /// The provider refused it, with a status or an error: it has done no work.
    Refused,
    /// It had been sent, and no head had come.
    AwaitingHead,
    /// A head of success had come, and no content has left for the client.
    BeforeContent,
    /// Content had come, and has left for the client.
    AfterContent,
}
