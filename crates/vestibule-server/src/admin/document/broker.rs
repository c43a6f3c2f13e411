//! What a document says about the broker: providers, API keys and trusted domains.

use super::{
    ApiKeyEntry, CLIENT_SECRET_BYTES_FEW, CLIENT_SECRET_BYTES_MAX, Placed, ProviderEntry, Reader,
    TenantEntry, Unique, add_properties, array_of, split,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::identity::tenant::TenantPolicy;
use vestibule_core::identity::trusted_domain::TrustedDomain;
use vestibule_core::relying_party::provider::{
    EmailTrust, Provider, ProviderSettings, UpstreamAuth,
};
use vestibule_core::relying_party::tokens::parse_signing_secret;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_core::time::Timestamp;

/// The longest secret of ours at a provider, in bytes: a private key is one too.
const PROVIDER_SECRET_BYTES_MAX: usize = 4096;

/// The keys that hold our secret at another server; everything else is settings.
pub(super) const CLIENT_SECRET_KEYS: &[&str] =
    &["client_secret", "client_secret_env", "client_secret_file"];

/// What a key of a tier begins with, so that a leaked one is recognised for what it is.
pub(in crate::admin) const fn key_prefix(tier: KeyTier) -> &'static str {
    match tier {
        KeyTier::Publishable => "pck_",
        KeyTier::Secret => "ssk_",
        KeyTier::Admin => "sak_",
    }
}

/// Our secret at another server, in one of three forms. It stays when none is given.
#[expect(
    clippy::struct_field_names,
    reason = "the names are the keys of the file"
)]
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClientSecretShape {
    /// The secret itself; for Apple, its private key as PEM.
    client_secret: Option<String>,
    /// The environment variable that holds the secret.
    client_secret_env: Option<String>,
    /// The file that holds the secret, relative to this file; a newline at its end does not count.
    client_secret_file: Option<String>,
}

/// An API key of the tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApiKey")]
pub(super) struct ApiKeyShape {
    /// Its name for people, unique in the tenant.
    name: String,
    /// What it opens: `publishable` (it stands in browsers and proves nothing), `secret` (a server's), `admin`.
    tier: KeyTier,
    /// The key itself.
    #[serde(default)]
    key: Option<String>,
    /// The environment variable that holds the key.
    #[serde(default)]
    key_env: Option<String>,
    /// The file that holds the key, relative to this file; a newline at its end does not count.
    #[serde(default)]
    key_file: Option<String>,
    /// When it ends, such as 2027-01-31T00:00:00Z; never when absent.
    #[serde(default)]
    expires_at: Option<String>,
}

/// A place that the tenant's own apps live at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrustedDomain")]
pub(super) struct TrustedDomainShape {
    /// Scheme, host and port: `https://app.example.com`, `http://localhost:3000`. `*` stands for part of a label, `**` for one label
    /// or more: `https://*.example.com`, `https://preview-*.example.com`.
    base_url: String,
}

pub(super) fn providers_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = ProviderSettings::json_schema(generator);
    add_properties(&mut schema, &ClientSecretShape::json_schema(generator));
    array_of(&schema)
}

/// What stands twice in a tenant and may stand once.
pub(super) fn duplicates(tenant: &TenantEntry) -> [Unique; 4] {
    let (mut providers, mut keys) = (Unique::default(), Unique::default());
    let mut domains = Unique::default();
    for provider in &tenant.providers {
        let id = provider.settings.id.to_string();
        providers.add(format!("{}.id", provider.place), id);
    }
    for key in &tenant.api_keys {
        keys.add(format!("{}.name", key.place), key.name.clone());
    }
    for domain in &tenant.trusted_domains {
        let text = domain.value.as_str().to_owned();
        domains.add(format!("{}.base_url", domain.place), text);
    }
    let mut sites = Unique::default();
    for site in &tenant.docs_sites {
        sites.add(format!("{}.name", site.place), site.site.name.clone());
    }
    [providers, keys, domains, sites]
}

