//! `PostgreSQL`: many processes, a few connections, statements in one flight.
//!
//! Reads share connections and are pipelined on them, and those that wait at the same time and are alike go as one statement; so do
//! units (`together.rs`). A unit for which that does not do has a connection to itself: `BEGIN`, all of its statements
//! and `COMMIT` are sent at once, and a guard that is lost is an error that undoes them. Only where the server cannot
//! judge a guard are the rows looked at before `COMMIT` or `ROLLBACK` follows. A unit runs in a task of its own, so that a caller who goes away leaves
//! no connection in the middle of a transaction.

mod connect;
mod pool;
mod together;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use self::connect::Connector;
use self::pool::{Guard, Link, Pool, Prepared};
use self::together::{Look, Waiting, Writing};
use super::{
    DbError, Migrated, Migration, Outcome, Row, Sql, Step, Unit, Value, announce_change, migrate,
};

/// Times that a read or a unit is tried when a retry cannot do harm.
const ATTEMPTS_MAX: usize = 3;
/// Time for one attempt at a read.
const READ_MILLISECONDS_MAX: u64 = 35_000;
/// Time for one attempt at a unit.
const UNIT_MILLISECONDS_MAX: u64 = 35_000;
/// Pauses before the listening connection is made again, from the first to the longest.
const LISTEN_PAUSE_MILLISECONDS: u64 = 100;
const LISTEN_PAUSE_MILLISECONDS_MAX: u64 = 5_000;
/// Makes migrations wait for one another; the number is arbitrary, and the same for ever.
const MIGRATION_LOCK: i64 = 0x7665_7374_6962_756c;

const LISTEN: &str = "LISTEN vestibule_changes";
const COMMIT: &str = "COMMIT";
const ANNOUNCE: &str = "NOTIFY vestibule_changes";
const ANNOUNCE_AND_COMMIT: &str = "NOTIFY vestibule_changes; COMMIT";

/// A server and the connections to it.
pub(super) struct Database {
    connector: Arc<Connector>,
    pool: Pool,
    looks: Waiting<Look>,
    units: Waiting<Writing>,
    changes: watch::Sender<u64>,
    listener: JoinHandle<()>,
}

impl Drop for Database {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Database {
    pub(super) async fn open(
        url: &str,
        ca_file: Option<&Path>,
        connections: usize,
        changes: watch::Sender<u64>,
    ) -> Result<Self, DbError> {
        let connector = Arc::new(Connector::new(url, ca_file)?);
        let pool = Pool::new(Arc::clone(&connector), connections);
        // The first connection is made now, so that a wrong setting is seen at the start.
        pool.read()?.link().await?;
        let listener = spawn(listen(Arc::clone(&connector), changes.clone()));
        Ok(Self {
            connector,
            pool,
            looks: Waiting::looks(),
            units: Waiting::units(),
            changes,
            listener,
        })
    }

    pub(super) async fn query(
        self: Arc<Self>,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        if sql.many {
            self.look(sql, values).await
        } else {
            self.look_alone(sql, values).await
        }
    }

    async fn look_alone(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let mut attempt = 1;
        loop {
            let lease = self.pool.read()?;
            let link = lease.link().await?;
            let limit = Duration::from_millis(READ_MILLISECONDS_MAX);
            let fault = match timeout(limit, link.query(sql, values)).await {
                Ok(Ok((_, rows))) => return Ok(rows),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::Late(sql.name),
            };
            if fault.breaks_connection() {
                lease.discard(&link);
            }
            if attempt == ATTEMPTS_MAX || !(fault.is_transient() || fault.is_lost_connection()) {
                return Err(fault.into());
            }
            attempt += 1;
        }
    }

    pub(super) async fn commit(self: Arc<Self>, unit: Unit) -> Result<Outcome, DbError> {
        if together::is_many(&unit) {
            self.write(unit).await
        } else {
            self.write_alone(unit).await
        }
    }

