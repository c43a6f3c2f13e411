//! The installation file: what an installation is to contain, as text.
//!
//! The file is TOML; an action hands over the same shape as JSON. Reading names every problem with its place and goes on, so
//! that one look shows all of them. Client keys are the metadata names of RFC 7591 and of `OpenID` Connect registration, person
//! keys the standard claims of `OpenID` Connect.
//!
//! What depends on the records (is this scope known, is this host taken) is not decided here but in [`super::plan`].

pub(super) mod broker;
pub(super) mod docs_profile;
mod docs_sites;
mod shape;

use super::secrets::Resolved;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use vestibule_core::docs::profile::DocsProfileSettings;
use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::id::{TenantId, UserId};
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::identity::tenant::{
    DEFAULT_SLUG, Domain, DomainKind, TenantPolicy, is_host, is_slug,
};
use vestibule_core::identity::trusted_domain::TrustedDomain;
use vestibule_core::identity::user::{Email, Profile, Username, identifier_key};
use vestibule_core::oauth::alias::EndpointAliasSettings;
use vestibule_core::oauth::client::{
    ClientAuthMethod, ClientMetadata, ConsentPolicy, IntrospectionPolicy, PkcePolicy, StatePolicy,
};
use vestibule_core::oauth::scope::{STANDARD_SCOPES, ScopeRecord, is_scope_name};
use vestibule_core::relying_party::provider::{ProviderSettings, UpstreamAuth};
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_core::time::Timestamp;

/// The largest installation file, in bytes.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest name of a tenant, group, or the description of a scope, in characters.
const NAME_CHARACTERS_MAX: usize = 256;
/// The most groups of a tenant.
const GROUPS_COUNT_MAX: usize = 1000;
/// The longest client secret, in bytes.
const CLIENT_SECRET_BYTES_MAX: usize = 512;
/// A shorter client secret is warned of: one SHA-256 is all that guards its digest.
const CLIENT_SECRET_BYTES_FEW: usize = 22;
/// A shorter password is warned of.
const PASSWORD_CHARACTERS_FEW: usize = 8;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Problem {
    /// The place, such as `tenant[0].client[2].redirect_uris`; empty for the whole document.
    pub(crate) place: String,
    /// What is wrong and what would be right.
    pub(crate) text: String,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.place, self.text)
        }
    }
}

/// What a document asks for.
#[derive(Default)]
pub(crate) struct Document {
    /// Its tenants.
    pub(crate) tenants: Vec<TenantEntry>,
}

/// One tenant. What is absent stays as it is, or takes its default in a new tenant.
pub(crate) struct TenantEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// Its name in addresses.
    pub(crate) slug: String,
    /// Its id.
    pub(crate) id: Option<TenantId>,
    /// Its name for people.
    pub(crate) name: Option<String>,
    /// The groups that people can be in.
    pub(crate) groups: Option<Vec<String>>,
    /// What it decides.
    pub(crate) policy: Option<TenantPolicy>,
    /// What docs sites are told about people.
    pub(crate) docs_profile: Option<Placed<DocsProfileSettings>>,
    /// Where its endpoints answer besides their own places.
    pub(crate) endpoint_aliases: Option<EndpointAliasSettings>,
    /// Its hosts.
    pub(crate) domains: Vec<Placed<Domain>>,
    /// Its scopes.
    pub(crate) scopes: Vec<Placed<ScopeRecord>>,
    /// Its clients.
    pub(crate) clients: Vec<ClientEntry>,
    /// Its people.
    pub(crate) users: Vec<UserEntry>,
    /// The providers that it signs people in through.
    pub(crate) providers: Vec<ProviderEntry>,
    /// Its API keys.
    pub(crate) api_keys: Vec<ApiKeyEntry>,
    /// Where its own apps live.
    pub(crate) trusted_domains: Vec<Placed<TrustedDomain>>,
    /// Its docs sites.
    pub(crate) docs_sites: Vec<DocsSiteEntry>,
}

