//! Where a provider's endpoints are and what it announces: discovered (OpenID Connect Discovery, 4), or written in its settings.

use super::fault::UpstreamFault;
use super::provider::{MICROSOFT, Protocol, Provider, UpstreamIssuer};
use crate::jose::algorithm::Algorithm;
use crate::url::EndpointUrl;
use serde::Deserialize;

/// The largest discovery document that is read, in bytes.
pub const DISCOVERY_BYTES_MAX: usize = 128 * 1024;

/// The directory of Microsoft's personal accounts.
const PERSONAL_DIRECTORY: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
/// What stands for the directory in the issuer that Microsoft's shared documents name.
const DIRECTORY_PLACE: &str = "{tenantid}";

/// Whose people sign in at Microsoft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directories {
    /// `common`: everybody.
    Any,
    /// `organizations`: those of a company's or school's directory.
    Organizations,
}

/// What `iss` must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerRule {
    /// This text, byte for byte.
    Exact(String),
    /// Microsoft's issuer of the directory that the token names in `tid`.
    Directory(Directories),
}

impl IssuerRule {
    /// Whether an ID token's `iss` is the provider's; `tid` is the claim of that name.
    pub fn accepts(&self, iss: &str, tid: Option<&str>) -> bool {
        match (self, tid) {
            (Self::Exact(issuer), _) => issuer == iss,
            (Self::Directory(_), None) => false,
            (Self::Directory(which), Some(tid)) => {
                is_directory_id(tid)
                    && iss == directory_issuer(tid)
                    && (*which == Directories::Any || tid != PERSONAL_DIRECTORY)
            }
        }
    }

    /// Whether the `iss` of a callback (RFC 9207) can be the provider's.
    pub fn accepts_response(&self, iss: &str) -> bool {
        match self {
            Self::Exact(issuer) => issuer == iss,
            Self::Directory(_) => {
                iss == directory_issuer(DIRECTORY_PLACE) || directory_of(iss).is_some()
            }
        }
    }
}

fn directory_issuer(id: &str) -> String {
    format!("{MICROSOFT}/{id}/v2.0")
}

fn directory_of(iss: &str) -> Option<&str> {
    iss.strip_prefix(MICROSOFT)?
        .strip_prefix('/')?
        .strip_suffix("/v2.0")
        .filter(|id| is_directory_id(id))
}

/// A directory's id: a UUID in its one spelling.
fn is_directory_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

