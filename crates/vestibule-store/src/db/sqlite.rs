//! `SQLite`: one process, one writing thread, many readers.
//!
//! The writing thread owns the only connection that writes. It takes units from a bounded queue and commits those that
//! wait together in one transaction, each in a savepoint once one of them fails; only after that commit is anybody told. Nobody waits for a
//! batch to fill: a lone unit pays for one commit, and what arrives meanwhile is the next batch. Readers see the last
//! commit and never wait for the writer.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use tokio::sync::{oneshot, watch};

use super::value::{Cell, Columns};
use super::{
    DbError, HOLD, Migrated, Migration, Outcome, QUERY_ROWS_MAX, Row, Sql, Step, Unit, Value,
    announce_change, migrate,
};

/// Units that may wait for the writing thread.
const QUEUE_UNITS_MAX: usize = 4096;
/// Units committed together.
const BATCH_UNITS_MAX: usize = 256;
/// Time for which a batch takes in more units.
const BATCH_MILLISECONDS_MAX: u64 = 5;
/// Quiet time after which the log is copied into the file.
const IDLE_MILLISECONDS: u64 = 1000;
/// Size of the log above which it is copied at once and emptied.
const LOG_BYTES_MAX: u64 = 64 << 20;
/// Batches between two looks at the size of the log.
const LOG_LOOK_BATCHES: u32 = 256;
/// Prepared statements kept by each connection.
const STATEMENTS_KEPT_MAX: usize = 512;
/// Reading connections kept open.
const READERS_KEPT_MAX: usize = 64;
/// The first version without the corruption of a log that is reset while another connection writes.
const VERSION_MIN: i32 = 3_051_003;
/// Says which process owns the file.
const LOCK_FILE: &str = "vestibule.lock";

const PRAGMAS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA cache_size = -16000;
    PRAGMA mmap_size = 268435456;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA wal_autocheckpoint = 8000;
";

/// A reader sees the file itself through its mapping; what it keeps is only what the log holds. There may be many readers.
const READER_PRAGMAS: &str = "
    PRAGMA query_only = ON;
    PRAGMA cache_size = -4000;
";

/// The file, its writing thread and its readers.
pub(super) struct Database {
    path: PathBuf,
    jobs: SyncSender<Job>,
    readers: Mutex<Vec<Link>>,
    closed: AtomicBool,
}

/// What the writing thread is asked to do.
enum Job {
    Unit(Unit, Reply),
    /// Runs between two batches.
    Call(Box<dyn FnOnce(&mut Link) + Send>),
    Stop(oneshot::Sender<()>),
}

type Reply = oneshot::Sender<Result<Outcome, DbError>>;

/// A unit of a batch and what became of it, if the batch is committed.
type Done = (Unit, Reply, Result<Outcome, DbError>);

impl Database {
    pub(super) fn open(
        folder: &Path,
        file: &str,
        changes: watch::Sender<u64>,
    ) -> Result<Self, DbError> {
        if rusqlite::version_number() < VERSION_MIN {
            return Err(DbError::Options(format!(
                "SQLite {} is too old: 3.51.3 is the first without the corruption of a reset log",
                rusqlite::version()
            )));
        }
        let lock = lock(folder)?;
        let path = folder.join(file);
        private_file(&path)
            .map_err(|error| DbError::Options(format!("{}: {error}", path.display())))?;
        let mut link = Link::open(&path)?;
        link.start_writer()?;
        let (sender, jobs) = sync_channel(QUEUE_UNITS_MAX);
        let writer = Writer {
            link,
            jobs,
            held: None,
            changes,
            log: log_path(&path),
            dirty: false,
            batches: 0,
            lock,
        };
        std::thread::Builder::new()
            .name("database".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| DbError::Unavailable(error.to_string()))?;
        Ok(Self {
            path,
            jobs: sender,
            readers: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        })
    }

