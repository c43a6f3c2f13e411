//! A site whose pages another server has.
//!
//! The law: what is asked of that server is made of the one path that the rules were asked about, and of headers that change no
//! byte of a page. What comes back is decided on before any of it is given out.

use super::delivery::{self, Caching, Giving};
use super::host::{self, SiteCtx};
use super::listing;
use super::media::{self, Kind};
use super::pages;
use super::reader::{self, Reader};
use super::rewrite::{self, Rewriting};
use super::view::{Pages, View};
use crate::http::reply::{BodyError, Failure, Reply, ReplyBody};
use crate::outbound::http::OutboundError;
use crate::outbound::http::stream::{OutboundBody, OutboundStream};
use crate::ui::words;
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use quick_cache::sync::Cache;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use url::Url;
use vestibule_core::docs::access::{Access, Opening, Visibility};
use vestibule_core::docs::front_matter::front_matter;
use vestibule_core::docs::path::SitePath;

/// How much of a page is read before it is decided for whom it is, in bytes, if its head has not ended before.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest text, sitemap or search index, which are read whole, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most pages whose own word is remembered.
const LEARNED_COUNT_MAX: usize = 20_000;

/// What is asked of the other server besides the path of a page, which nobody keeps without asking again.
const ASKED: [HeaderName; 3] = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT];
/// And besides that of a file by its name: the asker may have a copy or want a part. Nothing that could choose among several files,
/// since everybody may keep what one was given (T38).
const ASKED_OF_FILES: [HeaderName; 4] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::RANGE,
    header::IF_RANGE,
];
/// What is passed on of the answer to a file.
const PASSED: [HeaderName; 7] = [
    header::CONTENT_TYPE,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// What pages have said of themselves when they were asked for.
pub(super) struct Learned(Cache<String, Access>);

impl Default for Learned {
    fn default() -> Self {
        Self(Cache::new(LEARNED_COUNT_MAX))
    }
}

impl Learned {
    pub(super) fn access_of(&self, path: &SitePath) -> Option<Access> {
        self.0.get(&path.page())
    }

    pub(super) fn all(&self, is: impl Fn(&Access) -> bool) -> bool {
        self.0.iter().all(|(_, access)| is(&access))
    }

    fn note(&self, path: &SitePath, access: &Access) {
        self.0.insert(path.page(), access.clone());
    }
}

/// The other server.
pub(super) struct Upstream {
    address: String,
    learned: Arc<Learned>,
}

impl Upstream {
    /// A server below this address, of whose pages nothing is known yet.
    pub(super) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            learned: Arc::default(),
        }
    }
}

/// Answers a request for a path of the other server.
pub(super) async fn serve(
    ctx: &SiteCtx,
    upstream: &Upstream,
    path: &SitePath,
) -> Result<Reply, Failure> {
    let site = &ctx.served.site;
    let by_rules = site.access_by_rules(&path.names());
    let kind = kind_of(ctx, path);
    let is_file = kind == Kind::Asset && is_file_by_name(path);
    let is_everybodys = is_file && by_rules.opening(site.visibility, None) == Opening::Open;
    let reader = if is_everybodys {
        None
    } else {
        reader::reader(ctx).await?
    };
    if is_file && !opens(ctx, &by_rules, reader.as_ref()) {
        return Ok(host::refuse(ctx, &by_rules, reader.as_ref()));
    }
    let url = address(upstream, path, ctx.query.as_deref());
    // A page's bytes are needed to decide, whatever the method.
    let method = if is_file {
        ctx.method.clone()
    } else {
        Method::GET
    };
    let headers = asked(ctx, is_file);
    let answer = match ctx.shared.outbound.stream(method, &url, headers).await {
        Ok(answer) => answer,
        Err(error) => return Ok(unreachable(ctx, &error)),
    };
    let asked = Asked {
        path,
        url: &url,
        kind,
        is_file,
        by_rules,
        reader,
    };
    Ok(respond(ctx, upstream, asked, answer).await)
}

/// What was asked of the other server, by whom.
struct Asked<'a> {
    path: &'a SitePath,
    url: &'a str,
    kind: Kind,
    is_file: bool,
    by_rules: Access,
    reader: Option<Reader>,
}

