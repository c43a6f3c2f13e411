//! Every URL, and the way of a request from the socket to its handler.
//!
//! The tenant is decided first: by the host, then by `/t/{slug}`. The rest of the path is looked up in [`ROUTES`].

use crate::broker::hosted;
use crate::dialects::projects::{self, Endpoint};
use crate::dialects::strict;
use crate::docs::{host, info};
use crate::http::configuration::TenantView;
use crate::http::context::{Ctx, Shared, to_timestamp};
use crate::http::docs_sites::{ServedSite, SiteHost};
use crate::http::peer::{Peer, person_address};
use crate::http::reply::{self, Failure, Reply};
use crate::http::signing::SigningError;
use crate::logs::redact_target;
use crate::oauth::{authorize, discovery, introspection, logout, revocation, token, userinfo};
use crate::ui::assets;
use crate::ui::pages::ErrorPage;
use crate::ui::parts::Shell;
use crate::ui::words::{self, ErrorWords};
use crate::{consent, login, setup};
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use vestibule_core::identity::tenant::{DEFAULT_SLUG, DomainKind};
use vestibule_core::oauth::error::{ErrorCode, OAuthError};

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long browsers keep an asset, whose name changes with its content, in seconds.
const ASSET_MAX_AGE_SECONDS: u32 = 31_536_000;
/// How long browsers may keep the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE_SECONDS: u32 = 600;
/// How long browsers insist on https, in seconds.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Home,
    Asset,
    Metadata,
    KeySet,
    Authorize,
    Hub,
    Token,
    UserInfo,
    DocsUserInfo,
    Introspect,
    Revoke,
    EndSession,
    StrictAuthorize,
    StrictToken,
    SignIn,
    SignInWith,
    SignUp,
    Accounts,
    Consent,
    SignOut,
    SetUp,
}

/// Who reads the answer of a route, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A person.
    Person,
    /// A program; errors are JSON.
    Program,
    /// A program that may be a script of another origin: it gets answers to preflights.
    Script,
}

use Reader::{Person, Program, Script};

/// THE list of every URL below a tenant's base. A path that ends in `*` takes one more segment.
const ROUTES: &[(&str, &[Method], Route, Reader)] = &[
    ("/", &[Method::GET], Route::Home, Person),
    ("/assets/*", &[Method::GET], Route::Asset, Person),
    (
        "/.well-known/openid-configuration",
        &[Method::GET],
        Route::Metadata,
        Script,
    ),
    (
        "/.well-known/oauth-authorization-server",
        &[Method::GET],
        Route::Metadata,
        Script,
    ),
    (
        "/.well-known/jwks.json",
        &[Method::GET],
        Route::KeySet,
        Script,
    ),
    (
        "/oauth/authorize",
        &[Method::GET, Method::POST],
        Route::Authorize,
        Person,
    ),
    ("/oauth/authorize/*", &[Method::GET], Route::Hub, Person),
    ("/oauth/token", &[Method::POST], Route::Token, Script),
    (
        "/oauth/userinfo",
        &[Method::GET, Method::POST],
        Route::UserInfo,
        Script,
    ),
    (
        "/docs/user-info",
        &[Method::GET],
        Route::DocsUserInfo,
        Script,
    ),
    (
        "/oauth/introspect",
        &[Method::POST],
        Route::Introspect,
        Program,
    ),
    (
        "/oauth/token_info",
        &[Method::POST],
        Route::Introspect,
        Program,
    ),
    ("/oauth/revoke", &[Method::POST], Route::Revoke, Script),
    (
        "/oauth/token/revoke",
        &[Method::POST],
        Route::Revoke,
        Script,
    ),
    (
        "/oauth/logout",
        &[Method::GET, Method::POST],
        Route::EndSession,
        Person,
    ),
    (
        "/api/id/v1/auth/authorize",
        &[Method::GET],
        Route::StrictAuthorize,
        Person,
    ),
    (
        "/api/id/v1/auth/token",
        &[Method::POST],
        Route::StrictToken,
        Script,
    ),
    (
        "/api/id/v1/auth/userinfo",
        &[Method::GET, Method::POST],
        Route::UserInfo,
        Script,
    ),
    (
        "/api/id/v1/auth/revoke",
        &[Method::POST],
        Route::Revoke,
        Script,
    ),
    (
        "/api/id/v1/auth/logout",
        &[Method::GET, Method::POST],
        Route::EndSession,
        Person,
    ),
    (
        "/sign-in",
        &[Method::GET, Method::POST],
        Route::SignIn,
        Person,
    ),
    ("/sign-in/with/*", &[Method::GET], Route::SignInWith, Person),
    (
        "/sign-up",
        &[Method::GET, Method::POST],
        Route::SignUp,
        Person,
    ),
    (
        "/accounts",
        &[Method::GET, Method::POST],
        Route::Accounts,
        Person,
    ),
    (
        "/consent",
        &[Method::GET, Method::POST],
        Route::Consent,
        Person,
    ),
    (
        "/sign-out",
        &[Method::GET, Method::POST],
        Route::SignOut,
        Person,
    ),
    (
        "/setup/*",
        &[Method::GET, Method::POST],
        Route::SetUp,
        Person,
    ),
];

