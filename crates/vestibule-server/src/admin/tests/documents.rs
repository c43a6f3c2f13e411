//! Reading documents.

use super::{ACME, Installation, problems};
use crate::admin::document;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn the_published_schema_is_the_one_that_is_checked() {
    let published: Value =
        serde_json::from_str(include_str!("../../../../../docs/installation.schema.json")).unwrap();
    assert_eq!(
        published,
        document::schema(),
        "write it again: vestibule schema > docs/installation.schema.json"
    );
}

#[test]
fn the_reference_installation_is_sound() {
    assert_eq!(problems(ACME), Vec::<String>::new());
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_known_one() {
    let head = "[[tenant]]\nslug = \"default\"\n";
    let client =
        "[[tenant.client]]\nclient_id = \"a\"\nredirect_uris = [\"https://a.example/cb\"]\n";
    let user = "[[tenant.user]]\nusername = \"ada\"\n";
    for (text, expected) in [
        (
            "[[tenants]]\nslug = \"default\"\n".to_owned(),
            "tenants: unknown key; did you mean tenant?",
        ),
        (
            format!("{head}nam = \"x\"\n"),
            "tenant[0].nam: unknown key; did you mean name?",
        ),
        (
            format!("{head}[tenant.policy]\nsignup = \"open\"\n"),
            "tenant[0].policy.signup: unknown key; did you mean sign_up?",
        ),
        (
            format!("{head}{client}redirect_uri = []\n"),
            "tenant[0].client[0].redirect_uri: unknown key; did you mean redirect_uris?",
        ),
        (
            format!("{head}{client}client_secret_evn = \"A\"\n"),
            "tenant[0].client[0].client_secret_evn: unknown key; did you mean client_secret_env?",
        ),
        (
            format!("{head}{client}[tenant.client.policy]\nconsnt = \"always\"\n"),
            "tenant[0].client[0].policy.consnt: unknown key; did you mean consent?",
        ),
        (
            format!("{head}{user}famly_name = \"L\"\n"),
            "tenant[0].user[0].famly_name: unknown key; did you mean family_name?",
        ),
        (
            format!("{head}{user}[tenant.user.address]\ncity = \"L\"\n"),
            "tenant[0].user[0].address.city: unknown key; did you mean country?",
        ),
        (
            format!(
                "{head}[[tenant.provider]]\nid = \"a\"\nclient_id = \"x\"\nissuer = \"https://a.example\"\nisuer = 1\n"
            ),
            "tenant[0].provider[0].isuer: unknown key; did you mean issuer?",
        ),
        (
            format!("{head}[[tenant.api_key]]\nname = \"a\"\ntier = \"secret\"\nkey_evn = \"A\"\n"),
            "tenant[0].api_key[0].key_evn: unknown key; did you mean key_env?",
        ),
        (
            format!(
                "{head}[[tenant.trusted_domain]]\nbase_url = \"https://a.example\"\nurl = \"x\"\n"
            ),
            "tenant[0].trusted_domain[0].url: unknown key; did you mean base_url?",
        ),
        (
            format!(
                "{head}[[tenant.scope]]\nname = \"a\"\ndescription = \"A\"\nkonsent = \"ask\"\n"
            ),
            "tenant[0].scope[0].konsent: unknown key; did you mean consent?",
        ),
    ] {
        assert_eq!(problems(&text), [expected], "{text}");
    }
}

#[test]
fn every_problem_is_reported_at_once_with_its_place() {
    let text = r#"
        colour = "red"
        [[tenant]]
        slug = "Bad Slug"
        id = "not-an-id"
        groups = ["ok", 5]
        [tenant.policy]
        sign_up = "opne"
        session_lifetime = "14"
        [[tenant.domain]]
        host = "UPPER.example"
        kind = "primray"
        [[tenant.scope]]
        name = "openid"
        description = "Mine"
        [[tenant.scope]]
        description = "No name"
        [[tenant.client]]
        client_id = "a"
        client_secret = "one-secret-of-many-letters"
        client_secret_hash = "short"
        token_endpoint_auth_method = "nonne"
        [[tenant.client]]
        redirect_uris = "https://a.example/cb"
        [[tenant.client]]
        client_id = "b"
        token_endpoint_auth_method = "none"
        client_secret = "one-secret-of-many-letters"
        id_token_signed_response_alg = "none"
        [tenant.client.policy]
        access_token_lifetime = "10"
        [[tenant.user]]
        username = "-"
        email = "nobody"
        email_verified = "yes"
        password = ""
        [[tenant.user]]
        username = "ada"
        password = "correct horse"
        password_hash = "$2b$12$x"
        [[tenant.user]]
        username = "ADA"
    "#;
    let found = problems(text);
    for expected in [
        "colour: unknown key; did you mean tenant?",
        "tenant[0].slug: write 1 to 63 lower-case letters",
        "tenant[0].id: an id is a lower-case UUID",
        "tenant[0].groups[1]: expected a text in quotes",
        "tenant[0].policy.sign_up: expected open, invited, closed; did you mean open?",
        "tenant[0].policy.session_lifetime: a span of time is a whole number and a unit",
        "tenant[0].domain[0].kind: expected primary, alias, satellite; did you mean primary?",
        "tenant[0].scope[0].name: is a scope that every tenant has",
        "tenant[0].scope[1].name: is missing",
        "tenant[0].client[0].client_secret_hash: write the SHA-256",
        "tenant[0].client[0].token_endpoint_auth_method: expected client_secret_basic, client_secret_post, none",
        "tenant[0].client[1].client_id: is missing",
        "tenant[0].client[1].redirect_uris: expected a list",
        "tenant[0].client[2].id_token_signed_response_alg: unknown variant",
        "tenant[0].client[2].policy.access_token_lifetime: a span of time",
        "tenant[0].user[0].username: A user name has",
        "tenant[0].user[0].email: Enter an email address",
        "tenant[0].user[0].email_verified: expected true or false",
        "tenant[0].user[0].password: Type a password.",
        "tenant[0].user[1].password_hash: write an Argon2id hash",
        "tenant[0].user[1].password_hash: the password is given more than once",
        "tenant[0].user[2].username: `ada` stands twice",
    ] {
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{expected}\nin\n{}",
            found.join("\n")
        );
    }
}

