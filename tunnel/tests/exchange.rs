//! Whole calls: the state machine against scripted proxies and providers, in pieces of any size.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod support;

use std::sync::Arc;

use llm_bridge_tunnel::exchange::{Call, Event, Exchange, Limits};
use llm_bridge_tunnel::fault::{Fault, FaultKind};
use llm_bridge_tunnel::http1::BodyLength;
use llm_bridge_tunnel::proxy::Proxy;
use llm_bridge_tunnel::tls::TlsContext;
use proptest::prelude::*;

use support::*;

const EC: [Kind; 3] = [Kind::P256, Kind::P256, Kind::P256];
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn call(proxy: &str, url: &str) -> Call {
    Call {
        proxy: Proxy::parse(proxy).unwrap(),
        target: target(url),
        method: "GET".to_owned(),
        headers: vec![("x-test".to_owned(), "1".to_owned())],
        body: BodyLength::None,
        limits: Limits::default(),
    }
}

fn begin(call: Call, context: Option<&Arc<TlsContext>>) -> Exchange {
    Exchange::new(call, context.cloned()).unwrap()
}

/// A call in plain text through SOCKS5, up to the request.
fn socks(call: Call) -> Exchange {
    let mut exchange = begin(call, None);
    assert_eq!(output(&mut exchange), [5, 1, 0]);
    exchange.receive(&[5, 0]);
    output(&mut exchange);
    exchange.receive(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert!(!exchange.is_dialing());
    exchange
}

fn output(exchange: &mut Exchange) -> Vec<u8> {
    let mut output = Vec::new();
    while let Some(piece) = exchange.take_output() {
        assert!(piece.len() <= 64 << 10);
        output.extend(piece);
    }
    output
}

/// What a call came to: pieces of the body are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    status: Option<u16>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    is_complete: bool,
    fault: Option<Fault>,
}

impl Outcome {
    fn poll(&mut self, exchange: &mut Exchange) {
        while let Some(event) = exchange.poll_event() {
            assert!(!self.is_complete && self.fault.is_none(), "{event:?} after the last event");
            match event {
                Event::Head(head) => {
                    assert_eq!(self.status.replace(head.status), None);
                    self.headers = head.headers;
                }
                Event::Body(piece) => {
                    assert!(self.status.is_some() && !piece.is_empty());
                    self.body.extend(piece);
                }
                Event::End => self.is_complete = true,
                Event::Fault(fault) => self.fault = Some(fault),
            }
        }
    }

    fn kind(&self) -> Option<FaultKind> {
        self.fault.as_ref().map(|fault| fault.kind)
    }
}

/// Gives a response in pieces of `step` bytes to a plain call, and then the end.
fn respond(response: &[u8], step: usize) -> Outcome {
    let mut exchange = socks(call("socks5://p", "http://api.example/v1"));
    output(&mut exchange);
    let mut outcome = Outcome::default();
    for piece in response.chunks(step.max(1)) {
        exchange.receive(piece);
        outcome.poll(&mut exchange);
    }
    if !outcome.is_complete && outcome.fault.is_none() {
        exchange.closed();
        outcome.poll(&mut exchange);
    }
    outcome
}

/// Ends a call by `change` and gives its fault.
fn fault_after(mut exchange: Exchange, change: impl FnOnce(&mut Exchange)) -> Fault {
    output(&mut exchange);
    change(&mut exchange);
    let mut outcome = Outcome::default();
    outcome.poll(&mut exchange);
    outcome.fault.unwrap_or_else(|| panic!("no fault"))
}

/// A provider behind CONNECT: it is given what the exchange says, and says what `respond` makes of a request.
struct Provider {
    server: Server,
    is_connected: bool,
    is_answered: bool,
}

impl Provider {
    /// One round in both directions; `respond` is called once, with the whole head of the request.
    fn round(&mut self, exchange: &mut Exchange, respond: &mut dyn FnMut(&mut Server)) -> Vec<u8> {
        let output = output(exchange);
        if !self.is_connected {
            if output.ends_with(b"\r\n\r\n") {
                self.is_connected = true;
                return ESTABLISHED.to_vec();
            }
            return Vec::new();
        }
        self.server.receive(&output);
        let has_head = self.server.received.windows(4).any(|window| window == b"\r\n\r\n");
        if has_head && !self.is_answered {
            self.is_answered = true;
            respond(&mut self.server);
        }
        self.server.output()
    }
}

