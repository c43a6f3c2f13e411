//! The authorization endpoint of both dialects: the page, and the answer that the browser takes back.
//!
//! Nothing is remembered until somebody was chosen: the request travels in the page's form and is read again.

use askama::Template;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use url::Url;
use vestibule_core::id::Chance;
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::secret::Secret;
use vestibule_core::time::Timestamp;

use super::behaviour::{Behaviour, GROUPS, Group};
use super::issued::{Allowed, CODE_LIFETIME, Code};
use super::{AUTHORIZE, HTML, MockPerson, MockProvider, Surface, answer, nothing_here, redirect};

/// What of a request the page's form carries.
const CARRIED: [&str; 13] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "login_hint",
    "mock",
    "prompt",
    "max_age",
];

/// An accepted request.
struct Ask {
    surface: Surface,
    redirect_uri: Url,
    /// The same, byte for byte as it was sent.
    redirect_text: String,
    form_post: bool,
    state: Option<String>,
    nonce: Option<String>,
    scope: String,
    challenge: Option<CodeChallenge>,
    /// Whether `max_age` stands there, so that the ID token says when the sign-in was (OpenID Connect Core, 2).
    asks_age: bool,
}

/// Why a request is not accepted.
enum Refused {
    /// Said to the person: where to send them is not known.
    Show(String),
    /// Said to the client, by its address and state.
    Return(Box<Ask>, &'static str, &'static str),
}

/// The page.
#[derive(Template)]
#[template(path = "mock_provider.html")]
struct Page<'a> {
    title: &'a str,
    view: View<'a>,
}

enum View<'a> {
    Choose(Choose<'a>),
    Say(&'a str),
    Post(Post<'a>),
}

struct Choose<'a> {
    action: &'a str,
    request: String,
    origin: String,
    client_id: &'a str,
    redirect_uri: &'a str,
    scope: &'a str,
    people: &'a [MockPerson],
    hint: Option<&'a str>,
    groups: &'static [Group],
}

impl Choose<'_> {
    fn is_hinted(&self, person: &MockPerson) -> bool {
        self.hint.is_some_and(|hint| person.answers_to(hint))
    }
}

struct Post<'a> {
    action: &'a str,
    fields: &'a [(&'static str, String)],
}

impl MockPerson {
    /// Whether a `login_hint` means this person. Two can share an address; then the first is meant.
    fn answers_to(&self, hint: &str) -> bool {
        self.id == hint
            || self.subject() == hint
            || self.email.is_some_and(|email| email.address == hint)
    }
}

/// What somebody sees who came to the provider itself.
pub(super) fn front_page() -> Response<Full<Bytes>> {
    page(
        StatusCode::OK,
        "Nobody asked yet",
        View::Say(
            "This page is for apps that sign people in. Start there, and you come back here to say who you are.",
        ),
    )
}

