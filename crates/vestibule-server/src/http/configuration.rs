//! Tenants, clients and keys as requests see them: read once, kept until they change.
//!
//! A change anywhere is announced by the database and counted by a version; whoever hears of it forgets what it kept of that tenant.
//! What was read while a change happened is used once and not kept.

use super::context::Shared;
use super::docs_sites::{self, ServedSite};
use super::projects::Project;
use super::signing::{self, JWKS_MAX_AGE_SECONDS, SigningError};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use vestibule_core::docs::profile::DocsProfile;
use vestibule_core::id::TenantId;
use vestibule_core::identity::tenant::{DEFAULT_SLUG, DomainKind, Tenant};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::SigningKey;
use vestibule_core::jose::key_set::KeySet;
use vestibule_core::oauth::alias::EndpointAliases;
use vestibule_core::oauth::bearer::AccessToken;
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::discovery;
use vestibule_core::oauth::scope::{ScopeSet, served};
use vestibule_core::url::Issuer;
use vestibule_store::db::DbError;
use vestibule_store::tenants::TenantRecord;

/// How long caches may keep the metadata, in seconds.
const METADATA_MAX_AGE_SECONDS: u32 = 300;

/// The most tenants that are kept.
const TENANTS_KEPT_MAX: usize = 20_000;
/// The most hosts that are kept, unknown ones among them.
const HOSTS_KEPT_MAX: usize = 20_000;
/// The most clients of one tenant that are kept, unknown ids among them.
const CLIENTS_KEPT_MAX: usize = 20_000;

/// The most verified access tokens of one tenant that are kept.
const VERIFIED_KEPT_MAX: usize = 10_000;

/// An answer that is made once: its bytes and its entity tag.
#[derive(Clone, Debug)]
pub(crate) struct Prebuilt {
    /// The body.
    pub(crate) bytes: Bytes,
    /// The quoted entity tag.
    pub(crate) etag: HeaderValue,
    /// How long caches may keep it.
    pub(crate) cache_control: HeaderValue,
}

impl Prebuilt {
    fn new(bytes: Vec<u8>, max_age_seconds: u32) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let etag = format!(
            "\"{}\"",
            URL_SAFE_NO_PAD.encode(digest.as_ref().get(..12).unwrap_or_default())
        );
        // Both are ASCII without control characters: nothing else can come here.
        let header = |text: &str| {
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("no-store"))
        };
        Self {
            bytes: bytes.into(),
            etag: header(&etag),
            cache_control: header(&format!("public, max-age={max_age_seconds}")),
        }
    }
}

/// A tenant with what its requests need.
pub(crate) struct TenantView {
    /// The tenant.
    pub(crate) tenant: Tenant,
    /// Every scope that it serves.
    pub(crate) served: ScopeSet,
    /// Its keys.
    pub(crate) keys: KeySet,
    /// What docs sites are told about people.
    pub(crate) docs_profile: DocsProfile,
    /// Where its endpoints answer besides their own places.
    pub(crate) aliases: EndpointAliases,
    /// Its key set document.
    pub(crate) jwks: Prebuilt,
    /// Its metadata document.
    pub(crate) discovery: Prebuilt,
    /// What its project API needs; read when it is first asked for.
    pub(super) project: tokio::sync::OnceCell<Arc<Project>>,
    clients: Cache<String, Option<Arc<Client>>>,
    verified: Cache<[u8; 32], Arc<AccessToken>>,
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    {
        *to = *from;
    }
    bytes
}

impl TenantView {
    /// A JWT access token whose signature held before. It spares the curve, never the look at what became of the token.
    pub(crate) fn verified(&self, text: &str) -> Option<Arc<AccessToken>> {
        self.verified.get(&digest_of(text))
    }

    /// Remembers that a signature held.
    pub(crate) fn remember_verified(&self, text: &str, token: Arc<AccessToken>) {
        self.verified.insert(digest_of(text), token);
    }

    /// A client by its id; unknown ones are remembered as unknown.
    pub(crate) async fn client(
        &self,
        shared: &Shared,
        id: &str,
    ) -> Result<Option<Arc<Client>>, DbError> {
        if let Some(known) = self.clients.get(id) {
            return Ok(known);
        }
        let record = shared.tenant(self.tenant.id).client(id).await?;
        let client = record.and_then(|record| {
            Client::from_metadata(&record.metadata, record.secrets, &self.served)
                .map_err(|problems| {
                    tracing::warn!(
                        client_id = id,
                        ?problems,
                        "a stored client is not sound and is not served"
                    );
                })
                .ok()
                .map(|client| {
                    let docs_scope = &self.tenant.policy.docs_scope;
                    Arc::new(client.with_docs_scope(&record.metadata, docs_scope))
                })
        });
        self.clients.insert(id.to_owned(), client.clone());
        Ok(client)
    }
}

