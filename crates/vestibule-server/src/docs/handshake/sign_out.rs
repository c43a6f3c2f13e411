//! `GET` or `POST _handshake/sign-out`: forgets the reader here, and goes on to where the OAuth server forgets them too.
//!
//! A page of the site may sign its reader out with a link. Anybody else's link leads to a page that asks (T33).

use super::super::host::SiteCtx;
use super::super::{pages, reader};
use super::{query, sign_in_path};
use crate::http::csrf;
use crate::http::reply::{self, Failure, Reply};
use crate::ui::pages::{DocsSignOut, SignedOut};
use aws_lc_rs::constant_time;
use http::{Method, StatusCode, header};
use url::Url;
use vestibule_core::docs::access::Visibility;
use vestibule_core::oauth::params::Params;

pub(super) async fn sign_out(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let form = form(ctx);
    let from_us = csrf::comes_from(&ctx.headers, &ctx.served.site.address.origin);
    let meant = match from_us {
        Some(same_origin) => same_origin && is_deliberate(ctx),
        // A browser that says nothing is held to the token of the page that asks.
        None => ctx.method == Method::POST && has_token(ctx, &form),
    };
    let query = query(ctx);
    let to = query.get("to").or(form.get("to"));
    if !meant {
        return ask(ctx, to);
    }
    let cookie = reader::forget(ctx).await?;
    let mut reply = onward(ctx, to)?;
    reply::set_cookie(&mut reply, &cookie);
    Ok(reply)
}

/// Whether somebody went here: a picture that points here did not, nor a browser that looks ahead.
fn is_deliberate(ctx: &SiteCtx) -> bool {
    let says = |name: &str, what: &str| {
        let value = ctx.headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default().contains(what))
    };
    let navigates = says("sec-fetch-mode", "navigate").unwrap_or(true);
    let ahead = says("sec-purpose", "prefetch").unwrap_or(false);
    !ahead && (navigates || ctx.method == Method::POST)
}

fn form(ctx: &SiteCtx) -> Params {
    let is_form = ctx.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    if ctx.method == Method::POST && is_form {
        return Params::parse(&ctx.body).unwrap_or_default();
    }
    Params::default()
}

/// Where a reader goes who has signed out. An address is followed only if it is the one of the settings, byte for byte.
fn onward(ctx: &SiteCtx, to: Option<&str>) -> Result<Reply, Failure> {
    let site = &ctx.served.site;
    let logout_url = site
        .logout_url
        .as_ref()
        .map(vestibule_core::url::WebAddress::as_str);
    if let Some(address) = logout_url
        && to.is_none_or(|to| to == address)
    {
        return reply::redirect(StatusCode::SEE_OTHER, address);
    }
    // A private site's first page would send the reader off to sign in again.
    if site.visibility == Visibility::Private {
        let page = SignedOut {
            shell: pages::shell(ctx),
            continue_href: None,
            sign_in_href: &sign_in_path(None),
        };
        return reply::page(StatusCode::OK, &page, &[]);
    }
    reply::redirect(StatusCode::SEE_OTHER, &site.address.join("/"))
}

fn ask(ctx: &SiteCtx, to: Option<&str>) -> Result<Reply, Failure> {
    let site = &ctx.served.site;
    let page = DocsSignOut {
        shell: pages::shell(ctx),
        action: "/_handshake/sign-out",
        csrf: &token(ctx),
        to,
        stay_href: "/",
    };
    let target = site
        .logout_url
        .as_ref()
        .and_then(|url| Url::parse(url.as_str()).ok())
        .map(|url| url.origin().ascii_serialization());
    reply::page(StatusCode::OK, &page, target.as_slice())
}

/// Ties the form to this site and this reader.
fn token(ctx: &SiteCtx) -> String {
    let handle = reader::handle(ctx).map(|handle| handle.reveal().reveal().to_owned());
    ctx.shared.root_key.form_token(&[
        ctx.served.tenant.bytes(),
        ctx.served.site.name.as_bytes(),
        handle.unwrap_or_default().as_bytes(),
        b"docs sign-out",
    ])
}

fn has_token(ctx: &SiteCtx, form: &Params) -> bool {
    let expected = token(ctx);
    form.get("csrf").is_some_and(|presented| {
        constant_time::verify_slices_are_equal(presented.as_bytes(), expected.as_bytes()).is_ok()
    })
}
