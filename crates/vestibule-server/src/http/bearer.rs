//! Access tokens as our endpoints receive them (RFC 6750), read and held against the facts of the moment.

use super::context::Ctx;
use super::reply::{self, Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;
use vestibule_core::identity::user::User;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::verify;
use vestibule_core::oauth::bearer::{self, AccessToken, Standing, invalid_token};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;
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
    /// Its family's facts; none when a client acts for itself.
    pub(crate) family: Option<FamilyStanding>,
}

impl Stands {
    /// The person whom the token speaks of.
    pub(crate) fn user(&self) -> Option<&User> {
        self.family.as_ref().map(|family| &family.user)
    }
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
    let store = ctx.store();
    let (standing, family) = if let Some(family_id) = token.family_id {
        match store.family_standing(family_id, token.id).await? {
            None => return Ok(Err(invalid_token("its family or its person is gone"))),
            Some(family) => {
                let standing = Standing {
                    revoked: family.revoked,
                    family_stands: family.family_stands,
                    person_enabled: family.user.disabled_at.is_none(),
                    client_known: true,
                };
                (standing, Some(family))
            }
        }
    } else {
        let revoked = store.is_revoked(token.id).await?;
        (
            Standing {
                revoked,
                family_stands: true,
                person_enabled: true,
                client_known: true,
            },
            None,
        )
    };
    let client_known = ctx
        .tenant
        .client(&ctx.shared, &token.client_id)
        .await?
        .is_some();
    let verdict = bearer::stands(
        &token,
        Standing {
            client_known,
            ..standing
        },
        ctx.now,
    );
    Ok(verdict.map(|()| Stands { token, family }))
}

/// The refusal of a protected endpoint (RFC 6750, 3; seed 002's `errors[]` beside it).
pub(crate) fn refuse(ctx: &Ctx, error: Option<&OAuthError>) -> Reply {
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
        ", scope=\"openid\""
    } else {
        ""
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
