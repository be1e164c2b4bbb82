//! What is said of a handshake that failed: what is wrong, and what to do.

use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::fault::{Fault, FaultKind, printable};

/// The most names of a certificate that are listed.
const NAMES: usize = 3;

/// The fault that an error of rustls means.
pub fn fault_of(error: &Error) -> Fault {
    match error {
        Error::InvalidCertificate(certificate) => {
            Fault::new(FaultKind::UpstreamCertificate, certificate_words(certificate))
        }
        Error::NoCertificatesPresented => Fault::new(FaultKind::UpstreamCertificate, "it shows no certificate"),
        error => tls_fault(&connection_words(error)),
    }
}

/// The fault of a connection that failed for another reason than its certificate.
pub fn tls_fault(what: &str) -> Fault {
    Fault::new(FaultKind::UpstreamTls, what)
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "its issuer is not known (UnknownIssuer). A provider has to send its \
             intermediate certificates; the authority of a proxy that opens TLS belongs in proxy.ca"
            .to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().take(NAMES).map(|name| bare_name(name)).collect();
            let listed = printable(names.join(", ").as_bytes());
            let more = if presented.len() > NAMES { ", ..." } else { "" };
            let expected = expected.to_str();
            format!("it is not valid for {expected}, but for: {listed}{more}. Check the host of base_url")
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("it expired {} ago. Whoever runs the host has to renew it", rounded(ago))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let left = not_before.as_secs().saturating_sub(time.as_secs());
            format!("it is not valid yet, but in {}. Check the clock of this machine", rounded(left))
        }
        other => {
            let words = printable(Error::InvalidCertificate(other.clone()).to_string().as_bytes());
            // webpki's own error, which rustls passes on.
            let is_authority = words.contains("CaUsedAsEndEntity");
            let advice =
                if is_authority { ". It is an authority's own: the host needs one that is signed by it" } else { "" };
            words + advice
        }
    }
}

/// `host` of `DnsName("host")`, as rustls has names.
fn bare_name(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

/// A time in its largest unit.
fn rounded(seconds: u64) -> String {
    let minutes = Duration::from_secs(seconds).as_secs() / 60;
    match minutes {
        0 => "less than a minute".to_owned(),
        1..60 => format!("{minutes} minutes"),
        60..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

fn connection_words(error: &Error) -> String {
    let words = printable(error.to_string().as_bytes());
    let advice = match error {
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | Error::PeerIncompatible(_) => {
            "The provider has to offer TLS 1.3, or TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => "The provider has to offer TLS 1.2 or 1.3",
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            "The provider has to offer HTTP/1.1: calls through a proxy do not speak HTTP/2"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "What answers does not speak TLS: for plain HTTP, base_url begins with http://"
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => "Check the host of base_url",
        _ => return words,
    };
    format!("{words}. {advice}")
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn certificate(error: CertificateError) -> String {
        let fault = fault_of(&Error::InvalidCertificate(error));
        assert_eq!(fault.kind, FaultKind::UpstreamCertificate);
        fault.message
    }

    #[test]
    fn a_certificate_is_refused_in_plain_words() {
        let expected = ServerName::try_from("api.example").unwrap();
        let presented: Vec<String> = ["a", "b", "c", "d"].iter().map(|name| format!("DnsName(\"{name}\")")).collect();
        assert_eq!(
            certificate(CertificateError::NotValidForNameContext { expected, presented }),
            "it is not valid for api.example, but for: a, b, c, .... Check the host of base_url"
        );
        for (seconds, words) in
            [(59, "less than a minute"), (120, "2 minutes"), (7200, "2 hours"), (864_000, "10 days")]
        {
            let expired = CertificateError::ExpiredContext { time: at(1_000_000 + seconds), not_after: at(1_000_000) };
            assert!(certificate(expired).starts_with(&format!("it expired {words} ago. ")));
            let early =
                CertificateError::NotValidYetContext { time: at(1_000_000), not_before: at(1_000_000 + seconds) };
            assert!(certificate(early).contains(&format!("not valid yet, but in {words}. ")));
        }
        assert!(certificate(CertificateError::UnknownIssuer).contains("belongs in proxy.ca"));
        assert_eq!(certificate(CertificateError::Revoked), "invalid peer certificate: Revoked");
    }

    #[test]
    fn names_of_a_certificate_are_printable_and_cut() {
        let expected = ServerName::try_from("api.example").unwrap();
        let presented = vec![format!("DnsName(\"\x1b{}\")", "x".repeat(500))];
        let words = certificate(CertificateError::NotValidForNameContext { expected, presented });
        assert!(words.len() < 250 && words.contains("for: ?xxx"), "{words}");
    }

    #[test]
    fn other_failures_say_what_the_provider_has_to_offer() {
        for (error, words) in [
            (Error::AlertReceived(AlertDescription::HandshakeFailure), "ECDHE and AES-GCM"),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), "HTTP/1.1"),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), "begins with http://"),
            (Error::DecryptError, "decrypt"),
        ] {
            let fault = fault_of(&error);
            assert_eq!(fault.kind, FaultKind::UpstreamTls);
            assert!(fault.message.contains(words), "{}", fault.message);
        }
    }
}
