//! The bodies of requests. Not for reading them: `body` and the handlers do.

use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    AddressText, BlsApkRegistry, Curve, Hex32Text, KeyRegistrar, KeysText, NameText, PointText, ReasonText,
    RegistryWord, RetireOnWord, ScopeText, SigningText, VersionNumber, VersionText,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyBody {
    eoa: AddressText,
    name: Option<NameText>,
    curve: Option<Curve>,
    /// Of a new key.
    policy: Option<PolicyText>,
    /// Of a new key.
    binding: Option<BindingText>,
}

/// Where a version will be registered: once, for ever. `avs` and `operator_set_id` belong to `key_registrar`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingText {
    registry: RegistryWord,
    #[schema(minimum = 0, maximum = 9223372036854775807_usize)]
    chain_id: u64,
    verifying_contract: AddressText,
    avs: Option<AddressText>,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    operator_set_id: Option<u32>,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    eoa: AddressText,
    name: Option<NameText>,
    /// The number that the next version is to have.
    version: Option<VersionNumber>,
    /// As the current version where it is left out.
    binding: Option<BindingText>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestroyBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: VersionText,
    /// At least 7, 30 where it is left out.
    #[schema(minimum = 7, maximum = 3653)]
    after_days: Option<u32>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    eoa: AddressText,
    name: Option<KeysText>,
    /// 0 ends the schedule.
    #[schema(minimum = 0, maximum = 3653)]
    every_days: u32,
    #[schema(minimum = 0, maximum = 3652)]
    announce_days: Option<u32>,
    #[schema(minimum = 0, maximum = 3653)]
    overlap_days: Option<u32>,
    activate: Option<bool>,
    retire_on: Option<RetireOnWord>,
    #[schema(minimum = 0, maximum = 87672)]
    jitter_hours: Option<u32>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalarMulBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    hash: PointText,
    /// Instead of `version`: the version that was current then, unix seconds.
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignDigestBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    digest: Hex32Text,
    /// Instead of `version`: the version that was current then, unix seconds.
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: Option<u32>,
}

/// What registers the key with one of EigenLayer's two registries.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SignRegistrationBody {
    BlsApkRegistry(ApkRegistration),
    KeyRegistrar(RegistrarRegistration),
    AsBound(BoundRegistration),
}

/// At the place that the version is bound to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoundRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApkRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 9223372036854775807_usize)]
    chain_id: u64,
    registry: BlsApkRegistry,
    verifying_contract: AddressText,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrarRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 9223372036854775807_usize)]
    chain_id: u64,
    registry: KeyRegistrar,
    verifying_contract: AddressText,
    avs: AddressText,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    operator_set_id: u32,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignCertificateBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: u32,
    message_hash: Hex32Text,
}

/// What a key allows; what is left out is not restricted.
#[derive(Deserialize, ToSchema)]
#[schema(as = Policy)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyText {
    #[schema(max_items = 64)]
    signing: Option<Vec<SigningText>>,
    /// Source networks, such as `10.0.0.0/8`.
    #[schema(max_items = 64)]
    networks: Option<Vec<String>>,
    /// Signatures per minute.
    #[schema(minimum = 1, maximum = 4294967295_usize)]
    per_minute: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskChallengeBody {
    eoa: AddressText,
    /// At least one; reading, creating and typed signing where it is left out.
    #[schema(min_items = 1, max_items = 64)]
    scopes: Option<Vec<ScopeText>>,
    /// 900 where it is left out; the service has a ceiling, one hour unless configured.
    #[schema(minimum = 1, maximum = 4294967295_usize)]
    ttl_seconds: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerChallengeBody {
    challenge_id: String,
    /// Over `message` by EIP-191 or over `typed_data` by EIP-712.
    #[schema(pattern = "^(0[xX])?([0-9a-fA-F]{2}){1,8192}$")]
    signature: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}
