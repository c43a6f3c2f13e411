//! Access tokens as our endpoints receive them (RFC 6750), read and held against the facts of the moment.

use super::context::Ctx;
use super::reply::{self, Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::verify;
use vestibule_core::oauth::bearer::{self, AccessToken, Standing, invalid_token};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::secret::{Handle, HandleKind, Secret};
use vestibule_store::tokens::FamilyStanding;

/// Takes the token of a request from its header or its form body; never from the query (OAuth 2.1, 5.1). `None` when there is none.
pub(crate) fn presented(ctx: &Ctx, form: &Params) -> Result<Option<Secret>, OAuthError> {
    let refuse = |description| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    if ctx
        .query_params()
        .is_ok_and(|query| query.get("access_token").is_some() || query.is_repeated("access_token"))
    {
        return refuse("send the access token in the Authorization header, not in the address");
    }
    let mut headers = ctx.headers.get_all(header::AUTHORIZATION).iter();
    let in_body = form.get("access_token");
    match (headers.next(), headers.next(), in_body) {
        (None, _, None) => Ok(None),
        (None, _, Some(token)) => Ok(Some(Secret::new(token.to_owned()))),
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) => refuse("send the access token once"),
        (Some(value), None, None) => {
            let text = value.to_str().unwrap_or_default();
            match text.split_once(' ') {
                Some((scheme, token))
                    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() =>
                {
                    Ok(Some(Secret::new(token.to_owned())))
                }
                Some((scheme, _)) if !scheme.eq_ignore_ascii_case("bearer") => Ok(None),
                _ => refuse("the Authorization header has no token"),
            }
        }
    }
}

/// A token that stands.
pub(crate) struct Stands {
    /// The token.
    pub(crate) token: Arc<AccessToken>,
    /// The user name of the person whom it speaks of; none when a client acts for itself.
    pub(crate) username: Option<String>,
}

/// A token that stands, with all that is known of its person.
pub(crate) struct StandsInFull {
    /// The token.
    pub(crate) token: Arc<AccessToken>,
    /// Its family's facts; none when a client acts for itself.
    pub(crate) family: Option<FamilyStanding>,
}

/// Reads a token, by its signature or by its row, whatever became of it since. `None`: it is not one of ours.
pub(crate) async fn read(ctx: &Ctx, text: &str) -> Result<Option<Arc<AccessToken>>, Failure> {
    if text.starts_with(HandleKind::AccessToken.prefix()) {
        let Some(handle) = Handle::parse(HandleKind::AccessToken, text) else {
            return Ok(None);
        };
        return Ok(ctx.store().access_token(&handle).await?.map(Arc::new));
    }
    if let Some(known) = ctx.tenant.verified(text) {
        return Ok(Some(known));
    }
    // RFC 9068, 4: typ, signature, issuer; an ID token is no access token.
    let Ok(claims) = verify(text, &ctx.tenant.keys, TokenType::AccessToken) else {
        return Ok(None);
    };
    let token = AccessToken::from_claims(claims.claims(), &ctx.tenant.tenant.issuer).map(Arc::new);
    if let Some(token) = &token {
        ctx.tenant.remember_verified(text, Arc::clone(token));
    }
    Ok(token)
}

/// Holds a token against the facts of the moment: its family, its person, its client, and the revoked names.
pub(crate) async fn check(
    ctx: &Ctx,
    token: Arc<AccessToken>,
) -> Result<Result<Stands, OAuthError>, Failure> {
    let Some(family) = token.family_id else {
        let verdict = check_alone(ctx, &token).await?;
        return Ok(verdict.map(|()| Stands {
            token,
            username: None,
        }));
    };
    let Some(facts) = ctx.store().brief_standing(family, token.id).await? else {
        return Ok(Err(gone()));
    };
    let standing = Standing {
        revoked: facts.revoked,
        family_stands: facts.family_stands,
        person_enabled: facts.person_enabled,
        client_known: is_client_known(ctx, &token).await?,
    };
    let verdict = bearer::stands(&token, standing, ctx.now);
    Ok(verdict.map(|()| Stands {
        token,
        username: facts.username,
    }))
}