/// What the paths of the project API start with.
const PROJECT_BASES: [&str; 2] = ["/api/v1", "/api/latest"];

/// Every URL of the project API (seed 001) below one of its bases. A `*` takes one segment.
const PROJECT_ROUTES: &[(&str, &[Method], Endpoint)] = &[
    (
        "/auth/oauth/authorize/*",
        &[Method::GET],
        Endpoint::Authorize,
    ),
    (
        "/auth/oauth/callback/*",
        &[Method::GET, Method::POST],
        Endpoint::Callback,
    ),
    ("/auth/oauth/token", &[Method::POST], Endpoint::Token),
    (
        "/auth/oauth/cross-domain/authorize",
        &[Method::POST],
        Endpoint::CrossDomain,
    ),
    (
        "/auth/oauth/callback/apple/native",
        &[Method::POST],
        Endpoint::AppleNative,
    ),
    ("/projects/current", &[Method::GET], Endpoint::Project),
    (
        "/projects/*/.well-known/jwks.json",
        &[Method::GET],
        Endpoint::ProjectKeys,
    ),
    ("/users", &[Method::GET, Method::POST], Endpoint::Users),
    (
        "/users/*",
        &[Method::GET, Method::PATCH, Method::DELETE],
        Endpoint::User,
    ),
    (
        "/auth/sessions",
        &[Method::GET, Method::POST],
        Endpoint::Sessions,
    ),
    (
        "/auth/sessions/current",
        &[Method::DELETE],
        Endpoint::CurrentSession,
    ),
    (
        "/auth/sessions/current/refresh",
        &[Method::POST],
        Endpoint::RefreshSession,
    ),
    ("/auth/sessions/*", &[Method::DELETE], Endpoint::Session),
    (
        "/connected-accounts/*",
        &[Method::GET],
        Endpoint::ConnectedAccounts,
    ),
    (
        "/connected-accounts/*/*/access-token",
        &[Method::POST],
        Endpoint::AccountToken,
    ),
    (
        "/connected-accounts/*/*/*/access-token",
        &[Method::POST],
        Endpoint::AccountToken,
    ),
    (
        "/oauth-providers",
        &[Method::GET, Method::POST],
        Endpoint::LinkedProviders,
    ),
    (
        "/oauth-providers/*/*",
        &[Method::GET, Method::PATCH, Method::DELETE],
        Endpoint::LinkedProvider,
    ),
    ("/auth/cli", &[Method::POST], Endpoint::CliStart),
    ("/auth/cli/poll", &[Method::POST], Endpoint::CliPoll),
    ("/auth/cli/complete", &[Method::POST], Endpoint::CliComplete),
    (
        "/auth/anonymous/sign-up",
        &[Method::POST],
        Endpoint::Anonymous,
    ),
    (
        "/analytics/events/batch",
        &[Method::POST],
        Endpoint::Analytics,
    ),
];

