//! The outer request of seed 001: an app asks for a sign-in through a provider, or for a link to one.
//!
//! What the seed's product finds out only when the person comes back is looked at first here: addresses, scope, response type and
//! PKCE method. What it ignores is ignored. Nothing here is answered with a redirect: whoever wrote the request sees the answer.

use super::known_error::KnownError;
use super::params::Params;
use super::pkce::CodeChallenge;
use super::project::{project_of, project_scopes};
use super::scope::ScopeSet;
use crate::id::TenantId;
use crate::identity::tenant::{PublishableKey, TenantPolicy};
use crate::identity::trusted_domain::TrustedDomains;
use crate::secret::Secret;
use crate::url::{RedirectUri, URL_LENGTH_MAX};

/// What an app without a key sends as its secret.
pub const PUBLIC_CLIENT: &str = "__stack_public_client__";
/// The longest `state` of an app, in characters.
pub const OUTER_STATE_LENGTH_MAX: usize = 512;

/// Every parameter that counts: what is kept of a request until the person comes back ([`Params::encode`]).
pub const OUTER_PARAMETERS: &[&str] = &[
    "after_callback_redirect_url",
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "error_redirect_uri",
    "error_redirect_url",
    "grant_type",
    "hexclave_response_mode",
    "provider_scope",
    "redirect_uri",
    "response_type",
    "scope",
    "stack_response_mode",
    "state",
    "token",
    "type",
];

/// What a request is held against.
#[derive(Clone, Copy)]
pub struct ProjectRules<'a> {
    /// The project.
    pub tenant_id: TenantId,
    /// What the tenant decided.
    pub policy: &'a TenantPolicy,
    /// Where people may be returned to.
    pub trusted: &'a TrustedDomains,
    /// The tenant's scopes.
    pub served: &'a ScopeSet,
    /// Whether this key opens the tier of publishable keys now.
    pub accepts_key: &'a dyn Fn(&str) -> bool,
    /// Whether the provider of the path is configured.
    pub provider_enabled: bool,
    /// The method and path, for the developer.
    pub place: &'a str,
}

/// What the app wants.
#[derive(Clone, Debug)]
pub enum OuterType {
    /// A sign-in.
    Authenticate,
    /// A link to the person of this access token.
    Link(Secret),
}

/// In which form the browser gets the provider's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OuterResponseMode {
    /// As a redirect.
    Redirect,
    /// As JSON: the app's script goes there itself.
    Json,
}

/// A request that was accepted.
#[derive(Clone, Debug)]
pub struct OuterRequest {
    /// What the app wants.
    pub kind: OuterType,
    /// Scopes to ask of the provider besides its own.
    pub provider_scope: ScopeSet,
    /// Where the answer goes.
    pub redirect_uri: RedirectUri,
    /// The redirect URI as it was sent, which the token request repeats.
    pub redirect_uri_sent: String,
    /// Where the app goes afterwards.
    pub after_callback_redirect_url: Option<RedirectUri>,
    /// What is asked of us.
    pub scope: ScopeSet,
    /// Echoed exactly.
    pub state: String,
    /// What the redeemer must prove.
    pub challenge: CodeChallenge,
    /// In which form the browser gets the provider's address.
    pub response_mode: OuterResponseMode,
}

