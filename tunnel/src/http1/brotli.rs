//! Brotli (RFC 7932), piece by piece.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// The first byte of a stream states the size of the window: these four bits the largest, 16 MiB.
const WINDOW_BITS: u8 = 0b1111;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There may be more, with more input or more room.
    Going,
    /// The stream is complete.
    End,
    /// It is none.
    Broken,
}

/// A stream under way. It holds as much memory as the content so far, and no more than 8 MiB.
pub struct Brotli(BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>);

impl Brotli {
    /// Before the first byte.
    pub fn new() -> Self {
        let alloc = StandardAlloc::default;
        // Strict: without the windows of up to 1 GiB that are no part of the RFC.
        Self(BrotliState::new_strict(alloc(), alloc(), alloc()))
    }

    /// Whether a stream that begins so asks for a window of 16 MiB.
    pub fn is_too_wide(first: u8) -> bool {
        first & WINDOW_BITS == WINDOW_BITS
    }

    /// Takes `input`, and fills `output`. Returns how many bytes of each.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> (usize, usize, Step) {
        let (mut left, mut taken, mut room, mut given, mut total) = (input.len(), 0, output.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room,
            &mut given,
            output,
            &mut total,
            &mut self.0,
        );
        let step = match result {
            BrotliResult::ResultSuccess => Step::End,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Step::Going,
            BrotliResult::ResultFailure => Step::Broken,
        };
        (taken, given, step)
    }
}
