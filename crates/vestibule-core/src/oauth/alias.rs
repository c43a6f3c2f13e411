//! Endpoint aliases: other places at which a tenant's endpoints answer, for clients whose settings name them (seed 000's
//! `/authorization` and `/exchange`). Discovery names the standard places only.
//!
//! [`EndpointAliasSettings`] is what an operator writes and a row holds; [`EndpointAliases`] is what it parses into. The law: an alias
//! begins with a segment with which no path of ours begins, so it shadows nothing today and nothing that comes below those.

use serde::{Deserialize, Serialize};

/// The longest alias, in bytes.
pub const ALIAS_LENGTH_MAX: usize = 128;
/// The most segments of an alias.
pub const ALIAS_SEGMENTS_MAX: usize = 6;

/// The first segments of our own paths, and those that are kept for them.
pub const RESERVED_SEGMENTS: &[&str] = &[
    ".well-known",
    "_handshake",
    "account",
    "accounts",
    "api",
    "assets",
    "consent",
    "dashboard",
    "demo",
    "device",
    "docs",
    "healthz",
    "metrics",
    "oauth",
    "readyz",
    "setup",
    "sign-in",
    "sign-out",
    "sign-up",
    "t",
    "v1",
];

/// Endpoint aliases as written: by endpoint, a path below the tenant's base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointAliasSettings {
    /// Where the authorization endpoint answers too, such as `/authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Where the token endpoint answers too, such as `/exchange`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where user info answers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo: Option<String>,
    /// Where the revocation endpoint answers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<String>,
    /// Where the introspection endpoint answers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<String>,
    /// Where the end session endpoint answers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logout: Option<String>,
    /// Where the Info API of docs sites answers too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs_user_info: Option<String>,
}

impl EndpointAliasSettings {
    /// Each endpoint: its name here, its standard place, and its alias.
    fn entries(&self) -> [(&'static str, &'static str, Option<&str>); 7] {
        [
            (
                "authorization",
                "/oauth/authorize",
                self.authorization.as_deref(),
            ),
            ("token", "/oauth/token", self.token.as_deref()),
            ("userinfo", "/oauth/userinfo", self.userinfo.as_deref()),
            ("revocation", "/oauth/revoke", self.revocation.as_deref()),
            (
                "introspection",
                "/oauth/introspect",
                self.introspection.as_deref(),
            ),
            ("logout", "/oauth/logout", self.logout.as_deref()),
            (
                "docs_user_info",
                "/docs/user-info",
                self.docs_user_info.as_deref(),
            ),
        ]
    }
}

/// What is wrong with an alias: the endpoint, and a sentence that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {problem}")]
pub struct EndpointAliasProblem {
    /// The endpoint's name in the settings.
    pub endpoint: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Aliases that are sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointAliases(Vec<(String, &'static str)>);

impl EndpointAliases {
    /// Parses what is written. Every problem is named, not only the first.
    pub fn from_settings(
        settings: &EndpointAliasSettings,
    ) -> Result<Self, Vec<EndpointAliasProblem>> {
        let mut aliases: Vec<(String, &'static str)> = Vec::new();
        let mut problems = Vec::new();
        for (endpoint, standard, alias) in settings.entries() {
            let Some(alias) = alias else {
                continue;
            };
            let problem = check(alias).or_else(|| {
                aliases
                    .iter()
                    .any(|(known, _)| known == alias)
                    .then(|| "is the alias of another endpoint already".to_owned())
            });
            match problem {
                Some(problem) => problems.push(EndpointAliasProblem { endpoint, problem }),
                None => aliases.push((alias.to_owned(), standard)),
            }
        }
        if problems.is_empty() {
            Ok(Self(aliases))
        } else {
            Err(problems)
        }
    }

    /// The standard place of the endpoint that a path is the alias of.
    pub fn standard_place(&self, path: &str) -> Option<&'static str> {
        self.0
            .iter()
            .find(|(alias, _)| alias == path)
            .map(|(_, standard)| *standard)
    }
}

fn check(alias: &str) -> Option<String> {
    let segments: Vec<&str> = alias.split('/').skip(1).collect();
    let is_plain = |segment: &&str| {
        !matches!(*segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if !alias.starts_with('/')
        || alias.len() > ALIAS_LENGTH_MAX
        || segments.len() > ALIAS_SEGMENTS_MAX
        || !segments.iter().all(is_plain)
    {
        return Some(format!(
            "write a path such as /exchange: letters, digits, hyphens, dots, underscores and tildes between slashes, {ALIAS_LENGTH_MAX} bytes and {ALIAS_SEGMENTS_MAX} segments at most, no slash at its end"
        ));
    }
    // A proxy or file system in front of us may not tell case apart.
    let first = segments
        .first()
        .map(|segment| segment.to_ascii_lowercase())
        .unwrap_or_default();
    RESERVED_SEGMENTS.contains(&first.as_str()).then(|| {
        format!("begins with /{first}, where paths of our own are; choose another first segment")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aliases(json: &str) -> Result<EndpointAliases, Vec<EndpointAliasProblem>> {
        EndpointAliases::from_settings(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn an_alias_leads_to_its_endpoint_and_to_no_other() {
        let aliases = aliases(
            r#"{"authorization":"/authorization","token":"/exchange","userinfo":"/me","revocation":"/drop","introspection":"/look/in",
                "logout":"/bye","docs_user_info":"/user-info.json"}"#,
        )
        .unwrap();
        for (path, standard) in [
            ("/authorization", "/oauth/authorize"),
            ("/exchange", "/oauth/token"),
            ("/me", "/oauth/userinfo"),
            ("/drop", "/oauth/revoke"),
            ("/look/in", "/oauth/introspect"),
            ("/bye", "/oauth/logout"),
            ("/user-info.json", "/docs/user-info"),
        ] {
            assert_eq!(aliases.standard_place(path), Some(standard));
        }
        for path in [
            "/Exchange",
            "/exchange/",
            "//exchange",
            "/exchange/x",
            "/look",
            "/",
            "",
        ] {
            assert_eq!(aliases.standard_place(path), None, "{path}");
        }
    }

    #[test]
    fn an_alias_that_shadows_or_is_no_plain_path_is_refused() {
        for bad in [
            "",
            "/",
            "exchange",
            "/exchange/",
            "//exchange",
            "/a//b",
            "/./a",
            "/a/..",
            "/a%2fb",
            "/a;b",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\\b",
            "/é",
            "/*",
            "/a\u{0}",
            "/a/b/c/d/e/f/g",
            &format!("/{}", "a".repeat(128)),
            "/oauth/exchange",
            "/oauth",
            "/OAuth/token",
            "/sign-in",
            "/t/globex/token",
            "/.well-known/x",
            "/api/v1/x",
            "/healthz",
            "/docs/me",
        ] {
            let written = serde_json::json!({ "token": bad }).to_string();
            let problems = aliases(&written).unwrap_err();
            assert!(
                problems.len() == 1 && problems[0].endpoint == "token",
                "{bad}"
            );
        }
    }

    #[test]
    fn one_alias_is_of_one_endpoint() {
        let problems = aliases(r#"{"token":"/a","userinfo":"/a","logout":"/b"}"#).unwrap_err();
        assert_eq!(
            problems[0].to_string(),
            "userinfo: is the alias of another endpoint already"
        );
    }
}
