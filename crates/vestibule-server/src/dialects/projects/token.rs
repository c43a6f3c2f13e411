//! `POST /auth/oauth/token`: codes and refresh tokens. The rules are those of every token endpoint; the answers are the SDKs'.

use super::Answer;
use super::access::choose_project;
use super::asked::{answer as stopped, spare_operator_of};
use super::envelope;
use super::oauth::known_error;
use crate::broker::arrival::{Told, Trouble, settle};
use crate::http::context::Ctx;
use crate::http::projects::Project;
use crate::http::reply::Failure;
use http::header::{self, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use vestibule_core::id::{AccessTokenId, CodeId, FamilyId, TenantId};
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::identity::linking::Intent;
use vestibule_core::identity::user::User;
use vestibule_core::oauth::client::GrantType;
use vestibule_core::oauth::client_auth::{AuthenticatedClient, project_caller};
use vestibule_core::oauth::code::{Redemption, redeem};
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::outer::{ProjectRules, accept_key};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::project::{OuterOutcome, PendingLink, project_of};
use vestibule_core::oauth::project_token::ProjectTokenPlan;
use vestibule_core::oauth::refresh::{Refreshing, refresh};
use vestibule_core::oauth::token::{Authorization, CodeExchange, Family, RefreshExchange};
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::{Committed, TenantUnit};

/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;
/// The method and path, for developers.
const PLACE: &str = "POST /api/v1/auth/oauth/token";

/// What the SDKs read. A member that is null would be an error to them, so what is absent is left out.
#[derive(Serialize)]
struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

#[derive(Serialize)]
struct Outcome {
    is_new_user: bool,
    #[serde(rename = "newUser")]
    new_user: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_callback_redirect_url: Option<String>,
    #[serde(
        rename = "afterCallbackRedirectUrl",
        skip_serializing_if = "Option::is_none"
    )]
    after_callback: Option<String>,
}

impl From<OuterOutcome> for Outcome {
    fn from(outcome: OuterOutcome) -> Self {
        Self {
            is_new_user: outcome.is_new_user,
            new_user: outcome.is_new_user,
            after_callback: outcome.after_callback_redirect_url.clone(),
            after_callback_redirect_url: outcome.after_callback_redirect_url,
        }
    }
}

/// Reads a body, form or JSON, as parameters.
pub(super) fn body_params(ctx: &Ctx) -> Result<Params, KnownError> {
    let refuse = |message: &str| KnownError::BodyParsingError {
        message: message.to_owned(),
    };
    if ctx.has_media_type("application/json") {
        let Ok(Value::Object(members)) = serde_json::from_slice(&ctx.body) else {
            return Err(refuse("The body must be a JSON object."));
        };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &members {
            match value {
                Value::String(text) => {
                    form.append_pair(name, text);
                }
                Value::Null => {}
                _ => return Err(refuse("The members of the body must be texts.")),
            }
        }
        return Params::parse(form.finish().as_bytes()).map_err(|error| refuse(&error.to_string()));
    }
    ctx.form()
        .map_err(|_| refuse("The body must be JSON or application/x-www-form-urlencoded."))
}

/// `POST /auth/oauth/token`.
pub(super) async fn exchange(ctx: &mut Ctx) -> Answer {
    let params = match body_params(ctx) {
        Ok(params) => params,
        Err(error) => return Ok(Err(error)),
    };
    let schema = |problem: &str| {
        Ok(Err(KnownError::SchemaError {
            place: PLACE.to_owned(),
            problems: vec![problem.to_owned()],
        }))
    };
    if let Some(name) = params.repeated() {
        return schema(&format!("body.{name} may stand once"));
    }
    let client_id = params.get("client_id").unwrap_or_default().to_owned();
    let id = client_id.split('#').next().unwrap_or_default();
    let chosen = choose_project(ctx, id).await?;
    let tenant_id = ctx.tenant.tenant.id;
    if chosen.is_err() || project_of(&client_id) != Some(tenant_id) {
        return Ok(Err(KnownError::InvalidOAuthClientIdOrSecret(Some(
            client_id,
        ))));
    }
    let project = Arc::clone(ctx.tenant.project(&ctx.shared).await?);
    if let Err(error) = check_key(ctx, &project, tenant_id, &params) {
        return Ok(Err(error));
    }
    let tenant = &ctx.tenant.tenant;
    let caller = project_caller(tenant.id, &tenant.name, &ctx.tenant.served);
    match params.get("grant_type") {
        Some("authorization_code") => redeem_code(ctx, &caller, &params).await,
        Some("refresh_token") => use_refresh_token(ctx, &caller, &params).await,
        _ => schema("body.grant_type must be authorization_code or refresh_token"),
    }
}

