//! Files of a folder: which, how much of them, in which coding, and who may keep a copy.

use super::{Answer, open, page, page_for, reader, send, site, write};
use crate::support::app::{App, on_both_engines};
use http::Method;
use serde_json::json;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

on_both_engines! {
    a_path_finds_its_page,
    t01_no_spelling_of_a_path_leaves_the_folder_or_passes_a_gate,
    a_link_out_of_the_folder_leads_nowhere,
    a_rule_follows_a_link_within_the_folder,
    what_was_compressed_of_a_page_is_not_a_way_around_it,
    copies_are_kept_by_whom_they_are_for,
    a_copy_that_is_still_right_is_not_sent_again,
    parts_of_a_file_are_given,
    what_compresses_well_is_compressed,
    access_changes_with_the_bytes,
    a_folder_that_moved_is_followed,
    a_folder_that_is_not_there_says_what_to_do,
}

async fn a_path_finds_its_page(app: &App) {
    let folder = site(
        app,
        json!({}),
        &[
            ("index.html", "first"),
            ("a.html", "a"),
            ("b/index.html", "b"),
            ("c.html", "c"),
            ("c/index.html", "c-folder"),
            ("d", "d"),
            ("gr\u{fc}n.html", "green"),
            ("a b.txt", "spaced"),
            (".env", "hidden"),
            (".git/config", "hidden"),
            (".well-known/x.txt", "known"),
            ("empty/x.txt", "x"),
        ],
    )
    .await;
    #[rustfmt::skip]
    let table = [
        ("/docs/",                200, "first"),
        ("/docs/index.html",      200, "first"),
        ("/docs/a",               200, "a"),
        ("/docs/a.html",          200, "a"),
        ("/docs/%61",             200, "a"),
        ("/docs/b/",              200, "b"),
        ("/docs/b",               301, "/docs/b/"),
        ("/docs/b?x=1&y",         301, "/docs/b/?x=1&y"),
        ("/docs/b/index.html",    200, "b"),
        ("/docs/c",               200, "c"),
        ("/docs/c/",              200, "c-folder"),
        ("/docs/d",               200, "d"),
        ("/docs/gr%C3%BCn",       200, "green"),
        ("/docs/a%20b.txt",       200, "spaced"),
        ("/docs/.well-known/x.txt", 200, "known"),
        ("/docs/a/",              404, ""),
        ("/docs/.env",            404, ""),
        ("/docs/.git/config",     404, ""),
        ("/docs/empty",           404, ""),
        ("/docs/empty/",          404, ""),
        ("/docs/A",               404, ""),
    ];
    for (path, status, text) in table {
        let answer = open(app, path, "").await;
        assert_eq!(answer.status, status, "{path}");
        match status {
            301 => assert_eq!(answer.header("location"), text, "{path}"),
            200 => assert!(answer.text().starts_with(text), "{path}: {}", answer.text()),
            _ => {}
        }
    }
    drop(folder);
}

