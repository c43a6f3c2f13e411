//! What a person sees of themselves and what is left of them: sessions one by one, times, and nothing after removal.

use vestibule_core::id::{SessionId, UserId};
use vestibule_core::time::{Lifetime, Timestamp};

use vestibule_store::TenantStore;
use vestibule_store::db::DbError;
use vestibule_store::users::UserTimes;

use crate::facts::{CLIENT, NOW, OFFLINE, ONLINE, PROVIDER, Scene, World, after, window};
use crate::support::{Place, on_both_engines};

const READ: &str = "a read";

on_both_engines! {
    a_persons_sessions_that_count_are_listed_the_latest_first,
    a_session_is_found_by_its_id_while_it_counts,
    a_persons_session_is_ended_by_them_only_and_once,
    an_address_stays_verified_since_it_was_first,
    a_persons_times_read_back,
    a_person_is_found_by_address_in_any_case_and_by_nothing_else,
    a_session_whose_client_has_tokens_is_listed_though_it_was_idle,
    a_client_s_families_of_a_session_end_and_no_others,
    a_person_reads_whole_alone_and_in_lists_of_either_order,
    a_change_counts_only_if_nobody_else_made_one,
    a_password_that_is_taken_away_is_gone_and_nothing_else,
    a_removed_person_leaves_no_account_and_no_session,
}

async fn times_of(here: &TenantStore<'_>, id: UserId) -> Option<UserTimes> {
    let summary = here.user_summary(id).await.expect(READ);
    summary.map(|summary| summary.times)
}

async fn a_persons_sessions_that_count_are_listed_the_latest_first(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let grace = world.person("Grace");
    let (other, other_handle) = world.session(grace.user.id);
    let (second, second_handle) = world.session(scene.user());
    let (mut ended, ended_handle) = world.session(scene.user());
    ended.expires_at = after(60);
    let unit = world
        .unit()
        .insert_user(&grace, NOW)
        .insert_session(&other, &other_handle.digest())
        .insert_session(&second, &second_handle.digest())
        .insert_session(&ended, &ended_handle.digest())
        .end_session(ended.id, NOW);
    world.write(unit).await;
    // A later proof changes when the person signed in, not when the session began.
    let mut renewed = second.clone();
    renewed.auth_time = after(30);
    renewed.used_at = after(30);
    let unit = world
        .unit()
        .renew_session(&renewed, &second_handle.digest());
    world.write(unit).await;
    let here = world.here();
    let list = here.sessions_of(scene.user(), window(after(30))).await;
    let list = list.expect(READ);
    let sessions: Vec<_> = list.iter().map(|record| record.session.clone()).collect();
    assert_eq!(sessions, [renewed.clone(), scene.session.clone()]);
    assert!(list.iter().all(|record| record.created_at == NOW));
    let ids = async |now: Timestamp| -> Vec<SessionId> {
        let list = here.sessions_of(scene.user(), window(now)).await;
        let list = list.expect(READ);
        list.iter().map(|record| record.session.id).collect()
    };
    let day = Lifetime::days(1);
    assert_eq!(ids(NOW.plus(day)).await, [renewed.id], "one is idle");
    assert!(ids(after(30).plus(day)).await.is_empty(), "both are idle");
    let touch = world
        .unit()
        .touch_session(scene.session.id, scene.session.expires_at);
    world.write(touch).await;
    assert!(ids(scene.session.expires_at).await.is_empty(), "over");
    let nobody = UserId::from_bytes([9; 16]);
    let list = here.sessions_of(nobody, window(NOW)).await;
    assert!(list.expect(READ).is_empty());
}

async fn a_session_is_found_by_its_id_while_it_counts(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (here, id) = (world.here(), scene.session.id);
    let found = here.session_by_id(id, window(NOW)).await.expect(READ);
    let (record, user) = found.expect("a session");
    assert_eq!(record.session, scene.session);
    assert_eq!((record.created_at, &user), (NOW, &scene.person.user));
    let counts = async |now| {
        let found = here.session_by_id(id, window(now)).await;
        found.expect(READ).is_some()
    };
    assert!(!counts(NOW.plus(Lifetime::days(1))).await, "idle");
    assert!(!counts(scene.session.expires_at).await, "over");
    let disable = |at| world.unit().disable_user(scene.user(), at, NOW);
    world.write(disable(Some(NOW))).await;
    assert!(!counts(NOW).await, "disabled");
    world.write(disable(None)).await;
    assert!(counts(NOW).await);
    world.write(world.unit().end_session(id, NOW)).await;
    assert!(!counts(NOW).await, "ended");
    let unknown = SessionId::from_bytes([9; 16]);
    let found = here.session_by_id(unknown, window(NOW)).await;
    assert!(found.expect(READ).is_none());
}

