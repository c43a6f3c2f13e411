//! The broker's records read back, and what may not be written is not: providers, keys, domains, accounts, requests to
//! providers, command lines.

use vestibule_core::id::{AccountId, ApiKeyId, CliAttemptId, UserId};
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::relying_party::provider::UpstreamGrant;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_store::TenantUnit;
use vestibule_store::accounts::{ACCOUNTS_PAGE_USERS_MAX, SealedTokens};
use vestibule_store::cli_attempts::{CliHandles, CliStage};

use crate::facts::{
    NOW, ONLINE, PROVIDER, Scene, TRUSTED, World, after, cli_id, provider, provider_id, scope,
    upstream_id,
};
use crate::support::{Place, on_both_engines};

const READ: &str = "a read";

on_both_engines! {
    a_provider_reads_back_and_is_replaced_with_its_secret,
    a_removed_provider_leaves_the_accounts_that_were_linked_through_it,
    keys_read_back_in_the_order_of_their_names,
    a_key_with_a_taken_name_or_secret_is_refused,
    a_key_is_revoked_once,
    a_trusted_domain_is_there_once,
    an_account_reads_back_with_and_without_tokens,
    an_upstream_identity_belongs_to_one_person,
    an_account_of_nobody_is_refused,
    an_account_is_found_for_its_own_person_only,
    upstream_tokens_are_replaced_and_forgotten,
    upstream_tokens_are_refreshed_only_if_unchanged,
    an_account_is_used_for_what_it_is_said_to_be,
    an_account_is_removed_by_its_own_person_only,
    a_request_is_found_by_its_whole_state_only,
    a_request_is_not_used_twice_or_late,
    an_attempt_is_found_by_each_handle_in_its_own_place_only,
    an_attempt_is_completed_then_used_and_its_result_forgotten,
    an_attempt_is_not_completed_or_used_late_or_for_nobody,
    the_accounts_of_a_page_of_people_are_each_ones_own,
}

async fn a_provider_reads_back_and_is_replaced_with_its_secret(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let (id, mut settings) = (provider_id("gitlab"), provider("gitlab"));
    assert_eq!(here.provider(&id).await.expect(READ), None);
    world
        .write(
            world
                .unit()
                .upsert_provider(&settings, Some(&[0, 255]), NOW),
        )
        .await;
    let found = here.provider(&id).await.expect(READ).expect("a provider");
    assert_eq!(found.settings, settings);
    assert_eq!(found.sealed_secret.as_deref(), Some(&[0, 255][..]));
    assert_eq!((found.created_at, found.updated_at), (NOW, NOW));
    settings.sign_in = false;
    settings.name = Some("Our forge \u{1f980}".to_owned());
    world
        .write(world.unit().upsert_provider(&settings, None, after(5)))
        .await;
    let found = here.provider(&id).await.expect(READ).expect("a provider");
    assert_eq!(found.settings, settings);
    assert_eq!(found.sealed_secret, None, "the secret is replaced, too");
    assert_eq!((found.created_at, found.updated_at), (NOW, after(5)));
    world
        .write(world.unit().upsert_provider(&provider("apple"), None, NOW))
        .await;
    let list = here.providers().await.expect(READ);
    let ids: Vec<&str> = list.iter().map(|it| it.settings.id.as_str()).collect();
    assert_eq!(ids, ["apple", "gitlab"]);
}

async fn a_removed_provider_leaves_the_accounts_that_were_linked_through_it(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let here = world.here();
    let id = provider_id(PROVIDER);
    world.write(world.unit().remove_provider(&id)).await;
    world.lose(world.unit().remove_provider(&id)).await;
    assert_eq!(here.provider(&id).await.expect(READ), None);
    assert!(here.providers().await.expect(READ).is_empty());
    let accounts = here.accounts_of(scene.user()).await.expect(READ);
    assert_eq!(accounts, [scene.account]);
}

async fn keys_read_back_in_the_order_of_their_names(place: &Place) {
    let world = World::open(place).await;
    let mut keys = [
        world.api_key("c", KeyTier::Publishable),
        world.api_key("a", KeyTier::Admin),
        world.api_key("b", KeyTier::Secret),
    ];
    keys[2].expires_at = Some(after(60));
    keys[2].revoked_at = Some(after(5));
    let unit = keys.iter().fold(world.unit(), TenantUnit::insert_api_key);
    world.write(unit).await;
    let here = world.here();
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    let found = here.api_keys().await.expect(READ);
    assert_eq!(found.len(), keys.len());
    for (found, key) in found.iter().zip(&keys) {
        assert_eq!((&found.name, found.id), (&key.name, key.id));
        assert_eq!(found.tier, key.tier);
        assert!(found.digest.matches(&key.digest));
        assert_eq!(found.created_at, key.created_at);
        assert_eq!(found.expires_at, key.expires_at);
        assert_eq!(found.revoked_at, key.revoked_at);
        let named = here.api_key_by_name(&key.name).await.expect(READ);
        assert_eq!(named.expect("a key").id, key.id);
    }
    assert!(here.api_key_by_name("A").await.expect(READ).is_none());
}

