//! Upstream providers: identity providers that a tenant delegates to.
//!
//! [`ProviderSettings`] is what an operator writes and a row holds; [`Provider`] is what it becomes together with its preset.

use super::presets::{PresetProtocol, ProviderPreset, preset};
use crate::oauth::scope::{SCOPES_COUNT_MAX, ScopeSet, is_scope_name};
use crate::url::EndpointUrl;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest id of a provider, in characters.
pub const PROVIDER_ID_LENGTH_MAX: usize = 64;

/// The name of a provider in addresses: 1 to 64 characters of `a-z 0-9 _ -`, such as `google`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProviderId(String);

impl ProviderId {
    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=PROVIDER_ID_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
            });
        fits.then(|| Self(text.to_owned()))
    }

    /// The id on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ProviderId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProviderId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom("a provider's id is lower-case letters, digits, `-` and `_`")
        })
    }
}

/// Whether a provider's word about an e-mail address counts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EmailTrust {
    /// An address is verified when the provider says so (`email_verified`): the default.
    #[default]
    Claim,
    /// Never: the provider does not verify addresses, or lets anybody claim one.
    Never,
    /// Every address that the provider tells is verified, whatever it says of it.
    Always,
}

/// How we prove ourselves to a provider's token endpoint.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamAuth {
    /// The secret in the body.
    #[default]
    ClientSecretPost,
    /// HTTP Basic.
    ClientSecretBasic,
    /// Apple: the secret is an ES256 private key, and what is sent is a short-lived statement signed with it.
    SignedSecret,
    /// No secret: PKCE alone.
    None,
}

/// How a provider can be held to ask a person anew who they are (OpenID Connect Core, 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reauthentication {
    /// By `prompt=login` and by `max_age`, as the specification has it.
    Standard,
    /// By `prompt=login`; it knows no `max_age`.
    PromptOnly,
    /// Not at all.
    Never,
}

/// Where in a plain OAuth 2.0 provider's user info each fact stands: a JSON pointer (RFC 6901), or a name of a top-level member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// The stable id of the person at the provider; `sub` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Their e-mail address; `email` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether it is verified; `email_verified` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<String>,
    /// Their name; `name` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their user name; `preferred_username` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Their picture; `picture` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// A provider as written and stored. Its secret is kept apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its name in addresses.
    #[schemars(with = "String")]
    pub id: ProviderId,
    /// A preset to start from, such as `google`; absent for a provider that is described by its `issuer` or its URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// Its name for people; the preset's or the id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Our client id there.
    pub client_id: String,
    /// The issuer of an OpenID provider: everything else is discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The authorization endpoint of a plain OAuth 2.0 provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_url: Option<String>,
    /// Its token endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Its user info endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_url: Option<String>,
    /// Scopes asked for besides the preset's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Parameters added to the authorization request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorization_params: BTreeMap<String, String>,
    /// Where the facts about the person stand in the provider's user info.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// How we prove ourselves to its token endpoint; the preset's or `client_secret_post` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<UpstreamAuth>,
    /// Whether its word about an e-mail address counts; the preset's or `claim` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_trust: Option<EmailTrust>,
    /// A redirect URI of our own to register there instead of the usual one, for a provider that permits one address only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// Microsoft's directory (`common` when absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microsoft_tenant: Option<String>,
    /// Apple's team id, for the signed secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_team_id: Option<String>,
    /// The id of Apple's key, for the signed secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apple_key_id: Option<String>,
    /// The bundle ids whose native ID tokens are accepted (Apple).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apple_bundle_ids: Vec<String>,
    /// Whether people may sign in with it; they may when absent.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub sign_in: bool,
    /// Whether apps may read the provider's tokens of people who linked it; they may when absent.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub connected_accounts: bool,
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands a reference to the field"
)]
const fn is_true(value: &bool) -> bool {
    *value
}

/// What a provider gave us to act for a person, as it is sealed at rest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTokens {
    /// The provider's access token.
    #[serde(rename = "a")]
    pub access_token: String,
    /// Its refresh token.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// Shows nothing of the tokens.
