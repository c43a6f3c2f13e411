//! Discovery documents and the key set: prebuilt bytes with an entity tag.

use crate::http::configuration::Prebuilt;
use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use crate::http::signing::JWKS_MAX_AGE_SECONDS;
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;
use vestibule_core::jose::algorithm::Algorithm;

/// How long caches may keep the metadata, in seconds.
const METADATA_MAX_AGE_SECONDS: u32 = 300;

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`, one document for both.
pub(crate) fn metadata(ctx: &Ctx) -> Reply {
    prebuilt(ctx, &ctx.tenant.discovery, METADATA_MAX_AGE_SECONDS)
}

/// `GET /.well-known/jwks.json`. The RS256 key that ID tokens are signed with by default is made before anybody caches the set.
pub(crate) async fn key_set(ctx: &Ctx) -> Result<Reply, Failure> {
    if ctx.tenant.keys.signing_key(Algorithm::RS256).is_some() {
        return Ok(prebuilt(ctx, &ctx.tenant.jwks, JWKS_MAX_AGE_SECONDS));
    }
    ctx.shared
        .signing_key(&ctx.tenant, Algorithm::RS256)
        .await?;
    let slug = &ctx.tenant.tenant.slug;
    let view = ctx
        .shared
        .tenant_by_slug(slug)
        .await?
        .unwrap_or_else(|| Arc::clone(&ctx.tenant));
    Ok(prebuilt(ctx, &view.jwks, JWKS_MAX_AGE_SECONDS))
}

fn prebuilt(ctx: &Ctx, document: &Prebuilt, max_age_seconds: u32) -> Reply {
    let known = ctx.headers.get(header::IF_NONE_MATCH).is_some_and(|value| {
        value.to_str().is_ok_and(|tags| {
            tags.split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == document.etag)
        })
    });
    let mut reply = if known {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::body(StatusCode::OK, "application/json", document.bytes.clone())
    };
    let headers = reply.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={max_age_seconds}")) {
        headers.insert(header::CACHE_CONTROL, value);
    }
    if let Ok(value) = HeaderValue::from_str(&document.etag) {
        headers.insert(header::ETAG, value);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    reply
}