    async fn write_alone(self: Arc<Self>, unit: Unit) -> Result<Outcome, DbError> {
        let place = self.pool.queue()?;
        let (mut reply, answer) = oneshot::channel();
        let database = Arc::clone(&self);
        spawn(async move {
            let lease = tokio::select! {
                lease = database.pool.write() => lease,
                () = reply.closed() => return,
            };
            drop(place);
            let result = match lease {
                Ok(lease) => database.commit_on(&lease, &unit).await,
                Err(error) => Err(error),
            };
            if unit.announce && matches!(result, Ok(Outcome::Committed(_))) {
                announce_change(&database.changes);
            }
            // The caller may be gone by now; the unit is done all the same.
            let _ = reply.send(result);
        });
        answer
            .await
            .map_err(|_| DbError::Unavailable("it is closed".to_owned()))?
    }

    async fn commit_on(
        &self,
        lease: &pool::WriteLease<'_>,
        unit: &Unit,
    ) -> Result<Outcome, DbError> {
        let mut attempt = 1;
        loop {
            let link = lease.link().await?;
            let limit = Duration::from_millis(UNIT_MILLISECONDS_MAX);
            let fault = match timeout(limit, run_unit(&link, unit)).await {
                Ok(Ok(outcome)) => return Ok(outcome),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::Late("unit"),
            };
            if fault.breaks_connection() {
                lease.discard(&link);
            }
            if attempt == ATTEMPTS_MAX || !(fault.is_transient() || fault.is_lost_connection()) {
                return Err(fault.into());
            }
            attempt += 1;
        }
    }

    pub(super) async fn migrate(
        &self,
        migrations: &'static [Migration],
        now: i64,
    ) -> Result<Migrated, DbError> {
        let failed = |error: tokio_postgres::Error| {
            DbError::Schema(Fault::Server("migrate", error).describe())
        };
        // Most starts find everything applied, and need no lock to see it. An error may mean that there is no list yet.
        let link = self.pool.read()?.link().await?;
        if let Ok(applied) = read_list(&link.client).await
            && !applied.is_empty()
            && migrate::missing(migrations, &applied)?.is_empty()
        {
            return Ok(Migrated {
                applied: 0,
                version: applied.last().map_or(0, |(version, _)| *version),
            });
        }
        // A connection of its own, without the limits of the others; closing it gives the lock back.
        let client = self.connector.connect(None).await?.client;
        client
            .execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK])
            .await
            .map_err(failed)?;
        client
            .batch_execute(migrate::CREATE_LIST)
            .await
            .map_err(failed)?;
        let applied = read_list(&client).await.map_err(failed)?;
        let missing = migrate::missing(migrations, &applied)?;
        for step in missing {
            migrate_one(&client, step, now).await.map_err(|error| {
                let error = Fault::Server(step.name, error).describe();
                DbError::Schema(format!("migration {}: {error}", step.version))
            })?;
        }
        let last = missing.last().map(|step| step.version);
        Ok(Migrated {
            applied: missing.len(),
            version: last
                .or(applied.last().map(|(version, _)| *version))
                .unwrap_or(0),
        })
    }

    pub(super) async fn close(&self) {
        self.listener.abort();
        self.pool.close().await;
    }

    pub(super) async fn check_statements(
        &self,
        statements: &'static [Sql],
    ) -> Result<Vec<String>, DbError> {
        let client = self.connector.connect(None).await?.client;
        client
            .batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
            .await
            .map_err(|error| Fault::Server("check", error))?;
        let mut complaints = Vec::new();
        for sql in statements {
            match check_statement(&client, sql).await {
                Ok(found) => complaints.extend(found),
                Err(error) => complaints.push(Fault::Server(sql.name, error).describe()),
            }
        }
        Ok(complaints)
    }
}

