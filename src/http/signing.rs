//! `/v1/scalar_mul`.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{SignResult, json};
use super::call::Call;
use super::form;
use crate::key::VersionSelector;
use crate::operation::{Failure, Operation, ScalarMul};

/// `POST /v1/scalar_mul`
pub(super) async fn scalar_mul(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse(ScalarMul::NAME, request, |members| {
            Ok(ScalarMul {
                eoa: members.required("eoa", form::eoa)?,
                name: members.optional("name", form::name)?.unwrap_or_default(),
                version: members.optional("version", form::version)?.unwrap_or(VersionSelector::Current),
                point: members.required("hash", form::g1_point)?,
            })
        })
        .await?;
    let signed = call.service().scalar_mul(call.context().clone(), wish, call.deadline()).await?;
    Ok(json(StatusCode::OK, &SignResult::new(&signed, call.context().request())))
}
