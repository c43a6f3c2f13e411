//! What the project API declines says so, in a way that an SDK or a person understands, and makes nobody and nothing.

use super::answers::{NOBODY, as_client, good, in_words, known};
use crate::support::installation::TENANT_ID;
use crate::support::project::{FAMILIES, World, in_both_worlds};
use http::Method;
use serde_json::json;

in_both_worlds! {
    nobody_becomes_an_anonymous_person,
    what_is_measured_is_taken_and_forgotten,
    what_is_not_offered_is_not_found,
}

async fn nobody_becomes_an_anonymous_person(world: &World<'_>) {
    const PATH: &str = "/auth/anonymous/sign-up";
    let before = world.rows().await;
    for family in FAMILIES {
        for body in [None, Some(json!({}))] {
            let headers = [&NOBODY[..], &[("allow-anonymous-user", "true")]].concat();
            let page = world
                .call_in(family, Method::POST, PATH, &headers, body)
                .await;
            let error = known(&page, 400, "ANONYMOUS_ACCOUNTS_NOT_ENABLED");
            assert_eq!(error.get("details"), None);
        }
    }
    let page = world.call(Method::POST, PATH, &[], None).await;
    known(&page, 400, "ACCESS_TYPE_REQUIRED");
    let page = world.call(Method::GET, PATH, &NOBODY, None).await;
    in_words(&page, 405);
    assert_eq!(world.rows().await, before);
}

async fn what_is_measured_is_taken_and_forgotten(world: &World<'_>) {
    const PATH: &str = "/api/v1/analytics/events/batch";
    let before = world.rows().await;
    for (kind, body) in [
        (
            "application/json",
            "{\"events\":[{\"event_type\":\"$page-view\"}]}",
        ),
        ("application/json", "not json"),
        // One SDK sends compressed bytes.
        ("application/octet-stream", "\u{1f}\u{8b}"),
    ] {
        let headers = [
            ("x-hexclave-project-id", TENANT_ID),
            ("x-hexclave-access-type", "client"),
            ("content-type", kind),
        ];
        let mut browser = world.browser();
        let page = browser.send(Method::POST, PATH, &headers, body).await;
        assert_eq!(good(&page, 200), json!({}), "{kind}");
    }
    assert_eq!(world.rows().await, before);
}

async fn what_is_not_offered_is_not_found(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let client = as_client(&mary);
    for (method, path) in [
        // Teams, permissions, addresses, keys of people.
        (Method::GET, "/teams?user_id=me"),
        (Method::POST, "/teams"),
        (Method::GET, "/team-permissions?user_id=me"),
        (Method::GET, "/project-permissions?user_id=me"),
        (Method::GET, "/contact-channels?user_id=me"),
        (Method::GET, "/user-api-keys?user_id=me"),
        (Method::GET, "/emails/notification-preference/me"),
        // The vendor's integrations, where the product is a provider itself.
        (Method::GET, "/integrations/custom/oauth/authorize"),
        (Method::POST, "/integrations/custom/oauth/token"),
        (
            Method::GET,
            "/integrations/custom/oauth/idp/.well-known/openid-configuration",
        ),
        (Method::GET, "/integrations/neon/oauth/authorize"),
        // Second factors, and other ways in than a provider.
        (Method::POST, "/auth/mfa/sign-in"),
        (Method::POST, "/auth/password/sign-in"),
        (Method::POST, "/auth/otp/send-sign-in-code"),
        (Method::GET, "/internal/component-versions"),
    ] {
        for family in FAMILIES {
            let page = world
                .call_in(family, method.clone(), path, &client, None)
                .await;
            in_words(&page, 404);
            // No code: an SDK would look for a class of that name.
            assert_eq!(page.header("x-stack-known-error"), "", "{path}");
            assert!(page.body.contains("documentation"), "{}", page.body);
            let asked = [&client[..], &[("override-error-status", "true")]].concat();
            let page = world
                .call_in(family, method.clone(), path, &asked, None)
                .await;
            in_words(&page, 200);
            assert_eq!(page.header("x-stack-actual-status"), "404", "{path}");
        }
    }
}