/// What is written of a tenant, understood. It was checked when it was written; what this program takes for wrong is not served.
fn understood(tenant: &Tenant) -> (DocsProfile, EndpointAliases) {
    let slug = &tenant.slug;
    let profile = DocsProfile::from_settings(&tenant.docs_profile).unwrap_or_else(|problems| {
        tracing::warn!(
            slug,
            ?problems,
            "a stored docs profile is not sound; the default one serves"
        );
        DocsProfile::default()
    });
    let aliases =
        EndpointAliases::from_settings(&tenant.endpoint_aliases).unwrap_or_else(|problems| {
            tracing::warn!(
                slug,
                ?problems,
                "stored endpoint aliases are not sound and are not served"
            );
            EndpointAliases::default()
        });
    (profile, aliases)
}

/// What is kept of the configuration.
pub(crate) struct Configuration {
    by_slug: Cache<String, Arc<TenantView>>,
    by_host: Cache<String, Option<(String, DomainKind)>>,
    /// The docs sites that answer on hosts, unknown hosts among them.
    sites: Cache<String, Option<Arc<ServedSite>>>,
    /// The slugs of tenants that were asked for by their ids, unknown ones among them.
    by_id: Cache<TenantId, Option<String>>,
    /// Counts what was forgotten: a read that another thread's forgetting overtook is not kept.
    forgotten: AtomicU64,
    /// The version of the configuration that is known.
    version: AtomicI64,
    /// One key is made at a time.
    making: tokio::sync::Mutex<()>,
    loading: Mutex<()>,
}

impl Configuration {
    /// Nothing kept yet; everything up to `version` counts as seen.
    pub(crate) fn new(version: i64) -> Self {
        Self {
            by_slug: Cache::new(TENANTS_KEPT_MAX),
            by_host: Cache::new(HOSTS_KEPT_MAX),
            sites: Cache::new(HOSTS_KEPT_MAX),
            by_id: Cache::new(TENANTS_KEPT_MAX),
            forgotten: AtomicU64::new(0),
            version: AtomicI64::new(version),
            making: tokio::sync::Mutex::new(()),
            loading: Mutex::new(()),
        }
    }

    /// Forgets a tenant.
    pub(crate) fn forget(&self, tenant: TenantId) {
        let _guard = self.loading.lock();
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.by_slug.retain(|_, view| view.tenant.id != tenant);
        self.by_host.clear();
        // Those of other tenants stay: much is kept for a site that is read.
        self.sites
            .retain(|_, site| site.as_ref().is_some_and(|site| site.tenant != tenant));
        self.by_id.clear();
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        let _guard = self.loading.lock();
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.by_slug.clear();
        self.by_host.clear();
        self.sites.clear();
        self.by_id.clear();
    }

    /// Keeps something that was read while `seen` things had been forgotten, unless more have been since.
    fn keep(&self, seen: u64, keep: impl FnOnce()) {
        let _guard = self.loading.lock();
        if self.forgotten.load(Ordering::Acquire) == seen {
            keep();
        }
    }
}

impl Shared {
    /// The tenant of a slug.
    pub(crate) async fn tenant_by_slug(
        &self,
        slug: &str,
    ) -> Result<Option<Arc<TenantView>>, SigningError> {
        let configuration = &self.configuration;
        if let Some(view) = configuration.by_slug.get(slug) {
            return Ok(Some(view));
        }
        let seen = configuration.forgotten.load(Ordering::Acquire);
        let Some(record) = self.store.any_tenant_by_slug(slug).await? else {
            return Ok(None);
        };
        let view = Arc::new(self.view(record).await?);
        configuration.keep(seen, || {
            configuration
                .by_slug
                .insert(slug.to_owned(), Arc::clone(&view));
        });
        Ok(Some(view))
    }

    /// The tenant of an id.
    pub(crate) async fn tenant_by_id(
        &self,
        id: TenantId,
    ) -> Result<Option<Arc<TenantView>>, SigningError> {
        let configuration = &self.configuration;
        let slug = if let Some(known) = configuration.by_id.get(&id) {
            known
        } else {
            let seen = configuration.forgotten.load(Ordering::Acquire);
            let found = self.store.any_tenant(id).await?.map(|record| record.slug);
            configuration.keep(seen, || configuration.by_id.insert(id, found.clone()));
            found
        };
        match slug {
            Some(slug) => self.tenant_by_slug(&slug).await,
            None => Ok(None),
        }
    }

    /// The slug of the tenant that answers on a host, and what the host is to it.
    pub(crate) async fn tenant_of_host(
        &self,
        host: &str,
    ) -> Result<Option<(String, DomainKind)>, DbError> {
        let configuration = &self.configuration;
        if let Some(known) = configuration.by_host.get(host) {
            return Ok(known);
        }
        let seen = configuration.forgotten.load(Ordering::Acquire);
        let found = self
            .store
            .any_tenant_by_host(host)
            .await?
            .map(|(tenant, kind)| (tenant.slug, kind));
        configuration.keep(seen, || {
            configuration.by_host.insert(host.to_owned(), found.clone());
        });
        Ok(found)
    }