/// What a path below a base of the project API leads to.
enum ProjectPath<'a> {
    /// An endpoint, and the variable segments of the path.
    Endpoint(Endpoint, Vec<&'a str>),
    /// Endpoints for other methods: these.
    Methods(String),
    /// Nothing.
    Nothing,
}

/// What a path of the project API leads to. `None` for every other path.
fn find_project<'a>(path: &'a str, method: &Method) -> Option<ProjectPath<'a>> {
    let rest = PROJECT_BASES
        .iter()
        .find_map(|base| path.strip_prefix(base).filter(|rest| rest.starts_with('/')))?;
    let mut allowed = Vec::new();
    for (pattern, methods, endpoint) in PROJECT_ROUTES {
        let Some(parts) = segments(pattern, rest) else {
            continue;
        };
        if methods.contains(method) {
            return Some(ProjectPath::Endpoint(*endpoint, parts));
        }
        allowed.extend_from_slice(methods);
    }
    Some(if allowed.is_empty() {
        ProjectPath::Nothing
    } else {
        ProjectPath::Methods(list(&allowed))
    })
}

/// The segments of a path that stand where a pattern has `*`, if the path fits.
fn segments<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(found),
            (Some("*"), Some(segment)) if !segment.is_empty() => found.push(segment),
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

/// A route and the last segment of its path.
struct Found<'a> {
    methods: &'static [Method],
    route: Route,
    reader: Reader,
    rest: &'a str,
}

fn find(path: &str) -> Option<Found<'_>> {
    ROUTES.iter().find_map(|(pattern, methods, route, reader)| {
        let rest = match pattern.strip_suffix('*') {
            None => (path == *pattern).then_some("")?,
            Some(prefix) => path
                .strip_prefix(prefix)
                .filter(|rest| !rest.is_empty() && !rest.contains('/'))?,
        };
        Some(Found {
            methods,
            route: *route,
            reader: *reader,
            rest,
        })
    })
}

/// Answers one request. Never fails: whatever goes wrong has an answer.
pub(crate) async fn answer<B>(shared: Arc<Shared>, request: Request<B>) -> Reply
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let secure = shared.public_url.is_https();
    let (mut parts, body) = request.into_parts();
    let target = tracing::enabled!(tracing::Level::DEBUG).then(|| redact_target(&parts.uri));
    let method = parts.method.clone();
    let reference = new_reference(&shared);
    let peer = parts
        .extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
    let address = person_address(peer, &mut parts.headers, &shared.proxies);
    let mut reply = if let Some(reply) = health(&shared, &parts.method, parts.uri.path()).await {
        reply
    } else {
        let body = Limited::new(body, BODY_BYTES_MAX).collect();
        serve(shared, parts, body, address, reference.clone()).await
    };
    if secure {
        reply
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    tracing::debug!(reference, %method, path = target, %address, status = reply.status().as_u16(), "answered");
    reply
}

/// The id of a request, in the log and on error pages.
fn new_reference(shared: &Shared) -> String {
    format!("{:016x}", shared.chance.reference())
}

/// Liveness and readiness, whatever the host: probes come by address.
async fn health(shared: &Shared, method: &Method, path: &str) -> Option<Reply> {
    match (path, method) {
        ("/healthz", &(Method::GET | Method::HEAD)) => Some(reply::body(
            StatusCode::OK,
            "text/plain; charset=utf-8",
            "ok\n",
        )),
        ("/readyz", &(Method::GET | Method::HEAD)) => Some(match shared.store.db().ping().await {
            Ok(()) => reply::body(StatusCode::OK, "text/plain; charset=utf-8", "ready\n"),
            Err(error) => {
                tracing::warn!(%error, "not ready");
                reply::body(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "text/plain; charset=utf-8",
                    "the database does not answer\n",
                )
            }
        }),
        _ => None,
    }
}

/// For which tenant a request is, and under which base its links hang.
struct Place {
    tenant: Arc<TenantView>,
    satellite: bool,
    origin: String,
    base_path: String,
    path: String,
}

