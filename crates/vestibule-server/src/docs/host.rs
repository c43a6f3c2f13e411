//! The way of a request to a docs site: from its path to a page, the handshake, or the one answer for everything that is not there.
//!
//! The law: whoever may not know of a page gets, byte for byte, what they would get if there were none.

use super::files::folder::Folder;
use super::reader::Reader;
use super::{files, handshake, pages, proxy};
use crate::http::context::{Shared, to_timestamp};
use crate::http::docs_sites::ServedSite;
use crate::http::reply::{self, Failure, Reply, ReplyBody};
use crate::ui::pages::ErrorPage;
use crate::ui::words;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::Collected;
use std::net::IpAddr;
use std::sync::Arc;
use vestibule_core::docs::access::{Access, Opening};
use vestibule_core::docs::path::SitePath;
use vestibule_core::docs::site::{HANDSHAKE_PATH, SiteContent};
use vestibule_core::time::Timestamp;

/// How long browsers insist on https, in seconds.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// What is personal, and what says nothing: kept by nobody.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");
/// What the methods of a page are.
const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// One request to a docs site.
pub(crate) struct SiteCtx {
    /// What all requests share.
    pub(crate) shared: Arc<Shared>,
    /// The site.
    pub(crate) served: Arc<ServedSite>,
    /// The one `now` of this request.
    pub(crate) now: Timestamp,
    /// The same in milliseconds, for what is kept of files.
    pub(crate) now_millis: u64,
    /// The request's id, in the log and on error pages.
    pub(crate) reference: String,
    /// The person's address.
    pub(crate) address: IpAddr,
    /// The method.
    pub(crate) method: Method,
    /// The raw path below the site's base; it starts with a slash.
    pub(crate) path: String,
    /// The query.
    pub(crate) query: Option<String>,
    /// The headers, cleaned of what only proxies may say.
    pub(crate) headers: HeaderMap,
    /// The body, bounded.
    pub(crate) body: Bytes,
}

impl SiteCtx {
    /// A header, if it stands once and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// Whether a browser opens a page with this request, rather than a script or a page fetching something.
    pub(crate) fn is_navigation(&self) -> bool {
        match self
            .headers
            .get("sec-fetch-mode")
            .map(HeaderValue::as_bytes)
        {
            Some(mode) => mode == b"navigate",
            None => self
                .header(&header::ACCEPT)
                .is_some_and(|accept| accept.contains("text/html")),
        }
    }

    /// A path of the site's origin, for a path below the base.
    pub(crate) fn local(&self, path: &str) -> String {
        format!("{}{path}", self.served.site.address.base_path)
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }
}

/// Where a site's pages come from, with what is kept of them.
pub(super) enum Source {
    Folder(Folder),
    Upstream(proxy::Upstream),
}

impl Source {
    fn of(served: &ServedSite) -> Arc<Self> {
        served.kept.get_or_make(|| match &served.site.content {
            SiteContent::Folder(root) => Self::Folder(Folder::new(root)),
            SiteContent::Upstream(address) => Self::Upstream(proxy::Upstream::new(address)),
        })
    }
}

/// Answers a request to a docs site. Never fails: whatever goes wrong has an answer.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    served: Arc<ServedSite>,
    parts: http::request::Parts,
    body: impl Future<Output = Result<Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>>>,
    address: IpAddr,
    reference: String,
) -> Reply {
    let now_millis = shared.clock.millis();
    let mut ctx = SiteCtx {
        shared,
        served,
        now: to_timestamp(now_millis),
        now_millis,
        reference,
        address,
        method: parts.method,
        path: String::new(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Bytes::new(),
    };
    let mut reply = match place(&ctx, parts.uri.path()) {
        Place::Below(path) => {
            ctx.path = path;
            let answer = below(&mut ctx, body).await;
            answer.unwrap_or_else(|failure| pages::failure(&ctx, &failure))
        }
        Place::Moved(status, path) => moved(&ctx, status, &path),
        Place::Nowhere => nothing_here(&ctx),
    };
    let headers = reply.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if !headers.contains_key(header::REFERRER_POLICY) {
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("strict-origin-when-cross-origin"),
        );
    }
    if ctx.served.site.address.is_https() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if ctx.is_head() {
        without_body(&mut reply);
    }
    reply
}

/// Where the path of a request lies.
enum Place {
    Below(String),
    Moved(StatusCode, String),
    Nowhere,
}

fn place(ctx: &SiteCtx, path: &str) -> Place {
    let address = &ctx.served.site.address;
    if let Some(below) = address.below(path) {
        return Place::Below(below.to_owned());
    }
    if path == address.base_path {
        return Place::Moved(StatusCode::MOVED_PERMANENTLY, "/".to_owned());
    }
    if path == "/" {
        return Place::Moved(StatusCode::FOUND, "/".to_owned());
    }
    Place::Nowhere
}

