//! A person's last two ways to sign in are not given up at the same instant.

use super::{create, link, list, patch};
use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::Page;
use crate::support::project::{World, project_of};
use crate::support::project_links::{assert_words, user_id};
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::json;

from_settings_on_both_engines! {
    t46_of_two_ways_in_that_are_given_up_at_once_one_stays,
}

async fn t46_of_two_ways_in_that_are_given_up_at_once_one_stays(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let providers = ["google", "other"].map(|id| upstream.server.installation_provider(id));
    let installation = project_of(&providers.join("\n"), "");
    World::run_with(settings, &installation, &upstream, async |world| {
        for round in 0..4 {
            let mary = world.sign_in("mary").await;
            let second = link(&user_id(&mary), "other", &format!("elsewhere {round}"));
            let page = create(world, second).await;
            assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
            let links = list(world, &mary).await;
            let paths: Vec<String> = links
                .iter()
                .map(|link| format!("/oauth-providers/me/{}", link["id"].as_str().unwrap()))
                .collect();
            assert_eq!(paths.len(), 2);
            let client = World::client(&mary);
            let off = json!({ "allow_sign_in": false });
            let give_up = async |path: &str| -> Page {
                if round % 2 == 0 {
                    world.call(Method::DELETE, path, &client, None).await
                } else {
                    patch(world, &client, path, off.clone()).await
                }
            };
            let (first, second) =
                tokio::join!(Box::pin(give_up(&paths[0])), Box::pin(give_up(&paths[1])));
            let mut pages = [first, second];
            pages.sort_by_key(|page| page.status);
            assert_eq!(pages[0].status, StatusCode::OK, "{}", pages[0].body);
            assert_words(&pages[1], 400, "only way");
            let left = list(world, &mary).await;
            let ways = left.iter().filter(|link| link["allow_sign_in"] == true);
            assert_eq!(ways.count(), 1, "{left:?}");
            // The project's server takes everything, and the next round begins with somebody new.
            for link in &left {
                let path = format!(
                    "/oauth-providers/{}/{}",
                    user_id(&mary),
                    link["id"].as_str().unwrap()
                );
                world
                    .call(Method::DELETE, &path, &World::server(), None)
                    .await;
            }
            let path = format!("/users/{}", user_id(&mary));
            world
                .call(Method::DELETE, &path, &World::server(), None)
                .await;
        }
    })
    .await;
}
