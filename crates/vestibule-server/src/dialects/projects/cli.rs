//! Signing in a command line by way of a browser (seed 001).
//!
//! The command line asks for two codes, shows a person the address of the app's page with one of them, and polls with the other.
//! On that page the person, who is signed in there, lets it in. Who they are and how they proved it waits sealed until the command
//! line asks, which then gets a session of its own, once: ending one does not end the other, and what is never fetched leaves nothing
//! behind.

use super::Answer;
use super::access::Access;
use super::asked::{Stop, answer};
use super::body::{Fields, said};
use super::envelope;
use super::issue::{begin_like, standing};
use crate::http::context::Ctx;
use crate::http::peer::Network;
use crate::http::reply::{self, Failure, Reply};
use crate::http::seal::Purpose;
use crate::http::throttle::{Key, Kind};
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::json;
use vestibule_core::id::{AccessTokenId, CliAttemptId, FamilyId};
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::token::Authorization;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::Committed;
use vestibule_store::cli_attempts::{CliHandles, CliStage};

/// How long a person may take, unless the command line says otherwise.
const LIFETIME_MILLIS: u64 = 2 * 60 * 60 * 1000;
/// What it may say at most.
const LIFETIME_MILLIS_MAX: u64 = 24 * 60 * 60 * 1000;
/// How often an attempt that changes under our hands is looked at again.
const TRIES_MAX: usize = 3;

/// `POST /auth/cli`.
pub(super) async fn start(ctx: &Ctx, _access: &Access, _parts: &[&str]) -> Answer {
    answer(ctx, started(ctx).await)
}

/// `POST /auth/cli/poll`.
pub(super) async fn poll(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    answer(ctx, polled(ctx, access).await)
}

/// `POST /auth/cli/complete`.
pub(super) async fn complete(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    answer(ctx, completed(ctx, access).await)
}

async fn started(ctx: &Ctx) -> Result<Reply, Stop> {
    let mut fields = Fields::read(ctx, "POST /api/v1/auth/cli")?;
    let millis = fields.millis("expires_in_millis", LIFETIME_MILLIS_MAX);
    let anonymous = fields.text("anon_refresh_token");
    fields.finish()?;
    if anonymous.is_some() {
        return Err(KnownError::AnonymousAccountsNotEnabled.into());
    }
    let network = Network::of(ctx.address);
    let key = Key::of(&[ctx.tenant.tenant.id.bytes(), &network.octets()]);
    if let Err(wait) = ctx
        .shared
        .throttle
        .check(Kind::CliStart, key, ctx.now_millis)
    {
        let mut reply = envelope::words(
            ctx,
            StatusCode::TOO_MANY_REQUESTS,
            "Too many command lines sign in from this network. Try again in a moment.",
        );
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
        return Ok(reply);
    }
    let seconds = millis.unwrap_or(LIFETIME_MILLIS).div_ceil(1000);
    let seconds = u32::try_from(seconds).map_err(|_| Failure::Internal("a life without end"))?;
    let expires_at = ctx.now.plus(Lifetime::from_seconds(seconds));
    let handles = CliHandles::mint(ctx.now, ctx.chance());
    let unit = ctx.store().unit().insert_cli_attempt(&handles, expires_at);
    let _: Committed = ctx.store().commit(unit).await?;
    let shown = jiff::Timestamp::from_second(expires_at.seconds())
        .map_err(|_| Failure::Internal("a time that no calendar has"))?;
    Ok(envelope::json(&json!({
        "polling_code": handles.polling().reveal().reveal(),
        "login_code": handles.login().reveal().reveal(),
        "expires_at": shown.to_string(),
    })))
}

async fn polled(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    let mut fields = Fields::read(ctx, "POST /api/v1/auth/cli/poll")?;
    let code = fields.required("polling_code");
    fields.finish()?;
    let code = Handle::parse(HandleKind::CliPolling, &said(code)?)
        .ok_or(KnownError::InvalidPollingCode)?;
    let status = |status: &str| Ok(envelope::json(&json!({ "status": status })));
    for _ in 0..TRIES_MAX {
        let attempt = ctx
            .store()
            .cli_attempt_by_polling(&code)
            .await?
            .ok_or(KnownError::InvalidPollingCode)?;
        let over = ctx.now >= attempt.expires_at;
        let sealed = match &attempt.stage {
            CliStage::Used { .. } => return status("used"),
            CliStage::Waiting | CliStage::Completed { .. } if over => return status("expired"),
            CliStage::Waiting => return status("waiting"),
            CliStage::Completed { sealed, .. } => sealed,
        };
        let welcome = Welcome::open(ctx, attempt.id, sealed)?;
        if ctx.now >= welcome.until {
            return status("expired");
        }
        let begun = begin_like(ctx, &access.project, welcome.authorization, welcome.until);
        // The session of the person who let it in must still stand at that instant: signing out everywhere reaches this one too.
        let unit = ctx
            .store()
            .unit()
            .mark_cli_attempt_used(attempt.id, ctx.now)
            .guard_family(welcome.family);
        if ctx.store().commit(begun.add(unit, ctx.now)).await?.won() {
            tracing::info!(
                reference = ctx.reference,
                tenant = ctx.tenant.tenant.slug,
                user = %begun.family.authorization.user_id,
                session = %begun.family.authorization.session_id,
                "a command line signed in"
            );
            return Ok(reply::json(
                StatusCode::CREATED,
                &json!({
                    "status": "success",
                    "refresh_token": begun.refresh_token.reveal().reveal(),
                }),
            ));
        }
        if !stands(ctx, welcome.family).await? {
            // Nobody is signed in by somebody who is signed out or may not sign in; to the command line it is over.
            return status("expired");
        }
    }
    Err(Failure::Internal("an attempt's guard was lost again and again").into())
}

