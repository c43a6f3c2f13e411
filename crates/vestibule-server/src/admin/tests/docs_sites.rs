//! Docs sites of a document and by commands: reading, comparing, writing.

use super::{ACME, Installation, problems};
use crate::admin::document;
use crate::admin::secrets::resolve;
use serde_json::{Value, json};
use vestibule_store::docs_sites::DocsSiteRecord;

const NOTHING: [&str; 0] = [];
const HEAD: &str = "[[tenant]]\nslug = \"default\"\n";

/// A site that is sound, with lines added.
fn site(name: &str, host: &str, more: &str) -> String {
    format!(
        "[[tenant.docs_site]]\nname = \"{name}\"\nupstream = \"http://127.0.0.1:4000\"\npublic_url = \"https://{host}\"\n\
        authorization_url = \"https://auth.foo.test/authorization\"\nclient_id = \"docs\"\ntoken_url = \"https://auth.foo.test/exchange\"\n{more}"
    )
}

impl Installation {
    async fn site(&self, name: &str) -> Option<DocsSiteRecord> {
        let tenant = self.shared.store.any_tenant_by_slug("default").await;
        let store = self.shared.tenant(tenant.unwrap().unwrap().id);
        let sites = store.docs_sites().await.unwrap();
        sites.into_iter().find(|site| site.settings.name == name)
    }

    async fn site_secret(&self, name: &str) -> Option<String> {
        let tenant = self.shared.store.any_tenant_by_slug("default").await;
        let tenant = tenant.unwrap().unwrap().id;
        let sealed = self.site(name).await?.sealed_secret?;
        let secret = self.shared.root_key.open_docs_secret(tenant, name, &sealed);
        Some(secret.unwrap().reveal().to_owned())
    }

    async fn docs(&self, action: &str, more: Value) -> Result<Value, (u8, String)> {
        let mut value = json!({ "action": action, "tenant": "default" });
        let object = value.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        let result = self.perform(value).await;
        result.map_err(|error| (error.code.exit_status(), error.message))
    }
}

#[test]
fn what_is_wrong_with_a_docs_site_is_named_at_its_place() {
    for (text, expected) in [
        (
            site("a", "a.test", "listen = \"8081\"\n"),
            "docs_site[0].listen: write an address and a port",
        ),
        (
            site("a", "a.test", "visibility = \"privat\"\n"),
            "docs_site[0].visibility: expected personalised, private; did you mean private?",
        ),
        (
            site("a", "a.test", "info_api = \"https://x.test\"\n"),
            "docs_site[0].info_api: unknown key; did you mean info_api_url?",
        ),
        (
            site("a", "a.test", "")
                + &site("b", "b.test", "")
                    .replace("upstream = \"http://127.0.0.1:4000\"", "root = \"site\""),
            "docs_site[1].root: write the whole path of the folder",
        ),
        (
            site(
                "a",
                "a.test",
                "[[tenant.docs_site.rule]]\npath = \"admin\"\n",
            ),
            "docs_site[0].rule: write a path below the site's base",
        ),
        (
            site(
                "a",
                "a.test",
                "[[tenant.docs_site.rule]]\npath = \"/a\"\ngroup = [\"x\"]\n",
            ),
            "docs_site[0].rule[0].group: unknown key; did you mean groups?",
        ),
        (
            site("a", "a.test", "client_secret = \"ü\"\n"),
            "docs_site[0].client_secret: a secret has 1 to",
        ),
        (
            site(
                "a",
                "a.test",
                "client_secret = \"s\"\ntoken_endpoint_auth_method = \"none\"\n",
            ),
            "docs_site[0].client_secret: there is no secret with",
        ),
        (
            site("a", "a.test", "client_secret_env = \"DOCS\"\n"),
            "docs_site[0].client_secret_env: is read where the command runs",
        ),
        (
            site("a", "a.test", "") + &site("a", "b.test", ""),
            "docs_site[1].name: ",
        ),
        (
            site("a", "a.test", "")
                .replace("https://auth.foo.test/exchange", "auth.foo.test/exchange"),
            "docs_site[0].token_url: the scheme is missing; write `https://auth.foo.test/exchange`",
        ),
    ] {
        let found = problems(&format!("{HEAD}{text}"));
        let expected = format!("tenant[0].{expected}");
        assert!(
            found.iter().any(|problem| problem.starts_with(&expected)),
            "{expected}\nin\n{found:?}"
        );
    }
}

#[test]
fn a_folder_is_found_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("site")).unwrap();
    let text = format!("{HEAD}{}", site("a", "a.test", ""))
        .replace("upstream = \"http://127.0.0.1:4000\"", "root = \"./site\"");
    let given = resolve(&document::parse_toml(&text).unwrap(), folder.path());
    let read = document::read(&text, &given);
    assert_eq!(read.problems, []);
    let root = folder.path().canonicalize().unwrap().join("site");
    let named = read.document.tenants[0].docs_sites[0].settings.root.clone();
    assert_eq!(named.as_deref(), root.to_str());

    let missing = text.replace("./site", "./missing");
    let given = resolve(&document::parse_toml(&missing).unwrap(), folder.path());
    let problems = document::read(&missing, &given).problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.place == "tenant[0].docs_site[0].root"
                && problem.text.starts_with("there is no folder")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_docs_site_is_written_once_and_pruned_with_its_readers() {
    let installation = Installation::with_acme().await;
    let record = installation.site("handbook").await.unwrap();
    assert_eq!(record.settings.root.as_deref(), Some("/srv/acme/site"));
    assert_eq!(record.settings.rules.len(), 1);
    assert_eq!(installation.changes(ACME, json!({})).await, NOTHING);
    let private = ACME.replace("visibility = \"personalised\"", "visibility = \"private\"");
    assert_eq!(
        installation.changes(&private, json!({})).await,
        ["update docs_site default/handbook visibility"]
    );
    let (before, rest) = ACME.split_once("[[tenant.docs_site]]").unwrap();
    let (_, after) = rest.split_once("[[tenant]]").unwrap();
    let without = format!("{before}[[tenant]]{after}");
    assert_eq!(installation.changes(&without, json!({})).await, NOTHING);
    assert_eq!(
        installation
            .changes(&without, json!({ "prune": true }))
            .await,
        ["remove docs_site default/handbook"]
    );
    assert_eq!(installation.site("handbook").await, None);
}

