//! A fresh database for each test, and the macro that runs a test on both engines.

use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use vestibule_store::db::{DatabaseOptions, Db};

/// Where the tests find a `PostgreSQL` server on which they may create databases.
const SERVER_VARIABLE: &str = "VESTIBULE_TEST_POSTGRES";
/// Connections that each test's database is opened with.
const CONNECTIONS: usize = 4;

/// Runs each test function, `async fn name(place: &Place)`, on `SQLite` and on `PostgreSQL`.
macro_rules! on_both_engines {
    ($($name:ident,)+) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(&$crate::support::Place::sqlite()).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name(&$crate::support::Place::postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;

/// A database of one test; it is gone when this is dropped.
pub(crate) enum Place {
    Sqlite { folder: TempDir },
    Postgres { server: String, name: String },
}

impl Place {
    /// An empty folder.
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A new, empty database on the test server.
    pub(crate) async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        #[expect(clippy::disallowed_methods, reason = "the test runner's setting")]
        let server = std::env::var(SERVER_VARIABLE);
        let server = server.unwrap_or_else(|_| {
            panic!(
                "{SERVER_VARIABLE} is not set: run `cargo xtask test`, which starts a PostgreSQL server for the tests"
            )
        });
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vestibule_test_{}_{number}", std::process::id());
        // What an earlier process with the same number left behind goes first.
        execute(
            &server,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        )
        .await;
        execute(
            &server,
            &format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"
            ),
        )
        .await;
        Self::Postgres { server, name }
    }

    /// How to open it.
    pub(crate) fn options(&self) -> DatabaseOptions {
        match self {
            Self::Sqlite { folder } => DatabaseOptions::in_folder(folder.path()),
            Self::Postgres { server, name } => DatabaseOptions::parse(&with_database(server, name))
                .expect("the test server's URL")
                .with_connections(CONNECTIONS),
        }
    }

    /// Opens it, without a schema.
    pub(crate) async fn open(&self) -> Db {
        Db::open(&self.options()).await.expect("open")
    }

    /// Runs a statement on the server beside the connections under test. Only where there is a server.
    pub(crate) async fn beside(&self, statement: &str) {
        if let Self::Postgres { server, .. } = self {
            execute(server, statement).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Postgres { server, name } = self {
            let (server, name) = (server.clone(), name.clone());
            // A runtime cannot wait inside another: the clean-up has a thread of its own.
            let done = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(execute(
                    &server,
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                ));
            });
            if done.join().is_err() {
                eprintln!("a test database is left behind");
            }
        }
    }
}

async fn execute(server: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap_or_else(|error| panic!("{SERVER_VARIABLE}: {error}"));
    let result = tokio::select! {
        result = client.batch_execute(statement) => result,
        _ = connection => panic!("the test server closed the connection"),
    };
    result.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// The same server, another database.
fn with_database(server: &str, name: &str) -> String {
    let (address, query) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = address.split_once("://").expect("a URL");
    let host = rest.split('/').next().unwrap_or_default();
    let query = if query.is_empty() {
        String::new()
    } else {
        format!("?{query}")
    };
    format!("{scheme}://{host}/{name}{query}")
}