async fn a_key_with_a_taken_name_or_secret_is_refused(place: &Place) {
    let world = World::open(place).await;
    let key = world.api_key("one", KeyTier::Publishable);
    world.write(world.unit().insert_api_key(&key)).await;
    let mut same_name = world.api_key("one", KeyTier::Admin);
    same_name.digest = world.api_key("other", KeyTier::Admin).digest;
    world.lose(world.unit().insert_api_key(&same_name)).await;
    let mut same_secret = world.api_key("two", KeyTier::Admin);
    same_secret.digest = key.digest;
    world.lose(world.unit().insert_api_key(&same_secret)).await;
    let other = world.found("other").await;
    let elsewhere = TenantUnit::new(other).insert_api_key(&same_secret);
    world.write(elsewhere).await;
    // Its name is free once it is removed, also within the unit that removes it.
    let replace = world
        .unit()
        .remove_api_key(key.id)
        .insert_api_key(&same_name);
    world.write(replace).await;
    world.lose(world.unit().remove_api_key(key.id)).await;
    let found = world.here().api_key_by_name("one").await.expect(READ);
    assert_eq!(found.expect("a key").tier, KeyTier::Admin);
}

async fn a_key_is_revoked_once(place: &Place) {
    let world = World::open(place).await;
    let key = world.api_key("one", KeyTier::Secret);
    world.write(world.unit().insert_api_key(&key)).await;
    world
        .write(world.unit().revoke_api_key(key.id, after(5)))
        .await;
    world
        .lose(world.unit().revoke_api_key(key.id, after(6)))
        .await;
    let unknown = ApiKeyId::from_bytes([9; 16]);
    world.lose(world.unit().revoke_api_key(unknown, NOW)).await;
    let found = world.here().api_key_by_name("one").await.expect(READ);
    let found = found.expect("a revoked key is still listed");
    assert_eq!(found.revoked_at, Some(after(5)));
    assert!(!found.stands(after(6)));
}

async fn a_trusted_domain_is_there_once(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let local = "http://localhost:3000";
    let unit = world
        .unit()
        .insert_trusted_domain(TRUSTED)
        .insert_trusted_domain(local);
    world.write(unit).await;
    world
        .lose(world.unit().insert_trusted_domain(TRUSTED))
        .await;
    assert_eq!(here.trusted_domains().await.expect(READ), [local, TRUSTED]);
    world
        .write(world.unit().remove_trusted_domain(TRUSTED))
        .await;
    world
        .lose(world.unit().remove_trusted_domain(TRUSTED))
        .await;
    assert_eq!(here.trusted_domains().await.expect(READ), [local]);
}

async fn an_account_reads_back_with_and_without_tokens(place: &Place) {
    let world = World::open(place).await;
    let person = world.person("Ada");
    let user = person.user.id;
    let full = world.account(user, PROVIDER, "108");
    let mut bare = world.account(user, "github", "Ünïcode|108");
    bare.email = None;
    bare.sign_in = false;
    bare.connected = false;
    bare.grant = None;
    let mut endless = world.account(user, "slack", "108");
    endless.grant = Some(UpstreamGrant::default());
    let unit = world
        .unit()
        .insert_user(&person, NOW)
        .insert_account(&full, Some(&[0, 255]))
        .insert_account(&bare, None)
        .insert_account(&endless, Some(b"tokens"));
    world.write(unit).await;
    let here = world.here();
    for account in [&full, &bare, &endless] {
        let (id, provider) = (account.id, &account.provider_id);
        assert_eq!(here.account(id).await.expect(READ).as_ref(), Some(account));
        let found = here.account_of(provider, &account.subject).await;
        let (found, owner) = found.expect(READ).expect("an account");
        assert_eq!((&found, &owner), (account, &person.user));
        let found = here.account_of_user(user, provider, &account.subject).await;
        assert_eq!(found.expect(READ).as_ref(), Some(account));
    }
    let tokens = here.account_tokens(full.id).await.expect(READ);
    let grant = full.grant.clone().expect("a grant");
    assert_eq!(tokens, Some((grant, vec![0, 255])));
    assert_eq!(here.account_tokens(bare.id).await.expect(READ), None);
    let list = here.accounts_of(user).await.expect(READ);
    assert_eq!(list, [full, bare, endless]);
    let unknown = AccountId::from_bytes([9; 16]);
    assert_eq!(here.account(unknown).await.expect(READ), None);
}