impl MockProvider {
    /// `GET`: the page, or the answer at once where the request names somebody and the settings allow that.
    pub(super) fn ask(
        &self,
        surface: Surface,
        query: &[u8],
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Response<Full<Bytes>> {
        let (params, ask) = match self.read(surface, query) {
            Ok(read) => read,
            Err(refused) => return self.refuse(refused),
        };
        if params.get("prompt") == Some("none") {
            // Nobody is ever signed in here (OpenID Connect Core, 3.1.2.6).
            return self.refuse(Refused::Return(
                Box::new(ask),
                "login_required",
                "Nobody is signed in.",
            ));
        }
        let hint = params.get("login_hint");
        if self.settings.auto {
            match (params.get("mock"), hint) {
                (Some(named), _) => return self.answer_named(&ask, named, now, chance),
                (None, Some(hint)) => {
                    if let Some(person) = self.settings.people.iter().find(|p| p.answers_to(hint)) {
                        return self.answer(&ask, person, Behaviour::Honest, now, chance);
                    }
                }
                (None, None) => {}
            }
        }
        let [openid, plain] = AUTHORIZE;
        let choose = Choose {
            action: match surface {
                Surface::OpenId => openid,
                Surface::Plain => plain,
            },
            request: params.encode(&CARRIED),
            origin: ask.redirect_uri.origin().ascii_serialization(),
            client_id: &self.settings.client_id,
            redirect_uri: &ask.redirect_text,
            scope: &ask.scope,
            people: &self.settings.people,
            hint,
            groups: &GROUPS,
        };
        page(StatusCode::OK, "Who are you?", View::Choose(choose))
    }

    /// `POST`: somebody was chosen, or refused.
    pub(super) fn chosen(
        &self,
        surface: Surface,
        body: &[u8],
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Response<Full<Bytes>> {
        let form = Params::parse(body).unwrap_or_default();
        let request = form.get("request").unwrap_or_default();
        let ask = match self.read(surface, request.as_bytes()) {
            Ok((_, ask)) => ask,
            Err(refused) => return self.refuse(refused),
        };
        if form.get("refuse").is_some() {
            return self.refuse(Refused::Return(
                Box::new(ask),
                "access_denied",
                "The person refused.",
            ));
        }
        let named = format!(
            "{}:{}",
            form.get("person").unwrap_or_default(),
            form.get("behaviour").unwrap_or("honest")
        );
        self.answer_named(&ask, &named, now, chance)
    }

    /// The answer for `person`, `person:behaviour`.
    fn answer_named(
        &self,
        ask: &Ask,
        named: &str,
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Response<Full<Bytes>> {
        let (person, behaviour) = named.split_once(':').unwrap_or((named, "honest"));
        match (self.person(person), Behaviour::parse(behaviour)) {
            (Some(person), Some(behaviour)) => self.answer(ask, person, behaviour, now, chance),
            _ => self.refuse(Refused::Show(format!(
                "Nobody here is called “{person}”, or nothing here behaves like “{behaviour}”."
            ))),
        }
    }

    fn read(&self, surface: Surface, encoded: &[u8]) -> Result<(Params, Ask), Refused> {
        let show = |text: &str| Refused::Show(text.to_owned());
        let params = Params::parse(encoded).map_err(|error| Refused::Show(error.to_string()))?;
        if let Some(name) = params.repeated() {
            return Err(Refused::Show(format!("{name} stands more than once.")));
        }
        if params.get("client_id") != Some(&self.settings.client_id) {
            return Err(show("The app that sent you is not registered here."));
        }
        let text = params
            .get("redirect_uri")
            .ok_or_else(|| show("The app did not say where to send you back."))?;
        let redirect_uri = Url::parse(text)
            .ok()
            .filter(|url| url.fragment().is_none() && self.permits(url))
            .ok_or_else(|| {
                show("The app wants you sent back to an address that is not its own.")
            })?;
        let owned = |name| params.get(name).map(str::to_owned);
        let ask = Ask {
            surface,
            redirect_text: text.to_owned(),
            redirect_uri,
            form_post: surface == Surface::OpenId
                && params.get("response_mode") == Some("form_post"),
            state: owned("state"),
            nonce: owned("nonce"),
            scope: owned("scope").unwrap_or_default(),
            challenge: params.get("code_challenge").and_then(CodeChallenge::parse),
            asks_age: params.get("max_age").is_some(),
        };
        match wrong_with(&ask, &params) {
            Some((code, description)) => Err(Refused::Return(Box::new(ask), code, description)),
            None => Ok((params, ask)),
        }
    }

    fn permits(&self, url: &Url) -> bool {
        let origin = url.origin().ascii_serialization();
        self.settings.redirect_origins.contains(&origin)
    }

    fn answer(
        &self,
        ask: &Ask,
        person: &MockPerson,
        behaviour: Behaviour,
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Response<Full<Bytes>> {
        if behaviour == Behaviour::Refuses {
            let fields = vec![
                ("error", "access_denied".to_owned()),
                ("error_description", "The person refused.".to_owned()),
            ];
            return self.send_back(ask, fields, behaviour);
        }
        let code = format!("mock_code_{}", Secret::random(chance).reveal());
        let kept = Code {
            allowed: Allowed {
                surface: ask.surface,
                person: person.id,
                behaviour,
                scope: ask.scope.clone(),
            },
            redirect_uri: ask.redirect_text.clone(),
            challenge: ask.challenge,
            nonce: ask.nonce.clone(),
            auth_time: ask.asks_age.then_some(now),
        };
        self.issued
            .lock()
            .codes
            .put(code.clone(), now.plus(CODE_LIFETIME), kept);
        self.send_back(ask, vec![("code", code)], behaviour)
    }

    fn refuse(&self, refused: Refused) -> Response<Full<Bytes>> {
        match refused {
            Refused::Show(message) => page(
                StatusCode::BAD_REQUEST,
                "This does not work",
                View::Say(&message),
            ),
            Refused::Return(ask, code, description) => {
                let fields = vec![
                    ("error", code.to_owned()),
                    ("error_description", description.to_owned()),
                ];
                self.send_back(&ask, fields, Behaviour::Honest)
            }
        }
    }

    /// The answer by way of the browser (RFC 6749, 4.1.2; RFC 9207; OAuth 2.0 Form Post Response Mode).
    fn send_back(
        &self,
        ask: &Ask,
        mut fields: Vec<(&'static str, String)>,
        behaviour: Behaviour,
    ) -> Response<Full<Bytes>> {
        if let Some(state) = &ask.state {
            match behaviour {
                Behaviour::NoState => {}
                Behaviour::OtherState => fields.push(("state", format!("{state}x"))),
                _ => fields.push(("state", state.clone())),
            }
        }
        if ask.surface == Surface::OpenId {
            match behaviour {
                Behaviour::NoIssuer => {}
                Behaviour::OtherIssuer => fields.push(("iss", OTHER_ISSUER.to_owned())),
                _ => fields.push(("iss", self.settings.issuer.clone())),
            }
        }
        if ask.form_post {
            let post = Post {
                action: ask.redirect_uri.as_str(),
                fields: &fields,
            };
            return page(StatusCode::OK, "Thank you", View::Post(post));
        }
        let mut location = ask.redirect_uri.clone();
        location.query_pairs_mut().extend_pairs(&fields);
        redirect(StatusCode::SEE_OTHER, location.as_str())
    }
}

/// A name that is not ours.
pub(super) const OTHER_ISSUER: &str = "https://somebody-else.example";

/// What the client is told about its request.
fn wrong_with(ask: &Ask, params: &Params) -> Option<(&'static str, &'static str)> {
    if params
        .get("response_type")
        .is_some_and(|kind| kind != "code")
        || (ask.surface == Surface::OpenId && params.get("response_type").is_none())
    {
        return Some(("unsupported_response_type", "Only code is supported."));
    }
    if params.get("code_challenge").is_some() || params.get("code_challenge_method").is_some() {
        if ask.challenge.is_none() || params.get("code_challenge_method") != Some("S256") {
            return Some(("invalid_request", "The code challenge is not one of S256."));
        }
    } else if ask.surface == Surface::OpenId {
        return Some(("invalid_request", "A code challenge (S256) is required."));
    }
    None
}

fn page(status: StatusCode, title: &str, view: View<'_>) -> Response<Full<Bytes>> {
    // Writing text into memory does not fail.
    Page { title, view }
        .render()
        .map_or_else(|_| nothing_here(), |html| answer(status, HTML, html))
}
