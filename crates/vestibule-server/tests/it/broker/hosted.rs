//! The button of the hosted pages, the way back to the hub, and what apps then read of the sign-in.

use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::project::{World, in_both_worlds};
use crate::support::relying_party::{RelyingParty, VERIFIER, decode};
use http::{Method, StatusCode};

in_both_worlds! {
    somebody_new_signs_up_and_comes_back_as_themselves,
    t44_the_id_token_says_that_a_provider_vouched,
    without_an_app_a_sign_in_ends_at_home,
    a_posted_answer_without_a_cookie_comes_again_by_get,
    a_repeated_parameter_does_not_get_through_the_bounce,
    t44_prompt_login_and_max_age_are_answered_by_a_fresh_sign_in_only,
    the_strict_profile_is_served_by_a_brokered_sign_in,
    t34_the_session_changes_its_handle,
    t33_the_button_of_another_site_does_nothing,
    t33_the_answer_belongs_to_the_browser_that_left,
    a_provider_that_is_not_there_has_no_button,
    two_tabs_come_back_each_to_its_own,
    whatever_goes_wrong_ends_on_the_sign_in_page_in_words,
    an_answer_that_is_nobody_s_or_comes_again_ends_on_a_page,
    a_dialogue_that_ended_meanwhile_is_said,
    a_person_who_stays_too_long_is_told,
    too_many_departures_are_told_to_wait,
}

/// Presses the button on the sign-in page: the address at the provider.
pub(super) async fn press(browser: &mut Browser<'_>, page: &Page) -> String {
    let href = button(page);
    let headers = [("sec-fetch-site", "same-origin")];
    let page = browser.send(Method::GET, &href, &headers, "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    page.header("location").to_owned()
}

/// Where the button leads.
fn button(page: &Page) -> String {
    let (_, rest) = page
        .body
        .split_once("id=\"sign-in-with-google\" href=\"")
        .unwrap_or_else(|| panic!("no button on {} {}\n{}", page.status, page.path, page.body));
    rest.split_once('"').unwrap().0.to_owned()
}

/// From an app's request to its answer, as somebody at the provider.
pub(super) async fn through(
    world: &World<'_>,
    browser: &mut Browser<'_>,
    request: &str,
    who: &str,
) -> Page {
    let page = browser.visit(request).await;
    let location = press(browser, &page).await;
    let back = world.upstream.answer(&location, who).await;
    let page = browser.visit(&back).await;
    if page.body.contains("consent-allow") {
        return browser.allow(&page).await;
    }
    page
}

async fn somebody_new_signs_up_and_comes_back_as_themselves(world: &World<'_>) {
    let web = RelyingParty::web();
    let before = world.rows().await;
    let answer = through(world, &mut world.browser(), &web.request(&[]), "mary").await;
    let tokens = web
        .exchange(world.app, &answer.answer()["code"])
        .await
        .json();
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    let access_token = tokens["access_token"].as_str().unwrap();
    let person = web.userinfo(world.app, access_token).await.json();
    assert_eq!(person["email"], "mary@example.org");
    assert_eq!(person["email_verified"], true);
    assert_eq!(person["name"], "Mary Somerville");
    let after = world.rows().await;
    for (table, more) in [("users", 1), ("accounts", 1), ("sessions", 1)] {
        assert_eq!(after[table], before[table] + more, "{table}");
    }
    // The same identity is the same person, in another browser too.
    let answer = through(world, &mut world.browser(), &web.request(&[]), "mary").await;
    let again = web
        .exchange(world.app, &answer.answer()["code"])
        .await
        .json();
    assert_eq!(
        decode(again["id_token"].as_str().unwrap()).1["sub"],
        claims["sub"]
    );
    assert_eq!(world.rows().await["users"], after["users"]);
    assert_eq!(world.rows().await["accounts"], after["accounts"]);
}

async fn t44_the_id_token_says_that_a_provider_vouched(world: &World<'_>) {
    let web = RelyingParty::web();
    let password = web.tokens(world.app, "ada").await;
    let password = decode(password["id_token"].as_str().unwrap()).1;
    assert_eq!(password["amr"], serde_json::json!(["pwd"]));
    let answer = through(world, &mut world.browser(), &web.request(&[]), "mary").await;
    let tokens = web
        .exchange(world.app, &answer.answer()["code"])
        .await
        .json();
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    assert_eq!(claims["amr"], serde_json::json!(["fed"]));
    // One factor somewhere else is one factor: it is never more than a password is.
    assert_eq!(claims["acr"], password["acr"]);
    assert_eq!(claims["auth_time"], world.app.server.now());
}

async fn without_an_app_a_sign_in_ends_at_home(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let home = browser
        .visit(&world.upstream.answer(&location, "mary").await)
        .await;
    assert_eq!((home.status, home.path.as_str()), (StatusCode::OK, "/"));
    assert!(home.body.contains("Mary"), "{}", home.body);
}

/// The callback as a form that the provider's page posts: cross-site, so without our Lax cookies.
async fn post_back(browser: &mut Browser<'_>, fields: &[(&str, String)]) -> Page {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let headers = [
        ("no-cookies", ""),
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://provider.test"),
        ("sec-fetch-site", "cross-site"),
    ];
    let path = "/api/v1/auth/oauth/callback/google";
    browser.send(Method::POST, path, &headers, &body).await
}