async fn an_upstream_identity_belongs_to_one_person(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let grace = world.person("Grace");
    world.write(world.unit().insert_user(&grace, NOW)).await;
    for user in [scene.user(), grace.user.id] {
        let again = world.account(user, PROVIDER, "108");
        world.lose(world.unit().insert_account(&again, None)).await;
    }
    // Another subject, one that differs in case alone, and the same subject elsewhere are other identities.
    for (provider, subject) in [
        (PROVIDER, "109"),
        ("github", "108"),
        (PROVIDER, "x"),
        (PROVIDER, "X"),
    ] {
        let other = world.account(grace.user.id, provider, subject);
        world.write(world.unit().insert_account(&other, None)).await;
    }
    let found = world.here().account_of(&provider_id(PROVIDER), "108").await;
    let (account, owner) = found.expect(READ).expect("an account");
    assert_eq!((account, owner.id), (scene.account.clone(), scene.user()));
}

async fn an_account_of_nobody_is_refused(place: &Place) {
    let world = World::open(place).await;
    let nobody = world.account(UserId::from_bytes([9; 16]), PROVIDER, "108");
    world.lose(world.unit().insert_account(&nobody, None)).await;
    let other = world.found("other").await;
    let scene = Scene::play(&world, other, ONLINE).await;
    let elsewhere = world.account(scene.user(), PROVIDER, "109");
    world
        .lose(world.unit().insert_account(&elsewhere, None))
        .await;
}

async fn an_account_is_found_for_its_own_person_only(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let here = world.here();
    let stranger = UserId::from_bytes([9; 16]);
    let google = provider_id(PROVIDER);
    for (user, provider, subject) in [
        (stranger, PROVIDER, "108"),
        (scene.user(), "github", "108"),
        (scene.user(), PROVIDER, "10"),
        (scene.user(), PROVIDER, "108 "),
    ] {
        let found = here
            .account_of_user(user, &provider_id(provider), subject)
            .await;
        assert_eq!(found.expect(READ), None, "{provider} {subject}");
    }
    assert!(here.accounts_of(stranger).await.expect(READ).is_empty());
    // Who is disabled is still told apart from nobody.
    world
        .write(world.unit().disable_user(scene.user(), Some(NOW), NOW))
        .await;
    let (_, owner) = here
        .account_of(&google, "108")
        .await
        .expect(READ)
        .expect("an account");
    assert_eq!(owner.disabled_at, Some(NOW));
}

async fn upstream_tokens_are_replaced_and_forgotten(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (here, id) = (world.here(), scene.account.id);
    let grant = UpstreamGrant {
        scope: scope("mail"),
        access_expires_at: None,
    };
    let tokens = SealedTokens {
        grant: &grant,
        sealed: b"newer",
    };
    let unit = world
        .unit()
        .update_account_tokens(id, Some(tokens), after(5))
        .update_account_email(id, Some("ada@elsewhere.example"), after(5));
    world.write(unit).await;
    let found = here.account(id).await.expect(READ).expect("an account");
    assert_eq!(found.grant, Some(grant));
    assert_eq!(found.email.as_deref(), Some("ada@elsewhere.example"));
    assert_eq!((found.created_at, found.updated_at), (NOW, after(5)));
    let (grant, sealed) = here.account_tokens(id).await.expect(READ).expect("tokens");
    assert_eq!((Some(grant), &sealed[..]), (found.grant, &b"newer"[..]));
    world
        .write(world.unit().update_account_tokens(id, None, after(6)))
        .await;
    let found = here.account(id).await.expect(READ).expect("an account");
    assert_eq!(found.grant, None);
    assert_eq!(here.account_tokens(id).await.expect(READ), None);
    let unknown = AccountId::from_bytes([9; 16]);
    let nothing = world.unit().update_account_tokens(unknown, None, NOW);
    world.lose(nothing).await;
    let nothing = world.unit().update_account_email(unknown, None, NOW);
    world.lose(nothing).await;
}