    /// The docs site that answers on a host.
    pub(crate) async fn docs_site_of_host(
        &self,
        host: &str,
    ) -> Result<Option<Arc<ServedSite>>, DbError> {
        let configuration = &self.configuration;
        if let Some(known) = configuration.sites.get(host) {
            return Ok(known);
        }
        let seen = configuration.forgotten.load(Ordering::Acquire);
        let found = self
            .store
            .any_docs_site_by_host(host)
            .await?
            .and_then(|(tenant, record)| docs_sites::open(self, tenant, &record))
            .map(Arc::new);
        configuration.keep(seen, || {
            configuration.sites.insert(host.to_owned(), found.clone());
        });
        Ok(found)
    }

    async fn view(&self, record: TenantRecord) -> Result<TenantView, SigningError> {
        let store = self.tenant(record.id);
        let (domains, scopes) = (store.domains().await?, store.scopes().await?);
        let scopes = record.policy.with_docs_scope(scopes);
        let keys = signing::open(self, record.id, &store.keys().await?)?;
        let primary = domains
            .iter()
            .find(|domain| domain.kind == DomainKind::Primary);
        let issuer = match primary {
            // A host was checked when it was registered; the scheme is the public URL's.
            Some(domain) if record.slug != DEFAULT_SLUG => {
                let scheme = if self.public_url.is_https() {
                    "https"
                } else {
                    "http"
                };
                Issuer::parse(&format!("{scheme}://{}", domain.host)).map_err(|error| {
                    SigningError::Key(format!(
                        "the primary domain of tenant {}: {error}",
                        record.slug
                    ))
                })?
            }
            _ if record.slug == DEFAULT_SLUG => self.public_url.clone(),
            _ => self.public_url.below(&record.slug),
        };
        let document = discovery::metadata(&issuer, &scopes, record.policy.sign_up);
        let tenant = Tenant {
            id: record.id,
            slug: record.slug,
            name: record.name,
            issuer,
            policy: record.policy,
            groups: record.groups,
            scopes,
            docs_profile: record.docs_profile,
            endpoint_aliases: record.endpoint_aliases,
        };
        let (docs_profile, aliases) = understood(&tenant);
        Ok(TenantView {
            served: served(&tenant.scopes),
            jwks: Prebuilt::new(keys.to_jwks_json(), JWKS_MAX_AGE_SECONDS),
            discovery: Prebuilt::new(
                serde_json::to_vec(&document).unwrap_or_default(),
                METADATA_MAX_AGE_SECONDS,
            ),
            tenant,
            keys,
            docs_profile,
            aliases,
            project: tokio::sync::OnceCell::new(),
            clients: Cache::new(CLIENTS_KEPT_MAX),
            verified: Cache::new(VERIFIED_KEPT_MAX),
        })
    }

    /// The key with which a tenant signs in an algorithm; made now if it never signed in it before.
    pub(crate) async fn signing_key(
        &self,
        view: &Arc<TenantView>,
        algorithm: Algorithm,
    ) -> Result<Arc<SigningKey>, SigningError> {
        if let Some(key) = view.keys.signing_key(algorithm) {
            return Ok(Arc::clone(key));
        }
        let slug = &view.tenant.slug;
        let missing = || SigningError::Key(format!("tenant {slug} has no key for {algorithm}"));
        let _one_at_a_time = self.configuration.making.lock().await;
        let fresh = self.tenant_by_slug(slug).await?.ok_or_else(missing)?;
        if let Some(key) = fresh.keys.signing_key(algorithm) {
            return Ok(Arc::clone(key));
        }
        signing::ensure(self, view.tenant.id, algorithm).await?;
        let fresh = self.tenant_by_slug(slug).await?.ok_or_else(missing)?;
        fresh
            .keys
            .signing_key(algorithm)
            .map(Arc::clone)
            .ok_or_else(missing)
    }

    /// Catches up with what changed since it last looked; called after announcements and each second.
    pub(crate) async fn catch_up(&self) -> Result<(), DbError> {
        let known = self.configuration.version.load(Ordering::Acquire);
        let current = self.store.configuration_version().await?;
        if current == known {
            return Ok(());
        }
        let changes = self.store.any_changes_after(known).await?;
        // A gap means that changes were forgotten before this node looked.
        let complete = changes
            .first()
            .is_some_and(|(version, _)| *version == known + 1)
            && changes
                .last()
                .is_some_and(|(version, _)| *version >= current);
        if complete {
            for (_, tenant) in &changes {
                self.configuration.forget(*tenant);
            }
        } else {
            self.configuration.forget_all();
        }
        let reached = changes
            .last()
            .map_or(current, |(version, _)| (*version).max(current));
        self.configuration
            .version
            .fetch_max(reached, Ordering::AcqRel);
        Ok(())
    }
}
