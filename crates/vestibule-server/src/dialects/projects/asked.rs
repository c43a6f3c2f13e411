//! What a request of the project API asks: about whom, and what its body says. And how an endpoint stops before its end.

use super::Answer;
use super::access::{Access, Tier};
use super::envelope;
use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use http::StatusCode;
use serde_json::{Map, Value};
use vestibule_core::id::UserId;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_store::db::DbError;

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

/// The members of a body. Every member that is missing, wrong or unknown is named, not only the first.
pub(super) struct Fields {
    place: &'static str,
    members: Map<String, Value>,
    problems: Vec<String>,
}

impl Fields {
    /// Reads a body: JSON, or a form, whose members are texts. No body says nothing.
    pub(super) fn read(ctx: &Ctx, place: &'static str) -> Result<Self, KnownError> {
        let refuse = |message: &str| KnownError::BodyParsingError {
            message: message.to_owned(),
        };
        let mut members = Map::new();
        if ctx.has_media_type("application/json") {
            match serde_json::from_slice(&ctx.body) {
                Ok(Value::Object(object)) => members = object,
                _ => return Err(refuse("The body must be a JSON object.")),
            }
        } else {
            let form = ctx.form().map_err(|_| {
                refuse("The body must be JSON or application/x-www-form-urlencoded.")
            })?;
            if let Some(name) = form.repeated() {
                return Err(refuse(&format!("The member {name} stands twice.")));
            }
            for (name, value) in url::form_urlencoded::parse(&ctx.body) {
                members.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
        Ok(Self {
            place,
            members,
            problems: Vec::new(),
        })
    }

    /// Notes what is wrong with a member.
    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("body.{name} {problem}"));
    }

    /// Whether a member stands there, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        if let Value::String(text) = self.take(name)? {
            return Some(text);
        }
        self.problem(name, "must be a text");
        None
    }

    /// A text that must be there and say something.
    pub(super) fn required(&mut self, name: &str) -> Option<String> {
        let wrong_already = self.problems.len();
        let text = self.text(name).filter(|text| !text.is_empty());
        if text.is_none() && self.problems.len() == wrong_already {
            self.problem(name, "must be defined");
        }
        text
    }

    /// A yes or no, if it is there.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let flag = self.take(name)?.as_bool();
        if flag.is_none() {
            self.problem(name, "must be true or false");
        }
        flag
    }

    /// A number of milliseconds, if it is there: from one to the most that is allowed.
    pub(super) fn millis(&mut self, name: &str, most: u64) -> Option<u64> {
        let millis = self.take(name)?;
        let fits = millis.as_u64().filter(|millis| (1..=most).contains(millis));
        if fits.is_none() {
            self.problem(name, &format!("must be a whole number from 1 to {most}"));
        }
        fits
    }

    /// What remains is unknown; with any problem, all are said.
    pub(super) fn finish(mut self) -> Result<(), KnownError> {
        let unknown: Vec<String> = self.members.keys().cloned().collect();
        for name in unknown {
            self.problem(&name, "is unknown");
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(KnownError::SchemaError {
            place: self.place.to_owned(),
            problems: self.problems,
        })
    }
}

/// A member whose problem was said: [`Fields::finish`] has refused before.
pub(super) fn said<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or(Failure::Internal(
        "a member that is missing was not refused",
    ))
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
