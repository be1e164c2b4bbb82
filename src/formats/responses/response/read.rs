//! Reads a provider's whole response.

use super::super::errors::read_in_success;
use super::super::wire::fields::{Fields, each};
use super::events::EventReader;
use crate::error::{Error, Result};
use crate::formats::stream::EventSink;

/// Reads a whole response that came with a success status.
///
/// # Errors
/// 502 if the body is not a response; the error's own status if it reports one.
pub(crate) fn read(body: &[u8], emit: EventSink<'_>) -> Result<()> {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let invalid = || {
        let message = "The provider answered with a success status, but its body is not a response.";
        Error::upstream(502, "upstream_invalid_response", message)
    };
    let mut response = Fields::read(text, &"").map_err(|_| invalid())?;
    let Some(output) = response.take("output") else {
        return Err(if response.has("error") { read_in_success(body) } else { invalid() });
    };
    let mut reader = EventReader::default();
    reader.start(&mut response, emit);
    each(output.get(), &"", |_, mut item: Fields<'_>| {
        reader.whole(&mut item, emit);
        Ok(())
    })
    .map_err(|_| invalid())?;
    reader.finish(&mut response, emit);
    Ok(())
}
