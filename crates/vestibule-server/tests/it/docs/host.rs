//! The way of a request: which site, which path, and the one answer for what is not there.

use super::{HOST, NAVIGATION, open, page, page_for, reader, send, site};
use crate::support::app::{App, on_both_engines};
use http::Method;
use serde_json::json;

on_both_engines! {
    a_site_lies_below_its_base,
    only_reading_is_answered,
    t38_the_host_chooses_the_site_and_forwarding_headers_change_no_byte,
    whoever_is_not_signed_in_learns_nothing_of_a_private_site,
    what_is_not_for_a_reader_answers_as_what_is_not_there,
    a_page_that_is_public_opens_on_a_private_site,
    on_a_public_site_groups_hide_and_do_not_lock,
}

async fn a_site_lies_below_its_base(app: &App) {
    let _folder = site(app, json!({}), &[("index.html", "<p>first")]).await;
    #[rustfmt::skip]
    let table = [
        ("/docs/",                 200, ""),
        ("/docs",                  301, "/docs/"),
        ("/docs?x=1",              301, "/docs/?x=1"),
        ("/",                      302, "/docs/"),
        ("/docs/_handshake/nothing", 404, ""),
        ("/docs/%5Fhandshake/x",   404, ""),
        ("/other",                 404, ""),
        ("/docsx",                 404, ""),
        ("/Docs/",                 404, ""),
        ("/%64ocs/",               404, ""),
        ("//docs/",                404, ""),
        ("/assets/vestibule.css",  404, ""),
        ("/sign-in",               404, ""),
        ("/oauth/token",           404, ""),
    ];
    for (path, status, location) in table {
        let answer = open(app, path, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("location"), location, "{path}");
        assert_eq!(
            answer.header("strict-transport-security"),
            "max-age=31536000",
            "{path}"
        );
        assert!(!answer.header("referrer-policy").is_empty(), "{path}");
        assert!(!answer.header("cache-control").is_empty(), "{path}");
    }
    // Our own pages have what they need.
    let missing = open(app, "/other", "").await.text();
    let stylesheet = missing.split("stylesheet\" href=\"").nth(1).unwrap();
    let stylesheet = stylesheet.split('"').next().unwrap();
    assert_eq!(open(app, stylesheet, "").await.status, 200, "{stylesheet}");
}

