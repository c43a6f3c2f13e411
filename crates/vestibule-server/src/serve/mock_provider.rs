//! Serving the mock provider: on a listener of its own, for the demo and for the wire tests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use vestibule_core::time::Timestamp;

use crate::http::context::SystemChance;
use crate::http::listener::{self, Limits};
use crate::http::peer::TrustedProxies;
use crate::jobs::Stop;
use crate::mock_provider::MockProvider;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 256;
/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long an answer may take, slow ones included.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// Serves the provider until the signal. `now` is asked once a request; `seen` is told of every request before it is answered.
pub(crate) async fn serve<N, S>(
    listener: TcpListener,
    provider: Arc<MockProvider>,
    now: N,
    seen: S,
    mut stop: Stop,
) where
    N: Fn() -> Timestamp + Send + Sync + 'static,
    S: Fn(&Parts, &Bytes) + Send + Sync + 'static,
{
    let shared = Arc::new((provider, now, seen, SystemChance::new()));
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (provider, now, seen, chance) = &*shared;
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
                let mut refused = Response::new(Full::default());
                *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok::<_, Infallible>(refused);
            };
            let body = body.to_bytes();
            seen(&parts, &body);
            let answer = provider.respond(&parts, &body, now(), chance);
            if !answer.after.is_zero() {
                tokio::time::sleep(answer.after).await;
            }
            Ok(answer.response)
        }
    });
    let second = Duration::from_secs(1);
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        connections_per_peer_max: u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX),
        proxies: TrustedProxies::default(),
        header_timeout: 10 * second,
        request_timeout: REQUEST_TIMEOUT,
        write_timeout: 20 * second,
        shutdown_grace: second,
    };
    listener::serve(
        listener,
        None,
        limits,
        service,
        async move { stop.wait().await },
    )
    .await;
}
