//! The addresses below a docs site that are ours: signing in and out, and what scripts ask.
//!
//! The whole handshake runs here. The reader's browser carries a sealed attempt while it is at the OAuth server and an opaque handle
//! afterwards, never a code verifier in the clear and never a token.

mod attempt;
mod callback;
mod check;
mod sign_in;
mod sign_out;
mod user;

use super::host::SiteCtx;
use super::pages;
use crate::http::reply::{self, Failure, Reply};
use crate::ui::assets;
use crate::ui::words;
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use vestibule_core::oauth::params::Params;

/// How long browsers keep a file whose name changes with its content.
const ASSET_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Answers a request below `{base}/_handshake/`; `name` is what follows.
pub(crate) async fn answer(ctx: &SiteCtx, name: &str) -> Result<Reply, Failure> {
    let reads = matches!(ctx.method, Method::GET | Method::HEAD);
    let (get, post) = (ctx.method == Method::GET, ctx.method == Method::POST);
    // What a handler keeps while it waits can be large: on the heap it is not moved with the future of every request.
    match name {
        "sign-in" if get => sign_in::begin(ctx),
        "callback" if get => Box::pin(callback::receive(ctx)).await,
        "sign-out" if get || post => Box::pin(sign_out::sign_out(ctx)).await,
        "check" if get => Box::pin(check::show(ctx)).await,
        "user" if reads => Box::pin(user::show(ctx)).await,
        "reader.js" if reads => Ok(user::script(ctx)),
        "sign-in" | "callback" | "check" => Ok(other_method(ctx, "GET")),
        "sign-out" => Ok(other_method(ctx, "GET, POST")),
        "user" | "reader.js" => Ok(other_method(ctx, "GET, HEAD")),
        _ => Ok(name
            .strip_prefix("assets/")
            .filter(|_| reads)
            .and_then(asset)
            .unwrap_or_else(|| pages::error(ctx, StatusCode::NOT_FOUND, &words::NOT_FOUND))),
    }
}

fn other_method(ctx: &SiteCtx, allowed: &'static str) -> Reply {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut reply = pages::error(ctx, status, &words::METHOD_NOT_ALLOWED);
    reply
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// The stylesheet, script and mark of our pages.
fn asset(file_name: &str) -> Option<Reply> {
    let asset = assets::find(file_name)?;
    let mut reply = reply::body(StatusCode::OK, asset.media_type, asset.bytes);
    reply
        .headers_mut()
        .insert(header::CACHE_CONTROL, ASSET_CACHE);
    Some(reply)
}

/// The parameters of the query; a query that cannot be read has none.
fn query(ctx: &SiteCtx) -> Params {
    let query = ctx.query.as_deref().unwrap_or_default();
    Params::parse(query.as_bytes()).unwrap_or_default()
}

/// Where to sign in and then come back to a page, as a path below the site's base.
pub(super) fn sign_in_path(return_to: Option<&str>) -> String {
    let Some(return_to) = return_to else {
        return "/_handshake/sign-in".to_owned();
    };
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", return_to)
        .finish();
    format!("/_handshake/sign-in?{query}")
}
