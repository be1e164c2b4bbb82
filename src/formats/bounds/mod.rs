//! The most that a request can take as it is sent, and the fields that decide it. Formats whose requests
//! share field names share these rules, because hosts honour each other's names.

mod edit;
mod effects;
mod integers;
mod limit;
mod needs;
mod prompt;
mod rules;
mod samples;
mod service;

pub use edit::{Edit, apply as apply_edit};
pub use integers::whole;
pub use limit::LimitNames;
pub(super) use limit::may_limit;
pub(super) use needs::needs_of_part;
pub use needs::{Demands, asks_for_thinking};
pub use prompt::{may_have_audio, most_tokens};
pub use rules::{COMMON, FieldNames, MESSAGES_FIELDS, RequestBounds, RequestRules};
pub use samples::lenient_count;
pub(super) use service::tier as requested_tier;
pub use service::{ServiceTier, is_priced_field};
