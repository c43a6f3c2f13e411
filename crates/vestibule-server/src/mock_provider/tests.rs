//! What holds for the provider itself: it keeps the rules unless told otherwise, and each behaviour breaks the one it names.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use url::Url;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::digest::left_half_hash;
use vestibule_core::jose::jwk::Jwk;
use vestibule_core::jose::key::PublicKey;
use vestibule_core::jose::key_set::{KeySet, KeyState};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{VerifyError, verify};
use vestibule_core::time::Timestamp;
use vestibule_core::url::Issuer;

use super::behaviour::{Behaviour, GROUPS};
use super::{
    HUGE_BYTES, MockProvider, MockSettings, PRIVATE_ADDRESS, installation_provider, people,
};
use crate::http::context::SystemChance;

const ISSUER: &str = "http://127.0.0.1:8082";
const CALLBACK: &str = "http://127.0.0.1:8080/callback";
const NOW: i64 = 1_800_000_000;
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const EVIL: &str = "\"'><script>alert(1)</script>";

/// A provider, its client and a clock.
struct Test {
    provider: MockProvider,
    chance: SystemChance,
    now: i64,
}

/// What came back.
struct Got {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Bytes,
    after: Duration,
}

impl Got {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn location(&self) -> Url {
        Url::parse(self.headers[header::LOCATION].to_str().unwrap()).unwrap()
    }

    /// A parameter of the address that the browser is sent to.
    fn sent(&self, name: &str) -> Option<String> {
        let location = self.location();
        let mut pairs = location.query_pairs().filter(|(known, _)| known == name);
        pairs.next().map(|(_, value)| value.into_owned())
    }
}

type Fields<'a> = &'a [(&'a str, &'a str)];

fn form(fields: Fields<'_>) -> String {
    let fields = fields.iter().filter(|(_, value)| *value != ABSENT);
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// In place of a value: the field is left out.
const ABSENT: &str = "\0";

/// The fields, with some of them replaced or added.
fn with<'a>(
    fields: &[(&'a str, &'a str)],
    other: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let kept = fields
        .iter()
        .filter(|(name, _)| !other.iter().any(|(known, _)| known == name));
    kept.chain(other).copied().collect()
}

const ASK: Fields<'static> = &[
    ("response_type", "code"),
    ("client_id", "us"),
    ("redirect_uri", CALLBACK),
    ("scope", "openid profile email"),
    ("state", "s-1"),
    ("nonce", "n-1"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
];

const REDEEM: Fields<'static> = &[
    ("grant_type", "authorization_code"),
    ("client_id", "us"),
    ("client_secret", "ours"),
    ("redirect_uri", CALLBACK),
    ("code_verifier", VERIFIER),
];

impl Test {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut MockSettings)) -> Self {
        let mut settings = MockSettings {
            issuer: ISSUER.to_owned(),
            client_id: "us".to_owned(),
            client_secret: Some("ours".to_owned()),
            redirect_origins: vec!["http://127.0.0.1:8080".to_owned()],
            people: people(),
            auto: true,
            slow: Duration::from_secs(40),
            algorithm: Algorithm::ES256,
            rotates_refresh_tokens: false,
        };
        change(&mut settings);
        Self {
            provider: MockProvider::new(settings).unwrap(),
            chance: SystemChance::new(),
            now: NOW,
        }
    }

    fn send(&self, request: Request<String>) -> Got {
        let (parts, body) = request.into_parts();
        let now = Timestamp::from_seconds(self.now);
        let answer = self
            .provider
            .respond(&parts, body.as_bytes(), now, &self.chance);
        let after = answer.after;
        let (parts, body) = answer.response.into_parts();
        // A full body is ready at once.
        let collected = pin!(body.collect());
        let Poll::Ready(body) = collected.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a full body waits for nothing");
        };
        Got {
            status: parts.status,
            headers: parts.headers,
            body: body.unwrap().to_bytes(),
            after,
        }
    }

    fn get(&self, path: &str) -> Got {
        self.send(Request::get(path).body(String::new()).unwrap())
    }

    fn get_as(&self, path: &str, token: &str) -> Got {
        let request = Request::get(path)
            .header("authorization", format!("Bearer {token}"))
            .header("user-agent", "test");
        self.send(request.body(String::new()).unwrap())
    }

    fn post(&self, path: &str, fields: Fields<'_>) -> Got {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json");
        self.send(request.body(form(fields)).unwrap())
    }

    fn ask(&self, other: Fields<'_>) -> Got {
        self.get(&format!("/authorize?{}", form(&with(ASK, other))))
    }

    /// A code for somebody who is treated like that.
    fn code(&self, who: &str) -> String {
        self.ask(&[("mock", who)]).sent("code").unwrap()
    }

    fn redeem(&self, code: &str, other: Fields<'_>) -> Got {
        let fields = with(REDEEM, &[("code", code)]);
        self.post("/token", &with(&fields, other))
    }

    fn sign_in(&self, who: &str) -> Value {
        self.redeem(&self.code(who), &[]).json()
    }

    fn keys(&self) -> KeySet {
        let document = self.get("/jwks").json();
        let keys = document["keys"].as_array().unwrap().iter().map(|key| {
            let jwk: Jwk = serde_json::from_value(key.clone()).unwrap();
            let key = PublicKey::from_jwk(jwk.algorithm().unwrap(), &jwk).unwrap();
            (key, KeyState::Active)
        });
        KeySet::new(keys.collect::<Vec<_>>()).unwrap()
    }

    /// The claims of an ID token whose signature holds.
    fn claims(&self, tokens: &Value) -> Result<Value, VerifyError> {
        let token = tokens["id_token"].as_str().unwrap();
        let verified = verify(token, &self.keys(), TokenType::IdToken)?;
        Ok(Value::Object(verified.claims().clone()))
    }
}

