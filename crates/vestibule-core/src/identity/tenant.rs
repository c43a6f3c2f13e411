//! A tenant: an isolated realm with its own issuer, keys, people and clients.

use crate::docs::profile::DocsProfileSettings;
use crate::id::TenantId;
use crate::oauth::alias::EndpointAliasSettings;
use crate::oauth::scope::{DOCS_SCOPE_DEFAULT, DOCS_SCOPE_SENTENCE, ScopeConsent, ScopeRecord};
use crate::time::Lifetime;
use crate::url::Issuer;
use serde::{Deserialize, Serialize};

/// The slug of the tenant whose issuer is the server's public URL.
pub const DEFAULT_SLUG: &str = "default";

/// The longest slug.
pub const SLUG_LENGTH_MAX: usize = 63;

/// Who may sign up by themselves.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SignUp {
    /// Anybody.
    Open,
    /// Those whom an administrator creates; the page says so.
    Invited,
    /// Nobody.
    #[default]
    Closed,
}

/// What happens when an upstream provider tells an address that a person here has already.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Linking {
    /// The upstream identity becomes that person's, if both sides verified the address: the default.
    #[default]
    Link,
    /// Nobody signs in: the person signs in as before and links the provider from within.
    Refuse,
    /// A second person is made, without the address.
    Duplicates,
}

/// Whether an app must show a publishable key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PublishableKey {
    /// It may: it names the app and proves nothing. A key that is shown must be right.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// What a tenant decides for all its clients and people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantPolicy {
    /// Who may sign up: `open`, `invited` or `closed` (the default).
    pub sign_up: SignUp,
    /// How long a browser session lasts at most, such as `14d` (the default).
    #[schemars(with = "String")]
    pub session_lifetime: Lifetime,
    /// How long a browser session lasts without use, such as `3d` (the default).
    #[schemars(with = "String")]
    pub session_idle: Lifetime,
    /// What happens when a provider tells an address that a person here has: `link` (the default), `refuse` or `duplicates`.
    pub linking: Linking,
    /// Whether apps of the project API must show a publishable key: `optional` (the default) or `required`.
    pub publishable_key: PublishableKey,
    /// Whether the project API returns people to any address on this device. Relaxed: for development.
    pub allow_localhost: bool,
    /// Whether the project API accepts the PKCE method `plain`. Relaxed: who sees the request can use the code.
    pub plain_pkce: bool,
    /// Whether people may remove their own account through apps of the project API.
    pub client_user_deletion: bool,
    /// The scope that opens the Info API of docs sites: `docs-user-info` (the default), or another name that is no standard scope.
    pub docs_scope: String,
}

impl Default for TenantPolicy {
    fn default() -> Self {
        Self {
            sign_up: SignUp::default(),
            session_lifetime: Lifetime::days(14),
            session_idle: Lifetime::days(3),
            linking: Linking::default(),
            publishable_key: PublishableKey::default(),
            allow_localhost: false,
            plain_pkce: false,
            client_user_deletion: false,
            docs_scope: DOCS_SCOPE_DEFAULT.to_owned(),
        }
    }
}

impl TenantPolicy {
    /// A tenant's own scopes and the one of its docs sites, which it has whether or not it describes it itself.
    pub fn with_docs_scope(&self, mut own: Vec<ScopeRecord>) -> Vec<ScopeRecord> {
        if !own.iter().any(|scope| scope.name == self.docs_scope) {
            own.push(ScopeRecord {
                name: self.docs_scope.clone(),
                description: DOCS_SCOPE_SENTENCE.to_owned(),
                consent: ScopeConsent::Ask,
            });
        }
        own
    }
}

/// How a host stands to its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainKind {
    /// The tenant's issuer is `https://{host}`.
    Primary,
    /// Answers like the primary; the issuer stays what it is.
    Alias,
    /// A site of the tenant whose people sign in at the primary host; every OAuth endpoint answers 403 here.
    Satellite,
}

/// A host that a tenant answers on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The host, and the port where it is not the scheme's own.
    pub host: String,
    /// What it is.
    pub kind: DomainKind,
}

/// A tenant as requests see it.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its record; the project id of seed 001 and the instance id of seed 002.
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Its identifier in tokens.
    pub issuer: Issuer,
    /// What it decides.
    pub policy: TenantPolicy,
    /// The groups that people can be in.
    pub groups: Vec<String>,
    /// The scopes that it adds to the standard ones, that of docs sites among them.
    pub scopes: Vec<ScopeRecord>,
    /// What docs sites are told about people, as written.
    pub docs_profile: DocsProfileSettings,
    /// Where its endpoints answer too, as written.
    pub endpoint_aliases: EndpointAliasSettings,
}

/// Whether a text can be a slug: lower-case letters, digits and single hyphens between them.
pub fn is_slug(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= SLUG_LENGTH_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text can be a registered host: a lower-case DNS name or IP literal with an optional port.
pub fn is_host(text: &str) -> bool {
    text.len() <= 260
        && !text.is_empty()
        && ::url::Url::parse(&format!("https://{text}")).is_ok_and(|url| {
            url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty()
                && url.password().is_none()
                && url.host_str().is_some_and(|host| {
                    url.port()
                        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
                        == text
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_lower_case_letters_digits_and_inner_hyphens() {
        for good in ["default", "globex", "a", "a-1"] {
            assert!(is_slug(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a b",
            "a/b",
            "..",
            "a.b",
            &"a".repeat(64),
        ] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_is_a_name_with_an_optional_port() {
        for good in [
            "app2.acme.test",
            "app2.acme.test:8443",
            "127.0.0.1:80",
            "[::1]:3000",
            "localhost",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            "App.test",
            "a/b",
            "a b",
            "u@a.test",
            "a.test:443",
            "a.test?",
            "https://a.test",
            "a.test#x",
            "a.test:99999",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
