//! Plans and what they write.

use super::{ACME, Installation};
use serde_json::json;
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::scope::served;
use vestibule_core::secret::SecretDigest;

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn the_reference_installation_applies_and_a_second_time_changes_nothing() {
    let installation = Installation::new().await;
    let changes = installation.changes(ACME, json!({})).await;
    assert_eq!(
        changes,
        [
            "create tenant default/default",
            "create domain default/app2.acme.test",
            "create scope default/reports.read",
            "create scope default/docs-user-info",
            "create client default/acme-web",
            "create client default/acme-docs",
            "create client default/acme-field",
            "create user default/ada",
            "create provider default/google",
            "create api_key default/browser",
            "create trusted_domain default/http://localhost:3000",
            "create docs_site default/handbook",
            "create tenant globex/globex",
        ]
    );
    let second = installation.apply(ACME).await.unwrap();
    assert_eq!(second["changes"], json!([]));
    assert_eq!(second["written"], json!(false));

    let store = &installation.shared.store;
    let tenant = store.any_tenant_by_slug("default").await.unwrap().unwrap();
    assert_eq!(
        tenant.id.to_string(),
        "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01"
    );
    let store = store.tenant(tenant.id);
    let record = store.client("acme-web").await.unwrap().unwrap();
    let client = Client::from_metadata(
        &record.metadata,
        record.secrets,
        &served(&store.scopes().await.unwrap()),
    )
    .unwrap();
    assert!(client.accepts_secret("acme-web-secret-0123456789"));
    let (ada, hash) = store.user_by_identifier("ADA").await.unwrap().unwrap();
    assert_eq!(ada.user.profile.groups, ["admin"]);
    assert!(ada.user.email_verified && hash.unwrap().starts_with("$argon2id$"));
    let algorithms: Vec<String> = store
        .keys()
        .await
        .unwrap()
        .iter()
        .map(|key| key.algorithm.to_string())
        .collect();
    assert_eq!(algorithms, ["EdDSA", "ES256"]);
}