    pub(super) fn query(
        &self,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let mut reader = self.reader()?;
        let result = reader.run(sql, values).map(|(_, rows)| rows);
        let mut readers = self.readers.lock();
        if readers.len() < READERS_KEPT_MAX && !self.closed.load(Ordering::Acquire) {
            readers.push(reader);
        }
        result
    }

    pub(super) async fn commit(&self, unit: Unit) -> Result<Outcome, DbError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Unit(unit, reply))?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn migrate(
        &self,
        migrations: &'static [Migration],
        now: i64,
    ) -> Result<Migrated, DbError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Call(Box::new(move |link| {
            // The caller may be gone; the migration is then complete all the same.
            let _ = reply.send(link.migrate(migrations, now));
        })))?;
        answer.await.map_err(|_| closed())?
    }

    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.readers.lock().clear();
        let (reply, stopped) = oneshot::channel();
        let jobs = self.jobs.clone();
        // The queue may be full, and then this waits for its turn. An error means that the thread has stopped already.
        let _ = tokio::task::spawn_blocking(move || jobs.send(Job::Stop(reply))).await;
        let _ = stopped.await;
    }

    pub(super) fn check_statements(
        &self,
        statements: &'static [Sql],
    ) -> Result<Vec<String>, DbError> {
        let reader = self.reader()?;
        Ok(statements
            .iter()
            .flat_map(|sql| reader.check_statement(sql))
            .collect())
    }

    fn reader(&self) -> Result<Link, DbError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let kept = self.readers.lock().pop();
        kept.map_or_else(|| Link::open_reader(&self.path), Ok)
    }

    fn send(&self, job: Job) -> Result<(), DbError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => DbError::Busy,
            TrySendError::Disconnected(_) => closed(),
        })
    }
}

fn closed() -> DbError {
    DbError::Unavailable("it is closed".to_owned())
}

