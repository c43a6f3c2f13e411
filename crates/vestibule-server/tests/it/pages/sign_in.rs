//! `/sign-in`.

use super::{
    BROWSER, FORM_REFUSED, SESSION, assert_error, assert_forgeries_are_refused, assert_goes_to,
    assert_html, assert_quiet, body_of, greeted, signed_in, token_of,
};
use crate::support::app::{App, START, from_settings_on_both_engines, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::{INSTALLATION, PASSWORD};
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    t33_a_sign_in_form_that_we_did_not_show_is_refused,
    t33_a_sign_in_without_our_cookie_is_refused,
    t33_a_get_never_signs_in,
    t34_the_session_and_the_form_token_change_with_every_sign_in,
    t34_a_planted_session_cookie_opens_nothing,
    t34_two_cookies_of_one_name_are_no_cookie,
    t34_a_planted_browser_cookie_gives_the_planter_nothing,
    t42_unknown_wrong_and_disabled_look_the_same,
    t42_unknown_and_known_names_are_throttled_alike,
    t57_a_password_is_never_cut,
    o21_33_every_post_is_answered_with_303,
    t67_signing_in_while_signing_out_in_another_tab_never_fails,
    a_name_is_found_however_it_is_typed,
    a_session_ends_when_it_is_idle,
    a_session_ends_with_its_lifetime,
}
from_settings_on_both_engines! {
    t41_the_victim_signs_in_from_another_network_during_an_attack,
    t42_unknown_names_are_hashed_too_and_a_full_queue_is_503,
    a_hash_is_upgraded_at_the_next_sign_in,
}

async fn try_password(
    browser: &mut Browser<'_>,
    page: &Page,
    username: &str,
    password: &str,
) -> Page {
    browser
        .submit_once(page, &[("username", username), ("password", password)])
        .await
}

async fn t33_a_sign_in_form_that_we_did_not_show_is_refused(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let mut other = Browser::new(app);
    let foreign = [
        token_of(&other.visit("/sign-in").await),
        token_of(&browser.visit("/sign-up").await),
        token_of(&browser.visit("/t/globex/sign-in").await),
    ];
    assert_forgeries_are_refused(
        &mut browser,
        &page,
        &[("username", "ada"), ("password", PASSWORD)],
        &foreign,
    )
    .await;
    assert!(!browser.cookies.contains_key(SESSION));
    assert_eq!(greeted(&mut browser).await, None);
    // The honest form still counts, whatever was tried.
    assert_goes_to(
        &try_password(&mut browser, &page, "ada", PASSWORD).await,
        "/",
    );
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
}

async fn t33_a_sign_in_without_our_cookie_is_refused(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let body = body_of(
        &page,
        &[("username", Some("ada")), ("password", Some(PASSWORD))],
    );
    for value in [None, Some("x"), Some(""), Some("AAAA")] {
        browser.cookies.clear();
        if let Some(value) = value {
            browser.cookies.insert(BROWSER.to_owned(), value.to_owned());
        }
        let answer = browser.post("/sign-in", &body).await;
        assert_error(app, &answer, 400, "Your browser did not keep our cookie");
        assert!(answer.headers.get("set-cookie").is_none());
    }
}

async fn t33_a_get_never_signs_in(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let body = body_of(
        &page,
        &[("username", Some("ada")), ("password", Some(PASSWORD))],
    );
    for method in [Method::GET] {
        let answer = browser
            .send(method, &format!("/sign-in?{body}"), &[], "")
            .await;
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains(PASSWORD));
        assert!(!browser.cookies.contains_key(SESSION));
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = browser.send(method, "/sign-in", &[], &body).await;
        assert_error(app, &answer, 405, "This page cannot be opened that way");
        assert!(
            answer.header("allow").contains("GET") && answer.header("allow").contains("POST"),
            "{}",
            answer.header("allow")
        );
        assert!(!browser.cookies.contains_key(SESSION));
    }
}