impl std::fmt::Debug for UpstreamTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UpstreamTokens(…)")
    }
}

/// What the provider's tokens are good for; it stands beside them in the clear.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamGrant {
    /// The scopes that the provider granted, as far as it says, or that we asked for.
    pub scope: ScopeSet,
    /// When the access token ends, where the provider says.
    pub access_expires_at: Option<crate::time::Timestamp>,
}

/// The issuer of an OpenID provider, as far as it is known before discovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamIssuer {
    /// This one.
    Exact(EndpointUrl),
    /// Microsoft's: the directory is `common`, `organizations`, `consumers`, a domain or an id, and who is in it decides `iss`.
    Directory(String),
}

/// Where Microsoft's directories live.
pub(super) const MICROSOFT: &str = "https://login.microsoftonline.com";

impl UpstreamIssuer {
    /// Where its discovery document is (OpenID Connect Discovery, 4).
    pub fn discovery_url(&self) -> String {
        match self {
            Self::Exact(issuer) => format!(
                "{}/.well-known/openid-configuration",
                issuer.as_str().trim_end_matches('/')
            ),
            Self::Directory(name) => {
                format!("{MICROSOFT}/{name}/v2.0/.well-known/openid-configuration")
            }
        }
    }
}

/// How a provider speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenID Connect: endpoints and keys are discovered.
    OpenId(UpstreamIssuer),
    /// OpenID Connect whose endpoints are known beforehand.
    OpenIdAt {
        /// What stands in its ID tokens.
        issuer: EndpointUrl,
        /// Where browsers go.
        authorization: EndpointUrl,
        /// Where codes are exchanged.
        token: EndpointUrl,
        /// Where its keys are.
        keys: EndpointUrl,
    },
    /// Plain OAuth 2.0.
    OAuth {
        /// Where browsers go.
        authorization: EndpointUrl,
        /// Where codes are exchanged.
        token: EndpointUrl,
        /// Where the person is described.
        userinfo: EndpointUrl,
        /// Where their addresses are listed, if user info does not say which is verified.
        emails: Option<EndpointUrl>,
    },
}

impl Protocol {
    const fn is_openid(&self) -> bool {
        matches!(self, Self::OpenId(_) | Self::OpenIdAt { .. })
    }
}

/// What signs the secret that Apple asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppleKey {
    /// The team's id.
    pub team_id: String,
    /// The key's id.
    pub key_id: String,
}

/// What is wrong with a provider's settings: the field, and a sentence that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ProviderProblem {
    /// The field's name in the settings.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A provider whose settings are sound, together with its preset.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about another party and independent choices of the operator"
)]
pub struct Provider {
    /// Its name in addresses.
    pub id: ProviderId,
    /// Its kind for apps: the preset's id, or its own.
    pub kind: String,
    /// Its name for people.
    pub name: String,
    /// Our client id there.
    pub client_id: String,
    /// How it speaks.
    pub protocol: Protocol,
    /// The scopes of a sign-in.
    pub scopes: ScopeSet,
    /// What else its authorization endpoint wants.
    pub authorization_params: Vec<(String, String)>,
    /// Where the facts about the person stand.
    pub mapping: Mapping,
    /// How we prove ourselves to its token endpoint.
    pub auth: UpstreamAuth,
    /// Whether its word about an address counts.
    pub email_trust: EmailTrust,
    /// Whether a PKCE challenge is sent.
    pub pkce: bool,
    /// Whether its ID token must repeat the nonce. One that is repeated must be right in any case.
    pub nonce_required: bool,
    /// How it can be held to ask the person anew who they are.
    pub reauthentication: Reauthentication,
    /// Whether it answers with a form that the browser posts across sites, where Lax cookies stay behind.
    pub form_post: bool,
    /// A redirect URI of our own to use there instead of the usual one.
    pub callback_url: Option<EndpointUrl>,
    /// What signs the secret, for [`UpstreamAuth::SignedSecret`].
    pub apple_key: Option<AppleKey>,
    /// The bundle ids whose native ID tokens are accepted.
    pub apple_bundle_ids: Vec<String>,
    /// Whether people may sign in with it.
    pub sign_in: bool,
    /// Whether apps may read the provider's tokens of people who linked it.
    pub connected_accounts: bool,
}

