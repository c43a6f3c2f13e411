//! The only way out: every HTTP call that this server makes leaves through [`OutboundHttp`].
//!
//! The law: a call reaches a public address over `https`, or a host that the operator named in `outbound_allow`. The address is
//! judged after the name was looked up, and the one that was judged is dialled. No redirect is followed, nothing is
//! decompressed, no proxy of the environment is used. Bytes, time, and calls at a time are bounded.
//!
//! Nobody can use us to look around: where no answer came, [`OutboundError`] says the same for a refused address, a closed port,
//! a silent one and one that speaks something else. What happened is in [`OutboundError::detail`], for the log.
//!
//! It keeps no cookies and retries nothing that may have been received.

mod address;
mod connect;
mod destination;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
mod turns;

use self::connect::{Connector, Names};
use self::destination::place;
use self::tls::{AuthoritiesError, Trust};
use self::turns::Turns;
use crate::config::value::OutboundHost;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use url::Url;
use url::form_urlencoded::Serializer;

/// How long a call may take from its first to its last byte, waiting for its turn included, where the caller says nothing.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// How long it may take to have a connection: the look-up, the dialling and the TLS handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest body of an answer, in bytes, where the caller says nothing.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The largest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// The most header fields of an answer.
const HEADERS_MAX: usize = 100;
/// Calls at a time.
const CALLS_MAX: usize = 256;
/// Calls at a time to one host and port, so that a slow one does not hold all turns.
const CALLS_PER_HOST_MAX: usize = 64;
/// Names that are looked up at a time.
const LOOKUPS_MAX: usize = 32;
/// Idle connections that are kept for one host and port.
const IDLE_PER_HOST_MAX: usize = 16;
/// How long an idle connection is kept: long enough for the calls of one sign-in. Servers close theirs after five seconds at the earliest
/// (Node.js, Apache httpd), and a request that meets the closing is lost, since what may have been received is not sent again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the answer is allowed to cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The largest body, in bytes.
    pub(crate) body_bytes_max: usize,
    /// The whole time, waiting for a turn included.
    pub(crate) deadline: Duration,
}

/// Why there is no answer that can be used. What it prints may be shown to anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutboundError {
    /// We do not call that URL or address; nothing was sent.
    #[error("{NO_ANSWER}")]
    Refused(String),
    /// No connection, or one that did not speak HTTP to the end.
    #[error("{NO_ANSWER}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("{NO_ANSWER}")]
    TooSlow(String),
    /// The body is larger than the caller takes.
    #[error("the other server's answer is too large")]
    TooLarge(String),
    /// The answer points elsewhere; we do not go there.
    #[error("the other server answered with a redirect")]
    Redirected(String),
    /// The body is compressed although we asked that it is not.
    #[error("the other server's answer is encoded")]
    Encoded(String),
    /// A status that the caller did not ask for.
    #[error("the other server answered with status {0}")]
    Status(u16, String),
    /// Not the media type or the form that was expected.
    #[error("the other server's answer is not what was expected")]
    NotTheType(String),
}

/// The one sentence for every call without an answer: its reader learns nothing about ports and addresses.
const NO_ANSWER: &str = "the other server gave no answer";

impl OutboundError {
    /// What happened, for our log only: it tells addresses and states of ports, but neither queries nor bodies.
    pub(crate) fn detail(&self) -> &str {
        match self {
            Self::Refused(detail)
            | Self::Unreachable(detail)
            | Self::TooSlow(detail)
            | Self::TooLarge(detail)
            | Self::Redirected(detail)
            | Self::Encoded(detail)
            | Self::Status(_, detail)
            | Self::NotTheType(detail) => detail,
        }
    }
}

/// A whole answer; its status is any but a redirect.
#[derive(Clone, Debug)]
pub(crate) struct OutboundResponse {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body, bounded.
    pub(crate) body: Bytes,
    /// Where it came from, for details.
    place: String,
}

