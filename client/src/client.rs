//! The calls.

use std::path::Path;

use reqwest::Method;
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::KeyList;
use crate::error::ClientError;
use crate::transport::{Retries, Transport};
use crate::{Bytes, Checkpoint, Created, G1Point, Key, KeyAt, KeyRecord, Registration, SignResult};

/// A service, and the token with which it is asked. Cheap to clone; no output shows the token.
#[derive(Clone, Debug)]
pub struct Client(Transport);

/// A body: members of its own beside those of the key.
#[derive(Serialize)]
struct Asked<'a, T> {
    #[serde(flatten)]
    key: &'a KeyAt,
    #[serde(flatten)]
    what: T,
}

impl Client {
    /// The service at `https://host[:port][/path]`; plain `http://` is taken on loopback alone, because the token travels
    /// with each call.
    ///
    /// # Errors
    /// When the address is another, or the TLS library cannot start.
    pub fn new(address: &str, token: SecretString) -> Result<Self, ClientError> {
        Transport::tcp(address, Some(token)).map(Self)
    }

    /// The same without a token: health, version, checkpoints and proofs.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn anonymous(address: &str) -> Result<Self, ClientError> {
        Transport::tcp(address, None).map(Self)
    }

    /// The running service of this machine, as its own operator: the socket in its data directory.
    ///
    /// # Errors
    /// When the client cannot be made; nobody is asked yet.
    pub fn local(socket: &Path) -> Result<Self, ClientError> {
        Transport::unix(socket).map(Self)
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.0.retries = retries;
        self
    }

    /// Gets the key or makes it (`POST /v1/keys`).
    ///
    /// # Errors
    /// Every refusal; nobody answers; the answer is not one. So for each call below.
    pub async fn create_key(&self, key: &KeyAt) -> Result<Created, ClientError> {
        self.post("/v1/keys", &serde_json::json!({"eoa": key.eoa, "name": key.name})).await
    }

    /// Every key of an address, every version, newest first (`GET /v1/keys/{eoa}`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn keys(&self, eoa: &str) -> Result<Vec<KeyRecord>, ClientError> {
        let list: KeyList = self.get(&format!("/v1/keys/{}", segment(eoa))).await?;
        Ok(list.keys)
    }

    /// One key with its versions (`GET /v1/keys/{eoa}/{name}`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn key(&self, key: &KeyAt) -> Result<Key, ClientError> {
        self.get(&format!("/v1/keys/{}/{}", segment(&key.eoa), segment(&key.name))).await
    }

    /// Multiplies a point as it is (`POST /v1/scalar_mul`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn scalar_mul(&self, key: &KeyAt, hash: &G1Point) -> Result<SignResult, ClientError> {
        self.sign("/v1/scalar_mul", key, serde_json::json!({ "hash": hash })).await
    }

    /// Signs a 32-byte digest (`POST /v1/sign/digest`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn sign_digest(&self, key: &KeyAt, digest: [u8; 32]) -> Result<SignResult, ClientError> {
        self.sign("/v1/sign/digest", key, serde_json::json!({"digest": Bytes(digest)})).await
    }

    /// Signs a registration that the service builds (`POST /v1/sign/registration`).
    ///
    /// # Errors
    /// As [`Client::create_key`]; `chain_mismatch` where the service asks a node and the contract says otherwise.
    pub async fn sign_registration(
        &self,
        key: &KeyAt,
        what: &Registration,
    ) -> Result<SignResult, ClientError> {
        self.sign("/v1/sign/registration", key, what).await
    }

    /// Signs an AVS's message under the operator table of a reference time in unix seconds (`POST /v1/sign/certificate`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn sign_certificate(
        &self,
        key: &KeyAt,
        reference_timestamp: u32,
        message_hash: [u8; 32],
    ) -> Result<SignResult, ClientError> {
        let what = serde_json::json!({"reference_timestamp": reference_timestamp, "message_hash": Bytes(message_hash)});
        self.sign("/v1/sign/certificate", key, what).await
    }

    /// The newest signed head of the audit log (`GET /v1/audit/checkpoint`).
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        self.get("/v1/audit/checkpoint").await
    }

    /// Whether the service can sign right now (`GET /readyz`). Asks once.
    ///
    /// # Errors
    /// The refusal says why it cannot.
    pub async fn ready(&self) -> Result<(), ClientError> {
        let once = self.clone().with_retries(Retries::NONE);
        once.get::<serde_json::Value>("/readyz").await.map(drop)
    }

    /// Any `GET` of the interface, for what has no function here.
    ///
    /// # Errors
    /// As [`Client::create_key`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        understood(&self.0.send(Method::GET, path, None).await?)
    }

    /// Any `POST` of the interface, for what has no function here. It may be sent more than once.
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
        understood(&self.0.send(Method::POST, path, Some(&body)).await?)
    }

    async fn sign(&self, path: &str, key: &KeyAt, what: impl Serialize) -> Result<SignResult, ClientError> {
        self.post(path, &Asked { key, what }).await
    }
}

fn understood<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|cause| ClientError::Malformed { status: 200, cause: Some(cause) })
}

/// One segment of a path, whatever the caller put into it.
fn segment(text: &str) -> String {
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
