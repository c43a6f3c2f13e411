//! Grants: what a person allowed a client, remembered.

use super::scope::ScopeSet;
use crate::id::GrantId;

/// A grant that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its record.
    pub id: GrantId,
    /// What was allowed.
    pub scope: ScopeSet,
    /// The resources that were allowed.
    pub resources: Vec<String>,
}

impl Grant {
    /// Whether it allows all of this.
    pub fn covers(&self, scope: &ScopeSet, resources: &[String]) -> bool {
        scope.is_subset(&self.scope)
            && resources
                .iter()
                .all(|resource| self.resources.contains(resource))
    }
}

/// What is remembered once a person allows a request: what was allowed before, and what is allowed now.
pub fn allow(
    before: Option<&Grant>,
    scope: &ScopeSet,
    resources: &[String],
) -> (ScopeSet, Vec<String>) {
    let Some(before) = before else {
        return (scope.clone(), resources.to_vec());
    };
    let mut all = before.resources.clone();
    all.extend(
        resources
            .iter()
            .filter(|resource| !before.resources.contains(resource))
            .cloned(),
    );
    (before.scope.union(scope), all)
}
