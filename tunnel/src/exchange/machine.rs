//! The state machine. Bytes of the socket, pieces of the request's body and the clock go in; bytes for the
//! socket and events come out. It waits for nothing and knows no runtime.

use std::collections::VecDeque;

use crate::connect::{basic, login_fault};
use crate::fault::{Fault, FaultKind, printable};
use crate::handshake::{self, Handshake, Step};
use crate::http1::{RequestForm, ResponseHead, encode_head};
use crate::tls::{TlsConnection, TlsContext, closed_in_handshake};

use super::call::Call;
use super::request_body::RequestBody;
use super::response::{Part, ResponseReader};

/// The most bytes that are given to the socket at once, and the output above which no body is wanted.
const PIECE: usize = 64 << 10;

/// What happened. The last event is `End` or `Fault`.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The head of the response.
    Head(ResponseHead),
    /// A piece of its body, decompressed, at most about as long as what was received or 64 KiB.
    Body(Vec<u8>),
    /// The response is complete.
    End,
    /// The call failed. After a head, the response was cut.
    Fault(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The proxy is asked for a tunnel.
    Proxy,
    /// TLS with the provider begins.
    Tls,
    /// Request and response.
    Open,
    /// The last event is given or waits.
    Ended,
}

/// One call under way.
pub struct Exchange {
    call: Call,
    stage: Stage,
    handshake: Handshake,
    tls: Option<TlsConnection>,
    context: Option<std::sync::Arc<TlsContext>>,
    /// Bytes of the proxy that are not used yet.
    input: Vec<u8>,
    output: Vec<u8>,
    /// Whether the socket still takes bytes.
    is_writable: bool,
    body: RequestBody,
    response: ResponseReader,
    /// A fault of the connection, reported after what came before it.
    fault: Option<Fault>,
    events: VecDeque<Event>,
    sent: bool,
}

impl Exchange {
    /// Begins a call. `context` is needed for providers with TLS. The socket leads to the proxy, over TLS if
    /// its scheme is `https`.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`].
    pub fn new(call: Call, context: Option<std::sync::Arc<TlsContext>>) -> Result<Self, Fault> {
        let (handshake, output) = Handshake::new(&call.proxy, &call.target)?;
        let mut exchange = Self {
            stage: Stage::Proxy,
            tls: None,
            context,
            input: Vec::new(),
            output,
            is_writable: true,
            body: RequestBody::new(call.body),
            response: ResponseReader::new(call.limits, call.method == "HEAD"),
            fault: None,
            events: VecDeque::new(),
            sent: false,
            handshake,
            call,
        };
        // A head that cannot be written is found before anything is sent.
        exchange.head()?;
        exchange.advance_handshake()?;
        Ok(exchange)
    }

    /// Whether the way to the provider is not established yet. The limit of time for that is the caller's.
    pub fn is_dialing(&self) -> bool {
        matches!(self.stage, Stage::Proxy | Stage::Tls)
    }

    /// Whether a byte of the request may have reached the provider.
    pub fn sent(&self) -> bool {
        self.sent
    }