async fn serve(
    shared: Arc<Shared>,
    parts: http::request::Parts,
    body: impl Future<
        Output = Result<http_body_util::Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>>,
    >,
    address: IpAddr,
    reference: String,
) -> Reply {
    if let Some(SiteHost(host)) = parts.extensions.get::<SiteHost>().cloned() {
        return match shared.docs_site_of_host(&host).await {
            Ok(Some(site)) => {
                Box::pin(host::answer(shared, site, parts, body, address, reference)).await
            }
            Ok(None) => nowhere(
                StatusCode::MISDIRECTED_REQUEST,
                &words::UNKNOWN_HOST,
                &reference,
            ),
            Err(error) => failed(&Failure::from(error), &reference).to_json(),
        };
    }
    let place = match place(&shared, &parts.uri, &parts.headers).await {
        Ok(Ok(place)) => place,
        Ok(Err(Nowhere::Site(site))) => {
            return Box::pin(host::answer(shared, site, parts, body, address, reference)).await;
        }
        Ok(Err(Nowhere::Host)) => {
            return nowhere(
                StatusCode::MISDIRECTED_REQUEST,
                &words::UNKNOWN_HOST,
                &reference,
            );
        }
        Ok(Err(Nowhere::Tenant)) => {
            return nowhere(StatusCode::NOT_FOUND, &words::NOT_FOUND, &reference);
        }
        Err(error) => {
            let failure = Failure::from(error);
            return failed(&failure, &reference).to_json();
        }
    };
    let now_millis = shared.clock.millis();
    let mut ctx = Ctx {
        shared,
        tenant: place.tenant,
        satellite: place.satellite,
        origin: place.origin,
        base_path: place.base_path,
        now: to_timestamp(now_millis),
        now_millis,
        reference,
        address,
        method: parts.method,
        path: place.path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Bytes::new(),
    };
    let mut path = std::mem::take(&mut ctx.path);
    // An alias begins as none of our paths does, so which of the two is looked up first does not matter.
    if let Some(standard) = ctx.tenant.aliases.standard_place(&path) {
        standard.clone_into(&mut path);
    }
    if path.starts_with("/api/")
        && let Some(found) = find_project(&path, &ctx.method)
    {
        return Box::pin(answer_app(ctx, body, found)).await;
    }
    let Some(found) = find(&path) else {
        return reply::error_page(&ctx, StatusCode::NOT_FOUND, &words::NOT_FOUND, None);
    };
    if let Some(reply) = refused_early(&ctx, &found) {
        return reply;
    }
    match body.await {
        Ok(collected) => ctx.body = collected.to_bytes(),
        Err(_) => return too_large(&ctx, found.reader),
    }
    dispatch(ctx, &found).await
}

/// Answers an app of the project API.
async fn answer_app(
    mut ctx: Ctx,
    body: impl Future<
        Output = Result<http_body_util::Collected<Bytes>, Box<dyn std::error::Error + Send + Sync>>,
    >,
    found: ProjectPath<'_>,
) -> Reply {
    if ctx.method == Method::OPTIONS {
        return projects::preflight();
    }
    if ctx.satellite {
        return satellite_refusal(&ctx);
    }
    let (endpoint, parts) = match found {
        ProjectPath::Endpoint(endpoint, parts) => (endpoint, parts),
        ProjectPath::Methods(allowed) => return projects::nothing_there(&ctx, Some(&allowed)),
        ProjectPath::Nothing => return projects::nothing_there(&ctx, None),
    };
    match body.await {
        Ok(collected) => ctx.body = collected.to_bytes(),
        Err(_) => return too_large(&ctx, Script),
    }
    projects::answer(ctx, endpoint, &parts).await
}

/// Why a request is for no tenant.
enum Nowhere {
    /// The host is none that we were told of.
    Host,
    /// The host is ours and no tenant has that slug.
    Tenant,
    /// A docs site answers on that host.
    Site(Arc<ServedSite>),
}

