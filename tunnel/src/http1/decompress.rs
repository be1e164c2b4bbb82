//! Responses that are compressed although `identity` was asked for: gzip (RFC 1952), deflate, which is zlib
//! (RFC 1950) or what some servers send by that name, a bare deflate stream (RFC 1951), and brotli (RFC
//! 7932).
//!
//! zstd is not undone. Of decoders in Rust, `ruzstd` would add 15 KB to the wasm, gzipped, but it gives
//! nothing before a frame has ended or its window is full, so that streams would stand still, and it writes
//! to raw memory: a fault in it would put keys and sessions of TLS beside it within a provider's reach. The
//! runtime does not undo zstd for direct calls either.

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use crate::fault::{Fault, FaultKind, printable};

use super::brotli::{Brotli, Step};
use super::crc32::Crc32;

/// The most bytes that one call gives.
const PIECE: usize = 64 << 10;
/// The most bytes of a gzip header: names and comments have no limit of their own.
const MAX_GZIP_HEADER: usize = 4 << 10;
const GZIP_TRAILER: usize = 8;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// gzip.
    Gzip,
    /// zlib, or bare deflate.
    Deflate,
    /// brotli.
    Brotli,
}

impl Coding {
    /// Reads all `content-encoding` headers. No coding is `None`.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamProtocol`] for codings that cannot be undone here.
    pub fn of(headers: &[(String, Vec<u8>)]) -> Result<Option<Self>, Fault> {
        let values = headers.iter().filter(|(name, _)| name == "content-encoding").map(|(_, value)| value);
        let mut coding = None;
        for element in values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii) {
            let next = match element.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Self::Gzip,
                b"deflate" => Self::Deflate,
                b"br" => Self::Brotli,
                _ => return Err(unsupported(element)),
            };
            if coding.replace(next).is_some() {
                return Err(unsupported(b"several codings"));
            }
        }
        Ok(coding)
    }
}

fn unsupported(coding: &[u8]) -> Fault {
    let coding = printable(coding);
    let message = format!("the provider compressed its response ({coding}) although it was asked not to");
    Fault::new(FaultKind::UpstreamProtocol, message)
}

fn broken(what: &str) -> Fault {
    Fault::new(FaultKind::UpstreamProtocol, format!("the provider's compressed response {what}"))
}

/// Decompresses one body piece by piece.
pub struct Decompressor {
    coding: Coding,
    state: State,
    engine: Engine,
    /// Input that is not used yet, from `at` on.
    input: Vec<u8>,
    at: usize,
    crc: Crc32,
    /// Bytes of this gzip member, modulo 2^32.
    member_length: u32,
    /// How many bytes may still be given.
    allowance: u64,
    /// Reported after the content before it.
    fault: Option<Fault>,
}

enum Engine {
    Inflate(Box<InflateState>),
    Brotli(Box<Brotli>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come.
    Start,
    Content,
    /// The checksum of a gzip member follows.
    GzipTrailer,
    /// A complete stream. Another gzip member may follow.
    End,
}

impl Decompressor {
    /// A decompressor that gives at most `limit` bytes.
    pub fn new(coding: Coding, limit: u64) -> Self {
        Self {
            coding,
            state: State::Start,
            engine: match coding {
                Coding::Gzip | Coding::Deflate => Engine::Inflate(InflateState::new_boxed(DataFormat::Raw)),
                Coding::Brotli => Engine::Brotli(Box::new(Brotli::new())),
            },
            input: Vec::new(),
            at: 0,
            crc: Crc32::new(),
            member_length: 0,
            allowance: limit,
            fault: None,
        }
    }

    /// Takes compressed bytes in.
    pub fn push(&mut self, input: &[u8]) {
        self.input.drain(..self.at);
        self.at = 0;
        self.input.extend_from_slice(input);
    }

    /// The next piece, of at most 64 KiB; `None` if it needs more input.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamProtocol`] for a broken stream, [`FaultKind::ResponseTooLarge`] past the limit.
    pub fn read(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        loop {
            if let Some(fault) = self.fault.take() {
                return Err(fault);
            }
            let is_ready = match self.state {
                State::Start => self.start()?,
                State::Content => {
                    let piece = self.unpack_piece();
                    if !piece.is_empty() {
                        return Ok(Some(piece));
                    }
                    self.state != State::Content || self.fault.is_some()
                }
                State::GzipTrailer => self.check_trailer()?,
                State::End if self.rest().is_empty() => false,
                State::End if self.coding == Coding::Gzip => {
                    self.state = State::Start;
                    true
                }
                State::End => return Err(broken("goes on after its end")),
            };
            if !is_ready {
                return Ok(None);
            }
        }
    }

