//! `/sign-out`, and where `/oauth/logout` ends.

use super::{
    EXPIRED, FORM_REFUSED, SESSION, assert_error, assert_forgeries_are_refused, assert_goes_to,
    assert_html, assert_shown, body_of, greeted, signed_in, token_of,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::BASE;
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    t33_a_sign_out_form_that_we_did_not_show_is_refused,
    t33_a_link_to_sign_out_asks_first,
    t34_after_sign_out_the_old_handle_opens_nothing,
    t02_sign_out_goes_to_registered_addresses_only,
    t02_a_forged_continue_leads_nowhere,
    t37_the_state_of_a_sign_out_is_data,
    rl_04_a_hint_of_this_session_spares_the_question_and_others_do_not,
    a_question_is_answered_within_thirty_minutes,
    signing_out_without_being_signed_in_says_so,
}

const SIGNED_OUT: &str = "You are signed out";

async fn t33_a_sign_out_form_that_we_did_not_show_is_refused(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    let page = browser.visit("/sign-out").await;
    assert_shown(&page, 200, "Sign out?");
    let foreign = [
        token_of(&signed_in(app, "ada").await.visit("/sign-out").await),
        token_of(&browser.visit("/sign-in").await),
    ];
    assert_forgeries_are_refused(&mut browser, &page, &[], &foreign).await;
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    assert_shown(&browser.submit_once(&page, &[]).await, 200, SIGNED_OUT);
    assert_eq!(greeted(&mut browser).await, None);
}

async fn t33_a_link_to_sign_out_asks_first(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    for target in [
        "/sign-out",
        "/oauth/logout",
        "/oauth/logout?client_id=web",
        "/oauth/logout?client_id=web&post_logout_redirect_uri=https://web.acme.test/bye",
        "/oauth/logout?client_id=nobody",
        "/oauth/logout?id_token_hint=x.y.z",
        "/api/id/v1/auth/logout",
    ] {
        let page = browser.visit(target).await;
        assert_shown(&page, 200, "Sign out?");
        // From elsewhere, as a form: the decision is made on a GET.
        if target.starts_with("/oauth") {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let answer = browser
                .send(
                    Method::POST,
                    path,
                    &[
                        super::FORM,
                        ("origin", "https://evil.test"),
                        ("sec-fetch-site", "cross-site"),
                    ],
                    query,
                )
                .await;
            assert_goes_to(&answer, "/oauth/logout?continue=");
            assert_shown(&browser.follow(answer).await, 200, "Sign out?");
        }
        assert_eq!(
            greeted(&mut browser).await.as_deref(),
            Some("ada"),
            "{target}"
        );
    }
    for twice in [
        "/oauth/logout?client_id=web&client_id=web",
        "/oauth/logout?state=%zz",
        "/oauth/logout?state=%00",
    ] {
        assert_error(
            app,
            &browser.visit(twice).await,
            400,
            "This app made a mistake",
        );
    }
}

async fn t34_after_sign_out_the_old_handle_opens_nothing(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    let old = browser.cookies.clone();
    let before = token_of(&browser.visit("/sign-in").await);
    let page = browser.visit("/sign-out").await;
    let answer = browser.submit_once(&page, &[]).await;
    assert_shown(&answer, 200, SIGNED_OUT);
    assert!(
        answer
            .header("set-cookie")
            .starts_with(&format!("{SESSION}=; "))
            && answer.header("set-cookie").contains("Max-Age=0")
    );
    assert_ne!(token_of(&browser.visit("/sign-in").await), before);
    let mut thief = Browser::new(app);
    thief.cookies = old;
    assert_eq!(greeted(&mut thief).await, None);
    assert_eq!(
        thief
            .visit(&web.request(&[("prompt", "none")]))
            .await
            .answer()["error"],
        "login_required"
    );
    // The back button and a second press do no harm.
    let again = browser.submit_once(&page, &[]).await;
    assert_error(app, &again, 403, FORM_REFUSED);
}

