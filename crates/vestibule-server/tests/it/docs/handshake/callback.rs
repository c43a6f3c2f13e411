//! What comes back, honest or not, and what becomes of it: on a site for everybody the reader stays anonymous without an error, on a
//! private one the page says why.

use super::assert_page;
use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, in_both_docs_worlds};
use crate::support::docs_server::{Answer, EXCHANGE, USER_INFO};
use http::StatusCode;
use serde_json::{Value, json};

in_both_docs_worlds! {
    a_reader_is_known_as_the_info_api_tells,
    t34_a_sign_in_changes_the_handle_and_ends_the_session_before,
    the_session_ends_when_the_info_api_says_and_at_most_after_its_lifetime,
    whatever_goes_wrong_the_site_for_everybody_shows_its_page,
    whatever_goes_wrong_the_private_site_says_why,
    faults_of_the_user_are_told_by_json_path,
    who_says_no_is_told_so_and_can_try_again,
    t05_an_answer_of_another_issuer_is_refused,
    what_is_known_of_a_reader_is_sealed_in_the_records,
    a_confidential_client_proves_itself,
    groups_come_from_an_id_token,
    an_id_token_that_is_not_ours_makes_nobody_known,
    without_an_info_api_signing_in_proves_that_there_is_a_reader,
    t51_a_private_address_is_not_asked,
    script_in_content_stays_text,
    an_info_api_that_stumbles_is_asked_again,
    a_failed_sign_in_leaves_the_session_before,
    too_many_answers_from_one_network_are_not_followed_up,
}

async fn a_reader_is_known_as_the_info_api_tells(world: &DocsWorld<'_>) {
    let told = json!({
        "expiresAt": world.app.server.now() + 3600, "groups": ["admin", "beta"], "content": { "firstName": "Ada", "plan": { "name": "pro" } },
        "apiPlaygroundInputs": { "header": { "X-API-Key": "k" }, "path": { "id": "7" } },
    });
    world.server.knows(&told);
    for site in [HANDBOOK, INTERNAL] {
        let mut reader = world.signed_in(site).await;
        let known = reader.user().await;
        assert_eq!(
            known,
            json!({
                "signedIn": true, "user": told["content"], "groups": told["groups"], "expiresAt": told["expiresAt"],
                "apiPlaygroundInputs": told["apiPlaygroundInputs"],
            })
        );
    }
    let exchange = &world.server.seen(EXCHANGE)[0];
    let names: Vec<&str> = exchange.fields.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "client_id",
            "code",
            "code_verifier",
            "grant_type",
            "redirect_uri"
        ]
    );
    assert!(
        !exchange.headers.contains_key("authorization") && !exchange.headers.contains_key("cookie")
    );
    let asked = &world.server.seen(USER_INFO)[0];
    assert!(asked.headers["authorization"].starts_with("Bearer "));
    assert!(asked.fields.is_empty());
}

async fn t34_a_sign_in_changes_the_handle_and_ends_the_session_before(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let (name, before) = reader
        .cookie()
        .map(|(name, handle)| (name.clone(), handle.clone()))
        .unwrap();
    reader.sign_in("").await;
    let after = reader.cookie().unwrap().1.clone();
    assert_ne!(before, after);
    assert_eq!(world.sessions().await, 1);
    reader.browser.cookies.insert(name, before);
    assert_eq!(reader.user().await["signedIn"], false);
}

async fn the_session_ends_when_the_info_api_says_and_at_most_after_its_lifetime(
    world: &DocsWorld<'_>,
) {
    let now = world.app.server.now();
    world
        .set(HANDBOOK, &json!({ "session_lifetime": "2h" }), None)
        .await;
    let mut readers = Vec::new();
    for told in [Some(600), Some(7 * 86_400), None] {
        world.server.knows(&told.map_or(
            json!({}),
            |seconds: u64| json!({ "expiresAt": now + seconds }),
        ));
        let mut reader = world.reader(HANDBOOK);
        reader.sign_in("").await;
        let expected = told.unwrap_or(7200).min(7200);
        let line = reader
            .browser
            .set_cookies
            .iter()
            .rfind(|line| line.contains("vestibule-reader"))
            .unwrap();
        assert!(line.ends_with(&format!("Max-Age={expected}")), "{line}");
        assert_eq!(reader.user().await["expiresAt"], json!(now + expected));
        readers.push((reader, expected));
    }
    world.app.server.advance(599);
    assert_eq!(readers[0].0.user().await["signedIn"], true);
    world.app.server.advance(1);
    let gone = readers[0].0.user().await;
    assert_eq!(
        gone,
        json!({ "signedIn": false, "user": {}, "groups": [], "expiresAt": null, "apiPlaygroundInputs": {} })
    );
    assert_eq!(readers[1].0.user().await["signedIn"], true);
    world.app.server.advance(6600);
    for (reader, _) in &mut readers {
        assert_eq!(reader.user().await["signedIn"], false);
    }
}