/// A call over TLS through a CONNECT proxy, whose bytes arrive in pieces of `step`.
fn tunnelled(mut respond: impl FnMut(&mut Server), step: usize) -> (Outcome, String) {
    let chain = chain(EC);
    let mut exchange = begin(call("http://p:8080", "https://api.example/v1"), Some(&context(&chain.root)));
    let mut provider = Provider {
        server: Server::new(&server_config(&chain, &Offer::default())),
        is_connected: false,
        is_answered: false,
    };
    let mut outcome = Outcome::default();
    loop {
        let bytes = provider.round(&mut exchange, &mut respond);
        if bytes.is_empty() {
            break;
        }
        for piece in bytes.chunks(step) {
            exchange.receive(piece);
            outcome.poll(&mut exchange);
        }
    }
    if !outcome.is_complete && outcome.fault.is_none() {
        exchange.closed();
        outcome.poll(&mut exchange);
    }
    (outcome, String::from_utf8(provider.server.received).unwrap())
}

#[test]
fn a_call_goes_through_connect_and_tls_in_pieces_of_any_size() {
    for step in [1, 5, 100, 100_000] {
        let (outcome, request) = tunnelled(|server| server.write(OK), step);
        assert_eq!(outcome.body, b"hello", "pieces of {step}");
        assert!(outcome.is_complete && outcome.status == Some(200));
        let expected = "GET /v1 HTTP/1.1\r\nhost: api.example\r\naccept-encoding: identity\r\nx-test: 1\r\n\r\n";
        assert_eq!(request, expected);
    }
}

#[test]
fn with_tls_only_close_notify_ends_a_body_without_a_length() {
    let response = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let (outcome, _) = tunnelled(|server| server.write(response), 1000);
    assert_eq!((outcome.kind(), outcome.is_complete), (Some(FaultKind::UpstreamCut), false), "truncated");
    assert_eq!(outcome.body, b"hello");
    assert!(outcome.fault.unwrap().sent);
    let close = |server: &mut Server| {
        server.write(response);
        server.connection.send_close_notify();
    };
    let (outcome, _) = tunnelled(close, 1000);
    assert!(outcome.is_complete && outcome.body == b"hello");
}

#[test]
fn a_cut_is_never_an_end() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
    ] {
        let outcome = respond(response.as_bytes(), 7);
        assert_eq!(outcome.body, b"hello");
        assert_eq!(outcome.kind(), Some(FaultKind::UpstreamCut), "{response}");
    }
    assert_eq!(respond(b"HTTP/1.1 200 OK\r\n", 7).kind(), Some(FaultKind::UpstreamCut));
    assert_eq!(respond(b"", 7).kind(), Some(FaultKind::UpstreamCut));
    let mut exchange = socks(call("socks5://p", "http://api.example"));
    exchange.receive(b"HTTP/1.1 200 OK\r\n\r\nhello");
    exchange.broken();
    let mut outcome = Outcome::default();
    outcome.poll(&mut exchange);
    assert_eq!(outcome.kind(), Some(FaultKind::UpstreamCut), "a reset is no end even where closing is one");
}

#[test]
fn a_body_may_end_with_a_plain_connection() {
    let outcome = respond(b"HTTP/1.0 200 OK\r\n\r\nhello", 7);
    assert!(outcome.is_complete && outcome.body == b"hello");
}

#[test]
fn interim_responses_are_passed_over_up_to_a_limit() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    assert!(respond(&[interim, OK].concat(), 7).is_complete);
    assert_eq!(respond(&interim.repeat(100), 7).kind(), Some(FaultKind::UpstreamProtocol));
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    for head in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"] {
        assert!(respond(head.as_bytes(), 7).is_complete, "{head}");
    }
    let mut exchange = socks(Call { method: "HEAD".to_owned(), ..call("socks5://p", "http://api.example") });
    exchange.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: zstd\r\n\r\n");
    let mut outcome = Outcome::default();
    outcome.poll(&mut exchange);
    assert!(outcome.is_complete);
}

