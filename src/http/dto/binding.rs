//! Bindings: where a version of a key is registered or will be, in requests and responses.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::invalid_value::invalid;
use super::values::{Address, ChainId, ChecksumAddress, OperatorSetId, Time};
use crate::key::{Binding, Eoa, Registration, Registry};
use crate::service::ServiceError;

/// One of EigenLayer's registries of BLS keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegistryName {
    /// An AVS's own `BLSApkRegistry`.
    BlsApkRegistry,
    /// The core `KeyRegistrar`.
    KeyRegistrar,
}

/// Where a version will be registered; it cannot be changed. `avs` and `operator_set_id` belong to `key_registrar`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct BindingBody {
    pub(crate) registry: RegistryName,
    pub(crate) chain_id: ChainId,
    pub(crate) verifying_contract: Address,
    pub(crate) avs: Option<Address>,
    pub(crate) operator_set_id: Option<OperatorSetId>,
    /// The EOA where it is absent.
    pub(crate) operator: Option<Address>,
}

impl BindingBody {
    /// The binding of a key of this EOA; `path` is what precedes the members' names in an error.
    pub(crate) fn into_binding(self, eoa: Eoa, path: &str) -> Result<Binding, ServiceError> {
        let of_key_registrar =
            [("avs", self.avs.is_some()), ("operator_set_id", self.operator_set_id.is_some())];
        let registry = match (self.registry, self.avs, self.operator_set_id) {
            (RegistryName::KeyRegistrar, Some(Address(avs)), Some(OperatorSetId(operator_set_id))) => {
                Registry::KeyRegistrar { avs, operator_set_id }
            }
            (RegistryName::BlsApkRegistry, None, None) => Registry::BlsApkRegistry,
            (registry, ..) => {
                let wanted = registry == RegistryName::KeyRegistrar;
                let (name, _) =
                    of_key_registrar.into_iter().find(|(_, given)| *given != wanted).unwrap_or_default();
                let name = format!("{path}{name}");
                let what = if wanted { "missing" } else { "unknown" };
                return Err(invalid(format!("{what} member `{name}`")).field(name));
            }
        };
        let operator = self.operator.map_or(eoa, |Address(operator)| operator);
        let (ChainId(chain_id), Address(verifying_contract)) = (self.chain_id, self.verifying_contract);
        Ok(Binding { chain_id, registry, verifying_contract, operator })
    }
}

/// Where a version is registered or will be, in the members of `POST /v1/sign/registration`.
#[derive(Serialize, ToSchema)]
#[schema(as = Binding)]
pub(crate) struct BindingRecord {
    chain_id: u64,
    registry: RegistryName,
    verifying_contract: ChecksumAddress,
    operator: ChecksumAddress,
    #[serde(skip_serializing_if = "Option::is_none")]
    avs: Option<ChecksumAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_set_id: Option<u32>,
    /// Whether the registry holds the key, if the service asks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_since: Option<Time>,
}

impl BindingRecord {
    pub(crate) fn new(binding: &Binding, registration: Option<Registration>) -> Self {
        let (registry, avs, operator_set_id) = match binding.registry {
            Registry::BlsApkRegistry => (RegistryName::BlsApkRegistry, None, None),
            Registry::KeyRegistrar { avs, operator_set_id } => {
                (RegistryName::KeyRegistrar, Some(ChecksumAddress(avs)), Some(operator_set_id))
            }
        };
        Self {
            chain_id: binding.chain_id,
            registry,
            verifying_contract: ChecksumAddress(binding.verifying_contract),
            operator: ChecksumAddress(binding.operator),
            avs,
            operator_set_id,
            registered: registration.map(|registration| registration.held),
            registered_since: registration.map(|registration| Time(registration.since)),
        }
    }
}
