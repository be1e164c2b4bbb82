//! The reasoning state that clients carry in `encrypted_content`: sealed by the gateway, one for each call.

use std::borrow::Cow;

use crate::wire::base64;

/// What sets the gateway's own apart from that of other services.
const PREFIX: &str = "lb1.";

/// The beginning of the gateway's own as JSON, by which a body is known to hold some.
pub(crate) const PLACEHOLDER_PREFIX: &str = "\"lb1.";

/// Whether the gateway sealed a content itself.
pub(crate) fn is_sealed_here(content: &str) -> bool {
    content.starts_with(PREFIX)
}

/// Writes the sealed states of calls: of each its call's id and the sealed text, which are separated by dots
/// and written in base64.
pub(crate) fn write_sealed<'s>(states: impl IntoIterator<Item = (&'s str, &'s str)>) -> String {
    let states = states.into_iter().map(|(id, sealed)| format!("{}.{sealed}", base64::encode(id.as_bytes())));
    format!("{PREFIX}{}", states.collect::<Vec<_>>().join("."))
}

/// Reads the states that the gateway sealed; none of what others wrote.
pub(super) fn read_sealed<'a>(content: &str) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let Some(list) = content.strip_prefix(PREFIX) else { return Vec::new() };
    let mut pieces = list.split('.');
    let mut states = Vec::new();
    while let (Some(id), Some(sealed)) = (pieces.next(), pieces.next()) {
        let Some(id) = base64::decode(id).and_then(|id| String::from_utf8(id).ok()) else { continue };
        states.push((Cow::Owned(id), Cow::Owned(sealed.to_owned())));
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_come_back_and_those_of_others_do_not() {
        let states = [("call_1", "c2VhbGVk"), ("", "AA==")];
        let expected: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            states.iter().map(|(id, sealed)| ((*id).into(), (*sealed).into())).collect();
        let written = write_sealed(states);
        assert_eq!(read_sealed(&written), expected);
        assert!(format!("\"{written}").starts_with(PLACEHOLDER_PREFIX) && is_sealed_here(&written));
        for foreign in ["", "gAAAAABo", "lb1.", "lb1.?.x", "lb1.AA", "lb1...."] {
            assert!(read_sealed(foreign).iter().all(|(id, sealed)| id.is_empty() && sealed.is_empty()), "{foreign}");
        }
    }
}
