//! Reads and writes server-sent events (WHATWG HTML §9.2). A stream may be cut into chunks anywhere.

use std::ops::Range;

/// The longest event that is read, in bytes. A longer one is passed on in pieces, marked as oversized.
pub const MAX_EVENT: usize = 16 << 20;

/// The most objects, and members of objects, in the JSON of an event: each takes many times the memory of its
/// shortest text.
const MAX_OBJECTS: usize = 20_000;
const MAX_EVENT_MEMBERS: usize = 100_000;

/// A buffer longer than this, in bytes, is freed after its event. A shorter event cannot have too many
/// members.
const MAX_KEPT_BUFFER: usize = 64 << 10;

/// The lines between two empty lines: an event, or lines without data. Also a comment between two events, or
/// a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'b> {
    /// The original bytes, including the empty line. Empty if the reader does not keep them.
    pub raw: &'b [u8],
    /// The event's data; `None` without data lines.
    pub data: Option<&'b [u8]>,
    /// Whether the block belongs to an event that is too large to be read. If the reader keeps bytes, the
    /// rest of the event follows in further oversized blocks.
    pub oversized: bool,
    /// Whether it is a comment between events, or a piece of one.
    comment: bool,
}

impl Block<'_> {
    /// Whether the block is a comment between events, a piece of one, or an empty line.
    pub fn is_comment(&self) -> bool {
        let is_empty = matches!(self.raw.first(), None | Some(b'\n' | b'\r'));
        self.comment || (self.data.is_none() && !self.oversized && is_empty)
    }
}

/// The position of a reader in its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ReadState {
    /// Between two blocks, or in the first line of one.
    #[default]
    Between,
    /// In a block, after its first line.
    Inside,
    /// In a comment between two blocks, whose bytes are passed on as they come.
    Comment,
    /// In a block that is too long, whose bytes are passed on as they come.
    Oversized,
}

/// Reads blocks from chunks of a stream.
#[derive(Default)]
pub struct SseReader {
    state: ReadState,
    /// The bytes of the unfinished block.
    block: Vec<u8>,
    /// The start of the current line in `block`.
    line: usize,
    /// Whether any byte of the current line has come.
    in_line: bool,
    /// The value of the first data line in `block`.
    data: Option<Range<usize>>,
    /// Whether the block has further data lines.
    has_more: bool,
    /// Whether [`Block::raw`] is filled.
    keeps_raw: bool,
    /// Whether the last byte was a CR: a following LF belongs to the same line end.
    after_cr: bool,
    /// Whether the block is complete but for that LF, which is kept with it.
    complete: bool,
    /// Whether the first line has ended: only that one may begin with a byte order mark.
    started: bool,
    /// The number of oversized events.
    oversized: u32,
}

/// The data of the first event that has any, if a body is a stream of events.
pub fn first_data(body: &[u8]) -> Option<Vec<u8>> {
    let begins = body.trim_ascii_start();
    if !["data:", "event:", ":", "id:", "retry:"].iter().any(|field| begins.starts_with(field.as_bytes())) {
        return None;
    }
    let (mut reader, mut found) = (SseReader::default(), None);
    let mut take = |block: Block<'_>| found = found.take().or_else(|| block.data.map(<[u8]>::to_vec));
    reader.push(begins, &mut take);
    reader.finish(&mut take);
    found
}

impl SseReader {
    /// A reader that passes on the original bytes of each block.
    pub fn keeping_raw() -> Self {
        Self { keeps_raw: true, ..Self::default() }
    }

    /// Reads a chunk and passes each block that it completes to `each`.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Block<'_>)) {
        while let Some((&first, after)) = bytes.split_first() {
            let pair = std::mem::take(&mut self.after_cr) && first == b'\n';
            if pair {
                bytes = after;
                self.block.push(b'\n');
            }
            if std::mem::take(&mut self.complete) {
                self.emit(each);
            } else if pair && self.state == ReadState::Inside {
                self.line = self.block.len();
            } else if pair {
                self.emit_partial(each);
            }
            if pair {
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else { return self.append(bytes, each) };
            let (line, rest) = bytes.split_at(end);
            self.append(line, each);
            let (end, rest) = rest.split_at_checked(1).unwrap_or_default();
            self.block.extend_from_slice(end);
            self.after_cr = end == b"\r";
            bytes = rest;
            self.end_line(end.len(), each);
        }
    }