fn fields_of(back: &str) -> Vec<(&'static str, String)> {
    let url = url::Url::parse(back).unwrap();
    ["code", "state", "iss"]
        .into_iter()
        .filter_map(|wanted| {
            let (_, value) = url.query_pairs().find(|(name, _)| name == wanted)?;
            Some((wanted, value.into_owned()))
        })
        .collect()
}

async fn a_posted_answer_without_a_cookie_comes_again_by_get(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    let bounce = post_back(&mut browser, &fields_of(&back)).await;
    assert_eq!(bounce.status, StatusCode::SEE_OTHER, "{}", bounce.body);
    assert!(
        bounce
            .header("location")
            .starts_with("/api/v1/auth/oauth/callback/google?")
    );
    assert_eq!(
        world.rows().await["accounts"],
        0,
        "nothing happens before the cookie is there"
    );
    let home = browser.follow(bounce).await;
    assert_eq!((home.status, home.path.as_str()), (StatusCode::OK, "/"));
    // By GET the cookie must be there: there is no second bounce.
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    let stray = browser
        .send(Method::GET, &back, &[("no-cookies", "")], "")
        .await;
    assert_eq!(stray.status, StatusCode::BAD_REQUEST);
    assert!(
        stray.body.contains("did not keep our cookie"),
        "{}",
        stray.body
    );
}

async fn a_repeated_parameter_does_not_get_through_the_bounce(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    let mut fields = fields_of(&back);
    fields.push(("code", "another".to_owned()));
    let bounce = post_back(&mut browser, &fields).await;
    let page = browser.follow(bounce).await;
    assert_ne!(page.path, "/", "{}", page.body);
    assert_eq!(world.rows().await["accounts"], 0);
}

async fn t44_prompt_login_and_max_age_are_answered_by_a_fresh_sign_in_only(world: &World<'_>) {
    let web = RelyingParty::web();
    let mut browser = world.browser();
    through(world, &mut browser, &web.request(&[]), "mary").await;
    world.app.server.advance(100);
    for changed in [("prompt", "login"), ("max_age", "50")] {
        let page = browser.visit(&web.request(&[changed])).await;
        assert!(
            page.body.contains("Sign in again to continue."),
            "{}",
            page.body
        );
        // Going back to the hub without having signed in leads to the same page.
        let sealed = page.path.split_once("request=").unwrap().1;
        let hub = browser.visit(&format!("/oauth/authorize/{sealed}")).await;
        assert!(hub.path.starts_with("/sign-in"), "{}", hub.path);
        let answer = through(world, &mut browser, &web.request(&[changed]), "mary").await;
        let tokens = web
            .exchange(world.app, &answer.answer()["code"])
            .await
            .json();
        let claims = decode(tokens["id_token"].as_str().unwrap()).1;
        assert_eq!(claims["auth_time"], world.app.server.now(), "{changed:?}");
        world.app.server.advance(100);
    }
    // Somebody who is signed in is not asked without a reason.
    let answer = browser.visit(&web.request(&[("max_age", "1000")])).await;
    assert!(answer.answer().contains_key("code"));
}