#[test]
fn a_head_may_not_be_endless() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(200 << 10));
    for step in [1000, 1 << 20] {
        assert_eq!(respond(head.as_bytes(), step).kind(), Some(FaultKind::UpstreamProtocol));
        let whole = format!("{head}\r\n\r\n");
        assert_eq!(respond(whole.as_bytes(), step).kind(), Some(FaultKind::UpstreamProtocol));
    }
}

/// gzip of `content`, stored.
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        }
    }
    let deflated = miniz_oxide::deflate::compress_to_vec(content, 6);
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &deflated, &(!crc).to_le_bytes(), &length].concat()
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let body = gzip(content);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\nx: y\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

#[test]
fn a_compressed_response_is_decompressed() {
    let content = b"data: hello\n\n".repeat(10_000);
    for step in [1, 1000, 1 << 20] {
        let outcome = respond(&compressed(&content), step);
        assert!(outcome.is_complete && outcome.body == content);
        assert_eq!(outcome.headers, [("x".to_owned(), b"y".to_vec())], "its old length and coding are gone");
    }
    let cut = compressed(&content);
    assert_eq!(respond(&cut[..cut.len() - 1], 1000).kind(), Some(FaultKind::UpstreamCut));
    let unknown = b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx";
    assert_eq!(respond(unknown, 1000).kind(), Some(FaultKind::UpstreamProtocol));
}

#[test]
fn a_decompressed_response_is_bounded() {
    let limits = Limits { max_answer_bytes: 1 << 20, ..Limits::default() };
    let mut exchange = socks(Call { limits, ..call("socks5://p", "http://api.example") });
    exchange.receive(&compressed(&vec![0; 8 << 20]));
    let mut outcome = Outcome::default();
    outcome.poll(&mut exchange);
    assert_eq!(outcome.kind(), Some(FaultKind::ResponseTooLarge));
    assert!(outcome.body.len() <= 1 << 20);
}

#[test]
fn a_body_is_taken_as_fast_as_it_is_sent() {
    let length = BodyLength::Known(1 << 20);
    let mut exchange =
        socks(Call { method: "POST".to_owned(), body: length, ..call("socks5://p", "http://api.example") });
    let mut sent = Vec::new();
    let mut given = 0;
    while given < 1 << 20 {
        assert!(exchange.wants_body());
        while exchange.wants_body() && given < 1 << 20 {
            exchange.body(&[7; 48 << 10][..(48 << 10).min((1 << 20) - given)]);
            given = (given + (48 << 10)).min(1 << 20);
        }
        sent.extend(exchange.take_output().unwrap());
        assert!(given - sent.len() < 128 << 10, "no more than two pieces wait");
    }
    sent.extend(output(&mut exchange));
    assert!(!exchange.wants_body() && sent.ends_with(&[7; 1 << 20]));
    exchange.receive(OK);
    let mut outcome = Outcome::default();
    outcome.poll(&mut exchange);
    assert!(outcome.is_complete);
}

#[test]
fn a_body_of_unknown_length_is_sent_in_chunks() {
    let mut exchange = socks(Call { body: BodyLength::Chunked, ..call("socks5://p", "http://api.example") });
    exchange.body(b"hello");
    exchange.body(b"");
    exchange.body(b", chunked");
    exchange.body_end();
    let sent = String::from_utf8(output(&mut exchange)).unwrap();
    assert!(sent.ends_with("\r\n\r\n5\r\nhello\r\n9\r\n, chunked\r\n0\r\n\r\n"), "{sent}");
    assert!(!exchange.wants_body());
}

#[test]
fn a_body_that_differs_from_its_length_fails_the_call() {
    let with = |length| socks(Call { body: BodyLength::Known(length), ..call("socks5://p", "http://api.example") });
    let longer = fault_after(with(3), |exchange| exchange.body(b"hello"));
    let shorter = fault_after(with(9), |exchange| {
        exchange.body(b"hello");
        exchange.body_end();
    });
    let broken = fault_after(with(9), Exchange::body_failed);
    for fault in [longer, shorter, broken] {
        assert_eq!((fault.kind, fault.sent), (FaultKind::InvalidCall, true));
    }
}

