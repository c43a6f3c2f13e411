//! The authorization request (OAuth 2.1, 4.1.1; OpenID Connect Core, 3.1.2.1): [`parse`] turns parameters into a value that
//! cannot be wrong, or into a refusal; [`respond`] turns an answer into what the browser is given.

use super::claims::ClaimsRequest;
use super::client::{Client, ClientKind, GrantType, PkcePolicy, Profile, StatePolicy};
use super::error::{ErrorCode, OAuthError, Refusal, ReturnPath, ShowReason};
use super::params::Params;
use super::pkce::CodeChallenge;
use super::scope::ScopeSet;
use crate::url::{Issuer, RedirectUri};
use serde::{Deserialize, Serialize};

/// The longest `nonce`, in bytes.
pub const NONCE_LENGTH_MAX: usize = 1024;
/// The longest `state`, in bytes.
pub const STATE_LENGTH_MAX: usize = 4096;

/// The parameters that we know; others are ignored (RFC 6749, 3.1) and not kept.
pub const KNOWN: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "response_mode",
    "nonce",
    "display",
    "prompt",
    "max_age",
    "ui_locales",
    "claims_locales",
    "id_token_hint",
    "login_hint",
    "acr_values",
    "claims",
    "code_challenge",
    "code_challenge_method",
    "resource",
];

/// The URL that a request came to decides whose rules hold; the client's profile can only make them stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// `/oauth/authorize`.
    Standard,
    /// `/api/id/v1/auth/authorize` (seed 003).
    Strict,
}

/// In which form the answer travels (OAuth 2.0 Multiple Response Types, 2.1; Form Post Response Mode, 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query: the default of `code`.
    #[default]
    Query,
    /// In the fragment.
    Fragment,
    /// In a form that the browser posts.
    FormPost,
}

impl ResponseMode {
    /// Every mode: what discovery lists.
    pub const ALL: &'static [Self] = &[Self::Query, Self::Fragment, Self::FormPost];

    /// The mode on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Fragment => "fragment",
            Self::FormPost => "form_post",
        }
    }
}

/// What `prompt` asks for (OpenID Connect Core, 3.1.2.1; Initiating User Registration 1.0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "`prompt` is a set of independent wishes; `none` excludes the others and `parse` refuses the mixture"
)]
pub struct Prompt {
    /// Show nothing.
    pub none: bool,
    /// Ask for the password again.
    pub login: bool,
    /// Ask for consent again.
    pub consent: bool,
    /// Let the person choose an account.
    pub select_account: bool,
    /// Let the person sign up.
    pub create: bool,
}

impl Prompt {
    /// The values that we serve: what discovery lists.
    pub const VALUES: &'static [&'static str] =
        &["none", "login", "consent", "select_account", "create"];

    fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut prompt = Self::default();
        for value in text.split(' ').filter(|value| !value.is_empty()) {
            match value {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                "create" => prompt.create = true,
                other => {
                    return Err(OAuthError::quoting(
                        ErrorCode::InvalidRequest,
                        &format!("prompt has the unknown value '{other}'"),
                    ));
                }
            }
        }
        let shows = prompt.login || prompt.consent || prompt.select_account || prompt.create;
        if prompt.none && shows {
            return Err(OAuthError::new(
                ErrorCode::InvalidRequest,
                "prompt=none stands alone",
            ));
        }
        Ok(prompt)
    }
}

/// An accepted authorization request.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Where the answer goes.
    pub return_path: ReturnPath,
    /// The redirect URI as the client sent it, if it did: the token request must repeat it or leave it out (OAuth 2.1, 10.2).
    pub redirect_uri_sent: Option<String>,
    /// Whose rules hold.
    pub dialect: Dialect,
    /// What is asked for; a subset of the client's.
    pub scope: ScopeSet,
    /// Echoed in the ID token.
    pub nonce: Option<String>,
    /// What the token request must prove.
    pub challenge: Option<CodeChallenge>,
    /// What to ask of the person.
    pub prompt: Prompt,
    /// The age in seconds that the sign-in may have.
    pub max_age: Option<u32>,
    /// Who the client thinks it is, for the sign-in form.
    pub login_hint: Option<String>,
    /// Who it must be: from `id_token_hint`, or from `sub` in `claims`.
    pub required_subject: Option<String>,
    /// Claims asked for by name.
    pub claims: ClaimsRequest,
    /// The resources that the token is for (RFC 8707).
    pub resources: Vec<String>,
}

