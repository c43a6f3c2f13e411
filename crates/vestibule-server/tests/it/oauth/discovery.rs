//! The metadata documents and the key set.

use super::checks::{accepted, get, post, text, verified};
use crate::support::app::{App, START, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, INSTALLATION};
use crate::support::relying_party::{RelyingParty, decode};
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines! {
    oc_28_md_01_md_02_the_document_stands_at_both_places_with_the_issuer_of_its_address,
    md_03_every_listed_endpoint_answers_and_every_working_one_is_listed,
    md_04_md_06_no_list_is_empty_none_signs_nothing_and_nothing_is_claimed_to_be_signed,
    md_05_a_client_without_a_method_uses_basic,
    o21_37_bcp_03_iss_02_pkce_and_iss_are_listed_in_both_documents,
    o21_01_bcp_10_oc_30_a_public_url_without_tls_is_refused_and_one_with_it_is_strict,
    o21_41_bcp_21_headers_of_strangers_change_no_address,
    oc_25_t64_a_key_is_published_before_it_signs_and_after_it_ceases_to,
    oc_25_the_key_set_has_public_members_only_and_sane_cache_headers,
    md_01_other_methods_and_other_places_are_refused,
}

const PLACES: [&str; 2] = [
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
];

async fn oc_28_md_01_md_02_the_document_stands_at_both_places_with_the_issuer_of_its_address(
    app: &App,
) {
    for base in ["", "/t/globex"] {
        for place in PLACES {
            // OpenID Connect Discovery, 4 appends; RFC 8414, 3.1 inserts.
            for path in [format!("{base}{place}"), format!("{place}{base}")] {
                let page = get(app, &path).await;
                assert_eq!(
                    (page.status.as_u16(), page.header("content-type")),
                    (200, "application/json"),
                    "{path}"
                );
                let document = page.json();
                assert_eq!(text(&document, "issuer"), format!("{BASE}{base}"));
                for (name, value) in document.as_object().unwrap() {
                    if name.ends_with("_endpoint") || name.ends_with("_uri") {
                        assert!(
                            value
                                .as_str()
                                .unwrap()
                                .starts_with(&format!("{BASE}{base}/")),
                            "{name} {value}"
                        );
                    }
                }
                assert!(page.header("cache-control").starts_with("public, max-age="));
                assert!(!page.header("etag").is_empty());
                let headers = [("if-none-match", page.header("etag"))];
                let again = Browser::new(app)
                    .send(Method::GET, &path, &headers, "")
                    .await;
                assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
            }
        }
    }
}

