//! One connection: records in, plaintext out, and the other way round.

use std::io::{ErrorKind, Read, Write};

use rustls::{ClientConnection, HandshakeKind, ProtocolVersion, SupportedCipherSuite};

use super::words::{fault_of, tls_fault};
use crate::fault::Fault;

/// How much plaintext is taken from rustls at once: a record.
const PLAINTEXT: usize = 16 << 10;

/// A client's side of TLS.
#[derive(Debug)]
pub struct TlsConnection {
    connection: ClientConnection,
    plaintext: Vec<u8>,
    has_closed: bool,
}

impl TlsConnection {
    pub(super) fn new(mut connection: ClientConnection) -> Self {
        // The caller bounds what it writes, and takes the records at once.
        connection.set_buffer_limit(None);
        Self { connection, plaintext: Vec::new(), has_closed: false }
    }

    /// Whether nothing can be written yet.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer said that it sends no more. A connection that ends otherwise was cut.
    pub fn has_closed(&self) -> bool {
        self.has_closed
    }

    /// Takes records in. Plaintext before a fault can still be taken, and so can the alert that it caused.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamCertificate`](crate::fault::FaultKind), [`FaultKind::UpstreamTls`](crate::fault::FaultKind).
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() && !self.has_closed {
            // Fails only if plaintext was left in rustls, or the peer's records do not fit its buffer.
            let count = self.connection.read_tls(&mut bytes).map_err(|_| tls_fault("records are too large"))?;
            let processed = self.connection.process_new_packets();
            self.take_from_reader();
            self.has_closed = processed.map_err(|error| fault_of(&error))?.peer_has_closed();
            if count == 0 {
                break;
            }
        }
        Ok(())
    }

    fn take_from_reader(&mut self) {
        loop {
            let start = self.plaintext.len();
            self.plaintext.resize(start + PLAINTEXT, 0);
            let read = self.connection.reader().read(self.plaintext.get_mut(start..).unwrap_or_default());
            match read {
                Ok(count) if count > 0 => self.plaintext.truncate(start + count),
                Err(error) if error.kind() == ErrorKind::Interrupted => self.plaintext.truncate(start),
                // The end, or nothing for now.
                _ => return self.plaintext.truncate(start),
            }
        }
    }

    /// What was decrypted since the last call.
    pub fn take_plaintext(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.plaintext)
    }

    /// Encrypts bytes. The records are among the output.
    ///
    /// # Errors
    /// [`FaultKind::UpstreamTls`](crate::fault::FaultKind) after the connection has failed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let written = self.connection.writer().write_all(bytes);
        written.map_err(|_| tls_fault("the connection takes no more"))
    }

    /// Says that nothing more will be written.
    pub fn close(&mut self) {
        self.connection.send_close_notify();
    }

    /// Appends the records that are to be sent.
    pub fn take_output(&mut self, output: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // Writing to memory does not fail.
            if self.connection.write_tls(output).is_err() {
                return;
            }
        }
    }

    /// What was negotiated, for tests and for measuring.
    pub fn negotiated(&self) -> (Option<ProtocolVersion>, Option<SupportedCipherSuite>, Option<HandshakeKind>) {
        (
            self.connection.protocol_version(),
            self.connection.negotiated_cipher_suite(),
            self.connection.handshake_kind(),
        )
    }
}

/// The fault when the connection ends in a handshake.
pub fn closed_in_handshake() -> Fault {
    tls_fault(
        "the connection ended in the handshake. Either the proxy does not reach the provider, or it speaks no TLS",
    )
}
