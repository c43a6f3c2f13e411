//! What would change: a document against the records.
//!
//! [`decide`] is pure: it takes the document, what the records say, the time and chance, and gives the changes in words, the unit
//! that writes them, and what is left to do first (passwords to hash, keys to make). It names no secret.

mod broker;
mod docs_profile;
mod docs_sites;

use super::document::{
    ClientEntry, Document, GivenPassword, Placed, Problem, TenantEntry, UserEntry, without_empty,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use vestibule_core::docs::profile::DocsProfileSettings;
use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::id::{Chance, TenantId, UserId};
use vestibule_core::identity::api_key::ApiKey;
use vestibule_core::identity::tenant::{DEFAULT_SLUG, Domain, DomainKind, TenantPolicy};
use vestibule_core::identity::user::{Profile, User, identifier_key};
use vestibule_core::oauth::alias::EndpointAliasSettings;
use vestibule_core::oauth::client::{Client, ClientAuthMethod, ClientMetadata};
use vestibule_core::oauth::scope::{ScopeRecord, ScopeSet, served};
use vestibule_core::relying_party::provider::ProviderSettings;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_core::time::Timestamp;
use vestibule_store::TenantUnit;
use vestibule_store::clients::ClientRecord;
use vestibule_store::docs_sites::DocsSiteRecord;
use vestibule_store::providers::ProviderRecord;
use vestibule_store::tenants::TenantRecord;
use vestibule_store::users::UserRecord;

/// The name of the default tenant when nobody names it.
const DEFAULT_NAME: &str = "Vestibule";

/// What the records say about what a document names.
#[derive(Default)]
pub(crate) struct State {
    /// The tenants by their slugs.
    pub(crate) tenants: BTreeMap<String, TenantState>,
    /// The slugs of the tenants that have the ids that the document names.
    pub(crate) ids: BTreeMap<TenantId, String>,
    /// The slugs of the tenants that have the hosts that the document names.
    pub(crate) hosts: BTreeMap<String, String>,
    /// The tenants and names of the docs sites that have the hosts that the document names.
    pub(crate) site_hosts: BTreeMap<String, (String, String)>,
}

/// A tenant as it is.
pub(crate) struct TenantState {
    /// Its record.
    pub(crate) record: TenantRecord,
    /// Its hosts.
    pub(crate) domains: Vec<Domain>,
    /// Its scopes.
    pub(crate) scopes: Vec<ScopeRecord>,
    /// Its clients: those that the document names, or all.
    pub(crate) clients: BTreeMap<String, ClientRecord>,
    /// Its people: those that the document names, or all.
    pub(crate) users: Vec<UserState>,
    /// Its providers.
    pub(crate) providers: Vec<ProviderState>,
    /// Its API keys.
    pub(crate) api_keys: Vec<ApiKey>,
    /// Its trusted domains.
    pub(crate) trusted_domains: Vec<String>,
    /// Its docs sites.
    pub(crate) docs_sites: Vec<DocsSiteState>,
}

impl TenantState {
    /// A tenant of which nothing but the record is known or needed.
    pub(crate) const fn bare(record: TenantRecord) -> Self {
        Self {
            record,
            domains: Vec::new(),
            scopes: Vec::new(),
            clients: BTreeMap::new(),
            users: Vec::new(),
            providers: Vec::new(),
            api_keys: Vec::new(),
            trusted_domains: Vec::new(),
            docs_sites: Vec::new(),
        }
    }
}

/// A provider as it is.
pub(crate) struct ProviderState {
    /// Its record.
    pub(crate) record: ProviderRecord,
    /// Whether the stored secret is the one that is given.
    pub(crate) has_given_secret: bool,
}

/// A docs site as it is.
pub(crate) struct DocsSiteState {
    /// Its record.
    pub(crate) record: DocsSiteRecord,
    /// Whether the stored secret is the one that is given.
    pub(crate) has_given_secret: bool,
}

/// A person as they are.
#[derive(Clone)]
pub(crate) struct UserState {
    /// Their record.
    pub(crate) record: UserRecord,
    /// Their password.
    pub(crate) password: StoredPassword,
}

/// How a person's password stands to the one that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredPassword {
    /// They have none.
    Absent,
    /// It is another one, or none is given.
    Other,
    /// It is the one that is given.
    Given,
}