async fn t34_the_session_and_the_form_token_change_with_every_sign_in(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let before = token_of(&page);
    browser.sign_in(&page, "ada").await;
    let first = browser.cookies.clone();
    let page = browser.visit("/sign-in").await;
    assert_ne!(token_of(&page), before);
    // A form from before the sign-in is no form of this session.
    let stale = browser
        .post(
            "/sign-in",
            &body_of(
                &page,
                &[
                    ("csrf", Some(&before)),
                    ("username", Some("ada")),
                    ("password", Some(PASSWORD)),
                ],
            ),
        )
        .await;
    assert_error(app, &stale, 403, FORM_REFUSED);
    assert_goes_to(
        &try_password(&mut browser, &page, "ada", PASSWORD).await,
        "/",
    );
    assert_ne!(browser.cookies[SESSION], first[SESSION]);
    assert!(
        !browser.cookies[SESSION].contains('.'),
        "one person, one handle"
    );
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    let mut thief = Browser::new(app);
    thief.cookies = first;
    assert_eq!(greeted(&mut thief).await, None);
}

async fn t34_a_planted_session_cookie_opens_nothing(app: &App) {
    let attacker = signed_in(app, "bob").await;
    let planted = attacker.cookies[SESSION].clone();
    let mut invented = planted.clone();
    let last = invented.pop().unwrap();
    invented.push(if last == 'A' { 'B' } else { 'A' });
    for planted in [
        planted,
        invented,
        "ses_".to_owned(),
        "x".repeat(5000),
        "....".to_owned(),
        "null".to_owned(),
    ] {
        let mut victim = Browser::new(app);
        victim.cookies.insert(SESSION.to_owned(), planted.clone());
        let page = victim.visit("/sign-in").await;
        victim.sign_in(&page, "ada").await;
        let (own, _) = victim.cookies[SESSION]
            .split_once('.')
            .unwrap_or((&victim.cookies[SESSION], ""));
        assert_ne!(own, planted);
        assert_eq!(greeted(&mut victim).await.as_deref(), Some("ada"));
        // What was planted opens what it opened before, and nothing of the victim's.
        let mut planter = Browser::new(app);
        planter.cookies.insert(SESSION.to_owned(), planted);
        assert_ne!(greeted(&mut planter).await.as_deref(), Some("ada"));
    }
}

async fn t34_two_cookies_of_one_name_are_no_cookie(app: &App) {
    let ada = signed_in(app, "ada").await;
    let bob = signed_in(app, "bob").await;
    let (one, other) = (&ada.cookies[SESSION], &bob.cookies[SESSION]);
    for line in [
        format!("{SESSION}={one}; {SESSION}={other}"),
        format!("{SESSION}={other}; {SESSION}={one}"),
        format!("{SESSION}={one}; {SESSION}={one}"),
        format!("{SESSION}=; {SESSION}={one}"),
    ] {
        let page = Browser::new(app)
            .send(Method::GET, "/", &[("cookie", &line)], "")
            .await;
        assert_html(&page);
        assert!(
            page.body.contains("sign-in-link") && !page.body.contains("sign-out-link"),
            "{line}"
        );
    }
    // Over two header lines they are as many.
    let (first, second) = (format!("{SESSION}={one}"), format!("{SESSION}={other}"));
    let page = Browser::new(app)
        .send(
            Method::GET,
            "/",
            &[("cookie", &first), ("cookie", &second)],
            "",
        )
        .await;
    assert!(!page.body.contains("sign-out-link"));
    // A browser cookie that stands twice belongs to no form.
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let line = format!("{BROWSER}={0}; {BROWSER}={0}", browser.cookies[BROWSER]);
    let body = body_of(
        &page,
        &[("username", Some("ada")), ("password", Some(PASSWORD))],
    );
    let answer = Browser::new(app)
        .send(
            Method::POST,
            "/sign-in",
            &[
                ("cookie", &line),
                super::FORM,
                ("sec-fetch-site", "same-origin"),
            ],
            &body,
        )
        .await;
    assert_error(app, &answer, 400, "Your browser did not keep our cookie");
}