/// Finds the tenant. The host must be one that we were told of: it is never taken for building links (T38).
async fn place(
    shared: &Shared,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Result<Place, Nowhere>, SigningError> {
    let Some(host) = host_of(uri, headers) else {
        return Ok(Err(Nowhere::Host));
    };
    if host.eq_ignore_ascii_case(&shared.public_address.host) {
        let path = uri.path();
        let (slug, base_path, path) = below(path);
        // The default tenant's issuer is the public URL itself: below a path its metadata would name another (RFC 8414, 3.3).
        if slug == DEFAULT_SLUG && !base_path.is_empty() {
            return Ok(Err(Nowhere::Tenant));
        }
        let Some(tenant) = shared.tenant_by_slug(slug).await? else {
            return Ok(Err(Nowhere::Tenant));
        };
        return Ok(Ok(Place {
            tenant,
            satellite: false,
            origin: shared.public_address.origin.clone(),
            base_path,
            path,
        }));
    }
    let host = host.to_ascii_lowercase();
    let Some((slug, kind)) = shared.tenant_of_host(&host).await? else {
        let site = shared.docs_site_of_host(&host).await?;
        return Ok(Err(site.map_or(Nowhere::Host, Nowhere::Site)));
    };
    let Some(tenant) = shared.tenant_by_slug(&slug).await? else {
        return Ok(Err(Nowhere::Host));
    };
    let scheme = if shared.public_url.is_https() {
        "https"
    } else {
        "http"
    };
    Ok(Ok(Place {
        tenant,
        satellite: kind == DomainKind::Satellite,
        origin: format!("{scheme}://{host}"),
        base_path: String::new(),
        path: uri.path().to_owned(),
    }))
}

/// The host that a request is for, with its port; `None` if it says two.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    if headers.get_all(header::HOST).iter().count() > 1 {
        return None;
    }
    let host = uri.authority().map(http::uri::Authority::as_str);
    let header = || headers.get(header::HOST)?.to_str().ok();
    Some(host.or_else(header).unwrap_or_default())
}

/// Splits `/t/{slug}/rest`, and the path-inserted form of the metadata's place (RFC 8414, 3.1).
fn below(path: &str) -> (&str, String, String) {
    for well_known in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ] {
        if let Some(slug) = path
            .strip_prefix(well_known)
            .and_then(|rest| rest.strip_prefix("/t/"))
        {
            return (slug, format!("/t/{slug}"), well_known.to_owned());
        }
    }
    let Some(rest) = path.strip_prefix("/t/") else {
        return (DEFAULT_SLUG, String::new(), path.to_owned());
    };
    match rest.split_once('/') {
        Some((slug, rest)) => (slug, format!("/t/{slug}"), format!("/{rest}")),
        None => (rest, format!("/t/{rest}"), "/".to_owned()),
    }
}

/// What needs no body to be answered: methods, preflights, satellites.
fn refused_early(ctx: &Ctx, found: &Found<'_>) -> Option<Reply> {
    if ctx.method == Method::OPTIONS && found.reader == Script {
        let mut reply = preflight(found);
        if found.route == Route::DocsUserInfo {
            info::allow_preflight(ctx, &mut reply);
        }
        return Some(reply);
    }
    // Of what a GET may do, only reading is a HEAD's (RFC 9110, 9.1). The page after a sign-out takes dead sessions out of the cookie.
    let reads = matches!(
        found.route,
        Route::Home
            | Route::Asset
            | Route::Metadata
            | Route::KeySet
            | Route::SignIn
            | Route::SignUp
            | Route::Accounts
            | Route::Consent
    );
    let head = ctx.method == Method::HEAD && reads;
    if !head && !found.methods.contains(&ctx.method) {
        let mut reply = match found.reader {
            Person => reply::error_page(
                ctx,
                StatusCode::METHOD_NOT_ALLOWED,
                &words::METHOD_NOT_ALLOWED,
                None,
            ),
            Program | Script => {
                let error = OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "this endpoint does not take that method",
                );
                reply::refusal(
                    ctx,
                    StatusCode::METHOD_NOT_ALLOWED,
                    &error,
                    "method_not_allowed",
                )
            }
        };
        if let Ok(value) = HeaderValue::from_str(&list(found.methods)) {
            reply.headers_mut().insert(header::ALLOW, value);
        }
        return Some(reply);
    }
    if ctx.satellite && !matches!(found.route, Route::Asset | Route::DocsUserInfo) {
        // Seed 002: a satellite shares sign-in and has no OAuth endpoint of its own. The Info API is a resource.
        let oauth = !matches!(
            found.route,
            Route::Home
                | Route::SignIn
                | Route::SignInWith
                | Route::SignUp
                | Route::Accounts
                | Route::Consent
                | Route::SignOut
                | Route::SetUp
        );
        return Some(if oauth {
            satellite_refusal(ctx)
        } else {
            reply::error_page(ctx, StatusCode::FORBIDDEN, &words::SATELLITE_DOMAIN, None)
        });
    }
    None
}