#[test]
fn an_honest_sign_in_says_who_somebody_is() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let test = Test::with(|settings| settings.algorithm = algorithm);
        let back = test.ask(&[("mock", "mary")]);
        assert_eq!(back.status, StatusCode::SEE_OTHER);
        assert!(back.location().as_str().starts_with(CALLBACK));
        assert_eq!(back.sent("state").as_deref(), Some("s-1"));
        assert_eq!(back.sent("iss").as_deref(), Some(ISSUER));
        let tokens = test.redeem(&back.sent("code").unwrap(), &[]).json();
        let access_token = tokens["access_token"].as_str().unwrap();
        let claims = test.claims(&tokens).unwrap();
        assert_eq!(claims["iss"], ISSUER);
        assert_eq!(claims["aud"], "us");
        assert_eq!(claims["nonce"], "n-1");
        assert_eq!(claims["sub"], "mock-1780");
        assert_eq!(claims["email_verified"], true);
        assert_eq!(claims["at_hash"], left_half_hash(algorithm, access_token));
        assert_eq!(claims["exp"], NOW + 300);
        let info = test.get_as("/userinfo", access_token).json();
        assert_eq!(info["sub"], claims["sub"]);
        assert_eq!(info["name"], "Mary Somerville");
        let picture = Url::parse(info["picture"].as_str().unwrap()).unwrap();
        assert_eq!(
            test.get(picture.path()).headers[header::CONTENT_TYPE],
            "image/svg+xml"
        );
    }
}

#[test]
fn the_metadata_name_endpoints_that_answer() {
    let test = Test::new();
    let metadata = test.get("/.well-known/openid-configuration").json();
    assert_eq!(
        Issuer::parse(metadata["issuer"].as_str().unwrap())
            .unwrap()
            .as_str(),
        ISSUER
    );
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
    ] {
        let url = metadata[name].as_str().unwrap();
        let path = url.strip_prefix(ISSUER).unwrap();
        let statuses = [test.get(path).status, test.post(path, &[]).status];
        assert!(
            statuses
                .iter()
                .any(|status| *status != StatusCode::NOT_FOUND),
            "{name}"
        );
    }
}

#[test]
fn the_scope_decides_what_is_said() {
    let test = Test::new();
    let code = test
        .ask(&[("mock", "ada"), ("scope", "openid")])
        .sent("code")
        .unwrap();
    let tokens = test.redeem(&code, &[]).json();
    let claims = test.claims(&tokens).unwrap();
    assert_eq!((claims.get("email"), claims.get("name")), (None, None));
    let code = test
        .ask(&[("mock", "ada"), ("scope", "email")])
        .sent("code")
        .unwrap();
    assert_eq!(test.redeem(&code, &[]).json().get("id_token"), None);
}

