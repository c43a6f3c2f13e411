//! The way back from a provider that misbehaves, and answers that come twice, late, or from elsewhere. Whatever happens, nothing is
//! half-created.

use crate::support::browser::Page;
use crate::support::project::{CALLBACK, STATE, UPSTREAM_CALLBACK, World, in_both_worlds};
use crate::support::upstream::CLIENT_SECRET;
use http::{Method, StatusCode};
use serde_json::json;

in_both_worlds! {
    t47_an_answer_that_is_wrong_is_refused_and_nothing_is_written,
    t47_an_answer_without_its_state_is_nobodys,
    t51_a_provider_s_redirect_is_not_followed,
    a_provider_that_is_down_is_said_to_be_and_comes_back,
    a_provider_that_is_down_is_not_asked_by_everybody,
    a_code_goes_to_its_provider_once_with_our_secret_and_verifier,
    an_answer_counts_once,
    one_of_twenty_answers_at_once_wins,
    a_new_person_who_comes_eight_times_at_once_is_one,
    t64_keys_that_rotate_are_fetched_and_no_more_often_than_they_should,
    t33_an_answer_in_another_browser_or_without_a_cookie_is_refused,
    two_tabs_of_an_app_come_back_each_with_its_own_state,
    a_provider_taken_out_meanwhile_is_said_to_the_app,
    a_domain_that_is_trusted_no_longer_gets_nothing,
    fewer_scopes_do_not_take_the_wider_tokens_away,
}

fn assert_returned(page: &Page, code: &str, who: &str) {
    assert_eq!(
        page.status,
        StatusCode::TEMPORARY_REDIRECT,
        "{who}: {}",
        page.body
    );
    assert!(page.header("location").starts_with(CALLBACK), "{who}");
    let answer = page.answer();
    assert_eq!(answer["errorCode"], code, "{who}");
    assert_eq!(answer["state"], STATE, "{who}");
    assert_eq!(answer["iss"], "http://127.0.0.1:8080", "{who}");
    assert!(!answer.contains_key("code"), "{who}");
    assert!(
        answer["message"].len() > 10 && answer["error_description"].len() > 10,
        "{who}"
    );
}

async fn t47_an_answer_that_is_wrong_is_refused_and_nothing_is_written(world: &World<'_>) {
    let before = world.rows().await;
    let denied = ("OAUTH_PROVIDER_ACCESS_DENIED", "access_denied");
    let unavailable = (
        "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE",
        "temporarily_unavailable",
    );
    // The last column stands in our log only: that it was refused for this reason and no other.
    #[rustfmt::skip]
    let table = [
        ("refuse",          denied,      "the provider answered access_denied"),
        ("wrong-iss",       denied,      "the callback names another issuer"),
        ("no-iss",          denied,      "the callback names another issuer"),
        ("broken",          unavailable, "the provider answered server_error"),
        ("html",            denied,      "the token response is not accepted"),
        ("huge",            unavailable, "its token endpoint does not answer"),
        ("private",         unavailable, "its token endpoint does not answer"),
        ("invalid_grant",   denied,      "the provider answered invalid_grant"),
        ("wrong-nonce",     denied,      "its nonce is wrong or missing"),
        ("no-nonce",        denied,      "its nonce is wrong or missing"),
        ("wrong-issuer",    denied,      "the ID token is another issuer's"),
        ("wrong-audience",  denied,      "the ID token is for somebody else"),
        ("wrong-key",       denied,      "the token names an unknown key"),
        ("wrong-signature", denied,      "the signature"),
        ("unsigned",        denied,      "the algorithm is not supported"),
        ("expired",         denied,      "the ID token has expired"),
        ("wrong-at-hash",   denied,      "the ID token belongs to another access token"),
        ("no-id-token",     denied,      "no ID token"),
    ];
    for (behaviour, (code, error), detail) in table {
        let who = format!("mary:{behaviour}");
        let page = world.answer(&who, &[]).await;
        assert_returned(&page, code, &who);
        assert_eq!(page.answer()["error"], error, "{who}");
        assert_eq!(world.rows().await, before, "{who}");
        let said = world.app.last_detail();
        assert!(said.contains(detail), "{who}: {said}");
    }
    // The provider never hears what we thought of it, and is well again afterwards.
    assert_eq!(world.sign_in("mary").await["is_new_user"], true);
}