/// Takes the lock that makes this process the owner; it lasts as long as the file stays open.
fn lock(folder: &Path) -> Result<File, DbError> {
    let path = folder.join(LOCK_FILE);
    let failed = |error: std::io::Error| DbError::Options(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = private_file(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DbError::InUse { lock: path }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Opens or creates a file that only our user may read; the log beside a database takes its mode from it.
fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let file = options.mode(0o600).open(path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

fn log_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

/// The writing thread.
struct Writer {
    link: Link,
    jobs: Receiver<Job>,
    /// A job that ended a batch and is not done yet.
    held: Option<Job>,
    changes: watch::Sender<u64>,
    log: PathBuf,
    /// Something was committed since the log was last copied.
    dirty: bool,
    batches: u32,
    lock: File,
}

impl Writer {
    fn run(mut self) {
        let mut stopped = None;
        while let Some(job) = self.next() {
            match job {
                Job::Unit(unit, reply) => self.batch(unit, reply),
                Job::Call(call) => {
                    call(&mut self.link);
                    self.dirty = true;
                }
                Job::Stop(reply) => {
                    stopped = Some(reply);
                    break;
                }
            }
        }
        let Self {
            link, lock, jobs, ..
        } = self;
        link.tidy("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);");
        // The file is closed before the lock is given up, and both before anybody hears that we stopped.
        drop((link, jobs));
        drop(lock);
        if let Some(reply) = stopped {
            let _ = reply.send(());
        }
    }

    /// Waits for the next job; `None` once nobody can send another.
    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.held.take() {
            return Some(job);
        }
        if self.dirty {
            match self
                .jobs
                .recv_timeout(Duration::from_millis(IDLE_MILLISECONDS))
            {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.link.tidy("PRAGMA wal_checkpoint(PASSIVE);");
                    self.dirty = false;
                }
            }
        }
        self.jobs.recv().ok()
    }

    /// The next unit that waits already and whose caller still wants it.
    fn waiting(&mut self) -> Option<(Unit, Reply)> {
        loop {
            match self.jobs.try_recv().ok()? {
                Job::Unit(_, reply) if reply.is_closed() => {}
                Job::Unit(unit, reply) => return Some((unit, reply)),
                other => {
                    self.held = Some(other);
                    return None;
                }
            }
        }
    }

    fn batch(&mut self, unit: Unit, reply: Reply) {
        if reply.is_closed() {
            return;
        }
        if let Err(error) = self.link.control("BEGIN IMMEDIATE") {
            // Outside a transaction a RELEASE would commit, so nothing is run.
            let _ = reply.send(Err(error));
            return;
        }
        match self.waiting() {
            None => self.alone(&unit, reply),
            Some(second) => self.together((unit, reply), second),
        }
        self.dirty = true;
        self.batches = self.batches.wrapping_add(1);
        if self.batches.is_multiple_of(LOG_LOOK_BATCHES)
            && std::fs::metadata(&self.log).is_ok_and(|log| log.len() > LOG_BYTES_MAX)
        {
            self.link.tidy("PRAGMA wal_checkpoint(TRUNCATE);");
        }
    }

    /// One unit in the transaction that is open: it needs no savepoint.
    fn alone(&mut self, unit: &Unit, reply: Reply) {
        let result = self.link.run_unit(unit);
        let result = match result {
            Ok(Outcome::Committed(rows)) => self.link.commit().map(|()| Outcome::Committed(rows)),
            other => {
                self.link.abandon();
                other
            }
        };
        if unit.announce && matches!(result, Ok(Outcome::Committed(_))) {
            announce_change(&self.changes);
        }
        let _ = reply.send(result);
    }

    /// All units that wait, in the transaction that is open. Most win, and then none needs a savepoint; when one does not, all are
    /// undone and run again, each in a savepoint.
    fn together(&mut self, first: (Unit, Reply), second: (Unit, Reply)) {
        let limit = Duration::from_millis(BATCH_MILLISECONDS_MAX);
        let mut started = now();
        let mut next = VecDeque::from([first, second]);
        let mut done: Vec<Done> = Vec::with_capacity(BATCH_UNITS_MAX);
        let mut is_careful = false;
        let mut failed = None;
        while let Some((unit, reply)) = next.pop_front().or_else(|| {
            let may_grow = done.len() < BATCH_UNITS_MAX && started.elapsed() < limit;
            may_grow.then(|| self.waiting()).flatten()
        }) {
            let result = if is_careful {
                self.link.run_in_savepoint(&unit)
            } else {
                self.link.run_unit(&unit)
            };
            let is_won = matches!(result, Ok(Outcome::Committed(_)));
            let is_gone = self.link.connection.is_autocommit();
            let is_unavailable = matches!(result, Err(DbError::Unavailable(_)));
            if is_careful && (is_gone || is_unavailable) {
                // A full disk or a failing one takes the whole transaction with it.
                failed = Some(result.as_ref().err().map_or_else(
                    || "the transaction was rolled back".to_owned(),
                    ToString::to_string,
                ));
            }
            done.push((unit, reply, result));
            if failed.is_some() {
                break;
            }
            if !is_careful && !is_won {
                self.link.abandon();
                let again = done.drain(..).map(|(unit, reply, _)| (unit, reply));
                next = again.chain(next).collect();
                if let Err(error) = self.link.control("BEGIN IMMEDIATE") {
                    failed = Some(error.to_string());
                    break;
                }
                is_careful = true;
                started = now();
            }
        }
        done.extend(
            next.into_iter()
                .map(|(unit, reply)| (unit, reply, Err(closed()))),
        );
        if failed.is_none() {
            failed = self.link.commit().err().map(|error| error.to_string());
        } else {
            self.link.abandon();
        }
        self.settle(done, failed.as_deref());
    }

    /// Tells everybody of a batch what became of their units.
    fn settle(&self, done: Vec<Done>, failed: Option<&str>) {
        let is_told =
            |(unit, _, result): &Done| unit.announce && matches!(result, Ok(Outcome::Committed(_)));
        if failed.is_none() && done.iter().any(is_told) {
            announce_change(&self.changes);
        }
        for (_, reply, result) in done {
            // What a unit saw in a transaction that failed is not true: a lost guard is unknown too.
            let result = match failed {
                Some(detail) => Err(DbError::Unavailable(detail.to_owned())),
                None => result,
            };
            let _ = reply.send(result);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long a batch lasts")]
fn now() -> Instant {
    Instant::now()
}

/// A connection and what it remembers of its statements.
struct Link {
    connection: Connection,
    /// By the address and length of the text, which is a constant: cheaper to hash than the text.
    shapes: HashMap<(usize, usize), Shape>,
}

/// What stays the same of a statement whenever it runs.
struct Shape {
    columns: Columns,
    /// For each parameter, in the order in which `SQLite` numbers them, the place of its value.
    places: Box<[usize]>,
}

impl Link {
    fn open(path: &Path) -> Result<Self, DbError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| failure("open", &error))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
        connection
            .execute_batch(PRAGMAS)
            .map_err(|error| failure("open", &error))?;
        // Otherwise a plan depends on the values that were bound when it was made, and each run with other values makes it anew.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
            .map_err(|error| failure("open", &error))?;
        Ok(Self {
            connection,
            shapes: HashMap::new(),
        })
    }

    fn open_reader(path: &Path) -> Result<Self, DbError> {
        let link = Self::open(path)?;
        link.connection
            .execute_batch(READER_PRAGMAS)
            .map_err(|error| failure("open", &error))?;
        Ok(link)
    }

    fn start_writer(&mut self) -> Result<(), DbError> {
        let mode: String = self
            .connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(|error| failure("open", &error))?;
        if mode == "wal" {
            Ok(())
        } else {
            Err(DbError::Options(format!(
                "the file system allows no write-ahead log (the mode stays `{mode}`)"
            )))
        }
    }

    /// Runs one statement: the rows that it touched, and those that it returned.
    fn run(&mut self, sql: &'static Sql, values: &[Value<'_>]) -> Result<(u64, Vec<Row>), DbError> {
        let failed = |error| failure(sql.name, &error);
        let mut statement = self.connection.prepare_cached(words(sql)).map_err(failed)?;
        let shape = match self
            .shapes
            .entry((sql.text.as_ptr().addr(), sql.text.len()))
        {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(Shape::of(sql, &statement)?),
        };
        bind(sql, &mut statement, &shape.places, values)?;
        if shape.columns.is_empty() {
            let count = statement.raw_execute().map_err(failed)?;
            return Ok((u64::try_from(count).unwrap_or(u64::MAX), Vec::new()));
        }
        let (columns, width) = (Arc::clone(&shape.columns), shape.columns.len());
        let mut rows = Vec::new();
        let mut found = statement.raw_query();
        while let Some(row) = found.next().map_err(failed)? {
            if rows.len() >= QUERY_ROWS_MAX {
                return Err(DbError::Rejected {
                    statement: sql.name,
                    detail: format!("more than {QUERY_ROWS_MAX} rows"),
                });
            }
            let mut cells = Vec::with_capacity(width);
            for index in 0..width {
                let value = row.get_ref(index).map_err(failed)?;
                cells.push(cell(value).map_err(|detail| {
                    DbError::Corrupt {
                        statement: sql.name,
                        column: columns
                            .get(index)
                            .map_or_else(String::new, ToString::to_string),
                        detail: detail.to_owned(),
                    }
                })?);
            }
            rows.push(Row {
                statement: sql.name,
                columns: Arc::clone(&columns),
                cells,
            });
        }
        Ok((u64::try_from(rows.len()).unwrap_or(u64::MAX), rows))
    }

    /// Runs the steps of a unit; the caller undoes them unless the outcome is `Committed`.
    fn run_unit(&mut self, unit: &Unit) -> Result<Outcome, DbError> {
        let mut results = Vec::with_capacity(unit.steps.len());
        for (step, Step { sql, rows, values }) in unit.steps.iter().enumerate() {
            let (count, returned) = self.run(sql, values)?;
            if rows.is_some_and(|expected| expected != count) {
                return Ok(Outcome::Lost { step });
            }
            results.push(returned);
        }
        Ok(Outcome::Committed(results))
    }

    fn run_in_savepoint(&mut self, unit: &Unit) -> Result<Outcome, DbError> {
        self.control("SAVEPOINT unit")?;
        let result = self.run_unit(unit);
        if self.connection.is_autocommit() {
            return result;
        }
        if !matches!(result, Ok(Outcome::Committed(_))) {
            self.control("ROLLBACK TO unit")?;
        }
        self.control("RELEASE unit")?;
        result
    }

    fn commit(&mut self) -> Result<(), DbError> {
        self.control("COMMIT").inspect_err(|_| self.abandon())
    }

    /// Rolls back what is open, if anything is.
    fn abandon(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.control("ROLLBACK")
        {
            tracing::error!(%error, "the database refuses a rollback");
        }
    }

    /// Runs a statement of transaction control. An error here is never the caller's fault.
    fn control(&self, text: &'static str) -> Result<(), DbError> {
        self.connection
            .prepare_cached(text)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(|error| DbError::Unavailable(format!("{text}: {error}")))
    }

    /// Housekeeping: when it fails it is tried again later.
    fn tidy(&self, text: &str) {
        if let Err(error) = self.connection.execute_batch(text) {
            tracing::warn!(%error, "housekeeping of the database failed");
        }
    }

    fn migrate(&mut self, migrations: &'static [Migration], now: i64) -> Result<Migrated, DbError> {
        let failed = |error: rusqlite::Error| DbError::Schema(error.to_string());
        self.connection
            .execute_batch(&migrate::for_sqlite(migrate::CREATE_LIST))
            .map_err(failed)?;
        let applied = self.applied().map_err(failed)?;
        let missing = migrate::missing(migrations, &applied)?;
        for step in missing {
            self.migrate_one(step, now).map_err(|error| {
                self.abandon();
                DbError::Schema(format!(
                    "migration {} ({}): {error}",
                    step.version, step.name
                ))
            })?;
        }
        self.connection.flush_prepared_statement_cache();
        self.shapes.clear();
        let last = missing.last().map(|step| step.version);
        Ok(Migrated {
            applied: missing.len(),
            version: last
                .or(applied.last().map(|(version, _)| *version))
                .unwrap_or(0),
        })
    }

    fn applied(&self) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
        self.connection
            .prepare(migrate::READ_LIST)?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    fn migrate_one(&self, step: &Migration, now: i64) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        self.connection
            .execute_batch(&migrate::for_sqlite(step.text))?;
        self.connection.execute(
            migrate::ADD_TO_LIST,
            rusqlite::params![step.version, step.name, step.checksum(), now],
        )?;
        self.connection.execute_batch("COMMIT")
    }

    fn check_statement(&self, sql: &Sql) -> Vec<String> {
        let mut complaints = Vec::new();
        let statement = match self.connection.prepare(words(sql)) {
            Ok(statement) => statement,
            Err(error) => return vec![format!("{}: {error}", sql.name)],
        };
        let count = statement.parameter_count();
        let mut numbers: Vec<_> = (1..=count)
            .filter_map(|index| parameter_number(statement.parameter_name(index)))
            .collect();
        numbers.sort_unstable();
        if !numbers.into_iter().eq(1..=count) {
            complaints.push(format!(
                "{}: its parameters are not $1 to ${count}",
                sql.name
            ));
        }
        if sql.hot {
            match self.plan(sql) {
                Ok(plan) => complaints.extend(
                    whole_table_scans(&plan)
                        .map(|line| format!("{}: reads a whole table: {line}", sql.name)),
                ),
                Err(error) => complaints.push(format!("{}: {error}", sql.name)),
            }
        }
        complaints
    }

    fn plan(&self, sql: &Sql) -> rusqlite::Result<Vec<String>> {
        self.connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", words(sql)))?
            .raw_query()
            .mapped(|row| row.get(3))
            .collect()
    }
}

/// A statement in our words: units come one after the other here, so that a row is held by looking at it.
fn words(sql: &Sql) -> &'static str {
    sql.text.strip_suffix(HOLD).unwrap_or(sql.text)
}

