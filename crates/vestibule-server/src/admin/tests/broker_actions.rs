//! Actions on hosts, scopes, providers, API keys and trusted domains, one by one.

use super::{ACME, Installation};
use serde_json::{Value, json};
use vestibule_core::id::TenantId;
use vestibule_core::secret::SecretDigest;

/// An action of a tenant.
fn act(action: &str, more: Value) -> Value {
    let mut value = json!({ "action": action, "tenant": "default" });
    if let Value::Object(more) = more {
        value.as_object_mut().unwrap().extend(more);
    }
    value
}

impl Installation {
    async fn done(&self, action: &str, more: Value) -> Value {
        let result = self.perform(act(action, more)).await;
        result.unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    async fn refused(&self, action: &str, more: Value) -> (u8, String) {
        let error = self.perform(act(action, more)).await.unwrap_err();
        (error.code.exit_status(), error.message)
    }
}

#[tokio::test]
async fn a_host_is_added_and_removed() {
    let installation = Installation::with_acme().await;
    let host = json!({ "host": "b.example", "kind": "alias" });
    installation.done("domain_add", host.clone()).await;
    assert_eq!(
        installation.done("domain_list", json!({})).await,
        json!([{ "host": "app2.acme.test", "kind": "satellite" }, { "host": "b.example", "kind": "alias" }])
    );
    assert_eq!(installation.refused("domain_add", host).await.0, 4);
    for (host, kind, expected) in [
        ("B.example", "alias", "host: write a host in lower case"),
        (
            "c.example",
            "mirror",
            "kind: expected primary, alias, satellite",
        ),
        (
            "c.example",
            "primary",
            "kind: the issuer of the default tenant is the public URL",
        ),
        (
            "127.0.0.1:8080",
            "alias",
            "host: is the host of the public URL",
        ),
    ] {
        let (code, message) = installation
            .refused("domain_add", json!({ "host": host, "kind": kind }))
            .await;
        assert!(code == 5 && message.starts_with(expected), "{message}");
    }
    let taken =
        json!({ "action": "domain_add", "tenant": "globex", "host": "b.example", "kind": "alias" });
    let error = installation.perform(taken).await.unwrap_err();
    assert_eq!(
        error.message,
        "host: the tenant `default` answers on this host"
    );
    installation
        .done("domain_remove", json!({ "host": "b.example" }))
        .await;
    let gone = installation
        .refused("domain_remove", json!({ "host": "b.example" }))
        .await;
    assert_eq!(gone.0, 3);
    let nobody = json!({ "action": "domain_list", "tenant": "nope" });
    assert_eq!(
        installation
            .perform(nobody)
            .await
            .unwrap_err()
            .code
            .exit_status(),
        3
    );
}

#[tokio::test]
async fn a_scope_is_made_changed_and_removed() {
    let installation = Installation::with_acme().await;
    let made = json!({ "scope": "notes.read", "set": { "description": "Read notes" } });
    installation.done("scope_create", made.clone()).await;
    assert_eq!(installation.refused("scope_create", made).await.0, 4);
    let changed = installation
        .done(
            "scope_update",
            json!({ "scope": "notes.read", "set": { "consent": "implied" } }),
        )
        .await;
    assert_eq!(
        super::lines(&changed),
        ["update scope default/notes.read consent"]
    );
    for (set, expected) in [
        (json!({}), "description: is missing"),
        (
            json!({ "description": "" }),
            "description: write 1 to 256 characters",
        ),
        (
            json!({ "description": "x", "consent": "maybe" }),
            "consent: expected ask, implied",
        ),
    ] {
        let asked = json!({ "scope": "other", "set": set });
        let (code, message) = installation.refused("scope_create", asked).await;
        assert!(code == 5 && message.starts_with(expected), "{message}");
    }
    let standard = json!({ "scope": "openid", "set": { "description": "Mine" } });
    assert_eq!(installation.refused("scope_create", standard).await.0, 5);
    let absent = json!({ "scope": "nope", "set": {} });
    assert_eq!(installation.refused("scope_update", absent).await.0, 3);
    installation
        .done("scope_remove", json!({ "scope": "notes.read" }))
        .await;
    let gone = installation
        .refused("scope_remove", json!({ "scope": "notes.read" }))
        .await;
    assert_eq!(gone.0, 3);
}

#[tokio::test]
async fn a_scope_that_a_client_names_is_not_removed() {
    let installation = Installation::with_acme().await;
    let (code, message) = installation
        .refused("scope_remove", json!({ "scope": "reports.read" }))
        .await;
    assert_eq!(code, 4);
    assert!(
        message.ends_with("take it from them first: acme-field, acme-web"),
        "{message}"
    );
    assert_eq!(
        installation.changes(ACME, json!({})).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_provider_is_made_changed_and_removed() {
    let installation = Installation::with_acme().await;
    let set = json!({ "preset": "github", "client_id": "us", "client_secret": "s3cret" });
    let create = json!({ "provider": "github", "set": set });
    let created = installation.done("provider_create", create.clone()).await;
    assert_eq!(super::lines(&created), ["create provider default/github"]);
    let uri = "http://127.0.0.1:8080/api/v1/auth/oauth/callback/github";
    assert_eq!(created["redirect_uri"], uri);
    assert_eq!(installation.refused("provider_create", create).await.0, 4);

    let set =
        json!({ "authorization_params": { "prompt": "consent" }, "mapping": { "email": "/mail" } });
    let update = json!({ "provider": "github", "set": set });
    installation.done("provider_update", update).await;
    let set = json!({ "authorization_params": { "login": "x" }, "mapping": { "email": null }, "name": "Hub" });
    let update = json!({ "provider": "github", "set": set });
    installation.done("provider_update", update).await;
    let shown = installation
        .done("provider_show", json!({ "provider": "github" }))
        .await;
    assert_eq!(
        shown["authorization_params"],
        json!({ "prompt": "consent", "login": "x" })
    );
    assert_eq!(
        (&shown["mapping"], &shown["name"]),
        (&json!({}), &json!("Hub"))
    );
    assert_eq!(
        (&shown["redirect_uri"], &shown["has_secret"]),
        (&json!(uri), &json!(true))
    );
    assert_eq!(
        (&shown["sign_in"], &shown["client_id"]),
        (&json!(true), &json!("us"))
    );
    assert!(!shown.to_string().contains("s3cret"));
    let list = installation.done("provider_list", json!({})).await;
    assert_eq!(
        (&list[0]["id"], &list[1]["id"]),
        (&json!("github"), &json!("google"))
    );

    installation
        .done("provider_remove", json!({ "provider": "github" }))
        .await;
    for action in ["provider_show", "provider_remove"] {
        let gone = installation
            .refused(action, json!({ "provider": "github" }))
            .await;
        assert_eq!(gone.0, 3, "{action}");
    }
    let absent = json!({ "provider": "No Id", "set": {} });
    assert_eq!(installation.refused("provider_update", absent).await.0, 3);
}

#[tokio::test]
async fn the_redirect_uri_of_a_provider_is_below_its_tenants_issuer_or_its_own() {
    let installation = Installation::with_acme().await;
    let set = json!({ "preset": "google", "client_id": "us", "client_secret": "x" });
    let create = json!({ "action": "provider_create", "tenant": "globex", "provider": "google", "set": set });
    let created = installation.perform(create).await.unwrap();
    assert_eq!(
        created["redirect_uri"],
        "http://127.0.0.1:8080/t/globex/api/v1/auth/oauth/callback/google"
    );
    let own = "https://callback.acme.test/google";
    let update = json!({ "provider": "google", "set": { "callback_url": own } });
    assert_eq!(
        installation.done("provider_update", update).await["redirect_uri"],
        own
    );
    let shown = installation
        .done("provider_show", json!({ "provider": "google" }))
        .await;
    assert_eq!(shown["redirect_uri"], own);
}

#[tokio::test]
async fn a_provider_that_cannot_work_is_refused() {
    let installation = Installation::with_acme().await;
    for (set, expected) in [
        (json!({ "preset": "google" }), "client_id: is missing"),
        (
            json!({ "preset": "google", "client_id": "us" }),
            "client_secret: is missing; write",
        ),
        (
            json!({ "preset": "nope", "client_id": "us" }),
            "preset: there is no preset `nope`",
        ),
        (
            json!({ "client_id": "us", "isuer": "https://a.example" }),
            "isuer: unknown key; did you mean issuer?",
        ),
        (
            json!({ "preset": "google", "client_id": "us", "client_secret_env": "HOME" }),
            "client_secret_env: is read where the command runs",
        ),
    ] {
        let asked = json!({ "provider": "new", "set": set });
        let (code, message) = installation.refused("provider_create", asked).await;
        assert!(
            code == 5 && message.starts_with(expected),
            "{expected}\nis not\n{message}"
        );
    }
    let bad = json!({ "provider": "Bad Id", "set": { "preset": "google", "client_id": "us", "client_secret": "x" } });
    let (code, message) = installation.refused("provider_create", bad).await;
    assert!(
        code == 5 && message.starts_with("id: a provider's id is"),
        "{message}"
    );
    assert_eq!(
        installation.changes(ACME, json!({})).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn an_api_key_is_made_revoked_and_removed() {
    let installation = Installation::with_acme().await;
    let set = json!({ "tier": "secret", "expires_at": "2100-01-01T00:00:00Z" });
    let create = json!({ "name": "backend", "set": set });
    let created = installation.done("api_key_create", create.clone()).await;
    let key = created["generated"][0]["key"].as_str().unwrap();
    assert!(key.starts_with("ssk_"));
    assert_eq!(installation.refused("api_key_create", create).await.0, 4);

    let list = installation.done("api_key_list", json!({})).await;
    assert_eq!(list[0]["name"], "backend");
    assert_eq!(
        (&list[0]["state"], &list[0]["expires_at"]),
        (&json!("active"), &json!("2100-01-01T00:00:00Z"))
    );
    assert!(!list.to_string().contains(key));

    installation
        .done("api_key_revoke", json!({ "name": "backend" }))
        .await;
    let list = installation.done("api_key_list", json!({})).await;
    assert_eq!(list[0]["state"], "revoked");
    let (code, message) = installation
        .refused("api_key_revoke", json!({ "name": "backend" }))
        .await;
    assert!(
        code == 4 && message.contains("was revoked already"),
        "{message}"
    );
    installation
        .done("api_key_remove", json!({ "name": "backend" }))
        .await;
    for action in ["api_key_revoke", "api_key_remove"] {
        let gone = installation
            .refused(action, json!({ "name": "backend" }))
            .await;
        assert_eq!(gone.0, 3, "{action}");
    }
    for (set, expected) in [
        (json!({}), "tier: is missing"),
        (
            json!({ "tier": "root" }),
            "tier: expected publishable, secret, admin",
        ),
        (
            json!({ "tier": "secret", "expires_at": "soon" }),
            "expires_at: write a time",
        ),
        (
            json!({ "tier": "secret", "key": "pck_acme-browser-0123456789" }),
            "key: begins with `pck_`",
        ),
        (
            json!({ "tier": "publishable", "key": "pck_acme-browser-0123456789" }),
            "key: is the key `browser` too",
        ),
    ] {
        let asked = json!({ "name": "new", "set": set });
        let (code, message) = installation.refused("api_key_create", asked).await;
        assert!(
            code == 5 && message.starts_with(expected),
            "{expected}\nis not\n{message}"
        );
    }
}

#[tokio::test]
async fn an_expired_key_is_shown_as_such() {
    let installation = Installation::with_acme().await;
    let set = json!({ "tier": "admin", "expires_at": "2001-01-01T00:00:00Z" });
    let made = installation
        .done("api_key_create", json!({ "name": "old", "set": set }))
        .await;
    assert_eq!(
        made["warnings"],
        json!(["expires_at: has passed; the key opens nothing"])
    );
    let list = installation.done("api_key_list", json!({})).await;
    assert_eq!(
        (&list[1]["name"], &list[1]["state"]),
        (&json!("old"), &json!("expired"))
    );
}

#[tokio::test]
async fn a_trusted_domain_is_added_and_removed() {
    let installation = Installation::with_acme().await;
    let domain = |text: &str| json!({ "base_url": text });
    installation
        .done("trusted_domain_add", domain("https://*.acme.test/"))
        .await;
    assert_eq!(
        installation.done("trusted_domain_list", json!({})).await,
        json!([{ "base_url": "http://localhost:3000" }, { "base_url": "https://*.acme.test" }])
    );
    let again = installation
        .refused("trusted_domain_add", domain("https://*.acme.test"))
        .await;
    assert_eq!(again.0, 4);
    let (code, message) = installation
        .refused("trusted_domain_add", domain("https://*.test"))
        .await;
    assert!(
        code == 5 && message.starts_with("base_url: a `*` may stand"),
        "{message}"
    );
    installation
        .done("trusted_domain_remove", domain("https://*.acme.test/"))
        .await;
    let gone = installation
        .refused("trusted_domain_remove", domain("https://*.acme.test"))
        .await;
    assert_eq!(gone.0, 3);
    let never = installation
        .refused("trusted_domain_remove", domain("nonsense"))
        .await;
    assert_eq!(never.0, 3);
}

#[tokio::test]
async fn a_tenant_goes_with_its_providers_keys_and_domains() {
    let installation = Installation::with_acme().await;
    let globex = "[[tenant]]\nslug = \"globex\"\n[[tenant.provider]]\nid = \"google\"\npreset = \"google\"\nclient_id = \"us\"\nclient_secret = \"x\"\n[[tenant.api_key]]\nname = \"k\"\ntier = \"secret\"\n[[tenant.trusted_domain]]\nbase_url = \"https://globex.example\"\n";
    for by_file in [false, true] {
        installation.apply(globex).await.unwrap();
        let record = installation.shared.store.any_tenant_by_slug("globex").await;
        let id: TenantId = record.unwrap().unwrap().id;
        if by_file {
            let prune = json!({ "prune": true });
            installation.apply_with("", prune).await.unwrap();
        } else {
            let remove = json!({ "action": "tenant_remove", "tenant": "globex" });
            installation.perform(remove).await.unwrap();
        }
        let left = installation.shared.tenant(id);
        assert!(left.providers().await.unwrap().is_empty());
        assert!(left.api_keys().await.unwrap().is_empty());
        assert!(left.trusted_domains().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_secret_is_rotated_once_when_two_rotate_at_once() {
    let installation = Installation::with_acme().await;
    let rotate = act(
        "client_rotate_secret",
        json!({ "client_id": "acme-web", "rotation": "replace" }),
    );
    let (one, two) = tokio::join!(
        installation.perform(rotate.clone()),
        installation.perform(rotate)
    );
    let secrets = [one.unwrap(), two.unwrap()]
        .map(|answer| SecretDigest::of_client_secret(answer["client_secret"].as_str().unwrap()));
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await;
    let tenant = installation.shared.tenant(tenant.unwrap().unwrap().id);
    let stored = tenant.client("acme-web").await.unwrap().unwrap().secrets;
    assert_eq!(stored.len(), 1);
    let serving = secrets.iter().filter(|digest| digest.matches(&stored[0]));
    assert_eq!(serving.count(), 1);
}

#[tokio::test]
async fn who_comes_second_is_told_what_the_first_did() {
    let installation = Installation::with_acme().await;
    for (action, more, second) in [
        ("api_key_revoke", json!({ "name": "browser" }), 4),
        ("api_key_remove", json!({ "name": "browser" }), 3),
        ("provider_remove", json!({ "provider": "google" }), 3),
        (
            "trusted_domain_remove",
            json!({ "base_url": "http://localhost:3000" }),
            3,
        ),
        ("domain_remove", json!({ "host": "app2.acme.test" }), 3),
        ("client_remove", json!({ "client_id": "acme-docs" }), 3),
        ("scope_remove", json!({ "scope": "docs-user-info" }), 3),
        ("tenant_remove", json!({ "tenant": "globex" }), 3),
    ] {
        let action = act(action, more);
        let (one, two) = tokio::join!(
            installation.perform(action.clone()),
            installation.perform(action.clone())
        );
        let codes: Vec<u8> = [one, two]
            .into_iter()
            .filter_map(Result::err)
            .map(|error| error.code.exit_status())
            .collect();
        assert_eq!(codes, [second], "{action}");
    }
}
