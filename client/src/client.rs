//! HTTP calls of the service.

use std::path::Path;

use reqwest::Method;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ClientError;
use crate::hex::Bytes;
use crate::point::G1Point;
use crate::request::{KeyRef, Registration};
use crate::response::{Checkpoint, Created, Key, KeyRecord, SignResult};
use crate::response::{KeyList, KeyPage};
use crate::transport::{RetryPolicy, Transport};

/// The most items of a page that the API gives.
const PAGE_LIMIT: usize = 1_000;

/// A connection to one service with one access token. Cheap to clone; `Debug` does not show the
/// token.
#[derive(Clone, Debug)]
pub struct Client(Transport);

/// Body of a signing call: the members of the key beside those of the message.
#[derive(Serialize)]
struct SigningRequest<'a, T> {
    #[serde(flatten)]
    key: &'a KeyRef,
    #[serde(flatten)]
    message: T,
}

impl Client {
    /// Client of the service at `https://host[:port][/path]`. Plain `http://` is accepted for
    /// loopback addresses only, because every call carries the access token.
    ///
    /// # Errors
    /// If the address has another form, or the TLS library cannot start.
    pub fn new(address: &str, token: SecretString) -> Result<Self, ClientError> {
        Transport::tcp(address, Some(token)).map(Self)
    }

    /// Client without an access token: health, version, checkpoints and proofs.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn anonymous(address: &str) -> Result<Self, ClientError> {
        Transport::tcp(address, None).map(Self)
    }

    /// Client of the service on this machine through the socket in its data directory, as its
    /// administrator.
    ///
    /// # Errors
    /// If the client cannot be created. No request is sent yet.
    pub fn local(socket: &Path) -> Result<Self, ClientError> {
        Transport::unix(socket).map(Self)
    }

    /// The same client, saying the login name of its user: for the audit log, over the local socket.
    #[must_use]
    pub fn with_login(mut self, login: &str) -> Self {
        self.0.login = reqwest::header::HeaderValue::try_from(login).ok();
        self
    }

    /// The same client with another retry policy.
    #[must_use]
    pub fn with_retry_policy(mut self, retry_policy: RetryPolicy) -> Self {
        self.0.retry_policy = retry_policy;
        self
    }

    /// Returns the key, and creates it if it does not exist (`POST /v1/keys`).
    ///
    /// # Errors
    /// [`ClientError`] if the service refuses, cannot be reached, or sends a malformed response.
    /// This holds for every call below.
    pub async fn create_key(&self, key: &KeyRef) -> Result<Created, ClientError> {
        self.post("/v1/keys", &serde_json::json!({"eoa": key.eoa, "name": key.name})).await
    }

    /// Lists every version of every key of an address: by name, newest version first
    /// (`GET /v1/keys/{eoa}`, page by page).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn keys(&self, eoa: &str) -> Result<Vec<KeyRecord>, ClientError> {
        let path = format!("/v1/keys/{}", percent_encoded(eoa));
        let mut next = None;
        let mut keys = Vec::new();
        loop {
            let page: KeyList = self.page(&path, next.as_deref()).await?;
            let is_last = page.keys.is_empty();
            keys.extend(page.keys);
            match page.next {
                Some(after) if !is_last => next = Some(after),
                Some(_) | None => return Ok(keys),
            }
        }
    }

    /// Returns one key with its versions (`GET /v1/keys/{eoa}/{name}`, page by page).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn key(&self, key: &KeyRef) -> Result<Key, ClientError> {
        let path = format!("/v1/keys/{}/{}", percent_encoded(&key.eoa), percent_encoded(&key.name));
        let KeyPage { mut key, mut next } = self.page(&path, None).await?;
        while let Some(after) = next {
            let page: KeyPage = self.page(&path, Some(&after.to_string())).await?;
            next = page.next.filter(|_| !page.key.versions.is_empty());
            key.versions.extend(page.key.versions);
        }
        Ok(key)
    }

    async fn page<T: DeserializeOwned>(&self, path: &str, after: Option<&str>) -> Result<T, ClientError> {
        match after {
            None => self.get(&format!("{path}?limit={PAGE_LIMIT}")).await,
            Some(after) => {
                self.get(&format!("{path}?limit={PAGE_LIMIT}&after={}", percent_encoded(after))).await
            }
        }
    }

    /// Signs a point without hashing (`POST /v1/scalar_mul`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn scalar_mul(&self, key: &KeyRef, hash: &G1Point) -> Result<SignResult, ClientError> {
        self.sign("/v1/scalar_mul", key, serde_json::json!({ "hash": hash })).await
    }

    /// Signs a 32-byte digest (`POST /v1/sign/digest`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn sign_digest(&self, key: &KeyRef, digest: [u8; 32]) -> Result<SignResult, ClientError> {
        self.sign("/v1/sign/digest", key, serde_json::json!({"digest": Bytes(digest)})).await
    }

    /// Signs a registration whose digest the service computes (`POST /v1/sign/registration`).
    ///
    /// # Errors
    /// As [`Client::create_key`]; `registry_mismatch` if the contract reports another digest.
    pub async fn sign_registration(
        &self,
        key: &KeyRef,
        registration: &Registration,
    ) -> Result<SignResult, ClientError> {
        self.sign("/v1/sign/registration", key, registration).await
    }

    /// Signs a certificate over a message of an AVS (`POST /v1/sign/certificate`).
    /// `reference_timestamp` names the operator table, in unix seconds.
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn sign_certificate(
        &self,
        key: &KeyRef,
        reference_timestamp: u32,
        message_hash: [u8; 32],
    ) -> Result<SignResult, ClientError> {
        let message = serde_json::json!({"reference_timestamp": reference_timestamp, "message_hash": Bytes(message_hash)});
        self.sign("/v1/sign/certificate", key, message).await
    }

    /// Returns the newest signed tree head of the audit log (`GET /v1/audit/checkpoint`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        self.get("/v1/audit/checkpoint").await
    }

    /// Whether the service can sign now (`GET /readyz`). Sends one request, without a retry.
    ///
    /// # Errors
    /// [`ClientError::Api`] with the reason if it cannot.
    pub async fn ready(&self) -> Result<(), ClientError> {
        let once = self.clone().with_retry_policy(RetryPolicy::NONE);
        once.get::<serde_json::Value>("/readyz").await.map(drop)
    }

    /// Any `GET` of the API.
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        parse_body(&self.0.send(Method::GET, path, None).await?)
    }

    /// Any `POST` of the API. The request may be sent more than once.
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|cause| ClientError::Malformed { status: 0, cause: Some(cause) })?;
        parse_body(&self.0.send(Method::POST, path, Some(&body)).await?)
    }

    async fn sign(
        &self,
        path: &str,
        key: &KeyRef,
        message: impl Serialize,
    ) -> Result<SignResult, ClientError> {
        self.post(path, &SigningRequest { key, message }).await
    }
}

fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|cause| ClientError::Malformed { status: 200, cause: Some(cause) })
}

/// One path segment, percent-encoded (RFC 3986).
fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
