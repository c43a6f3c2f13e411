//! What an Info API answers (seed 000, "User"): read into a [`DocsUser`], or told what is wrong with it and where.
//!
//! Nobody is half known: with one fault there is no reader, and the page is the anonymous one. Every fault is named at once, by JSON
//! path, for whoever writes the API.

use super::user::{DocsUser, PlaygroundInputs};
use crate::relying_party::id_token::seconds;
use crate::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest answer of an Info API, in bytes.
pub const READER_BYTES_MAX: usize = 64 * 1024;
/// The most groups of a reader.
pub const READER_GROUPS_COUNT_MAX: usize = 100;
/// The longest name of a group, in bytes.
pub const READER_GROUP_BYTES_MAX: usize = 200;
/// The most that pages may show of a reader, as JSON in bytes.
pub const READER_CONTENT_BYTES_MAX: usize = 32 * 1024;
/// The most playground inputs of one kind.
const INPUTS_COUNT_MAX: usize = 50;
/// The longest name of such an input, in bytes.
const INPUT_NAME_BYTES_MAX: usize = 200;
/// The longest value of such an input, in bytes.
const INPUT_VALUE_BYTES_MAX: usize = 4 * 1024;
/// The first second of the year 3000: later is not meant.
const YEAR_3000: i64 = 32_503_680_000;
/// The most faults that are named.
const FAULTS_COUNT_MAX: usize = 20;

/// Something in an answer that is wrong, or that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ReaderFault {
    /// Where, as a JSON path: `$.groups[2]`.
    pub path: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// A reader as an Info API describes one.
#[derive(Clone, Debug, PartialEq)]
pub struct ReaderAnswer {
    /// The reader.
    pub user: DocsUser,
    /// What stands in the answer and is not read.
    pub unread: Vec<ReaderFault>,
}

/// Reads an answer's body.
pub fn parse(body: &[u8], now: Timestamp) -> Result<ReaderAnswer, Vec<ReaderFault>> {
    let mut faults = Faults::default();
    if body.len() > READER_BYTES_MAX {
        faults.add(
            "$",
            format!("the answer is {READER_BYTES_MAX} bytes at most"),
        );
        return Err(faults.list);
    }
    let object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            faults.add(
                "$",
                format!("the answer is an object, this is {}", kind(&other)),
            );
            return Err(faults.list);
        }
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            faults.add(
                "$",
                format!("this is not JSON, from line {line}, column {column} on"),
            );
            return Err(faults.list);
        }
    };
    let present = |name: &str| object.get(name).filter(|value| !value.is_null());
    let mut user = DocsUser::default();
    if let Some(value) = present("expiresAt") {
        user.expires_at = expiry(value, now, &mut faults);
    }
    if let Some(value) = present("groups") {
        user.groups = groups(value, "$.groups", &mut faults);
    }
    if let Some(value) = present("content") {
        user.content = content(value, &mut faults);
    }
    let mut unread = Faults::default();
    if let Some(value) = present("apiPlaygroundInputs") {
        user.api_playground_inputs = inputs(value, &mut faults, &mut unread);
    }
    for name in object.keys() {
        // `host` is for another handshake of the seed: there it guards against replay, here the state does.
        const READ: [&str; 5] = [
            "expiresAt",
            "groups",
            "content",
            "apiPlaygroundInputs",
            "host",
        ];
        if !READ.contains(&name.as_str()) {
            unread.add(
                member("$", name),
                "this is not read; what pages are to show belongs into `content`",
            );
        }
    }
    if faults.list.is_empty() {
        Ok(ReaderAnswer {
            user,
            unread: unread.list,
        })
    } else {
        Err(faults.list)
    }
}

/// Groups that stand in a claim of a token: a list, or one text that a delimiter may divide. `path` says which claim, for faults.
pub fn claimed_groups(
    value: &Value,
    delimiter: Option<&str>,
    path: &str,
) -> Result<Vec<String>, Vec<ReaderFault>> {
    let mut faults = Faults::default();
    let found = match value {
        Value::String(text) => {
            let parts: Vec<Value> = match delimiter {
                Some(delimiter) => text.split(delimiter).map(trimmed).collect(),
                None => vec![trimmed(text)],
            };
            groups(&without_empty(parts), path, &mut faults)
        }
        Value::Array(list) => {
            let parts = list
                .iter()
                .map(|one| one.as_str().map_or_else(|| one.clone(), trimmed))
                .collect();
            groups(&without_empty(parts), path, &mut faults)
        }
        other => groups(other, path, &mut faults),
    };
    if faults.list.is_empty() {
        Ok(found)
    } else {
        Err(faults.list)
    }
}

