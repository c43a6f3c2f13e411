//! What docs sites are told and endpoint aliases, as an operator writes them.

use super::{ACME, Installation, lines, problems};
use crate::admin::document;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HEAD: &str = "[[tenant]]\nslug = \"default\"\n";

#[test]
fn a_docs_profile_names_each_problem_with_its_place() {
    for (text, expected) in [
        (
            "[tenant.docs_profile.content]\nfirstName = \"given_nam\"\n",
            "tenant[0].docs_profile.content.firstName: `given_nam` is nothing that is known of a person; did you mean given_name?",
        ),
        (
            "[tenant.docs_profile]\ncontents = {}\n",
            "tenant[0].docs_profile.contents: unknown key; did you mean content?",
        ),
        (
            "[tenant.docs_profile.playground]\nheaders = {}\n",
            "tenant[0].docs_profile.playground.headers: unknown key; did you mean header?",
        ),
        (
            "[tenant.docs_profile.playground]\nheader.X-Key = \"private_metadata\"\n",
            "tenant[0].docs_profile.playground.header.X-Key: name one member",
        ),
        (
            "[tenant.docs_profile]\nexpires_in = \"1y\"\n",
            "tenant[0].docs_profile.expires_in: ",
        ),
        (
            "[tenant.docs_profile]\nexpires_in = \"31d\"\n",
            "tenant[0].docs_profile.expires_in: write a span from 1m to 30d",
        ),
        (
            "[tenant.docs_profile]\nshared_session_origins = [\"http://docs.acme.test\"]\n",
            "tenant[0].docs_profile.shared_session_origins[0]: ",
        ),
        (
            "[tenant.docs_profile.content]\nfirstName = 1\n",
            "tenant[0].docs_profile.content.firstName: ",
        ),
        (
            "[tenant.policy]\ndocs_scope = \"openid\"\n",
            "tenant[0].policy.docs_scope: is a scope that every tenant has",
        ),
        (
            "[tenant.policy]\ndocs_scope = \"a b\"\n",
            "tenant[0].policy.docs_scope: write 1 to 128",
        ),
        (
            "[tenant.endpoint_aliases]\ntoken = \"/oauth/exchange\"\n",
            "tenant[0].endpoint_aliases.token: begins with /oauth",
        ),
        (
            "[tenant.endpoint_aliases]\ntoken = \"/a\"\nlogout = \"/a\"\n",
            "tenant[0].endpoint_aliases.logout: is the alias of another endpoint",
        ),
        (
            "[tenant.endpoint_aliases]\ntokens = \"/a\"\n",
            "tenant[0].endpoint_aliases.tokens: unknown key; did you mean token?",
        ),
    ] {
        let found = problems(&format!("{HEAD}{text}"));
        assert!(
            found.len() == 1 && found[0].starts_with(expected),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn who_shares_the_session_is_warned_of() {
    let text = format!(
        "{HEAD}[tenant.docs_profile]\nshared_session_origins = [\"http://127.0.0.1:3000\"]\n"
    );
    let read = document::read(&text, &BTreeMap::new());
    assert_eq!(
        (read.problems.len(), read.warnings[0].place.as_str()),
        (0, "tenant[0].docs_profile.shared_session_origins")
    );
}

async fn refusal(installation: &Installation, text: &str) -> String {
    installation.apply(text).await.unwrap_err().message
}

#[tokio::test]
async fn t48_an_origin_of_another_site_than_the_issuer_is_refused() {
    let installation = Installation::new().await;
    let tenant = |slug: &str, domain: &str, origin: &str| {
        format!(
            "[[tenant]]\nslug = \"{slug}\"\n[tenant.docs_profile]\nshared_session_origins = [\"{origin}\"]\n{domain}"
        )
    };
    let own = "[[tenant.domain]]\nhost = \"id.acme.test\"\nkind = \"primary\"\n";
    let alias = "[[tenant.domain]]\nhost = \"id.acme.test\"\nkind = \"alias\"\n";
    for (slug, domain, origin) in [
        ("default", "", "https://docs.acme.test"),
        ("default", alias, "https://docs.acme.test"),
        ("globex", "", "http://localhost:3000"),
        ("globex", own, "http://127.0.0.1:3000"),
        ("globex", own, "https://docs.evil.test"),
    ] {
        let text = tenant(slug, domain, origin);
        let refusal = refusal(&installation, &text).await;
        assert!(
            refusal.contains("shared_session_origins[0]: is of another site"),
            "{text}: {refusal}"
        );
    }
    for (slug, domain, origin) in [
        ("default", "", "http://127.0.0.1:3000"),
        ("globex", own, "https://docs.acme.test"),
        // The stored primary host counts where the file names none.
        ("globex", "", "https://help.acme.test"),
    ] {
        installation
            .apply(&tenant(slug, domain, origin))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_docs_profile_stays_until_it_is_named_and_a_second_time_changes_nothing() {
    let installation = Installation::with_acme().await;
    let text = ACME.replacen(
        "[[tenant.domain]]",
        "[tenant.docs_profile]\nexpires_in = \"1h\"\n[tenant.docs_profile.content]\nplan = \"public_metadata.plan\"\n\
         [tenant.endpoint_aliases]\ntoken = \"/exchange\"\n[[tenant.domain]]",
        1,
    );
    assert_eq!(
        installation.changes(&text, json!({})).await,
        [
            "update tenant default/default docs_profile.content,docs_profile.expires_in,endpoint_aliases.token"
        ]
    );
    for text in [text.as_str(), ACME] {
        assert_eq!(
            installation.changes(text, json!({})).await,
            Vec::<String>::new()
        );
    }
    let shown = installation
        .perform(json!({ "action": "tenant_show", "tenant": "default" }))
        .await
        .unwrap();
    assert_eq!(
        (&shown["docs_profile"], &shown["endpoint_aliases"]),
        (
            &json!({ "content": { "plan": "public_metadata.plan" }, "expires_in": "1h" }),
            &json!({ "token": "/exchange" })
        )
    );
}

#[tokio::test]
async fn an_update_puts_entries_one_by_one() {
    let installation = Installation::with_acme().await;
    let update = async |set: Value| {
        let action = json!({ "action": "tenant_update", "tenant": "default", "set": set });
        installation.perform(action).await
    };
    let set = json!({ "docs_profile": { "content": { "plan": "public_metadata.plan", "first": "given_name" }, "playground": { "header": { "X-Key": "private_metadata.key" } } },
        "endpoint_aliases": { "token": "/exchange", "userinfo": "/me" } });
    update(set).await.unwrap();
    let set = json!({ "docs_profile": { "content": { "first": null, "mail": "email" }, "playground": { "query": { "key": "private_metadata.key" } } },
        "endpoint_aliases": { "userinfo": null } });
    let changes = lines(&update(set).await.unwrap());
    assert_eq!(
        changes,
        [
            "update tenant default/default docs_profile.content,docs_profile.playground,endpoint_aliases.userinfo"
        ]
    );
    let shown = installation
        .perform(json!({ "action": "tenant_show", "tenant": "default" }))
        .await
        .unwrap();
    assert_eq!(
        shown["docs_profile"],
        json!({ "content": { "mail": "email", "plan": "public_metadata.plan" },
            "playground": { "header": { "X-Key": "private_metadata.key" }, "query": { "key": "private_metadata.key" } } })
    );
    let error = update(json!({ "docs_profile": { "content": { "a": "nothing" } } }))
        .await
        .unwrap_err();
    assert!(
        error.message.contains("docs_profile.content.a: "),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn the_docs_scope_takes_another_name_when_no_client_has_the_old_one() {
    let installation = Installation::new().await;
    let client = "[[tenant.client]]\nclient_id = \"docs\"\nredirect_uris = [\"https://a.example/cb\"]\ntoken_endpoint_auth_method = \"none\"\n";
    let before = format!("{HEAD}{client}scope = \"docs-user-info\"\n");
    installation.apply(&before).await.unwrap();
    let renamed = format!("{HEAD}[tenant.policy]\ndocs_scope = \"reader\"\n");
    let found = refusal(&installation, &renamed).await;
    assert!(
        found.contains("tenant[0].policy.docs_scope: clients have the scope `docs-user-info`")
            && found.contains("docs"),
        "{found}"
    );
    // The client may come along, or the old scope stay as one of the tenant's own.
    let described = format!(
        "{renamed}[[tenant.scope]]\nname = \"docs-user-info\"\ndescription = \"The old one\"\n"
    );
    installation
        .apply_with(&described, json!({ "dry_run": true }))
        .await
        .unwrap();
    let along = format!("{renamed}{client}scope = \"reader\"\n");
    installation.apply(&along).await.unwrap();
    let back = format!("{HEAD}{client}scope = \"docs-user-info\"\n");
    let found = refusal(&installation, &back).await;
    assert!(found.contains("is not a scope of this tenant"), "{found}");
}

#[tokio::test]
async fn a_default_scope_is_within_the_clients_scope() {
    let installation = Installation::new().await;
    let client = |default: &str| {
        format!(
            "{HEAD}[[tenant.client]]\nclient_id = \"docs\"\nredirect_uris = [\"https://a.example/cb\"]\ntoken_endpoint_auth_method = \"none\"\n\
             scope = \"openid docs-user-info\"\ndefault_scope = \"{default}\"\n"
        )
    };
    for bad in ["profile", "openid  x", "docs-user-info reports"] {
        let found = refusal(&installation, &client(bad)).await;
        assert!(found.contains("client[0].default_scope: "), "{found}");
    }
    installation.apply(&client("docs-user-info")).await.unwrap();
}
