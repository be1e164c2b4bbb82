//! Alerts: when one is raised and when it is over, in which words, and how it is delivered. Pure values: the
//! caller passes the time, stores what is returned to be stored, and sends what is returned to be sent.

mod address;
mod cap;
mod condition;
mod delivery;
mod destination;
mod ledger;
mod notice;
mod observation;
mod reply;
mod report;
mod rules;
mod signature;
mod states;
mod templates;
mod threshold;
mod watch;
mod window;
mod wording;

pub use address::{AddressFault, check_address};
pub use cap::HourlyCap;
pub use condition::{ConditionEvent, ConditionRule, ConditionState};
pub use delivery::{Delivery, DeliveryEnd, DeliveryState, TIMEOUT};
pub use destination::{Destination, DestinationKind, Destinations, Signer};
pub use ledger::{AlertLedger, AlertSettings, AlertWrite, OpenDelivery};
pub use notice::{AlertKind, Notice, Phase};
pub use observation::Observation;
pub use reply::{Attempt, Reply};
pub use report::{AlertCommand, AlertReport, AlertResponse, RaisedAlert};
pub use rules::{AlertRules, Reading};
pub use signature::{SecretFault, WebhookSecret};
pub use states::{AlertState, AlertStates, Change, Commit};
pub use templates::{Message, message};
pub use threshold::{PeriodReading, ReachedThreshold, Recovery, ThresholdEvent, ThresholdRule, ThresholdState};
pub use watch::RequestWatch;
pub use window::{Counts, ErrorWindow};