/// How to go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the document does not name stays.
    Named,
    /// What the document does not name goes: hosts, scopes, clients, people, providers, API keys, trusted domains and docs sites of its
    /// tenants, and other tenants. The default tenant and operators stay.
    Everything,
}

/// What is done to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeAction {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is removed.
    Remove,
}

/// What kind of thing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A tenant.
    Tenant,
    /// A host.
    Domain,
    /// A scope.
    Scope,
    /// A client.
    Client,
    /// A person.
    User,
    /// A provider.
    Provider,
    /// An API key.
    ApiKey,
    /// A trusted domain.
    TrustedDomain,
    /// A docs site.
    DocsSite,
}

/// One change, without its values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Change {
    /// What is done.
    pub(crate) action: ChangeAction,
    /// To what kind of thing.
    pub(crate) kind: Kind,
    /// In which tenant.
    pub(crate) tenant: String,
    /// To which one.
    pub(crate) name: String,
    /// The fields that change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.action {
            ChangeAction::Create => '+',
            ChangeAction::Update => '~',
            ChangeAction::Remove => '-',
        };
        let kind = match self.kind {
            Kind::Tenant => "tenant",
            Kind::Domain => "domain",
            Kind::Scope => "scope",
            Kind::Client => "client",
            Kind::User => "user",
            Kind::Provider => "provider",
            Kind::ApiKey => "API key",
            Kind::TrustedDomain => "trusted domain",
            Kind::DocsSite => "docs site",
        };
        write!(f, "{sign} {kind} ")?;
        if self.kind != Kind::Tenant {
            write!(f, "{}/", self.tenant)?;
        }
        f.write_str(&self.name)?;
        if self.fields.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.fields.join(", "))
        }
    }
}

/// A secret that was made, shown once.
#[derive(Clone)]
pub(crate) struct Generated {
    /// The tenant that it belongs to.
    pub(crate) tenant: String,
    /// What it is the secret of.
    pub(crate) of: GeneratedOf,
    /// The secret.
    pub(crate) secret: Secret,
}

/// What a secret was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GeneratedOf {
    /// A client, by its id.
    Client(String),
    /// An API key, by its name.
    ApiKey(String),
}

/// A provider that is written; a secret must be sealed before.
pub(crate) struct ProviderChange {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// What is written of it.
    pub(crate) settings: ProviderSettings,
    /// Our secret there.
    pub(crate) secret: ClientSecretOf,
}

/// A docs site that is written; a secret must be sealed before.
pub(crate) struct DocsSiteChange {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// What it is.
    pub(crate) site: DocsSite,
    /// What is written of it.
    pub(crate) settings: DocsSiteSettings,
    /// Its client's secret.
    pub(crate) secret: ClientSecretOf,
}

/// What becomes of our secret at another server.
pub(crate) enum ClientSecretOf {
    /// There is none.
    None,
    /// The sealed one stays.
    Sealed(Vec<u8>),
    /// It is this one.
    Given(Secret),
}

/// A password that must be hashed or looked at before it is written.
pub(crate) struct PasswordChange {
    /// The tenant of the person.
    pub(crate) tenant: TenantId,
    /// The person.
    pub(crate) user: UserId,
    /// Where it stands.
    pub(crate) place: String,
    /// The password.
    pub(crate) password: GivenPassword,
    /// Whether the person exists already: their sessions then end.
    pub(crate) replaces: bool,
}

/// What is decided.
pub(crate) struct Decision {
    /// The changes in words.
    pub(crate) changes: Vec<Change>,
    /// What writes them, but for passwords and keys.
    pub(crate) unit: TenantUnit,
    /// Passwords to write.
    pub(crate) passwords: Vec<PasswordChange>,
    /// Providers to write.
    pub(crate) providers: Vec<ProviderChange>,
    /// Docs sites to write.
    pub(crate) docs_sites: Vec<DocsSiteChange>,
    /// Tenants that are new and need keys.
    pub(crate) new_tenants: Vec<TenantId>,
    /// Tenants whose configuration changes.
    pub(crate) changed: BTreeSet<TenantId>,
    /// Secrets that were made.
    pub(crate) generated: Vec<Generated>,
    /// What was left alone and why.
    pub(crate) warnings: Vec<Problem>,
}

