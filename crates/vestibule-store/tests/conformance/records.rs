//! What was written reads back, a taken name is refused, and every statement is sound on both engines.

use vestibule_core::id::{AccessTokenId, RefreshTokenId, TenantId, UserId};
use vestibule_core::identity::tenant::{Domain, DomainKind, SignUp};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::oauth::refresh::RefreshStage;
use vestibule_core::oauth::scope::{ScopeConsent, ScopeRecord};
use vestibule_core::secret::{HandleKind, SecretDigest};
use vestibule_store::db::DbError;
use vestibule_store::keys::KeyRecord;
use vestibule_store::{MIGRATIONS, STATEMENTS, Store, TenantUnit};

use crate::facts::{CLIENT, NOW, OFFLINE, ONLINE, Scene, World, after, client, tenant, window};
use crate::support::{Place, on_both_engines};

on_both_engines! {
    every_statement_is_valid_and_no_hot_one_reads_a_whole_table,
    the_schema_is_applied_once,
    a_tenant_reads_back,
    a_host_belongs_to_one_tenant,
    scopes_read_back,
    a_client_reads_back_with_several_secrets,
    an_algorithm_has_one_active_and_one_announced_key,
    a_person_is_found_by_name_and_address_in_any_case,
    a_name_or_address_belongs_to_one_person,
    people_are_paged_in_the_order_of_their_ids,
    a_password_is_replaced_and_upgraded_only_if_unchanged,
    a_session_reads_back_with_and_without_a_grant,
    a_code_reads_back,
    a_refresh_token_reads_back_through_its_rotations,
    an_opaque_token_reads_back_with_and_without_a_person,
    a_revoked_name_is_known_to_its_family,
    the_installation_has_one_row,
    changes_are_numbered_and_say_whose_they_are,
}

async fn every_statement_is_valid_and_no_hot_one_reads_a_whole_table(place: &Place) {
    let db = place.open().await;
    db.migrate(MIGRATIONS, NOW.seconds())
        .await
        .expect("a schema");
    let mut complaints = Vec::new();
    for statements in STATEMENTS {
        assert!(!statements.is_empty());
        complaints.extend(db.check_statements(statements).await.expect("a check"));
    }
    assert_eq!(complaints, Vec::<String>::new());
    db.close().await;
}

async fn the_schema_is_applied_once(place: &Place) {
    let db = place.open().await;
    let first = db
        .migrate(MIGRATIONS, NOW.seconds())
        .await
        .expect("a schema");
    assert_eq!((first.applied, first.version), (MIGRATIONS.len(), 3));
    let second = db
        .migrate(MIGRATIONS, after(5).seconds())
        .await
        .expect("a schema");
    assert_eq!((second.applied, second.version), (0, 3));
    // Opening a store with data in it changes none of it.
    let store = Store::open(db.clone(), NOW).await.expect("a store");
    store.installation(&[1; 32]).await.expect("an installation");
    let again = Store::open(db, NOW).await.expect("a store");
    assert_eq!(
        again
            .installation(&[2; 32])
            .await
            .expect("an installation")
            .key_check,
        [1; 32]
    );
}

async fn a_tenant_reads_back(place: &Place) {
    let world = World::open(place).await;
    let mut record = tenant(&world.chance, "library");
    record.policy.sign_up = SignUp::Open;
    world
        .write(TenantUnit::new(record.id).insert_tenant(&record, NOW))
        .await;
    let store = &world.store;
    assert_eq!(
        store.any_tenant(record.id).await.expect("a read"),
        Some(record.clone())
    );
    assert_eq!(
        store.any_tenant_by_slug("library").await.expect("a read"),
        Some(record.clone())
    );
    assert_eq!(
        store.any_tenant_by_slug("Library").await.expect("a read"),
        None
    );
    let same_slug = tenant(&world.chance, "library");
    world
        .lose(TenantUnit::new(same_slug.id).insert_tenant(&same_slug, NOW))
        .await;
    "Die Bücherei".clone_into(&mut record.name);
    record.groups = Vec::new();
    world
        .write(TenantUnit::new(record.id).update_tenant(&record, after(1)))
        .await;
    assert_eq!(
        store.any_tenant(record.id).await.expect("a read"),
        Some(record.clone())
    );
    world
        .lose(TenantUnit::new(same_slug.id).update_tenant(&same_slug, NOW))
        .await;
    let slugs = async |from: &str| -> Vec<String> {
        let page = store.any_tenants_after(from).await.expect("a read");
        page.into_iter().map(|record| record.slug).collect()
    };
    assert_eq!(slugs("").await, ["default", "library"]);
    assert_eq!(slugs("default").await, ["library"]);
}

