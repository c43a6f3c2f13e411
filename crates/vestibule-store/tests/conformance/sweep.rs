//! The sweep removes what has been expired for longer than its grace, a bite at a time, and nothing else.

use vestibule_core::id::{AccessTokenId, TenantId};
use vestibule_core::time::Timestamp;
use vestibule_store::sweep::{BITE_ROWS, Sweep};

use crate::facts::{CLIENT, NOW, OFFLINE, Scene, World, after, window};
use crate::support::{Place, on_both_engines};

/// How long an expired row is kept.
const GRACE_SECONDS: u32 = 3600;

/// Seconds.
const DAY: u32 = 86_400;

on_both_engines! {
    each_kind_of_row_is_removed_after_its_grace_and_not_before,
    bites_walk_across_tenants_and_come_round_again,
    a_family_outlives_its_last_token_by_days,
    an_extended_row_is_left,
}

/// Which rows of a scene are there: code, refresh token, opaque token, revoked name, session, family,
/// request to a provider, command line's sign-in.
async fn rows(world: &World, scene: &Scene) -> [bool; 8] {
    let here = world.here();
    let session = here
        .session(&scene.session_handle, CLIENT, window(NOW))
        .await;
    [
        here.code(scene.code.id.bytes())
            .await
            .expect("a read")
            .is_some(),
        here.refresh_token(scene.refresh.id())
            .await
            .expect("a read")
            .is_some(),
        here.access_token(&scene.token_handle)
            .await
            .expect("a read")
            .is_some(),
        here.is_revoked(scene.revoked).await.expect("a read"),
        session.expect("a read").is_some(),
        here.family_standing(scene.family.id, scene.token.id)
            .await
            .expect("a read")
            .is_some(),
        here.upstream_request(&scene.state)
            .await
            .expect("a read")
            .is_some(),
        here.cli_attempt_by_polling(scene.cli_waiting.polling())
            .await
            .expect("a read")
            .is_some(),
    ]
}

async fn each_kind_of_row_is_removed_after_its_grace_and_not_before(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let mut sweep = Sweep::default();
    // When each row has been expired for its grace, in the order of time, and what is there then.
    for (end, left) in [
        (60, [false, true, true, true, true, true, true, true]),
        (600, [false, true, false, false, true, true, false, true]),
        (7200, [false, true, false, false, true, true, false, false]),
        (DAY, [false, false, false, false, true, true, false, false]),
        (
            3 * DAY,
            [false, false, false, false, true, false, false, false],
        ),
        (14 * DAY, [false; 8]),
    ] {
        let due = end + GRACE_SECONDS;
        let before = rows(&world, &scene).await;
        sweep
            .bite(&world.store, after(due - 1))
            .await
            .expect("a bite");
        assert_eq!(
            rows(&world, &scene).await,
            before,
            "one second before {due}"
        );
        let (removed, hungry) = sweep.bite(&world.store, after(due)).await.expect("a bite");
        assert!(removed > 0 && !hungry, "{due}");
        assert_eq!(rows(&world, &scene).await, left, "{due}");
    }
    assert!(
        world
            .here()
            .user(scene.user())
            .await
            .expect("a read")
            .is_some(),
        "people stay"
    );
}

async fn revoke(world: &World, tenant: TenantId, count: u32, end: Timestamp) -> Vec<AccessTokenId> {
    let ids: Vec<_> = (0..count)
        .map(|_| AccessTokenId::new(NOW, &world.chance))
        .collect();
    let unit = ids.iter().fold(world.unit().in_tenant(tenant), |unit, id| {
        unit.revoke_jti(*id, end)
    });
    world.write(unit).await;
    ids
}

async fn left(world: &World, tenant: TenantId, ids: &[AccessTokenId]) -> usize {
    let there = world.store.tenant(tenant);
    let mut count = 0;
    for id in ids {
        count += usize::from(there.is_revoked(*id).await.expect("a read"));
    }
    count
}

async fn bites_walk_across_tenants_and_come_round_again(place: &Place) {
    let world = World::open(place).await;
    let bite = BITE_ROWS as usize;
    let mut tenants = Vec::new();
    for slug in ["one", "two", "three"] {
        let tenant = world.found(slug).await;
        let old = revoke(&world, tenant, BITE_ROWS / 2 + 10, after(1)).await;
        let young = revoke(&world, tenant, 10, after(1_000_000)).await;
        tenants.push((tenant, old, young));
    }
    let now = after(1 + GRACE_SECONDS);
    let all: usize = tenants.iter().map(|(_, old, _)| old.len()).sum();
    let (mut sweep, mut removed, mut bites) = (Sweep::default(), 0, 0);
    while removed < all {
        let (found, hungry) = sweep.bite(&world.store, now).await.expect("a bite");
        assert!(found <= bite, "a bite of {found}");
        bites += 1;
        removed += found;
        assert_eq!(
            hungry,
            removed < all,
            "hungry while a full bite was mostly removed"
        );
        let mut gone = 0;
        for (tenant, old, young) in &tenants {
            gone += old.len() - left(&world, *tenant, old).await;
            assert_eq!(
                left(&world, *tenant, young).await,
                young.len(),
                "not yet expired"
            );
        }
        assert_eq!(gone, removed, "what was counted is gone");
    }
    assert_eq!(bites, 2, "the rows of three tenants are two bites");
    // The walk is at its end, or comes round: an expired row at the front of the first tenant is found.
    let (tenant, ..) = tenants[0];
    let late = [AccessTokenId::from_bytes([0; 16])];
    world
        .write(world.unit().in_tenant(tenant).revoke_jti(late[0], after(1)))
        .await;
    for _ in 0..2 {
        sweep.bite(&world.store, now).await.expect("a bite");
    }
    assert_eq!(left(&world, tenant, &late).await, 0);
    let nothing = Sweep::default()
        .bite(&world.store, now)
        .await
        .expect("a bite");
    assert_eq!(nothing, (0, false));
}

async fn a_family_outlives_its_last_token_by_days(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let here = world.here();
    let found = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    let kept = found.family_expires_at;
    assert_eq!(kept, after(3 * 86_400), "a day of its token and two more");
    let little = world
        .unit()
        .extend_family(scene.family.id, kept, after(2 * 86_400 - 1));
    assert!(little.is_empty(), "written at most once a day");
    world
        .write(
            world
                .unit()
                .extend_family(scene.family.id, kept, after(2 * 86_400)),
        )
        .await;
    let found = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    assert_eq!(found.family_expires_at, after(4 * 86_400));
    // One that was decided earlier shortens nothing.
    let early = Timestamp::from_seconds(0);
    world
        .write(
            world
                .unit()
                .extend_family(scene.family.id, early, after(86_400)),
        )
        .await;
    let found = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    assert_eq!(found.family_expires_at, after(4 * 86_400));
}

async fn an_extended_row_is_left(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let here = world.here();
    let found = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    let slightly = world
        .unit()
        .touch_refresh_token(&found.token, after(86_400 + 10), after(10));
    assert!(
        slightly.is_empty(),
        "written at most once a tenth of its life"
    );
    let touch = world
        .unit()
        .touch_refresh_token(&found.token, after(2 * 86_400), after(86_400));
    world.write(touch).await;
    let mut sweep = Sweep::default();
    sweep
        .bite(&world.store, after(86_400 + GRACE_SECONDS))
        .await
        .expect("a bite");
    assert!(rows(&world, &scene).await[1]);
    sweep
        .bite(&world.store, after(2 * 86_400 + GRACE_SECONDS))
        .await
        .expect("a bite");
    assert!(!rows(&world, &scene).await[1]);
}