/// Compares a document with the records. `public_host` is the host of the public URL, which belongs to no tenant's list.
pub(crate) fn decide(
    document: &Document,
    state: &State,
    scope: Scope,
    public_host: &str,
    now: Timestamp,
    chance: &dyn Chance,
) -> Result<Decision, Vec<Problem>> {
    // The first tenant of the unit is no tenant's: every statement says where it belongs.
    let decision = Decision {
        changes: Vec::new(),
        unit: TenantUnit::new(TenantId::from_bytes([0; 16])),
        passwords: Vec::new(),
        providers: Vec::new(),
        docs_sites: Vec::new(),
        new_tenants: Vec::new(),
        changed: BTreeSet::new(),
        generated: Vec::new(),
        warnings: Vec::new(),
    };
    let mut planner = Planner {
        state,
        scope,
        public_host,
        now,
        chance,
        decision,
        problems: Vec::new(),
        removed: BTreeSet::new(),
    };
    // What goes makes room for what comes.
    planner.remove_unnamed(document);
    for tenant in &document.tenants {
        planner.tenant(document, tenant);
    }
    if !document
        .tenants
        .iter()
        .any(|tenant| tenant.slug == DEFAULT_SLUG)
        && !state.tenants.contains_key(DEFAULT_SLUG)
    {
        planner.create_default_tenant();
    }
    if planner.problems.is_empty() {
        Ok(planner.decision)
    } else {
        Err(planner.problems)
    }
}

/// What is the same about every entry of one tenant.
struct Within<'a> {
    tenant: TenantId,
    slug: &'a str,
    state: Option<&'a TenantState>,
    served: ScopeSet,
    groups: Vec<String>,
}

struct Planner<'a> {
    state: &'a State,
    scope: Scope,
    public_host: &'a str,
    now: Timestamp,
    chance: &'a dyn Chance,
    decision: Decision,
    problems: Vec<Problem>,
    /// People who go.
    removed: BTreeSet<UserId>,
}