async fn t34_a_planted_browser_cookie_gives_the_planter_nothing(app: &App) {
    let web = RelyingParty::web();
    let mut attacker = Browser::new(app);
    let begun = attacker.visit(&web.request(&[])).await;
    // The victim's browser holds the attacker's browser cookie, and is led to the attacker's dialogue.
    let mut victim = Browser::new(app);
    victim
        .cookies
        .insert(BROWSER.to_owned(), attacker.cookies[BROWSER].clone());
    let page = victim.visit(&begun.path).await;
    let answer = try_password(&mut victim, &page, "ada", PASSWORD).await;
    assert_goes_to(&answer, "/oauth/authorize/b");
    // The hub's address holds facts about the victim's session, which the attacker does not hold.
    let seen = attacker.visit(answer.header("location")).await;
    assert!(
        seen.path.starts_with("/sign-in?request="),
        "{} {}",
        seen.path,
        seen.header("location")
    );
    // Nor does the attacker's token fit the victim's forms.
    let consent = victim.follow(answer).await;
    assert!(consent.body.contains("consent-allow"));
    let forged = victim
        .post(
            &consent.form().action,
            &body_of(
                &consent,
                &[
                    ("csrf", Some(&token_of(&seen))),
                    ("decision", Some("allow")),
                ],
            ),
        )
        .await;
    assert_error(app, &forged, 403, FORM_REFUSED);
}

async fn t42_unknown_wrong_and_disabled_look_the_same(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let long = "x".repeat(2000);
    #[rustfmt::skip]
    let table = [
        ("nobody",            "wrong",   "nobody of that name, or no password"),
        ("nobody",            PASSWORD,  "nobody of that name, or no password"),
        ("nobody@acme.test",  PASSWORD,  "nobody of that name, or no password"),
        ("ada",               "wrong",   "the password is wrong"),
        ("ada@acme.test",     "wrong",   "the password is wrong"),
        ("ada",               "Correct horse battery staple", "the password is wrong"),
        ("ada",               "correct horse battery staple ", "the password is wrong"),
        ("carol",             "wrong",   "the password is wrong"),
        ("carol",             PASSWORD,  "the person is disabled"),
        ("carol@acme.test",   PASSWORD,  "the person is disabled"),
        ("<b>&\"'",           PASSWORD,  "nobody of that name, or no password"),
        ("ada' OR 1=1 --",    PASSWORD,  "nobody of that name, or no password"),
    ];
    let mut seen = None;
    for (username, password, detail) in table {
        let answer = try_password(&mut browser, &page, username, password).await;
        assert_eq!(answer.status, 422, "{username}");
        assert_html(&answer);
        assert!(answer.body.contains("That did not match"), "{username}");
        assert!(
            !answer.body.contains(PASSWORD),
            "the password is shown again"
        );
        assert_eq!(app.last_detail(), detail, "{username}");
        assert_eq!(
            answer
                .form()
                .fields
                .iter()
                .find(|(name, _)| name == "username")
                .unwrap()
                .1,
            username,
            "escaped and back"
        );
        let escaped = username
            .replace('&', "&#38;")
            .replace('<', "&#60;")
            .replace('>', "&#62;")
            .replace('"', "&#34;")
            .replace('\'', "&#39;");
        assert!(
            answer.body.contains(&format!("value=\"{escaped}\"")),
            "{username}"
        );
        let shape = (
            answer
                .body
                .replace(&format!("value=\"{escaped}\""), "value=\"\""),
            answer.headers.clone(),
        );
        assert_eq!(
            *seen.get_or_insert_with(|| shape.clone()),
            shape,
            "{username}"
        );
    }
    // Without a name or a password there is nothing to look at; the page says the same.
    for (username, password) in [
        ("", PASSWORD),
        ("ada", ""),
        ("   ", PASSWORD),
        (long.as_str(), PASSWORD),
        ("ada", long.as_str()),
    ] {
        let answer = try_password(&mut browser, &page, username, password).await;
        assert_eq!(answer.status, 422);
        assert_html(&answer);
        assert!(answer.body.contains("That did not match"));
    }
    assert!(!browser.cookies.contains_key(SESSION));
}

