//! The hosted pages, as a browser meets them, honest or not.

mod accounts;
mod consent;
mod dialogue;
mod headers;
mod hosts;
mod logs;
mod setup;
mod sign_in;
mod sign_in_with;
mod sign_out;
mod sign_up;

use crate::support::app::App;
use crate::support::browser::{Browser, Page};
use http::Method;

/// The cookie of who is signed in, on http.
const SESSION: &str = "vestibule-session-default";
/// The cookie that dialogues are bound to, on http.
const BROWSER: &str = "vestibule-browser-default";
/// The title of a refused form.
const FORM_REFUSED: &str = "We could not accept this form";
/// The title of a dialogue of another browser.
const OTHER_BROWSER: &str = "This was started in another browser";
/// The title of an expired dialogue.
const EXPIRED: &str = "This link has expired";

/// What a browser says of where a form comes from when it comes from elsewhere.
const FOREIGN: &[&[(&str, &str)]] = &[
    &[
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
    ],
    &[
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "same-origin"),
    ],
    &[("origin", "https://evil.test")],
    &[("origin", "null")],
    &[("origin", "null"), ("sec-fetch-site", "cross-site")],
    &[
        ("origin", "http://127.0.0.1:8080"),
        ("sec-fetch-site", "cross-site"),
    ],
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[("sec-fetch-site", "none")],
    &[("sec-fetch-site", "")],
    &[("origin", "http://127.0.0.1:8081")],
    &[("origin", "http://127.0.0.1")],
    &[("origin", "https://127.0.0.1:8080")],
    &[("origin", "http://127.0.0.1:8080.evil.test")],
    &[("origin", "http://evil.test/http://127.0.0.1:8080")],
    &[("origin", "")],
];

/// Every answer to a person: not stored, no referrer, no sniffing, no other origin reads it.
fn assert_quiet(page: &Page) {
    let place = format!("{} {}", page.status, page.path);
    assert_eq!(page.header("cache-control"), "no-store", "{place}");
    assert_eq!(page.header("referrer-policy"), "no-referrer", "{place}");
    assert_eq!(page.header("x-content-type-options"), "nosniff", "{place}");
    for absent in [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "server",
        "x-powered-by",
        "refresh",
    ] {
        assert!(page.headers.get(absent).is_none(), "{absent} on {place}");
    }
}

/// Every HTML answer: nobody frames it, nothing inline runs, nothing is loaded from elsewhere.
fn assert_html(page: &Page) {
    assert_quiet(page);
    let place = format!("{} {}", page.status, page.path);
    assert_eq!(
        page.header("content-type"),
        "text/html; charset=utf-8",
        "{place}"
    );
    assert_eq!(page.header("x-frame-options"), "DENY", "{place}");
    assert_eq!(
        page.headers
            .get_all("content-security-policy")
            .iter()
            .count(),
        1,
        "{place}"
    );
    let policy = page.header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(
            policy.contains(directive),
            "{directive} on {place}: {policy}"
        );
    }
    for weak in ["unsafe", "data:", "blob:", "*", "script-src 'self' "] {
        assert!(!policy.contains(weak), "{weak} on {place}: {policy}");
    }
    let body = page.body.to_lowercase();
    assert!(
        body.starts_with("<!doctype html>") && body.contains("<html lang=\"en\">"),
        "{place}"
    );
    for inline in [
        "<style",
        "<iframe",
        "<object",
        "<embed",
        "<base",
        "http-equiv",
    ] {
        assert!(!body.contains(inline), "{inline} on {place}");
    }
    // Text has no `<`, and values have no `>`: what stands between them is a tag of ours.
    for tag in body
        .split('<')
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        for (index, part) in tag.split('"').enumerate() {
            let name = part.trim_start().trim_end_matches('=');
            assert!(
                index % 2 == 1
                    || !(name.starts_with("on") || name.ends_with(" style") || name == "style"),
                "{tag} on {place}"
            );
        }
        for link in ["href=\"", "action=\"", "src=\""] {
            let target = tag.split(link).nth(1).unwrap_or("/");
            assert!(
                target.starts_with(['/', '#']) || target.starts_with("https://"),
                "{tag} on {place}"
            );
        }
    }
    for script in body.split("<script").skip(1) {
        assert!(
            script.starts_with(" type=\"module\" src=\"/assets/")
                && script.contains("\"></script>"),
            "{place}: {script}"
        );
    }
    for loaded in body
        .split(" src=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(loaded.starts_with("/assets/"), "{loaded} on {place}");
    }
    for loaded in body
        .split("<link ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
    {
        assert!(loaded.contains("href=\"/assets/"), "{loaded} on {place}");
    }
    // A code belongs into the redirect to the client, or into the form that posts it there.
    for before in ['"', '=', '>'] {
        assert!(
            !body.contains(&format!("{before}oac_")) || body.contains("form-post-submit"),
            "a code on {place}"
        );
        assert!(
            !body.contains(&format!("{before}ses_")),
            "a session on {place}"
        );
    }
}

/// A page with this status and heading.
fn assert_shown(page: &Page, status: u16, title: &str) {
    assert_eq!(
        page.status, status,
        "{} instead of {title}\n{}",
        page.path, page.body
    );
    assert_html(page);
    assert!(
        page.body.contains(&format!("<h1>{title}</h1>")),
        "no {title} on {}\n{}",
        page.path,
        page.body
    );
}

