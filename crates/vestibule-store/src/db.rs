//! The only place that names a database engine: `SQLite` for one process, `PostgreSQL` for many.
//!
//! The seam between the engines is the statement. A statement is written once, in the dialect that both share, as a
//! [`Sql`] constant; reads go through [`Db::query`], and the writes of one decision go through [`Db::commit`] as one
//! [`Unit`]: a list of statements with the number of rows that each must touch. Either all of them are written, or none.
//! A unit is a value, so it can be run again after a serialisation failure, and no transaction is ever open while a
//! handler waits for something else.
//!
//! What this module does not do: it knows no table but its own list of migrations, and it decides nothing.

mod migrate;
mod options;
mod postgres;
mod sqlite;
mod value;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

pub use migrate::Migration;
pub use options::DatabaseOptions;
pub use value::{Row, Value};

/// Rows that one query may return; a caller that wants more pages through them.
pub const QUERY_ROWS_MAX: usize = 10_000;
/// Statements in one unit.
pub const UNIT_STEPS_MAX: usize = 20_000;
/// Bytes of one text or blob that is sent to the database.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// The end of a guard that holds rows: on `PostgreSQL` whoever wants to write them waits for the unit, on `SQLite`, where units
/// come one after the other, it says nothing. Only a unit may hold.
pub(crate) const HOLD: &str = " FOR SHARE";

/// One statement, written once for both engines, with `$1`, `$2` … as parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sql {
    /// What errors and logs call it: the path of the constant.
    pub name: &'static str,
    /// The text. A `SELECT` that ends in `FOR SHARE` keeps its rows as they are until the unit is written.
    pub text: &'static str,
    /// Runs on a request's path, so it must never read a whole table; [`Db::check_statements`] holds it to that.
    pub hot: bool,
    /// Many that wait at the same time may go to `PostgreSQL` as one statement over arrays: a `SELECT` without `LIMIT $n`, an
    /// `INSERT` of one list of values, or an `UPDATE` with one `WHERE`. In one unit, no such write touches what a `SELECT` without
    /// a hold looks at.
    pub many: bool,
}

/// Declares the statements of a module as constants, and their list as `ALL`. `hot` and `many` are told at [`Sql`](crate::db::Sql);
/// what is `many` is `hot` too.
///
/// ```
/// mod users {
///     vestibule_store::statements! {
///         /// The person with this id.
///         FIND_USER: hot = "SELECT name FROM users WHERE tenant_id = $1 AND user_id = $2";
///         /// Everybody, for the operator's list.
///         LIST_USERS = "SELECT name FROM users WHERE tenant_id = $1 ORDER BY name LIMIT $2";
///     }
/// }
/// ```
#[macro_export]
macro_rules! statements {
    (@hot) => { false };
    (@hot hot) => { true };
    (@hot many) => { true };
    (@many many) => { true };
    (@many $($hot:ident)?) => { false };
    ($( $(#[$meta:meta])* $name:ident $(: $hot:ident)? = $text:expr; )+) => {
        $(
            $(#[$meta])*
            pub(crate) const $name: $crate::db::Sql = $crate::db::Sql {
                name: concat!(module_path!(), "::", stringify!($name)),
                text: $text,
                hot: $crate::statements!(@hot $($hot)?),
                many: $crate::statements!(@many $($hot)?),
            };
        )+
        /// Every statement of this module, for the test that prepares them all on both engines.
        pub(crate) const ALL: &[$crate::db::Sql] = &[$($name),+];
    };
}

/// The values of a statement in order, each turned into a [`db::Value`](crate::db::Value): an array.
#[macro_export]
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::db::Value::from($value)),*] };
}

/// The writes of one decision: all of them happen, or none.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    steps: Vec<Step>,
    announce: bool,
}

/// One statement of a unit.
#[derive(Debug, Clone)]
struct Step {
    sql: &'static Sql,
    /// The rows it must touch; `None` when any number will do.
    rows: Option<u64>,
    values: Vec<Value<'static>>,
}

impl Unit {
    /// A unit that writes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a guarded statement: unless it touches exactly `rows` rows, nothing of the unit is written.
    #[must_use]
    pub fn expect<'a>(
        self,
        sql: &'static Sql,
        rows: u64,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Self {
        self.step(sql, Some(rows), values)
    }

