//! The actions: one for each thing that the command line offers, performed here whoever asks.
//!
//! Whatever creates or changes something hands a document with that one thing to [`apply`](super::apply).

mod api_keys;
mod clients;
mod docs_check;
mod docs_sites;
mod domains;
mod installation;
mod providers;
mod scopes;
mod tenants;
mod users;

use super::apply::{Applied, Options, apply};
use super::document::{self, Problem};
use super::plan::Scope;
use super::secrets::Resolved;
use crate::http::context::Shared;
use crate::http::signing::SigningError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use vestibule_core::id::{TenantId, UserId};
use vestibule_core::time::Timestamp;
use vestibule_store::db::DbError;
use vestibule_store::tenants::TenantRecord;
use vestibule_store::{Committed, TenantUnit};

/// What can be asked for. It may hold secrets, so it does not print itself.
#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Applies an installation file.
    Apply {
        /// The file.
        document: String,
        /// What its `*_env` and `*_file` keys stand for, by place.
        #[serde(default)]
        secrets: BTreeMap<String, Resolved>,
        /// Whether nothing is written.
        #[serde(default)]
        dry_run: bool,
        /// Whether what the file does not name is removed.
        #[serde(default)]
        prune: bool,
    },
    /// Every tenant.
    TenantList {},
    /// One tenant.
    TenantShow {
        /// Its slug.
        tenant: String,
    },
    /// Makes a tenant.
    TenantCreate {
        /// Its slug.
        tenant: String,
        /// Its keys as in the installation file.
        set: Map<String, Value>,
    },
    /// Changes a tenant.
    TenantUpdate {
        /// Its slug.
        tenant: String,
        /// The keys that change, as in the installation file; those of `policy` one by one.
        set: Map<String, Value>,
    },
    /// Removes a tenant with all that belongs to it.
    TenantRemove {
        /// Its slug.
        tenant: String,
    },
    /// Every client of a tenant.
    ClientList {
        /// The tenant.
        tenant: String,
    },
    /// One client.
    ClientShow {
        /// The tenant.
        tenant: String,
        /// The client.
        client_id: String,
    },
    /// Makes a client.
    ClientCreate {
        /// The tenant.
        tenant: String,
        /// The client.
        client_id: String,
        /// Its keys as in the installation file.
        set: Map<String, Value>,
    },
    /// Changes a client.
    ClientUpdate {
        /// The tenant.
        tenant: String,
        /// The client.
        client_id: String,
        /// The keys that change, as in the installation file; null takes the default; those of `policy` one by one.
        set: Map<String, Value>,
    },
    /// Removes a client.
    ClientRemove {
        /// The tenant.
        tenant: String,
        /// The client.
        client_id: String,
    },
    /// Gives a client another secret.
    ClientRotateSecret {
        /// The tenant.
        tenant: String,
        /// The client.
        client_id: String,
        /// What becomes of the present one.
        rotation: Rotation,
    },
    /// Everybody in a tenant.
    UserList {
        /// The tenant.
        tenant: String,
    },
    /// One person.
    UserShow {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
    },
    /// Makes a person.
    UserCreate {
        /// The tenant.
        tenant: String,
        /// Their keys as in the installation file; a password is made where none is given.
        set: Map<String, Value>,
    },
    /// Changes a person.
    UserUpdate {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
        /// The keys that change, as in the installation file.
        set: Map<String, Value>,
    },
    /// Gives a person another password, and ends their sessions.
    UserSetPassword {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
        /// The password; made where none is given.
        #[serde(default)]
        password: Option<String>,
    },
    /// Lets a person sign in no more, and ends their sessions.
    UserDisable {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
    },
    /// Lets a person sign in again.
    UserEnable {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
    },
    /// Removes a person.
    UserRemove {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
    },
    /// Ends a person's sessions and tokens.
    UserSignOut {
        /// The tenant.
        tenant: String,
        /// Their user name, address or id.
        user: String,
    },
    /// The hosts that a tenant answers on.
    DomainList {
        /// The tenant.
        tenant: String,
    },
    /// Lets a tenant answer on a host.
    DomainAdd {
        /// The tenant.
        tenant: String,
        /// The host.
        host: String,
        /// `primary`, `alias` or `satellite`.
        kind: String,
    },
    /// Lets a tenant answer on a host no more.
    DomainRemove {
        /// The tenant.
        tenant: String,
        /// The host.
        host: String,
    },
    /// The scopes that a tenant adds.
    ScopeList {
        /// The tenant.
        tenant: String,
    },
    /// Makes a scope.
    ScopeCreate {
        /// The tenant.
        tenant: String,
        /// Its name.
        scope: String,
        /// Its keys as in the installation file.
        set: Map<String, Value>,
    },
    /// Changes a scope.
    ScopeUpdate {
        /// The tenant.
        tenant: String,
        /// Its name.
        scope: String,
        /// The keys that change, as in the installation file.
        set: Map<String, Value>,
    },
    /// Removes a scope that no client names.
    ScopeRemove {
        /// The tenant.
        tenant: String,
        /// Its name.
        scope: String,
    },
    /// Every provider of a tenant.
    ProviderList {
        /// The tenant.
        tenant: String,
    },
    /// One provider, with the redirect URI to register there.
    ProviderShow {
        /// The tenant.
        tenant: String,
        /// Its id.
        provider: String,
    },
    /// Makes a provider.
    ProviderCreate {
        /// The tenant.
        tenant: String,
        /// Its id.
        provider: String,
        /// Its keys as in the installation file.
        set: Map<String, Value>,
    },
    /// Changes a provider.
    ProviderUpdate {
        /// The tenant.
        tenant: String,
        /// Its id.
        provider: String,
        /// The keys that change, as in the installation file; null takes the default.
        set: Map<String, Value>,
    },
    /// Removes a provider.
    ProviderRemove {
        /// The tenant.
        tenant: String,
        /// Its id.
        provider: String,
    },
    /// Every API key of a tenant, without the keys themselves.
    ApiKeyList {
        /// The tenant.
        tenant: String,
    },
    /// Makes an API key.
    ApiKeyCreate {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
        /// Its keys as in the installation file; the key itself is made where none is given.
        set: Map<String, Value>,
    },
    /// Ends an API key; its record stays.
    ApiKeyRevoke {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
    },
    /// Removes an API key; its name is free again.
    ApiKeyRemove {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
    },
    /// The domains that a tenant trusts.
    TrustedDomainList {
        /// The tenant.
        tenant: String,
    },
    /// Lets the project API send browsers back to a place.
    TrustedDomainAdd {
        /// The tenant.
        tenant: String,
        /// The place, with wildcards.
        base_url: String,
    },
    /// Trusts a place no more.
    TrustedDomainRemove {
        /// The tenant.
        tenant: String,
        /// The place as it was added.
        base_url: String,
    },
    /// Every docs site of a tenant.
    DocsSiteList {
        /// The tenant.
        tenant: String,
    },
    /// One docs site, with the redirect URI to register at its OAuth server.
    DocsSiteShow {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
    },
    /// Makes a docs site.
    DocsSiteCreate {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
        /// Its keys as in the installation file.
        set: Map<String, Value>,
    },
    /// Changes a docs site.
    DocsSiteUpdate {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
        /// The keys that change, as in the installation file; null takes the default.
        set: Map<String, Value>,
    },
    /// Removes a docs site.
    DocsSiteRemove {
        /// The tenant.
        tenant: String,
        /// Its name.
        name: String,
    },
    /// Asks every address of a docs site's handshake.
    DocsCheck {
        /// The tenant.
        tenant: String,
        /// The site's name.
        site: String,
    },
    /// The signing keys of a tenant.
    KeyList {
        /// The tenant.
        tenant: String,
    },
    /// Takes the next step of replacing a signing key.
    KeyRotate {
        /// The tenant.
        tenant: String,
        /// `RS256`, `PS256`, `ES256` or `EdDSA`.
        algorithm: String,
    },
    /// A new set-up link, while none was used.
    SetUpLink {},
}

