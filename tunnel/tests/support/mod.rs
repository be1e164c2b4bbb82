//! Certificates that are made for each test, rustls' own server on ring, and pipes between them in memory.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llm_bridge_tunnel::crypto::provider;
use llm_bridge_tunnel::fault::Fault;
use llm_bridge_tunnel::target::Target;
use llm_bridge_tunnel::tls::{TlsConnection, TlsContext};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use rcgen::{PKCS_ED25519, PKCS_RSA_SHA256};
use rustls::crypto::{CryptoProvider, GetRandomFailed, SupportedKxGroup};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion};

/// The time of all tests: in 2030.
pub const NOW: u64 = 1_900_000_000;

#[derive(Debug)]
struct FixedClock;

impl TimeProvider for FixedClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(NOW)))
    }
}

fn random(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    rustls::crypto::ring::default_provider().secure_random.fill(bytes)
}

/// A context of the crate under test.
pub fn context(roots: &str) -> Arc<TlsContext> {
    Arc::new(TlsContext::new(Arc::new(provider(random)), Arc::new(FixedClock), roots).unwrap())
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    P256,
    P384,
    Rsa,
    Ed25519,
}

fn key(kind: Kind) -> KeyPair {
    match kind {
        Kind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
        Kind::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        Kind::Ed25519 => KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        // ring makes no keys of RSA.
        Kind::Rsa => {
            let der = PrivatePkcs8KeyDer::from(&include_bytes!("rsa2048.key.der")[..]);
            KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256).unwrap()
        }
    }
}

/// A server's certificates: root, intermediate, leaf.
pub struct Chain {
    /// The root in PEM.
    pub root: String,
    /// Leaf and intermediate.
    pub certificates: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

pub fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

/// A leaf for `names`, which `change` may alter, below an intermediate below a root.
pub fn chain_with(kinds: [Kind; 3], names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Chain {
    let [root_key, intermediate_key, leaf_key] = kinds.map(key);
    // Authorities of one name and different keys are told apart by signatures only.
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, format!("{name} {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root = authority("root").self_signed(&root_key).unwrap();
    let intermediate = authority("intermediate").signed_by(&intermediate_key, &root, &root_key).unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let leaf = params.signed_by(&leaf_key, &intermediate, &intermediate_key).unwrap();
    Chain {
        root: pem(root.der()),
        certificates: vec![leaf.der().clone(), intermediate.der().clone()],
        key: PrivatePkcs8KeyDer::from(leaf_key.serialize_der()).into(),
    }
}

pub fn chain(kinds: [Kind; 3]) -> Chain {
    chain_with(kinds, &["api.example"], |_| {})
}

/// What a server offers; everything unless it is stated.
pub struct Offer {
    pub versions: Vec<&'static SupportedProtocolVersion>,
    pub suites: Vec<SupportedCipherSuite>,
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    pub protocols: Vec<Vec<u8>>,
}

impl Default for Offer {
    fn default() -> Self {
        let ring = rustls::crypto::ring::default_provider();
        Self {
            versions: vec![&rustls::version::TLS13, &rustls::version::TLS12],
            suites: ring.cipher_suites,
            groups: ring.kx_groups,
            protocols: vec![b"http/1.1".to_vec()],
        }
    }
}

impl Offer {
    pub fn version(version: &'static SupportedProtocolVersion) -> Self {
        Self { versions: vec![version], ..Self::default() }
    }

    pub fn provider(&self) -> CryptoProvider {
        let ring = rustls::crypto::ring::default_provider();
        CryptoProvider { cipher_suites: self.suites.clone(), kx_groups: self.groups.clone(), ..ring }
    }
}

/// The configuration of a server.
pub fn server_config(chain: &Chain, offer: &Offer) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(offer.provider()));
    let builder = builder.with_protocol_versions(&offer.versions).unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain.certificates.clone(), chain.key.clone_key()).unwrap();
    config.alpn_protocols = offer.protocols.clone();
    Arc::new(config)
}

/// A server behind a pipe.
pub struct Server {
    pub connection: ServerConnection,
    pub received: Vec<u8>,
    pub error: Option<rustls::Error>,
}

impl Server {
    pub fn new(config: &Arc<ServerConfig>) -> Self {
        let mut connection = ServerConnection::new(config.clone()).unwrap();
        connection.set_buffer_limit(None);
        Self { connection, received: Vec::new(), error: None }
    }

    pub fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.error.is_none() {
            self.connection.read_tls(&mut bytes).unwrap();
            if let Err(error) = self.connection.process_new_packets() {
                self.error = Some(error);
            }
            // `WouldBlock` at the end of what has come.
            let _ = self.connection.reader().read_to_end(&mut self.received);
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.connection.writer().write_all(bytes).unwrap();
    }

    pub fn output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut output).unwrap();
        }
        output
    }
}

pub fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

/// Moves bytes until neither side has more to say, in pieces of `step` bytes towards the client.
pub fn converse(client: &mut TlsConnection, server: &mut Server, step: usize) -> Result<(), Fault> {
    loop {
        let mut output = Vec::new();
        client.take_output(&mut output);
        server.receive(&output);
        let answer = server.output();
        if output.is_empty() && answer.is_empty() {
            return Ok(());
        }
        for piece in answer.chunks(step) {
            if let Err(fault) = client.receive(piece) {
                let mut alert = Vec::new();
                client.take_output(&mut alert);
                server.receive(&alert);
                return Err(fault);
            }
        }
    }
}

/// A handshake with `https://api.example`.
pub fn handshake(context: &TlsContext, config: &Arc<ServerConfig>) -> Result<(TlsConnection, Server), Fault> {
    handshake_at(context, config, "https://api.example")
}

pub fn handshake_at(
    context: &TlsContext,
    config: &Arc<ServerConfig>,
    url: &str,
) -> Result<(TlsConnection, Server), Fault> {
    let mut client = context.connect(&target(url)).unwrap();
    let mut server = Server::new(config);
    converse(&mut client, &mut server, 1000)?;
    assert!(!client.is_handshaking(), "{:?}", server.error);
    Ok((client, server))
}