    /// Adds a statement that may touch any number of rows.
    #[must_use]
    pub fn run<'a>(self, sql: &'static Sql, values: impl IntoIterator<Item = Value<'a>>) -> Self {
        self.step(sql, None, values)
    }

    /// Tells every process, this one included, that configuration changed, once the unit is committed.
    #[must_use]
    pub fn announce(mut self) -> Self {
        self.announce = true;
        self
    }

    /// How many statements it has; also the number that the next one will have in [`Outcome`].
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has no statement.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn step<'a>(
        mut self,
        sql: &'static Sql,
        rows: Option<u64>,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Self {
        self.steps.push(Step {
            sql,
            rows,
            values: values.into_iter().map(Value::into_owned).collect(),
        });
        self
    }

    fn check(&self) -> Result<(), DbError> {
        if self.steps.len() > UNIT_STEPS_MAX {
            return Err(DbError::Rejected {
                statement: self.steps.first().map_or("", |step| step.sql.name),
                detail: format!("a unit of more than {UNIT_STEPS_MAX} statements"),
            });
        }
        self.steps
            .iter()
            .try_for_each(|step| value::check(step.sql, &step.values))
    }
}

/// What became of a unit.
#[derive(Debug)]
pub enum Outcome {
    /// All of it is written and will survive a loss of power. For each step, the rows that its `RETURNING` gave.
    Committed(Vec<Vec<Row>>),
    /// A guard saw another number of rows than it expected: nothing was written.
    Lost {
        /// The step of that guard, counted from 0.
        step: usize,
    },
}

/// Why the database did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DbError {
    /// It cannot be reached or cannot work now. For a unit the outcome may be unknown, and is never a silent success.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// More is waiting than may wait; try again later.
    #[error("the database has too many requests waiting")]
    Busy,
    /// A unique key or a foreign key refused the write; nothing was written.
    #[error("{statement}: conflict: {detail}")]
    Conflict {
        /// The statement.
        statement: &'static str,
        /// The key or constraint, never the values.
        detail: String,
    },
    /// A row holds what no row may hold.
    #[error("{statement}: column {column}: {detail}")]
    Corrupt {
        /// The statement that read it.
        statement: &'static str,
        /// The column's name.
        column: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A value or a unit that is never sent: a NUL in a text, a wrong number of values, a limit exceeded.
    #[error("{statement}: refused: {detail}")]
    Rejected {
        /// The statement.
        statement: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The engine refused the statement for another reason: a mistake of ours.
    #[error("{statement}: {detail}")]
    Failed {
        /// The statement.
        statement: &'static str,
        /// What the engine said.
        detail: String,
    },
    /// Another process owns the database file.
    #[error(
        "another process is using this database (it holds {}); stop it first, or talk to it",
        lock.display()
    )]
    InUse {
        /// The lock file.
        lock: PathBuf,
    },
    /// The database cannot be opened as configured.
    #[error("the database cannot be opened: {0}")]
    Options(String),
    /// The schema and this program do not fit together.
    #[error("schema: {0}")]
    Schema(String),
}

/// What a migration run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The steps that were applied now.
    pub applied: usize,
    /// The version of the schema after it, 0 when there is none.
    pub version: i64,
}

/// Announcements of changed configuration; several may arrive as one.
#[derive(Debug, Clone)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Waits for the next announcement since the last call. After the database is closed it waits for ever.
    ///
    /// An announcement may also mean only that some could have been missed, as after a lost connection.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// A database. Cheap to clone: clones share everything.
#[derive(Clone)]
pub struct Db {
    engine: Engine,
    changes: watch::Sender<u64>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<sqlite::Database>),
    Postgres(Arc<postgres::Database>),
}

impl Db {
    /// Opens the database, and creates the file if there is none. Needs a running tokio runtime.
    ///
    /// Errors: [`DbError::InUse`] when another process owns the file, [`DbError::Options`] when the options cannot work,
    /// [`DbError::Unavailable`] when the server does not answer.
    pub async fn open(options: &DatabaseOptions) -> Result<Self, DbError> {
        let changes = watch::Sender::new(0);
        let engine = match options {
            DatabaseOptions::Sqlite { folder, file } => Engine::Sqlite(Arc::new(
                sqlite::Database::open(folder, file, changes.clone())?,
            )),
            DatabaseOptions::Postgres {
                url,
                ca_file,
                connections,
            } => {
                let database = postgres::Database::open(
                    url,
                    ca_file.as_deref(),
                    *connections,
                    changes.clone(),
                );
                Engine::Postgres(Arc::new(Box::pin(database).await?))
            }
        };
        Ok(Self { engine, changes })
    }

