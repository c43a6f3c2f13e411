//! A record of one tenant is nothing to another (T62): read or written with another tenant's id, it is not there.

use vestibule_core::id::{FamilyId, TenantId, UserId};
use vestibule_core::identity::tenant::{Domain, DomainKind};
use vestibule_store::{TenantStore, TenantUnit};

use crate::facts::{CLIENT, NOW, OFFLINE, Scene, World, after, client, window};
use crate::support::{Place, on_both_engines};

/// Every module of the crate that can hold methods of `TenantStore`.
const SOURCES: &[(&str, &str)] = &[
    ("lib", include_str!("../../src/lib.rs")),
    ("clients", include_str!("../../src/clients.rs")),
    ("grants", include_str!("../../src/grants.rs")),
    ("installation", include_str!("../../src/installation.rs")),
    ("keys", include_str!("../../src/keys.rs")),
    ("sessions", include_str!("../../src/sessions.rs")),
    ("sweep", include_str!("../../src/sweep.rs")),
    ("tenants", include_str!("../../src/tenants.rs")),
    ("tokens", include_str!("../../src/tokens.rs")),
    ("users", include_str!("../../src/users.rs")),
];

/// Every public async method of `TenantStore`. A new one is added here and to [`see`], or, if it writes, to
/// [`a_tenant_changes_nothing_of_another`].
const METHODS: &[&str] = &[
    "access_token",
    "brief_standing",
    "client",
    "clients_after",
    "code",
    "commit",
    "domains",
    "family_standing",
    "is_revoked",
    "keys",
    "password",
    "refresh_token",
    "refresh_token_owner",
    "scopes",
    "session",
    "user",
    "user_by_identifier",
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
                .is_some_and(|it| it.stands),
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

/// Every write there is, of the other tenant, on the ids of this one.
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
    for (name, unit) in writes(other, &world, &scene) {
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
    world.write(TenantUnit::new(other).remove_tenant()).await;
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
        let brief = ["access_token", "is_revoked", "refresh_token_owner"].contains(&name);
        assert_eq!(seen, brief, "{name}");
    }
    for (name, seen) in see(world.here(), &kept).await {
        assert!(seen, "{name}");
    }
}