fn check_key(
    ctx: &Ctx,
    project: &Project,
    tenant_id: TenantId,
    params: &Params,
) -> Result<(), KnownError> {
    let accepts_key = |key: &str| project.opens(KeyTier::Publishable, key, ctx.now);
    let rules = ProjectRules {
        tenant_id,
        policy: &ctx.tenant.tenant.policy,
        trusted: &project.trusted,
        served: &ctx.tenant.served,
        accepts_key: &accepts_key,
        provider_enabled: true,
        place: PLACE,
    };
    accept_key(params.get("client_secret"), &rules)
}

async fn redeem_code(ctx: &Ctx, caller: &AuthenticatedClient, params: &Params) -> Answer {
    let refuse = |detail: &str| {
        tracing::info!(reference = ctx.reference, detail, "a code was refused");
        Ok(Err(KnownError::InvalidAuthorizationCode))
    };
    let Some(code) = params
        .get("code")
        .and_then(|code| Handle::parse(HandleKind::Code, code))
    else {
        return refuse("not in the form of a code");
    };
    // OAuth 2.1 lets it go; the seed's clients send it, and a code is bound to it here.
    let Some(redirect_uri) = params.get("redirect_uri") else {
        return refuse("redirect_uri is missing");
    };
    let presented = CodeExchange {
        code,
        redirect_uri: Some(redirect_uri.to_owned()),
        verifier: params.get("code_verifier").map(str::to_owned),
        resources: Vec::new(),
    };
    for _ in 0..TRIES_MAX {
        let Some(found) = ctx.store().code(presented.code.id()).await? else {
            return refuse("no such code");
        };
        match redeem(&found.code, caller, &presented, ctx.now) {
            Redemption::Refuse(error) => return refuse(&error.detail),
            Redemption::Replay(family, error) => {
                let unit = ctx.store().unit().end_family(family, ctx.now);
                let _: Committed = ctx.store().commit(unit).await?;
                return refuse(&error.detail);
            }
            Redemption::Proceed(_) if !found.stands(ctx.now) => {
                return refuse("the person was disabled or signed out, or the session is over");
            }
            Redemption::Proceed(_) => {}
        }
        let mut outcome = found.code.authorization.outer.clone().unwrap_or_default();
        let link = outcome.link.take();
        let family = Family {
            id: FamilyId::new(ctx.now, ctx.chance()),
            client_id: caller.client().id.as_str().to_owned(),
            authorization: Authorization {
                outer: None,
                ..found.code.authorization
            },
            ended_at: None,
        };
        let handle = Handle::mint(HandleKind::RefreshToken, ctx.now, ctx.chance());
        // A session of the project API takes with it whatever came of it, `offline_access` or not.
        let until = ctx
            .now
            .plus(caller.client().policy.refresh_token_lifetime)
            .min(found.session_expires_at);
        let redeemed = |unit: TenantUnit| {
            unit.redeem_code(found.code.id, family.id, ctx.now)
                .insert_family(&family, until, ctx.now)
                .insert_refresh_token(&handle, family.id, until)
        };
        let person = (&found.user, found.user_created_at);
        let minted = mint_until(ctx, &family, person, until).await?;
        let won = match link {
            None => ctx
                .store()
                .commit(redeemed(ctx.store().unit()))
                .await?
                .won(),
            Some(link) => {
                if let Err(stop) = spare_operator_of(ctx, found.user.id).await {
                    return stopped(ctx, Err(stop));
                }
                let auth_time = family.authorization.auth_time;
                let intent = Intent::of_link(found.user.id, auth_time, ctx.now);
                match make_link(ctx, &link, found.code.id, intent, redeemed).await? {
                    Ok(()) => true,
                    Err(Trouble::Overtaken) => false,
                    Err(trouble) => return Ok(Err(known_error(&trouble))),
                }
            }
        };
        if won {
            return Ok(Ok(answer(
                caller,
                &family,
                minted,
                Some((&handle, outcome)),
            )));
        }
    }
    Err(Failure::Internal("a code's guard was lost again and again"))
}

/// Makes the link that waited for this code, together with the code's redemption.
async fn make_link(
    ctx: &Ctx,
    link: &PendingLink,
    code: CodeId,
    intent: Intent,
    redeemed: impl Fn(TenantUnit) -> TenantUnit,
) -> Result<Result<(), Trouble>, Failure> {
    let project = ctx.tenant.project(&ctx.shared).await?;
    let Some(upstream) = project.upstream(&link.provider) else {
        return Ok(Err(Trouble::Gone));
    };
    let told = Told::open(ctx, code.bytes(), &link.sealed)?;
    let settled = settle(ctx, upstream, &told, intent, |unit, _| redeemed(unit));
    Ok(settled.await?.map(|_| ()))
}

