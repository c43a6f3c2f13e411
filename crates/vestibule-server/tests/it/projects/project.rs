//! `/projects/current` and the key set of a project.

use super::answers::{NOBODY, good, known};
use crate::support::app::from_settings_on_both_engines;
use crate::support::installation::TENANT_ID;
use crate::support::project::{FAMILIES, PUBLISHABLE, SECRET_KEY, World, in_both_worlds};
use crate::support::relying_party::decode;
use http::Method;
use serde_json::json;

in_both_worlds! {
    an_app_learns_what_its_project_is,
    a_caller_without_the_right_headers_learns_nothing,
    the_keys_of_a_project_are_the_ones_that_its_tokens_are_signed_with,
    a_project_that_is_not_there_has_no_keys,
}

from_settings_on_both_engines! {
    a_project_says_what_its_policy_says,
}

async fn an_app_learns_what_its_project_is(world: &World<'_>) {
    let expected = json!({
        "id": TENANT_ID,
        "display_name": "Acme",
        "config": {
            "sign_up_enabled": true, "credential_enabled": false, "magic_link_enabled": false, "passkey_enabled": false,
            "client_team_creation_enabled": false, "client_user_deletion_enabled": false, "allow_localhost": false,
            "allow_team_api_keys": false, "allow_user_api_keys": false,
            "enabled_oauth_providers": [{ "id": "google" }],
            "domains": [
                { "domain": "https://*.preview.acme.test", "handler_path": "/handler" },
                { "domain": "https://app.acme.test", "handler_path": "/handler" },
            ],
        },
    });
    let with_key = [&NOBODY[..], &[("publishable-client-key", PUBLISHABLE)]].concat();
    for family in FAMILIES {
        for headers in [
            NOBODY.to_vec(),
            with_key.clone(),
            World::server(),
            World::admin(),
        ] {
            let page = world
                .call_in(family, Method::GET, "/projects/current", &headers, None)
                .await;
            assert_eq!(good(&page, 200), expected);
        }
    }
}

async fn a_project_says_what_its_policy_says(settings: &[(String, String)]) {
    let policy = "sign_up = \"invited\"\nallow_localhost = true\nclient_user_deletion = true";
    World::run(settings, policy, async |world| {
        let page = world
            .call(Method::GET, "/projects/current", &NOBODY, None)
            .await;
        let config = &good(&page, 200)["config"];
        assert_eq!(config["sign_up_enabled"], false);
        assert_eq!(config["allow_localhost"], true);
        assert_eq!(config["client_user_deletion_enabled"], true);
    })
    .await;
}

/// Headers, and what they come to: status and code.
type Row<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);

async fn a_caller_without_the_right_headers_learns_nothing(world: &World<'_>) {
    let other = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02";
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        (&[], 400, "ACCESS_TYPE_REQUIRED"),
        (&[("project-id", TENANT_ID)], 400, "ACCESS_TYPE_REQUIRED"),
        (
            &[
                ("project-id", TENANT_ID),
                ("publishable-client-key", PUBLISHABLE),
            ],
            400,
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
        ),
        (
            &[("project-id", TENANT_ID), ("access-type", "root")],
            400,
            "INVALID_ACCESS_TYPE",
        ),
        (
            &[("access-type", "client")],
            400,
            "ACCESS_TYPE_WITHOUT_PROJECT_ID",
        ),
        (
            &[("project-id", other), ("access-type", "client")],
            400,
            "CURRENT_PROJECT_NOT_FOUND",
        ),
        (
            &[
                ("project-id", TENANT_ID),
                ("access-type", "client"),
                ("branch-id", "x"),
            ],
            400,
            "BRANCH_DOES_NOT_EXIST",
        ),
        (
            &[
                ("project-id", TENANT_ID),
                ("access-type", "client"),
                ("publishable-client-key", SECRET_KEY),
            ],
            401,
            "INVALID_PUBLISHABLE_CLIENT_KEY",
        ),
        (
            &[("project-id", TENANT_ID), ("access-type", "server")],
            401,
            "INVALID_SECRET_SERVER_KEY",
        ),
        (
            &[
                ("project-id", TENANT_ID),
                ("access-type", "server"),
                ("secret-server-key", PUBLISHABLE),
            ],
            401,
            "INVALID_SECRET_SERVER_KEY",
        ),
        (
            &[
                ("project-id", TENANT_ID),
                ("access-type", "admin"),
                ("super-secret-admin-key", SECRET_KEY),
            ],
            401,
            "INVALID_SUPER_SECRET_ADMIN_KEY",
        ),
        (
            &[
                ("project-id", TENANT_ID),
                ("access-type", "client"),
                ("access-token", "x.y.z"),
            ],
            401,
            "UNPARSABLE_ACCESS_TOKEN",
        ),
    ];
    for (headers, status, code) in table {
        for family in FAMILIES {
            let page = world
                .call_in(family, Method::GET, "/projects/current", headers, None)
                .await;
            known(&page, *status, code);
            // The SDKs ask for 200, and read the status from a header.
            let overriding = [*headers, &[("override-error-status", "true")]].concat();
            let page = world
                .call_in(family, Method::GET, "/projects/current", &overriding, None)
                .await;
            known(&page, 200, code);
            for answered in FAMILIES {
                let actual = page.header(&format!("{answered}actual-status")).to_owned();
                assert_eq!(actual, status.to_string());
            }
        }
    }
}

