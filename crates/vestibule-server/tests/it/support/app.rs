//! A fresh server on a fresh database; at its end the log must hold no secret and no unexpected error.

use super::installation::{BASE, INSTALLATION};
use bytes::Bytes;
use http::{Request, Response};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use vestibule_server::testing::{Captured, TestServer, capture_logs};

/// When every test begins: seconds since the epoch.
pub(crate) const START: u64 = 1_800_000_000;

/// What a log line must never hold: the prefixes of every handle, and the secrets of the installation.
const SECRETS: &[&str] = &[
    "oac_",
    "oat_",
    "ort_",
    "ses_",
    "set_",
    "rds_",
    "docs-token-",
    "Xq2-odd",
    "correct horse",
    "eyJ",
    "csrf",
];

/// Runs each `async fn name(app: &App)` on SQLite and on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { $crate::support::app::App::sqlite(async |app| super::$name(app).await).await; })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { $crate::support::app::App::postgres(async |app| super::$name(app).await).await; })+
        }
    };
}
pub(crate) use on_both_engines;

/// Runs each `async fn name(settings: &[(String, String)])` with the settings of fresh data on SQLite and on PostgreSQL; the test
/// starts its servers itself, with [`App::start`] and [`App::end`].
macro_rules! from_settings_on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite_from_settings {
            $(#[tokio::test] async fn $name() { $crate::support::app::App::sqlite_settings(async |settings| super::$name(settings).await).await; })+
        }
        mod postgres_from_settings {
            $(#[tokio::test] async fn $name() { $crate::support::app::App::postgres_settings(async |settings| super::$name(settings).await).await; })+
        }
    };
}
pub(crate) use from_settings_on_both_engines;

/// A server of one test.
pub(crate) struct App {
    pub(crate) server: TestServer,
    pub(crate) settings: Vec<(String, String)>,
    logs: Captured,
    expected_errors: AtomicU32,
}

impl App {
    /// Runs a test on SQLite.
    pub(crate) async fn sqlite(test: impl AsyncFnOnce(&Self)) {
        Self::sqlite_settings(async |settings| Self::run(settings, test).await).await;
    }

    /// Runs a test on a new database of the test server.
    pub(crate) async fn postgres(test: impl AsyncFnOnce(&Self)) {
        Self::postgres_settings(async |settings| Self::run(settings, test).await).await;
    }

    /// Runs a test with the settings of a fresh file.
    pub(crate) async fn sqlite_settings(test: impl AsyncFnOnce(&[(String, String)])) {
        let folder = TempDir::new().unwrap();
        test(&Self::settings(folder.path().to_str().unwrap(), None)).await;
    }

