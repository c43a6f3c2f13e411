//! A tenant as its project API sees it: providers, keys, trusted domains. Read at the first need of a tenant's view, and gone with it.

use super::configuration::TenantView;
use super::context::Shared;
use super::flights::Flights;
use super::reply::Failure;
use std::sync::Arc;
use vestibule_core::id::{AccountId, TenantId};
use vestibule_core::identity::api_key::{ApiKey, KeyTier};
use vestibule_core::identity::trusted_domain::{TrustedDomain, TrustedDomains};
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::project::project_client;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::jwks::Jwks;
use vestibule_core::relying_party::metadata::ProviderMetadata;
use vestibule_core::relying_party::provider::Provider;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_core::time::Timestamp;
use vestibule_store::db::DbError;
use vestibule_store::providers::ProviderRecord;

/// Where the provider of that id sends browsers back to, below the issuer.
pub(crate) fn callback_path(provider: &str) -> String {
    format!("/api/v1/auth/oauth/callback/{provider}")
}

/// What a provider's endpoints and keys were when they were last read.
#[derive(Default)]
pub(crate) struct Discovered {
    /// Its endpoints, and when they were read.
    pub(crate) metadata: Option<(Arc<ProviderMetadata>, Timestamp)>,
    /// Its keys, and when they were read.
    pub(crate) keys: Option<(Arc<Jwks>, Timestamp)>,
    /// Why they could not be read, and when, so that a provider that is down does not hold up everybody.
    pub(crate) failed: Option<(UpstreamFault, Timestamp)>,
}

/// A provider that can be used.
pub(crate) struct Upstream {
    /// What it is.
    pub(crate) provider: Provider,
    /// Our secret there.
    pub(crate) secret: Option<Secret>,
    /// What was learnt of it. Whoever asks while somebody else is asking waits for the same answer.
    pub(crate) discovered: tokio::sync::Mutex<Discovered>,
}

/// What came of renewing a provider's tokens.
#[derive(Clone)]
pub(crate) enum Renewed {
    /// An access token, and the scopes that it has.
    Token(Secret, ScopeSet),
    /// None: the person has to sign in there again.
    Refused,
    /// None now: the provider cannot be asked.
    Unavailable,
}

/// Who renews which account's tokens, in this process.
pub(crate) type Renewals = Flights<(TenantId, AccountId), Result<Renewed, Failure>>;

/// What the project API of a tenant needs.
pub(crate) struct Project {
    /// Its providers, in the order of their ids.
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// Where people may be returned to.
    pub(crate) trusted: TrustedDomains,
    /// The domains of that list, as written.
    pub(crate) domains: Vec<String>,
    /// The tenant as the client of its own project API.
    pub(crate) client: Arc<Client>,
    keys: Vec<ApiKey>,
}

impl Project {
    /// A provider.
    pub(crate) fn upstream(&self, id: &str) -> Option<&Arc<Upstream>> {
        self.upstreams
            .iter()
            .find(|upstream| upstream.provider.id.as_str() == id)
    }

    /// The providers that people may sign in with.
    pub(crate) fn for_sign_in(&self) -> impl Iterator<Item = &Provider> {
        self.upstreams
            .iter()
            .map(|upstream| &upstream.provider)
            .filter(|provider| provider.sign_in)
    }

    /// Whether a key opens a tier now. Every key is compared, in constant time.
    pub(crate) fn opens(&self, tier: KeyTier, key: &str, now: Timestamp) -> bool {
        let digest = SecretDigest::of_client_secret(key);
        self.keys.iter().fold(false, |open, known| {
            let fits = known.digest.matches(&digest) && known.tier == tier && known.stands(now);
            open || fits
        })
    }
}

impl TenantView {
    /// The project of this tenant.
    pub(crate) async fn project(&self, shared: &Shared) -> Result<&Arc<Project>, DbError> {
        self.project
            .get_or_try_init(async || Ok(Arc::new(read(self, shared).await?)))
            .await
    }
}

async fn read(view: &TenantView, shared: &Shared) -> Result<Project, DbError> {
    let tenant = &view.tenant;
    let store = shared.tenant(tenant.id);
    let (providers, keys, domains) = (
        store.providers().await?,
        store.api_keys().await?,
        store.trusted_domains().await?,
    );
    let upstreams = providers
        .iter()
        .filter_map(|record| open(shared, tenant.id, record).map(Arc::new))
        .collect();
    let trusted = domains
        .iter()
        .filter_map(|text| TrustedDomain::parse(text).ok())
        .collect();
    Ok(Project {
        upstreams,
        trusted: TrustedDomains::new(trusted, tenant.policy.allow_localhost),
        domains,
        client: Arc::new(project_client(tenant.id, &tenant.name, &view.served)),
        keys,
    })
}

fn open(shared: &Shared, tenant: TenantId, record: &ProviderRecord) -> Option<Upstream> {
    let id = &record.settings.id;
    let provider = match Provider::from_settings(&record.settings) {
        Ok(provider) => provider,
        Err(problems) => {
            tracing::warn!(provider = %id, ?problems, "a stored provider is not sound and is not served");
            return None;
        }
    };
    let secret = match &record.sealed_secret {
        None => None,
        Some(sealed) => {
            let Ok(secret) = shared.root_key.open_provider_secret(tenant, id, sealed) else {
                tracing::error!(provider = %id, "the secret of a provider does not open with the sealing key; give it anew");
                return None;
            };
            Some(secret)
        }
    };
    Some(Upstream {
        provider,
        secret,
        discovered: tokio::sync::Mutex::default(),
    })
}