/// Something, and where it stands.
pub(crate) struct Placed<T> {
    /// Where it stands.
    pub(crate) place: String,
    /// What it is.
    pub(crate) value: T,
}

/// One client: all of its metadata. What is absent takes its default; only its secrets stay when none is given.
pub(crate) struct ClientEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// Its metadata.
    pub(crate) metadata: ClientMetadata,
    /// The digest of its secret, where one is given.
    pub(crate) secret: Option<SecretDigest>,
}

/// One person. What is absent stays as it is, since people edit their own record; an empty text takes a value away.
pub(crate) struct UserEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// Whose record it is; found by user name or address when absent.
    pub(crate) target: Option<UserId>,
    /// The user name.
    pub(crate) username: Option<String>,
    /// The address.
    pub(crate) email: Option<String>,
    /// Whether the address is proved.
    pub(crate) email_verified: Option<bool>,
    /// Whether the person may not sign in.
    pub(crate) disabled: Option<bool>,
    /// The password.
    pub(crate) password: Option<GivenPassword>,
    /// The claims and metadata that are given.
    pub(crate) profile: Map<String, Value>,
}

/// One provider: all of its settings. What is absent takes its default; only its secret stays when none is given.
pub(crate) struct ProviderEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// What is written.
    pub(crate) settings: ProviderSettings,
    /// How we prove ourselves there, which says whether there is a secret.
    pub(crate) auth: UpstreamAuth,
    /// Our secret there, where it is given.
    pub(crate) secret: Option<Secret>,
}

/// One docs site: all of its settings. What is absent takes its default; only its client's secret stays when none is given.
pub(crate) struct DocsSiteEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// What it is.
    pub(crate) site: DocsSite,
    /// What is written.
    pub(crate) settings: DocsSiteSettings,
    /// Its client's secret, where it is given.
    pub(crate) secret: Option<Secret>,
}

/// One API key. Without the key itself the stored one stays, or one is made.
pub(crate) struct ApiKeyEntry {
    /// Where it stands.
    pub(crate) place: String,
    /// Its name.
    pub(crate) name: String,
    /// What it opens.
    pub(crate) tier: KeyTier,
    /// When it ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// The digest of the key, and the name of the entry that gives it.
    pub(crate) key: Option<(&'static str, SecretDigest)>,
}

/// A password as it is given.
#[derive(Clone)]
pub(crate) enum GivenPassword {
    /// The password itself: the person's stored one is replaced unless it is this one.
    Clear(Secret),
    /// Its hash: taken for a person who has no password yet, so that a later change by the person stands.
    Hash(String),
}

/// What reading a document gives: what could be read, and all that is wrong with it.
#[derive(Default)]
pub(crate) struct Read {
    /// What could be read.
    pub(crate) document: Document,
    /// What is wrong. A document with problems is never applied.
    pub(crate) problems: Vec<Problem>,
    /// What is allowed and relaxes a strict default, or is weak.
    pub(crate) warnings: Vec<Problem>,
}

/// The installation file as a JSON Schema.
pub(crate) fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<DocumentShape>();
    schema.insert(
        "title".to_owned(),
        Value::from("The installation file of Vestibule"),
    );
    let mut schema = schema.to_value();
    remove_null(&mut schema);
    schema
}

/// Reads an installation file. `secrets` are what its `*_env` and `*_file` keys stand for, by place.
pub(crate) fn read(text: &str, secrets: &BTreeMap<String, Resolved>) -> Read {
    match parse_toml(text) {
        Ok(root) => read_value(&root, secrets),
        Err(problem) => Read {
            problems: vec![problem],
            ..Read::default()
        },
    }
}