fn trimmed(text: &str) -> Value {
    Value::String(text.trim().to_owned())
}

fn without_empty(mut parts: Vec<Value>) -> Value {
    parts.retain(|part| part.as_str() != Some(""));
    Value::Array(parts)
}

#[derive(Default)]
struct Faults {
    list: Vec<ReaderFault>,
}

impl Faults {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        if self.list.len() < FAULTS_COUNT_MAX {
            self.list.push(ReaderFault {
                path: path.into(),
                problem: problem.into(),
            });
        }
    }
}

/// What a value is, in words.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The path of a member: `$.name`, or `$["a name"]` where it needs quotes.
fn member(path: &str, name: &str) -> String {
    let plain = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain {
        return format!("{path}.{name}");
    }
    let short: String = name.chars().take(60).collect();
    format!("{path}[{}]", Value::String(short))
}

fn expiry(value: &Value, now: Timestamp, faults: &mut Faults) -> Option<Timestamp> {
    let path = "$.expiresAt";
    let Some(at) = seconds(value) else {
        faults.add(
            path,
            format!(
                "this is a number of seconds since 1970, here it is {}",
                kind(value)
            ),
        );
        return None;
    };
    if at >= YEAR_3000 {
        faults.add(
            path,
            "this is after the year 3000; are these milliseconds? Divide by 1000",
        );
        return None;
    }
    if at <= now.seconds() {
        faults.add(
            path,
            format!(
                "this is in the past, by {} seconds",
                now.seconds().saturating_sub(at)
            ),
        );
        return None;
    }
    Some(Timestamp::from_seconds(at))
}

fn groups(value: &Value, path: &str, faults: &mut Faults) -> Vec<String> {
    let Some(list) = value.as_array() else {
        faults.add(
            path,
            format!("groups are a list of texts, this is {}", kind(value)),
        );
        return Vec::new();
    };
    if list.len() > READER_GROUPS_COUNT_MAX {
        faults.add(
            path,
            format!("there are {READER_GROUPS_COUNT_MAX} groups at most"),
        );
        return Vec::new();
    }
    let mut groups = Vec::new();
    for (index, one) in list.iter().enumerate() {
        match one.as_str() {
            Some(group) if (1..=READER_GROUP_BYTES_MAX).contains(&group.len()) => {
                if !groups.iter().any(|known| known == group) {
                    groups.push(group.to_owned());
                }
            }
            Some(_) => faults.add(
                format!("{path}[{index}]"),
                format!("a group has 1 to {READER_GROUP_BYTES_MAX} bytes"),
            ),
            None => faults.add(
                format!("{path}[{index}]"),
                format!("a group is a text, this is {}", kind(one)),
            ),
        }
    }
    groups
}

fn content(value: &Value, faults: &mut Faults) -> Map<String, Value> {
    let Some(object) = value.as_object() else {
        faults.add(
            "$.content",
            format!("content is an object, this is {}", kind(value)),
        );
        return Map::new();
    };
    // Values print as they were read, so this is what pages and scripts will carry.
    if value.to_string().len() > READER_CONTENT_BYTES_MAX {
        faults.add(
            "$.content",
            format!("content is {READER_CONTENT_BYTES_MAX} bytes at most"),
        );
        return Map::new();
    }
    object.clone()
}

fn inputs(value: &Value, faults: &mut Faults, unread: &mut Faults) -> PlaygroundInputs {
    let path = "$.apiPlaygroundInputs";
    let mut inputs = PlaygroundInputs::default();
    let Some(object) = value.as_object() else {
        faults.add(
            path,
            format!(
                "this is an object of `server`, `header`, `query`, `cookie` and `path`, here it is {}",
                kind(value)
            ),
        );
        return inputs;
    };
    for (name, value) in object {
        let path = member(path, name);
        let place = match name.as_str() {
            "server" => &mut inputs.server,
            "header" => &mut inputs.header,
            "query" => &mut inputs.query,
            "cookie" => &mut inputs.cookie,
            "path" => &mut inputs.path,
            _ => {
                unread.add(
                    path,
                    "this is not read; the kinds are `server`, `header`, `query`, `cookie` and `path`",
                );
                continue;
            }
        };
        if !value.is_null() {
            *place = values(value, &path, faults);
        }
    }
    inputs
}

