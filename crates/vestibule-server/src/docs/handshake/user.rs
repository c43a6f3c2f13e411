//! `GET _handshake/user` and `_handshake/reader.js`: what scripts of the site may know of its reader.

use super::super::host::SiteCtx;
use super::super::reader::{reader, shown};
use crate::http::reply::{self, Failure, Reply};
use crate::ui::assets::{READER_SCRIPT, content_hash};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use serde_json::json;
use std::sync::LazyLock;

const PERSONAL: HeaderValue = HeaderValue::from_static("private, no-store");
/// The script changes with releases only.
const SCRIPT_CACHE: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The entity tag of the script.
static SCRIPT_TAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", content_hash(READER_SCRIPT)));

pub(super) async fn show(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let elsewhere = ctx
        .headers
        .get("sec-fetch-site")
        .is_some_and(|site| site != "same-origin" && site != "none");
    let mut reply = if elsewhere {
        let refusal = json!({ "error": "only pages of this site may ask who reads" });
        reply::json(StatusCode::FORBIDDEN, &refusal)
    } else {
        let reader = reader(ctx).await?;
        reply::json(StatusCode::OK, &shown(reader.as_ref()))
    };
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, PERSONAL);
    headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
    headers.insert(RESOURCE_POLICY, SAME_ORIGIN);
    Ok(reply)
}

pub(super) fn script(ctx: &SiteCtx) -> Reply {
    let known = ctx
        .headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value
                .split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == *SCRIPT_TAG)
        });
    let mut reply = if known {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::body(
            StatusCode::OK,
            "text/javascript; charset=utf-8",
            READER_SCRIPT,
        )
    };
    let headers = reply.headers_mut();
    headers.insert(header::CACHE_CONTROL, SCRIPT_CACHE);
    if let Ok(tag) = HeaderValue::from_str(&SCRIPT_TAG) {
        headers.insert(header::ETAG, tag);
    }
    reply
}
