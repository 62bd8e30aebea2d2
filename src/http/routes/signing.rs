//! `/v1/scalar_mul` and `/v1/sign/…`: one body each, one way for all.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::http::dto::binding::{BindingBody, RegistryName};
use crate::http::dto::invalid_value::invalid;
use crate::http::dto::point::Point;
use crate::http::dto::signature::SignResult;
use crate::http::dto::values::{Address, ChainId, Hex32, Name, OperatorSetId, UnixSeconds, VersionChoice};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::http::routes::keys::name_or_default;
use crate::key::VersionSelector;
use crate::service::operation::{SCALAR_MUL, SIGN_CERTIFICATE, SIGN_DIGEST, SIGN_REGISTRATION};
use crate::service::{Message, ServiceError, Sign};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let signing = |summary| {
        Description::new(Tag::Signing, summary)
            .returns::<SignResult>(200, "The signature, which the audit log records.")
            .refuses(&[404, 409])
    };
    vec![
        Endpoint::post(&SCALAR_MUL, "/v1/scalar_mul", scalar_mul)
            .describe(signing("Multiply a point by the key").body::<ScalarMulBody>()),
        Endpoint::post(&SIGN_DIGEST, "/v1/sign/digest", digest).describe(
            signing("Sign a 32-byte digest: multiply hashToG1 of it by the key").body::<SignDigestBody>(),
        ),
        Endpoint::post(&SIGN_REGISTRATION, "/v1/sign/registration", registration).describe(
            signing("Sign the registration of the key with a registry of EigenLayer")
                .body::<SignRegistrationBody>(),
        ),
        Endpoint::post(&SIGN_CERTIFICATE, "/v1/sign/certificate", certificate)
            .describe(signing("Sign an EigenLayer BN254 certificate").body::<SignCertificateBody>()),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct ScalarMulBody {
    eoa: Address,
    name: Option<Name>,
    version: Option<VersionChoice>,
    hash: Point,
    /// Instead of `version`: the version that was current at this time, unix seconds.
    reference_timestamp: Option<UnixSeconds>,
}

impl TryFrom<ScalarMulBody> for Sign {
    type Error = ServiceError;

    fn try_from(body: ScalarMulBody) -> Result<Self, ServiceError> {
        let ScalarMulBody { eoa: Address(eoa), name, version, hash: Point(point), reference_timestamp } =
            body;
        let version = version_at(version, reference_timestamp)?;
        Ok(Self::new(eoa, name_or_default(name), version, Message::Point(point)))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct SignDigestBody {
    eoa: Address,
    name: Option<Name>,
    version: Option<VersionChoice>,
    digest: Hex32,
    /// Instead of `version`: the version that was current at this time, unix seconds.
    reference_timestamp: Option<UnixSeconds>,
}

impl TryFrom<SignDigestBody> for Sign {
    type Error = ServiceError;

    fn try_from(body: SignDigestBody) -> Result<Self, ServiceError> {
        let SignDigestBody { eoa: Address(eoa), name, version, digest: Hex32(digest), reference_timestamp } =
            body;
        let version = version_at(version, reference_timestamp)?;
        Ok(Self::new(eoa, name_or_default(name), version, Message::Digest(digest)))
    }
}

/// What registers the key with a registry: one that the members name, or the one that the version is bound to.
///
/// `chain_id` and `verifying_contract` belong to `registry`; `avs` and `operator_set_id` to `key_registrar` alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct SignRegistrationBody {
    eoa: Address,
    name: Option<Name>,
    version: Option<VersionChoice>,
    registry: Option<RegistryName>,
    chain_id: Option<ChainId>,
    verifying_contract: Option<Address>,
    avs: Option<Address>,
    operator_set_id: Option<OperatorSetId>,
    /// The EOA if absent.
    operator: Option<Address>,
}

impl TryFrom<SignRegistrationBody> for Sign {
    type Error = ServiceError;

    fn try_from(body: SignRegistrationBody) -> Result<Self, ServiceError> {
        let Address(eoa) = body.eoa;
        let missing = |name: &'static str| invalid(format!("missing member `{name}`")).field(name);
        let message = match body.registry {
            Some(registry) => {
                let binding = BindingBody {
                    registry,
                    chain_id: body.chain_id.ok_or_else(|| missing("chain_id"))?,
                    verifying_contract: body
                        .verifying_contract
                        .ok_or_else(|| missing("verifying_contract"))?,
                    avs: body.avs,
                    operator_set_id: body.operator_set_id,
                    operator: body.operator,
                };
                Message::from(&binding.into_binding(eoa, "")?)
            }
            None if body.chain_id.is_some()
                || body.verifying_contract.is_some()
                || body.avs.is_some()
                || body.operator_set_id.is_some()
                || body.operator.is_some() =>
            {
                return Err(missing("registry"));
            }
            None => Message::BoundRegistration,
        };
        let version = body.version.map_or(VersionSelector::Current, |VersionChoice(version)| version);
        Ok(Self::new(eoa, name_or_default(body.name), version, message))
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct SignCertificateBody {
    eoa: Address,
    name: Option<Name>,
    /// The version that was current at the reference timestamp if absent.
    version: Option<VersionChoice>,
    reference_timestamp: UnixSeconds,
    message_hash: Hex32,
}

impl TryFrom<SignCertificateBody> for Sign {
    type Error = ServiceError;

    fn try_from(body: SignCertificateBody) -> Result<Self, ServiceError> {
        let SignCertificateBody { eoa: Address(eoa), name, version, .. } = body;
        let (UnixSeconds(reference_timestamp), Hex32(message_hash)) =
            (body.reference_timestamp, body.message_hash);
        // The operator table's time chooses the key that the table names, unless the client chooses another.
        let at_reference = VersionSelector::ActiveAt(reference_timestamp.into());
        let version = version.map_or(at_reference, |VersionChoice(version)| version);
        let message = Message::Certificate { reference_timestamp, message_hash };
        Ok(Self::new(eoa, name_or_default(name), version, message))
    }
}

fn version_at(
    version: Option<VersionChoice>,
    at: Option<UnixSeconds>,
) -> Result<VersionSelector, ServiceError> {
    match (version, at) {
        (Some(_), Some(_)) => {
            let message = "version and reference_timestamp both choose a version: send one of them";
            Err(invalid(message).field("reference_timestamp"))
        }
        (Some(VersionChoice(version)), None) => Ok(version),
        (None, Some(UnixSeconds(at))) => Ok(VersionSelector::ActiveAt(at.into())),
        (None, None) => Ok(VersionSelector::Current),
    }
}

async fn scalar_mul(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    sign::<ScalarMulBody>(call, request).await
}

async fn digest(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    sign::<SignDigestBody>(call, request).await
}

async fn registration(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    sign::<SignRegistrationBody>(call, request).await
}

async fn certificate(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    sign::<SignCertificateBody>(call, request).await
}

async fn sign<B>(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError>
where
    B: DeserializeOwned,
    Sign: TryFrom<B, Error = ServiceError>,
{
    let sign = call.parse(request, |body: B| Sign::try_from(body)).await?;
    let signed = call.services().signing.sign(call.context().clone(), sign, call.deadline()).await?;
    Ok(json(StatusCode::OK, &SignResult::new(&signed, call.context().request())))
}