#[test]
fn each_person_says_another_thing_about_an_address() {
    let test = Test::new();
    #[rustfmt::skip]
    let rows = [
        ("mary",    Some(("mary@example.org", true))),
        ("karl",    Some(("karl@example.org", false))),
        ("emmy",    None),
        ("ada",     Some(("ada@example.com", true))),
        ("mallory", Some(("ada@example.com", false))),
    ];
    for (id, email) in rows {
        let claims = test.claims(&test.sign_in(id)).unwrap();
        let said = claims
            .get("email")
            .and_then(Value::as_str)
            .zip(claims["email_verified"].as_bool());
        assert_eq!(said, email, "{id}");
    }
}

#[test]
fn a_code_is_redeemed_once_and_by_whom_it_was_made_for() {
    #[rustfmt::skip]
    let rows: [(Fields<'_>, u16, &str); 13] = [
        (&[("client_secret", "theirs")],                    401, "invalid_client"),
        (&[("client_secret", ABSENT)],                      401, "invalid_client"),
        (&[("client_id", "them")],                          401, "invalid_client"),
        (&[("client_id", ABSENT)],                          401, "invalid_client"),
        (&[("code", "mock_code_other")],                    400, "invalid_grant"),
        (&[("code", ABSENT)],                               400, "invalid_grant"),
        (&[("code_verifier", ABSENT)],                      400, "invalid_grant"),
        (&[("code_verifier", CHALLENGE)],                   400, "invalid_grant"),
        (&[("redirect_uri", "http://127.0.0.1:8080/")],     400, "invalid_grant"),
        (&[("grant_type", ABSENT)],                         400, "invalid_request"),
        (&[("grant_type", "password")],                     400, "unsupported_grant_type"),
        (&[("grant_type", "refresh_token")],                400, "invalid_grant"),
        (&[("redirect_uri", ABSENT)],                       200, ""),
    ];
    let test = Test::new();
    for (row, (other, status, error)) in rows.into_iter().enumerate() {
        let got = test.redeem(&test.code("ada"), other);
        assert_eq!(got.status, status, "row {row}");
        assert_eq!(
            got.json()["error"].as_str().unwrap_or_default(),
            error,
            "row {row}"
        );
    }
    let code = test.code("ada");
    assert_eq!(test.redeem(&code, &[]).status, StatusCode::OK);
    assert_eq!(test.redeem(&code, &[]).json()["error"], "invalid_grant");
    // A wrong try spends the code too.
    let code = test.code("ada");
    test.redeem(&code, &[("code_verifier", CHALLENGE)]);
    assert_eq!(test.redeem(&code, &[]).json()["error"], "invalid_grant");
}

#[test]
fn a_code_lives_for_a_minute() {
    for (later, status) in [(59, StatusCode::OK), (60, StatusCode::BAD_REQUEST)] {
        let mut test = Test::new();
        let code = test.code("ada");
        test.now += later;
        assert_eq!(test.redeem(&code, &[]).status, status, "{later}");
    }
}

#[test]
fn the_memory_is_bounded() {
    let test = Test::new();
    let first = test.code("ada");
    for _ in 0..1024 {
        test.code("ada");
    }
    assert_eq!(test.redeem(&first, &[]).json()["error"], "invalid_grant");
    assert_eq!(test.redeem(&test.code("ada"), &[]).status, StatusCode::OK);
}

#[test]
fn basic_credentials_are_form_encoded() {
    let test = Test::with(|settings| settings.client_secret = Some("a b+%:é".to_owned()));
    let try_with = |credentials: &str, posted: &str| {
        let fields = with(REDEEM, &[("client_id", ABSENT), ("client_secret", posted)]);
        let code = test.code("ada");
        let body = form(&with(&fields, &[("code", &code)]));
        let request = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                format!("Basic {}", STANDARD.encode(credentials)),
            );
        test.send(request.body(body).unwrap()).status.as_u16()
    };
    assert_eq!(try_with("us:a+b%2B%25%3A%C3%A9", ABSENT), 200);
    assert_eq!(try_with("us:a b+%:é", ABSENT), 401);
    assert_eq!(try_with("us:", ABSENT), 401);
    assert_eq!(try_with("us", ABSENT), 401);
    assert_eq!(try_with("us:a+b%2B%25%3A%C3%A9", "a b+%:é"), 400);
}

