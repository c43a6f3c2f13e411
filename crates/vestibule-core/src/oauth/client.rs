//! Clients: software registered with a tenant.
//!
//! [`ClientMetadata`] is what an operator writes and a row holds: the names of RFC 7591 and of OpenID Connect registration, and
//! our policy beside them. [`Client`] is what it parses into; requests only ever see that.

use crate::id::TenantId;
use crate::jose::algorithm::Algorithm;
use crate::oauth::error::{ErrorCode, OAuthError, ShowReason};
use crate::oauth::project::PROJECT_CLIENT_PREFIX;
use crate::oauth::scope::{SCOPE_DEFAULT, ScopeSet};
use crate::secret::SecretDigest;
use crate::time::Lifetime;
use crate::url::{Origin, PrivateUseSchemes, RedirectUri, RegisteredUri, WebAddress};
use serde::{Deserialize, Serialize};

/// The most addresses of one kind that a client registers.
pub const URIS_COUNT_MAX: usize = 50;
/// The longest name of a client, in characters.
pub const CLIENT_NAME_MAX: usize = 256;
/// The longest code lifetime (OAuth 2.1, 4.1.2: ten minutes at most).
pub const CODE_LIFETIME_MAX: Lifetime = Lifetime::minutes(10);
/// The longest access or ID token lifetime: a retired signing key is kept this long.
pub const TOKEN_LIFETIME_MAX: Lifetime = Lifetime::days(1);

/// The name of a client, chosen by the operator. Never in the form of a person's id, so that a token's `sub` names one of the
/// two (OAuth 2.1, 7.4; RFC 9700, 4.15.1), and never an address (those belong to client metadata documents).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ClientId(String);

impl ClientId {
    /// Parses a client id: 1 to 128 characters of `A-Z a-z 0-9 . _ ~ -`.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte));
        let reserved =
            uuid::Uuid::try_parse(text).is_ok() || text.starts_with(PROJECT_CLIENT_PREFIX);
        (fits && !reserved).then(|| Self(text.to_owned()))
    }

    /// The id under which the codes and families of a tenant's own project API stand. Nobody can register it.
    pub fn of_project(tenant: TenantId) -> Self {
        Self(format!("{PROJECT_CLIENT_PREFIX}{tenant}"))
    }

    /// The project whose client id this is.
    pub fn project(&self) -> Option<TenantId> {
        TenantId::parse(self.0.strip_prefix(PROJECT_CLIENT_PREFIX)?)
    }

    /// The id on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ClientId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How a client proves itself (OpenID Connect Core, 9; RFC 7591, 2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// HTTP Basic with its secret: the default (RFC 8414, 2; RFC 7591, 2).
    #[default]
    ClientSecretBasic,
    /// Its secret in the body.
    ClientSecretPost,
    /// It cannot keep a secret: a public client.
    None,
}

impl ClientAuthMethod {
    /// The method on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// How a client asks for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// OAuth 2.1, 4.1.
    AuthorizationCode,
    /// OAuth 2.1, 4.3.
    RefreshToken,
    /// OAuth 2.1, 4.2.
    ClientCredentials,
}

impl GrantType {
    /// The grant type on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// Whose rules a client's requests follow.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// OAuth 2.1 and OpenID Connect with the client's policy.
    #[default]
    Standard,
    /// Seven parameters are required on every path, PKCE with S256 among them.
    Strict,
}

/// When a person is asked.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ConsentPolicy {
    /// Once, and again when the client asks for more.
    #[default]
    Remember,
    /// Each time.
    Always,
    /// Never: for first-party clients only.
    Never,
}

/// Who must use PKCE.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PkcePolicy {
    /// The client, always.
    #[default]
    Required,
    /// Only if it is public. Relaxed: a confidential client may instead rely on `nonce` (OAuth 2.1, 7.5.1).
    PublicClients,
}

/// When `state` must be sent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StatePolicy {
    /// Unless PKCE protects the answer (OAuth 2.1, 7.10).
    #[default]
    UnlessPkce,
    /// Always.
    Always,
    /// Never. Relaxed.
    Never,
}

/// The form of access tokens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    /// A signed statement (RFC 9068).
    #[default]
    Jwt,
    /// A handle that says nothing to who holds it.
    Opaque,
}

