//! What is logged, and how: levels, formats and the fields of a record.

use super::yaml::Node;

/// How grave a record is, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Each piece of a stream.
    Debug,
    /// Each request.
    Info,
    /// What deserves a look.
    Warning,
    /// What failed.
    Error,
}

impl LogLevel {
    /// As it stands in a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The shape of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One flat JSON object on a line.
    Json,
    /// A line for people.
    Text,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The shape of a record.
    pub format: LogFormat,
    /// The least grave level logged.
    pub level: LogLevel,
    /// Whether records go to the console.
    pub console: bool,
    /// Which fields a record has.
    pub fields: Fields,
}

/// Which fields a record has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    shown: Vec<&'static str>,
}

/// Every name that `logging.fields` may hold, the field it means, and whether that is shown unless the file says otherwise.
/// What people said, and what they were told, is not.
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
    ("messages", "messages", false),
    ("response", "response", false),
    ("chunk", "chunk", false),
    // Names of earlier versions.
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
    /// Whether a record shows this field.
    pub fn shows(&self, field: &str) -> bool {
        self.shown.contains(&field)
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
        Self { format: LogFormat::Json, level: LogLevel::Info, console: true, fields: Fields::default() }
    }
}

impl Logging {
    /// Whether a record of this level is written.
    pub fn logs(&self, level: LogLevel) -> bool {
        self.console && level >= self.level
    }

    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let table = node.table(&["format", "level", "output", "fields"])?;
        let mut logging = Self::default();
        let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
        if let Some(format) = table.at("format").and_then(|node| node.choice(&formats)) {
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
            if let Some(file) = output.at("file") {
                check_file(&file);
            }
        }
        Some(logging)
    }
}

const LEVELS: &[(&str, LogLevel)] = &[
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

fn check_file(node: &Node<'_>) {
    let Some(table) = node.table(&["path", "max_size", "backup_count"]) else { return };
    table.at("path").and_then(|node| node.text());
    table.at("max_size").and_then(|node| node.count(0));
    table.at("backup_count").and_then(|node| node.count(0));
    node.note("a Worker has no files: this is accepted, but not active; records go to the console");
}
