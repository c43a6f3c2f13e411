//! Sessions (seed 001): who is signed in where, and ending that. A session is what the seed calls a refresh token.
//!
//! Impersonation is not offered: a session says of nobody that they are somebody else.

use super::Answer;
use super::access::{Access, Tier};
use super::asked::{answer, spare_operator};
use super::body::{Fields, schema_error};
use super::envelope::{self, header};
use super::token::{mint_until, refreshed};
use super::users;
use crate::http::context::Ctx;
use crate::http::reply::Failure;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use vestibule_core::id::{FamilyId, SessionId, UserId};
use vestibule_core::identity::acr::Acr;
use vestibule_core::identity::session::Session;
use vestibule_core::oauth::claims::ClaimsRequest;
use vestibule_core::oauth::client_auth::project_caller;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::project::SCOPE_LEGACY;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::oauth::token::{Authorization, Family};
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::Committed;
use vestibule_store::sessions::{SessionRecord, SessionWindow};
use vestibule_store::users::UserSummary;

/// The longest life of a session that a server makes, and that of one for which it names none: a year, in milliseconds.
const LIFETIME_MILLIS_MAX: u64 = 365 * 86_400_000;

/// `GET, POST /auth/sessions`.
pub(super) async fn collection(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    if ctx.method == Method::POST {
        create(ctx, access).await
    } else {
        list(ctx, access).await
    }
}

async fn list(ctx: &Ctx, access: &Access) -> Answer {
    const PLACE: &str = "GET /api/v1/auth/sessions";
    let refuse = |problem: &str| Ok(Err(schema_error(PLACE, vec![problem.to_owned()])));
    let Ok(params) = ctx.query_params() else {
        return refuse("the query is not well-formed");
    };
    let Some(whom) = params.get("user_id") else {
        return refuse("query.user_id is required; 'me' stands for the user who is signed in");
    };
    let user_id = match users::whom(access, whom) {
        Ok(user_id) => user_id,
        Err(KnownError::InsufficientAccessType { .. }) => {
            return Ok(Ok(envelope::words(
                ctx,
                StatusCode::FORBIDDEN,
                "A client can only list the sessions of its own user.",
            )));
        }
        Err(error) => return Ok(Err(error)),
    };
    if ctx.store().user(user_id).await?.is_none() {
        return Ok(Err(KnownError::UserNotFound));
    }
    let window = SessionWindow {
        now: ctx.now,
        idle_since: ctx.now.minus(ctx.tenant.tenant.policy.session_idle),
    };
    let sessions = ctx
        .store()
        .sessions_of_with_client(user_id, access.project.client.id.as_str(), window)
        .await?;
    let current = access.person().map(|person| person.token.session_id);
    let items: Vec<Value> = sessions
        .iter()
        .map(|record| item(record, current))
        .collect();
    Ok(Ok(envelope::json(
        &json!({ "items": items, "is_paginated": false }),
    )))
}

/// Times are milliseconds. Addresses are not kept, so there is nothing to say about one.
fn item(record: &SessionRecord, current: Option<SessionId>) -> Value {
    let session = &record.session;
    json!({
        "id": session.id,
        "user_id": session.user_id,
        "created_at": users::millis(record.created_at),
        "last_used_at": users::millis(session.used_at),
        "is_impersonation": false,
        "is_current_session": Some(session.id) == current,
        "last_used_at_end_user_ip_info": null,
    })
}

/// A server signs somebody in. What proved them to it is its own affair, so the session names no method.
async fn create(ctx: &Ctx, access: &Access) -> Answer {
    if let Err(error) = access.at_least(Tier::Server) {
        return Ok(Err(error));
    }
    let (text, lifetime) = match read_creation(ctx) {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let found = match UserId::parse(&text) {
        Some(id) => ctx.store().user_summary(id).await?,
        None => None,
    };
    let Some(UserSummary { record, times, .. }) = found else {
        return Ok(Err(KnownError::UserIdDoesNotExist(text)));
    };
    // Whoever holds the project's key is not let in as who runs the installation.
    if let Err(stop) = spare_operator(&record) {
        return answer(ctx, Err(stop));
    }
    let user = record.user;
    if user.disabled_at.is_some() {
        let text = "This user is disabled and cannot be signed in.";
        return Ok(Ok(envelope::words(ctx, StatusCode::FORBIDDEN, text)));
    }
    let session = Handle::mint(HandleKind::Session, ctx.now, ctx.chance());
    let token = Handle::mint(HandleKind::RefreshToken, ctx.now, ctx.chance());
    let until = ctx.now.plus(lifetime);
    let row = Session {
        id: SessionId::from_bytes(*session.id()),
        user_id: user.id,
        auth_time: ctx.now,
        acr: Acr::SingleFactor,
        amr: Vec::new(),
        used_at: ctx.now,
        expires_at: until,
    };
    let family = family_of(ctx, access, &row)?;
    let (access_token, _) = mint_until(ctx, &family, (&user, times.created_at), until).await?;
    let unit = ctx
        .store()
        .unit()
        .insert_session(&row, &session.digest())
        .insert_family(&family, until, ctx.now)
        .insert_refresh_token(&token, family.id, until);
    if !ctx.store().commit(unit).await?.won() {
        return Err(Failure::Internal("a new session was not written"));
    }
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %user.id,
        "a server of the project signed somebody in"
    );
    Ok(Ok(envelope::json(&json!({
        "access_token": access_token,
        "refresh_token": token.reveal().reveal(),
    }))))
}

