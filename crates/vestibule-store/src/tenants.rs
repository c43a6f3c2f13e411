//! Tenants, their domains and their scopes: configuration, cached by the server.

use crate::db::{DbError, Row};
use crate::{Store, TenantUnit, corrupt, json, to_json, values};
use vestibule_core::docs::profile::DocsProfileSettings;
use vestibule_core::id::TenantId;
use vestibule_core::identity::tenant::{Domain, DomainKind, TenantPolicy};
use vestibule_core::oauth::alias::EndpointAliasSettings;
use vestibule_core::oauth::scope::{ScopeConsent, ScopeRecord};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND_BY_ID: hot = "SELECT id, slug, name, policy, groups, docs_profile, endpoint_aliases FROM tenants WHERE id = $1";
    FIND_BY_SLUG: hot = "SELECT id, slug, name, policy, groups, docs_profile, endpoint_aliases FROM tenants WHERE slug = $1";
    FIND_BY_HOST: hot = "SELECT t.id, t.slug, t.name, t.policy, t.groups, t.docs_profile, t.endpoint_aliases, d.kind FROM domains d JOIN tenants t ON t.id = d.tenant_id WHERE d.host = $1";
    LIST = "SELECT id, slug, name, policy, groups, docs_profile, endpoint_aliases FROM tenants WHERE slug > $1 ORDER BY slug LIMIT $2";
    INSERT: hot = "INSERT INTO tenants (id, slug, name, policy, groups, docs_profile, endpoint_aliases, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT DO NOTHING";
    UPDATE: hot = "UPDATE tenants SET name = $2, policy = $3, groups = $4, docs_profile = $5, endpoint_aliases = $6, updated_at = $7 WHERE id = $1";
    REMOVE: hot = "DELETE FROM tenants WHERE id = $1";
    LIST_DOMAINS: hot = "SELECT host, kind FROM domains WHERE tenant_id = $1 ORDER BY host";
    UPSERT_DOMAIN: hot = "INSERT INTO domains (host, tenant_id, kind) VALUES ($2, $1, $3) ON CONFLICT (host) DO UPDATE SET kind = excluded.kind WHERE domains.tenant_id = $1";
    REMOVE_DOMAIN: hot = "DELETE FROM domains WHERE host = $2 AND tenant_id = $1";
    REMOVE_DOMAINS: hot = "DELETE FROM domains WHERE tenant_id = $1";
    LIST_SCOPES: hot = "SELECT name, description, consent FROM scopes WHERE tenant_id = $1 ORDER BY name";
    UPSERT_SCOPE: hot = "INSERT INTO scopes (tenant_id, name, description, consent) VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, name) DO UPDATE SET description = excluded.description, consent = excluded.consent";
    REMOVE_SCOPE: hot = "DELETE FROM scopes WHERE tenant_id = $1 AND name = $2";
    REMOVE_SCOPES: hot = "DELETE FROM scopes WHERE tenant_id = $1";
    REMOVE_CLIENTS: hot = "DELETE FROM clients WHERE tenant_id = $1";
    REMOVE_KEYS: hot = "DELETE FROM keys WHERE tenant_id = $1";
    REMOVE_USERS: hot = "DELETE FROM users WHERE tenant_id = $1";
    REMOVE_CREDENTIALS: hot = "DELETE FROM credentials WHERE tenant_id = $1";
    REMOVE_GRANTS: hot = "DELETE FROM grants WHERE tenant_id = $1";
    REMOVE_SESSIONS: hot = "DELETE FROM sessions WHERE tenant_id = $1";
}

/// A tenant's record; its issuer follows from the server's public URL and its domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRecord {
    /// Its id.
    pub id: TenantId,
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What it decides.
    pub policy: TenantPolicy,
    /// The groups that people can be in.
    pub groups: Vec<String>,
    /// What docs sites are told about people.
    pub docs_profile: DocsProfileSettings,
    /// Where its endpoints answer besides their own places.
    pub endpoint_aliases: EndpointAliasSettings,
}

/// The most tenants of one page.
pub const TENANTS_PAGE_MAX: u32 = 500;

fn read(row: &Row) -> Result<TenantRecord, DbError> {
    Ok(TenantRecord {
        id: TenantId::from_bytes(row.id(0)?),
        slug: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        policy: json(row, 3, &LIST, "policy")?,
        groups: json(row, 4, &LIST, "groups")?,
        docs_profile: json(row, 5, &LIST, "docs_profile")?,
        endpoint_aliases: json(row, 6, &LIST, "endpoint_aliases")?,
    })
}

