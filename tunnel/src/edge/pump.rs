//! Moves bytes between the socket, the request's body and the state machine until there is an event.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::body::{Piece, RequestStream};
use super::js;
use super::request::Request;
use super::signal::Aborted;
use super::socket::{Connection, Opening, Received};
use super::timer::Timer;
use crate::exchange::{Event, Exchange};

/// A call under way.
pub struct Pump {
    exchange: Exchange,
    socket: Option<Connection>,
    body: RequestStream,
    aborted: Option<Aborted>,
    dial: Option<Timer>,
}

/// What the pump was waiting for.
enum Arrival {
    Opened(Box<Connection>),
    Unreachable(String),
    Received(Received),
    Written(bool),
    Body(Piece),
    Aborted,
    DialExpired,
}

impl Pump {
    /// Makes the connection, or learns why there is none: the event tells.
    pub async fn open(exchange: Exchange, request: Request) -> Self {
        let mut pump = Self {
            exchange,
            socket: None,
            body: request.body,
            aborted: Aborted::of(&request.signal),
            dial: Some(Timer::new(request.dial_ms)),
        };
        match Opening::new(&request.connect, &request.call.proxy) {
            Ok(mut opening) => {
                let arrival = poll_fn(|context| pump.poll_opening(&mut opening, context)).await;
                pump.take(arrival);
            }
            Err(error) => pump.exchange.unreachable(&js::words(&error)),
        }
        pump
    }

    /// The next event. After the last one, there is none.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.exchange.poll_event() {
                self.farewell(&event);
                return event;
            }
            if !self.exchange.is_dialing() {
                self.dial = None;
            }
            self.write();
            let arrival = poll_fn(|context| self.poll_arrival(context)).await;
            self.take(arrival);
        }
    }

    /// Resolves when the caller gives up. For waiting on something else meanwhile.
    pub fn poll_aborted(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.aborted {
            Some(aborted) => Pin::new(&mut aborted.fired).poll(context).map(drop),
            None => Poll::Pending,
        }
    }

    /// The fault of a call that the caller gave up.
    pub fn abort(&mut self) -> Option<Event> {
        self.exchange.abort();
        self.exchange.poll_event()
    }

    fn write(&mut self) {
        let Some(socket) = self.socket.as_mut().filter(|socket| !socket.is_writing()) else { return };
        if let Some(bytes) = self.exchange.take_output() {
            socket.write(&bytes);
        }
    }

    /// After the last event, what is left to say is written if the socket takes it at once: an alert, or
    /// close_notify. Nobody waits for it.
    fn farewell(&mut self, event: &Event) {
        if matches!(event, Event::End | Event::Fault(_)) {
            self.write();
        }
    }

    fn poll_opening(&mut self, opening: &mut Opening, context: &mut Context<'_>) -> Poll<Arrival> {
        if let Poll::Ready(opened) = opening.poll_opened(context) {
            return Poll::Ready(match opened {
                Ok(connection) => Arrival::Opened(Box::new(connection)),
                Err(error) => Arrival::Unreachable(js::words(&error)),
            });
        }
        self.poll_limits(context)
    }

    fn poll_limits(&mut self, context: &mut Context<'_>) -> Poll<Arrival> {
        if self.poll_aborted(context).is_ready() {
            return Poll::Ready(Arrival::Aborted);
        }
        match &mut self.dial {
            Some(timer) => Pin::new(&mut timer.fired).poll(context).map(|_| Arrival::DialExpired),
            None => Poll::Pending,
        }
    }

    fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Arrival> {
        if let Some(socket) = &mut self.socket {
            // An answer that has come counts before a write that failed.
            if let Poll::Ready(received) = socket.poll_read(context) {
                return Poll::Ready(Arrival::Received(received));
            }
            if let Poll::Ready(is_written) = socket.poll_written(context) {
                return Poll::Ready(Arrival::Written(is_written));
            }
        }
        if self.exchange.wants_body()
            && let Poll::Ready(piece) = self.body.poll_piece(context)
        {
            return Poll::Ready(Arrival::Body(piece));
        }
        self.poll_limits(context)
    }

    fn take(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Opened(connection) => self.socket = Some(*connection),
            Arrival::Unreachable(words) => self.exchange.unreachable(&words),
            Arrival::Received(Received::Bytes(bytes)) => self.exchange.receive(&bytes),
            Arrival::Received(Received::End) => self.exchange.closed(),
            Arrival::Received(Received::Broken) => self.exchange.broken(),
            Arrival::Written(true) => {}
            Arrival::Written(false) => self.exchange.write_failed(),
            Arrival::Body(Piece::Bytes(bytes)) => self.exchange.body(&bytes),
            Arrival::Body(Piece::End) => self.exchange.body_end(),
            Arrival::Body(Piece::Failed) => self.exchange.body_failed(),
            Arrival::Aborted => self.exchange.abort(),
            Arrival::DialExpired => {
                self.dial = None;
                self.exchange.timed_out(self.socket.is_some());
            }
        }
    }
}
