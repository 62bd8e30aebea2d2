//! `/v1/audit…`: records to whom they concern; checkpoints and proofs, which hold hashes only, to everybody.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json as object;
use serde_json::value::RawValue;

use crate::http::app::App;
use crate::http::dto::key::hex0x;
use crate::http::dto::schema;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::invalid;
use crate::http::extract::query::Query;
use crate::http::response::json;
use crate::service::{Consistency, Failure, ReadRecords, checkpoint_body};

/// The most records of one page.
const PAGE: u64 = 1_000;

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RecordPage)]
pub(crate) struct RecordsBody {
    /// As they were written, byte for byte: their hashes must come out.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Box<RawValue>>,
    next: u64,
}

/// `GET /v1/audit?after=SEQ&limit=N`
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "read_audit", tag = "Audit",
    summary = "Records that concern the caller's EOA",
    params(
        ("after" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_usize, description = "Records after this one"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "At most so many, 100 if not said"),
    ),
    responses((status = 200, description = "A page; `next` is the `after` of the next one", body = RecordsBody)),
    security(("token" = ["audit:read"])),
)]
pub(crate) async fn records(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = Query::of(&request).and_then(|mut query| {
        let after = query.number("after")?.unwrap_or(0);
        let limit = query.number("limit")?.unwrap_or(100);
        query.finish()?;
        if !(1..=PAGE).contains(&limit) {
            return Err(invalid(format!("a page has 1 to {PAGE} records")).at("limit"));
        }
        Ok(ReadRecords { after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    });
    let wish = call.checked("audit.read", wish)?;
    let _turn = call.search().await?;
    let page = call.service().read_records(call.context(), wish).await?;
    let records = page.records.into_iter().map(RawValue::from_string).collect::<Result<_, _>>();
    let records = records.map_err(Failure::internal)?;
    Ok(json(StatusCode::OK, &RecordsBody { records, next: page.next }))
}

/// `GET /v1/audit/checkpoint`
#[utoipa::path(
    get, path = "/v1/audit/checkpoint", operation_id = "checkpoint", tag = "Audit",
    summary = "The newest signed checkpoint",
    responses((status = 200, description = "The checkpoint", body = schema::Checkpoint)),
)]
pub(crate) async fn checkpoint(State(app): State<App>) -> Result<Response, Failure> {
    let (checkpoint, key) = app.service.checkpoint()?;
    Ok(json(StatusCode::OK, &checkpoint_body(&checkpoint, &key.to_string())))
}

/// `GET /v1/audit/proof?seq=N` or `?from=A&to=B`
#[utoipa::path(
    get, path = "/v1/audit/proof", operation_id = "prove", tag = "Audit",
    summary = "Inclusion of a record (seq), or consistency of two sizes (from, to)",
    params(
        ("seq" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_usize),
        ("from" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_usize),
        ("to" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_usize),
    ),
    responses((status = 200, description = "The proof", body = schema::ProofShape), (status = 404)),
)]
pub(crate) async fn proof(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let mut query = Query::of(&request)?;
    let (seq, from, to) = (query.number("seq")?, query.number("from")?, query.number("to")?);
    query.finish()?;
    let hashes = |hashes: &[[u8; 32]]| -> Vec<_> { hashes.iter().map(|hash| hex0x(hash)).collect() };
    let body = match (seq, from, to) {
        (Some(seq), None, None) => {
            let proof = app.service.prove_inclusion(seq).await?;
            object!({
                "seq": proof.seq,
                "record_hash": hex0x(&proof.record_hash),
                "hashes": hashes(&proof.hashes),
                "size": proof.checkpoint.size(),
                "root": hex0x(&proof.checkpoint.root()),
                "checkpoint": proof.checkpoint.note(),
                "proof": proof.to_string(),
            })
        }
        (None, Some(from), Some(to)) => {
            let proof = app.service.prove_consistency(Consistency { from, to }).await?;
            object!({
                "from": proof.from,
                "from_root": hex0x(&proof.from_root),
                "to": proof.to,
                "to_root": hex0x(&proof.to_root),
                "hashes": hashes(&proof.hashes),
            })
        }
        _ => return Err(invalid("ask for ?seq=N or for ?from=A&to=B")),
    };
    Ok(json(StatusCode::OK, &body))
}
