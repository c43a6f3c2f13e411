//! Whatever may happen once happens once, however many ask for it at the same instant, and a lost unit writes nothing.

use tokio::task::JoinSet;
use vestibule_core::id::{AccessTokenId, FamilyId, RefreshTokenId};
use vestibule_core::oauth::code::CodeStage;
use vestibule_core::oauth::refresh::RefreshStage;
use vestibule_core::oauth::token::Family;
use vestibule_core::relying_party::provider::UpstreamGrant;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_store::accounts::{SealedTokens, WayIn};
use vestibule_store::cli_attempts::CliStage;
use vestibule_store::{Store, TenantUnit};

use crate::facts::{
    CLIENT, NOW, OFFLINE, ONLINE, PROVIDER, Scene, World, after, cli_id, provider_id, upstream_id,
};
use crate::support::{Place, on_both_engines};

/// How many ask at the same instant.
const RACERS: usize = 64;

on_both_engines! {
    one_of_64_redemptions_of_a_code_wins_and_makes_the_only_family,
    one_of_64_rotations_of_a_refresh_token_wins_and_makes_the_only_successor,
    one_of_64_set_ups_completes_and_none_after_it,
    set_up_is_not_completed_with_an_expired_or_replaced_link,
    a_lost_guard_writes_nothing_of_its_unit,
    a_family_that_ended_meanwhile_loses_the_unit_that_is_guarded_by_it,
    a_code_is_not_redeemed_after_what_it_stands_on_is_gone,
    a_code_with_offline_access_is_redeemed_after_sign_out,
    an_earlier_grant_keeps_its_id,
    one_of_64_answers_to_an_upstream_request_wins_and_makes_the_only_session,
    one_of_64_links_of_an_upstream_identity_wins_and_makes_the_only_person,
    one_of_64_refreshes_of_upstream_tokens_wins,
    one_of_64_completions_of_a_command_line_wins_and_one_of_64_polls_after_it,
    of_64_who_give_up_the_last_two_ways_in_one_wins,
    of_64_who_give_up_one_of_64_ways_in_one_way_stays,
}

/// Commits all at once; gives the indices of those that won.
async fn race(store: &Store, units: Vec<TenantUnit>) -> Vec<usize> {
    let mut tasks = JoinSet::new();
    for (index, unit) in units.into_iter().enumerate() {
        let store = store.clone();
        tasks.spawn(async move { (index, store.commit(unit).await.expect("a unit").won()) });
    }
    let results = tasks.join_all().await;
    results
        .into_iter()
        .filter(|(_, won)| *won)
        .map(|(index, _)| index)
        .collect()
}

async fn family_exists(world: &World, id: FamilyId) -> bool {
    let none = AccessTokenId::from_bytes([0; 16]);
    world
        .here()
        .family_standing(id, none)
        .await
        .expect("a read")
        .is_some()
}

