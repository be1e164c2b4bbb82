//! SOCKS5 (RFC 1928) with user names and passwords (RFC 1929). The proxy resolves names.

use std::net::IpAddr;

use crate::fault::{Fault, FaultKind};
use crate::proxy::{Login, Proxy};
use crate::target::Target;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const COMMAND_CONNECT: u8 = 1;
const METHOD_NONE: u8 = 0;
const METHOD_LOGIN: u8 = 2;
const METHOD_REFUSED: u8 = 0xff;
const ADDRESS_IPV4: u8 = 1;
const ADDRESS_NAME: u8 = 3;
const ADDRESS_IPV6: u8 = 4;

/// Replies by number (RFC 1928 6). 0 is success.
const REPLIES: [&str; 9] = [
    "succeeded",
    "general failure",
    "not allowed by its rules",
    "network unreachable",
    "host unreachable",
    "connection refused by the host",
    "time to live expired",
    "command not supported",
    "address type not supported",
];

/// What the handshake needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum SocksStep {
    /// More bytes of the proxy.
    Read,
    /// These bytes go to the proxy.
    Send(Vec<u8>),
    /// The tunnel is established; the rest of the input belongs to it.
    Established,
}

/// A SOCKS5 handshake under way.
#[derive(Debug)]
pub struct Socks {
    state: State,
    request: Vec<u8>,
    login: Option<Login>,
}

#[derive(Debug)]
enum State {
    Method,
    Login,
    Reply,
}

impl Socks {
    /// The greeting, and what will read the proxy's answers.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for a host that does not fit into a request.
    pub fn new(proxy: &Proxy, target: &Target) -> Result<(Self, Vec<u8>), Fault> {
        // Without a login only the method without one is offered, with a login both: the proxy chooses.
        let greeting = match proxy.login {
            None => vec![VERSION, 1, METHOD_NONE],
            Some(_) => vec![VERSION, 2, METHOD_NONE, METHOD_LOGIN],
        };
        let socks = Self { state: State::Method, request: request(target)?, login: proxy.login.clone() };
        Ok((socks, greeting))
    }

    /// Takes the next answer from the front of `received`.
    ///
    /// # Errors
    /// [`FaultKind::ProxyAuth`], [`FaultKind::ProxyRefused`], [`FaultKind::ProxyProtocol`].
    pub fn read(&mut self, received: &mut Vec<u8>) -> Result<SocksStep, Fault> {
        match self.state {
            State::Method => self.read_method(received),
            State::Login => self.read_login(received),
            State::Reply => read_reply(received),
        }
    }

    fn read_method(&mut self, received: &mut Vec<u8>) -> Result<SocksStep, Fault> {
        if received.first().is_some_and(|version| *version != VERSION) {
            return Err(not_socks(received));
        }
        let [_, method, ..] = received[..] else { return Ok(SocksStep::Read) };
        received.drain(..2);
        match (method, &self.login) {
            (METHOD_NONE, _) => {
                self.state = State::Reply;
                Ok(SocksStep::Send(self.request.clone()))
            }
            (METHOD_LOGIN, Some(login)) => {
                self.state = State::Login;
                Ok(SocksStep::Send(login_message(login)?))
            }
            (METHOD_REFUSED, None) => Err(auth("the proxy asks for a login, and its URL has none")),
            (METHOD_REFUSED, Some(_)) => Err(auth("the proxy accepts no user name and password")),
            _ => Err(garbled("chose a method that was not offered")),
        }
    }

    fn read_login(&mut self, received: &mut Vec<u8>) -> Result<SocksStep, Fault> {
        if received.first().is_some_and(|version| *version != LOGIN_VERSION) {
            return Err(not_socks(received));
        }
        let [_, status, ..] = received[..] else { return Ok(SocksStep::Read) };
        received.drain(..2);
        if status != 0 {
            return Err(auth("the proxy refused the login in its URL"));
        }
        self.state = State::Reply;
        Ok(SocksStep::Send(self.request.clone()))
    }
}