async fn a_host_belongs_to_one_tenant(place: &Place) {
    let world = World::open(place).await;
    let other = world.found("other").await;
    let domain = |host: &str, kind| Domain {
        host: host.to_owned(),
        kind,
    };
    let kinds = [
        DomainKind::Primary,
        DomainKind::Alias,
        DomainKind::Satellite,
    ];
    let domains: Vec<_> = ["a.example", "b.example", "c.example"]
        .iter()
        .zip(kinds)
        .map(|(h, k)| domain(h, k))
        .collect();
    let unit = domains.iter().fold(world.unit(), TenantUnit::upsert_domain);
    world.write(unit).await;
    assert_eq!(world.here().domains().await.expect("a read"), domains);
    let taken = domain("a.example", DomainKind::Alias);
    world
        .lose(TenantUnit::new(other).upsert_domain(&taken))
        .await;
    world
        .lose(TenantUnit::new(other).remove_domain("a.example"))
        .await;
    let by_host = |host| world.store.any_tenant_by_host(host);
    let (found, kind) = by_host("a.example")
        .await
        .expect("a read")
        .expect("a tenant");
    assert_eq!((found.id, kind), (world.tenant, DomainKind::Primary));
    assert_eq!(found.groups, ["readers", "writers"]);
    world.write(world.unit().upsert_domain(&taken)).await;
    let (_, kind) = by_host("a.example")
        .await
        .expect("a read")
        .expect("a tenant");
    assert_eq!(kind, DomainKind::Alias);
    world.write(world.unit().remove_domain("a.example")).await;
    assert!(by_host("a.example").await.expect("a read").is_none());
    world
        .write(TenantUnit::new(other).upsert_domain(&taken))
        .await;
}

async fn scopes_read_back(place: &Place) {
    let world = World::open(place).await;
    let scope = |name: &str, consent| ScopeRecord {
        name: name.to_owned(),
        description: "Read".to_owned(),
        consent,
    };
    let (mut ask, implied) = (
        scope("a:read", ScopeConsent::Ask),
        scope("b:read", ScopeConsent::Implied),
    );
    world
        .write(world.unit().upsert_scope(&implied).upsert_scope(&ask))
        .await;
    assert_eq!(
        world.here().scopes().await.expect("a read"),
        [ask.clone(), implied.clone()]
    );
    ask.consent = ScopeConsent::Implied;
    world
        .write(world.unit().upsert_scope(&ask).remove_scope("b:read"))
        .await;
    assert_eq!(world.here().scopes().await.expect("a read"), [ask]);
    world.lose(world.unit().remove_scope("b:read")).await;
}

async fn a_client_reads_back_with_several_secrets(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let secrets = [1, 2, 3].map(|byte| SecretDigest::from_bytes([byte; 32]));
    let mut metadata = client("b");
    world
        .write(world.unit().insert_client(&metadata, &secrets, NOW))
        .await;
    world
        .lose(world.unit().insert_client(&metadata, &[], NOW))
        .await;
    let found = here.client("b").await.expect("a read").expect("a client");
    assert_eq!(
        (&found.metadata, found.created_at, found.updated_at),
        (&metadata, NOW, NOW)
    );
    assert_eq!(found.secrets.len(), 3);
    assert!(
        found
            .secrets
            .iter()
            .zip(&secrets)
            .all(|(left, right)| left.matches(right))
    );
    metadata.client_name = Some("Another name".to_owned());
    world
        .write(world.unit().update_client(&metadata, &[], after(1)))
        .await;
    let found = here.client("b").await.expect("a read").expect("a client");
    assert_eq!(
        (found.metadata, found.created_at, found.updated_at),
        (metadata, NOW, after(1))
    );
    assert!(found.secrets.is_empty(), "a public client has none");
    let unit = world
        .unit()
        .insert_client(&client("a"), &[], NOW)
        .insert_client(&client("B"), &[], NOW);
    world.write(unit).await;
    let ids = async |from: &str| -> Vec<String> {
        let page = here.clients_after(from).await.expect("a read");
        page.into_iter()
            .map(|record| record.metadata.client_id)
            .collect()
    };
    assert_eq!(
        ids("").await,
        ["B", "a", "b"],
        "in the order of bytes, on both engines"
    );
    assert_eq!(ids("a").await, ["b"]);
    world.write(world.unit().remove_client("b")).await;
    assert!(here.client("b").await.expect("a read").is_none());
    world.lose(world.unit().remove_client("b")).await;
    world
        .lose(world.unit().update_client(&client("b"), &[], NOW))
        .await;
}