#[tokio::test]
async fn a_sites_scripts_never_share_the_origin_of_sign_in_nor_of_another_site() {
    let installation = Installation::with_acme().await;
    for (text, expected) in [
        (
            site("b", "app2.acme.test/docs", ""),
            "people sign in at `app2.acme.test`",
        ),
        (
            site("b", "127.0.0.1:8080", "").replace("https://127", "http://127"),
            "people sign in at `127.0.0.1:8080`",
        ),
        (
            site("b", "docs.acme.test/other", ""),
            "another docs site is served at `docs.acme.test`",
        ),
    ] {
        let error = installation
            .apply(&format!("{HEAD}{text}"))
            .await
            .unwrap_err();
        assert!(
            error.message.contains("tenant[0].docs_site[0].public_url")
                && error.message.contains(expected),
            "{}",
            error.message
        );
    }
    assert_eq!(installation.site("b").await, None);
}

#[tokio::test]
async fn the_secret_of_a_sites_client_is_sealed_kept_and_replaced() {
    let installation = Installation::with_acme().await;
    let with = |secret: &str| format!("{HEAD}{}", site("b", "b.test", secret));
    let change = |line: &str| vec![format!("{line} docs_site default/b")];
    installation
        .apply(&with("client_secret = \"first\"\n"))
        .await
        .unwrap();
    assert_eq!(
        installation.site_secret("b").await.as_deref(),
        Some("first")
    );
    let sealed = installation.site("b").await.unwrap().sealed_secret.unwrap();
    assert!(!sealed.windows(5).any(|window| window == b"first"));
    assert_eq!(
        installation
            .changes(&with("client_secret = \"first\"\n"), json!({}))
            .await,
        NOTHING
    );
    // What is not named stays, as with clients and providers.
    assert_eq!(installation.changes(&with(""), json!({})).await, NOTHING);
    let changed = installation
        .changes(&with("client_secret = \"second\"\n"), json!({}))
        .await;
    assert_eq!(changed, [format!("{} client_secret", change("update")[0])]);
    assert_eq!(
        installation.site_secret("b").await.as_deref(),
        Some("second")
    );
    let public = installation
        .changes(&with("token_endpoint_auth_method = \"none\"\n"), json!({}))
        .await;
    assert_eq!(
        public,
        [format!(
            "{} token_endpoint_auth_method,client_secret",
            change("update")[0]
        )]
    );
    assert_eq!(installation.site_secret("b").await, None);
    let error = installation
        .apply(&with(
            "token_endpoint_auth_method = \"client_secret_basic\"\n",
        ))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("client_secret: is missing"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_docs_site_is_made_shown_changed_and_removed_by_commands() {
    let installation = Installation::with_acme().await;
    let set = json!({
        "upstream": "http://127.0.0.1:4000", "public_url": "https://b.test/docs", "client_id": "docs", "client_secret": "hidden-secret",
        "authorization_url": "https://auth.foo.test/a", "token_url": "https://auth.foo.test/t",
    });
    let named = |set: &Value| json!({ "name": "b", "set": set });
    let made = installation
        .docs("docs_site_create", named(&set))
        .await
        .unwrap();
    assert_eq!(
        made["redirect_uri"],
        "https://b.test/docs/_handshake/callback"
    );
    let again = installation.docs("docs_site_create", named(&set)).await;
    assert_eq!(again.unwrap_err().0, 4);
    let shown = installation
        .docs("docs_site_show", json!({ "name": "b" }))
        .await
        .unwrap();
    assert_eq!(shown["has_secret"], true);
    assert_eq!(shown["session_lifetime"], "14d");
    assert!(!shown.to_string().contains("hidden-secret"));
    let list = installation
        .docs("docs_site_list", json!({}))
        .await
        .unwrap();
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|site| &site["name"])
        .collect();
    assert_eq!(names, ["b", "handbook"]);
    let change =
        json!({ "extra_authorization_params": { "audience": "docs" }, "visibility": "private" });
    installation
        .docs("docs_site_update", named(&change))
        .await
        .unwrap();
    let settings = installation.site("b").await.unwrap().settings;
    assert_eq!(settings.extra_authorization_params["audience"], "docs");
    assert_eq!(
        installation.site_secret("b").await.as_deref(),
        Some("hidden-secret")
    );
    let (code, message) = installation
        .docs(
            "docs_site_update",
            named(&json!({ "token_url": "nowhere" })),
        )
        .await
        .unwrap_err();
    assert!(code == 5 && message.starts_with("token_url: "), "{message}");
    for (action, more) in [
        ("docs_site_show", json!({ "name": "x" })),
        ("docs_site_update", json!({ "name": "x", "set": {} })),
        ("docs_site_remove", json!({ "name": "x" })),
    ] {
        let (code, message) = installation.docs(action, more).await.unwrap_err();
        assert!(
            code == 3 && message.contains("there is no docs site `x`"),
            "{message}"
        );
    }
    installation
        .docs("docs_site_remove", json!({ "name": "b" }))
        .await
        .unwrap();
    assert_eq!(installation.site("b").await, None);
}