impl Planner<'_> {
    fn problem(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.problems.push(Problem::new(place, text));
    }

    fn write(&mut self, tenant: TenantId, add: impl FnOnce(TenantUnit) -> TenantUnit) {
        let unit = std::mem::replace(&mut self.decision.unit, TenantUnit::new(tenant));
        self.decision.unit = add(unit.in_tenant(tenant));
    }

    fn change(
        &mut self,
        action: ChangeAction,
        kind: Kind,
        (tenant, id): (&str, TenantId),
        name: &str,
        fields: Vec<String>,
    ) {
        if kind != Kind::User {
            self.decision.changed.insert(id);
        }
        let change = Change {
            action,
            kind,
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            fields,
        };
        self.decision.changes.push(change);
    }

    fn remove_unnamed(&mut self, document: &Document) {
        if self.scope == Scope::Named {
            return;
        }
        for (slug, state) in &self.state.tenants {
            let (id, of) = (state.record.id, (slug.as_str(), state.record.id));
            let Some(entry) = document.tenants.iter().find(|tenant| &tenant.slug == slug) else {
                if slug != DEFAULT_SLUG {
                    self.write(id, TenantUnit::remove_tenant);
                    self.change(ChangeAction::Remove, Kind::Tenant, of, slug, Vec::new());
                }
                continue;
            };
            for domain in &state.domains {
                if !entry
                    .domains
                    .iter()
                    .any(|named| named.value.host == domain.host)
                {
                    self.write(id, |unit| unit.remove_domain(&domain.host));
                    self.change(
                        ChangeAction::Remove,
                        Kind::Domain,
                        of,
                        &domain.host,
                        Vec::new(),
                    );
                }
            }
            for scope in &state.scopes {
                if !entry
                    .scopes
                    .iter()
                    .any(|named| named.value.name == scope.name)
                {
                    self.write(id, |unit| unit.remove_scope(&scope.name));
                    self.change(
                        ChangeAction::Remove,
                        Kind::Scope,
                        of,
                        &scope.name,
                        Vec::new(),
                    );
                }
            }
            for client_id in state.clients.keys() {
                if !entry
                    .clients
                    .iter()
                    .any(|named| &named.metadata.client_id == client_id)
                {
                    self.write(id, |unit| unit.remove_client(client_id));
                    self.change(
                        ChangeAction::Remove,
                        Kind::Client,
                        of,
                        client_id,
                        Vec::new(),
                    );
                }
            }
            self.remove_unnamed_broker(entry, state);
            self.remove_unnamed_docs_sites(entry, state);
            let kept: BTreeSet<UserId> = entry
                .users
                .iter()
                .filter_map(|named| find(state, named))
                .map(|user| user.record.user.id)
                .collect();
            for user in &state.users {
                if !kept.contains(&user.record.user.id) && user.record.operator_at.is_none() {
                    let now = self.now;
                    self.removed.insert(user.record.user.id);
                    self.write(id, |unit| {
                        unit.end_everything_of(user.record.user.id, now)
                            .remove_user(user.record.user.id)
                    });
                    self.change(
                        ChangeAction::Remove,
                        Kind::User,
                        of,
                        &label(&user.record.user),
                        Vec::new(),
                    );
                }
            }
        }
    }

    fn create_default_tenant(&mut self) {
        let record = TenantRecord {
            id: TenantId::new(self.now, self.chance),
            slug: DEFAULT_SLUG.to_owned(),
            name: DEFAULT_NAME.to_owned(),
            policy: TenantPolicy::default(),
            groups: Vec::new(),
            docs_profile: DocsProfileSettings::default(),
            endpoint_aliases: EndpointAliasSettings::default(),
        };
        self.insert_tenant(&record);
    }

    fn insert_tenant(&mut self, record: &TenantRecord) {
        let (id, now) = (record.id, self.now);
        self.write(id, |unit| unit.insert_tenant(record, now));
        self.change(
            ChangeAction::Create,
            Kind::Tenant,
            (&record.slug, id),
            &record.slug,
            Vec::new(),
        );
        self.decision.new_tenants.push(id);
    }

    fn tenant(&mut self, document: &Document, entry: &TenantEntry) {
        let state = self.state.tenants.get(&entry.slug);
        let (id, groups) = match state {
            Some(state) => (state.record.id, self.update_tenant(entry, &state.record)),
            None => self.create_tenant(entry),
        };
        for domain in &entry.domains {
            self.domain(document, (&entry.slug, id), state, domain);
        }
        self.check_primary(entry, state);
        self.check_docs_profile(entry, state);
        let mut scopes: Vec<ScopeRecord> = entry
            .scopes
            .iter()
            .map(|scope| scope.value.clone())
            .collect();
        if self.scope == Scope::Named {
            scopes.extend(
                state
                    .into_iter()
                    .flat_map(|state| state.scopes.iter().cloned()),
            );
        }
        for scope in &entry.scopes {
            self.scope((&entry.slug, id), state, &scope.value);
        }
        let within = Within {
            tenant: id,
            slug: &entry.slug,
            state,
            served: served(&Self::policy_of(entry, state).with_docs_scope(scopes)),
            groups,
        };
        for client in &entry.clients {
            self.client(&within, client);
        }
        for user in &entry.users {
            self.user(&within, user);
        }
        self.broker(&within, entry);
        self.docs_sites(&within, entry);
    }

    fn create_tenant(&mut self, entry: &TenantEntry) -> (TenantId, Vec<String>) {
        if let Some(id) = entry.id
            && let Some(slug) = self.state.ids.get(&id)
        {
            self.problem(
                format!("{}.id", entry.place),
                format!("belongs to the tenant `{slug}`; a slug does not change"),
            );
        }
        let name = match &entry.name {
            Some(name) => name.clone(),
            None if entry.slug == DEFAULT_SLUG => DEFAULT_NAME.to_owned(),
            None => entry.slug.clone(),
        };
        let record = TenantRecord {
            id: entry
                .id
                .unwrap_or_else(|| TenantId::new(self.now, self.chance)),
            slug: entry.slug.clone(),
            name,
            policy: entry.policy.clone().unwrap_or_default(),
            groups: entry.groups.clone().unwrap_or_default(),
            docs_profile: entry
                .docs_profile
                .as_ref()
                .map(|profile| profile.value.clone())
                .unwrap_or_default(),
            endpoint_aliases: entry.endpoint_aliases.clone().unwrap_or_default(),
        };
        let result = (record.id, record.groups.clone());
        self.insert_tenant(&record);
        result
    }

    fn update_tenant(&mut self, entry: &TenantEntry, record: &TenantRecord) -> Vec<String> {
        if entry.id.is_some_and(|id| id != record.id) {
            self.problem(
                format!("{}.id", entry.place),
                format!(
                    "the tenant `{}` has the id {}, and an id does not change",
                    record.slug, record.id
                ),
            );
        }
        let wanted = TenantRecord {
            id: record.id,
            slug: record.slug.clone(),
            name: entry.name.clone().unwrap_or_else(|| record.name.clone()),
            policy: entry
                .policy
                .clone()
                .unwrap_or_else(|| record.policy.clone()),
            groups: entry
                .groups
                .clone()
                .unwrap_or_else(|| record.groups.clone()),
            docs_profile: entry.docs_profile.as_ref().map_or_else(
                || record.docs_profile.clone(),
                |profile| profile.value.clone(),
            ),
            endpoint_aliases: entry
                .endpoint_aliases
                .clone()
                .unwrap_or_else(|| record.endpoint_aliases.clone()),
        };
        if &wanted != record {
            let mut fields = Vec::new();
            if wanted.name != record.name {
                fields.push("name".to_owned());
            }
            if wanted.groups != record.groups {
                fields.push("groups".to_owned());
            }
            fields.extend(changed_fields(
                "policy.",
                &to_map(&record.policy),
                &to_map(&wanted.policy),
            ));
            fields.extend(changed_fields(
                "docs_profile.",
                &to_map(&record.docs_profile),
                &to_map(&wanted.docs_profile),
            ));
            fields.extend(changed_fields(
                "endpoint_aliases.",
                &to_map(&record.endpoint_aliases),
                &to_map(&wanted.endpoint_aliases),
            ));
            let now = self.now;
            self.write(record.id, |unit| unit.update_tenant(&wanted, now));
            self.change(
                ChangeAction::Update,
                Kind::Tenant,
                (&record.slug, record.id),
                &record.slug,
                fields,
            );
        }
        wanted.groups
    }

    fn domain(
        &mut self,
        document: &Document,
        of: (&str, TenantId),
        state: Option<&TenantState>,
        domain: &Placed<Domain>,
    ) {
        let host = &domain.value.host;
        if host == self.public_host {
            self.problem(
                format!("{}.host", domain.place),
                "is the host of the public URL, which needs no entry; leave it out",
            );
        }
        if let Some(owner) = self
            .state
            .hosts
            .get(host)
            .filter(|owner| owner.as_str() != of.0)
        {
            let named = document.tenants.iter().find(|tenant| &tenant.slug == owner);
            let gives_it_up = self.scope == Scope::Everything
                && (named.is_some() || owner != DEFAULT_SLUG)
                && !named.is_some_and(|tenant| {
                    tenant
                        .domains
                        .iter()
                        .any(|domain| &domain.value.host == host)
                });
            if !gives_it_up {
                self.problem(
                    format!("{}.host", domain.place),
                    format!("the tenant `{owner}` answers on this host"),
                );
            }
        }
        let present =
            state.and_then(|state| state.domains.iter().find(|present| &present.host == host));
        let (action, fields) = match present {
            Some(present) if present == &domain.value => return,
            Some(_) => (ChangeAction::Update, vec!["kind".to_owned()]),
            None => (ChangeAction::Create, Vec::new()),
        };
        self.write(of.1, |unit| unit.upsert_domain(&domain.value));
        self.change(action, Kind::Domain, of, host, fields);
    }

    /// A tenant has one primary host, those included that the document does not name.
    fn check_primary(&mut self, entry: &TenantEntry, state: Option<&TenantState>) {
        let mut named = entry.domains.iter();
        let Some(primary) = named.find(|named| named.value.kind == DomainKind::Primary) else {
            return;
        };
        let kept = state.filter(|_| self.scope == Scope::Named);
        let other = kept
            .into_iter()
            .flat_map(|state| &state.domains)
            .find(|kept| {
                let mut named = entry.domains.iter();
                kept.kind == DomainKind::Primary
                    && !named.any(|named| named.value.host == kept.host)
            });
        if let Some(other) = other {
            let text = format!(
                "the primary host of the tenant is `{}`; remove it or make it an alias first",
                other.host
            );
            self.problem(format!("{}.kind", primary.place), text);
        }
    }

    fn scope(&mut self, of: (&str, TenantId), state: Option<&TenantState>, scope: &ScopeRecord) {
        let present = state.and_then(|state| {
            state
                .scopes
                .iter()
                .find(|present| present.name == scope.name)
        });
        let (action, fields) = match present {
            Some(present) if present == scope => return,
            Some(present) => (
                ChangeAction::Update,
                changed_fields("", &to_map(present), &to_map(scope)),
            ),
            None => (ChangeAction::Create, Vec::new()),
        };
        self.write(of.1, |unit| unit.upsert_scope(scope));
        self.change(action, Kind::Scope, of, &scope.name, fields);
    }

    fn client(&mut self, within: &Within<'_>, entry: &ClientEntry) {
        let metadata = &entry.metadata;
        let present = within
            .state
            .and_then(|state| state.clients.get(&metadata.client_id));
        let stored = present
            .map(|record| record.secrets.as_slice())
            .unwrap_or_default();
        let (secrets, generated) = self.secrets(metadata, entry.secret, stored);
        if let Err(problems) = Client::from_metadata(metadata, secrets.clone(), &within.served) {
            for problem in problems {
                self.problem(
                    format!("{}.{}", entry.place, problem.field),
                    problem.problem,
                );
            }
            return;
        }
        let now = self.now;
        let of = (within.slug, within.tenant);
        match present {
            None => {
                self.write(within.tenant, |unit| {
                    unit.insert_client(metadata, &secrets, now)
                });
                self.change(
                    ChangeAction::Create,
                    Kind::Client,
                    of,
                    &metadata.client_id,
                    Vec::new(),
                );
            }
            Some(record) => {
                let mut fields = changed_fields("", &to_map(&record.metadata), &to_map(metadata));
                let same = secrets.len() == stored.len()
                    && secrets
                        .iter()
                        .zip(stored)
                        .all(|(one, other)| one.matches(other));
                if !same {
                    fields.push("client_secret".to_owned());
                }
                if fields.is_empty() {
                    return;
                }
                self.write(within.tenant, |unit| {
                    unit.update_client(metadata, &secrets, now)
                });
                self.change(
                    ChangeAction::Update,
                    Kind::Client,
                    of,
                    &metadata.client_id,
                    fields,
                );
            }
        }
        if let Some(secret) = generated {
            let generated = Generated {
                tenant: within.slug.to_owned(),
                of: GeneratedOf::Client(metadata.client_id.clone()),
                secret,
            };
            self.decision.generated.push(generated);
        }
    }

    /// The digests that a client is to have. A given secret that is one of the stored ones leaves them alone, so that a file does
    /// not end an overlap of two secrets.
    fn secrets(
        &self,
        metadata: &ClientMetadata,
        given: Option<SecretDigest>,
        stored: &[SecretDigest],
    ) -> (Vec<SecretDigest>, Option<Secret>) {
        match (metadata.token_endpoint_auth_method, given) {
            (ClientAuthMethod::None, _) => (Vec::new(), None),
            (_, Some(given)) if !stored.iter().any(|known| known.matches(&given)) => {
                (vec![given], None)
            }
            (_, None) if stored.is_empty() => {
                let secret = Secret::random(self.chance);
                (
                    vec![SecretDigest::of_client_secret(secret.reveal())],
                    Some(secret),
                )
            }
            (_, _) => (stored.to_vec(), None),
        }
    }

    fn user(&mut self, within: &Within<'_>, entry: &UserEntry) {
        let present = within.state.and_then(|state| find(state, entry));
        let Some(user) = self.wanted_user(within, entry, present.map(|state| &state.record.user))
        else {
            return;
        };
        let (id, now, of) = (user.id, self.now, (within.slug, within.tenant));
        let mut fields = Vec::new();
        let password = self.wanted_password(entry, present);
        match present {
            None => {
                let record = UserRecord {
                    user: user.clone(),
                    operator_at: None,
                };
                self.write(within.tenant, |unit| unit.insert_user(&record, now));
                self.change(
                    ChangeAction::Create,
                    Kind::User,
                    of,
                    &label(&user),
                    Vec::new(),
                );
            }
            Some(UserState {
                record: UserRecord { user: before, .. },
                ..
            }) => {
                fields.extend(changed_user_fields(before, &user));
                if !fields.is_empty() {
                    self.write(within.tenant, |unit| unit.update_user(&user, now));
                }
                if user.disabled_at.is_some() && before.disabled_at.is_none() {
                    self.write(within.tenant, |unit| unit.end_everything_of(id, now));
                }
                if password.is_some() {
                    fields.push("password".to_owned());
                }
                if !fields.is_empty() {
                    self.change(ChangeAction::Update, Kind::User, of, &label(&user), fields);
                }
            }
        }
        if let Some(password) = password {
            let (place, replaces) = (entry.place.clone(), present.is_some());
            self.decision.passwords.push(PasswordChange {
                tenant: within.tenant,
                user: id,
                place,
                password,
                replaces,
            });
        }
    }

    fn wanted_password(
        &mut self,
        entry: &UserEntry,
        present: Option<&UserState>,
    ) -> Option<GivenPassword> {
        let given = entry.password.clone()?;
        let stored = present.map_or(StoredPassword::Absent, |present| present.password);
        match (&given, stored) {
            (_, StoredPassword::Given) => None,
            (GivenPassword::Hash(_), StoredPassword::Other) => {
                let place = format!("{}.password_hash", entry.place);
                self.decision.warnings.push(Problem::new(
                    place,
                    "the person has a password already, which stays",
                ));
                None
            }
            (GivenPassword::Hash(_), StoredPassword::Absent) | (GivenPassword::Clear(_), _) => {
                Some(given)
            }
        }
    }

    /// The record that a person is to have; `None` after a problem.
    fn wanted_user(
        &mut self,
        within: &Within<'_>,
        entry: &UserEntry,
        before: Option<&User>,
    ) -> Option<User> {
        let before_count = self.problems.len();
        let mut user = before.cloned().unwrap_or_else(|| User {
            id: UserId::new(self.now, self.chance),
            username: None,
            email: None,
            email_verified: false,
            profile: Profile::default(),
            updated_at: self.now,
            disabled_at: None,
        });
        let given = |text: &Option<String>, current: Option<String>| match text.as_deref() {
            None => current,
            Some("") => None,
            Some(text) => Some(text.to_owned()),
        };
        user.username = given(&entry.username, user.username);
        let email = given(&entry.email, user.email.clone());
        if email.as_deref().map(identifier_key) != user.email.as_deref().map(identifier_key) {
            // Another address has not been proved by anybody yet.
            user.email_verified = false;
        }
        user.email = email;
        user.email_verified =
            entry.email_verified.unwrap_or(user.email_verified) && user.email.is_some();
        self.check_named(entry, before, &user);
        match entry.disabled {
            Some(true) => user.disabled_at = user.disabled_at.or(Some(self.now)),
            Some(false) => user.disabled_at = None,
            None => {}
        }
        let mut profile = to_map(&user.profile);
        for (key, value) in &entry.profile {
            profile.insert(key.clone(), value.clone());
        }
        match serde_json::from_value::<Profile>(Value::Object(without_empty(&profile))) {
            Ok(profile) => user.profile = profile,
            Err(error) => self.problem(&entry.place, error.to_string()),
        }
        if let Err(problem) = user.profile.check() {
            self.problem(&entry.place, problem);
        }
        if entry.profile.contains_key("groups") {
            for (index, group) in user.profile.groups.iter().enumerate() {
                if !within.groups.contains(group) {
                    let text = format!(
                        "`{group}` is not a group of the tenant `{}`; add it to the tenant's groups first",
                        within.slug
                    );
                    self.problems.push(Problem::new(
                        format!("{}.groups[{index}]", entry.place),
                        text,
                    ));
                }
            }
        }
        self.check_taken(within, entry, &user);
        (self.problems.len() == before_count).then_some(user)
    }

    /// Whoever is made here, or is called something, is called something afterwards. Somebody whom a provider sent without an address
    /// may be nameless, and is changed like anybody else; a password would open nothing to them, since nobody could type who they are.
    fn check_named(&mut self, entry: &UserEntry, before: Option<&User>, user: &User) {
        let is_nameless = |user: &User| user.username.is_none() && user.email.is_none();
        if !is_nameless(user) {
            return;
        }
        if !before.is_some_and(is_nameless) {
            self.problem(&entry.place, "a person has a username, an email or both");
        } else if entry.password.is_some() {
            self.problem(
                format!("{}.password", entry.place),
                "nobody can sign in with a password without a username or an email; give the person one of them first",
            );
        }
    }

    fn check_taken(&mut self, within: &Within<'_>, entry: &UserEntry, user: &User) {
        let Some(state) = within.state else { return };
        for other in &state.users {
            let other = &other.record.user;
            let named = |key: &Option<String>, theirs: &Option<String>| {
                key.is_some()
                    && key.as_deref().map(identifier_key) == theirs.as_deref().map(identifier_key)
            };
            if other.id == user.id || self.removed.contains(&other.id) {
                continue;
            }
            if named(&user.username, &other.username) {
                self.problem(
                    format!("{}.username", entry.place),
                    "another person has this user name",
                );
            }
            if named(&user.email, &other.email) {
                self.problem(
                    format!("{}.email", entry.place),
                    "another person has this address",
                );
            }
        }
    }
}

