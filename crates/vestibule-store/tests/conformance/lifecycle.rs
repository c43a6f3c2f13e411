//! What ends with what: sessions, grants, people, and the codes and families that came of them.

use vestibule_core::id::{AccessTokenId, GrantId};
use vestibule_core::time::Timestamp;

use crate::facts::{CLIENT, NOW, OFFLINE, ONLINE, Scene, World, after, window};
use crate::support::{Place, on_both_engines};

/// Seconds.
const DAY: u32 = 86_400;

on_both_engines! {
    everything_stands_at_first,
    sign_out_ends_families_without_offline_access_only,
    a_withdrawn_grant_takes_codes_and_families_with_it,
    a_disabled_person_has_nothing_that_stands,
    a_deleted_person_has_nothing,
    everything_of_a_person_ends_and_nothing_of_others,
    a_session_counts_until_it_is_over_idle_or_ended,
}

/// What stands of a scene: code, family by its refresh token, family by its access token, person.
async fn standing(world: &World, scene: &Scene) -> (bool, bool, bool, bool) {
    let here = world.here();
    let code = here.code(scene.code.id.bytes()).await.expect("a read");
    let refresh = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read");
    let family = here
        .family_standing(scene.family.id, scene.token.id)
        .await
        .expect("a read");
    let enabled = family
        .as_ref()
        .is_some_and(|found| found.user.disabled_at.is_none());
    let brief = here
        .brief_standing(scene.family.id, scene.token.id)
        .await
        .expect("a read");
    assert_eq!(
        brief.map(|found| (found.family_stands, found.person_enabled)),
        family.as_ref().map(|found| (found.family_stands, enabled))
    );
    (
        code.is_some_and(|found| found.stands(NOW)),
        refresh.is_some_and(|found| found.token.family.ended_at.is_none()),
        family.is_some_and(|found| found.family_stands),
        enabled,
    )
}

async fn signed_in(world: &World, scene: &Scene, now: Timestamp) -> bool {
    let found = world
        .here()
        .session(&scene.session_handle, CLIENT, window(now))
        .await;
    found.expect("a read").is_some()
}

async fn everything_stands_at_first(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    assert_eq!(standing(&world, &scene).await, (true, true, true, true));
    assert!(signed_in(&world, &scene, NOW).await);
}

async fn sign_out_ends_families_without_offline_access_only(place: &Place) {
    let mut world = World::open(place).await;
    for (scope, rest) in [(ONLINE, false), (OFFLINE, true)] {
        world.tenant = world.found(if rest { "offline" } else { "online" }).await;
        let scene = Scene::play(&world, world.tenant, scope).await;
        world
            .write(world.unit().end_session(scene.session.id, after(1)))
            .await;
        assert_eq!(
            standing(&world, &scene).await,
            (rest, rest, rest, true),
            "{scope}"
        );
        assert!(!signed_in(&world, &scene, after(1)).await, "{scope}");
    }
}

async fn a_withdrawn_grant_takes_codes_and_families_with_it(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let here = world.here();
    here.withdraw_grant(scene.user(), "another", NOW)
        .await
        .expect("a withdrawal");
    assert_eq!(
        standing(&world, &scene).await,
        (true, true, true, true),
        "another client's grant"
    );
    here.withdraw_grant(scene.user(), CLIENT, NOW)
        .await
        .expect("a withdrawal");
    assert_eq!(standing(&world, &scene).await, (false, false, false, true));
    assert!(
        signed_in(&world, &scene, NOW).await,
        "the session is not the client's"
    );
    let anew = GrantId::new(NOW, &world.chance);
    let allowed = (
        &scene.authorization.scope,
        &scene.authorization.resources[..],
    );
    world
        .write(
            world
                .unit()
                .upsert_grant(anew, scene.user(), CLIENT, allowed, NOW),
        )
        .await;
    let after_new_consent = standing(&world, &scene).await;
    assert_eq!(
        after_new_consent,
        (false, false, false, true),
        "a new grant revives nothing"
    );
}

