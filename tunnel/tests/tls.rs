//! The provider of cryptography, and TLS on it, against rustls' own server with another provider (ring).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may insist")]

mod support;

use std::sync::Arc;

use llm_bridge_tunnel::fault::{Fault, FaultKind};
use llm_bridge_tunnel::tls::TlsConnection;
use proptest::prelude::*;
use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedCipherSuite};

use support::*;

const EC: [Kind; 3] = [Kind::P256, Kind::P256, Kind::P256];
const RSA: [Kind; 3] = [Kind::Rsa, Kind::Rsa, Kind::Rsa];

fn kind(client: &TlsConnection) -> HandshakeKind {
    client.negotiated().2.unwrap()
}

/// Both sides send and receive 100 KB.
fn exchange(client: &mut TlsConnection, server: &mut Server) {
    let data: Vec<u8> = (0..100_000u32).map(|number| number.to_le_bytes()[0]).collect();
    client.write(&data).unwrap();
    server.write(&data);
    converse(client, server, 7777).unwrap();
    assert!(server.received == data);
    assert!(client.take_plaintext() == data);
}

fn suites(suites: &[SupportedCipherSuite]) -> Offer {
    Offer { suites: suites.to_vec(), ..Offer::default() }
}

#[test]
fn every_suite_works_with_every_group() {
    let (ec, rsa) = (chain(EC), chain(RSA));
    for suite in cipher_suite_list() {
        let is_rsa = format!("{suite:?}").contains("_RSA_");
        let chain = if is_rsa { &rsa } else { &ec };
        for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] {
            let offer = Offer { groups: vec![group], ..suites(&[suite]) };
            let offer = Offer { versions: vec![suite.version()], ..offer };
            let (mut client, mut server) = handshake(&context(&chain.root), &server_config(chain, &offer)).unwrap();
            assert_eq!(client.negotiated().1.unwrap().suite(), suite.suite());
            let asks_again = suite.version() == &TLS13 && group.name() != kx_group::X25519.name();
            let expected = if asks_again { HandshakeKind::FullWithHelloRetryRequest } else { HandshakeKind::Full };
            assert_eq!(kind(&client), expected, "{suite:?} {group:?}");
            exchange(&mut client, &mut server);
        }
    }
}

fn cipher_suite_list() -> Vec<SupportedCipherSuite> {
    let all = rustls::crypto::ring::ALL_CIPHER_SUITES.to_vec();
    assert_eq!(all.len(), 9);
    all
}

#[test]
fn chacha20_is_asked_for_first() {
    let chain = chain(EC);
    let mut config = Arc::unwrap_or_clone(server_config(&chain, &Offer::default()));
    config.ignore_client_order = false;
    let (client, _) = handshake(&context(&chain.root), &Arc::new(config)).unwrap();
    let chosen = client.negotiated().1.unwrap().suite();
    assert_eq!(chosen, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256.suite());
}

#[test]
fn chains_of_all_kinds_are_verified() {
    use Kind::{P256, P384, Rsa};
    for kinds in
        [EC, RSA, [P384, P384, P256], [P384, P384, P384], [Rsa, P256, P384], [P256, Rsa, P256], [P384, P256, Rsa]]
    {
        let chain = chain(kinds);
        for version in [&TLS13, &TLS12] {
            let config = server_config(&chain, &Offer::version(version));
            let done = handshake(&context(&chain.root), &config).map(|(client, _)| kind(&client));
            assert_eq!(done, Ok(HandshakeKind::Full), "{kinds:?} {version:?}");
        }
    }
}

#[test]
fn an_address_can_be_in_a_certificate() {
    let chain = chain_with(EC, &["127.0.0.1"], |_| {});
    let config = server_config(&chain, &Offer::default());
    assert!(handshake_at(&context(&chain.root), &config, "https://127.0.0.1:8443").is_ok());
    let fault = handshake_at(&context(&chain.root), &config, "https://127.0.0.2").err().unwrap();
    assert_eq!(fault.kind, FaultKind::UpstreamCertificate);
}

fn refused(chain: &Chain, roots: &str) -> Fault {
    let mut faults = Vec::new();
    for version in [&TLS13, &TLS12] {
        let config = server_config(chain, &Offer::version(version));
        faults.push(handshake(&context(roots), &config).err().unwrap());
    }
    assert_eq!(faults[0], faults[1]);
    assert!(!faults[0].sent);
    faults.remove(0)
}

fn certificate_refused(chain: &Chain, roots: &str, words: &str) {
    let fault = refused(chain, roots);
    assert_eq!(fault.kind, FaultKind::UpstreamCertificate, "{fault}");
    assert!(fault.message.contains(words), "{fault}");
}