async fn a_persons_session_is_ended_by_them_only_and_once(place: &Place) {
    let mut world = World::open(place).await;
    for (scope, rest) in [(ONLINE, false), (OFFLINE, true)] {
        world.tenant = world.found(if rest { "offline" } else { "online" }).await;
        let scene = Scene::play(&world, world.tenant, scope).await;
        let here = world.here();
        let end = |user| {
            world
                .unit()
                .end_session_of(scene.session.id, user, after(5))
        };
        let family_stands = async || {
            let found = here.family_standing(scene.family.id, scene.token.id).await;
            found.expect(READ).expect("a family").family_stands
        };
        world.lose(end(UserId::from_bytes([9; 16]))).await;
        assert!(family_stands().await);
        world.write(end(scene.user())).await;
        world.lose(end(scene.user())).await;
        assert_eq!(family_stands().await, rest, "{scope}");
        let list = here.sessions_of(scene.user(), window(NOW)).await;
        assert!(list.expect(READ).is_empty());
    }
}

async fn an_address_stays_verified_since_it_was_first(place: &Place) {
    let world = World::open(place).await;
    let mut user = world.person("Ada");
    user.user.email_verified = false;
    world.write(world.unit().insert_user(&user, NOW)).await;
    let mut user = user.user;
    let mut update = async |email: Option<&str>, verified: bool, at: u32| {
        user.email = email.map(str::to_owned);
        user.email_verified = verified;
        world
            .write(world.unit().update_user(&user, after(at)))
            .await;
        let times = times_of(&world.here(), user.id).await;
        times.expect("a person").email_verified_at
    };
    assert_eq!(update(Some("ada@example.com"), false, 1).await, None);
    assert_eq!(
        update(Some("ada@example.com"), true, 2).await,
        Some(after(2))
    );
    assert_eq!(
        update(Some("Ada@Example.com"), true, 3).await,
        Some(after(2))
    );
    assert_eq!(
        update(Some("ada@other.example"), true, 4).await,
        Some(after(4))
    );
    assert_eq!(update(Some("ada@other.example"), false, 5).await, None);
    assert_eq!(
        update(Some("ada@other.example"), true, 6).await,
        Some(after(6))
    );
    assert_eq!(update(None, false, 7).await, None);
    assert_eq!(update(Some("ada@other.example"), false, 8).await, None);
}

async fn a_persons_times_read_back(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let person = world.person("Ada");
    let id = person.user.id;
    world.write(world.unit().insert_user(&person, NOW)).await;
    let times = times_of(&here, id).await.expect("a person");
    assert_eq!((times.created_at, times.used_at), (NOW, None));
    let (one, one_handle) = world.session(id);
    let (two, two_handle) = world.session(id);
    let unit = world
        .unit()
        .insert_session(&one, &one_handle.digest())
        .insert_session(&two, &two_handle.digest())
        .touch_session(one.id, after(40))
        .end_session(one.id, after(50));
    world.write(unit).await;
    let times = times_of(&here, id).await.expect("a person");
    assert_eq!(times.used_at, Some(after(40)), "an ended session was used");
    let nobody = UserId::from_bytes([9; 16]);
    assert_eq!(times_of(&here, nobody).await, None);
}

async fn a_person_is_found_by_address_in_any_case_and_by_nothing_else(place: &Place) {
    let world = World::open(place).await;
    let person = world.person("Ada");
    world.write(world.unit().insert_user(&person, NOW)).await;
    let here = world.here();
    for address in ["ada@example.com", "ADA@EXAMPLE.com"] {
        let found = here.user_by_email(address).await.expect(READ);
        assert_eq!(found.as_ref(), Some(&person), "{address}");
    }
    for address in [
        "Ada",
        "",
        "ada@example.co",
        "ada@example.com.evil",
        "%@example.com",
    ] {
        let found = here.user_by_email(address).await.expect(READ);
        assert_eq!(found, None, "{address}");
    }
}