async fn t01_no_spelling_of_a_path_leaves_the_folder_or_passes_a_gate(app: &App) {
    let outside = TempDir::new().unwrap();
    write(outside.path(), "outside.txt", "SECRET");
    let name = outside
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let _folder = site(
        app,
        json!({"visibility": "private", "rule": [{"path": "/admin/**", "groups": ["admin"]}]}),
        &[
            ("admin/index.html", "SECRET"),
            ("admin/x.txt", "SECRET"),
            ("open/a.txt", "x"),
            ("index.html", "x"),
        ],
    )
    .await;
    let bob = reader(app, &["staff"]).await;
    let missing = open(app, "/docs/nothing", &bob).await;
    let mut paths: Vec<String> = [
        "/docs/admin/x.txt",
        "/docs/open/../admin/x.txt",
        "/docs/open/%2e%2e/admin/x.txt",
        "/docs/open/.%2E/admin/x.txt",
        "/docs/open%2f..%2fadmin%2fx.txt",
        "/docs/open/..%2fadmin/x.txt",
        "/docs/open/..%5cadmin/x.txt",
        "/docs/open/..\\admin/x.txt",
        "/docs//admin/x.txt",
        "/docs/./admin/x.txt",
        "/docs/%2e/admin/x.txt",
        "/docs/admin//x.txt",
        "/docs/admin%2fx.txt",
        "/docs/%2561dmin/x.txt",
        "/docs/%61dmin/x.txt",
        "/docs/admin/%78.txt",
        "/docs/admin;a=b/x.txt",
        "/docs/admin/x.txt;a",
        "/docs/admin/x.txt%00.png",
        "/docs/admin/x.txt%20",
        "/docs/admin/x.txt/",
        "/docs/admin/x.txt/.",
        "/docs/%c0%ae%c0%ae/admin/x.txt",
        "/docs/ADMIN/x.txt",
        "/docs/admin./x.txt",
        "/docs/admin/index",
        "/docs/%e0%80%af/admin/x.txt",
        "/docs/admin%c0%afx.txt",
    ]
    .map(str::to_owned)
    .into();
    for up in [
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..%5c",
        "%252e%252e/",
        "....//",
        ".%00./",
    ] {
        for depth in 1..4 {
            paths.push(format!("/docs/{}{name}/outside.txt", up.repeat(depth)));
            paths.push(format!("/docs/{}etc/passwd", up.repeat(depth + 6)));
        }
    }
    paths.push(format!("/docs/{}/outside.txt", outside.path().display()));
    for path in paths {
        let answer = open(app, &path, &bob).await;
        assert!(!answer.text().contains("SECRET"), "{path}");
        assert_eq!(answer, missing, "{path}");
    }
}

