//! `/local/maintenance`: on the local socket only, records what the command line did to the files itself.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::http::dto::invalid_value::invalid;
use crate::http::dto::values::Count;
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::response::json;
use crate::service::operation::MAINTENANCE_NOTE;
use crate::service::{Maintenance, NoteMaintenance, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::post(&MAINTENANCE_NOTE, "/local/maintenance", note)]
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
