//! Docs sites as readers meet them, honest or not: who gets what, byte for byte, and who may keep it.

mod aliases;
mod files;
mod handshake;
mod host;
mod info;
mod listing;
mod proxy;
mod reader;
mod rewrite;

use crate::support::app::App;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// The host of the site.
const HOST: &str = "docs.acme.test";
/// What browsers say when a person opens a page.
const NAVIGATION: &[(&str, &str)] = &[
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
];

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// A header as text; empty when absent.
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
}

/// A page of the site, with this in its head and body.
fn page(head: &str, body: &str) -> String {
    format!("<!doctype html><html><head><title>x</title>{head}</head><body>{body}</body></html>")
}

/// A page for a group.
fn page_for(group: &str, body: &str) -> String {
    page(
        &format!("<meta name=\"vestibule:groups\" content=\"{group}\">"),
        body,
    )
}

fn write(folder: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The settings of a site below `/docs`, some of them changed; `null` leaves one out.
fn settings(changes: &Value) -> Value {
    let mut all = json!({
        "name": "handbook", "public_url": format!("https://{HOST}/docs"), "client_id": "handbook",
        "authorization_url": "https://auth.foo.test/authorization", "token_url": "https://auth.foo.test/exchange",
    });
    for (name, value) in changes.as_object().unwrap() {
        let object = all.as_object_mut().unwrap();
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    all
}

/// A site of these files.
async fn site(app: &App, changes: Value, files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (file, text) in files {
        write(folder.path(), file, text);
    }
    let mut changes = changes;
    changes["root"] = json!(folder.path().to_str().unwrap());
    app.server
        .upsert_docs_site(settings(&changes))
        .await
        .unwrap();
    folder
}

/// The cookie of a reader who is in these groups.
async fn reader(app: &App, groups: &[&str]) -> String {
    let user = json!({"groups": groups, "content": {"firstName": "Ada"}});
    app.server.sign_reader_in(HOST, user, 3600).await.unwrap()
}

async fn send(app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header(header::HOST, HOST);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (parts, body) = app
        .call(request.body(Bytes::new()).unwrap())
        .await
        .into_parts();
    assert_eq!(
        parts.headers.get("x-content-type-options").unwrap(),
        "nosniff",
        "{path}"
    );
    Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// Opens a page as somebody with this cookie; an empty one is none.
async fn open(app: &App, path: &str, cookie: &str) -> Answer {
    let mut headers = NAVIGATION.to_vec();
    if !cookie.is_empty() {
        headers.push(("cookie", cookie));
    }
    send(app, Method::GET, path, &headers).await
}