/// Parses TOML to the values that [`read_value`] takes.
pub(crate) fn parse_toml(text: &str) -> Result<Value, Problem> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(Problem::new(
            "",
            format!("the file is larger than {DOCUMENT_BYTES_MAX} bytes"),
        ));
    }
    text.parse::<toml::Table>()
        .map(|table| to_json(toml::Value::Table(table)))
        .map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text
                .bytes()
                .take(start)
                .filter(|byte| *byte == b'\n')
                .count()
                + 1;
            // The message only: the parser's own text shows the line, which may hold a secret.
            Problem::new(format!("line {line}"), error.message())
        })
}

/// Reads a document that is JSON already.
pub(crate) fn read_value(root: &Value, secrets: &BTreeMap<String, Resolved>) -> Read {
    let mut reader = Reader {
        secrets,
        read: Read::default(),
    };
    let schema = schema();
    reader.read.problems = shape::check(root, &schema);
    // What is wrong in one place must not hide what is wrong elsewhere.
    let rest = shape::without(root, &reader.read.problems);
    if let Ok(shape) = serde_json::from_value::<DocumentShape>(rest) {
        for (index, tenant) in shape.tenant.iter().enumerate() {
            reader.tenant(&format!("tenant[{index}]"), tenant);
        }
    }
    reader.find_duplicates();
    reader.read
}

/// The keys that hold a client's secret; everything else of a client is metadata.
const CLIENT_SECRET_KEYS: &[&str] = &[
    "client_secret",
    "client_secret_env",
    "client_secret_file",
    "client_secret_hash",
];
/// The keys of a person that are no claims.
const USER_KEYS: &[&str] = &[
    "username",
    "email",
    "email_verified",
    "disabled",
    "password",
    "password_env",
    "password_file",
    "password_hash",
];

/// An installation: its tenants with all that belongs to them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Installation")]
struct DocumentShape {
    /// The tenants. The tenant `default` is made when it is not named.
    #[serde(default)]
    #[schemars(schema_with = "tenants_schema")]
    tenant: Vec<Value>,
}

/// A tenant. `name`, `groups`, `policy`, `docs_profile` and `endpoint_aliases` stay as they are when absent, and take their default in
/// a new tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tenant")]
struct TenantShape {
    /// Its name in addresses: lower-case letters, digits and inner hyphens. The issuer of `default` is the public URL.
    slug: String,
    /// Its id, a lower-case UUID; made when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    id: Option<TenantId>,
    /// Its name for people; the slug when absent.
    #[serde(default)]
    name: Option<String>,
    /// The groups that people can be in.
    #[serde(default)]
    groups: Option<Vec<String>>,
    /// What it decides. A key that is absent here takes its default.
    #[serde(default)]
    policy: Option<TenantPolicy>,
    /// What documentation sites are told about a person. A key that is absent here takes its default.
    #[serde(default)]
    docs_profile: Option<DocsProfileSettings>,
    /// Paths below the tenant's base where its endpoints answer besides their own places. One that is absent here goes.
    #[serde(default)]
    endpoint_aliases: Option<EndpointAliasSettings>,
    /// Hosts that the tenant answers on; the public URL's host needs no entry.
    #[serde(default)]
    #[schemars(with = "Vec<DomainShape>")]
    domain: Vec<Value>,
    /// Scopes besides the standard ones.
    #[serde(default)]
    #[schemars(with = "Vec<ScopeRecord>")]
    scope: Vec<Value>,
    /// Clients. What is absent takes its default; only the secret stays.
    #[serde(default)]
    #[schemars(schema_with = "clients_schema")]
    client: Vec<Value>,
    /// People. What is absent stays as it is; an empty text takes a value away.
    #[serde(default)]
    #[schemars(schema_with = "users_schema")]
    user: Vec<Value>,
    /// Providers that people sign in through. What is absent takes its default; only the secret stays.
    #[serde(default)]
    #[schemars(schema_with = "broker::providers_schema")]
    provider: Vec<Value>,
    /// Keys that apps and servers show to the project API. Without one of the key's three forms the stored key stays, or one is made and
    /// shown once.
    #[serde(default)]
    #[schemars(with = "Vec<broker::ApiKeyShape>")]
    api_key: Vec<Value>,
    /// Where the tenant's own apps live: the project API sends browsers back there only.
    #[serde(default)]
    #[schemars(with = "Vec<broker::TrustedDomainShape>")]
    trusted_domain: Vec<Value>,
    /// Sites of documentation that know their readers. What is absent takes its default; only the client's secret stays.
    #[serde(default)]
    #[schemars(schema_with = "docs_sites::docs_sites_schema")]
    docs_site: Vec<Value>,
}

