//! The operations object: the Durable Object that keeps reports, metrics, alerts and the audit log.

mod alert_store;
mod alerts;
mod audit;
mod batch_log;
mod live;
mod log_lines;
mod metrics;
mod metrics_export;
mod object;
mod part;
mod parts;
mod reports;
mod request_index;
mod request_log;
mod rollups;
mod statement;
mod unreadable_rows;
