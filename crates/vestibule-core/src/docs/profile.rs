//! What a tenant tells documentation sites about a person: the "User" of seed 000, which is not `OpenID` Connect's user info.
//!
//! [`DocsProfileSettings`] is what an operator writes and a row holds; [`DocsProfile`] is what it parses into, and
//! [`DocsProfile::describe`] makes the answer. The law: nothing leaves that the mapping does not name, and of the private metadata
//! only single members.

use crate::identity::user::User;
use crate::oauth::claims;
use crate::time::{Lifetime, Timestamp};
use crate::url::{Issuer, Origin};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most entries of `content`, and of each kind of playground inputs.
pub const ENTRIES_COUNT_MAX: usize = 64;
/// The longest name of an entry, in characters.
pub const ENTRY_NAME_MAX: usize = 128;
/// The longest source, in bytes.
pub const SOURCE_LENGTH_MAX: usize = 256;
/// The deepest member of the metadata that a source names.
pub const SOURCE_DEPTH_MAX: usize = 8;
/// The most groups that are listed.
pub const LISTED_GROUPS_COUNT_MAX: usize = 1000;
/// The most origins that may ask by cookie.
pub const SHARED_SESSION_ORIGINS_COUNT_MAX: usize = 50;
/// The longest life of an answer.
pub const EXPIRES_IN_MAX: Lifetime = Lifetime::days(30);
/// The shortest life of an answer.
pub const EXPIRES_IN_MIN: Lifetime = Lifetime::minutes(1);
/// The most bytes of JSON that the entries of one answer come to; an entry that does not fit is left out.
pub const ENTRIES_BYTES_MAX: usize = 32 * 1024;

/// What sources can begin with: the claims of a person, and their two kinds of metadata that servers write.
pub const SOURCES: &[&str] = &[
    "address",
    "birthdate",
    "email",
    "email_verified",
    "family_name",
    "gender",
    "given_name",
    "groups",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "private_metadata",
    "profile",
    "public_metadata",
    "sub",
    "updated_at",
    "username",
    "website",
    "zoneinfo",
];

/// The sources that have members.
const WITH_MEMBERS: &[&str] = &["address", "public_metadata", "private_metadata"];

/// What `content` is when nobody writes it.
pub const CONTENT_DEFAULT: &[(&str, &str)] = &[
    ("firstName", "given_name"),
    ("lastName", "family_name"),
    ("name", "name"),
    ("username", "username"),
    ("email", "email"),
    ("picture", "picture"),
];

/// Second-level names under which anybody registers names of their own, below a country's two letters. The public suffix list has
/// thousands; these are the common ones, and browsers hold the whole list against our cookies anyway (`SameSite=Lax`).
const SHARED_SECOND_LEVELS: &[&str] = &[
    "ac", "co", "com", "edu", "gov", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc",
    "sch",
];

/// Prefills of an API playground as written: name to source, by where the value goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlaygroundSettings {
    /// Variables of the server's address.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub server: BTreeMap<String, String>,
    /// Headers, such as `X-Api-Key = "private_metadata.docs_key"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, String>,
    /// Parameters of the query.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Cookies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cookie: BTreeMap<String, String>,
    /// Parameters of the path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub path: BTreeMap<String, String>,
}

impl PlaygroundSettings {
    fn kinds(&self) -> [(&'static str, &BTreeMap<String, String>); 5] {
        [
            ("server", &self.server),
            ("header", &self.header),
            ("query", &self.query),
            ("cookie", &self.cookie),
            ("path", &self.path),
        ]
    }

    fn is_empty(&self) -> bool {
        self.kinds().iter().all(|(_, entries)| entries.is_empty())
    }
}

/// A docs profile as written: what documentation sites are told about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DocsProfileSettings {
    /// What pages may say about the reader, name to source, such as `firstName = "given_name"` or `plan = "public_metadata.plan"`.
    /// When absent: `firstName`, `lastName`, `name`, `username`, `email` and `picture`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<BTreeMap<String, String>>,
    /// The groups that sites are told of; all of the person's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// What an API playground is filled with.
    #[serde(skip_serializing_if = "PlaygroundSettings::is_empty")]
    pub playground: PlaygroundSettings,
    /// How long a site may keep an answer, such as `1d` (the default), `30d` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub expires_in: Option<Lifetime>,
    /// Origins of the issuer's own site whose scripts may ask with the sign-in cookie instead of a token. None when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shared_session_origins: Vec<String>,
}

/// What is wrong with a docs profile: the place in it, and a sentence that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct DocsProfileProblem {
    /// The place, such as `content.plan`.
    pub place: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Where a value comes from: a claim or a kind of metadata, and the member of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    claim: &'static str,
    members: Vec<String>,
}

