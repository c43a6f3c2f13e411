//! Where the floor server keeps its rows: the best that we know to do with each engine, without any of the server's rules.
//!
//! SQLite: one writer thread, one commit for all that waits (`synchronous=FULL`), reads on a connection of their own.
//! PostgreSQL: four connections that each write all that waits in one statement, and two that read so.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;

use rusqlite::{Connection, params};
use tokio::sync::{Notify, oneshot};
use tokio_postgres::{Client, NoTls};

pub const ID_BYTES: usize = 16;
type Id = [u8; ID_BYTES];

const BATCH_MAX: usize = 256;
const POSTGRES_WRITERS: usize = 4;
const POSTGRES_READERS: usize = 2;
const POSTGRES_BATCH_MAX: usize = 64;

/// What a row holds besides its id: a digest and the text of an authorization.
const DIGEST: [u8; 32] = [7; 32];
const TEXT: &str = r#"{"scope":"openid profile email","user_id":"0123456789abcdef0123456789abcdef","client_id":"bench-web","claims":{},"auth_time":1767225600,"amr":["pwd"]}"#;

const CREATE: &str = "CREATE TABLE floor (id BLOB PRIMARY KEY, digest BLOB NOT NULL, authorization_text TEXT NOT NULL, expires_at BIGINT NOT NULL, redeemed_at BIGINT)";
const INSERT: &str = "INSERT INTO floor VALUES (?1, ?2, ?3, 1767225600, NULL)";
const UPDATE: &str =
    "UPDATE floor SET redeemed_at = 1767225600 WHERE id = ?1 AND redeemed_at IS NULL";
const SELECT: &str = "SELECT digest, authorization_text FROM floor WHERE id = ?1";

/// What is committed whole.
#[derive(Debug)]
pub struct Unit {
    pub inserts: Vec<Id>,
    pub updates: Vec<Id>,
}

type Waiting = (Unit, oneshot::Sender<()>);

pub enum Records {
    Sqlite {
        reader: RefCell<Connection>,
        writer: mpsc::Sender<Waiting>,
    },
    Postgres {
        looks: Rc<Queue<Vec<Id>>>,
        units: Rc<Queue<Unit>>,
    },
}

/// What waits to be taken up together, each with whom to tell when it is done.
pub struct Queue<T> {
    waiting: RefCell<VecDeque<(T, oneshot::Sender<()>)>>,
    more: Notify,
}

impl<T> Queue<T> {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            waiting: RefCell::default(),
            more: Notify::new(),
        })
    }

    async fn wait_for(&self, one: T) -> Result<(), String> {
        let (done, wait) = oneshot::channel();
        self.waiting.borrow_mut().push_back((one, done));
        self.more.notify_one();
        wait.await.map_err(|_| "the records failed".to_owned())
    }

    /// All that waits, once something does.
    async fn take(&self) -> Vec<(T, oneshot::Sender<()>)> {
        loop {
            let batch: Vec<_> = {
                let mut waiting = self.waiting.borrow_mut();
                let count = waiting.len().min(POSTGRES_BATCH_MAX);
                waiting.drain(..count).collect()
            };
            if !batch.is_empty() {
                return batch;
            }
            self.more.notified().await;
        }
    }
}

impl Records {
    /// Opens an empty table. Must be called inside a local set.
    pub async fn open(folder: &Path, database: Option<&str>) -> Result<Self, String> {
        match database {
            None => Self::open_sqlite(folder).map_err(|error| error.to_string()),
            Some(url) => Self::open_postgres(url)
                .await
                .map_err(|error| error.to_string()),
        }
    }

    /// Looks rows up by their primary keys.
    pub async fn look(&self, ids: &[Id]) -> Result<(), String> {
        match self {
            Self::Sqlite { reader, .. } => {
                let reader = reader.borrow();
                let mut select = reader
                    .prepare_cached(SELECT)
                    .map_err(|error| error.to_string())?;
                for id in ids {
                    let found: (Vec<u8>, String) = select
                        .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
                        .map_err(|error| error.to_string())?;
                    std::hint::black_box(found);
                }
                Ok(())
            }
            Self::Postgres { looks, .. } => looks.wait_for(ids.to_vec()).await,
        }
    }

    /// Writes a unit; it is safe on disk when this returns.
    pub async fn write(&self, unit: Unit) -> Result<(), String> {
        match self {
            Self::Sqlite { writer, .. } => {
                let (done, wait) = oneshot::channel();
                writer
                    .send((unit, done))
                    .map_err(|error| error.to_string())?;
                wait.await.map_err(|_| "the records failed".to_owned())
            }
            Self::Postgres { units, .. } => units.wait_for(unit).await,
        }
    }