#[test]
fn certificates_that_do_not_fit_are_refused() {
    let other = chain(EC);
    certificate_refused(&other, "", "UnknownIssuer");
    certificate_refused(&other, &chain(EC).root, "UnknownIssuer");

    let wrong = chain_with(EC, &["wrong.example"], |_| {});
    certificate_refused(&wrong, &wrong.root, "not valid for api.example, but for: wrong.example");
    let wild = chain_with(EC, &["*.api.example"], |_| {});
    let config = server_config(&wild, &Offer::default());
    assert!(handshake_at(&context(&wild.root), &config, "https://eu.api.example").is_ok());
    let deeper = chain_with(EC, &["*.api.example"], |_| {});
    certificate_refused(&deeper, &deeper.root, "not valid for api.example, but for: *.api.example");

    let expired = chain_with(EC, &["api.example"], |params| params.not_after = rcgen::date_time_ymd(2029, 1, 1));
    certificate_refused(&expired, &expired.root, "expired");
    let early = chain_with(EC, &["api.example"], |params| params.not_before = rcgen::date_time_ymd(2031, 1, 1));
    certificate_refused(&early, &early.root, "not valid yet");

    let mut short = chain(EC);
    short.certificates.truncate(1);
    certificate_refused(&short, &short.root, "UnknownIssuer");

    certificate_refused(&self_signed(), "", "UnknownIssuer");
    certificate_refused(&self_signed(), &other.root, "UnknownIssuer");
}

