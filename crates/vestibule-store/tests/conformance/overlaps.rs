//! Two units that overlap in time do not miss each other: whatever ends a session, a grant or a person's tokens also ends what is
//! being made of it at that moment, or keeps it from being made.

use tokio::task::JoinSet;
use vestibule_core::id::{AccessTokenId, FamilyId, GrantId};
use vestibule_core::oauth::token::{Authorization, Family};
use vestibule_core::secret::HandleKind;
use vestibule_store::{Store, TenantUnit};

use crate::facts::{CLIENT, NOW, OFFLINE, ONLINE, World, after, scope};
use crate::support::{Place, on_both_engines};

/// How often each pair meets: enough that an overlap that goes wrong shows itself.
const ROUNDS: usize = 120;
/// How many pairs are under way at once.
const ABREAST: usize = 3;

on_both_engines! {
    no_family_lives_under_a_session_that_was_signed_out_meanwhile,
    no_family_lives_under_a_grant_that_was_withdrawn_meanwhile,
    no_family_lives_of_a_person_whose_everything_ended_meanwhile,
    no_family_lives_on_by_a_rotation_during_the_sign_out,
    a_sign_out_waits_for_no_family_with_offline_access,
}

/// What ends a family.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    SignOut,
    Withdrawal,
    Everything,
}

/// A person with a session and a grant, in a round of their own.
struct Round {
    authorization: Authorization,
    /// Inserts the person, the session and the grant.
    unit: TenantUnit,
}

fn round(world: &World, scope_text: &str, index: usize) -> Round {
    let person = world.person(&format!("person{index}"));
    let user_id = person.user.id;
    let (session, handle) = world.session(user_id);
    let grant = GrantId::new(NOW, &world.chance);
    let authorization = Authorization {
        user_id,
        session_id: session.id,
        grant_id: Some(grant),
        scope: scope(scope_text),
        claims: vestibule_core::oauth::claims::ClaimsRequest::default(),
        resources: Vec::new(),
        auth_time: NOW,
        acr: session.acr,
        amr: session.amr.clone(),
        nonce: None,
        outer: None,
    };
    let allowed = (&authorization.scope, &[][..]);
    let unit = world
        .unit()
        .insert_user(&person, NOW)
        .insert_session(&session, &handle.digest())
        .upsert_grant(grant, user_id, CLIENT, allowed, NOW);
    Round {
        authorization,
        unit,
    }
}

async fn end(
    store: &Store,
    world_tenant: vestibule_core::id::TenantId,
    what: End,
    of: &Authorization,
) {
    let here = store.tenant(world_tenant);
    let unit = match what {
        End::SignOut => here.unit().end_session(of.session_id, after(1)),
        End::Everything => here.unit().end_everything_of(of.user_id, after(1)),
        End::Withdrawal => {
            here.withdraw_grant(of.user_id, CLIENT, after(1))
                .await
                .expect("a withdrawal");
            return;
        }
    };
    assert!(here.commit(unit).await.expect("a unit").won());
}

/// Runs the rounds, a few at a time: each lets `make` and the end meet. Gives how many of `make` were written.
async fn meet(
    world: &World,
    what: End,
    rounds: Vec<(Authorization, FamilyId, TenantUnit)>,
) -> usize {
    let tenant = world.tenant;
    let mut made = 0;
    let mut rounds = rounds.into_iter().enumerate().peekable();
    while rounds.peek().is_some() {
        let mut tasks = JoinSet::new();
        let mut families = Vec::new();
        for (index, (authorization, family, unit)) in rounds.by_ref().take(ABREAST) {
            families.push(family);
            let maker = world.store.clone();
            let make = async move { maker.commit(unit).await.expect("a unit").won() };
            let ender = world.store.clone();
            let end = async move {
                end(&ender, tenant, what, &authorization).await;
                false
            };
            // Either may be the first to start.
            if index % 2 == 0 {
                tasks.spawn(make);
                tasks.spawn(end);
            } else {
                tasks.spawn(end);
                tasks.spawn(make);
            }
        }
        made += tasks
            .join_all()
            .await
            .into_iter()
            .filter(|won| *won)
            .count();
        for family in families {
            let lives = stands(world, family).await;
            assert!(
                !lives,
                "a family outlived what it stands on, after {made} were made"
            );
        }
    }
    made
}

