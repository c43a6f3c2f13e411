//! Providers, API keys and trusted domains of a document: reading, comparing, writing.

use super::{ACME, Installation, problems};
use crate::admin::document;
use crate::admin::secrets::{Resolved, resolve};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vestibule_core::identity::api_key::{ApiKey, KeyTier};
use vestibule_core::relying_party::provider::ProviderId;
use vestibule_core::secret::SecretDigest;
use vestibule_store::TenantUnit;
use vestibule_store::providers::ProviderRecord;

const NOTHING: [&str; 0] = [];
const HEAD: &str = "[[tenant]]\nslug = \"default\"\n";
const CORP: &str = "[[tenant.provider]]\nid = \"corp\"\nissuer = \"https://corp.example\"\nclient_id = \"us\"\nclient_secret = \"corp-secret\"\n";
/// A throwaway ES256 key, made for this test.
const APPLE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglMXgriPhbw4YSOpvZF+rMNRwnya5wQjjFNvQGBxCDcyhRANCAATrUBBhz1HlT7cAlH99oHBPZUGIihUVYFx68IHBgzSPlVGkl3YDbWH+6s1Xa5Kp01eSngT0Iu+e08eidkQ6RXRz\n-----END PRIVATE KEY-----";

impl Installation {
    async fn provider(&self, id: &str) -> Option<ProviderRecord> {
        let tenant = self.shared.store.any_tenant_by_slug("default").await;
        let tenant = self.shared.tenant(tenant.unwrap().unwrap().id);
        tenant.provider(&ProviderId::parse(id)?).await.unwrap()
    }

    async fn provider_secret(&self, id: &str) -> Option<String> {
        let tenant = self.shared.store.any_tenant_by_slug("default").await;
        let sealed = self.provider(id).await?.sealed_secret?;
        let id = ProviderId::parse(id).unwrap();
        let root_key = &self.shared.root_key;
        let secret = root_key.open_provider_secret(tenant.unwrap().unwrap().id, &id, &sealed);
        Some(secret.unwrap().reveal().to_owned())
    }

    async fn key(&self, name: &str) -> Option<ApiKey> {
        let tenant = self.shared.store.any_tenant_by_slug("default").await;
        let tenant = self.shared.tenant(tenant.unwrap().unwrap().id);
        tenant.api_key_by_name(name).await.unwrap()
    }
}

fn warnings(result: &Value) -> Vec<&str> {
    let warnings = result["warnings"].as_array().unwrap();
    warnings.iter().filter_map(Value::as_str).collect()
}

fn assert_problem_of_provider(text: &str, expected: &str) {
    let found = problems(&format!("{HEAD}{text}"));
    let expected = format!("tenant[0].provider[0].{expected}");
    assert!(
        found.iter().any(|problem| problem.starts_with(&expected)),
        "{expected}\nin\n{found:?}"
    );
}

#[test]
fn what_is_wrong_with_a_provider_is_named_at_its_place() {
    let provider = "[[tenant.provider]]\nid = \"a\"\nclient_id = \"us\"\n";
    for (text, expected) in [
        (
            "[[tenant.provider]]\nid = \"A b\"\nclient_id = \"us\"\n".to_owned(),
            "id: a provider's id is lower-case",
        ),
        (
            "[[tenant.provider]]\nid = \"a\"\npreset = \"google\"\n".to_owned(),
            "client_id: is missing",
        ),
        (provider.to_owned(), "issuer: write a `preset`, an `issuer`"),
        (
            format!("{provider}preset = \"goggle\"\n"),
            "preset: there is no preset `goggle`",
        ),
        (
            format!("{provider}issuer = \"http://a.example\"\n"),
            "issuer: ",
        ),
        (
            format!(
                "{provider}issuer = \"https://a.example\"\ntoken_url = \"https://a.example/t\"\n"
            ),
            "token_url: the endpoints of an OpenID provider are discovered",
        ),
        (
            format!("{provider}authorization_url = \"https://a.example/a\"\n"),
            "token_url: a plain OAuth 2.0 provider needs",
        ),
        (
            format!("{provider}preset = \"google\"\nmicrosoft_tenant = \"common\"\n"),
            "microsoft_tenant: it is for the preset `microsoft` only",
        ),
        (
            format!("{provider}preset = \"google\"\nemail_trust = \"allways\"\n"),
            "email_trust: expected claim, never, always; did you mean always?",
        ),
        (
            format!(
                "{provider}preset = \"google\"\ntoken_endpoint_auth_method = \"private_key_jwt\"\n"
            ),
            "token_endpoint_auth_method: expected client_secret_post",
        ),
        (
            format!(
                "{provider}preset = \"google\"\n[tenant.provider.mapping]\nemial = \"/mail\"\n"
            ),
            "mapping.emial: unknown key; did you mean email?",
        ),
        (
            format!(
                "{provider}preset = \"google\"\n[tenant.provider.authorization_params]\nprompt = 1\n"
            ),
            "authorization_params.prompt: invalid type",
        ),
    ] {
        assert_problem_of_provider(&text, expected);
    }
    let twice = problems(&format!("{HEAD}{CORP}{CORP}"));
    assert_eq!(twice, ["tenant[0].provider[1].id: `corp` stands twice"]);
}

