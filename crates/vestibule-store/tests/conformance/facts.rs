//! Records to try the store with: a world with one tenant, and a scene in which one of everything was written.

use std::sync::atomic::{AtomicU32, Ordering};

use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::id::{
    AccessTokenId, AccountId, ApiKeyId, Chance, CliAttemptId, CodeId, FamilyId, GrantId,
    KeyRecordId, RefreshTokenId, SessionId, TenantId, UpstreamRequestId, UserId,
};
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::identity::acr::{Acr, Amr};
use vestibule_core::identity::api_key::{ApiKey, KeyTier};
use vestibule_core::identity::session::Session;
use vestibule_core::identity::tenant::{Domain, DomainKind};
use vestibule_core::identity::user::{Profile, User};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::oauth::bearer::AccessToken;
use vestibule_core::oauth::client::ClientMetadata;
use vestibule_core::oauth::code::{AuthorizationCode, CodeStage};
use vestibule_core::oauth::mint::Audience;
use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::oauth::scope::{ScopeConsent, ScopeRecord, ScopeSet};
use vestibule_core::oauth::token::{Authorization, Family};
use vestibule_core::relying_party::provider::{ProviderId, ProviderSettings, UpstreamGrant};
use vestibule_core::secret::{Handle, HandleKind, SecretDigest};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::cli_attempts::CliHandles;
use vestibule_store::db::DbError;
use vestibule_store::keys::KeyRecord;
use vestibule_store::sessions::SessionWindow;
use vestibule_store::tenants::TenantRecord;
use vestibule_store::users::UserRecord;
use vestibule_store::{Committed, Store, TenantStore, TenantUnit};

use crate::support::Place;

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// The client of every scene.
pub(crate) const CLIENT: &str = "reader";
/// A scope that outlives the session.
pub(crate) const OFFLINE: &str = "openid email offline_access";
/// A scope that ends with the session.
pub(crate) const ONLINE: &str = "openid email";

/// The upstream provider of every scene.
pub(crate) const PROVIDER: &str = "google";
/// The trusted domain of every scene.
/// The name of the docs site.
pub(crate) const SITE: &str = "handbook";
pub(crate) const TRUSTED: &str = "https://**.reader.example";

/// So many seconds after [`NOW`].
pub(crate) const fn after(seconds: u32) -> Timestamp {
    NOW.plus(Lifetime::from_seconds(seconds))
}

pub(crate) fn scope(text: &str) -> ScopeSet {
    ScopeSet::parse(text).expect("a scope")
}

/// When a session counts that was used in the last day.
pub(crate) fn window(now: Timestamp) -> SessionWindow {
    SessionWindow {
        now,
        idle_since: now.minus(Lifetime::days(1)),
    }
}

/// Chance that counts: the same run gives the same bytes.
#[derive(Default)]
pub(crate) struct Counting(AtomicU32);

impl Chance for Counting {
    fn fill(&self, out: &mut [u8]) {
        let mut state = self
            .0
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_mul(2_654_435_761);
        for byte in out {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
    }
    fn tick(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A store with a schema and one tenant.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) chance: Counting,
    pub(crate) tenant: TenantId,
}

impl World {
    pub(crate) async fn open(place: &Place) -> Self {
        let store = Store::open(place.open().await, NOW)
            .await
            .expect("a schema");
        let chance = Counting::default();
        let record = tenant(&chance, "default");
        let world = Self {
            store,
            chance,
            tenant: record.id,
        };
        world.write(world.unit().insert_tenant(&record, NOW)).await;
        world
    }

    /// Another tenant.
    pub(crate) async fn found(&self, slug: &str) -> TenantId {
        let record = tenant(&self.chance, slug);
        self.write(TenantUnit::new(record.id).insert_tenant(&record, NOW))
            .await;
        record.id
    }

    pub(crate) fn here(&self) -> TenantStore<'_> {
        self.store.tenant(self.tenant)
    }

