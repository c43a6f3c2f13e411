//! A record of one tenant is nothing to another (T62): read or written with another tenant's id, it is not there.

use vestibule_core::id::{FamilyId, TenantId, UserId};
use vestibule_core::identity::tenant::{Domain, DomainKind};
use vestibule_store::accounts::WayIn;
use vestibule_store::cli_attempts::CliStage;
use vestibule_store::{TenantStore, TenantUnit};

use crate::facts::{
    CLIENT, NOW, OFFLINE, PROVIDER, SITE, Scene, TRUSTED, World, after, cli_id, client, provider,
    upstream_id, window,
};
use crate::support::{Place, on_both_engines};

/// Every module of the crate that can hold methods of `TenantStore`.
const SOURCES: &[(&str, &str)] = &[
    ("lib", include_str!("../../src/lib.rs")),
    ("accounts", include_str!("../../src/accounts.rs")),
    ("api_keys", include_str!("../../src/api_keys.rs")),
    ("cli_attempts", include_str!("../../src/cli_attempts.rs")),
    ("clients", include_str!("../../src/clients.rs")),
    ("docs_sites", include_str!("../../src/docs_sites.rs")),
    ("grants", include_str!("../../src/grants.rs")),
    ("installation", include_str!("../../src/installation.rs")),
    ("keys", include_str!("../../src/keys.rs")),
    ("providers", include_str!("../../src/providers.rs")),
    (
        "reader_sessions",
        include_str!("../../src/reader_sessions.rs"),
    ),
    ("sessions", include_str!("../../src/sessions.rs")),
    ("sweep", include_str!("../../src/sweep.rs")),
    ("tenants", include_str!("../../src/tenants.rs")),
    ("tokens", include_str!("../../src/tokens.rs")),
    (
        "trusted_domains",
        include_str!("../../src/trusted_domains.rs"),
    ),
    ("upstream", include_str!("../../src/upstream.rs")),
    ("users", include_str!("../../src/users.rs")),
];

/// Every public async method of `TenantStore`. A new one is added here and to [`see`], or, if it writes, to
/// [`a_tenant_changes_nothing_of_another`].
const METHODS: &[&str] = &[
    "access_token",
    "account",
    "account_of",
    "account_of_user",
    "account_tokens",
    "accounts_of",
    "accounts_of_page",
    "api_key_by_name",
    "api_keys",
    "brief_standing",
    "cli_attempt_by_login",
    "cli_attempt_by_polling",
    "client",
    "clients_after",
    "code",
    "commit",
    "docs_sites",
    "domains",
    "family_standing",
    "is_revoked",
    "keys",
    "password",
    "provider",
    "providers",
    "reader_session",
    "refresh_token",
    "refresh_token_owner",
    "scopes",
    "session",
    "session_by_id",
    "sessions_of",
    "sessions_of_with_client",
    "trusted_domains",
    "upstream_request",
    "user",
    "user_by_email",
    "user_by_identifier",
    "user_summaries_after",
    "user_summaries_before",
    "user_summary",
    "users_after",
    "withdraw_grant",
];

on_both_engines! {
    a_tenant_sees_nothing_of_another,
    a_tenant_changes_nothing_of_another,
    a_removed_tenant_takes_its_configuration_and_people_and_nothing_of_another,
}

#[test]
fn every_method_of_a_tenants_store_is_tried_with_another_tenant() {
    let mut found: Vec<&str> = SOURCES.iter().flat_map(|(_, text)| methods(text)).collect();
    found.sort_unstable();
    assert_eq!(found, METHODS);
}

#[test]
fn every_module_of_the_crate_is_looked_at() {
    let (_, lib) = SOURCES[0];
    let mut modules: Vec<&str> = lib
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .filter(|name| *name != "db")
        .collect();
    modules.sort_unstable();
    let looked_at: Vec<&str> = SOURCES.iter().skip(1).map(|(name, _)| *name).collect();
    assert_eq!(modules, looked_at);
}