impl AuthorizationRequest {
    /// Every scope that the person must have allowed: those asked for, and those under which the claims asked for by name are
    /// released, as far as the client may have them.
    pub fn consent_scope(&self, client: &Client) -> ScopeSet {
        let mut scope = self.scope.clone();
        for needed in self.claims.scopes() {
            if client.scope.contains(needed) {
                scope.insert(needed);
            }
        }
        scope
    }
}

/// Verifies an `id_token_hint`: the subject of an ID token of ours for that client, expired or not; `None` for anything else.
pub type HintVerifier<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parses an authorization request. `client` is what the store knows under the request's `client_id`.
pub fn parse(
    params: &Params,
    client: Option<&Client>,
    dialect: Dialect,
    verify_hint: HintVerifier<'_>,
) -> Result<AuthorizationRequest, Refusal> {
    let show = |reason, error| Refusal::Show(reason, error);
    // Without one client and one redirect URI there is nowhere to return to (OAuth 2.1, 2.3.5 and 4.1.2.1).
    for name in ["client_id", "redirect_uri"] {
        if params.is_repeated(name) {
            return Err(show(
                ShowReason::Malformed,
                OAuthError::quoting(ErrorCode::InvalidRequest, &format!("{name} may stand once")),
            ));
        }
    }
    if params.get("client_id").is_none() {
        return Err(show(
            ShowReason::UnknownClient,
            OAuthError::new(ErrorCode::InvalidClient, "client_id is missing"),
        ));
    }
    let client = client.ok_or_else(|| {
        show(
            ShowReason::UnknownClient,
            OAuthError::new(
                ErrorCode::InvalidClient,
                "no client is registered under this client_id",
            ),
        )
    })?;
    let strict = dialect == Dialect::Strict || client.profile == Profile::Strict;
    let dialect = if strict {
        Dialect::Strict
    } else {
        Dialect::Standard
    };
    if strict && params.get("redirect_uri").is_none() {
        return Err(show(
            ShowReason::RedirectUri,
            OAuthError::new(ErrorCode::InvalidRequest, "redirect_uri is missing"),
        ));
    }
    let redirect_uri = client
        .match_redirect(params.get("redirect_uri"))
        .map_err(|(reason, error)| show(reason, error))?;
    let (response_mode, mode_error) = parse_response_mode(params, dialect);
    let state = params
        .get("state")
        .filter(|state| state.len() <= STATE_LENGTH_MAX)
        .map(str::to_owned);
    let return_path = ReturnPath {
        redirect_uri,
        response_mode,
        state,
    };
    let parsed = mode_error
        .map_or(Ok(()), Err)
        .and_then(|()| parse_returnable(params, client, dialect, verify_hint, &return_path));
    parsed.map_err(|error| Refusal::Return(Box::new(return_path), error))
}

fn parse_response_mode(params: &Params, dialect: Dialect) -> (ResponseMode, Option<OAuthError>) {
    match (params.get("response_mode"), dialect) {
        (None | Some("query"), _) => (ResponseMode::Query, None),
        (Some("fragment"), Dialect::Standard) => (ResponseMode::Fragment, None),
        (Some("form_post"), Dialect::Standard) => (ResponseMode::FormPost, None),
        (Some(_), _) => (
            ResponseMode::Query,
            Some(OAuthError::new(
                ErrorCode::InvalidRequest,
                "response_mode is not one that is served here",
            )),
        ),
    }
}

