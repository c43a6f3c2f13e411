//! Who reads a docs site: the reader's cookie, and what is remembered behind it.
//!
//! The browser holds an opaque handle and nothing else; what the Info API told is in the records, sealed for this session of this
//! tenant. Cookies do not know ports, so two sites of one host would share them: each site's cookies have its mark in their names.

use super::host::SiteCtx;
use crate::http::context::Shared;
use crate::http::cookies;
use crate::http::docs_sites::ServedSite;
use crate::http::reply::Failure;
use crate::http::seal::{Purpose, within};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vestibule_core::docs::user::DocsUser;
use vestibule_core::id::{ReaderSessionId, TenantId};
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::Timestamp;

/// Bytes of the digest that marks a site's cookies.
const MARK_BYTES: usize = 6;

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// The session.
    pub(crate) id: ReaderSessionId,
    /// What is known of them.
    pub(crate) user: DocsUser,
    /// When that is forgotten.
    pub(crate) expires_at: Timestamp,
}

/// The name of a cookie of this site.
pub(super) fn cookie_name(served: &ServedSite, kind: &str) -> String {
    let digest = digest::digest(&digest::SHA256, &within(served.tenant, &served.site.name));
    let mark = URL_SAFE_NO_PAD.encode(digest.as_ref().get(..MARK_BYTES).unwrap_or_default());
    cookies::name(served.site.address.is_https(), &format!("{kind}-{mark}"))
}

/// The line that sets a cookie of this site.
pub(super) fn cookie_line(ctx: &SiteCtx, name: &str, value: &str, max_age_seconds: i64) -> String {
    let secure = ctx.served.site.address.is_https();
    cookies::line(secure, name, value, Some(max_age_seconds))
}

/// The handle in the reader's cookie. It proves nothing yet.
pub(super) fn handle(ctx: &SiteCtx) -> Option<Handle> {
    let value = cookies::value(&ctx.headers, &cookie_name(&ctx.served, "reader"))?;
    Handle::parse(HandleKind::Reader, value)
}

/// Who reads. Without a cookie the records are not asked.
pub(crate) async fn reader(ctx: &SiteCtx) -> Result<Option<Reader>, Failure> {
    let Some(handle) = handle(ctx) else {
        return Ok(None);
    };
    let tenant = ctx.served.tenant;
    let store = ctx.shared.tenant(tenant);
    let record = store.reader_session(&handle, ctx.now).await?;
    let site = &ctx.served.site.name;
    let Some(record) = record.filter(|record| record.site == *site) else {
        return Ok(None);
    };
    let Some(user) = open(&ctx.shared, tenant, record.id, &record.sealed) else {
        tracing::warn!(
            reference = ctx.reference,
            site,
            "what is known of a reader does not open with the sealing key"
        );
        return Ok(None);
    };
    Ok(Some(Reader {
        id: record.id,
        user,
        expires_at: record.expires_at,
    }))
}

/// Remembers a reader under a new handle, in the place of whoever this browser was before; the cookie.
pub(super) async fn remember(ctx: &SiteCtx, user: &DocsUser) -> Result<String, Failure> {
    let latest = ctx.now.plus(ctx.served.site.session_lifetime);
    let expires_at = user.expires_at.map_or(latest, |at| at.min(latest));
    let previous = reader(ctx).await?.map(|reader| reader.id);
    let handle = write(&ctx.shared, &ctx.served, user, expires_at, previous).await?;
    let name = cookie_name(&ctx.served, "reader");
    let seconds = expires_at.seconds_since(ctx.now);
    Ok(cookie_line(ctx, &name, handle.reveal().reveal(), seconds))
}

/// Writes a new session in the place of a previous one.
async fn write(
    shared: &Shared,
    served: &ServedSite,
    user: &DocsUser,
    expires_at: Timestamp,
    previous: Option<ReaderSessionId>,
) -> Result<Handle, Failure> {
    let handle = Handle::mint(HandleKind::Reader, shared.now(), &shared.chance);
    let plain =
        serde_json::to_vec(user).map_err(|_| Failure::Internal("a reader that is no JSON"))?;
    let id = ReaderSessionId::from_bytes(*handle.id());
    let sealed = shared
        .root_key
        .seal(Purpose::Readers, &belongs_to(served.tenant, id), &plain)
        .map_err(|_| Failure::Internal("a reader cannot be sealed"))?;
    let store = shared.tenant(served.tenant);
    let name = &served.site.name;
    let mut unit = store
        .unit()
        .insert_reader_session(&handle, name, &sealed, expires_at);
    if let Some(previous) = previous {
        unit = unit.remove_reader_session(previous);
    }
    if !store.commit(unit).await?.won() {
        return Err(Failure::Internal("a reader's session could not be written"));
    }
    Ok(handle)
}

/// Signs a reader in without an OAuth server; the Cookie header of their browser.
pub(crate) async fn sign_in_for_test(
    shared: &Shared,
    served: &ServedSite,
    user: &DocsUser,
    expires_at: Timestamp,
) -> Result<String, Failure> {
    let handle = write(shared, served, user, expires_at, None).await?;
    let name = cookie_name(served, "reader");
    Ok(format!("{name}={}", handle.reveal().reveal()))
}

/// Forgets whoever this browser is; the line that takes the cookie away.
pub(super) async fn forget(ctx: &SiteCtx) -> Result<String, Failure> {
    if let Some(reader) = reader(ctx).await? {
        let store = ctx.shared.tenant(ctx.served.tenant);
        let unit = store.unit().remove_reader_session(reader.id);
        let _: bool = store.commit(unit).await?.won();
    }
    Ok(cookie_line(ctx, &cookie_name(&ctx.served, "reader"), "", 0))
}

/// What scripts of the site may know of a reader.
pub(crate) fn shown(reader: Option<&Reader>) -> Value {
    let empty = DocsUser::default();
    let user = reader.map_or(&empty, |reader| &reader.user);
    json!({
        "signedIn": reader.is_some(),
        "user": user.content,
        "groups": user.groups,
        "expiresAt": reader.map(|reader| reader.expires_at),
        "apiPlaygroundInputs": user.api_playground_inputs,
    })
}

fn belongs_to(tenant: TenantId, id: ReaderSessionId) -> Vec<u8> {
    [tenant.bytes().as_slice(), id.bytes().as_slice()].concat()
}

fn open(shared: &Shared, tenant: TenantId, id: ReaderSessionId, sealed: &[u8]) -> Option<DocsUser> {
    let plain = shared
        .root_key
        .open(Purpose::Readers, &belongs_to(tenant, id), sealed)
        .ok()?;
    serde_json::from_slice(&plain).ok()
}