    /// Applies the steps that are missing, each in a transaction of its own; `now` is Unix time in seconds.
    ///
    /// Errors: [`DbError::Schema`] when an applied step was changed since, or the schema is newer than this program.
    pub async fn migrate(
        &self,
        migrations: &'static [Migration],
        now: i64,
    ) -> Result<Migrated, DbError> {
        migrate::check_order(migrations)?;
        match &self.engine {
            Engine::Sqlite(database) => database.migrate(migrations, now).await,
            Engine::Postgres(database) => Box::pin(database.migrate(migrations, now)).await,
        }
    }

    /// Reads rows, at most [`QUERY_ROWS_MAX`]. For indexed reads: `SQLite` answers on the calling thread.
    pub async fn query(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        check_read(sql)?;
        value::check(sql, values)?;
        match &self.engine {
            Engine::Sqlite(database) => database.query(sql, values),
            Engine::Postgres(database) => Box::pin(Arc::clone(database).query(sql, values)).await,
        }
    }

    /// Reads one row or none; a second row is an error.
    pub async fn query_one(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, DbError> {
        let mut rows = self.query(sql, values).await?;
        if rows.len() > 1 {
            return Err(DbError::Failed {
                statement: sql.name,
                detail: format!("{} rows where one was expected", rows.len()),
            });
        }
        Ok(rows.pop())
    }

    /// Reads rows like [`Db::query`], away from the threads that serve requests: for lists, searches and exports.
    pub async fn query_list(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let Engine::Sqlite(database) = &self.engine else {
            return self.query(sql, values).await;
        };
        check_read(sql)?;
        value::check(sql, values)?;
        let database = Arc::clone(database);
        let values: Vec<_> = values
            .iter()
            .map(|value| value.clone().into_owned())
            .collect();
        tokio::task::spawn_blocking(move || database.query(sql, &values))
            .await
            .map_err(|error| DbError::Unavailable(error.to_string()))?
    }

    /// Writes a unit: all of it, or nothing. The only way to write.
    ///
    /// A caller that goes away before the unit is begun takes it back; one that goes away later does not stop it.
    ///
    /// Errors: [`DbError::Conflict`] and [`DbError::Busy`] mean that nothing was written; after
    /// [`DbError::Unavailable`] it may or may not have been.
    pub async fn commit(&self, unit: Unit) -> Result<Outcome, DbError> {
        unit.check()?;
        if unit.is_empty() && !unit.announce {
            return Ok(Outcome::Committed(Vec::new()));
        }
        match &self.engine {
            Engine::Sqlite(database) => database.commit(unit).await,
            Engine::Postgres(database) => Arc::clone(database).commit(unit).await,
        }
    }

    /// Hears of every unit that was committed with [`Unit::announce`], by any process.
    pub fn subscribe(&self) -> Changes {
        Changes(self.changes.subscribe())
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), DbError> {
        const PING: Sql = Sql {
            name: "db::PING",
            text: "SELECT 1",
            hot: false,
            many: false,
        };
        self.query(&PING, &[]).await.map(drop)
    }

    /// Writes what is waiting, tidies the file, and closes. Later calls are [`DbError::Unavailable`].
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(database) => database.close().await,
            Engine::Postgres(database) => database.close().await,
        }
    }

    /// Prepares every statement, and says what is wrong with them, one sentence each; for tests.
    ///
    /// Looked at: the statement is valid on this engine, its parameters are `$1` to `$n` of the shared types, and a hot
    /// one does not read a whole table.
    pub async fn check_statements(
        &self,
        statements: &'static [Sql],
    ) -> Result<Vec<String>, DbError> {
        match &self.engine {
            Engine::Sqlite(database) => database.check_statements(statements),
            Engine::Postgres(database) => Box::pin(database.check_statements(statements)).await,
        }
    }
}

fn announce_change(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count = count.wrapping_add(1));
}

/// A read must not write: `SQLite` would refuse it, `PostgreSQL` would do it.
fn check_read(sql: &'static Sql) -> Result<(), DbError> {
    let text = sql.text.trim_start();
    let first = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let reads = ["SELECT", "WITH", "VALUES"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    if reads && !text.ends_with(HOLD) {
        Ok(())
    } else {
        Err(DbError::Rejected {
            statement: sql.name,
            detail: "only a unit may write".to_owned(),
        })
    }
}
