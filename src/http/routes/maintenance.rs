//! `/local/files`: on the socket in the data directory only, for what `avs-kms` did to the files itself.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::extract::authenticated::Call;
use crate::http::extract::object::invalid;
use crate::http::extract::values;
use crate::http::response::json;
use crate::service::{Failure, FileWork, NoteFiles};

/// `POST /local/files`: `{"work": "backup", "path": "kms.tar.zst", "count": 3}`
pub(crate) async fn note(call: Call, request: Request) -> Result<Response, Failure> {
    let work = |value| {
        let word = values::text(value)?;
        let known = FileWork::ALL.into_iter().find(|work| work.name() == word);
        known.ok_or_else(|| invalid("this is nothing that is done to files"))
    };
    let wish = call
        .parse("files.note", request, |members| {
            Ok(NoteFiles {
                work: members.required("work", work)?,
                path: members.required("path", values::text)?,
                count: members.required("count", values::number::<u64>)?,
            })
        })
        .await?;
    call.service().note_files(call.context(), wish).await?;
    Ok(json(StatusCode::OK, &serde_json::json!({})))
}