/// The same, and reads the person in full.
pub(crate) async fn check_in_full(
    ctx: &Ctx,
    token: Arc<AccessToken>,
) -> Result<Result<StandsInFull, OAuthError>, Failure> {
    let Some(family) = token.family_id else {
        let verdict = check_alone(ctx, &token).await?;
        return Ok(verdict.map(|()| StandsInFull {
            token,
            family: None,
        }));
    };
    let Some(family) = ctx.store().family_standing(family, token.id).await? else {
        return Ok(Err(gone()));
    };
    let standing = Standing {
        revoked: family.revoked,
        family_stands: family.family_stands,
        person_enabled: family.user.disabled_at.is_none(),
        client_known: is_client_known(ctx, &token).await?,
    };
    let verdict = bearer::stands(&token, standing, ctx.now);
    Ok(verdict.map(|()| StandsInFull {
        token,
        family: Some(family),
    }))
}

/// Of a token without a family: there is no person who could be gone.
async fn check_alone(ctx: &Ctx, token: &AccessToken) -> Result<Result<(), OAuthError>, Failure> {
    let standing = Standing {
        revoked: ctx.store().is_revoked(token.id).await?,
        family_stands: true,
        person_enabled: true,
        client_known: is_client_known(ctx, token).await?,
    };
    Ok(bearer::stands(token, standing, ctx.now))
}

async fn is_client_known(ctx: &Ctx, token: &AccessToken) -> Result<bool, Failure> {
    let client = ctx.tenant.client(&ctx.shared, &token.client_id).await?;
    Ok(client.is_some())
}

fn gone() -> OAuthError {
    invalid_token("its family or its person is gone")
}

/// A token that stands, is meant for us and speaks of a person, and the family that says of whom.
pub(crate) struct Accepted {
    /// The token.
    pub(crate) token: Arc<AccessToken>,
    /// Its family's facts.
    pub(crate) family: FamilyStanding,
}

/// Takes the token of a request and holds it against everything: `allows` says whether its scopes are enough. The refusal is `None` when
/// there is no token.
pub(crate) async fn accept(
    ctx: &Ctx,
    form: &Params,
    allows: impl FnOnce(&ScopeSet) -> Result<(), OAuthError>,
) -> Result<Result<Accepted, Option<OAuthError>>, Failure> {
    let token = match presented(ctx, form) {
        Ok(Some(token)) => token,
        Ok(None) => return Ok(Err(None)),
        Err(error) => return Ok(Err(Some(error))),
    };
    let Some(token) = read(ctx, token.reveal()).await? else {
        return Ok(Err(Some(invalid_token(
            "not an access token of this issuer",
        ))));
    };
    let stands = match check_in_full(ctx, token).await? {
        Ok(stands) => stands,
        Err(error) => return Ok(Err(Some(error))),
    };
    let issuer = &ctx.tenant.tenant.issuer;
    if let Err(error) =
        bearer::admit(&stands.token, issuer, "").and_then(|()| allows(&stands.token.scope))
    {
        return Ok(Err(Some(error)));
    }
    let Some(family) = stands.family else {
        return Ok(Err(Some(OAuthError::new(
            ErrorCode::InsufficientScope,
            "this token speaks of a client, not of a person",
        ))));
    };
    Ok(Ok(Accepted {
        token: stands.token,
        family,
    }))
}

/// The refusal of a protected endpoint (RFC 6750, 3; seed 002's `errors[]` beside it). `scope` is what would have been enough.
pub(crate) fn refuse(ctx: &Ctx, error: Option<&OAuthError>, scope: &str) -> Reply {
    let realm = ctx.tenant.tenant.issuer.as_str();
    let Some(error) = error else {
        // OAuth 2.1, 5.3: without a token a bare challenge.
        let missing = OAuthError::new(
            ErrorCode::InvalidToken,
            "send an access token in the Authorization header",
        );
        let mut reply = reply::refusal(
            ctx,
            StatusCode::UNAUTHORIZED,
            &missing,
            "oauth_fetch_user_error",
        );
        challenge(&mut reply, &format!("Bearer realm=\"{realm}\""));
        return reply;
    };
    let (status, code) = match error.code {
        ErrorCode::InsufficientScope => (StatusCode::FORBIDDEN, "oauth_fetch_user_forbidden_error"),
        ErrorCode::InvalidRequest => (StatusCode::BAD_REQUEST, "oauth_fetch_user_error"),
        _ => (StatusCode::UNAUTHORIZED, "oauth_fetch_user_error"),
    };
    let scope = if error.code == ErrorCode::InsufficientScope {
        format!(", scope=\"{scope}\"")
    } else {
        String::new()
    };
    let mut reply = reply::refusal(ctx, status, error, code);
    challenge(
        &mut reply,
        &format!(
            "Bearer realm=\"{realm}\", error=\"{}\", error_description=\"{}\"{scope}",
            error.code.as_str(),
            error.description
        ),
    );
    reply
}

fn challenge(reply: &mut Reply, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
}