async fn t42_unknown_and_known_names_are_throttled_alike(app: &App) {
    let mut seen = None;
    for username in ["nobody", "ada", "carol"] {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-in").await;
        for round in 0..10 {
            let answer = try_password(&mut browser, &page, username, "wrong").await;
            assert_eq!(answer.status, 422, "{username} {round}");
        }
        // Whoever knows the password is not told so now.
        let mut bodies = Vec::new();
        for password in ["wrong", PASSWORD] {
            let answer = try_password(&mut browser, &page, username, password).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("retry-after")),
                (429, "60"),
                "{username}"
            );
            assert_html(&answer);
            assert!(answer.body.contains("Too many tries"));
            assert!(!browser.cookies.contains_key(SESSION));
            bodies.push(
                answer
                    .body
                    .replace(&token_of(&answer), "")
                    .replace(username, ""),
            );
        }
        assert_eq!(bodies[0], bodies[1]);
        assert_eq!(
            *seen.get_or_insert_with(|| bodies[0].clone()),
            bodies[0],
            "{username}"
        );
    }
    // One try a minute comes back; another spelling of the name does not bring one.
    for username in ["ADA", " ada ", "Ada"] {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-in").await;
        assert_eq!(
            try_password(&mut browser, &page, username, PASSWORD)
                .await
                .status,
            429,
            "{username}"
        );
    }
    // Her address has a count of its own, as the address of nobody has: that it is hers is not told by a count.
    for username in ["ada@acme.test", "nobody@acme.test"] {
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-in").await;
        let answer = try_password(&mut browser, &page, username, "wrong").await;
        assert_eq!(answer.status, 422, "{username}");
    }
    app.server.advance(60);
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    assert_goes_to(
        &try_password(&mut browser, &page, "ada", PASSWORD).await,
        "/",
    );
    // Bob was never in anybody's way.
    assert_eq!(
        greeted(&mut signed_in(app, "bob").await).await.as_deref(),
        Some("bob")
    );
}

async fn t57_a_password_is_never_cut(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    for added in [1, 72, 996, 997, 4096] {
        let answer = try_password(
            &mut browser,
            &page,
            "ada",
            &format!("{PASSWORD}{}", "x".repeat(added)),
        )
        .await;
        assert_eq!(answer.status, 422, "{added}");
    }
    assert!(!browser.cookies.contains_key(SESSION));
}

async fn o21_33_every_post_is_answered_with_303(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.visit(&web.request(&[])).await;
    let answer = try_password(&mut browser, &page, "ada", PASSWORD).await;
    assert_goes_to(&answer, "/oauth/authorize/b");
    assert!(
        !answer.header("location").contains("ada") && !answer.header("location").contains("csrf")
    );
    let page = browser.follow(answer).await;
    let answer = browser.submit_once(&page, &[("decision", "allow")]).await;
    assert_goes_to(&answer, "/oauth/authorize/b");
    let answer = browser.follow(answer).await;
    assert_goes_to(&answer, "https://web.acme.test/cb?code=");
    let query = web.request(&[]);
    let answer = browser
        .post("/oauth/authorize", query.split_once('?').unwrap().1)
        .await;
    assert_goes_to(&answer, "/oauth/authorize/u");
}

