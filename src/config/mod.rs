//! The configuration file, checked: every reference is resolved and every value in range. It is immutable,
//! and the only secrets in it are those written into the file.

mod address;
mod cors;
pub mod decimal;
mod facts;
mod file_log;
mod format_kind;
mod keys;
mod logging;
pub mod names;
pub mod near;
mod otlp;
mod params;
mod price;
mod provider;
mod read;
mod read_routes;
mod reporting;
mod routes;
mod settings;
mod stream;
mod tags;
mod units;
mod vault;
mod websocket;
mod yaml;

pub use address::Address;
pub use cors::Cors;
pub use file_log::FileLog;
pub use format_kind::FormatKind;
pub use keys::{KeySource, KeyVariable};
pub use logging::{Fields, LogFormat, LogLevel, Logging};
pub use otlp::{Otlp, OtlpFormat};
pub use params::Params;
pub use price::Catalogue;
pub use provider::{EchoOptions, FitScope, Model, Provider, without_hint};
pub use reporting::Reporting;
pub use routes::{Alias, Meaning, ModelIndex, Needs, OnContentFilter, RouteRow, RouteTarget, RowIndex, Strategy, When};
pub use settings::{Accounting, Auth, BODY_COPIES, Config};
pub use stream::{Clocks, OnDisconnect, RelayKind, StreamUsage, Streaming};
pub use tags::{TAGS, TagNames};
pub use units::{Millis, Nanos};
pub use vault::Vault;
pub use websocket::Websocket;
pub use yaml::Problem;
