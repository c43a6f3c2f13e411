//! The nearest OAuth server is our own: a docs site of one tenant whose readers sign in at the same server, over the wire.

use crate::support::app::{App, START, from_settings_on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::INSTALLATION;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use tokio::net::TcpListener;

from_settings_on_both_engines! {
    readers_sign_in_at_our_own_server,
    a_redirect_uri_that_is_not_registered_with_us_is_named,
}

const HOST: &str = "docs.acme.test";

fn installation(redirect_uri: &str) -> String {
    let client = format!(
        "[[tenant.client]]\nclient_id = \"handbook\"\nredirect_uris = [\"{redirect_uri}\"]\n\
         token_endpoint_auth_method = \"none\"\nscope = \"openid profile\"\n\n[[tenant.client]]"
    );
    INSTALLATION.replacen("[[tenant.client]]", &client, 1)
}

/// A server that can be reached, with a docs site whose readers it knows.
async fn with_site(
    settings: &[(String, String)],
    redirect_uri: &str,
    test: impl AsyncFnOnce(&App, &str),
) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let changed = [
        ("PUBLIC_URL", base.as_str()),
        ("OUTBOUND_ALLOW", "127.0.0.1"),
    ];
    let app = App::start(settings, &changed, START, &installation(redirect_uri)).await;
    let listening = app.server.listen(listener);
    let site = json!({
        "name": "handbook", "root": "/nowhere", "public_url": format!("https://{HOST}/docs"), "visibility": "private", "issuer": base,
        "authorization_url": format!("{base}/oauth/authorize"), "client_id": "handbook", "scopes": ["openid", "profile"],
        "token_url": format!("{base}/oauth/token"), "info_api_url": format!("{base}/oauth/userinfo"),
    });
    app.server
        .put_docs_site("default", site, None)
        .await
        .unwrap();
    test(&app, &base).await;
    drop(listening);
    app.end().await;
}

async fn readers_sign_in_at_our_own_server(settings: &[(String, String)]) {
    let redirect_uri = format!("https://{HOST}/docs/_handshake/callback");
    with_site(settings, &redirect_uri, async |app, base| {
        let mut reader = Browser::new(app);
        HOST.clone_into(&mut reader.host);
        let set_out = "/docs/_handshake/sign-in?return_to=/docs/page%23anchor";
        let request = reader.send(Method::GET, set_out, &[], "").await;
        let request = request.header("location").to_owned();

        let mut person = Browser::new(app);
        base.strip_prefix("http://")
            .unwrap()
            .clone_into(&mut person.host);
        let page = person
            .authorize(request.strip_prefix(base).unwrap(), "ada")
            .await;
        let back = page.header("location").to_owned();
        let back = back.strip_prefix(&format!("https://{HOST}")).unwrap();

        let page = reader.send(Method::GET, back, &[], "").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        assert_eq!(
            page.header("location"),
            format!("https://{HOST}/docs/page#anchor")
        );
        let known = reader
            .send(Method::GET, "/docs/_handshake/user", &[], "")
            .await
            .json();
        assert_eq!(
            (&known["signedIn"], &known["groups"]),
            (&json!(true), &json!(["admin"]))
        );
        let again = reader.send(Method::GET, back, &[], "").await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST);
        let report = check(app).await;
        assert_eq!(report["works"], true, "{report:#}");
    })
    .await;
}

async fn check(app: &App) -> Value {
    let action = json!({ "action": "docs_check", "tenant": "default", "site": "handbook" });
    app.server.perform(action).await.unwrap()
}

async fn a_redirect_uri_that_is_not_registered_with_us_is_named(settings: &[(String, String)]) {
    let other = format!("https://{HOST}/docs/callback");
    with_site(settings, &other, async |app, _| {
        let report = check(app).await;
        let steps = report["steps"].as_array().unwrap();
        let found = steps
            .iter()
            .find(|step| step["step"] == "authorization_url")
            .unwrap();
        assert_eq!(found["verdict"], "bad");
        let said = found["said"].as_str().unwrap();
        assert!(
            said.contains(&format!(
                "not registered for it: https://{HOST}/docs/_handshake/callback"
            )),
            "{said}"
        );
    })
    .await;
}
