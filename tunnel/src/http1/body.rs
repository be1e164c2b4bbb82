//! A body without its framing: by length, in chunks, or until the connection closes (RFC 9112 6 and 7).

use crate::fault::Fault;

use super::head::{Framing, malformed};

/// The most bytes of a line with a chunk's size, extensions included.
const MAX_CHUNK_LINE: usize = 1024;
/// The most bytes of all trailers.
const MAX_TRAILERS: usize = 16 << 10;
/// The most digits of a chunk's size: it fits into 60 bits.
const MAX_SIZE_DIGITS: usize = 15;

/// Removes the framing of one body.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// So many bytes are left.
    Length(u64),
    /// In a line with a size; what has come of it.
    Size(Vec<u8>),
    /// So many bytes of the chunk are left.
    Chunk(u64),
    /// After a chunk: the carriage return, then the line feed.
    ChunkReturn,
    ChunkFeed,
    /// In the trailers.
    Trailer(Trailer),
    UntilClose,
    Done,
}

/// A place in the trailers.
#[derive(Debug, Default)]
struct Trailer {
    /// Bytes of all trailers so far.
    total: usize,
    /// Bytes of this line, without its end.
    line: usize,
    after_return: bool,
}

impl BodyDecoder {
    /// A decoder for a body that is delimited so.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(Vec::new()),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the end of the connection ends the body.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Appends the content of `input` to `output`. Bytes after the end of the body are ignored: the
    /// connection serves one exchange.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamProtocol`](crate::fault::FaultKind::UpstreamProtocol). Content before the fault
    /// has been appended.
    pub fn decode(&mut self, mut input: &[u8], output: &mut Vec<u8>) -> Result<(), Fault> {
        while !input.is_empty() {
            input = match &mut self.state {
                State::Done => return Ok(()),
                State::UntilClose => {
                    output.extend_from_slice(input);
                    return Ok(());
                }
                State::Length(left) | State::Chunk(left) => {
                    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                    let (content, rest) = input.split_at(count);
                    output.extend_from_slice(content);
                    *left -= count as u64;
                    if *left == 0 {
                        self.state =
                            if matches!(self.state, State::Chunk(_)) { State::ChunkReturn } else { State::Done };
                    }
                    rest
                }
                State::Size(_) => self.read_size(input)?,
                State::ChunkReturn => self.expect(input, b'\r', State::ChunkFeed)?,
                State::ChunkFeed => self.expect(input, b'\n', State::Size(Vec::new()))?,
                State::Trailer(_) => self.read_trailer(input)?,
            };
        }
        Ok(())
    }

    fn expect<'a>(&mut self, input: &'a [u8], expected: u8, next: State) -> Result<&'a [u8], Fault> {
        match input.split_first() {
            Some((byte, rest)) if *byte == expected => {
                self.state = next;
                Ok(rest)
            }
            _ => Err(malformed("a chunk is longer than its size")),
        }
    }

    fn read_size<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Fault> {
        let State::Size(line) = &mut self.state else { return Ok(input) };
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        if line.len() + part.len() > MAX_CHUNK_LINE {
            return Err(malformed("the line with a chunk's size does not end"));
        }
        line.extend_from_slice(part);
        if end.is_some() {
            let size = chunk_size(line).ok_or_else(|| malformed("a chunk's size is not a hexadecimal number"))?;
            self.state = if size == 0 { State::Trailer(Trailer::default()) } else { State::Chunk(size) };
        }
        Ok(rest)
    }

    fn read_trailer<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Fault> {
        let State::Trailer(trailer) = &mut self.state else { return Ok(input) };
        let Some((byte, rest)) = input.split_first() else { return Ok(input) };
        trailer.total += 1;
        if trailer.total > MAX_TRAILERS {
            return Err(malformed("the trailers do not end"));
        }
        match (byte, trailer.after_return) {
            (b'\n', true) if trailer.line == 0 => self.state = State::Done,
            (b'\n', true) => {
                trailer.line = 0;
                trailer.after_return = false;
            }
            (b'\r', false) => trailer.after_return = true,
            (b'\n' | b'\r', _) | (_, true) => return Err(malformed("a trailer has a stray line break")),
            (_, false) => trailer.line += 1,
        }
        Ok(rest)
    }
}

/// The size in a whole line: hexadecimal digits, and extensions after a semicolon, which are ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return None;
    }
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let is_number = (1..=MAX_SIZE_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    is_number.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;

    fn decode(framing: Framing, input: &[u8]) -> Result<(Vec<u8>, bool), Fault> {
        let mut decoder = BodyDecoder::new(framing);
        let mut output = Vec::new();
        decoder.decode(input, &mut output)?;
        Ok((output, decoder.is_done()))
    }

    fn done(content: &str) -> Result<(Vec<u8>, bool), Fault> {
        Ok((content.as_bytes().to_vec(), true))
    }

    #[test]
    fn bytes_are_counted() {
        assert_eq!(decode(Framing::Length(5), b"helloHTTP"), done("hello"));
        assert_eq!(decode(Framing::Length(5), b"hel"), Ok((b"hel".to_vec(), false)));
        assert_eq!(decode(Framing::Length(0), b""), done(""));
        assert_eq!(decode(Framing::Empty, b"x"), done(""));
        assert_eq!(decode(Framing::UntilClose, b"hello"), Ok((b"hello".to_vec(), false)));
    }

    #[test]
    fn chunks_are_joined() {
        let body = b"5\r\nhello\r\nA;x=\"y\" \r\n, chunked \r\n00\r\nTrailer: x\r\n\r\nrest";
        assert_eq!(decode(Framing::Chunked, body), done("hello, chunked "));
        assert_eq!(decode(Framing::Chunked, b"0\r\n\r\n"), done(""));
        assert_eq!(decode(Framing::Chunked, b"0\r\n\r").map(|(_, done)| done), Ok(false));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        let line = format!("5;{}\r\n", "x".repeat(MAX_CHUNK_LINE));
        let trailers = format!("0\r\nx: {}", "y".repeat(MAX_TRAILERS));
        for body in [
            "\r\n",
            "-1\r\n",
            "+5\r\nhello",
            "0x5\r\nhello",
            " 5\r\nhello",
            "5 5\r\nhello",
            "5\nhello",
            "5;\u{0}\r\nhello",
            "5;a\rb\r\nhello",
            "1234567890abcdef\r\n",
            "5\r\nhello!",
            "5\r\nhello\n0\r\n\r\n",
            "0\r\nx: y\n\r\n",
            "0\r\nx\ry\r\n\r\n",
            "0\r\n\n",
            &line,
            &trailers,
        ] {
            let fault = decode(Framing::Chunked, body.as_bytes()).unwrap_err();
            assert_eq!(fault.kind, FaultKind::UpstreamProtocol, "{body:?}");
        }
    }
}