impl OuterRequest {
    /// Parses a request. Unknown parameters are tolerated: addresses of apps carry marks of advertisers, and bot challenges are not
    /// ours. A known one that stands twice is refused.
    pub fn parse(params: &Params, rules: &ProjectRules<'_>) -> Result<Self, KnownError> {
        let mut fields = Fields {
            params,
            problems: Vec::new(),
        };
        for name in OUTER_PARAMETERS {
            if params.is_repeated(name) {
                fields.problem(name, "may stand once");
            }
        }
        let client_id = fields.required("client_id");
        let redirect_uri = fields.address("redirect_uri", true);
        let after = fields.address("after_callback_redirect_url", false);
        for name in ["error_redirect_uri", "error_redirect_url"] {
            let _: Option<&str> = fields.address(name, false);
        }
        let scope = fields.scope("scope", true);
        let provider_scope = fields.scope("provider_scope", false).unwrap_or_default();
        let state = fields.state();
        fields.exactly("grant_type", "authorization_code");
        fields.exactly("response_type", "code");
        let challenge = fields.challenge(rules.policy.plain_pkce);
        let response_mode = fields.response_mode();
        let kind = fields.kind();
        let (Some(client_id), Some(redirect_uri), Some(scope), Some(state), Some(challenge), true) = (
            client_id,
            redirect_uri,
            scope,
            state,
            challenge,
            fields.problems.is_empty(),
        ) else {
            return Err(KnownError::SchemaError {
                place: rules.place.to_owned(),
                problems: fields.problems,
            });
        };
        if project_of(client_id) != Some(rules.tenant_id) {
            return Err(KnownError::InvalidOAuthClientIdOrSecret(Some(
                client_id.to_owned(),
            )));
        }
        accept_key(params.get("client_secret"), rules)?;
        if !rules.provider_enabled {
            return Err(KnownError::OAuthProviderNotFoundOrNotEnabled);
        }
        let trusted = |address: &str| {
            rules
                .trusted
                .match_redirect(address)
                .ok_or(KnownError::RedirectUrlNotWhitelisted)
        };
        let after_callback_redirect_url = after.map(trusted).transpose()?;
        if let Some(unknown) = scope.first_outside(&project_scopes(rules.served)) {
            return Err(KnownError::InvalidScope(unknown.to_owned()));
        }
        Ok(Self {
            kind,
            provider_scope,
            redirect_uri: trusted(redirect_uri)?,
            redirect_uri_sent: redirect_uri.to_owned(),
            after_callback_redirect_url,
            scope,
            state: state.to_owned(),
            challenge,
            response_mode,
        })
    }
}

/// Where an error goes that is found out when the person is back: to the redirect URI, or where the app wants errors if that one is
/// not trusted any more. None when neither is.
pub fn error_address(params: &Params, trusted: &TrustedDomains) -> Option<RedirectUri> {
    ["redirect_uri", "error_redirect_uri", "error_redirect_url"]
        .into_iter()
        .filter_map(|name| params.get(name))
        .find_map(|address| trusted.match_redirect(address))
}

/// Holds the secret of a request against the project's keys: authorize and token ask the same.
pub fn accept_key(secret: Option<&str>, rules: &ProjectRules<'_>) -> Result<(), KnownError> {
    match secret {
        Some(key) if key != PUBLIC_CLIENT => {
            if (rules.accepts_key)(key) {
                Ok(())
            } else {
                Err(KnownError::InvalidPublishableClientKey(
                    rules.tenant_id.to_string(),
                ))
            }
        }
        _ => match rules.policy.publishable_key {
            PublishableKey::Optional => Ok(()),
            PublishableKey::Required => Err(KnownError::PublishableClientKeyRequiredForProject(
                rules.tenant_id.to_string(),
            )),
        },
    }
}

struct Fields<'a> {
    params: &'a Params,
    problems: Vec<String>,
}

impl<'a> Fields<'a> {
    fn problem(&mut self, name: &str, problem: &str) {
        // A name that stands twice has no value, and needs no second sentence.
        let start = format!("query.{name} ");
        if !self.problems.iter().any(|known| known.starts_with(&start)) {
            self.problems.push(format!("{start}{problem}"));
        }
    }