async fn upstream_tokens_are_refreshed_only_if_unchanged(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (here, id) = (world.here(), scene.account.id);
    let grant = UpstreamGrant::default();
    let tokens = |sealed| {
        Some(SealedTokens {
            grant: &grant,
            sealed,
        })
    };
    let refresh = |old: &[u8], new| world.unit().refresh_account_tokens(id, old, new, after(5));
    world.lose(refresh(b"token", tokens(b"stale"))).await;
    world.lose(refresh(b"", None)).await;
    world.write(refresh(b"tokens", tokens(b"second"))).await;
    world.lose(refresh(b"tokens", tokens(b"stale"))).await;
    // A refusal that was asked for with the old token does not forget the new one.
    world.lose(refresh(b"tokens", None)).await;
    let (_, sealed) = here.account_tokens(id).await.expect(READ).expect("tokens");
    assert_eq!(sealed, b"second");
    world.write(refresh(b"second", None)).await;
    world.lose(refresh(b"second", tokens(b"stale"))).await;
    assert_eq!(here.account_tokens(id).await.expect(READ), None);
}

async fn an_account_is_used_for_what_it_is_said_to_be(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let id = scene.account.id;
    for (sign_in, connected) in [(true, false), (false, false), (false, true), (true, true)] {
        let at = |yes: bool| yes.then_some(after(5));
        world
            .write(world.unit().set_account_use(id, at(sign_in), at(connected)))
            .await;
        let found = world.here().account(id).await.expect(READ);
        let found = found.expect("an account");
        assert_eq!((found.sign_in, found.connected), (sign_in, connected));
    }
    let unknown = AccountId::from_bytes([9; 16]);
    let nothing = world.unit().set_account_use(unknown, None, None);
    world.lose(nothing).await;
}

async fn an_account_is_removed_by_its_own_person_only(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let grace = world.person("Grace");
    let (ada, grace_id, id) = (scene.user(), grace.user.id, scene.account.id);
    world.write(world.unit().insert_user(&grace, NOW)).await;
    world.lose(world.unit().remove_account(id, grace_id)).await;
    assert!(world.here().account(id).await.expect(READ).is_some());
    world.write(world.unit().remove_account(id, ada)).await;
    world.lose(world.unit().remove_account(id, ada)).await;
    assert_eq!(world.here().account_tokens(id).await.expect(READ), None);
    let anew = world.account(grace_id, PROVIDER, "108");
    world.write(world.unit().insert_account(&anew, None)).await;
}

async fn a_request_is_found_by_its_whole_state_only(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let here = world.here();
    let found = here.upstream_request(&scene.state).await.expect(READ);
    let found = found.expect("a request");
    assert_eq!(found.id, upstream_id(&scene.state));
    assert_eq!(found.sealed, b"purpose");
    assert_eq!((found.expires_at, found.used_at), (after(600), None));
    let id = *scene.state.id();
    for wrong in [
        Handle::renew(HandleKind::UpstreamState, id, &world.chance),
        Handle::renew(HandleKind::Code, id, &world.chance),
        world.handle(HandleKind::UpstreamState),
    ] {
        let found = here.upstream_request(&wrong).await.expect(READ);
        assert_eq!(found, None, "{wrong:?}");
    }
}

async fn a_request_is_not_used_twice_or_late(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let id = upstream_id(&scene.state);
    let mark = |id, at| world.unit().mark_upstream_request_used(id, at);
    for late in [after(600), after(601)] {
        world.lose(mark(id, late)).await;
    }
    world.write(mark(id, after(599))).await;
    world.lose(mark(id, after(599))).await;
    let unknown = upstream_id(&world.handle(HandleKind::UpstreamState));
    world.lose(mark(unknown, NOW)).await;
    let found = world.here().upstream_request(&scene.state).await;
    let found = found.expect(READ).expect("a used request is still known");
    assert_eq!(found.used_at, Some(after(599)));
}

async fn an_attempt_is_found_by_each_handle_in_its_own_place_only(place: &Place) {
    let world = World::open(place).await;
    let handles = world.cli_handles();
    world
        .write(world.unit().insert_cli_attempt(&handles, after(60)))
        .await;
    let here = world.here();
    let by_polling = here.cli_attempt_by_polling(handles.polling()).await;
    let by_login = here.cli_attempt_by_login(handles.login()).await;
    let found = by_polling.expect(READ).expect("an attempt");
    assert_eq!(by_login.expect(READ), Some(found.clone()));
    assert_eq!((found.id, found.expires_at), (cli_id(&handles), after(60)));
    assert_eq!(found.stage, CliStage::Waiting);
    let id = *handles.polling().id();
    let other: CliHandles = world.cli_handles();
    for wrong in [
        handles.login(),
        other.polling(),
        &Handle::renew(HandleKind::CliPolling, id, &world.chance),
    ] {
        let found = here.cli_attempt_by_polling(wrong).await.expect(READ);
        assert_eq!(found, None, "{wrong:?}");
    }
    for wrong in [
        handles.polling(),
        other.login(),
        &Handle::renew(HandleKind::CliLogin, id, &world.chance),
    ] {
        let found = here.cli_attempt_by_login(wrong).await.expect(READ);
        assert_eq!(found, None, "{wrong:?}");
    }
}