/// The public async methods in the `impl` blocks of `TenantStore`, which begin and end at the left margin.
fn methods(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("impl") {
            inside = line.contains("TenantStore");
        } else if line.starts_with('}') {
            inside = false;
        } else if let Some(rest) = line
            .trim_start()
            .strip_prefix("pub async fn ")
            .filter(|_| inside)
        {
            found.extend(rest.split(['(', '<']).next());
        }
    }
    found
}

/// What a tenant's store says when it is asked for everything of a scene, one line for each reading method.
async fn see(there: TenantStore<'_>, scene: &Scene) -> Vec<(&'static str, bool)> {
    let mut seen = see_broker(there, scene).await;
    seen.extend(see_docs(there, scene).await);
    seen.extend(see_front_door(there, scene).await);
    seen.extend(see_people(there, scene).await);
    seen.sort_unstable();
    seen
}

/// What it says of docs sites.
async fn see_docs(there: TenantStore<'_>, scene: &Scene) -> Vec<(&'static str, bool)> {
    const READ: &str = "a read";
    let reader = there.reader_session(&scene.reader, NOW).await.expect(READ);
    vec![
        (
            "docs_sites",
            !there.docs_sites().await.expect(READ).is_empty(),
        ),
        (
            "reader_session",
            reader.is_some_and(|it| it.sealed == b"reader"),
        ),
    ]
}

/// What it says of the broker's records.
async fn see_broker(there: TenantStore<'_>, scene: &Scene) -> Vec<(&'static str, bool)> {
    const READ: &str = "a read";
    let (user, account) = (scene.user(), &scene.account);
    let provider = there.provider(&account.provider_id).await.expect(READ);
    let of = there
        .account_of(&account.provider_id, &account.subject)
        .await
        .expect(READ);
    let of_user = there
        .account_of_user(user, &account.provider_id, &account.subject)
        .await
        .expect(READ);
    let polling = there
        .cli_attempt_by_polling(scene.cli_completed.polling())
        .await
        .expect(READ);
    let login = there
        .cli_attempt_by_login(scene.cli_waiting.login())
        .await
        .expect(READ);
    let state = there.upstream_request(&scene.state).await.expect(READ);
    let session = there
        .session_by_id(scene.session.id, window(NOW))
        .await
        .expect(READ);
    let sessions = there.sessions_of(user, window(NOW)).await.expect(READ);
    let key = there.api_key_by_name("backend").await.expect(READ);
    vec![
        (
            "account",
            there.account(account.id).await.expect(READ).as_ref() == Some(account),
        ),
        (
            "account_of",
            of == Some((account.clone(), scene.person.user.clone())),
        ),
        ("account_of_user", of_user.as_ref() == Some(account)),
        (
            "account_tokens",
            there
                .account_tokens(account.id)
                .await
                .expect(READ)
                .is_some_and(|(_, sealed)| sealed == b"tokens"),
        ),
        (
            "accounts_of",
            there.accounts_of(user).await.expect(READ) == [account.clone()],
        ),
        (
            "accounts_of_page",
            there
                .accounts_of_page(&[user])
                .await
                .expect(READ)
                .contains_key(&user),
        ),
        (
            "api_key_by_name",
            key.is_some_and(|key| key.revoked_at.is_none()),
        ),
        ("api_keys", !there.api_keys().await.expect(READ).is_empty()),
        (
            "cli_attempt_by_login",
            login.is_some_and(|it| it.stage == CliStage::Waiting),
        ),
        (
            "cli_attempt_by_polling",
            polling.is_some_and(|it| matches!(it.stage, CliStage::Completed { .. })),
        ),
        (
            "provider",
            provider.is_some_and(|it| it.sealed_secret.as_deref() == Some(b"secret")),
        ),
        (
            "providers",
            !there.providers().await.expect(READ).is_empty(),
        ),
        ("session_by_id", session.is_some()),
        ("sessions_of", sessions.len() == 1),
        (
            "trusted_domains",
            there.trusted_domains().await.expect(READ) == [TRUSTED],
        ),
        (
            "upstream_request",
            state.is_some_and(|it| it.used_at.is_none()),
        ),
        (
            "user_by_email",
            there
                .user_by_email("ADA@example.com")
                .await
                .expect(READ)
                .is_some(),
        ),
    ]
}

