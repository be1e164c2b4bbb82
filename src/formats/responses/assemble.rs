//! A whole response from the events of a stream: the last event holds it, but for the items with some hosts.

use super::wire::fields::Fields as Members;
use crate::error::{Error, Result};
use crate::formats::assemble::{EventFold, Fields, Rule, Rules, Size, Value, malformed};

/// The last event replaces what came before.
const RESPONSE: Rules = Rules { known: &[], other: Rule::Last };

/// The response so far.
#[derive(Default)]
pub(super) struct ResponseFold {
    fields: Fields,
    /// The items that are done, as JSON, and their length.
    items: Vec<Value>,
    length: usize,
    has_ended: bool,
}

impl EventFold for ResponseFold {
    fn event(&mut self, data: &[u8]) -> Result<()> {
        if self.has_ended || data == b"[DONE]" {
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|_| malformed())?;
        let mut event = Members::read(text, &"").map_err(|_| malformed())?;
        match event.word("type").as_deref() {
            Some("response.output_item.done") => {
                let item = event.take("item").ok_or_else(malformed)?.get();
                self.length = self.length.saturating_add(item.len());
                self.items.push(Value::copy(item));
            }
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                let response = event.take("response").ok_or_else(malformed)?;
                self.fields.merge(response.get(), &RESPONSE).ok_or_else(malformed)?;
                self.has_ended = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn size(&self) -> Size {
        self.fields.size().plus(Size { bytes: self.length, nodes: self.items.len() })
    }

    fn into_response(mut self) -> Result<Fields> {
        if !self.has_ended {
            let message = "The provider answered with a stream that holds no response.";
            return Err(Error::upstream(502, "upstream_invalid_response", message));
        }
        let is_bare = self.fields.json("output").is_none_or(|output| matches!(output, "[]" | "null"));
        if is_bare {
            self.fields.set("output", Value::List(self.items));
        }
        Ok(self.fields)
    }
}
