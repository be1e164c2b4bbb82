//! The edits that make a client's request ready for a provider of this format.

use crate::formats::bounds::{self, Edit};
use crate::wire::json::Document;

/// Makes the edits that formats share, and requests the usage of a stream if the gateway needs it.
pub(super) fn apply(document: &mut Document<'_>, edit: &Edit<'_>) {
    if edit.asks_for_usage {
        ask_for_usage(document);
    }
    bounds::apply_edit(document, edit);
}

/// Requests a last chunk with the usage of a stream. Other fields of `stream_options` stay as they are.
fn ask_for_usage(document: &mut Document<'_>) {
    let options = document.value("stream_options").filter(|raw| raw.starts_with('{')).unwrap_or("{}").to_owned();
    let Ok(mut options) = Document::read(options.as_bytes()) else { return };
    options.set("include_usage", "true");
    // A field of the gateway, unknown to providers.
    options.remove("include_cost");
    let options = String::from_utf8_lossy(&options.render()).into_owned();
    document.set("stream_options", options);
}
