//! Tests of the command line.

use super::args::{self, Cli};
use super::flags;
use super::print::{Look, human};
use crate::admin::actions::{Action, ErrorCode, Rotation};
use clap::FromArgMatches as _;
use serde_json::{Value, json};

fn action(words: &[&str]) -> Result<Action, ErrorCode> {
    let words = std::iter::once("vestibule").chain(words.iter().copied());
    let matches = args::command().try_get_matches_from(words).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
    flags::action(cli.command)
        .map(|(action, _)| action)
        .map_err(|error| error.code)
}

fn as_json(words: &[&str]) -> Value {
    serde_json::to_value(action(words).unwrap_or_else(|code| panic!("{code:?}"))).unwrap()
}

#[test]
fn the_command_line_is_consistent() {
    args::command().debug_assert();
}

#[test]
fn flags_become_the_keys_of_the_installation_file() {
    assert_eq!(
        as_json(&[
            "client",
            "create",
            "shop",
            "--redirect-uri",
            "https://a.example/cb",
            "--public",
            "--set",
            "policy.pkce=public_clients",
            "--set",
            "default_max_age=60"
        ]),
        json!({ "action": "client_create", "tenant": "default", "client_id": "shop", "set": {
            "redirect_uris": ["https://a.example/cb"], "token_endpoint_auth_method": "none", "policy": { "pkce": "public_clients" }, "default_max_age": 60
        } })
    );
    assert_eq!(
        as_json(&[
            "tenant",
            "update",
            "globex",
            "--sign-up",
            "open",
            "--group",
            "a",
            "--group",
            "b"
        ]),
        json!({ "action": "tenant_update", "tenant": "globex", "set": { "groups": ["a", "b"], "policy": { "sign_up": "open" } } })
    );
    assert_eq!(
        as_json(&[
            "tenant",
            "update",
            "default",
            "--docs-scope",
            "reader",
            "--docs-content",
            "plan=public_metadata.plan",
            "--docs-content",
            "first=",
            "--docs-input",
            "header.X-Api.Key=private_metadata.a=b",
            "--docs-group",
            "beta",
            "--docs-expires-in",
            "1h",
            "--shared-session-origin",
            "https://docs.acme.test",
            "--endpoint-alias",
            "token=/exchange",
            "--endpoint-alias",
            "logout="
        ]),
        json!({ "action": "tenant_update", "tenant": "default", "set": {
            "policy": { "docs_scope": "reader" },
            "docs_profile": { "content": { "plan": "public_metadata.plan", "first": null }, "playground": { "header": { "X-Api.Key": "private_metadata.a=b" } },
                "groups": ["beta"], "expires_in": "1h", "shared_session_origins": ["https://docs.acme.test"] },
            "endpoint_aliases": { "token": "/exchange", "logout": null }
        } })
    );
    for flag in ["--docs-content", "--docs-input", "--endpoint-alias"] {
        assert!(matches!(
            action(&["tenant", "update", "default", flag, "nothing"]),
            Err(ErrorCode::Usage)
        ));
    }
    assert_eq!(
        as_json(&[
            "user",
            "update",
            "ada",
            "--tenant",
            "globex",
            "--set",
            "nickname="
        ]),
        json!({ "action": "user_update", "tenant": "globex", "user": "ada", "set": { "nickname": "" } })
    );
    assert!(matches!(
        action(&["client", "rotate-secret", "shop", "--keep-old"]),
        Ok(Action::ClientRotateSecret {
            rotation: Rotation::KeepOld,
            ..
        })
    ));
}

#[test]
fn flags_of_the_broker_become_the_keys_of_the_installation_file() {
    let words = "provider create corp --issuer https://corp.example --client-id 42 --scope a --scope b --name Corp --email-trust never --set mapping.email=/mail --set sign_in=false";
    assert_eq!(
        as_json(&words.split(' ').collect::<Vec<_>>()),
        json!({ "action": "provider_create", "tenant": "default", "provider": "corp", "set": {
            "issuer": "https://corp.example", "client_id": "42", "scopes": ["a", "b"], "name": "Corp", "email_trust": "never",
            "mapping": { "email": "/mail" }, "sign_in": false
        } })
    );
    let words =
        "api-key create backend --tier secret --expires-at 2027-01-31T00:00:00Z --tenant globex";
    assert_eq!(
        as_json(&words.split(' ').collect::<Vec<_>>()),
        json!({ "action": "api_key_create", "tenant": "globex", "name": "backend", "set": { "tier": "secret", "expires_at": "2027-01-31T00:00:00Z" } })
    );
    assert_eq!(
        as_json(&["trusted-domain", "add", "https://*.a.example"]),
        json!({ "action": "trusted_domain_add", "tenant": "default", "base_url": "https://*.a.example" })
    );
    assert_eq!(
        as_json(&["domain", "add", "b.example", "--kind", "alias"]),
        json!({ "action": "domain_add", "tenant": "default", "host": "b.example", "kind": "alias" })
    );
    assert_eq!(
        as_json(&["scope", "update", "a", "--consent", "implied"]),
        json!({ "action": "scope_update", "tenant": "default", "scope": "a", "set": { "consent": "implied" } })
    );
}