async fn respond(
    ctx: &SiteCtx,
    upstream: &Upstream,
    asked: Asked<'_>,
    answer: OutboundStream,
) -> Reply {
    let refuse = |access: &Access| host::refuse(ctx, access, asked.reader.as_ref());
    let status = answer.status;
    let is_answer_to_file = matches!(
        status,
        StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::RANGE_NOT_SATISFIABLE
    );
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        let access = upstream
            .learned
            .access_of(asked.path)
            .unwrap_or_else(|| asked.by_rules.clone());
        return if opens(ctx, &access, asked.reader.as_ref()) {
            redirected(ctx, upstream, asked.url, &answer)
        } else {
            refuse(&access)
        };
    }
    if status.is_client_error() && !is_answer_to_file {
        return refuse(&asked.by_rules);
    }
    if status != StatusCode::OK && !(is_answer_to_file && asked.is_file) {
        return odd(ctx, &format!("status {}", status.as_u16()));
    }
    let Some(media_type) = media_type(&answer.headers) else {
        return odd(ctx, "it names two media types, or none that can be read");
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_html = ["text/html", "application/xhtml+xml"]
        .iter()
        .any(|html| essence.eq_ignore_ascii_case(html));
    let is_text = essence.eq_ignore_ascii_case("text/markdown");
    if (is_html || is_text) && status == StatusCode::PARTIAL_CONTENT {
        return odd(ctx, "it gave a part of a page");
    }
    if is_html && status == StatusCode::OK {
        return page(ctx, upstream, asked, answer, &media_type).await;
    }
    let is_read = is_text || asked.kind != Kind::Asset && asked.kind != Kind::Html;
    if is_read && status == StatusCode::OK {
        return text(ctx, upstream, asked, answer, &media_type, is_text).await;
    }
    if opens(ctx, &asked.by_rules, asked.reader.as_ref()) {
        file(ctx, &asked, answer)
    } else {
        refuse(&asked.by_rules)
    }
}

fn opens(ctx: &SiteCtx, access: &Access, reader: Option<&Reader>) -> bool {
    let user = reader.map(|reader| &reader.user);
    access.opening(ctx.served.site.visibility, user) == Opening::Open
}

fn kind_of(ctx: &SiteCtx, path: &SitePath) -> Kind {
    let patterns = &ctx.served.site.search_indexes;
    let is_index = |path: &str| patterns.iter().any(|pattern| pattern.matches(path));
    let indexes: Option<&dyn Fn(&str) -> bool> = if patterns.is_empty() {
        None
    } else {
        Some(&is_index)
    };
    media::kind(&path.decoded(), indexes)
}

/// Whether the name says that it is no page.
fn is_file_by_name(path: &SitePath) -> bool {
    !path.is_folder()
        && path
            .last()
            .is_some_and(|name| media::media_type(name) != "application/octet-stream")
}

fn address(upstream: &Upstream, path: &SitePath, query: Option<&str>) -> String {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}{}{query}", upstream.address, path.encoded())
}

/// The headers that are sent: an allow-list, so that nothing but what stands here can change an answer.
fn asked(ctx: &SiteCtx, is_file: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let names = if is_file {
        ASKED_OF_FILES.as_slice()
    } else {
        ASKED.as_slice()
    };
    for name in names {
        let mut values = ctx.headers.get_all(name).iter();
        if let (Some(value), None) = (values.next(), values.next()) {
            headers.insert(name, value.clone());
        }
    }
    headers
}

/// The one media type of an answer; where there is none, bytes.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let text = match (values.next(), values.next()) {
        (None, _) => "application/octet-stream",
        (Some(value), None) => value.to_str().ok()?,
        (Some(_), Some(_)) => return None,
    };
    // Tags cannot be found in it.
    (!text.to_ascii_lowercase().contains("utf-16")).then(|| text.to_owned())
}

/// A redirect of the other server, to the address that readers know.
fn redirected(ctx: &SiteCtx, upstream: &Upstream, url: &str, answer: &OutboundStream) -> Reply {
    let target = answer
        .headers
        .get(header::LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| Url::parse(url).ok()?.join(location).ok());
    let Some(target) = target else {
        return odd(ctx, "it redirects to nowhere");
    };
    let Some(location) = public(ctx, upstream, &target) else {
        return odd(
            ctx,
            "it redirects to an address that is not its own and not https",
        );
    };
    let status = match answer.status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT => {
            StatusCode::MOVED_PERMANENTLY
        }
        _ => StatusCode::FOUND,
    };
    crate::http::reply::redirect(status, &location)
        .unwrap_or_else(|_| odd(ctx, "it redirects to no address"))
}