/// The parts of a key that change.
fn states(keys: &[KeyRecord]) -> Vec<(Algorithm, bool, bool)> {
    keys.iter()
        .map(|key| {
            (
                key.algorithm,
                key.activated_at.is_some(),
                key.retired_at.is_some(),
            )
        })
        .collect()
}

async fn an_algorithm_has_one_active_and_one_announced_key(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let active = world.key(Algorithm::ES256, Some(NOW));
    let next = world.key(Algorithm::ES256, None);
    let other = world.key(Algorithm::EdDSA, Some(NOW));
    let insert = |key: &KeyRecord| world.unit().insert_key(key);
    for key in [&active, &next, &other] {
        world.write(insert(key)).await;
    }
    for taken in [
        world.key(Algorithm::ES256, Some(NOW)),
        world.key(Algorithm::ES256, None),
    ] {
        world.lose(insert(&taken)).await;
    }
    let keys = here.keys().await.expect("a read");
    assert_eq!(keys[0].sealed, active.sealed);
    assert_eq!((keys[0].id, keys[0].created_at), (active.id, NOW));
    let refused = world
        .try_write(world.unit().activate_key(next.id, NOW))
        .await;
    assert!(
        matches!(refused, Err(DbError::Conflict { .. })),
        "two active: {refused:?}"
    );
    world.lose(world.unit().retire_key(next.id, NOW)).await;
    world.lose(world.unit().remove_key(active.id)).await;
    let rotate = world
        .unit()
        .retire_key(active.id, after(5))
        .activate_key(next.id, after(5));
    world.write(rotate.clone()).await;
    world.lose(rotate).await;
    let keys = here.keys().await.expect("a read");
    let expected = [
        (Algorithm::ES256, true, true),
        (Algorithm::ES256, true, false),
        (Algorithm::EdDSA, true, false),
    ];
    assert_eq!(states(&keys), expected);
    assert_eq!(
        (keys[0].retired_at, keys[1].activated_at),
        (Some(after(5)), Some(after(5)))
    );
    let due = async |announced, retired| -> Vec<TenantId> {
        world
            .store
            .any_tenants_with_due_keys(announced, retired)
            .await
            .expect("a read")
    };
    assert!(due(NOW, after(4)).await.is_empty());
    assert_eq!(due(NOW, after(5)).await, [world.tenant], "one to forget");
    world.write(world.unit().remove_key(active.id)).await;
    world
        .write(insert(&world.key(Algorithm::ES256, None)))
        .await;
    assert!(
        due(
            after(0).minus(vestibule_core::time::Lifetime::minutes(1)),
            NOW
        )
        .await
        .is_empty()
    );
    assert_eq!(due(NOW, NOW).await, [world.tenant], "one to activate");
}

