//! Providers that fail late, slowly, or in their own words, and settings that change while somebody is there. Whatever happens, the app
//! hears of it in one of its codes, our log says why, and nothing is half-created.

use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::{Browser, Page};
use crate::support::project::{
    CALLBACK, STATE, UPSTREAM_CALLBACK, World, in_both_worlds, project_of,
};
use crate::support::project_links::assert_known;
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::json;

in_both_worlds! {
    t47_user_info_that_is_wrong_is_refused_and_nothing_is_written,
    user_info_that_is_not_needed_is_not_asked,
    t47_a_link_by_an_answer_that_is_wrong_is_not_made,
    what_a_provider_says_instead_of_a_code_is_said_in_our_words,
    t47_an_answer_that_says_too_little_or_too_much_is_refused,
    t05_an_answer_at_another_tenant_is_nobodys,
    an_error_goes_where_the_app_wants_errors_when_its_own_address_is_not_trusted_any_more,
    what_is_not_accepted_any_more_is_said_to_the_app,
    a_link_whose_provider_is_gone_is_not_made,
}

from_settings_on_both_engines! {
    t51_a_slow_provider_is_not_waited_for,
    t47_user_info_of_a_plain_provider_that_is_wrong_is_refused,
}

const DENIED: &str = "OAUTH_PROVIDER_ACCESS_DENIED";
const UNAVAILABLE: &str = "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE";

#[track_caller]
fn assert_returned(page: &Page, code: &str, what: &str) {
    assert_returned_by(StatusCode::TEMPORARY_REDIRECT, page, code, what);
}

/// After a posted answer the browser must not post it on.
fn assert_each_returned(pages: &[Page; 2], code: &str, what: &str) {
    let [got, posted] = pages;
    assert_returned(got, code, what);
    assert_returned_by(StatusCode::SEE_OTHER, posted, code, what);
}

fn assert_returned_by(status: StatusCode, page: &Page, code: &str, what: &str) {
    let answer = page.answer();
    assert_eq!(page.status, status, "{what}: {}", page.body);
    assert!(page.header("location").starts_with(CALLBACK), "{what}");
    let error = if code == UNAVAILABLE {
        "temporarily_unavailable"
    } else {
        "access_denied"
    };
    assert_eq!(
        (answer["errorCode"].as_str(), answer["error"].as_str()),
        (code, error),
        "{what}"
    );
    assert_eq!(answer["state"], STATE, "{what}");
    assert!(!answer.contains_key("code"), "{what}");
}

/// Goes through the flow as `who`: refused with `code`, for the reason that stands in our log, and without a trace.
async fn refuses(world: &World<'_>, who: &str, code: &str, detail: &str) {
    let before = world.rows().await;
    let page = world.answer(who, &[]).await;
    assert_returned(&page, code, who);
    assert_eq!(world.rows().await, before, "{who}");
    let said = world.app.last_detail();
    assert!(said.contains(detail), "{who}: {said}");
}

async fn t47_user_info_that_is_wrong_is_refused_and_nothing_is_written(world: &World<'_>) {
    let asked = || world.upstream.seen("/userinfo").len();
    for (behaviour, code, detail, times) in [
        ("wrong-subject", DENIED, "is another person's", 1),
        ("nul-subject", DENIED, "the claim `sub` is missing", 0),
        ("control-subject", DENIED, "the claim `sub` is missing", 0),
        ("long-subject", DENIED, "the claim `sub` is missing", 0),
        // One that fails is asked again; one that answers something else is not.
        (
            "userinfo-broken",
            UNAVAILABLE,
            "its user info does not answer",
            3,
        ),
        ("userinfo-html", DENIED, "the user info is not accepted", 1),
        (
            "userinfo-huge",
            UNAVAILABLE,
            "its user info does not answer",
            1,
        ),
        (
            "userinfo-private",
            UNAVAILABLE,
            "its user info does not answer",
            1,
        ),
    ] {
        let before = asked();
        refuses(world, &format!("mary:{behaviour}"), code, detail).await;
        assert_eq!(asked() - before, times, "{behaviour}");
    }
    assert_eq!(world.sign_in("mary").await["is_new_user"], true);
}

