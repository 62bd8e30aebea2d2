//! A request for a signature, and an allowed one that is ready to be recorded.

use std::sync::Arc;

use audit_log::{Intent, KeyRef, Recordable};
use hsm::G1Point;

use super::message::{Message, ResolvedMessage};
use crate::key::{Eoa, KeyName, KeyVersion, VersionSelector};
use crate::service::auth::authorise::Allowed;
use crate::service::operation::{Operation, OperationInfo};
use crate::service::subject::version_ref;

/// A request for a signature.
#[derive(Debug)]
pub struct Sign {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// Which version signs.
    pub version: VersionSelector,
    /// What is signed.
    pub message: Message,
    pub(super) granted_by: Option<&'static OperationInfo>,
}

impl Sign {
    /// A request with the scope of its own message.
    pub const fn new(eoa: Eoa, name: KeyName, version: VersionSelector, message: Message) -> Self {
        Self { eoa, name, version, message, granted_by: None }
    }
}

impl Operation for Sign {
    fn info(&self) -> &'static OperationInfo {
        self.message.operation()
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }

    fn granted_by(&self) -> Option<&'static OperationInfo> {
        self.granted_by
    }
}

/// An allowed signature with a version that may sign: ready to be recorded.
#[derive(Debug)]
pub struct PreparedSignature {
    pub(super) allowed: Allowed<Sign>,
    pub(super) version: Arc<KeyVersion>,
    pub(super) message: ResolvedMessage,
    pub(super) point: G1Point,
}

impl PreparedSignature {
    pub(in crate::service) fn version(&self) -> &KeyVersion {
        &self.version
    }

    pub(in crate::service) const fn point(&self) -> G1Point {
        self.point
    }
}

impl Recordable for PreparedSignature {
    fn intent(&self) -> Intent {
        let context = self.allowed.context();
        Intent {
            operation: self.allowed.operation().info().name,
            actor: context.actor(),
            request: context.request().to_string(),
            // The hash of the public key names the version; its id in the enclave is in the record of its creation.
            key: Some(KeyRef { id: None, ..version_ref(&self.version) }),
            input: Some(self.message.input()),
        }
    }
}
