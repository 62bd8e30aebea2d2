//! One request and its repetitions. Knows status codes and waits, not what is asked.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{ClientError, Refusal, RefusalBody};

/// The largest answer that is read, bytes: a page of a thousand audit records fits several times.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// A service that has not answered by then does not answer: its own deadline is shorter.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often and how long a call is repeated. Every call of the interface may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Repetitions at most, after the first attempt.
    pub most: u32,
    /// No repetition begins later than this after the first attempt, and no wait goes beyond it.
    pub patience: Duration,
}

impl Retries {
    /// One attempt.
    pub const NONE: Self = Self { most: 0, patience: Duration::ZERO };

    /// The wait before attempt number `next` (from 1), or none if there is none to be.
    fn wait(self, next: u32, asked_for: Duration, since: Instant) -> Option<Duration> {
        let ends = since.elapsed().checked_add(asked_for)?;
        (next <= self.most && ends <= self.patience).then_some(asked_for)
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { most: 5, patience: Duration::from_secs(20) }
    }
}

/// How the service is reached, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
    pub(crate) retries: Retries,
}

impl Transport {
    pub(crate) fn tcp(base: &str, token: Option<SecretString>) -> Result<Self, ClientError> {
        let refused = || ClientError::Address(base.to_owned());
        let url: Url = format!("{}/", base.trim_end_matches('/')).parse().map_err(|_| refused())?;
        let here = url.host_str().is_some_and(is_loopback);
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !plain || !(url.scheme() == "https" || url.scheme() == "http" && here) {
            return Err(refused());
        }
        Self::new(url, token, reqwest::Client::builder())
    }

    pub(crate) fn unix(socket: &Path) -> Result<Self, ClientError> {
        // The socket says where; the name is for the Host header alone.
        let base: Url = "http://local/".parse().map_err(|_| ClientError::Address("local".into()))?;
        Self::new(base, None, reqwest::Client::builder().unix_socket(socket))
    }

    fn new(
        base: Url,
        token: Option<SecretString>,
        builder: reqwest::ClientBuilder,
    ) -> Result<Self, ClientError> {
        // A second installation is refused and harmless: the provider is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder
            .connect_timeout(Duration::from_secs(5))
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("avs-kms-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http, base, token, retries: Retries::default() })
    }

    /// The body of a 2xx answer. Waits as long as the service says, or its own growing time where nobody answered.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Vec<u8>, ClientError> {
        let begun = Instant::now();
        let mut unanswered = Duration::from_millis(100);
        let mut next = 1;
        loop {
            let error = match self.attempt(method.clone(), path, body).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let asked_for = match &error {
                ClientError::Refused(Refusal { retry_after: Some(wait), .. }) => *wait,
                ClientError::Unreachable(_) => {
                    unanswered = unanswered.saturating_mul(2);
                    unanswered
                }
                ClientError::Refused(_)
                | ClientError::Address(_)
                | ClientError::Malformed { .. }
                | ClientError::Setup(_)
                | ClientError::Token => return Err(error),
            };
            let Some(wait) = self.retries.wait(next, asked_for, begun) else { return Err(error) };
            tokio::time::sleep(wait).await;
            next += 1;
        }
    }

    async fn attempt(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<Vec<u8>, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable(error.without_url());
        let url = self.base.join(path.trim_start_matches('/'));
        let mut request = self.http.request(method, url.map_err(|_| ClientError::Address(path.to_owned()))?);
        if let Some(token) = &self.token {
            let header = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
            let mut header = header.map_err(|_| ClientError::Token)?;
            header.set_sensitive(true);
            request = request.header(AUTHORIZATION, header);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let malformed = |cause| ClientError::Malformed { status: status.as_u16(), cause };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(malformed(None));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let refusal: RefusalBody = serde_json::from_slice(&body).map_err(|cause| malformed(Some(cause)))?;
        Err(refusal.with_status(status.as_u16()).into())
    }
}

/// Whether a token sent there in the clear stays on this machine.
fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