async fn only_reading_is_answered(app: &App) {
    let _folder = site(app, json!({}), &[("index.html", "<p>first")]).await;
    for method in [
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
    ] {
        let answer = send(app, method.clone(), "/docs/", NAVIGATION).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    let (get, head) = (
        send(app, Method::GET, "/docs/", &[]).await,
        send(app, Method::HEAD, "/docs/", &[]).await,
    );
    assert_eq!(
        (head.status, head.body.len()),
        (get.status, 0),
        "a HEAD has no body"
    );
    assert_eq!(head.header("etag"), get.header("etag"));
    assert_eq!(
        head.header("content-length"),
        get.body.len().to_string().as_str()
    );
}

async fn t38_the_host_chooses_the_site_and_forwarding_headers_change_no_byte(app: &App) {
    let body = "<p>first <a data-sign-in>in</a>";
    let _folder = site(app, json!({}), &[("index.html", body)]).await;
    let honest = open(app, "/docs/", "").await;
    assert_eq!(honest.status, 200);
    for (name, value) in [
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.test;proto=http"),
        ("x-original-url", "/docs/admin"),
        ("x-rewrite-url", "/docs/admin"),
        ("x-http-method-override", "DELETE"),
        ("x-host", "evil.test"),
        ("origin", "https://evil.test"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
    ] {
        let mut headers = NAVIGATION.to_vec();
        headers.push((name, value));
        let answer = send(app, Method::GET, "/docs/", &headers).await;
        assert_eq!(answer, honest, "{name}");
    }
    for host in [
        "evil.test",
        "docs.acme.test.evil.test",
        "docs.acme.test:8080",
        "",
    ] {
        let answer = send(app, Method::GET, "/docs/", &[("host", host)]).await;
        assert_eq!(answer.status, 421, "{host}");
    }
    let twice = [("host", HOST), ("host", HOST)];
    assert_eq!(send(app, Method::GET, "/docs/", &twice).await.status, 421);
    let shouted = [("host", "DOCS.acme.test")];
    assert_eq!(send(app, Method::GET, "/docs/", &shouted).await.status, 200);
}

async fn whoever_is_not_signed_in_learns_nothing_of_a_private_site(app: &App) {
    let _folder = site(
        app,
        json!({"visibility": "private", "rule": [{"path": "/admin/**", "groups": ["admin"]}]}),
        &[
            ("index.html", "<p>first"),
            ("secret.html", &page_for("admin", "x")),
            ("admin/index.html", "<p>x"),
            ("logo.png", "x"),
            ("404.html", "<p>the site's own"),
        ],
    )
    .await;
    for path in [
        "/docs/",
        "/docs/secret",
        "/docs/nothing",
        "/docs/admin",
        "/docs/admin/",
        "/docs/logo.png",
        "/docs/nothing.png",
        "/docs/sitemap.xml",
        "/docs/a//b",
        "/docs/a%2fb",
        "/docs/404.html",
    ] {
        let person = open(app, path, "").await;
        assert_eq!(person.status, 302, "{path}");
        let wanted = path.replace('/', "%2F").replace("%2f", "%252f");
        assert_eq!(
            person.header("location"),
            format!("/docs/_handshake/sign-in?return_to={wanted}"),
            "{path}"
        );
        assert_eq!(person.header("cache-control"), "private, no-store");
        let script = send(app, Method::GET, path, &[("sec-fetch-mode", "cors")]).await;
        assert_eq!(
            (script.status.as_u16(), script.text().as_str()),
            (401, "Sign in to read this.\n"),
            "{path}"
        );
    }
    let with_query = open(app, "/docs/x?a=b&c", "").await;
    assert_eq!(
        with_query.header("location"),
        "/docs/_handshake/sign-in?return_to=%2Fdocs%2Fx%3Fa%3Db%26c"
    );
}

async fn what_is_not_for_a_reader_answers_as_what_is_not_there(app: &App) {
    let own = page(
        "",
        "<p>the site's own</p><nav><a href=\"/docs/admin/\">A</a></nav>",
    );
    for not_found in [None, Some(own.as_str())] {
        let secret = page_for("admin", "x");
        let mut files = vec![
            ("index.html", "<p>first"),
            ("secret.html", secret.as_str()),
            ("guide/index.html", secret.as_str()),
            ("notes.md", "---\ngroups: [admin]\n---\nx"),
            ("secret.md", "no word of its own"),
            ("admin/index.html", "<p>x"),
            ("admin/logo.png", "x"),
            (
                "nobody.html",
                "<meta name=\"vestibule:groups\" content=\"\">",
            ),
        ];
        files.extend(not_found.map(|page| ("404.html", page)));
        let _folder = site(
            app,
            json!({"visibility": "private", "rule": [{"path": "/admin/**", "groups": ["admin"]}]}),
            &files,
        )
        .await;
        let bob = reader(app, &["staff"]).await;
        let missing = open(app, "/docs/nothing", &bob).await;
        assert_eq!(missing.status, 404);
        assert_eq!(
            missing.text().contains("the site's own"),
            not_found.is_some()
        );
        assert!(missing.header("cache-control").ends_with("no-store"));
        for path in [
            "/docs/secret",
            "/docs/secret.html",
            "/docs/secret.md",
            "/docs/guide",
            "/docs/guide/",
            "/docs/guide/index.html",
            "/docs/notes.md",
            "/docs/admin",
            "/docs/admin/",
            "/docs/admin/index.html",
            "/docs/admin/logo.png",
            "/docs/%61dmin/",
            "/docs/nobody",
            "/docs/admin/nothing",
            "/docs/a//b",
            "/docs/a%2fb",
            "/docs/admin%2flogo.png",
        ] {
            // The first time reads the file, the second has it in memory.
            for _ in 0..2 {
                assert_eq!(open(app, path, &bob).await, missing, "{path}");
            }
        }
        let ada = reader(app, &["admin"]).await;
        for path in [
            "/docs/secret",
            "/docs/guide/",
            "/docs/notes.md",
            "/docs/admin/",
            "/docs/admin/logo.png",
            "/docs/secret.md",
        ] {
            assert_eq!(open(app, path, &ada).await.status, 200, "{path}");
        }
        assert_eq!(
            open(app, "/docs/nobody", &ada).await,
            open(app, "/docs/nothing", &ada).await
        );
    }
}

async fn a_page_that_is_public_opens_on_a_private_site(app: &App) {
    let public = page("<meta name=\"vestibule:public\" content=\"true\">", "open");
    let _folder = site(
        app,
        json!({"visibility": "private", "rule": [{"path": "/assets/**", "public": true}, {"path": "/**", "groups": ["staff"]}]}),
        &[
            ("open.html", &public),
            ("open.md", "---\npublic: true\n---\nopen"),
            ("assets/a.css", "open{}"),
            ("shut.html", "<p>x"),
        ],
    )
    .await;
    for path in ["/docs/open", "/docs/open.md", "/docs/assets/a.css"] {
        let answer = open(app, path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.text().contains("open"), "{path}");
    }
    assert_eq!(open(app, "/docs/assets/none.css", "").await.status, 404);
    assert_eq!(open(app, "/docs/shut", "").await.status, 302);
    let staff = reader(app, &["staff"]).await;
    assert_eq!(open(app, "/docs/shut", &staff).await.status, 200);
}

async fn on_a_public_site_groups_hide_and_do_not_lock(app: &App) {
    let _folder = site(
        app,
        json!({}),
        &[("secret.html", &page_for("admin", "still open"))],
    )
    .await;
    let answer = open(app, "/docs/secret", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("still open"));
    let missing = open(app, "/docs/nothing", "").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("There is no page here"));
}