async fn a_link_out_of_the_folder_leads_nowhere(app: &App) {
    let outside = TempDir::new().unwrap();
    write(outside.path(), "a.html", "SECRET");
    let folder = site(
        app,
        json!({}),
        &[("index.html", "x"), ("in/b.html", "inside")],
    )
    .await;
    let root = folder.path();
    symlink(outside.path().join("a.html"), root.join("file.html")).unwrap();
    symlink(outside.path(), root.join("folder")).unwrap();
    symlink("../../../../../../etc/passwd", root.join("in/up")).unwrap();
    symlink("..", root.join("in/parent")).unwrap();
    symlink(format!("{}/in", root.display()), root.join("absolute")).unwrap();
    symlink("in", root.join("inner")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    let missing = open(app, "/docs/nothing", "").await;
    for path in [
        "/docs/file",
        "/docs/file.html",
        "/docs/folder/a",
        "/docs/folder/a.html",
        "/docs/in/up",
        "/docs/loop",
        "/docs/absolute/b",
        "/docs/folder",
    ] {
        assert_eq!(open(app, path, "").await, missing, "{path}");
    }
    for path in ["/docs/inner/b", "/docs/in/parent/in/b"] {
        assert!(
            open(app, path, "").await.text().starts_with("inside"),
            "{path}"
        );
    }
}

async fn a_rule_follows_a_link_within_the_folder(app: &App) {
    let folder = site(
        app,
        json!({"visibility": "private", "rule": [{"path": "/v2/internal/**", "groups": ["admin"]}]}),
        &[("v2/internal/a.html", "x"), ("v2/a.html", "x")],
    )
    .await;
    symlink("v2", folder.path().join("latest")).unwrap();
    let bob = reader(app, &[]).await;
    assert_eq!(open(app, "/docs/latest/a", &bob).await.status, 200);
    assert_eq!(open(app, "/docs/latest/internal/a", &bob).await.status, 404);
    let ada = reader(app, &["admin"]).await;
    assert_eq!(open(app, "/docs/latest/internal/a", &ada).await.status, 200);
}

async fn what_was_compressed_of_a_page_is_not_a_way_around_it(app: &App) {
    let _folder = site(
        app,
        json!({}),
        &[
            ("a.html", "<p data-if-signed-in>SECRET</p>"),
            ("a.html.gz", "SECRET"),
            ("a.html.br", "SECRET"),
            ("data.tar.gz", "x"),
        ],
    )
    .await;
    for path in ["/docs/a.html.gz", "/docs/a.html.br"] {
        assert_eq!(open(app, path, "").await.status, 404, "{path}");
    }
    let packed = send(
        app,
        Method::GET,
        "/docs/a.html",
        &[("accept-encoding", "gzip, br")],
    )
    .await;
    assert!(!packed.text().contains("SECRET"));
    assert_eq!(open(app, "/docs/data.tar.gz", "").await.status, 200);
}

async fn copies_are_kept_by_whom_they_are_for(app: &App) {
    let files: &[(&str, &str)] = &[
        ("index.html", "<p>x"),
        ("a.css", "a{}"),
        ("main.1a2b3c4d.js", "1"),
        ("a.md", "# x"),
        ("open/a.css", "a{}"),
    ];
    #[rustfmt::skip]
    let table = [
        // path                         of a public site                       anonymous, tagged  of a private one, with a reader
        ("/docs/",                      "no-cache",                            "cookie, accept-encoding", "private, no-store"),
        ("/docs/a.css",                 "public, max-age=300",                 "accept-encoding",         "private, no-cache"),
        ("/docs/main.1a2b3c4d.js",      "public, max-age=31536000, immutable", "accept-encoding",         "private, no-cache"),
        ("/docs/a.md",                  "no-cache",                            "cookie, accept-encoding", "private, no-cache"),
        ("/docs/open/a.css",            "public, max-age=300",                 "accept-encoding",         "public, max-age=300"),
    ];
    let folder = site(app, json!({}), files).await;
    for (path, control, vary, _) in table {
        let answer = open(app, path, "").await;
        assert_eq!(answer.header("cache-control"), control, "{path}");
        assert_eq!(answer.header("vary"), vary, "{path}");
        assert!(answer.header("etag").starts_with('"'), "{path}");
        assert_eq!(answer.headers.get("set-cookie"), None, "{path}");
    }
    drop(folder);
    let private = json!({"visibility": "private", "rule": [{"path": "/open/**", "public": true}]});
    let _folder = site(app, private, files).await;
    let ada = reader(app, &[]).await;
    for (path, _, _, control) in table {
        let answer = open(app, path, &ada).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), control, "{path}");
    }
}

async fn a_copy_that_is_still_right_is_not_sent_again(app: &App) {
    let _folder = site(app, json!({}), &[("index.html", "<p>x"), ("a.css", "a{}")]).await;
    for path in ["/docs/", "/docs/a.css"] {
        let first = send(app, Method::GET, path, &[]).await;
        let tag = first.header("etag");
        let weak = format!("W/{tag}");
        let list = format!("\"other\", {tag}");
        for known in [tag, weak.as_str(), list.as_str(), "*"] {
            let again = send(app, Method::GET, path, &[("if-none-match", known)]).await;
            assert_eq!(
                (again.status.as_u16(), again.body.len()),
                (304, 0),
                "{path} {known}"
            );
            for kept in ["etag", "cache-control", "vary"] {
                assert_eq!(again.header(kept), first.header(kept), "{path} {kept}");
            }
        }
        for other in ["\"other\"", "", "x"] {
            let again = send(app, Method::GET, path, &[("if-none-match", other)]).await;
            assert_eq!(again.status, 200, "{path} {other}");
        }
    }
    let first = send(app, Method::GET, "/docs/a.css", &[]).await;
    let since = first.header("last-modified");
    let again = send(
        app,
        Method::GET,
        "/docs/a.css",
        &[("if-modified-since", since)],
    )
    .await;
    assert_eq!(again.status, 304);
    // A tag says more than a time.
    let both = [("if-modified-since", since), ("if-none-match", "\"other\"")];
    assert_eq!(
        send(app, Method::GET, "/docs/a.css", &both).await.status,
        200
    );
    // A page is made of more than its file.
    assert_eq!(
        send(app, Method::GET, "/docs/", &[])
            .await
            .header("last-modified"),
        ""
    );
}

