//! Server-sent events (WHATWG HTML §9.2): bytes in any cutting to events, and events to bytes. It does not know what the data mean.

/// An event longer than this is skipped; it would otherwise be held in memory for as long as the sender likes. In bytes.
pub const MAX_EVENT: usize = 8 << 20;

/// What stands between two empty lines: an event, or only comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'b> {
    /// The very bytes, the empty line included; nothing if the reader does not keep them.
    pub raw: &'b [u8],
    /// The event's data; `None` if there are no data lines.
    pub data: Option<&'b [u8]>,
}

/// Reads blocks from bytes as they come, however they are cut.
#[derive(Default)]
pub struct Reader {
    /// A line whose end has not come yet.
    line: Vec<u8>,
    /// The data lines of a block whose end has not come yet.
    data: Vec<u8>,
    has_data: bool,
    /// A line of a block has come, of whatever kind.
    in_block: bool,
    keeps_raw: bool,
    raw: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// A block whose bytes are kept is complete, but for that LF.
    complete: bool,
    started: bool,
    skipping: bool,
    skipped: u32,
}

impl Reader {
    /// A reader that keeps the very bytes of each block.
    pub fn keeping_raw() -> Self {
        Self { keeps_raw: true, ..Self::default() }
    }

    /// Takes more bytes and hands on each block that they complete.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut impl FnMut(Block<'_>)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) {
                let pair = first == b'\n';
                bytes = self.consume(bytes, usize::from(pair));
                if std::mem::take(&mut self.complete) {
                    self.dispatch(each);
                }
                if pair {
                    continue;
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.hold(bytes);
                self.consume(bytes, bytes.len());
                return;
            };
            let (line, rest) = bytes.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            bytes = self.consume(bytes, end + 1);
            self.end_line(line, each);
        }
    }

    /// The stream has ended: hands on a block that was complete but for its empty line.
    pub fn finish(&mut self, each: &mut impl FnMut(Block<'_>)) {
        if !self.line.is_empty() {
            self.end_line(&[], each);
        }
        self.dispatch(each);
    }

    /// Whether the bytes so far end between two events.
    pub fn is_between_events(&self) -> bool {
        self.line.is_empty() && !self.in_block
    }

    /// Events skipped because they were longer than [`MAX_EVENT`].
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Takes `count` bytes off, and gives the rest.
    fn consume<'b>(&mut self, bytes: &'b [u8], count: usize) -> &'b [u8] {
        let (taken, rest) = bytes.split_at_checked(count).unwrap_or((bytes, &[]));
        if self.keeps_raw && !self.skipping {
            self.raw.extend_from_slice(taken);
        }
        rest
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > MAX_EVENT {
            self.skip();
            // What follows up to the line's end is no field.
            self.line.push(b':');
            return;
        }
        self.line.extend_from_slice(bytes);
    }

    fn skip(&mut self) {
        self.skipping = true;
        self.line.clear();
        self.data.clear();
        self.raw.clear();
    }

    fn end_line(&mut self, tail: &[u8], each: &mut impl FnMut(Block<'_>)) {
        if self.line.is_empty() {
            return self.take_line(tail, each);
        }
        self.hold(tail);
        let line = std::mem::take(&mut self.line);
        self.take_line(&line, each);
    }

    fn take_line(&mut self, mut line: &[u8], each: &mut impl FnMut(Block<'_>)) {
        if !std::mem::replace(&mut self.started, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            self.complete = self.after_cr && self.keeps_raw;
            if !self.complete {
                self.dispatch(each);
            }
            return;
        }
        self.in_block = true;
        let Some(value) = line.strip_prefix(b"data") else { return };
        match value.split_first() {
            None => self.add_data(&[]),
            Some((b':', value)) => self.add_data(value.strip_prefix(b" ").unwrap_or(value)),
            Some(_) => {}
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        if self.data.len() + value.len() > MAX_EVENT {
            self.skip();
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Block<'_>)) {
        let has_data = std::mem::take(&mut self.has_data);
        self.in_block = false;
        if std::mem::take(&mut self.skipping) {
            self.skipped += 1;
        } else if has_data || !self.raw.is_empty() {
            each(Block { raw: &self.raw, data: has_data.then_some(self.data.as_slice()) });
        }
        self.data.clear();
        self.raw.clear();
    }
}

/// A piece of a stream with other data, where `change` gives some, in each event that it holds whole. All else stays as it is.
pub fn rewrite(piece: &[u8], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let (mut reader, mut out) = (Reader::keeping_raw(), Vec::with_capacity(piece.len()));
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

/// Writes one event. `data` must hold no line end, as JSON text without indentation never does.
pub fn write(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = Vec::new();
        let mut each =
            |block: Block<'_>| events.extend(block.data.map(|data| String::from_utf8_lossy(data).into_owned()));
        let mut reader = Reader::default();
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
        let text = b": hi\r\n\r\ndata: 1\n\n\nevent: x\rdata: 2\r\rdata: 3";
        for cut in 0..text.len() {
            let mut raw = Vec::new();
            let mut each = |block: Block<'_>| raw.extend_from_slice(block.raw);
            let mut reader = Reader::keeping_raw();
            let (head, tail) = text.split_at(cut);
            reader.push(head, &mut each);
            reader.push(tail, &mut each);
            reader.finish(&mut each);
            assert_eq!(raw, text, "cut at {cut}");
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
    fn an_event_without_bounds_is_skipped_and_counted() {
        let mut reader = Reader::default();
        let mut events = 0;
        let mut each = |_: Block<'_>| events += 1;
        reader.push(b"data: ", &mut each);
        let megabyte = vec![b'x'; 1 << 20];
        (0..20).for_each(|_| reader.push(&megabyte, &mut each));
        reader.push(b"\n\ndata: 1\n\n", &mut each);
        assert_eq!(reader.skipped(), 1);
        assert_eq!(events, 1);
    }
}