/// An error page with this status and heading, which the log knows by its reference.
fn assert_error(app: &App, page: &Page, status: u16, title: &str) {
    assert_shown(page, status, title);
    let reference = page
        .body
        .split("<code id=\"reference\">")
        .nth(1)
        .unwrap_or_else(|| panic!("no reference\n{}", page.body));
    let reference = reference.split('<').next().unwrap();
    let log = app.log();
    let line = log
        .lines()
        .find(|line| line.contains(reference) && line.contains("\"words\""));
    let line: serde_json::Value =
        serde_json::from_str(line.unwrap_or_else(|| panic!("{reference} is not in the log")))
            .unwrap();
    assert_eq!(
        (line["words"].as_str(), line["status"].as_u64()),
        (Some(title), Some(status.into())),
        "{line}"
    );
}

/// A redirect: 303 by default, nothing in it but the way on.
fn assert_goes_to(page: &Page, location: &str) {
    assert_eq!(page.status, 303, "{}\n{}", page.path, page.body);
    assert!(
        page.header("location").starts_with(location),
        "{} instead of {location}",
        page.header("location")
    );
    assert_eq!(page.body, "");
    assert_quiet(page);
}

/// A form's fields, some of them changed or added, encoded; a field that is `None` is taken out.
fn body_of(page: &Page, changed: &[(&str, Option<&str>)]) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in page
        .form()
        .fields
        .iter()
        .filter(|(name, _)| !changed.iter().any(|(known, _)| known == name))
    {
        body.append_pair(name, value);
    }
    for (name, value) in changed {
        if let Some(value) = value {
            body.append_pair(name, value);
        }
    }
    body.finish()
}

/// The token of a page's form.
fn token_of(page: &Page) -> String {
    page.form()
        .fields
        .into_iter()
        .find(|(name, _)| name == "csrf")
        .unwrap()
        .1
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// T33, O21-36: posts a page's form as every kind of stranger would. All of it is refused with 403. `filled` is what an honest
/// person would fill in; `foreign_tokens` are tokens that were given for something else.
async fn assert_forgeries_are_refused(
    browser: &mut Browser<'_>,
    page: &Page,
    filled: &[(&str, &str)],
    foreign_tokens: &[String],
) {
    let action = page.form().action;
    let honest: Vec<(&str, Option<&str>)> = filled
        .iter()
        .map(|(name, value)| (*name, Some(*value)))
        .collect();
    for headers in FOREIGN {
        let headers: Vec<(&str, &str)> = headers.iter().copied().chain([FORM]).collect();
        let answer = browser
            .send(Method::POST, &action, &headers, &body_of(page, &honest))
            .await;
        assert_eq!(answer.status, 403, "{action} {headers:?}\n{}", answer.body);
        assert_error(browser.app, &answer, 403, FORM_REFUSED);
        assert!(
            answer.headers.get("set-cookie").is_none(),
            "{action} {headers:?}"
        );
    }
    let token = token_of(page);
    let mut tokens = vec![
        None,
        Some(String::new()),
        Some(token[1..].to_owned()),
        Some(format!("{token}A")),
        Some(token.to_lowercase()),
        Some("0".repeat(token.len())),
    ];
    tokens.extend(foreign_tokens.iter().cloned().map(Some));
    for token in tokens {
        let mut fields = honest.clone();
        fields.push(("csrf", token.as_deref()));
        let answer = browser.post(&action, &body_of(page, &fields)).await;
        assert_eq!(answer.status, 403, "{action} {token:?}\n{}", answer.body);
        assert_error(browser.app, &answer, 403, FORM_REFUSED);
    }
    // Twice is not once; and what is no form holds no token.
    let twice = format!("{}&csrf={token}", body_of(page, &honest));
    assert_error(
        browser.app,
        &browser.post(&action, &twice).await,
        403,
        FORM_REFUSED,
    );
    for kind in [
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let answer = browser
            .send(
                Method::POST,
                &action,
                &[("content-type", kind), ("sec-fetch-site", "same-origin")],
                &body_of(page, &honest),
            )
            .await;
        assert_error(browser.app, &answer, 403, FORM_REFUSED);
    }
}

/// Whom the home page greets: their address, without `@acme.test`.
async fn greeted(browser: &mut Browser<'_>) -> Option<String> {
    let page = browser.visit("/").await;
    assert_shown(&page, 200, "<bdi>Acme</bdi>");
    page.body
        .split("<bdi class=\"who-identifier\">")
        .nth(1)
        .map(|rest| {
            rest.split('<')
                .next()
                .unwrap()
                .trim_end_matches("@acme.test")
                .to_owned()
        })
}

/// Somebody who is signed in, without any app.
async fn signed_in<'a>(app: &'a App, username: &str) -> Browser<'a> {
    let mut browser = Browser::new(app);
    let page = browser.visit("/sign-in").await;
    let page = browser.sign_in(&page, username).await;
    assert_shown(&page, 200, "<bdi>Acme</bdi>");
    assert!(page.body.contains("sign-out-link"), "{}", page.body);
    browser
}

/// A token with one character of its signature changed.
fn forged(token: &str) -> String {
    let at = token.len() - 20;
    let other = if &token[at..=at] == "A" { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}