async fn the_strict_profile_is_served_by_a_brokered_sign_in(world: &World<'_>) {
    let field = RelyingParty::field();
    let mut params = field.params();
    params.remove("nonce");
    let request = format!(
        "{BASE}/api/id/v1/auth/authorize?{}",
        crate::support::relying_party::encode(&params)
    );
    let answer = through(world, &mut world.browser(), &request, "mary").await;
    assert_eq!(answer.answer()["state"], "st4te-of-the-app");
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", answer.answer()["code"].as_str()),
        ("redirect_uri", field.redirect_uri),
        ("code_verifier", VERIFIER),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let tokens = field.post(world.app, "/oauth/token", &fields).await;
    assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
}

async fn t34_the_session_changes_its_handle(world: &World<'_>) {
    let mut browser = world.browser();
    let mut handles = Vec::new();
    for _ in 0..2 {
        let page = browser.visit("/sign-in").await;
        let location = press(&mut browser, &page).await;
        browser
            .visit(&world.upstream.answer(&location, "mary").await)
            .await;
        handles.push(browser.cookies["vestibule-session-default"].clone());
    }
    assert_ne!(handles[0], handles[1]);
    let mut thief = world.browser();
    thief.cookies = browser.cookies.clone();
    thief
        .cookies
        .insert("vestibule-session-default".to_owned(), handles[0].clone());
    assert!(!thief.visit("/").await.body.contains("Mary"));
    assert!(browser.visit("/").await.body.contains("Mary"));
}

async fn t33_the_button_of_another_site_does_nothing(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    for site in ["cross-site", "same-site"] {
        let headers = [("sec-fetch-site", site)];
        let page = browser
            .send(Method::GET, &button(&page), &headers, "")
            .await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert_eq!(page.header("location"), "");
    }
    let posted = browser.post(&button(&page), "").await;
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        world
            .app
            .number("SELECT COUNT(*) FROM upstream_requests")
            .await,
        0
    );
}

async fn t33_the_answer_belongs_to_the_browser_that_left(world: &World<'_>) {
    let web = RelyingParty::web();
    let mut attacker = world.browser();
    let page = attacker.visit(&web.request(&[])).await;
    let location = press(&mut attacker, &page).await;
    let back = world.upstream.answer(&location, "mallory").await;
    let before = world.rows().await;
    let mut victim = world.browser();
    victim.visit("/sign-in").await;
    let page = victim.visit(&back).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(
        page.body.contains("started in another browser"),
        "{}",
        page.body
    );
    assert!(!victim.cookies.contains_key("vestibule-session-default"));
    assert_eq!(world.rows().await, before);
    // The victim's visit did not use it up.
    let page = attacker.visit(&back).await;
    assert_ne!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
}

