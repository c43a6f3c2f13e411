//! What a client of another OAuth server asks of it, whichever of our features is the client: tokens for a code, and who a token
//! is about.

use super::http::{Bounds, OutboundError, OutboundHttp, OutboundResponse};
use http::header::{self, HeaderMap, HeaderValue};
use std::time::Duration;
use vestibule_core::relying_party::tokens::UpstreamForm;
use vestibule_core::secret::Secret;

/// How often it is asked about a person when the server fails.
const TRIES_MAX: u32 = 3;
/// How long to wait before asking again.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Headers that ask for JSON, with credentials where there are any.
fn json_wanted(authorization: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(authorization) = authorization
        && let Ok(mut value) = HeaderValue::from_str(authorization)
    {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    headers
}

/// Sends a form to a token endpoint.
pub(crate) async fn ask_tokens(
    outbound: &OutboundHttp,
    url: &str,
    form: &UpstreamForm,
    bounds: Bounds,
) -> Result<OutboundResponse, OutboundError> {
    let headers = json_wanted(form.authorization.as_ref().map(Secret::reveal));
    outbound
        .post_encoded(url, &form.body, headers, bounds)
        .await
}

/// Reads a document, with a bearer token where one is needed.
pub(crate) async fn fetch(
    outbound: &OutboundHttp,
    url: &str,
    bearer: Option<&Secret>,
    bounds: Bounds,
) -> Result<OutboundResponse, OutboundError> {
    let authorization = bearer.map(|token| format!("Bearer {}", token.reveal()));
    outbound
        .get(url, json_wanted(authorization.as_deref()), bounds)
        .await
}

/// Asks whom a token is about; a server that fails is asked again after a moment. The answer has any status.
pub(crate) async fn ask_person(
    outbound: &OutboundHttp,
    url: &str,
    access_token: &Secret,
    bounds: Bounds,
) -> Result<OutboundResponse, OutboundError> {
    let mut tries = 1;
    loop {
        let answer = fetch(outbound, url, Some(access_token), bounds).await;
        let failed = match &answer {
            Ok(answer) => answer.status.is_server_error(),
            Err(error) => matches!(error, OutboundError::Unreachable(_)),
        };
        if !failed || tries >= TRIES_MAX {
            return answer;
        }
        tries += 1;
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
