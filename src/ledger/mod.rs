//! The books of one account: what its key may do, what is promised to requests under way, what has been used. They know no
//! storage and no clock: they are told the time, and say what has to be written down.

mod book;
mod counting;
pub mod directory;
mod entry;
pub mod form;
mod kept;
mod order;
mod promise;
mod record;
pub mod secret;
pub mod signing;
mod spent;
mod sums;
mod terms;
mod versions;
mod window;
mod write;

pub use book::Book;
pub use counting::Question as Asked;
pub use entry::{Entry, LOST, Tokens, Totals};
pub use kept::{Kept, Row};
pub use order::{Answer, Ask, Gauge, Gauges, Order, Refusal, Reply, Report};
pub use promise::{LEASE, Lease, Promise};
pub use record::{Record, Status, id_of};
pub use secret::Secret;
pub use spent::day_of;
pub use terms::{Budget, Period, Terms};
pub use window::SPAN;
pub use write::Write;