async fn a_person_is_found_by_name_and_address_in_any_case(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let mut ada = world.person("Ada");
    ada.operator_at = Some(NOW);
    world.write(world.unit().insert_user(&ada, NOW)).await;
    assert_eq!(
        here.user(ada.user.id).await.expect("a read"),
        Some(ada.clone())
    );
    for text in ["Ada", "ada", "ADA", "ada@example.com", "ADA@Example.COM"] {
        let found = here.user_by_identifier(text).await.expect("a read");
        assert_eq!(found, Some((ada.clone(), None)), "{text}");
    }
    world
        .write(world.unit().upsert_password(ada.user.id, "hash", NOW))
        .await;
    for text in ["ada", "ada@example.com"] {
        let found = here.user_by_identifier(text).await.expect("a read");
        assert_eq!(
            found,
            Some((ada.clone(), Some("hash".to_owned()))),
            "{text}"
        );
    }
    for text in ["", "adа", "ada@", "@example.com", "grace", "%", "a_a"] {
        assert_eq!(
            here.user_by_identifier(text).await.expect("a read"),
            None,
            "{text}"
        );
    }
}

async fn a_name_or_address_belongs_to_one_person(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let mut ada = world.person("Ada");
    let grace = world.person("Grace");
    let mut same_name = world.person("ADA");
    same_name.user.email = None;
    let mut same_address = world.person("ADA");
    same_address.user.username = None;
    world
        .write(world.unit().insert_user(&ada, NOW).insert_user(&grace, NOW))
        .await;
    for taken in [&same_name, &same_address] {
        world.lose(world.unit().insert_user(taken, NOW)).await;
    }
    // People without a user name, or without an address, are many.
    for _ in 0..2 {
        let mut nameless = world.person("x");
        (nameless.user.username, nameless.user.email) = (None, None);
        nameless.user.email_verified = false;
        world.write(world.unit().insert_user(&nameless, NOW)).await;
        assert_eq!(
            here.user(nameless.user.id).await.expect("a read"),
            Some(nameless)
        );
    }
    ada.user.username = Some("grace".to_owned());
    let refused = world
        .try_write(world.unit().update_user(&ada.user, NOW))
        .await;
    assert!(
        matches!(refused, Err(DbError::Conflict { .. })),
        "{refused:?}"
    );
    ada.user.username = Some("Lovelace".to_owned());
    ada.user.email = None;
    ada.user.email_verified = false;
    ada.user.disabled_at = Some(after(3));
    ada.user.updated_at = after(3);
    world
        .write(world.unit().update_user(&ada.user, after(3)))
        .await;
    let found = here.user_by_identifier("lovelace").await.expect("a read");
    assert_eq!(found.map(|(record, _)| record), Some(ada));
    for gone in ["ada", "ada@example.com"] {
        assert_eq!(here.user_by_identifier(gone).await.expect("a read"), None);
    }
    world.write(world.unit().insert_user(&same_name, NOW)).await;
    world
        .lose(world.unit().update_user(&world.person("nobody").user, NOW))
        .await;
}

async fn people_are_paged_in_the_order_of_their_ids(place: &Place) {
    let world = World::open(place).await;
    let people: Vec<_> = (0..3)
        .map(|index| world.person(&format!("p{index}")))
        .collect();
    for person in people.iter().rev() {
        world.write(world.unit().insert_user(person, NOW)).await;
    }
    let page = async |id: UserId| world.here().users_after(id).await.expect("a read");
    assert_eq!(page(UserId::from_bytes([0; 16])).await, people);
    assert_eq!(page(people[0].user.id).await, people[1..]);
    assert_eq!(page(people[2].user.id).await, []);
}

async fn a_password_is_replaced_and_upgraded_only_if_unchanged(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let ada = world.person("Ada");
    let id = ada.user.id;
    world
        .write(
            world
                .unit()
                .insert_user(&ada, NOW)
                .upsert_password(id, "old", NOW),
        )
        .await;
    world
        .write(world.unit().upsert_password(id, "new", NOW))
        .await;
    assert_eq!(
        here.password(id).await.expect("a read").as_deref(),
        Some("new")
    );
    world
        .write(world.unit().upgrade_password(id, "old", "stale", NOW))
        .await;
    assert_eq!(
        here.password(id).await.expect("a read").as_deref(),
        Some("new")
    );
    world
        .write(world.unit().upgrade_password(id, "new", "stronger", NOW))
        .await;
    assert_eq!(
        here.password(id).await.expect("a read").as_deref(),
        Some("stronger")
    );
    let nobody = UserId::from_bytes([5; 16]);
    world
        .lose(world.unit().upsert_password(nobody, "hash", NOW))
        .await;
    assert_eq!(here.password(nobody).await.expect("a read"), None);
}

