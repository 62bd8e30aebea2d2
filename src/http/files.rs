//! `/local/files`: on the socket in the data directory only, for what `avs-kms` did to the files itself.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::json;
use super::body::invalid;
use super::call::Call;
use super::form;
use crate::operation::{Failure, FileWork, NoteFiles};

/// `POST /local/files`: `{"work": "backup", "path": "kms.tar.zst", "count": 3}`
pub(super) async fn note(call: Call, request: Request) -> Result<Response, Failure> {
    let work = |value| {
        let word = form::text(value)?;
        let known = FileWork::ALL.into_iter().find(|work| work.name() == word);
        known.ok_or_else(|| invalid("this is nothing that is done to files"))
    };
    let wish = call
        .parse("files.note", request, |members| {
            Ok(NoteFiles {
                work: members.required("work", work)?,
                path: members.required("path", form::text)?,
                count: members.required("count", form::number::<u64>)?,
            })
        })
        .await?;
    call.service().note_files(call.context(), wish).await?;
    Ok(json(StatusCode::OK, &serde_json::json!({})))
}
