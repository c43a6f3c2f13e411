//! The connections: reads share them, a unit has one to itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::super::value::{Cell, Columns};
use super::super::{DbError, QUERY_ROWS_MAX, Row, Sql, Step, Value};
use super::connect::Connector;
use super::{Fault, together};

/// Units that may wait for a connection.
pub(super) const QUEUE_UNITS_MAX: usize = 4096;
/// Time for which a unit waits for a connection.
const QUEUE_MILLISECONDS_MAX: u64 = 5_000;
/// Reads that may share the connections.
pub(super) const READS_MAX: usize = 16_384;
/// Fewer connections than this cannot serve reads while a unit runs.
const CONNECTIONS_MIN: usize = 2;
/// Time for which closing waits for units that run.
const CLOSE_MILLISECONDS_MAX: u64 = 10_000;

/// Limits on the server's side, in case ours is not there to keep them. And plans by key: a plan is made while a table is small and
/// kept while it grows, so none may read a whole table because that is quick now.
const SESSION: &str = "
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '30s';
    SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '30s';
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
";

/// All connections but the listening one.
pub(super) struct Pool {
    connector: Arc<Connector>,
    slots: Box<[Slot]>,
    uses: Mutex<Vec<Use>>,
    /// One fewer than there are connections, so that reads always find one.
    writers: Arc<Semaphore>,
    /// Places for units that wait.
    places: Arc<Semaphore>,
    /// The last read on some connection is over.
    drained: Notify,
    closed: AtomicBool,
}

/// A place for a connection.
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    connecting: tokio::sync::Mutex<()>,
}

/// Who uses a connection.
#[derive(Clone, Copy)]
struct Use {
    readers: usize,
    writing: bool,
}

/// A connection and the statements prepared on it.
pub(super) struct Link {
    pub(super) client: Client,
    statements: Mutex<HashMap<(&'static str, Option<u64>), Prepared>>,
    /// By the addresses of the texts that they are made of. `None`: they cannot be made into one.
    many: Mutex<HashMap<Vec<usize>, Option<Many>>>,
    spoiled: AtomicBool,
}

/// Who sees that a step's guard is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nobody: it has none, or it is an insert, which makes its one row or fails.
    Certain,
    /// The server, which raises an error unless one row is touched: the transaction is undone before its `COMMIT` arrives.
    Raised,
    /// We, by the number of rows, before we send `COMMIT`.
    Looked,
}

impl Guard {
    pub(super) fn of(sql: &Sql, rows: Option<u64>) -> Self {
        match rows {
            None => Self::Certain,
            Some(1) if inserts_one_row(sql) => Self::Certain,
            // What `RETURNING` gives is wanted, so it cannot be counted instead.
            Some(1) if !has_word(sql.text, "RETURNING") => Self::Raised,
            Some(_) => Self::Looked,
        }
    }

