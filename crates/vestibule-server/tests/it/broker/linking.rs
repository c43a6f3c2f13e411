//! Whose person an upstream identity is, over the wire: in the project API and on the hosted pages alike.

use crate::projects::answers::{as_client, by_server, good, id_of, in_words, known};
use crate::support::app::App;
use crate::support::browser::Page;
use crate::support::project::{CALLBACK, World, in_both_worlds, project_of};
use crate::support::project_links::claims;
use crate::support::relying_party::decode;
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::{Value, json};

in_both_worlds! {
    t46_an_address_that_both_sides_verified_links,
    t46_an_unverified_account_here_never_captures,
    t46_an_unverified_address_there_never_captures,
    t46_an_address_that_a_provider_does_not_vouch_for_stays_its_owner_s,
    t46_the_case_of_an_address_does_not_make_it_another,
    t46_refuse_refuses_even_when_both_sides_verified,
    t46_duplicates_are_new_people_without_the_address,
    t46_a_second_upstream_identity_with_the_address_is_refused,
    t33_a_link_waits_for_the_proof_of_its_code,
    t15_a_link_gives_nothing_that_outlasts_the_session_that_asked,
    t15_a_link_of_a_session_that_ended_is_not_made,
    t33_a_token_of_an_old_sign_in_makes_no_way_in,
    t46_a_link_that_somebody_was_quicker_with_is_refused,
    somebody_without_an_address_signs_up_without_one,
    somebody_without_a_name_is_changed_by_their_id_and_gets_no_password,
    nobody_signs_up_where_sign_up_is_closed_but_people_sign_in,
    a_disabled_person_does_not_sign_in,
    a_removed_person_signs_up_anew_with_the_same_identity,
    a_provider_is_linked_to_who_asked,
    t46_somebody_elses_identity_is_refused_by_name,
    linking_again_renews_and_makes_nothing_new,
    a_link_needs_a_token_that_stands,
}

fn error(page: &Page) -> (StatusCode, String, Value) {
    let mut answer = page.answer();
    let details = answer
        .remove("details")
        .map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    (
        page.status,
        answer.remove("errorCode").unwrap_or_default(),
        details,
    )
}

fn subject(tokens: &Value) -> String {
    decode(tokens["access_token"].as_str().unwrap()).1["sub"]
        .as_str()
        .unwrap()
        .to_owned()
}

const IN_USE: &str = "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE";

fn in_use(email: &str, would_work: bool) -> (StatusCode, String, Value) {
    let details = json!({ "type": "email", "contact_channel_value": email, "would_work_if_email_was_verified": would_work });
    (StatusCode::TEMPORARY_REDIRECT, IN_USE.to_owned(), details)
}

/// Somebody at the provider is told whose address it is not, and nothing is written.
async fn assert_in_use(world: &World<'_>, who: &str, told: (StatusCode, String, Value)) {
    let before = world.rows().await;
    assert_eq!(error(&world.answer(who, &[]).await), told, "{who}");
    assert_eq!(world.rows().await, before, "{who}");
}

async fn t46_an_address_that_both_sides_verified_links(world: &World<'_>) {
    world.create_user("mary", "mary@example.org", true).await;
    let before = world.rows().await;
    let tokens = world.sign_in("mary").await;
    assert_eq!(tokens["is_new_user"], false);
    let after = world.rows().await;
    assert_eq!(
        (after["users"], after["accounts"]),
        (before["users"], before["accounts"] + 1)
    );
    let claims = decode(tokens["access_token"].as_str().unwrap()).1;
    assert_eq!(claims["email"], "mary@example.org");
}

async fn t46_an_unverified_account_here_never_captures(world: &World<'_>) {
    // Somebody was here first, under the address of somebody else.
    world
        .create_user("attacker", "mary@example.org", false)
        .await;
    assert_in_use(world, "mary", in_use("mary@example.org", true)).await;
}

async fn t46_an_unverified_address_there_never_captures(world: &World<'_>) {
    world.create_user("karl", "karl@example.org", true).await;
    assert_in_use(world, "karl", in_use("karl@example.org", true)).await;
}

