//! The shape of a document: unknown keys, missing keys and wrong kinds of values, each with its place.
//!
//! The JSON Schema of the document is the only list of keys; what is checked and what is published cannot differ.

use super::Problem;
use serde_json::{Map, Value};

/// Checks a value against a schema.
pub(super) fn check(value: &Value, schema: &Value) -> Vec<Problem> {
    let mut checker = Checker {
        root: schema,
        problems: Vec::new(),
    };
    checker.value(value, schema, "");
    checker.problems
}

/// The value without the entries that have problems. An item of a list takes its list with it.
pub(super) fn without(value: &Value, problems: &[Problem]) -> Value {
    let mut rest = value.clone();
    for problem in problems {
        let place = problem.place.as_str();
        let entry = if place.ends_with(']') {
            place
                .rfind('[')
                .and_then(|at| place.get(..at))
                .unwrap_or(place)
        } else {
            place
        };
        let (parents, last) = entry.rsplit_once('.').unwrap_or(("", entry));
        let pointer = parents.replace(']', "").replace(['.', '['], "/");
        let pointer = if pointer.is_empty() {
            pointer
        } else {
            format!("/{pointer}")
        };
        if let Some(Value::Object(object)) = rest.pointer_mut(&pointer) {
            object.remove(last);
        }
    }
    rest
}

/// Finds which entries of an object cannot be read, those whose absence changes the error, and gives the object without them.
pub(super) fn blame<T: serde::de::DeserializeOwned>(
    place: &str,
    value: Value,
) -> (Vec<Problem>, Value) {
    let mut problems = Vec::new();
    let mut rest = value;
    while let Some(error) = error_of::<T>(&rest) {
        let Some(path) = culprit::<T>(&rest, &[], &error) else {
            problems.push(Problem::new(place, error));
            break;
        };
        problems.push(Problem::new(format!("{place}.{}", path.join(".")), error));
        remove(&mut rest, &path);
    }
    (problems, rest)
}

fn error_of<T: serde::de::DeserializeOwned>(value: &Value) -> Option<String> {
    serde_json::from_value::<T>(value.clone())
        .err()
        .map(|error| error.to_string())
}

/// The path of the innermost entry whose absence changes the error.
fn culprit<T: serde::de::DeserializeOwned>(
    value: &Value,
    path: &[String],
    error: &str,
) -> Option<Vec<String>> {
    let object = path
        .iter()
        .try_fold(value, |value, key| value.get(key))?
        .as_object()?;
    for key in object.keys() {
        let mut path = path.to_vec();
        path.push(key.clone());
        let mut without = value.clone();
        remove(&mut without, &path);
        let after = error_of::<T>(&without);
        // An entry that is needed and cannot be read becomes one that is missing.
        if after.as_deref() != Some(error) {
            return culprit::<T>(value, &path, error).or(Some(path));
        }
    }
    None
}

fn remove(value: &mut Value, path: &[String]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let parent = parents
        .iter()
        .try_fold(value, |value, key| value.get_mut(key));
    if let Some(object) = parent.and_then(Value::as_object_mut) {
        object.remove(last);
    }
}

struct Checker<'a> {
    root: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn problem(&mut self, place: &str, text: String) {
        self.problems.push(Problem::new(place, text));
    }

    fn value(&mut self, value: &Value, schema: &'a Value, place: &str) {
        let schema = self.resolve(schema);
        if let Some(words) = words(schema) {
            match value.as_str() {
                Some(text) if words.contains(&text) => {}
                Some(text) => {
                    let hint = nearest(text, words.iter().copied());
                    self.problem(place, format!("expected {}{hint}", words.join(", ")));
                }
                None => self.problem(place, format!("expected {}", words.join(", "))),
            }
            return;
        }
        let kind = schema
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match (kind, value) {
            ("object", Value::Object(object)) => self.object(object, schema, place),
            ("array", Value::Array(items)) => {
                if let Some(schema) = schema.get("items") {
                    for (index, item) in items.iter().enumerate() {
                        self.value(item, schema, &format!("{place}[{index}]"));
                    }
                }
            }
            ("integer", Value::Number(number)) => {
                let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
                let (min, max) = (
                    bound("minimum").unwrap_or(i64::MIN),
                    bound("maximum").unwrap_or(i64::MAX),
                );
                if !number
                    .as_i64()
                    .is_some_and(|number| (min..=max).contains(&number))
                {
                    self.problem(
                        place,
                        "expected a whole number that is not negative and not too large".to_owned(),
                    );
                }
            }
            ("string", Value::String(_))
            | ("boolean", Value::Bool(_))
            | ("number", Value::Number(_))
            | ("", _) => {}
            ("object", _) => self.problem(place, "expected a table".to_owned()),
            ("array", _) => self.problem(place, "expected a list in brackets".to_owned()),
            ("string", _) => self.problem(place, "expected a text in quotes".to_owned()),
            ("boolean", _) => self.problem(place, "expected true or false".to_owned()),
            (_, _) => self.problem(place, "expected a number".to_owned()),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, schema: &'a Value, place: &str) {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let at = |key: &str| {
            if place.is_empty() {
                key.to_owned()
            } else {
                format!("{place}.{key}")
            }
        };
        let is_open = schema
            .get("additionalProperties")
            .is_none_or(|more| more != &Value::Bool(false));
        for (key, value) in object {
            if let Some(schema) = properties.and_then(|properties| properties.get(key)) {
                self.value(value, schema, &at(key));
            } else if !is_open {
                let hint = nearest(key, properties.unwrap_or(&empty).keys().map(String::as_str));
                self.problem(&at(key), format!("unknown key{hint}"));
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(key) {
                self.problem(&at(key), "is missing".to_owned());
            }
        }
    }

    /// Follows references.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..8 {
            let reference = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|path| path.strip_prefix('#'));
            let target = reference.and_then(|path| self.root.pointer(path));
            match target {
                Some(inner) => schema = inner,
                None => break,
            }
        }
        schema
    }
}

/// The words that a value is one of, if it is one of some words.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().map(Value::as_str).collect();
    }
    let variants = schema.get("oneOf").and_then(Value::as_array)?;
    let mut words = Vec::new();
    for variant in variants {
        match (
            variant.get("const").and_then(Value::as_str),
            variant.get("enum").and_then(Value::as_array),
        ) {
            (Some(word), _) => words.push(word),
            (None, Some(more)) => words.extend(more.iter().filter_map(Value::as_str)),
            (None, None) => return None,
        }
    }
    Some(words)
}

/// `; did you mean …?` for the word that is most like this one.
fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .min()
        .map(|(_, word)| format!("; did you mean {word}?"))
        .unwrap_or_default()
}
