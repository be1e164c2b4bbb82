//! Commands to the store of reports.

use crate::error::{Error, Result};
use crate::gateway::platform::{ObjectAddress, ObjectError, OperationsPart};
use crate::gateway::{Platform, ask_patiently};
use crate::reports::{ReportCommand, ReportResponse};

/// Sends a command to the store of reports.
///
/// # Errors
/// 503 if it cannot be reached.
pub async fn ask_store<P: Platform>(platform: &P, command: &ReportCommand) -> Result<ReportResponse> {
    let command = serde_json::to_string(command).map_err(|_| unavailable())?;
    let address = ObjectAddress::Operations(OperationsPart::Reports);
    let response = ask_patiently(platform, address, command).await.map_err(|failure| match failure {
        ObjectError::Unbound => unbound(),
        ObjectError::Unreachable => unavailable(),
    })?;
    serde_json::from_str(&response).map_err(|_| unavailable())
}

fn unbound() -> Error {
    let message = "The Durable Object binding OPERATIONS is missing. Add it as wrangler.toml shows.";
    Error::gateway(503, "reports_unavailable", message).with_header("retry-after", "1")
}

/// The error of a store that does not respond as it should.
pub fn unavailable() -> Error {
    let message = "The store of reports cannot be reached. Retry shortly.";
    Error::gateway(503, "reports_unavailable", message).with_header("retry-after", "1")
}
