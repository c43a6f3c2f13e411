//! A site whose pages another server has: what it is asked, and what of its answers readers get.

use super::{HOST, NAVIGATION, open, page, page_for, reader, send, settings};
use crate::support::app::{App, START, from_settings_on_both_engines};
use crate::support::installation::INSTALLATION;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

from_settings_on_both_engines! {
    pages_of_another_server_know_their_reader,
    t01_the_other_server_sees_the_path_that_the_rules_saw,
    t38_the_other_server_is_asked_nothing_that_could_change_a_page,
    what_is_not_for_a_reader_is_not_there,
    answers_are_passed_on_as_far_as_they_are_harmless,
    redirects_lead_to_the_address_that_readers_know,
    a_server_that_does_not_answer_as_it_should_is_said_so,
    files_keep_their_tags_and_parts,
}

/// Another server: raw answers by path, and a book of what was asked.
struct Other {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Other {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn raw(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn html(body: &str) -> String {
    raw("200 OK", "Content-Type: text/html; charset=utf-8\r\n", body)
}

impl Other {
    async fn start(answers: Vec<(&'static str, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&seen);
        #[expect(clippy::disallowed_methods, reason = "a server beside its test")]
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap_or(0) > 0
                {
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let is_head = head.starts_with("HEAD ");
                book.lock().push(head);
                let plain = path.split('?').next().unwrap();
                let answer = answers.iter().find(|(known, _)| *known == plain);
                let answer = answer.map_or_else(
                    || raw("404 Not Found", "", "nothing"),
                    |(_, answer)| answer.clone(),
                );
                let end = if is_head {
                    answer.find("\r\n\r\n").unwrap() + 4
                } else {
                    answer.len()
                };
                let _ = stream.write_all(&answer.as_bytes()[..end]).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock())
    }
}

/// A server of ours whose site is the other one.
async fn proxied(settings_of_app: &[(String, String)], other: &Other, changes: &Value) -> App {
    let allowed = other.address.strip_prefix("http://").unwrap();
    let app = App::start(
        settings_of_app,
        &[("OUTBOUND_ALLOW", allowed)],
        START,
        INSTALLATION,
    )
    .await;
    let mut site = json!({"upstream": format!("{}/base", other.address)});
    for (name, value) in changes.as_object().unwrap() {
        site[name] = value.clone();
    }
    app.server.upsert_docs_site(settings(&site)).await.unwrap();
    app
}

async fn pages_of_another_server_know_their_reader(given: &[(String, String)]) {
    let body = format!(
        "<b data-user=\"firstName\">you</b><p data-if-signed-in>in</p>{}<nav><a href=\"admin/\">Admin</a></nav>",
        "<i>filler</i>".repeat(20_000)
    );
    let other = Other::start(vec![("/base/", html(&page("", &body)))]).await;
    let app = proxied(
        given,
        &other,
        &json!({"rule": [{"path": "/admin/**", "groups": ["admin"]}]}),
    )
    .await;
    let anonymous = open(&app, "/docs/", "").await;
    let text = anonymous.text();
    assert_eq!(anonymous.status, 200);
    assert!(text.contains(">you<") && !text.contains(">in<") && !text.contains("Admin"));
    assert!(text.contains("/docs/_handshake/reader.js") && text.ends_with("</html>"));
    assert_eq!(anonymous.header("cache-control"), "no-cache");
    assert_eq!(anonymous.header("vary"), "cookie");
    let ada = reader(&app, &["admin"]).await;
    let personal = open(&app, "/docs/", &ada).await;
    let text = personal.text();
    assert!(text.contains(">Ada<") && text.contains(">in<") && text.contains("Admin"));
    assert_eq!(personal.header("cache-control"), "private, no-store");
    let head = send(&app, Method::HEAD, "/docs/", NAVIGATION).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(
        send(&app, Method::POST, "/docs/", NAVIGATION).await.status,
        405
    );
    app.end().await;
}

async fn t01_the_other_server_sees_the_path_that_the_rules_saw(given: &[(String, String)]) {
    let other = Other::start(Vec::new()).await;
    let app = proxied(given, &other, &json!({})).await;
    #[rustfmt::skip]
    let table = [
        ("/docs/a/b?x=%2f&y",    "/base/a/b?x=%2f&y"),
        ("/docs/%61dmin",        "/base/admin"),
        ("/docs/a;b=c/d",        "/base/a%3Bb%3Dc/d"),
        ("/docs/gr%C3%BCn/",     "/base/gr%C3%BCn/"),
        ("/docs/a%20b",          "/base/a%20b"),
        ("/docs/a'b(c)",         "/base/a%27b%28c%29"),
        ("/docs/",               "/base/"),
    ];
    for (path, sent) in table {
        open(&app, path, "").await;
        let asked = other.asked();
        assert_eq!(asked.len(), 1, "{path}");
        assert!(
            asked[0].starts_with(&format!("GET {sent} HTTP/1.1\r\n")),
            "{path}: {}",
            asked[0]
        );
    }
    for path in [
        "/docs/../x",
        "/docs/%2e%2e/x",
        "/docs/a%2fb",
        "/docs/a%5cb",
        "/docs//a",
        "/docs/%252e%252e/x",
        "/docs/a%00",
        "/docs/%ff",
        "/docs/_handshake/x",
        "/docs/%5fhandshake/x",
        "/other",
    ] {
        assert_eq!(open(&app, path, "").await.status, 404, "{path}");
        assert_eq!(other.asked(), Vec::<String>::new(), "{path}");
    }
    app.end().await;
}

async fn t38_the_other_server_is_asked_nothing_that_could_change_a_page(
    given: &[(String, String)],
) {
    let picture = raw("200 OK", "Content-Type: image/png\r\n", "x");
    let other = Other::start(vec![("/base/", html("<p>x")), ("/base/x.png", picture)]).await;
    let app = proxied(given, &other, &json!({})).await;
    let ada = reader(&app, &[]).await;
    let headers = [
        ("cookie", ada.as_str()),
        ("authorization", "Bearer x"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "host=evil.test"),
        ("x-original-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("accept-encoding", "gzip, br"),
        ("range", "bytes=0-1"),
        ("if-none-match", "*"),
        ("referer", "https://evil.test/"),
        ("user-agent", "Browser"),
        ("accept-language", "de"),
    ];
    assert_eq!(
        send(&app, Method::GET, "/docs/", &headers).await.status,
        200
    );
    let asked = other.asked().remove(0).to_lowercase();
    let mut names: Vec<&str> = asked
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept-encoding", "accept-language", "host", "user-agent"],
        "{asked}"
    );
    assert!(asked.contains("accept-encoding: identity"), "{asked}");
    app.end().await;
}

async fn what_is_not_for_a_reader_is_not_there(given: &[(String, String)]) {
    let other = Other::start(vec![
        ("/base/own", html(&page_for("admin", "SECRET"))),
        ("/base/rules/x", html("SECRET")),
        ("/base/rules/logo.png", raw("200 OK", "Content-Type: image/png\r\n", "SECRET")),
        ("/base/rules/moved", raw("302 Found", "Location: /base/SECRET\r\n", "")),
        ("/base/notes.md", raw("200 OK", "Content-Type: text/markdown\r\n", "---\ngroups: [admin]\n---\nSECRET")),
        ("/base/open", html(&page("<meta name=\"vestibule:public\" content=\"true\">", "open"))),
        ("/base/searchindex.js", raw("200 OK", "Content-Type: text/javascript\r\n", "SECRET")),
        ("/base/search.json", raw("200 OK", "Content-Type: application/json\r\n",
            r#"[{"url":"/docs/own","text":"SECRET"},{"url":"/docs/rules/x","text":"SECRET"},{"url":"/docs/open","text":"open"}]"#)),
        ("/base/sitemap.xml", raw("200 OK", "Content-Type: application/xml\r\n",
            "<urlset><url><loc>https://docs.acme.test/docs/own</loc></url><url><loc>https://docs.acme.test/docs/open</loc></url></urlset>")),
    ])
    .await;
    let rules =
        json!({"visibility": "private", "rule": [{"path": "/rules/**", "groups": ["admin"]}]});
    let app = proxied(given, &other, &rules).await;
    let (ada, bob) = (
        reader(&app, &["admin"]).await,
        reader(&app, &["staff"]).await,
    );
    let missing = open(&app, "/docs/nothing", &bob).await;
    assert_eq!(missing.status, 404);
    let gated = [
        "/docs/own",
        "/docs/rules/x",
        "/docs/rules/logo.png",
        "/docs/rules/moved",
        "/docs/notes.md",
        "/docs/searchindex.js",
        "/docs/rules/nothing",
    ];
    for path in gated {
        assert_eq!(open(&app, path, &bob).await, missing, "{path}");
        let anonymous = open(&app, path, "").await;
        assert_eq!(anonymous.status, 302, "{path}");
        assert!(
            anonymous
                .header("location")
                .starts_with("/docs/_handshake/sign-in?"),
            "{path}"
        );
    }
    for path in &gated[..5] {
        assert_ne!(open(&app, path, &ada).await.status, 404, "{path}");
    }
    assert_eq!(open(&app, "/docs/open", "").await.status, 200);
    // What is known of the pages that were asked for counts in lists.
    let index = open(&app, "/docs/search.json", &bob).await;
    assert_eq!(index.text(), r#"[{"text":"open","url":"/docs/open"}]"#);
    assert_eq!(index.header("cache-control"), "private, no-store");
    let sitemap = open(&app, "/docs/sitemap.xml", &bob).await.text();
    assert!(
        sitemap.contains("/docs/open") && !sitemap.contains("/docs/own"),
        "{sitemap}"
    );
    // A gated file is not even asked for.
    other.asked();
    open(&app, "/docs/rules/logo.png", &bob).await;
    assert_eq!(other.asked(), Vec::<String>::new());
    app.end().await;
}

async fn answers_are_passed_on_as_far_as_they_are_harmless(given: &[(String, String)]) {
    let headers = "Content-Type: text/css\r\nETag: \"t\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Language: de\r\n\
                   Set-Cookie: a=b\r\nSet-Cookie2: a=b\r\nServer: x\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: public, max-age=9\r\n\
                   Clear-Site-Data: \"*\"\r\nRefresh: 0\r\nLink: </x>\r\nVary: x\r\nStrict-Transport-Security: max-age=0\r\n\
                   Content-Security-Policy: sandbox\r\nX-Content-Type-Options: sniff\r\nService-Worker-Allowed: /\r\n";
    let other = Other::start(vec![
        ("/base/a.css", raw("200 OK", headers, "a{}")),
        (
            "/base/page",
            raw("200 OK", &headers.replace("text/css", "text/html"), "<p>x"),
        ),
        ("/base/none", raw("200 OK", "", "<script>alert(1)</script>")),
    ])
    .await;
    let app = proxied(given, &other, &json!({})).await;
    for (path, expected) in [
        (
            "/docs/a.css",
            vec![
                "accept-ranges",
                "cache-control",
                "content-language",
                "content-type",
                "etag",
                "last-modified",
                "referrer-policy",
                "strict-transport-security",
                "vary",
                "x-content-type-options",
            ],
        ),
        (
            "/docs/page",
            vec![
                "cache-control",
                "content-language",
                "content-type",
                "referrer-policy",
                "strict-transport-security",
                "vary",
                "x-content-type-options",
            ],
        ),
    ] {
        let answer = open(&app, path, "").await;
        let mut names: Vec<&str> = answer
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|name| *name != "accept-ranges")
            .collect();
        assert_eq!(names, expected, "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=31536000"
        );
    }
    assert_eq!(
        open(&app, "/docs/a.css", "").await.header("cache-control"),
        "public, max-age=300"
    );
    assert_eq!(
        open(&app, "/docs/none", "").await.header("content-type"),
        "application/octet-stream"
    );
    app.end().await;
}

async fn redirects_lead_to_the_address_that_readers_know(given: &[(String, String)]) {
    let to = |location: &str| {
        raw(
            "301 Moved Permanently",
            &format!("Location: {location}\r\n"),
            "",
        )
    };
    let other = Other::start(vec![
        ("/base/a", to("/base/a/")),
        ("/base/b", to("c?x=1#y")),
        ("/base/own", to("https://docs.acme.test/docs/x")),
        ("/base/away", to("https://elsewhere.test/x")),
        ("/base/plain", to("http://elsewhere.test/x")),
        ("/base/up", to("/other")),
        ("/base/script", to("javascript:alert(1)")),
        ("/base/odd", to("/base/a%2fb")),
        ("/base/nowhere", raw("302 Found", "", "")),
    ])
    .await;
    let app = proxied(given, &other, &json!({})).await;
    #[rustfmt::skip]
    let table = [
        ("/docs/a",       301, "/docs/a/"),
        ("/docs/b",       301, "/docs/c?x=1#y"),
        ("/docs/own",     301, "https://docs.acme.test/docs/x"),
        ("/docs/away",    301, "https://elsewhere.test/x"),
        ("/docs/plain",   502, ""),
        ("/docs/up",      502, ""),
        ("/docs/script",  502, ""),
        ("/docs/odd",     502, ""),
        ("/docs/nowhere", 502, ""),
    ];
    for (path, status, location) in table {
        let answer = open(&app, path, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (status, location),
            "{path}"
        );
        assert!(!answer.text().contains(&other.address), "{path}");
    }
    app.end().await;
}

async fn a_server_that_does_not_answer_as_it_should_is_said_so(given: &[(String, String)]) {
    let other = Other::start(vec![
        (
            "/base/broken",
            raw("500 Internal Server Error", "", "SECRET trace"),
        ),
        ("/base/busy", raw("503 Service Unavailable", "", "SECRET")),
        (
            "/base/packed",
            raw(
                "200 OK",
                "Content-Type: text/html\r\nContent-Encoding: gzip\r\n",
                "SECRET",
            ),
        ),
        (
            "/base/wide",
            raw(
                "200 OK",
                "Content-Type: text/html; charset=UTF-16\r\n",
                "SECRET",
            ),
        ),
        (
            "/base/two",
            raw(
                "200 OK",
                "Content-Type: text/plain\r\nContent-Type: text/html\r\n",
                "SECRET",
            ),
        ),
        (
            "/base/part",
            raw(
                "206 Partial Content",
                "Content-Type: text/html\r\nContent-Range: bytes 0-5/9\r\n",
                "SECRET",
            ),
        ),
        (
            "/base/part.png",
            raw(
                "206 Partial Content",
                "Content-Type: text/html\r\nContent-Range: bytes 0-5/9\r\n",
                "SECRET",
            ),
        ),
        ("/base/noise", "SECRET noise\r\n\r\n".to_owned()),
        ("/base/empty", String::new()),
    ])
    .await;
    let app = proxied(given, &other, &json!({})).await;
    for path in [
        "broken", "busy", "packed", "wide", "two", "part", "part.png", "noise", "empty",
    ] {
        let answer = open(&app, &format!("/docs/{path}"), "").await;
        assert_eq!(answer.status, 502, "{path}");
        let text = answer.text();
        assert!(
            text.contains("look at its upstream") && !text.contains("SECRET"),
            "{path}: {text}"
        );
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    // Nor one that is not there, nor one that may not be called.
    for upstream in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "http://localhost:1/",
    ] {
        app.server
            .upsert_docs_site(settings(&json!({"upstream": upstream})))
            .await
            .unwrap();
        let answer = open(&app, "/docs/", "").await;
        assert_eq!(answer.status, 502, "{upstream}");
        assert!(!answer.text().contains("127.0.0.1") && !answer.text().contains("10.0.0.1"));
    }
    app.end().await;
}

async fn files_keep_their_tags_and_parts(given: &[(String, String)]) {
    let other = Other::start(vec![
        (
            "/base/known.png",
            raw("304 Not Modified", "ETag: \"t\"\r\n", ""),
        ),
        (
            "/base/part.mp4",
            raw(
                "206 Partial Content",
                "Content-Type: video/mp4\r\nContent-Range: bytes 0-2/9\r\n",
                "abc",
            ),
        ),
        (
            "/base/app.1a2b3c4d.js",
            raw("200 OK", "Content-Type: text/javascript\r\n", "1"),
        ),
        ("/base/fake.png", html("<p data-if-signed-in>SECRET</p>")),
    ])
    .await;
    let app = proxied(given, &other, &json!({})).await;
    let known = send(
        &app,
        Method::GET,
        "/docs/known.png",
        &[("if-none-match", "\"t\"")],
    )
    .await;
    assert_eq!(
        (known.status.as_u16(), known.header("etag")),
        (304, "\"t\"")
    );
    assert!(
        other.asked()[0]
            .to_lowercase()
            .contains("if-none-match: \"t\"")
    );
    let part = send(
        &app,
        Method::GET,
        "/docs/part.mp4",
        &[("range", "bytes=0-2")],
    )
    .await;
    assert_eq!(
        (
            part.status.as_u16(),
            part.header("content-range"),
            part.text().as_str()
        ),
        (206, "bytes 0-2/9", "abc")
    );
    let script = open(&app, "/docs/app.1a2b3c4d.js", "").await;
    assert_eq!(
        script.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    // What calls itself a picture and is a page is treated as a page.
    let fake = open(&app, "/docs/fake.png", "").await;
    assert!(!fake.text().contains("SECRET"));
    assert_eq!(fake.header("cache-control"), "no-cache");
    assert_eq!(HOST, "docs.acme.test");
    app.end().await;
}
