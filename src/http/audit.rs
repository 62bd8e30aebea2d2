//! `/v1/audit…`: records to whom they concern; checkpoints and proofs, which hold hashes only, to everybody.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::json as object;
use serde_json::value::RawValue;

use super::App;
use super::answer::{hex0x, json};
use super::body::invalid;
use super::call::Call;
use crate::operation::{Consistency, Failure, ReadRecords};

/// The most records of one page.
const PAGE: u64 = 1_000;

#[derive(Serialize)]
struct RecordsBody {
    /// As they were written, byte for byte: their hashes must come out.
    records: Vec<Box<RawValue>>,
    next: u64,
}

/// `GET /v1/audit?after=SEQ&limit=N`
pub(super) async fn records(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = Query::of(&request).and_then(|mut query| {
        let after = query.take("after").unwrap_or(0);
        let limit = query.take("limit").unwrap_or(100);
        query.finish()?;
        if !(1..=PAGE).contains(&limit) {
            return Err(invalid(format!("a page has 1 to {PAGE} records")).at("limit"));
        }
        Ok(ReadRecords { after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    });
    let wish = call.checked("audit.read", wish)?;
    let page = call.service().read_records(call.context(), wish).await?;
    let records = page.records.into_iter().map(RawValue::from_string).collect::<Result<_, _>>();
    let records = records.map_err(Failure::internal)?;
    Ok(json(StatusCode::OK, &RecordsBody { records, next: page.next }))
}

/// `GET /v1/audit/checkpoint`
pub(super) async fn checkpoint(State(app): State<App>) -> Result<Response, Failure> {
    let (checkpoint, key) = app.service.checkpoint()?;
    let body = object!({
        "checkpoint": checkpoint.note(),
        "size": checkpoint.size(),
        "root": hex0x(&checkpoint.root()),
        "origin": checkpoint.origin(),
        "public_key": key.to_string(),
    });
    Ok(json(StatusCode::OK, &body))
}

/// `GET /v1/audit/proof?seq=N` or `?from=A&to=B`
pub(super) async fn proof(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let mut query = Query::of(&request)?;
    let (seq, from, to) = (query.take("seq"), query.take("from"), query.take("to"));
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

/// The parameters of a path: whole numbers, each once.
pub(super) struct Query(BTreeMap<String, u64>);

impl Query {
    pub(super) fn of(request: &Request) -> Result<Self, Failure> {
        let mut parameters = BTreeMap::new();
        for pair in request.uri().query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = super::json::shown(name);
            let number =
                value.parse().map_err(|_| invalid("a whole number is expected here").at(name.clone()))?;
            if parameters.insert(name.clone(), number).is_some() {
                return Err(invalid("this parameter stands twice").at(name));
            }
        }
        Ok(Self(parameters))
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<u64> {
        self.0.remove(name)
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(invalid(format!("there is no parameter `{name}` here")).at(name)),
        }
    }
}
