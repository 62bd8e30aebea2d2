//! Arguments that several commands have: the key, its registry, the reason.

use clap::Args;
use serde_json::{Value, json};

use crate::key::{Eoa, KeyName};

/// The name of a key.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct KeyRef {
    /// Owner of the key
    #[arg(long)]
    pub(super) eoa: Eoa,
    /// Name of the key
    #[arg(long, default_value = "default")]
    pub(super) name: KeyName,
}

impl KeyRef {
    pub(super) fn owner_and_name(&self) -> (Eoa, KeyName) {
        (self.eoa, self.name.clone())
    }

    /// Name and owner, for questions.
    pub(super) fn label(&self) -> String {
        format!("{} of {}", self.name, self.eoa)
    }

    /// The members of a request that name the key.
    pub(super) fn body(&self) -> Value {
        json!({"eoa": self.eoa.to_string(), "name": self.name.as_str()})
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Reason {
    /// Reason for the audit log
    #[arg(long)]
    reason: Option<String>,
}

/// The registry in which a version will be registered.
#[derive(Debug, Args)]
pub(in crate::cli) struct Binding {
    /// Bind it to a registry
    #[arg(
        long,
        requires = "chain_id",
        requires = "verifying_contract",
        value_parser = ["bls_apk_registry", "key_registrar"],
    )]
    registry: Option<String>,
    /// Id of the registry's chain (EIP-155)
    #[arg(long, requires = "registry")]
    chain_id: Option<u64>,
    /// Address of the registry coordinator or of the KeyRegistrar
    #[arg(long, requires = "registry", value_name = "ADDRESS")]
    verifying_contract: Option<Eoa>,
    /// Operator that registers, if it is not the owner
    #[arg(long, requires = "registry", value_name = "ADDRESS")]
    operator: Option<Eoa>,
    /// AVS, for key_registrar
    #[arg(long, requires = "registry", value_name = "ADDRESS")]
    avs: Option<Eoa>,
    /// Operator set of the AVS, for key_registrar
    #[arg(long, requires = "registry", value_name = "NUMBER")]
    operator_set_id: Option<u32>,
}

impl Binding {
    pub(super) fn put(&self, body: &mut Value) {
        let Some(registry) = &self.registry else { return };
        let address = |eoa: &Option<Eoa>| eoa.map(|eoa| eoa.to_string());
        let mut binding = json!({ "registry": registry });
        put(&mut binding, "chain_id", self.chain_id);
        put(&mut binding, "verifying_contract", address(&self.verifying_contract));
        put(&mut binding, "operator", address(&self.operator));
        put(&mut binding, "avs", address(&self.avs));
        put(&mut binding, "operator_set_id", self.operator_set_id);
        put(body, "binding", Some(binding));
    }
}

impl Reason {
    pub(super) fn text(&self) -> Option<String> {
        self.reason.clone()
    }

    pub(super) fn put(&self, body: &mut Value) {
        put(body, "reason", self.reason.clone());
    }
}

/// Puts a member into a body, where there is a value.
pub(super) fn put(body: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
        members.insert(name.to_owned(), value.into());
    }
}