async fn a_provider_that_is_not_there_has_no_button(world: &World<'_>) {
    let mut browser = world.browser();
    for path in [
        "/sign-in/with/github",
        "/sign-in/with/Google",
        "/sign-in/with/google/x",
        "/sign-in/with/",
    ] {
        let page = browser.visit(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
    }
    let action = serde_json::json!({ "action": "provider_update", "tenant": "default", "provider": "google", "set": { "sign_in": false } });
    world.app.server.perform(action).await.unwrap();
    let page = browser.visit("/sign-in").await;
    assert!(!page.body.contains("sign-in-with"), "{}", page.body);
    assert_eq!(
        browser.visit("/sign-in/with/google").await.status,
        StatusCode::NOT_FOUND
    );
}

async fn two_tabs_come_back_each_to_its_own(world: &World<'_>) {
    let (web, spa) = (RelyingParty::web(), RelyingParty::spa());
    let mut browser = world.browser();
    let one = browser.visit(&web.request(&[("state", "one")])).await;
    let other = browser.visit(&spa.request(&[("state", "other")])).await;
    let (one, other) = (
        press(&mut browser, &one).await,
        press(&mut browser, &other).await,
    );
    let other = browser
        .visit(&world.upstream.answer(&other, "mary").await)
        .await;
    let other = browser.allow(&other).await;
    let one = browser
        .visit(&world.upstream.answer(&one, "mary").await)
        .await;
    let one = browser.allow(&one).await;
    assert_eq!(one.answer()["state"], "one");
    assert!(one.header("location").starts_with(web.redirect_uri));
    assert_eq!(other.answer()["state"], "other");
    assert!(other.header("location").starts_with(spa.redirect_uri));
    assert_eq!(world.rows().await["accounts"], 1);
}

async fn whatever_goes_wrong_ends_on_the_sign_in_page_in_words(world: &World<'_>) {
    let web = RelyingParty::web();
    world.create_user("karl", "karl@example.org", true).await;
    let before = world.rows().await;
    let (silent, wrong) = (
        "The other site does not answer",
        "We could not accept the other site",
    );
    for (who, words) in [
        ("mary:refuse", "You did not sign in there"),
        ("mary:wrong-iss", wrong),
        ("mary:no-iss", wrong),
        ("mary:broken", silent),
        ("mary:html", wrong),
        ("mary:huge", silent),
        ("mary:private", silent),
        ("mary:invalid_grant", wrong),
        ("mary:wrong-nonce", wrong),
        ("mary:wrong-audience", wrong),
        ("mary:wrong-key", wrong),
        ("mary:wrong-signature", wrong),
        ("mary:unsigned", wrong),
        ("mary:expired", wrong),
        ("mary:wrong-subject", wrong),
        ("mary:nul-subject", wrong),
        ("mary:long-subject", wrong),
        ("mary:userinfo-broken", silent),
        ("mary:userinfo-html", wrong),
        ("karl", "There is an account with your address already"),
    ] {
        let mut browser = world.browser();
        let page = through(world, &mut browser, &web.request(&[]), who).await;
        assert_eq!(page.status, StatusCode::OK, "{who}");
        assert!(page.path.starts_with("/sign-in?request="), "{}", page.path);
        assert!(page.body.contains(words), "{who}: {}", page.body);
        assert!(page.body.contains("id=\"form-error\""), "{who}");
        assert_eq!(world.rows().await, before, "{who}");
    }
    // From there the same request can still be answered.
    let mut browser = world.browser();
    let page = through(world, &mut browser, &web.request(&[]), "mary:refuse").await;
    let page = browser.sign_in(&page, "ada").await;
    assert!(browser.allow(&page).await.answer().contains_key("code"));
}

async fn an_answer_that_is_nobody_s_or_comes_again_ends_on_a_page(world: &World<'_>) {
    let web = RelyingParty::web();
    let before = world.rows().await;
    for who in ["mary:no-state", "mary:wrong-state"] {
        let page = through(world, &mut world.browser(), &web.request(&[]), who).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{who}");
        assert!(page.body.contains("We did not expect this"), "{who}");
        assert_eq!(world.rows().await, before, "{who}");
    }
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    browser.visit(&back).await;
    let after = world.rows().await;
    let again = browser.visit(&back).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST);
    assert!(again.body.contains("This link has expired"));
    assert_eq!(world.rows().await, after);
    assert_eq!(world.upstream.seen("/token").len(), 1);
    // Who was signed in stays it.
    assert!(browser.visit("/").await.body.contains("Mary"));
}

async fn a_dialogue_that_ended_meanwhile_is_said(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit(&RelyingParty::web().request(&[])).await;
    world.app.server.advance(25 * 60);
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    world.app.server.advance(9 * 60);
    let page = browser.visit(&back).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("This link has expired"), "{}", page.body);
    assert_eq!(world.rows().await["accounts"], 0);
}

async fn a_person_who_stays_too_long_is_told(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    let back = world.upstream.answer(&location, "mary").await;
    world.app.server.advance(10 * 60);
    let page = browser.visit(&back).await;
    assert!(page.body.contains("That took too long"), "{}", page.body);
    assert_eq!(world.rows().await["accounts"], 0);
}

async fn too_many_departures_are_told_to_wait(world: &World<'_>) {
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let href = button(&page);
    let mut last = page;
    for _ in 0..=120 {
        last = browser.send(Method::GET, &href, &[], "").await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    assert_ne!(last.header("retry-after"), "");
    assert_eq!(
        world
            .app
            .number("SELECT COUNT(*) FROM upstream_requests")
            .await,
        120
    );
    world.app.server.advance(5);
    let page = browser.send(Method::GET, &href, &[], "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}
