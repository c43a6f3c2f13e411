//! A request to a docs site, from its tenant-less beginning to the answer.

use super::reader::{reader, shown};
use super::{handshake, pages};
use crate::http::context::{Shared, to_timestamp};
use crate::http::docs_sites::ServedSite;
use crate::http::reply::{self, Failure, Reply};
use crate::ui::words;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use vestibule_core::docs::site::HANDSHAKE_PATH;
use vestibule_core::time::Timestamp;

/// One request to a docs site.
pub(crate) struct SiteCtx {
    /// What all requests share.
    pub(crate) shared: Arc<Shared>,
    /// The site.
    pub(crate) served: Arc<ServedSite>,
    /// The one `now` of this request.
    pub(crate) now: Timestamp,
    /// The request's id, in the log and on error pages.
    pub(crate) reference: String,
    /// The reader's address.
    pub(crate) address: IpAddr,
    /// The method.
    pub(crate) method: Method,
    /// The path below the site's base, as it came; it starts with a slash.
    pub(crate) path: String,
    /// The query.
    pub(crate) query: Option<String>,
    /// The headers, cleaned of what only proxies may say.
    pub(crate) headers: HeaderMap,
    /// The body, bounded.
    pub(crate) body: Bytes,
}

/// Answers a request.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    served: Arc<ServedSite>,
    parts: http::request::Parts,
    body: Bytes,
    address: IpAddr,
    reference: String,
) -> Reply {
    let now = to_timestamp(shared.clock.millis());
    let base = &served.site.address.base_path;
    let path = parts
        .uri
        .path()
        .strip_prefix(base.as_str())
        .map(str::to_owned);
    let inside = path.filter(|path| path.starts_with('/'));
    let ctx = SiteCtx {
        shared,
        served,
        now,
        reference,
        address,
        method: parts.method,
        path: inside.clone().unwrap_or_default(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    if inside.is_none() {
        return pages::error(&ctx, StatusCode::NOT_FOUND, &words::NOT_FOUND);
    }
    respond(&ctx)
        .await
        .unwrap_or_else(|failure| pages::failure(&ctx, &failure))
}

async fn respond(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let ours = ctx.path.strip_prefix(HANDSHAKE_PATH);
    if let Some(name) = ours.and_then(|rest| rest.strip_prefix('/')) {
        return handshake::answer(ctx, name).await;
    }
    let reader = reader(ctx).await?;
    Ok(reply::json(StatusCode::OK, &shown(reader.as_ref())))
}
