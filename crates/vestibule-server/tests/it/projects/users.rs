//! `/users…`: people as their apps and the project's servers see and change them.

use super::answers::{
    NOBODY, as_client, as_server, by_server, good, id_of, in_words, known, schema, session_of,
};
use crate::support::app::{START, from_settings_on_both_engines};
use crate::support::browser::Page;
use crate::support::installation::{PASSWORD, TENANT_ID};
use crate::support::project::{FAMILIES, SECRET_KEY, World, in_both_worlds};
use crate::support::relying_party::RelyingParty;
use http::Method;
use serde_json::{Map, Value, json};

in_both_worlds! {
    a_person_reads_what_the_sdks_read,
    a_server_reads_more,
    a_disabled_person_reads_as_restricted,
    nobody_is_told_so,
    t62_a_client_reaches_nobody_else,
    a_person_changes_what_is_theirs,
    what_a_person_may_not_change_is_named,
    a_server_changes_more,
    what_is_not_there_may_be_said_as_it_is_and_not_otherwise,
    values_that_do_not_fit_are_refused_all_at_once,
    an_address_that_somebody_has_is_refused,
    another_address_is_not_proved,
    a_changed_password_ends_every_session,
    changes_at_the_same_time_are_all_kept,
    a_server_makes_people,
    a_server_lists_people_page_by_page,
    a_list_is_narrowed_and_bad_parameters_are_named,
    a_person_removes_themselves_only_where_that_is_allowed,
    a_server_removes_people_with_all_they_had,
    t33_who_runs_the_installation_is_out_of_a_project_s_reach,
}

from_settings_on_both_engines! {
    a_person_may_remove_themselves,
}

const UNKNOWN: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02";
const STRONG: &str = "violet-harbour-kettle-93";

async fn me(world: &World<'_>, tokens: &Value) -> Value {
    let page = world
        .call(Method::GET, "/users/me", &as_client(tokens), None)
        .await;
    good(&page, 200)
}

/// An object of so many levels.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }))
}

async fn patch_me(world: &World<'_>, tokens: &Value, body: Value) -> Page {
    world
        .call(Method::PATCH, "/users/me", &as_client(tokens), Some(body))
        .await
}

async fn patch(world: &World<'_>, id: &str, body: Value) -> Page {
    by_server(world, Method::PATCH, &format!("/users/{id}"), Some(body)).await
}

async fn read(world: &World<'_>, id: &str) -> Value {
    good(
        &by_server(world, Method::GET, &format!("/users/{id}"), None).await,
        200,
    )
}

async fn create(world: &World<'_>, body: Value) -> Page {
    by_server(world, Method::POST, "/users", Some(body)).await
}

