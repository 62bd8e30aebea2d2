//! One HTTP request with retries. Not for the content of requests (`client`).

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::error::{ApiError, ClientError, ErrorBody};

/// Largest response body in bytes; a page of 1,000 audit records fits several times.
const MAX_RESPONSE_BYTES: usize = 8 << 20;

/// Time limit of one request. The service's own deadline is shorter.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often and how long a call is retried. Every call of the API is safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Largest number of retries after the first attempt.
    pub max_retries: u32,
    /// No retry starts later than this after the first attempt.
    pub max_elapsed: Duration,
}

impl RetryPolicy {
    /// One attempt, no retry.
    pub const NONE: Self = Self { max_retries: 0, max_elapsed: Duration::ZERO };

    /// The wait before retry number `next` (from 1), or `None` if there is no further retry.
    fn wait(self, next: u32, requested_wait: Duration, since: Instant) -> Option<Duration> {
        let ends = since.elapsed().checked_add(requested_wait)?;
        (next <= self.max_retries && ends <= self.max_elapsed).then_some(requested_wait)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 5, max_elapsed: Duration::from_secs(20) }
    }
}

/// Address and credentials of a service.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
    /// The login name that a request over the local socket says.
    pub(crate) login: Option<HeaderValue>,
    pub(crate) retry_policy: RetryPolicy,
}

/// The header of the login name.
const LOGIN: HeaderName = HeaderName::from_static("avs-kms-login");

impl Transport {
    pub(crate) fn tcp(base: &str, token: Option<SecretString>) -> Result<Self, ClientError> {
        let refused = || ClientError::Address(base.to_owned());
        let url: Url = format!("{}/", base.trim_end_matches('/')).parse().map_err(|_| refused())?;
        let here = url.host_str().is_some_and(is_loopback);
        let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !plain || !(url.scheme() == "https" || url.scheme() == "http" && here) {
            return Err(refused());
        }
        let builder = if url.scheme() == "https" { reqwest::Client::builder() } else { without_tls() };
        Self::new(url, token, builder)
    }

    pub(crate) fn unix(socket: &Path) -> Result<Self, ClientError> {
        // The socket is the address; the name is only for the Host header.
        let base: Url = "http://local/".parse().map_err(|_| ClientError::Address("local".into()))?;
        Self::new(base, None, without_tls().unix_socket(socket))
    }

    fn new(
        base: Url,
        token: Option<SecretString>,
        builder: reqwest::ClientBuilder,
    ) -> Result<Self, ClientError> {
        // A second installation fails and is harmless: the provider is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = builder
            .connect_timeout(Duration::from_secs(5))
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("avs-kms-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http, base, token, login: None, retry_policy: RetryPolicy::default() })
    }

    /// Returns the body of a 2xx response. Between attempts it waits as long as the service says,
    /// or with exponential backoff if no response arrived.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Vec<u8>, ClientError> {
        let begun = Instant::now();
        let mut backoff = Duration::from_millis(100);
        let mut next = 1;
        loop {
            let error = match self.attempt(method.clone(), path, body).await {
                Ok(body) => return Ok(body),
                Err(error) => error,
            };
            let requested_wait = match &error {
                ClientError::Api(ApiError { retry_after: Some(wait), .. }) => *wait,
                ClientError::Unreachable(_) => {
                    backoff = backoff.saturating_mul(2);
                    backoff
                }
                ClientError::Api(_)
                | ClientError::Address(_)
                | ClientError::Malformed { .. }
                | ClientError::Setup(_)
                | ClientError::Token => return Err(error),
            };
            let Some(wait) = self.retry_policy.wait(next, requested_wait, begun) else { return Err(error) };
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
        if let Some(login) = &self.login {
            request = request.header(LOGIN, login.clone());
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let malformed = |cause| ClientError::Malformed { status: status.as_u16(), cause };
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(malformed(None));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let error: ErrorBody = serde_json::from_slice(&body).map_err(|cause| malformed(Some(cause)))?;
        Err(error.with_status(status.as_u16()).into())
    }
}

/// For connections without TLS: it works on a host that has no certificate authorities.
fn without_tls() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_certs_only([])
}

/// Whether an access token sent in the clear to this host stays on this machine.
fn is_loopback(host: &str) -> bool {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
