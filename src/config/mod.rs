//! The configuration file, checked: every reference is resolved and every value in range. It is immutable,
//! and the only secrets in it are those written into the file.

mod address;
mod admin;
mod alerting;
mod cors;
mod dashboard;
pub mod decimal;
mod egress;
mod facts;
mod file_log;
mod format_kind;
pub mod host;
mod keys;
mod logging;
mod metrics;
pub mod names;
pub mod near;
mod no_proxy;
mod otlp;
mod params;
mod price;
mod provider;
mod proxies;
mod proxy_address;
mod read;
mod read_routes;
mod regions;
mod reporting;
mod routes;
mod schema;
mod schema_shapes;
mod settings;
mod stream;
mod tags;
mod telemetry;
mod units;
mod vault;
mod websocket;
mod yaml;

pub use address::Address;
pub use admin::{AccessSettings, AdminSettings};
pub use alerting::{Alerting, ErrorRate, MAX_BUDGET_PERCENT, MAX_THRESHOLDS};
pub use cors::Cors;
pub use egress::EgressRule;
pub use file_log::FileLog;
pub use format_kind::FormatKind;
pub use keys::{KeySource, KeyVariable, provider_variable};
pub use logging::{Fields, LogFormat, LogLevel, Logging};
pub use metrics::MetricsSettings;
pub use no_proxy::NoProxy;
pub use otlp::{Otlp, OtlpFormat};
pub use params::Params;
pub use price::Catalogue;
pub use provider::{EchoOptions, FitScope, Model, Provider, without_hint};
pub use proxies::{CaSource, ProviderProxy, ProxySettings};
pub use proxy_address::ProxyAddress;
pub use regions::{Region, RegionRule, RegionSettings};
pub use reporting::Reporting;
pub use routes::{
    Alias, Meaning, ModelIndex, Needs, OnContentFilter, Recover, RouteRow, RouteTarget, RowIndex, Sticky, Strategy,
    When,
};
pub use schema::{describe, schema};
pub use settings::{Accounting, Auth, BODY_COPIES, Config};
pub use stream::{Clocks, OnDisconnect, RelayKind, StreamUsage, Streaming};
pub use tags::{TAGS, TagNames, is_tag_name};
pub use units::{Millis, Nanos};
pub use vault::Vault;
pub use websocket::Websocket;
pub use yaml::Problem;
