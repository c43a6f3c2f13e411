//! The server in one process, for the integration tests: the wire without a socket, and a clock that the test turns.

use crate::app;
use crate::config;
use crate::http::context::{Clock, Shared, SystemChance, to_timestamp};
use crate::http::listener::{self, Limits};
use crate::http::peer::TrustedProxies;
use crate::jobs::Stop;
use crate::mock_provider::behaviour::{Endpoint, Fault};
use crate::mock_provider::{MockProvider, MockSettings, installation_provider, people};
use crate::outbound::http::DEADLINE;
use crate::serve::{self, ServeError};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::id::TenantId;
use vestibule_core::identity::tenant::DEFAULT_SLUG;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::secret::Secret;
use vestibule_core::time::Lifetime;

/// A clock that stands until it is turned.
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn millis(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A server without a socket.
pub struct TestServer {
    shared: Arc<Shared>,
    clock: Arc<TestClock>,
}

impl TestServer {
    /// Opens a server with these settings (as `VESTIBULE_*` variables) at this time, in seconds since the epoch, with this
    /// installation file.
    pub async fn open(
        settings: &[(&str, &str)],
        now: u64,
        installation: &str,
    ) -> Result<Self, String> {
        Self::open_with(settings, now, installation, DEADLINE).await
    }

    /// The same, with another time that it waits for providers.
    pub async fn open_with(
        settings: &[(&str, &str)],
        now: u64,
        installation: &str,
        outbound_deadline: Duration,
    ) -> Result<Self, String> {
        let variables = settings
            .iter()
            .map(|(name, value)| (format!("VESTIBULE_{name}"), (*value).to_owned()));
        let settings =
            config::resolve(None, variables, Path::new(".")).map_err(|error| error.to_string())?;
        let clock = Arc::new(TestClock(AtomicU64::new(now * 1000)));
        let text = |error: ServeError| error.to_string();
        let its_clock = Arc::<TestClock>::clone(&clock);
        let shared = serve::open_with(&settings, its_clock, outbound_deadline)
            .await
            .map_err(text)?;
        let server = Self { shared, clock };
        if !installation.is_empty() {
            server.apply(installation).await?;
        }
        crate::admin::ensure_default_tenant(&server.shared)
            .await
            .map_err(|error| error.to_string())?;
        Ok(server)
    }

    /// Applies an installation file's text; the report.
    pub async fn apply(&self, installation: &str) -> Result<String, String> {
        crate::admin::apply_text(&self.shared, installation)
            .await
            .map_err(|error| error.to_string())
    }

    /// Answers one request.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let reply = app::answer(
            Arc::clone(&self.shared),
            Request::from_parts(parts, Full::new(body)),
        )
        .await;
        let (mut parts, body) = reply.into_parts();
        let body = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => {
                parts.status = StatusCode::INTERNAL_SERVER_ERROR;
                format!("the body ended early: {error}").into()
            }
        };
        Response::from_parts(parts, body)
    }

    /// What its requests share.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Adds or replaces a docs site of the default tenant, as settings say it; what is known of the site before is forgotten.
    pub async fn upsert_docs_site(&self, settings: serde_json::Value) -> Result<(), String> {
        let settings: DocsSiteSettings =
            serde_json::from_value(settings).map_err(|error| error.to_string())?;
        let site =
            DocsSite::from_settings(&settings).map_err(|problems| format!("{problems:?}"))?;
        let tenant = self.default_tenant().await?;
        let store = self.shared.tenant(tenant);
        let now = self.shared.now();
        let unit = store
            .unit()
            .upsert_docs_site(&site, &settings, None, now)
            .configuration_changed(now);
        let _ = store
            .commit(unit)
            .await
            .map_err(|error| error.to_string())?;
        self.shared.configuration.forget_all();
        Ok(())
    }

    /// Signs a reader in on the docs site of a host, without its OAuth server; the Cookie header of their browser.
    pub async fn sign_reader_in(
        &self,
        host: &str,
        user: serde_json::Value,
        seconds: u32,
    ) -> Result<String, String> {
        let user = serde_json::from_value(user).map_err(|error| error.to_string())?;
        let served = self
            .shared
            .docs_site_of_host(host)
            .await
            .map_err(|error| error.to_string())?
            .ok_or("no such site")?;
        let expires_at = self.shared.now().plus(Lifetime::from_seconds(seconds));
        crate::docs::reader::sign_in_for_test(&self.shared, &served, &user, expires_at)
            .await
            .map_err(|error| error.to_string())
    }

    async fn default_tenant(&self) -> Result<TenantId, String> {
        let view = self.shared.tenant_by_slug(DEFAULT_SLUG).await;
        let view = view.map_err(|error| error.to_string())?;
        Ok(view.ok_or("no default tenant")?.tenant.id)
    }

    /// Turns the clock forward, in seconds.
    pub fn advance(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::AcqRel);
    }

    /// Now, in seconds since the epoch.
    pub fn now(&self) -> u64 {
        self.clock.millis() / 1000
    }

    /// A set-up link; none once the operator was created.
    pub async fn set_up_link(&self) -> Option<String> {
        serve::set_up_link(&self.shared).await.ok().flatten()
    }

    /// Takes the next step of a key rotation.
    pub async fn rotate(&self, tenant: &str, algorithm: &str) -> Result<String, String> {
        let view = self
            .shared
            .tenant_by_slug(tenant)
            .await
            .map_err(|error| error.to_string())?;
        let view = view.ok_or("no such tenant")?;
        let algorithm = vestibule_core::jose::algorithm::Algorithm::parse(algorithm)
            .ok_or("no such algorithm")?;
        let rotated = crate::http::signing::rotate(&self.shared, view.tenant.id, algorithm).await;
        rotated
            .map(|rotated| format!("{rotated:?}"))
            .map_err(|error| error.to_string())
    }

    /// Lets the background work that waits for time happen now.
    pub async fn run_jobs(&self) -> Result<(), String> {
        crate::http::signing::advance(&self.shared)
            .await
            .map_err(|error| error.to_string())?;
        self.shared
            .catch_up()
            .await
            .map_err(|error| error.to_string())
    }

    /// Performs an administrator's action, as the command line would (see `vestibule help`).
    pub async fn perform(&self, action: serde_json::Value) -> Result<serde_json::Value, String> {
        let action = serde_json::from_value(action).map_err(|error| error.to_string())?;
        crate::admin::actions::perform(&self.shared, action)
            .await
            .map_err(|error| error.to_string())
    }

    /// Writes a docs site of a tenant: its settings, and its client's secret at its OAuth server.
    pub async fn put_docs_site(
        &self,
        tenant: &str,
        settings: serde_json::Value,
        secret: Option<&str>,
    ) -> Result<(), String> {
        let settings: DocsSiteSettings =
            serde_json::from_value(settings).map_err(|error| error.to_string())?;
        let site =
            DocsSite::from_settings(&settings).map_err(|problems| format!("{problems:?}"))?;
        let found = self.shared.tenant_by_slug(tenant).await;
        let view = found
            .map_err(|error| error.to_string())?
            .ok_or("no such tenant")?;
        let id = view.tenant.id;
        let sealed = secret
            .map(|secret| {
                let secret = Secret::new(secret.to_owned());
                self.shared
                    .root_key
                    .seal_docs_secret(id, &site.name, &secret)
            })
            .transpose()
            .map_err(|error| error.to_string())?;
        let now = self.shared.now();
        let store = self.shared.tenant(id);
        let unit = store
            .unit()
            .upsert_docs_site(&site, &settings, sealed.as_deref(), now)
            .configuration_changed(now);
        let committed = store.commit(unit).await;
        self.shared.configuration.forget(id);
        if committed.map_err(|error| error.to_string())?.won() {
            Ok(())
        } else {
            Err("the tenant is gone".to_owned())
        }
    }

    /// Answers on a socket too, for whoever has to be reached over the wire; until what is returned is dropped.
    pub fn listen(&self, listener: TcpListener) -> Listening {
        let shared = Arc::clone(&self.shared);
        let service = tower::service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, std::convert::Infallible>(app::answer(shared, request).await) }
        });
        let second = Duration::from_secs(1);
        let limits = Limits {
            connections_max: 64,
            connections_per_peer_max: 64,
            proxies: TrustedProxies::default(),
            header_timeout: 10 * second,
            request_timeout: 30 * second,
            write_timeout: 20 * second,
            shutdown_grace: second,
        };
        let (stop, mut stopped) = Stop::new();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let shutdown = async move { stopped.wait().await };
            listener::serve(listener, None, limits, service, shutdown).await;
        });
        Listening {
            _stop: stop,
            _task: task,
        }
    }

    /// Closes the records, so that another server can open them.
    pub async fn close(self) {
        self.shared.renewals.landed().await;
        self.shared.store.db().close().await;
    }
}