/// What went wrong on a connection.
enum Fault {
    /// The server or the connection, in a statement of this name; nothing of a unit was written.
    Server(&'static str, tokio_postgres::Error),
    /// The same, when a unit may have been written.
    Unknown(tokio_postgres::Error),
    /// No answer in time: also unknown.
    Late(&'static str),
    /// We refused before anything was sent, or could not read an answer.
    Ours(DbError),
}

impl Fault {
    /// Two transactions were in each other's way, or a statement's plan grew old: another attempt may succeed.
    fn is_transient(&self) -> bool {
        let Self::Server(_, error) = self else {
            return false;
        };
        error.code().is_some_and(|code| {
            *code == SqlState::T_R_SERIALIZATION_FAILURE
                || *code == SqlState::T_R_DEADLOCK_DETECTED
                || is_stale_plan(code)
        })
    }

    /// The connection broke before anything could be written.
    fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Server(_, error) if is_connection_lost(error))
    }

    /// The connection is of no use any more.
    fn breaks_connection(&self) -> bool {
        match self {
            Self::Server(_, error) => {
                is_connection_lost(error) || error.code().is_some_and(is_stale_plan)
            }
            Self::Unknown(_) | Self::Late(_) => true,
            Self::Ours(_) => false,
        }
    }

    fn describe(self) -> String {
        DbError::from(self).to_string()
    }
}

fn is_stale_plan(code: &SqlState) -> bool {
    *code == SqlState::FEATURE_NOT_SUPPORTED || *code == SqlState::INVALID_SQL_STATEMENT_NAME
}

/// No answer of the server, one that says it is going away, or one that says that it cannot write (after a failover).
fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| {
        let code = code.code();
        code.starts_with("08") || code.starts_with("57P") || code == "25006"
    })
}

impl From<Fault> for DbError {
    fn from(fault: Fault) -> Self {
        let (statement, error) = match fault {
            Fault::Ours(error) => return error,
            Fault::Late(name) => return Self::Unavailable(format!("{name}: no answer in time")),
            Fault::Unknown(error) => {
                return Self::Unavailable(format!("the outcome is unknown: {}", sentence(&error)));
            }
            Fault::Server(statement, error) => (statement, error),
        };
        let detail = sentence(&error);
        let Some(answer) = error.as_db_error() else {
            return Self::Unavailable(format!("{statement}: {detail}"));
        };
        let code = answer.code();
        if *code == SqlState::UNIQUE_VIOLATION || *code == SqlState::FOREIGN_KEY_VIOLATION {
            return Self::Conflict {
                statement,
                detail: answer.constraint().unwrap_or(answer.message()).to_owned(),
            };
        }
        match code.code().get(..2) {
            Some("08" | "25" | "28" | "40" | "53" | "55" | "57" | "58") => {
                Self::Unavailable(format!("{statement}: {detail}"))
            }
            _ => Self::Failed { statement, detail },
        }
    }
}

/// The error without its DETAIL, which would hold values.
fn sentence(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(answer), _) => format!("{} ({})", answer.message(), answer.code().code()),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

async fn run_unit(link: &Link, unit: &Unit) -> Result<Outcome, Fault> {
    let mut prepared = Vec::with_capacity(unit.steps.len());
    for Step { sql, rows, values } in &unit.steps {
        prepared.push(link.prepare(sql, *rows, values).await?);
    }
    let looked = prepared.iter().any(|step| step.guard == Guard::Looked);
    if let ([step], [prepared], false, false) = (&*unit.steps, &*prepared, unit.announce, looked) {
        return run_alone(link, unit, step, prepared).await;
    }
    if looked {
        run_looked_at(link, unit, &prepared).await
    } else {
        run_at_once(link, unit, &prepared).await
    }
}

/// One statement that commits by itself.
async fn run_alone(
    link: &Link,
    unit: &Unit,
    step: &Step,
    prepared: &Prepared,
) -> Result<Outcome, Fault> {
    let result = link.run(step.sql, prepared, &step.values).await;
    judge(unit, [result]).map_err(unknown_if_lost)
}

/// What is sent when it is first polled.
type Flight<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// What a statement answers: the rows that it touched, and those that it returned.
type Ran = Result<(u64, Vec<Row>), Fault>;

