//! `/setup/{link}`: nobody takes a new installation over (T50).

use super::{
    FORM_REFUSED, assert_error, assert_forgeries_are_refused, assert_goes_to, assert_html,
    assert_shown, token_of,
};
use crate::support::app::{App, START, from_settings_on_both_engines};
use crate::support::browser::{Browser, Page};
use http::Method;

from_settings_on_both_engines! {
    t50_the_link_works_once_and_no_other_opens_afterwards,
    t50_a_wrong_link_is_no_page,
    t50_a_link_lasts_a_day,
    t50_a_newer_link_replaces_the_older,
    t50_of_two_set_ups_at_once_one_wins,
    t33_a_set_up_form_that_we_did_not_show_is_refused,
    what_is_wrong_with_the_operator_is_said,
}

const CLOSED: &str = "Set-up is closed";
const OPERATOR: [(&str, &str); 5] = [
    ("installation", "Acme"),
    ("name", "Olive"),
    ("username", "olive"),
    ("email", "olive@acme.test"),
    ("password", "violet-harbour-kettle-93"),
];

async fn fresh(settings: &[(String, String)]) -> App {
    App::start(settings, &[], START, "").await
}

async fn opened<'a>(app: &'a App, link: &str) -> (Browser<'a>, Page) {
    let mut browser = Browser::new(app);
    let page = browser.visit(link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_html(&page);
    (browser, page)
}

async fn t50_the_link_works_once_and_no_other_opens_afterwards(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    assert!(link.len() > 60, "{link}");
    let (mut browser, page) = opened(&app, &link).await;
    let done = browser.submit_once(&page, &OPERATOR).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_html(&done);
    assert!(done.body.contains("sign-in") && !done.body.contains("violet"));
    // Nobody is signed in by it: the operator proves the password first.
    assert!(!browser.cookies.contains_key(super::SESSION));
    for _ in 0..2 {
        assert_error(&app, &browser.visit(&link).await, 404, CLOSED);
        assert_error(
            &app,
            &browser
                .submit_once(
                    &page,
                    &[
                        ("username", "mallory"),
                        ("email", "m@acme.test"),
                        ("name", "M"),
                        ("password", "violet-harbour-kettle-93"),
                        ("installation", "M"),
                    ],
                )
                .await,
            404,
            CLOSED,
        );
        assert_eq!(app.server.set_up_link().await, None);
    }
    let page = browser.visit("/sign-in").await;
    let answer = browser
        .submit_once(
            &page,
            &[
                ("username", "olive"),
                ("password", "violet-harbour-kettle-93"),
            ],
        )
        .await;
    assert_goes_to(&answer, "/");
    assert_eq!(super::greeted(&mut browser).await.as_deref(), Some("olive"));
    app.end().await;
    // A restart does not reopen it.
    let app = fresh(settings).await;
    assert_eq!(app.server.set_up_link().await, None);
    assert_error(&app, &Browser::new(&app).visit(&link).await, 404, CLOSED);
    app.end().await;
}

async fn t50_a_wrong_link_is_no_page(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    let (start, handle) = link.rsplit_once('/').unwrap();
    let last = if handle.ends_with('A') { "B" } else { "A" };
    for wrong in [
        format!("{}{last}", &handle[..handle.len() - 1]),
        handle[..handle.len() - 1].to_owned(),
        format!("{handle}A"),
        handle.to_uppercase(),
        handle.replace("set_", "ses_"),
        "x".to_owned(),
        "%00".to_owned(),
        "x".repeat(4000),
    ] {
        let mut browser = Browser::new(&app);
        assert_error(
            &app,
            &browser.visit(&format!("{start}/{wrong}")).await,
            404,
            CLOSED,
        );
        assert_error(
            &app,
            &browser
                .post(&format!("/setup/{wrong}"), "installation=x")
                .await,
            404,
            CLOSED,
        );
    }
    // The right one leaves no trace in the log, and looking does not use it up.
    opened(&app, &link).await;
    opened(&app, &link).await;
    assert!(!app.log().contains(&handle[10..30]));
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = Browser::new(&app).send(method, &link, &[], "").await;
        assert_error(&app, &answer, 405, "This page cannot be opened that way");
    }
    app.end().await;
}