impl OutboundResponse {
    /// The answer if its status is 2xx.
    pub(crate) fn successful(self) -> Result<Self, OutboundError> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(OutboundError::Status(
            self.status.as_u16(),
            format!("{}: status {}", self.place, self.status.as_u16()),
        ))
    }

    /// The media type, in lower case and without parameters; empty where none is named.
    pub(crate) fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok());
        let essence = text.and_then(|text| text.split(';').next());
        essence.unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as text, if its media type is JSON (`application/json`, or any with the suffix `+json`, RFC 6839, 3.1).
    pub(crate) fn json(&self) -> Result<&str, OutboundError> {
        let media_type = self.media_type();
        let wrong = |what: &str| OutboundError::NotTheType(format!("{}: {what}", self.place));
        if media_type != "application/json" && !media_type.ends_with("+json") {
            return Err(wrong(&format!(
                "the media type is {media_type:?}, not JSON"
            )));
        }
        std::str::from_utf8(&self.body).map_err(|_| wrong("the body is not UTF-8"))
    }
}

/// The client that all outgoing HTTP calls share.
pub(crate) struct OutboundHttp {
    client: Client<Connector, Full<Bytes>>,
    connector: Connector,
    turns: Turns,
    deadline: Duration,
}

impl OutboundHttp {
    /// A client that may call these hosts although they are private, that trusts the authorities in this file besides the
    /// system's, and that waits this long where the caller says nothing: [`DEADLINE`], but for tests of providers that are slow.
    pub(crate) fn new(
        allow: Vec<OutboundHost>,
        ca_file: Option<&Path>,
        deadline: Duration,
    ) -> Result<Self, AuthoritiesError> {
        let trust = Trust::read(ca_file)?;
        let names = Box::new(connect::system_names);
        Ok(Self::with_names(allow, trust, names, deadline))
    }

    fn with_names(
        allow: Vec<OutboundHost>,
        trust: Trust,
        names: Box<Names>,
        deadline: Duration,
    ) -> Self {
        let connector = Connector::new(allow, trust, names);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http1_max_headers(HEADERS_MAX)
            .build(connector.clone());
        Self {
            client,
            connector,
            turns: Turns::new(CALLS_MAX, CALLS_PER_HOST_MAX),
            deadline,
        }
    }

    /// What an answer may cost where there is no reason for other bounds.
    pub(crate) const fn usual(&self) -> Bounds {
        Bounds {
            body_bytes_max: BODY_BYTES_MAX,
            deadline: self.deadline,
        }
    }

    /// Whether this URL would be called, as far as that can be told without a look-up. For settings: a URL that is refused here is
    /// refused at every call.
    pub(crate) fn accepts(&self, url: &str) -> Result<(), OutboundError> {
        destination::parse(url, self.connector.allow()).map(|_| ())
    }

    /// GET.
    pub(crate) async fn get(
        &self,
        url: &str,
        headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<OutboundResponse, OutboundError> {
        self.call(Method::GET, url, headers, Bytes::new(), bounds)
            .await
    }

    /// GET of which only the head counts: a redirect is an answer too, and is not followed either. The body is not read.
    pub(crate) async fn head_of(
        &self,
        url: &str,
        headers: HeaderMap,
        deadline: Duration,
    ) -> Result<OutboundResponse, OutboundError> {
        let (url, destination) = destination::parse(url, self.connector.allow())?;
        let place = place(&url);
        let request = request(Method::GET, &url, headers, Bytes::new())?;
        let work = async {
            let _turn = self.turns.take(destination.authority()).await;
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| no_answer(&place, &error))?;
            let (head, _) = answer.into_parts();
            Ok(OutboundResponse {
                status: head.status,
                headers: head.headers,
                body: Bytes::new(),
                place: place.clone(),
            })
        };
        in_time(&place, deadline, work).await
    }

