//! Bodies that cannot be read, at every endpoint of the project API that reads one.

use super::answers::{NOBODY, as_client, known};
use crate::support::project::{FAMILIES, World, in_both_worlds};
use http::Method;

in_both_worlds! {
    a_body_that_cannot_be_read_is_refused_everywhere,
}

async fn a_body_that_cannot_be_read_is_refused_everywhere(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let before = world.rows().await;
    let (client, server) = (as_client(&mary), World::server());
    let (post, patch) = (Method::POST, Method::PATCH);
    for (method, path, headers) in [
        (&post, "/auth/oauth/token", &[][..]),
        (&post, "/auth/oauth/cross-domain/authorize", &client),
        (&post, "/auth/oauth/callback/apple/native", &NOBODY),
        (&post, "/auth/cli", &NOBODY),
        (&post, "/auth/cli/poll", &NOBODY),
        (&post, "/auth/cli/complete", &client),
        (&post, "/auth/sessions", &server),
        (&post, "/users", &server),
        (&patch, "/users/me", &client),
        (&post, "/connected-accounts/me/google/access-token", &client),
        (&post, "/oauth-providers", &server),
    ] {
        for (kind, body) in [
            ("text/plain", "{}"),
            ("application/octet-stream", "\u{0}"),
            ("application/json", "{"),
            ("application/json", "[]"),
            ("application/json", "null"),
        ] {
            for family in FAMILIES {
                let headers: Vec<(String, &str)> = headers
                    .iter()
                    .map(|(name, value)| (format!("{family}{name}"), *value))
                    .collect();
                let mut headers: Vec<(&str, &str)> = headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), *value))
                    .collect();
                headers.push(("content-type", kind));
                let target = format!("/api/v1{path}");
                let mut browser = world.browser();
                let page = browser.send(method.clone(), &target, &headers, body).await;
                let error = known(&page, 400, "BODY_PARSING_ERROR");
                assert_eq!(error["details"]["message"], error["error"], "{path} {kind}");
            }
        }
    }
    assert_eq!(world.rows().await, before);
}