#[test]
fn a_secret_is_read_where_the_command_runs_or_the_command_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "from-a-file\n").unwrap();
    let path = path.to_str().unwrap();
    for (words, key) in [
        (
            vec!["provider", "update", "a", "--secret-file", path],
            "client_secret",
        ),
        (
            vec![
                "api-key",
                "create",
                "a",
                "--tier",
                "admin",
                "--from-file",
                path,
            ],
            "key",
        ),
    ] {
        assert_eq!(as_json(&words)["set"][key], "from-a-file");
    }
    for words in [
        [
            "provider",
            "update",
            "a",
            "--secret-file",
            "/nowhere/at/all",
        ],
        [
            "provider",
            "update",
            "a",
            "--secret-env",
            "VESTIBULE_TEST_UNSET",
        ],
    ] {
        assert_eq!(action(&words).err(), Some(ErrorCode::Usage), "{words:?}");
    }
    for words in [
        "provider create",
        "provider update a --secret-env A --secret-file B",
        "api-key create a",
        "api-key create a --tier secret --from-env A --from-file B",
        "domain add a.example",
        "trusted-domain add",
        "provider create a --from-env A",
    ] {
        let words = std::iter::once("vestibule").chain(words.split(' '));
        assert!(args::command().try_get_matches_from(words).is_err());
    }
}

#[test]
fn what_cannot_be_undone_needs_a_yes() {
    for words in [
        ["tenant", "delete", "a"],
        ["client", "delete", "a"],
        ["user", "delete", "a"],
        ["scope", "delete", "a"],
        ["provider", "delete", "a"],
        ["api-key", "revoke", "a"],
        ["api-key", "delete", "a"],
    ] {
        assert_eq!(action(&words).err(), Some(ErrorCode::Usage), "{words:?}");
        assert!(
            action(&[words.as_slice(), &["--yes"]].concat()).is_ok(),
            "{words:?}"
        );
    }
}

#[test]
fn every_command_on_records_takes_the_settings_that_say_where_they_are() {
    for words in [
        vec!["user", "list"],
        vec!["domain", "list"],
        vec!["scope", "list"],
        vec!["provider", "show", "google"],
        vec!["api-key", "list"],
        vec!["trusted-domain", "add", "https://a.example"],
        vec!["apply", "x.toml"],
        vec!["setup-link"],
        vec!["serve"],
        vec!["config", "check"],
    ] {
        let words = ["vestibule"]
            .iter()
            .chain(&words)
            .chain(&["--data", "folder"]);
        let matches = args::command().try_get_matches_from(words).unwrap();
        assert_eq!(
            args::leaf(&matches)
                .get_one::<String>("data")
                .map(String::as_str),
            Some("folder")
        );
    }
}

#[test]
fn a_table_is_aligned_and_moves_no_cursor() {
    let rows = json!([{ "username": "ada", "name": "Ada\u{1b}[2J" }, { "username": "margaret", "name": null }]);
    let text = human(&rows, Look::Table(&["username", "name"]));
    assert_eq!(
        text,
        "username  name\nada       Ada\u{fffd}[2J\nmargaret  -\n"
    );
}

#[test]
fn a_report_names_changes_and_shows_made_secrets() {
    let applied = json!({
        "written": true,
        "changes": [{ "action": "update", "kind": "client", "tenant": "default", "name": "shop", "fields": ["scope"] }],
        "warnings": ["policy.pkce: weak"],
        "generated": [
            { "tenant": "default", "client_id": "shop", "client_secret": "abc" },
            { "tenant": "default", "api_key": "backend", "key": "ssk_def" },
        ],
        "redirect_uri": "https://id.example/callback",
    });
    assert_eq!(
        human(&applied, Look::Report),
        "! policy.pkce: weak\n~ client default/shop (scope)\nThe secret of the client shop, shown this once: abc\nThe API key backend, shown this once: ssk_def\nThe redirect URI to register there: https://id.example/callback\n1 change was written.\n"
    );
}

#[test]
fn a_docs_site_is_checked_by_its_name() {
    assert_eq!(
        as_json(&["docs", "check", "handbook", "--tenant", "globex"]),
        json!({ "action": "docs_check", "tenant": "globex", "site": "handbook" })
    );
    let report = json!({
        "site": "handbook", "works": false, "sign_in_at": "https://docs.acme.test/_handshake/check?ticket=t",
        "steps": [
            { "step": "cors", "verdict": "note", "said": "No CORS is needed." },
            { "step": "token_url", "verdict": "bad", "said": "It gave no answer.\u{1b}[2J", "detail": "http://127.0.0.1:1: refused" },
        ],
    });
    assert_eq!(
        human(&report, Look::Steps),
        "note  cors               No CORS is needed.\n\
         bad   token_url          It gave no answer.\u{fffd}[2J\n\
         \x20                        (http://127.0.0.1:1: refused)\n\
         \n\
         To sign in for real and see what comes, open this within ten minutes:\n\
         https://docs.acme.test/_handshake/check?ticket=t\n"
    );
}