async fn t47_an_answer_without_its_state_is_nobodys(world: &World<'_>) {
    let before = world.rows().await;
    for who in ["mary:no-state", "mary:wrong-state"] {
        let page = world.answer(who, &[]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{who}");
        assert_eq!(page.header("location"), "", "{who}");
        assert!(
            page.body.contains("We did not expect this"),
            "{who}: {}",
            page.body
        );
    }
    for query in [
        "",
        "code=x",
        "state=",
        "state=ups_x&code=x",
        "error=access_denied",
        "%ff=%ff",
    ] {
        for method in [Method::GET, Method::POST] {
            let mut browser = world.browser();
            let page = if method == Method::GET {
                browser
                    .send(method, &format!("{UPSTREAM_CALLBACK}?{query}"), &[], "")
                    .await
            } else {
                browser.post(UPSTREAM_CALLBACK, query).await
            };
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
            assert!(
                page.header("content-type").starts_with("text/html"),
                "{query}"
            );
        }
    }
    assert_eq!(
        world.upstream.seen("/token").len(),
        0,
        "no code goes to the provider"
    );
    assert_eq!(world.rows().await, before);
}

async fn t51_a_provider_s_redirect_is_not_followed(world: &World<'_>) {
    for endpoint in ["discovery", "jwks", "token"] {
        world.upstream.misbehave(endpoint, "private");
    }
    let page = world
        .browser()
        .send(
            Method::GET,
            &World::authorize_url(&[]),
            &[("accept", "*/*")],
            "",
        )
        .await;
    assert_eq!(
        page.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        page.body
    );
    world.upstream.behave("discovery");
    world.app.server.advance(60);
    assert_returned(
        &world.answer("mary", &[]).await,
        "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE",
        "token",
    );
    world.upstream.behave("token");
    assert_returned(
        &world.answer("mary", &[]).await,
        "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE",
        "jwks",
    );
    // Where it led stands in our log only.
    let page = world.answer("mary:private", &[]).await;
    assert!(!page.header("location").contains("169.254"));
}

async fn a_provider_that_is_down_is_said_to_be_and_comes_back(world: &World<'_>) {
    for fault in ["broken", "html", "huge"] {
        world.upstream.misbehave("discovery", fault);
        let url = World::authorize_url(&[]);
        let page = world
            .browser()
            .send(Method::GET, &url, &[("accept", "*/*")], "")
            .await;
        let error = (page.status, page.header("x-stack-known-error").to_owned());
        let (status, code) = if fault == "html" {
            (StatusCode::BAD_REQUEST, "OAUTH_PROVIDER_ACCESS_DENIED")
        } else {
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE",
            )
        };
        assert_eq!(error, (status, code.to_owned()), "{fault}");
        // A person in a browser reads a page, with the same status.
        let page = world.browser().send(Method::GET, &url, &[], "").await;
        assert_eq!(page.status, status);
        assert!(page.header("content-type").starts_with("text/html"));
        assert_eq!(page.header("x-stack-known-error"), code);
        world.app.server.advance(60);
    }
    assert_eq!(
        world
            .app
            .number("SELECT COUNT(*) FROM upstream_requests")
            .await,
        0
    );
    // On the hosted page it is said in words.
    let page = world.browser().visit("/sign-in/with/google").await;
    assert!(
        page.body.contains("The other site does not answer"),
        "{}",
        page.body
    );
    world.upstream.behave("discovery");
    world.app.server.advance(60);
    assert_eq!(world.sign_in("mary").await["is_new_user"], true);
}

async fn a_provider_that_is_down_is_not_asked_by_everybody(world: &World<'_>) {
    world.upstream.misbehave("discovery", "broken");
    for _ in 0..20 {
        let page = world.browser().visit("/sign-in/with/google").await;
        assert!(page.body.contains("The other site does not answer"));
    }
    assert_eq!(
        world
            .upstream
            .seen("/.well-known/openid-configuration")
            .len(),
        1
    );
    world.upstream.behave("discovery");
    world.app.server.advance(60);
    world.sign_in("mary").await;
}

async fn a_code_goes_to_its_provider_once_with_our_secret_and_verifier(world: &World<'_>) {
    world.sign_in("mary").await;
    let seen = world.upstream.seen("/token");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].field("grant_type"), Some("authorization_code"));
    assert_eq!(
        seen[0].field("redirect_uri"),
        Some("http://127.0.0.1:8080/api/v1/auth/oauth/callback/google")
    );
    assert!(
        seen[0]
            .field("code_verifier")
            .is_some_and(|verifier| verifier.len() >= 43)
    );
    assert!(
        seen[0].field("client_secret") == Some(CLIENT_SECRET)
            || seen[0].headers.contains_key("authorization")
    );
}

