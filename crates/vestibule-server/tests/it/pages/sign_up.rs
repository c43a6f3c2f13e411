//! `/sign-up`.

use super::{
    SESSION, assert_error, assert_forgeries_are_refused, assert_goes_to, assert_html, assert_shown,
    body_of, greeted, token_of,
};
use crate::support::app::{App, START, from_settings_on_both_engines, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::INSTALLATION;
use crate::support::relying_party::{RelyingParty, decode};

on_both_engines! {
    t33_a_sign_up_form_that_we_did_not_show_is_refused,
    t12_an_address_makes_one_account,
    t37_a_name_is_text_wherever_it_is_shown,
    t46_a_new_address_is_unverified,
    t40_sign_ups_of_one_network_are_counted,
    what_is_wrong_is_said_beside_its_field,
    a_closed_sign_up_has_no_page,
    oc_02_prompt_create_leads_through_sign_up_to_the_app,
}
from_settings_on_both_engines! {
    t57_a_full_hash_queue_is_503_with_retry_after,
}

/// A password that nobody guesses.
const STRONG: &str = "violet-harbour-kettle-93";

async fn sign_up(browser: &mut Browser<'_>, page: &Page, name: &str, email: &str) -> Page {
    browser
        .submit_once(
            page,
            &[("name", name), ("email", email), ("password", STRONG)],
        )
        .await
}

async fn t33_a_sign_up_form_that_we_did_not_show_is_refused(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-up").await;
    let foreign = [
        token_of(&Browser::new(app).visit("/sign-up").await),
        token_of(&browser.visit("/sign-in").await),
    ];
    let filled = [
        ("name", "Eve"),
        ("email", "eve@acme.test"),
        ("password", STRONG),
    ];
    assert_forgeries_are_refused(&mut browser, &page, &filled, &foreign).await;
    assert!(!browser.cookies.contains_key(SESSION));
    // None of them made the account.
    assert_goes_to(
        &sign_up(&mut browser, &page, "Eve", "eve@acme.test").await,
        "/",
    );
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("eve"));
}

async fn t12_an_address_makes_one_account(app: &App) {
    for taken in [
        "ada@acme.test",
        "ADA@ACME.TEST",
        " ada@acme.test ",
        "Ada@Acme.Test",
        "carol@acme.test",
    ] {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-up").await;
        let answer = sign_up(&mut browser, &page, "Somebody", taken).await;
        assert_eq!(answer.status, 422, "{taken}");
        assert_html(&answer);
        assert!(
            answer.body.contains("This address cannot be used"),
            "{}",
            answer.body
        );
        assert!(!browser.cookies.contains_key(SESSION));
    }
    for wrong in [
        "",
        "ada",
        "ada@",
        "@acme.test",
        "a b@acme.test",
        "ada@acme.test\u{202e}",
        "ada@acme.test,eve@evil.test",
        "ada@acme.test%00",
    ] {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-up").await;
        let answer = sign_up(&mut browser, &page, "Somebody", wrong).await;
        assert_eq!(answer.status, 422, "{wrong}");
        assert_html(&answer);
    }
}

async fn t37_a_name_is_text_wherever_it_is_shown(app: &App) {
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'-alert(1)-'",
        "</title><svg/onload=alert(1)>",
        "{{7*7}}${7*7}<%= 7*7 %>",
        "javascript:alert(1)",
    ];
    for (index, name) in names.iter().enumerate() {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-up").await;
        // First with a bad password, so that the form shows what was typed.
        let again = browser
            .submit_once(
                &page,
                &[
                    ("name", name),
                    ("email", "\"><script>alert(2)</script>"),
                    ("password", "x"),
                ],
            )
            .await;
        assert_eq!(again.status, 422);
        let shown = [
            again,
            sign_up(&mut browser, &page, name, &format!("x{index}@acme.test")).await,
            browser.visit("/").await,
            browser.visit("/sign-out").await,
            browser.visit(&RelyingParty::web().request(&[])).await,
        ];
        for page in shown.iter().filter(|page| page.status != 303) {
            let body = page.body.to_lowercase();
            for live in ["<script>", "<img src=x", "<svg/onload", "</title><"] {
                assert!(
                    !body.contains(live),
                    "{name} lives on {}\n{}",
                    page.path,
                    page.body
                );
            }
            assert!(!page.body.contains("49$"), "{name} was computed");
            if page.status == 200 || *name != "javascript:alert(1)" {
                assert_eq!(page.header("x-frame-options"), "DENY");
                assert!(!page.header("content-security-policy").contains("unsafe"));
            }
        }
        assert!(
            shown[2].body.contains(
                &name
                    .replace('&', "&#38;")
                    .replace('<', "&#60;")
                    .replace('>', "&#62;")
                    .replace('"', "&#34;")
                    .replace('\'', "&#39;")
            ),
            "{}",
            shown[2].body
        );
    }
}

async fn t46_a_new_address_is_unverified(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.visit(&web.request(&[("prompt", "create")])).await;
    assert!(page.path.starts_with("/sign-up?request="), "{}", page.path);
    let answer = sign_up(&mut browser, &page, "Mallory", "admin@acme.test").await;
    let page = browser.follow(answer).await;
    let page = browser.allow(&page).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    let info = web
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(
        (info["email"].as_str(), info["email_verified"].as_bool()),
        (Some("admin@acme.test"), Some(false))
    );
    assert_eq!(
        decode(tokens["id_token"].as_str().unwrap()).1["sub"],
        info["sub"]
    );
}

