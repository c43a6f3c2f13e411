//! What every answer of the project API carries.

use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde::Serialize;
use vestibule_core::oauth::known_error::KnownError;

/// The two families of header names: the product's, and the one that its newer SDKs write.
pub(super) const FAMILIES: [&str; 2] = ["x-stack-", "x-hexclave-"];
/// The names of the request headers, without their family.
const HEADERS: &[&str] = &[
    "project-id",
    "branch-id",
    "access-type",
    "publishable-client-key",
    "secret-server-key",
    "super-secret-admin-key",
    "admin-access-token",
    "access-token",
    "refresh-token",
    "allow-anonymous-user",
    "allow-restricted-user",
    "client-version",
    "override-error-status",
    "random-nonce",
    "development-override-key",
    "disable-artificial-development-delay",
];
/// How long browsers keep the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE_SECONDS: u32 = 86_400;
/// What scripts of other origins may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "content-type, retry-after, x-stack-actual-status, x-stack-known-error, x-stack-request-id, \
     x-hexclave-actual-status, x-hexclave-known-error, x-hexclave-request-id",
);

/// A request header of either family; of two that disagree there is none.
pub(super) fn header<'a>(ctx: &'a Ctx, name: &str) -> Option<&'a str> {
    let mut found = FAMILIES.iter().filter_map(|family| {
        let name = HeaderName::from_bytes(format!("{family}{name}").as_bytes()).ok()?;
        ctx.header(&name).filter(|value| !value.is_empty())
    });
    match (found.next(), found.next()) {
        (Some(one), Some(other)) if one != other => None,
        (one, _) => one,
    }
}

/// Writes a header in both families.
fn set(reply: &mut Reply, name: &str, value: &str) {
    for family in FAMILIES {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(format!("{family}{name}").as_bytes()),
            HeaderValue::from_str(value),
        ) {
            reply.headers_mut().insert(name, value);
        }
    }
}

/// JSON with status 200.
pub(super) fn json(value: &impl Serialize) -> Reply {
    reply::json(StatusCode::OK, value)
}

/// A known error as JSON: the header and the body name the same code, or SDKs give up.
pub(super) fn known_error(ctx: &Ctx, error: &KnownError) -> Reply {
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        code = error.code(),
        "the project API refused"
    );
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut reply = reply::json(status, &error.body());
    set(&mut reply, "known-error", error.code());
    reply
}

/// A plain refusal in words.
pub(super) fn words(ctx: &Ctx, status: StatusCode, text: &'static str) -> Reply {
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        status = status.as_u16(),
        detail = text,
        "the project API refused"
    );
    reply::body(status, "text/plain; charset=utf-8", text)
}

/// Something of ours failed.
pub(super) fn failure(ctx: &Ctx, failure: &Failure) -> Reply {
    if failure.is_passing() {
        tracing::warn!(reference = ctx.reference, error = %failure, "not answered for now");
    } else {
        tracing::error!(reference = ctx.reference, error = %failure, "not answered");
    }
    failure.to_json()
}

/// The headers of every answer. Only an answer that says so itself may be kept. A request that asks for it gets 200 for a 4xx and the real status in a header.
pub(super) fn finish(ctx: &Ctx, mut reply: Reply) -> Reply {
    let status = reply.status();
    let asked = header(ctx, "override-error-status").is_some_and(|value| value != "false");
    if asked && status.is_client_error() {
        *reply.status_mut() = StatusCode::OK;
    }
    if asked {
        set(&mut reply, "actual-status", status.as_str());
    }
    set(&mut reply, "request-id", &ctx.reference);
    let headers = reply.headers_mut();
    let kept = headers.get(header::CACHE_CONTROL);
    if kept.is_none_or(|value| value == "no-store") {
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store, max-age=0"),
        );
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    reply
}

/// The answer to a preflight: everybody may call, nobody with cookies.
pub(crate) fn preflight() -> Reply {
    let mut allowed =
        "content-type, x-requested-with, authorization, ngrok-skip-browser-warning".to_owned();
    for family in FAMILIES {
        for name in HEADERS {
            allowed.push_str(", ");
            allowed.push_str(family);
            allowed.push_str(name);
        }
    }
    let mut reply = reply::empty(StatusCode::OK);
    let headers = reply.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, value);
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from(PREFLIGHT_MAX_AGE_SECONDS),
    );
    reply
}