async fn stands(world: &World, family: FamilyId) -> bool {
    let none = AccessTokenId::from_bytes([0; 16]);
    let standing = world.here().family_standing(family, none).await;
    standing
        .expect("a read")
        .is_some_and(|found| found.family_stands)
}

/// Codes that are redeemed while what they stand on ends.
async fn redemptions_meet(place: &Place, what: End, scope_text: &str) {
    let world = World::open(place).await;
    let mut rounds = Vec::new();
    for index in 0..ROUNDS {
        let Round {
            authorization,
            unit,
        } = round(&world, scope_text, index);
        let code = world.code(&authorization);
        world.write(unit.insert_code(&code)).await;
        let family: Family = world.family(&authorization);
        let refresh = world.handle(HandleKind::RefreshToken);
        let redeem = world
            .unit()
            .redeem_code(code.id, family.id, NOW)
            .insert_family(&family, after(600), NOW)
            .insert_refresh_token(&refresh, family.id, after(600));
        rounds.push((authorization, family.id, redeem));
    }
    let made = meet(&world, what, rounds).await;
    assert!(made < ROUNDS, "no end ever came first");
}

async fn no_family_lives_under_a_session_that_was_signed_out_meanwhile(place: &Place) {
    redemptions_meet(place, End::SignOut, ONLINE).await;
}

async fn no_family_lives_under_a_grant_that_was_withdrawn_meanwhile(place: &Place) {
    redemptions_meet(place, End::Withdrawal, OFFLINE).await;
}

async fn no_family_lives_of_a_person_whose_everything_ended_meanwhile(place: &Place) {
    redemptions_meet(place, End::Everything, OFFLINE).await;
}

async fn no_family_lives_on_by_a_rotation_during_the_sign_out(place: &Place) {
    let world = World::open(place).await;
    let mut rounds = Vec::new();
    for index in 0..ROUNDS {
        let Round {
            authorization,
            unit,
        } = round(&world, ONLINE, index);
        let family = world.family(&authorization);
        let (old, new) = (
            world.handle(HandleKind::RefreshToken),
            world.handle(HandleKind::RefreshToken),
        );
        let before = unit
            .insert_family(&family, after(600), NOW)
            .insert_refresh_token(&old, family.id, after(600));
        world.write(before).await;
        let old_id = vestibule_core::id::RefreshTokenId::from_bytes(*old.id());
        let rotate = world
            .unit()
            .rotate_refresh_token(old_id, new.id(), NOW)
            .insert_refresh_token(&new, family.id, after(600))
            .guard_family(family.id);
        rounds.push((authorization, family.id, rotate));
    }
    meet(&world, End::SignOut, rounds).await;
}

async fn a_sign_out_waits_for_no_family_with_offline_access(place: &Place) {
    let world = World::open(place).await;
    for (index, (what, lives)) in [
        (End::SignOut, true),
        (End::Withdrawal, false),
        (End::Everything, false),
    ]
    .into_iter()
    .enumerate()
    {
        let Round {
            authorization,
            unit,
        } = round(&world, OFFLINE, index);
        world.write(unit).await;
        end(&world.store, world.tenant, what, &authorization).await;
        let family = world.family(&authorization);
        let late = world.unit().insert_family(&family, after(600), after(2));
        let written = world.try_write(late).await.expect("a unit").won();
        assert_eq!(written, lives, "{index}");
        assert_eq!(stands(&world, family.id).await, lives, "{index}");
    }
}
