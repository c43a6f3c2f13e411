//! `/accounts`, and browsers that hold several.

use super::{
    SESSION, assert_error, assert_forgeries_are_refused, assert_goes_to, assert_html, body_of,
    greeted, signed_in, token_of,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    t33_an_accounts_form_that_we_did_not_show_is_refused,
    t33_a_get_neither_chooses_nor_signs_out,
    oc_02_select_account_offers_every_account_of_the_browser,
    only_an_account_of_this_browser_can_be_chosen,
    one_account_is_signed_out_and_the_others_stay,
    a_browser_holds_ten_accounts,
    a_browser_without_accounts_is_led_to_sign_in,
    oc_09_of_several_accounts_a_silent_request_is_about_the_active_one,
}

/// A browser in which Ada signed in first and Bob then.
async fn both(app: &App) -> Browser<'_> {
    let mut browser = signed_in(app, "ada").await;
    let page = browser.visit("/sign-in").await;
    browser.sign_in(&page, "bob").await;
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("bob"));
    browser
}

/// What the button for this person sends.
fn handle_of(page: &Page, identifier: &str) -> String {
    let choice = page
        .body
        .split("<li>")
        .find(|item| item.contains(&format!(">{identifier}@acme.test<")))
        .unwrap_or_else(|| panic!("no {identifier}\n{}", page.body));
    choice
        .split(" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

async fn chooser(browser: &mut Browser<'_>) -> Page {
    let page = browser
        .visit(&RelyingParty::web().request(&[("prompt", "select_account")]))
        .await;
    assert!(
        page.path.starts_with("/accounts?request=b"),
        "{} {}",
        page.status,
        page.path
    );
    assert_html(&page);
    page
}

async fn t33_an_accounts_form_that_we_did_not_show_is_refused(app: &App) {
    let mut browser = both(app).await;
    let page = chooser(&mut browser).await;
    let ada = handle_of(&page, "ada");
    let foreign = [
        token_of(&chooser(&mut both(app).await).await),
        token_of(&browser.visit("/sign-in").await),
        token_of(&browser.visit("/sign-out").await),
    ];
    assert_forgeries_are_refused(&mut browser, &page, &[("account", &ada)], &foreign).await;
    assert_forgeries_are_refused(&mut browser, &page, &[("sign_out", &ada)], &foreign).await;
    assert!(chooser(&mut browser).await.body.contains(">ada@acme.test<"));
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("bob"));
}

async fn t33_a_get_neither_chooses_nor_signs_out(app: &App) {
    let mut browser = both(app).await;
    let page = chooser(&mut browser).await;
    for field in ["account", "sign_out"] {
        let target = format!(
            "{}&{}",
            page.form().action,
            body_of(&page, &[(field, Some(&handle_of(&page, "ada")))])
        );
        let answer = browser.send(Method::GET, &target, &[], "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.get("set-cookie").is_none());
    }
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("bob"));
}

async fn oc_02_select_account_offers_every_account_of_the_browser(app: &App) {
    let web = RelyingParty::web();
    for (chosen, name) in [("ada", "Ada Lovelace"), ("bob", "Bob")] {
        let mut browser = both(app).await;
        let page = chooser(&mut browser).await;
        assert!(
            page.body.contains("Ada Lovelace")
                && page.body.contains(">Bob<")
                && page.body.contains("another-account")
        );
        assert!(
            page.header("content-security-policy")
                .contains("form-action 'self' https://web.acme.test;")
        );
        let answer = browser
            .submit_once(&page, &[("account", &handle_of(&page, chosen))])
            .await;
        assert_goes_to(&answer, "/oauth/authorize/b");
        let page = browser.follow(answer).await;
        assert!(
            page.body.contains("consent-allow") && page.body.contains(name),
            "{}",
            page.body
        );
        let page = browser.allow(&page).await;
        let tokens = web.exchange(app, &page.answer()["code"]).await.json();
        let info = web
            .userinfo(app, tokens["access_token"].as_str().unwrap())
            .await
            .json();
        assert_eq!(info["name"], name);
        // The chosen one is the active one from now on; nobody was lost.
        assert_eq!(greeted(&mut browser).await.as_deref(), Some(chosen));
        assert_eq!(browser.cookies[SESSION].split('.').count(), 2);
    }
}

async fn only_an_account_of_this_browser_can_be_chosen(app: &App) {
    let mut others = signed_in(app, "ada").await;
    let foreign = handle_of(&chooser(&mut others).await, "ada");
    let mut browser = signed_in(app, "bob").await;
    let page = chooser(&mut browser).await;
    let own = handle_of(&page, "bob");
    for value in [
        foreign.as_str(),
        "",
        "x",
        "00000000-0000-0000-0000-000000000000",
        &own.to_uppercase().replace('-', ""),
    ] {
        for field in ["account", "sign_out"] {
            let answer = browser.submit_once(&page, &[(field, value)]).await;
            assert_goes_to(&answer, "/accounts?request=b");
            assert!(
                answer.headers.get("set-cookie").is_none(),
                "{field} {value}"
            );
        }
    }
    assert_eq!(greeted(&mut others).await.as_deref(), Some("ada"));
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("bob"));
}