#[test]
fn refresh_tokens_stay_or_rotate() {
    for rotates in [false, true] {
        let test = Test::with(|settings| settings.rotates_refresh_tokens = rotates);
        let tokens = test.sign_in("ada");
        let refresh = |token: &Value| {
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", "us"),
                ("client_secret", "ours"),
                ("refresh_token", token.as_str().unwrap()),
            ];
            test.post("/token", &fields)
        };
        let next = refresh(&tokens["refresh_token"]);
        assert_eq!(next.status, StatusCode::OK);
        assert_ne!(next.json()["access_token"], tokens["access_token"]);
        assert_eq!(next.json().get("refresh_token").is_some(), rotates);
        let again = refresh(&tokens["refresh_token"]);
        assert_eq!(again.status == StatusCode::OK, !rotates);
    }
}

#[test]
fn a_wrong_request_is_told_to_whom_it_can_be_told() {
    let test = Test::new();
    #[rustfmt::skip]
    let shown: [Fields<'_>; 8] = [
        &[("client_id", "them")],
        &[("client_id", ABSENT)],
        &[("redirect_uri", ABSENT)],
        &[("redirect_uri", "http://127.0.0.1:8081/callback")],
        &[("redirect_uri", "http://127.0.0.1:8080/callback#x")],
        &[("redirect_uri", "javascript:alert(1)")],
        &[("mock", "nobody")],
        &[("mock", "ada:nothing")],
    ];
    for (row, other) in shown.into_iter().enumerate() {
        let got = test.ask(other);
        assert_eq!(got.status, StatusCode::BAD_REQUEST, "row {row}");
        assert_eq!(got.headers.get(header::LOCATION), None, "row {row}");
    }
    #[rustfmt::skip]
    let returned: [(Fields<'_>, &str); 7] = [
        (&[("response_type", "token")],          "unsupported_response_type"),
        (&[("response_type", ABSENT)],           "unsupported_response_type"),
        (&[("code_challenge", ABSENT)],          "invalid_request"),
        (&[("code_challenge", "short")],         "invalid_request"),
        (&[("code_challenge_method", "plain")],  "invalid_request"),
        (&[("code_challenge", ABSENT), ("code_challenge_method", ABSENT)], "invalid_request"),
        (&[("prompt", "none")],                  "login_required"),
    ];
    for (row, (other, error)) in returned.into_iter().enumerate() {
        let got = test.ask(&with(&[("mock", "ada")], other));
        assert_eq!(got.sent("error").as_deref(), Some(error), "row {row}");
        assert_eq!(got.sent("state").as_deref(), Some("s-1"), "row {row}");
        assert_eq!(got.sent("iss").as_deref(), Some(ISSUER), "row {row}");
        assert_eq!(got.sent("code"), None, "row {row}");
    }
}

#[test]
fn a_named_person_is_believed_only_where_the_settings_say_so() {
    let by_hand = Test::with(|settings| settings.auto = false);
    for other in [&[("mock", "ada")], &[("login_hint", "ada")]] {
        assert_eq!(by_hand.ask(other).status, StatusCode::OK);
    }
    let auto = Test::new();
    assert_eq!(auto.ask(&[]).status, StatusCode::OK);
    assert_eq!(
        auto.ask(&[("login_hint", "nobody@example.org")]).status,
        StatusCode::OK
    );
    for hint in ["mary", "mary@example.org", "mock-1780"] {
        let code = auto.ask(&[("login_hint", hint)]).sent("code").unwrap();
        let claims = auto.claims(&auto.redeem(&code, &[]).json()).unwrap();
        assert_eq!(claims["sub"], "mock-1780", "{hint}");
    }
}

#[test]
fn the_page_carries_the_request_and_escapes_it() {
    let test = Test::with(|settings| settings.auto = false);
    let page = test.ask(&[("state", EVIL), ("scope", EVIL), ("login_hint", EVIL)]);
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text().contains("<script"));
    for person in people() {
        assert!(page.text().contains(person.name), "{}", person.id);
    }
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"));

    let request = form(&with(ASK, &[("state", EVIL)]));
    let choose =
        |other: Fields<'_>| test.post("/authorize", &with(&[("request", &request)], other));
    let back = choose(&[("person", "karl"), ("behaviour", "honest")]);
    assert_eq!(back.status, StatusCode::SEE_OTHER);
    assert_eq!(back.sent("state").as_deref(), Some(EVIL));
    let claims = test.claims(&test.redeem(&back.sent("code").unwrap(), &[]).json());
    assert_eq!(claims.unwrap()["email"], "karl@example.org");

    let refused = choose(&[("refuse", "yes"), ("behaviour", "slow")]);
    assert_eq!(refused.sent("error").as_deref(), Some("access_denied"));
    assert_eq!(choose(&[]).status, StatusCode::BAD_REQUEST);
    assert_eq!(choose(&[("person", EVIL)]).status, StatusCode::BAD_REQUEST);
    assert!(!choose(&[("person", EVIL)]).text().contains("<script"));
    assert_eq!(
        test.post("/authorize", &[("person", "ada")]).status,
        StatusCode::BAD_REQUEST
    );
    let elsewhere = form(&with(ASK, &[("redirect_uri", "http://evil.example/")]));
    let got = test.post("/authorize", &[("request", &elsewhere), ("person", "ada")]);
    assert_eq!(got.status, StatusCode::BAD_REQUEST);
}