fn part(answer: &Answer) -> (u16, String, &str) {
    (
        answer.status.as_u16(),
        answer.text(),
        answer.header("content-range"),
    )
}

async fn parts_of_a_file_are_given(app: &App) {
    let large = "0123456789".repeat(200_000);
    let folder = site(
        app,
        json!({}),
        &[
            ("a.txt", "0123456789"),
            ("large.bin", &large),
            ("index.html", "<p>0123456789"),
        ],
    )
    .await;
    let range =
        async |path: &str, headers: &[(&str, &str)]| send(app, Method::GET, path, headers).await;
    #[rustfmt::skip]
    let table = [
        ("bytes=2-4",   206, "234",        "bytes 2-4/10"),
        ("bytes=-3",    206, "789",        "bytes 7-9/10"),
        ("bytes=8-",    206, "89",         "bytes 8-9/10"),
        ("bytes=10-",   416, "",           "bytes */10"),
        ("bytes=0-1,3-4", 200, "0123456789", ""),
        ("lines=1-2",   200, "0123456789", ""),
    ];
    for (asked, status, text, content_range) in table {
        let answer = range(
            "/docs/a.txt",
            &[("range", asked), ("accept-encoding", "br")],
        )
        .await;
        assert_eq!(
            part(&answer),
            (status, text.to_owned(), content_range),
            "{asked}"
        );
        assert_eq!(answer.header("accept-ranges"), "bytes");
    }
    let whole = range("/docs/a.txt", &[]).await;
    let tag = whole.header("etag").to_owned();
    let date = whole.header("last-modified").to_owned();
    let weak = format!("W/{tag}");
    for (known, status) in [
        (tag.as_str(), 206),
        (date.as_str(), 206),
        ("\"other\"", 200),
        (weak.as_str(), 200),
    ] {
        let answer = range(
            "/docs/a.txt",
            &[("range", "bytes=0-0"), ("if-range", known)],
        )
        .await;
        assert_eq!(answer.status, status, "{known}");
    }
    // One that is too large to be kept is read as it is given out.
    let answer = range("/docs/large.bin", &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.len()),
        (200, large.len())
    );
    assert_eq!(answer.text(), large);
    let answer = range("/docs/large.bin", &[("range", "bytes=1999995-")]).await;
    assert_eq!(
        part(&answer),
        (206, "56789".to_owned(), "bytes 1999995-1999999/2000000")
    );
    let tag = answer.header("etag").to_owned();
    assert_eq!(
        range("/docs/large.bin", &[("if-none-match", &tag)])
            .await
            .status,
        304
    );
    let head = send(app, Method::HEAD, "/docs/large.bin", &[]).await;
    assert_eq!(
        (head.header("content-length"), head.body.len()),
        ("2000000", 0)
    );
    // A page has no parts: what stands where depends on who reads.
    assert_eq!(range("/docs/", &[("range", "bytes=0-1")]).await.status, 200);
    drop(folder);
}

