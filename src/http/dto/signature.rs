//! `SignResult`: a signature with everything that a contract call needs of it.

use serde::Serialize;
use utoipa::ToSchema;

use super::point::{G1, G2};
use super::values::{Bytes32, Bytes64, ChecksumAddress, KeyData};
use crate::eigenlayer::{self, PubkeyRegistrationParams};
use crate::request_id::RequestId;
use crate::service::Signed;

/// A signature.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignResult {
    signature: G1,
    g1: G1,
    g2: G2,
    eoa: ChecksumAddress,
    name: String,
    version: u32,
    signature_bytes: Bytes64,
    key_data: KeyData,
    operator_id: Bytes32,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Bytes32>,
    hash: G1,
    evm: Evm,
    audit: AuditReceipt,
    #[schema(pattern = "^req_[0-9a-f]{32}$")]
    request_id: String,
}

/// The same in the forms of contract calls.
#[derive(Serialize, ToSchema)]
struct Evm {
    /// BLSApkRegistry's struct as nested lists: signature, G1 key, G2 key.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pubkey_registration_params: PubkeyRegistrationParams,
}

/// Where the audit log records the signature.
#[derive(Serialize, ToSchema)]
struct AuditReceipt {
    seq: u64,
    log: String,
    record_hash: Bytes32,
}

impl SignResult {
    pub(crate) fn new(signed: &Signed, request: RequestId) -> Self {
        let key = &signed.version.public_key;
        let params = PubkeyRegistrationParams::new(&signed.signature, &key.g1, &key.g2);
        Self {
            signature: (&signed.signature).into(),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            eoa: ChecksumAddress(signed.version.eoa),
            name: signed.version.name.to_string(),
            version: signed.version.version.number(),
            signature_bytes: Bytes64(signed.signature.to_bytes()),
            key_data: KeyData(eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: Bytes32(eigenlayer::operator_id(&key.g1)),
            digest: signed.digest.map(Bytes32),
            hash: (&signed.point).into(),
            evm: Evm { pubkey_registration_params: params },
            audit: AuditReceipt {
                seq: signed.receipt.seq,
                log: signed.receipt.log.to_string(),
                record_hash: Bytes32(signed.receipt.record_hash),
            },
            request_id: request.to_string(),
        }
    }
}
