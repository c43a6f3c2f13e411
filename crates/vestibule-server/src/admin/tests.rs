//! Tests of documents, plans and actions, on a file of their own each.

mod actions;
mod broker;
mod broker_actions;
mod docs_profile;
mod docs_sites;
mod documents;
mod plans;
mod sockets;

use super::actions::{Action, ActionError, perform};
use super::document;
use super::secrets::Resolved;
use crate::http::configuration::Configuration;
use crate::http::context::{Clock, PublicAddress, Shared, SystemChance};
use crate::http::peer::TrustedProxies;
use crate::http::seal::RootKey;
use crate::http::throttle::Throttle;
use crate::outbound::http::{DEADLINE, OutboundHttp};
use crate::outbound::password_hash::{Parameters, PasswordHasher};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use vestibule_core::time::Timestamp;
use vestibule_core::url::Issuer;
use vestibule_store::Store;
use vestibule_store::db::{DatabaseOptions, Db};

/// The reference installation.
pub(super) const ACME: &str = include_str!("tests/acme.toml");

struct FixedClock;

impl Clock for FixedClock {
    fn millis(&self) -> u64 {
        1_700_000_000_000
    }
}

/// An installation without tenants, on a file of its own.
pub(super) struct Installation {
    pub(super) shared: Arc<Shared>,
    pub(super) folder: tempfile::TempDir,
}

impl Installation {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&DatabaseOptions::in_folder(folder.path()))
            .await
            .unwrap();
        let store = Store::open(db, Timestamp::from_seconds(1_700_000_000))
            .await
            .unwrap();
        let root_key = RootKey::new(&[7; 32]).unwrap();
        let installation = store.installation(&root_key.check).await.unwrap();
        let light = Parameters {
            memory_kib: 64,
            iterations: 1,
            lanes: 1,
        };
        let public_url = Issuer::parse("http://127.0.0.1:8080").unwrap();
        let shared = Shared {
            renewals: crate::http::projects::Renewals::default(),
            store,
            public_address: PublicAddress::of(&public_url),
            public_url,
            root_key,
            configuration: Configuration::new(installation.version),
            hasher: PasswordHasher::start(light, NonZeroUsize::MIN, 16).unwrap(),
            outbound: OutboundHttp::new(Vec::new(), None, DEADLINE).unwrap(),
            throttle: Throttle::new(),
            proxies: TrustedProxies::default(),
            clock: Arc::new(FixedClock),
            chance: SystemChance::new(),
        };
        Self {
            shared: Arc::new(shared),
            folder,
        }
    }

    pub(super) async fn with_acme() -> Self {
        let installation = Self::new().await;
        installation.apply(ACME).await.unwrap();
        installation
    }

    pub(super) async fn perform(&self, action: Value) -> Result<Value, ActionError> {
        let action: Action = serde_json::from_value(action).unwrap();
        perform(&self.shared, action).await
    }

    pub(super) async fn apply(&self, document: &str) -> Result<Value, ActionError> {
        self.apply_with(document, json!({})).await
    }

    pub(super) async fn apply_with(
        &self,
        document: &str,
        more: Value,
    ) -> Result<Value, ActionError> {
        let mut action =
            json!({ "action": "apply", "document": document, "secrets": acme_secrets() });
        action
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.perform(action).await
    }

    /// The changes as a plan prints them.
    pub(super) async fn changes(&self, document: &str, more: Value) -> Vec<String> {
        lines(&self.apply_with(document, more).await.unwrap())
    }
}

/// What the variables of the reference installation hold.
fn acme_secrets() -> BTreeMap<String, Resolved> {
    BTreeMap::from([
        (
            "tenant[0].client[0].client_secret_env".to_owned(),
            Resolved::Secret("acme-web-secret-0123456789".to_owned()),
        ),
        (
            "tenant[0].user[0].password_env".to_owned(),
            Resolved::Secret("correct horse battery".to_owned()),
        ),
        (
            "tenant[0].provider[0].client_secret_env".to_owned(),
            Resolved::Secret("google-secret-0123456789".to_owned()),
        ),
        (
            "tenant[0].api_key[0].key_env".to_owned(),
            Resolved::Secret("pck_acme-browser-0123456789".to_owned()),
        ),
        (
            "tenant[0].docs_site[0].root".to_owned(),
            Resolved::Secret("/srv/acme/site".to_owned()),
        ),
    ])
}

/// Changes as `action kind tenant/name fields`.
fn lines(result: &Value) -> Vec<String> {
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    let changes = result["changes"].as_array().unwrap();
    changes
        .iter()
        .map(|change| {
            let fields: Vec<&str> = change["fields"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let line = [
                text(change, "action"),
                text(change, "kind"),
                format!("{}/{}", text(change, "tenant"), text(change, "name")),
                fields.join(","),
            ];
            line.join(" ").trim_end().to_owned()
        })
        .collect()
}

/// The problems of a document, sorted.
fn problems(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = document::read(text, &acme_secrets())
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    problems.sort();
    problems
}
