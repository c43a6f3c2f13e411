//! JSON bodies of the project API: members are taken one by one, and everything that is wrong is told at once.

use crate::http::context::Ctx;
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

/// A body that is being read.
pub(super) struct Body {
    members: Map<String, Value>,
    problems: Vec<String>,
}

impl Body {
    /// Reads a body; nothing is an empty object.
    pub(super) fn read(ctx: &Ctx) -> Result<Self, KnownError> {
        let refuse = |message: &str| KnownError::BodyParsingError {
            message: message.to_owned(),
        };
        let mut members = Map::new();
        if !ctx.body.is_empty() {
            if !ctx.has_media_type("application/json") {
                return Err(refuse(
                    "The body must be JSON: send it with the content type application/json.",
                ));
            }
            members = serde_json::from_slice(&ctx.body)
                .map_err(|_| refuse("The body must be a JSON object."))?;
        }
        Ok(Self {
            members,
            problems: Vec::new(),
        })
    }

    /// A member as it is.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    /// A text that may be taken away.
    pub(super) fn text_or_null(&mut self, name: &str) -> Given<String> {
        match self.take(name) {
            None => Given::Absent,
            Some(Value::String(text)) => Given::Value(text),
            Some(Value::Null) => Given::Null,
            Some(_) => {
                self.problem(format!("body.{name} must be a text or null"));
                Given::Absent
            }
        }
    }

    /// Yes or no.
    pub(super) fn yes_or_no(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(value) => Some(value),
            _ => self.wrong(format!("body.{name} must be true or false")),
        }
    }

    /// An object; `null` is an empty one.
    pub(super) fn object_or_null(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.take(name)? {
            Value::Object(members) => Some(members),
            Value::Null => Some(Map::new()),
            _ => self.wrong(format!("body.{name} must be an object or null")),
        }
    }

    /// A whole number between two.
    pub(super) fn whole_number(&mut self, name: &str, least: u64, most: u64) -> Option<u64> {
        let number = self.take(name)?.as_u64();
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Some(number),
            None => self.wrong(format!(
                "body.{name} must be a whole number from {least} to {most}"
            )),
        }
    }

    /// Notes what is wrong.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    fn wrong<T>(&mut self, problem: String) -> Option<T> {
        self.problem(problem);
        None
    }

    /// Nothing more is read: what is left is not known here.
    pub(super) fn finish(mut self, place: &str) -> Result<(), KnownError> {
        for name in self.members.keys() {
            self.problems
                .push(format!("body.{name} is not a field that can be set here"));
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(schema_error(place, self.problems))
        }
    }
}

/// Fields that are missing or wrong.
pub(super) fn schema_error(place: &str, problems: Vec<String>) -> KnownError {
    KnownError::SchemaError {
        place: place.to_owned(),
        problems,
    }
}
