//! What would change of the broker: providers, API keys and trusted domains.

use super::super::document::broker::key_prefix;
use super::super::document::{ApiKeyEntry, Placed, ProviderEntry, TenantEntry};
use super::{
    ChangeAction, ClientSecretOf, Generated, GeneratedOf, Kind, Planner, Problem, ProviderChange,
    ProviderState, Scope, TenantState, Within, changed_fields, to_map,
};
use std::collections::BTreeSet;
use vestibule_core::id::ApiKeyId;
use vestibule_core::identity::api_key::ApiKey;
use vestibule_core::identity::trusted_domain::{TRUSTED_DOMAINS_COUNT_MAX, TrustedDomain};
use vestibule_core::relying_party::provider::{Provider, UpstreamAuth};
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_store::api_keys::API_KEYS_LIST_MAX;
use vestibule_store::providers::PROVIDERS_LIST_MAX;

impl Planner<'_> {
    pub(super) fn broker(&mut self, within: &Within<'_>, entry: &TenantEntry) {
        self.check_counts(within, entry);
        for provider in &entry.providers {
            self.provider(within, provider);
        }
        self.api_keys(within, &entry.api_keys);
        for domain in &entry.trusted_domains {
            self.trusted_domain(within, domain);
        }
    }

    pub(super) fn remove_unnamed_broker(&mut self, entry: &TenantEntry, state: &TenantState) {
        let (id, slug) = (state.record.id, state.record.slug.as_str());
        let mut gone: Vec<(Kind, &str)> = Vec::new();
        for provider in &state.providers {
            let provider = &provider.record.settings.id;
            let mut named = entry.providers.iter();
            if !named.any(|named| &named.settings.id == provider) {
                self.write(id, |unit| unit.remove_provider(provider));
                gone.push((Kind::Provider, provider.as_str()));
            }
        }
        for key in &state.api_keys {
            if !entry.api_keys.iter().any(|named| named.name == key.name) {
                self.write(id, |unit| unit.remove_api_key(key.id));
                gone.push((Kind::ApiKey, &key.name));
            }
        }
        for domain in &state.trusted_domains {
            let mut named = entry.trusted_domains.iter();
            if !named.any(|named| named.value.as_str() == domain) {
                self.write(id, |unit| unit.remove_trusted_domain(domain));
                gone.push((Kind::TrustedDomain, domain));
            }
        }
        for (kind, name) in gone {
            self.change(ChangeAction::Remove, kind, (slug, id), name, Vec::new());
        }
    }

    /// A list that is longer than what is read of it would lose its end unseen.
    fn check_counts(&mut self, within: &Within<'_>, entry: &TenantEntry) {
        let (mut providers, mut keys, mut domains) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        if let Some(state) = within.state.filter(|_| self.scope == Scope::Named) {
            let present = state.providers.iter();
            providers.extend(present.map(|present| present.record.settings.id.as_str()));
            keys.extend(state.api_keys.iter().map(|key| key.name.as_str()));
            domains.extend(state.trusted_domains.iter().map(String::as_str));
        }
        let named = entry.providers.iter();
        providers.extend(named.map(|named| named.settings.id.as_str()));
        keys.extend(entry.api_keys.iter().map(|named| named.name.as_str()));
        let named = entry.trusted_domains.iter();
        domains.extend(named.map(|named| named.value.as_str()));
        let most = |max: u32| usize::try_from(max).unwrap_or(usize::MAX);
        for (section, count, max) in [
            ("provider", providers.len(), most(PROVIDERS_LIST_MAX)),
            ("api_key", keys.len(), most(API_KEYS_LIST_MAX)),
            ("trusted_domain", domains.len(), TRUSTED_DOMAINS_COUNT_MAX),
        ] {
            if count > max {
                let place = format!("{}.{section}", entry.place);
                self.problem(place, format!("a tenant has {max} of them at most"));
            }
        }
    }

    fn provider(&mut self, within: &Within<'_>, entry: &ProviderEntry) {
        let id = &entry.settings.id;
        let present = within.state.and_then(|state| {
            let mut providers = state.providers.iter();
            providers.find(|state| &state.record.settings.id == id)
        });
        let Some(secret) = wanted_secret(entry, present) else {
            let known = match present {
                Some(_) => "is needed: the stored one is of another kind",
                None => "is missing",
            };
            self.problem(
                format!("{}.client_secret", entry.place),
                format!("{known}; write client_secret_env, client_secret_file or client_secret"),
            );
            return;
        };
        let (action, fields) = match present {
            None => (ChangeAction::Create, Vec::new()),
            Some(present) => {
                let before = to_map(&present.record.settings);
                let mut fields = changed_fields("", &before, &to_map(&entry.settings));
                let is_other = match &secret {
                    ClientSecretOf::Given(_) => true,
                    ClientSecretOf::None => present.record.sealed_secret.is_some(),
                    ClientSecretOf::Sealed(_) => false,
                };
                if is_other {
                    fields.push("client_secret".to_owned());
                }
                if fields.is_empty() {
                    return;
                }
                (ChangeAction::Update, fields)
            }
        };
        self.decision.providers.push(ProviderChange {
            tenant: within.tenant,
            settings: entry.settings.clone(),
            secret,
        });
        let of = (within.slug, within.tenant);
        self.change(action, Kind::Provider, of, id.as_str(), fields);
    }

    fn api_keys(&mut self, within: &Within<'_>, entries: &[ApiKeyEntry]) {
        let present = within.state.map_or(&[][..], |state| &state.api_keys);
        let named = |name: &str| entries.iter().any(|entry| entry.name == name);
        // What stays as it is, though no entry names it.
        let mut standing: Vec<ApiKey> = present
            .iter()
            .filter(|key| self.scope == Scope::Named && !named(&key.name))
            .cloned()
            .collect();
        let mut written = Vec::new();
        for entry in entries {
            let before = present.iter().find(|key| key.name == entry.name);
            let Some(key) = self.wanted_key(within, entry, before) else {
                continue;
            };
            let mut others = standing.iter();
            if let Some(other) = others.find(|other| other.digest.matches(&key.digest)) {
                let text = format!("is the key `{}` too; one key opens one tier", other.name);
                let field = entry.key.map_or("name", |(field, _)| field);
                self.problem(format!("{}.{field}", entry.place), text);
            }
            standing.push(key.clone());
            if let Some(fields) = changed_key(before, &key) {
                written.push((before, key, fields));
            }
        }
        // What goes makes room: two names may exchange their keys.
        for before in written.iter().filter_map(|(before, _, _)| *before) {
            self.write(within.tenant, |unit| unit.remove_api_key(before.id));
        }
        for (before, key, fields) in written {
            self.write(within.tenant, |unit| unit.insert_api_key(&key));
            let action = match before {
                Some(_) => ChangeAction::Update,
                None => ChangeAction::Create,
            };
            let of = (within.slug, within.tenant);
            self.change(action, Kind::ApiKey, of, &key.name, fields);
        }
    }

    /// The record that a key is to have; `None` after a problem.
    fn wanted_key(
        &mut self,
        within: &Within<'_>,
        entry: &ApiKeyEntry,
        before: Option<&ApiKey>,
    ) -> Option<ApiKey> {
        let now = self.now;
        if entry.expires_at.is_some_and(|end| end <= now) {
            let place = format!("{}.expires_at", entry.place);
            let warning = Problem::new(place, "has passed; the key opens nothing");
            self.decision.warnings.push(warning);
        }
        let digest = entry.key.map(|(_, digest)| digest);
        let same = before.filter(|key| digest.is_none_or(|given| given.matches(&key.digest)));
        let Some(key) = same else {
            return Some(ApiKey {
                id: ApiKeyId::new(now, self.chance),
                name: entry.name.clone(),
                tier: entry.tier,
                digest: digest.unwrap_or_else(|| self.make_key(within, entry)),
                created_at: now,
                expires_at: entry.expires_at,
                revoked_at: None,
            });
        };
        if key.tier != entry.tier {
            // What stood in browsers must not become a server's key.
            let text = format!(
                "the key is {}, and a key keeps its tier; give another `key`, or take another name",
                key.tier.as_str()
            );
            self.problem(format!("{}.tier", entry.place), text);
            return None;
        }
        if key.revoked_at.is_some() {
            let text = "the key was revoked and stays so; give another `key`, or delete it";
            self.decision
                .warnings
                .push(Problem::new(&entry.place, text));
            return Some(key.clone());
        }
        Some(ApiKey {
            expires_at: entry.expires_at,
            ..key.clone()
        })
    }

    /// Makes a key that is shown this once, and gives its digest.
    fn make_key(&mut self, within: &Within<'_>, entry: &ApiKeyEntry) -> SecretDigest {
        let random = Secret::random(self.chance);
        let secret = Secret::new(format!("{}{}", key_prefix(entry.tier), random.reveal()));
        let digest = SecretDigest::of_client_secret(secret.reveal());
        self.decision.generated.push(Generated {
            tenant: within.slug.to_owned(),
            of: GeneratedOf::ApiKey(entry.name.clone()),
            secret,
        });
        digest
    }

    fn trusted_domain(&mut self, within: &Within<'_>, domain: &Placed<TrustedDomain>) {
        let text = domain.value.as_str();
        let present = within.state.map(|state| &state.trusted_domains);
        if present.is_some_and(|present| present.iter().any(|present| present == text)) {
            return;
        }
        self.write(within.tenant, |unit| unit.insert_trusted_domain(text));
        let (of, kind) = ((within.slug, within.tenant), Kind::TrustedDomain);
        self.change(ChangeAction::Create, kind, of, text, Vec::new());
    }
}

