//! The command to the object that keeps metrics.

use serde::{Deserialize, Serialize};

use super::format::ExpositionFormat;

/// A command to the object that keeps metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsCommand {
    /// Responds with all metrics as text, which is the response as it stands: no JSON.
    Expose(ExpositionFormat),
}