/// A server that answers on a socket. It stops when it is dropped.
pub struct Listening {
    _stop: tokio::sync::watch::Sender<bool>,
    _task: JoinSet<()>,
}

/// How a mock provider of a test is.
pub struct MockOptions {
    /// Our client id there.
    pub client_id: String,
    /// Our secret there; `None` where whatever is presented will do.
    pub client_secret: Option<String>,
    /// The origins that it may send a browser back to.
    pub redirect_origins: Vec<String>,
    /// Whether a request that names a person is answered without the page.
    pub auto: bool,
    /// How long it takes where it is meant to be slow.
    pub slow: Duration,
    /// What it signs ID tokens with, for example `ES256`.
    pub algorithm: &'static str,
    /// Whether a refresh token works once and is replaced.
    pub rotates_refresh_tokens: bool,
}

/// A request that a mock provider got.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The fields of the query, then those of the form.
    pub fields: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
}

impl SeenRequest {
    fn of(parts: &Parts, body: &Bytes) -> Self {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let fields = [query, body]
            .into_iter()
            .flat_map(|encoded| url::form_urlencoded::parse(encoded).into_owned())
            .collect();
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            fields,
            headers: parts.headers.clone(),
        }
    }

    /// A field that was sent.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().filter(|(known, _)| known == name);
        fields.next().map(|(_, value)| value.as_str())
    }
}