/// Whether a refresh token is replaced when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotationPolicy {
    /// Replaced at each use.
    OnUse,
    /// Kept. For confidential clients only: a public client's tokens rotate (OAuth 2.1, 4.3.1).
    Never,
}

/// Whose tokens a client may introspect.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionPolicy {
    /// Its own, and those made for one of its `resources`.
    #[default]
    Own,
    /// Every one of the tenant. Relaxed: for a trusted gateway.
    Tenant,
}

/// Every relaxation of the strict default stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientPolicy {
    /// `remember` (the default), `always`, or `never` (first-party only).
    pub consent: ConsentPolicy,
    /// `required` (the default) or `public_clients`.
    pub pkce: PkcePolicy,
    /// `unless_pkce` (the default), `always` or `never`.
    pub state: StatePolicy,
    /// The fewest characters of a `state` that is sent; 0 is the default.
    pub state_length_min: u16,
    /// `jwt` (the default) or `opaque`.
    pub access_token_format: AccessTokenFormat,
    /// The algorithm that signs JWT access tokens: `EdDSA` (the default), `ES256`, `RS256` or `PS256`.
    #[schemars(with = "String")]
    pub access_token_signing_alg: Algorithm,
    /// `10m` is the default, `1d` the most.
    #[schemars(with = "String")]
    pub access_token_lifetime: Lifetime,
    /// `1h` is the default, `1d` the most.
    #[schemars(with = "String")]
    pub id_token_lifetime: Lifetime,
    /// `60s` is the default, `10m` the most.
    #[schemars(with = "String")]
    pub code_lifetime: Lifetime,
    /// How long a refresh token lives without use; `30d` is the default.
    #[schemars(with = "String")]
    pub refresh_token_lifetime: Lifetime,
    /// `on_use` (public clients always) or `never` (the default of confidential clients).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token_rotation: Option<RotationPolicy>,
    /// Whether redirect schemes without a dot, such as `myapp://`, are accepted. Relaxed: any app can claim one.
    pub private_use_schemes_without_dot: bool,
    /// `own` (the default) or `tenant`.
    pub introspection: IntrospectionPolicy,
    /// Whether it signs people in in a window that its page opens, as API references do. Relaxed: our pages then stay linked with that
    /// page, which can see when they close and send them elsewhere.
    pub popups: bool,
}

impl Default for ClientPolicy {
    fn default() -> Self {
        Self {
            consent: ConsentPolicy::default(),
            pkce: PkcePolicy::default(),
            state: StatePolicy::default(),
            state_length_min: 0,
            access_token_format: AccessTokenFormat::default(),
            access_token_signing_alg: Algorithm::EdDSA,
            access_token_lifetime: Lifetime::minutes(10),
            id_token_lifetime: Lifetime::hours(1),
            code_lifetime: Lifetime::from_seconds(60),
            refresh_token_lifetime: Lifetime::days(30),
            refresh_token_rotation: None,
            private_use_schemes_without_dot: false,
            introspection: IntrospectionPolicy::default(),
            popups: false,
        }
    }
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}

const fn rs256() -> Algorithm {
    Algorithm::RS256
}

/// A client as written and stored: the metadata names of RFC 7591, 2 and OpenID Connect registration, 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadata {
    /// Its name on the wire.
    pub client_id: String,
    /// Its name for people; the client id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its privacy policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Where browsers may be sent with a code.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// Where browsers may be sent after sign-out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Origins whose scripts may call the token, user info and revocation endpoints; the redirect URIs' origins always may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    /// How it asks for tokens; `["authorization_code"]` when absent.
    #[serde(default = "default_grant_types")]
    pub grant_types: Vec<GrantType>,
    /// How it proves itself; `client_secret_basic` when absent.
    #[serde(default)]
    pub token_endpoint_auth_method: ClientAuthMethod,
    /// The scopes that it may ask for; all that discovery lists when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What a request that names no scope asks for, within `scope`; when absent `profile email` as far as it may ask for them, and the
    /// tenant's scope of docs sites where `scope` names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_scope: Option<String>,
    /// The resources (RFC 8707) that it may ask tokens for; none when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The algorithm of its ID tokens; `RS256` when absent.
    #[serde(default = "rs256")]
    #[schemars(with = "String")]
    pub id_token_signed_response_alg: Algorithm,
    /// The algorithm of its user info answers; plain JSON when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub userinfo_signed_response_alg: Option<Algorithm>,
    /// The age in seconds that a sign-in may have when the request does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u32>,
    /// Whose rules its requests follow: `standard` (the default) or `strict`.
    #[serde(default)]
    pub profile: Profile,
    /// Every relaxation of the strict default.
    #[serde(default)]
    pub policy: ClientPolicy,
}

