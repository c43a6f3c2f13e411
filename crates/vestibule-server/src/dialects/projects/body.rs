//! Bodies of the project API: members are taken one by one, and everything that is missing, wrong or unknown is told at once.

use crate::http::context::Ctx;
use crate::http::reply::Failure;
use serde_json::{Map, Value};
use vestibule_core::oauth::known_error::KnownError;

/// What a body says of something that can be taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Given<T> {
    /// Nothing: it stays.
    #[default]
    Absent,
    /// It is taken away.
    Null,
    /// It is this from now on.
    Value(T),
}

impl<T> Given<T> {
    /// Whether the body says anything.
    pub(super) const fn is_given(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    /// What it is afterwards, of what it was.
    pub(super) fn after(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Absent => before,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The same of another type.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(change(value)),
        }
    }
}

/// The members of a body that is being read.
pub(super) struct Fields {
    place: &'static str,
    members: Map<String, Value>,
    problems: Vec<String>,
}

fn refuse(message: &str) -> KnownError {
    KnownError::BodyParsingError {
        message: message.to_owned(),
    }
}

impl Fields {
    /// Reads a body: JSON, or a form, whose members are texts. No body says nothing.
    pub(super) fn read(ctx: &Ctx, place: &'static str) -> Result<Self, KnownError> {
        if ctx.has_media_type("application/json") {
            return Self::read_json(ctx, place);
        }
        let form = ctx
            .form()
            .map_err(|_| refuse("The body must be JSON or application/x-www-form-urlencoded."))?;
        if let Some(name) = form.repeated() {
            return Err(refuse(&format!("The member {name} stands twice.")));
        }
        let members = url::form_urlencoded::parse(&ctx.body)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect();
        Ok(Self::new(place, members))
    }

    /// Reads a body whose members are more than texts, so that no form can say them. No body says nothing.
    pub(super) fn read_json(ctx: &Ctx, place: &'static str) -> Result<Self, KnownError> {
        if ctx.body.is_empty() {
            return Ok(Self::new(place, Map::new()));
        }
        if !ctx.has_media_type("application/json") {
            return Err(refuse(
                "The body must be JSON: send it with the content type application/json.",
            ));
        }
        serde_json::from_slice(&ctx.body)
            .map(|members| Self::new(place, members))
            .map_err(|_| refuse("The body must be a JSON object."))
    }

    const fn new(place: &'static str, members: Map<String, Value>) -> Self {
        Self {
            place,
            members,
            problems: Vec::new(),
        }
    }

    /// Notes what is wrong with a member.
    pub(super) fn problem(&mut self, name: &str, problem: &str) {
        self.problems.push(format!("body.{name} {problem}"));
    }

    fn wrong<T>(&mut self, name: &str, problem: &str) -> Option<T> {
        self.problem(name, problem);
        None
    }

    /// Whether a member stands there, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// A member as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    /// A text, if it is there; `null` is as good as nothing.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Null => None,
            _ => self.wrong(name, "must be a text"),
        }
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

    /// A text that may be taken away.
    pub(super) fn text_or_null(&mut self, name: &str) -> Given<String> {
        match self.take(name) {
            None => Given::Absent,
            Some(Value::String(text)) => Given::Value(text),
            Some(Value::Null) => Given::Null,
            Some(_) => {
                self.problem(name, "must be a text or null");
                Given::Absent
            }
        }
    }

    /// A yes or no, if it is there.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(value) => Some(value),
            _ => self.wrong(name, "must be true or false"),
        }
    }

    /// An object; `null` is an empty one.
    pub(super) fn object_or_null(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            Value::Null => Some(Map::new()),
            _ => self.wrong(name, "must be an object or null"),
        }
    }

    /// A number of milliseconds, if it is there: from one to the most that is allowed.
    pub(super) fn millis(&mut self, name: &str, most: u64) -> Option<u64> {
        let millis = self.take(name)?.as_u64();
        match millis.filter(|millis| (1..=most).contains(millis)) {
            Some(millis) => Some(millis),
            None => self.wrong(name, &format!("must be a whole number from 1 to {most}")),
        }
    }

    /// What remains is unknown; with any problem, all are said.
    pub(super) fn finish(mut self) -> Result<(), KnownError> {
        let unknown: Vec<String> = self.members.keys().cloned().collect();
        for name in unknown {
            self.problem(&name, "is not a field that can be set here");
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(schema_error(self.place, self.problems))
        }
    }
}

/// A member whose problem was said: [`Fields::finish`] has refused before.
pub(super) fn said<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or(Failure::Internal(
        "a member that is missing was not refused",
    ))
}

/// Fields that are missing or wrong.
pub(super) fn schema_error(place: &str, problems: Vec<String>) -> KnownError {
    KnownError::SchemaError {
        place: place.to_owned(),
        problems,
    }
}