#[test]
fn the_way_back_can_be_wrong() {
    let test = Test::new();
    #[rustfmt::skip]
    let rows = [
        ("ada:wrong-state", Some("s-1x"), Some(ISSUER),                           None),
        ("ada:no-state",    None,         Some(ISSUER),                           None),
        ("ada:wrong-iss",   Some("s-1"),  Some("https://somebody-else.example"),  None),
        ("ada:no-iss",      Some("s-1"),  None,                                   None),
        ("ada:refuse",      Some("s-1"),  Some(ISSUER),                           Some("access_denied")),
    ];
    for (who, state, issuer, error) in rows {
        let got = test.ask(&[("mock", who)]);
        assert_eq!(got.sent("state").as_deref(), state, "{who}");
        assert_eq!(got.sent("iss").as_deref(), issuer, "{who}");
        assert_eq!(got.sent("error").as_deref(), error, "{who}");
        assert_eq!(got.sent("code").is_some(), error.is_none(), "{who}");
    }
}

#[test]
fn the_token_endpoint_and_user_info_can_fail() {
    let test = Test::new();
    let rows = ["slow", "broken", "html", "huge", "private"];
    for fault in rows {
        let at_token = test.redeem(&test.code(&format!("ada:{fault}")), &[]);
        let tokens = test.sign_in(&format!("ada:userinfo-{fault}"));
        let at_info = test.get_as("/userinfo", tokens["access_token"].as_str().unwrap());
        for (place, got) in [("token", at_token), ("userinfo", at_info)] {
            let late = Duration::from_secs(if fault == "slow" { 40 } else { 0 });
            assert_eq!(got.after, late, "{place} {fault}");
            match fault {
                "slow" => assert_eq!(got.status, StatusCode::OK),
                "broken" => assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR),
                "html" => assert_eq!(
                    got.headers[header::CONTENT_TYPE],
                    "text/html; charset=utf-8"
                ),
                "huge" => assert!(got.body.len() > HUGE_BYTES),
                _ => assert_eq!(got.location().as_str(), PRIVATE_ADDRESS),
            }
        }
    }
    let refused = test.redeem(&test.code("ada:invalid_grant"), &[]);
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (StatusCode::BAD_REQUEST, &"invalid_grant".into())
    );
    let tokens = test.sign_in("ada:wrong-subject");
    let info = test
        .get_as("/userinfo", tokens["access_token"].as_str().unwrap())
        .json();
    let claims = test.claims(&tokens).unwrap();
    assert_ne!(info["sub"], claims["sub"]);
    // User info is where the rest is learnt, or its faults would touch nobody.
    assert_eq!((claims.get("email"), claims.get("name")), (None, None));
}

#[test]
fn an_id_token_is_wrong_in_the_one_way_that_was_asked_for() {
    let test = Test::new();
    let claims = |behaviour: &str| test.claims(&test.sign_in(&format!("ada:{behaviour}")));
    assert_eq!(claims("wrong-nonce").unwrap()["nonce"], "n-1x");
    assert_eq!(claims("no-nonce").unwrap().get("nonce"), None);
    assert_eq!(
        claims("wrong-issuer").unwrap()["iss"],
        "https://somebody-else.example"
    );
    assert_eq!(claims("wrong-audience").unwrap()["aud"], "somebody-else");
    assert!(claims("expired").unwrap()["exp"].as_i64().unwrap() < NOW);
    assert_eq!(claims("wrong-key"), Err(VerifyError::UnknownKey));
    assert_eq!(claims("wrong-signature"), Err(VerifyError::BadSignature));
    assert_eq!(claims("unsigned"), Err(VerifyError::UnsupportedAlgorithm));
    assert_eq!(test.sign_in("ada:no-id-token").get("id_token"), None);
    let tokens = test.sign_in("ada:wrong-at-hash");
    let hash = left_half_hash(Algorithm::ES256, tokens["access_token"].as_str().unwrap());
    assert_ne!(test.claims(&tokens).unwrap()["at_hash"], hash);
}

