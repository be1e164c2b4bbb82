//! Heads of responses: status, headers, and how the body is delimited (RFC 9112 6.3).

use crate::fault::{Fault, FaultKind, printable};

/// The most headers of a response.
const MAX_HEADERS: usize = 128;

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// After a chunk of length 0 and the trailers.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// A final response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// 200 to 599.
    pub status: u16,
    /// Names in lower case, without those that concern this connection only.
    pub headers: Vec<(String, Vec<u8>)>,
    /// How its body ends.
    pub framing: Framing,
}

/// Where a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadEnd {
    /// Its length, with the empty line.
    At(usize),
    /// Not yet. The next search may begin at this position.
    Missing(usize),
}

/// Looks for the empty line that ends a head, from position `from` on.
pub fn find_head_end(bytes: &[u8], from: usize) -> HeadEnd {
    let rest = bytes.get(from..).unwrap_or_default();
    match rest.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => HeadEnd::At(from + at + 4),
        None => HeadEnd::Missing(bytes.len().saturating_sub(3).max(from)),
    }
}

/// Whether bytes are, or may become, a response in HTTP/1.
pub fn is_http(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected)
}

/// Headers that concern one connection (RFC 9110 7.6.1). They end here.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads one whole head. An interim response (1xx) is `None`.
///
/// # Errors
/// [`FaultKind::UpstreamProtocol`].
pub fn parse_head(bytes: &[u8], is_head_request: bool) -> Result<Option<ResponseHead>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return Err(malformed("its head has an empty line in the middle")),
        Err(error) => return Err(malformed(&format!("its head: {error}"))),
    }
    let status = response.code.unwrap_or(0);
    match status {
        // A change of protocol was not asked for.
        101 => return Err(malformed("status 101 without a request for it")),
        100..=199 => return Ok(None),
        200..=599 => {}
        _ => return Err(malformed(&format!("status {status}"))),
    }
    let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        headers.push((header.name.to_ascii_lowercase(), header.value.to_vec()));
    }
    let framing = framing(status, &headers, is_head_request, response.version)?;
    headers.retain(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()));
    if framing == Framing::Chunked {
        headers.retain(|(name, _)| name != "content-length");
    }
    Ok(Some(ResponseHead { status, headers, framing }))
}

fn framing(
    status: u16,
    headers: &[(String, Vec<u8>)],
    is_head_request: bool,
    version: Option<u8>,
) -> Result<Framing, Fault> {
    let encodings = elements(headers, "transfer-encoding");
    let lengths = elements(headers, "content-length");
    if is_head_request || matches!(status, 204 | 304) {
        return Ok(Framing::Empty);
    }
    if !encodings.is_empty() {
        // HTTP/1.0 has no transfer codings: a length that two parties may see differently.
        if version == Some(0) {
            return Err(malformed("transfer-encoding in HTTP/1.0"));
        }
        return match encodings.as_slice() {
            [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            other => Err(malformed(&format!("transfer-encoding {}", printable(&other.join(&b", "[..]))))),
        };
    }
    let Some(first) = lengths.first() else { return Ok(Framing::UntilClose) };
    let value = length_of(first).ok_or_else(|| malformed("content-length is not a number"))?;
    if lengths.iter().any(|other| length_of(other) != Some(value)) {
        return Err(malformed("content-length has two values"));
    }
    Ok(Framing::Length(value))
}

/// The elements of all headers of a name, which may be lists.
fn elements<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Vec<&'a [u8]> {
    let values = headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_slice());
    values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii).collect()
}