async fn use_refresh_token(ctx: &Ctx, caller: &AuthenticatedClient, params: &Params) -> Answer {
    let refuse = |detail: &str| {
        tracing::info!(
            reference = ctx.reference,
            detail,
            "a refresh token was refused"
        );
        Ok(Err(KnownError::RefreshTokenNotFoundOrExpired))
    };
    let token = params.get("refresh_token").unwrap_or_default();
    match refreshed(ctx, caller, token).await? {
        Ok((family, minted)) => Ok(Ok(answer(caller, &family, minted, None))),
        Err(detail) => refuse(&detail),
    }
}

/// A new access token for a refresh token, and how long it lives. The refresh token stays what it is and ends when it was to end
/// (see `project_policy`); its session was used.
pub(super) async fn refreshed(
    ctx: &Ctx,
    caller: &AuthenticatedClient,
    token: &str,
) -> Result<Result<(Family, (String, Lifetime)), String>, Failure> {
    let Some(token) = Handle::parse(HandleKind::RefreshToken, token) else {
        return Ok(Err("not in the form of a refresh token".to_owned()));
    };
    let presented = RefreshExchange {
        token,
        scope: None,
        resources: Vec::new(),
    };
    for _ in 0..TRIES_MAX {
        let Some(found) = ctx.store().refresh_token(presented.token.id()).await? else {
            return Ok(Err("no such refresh token".to_owned()));
        };
        let unit = ctx.store().unit();
        let unit = match refresh(&found.token, caller, &presented, ctx.now) {
            Refreshing::Keep(_) => {
                unit.touch_session(found.token.family.authorization.session_id, ctx.now)
            }
            Refreshing::Refuse(error) | Refreshing::Reuse(_, error) => {
                return Ok(Err(error.detail.into_owned()));
            }
            Refreshing::Rotate(_) | Refreshing::Repeat(..) => {
                return Err(Failure::Internal("a project's refresh token rotates"));
            }
        };
        let until = found.token.until();
        let person = (&found.user, found.user_created_at);
        let minted = mint_until(ctx, &found.token.family, person, until).await?;
        if ctx.store().commit(unit).await?.won() {
            return Ok(Ok((found.token.family, minted)));
        }
    }
    Err(Failure::Internal(
        "a refresh token's guard was lost again and again",
    ))
}

/// Signs an access token of the project API for a person, whose record was made at that time.
pub(super) async fn mint(
    ctx: &Ctx,
    family: &Family,
    person: (&User, Timestamp),
) -> Result<String, Failure> {
    let until = ctx.now.plus(Lifetime::MAX);
    let (access_token, _) = mint_until(ctx, family, person, until).await?;
    Ok(access_token)
}

/// Signs one that does not outlive its session, and says how long it lives.
pub(super) async fn mint_until(
    ctx: &Ctx,
    family: &Family,
    (user, signed_up_at): (&User, Timestamp),
    until: Timestamp,
) -> Result<(String, Lifetime), Failure> {
    let project = ctx.tenant.project(&ctx.shared).await?;
    let policy = &project.client.policy;
    let left = u32::try_from(until.seconds_since(ctx.now)).unwrap_or_default();
    let lifetime = policy
        .access_token_lifetime
        .min(Lifetime::from_seconds(left));
    let plan = ProjectTokenPlan {
        id: AccessTokenId::new(ctx.now, ctx.chance()),
        project: ctx.tenant.tenant.id,
        session_id: family.authorization.session_id,
        family_id: family.id,
        user,
        signed_up_at,
        issued_at: ctx.now,
        lifetime,
    };
    let key = ctx
        .shared
        .signing_key(&ctx.tenant, policy.access_token_signing_alg)
        .await?;
    plan.sign(&ctx.tenant.tenant.issuer, &key)
        .map(|access_token| (access_token, lifetime))
        .map_err(|_| Failure::Internal("a project token cannot be signed"))
}

fn answer(
    caller: &AuthenticatedClient,
    family: &Family,
    (access_token, lifetime): (String, Lifetime),
    first: Option<(&Handle, OuterOutcome)>,
) -> crate::http::reply::Reply {
    let client = caller.client();
    debug_assert!(client.may_use(GrantType::RefreshToken));
    let (refresh_token, outcome) = match first {
        Some((handle, outcome)) => (
            Some(handle.reveal().reveal().to_owned()),
            Some(outcome.into()),
        ),
        None => (None, None),
    };
    let mut reply = envelope::json(&Tokens {
        access_token,
        token_type: "Bearer",
        expires_in: lifetime.seconds(),
        scope: family.authorization.scope.to_string(),
        refresh_token,
        outcome,
    });
    reply
        .headers_mut()
        .insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    reply
}