/// The values of one kind. A number stands for its digits: that is what an input holds.
fn values(value: &Value, path: &str, faults: &mut Faults) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let Some(object) = value.as_object() else {
        faults.add(
            path,
            format!(
                "this is an object of names and texts, here it is {}",
                kind(value)
            ),
        );
        return values;
    };
    if object.len() > INPUTS_COUNT_MAX {
        faults.add(
            path,
            format!("there are {INPUTS_COUNT_MAX} of a kind at most"),
        );
        return values;
    }
    for (name, value) in object {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null => continue,
            Value::Array(_) | Value::Object(_) => {
                faults.add(
                    member(path, name),
                    format!("a value is a text, this is {}", kind(value)),
                );
                continue;
            }
        };
        if name.is_empty()
            || name.len() > INPUT_NAME_BYTES_MAX
            || text.len() > INPUT_VALUE_BYTES_MAX
        {
            faults.add(
                member(path, name),
                format!(
                    "a name has 1 to {INPUT_NAME_BYTES_MAX} bytes, a value {INPUT_VALUE_BYTES_MAX} at most"
                ),
            );
            continue;
        }
        values.insert(name.clone(), text);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn faults(body: &[u8]) -> Vec<String> {
        parse(body, NOW)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_seeds_own_user_is_read() {
        let body = json!({
            "host": "docs.foo.test", "expiresAt": 1_800_003_600, "groups": ["admin", "beta", "admin"],
            "content": { "firstName": "Ada", "company": { "name": "</script>" } },
            "apiPlaygroundInputs": {
                "server": { "subdomain": "ada" }, "header": { "X-API-Key": "k", "X-Count": 3, "X-None": null },
                "query": { "debug": true }, "cookie": null, "path": { "id": "7" },
            },
        });
        let read = parse(body.to_string().as_bytes(), NOW).unwrap();
        assert_eq!(read.unread, []);
        let user = read.user;
        assert_eq!(
            user.expires_at,
            Some(Timestamp::from_seconds(1_800_003_600))
        );
        assert_eq!(user.groups, ["admin", "beta"]);
        assert_eq!(user.content["company"]["name"], "</script>");
        let inputs = user.api_playground_inputs;
        assert_eq!(inputs.server["subdomain"], "ada");
        assert_eq!(inputs.header["X-Count"], "3");
        assert_eq!(inputs.header.len(), 2);
        assert_eq!(inputs.query["debug"], "true");
        assert_eq!(inputs.path["id"], "7");
    }

    #[test]
    fn every_field_may_be_missing_or_null() {
        for body in [
            "{}",
            r#"{"expiresAt":null,"groups":null,"content":null,"apiPlaygroundInputs":null}"#,
        ] {
            assert_eq!(
                parse(body.as_bytes(), NOW).unwrap().user,
                DocsUser::default()
            );
        }
    }

    #[test]
    fn a_wrong_answer_is_told_by_json_path() {
        #[rustfmt::skip]
        let table = [
            ("",                                    "$: this is not JSON, from line 1, column 0 on"),
            ("<!doctype html>",                     "$: this is not JSON, from line 1, column 1 on"),
            ("[]",                                  "$: the answer is an object, this is a list"),
            ("null",                                "$: the answer is an object, this is null"),
            ("{} {}",                               "$: this is not JSON, from line 1, column 4 on"),
            (r#"{"expiresAt":"1800003600"}"#,       "$.expiresAt: this is a number of seconds since 1970, here it is a text"),
            (r#"{"expiresAt":true}"#,               "$.expiresAt: this is a number of seconds since 1970, here it is true or false"),
            (r#"{"expiresAt":1e400}"#,              "$: this is not JSON"),
            (r#"{"expiresAt":1800000000}"#,         "$.expiresAt: this is in the past, by 0 seconds"),
            (r#"{"expiresAt":-5}"#,                 "$.expiresAt: this is in the past, by 1800000005 seconds"),
            (r#"{"expiresAt":1800003600000}"#,      "$.expiresAt: this is after the year 3000; are these milliseconds? Divide by 1000"),
            (r#"{"groups":"admin"}"#,               "$.groups: groups are a list of texts, this is a text"),
            (r#"{"groups":{"admin":true}}"#,        "$.groups: groups are a list of texts, this is an object"),
            (r#"{"groups":["a","b",3]}"#,           "$.groups[2]: a group is a text, this is a number"),
            (r#"{"groups":["a",["b"]]}"#,           "$.groups[1]: a group is a text, this is a list"),
            (r#"{"groups":[""]}"#,                  "$.groups[0]: a group has 1 to 200 bytes"),
            (r#"{"content":"Ada"}"#,                "$.content: content is an object, this is a text"),
            (r#"{"content":[]}"#,                   "$.content: content is an object, this is a list"),
            (r#"{"apiPlaygroundInputs":[]}"#,       "$.apiPlaygroundInputs: this is an object of `server`"),
            (r#"{"apiPlaygroundInputs":{"header":"k"}}"#,          "$.apiPlaygroundInputs.header: this is an object of names and texts, here it is a text"),
            (r#"{"apiPlaygroundInputs":{"header":{"X-Key":[1]}}}"#, "$.apiPlaygroundInputs.header[\"X-Key\"]: a value is a text, this is a list"),
            (r#"{"apiPlaygroundInputs":{"query":{"":"x"}}}"#,      "$.apiPlaygroundInputs.query[\"\"]: a name has 1 to 200 bytes"),
        ];
        for (body, expected) in table {
            let found = faults(body.as_bytes());
            assert_eq!(found.len(), 1, "{body}: {found:?}");
            assert!(found[0].starts_with(expected), "{body}: {found:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_where_it_stands() {
        let of = |body: Value| faults(body.to_string().as_bytes()).remove(0);
        let many: Vec<String> = (0..=READER_GROUPS_COUNT_MAX)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(
            of(json!({"groups": many})),
            "$.groups: there are 100 groups at most"
        );
        let long = "g".repeat(READER_GROUP_BYTES_MAX + 1);
        assert_eq!(
            of(json!({"groups": [long]})),
            "$.groups[0]: a group has 1 to 200 bytes"
        );
        let text = "x".repeat(READER_CONTENT_BYTES_MAX);
        assert_eq!(
            of(json!({"content": {"a": text}})),
            "$.content: content is 32768 bytes at most"
        );
        let huge = "x".repeat(READER_BYTES_MAX);
        assert_eq!(
            of(json!({"other": huge})),
            "$: the answer is 65536 bytes at most"
        );
        let value = "x".repeat(INPUT_VALUE_BYTES_MAX + 1);
        assert!(
            of(json!({"apiPlaygroundInputs": {"query": {"q": value}}}))
                .starts_with("$.apiPlaygroundInputs.query.q: ")
        );
    }

    #[test]
    fn every_fault_is_named_at_once_and_nobody_is_half_known() {
        let found = faults(br#"{"groups":[1,"a",2],"content":3,"expiresAt":"x"}"#);
        let paths: Vec<&str> = found
            .iter()
            .filter_map(|fault| fault.split_once(':'))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(
            paths,
            ["$.expiresAt", "$.groups[0]", "$.groups[2]", "$.content"]
        );
        let many = format!("{{\"groups\":[{}1]}}", "1,".repeat(90));
        assert_eq!(faults(many.as_bytes()).len(), FAULTS_COUNT_MAX);
    }

    #[test]
    fn what_is_not_read_is_told() {
        let read = parse(
            br#"{"firstName":"Ada","expires at":1,"apiPlaygroundInputs":{"headers":{"a":"b"}}}"#,
            NOW,
        )
        .unwrap();
        let paths: Vec<&str> = read.unread.iter().map(|note| note.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "$.apiPlaygroundInputs.headers",
                "$[\"expires at\"]",
                "$.firstName"
            ]
        );
        assert_eq!(read.user, DocsUser::default());
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        for length in 0..200_usize {
            let body: Vec<u8> = (0..length)
                .map(|at| u8::try_from((at * 7 + length * 13) % 256).unwrap())
                .collect();
            assert!(parse(&body, NOW).is_err());
        }
        let deep = format!("{{\"content\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(faults(deep.as_bytes())[0].starts_with("$: this is not JSON"));
    }

    #[test]
    fn groups_of_a_claim_are_divided_only_where_a_delimiter_is_set() {
        let of = |value: Value, delimiter| {
            claimed_groups(&value, delimiter, "id_token.groups")
                .map_err(|faults| faults[0].to_string())
        };
        #[rustfmt::skip]
        let table = [
            (json!("a b"),            None,       Ok(vec!["a b"])),
            (json!("a, b,, c "),      Some(","),  Ok(vec!["a", "b", "c"])),
            (json!("a::b"),           Some("::"), Ok(vec!["a", "b"])),
            (json!(""),               None,       Ok(vec![])),
            (json!(["a,b", " c ", ""]), Some(","), Ok(vec!["a,b", "c"])),
            (json!([]),               None,       Ok(vec![])),
            (json!(["a", 1]),         None,       Err("id_token.groups[1]: a group is a text, this is a number")),
            (json!({"a": 1}),         None,       Err("id_token.groups: groups are a list of texts, this is an object")),
            (json!(7),                Some(","),  Err("id_token.groups: groups are a list of texts, this is a number")),
        ];
        for (value, delimiter, expected) in table {
            let expected = expected
                .map(|groups| groups.into_iter().map(str::to_owned).collect::<Vec<_>>())
                .map_err(str::to_owned);
            assert_eq!(of(value.clone(), delimiter), expected, "{value}");
        }
    }
}
