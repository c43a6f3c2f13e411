//! What waits at the same time goes to the server together: one statement over arrays for all that are alike.
//!
//! Nobody waits for company: what arrives while a statement is on its way is the next one. Reads that are alike become one
//! look-up over a table of their parameters. Units that are alike become one statement that commits by itself; unless every
//! guard of every one of them holds it is undone, and then each is written alone, which decides for it.
//!
//! What this module does not do: it tries nothing twice. What does not succeed here goes the way of a single one.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::super::{DbError, HOLD, Outcome, Row, Sql, Step, Unit, Value};
use super::pool::{Guard, Link, Many, QUEUE_UNITS_MAX, READS_MAX, check_values, read_row};
use super::{
    Database, Fault, Flight, READ_MILLISECONDS_MAX, UNIT_MILLISECONDS_MAX, fly, unknown_if_lost,
};

/// Reads or units in one statement.
const TOGETHER_MAX: usize = 64;
/// Statements of each of the two kinds that may be on their way.
const FLIGHTS_MAX: usize = 2;
/// What stands between an `UPDATE` and its condition.
const WHERE: &str = " WHERE ";

/// What waits to be taken up together.
pub(super) struct Waiting<T> {
    queue: Mutex<Queue<T>>,
    most: usize,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    flights: usize,
}

/// A read that waits. Whoever waits for it and hears nothing reads alone.
pub(super) struct Look {
    sql: &'static Sql,
    values: Vec<Value<'static>>,
    reply: oneshot::Sender<Vec<Row>>,
}

/// A unit that waits.
pub(super) struct Writing {
    unit: Unit,
    reply: oneshot::Sender<Written>,
}

/// What became of a unit among others.
enum Written {
    Done(Result<Outcome, DbError>),
    /// Nothing was written; it must be tried alone.
    Alone(Unit),
}

impl Waiting<Look> {
    pub(super) fn looks() -> Self {
        Self::new(READS_MAX)
    }
}

impl Waiting<Writing> {
    pub(super) fn units() -> Self {
        Self::new(QUEUE_UNITS_MAX)
    }
}

impl<T> Waiting<T> {
    fn new(most: usize) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            flights: 0,
        };
        Self {
            queue: Mutex::new(queue),
            most,
        }
    }

    /// Adds one, and says whether somebody has to fly.
    fn join(&self, one: T) -> Result<bool, DbError> {
        let mut queue = self.queue.lock();
        if queue.waiting.len() >= self.most {
            return Err(DbError::Busy);
        }
        queue.waiting.push_back(one);
        let is_first = queue.flights < FLIGHTS_MAX;
        if is_first {
            queue.flights += 1;
        }
        Ok(is_first)
    }

    /// The oldest that waits and what may go with it. With nothing left the flight is over.
    fn take(&self, goes_with: impl Fn(&T, &T) -> bool) -> Option<Vec<T>> {
        let mut queue = self.queue.lock();
        let Some(first) = queue.waiting.pop_front() else {
            queue.flights -= 1;
            return None;
        };
        let mut taken = vec![first];
        let mut left = VecDeque::new();
        while taken.len() < TOGETHER_MAX
            && let Some(one) = queue.waiting.pop_front()
        {
            if taken.first().is_some_and(|first| goes_with(first, &one)) {
                taken.push(one);
            } else {
                left.push_back(one);
            }
        }
        left.append(&mut queue.waiting);
        queue.waiting = left;
        Some(taken)
    }
}

impl Database {
    /// Reads rows together with others that do.
    pub(super) async fn look(
        self: Arc<Self>,
        sql: &'static Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DbError> {
        let (reply, answer) = oneshot::channel();
        let look = Look {
            sql,
            values: values.iter().map(|v| v.clone().into_owned()).collect(),
            reply,
        };
        if self.looks.join(look)? {
            super::spawn(fly_looks(Arc::clone(&self)));
        }
        match answer.await {
            Ok(rows) => Ok(rows),
            Err(_) => self.look_alone(sql, values).await,
        }
    }