async fn one_of_64_redemptions_of_a_code_wins_and_makes_the_only_family(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let families: Vec<Family> = (0..RACERS)
        .map(|_| world.family(&scene.authorization))
        .collect();
    let units = families
        .iter()
        .map(|family| {
            world
                .unit()
                .insert_family(family, after(600), NOW)
                .redeem_code(scene.code.id, family.id, NOW)
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for (index, family) in families.iter().enumerate() {
        assert_eq!(
            family_exists(&world, family.id).await,
            winners.contains(&index),
            "{index}"
        );
    }
    let found = world
        .here()
        .code(scene.code.id.bytes())
        .await
        .expect("a read")
        .expect("a code");
    assert_eq!(
        found.code.stage,
        CodeStage::Redeemed(families[winners[0]].id)
    );
}

async fn one_of_64_rotations_of_a_refresh_token_wins_and_makes_the_only_successor(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let successors: Vec<Handle> = (0..RACERS)
        .map(|_| world.handle(HandleKind::RefreshToken))
        .collect();
    let units = successors
        .iter()
        .map(|next| {
            world
                .unit()
                .guard_family(scene.family.id)
                .insert_refresh_token(next, scene.family.id, after(600))
                .rotate_refresh_token(scene.refresh_id(), next.id(), NOW)
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    let here = world.here();
    for (index, next) in successors.iter().enumerate() {
        let found = here.refresh_token(next.id()).await.expect("a read");
        assert_eq!(found.is_some(), winners.contains(&index), "{index}");
    }
    let found = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    let successor = RefreshTokenId::from_bytes(*successors[winners[0]].id());
    assert_eq!(
        found.token.stage,
        RefreshStage::Rotated {
            at: NOW,
            successor,
            successor_used: false
        }
    );
}

async fn one_of_64_set_ups_completes_and_none_after_it(place: &Place) {
    let world = World::open(place).await;
    world
        .store
        .installation(&[3; 32])
        .await
        .expect("an installation");
    let link = world.handle(HandleKind::SetUp);
    assert!(
        world
            .store
            .offer_set_up(&link, after(60))
            .await
            .expect("an offer")
            .won()
    );
    let people: Vec<_> = (0..RACERS)
        .map(|index| world.person(&format!("op{index}")))
        .collect();
    let complete = |index: usize| {
        world
            .unit()
            .insert_user(&people[index], NOW)
            .complete_set_up(link.id(), NOW)
    };
    let winners = race(&world.store, (0..RACERS).map(complete).collect()).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    for (index, person) in people.iter().enumerate() {
        let found = world.here().user(person.user.id).await.expect("a read");
        assert_eq!(found.is_some(), winners.contains(&index), "{index}");
    }
    let other = world.handle(HandleKind::SetUp);
    let offered = world
        .store
        .offer_set_up(&other, after(60))
        .await
        .expect("an offer");
    assert!(
        !offered.won(),
        "no link opens after an operator was created"
    );
    for id in [link.id(), other.id()] {
        world.lose(world.unit().complete_set_up(id, NOW)).await;
    }
    let found = world
        .store
        .installation(&[3; 32])
        .await
        .expect("an installation");
    assert_eq!(found.set_up_at, Some(NOW));
    assert!(found.set_up.is_none(), "no link is open");
}

async fn set_up_is_not_completed_with_an_expired_or_replaced_link(place: &Place) {
    let world = World::open(place).await;
    world
        .store
        .installation(&[3; 32])
        .await
        .expect("an installation");
    let first = world.handle(HandleKind::SetUp);
    let second = world.handle(HandleKind::SetUp);
    assert!(
        world
            .store
            .offer_set_up(&first, after(60))
            .await
            .expect("an offer")
            .won()
    );
    assert!(
        world
            .store
            .offer_set_up(&second, after(60))
            .await
            .expect("an offer")
            .won()
    );
    world
        .lose(world.unit().complete_set_up(first.id(), NOW))
        .await;
    world
        .lose(world.unit().complete_set_up(second.id(), after(60)))
        .await;
    world
        .write(world.unit().complete_set_up(second.id(), after(59)))
        .await;
}

async fn a_lost_guard_writes_nothing_of_its_unit(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let version = world
        .store
        .configuration_version()
        .await
        .expect("a version");
    let (family, person) = (world.family(&scene.authorization), world.person("Grace"));
    let next = world.handle(HandleKind::RefreshToken);
    let (session, handle) = world.session(scene.user());
    let (token, token_handle) = world.opaque(None, None);
    let jti = AccessTokenId::new(NOW, &world.chance);
    let unit = world
        .unit()
        .insert_user(&person, NOW)
        .insert_session(&session, &handle.digest())
        .insert_family(&family, after(600), NOW)
        .insert_refresh_token(&next, family.id, after(600))
        .insert_access_token(&token, &token_handle.digest())
        .revoke_jti(jti, after(600))
        .end_everything_of(scene.user(), NOW)
        .remove_client(CLIENT)
        .redeem_code(
            vestibule_core::id::CodeId::from_bytes([9; 16]),
            family.id,
            NOW,
        );
    world.lose(unit).await;
    let here = world.here();
    assert!(here.user(person.user.id).await.expect("a read").is_none());
    let found = here
        .session(&handle, CLIENT, crate::facts::window(NOW))
        .await
        .expect("a read");
    assert!(found.is_none());
    assert!(!family_exists(&world, family.id).await);
    assert!(
        here.refresh_token(next.id())
            .await
            .expect("a read")
            .is_none()
    );
    assert!(
        here.access_token(&token_handle)
            .await
            .expect("a read")
            .is_none()
    );
    assert!(!here.is_revoked(jti).await.expect("a read"));
    assert!(here.client(CLIENT).await.expect("a read").is_some());
    let old = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    assert_eq!(old.token.family.ended_at, None);
    assert_eq!(
        world
            .store
            .configuration_version()
            .await
            .expect("a version"),
        version
    );
}

async fn a_family_that_ended_meanwhile_loses_the_unit_that_is_guarded_by_it(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let next = world.handle(HandleKind::RefreshToken);
    world
        .write(world.unit().end_family(scene.family.id, NOW))
        .await;
    let rotate = world
        .unit()
        .insert_refresh_token(&next, scene.family.id, after(600))
        .rotate_refresh_token(scene.refresh_id(), next.id(), NOW)
        .guard_family(scene.family.id);
    world.lose(rotate).await;
    let here = world.here();
    assert!(
        here.refresh_token(next.id())
            .await
            .expect("a read")
            .is_none()
    );
    let old = here
        .refresh_token(scene.refresh.id())
        .await
        .expect("a read")
        .expect("a token");
    assert_eq!(old.token.stage, RefreshStage::Current);
    assert_eq!(
        old.token.family.ended_at,
        Some(NOW),
        "the first end is kept"
    );
}

/// The decision was made while all stood; the guard sees what happened between the decision and the write.
async fn a_code_is_not_redeemed_after_what_it_stands_on_is_gone(place: &Place) {
    let world = World::open(place).await;
    for case in [
        "disabled",
        "deleted",
        "withdrawn",
        "allowed anew",
        "signed out",
    ] {
        let tenant = world.found(&case.replace(' ', "-")).await;
        let scene = Scene::play(&world, tenant, ONLINE).await;
        let there = world.store.tenant(tenant);
        let user = scene.user();
        match case {
            "disabled" => {
                world
                    .write(there.unit().disable_user(user, Some(NOW), NOW))
                    .await;
            }
            "deleted" => world.write(there.unit().remove_user(user)).await,
            "signed out" => {
                world
                    .write(there.unit().end_session(scene.session.id, NOW))
                    .await;
            }
            _ => there
                .withdraw_grant(user, CLIENT, NOW)
                .await
                .expect("a withdrawal"),
        }
        if case == "allowed anew" {
            let id = vestibule_core::id::GrantId::new(NOW, &world.chance);
            let allowed = (
                &scene.authorization.scope,
                &scene.authorization.resources[..],
            );
            world
                .write(there.unit().upsert_grant(id, user, CLIENT, allowed, NOW))
                .await;
        }
        let family = world.family(&scene.authorization);
        let redeem = there
            .unit()
            .insert_family(&family, after(600), NOW)
            .redeem_code(scene.code.id, family.id, NOW);
        let outcome = there.commit(redeem).await.expect("a unit");
        assert!(!outcome.won(), "{case}");
    }
}

async fn a_code_with_offline_access_is_redeemed_after_sign_out(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    world
        .write(world.unit().end_session(scene.session.id, NOW))
        .await;
    let family = world.family(&scene.authorization);
    let redeem = world
        .unit()
        .insert_family(&family, after(600), NOW)
        .redeem_code(scene.code.id, family.id, NOW);
    world.write(redeem).await;
    assert!(family_exists(&world, family.id).await);
}

async fn an_earlier_grant_keeps_its_id(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let wider = crate::facts::scope("openid email profile");
    let other = vestibule_core::id::GrantId::new(NOW, &world.chance);
    let unit = world
        .unit()
        .upsert_grant(other, scene.user(), CLIENT, (&wider, &[]), NOW);
    world.write(unit).await;
    let window = crate::facts::window(NOW);
    let found = world
        .here()
        .session(&scene.session_handle, CLIENT, window)
        .await;
    let grant = found
        .expect("a read")
        .expect("a session")
        .signed_in
        .grant
        .expect("a grant");
    assert_eq!(Some(grant.id), scene.authorization.grant_id);
    assert_eq!((grant.scope, grant.resources), (wider, Vec::new()));
    let code = world
        .here()
        .code(scene.code.id.bytes())
        .await
        .expect("a read")
        .expect("a code");
    assert!(code.stands(NOW), "a wider grant is the same grant");
}

async fn one_of_64_answers_to_an_upstream_request_wins_and_makes_the_only_session(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let sessions: Vec<_> = (0..RACERS).map(|_| world.session(scene.user())).collect();
    let units = sessions
        .iter()
        .map(|(session, handle)| {
            world
                .unit()
                .insert_session(session, &handle.digest())
                .mark_upstream_request_used(upstream_id(&scene.state), NOW)
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    let here = world.here();
    let window = crate::facts::window(NOW);
    let found = here
        .sessions_of(scene.user(), window)
        .await
        .expect("a read");
    let mut ids: Vec<_> = found.iter().map(|record| record.session.id).collect();
    ids.retain(|id| *id != scene.session.id);
    assert_eq!(ids, [sessions[winners[0]].0.id]);
    let request = here.upstream_request(&scene.state).await.expect("a read");
    assert_eq!(request.expect("a request").used_at, Some(NOW));
}

async fn one_of_64_links_of_an_upstream_identity_wins_and_makes_the_only_person(place: &Place) {
    let world = World::open(place).await;
    let people: Vec<_> = (0..RACERS)
        .map(|index| world.person(&format!("p{index}")))
        .collect();
    let units = people
        .iter()
        .map(|person| {
            let account = world.account(person.user.id, PROVIDER, "108");
            world
                .unit()
                .insert_user(person, NOW)
                .insert_account(&account, Some(b"tokens"))
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    let here = world.here();
    for (index, person) in people.iter().enumerate() {
        let won = winners.contains(&index);
        let found = here.user(person.user.id).await.expect("a read");
        assert_eq!(found.is_some(), won, "{index}");
        let accounts = here.accounts_of(person.user.id).await.expect("a read");
        assert_eq!(accounts.len(), usize::from(won), "{index}");
    }
    let (_, user) = here
        .account_of(&provider_id(PROVIDER), "108")
        .await
        .expect("a read")
        .expect("an account");
    assert_eq!(user.id, people[winners[0]].user.id);
}

async fn one_of_64_refreshes_of_upstream_tokens_wins(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let grant = UpstreamGrant::default();
    let sealed: Vec<Vec<u8>> = (0..RACERS)
        .map(|index| format!("tokens {index}").into_bytes())
        .collect();
    let units = sealed
        .iter()
        .map(|sealed| {
            let tokens = SealedTokens {
                grant: &grant,
                sealed,
            };
            let id = scene.account.id;
            world
                .unit()
                .refresh_account_tokens(id, b"tokens", Some(tokens), NOW)
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    let found = world
        .here()
        .account_tokens(scene.account.id)
        .await
        .expect("a read");
    assert_eq!(found, Some((grant, sealed[winners[0]].clone())));
}

async fn one_of_64_completions_of_a_command_line_wins_and_one_of_64_polls_after_it(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (handles, user_id) = (&scene.cli_waiting, scene.user());
    let id = cli_id(handles);
    let results: Vec<Vec<u8>> = (0..RACERS)
        .map(|index| format!("result {index}").into_bytes())
        .collect();
    let units = results
        .iter()
        .map(|result| {
            world
                .unit()
                .mark_cli_attempt_completed(id, user_id, result, NOW)
        })
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    let stage = async || {
        let found = world.here().cli_attempt_by_polling(handles.polling()).await;
        found.expect("a read").expect("an attempt").stage
    };
    let sealed = results[winners[0]].clone();
    assert_eq!(stage().await, CliStage::Completed { user_id, sealed });
    let units = (0..RACERS)
        .map(|_| world.unit().mark_cli_attempt_used(id, NOW))
        .collect();
    let winners = race(&world.store, units).await;
    assert_eq!(winners.len(), 1, "winners: {winners:?}");
    assert_eq!(stage().await, CliStage::Used { user_id });
}

/// Each was decided while both stood. Whoever comes second would lock the person out.
async fn of_64_who_give_up_the_last_two_ways_in_one_wins(place: &Place) {
    let world = World::open(place).await;
    for with_password in [false, true] {
        let person = world.person(if with_password { "bob" } else { "eve" });
        let user = person.user.id;
        let first = world.account(user, PROVIDER, &format!("{with_password} 1"));
        let second = world.account(user, PROVIDER, &format!("{with_password} 2"));
        let unit = world.unit().insert_user(&person, NOW);
        let unit = unit.insert_account(&first, None);
        world
            .write(if with_password {
                unit.upsert_password(user, "hash", NOW)
            } else {
                unit.insert_account(&second, None)
            })
            .await;
        let units = (0..RACERS)
            .map(|index| match (index % 2, with_password) {
                (0, false) => world
                    .unit()
                    .guard_way_in(user, WayIn::Account(second.id))
                    .remove_account(first.id, user),
                (_, false) => world
                    .unit()
                    .guard_way_in(user, WayIn::Account(first.id))
                    .set_account_use(second.id, None, None),
                (0, true) => world
                    .unit()
                    .guard_way_in(user, WayIn::Password)
                    .remove_account(first.id, user),
                (_, true) => world
                    .unit()
                    .guard_way_in(user, WayIn::Account(first.id))
                    .remove_password(user),
            })
            .collect();
        let winners = race(&world.store, units).await;
        // Giving up the same thing twice changes nothing, so those who say the same may all win; nobody of the others does.
        let sides: std::collections::BTreeSet<usize> =
            winners.iter().map(|index| index % 2).collect();
        assert_eq!(sides.len(), 1, "winners: {winners:?}");
        let accounts = world.here().accounts_of(user).await.expect("a read");
        let ways = accounts.iter().filter(|account| account.sign_in).count();
        let password = world.here().password(user).await.expect("a read");
        assert_eq!(ways + usize::from(password.is_some()), 1);
    }
}

async fn of_64_who_give_up_one_of_64_ways_in_one_way_stays(place: &Place) {
    let world = World::open(place).await;
    let person = world.person("eve");
    let user = person.user.id;
    let accounts: Vec<_> = (0..RACERS)
        .map(|index| world.account(user, PROVIDER, &format!("s {index}")))
        .collect();
    let unit = accounts
        .iter()
        .fold(world.unit().insert_user(&person, NOW), |unit, account| {
            unit.insert_account(account, None)
        });
    world.write(unit).await;
    // Each relies on its neighbour: all of them together would leave nothing.
    let units = accounts
        .iter()
        .zip(accounts.iter().cycle().skip(1))
        .map(|(account, next)| {
            world
                .unit()
                .guard_way_in(user, WayIn::Account(next.id))
                .remove_account(account.id, user)
        })
        .collect();
    let winners = race(&world.store, units).await;
    let left = world.here().accounts_of(user).await.expect("a read");
    assert!(!left.is_empty(), "winners: {winners:?}");
    assert_eq!(left.len(), RACERS - winners.len());
    // Another's way is none.
    let other = world.person("bob");
    world.write(world.unit().insert_user(&other, NOW)).await;
    let theirs = WayIn::Account(left[0].id);
    world
        .lose(world.unit().guard_way_in(other.user.id, theirs))
        .await;
    world
        .lose(world.unit().guard_way_in(user, WayIn::Password))
        .await;
}
