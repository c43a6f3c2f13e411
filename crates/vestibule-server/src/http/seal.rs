//! The root key of an installation, and what is sealed under keys that derive from it.
//!
//! One purpose, one key (HKDF-SHA-256, RFC 5869). Sealing is AES-256-GCM-SIV (RFC 8452) under a random nonce, which stays safe for
//! far more messages than one key will ever see; what a sealed value belongs to goes into the additional data, so that it opens
//! nowhere else.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule_core::secret::DerivationKey;
use zeroize::Zeroizing;

/// Bytes of the nonce, which stands before the sealed text.
const NONCE_BYTES: usize = 12;

/// Why something cannot be sealed or opened. It says no more: who presents a forged value learns nothing.
#[derive(Debug, thiserror::Error)]
#[error("the sealed value is not one of ours")]
pub(crate) struct SealError;

/// The keys that derive from the root key.
pub(crate) struct RootKey {
    signing_keys: RandomizedNonceKey,
    requests: RandomizedNonceKey,
    csrf: hmac::Key,
    /// Derives the successors of refresh tokens.
    pub(crate) successors: DerivationKey,
    /// What the key makes of a constant: kept in the database, so that a node with another key refuses to start.
    pub(crate) check: [u8; 32],
}

/// What a key is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// Private signing keys in the database.
    SigningKeys,
    /// Authorization requests that travel through the browser.
    Requests,
}

impl RootKey {
    /// Derives every key.
    pub(crate) fn new(root: &[u8; 32]) -> Result<Self, SealError> {
        let seal = |purpose: &[u8]| {
            let key = derive(root, purpose)?;
            RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_ref()).map_err(|_| SealError)
        };
        let csrf = derive(root, b"vestibule form tokens 1")?;
        Ok(Self {
            signing_keys: seal(b"vestibule signing keys 1")?,
            requests: seal(b"vestibule authorization requests 1")?,
            csrf: hmac::Key::new(hmac::HMAC_SHA256, csrf.as_ref()),
            successors: DerivationKey::new(&*derive(
                root,
                b"vestibule refresh token successors 1",
            )?),
            check: *derive(root, b"vestibule key check 1")?,
        })
    }

    /// Seals a value; `belongs_to` must be the same when it is opened.
    pub(crate) fn seal(
        &self,
        purpose: Purpose,
        belongs_to: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut text = plain.to_vec();
        let nonce = self
            .key(purpose)
            .seal_in_place_append_tag(Aad::from(belongs_to), &mut text)
            .map_err(|_| SealError)?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + text.len());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Ok(sealed)
    }

    /// Opens a sealed value.
    pub(crate) fn open(
        &self,
        purpose: Purpose,
        belongs_to: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key(purpose)
            .open_in_place(nonce.into(), Aad::from(belongs_to), &mut text)
            .map_err(|_| SealError)?
            .len();
        text.truncate(length);
        Ok(text)
    }

    /// A token that ties a form to a browser and a step: HMAC-SHA-256 in base64url.
    pub(crate) fn form_token(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.csrf);
        for part in parts {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
        URL_SAFE_NO_PAD.encode(context.sign())
    }

    fn key(&self, purpose: Purpose) -> &RandomizedNonceKey {
        match purpose {
            Purpose::SigningKeys => &self.signing_keys,
            Purpose::Requests => &self.requests,
        }
    }
}

fn derive(root: &[u8; 32], purpose: &[u8]) -> Result<Zeroizing<[u8; 32]>, SealError> {
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule").extract(root);
    let mut key = Zeroizing::new([0_u8; 32]);
    prk.expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut()))
        .map_err(|_| SealError)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t07_a_sealed_value_opens_only_where_it_belongs_and_unchanged() {
        let root = RootKey::new(&[1; 32]).unwrap();
        let sealed = root
            .seal(Purpose::Requests, b"tenant/browser", b"hello")
            .unwrap();
        assert_eq!(
            root.open(Purpose::Requests, b"tenant/browser", &sealed)
                .unwrap()
                .as_slice(),
            b"hello"
        );
        assert!(
            root.open(Purpose::Requests, b"tenant/other", &sealed)
                .is_err()
        );
        assert!(
            root.open(Purpose::SigningKeys, b"tenant/browser", &sealed)
                .is_err()
        );
        assert!(
            RootKey::new(&[2; 32])
                .unwrap()
                .open(Purpose::Requests, b"tenant/browser", &sealed)
                .is_err()
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(
                root.open(Purpose::Requests, b"tenant/browser", &changed)
                    .is_err(),
                "{at}"
            );
            assert!(
                root.open(Purpose::Requests, b"tenant/browser", &sealed[..at])
                    .is_err(),
                "{at}"
            );
        }
    }

    #[test]
    fn t33_a_form_token_depends_on_every_part_and_their_borders() {
        let root = RootKey::new(&[1; 32]).unwrap();
        assert_ne!(
            root.form_token(&[b"a", b"b"]),
            root.form_token(&[b"ab", b""])
        );
        assert_ne!(
            root.form_token(&[b"a", b"b"]),
            root.form_token(&[b"a", b"c"])
        );
        assert_ne!(
            root.form_token(&[b"a"]),
            RootKey::new(&[2; 32]).unwrap().form_token(&[b"a"])
        );
    }
}