#[test]
fn what_is_wrong_with_the_secret_of_a_provider_is_named_at_its_place() {
    let provider = "[[tenant.provider]]\nid = \"a\"\nclient_id = \"us\"\n";
    for (text, expected) in [
        (
            format!(
                "{provider}preset = \"google\"\nclient_secret = \"a\"\nclient_secret_env = \"B\"\n"
            ),
            "client_secret_env: the secret is given more than once",
        ),
        (
            format!("{provider}preset = \"google\"\nclient_secret_file = \"X\"\n"),
            "client_secret_file: is read where the command runs",
        ),
        (
            format!("{provider}preset = \"google\"\nclient_secret = \"\"\n"),
            "client_secret: a secret has 1 to 4096 printable ASCII characters",
        ),
        (
            format!("{provider}preset = \"google\"\nclient_secret = \"a\\nb\"\n"),
            "client_secret: a secret has 1 to 4096 printable ASCII characters",
        ),
        (
            format!(
                "{provider}preset = \"google\"\nclient_secret = \"{}\"\n",
                "x".repeat(4097)
            ),
            "client_secret: a secret has 1 to 4096",
        ),
        (
            format!(
                "{provider}issuer = \"https://a.example\"\ntoken_endpoint_auth_method = \"none\"\nclient_secret = \"x\"\n"
            ),
            "client_secret: there is no secret with token_endpoint_auth_method",
        ),
        (
            format!(
                "{provider}preset = \"apple\"\napple_team_id = \"T\"\napple_key_id = \"K\"\nclient_secret = \"not a key\"\n"
            ),
            "client_secret: write the ES256 private key that Apple gave",
        ),
    ] {
        assert_problem_of_provider(&text, expected);
    }
}

#[test]
fn a_problem_with_a_secret_does_not_show_it() {
    let text = format!(
        "{HEAD}[[tenant.provider]]\nid = \"a\"\npreset = \"apple\"\nclient_id = \"us\"\nclient_secret = \"hunter2\"\n[[tenant.api_key]]\nname = \"k\"\ntier = \"secret\"\nkey = \"pck_hunter2\"\n"
    );
    let found = problems(&text);
    assert!(found.len() > 1);
    assert!(!found.join("\n").contains("hunter2"), "{found:?}");
}