#[expect(clippy::too_many_lines, reason = "one table")]
async fn md_03_every_listed_endpoint_answers_and_every_working_one_is_listed(app: &App) {
    let document = get(app, PLACES[0]).await.json();
    for (name, method) in [
        ("authorization_endpoint", Method::GET),
        ("token_endpoint", Method::POST),
        ("userinfo_endpoint", Method::GET),
        ("jwks_uri", Method::GET),
        ("introspection_endpoint", Method::POST),
        ("revocation_endpoint", Method::POST),
        ("end_session_endpoint", Method::GET),
    ] {
        let page = Browser::new(app)
            .send(method, text(&document, name), &[], "")
            .await;
        assert!(
            page.status != 404 && page.status != 405 && page.status.as_u16() < 500,
            "{name} {}",
            page.status
        );
    }
    for absent in [
        "registration_endpoint",
        "pushed_authorization_request_endpoint",
        "device_authorization_endpoint",
        "check_session_iframe",
        "backchannel_logout_supported",
        "frontchannel_logout_supported",
        "dpop_signing_alg_values_supported",
        "request_object_signing_alg_values_supported",
    ] {
        assert!(
            document.get(absent).is_none(),
            "{absent} is listed and does not work"
        );
    }
    for (path, expected) in [
        ("/oauth/register", 404),
        ("/oauth/par", 404),
        ("/oauth/device", 404),
    ] {
        assert_eq!(post(app, path, &[], "").await.status, expected, "{path}");
    }
    // Every listed grant type, scope, algorithm, mode and method is served to somebody; every other is refused.
    let listed = |name: &str| {
        document[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let set = |values: &[&str]| {
        values
            .iter()
            .map(|value| (*value).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        listed("grant_types_supported"),
        set(&["authorization_code", "refresh_token", "client_credentials"])
    );
    for grant_type in [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:device_code",
    ] {
        let page = RelyingParty::web()
            .post(app, "/oauth/token", &[("grant_type", grant_type)])
            .await;
        let unknown = page.body.contains("unsupported_grant_type");
        assert_eq!(
            unknown,
            !listed("grant_types_supported").contains(grant_type),
            "{grant_type}"
        );
    }
    let everything = listed("scopes_supported")
        .into_iter()
        .collect::<Vec<_>>()
        .join(" ");
    let page = Browser::new(app)
        .get(&RelyingParty::web().request(&[("scope", &everything)]))
        .await;
    assert!(
        page.header("location").starts_with("/sign-in"),
        "{}",
        page.header("location")
    );
    assert_eq!(
        listed("token_endpoint_auth_methods_supported"),
        set(&["client_secret_basic", "client_secret_post", "none"])
    );
    for algorithm in ["RS256", "ES256", "EdDSA", "PS256"] {
        assert!(listed("id_token_signing_alg_values_supported").contains(algorithm));
        app.update_client("web", json!({"id_token_signed_response_alg": algorithm}))
            .await;
        let tokens = RelyingParty::web().tokens(app, "ada").await;
        assert_eq!(text(&decode(text(&tokens, "id_token")).0, "alg"), algorithm);
        verified(app, BASE, text(&tokens, "id_token"), "web").await;
    }
    for prompt in listed("prompt_values_supported") {
        let page = Browser::new(app)
            .get(&RelyingParty::web().request(&[("prompt", &prompt)]))
            .await;
        assert!(
            !page.header("location").contains("invalid_request"),
            "{prompt}"
        );
    }
}

async fn md_04_md_06_no_list_is_empty_none_signs_nothing_and_nothing_is_claimed_to_be_signed(
    app: &App,
) {
    for path in PLACES {
        let document = get(app, path).await.json();
        for (name, value) in document.as_object().unwrap() {
            assert!(
                !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()),
                "{name}"
            );
            if name.ends_with("_alg_values_supported") {
                assert!(
                    value
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|algorithm| algorithm != "none"
                            && !algorithm.as_str().unwrap().starts_with("HS")),
                    "{name}"
                );
            }
        }
        assert!(document.get("signed_metadata").is_none());
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["subject_types_supported"], json!(["public"]));
    }
}

async fn md_05_a_client_without_a_method_uses_basic(app: &App) {
    let shown = app
        .server
        .perform(json!({"action": "client_show", "tenant": "default", "client_id": "machine"}))
        .await
        .unwrap();
    assert!(
        shown.to_string().contains("client_secret_basic")
            || !shown.to_string().contains("token_endpoint_auth_method"),
        "{shown}"
    );
    let machine = RelyingParty::machine("machine");
    let fields = [("grant_type", "client_credentials")];
    accepted(&machine.post(app, "/oauth/token", &fields).await);
    let by_post = RelyingParty {
        auth: crate::support::relying_party::Auth::Post,
        ..machine
    };
    assert_eq!(by_post.post(app, "/oauth/token", &fields).await.status, 401);
}

async fn o21_37_bcp_03_iss_02_pkce_and_iss_are_listed_in_both_documents(app: &App) {
    for place in PLACES {
        let document = get(app, place).await.json();
        assert_eq!(
            document["code_challenge_methods_supported"],
            json!(["S256"])
        );
        assert_eq!(
            document["authorization_response_iss_parameter_supported"],
            json!(true)
        );
    }
}