#[tokio::test]
async fn a_dry_run_writes_and_shows_no_secret() {
    let installation = Installation::new().await;
    let text = ACME.replace("client_secret_env = \"ACME_WEB_SECRET\"", "");
    let planned = installation
        .apply_with(&text, json!({ "dry_run": true }))
        .await
        .unwrap();
    assert_eq!(planned["changes"].as_array().unwrap().len(), 13);
    assert_eq!(
        (&planned["written"], &planned["generated"]),
        (&json!(false), &json!([]))
    );
    assert!(
        installation
            .shared
            .store
            .any_tenant_by_slug("default")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_plan_names_fields_and_never_values() {
    let installation = Installation::with_acme().await;
    let text = ACME
        .replace("Ada Lovelace", "Ada King")
        .replace(
            "access_token_lifetime = \"10m\"",
            "access_token_lifetime = \"11m\"",
        )
        .replace(
            "client_secret_env = \"ACME_WEB_SECRET\"",
            "client_secret = \"another-secret-0123456789\"",
        )
        .replace(
            "password_env = \"ADA_PASSWORD\"",
            "password = \"another long password\"",
        )
        .replace("\"14d\"", "\"15d\"");
    let result = installation.apply(&text).await.unwrap();
    assert_eq!(
        super::lines(&result),
        [
            "update tenant default/default policy.session_lifetime",
            "update client default/acme-web policy.access_token_lifetime,client_secret",
            "update user default/ada name,password",
        ]
    );
    let printed = result.to_string();
    for secret in ["another", "acme-web-secret", "horse", "argon2", "Ada King"] {
        assert!(!printed.contains(secret), "{secret}");
    }
    assert_eq!(installation.changes(&text, json!({})).await, NOTHING);
}

#[tokio::test]
async fn what_is_not_named_stays_unless_asked_to_go() {
    let installation = Installation::with_acme().await;
    let text = "[[tenant]]\nslug = \"default\"\ngroups = [\"admin\"]\n";
    assert_eq!(
        installation.changes(text, json!({})).await,
        ["update tenant default/default groups"]
    );
    assert_eq!(
        installation.changes(text, json!({ "prune": true })).await,
        [
            "remove domain default/app2.acme.test",
            "remove scope default/docs-user-info",
            "remove scope default/reports.read",
            "remove client default/acme-docs",
            "remove client default/acme-field",
            "remove client default/acme-web",
            "remove provider default/google",
            "remove api_key default/browser",
            "remove trusted_domain default/http://localhost:3000",
            "remove docs_site default/handbook",
            "remove user default/ada",
            "remove tenant globex/globex",
        ]
    );
    assert_eq!(
        installation.changes(text, json!({ "prune": true })).await,
        NOTHING
    );
    assert_eq!(
        installation.changes("", json!({ "prune": true })).await,
        NOTHING,
        "the default tenant stays"
    );
}

#[tokio::test]
async fn the_default_tenant_is_made_when_nobody_names_it() {
    let installation = Installation::new().await;
    crate::admin::ensure_default_tenant(&installation.shared)
        .await
        .unwrap();
    crate::admin::ensure_default_tenant(&installation.shared)
        .await
        .unwrap();
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tenant.name, "Vestibule");
    assert_eq!(
        installation
            .shared
            .store
            .any_tenants_after("")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_confidential_client_without_a_secret_is_given_one_that_is_shown_once() {
    let installation = Installation::new().await;
    let text = "[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"a\"\nredirect_uris = [\"https://a.example/cb\"]\n";
    let first = installation.apply(text).await.unwrap();
    let secret = first["generated"][0]["client_secret"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(secret.len(), 43);
    let second = installation.apply(text).await.unwrap();
    assert_eq!(
        (&second["changes"], &second["generated"]),
        (&json!([]), &json!([]))
    );
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    let record = installation
        .shared
        .tenant(tenant.id)
        .client("a")
        .await
        .unwrap()
        .unwrap();
    assert!(record.secrets[0].matches(&SecretDigest::of_client_secret(&secret)));
}

#[tokio::test]
async fn a_hash_of_the_secret_serves_as_the_secret() {
    use base64::Engine as _;
    let installation = Installation::new().await;
    let digest = SecretDigest::of_client_secret("s3cret-of-many-letters");
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.bytes());
    let head = "[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"a\"\nredirect_uris = [\"https://a.example/cb\"]\n";
    installation
        .apply(&format!("{head}client_secret_hash = \"{hash}\"\n"))
        .await
        .unwrap();
    assert_eq!(
        installation
            .changes(
                &format!("{head}client_secret = \"s3cret-of-many-letters\"\n"),
                json!({})
            )
            .await,
        NOTHING
    );
}

#[tokio::test]
async fn rules_that_need_the_records_name_their_place() {
    let installation = Installation::with_acme().await;
    let head = "[[tenant]]\nslug = \"default\"\n";
    let client = "[[tenant.client]]\nclient_id = \"new\"\n";
    for (text, expected) in [
        (
            format!("{head}{client}redirect_uris = [\"http://a.example/cb\"]\n"),
            "tenant[0].client[0].redirect_uris: `http://a.example/cb` is plain http",
        ),
        (
            format!("{head}{client}redirect_uris = [\"https://a.example/cb\"]\nscope = \"openid nope\"\n"),
            "tenant[0].client[0].scope: `nope` is not a scope of this tenant",
        ),
        (
            format!("{head}[[tenant.user]]\nusername = \"bob\"\ngroups = [\"admin\", \"nope\"]\n"),
            "tenant[0].user[0].groups[1]: `nope` is not a group of the tenant `default`",
        ),
        (
            format!("{head}[[tenant.user]]\nusername = \"bob\"\nemail = \"ADA@acme.test\"\n"),
            "tenant[0].user[0].email: another person has this address",
        ),
        (
            format!("{head}[[tenant.user]]\nname = \"Bob\"\n"),
            "tenant[0].user[0]: a person has a username, an email or both",
        ),
        (
            format!("{head}[[tenant.user]]\nusername = \"bob\"\nnickname = \"{}\"\n", "x".repeat(513)),
            "tenant[0].user[0]: `nickname` is longer than 512 characters",
        ),
        (
            format!(
                "{head}[[tenant.user]]\nusername = \"bob\"\nprivate_metadata = {}1{}\n",
                "{ a = ".repeat(17),
                " }".repeat(17)
            ),
            "tenant[0].user[0]: `private_metadata` is nested deeper than 16 levels",
        ),
        (
            format!("{head}id = \"6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02\"\n"),
            "tenant[0].id: the tenant `default` has the id",
        ),
        (
            "[[tenant]]\nslug = \"other\"\nid = \"6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01\"\n".to_owned(),
            "tenant[0].id: belongs to the tenant `default`",
        ),
        (
            "[[tenant]]\nslug = \"globex\"\n[[tenant.domain]]\nhost = \"app2.acme.test\"\nkind = \"primary\"\n"
                .to_owned(),
            "tenant[0].domain[0].host: the tenant `default` answers on this host",
        ),
        (
            format!("{head}[[tenant.domain]]\nhost = \"127.0.0.1:8080\"\nkind = \"alias\"\n"),
            "tenant[0].domain[0].host: is the host of the public URL",
        ),
        (
            format!(
                "{head}[[tenant.user]]\nusername = \"bob\"\npassword_hash = \"$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\"\n"
            ),
            "tenant[0].user[0].password_hash: cannot be used: more memory than is allowed",
        ),
    ] {
        let error = installation.apply(&text).await.unwrap_err();
        assert!(error.message.starts_with(expected), "{expected}\nis not\n{}", error.message);
    }
    assert_eq!(installation.changes(ACME, json!({})).await, NOTHING);
}

#[tokio::test]
async fn a_host_passes_to_another_tenant_when_the_first_gives_it_up() {
    let installation = Installation::with_acme().await;
    let text = "[[tenant]]\nslug = \"default\"\n[[tenant]]\nslug = \"globex\"\n[[tenant.domain]]\nhost = \"app2.acme.test\"\nkind = \"primary\"\n";
    assert!(installation.apply(text).await.is_err());
    installation
        .apply_with(text, json!({ "prune": true }))
        .await
        .unwrap();
    let (tenant, _) = installation
        .shared
        .store
        .any_tenant_by_host("app2.acme.test")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tenant.slug, "globex");
}

#[tokio::test]
async fn people_keep_what_a_file_does_not_name() {
    let installation = Installation::with_acme().await;
    let head = "[[tenant]]\nslug = \"default\"\n[[tenant.user]]\nusername = \"ada\"\n";
    assert_eq!(installation.changes(head, json!({})).await, NOTHING);
    assert_eq!(
        installation
            .changes(
                &format!("{head}locale = \"\"\nnickname = \"Countess\"\n"),
                json!({})
            )
            .await,
        ["update user default/ada locale,nickname"]
    );
    assert_eq!(
        installation
            .changes(&format!("{head}email = \"ada@globex.test\"\n"), json!({}))
            .await,
        ["update user default/ada email,email_verified"],
        "another address is not proved"
    );
}

#[tokio::test]
async fn a_hash_brings_a_person_in_and_leaves_a_later_password_alone() {
    let installation = Installation::with_acme().await;
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    let (_, hash) = installation
        .shared
        .tenant(tenant.id)
        .user_by_identifier("ada")
        .await
        .unwrap()
        .unwrap();
    let text = format!(
        "[[tenant]]\nslug = \"default\"\n[[tenant.user]]\nusername = \"bob\"\npassword_hash = \"{}\"\n",
        hash.unwrap()
    );
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["create user default/bob"]
    );
    assert_eq!(installation.changes(&text, json!({})).await, NOTHING);
    installation.perform(json!({ "action": "user_set_password", "tenant": "default", "user": "bob", "password": "bobs own password" })).await.unwrap();
    let again = installation.apply(&text).await.unwrap();
    assert_eq!(again["changes"], json!([]));
    assert_eq!(
        again["warnings"][0],
        "tenant[0].user[0].password_hash: the person has a password already, which stays"
    );
}