    /// Writes a unit together with others like it.
    pub(super) async fn write(self: Arc<Self>, unit: Unit) -> Result<Outcome, DbError> {
        let (reply, answer) = oneshot::channel();
        if self.units.join(Writing { unit, reply })? {
            super::spawn(fly_units(Arc::clone(&self)));
        }
        match answer.await {
            Ok(Written::Done(result)) => result,
            Ok(Written::Alone(unit)) => self.write_alone(unit).await,
            Err(_) => Err(DbError::Unavailable("it is closed".to_owned())),
        }
    }
}

/// Whether units like this one may be written together.
pub(super) fn is_many(unit: &Unit) -> bool {
    !unit.announce
        && unit
            .steps
            .iter()
            .all(|step| step.sql.many && step.rows == Some(1))
}

fn is_same(one: &Sql, other: &Sql) -> bool {
    std::ptr::eq(one.text, other.text)
}

async fn fly_looks(database: Arc<Database>) {
    // Requests that were read from their sockets at the same time get as far as we are.
    tokio::task::yield_now().await;
    while let Some(batch) = database.looks.take(|_, _| true) {
        // An error drops what waits, and each then reads alone.
        let Ok(lease) = database.pool.read() else {
            continue;
        };
        let Ok(link) = lease.link().await else {
            continue;
        };
        let limit = Duration::from_millis(READ_MILLISECONDS_MAX);
        let is_broken = match timeout(limit, look_all(&link, batch)).await {
            Ok(faults) => faults.iter().any(Fault::breaks_connection),
            Err(_) => true,
        };
        if is_broken {
            lease.discard(&link);
        }
    }
}

/// One statement for each kind, all on their way at once.
async fn look_all(link: &Link, mut batch: Vec<Look>) -> Vec<Fault> {
    batch.sort_by_key(|look| look.sql.text.as_ptr().addr());
    let mut flights: Vec<Flight<'_, Result<(), Fault>>> = Vec::new();
    while let Some(first) = batch.first() {
        let sql = first.sql;
        let count = batch.partition_point(|look| is_same(look.sql, sql));
        let others = batch.split_off(count.max(1));
        flights.push(Box::pin(look_alike(link, sql, batch)));
        batch = others;
    }
    fly(flights)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

async fn look_alike(link: &Link, sql: &'static Sql, looks: Vec<Look>) -> Result<(), Fault> {
    if let [look] = &*looks {
        let (_, rows) = link.query(sql, &look.values).await?;
        answer(looks, [rows]);
        return Ok(());
    }
    let Some(many) = link.many_looks(sql).await? else {
        return Ok(());
    };
    for look in &looks {
        check_values(sql, &many.kinds, &look.values)?;
    }
    let rows = looks.iter().map(|look| &*look.values);
    let columns = columns_of(&many, rows);
    let found = link
        .client
        .query(&many.statement, &parameters(&columns))
        .await
        .map_err(|error| Fault::Server(sql.name, error))?;
    let mut answers: Vec<Vec<Row>> = looks.iter().map(|_| Vec::new()).collect();
    for row in &found {
        let number: i64 = row
            .try_get(0)
            .map_err(|error| Fault::Server(sql.name, error))?;
        let place = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
        if let Some(rows) = place.and_then(|place| answers.get_mut(place)) {
            rows.push(read_row(sql, &many.columns, row, 1)?);
        }
    }
    answer(looks, answers);
    Ok(())
}

fn answer(looks: Vec<Look>, answers: impl IntoIterator<Item = Vec<Row>>) {
    for (look, rows) in looks.into_iter().zip(answers) {
        // The caller may be gone.
        let _ = look.reply.send(rows);
    }
}

async fn fly_units(database: Arc<Database>) {
    let is_alike = |one: &Writing, other: &Writing| {
        let (one, other) = (&one.unit.steps, &other.unit.steps);
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a.sql, b.sql))
    };
    tokio::task::yield_now().await;
    while let Some(mut batch) = database.units.take(is_alike) {
        // A caller that went away before its unit is begun takes it back.
        batch.retain(|writing| !writing.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        let result = match database.pool.write().await {
            Ok(lease) => match lease.link().await {
                Ok(link) => {
                    let limit = Duration::from_millis(UNIT_MILLISECONDS_MAX);
                    let result = timeout(limit, write_alike(&link, &batch)).await;
                    let result = result.unwrap_or(Err(Fault::Late("unit")));
                    if result.as_ref().is_err_and(Fault::breaks_connection) {
                        lease.discard(&link);
                    }
                    result
                }
                Err(_) => Ok(false),
            },
            Err(_) => Ok(false),
        };
        settle(batch, result);
    }
}

