//! `SignResult`: a signature with everything a contract call needs of it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::eigenlayer::{self, PubkeyRegistrationParams};
use crate::http::dto::key::{G1, G2, hex0x};
use crate::http::dto::schema;
use crate::request_id::RequestId;
use crate::service::Signed;

/// `SignResult` of api.md.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignResult {
    signature: G1,
    g1: G1,
    g2: G2,
    #[schema(value_type = schema::Address)]
    eoa: String,
    #[schema(value_type = schema::NameText)]
    name: String,
    version: u32,
    #[schema(value_type = schema::Hex64)]
    signature_bytes: String,
    #[schema(value_type = schema::KeyData)]
    key_data: String,
    #[schema(value_type = schema::Hex32)]
    operator_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Hex32>)]
    digest: Option<String>,
    hash: G1,
    evm: Evm,
    audit: AuditReceipt,
    #[schema(value_type = schema::RequestIdText)]
    request_id: String,
}

#[derive(Serialize, ToSchema)]
struct Evm {
    /// BLSApkRegistry's struct as nested lists: signature, G1 key, G2 key.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pubkey_registration_params: PubkeyRegistrationParams,
}

#[derive(Serialize, ToSchema)]
struct AuditReceipt {
    seq: u64,
    log: String,
    #[schema(value_type = schema::Hex32)]
    record_hash: String,
}

impl SignResult {
    pub(crate) fn new(signed: &Signed, request: RequestId) -> Self {
        let key = &signed.version.public_key;
        Self {
            signature: (&signed.signature).into(),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            eoa: signed.version.eoa.to_string(),
            name: signed.version.name.to_string(),
            version: signed.version.version.number(),
            signature_bytes: hex0x(&signed.signature.to_bytes()),
            key_data: hex0x(&eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: hex0x(&eigenlayer::operator_id(&key.g1)),
            digest: signed.digest.map(|digest| hex0x(&digest)),
            hash: (&signed.point).into(),
            evm: Evm {
                pubkey_registration_params: PubkeyRegistrationParams::new(
                    &signed.signature,
                    &key.g1,
                    &key.g2,
                ),
            },
            audit: AuditReceipt {
                seq: signed.receipt.seq,
                log: signed.receipt.log.to_string(),
                record_hash: hex0x(&signed.receipt.record_hash),
            },
            request_id: request.to_string(),
        }
    }
}