#[test]
fn what_stands_twice_is_named() {
    let text = r#"
        [[tenant]]
        slug = "default"
        [[tenant.client]]
        client_id = "a"
        [[tenant.client]]
        client_id = "a"
        [[tenant.domain]]
        host = "a.example"
        kind = "alias"
        [[tenant]]
        slug = "default"
        [[tenant.domain]]
        host = "a.example"
        kind = "alias"
    "#;
    assert_eq!(
        problems(text),
        [
            "tenant[0].client[1].client_id: `a` stands twice",
            "tenant[1].domain[0].host: `a.example` stands twice",
            "tenant[1].slug: `default` stands twice",
        ]
    );
}

#[test]
fn text_that_is_no_toml_is_named_by_its_line_and_not_shown() {
    let found = problems("[[tenant]]\nslug = \"default\"\nsecret = \"hunter2\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("line 3: ") && !found[0].contains("hunter2"),
        "{}",
        found[0]
    );
}

#[test]
fn a_secret_that_could_not_be_read_is_a_problem_at_its_place() {
    let read = document::read(ACME, &BTreeMap::new());
    let places: Vec<&str> = read
        .problems
        .iter()
        .map(|problem| problem.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "tenant[0].client[0].client_secret_env",
            "tenant[0].user[0].password_env",
            "tenant[0].provider[0].client_secret_env",
            "tenant[0].api_key[0].key_env",
            "tenant[0].docs_site[0].root",
        ]
    );
}

#[tokio::test]
async fn a_document_with_problems_writes_nothing() {
    let installation = Installation::new().await;
    let error = installation
        .apply(&format!("{ACME}colour = 1\n"))
        .await
        .unwrap_err();
    assert_eq!(
        error.message,
        "tenant[1].colour: unknown key; did you mean policy?"
    );
    assert_eq!(error.code.exit_status(), 5);
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