async fn t02_sign_out_goes_to_registered_addresses_only(app: &App) {
    let good = "https://web.acme.test/bye";
    let variants = [
        "https://web.acme.test/bye/",
        "https://web.acme.test/by",
        "https://web.acme.test/bye?x=1",
        "https://web.acme.test/bye#x",
        "https://WEB.acme.test/bye",
        "https://web.acme.test:443/bye",
        "https://web.acme.test/bye%2f..",
        "https://web.acme.test/./bye",
        "https://web.acme.test@evil.test/bye",
        "https://evil.test/https://web.acme.test/bye",
        "//web.acme.test/bye",
        "//evil.test",
        "/\\evil.test",
        "https:/web.acme.test/bye",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://web.acme.test/bye",
        "https://web.acme.test/cb",
        "https://spa.acme.test/bye",
        " https://web.acme.test/bye",
        "https://web.acme.test/bye ",
        "https://web.acme.test\\@evil.test/bye",
        "%68ttps://web.acme.test/bye",
    ];
    for address in variants.into_iter().chain([good]) {
        for client in ["web", "spa", "nobody", ""] {
            let mut browser = Browser::new(app);
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("client_id", client)
                .append_pair("post_logout_redirect_uri", address)
                .append_pair("state", "a b&c")
                .finish();
            let page = browser.visit(&format!("/oauth/logout?{query}")).await;
            let right = client == "web" && address == good
                || client == "spa" && address == "https://spa.acme.test/bye";
            if right {
                assert_goes_to(&page, address);
                assert_eq!(page.answer()["state"], "a b&c");
            } else {
                assert_shown(&page, 200, SIGNED_OUT);
                assert!(
                    !page.body.contains("evil.test") && !page.body.contains("alert(1)"),
                    "{address}\n{}",
                    page.body
                );
            }
        }
    }
    // After the question it is the same.
    for (address, right) in [
        (good, true),
        ("https://evil.test/", false),
        ("https://web.acme.test/bye/", false),
    ] {
        let mut browser = signed_in(app, "ada").await;
        let page = browser
            .visit(&format!(
                "/oauth/logout?client_id=web&post_logout_redirect_uri={address}&state=s"
            ))
            .await;
        assert_shown(&page, 200, "Sign out?");
        assert_eq!(
            page.header("content-security-policy")
                .contains("form-action 'self' https://web.acme.test;"),
            right
        );
        assert!(!page.body.contains("evil.test"));
        let answer = browser
            .submit_once(
                &page,
                &[
                    ("post_logout_redirect_uri", "https://evil.test/"),
                    ("client_id", "spa"),
                ],
            )
            .await;
        if right {
            assert_goes_to(&answer, "https://web.acme.test/bye?state=s");
        } else {
            assert_shown(&answer, 200, SIGNED_OUT);
        }
        assert_eq!(greeted(&mut browser).await, None);
    }
}

async fn t02_a_forged_continue_leads_nowhere(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    let page = browser
        .visit("/oauth/logout?client_id=web&post_logout_redirect_uri=https://web.acme.test/bye")
        .await;
    let sealed = page
        .form()
        .fields
        .into_iter()
        .find(|(name, _)| name == "continue")
        .unwrap()
        .1;
    let dialogue = browser.visit(&RelyingParty::web().request(&[])).await.path;
    let dialogue = dialogue.split_once("request=").unwrap().1.to_owned();
    let flipped = format!(
        "{}{}",
        &sealed[..sealed.len() - 2],
        if sealed.ends_with("AA") { "BB" } else { "AA" }
    );
    for forged in [
        "https://evil.test/",
        "//evil.test",
        "x",
        &flipped,
        &sealed[1..],
        &sealed[..20],
        &dialogue,
        &dialogue[1..],
        &format!("{sealed}="),
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("continue", forged)
            .finish();
        assert_error(
            app,
            &browser.visit(&format!("/oauth/logout?{query}")).await,
            400,
            EXPIRED,
        );
        let form = browser.visit("/sign-out").await;
        let answer = browser.submit_once(&form, &[("continue", forged)]).await;
        assert_error(app, &answer, 400, EXPIRED);
    }
    // And a sign-out's seal is no authorization request; a seal of one tenant is none of another.
    for bound in ["b", "u"] {
        assert_error(
            app,
            &browser
                .visit(&format!("/oauth/authorize/{bound}{sealed}"))
                .await,
            400,
            super::OTHER_BROWSER,
        );
    }
    assert_error(
        app,
        &browser
            .visit(&format!("/t/globex/oauth/logout?continue={sealed}"))
            .await,
        400,
        EXPIRED,
    );
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
}

