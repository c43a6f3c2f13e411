//! Scopes: what is asked, what is allowed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most scopes in one set.
pub const SCOPES_COUNT_MAX: usize = 64;
/// The longest name of a scope.
pub const SCOPE_LENGTH_MAX: usize = 128;

/// Why a text is not a set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character that RFC 6749, 3.3 does not allow, or nothing between two spaces.
    #[error(
        "scope must be names separated by single spaces, in printable ASCII without quotes and backslashes"
    )]
    Malformed,
    /// More than [`SCOPES_COUNT_MAX`] names, or one longer than [`SCOPE_LENGTH_MAX`].
    #[error("scope has too many or too long names")]
    TooLarge,
}

/// A set of scopes in the order in which they were named. Names are compared byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Reads `a b c` (RFC 6749, 3.3); a name that stands twice counts once.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let mut names = Vec::new();
        for name in text.split(' ').filter(|_| !text.is_empty()) {
            if !is_scope_name(name) {
                return Err(if name.len() > SCOPE_LENGTH_MAX {
                    ScopeError::TooLarge
                } else {
                    ScopeError::Malformed
                });
            }
            if !names.iter().any(|known| known == name) {
                if names.len() == SCOPES_COUNT_MAX {
                    return Err(ScopeError::TooLarge);
                }
                names.push(name.to_owned());
            }
        }
        Ok(Self(names))
    }

    /// Whether the set names this scope.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }

    /// Whether every name of this set is in the other.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|name| other.contains(name))
    }

    /// The first name that `allowed` does not have.
    pub fn first_outside<'a>(&'a self, allowed: &Self) -> Option<&'a str> {
        self.iter().find(|name| !allowed.contains(name))
    }

    /// The names that both have, in this set's order.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|name| other.contains(name))
                .cloned()
                .collect(),
        )
    }

    /// This set and the names of the other that it lacks.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut names = self.0.clone();
        names.extend(other.0.iter().filter(|name| !self.contains(name)).cloned());
        Self(names)
    }

    /// Adds one name.
    pub fn insert(&mut self, name: &str) {
        if !self.contains(name) {
            self.0.push(name.to_owned());
        }
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether no scope is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Whether a text can be the name of a scope (RFC 6749, 3.3: `%x21 / %x23-5B / %x5D-7E`).
pub fn is_scope_name(name: &str) -> bool {
    (1..=SCOPE_LENGTH_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// Whether a person is asked about a scope.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ScopeConsent {
    /// The consent page names it.
    #[default]
    Ask,
    /// It goes with signing in.
    Implied,
}

/// A scope that a tenant defines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeRecord {
    /// Its name on the wire.
    pub name: String,
    /// What it allows, in words for the consent page.
    pub description: String,
    /// Whether people are asked: `ask` (the default) or `implied`.
    #[serde(default)]
    pub consent: ScopeConsent,
}

/// A scope that every tenant has: its name, whether people are asked, and the sentence of the consent page.
#[derive(Clone, Copy, Debug)]
pub struct StandardScope {
    /// Its name.
    pub name: &'static str,
    /// Whether people are asked.
    pub consent: ScopeConsent,
    /// The sentence.
    pub sentence: &'static str,
}

/// The scopes of OpenID Connect Core (5.4 and 11) and of seed 002: one table for consent, discovery and registration.
pub const STANDARD_SCOPES: &[StandardScope] = &[
    StandardScope {
        name: "openid",
        consent: ScopeConsent::Implied,
        sentence: "Know that it is you",
    },
    StandardScope {
        name: "profile",
        consent: ScopeConsent::Ask,
        sentence: "See your name, picture and profile",
    },
    StandardScope {
        name: "email",
        consent: ScopeConsent::Ask,
        sentence: "See your email address",
    },
    StandardScope {
        name: "address",
        consent: ScopeConsent::Ask,
        sentence: "See your postal address",
    },
    StandardScope {
        name: "phone",
        consent: ScopeConsent::Ask,
        sentence: "See your telephone number",
    },
    StandardScope {
        name: "offline_access",
        consent: ScopeConsent::Ask,
        sentence: "Keep its access while you are away",
    },
    StandardScope {
        name: "public_metadata",
        consent: ScopeConsent::Ask,
        sentence: "See the settings that apps keep about you",
    },
    StandardScope {
        name: "private_metadata",
        consent: ScopeConsent::Ask,
        sentence: "See the notes that this organisation keeps about you",
    },
];

/// What a request that names no scope asks for (seed 002), where the client says nothing else.
pub const SCOPE_DEFAULT: &str = "profile email";

/// The scope that opens the Info API of docs sites, where a tenant gives it no other name (seed 000).
pub const DOCS_SCOPE_DEFAULT: &str = "docs-user-info";
/// What the consent page says of it, where a tenant says nothing else.
pub const DOCS_SCOPE_SENTENCE: &str = "Adapt its documentation to you: your name, address, picture, groups and what is kept for such pages";

/// Every scope that a tenant serves: the standard ones and its own.
pub fn served(own: &[ScopeRecord]) -> ScopeSet {
    let mut set = ScopeSet(
        STANDARD_SCOPES
            .iter()
            .map(|scope| scope.name.to_owned())
            .collect(),
    );
    for scope in own {
        set.insert(&scope.name);
    }
    set
}

/// Whether people are asked about a scope, and the sentence for it. An unknown scope is asked about under its own name.
pub fn describe<'a>(name: &'a str, own: &'a [ScopeRecord]) -> (ScopeConsent, &'a str) {
    STANDARD_SCOPES
        .iter()
        .find(|scope| scope.name == name)
        .map(|scope| (scope.consent, scope.sentence))
        .or_else(|| {
            own.iter()
                .find(|scope| scope.name == name)
                .map(|scope| (scope.consent, scope.description.as_str()))
        })
        .unwrap_or((ScopeConsent::Ask, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t18_names_are_exact_and_count_once() {
        let set = ScopeSet::parse("openid Openid openid").unwrap();
        assert_eq!(set.to_string(), "openid Openid");
        assert!(!set.is_subset(&ScopeSet::parse("openid").unwrap()));
    }

    #[test]
    fn a_malformed_scope_is_refused() {
        for bad in [
            " openid", "openid ", "a  b", "a\tb", "a\"b", "a\\b", "é", "a\u{0}b",
        ] {
            assert_eq!(ScopeSet::parse(bad), Err(ScopeError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn t60_a_long_scope_list_is_refused_in_one_look() {
        let many = (0..5000)
            .map(|n| format!("s{n}"))
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(ScopeSet::parse(&many), Err(ScopeError::TooLarge));
        assert_eq!(ScopeSet::parse(&"x".repeat(129)), Err(ScopeError::TooLarge));
        assert_eq!(
            ScopeSet::parse(&"x ".repeat(4000)),
            Err(ScopeError::Malformed)
        );
    }
}