#[test]
fn what_is_wrong_with_a_key_is_named_at_its_place() {
    let key = "[[tenant.api_key]]\nname = \"k\"\ntier = \"secret\"\n";
    for (text, expected) in [
        (
            "[[tenant.api_key]]\nname = \"k\"\n".to_owned(),
            "tier: is missing",
        ),
        (
            "[[tenant.api_key]]\ntier = \"admin\"\n".to_owned(),
            "name: is missing",
        ),
        (
            "[[tenant.api_key]]\nname = \" \"\ntier = \"admin\"\n".to_owned(),
            "name: write 1 to 256 characters",
        ),
        (
            "[[tenant.api_key]]\nname = \"k\"\ntier = \"secrte\"\n".to_owned(),
            "tier: expected publishable, secret, admin; did you mean secret?",
        ),
        (format!("{key}key = \"\"\n"), "key: a key has 1 to 512"),
        (
            format!("{key}key = \"two words\"\n"),
            "key: a key has 1 to 512",
        ),
        (
            format!("{key}key = \"{}\"\n", "x".repeat(513)),
            "key: a key has 1 to 512",
        ),
        (
            format!("{key}key = \"pck_0123456789012345678901\"\n"),
            "key: begins with `pck_` as publishable keys do",
        ),
        (
            format!("{key}key = \"sak_0123456789012345678901\"\n"),
            "key: begins with `sak_` as admin keys do",
        ),
        (
            format!("{key}key_file = \"X\"\n"),
            "key_file: is read where the command runs",
        ),
        (
            format!("{key}expires_at = \"tomorrow\"\n"),
            "expires_at: write a time with its offset",
        ),
        (
            format!("{key}expires_at = 2027-01-31\n"),
            "expires_at: write a time with its offset",
        ),
        (
            format!("{key}expires_at = 5\n"),
            "expires_at: expected a text in quotes",
        ),
    ] {
        let found = problems(&format!("{HEAD}{text}"));
        let expected = format!("tenant[0].api_key[0].{expected}");
        assert!(
            found.iter().any(|problem| problem.starts_with(&expected)),
            "{expected}\nin\n{found:?}"
        );
    }
    assert_eq!(
        problems(&format!("{HEAD}{key}{key}")),
        ["tenant[0].api_key[1].name: `k` stands twice"]
    );
    for sound in ["2027-01-31T00:00:00Z", "\"2027-01-31T00:00:00+02:00\""] {
        assert_eq!(
            problems(&format!("{HEAD}{key}expires_at = {sound}\n")),
            NOTHING
        );
    }
}

#[test]
fn t47_a_trusted_domain_that_trusts_too_much_is_refused() {
    for domain in [
        "*",
        "https://*",
        "https://*.com",
        "https://**",
        "http://app.example.com",
        "http://*.example.com",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://user@app.example.com",
        "app.example.com",
        "javascript:alert(1)",
        "https://example.*",
        "https://10.0.0.*",
    ] {
        let text = format!("{HEAD}[[tenant.trusted_domain]]\nbase_url = \"{domain}\"\n");
        let found = problems(&text);
        assert_eq!(found.len(), 1, "{domain}: {found:?}");
        assert!(
            found[0].starts_with("tenant[0].trusted_domain[0].base_url: "),
            "{found:?}"
        );
    }
    let text = format!(
        "{HEAD}[[tenant.trusted_domain]]\nbase_url = \"https://a.example\"\n[[tenant.trusted_domain]]\nbase_url = \"https://a.example/\"\n"
    );
    assert_eq!(
        problems(&text),
        ["tenant[0].trusted_domain[1].base_url: `https://a.example` stands twice"],
        "a slash at the end makes no other place"
    );
}

#[test]
fn relaxations_are_warned_of() {
    let text = format!(
        "{HEAD}[tenant.policy]\nallow_localhost = true\nplain_pkce = true\n{CORP}email_trust = \"always\"\n[[tenant.api_key]]\nname = \"k\"\ntier = \"secret\"\nkey = \"short\"\n[[tenant.api_key]]\nname = \"p\"\ntier = \"publishable\"\nkey = \"short-too\"\n"
    );
    let read = document::read(&text, &BTreeMap::new());
    let places: Vec<&str> = read
        .warnings
        .iter()
        .map(|warning| warning.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "tenant[0].policy.allow_localhost",
            "tenant[0].policy.plain_pkce",
            "tenant[0].provider[0].email_trust",
            "tenant[0].api_key[0].key",
        ]
    );
}

#[test]
fn secrets_of_providers_and_keys_are_read_from_files_where_the_command_runs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "from-a-file\n").unwrap();
    let text = format!(
        "{HEAD}[[tenant.provider]]\nid = \"a\"\nclient_secret_file = \"secret\"\n[[tenant.api_key]]\nname = \"k\"\nkey_file = \"absent\"\n"
    );
    let given = resolve(&document::parse_toml(&text).unwrap(), folder.path());
    assert!(matches!(
        given.get("tenant[0].provider[0].client_secret_file"),
        Some(Resolved::Secret(text)) if text == "from-a-file"
    ));
    assert!(matches!(
        given.get("tenant[0].api_key[0].key_file"),
        Some(Resolved::Problem(_))
    ));
}

