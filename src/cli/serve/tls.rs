//! From the configuration to the TLS of the listener.

use std::sync::Arc;

use crate::cli::error::CliError;
use crate::config::{ClientAuth, Configuration};
use crate::http::{self, Tls, TlsFiles};

/// The TLS of the configuration, if it has one.
pub(in crate::cli) fn tls(configuration: &Configuration) -> Result<Option<Arc<Tls>>, CliError> {
    let Some(tls) = &configuration.tls else { return Ok(None) };
    let client = tls.client.clone().map(|(ca, auth)| {
        let auth = match auth {
            ClientAuth::Required => http::ClientAuth::Required,
            ClientAuth::Optional => http::ClientAuth::Optional,
        };
        (ca, auth)
    });
    let files = TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone(), client };
    let tls = Tls::load(files).map_err(|error| CliError::context("cannot use the files of [tls]", &error))?;
    Ok(Some(Arc::new(tls)))
}