/// What is wrong with a client's metadata: the field, and a sentence that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ClientProblem {
    /// The field's name in the metadata.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Public or confidential (OAuth 2.1, 2.1). It follows from the authentication method and is never taken from a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It can keep a secret.
    Confidential,
    /// It cannot; naming its id proves nothing.
    Public,
}

/// A client whose metadata is sound.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name on the wire.
    pub id: ClientId,
    /// Its name for people.
    pub name: String,
    /// Its home page.
    pub uri: Option<WebAddress>,
    /// Its logo.
    pub logo_uri: Option<WebAddress>,
    /// Its privacy policy.
    pub policy_uri: Option<WebAddress>,
    /// Its terms.
    pub tos_uri: Option<WebAddress>,
    /// How it proves itself.
    pub auth_method: ClientAuthMethod,
    /// How it asks for tokens.
    pub grant_types: Vec<GrantType>,
    /// The scopes that it may ask for.
    pub scope: ScopeSet,
    /// What a request that names no scope asks for (RFC 6749, 3.3).
    pub default_scope: ScopeSet,
    /// The resources that it may ask tokens for.
    pub resources: Vec<String>,
    /// The algorithm of its ID tokens.
    pub id_token_alg: Algorithm,
    /// The algorithm of its user info answers, if they are signed.
    pub userinfo_alg: Option<Algorithm>,
    /// The age in seconds that a sign-in may have when the request does not say.
    pub default_max_age: Option<u32>,
    /// Whose rules its requests follow.
    pub profile: Profile,
    /// Its relaxations.
    pub policy: ClientPolicy,
    redirect_uris: Vec<RegisteredUri>,
    post_logout_redirect_uris: Vec<RegisteredUri>,
    origins: Vec<String>,
    secrets: Vec<SecretDigest>,
}

impl Client {
    /// Parses metadata; `served` are the tenant's scopes. Every problem is named, not only the first.
    pub fn from_metadata(
        metadata: &ClientMetadata,
        secrets: Vec<SecretDigest>,
        served: &ScopeSet,
    ) -> Result<Self, Vec<ClientProblem>> {
        let mut problems = Vec::new();
        let id = ClientId::parse(&metadata.client_id);
        if id.is_none() {
            problems.push(ClientProblem {
                field: "client_id",
                problem: "write 1 to 128 letters, digits, dots, hyphens, underscores or tildes, not a UUID (those name people), and not after `project~` (those name projects)".to_owned(),
            });
        }
        let name = metadata
            .client_name
            .clone()
            .unwrap_or_else(|| metadata.client_id.clone());
        if name.chars().count() > CLIENT_NAME_MAX
            || name.chars().any(char::is_control)
            || name.trim().is_empty()
        {
            problems.push(ClientProblem {
                field: "client_name",
                problem: format!("write 1 to {CLIENT_NAME_MAX} characters, no control characters"),
            });
        }
        let schemes = if metadata.policy.private_use_schemes_without_dot {
            PrivateUseSchemes::Any
        } else {
            PrivateUseSchemes::WithDot
        };
        let redirect_uris = parse_uris(
            "redirect_uris",
            &metadata.redirect_uris,
            schemes,
            &mut problems,
        );
        let post_logout_redirect_uris = parse_uris(
            "post_logout_redirect_uris",
            &metadata.post_logout_redirect_uris,
            schemes,
            &mut problems,
        );
        let origins = parse_origins(&metadata.allowed_origins, &redirect_uris, &mut problems);
        let scope = parse_scope(metadata.scope.as_deref(), served, &mut problems);
        let default_scope =
            parse_default_scope(metadata.default_scope.as_deref(), &scope, &mut problems);
        check_consistency(metadata, &mut problems);
        check_policy(
            &metadata.policy,
            metadata.token_endpoint_auth_method,
            &mut problems,
        );
        let mut web = |field, text: &Option<String>| {
            text.as_deref().and_then(|text| {
                WebAddress::parse(text)
                    .map_err(|error| {
                        problems.push(ClientProblem {
                            field,
                            problem: error.to_string(),
                        });
                    })
                    .ok()
            })
        };
        let (uri, logo_uri) = (
            web("client_uri", &metadata.client_uri),
            web("logo_uri", &metadata.logo_uri),
        );
        let (policy_uri, tos_uri) = (
            web("policy_uri", &metadata.policy_uri),
            web("tos_uri", &metadata.tos_uri),
        );
        match id {
            Some(id) if problems.is_empty() => Ok(Self {
                id,
                name,
                uri,
                logo_uri,
                policy_uri,
                tos_uri,
                auth_method: metadata.token_endpoint_auth_method,
                grant_types: metadata.grant_types.clone(),
                scope,
                default_scope,
                resources: metadata.resources.clone(),
                id_token_alg: metadata.id_token_signed_response_alg,
                userinfo_alg: metadata.userinfo_signed_response_alg,
                default_max_age: metadata.default_max_age,
                profile: metadata.profile,
                policy: metadata.policy.clone(),
                redirect_uris,
                post_logout_redirect_uris,
                origins,
                secrets,
            }),
            _ => Err(problems),
        }
    }