    fn open_sqlite(folder: &Path) -> rusqlite::Result<Self> {
        let path = folder.join("floor.sqlite");
        let open = || {
            let connection = Connection::open(&path)?;
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            connection.execute_batch(
                "PRAGMA synchronous = FULL; PRAGMA cache_size = -16000; PRAGMA mmap_size = 268435456; PRAGMA wal_autocheckpoint = 8000;",
            )?;
            Ok::<_, rusqlite::Error>(connection)
        };
        let connection = open()?;
        connection.execute_batch(&format!("{CREATE} WITHOUT ROWID"))?;
        let reader = open()?;
        let (writer, waiting) = mpsc::channel();
        std::thread::spawn(move || {
            if let Err(error) = write_sqlite(&connection, &waiting) {
                eprintln!("floor: {error}");
            }
        });
        Ok(Self::Sqlite {
            reader: RefCell::new(reader),
            writer,
        })
    }

    async fn open_postgres(url: &str) -> Result<Self, tokio_postgres::Error> {
        let client = connect(url).await?;
        client
            .batch_execute(&CREATE.replace("BLOB", "BYTEA"))
            .await?;
        let (looks, units) = (Queue::new(), Queue::new());
        for _ in 0..POSTGRES_READERS {
            let (client, looks) = (connect(url).await?, Rc::clone(&looks));
            tokio::task::spawn_local(async move {
                if let Err(error) = read_postgres(&client, &looks).await {
                    eprintln!("floor: {error}");
                }
            });
        }
        for _ in 0..POSTGRES_WRITERS {
            let (client, units) = (connect(url).await?, Rc::clone(&units));
            tokio::task::spawn_local(async move {
                if let Err(error) = write_postgres(&client, &units).await {
                    eprintln!("floor: {error}");
                }
            });
        }
        Ok(Self::Postgres { looks, units })
    }
}

fn write_sqlite(
    connection: &Connection,
    waiting: &mpsc::Receiver<Waiting>,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare(INSERT)?;
    let mut update = connection.prepare(UPDATE)?;
    let mut begin = connection.prepare("BEGIN IMMEDIATE")?;
    let mut commit = connection.prepare("COMMIT")?;
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            match waiting.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        begin.execute([])?;
        for (unit, _) in &batch {
            for id in &unit.updates {
                update.execute(params![id])?;
            }
            for id in &unit.inserts {
                insert.execute(params![id, DIGEST, TEXT])?;
            }
        }
        commit.execute([])?;
        for (_, done) in batch {
            let _ = done.send(());
        }
    }
    Ok(())
}

async fn read_postgres(
    client: &Client,
    looks: &Queue<Vec<Id>>,
) -> Result<(), tokio_postgres::Error> {
    let select = client
        .prepare("SELECT id, digest, authorization_text FROM floor WHERE id = ANY($1::BYTEA[])")
        .await?;
    loop {
        let batch = looks.take().await;
        let ids: Vec<&[u8]> = batch
            .iter()
            .flat_map(|(ids, _)| ids)
            .map(Id::as_slice)
            .collect();
        for row in &client.query(&select, &[&ids]).await? {
            std::hint::black_box((row.get::<_, Vec<u8>>(1), row.get::<_, String>(2)));
        }
        for (_, done) in batch {
            let _ = done.send(());
        }
    }
}

async fn write_postgres(client: &Client, units: &Queue<Unit>) -> Result<(), tokio_postgres::Error> {
    let write = client
        .prepare(
            "WITH redeemed AS (UPDATE floor SET redeemed_at = 1767225600 WHERE id = ANY($1::BYTEA[]) AND redeemed_at IS NULL) \
             INSERT INTO floor SELECT id, $3::BYTEA, $4::TEXT, 1767225600, NULL FROM unnest($2::BYTEA[]) AS id",
        )
        .await?;
    loop {
        let batch = units.take().await;
        let all = |of: fn(&Unit) -> &Vec<Id>| -> Vec<&[u8]> {
            batch
                .iter()
                .flat_map(|(unit, _)| of(unit))
                .map(<[u8; ID_BYTES]>::as_slice)
                .collect()
        };
        let updates = all(|unit| &unit.updates);
        let inserts = all(|unit| &unit.inserts);
        client
            .execute(&write, &[&updates, &inserts, &DIGEST.as_slice(), &TEXT])
            .await?;
        for (_, done) in batch {
            let _ = done.send(());
        }
    }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::task::spawn_local(async move {
        if let Err(error) = connection.await {
            eprintln!("floor: {error}");
        }
    });
    Ok(client)
}