/// What becomes of a client's present secrets when it is given another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rotation {
    /// The new one alone serves.
    Replace,
    /// The newest of them serves too, until [`Rotation::DropOld`].
    KeepOld,
    /// No new one is made: the newest alone goes on serving.
    DropOld,
}

/// Why an action was not performed, as a class; its number is the exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    /// The command cannot mean anything.
    Usage,
    /// Something named is not there.
    NotFound,
    /// Something is there already, or in another state.
    Conflict,
    /// What is given breaks a rule.
    Invalid,
    /// The records cannot be reached.
    Unavailable,
}

impl ErrorCode {
    /// The exit status.
    pub(crate) const fn exit_status(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Invalid => 5,
            Self::Unavailable => 6,
        }
    }
}

/// Why an action was not performed. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub(crate) struct ActionError {
    /// The class.
    pub(crate) code: ErrorCode,
    /// What happened and what to do; a line a problem.
    pub(crate) message: String,
}

impl ActionError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The command cannot mean anything.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Usage, message)
    }

    /// Something named is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Something is there already, or in another state.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// What is given breaks rules.
    pub(crate) fn invalid(problems: &[Problem]) -> Self {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::new(ErrorCode::Invalid, lines.join("\n"))
    }

    /// The records cannot be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }
}

