//! Applying a document: read the records, decide, write one unit, and begin again when somebody else was quicker.

use super::actions::ActionError;
use super::document::{Document, GivenPassword, Problem, Read, TenantEntry, UserEntry};
use super::plan::{
    self, Change, ClientSecretOf, Decision, DocsSiteState, Generated, GeneratedOf, PasswordChange,
    ProviderState, Scope, State, StoredPassword, TenantState, UserState,
};
use crate::http::context::Shared;
use crate::http::signing;
use crate::outbound::password_hash::{HashError, Password, SALT_BYTES};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;
use vestibule_core::id::{Chance as _, TenantId, UserId};
use vestibule_core::identity::tenant::DEFAULT_SLUG;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_store::db::DbError;
use vestibule_store::docs_sites::DocsSiteRecord;
use vestibule_store::providers::ProviderRecord;
use vestibule_store::tenants::TenantRecord;
use vestibule_store::users::UserRecord;
use vestibule_store::{Committed, TenantStore, TenantUnit};

/// How often a document is compared again when another writer was quicker.
pub(crate) const ATTEMPTS_MAX: usize = 3;
/// The keys that a new tenant begins with; others are made when they are first needed.
const FIRST_KEYS: [Algorithm; 2] = [Algorithm::EdDSA, Algorithm::ES256];
/// How often a full hashing queue is waited for, and how long each time.
const HASH_ATTEMPTS_MAX: usize = 600;
const HASH_PAUSE: Duration = Duration::from_millis(50);

/// How a document is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Whether what is not named goes.
    pub(crate) scope: Scope,
    /// Whether nothing is written.
    pub(crate) dry_run: bool,
}

/// What applying did, or would do.
pub(crate) struct Applied {
    /// The changes.
    pub(crate) changes: Vec<Change>,
    /// What is allowed and weak, and what was left alone.
    pub(crate) warnings: Vec<Problem>,
    /// Secrets and keys that were made; none in a dry run.
    pub(crate) generated: Vec<Generated>,
    /// Whether it was written.
    pub(crate) written: bool,
}

impl Applied {
    /// For the command line. Secrets that were made are in it: this is the one time that they are shown.
    pub(crate) fn to_json(&self) -> Value {
        let generated: Vec<Value> = self
            .generated
            .iter()
            .map(|made| {
                let (tenant, secret) = (&made.tenant, made.secret.reveal());
                match &made.of {
                    GeneratedOf::Client(id) => {
                        json!({ "tenant": tenant, "client_id": id, "client_secret": secret })
                    }
                    GeneratedOf::ApiKey(name) => {
                        json!({ "tenant": tenant, "api_key": name, "key": secret })
                    }
                }
            })
            .collect();
        let warnings: Vec<String> = self.warnings.iter().map(ToString::to_string).collect();
        json!({ "written": self.written, "changes": self.changes, "warnings": warnings, "generated": generated })
    }
}