/// The rules whose refusal returns to the client.
fn parse_returnable(
    params: &Params,
    client: &Client,
    dialect: Dialect,
    verify_hint: HintVerifier<'_>,
    return_path: &ReturnPath,
) -> Result<AuthorizationRequest, OAuthError> {
    let refuse = |description| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    if let Some(name) = params.repeated() {
        return Err(OAuthError::quoting(
            ErrorCode::InvalidRequest,
            &format!("{name} may stand once"),
        ));
    }
    // OpenID Connect Core, 3.1.2.6: each by its own name.
    for (name, code) in [
        ("request", ErrorCode::RequestNotSupported),
        ("request_uri", ErrorCode::RequestUriNotSupported),
        ("registration", ErrorCode::RegistrationNotSupported),
    ] {
        if params.get(name).is_some() {
            return Err(OAuthError::quoting(
                code,
                &format!("the {name} parameter is not supported"),
            ));
        }
    }
    if params
        .get("state")
        .is_some_and(|state| state.len() > STATE_LENGTH_MAX)
    {
        return refuse("state is longer than 4096 bytes");
    }
    match params.get("response_type") {
        Some("code") => {}
        None => return refuse("response_type is missing"),
        Some(_) => {
            return Err(OAuthError::new(
                ErrorCode::UnsupportedResponseType,
                "response_type must be code",
            ));
        }
    }
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::new(
            ErrorCode::UnauthorizedClient,
            "this client is not registered for authorization_code",
        ));
    }
    let scope = parse_scope(params, client, dialect)?;
    let nonce = params.get("nonce").map(str::to_owned);
    if nonce
        .as_ref()
        .is_some_and(|nonce| nonce.len() > NONCE_LENGTH_MAX)
    {
        return refuse("nonce is longer than 1024 bytes");
    }
    let challenge = parse_challenge(params, client, dialect, &scope)?;
    check_state(params, client, dialect, challenge.is_some())?;
    let prompt = params
        .get("prompt")
        .map_or(Ok(Prompt::default()), Prompt::parse)?;
    let max_age = match params.get("max_age") {
        None => client.default_max_age,
        Some(text) => match text.parse::<u32>() {
            Ok(seconds) if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(seconds),
            _ => return refuse("max_age must be a whole number of seconds"),
        },
    };
    let claims = match params.get("claims") {
        None => ClaimsRequest::default(),
        Some(text) => match ClaimsRequest::parse(text) {
            Some(claims) => claims,
            None => {
                return refuse(
                    "claims must be a JSON object as OpenID Connect Core, 5.5 describes it, 4096 bytes at most",
                );
            }
        },
    };
    let required_subject = parse_required_subject(params, &claims, verify_hint)?;
    let resources = parse_resources(params, client)?;
    Ok(AuthorizationRequest {
        return_path: return_path.clone(),
        redirect_uri_sent: params.get("redirect_uri").map(str::to_owned),
        dialect,
        scope,
        nonce,
        challenge,
        prompt,
        max_age,
        login_hint: params
            .get("login_hint")
            .filter(|hint| hint.chars().count() <= 254)
            .map(str::to_owned),
        required_subject,
        claims,
        resources,
    })
}

fn parse_scope(params: &Params, client: &Client, dialect: Dialect) -> Result<ScopeSet, OAuthError> {
    let scope = match params.get("scope") {
        Some(text) => ScopeSet::parse(text)
            .map_err(|error| OAuthError::quoting(ErrorCode::InvalidScope, &error.to_string()))?,
        None if dialect == Dialect::Strict => {
            return Err(OAuthError::new(ErrorCode::InvalidScope, "scope is missing"));
        }
        // RFC 6749, 3.3: documented beside the endpoint.
        None => client.default_scope.clone(),
    };
    match scope.first_outside(&client.scope) {
        Some(name) => Err(OAuthError::quoting(
            ErrorCode::InvalidScope,
            &format!("the client is not allowed to request scope '{name}'"),
        )),
        None => Ok(scope),
    }
}

/// PKCE (OAuth 2.1, 4.1.1 and 7.5.1): required of public clients always, of confidential ones unless their policy lets `nonce` do.
fn parse_challenge(
    params: &Params,
    client: &Client,
    dialect: Dialect,
    scope: &ScopeSet,
) -> Result<Option<CodeChallenge>, OAuthError> {
    let refuse = |description| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    match (
        params.get("code_challenge"),
        params.get("code_challenge_method"),
    ) {
        (Some(challenge), Some("S256")) => match CodeChallenge::parse(challenge) {
            Some(challenge) => Ok(Some(challenge)),
            None => refuse("code_challenge must be the 43 base64url characters of a SHA-256"),
        },
        // RFC 7636, 4.3: absent means plain, which is refused (OAuth 2.1, 4.1.1).
        (Some(_), _) => refuse("code_challenge_method must be S256"),
        (None, Some(_)) => refuse("code_challenge is missing"),
        (None, None) => {
            let optional = client.policy.pkce == PkcePolicy::PublicClients
                && client.kind() == ClientKind::Confidential
                && dialect == Dialect::Standard;
            let has_nonce = scope.contains("openid") && params.get("nonce").is_some();
            match (optional, has_nonce) {
                (true, true) => Ok(None),
                (true, false) => refuse(
                    "code_challenge is missing; this client may leave it out only with scope openid and a nonce",
                ),
                (false, _) => refuse("code_challenge is missing; PKCE with S256 is required"),
            }
        }
    }
}

