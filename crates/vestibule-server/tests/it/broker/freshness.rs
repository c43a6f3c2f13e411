//! How fresh a sign-in at a provider is: what an app asks is passed on and held against the answer, and what we say of it is true.

use super::hosted::{press, through};
use crate::support::project::{World, in_both_worlds};
use crate::support::relying_party::{RelyingParty, decode};
use serde_json::Value;
use std::collections::BTreeMap;

in_both_worlds! {
    t44_prompt_login_and_max_age_are_passed_on_to_the_provider,
    t44_a_provider_that_did_not_ask_anew_is_refused_in_words,
    t44_auth_time_is_the_provider_s_unless_it_is_yet_to_come,
    t44_a_session_of_the_project_api_is_as_old_as_the_proof,
    a_session_of_an_old_proof_is_in_use_all_the_same,
}

const DAY: u64 = 24 * 60 * 60;

/// What the provider is sent when an app asks with these parameters.
async fn sent(world: &World<'_>, changed: &[(&'static str, &str)]) -> BTreeMap<String, String> {
    let mut browser = world.browser();
    let page = browser.visit(&RelyingParty::web().request(changed)).await;
    let location = press(&mut browser, &page).await;
    let url = url::Url::parse(&location).unwrap();
    url.query_pairs().into_owned().collect()
}

async fn t44_prompt_login_and_max_age_are_passed_on_to_the_provider(world: &World<'_>) {
    #[rustfmt::skip]
    let table = [
        (&[][..],                                   None,          None),
        (&[("prompt", "login")],                    Some("login"), None),
        (&[("max_age", "50")],                      None,          Some("50")),
        (&[("max_age", "0")],                       Some("login"), Some("0")),
        (&[("max_age", "50"), ("prompt", "login")], Some("login"), Some("50")),
    ];
    for (changed, prompt, max_age) in table {
        let sent = sent(world, changed).await;
        let found = |name: &str| sent.get(name).map(String::as_str);
        let found = (found("prompt"), found("max_age"));
        assert_eq!(found, (prompt, max_age), "{changed:?}");
    }
    // On the bare sign-in page nobody asks for anything.
    let mut browser = world.browser();
    let page = browser.visit("/sign-in").await;
    let location = press(&mut browser, &page).await;
    assert!(!location.contains("max_age") && !location.contains("prompt="));
}

async fn t44_a_provider_that_did_not_ask_anew_is_refused_in_words(world: &World<'_>) {
    let web = RelyingParty::web();
    let stale = "You did not prove there who you are";
    for (changed, who, words) in [
        (("prompt", "login"), "mary:old-sign-in", stale),
        (("max_age", "50"), "mary:old-sign-in", stale),
        (("max_age", "0"), "mary:old-sign-in", stale),
        (
            ("max_age", "50"),
            "mary:no-auth-time",
            "We could not accept the other site",
        ),
    ] {
        let before = world.rows().await;
        let mut browser = world.browser();
        let page = through(world, &mut browser, &web.request(&[changed]), who).await;
        assert!(page.path.starts_with("/sign-in?request="), "{}", page.path);
        assert!(page.body.contains(words), "{changed:?}: {}", page.body);
        assert_eq!(world.rows().await, before, "{changed:?}");
        // Whoever proves it then gets through, in the same browser.
        let answer = through(world, &mut browser, &web.request(&[changed]), "mary").await;
        assert!(answer.answer().contains_key("code"), "{changed:?}");
    }
    // An age that reaches back to yesterday is served, and who was sent `prompt=login` alone need not say when it was.
    for (changed, who) in [
        (("max_age", "90000"), "mary:old-sign-in"),
        (("prompt", "login"), "mary:no-auth-time"),
    ] {
        let mut browser = world.browser();
        let answer = through(world, &mut browser, &web.request(&[changed]), who).await;
        assert!(answer.answer().contains_key("code"), "{changed:?}");
    }
}

/// The ID token's claims after a sign-in.
async fn claims(world: &World<'_>, changed: &[(&'static str, &str)], who: &str) -> Value {
    let web = RelyingParty::web();
    let answer = through(world, &mut world.browser(), &web.request(changed), who).await;
    let tokens = web.exchange(world.app, &answer.answer()["code"]).await;
    decode(tokens.json()["id_token"].as_str().unwrap()).1
}

async fn t44_auth_time_is_the_provider_s_unless_it_is_yet_to_come(world: &World<'_>) {
    let now = world.app.server.now();
    for (changed, who, expected) in [
        (&[][..], "mary", now),
        (&[("max_age", "50")], "mary", now),
        (&[], "mary:old-sign-in", now - DAY),
        (&[("max_age", "90000")], "mary:old-sign-in", now - DAY),
        (&[], "mary:future-sign-in", now),
        (&[("max_age", "50")], "mary:future-sign-in", now),
    ] {
        let claims = claims(world, changed, who).await;
        assert_eq!(claims["auth_time"], expected, "{changed:?} {who}");
    }
    // A session of yesterday's proof is too old for the next app that says so.
    let web = RelyingParty::web();
    let mut browser = world.browser();
    through(world, &mut browser, &web.request(&[]), "mary:old-sign-in").await;
    let page = browser.visit(&web.request(&[("max_age", "3600")])).await;
    assert!(page.body.contains("Sign in again"), "{}", page.body);
}

async fn t44_a_session_of_the_project_api_is_as_old_as_the_proof(world: &World<'_>) {
    let now = world.app.server.now();
    for (who, expected) in [
        ("mary", now),
        ("mary:old-sign-in", now - DAY),
        ("mary:future-sign-in", now),
    ] {
        world.sign_in(who).await;
        let found = format!("SELECT COUNT(*) FROM sessions WHERE auth_time = {expected}");
        assert!(world.app.number(&found).await > 0, "{who}");
    }
}

async fn a_session_of_an_old_proof_is_in_use_all_the_same(world: &World<'_>) {
    world
        .set_policy(serde_json::json!({ "session_idle": "1h" }))
        .await;
    let mut browser = world.browser();
    // The first makes a session, the second renews it.
    for _ in 0..2 {
        let page = browser.visit("/sign-in").await;
        let location = press(&mut browser, &page).await;
        let back = world.upstream.answer(&location, "mary:old-sign-in").await;
        browser.visit(&back).await;
        assert!(browser.visit("/").await.body.contains("Mary"));
    }
    assert_eq!(world.rows().await["sessions"], 1);
}
