//! Messages that the service signs, and the point that each resolves to. Pure.
//!
//! Typed messages are built here from their parts, so that no operator signs blind. A raw point or digest is the
//! caller's own responsibility, and a separate scope each: through them any AVS signature can be had.

use audit_log::{Input, Value};
use hsm::G1Point;

use crate::eigenlayer::{self, KEY_REGISTRAR_VERSION, KeyRegistration, PubkeyRegistration};
use crate::key::{Binding, Eoa, KeyVersion, Registry};
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{
    OperationInfo, SCALAR_MUL, SIGN_CERTIFICATE, SIGN_DIGEST, SIGN_REGISTRATION,
};

/// A message as the client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A certificate of an operator table (`BN254CertificateVerifier`).
    Certificate {
        /// Time of the table, Unix seconds.
        reference_timestamp: u32,
        /// Hash of the AVS's message.
        message_hash: [u8; 32],
    },
    /// A digest that is hashed to the curve.
    Digest([u8; 32]),
    /// A point that is multiplied as it is.
    Point(G1Point),
    /// A registration with the registry that the version is bound to.
    BoundRegistration,
    /// A registration with this registry.
    Registration(Binding),
}

impl From<&Binding> for Message {
    fn from(binding: &Binding) -> Self {
        Self::Registration(*binding)
    }
}

/// A message resolved for one version: what is recorded and what is multiplied. Each message but a raw point has a
/// digest.
#[derive(Debug)]
pub(in crate::service) enum ResolvedMessage {
    Point(G1Point),
    Digest([u8; 32]),
    Certificate { reference_timestamp: u32, message_hash: [u8; 32], digest: [u8; 32] },
    Registration { binding: Binding, digest: [u8; 32] },
}

impl Message {
    /// The operation that signs it.
    pub const fn operation(&self) -> &'static OperationInfo {
        match self {
            Self::Certificate { .. } => &SIGN_CERTIFICATE,
            Self::Digest(_) => &SIGN_DIGEST,
            Self::Point(_) => &SCALAR_MUL,
            Self::BoundRegistration | Self::Registration(_) => &SIGN_REGISTRATION,
        }
    }

    /// The message as this version signs it. A bound version is registered nowhere else, because a registry accepts a
    /// key once.
    ///
    /// # Errors
    /// When the version is bound to another registry, or no registry is named.
    pub(in crate::service) fn resolve(&self, version: &KeyVersion) -> Result<ResolvedMessage, ServiceError> {
        match (*self, version.binding) {
            (Self::Point(point), _) => Ok(ResolvedMessage::Point(point)),
            (Self::Digest(digest), _) => Ok(ResolvedMessage::Digest(digest)),
            (Self::Certificate { reference_timestamp, message_hash }, _) => {
                let digest = eigenlayer::Certificate { reference_timestamp, message_hash }.digest();
                Ok(ResolvedMessage::Certificate { reference_timestamp, message_hash, digest })
            }
            (Self::BoundRegistration, Some(binding)) => Ok(registration(binding, version)),
            (Self::BoundRegistration, None) => Err(ServiceError::new(
                ErrorCode::InvalidRequest,
                "this version is not bound to a registry: name chain_id, registry and verifying_contract",
            )
            .field("registry")),
            (Self::Registration(named), Some(bound)) if named != bound => {
                let message = format!("this version is bound to {bound} and is registered nowhere else");
                Err(ServiceError::new(ErrorCode::InvalidKeyState, message).field("registry"))
            }
            (Self::Registration(binding), _) => Ok(registration(binding, version)),
        }
    }
}

fn registration(binding: Binding, version: &KeyVersion) -> ResolvedMessage {
    let Binding { chain_id, registry, verifying_contract, operator } = &binding;
    let digest = match registry {
        Registry::BlsApkRegistry => PubkeyRegistration {
            chain_id: *chain_id,
            registry_coordinator: *verifying_contract.as_bytes(),
            operator: *operator.as_bytes(),
        }
        .digest(),
        Registry::KeyRegistrar { avs, operator_set_id } => KeyRegistration {
            chain_id: *chain_id,
            key_registrar: *verifying_contract.as_bytes(),
            version: KEY_REGISTRAR_VERSION,
            operator: *operator.as_bytes(),
            avs: *avs.as_bytes(),
            operator_set_id: *operator_set_id,
            key_data: &eigenlayer::key_data(&version.public_key.g1, &version.public_key.g2),
        }
        .digest(),
    };
    ResolvedMessage::Registration { binding, digest }
}

impl ResolvedMessage {
    /// The digest that is hashed to the curve; `None` for a raw point.
    pub(in crate::service) const fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Self::Point(_) => None,
            Self::Digest(digest) | Self::Certificate { digest, .. } | Self::Registration { digest, .. } => {
                Some(*digest)
            }
        }
    }

    /// The point that is multiplied with the key.
    pub(in crate::service) fn point(&self) -> G1Point {
        match self {
            Self::Point(point) => *point,
            Self::Digest(digest) | Self::Certificate { digest, .. } | Self::Registration { digest, .. } => {
                eigenlayer::hash_to_g1(digest)
            }
        }
    }

    /// The message as the audit log records it.
    pub(in crate::service) fn input(&self) -> Input {
        match self {
            Self::Point(point) => Input::Point(point.to_bytes()),
            Self::Digest(digest) => Input::Digest(*digest),
            Self::Certificate { reference_timestamp, message_hash, digest } => Input::Typed {
                kind: "bn254_certificate",
                digest: *digest,
                fields: vec![
                    ("reference_timestamp", Value::Number(u64::from(*reference_timestamp))),
                    ("message_hash", Value::Bytes(message_hash.to_vec())),
                ],
            },
            Self::Registration { binding, digest } => Input::Typed {
                kind: binding.registry.as_str(),
                digest: *digest,
                fields: registration_fields(binding),
            },
        }
    }
}

fn registration_fields(binding: &Binding) -> Vec<(&'static str, Value)> {
    let text = |address: &Eoa| Value::Text(address.to_string());
    let mut fields = vec![
        ("chain_id", Value::Number(binding.chain_id)),
        ("verifying_contract", text(&binding.verifying_contract)),
        ("operator", text(&binding.operator)),
    ];
    if let Registry::KeyRegistrar { avs, operator_set_id } = &binding.registry {
        fields.push(("avs", text(avs)));
        fields.push(("operator_set_id", Value::Number(u64::from(*operator_set_id))));
    }
    fields
}

#[cfg(test)]
mod tests;