/// What it says of people and their sessions as the project API asks.
async fn see_people(there: TenantStore<'_>, scene: &Scene) -> Vec<(&'static str, bool)> {
    const READ: &str = "a read";
    let user = scene.user();
    let sessions = there.sessions_of_with_client(user, CLIENT, window(NOW));
    let (up, down) = (
        there.user_summaries_after(None, 9).await.expect(READ),
        there.user_summaries_before(None, 9).await.expect(READ),
    );
    let summary = there.user_summary(user).await.expect(READ);
    vec![
        (
            "sessions_of_with_client",
            sessions.await.expect(READ).len() == 1,
        ),
        ("user_summaries_after", !up.is_empty()),
        ("user_summaries_before", !down.is_empty()),
        (
            "user_summary",
            summary.is_some_and(|it| it.record == scene.person && it.has_password),
        ),
    ]
}

/// What it says of everything else.
async fn see_front_door(there: TenantStore<'_>, scene: &Scene) -> Vec<(&'static str, bool)> {
    const READ: &str = "a read";
    let user = scene.user();
    let session = there
        .session(&scene.session_handle, CLIENT, window(NOW))
        .await
        .expect(READ);
    let first = UserId::from_bytes([0; 16]);
    let (family, token) = (scene.family.id, scene.token.id);
    vec![
        (
            "access_token",
            there
                .access_token(&scene.token_handle)
                .await
                .expect(READ)
                .is_some(),
        ),
        (
            "brief_standing",
            there
                .brief_standing(family, token)
                .await
                .expect(READ)
                .is_some_and(|it| it.family_stands),
        ),
        ("client", there.client(CLIENT).await.expect(READ).is_some()),
        (
            "clients_after",
            !there.clients_after("").await.expect(READ).is_empty(),
        ),
        (
            "code",
            there
                .code(scene.code.id.bytes())
                .await
                .expect(READ)
                .is_some_and(|it| it.stands(NOW)),
        ),
        ("domains", !there.domains().await.expect(READ).is_empty()),
        (
            "family_standing",
            there
                .family_standing(family, token)
                .await
                .expect(READ)
                .is_some_and(|it| it.family_stands),
        ),
        (
            "is_revoked",
            there.is_revoked(scene.revoked).await.expect(READ),
        ),
        (
            "keys",
            there
                .keys()
                .await
                .expect(READ)
                .iter()
                .any(|key| key.retired_at.is_none()),
        ),
        (
            "password",
            there.password(user).await.expect(READ).as_deref() == Some("hash"),
        ),
        (
            "refresh_token",
            there
                .refresh_token(scene.refresh.id())
                .await
                .expect(READ)
                .is_some_and(|it| it.token.family.ended_at.is_none()),
        ),
        (
            "refresh_token_owner",
            there
                .refresh_token_owner(&scene.refresh)
                .await
                .expect(READ)
                .is_some(),
        ),
        ("scopes", !there.scopes().await.expect(READ).is_empty()),
        (
            "session",
            session.is_some_and(|it| it.signed_in.grant.is_some()),
        ),
        (
            "user",
            there.user(user).await.expect(READ) == Some(scene.person.clone()),
        ),
        (
            "user_by_identifier",
            there.user_by_identifier("Ada").await.expect(READ).is_some(),
        ),
        (
            "users_after",
            !there.users_after(first).await.expect(READ).is_empty(),
        ),
    ]
}

async fn a_tenant_sees_nothing_of_another(place: &Place) {
    let world = World::open(place).await;
    let other = world.found("other").await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let own = see(world.here(), &scene).await;
    let tried: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
    let writing = ["commit", "withdraw_grant"];
    let reading: Vec<&str> = METHODS
        .iter()
        .copied()
        .filter(|name| !writing.contains(name))
        .collect();
    assert_eq!(tried, reading, "every reading method is tried");
    for (name, seen) in own {
        assert!(seen, "{name} finds its own tenant's record");
    }
    for (name, seen) in see(world.store.tenant(other), &scene).await {
        assert!(!seen, "{name} finds another tenant's record");
    }
}

