//! What tests of the project API say of refusals, and whose tokens they hold.

use super::browser::Page;
use super::relying_party::decode;
use http::StatusCode;
use serde_json::Value;

/// A known error: its status, and its code in the body and in the header of each family.
pub(crate) fn assert_known(page: &Page, status: u16, code: &str) {
    assert_eq!(
        page.status,
        StatusCode::from_u16(status).unwrap(),
        "{}",
        page.body
    );
    assert_eq!(page.header("x-stack-known-error"), code, "{}", page.body);
    assert_eq!(page.header("x-hexclave-known-error"), code);
    assert_eq!(page.json()["code"], code);
}

/// A refusal in words, among them these.
pub(crate) fn assert_words(page: &Page, status: u16, words: &str) {
    assert_eq!(
        page.status,
        StatusCode::from_u16(status).unwrap(),
        "{}",
        page.body
    );
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(page.header("x-stack-known-error"), "");
    assert!(page.body.contains(words), "{}", page.body);
}

/// The claims of the access token.
pub(crate) fn claims(tokens: &Value) -> Value {
    decode(tokens["access_token"].as_str().unwrap()).1
}

/// Whose tokens they are.
pub(crate) fn user_id(tokens: &Value) -> String {
    claims(tokens)["sub"].as_str().unwrap().to_owned()
}
