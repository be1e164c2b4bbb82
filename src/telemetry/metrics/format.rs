//! The two text formats of metrics, and the choice between them by the header `accept`.

use serde::{Deserialize, Serialize};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpositionFormat {
    /// Prometheus' text format 0.0.4: the older one, and the default.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl ExpositionFormat {
    /// The value of the response header `content-type`. It never repeats what the client sent: Prometheus 3
    /// refuses types that it does not know.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How many elements of the header are read. Those of Prometheus have five.
const MAX_RANGES: usize = 32;

/// The format that a client prefers; of two that it likes equally, the first. What a header has beyond the
/// first `MAX_RANGES` elements is not read.
pub fn negotiate(accept: Option<&str>) -> ExpositionFormat {
    let mut best = (ExpositionFormat::Text, 0);
    for range in accept.unwrap_or_default().split(',').take(MAX_RANGES) {
        let weight = weight(range);
        if let Some(format) = offered(range)
            && weight > best.1
        {
            best = (format, weight);
        }
    }
    best.0
}

/// The format that an element of the header asks for, if it is one of ours.
fn offered(range: &str) -> Option<ExpositionFormat> {
    let version = parameter(range, "version");
    let name = range.split(';').next().unwrap_or_default().trim();
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let is_version = |known: &str| version.is_none_or(|version| version == known);
    if is("application/openmetrics-text") && is_version("1.0.0") {
        return Some(ExpositionFormat::OpenMetrics);
    }
    let is_text = is("text/*") || is("*/*") || (is("text/plain") && is_version("0.0.4"));
    is_text.then_some(ExpositionFormat::Text)
}

/// The weight of an element, in thousandths; 0 if it is malformed.
fn weight(range: &str) -> u32 {
    let Some(text) = parameter(range, "q") else { return 1_000 };
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{rest:0<3}");
    let thousandths = digits.get(..3).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    match whole {
        "0" => thousandths,
        "1" => 1_000,
        _ => 0,
    }
}

fn parameter<'r>(range: &'r str, name: &str) -> Option<&'r str> {
    let parameters = range.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut values = parameters.filter(|(own, _)| own.trim().eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::ExpositionFormat::{OpenMetrics, Text};
    use super::*;

    #[test]
    fn the_header_decides_and_the_older_format_is_the_default() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
            q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        let cases = [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html, application/xhtml+xml, */*;q=0.8"), Text),
            (Some("text/plain"), Text),
            (Some("application/openmetrics-text"), OpenMetrics),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"), OpenMetrics),
            (Some("application/openmetrics-text; version=2.0.0"), Text),
            (Some("application/openmetrics-text;q=0.4, text/plain;q=0.5"), Text),
            (Some("application/openmetrics-text;q=0.75, text/plain;q=0.5"), OpenMetrics),
            (Some("application/openmetrics-text;q=0"), Text),
            (Some("TEXT/PLAIN; version=0.0.4, application/openmetrics-text;q=0.9"), Text),
            (Some("application/openmetrics-text;q=é"), Text),
            (Some(prometheus), OpenMetrics),
        ];
        for (accept, format) in cases {
            assert_eq!(negotiate(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn of_a_long_header_the_beginning_is_read() {
        let late = |others: usize| [&"text/html,".repeat(others), "application/openmetrics-text"].concat();
        assert_eq!(negotiate(Some(&late(MAX_RANGES - 1))), OpenMetrics);
        assert_eq!(negotiate(Some(&late(MAX_RANGES))), Text);
    }
}
