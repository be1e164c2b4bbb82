//! The end of a client's stream.

use super::shown::Recovered;
use super::writer::ResponseWriter;
use crate::formats::UsageReport;

/// The bytes that a client still has to get when its stream has ended.
pub(super) struct StreamTail {
    pub(super) bytes: Vec<u8>,
    /// The usage, if it was withheld for the cost to be added to it.
    pub(super) withheld_usage: Option<Vec<u8>>,
    pub(super) is_complete: bool,
    pub(super) writer: ResponseWriter,
}

impl StreamTail {
    /// Leaves the bytes out: what they tell is not true.
    pub(super) fn withhold(&mut self) {
        self.bytes.clear();
    }

    /// How the response went on that an attempt had left unfinished, if it did.
    pub(super) fn recovered(&self) -> Option<Recovered> {
        self.writer.recovered()
    }

    /// The bytes. `cost`: in dollars, if it is known.
    pub(super) fn into_bytes(mut self, cost: Option<&str>) -> Vec<u8> {
        if let Some(json) = &self.withheld_usage {
            let cost = cost.unwrap_or("null");
            let report = UsageReport { json, cost, is_complete: self.is_complete };
            self.writer.insert_cost(report, &mut self.bytes);
        }
        self.bytes
    }
}
