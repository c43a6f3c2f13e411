//! `/consent`.

use super::{
    FORM_REFUSED, OTHER_BROWSER, assert_error, assert_forgeries_are_refused, assert_goes_to,
    assert_html, body_of, token_of,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::relying_party::{RelyingParty, decode};
use http::Method;
use serde_json::json;

on_both_engines! {
    t33_a_consent_form_that_we_did_not_show_is_refused,
    t33_an_answer_to_one_request_is_none_to_another,
    t33_a_get_never_allows,
    t33_consent_of_another_browser_is_refused,
    a_person_who_says_no_is_believed,
    o21_35_the_page_names_who_asks_where_it_goes_what_and_as_whom,
    o21_31_an_unverifiable_client_is_asked_about_each_time,
    o21_31_an_app_on_this_device_comes_with_a_warning,
    consent_is_remembered_and_asked_anew_for_more,
    oc_26_offline_access_is_named_and_needs_consent,
    consent_of_one_person_is_none_of_another,
    a_consent_page_without_a_request_leads_home,
    consent_is_asked_as_often_as_the_clients_policy_says,
}

async fn asked<'a>(app: &'a App, url: &str, username: &str) -> (Browser<'a>, Page) {
    let mut browser = Browser::new(app);
    let page = browser.visit(url).await;
    let page = browser.sign_in(&page, username).await;
    assert!(
        page.path.starts_with("/consent?request=b"),
        "{} {}\n{}",
        page.status,
        page.path,
        page.body
    );
    assert_html(&page);
    (browser, page)
}

async fn t33_a_consent_form_that_we_did_not_show_is_refused(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
    let (_, others) = asked(app, &web.request(&[]), "bob").await;
    let foreign = [
        token_of(&others),
        token_of(&browser.visit("/sign-in").await),
        token_of(&browser.visit("/sign-out").await),
    ];
    assert_forgeries_are_refused(&mut browser, &page, &[("decision", "allow")], &foreign).await;
    // A forged refusal is no refusal either.
    let forged = browser
        .post(&page.form().action, "csrf=x&decision=deny")
        .await;
    assert_error(app, &forged, 403, FORM_REFUSED);
    let silent = browser.visit(&web.request(&[("prompt", "none")])).await;
    assert_eq!(silent.answer()["error"], "consent_required");
    assert_goes_to(
        &browser.allow(&page).await,
        "https://web.acme.test/cb?code=",
    );
}

async fn t33_an_answer_to_one_request_is_none_to_another(app: &App) {
    let (web, spa) = (RelyingParty::web(), RelyingParty::spa());
    let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
    let other = browser.visit(&spa.request(&[])).await;
    let third = browser.visit(&web.request(&[("state", "another")])).await;
    for foreign in [&other, &third] {
        let body = body_of(&page, &[("decision", Some("allow"))]);
        let answer = browser.post(&foreign.form().action, &body).await;
        assert_error(app, &answer, 403, FORM_REFUSED);
    }
    // Nor does a body's `request` overrule the address.
    let (_, sealed) = other
        .form()
        .action
        .split_once("request=")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let body = format!(
        "{}&request={sealed}",
        body_of(&page, &[("decision", Some("allow"))])
    );
    let answer = browser.post(&page.form().action, &body).await;
    let answer = browser.follow(answer).await;
    assert_goes_to(&answer, "https://web.acme.test/cb?code=");
}

async fn t33_a_get_never_allows(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
    let body = body_of(&page, &[("decision", Some("allow"))]);
    for method in [Method::GET] {
        let answer = browser
            .send(method, &format!("{}&{body}", page.form().action), &[], "")
            .await;
        assert_eq!(answer.status, 200);
    }
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = browser.send(method, &page.form().action, &[], &body).await;
        assert_error(app, &answer, 405, "This page cannot be opened that way");
        assert_eq!(answer.header("allow"), "GET, POST");
    }
    let silent = browser.visit(&web.request(&[("prompt", "none")])).await;
    assert_eq!(silent.answer()["error"], "consent_required");
}

async fn t33_consent_of_another_browser_is_refused(app: &App) {
    let (_, page) = asked(app, &RelyingParty::web().request(&[]), "ada").await;
    let mut other = super::signed_in(app, "bob").await;
    for method in [Method::GET, Method::POST] {
        let answer = other
            .send(
                method,
                &page.path,
                &[super::FORM, ("sec-fetch-site", "same-origin")],
                &body_of(&page, &[("decision", Some("allow"))]),
            )
            .await;
        assert_error(app, &answer, 400, OTHER_BROWSER);
    }
}

