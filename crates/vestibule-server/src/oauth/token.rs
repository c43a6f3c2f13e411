//! The token endpoint (OAuth 2.1, 3.2).

use super::caller;
use crate::http::context::Ctx;
use crate::http::cors;
use crate::http::reply::{self, Failure, Reply};
use http::StatusCode;
use serde_json::Map;
use std::sync::Arc;
use vestibule_core::id::{AccessTokenId, FamilyId, RefreshTokenId};
use vestibule_core::identity::user::User;
use vestibule_core::oauth::bearer::AccessToken;
use vestibule_core::oauth::claims;
use vestibule_core::oauth::client::{AccessTokenFormat, GrantType};
use vestibule_core::oauth::client_auth::AuthenticatedClient;
use vestibule_core::oauth::code::{Redemption, redeem};
use vestibule_core::oauth::error::OAuthError;
use vestibule_core::oauth::mint::{AccessTokenPlan, Audience, IdTokenPlan, TokenResponse};
use vestibule_core::oauth::refresh::{Narrowed, Refreshing, refresh};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::oauth::token::{
    Authorization, CodeExchange, Family, RefreshExchange, TokenRequest, client_scope,
    invalid_grant, narrow_resources,
};
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::Timestamp;
use vestibule_store::tokens::FoundRefresh;
use vestibule_store::{Committed, TenantUnit};

/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;

/// `POST /oauth/token`.
pub(crate) async fn exchange(ctx: &Ctx) -> Result<Reply, Failure> {
    let params = match caller::form(ctx) {
        Ok(params) => params,
        Err(error) => return Ok(caller::refuse(ctx, &error)),
    };
    let caller = match caller::authenticated(ctx, &params).await? {
        Ok(caller) => caller,
        Err(reply) => return Ok(reply),
    };
    let answer = match TokenRequest::parse(&params, &caller) {
        Err(error) => Err(error),
        Ok(TokenRequest::AuthorizationCode(presented)) => {
            redeem_code(ctx, &caller, &presented).await?
        }
        Ok(TokenRequest::RefreshToken(presented)) => {
            use_refresh_token(ctx, &caller, &presented).await?
        }
        Ok(TokenRequest::ClientCredentials { scope, resources }) => {
            client_credentials(ctx, &caller, scope.as_ref(), &resources).await?
        }
    };
    let mut reply = match answer {
        Ok(tokens) => reply::json(StatusCode::OK, &tokens),
        Err(error) => caller::refuse(ctx, &error),
    };
    cors::allow_own_origin(ctx, caller.client(), &mut reply);
    Ok(reply)
}

type Answer = Result<TokenResponse, OAuthError>;

/// OAuth 2.1, 4.1.3: read, decide, write in one unit; decide again when somebody was quicker.
async fn redeem_code(
    ctx: &Ctx,
    caller: &AuthenticatedClient,
    presented: &CodeExchange,
) -> Result<Answer, Failure> {
    for _ in 0..TRIES_MAX {
        let Some(found) = ctx.store().code(presented.code.id()).await? else {
            return Ok(Err(invalid_grant("no such code")));
        };
        let resources = match redeem(&found.code, caller, presented, ctx.now) {
            Redemption::Proceed(resources) => resources,
            Redemption::Replay(family, error) => {
                let _: Committed = ctx
                    .store()
                    .commit(ctx.store().unit().end_family(family, ctx.now))
                    .await?;
                return Ok(Err(error));
            }
            Redemption::Refuse(error) => return Ok(Err(error)),
        };
        if !found.stands(ctx.now) {
            return Ok(Err(invalid_grant(
                "the person was disabled, signed out, or withdrew the grant, or the session is over",
            )));
        }
        let client = caller.client();
        let session_until = found.session_until();
        let nonce = found.code.authorization.nonce.clone();
        let family = Family {
            id: FamilyId::new(ctx.now, ctx.chance()),
            client_id: client.id.as_str().to_owned(),
            authorization: Authorization {
                nonce: None,
                outer: None,
                ..found.code.authorization
            },
            ended_at: None,
        };
        let bounded = |wanted: Timestamp| session_until.map_or(wanted, |until| wanted.min(until));
        let refresh_token = client.may_use(GrantType::RefreshToken).then(|| {
            (
                Handle::mint(HandleKind::RefreshToken, ctx.now, ctx.chance()),
                bounded(ctx.now.plus(client.policy.refresh_token_lifetime)),
            )
        });
        let until = refresh_token.as_ref().map_or(
            bounded(ctx.now.plus(client.policy.access_token_lifetime)),
            |(_, until)| *until,
        );
        let mut unit = ctx
            .store()
            .unit()
            .redeem_code(found.code.id, family.id, ctx.now)
            .insert_family(&family, until, ctx.now);
        if let Some((handle, expires_at)) = &refresh_token {
            unit = unit.insert_refresh_token(handle, family.id, *expires_at);
        }
        let scope = family.authorization.scope.clone();
        let origin = Origin {
            family: &family,
            user: &found.user,
            nonce: nonce.as_deref(),
            session_until,
            narrowed: Narrowed { scope, resources },
        };
        let (unit, tokens) = mint(
            ctx,
            caller,
            &origin,
            refresh_token.as_ref().map(|(handle, _)| handle),
            unit,
        )
        .await?;
        if ctx.store().commit(unit).await?.won() {
            return Ok(Ok(tokens));
        }
    }
    Err(Failure::Internal("a code's guard was lost again and again"))
}