#[tokio::test]
async fn t07_the_secret_of_a_provider_is_sealed_and_compared_without_being_sealed_again() {
    let installation = Installation::with_acme().await;
    let secret = "google-secret-0123456789";
    assert_eq!(
        installation.provider_secret("google").await.as_deref(),
        Some(secret)
    );
    let sealed = installation.provider("google").await.unwrap().sealed_secret;
    let clear = sealed
        .as_ref()
        .unwrap()
        .windows(6)
        .any(|window| window == b"google");
    assert!(!clear);
    assert_eq!(installation.changes(ACME, json!({})).await, NOTHING);
    let again = installation.provider("google").await.unwrap().sealed_secret;
    assert_eq!(sealed, again);

    let other = ACME.replace(
        "client_secret_env = \"GOOGLE_SECRET\"",
        "client_secret = \"another\"",
    );
    let result = installation.apply(&other).await.unwrap();
    assert_eq!(
        super::lines(&result),
        ["update provider default/google client_secret"]
    );
    assert!(!result.to_string().contains("another"));
    assert_eq!(
        installation.provider_secret("google").await.as_deref(),
        Some("another")
    );
}

#[tokio::test]
async fn the_secret_of_a_provider_stays_when_none_is_given() {
    let installation = Installation::with_acme().await;
    let text = ACME
        .replace(
            "client_secret_env = \"GOOGLE_SECRET\"",
            "name = \"Goggles\"",
        )
        .replace(
            "preset = \"google\"",
            "preset = \"google\"\nsign_in = false",
        );
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update provider default/google name,sign_in"]
    );
    assert_eq!(
        installation.provider_secret("google").await.as_deref(),
        Some("google-secret-0123456789")
    );
}

#[tokio::test]
async fn a_provider_that_needs_a_secret_is_refused_without_one() {
    let installation = Installation::new().await;
    let bare = CORP.replace("client_secret = \"corp-secret\"\n", "");
    let error = installation
        .apply(&format!("{HEAD}{bare}"))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "tenant[0].provider[0].client_secret: is missing; write client_secret_env, client_secret_file or client_secret"
    );
    let unset = format!("{HEAD}{bare}client_secret_file = \"X\"\n");
    let error = installation.apply(&unset).await.unwrap_err();
    assert!(
        !error.message.contains("is missing"),
        "it is said once: {error}"
    );

    let public = format!("{HEAD}{bare}token_endpoint_auth_method = \"none\"\n");
    assert_eq!(
        installation.changes(&public, json!({})).await,
        [
            "create tenant default/default",
            "create provider default/corp"
        ]
    );
    assert_eq!(
        installation.provider("corp").await.unwrap().sealed_secret,
        None
    );
}

#[tokio::test]
async fn a_secret_that_is_needed_no_more_goes() {
    let installation = Installation::new().await;
    installation.apply(&format!("{HEAD}{CORP}")).await.unwrap();
    let public = CORP.replace(
        "client_secret = \"corp-secret\"",
        "token_endpoint_auth_method = \"none\"",
    );
    let text = format!("{HEAD}{public}");
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update provider default/corp token_endpoint_auth_method,client_secret"]
    );
    assert_eq!(
        installation.provider("corp").await.unwrap().sealed_secret,
        None
    );
    assert_eq!(installation.changes(&text, json!({})).await, NOTHING);
}

#[tokio::test]
async fn a_secret_never_becomes_a_signing_key() {
    let installation = Installation::new().await;
    installation.apply(&format!("{HEAD}{CORP}")).await.unwrap();
    let apple = "[[tenant.provider]]\nid = \"corp\"\npreset = \"apple\"\nclient_id = \"us\"\napple_team_id = \"TEAM\"\napple_key_id = \"KEY\"\n";
    let error = installation
        .apply(&format!("{HEAD}{apple}"))
        .await
        .unwrap_err();
    assert!(
        error.message.starts_with(
            "tenant[0].provider[0].client_secret: is needed: the stored one is of another kind"
        ),
        "{error}"
    );
    let text = format!("{HEAD}{apple}client_secret = '''{APPLE_KEY}'''\n");
    installation.apply(&text).await.unwrap();
    assert_eq!(installation.changes(&text, json!({})).await, NOTHING);
    assert_eq!(
        installation.provider_secret("corp").await.as_deref(),
        Some(APPLE_KEY)
    );
}

