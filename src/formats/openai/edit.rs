//! The edits that make a client's request ready for a provider of this format.

use crate::formats::bounds::{self, Edit};
use crate::wire::json::Document;

/// Asks for the usage, if that is wanted, and makes the edits of all formats.
pub(super) fn apply(document: &mut Document<'_>, edit: &Edit<'_>) {
    if edit.asks_for_usage {
        ask_for_usage(document);
    }
    bounds::apply_edit(document, edit);
}

/// Asks for a last chunk with the usage of a stream, whatever else `stream_options` say.
fn ask_for_usage(document: &mut Document<'_>) {
    let options = document.value("stream_options").filter(|raw| raw.starts_with('{')).unwrap_or("{}").to_owned();
    let Ok(mut options) = Document::read(options.as_bytes()) else { return };
    options.set("include_usage", "true");
    // A field of this gateway's, which no provider knows.
    options.remove("include_cost");
    let options = String::from_utf8_lossy(&options.render()).into_owned();
    document.set("stream_options", options);
}
