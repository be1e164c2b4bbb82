//! Sessions that can be resumed, so that a later handshake needs no certificates. rustls keys them by name;
//! here the port belongs to the key, because two services of one host do not share tickets. The way through a
//! proxy does not: tickets belong to the provider.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// How many servers are remembered. The one that was added first is forgotten first.
const SERVERS: usize = 64;
/// How many tickets of TLS 1.3 are kept for each. Each is used once.
const TICKETS: usize = 4;

/// What is remembered of all servers.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<VecDeque<Server>>);

#[derive(Debug)]
struct Server {
    name: ServerName<'static>,
    port: u16,
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tickets: VecDeque<Tls13ClientSessionValue>,
}

/// The sessions of one port, as rustls takes them.
#[derive(Debug)]
pub struct PortSessions {
    /// Where they are.
    pub sessions: Arc<Sessions>,
    /// Of this port.
    pub port: u16,
}

impl PortSessions {
    fn find<T>(&self, name: &ServerName<'_>, work: impl FnOnce(&mut Server) -> Option<T>) -> Option<T> {
        let mut servers = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = servers.iter_mut().find(|server| server.port == self.port && server.name == *name);
        found.and_then(work)
    }

    fn change(&self, name: ServerName<'static>, work: impl FnOnce(&mut Server)) {
        let mut servers = self.sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = servers.iter_mut().find(|server| server.port == self.port && server.name == name);
        if let Some(server) = found {
            return work(server);
        }
        if servers.len() >= SERVERS {
            servers.pop_front();
        }
        let mut server = Server { name, port: self.port, group: None, tls12: None, tickets: VecDeque::new() };
        work(&mut server);
        servers.push_back(server);
    }
}

impl ClientSessionStore for PortSessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.change(name, |server| server.group = Some(group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.find(name, |server| server.group)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.change(name, |server| server.tls12 = Some(value));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.find(name, |server| server.tls12.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.find(name, |server| server.tls12.take());
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.change(name, |server| {
            if server.tickets.len() >= TICKETS {
                server.tickets.pop_front();
            }
            server.tickets.push_back(value);
        });
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.find(name, |server| server.tickets.pop_back())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kept_apart_and_the_number_of_servers_is_bounded() {
        let sessions = Arc::new(Sessions::default());
        let at = |port| PortSessions { sessions: sessions.clone(), port };
        let name = |text: &str| ServerName::try_from(text.to_owned()).unwrap();
        at(443).set_kx_hint(name("a.example"), NamedGroup::secp384r1);
        assert_eq!(at(443).kx_hint(&name("a.example")), Some(NamedGroup::secp384r1));
        assert_eq!(at(8443).kx_hint(&name("a.example")), None);
        for number in 0..1000 {
            at(443).set_kx_hint(name(&format!("n{number}.example")), NamedGroup::X25519);
        }
        assert_eq!(sessions.0.lock().unwrap().len(), SERVERS);
        assert_eq!(at(443).kx_hint(&name("a.example")), None);
    }
}