/// The parameters of the authorization request that are ours to set: settings cannot.
const PARAMS_RESERVED: &[&str] = &[
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

impl Provider {
    /// Joins settings and preset. Every problem is named, not only the first.
    pub fn from_settings(settings: &ProviderSettings) -> Result<Self, Vec<ProviderProblem>> {
        let mut problems = Problems(Vec::new());
        let preset = settings.preset.as_deref().and_then(|name| {
            let found = preset(name);
            if found.is_none() {
                let known: Vec<&str> = super::presets::PRESETS.iter().map(|one| one.id).collect();
                problems.add(
                    "preset",
                    format!(
                        "there is no preset `{name}`; there are {}",
                        known.join(", ")
                    ),
                );
            }
            found
        });
        let protocol = parse_protocol(settings, preset, &mut problems);
        let auth = settings
            .token_endpoint_auth_method
            .or(preset.map(|preset| preset.auth))
            .unwrap_or_default();
        let apple_key = parse_apple_key(settings, auth, &mut problems);
        check_texts(settings, &mut problems);
        let provider = Self {
            id: settings.id.clone(),
            kind: preset
                .map_or(settings.id.as_str(), |preset| preset.id)
                .to_owned(),
            name: settings.name.clone().unwrap_or_else(|| {
                preset
                    .map_or(settings.id.as_str(), |preset| preset.name)
                    .to_owned()
            }),
            client_id: settings.client_id.clone(),
            scopes: parse_scopes(settings, preset, protocol.as_ref(), &mut problems),
            authorization_params: join_params(settings, preset),
            mapping: join_mapping(settings.mapping.as_ref(), preset),
            auth,
            email_trust: settings
                .email_trust
                .or(preset.map(|preset| preset.email_trust))
                .unwrap_or_default(),
            pkce: preset.is_none_or(|preset| preset.pkce),
            nonce_required: preset.is_none_or(|preset| preset.nonce),
            reauthentication: protocol
                .as_ref()
                .map_or(Reauthentication::Never, |protocol| {
                    reauthentication(preset, protocol)
                }),
            form_post: preset.is_some_and(|preset| preset.form_post),
            callback_url: problems.endpoint("callback_url", settings.callback_url.as_deref()),
            apple_key,
            apple_bundle_ids: settings.apple_bundle_ids.clone(),
            sign_in: settings.sign_in,
            connected_accounts: settings.connected_accounts,
            // Whatever stands here is not given out when there was a problem.
            protocol: match protocol {
                Some(protocol) if problems.0.is_empty() => protocol,
                _ => return Err(problems.0),
            },
        };
        if problems.0.is_empty() {
            Ok(provider)
        } else {
            Err(problems.0)
        }
    }

    /// Whether it speaks OpenID Connect, so that there is an ID token to check.
    pub const fn is_openid(&self) -> bool {
        self.protocol.is_openid()
    }

    /// Where its discovery document is; none where the endpoints are known beforehand.
    pub fn discovery_url(&self) -> Option<String> {
        match &self.protocol {
            Protocol::OpenId(issuer) => Some(issuer.discovery_url()),
            Protocol::OpenIdAt { .. } | Protocol::OAuth { .. } => None,
        }
    }

    /// Where the person's addresses are listed, if user info does not say which is verified.
    pub fn emails_url(&self) -> Option<&EndpointUrl> {
        match &self.protocol {
            Protocol::OpenId(_) | Protocol::OpenIdAt { .. } => None,
            Protocol::OAuth { emails, .. } => emails.as_ref(),
        }
    }
}

struct Problems(Vec<ProviderProblem>);

impl Problems {
    fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push(ProviderProblem {
            field,
            problem: problem.into(),
        });
    }

    fn endpoint(&mut self, field: &'static str, text: Option<&str>) -> Option<EndpointUrl> {
        EndpointUrl::parse(text?)
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }
}

