//! What the tests of these endpoints ask of an answer, and whom they ask as.

use crate::support::browser::Page;
use crate::support::installation::TENANT_ID;
use crate::support::project::{FAMILIES, World};
use http::Method;
use serde_json::Value;

/// What every answer carries.
#[track_caller]
fn common(page: &Page, status: u16) {
    assert_eq!(page.status, status, "{}", page.body);
    assert_eq!(page.header("access-control-allow-origin"), "*");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(!page.header("x-stack-request-id").is_empty());
}

/// A good answer that nobody may keep.
#[track_caller]
pub(crate) fn good(page: &Page, status: u16) -> Value {
    common(page, status);
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    for family in FAMILIES {
        assert_eq!(page.header(&format!("{family}known-error")), "");
    }
    page.json()
}

/// A known error: the body and both families of headers name it, or an SDK gives up.
#[track_caller]
pub(crate) fn known(page: &Page, status: u16, code: &str) -> Value {
    common(page, status);
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    for family in FAMILIES {
        assert_eq!(page.header(&format!("{family}known-error")), code);
    }
    let body = page.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(!body["error"].as_str().unwrap().is_empty());
    body
}

/// A schema error that names all of these.
#[track_caller]
pub(crate) fn schema(page: &Page, named: &[&str]) {
    let body = known(page, 400, "SCHEMA_ERROR");
    let message = body["details"]["message"].as_str().unwrap();
    assert_eq!(body["error"], message);
    for name in named {
        assert!(message.contains(name), "{name} is not in {message}");
    }
}

/// A refusal in words.
#[track_caller]
pub(crate) fn in_words(page: &Page, status: u16) {
    common(page, status);
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert!(page.body.ends_with('.'), "{}", page.body);
}

/// The headers of an app in whose browser nobody is signed in.
pub(crate) const NOBODY: [(&str, &str); 2] = [("project-id", TENANT_ID), ("access-type", "client")];

/// The same with somebody.
pub(crate) fn as_client(tokens: &Value) -> Vec<(&'static str, &str)> {
    let mut headers = NOBODY.to_vec();
    headers.push(("access-token", tokens["access_token"].as_str().unwrap()));
    headers
}

/// The project's server with somebody's access token.
pub(crate) fn as_server(tokens: &Value) -> Vec<(&'static str, &str)> {
    let mut headers: Vec<(&'static str, &str)> = World::server();
    headers.push(("access-token", tokens["access_token"].as_str().unwrap()));
    headers
}

/// Asks as the project's server.
pub(crate) async fn by_server(
    world: &World<'_>,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Page {
    world.call(method, path, &World::server(), body).await
}

/// The id of the one person whom a search finds.
pub(crate) async fn id_of(world: &World<'_>, query: &str) -> String {
    let path = format!("/users?include_restricted=true&query={query}");
    let list = good(&by_server(world, Method::GET, &path, None).await, 200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{query}: {list}");
    items[0]["id"].as_str().unwrap().to_owned()
}

/// A session of somebody, as the project's server makes it: the tokens.
pub(crate) async fn session_of(world: &World<'_>, id: &str) -> Value {
    let body = serde_json::json!({ "user_id": id });
    let page = by_server(world, Method::POST, "/auth/sessions", Some(body)).await;
    good(&page, 200)
}