async fn t46_an_address_that_a_provider_does_not_vouch_for_stays_its_owner_s(world: &World<'_>) {
    // Mallory claims Ada's address before Ada comes.
    let mallory = world.sign_in("mallory").await;
    assert_eq!(mallory["is_new_user"], true);
    let claims = decode(mallory["access_token"].as_str().unwrap()).1;
    assert_eq!(
        (&claims["email"], &claims["email_verified"]),
        (&Value::Null, &json!(false))
    );
    let me = async |tokens: &Value| {
        let headers = World::client(tokens);
        world
            .call(Method::GET, "/users/me", &headers, None)
            .await
            .json()
    };
    let told = me(&mallory).await;
    assert_eq!(
        [
            &told["primary_email"],
            &told["primary_email_verified"],
            &told["auth_with_email"]
        ],
        [&json!("ada@example.com"), &json!(false), &json!(false)]
    );
    assert_eq!(told["oauth_providers"][0]["email"], "ada@example.com");
    let path = format!("/users/{}", subject(&mallory));
    let seen = world.call(Method::GET, &path, &World::server(), None).await;
    assert_eq!(seen.json()["primary_email_auth_enabled"], false);
    // Nobody can declare proved what is not theirs.
    let body = json!({ "primary_email_verified": true });
    let page = world
        .call(Method::PATCH, &path, &World::server(), Some(body))
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
    let ada = world.sign_in("ada").await;
    assert_eq!(ada["is_new_user"], true);
    let owned = me(&ada).await;
    assert_eq!(
        [&owned["primary_email"], &owned["primary_email_verified"]],
        [&json!("ada@example.com"), &json!(true)]
    );
    assert_ne!(subject(&ada), subject(&mallory));
    // Mallory stays who they are, still without it.
    let again = world.sign_in("mallory").await;
    assert_eq!(subject(&again), subject(&mallory));
    assert_eq!(me(&again).await["primary_email_verified"], false);
}

async fn t46_the_case_of_an_address_does_not_make_it_another(world: &World<'_>) {
    world
        .create_user("attacker", "MARY@Example.org", false)
        .await;
    assert_in_use(world, "mary", in_use("mary@example.org", true)).await;
}

async fn t46_refuse_refuses_even_when_both_sides_verified(world: &World<'_>) {
    world.set_policy(json!({ "linking": "refuse" })).await;
    world.create_user("mary", "mary@example.org", true).await;
    assert_in_use(world, "mary", in_use("mary@example.org", false)).await;
}

async fn t46_duplicates_are_new_people_without_the_address(world: &World<'_>) {
    world.set_policy(json!({ "linking": "duplicates" })).await;
    world.create_user("mary", "mary@example.org", true).await;
    let before = world.rows().await;
    let tokens = world.sign_in("mary").await;
    assert_eq!(tokens["is_new_user"], true);
    assert_eq!(
        decode(tokens["access_token"].as_str().unwrap()).1["email"],
        Value::Null
    );
    assert_eq!(world.rows().await["users"], before["users"] + 1);
}

async fn t46_a_second_upstream_identity_with_the_address_is_refused(world: &World<'_>) {
    let ada = world.sign_in("ada").await;
    assert_eq!(ada["is_new_user"], true);
    let before = world.rows().await;
    // Mallory only claims the address; that the account is real does not help.
    assert_eq!(
        error(&world.answer("mallory", &[]).await),
        in_use("ada@example.com", true)
    );
    assert_eq!(world.rows().await, before);
}

