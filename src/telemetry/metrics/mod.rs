//! Metrics as values: a table of families, a registry of their series, and its exposition as text.

mod collector;
mod command;
mod export_plan;
mod exposition;
mod families;
mod family;
mod format;
mod isolate_gauges;
mod label;
mod observe;
mod registry;
mod series;

pub use collector::{Collector, IsolateReport};
pub use command::MetricsCommand;
pub use export_plan::{EXPORT_OF_METRICS, ExportPlan};
pub use exposition::expose;
pub use families::*;
pub use family::{AcrossIsolates, Family, FamilyKind, Scale};
pub use format::{ExpositionFormat, negotiate};
pub use label::{ALL, ConfiguredNames, MAX_VALUE, NONE, OTHER, status_label};
pub use observe::observe;
pub use registry::{GAUGE_LIFE, MAX_SAMPLES, Registry};
pub use series::{SeriesRow, SeriesValue};
