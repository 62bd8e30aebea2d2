//! Error rewrite: a JSON body for hyper's own empty 400, 414 and 431 responses.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::http::error;
use crate::request_id::RequestId;
use crate::service::{ErrorCode, ServiceError};

/// A stream on which hyper's own responses to malformed heads, a status and nothing else, get the JSON body of every error.
///
/// `content-length: 0` marks them: no handler responds with an empty body, and no JSON has a bare line end, so no
/// response of ours can hold such a head.
pub(crate) struct ErrorRewrite<S> {
    stream: S,
    /// The bytes to write in place of those that hyper gave, and how many of them are written.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S> ErrorRewrite<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, instead: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ErrorRewrite<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ErrorRewrite<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() {
            this.instead = with_body(bytes).map(|whole| (whole, 0));
        }
        let Some((whole, done)) = &mut this.instead else {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        };
        while let Some(rest) = whole.get(*done..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, rest))? {
                // Without progress this would be an endless loop.
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *done += written,
            }
        }
        this.instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The bytes with a body for the empty response at their end, if there is one.
fn with_body(bytes: &[u8]) -> Option<Vec<u8>> {
    /// hyper's own head has some 100 bytes.
    const LONGEST: usize = 256;
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = bytes.len().saturating_sub(LONGEST);
    let tail = bytes.get(from..)?;
    let begin = tail.windows(9).rposition(|window| window == b"HTTP/1.1 ")?;
    let head = std::str::from_utf8(tail.get(begin..)?).ok()?;
    if !head.lines().any(|line| line.eq_ignore_ascii_case("content-length: 0")) {
        return None;
    }
    let failure = match head.get(9..12)? {
        "400" => ServiceError::new(ErrorCode::InvalidRequest, "the head of the request is not HTTP"),
        "414" | "431" => ServiceError::new(ErrorCode::InvalidRequest, "the head of the request is too long"),
        _ => return None,
    };
    let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
    let mut whole = bytes.get(..from + begin)?.to_vec();
    whole.extend_from_slice(&error::raw_error_response(&failure, id, head.get(9..)?.lines().next()?));
    Some(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn an_empty_response_gets_a_body_and_what_precedes_it_stays() {
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let empty = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let whole = with_body(format!("{before}{empty}").as_bytes()).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        let rest = whole.strip_prefix(before).unwrap();
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains(r#""code":"invalid_request""#), "{body}");
    }

    #[test]
    fn other_responses_pass_unchanged() {
        for response in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "",
        ] {
            assert!(with_body(response.as_bytes()).is_none(), "{response}");
        }
    }

    /// A stream that takes nothing and does not say why.
    struct Full;

    impl AsyncWrite for Full {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(0))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_stream_that_takes_nothing_is_an_error_and_no_endless_loop() {
        let mut stream = ErrorRewrite::new(Full);
        let head = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let error = tokio::io::AsyncWriteExt::write_all(&mut stream, head).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    }
}
