//! What goes into a statement and what comes out: values, rows and their cells.
//!
//! Three types are common to both engines: 64-bit integers, texts and bytes. A value of another type, a missing one, or
//! an id of another length is an error that names the statement and the column; nothing is ever cut or converted.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{DbError, Sql, VALUE_BYTES_MAX};

/// A value for a statement's parameter.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A BIGINT; times are seconds since 1970.
    Int(i64),
    /// A TEXT without NUL.
    Text(Cow<'a, str>),
    /// A BYTEA of any length.
    Blob(Cow<'a, [u8]>),
    /// A BYTEA of 16 bytes.
    Id([u8; 16]),
    /// A BYTEA of 32 bytes.
    Digest([u8; 32]),
}

impl Value<'_> {
    /// The same value, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(value),
            Self::Text(value) => Value::Text(Cow::Owned(value.into_owned())),
            Self::Blob(value) => Value::Blob(Cow::Owned(value.into_owned())),
            Self::Id(value) => Value::Id(value),
            Self::Digest(value) => Value::Digest(value),
        }
    }

    /// The bytes of a blob, an id or a digest.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Blob(value) => Some(value),
            Self::Id(value) => Some(value),
            Self::Digest(value) => Some(value),
            Self::Null | Self::Int(_) | Self::Text(_) => None,
        }
    }
}

/// Shows the kind alone: values can be secrets.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int",
            Self::Text(_) => "Text",
            Self::Blob(_) => "Blob",
            Self::Id(_) => "Id",
            Self::Digest(_) => "Digest",
        })
    }
}

macro_rules! value_from {
    ($($from:ty, $value:ident => $to:expr;)+) => {
        $(
            impl<'a> From<$from> for Value<'a> {
                fn from($value: $from) -> Self {
                    $to
                }
            }
        )+
    };
}

value_from! {
    i64, value => Self::Int(value);
    &'a i64, value => Self::Int(*value);
    i32, value => Self::Int(value.into());
    u32, value => Self::Int(value.into());
    &'a str, value => Self::Text(Cow::Borrowed(value));
    &'a String, value => Self::Text(Cow::Borrowed(value));
    String, value => Self::Text(Cow::Owned(value));
    Cow<'a, str>, value => Self::Text(value);
    &'a [u8], value => Self::Blob(Cow::Borrowed(value));
    &'a Vec<u8>, value => Self::Blob(Cow::Borrowed(value));
    Vec<u8>, value => Self::Blob(Cow::Owned(value));
    Cow<'a, [u8]>, value => Self::Blob(value);
    [u8; 16], value => Self::Id(value);
    &'a [u8; 16], value => Self::Id(*value);
    [u8; 32], value => Self::Digest(value);
    &'a [u8; 32], value => Self::Digest(*value);
    &'a Option<String>, value => value.as_deref().map_or(Self::Null, Into::into);
    &'a Option<Vec<u8>>, value => value.as_deref().map_or(Self::Null, Into::into);
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Refuses what one engine would accept and the other would not.
pub(super) fn check(sql: &'static Sql, values: &[Value<'_>]) -> Result<(), DbError> {
    let refuse = |index: usize, detail: String| {
        Err(DbError::Rejected {
            statement: sql.name,
            detail: format!("${}: {detail}", index.saturating_add(1)),
        })
    };
    for (index, value) in values.iter().enumerate() {
        let length = match value {
            Value::Text(text) if text.contains('\0') => {
                return refuse(index, "a text with a NUL".to_owned());
            }
            Value::Text(text) => text.len(),
            other => other.bytes().map_or(0, <[u8]>::len),
        };
        if length > VALUE_BYTES_MAX {
            return refuse(index, format!("more than {VALUE_BYTES_MAX} bytes"));
        }
    }
    Ok(())
}

/// What one column of a row holds.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(Box<str>),
    Blob(Box<[u8]>),
}

impl Cell {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        }
    }
}

/// The names of a result's columns, shared by its rows.
pub(super) type Columns = Arc<[Box<str>]>;

/// One row of a result. Columns are counted from 0.
#[derive(Clone)]
pub struct Row {
    pub(super) statement: &'static str,
    pub(super) columns: Columns,
    pub(super) cells: Vec<Cell>,
}

/// Shows the columns' names alone: values can be secrets.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("statement", &self.statement)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Row {
    /// An integer. Errors, as in all of these: [`DbError::Corrupt`] when the column holds something else or nothing.
    pub fn int(&self, column: usize) -> Result<i64, DbError> {
        self.present(column, self.opt_int(column)?)
    }

    /// A text.
    pub fn text(&self, column: usize) -> Result<&str, DbError> {
        self.present(column, self.opt_text(column)?)
    }

    /// Bytes of any length.
    pub fn blob(&self, column: usize) -> Result<&[u8], DbError> {
        self.present(column, self.opt_blob(column)?)
    }

    /// 16 bytes.
    pub fn id(&self, column: usize) -> Result<[u8; 16], DbError> {
        self.present(column, self.opt_id(column)?)
    }

    /// 32 bytes.
    pub fn digest(&self, column: usize) -> Result<[u8; 32], DbError> {
        self.present(column, self.opt_digest(column)?)
    }

    /// An integer, or `None` for NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(*value)),
            other => Err(self.wrong(column, "an integer", other)),
        }
    }

    /// A text, or `None` for NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, DbError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Text(value) => Ok(Some(value)),
            other => Err(self.wrong(column, "a text", other)),
        }
    }

    /// Bytes, or `None` for NULL.
    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        match self.cell(column)? {
            Cell::Null => Ok(None),
            Cell::Blob(value) => Ok(Some(value)),
            other => Err(self.wrong(column, "bytes", other)),
        }
    }

    /// 16 bytes, or `None` for NULL.
    pub fn opt_id(&self, column: usize) -> Result<Option<[u8; 16]>, DbError> {
        self.opt_array(column)
    }

    /// 32 bytes, or `None` for NULL.
    pub fn opt_digest(&self, column: usize) -> Result<Option<[u8; 32]>, DbError> {
        self.opt_array(column)
    }

    /// The error for a column whose value has the right type but cannot be: an unknown word, an impossible time.
    pub fn corrupt(&self, column: usize, detail: impl Into<String>) -> DbError {
        let column = self
            .columns
            .get(column)
            .map_or_else(|| column.to_string(), ToString::to_string);
        DbError::Corrupt {
            statement: self.statement,
            column,
            detail: detail.into(),
        }
    }

    fn cell(&self, column: usize) -> Result<&Cell, DbError> {
        self.cells
            .get(column)
            .ok_or_else(|| self.corrupt(column, "there is no such column"))
    }

    fn present<T>(&self, column: usize, value: Option<T>) -> Result<T, DbError> {
        value.ok_or_else(|| self.corrupt(column, "NULL where a value must be"))
    }

    fn wrong(&self, column: usize, expected: &str, found: &Cell) -> DbError {
        self.corrupt(column, format!("{} where {expected} must be", found.kind()))
    }

    fn opt_array<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, DbError> {
        self.opt_blob(column)?
            .map(|bytes| {
                bytes.try_into().map_err(|_| {
                    self.corrupt(column, format!("{} bytes where {N} must be", bytes.len()))
                })
            })
            .transpose()
    }
}