async fn t67_signing_in_while_signing_out_in_another_tab_never_fails(app: &App) {
    for delay in 0..24 {
        let mut one = signed_in(app, "ada").await;
        let mut other = Browser::new(app);
        other.cookies = one.cookies.clone();
        let sign_in = one.visit("/sign-in").await;
        let sign_out = other.visit("/sign-out").await;
        let (entered, left) =
            tokio::join!(try_password(&mut one, &sign_in, "ada", PASSWORD), async {
                for _ in 0..delay * 4 {
                    tokio::task::yield_now().await;
                }
                other.submit_once(&sign_out, &[]).await
            });
        assert_goes_to(&entered, "/");
        assert!(left.status == 200, "{} {}", left.status, left.body);
    }
}

async fn a_name_is_found_however_it_is_typed(app: &App) {
    for username in ["ada", "ADA", " ada ", "ada@acme.test", "Ada@ACME.test"] {
        assert_eq!(
            greeted(&mut signed_in(app, username).await)
                .await
                .as_deref(),
            Some("ada"),
            "{username}"
        );
    }
}

async fn a_session_ends_when_it_is_idle(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    for _ in 0..3 {
        app.server.advance(3 * 86_400 - 60);
        assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    }
    app.server.advance(3 * 86_400 + 1);
    assert_eq!(greeted(&mut browser).await, None);
}

async fn a_session_ends_with_its_lifetime(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    for _ in 0..13 {
        app.server.advance(86_400);
        assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    }
    app.server.advance(86_399);
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    app.server.advance(1);
    assert_eq!(greeted(&mut browser).await, None);
    let silent = browser
        .visit(&RelyingParty::web().request(&[("prompt", "none")]))
        .await;
    assert_eq!(silent.answer()["error"], "login_required");
}

async fn t41_the_victim_signs_in_from_another_network_during_an_attack(
    settings: &[(String, String)],
) {
    let app = App::start(
        settings,
        &[("TRUSTED_PROXIES", "127.0.0.0/8")],
        START,
        INSTALLATION,
    )
    .await;
    let mut browser = Browser::new(&app);
    let page = browser.visit("/sign-in").await;
    let post = async |browser: &mut Browser<'_>, from: &str, password: &str| {
        let body = body_of(
            &page,
            &[("username", Some("ada")), ("password", Some(password))],
        );
        browser
            .send(
                Method::POST,
                "/sign-in",
                &[
                    super::FORM,
                    ("sec-fetch-site", "same-origin"),
                    ("x-forwarded-for", from),
                ],
                &body,
            )
            .await
            .status
            .as_u16()
    };
    for _ in 0..10 {
        assert_eq!(post(&mut browser, "192.0.2.1", "wrong").await, 422);
    }
    // More entries on the left are the attacker's own invention; a /64 is one network.
    for from in [
        "192.0.2.1",
        "198.51.100.7, 192.0.2.1",
        "203.0.113.9, 198.51.100.8, 192.0.2.1",
        "::ffff:192.0.2.1",
    ] {
        assert_eq!(post(&mut browser, from, PASSWORD).await, 429, "{from}");
    }
    for last in 0..10 {
        assert_eq!(
            post(&mut browser, &format!("2001:db8::{last:x}"), "wrong").await,
            422
        );
    }
    assert_eq!(post(&mut browser, "2001:db8::ffff", "wrong").await, 429);
    assert_eq!(post(&mut browser, "192.0.2.2", PASSWORD).await, 303);
    app.end().await;
}