async fn an_attempt_is_completed_then_used_and_its_result_forgotten(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let (handles, user_id) = (&scene.cli_waiting, scene.user());
    let id = cli_id(handles);
    let stage = async || {
        let found = world.here().cli_attempt_by_polling(handles.polling()).await;
        found.expect(READ).expect("an attempt").stage
    };
    let complete = |sealed| {
        world
            .unit()
            .mark_cli_attempt_completed(id, user_id, sealed, NOW)
    };
    let mark_used = || world.unit().mark_cli_attempt_used(id, after(5));
    world.lose(mark_used()).await;
    assert_eq!(stage().await, CliStage::Waiting);
    world.write(complete(b"first")).await;
    world.lose(complete(b"second")).await;
    let sealed = b"first".to_vec();
    assert_eq!(stage().await, CliStage::Completed { user_id, sealed });
    world.write(mark_used()).await;
    world.lose(mark_used()).await;
    world.lose(complete(b"third")).await;
    assert_eq!(stage().await, CliStage::Used { user_id });
}

async fn an_attempt_is_not_completed_or_used_late_or_for_nobody(place: &Place) {
    let world = World::open(place).await;
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let other = world.found("other").await;
    let elsewhere = Scene::play(&world, other, ONLINE).await.user();
    let user = scene.user();
    let (waiting, completed) = (cli_id(&scene.cli_waiting), cli_id(&scene.cli_completed));
    let complete = |id, user, at| {
        world
            .unit()
            .mark_cli_attempt_completed(id, user, b"result", at)
    };
    let mark_used = |id, at| world.unit().mark_cli_attempt_used(id, at);
    let unknown = CliAttemptId::from_bytes([9; 16]);
    for unit in [
        complete(waiting, user, after(7200)),
        complete(waiting, UserId::from_bytes([9; 16]), NOW),
        complete(waiting, elsewhere, NOW),
        complete(unknown, user, NOW),
        mark_used(completed, after(7200)),
        mark_used(unknown, NOW),
    ] {
        world.lose(unit).await;
    }
    let disable = |at| world.unit().disable_user(user, at, NOW);
    world.write(disable(Some(NOW))).await;
    world.lose(complete(waiting, user, NOW)).await;
    world.lose(mark_used(completed, NOW)).await;
    world.write(disable(None)).await;
    world.write(complete(waiting, user, NOW)).await;
    world.write(world.unit().remove_user(user)).await;
    world.lose(mark_used(waiting, NOW)).await;
    world.lose(mark_used(completed, NOW)).await;
}

async fn the_accounts_of_a_page_of_people_are_each_ones_own(place: &Place) {
    let world = World::open(place).await;
    let people: Vec<_> = (0..=ACCOUNTS_PAGE_USERS_MAX)
        .map(|index| world.person(&format!("p{index}")))
        .collect();
    let mut unit = world.unit();
    let mut linked = Vec::new();
    for (index, person) in people.iter().enumerate() {
        unit = unit.insert_user(person, NOW);
        // Nobody has an account, or one, or two.
        for number in 0..index % 3 {
            let account = world.account(person.user.id, PROVIDER, &format!("{index} {number}"));
            unit = unit.insert_account(&account, None);
            linked.push(account);
        }
    }
    world.write(unit).await;
    let here = world.here();
    let ids: Vec<_> = people.iter().map(|person| person.user.id).collect();
    for page in [&ids[..], &ids[..7], &ids[2..3], &ids[3..4], &[]] {
        let found = here.accounts_of_page(page).await.expect(READ);
        for id in page.iter().take(ACCOUNTS_PAGE_USERS_MAX) {
            let own = found.get(id).cloned().unwrap_or_default();
            assert_eq!(own, here.accounts_of(*id).await.expect(READ));
        }
        let wanted = &page[..page.len().min(ACCOUNTS_PAGE_USERS_MAX)];
        let count = linked
            .iter()
            .filter(|account| wanted.contains(&account.user_id))
            .count();
        assert_eq!(found.values().map(Vec::len).sum::<usize>(), count);
    }
}