/// `BEGIN` and the statements in one flight, then the end by the guards.
async fn run_looked_at(link: &Link, unit: &Unit, prepared: &[Prepared]) -> Result<Outcome, Fault> {
    let end = if unit.announce {
        ANNOUNCE_AND_COMMIT
    } else {
        COMMIT
    };
    let results = fly(flights(link, unit, prepared)).await;
    let outcome = judge_begun(unit, results);
    if matches!(outcome, Ok(Outcome::Committed(_))) {
        link.client.batch_execute(end).await.map_err(commit_fault)?;
    } else if !matches!(&outcome, Err(fault) if fault.breaks_connection())
        && let Err(error) = link.client.batch_execute("ROLLBACK").await
    {
        // Nothing was committed: the server rolls back when the connection ends.
        link.spoil();
        tracing::warn!(%error, "a rollback failed; the connection is replaced");
    }
    outcome
}

/// Everything in one flight: a lost guard is an error, and `COMMIT` after an error is a rollback.
async fn run_at_once(link: &Link, unit: &Unit, prepared: &[Prepared]) -> Result<Outcome, Fault> {
    let mut all = flights(link, unit, prepared);
    let mut send = |text| {
        all.push(Box::pin(async move {
            let done = link.client.batch_execute(text).await;
            done.map(|()| (0, Vec::new())).map_err(commit_fault)
        }));
    };
    // Sent apart: in one message a failed `NOTIFY` would keep the `COMMIT` from ending the transaction.
    if unit.announce {
        send(ANNOUNCE);
    }
    send(COMMIT);
    let mut results = fly(all).await;
    let ends = results.split_off(unit.steps.len().saturating_add(1));
    let outcome = judge_begun(unit, results).map_err(unknown_if_lost)?;
    if matches!(outcome, Outcome::Committed(_)) {
        for end in ends {
            end?;
        }
    }
    Ok(outcome)
}

/// When `COMMIT` was on its way, a lost connection leaves open what became of it.
fn unknown_if_lost(fault: Fault) -> Fault {
    match fault {
        Fault::Server(_, error) if is_connection_lost(&error) => Fault::Unknown(error),
        fault => fault,
    }
}

/// `BEGIN` and the statements of a unit, to be sent in this order.
fn flights<'a>(link: &'a Link, unit: &'a Unit, prepared: &'a [Prepared]) -> Vec<Flight<'a, Ran>> {
    let mut all: Vec<Flight<'a, Ran>> = Vec::with_capacity(unit.steps.len().saturating_add(2));
    all.push(Box::pin(async move {
        let begun = link.client.batch_execute("BEGIN").await;
        begun
            .map(|()| (0, Vec::new()))
            .map_err(|error| Fault::Server("BEGIN", error))
    }));
    for (step, prepared) in unit.steps.iter().zip(prepared) {
        all.push(Box::pin(link.run(step.sql, prepared, &step.values)));
    }
    all
}

