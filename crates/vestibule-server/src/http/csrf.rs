//! Forms that only we could have shown to this browser (T33; OAuth 2.1, 7.10).
//!
//! Two mechanisms: what the browser says of where the form came from, and a token bound to the browser, to who is signed in and to
//! the step. The token changes with every sign-in.

use super::context::Ctx;
use super::session;
use aws_lc_rs::constant_time;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use vestibule_core::oauth::params::Params;

/// The token of a step's form. `browser` is the browser's own value.
pub(crate) fn token(ctx: &Ctx, browser: &str, step: &str) -> String {
    let active = session::handles(ctx)
        .first()
        .map(vestibule_core::secret::Handle::reveal)
        .map(|secret| secret.reveal().to_owned());
    let tenant = ctx.tenant.tenant.id;
    ctx.shared.root_key.form_token(&[
        tenant.bytes(),
        browser.as_bytes(),
        active.unwrap_or_default().as_bytes(),
        step.as_bytes(),
    ])
}

/// Whether a submitted form is one that we showed to this browser at this step.
pub(crate) fn is_ours(ctx: &Ctx, step: &str, form: &Params) -> bool {
    let Some(browser) = session::browser(ctx) else {
        return false;
    };
    let Some(presented) = form.get("csrf") else {
        return false;
    };
    let expected = token(ctx, &browser, step);
    comes_from_us(ctx)
        && constant_time::verify_slices_are_equal(presented.as_bytes(), expected.as_bytes()).is_ok()
}

/// Browsers that say nothing are held to the token alone.
fn comes_from_us(ctx: &Ctx) -> bool {
    comes_from(&ctx.headers, &ctx.origin).unwrap_or(true)
}

/// Whether the browser says that a request came from a page of this origin. `None`: it says nothing.
pub(crate) fn comes_from(headers: &HeaderMap, own: &str) -> Option<bool> {
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let site = headers.get("sec-fetch-site").map(text);
    let origin = headers.get(header::ORIGIN).map(text);
    match (site.as_deref(), origin.as_deref()) {
        (None, None) => None,
        (Some("same-origin"), None | Some("null")) => Some(true),
        (Some("same-origin") | None, Some(origin)) => Some(origin == own),
        (Some(_), _) => Some(false),
    }
}
