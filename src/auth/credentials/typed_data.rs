//! EIP-712 objects as wallets and JSON-RPC signers take them (`eth_signTypedData_v4`).

use alloy_sol_types::{Eip712Domain, eip712_domain};
use serde_json::{Map, Value, json};

/// The domain of everything that operators sign for this service. The service and its chain stand in each message:
/// some wallets refuse a domain with the id of a chain that they are not on, and no contract checks these signatures.
pub(super) fn domain() -> Eip712Domain {
    eip712_domain! { name: "avs-kms", version: "1", }
}

/// The object for one message; `fields` names the members of its type in their order.
pub(super) fn typed_data(primary_type: &str, fields: &[(&str, &str)], message: &Value) -> Value {
    let members = |fields: &[(&str, &str)]| -> Vec<Value> {
        fields.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect()
    };
    let mut types = Map::new();
    types.insert("EIP712Domain".into(), members(&[("name", "string"), ("version", "string")]).into());
    types.insert(primary_type.into(), members(fields).into());
    json!({
        "types": types,
        "primaryType": primary_type,
        "domain": {"name": "avs-kms", "version": "1"},
        "message": message,
    })
}

/// `0x` and lower-case digits.
pub(super) fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