async fn a_session_whose_client_has_tokens_is_listed_though_it_was_idle(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (idle, idle_handle) = world.session(scene.user());
    let unit = world
        .unit()
        .insert_session(&idle, &idle_handle.digest())
        .touch_session(scene.session.id, NOW);
    world.write(unit).await;
    let here = world.here();
    let ids = async |client: &str, now: Timestamp| -> Vec<SessionId> {
        let list = here.sessions_of_with_client(scene.user(), client, window(now));
        let list = list.await.expect(READ);
        list.iter().map(|record| record.session.id).collect()
    };
    assert_eq!(ids(CLIENT, NOW).await, [idle.id, scene.session.id]);
    let late = NOW.plus(Lifetime::days(5));
    assert_eq!(ids(CLIENT, late).await, [scene.session.id]);
    assert!(ids("another", late).await.is_empty());
    // Whatever its client has, a session ends when it was to end.
    assert!(ids(CLIENT, NOW.plus(Lifetime::days(14))).await.is_empty());
    let unit = world
        .unit()
        .end_families_of_client(scene.session.id, CLIENT, NOW);
    world.write(unit).await;
    assert!(ids(CLIENT, late).await.is_empty());
    let unit = world.unit().end_session(scene.session.id, NOW);
    world.write(unit).await;
    assert_eq!(ids(CLIENT, NOW).await, [idle.id]);
}

async fn a_client_s_families_of_a_session_end_and_no_others(place: &Place) {
    let mut world = World::open(place).await;
    for (slug, scope) in [("online", ONLINE), ("offline", OFFLINE)] {
        world.tenant = world.found(slug).await;
        let scene = Scene::play(&world, world.tenant, scope).await;
        let here = world.here();
        let stands = async || {
            let found = here.family_standing(scene.family.id, scene.token.id).await;
            found.expect(READ).expect("a family").family_stands
        };
        let other = SessionId::from_bytes([9; 16]);
        for (session, client) in [(scene.session.id, "another"), (other, CLIENT)] {
            let unit = world.unit().end_families_of_client(session, client, NOW);
            world.write(unit).await;
            assert!(stands().await, "{scope}");
        }
        let unit = world
            .unit()
            .end_families_of_client(scene.session.id, CLIENT, NOW);
        world.write(unit).await;
        assert!(!stands().await, "{scope}");
    }
}

async fn a_person_reads_whole_alone_and_in_lists_of_either_order(place: &Place) {
    let world = World::open(place).await;
    let people = ["Ada", "Grace", "Zoe"].map(|name| world.person(name));
    let mut unit = world.unit();
    for person in &people {
        unit = unit.insert_user(person, NOW);
    }
    let (session, handle) = world.session(people[1].user.id);
    let unit = unit
        .insert_session(&session, &handle.digest())
        .touch_session(session.id, after(40))
        .upsert_password(people[1].user.id, "hash", NOW);
    world.write(unit).await;
    let here = world.here();
    let [ada, grace, zoe] = people.map(|person| person.user.id);
    let one = async |id| here.user_summary(id).await.expect(READ).expect("a person");
    let summary = one(grace).await;
    assert!(summary.has_password && !one(ada).await.has_password);
    assert_eq!(summary.times.used_at, Some(after(40)));
    assert_eq!(here.user(grace).await.expect(READ), Some(summary.record));
    let up = async |id, limit| {
        let list = here.user_summaries_after(id, limit).await.expect(READ);
        list.iter().map(|it| it.record.user.id).collect::<Vec<_>>()
    };
    let down = async |id, limit| {
        let list = here.user_summaries_before(id, limit).await.expect(READ);
        list.iter().map(|it| it.record.user.id).collect::<Vec<_>>()
    };
    assert_eq!(up(None, 9).await, [ada, grace, zoe]);
    assert_eq!(down(None, 9).await, [zoe, grace, ada]);
    assert_eq!(up(Some(ada), 1).await, [grace]);
    assert_eq!(down(Some(zoe), 1).await, [grace]);
    assert!(up(Some(zoe), 9).await.is_empty() && down(Some(ada), 9).await.is_empty());
    let list = here.user_summaries_after(Some(ada), 1).await.expect(READ);
    assert_eq!(list, [one(grace).await]);
    let nobody = UserId::from_bytes([9; 16]);
    assert_eq!(here.user_summary(nobody).await.expect(READ), None);
}