fn read_reply(received: &mut Vec<u8>) -> Result<SocksStep, Fault> {
    if received.first().is_some_and(|version| *version != VERSION) {
        return Err(not_socks(received));
    }
    // Some proxies close after the number of a failure, without the address.
    let [_, reply, ..] = received[..] else { return Ok(SocksStep::Read) };
    if reply != 0 {
        let words = REPLIES.get(usize::from(reply)).unwrap_or(&"for a reason of its own");
        return Err(Fault::new(FaultKind::ProxyRefused, format!("the proxy refused: {words} ({reply})")));
    }
    let [_, _, _, kind, first, ..] = received[..] else { return Ok(SocksStep::Read) };
    let address = match kind {
        ADDRESS_IPV4 => 4,
        ADDRESS_IPV6 => 16,
        ADDRESS_NAME => 1 + usize::from(first),
        _ => return Err(garbled("answered with an address of an unknown kind")),
    };
    let length = 4 + address + 2;
    if received.len() < length {
        return Ok(SocksStep::Read);
    }
    received.drain(..length);
    Ok(SocksStep::Established)
}

fn request(target: &Target) -> Result<Vec<u8>, Fault> {
    let mut request = vec![VERSION, COMMAND_CONNECT, 0];
    match target.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(ADDRESS_IPV4);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(ADDRESS_IPV6);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(ADDRESS_NAME);
            push_text(&mut request, &target.host)?;
        }
    }
    request.extend(target.port.to_be_bytes());
    Ok(request)
}

fn login_message(login: &Login) -> Result<Vec<u8>, Fault> {
    let mut message = vec![LOGIN_VERSION];
    push_text(&mut message, &login.user)?;
    push_text(&mut message, &login.password)?;
    Ok(message)
}

/// Appends a length of one byte, and the text.
fn push_text(message: &mut Vec<u8>, text: &str) -> Result<(), Fault> {
    let length = u8::try_from(text.len())
        .map_err(|_| Fault::new(FaultKind::InvalidCall, "SOCKS5 carries names of at most 255 bytes"))?;
    message.push(length);
    message.extend(text.as_bytes());
    Ok(())
}

/// What is no SOCKS5 may be an HTTP proxy, which many programs serve on a port of its own.
fn not_socks(received: &[u8]) -> Fault {
    garbled(if received.starts_with(b"HTTP") || b"HTTP".starts_with(received) {
        "answers in HTTP, not SOCKS5: its address may have to begin with http://"
    } else {
        "does not speak SOCKS5"
    })
}

fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::ProxyProtocol, format!("the address of the proxy {what}"))
}

