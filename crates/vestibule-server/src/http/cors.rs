//! Which scripts of other origins may read an answer (the Fetch standard's CORS protocol).
//!
//! The law: an origin that may read is named exactly, and `*` never stands beside credentials (T48).

use super::context::Ctx;
use super::reply::Reply;
use http::header::{self, HeaderValue};
use vestibule_core::oauth::client::Client;

/// Lets the scripts of this client's own origins read the answer, and nobody else's.
pub(crate) fn allow_own_origin(ctx: &Ctx, client: &Client, reply: &mut Reply) {
    let Some(origin) = ctx.headers.get(header::ORIGIN) else {
        return;
    };
    if origin
        .to_str()
        .is_ok_and(|origin| client.allows_origin(origin))
    {
        reply
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// Lets any script read the answer: what it says depends on nothing that a browser adds by itself.
pub(crate) fn allow_any_origin(reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate"),
    );
}

/// Lets the scripts of one origin read the answer to a request that carries cookies.
pub(crate) fn allow_credentials(origin: &HeaderValue, reply: &mut Reply) {
    let headers = reply.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("WWW-Authenticate"),
    );
}
