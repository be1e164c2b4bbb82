//! How streams are cut into events.

use serde_json::Value;

use super::{same, streams};

#[test]
fn data_need_no_space_after_the_colon() {
    for (provider, stream) in streams() {
        same(provider, &stream, &stream.replace("data: ", "data:"), "no space");
    }
}

#[test]
fn lines_may_end_as_they_like() {
    for (provider, stream) in streams() {
        same(provider, &stream, &stream.replace('\n', "\r\n"), "CR LF");
        same(provider, &stream, &stream.replace('\n', "\r"), "CR");
        same(provider, &stream, &format!("\u{feff}{stream}"), "a byte order mark");
        same(provider, &stream, stream.trim_end(), "a last line without an end");
    }
}

#[test]
fn other_fields_and_comments_do_not_hide_an_event() {
    for (provider, stream) in streams() {
        let dressed = stream.replace("data: ", ": hello\nid: 7\nretry: 10\nnew-field\nevent: x\ndata: ");
        same(provider, &stream, &dressed, "fields");
    }
}

#[test]
fn an_event_may_have_many_lines_of_data() {
    for (provider, stream) in streams() {
        let spread = |line: &str| {
            let data = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
            let pretty = data.map(|data| serde_json::to_string_pretty(&data).unwrap());
            pretty.map_or(line.to_owned(), |text| format!("data: {}", text.replace('\n', "\ndata: ")))
        };
        let lines: Vec<String> = stream.split('\n').map(spread).collect();
        same(provider, &stream, &lines.join("\n"), "many lines");
    }
}

#[test]
fn a_ping_is_no_word_and_ends_nothing() {
    for (provider, stream) in streams() {
        let ping = if provider == "anthropic" { "event: ping\ndata: {\"type\":\"ping\"}\n\n" } else { ": ping\n\n" };
        let pinged: String = stream.split_inclusive("\n\n").map(|event| format!("{event}{ping}")).collect();
        same(provider, &stream, &pinged, "pings");
    }
}

#[test]
fn an_event_that_cannot_be_read_does_not_end_the_stream() {
    for (provider, stream) in streams() {
        let spoilt = stream.replacen("\n\n", "\n\ndata: {oops\n\n", 1);
        same(provider, &stream, &spoilt, "a malformed event");
    }
}
