//! The service that a signer's command calls, and the header of a request that an EOA signed.

use std::net::IpAddr;

use crate::clock::Clock;
use clap::Args;

use super::wallet::Signer;
use crate::auth::{Audience, InstallationId, LONGEST_LIFE, RequestToSign, body_hash};
use crate::cli::error::CliError;

#[derive(Debug, Args)]
pub(super) struct Service {
    /// URL of the service
    #[arg(long, env = "AVS_KMS_URL", default_value = "http://127.0.0.1:8254")]
    pub(super) url: String,
    /// auth.public_url of the service, if it differs from --url
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
    /// Installation id of the service, as `avs-kms init` and its login challenges show it
    ///
    /// Everything that is signed names it, so that no other service with the same URL accepts it.
    #[arg(long, env = "AVS_KMS_INSTALLATION", value_name = "ID")]
    pub(super) installation: Option<InstallationId>,
}

impl Service {
    /// The name of the service in signed messages. Chain id and installation are known from its messages.
    pub(super) fn audience(&self, chain_id: u64, installation: InstallationId) -> Result<Audience, CliError> {
        let url = self.audience.as_ref().unwrap_or(&self.url);
        Audience::new(url, chain_id, installation).map_err(|error| CliError::usage(format!("{url}: {error}")))
    }

    /// The name of the service in a signed request, which is signed before the service has said anything.
    pub(super) fn request_audience(&self) -> Result<Audience, CliError> {
        let installation = self.installation.ok_or_else(|| {
            CliError::usage(
                "a signed request names the installation that it is for: add --installation with the id that \
                 `avs-kms init` and every login challenge of the service show; nothing was signed",
            )
        })?;
        self.audience(0, installation)
    }

    /// The service that the URL names, unless an access token would travel unencrypted.
    pub(super) fn reached(&self, plain_http: bool) -> Result<Audience, CliError> {
        let reached = Audience::new(&self.url, 0, InstallationId::new([0; 16]))
            .map_err(|error| CliError::usage(format!("{}: {error}", self.url)))?;
        let host = reached.domain().rsplit_once(':').map_or(reached.domain(), |(host, _)| host);
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if reached.uri().starts_with("http://") && !here && !plain_http {
            return Err(CliError::usage(format!(
                "{} is neither https nor this machine; nothing was sent; --plain-http sends the access token unencrypted",
                self.url
            )));
        }
        Ok(reached)
    }
}

/// The header of a signed request.
pub(super) fn authorization(
    signer: &Signer,
    audience: &Audience,
    method: &str,
    path: &str,
    body: &[u8],
) -> Result<String, CliError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)
        .map_err(|error| CliError::new(format!("cannot sign: the kernel returned no randomness: {error}")))?;
    let issued = u64::try_from(Clock::system().now().as_second()).unwrap_or_default();
    let expires = issued.saturating_add(LONGEST_LIFE);
    let request =
        RequestToSign { audience, method, path, body_hash: body_hash(body), issued, expires, nonce };
    let shown = request.typed_data().to_string();
    let signature =
        signer.sign(&request.digest(), &shown, "eth_signTypedData_v4, cast wallet sign --data")?;
    Ok(request.credentials(&signer.eoa()) + &signature)
}
