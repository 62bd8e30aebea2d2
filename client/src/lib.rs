//! Typed client of avs-kms for AVS software in Rust, the command line and the tests.
//!
//! - [`Client`]: the HTTP calls of the service. It retries where the service says that a retry may
//!   help.
//! - [`KeyRef`], [`Registration`]: requests. [`KeyRecord`], [`SignResult`]: responses.
//! - [`G1Point`], [`G2Point`]: big-endian coordinates, imaginary coefficient of G2 first, as
//!   EigenLayer's contracts take them.
//!
//! Not for: curve checks (only the form is checked), transactions, storing access tokens.
//!
//! ```no_run
//! # async fn example() -> Result<(), avs_kms_client::ClientError> {
//! use avs_kms_client::{Client, KeyRef, Registration};
//!
//! let token = std::fs::read_to_string("kms.token").unwrap_or_default().trim().to_owned();
//! let kms = Client::new("http://127.0.0.1:8254", token.into())?;
//! let key = KeyRef::new("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
//! kms.create_key(&key).await?;
//! let coordinator = Registration::bls_apk_registry(1, "0x0BAAc79acD45A023E19345c352d8a7a83C4e5656");
//! let signed = kms.sign_registration(&key, &coordinator).await?;
//! println!("{:?}", signed.signature);
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod hex;
mod point;
mod request;
mod response;
mod transport;

pub use self::hex::Bytes;
pub use client::Client;
pub use error::{ApiError, ClientError};
pub use point::{G1Point, G2Point};
pub use request::{KeyRef, Registration, Version};
pub use response::{AuditReceipt, Checkpoint, Created, Key, KeyRecord, SignResult};
pub use transport::RetryPolicy;

#[cfg(test)]
mod tests;