#[tokio::test]
async fn a_secret_that_cannot_be_opened_is_another_one() {
    let installation = Installation::new().await;
    let text = format!("{HEAD}{CORP}");
    installation.apply(&text).await.unwrap();
    let record = installation.provider("corp").await.unwrap();
    let tenant = installation
        .shared
        .store
        .any_tenant_by_slug("default")
        .await
        .unwrap()
        .unwrap();
    let now = installation.shared.now();
    let unit = TenantUnit::new(tenant.id).upsert_provider(&record.settings, Some(b"garbage"), now);
    assert!(installation.shared.store.commit(unit).await.unwrap().won());
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update provider default/corp client_secret"]
    );
    assert_eq!(
        installation.provider_secret("corp").await.as_deref(),
        Some("corp-secret")
    );
}

#[tokio::test]
async fn a_key_is_made_and_shown_once() {
    let installation = Installation::new().await;
    for (tier, prefix) in [
        ("publishable", "pck_"),
        ("secret", "ssk_"),
        ("admin", "sak_"),
    ] {
        let text = format!("{HEAD}[[tenant.api_key]]\nname = \"{tier}\"\ntier = \"{tier}\"\n");
        let dry = installation
            .apply_with(&text, json!({ "dry_run": true }))
            .await
            .unwrap();
        assert_eq!(dry["generated"], json!([]));
        let first = installation.apply(&text).await.unwrap();
        let made = &first["generated"][0];
        let key = made["key"].as_str().unwrap();
        assert_eq!(
            (&made["tenant"], &made["api_key"]),
            (&json!("default"), &json!(tier))
        );
        assert!(key.starts_with(prefix) && key.len() == 4 + 43, "{key}");
        let record = installation.key(tier).await.unwrap();
        assert!(record.digest.matches(&SecretDigest::of_client_secret(key)));
        let second = installation.apply(&text).await.unwrap();
        assert_eq!(
            (&second["changes"], &second["generated"]),
            (&json!([]), &json!([]))
        );
    }
}

#[tokio::test]
async fn a_key_is_replaced_and_its_end_moved() {
    let installation = Installation::new().await;
    let key = |key: &str, rest: &str| {
        format!(
            "{HEAD}[[tenant.api_key]]\nname = \"k\"\ntier = \"secret\"\nkey = \"{key}\"\n{rest}"
        )
    };
    installation
        .apply(&key("ssk_one-0123456789012345", ""))
        .await
        .unwrap();
    let first = installation.key("k").await.unwrap();
    let text = key(
        "ssk_one-0123456789012345",
        "expires_at = 2100-01-01T00:00:00Z\n",
    );
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update api_key default/k expires_at"]
    );
    assert_eq!(installation.changes(&text, json!({})).await, NOTHING);
    assert_eq!(installation.key("k").await.unwrap().id, first.id);

    let text = key("ssk_two-0123456789012345", "");
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update api_key default/k key,expires_at"]
    );
    let record = installation.key("k").await.unwrap();
    assert_ne!(record.id, first.id);
    assert!(!record.digest.matches(&first.digest));

    let text = key(
        "ssk_two-0123456789012345",
        "expires_at = 2001-01-01T00:00:00Z\n",
    );
    let result = installation.apply(&text).await.unwrap();
    assert_eq!(
        warnings(&result),
        ["tenant[0].api_key[0].expires_at: has passed; the key opens nothing"]
    );
    assert!(
        !installation
            .key("k")
            .await
            .unwrap()
            .stands(installation.shared.now())
    );
}

#[tokio::test]
async fn a_key_that_stood_in_browsers_never_becomes_a_servers_key() {
    let installation = Installation::new().await;
    let key = |name: &str, tier: &str, key: &str| {
        format!("[[tenant.api_key]]\nname = \"{name}\"\ntier = \"{tier}\"\n{key}")
    };
    let value = "key = \"in-every-browser-0123456789\"\n";
    installation
        .apply(&format!("{HEAD}{}", key("k", "publishable", value)))
        .await
        .unwrap();
    for given in ["", value] {
        let text = format!("{HEAD}{}", key("k", "admin", given));
        let error = installation.apply(&text).await.unwrap_err();
        assert!(
            error.message.starts_with(
                "tenant[0].api_key[0].tier: the key is publishable, and a key keeps its tier"
            ),
            "{error}"
        );
    }
    let text = format!("{HEAD}{}", key("other", "admin", value));
    let error = installation.apply(&text).await.unwrap_err();
    assert_eq!(
        error.message,
        "tenant[0].api_key[0].key: is the key `k` too; one key opens one tier"
    );
    let two = format!(
        "{HEAD}{}{}",
        key("x", "secret", "key = \"same-0123456789012345678\"\n"),
        key("y", "admin", "key = \"same-0123456789012345678\"\n")
    );
    let error = installation.apply(&two).await.unwrap_err();
    assert_eq!(
        error.message,
        "tenant[0].api_key[1].key: is the key `x` too; one key opens one tier"
    );
    assert_eq!(
        installation.key("k").await.unwrap().tier,
        KeyTier::Publishable
    );
    // With another value it is another key.
    let text = format!(
        "{HEAD}{}",
        key("k", "admin", "key = \"sak_another-0123456789012345\"\n")
    );
    assert_eq!(
        installation.changes(&text, json!({})).await,
        ["update api_key default/k key,tier"]
    );
}