/// Whether what let a command line in is still good: the person may sign in and was not signed out.
async fn stands(ctx: &Ctx, family: FamilyId) -> Result<bool, Failure> {
    let nothing = AccessTokenId::from_bytes([0; 16]);
    let standing = ctx.store().brief_standing(family, nothing).await?;
    Ok(standing.is_some_and(|standing| standing.family_stands && standing.person_enabled))
}

async fn completed(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    let mut fields = Fields::read(ctx, "POST /api/v1/auth/cli/complete")?;
    let code = fields.required("login_code");
    let refresh_token = fields.required("refresh_token");
    if fields.text("mode").is_some_and(|mode| mode != "complete") {
        fields.problem("mode", "must be complete");
    }
    fields.finish()?;
    let unknown = || KnownError::CliAuthError {
        message: "The login code is invalid or does not exist.".to_owned(),
    };
    let code = Handle::parse(HandleKind::CliLogin, &said(code)?).ok_or_else(unknown)?;
    let token = standing(ctx, &said(refresh_token)?).await?;
    let until = token.until();
    let family = token.family;
    let user_id = family.authorization.user_id;
    if access
        .person()
        .is_some_and(|person| person.user.id != user_id)
    {
        return Err(Stop::Words(
            StatusCode::BAD_REQUEST,
            "The refresh token of the body is not the one of the user who is signed in.",
        ));
    }
    for _ in 0..TRIES_MAX {
        let attempt = ctx
            .store()
            .cli_attempt_by_login(&code)
            .await?
            .ok_or_else(unknown)?;
        if attempt.stage != CliStage::Waiting {
            return Err(KnownError::CliAuthUsed.into());
        }
        if ctx.now >= attempt.expires_at {
            return Err(KnownError::CliAuthExpired.into());
        }
        let welcome = Welcome {
            family: family.id,
            authorization: family.authorization.clone(),
            until,
        };
        let sealed = welcome.seal(ctx, attempt.id)?;
        let unit = ctx
            .store()
            .unit()
            .guard_family(family.id)
            .mark_cli_attempt_completed(attempt.id, user_id, &sealed, ctx.now);
        if ctx.store().commit(unit).await?.won() {
            tracing::info!(
                reference = ctx.reference,
                tenant = ctx.tenant.tenant.slug,
                user = %user_id,
                "a command line was let in"
            );
            return Ok(envelope::json(&json!({ "success": true })));
        }
        // Lost to another page or to the clock, which the next look says; or the person was signed out meanwhile.
    }
    Err(KnownError::RefreshTokenNotFoundOrExpired.into())
}

fn belongs_to(ctx: &Ctx, attempt: CliAttemptId) -> Vec<u8> {
    [ctx.tenant.tenant.id.bytes().as_slice(), attempt.bytes()].concat()
}

/// Who let a command line in, as it waits to be fetched.
#[derive(Serialize, Deserialize)]
struct Welcome {
    /// What must still stand then.
    #[serde(rename = "f")]
    family: FamilyId,
    /// Who they are, and how and when they proved it.
    #[serde(rename = "a")]
    authorization: Authorization,
    /// When their session ends, and the command line's with it.
    #[serde(rename = "u")]
    until: Timestamp,
}

impl Welcome {
    fn seal(&self, ctx: &Ctx, attempt: CliAttemptId) -> Result<Vec<u8>, Failure> {
        let failure = Failure::Internal("a command line's sign-in cannot be sealed");
        let plain = serde_json::to_vec(self).map_err(|_| failure.clone())?;
        ctx.shared
            .root_key
            .seal(Purpose::CliAttempts, &belongs_to(ctx, attempt), &plain)
            .map_err(|_| failure)
    }

    fn open(ctx: &Ctx, attempt: CliAttemptId, sealed: &[u8]) -> Result<Self, Failure> {
        ctx.shared
            .root_key
            .open(Purpose::CliAttempts, &belongs_to(ctx, attempt), sealed)
            .ok()
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .ok_or(Failure::Internal("a command line's sign-in does not open"))
    }
}