    /// Checks that the body did not end in the middle. A body without any byte is empty.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamProtocol`].
    pub fn finish(&self) -> Result<(), Fault> {
        match self.state {
            State::Start | State::End if self.rest().is_empty() => Ok(()),
            _ => Err(broken("ends too early")),
        }
    }

    fn rest(&self) -> &[u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Passes over a header. Whether it was complete.
    fn start(&mut self) -> Result<bool, Fault> {
        let (length, format) = match self.coding {
            Coding::Gzip => match gzip_header(self.rest())? {
                Some(length) => (length, DataFormat::Raw),
                None if self.rest().len() > MAX_GZIP_HEADER => return Err(broken("has a header that does not end")),
                None => return Ok(false),
            },
            Coding::Deflate => match self.rest() {
                [first, second, ..] if is_zlib(*first, *second) => (0, DataFormat::Zlib),
                [_, _, ..] => (0, DataFormat::Raw),
                _ => return Ok(false),
            },
            Coding::Brotli => match self.rest() {
                [first, ..] if Brotli::is_too_wide(*first) => return Err(broken("needs a window of 16 MiB")),
                [_, ..] => (0, DataFormat::Raw),
                [] => return Ok(false),
            },
        };
        self.at += length;
        if let Engine::Inflate(inflate) = &mut self.engine {
            inflate.reset(format);
        }
        self.crc = Crc32::new();
        self.member_length = 0;
        self.state = State::Content;
        Ok(true)
    }

    fn unpack_piece(&mut self) -> Vec<u8> {
        let mut piece = vec![0; PIECE];
        let input = self.input.get(self.at..).unwrap_or_default();
        let (taken, given, step) = match &mut self.engine {
            Engine::Inflate(state) => inflate_step(state, input, &mut piece),
            Engine::Brotli(state) => state.step(input, &mut piece),
        };
        self.at += taken;
        piece.truncate(given);
        match step {
            Step::Going => {}
            Step::End if self.coding == Coding::Gzip => self.state = State::GzipTrailer,
            Step::End => self.state = State::End,
            Step::Broken => self.fault = Some(broken("is damaged")),
        }
        self.account(&mut piece);
        piece
    }

    /// Holds a piece to the limit, and takes it into the checksum.
    fn account(&mut self, piece: &mut Vec<u8>) {
        let permitted = usize::try_from(self.allowance).unwrap_or(usize::MAX);
        if piece.len() > permitted {
            piece.truncate(permitted);
            let message = "the provider's response is larger than permitted when decompressed";
            self.fault = Some(Fault::new(FaultKind::ResponseTooLarge, message));
        }
        self.allowance = self.allowance.saturating_sub(piece.len() as u64);
        if self.coding == Coding::Gzip {
            self.crc.update(piece);
            let [a, b, c, d, ..] = (piece.len() as u64).to_le_bytes();
            self.member_length = self.member_length.wrapping_add(u32::from_le_bytes([a, b, c, d]));
        }
    }

    fn check_trailer(&mut self) -> Result<bool, Fault> {
        let Some(trailer) = self.rest().first_chunk::<GZIP_TRAILER>() else { return Ok(false) };
        let expected = [self.crc.value().to_le_bytes(), self.member_length.to_le_bytes()].concat();
        if trailer[..] != expected[..] {
            return Err(broken("has a wrong checksum"));
        }
        self.at += GZIP_TRAILER;
        self.state = State::End;
        Ok(true)
    }
}

fn inflate_step(state: &mut InflateState, input: &[u8], piece: &mut [u8]) -> (usize, usize, Step) {
    let result = inflate(state, input, piece, MZFlush::None);
    let step = match result.status {
        Ok(MZStatus::StreamEnd) => Step::End,
        // The latter: nothing to do without more input.
        Ok(_) | Err(MZError::Buf) => Step::Going,
        Err(_) => Step::Broken,
    };
    (result.bytes_consumed, result.bytes_written, step)
}

/// RFC 1950 2.2.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;
const FLAGS_RESERVED: u8 = 0xe0;

/// The length of a gzip header, or nothing if it is not complete.
fn gzip_header(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    if !bytes.iter().zip([0x1f, 0x8b, 8]).all(|(byte, expected)| *byte == expected) {
        return Err(broken("is not gzip"));
    }
    let [_, _, _, flags, _, _, _, _, _, _, ..] = *bytes else { return Ok(None) };
    if flags & FLAGS_RESERVED != 0 {
        return Err(broken("is not gzip"));
    }
    let mut length = 10;
    if flags & FLAG_EXTRA != 0 {
        let Some([low, high]) = bytes.get(length..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
        length += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            let text = bytes.get(length..).unwrap_or_default();
            let Some(end) = text.iter().position(|byte| *byte == 0) else { return Ok(None) };
            length += end + 1;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        length += 2;
    }
    Ok((length <= bytes.len()).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    fn gzip(content: &[u8]) -> Vec<u8> {
        gzip_with(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], content)
    }

    fn gzip_with(header: &[u8], content: &[u8]) -> Vec<u8> {
        let mut crc = Crc32::new();
        crc.update(content);
        let length = u32::try_from(content.len()).unwrap();
        [header, &compress_to_vec(content, 6), &crc.value().to_le_bytes(), &length.to_le_bytes()].concat()
    }

    /// Decompresses pieces of `step` bytes.
    fn decompress(coding: Coding, bytes: &[u8], step: usize, limit: u64) -> Result<Vec<u8>, Fault> {
        let mut decompressor = Decompressor::new(coding, limit);
        let mut output = Vec::new();
        for piece in bytes.chunks(step.max(1)) {
            decompressor.push(piece);
            while let Some(piece) = decompressor.read()? {
                assert!(piece.len() <= PIECE);
                output.extend(piece);
            }
        }
        decompressor.finish().map(|()| output)
    }

    /// [`content`] by the reference implementation.
    const COUNTING: &[u8] = include_bytes!("../../tests/support/counting.br");
    /// 50 MiB of zeros, in 93 bytes.
    const ZEROS: &[u8] = include_bytes!("../../tests/support/zeros.br");

    fn content() -> Vec<u8> {
        (0..200_000u32).flat_map(|number| (number % 977).to_le_bytes()).collect()
    }

    #[test]
    fn all_forms_are_decompressed_in_any_pieces() {
        let content = content();
        let forms = [
            (Coding::Gzip, gzip(&content)),
            (Coding::Deflate, compress_to_vec_zlib(&content, 6)),
            (Coding::Deflate, compress_to_vec(&content, 6)),
            (Coding::Brotli, COUNTING.to_vec()),
        ];
        for (coding, bytes) in forms {
            for step in [1, 7, 1000, bytes.len()] {
                let output = decompress(coding, &bytes, step, u64::MAX).unwrap();
                assert!(output == content, "{coding:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn headers_and_members_of_gzip_are_passed_over() {
        let header = [&[0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3, 2, 0, 9, 9][..], b"name\0comment\0", &[0, 0]].concat();
        let bytes = [gzip_with(&header, b"hello "), gzip(b"world")].concat();
        for step in [1, bytes.len()] {
            assert_eq!(decompress(Coding::Gzip, &bytes, step, u64::MAX).unwrap(), b"hello world");
        }
        assert_eq!(decompress(Coding::Gzip, b"", 1, 0).unwrap(), b"", "an empty body");
        assert_eq!(decompress(Coding::Gzip, &gzip(b""), 1, 0).unwrap(), b"");
    }

    #[test]
    fn what_was_flushed_comes_at_once() {
        let bytes = compress_to_vec(b"data: 1\n\n", 0);
        let mut decompressor = Decompressor::new(Coding::Gzip, 100);
        decompressor.push(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        decompressor.push(bytes.get(..bytes.len() - 1).unwrap());
        assert_eq!(decompressor.read().unwrap().unwrap(), b"data: 1\n\n".get(..8).unwrap());
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 60_000);
        assert_eq!(decompress(Coding::Gzip, &bomb, 1 << 20, 1 << 20).unwrap_err().kind, FaultKind::ResponseTooLarge);
        assert!(decompress(Coding::Gzip, &gzip(&[0; 1000]), 1 << 20, 1000).is_ok(), "the limit itself is permitted");
        assert_eq!(decompress(Coding::Brotli, ZEROS, 1, 1 << 20).unwrap_err().kind, FaultKind::ResponseTooLarge);
        assert_eq!(decompress(Coding::Brotli, ZEROS, 1, 50 << 20).unwrap().len(), 50 << 20);
    }

    #[test]
    fn broken_streams_are_refused() {
        let whole = gzip(b"hello");
        let cut = &whole[..whole.len() - 1];
        let mut wrong = whole.clone();
        wrong[whole.len() - 8] ^= 1;
        let garbage = [&whole[..], b"x"].concat();
        let zlib = [&compress_to_vec_zlib(b"hello", 6)[..], b"x"].concat();
        for (coding, bytes) in [
            (Coding::Gzip, cut),
            (Coding::Gzip, &wrong),
            (Coding::Gzip, &garbage),
            (Coding::Gzip, b"hello world"),
            (Coding::Deflate, &zlib),
            (Coding::Deflate, b"x"),
            (Coding::Deflate, b"\xff\xff\xff\xff"),
        ] {
            let fault = decompress(coding, bytes, 1 << 20, u64::MAX).unwrap_err();
            assert_eq!(fault.kind, FaultKind::UpstreamProtocol, "{bytes:?}");
        }
    }

    #[test]
    fn the_dictionary_of_brotli_is_known() {
        let text = b"The quick time of the government and the information about their people, which should have been because of other national interests.";
        let bytes = [
            0x1b, 0x83, 0, 0x20, 0x8c, 0x94, 0xaa, 0xdb, 0xa3, 0xa4, 0x12, 0x43, 0xeb, 0x32, 0x10, 0x17, 0xb7, 0xa0,
            0xca, 0x81, 0x43, 0xb3, 0x3d, 0xb9, 0xe8, 0x49, 0x96, 0x19, 0x1d, 0x9c, 0x63, 0xa5, 0xcb, 0xf4, 0x61, 0xfc,
            0xac, 0xc8, 0xb4, 0xf2, 0x62, 0xb8, 0x1d, 0x80, 0xbd, 0xf5, 0xee, 3, 0x28, 0xd5, 0xf7, 0xc7, 0xbb, 0x45,
            0x98, 0xec, 0x55, 0x53, 0xf3, 0x0e,
        ];
        for step in [1, bytes.len()] {
            assert_eq!(decompress(Coding::Brotli, &bytes, step, 1000).unwrap(), text);
        }
        assert_eq!(decompress(Coding::Brotli, b"", 1, 0).unwrap(), b"", "an empty body");
    }

    #[test]
    fn brotli_that_was_changed_anywhere_is_refused_or_other_content() {
        let content = content();
        for at in 0..COUNTING.len() {
            assert!(decompress(Coding::Brotli, COUNTING.get(..at).unwrap(), 100, 1 << 20).is_err() || at == 0);
            let mut bytes = COUNTING.to_vec();
            bytes[at] ^= 0x55;
            let output = decompress(Coding::Brotli, &bytes, 100, 1 << 20);
            assert!(output.is_err() || output.is_ok_and(|output| output != content), "{at}");
        }
        let garbage = [COUNTING, b"x"].concat();
        assert!(decompress(Coding::Brotli, &garbage, 1 << 20, 1 << 20).is_err());
        let wide = decompress(Coding::Brotli, &[0x5f, 0x3f, 0x42, 0x8f], 4, 1 << 20).unwrap_err();
        assert!(wide.message.ends_with("needs a window of 16 MiB"));
    }

    #[test]
    fn codings_are_read() {
        let of = |values: &[&str]| {
            let header = |value: &&str| ("content-encoding".to_owned(), value.as_bytes().to_vec());
            Coding::of(&values.iter().map(header).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["identity"]), Ok(None));
        assert_eq!(of(&["X-GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(of(&["identity, deflate"]), Ok(Some(Coding::Deflate)));
        assert_eq!(of(&["br"]), Ok(Some(Coding::Brotli)));
        for values in [&["zstd"][..], &["gzip, br"], &["gzip", "deflate"]] {
            assert_eq!(of(values).unwrap_err().kind, FaultKind::UpstreamProtocol);
        }
    }
}