async fn t37_the_state_of_a_sign_out_is_data(app: &App) {
    for state in [
        "\"><script>alert(1)</script>",
        "a&code=x#y",
        "é 世界",
        "'",
        "%0d%0aSet-Cookie: a=b",
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", "web")
            .append_pair("post_logout_redirect_uri", "https://web.acme.test/bye")
            .append_pair("state", state)
            .finish();
        let answer = Browser::new(app)
            .visit(&format!("/oauth/logout?{query}"))
            .await;
        assert_goes_to(&answer, "https://web.acme.test/bye?state=");
        assert_eq!(
            answer.answer().into_iter().collect::<Vec<_>>(),
            [("state".to_owned(), state.to_owned())]
        );
        let page = signed_in(app, "ada")
            .await
            .visit(&format!("/oauth/logout?{query}"))
            .await;
        assert_html(&page);
        assert!(!page.body.contains("alert(1)"));
    }
}

async fn rl_04_a_hint_of_this_session_spares_the_question_and_others_do_not(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.authorize(&web.request(&[]), "ada").await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    let hint = tokens["id_token"].as_str().unwrap().to_owned();
    let access = tokens["access_token"].as_str().unwrap();
    let others = web.tokens(app, "bob").await["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let elsewhere = web.tokens(app, "ada").await["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let forged = super::forged(&hint);
    for weak in [others.as_str(), elsewhere.as_str(), access, forged.as_str()] {
        let page = browser
            .visit(&format!("/oauth/logout?id_token_hint={weak}"))
            .await;
        assert_shown(&page, 200, "Sign out?");
    }
    let page = browser
        .visit(&format!("/oauth/logout?id_token_hint={hint}&client_id=spa"))
        .await;
    assert_error(app, &page, 400, "This app made a mistake");
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    let page = browser.visit(&format!("{BASE}/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri=https://web.acme.test/bye&state=s")).await;
    assert_goes_to(&page, "https://web.acme.test/bye?state=s");
    assert!(!page.header("location").contains(&hint));
    assert_eq!(greeted(&mut browser).await, None);
}

async fn a_question_is_answered_within_thirty_minutes(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    let page = browser
        .visit("/oauth/logout?client_id=web&post_logout_redirect_uri=https://web.acme.test/bye")
        .await;
    app.server.advance(30 * 60);
    assert_error(app, &browser.submit_once(&page, &[]).await, 400, EXPIRED);
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    let page = browser
        .visit("/oauth/logout?client_id=web&post_logout_redirect_uri=https://web.acme.test/bye")
        .await;
    app.server.advance(30 * 60 - 1);
    assert_goes_to(
        &browser.submit_once(&page, &[]).await,
        "https://web.acme.test/bye",
    );
}

async fn signing_out_without_being_signed_in_says_so(app: &App) {
    let mut browser = Browser::new(app);
    for target in ["/sign-out", "/oauth/logout"] {
        assert_shown(&browser.visit(target).await, 200, SIGNED_OUT);
    }
    let body = body_of(&browser.visit("/sign-in").await, &[]);
    assert_error(
        app,
        &browser.post("/sign-out", &body).await,
        403,
        FORM_REFUSED,
    );
}
