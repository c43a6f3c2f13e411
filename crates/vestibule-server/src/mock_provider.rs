//! A provider for development: an OpenID provider, and a plain OAuth 2.0 one, that believes whoever you say you are.
//!
//! `vestibule demo` and the wire tests sign people in with it, offline. It also misbehaves on demand, in each of the ways that a
//! relying party must survive; `behaviour.rs` lists them.
//!
//! Its law: it runs only where it was named, it sends a browser back only to the origins that it was given, what it remembers
//! is bounded and in memory, and what it does to a request follows from the request, its settings and that memory: `respond`
//! neither waits nor reads a clock. It is no example of how to run a provider: nobody proves anything here.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use parking_lot::Mutex;
use serde_json::{Value, json};
use vestibule_core::id::Chance;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::{KeyError, SigningKey};
use vestibule_core::jose::key_set::{KeySet, KeyState};
use vestibule_core::time::Timestamp;

use self::behaviour::{Endpoint, Fault};
use self::issued::Issued;
use crate::ui::parts::initial;

mod authorize;
pub(crate) mod behaviour;
mod issued;
mod person;
#[cfg(test)]
mod tests;
mod token;

/// Bytes of an answer that is meant to be too much.
const HUGE_BYTES: usize = 16 * 1024 * 1024;

/// An address that no server should fetch because a provider says so: where clouds keep a machine's credentials.
const PRIVATE_ADDRESS: &str = "http://169.254.169.254/latest/meta-data/";

/// An answer that is meant to be too much.
static HUGE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut text = String::with_capacity(HUGE_BYTES + 32);
    text.push_str("{\"padding\":\"");
    text.extend(std::iter::repeat_n('a', HUGE_BYTES));
    text.push_str("\"}");
    text.into()
});

/// Where its OpenID side and its plain side have their authorization endpoints.
const AUTHORIZE: [&str; 2] = ["/authorize", "/login/oauth/authorize"];

/// What a mock provider is told when it starts. Any value is fine.
#[derive(Clone, Debug)]
pub(crate) struct MockSettings {
    /// Its own origin, without a slash at the end.
    pub(crate) issuer: String,
    /// The id of the one client.
    pub(crate) client_id: String,
    /// The secret of the one client. `None`: whatever is presented will do.
    pub(crate) client_secret: Option<String>,
    /// The origins that a browser may be sent back to.
    pub(crate) redirect_origins: Vec<String>,
    /// Who can be chosen.
    pub(crate) people: Vec<MockPerson>,
    /// Whether a request that names a person (`mock=person:behaviour` or `login_hint`) is answered without the page.
    pub(crate) auto: bool,
    /// How long it takes where it is meant to be slow.
    pub(crate) slow: Duration,
    /// What it signs ID tokens with.
    pub(crate) algorithm: Algorithm,
    /// Whether a refresh token works once and is replaced.
    pub(crate) rotates_refresh_tokens: bool,
}

/// Somebody who can be chosen.
#[derive(Clone, Debug)]
pub(crate) struct MockPerson {
    /// A short name to choose them by.
    pub(crate) id: &'static str,
    /// Their id here: a number in the plain dialect, text in the other.
    pub(crate) number: u64,
    /// Their name.
    pub(crate) name: &'static str,
    /// Their address, if they have one.
    pub(crate) email: Option<MockEmail>,
    /// What is worth trying as this person, as one sentence.
    pub(crate) note: &'static str,
}

/// An address, and what the provider says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MockEmail {
    /// The address.
    pub(crate) address: &'static str,
    /// Whether the provider says that it was verified.
    pub(crate) verified: bool,
}

impl MockPerson {
    /// The subject of ID tokens: stable, and no address.
    pub(crate) fn subject(&self) -> String {
        format!("mock-{}", self.number)
    }

    fn initial(&self) -> String {
        initial(self.name)
    }
}

/// One person for each thing that an address can be. The last two have the address of somebody whom the demo knows.
#[rustfmt::skip]
pub(crate) fn people() -> Vec<MockPerson> {
    let email = |address, verified| Some(MockEmail { address, verified });
    vec![
        MockPerson { id: "mary", number: 1780, name: "Mary Somerville", email: email("mary@example.org", true),
                     note: "Nobody knows her yet." },
        MockPerson { id: "karl", number: 1815, name: "Karl Weierstrass", email: email("karl@example.org", false),
                     note: "His address was never checked." },
        MockPerson { id: "emmy", number: 1882, name: "Emmy Noether", email: None,
                     note: "Shares no address at all." },
        MockPerson { id: "ada", number: 1815_1210, name: "Ada Lovelace", email: email("ada@example.com", true),
                     note: "Has the address of an Ada who may exist already." },
        MockPerson { id: "mallory", number: 666, name: "Mallory", email: email("ada@example.com", false),
                     note: "Only claims Ada’s address." },
    ]
}