/// A mock provider on a port of this machine. It stops when it is dropped.
pub struct MockServer {
    provider: Arc<MockProvider>,
    clock: Arc<Mutex<Arc<TestClock>>>,
    seen: Arc<Mutex<Vec<SeenRequest>>>,
    chance: SystemChance,
    _stop: tokio::sync::watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl MockServer {
    /// Starts a provider at this time, in seconds since the epoch.
    pub async fn start(options: MockOptions, now: u64) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let provider = MockProvider::new(MockSettings {
            issuer: format!("http://{address}"),
            client_id: options.client_id,
            client_secret: options.client_secret,
            redirect_origins: options.redirect_origins,
            people: people(),
            auto: options.auto,
            slow: options.slow,
            algorithm: Algorithm::parse(options.algorithm).ok_or("no such algorithm")?,
            rotates_refresh_tokens: options.rotates_refresh_tokens,
        });
        let provider = Arc::new(provider.map_err(|error| error.to_string())?);
        let clock = Arc::new(Mutex::new(Arc::new(TestClock(AtomicU64::new(now * 1000)))));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = Stop::new();
        let (its_clock, its_seen) = (Arc::clone(&clock), Arc::clone(&seen));
        let mut task = JoinSet::new();
        task.spawn(serve::mock_provider::serve(
            listener,
            Arc::clone(&provider),
            move || to_timestamp(its_clock.lock().millis()),
            move |parts, body| its_seen.lock().push(SeenRequest::of(parts, body)),
            stopped,
        ));
        Ok(Self {
            provider,
            clock,
            seen,
            chance: SystemChance::new(),
            _stop: stop,
            _task: task,
        })
    }

    /// Its issuer, `http://127.0.0.1:…`.
    pub fn issuer(&self) -> &str {
        self.provider.issuer()
    }

    /// The section of an installation file that registers it under this id.
    pub fn installation_provider(&self, id: &str) -> String {
        installation_provider(&self.provider, id)
    }

    /// Lives by the server's clock from now on.
    pub fn follow(&self, server: &TestServer) {
        *self.clock.lock() = Arc::clone(&server.clock);
    }

    /// Turns its clock forward, in seconds; that of the server too, if it follows one.
    pub fn advance(&self, seconds: u64) {
        let clock = Arc::clone(&self.clock.lock());
        clock.0.fetch_add(seconds * 1000, Ordering::AcqRel);
    }

    /// Lets an endpoint (`discovery`, `jwks`, `token`, `userinfo`) misbehave for everybody (`slow`, `broken`, `html`, `huge`,
    /// `private`, `invalid_grant`), or behave again (`None`).
    pub fn misbehave(&self, endpoint: &str, fault: Option<&str>) -> Result<(), String> {
        let endpoint = Endpoint::parse(endpoint).ok_or("no such endpoint")?;
        let fault = match fault {
            Some(name) => Some(Fault::parse(name).ok_or("no such fault")?),
            None => None,
        };
        self.provider.set_fault(endpoint, fault);
        Ok(())
    }

    /// Signs with a new key from now on; the old one is published no longer.
    pub fn rotate_keys(&self) -> Result<(), String> {
        self.provider
            .rotate_keys()
            .map_err(|error| error.to_string())
    }

    /// What came over the wire so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        self.seen.lock().clone()
    }

    /// Answers one request without the wire and without waiting, as a browser's visit; it is not among those seen.
    pub async fn visit(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let now = to_timestamp(self.clock.lock().millis());
        let answer = self.provider.respond(&parts, &body, now, &self.chance);
        let (parts, body) = answer.response.into_parts();
        let body = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(never) => match never {},
        };
        Response::from_parts(parts, body)
    }
}

/// What a test's server logged, as JSON lines; logging goes here while the guard lives, on this thread.
pub struct Captured {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Captures what is logged on this thread from now on, requests included.
pub fn capture_logs() -> Result<Captured, String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Writer(Arc::clone(&lines));
    let subscriber =
        crate::logs::subscriber(crate::logs::Format::Json, "debug", move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.map_err(|error| error.to_string())?);
    Ok(Captured {
        lines,
        _guard: guard,
    })
}

impl Captured {
    /// Everything logged so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.lock()).into_owned()
    }
}