/// Ways in which the other side fails, each with a part of what our log says.
fn failures(world: &DocsWorld<'_>) -> Vec<(&'static str, Answer, &'static str)> {
    let mut all = token_failures();
    all.extend(user_failures(world.app.server.now()));
    all
}

fn token_failures() -> Vec<(&'static str, Answer, &'static str)> {
    let huge = "x".repeat(300 * 1024);
    vec![
        (EXCHANGE, Answer::html(200), "not a JSON object"),
        (EXCHANGE, Answer::html(500), "the token endpoint failed"),
        (
            EXCHANGE,
            Answer::json(404, &json!({})),
            "a status other than 200",
        ),
        (EXCHANGE, Answer::json(200, &json!([])), "not a JSON object"),
        (
            EXCHANGE,
            Answer::json(200, &json!({ "token_type": "Bearer" })),
            "no access token",
        ),
        (
            EXCHANGE,
            Answer::json(200, &json!({ "access_token": 7 })),
            "no access token",
        ),
        (
            EXCHANGE,
            Answer::json(200, &json!({ "access_token": "a", "token_type": "mac" })),
            "token_type is not Bearer",
        ),
        (
            EXCHANGE,
            Answer::json(400, &json!({ "error": "invalid_grant" })),
            "invalid_grant",
        ),
        (
            EXCHANGE,
            Answer::json(200, &json!({ "access_token": huge })),
            "the token URL: ",
        ),
        (
            EXCHANGE,
            Answer::redirect("https://evil.test/exchange"),
            "status 302 points to",
        ),
        (USER_INFO, Answer::html(200), "the media type is"),
        (USER_INFO, Answer::json(401, &json!({})), "status 401"),
    ]
}

fn user_failures(now: u64) -> Vec<(&'static str, Answer, &'static str)> {
    let huge = "x".repeat(300 * 1024);
    vec![
        (
            USER_INFO,
            Answer::redirect("/sign-in"),
            "status 302 points to",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "content": { "a": huge } })),
            "more than 65536 bytes",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!([])),
            "$: the answer is an object",
        ),
        (
            USER_INFO,
            Answer::text("application/json", "{"),
            "$: this is not JSON",
        ),
        (
            USER_INFO,
            Answer::text("application/json", ""),
            "$: this is not JSON",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "groups": "admin" })),
            "$.groups: ",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "groups": ["a", 3] })),
            "$.groups[1]: ",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "expiresAt": now })),
            "$.expiresAt: this is in the past",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "expiresAt": now - 1 })),
            "$.expiresAt: this is in the past",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "expiresAt": (now + 60) * 1000 })),
            "$.expiresAt: this is after the year 3000; are these milliseconds?",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "expiresAt": "soon" })),
            "$.expiresAt: ",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "content": ["x"] })),
            "$.content: ",
        ),
        (
            USER_INFO,
            Answer::json(200, &json!({ "apiPlaygroundInputs": "x" })),
            "$.apiPlaygroundInputs: ",
        ),
    ]
}

async fn whatever_goes_wrong_the_site_for_everybody_shows_its_page(world: &DocsWorld<'_>) {
    for (path, answer, detail) in failures(world) {
        world.server.answers(path, answer.clone());
        let mut reader = world.reader(HANDBOOK);
        let page = reader.sign_in("/docs/page#anchor").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{answer:?}");
        assert_eq!(
            page.header("location"),
            "https://docs.acme.test/docs/page#anchor"
        );
        assert!(
            world.app.last_detail().contains(detail),
            "{detail}: {}",
            world.app.last_detail()
        );
        assert_eq!(reader.user().await["signedIn"], false, "{answer:?}");
        assert!(reader.browser.cookies.is_empty(), "the attempt is used up");
        world.server.is_honest(path);
    }
    assert_eq!(world.sessions().await, 0);
}

