//! Why a connection is refused.

use super::close_code::CloseCode;
use super::server_frame;
use super::upgrade_params::UpgradeParams;
use crate::error::Error;

/// A refused connection: the error for the client, and the code that closes the connection.
#[derive(Debug)]
pub struct ConnectionRefusal {
    /// The error.
    pub error: Error,
    /// The close code.
    pub code: CloseCode,
}

impl ConnectionRefusal {
    /// There is no such session.
    pub fn unknown() -> Self {
        let message = "This session does not exist or has ended. Open a new one.";
        Self { error: Error::caller(404, "unknown_session", message).at("session"), code: CloseCode::Unknown }
    }

    /// The API key is not good, or its account cannot be reached.
    pub fn of_key(error: Error) -> Self {
        let code = if error.status() == 401 { CloseCode::WrongKey } else { CloseCode::TryLater };
        Self { error, code }
    }

    /// No session can be opened at the moment, or the client sent more than its session can take.
    pub fn later(message: &str) -> Self {
        Self { error: Error::gateway(503, "session_unavailable", message), code: CloseCode::TryLater }
    }

    /// The memory limit of the gateway is reached.
    pub fn full() -> Self {
        let message = "The gateway has reached its memory limit. Connect again in a moment.";
        Self { error: Error::gateway(503, "gateway_overloaded", message), code: CloseCode::TryLater }
    }

    /// A session is to be resumed without its API key.
    pub fn of_another() -> Self {
        let error = Error::caller(401, "invalid_api_key", "This API key does not belong to the session.");
        Self { error, code: CloseCode::WrongKey }
    }

    /// The frames to resume from are not there.
    pub(super) fn gap(message: &str) -> Self {
        Self { error: Error::caller(410, "frames_lost", message).at("after"), code: CloseCode::Gap }
    }

    /// The frame that reports the refusal.
    pub fn frame(&self, params: &UpgradeParams) -> String {
        server_frame::connection_error(&self.error, params.with_ids)
    }
}