/// What becomes of our secret at a provider; `None` when one is needed and there is none.
fn wanted_secret(entry: &ProviderEntry, present: Option<&ProviderState>) -> Option<ClientSecretOf> {
    if entry.auth == UpstreamAuth::None {
        return Some(ClientSecretOf::None);
    }
    let stored = present.and_then(|present| {
        let is_key = |auth| auth == UpstreamAuth::SignedSecret;
        let before = Provider::from_settings(&present.record.settings).ok();
        // A signing key is no secret to send, and the other way round.
        let fits = before.is_none_or(|before| is_key(before.auth) == is_key(entry.auth));
        present.record.sealed_secret.clone().filter(|_| fits)
    });
    match (&entry.secret, stored) {
        (Some(_), Some(sealed)) if present.is_some_and(|present| present.has_given_secret) => {
            Some(ClientSecretOf::Sealed(sealed))
        }
        (Some(given), _) => Some(ClientSecretOf::Given(given.clone())),
        (None, stored) => stored.map(ClientSecretOf::Sealed),
    }
}

/// The fields in which a key differs from what is stored; `None` when it does not.
fn changed_key(before: Option<&ApiKey>, after: &ApiKey) -> Option<Vec<String>> {
    let Some(before) = before else {
        return Some(Vec::new());
    };
    let fields: Vec<String> = [
        ("key", !before.digest.matches(&after.digest)),
        ("tier", before.tier != after.tier),
        ("expires_at", before.expires_at != after.expires_at),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(name, _)| name.to_owned())
    .collect();
    (!fields.is_empty()).then_some(fields)
}
