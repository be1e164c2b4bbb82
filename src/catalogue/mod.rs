//! What hosts and models are, take and cost, as data: the rows of `configs/catalogue.yaml`, merged for one
//! model at one provider.

pub mod calendar;
mod cause;
pub mod causes;
mod explain;
mod facts;
mod family;
pub mod field;
mod pattern;
pub mod price;
mod resolve;
mod rows;

pub use cause::{FailureClass, FailureScope};
pub use explain::{Explained, OperatorFacts, PriceRow, explain, price_row};
pub use facts::Facts;
pub use family::{Familiarity, familiarity};
pub use pattern::{is_pattern, matches, rank};
pub use resolve::{Origin, Resolved, auth_of, each_row, family, host_at, host_named, resolve};
pub use rows::{Auth, Evidence, Fact, Host, Row, Source, auth, families, hosts};
