//! Calls whose answer is passed on while it comes: what a site of pages elsewhere needs.
//!
//! The law is that of every call; only, instead of the whole time, the wait for the head and every wait after it are bounded. A
//! redirect is handed on as it is, and still not followed.

use super::turns::Turn;
use super::{OutboundError, OutboundHttp, destination, no_answer, place, request};
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How long the head of an answer may take, waiting for a turn included.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long nothing may come while the body is read.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the body may take altogether: a turn at the host is held as long.
const BODY_DEADLINE: Duration = Duration::from_mins(5);
/// The largest body, in bytes.
const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// An answer whose body is still coming; its status is any.
pub(crate) struct OutboundStream {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: OutboundBody,
}

/// A body that is coming, bounded. The turn at the host lasts as long as it does.
pub(crate) struct OutboundBody {
    body: Incoming,
    left: u64,
    idle: Pin<Box<Sleep>>,
    deadline: Pin<Box<Sleep>>,
    place: String,
    _turn: Turn,
}

impl OutboundHttp {
    /// GET or HEAD, with an answer that is passed on while it comes.
    pub(crate) async fn stream(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
    ) -> Result<OutboundStream, OutboundError> {
        let (url, destination) = destination::parse(url, self.connector.allow())?;
        let place = place(&url);
        let request = request(method, &url, headers, Bytes::new())?;
        let work = async {
            let turn = self.turns.take(destination.authority()).await;
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| no_answer(&place, &error))?;
            Ok((turn, answer))
        };
        let (turn, answer) = tokio::time::timeout(HEAD_DEADLINE, work)
            .await
            .unwrap_or_else(|_| {
                Err(OutboundError::TooSlow(format!(
                    "{place}: no answer in {HEAD_DEADLINE:?}"
                )))
            })?;
        let (head, body) = answer.into_parts();
        for encoding in head.headers.get_all(CONTENT_ENCODING) {
            if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
                return Err(OutboundError::Encoded(format!(
                    "{place}: Content-Encoding {encoding:?}"
                )));
            }
        }
        Ok(OutboundStream {
            status: head.status,
            headers: head.headers,
            body: OutboundBody {
                body,
                left: BODY_BYTES_MAX,
                idle: Box::pin(tokio::time::sleep(IDLE_TIMEOUT)),
                deadline: Box::pin(tokio::time::sleep(BODY_DEADLINE)),
                place,
                _turn: turn,
            },
        })
    }
}

impl Body for OutboundBody {
    type Data = Bytes;
    type Error = OutboundError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, OutboundError>>> {
        let this = self.get_mut();
        if this.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(OutboundError::TooSlow(format!(
                "{}: no whole body in {BODY_DEADLINE:?}",
                this.place
            )))));
        }
        let frame = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                return this.idle.as_mut().poll(context).map(|()| {
                    Some(Err(OutboundError::TooSlow(format!(
                        "{}: nothing for {IDLE_TIMEOUT:?}",
                        this.place
                    ))))
                });
            }
        };
        // How long the other side kept us waiting is measured from one piece to the next.
        let until = Instant::now() + IDLE_TIMEOUT;
        this.idle.as_mut().reset(until);
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|error| no_answer(&this.place, &error))?;
            let length = frame.data_ref().map_or(0, Bytes::len);
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            match this.left.checked_sub(length) {
                Some(left) => this.left = left,
                None => {
                    return Err(OutboundError::TooLarge(format!(
                        "{}: more than {BODY_BYTES_MAX} bytes",
                        this.place
                    )));
                }
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
