//! Somebody else's OAuth server and Info API on a port of this machine: small, honest unless the test says otherwise, and with a
//! book of what was asked of it. It has no session, so a visit is a sign-in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;
use vestibule_core::oauth::pkce::CodeChallenge;

/// The seed's own client id and scope.
pub(crate) const CLIENT_ID: &str = "ydybo4SD8PR73vzWWd6S0ObH";
pub(crate) const SCOPE: &str = "docs-user-info";

/// The paths that the seed's example has.
pub(crate) const AUTHORIZATION: &str = "/authorization";
pub(crate) const EXCHANGE: &str = "/exchange";
pub(crate) const USER_INFO: &str = "/docs/user-info";

/// An answer that a test puts in the place of an honest one.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    media_type: &'static str,
    body: String,
    location: Option<String>,
    after: Duration,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            media_type: "application/json",
            body: body.to_string(),
            location: None,
            after: Duration::ZERO,
        }
    }

    pub(crate) fn html(status: u16) -> Self {
        Self {
            media_type: "text/html; charset=utf-8",
            body: "<!doctype html><title>Hello</title>".to_owned(),
            ..Self::json(status, &Value::Null)
        }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self {
            location: Some(location.to_owned()),
            ..Self::html(302)
        }
    }

    /// An honest answer that nobody should wait for.
    pub(crate) fn slow() -> Self {
        Self {
            after: Duration::from_mins(5),
            ..Self::json(200, &json!({}))
        }
    }

    /// Text of that media type.
    pub(crate) fn text(media_type: &'static str, body: &str) -> Self {
        Self {
            media_type,
            body: body.to_owned(),
            ..Self::json(200, &Value::Null)
        }
    }
}

/// A request that came over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) fields: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    user: Value,
    redirect_uris: Vec<String>,
    secret: Option<String>,
    instead: BTreeMap<String, Answer>,
    seen: Vec<Seen>,
    /// The fields of the authorization request of each code that was given and not used.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    id_token_claims: Option<Value>,
    count: usize,
}

/// The server. It stops when it is dropped.
pub(crate) struct DocsServer {
    pub(crate) origin: String,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

impl DocsServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let mut task = JoinSet::new();
        let its = Arc::clone(&state);
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let its = Arc::clone(&its);
                open.spawn(async move {
                    let _: io::Result<()> = converse(stream, &its).await;
                });
            }
        });
        let server = Self {
            origin,
            state,
            _task: task,
        };
        server.knows(&json!({ "groups": ["beta"], "content": { "firstName": "Ada" } }));
        server
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Registers a redirect URI.
    pub(crate) fn register(&self, redirect_uri: &str) {
        self.state().redirect_uris.push(redirect_uri.to_owned());
    }

    /// Makes the client a confidential one.
    pub(crate) fn has_secret(&self, secret: &str) {
        self.state().secret = Some(secret.to_owned());
    }

    /// What the Info API tells of everybody.
    pub(crate) fn knows(&self, user: &Value) {
        self.state().user = user.clone();
    }

    /// Hands out ID tokens with these claims; the nonce is the request's where they say none.
    pub(crate) fn states(&self, claims: &Value) {
        self.state().id_token_claims = Some(claims.clone());
    }

    /// Answers a path so from now on.
    pub(crate) fn answers(&self, path: &str, answer: Answer) {
        self.state().instead.insert(path.to_owned(), answer);
    }

    /// Answers a path honestly again.
    pub(crate) fn is_honest(&self, path: &str) {
        self.state().instead.remove(path);
    }

    /// What came to a path so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let mut seen = self.state().seen.clone();
        seen.retain(|request| request.path == path);
        seen
    }

    /// A reader who signs in there: the address that their browser is sent back to.
    pub(crate) fn sign_in(&self, authorization_request: &str) -> String {
        let mut state = self.state();
        let fields = fields_of(authorization_request, &self.origin);
        let code = format!("code{}", state.count);
        state.count += 1;
        let back = back_of(&fields, &[("code", &code)]);
        state.codes.insert(code, fields);
        back
    }

    /// A reader who is sent back with this answer instead.
    pub(crate) fn sends_back(&self, authorization_request: &str, with: &[(&str, &str)]) -> String {
        back_of(&fields_of(authorization_request, &self.origin), with)
    }
}