async fn a_person_who_says_no_is_believed(app: &App) {
    let web = RelyingParty::web();
    for decision in [
        Some("deny"),
        None,
        Some(""),
        Some("ALLOW"),
        Some("allow "),
        Some("true"),
    ] {
        let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
        let answer = browser
            .post(
                &page.form().action,
                &body_of(&page, &[("decision", decision)]),
            )
            .await;
        let answer = browser.follow(answer).await;
        assert_goes_to(&answer, "https://web.acme.test/cb?error=access_denied");
        let fields = answer.answer();
        assert_eq!(
            (fields["state"].as_str(), fields["iss"].as_str()),
            ("st4te-of-the-app", BASE),
            "{decision:?}"
        );
        assert!(!fields.contains_key("code"));
        let log = app.log();
        assert!(
            log.lines()
                .any(|line| line.contains("an authorization request was refused")
                    && line.contains("access_denied"))
        );
        let silent = browser.visit(&web.request(&[("prompt", "none")])).await;
        assert_eq!(silent.answer()["error"], "consent_required", "{decision:?}");
    }
}

async fn o21_35_the_page_names_who_asks_where_it_goes_what_and_as_whom(app: &App) {
    let web = RelyingParty::web();
    let (_, page) = asked(
        app,
        &web.request(&[(
            "scope",
            "openid profile email reports.read beep offline_access",
        )]),
        "ada",
    )
    .await;
    for named in [
        "Acme Web",
        "<bdi>web.acme.test</bdi>",
        "Ada Lovelace",
        "Read your reports",
        "Keep this access while you are away",
        "consent-allow",
        "consent-deny",
        "switch-account",
        "<bdi>Acme</bdi>",
    ] {
        assert!(page.body.contains(named), "{named}\n{}", page.body);
    }
    // What needs no asking is not asked, and no more is promised than is given.
    for absent in [
        "Make a sound",
        "phone",
        "postal",
        "This app runs on your own device",
    ] {
        assert!(!page.body.contains(absent), "{absent}\n{}", page.body);
    }
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' https://web.acme.test;")
    );
    let (_, page) = asked(app, &web.request(&[("scope", "openid")]), "bob").await;
    assert!(
        page.body
            .contains("It learns that you signed in, and nothing else")
    );
}

async fn o21_31_an_unverifiable_client_is_asked_about_each_time(app: &App) {
    let native = RelyingParty::native();
    let (mut browser, page) = asked(app, &native.request(&[]), "ada").await;
    assert_goes_to(
        &browser.allow(&page).await,
        "http://127.0.0.1:49152/cb?code=",
    );
    for _ in 0..2 {
        let page = browser.visit(&native.request(&[])).await;
        assert!(
            page.body.contains("consent-allow"),
            "{} {}",
            page.status,
            page.path
        );
        let silent = browser.visit(&native.request(&[("prompt", "none")])).await;
        assert_goes_to(&silent, "http://127.0.0.1:49152/cb?error=consent_required");
        assert_goes_to(
            &browser.allow(&page).await,
            "http://127.0.0.1:49152/cb?code=",
        );
    }
    // A public client with an https address is asked about once.
    let spa = RelyingParty::spa();
    let page = browser.visit(&spa.request(&[])).await;
    browser.allow(&page).await;
    assert_goes_to(
        &browser.visit(&spa.request(&[("prompt", "none")])).await,
        "https://spa.acme.test/cb?code=",
    );
}

async fn o21_31_an_app_on_this_device_comes_with_a_warning(app: &App) {
    let native = RelyingParty::native();
    let (_, page) = asked(app, &native.request(&[]), "ada").await;
    assert!(
        page.body.contains("This app runs on your own device")
            && page.body.contains("<bdi>127.0.0.1:49152</bdi>"),
        "{}",
        page.body
    );
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' http://127.0.0.1:49152;"),
        "{}",
        page.header("content-security-policy")
    );
    let (mut browser, page) = asked(
        app,
        &native.request(&[("redirect_uri", "com.acme.app:/cb")]),
        "bob",
    )
    .await;
    assert!(
        page.body.contains("This app runs on your own device")
            && page.body.contains("com.acme.app:"),
        "{}",
        page.body
    );
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' com.acme.app:;")
    );
    assert_goes_to(&browser.allow(&page).await, "com.acme.app:/cb?code=");
    let (_, page) = asked(app, &RelyingParty::spa().request(&[]), "ada").await;
    assert!(!page.body.contains("This app runs on your own device"));
}