/// Sends all at once, in order, and waits for every answer.
async fn fly<T>(mut flights: Vec<Flight<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<_>> = flights.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (flight, result) in flights.iter_mut().zip(&mut results) {
            if result.is_none() {
                match flight.as_mut().poll(context) {
                    Poll::Ready(answer) => *result = Some(answer),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// [`judge`], after the result of `BEGIN`.
fn judge_begun(unit: &Unit, results: Vec<Ran>) -> Result<Outcome, Fault> {
    let mut results = results.into_iter();
    if let Some(begun) = results.next() {
        begun?;
    }
    judge(unit, results)
}

/// The first error, the first lost guard, or the rows.
fn judge(unit: &Unit, results: impl IntoIterator<Item = Ran>) -> Result<Outcome, Fault> {
    // All are looked at: after an error the statements that follow fail too, and after a lost guard they may.
    let mut returned = Vec::with_capacity(unit.steps.len());
    for (index, (step, result)) in unit.steps.iter().zip(results).enumerate() {
        let (count, rows) = match result {
            Err(Fault::Server(_, error)) if error.code() == Some(&SqlState::DIVISION_BY_ZERO) => {
                return Ok(Outcome::Lost { step: index });
            }
            result => result?,
        };
        if step.rows.is_some_and(|expected| expected != count) {
            return Ok(Outcome::Lost { step: index });
        }
        returned.push(rows);
    }
    Ok(Outcome::Committed(returned))
}

/// An error in answer to `COMMIT`: nothing was written only when the server says why.
fn commit_fault(error: tokio_postgres::Error) -> Fault {
    let refused = error
        .code()
        .is_some_and(|code| code.code().starts_with("40") || code.code().starts_with("23"));
    if refused {
        Fault::Server(COMMIT, error)
    } else {
        Fault::Unknown(error)
    }
}

/// The migrations that were applied: their versions and checksums.
async fn read_list(
    client: &tokio_postgres::Client,
) -> Result<Vec<(i64, Vec<u8>)>, tokio_postgres::Error> {
    let rows = client.query(migrate::READ_LIST, &[]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

async fn migrate_one(
    client: &tokio_postgres::Client,
    step: &Migration,
    now: i64,
) -> Result<(), tokio_postgres::Error> {
    let result = async {
        client.batch_execute("BEGIN").await?;
        client.batch_execute(step.text).await?;
        client
            .execute(
                migrate::ADD_TO_LIST,
                &[&step.version, &step.name, &step.checksum(), &now],
            )
            .await?;
        client.batch_execute(COMMIT).await
    };
    result.await
}

async fn check_statement(
    client: &tokio_postgres::Client,
    sql: &'static Sql,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut complaints = Vec::new();
    let statement = client.prepare(sql.text).await?;
    for (index, kind) in statement.params().iter().enumerate() {
        if ![Type::INT8, Type::TEXT, Type::BYTEA].contains(kind) {
            let number = index.saturating_add(1);
            complaints.push(format!("{}: ${number} is of type {kind}", sql.name));
        }
    }
    for column in statement.columns() {
        if !pool::is_shared_type(column.type_()) {
            let (name, kind) = (column.name(), column.type_());
            complaints.push(format!("{}: column {name} is of type {kind}", sql.name));
        }
    }
    if sql.many {
        match together::text_of(sql, statement.params()) {
            Some(text) => drop(client.prepare(&text).await?),
            None => complaints.push(format!("{}: cannot be one of many", sql.name)),
        }
    }
    if sql.hot {
        let nulls = vec!["NULL"; statement.params().len()].join(", ");
        let arguments = if nulls.is_empty() {
            nulls
        } else {
            format!("({nulls})")
        };
        client
            .batch_execute(&format!("PREPARE checked AS {}", sql.text))
            .await?;
        let plan = client
            .simple_query(&format!("EXPLAIN EXECUTE checked{arguments}"))
            .await;
        client.batch_execute("DEALLOCATE checked").await?;
        for message in plan? {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(line) = row.get(0).filter(|line| line.contains("Seq Scan"))
            {
                complaints.push(format!("{}: reads a whole table: {line}", sql.name));
            }
        }
    }
    Ok(complaints)
}

/// Hears the announcements of other processes, for as long as the database is open.
async fn listen(connector: Arc<Connector>, changes: watch::Sender<u64>) {
    let mut pause = LISTEN_PAUSE_MILLISECONDS;
    loop {
        match connector.connect(Some(changes.clone())).await {
            Ok(connection) => match connection.client.batch_execute(LISTEN).await {
                Ok(()) => {
                    pause = LISTEN_PAUSE_MILLISECONDS;
                    // Some may have been missed while nobody listened.
                    announce_change(&changes);
                    // It ends when the connection does.
                    let _ = connection.driver.await;
                }
                Err(error) => tracing::warn!(%error, "cannot listen for changes"),
            },
            Err(error) => tracing::warn!(%error, "cannot listen for changes"),
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = pause.saturating_mul(2).min(LISTEN_PAUSE_MILLISECONDS_MAX);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "connections and units outlive the request that started them; `close` waits for them"
)]
fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}