async fn o21_01_bcp_10_oc_30_a_public_url_without_tls_is_refused_and_one_with_it_is_strict(
    app: &App,
) {
    let folder = tempfile::TempDir::new().unwrap();
    let with = |url: &'static str| {
        let mut settings: Vec<(String, String)> = app
            .settings
            .iter()
            .filter(|(name, _)| name != "DATABASE")
            .cloned()
            .collect();
        folder
            .path()
            .to_str()
            .unwrap()
            .clone_into(&mut settings[0].1);
        url.clone_into(&mut settings[1].1);
        settings
    };
    for bad in [
        "http://id.example",
        "http://10.0.0.1",
        "ftp://id.example",
        "https://id.example/#x",
        "https://id.example/?x=1",
        "https://user:pass@id.example",
    ] {
        let settings = with(bad);
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let opened = vestibule_server::testing::TestServer::open(&settings, START, "").await;
        assert!(opened.is_err(), "{bad}");
    }
    let server = App::open(&with("https://id.example"), START, INSTALLATION).await;
    let call = |path: &str| {
        Request::get(path)
            .header("host", "id.example")
            .header("accept", "text/html")
            .body(Bytes::new())
            .unwrap()
    };
    let reply = server.call(call(PLACES[0])).await;
    assert_eq!(
        reply.headers()["strict-transport-security"],
        "max-age=31536000"
    );
    let document: Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(document["issuer"], "https://id.example");
    for (name, value) in document.as_object().unwrap() {
        assert!(
            value.as_str().is_none_or(|text| !text.starts_with("http:")),
            "{name}"
        );
    }
    // The cookie cannot be set by plain http or another host.
    let request = RelyingParty {
        base: String::new(),
        ..RelyingParty::web()
    }
    .request(&[]);
    let reply = server.call(call(&request)).await;
    let cookie = reply.headers()["set-cookie"].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-")
            && cookie.contains("; Secure")
            && cookie.contains("; HttpOnly")
            && cookie.contains("; SameSite=Lax")
            && !cookie.contains("Domain"),
        "{cookie}"
    );
    server.close().await;
}

async fn o21_41_bcp_21_headers_of_strangers_change_no_address(app: &App) {
    let expected = get(app, PLACES[0]).await.body;
    let spoofed = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-port", "1"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "/oauth/token"),
        ("x-rewrite-url", "/evil"),
        ("x-forwarded-client-cert", "Subject=\"CN=web\""),
        ("x-client-cert", "MIIB"),
        ("ssl-client-verify", "SUCCESS"),
        ("x-ssl-client-dn", "CN=web"),
        ("x-real-ip", "1.2.3.4"),
        ("true-client-ip", "1.2.3.4"),
    ];
    for header in spoofed {
        let page = Browser::new(app)
            .send(Method::GET, PLACES[0], &[header], "")
            .await;
        assert_eq!(
            (page.status.as_u16(), page.body == expected),
            (200, true),
            "{header:?}"
        );
        let page = Browser::new(app)
            .send(
                Method::GET,
                &RelyingParty::web().request(&[]),
                &[header],
                "",
            )
            .await;
        assert!(
            page.header("location").starts_with("/sign-in?request="),
            "{header:?} {}",
            page.header("location")
        );
        // No certificate that a header speaks of authenticates anybody.
        let page = post(
            app,
            "/oauth/token",
            &[header],
            "grant_type=client_credentials&client_id=web",
        )
        .await;
        assert_eq!(page.status, 401, "{header:?}");
    }
    for host in [
        "evil.example",
        "127.0.0.1:8081",
        "127.0.0.1",
        "127.0.0.1:8080.evil.example",
        "",
        "127.0.0.1:8080@evil.example",
    ] {
        let mut browser = Browser::new(app);
        host.clone_into(&mut browser.host);
        let page = browser.get(PLACES[0]).await;
        assert_eq!(page.status, 421, "{host}");
        assert!(!page.body.contains("evil"));
    }
}

