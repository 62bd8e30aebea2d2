//! `/local/maintenance`, `/local/backup/sign`: on the local socket only, records what the command line did to the files
//! itself, and signs the manifest of a backup.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::http::dto::invalid_value::invalid;
use crate::http::dto::values::Count;
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::response::json;
use crate::service::operation::{BACKUP_SIGN, MAINTENANCE_NOTE};
use crate::service::{Maintenance, NoteMaintenance, ServiceError, SignedManifest};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post(&MAINTENANCE_NOTE, "/local/maintenance", note),
        Endpoint::post(&BACKUP_SIGN, "/local/backup/sign", sign),
    ]
}

/// `{"work": "backup", "path": "kms.tar.zst", "count": 3}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct NoteBody {
    work: String,
    path: String,
    count: Count,
}

impl TryFrom<NoteBody> for NoteMaintenance {
    type Error = ServiceError;

    fn try_from(body: NoteBody) -> Result<Self, ServiceError> {
        let NoteBody { work, path, count: Count(count) } = body;
        let work = Maintenance::ALL.into_iter().find(|known| known.name() == work);
        let work = work.ok_or_else(|| invalid("unknown maintenance operation").field("work"))?;
        Ok(Self { work, path, count })
    }
}

#[derive(Serialize)]
struct Noted {}

async fn note(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let note = call.parse(request, |body: NoteBody| NoteMaintenance::try_from(body)).await?;
    call.services().maintenance.note(call.context(), note).await?;
    Ok(json(StatusCode::OK, &Noted {}))
}

/// `{"manifest": "0x…"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct ManifestBody {
    manifest: String,
}

/// The SHA-256 of a manifest.
fn manifest_hash(body: &ManifestBody) -> Result<[u8; 32], ServiceError> {
    let mut hash = [0; 32];
    hex::decode_to_slice(body.manifest.trim_start_matches("0x"), &mut hash)
        .map_err(|_| invalid("the SHA-256 of a manifest is 32 bytes in hexadecimal").field("manifest"))?;
    Ok(hash)
}

#[derive(Serialize)]
struct SignedManifestBody {
    key: String,
    note: String,
}

async fn sign(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let manifest = call.parse(request, |body: ManifestBody| manifest_hash(&body)).await?;
    let signed = call.services().maintenance.sign_manifest(call.context(), manifest).await?;
    let SignedManifest { key, note } = signed;
    Ok(json(StatusCode::OK, &SignedManifestBody { key: key.to_string(), note }))
}
