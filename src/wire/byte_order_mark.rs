//! The byte order mark of UTF-8, which some senders put before JSON and event streams. Readers pass over it
//! (RFC 8259 §8.1; WHATWG HTML §9.2.5), and nothing is sent on with it: not all SDKs can read it.

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes the mark from the beginning of a body. Returns whether there was one.
pub fn drop_byte_order_mark(body: &mut Vec<u8>) -> bool {
    let has_mark = body.starts_with(MARK);
    if has_mark {
        body.drain(..MARK.len());
    }
    has_mark
}

/// Removes the mark from the beginning of a stream, which may be cut anywhere.
#[derive(Debug, Default)]
pub struct ByteOrderMarkFilter {
    /// How much of the mark has come; beyond its length when the stream has begun.
    matched: usize,
}

impl ByteOrderMarkFilter {
    /// The bytes without those of the mark.
    pub fn pass<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while let Some(expected) = MARK.get(self.matched) {
            let Some((first, rest)) = bytes.split_first() else { return bytes };
            if first != expected {
                self.matched = MARK.len();
                break;
            }
            (bytes, self.matched) = (rest, self.matched + 1);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_removed_once_wherever_the_stream_is_cut() {
        let stream = [MARK, MARK, b"data: 1"].concat();
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let mut filter = ByteOrderMarkFilter::default();
                let cut = [&stream[..first], &stream[first..second], &stream[second..]];
                let passed: Vec<u8> = cut.iter().flat_map(|piece| filter.pass(piece).to_vec()).collect();
                assert_eq!(passed, stream[MARK.len()..], "{first} {second}");
            }
        }
        assert_eq!(ByteOrderMarkFilter::default().pass(b"data"), b"data");
        let mut body = MARK.to_vec();
        assert_eq!((drop_byte_order_mark(&mut body), drop_byte_order_mark(&mut body), body.len()), (true, false, 0));
    }
}
