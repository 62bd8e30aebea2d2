//! TLS by rustls: certificate and key files, reloaded on demand; client certificates where a CA is configured.
//!
//! TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2. A reload touches new connections only; one that fails changes nothing.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use trusted_files::Readers;

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// Every client must present a certificate of the CA.
    Required,
    /// A client may present a certificate of the CA; an access token that is bound to one needs it.
    Optional,
}

/// The TLS files, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// Its private key, 0640 or stricter.
    pub key: PathBuf,
    /// The CA of client certificates, if the listener accepts any.
    pub client: Option<(PathBuf, ClientAuth)>,
}

/// Why the TLS material cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("cannot use {0}")]
    File(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Certificate and key do not belong together, or rustls refuses one of them.
    #[error("the certificate and key do not make a TLS server")]
    Unfit(#[source] rustls::Error),
}

/// The TLS of a listener.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing, readable for others, or not what it should be.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(server(&files)?));
        Ok(Self { files, current })
    }

    /// Reads the files again; open connections keep what they began with.
    ///
    /// # Errors
    /// As [`Tls::load`]; then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(server(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn server(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(&versions).map_err(TlsError::Unfit)?;
    let builder = match &files.client {
        None => builder.with_no_client_auth(),
        Some((ca, auth)) => builder.with_client_cert_verifier(verifier(ca, *auth, provider)?),
    };
    let mut server = builder
        .with_single_cert(certificates(&files.certificate)?, private_key(&files.key)?)
        .map_err(TlsError::Unfit)?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

fn verifier(
    ca: &Path,
    auth: ClientAuth,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| TlsError::File(ca.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| unusable(error.into()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let builder = match auth {
        ClientAuth::Required => builder,
        ClientAuth::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| unusable(error.into()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| TlsError::File(path.to_owned(), error);
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_reader_iter(open(path, Readers::Everyone)?).collect();
    let certificates = certificates.map_err(|error| unusable(error.into()))?;
    if certificates.is_empty() {
        Err(unusable("there is no certificate in it".into()))
    } else {
        Ok(certificates)
    }
}

/// Certificate tools make keys of mode 0600, or 0640 for a group of servers; anything wider is an accident.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_reader(open(path, Readers::OwnerAndGroup)?)
        .map_err(|error| TlsError::File(path.to_owned(), error.into()))
}

/// A file that no other user can change: a certificate is what clients trust, a CA is what this service trusts.
fn open(path: &Path, readers: Readers) -> Result<BufReader<File>, TlsError> {
    let file = trusted_files::open(path, readers);
    file.map(BufReader::new).map_err(|error| TlsError::File(path.to_owned(), error.into()))
}
