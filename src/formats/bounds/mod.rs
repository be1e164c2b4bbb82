//! How much a request can take at most, as it is sent, and which of its fields decide that. The table is one for all formats whose
//! requests are JSON objects: hosts honour each other's names.

mod edit;
mod limit;
mod prompt;
mod rules;
mod samples;
mod service;

pub use edit::{Edit, apply as apply_edit};
pub use limit::LimitNames;
pub use prompt::most_tokens;
pub use rules::{COMMON, RequestBounds, RequestRules};
pub use samples::lenient_count;
pub use service::{ServiceTier, is_beside_tiers};
