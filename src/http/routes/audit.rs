//! `/v1/audit…`: records for the callers they concern; checkpoints and proofs, which hold hashes only, for everyone.

use std::ops::Range;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::dto::invalid_value::invalid;
use crate::http::dto::page::PageLimit;
use crate::http::dto::values::Bytes32;
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::extract::query::{Query, Seq};
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::service::operation::{AUDIT_CHECKPOINT, AUDIT_PROOF, AUDIT_READ};
use crate::service::{Consistency, ReadRecords, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let described = |summary| Description::new(Tag::Audit, summary);
    vec![
        Endpoint::get(&AUDIT_READ, "/v1/audit", records).describe(
            described("List audit records that concern the caller's EOA")
                .optional_query::<Seq>("after", "Only records with a higher number.")
                .optional_query::<PageLimit>("limit", "The most records of the page; 100 if absent.")
                .returns::<RecordPage>(200, "A page; `next` is the `after` of the next one."),
        ),
        Endpoint::get(&AUDIT_CHECKPOINT, "/v1/audit/checkpoint", checkpoint).describe(
            described("Show the newest signed checkpoint").returns::<Checkpoint>(200, "The checkpoint."),
        ),
        Endpoint::get(&AUDIT_PROOF, "/v1/audit/proof", proof).describe(
            described("Prove the inclusion of a record (seq) or the consistency of two sizes (from, to)")
                .optional_query::<Seq>("seq", "The record.")
                .optional_query::<Seq>("from", "The older size.")
                .optional_query::<Seq>("to", "The newer size.")
                .returns::<Proof>(200, "The proof.")
                .refuses(&[404]),
        ),
    ]
}

#[derive(Serialize, ToSchema)]
struct RecordPage {
    /// As they were written, byte for byte: their hashes must come out.
    #[schema(value_type = Vec<Object>)]
    records: Vec<Box<RawValue>>,
    next: u64,
    /// Records of this page that the service cannot read: their segments are not there. Empty as a rule.
    absent: Vec<AbsentRecords>,
}

/// A gap, the first and the last record of it.
#[derive(Serialize, ToSchema)]
struct AbsentRecords {
    from: u64,
    to: u64,
}

#[derive(Serialize, ToSchema)]
struct Checkpoint {
    /// A signed note in C2SP form.
    checkpoint: String,
    /// The number of records it covers.
    size: u64,
    root: Bytes32,
    origin: String,
    public_key: String,
}

/// A record's inclusion in the newest checkpoint (`seq`), or the consistency of two sizes (`from`, `to`).
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Proof {
    Inclusion(InclusionProof),
    Consistency(ConsistencyProof),
}

#[derive(Serialize, ToSchema)]
struct InclusionProof {
    seq: u64,
    record_hash: Bytes32,
    hashes: Vec<Bytes32>,
    size: u64,
    root: Bytes32,
    checkpoint: String,
    /// The same as a C2SP tlog-proof.
    proof: String,
}

#[derive(Serialize, ToSchema)]
struct ConsistencyProof {
    from: u64,
    from_root: Bytes32,
    to: u64,
    to_root: Bytes32,
    hashes: Vec<Bytes32>,
}

async fn records(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let page = Query::of(&request).and_then(|mut query| {
        let page = query.numbered_page()?;
        query.finish().map(|()| page)
    });
    let read = call.checked(page.map(|(after, limit)| ReadRecords { after, limit }))?;
    let page = call.services().audit.records(call.context(), read).await?;
    let records = page.records.into_iter().map(RawValue::from_string).collect::<Result<_, _>>();
    let records = records.map_err(ServiceError::internal)?;
    let gap = |range: Range<u64>| AbsentRecords { from: range.start, to: range.end.saturating_sub(1) };
    let absent = page.absent.into_iter().map(gap).collect();
    Ok(json(StatusCode::OK, &RecordPage { records, next: page.next, absent }))
}

async fn checkpoint(State(app): State<App>) -> Result<Response, ServiceError> {
    let (checkpoint, key) = app.services.audit.checkpoint()?;
    let body = Checkpoint {
        checkpoint: checkpoint.note().to_owned(),
        size: checkpoint.size(),
        root: Bytes32(checkpoint.root()),
        origin: checkpoint.origin().to_owned(),
        public_key: key.to_string(),
    };
    Ok(json(StatusCode::OK, &body))
}

async fn proof(State(app): State<App>, request: Request) -> Result<Response, ServiceError> {
    let mut query = Query::of(&request)?;
    let (seq, from, to): (Option<Seq>, Option<Seq>, Option<Seq>) =
        (query.number("seq")?, query.number("from")?, query.number("to")?);
    query.finish()?;
    let body = match (seq, from, to) {
        (Some(Seq(seq)), None, None) => {
            let proof = app.services.audit.prove_inclusion(seq).await?;
            Proof::Inclusion(InclusionProof {
                seq: proof.seq,
                record_hash: Bytes32(proof.record_hash),
                hashes: proof.hashes.iter().copied().map(Bytes32).collect(),
                size: proof.checkpoint.size(),
                root: Bytes32(proof.checkpoint.root()),
                checkpoint: proof.checkpoint.note().to_owned(),
                proof: proof.to_string(),
            })
        }
        (None, Some(Seq(from)), Some(Seq(to))) => {
            let proof = app.services.audit.prove_consistency(Consistency { from, to }).await?;
            Proof::Consistency(ConsistencyProof {
                from: proof.from,
                from_root: Bytes32(proof.from_root),
                to: proof.to,
                to_root: Bytes32(proof.to_root),
                hashes: proof.hashes.iter().copied().map(Bytes32).collect(),
            })
        }
        _ => return Err(invalid("expected the parameter seq, or the parameters from and to")),
    };
    Ok(json(StatusCode::OK, &body))
}