async fn user_info_that_is_not_needed_is_not_asked(world: &World<'_>) {
    // Her ID token says everything.
    world.upstream.misbehave("userinfo", "broken");
    assert_eq!(world.sign_in("mary").await["is_new_user"], true);
    assert_eq!(world.upstream.seen("/userinfo").len(), 0);
    // Emmy's has no address: that there is none is said by user info only.
    let detail = "its user info does not answer";
    refuses(world, "emmy", UNAVAILABLE, detail).await;
    world.upstream.behave("userinfo");
    assert_eq!(world.sign_in("emmy").await["is_new_user"], true);
}

async fn t47_a_link_by_an_answer_that_is_wrong_is_not_made(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let token = mary["access_token"].as_str().unwrap();
    let before = world.rows().await;
    for (behaviour, code) in [
        ("refuse", DENIED),
        ("wrong-iss", DENIED),
        ("wrong-nonce", DENIED),
        ("wrong-key", DENIED),
        ("invalid_grant", DENIED),
        ("wrong-subject", DENIED),
        ("broken", UNAVAILABLE),
    ] {
        let who = format!("karl:{behaviour}");
        let link = [("type", "link"), ("token", token)];
        assert_returned(&world.answer(&who, &link).await, code, &who);
        assert_eq!(world.rows().await, before, "{who}");
    }
}

/// Somebody who left, and the address back with an answer of the test's own.
async fn gone<'a>(world: &'a World<'_>, answer: &[(&str, &str)]) -> (Browser<'a>, String) {
    let mut browser = world.browser();
    let location = world.leave(&mut browser, &[]).await;
    let url = url::Url::parse(&location).unwrap();
    let (_, state) = url.query_pairs().find(|(name, _)| name == "state").unwrap();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("state", &state)
        .append_pair("iss", world.upstream.server.issuer())
        .extend_pairs(answer)
        .finish();
    (browser, query)
}

/// The answer comes by GET, and for another departure by POST.
async fn come_back(world: &World<'_>, answer: &[(&str, &str)]) -> [Page; 2] {
    let (mut browser, query) = gone(world, answer).await;
    let target = format!("{UPSTREAM_CALLBACK}?{query}");
    let got = browser.send(Method::GET, &target, &[], "").await;
    let (mut browser, body) = gone(world, answer).await;
    [got, browser.post(UPSTREAM_CALLBACK, &body).await]
}

async fn what_a_provider_says_instead_of_a_code_is_said_in_our_words(world: &World<'_>) {
    let before = world.rows().await;
    let long = "No. ".repeat(2000);
    for (error, description, code) in [
        ("access_denied", "No", DENIED),
        ("login_required", "No", DENIED),
        ("user_cancelled_login", "No", DENIED),
        ("invalid_scope", "No", DENIED),
        ("access_denied", long.as_str(), DENIED),
        (
            "<script>alert(1)</script>",
            "<b>\r\nSet-Cookie: x=y",
            DENIED,
        ),
        ("temporarily_unavailable", "Later", UNAVAILABLE),
        ("server_error", "Oh", UNAVAILABLE),
    ] {
        let answer = [("error", error), ("error_description", description)];
        let pages = come_back(world, &answer).await;
        assert_each_returned(&pages, code, error);
        for page in pages {
            // What it said stands in our log, cut and on one line, and nowhere else.
            let location = page.header("location");
            assert!(
                location.len() < 1000 && !location.contains("alert"),
                "{location}"
            );
            let detail = world.app.last_detail();
            let start: String = error.chars().take(10).collect();
            assert!(
                detail.starts_with(&format!("the provider answered {start}")),
                "{detail}"
            );
            assert!(detail.len() < 500 && !detail.contains('\n'), "{detail}");
        }
    }
    assert_eq!(world.rows().await, before);
    assert_eq!(world.upstream.seen("/token").len(), 0);
}

async fn t47_an_answer_that_says_too_little_or_too_much_is_refused(world: &World<'_>) {
    let before = world.rows().await;
    let (long, iss) = ("x".repeat(4097), world.upstream.server.issuer().to_owned());
    for (answer, detail) in [
        (&[][..], "neither code nor error"),
        (&[("code", "")], "neither code nor error"),
        (
            &[("code", "c"), ("error", "access_denied")],
            "both code and error",
        ),
        (&[("code", "c"), ("code", "c")], "a parameter stands twice"),
        (
            &[("error", "a"), ("error", "b")],
            "a parameter stands twice",
        ),
        (&[("code", "c"), ("iss", &iss)], "a parameter stands twice"),
        (&[("code", &long)], "the code is too long"),
    ] {
        assert_each_returned(&come_back(world, answer).await, DENIED, detail);
        let said = world.app.last_detail();
        assert!(said.contains(detail), "{detail}: {said}");
    }
    assert_eq!(world.upstream.seen("/token").len(), 0, "no code went there");
    // A code that the provider does not know is for it to refuse.
    let pages = come_back(world, &[("code", "unknown")]).await;
    assert_each_returned(&pages, DENIED, "unknown");
    let said = world.app.last_detail();
    assert!(said.contains("invalid_grant"), "{said}");
    // Two states are none.
    for page in come_back(world, &[("code", "c"), ("state", "other")]).await {
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert!(page.body.contains("We did not expect this"));
    }
    assert_eq!(world.rows().await, before);
}

