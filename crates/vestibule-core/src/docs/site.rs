//! What a docs site of ours is: where its pages come from, where it is served, who may read it, and which OAuth server tells who
//! reads.

use super::access::{PathPattern, Visibility};
use crate::identity::tenant::is_slug;
use crate::oauth::scope::ScopeSet;
use crate::relying_party::provider::UpstreamAuth;
use crate::time::Lifetime;
use crate::url::{EndpointUrl, WebAddress, parse_normal};
use core::net::SocketAddr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What hangs below the base path of every site and is ours.
pub const HANDSHAKE_PATH: &str = "/_handshake";

/// The most rules of a site.
pub const RULES_COUNT_MAX: usize = 200;
/// The most groups of a rule.
const GROUPS_COUNT_MAX: usize = 100;
/// The longest name of a group, in bytes.
const GROUP_BYTES_MAX: usize = 200;
/// The most parameters that a site adds to the authorization request.
const PARAMS_COUNT_MAX: usize = 20;
/// The longest value of such a parameter, in bytes.
const PARAM_BYTES_MAX: usize = 1024;
/// The longest delimiter of groups in a claim, in characters (seed 000).
const DELIMITER_LENGTH_MAX: usize = 4;
/// The most search indexes of a site.
const SEARCH_INDEXES_COUNT_MAX: usize = 20;

/// The parameters of the authorization request that are ours to set.
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

/// The token in which a site's OAuth server says the reader's groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimSource {
    /// The ID token; `openid` must be among the scopes.
    IdToken,
    /// The access token, which must be a JWT.
    AccessToken,
}

/// Where the reader's groups stand in a token, for a server without an Info API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupClaims {
    /// The token: `id_token` or `access_token`.
    pub source: ClaimSource,
    /// The claim; `groups` when absent.
    #[serde(default = "groups_claim")]
    pub claim: String,
    /// What separates the groups of a claim that is one text, such as `,`: 1 to 4 characters. Without it a text is one group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<String>,
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// Who may open the pages of a path. The first rule that matches decides; a page's own word comes before all rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// The paths, below the site's base: `/admin/**`.
    #[schemars(with = "String")]
    pub path: PathPattern,
    /// The groups of whom any may open it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Whether everybody may open it, even on a private site.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
}

/// A docs site as written and stored. The client's secret is kept apart, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocsSiteSettings {
    /// Its name in commands, unique in the tenant: lower-case letters, digits and hyphens.
    pub name: String,
    /// The folder of built static files; or `upstream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// The address of the site that is passed on; or `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Where readers find it: an origin of its own, never the server's.
    pub public_url: String,
    /// A listener of its own, such as `127.0.0.1:8081`; without it the host of `public_url` chooses the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
    /// Who may read it: `personalised` (everybody, the default) or `private` (who has signed in).
    #[serde(default)]
    pub visibility: Visibility,
    /// Where readers sign in; it may have a query already.
    pub authorization_url: String,
    /// The site's client id there.
    pub client_id: String,
    /// The scopes to ask for; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Where the code is exchanged.
    pub token_url: String,
    /// How the site proves itself there: `none` (PKCE alone; the default without a secret), `client_secret_post` (the default with
    /// one) or `client_secret_basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<UpstreamAuth>,
    /// What tells who the reader is; without it signing in proves that there is one, and no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info_api_url: Option<String>,
    /// The issuer of the OAuth server. Where it is given, an answer or an ID token of another is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Parameters added to the authorization request, such as `audience`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_authorization_params: BTreeMap<String, String>,
    /// Where signing out goes on, so that the OAuth server forgets the reader too; followed as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logout_url: Option<String>,
    /// The path where a reader lands who signed in from nowhere in particular, such as `/docs/welcome`; the site's first page when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub land_at: Option<String>,
    /// Where the groups stand in a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_claims: Option<GroupClaims>,
    /// How long a reader is known whose `expiresAt` is not told, and at most; `14d` when absent.
    #[serde(default = "session_lifetime")]
    #[schemars(with = "String")]
    pub session_lifetime: Lifetime,
    /// Search indexes to keep what a reader may not see out of, as paths below the base; the usual names of the usual generators
    /// when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub search_indexes: Vec<PathPattern>,
    /// Who may open what.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<AccessRule>,
}

const fn session_lifetime() -> Lifetime {
    Lifetime::days(14)
}

/// What is wrong with a site's settings: the field, and a sentence that names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct SiteProblem {
    /// The field's name in the settings.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// Where a site's pages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteContent {
    /// A folder of built static files.
    Folder(String),
    /// Another server, below this address (no slash at its end).
    Upstream(String),
}