    pub(crate) fn unit(&self) -> TenantUnit {
        TenantUnit::new(self.tenant)
    }

    /// Writes a unit that must win.
    pub(crate) async fn write(&self, unit: TenantUnit) {
        assert_eq!(self.try_write(unit).await.expect("a unit"), Committed::Yes);
    }

    /// Writes a unit that must lose.
    pub(crate) async fn lose(&self, unit: TenantUnit) {
        assert_eq!(self.try_write(unit).await.expect("a unit"), Committed::Lost);
    }

    pub(crate) async fn try_write(&self, unit: TenantUnit) -> Result<Committed, DbError> {
        self.store.commit(unit).await
    }

    pub(crate) fn handle(&self, kind: HandleKind) -> Handle {
        Handle::mint(kind, NOW, &self.chance)
    }

    pub(crate) fn person(&self, username: &str) -> UserRecord {
        let user = User {
            id: UserId::new(NOW, &self.chance),
            username: Some(username.to_owned()),
            email: Some(format!("{username}@example.com")),
            email_verified: true,
            profile: Profile {
                given_name: Some("Zoë \u{1f980}".to_owned()),
                ..Profile::default()
            },
            updated_at: NOW,
            disabled_at: None,
        };
        UserRecord {
            user,
            operator_at: None,
        }
    }

    pub(crate) fn session(&self, user_id: UserId) -> (Session, Handle) {
        let handle = self.handle(HandleKind::Session);
        let session = Session {
            id: SessionId::from_bytes(*handle.id()),
            user_id,
            auth_time: NOW,
            acr: Acr::SingleFactor,
            amr: vec![Amr::Password],
            used_at: NOW,
            expires_at: NOW.plus(Lifetime::days(14)),
        };
        (session, handle)
    }

    pub(crate) fn code(&self, authorization: &Authorization) -> AuthorizationCode {
        let handle = self.handle(HandleKind::Code);
        AuthorizationCode {
            id: CodeId::from_bytes(*handle.id()),
            digest: handle.digest(),
            client_id: CLIENT.to_owned(),
            redirect_uri: Some("https://reader.example/callback".to_owned()),
            challenge: Some(CodeChallenge::from_bytes([7; 32])),
            authorization: authorization.clone(),
            expires_at: after(60),
            stage: CodeStage::Issued,
        }
    }

    pub(crate) fn family(&self, authorization: &Authorization) -> Family {
        Family {
            id: FamilyId::new(NOW, &self.chance),
            client_id: CLIENT.to_owned(),
            authorization: authorization.clone(),
            ended_at: None,
        }
    }

    pub(crate) fn opaque(
        &self,
        user: Option<UserId>,
        family: Option<FamilyId>,
    ) -> (AccessToken, Handle) {
        let handle = self.handle(HandleKind::AccessToken);
        let token = AccessToken {
            id: AccessTokenId::from_bytes(*handle.id()),
            client_id: CLIENT.to_owned(),
            user_id: user,
            family_id: family,
            scope: scope(ONLINE),
            audience: Audience::Several(vec!["a".to_owned(), "https://b.example".to_owned()]),
            issued_at: NOW,
            expires_at: after(600),
        };
        (token, handle)
    }

    pub(crate) fn key(&self, algorithm: Algorithm, activated_at: Option<Timestamp>) -> KeyRecord {
        KeyRecord {
            id: KeyRecordId::new(NOW, &self.chance),
            algorithm,
            sealed: vec![0, 1, 255],
            created_at: NOW,
            activated_at,
            retired_at: None,
        }
    }

    pub(crate) fn api_key(&self, name: &str, tier: KeyTier) -> ApiKey {
        ApiKey {
            id: ApiKeyId::new(NOW, &self.chance),
            name: name.to_owned(),
            tier,
            digest: SecretDigest::of_client_secret(name),
            created_at: NOW,
            expires_at: None,
            revoked_at: None,
        }
    }