fn satellite_refusal(ctx: &Ctx) -> Reply {
    let error = OAuthError::new(
        ErrorCode::InvalidRequest,
        "this operation is not allowed on a satellite domain",
    );
    reply::refusal(
        ctx,
        StatusCode::FORBIDDEN,
        &error,
        "operation_not_allowed_on_satellite_domain",
    )
}

fn list(methods: &[Method]) -> String {
    methods
        .iter()
        .map(Method::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The answer to a preflight says nothing about who is known here; the answer itself decides who may read it.
fn preflight(found: &Found<'_>) -> Reply {
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    let headers = reply.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    if let Ok(value) = HeaderValue::from_str(&list(found.methods)) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, value);
    }
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Authorization, Content-Type, X-Requested-With, DPoP"),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from(PREFLIGHT_MAX_AGE_SECONDS),
    );
    reply
}

fn too_large(ctx: &Ctx, reader: Reader) -> Reply {
    let error = OAuthError::new(
        ErrorCode::InvalidRequest,
        "the body is longer than 64 KiB or was cut off",
    );
    let mut reply = match reader {
        Person => reply::error_page(
            ctx,
            StatusCode::PAYLOAD_TOO_LARGE,
            &words::BROKEN_REQUEST,
            Some(&error),
        ),
        Program | Script => reply::refusal(
            ctx,
            StatusCode::PAYLOAD_TOO_LARGE,
            &error,
            "payload_too_large",
        ),
    };
    reply
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    reply
}

async fn dispatch(ctx: Ctx, found: &Found<'_>) -> Reply {
    let (reference, reader, route) = (ctx.reference.clone(), found.reader, found.route);
    // The strict token endpoint takes the request to rewrite it; nothing is left of it to show a page with.
    if route == Route::StrictToken {
        let reply = Box::pin(strict::exchange(ctx))
            .await
            .unwrap_or_else(|failure| failed(&failure, &reference).to_json());
        return varied_by_origin(reply);
    }
    let ctx = &ctx;
    let post = ctx.method == Method::POST;
    // What a handler keeps while it waits can be large: on the heap it is not moved with the future of every request.
    let result = match route {
        Route::Home => Box::pin(login::home::show(ctx)).await,
        Route::Asset => Ok(asset(ctx, found.rest)),
        Route::Metadata => Ok(discovery::metadata(ctx)),
        Route::KeySet => discovery::key_set(ctx).await,
        Route::Authorize => Box::pin(authorize::begin(ctx)).await,
        Route::Hub => Box::pin(authorize::resume(ctx, found.rest)).await,
        Route::Token | Route::StrictToken => Box::pin(token::exchange(ctx)).await,
        Route::UserInfo => userinfo::show(ctx).await,
        Route::DocsUserInfo => info::show(ctx).await,
        Route::Introspect => introspection::introspect(ctx).await,
        Route::Revoke => Box::pin(revocation::revoke(ctx)).await,
        Route::EndSession => Box::pin(logout::end_session(ctx)).await,
        Route::StrictAuthorize => Box::pin(strict::begin(ctx)).await,
        Route::SignIn if post => Box::pin(login::password::submit(ctx)).await,
        Route::SignIn => Box::pin(login::password::show(ctx)).await,
        Route::SignInWith => Box::pin(hosted::begin(ctx, found.rest)).await,
        Route::SignUp if post => Box::pin(login::sign_up::submit(ctx)).await,
        Route::SignUp => Box::pin(login::sign_up::show(ctx)).await,
        Route::Accounts if post => Box::pin(login::accounts::submit(ctx)).await,
        Route::Accounts => Box::pin(login::accounts::show(ctx)).await,
        Route::Consent if post => Box::pin(consent::submit(ctx)).await,
        Route::Consent => Box::pin(consent::show(ctx)).await,
        Route::SignOut if post => Box::pin(logout::submit(ctx)).await,
        Route::SignOut => Box::pin(logout::show(ctx)).await,
        Route::SetUp if post => Box::pin(setup::submit(ctx, found.rest)).await,
        Route::SetUp => Box::pin(setup::show(ctx, found.rest)).await,
    };
    let reply = result.unwrap_or_else(|failure| match (failed(&failure, &reference), reader) {
        (failure, Person) => failure.to_page(ctx),
        (failure, Program | Script) => failure.to_json(),
    });
    if reader == Script {
        varied_by_origin(reply)
    } else {
        reply
    }
}