impl From<DbError> for ActionError {
    fn from(error: DbError) -> Self {
        let code = match &error {
            DbError::Conflict { .. } => ErrorCode::Conflict,
            DbError::Rejected { .. } => ErrorCode::Invalid,
            DbError::Unavailable(_)
            | DbError::Busy
            | DbError::Corrupt { .. }
            | DbError::Failed { .. }
            | DbError::InUse { .. }
            | DbError::Options(_)
            | DbError::Schema(_) => ErrorCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SigningError> for ActionError {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Db(error) => error.into(),
            SigningError::Key(text) => Self::unavailable(text),
        }
    }
}

/// Performs an action.
#[expect(
    clippy::too_many_lines,
    reason = "a table: one arm an action, and nothing else"
)]
pub(crate) async fn perform(shared: &Arc<Shared>, action: Action) -> Result<Value, ActionError> {
    match action {
        Action::Apply {
            document,
            secrets,
            dry_run,
            prune,
        } => {
            let scope = if prune {
                Scope::Everything
            } else {
                Scope::Named
            };
            let read = document::read(&document, &secrets);
            apply(shared, read, Options { scope, dry_run })
                .await
                .map(|applied| applied.to_json())
        }
        Action::TenantList {} => tenants::list(shared).await,
        Action::TenantShow { tenant } => tenants::show(shared, &tenant).await,
        Action::TenantCreate { tenant, set } => tenants::create(shared, &tenant, set).await,
        Action::TenantUpdate { tenant, set } => tenants::update(shared, &tenant, set).await,
        Action::TenantRemove { tenant } => tenants::remove(shared, &tenant).await,
        Action::ClientList { tenant } => clients::list(shared, &tenant).await,
        Action::ClientShow { tenant, client_id } => {
            clients::show(shared, &tenant, &client_id).await
        }
        Action::ClientCreate {
            tenant,
            client_id,
            set,
        } => clients::create(shared, &tenant, &client_id, set).await,
        Action::ClientUpdate {
            tenant,
            client_id,
            set,
        } => clients::update(shared, &tenant, &client_id, set).await,
        Action::ClientRemove { tenant, client_id } => {
            clients::remove(shared, &tenant, &client_id).await
        }
        Action::ClientRotateSecret {
            tenant,
            client_id,
            rotation,
        } => clients::rotate_secret(shared, &tenant, &client_id, rotation).await,
        Action::UserList { tenant } => users::list(shared, &tenant).await,
        Action::UserShow { tenant, user } => users::show(shared, &tenant, &user).await,
        Action::UserCreate { tenant, set } => users::create(shared, &tenant, set).await,
        Action::UserUpdate { tenant, user, set } => {
            users::update(shared, &tenant, &user, set).await
        }
        Action::UserSetPassword {
            tenant,
            user,
            password,
        } => users::set_password(shared, &tenant, &user, password).await,
        Action::UserDisable { tenant, user } => {
            users::set_disabled(shared, &tenant, &user, true).await
        }
        Action::UserEnable { tenant, user } => {
            users::set_disabled(shared, &tenant, &user, false).await
        }
        Action::UserRemove { tenant, user } => users::remove(shared, &tenant, &user).await,
        Action::UserSignOut { tenant, user } => users::sign_out(shared, &tenant, &user).await,
        Action::DomainList { tenant } => domains::list(shared, &tenant).await,
        Action::DomainAdd { tenant, host, kind } => {
            domains::add(shared, &tenant, &host, &kind).await
        }
        Action::DomainRemove { tenant, host } => domains::remove(shared, &tenant, &host).await,
        Action::ScopeList { tenant } => scopes::list(shared, &tenant).await,
        Action::ScopeCreate { tenant, scope, set } => {
            scopes::create(shared, &tenant, &scope, set).await
        }
        Action::ScopeUpdate { tenant, scope, set } => {
            scopes::update(shared, &tenant, &scope, set).await
        }
        Action::ScopeRemove { tenant, scope } => scopes::remove(shared, &tenant, &scope).await,
        Action::ProviderList { tenant } => providers::list(shared, &tenant).await,
        Action::ProviderShow { tenant, provider } => {
            providers::show(shared, &tenant, &provider).await
        }
        Action::ProviderCreate {
            tenant,
            provider,
            set,
        } => providers::create(shared, &tenant, &provider, set).await,
        Action::ProviderUpdate {
            tenant,
            provider,
            set,
        } => providers::update(shared, &tenant, &provider, set).await,
        Action::ProviderRemove { tenant, provider } => {
            providers::remove(shared, &tenant, &provider).await
        }
        Action::ApiKeyList { tenant } => api_keys::list(shared, &tenant).await,
        Action::ApiKeyCreate { tenant, name, set } => {
            api_keys::create(shared, &tenant, &name, set).await
        }
        Action::ApiKeyRevoke { tenant, name } => api_keys::revoke(shared, &tenant, &name).await,
        Action::ApiKeyRemove { tenant, name } => api_keys::remove(shared, &tenant, &name).await,
        Action::TrustedDomainList { tenant } => domains::list_trusted(shared, &tenant).await,
        Action::TrustedDomainAdd { tenant, base_url } => {
            domains::add_trusted(shared, &tenant, &base_url).await
        }
        Action::TrustedDomainRemove { tenant, base_url } => {
            domains::remove_trusted(shared, &tenant, &base_url).await
        }
        Action::DocsSiteList { tenant } => docs_sites::list(shared, &tenant).await,
        Action::DocsSiteShow { tenant, name } => docs_sites::show(shared, &tenant, &name).await,
        Action::DocsSiteCreate { tenant, name, set } => {
            docs_sites::create(shared, &tenant, &name, set).await
        }
        Action::DocsSiteUpdate { tenant, name, set } => {
            docs_sites::update(shared, &tenant, &name, set).await
        }
        Action::DocsSiteRemove { tenant, name } => docs_sites::remove(shared, &tenant, &name).await,
        Action::DocsCheck { tenant, site } => docs_check::check(shared, &tenant, &site).await,
        Action::KeyList { tenant } => installation::list_keys(shared, &tenant).await,
        Action::KeyRotate { tenant, algorithm } => {
            installation::rotate_key(shared, &tenant, &algorithm).await
        }
        Action::SetUpLink {} => installation::set_up_link(shared).await,
    }
}

