//! Pages as readers get them.

use super::{Answer, open, page, page_for, reader, site};
use crate::support::app::{App, on_both_engines};
use serde_json::json;

on_both_engines! {
    a_page_knows_its_reader_and_nobody_keeps_it,
    navigation_names_what_a_reader_may_know_of,
    a_page_that_cannot_be_read_without_doubt_is_not_given_out,
}

async fn a_page_knows_its_reader_and_nobody_keeps_it(app: &App) {
    let body = "<b data-user=\"firstName\">you</b><p data-if-signed-in>in</p><p data-if-signed-out>out</p>\
                <p data-groups=\"admin\">for admins</p><a data-sign-in>Log in</a>";
    let _folder = site(app, json!({}), &[("a.html", &page("", body))]).await;
    let anonymous = open(app, "/docs/a?x=1", "").await;
    let text = anonymous.text();
    assert!(text.contains(">you<") && text.contains(">out<"), "{text}");
    for absent in ["Ada", ">in<", "for admins", "vestibule-reader"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    assert!(text.contains("<script src=\"/docs/_handshake/reader.js\" async></script></head>"));
    assert!(text.contains("/docs/_handshake/sign-in?return_to=%2Fdocs%2Fa\""));
    let ada = reader(app, &["admin"]).await;
    let personal = open(app, "/docs/a", &ada).await;
    let text = personal.text();
    for present in [">Ada<", ">in<", "for admins", "id=\"vestibule-reader\">{"] {
        assert!(text.contains(present), "{present}: {text}");
    }
    assert!(!text.contains(">out<"), "{text}");
    assert_private(&personal);
    // The page of the one is never the page of the other.
    let bob = reader(app, &[]).await;
    assert!(
        !open(app, "/docs/a", &bob)
            .await
            .text()
            .contains("for admins")
    );
    assert_eq!(open(app, "/docs/a?x=1", "").await, anonymous);
}

fn assert_private(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(answer.header("vary"), "cookie");
    for absent in ["etag", "last-modified", "content-encoding", "accept-ranges"] {
        assert_eq!(answer.header(absent), "", "{absent}");
    }
}

async fn navigation_names_what_a_reader_may_know_of(app: &App) {
    let links = "<nav><a href=\"../open\">Open</a> <a href=\"/docs/secret\">Secret</a> <a href=\"../rules/\">Rules</a> \
                 <a href=\"../notes.md\">Notes</a> <a href=\"https://elsewhere.test/docs/secret\">Elsewhere</a></nav>\
                 <p><a href=\"/docs/secret\">In the text</a></p>";
    let files: &[(&str, &str)] = &[
        (
            "guides/one.html",
            &page("<link rel=\"next\" href=\"../secret\">", links),
        ),
        ("open.html", "x"),
        ("secret.html", &page_for("admin", "x")),
        ("rules/index.html", "x"),
        ("notes.md", "---\ngroups: [admin]\n---\nx"),
    ];
    for visibility in ["personalised", "private"] {
        let folder = site(
            app,
            json!({"visibility": visibility, "rule": [{"path": "/rules", "groups": ["admin"]}]}),
            files,
        )
        .await;
        let (ada, bob) = (reader(app, &["admin"]).await, reader(app, &["staff"]).await);
        let all = open(app, "/docs/guides/one", &ada).await.text();
        for name in [
            "Open",
            "Secret",
            "Rules",
            "Notes",
            "Elsewhere",
            "In the text",
            "rel=\"next\"",
        ] {
            assert!(all.contains(name), "{visibility} {name}: {all}");
        }
        let cookies = if visibility == "private" {
            vec![bob.as_str()]
        } else {
            vec![bob.as_str(), ""]
        };
        for cookie in cookies {
            let some = open(app, "/docs/guides/one", cookie).await.text();
            for name in ["Open", "Elsewhere", "In the text"] {
                assert!(some.contains(name), "{visibility} {name}: {some}");
            }
            for name in [">Secret<", ">Rules<", ">Notes<", "rel=\"next\""] {
                assert!(!some.contains(name), "{visibility} {name}: {some}");
            }
        }
        // What a page says of itself is known some seconds after it says so.
        super::write(folder.path(), "open.html", page_for("admin", "x"));
        app.server.advance(5);
        let after = open(app, "/docs/guides/one", &bob).await.text();
        assert!(!after.contains(">Open<"), "{after}");
    }
}

async fn a_page_that_cannot_be_read_without_doubt_is_not_given_out(app: &App) {
    let folder = site(app, json!({}), &[("index.html", "x")]).await;
    let hidden = "<p data-if-signed-in>SECRET</p>";
    let wide: Vec<u8> = std::iter::once(0xfeff)
        .chain(hidden.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    super::write(folder.path(), "wide.html", wide);
    super::write(
        folder.path(),
        "odd.html",
        format!("<select><xmp><script>\"use strict\";</script></select>{hidden}"),
    );
    super::write(folder.path(), "latin.html", b"<p>gr\xfcn</p>".as_slice());
    for path in ["/docs/wide", "/docs/odd"] {
        let answer = open(app, path, "").await;
        assert_eq!(answer.status, 500, "{path}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("SECRET"),
            "{path}"
        );
    }
    let latin = open(app, "/docs/latin", "").await;
    assert_eq!(
        (latin.status.as_u16(), latin.header("content-type")),
        (200, "text/html")
    );
    assert!(latin.body.starts_with(b"<p>gr\xfcn</p>"));
}