async fn a_session_reads_back_with_and_without_a_grant(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let handle = &scene.session_handle;
    let found = here
        .session(handle, CLIENT, window(NOW))
        .await
        .expect("a read");
    let found = found.expect("a session");
    assert_eq!(found.user, scene.person.user);
    assert_eq!(found.signed_in.session, scene.session);
    let grant = found.signed_in.grant.expect("a grant");
    assert_eq!(Some(grant.id), scene.authorization.grant_id);
    assert_eq!(grant.scope, scene.authorization.scope);
    assert_eq!(grant.resources, scene.authorization.resources);
    let found = here
        .session(handle, "another", window(NOW))
        .await
        .expect("a read");
    assert_eq!(found.expect("a session").signed_in.grant, None);
    // The same id under another secret: whoever knows an id alone has nothing.
    let key = vestibule_core::secret::DerivationKey::new(&[1; 32]);
    let forged = handle.successor(*handle.id(), &key);
    assert!(
        here.session(&forged, CLIENT, window(NOW))
            .await
            .expect("a read")
            .is_none()
    );
    let (mut bare, bare_handle) = world.session(scene.user());
    bare.amr = Vec::new();
    world
        .write(world.unit().insert_session(&bare, &bare_handle.digest()))
        .await;
    let found = here
        .session(&bare_handle, CLIENT, window(NOW))
        .await
        .expect("a read");
    assert_eq!(
        found.expect("a session").signed_in.session,
        bare,
        "without a method"
    );
}

async fn a_code_reads_back(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let mut bare = world.code(&scene.authorization);
    (bare.redirect_uri, bare.challenge) = (None, None);
    bare.authorization.grant_id = None;
    world.write(world.unit().insert_code(&bare)).await;
    for code in [&scene.code, &bare] {
        let found = here
            .code(code.id.bytes())
            .await
            .expect("a read")
            .expect("a code");
        assert!(found.stands(NOW));
        assert_eq!(found.user, scene.person.user);
        assert!(found.code.digest.matches(&code.digest));
        assert_eq!(format!("{:?}", found.code), format!("{code:?}"));
    }
}

async fn a_refresh_token_reads_back_through_its_rotations(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let scene = Scene::play(&world, world.tenant, OFFLINE).await;
    let read = async |id: &[u8; 16]| {
        here.refresh_token(id)
            .await
            .expect("a read")
            .expect("a token")
            .token
    };
    let token = read(scene.refresh.id()).await;
    assert_eq!(token.id, scene.refresh_id());
    assert!(token.digest.matches(&scene.refresh.digest()));
    assert_eq!(token.family, scene.family);
    assert_eq!(
        (token.expires_at, token.stage),
        (after(86_400), RefreshStage::Current)
    );
    assert!(token.person_enabled);
    let next: Vec<_> = (0..2)
        .map(|_| world.handle(HandleKind::RefreshToken))
        .collect();
    let successor = RefreshTokenId::from_bytes(*next[0].id());
    for (old, new, used) in [
        (&scene.refresh, &next[0], false),
        (&next[0], &next[1], true),
    ] {
        let unit = world
            .unit()
            .rotate_refresh_token(RefreshTokenId::from_bytes(*old.id()), new.id(), after(1))
            .insert_refresh_token(new, scene.family.id, after(600));
        world.write(unit).await;
        let stage = RefreshStage::Rotated {
            at: after(1),
            successor,
            successor_used: used,
        };
        assert_eq!(read(scene.refresh.id()).await.stage, stage);
    }
    let owner = here.refresh_token_owner(&next[1]).await.expect("a read");
    assert_eq!(owner, Some((scene.family.id, CLIENT.to_owned())));
    let key = vestibule_core::secret::DerivationKey::new(&[1; 32]);
    let forged = next[1].successor(*next[1].id(), &key);
    assert_eq!(
        here.refresh_token_owner(&forged).await.expect("a read"),
        None
    );
}

