//! The parts of a tenant that docs sites use: its docs profile, and its endpoint aliases.

use super::{Placed, Problem, Reader};
use vestibule_core::docs::profile::{DocsProfile, DocsProfileSettings, is_same_site};
use vestibule_core::identity::tenant::TenantPolicy;
use vestibule_core::oauth::alias::{EndpointAliasSettings, EndpointAliases};
use vestibule_core::oauth::scope::{STANDARD_SCOPES, is_scope_name};

impl Reader<'_> {
    pub(super) fn docs_profile(
        &mut self,
        place: String,
        settings: Option<DocsProfileSettings>,
    ) -> Option<Placed<DocsProfileSettings>> {
        let value = settings?;
        match DocsProfile::from_settings(&value) {
            Ok(profile) => {
                if !profile.shared_session_origins().is_empty() {
                    self.warn(
                        format!("{place}.shared_session_origins"),
                        "scripts of these origins learn who is signed in, without asking them",
                    );
                }
            }
            Err(problems) => {
                for problem in problems {
                    self.problem(format!("{place}.{}", problem.place), problem.problem);
                }
            }
        }
        Some(Placed { place, value })
    }

    pub(super) fn endpoint_aliases(
        &mut self,
        place: &str,
        settings: Option<&EndpointAliasSettings>,
    ) {
        let problems = settings
            .map(EndpointAliases::from_settings)
            .and_then(Result::err)
            .unwrap_or_default();
        for problem in problems {
            self.problem(format!("{place}.{}", problem.endpoint), problem.problem);
        }
    }

    pub(super) fn check_docs_scope(&mut self, place: &str, policy: Option<&TenantPolicy>) {
        let Some(policy) = policy else { return };
        let name = &policy.docs_scope;
        let place = format!("{place}.policy.docs_scope");
        if !is_scope_name(name) {
            self.problem(
                place,
                "write 1 to 128 printable ASCII characters without space, quote and backslash",
            );
        } else if STANDARD_SCOPES.iter().any(|scope| scope.name == name) {
            // Tokens that were made for something else would open the Info API.
            self.problem(
                place,
                "is a scope that every tenant has for something else; choose another name",
            );
        }
    }
}

/// Which origins of a docs profile are not of the site of a tenant whose issuer is on this host.
pub(in crate::admin) fn strangers(
    profile: &Placed<DocsProfileSettings>,
    issuer_host: &str,
) -> Vec<Problem> {
    let Ok(parsed) = DocsProfile::from_settings(&profile.value) else {
        return Vec::new();
    };
    parsed
        .shared_session_origins()
        .iter()
        .enumerate()
        .filter(|(_, origin)| !is_same_site(origin, issuer_host))
        .map(|(index, _)| {
            Problem::new(
                format!("{}.shared_session_origins[{index}]", profile.place),
                format!("is of another site than the issuer on {issuer_host}: browsers keep the sign-in cookie from it; use the token instead"),
            )
        })
        .collect()
}