fn public(ctx: &SiteCtx, upstream: &Upstream, target: &Url) -> Option<String> {
    let base = Url::parse(&upstream.address).ok()?;
    let tail = |url: &Url| {
        let query = url.query().map(|query| format!("?{query}"));
        let fragment = url.fragment().map(|fragment| format!("#{fragment}"));
        format!(
            "{}{}",
            query.unwrap_or_default(),
            fragment.unwrap_or_default()
        )
    };
    if target.origin() == base.origin() {
        let below = target
            .path()
            .strip_prefix(base.path().trim_end_matches('/'))?;
        let below = SitePath::parse(if below.is_empty() { "/" } else { below }).ok()?;
        return Some(format!("{}{}", ctx.local(&below.encoded()), tail(target)));
    }
    let is_own = target.origin().ascii_serialization() == ctx.served.site.address.origin;
    (is_own || target.scheme() == "https").then(|| target.to_string())
}

fn unreachable(ctx: &SiteCtx, error: &OutboundError) -> Reply {
    odd(ctx, error.detail())
}

/// The page for an answer that cannot be passed on.
fn odd(ctx: &SiteCtx, detail: &str) -> Reply {
    tracing::warn!(
        reference = ctx.reference,
        site = ctx.served.site.name,
        detail,
        "the upstream of a docs site did not answer as it should"
    );
    pages::error(ctx, StatusCode::BAD_GATEWAY, &words::SITE_UNREACHABLE)
}

fn view(ctx: &SiteCtx, upstream: &Upstream, reader: Option<Reader>) -> Arc<View> {
    Arc::new(View {
        served: Arc::clone(&ctx.served),
        reader,
        pages: Pages::Learned(Arc::clone(&upstream.learned)),
    })
}

