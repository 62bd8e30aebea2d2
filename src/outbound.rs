//! Calls that leave this machine: webhooks and the JSON-RPC of a chain.
//!
//! Bounded in every direction: a deadline, no redirects, no proxy from the environment, an answer of at most
//! [`MAX_ANSWER_BYTES`]. Not for: retries, and what the bytes mean; callers know both.

use std::fmt;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use thiserror::Error;

/// The largest answer that is read, bytes: `eth_call` results and acknowledgements are far smaller.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Where a call goes. Shown without user, password, path and query: providers put their API keys there.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

/// The text is not the address of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a URL such as https://host/path")]
pub struct ParseEndpointError;

impl std::str::FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        let url: Url = text.parse().map_err(|_| ParseEndpointError)?;
        let usable = matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none();
        if usable { Ok(Self(url)) } else { Err(ParseEndpointError) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Reply {
    /// Whether the status is 2xx.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

/// Why a call did not come back with an answer.
#[derive(Debug, Error)]
pub enum OutboundError {
    /// The client could not be made.
    #[error("the client for outgoing calls cannot be made")]
    Client(#[source] reqwest::Error),
    /// A header holds a character that no header may hold.
    #[error("a header of the call is not valid")]
    Header,
    /// The answer is too long.
    #[error("{0} answered with more than {MAX_ANSWER_BYTES} bytes")]
    TooLong(Endpoint),
    /// No connection, no certificate to trust, no whole answer in time.
    #[error("{endpoint} could not be asked")]
    Unreachable {
        /// Who was asked.
        endpoint: Endpoint,
        /// Why; without the URL, which may hold an API key.
        #[source]
        cause: reqwest::Error,
    },
}

/// The client; cheap to clone, shares its connections.
#[derive(Clone, Debug)]
pub struct Outbound(Client);

impl Outbound {
    /// A client whose calls end within `timeout`, with the machine's certificate authorities.
    ///
    /// # Errors
    /// When the TLS library cannot start.
    pub fn new(timeout: Duration) -> Result<Self, OutboundError> {
        // A second installation is refused and harmless: the provider is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(timeout)
            .timeout(timeout)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("avs-kms/", env!("CARGO_PKG_VERSION")))
            .build();
        client.map(Self).map_err(OutboundError::Client)
    }

    /// POSTs JSON.
    ///
    /// # Errors
    /// When there is no whole answer of acceptable size in time; any status is an answer.
    pub async fn post_json(
        &self,
        endpoint: &Endpoint,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, OutboundError> {
        self.post(endpoint, "application/json", headers, body).await
    }

    /// POSTs a body of any type.
    ///
    /// # Errors
    /// When there is no whole answer of acceptable size in time; any status is an answer.
    pub async fn post(
        &self,
        endpoint: &Endpoint,
        content_type: &'static str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, OutboundError> {
        let mut map = HeaderMap::new();
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in headers {
            let name = name.parse::<HeaderName>().map_err(|_| OutboundError::Header)?;
            map.insert(name, value.parse().map_err(|_| OutboundError::Header)?);
        }
        let unreachable = |cause: reqwest::Error| OutboundError::Unreachable {
            endpoint: endpoint.clone(),
            cause: cause.without_url(),
        };
        let request = self.0.post(endpoint.0.clone()).headers(map).body(body);
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(OutboundError::TooLong(endpoint.clone()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body })
    }
}

#[cfg(test)]
pub(crate) mod tests;