async fn a_change_counts_only_if_nobody_else_made_one(place: &Place) {
    let world = World::open(place).await;
    let (ada, grace) = (world.person("Ada"), world.person("Grace"));
    let unit = world.unit().insert_user(&ada, NOW);
    world.write(unit.insert_user(&grace, NOW)).await;
    let here = world.here();
    let id = ada.user.id;
    let read = async || here.user_summary(id).await.expect(READ).expect("a person");
    let first = read().await;
    let mut user = first.record.user.clone();
    user.profile.name = Some("Ada L.".to_owned());
    let change = |user: &_, seen: &_, at| world.unit().change_user(user, seen, after(at));
    world.write(change(&user, &first.seen, 1)).await;
    let second = read().await;
    assert_eq!(second.record.user.profile, user.profile);
    assert_eq!(second.record.user.updated_at, after(1));
    assert_eq!(second.times.email_verified_at, Some(NOW));
    // Of each part that is written, what was seen must still be there.
    world.lose(change(&user, &first.seen, 2)).await;
    user.email_verified = false;
    world.write(change(&user, &second.seen, 3)).await;
    world.lose(change(&user, &second.seen, 4)).await;
    let third = read().await;
    user.email = None;
    world.write(change(&user, &third.seen, 5)).await;
    world.lose(change(&user, &third.seen, 6)).await;
    let fourth = read().await;
    assert_eq!(fourth.record.user.email, None);
    // What it does not write stays: a person who was disabled meanwhile is.
    world
        .write(world.unit().disable_user(id, Some(NOW), after(7)))
        .await;
    world.write(change(&user, &fourth.seen, 8)).await;
    assert_eq!(read().await.record.user.disabled_at, Some(NOW));
    // Somebody else's address is a conflict, in any case.
    user.email = Some("GRACE@example.com".to_owned());
    let seen = read().await.seen;
    let refused = world.try_write(change(&user, &seen, 9)).await;
    assert!(
        matches!(refused, Err(DbError::Conflict { .. })),
        "{refused:?}"
    );
    assert_eq!(read().await.record.user.email, None);
}

async fn a_password_that_is_taken_away_is_gone_and_nothing_else(place: &Place) {
    let world = World::open(place).await;
    let people = ["Ada", "Grace"].map(|name| world.person(name));
    let mut unit = world.unit();
    for person in &people {
        unit = unit
            .insert_user(person, NOW)
            .upsert_password(person.user.id, "hash", NOW);
    }
    world.write(unit).await;
    let [ada, grace] = people.map(|person| person.user.id);
    let unit = world.unit().remove_password(ada).remove_password(ada);
    world.write(unit).await;
    let here = world.here();
    assert_eq!(here.password(ada).await.expect(READ), None);
    assert!(here.password(grace).await.expect(READ).is_some());
    assert!(here.user(ada).await.expect(READ).is_some());
}

async fn a_removed_person_leaves_no_account_and_no_session(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let grace = world.person("Grace");
    let kept = world.account(grace.user.id, PROVIDER, "109");
    let (session, handle) = world.session(grace.user.id);
    let unit = world
        .unit()
        .insert_user(&grace, NOW)
        .insert_account(&kept, None)
        .insert_session(&session, &handle.digest())
        .remove_user(scene.user());
    world.write(unit).await;
    let here = world.here();
    let id = scene.account.id;
    assert_eq!(here.account(id).await.expect(READ), None);
    assert_eq!(here.account_tokens(id).await.expect(READ), None);
    assert!(here.accounts_of(scene.user()).await.expect(READ).is_empty());
    let sessions = here.sessions_of(scene.user(), window(NOW)).await;
    assert!(sessions.expect(READ).is_empty());
    assert_eq!(here.account(kept.id).await.expect(READ), Some(kept));
    let sessions = here.sessions_of(grace.user.id, window(NOW)).await;
    assert_eq!(sessions.expect(READ).len(), 1, "another's session stays");
    // The upstream identity is free: its person can sign up again.
    let anew = world.account(grace.user.id, PROVIDER, "108");
    world.write(world.unit().insert_account(&anew, None)).await;
}
