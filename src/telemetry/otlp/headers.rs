//! The headers of export requests, as the variable that holds them spells them: `key=value,key=value`, values
//! percent-encoded, as in `OTEL_EXPORTER_OTLP_HEADERS`
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables>).

use percent_encoding::percent_decode_str;

/// Headers that the sender sets itself.
const OWN: &[&str] = &["connection", "content-length", "content-type", "host", "transfer-encoding"];

/// A member that is no header: its place in the list, counted from 1. Its text may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFault(pub usize);

/// Reads headers, their names in lower case. Spaces around names and values do not count.
///
/// # Errors
/// The first member that is no header.
pub fn read_headers(text: &str) -> Result<Vec<(String, String)>, HeaderFault> {
    let members = text.split(',').enumerate().filter(|(_, member)| !member.trim().is_empty());
    members.map(|(index, member)| read_header(member).ok_or(HeaderFault(index + 1))).collect()
}

fn read_header(member: &str) -> Option<(String, String)> {
    let (name, value) = member.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let is_value = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_name && is_value && !OWN.contains(&name.as_str())).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_official_variable_spells_them() {
        let headers = read_headers("Authorization=Basic%20dTpw==, x-scope-OrgID = 7 ,").unwrap();
        let expected = [("authorization", "Basic dTpw=="), ("x-scope-orgid", "7")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read_headers(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_header_is_named_by_its_place() {
        for text in ["a", "=b", "a b=c", "a=%0A", "a=é", "a=%ff", "content-type=x", "Host=x"] {
            assert_eq!(read_headers(&format!("ok=1,{text}")), Err(HeaderFault(2)), "{text}");
        }
    }
}