async fn whatever_goes_wrong_the_private_site_says_why(world: &DocsWorld<'_>) {
    for (path, answer, detail) in failures(world) {
        world.server.answers(path, answer.clone());
        let mut reader = world.reader(INTERNAL);
        let page = reader.sign_in("/page#anchor").await;
        assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
        assert!(page.body.contains("id=\"reason\""), "{answer:?}");
        assert!(
            page.body
                .contains("href=\"/_handshake/sign-in?return_to=%2Fpage%23anchor\""),
            "{}",
            page.body
        );
        assert!(
            !page.body.contains("127.0.0.1"),
            "an address of the inside: {}",
            page.body
        );
        assert!(
            world.app.last_detail().contains(detail),
            "{detail}: {}",
            world.app.last_detail()
        );
        assert_eq!(reader.user().await["signedIn"], false, "{answer:?}");
        world.server.is_honest(path);
    }
    assert_eq!(world.sessions().await, 0);
}

async fn faults_of_the_user_are_told_by_json_path(world: &DocsWorld<'_>) {
    world
        .server
        .knows(&json!({ "groups": ["a", 3, "<script>"], "expiresAt": "1800000000", "content": 1 }));
    let page = world.reader(INTERNAL).sign_in("").await;
    for path in [
        "$.expiresAt: ",
        "$.groups[1]: a group is a text, this is a number",
        "$.content: ",
    ] {
        assert!(page.body.contains(path), "{path}: {}", page.body);
    }
}

async fn who_says_no_is_told_so_and_can_try_again(world: &DocsWorld<'_>) {
    for error in ["access_denied", "login_required", "consent_required"] {
        let with = [
            ("error", error),
            ("error_description", "<script>alert(1)</script>"),
        ];
        let mut reader = world.reader(INTERNAL);
        let request = reader.depart("/page").await;
        let page = reader
            .get(&world.server.sends_back(&request, &with), &[])
            .await;
        assert_page(&page, StatusCode::FORBIDDEN, "You did not sign in");
        assert!(!page.body.contains("<script>alert"), "{}", page.body);
        let mut reader = world.reader(HANDBOOK);
        let request = reader.depart("/docs/page").await;
        let page = reader
            .get(&world.server.sends_back(&request, &with), &[])
            .await;
        assert_eq!(page.header("location"), "https://docs.acme.test/docs/page");
    }
    let mut reader = world.reader(INTERNAL);
    for with in [
        vec![("error", "server_error")],
        vec![],
        vec![("code", "a"), ("error", "access_denied")],
        vec![("code", "a"), ("code", "b")],
    ] {
        let request = reader.depart("").await;
        let page = reader
            .get(&world.server.sends_back(&request, &with), &[])
            .await;
        assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
    }
    assert!(world.server.seen(EXCHANGE).is_empty());
}