async fn t42_unknown_names_are_hashed_too_and_a_full_queue_is_503(settings: &[(String, String)]) {
    App::start(settings, &[], START, INSTALLATION)
        .await
        .end()
        .await;
    // One thread, one place to wait, and a hash that takes a while.
    let slow = [
        ("PASSWORD_THREADS", "1"),
        ("PASSWORD_QUEUE", "1"),
        ("PASSWORD_MEMORY_KIB", "131072"),
        ("PASSWORD_ITERATIONS", "4"),
    ];
    let app = App::start(settings, &slow, START, "").await;
    let mut browsers = Vec::new();
    for _ in 0..6 {
        let mut browser = Browser::new(&app);
        let page = browser.visit("/sign-in").await;
        browsers.push((browser, page));
    }
    let mut tries = browsers
        .iter_mut()
        .map(async |(browser, page)| try_password(browser, page, "nobody", PASSWORD).await);
    let mut next = || tries.next().unwrap();
    let (one, two, three, four, five, six) =
        tokio::join!(next(), next(), next(), next(), next(), next());
    let answers = [one, two, three, four, five, six];
    let busy: Vec<&Page> = answers
        .iter()
        .filter(|answer| answer.status == 503)
        .collect();
    assert!(!busy.is_empty(), "an unknown name costs no hash");
    assert!(answers.iter().any(|answer| answer.status == 422));
    for answer in busy {
        assert_html(answer);
        assert_eq!(answer.header("retry-after"), "2");
        assert!(answer.body.contains("We are very busy right now"));
        assert!(
            answer
                .form()
                .fields
                .iter()
                .any(|(name, value)| name == "username" && value == "nobody"),
            "what was typed is kept"
        );
    }
    app.end().await;
}

async fn a_hash_is_upgraded_at_the_next_sign_in(settings: &[(String, String)]) {
    App::start(settings, &[], START, INSTALLATION)
        .await
        .end()
        .await;
    let stronger = [
        ("PASSWORD_MEMORY_KIB", "2048"),
        ("PASSWORD_ITERATIONS", "2"),
    ];
    let app = App::start(settings, &stronger, START, "").await;
    let before = stored_hashes(settings).await;
    assert!(
        before.iter().all(|hash| hash.contains("m=1024,t=1,p=1")),
        "{before:?}"
    );
    let mut browser = Browser::new(&app);
    let page = browser.visit("/sign-in").await;
    assert_eq!(
        try_password(&mut browser, &page, "ada", "wrong")
            .await
            .status,
        422
    );
    assert_eq!(
        stored_hashes(settings).await,
        before,
        "a wrong password upgrades nothing"
    );
    assert_eq!(
        greeted(&mut signed_in(&app, "ada").await).await.as_deref(),
        Some("ada")
    );
    let after = stored_hashes(settings).await;
    assert_eq!(
        after
            .iter()
            .filter(|hash| hash.contains("m=2048,t=2,p=1"))
            .count(),
        before.len().min(1),
        "{after:?}"
    );
    app.end().await;
    let app = App::start(
        settings,
        &[("PASSWORD_LANES", "2"), ("PASSWORD_MEMORY_KIB", "64")],
        START,
        "",
    )
    .await;
    let mut browser = signed_in(&app, "ada").await;
    assert_eq!(greeted(&mut browser).await.as_deref(), Some("ada"));
    let page = browser.visit("/sign-in").await;
    let wrong = try_password(&mut browser, &page, "ada", "wrong").await;
    assert_eq!(wrong.status, 422);
    assert_quiet(&wrong);
    assert!(!app.log().contains("was not upgraded"));
    app.end().await;
}

/// The stored password hashes, where the engine lets a test look at them beside the server.
async fn stored_hashes(settings: &[(String, String)]) -> Vec<String> {
    let Some((_, database)) = settings.iter().find(|(name, _)| name == "DATABASE") else {
        return Vec::new();
    };
    let (client, connection) = tokio_postgres::connect(database, tokio_postgres::NoTls)
        .await
        .unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the driver of a test's own connection"
    )]
    let driver = tokio::spawn(connection);
    let rows = client
        .query(
            "SELECT secret FROM credentials WHERE kind = 'password' ORDER BY secret",
            &[],
        )
        .await
        .unwrap();
    let hashes: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    drop(client);
    driver.await.unwrap().unwrap();
    assert!(!hashes.is_empty());
    hashes
}
