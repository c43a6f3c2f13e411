//! The steps of the schema: which are missing, and whether those applied are the ones we know.
//!
//! A step is written in `PostgreSQL`'s words (`BIGINT`, `BYTEA`, `TEXT`); for `SQLite` the words are replaced and every table
//! is made STRICT. Steps only go forward, and one that was released is never changed: its checksum is kept beside it.

use aws_lc_rs::digest;

use super::DbError;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number; numbers rise.
    pub version: i64,
    /// Its name, for people.
    pub name: &'static str,
    /// Its statements, each ended by a semicolon.
    pub text: &'static str,
}

impl Migration {
    pub(super) fn checksum(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, self.text.as_bytes())
            .as_ref()
            .to_vec()
    }
}

/// The list of the steps that were applied, in `PostgreSQL`'s words.
pub(super) const CREATE_LIST: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    checksum BYTEA NOT NULL,
    applied_at BIGINT NOT NULL
);";
pub(super) const READ_LIST: &str =
    "SELECT version, checksum FROM schema_migrations ORDER BY version";
pub(super) const ADD_TO_LIST: &str =
    "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";

/// Refuses a list of steps whose numbers do not rise.
pub(super) fn check_order(migrations: &[Migration]) -> Result<(), DbError> {
    let rising = migrations
        .iter()
        .zip(migrations.iter().skip(1))
        .all(|(step, next)| step.version < next.version);
    if rising {
        Ok(())
    } else {
        Err(DbError::Schema(
            "the versions of the migrations do not rise".to_owned(),
        ))
    }
}

/// The steps that were not applied yet. `applied` holds versions and checksums, in order.
pub(super) fn missing<'a>(
    migrations: &'a [Migration],
    applied: &[(i64, Vec<u8>)],
) -> Result<&'a [Migration], DbError> {
    for (index, (version, checksum)) in applied.iter().enumerate() {
        let Some(step) = migrations.get(index) else {
            return Err(DbError::Schema(format!(
                "the database has migration {version}, which this program does not know; use a newer program"
            )));
        };
        if step.version != *version {
            return Err(DbError::Schema(format!(
                "the database has migration {version} where this program has {} ({})",
                step.version, step.name
            )));
        }
        if step.checksum() != *checksum {
            return Err(DbError::Schema(format!(
                "migration {version} ({}) was changed after it was applied",
                step.name
            )));
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}

/// The same statements in `SQLite`'s words: other type names, and STRICT after each table.
pub(super) fn for_sqlite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut words: Vec<String> = Vec::new();
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, after) = rest.split_at(length);
        rest = after;
        match first {
            c if c.is_ascii_alphabetic() || c == '_' => {
                if words.len() < 2 {
                    words.push(token.to_ascii_uppercase());
                }
                out.push_str(sqlite_word(token));
                continue;
            }
            '(' => depth = depth.saturating_add(1),
            ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && words == ["CREATE", "TABLE"] {
                    out.push_str(") STRICT");
                    continue;
                }
            }
            ';' => words.clear(),
            _ => {}
        }
        out.push_str(token);
    }
    out
}

/// A type's name in `SQLite`; any other word stays as it is.
fn sqlite_word(word: &str) -> &str {
    match word {
        "BIGINT" => "INTEGER",
        "BYTEA" => "BLOB",
        other => other,
    }
}

/// The length of a word, a quoted piece, a comment, or one character.
fn token_length(text: &str, first: char) -> usize {
    let quoted = |quote: char| {
        text.char_indices()
            .skip(1)
            .find(|(_, c)| *c == quote)
            .map_or(text.len(), |(index, c)| index.saturating_add(c.len_utf8()))
    };
    if first == '\'' || first == '"' {
        return quoted(first);
    }
    if text.starts_with("--") {
        return quoted('\n');
    }
    if first.is_ascii_alphabetic() || first == '_' {
        return text
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(text.len());
    }
    first.len_utf8()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_replaced_and_tables_are_strict() {
        let text = "-- BIGINT (\nCREATE TABLE t (a BIGINT PRIMARY KEY, b BYTEA CHECK (b <> 'BYTEA;')); CREATE INDEX i ON t (b);";
        assert_eq!(
            for_sqlite(text),
            "-- BIGINT (\nCREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB CHECK (b <> 'BYTEA;')) STRICT; CREATE INDEX i ON t (b);"
        );
    }
}
