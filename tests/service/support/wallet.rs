//! A wallet and a JSON-RPC signer, made from the standards alone: nothing of the program computes what it checks.

use alloy_primitives::keccak256;
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};

use crate::support::{EOA, OTHER_EOA};

/// The first three development keys of anvil and hardhat.
const KEYS: [(&str, &str); 3] = [
    (
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    ),
    (EOA, "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    (OTHER_EOA, "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
];

/// All of them, as `auth.allowed_operators` lists them.
pub(crate) fn operators() -> String {
    KEYS.map(|(eoa, _)| eoa).join(",")
}

pub(crate) struct Wallet(SigningKey);

impl Wallet {
    pub(crate) fn of(eoa: &str) -> Self {
        let (_, key) = KEYS.iter().find(|(owner, _)| *owner == eoa).unwrap();
        Self(SigningKey::from_slice(&hex::decode(key).unwrap()).unwrap())
    }

    pub(crate) fn key_of(eoa: &str) -> &'static str {
        KEYS.iter().find(|(owner, _)| *owner == eoa).unwrap().1
    }

    /// `personal_sign`: EIP-191, version 0x45.
    pub(crate) fn personal(&self, text: &str) -> String {
        self.sign(&keccak(format!("\x19Ethereum Signed Message:\n{}{text}", text.len()).as_bytes()))
    }

    /// `eth_signTypedData_v4`: EIP-712 over the object as it is.
    pub(crate) fn typed(&self, object: &Value) -> String {
        let domain = hash_struct(object, "EIP712Domain", &object["domain"]);
        let message = hash_struct(object, object["primaryType"].as_str().unwrap(), &object["message"]);
        self.sign(&keccak(&[b"\x19\x01".as_slice(), &domain, &message].concat()))
    }

    fn sign(&self, digest: &[u8; 32]) -> String {
        let (signature, id) = self.0.sign_prehash_recoverable(digest).unwrap();
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + id.to_byte())
    }
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    keccak256(bytes).0
}

fn hash_struct(object: &Value, kind: &str, value: &Value) -> [u8; 32] {
    let members = object["types"][kind].as_array().unwrap();
    let text = |value: &Value, member: &str| value[member].as_str().unwrap().to_owned();
    let fields: Vec<_> =
        members.iter().map(|it| format!("{} {}", text(it, "type"), text(it, "name"))).collect();
    let mut encoded = keccak(format!("{kind}({})", fields.join(",")).as_bytes()).to_vec();
    for member in members {
        encoded.extend(word(&text(member, "type"), &value[text(member, "name")]));
    }
    assert_eq!(value.as_object().unwrap().len(), members.len(), "members without a type");
    keccak(&encoded)
}

fn word(kind: &str, value: &Value) -> [u8; 32] {
    let mut word = [0; 32];
    let hex = |value: &Value| hex::decode(value.as_str().unwrap().strip_prefix("0x").unwrap()).unwrap();
    match kind {
        "string" => word = keccak(value.as_str().unwrap().as_bytes()),
        "string[]" => {
            let items =
                value.as_array().unwrap().iter().map(|item| keccak(item.as_str().unwrap().as_bytes()));
            word = keccak(&items.flatten().collect::<Vec<_>>());
        }
        "bytes32" => word.copy_from_slice(&hex(value)),
        "address" => word[12..].copy_from_slice(&hex(value)),
        "uint64" | "uint256" => word[24..].copy_from_slice(&value.as_u64().unwrap().to_be_bytes()),
        _ => panic!("no type of this service: {kind}"),
    }
    word
}

/// What clef, web3signer or anvil answer to a JSON-RPC call.
pub(crate) fn json_rpc_signer(wallet: &Wallet, call: &Value) -> Value {
    let parameters = call["params"].as_array().unwrap();
    let result = match call["method"].as_str().unwrap() {
        "personal_sign" => {
            let text = hex::decode(parameters[0].as_str().unwrap().strip_prefix("0x").unwrap()).unwrap();
            wallet.personal(&String::from_utf8(text).unwrap())
        }
        "eth_signTypedData_v4" => wallet.typed(&parameters[1]),
        method => panic!("{method}"),
    };
    json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
}