/// A running mock provider.
pub(crate) struct MockProvider {
    settings: MockSettings,
    keys: Mutex<Arc<Keys>>,
    issued: Mutex<Issued>,
    faults: Mutex<BTreeMap<Endpoint, Fault>>,
}

/// What it signs with, and a key that it never publishes.
struct Keys {
    current: Arc<SigningKey>,
    stranger: SigningKey,
}

impl Keys {
    fn make(algorithm: Algorithm) -> Result<Self, KeyError> {
        Ok(Self {
            current: Arc::new(SigningKey::generate(algorithm)?),
            stranger: SigningKey::generate(algorithm)?,
        })
    }
}

/// What comes back, and how long to wait before sending it.
pub(crate) struct Answer {
    /// How long to wait.
    pub(crate) after: Duration,
    /// The answer.
    pub(crate) response: Response<Full<Bytes>>,
}

impl From<Response<Full<Bytes>>> for Answer {
    fn from(response: Response<Full<Bytes>>) -> Self {
        Self {
            after: Duration::ZERO,
            response,
        }
    }
}

/// Which of its two dialects a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    /// OpenID Connect: discovery, ID tokens, `iss`, PKCE required.
    OpenId,
    /// OAuth 2.0 as the large providers without OpenID speak it: errors with status 200, PKCE optional, a numeric user.
    Plain,
}

impl MockProvider {
    /// A provider with fresh keys and an empty memory.
    pub(crate) fn new(settings: MockSettings) -> Result<Self, KeyError> {
        let keys = Keys::make(settings.algorithm)?;
        Ok(Self {
            settings,
            keys: Mutex::new(Arc::new(keys)),
            issued: Mutex::new(Issued::default()),
            faults: Mutex::new(BTreeMap::new()),
        })
    }

    /// Its origin.
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Signs with a new key from now on; the old one is published no longer.
    pub(crate) fn rotate_keys(&self) -> Result<(), KeyError> {
        let keys = Keys::make(self.settings.algorithm)?;
        *self.keys.lock() = Arc::new(keys);
        Ok(())
    }

    /// Lets an endpoint misbehave for everybody, or behave again.
    pub(crate) fn set_fault(&self, endpoint: Endpoint, fault: Option<Fault>) {
        let mut faults = self.faults.lock();
        match fault {
            Some(fault) => faults.insert(endpoint, fault),
            None => faults.remove(&endpoint),
        };
    }

    /// The answer to a request.
    pub(crate) fn respond(
        &self,
        request: &Parts,
        body: &[u8],
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Answer {
        let fault = Endpoint::at(request.uri.path())
            .and_then(|endpoint| self.faults.lock().get(&endpoint).copied());
        let mut answer = match fault {
            Some(fault) => self.misbehave(fault, || self.route(request, body, now, chance)),
            None => self.route(request, body, now, chance),
        };
        guard(answer.response.headers_mut());
        answer
    }

    /// Every URL of the provider.
    fn route(&self, request: &Parts, body: &[u8], now: Timestamp, chance: &dyn Chance) -> Answer {
        let query = request.uri.query().unwrap_or_default().as_bytes();
        let get = matches!(request.method, Method::GET | Method::HEAD);
        let post = request.method == Method::POST;
        match request.uri.path() {
            "/.well-known/openid-configuration" if get => {
                json_answer(StatusCode::OK, &self.discovery()).into()
            }
            "/jwks" if get => self.jwks().into(),
            "/authorize" if get => self.ask(Surface::OpenId, query, now, chance).into(),
            "/authorize" if post => self.chosen(Surface::OpenId, body, now, chance).into(),
            "/token" if post => self.token(Surface::OpenId, &request.headers, body, now, chance),
            "/userinfo" if get || post => self.userinfo(&request.headers, now),
            "/login/oauth/authorize" if get => self.ask(Surface::Plain, query, now, chance).into(),
            "/login/oauth/authorize" if post => {
                self.chosen(Surface::Plain, body, now, chance).into()
            }
            "/login/oauth/access_token" if post => {
                self.token(Surface::Plain, &request.headers, body, now, chance)
            }
            "/api/user" if get => self.plain_user(&request.headers, now),
            "/api/user/emails" if get => self.plain_emails(&request.headers, now),
            "/" if get => authorize::front_page().into(),
            "/vestibule.css" if get => {
                file(STYLE, include_bytes!("../assets/vestibule.css")).into()
            }
            "/mock.css" if get => file(STYLE, include_bytes!("../assets/mock/mock.css")).into(),
            "/mark.svg" if get => file(PICTURE, include_bytes!("../assets/mock/mark.svg")).into(),
            path if get => self.picture(path).into(),
            _ => nothing_here().into(),
        }
    }

    /// The metadata (OpenID Connect Discovery 1.0, 3).
    fn discovery(&self) -> Value {
        let issuer = &self.settings.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}{}", AUTHORIZE[0]),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.settings.algorithm.as_str()],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "name", "preferred_username", "picture", "email", "email_verified", "auth_time"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn jwks(&self) -> Response<Full<Bytes>> {
        let keys = Arc::clone(&self.keys.lock());
        let set = KeySet::new([(Arc::clone(&keys.current), KeyState::Active)]);
        // One key cannot disagree with itself.
        let json = set.unwrap_or_default().to_jwks_json();
        answer(StatusCode::OK, JSON, json)
    }

