//! The response: from plaintext of the connection to a head, pieces of the body, and its end.

use crate::fault::{Fault, FaultKind};
use crate::http1::{BodyDecoder, Coding, Decompressor, HeadEnd, ResponseHead, find_head_end, is_http, parse_head};

use super::call::Limits;

/// The most interim responses (1xx) before the response.
const MAX_INTERIM: usize = 16;

/// What has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Head(ResponseHead),
    Body(Vec<u8>),
    End,
}

/// How the connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The peer said that it was the end, by close_notify or, without TLS, by closing.
    Clean,
    Cut,
}

/// Reads one response.
pub struct ResponseReader {
    limits: Limits,
    is_head_request: bool,
    /// Plaintext that is not used yet.
    buffer: Vec<u8>,
    /// Where the search for the end of the head goes on.
    searched: usize,
    interim: usize,
    body: Option<Body>,
    ending: Option<Ending>,
    /// Reported once the content before it has been given.
    fault: Option<Fault>,
    is_done: bool,
}

struct Body {
    decoder: BodyDecoder,
    decompressor: Option<Decompressor>,
}

impl ResponseReader {
    /// A reader before the first byte.
    pub fn new(limits: Limits, is_head_request: bool) -> Self {
        Self {
            limits,
            is_head_request,
            buffer: Vec::new(),
            searched: 0,
            interim: 0,
            body: None,
            ending: None,
            fault: None,
            is_done: false,
        }
    }

    /// Takes plaintext in.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.is_done && self.ending.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Takes in that the connection ended, and whether that may be an end of the body.
    pub fn close(&mut self, is_clean: bool) {
        self.ending.get_or_insert(if is_clean { Ending::Clean } else { Ending::Cut });
    }

    /// The next part of what was pushed; `None` if more is needed.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamProtocol`], [`FaultKind::UpstreamCut`], [`FaultKind::ResponseTooLarge`].
    pub fn next(&mut self) -> Result<Option<Part>, Fault> {
        if self.is_done {
            return Ok(None);
        }
        if self.body.is_some() { self.next_of_body() } else { self.next_head() }
    }

    fn next_head(&mut self) -> Result<Option<Part>, Fault> {
        loop {
            if !is_http(&self.buffer) {
                return Err(protocol("the provider's response is not HTTP/1.1"));
            }
            let length = match find_head_end(&self.buffer, self.searched) {
                HeadEnd::At(length) => length,
                HeadEnd::Missing(next) => {
                    self.searched = next;
                    if self.buffer.len() > self.limits.max_head {
                        return Err(protocol("the head of the provider's response is too large"));
                    }
                    return match self.ending {
                        None => Ok(None),
                        Some(_) => Err(cut("the connection ended before the provider responded")),
                    };
                }
            };
            if length > self.limits.max_head {
                return Err(protocol("the head of the provider's response is too large"));
            }
            let head = self.buffer.get(..length).unwrap_or_default();
            let head = parse_head(head, self.is_head_request)?;
            self.buffer.drain(..length);
            self.searched = 0;
            if let Some(head) = head {
                return self.begin_body(head).map(Some);
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(protocol("the provider sends interim responses only"));
            }
        }
    }

    fn begin_body(&mut self, mut head: ResponseHead) -> Result<Part, Fault> {
        let decoder = BodyDecoder::new(head.framing);
        // A response to HEAD, and one without a body, may describe a coding.
        let coding = if decoder.is_done() { None } else { Coding::of(&head.headers)? };
        if coding.is_some() {
            head.headers.retain(|(name, _)| name != "content-encoding" && name != "content-length");
        }
        let decompressor = coding.map(|coding| Decompressor::new(coding, self.limits.max_answer_bytes));
        self.body = Some(Body { decoder, decompressor });
        Ok(Part::Head(head))
    }

    fn next_of_body(&mut self) -> Result<Option<Part>, Fault> {
        let Some(body) = &mut self.body else { return Ok(None) };
        if let Some(piece) = body.decompressor.as_mut().map(Decompressor::read).transpose()?.flatten() {
            return Ok(Some(Part::Body(piece)));
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if !self.buffer.is_empty() && !body.decoder.is_done() {
            let mut content = Vec::with_capacity(self.buffer.len());
            self.fault = body.decoder.decode(&self.buffer, &mut content).err();
            self.buffer.clear();
            if !content.is_empty() {
                let Some(decompressor) = &mut body.decompressor else { return Ok(Some(Part::Body(content))) };
                decompressor.push(&content);
            }
            return self.next_of_body();
        }
        let is_complete =
            body.decoder.is_done() || body.decoder.ends_with_connection() && self.ending == Some(Ending::Clean);
        if is_complete {
            body.decompressor.as_ref().map_or(Ok(()), Decompressor::finish)?;
            self.is_done = true;
            return Ok(Some(Part::End));
        }
        match self.ending {
            None => Ok(None),
            Some(_) => Err(cut("the connection ended before the response was complete")),
        }
    }
}

fn protocol(what: &str) -> Fault {
    Fault::new(FaultKind::UpstreamProtocol, what)
}

fn cut(what: &str) -> Fault {
    Fault::new(FaultKind::UpstreamCut, what)
}