/// The tenant of a slug.
async fn find_tenant(shared: &Shared, slug: &str) -> Result<TenantRecord, ActionError> {
    let found = shared.store.any_tenant_by_slug(slug).await?;
    found.ok_or_else(|| {
        ActionError::not_found(format!(
            "there is no tenant `{slug}`; `vestibule tenant list` names them"
        ))
    })
}

/// What a document with one entry names.
struct One<'a> {
    tenant: &'a str,
    /// `client` or `user`.
    kind: &'a str,
    entry: Map<String, Value>,
    /// Whose record it is, if not the entry says it.
    target: Option<UserId>,
}

/// Applies a document with one entry. Places in problems are those of the entry.
async fn apply_one(shared: &Shared, one: One<'_>) -> Result<Applied, ActionError> {
    let root = json!({ "tenant": [{ "slug": one.tenant, one.kind: [one.entry] }] });
    let mut read = document::read_value(&root, &BTreeMap::new());
    if let Some(user) = read
        .document
        .tenants
        .first_mut()
        .and_then(|tenant| tenant.users.first_mut())
    {
        user.target = one.target;
    }
    let options = Options {
        scope: Scope::Named,
        dry_run: false,
    };
    let place = format!("tenant[0].{}[0]", one.kind);
    let mut applied = apply(shared, read, options)
        .await
        .map_err(|error| shorten(&error, &place, one.kind))?;
    for warning in &mut applied.warnings {
        let rest = warning.place.trim_start_matches(&place);
        warning.place = rest.trim_start_matches('.').to_owned();
    }
    Ok(applied)
}