async fn a_disabled_person_has_nothing_that_stands(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    world
        .write(world.unit().disable_user(scene.user(), Some(NOW), NOW))
        .await;
    let (code, _, _, enabled) = standing(&world, &scene).await;
    assert!(!code, "code");
    assert!(
        !enabled,
        "the facts about a family's token say that the person is disabled"
    );
    let found = world
        .here()
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read");
    assert!(
        !found.expect("a token").token.person_enabled,
        "refresh token"
    );
    assert!(!signed_in(&world, &scene, NOW).await, "session");
    world
        .write(world.unit().disable_user(scene.user(), None, NOW))
        .await;
    assert_eq!(
        standing(&world, &scene).await,
        (true, true, true, true),
        "enabled again"
    );
}

async fn a_deleted_person_has_nothing(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    world.write(world.unit().remove_user(scene.user())).await;
    let here = world.here();
    assert!(
        here.code(scene.code.id.bytes())
            .await
            .expect("a read")
            .is_none()
    );
    assert!(
        here.refresh_token(scene.refresh.id())
            .await
            .expect("a read")
            .is_none()
    );
    assert_eq!(standing(&world, &scene).await, (false, false, false, false));
    assert!(!signed_in(&world, &scene, NOW).await);
    assert_eq!(here.password(scene.user()).await.expect("a read"), None);
    // What was decided before the removal leaves nothing of the person behind.
    let allowed = (
        &scene.authorization.scope,
        &scene.authorization.resources[..],
    );
    let id = GrantId::new(NOW, &world.chance);
    world
        .lose(
            world
                .unit()
                .upsert_grant(id, scene.user(), CLIENT, allowed, NOW),
        )
        .await;
    world
        .lose(world.unit().upsert_password(scene.user(), "late", NOW))
        .await;
    assert_eq!(here.password(scene.user()).await.expect("a read"), None);
}

async fn everything_of_a_person_ends_and_nothing_of_others(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let other = world.person("Grace");
    let (session, handle) = world.session(other.user.id);
    let mut authorization = scene.authorization.clone();
    authorization.user_id = other.user.id;
    authorization.session_id = session.id;
    authorization.grant_id = None;
    let family = world.family(&authorization);
    let unit = world
        .unit()
        .insert_user(&other, NOW)
        .insert_session(&session, &handle.digest())
        .insert_family(&family, after(600), NOW);
    world.write(unit).await;
    world
        .write(world.unit().end_everything_of(scene.user(), after(5)))
        .await;
    let (_, refresh, access, _) = standing(&world, &scene).await;
    assert!(!refresh && !access, "families end, with offline_access too");
    assert!(!signed_in(&world, &scene, after(5)).await);
    let here = world.here();
    let none = AccessTokenId::from_bytes([0; 16]);
    let theirs = here
        .family_standing(family.id, none)
        .await
        .expect("a read")
        .expect("a family");
    assert!(theirs.family_stands);
    assert!(
        here.session(&handle, CLIENT, window(NOW))
            .await
            .expect("a read")
            .is_some()
    );
}

async fn a_session_counts_until_it_is_over_idle_or_ended(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    assert!(signed_in(&world, &scene, after(DAY - 1)).await);
    assert!(
        !signed_in(&world, &scene, after(DAY)).await,
        "idle for the whole window"
    );
    world
        .write(
            world
                .unit()
                .touch_session(scene.session.id, after(14 * DAY - 10)),
        )
        .await;
    world
        .write(world.unit().touch_session(scene.session.id, after(5)))
        .await;
    assert!(
        signed_in(&world, &scene, after(14 * DAY - 1)).await,
        "an earlier use takes nothing back"
    );
    assert!(
        !signed_in(&world, &scene, after(14 * DAY)).await,
        "over, however lately used"
    );
    world
        .write(
            world
                .unit()
                .end_session(scene.session.id, after(14 * DAY - 5)),
        )
        .await;
    assert!(
        !signed_in(&world, &scene, after(14 * DAY - 1)).await,
        "ended"
    );
}