#[test]
fn an_early_response_is_read_while_the_body_is_sent() {
    for is_write_broken in [false, true] {
        let body = BodyLength::Known(5 << 20);
        let mut exchange = socks(Call { body, ..call("socks5://p", "http://api.example") });
        exchange.body(&[7; 1000]);
        output(&mut exchange);
        if is_write_broken {
            exchange.write_failed();
            assert!(!exchange.wants_body());
        }
        exchange.receive(b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\n\r\nlarge");
        exchange.closed();
        let mut outcome = Outcome::default();
        outcome.poll(&mut exchange);
        assert!(outcome.is_complete && outcome.status == Some(413));
        assert!(!exchange.wants_body(), "the rest is not asked for");
        exchange.body(b"late");
        assert_eq!(exchange.take_output(), None);
    }
}

#[test]
fn plain_http_goes_to_http_proxies_as_a_whole_url() {
    for scheme in ["http", "https"] {
        let mut exchange = begin(call(&format!("{scheme}://user:pa:ss@p"), "http://api.example/v1"), None);
        assert!(!exchange.is_dialing());
        let request = String::from_utf8(output(&mut exchange)).unwrap();
        assert!(request.starts_with("GET http://api.example/v1 HTTP/1.1\r\nhost: api.example\r\n"), "{request}");
        assert!(request.contains("\r\nproxy-authorization: Basic dXNlcjpwYTpzcw==\r\n"), "{request}");
        exchange.receive(OK);
        let mut outcome = Outcome::default();
        outcome.poll(&mut exchange);
        assert!(outcome.is_complete);
    }
    let fault = fault_after(begin(call("http://p", "http://api.example"), None), |exchange| {
        exchange.receive(b"HTTP/1.1 407 Login\r\n\r\n");
    });
    assert_eq!((fault.kind, fault.sent), (FaultKind::ProxyAuth, false), "the proxy forwarded nothing");
    let provider = respond(b"HTTP/1.1 407 Odd\r\ncontent-length: 0\r\n\r\n", 99);
    assert_eq!(provider.status, Some(407), "a provider's own 407 is a response");
}

#[test]
fn faults_say_what_failed_and_that_nothing_was_sent() {
    let chain = chain(EC);
    let https = || begin(call("http://user:secret@p", "https://api.example"), Some(&context(&chain.root)));
    let in_tls = || {
        let mut exchange = https();
        output(&mut exchange);
        exchange.receive(ESTABLISHED);
        assert!(exchange.is_dialing());
        exchange
    };
    type Change = fn(&mut Exchange);
    let cases: [(Exchange, Change, FaultKind, &str); 12] = [
        (https(), |x| x.unreachable("connection refused\n\x1b"), FaultKind::ProxyUnreachable, "connection refused??"),
        (https(), |x| x.receive(b"HTTP/1.1 407 x\r\n\r\n"), FaultKind::ProxyAuth, "refused the login"),
        (https(), |x| x.receive(b"HTTP/1.1 403 x\r\n\r\n"), FaultKind::ProxyRefused, "403"),
        (https(), |x| x.receive(b"SSH-2.0-x"), FaultKind::ProxyProtocol, "does not answer in HTTP"),
        (https(), Exchange::closed, FaultKind::ProxyProtocol, "closed the connection"),
        (https(), Exchange::broken, FaultKind::ProxyProtocol, "closed the connection"),
        (https(), |x| x.timed_out(false), FaultKind::ProxyTimeout, "no connection"),
        (https(), |x| x.timed_out(true), FaultKind::ProxyTimeout, "tunnel"),
        (in_tls(), |x| x.timed_out(true), FaultKind::ProxyTimeout, "TLS"),
        (in_tls(), Exchange::closed, FaultKind::UpstreamTls, "ended in the handshake"),
        (
            in_tls(),
            |x| x.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            FaultKind::UpstreamTls,
            "base_url begins with http://",
        ),
        (in_tls(), Exchange::abort, FaultKind::Aborted, "aborted"),
    ];
    for (exchange, change, kind, words) in cases {
        let fault = fault_after(exchange, change);
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(words), "{fault}");
        assert!(!fault.sent && !fault.message.contains("secret"), "{fault}");
    }
}