/// An answer whose readers depend on the origin says so, to caches too (Fetch, CORS protocol and HTTP caches).
fn varied_by_origin(mut reply: Reply) -> Reply {
    reply
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("origin"));
    reply
}

fn failed<'a>(failure: &'a Failure, reference: &str) -> &'a Failure {
    if failure.is_passing() {
        tracing::warn!(reference, error = %failure, "not answered for now");
    } else {
        tracing::error!(reference, error = %failure, "not answered");
    }
    failure
}

fn asset(ctx: &Ctx, name: &str) -> Reply {
    let Some(asset) = assets::find(name) else {
        return reply::error_page(ctx, StatusCode::NOT_FOUND, &words::NOT_FOUND, None);
    };
    let mut reply = reply::body(StatusCode::OK, asset.media_type, asset.bytes);
    if let Ok(value) = HeaderValue::from_str(&format!(
        "public, max-age={ASSET_MAX_AGE_SECONDS}, immutable"
    )) {
        reply.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    reply
}

/// A page for a request that belongs to no tenant.
fn nowhere(status: StatusCode, words: &ErrorWords, reference: &str) -> Reply {
    let shell = Shell {
        lang: "en",
        tenant_name: "Vestibule",
        base_path: "",
        assets_below: None,
        client: None,
        reference,
    };
    tracing::info!(
        reference,
        status = status.as_u16(),
        "a request for no host or tenant of ours"
    );
    reply::page(status, &ErrorPage::new(shell, words), &[]).unwrap_or_else(|_| reply::empty(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestibule_core::oauth::alias::{EndpointAliasSettings, EndpointAliases, RESERVED_SEGMENTS};

    #[test]
    fn no_alias_can_begin_as_a_path_of_ours_does() {
        let ours = ROUTES.iter().map(|(path, ..)| *path);
        let elsewhere = PROJECT_BASES
            .into_iter()
            .chain(["/healthz", "/readyz", "/t/x"]);
        for path in ours.chain(elsewhere).filter(|path| *path != "/") {
            let first = path.split('/').nth(1).unwrap_or_default();
            assert!(RESERVED_SEGMENTS.contains(&first), "{path}");
        }
    }

    #[test]
    fn every_alias_leads_to_a_path_of_ours() {
        let every = [
            "authorization",
            "token",
            "userinfo",
            "revocation",
            "introspection",
            "logout",
            "docs_user_info",
        ];
        let written = every
            .iter()
            .map(|name| ((*name).to_owned(), format!("/x/{name}").into()))
            .collect();
        let settings: EndpointAliasSettings =
            serde_json::from_value(serde_json::Value::Object(written)).unwrap_or_default();
        let aliases = EndpointAliases::from_settings(&settings).unwrap_or_default();
        for name in every {
            let place = aliases.standard_place(&format!("/x/{name}"));
            assert!(place.is_some_and(|place| find(place).is_some()), "{name}");
        }
    }
}