/// Tells everybody: it is written, it must be tried alone, or nobody knows.
fn settle(batch: Vec<Writing>, result: Result<bool, Fault>) {
    let unknown = match result {
        Ok(true) => {
            for Writing { unit, reply } in batch {
                let rows = unit.steps.iter().map(|_| Vec::new()).collect();
                // The caller may be gone by now; the unit is done all the same.
                let _ = reply.send(Written::Done(Ok(Outcome::Committed(rows))));
            }
            return;
        }
        Err(fault @ (Fault::Unknown(_) | Fault::Late(_))) => Some(fault.describe()),
        Ok(false) | Err(_) => None,
    };
    for Writing { unit, reply } in batch {
        let _ = reply.send(match &unknown {
            Some(detail) => Written::Done(Err(DbError::Unavailable(detail.clone()))),
            None => Written::Alone(unit),
        });
    }
}

/// Writes all of them or none: `false` when they cannot be written so.
async fn write_alike(link: &Link, batch: &[Writing]) -> Result<bool, Fault> {
    let Some(first) = batch.first() else {
        return Ok(false);
    };
    let Some(many) = link.many_units(&first.unit.steps).await? else {
        return Ok(false);
    };
    for Writing { unit, .. } in batch {
        let mut kinds = &*many.kinds;
        for Step { sql, values, .. } in &unit.steps {
            let Some((own, others)) = kinds.split_at_checked(values.len()) else {
                return Ok(false);
            };
            check_values(sql, own, values)?;
            kinds = others;
        }
        if !kinds.is_empty() {
            return Ok(false);
        }
    }
    let rows: Vec<Vec<&Value<'static>>> = batch
        .iter()
        .map(|writing| writing.unit.steps.iter().flat_map(|s| &s.values).collect())
        .collect();
    let columns = columns_of_refs(&many, &rows);
    let parameters = parameters(&columns);
    match link.client.execute(&many.statement, &parameters).await {
        Ok(_) => Ok(true),
        Err(error) => Err(unknown_if_lost(Fault::Server("unit", error))),
    }
}

/// A statement over arrays, as a look-up or as a unit of its own.
pub(super) fn text_of(sql: &'static Sql, kinds: &[Type]) -> Option<String> {
    if sql.text.starts_with("SELECT") && !sql.text.ends_with(HOLD) {
        return text_of_looks(sql, kinds);
    }
    let step = Step {
        sql,
        rows: Some(1),
        values: vec![Value::Null; kinds.len()],
    };
    text_of_units(&[step], kinds)
}

/// A look-up over arrays: the number of the one who looks, from 1, and then the row.
pub(super) fn text_of_looks(sql: &Sql, kinds: &[Type]) -> Option<String> {
    let names = names(kinds.len());
    // Behind `OFFSET 0` it is planned as one look-up: otherwise its tables may be joined to the parameters in any order.
    Some(format!(
        "SELECT q.n, r.* FROM {} WITH ORDINALITY AS q({names}, n) CROSS JOIN LATERAL ({} OFFSET 0) AS r",
        unnest(kinds)?,
        renamed(sql.text, 0)?
    ))
}