async fn oc_25_t64_a_key_is_published_before_it_signs_and_after_it_ceases_to(app: &App) {
    let web = RelyingParty::web();
    let ids = |keys: &Value| {
        keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|key| key["alg"] == "EdDSA")
            .map(|key| text(key, "kid").to_owned())
            .collect::<BTreeSet<_>>()
    };
    let before = web.tokens(app, "ada").await;
    let old = text(&decode(text(&before, "access_token")).0, "kid").to_owned();
    assert_eq!(
        ids(&get(app, "/.well-known/jwks.json").await.json()),
        [old.clone()].into()
    );
    assert!(
        app.server
            .rotate("default", "EdDSA")
            .await
            .unwrap()
            .starts_with("Announced")
    );
    let announced = ids(&get(app, "/.well-known/jwks.json").await.json());
    assert!(
        announced.len() == 2 && announced.contains(&old),
        "{announced:?}"
    );
    // Announced, it does not sign, however often somebody asks.
    assert!(
        app.server
            .rotate("default", "EdDSA")
            .await
            .unwrap()
            .starts_with("Waiting")
    );
    app.server.advance(7199);
    app.server.run_jobs().await.unwrap();
    let mut browser = Browser::new(app);
    let page = browser.authorize(&web.request(&[]), "ada").await;
    let late = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(text(&decode(text(&late, "access_token")).0, "kid"), old);
    // Longer than any cache keeps the set, it signs.
    app.server.advance(1);
    app.server.run_jobs().await.unwrap();
    let page = browser.authorize(&web.request(&[]), "ada").await;
    let after = web.exchange(app, &page.answer()["code"]).await.json();
    let new = text(&decode(text(&after, "access_token")).0, "kid").to_owned();
    assert!(announced.contains(&new) && new != old);
    assert_eq!(
        ids(&get(app, "/.well-known/jwks.json").await.json()),
        announced
    );
    verified(app, BASE, text(&late, "access_token"), BASE).await;
    verified(app, BASE, text(&after, "access_token"), BASE).await;
    accepted(&web.userinfo(app, text(&late, "access_token")).await);
    // As long as the longest token lives, the old one stays; then it goes.
    app.server.advance(86_400);
    app.server.run_jobs().await.unwrap();
    assert_eq!(
        ids(&get(app, "/.well-known/jwks.json").await.json()),
        announced
    );
    app.server.advance(86_400);
    app.server.run_jobs().await.unwrap();
    assert_eq!(
        ids(&get(app, "/.well-known/jwks.json").await.json()),
        [new].into()
    );
}

async fn oc_25_the_key_set_has_public_members_only_and_sane_cache_headers(app: &App) {
    for client in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::first_party(),
    ] {
        client.tokens(app, "ada").await;
    }
    let page = get(app, "/.well-known/jwks.json").await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("cache-control"),
            page.header("access-control-allow-origin")
        ),
        (200, "public, max-age=3600", "*")
    );
    // Who has it already is told so, until it changes.
    let known = [("if-none-match", page.header("etag"))];
    let again = async || {
        Browser::new(app)
            .send(Method::GET, "/.well-known/jwks.json", &known, "")
            .await
    };
    let same = again().await;
    assert_eq!((same.status.as_u16(), same.body.as_str()), (304, ""));
    app.server.rotate("default", "ES256").await.unwrap();
    accepted(&again().await);
    let keys = page.json();
    let mut ids = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for key in keys["keys"].as_array().unwrap() {
        for name in key.as_object().unwrap().keys() {
            assert!(
                ["kty", "alg", "use", "kid", "n", "e", "crv", "x", "y"].contains(&name.as_str()),
                "{name}"
            );
        }
        assert_eq!(text(key, "use"), "sig");
        assert!(ids.insert(text(key, "kid").to_owned()), "a kid twice");
        kinds.insert(text(key, "alg").to_owned());
    }
    assert!(
        kinds.contains("RS256") && kinds.contains("ES256") && kinds.contains("EdDSA"),
        "{kinds:?}"
    );
}

async fn md_01_other_methods_and_other_places_are_refused(app: &App) {
    for place in PLACES.into_iter().chain(["/.well-known/jwks.json"]) {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let page = Browser::new(app).send(method, place, &[], "").await;
            assert_eq!(
                (page.status.as_u16(), page.header("allow")),
                (405, "GET"),
                "{place}"
            );
        }
        let head = Browser::new(app).send(Method::HEAD, place, &[], "").await;
        assert_eq!(
            (head.status.as_u16(), head.header("content-type")),
            (200, "application/json"),
            "{place}"
        );
    }
    for path in [
        "/.well-known/openid-configuration/",
        "/.well-known/oauth-authorization-server/t/nobody",
        "/.well-known/oauth-authorization-server/t/",
        "/.well-known/oauth-authorization-server/t/globex/x",
        "/t/globex/t/globex/.well-known/openid-configuration",
        "/t/../.well-known/openid-configuration",
        "/t//.well-known/openid-configuration",
        "/t/GLOBEX/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/globex",
        "/.well-known/oauth-protected-resource",
    ] {
        let page = get(app, path).await;
        assert!(
            [404, 421].contains(&page.status.as_u16()),
            "{path} {}",
            page.status
        );
    }
}
