//! `[tls]`, and which listeners may do without it.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::reader::Reader;

/// `[tls]`, where a certificate is given.
#[derive(Debug)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The CA of clients' certificates, PEM, and whether every client must have one.
    pub client: Option<(PathBuf, ClientAuth)>,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Every client.
    Required,
    /// Those whose token is pinned to one.
    Optional,
}

pub(super) fn tls(reader: &mut Reader) -> Option<Tls> {
    let certificate = reader.path_or_none("tls.certificate");
    let key = reader.path_or_none("tls.key");
    let ca = reader.path_or_none("tls.client_ca");
    let auth = reader.choice(
        "tls.client_auth",
        "required",
        &[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)],
    );
    if ca.is_some() && certificate.is_none() {
        reader
            .mistake("tls.client_ca", "clients show certificates to a TLS server only: set tls.certificate");
    }
    match (certificate, key) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some(Tls { certificate, key, client: ca.map(|ca| (ca, auth)) }),
        (Some(_), None) => {
            reader.mistake("tls.key", "a certificate needs its private key");
            None
        }
        (None, Some(_)) => {
            reader.mistake("tls.certificate", "a private key needs its certificate");
            None
        }
    }
}

/// Where health is told; none where that is switched off.
pub(super) fn health_listen(reader: &mut Reader) -> Option<SocketAddr> {
    let text = reader.text("server.health_listen", "127.0.0.1:8255");
    if text.is_empty() {
        return None;
    }
    let address = text.parse().ok();
    if address.is_none() {
        reader.mistake("server.health_listen", format!("`{text}` is not an address and port, nor empty"));
    }
    address
}

/// What is said in the clear beyond this machine can be read and changed on the way, bearer tokens above all.
pub(super) fn refuse_clear_text(reader: &mut Reader, key: &str, address: SocketAddr) {
    if !address.ip().is_loopback() {
        reader.mistake(
            key,
            "plain HTTP is served on a loopback address only: set tls.certificate and tls.key, or \
             server.plain_http_beyond_loopback = true where a network of your own protects it",
        );
    }
}