impl Source {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let members: Vec<String> = parts.map(str::to_owned).collect();
        let Some(claim) = SOURCES.iter().copied().find(|known| *known == first) else {
            let nearest = SOURCES
                .iter()
                .min_by_key(|known| strsim::damerau_levenshtein(first, known))
                .copied()
                .unwrap_or_default();
            let first: String = first.chars().take(40).collect();
            return Err(format!(
                "`{first}` is nothing that is known of a person; did you mean {nearest}?"
            ));
        };
        if text.len() > SOURCE_LENGTH_MAX || members.len() > SOURCE_DEPTH_MAX {
            return Err(format!(
                "write {SOURCE_LENGTH_MAX} bytes and {SOURCE_DEPTH_MAX} members at most"
            ));
        }
        if members.iter().any(String::is_empty) {
            return Err(format!(
                "name a member between the dots, such as {claim}.plan"
            ));
        }
        if !members.is_empty() && !WITH_MEMBERS.contains(&claim) {
            return Err(format!("{claim} has no members; write {claim}"));
        }
        if members.is_empty() && claim == "private_metadata" {
            return Err(
                "name one member, such as private_metadata.docs_key: the whole is never told"
                    .to_owned(),
            );
        }
        Ok(Self { claim, members })
    }

    fn value<'a>(&self, known: &'a Map<String, Value>) -> Option<&'a Value> {
        let mut value = known.get(self.claim)?;
        for member in &self.members {
            value = value.get(member)?;
        }
        match value {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            value => Some(value),
        }
    }
}

/// A docs profile that is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocsProfile {
    content: Vec<(String, Source)>,
    playground: Vec<(&'static str, Vec<(String, Source)>)>,
    groups: Option<Vec<String>>,
    expires_in: Lifetime,
    shared_session_origins: Vec<Origin>,
}

impl Default for DocsProfile {
    fn default() -> Self {
        // The default mapping is sound: a test says so.
        let content = CONTENT_DEFAULT
            .iter()
            .filter_map(|(name, source)| Some(((*name).to_owned(), Source::parse(source).ok()?)))
            .collect();
        Self {
            content,
            playground: Vec::new(),
            groups: None,
            expires_in: Lifetime::days(1),
            shared_session_origins: Vec::new(),
        }
    }
}

impl DocsProfile {
    /// Parses what is written. Every problem is named, not only the first.
    pub fn from_settings(settings: &DocsProfileSettings) -> Result<Self, Vec<DocsProfileProblem>> {
        let mut profile = Self::default();
        let mut problems = Vec::new();
        if let Some(content) = &settings.content {
            profile.content = parse_entries("content", content, is_content_name, &mut problems);
        }
        for (kind, entries) in settings.playground.kinds() {
            let place = format!("playground.{kind}");
            let is_name = if kind == "header" || kind == "cookie" {
                is_token
            } else {
                is_input_name
            };
            let entries = parse_entries(&place, entries, is_name, &mut problems);
            if !entries.is_empty() {
                profile.playground.push((kind, entries));
            }
        }
        let mut problem = |place: String, problem: String| {
            problems.push(DocsProfileProblem { place, problem });
        };
        profile.groups.clone_from(&settings.groups);
        if settings
            .groups
            .as_ref()
            .is_some_and(|groups| groups.len() > LISTED_GROUPS_COUNT_MAX)
        {
            problem(
                "groups".to_owned(),
                format!("list {LISTED_GROUPS_COUNT_MAX} at most"),
            );
        }
        if let Some(expires_in) = settings.expires_in {
            if !(EXPIRES_IN_MIN..=EXPIRES_IN_MAX).contains(&expires_in) {
                let limits =
                    format!("write a span from {EXPIRES_IN_MIN} to {EXPIRES_IN_MAX}, such as 1d");
                problem("expires_in".to_owned(), limits);
            }
            profile.expires_in = expires_in;
        }
        if settings.shared_session_origins.len() > SHARED_SESSION_ORIGINS_COUNT_MAX {
            problem(
                "shared_session_origins".to_owned(),
                format!("name {SHARED_SESSION_ORIGINS_COUNT_MAX} at most"),
            );
        }
        for (index, text) in settings.shared_session_origins.iter().enumerate() {
            match Origin::parse(text) {
                Ok(_) if text.contains('*') => problem(
                    format!("shared_session_origins[{index}]"),
                    "name each origin in full; there are no wildcards".to_owned(),
                ),
                Ok(origin) => profile.shared_session_origins.push(origin),
                Err(error) => problem(
                    format!("shared_session_origins[{index}]"),
                    error.to_string(),
                ),
            }
        }
        if problems.is_empty() {
            Ok(profile)
        } else {
            Err(problems)
        }
    }