    /// Bytes for the socket, at most 64 KiB. To be asked until there is nothing, each time after the socket
    /// took the piece before.
    pub fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.output.is_empty() || !self.is_writable {
            return None;
        }
        self.sent |= self.stage == Stage::Open;
        if self.output.len() <= PIECE {
            return Some(std::mem::take(&mut self.output));
        }
        let rest = self.output.split_off(PIECE);
        Some(std::mem::replace(&mut self.output, rest))
    }

    /// Whether a piece of the request's body can be taken.
    pub fn wants_body(&self) -> bool {
        self.stage == Stage::Open
            && self.fault.is_none()
            && !self.body.is_done()
            && self.is_writable
            && self.output.len() < PIECE
    }

    /// Takes a piece of the request's body, of about 64 KiB at most.
    pub fn body(&mut self, piece: &[u8]) {
        let mut framed = Vec::with_capacity(piece.len() + 16);
        let result = self.body.write(piece, &mut framed).and_then(|()| self.write(&framed));
        self.settle(result);
    }

    /// Takes in that the request's body has ended.
    pub fn body_end(&mut self) {
        let mut framed = Vec::new();
        let result = self.body.end(&mut framed).and_then(|()| self.write(&framed));
        self.settle(result);
    }

    /// Takes in that the request's body cannot be read.
    pub fn body_failed(&mut self) {
        self.settle(Err(Fault::new(FaultKind::InvalidCall, "the body of the request broke off")));
    }

    /// Takes bytes of the socket in.
    pub fn receive(&mut self, bytes: &[u8]) {
        let result = match self.stage {
            Stage::Proxy => {
                self.input.extend_from_slice(bytes);
                self.advance_handshake()
            }
            Stage::Tls | Stage::Open => self.receive_from_provider(bytes),
            Stage::Ended => Ok(()),
        };
        self.settle(result);
    }

    /// Takes in that the socket was closed by the other side.
    pub fn closed(&mut self) {
        self.connection_ended(true);
    }

    /// Takes in that the socket broke.
    pub fn broken(&mut self) {
        self.connection_ended(false);
    }

    /// Takes in that the socket takes no more bytes. A response may still come: a provider that refuses a
    /// large body answers and closes.
    pub fn write_failed(&mut self) {
        self.is_writable = false;
    }

    /// Takes in that no connection to the proxy was made, for a reason of the runtime.
    pub fn unreachable(&mut self, reason: &str) {
        let reason = printable(reason.as_bytes());
        self.fail(Fault::new(FaultKind::ProxyUnreachable, format!("no connection was made: {reason}")));
    }

    /// Takes in that the way to the provider took too long.
    pub fn timed_out(&mut self, has_connection: bool) {
        let what = match self.stage {
            Stage::Proxy if !has_connection => "no connection to the proxy was made in time",
            Stage::Proxy => "the proxy did not establish the tunnel in time",
            Stage::Tls => "TLS with the provider was not established through the proxy in time",
            Stage::Open | Stage::Ended => return,
        };
        self.fail(Fault::new(FaultKind::ProxyTimeout, what));
    }

    /// Takes in that the caller gave up.
    pub fn abort(&mut self) {
        self.fail(Fault::new(FaultKind::Aborted, "the call was aborted"));
    }

    /// The next event; `None` if more input is needed.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if self.stage == Stage::Ended {
            return None;
        }
        match self.response.next() {
            Ok(Some(Part::Head(head))) if head.status == 407 && matches!(self.handshake, Handshake::Forward) => {
                // The proxy's own response: it did not forward the request.
                self.sent = false;
                self.fail(login_fault(self.call.proxy.login.is_some()));
            }
            Ok(Some(Part::Head(head))) => return Some(Event::Head(head)),
            Ok(Some(Part::Body(piece))) => return Some(Event::Body(piece)),
            Ok(Some(Part::End)) => {
                self.end();
                return Some(Event::End);
            }
            Ok(None) => {
                let fault = self.fault.take()?;
                self.fail(fault);
            }
            Err(fault) => self.fail(fault),
        }
        self.events.pop_front()
    }

    fn advance_handshake(&mut self) -> Result<(), Fault> {
        loop {
            match self.handshake.read(&mut self.input)? {
                Step::Read => return Ok(()),
                Step::Send(bytes) => self.output.extend_from_slice(&bytes),
                Step::Established => break,
            }
        }
        if self.call.target.is_tls {
            let context = self.context.as_ref();
            let context = context.ok_or_else(|| Fault::new(FaultKind::InvalidCall, "TLS is not configured"))?;
            self.tls = Some(context.connect(&self.call.target)?);
            self.stage = Stage::Tls;
            self.flush();
        } else {
            self.begin_request()?;
        }
        let early = std::mem::take(&mut self.input);
        self.receive_from_provider(&early)
    }

    fn receive_from_provider(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Some(tls) = &mut self.tls else {
            self.response.push(bytes);
            return Ok(());
        };
        let received = tls.receive(bytes);
        self.flush();
        let Some(tls) = &mut self.tls else { return received };
        let plaintext = tls.take_plaintext();
        let (has_closed, is_handshaking) = (tls.has_closed(), tls.is_handshaking());
        self.response.push(&plaintext);
        received?;
        if self.stage == Stage::Tls && !is_handshaking {
            self.begin_request()?;
        }
        if has_closed {
            self.connection_ended(true);
        }
        Ok(())
    }

    fn head(&self) -> Result<Vec<u8>, Fault> {
        let credentials = self.call.proxy.login.as_ref().map(basic);
        let form = match self.handshake {
            Handshake::Forward => RequestForm::Absolute(credentials.as_deref()),
            Handshake::Connect(_) | Handshake::Socks(_) => RequestForm::Origin,
        };
        encode_head(&self.call.method, &self.call.target, form, &self.call.headers, self.call.body)
    }

    fn begin_request(&mut self) -> Result<(), Fault> {
        let head = self.head()?;
        self.stage = Stage::Open;
        self.write(&head)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        match &mut self.tls {
            _ if self.stage != Stage::Open => {}
            Some(tls) => {
                tls.write(bytes)?;
                self.flush();
            }
            None => self.output.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Moves records of TLS to the output.
    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.take_output(&mut self.output);
        }
    }

    /// `is_close` is false if the socket broke. With TLS, only the peer's close_notify makes an end clean.
    fn connection_ended(&mut self, is_close: bool) {
        match self.stage {
            Stage::Proxy => self.fail(handshake::closed()),
            Stage::Tls => self.fail(closed_in_handshake()),
            Stage::Open => {
                let is_clean = self.tls.as_ref().map_or(is_close, TlsConnection::has_closed);
                self.response.close(is_clean);
            }
            Stage::Ended => {}
        }
    }

    /// A fault while nothing of a response can have come is final; a later one waits for its turn.
    fn settle(&mut self, result: Result<(), Fault>) {
        let Err(fault) = result else { return };
        if self.stage == Stage::Open {
            self.fault.get_or_insert(fault);
        } else {
            self.fail(fault);
        }
    }

    fn fail(&mut self, fault: Fault) {
        if self.stage == Stage::Ended {
            return;
        }
        // An alert of TLS is worth sending. A request that waits must not leave after its fault.
        if self.stage != Stage::Tls {
            self.output.clear();
        }
        self.stage = Stage::Ended;
        self.events.push_back(Event::Fault(fault.with_sent(self.sent)));
    }

    /// The rest of the request is not sent: the provider has answered and will not read it.
    fn end(&mut self) {
        self.stage = Stage::Ended;
        if !self.output.is_empty() {
            self.output.clear();
        } else if let Some(tls) = &mut self.tls {
            tls.close();
            self.flush();
        }
    }
}