async fn one_account_is_signed_out_and_the_others_stay(app: &App) {
    let mut browser = both(app).await;
    let old = browser.cookies.clone();
    let page = chooser(&mut browser).await;
    let answer = browser
        .submit_once(&page, &[("sign_out", &handle_of(&page, "bob"))])
        .await;
    assert_goes_to(&answer, "/accounts?request=b");
    let page = browser.follow(answer).await;
    assert!(page.body.contains("Ada Lovelace") && !page.body.contains(">Bob<"));
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    // Bob's handle is dead, wherever it was copied to.
    let mut thief = Browser::new(app);
    thief.cookies = old;
    assert_eq!(greeted(&mut thief).await.as_deref(), Some("ada"));
    let answer = browser
        .submit_once(&page, &[("sign_out", &handle_of(&page, "ada"))])
        .await;
    assert!(
        !browser.cookies.contains_key(SESSION),
        "{:?}",
        browser.cookies
    );
    let page = browser.follow(answer).await;
    assert!(page.path.starts_with("/sign-in?request=b"), "{}", page.path);
}

async fn a_browser_holds_ten_accounts(app: &App) {
    let mut browser = Browser::new(app);
    let mut first = None;
    for index in 0..11 {
        let page = browser.visit("/sign-up").await;
        let answer = browser
            .submit_once(
                &page,
                &[
                    ("name", "N"),
                    ("email", &format!("n{index}@acme.test")),
                    ("password", "violet-harbour-kettle-93"),
                ],
            )
            .await;
        assert_goes_to(&answer, "/");
        first.get_or_insert_with(|| browser.cookies[SESSION].clone());
        assert_eq!(
            browser.cookies[SESSION].split('.').count(),
            10.min(index + 1)
        );
    }
    let page = chooser(&mut browser).await;
    assert!(
        !page.body.contains(">n0@acme.test<")
            && page.body.contains(">n1@acme.test<")
            && page.body.contains(">n10@acme.test<")
    );
    // The eleventh sign-in ended the oldest session; its handle opens nothing.
    let mut thief = Browser::new(app);
    thief.cookies.insert(SESSION.to_owned(), first.unwrap());
    assert_eq!(greeted(&mut thief).await, None);
    // A cookie with more handles than that is read to the tenth.
    let handle = browser.cookies[SESSION]
        .split('.')
        .next()
        .unwrap()
        .to_owned();
    thief.cookies.insert(
        SESSION.to_owned(),
        format!("{}{handle}", "ses_x.".repeat(10)),
    );
    assert_eq!(greeted(&mut thief).await, None);
}

async fn a_browser_without_accounts_is_led_to_sign_in(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser
        .visit(&RelyingParty::web().request(&[("prompt", "select_account")]))
        .await;
    assert!(page.path.starts_with("/sign-in?request=b"));
    let target = page.path.replace("/sign-in", "/accounts");
    assert_goes_to(
        &browser.send(Method::GET, &target, &[], "").await,
        "/sign-in?request=b",
    );
    for target in ["/accounts", "/accounts?request="] {
        assert_goes_to(&browser.send(Method::GET, target, &[], "").await, "/");
        assert_goes_to(&browser.post(target, "account=x").await, "/");
    }
    assert_error(
        app,
        &browser.visit("/accounts?request=x").await,
        400,
        super::EXPIRED,
    );
}

async fn oc_09_of_several_accounts_a_silent_request_is_about_the_active_one(app: &App) {
    let first = RelyingParty::first_party();
    let mut browser = both(app).await;
    let answer = browser.visit(&first.request(&[("prompt", "none")])).await;
    assert_goes_to(&answer, "https://first.acme.test/cb?code=");
    let tokens = first.exchange(app, &answer.answer()["code"]).await.json();
    let info = first
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(info["email"], "bob@acme.test");
    // Choosing shows something, and is never mixed with silence.
    let answer = browser
        .visit(&first.request(&[("prompt", "none select_account")]))
        .await;
    assert_goes_to(&answer, "https://first.acme.test/cb?error=invalid_request");
}