/// One answer, ready to be brought: the browser is whoever left.
async fn ready<'a>(world: &'a World<'_>) -> (crate::support::browser::Browser<'a>, String) {
    let mut browser = world.browser();
    let location = world.leave(&mut browser, &[]).await;
    let back = world.upstream.answer(&location, "mary").await;
    (browser, back)
}

async fn an_answer_counts_once(world: &World<'_>) {
    let (mut browser, back) = ready(world).await;
    let first = browser.send(Method::GET, &back, &[], "").await;
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let after = world.rows().await;
    let again = browser.send(Method::GET, &back, &[], "").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(
        again.body.contains("This link has expired"),
        "{}",
        again.body
    );
    let posted = browser
        .post(UPSTREAM_CALLBACK, back.split_once('?').unwrap().1)
        .await;
    assert_eq!(posted.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.rows().await, after);
    assert_eq!(world.upstream.seen("/token").len(), 1);
    // What the first one brought is whole.
    assert_eq!(
        world.redeem(&first.answer()["code"]).await.status,
        StatusCode::OK
    );
    // An answer that was refused is used up as well.
    let mut browser = world.browser();
    let location = world.leave(&mut browser, &[]).await;
    let back = world.upstream.answer(&location, "karl:refuse").await;
    assert_eq!(
        browser.send(Method::GET, &back, &[], "").await.status,
        StatusCode::TEMPORARY_REDIRECT
    );
    assert_eq!(
        browser.send(Method::GET, &back, &[], "").await.status,
        StatusCode::BAD_REQUEST
    );
}

async fn one_of_twenty_answers_at_once_wins(world: &World<'_>) {
    let (browser, back) = ready(world).await;
    let before = world.rows().await;
    // Boxed: twenty requests side by side do not fit on a test's stack.
    let next = || {
        Box::pin(async {
            let mut same = world.browser();
            same.cookies = browser.cookies.clone();
            same.send(Method::GET, &back, &[], "").await
        })
    };
    let five = || {
        Box::pin(async {
            let answers = tokio::join!(next(), next(), next(), next(), next());
            [answers.0, answers.1, answers.2, answers.3, answers.4]
        })
    };
    let answers = tokio::join!(five(), five(), five(), five());
    let answers = [answers.0, answers.1, answers.2, answers.3].concat();
    let won: Vec<&Page> = answers
        .iter()
        .filter(|page| page.status == StatusCode::SEE_OTHER)
        .collect();
    assert_eq!(won.len(), 1);
    assert!(
        answers
            .iter()
            .all(|page| page.status == StatusCode::SEE_OTHER
                || page.status == StatusCode::BAD_REQUEST)
    );
    assert_eq!(
        world.redeem(&won[0].answer()["code"]).await.status,
        StatusCode::OK
    );
    let after = world.rows().await;
    for table in ["users", "accounts", "sessions", "codes"] {
        assert_eq!(after[table], before[table] + 1, "{table}");
    }
    assert_eq!(world.upstream.seen("/token").len(), 1);
}

async fn a_new_person_who_comes_eight_times_at_once_is_one(world: &World<'_>) {
    let mut prepared = Vec::new();
    for _ in 0..8 {
        prepared.push(ready(world).await);
    }
    let before = world.rows().await;
    let mut arrivals = prepared.iter_mut().map(|(browser, back)| {
        let back = back.as_str();
        Box::pin(browser.send(Method::GET, back, &[], ""))
    });
    let mut four = || {
        let mut next = || arrivals.next().unwrap();
        let (first, second, third, fourth) = (next(), next(), next(), next());
        Box::pin(async {
            let pages = tokio::join!(first, second, third, fourth);
            [pages.0, pages.1, pages.2, pages.3]
        })
    };
    let (some, others) = (four(), four());
    let (some, others) = tokio::join!(some, others);
    for page in some.into_iter().chain(others) {
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{page:?}");
        let tokens = world.redeem(&page.answer()["code"]).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
    }
    let after = world.rows().await;
    for (table, more) in [("users", 1), ("accounts", 1), ("sessions", 8), ("codes", 8)] {
        assert_eq!(after[table], before[table] + more, "{table}");
    }
}