/// Where readers find a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteAddress {
    /// `https://docs.acme.test`
    pub origin: String,
    /// The host, and the port where it is not the scheme's own: what a request's Host header says.
    pub host: String,
    /// `/docs`, or empty at the root.
    pub base_path: String,
}

impl SiteAddress {
    /// Parses a public URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        let address = EndpointUrl::parse(text).map_err(|error| error.to_string())?;
        let url = parse_normal(address.as_str()).map_err(|error| error.to_string())?;
        if url.query().is_some() {
            return Err("leave out the part from `?` on".to_owned());
        }
        let base_path = url.path().trim_end_matches('/');
        if base_path.contains("//") || base_path.bytes().any(|byte| b"%;\\".contains(&byte)) {
            return Err(
                "write a path of plain characters, such as https://docs.example.com/docs"
                    .to_owned(),
            );
        }
        let host = url.host_str().unwrap_or_default();
        Ok(Self {
            origin: url.origin().ascii_serialization(),
            host: url
                .port()
                .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            base_path: base_path.to_owned(),
        })
    }

    /// Whether readers come by https.
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// The absolute address of a path below the base; `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.base_path)
    }
}

/// A docs site whose settings are sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocsSite {
    /// Its name in commands.
    pub name: String,
    /// Where its pages come from.
    pub content: SiteContent,
    /// Where readers find it.
    pub address: SiteAddress,
    /// Its own listener.
    pub listen: Option<SocketAddr>,
    /// Who may read it.
    pub visibility: Visibility,
    /// Where readers sign in.
    pub authorization_url: EndpointUrl,
    /// Its client id there.
    pub client_id: String,
    /// The scopes to ask for; none: the parameter is left out.
    pub scopes: Option<ScopeSet>,
    /// Where the code is exchanged.
    pub token_url: EndpointUrl,
    /// How it proves itself there; by default as its having a secret says.
    pub auth: Option<UpstreamAuth>,
    /// What tells who the reader is.
    pub info_api_url: Option<EndpointUrl>,
    /// The issuer that answers must come from.
    pub issuer: Option<EndpointUrl>,
    /// Parameters added to the authorization request.
    pub extra_authorization_params: BTreeMap<String, String>,
    /// Where signing out goes on.
    pub logout_url: Option<WebAddress>,
    /// Where a reader lands who signed in from nowhere in particular: a path of the site's origin.
    pub land_at: String,
    /// Where the groups stand in a token.
    pub group_claims: Option<GroupClaims>,
    /// How long a reader is known at most.
    pub session_lifetime: Lifetime,
    /// The search indexes that are named.
    pub search_indexes: Vec<PathPattern>,
    /// Who may open what.
    pub rules: Vec<AccessRule>,
}

impl DocsSite {
    /// Checks settings. Every problem is named, not only the first.
    pub fn from_settings(settings: &DocsSiteSettings) -> Result<Self, Vec<SiteProblem>> {
        let mut problems = Problems(Vec::new());
        if !is_slug(&settings.name) {
            problems.add(
                "name",
                "a name is lower-case letters, digits and single hyphens, such as `handbook`",
            );
        }
        let address = SiteAddress::parse(&settings.public_url)
            .map_err(|problem| problems.add("public_url", problem))
            .ok();
        check_lists(settings, &mut problems);
        let site = Self {
            name: settings.name.clone(),
            content: parse_content(settings, &mut problems)
                .unwrap_or(SiteContent::Folder(String::new())),
            listen: settings.listen.as_deref().and_then(|text| {
                text.parse()
                    .map_err(|_| {
                        problems.add(
                            "listen",
                            "write an address and a port, such as 127.0.0.1:8081",
                        );
                    })
                    .ok()
            }),
            visibility: settings.visibility,
            client_id: settings.client_id.clone(),
            scopes: parse_scopes(settings, &mut problems),
            auth: settings.token_endpoint_auth_method,
            info_api_url: problems.endpoint("info_api_url", settings.info_api_url.as_deref()),
            issuer: problems.endpoint("issuer", settings.issuer.as_deref()),
            extra_authorization_params: settings.extra_authorization_params.clone(),
            logout_url: settings.logout_url.as_deref().and_then(|text| {
                WebAddress::parse(text)
                    .map_err(|error| problems.add("logout_url", error.to_string()))
                    .ok()
            }),
            land_at: parse_landing(settings, address.as_ref(), &mut problems),
            group_claims: settings.group_claims.clone(),
            session_lifetime: settings.session_lifetime,
            search_indexes: settings.search_indexes.clone(),
            rules: settings.rules.clone(),
            authorization_url: match problems
                .endpoint("authorization_url", Some(&settings.authorization_url))
            {
                Some(url) => url,
                None => return Err(problems.all_of(settings)),
            },
            token_url: match problems.endpoint("token_url", Some(&settings.token_url)) {
                Some(url) => url,
                None => return Err(problems.0),
            },
            address: match address {
                Some(address) => address,
                None => return Err(problems.0),
            },
        };
        if problems.0.is_empty() {
            Ok(site)
        } else {
            Err(problems.0)
        }
    }