async fn consent_is_remembered_and_asked_anew_for_more(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[("scope", "openid email")]), "ada").await;
    browser.allow(&page).await;
    for scope in ["openid email", "openid", "email openid"] {
        assert_goes_to(
            &browser.visit(&web.request(&[("scope", scope)])).await,
            "https://web.acme.test/cb?code=",
        );
    }
    let page = browser
        .visit(&web.request(&[("scope", "openid email reports.read")]))
        .await;
    assert!(
        page.body.contains("Read your reports")
            && page.body.contains("What you allowed before")
            && page.body.contains(">New<"),
        "{}",
        page.body
    );
    // Saying no to more takes nothing back.
    let page = browser.submit(&page, &[("decision", "deny")]).await;
    assert_eq!(page.answer()["error"], "access_denied");
    assert_goes_to(
        &browser
            .visit(&web.request(&[("scope", "openid email")]))
            .await,
        "https://web.acme.test/cb?code=",
    );
    // A resource is asked about like a scope.
    let more = browser
        .visit(&web.request(&[("scope", "openid"), ("resource", "https://api.acme.test/")]))
        .await;
    assert!(
        more.body.contains("consent-allow"),
        "{}",
        more.header("location")
    );
}

async fn oc_26_offline_access_is_named_and_needs_consent(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[("scope", "openid")]), "ada").await;
    let page = browser.allow(&page).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(tokens["scope"], "openid");
    let silent = browser
        .visit(&web.request(&[("scope", "openid offline_access"), ("prompt", "none")]))
        .await;
    assert_eq!(silent.answer()["error"], "consent_required");
    let page = browser
        .visit(&web.request(&[("scope", "openid offline_access")]))
        .await;
    assert!(page.body.contains("Keep this access while you are away"));
    let page = browser.allow(&page).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(tokens["scope"], "openid offline_access");
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
}

async fn consent_of_one_person_is_none_of_another(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
    browser.allow(&page).await;
    let page = browser.visit(&web.request(&[("prompt", "login")])).await;
    let page = browser.sign_in(&page, "bob").await;
    assert!(
        page.body.contains("consent-allow")
            && page.body.contains("Bob")
            && !page.body.contains("Ada Lovelace"),
        "{}",
        page.body
    );
    let page = browser.allow(&page).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    let (_, claims) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!(claims["nonce"], "n0nce-of-the-app");
    let info = web
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(info["email"], "bob@acme.test");
}

async fn a_consent_page_without_a_request_leads_home(app: &App) {
    let mut browser = super::signed_in(app, "ada").await;
    for target in ["/consent", "/consent?request=", "/consent?other=1"] {
        assert_goes_to(&browser.send(Method::GET, target, &[], "").await, "/");
        assert_goes_to(&browser.post(target, "decision=allow").await, "/");
    }
}

async fn consent_is_asked_as_often_as_the_clients_policy_says(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, page) = asked(app, &web.request(&[]), "ada").await;
    browser.allow(&page).await;
    for (policy, silent) in [
        ("always", "https://web.acme.test/cb?error=consent_required"),
        ("remember", "https://web.acme.test/cb?code="),
        ("never", "https://web.acme.test/cb?code="),
    ] {
        app.update_client("web", json!({"policy": {"consent": policy}}))
            .await;
        for _ in 0..2 {
            let answer = browser.visit(&web.request(&[("prompt", "none")])).await;
            assert_goes_to(&answer, silent);
            let page = browser.visit(&web.request(&[])).await;
            if policy == "always" {
                assert_goes_to(
                    &browser.allow(&page).await,
                    "https://web.acme.test/cb?code=",
                );
            } else {
                assert_goes_to(&page, "https://web.acme.test/cb?code=");
            }
        }
    }
    // Who was never asked is not asked either, unless the app wishes it.
    let page = browser.visit(&web.request(&[("prompt", "login")])).await;
    let answer = browser.sign_in(&page, "bob").await;
    assert_goes_to(&answer, "https://web.acme.test/cb?code=");
    let page = browser.visit(&web.request(&[("prompt", "consent")])).await;
    assert!(page.body.contains("consent-allow"), "{}", page.path);
}
