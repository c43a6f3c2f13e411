//! Who is signed in in this browser: the session cookie, and the browser cookie that dialogues are bound to.
//!
//! A browser holds one opaque handle an account, at most ten, the active one first. The cookie's name tells tenants apart; over
//! https it has the `__Host-` prefix, so that no other host and no plain http can set it (T34, T35).

use super::context::Ctx;
use super::cookies;
use super::reply::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule_core::id::{SessionId, UserId};
use vestibule_core::identity::acr::{Acr, Amr};
use vestibule_core::identity::session::Session;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::sessions::{Present, SessionWindow};
use vestibule_store::{Committed, TenantUnit};

/// The most accounts of one browser.
pub(crate) const ACCOUNTS_COUNT_MAX: usize = 10;
/// How stale the time of last use may be: one write in this many seconds a session.
const TOUCH_AFTER: Lifetime = Lifetime::minutes(5);
/// Bytes of the browser cookie's value.
const BROWSER_BYTES: usize = 32;

/// Somebody who is signed in here, with the handle that says so.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    /// The handle in the cookie.
    pub(crate) handle: Handle,
    /// The session and the person.
    pub(crate) present: Present,
}

fn cookie_name(ctx: &Ctx, kind: &str) -> String {
    let rest = format!("{kind}-{}", ctx.tenant.tenant.slug);
    cookies::name(ctx.shared.public_url.is_https(), &rest)
}

fn cookie<'a>(ctx: &'a Ctx, name: &str) -> Option<&'a str> {
    cookies::value(&ctx.headers, name)
}

fn set(ctx: &Ctx, name: &str, value: &str, max_age_seconds: Option<i64>) -> String {
    cookies::line(
        ctx.shared.public_url.is_https(),
        name,
        value,
        max_age_seconds,
    )
}

/// The browser's own value, if it has one in the right form.
pub(crate) fn browser(ctx: &Ctx) -> Option<String> {
    let value = cookie(ctx, &cookie_name(ctx, "browser"))?;
    (URL_SAFE_NO_PAD.decode(value).ok()?.len() == BROWSER_BYTES).then(|| value.to_owned())
}

/// The browser's own value; for a browser that has none a new one, and the cookie that gives it. It lasts as long as the browser
/// runs.
pub(crate) fn ensure_browser(ctx: &Ctx) -> (String, Option<String>) {
    if let Some(browser) = browser(ctx) {
        return (browser, None);
    }
    let mut bytes = [0_u8; BROWSER_BYTES];
    ctx.chance().fill(&mut bytes);
    let value = URL_SAFE_NO_PAD.encode(bytes);
    let cookie = set(ctx, &cookie_name(ctx, "browser"), &value, None);
    (value, Some(cookie))
}

/// The handles in the session cookie, the active one first.
pub(crate) fn handles(ctx: &Ctx) -> Vec<Handle> {
    let Some(value) = cookie(ctx, &cookie_name(ctx, "session")) else {
        return Vec::new();
    };
    value
        .split('.')
        .take(ACCOUNTS_COUNT_MAX)
        .filter_map(|text| Handle::parse(HandleKind::Session, text))
        .collect()
}

/// The cookie that holds these handles; it goes when there are none.
pub(crate) fn cookie_of<'a>(ctx: &Ctx, handles: impl IntoIterator<Item = &'a Handle>) -> String {
    let texts: Vec<String> = handles
        .into_iter()
        .take(ACCOUNTS_COUNT_MAX)
        .map(|handle| handle.reveal().reveal().to_owned())
        .collect();
    let name = cookie_name(ctx, "session");
    if texts.is_empty() {
        return set(ctx, &name, "", Some(0));
    }
    set(
        ctx,
        &name,
        &texts.join("."),
        Some(ctx.tenant.tenant.policy.session_lifetime.seconds()),
    )
}

/// Everybody who is signed in here, the active one first, with what they allowed this client (none where no client asks).
pub(crate) async fn people(ctx: &Ctx, client_id: &str) -> Result<Vec<Here>, Failure> {
    let window = SessionWindow {
        now: ctx.now,
        idle_since: ctx.now.minus(ctx.tenant.tenant.policy.session_idle),
    };
    let mut found = Vec::new();
    let mut touched = TenantUnit::new(ctx.tenant.tenant.id);
    for handle in handles(ctx) {
        if let Some(present) = ctx.store().session(&handle, client_id, window).await? {
            let session = &present.signed_in.session;
            if ctx.now.seconds_since(session.used_at) >= TOUCH_AFTER.seconds() {
                touched = touched.touch_session(session.id, ctx.now);
            }
            found.push(Here { handle, present });
        }
    }
    if !touched.is_empty() {
        let _: Committed = ctx.store().commit(touched).await?;
    }
    Ok(found)
}

/// What a sign-in changes: the session that now counts, its writes, and the cookie.
pub(crate) struct SignIn {
    /// The session.
    pub(crate) session_id: SessionId,
    /// The writes.
    pub(crate) unit: TenantUnit,
    /// The cookie.
    pub(crate) cookie: String,
}

/// Signs a person in who just proved who they are. A person who is signed in here already keeps the session and gets a new
/// secret for it, so that what came of it stays while an old handle opens nothing (T34); somebody else is added beside the others.
pub(crate) fn sign_in(ctx: &Ctx, people: &[Here], user_id: UserId) -> SignIn {
    let unit = TenantUnit::new(ctx.tenant.tenant.id);
    let proof = Proof {
        auth_time: ctx.now,
        amr: vec![Amr::Password],
    };
    sign_in_by(ctx, people, user_id, proof, unit)
}

/// How and when somebody proved who they are.
pub(crate) struct Proof {
    /// When.
    pub(crate) auth_time: Timestamp,
    /// By what.
    pub(crate) amr: Vec<Amr>,
}

/// The same by other means, written with other things.
pub(crate) fn sign_in_by(
    ctx: &Ctx,
    people: &[Here],
    user_id: UserId,
    proof: Proof,
    unit: TenantUnit,
) -> SignIn {
    let known = people.iter().find(|here| here.present.user.id == user_id);
    let handle = match known {
        Some(here) => Handle::renew(HandleKind::Session, *here.handle.id(), ctx.chance()),
        None => Handle::mint(HandleKind::Session, ctx.now, ctx.chance()),
    };
    let session = Session {
        id: SessionId::from_bytes(*handle.id()),
        user_id,
        auth_time: proof.auth_time,
        acr: Acr::SingleFactor,
        amr: proof.amr,
        used_at: ctx.now,
        expires_at: ctx.now.plus(ctx.tenant.tenant.policy.session_lifetime),
    };
    let mut unit = match known {
        Some(_) => unit.renew_session(&session, &handle.digest()),
        None => unit.insert_session(&session, &handle.digest()),
    };
    let others: Vec<&Here> = people
        .iter()
        .filter(|here| here.present.user.id != user_id)
        .collect();
    for here in others.iter().skip(ACCOUNTS_COUNT_MAX - 1) {
        unit = unit.end_session(here.present.signed_in.session.id, ctx.now);
    }
    let handles = std::iter::once(&handle).chain(others.iter().map(|here| &here.handle));
    SignIn {
        session_id: session.id,
        unit,
        cookie: cookie_of(ctx, handles),
    }
}