/// The lines of a plan that read all of a table or of an index. Rows that the statement made itself may be read whole.
fn whole_table_scans(plan: &[String]) -> impl Iterator<Item = &String> {
    let own: Vec<&str> = plan
        .iter()
        .filter_map(|line| {
            line.strip_prefix("CO-ROUTINE ")
                .or_else(|| line.strip_prefix("MATERIALIZE "))
        })
        .collect();
    plan.iter().filter(move |line| {
        line.strip_prefix("SCAN ").is_some_and(|what| {
            let name = what.split(' ').next().unwrap_or_default();
            !(what.contains("CONSTANT ROW")
                || what.contains("VALUES CLAUSE")
                || name.starts_with('(')
                || own.contains(&name))
        })
    })
}

/// `$3` is 3. For `SQLite` it is a name, numbered by where it first stands.
fn parameter_number(name: Option<&str>) -> Option<usize> {
    name?.strip_prefix('$')?.parse().ok()
}

impl Shape {
    fn of(sql: &'static Sql, statement: &rusqlite::Statement<'_>) -> Result<Self, DbError> {
        let count = statement.parameter_count();
        let places = (1..=count).map(|index| {
            parameter_number(statement.parameter_name(index))
                .and_then(|number| number.checked_sub(1))
                .filter(|place| *place < count)
                .ok_or_else(|| DbError::Rejected {
                    statement: sql.name,
                    detail: format!("parameter {index} is not one of $1 to ${count}"),
                })
        });
        Ok(Self {
            places: places.collect::<Result<_, _>>()?,
            columns: statement.column_names().map(Box::from).collect(),
        })
    }
}