/// Every write of the broker's records, of the other tenant, on the ids of this one.
fn writes_of_the_broker(there: TenantId, scene: &Scene) -> Vec<(&'static str, TenantUnit)> {
    let unit = || TenantUnit::new(there);
    let (user, account) = (scene.user(), &scene.account);
    let (waiting, completed) = (cli_id(&scene.cli_waiting), cli_id(&scene.cli_completed));
    vec![
        (
            "end_session_of",
            unit().end_session_of(scene.session.id, user, NOW),
        ),
        (
            "guard_way_in",
            unit().guard_way_in(user, WayIn::Account(account.id)),
        ),
        (
            "insert_account",
            unit().insert_account(&scene.account, Some(b"worse")),
        ),
        (
            "mark_cli_attempt_completed",
            unit().mark_cli_attempt_completed(waiting, user, b"worse", NOW),
        ),
        (
            "mark_cli_attempt_used",
            unit().mark_cli_attempt_used(completed, NOW),
        ),
        (
            "mark_upstream_request_used",
            unit().mark_upstream_request_used(upstream_id(&scene.state), NOW),
        ),
        (
            "refresh_account_tokens",
            unit().refresh_account_tokens(account.id, b"tokens", None, NOW),
        ),
        ("remove_account", unit().remove_account(account.id, user)),
        ("remove_api_key", unit().remove_api_key(scene.api_key.id)),
        ("remove_docs_site", unit().remove_docs_site(SITE)),
        (
            "remove_provider",
            unit().remove_provider(&account.provider_id),
        ),
        (
            "remove_trusted_domain",
            unit().remove_trusted_domain(TRUSTED),
        ),
        (
            "revoke_api_key",
            unit().revoke_api_key(scene.api_key.id, NOW),
        ),
        (
            "set_account_use",
            unit().set_account_use(account.id, None, None),
        ),
        (
            "update_account_email",
            unit().update_account_email(account.id, None, NOW),
        ),
        (
            "update_account_tokens",
            unit().update_account_tokens(account.id, None, NOW),
        ),
        // It writes the other tenant's own provider, which goes again.
        (
            "upsert_provider",
            unit()
                .upsert_provider(&provider(PROVIDER), None, NOW)
                .remove_provider(&account.provider_id),
        ),
    ]
}

/// Every other write there is, of the other tenant, on the ids of this one.
fn writes(there: TenantId, world: &World, scene: &Scene) -> Vec<(&'static str, TenantUnit)> {
    let unit = || TenantUnit::new(there);
    let user = scene.user();
    let mut renamed = scene.person.user.clone();
    renamed.username = Some("Eve".to_owned());
    let host = format!("{}.example", world.tenant);
    let domain = Domain {
        host: host.clone(),
        kind: DomainKind::Satellite,
    };
    let family = FamilyId::from_bytes([8; 16]);
    let old = vestibule_core::time::Timestamp::from_seconds(0);
    vec![
        ("activate_key", unit().activate_key(scene.key.id, NOW)),
        (
            "end_families_of_client",
            unit().end_families_of_client(scene.session.id, CLIENT, NOW),
        ),
        ("remove_password", unit().remove_password(user)),
        ("disable_user", unit().disable_user(user, Some(NOW), NOW)),
        ("end_everything_of", unit().end_everything_of(user, NOW)),
        ("end_family", unit().end_family(scene.family.id, NOW)),
        ("end_session", unit().end_session(scene.session.id, NOW)),
        (
            "extend_family",
            unit().extend_family(scene.family.id, old, after(900_000)),
        ),
        ("guard_family", unit().guard_family(scene.family.id)),
        (
            "redeem_code",
            unit().redeem_code(scene.code.id, family, NOW),
        ),
        (
            "remove_access_token",
            unit().remove_access_token(scene.token.id),
        ),
        ("remove_client", unit().remove_client(CLIENT)),
        ("remove_domain", unit().remove_domain(&host)),
        ("remove_key", unit().remove_key(scene.key.id)),
        ("remove_scope", unit().remove_scope("books")),
        ("remove_user", unit().remove_user(user)),
        ("retire_key", unit().retire_key(scene.key.id, NOW)),
        (
            "rotate_refresh_token",
            unit().rotate_refresh_token(scene.refresh_id(), &[8; 16], NOW),
        ),
        (
            "touch_session",
            unit().touch_session(scene.session.id, after(900_000)),
        ),
        (
            "update_client",
            unit().update_client(&client(CLIENT), &[], NOW),
        ),
        ("update_user", unit().update_user(&renamed, NOW)),
        (
            "upgrade_password",
            unit().upgrade_password(user, "hash", "worse", NOW),
        ),
        ("upsert_domain", unit().upsert_domain(&domain)),
        (
            "upsert_password",
            unit().upsert_password(user, "worse", NOW),
        ),
    ]
}

