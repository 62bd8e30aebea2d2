//! The service that a signer's command calls, and the header of a request that an EOA signed.

use std::net::IpAddr;

use clap::Args;
use jiff::Timestamp;

use super::wallet::Signer;
use crate::auth::{Audience, LONGEST_LIFE, RequestToSign, body_hash};
use crate::cli::error::Failed;

#[derive(Debug, Args)]
pub(super) struct Service {
    /// The service.
    #[arg(long, env = "AVS_KMS_URL", default_value = "http://127.0.0.1:8254")]
    pub(super) url: String,
    /// What the service calls itself (its auth.url), where that is not the URL that it is reached by.
    #[arg(long, value_name = "URL")]
    audience: Option<String>,
}

impl Service {
    /// How the service names itself; the chain is in its messages.
    pub(super) fn audience(&self, chain_id: u64) -> Result<Audience, Failed> {
        let url = self.audience.as_ref().unwrap_or(&self.url);
        Audience::new(url, chain_id).map_err(|error| Failed::usage(format!("{url}: {error}")))
    }

    pub(super) fn reached(&self, plain_http: bool) -> Result<Audience, Failed> {
        let reached =
            Audience::new(&self.url, 0).map_err(|error| Failed::usage(format!("{}: {error}", self.url)))?;
        let host = reached.domain().rsplit_once(':').map_or(reached.domain(), |(host, _)| host);
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if reached.uri().starts_with("http://") && !here && !plain_http {
            return Err(Failed::usage(format!(
                "{} is neither https nor this machine; --plain-http sends the token in the clear",
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
) -> Result<String, Failed> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| Failed::new(format!("no randomness: {error}")))?;
    let issued = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let expires = issued.saturating_add(LONGEST_LIFE);
    let request =
        RequestToSign { audience, method, path, body_hash: body_hash(body), issued, expires, nonce };
    let shown = request.typed_data().to_string();
    let signature =
        signer.sign(&request.digest(), &shown, "eth_signTypedData_v4, cast wallet sign --data")?;
    Ok(request.credentials(&signer.eoa()) + &signature)
}