    /// The origins that may ask by cookie, as written.
    pub fn shared_session_origins(&self) -> &[Origin] {
        &self.shared_session_origins
    }

    /// Whether a script of this `Origin` may ask with the sign-in cookie: the operator lists it, and it is of the issuer's own site,
    /// which is looked at again here since an issuer can move to another host.
    pub fn shares_session_with(&self, origin: &str, issuer: &Issuer) -> bool {
        self.shared_session_origins
            .iter()
            .any(|listed| listed.as_str() == origin && is_same_site(listed, &issuer.host()))
    }

    /// What a site is told about a person.
    pub fn describe(&self, user: &User, now: Timestamp) -> Value {
        let mut known = claims::known(user);
        known.insert("sub".to_owned(), Value::from(user.id.to_string()));
        let mut left = ENTRIES_BYTES_MAX;
        let content = collect(&self.content, &mut left, |source| {
            source.value(&known).cloned()
        });
        let mut inputs = Map::new();
        for (kind, entries) in &self.playground {
            let entries = collect(entries, &mut left, |source| input(source.value(&known)?));
            if !entries.is_empty() {
                inputs.insert((*kind).to_owned(), Value::Object(entries));
            }
        }
        let groups: Vec<&String> = user
            .profile
            .groups
            .iter()
            .filter(|group| {
                self.groups
                    .as_ref()
                    .is_none_or(|listed| listed.contains(group))
            })
            .collect();
        json!({
            "expiresAt": now.plus(self.expires_in).seconds(),
            "groups": groups,
            "content": content,
            "apiPlaygroundInputs": inputs,
        })
    }
}

/// A field of a playground holds a text. What has no obvious text is left out.
fn input(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::from(text.as_str())),
        Value::Number(number) => Some(Value::from(number.to_string())),
        Value::Bool(flag) => Some(Value::from(flag.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The values of entries, as long as they fit.
fn collect(
    entries: &[(String, Source)],
    left: &mut usize,
    value: impl Fn(&Source) -> Option<Value>,
) -> Map<String, Value> {
    let mut collected = Map::new();
    for (name, source) in entries {
        let Some(value) = value(source) else {
            continue;
        };
        let bytes = name.len() + value.to_string().len();
        if let Some(rest) = left.checked_sub(bytes) {
            *left = rest;
            collected.insert(name.clone(), value);
        }
    }
    collected
}

fn parse_entries(
    place: &str,
    entries: &BTreeMap<String, String>,
    is_name: fn(&str) -> bool,
    problems: &mut Vec<DocsProfileProblem>,
) -> Vec<(String, Source)> {
    let mut problem = |place: String, problem: String| {
        problems.push(DocsProfileProblem { place, problem });
    };
    if entries.len() > ENTRIES_COUNT_MAX {
        problem(
            place.to_owned(),
            format!("write {ENTRIES_COUNT_MAX} entries at most"),
        );
    }
    let mut parsed = Vec::new();
    for (name, text) in entries {
        let shown: String = name.chars().take(40).collect();
        if name.chars().count() > ENTRY_NAME_MAX || !is_name(name) {
            problem(
                format!("{place}.{shown}"),
                format!(
                    "is no name that can stand here; write 1 to {ENTRY_NAME_MAX} letters, digits, hyphens and underscores, such as firstName"
                ),
            );
            continue;
        }
        match Source::parse(text) {
            Ok(source) => parsed.push((name.clone(), source)),
            Err(error) => problem(format!("{place}.{shown}"), error),
        }
    }
    parsed
}

/// Names that scripts write after a dot, and none that every object of theirs has.
fn is_content_name(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        && !matches!(name, "__proto__" | "constructor" | "prototype")
}

fn is_input_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte))
        && name != "__proto__"
}

/// A `token` (RFC 9110, 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
        && name != "__proto__"
}

/// Whether an origin and a host (with or without a port) belong to one site: they are the same host, or names below a common one of
/// two labels at least, which is none that everybody registers names under.
pub fn is_same_site(origin: &Origin, host: &str) -> bool {
    let Some(own) = host_of(&format!("https://{host}")) else {
        return false;
    };
    let Some(other) = host_of(origin.as_str()) else {
        return false;
    };
    if own == other {
        return true;
    }
    let (::url::Host::Domain(own), ::url::Host::Domain(other)) = (own, other) else {
        return false;
    };
    let common: Vec<&str> = own
        .rsplit('.')
        .zip(other.rsplit('.'))
        .take_while(|(one, two)| one == two)
        .map(|(label, _)| label)
        .collect();
    match common.as_slice() {
        [top, second] => !(top.len() == 2 && SHARED_SECOND_LEVELS.contains(second)),
        [_, _, _, ..] => true,
        _ => false,
    }
}