fn self_signed() -> Chain {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["api.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    Chain { root: String::new(), certificates: vec![certificate.der().clone()], key: der.into() }
}

#[test]
fn a_certificate_for_an_authority_below_a_leaf_is_refused() {
    let mut chain = chain(EC);
    chain.certificates[1] = chain.certificates[0].clone();
    certificate_refused(&chain, &chain.root, "UnknownIssuer");
}

#[test]
fn ed25519_is_not_offered() {
    let chain = chain([Kind::P256, Kind::P256, Kind::Ed25519]);
    let mut client = context(&chain.root).connect(&target("https://api.example")).unwrap();
    let mut server = Server::new(&server_config(&chain, &Offer::default()));
    let _ = converse(&mut client, &mut server, 1000);
    assert!(client.is_handshaking() && server.error.is_some(), "the server has no key that the client asks for");
}

#[test]
fn a_server_without_a_common_suite_or_protocol_is_told_from_a_bad_certificate() {
    let chain = chain(EC);
    let mut offer = suites(&[cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]);
    offer.versions = vec![&TLS12];
    let fault = handshake(&context(&chain.root), &server_config(&chain, &offer)).err().unwrap();
    assert_eq!(fault.kind, FaultKind::UpstreamTls);
    assert!(fault.message.contains("HandshakeFailure"), "{fault}");

    let offer = Offer { protocols: vec![b"h2".to_vec()], ..Offer::default() };
    let fault = handshake(&context(&chain.root), &server_config(&chain, &offer)).err().unwrap();
    assert_eq!(fault.kind, FaultKind::UpstreamTls);
    assert!(fault.message.contains("NoApplicationProtocol"), "{fault}");
}

/// Signs handshakes, with one bit wrong.
#[derive(Debug)]
struct Forger(Arc<CertifiedKey>);

#[derive(Debug)]
struct ForgingKey(Arc<dyn SigningKey>);

#[derive(Debug)]
struct ForgingSigner(Box<dyn Signer>);

impl ResolvesServerCert for Forger {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

impl SigningKey for ForgingKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        self.0.choose_scheme(offered).map(|signer| Box::new(ForgingSigner(signer)) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

impl Signer for ForgingSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut signature = self.0.sign(message)?;
        *signature.last_mut().unwrap() ^= 1;
        Ok(signature)
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}

fn forging(chain: &Chain, offer: &Offer) -> Arc<ServerConfig> {
    let key = offer.provider().key_provider.load_private_key(chain.key.clone_key()).unwrap();
    let certified = CertifiedKey::new(chain.certificates.clone(), Arc::new(ForgingKey(key)));
    let mut config = Arc::unwrap_or_clone(server_config(chain, offer));
    config.cert_resolver = Arc::new(Forger(Arc::new(certified)));
    Arc::new(config)
}

#[test]
fn a_forged_handshake_is_refused_also_when_the_chain_is_remembered() {
    for kinds in [EC, RSA, [Kind::P384, Kind::P384, Kind::P384]] {
        let chain = chain(kinds);
        for version in [&TLS13, &TLS12] {
            let offer = Offer::version(version);
            // Contexts of their own, or the session would be resumed.
            assert!(handshake(&context(&chain.root), &server_config(&chain, &offer)).is_ok());
            let fault = handshake(&context(&chain.root), &forging(&chain, &offer)).err().unwrap();
            assert!(fault.message.contains("BadSignature"), "{kinds:?} {version:?} {fault}");
        }
    }
}

#[test]
fn a_forged_certificate_is_refused_also_when_the_true_one_is_remembered() {
    for kinds in [EC, RSA] {
        let mut chain = chain(kinds);
        let roots = chain.root.clone();
        assert!(handshake(&context(&roots), &server_config(&chain, &Offer::default())).is_ok());
        for certificate in 0..2 {
            let whole = chain.certificates[certificate].clone();
            let mut forged = whole.to_vec();
            *forged.last_mut().unwrap() ^= 1;
            chain.certificates[certificate] = forged.into();
            certificate_refused(&chain, &roots, "BadSignature");
            chain.certificates[certificate] = whole;
        }
    }
}

#[test]
fn sessions_are_resumed_by_host_and_port() {
    let chain = chain_with(EC, &["api.example", "other.example"], |_| {});
    for version in [&TLS13, &TLS12] {
        let config = server_config(&chain, &Offer::version(version));
        let context = context(&chain.root);
        let connect = |url| {
            let (mut client, mut server) = handshake_at(&context, &config, url).unwrap();
            exchange(&mut client, &mut server);
            kind(&client)
        };
        assert_eq!(connect("https://api.example"), HandshakeKind::Full, "{version:?}");
        assert_eq!(connect("https://api.example"), HandshakeKind::Resumed, "{version:?}");
        assert_eq!(connect("https://api.example:8443"), HandshakeKind::Full, "{version:?}");
        assert_eq!(connect("https://other.example"), HandshakeKind::Full, "{version:?}");
        let elsewhere = support::context(&chain.root);
        let (client, _) = handshake(&elsewhere, &config).unwrap();
        assert_eq!(kind(&client), HandshakeKind::Full, "contexts do not share sessions");
    }
}

#[test]
fn a_changed_record_is_refused_and_what_came_before_is_kept() {
    let chain = chain(EC);
    for suite in cipher_suite_list().into_iter().filter(|suite| !format!("{suite:?}").contains("_RSA_")) {
        let offer = Offer { versions: vec![suite.version()], ..suites(&[suite]) };
        let (mut client, mut server) = handshake(&context(&chain.root), &server_config(&chain, &offer)).unwrap();
        client.take_plaintext();
        server.write(b"good");
        let mut records = server.output();
        server.write(b"changed");
        let mut changed = server.output();
        *changed.last_mut().unwrap() ^= 1;
        records.extend(changed);
        let fault = client.receive(&records).unwrap_err();
        assert_eq!(fault.kind, FaultKind::UpstreamTls, "{suite:?}");
        assert_eq!(client.take_plaintext(), b"good", "{suite:?}");
        assert!(!client.has_closed());
    }
}

#[test]
fn only_a_close_notify_is_a_clean_end() {
    let chain = chain(EC);
    let (mut client, mut server) = handshake(&context(&chain.root), &server_config(&chain, &Offer::default())).unwrap();
    assert!(!client.has_closed());
    server.connection.send_close_notify();
    client.receive(&server.output()).unwrap();
    assert!(client.has_closed());
    client.receive(b"ignored").unwrap();
}

#[test]
fn roots_that_cannot_be_read_are_refused() {
    for roots in ["certs/corporate.pem", "-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----"] {
        let provider = Arc::new(Offer::default().provider());
        let clock = Arc::new(rustls::time_provider::DefaultTimeProvider);
        let fault = llm_bridge_tunnel::tls::TlsContext::new(provider, clock, roots).unwrap_err();
        assert_eq!(fault.kind, FaultKind::InvalidCall, "{roots}");
    }
}

/// Where the header of each record has its minor version, which nothing protects and receivers of TLS ignore.
fn minor_versions(flight: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut record = 0;
    while record + 5 <= flight.len() {
        places.push(record + 2);
        record += 5 + usize::from(u16::from_be_bytes([flight[record + 3], flight[record + 4]]));
    }
    places
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes instead of a server's handshake, and wherever it is cut or changed, nothing panics, and
    /// a changed handshake never succeeds unnoticed by both sides.
    #[test]
    fn hostile_bytes_do_no_harm(at in 0usize..3000, value in 1u8..=255, tail in proptest::collection::vec(any::<u8>(), 0..64)) {
        let chain = chain(EC);
        let mut client = context(&chain.root).connect(&target("https://api.example")).unwrap();
        let mut server = Server::new(&server_config(&chain, &Offer::default()));
        let mut hello = Vec::new();
        client.take_output(&mut hello);
        server.receive(&hello);
        let mut flight = server.output();
        let is_ignored = minor_versions(&flight).contains(&at);
        if let Some(byte) = flight.get_mut(at) {
            *byte ^= value;
        }
        flight.extend(&tail);
        let _ = client.receive(&flight);
        let mut output = Vec::new();
        client.take_output(&mut output);
        server.receive(&output);
        let is_established = !client.is_handshaking() && !server.connection.is_handshaking() && server.error.is_none();
        prop_assert!(!is_established || is_ignored || at >= flight.len() - tail.len());
    }
}