/// Passes a page on, once its head has said for whom it is.
async fn page(
    ctx: &SiteCtx,
    upstream: &Upstream,
    asked: Asked<'_>,
    answer: OutboundStream,
    media_type: &str,
) -> Reply {
    let mut body = answer.body;
    let head = match read_head(&mut body).await {
        Ok(head) => head,
        Err(error) => return unreachable(ctx, &error),
    };
    let access = match rewrite::own_word(&head) {
        Ok(own) => own.access().unwrap_or_else(|| asked.by_rules.clone()),
        Err(error) => return odd(ctx, &error.to_string()),
    };
    upstream.learned.note(asked.path, &access);
    if !opens(ctx, &access, asked.reader.as_ref()) {
        return host::refuse(ctx, &access, asked.reader.as_ref());
    }
    let is_personal = asked.reader.is_some();
    let view = view(ctx, upstream, asked.reader);
    let rewriting = match Rewriting::new(&view, asked.path) {
        Ok(rewriting) => rewriting,
        Err(error) => return odd(ctx, &error.to_string()),
    };
    let body = ReplyBody::stream(PageBody {
        head: Some(head),
        body,
        rewriting: Some(rewriting),
    });
    let mut reply = delivery::give_personal(StatusCode::OK, media_type, body);
    if !is_personal {
        reply
            .headers_mut()
            .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    pass(
        &answer.headers,
        reply.headers_mut(),
        &[header::CONTENT_LANGUAGE],
    );
    reply
}

/// The beginning of a page: to the end of its head, or as much as is read of it before it is decided.
async fn read_head(body: &mut OutboundBody) -> Result<Bytes, OutboundError> {
    let mut head = BytesMut::new();
    let has = |part: &[u8], end: &[u8]| {
        part.windows(end.len())
            .any(|window| window.eq_ignore_ascii_case(end))
    };
    while head.len() < HEAD_BYTES_MAX {
        let Some(frame) = body.frame().await else {
            break;
        };
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        // An end may be cut in two by the pieces that it comes in.
        let from = head.len().saturating_sub("</head".len());
        head.extend_from_slice(&data);
        let new = head.get(from..).unwrap_or_default();
        if has(new, b"</head") || has(new, b"<body") {
            break;
        }
    }
    Ok(head.freeze())
}

/// A page that is rewritten while it comes.
struct PageBody {
    head: Option<Bytes>,
    body: OutboundBody,
    rewriting: Option<Rewriting>,
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let Some(rewriting) = &mut this.rewriting else {
                return Poll::Ready(None);
            };
            let written = if let Some(head) = this.head.take() {
                rewriting.write(&head)
            } else {
                match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => rewriting.write(&data),
                        Err(_) => continue,
                    },
                    Some(Err(error)) => {
                        this.rewriting = None;
                        return Poll::Ready(Some(Err(error.into())));
                    }
                    None => {
                        let end = rewriting.end();
                        this.rewriting = None;
                        end
                    }
                }
            };
            match written {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(error) => {
                    this.rewriting = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

/// Passes on what is read whole: a page's text, which says for whom it is, a sitemap, or a search index.
async fn text(
    ctx: &SiteCtx,
    upstream: &Upstream,
    asked: Asked<'_>,
    answer: OutboundStream,
    media_type: &str,
    is_text: bool,
) -> Reply {
    let limited = http_body_util::Limited::new(answer.body, TEXT_BYTES_MAX);
    let bytes = match limited.collect().await {
        Ok(bytes) => bytes.to_bytes(),
        Err(error) => return odd(ctx, &error.to_string()),
    };
    let own = if is_text {
        front_matter(&String::from_utf8_lossy(&bytes)).access()
    } else {
        None
    };
    let access = own.unwrap_or_else(|| asked.by_rules.clone());
    if !opens(ctx, &access, asked.reader.as_ref()) {
        return host::refuse(ctx, &access, asked.reader.as_ref());
    }
    let view = view(ctx, upstream, asked.reader.clone());
    let everybody = view_of_everybody(&view);
    let made = match asked.kind {
        Kind::Sitemap => listing::sitemap(&view, asked.path, &bytes),
        Kind::Search | Kind::SearchWhole if view.lists_everything() => Some(bytes.to_vec()),
        Kind::Search => listing::search_index(&view, asked.path, &bytes),
        Kind::SearchWhole => None,
        Kind::Asset | Kind::Html | Kind::Markdown => Some(bytes.to_vec()),
    };
    let Some(made) = made else {
        return host::refuse(ctx, &Access::Groups(Vec::new()), asked.reader.as_ref());
    };
    let is_search = matches!(asked.kind, Kind::Search | Kind::SearchWhole);
    if is_search && asked.reader.is_some() && !everybody.lists_everything() {
        return delivery::give_personal(StatusCode::OK, media_type, ReplyBody::from(made));
    }
    let giving = Giving {
        media_type,
        caching: if is_public(ctx, &access) {
            Caching::Page
        } else {
            Caching::Private
        },
        modified: None,
        has_ranges: false,
    };
    delivery::give(ctx, &delivery::kept(made), &giving).await
}

fn view_of_everybody(view: &View) -> View {
    View {
        reader: None,
        ..view.clone()
    }
}

fn is_public(ctx: &SiteCtx, access: &Access) -> bool {
    *access == Access::Public || ctx.served.site.visibility == Visibility::Personalised
}

/// Passes a file on as it comes.
fn file(ctx: &SiteCtx, asked: &Asked<'_>, answer: OutboundStream) -> Reply {
    let name = asked.path.last().unwrap_or_default();
    let caching = match (is_public(ctx, &asked.by_rules), asked.is_file) {
        (false, _) => Caching::Private,
        (true, true) if media::is_fingerprinted(name) => Caching::Immutable,
        (true, true) => Caching::Public,
        (true, false) => Caching::Page,
    };
    let body = answer.body.map_err(|error| -> BodyError { error.into() });
    let has_body = matches!(answer.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    let mut reply = Reply::new(if has_body {
        ReplyBody::stream(body)
    } else {
        ReplyBody::default()
    });
    *reply.status_mut() = answer.status;
    let headers = reply.headers_mut();
    headers.extend(caching.headers());
    pass(&answer.headers, headers, &PASSED);
    headers
        .entry(header::CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/octet-stream"));
    reply
}

fn pass(from: &HeaderMap, to: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}
