//! `/v1/scalar_mul` and `/v1/sign/…`: one body each, one way for all.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::dto::schema;
use crate::http::dto::signature::SignResult;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::{Members, invalid};
use crate::http::extract::values;
use crate::http::response::json;
use crate::key::{Eoa, VersionSelector};
use crate::service::{Failure, Message, Sign};

/// `POST /v1/scalar_mul`
#[utoipa::path(
    post, path = "/v1/scalar_mul", operation_id = "scalar_mul", tag = "Signing",
    summary = "Multiply a point by the key",
    request_body = schema::ScalarMulBody,
    responses((status = 200, description = "Signed, and on record", body = SignResult), (status = 404), (status = 409)),
    security(("token" = ["sign:point"])),
)]
pub(crate) async fn scalar_mul(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "scalar_mul", |members, _| {
        Ok(Message::Point(members.required("hash", values::g1_point)?))
    })
    .await
}

/// `POST /v1/sign/digest`
#[utoipa::path(
    post, path = "/v1/sign/digest", operation_id = "sign_digest", tag = "Signing",
    summary = "Sign a 32-byte digest: hashToG1 of it, multiplied",
    request_body = schema::SignDigestBody,
    responses((status = 200, description = "Signed, and on record", body = SignResult), (status = 404), (status = 409)),
    security(("token" = ["sign:digest"])),
)]
pub(crate) async fn digest(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.digest", |members, _| {
        Ok(Message::Digest(members.required("digest", values::bytes32)?))
    })
    .await
}

/// `POST /v1/sign/registration`
#[utoipa::path(
    post, path = "/v1/sign/registration", operation_id = "sign_registration", tag = "Signing",
    summary = "Sign what registers the key with a registry of EigenLayer",
    request_body = schema::SignRegistrationBody,
    responses((status = 200, description = "Signed, and on record", body = SignResult), (status = 404), (status = 409)),
    security(("token" = ["sign:typed"])),
)]
pub(crate) async fn registration(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.registration", |members, eoa| {
        let message = values::binding_members(members, eoa)?;
        Ok(message.as_ref().map_or(Message::RegisterAsBound, Message::from))
    })
    .await
}

/// `POST /v1/sign/certificate`
#[utoipa::path(
    post, path = "/v1/sign/certificate", operation_id = "sign_certificate", tag = "Signing",
    summary = "Sign an EigenLayer BN254 certificate",
    request_body = schema::SignCertificateBody,
    responses((status = 200, description = "Signed, and on record", body = SignResult), (status = 404), (status = 409)),
    security(("token" = ["sign:typed"])),
)]
pub(crate) async fn certificate(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.certificate", |members, _| {
        Ok(Message::Certificate {
            reference_timestamp: members.required("reference_timestamp", values::number)?,
            message_hash: members.required("message_hash", values::bytes32)?,
        })
    })
    .await
}

async fn sign(
    call: Call,
    request: Request,
    operation: &'static str,
    message: impl FnOnce(&mut Members, Eoa) -> Result<Message, Failure>,
) -> Result<Response, Failure> {
    let wish = call
        .parse(operation, request, |members| {
            let eoa = members.required("eoa", values::eoa)?;
            let name = members.optional("name", values::name)?.unwrap_or_default();
            let version = members.optional("version", values::version)?;
            let message = message(members, eoa)?;
            let time = match &message {
                // The table's time chooses the key that the table names, unless the caller knows better.
                Message::Certificate { reference_timestamp, .. } => Some(i64::from(*reference_timestamp)),
                Message::RegisterAsBound
                | Message::RegisterWithApkRegistry { .. }
                | Message::RegisterWithKeyRegistrar { .. } => None,
                Message::Digest(_) | Message::Point(_) => {
                    members.optional("reference_timestamp", values::number::<u32>)?.map(i64::from)
                }
            };
            let version = match (version, time, &message) {
                (Some(_), Some(_), Message::Digest(_) | Message::Point(_)) => {
                    let sentence = "version and reference_timestamp both choose a version: say one";
                    return Err(invalid(sentence).at("reference_timestamp"));
                }
                (Some(version), ..) => version,
                (None, Some(time), _) => VersionSelector::ActiveAt(time),
                (None, None, _) => VersionSelector::Current,
            };
            Ok(Sign::new(eoa, name, version, message))
        })
        .await?;
    let signed = call.service().sign(call.context().clone(), wish, call.deadline()).await?;
    Ok(json(StatusCode::OK, &SignResult::new(&signed, call.context().request())))
}