    /// The redirect URI to register at the OAuth server.
    pub fn redirect_uri(&self) -> String {
        self.handshake_url("callback")
    }

    /// One of our own addresses below the site's base.
    pub fn handshake_url(&self, name: &str) -> String {
        format!("{}/{name}", self.address.join(HANDSHAKE_PATH))
    }
}

struct Problems(Vec<SiteProblem>);

impl Problems {
    fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push(SiteProblem {
            field,
            problem: problem.into(),
        });
    }

    /// The mistake that is made most is to leave out the scheme; then the fix is one word.
    fn endpoint(&mut self, field: &'static str, text: Option<&str>) -> Option<EndpointUrl> {
        let text = text?;
        EndpointUrl::parse(text)
            .map_err(|error| {
                let problem = if !text.contains("://")
                    && EndpointUrl::parse(&format!("https://{text}")).is_ok()
                {
                    format!("the scheme is missing; write `https://{text}`")
                } else {
                    error.to_string()
                };
                self.add(field, problem);
            })
            .ok()
    }

    /// What else is wrong, when the first of the addresses already is.
    fn all_of(mut self, settings: &DocsSiteSettings) -> Vec<SiteProblem> {
        let _ = self.endpoint("token_url", Some(&settings.token_url));
        self.0
    }
}

fn parse_content(settings: &DocsSiteSettings, problems: &mut Problems) -> Option<SiteContent> {
    match (&settings.root, &settings.upstream) {
        (Some(root), None) if root.is_empty() || root.contains('\0') => {
            problems.add("root", "write the folder of the built site");
            None
        }
        (Some(root), None) => Some(SiteContent::Folder(root.clone())),
        (None, Some(upstream)) => {
            let url = match parse_normal(upstream) {
                Ok(url) => url,
                Err(error) => {
                    problems.add("upstream", error.to_string());
                    return None;
                }
            };
            if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
                problems.add(
                    "upstream",
                    "write an http or https address without a query, such as http://127.0.0.1:4000",
                );
                return None;
            }
            Some(SiteContent::Upstream(
                upstream.trim_end_matches('/').to_owned(),
            ))
        }
        (None, None) => {
            problems.add(
                "root",
                "write `root` (a folder of built files) or `upstream` (an address to pass on to)",
            );
            None
        }
        (Some(_), Some(_)) => {
            problems.add(
                "upstream",
                "a site has either `root` or `upstream`; leave one out",
            );
            None
        }
    }
}

fn parse_scopes(settings: &DocsSiteSettings, problems: &mut Problems) -> Option<ScopeSet> {
    if settings.scopes.is_empty() {
        return None;
    }
    let scopes = ScopeSet::parse(&settings.scopes.join(" "));
    if scopes.is_err() {
        problems.add(
            "scopes",
            "write a list of scope names, such as [\"docs-user-info\"]",
        );
    }
    scopes.ok()
}

fn parse_landing(
    settings: &DocsSiteSettings,
    address: Option<&SiteAddress>,
    problems: &mut Problems,
) -> String {
    let base = address.map_or("", |address| address.base_path.as_str());
    let Some(path) = &settings.land_at else {
        return format!("{base}/");
    };
    let below = path
        .strip_prefix(base)
        .is_some_and(|rest| rest.starts_with('/'));
    let plain = path
        .bytes()
        .all(|byte| byte > b' ' && byte < 0x7f && byte != b'\\');
    if !below || !plain || path.starts_with("//") || path.contains("/../") {
        problems.add(
            "land_at",
            format!("write a path of the site, such as `{base}/welcome`"),
        );
    }
    path.clone()
}