async fn the_keys_of_a_project_are_the_ones_that_its_tokens_are_signed_with(world: &World<'_>) {
    let path = format!("/projects/{TENANT_ID}/.well-known/jwks.json");
    // Before anybody signed in there is a key already: a cache may ask first.
    let page = world.call(Method::GET, &path, &[], None).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.header("cache-control"), "public, max-age=3600");
    assert_eq!(page.header("access-control-allow-origin"), "*");
    let keys = page.json();
    let (header, _) = decode(
        world.sign_in("mary").await["access_token"]
            .as_str()
            .unwrap(),
    );
    let list = keys["keys"].as_array().unwrap();
    assert_eq!(list.len(), 1, "{keys}");
    let (key, text) = (&list[0], |name: &str| list[0][name].as_str().unwrap().len());
    assert_eq!(
        (
            &key["kty"],
            &key["crv"],
            &key["alg"],
            &key["use"],
            &key["kid"]
        ),
        (
            &json!("EC"),
            &json!("P-256"),
            &json!("ES256"),
            &json!("sig"),
            &header["kid"]
        )
    );
    assert_eq!((text("x"), text("y")), (43, 43));
    assert!(key.get("d").is_none());
    // Nobody here is anonymous or restricted: there are no other keys.
    for query in [
        "?include_anonymous=true",
        "?include_restricted=true",
        "?x=1&x=2",
    ] {
        let page = world
            .call(Method::GET, &format!("{path}{query}"), &[], None)
            .await;
        assert_eq!(page.json(), keys);
    }
    // A rotation announces the next key before it signs.
    world.app.server.rotate("default", "ES256").await.unwrap();
    let page = world.call(Method::GET, &path, &[], None).await;
    assert_eq!(page.json()["keys"].as_array().unwrap().len(), 2);
}

async fn a_project_that_is_not_there_has_no_keys(world: &World<'_>) {
    for id in [
        "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02",
        "default",
        "internal",
        "current",
        "..",
        "%00",
    ] {
        let path = format!("/projects/{id}/.well-known/jwks.json");
        let page = world.call(Method::GET, &path, &[], None).await;
        let body = known(&page, 404, "PROJECT_NOT_FOUND");
        assert_eq!(body["details"]["project_id"], id);
        let asked = [("override-error-status", "true")];
        let page = world.call(Method::GET, &path, &asked, None).await;
        known(&page, 200, "PROJECT_NOT_FOUND");
        assert_eq!(page.header("x-stack-actual-status"), "404");
    }
    // Below another tenant's base there is that tenant's project only.
    let path = format!("/t/globex/api/v1/projects/{TENANT_ID}/.well-known/jwks.json");
    let page = world.browser().send(Method::GET, &path, &[], "").await;
    known(&page, 404, "PROJECT_NOT_FOUND");
}