    /// A lost guard is a division by zero: no other statement of ours divides.
    fn text(self, sql: &'static Sql) -> Cow<'static, str> {
        if self != Self::Raised {
            return Cow::Borrowed(sql.text);
        }
        let returning = if sql.text.starts_with("SELECT") {
            ""
        } else {
            " RETURNING 1"
        };
        Cow::Owned(format!(
            "WITH touched AS ({}{returning}) SELECT 1 / CASE count(*) WHEN 1 THEN 1 ELSE 0 END FROM touched",
            sql.text
        ))
    }
}

/// Whether a statement inserts a single list of values, or fails.
fn inserts_one_row(sql: &Sql) -> bool {
    let Some((head, tail)) = sql.text.split_once("VALUES") else {
        return false;
    };
    let squeezed: String = tail.split_whitespace().collect();
    head.trim_start().starts_with("INSERT INTO ")
        && !has_word(sql.text, "SELECT")
        && !has_word(sql.text, "CONFLICT")
        && !squeezed.contains("),(")
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .any(|found| found.eq_ignore_ascii_case(word))
}

/// A statement that the server knows on one connection.
#[derive(Clone)]
pub(super) struct Prepared {
    statement: Statement,
    columns: Columns,
    pub(super) guard: Guard,
}

/// A statement over arrays, one for each parameter of those that it is made of.
#[derive(Clone)]
pub(super) struct Many {
    pub(super) statement: Statement,
    /// What the arrays hold.
    pub(super) kinds: Arc<[Type]>,
    /// The columns of a single look-up.
    pub(super) columns: Columns,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, connections: usize) -> Self {
        let count = connections.max(CONNECTIONS_MIN);
        let slot = || Slot {
            link: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(()),
        };
        let free = Use {
            readers: 0,
            writing: false,
        };
        Self {
            connector,
            slots: (0..count).map(|_| slot()).collect(),
            uses: Mutex::new(vec![free; count]),
            writers: Arc::new(Semaphore::new(count.saturating_sub(1))),
            places: Arc::new(Semaphore::new(QUEUE_UNITS_MAX)),
            drained: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// A connection for one read: the least busy one, shared. Units are served from the other end of the list.
    pub(super) fn read(&self) -> Result<ReadLease<'_>, DbError> {
        self.check_open()?;
        let mut uses = self.uses.lock();
        let found = uses
            .iter_mut()
            .enumerate()
            .filter(|(_, used)| !used.writing)
            .min_by_key(|(_, used)| used.readers);
        let (index, used) = found.ok_or(DbError::Busy)?;
        if used.readers >= READS_MAX {
            return Err(DbError::Busy);
        }
        used.readers += 1;
        Ok(ReadLease { pool: self, index })
    }

    /// A place in the queue of units.
    pub(super) fn queue(&self) -> Result<tokio::sync::OwnedSemaphorePermit, DbError> {
        self.check_open()?;
        let places = Arc::clone(&self.places);
        places.try_acquire_owned().map_err(|_| DbError::Busy)
    }

    /// A connection for one unit, which nobody else uses meanwhile.
    pub(super) async fn write(&self) -> Result<WriteLease<'_>, DbError> {
        let limit = Duration::from_millis(QUEUE_MILLISECONDS_MAX);
        let permit = timeout(limit, self.writers.acquire())
            .await
            .map_err(|_| DbError::Busy)?
            .map_err(|_| closed())?;
        let index = {
            let mut uses = self.uses.lock();
            let found = uses
                .iter_mut()
                .enumerate()
                .rev()
                .filter(|(_, used)| !used.writing)
                .min_by_key(|(_, used)| used.readers);
            let (index, used) = found.ok_or(DbError::Busy)?;
            used.writing = true;
            index
        };
        let lease = WriteLease {
            pool: self,
            index,
            _permit: permit,
        };
        // No new read comes to a connection that is taken; those that are there are waited for.
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            let readers = self.uses.lock().get(index).map_or(0, |used| used.readers);
            if readers == 0 {
                return Ok(lease);
            }
            drained.await;
        }
    }

    /// Waits for the units that run, and closes all connections.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let limit = Duration::from_millis(CLOSE_MILLISECONDS_MAX);
        let all = u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX);
        // The queue of permits is fair, so this comes after everything that waits.
        if timeout(limit, self.writers.acquire_many(all))
            .await
            .is_err()
        {
            tracing::warn!("the database is closed while writes still run");
        }
        self.writers.close();
        for slot in &self.slots {
            slot.link.lock().take();
        }
    }

    fn check_open(&self) -> Result<(), DbError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    async fn link(&self, index: usize) -> Result<Arc<Link>, DbError> {
        let slot = self.slots.get(index).ok_or(DbError::Busy)?;
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        let _one_at_a_time = slot.connecting.lock().await;
        if let Some(link) = slot.usable() {
            return Ok(link);
        }
        let client = self.connector.connect(None).await?.client;
        client
            .batch_execute(SESSION)
            .await
            .map_err(|error| Fault::Server("connect", error))?;
        let link = Arc::new(Link {
            client,
            statements: Mutex::new(HashMap::new()),
            many: Mutex::new(HashMap::new()),
            spoiled: AtomicBool::new(false),
        });
        *slot.link.lock() = Some(Arc::clone(&link));
        Ok(link)
    }
}

fn closed() -> DbError {
    DbError::Unavailable("it is closed".to_owned())
}

impl Slot {
    fn usable(&self) -> Option<Arc<Link>> {
        let link = self.link.lock().clone()?;
        let broken = link.client.is_closed() || link.spoiled.load(Ordering::Acquire);
        (!broken).then_some(link)
    }
}

/// A share in a connection, for one read.
pub(super) struct ReadLease<'a> {
    pool: &'a Pool,
    index: usize,
}

impl ReadLease<'_> {
    pub(super) async fn link(&self) -> Result<Arc<Link>, DbError> {
        self.pool.link(self.index).await
    }

    #[expect(clippy::unused_self, reason = "only who holds a lease may discard")]
    pub(super) fn discard(&self, link: &Link) {
        link.spoil();
    }
}