    /// What an endpoint does instead of, or before, its honest answer.
    fn misbehave(&self, fault: Fault, honest: impl FnOnce() -> Answer) -> Answer {
        match fault {
            Fault::Slow => Answer {
                after: self.settings.slow,
                ..honest()
            },
            Fault::ServerError => json_answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "error": "server_error" }),
            )
            .into(),
            Fault::WebPage => answer(
                StatusCode::OK,
                HTML,
                "<!doctype html><title>Down</title><p>We are down for maintenance.",
            )
            .into(),
            Fault::Huge => answer(StatusCode::OK, JSON, HUGE.clone()).into(),
            Fault::PrivateAddress => redirect(StatusCode::FOUND, PRIVATE_ADDRESS).into(),
            Fault::InvalidGrant => json_answer(
                StatusCode::BAD_REQUEST,
                &json!({ "error": "invalid_grant" }),
            )
            .into(),
        }
    }

    /// A person's picture: their letter.
    fn picture(&self, path: &str) -> Response<Full<Bytes>> {
        let person = path
            .strip_prefix("/people/")
            .and_then(|name| name.strip_suffix(".svg"))
            .and_then(|id| self.settings.people.iter().find(|person| person.id == id));
        let Some(person) = person else {
            return nothing_here();
        };
        let letter = person.initial();
        let picture = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 96 96\"><rect width=\"96\" height=\"96\" fill=\"#e6e2f6\"/>\
             <text x=\"48\" y=\"64\" font-family=\"sans-serif\" font-size=\"48\" text-anchor=\"middle\" fill=\"#4b3a9e\">{letter}</text></svg>"
        );
        answer(StatusCode::OK, PICTURE, picture)
    }

    fn person(&self, id: &str) -> Option<&MockPerson> {
        self.settings.people.iter().find(|person| person.id == id)
    }
}

/// The section of an installation file that registers this provider with a tenant.
pub(crate) fn installation_provider(provider: &MockProvider, id: &str) -> String {
    let MockSettings {
        issuer,
        client_id,
        client_secret,
        ..
    } = &provider.settings;
    let secret = client_secret.as_deref().unwrap_or("anything");
    format!(
        "[[tenant.provider]]\nid = \"{id}\"\nname = \"Mock provider\"\nissuer = \"{issuer}\"\n\
         client_id = \"{client_id}\"\nclient_secret = \"{secret}\"\n"
    )
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

fn answer(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn json_answer(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    answer(status, JSON, value.to_string())
}

fn file(media_type: &'static str, content: &'static [u8]) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, media_type, Bytes::from_static(content))
}

fn redirect(status: StatusCode, location: &str) -> Response<Full<Bytes>> {
    let mut response = answer(status, TEXT, "");
    match HeaderValue::try_from(location) {
        Ok(location) => {
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        // The URL parser writes printable ASCII, so this is for addresses that did not pass it.
        Err(_) => nothing_here(),
    }
}

fn nothing_here() -> Response<Full<Bytes>> {
    answer(
        StatusCode::NOT_FOUND,
        TEXT,
        "There is nothing here, or not with this method.\n",
    )
}

/// What every answer says to the browser, errors included.
fn guard(headers: &mut HeaderMap) {
    // No `form-action`: Chromium checks it along the whole chain of redirects that follows a form, and where the client behind
    // the client sends the browser is nothing that a provider knows.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    );
    // The address of the page holds the state. The origin may be known, as with real providers that answer with a form.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
