//! The way to the provider through a proxy of any kind.

use crate::connect::Connect;
use crate::fault::{Fault, FaultKind};
use crate::proxy::{Proxy, Scheme};
use crate::socks::{Socks, SocksStep};
use crate::target::Target;

/// What a handshake needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes of the proxy.
    Read,
    /// These bytes go to the proxy.
    Send(Vec<u8>),
    /// The connection leads to the provider, or to a proxy that forwards requests.
    Established,
}

/// A handshake under way.
#[derive(Debug)]
pub enum Handshake {
    /// The proxy is sent the request itself: plain HTTP through an HTTP proxy. Many proxies permit CONNECT to
    /// port 443 only.
    Forward,
    /// CONNECT.
    Connect(Connect),
    /// SOCKS5.
    Socks(Socks),
}

impl Handshake {
    /// The handshake that leads to `target`, and the bytes that begin it.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for a host that the protocol cannot carry.
    pub fn new(proxy: &Proxy, target: &Target) -> Result<(Self, Vec<u8>), Fault> {
        match proxy.scheme {
            Scheme::Socks5 => Socks::new(proxy, target).map(|(socks, greeting)| (Self::Socks(socks), greeting)),
            Scheme::Http | Scheme::Https if target.is_tls => {
                let (connect, request) = Connect::new(proxy, target);
                Ok((Self::Connect(connect), request))
            }
            Scheme::Http | Scheme::Https => Ok((Self::Forward, Vec::new())),
        }
    }

    /// Takes the proxy's next answer from the front of `received`.
    ///
    /// # Errors
    /// What the proxy refuses, or does not understand.
    pub fn read(&mut self, received: &mut Vec<u8>) -> Result<Step, Fault> {
        match self {
            Self::Forward => Ok(Step::Established),
            Self::Connect(connect) => Ok(match connect.read(received)? {
                Some(length) => {
                    received.drain(..length);
                    Step::Established
                }
                None => Step::Read,
            }),
            Self::Socks(socks) => Ok(match socks.read(received)? {
                SocksStep::Read => Step::Read,
                SocksStep::Send(bytes) => Step::Send(bytes),
                SocksStep::Established => Step::Established,
            }),
        }
    }
}

/// The fault when the proxy closes the connection during a handshake.
pub fn closed() -> Fault {
    Fault::new(FaultKind::ProxyProtocol, "the proxy closed the connection before the tunnel was established")
}
