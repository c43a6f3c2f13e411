//! Answers: their bodies, and the headers that each kind of answer always carries.

use super::context::Ctx;
use crate::outbound::password_hash::HashError;
use crate::ui::href::SafeHref;
use crate::ui::pages::ErrorPage;
use crate::ui::parts::{ClientBrand, Shell};
use crate::ui::words::{self, ErrorWords};
use askama::Template;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::Full;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};
use serde::Serialize;
use std::pin::Pin;
use std::task::{Context, Poll};
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::error::OAuthError;
use vestibule_store::db::DbError;

use super::signing::SigningError;

/// An answer.
pub(crate) type Reply = Response<ReplyBody>;

/// Why a body that streams ends early.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: nearly always bytes that are there, and otherwise ones that come one after the other.
pub(crate) enum ReplyBody {
    /// Bytes that are there.
    Whole(Full<Bytes>),
    /// Bytes that come.
    Stream(UnsyncBoxBody<Bytes, BodyError>),
}

impl ReplyBody {
    /// A body that streams.
    pub(crate) fn stream(
        body: impl Body<Data = Bytes, Error = BodyError> + Send + 'static,
    ) -> Self {
        Self::Stream(UnsyncBoxBody::new(body))
    }
}

impl Default for ReplyBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl<T: Into<Bytes>> From<T> for ReplyBody {
    fn from(bytes: T) -> Self {
        Self::Whole(Full::new(bytes.into()))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            Self::Stream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

/// Seconds after which a caller may try again when we could not serve it.
const RETRY_AFTER_SECONDS: u32 = 2;

/// Why a handler gives up: nothing that the caller did. The router turns it into a page or a JSON error.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The records cannot be reached now, or too much waits for them.
    #[error(transparent)]
    Db(#[from] DbError),
    /// No key can be had.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The hash queue is full, or stopped.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A guard was lost three times, or something of ours is wrong.
    #[error("{0}")]
    Internal(&'static str),
}

impl Failure {
    /// Whether trying again may help: then the answer is 503, else 500.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Db(error) | Self::Signing(SigningError::Db(error)) => {
                matches!(error, DbError::Unavailable(_) | DbError::Busy)
            }
            Self::Hash(error) => matches!(error, HashError::Busy | HashError::Stopped),
            Self::Signing(SigningError::Key(_)) | Self::Internal(_) => false,
        }
    }

    /// The answer to a caller that is a program.
    pub(crate) fn to_json(&self) -> Reply {
        let (status, code) = self.status();
        let mut reply = json(
            status,
            &serde_json::json!({
                "error": code,
                "error_description": "the server cannot answer this now",
            }),
        );
        if self.is_passing() {
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        reply
    }

    /// The answer to a person.
    pub(crate) fn to_page(&self, ctx: &Ctx) -> Reply {
        let words = if self.is_passing() {
            &words::SERVER_BUSY
        } else {
            &words::SERVER_FAILED
        };
        let mut reply = error_page(ctx, self.status().0, words, None);
        if self.is_passing() {
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        reply
    }

    fn status(&self) -> (StatusCode, &'static str) {
        if self.is_passing() {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "server_error")
        }
    }
}

/// Headers that an answer has room for at once: most have fewer, and then the map never grows.
const HEADERS_USUAL: usize = 12;

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

fn common(headers: &mut HeaderMap) {
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

/// A body with a media type, not to be stored.
pub(crate) fn body(status: StatusCode, media_type: &'static str, bytes: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(ReplyBody::from(bytes.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    *headers = HeaderMap::with_capacity(HEADERS_USUAL);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    common(headers);
    reply
}

/// JSON, not to be stored.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    body(
        status,
        "application/json",
        serde_json::to_vec(value).unwrap_or_default(),
    )
}

/// Nothing, not to be stored.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(ReplyBody::default());
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    common(reply.headers_mut());
    reply
}

/// A redirect. Ours are 303, so that no browser sends a form again (OAuth 2.1, 7.5.3); the strict dialect answers a GET with 302.
pub(crate) fn redirect(status: StatusCode, location: &str) -> Result<Reply, Failure> {
    // What we redirect to is ASCII without control characters; anything else never gets here.
    let location = HeaderValue::from_str(location)
        .map_err(|_| Failure::Internal("a location that is no header value"))?;
    let mut reply = empty(status);
    reply.headers_mut().insert(header::LOCATION, location);
    Ok(reply)
}

/// A redirect within this tenant, 303.
pub(crate) fn see_other(ctx: &Ctx, path: &str) -> Result<Reply, Failure> {
    redirect(StatusCode::SEE_OTHER, &format!("{}{path}", ctx.base_path))
}