#[tokio::test]
async fn two_names_exchange_their_keys() {
    let installation = Installation::new().await;
    let text = |one: &str, two: &str| {
        format!(
            "{HEAD}[[tenant.api_key]]\nname = \"one\"\ntier = \"secret\"\nkey = \"{one}-0123456789012345678\"\n[[tenant.api_key]]\nname = \"two\"\ntier = \"secret\"\nkey = \"{two}-0123456789012345678\"\n"
        )
    };
    installation.apply(&text("a", "b")).await.unwrap();
    assert_eq!(
        installation.changes(&text("b", "a"), json!({})).await,
        [
            "update api_key default/one key",
            "update api_key default/two key"
        ]
    );
    assert_eq!(
        installation.changes(&text("b", "a"), json!({})).await,
        NOTHING
    );
}

#[tokio::test]
async fn a_file_does_not_bring_a_revoked_key_back() {
    let installation = Installation::with_acme().await;
    installation
        .perform(json!({ "action": "api_key_revoke", "tenant": "default", "name": "browser" }))
        .await
        .unwrap();
    let result = installation.apply(ACME).await.unwrap();
    assert_eq!(result["changes"], json!([]));
    assert_eq!(
        warnings(&result),
        [
            "tenant[0].api_key[0]: the key was revoked and stays so; give another `key`, or delete it"
        ]
    );
    assert!(
        installation
            .key("browser")
            .await
            .unwrap()
            .revoked_at
            .is_some()
    );
    let other = ACME.replace(
        "key_env = \"ACME_PUBLISHABLE_KEY\"",
        "key = \"pck_another-key\"",
    );
    assert_eq!(
        installation.changes(&other, json!({})).await,
        ["update api_key default/browser key"]
    );
    assert!(
        installation
            .key("browser")
            .await
            .unwrap()
            .revoked_at
            .is_none()
    );
}

#[tokio::test]
async fn a_tenant_has_so_many_trusted_domains_at_most() {
    let installation = Installation::new().await;
    let domains = |range: std::ops::Range<usize>| {
        let entries: Vec<String> = range
            .map(|index| {
                format!("[[tenant.trusted_domain]]\nbase_url = \"https://a{index}.example\"\n")
            })
            .collect();
        format!("{HEAD}{}", entries.concat())
    };
    installation.apply(&domains(0..200)).await.unwrap();
    let error = installation.apply(&domains(200..201)).await.unwrap_err();
    assert_eq!(
        error.message,
        "tenant[0].trusted_domain: a tenant has 200 of them at most"
    );
    installation
        .apply_with(&domains(200..201), json!({ "prune": true }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_primary_host_is_refused_though_the_first_is_not_named() {
    let installation = Installation::new().await;
    let host = |host: &str, kind: &str| {
        format!("[[tenant.domain]]\nhost = \"{host}\"\nkind = \"{kind}\"\n")
    };
    let head = "[[tenant]]\nslug = \"globex\"\n";
    installation
        .apply(&format!("{head}{}", host("a.example", "primary")))
        .await
        .unwrap();
    let error = installation
        .apply(&format!("{head}{}", host("b.example", "primary")))
        .await
        .unwrap_err();
    assert!(
        error
            .message
            .starts_with("tenant[0].domain[0].kind: the primary host of the tenant is `a.example`"),
        "{error}"
    );
    let both = format!(
        "{head}{}{}",
        host("b.example", "primary"),
        host("a.example", "alias")
    );
    installation.apply(&both).await.unwrap();
}
