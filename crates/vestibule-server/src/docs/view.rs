//! What one reader may be told of: the question that navigation, sitemaps and search indexes ask of every link.

use super::files::index::Index;
use super::proxy::Learned;
use super::reader::Reader;
use crate::http::docs_sites::ServedSite;
use std::sync::Arc;
use vestibule_core::docs::access::{Access, Visibility};
use vestibule_core::docs::path::SitePath;
use vestibule_core::docs::user::DocsUser;

/// What is known of a site's pages.
#[derive(Clone)]
pub(super) enum Pages {
    /// All of them: they are files.
    Index(Arc<Index>),
    /// Those that were asked for.
    Learned(Arc<Learned>),
}

/// A site as one reader may know it.
#[derive(Clone)]
pub(super) struct View {
    pub(super) served: Arc<ServedSite>,
    pub(super) reader: Option<Reader>,
    pub(super) pages: Pages,
}

impl View {
    /// The reader.
    pub(super) fn user(&self) -> Option<&DocsUser> {
        self.reader.as_ref().map(|reader| &reader.user)
    }

    /// For whom a page is: its own word, where that is known, and otherwise what the rules say.
    pub(super) fn access_of(&self, path: &SitePath) -> Access {
        let known = match &self.pages {
            Pages::Index(index) => index.access_of(path),
            Pages::Learned(learned) => learned.access_of(path),
        };
        known.unwrap_or_else(|| self.served.site.access_by_rules(&path.names()))
    }

    /// Whether there is such a page, as far as that is known.
    pub(super) fn has(&self, path: &SitePath) -> bool {
        match &self.pages {
            Pages::Index(index) => index.access_of(path).is_some(),
            Pages::Learned(learned) => learned.access_of(path).is_some(),
        }
    }

    /// Whether every page is known, so that one which is not known is none.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.pages, Pages::Index(_))
    }

    /// Whether the reader may be told of a page.
    pub(super) fn lists(&self, path: &SitePath) -> bool {
        self.access_of(path)
            .is_listed(self.served.site.visibility, self.user())
    }

    /// Whether everybody may be told of a page who may read the site at all.
    pub(super) fn lists_for_all(&self, path: &SitePath) -> bool {
        match (self.access_of(path), self.served.site.visibility) {
            (Access::Public, _) | (Access::Site, Visibility::Personalised) => true,
            (Access::Site, Visibility::Private) | (Access::Groups(_), _) => false,
        }
    }

    /// Whether the reader may be told of every page.
    pub(super) fn lists_everything(&self) -> bool {
        let listed = |access: &Access| access.is_listed(self.served.site.visibility, self.user());
        let by_rules = || {
            self.served
                .site
                .rules
                .iter()
                .all(|rule| rule.public || listed(&Access::Groups(rule.groups.clone())))
        };
        match &self.pages {
            Pages::Index(index) => index.accesses().iter().all(listed),
            Pages::Learned(learned) => listed(&Access::Site) && by_rules() && learned.all(listed),
        }
    }

    /// The number of what is known: where it is the same, the same pages are listed.
    pub(super) fn generation(&self) -> u64 {
        match &self.pages {
            Pages::Index(index) => index.generation(),
            Pages::Learned(_) => 0,
        }
    }
}