/// Adds a cookie.
pub(crate) fn set_cookie(reply: &mut Reply, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        reply.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A page. `form_targets` are the sources besides our own where a form of it may end, since Chromium holds the whole chain of
/// redirects after a form against `form-action`.
pub(crate) fn page(
    status: StatusCode,
    template: &impl Template,
    form_targets: &[String],
) -> Result<Reply, Failure> {
    let html = template
        .render()
        .map_err(|_| Failure::Internal("a page that cannot be rendered"))?;
    let mut reply = body(status, "text/html; charset=utf-8", html);
    let targets = form_targets.join(" ");
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' https:; form-action 'self' {targets}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = reply.headers_mut();
    let policy = HeaderValue::from_str(&policy)
        .map_err(|_| Failure::Internal("a policy that is no header value"))?;
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    // RFC 9700, 4.16; OAuth 2.1, 7.11.
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    );
    Ok(reply)
}

/// Lets a page stay linked with the window that opened it, if the client whose dialogue it is signs people in so: the client's own page
/// at the end of the dialogue speaks to that window.
pub(crate) fn keep_opener(reply: &mut Reply, client: Option<&Client>) {
    if client.is_some_and(|client| client.policy.popups) {
        reply.headers_mut().remove(OPENER_POLICY);
    }
}

/// What surrounds a page of this request.
pub(crate) fn shell<'a>(ctx: &'a Ctx, client: Option<&'a Client>) -> Shell<'a> {
    Shell {
        lang: "en",
        tenant_name: &ctx.tenant.tenant.name,
        base_path: &ctx.base_path,
        assets_below: None,
        client: client.map(brand),
        reference: "",
    }
}

fn brand(client: &Client) -> ClientBrand<'_> {
    ClientBrand {
        name: &client.name,
        logo_uri: client
            .logo_uri
            .as_ref()
            .and_then(|uri| SafeHref::picture(uri.as_str())),
        client_uri: client
            .uri
            .as_ref()
            .and_then(|uri| SafeHref::web(uri.as_str())),
        policy_uri: client
            .policy_uri
            .as_ref()
            .and_then(|uri| SafeHref::web(uri.as_str())),
        tos_uri: client
            .tos_uri
            .as_ref()
            .and_then(|uri| SafeHref::web(uri.as_str())),
    }
}

/// A page that says what happened and what to do; `developer` is the part for the app's developer.
pub(crate) fn error_page(
    ctx: &Ctx,
    status: StatusCode,
    words: &ErrorWords,
    developer: Option<&OAuthError>,
) -> Reply {
    let shell = Shell {
        reference: &ctx.reference,
        ..shell(ctx, None)
    };
    let page_of = ErrorPage::new(shell, words);
    let page_of = match developer {
        Some(error) => page_of.for_developer(error.code.as_str(), &error.description),
        None => page_of,
    };
    tracing::info!(
        reference = ctx.reference,
        status = status.as_u16(),
        words = words.title,
        error = developer.map(|error| error.code.as_str()),
        description = developer.map(|error| error.description.as_ref()),
        detail = developer.map(|error| error.detail.as_ref()),
        "an error page was shown"
    );
    page(status, &page_of, &[]).unwrap_or_else(|_| empty(status))
}

/// The members that seed 002's clients read beside the standard ones: `errors[]` and a trace id.
#[derive(Serialize)]
pub(crate) struct ErrorBody<'a> {
    /// RFC 6749, 5.2.
    error: &'a str,
    /// RFC 6749, 5.2.
    error_description: &'a str,
    errors: [ErrorItem<'a>; 1],
    clerk_trace_id: &'a str,
}

#[derive(Serialize)]
struct ErrorItem<'a> {
    message: &'a str,
    long_message: &'a str,
    code: &'a str,
}

/// A refusal as JSON in both shapes; `code` is seed 002's name for it.
pub(crate) fn refusal(ctx: &Ctx, status: StatusCode, error: &OAuthError, code: &str) -> Reply {
    tracing::info!(
        reference = ctx.reference,
        status = status.as_u16(),
        error = error.code.as_str(),
        description = error.description.as_ref(),
        detail = error.detail.as_ref(),
        "refused"
    );
    json(
        status,
        &ErrorBody {
            error: error.code.as_str(),
            error_description: &error.description,
            errors: [ErrorItem {
                message: &error.description,
                long_message: &error.description,
                code,
            }],
            clerk_trace_id: &ctx.reference,
        },
    )
}