    /// Runs a test with the settings of a new database of the test server.
    pub(crate) async fn postgres_settings(test: impl AsyncFnOnce(&[(String, String)])) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "the test runner's setting")]
        let server = std::env::var("VESTIBULE_TEST_POSTGRES")
            .expect("VESTIBULE_TEST_POSTGRES is not set: run `cargo xtask test`, which starts a PostgreSQL server for the tests");
        let name = format!(
            "vestibule_it_{}_{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        execute(
            &server,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
        execute(&server, &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")).await;
        let (base, _) = server.rsplit_once('/').unwrap();
        let folder = TempDir::new().unwrap();
        test(&Self::settings(
            folder.path().to_str().unwrap(),
            Some(format!("{base}/{name}")),
        ))
        .await;
        execute(
            &server,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
    }

    fn settings(folder: &str, database: Option<String>) -> Vec<(String, String)> {
        // The cheapest hash that the settings allow: tests are about the rules, not about the cost.
        let mut settings: Vec<(String, String)> = [
            ("DATA", folder),
            ("PUBLIC_URL", BASE),
            ("PASSWORD_MEMORY_KIB", "1024"),
            ("PASSWORD_ITERATIONS", "1"),
            ("DATABASE_CONNECTIONS", "3"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        settings.extend(database.map(|url| ("DATABASE".to_owned(), url)));
        settings
    }

    async fn run(settings: &[(String, String)], test: impl AsyncFnOnce(&Self)) {
        let app = Self::start(settings, &[], START, INSTALLATION).await;
        test(&app).await;
        app.end().await;
    }

    /// Starts a server with these settings, some of them changed. End it with [`Self::end`], before another one starts on the same
    /// file.
    pub(crate) async fn start(
        settings: &[(String, String)],
        changed: &[(&str, &str)],
        now: u64,
        installation: &str,
    ) -> Self {
        let logs = capture_logs().unwrap();
        let settings = Self::changed(settings, changed);
        let server = Self::open(&settings, now, installation).await;
        Self::of(server, settings, logs)
    }

    /// The same, but it waits for other servers only as long as somebody who has no time.
    pub(crate) async fn start_impatient(
        settings: &[(String, String)],
        changed: &[(&str, &str)],
        now: u64,
        installation: &str,
    ) -> Self {
        let logs = capture_logs().unwrap();
        let settings = Self::changed(settings, changed);
        let deadline = Duration::from_secs(1);
        let server = TestServer::open_with(&texts(&settings), now, installation, deadline).await;
        Self::of(server.unwrap(), settings, logs)
    }

    fn changed(settings: &[(String, String)], changed: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut settings = settings.to_vec();
        settings.retain(|(name, _)| !changed.iter().any(|(known, _)| known == name));
        settings.extend(
            changed
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        settings
    }

    fn of(server: TestServer, settings: Vec<(String, String)>, logs: Captured) -> Self {
        Self {
            server,
            settings,
            logs,
            expected_errors: AtomicU32::new(0),
        }
    }

    /// Another server with these settings.
    pub(crate) async fn open(
        settings: &[(String, String)],
        now: u64,
        installation: &str,
    ) -> TestServer {
        TestServer::open(&texts(settings), now, installation)
            .await
            .unwrap()
    }

    /// Answers one request.
    pub(crate) async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.server.call(request).await
    }

    /// Changes a client of the default tenant.
    pub(crate) async fn update_client(&self, client_id: &str, set: serde_json::Value) {
        let action = serde_json::json!({"action": "client_update", "tenant": "default", "client_id": client_id, "set": set});
        self.server.perform(action).await.unwrap();
    }

    /// Disables, enables or removes a person of the default tenant.
    pub(crate) async fn user(&self, action: &str, username: &str) {
        let action = serde_json::json!({"action": format!("user_{action}"), "tenant": "default", "user": username});
        self.server.perform(action).await.unwrap();
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.logs.text()
    }

    /// The `detail` of the last refusal in the log: what only we read.
    pub(crate) fn last_detail(&self) -> String {
        let log = self.log();
        let line = log
            .lines()
            .rev()
            .find(|line| line.contains("\"detail\""))
            .expect("no refusal in the log")
            .to_owned();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        ["/fields/detail", "/detail"]
            .iter()
            .find_map(|place| line.pointer(place))
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Says that the test makes the server log errors.
    pub(crate) fn expect_errors(&self) {
        self.expected_errors.store(1, Ordering::Relaxed);
    }

    /// Takes the database away, as a failure would; whether there is a server that it can be taken from.
    pub(crate) async fn without_database(&self) -> bool {
        let Some((server, name)) = self.database() else {
            return false;
        };
        execute(
            &server,
            &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        )
        .await;
        execute(
            &server,
            &format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
        )
        .await;
        true
    }

    /// Gives it back.
    pub(crate) async fn with_database(&self) {
        if let Some((server, name)) = self.database() {
            execute(
                &server,
                &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
            )
            .await;
        }
    }

    /// The URL of the server's own database, and the name of this test's.
    fn database(&self) -> Option<(String, String)> {
        let (_, url) = self.settings.iter().find(|(name, _)| name == "DATABASE")?;
        let (base, name) = url.rsplit_once('/')?;
        Some((format!("{base}/postgres"), name.to_owned()))
    }

    /// The one number that a statement answers with, read beside the server.
    pub(crate) async fn number(&self, statement: &str) -> i64 {
        if let Some((_, url)) = self.settings.iter().find(|(name, _)| name == "DATABASE") {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                .await
                .unwrap();
            #[expect(
                clippy::disallowed_methods,
                reason = "the driver of a test's own connection"
            )]
            let driver = tokio::spawn(connection);
            let number = client.query_one(statement, &[]).await.unwrap().get(0);
            drop(client);
            driver.await.unwrap().unwrap();
            return number;
        }
        let (_, folder) = self
            .settings
            .iter()
            .find(|(name, _)| name == "DATA")
            .unwrap();
        let file = std::path::Path::new(folder).join("vestibule.db");
        let connection = rusqlite::Connection::open(file).unwrap();
        connection
            .query_row(statement, [], |row| row.get(0))
            .unwrap()
    }

    /// Looks through the log and closes the server.
    pub(crate) async fn end(self) {
        // A masked parameter may say its name.
        let log = self.log().replace("csrf=***", "");
        for secret in SECRETS {
            let leak = log.lines().find(|line| line.contains(secret));
            assert!(
                leak.is_none(),
                "{secret} in the log: {}",
                leak.unwrap_or_default()
            );
        }
        let error = log
            .lines()
            .find(|line| line.contains("\"level\":\"ERROR\""));
        assert!(
            self.expected_errors.load(Ordering::Relaxed) == 1 || error.is_none(),
            "{}",
            error.unwrap_or_default()
        );
        self.server.close().await;
    }
}

fn texts(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    let texts = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    texts.collect()
}

async fn execute(server: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver of a test's own connection"
    )]
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}