async fn t05_an_answer_at_another_tenant_is_nobodys(world: &World<'_>) {
    let mut browser = world.browser();
    let location = world.leave(&mut browser, &[]).await;
    let back = world.upstream.answer(&location, "mary").await;
    let before = world.rows().await;
    let (_, query) = back.split_once('?').unwrap();
    let elsewhere = format!("/t/globex{UPSTREAM_CALLBACK}");
    let target = format!("{elsewhere}?{query}");
    for page in [
        browser.send(Method::GET, &target, &[], "").await,
        browser.post(&elsewhere, query).await,
    ] {
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
        assert!(page.body.contains("We did not expect this"));
    }
    assert_eq!(world.rows().await, before);
    assert_eq!(world.upstream.seen("/token").len(), 0);
    // Nothing of that used it up.
    let page = browser.send(Method::GET, &back, &[], "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
}

/// Leaves with these parameters, lets the operator act meanwhile, and comes back.
async fn meanwhile(
    world: &World<'_>,
    changed: &[(&'static str, &str)],
    action: serde_json::Value,
) -> Page {
    let mut browser = world.browser();
    let location = world.leave(&mut browser, changed).await;
    let back = world.upstream.answer(&location, "mary").await;
    let before = world.rows().await;
    world.app.server.perform(action).await.unwrap();
    let page = browser.send(Method::GET, &back, &[], "").await;
    assert_eq!(world.rows().await, before, "{changed:?}");
    page
}

async fn an_error_goes_where_the_app_wants_errors_when_its_own_address_is_not_trusted_any_more(
    world: &World<'_>,
) {
    const ERRORS: &str = "https://app.acme.test/handler/error";
    let preview = "https://*.preview.acme.test";
    for name in ["error_redirect_uri", "error_redirect_url"] {
        let remove =
            json!({ "action": "trusted_domain_remove", "tenant": "default", "base_url": preview });
        let changed = [
            ("redirect_uri", "https://pr-1.preview.acme.test/cb"),
            (name, ERRORS),
        ];
        let page = meanwhile(world, &changed, remove).await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        assert!(page.header("location").starts_with(&format!("{ERRORS}?")));
        let answer = page.answer();
        assert_eq!(answer["errorCode"], "REDIRECT_URL_NOT_WHITELISTED");
        assert_eq!(answer["state"], STATE);
        assert_eq!(answer["iss"], "http://127.0.0.1:8080");
        let add =
            json!({ "action": "trusted_domain_add", "tenant": "default", "base_url": preview });
        world.app.server.perform(add).await.unwrap();
    }
    // As long as its own address is trusted, that is where everything goes.
    let page = world
        .answer("mary:refuse", &[("error_redirect_uri", ERRORS)])
        .await;
    assert_returned(&page, DENIED, "refuse");
    // And one that was never trusted gets nothing: a page says it.
    let remove = json!({ "action": "trusted_domain_remove", "tenant": "default", "base_url": "https://app.acme.test" });
    let changed = [("error_redirect_uri", "https://evil.test/")];
    let page = meanwhile(world, &changed, remove).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(page.header("location"), "");
    assert!(page.header("content-type").starts_with("text/html"));
}

async fn what_is_not_accepted_any_more_is_said_to_the_app(world: &World<'_>) {
    let create = json!({ "action": "scope_create", "tenant": "default", "scope": "brief", "set": { "description": "For a while" } });
    world.app.server.perform(create).await.unwrap();
    let scope = json!({ "action": "scope_remove", "tenant": "default", "scope": "brief" });
    let domain = json!({ "action": "trusted_domain_remove", "tenant": "default", "base_url": "https://*.preview.acme.test" });
    let key = json!({ "action": "api_key_revoke", "tenant": "default", "name": "browser" });
    let after = "https://pr-1.preview.acme.test/home";
    for (changed, action, code) in [
        (("scope", "openid brief"), scope, "INVALID_SCOPE"),
        (
            ("after_callback_redirect_url", after),
            domain,
            "REDIRECT_URL_NOT_WHITELISTED",
        ),
        (
            ("type", "authenticate"),
            key,
            "INVALID_PUBLISHABLE_CLIENT_KEY",
        ),
    ] {
        let page = meanwhile(world, &[changed], action).await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        assert!(page.header("location").starts_with(CALLBACK));
        let answer = page.answer();
        assert_eq!(answer["errorCode"], code);
        assert_eq!(answer["state"], STATE, "{code}");
        assert!(answer["message"].len() > 10 && !answer.contains_key("code"));
    }
}

async fn a_link_whose_provider_is_gone_is_not_made(world: &World<'_>) {
    let emmy = world.sign_in("emmy").await;
    let token = emmy["access_token"].as_str().unwrap();
    let link = [("type", "link"), ("token", token)];
    let answer = world.answer("mary", &link).await.answer();
    let action = json!({ "action": "provider_remove", "tenant": "default", "provider": "google" });
    world.app.server.perform(action).await.unwrap();
    let before = world.rows().await;
    let page = world.redeem(&answer["code"]).await;
    assert_known(&page, 400, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    assert_eq!(world.rows().await, before);
}

/// The provider takes a minute; this server waits a second for anybody.
async fn t51_a_slow_provider_is_not_waited_for(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let section = upstream.server.installation_provider("google");
    let installation = project_of(&section, "");
    World::run_impatient(settings, &installation, &upstream, async |world| {
        // At its token endpoint, its user info, its keys, and where it says what it is.
        let detail = "its token endpoint does not answer";
        refuses(world, "mary:slow", UNAVAILABLE, detail).await;
        let detail = "its user info does not answer";
        refuses(world, "mary:userinfo-slow", UNAVAILABLE, detail).await;
        world.app.server.advance(3600);
        upstream.misbehave("jwks", "slow");
        refuses(world, "mary", UNAVAILABLE, "its key set cannot be read").await;
        upstream.behave("jwks");
        world.app.server.advance(3600);
        upstream.misbehave("discovery", "slow");
        let url = World::authorize_url(&[]);
        let headers = [("accept", "*/*")];
        let page = world.browser().send(Method::GET, &url, &headers, "").await;
        assert_known(&page, 503, UNAVAILABLE);
        let page = world.browser().visit("/sign-in/with/google").await;
        assert!(page.body.contains("The other site does not answer"));
        upstream.behave("discovery");
        world.app.server.advance(60);
        assert_eq!(world.sign_in("mary").await["is_new_user"], true);
    })
    .await;
}

/// Without an ID token, user info is all there is: two documents of it.
async fn t47_user_info_of_a_plain_provider_that_is_wrong_is_refused(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let issuer = upstream.server.issuer();
    let usual = upstream.server.installation_provider("google");
    let section = usual.replace(
        &format!("issuer = \"{issuer}\"\n"),
        &format!(
            "authorization_url = \"{issuer}/login/oauth/authorize\"\ntoken_url = \"{issuer}/login/oauth/access_token\"\n\
             userinfo_url = \"{issuer}/api/user\"\nscopes = [\"read:user\"]\nmapping = {{ subject = \"/id\", name = \"/name\" }}\n"
        ),
    );
    let installation = project_of(&section, "");
    World::run_with(settings, &installation, &upstream, async |world| {
        let silent = "its user info does not answer";
        for (behaviour, code, detail) in [
            ("refuse", DENIED, "the provider answered access_denied"),
            ("broken", UNAVAILABLE, "the provider answered server_error"),
            ("html", DENIED, "the token response is not accepted"),
            ("huge", UNAVAILABLE, "its token endpoint does not answer"),
            ("private", UNAVAILABLE, "its token endpoint does not answer"),
            ("userinfo-broken", UNAVAILABLE, silent),
            ("userinfo-html", DENIED, "the user info is not accepted"),
            ("nul-subject", DENIED, "no id of the person"),
            ("control-subject", DENIED, "no id of the person"),
            ("long-subject", DENIED, "no id of the person"),
            ("userinfo-huge", UNAVAILABLE, silent),
            ("userinfo-private", UNAVAILABLE, silent),
        ] {
            refuses(world, &format!("mary:{behaviour}"), code, detail).await;
        }
        assert_eq!(world.sign_in("mary").await["is_new_user"], true);
    })
    .await;
}
