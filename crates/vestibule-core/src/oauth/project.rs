//! A tenant as the client of its own project API (seed 001): there is no registry of clients in that API, the project is the client.
//!
//! Its codes and families stand under a client id that nobody can register. What is relaxed for it stands here, with its reasons.

use super::client::{Client, ClientPolicy, ConsentPolicy, RotationPolicy};
use super::scope::ScopeSet;
use crate::id::TenantId;
use crate::jose::algorithm::Algorithm;
use crate::time::Lifetime;

/// What the client ids of projects start with. [`ClientId::parse`](super::client::ClientId::parse) refuses it.
pub const PROJECT_CLIENT_PREFIX: &str = "project~";
/// The one branch of a project.
pub const BRANCH: &str = "main";
/// The scope of the SDKs: it says nothing.
pub const SCOPE_LEGACY: &str = "legacy";

/// Reads `project` or `project#branch`, as apps write their client id.
pub fn project_of(client_id: &str) -> Option<TenantId> {
    let (project, branch) = client_id.split_once('#').unwrap_or((client_id, BRANCH));
    (branch == BRANCH)
        .then(|| TenantId::parse(project))
        .flatten()
}

/// The scopes that the project API serves: the tenant's, and the one of the SDKs.
pub fn project_scopes(served: &ScopeSet) -> ScopeSet {
    let mut scopes = served.clone();
    scopes.insert(SCOPE_LEGACY);
    scopes
}

/// The policy of a project as a client: first-party, so nobody is asked; ES256 because the SDKs read nothing else; a refresh token
/// is kept for a year, because the SDKs ignore a new one. That is against OAuth 2.1, 4.3.1 and holds for this API alone: ending the
/// session ends the token.
pub fn project_policy() -> ClientPolicy {
    ClientPolicy {
        consent: ConsentPolicy::Never,
        access_token_signing_alg: Algorithm::ES256,
        access_token_lifetime: Lifetime::minutes(10),
        code_lifetime: Lifetime::minutes(5),
        refresh_token_lifetime: Lifetime::days(365),
        refresh_token_rotation: Some(RotationPolicy::Never),
        ..ClientPolicy::default()
    }
}

/// The project as a client. `served` are the tenant's scopes.
pub fn project_client(tenant: TenantId, name: &str, served: &ScopeSet) -> Client {
    Client::of_project(tenant, name, project_scopes(served), project_policy())
}

/// What a code of the project API hands on to its redemption.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OuterOutcome {
    /// Whether the person was new.
    #[serde(rename = "n", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_new_user: bool,
    /// Where the app wanted to go afterwards; it was trusted when the code was made.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub after_callback_redirect_url: Option<String>,
    /// A link that is made when the code is redeemed, and not before: whoever proves the verifier asked for it.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PendingLink>,
}

/// An upstream identity on its way to the person who asked for the link.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PendingLink {
    /// The provider.
    #[serde(rename = "p")]
    pub provider: String,
    /// What it told, sealed for this code.
    #[serde(rename = "s")]
    pub sealed: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::{ClientId, GrantType};

    const ID: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01";

    #[test]
    fn a_project_is_a_client_that_nobody_can_register() {
        let project = TenantId::parse(ID).unwrap();
        let client = project_client(project, "Acme", &super::super::scope::served(&[]));
        assert_eq!(client.id.as_str(), format!("project~{ID}"));
        assert_eq!(client.id.project(), Some(project));
        assert_eq!(ClientId::parse(client.id.as_str()), None);
        assert_eq!(ClientId::parse(ID), None);
        assert_eq!(ClientId::parse("project~x"), None);
        assert_eq!(ClientId::parse("projects").unwrap().project(), None);
        assert!(
            client.match_redirect(Some("https://x.example")).is_err()
                && client.match_redirect(None).is_err()
        );
    }

    #[test]
    fn only_a_project_s_refresh_tokens_are_kept_though_it_is_public() {
        let client = project_client(TenantId::parse(ID).unwrap(), "Acme", &ScopeSet::default());
        assert!(!client.rotates());
        assert!(client.scope.contains(SCOPE_LEGACY));
        assert!(!client.may_use(GrantType::ClientCredentials));
        let public = super::super::client::tests::client(
            r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}"#,
        );
        assert!(public.rotates());
    }

    #[test]
    fn a_client_id_is_the_project_and_its_one_branch() {
        for good in [ID.to_owned(), format!("{ID}#main")] {
            assert!(project_of(&good).is_some(), "{good}");
        }
        for bad in [
            "",
            "#main",
            "main",
            &format!("{ID}#"),
            &format!("{ID}#dev"),
            &format!("{ID}#main#main"),
            &ID.to_uppercase(),
            &format!("project~{ID}"),
        ] {
            assert!(project_of(bad).is_none(), "{bad}");
        }
    }
}
