//! Where the database is: a file of ours, or a server.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DbError;

/// Connections to the server when nothing else is said.
pub(super) const CONNECTIONS_DEFAULT: usize = 8;
/// The file in a data folder when nothing else is said.
pub(super) const FILE_DEFAULT: &str = "vestibule.db";

/// Where the database is and how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseOptions {
    /// A file that one process owns.
    Sqlite {
        /// The folder; it is created when missing, and holds the lock file too.
        folder: PathBuf,
        /// The file's name in it.
        file: String,
    },
    /// A server that many processes may use.
    Postgres {
        /// `postgres://user:password@host/database?sslmode=…`; without `sslmode` a connection over a network is
        /// encrypted and the server's certificate and name are verified.
        url: String,
        /// PEM certificates of a private authority, trusted besides the system's.
        ca_file: Option<PathBuf>,
        /// Connections kept for requests, at least 2.
        connections: usize,
    },
}

impl DatabaseOptions {
    /// Reads a setting: `postgres://…`, a file, or a folder that exists or ends in a slash.
    ///
    /// Errors: [`DbError::Options`] for another kind of URL or an empty setting.
    pub fn parse(setting: &str) -> Result<Self, DbError> {
        if setting.starts_with("postgres://") || setting.starts_with("postgresql://") {
            return Ok(Self::Postgres {
                url: setting.to_owned(),
                ca_file: None,
                connections: CONNECTIONS_DEFAULT,
            });
        }
        let path = setting.strip_prefix("sqlite:").unwrap_or(setting);
        if path.is_empty() || path.contains("://") {
            return Err(DbError::Options(
                "the setting is neither `postgres://…` nor a path to a file or folder".to_owned(),
            ));
        }
        let path = Path::new(path);
        if setting.ends_with('/') || path.is_dir() {
            return Ok(Self::in_folder(path));
        }
        let file = path.file_name().and_then(|name| name.to_str());
        let file = file.ok_or_else(|| DbError::Options("the path names no file".to_owned()))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self::Sqlite {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            file: file.to_owned(),
        })
    }

    /// A file with the usual name in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::Sqlite {
            folder: folder.to_owned(),
            file: FILE_DEFAULT.to_owned(),
        }
    }

    /// Trusts a private authority too, where the database is reached over a network.
    #[must_use]
    pub fn with_ca_file(mut self, path: Option<PathBuf>) -> Self {
        if let Self::Postgres { ca_file, .. } = &mut self {
            *ca_file = path;
        }
        self
    }

    /// Keeps this many connections, where there are connections.
    #[must_use]
    pub fn with_connections(mut self, count: usize) -> Self {
        if let Self::Postgres { connections, .. } = &mut self {
            *connections = count;
        }
        self
    }

    /// Whether only one process at a time may open it.
    pub fn is_exclusive(&self) -> bool {
        matches!(self, Self::Sqlite { .. })
    }
}

/// Leaves the URL out: it may hold a password.
impl fmt::Debug for DatabaseOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { folder, file } => f
                .debug_struct("Sqlite")
                .field("folder", folder)
                .field("file", file)
                .finish(),
            Self::Postgres { connections, .. } => f
                .debug_struct("Postgres")
                .field("connections", connections)
                .finish_non_exhaustive(),
        }
    }
}