#[test]
fn a_call_that_cannot_be_made_is_refused_before_anything_is_sent() {
    let headers = vec![("x".to_owned(), "a\r\nb: c".to_owned())];
    let fault = Exchange::new(Call { headers, ..call("http://p", "https://api.example") }, Some(context("")));
    assert_eq!(fault.err().unwrap().kind, FaultKind::InvalidCall);
    assert_eq!(Exchange::new(call("http://p", "http://a").clone(), None).map(|x| x.sent()), Ok(false));
}

#[test]
fn after_the_head_a_fault_says_that_the_provider_may_have_received_the_request() {
    let mut exchange = socks(call("socks5://p", "http://api.example"));
    assert!(!exchange.sent(), "the request waits");
    output(&mut exchange);
    assert!(exchange.sent());
    exchange.timed_out(true);
    assert_eq!(exchange.poll_event(), None, "the limit of time is for the way to the provider");
    exchange.abort();
    let Some(Event::Fault(fault)) = exchange.poll_event() else { panic!("no fault") };
    assert_eq!((fault.kind, fault.sent), (FaultKind::Aborted, true));
}

#[test]
fn nothing_of_a_request_leaves_after_its_fault() {
    for mut exchange in [socks(call("socks5://p", "http://api.example")), begin(call("http://p", "http://a"), None)] {
        exchange.abort();
        assert_eq!(exchange.take_output(), None);
        let Some(Event::Fault(fault)) = exchange.poll_event() else { panic!("no fault") };
        assert!(!fault.sent);
    }
    let chain = chain_with(EC, &["wrong.example"], |_| {});
    let mut exchange = begin(call("http://p", "https://api.example"), Some(&context(&chain.root)));
    output(&mut exchange);
    exchange.receive(ESTABLISHED);
    let mut server = Server::new(&server_config(&chain, &Offer::default()));
    server.receive(&output(&mut exchange));
    exchange.receive(&server.output());
    server.receive(&output(&mut exchange));
    assert!(server.error.unwrap().to_string().contains("BadCertificate"), "the provider is told why");
    assert!(matches!(exchange.poll_event(), Some(Event::Fault(fault)) if fault.kind == FaultKind::UpstreamCertificate));
}

/// Responses as servers send them, well and badly framed.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let chunked = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..5).prop_map(|chunks| {
        let mut response = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in chunks {
            response.extend(format!("{:x};e=1\r\n", chunk.len()).bytes());
            response.extend(chunk);
            response.extend(b"\r\n");
        }
        response.extend(b"0\r\nt: x\r\n\r\n");
        response
    });
    let length = bytes.clone().prop_map(|body| {
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
    });
    let close = bytes.clone().prop_map(|body| [b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", &body[..]].concat());
    let packed = bytes.clone().prop_map(|body| compressed(&body));
    prop_oneof![chunked, length, close, packed, bytes]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The pieces in which bytes arrive change nothing.
    #[test]
    fn any_pieces_give_the_same_outcome(response in responses(), step in 1usize..50, flip in any::<Option<(u16, u8)>>()) {
        let mut response = response;
        if let Some((at, value)) = flip {
            let length = response.len().max(1);
            if let Some(byte) = response.get_mut(usize::from(at) % length) {
                *byte = value;
            }
        }
        let whole = respond(&response, 1 << 20);
        prop_assert!(whole.is_complete != whole.fault.is_some());
        prop_assert_eq!(respond(&response, step), whole);
    }

    /// Whatever a proxy says, nothing panics, and nothing but an established tunnel is one.
    #[test]
    fn hostile_proxies_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..100), is_socks in any::<bool>(), step in 1usize..20) {
        let proxy = if is_socks { "socks5://u:p@p" } else { "http://p" };
        let mut exchange = begin(call(proxy, "https://api.example"), Some(&context("")));
        let mut outcome = Outcome::default();
        for piece in bytes.chunks(step) {
            exchange.receive(piece);
            outcome.poll(&mut exchange);
        }
        exchange.closed();
        outcome.poll(&mut exchange);
        prop_assert!(outcome.fault.is_some() && !exchange.sent());
    }
}