fn fields_of(authorization_request: &str, origin: &str) -> BTreeMap<String, String> {
    let url = Url::parse(authorization_request).unwrap();
    assert_eq!(url.origin().ascii_serialization(), origin);
    assert_eq!(url.path(), AUTHORIZATION);
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let fields: BTreeMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(pairs.len(), fields.len(), "a parameter stands twice");
    assert_eq!(fields["response_type"], "code");
    assert_eq!(fields["code_challenge_method"], "S256");
    fields
}

fn back_of(fields: &BTreeMap<String, String>, with: &[(&str, &str)]) -> String {
    let mut back = Url::parse(&fields["redirect_uri"]).unwrap();
    back.query_pairs_mut()
        .append_pair("state", &fields["state"])
        .extend_pairs(with);
    back.into()
}

/// A JWT whose signature nobody will look at.
pub(crate) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.AA", part(&json!({ "alg": "RS256" })), part(claims))
}

async fn converse(mut stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = headers_of(head)
                .get("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                break (head.to_owned(), body.to_owned());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    };
    let mut line = head.split(' ');
    let (method, target) = (line.next().unwrap(), line.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let fields = [query, &body]
        .into_iter()
        .flat_map(|text| url::form_urlencoded::parse(text.as_bytes()).into_owned())
        .collect();
    let seen = Seen {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers_of(&head),
        fields,
    };
    let answer = {
        let mut state = state.lock().unwrap();
        state.seen.push(seen.clone());
        let instead = state.instead.get(path).cloned();
        instead.unwrap_or_else(|| honest(&mut state, &seen))
    };
    tokio::time::sleep(answer.after).await;
    let location = answer
        .location
        .map(|location| format!("Location: {location}\r\n"))
        .unwrap_or_default();
    let reply = format!(
        "HTTP/1.1 {} X\r\nContent-Type: {}\r\nContent-Length: {}\r\n{location}Connection: close\r\n\r\n{}",
        answer.status,
        answer.media_type,
        answer.body.len(),
        answer.body
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

fn headers_of(head: &str) -> BTreeMap<String, String> {
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

fn honest(state: &mut State, seen: &Seen) -> Answer {
    let field = |name: &str| seen.fields.get(name).map(String::as_str);
    match (seen.method.as_str(), seen.path.as_str()) {
        ("GET", AUTHORIZATION) => {
            let known = field("client_id") == Some(CLIENT_ID)
                && state
                    .redirect_uris
                    .iter()
                    .any(|uri| Some(uri.as_str()) == field("redirect_uri"));
            Answer::html(if known { 200 } else { 400 })
        }
        ("POST", EXCHANGE) => exchange(state, seen),
        ("GET", USER_INFO) => match seen.headers.get("authorization") {
            Some(token)
                if token.starts_with("Bearer docs-token-") || token.starts_with("Bearer eyJ") =>
            {
                Answer::json(200, &state.user)
            }
            _ => Answer::json(401, &json!({ "error": "invalid_token" })),
        },
        _ => Answer::html(404),
    }
}

fn exchange(state: &mut State, seen: &Seen) -> Answer {
    let field = |name: &str| seen.fields.get(name).map(String::as_str);
    let refuse = |error: &str| Answer::json(400, &json!({ "error": error }));
    if field("client_id") != Some(CLIENT_ID) || field("client_secret") != state.secret.as_deref() {
        return refuse("invalid_client");
    }
    let Some(asked) = field("code").and_then(|code| state.codes.remove(code)) else {
        return refuse("invalid_grant");
    };
    let challenge = CodeChallenge::parse(&asked["code_challenge"]).unwrap();
    let proved = field("code_verifier").is_some_and(|verifier| challenge.accepts(verifier))
        && field("grant_type") == Some("authorization_code")
        && field("redirect_uri") == Some(asked["redirect_uri"].as_str());
    if !proved {
        return refuse("invalid_grant");
    }
    let mut body = json!({
        "access_token": format!("docs-token-{}", state.count), "token_type": "Bearer", "expires_in": 60,
    });
    if let Some(claims) = &state.id_token_claims {
        let mut claims = claims.clone();
        if claims.get("nonce").is_none() {
            claims["nonce"] = json!(asked.get("nonce"));
        }
        body["id_token"] = json!(unsigned(&claims));
    }
    Answer::json(200, &body)
}
