//! Actions one by one.

use super::{ACME, Installation};
use serde_json::{Value, json};
use vestibule_core::secret::SecretDigest;

async fn code(installation: &Installation, action: Value) -> u8 {
    installation
        .perform(action)
        .await
        .unwrap_err()
        .code
        .exit_status()
}

#[tokio::test]
async fn a_tenant_is_made_changed_and_removed() {
    let installation = Installation::with_acme().await;
    let create =
        json!({ "action": "tenant_create", "tenant": "initech", "set": { "name": "Initech" } });
    installation.perform(create.clone()).await.unwrap();
    assert_eq!(code(&installation, create).await, 4);
    let update = json!({ "action": "tenant_update", "tenant": "initech", "set": { "policy": { "sign_up": "open" } } });
    assert_eq!(
        super::lines(&installation.perform(update).await.unwrap()),
        ["update tenant initech/initech policy.sign_up"]
    );
    let shown = installation
        .perform(json!({ "action": "tenant_show", "tenant": "initech" }))
        .await
        .unwrap();
    assert_eq!(shown["issuer"], "http://127.0.0.1:8080/t/initech");
    assert_eq!(
        (&shown["name"], &shown["policy"]["session_idle"]),
        (&json!("Initech"), &json!("3d"))
    );
    installation
        .perform(json!({ "action": "tenant_remove", "tenant": "initech" }))
        .await
        .unwrap();
    assert_eq!(
        code(
            &installation,
            json!({ "action": "tenant_show", "tenant": "initech" })
        )
        .await,
        3
    );
    assert_eq!(
        code(
            &installation,
            json!({ "action": "tenant_remove", "tenant": "default" })
        )
        .await,
        4
    );
    assert_eq!(
        installation
            .perform(json!({ "action": "tenant_list" }))
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn a_client_is_made_changed_and_removed() {
    let installation = Installation::with_acme().await;
    let at = |action: &str, set: Value| json!({ "action": action, "tenant": "default", "client_id": "app", "set": set });
    let created = installation
        .perform(at(
            "client_create",
            json!({ "redirect_uris": ["https://a.example/cb"] }),
        ))
        .await
        .unwrap();
    assert!(created["generated"][0]["client_secret"].is_string());
    assert_eq!(code(&installation, at("client_create", json!({}))).await, 4);
    let changed = installation
        .perform(at(
            "client_update",
            json!({ "client_name": "App", "policy": { "pkce": "public_clients" } }),
        ))
        .await
        .unwrap();
    assert_eq!(
        super::lines(&changed),
        ["update client default/app client_name,policy.pkce"]
    );
    assert_eq!(
        changed["warnings"],
        json!(["policy.pkce: a code can be used without PKCE"])
    );
    let error = installation
        .perform(at(
            "client_update",
            json!({ "redirect_uris": ["https://a.example/cb#x"] }),
        ))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .starts_with("redirect_uris: `https://a.example/cb#x` has a fragment"),
        "{error}"
    );
    let shown = installation
        .perform(json!({ "action": "client_show", "tenant": "default", "client_id": "app" }))
        .await
        .unwrap();
    assert_eq!(
        (&shown["client_name"], &shown["secrets"]),
        (&json!("App"), &json!(1))
    );
    installation
        .perform(json!({ "action": "client_remove", "tenant": "default", "client_id": "app" }))
        .await
        .unwrap();
    assert_eq!(code(&installation, at("client_update", json!({}))).await, 3);
    assert_eq!(
        code(
            &installation,
            json!({ "action": "client_list", "tenant": "nope" })
        )
        .await,
        3
    );
}

#[tokio::test]
async fn a_secret_is_replaced_with_or_without_an_overlap() {
    let installation = Installation::with_acme().await;
    let rotate = |rotation: &str| json!({ "action": "client_rotate_secret", "tenant": "default", "client_id": "acme-web", "rotation": rotation });
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    let accepts = async |secret: &str| {
        let record = installation
            .shared
            .tenant(tenant.id)
            .client("acme-web")
            .await
            .unwrap()
            .unwrap();
        record
            .secrets
            .iter()
            .any(|digest| digest.matches(&SecretDigest::of_client_secret(secret)))
    };
    let old = "acme-web-secret-0123456789";
    let kept = installation.perform(rotate("keep_old")).await.unwrap();
    let new = kept["client_secret"].as_str().unwrap();
    assert!(accepts(old).await && accepts(new).await);
    assert_eq!(
        installation.changes(ACME, json!({})).await,
        Vec::<String>::new(),
        "a file does not end an overlap"
    );
    let dropped = installation.perform(rotate("drop_old")).await.unwrap();
    assert_eq!(dropped["client_secret"], Value::Null);
    assert!(!accepts(old).await && accepts(new).await);
    installation.perform(rotate("replace")).await.unwrap();
    assert!(!accepts(new).await);
    let public = json!({ "action": "client_rotate_secret", "tenant": "default", "client_id": "acme-docs", "rotation": "replace" });
    assert_eq!(code(&installation, public).await, 4);
}

#[tokio::test]
async fn a_person_is_made_changed_and_removed() {
    let installation = Installation::with_acme().await;
    let user =
        |action: &str, user: &str| json!({ "action": action, "tenant": "default", "user": user });
    let create = json!({ "action": "user_create", "tenant": "default", "set": { "username": "bob", "email": "bob@acme.test" } });
    let created = installation.perform(create.clone()).await.unwrap();
    let password = created["generated"][0]["password"].as_str().unwrap();
    assert_eq!(password.len(), 24);
    assert_eq!(code(&installation, create).await, 4);
    let rename = json!({ "action": "user_update", "tenant": "default", "user": "bob@acme.test", "set": { "username": "robert" } });
    assert_eq!(
        super::lines(&installation.perform(rename).await.unwrap()),
        ["update user default/robert username"]
    );
    let taken = json!({ "action": "user_update", "tenant": "default", "user": "robert", "set": { "username": "Ada" } });
    assert_eq!(code(&installation, taken).await, 5);
    assert_eq!(
        super::lines(
            &installation
                .perform(user("user_disable", "robert"))
                .await
                .unwrap()
        ),
        ["update user default/robert disabled"]
    );
    let shown = installation
        .perform(user("user_show", "robert"))
        .await
        .unwrap();
    assert_eq!(shown["disabled"], true);
    let by_id = installation
        .perform(user("user_show", shown["id"].as_str().unwrap()))
        .await
        .unwrap();
    assert_eq!(by_id["username"], "robert");
    installation
        .perform(user("user_enable", "robert"))
        .await
        .unwrap();
    let made = installation
        .perform(user("user_set_password", "robert"))
        .await
        .unwrap();
    assert!(made["generated"][0]["password"].as_str().unwrap() != password);
    installation
        .perform(user("user_sign_out", "robert"))
        .await
        .unwrap();
    installation
        .perform(user("user_remove", "robert"))
        .await
        .unwrap();
    assert_eq!(code(&installation, user("user_show", "robert")).await, 3);
    assert_eq!(
        installation
            .perform(json!({ "action": "user_list", "tenant": "default" }))
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_key_is_announced_before_it_signs() {
    let installation = Installation::with_acme().await;
    let rotate = |algorithm: &str| json!({ "action": "key_rotate", "tenant": "default", "algorithm": algorithm });
    assert_eq!(
        installation.perform(rotate("ES256")).await.unwrap()["step"],
        "announced"
    );
    assert_eq!(
        installation.perform(rotate("ES256")).await.unwrap()["step"],
        "waiting"
    );
    assert_eq!(code(&installation, rotate("es256")).await, 2);
    let keys = installation
        .perform(json!({ "action": "key_list", "tenant": "default" }))
        .await
        .unwrap();
    let states: Vec<&str> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["active", "active", "announced"]);
    assert!(!keys.to_string().contains("sealed"));
}

#[tokio::test]
async fn a_set_up_link_is_offered_while_none_was_used() {
    let installation = Installation::with_acme().await;
    let offered = installation
        .perform(json!({ "action": "set_up_link" }))
        .await
        .unwrap();
    assert!(
        offered["link"]
            .as_str()
            .unwrap()
            .starts_with("http://127.0.0.1:8080/setup/set_")
    );
    assert_eq!(offered["expires_at"], "2023-11-15T22:13:20Z");
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    let row = installation
        .shared
        .store
        .installation(&installation.shared.root_key.check)
        .await
        .unwrap();
    let unit = installation
        .shared
        .tenant(tenant.id)
        .unit()
        .complete_set_up(&row.set_up.unwrap().0, installation.shared.now());
    assert!(installation.shared.store.commit(unit).await.unwrap().won());
    assert_eq!(
        code(&installation, json!({ "action": "set_up_link" })).await,
        4
    );
}