async fn somebody_without_an_address_signs_up_without_one(world: &World<'_>) {
    let tokens = world.sign_in("emmy").await;
    assert_eq!(tokens["is_new_user"], true);
    let claims = decode(tokens["access_token"].as_str().unwrap()).1;
    assert_eq!(
        (&claims["email"], &claims["email_verified"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(subject(&world.sign_in("emmy").await), subject(&tokens));
}

async fn somebody_without_a_name_is_changed_by_their_id_and_gets_no_password(world: &World<'_>) {
    let emmy = world.sign_in("emmy").await;
    let act = async |action: &str, more: Value| {
        let mut whole = json!({ "action": action, "tenant": "default", "user": subject(&emmy) });
        let members = more.as_object().unwrap().clone();
        whole.as_object_mut().unwrap().extend(members);
        world.app.server.perform(whole).await
    };
    let set = |set: Value| json!({ "set": set });
    for refused in [
        act("user_set_password", json!({})).await,
        act(
            "user_set_password",
            json!({ "password": "correct horse of Emmy" }),
        )
        .await,
        act(
            "user_update",
            set(json!({ "password": "correct horse of Emmy" })),
        )
        .await,
    ] {
        let error = refused.unwrap_err();
        assert!(
            error.contains("give the person one of them first"),
            "{error}"
        );
    }
    act("user_update", set(json!({ "name": "Amalie", "email": "" })))
        .await
        .unwrap();
    act("user_disable", json!({})).await.unwrap();
    assert_eq!(
        error(&world.answer("emmy", &[]).await).1,
        "SIGN_UP_REJECTED"
    );
    let refresh = world.refresh(emmy["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
    act("user_enable", json!({})).await.unwrap();
    assert_eq!(subject(&world.sign_in("emmy").await), subject(&emmy));
    // With a name they get a password, and nobody who has one loses the last.
    act("user_update", set(json!({ "username": "emmy" })))
        .await
        .unwrap();
    act("user_set_password", json!({})).await.unwrap();
    let error = act("user_update", set(json!({ "username": "" })))
        .await
        .unwrap_err();
    assert!(error.contains("a username, an email or both"), "{error}");
    let nobody =
        json!({ "action": "user_create", "tenant": "default", "set": { "name": "Nobody" } });
    let error = world.app.server.perform(nobody).await.unwrap_err();
    assert!(error.contains("a username, an email or both"), "{error}");
}

async fn nobody_signs_up_where_sign_up_is_closed_but_people_sign_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    world.set_policy(json!({ "sign_up": "closed" })).await;
    let again = world.sign_in("mary").await;
    assert_eq!(
        (subject(&again), &again["is_new_user"]),
        (subject(&mary), &json!(false))
    );
    let before = world.rows().await;
    let refused = error(&world.answer("emmy", &[]).await);
    assert_eq!(
        refused,
        (
            StatusCode::TEMPORARY_REDIRECT,
            "SIGN_UP_NOT_ENABLED".to_owned(),
            json!({})
        )
    );
    assert_eq!(world.rows().await, before);
}

async fn a_disabled_person_does_not_sign_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let action = json!({ "action": "user_disable", "tenant": "default", "user": subject(&mary) });
    world.app.server.perform(action).await.unwrap();
    let before = world.rows().await;
    let refused = error(&world.answer("mary", &[]).await);
    assert_eq!(
        (refused.0, refused.1.as_str()),
        (StatusCode::TEMPORARY_REDIRECT, "SIGN_UP_REJECTED")
    );
    assert_eq!(world.rows().await, before);
    // Their tokens are over too.
    let refresh = world.refresh(mary["refresh_token"].as_str().unwrap()).await;
    assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
}

async fn a_removed_person_signs_up_anew_with_the_same_identity(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let action = json!({ "action": "user_remove", "tenant": "default", "user": subject(&mary) });
    world.app.server.perform(action).await.unwrap();
    assert_eq!(world.rows().await["accounts"], 0);
    let again = world.sign_in("mary").await;
    assert_eq!(again["is_new_user"], true);
    assert_ne!(subject(&again), subject(&mary));
}

/// The app links another provider identity to whom these tokens are of.
async fn link(world: &World<'_>, tokens: &Value, who: &str) -> Page {
    let token = tokens["access_token"].as_str().unwrap();
    world
        .answer(who, &[("type", "link"), ("token", token)])
        .await
}

async fn a_provider_is_linked_to_who_asked(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let before = world.rows().await;
    let answer = link(world, &mary, "karl").await;
    let tokens = world.redeem(&answer.answer()["code"]).await.json();
    assert_eq!(
        subject(&tokens),
        subject(&mary),
        "the person stays who they are"
    );
    assert_eq!(tokens["is_new_user"], false);
    let after = world.rows().await;
    assert_eq!(
        (after["users"], after["accounts"]),
        (before["users"], before["accounts"] + 1)
    );
    // One of a provider's identities signs in: the second one serves apps, and signs nobody in or up.
    let refused = error(&world.answer("karl", &[]).await);
    assert_eq!(refused.1, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    assert_eq!(world.rows().await["users"], before["users"]);
}

/// Whoever was brought to the provider by somebody else's request signs in there, and nothing of theirs is linked to that somebody:
/// the code is in their browser, the verifier is not.
async fn t33_a_link_waits_for_the_proof_of_its_code(world: &World<'_>) {
    let mallory = world.sign_in("mallory").await;
    let before = world.rows().await;
    let answer = link(world, &mallory, "mary").await;
    let code = &answer.answer()["code"];
    assert_eq!(world.rows().await["accounts"], before["accounts"]);
    let refused = world
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &"x".repeat(43)),
        ])
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        refused.header("x-stack-known-error"),
        "INVALID_AUTHORIZATION_CODE"
    );
    assert_eq!(world.rows().await["accounts"], before["accounts"]);
    // Mary is nobody's yet: she signs up with it.
    assert_eq!(world.sign_in("mary").await["is_new_user"], true);
}

