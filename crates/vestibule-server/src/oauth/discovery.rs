//! Discovery documents and the key set: prebuilt bytes with an entity tag.

use crate::http::configuration::{Prebuilt, TenantView};
use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;
use vestibule_core::jose::algorithm::Algorithm;

/// `GET /.well-known/openid-configuration` and `/.well-known/oauth-authorization-server`, one document for both.
pub(crate) fn metadata(ctx: &Ctx) -> Reply {
    prebuilt(ctx, &ctx.tenant.discovery)
}

/// `GET /.well-known/jwks.json`. The RS256 key that ID tokens are signed with by default is made before anybody caches the set.
pub(crate) async fn key_set(ctx: &Ctx) -> Result<Reply, Failure> {
    if ctx.tenant.keys.signing_key(Algorithm::RS256).is_some() {
        return Ok(prebuilt(ctx, &ctx.tenant.jwks));
    }
    // Once in a tenant's life: it shall not weigh on the memory of every other request.
    let view = Box::pin(with_its_first_rsa_key(ctx)).await?;
    Ok(prebuilt(ctx, &view.jwks))
}

async fn with_its_first_rsa_key(ctx: &Ctx) -> Result<Arc<TenantView>, Failure> {
    ctx.shared
        .signing_key(&ctx.tenant, Algorithm::RS256)
        .await?;
    let slug = &ctx.tenant.tenant.slug;
    let view = ctx.shared.tenant_by_slug(slug).await?;
    Ok(view.unwrap_or_else(|| Arc::clone(&ctx.tenant)))
}

fn prebuilt(ctx: &Ctx, document: &Prebuilt) -> Reply {
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
    headers.insert(header::CACHE_CONTROL, document.cache_control.clone());
    headers.insert(header::ETAG, document.etag.clone());
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    reply
}
