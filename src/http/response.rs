//! JSON responses: status, content type, no caching. Not for: the bodies themselves (`dto`).

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own types with text keys: serialising them cannot fail.
    json_bytes(status, serde_json::to_vec(body).unwrap_or_default().into())
}

/// A response with JSON that is serialised already.
pub(crate) fn json_bytes(status: StatusCode, json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same response, which holds a permit until it is sent or the client has gone.
pub(crate) fn holding(response: Response, permit: OwnedSemaphorePermit) -> Response {
    response.map(|body| Body::new(HoldingBody { body, _permit: permit }))
}

struct HoldingBody {
    body: Body,
    _permit: OwnedSemaphorePermit,
}

impl HttpBody for HoldingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_response_holds_its_permit_until_it_is_read_or_dropped() {
        let turns = Arc::new(Semaphore::new(1));
        let response = || {
            let permit = Arc::clone(&turns).try_acquire_owned().unwrap();
            holding(json(StatusCode::OK, &["page"]), permit)
        };
        let unread = response();
        assert_eq!(unread.body().size_hint().exact(), Some(8), "a length is still announced");
        assert_eq!(turns.available_permits(), 0);
        drop(unread);
        assert_eq!(turns.available_permits(), 1);
        assert_eq!(response().into_body().collect().await.unwrap().to_bytes(), r#"["page"]"#);
        assert_eq!(turns.available_permits(), 1);
    }
}