impl Reader<'_> {
    pub(super) fn warn_of_relaxed_policy(&mut self, place: &str, policy: Option<&TenantPolicy>) {
        let Some(policy) = policy else { return };
        for (is_relaxed, key, text) in [
            (
                policy.allow_localhost,
                "allow_localhost",
                "any program on a person's device can receive their codes; for development only",
            ),
            (
                policy.plain_pkce,
                "plain_pkce",
                "who sees an authorization request can use its code",
            ),
        ] {
            if is_relaxed {
                self.warn(format!("{place}.policy.{key}"), text);
            }
        }
    }

    pub(super) fn provider(&mut self, place: String, value: &Value) -> Option<ProviderEntry> {
        let (secret, settings) = split(value, CLIENT_SECRET_KEYS);
        let settings: ProviderSettings = self.part(&place, Value::Object(settings))?;
        let given = self.client_secret(&place, secret);
        let provider = match Provider::from_settings(&settings) {
            Ok(provider) => provider,
            Err(problems) => {
                for problem in problems {
                    self.problem(format!("{place}.{}", problem.field), problem.problem);
                }
                return None;
            }
        };
        // Why it could not be read was said; that there is none need not be said too.
        let given = given.ok();
        if let Some(Some((key, secret))) = &given {
            self.check_provider_secret(&format!("{place}.{key}"), provider.auth, secret);
        }
        if settings.email_trust == Some(EmailTrust::Always) {
            self.warn(
                format!("{place}.email_trust"),
                "who can write any address there signs in as its owner here",
            );
        }
        Some(ProviderEntry {
            place,
            settings,
            auth: provider.auth,
            secret: given?.map(|(_, secret)| secret),
        })
    }

    /// Our secret at another server and the key that gives it; an error when it is named and could not be read, which was said.
    pub(super) fn client_secret(
        &mut self,
        place: &str,
        keys: Map<String, Value>,
    ) -> Result<Option<(&'static str, Secret)>, ()> {
        let keys: ClientSecretShape =
            serde_json::from_value(Value::Object(keys)).unwrap_or_default();
        let is_elsewhere = keys.client_secret_env.is_some() || keys.client_secret_file.is_some();
        let given = self.given(
            place,
            "the secret",
            ("client_secret", keys.client_secret),
            [
                ("client_secret_env", keys.client_secret_env.is_some()),
                ("client_secret_file", keys.client_secret_file.is_some()),
            ],
        );
        if given.is_none() && is_elsewhere {
            return Err(());
        }
        Ok(given)
    }

    fn check_provider_secret(&mut self, place: &str, auth: UpstreamAuth, secret: &Secret) {
        let bytes = secret.reveal().as_bytes();
        let fits = match auth {
            UpstreamAuth::None => {
                self.problem(
                    place,
                    "there is no secret with token_endpoint_auth_method = \"none\"; leave it out",
                );
                return;
            }
            UpstreamAuth::SignedSecret => {
                if parse_signing_secret(secret).is_none() {
                    self.problem(
                        place,
                        "write the ES256 private key that Apple gave, the whole PEM file (`-----BEGIN PRIVATE KEY-----` …)",
                    );
                }
                return;
            }
            UpstreamAuth::ClientSecretPost | UpstreamAuth::ClientSecretBasic => {
                (1..=PROVIDER_SECRET_BYTES_MAX).contains(&bytes.len())
                    // RFC 6749, A.2: printable ASCII.
                    && bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
            }
        };
        if !fits {
            self.problem(
                place,
                format!("a secret has 1 to {PROVIDER_SECRET_BYTES_MAX} printable ASCII characters"),
            );
        }
    }

    pub(super) fn api_key(&mut self, place: String, value: Value) -> Option<ApiKeyEntry> {
        let shape: ApiKeyShape = self.part(&place, value)?;
        self.check_name(format!("{place}.name"), &shape.name);
        let given = self.given(
            &place,
            "the key",
            ("key", shape.key),
            [
                ("key_env", shape.key_env.is_some()),
                ("key_file", shape.key_file.is_some()),
            ],
        );
        let key = given.map(|(key, secret)| {
            self.check_api_key(&format!("{place}.{key}"), shape.tier, &secret);
            (key, SecretDigest::of_client_secret(secret.reveal()))
        });
        let expires_at = shape.expires_at.and_then(|text| {
            let time = text.parse::<jiff::Timestamp>().ok();
            if time.is_none() {
                self.problem(
                    format!("{place}.expires_at"),
                    "write a time with its offset, such as 2027-01-31T00:00:00Z",
                );
            }
            time.map(|time| Timestamp::from_seconds(time.as_second()))
        });
        Some(ApiKeyEntry {
            place,
            name: shape.name,
            tier: shape.tier,
            expires_at,
            key,
        })
    }

    fn check_api_key(&mut self, place: &str, tier: KeyTier, key: &Secret) {
        let text = key.reveal();
        let tiers = [KeyTier::Publishable, KeyTier::Secret, KeyTier::Admin];
        let other = tiers
            .into_iter()
            .find(|other| *other != tier && text.starts_with(key_prefix(*other)));
        if text.is_empty()
            || text.len() > CLIENT_SECRET_BYTES_MAX
            || !text.bytes().all(|byte| byte.is_ascii_graphic())
        {
            self.problem(
                place,
                format!(
                    "a key has 1 to {CLIENT_SECRET_BYTES_MAX} printable ASCII characters without spaces"
                ),
            );
        } else if let Some(other) = other {
            // A secret key that is called publishable ends in browsers.
            self.problem(
                place,
                format!(
                    "begins with `{}` as {} keys do; make it a key of that tier, or give another one",
                    key_prefix(other),
                    other.as_str()
                ),
            );
        } else if tier != KeyTier::Publishable && text.len() < CLIENT_SECRET_BYTES_FEW {
            self.warn(place, format!("the key has fewer than {CLIENT_SECRET_BYTES_FEW} characters; leave it out and take the random one that is made"));
        }
    }

    pub(super) fn trusted_domain(
        &mut self,
        place: String,
        value: Value,
    ) -> Option<Placed<TrustedDomain>> {
        let shape: TrustedDomainShape = self.part(&place, value)?;
        match TrustedDomain::parse(&shape.base_url) {
            Ok(value) => Some(Placed { place, value }),
            Err(error) => {
                self.problem(format!("{place}.base_url"), error.to_string());
                None
            }
        }
    }

    /// A secret in the one form in which it is given; a second form is a problem.
    fn given(
        &mut self,
        place: &str,
        what: &str,
        clear: (&'static str, Option<String>),
        elsewhere: [(&'static str, bool); 2],
    ) -> Option<(&'static str, Secret)> {
        let mut given = vec![(clear.0, clear.1.map(Secret::new))];
        for (key, is_given) in elsewhere {
            given.push((key, self.resolved(place, key, is_given)));
        }
        let mut given = given
            .into_iter()
            .filter_map(|(key, secret)| secret.map(|secret| (key, secret)));
        let first = given.next();
        if let Some((second, _)) = given.next() {
            self.problem(
                format!("{place}.{second}"),
                format!("{what} is given more than once; keep one of the keys"),
            );
        }
        first
    }
}