async fn what_compresses_well_is_compressed(app: &App) {
    let text = "hello docs ".repeat(500);
    let html = page("", &text);
    let folder = site(
        app,
        json!({}),
        &[
            ("index.html", &html),
            ("a.js", &text),
            ("a.png", &text),
            ("b.js", "small"),
            ("c.js", &text),
        ],
    )
    .await;
    write(folder.path(), "c.js.br", "made before");
    let get = async |path: &str, coding: &str| {
        send(app, Method::GET, path, &[("accept-encoding", coding)]).await
    };
    #[rustfmt::skip]
    let table = [
        ("/docs/",      "gzip, deflate, br", "br"),
        ("/docs/",      "gzip",              "gzip"),
        ("/docs/a.js",  "br",                "br"),
        ("/docs/a.js",  "gzip;q=0.5",        "gzip"),
        ("/docs/a.js",  "br;q=0, gzip;q=0",  ""),
        ("/docs/a.js",  "",                  ""),
        ("/docs/a.js",  "*",                 ""),
        ("/docs/a.js",  "brotli",            ""),
        ("/docs/a.png", "br, gzip",          ""),
        ("/docs/b.js",  "br, gzip",          ""),
        ("/docs/c.js",  "gzip, br",          "br"),
    ];
    let mut tags = Vec::new();
    for (path, asked, coding) in table {
        let answer = get(path, asked).await;
        assert_eq!(answer.header("content-encoding"), coding, "{path} {asked}");
        assert_eq!(
            answer.body.len() < 1000,
            !coding.is_empty() || path.ends_with("b.js"),
            "{path} {asked}"
        );
        let tag = (path, coding, answer.header("etag").to_owned());
        if !tags.contains(&tag) {
            assert!(
                !tags
                    .iter()
                    .any(|(other, _, known)| (*other, known) == (path, &tag.2)),
                "{path} {asked}: a tag of another form"
            );
            tags.push(tag.clone());
        }
        let again = send(
            app,
            Method::GET,
            path,
            &[("accept-encoding", asked), ("if-none-match", &tag.2)],
        )
        .await;
        assert_eq!(again.status, 304, "{path} {asked}");
    }
    assert_eq!(get("/docs/c.js", "br").await.text(), "made before");
    // What is personal is not compressed.
    let ada = reader(app, &[]).await;
    let personal = send(
        app,
        Method::GET,
        "/docs/",
        &[("accept-encoding", "br"), ("cookie", &ada)],
    )
    .await;
    assert_eq!(
        (personal.header("content-encoding"), personal.header("etag")),
        ("", "")
    );
    assert_eq!(personal.header("cache-control"), "private, no-store");
}

async fn access_changes_with_the_bytes(app: &App) {
    let folder = site(
        app,
        json!({"visibility": "private"}),
        &[("a.html", "open"), ("b.html", "x")],
    )
    .await;
    let bob = reader(app, &["staff"]).await;
    assert_eq!(open(app, "/docs/a", &bob).await.status, 200);
    write(folder.path(), "a.html", page_for("admin", "SECRET"));
    fs_remove(folder.path().join("b.html"));
    // Within the second it is the page before or the page after, never the new bytes by the old word.
    assert!(!open(app, "/docs/a", &bob).await.text().contains("SECRET"));
    app.server.advance(1);
    assert_eq!(open(app, "/docs/a", &bob).await.status, 404);
    assert_eq!(open(app, "/docs/b", &bob).await.status, 404);
    write(folder.path(), "a.html", "open again");
    app.server.advance(1);
    assert!(
        open(app, "/docs/a", &bob)
            .await
            .text()
            .starts_with("open again")
    );
}

fn fs_remove(path: impl AsRef<std::path::Path>) {
    std::fs::remove_file(path).unwrap();
}

async fn a_folder_that_moved_is_followed(app: &App) {
    let base = TempDir::new().unwrap();
    write(base.path(), "one/a.html", "one");
    write(base.path(), "two/a.html", "two");
    let current = base.path().join("current");
    symlink("one", &current).unwrap();
    let settings = super::settings(&json!({"root": current.to_str().unwrap()}));
    app.server.upsert_docs_site(settings).await.unwrap();
    assert!(open(app, "/docs/a", "").await.text().starts_with("one"));
    fs_remove(&current);
    symlink("two", &current).unwrap();
    app.server.advance(1);
    assert!(open(app, "/docs/a", "").await.text().starts_with("two"));
}

async fn a_folder_that_is_not_there_says_what_to_do(app: &App) {
    let folder = site(app, json!({}), &[]).await;
    std::fs::remove_dir_all(folder.path()).unwrap();
    app.expect_errors();
    let answer = open(app, "/docs/", "").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("look at its folder"));
    assert!(!answer.text().contains(folder.path().to_str().unwrap()));
}