async fn a_tenant_changes_nothing_of_another(place: &Place) {
    let world = World::open(place).await;
    let other = world.found("other").await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let mut all = writes(other, &world, &scene);
    all.extend(writes_of_the_broker(other, &scene));
    for (name, unit) in all {
        // Whether such a unit is lost or touches no row is its own rule; that nothing changes is the rule here.
        let _committed = world
            .try_write(unit)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for (seen_by, seen) in see(world.here(), &scene).await {
            assert!(seen, "after {name}, {seen_by}");
        }
    }
    let there = world.store.tenant(other);
    there
        .withdraw_grant(scene.user(), CLIENT, NOW)
        .await
        .expect("a withdrawal");
    for (seen_by, seen) in see(world.here(), &scene).await {
        assert!(seen, "after withdraw_grant, {seen_by}");
    }
    for (name, seen) in see(there, &scene).await {
        assert!(!seen, "{name} finds what the writes left");
    }
    let here = world.here();
    let code = here
        .code(scene.code.id.bytes())
        .await
        .expect("a read")
        .expect("a code");
    assert_eq!(code.code.stage, scene.code.stage);
    let refresh = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    assert_eq!(
        refresh.token.stage,
        vestibule_core::oauth::refresh::RefreshStage::Current
    );
    assert_eq!(refresh.family_expires_at, after(3 * 86_400));
    let window = window(NOW);
    let session = here
        .session(&scene.session_handle, CLIENT, window)
        .await
        .expect("a read");
    assert_eq!(session.expect("a session").signed_in.session, scene.session);
    let record = here
        .client(CLIENT)
        .await
        .expect("a read")
        .expect("a client");
    assert_eq!(record.secrets.len(), 1);
    let domains = here.domains().await.expect("a read");
    assert_eq!(domains[0].kind, DomainKind::Primary);
}

async fn a_removed_tenant_takes_its_configuration_and_people_and_nothing_of_another(place: &Place) {
    let world = World::open(place).await;
    let other = world.found("other").await;
    let kept = Scene::play(&world, world.tenant, OFFLINE).await;
    let scene = Scene::play(&world, other, OFFLINE).await;
    let remove = TenantUnit::new(other).remove_tenant();
    world.write(remove).await;
    world.lose(TenantUnit::new(other).remove_tenant()).await;
    assert!(
        world
            .store
            .any_tenant(other)
            .await
            .expect("a read")
            .is_none()
    );
    for (name, seen) in see(world.store.tenant(other), &scene).await {
        // What lives briefly is swept as it expires; nobody is asked for it, since its tenant is gone.
        let brief = [
            "access_token",
            "cli_attempt_by_login",
            "cli_attempt_by_polling",
            "is_revoked",
            "reader_session",
            "refresh_token_owner",
            "upstream_request",
        ]
        .contains(&name);
        assert_eq!(seen, brief, "{name}");
    }
    for (name, seen) in see(world.here(), &kept).await {
        assert!(seen, "{name}");
    }
}