    /// A link to an upstream identity, with tokens of an hour.
    pub(crate) fn account(
        &self,
        user_id: UserId,
        provider: &str,
        subject: &str,
    ) -> ConnectedAccount {
        ConnectedAccount {
            id: AccountId::new(NOW, &self.chance),
            user_id,
            provider_id: provider_id(provider),
            subject: subject.to_owned(),
            email: Some("Ada@upstream.example".to_owned()),
            sign_in: true,
            connected: true,
            grant: Some(UpstreamGrant {
                scope: scope("calendar openid"),
                access_expires_at: Some(after(3600)),
            }),
            created_at: NOW,
            updated_at: NOW,
        }
    }

    pub(crate) fn cli_handles(&self) -> CliHandles {
        CliHandles::mint(NOW, &self.chance)
    }
}

/// The id of the attempt that two handles belong to.
pub(crate) fn cli_id(handles: &CliHandles) -> CliAttemptId {
    CliAttemptId::from_bytes(*handles.polling().id())
}

/// The id of the request that a `state` belongs to.
pub(crate) fn upstream_id(state: &Handle) -> UpstreamRequestId {
    UpstreamRequestId::from_bytes(*state.id())
}

pub(crate) fn provider_id(text: &str) -> ProviderId {
    ProviderId::parse(text).expect("a provider's id")
}

/// A docs site of a tenant, on a host of its own.
pub(crate) fn docs_site(tenant: TenantId) -> DocsSiteSettings {
    serde_json::from_value(serde_json::json!({
        "name": SITE, "upstream": "http://127.0.0.1:4000", "public_url": format!("https://{tenant}.example"), "client_id": "docs",
        "authorization_url": "https://op.example/authorize", "token_url": "https://op.example/token",
    }))
    .expect("sound settings")
}

pub(crate) fn provider(id: &str) -> ProviderSettings {
    serde_json::from_value(serde_json::json!({
        "id": id,
        "client_id": "us",
        "issuer": "https://accounts.example",
    }))
    .expect("settings")
}

pub(crate) fn tenant(chance: &Counting, slug: &str) -> TenantRecord {
    TenantRecord {
        id: TenantId::new(NOW, chance),
        slug: slug.to_owned(),
        name: format!("The {slug}"),
        policy: vestibule_core::identity::tenant::TenantPolicy::default(),
        groups: vec!["readers".to_owned(), "writers".to_owned()],
        docs_profile: serde_json::from_value(serde_json::json!({
            "content": { "plan": "public_metadata.plan" },
            "expires_in": "1h",
        }))
        .expect("a docs profile"),
        endpoint_aliases: serde_json::from_value(serde_json::json!({ "token": "/exchange" }))
            .expect("aliases"),
    }
}

pub(crate) fn client(id: &str) -> ClientMetadata {
    serde_json::from_value(serde_json::json!({
        "client_id": id,
        "client_name": "A reader",
        "redirect_uris": ["https://reader.example/callback"],
    }))
    .expect("metadata")
}

/// One of everything, in one tenant.
pub(crate) struct Scene {
    pub(crate) person: UserRecord,
    pub(crate) session: Session,
    pub(crate) session_handle: Handle,
    pub(crate) authorization: Authorization,
    pub(crate) code: AuthorizationCode,
    pub(crate) family: Family,
    pub(crate) refresh: Handle,
    pub(crate) token: AccessToken,
    pub(crate) token_handle: Handle,
    pub(crate) revoked: AccessTokenId,
    pub(crate) key: KeyRecord,
    pub(crate) api_key: ApiKey,
    pub(crate) account: ConnectedAccount,
    pub(crate) state: Handle,
    /// A command line that nobody signed in for.
    pub(crate) cli_waiting: CliHandles,
    /// A command line that the person signed in for.
    pub(crate) cli_completed: CliHandles,
    /// The handle of somebody who reads its docs site.
    pub(crate) reader: Handle,
}