fn bind(
    sql: &'static Sql,
    statement: &mut rusqlite::CachedStatement<'_>,
    places: &[usize],
    values: &[Value<'_>],
) -> Result<(), DbError> {
    if places.len() != values.len() {
        return Err(DbError::Rejected {
            statement: sql.name,
            detail: format!("{} values for {} parameters", values.len(), places.len()),
        });
    }
    let bound = places.iter().filter_map(|place| values.get(*place));
    for (index, value) in (1..).zip(bound) {
        statement
            .raw_bind_parameter(index, value)
            .map_err(|error| failure(sql.name, &error))?;
    }
    Ok(())
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
            Self::Id(value) => ValueRef::Blob(value),
            Self::Digest(value) => ValueRef::Blob(value),
        }))
    }
}

fn cell(value: ValueRef<'_>) -> Result<Cell, &'static str> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(bytes) => Cell::Text(
            std::str::from_utf8(bytes)
                .map_err(|_| "a text that is not UTF-8")?
                .into(),
        ),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.into()),
        ValueRef::Real(_) => return Err("a floating-point number"),
    })
}

fn failure(statement: &'static str, error: &rusqlite::Error) -> DbError {
    let detail = error.to_string();
    let Some(code) = error.sqlite_error() else {
        return DbError::Failed { statement, detail };
    };
    match (code.code, code.extended_code) {
        (
            _,
            ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID
            | ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
        ) => DbError::Conflict { statement, detail },
        (
            ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::ApiMisuse
            | ErrorCode::TooBig
            | ErrorCode::Unknown,
            _,
        ) => DbError::Failed { statement, detail },
        _ => DbError::Unavailable(format!("{statement}: {detail}")),
    }
}