impl Drop for ReadLease<'_> {
    fn drop(&mut self) {
        let mut uses = self.pool.uses.lock();
        if let Some(used) = uses.get_mut(self.index) {
            used.readers = used.readers.saturating_sub(1);
            if used.readers == 0 && used.writing {
                self.pool.drained.notify_waiters();
            }
        }
    }
}

/// A connection, for one unit.
pub(super) struct WriteLease<'a> {
    pool: &'a Pool,
    index: usize,
    _permit: SemaphorePermit<'a>,
}

impl WriteLease<'_> {
    pub(super) async fn link(&self) -> Result<Arc<Link>, DbError> {
        self.pool.link(self.index).await
    }

    #[expect(clippy::unused_self, reason = "only who holds a lease may discard")]
    pub(super) fn discard(&self, link: &Link) {
        link.spoil();
    }
}

impl Drop for WriteLease<'_> {
    fn drop(&mut self) {
        if let Some(used) = self.pool.uses.lock().get_mut(self.index) {
            used.writing = false;
        }
    }
}

impl Link {
    /// Nobody takes this connection again; it closes when the last who holds it lets go.
    pub(super) fn spoil(&self) {
        self.spoiled.store(true, Ordering::Release);
    }

    /// Prepares a statement that must touch so many rows, once a connection, and refuses values that do not fit it.
    pub(super) async fn prepare(
        &self,
        sql: &'static Sql,
        rows: Option<u64>,
        values: &[Value<'_>],
    ) -> Result<Prepared, Fault> {
        let prepared = self.prepared(sql, rows).await?;
        check_values(sql, prepared.statement.params(), values)?;
        Ok(prepared)
    }

    async fn prepare_first(&self, sql: &'static Sql, rows: Option<u64>) -> Result<Prepared, Fault> {
        let guard = Guard::of(sql, rows);
        let statement = self.client.prepare(&guard.text(sql)).await;
        let statement = statement.map_err(|error| Fault::Server(sql.name, error))?;
        let columns = match guard {
            // It is executed, not read.
            Guard::Raised => Columns::default(),
            Guard::Certain | Guard::Looked => statement
                .columns()
                .iter()
                .map(|column| Box::from(column.name()))
                .collect(),
        };
        let prepared = Prepared {
            statement,
            columns,
            guard,
        };
        let key = (sql.text, rows);
        self.statements.lock().insert(key, prepared.clone());
        Ok(prepared)
    }

    /// A read over arrays, once a connection; `None` when it cannot be written so.
    pub(super) async fn many_looks(&self, sql: &'static Sql) -> Result<Option<Many>, Fault> {
        let key = vec![sql.text.as_ptr().addr()];
        let known = self.many.lock().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let one = self.prepared(sql, None).await?;
        let kinds: Arc<[Type]> = one.statement.params().into();
        let text = together::text_of_looks(sql, &kinds);
        self.prepare_many(key, text, kinds, one.columns).await
    }

    /// Units of these steps over arrays, once a connection; `None` when they cannot be written so.
    pub(super) async fn many_units(&self, steps: &[Step]) -> Result<Option<Many>, Fault> {
        let key: Vec<usize> = steps.iter().map(|s| s.sql.text.as_ptr().addr()).collect();
        let known = self.many.lock().get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let mut kinds = Vec::new();
        for Step { sql, rows, .. } in steps {
            let one = self.prepared(sql, *rows).await?;
            kinds.extend_from_slice(one.statement.params());
        }
        let text = together::text_of_units(steps, &kinds);
        self.prepare_many(key, text, kinds.into(), Columns::default())
            .await
    }

    async fn prepare_many(
        &self,
        key: Vec<usize>,
        text: Option<String>,
        kinds: Arc<[Type]>,
        columns: Columns,
    ) -> Result<Option<Many>, Fault> {
        let many = match text {
            None => None,
            Some(text) => match self.client.prepare(&text).await {
                Ok(statement) => Some(Many {
                    statement,
                    kinds,
                    columns,
                }),
                Err(error) => return Err(Fault::Server("several", error)),
            },
        };
        self.many.lock().insert(key, many.clone());
        Ok(many)
    }

    async fn prepared(&self, sql: &'static Sql, rows: Option<u64>) -> Result<Prepared, Fault> {
        let known = self.statements.lock().get(&(sql.text, rows)).cloned();
        match known {
            Some(prepared) => Ok(prepared),
            None => self.prepare_first(sql, rows).await,
        }
    }

    pub(super) async fn query(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<(u64, Vec<Row>), Fault> {
        let prepared = self.prepare(sql, None, values).await?;
        self.run(sql, &prepared, values).await
    }

    /// Runs one statement, sent when first polled: the rows that it touched, and those that it returned.
    pub(super) async fn run(
        &self,
        sql: &'static Sql,
        prepared: &Prepared,
        values: &[Value<'_>],
    ) -> Result<(u64, Vec<Row>), Fault> {
        let failed = |error| Fault::Server(sql.name, error);
        let Prepared {
            statement, columns, ..
        } = prepared;
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        if columns.is_empty() {
            let count = self.client.execute(statement, &values).await;
            return Ok((count.map_err(failed)?, Vec::new()));
        }
        let found = self
            .client
            .query(statement, &values)
            .await
            .map_err(failed)?;
        if found.len() > QUERY_ROWS_MAX {
            return Err(Fault::Ours(DbError::Rejected {
                statement: sql.name,
                detail: format!("more than {QUERY_ROWS_MAX} rows"),
            }));
        }
        let rows: Vec<Row> = found
            .iter()
            .map(|row| read_row(sql, columns, row, 0))
            .collect::<Result<_, _>>()?;
        Ok((u64::try_from(rows.len()).unwrap_or(u64::MAX), rows))
    }
}

/// Refuses a wrong number of values, and a value of another type than the parameter's: nothing is converted.
pub(super) fn check_values(
    sql: &'static Sql,
    kinds: &[Type],
    values: &[Value<'_>],
) -> Result<(), Fault> {
    let refuse = |detail| {
        Err(Fault::Ours(DbError::Rejected {
            statement: sql.name,
            detail,
        }))
    };
    if kinds.len() != values.len() {
        return refuse(format!(
            "{} values for {} parameters",
            values.len(),
            kinds.len()
        ));
    }
    for (index, (kind, value)) in kinds.iter().zip(values).enumerate() {
        let fits = match value {
            Value::Null => true,
            Value::Int(_) => *kind == Type::INT8,
            Value::Text(_) => *kind == Type::TEXT || *kind == Type::VARCHAR,
            Value::Blob(_) | Value::Id(_) | Value::Digest(_) => *kind == Type::BYTEA,
        };
        if !fits {
            let number = index.saturating_add(1);
            return refuse(format!(
                "${number} is of type {kind}, the value is {value:?}"
            ));
        }
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        _kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Int(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::Text(value) => out.extend_from_slice(value.as_bytes()),
            Self::Blob(value) => out.extend_from_slice(value),
            Self::Id(value) => out.extend_from_slice(value),
            Self::Digest(value) => out.extend_from_slice(value),
        }
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        // `check_values` has looked before anything was sent.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Whether a column of this type can be read: the shared three, and what literals and comparisons come out as.
pub(super) fn is_shared_type(kind: &Type) -> bool {
    [Type::INT8, Type::INT4, Type::BOOL, Type::TEXT, Type::BYTEA].contains(kind)
}

/// The row, without so many columns at its beginning.
pub(super) fn read_row(
    sql: &'static Sql,
    columns: &Columns,
    row: &tokio_postgres::Row,
    without: usize,
) -> Result<Row, Fault> {
    let mut cells = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate().skip(without) {
        let cell = read_cell(row, index, column.type_()).map_err(|detail| {
            Fault::Ours(DbError::Corrupt {
                statement: sql.name,
                column: column.name().to_owned(),
                detail,
            })
        })?;
        cells.push(cell.unwrap_or(Cell::Null));
    }
    Ok(Row {
        statement: sql.name,
        columns: Arc::clone(columns),
        cells,
    })
}

fn read_cell(row: &tokio_postgres::Row, index: usize, kind: &Type) -> Result<Option<Cell>, String> {
    let cell = match *kind {
        Type::INT8 => row.try_get(index).map(|v: Option<i64>| v.map(Cell::Int)),
        Type::INT4 => row
            .try_get(index)
            .map(|v: Option<i32>| v.map(|v| Cell::Int(v.into()))),
        Type::BOOL => row
            .try_get(index)
            .map(|v: Option<bool>| v.map(|v| Cell::Int(v.into()))),
        Type::TEXT => row
            .try_get(index)
            .map(|v: Option<&str>| v.map(|v| Cell::Text(v.into()))),
        Type::BYTEA => row
            .try_get(index)
            .map(|v: Option<&[u8]>| v.map(|v| Cell::Blob(v.into()))),
        _ => return Err(format!("a value of type {kind}")),
    };
    cell.map_err(|error| error.to_string())
}