/// Where a provider's endpoints are and what it announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderMetadata {
    /// What `iss` must be; none for plain OAuth 2.0.
    pub issuer: Option<IssuerRule>,
    /// Where browsers go.
    pub authorization_endpoint: EndpointUrl,
    /// Where codes are exchanged.
    pub token_endpoint: EndpointUrl,
    /// Where the person is described.
    pub userinfo_endpoint: Option<EndpointUrl>,
    /// Where the keys are; none for plain OAuth 2.0.
    pub jwks_uri: Option<EndpointUrl>,
    /// The algorithms of its ID tokens that are also ours.
    pub algorithms: Vec<Algorithm>,
    /// Whether its callbacks always name it (RFC 9207, 3).
    pub iss_parameter: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    jwks_uri: String,
    #[serde(default)]
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl ProviderMetadata {
    /// What the settings or the preset say; `None` for a provider whose document is to be fetched.
    pub fn of_settings(provider: &Provider) -> Option<Self> {
        match &provider.protocol {
            Protocol::OpenId(_) => None,
            Protocol::OpenIdAt {
                issuer,
                authorization,
                token,
                keys,
            } => Some(Self {
                issuer: Some(IssuerRule::Exact(issuer.as_str().to_owned())),
                authorization_endpoint: authorization.clone(),
                token_endpoint: token.clone(),
                userinfo_endpoint: None,
                jwks_uri: Some(keys.clone()),
                algorithms: vec![Algorithm::RS256],
                iss_parameter: false,
            }),
            Protocol::OAuth {
                authorization,
                token,
                userinfo,
                ..
            } => Some(Self {
                issuer: None,
                authorization_endpoint: authorization.clone(),
                token_endpoint: token.clone(),
                userinfo_endpoint: Some(userinfo.clone()),
                jwks_uri: None,
                algorithms: Vec::new(),
                iss_parameter: false,
            }),
        }
    }

    /// Reads the document that was fetched from the issuer (OpenID Connect Discovery, 3 and 4.3).
    pub fn from_discovery(json: &[u8], issuer: &UpstreamIssuer) -> Result<Self, UpstreamFault> {
        if json.len() > DISCOVERY_BYTES_MAX {
            return Err(UpstreamFault::Discovery("too large"));
        }
        let document: Document = serde_json::from_slice(json)
            .map_err(|_| UpstreamFault::Discovery("a member is missing or malformed"))?;
        let rule = issuer_rule(&document.issuer, issuer)
            .ok_or(UpstreamFault::Discovery("it names another issuer"))?;
        // An issuer on the wire over TLS that sends us to plain http, on this device even, is not to be followed (T51).
        let secure = match issuer {
            UpstreamIssuer::Exact(issuer) => issuer.is_https(),
            UpstreamIssuer::Directory(_) => true,
        };
        let endpoint = |text: &str, what: &'static str| {
            EndpointUrl::parse(text)
                .ok()
                .filter(|url| url.is_https() || !secure)
                .ok_or(UpstreamFault::Discovery(what))
        };
        let names = document.id_token_signing_alg_values_supported;
        let algorithms: Vec<Algorithm> = names.map_or_else(
            // The member is required; RS256 is what every provider has (OpenID Connect Discovery, 3).
            || vec![Algorithm::RS256],
            |names| {
                names
                    .iter()
                    .filter_map(|name| Algorithm::parse(name))
                    .collect()
            },
        );
        if algorithms.is_empty() {
            return Err(UpstreamFault::Discovery("no ID token algorithm of ours"));
        }
        Ok(Self {
            issuer: Some(rule),
            authorization_endpoint: endpoint(
                &document.authorization_endpoint,
                "authorization_endpoint is not an https address",
            )?,
            token_endpoint: endpoint(
                &document.token_endpoint,
                "token_endpoint is not an https address",
            )?,
            userinfo_endpoint: document
                .userinfo_endpoint
                .as_deref()
                .map(|text| endpoint(text, "userinfo_endpoint is not an https address"))
                .transpose()?,
            jwks_uri: Some(endpoint(
                &document.jwks_uri,
                "jwks_uri is not an https address",
            )?),
            algorithms,
            iss_parameter: document
                .authorization_response_iss_parameter_supported
                .unwrap_or(false),
        })
    }
}