/// Whether somebody signs in with a password on the hosted page.
async fn signs_in(world: &World<'_>, identifier: &str, password: &str) -> bool {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let fields = [("username", identifier), ("password", password)];
    browser.submit_once(&page, &fields).await.status == 303
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

/// What a person without anything reads of themselves.
fn plain() -> Value {
    json!({
        "primary_email": null, "primary_email_verified": false, "display_name": null, "profile_image_url": null,
        "signed_up_at_millis": START * 1000, "client_metadata": null, "client_read_only_metadata": null,
        "has_password": false, "auth_with_email": false, "otp_auth_enabled": false, "passkey_auth_enabled": false,
        "requires_totp_mfa": false, "is_anonymous": false, "is_restricted": false, "restricted_reason": null,
        "restricted_by_admin": false, "restricted_by_admin_reason": null, "oauth_providers": [],
        "selected_team": null, "selected_team_id": null,
    })
}

/// What a server reads besides.
fn server_plain() -> Value {
    json!({
        "primary_email_auth_enabled": false, "server_metadata": null, "last_active_at_millis": START * 1000,
        "restricted_by_admin_private_details": null, "country_code": null,
        "risk_scores": { "sign_up": { "bot": 0, "free_trial_abuse": 0 } },
    })
}

fn with(base: &[Value], changed: Value) -> Value {
    let mut all = Map::new();
    for part in base {
        all.extend(object(part.clone()));
    }
    all.extend(object(changed));
    Value::Object(all)
}

async fn a_person_reads_what_the_sdks_read(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let user = me(world, &tokens).await;
    let id = user["id"].as_str().unwrap().to_owned();
    let picture = format!("{}/people/mary.svg", world.upstream.server.issuer());
    let account = &user["oauth_providers"][0]["account_id"];
    assert!(account.is_string());
    let expected = with(
        &[plain()],
        json!({
            "id": id, "primary_email": "mary@example.org", "primary_email_verified": true, "display_name": "Mary Somerville",
            "profile_image_url": picture,
            "oauth_providers": [{ "id": "google", "account_id": account, "email": "mary@example.org" }],
        }),
    );
    assert_eq!(user, expected);
    for family in FAMILIES {
        for path in ["/users/me", &format!("/users/{id}")] {
            let page = world
                .call_in(family, Method::GET, path, &as_client(&tokens), None)
                .await;
            assert_eq!(good(&page, 200), expected);
        }
    }
    let emmy = me(world, &world.sign_in("emmy").await).await;
    assert_eq!(
        (&emmy["primary_email"], &emmy["primary_email_verified"]),
        (&Value::Null, &json!(false))
    );
    let ada = me(
        world,
        &session_of(world, &id_of(world, "ada@acme.test").await).await,
    )
    .await;
    assert_eq!(
        (&ada["has_password"], &ada["auth_with_email"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(ada["client_metadata"], json!({ "theme": "dark" }));
    assert_eq!(ada["client_read_only_metadata"], json!({ "plan": "pro" }));
}

async fn a_server_reads_more(world: &World<'_>) {
    let emmy = world.sign_in("emmy").await;
    let id = me(world, &emmy).await["id"].as_str().unwrap().to_owned();
    let user = read(world, &id).await;
    let expected = with(
        &[plain(), server_plain()],
        json!({
            "id": id, "display_name": "Emmy Noether", "profile_image_url": user["profile_image_url"],
            "oauth_providers": user["oauth_providers"],
        }),
    );
    assert_eq!(user, expected);
    // `me` is whose token it shows.
    let page = world
        .call(Method::GET, "/users/me", &as_server(&emmy), None)
        .await;
    assert_eq!(good(&page, 200), expected);
    let page = world
        .call(Method::GET, &format!("/users/{id}"), &World::admin(), None)
        .await;
    assert_eq!(good(&page, 200), expected);
    // Being there counts as being active.
    world.app.server.advance(120);
    let headers = [
        &NOBODY[..],
        &[("refresh-token", emmy["refresh_token"].as_str().unwrap())],
    ]
    .concat();
    let page = world
        .call(
            Method::POST,
            "/auth/sessions/current/refresh",
            &headers,
            None,
        )
        .await;
    good(&page, 200);
    let user = read(world, &id).await;
    assert_eq!(user["last_active_at_millis"], (START + 120) * 1000);
    assert_eq!(user["signed_up_at_millis"], START * 1000);
    let ada = read(world, &id_of(world, "ada@acme.test").await).await;
    assert_eq!(ada["server_metadata"], json!({ "crm_id": "42" }));
    assert_eq!(ada["primary_email_auth_enabled"], true);
}

async fn a_disabled_person_reads_as_restricted(world: &World<'_>) {
    let carol = read(world, &id_of(world, "carol").await).await;
    assert_eq!(
        (
            &carol["is_restricted"],
            &carol["restricted_by_admin"],
            &carol["restricted_reason"]
        ),
        (
            &json!(true),
            &json!(true),
            &json!({ "type": "restricted_by_administrator" })
        )
    );
    // Whoever is disabled while signed in is signed in no more.
    let tokens = world.sign_in("mary").await;
    let id = me(world, &tokens).await["id"].clone();
    let action = json!({ "action": "user_disable", "tenant": "default", "user": id });
    world.app.server.perform(action).await.unwrap();
    let page = world
        .call(Method::GET, "/users/me", &as_client(&tokens), None)
        .await;
    known(&page, 401, "ACCESS_TOKEN_EXPIRED");
}

async fn nobody_is_told_so(world: &World<'_>) {
    for method in [Method::GET, Method::PATCH] {
        let body = (method == Method::PATCH).then(|| json!({}));
        for headers in [NOBODY.to_vec(), World::server()] {
            let page = world
                .call(method.clone(), "/users/me", &headers, body.clone())
                .await;
            known(&page, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
        }
    }
    let page = world.call(Method::DELETE, "/users/me", &NOBODY, None).await;
    known(&page, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    let headers = [&NOBODY[..], &[("override-error-status", "true")]].concat();
    let page = world.call(Method::GET, "/users/me", &headers, None).await;
    known(&page, 200, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    assert_eq!(page.header("x-stack-actual-status"), "400");
    // An id that is nobody's, or none.
    for id in [
        UNKNOWN,
        "bob",
        "ME",
        &UNKNOWN.to_uppercase(),
        "%00",
        "me%20",
    ] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let body = (method == Method::PATCH).then(|| json!({}));
            let page = by_server(world, method, &format!("/users/{id}"), body).await;
            known(&page, 404, "USER_NOT_FOUND");
        }
    }
    let globex = world
        .app
        .server
        .perform(json!({ "action": "user_show", "tenant": "globex", "user": "ada" }))
        .await
        .unwrap();
    let path = format!("/users/{}", globex["id"].as_str().unwrap());
    for method in [Method::GET, Method::DELETE] {
        known(
            &by_server(world, method, &path, None).await,
            404,
            "USER_NOT_FOUND",
        );
    }
    let page = world.call(Method::PUT, "/users/me", &NOBODY, None).await;
    in_words(&page, 405);
    assert_eq!(page.header("allow"), "GET, PATCH, DELETE");
}

async fn t62_a_client_reaches_nobody_else(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let bob = id_of(world, "bob").await;
    for (method, path) in [
        (Method::GET, format!("/users/{bob}")),
        (Method::PATCH, format!("/users/{bob}")),
        (Method::DELETE, format!("/users/{bob}")),
        (Method::GET, format!("/users/{UNKNOWN}")),
        (Method::GET, "/users/bob".to_owned()),
        (Method::GET, "/users".to_owned()),
        (Method::POST, "/users".to_owned()),
    ] {
        for headers in [as_client(&tokens), NOBODY.to_vec()] {
            let page = world.call(method.clone(), &path, &headers, None).await;
            let error = known(&page, 401, "INSUFFICIENT_ACCESS_TYPE");
            assert_eq!(
                error["details"],
                json!({ "actual_access_type": "client", "allowed_access_types": ["server", "admin"] }),
                "{method} {path}"
            );
        }
    }
    assert_eq!(read(world, &bob).await["display_name"], "Bob");
}

async fn a_person_changes_what_is_theirs(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let before = me(world, &tokens).await;
    let set = json!({
        "display_name": "Mary S.", "client_metadata": { "theme": "light", "n": [1, null] },
        "profile_image_url": "https://app.acme.test/mary.png",
    });
    let page = patch_me(world, &tokens, set.clone()).await;
    let expected = with(&[before], set);
    assert_eq!(good(&page, 200), expected);
    assert_eq!(me(world, &tokens).await, expected);
    // What is not named stays, and nothing is nothing.
    for body in [Some(json!({})), None] {
        let page = world
            .call(Method::PATCH, "/users/me", &as_client(&tokens), body)
            .await;
        assert_eq!(good(&page, 200), expected);
    }
    let body = json!({ "display_name": null, "client_metadata": null, "profile_image_url": null });
    let after = good(&patch_me(world, &tokens, body.clone()).await, 200);
    assert_eq!(after, with(&[expected], body));
    // What is said as it is changes nothing.
    let body = json!({
        "otp_auth_enabled": false, "passkey_auth_enabled": false, "selected_team_id": null, "totp_secret_base64": null,
        "primary_email": "mary@example.org",
    });
    for family in FAMILIES {
        let page = world
            .call_in(
                family,
                Method::PATCH,
                "/users/me",
                &as_client(&tokens),
                Some(body.clone()),
            )
            .await;
        assert_eq!(good(&page, 200), after);
    }
}

async fn what_a_person_may_not_change_is_named(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let before = me(world, &tokens).await;
    for (name, value) in [
        ("primary_email", json!("mary@evil.test")),
        ("primary_email", json!(null)),
        ("primary_email_verified", json!(true)),
        ("client_read_only_metadata", json!({ "plan": "pro" })),
        ("server_metadata", json!({})),
        ("password", json!(STRONG)),
        ("otp_auth_enabled", json!(true)),
        ("passkey_auth_enabled", json!(true)),
        ("totp_secret_base64", json!("AAAA")),
        ("selected_team_id", json!(UNKNOWN)),
        ("id", json!(UNKNOWN)),
        ("is_anonymous", json!(false)),
        ("restricted_by_admin", json!(false)),
        ("colour", json!("blue")),
    ] {
        let body = json!({ "display_name": "Changed", name: value });
        let page = patch_me(world, &tokens, body).await;
        schema(&page, &[&format!("body.{name} "), "PATCH /api/v1/users"]);
    }
    assert_eq!(me(world, &tokens).await, before);
}

async fn a_server_changes_more(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    let before = read(world, &bob).await;
    let set = json!({
        "primary_email": "Robert@acme.test", "primary_email_verified": true, "display_name": "Robert",
        "client_metadata": { "a": 1 }, "client_read_only_metadata": { "b": 2 }, "server_metadata": { "c": 3 },
        "profile_image_url": "https://app.acme.test/bob.png",
    });
    let after = good(&patch(world, &bob, set.clone()).await, 200);
    assert_eq!(after, with(&[before], set));
    assert_eq!(read(world, &bob).await, after);
    // The person and the standard endpoints see the same.
    let seen = me(world, &session_of(world, &bob).await).await;
    assert_eq!(
        (&seen["display_name"], seen.get("server_metadata")),
        (&json!("Robert"), None)
    );
    let tokens = RelyingParty::web().tokens(world.app, "bob").await;
    let info = RelyingParty::web()
        .userinfo(world.app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(
        (&info["name"], &info["email"], &info["email_verified"]),
        (&json!("Robert"), &json!("Robert@acme.test"), &json!(true))
    );
    // A server that acts for somebody does so as a server.
    let mary = world.sign_in("mary").await;
    let body = json!({ "server_metadata": { "vip": true } });
    let page = world
        .call(Method::PATCH, "/users/me", &as_server(&mary), Some(body))
        .await;
    assert_eq!(good(&page, 200)["server_metadata"], json!({ "vip": true }));
    // An address can be taken away.
    let body = json!({ "primary_email": null });
    let after = good(&patch(world, &bob, body).await, 200);
    assert_eq!(
        (
            &after["primary_email"],
            &after["primary_email_verified"],
            &after["primary_email_auth_enabled"]
        ),
        (&Value::Null, &json!(false), &json!(false))
    );
}

async fn what_is_not_there_may_be_said_as_it_is_and_not_otherwise(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    let said = json!({
        "otp_auth_enabled": false, "passkey_auth_enabled": false, "selected_team_id": null, "totp_secret_base64": null,
        "primary_email_auth_enabled": true, "is_anonymous": false, "restricted_by_admin": false,
        "restricted_by_admin_reason": null, "restricted_by_admin_private_details": null, "country_code": null,
        "password_hash": null, "risk_scores": { "sign_up": { "bot": 0, "free_trial_abuse": 0 } },
    });
    good(&patch(world, &bob, said.clone()).await, 200);
    good(
        &patch(world, &bob, json!({ "risk_scores": null })).await,
        200,
    );
    let new = with(&[said], json!({ "primary_email": "new@acme.test" }));
    good(&create(world, new).await, 201);
    let otherwise = [
        ("otp_auth_enabled", json!(true)),
        ("passkey_auth_enabled", json!(true)),
        ("selected_team_id", json!(UNKNOWN)),
        ("totp_secret_base64", json!("AAAA")),
        ("primary_email_auth_enabled", json!(false)),
        ("is_anonymous", json!(true)),
        ("restricted_by_admin", json!(true)),
        ("restricted_by_admin_reason", json!("because")),
        ("restricted_by_admin_private_details", json!("because")),
        ("country_code", json!("FR")),
        ("password_hash", json!("$2a$10$abc")),
        (
            "risk_scores",
            json!({ "sign_up": { "bot": 1, "free_trial_abuse": 0 } }),
        ),
        ("risk_scores", json!({})),
        ("oauth_providers", json!([])),
    ];
    for (name, value) in otherwise {
        let named = format!("body.{name} ");
        schema(&patch(world, &bob, json!({ name: value })).await, &[&named]);
        let page = create(
            world,
            json!({ "primary_email": "newer@acme.test", name: value }),
        )
        .await;
        schema(&page, &[&named, "POST /api/v1/users"]);
    }
    let page = patch(
        world,
        &bob,
        json!({ "otp_auth_enabled": true, "country_code": "FR" }),
    )
    .await;
    schema(&page, &["body.otp_auth_enabled", "body.country_code"]);
}

async fn values_that_do_not_fit_are_refused_all_at_once(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    let before = read(world, &bob).await;
    let big = json!({ "a": "x".repeat(17 * 1024) });
    let deep = nested(17);
    for (name, value) in [
        ("display_name", json!(7)),
        ("display_name", json!("x".repeat(513))),
        ("display_name", json!("a\u{0}b")),
        ("display_name", json!("a\nb")),
        ("profile_image_url", json!("javascript:alert(1)")),
        ("profile_image_url", json!("")),
        ("profile_image_url", json!("data:image/png;base64,AAAA")),
        ("profile_image_url", json!(["https://a.test/"])),
        ("client_metadata", json!([])),
        ("client_metadata", json!("text")),
        ("client_metadata", big.clone()),
        ("client_metadata", json!({ "a": "\u{0}" })),
        ("client_metadata", deep.clone()),
        ("client_metadata", nested(100)),
        ("client_metadata", json!({ "a": [deep.clone()] })),
        ("client_read_only_metadata", json!(1)),
        ("client_read_only_metadata", big.clone()),
        ("client_read_only_metadata", deep.clone()),
        ("server_metadata", json!(false)),
        ("server_metadata", big),
        ("server_metadata", deep),
        ("primary_email", json!("not an address")),
        ("primary_email", json!("")),
        ("primary_email", json!({})),
        ("primary_email_verified", json!("true")),
        ("primary_email_verified", json!(null)),
        ("password", json!(7)),
        ("password", json!("")),
        ("password", json!("short")),
        ("password", json!("password1")),
        ("password", json!("x".repeat(5000))),
    ] {
        schema(
            &patch(world, &bob, json!({ name: value })).await,
            &[&format!("body.{name}")],
        );
    }
    let page = patch(
        world,
        &bob,
        json!({ "display_name": 1, "primary_email": "x", "colour": 1 }),
    )
    .await;
    schema(
        &page,
        &["body.display_name", "body.primary_email", "body.colour"],
    );
    schema(
        &patch(world, &bob, json!({ "client_metadata": nested(17) })).await,
        &["body.client_metadata is nested deeper than 16 levels"],
    );
    let mary = world.sign_in("mary").await;
    schema(
        &patch_me(world, &mary, json!({ "client_metadata": nested(124) })).await,
        &["body.client_metadata is nested deeper than 16 levels"],
    );
    good(
        &patch_me(world, &mary, json!({ "client_metadata": nested(16) })).await,
        200,
    );
    let body = json!({ "primary_email": null, "primary_email_verified": true });
    schema(
        &patch(world, &bob, body).await,
        &["body.primary_email_verified"],
    );
    assert_eq!(read(world, &bob).await, before);
    for (kind, body) in [
        ("text/plain", "{}"),
        ("application/x-www-form-urlencoded", "display_name=x"),
        ("application/json", "[]"),
        ("application/json", "null"),
        ("application/json", "{"),
        ("application/json", "\u{feff}{}"),
    ] {
        let headers = [
            ("x-hexclave-project-id", TENANT_ID),
            ("x-hexclave-access-type", "server"),
            ("x-hexclave-secret-server-key", SECRET_KEY),
            ("content-type", kind),
        ];
        for (method, path) in [
            (Method::PATCH, format!("/users/{bob}")),
            (Method::POST, "/users".to_owned()),
        ] {
            let page = world
                .browser()
                .send(method, &format!("/api/v1{path}"), &headers, body)
                .await;
            let error = known(&page, 400, "BODY_PARSING_ERROR");
            assert_eq!(error["details"]["message"], error["error"]);
        }
    }
}

async fn an_address_that_somebody_has_is_refused(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    for taken in ["ada@acme.test", "ADA@Acme.Test"] {
        let body = json!({ "primary_email": taken, "display_name": "Not kept" });
        for page in [
            patch(world, &bob, body.clone()).await,
            create(world, body).await,
        ] {
            let error = known(&page, 409, "USER_EMAIL_ALREADY_EXISTS");
            assert_eq!(
                error["details"],
                json!({ "email": taken, "would_work_if_email_was_verified": false })
            );
        }
    }
    assert_eq!(read(world, &bob).await["display_name"], "Bob");
    let list = good(
        &by_server(world, Method::GET, "/users?query=not%20kept", None).await,
        200,
    );
    assert_eq!(list["items"], json!([]));
    // Their own address is theirs, and another tenant's people are not here.
    let body = json!({ "primary_email": "BOB@acme.test" });
    assert_eq!(
        good(&patch(world, &bob, body).await, 200)["primary_email"],
        "BOB@acme.test"
    );
    good(
        &patch(world, &bob, json!({ "primary_email": "ada@globex.test" })).await,
        200,
    );
}

async fn another_address_is_not_proved(world: &World<'_>) {
    let ada = id_of(world, "ada@acme.test").await;
    let verified = async |body: Value| {
        good(&patch(world, &ada, body).await, 200)["primary_email_verified"].clone()
    };
    assert_eq!(verified(json!({ "display_name": "Ada" })).await, true);
    assert_eq!(
        verified(json!({ "primary_email": "ADA@acme.test" })).await,
        true
    );
    assert_eq!(
        verified(json!({ "primary_email": "ada2@acme.test" })).await,
        false
    );
    assert_eq!(
        verified(json!({ "primary_email_verified": true })).await,
        true
    );
    let both = json!({ "primary_email": "ada3@acme.test", "primary_email_verified": true });
    assert_eq!(verified(both).await, true);
    assert_eq!(
        verified(json!({ "primary_email_verified": false })).await,
        false
    );
}

async fn a_changed_password_ends_every_session(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    let tokens = session_of(world, &bob).await;
    assert!(signs_in(world, "bob", PASSWORD).await);
    // A refused change ends nothing.
    schema(
        &patch(world, &bob, json!({ "password": "bob" })).await,
        &["body.password"],
    );
    me(world, &tokens).await;
    assert_eq!(
        good(
            &patch(world, &bob, json!({ "password": STRONG })).await,
            200
        )["has_password"],
        true
    );
    let page = world
        .call(Method::GET, "/users/me", &as_client(&tokens), None)
        .await;
    known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    assert!(!signs_in(world, "bob", PASSWORD).await);
    assert!(signs_in(world, "bob", STRONG).await);
    let after = good(&patch(world, &bob, json!({ "password": null })).await, 200);
    assert_eq!(
        (&after["has_password"], &after["auth_with_email"]),
        (&json!(false), &json!(false))
    );
    assert!(!signs_in(world, "bob", STRONG).await);
}

async fn changes_at_the_same_time_are_all_kept(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let (name, data, picture) = tokio::join!(
        patch_me(world, &tokens, json!({ "display_name": "M" })),
        patch_me(world, &tokens, json!({ "client_metadata": { "a": 1 } })),
        patch_me(
            world,
            &tokens,
            json!({ "profile_image_url": "https://a.test/m.png" })
        ),
    );
    for page in [name, data, picture] {
        good(&page, 200);
    }
    let user = me(world, &tokens).await;
    assert_eq!(
        (
            &user["display_name"],
            &user["client_metadata"],
            &user["profile_image_url"]
        ),
        (
            &json!("M"),
            &json!({ "a": 1 }),
            &json!("https://a.test/m.png")
        )
    );
}

async fn a_server_makes_people(world: &World<'_>) {
    let user = good(&create(world, json!({})).await, 201);
    let expected = with(&[plain(), server_plain()], json!({ "id": user["id"] }));
    assert_eq!(user, expected);
    let body = json!({
        "primary_email": "dora@acme.test", "primary_email_verified": true, "primary_email_auth_enabled": true, "password": STRONG,
        "display_name": "Dora", "client_metadata": { "a": 1 }, "client_read_only_metadata": { "b": 2 },
        "server_metadata": { "c": 3 }, "profile_image_url": "https://a.test/d.png",
    });
    let mut shown = object(body.clone());
    shown.remove("password");
    shown.extend(object(
        json!({ "has_password": true, "auth_with_email": true }),
    ));
    for family in FAMILIES {
        let mut body = body.clone();
        let email = format!("dora@{}acme.test", family.replace('-', ""));
        body["primary_email"] = json!(email);
        let page = world
            .call_in(family, Method::POST, "/users", &World::server(), Some(body))
            .await;
        let user = good(&page, 201);
        let mut expected = object(with(
            &[plain(), server_plain()],
            json!({ "id": user["id"] }),
        ));
        expected.extend(shown.clone());
        expected.insert("primary_email".to_owned(), json!(email));
        assert_eq!(object(user.clone()), expected);
        assert_eq!(read(world, user["id"].as_str().unwrap()).await, user);
        assert!(signs_in(world, &email, STRONG).await);
    }
    schema(
        &create(world, json!({ "password": "short" })).await,
        &["body.password"],
    );
    let body = json!({ "primary_email": "x@acme.test", "password": "x@acme.test" });
    schema(&create(world, body).await, &["body.password"]);
    schema(
        &create(world, json!({ "primary_email_verified": true })).await,
        &["body.primary_email_verified"],
    );
    schema(&create(world, json!({ "id": UNKNOWN })).await, &["body.id"]);
    // Once they are here, they sign in through a provider as themselves.
    let body = json!({ "primary_email": "mary@example.org", "primary_email_verified": true });
    let made = good(&create(world, body).await, 201);
    assert_eq!(
        me(world, &world.sign_in("mary").await).await["id"],
        made["id"]
    );
}

async fn page_of(world: &World<'_>, query: &str) -> (Vec<String>, Value) {
    let page = by_server(world, Method::GET, &format!("/users?{query}"), None).await;
    let list = good(&page, 200);
    assert_eq!(list["is_paginated"], true);
    let names = list["items"].as_array().unwrap().iter();
    let names = names.map(|user| user["display_name"].as_str().unwrap_or("-").to_owned());
    (names.collect(), list["pagination"]["next_cursor"].clone())
}

async fn a_server_lists_people_page_by_page(world: &World<'_>) {
    for name in ["Dora", "Emil", "Fritz"] {
        good(&create(world, json!({ "display_name": name })).await, 201);
    }
    let all = ["Ada Lovelace", "Bob", "Dora", "Emil", "Fritz"].map(str::to_owned);
    assert_eq!(page_of(world, "").await, (all.to_vec(), Value::Null));
    assert_eq!(page_of(world, "limit=5").await, (all.to_vec(), Value::Null));
    for (order, mut expected) in [
        ("false", all.to_vec()),
        ("true", all.iter().rev().cloned().collect()),
    ] {
        let base = format!("limit=2&order_by=signed_up_at&desc={order}");
        let mut query = base.clone();
        for _ in 0..2 {
            let (names, cursor) = page_of(world, &query).await;
            assert_eq!(names, expected.drain(..2).collect::<Vec<_>>());
            query = format!("{base}&cursor={}", cursor.as_str().unwrap());
        }
        assert_eq!(page_of(world, &query).await, (expected, Value::Null));
    }
    // What stands in a list is what is read alone.
    let page = by_server(world, Method::GET, "/users?query=lovelace", None).await;
    let listed = good(&page, 200)["items"][0].clone();
    assert_eq!(listed, read(world, listed["id"].as_str().unwrap()).await);
}

async fn a_list_is_narrowed_and_bad_parameters_are_named(world: &World<'_>) {
    let names = async |query: &str| page_of(world, query).await.0;
    for query in [
        "query=LOVELACE",
        "query=ada@ACME",
        "include_anonymous=true&query=ada%20l",
    ] {
        assert_eq!(names(query).await, ["Ada Lovelace"], "{query}");
    }
    let bob = id_of(world, "bob").await;
    assert_eq!(names(&format!("query={bob}")).await, ["Bob"]);
    assert!(names("query=nobody-at-all").await.is_empty());
    assert!(names("only_anonymous=true").await.is_empty());
    assert_eq!(
        names("include_restricted=true").await,
        ["Ada Lovelace", "Bob", "carol"]
    );
    assert_eq!(
        names("include_restricted=false").await,
        ["Ada Lovelace", "Bob"]
    );
    for (query, named) in [
        ("limit=0", "query.limit"),
        ("limit=101", "query.limit"),
        ("limit=-1", "query.limit"),
        ("limit=ten", "query.limit"),
        ("cursor=x", "query.cursor"),
        ("order_by=last_active_at", "query.order_by"),
        ("order_by=email", "query.order_by"),
        ("desc=yes", "query.desc"),
        ("include_restricted=1", "query.include_restricted"),
        ("include_anonymous=1", "query.include_anonymous"),
        ("only_anonymous=1", "query.only_anonymous"),
        ("team_id=x", "query.team_id"),
    ] {
        let page = by_server(world, Method::GET, &format!("/users?{query}"), None).await;
        schema(&page, &[named, "GET /api/v1/users"]);
    }
    let page = by_server(world, Method::GET, "/users?query=%ff", None).await;
    schema(&page, &["GET /api/v1/users"]);
}

async fn a_person_removes_themselves_only_where_that_is_allowed(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let page = world
        .call(Method::DELETE, "/users/me", &as_client(&tokens), None)
        .await;
    in_words(&page, 400);
    assert_eq!(
        page.body,
        "Client user deletion is not enabled for this project."
    );
    me(world, &tokens).await;
}

async fn a_person_may_remove_themselves(settings: &[(String, String)]) {
    World::run(settings, "client_user_deletion = true", async |world| {
        let tokens = world.sign_in("mary").await;
        let id = me(world, &tokens).await["id"].clone();
        let page = world
            .call(Method::DELETE, "/users/me", &as_client(&tokens), None)
            .await;
        assert_eq!(good(&page, 200), json!({ "success": true }));
        is_gone(world, id.as_str().unwrap(), &tokens).await;
        let page = world
            .call(Method::DELETE, "/users/me", &as_client(&tokens), None)
            .await;
        known(&page, 401, "ACCESS_TOKEN_EXPIRED");
        // They may come again, as somebody new.
        let again = me(world, &world.sign_in("mary").await).await;
        assert_ne!(again["id"], id);
    })
    .await;
}

async fn is_gone(world: &World<'_>, id: &str, tokens: &Value) {
    let page = by_server(world, Method::GET, &format!("/users/{id}"), None).await;
    known(&page, 404, "USER_NOT_FOUND");
    let page = world
        .call(Method::GET, "/users/me", &as_client(tokens), None)
        .await;
    known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    let page = world
        .refresh(tokens["refresh_token"].as_str().unwrap())
        .await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

async fn a_server_removes_people_with_all_they_had(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let id = me(world, &tokens).await["id"].as_str().unwrap().to_owned();
    let path = format!("/users/{id}");
    let page = by_server(world, Method::DELETE, &path, Some(json!({}))).await;
    assert_eq!(good(&page, 200), json!({ "success": true }));
    is_gone(world, &id, &tokens).await;
    known(
        &by_server(world, Method::DELETE, &path, None).await,
        404,
        "USER_NOT_FOUND",
    );
    let bob = id_of(world, "bob").await;
    let tokens = session_of(world, &bob).await;
    let page = world
        .call(Method::DELETE, "/users/me", &as_server(&tokens), None)
        .await;
    good(&page, 200);
    is_gone(world, &bob, &tokens).await;
    assert!(!signs_in(world, "bob", PASSWORD).await);
}

/// An operator may have signed in through a provider by themselves.
async fn no_link_of_an_operator_is_touched(world: &World<'_>, olive: &str) {
    let set = json!({ "email": "mary@example.org", "email_verified": true });
    let verify =
        json!({ "action": "user_update", "tenant": "default", "user": "olive", "set": set });
    world.app.server.perform(verify).await.unwrap();
    let tokens = world.sign_in("mary").await;
    assert_eq!(me(world, &tokens).await["id"], olive);
    let path = format!("/oauth-providers?user_id={olive}");
    let links = good(&by_server(world, Method::GET, &path, None).await, 200);
    let path = format!(
        "/oauth-providers/{olive}/{}",
        links["items"][0]["id"].as_str().unwrap()
    );
    for headers in [World::server(), World::admin(), as_client(&tokens)] {
        for body in [
            json!({ "account_id": "mallory" }),
            json!({ "allow_sign_in": false }),
            json!({}),
        ] {
            let page = world.call(Method::PATCH, &path, &headers, Some(body)).await;
            in_words(&page, 403);
        }
        let page = world.call(Method::DELETE, &path, &headers, None).await;
        in_words(&page, 403);
    }
    let link = [
        ("type", "link"),
        ("token", tokens["access_token"].as_str().unwrap()),
    ];
    let url = World::authorize_url(&link);
    let page = world.browser().send(Method::GET, &url, &[], "").await;
    assert_eq!(page.status, 403, "{}", page.body);
    let path = format!("/oauth-providers?user_id={olive}");
    let after = good(&by_server(world, Method::GET, &path, None).await, 200);
    assert_eq!(after, links);
    let set = json!({ "email": "olive@acme.test" });
    let back = json!({ "action": "user_update", "tenant": "default", "user": "olive", "set": set });
    world.app.server.perform(back).await.unwrap();
}

async fn t33_who_runs_the_installation_is_out_of_a_project_s_reach(world: &World<'_>) {
    let mut browser = world.browser();
    let link = world.app.server.set_up_link().await.unwrap();
    let page = browser.visit(&link).await;
    let operator = [
        ("installation", "Acme"),
        ("name", "Olive Operator"),
        ("username", "olive"),
        ("email", "olive@acme.test"),
        ("password", STRONG),
    ];
    assert_eq!(browser.submit_once(&page, &operator).await.status, 200);
    let olive = id_of(world, "olive").await;
    for body in [
        json!({ "password": "harbour-kettle-violet-48" }),
        json!({ "password": null }),
        json!({ "primary_email": "mallory@evil.test" }),
        json!({ "primary_email": null }),
        json!({ "primary_email_verified": true }),
    ] {
        in_words(&patch(world, &olive, body).await, 403);
    }
    let path = format!("/users/{olive}");
    in_words(&by_server(world, Method::DELETE, &path, None).await, 403);
    let page = world
        .call(Method::DELETE, &path, &World::admin(), None)
        .await;
    in_words(&page, 403);
    assert!(signs_in(world, "olive", STRONG).await);
    // Nor is anybody let in as them, or given a way in.
    for headers in [World::server(), World::admin()] {
        let body = json!({ "user_id": olive });
        let page = world
            .call(Method::POST, "/auth/sessions", &headers, Some(body))
            .await;
        in_words(&page, 403);
        let body = json!({
            "user_id": olive, "provider_config_id": "google", "account_id": "mallory", "email": null,
            "allow_sign_in": true, "allow_connected_accounts": true,
        });
        let page = world
            .call(Method::POST, "/oauth-providers", &headers, Some(body))
            .await;
        in_words(&page, 403);
    }
    assert_eq!(world.rows().await["accounts"], 0);
    no_link_of_an_operator_is_touched(world, &olive).await;
    let user = good(
        &patch(world, &olive, json!({ "display_name": "Olive" })).await,
        200,
    );
    assert_eq!(user["primary_email"], "olive@acme.test");
}
