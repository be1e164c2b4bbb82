//! What all connections share: roots, suites, sessions.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::connection::TlsConnection;
use super::pem;
use super::sessions::{PortSessions, Sessions};
use crate::fault::{Fault, FaultKind};
use crate::target::Target;

/// The only protocol that is spoken inside (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// Settings of TLS for one set of trusted roots. Sessions are resumed within a context, never across.
#[derive(Debug)]
pub struct TlsContext {
    config: ClientConfig,
    sessions: Arc<Sessions>,
}

impl TlsContext {
    /// Trusts the roots of Mozilla, and those in `extra_roots`: certificates in PEM, or an empty text.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] if `extra_roots` is no PEM text with certificates.
    pub fn new(provider: Arc<CryptoProvider>, clock: Arc<dyn TimeProvider>, extra_roots: &str) -> Result<Self, Fault> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        add_roots(&mut roots, extra_roots)?;
        let builder = ClientConfig::builder_with_details(provider, clock).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Fault::new(FaultKind::UpstreamTls, error.to_string()))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config, sessions: Arc::default() })
    }

    /// Begins a handshake.
    ///
    /// # Errors
    /// [`FaultKind::InvalidCall`] for a host that cannot be in a certificate, [`FaultKind::UpstreamTls`]
    /// without randomness.
    pub fn connect(&self, target: &Target) -> Result<TlsConnection, Fault> {
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| Fault::new(FaultKind::InvalidCall, "the provider's host is no valid DNS name or address"))?;
        let mut config = self.config.clone();
        let sessions = PortSessions { sessions: self.sessions.clone(), port: target.port };
        config.resumption = Resumption::store(Arc::new(sessions));
        match ClientConnection::new(Arc::new(config), name) {
            Ok(connection) => Ok(TlsConnection::new(connection)),
            Err(error) => Err(Fault::new(FaultKind::UpstreamTls, format!("TLS cannot begin: {error}"))),
        }
    }
}

fn add_roots(roots: &mut RootCertStore, text: &str) -> Result<(), Fault> {
    let invalid = |what: &str| Fault::new(FaultKind::InvalidCall, format!("`ca` {what}"));
    let certificates = pem::certificates(text).ok_or_else(|| invalid("holds a damaged PEM block"))?;
    if certificates.is_empty() && !text.trim().is_empty() {
        return Err(invalid("holds no certificate in PEM"));
    }
    for certificate in certificates {
        let added = roots.add(CertificateDer::from(certificate));
        added.map_err(|_| invalid("holds a certificate that cannot be read"))?;
    }
    Ok(())
}
