//! The server in one process, for the integration tests: the wire without a socket, and a clock that the test turns.

use crate::app;
use crate::config;
use crate::http::context::{Clock, Shared};
use crate::serve::{self, ServeError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        let variables = settings
            .iter()
            .map(|(name, value)| (format!("VESTIBULE_{name}"), (*value).to_owned()));
        let settings =
            config::resolve(None, variables, Path::new(".")).map_err(|error| error.to_string())?;
        let clock = Arc::new(TestClock(AtomicU64::new(now * 1000)));
        let text = |error: ServeError| error.to_string();
        let shared = serve::open_with(&settings, Arc::<TestClock>::clone(&clock))
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
        let (parts, body) = reply.into_parts();
        let body = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(never) => match never {},
        };
        Response::from_parts(parts, body)
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

    /// Closes the records, so that another server can open them.
    pub async fn close(self) {
        self.shared.store.db().close().await;
    }
}

/// What a test's server logged, as JSON lines; logging goes here while the guard lives, on this thread.
pub struct Captured {
    lines: Arc<parking_lot::Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<parking_lot::Mutex<Vec<u8>>>);

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
    let lines = Arc::new(parking_lot::Mutex::new(Vec::new()));
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
