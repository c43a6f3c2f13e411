//! User info (OpenID Connect Core, 5.3), with the members of seed 002's object beside the standard claims.

use crate::http::bearer;
use crate::http::context::Ctx;
use crate::http::cors;
use crate::http::reply::{self, Failure, Reply};
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::oauth::claims::{self, ClaimsRequest};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::scope::{STANDARD_SCOPES, ScopeSet};

/// `GET` and `POST /oauth/userinfo`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let mut reply = answer(ctx).await?;
    // A bearer token is no ambient authority: any origin that holds one may read the answer.
    cors::allow_any_origin(&mut reply);
    Ok(reply)
}

async fn answer(ctx: &Ctx) -> Result<Reply, Failure> {
    let form = match (&ctx.method, ctx.form()) {
        // RFC 6750, 3.1: a repeated parameter makes the request malformed.
        (&Method::POST, Ok(form)) if form.repeated().is_some() => {
            let error = OAuthError::new(ErrorCode::InvalidRequest, "a parameter may stand once");
            return Ok(bearer::refuse(ctx, Some(&error), "openid"));
        }
        (&Method::POST, Ok(form)) => form,
        (&Method::POST, Err(error)) if !ctx.body.is_empty() => {
            let error = OAuthError::quoting(ErrorCode::InvalidRequest, &error.to_string());
            return Ok(bearer::refuse(ctx, Some(&error), "openid"));
        }
        _ => Params::default(),
    };
    let bearer::Accepted { token, family } =
        match bearer::accept(ctx, &form, about_a_person).await? {
            Ok(accepted) => accepted,
            Err(error) => return Ok(bearer::refuse(ctx, error.as_ref(), "openid")),
        };
    let requested = if token.scope.contains("openid") {
        family.authorization()?.claims
    } else {
        ClaimsRequest::default()
    };
    let claims = with_seed_members(ctx, claims::release(&family.user, &token.scope, &requested));
    let client = ctx.tenant.client(&ctx.shared, &token.client_id).await?;
    match client.and_then(|client| client.userinfo_alg.map(|algorithm| (algorithm, client))) {
        None => Ok(reply::json(StatusCode::OK, &claims)),
        // OpenID Connect Core, 5.3.2: signed, with iss and aud.
        Some((algorithm, client)) => {
            let key = ctx.shared.signing_key(&ctx.tenant, algorithm).await?;
            let mut claims = claims;
            claims.insert(
                "iss".to_owned(),
                Value::from(ctx.tenant.tenant.issuer.as_str()),
            );
            claims.insert("aud".to_owned(), Value::from(client.id.as_str()));
            let token = key
                .sign(TokenType::IdToken, &claims)
                .map_err(|_| Failure::Internal("user info cannot be signed"))?;
            Ok(reply::body(StatusCode::OK, "application/jwt", token))
        }
    }
}

/// A token that allows nothing about the person opens nothing here (OAuth 2.1, 5.3).
fn about_a_person(scope: &ScopeSet) -> Result<(), OAuthError> {
    let any = STANDARD_SCOPES
        .iter()
        .any(|standard| standard.name != "offline_access" && scope.contains(standard.name));
    if any {
        Ok(())
    } else {
        Err(OAuthError::new(
            ErrorCode::InsufficientScope,
            "the access token does not allow 'openid'",
        ))
    }
}

/// Seed 002: `object`, `instance_id` and `user_id` beside `sub`.
fn with_seed_members(ctx: &Ctx, mut claims: Map<String, Value>) -> Map<String, Value> {
    let user_id = claims.get("sub").cloned().unwrap_or_default();
    claims.insert("object".to_owned(), Value::from("oauth_user_info"));
    claims.insert(
        "instance_id".to_owned(),
        Value::from(ctx.tenant.tenant.id.to_string()),
    );
    claims.insert("user_id".to_owned(), user_id);
    claims
}