/// The person whom an entry means: the one who is named, or has the user name, or, where none is given, the address.
fn find<'a>(state: &'a TenantState, entry: &UserEntry) -> Option<&'a UserState> {
    let key = |text: &Option<String>| text.as_deref().map(identifier_key);
    let mut users = state.users.iter();
    match (entry.target, key(&entry.username), key(&entry.email)) {
        (Some(id), _, _) => users.find(|user| user.record.user.id == id),
        (None, Some(username), _) => {
            users.find(|user| key(&user.record.user.username).as_ref() == Some(&username))
        }
        (None, None, Some(email)) => {
            users.find(|user| key(&user.record.user.email).as_ref() == Some(&email))
        }
        (None, None, None) => None,
    }
}

fn label(user: &User) -> String {
    user.username
        .clone()
        .or_else(|| user.email.clone())
        .unwrap_or_else(|| user.id.to_string())
}

/// A value as a JSON object.
fn to_map(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// The names of the entries that differ; one level down for tables.
fn changed_fields(
    prefix: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<String> {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut fields = Vec::new();
    for key in keys {
        match (before.get(key), after.get(key)) {
            (before, after) if before == after => {}
            (Some(Value::Object(before)), Some(Value::Object(after))) if key == "policy" => {
                fields.extend(changed_fields("policy.", before, after));
            }
            _ => fields.push(format!("{prefix}{key}")),
        }
    }
    fields
}

fn changed_user_fields(before: &User, after: &User) -> Vec<String> {
    let mut fields = Vec::new();
    for (name, changed) in [
        ("username", before.username != after.username),
        ("email", before.email != after.email),
        (
            "email_verified",
            before.email_verified != after.email_verified,
        ),
        (
            "disabled",
            before.disabled_at.is_some() != after.disabled_at.is_some(),
        ),
    ] {
        if changed {
            fields.push(name.to_owned());
        }
    }
    fields.extend(changed_fields(
        "",
        &to_map(&before.profile),
        &to_map(&after.profile),
    ));
    fields
}