/// Units over arrays: an error unless each guard of each of them holds. `None` when a step cannot be written so.
pub(super) fn text_of_units(steps: &[Step], kinds: &[Type]) -> Option<String> {
    let mut text = format!(
        "WITH q AS (SELECT * FROM {} AS q({}))",
        unnest(kinds)?,
        names(kinds.len())
    );
    let mut guards = Vec::new();
    let mut before = 0;
    for (index, Step { sql, rows, values }) in steps.iter().enumerate() {
        let own = renamed(sql.text, before)?;
        before += values.len();
        let guard = Guard::of(sql, *rows);
        let over = if guard == Guard::Certain {
            let (head, values) = own.split_once("VALUES")?;
            let values = values.trim().strip_prefix('(')?.strip_suffix(')')?;
            format!("{head}SELECT {values} FROM q")
        } else if guard == Guard::Raised && sql.text.starts_with("UPDATE ") {
            let (head, condition) = own.split_once(WHERE)?;
            format!("{head} FROM q{WHERE}{condition} RETURNING 1")
        } else if guard == Guard::Raised && sql.text.ends_with(HOLD) {
            format!("SELECT 1 FROM q CROSS JOIN LATERAL ({own}) AS held")
        } else {
            return None;
        };
        let _ = write!(text, ", s{index} AS ({over})");
        if guard == Guard::Raised {
            guards.push(format!(
                "(SELECT count(*) FROM s{index}) = (SELECT count(*) FROM q)"
            ));
        }
    }
    if guards.is_empty() {
        text.push_str(" SELECT 1");
    } else {
        let _ = write!(
            text,
            " SELECT 1 / CASE WHEN {} THEN 1 ELSE 0 END",
            guards.join(" AND ")
        );
    }
    Some(text)
}

fn names(count: usize) -> String {
    let names: Vec<String> = (1..=count).map(|number| format!("p{number}")).collect();
    names.join(", ")
}

fn unnest(kinds: &[Type]) -> Option<String> {
    let mut arrays = Vec::with_capacity(kinds.len());
    for (number, kind) in (1..).zip(kinds) {
        let kind = match *kind {
            Type::INT8 => "bigint",
            Type::TEXT => "text",
            Type::BYTEA => "bytea",
            _ => return None,
        };
        arrays.push(format!("${number}::{kind}[]"));
    }
    (!arrays.is_empty()).then(|| format!("unnest({})", arrays.join(", ")))
}

/// The text with `q.p3` for `$3`, or for `$1` when two parameters stand before its own.
fn renamed(text: &str, before: usize) -> Option<String> {
    let mut parts = text.split('$');
    let mut renamed = parts.next()?.to_owned();
    for part in parts {
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        let (number, rest) = part.split_at_checked(end)?;
        let number: usize = number.parse().ok()?;
        let _ = write!(renamed, "q.p{}{rest}", before.checked_add(number)?);
    }
    Some(renamed)
}

/// The values of one parameter, in the order of those who wait: an array.
#[derive(Debug)]
struct Column<'a> {
    kind: &'a Type,
    values: Vec<&'a Value<'static>>,
}

fn columns_of<'a>(
    many: &'a Many,
    rows: impl Iterator<Item = &'a [Value<'static>]>,
) -> Vec<Column<'a>> {
    let rows: Vec<Vec<&Value<'static>>> = rows.map(|row| row.iter().collect()).collect();
    columns_of_refs(many, &rows)
}

fn columns_of_refs<'a>(many: &'a Many, rows: &[Vec<&'a Value<'static>>]) -> Vec<Column<'a>> {
    let kinds = many.kinds.iter().enumerate();
    kinds
        .map(|(index, kind)| Column {
            kind,
            values: rows
                .iter()
                .filter_map(|row| row.get(index).copied())
                .collect(),
        })
        .collect()
}

fn parameters<'a>(columns: &'a [Column<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    columns.iter().map(|column| column as _).collect()
}

impl ToSql for Column<'_> {
    fn to_sql(
        &self,
        _kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // One dimension, NULLs possible, the elements' type, their number, counted from 1.
        out.put_i32(1);
        out.put_i32(1);
        out.put_u32(self.kind.oid());
        out.put_i32(i32::try_from(self.values.len())?);
        out.put_i32(1);
        for value in &self.values {
            match value.wire_length() {
                None => out.put_i32(-1),
                Some(length) => {
                    out.put_i32(i32::try_from(length)?);
                    value.to_sql(self.kind, out)?;
                }
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        // `check_values` has looked before anything was sent.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl Value<'_> {
    /// The bytes that it takes on the wire; `None` for no value.
    fn wire_length(&self) -> Option<usize> {
        match self {
            Self::Null => None,
            Self::Int(_) => Some(8),
            Self::Text(text) => Some(text.len()),
            other => other.bytes().map(<[u8]>::len),
        }
    }
}