    /// Ends the stream and passes on the last block, if only its empty line is missing.
    pub fn finish(&mut self, each: &mut impl FnMut(Block<'_>)) {
        if self.in_line {
            self.end_line(0, each);
        }
        if self.state == ReadState::Inside || self.complete {
            self.emit(each);
        }
    }

    /// Whether the stream so far ends between two events.
    pub fn is_between_events(&self) -> bool {
        self.state == ReadState::Between && !self.in_line
    }

    /// Whether what comes next is a block of its own, and nothing of an earlier one is kept.
    pub fn is_at_start(&self) -> bool {
        self.is_between_events() && !self.after_cr && !self.complete && self.block.is_empty()
    }

    /// Whether part of an unfinished event or comment has been passed on already.
    pub fn is_passing(&self) -> bool {
        self.state == ReadState::Oversized || (self.state == ReadState::Comment && self.in_line)
    }

    /// The bytes of the unfinished block that have not been passed on.
    pub fn pending(&self) -> &[u8] {
        &self.block
    }

    /// The number of events that were too large to be read.
    pub fn oversized(&self) -> u32 {
        self.oversized
    }

    /// Appends bytes to the current line.
    fn append(&mut self, bytes: &[u8], each: &mut impl FnMut(Block<'_>)) {
        if bytes.is_empty() {
            return;
        }
        self.in_line = true;
        if self.block.len() > MAX_KEPT_BUFFER && self.block.capacity() - self.block.len() < bytes.len() {
            // Grows by a quarter. A vector would double its capacity.
            self.block.reserve_exact(bytes.len().max(self.block.len() / 4));
        }
        self.block.extend_from_slice(bytes);
        if self.state == ReadState::Between && self.line_text(0).first() == Some(&b':') {
            self.state = ReadState::Comment;
        }
        if matches!(self.state, ReadState::Comment | ReadState::Oversized) {
            self.emit_partial(each);
        } else if self.block.len() > MAX_EVENT {
            self.oversized = self.oversized.saturating_add(1);
            self.state = ReadState::Oversized;
            let raw = if self.keeps_raw { self.block.as_slice() } else { &[] };
            each(Block { raw, data: None, oversized: true, comment: false });
            self.clear();
        }
    }

    /// The current line without its end of `end` bytes, and without the byte order mark of the first line.
    fn line_text(&self, end: usize) -> &[u8] {
        let line = self.block.get(self.line..self.block.len().saturating_sub(end)).unwrap_or_default();
        if self.started { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) }
    }

    /// Ends the current line, whose line end has `end` bytes.
    fn end_line(&mut self, end: usize, each: &mut impl FnMut(Block<'_>)) {
        let has_bytes = std::mem::take(&mut self.in_line);
        match self.state {
            ReadState::Comment => {
                self.emit_partial(each);
                self.state = ReadState::Between;
            }
            ReadState::Oversized => {
                self.emit_partial(each);
                self.state = if has_bytes { ReadState::Oversized } else { ReadState::Between };
            }
            ReadState::Between | ReadState::Inside if self.line_text(end).is_empty() => {
                self.complete = self.after_cr && self.keeps_raw;
                if !self.complete {
                    self.emit(each);
                }
            }
            ReadState::Between | ReadState::Inside => self.read_field(end),
        }
        self.started = true;
    }

    /// Reads a line of a block, whose line end has `end` bytes.
    fn read_field(&mut self, end: usize) {
        self.state = ReadState::Inside;
        if let Some(length) = data_value(self.line_text(end)).map(<[u8]>::len) {
            let stop = self.block.len().saturating_sub(end);
            match self.data {
                None => self.data = Some(stop.saturating_sub(length)..stop),
                Some(_) => self.has_more = true,
            }
        }
        self.line = self.block.len();
    }

    /// Passes on the finished block.
    fn emit(&mut self, each: &mut impl FnMut(Block<'_>)) {
        (self.state, self.complete) = (ReadState::Between, false);
        let (first, has_more) = (self.data.take(), std::mem::take(&mut self.has_more));
        let raw = if self.keeps_raw { self.block.as_slice() } else { &[] };
        let joined = if has_more { first.clone().map(|first| join_data(&self.block, first)) } else { None };
        let data = joined.as_deref().or_else(|| self.block.get(first?));
        let oversized = data.is_some_and(is_dense);
        self.oversized = self.oversized.saturating_add(u32::from(oversized));
        if data.is_some() || !raw.is_empty() {
            each(Block { raw, data: if oversized { None } else { data }, oversized, comment: false });
        }
        self.clear();
    }

    /// Passes on bytes of an unfinished comment or oversized event.
    fn emit_partial(&mut self, each: &mut impl FnMut(Block<'_>)) {
        if self.keeps_raw && !self.block.is_empty() {
            let (oversized, comment) = (self.state == ReadState::Oversized, self.state == ReadState::Comment);
            each(Block { raw: &self.block, data: None, oversized, comment });
        }
        self.clear();
    }

    fn clear(&mut self) {
        (self.line, self.data, self.has_more) = (0, None, false);
        if self.block.capacity() > MAX_KEPT_BUFFER { self.block = Vec::new() } else { self.block.clear() }
    }
}

/// The value of a data line.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(b"data")?.split_first() {
        None => Some(&[]),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

/// The length of the event that these bytes begin with, including its empty line; all of them if it does not
/// end.
pub fn event_length(bytes: &[u8]) -> usize {
    for at in memchr::memchr_iter(b'\n', bytes) {
        match bytes.get(at.saturating_add(1)..) {
            Some([b'\n', ..]) => return at.saturating_add(2),
            Some([b'\r', b'\n', ..]) => return at.saturating_add(3),
            _ => {}
        }
    }
    bytes.len()
}

/// Joins the values of a block's data lines. `first` is the range of the first value.
fn join_data(block: &[u8], first: Range<usize>) -> Vec<u8> {
    let rest = block.get(first.end..).unwrap_or_default();
    let mut joined = Vec::with_capacity(block.len());
    joined.extend_from_slice(block.get(first).unwrap_or_default());
    for value in rest.split(|byte| matches!(byte, b'\n' | b'\r')).filter_map(data_value) {
        joined.push(b'\n');
        joined.extend_from_slice(value);
    }
    joined
}

/// Whether data, parsed as JSON, would take far more memory than their length. Long texts and images do not.
fn is_dense(data: &[u8]) -> bool {
    data.len() > MAX_KEPT_BUFFER
        && (memchr::memchr_iter(b'{', data).count() > MAX_OBJECTS
            || memchr::memmem::find_iter(data, b"\":").count() > MAX_EVENT_MEMBERS)
}

/// Replaces the data of complete events in a piece of a stream where `change` returns new data. All other
/// bytes stay as they are.
pub fn rewrite(piece: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let (mut reader, mut out) = (SseReader::keeping_raw(), Vec::with_capacity(piece.len()));
    let mut each = |block: Block<'_>| match block.data.and_then(&change) {
        None => out.extend_from_slice(block.raw),
        Some(data) => {
            let lines = block.raw.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
            lines.filter(|line| !line.starts_with(b"data")).for_each(|line| out.extend_from_slice(line));
            write(&data, &mut out);
        }
    };
    reader.push(piece, &mut each);
    reader.finish(&mut each);
    out
}

/// Whether a body is a stream of events, whatever its content type says. JSON begins otherwise.
pub fn is_stream(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    [&b"data:"[..], b"event:", b"id:", b"retry:", b":"].iter().any(|field| body.starts_with(field))
}

/// Writes one event. `data` must not contain a line end; compact JSON never does.
pub fn write(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_the_first_event_is_found() {
        let found = |body: &str| first_data(body.as_bytes()).map(|data| String::from_utf8(data).unwrap());
        assert_eq!(found("\nevent: error\ndata: {\"a\":1}\n\ndata: b\n\n").as_deref(), Some("{\"a\":1}"));
        assert_eq!(found(": waiting\n\ndata: {}").as_deref(), Some("{}"));
        assert_eq!([found("{\"error\":1}"), found(": nothing\n"), found("data is missing")], [None, None, None]);
    }

    #[test]
    fn a_stream_is_told_from_a_document() {
        for stream in ["data: {}", "\n\nevent: x\ndata: 1", ": hi", "id:1"] {
            assert!(is_stream(stream.as_bytes()), "{stream}");
        }
        for other in ["", "{\"data\":1}", "[1]", "data", "<html>", "\"data:\""] {
            assert!(!is_stream(other.as_bytes()), "{other}");
        }
    }

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = Vec::new();
        let mut each =
            |block: Block<'_>| events.extend(block.data.map(|data| String::from_utf8_lossy(data).into_owned()));
        let mut reader = SseReader::default();
        chunks.iter().for_each(|chunk| reader.push(chunk, &mut each));
        reader.finish(&mut each);
        events
    }

    #[test]
    fn all_spellings_of_an_event() {
        let text = b"\xef\xbb\xbf: hello\n\nevent: x\ndata:no space\nid: 7\n\ndata: two\r\ndata: lines\r\n\r\ndata\n\ndatum: 1\n\ndata: last";
        let expected = ["no space", "two\nlines", "", "last"];
        assert_eq!(read(&[text]), expected);
        for cut in 0..text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(read(&[head, tail]), expected, "cut at {cut}");
        }
        assert_eq!(read(&text.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn raw_blocks_are_the_stream_itself() {
        let text = b": hi\r\n\r\ndata: 1\n\n\n:\nevent: x\r: no\rdata: 2\r\rid: 4\r\n\r\n\r\n:last\ndata: 3";
        for cut in 0..text.len() {
            let mut raw = Vec::new();
            let mut each = |block: Block<'_>| raw.extend_from_slice(block.raw);
            let mut reader = SseReader::keeping_raw();
            let (head, tail) = text.split_at(cut);
            reader.push(head, &mut each);
            reader.push(tail, &mut each);
            reader.finish(&mut each);
            assert_eq!(String::from_utf8_lossy(&raw), String::from_utf8_lossy(text), "cut at {cut}");
        }
    }

    #[test]
    fn events_are_rewritten_and_all_else_stays() {
        let change = |data: &[u8]| (data == b"2").then(|| b"two".to_vec());
        let text = b": hi\n\ndata: 1\n\nevent: x\ndata: 2\nid: 7\n\ndata: 3\r\n\r\ndata: cut";
        let expected = b": hi\n\ndata: 1\n\nevent: x\nid: 7\ndata: two\n\ndata: 3\r\n\r\ndata: cut";
        assert_eq!(rewrite(text, change), expected);
        assert_eq!(rewrite(text, |_| None), text);
    }

    #[test]
    fn an_event_that_is_too_long_is_marked_and_its_bytes_are_passed_on() {
        for keeps_raw in [false, true] {
            let mut reader = SseReader { keeps_raw, ..SseReader::default() };
            let (mut raw, mut parts, mut events, mut most) = (0, 0, 0, 0);
            let mut each = |block: Block<'_>| {
                raw += block.raw.len();
                parts += usize::from(block.oversized);
                events += usize::from(block.data.is_some());
            };
            let megabyte = vec![b'x'; 1 << 20];
            reader.push(b": c\ndata: ", &mut each);
            for _ in 0..20 {
                reader.push(&megabyte, &mut each);
                most = most.max(reader.pending().len());
            }
            assert!(reader.is_passing() && !reader.is_between_events() && most <= MAX_EVENT + megabyte.len());
            reader.push(b"\ndata: y\n\ndata: 1\n\n", &mut each);
            assert!(!reader.is_passing() && reader.is_between_events());
            assert_eq!((reader.oversized(), events), (1, 1));
            assert_eq!(parts > 1, keeps_raw);
            assert_eq!(raw, if keeps_raw { (20 << 20) + 29 } else { 0 });
        }
    }

    #[test]
    fn comments_and_line_ends_without_end_are_not_kept() {
        for piece in [": c\n".as_bytes(), b"\r", b"\n\n", b"\r\n", b":"] {
            let mut reader = SseReader::keeping_raw();
            let flood = piece.repeat(1000);
            let (mut raw, mut comments) = (0, true);
            for _ in 0..100 {
                reader.push(&flood, &mut |block| {
                    raw += block.raw.len();
                    comments &= block.is_comment() || raw > 1;
                });
                assert!(reader.pending().len() <= piece.len());
            }
            assert!(comments && raw + 1 >= flood.len() * 100, "{piece:?}");
        }
    }

    #[test]
    fn data_that_would_take_far_more_memory_than_its_length_is_not_read() {
        let read = |data: &str| {
            let mut blocks = Vec::new();
            SseReader::default().push(format!("data: {data}\n\n").as_bytes(), &mut |block| {
                blocks.push((block.data.is_some(), block.oversized));
            });
            blocks
        };
        assert_eq!(read(&format!("[{}]", "{},".repeat(30_000))), [(false, true)]);
        assert_eq!(read(&format!("{{{}}}", "\"\":1,".repeat(110_000))), [(false, true)]);
        assert_eq!(read(&format!("{{\"a\":\"{}\"}}", "B, c: ".repeat(200_000))), [(true, false)]);
    }
}