async fn an_opaque_token_reads_back_with_and_without_a_person(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let (ours, handle) = world.opaque(None, None);
    let user = UserId::new(NOW, &world.chance);
    let (theirs, their_handle) = world.opaque(Some(user), None);
    let unit = world
        .unit()
        .insert_access_token(&ours, &handle.digest())
        .insert_access_token(&theirs, &their_handle.digest());
    world.write(unit).await;
    for (token, handle) in [(&ours, &handle), (&theirs, &their_handle)] {
        let found = here
            .access_token(handle)
            .await
            .expect("a read")
            .expect("a token");
        assert_eq!(format!("{found:?}"), format!("{token:?}"));
    }
    let key = vestibule_core::secret::DerivationKey::new(&[1; 32]);
    let forged = handle.successor(*handle.id(), &key);
    assert!(here.access_token(&forged).await.expect("a read").is_none());
    world.write(world.unit().remove_access_token(ours.id)).await;
    assert!(here.access_token(&handle).await.expect("a read").is_none());
    world.write(world.unit().remove_access_token(ours.id)).await;
}

async fn a_revoked_name_is_known_to_its_family(place: &Place) {
    let world = World::open(place).await;
    let here = world.here();
    let scene = Scene::play(&world, world.tenant, ONLINE).await;
    let jti = AccessTokenId::new(NOW, &world.chance);
    assert!(!here.is_revoked(jti).await.expect("a read"));
    for _ in 0..2 {
        world.write(world.unit().revoke_jti(jti, after(600))).await;
    }
    assert!(here.is_revoked(jti).await.expect("a read"));
    for (token, revoked) in [(jti, true), (scene.token.id, false)] {
        let found = here
            .family_standing(scene.family.id, token)
            .await
            .expect("a read");
        let found = found.expect("a family");
        assert_eq!((found.revoked, found.family_stands), (revoked, true));
        let brief = here
            .brief_standing(scene.family.id, token)
            .await
            .expect("a read")
            .expect("a family");
        assert_eq!((brief.revoked, brief.family_stands), (revoked, true));
        assert!(brief.person_enabled);
        assert_eq!(brief.username, scene.person.user.username);
        assert_eq!(found.user, scene.person.user);
        assert_eq!(
            found.authorization().expect("an authorization"),
            scene.authorization
        );
    }
}

async fn the_installation_has_one_row(place: &Place) {
    let world = World::open(place).await;
    let store = &world.store;
    assert_eq!(
        store.configuration_version().await.expect("a version"),
        0,
        "before there is one"
    );
    let made = store.installation(&[3; 32]).await.expect("an installation");
    assert_eq!(
        (made.key_check, made.version, made.set_up_at),
        ([3; 32], 0, None)
    );
    assert!(made.set_up.is_none());
    let link = world.handle(HandleKind::SetUp);
    assert!(
        store
            .offer_set_up(&link, after(60))
            .await
            .expect("an offer")
            .won()
    );
    let found = store.installation(&[4; 32]).await.expect("an installation");
    assert_eq!(found.key_check, [3; 32], "the first key stays");
    let (id, digest, end) = found.set_up.expect("a link");
    assert_eq!((&id, end), (link.id(), after(60)));
    assert!(digest.matches(&link.digest()));
}

async fn changes_are_numbered_and_say_whose_they_are(place: &Place) {
    let world = World::open(place).await;
    let store = &world.store;
    store.installation(&[3; 32]).await.expect("an installation");
    let other = world.found("other").await;
    let mut heard = store.db().subscribe();
    let both = world
        .unit()
        .configuration_changed(NOW)
        .in_tenant(other)
        .configuration_changed(after(9));
    world.write(both).await;
    heard.changed().await;
    assert_eq!(store.configuration_version().await.expect("a version"), 2);
    let changes = async |version| store.any_changes_after(version).await.expect("a read");
    assert_eq!(changes(0).await, [(1, world.tenant), (2, other)]);
    assert_eq!(changes(1).await, [(2, other)]);
    assert_eq!(changes(2).await, []);
    store.any_forget_changes(after(9)).await.expect("a write");
    assert_eq!(changes(0).await, [(2, other)]);
    assert_eq!(store.configuration_version().await.expect("a version"), 2);
}
