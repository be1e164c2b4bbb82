//! A WebSocket session as a state machine: it takes events (messages, responses, disconnects, time) and
//! returns actions. It uses no sockets, providers or keys.

mod action;
mod active_request;
mod client;
mod client_frame;
mod close_code;
mod connection;
mod flow_control;
mod hibernation;
mod lifecycle;
mod limits;
mod pending;
mod receive;
mod refusal;
mod replay;
mod response;
mod scan;
mod server_frame;
mod slots;
mod snapshot;
mod state;
mod upgrade_params;

pub use action::{ChatStart, SessionAction};
pub use client::{ClientOrigin, SessionOwner};
pub use close_code::{CloseCode, NO_STATUS, came_in_frame, is_final};
pub use flow_control::{ForwardedFrames, poll_intervals};
pub use hibernation::{AttachedSession, StoredSession};
pub use lifecycle::Client;
pub use limits::SessionLimits;
pub use pending::{PendingAction, PendingLimits, PendingSession};
pub use refusal::ConnectionRefusal;
pub use response::{FailedResponse, ReadState};
pub use server_frame::{PING, PONG};
pub use slots::{ConnectionSlot, ConnectionSlots};
pub use snapshot::{SessionSnapshot, UnreadableSnapshot};
pub use state::Session;
pub use upgrade_params::UpgradeParams;
