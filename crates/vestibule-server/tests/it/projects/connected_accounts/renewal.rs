//! A provider that rotates refresh tokens gives each new one once: it is stored whatever becomes of who asked.

use super::{FEW_MINUTES_LEFT, OVER, ask_for, refreshes, subject, token};
use crate::support::app::{App, START, from_settings_on_both_engines};
use crate::support::project::{World, project_of};
use crate::support::project_links::user_id;
use crate::support::upstream::Upstream;
use http::StatusCode;
use std::time::Duration;
use vestibule_server::testing::MockOptions;

from_settings_on_both_engines! {
    t47_a_client_that_goes_away_costs_nobody_the_connection,
    t47_a_stop_waits_for_the_provider_and_stores_what_it_gives,
}

/// A provider that rotates, and answers late where it is told to.
async fn rotating() -> (Upstream, String) {
    let upstream = Upstream::start_with(MockOptions {
        rotates_refresh_tokens: true,
        slow: Duration::from_millis(200),
        ..Upstream::usual()
    })
    .await;
    let installation = project_of(&upstream.server.installation_provider("google"), "");
    (upstream, installation)
}

/// Asks for the token, and goes away as soon as the provider has heard of it.
async fn ask_and_go_away(world: &World<'_>, user: &str) {
    let before = refreshes(world.upstream);
    world.upstream.misbehave("token", "slow");
    let asked = ask_for(world, user);
    tokio::pin!(asked);
    while refreshes(world.upstream) == before {
        tokio::select! {
            biased;
            page = &mut asked => panic!("it did not wait: {}", page.body),
            () = tokio::task::yield_now() => {}
        }
    }
    world.upstream.behave("token");
}

async fn t47_a_client_that_goes_away_costs_nobody_the_connection(settings: &[(String, String)]) {
    let (upstream, installation) = rotating().await;
    World::run_with(settings, &installation, &upstream, async |world| {
        let mary = user_id(&world.sign_in("mary").await);
        world.app.server.advance(OVER);
        ask_and_go_away(world, &mary).await;
        // Who asks next waits for the same answer; who asks then finds it stored.
        let renewed = token(&ask_for(world, &mary).await);
        assert_eq!(token(&ask_for(world, &mary).await), renewed);
        assert_eq!(refreshes(&upstream), 1);
        assert_eq!(
            subject(&upstream, &renewed).await.as_deref(),
            Some("mock-1780")
        );
        // The refresh token that came with it is the one that counts.
        world.app.server.advance(FEW_MINUTES_LEFT);
        assert_ne!(token(&ask_for(world, &mary).await), renewed);
        assert_eq!(refreshes(&upstream), 2);
    })
    .await;
}

async fn t47_a_stop_waits_for_the_provider_and_stores_what_it_gives(settings: &[(String, String)]) {
    let (upstream, installation) = rotating().await;
    let allowed = [("OUTBOUND_ALLOW", "127.0.0.1")];
    let app = App::start(settings, &allowed, START, &installation).await;
    upstream.server.follow(&app.server);
    let world = World {
        app: &app,
        upstream: &upstream,
    };
    let mary = user_id(&world.sign_in("mary").await);
    app.server.advance(OVER);
    ask_and_go_away(&world, &mary).await;
    let now = app.server.now();
    app.end().await;
    let app = App::start(settings, &allowed, now, &installation).await;
    upstream.server.follow(&app.server);
    let world = World {
        app: &app,
        upstream: &upstream,
    };
    let renewed = token(&ask_for(&world, &mary).await);
    assert_eq!(refreshes(&upstream), 1);
    assert_eq!(
        subject(&upstream, &renewed).await.as_deref(),
        Some("mock-1780")
    );
    app.end().await;
}

/// Two nodes need a database server.
#[tokio::test]
async fn t47_of_two_nodes_that_refresh_at_once_the_loser_looks_again() {
    App::postgres_settings(async |settings| {
        let (upstream, installation) = rotating().await;
        let allowed = [("OUTBOUND_ALLOW", "127.0.0.1")];
        let one = App::start(settings, &allowed, START, &installation).await;
        let other = App::start(settings, &allowed, START, &installation).await;
        upstream.server.follow(&one.server);
        let nodes = [&one, &other].map(|app| World {
            app,
            upstream: &upstream,
        });
        let mary = user_id(&nodes[0].sign_in("mary").await);
        for round in 1..=3 {
            for node in &nodes {
                node.app.server.advance(OVER);
            }
            let (first, second) = tokio::join!(
                Box::pin(ask_for(&nodes[0], &mary)),
                Box::pin(ask_for(&nodes[1], &mary))
            );
            assert_eq!(first.status, StatusCode::OK, "{round}: {}", first.body);
            assert_eq!(token(&first), token(&second), "{round}");
        }
        other.end().await;
        one.end().await;
    })
    .await;
}
