//! What the provider remembers: codes and tokens that it handed out. Bounded, and gone with the process.

use std::collections::VecDeque;

use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::time::{Lifetime, Timestamp};

use super::Surface;
use super::behaviour::Behaviour;

/// Entries of each kind; the oldest goes first.
const ENTRIES_MAX: usize = 1024;
/// How long a code can be redeemed.
pub(super) const CODE_LIFETIME: Lifetime = Lifetime::from_seconds(60);
/// How long an access token of the OpenID side lives.
pub(super) const ACCESS_LIFETIME: Lifetime = Lifetime::hours(1);
/// How long everything else lives.
pub(super) const LONG_LIFETIME: Lifetime = Lifetime::days(90);

/// What somebody allowed the client, and how the provider is to behave about it.
#[derive(Clone, Debug)]
pub(super) struct Allowed {
    pub(super) surface: Surface,
    /// The id of the person.
    pub(super) person: &'static str,
    pub(super) behaviour: Behaviour,
    pub(super) scope: String,
}

impl Allowed {
    /// Whether the scope holds this word. The plain dialect separates them with commas as well.
    pub(super) fn has_scope(&self, word: &str) -> bool {
        self.scope.split([' ', ',']).any(|scope| scope == word)
    }
}

/// A code: what was allowed, and what the client must bring to redeem it.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) allowed: Allowed,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<CodeChallenge>,
    pub(super) nonce: Option<String>,
    /// When the person said who they are, where the client asked (`max_age`).
    pub(super) auth_time: Option<Timestamp>,
}

/// Everything that was handed out.
#[derive(Debug, Default)]
pub(super) struct Issued {
    pub(super) codes: Bounded<Code>,
    pub(super) access_tokens: Bounded<Allowed>,
    pub(super) refresh_tokens: Bounded<Allowed>,
}

/// A bounded memory of strings that mean something until a time.
#[derive(Debug)]
pub(super) struct Bounded<T>(VecDeque<(String, Timestamp, T)>);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Bounded<T> {
    /// Remembers.
    pub(super) fn put(&mut self, key: String, ends: Timestamp, value: T) {
        while self.0.len() >= ENTRIES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((key, ends, value));
    }

    /// What this string means now.
    pub(super) fn get(&self, key: &str, now: Timestamp) -> Option<&T> {
        self.0
            .iter()
            .find(|(known, ends, _)| known == key && now < *ends)
            .map(|(_, _, value)| value)
    }

    /// What this string means now, for the last time.
    pub(super) fn take(&mut self, key: &str, now: Timestamp) -> Option<T> {
        let at = self.0.iter().position(|(known, _, _)| known == key)?;
        let (_, ends, value) = self.0.remove(at)?;
        (now < ends).then_some(value)
    }
}
