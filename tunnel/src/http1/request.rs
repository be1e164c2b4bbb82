//! Heads and bodies of requests, as they are written.

use crate::fault::{Fault, FaultKind};
use crate::target::Target;

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none, and none is usual.
    None,
    /// So many bytes.
    Known(u64),
    /// Unknown: it is sent in chunks.
    Chunked,
}

/// What the request line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestForm<'a> {
    /// The path: the connection leads to the provider.
    Origin,
    /// The whole URL: the proxy forwards the request, and may want this `proxy-authorization`.
    Absolute(Option<&'a str>),
}

/// Headers of the caller that are not passed on: they concern a connection, or are written here.
const OWN: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Writes the head of a request.
///
/// # Errors
/// [`FaultKind::InvalidCall`] for a method, a name or a value with characters that would change the head.
pub fn encode_head(
    method: &str,
    target: &Target,
    form: RequestForm<'_>,
    headers: &[(String, String)],
    length: BodyLength,
) -> Result<Vec<u8>, Fault> {
    if !is_token(method) {
        return Err(invalid("the method is not a token"));
    }
    let resource = match form {
        RequestForm::Origin => target.path.clone(),
        RequestForm::Absolute(_) => target.absolute_form(),
    };
    let mut head = Vec::with_capacity(1024);
    head.extend_from_slice(format!("{method} {resource} HTTP/1.1\r\n").as_bytes());
    push(&mut head, "host", target.authority.as_bytes());
    // The provider is not asked to close the connection, which carries one request and is closed when its
    // response is complete: some proxies drop what they have not yet sent when the provider closes.
    push(&mut head, "accept-encoding", b"identity");
    if let RequestForm::Absolute(Some(credentials)) = form {
        push(&mut head, "proxy-authorization", credentials.as_bytes());
    }
    match length {
        BodyLength::None => {}
        BodyLength::Known(length) => push(&mut head, "content-length", length.to_string().as_bytes()),
        BodyLength::Chunked => push(&mut head, "transfer-encoding", b"chunked"),
    }
    for (name, value) in headers {
        if !is_token(name) {
            return Err(invalid("the name of a header is not a token"));
        }
        if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        let value =
            latin1(value).ok_or_else(|| invalid(&format!("the header {name} has a value that cannot be sent")))?;
        push(&mut head, name, &value);
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn push(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Writes one chunk of a body. Nothing is nothing: an empty chunk would end the body.
pub fn encode_chunk(content: &[u8], output: &mut Vec<u8>) {
    if content.is_empty() {
        return;
    }
    output.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
    output.extend_from_slice(content);
    output.extend_from_slice(b"\r\n");
}

/// The end of a body in chunks.
pub fn last_chunk() -> &'static [u8] {
    b"0\r\n\r\n"
}

/// RFC 9110 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A value as JavaScript's `Headers` hold it: one byte a character, without line breaks and NUL.
fn latin1(value: &str) -> Option<Vec<u8>> {
    let bytes = value.chars().map(|character| u8::try_from(u32::from(character)).ok());
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    let bytes = bytes.trim_ascii().to_vec();
    (!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))).then_some(bytes)
}

fn invalid(what: &str) -> Fault {
    Fault::new(FaultKind::InvalidCall, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(form: RequestForm<'_>, headers: &[(&str, &str)], length: BodyLength) -> Result<String, Fault> {
        let target = Target::parse("http://api.example:8080/v1?x").unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let head = encode_head("POST", &target, form, &headers, length)?;
        Ok(head.iter().map(|byte| char::from(*byte)).collect())
    }

    #[test]
    fn a_head_is_written() {
        let head =
            encode(RequestForm::Origin, &[("Authorization", "Bearer x"), ("X", " caf\u{e9} ")], BodyLength::Known(5));
        let expected = "POST /v1?x HTTP/1.1\r\nhost: api.example:8080\r\naccept-encoding: identity\r\n\
            content-length: 5\r\nAuthorization: Bearer x\r\nX: caf\u{e9}\r\n\r\n";
        assert_eq!(head.unwrap(), expected);
    }

    #[test]
    fn a_forwarding_proxy_is_told_the_whole_url() {
        let head = encode(RequestForm::Absolute(Some("Basic eA==")), &[], BodyLength::Chunked).unwrap();
        assert!(head.starts_with("POST http://api.example:8080/v1?x HTTP/1.1\r\nhost: api.example:8080\r\n"), "{head}");
        assert!(head.contains("\r\nproxy-authorization: Basic eA==\r\n"));
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"));
    }

    #[test]
    fn headers_of_the_connection_are_not_passed_on() {
        let headers: Vec<(&str, &str)> = OWN.iter().map(|name| (*name, "caller")).collect();
        let head = encode(RequestForm::Origin, &headers, BodyLength::None).unwrap();
        assert!(!head.contains("caller"), "{head}");
    }

    #[test]
    fn nothing_can_be_added_to_a_head() {
        for header in [
            ("a", "b\r\nc: d"),
            ("a", "b\nc"),
            ("a", "b\0"),
            ("a: b\r\nc", "d"),
            ("", "x"),
            ("a b", "x"),
            ("a", "\u{4e2d}"),
        ] {
            let fault = encode(RequestForm::Origin, &[header], BodyLength::None).unwrap_err();
            assert_eq!(fault.kind, FaultKind::InvalidCall, "{header:?}");
        }
        let target = Target::parse("http://a/").unwrap();
        assert!(encode_head("GET / HTTP/1.1\r\nx:", &target, RequestForm::Origin, &[], BodyLength::None).is_err());
    }

    #[test]
    fn an_empty_chunk_does_not_end_the_body() {
        let mut output = Vec::new();
        encode_chunk(b"", &mut output);
        encode_chunk(&[b'x'; 26], &mut output);
        assert_eq!(output, [b"1a\r\n", &[b'x'; 26][..], b"\r\n"].concat());
    }
}
