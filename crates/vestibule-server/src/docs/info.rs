//! The Info API (seed 000): what documentation sites are told about a person, for a token with the docs scope, or for the sign-in
//! cookie where the tenant lists the site's origin.
//!
//! The law: a cookie counts only from a listed origin of the issuer's own site. Without one the answer is the same whoever is signed in,
//! so that a stranger's page learns nothing by trying (T48).

use crate::http::context::Ctx;
use crate::http::cors;
use crate::http::reply::{self, Failure, Reply};
use crate::http::{bearer, session};
use http::StatusCode;
use http::header::{self, HeaderValue};
use vestibule_core::identity::user::User;
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::scope::ScopeSet;

/// `GET /docs/user-info`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    // A token that is sent is what counts, whatever cookies a browser adds to it.
    match session_origin(ctx) {
        Some(origin) if !ctx.headers.contains_key(header::AUTHORIZATION) => {
            by_session(ctx, origin).await
        }
        _ => by_token(ctx).await,
    }
}

/// Adds to the answer to a preflight that a listed origin may send cookies.
pub(crate) fn allow_preflight(ctx: &Ctx, reply: &mut Reply) {
    if let Some(origin) = session_origin(ctx) {
        cors::allow_credentials(origin, reply);
    }
    reply
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("origin"));
}

async fn by_token(ctx: &Ctx) -> Result<Reply, Failure> {
    let scope = docs_scope(ctx);
    let accepted =
        bearer::accept(ctx, &Params::default(), |granted| allows(scope, granted)).await?;
    let bearer::Accepted { token, family } = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            let mut reply = bearer::refuse(ctx, error.as_ref(), scope);
            cors::allow_any_origin(&mut reply);
            return Ok(reply);
        }
    };
    let mut reply = tell(ctx, &family.user);
    if let Some(client) = ctx.tenant.client(&ctx.shared, &token.client_id).await? {
        cors::allow_own_origin(ctx, &client, &mut reply);
    }
    Ok(reply)
}

async fn by_session(ctx: &Ctx, origin: &HeaderValue) -> Result<Reply, Failure> {
    let people = session::people(ctx, "").await?;
    let mut reply = match people.first() {
        Some(active) => tell(ctx, &active.present.user),
        None => bearer::refuse(ctx, None, docs_scope(ctx)),
    };
    cors::allow_credentials(origin, &mut reply);
    Ok(reply)
}

fn tell(ctx: &Ctx, user: &User) -> Reply {
    let told = ctx.tenant.docs_profile.describe(user, ctx.now);
    let mut reply = reply::json(StatusCode::OK, &told);
    reply.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-store"),
    );
    reply
}

fn docs_scope(ctx: &Ctx) -> &str {
    &ctx.tenant.tenant.policy.docs_scope
}

/// RFC 6750, 3.1.
fn allows(scope: &str, granted: &ScopeSet) -> Result<(), OAuthError> {
    if granted.contains(scope) {
        return Ok(());
    }
    Err(OAuthError::quoting(
        ErrorCode::InsufficientScope,
        &format!("the access token does not allow '{scope}'"),
    ))
}

/// The origin whose scripts may use the sign-in cookie here, if the request says that it comes from one. A browser that says that the
/// page is of another site is believed too: it knows which names belong together.
fn session_origin(ctx: &Ctx) -> Option<&HeaderValue> {
    let text = ctx.header(&header::ORIGIN)?;
    let is_cross_site = ctx
        .headers
        .get_all("sec-fetch-site")
        .iter()
        .any(|value| value == "cross-site");
    let is_listed = ctx
        .tenant
        .docs_profile
        .shares_session_with(text, &ctx.tenant.tenant.issuer);
    if is_cross_site || !is_listed {
        return None;
    }
    ctx.headers.get(header::ORIGIN)
}
