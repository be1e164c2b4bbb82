//! The settings of the log: level, format, and the fields of a record.

use serde::{Deserialize, Serialize};

use super::file_log::FileLog;
use super::yaml::Node;

/// The severity of a record, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Chunks of streams.
    Debug,
    /// Requests that succeeded.
    Info,
    /// Refused requests, and conditions that an operator should look at.
    Warning,
    /// Failures.
    Error,
}

impl LogLevel {
    /// The value of `level` in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The format of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A flat JSON object on one line.
    Json,
    /// A line of text for people.
    Text,
}

/// The settings of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The format of a record.
    pub format: LogFormat,
    /// The lowest level that is written.
    pub level: LogLevel,
    /// Whether records are written to the console.
    pub console: bool,
    /// The log files, if records are written to such.
    pub file: Option<FileLog>,
    /// Whether records are exported to OpenTelemetry (`telemetry.otlp.logs`).
    pub exported: bool,
    /// The fields of a record.
    pub fields: Fields,
}

/// The fields that a record shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    shown: Vec<&'static str>,
}

/// Each name that `logging.fields` accepts, the field that it stands for, and whether the field is shown by
/// default. Prompts and responses are not.
const FIELDS: &[(&str, &str, bool)] = &[
    ("timestamp", "timestamp", true),
    ("request_id", "request_id", true),
    ("key_id", "key_id", true),
    ("client_ip", "client_ip", true),
    ("provider", "provider", true),
    ("model", "model", true),
    ("stream", "stream", true),
    ("status", "status", true),
    ("error", "error", true),
    ("error_type", "error_type", true),
    ("error_code", "error_code", true),
    ("outcome", "outcome", true),
    ("malformed_events", "malformed_events", true),
    ("model_served", "model_served", true),
    ("duration_ms", "duration_ms", true),
    ("ttft_ms", "ttft_ms", true),
    ("input_tokens", "input_tokens", true),
    ("output_tokens", "output_tokens", true),
    ("estimated", "estimated", true),
    ("cost", "cost", true),
    ("dropped", "dropped", true),
    ("failed_attempts", "failed_attempts", true),
    ("recovered", "recovered", true),
    ("upstream_model", "upstream_model", true),
    ("class", "class", true),
    ("field", "field", true),
    ("stale_so_far", "stale_so_far", true),
    ("signal", "signal", true),
    ("drops", "drops", true),
    ("reason", "reason", true),
    ("messages", "messages", false),
    ("response", "response", false),
    ("chunk", "chunk", false),
    // Names in the Python LLM Bridge.
    ("is_stream", "stream", true),
    ("status_code", "status", true),
    ("duration", "duration_ms", true),
    ("latency", "ttft_ms", true),
];

impl Default for Fields {
    fn default() -> Self {
        Self { shown: FIELDS.iter().filter(|(_, _, shown)| *shown).map(|(_, field, _)| *field).collect() }
    }
}

impl Fields {
    /// Whether records show this field.
    pub fn shows(&self, field: &str) -> bool {
        self.shown.contains(&field)
    }

    /// The fields that are written.
    pub fn all_shown(&self) -> &[&'static str] {
        &self.shown
    }

    fn switch(&mut self, field: &'static str, on: bool) {
        self.shown.retain(|shown| *shown != field);
        if on {
            self.shown.push(field);
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        let (format, level, fields) = (LogFormat::Json, LogLevel::Info, Fields::default());
        Self { format, level, console: true, file: None, exported: false, fields }
    }
}

impl Logging {
    /// Whether records of this level are written to the console.
    pub fn logs(&self, level: LogLevel) -> bool {
        self.console && level >= self.level
    }

    /// Whether records of this level are written to log files.
    pub fn files(&self, level: LogLevel) -> bool {
        self.file.is_some() && level >= self.level
    }

    /// Whether records of this level are exported to OpenTelemetry.
    pub fn exports(&self, level: LogLevel) -> bool {
        self.exported && level >= self.level
    }

    /// Whether records of this level are written anywhere.
    pub fn writes(&self, level: LogLevel) -> bool {
        self.logs(level) || self.files(level) || self.exports(level)
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["format", "level", "output", "fields"])?;
        let mut logging = Self::default();
        if let Some(format) = table.at("format").and_then(|node| node.choice(FORMATS)) {
            logging.format = format;
        }
        if let Some(level) = table.at("level").and_then(|node| node.choice(LEVELS)) {
            logging.level = level;
        }
        if let Some(node) = table.at("fields") {
            read_fields(&node, &mut logging.fields);
        }
        if let Some(output) = table.at("output").and_then(|node| node.table(&["file", "console"])) {
            logging.console = output.at("console").and_then(|node| node.flag()).unwrap_or(true);
            logging.file = output.at("file").and_then(|node| FileLog::read(&node));
        }
        Some(logging)
    }
}

/// The values of `format`.
pub(super) const FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("text", LogFormat::Text)];

/// The names that `fields` accepts.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _, _)| *name)
}

/// The values of `level`.
pub(super) const LEVELS: &[(&str, LogLevel)] = &[
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    ("warning", LogLevel::Warning),
    ("warn", LogLevel::Warning),
    ("error", LogLevel::Error),
    ("critical", LogLevel::Error),
];

fn read_fields(node: &Node<'_>, fields: &mut Fields) {
    let names: Vec<&str> = FIELDS.iter().map(|(name, _, _)| *name).collect();
    if node.table(&names).is_none() {
        return;
    }
    for (name, node) in node.entries().unwrap_or_default() {
        let field = FIELDS.iter().find(|(known, _, _)| *known == name).map(|(_, field, _)| *field);
        if let (Some(field), Some(on)) = (field, node.flag()) {
            fields.switch(field, on);
        }
    }
}
