//! Introspection (RFC 7662).

use super::caller;
use crate::http::bearer;
use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use http::{StatusCode, header};
use std::sync::Arc;
use vestibule_core::oauth::client::{Client, ClientKind};
use vestibule_core::oauth::client_auth::{AuthenticatedClient, FAILED};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::introspection::{Caller, Introspection, may_see};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::scope::ScopeSet;

/// `POST /oauth/introspect` and `/oauth/token_info`.
pub(crate) async fn introspect(ctx: &Ctx) -> Result<Reply, Failure> {
    let params = match caller::form(ctx) {
        Ok(params) => params,
        Err(error) => return Ok(caller::refuse(ctx, &error)),
    };
    let asker = match authorized(ctx, &params).await? {
        Ok(asker) => asker,
        Err(reply) => return Ok(reply),
    };
    if let Some(name) = params.repeated() {
        let error =
            OAuthError::quoting(ErrorCode::InvalidRequest, &format!("{name} may stand once"));
        return Ok(caller::refuse(ctx, &error));
    }
    let Some(text) = params.get("token") else {
        return Ok(caller::refuse(
            ctx,
            &OAuthError::new(ErrorCode::InvalidRequest, "token is missing"),
        ));
    };
    let inactive = |detail: &'static str| {
        tracing::debug!(
            reference = ctx.reference,
            detail,
            "introspection says inactive"
        );
        reply::json(StatusCode::OK, &Introspection::INACTIVE)
    };
    let Some(token) = bearer::read(ctx, text).await? else {
        return Ok(inactive("not an access token of this issuer"));
    };
    if !may_see(asker.caller(), &token) {
        return Ok(inactive("not the caller's business"));
    }
    if params
        .get("scope")
        .is_some_and(|scope| !has_all(&token.scope, scope))
    {
        return Ok(inactive("it lacks a scope that was asked about"));
    }
    let Ok(stands) = bearer::check(ctx, token).await? else {
        return Ok(inactive("it does not stand"));
    };
    Ok(reply::json(
        StatusCode::OK,
        &Introspection::active(
            &stands.token,
            stands.username.as_deref(),
            &ctx.tenant.tenant.issuer,
        ),
    ))
}

/// Seed 002's clients may name scopes that the token must have; what is no list of scopes, no token has.
fn has_all(scope: &ScopeSet, asked: &str) -> bool {
    ScopeSet::parse(asked).is_ok_and(|asked| asked.first_outside(scope).is_none())
}

/// Who asks.
enum Asker {
    Client(AuthenticatedClient),
    Holder(Arc<Client>),
}

impl Asker {
    fn caller(&self) -> Caller<'_> {
        match self {
            Self::Client(caller) => Caller::Client(caller.client()),
            Self::Holder(client) => Caller::Holder(client),
        }
    }
}

/// Who asks: a client that proved itself (RFC 7662, 2.1), or, as seed 002's own client does, whoever holds an access token; then
/// the token's client asks.
async fn authorized(ctx: &Ctx, params: &Params) -> Result<Result<Asker, Reply>, Failure> {
    let header = ctx.header(&header::AUTHORIZATION);
    if header.is_some_and(|value| {
        value
            .get(..7)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))
    }) {
        let token = match bearer::presented(ctx, &Params::default()) {
            Ok(Some(token)) => bearer::read(ctx, token.reveal()).await?,
            _ => None,
        };
        let Some(token) = token else {
            return Ok(Err(bearer::refuse(
                ctx,
                Some(&bearer_error("not an access token of this issuer")),
                "",
            )));
        };
        return Ok(match bearer::check(ctx, token).await? {
            Ok(stands) => ctx
                .tenant
                .client(&ctx.shared, &stands.token.client_id)
                .await?
                .map(Asker::Holder)
                .ok_or_else(|| bearer::refuse(ctx, Some(&bearer_error("its client is gone")), "")),
            Err(error) => Err(bearer::refuse(ctx, Some(&error), "")),
        });
    }
    let caller = match caller::authenticated(ctx, params).await? {
        Ok(caller) => caller,
        Err(reply) => return Ok(Err(reply)),
    };
    // A public client proves nothing; what it holds it can read itself (RFC 7662, 2.1).
    if caller.client().kind() == ClientKind::Public {
        let error = OAuthError::new(ErrorCode::InvalidClient, FAILED)
            .detail("a public client may not introspect");
        return Ok(Err(caller::refuse(ctx, &error)));
    }
    Ok(Ok(Asker::Client(caller)))
}

fn bearer_error(detail: &'static str) -> OAuthError {
    vestibule_core::oauth::bearer::invalid_token(detail)
}