async fn t05_an_answer_of_another_issuer_is_refused(world: &DocsWorld<'_>) {
    world
        .set(
            INTERNAL,
            &json!({ "issuer": "https://auth.foo.test" }),
            None,
        )
        .await;
    let mut reader = world.reader(INTERNAL);
    for iss in [
        "https://evil.test",
        "https://auth.foo.test/",
        "auth.foo.test",
    ] {
        let request = reader.depart("").await;
        let back = world
            .server
            .sends_back(&request, &[("code", "c"), ("iss", iss)]);
        assert_page(
            &reader.get(&back, &[]).await,
            StatusCode::BAD_GATEWAY,
            "We could not sign you in",
        );
    }
    assert!(
        world.server.seen(EXCHANGE).is_empty(),
        "the code of another server was sent on"
    );
    for iss in ["", "&iss=https%3A%2F%2Fauth.foo.test"] {
        let back = world.server.sign_in(&reader.depart("").await);
        let page = reader.get(&format!("{back}{iss}"), &[]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{iss}");
    }
}

async fn what_is_known_of_a_reader_is_sealed_in_the_records(world: &DocsWorld<'_>) {
    world
        .server
        .knows(&json!({ "content": { "firstName": "Zyxwvut" } }));
    world.signed_in(HANDBOOK).await;
    // X'…' and bytea compare alike once both are hexadecimal text; LIKE on the sealed bytes finds no name in the clear.
    let postgres = world
        .app
        .settings
        .iter()
        .any(|(name, _)| name == "DATABASE");
    let found = if postgres {
        "SELECT COUNT(*) FROM reader_sessions WHERE position('\\x5a7978777675'::bytea in sealed) > 0"
    } else {
        "SELECT COUNT(*) FROM reader_sessions WHERE instr(sealed, X'5a7978777675') > 0"
    };
    assert_eq!(world.app.number(found).await, 0);
    assert_eq!(world.sessions().await, 1);
}

async fn a_confidential_client_proves_itself(world: &DocsWorld<'_>) {
    world.server.has_secret("s3cret of & the site");
    world
        .set(INTERNAL, &json!({}), Some("s3cret of & the site"))
        .await;
    world.signed_in(INTERNAL).await;
    let form = &world.server.seen(EXCHANGE)[0].fields;
    assert_eq!(form["client_secret"], "s3cret of & the site");
    assert!(form.contains_key("code_verifier"));
    let basic = json!({ "token_endpoint_auth_method": "client_secret_basic" });
    world
        .set(INTERNAL, &basic, Some("s3cret of & the site"))
        .await;
    world.reader(INTERNAL).sign_in("").await;
    let asked = &world.server.seen(EXCHANGE)[1];
    assert!(asked.headers["authorization"].starts_with("Basic "));
    assert!(!asked.fields.contains_key("client_secret") && !asked.fields.contains_key("client_id"));
    // Without the secret there is nobody to be.
    world.set(INTERNAL, &json!({}), None).await;
    let page = world.reader(INTERNAL).sign_in("").await;
    assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
}

fn with_id_token() -> Value {
    json!({
        "scopes": ["openid"], "issuer": "https://auth.foo.test", "info_api_url": null,
        "group_claims": { "source": "id_token", "claim": "roles", "delimiter": "," },
    })
}

fn good_claims(world: &DocsWorld<'_>) -> Value {
    json!({
        "iss": "https://auth.foo.test", "aud": crate::support::docs_server::CLIENT_ID, "exp": world.app.server.now() + 60, "sub": "ada",
        "roles": "admin, beta",
    })
}

async fn groups_come_from_an_id_token(world: &DocsWorld<'_>) {
    world.set(INTERNAL, &with_id_token(), None).await;
    world.server.states(&good_claims(world));
    let mut reader = world.signed_in(INTERNAL).await;
    assert_eq!(reader.user().await["groups"], json!(["admin", "beta"]));
    assert!(world.server.seen(USER_INFO).is_empty());
    // With an Info API they come together.
    let mut both = with_id_token();
    both["info_api_url"] = json!(world.server.url(USER_INFO));
    world.set(INTERNAL, &both, None).await;
    world
        .server
        .knows(&json!({ "groups": ["beta", "staff"], "content": {} }));
    let mut reader = world.signed_in(INTERNAL).await;
    assert_eq!(
        reader.user().await["groups"],
        json!(["beta", "staff", "admin"])
    );
}

async fn an_id_token_that_is_not_ours_makes_nobody_known(world: &DocsWorld<'_>) {
    world.set(INTERNAL, &with_id_token(), None).await;
    for (name, value) in [
        ("iss", json!("https://evil.test")),
        ("aud", json!("somebody-else")),
        ("exp", json!(world.app.server.now() - 61)),
        ("nonce", json!("another")),
        ("roles", json!({ "admin": true })),
        ("roles", json!([7])),
    ] {
        let mut claims = good_claims(world);
        claims[name] = value;
        world.server.states(&claims);
        let page = world.reader(INTERNAL).sign_in("").await;
        assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
    }
    assert_eq!(world.sessions().await, 0);
}

async fn without_an_info_api_signing_in_proves_that_there_is_a_reader(world: &DocsWorld<'_>) {
    world
        .set(INTERNAL, &json!({ "info_api_url": null }), None)
        .await;
    let mut reader = world.signed_in(INTERNAL).await;
    let known = reader.user().await;
    assert_eq!((&known["user"], &known["groups"]), (&json!({}), &json!([])));
    assert!(world.server.seen(USER_INFO).is_empty());
}

async fn t51_a_private_address_is_not_asked(world: &DocsWorld<'_>) {
    // The settings of the test let 127.0.0.1 be called, and no other private address.
    for changes in [
        json!({ "token_url": "https://10.0.0.1/exchange" }),
        json!({ "token_url": "http://[::1]:1/exchange" }),
        json!({ "info_api_url": "https://192.168.0.1/user" }),
        json!({ "info_api_url": "https://169.254.169.254/latest/meta-data" }),
    ] {
        world.set(INTERNAL, &changes, None).await;
        let page = world.reader(INTERNAL).sign_in("").await;
        assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
        assert!(
            page.body.contains("the other server gave no answer"),
            "{}",
            page.body
        );
    }
    // A closed port reads the same.
    world
        .set(
            INTERNAL,
            &json!({ "token_url": "http://127.0.0.1:1/exchange" }),
            None,
        )
        .await;
    let page = world.reader(INTERNAL).sign_in("").await;
    assert!(
        page.body
            .contains("the token URL: the other server gave no answer"),
        "{}",
        page.body
    );
}

async fn script_in_content_stays_text(world: &DocsWorld<'_>) {
    let evil = "</script><script>alert(1)</script>";
    world
        .server
        .knows(&json!({ "content": { "firstName": evil, evil: 1 }, "groups": [evil] }));
    let mut reader = world.signed_in(HANDBOOK).await;
    assert_eq!(reader.user().await["user"]["firstName"], evil);
    let page = reader.get(&HANDBOOK.handshake("user"), &[]).await;
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
}

async fn an_info_api_that_stumbles_is_asked_again(world: &DocsWorld<'_>) {
    world
        .server
        .answers(USER_INFO, Answer::json(503, &json!({})));
    let page = world.reader(INTERNAL).sign_in("").await;
    assert_page(&page, StatusCode::BAD_GATEWAY, "We could not sign you in");
    assert_eq!(world.server.seen(USER_INFO).len(), 3);
    // A code counts once, so the token URL is not.
    world
        .server
        .answers(EXCHANGE, Answer::json(503, &json!({})));
    world.reader(INTERNAL).sign_in("").await;
    assert_eq!(world.server.seen(EXCHANGE).len(), 2);
}

async fn a_failed_sign_in_leaves_the_session_before(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    world.server.answers(EXCHANGE, Answer::html(500));
    reader.sign_in("").await;
    assert_eq!(reader.user().await["signedIn"], true);
}

async fn too_many_answers_from_one_network_are_not_followed_up(world: &DocsWorld<'_>) {
    world.server.answers(
        EXCHANGE,
        Answer::json(400, &json!({ "error": "invalid_grant" })),
    );
    let mut reader = world.reader(INTERNAL);
    for _ in 0..120 {
        reader.sign_in("").await;
    }
    let page = reader.sign_in("").await;
    assert_page(
        &page,
        StatusCode::TOO_MANY_REQUESTS,
        "We are very busy right now",
    );
    assert_eq!(world.server.seen(EXCHANGE).len(), 120);
    world.app.server.advance(1);
    reader.sign_in("").await;
    assert_eq!(world.server.seen(EXCHANGE).len(), 121);
}

/// This test waits as long as we do.
#[tokio::test]
async fn t51_a_slow_server_is_waited_for_ten_seconds_at_most() {
    crate::support::app::App::sqlite_settings(async |settings| {
        DocsWorld::run(settings, async |world| {
            let mut readers = [world.reader(HANDBOOK), world.reader(INTERNAL)];
            world.server.answers(EXCHANGE, Answer::slow());
            let [one, two] = &mut readers;
            let patience = std::time::Duration::from_secs(30);
            let both = async { tokio::join!(one.sign_in("/docs/a"), two.sign_in("/a")) };
            let (public, private) = tokio::time::timeout(patience, both)
                .await
                .expect("nobody waits that long");
            assert_eq!(public.header("location"), "https://docs.acme.test/docs/a");
            assert_page(
                &private,
                StatusCode::BAD_GATEWAY,
                "We could not sign you in",
            );
            assert!(
                private
                    .body
                    .contains("the token URL: the other server gave no answer"),
                "{}",
                private.body
            );
        })
        .await;
    })
    .await;
}