/// OAuth 2.1, 4.3: rotation as `refresh::refresh` decides.
async fn use_refresh_token(
    ctx: &Ctx,
    caller: &AuthenticatedClient,
    presented: &RefreshExchange,
) -> Result<Answer, Failure> {
    for _ in 0..TRIES_MAX {
        let Some(FoundRefresh {
            token,
            user,
            family_expires_at,
            ..
        }) = ctx.store().refresh_token(presented.token.id()).await?
        else {
            return Ok(Err(invalid_grant("no such refresh token")));
        };
        let client = caller.client();
        let expires_at = ctx.now.plus(client.policy.refresh_token_lifetime);
        // Without `offline_access`, no refreshing takes a family beyond its session.
        let expires_at = token
            .session_until
            .map_or(expires_at, |until| expires_at.min(until));
        let unit = ctx.store().unit();
        let (narrowed, handle, unit) = match refresh(&token, caller, presented, ctx.now) {
            Refreshing::Refuse(error) => return Ok(Err(error)),
            Refreshing::Reuse(family, error) => {
                let _: Committed = ctx.store().commit(unit.end_family(family, ctx.now)).await?;
                return Ok(Err(error));
            }
            Refreshing::Keep(narrowed) => (
                narrowed,
                None,
                unit.touch_refresh_token(&token, expires_at, ctx.now),
            ),
            Refreshing::Repeat(narrowed, successor) => (
                narrowed,
                Some(
                    presented
                        .token
                        .successor(*successor.bytes(), &ctx.shared.root_key.successors),
                ),
                unit,
            ),
            Refreshing::Rotate(narrowed) => {
                let id = RefreshTokenId::new(ctx.now, ctx.chance());
                let successor = presented
                    .token
                    .successor(*id.bytes(), &ctx.shared.root_key.successors);
                let unit = unit
                    .rotate_refresh_token(token.id, id.bytes(), ctx.now)
                    .insert_refresh_token(&successor, token.family.id, expires_at)
                    .guard_family(token.family.id);
                (narrowed, Some(successor), unit)
            }
        };
        let unit = unit.extend_family(token.family.id, family_expires_at, expires_at);
        // OpenID Connect Core, 12.2: a refreshed ID token has the original auth_time and no nonce.
        let origin = Origin {
            family: &token.family,
            user: &user,
            nonce: None,
            session_until: token.session_until,
            narrowed,
        };
        let (unit, tokens) = mint(ctx, caller, &origin, handle.as_ref(), unit).await?;
        if unit.is_empty() || ctx.store().commit(unit).await?.won() {
            return Ok(Ok(tokens));
        }
    }
    Err(Failure::Internal(
        "a refresh token's guard was lost again and again",
    ))
}