fn host_of(text: &str) -> Option<::url::Host<String>> {
    ::url::Url::parse(text)
        .ok()?
        .host()
        .map(|host| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::claims::tests::ada;

    fn settings(json: &str) -> DocsProfileSettings {
        serde_json::from_str(json).unwrap()
    }

    fn profile(json: &str) -> DocsProfile {
        DocsProfile::from_settings(&settings(json)).unwrap()
    }

    fn problems(json: &str) -> Vec<String> {
        DocsProfile::from_settings(&settings(json))
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn person() -> User {
        let mut user = ada();
        user.profile.groups = vec!["admin".to_owned(), "beta".to_owned()];
        user.profile.private_metadata =
            serde_json::from_str(r#"{"docs_key":"k-1","crm":{"id":7,"live":true,"tags":["a"]}}"#)
                .unwrap();
        user
    }

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn the_default_mapping_is_sound_and_tells_nothing_private() {
        assert_eq!(DocsProfile::default().content.len(), CONTENT_DEFAULT.len());
        assert_eq!(profile("{}"), DocsProfile::default());
        assert_eq!(
            DocsProfile::default().describe(&person(), NOW),
            json!({
                "expiresAt": 1_800_086_400,
                "groups": ["admin", "beta"],
                "content": { "firstName": "Ada", "name": "Ada Lovelace", "username": "ada", "email": "ada@acme.test" },
                "apiPlaygroundInputs": {},
            })
        );
    }

    #[test]
    fn a_mapping_replaces_the_default_and_names_members() {
        let profile = profile(
            r#"{"content":{"plan":"public_metadata.plan","crm":"private_metadata.crm.id","country":"address.country","id":"sub",
                "none":"public_metadata.none","deep":"public_metadata.plan.x","verified":"email_verified","all":"groups"},
                "groups":["beta","staff"],"expires_in":"1h",
                "playground":{"header":{"X-Api-Key":"private_metadata.docs_key","X-List":"private_metadata.crm.tags"},
                "query":{"crm":"private_metadata.crm.id"},"path":{"live":"private_metadata.crm.live"},"cookie":{"no":"nickname"}}}"#,
        );
        assert_eq!(
            profile.describe(&person(), NOW),
            json!({
                "expiresAt": 1_800_003_600,
                "groups": ["beta"],
                "content": { "plan": "pro", "crm": 7, "country": "GB", "id": person().id.to_string(), "verified": true, "all": ["admin", "beta"] },
                "apiPlaygroundInputs": { "header": { "X-Api-Key": "k-1" }, "query": { "crm": "7" }, "path": { "live": "true" } },
            })
        );
    }

    #[test]
    fn no_groups_are_told_when_none_is_listed_and_no_content_when_none_is_written() {
        let told = profile(r#"{"content":{},"groups":[]}"#).describe(&person(), NOW);
        assert_eq!(
            (&told["groups"], &told["content"]),
            (&json!([]), &json!({}))
        );
    }

    #[test]
    fn an_unknown_source_is_refused_with_the_nearest_one() {
        for (source, expected) in [
            ("given-name", "did you mean given_name?"),
            ("emial", "did you mean email?"),
            ("publik_metadata.plan", "did you mean public_metadata?"),
            ("unsafe_metadata.theme", "is nothing that is known"),
            ("", "is nothing that is known"),
            ("password", "is nothing that is known"),
            ("email.x", "email has no members"),
            ("private_metadata", "name one member"),
            ("private_metadata.", "name a member between the dots"),
            ("public_metadata..a", "name a member between the dots"),
            ("public_metadata.a.b.c.d.e.f.g.h.i", "8 members at most"),
        ] {
            for written in [
                json!({ "content": { "a": source } }),
                json!({ "playground": { "header": { "a": source } } }),
            ] {
                let found = problems(&written.to_string());
                assert!(
                    found.len() == 1 && found[0].contains(expected),
                    "{source}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn every_source_that_is_listed_can_be_told() {
        for source in SOURCES {
            let known = claims::known(&person()).contains_key(*source)
                || matches!(
                    *source,
                    "sub"
                        | "family_name"
                        | "middle_name"
                        | "nickname"
                        | "profile"
                        | "picture"
                        | "website"
                        | "gender"
                        | "birthdate"
                        | "zoneinfo"
                        | "locale"
                        | "phone_number"
                        | "phone_number_verified"
                );
            assert!(known, "{source}");
        }
    }

    #[test]
    fn names_counts_and_spans_have_limits() {
        for name in [
            "",
            "1a",
            "a b",
            "a\"",
            "__proto__",
            "constructor",
            "é",
            &"a".repeat(129),
        ] {
            let written = json!({ "content": { name: "name" } });
            assert_eq!(problems(&written.to_string()).len(), 1, "{name}");
        }
        for name in ["", "X Key", "X-Key:", "X\r\nY", "__proto__"] {
            let written = json!({ "playground": { "header": { name: "name" } } });
            assert_eq!(problems(&written.to_string()).len(), 1, "{name}");
        }
        let many: Map<String, Value> = (0..65)
            .map(|n| (format!("a{n}"), Value::from("name")))
            .collect();
        assert_eq!(problems(&json!({ "content": many }).to_string()).len(), 1);
        for span in ["59s", "31d"] {
            assert_eq!(
                problems(&json!({ "expires_in": span }).to_string()).len(),
                1,
                "{span}"
            );
        }
        let origins = vec!["https://docs.acme.test"; 51];
        assert_eq!(
            problems(&json!({ "shared_session_origins": origins }).to_string()).len(),
            1
        );
        for origin in [
            "http://docs.acme.test",
            "https://docs.acme.test/",
            "null",
            "*",
            "https://*.acme.test",
            "docs.acme.test",
        ] {
            let written = json!({ "shared_session_origins": [origin] });
            assert_eq!(problems(&written.to_string()).len(), 1, "{origin}");
        }
        let written = json!({ "groups": vec!["a"; 1001] });
        assert_eq!(problems(&written.to_string()).len(), 1);
    }

    #[test]
    fn an_entry_that_does_not_fit_is_left_out_and_the_others_stay() {
        let mut user = person();
        user.profile.public_metadata = serde_json::from_value(
            json!({ "large": "x".repeat(15_000), "larger": "y".repeat(20_000), "small": "z" }),
        )
        .unwrap();
        let told = profile(
            r#"{"content":{"a":"public_metadata.larger","b":"public_metadata.large","c":"public_metadata.small"}}"#,
        )
        .describe(&user, NOW);
        let told = told["content"].as_object().unwrap();
        assert_eq!(told.keys().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn t48_a_session_is_shared_within_one_site_only() {
        for (origin, host) in [
            ("https://docs.acme.test", "id.acme.test"),
            ("https://acme.test", "id.acme.test"),
            ("https://id.acme.test:8443", "id.acme.test"),
            ("https://docs.eu.acme.test", "id.eu.acme.test:8443"),
            ("https://docs.acme.co.uk", "id.acme.co.uk"),
            ("http://127.0.0.1:3000", "127.0.0.1:8080"),
            ("http://localhost:3000", "localhost:8080"),
            ("http://[::1]:3000", "[::1]"),
        ] {
            assert!(
                is_same_site(&Origin::parse(origin).unwrap(), host),
                "{origin} {host}"
            );
        }
        for (origin, host) in [
            ("https://acme.test.evil.example", "id.acme.test"),
            ("https://evilacme.test", "acme.test"),
            ("https://docs.example", "id.acme.test"),
            ("https://docs.test", "id.test"),
            ("https://evil.co.uk", "id.co.uk"),
            ("https://evil.com.au", "acme.com.au"),
            ("https://1.0.0.1", "127.0.0.1"),
            ("http://127.0.0.2:3000", "127.0.0.1"),
            ("http://localhost:3000", "127.0.0.1"),
            ("https://docs.acme.test", ""),
        ] {
            assert!(
                !is_same_site(&Origin::parse(origin).unwrap(), host),
                "{origin} {host}"
            );
        }
        let listed = profile(r#"{"shared_session_origins":["https://docs.acme.test"]}"#);
        let issuer = |text: &str| Issuer::parse(text).unwrap();
        assert!(
            listed.shares_session_with("https://docs.acme.test", &issuer("https://id.acme.test"))
        );
        for origin in [
            "https://docs.acme.test.",
            "https://other.acme.test",
            "null",
            "",
            "https://DOCS.acme.test",
        ] {
            assert!(!listed.shares_session_with(origin, &issuer("https://id.acme.test")));
        }
        // The issuer moved to another site.
        assert!(
            !listed
                .shares_session_with("https://docs.acme.test", &issuer("https://id.globex.test"))
        );
    }
}
