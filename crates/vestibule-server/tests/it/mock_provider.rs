//! The mock provider over the wire: what the tests of the broker stand on.

use crate::support::upstream::{CLIENT_ID, CLIENT_SECRET, Upstream};
use http::{StatusCode, header};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:8080/api/v1/auth/oauth/callback/mock";

/// Sends one request over a socket of its own: status and body.
async fn send(upstream: &Upstream, head: &str, body: &str) -> (u16, String) {
    let address = upstream.server.issuer().strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{head}\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn get_json(upstream: &Upstream, path: &str, token: Option<&str>) -> (u16, Value) {
    let authorization = token.map_or(String::new(), |token| {
        format!("\r\nAuthorization: Bearer {token}")
    });
    let head = format!("GET {path} HTTP/1.1{authorization}");
    let (status, body) = send(upstream, &head, "").await;
    (status, serde_json::from_str(&body).unwrap_or_default())
}

async fn post_token(upstream: &Upstream, fields: &[(&str, &str)]) -> (u16, Value) {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]);
    let form = form.extend_pairs(fields).finish();
    let head = "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let (status, body) = send(upstream, head, &form).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn authorization_request(upstream: &Upstream, more: &[(&str, &str)]) -> String {
    let mut url = Url::parse(upstream.server.issuer()).unwrap();
    url.set_path("/authorize");
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email"),
        ("state", "a&b=\"'<c>"),
        ("nonce", "n-1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    url.query_pairs_mut().extend_pairs(more);
    url.into()
}

fn code_of(location: &str) -> String {
    let url = Url::parse(location).unwrap();
    let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
    code.into_owned()
}

#[tokio::test]
async fn a_sign_in_goes_over_the_wire_and_is_written_down() {
    let upstream = Upstream::start().await;
    let (_, metadata) = get_json(&upstream, "/.well-known/openid-configuration", None).await;
    assert_eq!(metadata["issuer"], upstream.server.issuer());

    let location = upstream
        .answer(&authorization_request(&upstream, &[]), "mary")
        .await;
    let code = code_of(&location);
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = post_token(&upstream, &redeem).await;
    assert_eq!((status, &tokens["expires_in"]), (200, &Value::from(3600)));
    let (status, refused) = post_token(&upstream, &redeem).await;
    assert_eq!((status, &refused["error"]), (400, &"invalid_grant".into()));

    let access_token = tokens["access_token"].as_str().unwrap();
    let (status, person) = get_json(&upstream, "/userinfo", Some(access_token)).await;
    assert_eq!(
        (status, &person["email"]),
        (200, &"mary@example.org".into())
    );

    let seen = upstream.seen("/token");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].field("code"), Some(&*code));
    assert_eq!(seen[0].field("client_secret"), Some(CLIENT_SECRET));
    assert_eq!(upstream.seen("/authorize").len(), 0);
    assert!(
        upstream.seen("/userinfo")[0]
            .headers
            .contains_key(header::AUTHORIZATION)
    );
}

#[tokio::test]
async fn an_access_token_ends_with_its_time_and_a_refresh_token_brings_the_next() {
    let upstream = Upstream::start().await;
    let location = upstream
        .answer(&authorization_request(&upstream, &[]), "ada")
        .await;
    let code = code_of(&location);
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("code_verifier", VERIFIER),
    ];
    let (_, tokens) = post_token(&upstream, &redeem).await;
    upstream.server.advance(3600);
    let old = tokens["access_token"].as_str();
    assert_eq!(get_json(&upstream, "/userinfo", old).await.0, 401);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let (status, next) = post_token(&upstream, &refresh).await;
    assert_eq!(status, 200);
    assert_eq!(next.get("refresh_token"), None);
    let new = next["access_token"].as_str();
    assert_ne!(old, new);
    assert_eq!(get_json(&upstream, "/userinfo", new).await.0, 200);
}

#[tokio::test]
async fn an_endpoint_misbehaves_until_it_is_told_to_behave() {
    let upstream = Upstream::start().await;
    for (fault, status) in [("broken", 500), ("html", 200), ("private", 302)] {
        upstream.misbehave("jwks", fault);
        let (got, body) = send(&upstream, "GET /jwks HTTP/1.1", "").await;
        assert_eq!(got, status, "{fault}");
        assert!(!body.contains("\"keys\""), "{fault}");
    }
    upstream.behave("jwks");
    let (status, before) = get_json(&upstream, "/jwks", None).await;
    assert_eq!((status, before["keys"].as_array().unwrap().len()), (200, 1));
    upstream.server.rotate_keys().unwrap();
    let (_, after) = get_json(&upstream, "/jwks", None).await;
    assert_ne!(before["keys"][0]["kid"], after["keys"][0]["kid"]);
}

#[tokio::test]
async fn the_answer_can_travel_in_a_form_and_arrives_unchanged() {
    let upstream = Upstream::start().await;
    let request = authorization_request(&upstream, &[("response_mode", "form_post")]);
    let (action, fields) = upstream.answer_form(&request, "emmy").await;
    assert_eq!(action, CALLBACK);
    assert_eq!(fields[0].0, "code");
    assert!(fields.contains(&("state".to_owned(), "a&b=\"'<c>".to_owned())));
    assert!(fields.contains(&("iss".to_owned(), upstream.server.issuer().to_owned())));
}

#[tokio::test]
async fn a_browser_is_sent_to_no_other_origin() {
    let upstream = Upstream::start().await;
    for elsewhere in [
        "http://127.0.0.1:8081/callback",
        "http://evil.example/callback",
        "http://127.0.0.1:8080@evil.example/callback",
        "javascript:alert(1)",
        "/callback",
    ] {
        let request = authorization_request(&upstream, &[]);
        let mut url = Url::parse(&request).unwrap();
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .into_owned()
            .filter(|(name, _)| name != "redirect_uri")
            .collect();
        url.query_pairs_mut()
            .clear()
            .extend_pairs(pairs)
            .append_pair("redirect_uri", elsewhere);
        let answer = upstream.visit(url.as_str(), "mary").await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{elsewhere}");
        assert_eq!(answer.headers().get(header::LOCATION), None);
    }
}

#[tokio::test]
async fn it_stops_when_it_is_dropped() {
    let upstream = Upstream::start().await;
    let address = upstream.server.issuer().strip_prefix("http://").unwrap();
    let address = address.to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    drop(upstream);
    tokio::task::yield_now().await;
    assert!(TcpStream::connect(&address).await.is_err());
}