/// Takes the place of a document's only entry out of a message.
fn shorten(error: &ActionError, place: &str, name: &str) -> ActionError {
    let message = error
        .message
        .replace(&format!("{place}."), "")
        .replace(place, name);
    ActionError::new(error.code, message)
}

/// The tables of a docs profile's playground inputs.
const PLAYGROUND_KINDS: [&str; 5] = ["server", "header", "query", "cookie", "path"];

/// The keys that hold a table whose entries are put one by one.
fn is_table(key: &str) -> bool {
    matches!(
        key,
        "policy"
            | "mapping"
            | "authorization_params"
            | "extra_authorization_params"
            | "group_claims"
            | "content"
            | "playground"
    ) || PLAYGROUND_KINDS.contains(&key)
}

/// Puts entries into an object: null takes one away, those of a table are put one by one.
fn merge(into: &mut Map<String, Value>, set: Map<String, Value>) {
    for (key, value) in set {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(present)), Value::Object(set)) if is_table(&key) => {
                merge(present, set);
            }
            (_, Value::Null) => {
                into.remove(&key);
            }
            (None, Value::Object(set)) if is_table(&key) => {
                let mut table = Map::new();
                merge(&mut table, set);
                into.insert(key, Value::Object(table));
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A value as a JSON object.
fn to_map(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A time as people read it, in UTC.
fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.seconds())
        .map_or_else(|_| at.seconds().to_string(), |time| time.to_string())
}

/// How an attempt to write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It is written.
    Written,
    /// Somebody else wrote what it was decided on: read again, and decide again.
    Lost,
}

/// Writes a change of a tenant's configuration.
async fn commit(
    shared: &Shared,
    tenant: TenantId,
    unit: TenantUnit,
) -> Result<Attempt, ActionError> {
    let unit = unit.configuration_changed(shared.now());
    match shared.store.commit(unit).await {
        Ok(Committed::Yes) => {
            shared.configuration.forget(tenant);
            Ok(Attempt::Written)
        }
        Ok(Committed::Lost) | Err(DbError::Conflict { .. }) => Ok(Attempt::Lost),
        Err(error) => Err(error.into()),
    }
}

/// What is said after as many attempts as are made.
fn kept_changing() -> ActionError {
    ActionError::conflict("the records kept changing meanwhile; nothing was written")
}
