//! The reasoning state of other providers, which the gateway has sealed, as a signature that clients carry. Clients
//! read it as bytes, so it is base64.

use std::borrow::Cow;

use crate::wire::base64;
use crate::wire::json::Document;

/// What sets the gateway's own signatures apart from a provider's.
const MARK: &[u8] = b"lb-v1:";

/// How they begin, as values in JSON. Their provider cannot read them.
pub(super) const PLACEHOLDER_PREFIX: &str = "\"bGItdjE6";

/// Writes the sealed state of a call, and the call's id, which not every client keeps.
pub(super) fn signature(id: &str, sealed: &str) -> Option<String> {
    let length = u16::try_from(id.len()).ok()?.to_be_bytes();
    let sealed = base64::decode(sealed)?;
    Some(base64::encode(&[MARK, &length, id.as_bytes(), &sealed].concat()))
}

/// Reads a call's id and its sealed state from a signature; `None` for a provider's own.
pub(super) fn read_signature(signature: &str) -> Option<(String, String)> {
    // Some clients write base64 for URLs.
    let standard = if signature.contains(['-', '_']) {
        Cow::Owned(signature.replace('-', "+").replace('_', "/"))
    } else {
        Cow::Borrowed(signature)
    };
    let bytes = base64::decode(&standard)?;
    let (length, rest) = bytes.strip_prefix(MARK)?.split_first_chunk()?;
    let (id, sealed) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((String::from_utf8(id.to_vec()).ok()?, base64::encode(sealed)))
}

/// Whether a client carries signatures. One that drops them shows it by calls without any in its conversation.
pub(super) fn carries_state(document: &Document<'_>) -> bool {
    let has = |text: &str| memchr::memmem::find(document.bytes(), text.as_bytes()).is_some();
    has(PLACEHOLDER_PREFIX) || !(has("\"functionCall\"") || has("\"function_call\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_comes_back_in_both_alphabets_and_a_providers_own_does_not() {
        for id in ["call_1", "", "é\"."] {
            let sealed = base64::encode(&[255, 254, 251, 0]);
            let written = signature(id, &sealed).unwrap();
            assert!(format!("\"{written}").starts_with(PLACEHOLDER_PREFIX));
            let expected = Some((id.to_owned(), sealed));
            assert_eq!(read_signature(&written), expected);
            assert_eq!(read_signature(&written.replace('+', "-").replace('/', "_").replace('=', "")), expected);
        }
        for foreign in ["", "c2ln", "bGItdjE6", "bGItdjE6//8=", "bGItdjE6AAH/", "?"] {
            assert_eq!(read_signature(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_client_that_drops_signatures_is_known_by_its_calls() {
        for (body, carries) in [
            (r#"{"contents":[{"parts":[{"text":"\"functionCall\""}]}]}"#, true),
            (r#"{"contents":[{"parts":[{"functionCall":{}}]}]}"#, false),
            (r#"{"contents":[{"parts":[{"function_call":{},"thought_signature":"c2tpcA=="}]}]}"#, false),
            (r#"{"contents":[{"parts":[{"functionCall":{},"thoughtSignature":"bGItdjE6AAA="}]}]}"#, true),
        ] {
            assert_eq!(carries_state(&Document::read(body.as_bytes()).unwrap()), carries, "{body}");
        }
    }
}
