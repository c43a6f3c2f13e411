//! The buttons of other sites, on the sign-in page and on the sign-up page.

use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::project::{World, in_both_worlds};
use crate::support::relying_party::RelyingParty;
use http::StatusCode;

on_both_engines! {
    without_a_provider_there_is_no_button,
}

in_both_worlds! {
    a_button_is_a_link_of_the_same_dialogue,
    no_policy_is_widened_for_a_button,
    a_problem_is_said_in_words_of_ours_only,
}

async fn without_a_provider_there_is_no_button(app: &App) {
    for path in ["/sign-in", "/sign-up"] {
        let page = Browser::new(app).visit(path).await;
        assert_eq!(page.status, StatusCode::OK);
        for mark in ["sign-in-with", "class=\"or\"", "class=\"providers\""] {
            assert!(!page.body.contains(mark), "{path}: {mark}");
        }
    }
}

async fn a_button_is_a_link_of_the_same_dialogue(world: &World<'_>) {
    let mut browser = world.browser();
    for path in ["/sign-in", "/sign-up"] {
        let page = browser.visit(path).await;
        let link = "id=\"sign-in-with-google\" href=\"/sign-in/with/google\"";
        assert!(page.body.contains(link), "{path}: {}", page.body);
        assert!(page.body.contains("Continue with <bdi>Mock provider</bdi>"));
    }
    let sign_in = browser.visit(&RelyingParty::web().request(&[])).await;
    let sealed = sign_in.path.split_once("request=").unwrap().1;
    let sign_up = browser.visit(&format!("/sign-up?request={sealed}")).await;
    for page in [sign_in.clone(), sign_up] {
        let link = format!("href=\"/sign-in/with/google?request={sealed}\"");
        assert!(page.body.contains(&link), "{}", page.path);
        // The form of the page comes first: its one primary action.
        let form = page.body.find("<form").unwrap();
        assert!(form < page.body.find("sign-in-with-google").unwrap());
    }
    // Another tenant has no such provider.
    let globex = browser.visit("/t/globex/sign-in").await;
    assert!(!globex.body.contains("sign-in-with"));
}

async fn no_policy_is_widened_for_a_button(world: &World<'_>) {
    let page = world.browser().visit("/sign-in").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self'"), "{policy}");
    assert!(!policy.contains(world.upstream.server.issuer()), "{policy}");
    assert!(!page.body.contains(world.upstream.server.issuer()));
}

async fn a_problem_is_said_in_words_of_ours_only(world: &World<'_>) {
    let mut browser = world.browser();
    for code in [
        "refused",
        "unavailable",
        "failed",
        "too-late",
        "not-offered",
        "not-allowed",
        "no-account",
        "address-in-use",
        "somebody-elses",
    ] {
        let page = browser.visit(&format!("/sign-in?problem={code}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.body.contains("id=\"form-error\""), "{code}");
        assert!(page.body.contains("<title>Error: Sign in"), "{code}");
        assert!(
            !page.body.contains("aria-invalid"),
            "no field is to blame: {code}"
        );
        assert!(page.body.contains("sign-in-with-google"), "{code}");
    }
    for code in ["", "x", "%3Cb%3E", "refused&problem=refused"] {
        let page = browser.visit(&format!("/sign-in?problem={code}")).await;
        assert_eq!(page.status, StatusCode::OK, "{code}");
        assert!(!page.body.contains("id=\"form-error\""), "{code}");
    }
}
