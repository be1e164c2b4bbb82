//! Refuses requests for what a provider has stored: all callers share its key, so it may be another caller's.

use serde_json::value::RawValue;

use super::super::wire::fields::Fields;
use super::items::reference;
use super::read::refuse_state;
use crate::canonical::text_of;
use crate::error::Result;
use crate::wire::json::Document;
use crate::wire::list;

/// Refuses what needs responses to be stored, or done in the background.
///
/// # Errors
/// 400 naming the field, or the item.
pub(crate) fn refuse_stored(document: &Document<'_>) -> Result<()> {
    refuse_state(document)?;
    let (mut number, mut refused) = (0_usize, Ok(()));
    // What is no list is a text, or is refused elsewhere.
    let _ = list::each(document.value("input").unwrap_or_default(), |item: &RawValue| {
        if is_reference(item.get()) {
            refused = Err(reference(&format_args!("input[{number}]")));
        }
        number = number.saturating_add(1);
        refused.is_ok()
    });
    refused
}

/// Whether an item is a reference: by its type, also if that stands there twice, or because it has none and no role.
pub(crate) fn is_reference(item: &str) -> bool {
    let Ok(mut fields) = Fields::read(item, &"") else { return false };
    let is_named = fields.values("type").any(|kind| text_of(kind).is_some_and(|kind| kind == "item_reference"));
    is_named || fields.take("type").is_none() && fields.take("role").is_none() && fields.take("id").is_some()
}
