//! Revocation (RFC 7009).

use super::caller;
use crate::http::context::Ctx;
use crate::http::cors;
use crate::http::reply::{self, Failure, Reply};
use crate::http::{bearer, id_token};
use http::StatusCode;
use vestibule_core::oauth::client_auth::AuthenticatedClient;
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::params::Params;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_store::Committed;

/// `POST /oauth/revoke` and `/oauth/token/revoke`.
pub(crate) async fn revoke(ctx: &Ctx) -> Result<Reply, Failure> {
    let params = match caller::form(ctx) {
        Ok(params) => params,
        Err(error) => return Ok(caller::refuse(ctx, &error)),
    };
    let caller = match caller::authenticated(ctx, &params).await? {
        Ok(caller) => caller,
        Err(reply) => return Ok(reply),
    };
    let mut reply = match text(&params).and_then(|text| revocable(ctx, text)) {
        Ok(text) => {
            revoke_text(ctx, &caller, text).await?;
            reply::empty(StatusCode::OK)
        }
        Err(error) => caller::refuse(ctx, &error),
    };
    cors::allow_own_origin(ctx, caller.client(), &mut reply);
    Ok(reply)
}

fn text(params: &Params) -> Result<&str, OAuthError> {
    match (params.repeated(), params.get("token")) {
        (Some(name), _) => Err(OAuthError::quoting(
            ErrorCode::InvalidRequest,
            &format!("{name} may stand once"),
        )),
        (None, None) => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "token is missing",
        )),
        (None, Some(text)) => Ok(text),
    }
}

/// RFC 7009, 2.2.1: ID tokens and codes are known here and cannot be revoked.
fn revocable<'a>(ctx: &Ctx, text: &'a str) -> Result<&'a str, OAuthError> {
    if Handle::parse(HandleKind::Code, text).is_some()
        || id_token::read(&ctx.tenant, text).is_some()
    {
        return Err(OAuthError::new(
            ErrorCode::UnsupportedTokenType,
            "only access tokens and refresh tokens can be revoked",
        ));
    }
    Ok(text)
}

/// Revokes what the text is, whatever the hint says (RFC 7009, 2.1); what is unknown, foreign or expired needs no revoking (2.2).
async fn revoke_text(ctx: &Ctx, caller: &AuthenticatedClient, text: &str) -> Result<(), Failure> {
    let store = ctx.store();
    let mine = |client_id: &str| client_id == caller.client().id.as_str();
    let unit = if let Some(handle) = Handle::parse(HandleKind::RefreshToken, text) {
        match store.refresh_token_owner(&handle).await? {
            // RFC 7009, 2.1: with the refresh token go the access tokens of the same grant.
            Some((family, client_id)) if mine(&client_id) => {
                store.unit().end_family(family, ctx.now)
            }
            _ => return Ok(()),
        }
    } else {
        match bearer::read(ctx, text).await? {
            Some(token)
                if mine(&token.client_id) && text.starts_with(HandleKind::AccessToken.prefix()) =>
            {
                store.unit().remove_access_token(token.id)
            }
            Some(token) if mine(&token.client_id) => {
                store.unit().revoke_jti(token.id, token.expires_at)
            }
            _ => return Ok(()),
        }
    };
    let _: Committed = store.commit(unit).await?;
    Ok(())
}