/// OAuth 2.1, 4.2: no refresh token, no ID token; the client is the subject.
async fn client_credentials(
    ctx: &Ctx,
    caller: &AuthenticatedClient,
    scope: Option<&ScopeSet>,
    resources: &[String],
) -> Result<Answer, Failure> {
    let client = caller.client();
    let decided = client_scope(client, scope)
        .and_then(|scope| Ok((scope, narrow_resources(resources, &client.resources)?)));
    let (scope, named) = match decided {
        Ok(decided) => decided,
        Err(error) => return Ok(Err(error)),
    };
    // Nothing named means our own audience, not everything that the client could name (RFC 9068, 3).
    let resources = if resources.is_empty() {
        Vec::new()
    } else {
        named
    };
    let plan = AccessTokenPlan {
        id: AccessTokenId::new(ctx.now, ctx.chance()),
        subject: client.id.as_str(),
        client,
        audience: Audience::of(&resources, &scope, &ctx.tenant.tenant.issuer),
        scope: &scope,
        family: None,
        issued_at: ctx.now,
        until: None,
    };
    let (unit, access_token) = access_token(ctx, &plan, ctx.store().unit()).await?;
    if !unit.is_empty() {
        let _: Committed = ctx.store().commit(unit).await?;
    }
    Ok(Ok(TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in: client.policy.access_token_lifetime.seconds(),
        refresh_token: None,
        scope: scope.to_string(),
        id_token: None,
    }))
}

/// What a person's tokens are made from.
struct Origin<'a> {
    family: &'a Family,
    user: &'a User,
    nonce: Option<&'a str>,
    session_until: Option<Timestamp>,
    narrowed: Narrowed,
}

/// Mints what a decision came to; adds the rows that it needs to the unit.
async fn mint(
    ctx: &Ctx,
    caller: &AuthenticatedClient,
    origin: &Origin<'_>,
    refresh_token: Option<&Handle>,
    unit: TenantUnit,
) -> Result<(TenantUnit, TokenResponse), Failure> {
    let client = caller.client();
    let issuer = &ctx.tenant.tenant.issuer;
    let authorization = &origin.family.authorization;
    let Narrowed { scope, resources } = &origin.narrowed;
    let subject = authorization.user_id.to_string();
    let plan = AccessTokenPlan {
        id: AccessTokenId::new(ctx.now, ctx.chance()),
        subject: &subject,
        client,
        scope,
        audience: Audience::of(resources, scope, issuer),
        family: Some((origin.family.id, authorization)),
        issued_at: ctx.now,
        until: origin.session_until,
    };
    let expires_in = plan.expires_at().seconds_since(ctx.now);
    let (unit, access_token) = access_token(ctx, &plan, unit).await?;
    // OpenID Connect Core, 3.1.2.1: without `openid` no ID token.
    let id_token = if scope.contains("openid") {
        let key = ctx
            .shared
            .signing_key(&ctx.tenant, client.id_token_alg)
            .await?;
        let person = if authorization.claims.is_empty() {
            Map::new()
        } else {
            claims::release_in_id_token(origin.user, &authorization.claims)
        };
        let plan = IdTokenPlan {
            client,
            authorization,
            nonce: origin.nonce,
            person,
            access_token: &access_token,
            issued_at: ctx.now,
        };
        Some(
            plan.sign(issuer, &key)
                .map_err(|_| Failure::Internal("an ID token cannot be signed"))?,
        )
    } else {
        None
    };
    let tokens = TokenResponse {
        access_token,
        token_type: "Bearer",
        expires_in,
        refresh_token: refresh_token.map(|handle| handle.reveal().reveal().to_owned()),
        scope: scope.to_string(),
        id_token,
    };
    Ok((unit, tokens))
}

/// Makes an access token in the client's format: a JWT is not written, an opaque one is a row.
async fn access_token(
    ctx: &Ctx,
    plan: &AccessTokenPlan<'_>,
    unit: TenantUnit,
) -> Result<(TenantUnit, String), Failure> {
    match plan.client.policy.access_token_format {
        AccessTokenFormat::Jwt => {
            let key = ctx
                .shared
                .signing_key(&ctx.tenant, plan.client.policy.access_token_signing_alg)
                .await?;
            let issuer = &ctx.tenant.tenant.issuer;
            let text = plan
                .sign(issuer, &key)
                .map_err(|_| Failure::Internal("an access token cannot be signed"))?;
            // It comes back to our user info next, and whoever signed it need not verify it. Should the unit be lost, the token has
            // no family and counts for nothing.
            if plan.family.is_some() && plan.audience.contains(issuer.as_str()) {
                ctx.tenant
                    .remember_verified(&text, Arc::new(plan.to_token()));
            }
            Ok((unit, text))
        }
        AccessTokenFormat::Opaque => {
            let handle = Handle::mint(HandleKind::AccessToken, ctx.now, ctx.chance());
            let token = AccessToken {
                id: AccessTokenId::from_bytes(*handle.id()),
                ..plan.to_token()
            };
            Ok((
                unit.insert_access_token(&token, &handle.digest()),
                handle.reveal().reveal().to_owned(),
            ))
        }
    }
}
