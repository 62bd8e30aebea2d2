//! `/v1/scalar_mul` and `/v1/sign/…`: one body each, one way for all.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{SignResult, json};
use super::body::{Members, invalid};
use super::call::Call;
use super::form;
use crate::key::{Eoa, VersionSelector};
use crate::operation::{Failure, Message, Sign};

/// `POST /v1/scalar_mul`
pub(super) async fn scalar_mul(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "scalar_mul", |members, _| {
        Ok(Message::Point(members.required("hash", form::g1_point)?))
    })
    .await
}

/// `POST /v1/sign/digest`
pub(super) async fn digest(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.digest", |members, _| {
        Ok(Message::Digest(members.required("digest", form::bytes32)?))
    })
    .await
}

/// `POST /v1/sign/registration`
pub(super) async fn registration(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.registration", |members, eoa| {
        let message = form::binding_members(members, eoa)?;
        Ok(message.as_ref().map_or(Message::RegisterAsBound, Message::from))
    })
    .await
}

/// `POST /v1/sign/certificate`
pub(super) async fn certificate(call: Call, request: Request) -> Result<Response, Failure> {
    sign(call, request, "sign.certificate", |members, _| {
        Ok(Message::Certificate {
            reference_timestamp: members.required("reference_timestamp", form::number)?,
            message_hash: members.required("message_hash", form::bytes32)?,
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
            let eoa = members.required("eoa", form::eoa)?;
            let name = members.optional("name", form::name)?.unwrap_or_default();
            let version = members.optional("version", form::version)?;
            let message = message(members, eoa)?;
            let time = match &message {
                // The table's time chooses the key that the table names, unless the caller knows better.
                Message::Certificate { reference_timestamp, .. } => Some(i64::from(*reference_timestamp)),
                Message::RegisterAsBound
                | Message::RegisterWithApkRegistry { .. }
                | Message::RegisterWithKeyRegistrar { .. } => None,
                Message::Digest(_) | Message::Point(_) => {
                    members.optional("reference_timestamp", form::number::<u32>)?.map(i64::from)
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
