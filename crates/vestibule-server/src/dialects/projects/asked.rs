//! About whom a request of the project API is, and how an endpoint stops before its end.

use super::Answer;
use super::access::{Access, Tier};
use super::envelope;
use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use http::StatusCode;
use vestibule_core::id::UserId;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_store::db::DbError;
use vestibule_store::users::UserRecord;

/// Why an endpoint stops before its end.
pub(super) enum Stop {
    /// With a known error.
    Known(KnownError),
    /// With words: there is no code for it that the SDKs know.
    Words(StatusCode, &'static str),
    /// Something of ours failed.
    Failed(Failure),
}

impl From<KnownError> for Stop {
    fn from(error: KnownError) -> Self {
        Self::Known(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

/// The answer of an endpoint that may have stopped.
pub(super) fn answer(ctx: &Ctx, result: Result<Reply, Stop>) -> Answer {
    match result {
        Ok(reply) => Ok(Ok(reply)),
        Err(Stop::Known(error)) => Ok(Err(error)),
        Err(Stop::Words(status, text)) => Ok(Ok(envelope::words(ctx, status, text))),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Why an operator is left alone.
const OPERATOR: &str =
    "This user runs the installation and is changed with its command line, not through a project.";

/// Refuses to go on about an operator: who they are, and how they sign in, is no project's to say.
pub(super) fn spare_operator(record: &UserRecord) -> Result<(), Stop> {
    match record.operator_at {
        Some(_) => Err(Stop::Words(StatusCode::FORBIDDEN, OPERATOR)),
        None => Ok(()),
    }
}

/// The same by the id. Who is gone is none; that they are is found out where they are written to.
pub(super) async fn spare_operator_of(ctx: &Ctx, id: UserId) -> Result<(), Stop> {
    match ctx.store().user(id).await? {
        Some(record) => spare_operator(&record),
        None => Ok(()),
    }
}

/// The person whom a path or a query names: `me`, or an id. An app in a browser names its own person only.
pub(super) async fn whose(ctx: &Ctx, access: &Access, text: &str) -> Result<UserId, Stop> {
    if text == "me" {
        return Ok(access.me()?.user.id);
    }
    let id = UserId::parse(&text.to_ascii_lowercase());
    if access.tier < Tier::Server {
        let own = access.user()?.user.id;
        return if id == Some(own) {
            Ok(own)
        } else {
            Err(Stop::Words(
                StatusCode::FORBIDDEN,
                "With the access type 'client', only the user who is signed in can be asked about.",
            ))
        };
    }
    let id = id.ok_or(KnownError::UserNotFound)?;
    match ctx.store().user(id).await? {
        Some(_) => Ok(id),
        None => Err(KnownError::UserNotFound.into()),
    }
}

/// A segment of a path as the app meant it: SDKs percent-encode what they put there (RFC 3986, 2.1). None when it is not UTF-8.
pub(super) fn segment(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_read_as_the_app_meant_it() {
        for (written, meant) in [
            ("mock-1780", Some("mock-1780")),
            ("a%2Fb%20c+d", Some("a/b c+d")),
            ("%c3%A9", Some("é")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(segment(written).as_deref(), meant, "{written}");
        }
    }
}