fn length_of(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

pub(super) fn malformed(what: &str) -> Fault {
    Fault::new(FaultKind::UpstreamProtocol, format!("the provider's response is not valid HTTP/1.1: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<Option<ResponseHead>, Fault> {
        let bytes = head.replace('\n', "\r\n");
        assert_eq!(find_head_end(bytes.as_bytes(), 0), HeadEnd::At(bytes.len()));
        parse_head(bytes.as_bytes(), false)
    }

    fn framing_of(head: &str) -> Framing {
        parse(head).unwrap().unwrap().framing
    }

    #[test]
    fn a_body_is_delimited_as_the_rfc_says() {
        assert_eq!(framing_of("HTTP/1.1 200 OK\ncontent-length: 5\n\n"), Framing::Length(5));
        assert_eq!(framing_of("HTTP/1.1 200 OK\ncontent-length: 5\nContent-Length: 5, 5\n\n"), Framing::Length(5));
        assert_eq!(framing_of("HTTP/1.1 200 OK\nTransfer-Encoding:  Chunked \n\n"), Framing::Chunked);
        assert_eq!(framing_of("HTTP/1.1 200\n\n"), Framing::UntilClose);
        assert_eq!(framing_of("HTTP/1.1 204 No\ncontent-length: 5\n\n"), Framing::Empty);
        assert_eq!(framing_of("HTTP/1.1 304 No\ntransfer-encoding: chunked\n\n"), Framing::Empty);
        let head = parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", true).unwrap().unwrap();
        assert_eq!(head.framing, Framing::Empty, "of a HEAD request");
        assert_eq!(head.headers, [("content-length".to_owned(), b"5".to_vec())]);
    }

    #[test]
    fn chunked_beats_a_length_which_is_dropped() {
        let head = parse("HTTP/1.1 200 OK\ncontent-length: 5\ntransfer-encoding: chunked\nx: y\n\n").unwrap().unwrap();
        assert_eq!(head.framing, Framing::Chunked);
        assert_eq!(head.headers, [("x".to_owned(), b"y".to_vec())]);
    }

    #[test]
    fn headers_of_the_connection_end_here() {
        let head = parse("HTTP/1.1 200 OK\nConnection: close\nKeep-Alive: x\nA: \u{e9}\n\n").unwrap().unwrap();
        assert_eq!(head.headers, [("a".to_owned(), "\u{e9}".as_bytes().to_vec())]);
    }

    #[test]
    fn ambiguous_and_malformed_heads_are_refused() {
        for head in [
            "HTTP/1.1 200 OK\ncontent-length: 5\ncontent-length: 6\n\n",
            "HTTP/1.1 200 OK\ncontent-length: 5, 6\n\n",
            "HTTP/1.1 200 OK\ncontent-length: +5\n\n",
            "HTTP/1.1 200 OK\ncontent-length: 0x5\n\n",
            "HTTP/1.1 200 OK\ncontent-length:\n\n",
            "HTTP/1.1 200 OK\ncontent-length: 99999999999999999999\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: gzip, chunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: chunked, chunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: chunked\ntransfer-encoding: chunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding: xchunked\n\n",
            "HTTP/1.1 200 OK\ntransfer-encoding:\n\n",
            "HTTP/1.0 200 OK\ntransfer-encoding: chunked\n\n",
            "HTTP/1.1 200 OK\ncontent-length : 5\n\n",
            "HTTP/1.1 200 OK\nx: y\n folded\n\n",
            "HTTP/1.1 200 OK\nno colon\n\n",
            "HTTP/1.1 200 OK\nx: \u{0}\n\n",
            "HTTP/1.1 20 OK\n\n",
            "HTTP/1.1 700 OK\n\n",
            "HTTP/1.1 101 Switching\n\n",
        ] {
            assert_eq!(parse(head).unwrap_err().kind, FaultKind::UpstreamProtocol, "{head:?}");
        }
    }

    #[test]
    fn lines_that_end_in_a_line_feed_alone_do_not_end_a_head() {
        assert_eq!(find_head_end(b"HTTP/1.1 200 OK\n\n", 0), HeadEnd::Missing(14));
        let smuggled = b"HTTP/1.1 200 OK\n\nHTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(parse_head(smuggled, false).unwrap_err().kind, FaultKind::UpstreamProtocol);
    }

    #[test]
    fn an_interim_response_is_none() {
        assert_eq!(parse("HTTP/1.1 103 Early Hints\nlink: x\n\n").unwrap(), None);
    }
}