/// What applying did, from [`Applied::to_json`], for people: a line a change.
pub(crate) fn report(applied: &Value) -> String {
    let mut text = String::new();
    let list = |key: &str| {
        applied
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    for warning in list("warnings").filter_map(Value::as_str) {
        let _ = writeln!(text, "! {warning}");
    }
    for change in
        list("changes").filter_map(|change| serde_json::from_value::<Change>(change.clone()).ok())
    {
        let _ = writeln!(text, "{change}");
    }
    for made in list("generated") {
        let word = |key: &str| made.get(key).and_then(Value::as_str);
        for (what, name, secret) in [
            ("The secret of the client", "client_id", "client_secret"),
            ("The API key", "api_key", "key"),
            ("The password of", "user", "password"),
        ] {
            if let Some(secret) = word(secret) {
                let name = word(name).unwrap_or_default();
                let _ = writeln!(text, "{what} {name}, shown this once: {secret}");
            }
        }
    }
    if let Some(uri) = applied.get("redirect_uri").and_then(Value::as_str) {
        let _ = writeln!(text, "The redirect URI to register there: {uri}");
    }
    let count = list("changes").count();
    let written = applied
        .get("written")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let _ = match (count, written) {
        (0, _) => writeln!(text, "Nothing to change."),
        (1, true) => writeln!(text, "1 change was written."),
        (count, true) => writeln!(text, "{count} changes were written."),
        (1, false) => writeln!(text, "1 change would be written."),
        (count, false) => writeln!(text, "{count} changes would be written."),
    };
    text
}

/// Applies what was read, whole or not at all. A second time it changes nothing.
pub(crate) async fn apply(
    shared: &Shared,
    read: Read,
    options: Options,
) -> Result<Applied, ActionError> {
    let mut passwords = Passwords::default();
    for _ in 0..ATTEMPTS_MAX {
        let state = load(shared, &read.document, options.scope, &mut passwords).await?;
        let host = shared.public_url.host();
        let decided = plan::decide(
            &read.document,
            &state,
            options.scope,
            &host,
            shared.now(),
            &shared.chance,
        );
        let mut problems = read.problems.clone();
        let decision = match decided {
            Ok(decision) if problems.is_empty() => decision,
            Ok(_) => return Err(ActionError::invalid(&problems)),
            Err(more) => {
                problems.extend(more);
                return Err(ActionError::invalid(&problems));
            }
        };
        for change in &decision.passwords {
            passwords.prepare(shared, change).await?;
        }
        let mut applied = Applied {
            changes: decision.changes.clone(),
            warnings: read
                .warnings
                .iter()
                .chain(&decision.warnings)
                .cloned()
                .collect(),
            generated: Vec::new(),
            written: false,
        };
        if options.dry_run || decision.changes.is_empty() {
            return Ok(applied);
        }
        let generated = decision.generated.clone();
        let changed = decision.changed.clone();
        let unit = unit(shared, decision, &passwords).await?;
        match shared.store.commit(unit).await {
            Ok(Committed::Yes) => {}
            // Somebody else wrote what this was decided on.
            Ok(Committed::Lost) | Err(DbError::Conflict { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        for tenant in changed {
            shared.configuration.forget(tenant);
        }
        applied.generated = generated;
        applied.written = true;
        return Ok(applied);
    }
    Err(ActionError::conflict(
        "the records kept changing meanwhile, or two people exchange a name; nothing was written",
    ))
}

/// Adds keys and passwords to what was decided, and says which tenants changed.
async fn unit(
    shared: &Shared,
    decision: Decision,
    passwords: &Passwords,
) -> Result<TenantUnit, ActionError> {
    let now = shared.now();
    let mut unit = decision.unit;
    for tenant in decision.new_tenants {
        for algorithm in FIRST_KEYS {
            let key = signing::make(shared, tenant, algorithm, Some(now)).await?;
            unit = unit.in_tenant(tenant).insert_key(&key);
        }
    }
    for change in &decision.passwords {
        let hash = passwords
            .hash(change)
            .ok_or_else(|| ActionError::unavailable("a password was not hashed"))?;
        unit = unit
            .in_tenant(change.tenant)
            .upsert_password(change.user, hash, now);
        if change.replaces {
            unit = unit.end_everything_of(change.user, now);
        }
    }
    for change in decision.providers {
        let (id, tenant) = (&change.settings.id, change.tenant);
        let sealed = match change.secret {
            ClientSecretOf::None => None,
            ClientSecretOf::Sealed(sealed) => Some(sealed),
            ClientSecretOf::Given(secret) => {
                let sealed = shared.root_key.seal_provider_secret(tenant, id, &secret);
                Some(sealed.map_err(|_| {
                    ActionError::unavailable("the secret of a provider was not sealed")
                })?)
            }
        };
        unit = unit
            .in_tenant(tenant)
            .upsert_provider(&change.settings, sealed.as_deref(), now);
    }
    for change in decision.docs_sites {
        let (name, tenant) = (change.site.name.as_str(), change.tenant);
        let sealed = match change.secret {
            ClientSecretOf::None => None,
            ClientSecretOf::Sealed(sealed) => Some(sealed),
            ClientSecretOf::Given(secret) => {
                let sealed = shared.root_key.seal_docs_secret(tenant, name, &secret);
                Some(sealed.map_err(|_| {
                    ActionError::unavailable("the secret of a docs site was not sealed")
                })?)
            }
        };
        unit = unit.in_tenant(tenant).upsert_docs_site(
            &change.site,
            &change.settings,
            sealed.as_deref(),
            now,
        );
    }
    for tenant in decision.changed {
        unit = unit.in_tenant(tenant).configuration_changed(now);
    }
    Ok(unit)
}

/// What was computed about passwords; it stays valid when the records are read again.
#[derive(Default)]
struct Passwords {
    /// Hashes to write, by the place of the person.
    hashes: BTreeMap<String, String>,
    /// Whether a stored hash is of the given password, by the place of the person and the hash.
    verdicts: BTreeMap<(String, String), bool>,
}

impl Passwords {
    /// How the stored password stands to the one that is given.
    async fn compare(
        &mut self,
        shared: &Shared,
        entry: &UserEntry,
        stored: Option<String>,
    ) -> Result<StoredPassword, ActionError> {
        let Some(stored) = stored else {
            return Ok(StoredPassword::Absent);
        };
        let matches = match &entry.password {
            None => false,
            Some(GivenPassword::Hash(hash)) => hash == &stored,
            Some(GivenPassword::Clear(password)) => {
                let key = (entry.place.clone(), stored);
                if let Some(verdict) = self.verdicts.get(&key) {
                    *verdict
                } else {
                    let verdict = verify(shared, &key.1, password).await?;
                    self.verdicts.insert(key, verdict);
                    verdict
                }
            }
        };
        Ok(if matches {
            StoredPassword::Given
        } else {
            StoredPassword::Other
        })
    }

    /// Hashes a password that is to be written, or tries whether a given hash can be used.
    async fn prepare(
        &mut self,
        shared: &Shared,
        change: &PasswordChange,
    ) -> Result<(), ActionError> {
        if self.hashes.contains_key(&change.place) {
            return Ok(());
        }
        let hash = match &change.password {
            GivenPassword::Clear(password) => hash(shared, password).await?,
            GivenPassword::Hash(hash) => {
                if let Err(HashError::Stored(reason)) = try_hash(shared, hash).await {
                    let problem = Problem::new(
                        format!("{}.password_hash", change.place),
                        format!("cannot be used: {reason}"),
                    );
                    return Err(ActionError::invalid(&[problem]));
                }
                hash.clone()
            }
        };
        self.hashes.insert(change.place.clone(), hash);
        Ok(())
    }

    fn hash(&self, change: &PasswordChange) -> Option<&str> {
        self.hashes.get(&change.place).map(String::as_str)
    }
}

/// Checks a stored hash; one that cannot be used is of no password.
async fn verify(shared: &Shared, stored: &str, password: &Secret) -> Result<bool, ActionError> {
    for _ in 0..HASH_ATTEMPTS_MAX {
        let Ok(password) = Password::parse(password.reveal().to_owned()) else {
            return Ok(false);
        };
        match shared.hasher.verify(stored, password).await {
            Ok(verdict) => return Ok(verdict.matches),
            Err(HashError::Stored(_)) => return Ok(false),
            Err(HashError::Busy) => tokio::time::sleep(HASH_PAUSE).await,
            Err(error) => return Err(ActionError::unavailable(error.to_string())),
        }
    }
    Err(ActionError::unavailable(HashError::Busy.to_string()))
}

async fn hash(shared: &Shared, password: &Secret) -> Result<String, ActionError> {
    for _ in 0..HASH_ATTEMPTS_MAX {
        let password = Password::parse(password.reveal().to_owned()).map_err(|error| {
            ActionError::invalid(&[Problem::new("password", error.to_string())])
        })?;
        let mut salt = [0_u8; SALT_BYTES];
        shared.chance.fill(&mut salt);
        match shared.hasher.hash(password, salt).await {
            Ok(hash) => return Ok(hash),
            Err(HashError::Busy) => tokio::time::sleep(HASH_PAUSE).await,
            Err(error) => return Err(ActionError::unavailable(error.to_string())),
        }
    }
    Err(ActionError::unavailable(HashError::Busy.to_string()))
}

/// Whether a hash can be worked on: by working on it once.
async fn try_hash(shared: &Shared, hash: &str) -> Result<(), HashError> {
    let mut last = HashError::Busy;
    for _ in 0..HASH_ATTEMPTS_MAX {
        let Ok(any) = Password::parse("any".to_owned()) else {
            break;
        };
        match shared.hasher.verify(hash, any).await {
            Ok(_) => return Ok(()),
            Err(HashError::Busy) => tokio::time::sleep(HASH_PAUSE).await,
            Err(error) => {
                last = error;
                break;
            }
        }
    }
    Err(last)
}

/// Reads what the document names, or everything.
async fn load(
    shared: &Shared,
    document: &Document,
    scope: Scope,
    passwords: &mut Passwords,
) -> Result<State, ActionError> {
    let mut state = State::default();
    for entry in &document.tenants {
        if let Some(id) = entry.id
            && let Some(tenant) = shared.store.any_tenant(id).await?
        {
            state.ids.insert(id, tenant.slug);
        }
        for domain in &entry.domains {
            let host = &domain.value.host;
            if let Some((tenant, _)) = shared.store.any_tenant_by_host(host).await? {
                state.hosts.insert(host.clone(), tenant.slug);
            }
        }
        for site in &entry.docs_sites {
            let host = &site.site.address.host;
            if let Some((tenant, _)) = shared.store.any_tenant_by_host(host).await? {
                state.hosts.insert(host.clone(), tenant.slug);
            }
            if let Some((tenant, record)) = shared.store.any_docs_site_by_host(host).await?
                && let Some(tenant) = shared.store.any_tenant(tenant).await?
            {
                let owner = (tenant.slug, record.settings.name);
                state.site_hosts.insert(host.clone(), owner);
            }
        }
        if let Some(record) = shared.store.any_tenant_by_slug(&entry.slug).await? {
            let store = shared.tenant(record.id);
            let (mut clients, mut users) = (BTreeMap::new(), Vec::new());
            // A scope that goes by another name must be none that a client has.
            let renames = entry
                .policy
                .as_ref()
                .is_some_and(|policy| policy.docs_scope != record.policy.docs_scope);
            if scope == Scope::Everything || renames {
                for client in all_clients(store).await? {
                    clients.insert(client.metadata.client_id.clone(), client);
                }
            }
            if scope == Scope::Everything {
                for record in all_users(store).await? {
                    users.push(UserState {
                        record,
                        password: StoredPassword::Other,
                    });
                }
            }
            for client in &entry.clients {
                if let Some(record) = store.client(&client.metadata.client_id).await? {
                    clients.insert(record.metadata.client_id.clone(), record);
                }
            }
            for user in &entry.users {
                load_user(shared, store, user, &mut users, passwords).await?;
            }
            let tenant = TenantState {
                domains: store.domains().await?,
                scopes: store.scopes().await?,
                clients,
                users,
                providers: load_providers(shared, store, record.id, entry).await?,
                api_keys: store.api_keys().await?,
                trusted_domains: store.trusted_domains().await?,
                docs_sites: load_docs_sites(shared, store, record.id, entry).await?,
                record,
            };
            state.tenants.insert(entry.slug.clone(), tenant);
        }
    }
    let others = match scope {
        Scope::Everything => all_tenants(shared).await?,
        Scope::Named => shared
            .store
            .any_tenant_by_slug(DEFAULT_SLUG)
            .await?
            .into_iter()
            .collect(),
    };
    for record in others {
        state
            .tenants
            .entry(record.slug.clone())
            .or_insert_with(|| TenantState::bare(record));
    }
    Ok(state)
}

/// Reads a tenant's providers, and compares the secrets that are given with the sealed ones.
async fn load_providers(
    shared: &Shared,
    store: TenantStore<'_>,
    tenant: TenantId,
    entry: &TenantEntry,
) -> Result<Vec<ProviderState>, ActionError> {
    let has_given_secret = |record: &ProviderRecord| {
        let id = &record.settings.id;
        let named = entry
            .providers
            .iter()
            .find(|named| &named.settings.id == id);
        let given = named.and_then(|named| named.secret.as_ref());
        let (Some(given), Some(sealed)) = (given, &record.sealed_secret) else {
            return false;
        };
        // What cannot be opened is another one, and is replaced.
        let stored = shared.root_key.open_provider_secret(tenant, id, sealed);
        stored.is_ok_and(|stored| is_same(given, &stored))
    };
    let records = store.providers().await?;
    Ok(records
        .into_iter()
        .map(|record| ProviderState {
            has_given_secret: has_given_secret(&record),
            record,
        })
        .collect())
}

fn is_same(one: &Secret, other: &Secret) -> bool {
    let digest = SecretDigest::of_client_secret(one.reveal());
    SecretDigest::of_client_secret(other.reveal()).matches(&digest)
}

/// Reads a tenant's docs sites, and compares the secrets that are given with the sealed ones.
async fn load_docs_sites(
    shared: &Shared,
    store: TenantStore<'_>,
    tenant: TenantId,
    entry: &TenantEntry,
) -> Result<Vec<DocsSiteState>, ActionError> {
    let has_given_secret = |record: &DocsSiteRecord| {
        let name = &record.settings.name;
        let mut named = entry.docs_sites.iter();
        let given = named.find(|named| &named.site.name == name);
        let given = given.and_then(|named| named.secret.as_ref());
        let (Some(given), Some(sealed)) = (given, &record.sealed_secret) else {
            return false;
        };
        let stored = shared.root_key.open_docs_secret(tenant, name, sealed);
        stored.is_ok_and(|stored| is_same(given, &stored))
    };
    let records = store.docs_sites().await?;
    Ok(records
        .into_iter()
        .map(|record| DocsSiteState {
            has_given_secret: has_given_secret(&record),
            record,
        })
        .collect())
}

/// Reads the person whom an entry means, and whoever has their name or address.
async fn load_user(
    shared: &Shared,
    store: TenantStore<'_>,
    entry: &UserEntry,
    users: &mut Vec<UserState>,
    passwords: &mut Passwords,
) -> Result<(), ActionError> {
    let mut found: Vec<(UserRecord, Option<String>)> = Vec::new();
    if let Some(id) = entry.target
        && let Some(record) = store.user(id).await?
    {
        found.push((record, store.password(id).await?));
    }
    for text in [&entry.username, &entry.email]
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty())
    {
        found.extend(store.user_by_identifier(text).await?);
    }
    for (index, (record, hash)) in found.into_iter().enumerate() {
        // The first is the one who is meant; see `plan::find`.
        let password = match index {
            0 => passwords.compare(shared, entry, hash).await?,
            _ => StoredPassword::Other,
        };
        match users
            .iter_mut()
            .find(|known| known.record.user.id == record.user.id)
        {
            Some(known) if index == 0 => known.password = password,
            Some(_) => {}
            None => users.push(UserState { record, password }),
        }
    }
    Ok(())
}

/// Every tenant.
pub(crate) async fn all_tenants(shared: &Shared) -> Result<Vec<TenantRecord>, DbError> {
    let mut tenants: Vec<TenantRecord> = Vec::new();
    loop {
        let after = tenants
            .last()
            .map(|tenant| tenant.slug.clone())
            .unwrap_or_default();
        let page = shared.store.any_tenants_after(&after).await?;
        if page.is_empty() {
            return Ok(tenants);
        }
        tenants.extend(page);
    }
}

/// Every client of a tenant.
pub(crate) async fn all_clients(
    store: TenantStore<'_>,
) -> Result<Vec<vestibule_store::clients::ClientRecord>, DbError> {
    let mut clients: Vec<vestibule_store::clients::ClientRecord> = Vec::new();
    loop {
        let after = clients
            .last()
            .map(|client| client.metadata.client_id.clone())
            .unwrap_or_default();
        let page = store.clients_after(&after).await?;
        if page.is_empty() {
            return Ok(clients);
        }
        clients.extend(page);
    }
}

/// Everybody in a tenant.
pub(crate) async fn all_users(store: TenantStore<'_>) -> Result<Vec<UserRecord>, DbError> {
    let mut users: Vec<UserRecord> = Vec::new();
    let mut seen = BTreeSet::new();
    loop {
        let after = users
            .last()
            .map_or(UserId::from_bytes([0; 16]), |record| record.user.id);
        let page = store.users_after(after).await?;
        let before = users.len();
        users.extend(
            page.into_iter()
                .filter(|record| seen.insert(record.user.id)),
        );
        if users.len() == before {
            return Ok(users);
        }
    }
}
