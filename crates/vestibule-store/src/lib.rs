//! The records of Vestibule, on `SQLite` and on `PostgreSQL`.
//!
//! [`db`] is the only module that names an engine; the others hold the statements of one kind of record each, written once for
//! both. Request code reads through a [`TenantStore`], whose every statement starts with the tenant's id, and writes a
//! [`TenantUnit`]: a list of guarded statements that happen together or not at all. What crosses tenants stands in [`installation`]
//! and [`tenants`] and says `any_` in its name.

pub mod accounts;
pub mod api_keys;
pub mod cli_attempts;
pub mod clients;
pub mod db;
pub mod docs_sites;
pub mod grants;
pub mod installation;
pub mod keys;
pub mod providers;
pub mod reader_sessions;
pub mod sessions;
pub mod sweep;
pub mod tenants;
pub mod tokens;
pub mod trusted_domains;
pub mod upstream;
pub mod users;

use db::{Db, DbError, Migration, Outcome, Row, Sql, Unit, Value};
use vestibule_core::id::TenantId;
use vestibule_core::time::Timestamp;

/// Every step of the schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "front door",
        text: include_str!("../migrations/0001_front_door.sql"),
    },
    Migration {
        version: 2,
        name: "broker",
        text: include_str!("../migrations/0002_broker.sql"),
    },
    Migration {
        version: 3,
        name: "docs",
        text: include_str!("../migrations/0003_docs.sql"),
    },
];

/// Every statement, for the test that prepares them all on both engines.
pub const STATEMENTS: &[&[Sql]] = &[
    accounts::ALL,
    api_keys::ALL,
    cli_attempts::ALL,
    clients::ALL,
    docs_sites::ALL,
    grants::ALL,
    installation::ALL,
    keys::ALL,
    providers::ALL,
    reader_sessions::ALL,
    sessions::ALL,
    sweep::ALL,
    tenants::ALL,
    tokens::ALL,
    trusted_domains::ALL,
    upstream::ALL,
    users::ALL,
];

/// The records of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Db,
}

impl Store {
    /// Brings the schema up to date and takes the database.
    pub async fn open(db: Db, now: Timestamp) -> Result<Self, DbError> {
        db.migrate(MIGRATIONS, now.seconds()).await?;
        Ok(Self { db })
    }

    /// The records of one tenant.
    pub fn tenant(&self, id: TenantId) -> TenantStore<'_> {
        TenantStore {
            db: &self.db,
            tenant: id,
        }
    }

    /// The database, for announcements, health and the end.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Writes units of one or several tenants as one.
    pub async fn commit(&self, unit: TenantUnit) -> Result<Committed, DbError> {
        commit(&self.db, unit).await
    }
}

/// The records of one tenant.
#[derive(Clone, Copy)]
pub struct TenantStore<'a> {
    db: &'a Db,
    tenant: TenantId,
}

impl TenantStore<'_> {
    /// The tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// A unit of writes in this tenant that writes nothing yet.
    pub fn unit(&self) -> TenantUnit {
        TenantUnit::new(self.tenant)
    }

    /// Writes a unit, whole or not at all.
    pub async fn commit(&self, unit: TenantUnit) -> Result<Committed, DbError> {
        commit(self.db, unit).await
    }
}

async fn commit(db: &Db, unit: TenantUnit) -> Result<Committed, DbError> {
    Ok(match db.commit(unit.unit).await? {
        Outcome::Committed(_) => Committed::Yes,
        Outcome::Lost { .. } => Committed::Lost,
    })
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// All of it is written.
    Yes,
    /// A guard saw another state than the decision was made on: nothing is written; read and decide again.
    Lost,
}

impl Committed {
    /// Whether it is written.
    pub fn won(self) -> bool {
        self == Self::Yes
    }
}

/// The writes of one decision in one tenant. The methods that add to it stand with the records they write.
#[derive(Clone, Debug)]
pub struct TenantUnit {
    tenant: TenantId,
    unit: Unit,
}

impl TenantUnit {
    /// A unit that writes nothing yet.
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            unit: Unit::new(),
        }
    }

    /// The same unit, going on in another tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = tenant;
        self
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.unit.is_empty()
    }

    fn expect<'a>(
        mut self,
        sql: &'static Sql,
        values: impl IntoIterator<Item = Value<'a>>,
    ) -> Self {
        self.unit = self.unit.expect(sql, 1, values);
        self
    }

    fn run<'a>(mut self, sql: &'static Sql, values: impl IntoIterator<Item = Value<'a>>) -> Self {
        self.unit = self.unit.run(sql, values);
        self
    }

    fn id(&self) -> [u8; 16] {
        *self.tenant.bytes()
    }
}

/// A row that no version of this program wrote: the statement, the column, and what is wrong.
fn corrupt(statement: &Sql, column: &str, detail: impl std::fmt::Display) -> DbError {
    DbError::Corrupt {
        statement: statement.name,
        column: column.to_owned(),
        detail: detail.to_string(),
    }
}

/// Reads a JSON column.
fn json<T: serde::de::DeserializeOwned>(
    row: &Row,
    column: usize,
    statement: &Sql,
    name: &str,
) -> Result<T, DbError> {
    serde_json::from_str(row.text(column)?).map_err(|error| corrupt(statement, name, error))
}

/// Writes a JSON column. The types that we store have string keys and no failing parts.
fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
