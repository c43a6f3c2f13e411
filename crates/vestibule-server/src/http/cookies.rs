//! Cookies: reading them without being fooled by a second one, and writing them so that they are ours alone (T34, T35).

use http::HeaderMap;
use http::header;

/// Every cookie of a request.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// The value of a cookie, if it stands exactly once: of two with one name, one was set by somebody else.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = pairs(headers)
        .filter(|(known, _)| *known == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// The names of the cookies that start so, each once.
pub(crate) fn names<'a>(headers: &'a HeaderMap, prefix: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = pairs(headers)
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The name of a cookie of ours: over https no other host and no plain http can set it.
pub(crate) fn name(secure: bool, rest: &str) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}vestibule-{rest}")
}

/// The line that sets a cookie; it goes with a `max_age_seconds` of 0, and with the browser where none is given.
pub(crate) fn line(secure: bool, name: &str, value: &str, max_age_seconds: Option<i64>) -> String {
    let secure = if secure { "; Secure" } else { "" };
    let max_age = max_age_seconds
        .map(|seconds| format!("; Max-Age={seconds}"))
        .unwrap_or_default();
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{max_age}")
}
