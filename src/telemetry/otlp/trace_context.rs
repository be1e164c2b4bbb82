//! Trace contexts: reads and writes the header `traceparent` (<https://www.w3.org/TR/trace-context/>), and
//! names the spans of a request.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::trace_state::read_trace_state;

/// The id of a trace; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub(super) [u8; 16]);

/// The id of a span; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub(super) [u8; 8]);

/// The flag of a trace that its caller records.
const SAMPLED: u8 = 1;

/// A span of another service, or of ours, as the header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
    /// The flags, as they came. Bit 0: the caller records the trace.
    pub flags: u8,
}

impl TraceContext {
    /// Reads the header. `None` if it is malformed: a new trace begins then.
    pub fn read(header: &str) -> Option<Self> {
        let (version, rest) = header.trim().split_at_checked(2)?;
        let [version] = read_hex(version)?;
        // Version 0 has exactly these fields; a later one may have more.
        let (own, more) = rest.split_at_checked(53)?;
        let is_sound = if version == 0 { more.is_empty() } else { more.is_empty() || more.starts_with('-') };
        if version == u8::MAX || !is_sound {
            return None;
        }
        let mut fields = own.strip_prefix('-')?.split('-');
        let trace_id = read_hex::<16>(fields.next()?).filter(|id| *id != [0; 16])?;
        let span_id = read_hex::<8>(fields.next()?).filter(|id| *id != [0; 8])?;
        let [flags] = read_hex(fields.next()?)?;
        fields.next().is_none().then_some(Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), flags })
    }

    /// The value of the header.
    pub fn write(&self) -> String {
        format!("00-{}-{}-{:02x}", hex(&self.trace_id.0), hex(&self.span_id.0), self.flags & SAMPLED)
    }
}

/// The trace of one request, and the ids of its spans. The span of an attempt is known before the attempt
/// ends, so that its provider can be given it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTrace {
    /// The caller's span, if it sent one.
    pub parent: Option<SpanId>,
    /// The request's span.
    pub own: TraceContext,
    /// The caller's `tracestate`; empty if it sent none, or a malformed one. Providers never get it.
    pub state: String,
}

impl RequestTrace {
    /// The trace of a request: that of its caller, continued, or a new one. `random` is 24 random bytes.
    pub fn begin(caller: Option<&TraceContext>, random: [u8; 24]) -> Self {
        let new_trace = random.first_chunk::<16>().copied().filter(|id| *id != [0; 16]).unwrap_or([1; 16]);
        let new_span = random.last_chunk::<8>().copied().filter(|id| *id != [0; 8]).unwrap_or([1; 8]);
        let own = TraceContext {
            trace_id: caller.map_or(TraceId(new_trace), |caller| caller.trace_id),
            span_id: SpanId(new_span),
            flags: caller.map_or(SAMPLED, |caller| caller.flags & SAMPLED),
        };
        Self { parent: caller.map(|caller| caller.span_id), own, state: String::new() }
    }

    /// The same trace with its caller's `tracestate`.
    #[must_use]
    pub fn with_state(mut self, header: &str) -> Self {
        self.state = read_trace_state(header);
        self
    }

    /// The same trace, recorded although its caller does not record it.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.own.flags |= SAMPLED;
        self
    }

    /// Whether the trace is recorded. If its caller does not record it, spans here would have no parent.
    pub fn is_sampled(&self) -> bool {
        self.own.flags & SAMPLED != 0
    }

    /// The context of an attempt, counted from 0: what its provider may be given.
    pub fn attempt(&self, index: usize) -> TraceContext {
        let mut hash = Sha256::new();
        hash.update(self.own.trace_id.0);
        hash.update(self.own.span_id.0);
        hash.update((index as u64).to_be_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let id = digest.first_chunk::<8>().copied().filter(|id| *id != [0; 8]).unwrap_or([1; 8]);
        TraceContext { span_id: SpanId(id), ..self.own }
    }
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads exactly `N` bytes in lower-case hex.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != N * 2 || !text.bytes().all(is_hex) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_written() {
        let context = TraceContext::read(HEADER).unwrap();
        assert_eq!(context.write(), HEADER);
        assert_eq!(context.flags, 1);
        let later = TraceContext::read("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-will-be");
        assert_eq!(later, Some(context));
    }

    #[test]
    fn malformed_headers_begin_a_new_trace() {
        let malformed = [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-0f067aa0ba902b7-01",
            "é",
        ];
        for header in malformed {
            assert_eq!(TraceContext::read(header), None, "{header}");
        }
    }

    #[test]
    fn a_request_continues_the_trace_of_its_caller() {
        let caller = TraceContext::read(HEADER).unwrap();
        let trace = RequestTrace::begin(Some(&caller), [7; 24]);
        assert_eq!(trace.parent, Some(caller.span_id));
        assert_eq!(trace.own.trace_id, caller.trace_id);
        assert_eq!(trace.own.span_id, SpanId([7; 8]));
        assert!(trace.is_sampled());
    }

    #[test]
    fn a_caller_that_does_not_record_is_obeyed() {
        let caller = TraceContext::read(&HEADER.replace("-01", "-00")).unwrap();
        assert!(!RequestTrace::begin(Some(&caller), [7; 24]).is_sampled());
    }

    #[test]
    fn ids_are_never_zero_and_attempts_differ() {
        let trace = RequestTrace::begin(None, [0; 24]);
        assert_ne!(trace.own.trace_id, TraceId([0; 16]));
        assert_ne!(trace.own.span_id, SpanId([0; 8]));
        assert_ne!(trace.attempt(0).span_id, trace.attempt(1).span_id);
        assert_eq!(trace.attempt(1), trace.attempt(1));
        assert_eq!(trace.attempt(1).trace_id, trace.own.trace_id);
    }
}