    fn required(&mut self, name: &str) -> Option<&'a str> {
        let value = self.params.get(name);
        if value.is_none() {
            self.problem(name, "must be defined");
        }
        value
    }

    fn exactly(&mut self, name: &str, value: &str) {
        if self.required(name).is_some_and(|given| given != value) {
            self.problem(name, &format!("must be {value}"));
        }
    }

    fn address(&mut self, name: &str, required: bool) -> Option<&'a str> {
        let text = if required {
            self.required(name)?
        } else {
            self.params.get(name)?
        };
        if text.len() > URL_LENGTH_MAX || ::url::Url::parse(text).is_err() {
            self.problem(name, "is not a valid URL");
            return None;
        }
        Some(text)
    }

    fn scope(&mut self, name: &str, required: bool) -> Option<ScopeSet> {
        let text = if required {
            self.required(name)?
        } else {
            self.params.get(name)?
        };
        match ScopeSet::parse(text) {
            Ok(scope) => Some(scope),
            Err(error) => {
                self.problem(name, &format!("is not accepted: {error}"));
                None
            }
        }
    }

    fn state(&mut self) -> Option<&'a str> {
        let state = self.required("state")?;
        if state.chars().count() > OUTER_STATE_LENGTH_MAX {
            self.problem(
                "state",
                &format!("must be {OUTER_STATE_LENGTH_MAX} characters at most"),
            );
            return None;
        }
        Some(state)
    }

    fn challenge(&mut self, plain: bool) -> Option<CodeChallenge> {
        let challenge = self.required("code_challenge");
        let parsed = match (self.required("code_challenge_method")?, challenge?) {
            ("S256", challenge) => CodeChallenge::parse(challenge),
            ("plain", challenge) if plain => CodeChallenge::of_verifier(challenge),
            _ => {
                self.problem("code_challenge_method", "must be S256");
                return None;
            }
        };
        if parsed.is_none() {
            self.problem(
                "code_challenge",
                "is not a challenge of the method (RFC 7636, 4.2)",
            );
        }
        parsed
    }

    fn response_mode(&mut self) -> OuterResponseMode {
        let mut mode = None;
        for name in ["stack_response_mode", "hexclave_response_mode"] {
            let given = match self.params.get(name) {
                None => continue,
                Some("redirect") => OuterResponseMode::Redirect,
                Some("json") => OuterResponseMode::Json,
                Some(_) => {
                    self.problem(name, "must be redirect or json");
                    continue;
                }
            };
            if mode.is_some_and(|mode| mode != given) {
                self.problem(name, "must agree with stack_response_mode");
            }
            mode = Some(given);
        }
        mode.unwrap_or(OuterResponseMode::Redirect)
    }

    fn kind(&mut self) -> OuterType {
        match (self.params.get("type"), self.params.get("token")) {
            (None | Some("authenticate"), _) => OuterType::Authenticate,
            (Some("link"), Some(token)) => OuterType::Link(Secret::new(token.to_owned())),
            (Some("link"), None) => {
                self.problem("token", "must be defined when type is link");
                OuterType::Authenticate
            }
            (Some(_), _) => {
                self.problem("type", "must be authenticate or link");
                OuterType::Authenticate
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::trusted_domain::TrustedDomain;

    const PROJECT: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    /// The request of the seed, with parameters changed, added, or (with `None`) left out.
    fn query(changes: &[(&str, Option<&str>)]) -> String {
        let mut fields: Vec<(String, String)> = [
            ("client_id", PROJECT),
            ("client_secret", PUBLIC_CLIENT),
            ("redirect_uri", "https://example.com/callback"),
            ("scope", "openid email"),
            ("state", "s t&te"),
            ("grant_type", "authorization_code"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("response_type", "code"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
        }
        let mut out = ::url::form_urlencoded::Serializer::new(String::new());
        out.extend_pairs(fields);
        out.finish()
    }

    fn ask_with(
        query: &str,
        policy: &TenantPolicy,
        provider_enabled: bool,
    ) -> Result<OuterRequest, KnownError> {
        let trusted = TrustedDomains::new(
            vec![TrustedDomain::parse("https://example.com").unwrap()],
            false,
        );
        OuterRequest::parse(
            &Params::parse(query.as_bytes()).unwrap(),
            &ProjectRules {
                tenant_id: TenantId::parse(PROJECT).unwrap(),
                policy,
                trusted: &trusted,
                served: &super::super::scope::served(&[]),
                accepts_key: &|key| key == "pck_good",
                provider_enabled,
                place: "GET /api/v1/auth/oauth/authorize/google",
            },
        )
    }

    fn ask(changes: &[(&str, Option<&str>)]) -> Result<OuterRequest, KnownError> {
        ask_with(&query(changes), &TenantPolicy::default(), true)
    }

    fn fields(error: KnownError) -> Vec<String> {
        match error {
            KnownError::SchemaError { problems, .. } => problems
                .iter()
                .map(|problem| problem.split(' ').next().unwrap().to_owned())
                .collect(),
            other => vec![other.code().to_owned()],
        }
    }

    #[test]
    fn the_request_of_the_seed_is_accepted_as_it_is_written() {
        let request = ask(&[]).unwrap();
        assert!(matches!(request.kind, OuterType::Authenticate));
        assert_eq!(
            request.redirect_uri.as_str(),
            "https://example.com/callback"
        );
        assert_eq!(
            (request.state.as_str(), request.scope.to_string().as_str()),
            ("s t&te", "openid email")
        );
        assert_eq!(request.response_mode, OuterResponseMode::Redirect);
        assert!(request.provider_scope.is_empty() && request.after_callback_redirect_url.is_none());
    }

    #[test]
    fn the_request_of_the_sdk_is_accepted() {
        let request = ask(&[
            ("client_id", Some(&format!("{PROJECT}#main"))),
            ("client_secret", None),
            ("scope", Some("legacy")),
            ("type", Some("link")),
            ("token", Some("eyJ")),
            ("provider_scope", Some("repo gist")),
            (
                "error_redirect_url",
                Some("https://example.com/handler/error"),
            ),
            (
                "after_callback_redirect_url",
                Some("https://example.com/home#x"),
            ),
            ("stack_response_mode", Some("json")),
            ("hexclave_response_mode", Some("json")),
            ("bot_challenge_phase", Some("x")),
            ("gclid", Some("x")),
        ])
        .unwrap();
        assert!(matches!(request.kind, OuterType::Link(_)));
        assert_eq!(request.response_mode, OuterResponseMode::Json);
        assert_eq!(
            request.after_callback_redirect_url.unwrap().as_str(),
            "https://example.com/home"
        );
        assert_eq!(request.provider_scope.to_string(), "repo gist");
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let none = ask_with("", &TenantPolicy::default(), true).unwrap_err();
        assert_eq!(
            fields(none),
            [
                "query.client_id",
                "query.redirect_uri",
                "query.scope",
                "query.state",
                "query.grant_type",
                "query.response_type",
                "query.code_challenge",
                "query.code_challenge_method",
            ]
        );
        let repeated = ask_with(
            &format!("{}&state=x&type=a&type=b", query(&[])),
            &TenantPolicy::default(),
            true,
        );
        assert_eq!(fields(repeated.unwrap_err()), ["query.state", "query.type"]);
    }

    #[test]
    fn what_is_wrong_is_refused_before_anybody_leaves() {
        let long = "x".repeat(OUTER_STATE_LENGTH_MAX + 1);
        #[rustfmt::skip]
        let table: &[(&str, Option<&str>, &str)] = &[
            ("client_id",             Some("other"),                        "INVALID_OAUTH_CLIENT_ID_OR_SECRET"),
            ("client_id",             Some("6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02"), "INVALID_OAUTH_CLIENT_ID_OR_SECRET"),
            ("client_id",             Some("6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01#dev"), "INVALID_OAUTH_CLIENT_ID_OR_SECRET"),
            ("client_id",             Some("6F1C1F3E-6B0E-4B7E-9A50-0C1F5D1F7A01"), "INVALID_OAUTH_CLIENT_ID_OR_SECRET"),
            ("client_secret",         Some("pck_wrong"),                    "INVALID_PUBLISHABLE_CLIENT_KEY"),
            ("redirect_uri",          Some("https://evil.example/cb"),      "REDIRECT_URL_NOT_WHITELISTED"),
            ("redirect_uri",          Some("https://example.com.evil.com"), "REDIRECT_URL_NOT_WHITELISTED"),
            ("redirect_uri",          Some("http://localhost:3000/cb"),     "REDIRECT_URL_NOT_WHITELISTED"),
            ("redirect_uri",          Some("javascript:alert(1)"),          "REDIRECT_URL_NOT_WHITELISTED"),
            ("redirect_uri",          Some("/cb"),                          "query.redirect_uri"),
            ("after_callback_redirect_url", Some("https://evil.example/"),  "REDIRECT_URL_NOT_WHITELISTED"),
            ("after_callback_redirect_url", Some("/home"),                  "query.after_callback_redirect_url"),
            ("error_redirect_uri",    Some("nowhere"),                      "query.error_redirect_uri"),
            ("scope",                 Some("admin"),                        "INVALID_SCOPE"),
            ("scope",                 Some("legacy  openid"),               "query.scope"),
            ("provider_scope",        Some("a\"b"),                         "query.provider_scope"),
            ("state",                 Some(&long),                          "query.state"),
            ("grant_type",            Some("implicit"),                     "query.grant_type"),
            ("response_type",         Some("token"),                        "query.response_type"),
            ("response_type",         Some("code id_token"),                "query.response_type"),
            ("code_challenge",        Some("short"),                        "query.code_challenge"),
            ("code_challenge",        Some(""),                             "query.code_challenge"),
            ("code_challenge_method", Some("plain"),                        "query.code_challenge_method"),
            ("code_challenge_method", Some("s256"),                         "query.code_challenge_method"),
            ("code_challenge_method", None,                                 "query.code_challenge_method"),
            ("type",                  Some("link"),                         "query.token"),
            ("type",                  Some("merge"),                        "query.type"),
            ("stack_response_mode",   Some("form_post"),                    "query.stack_response_mode"),
        ];
        for (row, (name, value, expected)) in table.iter().enumerate() {
            assert_eq!(
                fields(ask(&[(name, *value)]).unwrap_err()),
                [*expected],
                "row {row}"
            );
        }
        let disagree = [
            ("stack_response_mode", Some("json")),
            ("hexclave_response_mode", Some("redirect")),
        ];
        assert_eq!(
            fields(ask(&disagree).unwrap_err()),
            ["query.hexclave_response_mode"]
        );
        let disabled = ask_with(&query(&[]), &TenantPolicy::default(), false);
        assert_eq!(
            disabled.unwrap_err(),
            KnownError::OAuthProviderNotFoundOrNotEnabled
        );
    }

    #[test]
    fn an_error_goes_to_the_first_address_that_is_trusted() {
        let (app, pages, evil) = (
            "https://a.example/cb",
            "https://b.example/e",
            "https://evil.example/",
        );
        let trusted = |domains: &[&str]| {
            let domains = domains
                .iter()
                .map(|text| TrustedDomain::parse(text).unwrap());
            TrustedDomains::new(domains.collect(), false)
        };
        let (both, second, none) = (
            trusted(&["https://a.example", "https://b.example"]),
            trusted(&["https://b.example"]),
            trusted(&[]),
        );
        #[rustfmt::skip]
        let table = [
            (&both,   "error_redirect_uri", pages, Some(app)),
            (&second, "error_redirect_uri", pages, Some(pages)),
            (&second, "error_redirect_url", pages, Some(pages)),
            (&second, "error_redirect_uri", evil,  None),
            (&second, "state",              pages, None),
            (&none,   "error_redirect_uri", pages, None),
        ];
        for (row, (trusted, name, address, expected)) in table.into_iter().enumerate() {
            let query = query(&[("redirect_uri", Some(app)), (name, Some(address))]);
            let params = Params::parse(query.as_bytes()).unwrap();
            let found = error_address(&params, trusted);
            let found = found.as_ref().map(RedirectUri::as_str);
            assert_eq!(found, expected, "row {row}");
        }
    }

    #[test]
    fn a_key_is_demanded_only_by_policy_and_must_be_right_when_shown() {
        let strict = TenantPolicy {
            publishable_key: PublishableKey::Required,
            ..TenantPolicy::default()
        };
        let with =
            |secret| ask_with(&query(&[("client_secret", secret)]), &strict, true).map(|_| ());
        assert!(with(Some("pck_good")).is_ok());
        for missing in [None, Some(PUBLIC_CLIENT)] {
            assert_eq!(
                with(missing).unwrap_err().code(),
                "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT"
            );
        }
        assert_eq!(
            with(Some("pck_x")).unwrap_err().code(),
            "INVALID_PUBLISHABLE_CLIENT_KEY"
        );
    }

    #[test]
    fn t08_plain_is_for_tenants_that_say_so_and_comes_to_the_same_proof() {
        let relaxed = TenantPolicy {
            plain_pkce: true,
            ..TenantPolicy::default()
        };
        let changes = [
            ("code_challenge_method", Some("plain")),
            ("code_challenge", Some(VERIFIER)),
        ];
        let request = ask_with(&query(&changes), &relaxed, true).unwrap();
        assert!(request.challenge.accepts(VERIFIER) && !request.challenge.accepts(CHALLENGE));
        let short = [
            ("code_challenge_method", Some("plain")),
            ("code_challenge", Some("x")),
        ];
        assert!(ask_with(&query(&short), &relaxed, true).is_err());
        assert!(ask(&changes).is_err());
    }

    #[test]
    fn what_is_kept_of_a_request_reads_back() {
        let text = query(&[
            ("gclid", Some("x")),
            ("type", Some("link")),
            ("token", Some("t")),
        ]);
        let kept = Params::parse(text.as_bytes())
            .unwrap()
            .encode(OUTER_PARAMETERS);
        assert!(!kept.contains("gclid"));
        assert!(ask_with(&kept, &TenantPolicy::default(), true).is_ok());
    }
}