async fn t50_a_link_lasts_a_day(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    app.server.advance(24 * 3600 - 1);
    let (mut browser, page) = opened(&app, &link).await;
    app.server.advance(1);
    assert_error(&app, &browser.visit(&link).await, 404, CLOSED);
    assert_error(
        &app,
        &browser.submit_once(&page, &OPERATOR).await,
        404,
        CLOSED,
    );
    // Nothing was created; a new link opens.
    let (mut browser, page) = opened(&app, &app.server.set_up_link().await.unwrap()).await;
    assert_eq!(browser.submit_once(&page, &OPERATOR).await.status, 200);
    app.end().await;
}

async fn t50_a_newer_link_replaces_the_older(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let older = app.server.set_up_link().await.unwrap();
    let (mut browser, page) = opened(&app, &older).await;
    let newer = app.server.set_up_link().await.unwrap();
    assert_ne!(older, newer);
    assert_error(
        &app,
        &browser.submit_once(&page, &OPERATOR).await,
        404,
        CLOSED,
    );
    assert_error(&app, &browser.visit(&older).await, 404, CLOSED);
    opened(&app, &newer).await;
    app.end().await;
}

async fn t50_of_two_set_ups_at_once_one_wins(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    let (mut one, first) = opened(&app, &link).await;
    let (mut other, second) = opened(&app, &link).await;
    let mut mallory = OPERATOR;
    (mallory[2].1, mallory[3].1) = ("mallory", "mallory@evil.test");
    let (a, b) = tokio::join!(
        one.submit_once(&first, &OPERATOR),
        other.submit_once(&second, &mallory)
    );
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 404], "{}\n{}", a.body, b.body);
    let (winner, loser) = if a.status == 200 {
        ("olive", "mallory")
    } else {
        ("mallory", "olive")
    };
    assert_error(&app, if a.status == 200 { &b } else { &a }, 404, CLOSED);
    for (username, status) in [(winner, 303), (loser, 422)] {
        let mut browser = Browser::new(&app);
        let page = browser.visit("/sign-in").await;
        let answer = browser
            .submit_once(
                &page,
                &[
                    ("username", username),
                    ("password", "violet-harbour-kettle-93"),
                ],
            )
            .await;
        assert_eq!(answer.status, status, "{username}");
    }
    app.end().await;
}

async fn t33_a_set_up_form_that_we_did_not_show_is_refused(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    let (mut browser, page) = opened(&app, &link).await;
    let (_, others) = opened(&app, &link).await;
    let foreign = [
        token_of(&others),
        token_of(&browser.visit("/sign-in").await),
    ];
    assert_forgeries_are_refused(&mut browser, &page, &OPERATOR, &foreign).await;
    let mut stranger = Browser::new(&app);
    assert_error(
        &app,
        &stranger.submit_once(&page, &OPERATOR).await,
        403,
        FORM_REFUSED,
    );
    assert_eq!(browser.submit_once(&page, &OPERATOR).await.status, 200);
    app.end().await;
}

async fn what_is_wrong_with_the_operator_is_said(settings: &[(String, String)]) {
    let app = fresh(settings).await;
    let link = app.server.set_up_link().await.unwrap();
    let (mut browser, page) = opened(&app, &link).await;
    let long = "n".repeat(600);
    for (field, value) in [
        ("installation", ""),
        ("installation", &long),
        ("name", ""),
        ("name", &long),
        ("username", ""),
        ("username", "a b"),
        ("email", "x"),
        ("password", ""),
        ("password", "password"),
        ("password", "olive@acme.test"),
    ] {
        let mut filled = OPERATOR;
        filled
            .iter_mut()
            .find(|(name, _)| *name == field)
            .unwrap()
            .1 = value;
        let answer = browser.submit_once(&page, &filled).await;
        assert_eq!(answer.status, 422, "{field} {value}");
        assert_html(&answer);
        assert!(
            !answer.body.contains("violet-harbour"),
            "the password is shown again"
        );
    }
    let polyglot = "\"><script>alert(1)</script>";
    let mut filled = OPERATOR;
    (filled[0].1, filled[1].1) = (polyglot, polyglot);
    let done = browser.submit_once(&page, &filled).await;
    for shown in [
        done,
        browser.visit("/").await,
        browser.visit("/sign-in").await,
    ] {
        assert_html(&shown);
        assert!(!shown.body.contains("<script>alert"));
    }
    assert_shown(&browser.visit("/sign-in").await, 200, "Sign in");
    app.end().await;
}
