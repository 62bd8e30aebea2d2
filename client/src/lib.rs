//! A typed client of avs-kms, for AVS software in Rust, the command line and the tests.
//!
//! - [`Client`]: the calls of the service's HTTP interface, repeated where the service says that it helps.
//! - [`KeyAt`], [`Registration`]: what is asked. [`KeyRecord`], [`SignResult`]: what is answered.
//! - [`G1Point`], [`G2Point`]: coordinates, big-endian, the imaginary limb of G2 first, as EigenLayer's contracts take them.
//!
//! Not for: curve mathematics (nothing is checked beyond its form), transactions, keeping tokens.
//!
//! ```no_run
//! # async fn example() -> Result<(), avs_kms_client::ClientError> {
//! use avs_kms_client::{Client, KeyAt, Registration};
//!
//! let token = std::fs::read_to_string("kms.token").unwrap_or_default().trim().to_owned();
//! let kms = Client::new("http://127.0.0.1:8254", token.into())?;
//! let key = KeyAt::of("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
//! kms.create_key(&key).await?;
//! let coordinator = Registration::bls_apk_registry(1, "0x0BAAc79acD45A023E19345c352d8a7a83C4e5656");
//! let signed = kms.sign_registration(&key, &coordinator).await?;
//! println!("{:?}", signed.signature);
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod error;
mod hexadecimal;
mod point;
mod transport;
mod wish;

pub use answer::{AuditReceipt, Checkpoint, Created, Key, KeyRecord, SignResult};
pub use client::Client;
pub use error::{ClientError, Refusal};
pub use hexadecimal::Bytes;
pub use point::{G1Point, G2Point};
pub use transport::Retries;
pub use wish::{KeyAt, Registration, Version};

#[cfg(test)]
mod tests;