impl Store {
    /// A tenant by its id.
    pub async fn any_tenant(&self, id: TenantId) -> Result<Option<TenantRecord>, DbError> {
        self.db
            .query_one(&FIND_BY_ID, &values![id.bytes()])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// A tenant by its slug.
    pub async fn any_tenant_by_slug(&self, slug: &str) -> Result<Option<TenantRecord>, DbError> {
        self.db
            .query_one(&FIND_BY_SLUG, &values![slug])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// A tenant by a host that it answers on, and what the host is to it.
    pub async fn any_tenant_by_host(
        &self,
        host: &str,
    ) -> Result<Option<(TenantRecord, DomainKind)>, DbError> {
        let row = self.db.query_one(&FIND_BY_HOST, &values![host]).await?;
        row.as_ref()
            .map(|row| Ok((read(row)?, domain_kind(row.text(7)?)?)))
            .transpose()
    }

    /// Tenants in the order of their slugs, after one.
    pub async fn any_tenants_after(&self, slug: &str) -> Result<Vec<TenantRecord>, DbError> {
        self.db
            .query(&LIST, &values![slug, TENANTS_PAGE_MAX])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl crate::TenantStore<'_> {
    /// The hosts that the tenant answers on.
    pub async fn domains(&self) -> Result<Vec<Domain>, DbError> {
        let rows = self
            .db
            .query(&LIST_DOMAINS, &values![self.tenant.bytes()])
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Domain {
                    host: row.text(0)?.to_owned(),
                    kind: domain_kind(row.text(1)?)?,
                })
            })
            .collect()
    }

    /// The scopes that the tenant adds to the standard ones.
    pub async fn scopes(&self) -> Result<Vec<ScopeRecord>, DbError> {
        let rows = self
            .db
            .query(&LIST_SCOPES, &values![self.tenant.bytes()])
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ScopeRecord {
                    name: row.text(0)?.to_owned(),
                    description: row.text(1)?.to_owned(),
                    consent: match row.text(2)? {
                        "ask" => ScopeConsent::Ask,
                        "implied" => ScopeConsent::Implied,
                        _ => return Err(corrupt(&LIST_SCOPES, "consent", "not a known word")),
                    },
                })
            })
            .collect()
    }
}

fn domain_kind(text: &str) -> Result<DomainKind, DbError> {
    match text {
        "primary" => Ok(DomainKind::Primary),
        "alias" => Ok(DomainKind::Alias),
        "satellite" => Ok(DomainKind::Satellite),
        _ => Err(corrupt(&LIST_DOMAINS, "kind", "not a known word")),
    }
}

impl TenantUnit {
    /// Adds the tenant. Lost when its id or slug is taken.
    #[must_use]
    pub fn insert_tenant(self, tenant: &TenantRecord, now: Timestamp) -> Self {
        let (policy, groups) = (to_json(&tenant.policy), to_json(&tenant.groups));
        let (docs_profile, aliases) = (
            to_json(&tenant.docs_profile),
            to_json(&tenant.endpoint_aliases),
        );
        self.expect(
            &INSERT,
            values![
                tenant.id.bytes(),
                &tenant.slug,
                &tenant.name,
                policy,
                groups,
                docs_profile,
                aliases,
                now.seconds()
            ],
        )
    }

    /// Changes the tenant's name, policy, groups, docs profile and endpoint aliases.
    #[must_use]
    pub fn update_tenant(self, tenant: &TenantRecord, now: Timestamp) -> Self {
        let (policy, groups) = (to_json(&tenant.policy), to_json(&tenant.groups));
        let (docs_profile, aliases) = (
            to_json(&tenant.docs_profile),
            to_json(&tenant.endpoint_aliases),
        );
        self.expect(
            &UPDATE,
            values![
                tenant.id.bytes(),
                &tenant.name,
                policy,
                groups,
                docs_profile,
                aliases,
                now.seconds()
            ],
        )
    }

    /// Removes the tenant with its configuration and people. Rows that live briefly are swept as they expire.
    #[must_use]
    pub fn remove_tenant(self) -> Self {
        let tenant = self.id();
        let mut unit = self.expect(&REMOVE, values![tenant]);
        for statement in [
            &REMOVE_DOMAINS,
            &REMOVE_SCOPES,
            &REMOVE_CLIENTS,
            &REMOVE_KEYS,
            &REMOVE_USERS,
            &REMOVE_CREDENTIALS,
            &REMOVE_GRANTS,
            &REMOVE_SESSIONS,
        ] {
            unit = unit.run(statement, values![tenant]);
        }
        unit.remove_broker_records().remove_docs_records()
    }

    /// Adds or changes a host. Lost when another tenant has it.
    #[must_use]
    pub fn upsert_domain(self, domain: &Domain) -> Self {
        let kind = match domain.kind {
            DomainKind::Primary => "primary",
            DomainKind::Alias => "alias",
            DomainKind::Satellite => "satellite",
        };
        let tenant = self.id();
        self.expect(&UPSERT_DOMAIN, values![tenant, &domain.host, kind])
    }

    /// Removes a host.
    #[must_use]
    pub fn remove_domain(self, host: &str) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE_DOMAIN, values![tenant, host])
    }

    /// Adds or changes a scope.
    #[must_use]
    pub fn upsert_scope(self, scope: &ScopeRecord) -> Self {
        let consent = match scope.consent {
            ScopeConsent::Ask => "ask",
            ScopeConsent::Implied => "implied",
        };
        let tenant = self.id();
        self.expect(
            &UPSERT_SCOPE,
            values![tenant, &scope.name, &scope.description, consent],
        )
    }

    /// Removes a scope.
    #[must_use]
    pub fn remove_scope(self, name: &str) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE_SCOPE, values![tenant, name])
    }
}
