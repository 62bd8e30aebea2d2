//! `[tls]`.

use std::path::PathBuf;

use crate::config::kinds::{Choice, Optional, PATH};
use crate::config::reader::Reader;
use crate::config::section_macro::section;

section! {
    /// TLS 1.2 and 1.3 of the HTTP interface, with HTTP/1.1 and HTTP/2. SIGHUP reads the files again
    /// without closing a connection.
    ["tls"]
    pub(in crate::config) struct TlsSettings {
        /// Certificate chain, PEM. Empty: plain HTTP.
        certificate: Option<PathBuf> = "", Optional(PATH);
        /// Private key, PEM, not encrypted. Its file mode must be 0640 or stricter.
        key: Option<PathBuf> = "", Optional(PATH);
        /// Certificate authority of client certificates, PEM. Empty: clients need no certificate.
        client_ca: Option<PathBuf> = "", Optional(PATH);
        /// Whether every client must show a certificate of `tls.client_ca`, or may. An access token
        /// can be bound to one certificate: `avs-kms access-token issue --client-certificate`.
        client_auth: ClientAuth = "required", Choice(CLIENT_AUTH);
    }
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Every client must.
    Required,
    /// A client may; an access token that is bound to a certificate needs it.
    Optional,
}

const CLIENT_AUTH: &[(&str, ClientAuth)] =
    &[("required", ClientAuth::Required), ("optional", ClientAuth::Optional)];

/// The files of TLS, where a certificate is given.
#[derive(Debug)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The certificate authority of client certificates, PEM, and whether every client must have one.
    pub client: Option<(PathBuf, ClientAuth)>,
}

impl TlsSettings {
    /// The files, if TLS is configured.
    pub(in crate::config) fn files(self, reader: &mut Reader) -> Option<Tls> {
        let Self { certificate, key, client_ca, client_auth } = self;
        if client_ca.is_some() && certificate.is_none() {
            reader.error("tls.client_ca", "client certificates need TLS: set tls.certificate and tls.key");
        }
        match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(Tls { certificate, key, client: client_ca.map(|ca| (ca, client_auth)) })
            }
            (Some(_), None) => {
                reader.error("tls.key", "missing: a certificate needs its private key");
                None
            }
            (None, Some(_)) => {
                reader.error("tls.certificate", "missing: a private key needs its certificate");
                None
            }
        }
    }
}