/// An `issuer` in the settings makes it an OpenID provider there, URLs make it a plain one, each whatever the preset is.
fn parse_protocol(
    settings: &ProviderSettings,
    preset: Option<&ProviderPreset>,
    problems: &mut Problems,
) -> Option<Protocol> {
    let urls = [
        ("authorization_url", &settings.authorization_url),
        ("token_url", &settings.token_url),
        ("userinfo_url", &settings.userinfo_url),
    ];
    let given = urls
        .iter()
        .find(|(_, url)| url.is_some())
        .map(|(field, _)| *field);
    let of_preset = preset.map(|preset| preset.protocol);
    if settings.microsoft_tenant.is_some() && of_preset != Some(PresetProtocol::Microsoft) {
        problems.add(
            "microsoft_tenant",
            "it is for the preset `microsoft` only; leave it out",
        );
    }
    if let Some(issuer) = &settings.issuer {
        if let Some(field) = given {
            problems.add(field, "the endpoints of an OpenID provider are discovered; leave out the URLs, or leave out `issuer`");
        }
        if issuer.contains('?') {
            problems.add("issuer", "an issuer has no query");
        }
        let issuer = problems.endpoint("issuer", Some(issuer))?;
        return Some(Protocol::OpenId(UpstreamIssuer::Exact(issuer)));
    }
    let (authorization, token, userinfo) = match (given, of_preset) {
        (None, Some(PresetProtocol::OpenId(issuer))) => {
            let issuer = problems.endpoint("issuer", Some(issuer))?;
            return Some(Protocol::OpenId(UpstreamIssuer::Exact(issuer)));
        }
        (
            None,
            Some(PresetProtocol::OpenIdAt {
                issuer,
                authorization,
                token,
                keys,
            }),
        ) => {
            return Some(Protocol::OpenIdAt {
                issuer: problems.endpoint("issuer", Some(issuer))?,
                authorization: problems.endpoint("authorization_url", Some(authorization))?,
                token: problems.endpoint("token_url", Some(token))?,
                keys: problems.endpoint("issuer", Some(keys))?,
            });
        }
        (None, Some(PresetProtocol::Microsoft)) => {
            let directory = settings.microsoft_tenant.as_deref().unwrap_or("common");
            if !is_directory(directory) {
                problems.add(
                    "microsoft_tenant",
                    "write `common`, `organizations`, `consumers`, or the directory's id or domain",
                );
            }
            return Some(Protocol::OpenId(UpstreamIssuer::Directory(
                directory.to_owned(),
            )));
        }
        (
            _,
            Some(PresetProtocol::OAuth {
                authorization,
                token,
                userinfo,
            }),
        ) => (Some(authorization), Some(token), Some(userinfo)),
        (Some(_), _) => (None, None, None),
        (None, None) => {
            if settings.preset.is_none() {
                problems.add("issuer", "write a `preset`, an `issuer`, or `authorization_url`, `token_url` and `userinfo_url`");
            }
            return None;
        }
    };
    let mut endpoint = |field, own: &Option<String>, known: Option<&str>| {
        let text = own.as_deref().or(known);
        if text.is_none() {
            problems.add(field, "a plain OAuth 2.0 provider needs `authorization_url`, `token_url` and `userinfo_url`");
        }
        problems.endpoint(field, text)
    };
    let authorization = endpoint(
        "authorization_url",
        &settings.authorization_url,
        authorization,
    );
    let token = endpoint("token_url", &settings.token_url, token);
    let userinfo = endpoint("userinfo_url", &settings.userinfo_url, userinfo)?;
    let emails = preset
        .is_some_and(|preset| preset.emails)
        .then(|| EndpointUrl::parse(&format!("{}/emails", userinfo.as_str())).ok())
        .flatten();
    Some(Protocol::OAuth {
        authorization: authorization?,
        token: token?,
        userinfo,
        emails,
    })
}

