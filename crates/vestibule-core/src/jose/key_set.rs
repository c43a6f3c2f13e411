//! The keys in force, and the JWKS document that publishes them (RFC 7517, 5).

use std::sync::Arc;

use serde::Serialize;

use super::algorithm::Algorithm;
use super::jwk::Jwk;
use super::key::{PublicKey, SigningKey};

/// Where a key stands in its life. A retired key is in no set: it neither signs nor verifies, and is not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// Published, so that caches of the JWKS learn of it, but nothing is signed with it yet.
    Announced,
    /// Signs and verifies.
    Active,
    /// Signs no more; verifies and is published while tokens that it signed live on.
    Retiring,
}

/// A key of a set: with its private half where it is ours.
#[derive(Clone, Debug)]
pub enum SetKey {
    /// A key of ours.
    Signing(Arc<SigningKey>),
    /// A key that somebody else signs with.
    Public(Arc<PublicKey>),
}

impl SetKey {
    /// The public half.
    pub fn public_key(&self) -> &PublicKey {
        match self {
            Self::Signing(key) => key.public_key(),
            Self::Public(key) => key,
        }
    }
}

impl From<SigningKey> for SetKey {
    fn from(key: SigningKey) -> Self {
        Self::Signing(Arc::new(key))
    }
}

impl From<Arc<SigningKey>> for SetKey {
    fn from(key: Arc<SigningKey>) -> Self {
        Self::Signing(key)
    }
}

impl From<PublicKey> for SetKey {
    fn from(key: PublicKey) -> Self {
        Self::Public(Arc::new(key))
    }
}

/// Why a list of keys is no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Two keys of one algorithm have the same name, so that a token could mean either.
    #[error("two keys of one algorithm have the same name")]
    DuplicateKeyId,
    /// Two keys of ours and of one algorithm are active, so that it is not said which one signs.
    #[error("two keys of one algorithm are active")]
    TwoActiveKeys,
}

/// The keys of one issuer. It does not change: a rotation makes a new set.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<(SetKey, KeyState)>,
}

impl KeySet {
    /// A set of these keys, in the order of algorithm and name whatever the order of the list.
    pub fn new(
        keys: impl IntoIterator<Item = (impl Into<SetKey>, KeyState)>,
    ) -> Result<Self, KeySetError> {
        let mut keys: Vec<(SetKey, KeyState)> = keys
            .into_iter()
            .map(|(key, state)| (key.into(), state))
            .collect();
        keys.sort_by(|(a, _), (b, _)| {
            let (a, b) = (a.public_key(), b.public_key());
            (a.algorithm(), a.id()).cmp(&(b.algorithm(), b.id()))
        });
        let mut previous: Option<&PublicKey> = None;
        let mut signing: Option<Algorithm> = None;
        for (key, state) in &keys {
            let public = key.public_key();
            if previous.is_some_and(|previous| {
                previous.algorithm() == public.algorithm() && previous.id() == public.id()
            }) {
                return Err(KeySetError::DuplicateKeyId);
            }
            if matches!((key, state), (SetKey::Signing(_), KeyState::Active)) {
                if signing == Some(public.algorithm()) {
                    return Err(KeySetError::TwoActiveKeys);
                }
                signing = Some(public.algorithm());
            }
            previous = Some(public);
        }
        Ok(Self { keys })
    }

    /// The key of that name and algorithm, if it is in force. One RSA key can be in the set under its one name for two
    /// algorithms (RFC 7517, 4.5 lets keys share a name when they are alternatives).
    pub fn find(&self, kid: &str, algorithm: Algorithm) -> Option<&PublicKey> {
        self.public_keys()
            .find(|key| key.algorithm() == algorithm && key.id().as_str() == kid)
    }

    /// The one key of that algorithm, if there is one and no other.
    pub fn only(&self, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut keys = self
            .public_keys()
            .filter(|key| key.algorithm() == algorithm);
        let only = keys.next()?;
        keys.next().is_none().then_some(only)
    }

    /// Whether a key has that name, for whichever algorithm.
    pub fn has_key_id(&self, kid: &str) -> bool {
        self.public_keys().any(|key| key.id().as_str() == kid)
    }

    /// The key with which to sign now. Only an active key of ours is ever given out.
    pub fn signing_key(&self, algorithm: Algorithm) -> Option<&Arc<SigningKey>> {
        self.keys
            .iter()
            .find_map(|(key, state)| match (key, state) {
                (SetKey::Signing(key), KeyState::Active) if key.algorithm() == algorithm => {
                    Some(key)
                }
                (SetKey::Signing(_) | SetKey::Public(_), _) => None,
            })
    }

    /// The public keys, in the order of the document.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(|(key, _)| key.public_key())
    }

    /// The JWKS document (RFC 7517, 5): the same bytes for the same keys, so that its digest can be its entity tag.
    pub fn to_jwks_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Document<'a> {
            keys: Vec<&'a Jwk>,
        }
        let document = Document {
            keys: self.public_keys().map(PublicKey::jwk).collect(),
        };
        // Text members cannot fail to be written; an empty set is what a reader could do least harm with.
        serde_json::to_vec(&document).unwrap_or_else(|_| br#"{"keys":[]}"#.to_vec())
    }
}