async fn t64_keys_that_rotate_are_fetched_and_no_more_often_than_they_should(world: &World<'_>) {
    world.sign_in("mary").await;
    assert_eq!(world.upstream.seen("/jwks").len(), 1);
    world.sign_in("mary").await;
    assert_eq!(world.upstream.seen("/jwks").len(), 1, "keys are kept");
    world.upstream.server.rotate_keys().unwrap();
    world.app.server.advance(60);
    world.sign_in("mary").await;
    assert_eq!(
        world.upstream.seen("/jwks").len(),
        2,
        "an unknown key is looked for once"
    );
    // Somebody who signs with unknown keys does not make us ask again and again.
    for _ in 0..5 {
        assert_returned(
            &world.answer("mary:wrong-key", &[]).await,
            "OAUTH_PROVIDER_ACCESS_DENIED",
            "wrong-key",
        );
    }
    assert_eq!(world.upstream.seen("/jwks").len(), 2);
    world.sign_in("mary").await;
}

async fn t33_an_answer_in_another_browser_or_without_a_cookie_is_refused(world: &World<'_>) {
    let (mut browser, back) = ready(world).await;
    let before = world.rows().await;
    let mut victim = world.browser();
    let page = victim.send(Method::GET, &back, &[], "").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.body.contains("did not keep our cookie"),
        "{}",
        page.body
    );
    victim.visit("/sign-in").await;
    for page in [
        victim.send(Method::GET, &back, &[], "").await,
        victim
            .post(UPSTREAM_CALLBACK, back.split_once('?').unwrap().1)
            .await,
    ] {
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(
            page.body.contains("started in another browser"),
            "{}",
            page.body
        );
    }
    assert_eq!(world.rows().await, before);
    assert_eq!(world.upstream.seen("/token").len(), 0);
    assert_eq!(
        browser.send(Method::GET, &back, &[], "").await.status,
        StatusCode::SEE_OTHER
    );
}

async fn two_tabs_of_an_app_come_back_each_with_its_own_state(world: &World<'_>) {
    let mut browser = world.browser();
    let one = world.leave(&mut browser, &[("state", "one")]).await;
    let other = world.leave(&mut browser, &[("state", "other")]).await;
    for (location, state) in [(other, "other"), (one, "one")] {
        let back = world.upstream.answer(&location, "mary").await;
        let answer = browser.send(Method::GET, &back, &[], "").await.answer();
        assert_eq!(answer["state"], state);
        assert_eq!(world.redeem(&answer["code"]).await.status, StatusCode::OK);
    }
    assert_eq!(world.rows().await["accounts"], 1);
}

async fn a_provider_taken_out_meanwhile_is_said_to_the_app(world: &World<'_>) {
    let (mut browser, back) = ready(world).await;
    let before = world.rows().await;
    let action = json!({ "action": "provider_remove", "tenant": "default", "provider": "google" });
    world.app.server.perform(action).await.unwrap();
    let page = browser.send(Method::GET, &back, &[], "").await;
    assert_returned(&page, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED", "gone");
    assert_eq!(world.rows().await, before);
}

async fn a_domain_that_is_trusted_no_longer_gets_nothing(world: &World<'_>) {
    let (mut browser, back) = ready(world).await;
    let before = world.rows().await;
    let action = json!({ "action": "trusted_domain_remove", "tenant": "default", "base_url": "https://app.acme.test" });
    world.app.server.perform(action).await.unwrap();
    let page = browser.send(Method::GET, &back, &[], "").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
    assert_eq!(
        page.header("x-stack-known-error"),
        "REDIRECT_URL_NOT_WHITELISTED"
    );
    assert_eq!(page.header("location"), "");
    assert_eq!(world.rows().await, before);
}

async fn fewer_scopes_do_not_take_the_wider_tokens_away(world: &World<'_>) {
    let scopes = async || {
        world
            .app
            .number("SELECT COUNT(*) FROM accounts WHERE scope LIKE '%calendar%'")
            .await
    };
    let answer = world
        .answer("mary", &[("provider_scope", "calendar")])
        .await;
    let tokens = world.redeem(&answer.answer()["code"]).await.json();
    assert_eq!(scopes().await, 1);
    // Signing in asks for less, and what the app was allowed before stays.
    world.sign_in("mary").await;
    assert_eq!(scopes().await, 1);
    // Whoever links anew says what counts from now on.
    let token = tokens["access_token"].as_str().unwrap();
    let answer = world
        .answer("mary", &[("type", "link"), ("token", token)])
        .await;
    assert_eq!(scopes().await, 1, "the link waits for its code");
    world.redeem(&answer.answer()["code"]).await;
    assert_eq!(scopes().await, 0);
}