    /// A client of a tenant whose docs sites use this scope: one that registered the scope by name, and says nothing of what a request
    /// without `scope` asks for, asks for it then (seed 000: a docs host's settings may hold no scope).
    #[must_use]
    pub fn with_docs_scope(mut self, metadata: &ClientMetadata, docs_scope: &str) -> Self {
        let names_it = metadata.scope.is_some() && self.scope.contains(docs_scope);
        if metadata.default_scope.is_none() && names_it {
            self.default_scope.insert(docs_scope);
        }
        self
    }

    /// A tenant as the client of its own project API. It has no addresses of its own: trusted domains stand for them.
    pub(crate) fn of_project(
        tenant: TenantId,
        name: &str,
        scope: ScopeSet,
        policy: ClientPolicy,
    ) -> Self {
        Self {
            id: ClientId::of_project(tenant),
            name: name.to_owned(),
            uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            auth_method: ClientAuthMethod::None,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            default_scope: scope.clone(),
            scope,
            resources: Vec::new(),
            id_token_alg: Algorithm::ES256,
            userinfo_alg: None,
            default_max_age: None,
            profile: Profile::Standard,
            policy,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            origins: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Public or confidential.
    pub const fn kind(&self) -> ClientKind {
        match self.auth_method {
            ClientAuthMethod::None => ClientKind::Public,
            ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost => {
                ClientKind::Confidential
            }
        }
    }

    /// Whether it may ask for tokens that way.
    pub fn may_use(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Whether its refresh tokens are replaced when used (OAuth 2.1, 4.3.1: a public client's always).
    pub fn rotates(&self) -> bool {
        match self.kind() {
            // The one exception: apps of the project API ignore a new refresh token (`oauth/project.rs`).
            ClientKind::Public => self.id.project().is_none(),
            ClientKind::Confidential => {
                self.policy.refresh_token_rotation == Some(RotationPolicy::OnUse)
            }
        }
    }

    /// Whether nobody can verify that an answer at this address reaches this client: it is public, and the address is not https
    /// (OAuth 2.1, 7.3).
    pub fn is_unverifiable_at(&self, redirect_uri: &RedirectUri) -> bool {
        self.kind() == ClientKind::Public && !redirect_uri.is_https()
    }

    /// Matches the redirect URI of a request: byte for byte but for the port of a loopback IP (OAuth 2.1, 2.3.1); the only one
    /// registered when none was sent (2.3.2). This and [`Self::match_post_logout_redirect`] are the only makers of a [`RedirectUri`].
    pub fn match_redirect(
        &self,
        presented: Option<&str>,
    ) -> Result<RedirectUri, (ShowReason, OAuthError)> {
        let refuse = |description: &'static str| {
            (
                ShowReason::RedirectUri,
                OAuthError::new(ErrorCode::InvalidRequest, description),
            )
        };
        match (presented, self.redirect_uris.as_slice()) {
            (Some(presented), registered) => registered
                .iter()
                .any(|uri| uri.accepts(presented))
                .then(|| RedirectUri::matched(presented))
                .ok_or_else(|| refuse("redirect_uri does not exactly match one that is registered for this client")),
            (None, [only]) => Ok(RedirectUri::matched(only.as_str())),
            (None, []) => Err(refuse("this client has no redirect_uri registered")),
            (None, _) => Err(refuse("redirect_uri is missing, and this client has several registered")),
        }
    }

    /// Matches an address to go to after sign-out, exactly (OpenID Connect RP-Initiated Logout, 3): the free port of a loopback
    /// IP is a redirect URI's alone.
    pub fn match_post_logout_redirect(&self, presented: &str) -> Option<RedirectUri> {
        self.post_logout_redirect_uris
            .iter()
            .any(|uri| uri.as_str() == presented)
            .then(|| RedirectUri::matched(presented))
    }

    /// Whether this `Origin` may call the token, user info and revocation endpoints from a script.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == origin)
    }

    /// Whether the secret is one of the client's; constant time in each, all are looked at.
    pub fn accepts_secret(&self, secret: &str) -> bool {
        let digest = SecretDigest::of_client_secret(secret);
        self.secrets
            .iter()
            .fold(false, |found, known| known.matches(&digest) | found)
    }
}

fn parse_uris(
    field: &'static str,
    texts: &[String],
    schemes: PrivateUseSchemes,
    problems: &mut Vec<ClientProblem>,
) -> Vec<RegisteredUri> {
    if texts.len() > URIS_COUNT_MAX {
        problems.push(ClientProblem {
            field,
            problem: format!("a client registers {URIS_COUNT_MAX} at most"),
        });
    }
    let mut uris = Vec::with_capacity(texts.len());
    for text in texts {
        match RegisteredUri::parse(text, schemes) {
            Ok(uri) => uris.push(uri),
            Err(error) => problems.push(ClientProblem {
                field,
                problem: error.to_string(),
            }),
        }
    }
    uris
}

fn parse_origins(
    texts: &[String],
    redirect_uris: &[RegisteredUri],
    problems: &mut Vec<ClientProblem>,
) -> Vec<String> {
    let mut origins: Vec<String> = redirect_uris
        .iter()
        .filter(|uri| uri.as_str().starts_with("http"))
        .filter_map(|uri| ::url::Url::parse(uri.as_str()).ok())
        .map(|url| url.origin().ascii_serialization())
        .collect();
    if texts.len() > URIS_COUNT_MAX {
        problems.push(ClientProblem {
            field: "allowed_origins",
            problem: format!("a client registers {URIS_COUNT_MAX} at most"),
        });
    }
    for text in texts {
        match Origin::parse(text) {
            Ok(origin) => origins.push(origin.as_str().to_owned()),
            Err(error) => problems.push(ClientProblem {
                field: "allowed_origins",
                problem: error.to_string(),
            }),
        }
    }
    origins.dedup();
    origins
}

fn parse_scope(
    text: Option<&str>,
    served: &ScopeSet,
    problems: &mut Vec<ClientProblem>,
) -> ScopeSet {
    let Some(text) = text else {
        return served.clone();
    };
    match ScopeSet::parse(text) {
        Ok(scope) => {
            if let Some(name) = scope.first_outside(served) {
                problems.push(ClientProblem { field: "scope", problem: format!("`{name}` is not a scope of this tenant; add it to the tenant's scopes first") });
            }
            scope
        }
        Err(error) => {
            problems.push(ClientProblem {
                field: "scope",
                problem: error.to_string(),
            });
            ScopeSet::default()
        }
    }
}

fn parse_default_scope(
    text: Option<&str>,
    scope: &ScopeSet,
    problems: &mut Vec<ClientProblem>,
) -> ScopeSet {
    let mut problem = |problem: String| {
        problems.push(ClientProblem {
            field: "default_scope",
            problem,
        });
    };
    let parsed = ScopeSet::parse(text.unwrap_or(SCOPE_DEFAULT));
    match (text, parsed) {
        (None, parsed) => parsed.unwrap_or_default().intersection(scope),
        (Some(_), Ok(parsed)) => {
            if let Some(name) = parsed.first_outside(scope) {
                problem(format!(
                    "`{name}` is not in the client's `scope`; add it there first"
                ));
            }
            parsed
        }
        (Some(_), Err(error)) => {
            problem(error.to_string());
            ScopeSet::default()
        }
    }
}

fn check_consistency(metadata: &ClientMetadata, problems: &mut Vec<ClientProblem>) {
    let public = metadata.token_endpoint_auth_method == ClientAuthMethod::None;
    let mut problem = |field, problem: &str| {
        problems.push(ClientProblem {
            field,
            problem: problem.to_owned(),
        });
    };
    if metadata.grant_types.is_empty() {
        problem("grant_types", "name at least one");
    }
    // OAuth 2.1, 4.2.
    if public && metadata.grant_types.contains(&GrantType::ClientCredentials) {
        problem(
            "grant_types",
            "a public client cannot use client_credentials; give it an authentication method other than none",
        );
    }
    let redirects = metadata.grant_types.contains(&GrantType::AuthorizationCode);
    if redirects && metadata.redirect_uris.is_empty() {
        problem("redirect_uris", "authorization_code needs at least one");
    }
    if metadata.resources.len() > URIS_COUNT_MAX {
        problem("resources", "a client registers 50 at most");
    }
    for resource in &metadata.resources {
        if !is_resource(resource) {
            problem(
                "resources",
                "write absolute URIs without a fragment (RFC 8707, 2)",
            );
        }
    }
}

fn check_policy(
    policy: &ClientPolicy,
    method: ClientAuthMethod,
    problems: &mut Vec<ClientProblem>,
) {
    let mut problem = |problem: &str| {
        problems.push(ClientProblem {
            field: "policy",
            problem: problem.to_owned(),
        });
    };
    if policy.code_lifetime > CODE_LIFETIME_MAX {
        problem("code_lifetime is 10m at most");
    }
    if policy.access_token_lifetime > TOKEN_LIFETIME_MAX
        || policy.id_token_lifetime > TOKEN_LIFETIME_MAX
    {
        problem("access_token_lifetime and id_token_lifetime are 1d at most");
    }
    if method == ClientAuthMethod::None
        && policy.refresh_token_rotation == Some(RotationPolicy::Never)
    {
        problem(
            "a public client's refresh tokens rotate (OAuth 2.1, 4.3.1); leave refresh_token_rotation out",
        );
    }
}

/// Whether a text can name a resource: an absolute URI without a fragment (RFC 8707, 2).
pub fn is_resource(text: &str) -> bool {
    text.len() <= crate::url::URL_LENGTH_MAX
        && text.is_ascii()
        && !text.contains('#')
        && ::url::Url::parse(text).is_ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::scope::served;

    pub(crate) fn metadata(json: &str) -> ClientMetadata {
        serde_json::from_str(json).unwrap()
    }

    pub(crate) fn client(json: &str) -> Client {
        Client::from_metadata(
            &metadata(json),
            vec![SecretDigest::of_client_secret("s3cret")],
            &served(&[]),
        )
        .unwrap()
    }

    fn problems(json: &str) -> Vec<&'static str> {
        Client::from_metadata(&metadata(json), Vec::new(), &served(&[]))
            .unwrap_err()
            .iter()
            .map(|problem| problem.field)
            .collect()
    }

    #[test]
    fn defaults_are_the_strict_ones() {
        let client = client(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        assert_eq!(client.kind(), ClientKind::Confidential);
        assert_eq!(client.auth_method, ClientAuthMethod::ClientSecretBasic);
        assert_eq!(client.policy, ClientPolicy::default());
        assert_eq!(
            (client.policy.pkce, client.policy.consent),
            (PkcePolicy::Required, ConsentPolicy::Remember)
        );
        assert_eq!(client.id_token_alg, Algorithm::RS256);
        assert!(!client.rotates());
    }

    #[test]
    fn o21_32_a_client_id_never_looks_like_a_person() {
        assert!(ClientId::parse("acme-web").is_some());
        for bad in [
            "",
            "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01",
            "6f1c1f3e6b0e4b7e9a500c1f5d1f7a01",
            "https://a.example/",
            "a b",
            "a:b",
            "é",
            &"a".repeat(129),
        ] {
            assert_eq!(ClientId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn contradictions_are_named_by_field() {
        assert_eq!(problems(r#"{"client_id":"a"}"#), ["redirect_uris"]);
        assert_eq!(
            problems(
                r#"{"client_id":"a","token_endpoint_auth_method":"none","grant_types":["client_credentials"]}"#
            ),
            ["grant_types"]
        );
        assert_eq!(
            problems(
                r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid nope"}"#
            ),
            ["scope"]
        );
        assert_eq!(
            problems(
                r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"policy":{"code_lifetime":"11m"}}"#
            ),
            ["policy"]
        );
        assert_eq!(
            problems(
                r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"logo_uri":"jAvAsCrIpT:alert(1)"}"#
            ),
            ["logo_uri"]
        );
        assert_eq!(
            problems(
                r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none","policy":{"refresh_token_rotation":"never"}}"#
            ),
            ["policy"]
        );
    }

    #[test]
    fn o21_05_without_redirect_uri_the_only_registered_one_is_meant() {
        let one = client(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        assert_eq!(
            one.match_redirect(None).unwrap().as_str(),
            "https://a.example/cb"
        );
        let two = client(
            r#"{"client_id":"a","redirect_uris":["https://a.example/cb","https://a.example/cb2"]}"#,
        );
        assert_eq!(
            two.match_redirect(None).unwrap_err().0,
            ShowReason::RedirectUri
        );
        let none = client(r#"{"client_id":"a","grant_types":["client_credentials"]}"#);
        assert_eq!(
            none.match_redirect(None).unwrap_err().0,
            ShowReason::RedirectUri
        );
    }

    #[test]
    fn t01_no_variant_of_a_registered_uri_matches() {
        let client = client(r#"{"client_id":"a","redirect_uris":["https://app.example/cb"]}"#);
        let variants = [
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://APP.example/cb",
            "HTTPS://app.example/cb",
            "http://app.example/cb",
            "https://app.example:443/cb",
            "https://app.example/cb?",
            "https://app.example/cb?x=1",
            "https://app.example/cb#",
            "https://app.example/cb#x",
            "https://app.example//cb",
            "https://app.example/./cb",
            "https://app.example/x/../cb",
            "https://app.example/cb/..",
            "https://app.example/..;/cb",
            "https://app.example/cb;x",
            "https://app.example/%63b",
            "https://app.example/cb%2f",
            "https://app.example/cb%00",
            "https://app.example/cb%0d%0a",
            "https://app.example\\cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example@evil.example/cb",
            "https://evil.example@app.example/cb",
            "https://user:pass@app.example/cb",
            "https://app.example:@evil.example/cb",
            "https://app.example.evil.example/cb",
            "https://evil.example/app.example/cb",
            "https://evil.example?https://app.example/cb",
            "https://evil.example#https://app.example/cb",
            "//app.example/cb",
            "//evil.example/cb",
            "/cb",
            "cb",
            "https:app.example/cb",
            "https:/app.example/cb",
            "https:///app.example/cb",
            " https://app.example/cb",
            "https://app.example/cb ",
            "\thttps://app.example/cb",
            "https://app.example/c\tb",
            "https://app.example/cb\n",
            "https://app.example./cb",
            "https://app。example/cb",
            "https://ａpp.example/cb",
            "https://app.examp1e/cb",
            "https://xn--app-.example/cb",
            "https://*.example/cb",
            "https://app.example/*",
            "javascript:https://app.example/cb",
            "data:text/html,https://app.example/cb",
            "",
        ];
        for variant in variants {
            assert_eq!(
                client.match_redirect(Some(variant)).unwrap_err().0,
                ShowReason::RedirectUri,
                "{variant}"
            );
            assert_eq!(
                client.match_post_logout_redirect(variant),
                None,
                "{variant}"
            );
        }
        assert!(
            client
                .match_redirect(Some("https://app.example/cb"))
                .is_ok()
        );
    }

    #[test]
    fn a_second_secret_serves_while_the_first_is_replaced() {
        let metadata = metadata(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        let client = Client::from_metadata(
            &metadata,
            vec![
                SecretDigest::of_client_secret("one"),
                SecretDigest::of_client_secret("two"),
            ],
            &served(&[]),
        )
        .unwrap();
        assert!(client.accepts_secret("one") && client.accepts_secret("two"));
        assert!(!client.accepts_secret("three") && !client.accepts_secret(""));
    }

    #[test]
    fn an_unknown_member_is_refused() {
        assert!(
            serde_json::from_str::<ClientMetadata>(r#"{"client_id":"a","redirect_uri":[]}"#)
                .is_err()
        );
    }
}