/// A host that a tenant answers on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Domain")]
struct DomainShape {
    /// The host in lower case, and the port where it is not the scheme's own.
    host: String,
    /// `primary` (the issuer is on this host), `alias` (answers like the primary), `satellite` (shares sign-in only).
    kind: DomainKind,
}

/// The secret of a client, in one of four forms. A confidential client without any is given one, which is shown once.
#[expect(
    clippy::struct_field_names,
    reason = "the names are the keys of the file"
)]
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct ClientSecretShape {
    /// The secret itself.
    client_secret: Option<String>,
    /// The environment variable that holds the secret.
    client_secret_env: Option<String>,
    /// The file that holds the secret, relative to this file; a newline at its end does not count.
    client_secret_file: Option<String>,
    /// The SHA-256 of `client secret`, one NUL byte and the secret, in base64url without padding (43 characters).
    client_secret_hash: Option<String>,
}

/// What is kept of a person besides the standard claims.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct UserShape {
    /// The name to sign in with; a person has this, `email` or both.
    username: Option<String>,
    /// The address, which one can sign in with too.
    email: Option<String>,
    /// Whether the address is proved.
    email_verified: Option<bool>,
    /// Whether the person may not sign in.
    disabled: Option<bool>,
    /// The password. It replaces the person's own when it differs.
    password: Option<String>,
    /// The environment variable that holds the password.
    password_env: Option<String>,
    /// The file that holds the password, relative to this file; a newline at its end does not count.
    password_file: Option<String>,
    /// An Argon2id hash as a PHC string (`$argon2id$…`). It is taken when the person has no password yet.
    password_hash: Option<String>,
}

fn array_of(items: &Schema) -> Schema {
    schemars::json_schema!({ "type": "array", "items": items })
}

fn tenants_schema(generator: &mut SchemaGenerator) -> Schema {
    array_of(&generator.subschema_for::<TenantShape>())
}

fn clients_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = ClientMetadata::json_schema(generator);
    add_properties(&mut schema, &ClientSecretShape::json_schema(generator));
    array_of(&schema)
}

fn users_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = UserShape::json_schema(generator);
    add_properties(&mut schema, &Profile::json_schema(generator));
    array_of(&schema)
}

/// Takes null out of a schema: TOML has none, what is absent is left out.
fn remove_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(remove_null),
        Value::Object(object) => {
            object.retain(|key, value| key != "default" || !value.is_null());
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_slice() {
                    let kind = kind.clone();
                    object.insert("type".to_owned(), kind);
                }
            }
            if let Some(Value::Array(variants)) = object.get("anyOf")
                && let Some(Value::Object(present)) = variants
                    .iter()
                    .find(|variant| variant.get("$ref").is_some())
                    .cloned()
            {
                object.remove("anyOf");
                object.extend(present);
            }
            object.values_mut().for_each(remove_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Gives an object the properties of another one too.
fn add_properties(schema: &mut Schema, other: &Schema) {
    let more = other
        .get("properties")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.extend(more);
    }
}

/// TOML as JSON; a date becomes its text.
fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(to_json).collect()),
        toml::Value::Table(table) => Value::Object(
            table
                .into_iter()
                .map(|(key, value)| (key, to_json(value)))
                .collect(),
        ),
    }
}