fn check_lists(settings: &DocsSiteSettings, problems: &mut Problems) {
    let printable = |text: &str, max: usize| {
        (1..=max).contains(&text.len()) && !text.chars().any(char::is_control)
    };
    if !printable(&settings.client_id, 1024) {
        problems.add(
            "client_id",
            "write the client id that the OAuth server gave the site",
        );
    }
    if settings.extra_authorization_params.len() > PARAMS_COUNT_MAX {
        problems.add(
            "extra_authorization_params",
            format!("there are {PARAMS_COUNT_MAX} of them at most"),
        );
    }
    for (name, value) in &settings.extra_authorization_params {
        if PARAMS_RESERVED.contains(&name.as_str()) {
            problems.add(
                "extra_authorization_params",
                format!("`{name}` is set by the handshake; leave it out"),
            );
        }
        if !printable(name, 100) || value.len() > PARAM_BYTES_MAX {
            problems.add(
                "extra_authorization_params",
                format!("a name has 1 to 100 characters, a value {PARAM_BYTES_MAX} bytes at most"),
            );
        }
    }
    if let Some(claims) = &settings.group_claims {
        let length = claims.delimiter.as_ref().map(|text| text.chars().count());
        if length.is_some_and(|length| !(1..=DELIMITER_LENGTH_MAX).contains(&length)) {
            problems.add("group_claims", "a delimiter has 1 to 4 characters");
        }
        if !printable(&claims.claim, 200) {
            problems.add(
                "group_claims",
                "write the name of the claim, such as `groups`",
            );
        }
        let openid = settings.scopes.iter().any(|scope| scope == "openid");
        if claims.source == ClaimSource::IdToken && !openid {
            problems.add(
                "group_claims",
                "there is an ID token only when `openid` is among `scopes`; add it, or use `access_token`",
            );
        }
    }
    if settings.token_endpoint_auth_method == Some(UpstreamAuth::SignedSecret) {
        problems.add(
            "token_endpoint_auth_method",
            "write `none`, `client_secret_post` or `client_secret_basic`",
        );
    }
    if settings.search_indexes.len() > SEARCH_INDEXES_COUNT_MAX {
        problems.add(
            "search_indexes",
            format!("there are {SEARCH_INDEXES_COUNT_MAX} of them at most"),
        );
    }
    check_rules(&settings.rules, problems);
}