/// What `iss` must be, given what the document says of itself.
fn issuer_rule(said: &str, expected: &UpstreamIssuer) -> Option<IssuerRule> {
    match expected {
        UpstreamIssuer::Exact(issuer) => {
            (issuer.as_str() == said).then(|| IssuerRule::Exact(said.to_owned()))
        }
        UpstreamIssuer::Directory(name) => match name.as_str() {
            "common" => (said == directory_issuer(DIRECTORY_PLACE))
                .then_some(IssuerRule::Directory(Directories::Any)),
            "organizations" => (said == directory_issuer(DIRECTORY_PLACE))
                .then_some(IssuerRule::Directory(Directories::Organizations)),
            "consumers" => (directory_of(said) == Some(PERSONAL_DIRECTORY))
                .then(|| IssuerRule::Exact(said.to_owned())),
            // A directory by its id is that one; by a domain of its own it is the one that the document names.
            id if is_directory_id(id) => {
                (directory_of(said) == Some(id)).then(|| IssuerRule::Exact(said.to_owned()))
            }
            _ => directory_of(said).map(|_| IssuerRule::Exact(said.to_owned())),
        },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::provider::tests::provider;
    use super::*;
    use serde_json::{Value, json};

    const WORK: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn document() -> Value {
        json!({
            "issuer": "https://op.example",
            "authorization_endpoint": "https://op.example/auth",
            "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
            "id_token_signing_alg_values_supported": ["HS256", "none", "ES256", "RS512", "RS256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn exact(text: &str) -> UpstreamIssuer {
        UpstreamIssuer::Exact(EndpointUrl::parse(text).unwrap())
    }

    pub(crate) fn metadata() -> ProviderMetadata {
        ProviderMetadata::from_discovery(
            document().to_string().as_bytes(),
            &exact("https://op.example"),
        )
        .unwrap()
    }

    #[test]
    fn a_document_is_read_and_only_our_algorithms_count() {
        let metadata = metadata();
        assert_eq!(metadata.algorithms, [Algorithm::ES256, Algorithm::RS256]);
        assert!(metadata.iss_parameter && metadata.userinfo_endpoint.is_none());
    }

    #[test]
    fn t05_t51_a_document_that_leads_elsewhere_is_refused() {
        #[rustfmt::skip]
        let table = [
            ("issuer",                 json!("https://op.example/")),
            ("issuer",                 json!("https://evil.example")),
            ("issuer",                 json!(null)),
            ("authorization_endpoint", json!("http://op.example/auth")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("token_endpoint",         json!("http://127.0.0.1/token")),
            ("token_endpoint",         json!("file:///etc/passwd")),
            ("userinfo_endpoint",      json!("http://localhost/me")),
            ("jwks_uri",               json!("gopher://op.example")),
            ("jwks_uri",               json!("/jwks")),
            ("id_token_signing_alg_values_supported", json!(["HS256", "none"])),
            ("id_token_signing_alg_values_supported", json!("RS256")),
        ];
        for (row, (name, value)) in table.into_iter().enumerate() {
            let mut bad = document();
            bad[name] = value;
            let read = ProviderMetadata::from_discovery(
                bad.to_string().as_bytes(),
                &exact("https://op.example"),
            );
            assert!(
                matches!(read, Err(UpstreamFault::Discovery(_))),
                "row {row}"
            );
        }
        for bad in ["", "<html>", "[]", "{}"] {
            assert!(
                ProviderMetadata::from_discovery(bad.as_bytes(), &exact("https://op.example"))
                    .is_err()
            );
        }
        let huge = vec![b' '; DISCOVERY_BYTES_MAX + 1];
        assert_eq!(
            ProviderMetadata::from_discovery(&huge, &exact("https://op.example")).unwrap_err(),
            UpstreamFault::Discovery("too large")
        );
    }

    #[test]
    fn apple_is_found_without_its_document() {
        let apple = provider(
            r#"{"id":"apple","preset":"apple","client_id":"c","apple_team_id":"T1","apple_key_id":"K1"}"#,
        );
        assert!(apple.is_openid() && apple.discovery_url().is_none());
        let known = ProviderMetadata::of_settings(&apple).unwrap();
        let issuer = known.issuer.unwrap();
        assert!(issuer.accepts("https://appleid.apple.com", None));
        assert!(!issuer.accepts("https://account.apple.com", None));
        assert_eq!(
            [
                known.authorization_endpoint.as_str(),
                known.token_endpoint.as_str(),
                known.jwks_uri.unwrap().as_str(),
            ],
            [
                "https://appleid.apple.com/auth/authorize",
                "https://appleid.apple.com/auth/token",
                "https://appleid.apple.com/auth/keys",
            ]
        );
        assert_eq!(known.algorithms, [Algorithm::RS256]);
        let elsewhere = provider(
            r#"{"id":"apple","preset":"apple","client_id":"c","apple_team_id":"T1","apple_key_id":"K1","issuer":"https://op.example"}"#,
        );
        assert!(elsewhere.discovery_url().is_some() && elsewhere.form_post);
    }

    #[test]
    fn a_document_of_microsoft_names_the_place_of_the_directory_or_the_directory() {
        let personal = format!("https://login.microsoftonline.com/{PERSONAL_DIRECTORY}/v2.0");
        let work = format!("https://login.microsoftonline.com/{WORK}/v2.0");
        let shared = "https://login.microsoftonline.com/{tenantid}/v2.0";
        #[rustfmt::skip]
        let table = [
            ("common",          shared,    Some(IssuerRule::Directory(Directories::Any))),
            ("organizations",   shared,    Some(IssuerRule::Directory(Directories::Organizations))),
            ("consumers",       &personal, Some(IssuerRule::Exact(personal.clone()))),
            (WORK,              &work,     Some(IssuerRule::Exact(work.clone()))),
            ("contoso.example", &work,     Some(IssuerRule::Exact(work.clone()))),
            ("common",          &work,     None),
            ("consumers",       &work,     None),
            (WORK,              &personal, None),
            (WORK,              shared,    None),
            ("contoso.example", shared,    None),
            ("contoso.example", "https://evil.example", None),
        ];
        for (row, (directory, said, expected)) in table.into_iter().enumerate() {
            assert_eq!(
                issuer_rule(said, &UpstreamIssuer::Directory(directory.to_owned())),
                expected,
                "row {row}"
            );
        }
    }
}
