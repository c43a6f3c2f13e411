//! Sitemaps and search indexes: no trace of what a reader may not know of.

use super::{open, page_for, reader, send, site};
use crate::support::app::{App, on_both_engines};
use http::Method;
use serde_json::{Value, json};
use std::sync::LazyLock;

on_both_engines! {
    a_sitemap_is_the_same_for_everybody_and_names_no_gated_page,
    a_search_index_has_what_a_reader_may_know_of,
    an_index_that_cannot_be_filtered_is_given_whole_or_not_at_all,
    an_index_that_the_site_names_is_one,
    an_index_is_held_against_the_pages_of_its_time,
}

const SITEMAP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml">
<url><loc>https://docs.acme.test/docs/</loc><lastmod>2026-01-01</lastmod></url>
<url><loc>https://docs.acme.test/docs/secret</loc></url>
<url><loc> https://docs.acme.test/docs/secret.html </loc></url>
<url><loc><![CDATA[https://docs.acme.test/docs/secret?a&b]]></loc></url>
<url><loc>https://docs.acme.test/docs/&#115;ecret</loc></url>
<url><loc>/docs/secret/</loc></url>
<url><loc>https://docs.acme.test/docs/rules/x</loc></url>
<url><loc>https://docs.acme.test/docs/de/</loc><xhtml:link rel="alternate" href="https://docs.acme.test/docs/secret"/></url>
<url><loc>https://docs.acme.test/docs/open?a=1&amp;b</loc></url>
<url><loc>https://docs.acme.test/docs/public</loc></url>
</urlset>"#;

static INDEX: LazyLock<String> = LazyLock::new(|| {
    json!({"config": {"lang": ["en"]}, "docs": [
        {"location": "", "title": "First", "text": "first"},
        {"location": "secret/#a", "title": "Z1", "text": "SECRET"},
        {"url": "/docs/secret", "title": "Z2"},
        {"href": "/secret.html", "title": "Z3"},
        {"path": "../secret", "title": "Z4"},
        {"permalink": "https://docs.acme.test/docs/secret/", "title": "Z5"},
        {"id": "rules/x", "title": "Z6"},
        {"location": "not-there-yet/", "title": "Z9"},
        {"id": "17", "href": "https://elsewhere.test/x", "title": "Elsewhere"},
        {"location": "open/", "title": "Open", "sections": [{"url": "secret#b", "text": "Z7"}]},
    ], "by_path": {"secret": {"text": "Z8"}, "open": {"text": "kept"}}, "list": ["secret", "open"]})
    .to_string()
});

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("index.html", "x".to_owned()),
        ("open.html", "x".to_owned()),
        ("secret.html", page_for("admin", "SECRET")),
        ("rules/x.html", "x".to_owned()),
        (
            "public.html",
            "<meta name=\"vestibule:public\" content=\"true\">".to_owned(),
        ),
        ("sitemap.xml", SITEMAP.to_owned()),
        ("search/search_index.json", INDEX.clone()),
        (
            "searchindex.js",
            "Search.setIndex({\"docnames\":[\"secret\"]})".to_owned(),
        ),
        ("llms-full.txt", "SECRET".to_owned()),
        ("pagefind/x.pf_fragment", "SECRET".to_owned()),
        (
            "search-index.json",
            json!([{"documents": [], "index": {"fields": []}}]).to_string(),
        ),
        ("searchindex-odd.json", "{\"SECRET\":".to_owned()),
    ]
}

async fn gated(app: &App, changes: Value) -> tempfile::TempDir {
    let files = files();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(file, text)| (*file, text.as_str()))
        .collect();
    let mut settings = json!({"rule": [{"path": "/rules/**", "groups": ["admin"]}]});
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    site(app, settings, &files).await
}