async fn t40_sign_ups_of_one_network_are_counted(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-up").await;
    for _ in 0..20 {
        assert_eq!(sign_up(&mut browser, &page, "", "").await.status, 422);
    }
    let answer = sign_up(&mut browser, &page, "Late", "late@acme.test").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (429, "60")
    );
    assert_html(&answer);
    assert!(!browser.cookies.contains_key(SESSION));
    app.server.advance(60);
    assert_goes_to(
        &sign_up(&mut browser, &page, "Late", "late@acme.test").await,
        "/",
    );
}

async fn what_is_wrong_is_said_beside_its_field(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-up").await;
    let long = "n".repeat(513);
    #[rustfmt::skip]
    let table = [
        ("",      "new@acme.test", STRONG,          "Enter your name"),
        ("   ",   "new@acme.test", STRONG,          "Enter your name"),
        (&*long,  "new@acme.test", STRONG,          "Enter your name"),
        ("New",   "new@acme.test", "",              "Type a password"),
        ("New",   "new@acme.test", "abc",           "harder to guess"),
        ("New",   "new@acme.test", "password1",     "harder to guess"),
        ("New",   "new@acme.test", "new@acme.test", "harder to guess"),
        ("New",   "new@acme.test", "12345678",      "harder to guess"),
    ];
    for (name, email, password, said) in table {
        let answer = browser
            .submit_once(
                &page,
                &[("name", name), ("email", email), ("password", password)],
            )
            .await;
        assert_eq!(answer.status, 422, "{name} {password}");
        assert_html(&answer);
        assert!(
            answer.body.contains(said),
            "{name} {password}: {said}\n{}",
            answer.body
        );
        assert!(
            password.is_empty()
                || password == email
                || !answer.body.contains(&format!("\"{password}\"")),
            "the password is shown again"
        );
        assert!(answer.body.contains("autocomplete=\"new-password\""));
    }
    let huge = browser
        .submit_once(
            &page,
            &[
                ("name", "New"),
                ("email", "new@acme.test"),
                ("password", &"x".repeat(1025)),
            ],
        )
        .await;
    assert_eq!(huge.status, 422);
    assert!(huge.body.contains("at most 1024 bytes"));
}

async fn a_closed_sign_up_has_no_page(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/t/globex/sign-up").await;
    assert_error(app, &page, 404, "Sign-up is closed");
    let open = browser.visit("/sign-up").await;
    let body = body_of(
        &open,
        &[
            ("name", Some("Eve")),
            ("email", Some("eve@globex.test")),
            ("password", Some(STRONG)),
        ],
    );
    assert_error(
        app,
        &browser.post("/t/globex/sign-up", &body).await,
        404,
        "Sign-up is closed",
    );
    let page = browser.visit("/t/globex/sign-in").await;
    assert_shown(&page, 200, "Sign in");
    assert!(!page.body.contains("sign-up"));
}

async fn oc_02_prompt_create_leads_through_sign_up_to_the_app(app: &App) {
    let web = RelyingParty::web();
    let mut browser = super::signed_in(app, "ada").await;
    let page = browser.visit(&web.request(&[("prompt", "create")])).await;
    assert!(page.path.starts_with("/sign-up?request="), "{}", page.path);
    let answer = sign_up(&mut browser, &page, "New", "new@acme.test").await;
    assert_goes_to(&answer, "/oauth/authorize/b");
    let page = browser.follow(answer).await;
    assert!(
        page.body.contains("new@acme.test") && !page.body.contains("Ada Lovelace"),
        "{}",
        page.body
    );
    assert_goes_to(
        &browser.allow(&page).await,
        "https://web.acme.test/cb?code=",
    );
    // A form of the dialogue that was answered already is not another account.
    let mut other = Browser::new(app);
    let foreign = other
        .post(&page.form().action, "csrf=x&decision=allow")
        .await;
    assert_error(app, &foreign, 400, "Your browser did not keep our cookie");
}

async fn t57_a_full_hash_queue_is_503_with_retry_after(settings: &[(String, String)]) {
    let slow = [
        ("PASSWORD_THREADS", "1"),
        ("PASSWORD_QUEUE", "1"),
        ("PASSWORD_MEMORY_KIB", "131072"),
        ("PASSWORD_ITERATIONS", "4"),
    ];
    App::start(settings, &[], START, INSTALLATION)
        .await
        .end()
        .await;
    let app = App::start(settings, &slow, START, "").await;
    let mut browsers = Vec::new();
    for index in 0..6 {
        let mut browser = Browser::new(&app);
        let page = browser.visit("/sign-up").await;
        browsers.push((browser, page, format!("x{index}@acme.test")));
    }
    let mut tries = browsers
        .iter_mut()
        .map(async |(browser, page, email)| sign_up(browser, page, "New", email).await);
    let mut next = || tries.next().unwrap();
    let (one, two, three, four, five, six) =
        tokio::join!(next(), next(), next(), next(), next(), next());
    let answers = [one, two, three, four, five, six];
    let busy: Vec<&Page> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    assert!(!busy.is_empty() && answers.iter().any(|answer| answer.status == 303));
    for answer in busy {
        assert_html(answer);
        assert_eq!(answer.header("retry-after"), "2");
    }
    app.end().await;
}
