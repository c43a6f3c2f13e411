//! Sessions of the project API that begin without a code: the command line's, and Apple's apps'.

use crate::http::context::Ctx;
use crate::http::projects::Project;
use crate::http::reply::Failure;
use vestibule_core::id::{FamilyId, SessionId, UserId};
use vestibule_core::identity::acr::{Acr, Amr};
use vestibule_core::identity::session::Session;
use vestibule_core::oauth::claims::ClaimsRequest;
use vestibule_core::oauth::client_auth::project_caller;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::project::SCOPE_LEGACY;
use vestibule_core::oauth::refresh::{RefreshToken, Refreshing, refresh};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::oauth::token::{Authorization, Family, RefreshExchange};
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::Timestamp;
use vestibule_store::TenantUnit;

use super::asked::Stop;

/// A session, what stands on it, and the refresh token that its holder gets. The session's own handle is given to nobody.
pub(super) struct Begun {
    session: Session,
    session_handle: Handle,
    /// What the refresh token stands on.
    pub(super) family: Family,
    /// What its holder gets.
    pub(super) refresh_token: Handle,
    until: Timestamp,
}

/// A session for somebody who proved at a provider who they are.
pub(super) fn begin(ctx: &Ctx, project: &Project, user_id: UserId, proved_at: Timestamp) -> Begun {
    let mut scope = ScopeSet::default();
    scope.insert(SCOPE_LEGACY);
    let authorization = Authorization {
        user_id,
        // Replaced below: the session is made there.
        session_id: SessionId::from_bytes([0; 16]),
        grant_id: None,
        scope,
        claims: ClaimsRequest::default(),
        resources: Vec::new(),
        auth_time: proved_at,
        acr: Acr::SingleFactor,
        amr: vec![Amr::Federated],
        nonce: None,
        outer: None,
    };
    let until = ctx.now.plus(project.client.policy.refresh_token_lifetime);
    begin_like(ctx, project, authorization, until)
}

/// A session of its own for the person of another one. When and how they proved who they are stays what it was there, and it ends no
/// later than that one, which is at `until`.
pub(super) fn begin_like(
    ctx: &Ctx,
    project: &Project,
    like: Authorization,
    until: Timestamp,
) -> Begun {
    let session_handle = Handle::mint(HandleKind::Session, ctx.now, ctx.chance());
    let usual = ctx.now.plus(project.client.policy.refresh_token_lifetime);
    let until = usual.min(until);
    let session = Session {
        id: SessionId::from_bytes(*session_handle.id()),
        user_id: like.user_id,
        auth_time: like.auth_time,
        acr: like.acr,
        amr: like.amr.clone(),
        used_at: ctx.now,
        expires_at: until,
    };
    let family = Family {
        id: FamilyId::new(ctx.now, ctx.chance()),
        client_id: project.client.id.as_str().to_owned(),
        authorization: Authorization {
            session_id: session.id,
            outer: None,
            ..like
        },
        ended_at: None,
    };
    Begun {
        session,
        session_handle,
        family,
        refresh_token: Handle::mint(HandleKind::RefreshToken, ctx.now, ctx.chance()),
        until,
    }
}

impl Begun {
    /// Adds what has to be written.
    pub(super) fn add(&self, unit: TenantUnit, now: Timestamp) -> TenantUnit {
        unit.insert_session(&self.session, &self.session_handle.digest())
            .insert_family(&self.family, self.until, now)
            .insert_refresh_token(&self.refresh_token, self.family.id, self.until)
    }
}

/// What a refresh token of this project stands on, if it could be used now. It is not used by that.
pub(super) async fn standing(ctx: &Ctx, token: &str) -> Result<RefreshToken, Stop> {
    let refuse = |detail: &str| {
        tracing::info!(
            reference = ctx.reference,
            detail,
            "a refresh token was refused"
        );
        Err(KnownError::RefreshTokenNotFoundOrExpired.into())
    };
    let Some(token) = Handle::parse(HandleKind::RefreshToken, token) else {
        return refuse("not in the form of a refresh token");
    };
    let presented = RefreshExchange {
        token,
        scope: None,
        resources: Vec::new(),
    };
    let Some(found) = ctx.store().refresh_token(presented.token.id()).await? else {
        return refuse("no such refresh token");
    };
    let tenant = &ctx.tenant.tenant;
    let caller = project_caller(tenant.id, &tenant.name, &ctx.tenant.served);
    match refresh(&found.token, &caller, &presented, ctx.now) {
        Refreshing::Keep(_) => Ok(found.token),
        Refreshing::Refuse(error) | Refreshing::Reuse(_, error) => refuse(&error.detail),
        Refreshing::Rotate(_) | Refreshing::Repeat(..) => {
            Err(Failure::Internal("a project's refresh token rotates").into())
        }
    }
}