#[test]
fn every_behaviour_has_a_name_of_its_own() {
    let mut names = vec!["honest", "refuse"];
    for choice in GROUPS.iter().flat_map(|group| group.choices) {
        assert_eq!(Behaviour::parse(choice.id), Some(choice.behaviour));
        names.push(choice.id);
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(Behaviour::parse(""), None);
}

#[test]
fn the_plain_dialect_has_a_numeric_user_and_errors_with_status_200() {
    let test = Test::new();
    let ask = [
        ("client_id", "us"),
        ("redirect_uri", CALLBACK),
        ("scope", "read:user,user:email"),
        ("state", "s-1"),
        ("mock", "karl"),
    ];
    let back = test.get(&format!("/login/oauth/authorize?{}", form(&ask)));
    assert_eq!(back.sent("iss"), None);
    let code = back.sent("code").unwrap();
    // A code of one dialect is nothing in the other.
    assert_eq!(
        test.redeem(&code, &[("code_verifier", ABSENT)]).json()["error"],
        "invalid_grant"
    );

    let code = test
        .get(&format!("/login/oauth/authorize?{}", form(&ask)))
        .sent("code")
        .unwrap();
    let redeem = [
        ("client_id", "us"),
        ("client_secret", "ours"),
        ("code", &*code),
    ];
    let tokens = test.post("/login/oauth/access_token", &redeem).json();
    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!(
        (
            tokens.get("expires_in"),
            tokens.get("refresh_token"),
            tokens.get("id_token")
        ),
        (None, None, None)
    );
    let again = test.post("/login/oauth/access_token", &redeem);
    assert_eq!(
        (again.status, &again.json()["error"]),
        (StatusCode::OK, &"bad_verification_code".into())
    );

    let token = tokens["access_token"].as_str().unwrap();
    let user = test.get_as("/api/user", token).json();
    assert_eq!(
        (&user["id"], &user["login"], &user["email"]),
        (&1815.into(), &"karl".into(), &Value::Null)
    );
    let emails = test.get_as("/api/user/emails", token).json();
    assert_eq!(
        (&emails[0]["email"], &emails[0]["verified"]),
        (&"karl@example.org".into(), &false.into())
    );
    assert_eq!(
        test.get_as("/api/user", "mock_access_other").status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        test.get_as("/userinfo", token).status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(test.get("/api/user").status, StatusCode::FORBIDDEN);
}

#[test]
fn without_asking_for_json_the_plain_dialect_answers_with_a_form() {
    let test = Test::new();
    let request = Request::post("/login/oauth/access_token")
        .header("content-type", "application/x-www-form-urlencoded");
    let body = form(&[
        ("client_id", "us"),
        ("client_secret", "ours"),
        ("code", "other"),
    ]);
    let got = test.send(request.body(body).unwrap());
    assert!(got.text().starts_with("error=bad_verification_code&"));
}

#[test]
fn nothing_answers_where_nothing_is() {
    let test = Test::new();
    for path in [
        "/nothing",
        "/people/nobody.svg",
        "/people/",
        "/token",
        "/assets/",
    ] {
        assert_eq!(test.get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/", "/jwks", "/api/user", "/nothing"] {
        assert_eq!(test.post(path, &[]).status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/", "/vestibule.css", "/mock.css", "/mark.svg"] {
        let got = test.get(path);
        assert_eq!(got.status, StatusCode::OK, "{path}");
        assert_eq!(
            got.headers[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff",
            "{path}"
        );
    }
}

#[test]
fn the_section_of_an_installation_file_is_toml() {
    let text = installation_provider(&Test::new().provider, "mock");
    let section: toml::Table = toml::from_str(&text).unwrap();
    let provider = &section["tenant"]["provider"][0];
    for (name, value) in [
        ("id", "mock"),
        ("issuer", ISSUER),
        ("client_id", "us"),
        ("client_secret", "ours"),
    ] {
        assert_eq!(provider[name].as_str(), Some(value), "{name}");
    }
}
