//! The log: what a stranger sends stays on its line, and no secret is in it (T52). Source rules about secrets (T43).

use super::{assert_html, signed_in};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::relying_party::RelyingParty;
use http::{Method, Request};
use std::path::Path;

on_both_engines! {
    t52_a_stranger_cannot_break_a_line,
    t52_no_secret_is_in_the_log,
}

async fn t52_a_stranger_cannot_break_a_line(app: &App) {
    let web = RelyingParty::web();
    let hostile = [
        "CANARY\r\n{\"level\":\"ERROR\"}",
        "CANARY\u{1b}[2J\u{1b}]0;x\u{7}",
        "CANARY\"},{\"x\":\"",
        "CANARY\\\",\\",
        "CANARY\u{2028}\u{2029}\u{85}\u{9b}31m",
        "CANARY\u{202e}",
    ];
    let mut browser = Browser::new(app);
    for text in hostile {
        for name in [
            "client_id",
            "redirect_uri",
            "scope",
            "prompt",
            "state",
            "response_type",
            "claims",
        ] {
            browser.visit(&web.request(&[(name, text)])).await;
        }
        for field in ["username", "password"] {
            let page = browser.visit("/sign-in").await;
            browser
                .submit_once(
                    &page,
                    &[("username", "ada"), ("password", "x"), (field, text)]
                        .into_iter()
                        .skip(usize::from(field == "username"))
                        .collect::<Vec<_>>(),
                )
                .await;
        }
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            format!("/{encoded}"),
            format!("/t/{encoded}/sign-in"),
            format!("/setup/{encoded}"),
            format!("/oauth/authorize/{encoded}"),
            format!("/?{encoded}={encoded}"),
            format!("/?{encoded}"),
        ] {
            browser.send(Method::GET, &path, &[], "").await;
        }
    }
    for header in [
        "user-agent",
        "referer",
        "x-forwarded-for",
        "accept-language",
        "cookie",
        "origin",
        "host",
        "authorization",
    ] {
        for value in ["CANARY\"}{\"", "CANARY\\", "CANARY\t\t", "CANARY{}"] {
            browser
                .send(Method::GET, "/sign-in", &[(header, value)], "")
                .await;
        }
        let bytes = http::HeaderValue::from_bytes(b"CANARY\x9b31m\xff").unwrap();
        let request = Request::builder()
            .uri("/sign-in")
            .header("host", "127.0.0.1:8080")
            .header(header, bytes)
            .body(bytes::Bytes::new())
            .unwrap();
        assert!(!app.call(request).await.status().is_server_error());
    }
    let log = app.log();
    assert!(log.ends_with('\n') && log.lines().count() > 100);
    for line in log.lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_ne!(value["level"], "ERROR", "{line}");
        // Of two members of one name a parser keeps one.
        assert_eq!(line.matches("\"target\":").count(), 1, "{line}");
        assert!(
            value["timestamp"].is_string()
                && !line.chars().any(|character| character.is_control()
                    || matches!(character, '\u{2028}' | '\u{2029}')),
            "{line:?}"
        );
    }
}

async fn t52_no_secret_is_in_the_log(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser
        .visit(&web.request(&[
            ("state", "CANARY-state"),
            ("nonce", "CANARY-nonce"),
            ("login_hint", "CANARY-hint"),
        ]))
        .await;
    let token = super::token_of(&page);
    let sealed = page.path.split_once("request=").unwrap().1.to_owned();
    // People type a password where their name belongs.
    browser
        .submit_once(
            &page,
            &[("username", "CANARY-user"), ("password", "CANARY-password")],
        )
        .await;
    let page = browser.sign_in(&page, "ada").await;
    let page = browser.allow(&page).await;
    let code = page.answer()["code"].clone();
    let tokens = web.exchange(app, &code).await.json();
    let strings: Vec<&str> = ["access_token", "refresh_token", "id_token"]
        .iter()
        .map(|name| tokens[*name].as_str().unwrap())
        .collect();
    let id_token = strings[2];
    web.exchange(app, &code).await;
    web.userinfo(app, strings[0]).await;
    web.refresh(app, strings[1]).await;
    browser
        .visit(&format!("/oauth/userinfo?access_token={}", strings[0]))
        .await;
    browser
        .visit(&web.request(&[
            ("id_token_hint", id_token),
            ("prompt", "none"),
            ("code_challenge", "CANARY-challenge"),
        ]))
        .await;
    browser
        .visit(&format!(
            "/oauth/logout?id_token_hint={id_token}&state=CANARY-logout"
        ))
        .await;
    browser.visit(&format!("/oauth/authorize/{sealed}")).await;
    browser.visit("/setup/set_CANARY-setup-link").await;
    let other = signed_in(app, "bob").await;
    let log = app.log();
    let mut secrets: Vec<&str> = vec![
        "CANARY",
        &token,
        &sealed[..40],
        &code,
        crate::support::installation::SECRET,
        crate::support::installation::PASSWORD,
    ];
    secrets.extend(&strings);
    secrets.extend(other.cookies.values().map(String::as_str));
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret}: {}", line.unwrap_or_default());
    }
    assert_html(&browser.visit("/").await);
}

/// T43: digests, tokens and secrets are compared in constant time or found by their digest, never with `==`.
#[test]
fn t43_secrets_are_not_compared_with_equals() {
    fn look(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
                continue;
            }
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.extension().is_none_or(|extension| extension != "rs") || name.contains("test") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text
                .lines()
                .enumerate()
                .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
            {
                let code = line.split("//").next().unwrap().to_lowercase();
                let compares = code.contains(" == ") || code.contains(" != ");
                // `.digest` in a comparison; a public kind, length or name is none of these.
                let secret = [
                    "digest()",
                    ".digest ",
                    ".digest)",
                    "secret()",
                    ".secret ",
                    "reveal()",
                    "expose()",
                    "csrf",
                    "password ==",
                    "== password",
                    "token ==",
                    "== token",
                    "verifier ==",
                    "== verifier",
                    "hmac",
                ];
                if compares && secret.iter().any(|word| code.contains(word)) {
                    found.push(format!(
                        "{}:{}: {}",
                        path.display(),
                        number + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for name in ["vestibule-core", "vestibule-store", "vestibule-server"] {
        look(&crates.join(name).join("src"), &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