fn read_creation(ctx: &Ctx) -> Result<(String, Lifetime), KnownError> {
    let mut fields = Fields::read_json(ctx, "POST /api/v1/auth/sessions")?;
    let user_id = fields.required("user_id");
    let millis = fields
        .millis("expires_in_millis", LIFETIME_MILLIS_MAX)
        .unwrap_or(LIFETIME_MILLIS_MAX);
    if fields.flag("is_impersonation") == Some(true) {
        fields.problem(
            "is_impersonation",
            "must be false: impersonation is not offered here",
        );
    }
    fields.finish()?;
    let seconds = u32::try_from(millis.div_ceil(1000)).unwrap_or(u32::MAX);
    Ok((user_id.unwrap_or_default(), Lifetime::from_seconds(seconds)))
}

fn family_of(ctx: &Ctx, access: &Access, session: &Session) -> Result<Family, Failure> {
    Ok(Family {
        id: FamilyId::new(ctx.now, ctx.chance()),
        client_id: access.project.client.id.as_str().to_owned(),
        authorization: Authorization {
            user_id: session.user_id,
            session_id: session.id,
            grant_id: None,
            scope: ScopeSet::parse(SCOPE_LEGACY)
                .map_err(|_| Failure::Internal("a scope of ours that is none"))?,
            claims: ClaimsRequest::default(),
            resources: Vec::new(),
            auth_time: session.auth_time,
            acr: session.acr,
            amr: session.amr.clone(),
            nonce: None,
            outer: None,
        },
        ended_at: None,
    })
}

/// `DELETE /auth/sessions/current`. Who is signed out already is told what the SDKs take for that.
pub(super) async fn end_current(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    let Some(person) = access.person() else {
        return Ok(Err(KnownError::RefreshTokenNotFoundOrExpired));
    };
    let (session, client) = (person.token.session_id, access.project.client.id.as_str());
    let unit = ctx
        .store()
        .unit()
        .end_session(session, ctx.now)
        .end_families_of_client(session, client, ctx.now)
        .end_family(person.token.family_id, ctx.now);
    let _: Committed = ctx.store().commit(unit).await?;
    Ok(Ok(envelope::json(&json!({ "success": true }))))
}

/// `POST /auth/sessions/current/refresh`.
pub(super) async fn refresh_current(ctx: &Ctx, _access: &Access, _parts: &[&str]) -> Answer {
    let tenant = &ctx.tenant.tenant;
    let caller = project_caller(tenant.id, &tenant.name, &ctx.tenant.served);
    let token = header(ctx, "refresh-token").unwrap_or_default();
    match refreshed(ctx, &caller, token).await? {
        Ok((_, (access_token, _))) => {
            Ok(Ok(envelope::json(&json!({ "access_token": access_token }))))
        }
        Err(detail) => {
            tracing::info!(
                reference = ctx.reference,
                detail,
                "a refresh token was refused"
            );
            Ok(Err(KnownError::RefreshTokenNotFoundOrExpired))
        }
    }
}

/// A session that its tokens keep alive counts however long its browser was away.
const fn however_idle(ctx: &Ctx) -> SessionWindow {
    SessionWindow {
        now: ctx.now,
        idle_since: Timestamp::from_seconds(i64::MIN),
    }
}

/// The session of that id, if it neither ended nor expired and its person may sign in.
pub(super) async fn standing_session(ctx: &Ctx, id: SessionId) -> Result<Option<Session>, Failure> {
    let found = ctx.store().session_by_id(id, however_idle(ctx)).await?;
    Ok(found.map(|(record, _)| record.session))
}

/// `DELETE /auth/sessions/*`.
pub(super) async fn end(ctx: &Ctx, access: &Access, parts: &[&str]) -> Answer {
    let missing = || {
        let text = "There is no such session.";
        Ok(Ok(envelope::words(ctx, StatusCode::NOT_FOUND, text)))
    };
    let own = if access.tier == Tier::Client {
        match access.user() {
            Ok(person) => Some(person.user.id),
            Err(error) => return Ok(Err(error)),
        }
    } else {
        None
    };
    let window = however_idle(ctx);
    let id = parts.first().and_then(|text| SessionId::parse(text));
    let found = match id {
        Some(id) => ctx.store().session_by_id(id, window).await?,
        None => None,
    };
    let Some((record, owner)) = found else {
        return missing();
    };
    if own.is_some_and(|own| own != owner.id) {
        return missing();
    }
    let id = record.session.id;
    if access
        .person()
        .is_some_and(|person| person.token.session_id == id)
    {
        return Ok(Err(KnownError::CannotDeleteCurrentSession));
    }
    let unit = ctx
        .store()
        .unit()
        .end_session_of(id, owner.id, ctx.now)
        .end_families_of_client(id, access.project.client.id.as_str(), ctx.now);
    if !ctx.store().commit(unit).await?.won() {
        return missing();
    }
    Ok(Ok(envelope::json(&json!({ "success": true }))))
}