fn check_state(
    params: &Params,
    client: &Client,
    dialect: Dialect,
    pkce: bool,
) -> Result<(), OAuthError> {
    let required = dialect == Dialect::Strict
        || match client.policy.state {
            StatePolicy::Always => true,
            StatePolicy::UnlessPkce => !pkce,
            StatePolicy::Never => false,
        };
    let shortest = usize::from(client.policy.state_length_min);
    match params.get("state") {
        None if required => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "state is missing",
        )),
        Some(state) if state.chars().count() < shortest => Err(OAuthError::quoting(
            ErrorCode::InvalidRequest,
            &format!("state must have {shortest} characters at least"),
        )),
        _ => Ok(()),
    }
}

fn parse_required_subject(
    params: &Params,
    claims: &ClaimsRequest,
    verify_hint: HintVerifier<'_>,
) -> Result<Option<String>, OAuthError> {
    let hinted = match params.get("id_token_hint") {
        None => None,
        Some(hint) => Some(verify_hint(hint).ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidRequest,
                "id_token_hint is not an ID token of this issuer for this client",
            )
        })?),
    };
    match (hinted, claims.subject()) {
        (Some(hinted), Some(claimed)) if hinted != claimed => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "id_token_hint and the sub in claims name different people",
        )),
        (hinted, claimed) => Ok(hinted.or_else(|| claimed.map(str::to_owned))),
    }
}

fn parse_resources(params: &Params, client: &Client) -> Result<Vec<String>, OAuthError> {
    let mut resources: Vec<String> = Vec::new();
    for resource in params.all("resource") {
        if !client.resources.iter().any(|known| known == resource) {
            return Err(OAuthError::new(
                ErrorCode::InvalidTarget,
                "the client is not registered for this resource",
            ));
        }
        if !resources.iter().any(|known| known == resource) {
            resources.push(resource.to_owned());
        }
    }
    Ok(resources)
}