/// Takes the entries of some keys out of an object.
fn split(object: &Value, keys: &[&str]) -> (Map<String, Value>, Map<String, Value>) {
    let object = object.as_object().cloned().unwrap_or_default();
    object
        .into_iter()
        .partition(|(key, _)| keys.contains(&key.as_str()))
}

struct Reader<'a> {
    secrets: &'a BTreeMap<String, Resolved>,
    read: Read,
}

impl Reader<'_> {
    fn problem(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.read.problems.push(Problem::new(place, text));
    }

    fn warn(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.read.warnings.push(Problem::new(place, text));
    }

    /// Reads a part. A missing key was named when the shape was checked.
    fn part<T: serde::de::DeserializeOwned>(&mut self, place: &str, value: Value) -> Option<T> {
        if let Ok(part) = serde_json::from_value(value.clone()) {
            return Some(part);
        }
        let (blamed, rest) = shape::blame::<T>(place, value);
        self.read.problems.extend(
            blamed
                .into_iter()
                .filter(|problem| !problem.text.starts_with("missing field")),
        );
        serde_json::from_value(rest).ok()
    }

    fn tenant(&mut self, place: &str, value: &Value) {
        let Some(shape) = self.part::<TenantShape>(place, value.clone()) else {
            return;
        };
        if !is_slug(&shape.slug) {
            self.problem(
                format!("{place}.slug"),
                "write 1 to 63 lower-case letters, digits and inner hyphens, such as `acme-2`",
            );
        }
        if let Some(name) = &shape.name {
            self.check_name(format!("{place}.name"), name);
        }
        for (index, group) in shape.groups.iter().flatten().enumerate() {
            self.check_name(format!("{place}.groups[{index}]"), group);
        }
        if shape
            .groups
            .as_ref()
            .is_some_and(|groups| groups.len() > GROUPS_COUNT_MAX)
        {
            self.problem(
                format!("{place}.groups"),
                format!("a tenant has {GROUPS_COUNT_MAX} groups at most"),
            );
        }
        let docs_profile = self.docs_profile(format!("{place}.docs_profile"), shape.docs_profile);
        self.endpoint_aliases(
            &format!("{place}.endpoint_aliases"),
            shape.endpoint_aliases.as_ref(),
        );
        let mut entry = TenantEntry {
            place: place.to_owned(),
            slug: shape.slug,
            id: shape.id,
            name: shape.name,
            groups: shape.groups,
            policy: shape.policy,
            docs_profile,
            endpoint_aliases: shape.endpoint_aliases,
            domains: Vec::new(),
            scopes: Vec::new(),
            clients: Vec::new(),
            users: Vec::new(),
            providers: Vec::new(),
            api_keys: Vec::new(),
            trusted_domains: Vec::new(),
            docs_sites: Vec::new(),
        };
        self.warn_of_relaxed_policy(place, entry.policy.as_ref());
        self.check_docs_scope(place, entry.policy.as_ref());
        let at = |kind: &str, index: usize| format!("{place}.{kind}[{index}]");
        for (index, value) in shape.domain.into_iter().enumerate() {
            entry
                .domains
                .extend(self.domain(at("domain", index), value, &entry.slug));
        }
        if entry
            .domains
            .iter()
            .filter(|domain| domain.value.kind == DomainKind::Primary)
            .count()
            > 1
        {
            self.problem(
                format!("{place}.domain"),
                "a tenant has one primary host; make the others aliases",
            );
        }
        for (index, value) in shape.scope.into_iter().enumerate() {
            entry.scopes.extend(self.scope(at("scope", index), value));
        }
        for (index, value) in shape.client.iter().enumerate() {
            entry
                .clients
                .extend(self.client(at("client", index), value));
        }
        for (index, value) in shape.user.iter().enumerate() {
            entry.users.extend(self.user(at("user", index), value));
        }
        for (index, value) in shape.provider.iter().enumerate() {
            let provider = self.provider(at("provider", index), value);
            entry.providers.extend(provider);
        }
        for (index, value) in shape.api_key.into_iter().enumerate() {
            let key = self.api_key(at("api_key", index), value);
            entry.api_keys.extend(key);
        }
        for (index, value) in shape.trusted_domain.into_iter().enumerate() {
            let domain = self.trusted_domain(at("trusted_domain", index), value);
            entry.trusted_domains.extend(domain);
        }
        for (index, value) in shape.docs_site.iter().enumerate() {
            let site = self.docs_site(at("docs_site", index), value);
            entry.docs_sites.extend(site);
        }
        self.read.document.tenants.push(entry);
    }

    fn check_name(&mut self, place: String, name: &str) {
        if name.trim().is_empty()
            || name.chars().count() > NAME_CHARACTERS_MAX
            || name.chars().any(char::is_control)
        {
            self.problem(
                place,
                format!("write 1 to {NAME_CHARACTERS_MAX} characters, no control characters"),
            );
        }
    }

    fn domain(&mut self, place: String, value: Value, slug: &str) -> Option<Placed<Domain>> {
        let shape: DomainShape = self.part(&place, value)?;
        if !is_host(&shape.host) {
            self.problem(
                format!("{place}.host"),
                "write a host in lower case, such as id.example.com or id.example.com:8443",
            );
        }
        if slug == DEFAULT_SLUG && shape.kind == DomainKind::Primary {
            self.problem(
                format!("{place}.kind"),
                "the issuer of the default tenant is the public URL; write `alias`",
            );
        }
        Some(Placed {
            place,
            value: Domain {
                host: shape.host,
                kind: shape.kind,
            },
        })
    }

    fn scope(&mut self, place: String, value: Value) -> Option<Placed<ScopeRecord>> {
        let scope: ScopeRecord = self.part(&place, value)?;
        if !is_scope_name(&scope.name) {
            self.problem(
                format!("{place}.name"),
                "write 1 to 128 printable ASCII characters without space, quote and backslash",
            );
        } else if STANDARD_SCOPES
            .iter()
            .any(|standard| standard.name == scope.name)
        {
            self.problem(
                format!("{place}.name"),
                "is a scope that every tenant has; leave it out",
            );
        }
        self.check_name(format!("{place}.description"), &scope.description);
        Some(Placed {
            place,
            value: scope,
        })
    }

    fn client(&mut self, place: String, value: &Value) -> Option<ClientEntry> {
        let (secret, metadata) = split(value, CLIENT_SECRET_KEYS);
        let metadata: ClientMetadata = self.part(&place, Value::Object(metadata))?;
        let secret: ClientSecretShape =
            serde_json::from_value(Value::Object(secret)).unwrap_or_default();
        let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
        let mut given = Vec::new();
        for (key, text) in [
            ("client_secret", secret.client_secret.map(Secret::new)),
            (
                "client_secret_env",
                self.resolved(
                    &place,
                    "client_secret_env",
                    secret.client_secret_env.is_some(),
                ),
            ),
            (
                "client_secret_file",
                self.resolved(
                    &place,
                    "client_secret_file",
                    secret.client_secret_file.is_some(),
                ),
            ),
        ] {
            if let Some(text) = text {
                self.check_client_secret(&format!("{place}.{key}"), &text);
                given.push((key, SecretDigest::of_client_secret(text.reveal())));
            }
        }
        if let Some(hash) = secret.client_secret_hash {
            match parse_digest(&hash) {
                Some(digest) => given.push(("client_secret_hash", digest)),
                None => self.problem(
                    format!("{place}.client_secret_hash"),
                    "write the SHA-256 of `client secret`, a NUL byte and the secret, in base64url without padding (43 characters)",
                ),
            }
        }
        if let [_, (second, _), ..] = given.as_slice() {
            self.problem(
                format!("{place}.{second}"),
                "the secret is given more than once; keep one of the keys",
            );
        }
        if let (true, Some((key, _))) = (public, given.first()) {
            self.problem(
                format!("{place}.{key}"),
                "a public client (token_endpoint_auth_method = \"none\") has no secret; leave it out",
            );
        }
        self.warn_of_relaxations(&place, &metadata);
        Some(ClientEntry {
            place,
            metadata,
            secret: given.first().map(|(_, digest)| *digest),
        })
    }

    fn check_client_secret(&mut self, place: &str, secret: &Secret) {
        let bytes = secret.reveal().as_bytes();
        // RFC 6749, A.2: printable ASCII.
        if bytes.is_empty()
            || bytes.len() > CLIENT_SECRET_BYTES_MAX
            || !bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
        {
            self.problem(
                place,
                format!(
                    "a client secret has 1 to {CLIENT_SECRET_BYTES_MAX} printable ASCII characters"
                ),
            );
        } else if bytes.len() < CLIENT_SECRET_BYTES_FEW {
            self.warn(place, format!("the secret has fewer than {CLIENT_SECRET_BYTES_FEW} characters; leave it out and take the random one that is made"));
        }
    }

    fn warn_of_relaxations(&mut self, place: &str, metadata: &ClientMetadata) {
        let policy = &metadata.policy;
        let relaxed = [
            (
                policy.consent == ConsentPolicy::Never,
                "consent",
                "people are never asked; for first-party clients only",
            ),
            (
                policy.pkce == PkcePolicy::PublicClients,
                "pkce",
                "a code can be used without PKCE",
            ),
            (
                policy.state == StatePolicy::Never,
                "state",
                "requests without state and PKCE are accepted",
            ),
            (
                policy.private_use_schemes_without_dot,
                "private_use_schemes_without_dot",
                "any app can claim such a scheme",
            ),
            (
                policy.introspection == IntrospectionPolicy::Tenant,
                "introspection",
                "the client sees every token of the tenant",
            ),
            (
                policy.popups,
                "popups",
                "the sign-in pages stay linked with the page that opens them",
            ),
        ];
        for (is_relaxed, key, text) in relaxed {
            if is_relaxed {
                self.warn(format!("{place}.policy.{key}"), text);
            }
        }
    }

    fn user(&mut self, place: String, value: &Value) -> Option<UserEntry> {
        let (keys, profile) = split(value, USER_KEYS);
        // Read for its problems alone: only what is given counts, and a whole profile would name every field.
        let _: Profile = self.part(&place, Value::Object(without_empty(&profile)))?;
        let keys: UserShape = self.part(&place, Value::Object(keys))?;
        if let Some(username) = keys.username.as_deref().filter(|text| !text.is_empty())
            && let Err(error) = Username::parse(username)
        {
            self.problem(format!("{place}.username"), error.to_string());
        }
        if let Some(email) = keys.email.as_deref().filter(|text| !text.is_empty())
            && let Err(error) = Email::parse(email)
        {
            self.problem(format!("{place}.email"), error.to_string());
        }
        let password = self.password(&place, &keys);
        Some(UserEntry {
            place,
            target: None,
            username: keys.username,
            email: keys.email,
            email_verified: keys.email_verified,
            disabled: keys.disabled,
            password,
            profile,
        })
    }

    fn password(&mut self, place: &str, keys: &UserShape) -> Option<GivenPassword> {
        let mut given = Vec::new();
        for (key, text) in [
            ("password", keys.password.clone().map(Secret::new)),
            (
                "password_env",
                self.resolved(place, "password_env", keys.password_env.is_some()),
            ),
            (
                "password_file",
                self.resolved(place, "password_file", keys.password_file.is_some()),
            ),
        ] {
            if let Some(text) = text {
                self.check_password(&format!("{place}.{key}"), &text);
                given.push((key, GivenPassword::Clear(text)));
            }
        }
        if let Some(hash) = &keys.password_hash {
            if !hash.starts_with("$argon2id$") {
                self.problem(
                    format!("{place}.password_hash"),
                    "write an Argon2id hash as a PHC string, `$argon2id$v=19$m=…,t=…,p=…$…$…`",
                );
            }
            given.push(("password_hash", GivenPassword::Hash(hash.clone())));
        }
        if let [_, (second, _), ..] = given.as_slice() {
            self.problem(
                format!("{place}.{second}"),
                "the password is given more than once; keep one of the keys",
            );
        }
        given.into_iter().next().map(|(_, password)| password)
    }

    fn check_password(&mut self, place: &str, password: &Secret) {
        use crate::outbound::password_hash::Password;
        if let Err(error) = Password::parse(password.reveal().to_owned()) {
            self.problem(place, error.to_string());
        } else if password.reveal().chars().count() < PASSWORD_CHARACTERS_FEW {
            self.warn(
                place,
                format!("the password has fewer than {PASSWORD_CHARACTERS_FEW} characters"),
            );
        }
    }

    /// What a `*_env` or `*_file` key stands for; found by who sent the document.
    fn resolved(&mut self, place: &str, key: &str, is_given: bool) -> Option<Secret> {
        if !is_given {
            return None;
        }
        let place = format!("{place}.{key}");
        match self.secrets.get(&place) {
            Some(Resolved::Secret(text)) => Some(Secret::new(text.clone())),
            Some(Resolved::Problem(text)) => {
                self.problem(place, text.clone());
                None
            }
            None => {
                self.problem(
                    place,
                    "is read where the command runs; it is not accepted here",
                );
                None
            }
        }
    }

    /// Names whatever stands twice and may stand once.
    fn find_duplicates(&mut self) {
        let mut slugs = Unique::default();
        let mut ids = Unique::default();
        let mut hosts = Unique::default();
        for tenant in &self.read.document.tenants {
            slugs.add(format!("{}.slug", tenant.place), tenant.slug.clone());
            if let Some(id) = tenant.id {
                ids.add(format!("{}.id", tenant.place), id.to_string());
            }
            let (mut scopes, mut clients) = (Unique::default(), Unique::default());
            let (mut usernames, mut emails) = (Unique::default(), Unique::default());
            for domain in &tenant.domains {
                hosts.add(format!("{}.host", domain.place), domain.value.host.clone());
            }
            for scope in &tenant.scopes {
                scopes.add(format!("{}.name", scope.place), scope.value.name.clone());
            }
            for client in &tenant.clients {
                clients.add(
                    format!("{}.client_id", client.place),
                    client.metadata.client_id.clone(),
                );
            }
            for user in &tenant.users {
                if let Some(username) = user.username.as_deref().filter(|text| !text.is_empty()) {
                    usernames.add(format!("{}.username", user.place), identifier_key(username));
                }
                if let Some(email) = user.email.as_deref().filter(|text| !text.is_empty()) {
                    emails.add(format!("{}.email", user.place), identifier_key(email));
                }
            }
            for unique in broker::duplicates(tenant)
                .into_iter()
                .chain([scopes, clients, usernames, emails])
            {
                self.read.problems.extend(unique.problems);
            }
        }
        for unique in [slugs, ids, hosts] {
            self.read.problems.extend(unique.problems);
        }
    }
}

/// Finds what stands twice.
#[derive(Default)]
struct Unique {
    seen: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Unique {
    fn add(&mut self, place: String, value: String) {
        if self.seen.contains(&value) {
            self.problems
                .push(Problem::new(place, format!("`{value}` stands twice")));
        }
        self.seen.insert(value);
    }
}

/// An object without its empty texts, which mean that a value is taken away.
pub(crate) fn without_empty(object: &Map<String, Value>) -> Map<String, Value> {
    object
        .iter()
        .filter(|(_, value)| value.as_str() != Some(""))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Reads 32 bytes in base64url without padding.
fn parse_digest(text: &str) -> Option<SecretDigest> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .ok()?;
    bytes.try_into().ok().map(SecretDigest::from_bytes)
}