/// Plain OAuth 2.0 has no words for it. A preset of plain OAuth that is pointed at an OpenID issuer knows what every such one does.
fn reauthentication(preset: Option<&ProviderPreset>, protocol: &Protocol) -> Reauthentication {
    match (protocol, preset.map(|preset| (preset.protocol, preset))) {
        (Protocol::OAuth { .. }, _) => Reauthentication::Never,
        (_, None | Some((PresetProtocol::OAuth { .. }, _))) => Reauthentication::Standard,
        (_, Some((_, preset))) => preset.reauthentication,
    }
}

/// Whether a text names one of Microsoft's directories: a word, an id or a domain, and nothing that leads elsewhere in a path.
fn is_directory(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !text.starts_with('.')
        && !text.contains("..")
}

fn parse_apple_key(
    settings: &ProviderSettings,
    auth: UpstreamAuth,
    problems: &mut Problems,
) -> Option<AppleKey> {
    if auth != UpstreamAuth::SignedSecret {
        return None;
    }
    let mut id = |field, text: &Option<String>| {
        let text = text.clone().filter(|text| {
            (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if text.is_none() {
            problems.add(
                field,
                "a signed secret needs `apple_team_id` and `apple_key_id`: letters and digits",
            );
        }
        text
    };
    let (team_id, key_id) = (
        id("apple_team_id", &settings.apple_team_id),
        id("apple_key_id", &settings.apple_key_id),
    );
    Some(AppleKey {
        team_id: team_id?,
        key_id: key_id?,
    })
}

fn check_texts(settings: &ProviderSettings, problems: &mut Problems) {
    let is_text = |text: &str, most: usize| {
        !text.trim().is_empty()
            && text.chars().count() <= most
            && !text.chars().any(char::is_control)
    };
    if !is_text(&settings.client_id, 512) {
        problems.add(
            "client_id",
            "write the id that the provider gave you, 1 to 512 characters",
        );
    }
    if settings
        .name
        .as_deref()
        .is_some_and(|name| !is_text(name, 64))
    {
        problems.add("name", "write 1 to 64 characters, no control characters");
    }
    if settings.apple_bundle_ids.len() > 20
        || settings.apple_bundle_ids.iter().any(|id| !is_text(id, 256))
    {
        problems.add(
            "apple_bundle_ids",
            "write 20 bundle ids at most, such as com.example.app",
        );
    }
    for (name, value) in &settings.authorization_params {
        if PARAMS_RESERVED.contains(&name.as_str()) {
            problems.add(
                "authorization_params",
                format!("`{name}` is set by the flow itself; leave it out"),
            );
        } else if !is_text(name, 64) || !is_text(value, 2048) {
            problems.add(
                "authorization_params",
                "names have 1 to 64 characters, values 1 to 2048, no control characters",
            );
        }
    }
    let mapping = settings.mapping.clone().unwrap_or_default();
    for fact in [
        mapping.subject,
        mapping.email,
        mapping.email_verified,
        mapping.name,
        mapping.username,
        mapping.picture,
    ] {
        if fact.is_some_and(|pointer| !is_text(&pointer, 256)) {
            problems.add(
                "mapping",
                "write a member's name, or a JSON pointer such as /data/id",
            );
        }
    }
}

fn parse_scopes(
    settings: &ProviderSettings,
    preset: Option<&ProviderPreset>,
    protocol: Option<&Protocol>,
    problems: &mut Problems,
) -> ScopeSet {
    let openid = protocol.is_some_and(Protocol::is_openid);
    let turned = preset
        .is_some_and(|preset| matches!(preset.protocol, PresetProtocol::OAuth { .. }))
        && openid;
    let standard = if openid { "openid email profile" } else { "" };
    let base = match preset {
        // A preset of plain OAuth that is pointed at an OpenID issuer asks for what every OpenID provider knows.
        Some(preset) if !turned => preset.scopes,
        _ => standard,
    };
    let mut scopes = ScopeSet::default();
    for name in base.split_whitespace() {
        scopes.insert(name);
    }
    if settings.scopes.len() > SCOPES_COUNT_MAX
        || settings.scopes.iter().any(|name| !is_scope_name(name))
    {
        problems.add(
            "scopes",
            "write names in printable ASCII without spaces, one an entry",
        );
    } else {
        for name in &settings.scopes {
            scopes.insert(name);
        }
    }
    scopes
}

/// The preset's parameters, then the operator's, which win.
fn join_params(
    settings: &ProviderSettings,
    preset: Option<&ProviderPreset>,
) -> Vec<(String, String)> {
    let own = &settings.authorization_params;
    preset
        .map_or(&[][..], |preset| preset.params)
        .iter()
        .filter(|(name, _)| !own.contains_key(*name))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain(
            own.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        )
        .collect()
}

/// The operator's pointers, else the preset's.
fn join_mapping(own: Option<&Mapping>, preset: Option<&ProviderPreset>) -> Mapping {
    let of_preset = |fact: &str| {
        preset
            .map_or(&[][..], |preset| preset.mapping)
            .iter()
            .find(|(name, _)| *name == fact)
            .map(|(_, pointer)| (*pointer).to_owned())
    };
    let own = own.cloned().unwrap_or_default();
    Mapping {
        subject: own.subject.or_else(|| of_preset("subject")),
        email: own.email.or_else(|| of_preset("email")),
        email_verified: own.email_verified.or_else(|| of_preset("email_verified")),
        name: own.name.or_else(|| of_preset("name")),
        username: own.username.or_else(|| of_preset("username")),
        picture: own.picture.or_else(|| of_preset("picture")),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::metadata::ProviderMetadata;
    use super::super::presets::PRESETS;
    use super::*;

    pub(crate) fn provider(json: &str) -> Provider {
        Provider::from_settings(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn problem(json: &str) -> Vec<&'static str> {
        let mut fields: Vec<_> = Provider::from_settings(&serde_json::from_str(json).unwrap())
            .map_or_else(|problems| problems, |_| Vec::new())
            .into_iter()
            .map(|problem| problem.field)
            .collect();
        fields.dedup();
        fields
    }

    #[test]
    fn every_preset_makes_a_provider_with_https_endpoints() {
        for preset in PRESETS {
            let made = provider(&format!(
                r#"{{"id":"{0}","preset":"{0}","client_id":"c","apple_team_id":"T1","apple_key_id":"K1"}}"#,
                preset.id
            ));
            assert_eq!(
                (made.name.as_str(), made.kind.as_str()),
                (preset.name, preset.id)
            );
            assert!(!made.scopes.is_empty(), "{}", preset.id);
            let is_known = ProviderMetadata::of_settings(&made).is_some();
            assert_eq!(made.discovery_url().is_some(), !is_known, "{}", preset.id);
            if let Protocol::OAuth {
                authorization,
                token,
                userinfo,
                ..
            } = &made.protocol
            {
                assert!(authorization.is_https() && token.is_https() && userinfo.is_https());
                assert!(made.mapping.subject.is_some(), "{}", preset.id);
            }
            for (fact, _) in preset.mapping {
                assert!(
                    [
                        "subject",
                        "email",
                        "email_verified",
                        "name",
                        "username",
                        "picture"
                    ]
                    .contains(fact)
                );
            }
        }
        assert_eq!(
            PRESETS
                .iter()
                .map(|preset| preset.id)
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            PRESETS.len()
        );
    }

    #[test]
    fn t46_a_provider_that_lets_anybody_claim_an_address_is_never_trusted() {
        for id in ["facebook", "microsoft", "spotify", "x"] {
            assert_eq!(
                provider(&format!(
                    r#"{{"id":"{id}","preset":"{id}","client_id":"c"}}"#
                ))
                .email_trust,
                EmailTrust::Never,
                "{id}"
            );
        }
    }

    #[test]
    fn settings_point_a_preset_elsewhere() {
        let google = provider(
            r#"{"id":"google","preset":"google","client_id":"c","issuer":"http://127.0.0.1:4000"}"#,
        );
        assert_eq!(
            google.discovery_url().unwrap(),
            "http://127.0.0.1:4000/.well-known/openid-configuration"
        );
        let github = provider(
            r#"{"id":"github","preset":"github","client_id":"c","userinfo_url":"http://127.0.0.1:4000/user"}"#,
        );
        assert_eq!(
            github.emails_url().unwrap().as_str(),
            "http://127.0.0.1:4000/user/emails"
        );
        let turned = provider(
            r#"{"id":"github","preset":"github","client_id":"c","issuer":"https://op.example/"}"#,
        );
        assert_eq!(turned.scopes.to_string(), "openid email profile");
        assert_eq!(
            turned.discovery_url().unwrap(),
            "https://op.example/.well-known/openid-configuration"
        );
        let own = provider(
            r#"{"id":"a","preset":"google","client_id":"c","authorization_params":{"prompt":"select_account"}}"#,
        );
        assert!(
            own.authorization_params
                .contains(&("prompt".to_owned(), "select_account".to_owned()))
        );
        assert_eq!(own.authorization_params.len(), 2);
    }

    #[test]
    fn t51_settings_that_are_not_sound_are_refused_by_field() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str])] = &[
            (r#"{"id":"a","client_id":"c"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","preset":"gogle"}"#, &["preset"]),
            (r#"{"id":"a","client_id":"","preset":"google"}"#, &["client_id"]),
            (r#"{"id":"a","client_id":"c","issuer":"http://op.example"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"http://10.0.0.1"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"http://127.0.0.1.evil.example"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"file:///etc/passwd"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"https://u@op.example"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"https://op.example?x=y"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"https://op.example#x"}"#, &["issuer"]),
            (r#"{"id":"a","client_id":"c","issuer":"https://op.example","token_url":"https://op.example/t"}"#, &["token_url"]),
            (r#"{"id":"a","client_id":"c","token_url":"https://op.example/t"}"#, &["authorization_url", "userinfo_url"]),
            (r#"{"id":"a","client_id":"c","authorization_url":"gopher://x/a","token_url":"https://x/t","userinfo_url":"https://x/u"}"#, &["authorization_url"]),
            (r#"{"id":"a","client_id":"c","preset":"google","callback_url":"http://x.example/cb"}"#, &["callback_url"]),
            (r#"{"id":"a","client_id":"c","preset":"google","scopes":["a b"]}"#, &["scopes"]),
            (r#"{"id":"a","client_id":"c","preset":"google","authorization_params":{"state":"x"}}"#, &["authorization_params"]),
            (r#"{"id":"a","client_id":"c","preset":"google","authorization_params":{"redirect_uri":"x"}}"#, &["authorization_params"]),
            (r#"{"id":"a","client_id":"c","preset":"google","microsoft_tenant":"common"}"#, &["microsoft_tenant"]),
            (r#"{"id":"a","client_id":"c","preset":"microsoft","microsoft_tenant":"../evil"}"#, &["microsoft_tenant"]),
            (r#"{"id":"a","client_id":"c","preset":"microsoft","microsoft_tenant":"a/b"}"#, &["microsoft_tenant"]),
            (r#"{"id":"a","client_id":"c","preset":"apple"}"#, &["apple_team_id", "apple_key_id"]),
            (r#"{"id":"a","client_id":"c","preset":"apple","apple_team_id":"T\"1","apple_key_id":"K"}"#, &["apple_team_id"]),
            (r#"{"id":"a","client_id":"c","preset":"google","mapping":{"email":""}}"#, &["mapping"]),
            (r#"{"id":"a","client_id":"c","preset":"google","name":" "}"#, &["name"]),
        ];
        for (row, (json, fields)) in table.iter().enumerate() {
            assert_eq!(problem(json), *fields, "row {row}");
        }
    }
}