/// What an authorization response says.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// A code in the clear (OAuth 2.1, 4.1.2).
    Code(&'a str),
    /// A refusal (4.1.2.1).
    Error(&'a OAuthError),
}

/// An authorization response, ready for the browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A redirect to this address.
    Redirect(String),
    /// A form that posts these fields to the client.
    Form(RedirectUri, Vec<(&'static str, String)>),
}

/// Builds the response: the answer, `state` exactly as sent (OAuth 2.1, 4.1.2), and `iss` always (RFC 9207, 2).
pub fn respond(return_path: &ReturnPath, answer: &Answer<'_>, issuer: &Issuer) -> Delivery {
    let mut fields: Vec<(&'static str, String)> = Vec::with_capacity(4);
    match answer {
        Answer::Code(code) => fields.push(("code", (*code).to_owned())),
        Answer::Error(error) => {
            fields.push(("error", error.code.as_str().to_owned()));
            fields.push(("error_description", error.description.clone().into_owned()));
        }
    }
    if let Some(state) = &return_path.state {
        fields.push(("state", state.clone()));
    }
    fields.push(("iss", issuer.as_str().to_owned()));
    let address = return_path.redirect_uri.as_str();
    match return_path.response_mode {
        ResponseMode::FormPost => Delivery::Form(return_path.redirect_uri.clone(), fields),
        ResponseMode::Query => {
            let joint = if address.contains('?') { "&" } else { "?" };
            Delivery::Redirect(format!("{address}{joint}{}", encode(&fields)))
        }
        ResponseMode::Fragment => Delivery::Redirect(format!("{address}#{}", encode(&fields))),
    }
}

fn encode(fields: &[(&'static str, String)]) -> String {
    let mut out = ::url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        out.append_pair(name, value);
    }
    out.finish()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::client::tests::client;
    use super::*;

    pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const CONFIDENTIAL: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid profile email"}"#;
    const PUBLIC: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid profile email","token_endpoint_auth_method":"none"}"#;
    const RELAXED: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid profile email","policy":{"pkce":"public_clients"}}"#;
    const STRICT: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid profile email","token_endpoint_auth_method":"none","profile":"strict"}"#;

    pub(crate) fn request(json: &str, query: &str) -> Result<AuthorizationRequest, Refusal> {
        parse_in(json, query, Dialect::Standard)
    }

    fn parse_in(
        json: &str,
        query: &str,
        dialect: Dialect,
    ) -> Result<AuthorizationRequest, Refusal> {
        let client = client(json);
        let params = Params::parse(query.as_bytes()).unwrap();
        let known = params
            .get("client_id")
            .is_some_and(|id| id == client.id.as_str());
        parse(&params, known.then_some(&client), dialect, &|hint| {
            (hint == "good").then(|| "subject".to_owned())
        })
    }

    fn good() -> String {
        format!(
            "response_type=code&client_id=a&redirect_uri=https://a.example/cb&scope=openid&state=s&code_challenge={CHALLENGE}&code_challenge_method=S256"
        )
    }

    /// What came of a request: `ok`, `show …` or `return code`.
    fn outcome(json: &str, query: &str) -> String {
        described(request(json, query))
    }

    fn described(result: Result<AuthorizationRequest, Refusal>) -> String {
        match result {
            Ok(_) => "ok".to_owned(),
            Err(Refusal::Show(reason, error)) => format!("show {reason:?} {}", error.code.as_str()),
            Err(Refusal::Return(_, error)) => format!("return {}", error.code.as_str()),
        }
    }

    #[test]
    fn o21_06_without_a_checked_place_to_return_the_error_is_shown() {
        assert_eq!(outcome(CONFIDENTIAL, &good()), "ok");
        let table = [
            (
                good().replace("client_id=a&", ""),
                "show UnknownClient invalid_client",
            ),
            (
                good().replace("client_id=a", "client_id=b"),
                "show UnknownClient invalid_client",
            ),
            (
                good().replace("client_id=a", "client_id=a&client_id=a"),
                "show Malformed invalid_request",
            ),
            (
                good().replace("https://a.example/cb", "https://a.example/cb/"),
                "show RedirectUri invalid_request",
            ),
            (
                format!("{}&redirect_uri=https://a.example/cb", good()),
                "show Malformed invalid_request",
            ),
        ];
        for (query, expected) in table {
            assert_eq!(outcome(CONFIDENTIAL, &query), expected, "{query}");
        }
    }

    #[test]
    fn o21_11_every_parameter_may_stand_once_and_unknown_ones_are_ignored() {
        for name in [
            "response_type",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "prompt",
            "response_mode",
            "unknown",
        ] {
            assert_eq!(
                outcome(CONFIDENTIAL, &format!("{}&{name}=x&{name}=y", good())),
                "return invalid_request",
                "{name}"
            );
        }
        assert_eq!(
            outcome(
                CONFIDENTIAL,
                &format!("{}&unknown=x&nonce=&prompt=", good())
            ),
            "ok"
        );
    }

    #[test]
    fn the_grid_of_bad_parameters() {
        let table = [
            (
                "response_type=code",
                "response_type=",
                "return invalid_request",
            ),
            (
                "response_type=code",
                "response_type=token",
                "return unsupported_response_type",
            ),
            (
                "response_type=code",
                "response_type=code+id_token",
                "return unsupported_response_type",
            ),
            (
                "response_type=code",
                "response_type=CODE",
                "return unsupported_response_type",
            ),
            (
                "scope=openid",
                "scope=openid+address",
                "return invalid_scope",
            ),
            (
                "scope=openid",
                "scope=openid++email",
                "return invalid_scope",
            ),
            ("scope=openid", "scope=Openid", "return invalid_scope"),
            (
                "state=s",
                "response_mode=web_message",
                "return invalid_request",
            ),
            (
                "state=s",
                "response_mode=query.jwt",
                "return invalid_request",
            ),
            ("state=s", "max_age=-1", "return invalid_request"),
            ("state=s", "max_age=%2B1", "return invalid_request"),
            ("state=s", "max_age=1.5", "return invalid_request"),
            ("state=s", "max_age=99999999999", "return invalid_request"),
            ("state=s", "prompt=none+login", "return invalid_request"),
            ("state=s", "prompt=shout", "return invalid_request"),
            ("state=s", "claims=x", "return invalid_request"),
            ("state=s", "id_token_hint=bad", "return invalid_request"),
            (
                "state=s",
                "resource=https://api.example",
                "return invalid_target",
            ),
            ("state=s", "request=x", "return request_not_supported"),
            (
                "state=s",
                "request_uri=https://a.example/r",
                "return request_uri_not_supported",
            ),
            (
                "state=s",
                "registration={}",
                "return registration_not_supported",
            ),
            (
                "state=s",
                "display=popup&ui_locales=xx+yy&claims_locales=zz&acr_values=a+b&login_hint=ada",
                "ok",
            ),
        ];
        for (from, to, expected) in table {
            assert_eq!(
                outcome(CONFIDENTIAL, &good().replace(from, to)),
                expected,
                "{to}"
            );
        }
    }

    #[test]
    fn t08_pkce_is_required_and_only_s256_serves() {
        let with = |pkce: &str| {
            good().replace(
                &format!("code_challenge={CHALLENGE}&code_challenge_method=S256"),
                pkce,
            )
        };
        let table = [
            (String::new(), "return invalid_request"),
            (
                format!("code_challenge={CHALLENGE}"),
                "return invalid_request",
            ),
            (
                format!("code_challenge={CHALLENGE}&code_challenge_method=plain"),
                "return invalid_request",
            ),
            (
                format!("code_challenge={CHALLENGE}&code_challenge_method=s256"),
                "return invalid_request",
            ),
            (
                "code_challenge=&code_challenge_method=S256".to_owned(),
                "return invalid_request",
            ),
            (
                "code_challenge=short&code_challenge_method=S256".to_owned(),
                "return invalid_request",
            ),
            (
                format!("code_challenge={CHALLENGE}&code_challenge_method=S256"),
                "ok",
            ),
        ];
        for (pkce, expected) in &table {
            for json in [CONFIDENTIAL, PUBLIC] {
                assert_eq!(outcome(json, &with(pkce)), *expected, "{json} {pkce}");
            }
        }
    }

    #[test]
    fn o21_16_only_a_confidential_client_with_a_policy_and_a_nonce_may_leave_pkce_out() {
        let bare = good().split("&code_challenge").next().unwrap().to_owned();
        assert_eq!(outcome(RELAXED, &format!("{bare}&nonce=n")), "ok");
        assert_eq!(outcome(RELAXED, &bare), "return invalid_request");
        assert_eq!(
            outcome(
                RELAXED,
                &format!("{}&nonce=n", bare.replace("scope=openid", "scope=email"))
            ),
            "return invalid_request"
        );
        assert_eq!(
            outcome(
                RELAXED,
                &format!("{}&nonce=n", bare.replace("&state=s", ""))
            ),
            "return invalid_request"
        );
        assert_eq!(
            outcome(CONFIDENTIAL, &format!("{bare}&nonce=n")),
            "return invalid_request"
        );
        assert_eq!(
            outcome(
                &PUBLIC.replace(
                    "\"none\"",
                    "\"none\",\"policy\":{\"pkce\":\"public_clients\"}"
                ),
                &format!("{bare}&nonce=n")
            ),
            "return invalid_request"
        );
    }

    #[test]
    fn the_strict_profile_requires_each_of_the_seven() {
        for (json, dialect) in [
            (STRICT, Dialect::Standard),
            (PUBLIC, Dialect::Strict),
            (STRICT, Dialect::Strict),
        ] {
            assert_eq!(described(parse_in(json, &good(), dialect)), "ok");
            let table = [
                ("response_type", "return invalid_request"),
                ("client_id", "show UnknownClient invalid_client"),
                ("redirect_uri", "show RedirectUri invalid_request"),
                ("scope", "return invalid_scope"),
                ("state", "return invalid_request"),
                ("code_challenge", "return invalid_request"),
                ("code_challenge_method", "return invalid_request"),
            ];
            for (name, expected) in table {
                let query = good()
                    .split('&')
                    .filter(|pair| !pair.starts_with(&format!("{name}=")))
                    .collect::<Vec<_>>()
                    .join("&");
                assert_eq!(
                    described(parse_in(json, &query, dialect)),
                    expected,
                    "{name}"
                );
            }
            assert_eq!(
                described(parse_in(
                    json,
                    &format!("{}&response_mode=fragment", good()),
                    dialect
                )),
                "return invalid_request"
            );
        }
    }

    #[test]
    fn a_tenant_of_seed_002_can_insist_on_a_long_state() {
        let json = CONFIDENTIAL.replace("profile email\"", "profile email\",\"policy\":{\"state\":\"unless_pkce\",\"state_length_min\":8,\"pkce\":\"public_clients\"}");
        assert_eq!(outcome(&json, &good()), "return invalid_request");
        assert_eq!(
            outcome(&json, &good().replace("state=s", "state=12345678")),
            "ok"
        );
        assert_eq!(outcome(&json, &good().replace("&state=s", "")), "ok");
    }

    #[test]
    fn a_request_without_scope_asks_for_the_default_of_the_client() {
        let request = request(CONFIDENTIAL, &good().replace("&scope=openid", "")).unwrap();
        assert_eq!(request.scope.to_string(), "profile email");
    }

    #[test]
    fn oc_08_a_hint_and_a_claimed_subject_must_agree() {
        let hinted = request(CONFIDENTIAL, &format!("{}&id_token_hint=good", good())).unwrap();
        assert_eq!(hinted.required_subject.as_deref(), Some("subject"));
        let claims = |sub: &str| {
            format!(
                "{}&id_token_hint=good&claims=%7B%22id_token%22:%7B%22sub%22:%7B%22value%22:%22{sub}%22%7D%7D%7D",
                good()
            )
        };
        assert_eq!(outcome(CONFIDENTIAL, &claims("subject")), "ok");
        assert_eq!(
            outcome(CONFIDENTIAL, &claims("another")),
            "return invalid_request"
        );
    }

    #[test]
    fn iss_01_every_answer_carries_iss_and_the_state_exactly_in_every_mode() {
        let issuer = Issuer::parse("https://id.example").unwrap();
        let state = "a b&c=d#e+f%é";
        let error = OAuthError::new(ErrorCode::AccessDenied, "no");
        for mode in ["query", "fragment", "form_post"] {
            let encoded: String =
                ::url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
            let request = request(
                CONFIDENTIAL,
                &format!(
                    "{}&response_mode={mode}",
                    good().replace("state=s", &format!("state={encoded}"))
                ),
            )
            .unwrap();
            for answer in [Answer::Code("oac_x"), Answer::Error(&error)] {
                let fields: Vec<(String, String)> =
                    match respond(&request.return_path, &answer, &issuer) {
                        Delivery::Form(_, fields) => fields
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect(),
                        Delivery::Redirect(address) => {
                            let mark = if mode == "query" { '?' } else { '#' };
                            let (base, encoded) = address.split_once(mark).unwrap();
                            assert_eq!(base, "https://a.example/cb");
                            ::url::form_urlencoded::parse(encoded.as_bytes())
                                .into_owned()
                                .collect()
                        }
                    };
                assert!(
                    fields.contains(&("state".to_owned(), state.to_owned())),
                    "{mode}"
                );
                assert!(
                    fields.contains(&("iss".to_owned(), "https://id.example".to_owned())),
                    "{mode}"
                );
                assert!(
                    !fields
                        .iter()
                        .any(|(name, _)| name.contains("challenge") || name.contains("token"))
                );
            }
        }
    }

    #[test]
    fn a_registered_query_is_kept() {
        let json = CONFIDENTIAL.replace("https://a.example/cb", "https://a.example/cb?tenant=1");
        let request = request(
            &json,
            &good()
                .replace("https://a.example/cb", "https://a.example/cb?tenant%3D1")
                .replace("cb?tenant", "cb%3Ftenant"),
        )
        .unwrap();
        let delivery = respond(
            &request.return_path,
            &Answer::Code("c"),
            &Issuer::parse("https://id.example").unwrap(),
        );
        assert_eq!(
            delivery,
            Delivery::Redirect(
                "https://a.example/cb?tenant=1&code=c&state=s&iss=https%3A%2F%2Fid.example"
                    .to_owned()
            )
        );
    }

    #[test]
    fn t53_no_answer_can_break_a_header() {
        assert!(Params::parse(b"state=a%0d%0aSet-Cookie:x").is_err());
        let request = request(
            CONFIDENTIAL,
            &good().replace("state=s", "state=%E2%80%A8%E2%80%A9"),
        )
        .unwrap();
        let Delivery::Redirect(address) = respond(
            &request.return_path,
            &Answer::Code("c"),
            &Issuer::parse("https://id.example").unwrap(),
        ) else {
            panic!()
        };
        assert!(address.is_ascii());
    }
}