/// What is asked of the handshake, as it came: nothing but its own spelling is one of its names, and no other page lies there.
fn handshake_name(raw: &str, path: Option<&SitePath>) -> Option<String> {
    if let Some(name) = raw
        .strip_prefix(HANDSHAKE_PATH)
        .and_then(|rest| rest.strip_prefix('/'))
    {
        return Some(name.to_owned());
    }
    let first = path?.segments().first()?;
    (Some(first.as_str()) == HANDSHAKE_PATH.strip_prefix('/')).then(String::new)
}

async fn below(
    ctx: &mut SiteCtx,
    body: impl Future<Output = Result<Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>>>,
) -> Result<Reply, Failure> {
    let path = SitePath::parse(&ctx.path);
    if let Some(name) = handshake_name(&ctx.path, path.as_ref().ok()) {
        match body.await {
            Ok(collected) => ctx.body = collected.to_bytes(),
            Err(_) => {
                return Ok(pages::error(
                    ctx,
                    StatusCode::PAYLOAD_TOO_LARGE,
                    &words::BROKEN_REQUEST,
                ));
            }
        }
        return handshake::answer(ctx, &name).await;
    }
    if !matches!(ctx.method, Method::GET | Method::HEAD) {
        let mut reply = pages::error(
            ctx,
            StatusCode::METHOD_NOT_ALLOWED,
            &words::METHOD_NOT_ALLOWED,
        );
        reply.headers_mut().insert(header::ALLOW, ALLOW);
        return Ok(reply);
    }
    match (&*Source::of(&ctx.served), path) {
        (Source::Folder(folder), Ok(path)) => files::serve(ctx, folder, &path).await,
        (Source::Folder(folder), Err(_)) => files::refuse(ctx, folder, &Access::Site).await,
        (Source::Upstream(upstream), Ok(path)) => proxy::serve(ctx, upstream, &path).await,
        (Source::Upstream(_), Err(_)) => Ok(refuse(ctx, &Access::Site, None)),
    }
}

/// The answer to somebody for whom there is nothing: sign in if that may help, otherwise there is no page. `access` is that of what
/// is there, or what the rules say of what is not.
pub(super) fn refuse(ctx: &SiteCtx, access: &Access, reader: Option<&Reader>) -> Reply {
    let reader = reader.map(|reader| &reader.user);
    match access.opening(ctx.served.site.visibility, reader) {
        Opening::SignIn => sign_in(ctx),
        Opening::Open | Opening::NotFound => nothing_here(ctx),
    }
}

/// Sends a person to sign in, and comes back to where they wanted to go. A script is told instead.
pub(super) fn sign_in(ctx: &SiteCtx) -> Reply {
    if !ctx.is_navigation() {
        let mut reply = reply::body(
            StatusCode::UNAUTHORIZED,
            "text/plain; charset=utf-8",
            "Sign in to read this.\n",
        );
        let headers = reply.headers_mut();
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
        headers.insert(header::VARY, HeaderValue::from_static("cookie"));
        return reply;
    }
    let query = ctx
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let wanted = format!("{}{query}", ctx.local(&ctx.path));
    let location = ctx.local(&handshake::sign_in_path(Some(&wanted)));
    match reply::redirect(StatusCode::FOUND, &location) {
        Ok(mut reply) => {
            reply.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
            reply
        }
        Err(_) => nothing_here(ctx),
    }
}

/// A redirect to a path below the base, with the query.
pub(super) fn moved(ctx: &SiteCtx, status: StatusCode, path: &str) -> Reply {
    let query = ctx
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    reply::redirect(status, &format!("{}{query}", ctx.local(path)))
        .unwrap_or_else(|_| nothing_here(ctx))
}

/// Our own page for what is not there. It names no request, so that it is the same for all of them.
pub(crate) fn nothing_here(ctx: &SiteCtx) -> Reply {
    let status = StatusCode::NOT_FOUND;
    let page = ErrorPage::new(pages::shell(ctx), &words::NOT_FOUND);
    reply::page(status, &page, &[]).unwrap_or_else(|_| reply::empty(status))
}

/// The answer to a HEAD: the headers of the GET (RFC 9110, 9.3.2).
fn without_body(reply: &mut Reply) {
    use hyper::body::Body as _;
    if let Some(length) = reply.body().size_hint().exact()
        && length > 0
    {
        reply
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    *reply.body_mut() = ReplyBody::default();
}