fn check_rules(rules: &[AccessRule], problems: &mut Problems) {
    if rules.len() > RULES_COUNT_MAX {
        problems.add(
            "rule",
            format!("a site has {RULES_COUNT_MAX} of them at most"),
        );
    }
    for rule in rules {
        let path = rule.path.as_str();
        if rule.public && !rule.groups.is_empty() {
            problems.add(
                "rule",
                format!("`{path}` is either public or for groups; leave one out"),
            );
        }
        let fits = rule.groups.len() <= GROUPS_COUNT_MAX
            && rule
                .groups
                .iter()
                .all(|group| (1..=GROUP_BYTES_MAX).contains(&group.len()));
        if !fits {
            problems.add(
                "rule",
                format!("`{path}`: {GROUPS_COUNT_MAX} groups at most, each of 1 to {GROUP_BYTES_MAX} bytes"),
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Settings that are sound, with some of them replaced; `null` leaves one out.
    pub(crate) fn settings(changes: &Value) -> DocsSiteSettings {
        let mut all = json!({
            "name": "handbook", "root": "/srv/site", "public_url": "https://docs.acme.test/docs",
            "authorization_url": "https://auth.foo.test/authorization", "client_id": "ydybo4SD8PR73vzWWd6S0ObH",
            "scopes": ["docs-user-info"], "token_url": "https://auth.foo.test/exchange",
            "info_api_url": "https://api.foo.test/docs/user-info",
        });
        for (name, value) in changes.as_object().unwrap() {
            let object = all.as_object_mut().unwrap();
            if value.is_null() {
                object.remove(name);
            } else {
                object.insert(name.clone(), value.clone());
            }
        }
        serde_json::from_value(all).unwrap()
    }

    /// The site of [`settings`].
    pub(crate) fn site(changes: &Value) -> DocsSite {
        DocsSite::from_settings(&settings(changes)).unwrap()
    }

    #[test]
    fn the_seeds_own_example_is_a_site() {
        let site = site(&json!({}));
        assert_eq!(site.address.origin, "https://docs.acme.test");
        assert_eq!(site.address.host, "docs.acme.test");
        assert_eq!(site.address.base_path, "/docs");
        assert_eq!(
            site.redirect_uri(),
            "https://docs.acme.test/docs/_handshake/callback"
        );
        assert_eq!(site.land_at, "/docs/");
        assert_eq!(site.visibility, Visibility::Personalised);
        assert_eq!(site.session_lifetime, Lifetime::days(14));
        let at_root = super::tests::site(&json!({ "public_url": "http://127.0.0.1:8081/" }));
        assert_eq!(at_root.address.host, "127.0.0.1:8081");
        assert_eq!(
            at_root.redirect_uri(),
            "http://127.0.0.1:8081/_handshake/callback"
        );
        assert_eq!(at_root.land_at, "/");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_fix() {
        #[rustfmt::skip]
        let table = [
            (json!({"name": "Hand Book"}),                          "name: a name is lower-case"),
            (json!({"root": null}),                                 "root: write `root`"),
            (json!({"root": ""}),                                   "root: write the folder"),
            (json!({"upstream": "http://127.0.0.1:4000"}),          "upstream: a site has either"),
            (json!({"root": null, "upstream": "ftp://x/"}),         "upstream: write an http"),
            (json!({"root": null, "upstream": "http://x/?a"}),      "upstream: write an http"),
            (json!({"public_url": "http://docs.acme.test"}),        "public_url: `http://docs.acme.test` is plain http"),
            (json!({"public_url": "https://d.test/a?b"}),           "public_url: leave out the part from `?`"),
            (json!({"public_url": "https://d.test/a#b"}),           "public_url: `https://d.test/a#b` has a fragment"),
            (json!({"public_url": "https://d.test/a%2fb"}),         "public_url: write a path of plain"),
            (json!({"public_url": "https://d.test/a//b"}),          "public_url: write a path of plain"),
            (json!({"public_url": "docs.acme.test"}),               "public_url: "),
            (json!({"listen": "8081"}),                             "listen: write an address and a port"),
            (json!({"authorization_url": "auth.foo.test/a"}),       "authorization_url: the scheme is missing; write `https://auth.foo.test/a`"),
            (json!({"authorization_url": "http://auth.foo.test/a"}), "authorization_url: `http://auth.foo.test/a` is plain http"),
            (json!({"token_url": "javascript:alert(1)"}),           "token_url: `javascript:alert(1)` has a scheme"),
            (json!({"info_api_url": "/docs/user-info"}),            "info_api_url: `/docs/user-info` is not an absolute URI"),
            (json!({"issuer": "auth.foo.test"}),                    "issuer: the scheme is missing"),
            (json!({"client_id": ""}),                              "client_id: write the client id"),
            (json!({"scopes": ["a\"b"]}),                           "scopes: write a list"),
            (json!({"logout_url": "javascript:alert(1)"}),          "logout_url: "),
            (json!({"land_at": "https://evil.test/"}),              "land_at: write a path of the site"),
            (json!({"land_at": "//evil.test/docs/"}),               "land_at: write a path of the site"),
            (json!({"land_at": "/elsewhere"}),                      "land_at: write a path of the site, such as `/docs/welcome`"),
            (json!({"land_at": "/docs/../x"}),                      "land_at: write a path of the site"),
            (json!({"land_at": "/docs\\x"}),                        "land_at: write a path of the site"),
            (json!({"extra_authorization_params": {"state": "x"}}), "extra_authorization_params: `state` is set by the handshake"),
            (json!({"group_claims": {"source": "id_token"}}),       "group_claims: there is an ID token only when `openid`"),
            (json!({"group_claims": {"source": "access_token", "delimiter": ""}}),      "group_claims: a delimiter has"),
            (json!({"group_claims": {"source": "access_token", "delimiter": "12345"}}), "group_claims: a delimiter has"),
            (json!({"token_endpoint_auth_method": "signed_secret"}), "token_endpoint_auth_method: write `none`"),
            (json!({"rule": [{"path": "/x", "public": true, "groups": ["a"]}]}),        "rule: `/x` is either public"),
            (json!({"rule": [{"path": "/x", "groups": [""]}]}),     "rule: `/x`: 100 groups at most"),
        ];
        for (changes, expected) in table {
            let problems = DocsSite::from_settings(&settings(&changes)).unwrap_err();
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(
                texts.iter().any(|text| text.starts_with(expected)),
                "{changes}: {texts:?}"
            );
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let problems = DocsSite::from_settings(&settings(&json!({
            "name": "", "authorization_url": "auth.foo.test", "token_url": "auth.foo.test/x", "public_url": "x",
        })))
        .unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
        assert_eq!(
            fields,
            ["name", "public_url", "authorization_url", "token_url"]
        );
    }
}