fn auth(message: &str) -> Fault {
    Fault::new(FaultKind::ProxyAuth, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socks(proxy: &str, url: &str) -> (Socks, Vec<u8>) {
        Socks::new(&Proxy::parse(proxy).unwrap(), &Target::parse(url).unwrap()).unwrap()
    }

    /// Gives the answers one by one; what was sent, and the end.
    fn talk(proxy: &str, answers: &[&[u8]]) -> (Vec<Vec<u8>>, Result<SocksStep, Fault>) {
        let (mut socks, greeting) = socks(proxy, "https://api.example");
        let mut sent = vec![greeting];
        let mut step = Ok(SocksStep::Read);
        for answer in answers {
            step = socks.read(&mut answer.to_vec());
            if let Ok(SocksStep::Send(bytes)) = &step {
                sent.push(bytes.clone());
            }
        }
        (sent, step)
    }

    fn fault(proxy: &str, answers: &[&[u8]]) -> (FaultKind, String) {
        let fault = talk(proxy, answers).1.unwrap_err();
        (fault.kind, fault.message)
    }

    const ESTABLISHED: &[u8] = &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_name_is_resolved_by_the_proxy() {
        let (sent, step) = talk("socks5://p", &[&[5, 0], ESTABLISHED]);
        let request = [&[5, 1, 0, 3, 11][..], b"api.example", &[1, 187]].concat();
        assert_eq!(sent, [vec![5, 1, 0], request]);
        assert_eq!(step, Ok(SocksStep::Established));
    }

    #[test]
    fn addresses_are_sent_as_addresses() {
        let (four, _) = socks("socks5://p", "http://10.1.2.3");
        assert_eq!(four.request, [5, 1, 0, 1, 10, 1, 2, 3, 0, 80]);
        let (six, _) = socks("socks5://p", "https://[::1]:8443");
        assert_eq!(six.request, [&[5, 1, 0, 4][..], &[0; 15], &[1, 32, 251]].concat());
    }

    #[test]
    fn a_login_is_offered_and_sent_if_asked_for() {
        let (sent, step) = talk("socks5://user:pa%20ss@p", &[&[5, 2], &[1, 0], ESTABLISHED]);
        assert_eq!(sent[0], [5, 2, 0, 2]);
        assert_eq!(sent[1], [&[1, 4][..], b"user", &[5], b"pa ss"].concat());
        assert_eq!(step, Ok(SocksStep::Established));
        let (sent, step) = talk("socks5://user:pass@p", &[&[5, 0], ESTABLISHED]);
        assert_eq!((sent.len(), step), (2, Ok(SocksStep::Established)), "the proxy wants none");
    }

    #[test]
    fn the_address_of_the_reply_may_have_any_kind() {
        for address in [&[1, 9, 9, 9, 9][..], &[&[4][..], &[9; 16]].concat(), &[3, 2, b'a', b'b']] {
            let (mut socks, _) = socks("socks5://p", "https://api.example");
            socks.read(&mut vec![5, 0]).unwrap();
            let reply = [&[5, 0, 0], address, &[0, 80], b"rest"].concat();
            for cut in 0..reply.len() - 4 {
                assert_eq!(socks.read(&mut reply[..cut].to_vec()), Ok(SocksStep::Read));
            }
            let mut received = reply;
            assert_eq!(socks.read(&mut received), Ok(SocksStep::Established));
            assert_eq!(received, b"rest");
        }
    }

    #[test]
    fn logins_that_are_missing_or_wrong_are_told_apart() {
        let (kind, message) = fault("socks5://p", &[&[5, 0xff]]);
        assert_eq!((kind, message.contains("has none")), (FaultKind::ProxyAuth, true));
        assert_eq!(fault("socks5://u:p@p", &[&[5, 0xff]]).0, FaultKind::ProxyAuth);
        let (kind, message) = fault("socks5://user:secret@p", &[&[5, 2], &[1, 1]]);
        assert_eq!((kind, message.contains("refused the login")), (FaultKind::ProxyAuth, true));
        assert!(!message.contains("secret"));
    }

    #[test]
    fn every_reply_is_worded() {
        for (number, words) in REPLIES.iter().enumerate().skip(1) {
            let number = u8::try_from(number).unwrap();
            let (kind, message) = fault("socks5://p", &[&[5, 0], &[5, number]]);
            assert_eq!(kind, FaultKind::ProxyRefused);
            assert!(message.contains(words), "{message}");
        }
        assert!(fault("socks5://p", &[&[5, 0], &[5, 99]]).1.contains("(99)"));
    }

    #[test]
    fn other_protocols_are_noticed() {
        for answers in [
            &[&b"HTTP/1.1 400\r\n"[..]][..],
            &[b"SSH"],
            &[&[4, 90]],
            &[&[5, 2]],
            &[&[5, 0], &[1]],
            &[&[5, 0], &[5, 0, 0, 9, 0]],
        ] {
            assert_eq!(fault("socks5://p", answers).0, FaultKind::ProxyProtocol, "{answers:?}");
        }
        assert_eq!(fault("socks5://u:p@p", &[&[5, 2], b"H"]).0, FaultKind::ProxyProtocol);
        assert!(fault("socks5://p", &[b"HTTP/1.1 400"]).1.ends_with("may have to begin with http://"));
        assert!(fault("socks5://p", &[b"H"]).1.ends_with("may have to begin with http://"));
        assert!(fault("socks5://p", &[b"SSH"]).1.ends_with("does not speak SOCKS5"));
    }
}