async fn a_sitemap_is_the_same_for_everybody_and_names_no_gated_page(app: &App) {
    let _folder = gated(app, json!({})).await;
    let anonymous = open(app, "/docs/sitemap.xml", "").await;
    let text = anonymous.text();
    for present in [
        "/docs/</loc><lastmod>",
        "open?a=1&amp;b</loc>",
        "/docs/public</loc>",
        "</urlset>",
    ] {
        assert!(text.contains(present), "{present}: {text}");
    }
    for absent in ["secret", "#115", "rules", "/de/"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    assert_eq!(anonymous.header("cache-control"), "no-cache");
    let ada = reader(app, &["admin"]).await;
    assert_eq!(open(app, "/docs/sitemap.xml", &ada).await, anonymous);
    let _private = gated(app, json!({"visibility": "private"})).await;
    let text = open(app, "/docs/sitemap.xml", &ada).await.text();
    assert!(
        text.contains("/docs/public</loc>") && !text.contains("open"),
        "{text}"
    );
}

async fn a_search_index_has_what_a_reader_may_know_of(app: &App) {
    let path = "/docs/search/search_index.json";
    for visibility in ["personalised", "private"] {
        let _folder = gated(app, json!({"visibility": visibility})).await;
        let (ada, bob) = (reader(app, &["admin"]).await, reader(app, &["staff"]).await);
        let cookies = if visibility == "private" {
            vec![bob.as_str()]
        } else {
            vec![bob.as_str(), ""]
        };
        for cookie in cookies {
            let answer = open(app, path, cookie).await;
            let text = answer.text();
            assert!(
                !text.contains('Z') && !text.contains("SECRET") && !text.contains("secret"),
                "{text}"
            );
            let index: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(index["docs"].as_array().unwrap().len(), 3);
            assert_eq!(index["docs"][0]["title"], "First");
            assert_eq!(index["docs"][2]["title"], "Open");
            assert_eq!(index["by_path"], json!({"open": {"text": "kept"}}));
            assert_eq!(index["list"], json!(["open"]));
            assert_eq!(index["config"]["lang"][0], "en");
            let control = if cookie.is_empty() {
                "no-cache"
            } else {
                "private, no-store"
            };
            assert_eq!(answer.header("cache-control"), control);
        }
        let whole = open(app, path, &ada).await;
        assert_eq!(whole.text(), *INDEX);
        assert_eq!(whole.header("cache-control"), "private, no-store");
        assert_eq!(whole.header("etag"), "");
    }
}

async fn an_index_that_cannot_be_filtered_is_given_whole_or_not_at_all(app: &App) {
    let paths = [
        "/docs/searchindex.js",
        "/docs/llms-full.txt",
        "/docs/pagefind/x.pf_fragment",
        "/docs/search-index.json",
        "/docs/searchindex-odd.json",
    ];
    let folder = gated(app, json!({})).await;
    let (ada, bob) = (reader(app, &["admin"]).await, reader(app, &["staff"]).await);
    for cookie in [bob.as_str(), ""] {
        let missing = open(app, "/docs/nothing", cookie).await;
        for path in paths {
            assert_eq!(open(app, path, cookie).await, missing, "{path} {cookie}");
        }
    }
    for path in paths {
        let answer = open(app, path, &ada).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(
            answer.header("cache-control"),
            "private, no-store",
            "{path}"
        );
    }
    drop(folder);
    // Where every page is everybody's, an index is a file like others.
    let plain: &[(&str, &str)] = &[("index.html", "x"), ("searchindex.js", "1")];
    let _folder = site(app, json!({}), plain).await;
    let answer = send(
        app,
        Method::GET,
        "/docs/searchindex.js",
        &[("range", "bytes=0-0")],
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("cache-control")),
        (206, "no-cache")
    );
}

async fn an_index_that_the_site_names_is_one(app: &App) {
    let secret = page_for("admin", "x");
    let entries = r#"[{"url":"/docs/secret","text":"SECRET"},{"url":"/docs/","text":"first"}]"#;
    let files: &[(&str, &str)] = &[
        ("index.html", "x"),
        ("secret.html", &secret),
        ("data/pages.json", entries),
        ("data/words.bin", "SECRET"),
    ];
    let _folder = site(app, json!({"search_indexes": ["/data/*"]}), files).await;
    let text = open(app, "/docs/data/pages.json", "").await.text();
    assert_eq!(text, r#"[{"text":"first","url":"/docs/"}]"#);
    assert_eq!(open(app, "/docs/data/words.bin", "").await.status, 404);
}

async fn an_index_is_held_against_the_pages_of_its_time(app: &App) {
    let secret = page_for("admin", "x");
    let files: &[(&str, &str)] = &[
        ("index.html", "x"),
        ("old.html", &secret),
        ("search.json", "[]"),
    ];
    let folder = site(app, json!({}), files).await;
    assert_eq!(open(app, "/docs/search.json", "").await.text(), "[]");
    super::write(folder.path(), "new.html", &secret);
    super::write(
        folder.path(),
        "search.json",
        r#"[{"url":"/docs/new","text":"SECRET"},{"url":"/docs/","text":"first"}]"#,
    );
    app.server.advance(1);
    let text = open(app, "/docs/search.json", "").await.text();
    assert_eq!(text, r#"[{"text":"first","url":"/docs/"}]"#);
}