/// What a server lets somebody have of a session of so many seconds.
async fn session_of(world: &World<'_>, username: &str, seconds: u64) -> Value {
    let id = id_of(world, username).await;
    let body = json!({ "user_id": id, "expires_in_millis": seconds * 1000 });
    good(
        &by_server(world, Method::POST, "/auth/sessions", Some(body)).await,
        200,
    )
}

async fn is_refused(world: &World<'_>, tokens: &Value) {
    let page = world
        .refresh(tokens["refresh_token"].as_str().unwrap())
        .await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

/// An access token goes to many servers: whoever has one gets what its session has, for as long as that has it.
async fn t15_a_link_gives_nothing_that_outlasts_the_session_that_asked(world: &World<'_>) {
    world.create_user("nora", "nora@acme.test", true).await;
    for ending in ["by time", "signed out", "by id"] {
        let nora = session_of(world, "nora", 300).await;
        let before = world.rows().await;
        let offline = [
            ("type", "link"),
            ("token", nora["access_token"].as_str().unwrap()),
            ("scope", "openid offline_access"),
        ];
        let answer = world.answer("mary", &offline).await;
        let linked = good(&world.redeem(&answer.answer()["code"]).await, 200);
        assert_eq!(world.rows().await["sessions"], before["sessions"]);
        assert_eq!(
            claims(&linked)["refresh_token_id"],
            claims(&nora)["refresh_token_id"]
        );
        assert_eq!(linked["expires_in"], 300);
        world.app.server.advance(299);
        let page = world
            .refresh(linked["refresh_token"].as_str().unwrap())
            .await;
        assert_eq!(good(&page, 200)["expires_in"], 1);
        match ending {
            "by time" => world.app.server.advance(1),
            "by id" => {
                let id = claims(&nora)["refresh_token_id"].clone();
                let path = format!("/auth/sessions/{}", id.as_str().unwrap());
                good(&by_server(world, Method::DELETE, &path, None).await, 200);
            }
            _ => {
                let path = "/auth/sessions/current";
                let page = world
                    .call(Method::DELETE, path, &as_client(&nora), Some(json!({})))
                    .await;
                good(&page, 200);
            }
        }
        is_refused(world, &linked).await;
        let page = world
            .call(Method::GET, "/users/me", &as_client(&linked), None)
            .await;
        known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    }
}

async fn t15_a_link_of_a_session_that_ended_is_not_made(world: &World<'_>) {
    world.create_user("nora", "nora@acme.test", true).await;
    for (ending, asked_first) in [
        ("by time", true),
        ("signed out", true),
        ("by time", false),
        ("signed out", false),
    ] {
        let nora = session_of(world, "nora", 200).await;
        let before = world.rows().await["accounts"];
        let token = nora["access_token"].as_str().unwrap();
        let offline = [
            ("type", "link"),
            ("token", token),
            ("scope", "openid offline_access"),
        ];
        let mut browser = world.browser();
        let location = world.leave(&mut browser, &offline).await;
        let early = if asked_first {
            let back = world.upstream.answer(&location, "mary").await;
            Some(browser.send(Method::GET, &back, &[], "").await)
        } else {
            None
        };
        if ending == "by time" {
            world.app.server.advance(200);
        } else {
            let path = "/auth/sessions/current";
            let page = world
                .call(Method::DELETE, path, &as_client(&nora), Some(json!({})))
                .await;
            good(&page, 200);
        }
        if let Some(page) = early {
            let page = world.redeem(&page.answer()["code"]).await;
            known(&page, 400, "INVALID_AUTHORIZATION_CODE");
        } else {
            let back = world.upstream.answer(&location, "mary").await;
            let page = browser.send(Method::GET, &back, &[], "").await;
            assert_eq!(error(&page).1, "ACCESS_TOKEN_EXPIRED", "{ending}");
            assert!(!page.answer().contains_key("code"));
        }
        assert_eq!(world.rows().await["accounts"], before);
    }
}

/// Ten minutes after somebody proved who they are, what is linked serves apps, and is no way in.
async fn t33_a_token_of_an_old_sign_in_makes_no_way_in(world: &World<'_>) {
    world.create_user("nora", "nora@acme.test", true).await;
    let nora = session_of(world, "nora", 86_400).await;
    world.app.server.advance(500);
    let page = world.refresh(nora["refresh_token"].as_str().unwrap()).await;
    let fresh = good(&page, 200);
    // The code is had in time, and redeemed a second too late.
    let answer = link(world, &fresh, "mary").await;
    world.app.server.advance(101);
    let tokens = good(&world.redeem(&answer.answer()["code"]).await, 200);
    let refused = error(&world.answer("mary", &[]).await);
    assert_eq!(refused.1, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    let path = "/oauth-providers?user_id=me";
    let page = world
        .call(Method::GET, path, &as_client(&tokens), None)
        .await;
    let links = good(&page, 200)["items"].clone();
    assert_eq!(links[0]["allow_sign_in"], false);
    assert_eq!(links[0]["allow_connected_accounts"], true);
    // Nor is it made one afterwards, but by the project's server.
    let path = format!("/oauth-providers/me/{}", links[0]["id"].as_str().unwrap());
    let body = json!({ "allow_sign_in": true });
    let page = world
        .call(
            Method::PATCH,
            &path,
            &as_client(&tokens),
            Some(body.clone()),
        )
        .await;
    in_words(&page, 403);
    // Who signs in again may.
    let again = session_of(world, "nora", 86_400).await;
    world.app.server.advance(590);
    let page = world
        .refresh(again["refresh_token"].as_str().unwrap())
        .await;
    let fresh = good(&page, 200);
    let page = world
        .call(Method::PATCH, &path, &as_client(&fresh), Some(body))
        .await;
    assert_eq!(good(&page, 200)["allow_sign_in"], true);
    assert_eq!(subject(&world.sign_in("mary").await), subject(&nora));
}

async fn t46_a_link_that_somebody_was_quicker_with_is_refused(world: &World<'_>) {
    let emmy = world.sign_in("emmy").await;
    let answer = link(world, &emmy, "mary").await;
    world.sign_in("mary").await;
    let before = world.rows().await;
    let refused = world.redeem(&answer.answer()["code"]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(
        refused.header("x-stack-known-error"),
        "OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER"
    );
    assert_eq!(world.rows().await, before, "nothing of it is written");
}

async fn t46_somebody_elses_identity_is_refused_by_name(world: &World<'_>) {
    let (mary, _) = (world.sign_in("mary").await, world.sign_in("emmy").await);
    let before = world.rows().await;
    let answer = link(world, &mary, "emmy").await;
    assert_eq!(answer.answer()["error"], "access_denied");
    let refused = error(&answer);
    assert_eq!(
        refused,
        (
            StatusCode::TEMPORARY_REDIRECT,
            "OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER".to_owned(),
            json!({})
        )
    );
    assert_eq!(world.rows().await, before);
}

async fn linking_again_renews_and_makes_nothing_new(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let before = world.rows().await;
    let answer = link(world, &mary, "mary").await;
    assert_eq!(
        subject(&world.redeem(&answer.answer()["code"]).await.json()),
        subject(&mary)
    );
    let after = world.rows().await;
    assert_eq!(
        (after["users"], after["accounts"]),
        (before["users"], before["accounts"])
    );
}

async fn a_link_needs_a_token_that_stands(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let token = mary["access_token"].as_str().unwrap();
    let id_token = crate::support::relying_party::RelyingParty::web()
        .tokens(world.app, "ada")
        .await;
    let asked = async |token: &str| {
        let url = World::authorize_url(&[("type", "link"), ("token", token)]);
        let page = world
            .browser()
            .send(Method::GET, &url, &[("accept", "*/*")], "")
            .await;
        (page.status, page.header("x-stack-known-error").to_owned())
    };
    let unparsable = (
        StatusCode::UNAUTHORIZED,
        "UNPARSABLE_ACCESS_TOKEN".to_owned(),
    );
    let mut forged = token.to_owned();
    forged.replace_range(forged.len() - 6.., "AAAAAA");
    for bad in [
        "x",
        "a.b.c",
        &forged,
        id_token["access_token"].as_str().unwrap(),
        id_token["id_token"].as_str().unwrap(),
    ] {
        assert_eq!(asked(bad).await, unparsable, "{bad}");
    }
    world.app.server.advance(10 * 60);
    let expired = (StatusCode::UNAUTHORIZED, "ACCESS_TOKEN_EXPIRED".to_owned());
    assert_eq!(asked(token).await, expired);
    let fresh = world
        .refresh(mary["refresh_token"].as_str().unwrap())
        .await
        .json();
    let fresh = fresh["access_token"].as_str().unwrap();
    assert_eq!(asked(fresh).await.0, StatusCode::TEMPORARY_REDIRECT);
    // A token whose session is over is over.
    let action = json!({ "action": "user_sign_out", "tenant": "default", "user": subject(&mary) });
    world.app.server.perform(action).await.unwrap();
    assert_eq!(asked(fresh).await, expired);
    assert_eq!(world.rows().await["accounts"], 1);
}

/// Two providers at once: the test's own pair of worlds.
async fn t05_one_provider_s_answer_is_not_another_s(settings: &[(String, String)]) {
    let (google, corp) = (Upstream::start().await, Upstream::start().await);
    let providers = format!(
        "{}{}",
        google.server.installation_provider("google"),
        corp.server.installation_provider("corp")
    );
    World::run_with(
        settings,
        &project_of(&providers, ""),
        &google,
        async |world| {
            corp.server.follow(&world.app.server);
            let before = world.rows().await;
            let mut browser = world.browser();
            let location = world.leave(&mut browser, &[]).await;
            let back = google.answer(&location, "mary").await;
            // Google's answer at corp's callback, by GET and by POST.
            let moved = back.replace("/callback/google", "/callback/corp");
            for page in [
                browser.send(Method::GET, &moved, &[], "").await,
                browser
                    .post(
                        "/api/v1/auth/oauth/callback/corp",
                        moved.split_once('?').unwrap().1,
                    )
                    .await,
            ] {
                assert_eq!(page.status, StatusCode::BAD_REQUEST);
                assert!(
                    page.body.contains("We did not expect this"),
                    "{}",
                    page.body
                );
            }
            assert_eq!(
                google.seen("/token").len() + corp.seen("/token").len(),
                0,
                "no code went anywhere"
            );
            assert_eq!(world.rows().await, before);
            // The same person number at another provider is somebody else.
            let mary = world.sign_in("mary").await;
            let url = World::authorize_url(&[]).replace("/authorize/google", "/authorize/corp");
            let mut browser = world.browser();
            let location = browser
                .send(Method::GET, &url, &[], "")
                .await
                .header("location")
                .to_owned();
            let answer = browser
                .send(Method::GET, &corp.answer(&location, "mary").await, &[], "")
                .await;
            // Both sides verified the address, so it is linked to the same person, as an identity of its own.
            let tokens = world.redeem(&answer.answer()["code"]).await.json();
            assert_eq!(subject(&tokens), subject(&mary));
            assert_eq!(world.rows().await["accounts"], before["accounts"] + 2);
        },
    )
    .await;
}

mod two_providers {
    use super::App;

    #[tokio::test]
    async fn t05_one_provider_s_answer_is_not_another_s_on_sqlite() {
        App::sqlite_settings(async |settings| {
            super::t05_one_provider_s_answer_is_not_another_s(settings).await;
        })
        .await;
    }

    #[tokio::test]
    async fn t05_one_provider_s_answer_is_not_another_s_on_postgres() {
        App::postgres_settings(async |settings| {
            super::t05_one_provider_s_answer_is_not_another_s(settings).await;
        })
        .await;
    }
}
