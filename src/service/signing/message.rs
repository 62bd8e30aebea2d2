//! What can be signed, and the point that each comes to. Pure.
//!
//! Typed messages are built here from their parts, so that nobody signs blind; a raw point or digest is the
//! caller's own affair, and a separate right each (any AVS signature can be had through them).

use hsm::{G1Point, PublicKey};

use crate::auth::Scope;
use crate::eigenlayer::{self, Certificate, KEY_REGISTRAR_VERSION, KeyRegistration, PubkeyRegistration};
use crate::key::{Binding, Eoa, Registry};
use crate::service::{ErrorCode, ServiceError};
use audit_log::{Input, Value};

/// A message in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A vote under an operator table (facts: `BN254CertificateVerifier`).
    Certificate {
        /// The table, unix seconds.
        reference_timestamp: u32,
        /// The AVS's message.
        message_hash: [u8; 32],
    },
    /// A digest to hash to the curve.
    Digest([u8; 32]),
    /// A point to multiply as it is.
    Point(G1Point),
    /// A registration at the place that the version is bound to.
    BoundRegistration,
    /// A registration with an AVS's own `BLSApkRegistry`.
    RegisterWithApkRegistry {
        /// EIP-155.
        chain_id: u64,
        /// The registry coordinator's proxy.
        verifying_contract: Eoa,
        /// Who registers.
        operator: Eoa,
    },
    /// A registration for one operator set with the core `KeyRegistrar`.
    RegisterWithKeyRegistrar {
        /// EIP-155.
        chain_id: u64,
        /// The KeyRegistrar's proxy.
        verifying_contract: Eoa,
        /// Who registers.
        operator: Eoa,
        /// The AVS.
        avs: Eoa,
        /// Its operator set.
        operator_set_id: u32,
    },
}

impl From<&Binding> for Message {
    fn from(binding: &Binding) -> Self {
        let Binding { chain_id, registry, verifying_contract, operator } = *binding;
        match registry {
            Registry::BlsApkRegistry => {
                Self::RegisterWithApkRegistry { chain_id, verifying_contract, operator }
            }
            Registry::KeyRegistrar { avs, operator_set_id } => Self::RegisterWithKeyRegistrar {
                chain_id,
                verifying_contract,
                operator,
                avs,
                operator_set_id,
            },
        }
    }
}

impl Message {
    /// The operation's name in the audit log.
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Certificate { .. } => "sign.certificate",
            Self::Digest(_) => "sign.digest",
            Self::Point(_) => "scalar_mul",
            Self::BoundRegistration
            | Self::RegisterWithApkRegistry { .. }
            | Self::RegisterWithKeyRegistrar { .. } => "sign.registration",
        }
    }

    /// The right that it takes.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Point(_) => Scope::SignPoint,
            Self::Digest(_) => Scope::SignDigest,
            Self::Certificate { .. }
            | Self::BoundRegistration
            | Self::RegisterWithApkRegistry { .. }
            | Self::RegisterWithKeyRegistrar { .. } => Scope::SignTyped,
        }
    }

    /// The digest that the contract computes, for this key; none for a raw point.
    pub fn digest(&self, key: &PublicKey) -> Option<[u8; 32]> {
        match self {
            Self::Point(_) | Self::BoundRegistration => None,
            Self::Digest(digest) => Some(*digest),
            Self::Certificate { reference_timestamp, message_hash } => {
                let (reference_timestamp, message_hash) = (*reference_timestamp, *message_hash);
                Some(Certificate { reference_timestamp, message_hash }.digest())
            }
            Self::RegisterWithApkRegistry { chain_id, verifying_contract, operator } => {
                let registration = PubkeyRegistration {
                    chain_id: *chain_id,
                    registry_coordinator: *verifying_contract.as_bytes(),
                    operator: *operator.as_bytes(),
                };
                Some(registration.digest())
            }
            Self::RegisterWithKeyRegistrar {
                chain_id,
                verifying_contract,
                operator,
                avs,
                operator_set_id,
            } => {
                let registration = KeyRegistration {
                    chain_id: *chain_id,
                    key_registrar: *verifying_contract.as_bytes(),
                    version: KEY_REGISTRAR_VERSION,
                    operator: *operator.as_bytes(),
                    avs: *avs.as_bytes(),
                    operator_set_id: *operator_set_id,
                    key_data: &eigenlayer::key_data(&key.g1, &key.g2),
                };
                Some(registration.digest())
            }
        }
    }

    /// The message as a version with this binding signs it: a bound version is registered nowhere else, because the
    /// chain takes a key once.
    ///
    /// # Errors
    /// When the version is bound to another place, or the place is not known.
    pub(in crate::service) fn for_binding(&self, binding: Option<&Binding>) -> Result<Self, ServiceError> {
        let registers = matches!(self.operation(), "sign.registration");
        match (self, binding) {
            (Self::BoundRegistration, None) => {
                let sentence =
                    "this version is not bound to a registry: say chain_id, registry, verifying_contract";
                Err(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("registry"))
            }
            (_, Some(binding)) if registers => {
                let bound = Self::from(binding);
                if matches!(self, Self::BoundRegistration) || *self == bound {
                    return Ok(bound);
                }
                let sentence = format!("this version is bound to {binding} and is registered nowhere else");
                Err(ServiceError::new(ErrorCode::InvalidKeyState, sentence).field("registry"))
            }
            _ => Ok(self.clone()),
        }
    }

    /// What the audit log says of it.
    pub(in crate::service) fn input(&self, digest: Option<[u8; 32]>) -> Input {
        let text = |eoa: &Eoa| Value::Text(eoa.to_string());
        let (kind, fields) = match self {
            Self::Point(point) => return Input::Point(point.to_bytes()),
            Self::BoundRegistration => ("as_bound", Vec::new()),
            Self::Digest(digest) => return Input::Digest(*digest),
            Self::Certificate { reference_timestamp, message_hash } => (
                "bn254_certificate",
                vec![
                    ("reference_timestamp", Value::Number(u64::from(*reference_timestamp))),
                    ("message_hash", Value::Bytes(message_hash.to_vec())),
                ],
            ),
            Self::RegisterWithApkRegistry { chain_id, verifying_contract, operator } => (
                "bls_apk_registry",
                vec![
                    ("chain_id", Value::Number(*chain_id)),
                    ("verifying_contract", text(verifying_contract)),
                    ("operator", text(operator)),
                ],
            ),
            Self::RegisterWithKeyRegistrar {
                chain_id,
                verifying_contract,
                operator,
                avs,
                operator_set_id,
            } => (
                "key_registrar",
                vec![
                    ("chain_id", Value::Number(*chain_id)),
                    ("verifying_contract", text(verifying_contract)),
                    ("operator", text(operator)),
                    ("avs", text(avs)),
                    ("operator_set_id", Value::Number(u64::from(*operator_set_id))),
                ],
            ),
        };
        Input::Typed { kind, digest: digest.unwrap_or_default(), fields }
    }
}