    /// POST of parameters that are encoded already, as `application/x-www-form-urlencoded`.
    pub(crate) async fn post_encoded(
        &self,
        url: &str,
        form: &str,
        mut headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<OutboundResponse, OutboundError> {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        let body = Bytes::copy_from_slice(form.as_bytes());
        self.call(Method::POST, url, headers, body, bounds).await
    }

    /// POST of parameters as `application/x-www-form-urlencoded`.
    pub(crate) async fn post_form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        mut headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<OutboundResponse, OutboundError> {
        let body = Serializer::new(String::new()).extend_pairs(form).finish();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        self.call(Method::POST, url, headers, Bytes::from(body), bounds)
            .await
    }

    /// POST of JSON.
    pub(crate) async fn post_json(
        &self,
        url: &str,
        json: &serde_json::Value,
        mut headers: HeaderMap,
        bounds: Bounds,
    ) -> Result<OutboundResponse, OutboundError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.call(
            Method::POST,
            url,
            headers,
            Bytes::from(json.to_string()),
            bounds,
        )
        .await
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        bounds: Bounds,
    ) -> Result<OutboundResponse, OutboundError> {
        let (url, destination) = destination::parse(url, self.connector.allow())?;
        let place = place(&url);
        let request = request(method, &url, headers, body)?;
        let work = async {
            let _turn = self.turns.take(destination.authority()).await;
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| no_answer(&place, &error))?;
            read(&url, &place, answer, bounds.body_bytes_max).await
        };
        in_time(&place, bounds.deadline, work).await
    }
}

async fn in_time<T>(
    place: &str,
    deadline: Duration,
    work: impl Future<Output = Result<T, OutboundError>>,
) -> Result<T, OutboundError> {
    let late = |_| {
        Err(OutboundError::TooSlow(format!(
            "{place}: no whole answer in {deadline:?}"
        )))
    };
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(late)
}

fn request(
    method: Method,
    url: &Url,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, OutboundError> {
    let uri: Uri = url
        .as_str()
        .parse()
        .map_err(|error| OutboundError::Refused(format!("{}: {error}", place(url))))?;
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // Some providers refuse calls that do not say who calls.
    headers
        .entry(USER_AGENT)
        .or_insert(HeaderValue::from_static("Vestibule"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Reads an answer to its end, unless its head already says that it is not wanted.
async fn read(
    url: &Url,
    place: &str,
    answer: Response<Incoming>,
    body_bytes_max: usize,
) -> Result<OutboundResponse, OutboundError> {
    let (head, body) = answer.into_parts();
    if head.status.is_redirection() {
        let target = head
            .headers
            .get(LOCATION)
            .map(|target| pointed(url, target));
        let target = target.as_deref().unwrap_or("nowhere");
        let status = head.status.as_u16();
        return Err(OutboundError::Redirected(format!(
            "{place}: status {status} points to {target}"
        )));
    }
    for encoding in head.headers.get_all(CONTENT_ENCODING) {
        if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(OutboundError::Encoded(format!(
                "{place}: Content-Encoding {encoding:?}"
            )));
        }
    }
    let body = match Limited::new(body, body_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(OutboundError::TooLarge(format!(
                "{place}: more than {body_bytes_max} bytes"
            )));
        }
        Err(error) => return Err(no_answer(place, error.as_ref())),
    };
    Ok(OutboundResponse {
        status: head.status,
        headers: head.headers,
        body,
        place: place.to_owned(),
    })
}

/// Where a redirect points, without what may be secret.
fn pointed(url: &Url, target: &HeaderValue) -> String {
    let target = target.to_str().ok().and_then(|text| url.join(text).ok());
    target.map_or_else(|| "something that is no URL".to_owned(), |url| place(&url))
}

/// An error of the connection: our own one where we made it, otherwise all that the library says.
fn no_answer(place: &str, error: &(dyn Error + 'static)) -> OutboundError {
    let mut text = place.to_owned();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<OutboundError>() {
            return own.clone();
        }
        text = format!("{text}: {error}");
        next = error.source();
    }
    OutboundError::Unreachable(text)
}