impl Scene {
    /// Writes it, with a grant that code and family stand on.
    pub(crate) async fn play(world: &World, tenant: TenantId, scope_text: &str) -> Self {
        let person = world.person("Ada");
        let user = person.user.id;
        let (session, session_handle) = world.session(user);
        let grant = GrantId::new(NOW, &world.chance);
        let authorization = Authorization {
            user_id: user,
            session_id: session.id,
            grant_id: Some(grant),
            scope: scope(scope_text),
            claims: vestibule_core::oauth::claims::ClaimsRequest::default(),
            resources: vec!["https://api.example".to_owned()],
            auth_time: NOW,
            acr: Acr::SingleFactor,
            amr: vec![Amr::Password],
            nonce: Some("n".to_owned()),
            outer: None,
        };
        let code = world.code(&authorization);
        let family = world.family(&authorization);
        let refresh = world.handle(HandleKind::RefreshToken);
        let (token, token_handle) = world.opaque(Some(user), Some(family.id));
        let revoked = AccessTokenId::new(NOW, &world.chance);
        let key = world.key(Algorithm::ES256, Some(NOW));
        let api_key = world.api_key("backend", KeyTier::Secret);
        let account = world.account(user, PROVIDER, "108");
        let state = world.handle(HandleKind::UpstreamState);
        let (cli_waiting, cli_completed) = (world.cli_handles(), world.cli_handles());
        let settings = docs_site(tenant);
        let site = DocsSite::from_settings(&settings).expect("a sound site");
        let reader = world.handle(HandleKind::Reader);
        let unit = TenantUnit::new(tenant)
            .insert_user(&person, NOW)
            .upsert_password(user, "hash", NOW)
            .insert_client(&client(CLIENT), &[SecretDigest::from_bytes([1; 32])], NOW)
            .upsert_grant(
                grant,
                user,
                CLIENT,
                (&authorization.scope, &authorization.resources),
                NOW,
            )
            .insert_session(&session, &session_handle.digest())
            .insert_code(&code)
            .insert_family(&family, after(86_400), NOW)
            .insert_refresh_token(&refresh, family.id, after(86_400))
            .insert_access_token(&token, &token_handle.digest())
            .revoke_jti(revoked, after(600))
            .insert_key(&key)
            .upsert_domain(&Domain {
                host: format!("{tenant}.example"),
                kind: DomainKind::Primary,
            })
            .upsert_scope(&ScopeRecord {
                name: "books".to_owned(),
                description: "Read your books".to_owned(),
                consent: ScopeConsent::Ask,
            })
            .upsert_provider(&provider(PROVIDER), Some(b"secret"), NOW)
            .insert_api_key(&api_key)
            .insert_trusted_domain(TRUSTED)
            .upsert_docs_site(&site, &settings, Some(b"secret"), NOW)
            .insert_reader_session(&reader, SITE, b"reader", after(600))
            .insert_account(&account, Some(b"tokens"))
            .insert_upstream_request(&state, b"purpose", after(600))
            .insert_cli_attempt(&cli_waiting, after(7200))
            .insert_cli_attempt(&cli_completed, after(7200))
            .mark_cli_attempt_completed(cli_id(&cli_completed), user, b"result", NOW);
        world.write(unit).await;
        Self {
            person,
            session,
            session_handle,
            authorization,
            code,
            family,
            refresh,
            token,
            token_handle,
            revoked,
            key,
            api_key,
            account,
            state,
            cli_waiting,
            cli_completed,
            reader,
        }
    }

    pub(crate) fn user(&self) -> UserId {
        self.person.user.id
    }

    pub(crate) fn refresh_id(&self) -> RefreshTokenId {
        RefreshTokenId::from_bytes(*self.refresh.id())
    }
}
