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
use vestibule_core::id::TenantId;
use vestibule_core::relying_party::provider::ProviderId;
use vestibule_core::secret::{DerivationKey, Secret};
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
    provider_secrets: RandomizedNonceKey,
    upstream_tokens: RandomizedNonceKey,
    upstream_requests: RandomizedNonceKey,
    cli_attempts: RandomizedNonceKey,
    docs_secrets: RandomizedNonceKey,
    handshakes: RandomizedNonceKey,
    readers: RandomizedNonceKey,
    csrf: hmac::Key,
    /// Derives the successors of refresh tokens.
    pub(crate) successors: DerivationKey,
    /// What the key makes of a constant: kept in the database, so that a node with another key refuses to start.
    pub(crate) check: [u8; 32],
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Private signing keys in the database.
    SigningKeys,
    /// Authorization requests that travel through the browser.
    Requests,
    /// What an upstream provider gave us to authenticate with: a client secret, or the key that signs one.
    ProviderSecrets,
    /// Access and refresh tokens that an upstream provider issued about a person.
    UpstreamTokens,
    /// What waits for a browser to come back from an upstream provider.
    UpstreamRequests,
    /// What waits for a command line to be fetched.
    CliAttempts,
    /// The secrets of docs sites' clients at their OAuth servers.
    DocsSecrets,
    /// What a reader's browser brings back from a docs site's OAuth server.
    Handshakes,
    /// What is known of the readers of docs sites.
    Readers,
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
            provider_secrets: seal(b"vestibule provider secrets 1")?,
            upstream_tokens: seal(b"vestibule upstream tokens 1")?,
            upstream_requests: seal(b"vestibule upstream requests 1")?,
            cli_attempts: seal(b"vestibule command line attempts 1")?,
            docs_secrets: seal(b"vestibule docs site secrets 1")?,
            handshakes: seal(b"vestibule docs handshakes 1")?,
            readers: seal(b"vestibule docs readers 1")?,
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

    /// Seals our secret at a provider: it opens for this provider of this tenant only.
    pub(crate) fn seal_provider_secret(
        &self,
        tenant: TenantId,
        provider: &ProviderId,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        self.seal(
            Purpose::ProviderSecrets,
            &within(tenant, provider.as_str()),
            secret.reveal().as_bytes(),
        )
    }

    /// Opens our secret at a provider.
    pub(crate) fn open_provider_secret(
        &self,
        tenant: TenantId,
        provider: &ProviderId,
        sealed: &[u8],
    ) -> Result<Secret, SealError> {
        self.open_text(
            Purpose::ProviderSecrets,
            &within(tenant, provider.as_str()),
            sealed,
        )
    }

    /// Seals the secret of a docs site's client: it opens for this site of this tenant only.
    pub(crate) fn seal_docs_secret(
        &self,
        tenant: TenantId,
        site: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, SealError> {
        self.seal(
            Purpose::DocsSecrets,
            &within(tenant, site),
            secret.reveal().as_bytes(),
        )
    }

    /// Opens the secret of a docs site's client.
    pub(crate) fn open_docs_secret(
        &self,
        tenant: TenantId,
        site: &str,
        sealed: &[u8],
    ) -> Result<Secret, SealError> {
        self.open_text(Purpose::DocsSecrets, &within(tenant, site), sealed)
    }

    fn open_text(
        &self,
        purpose: Purpose,
        belongs_to: &[u8],
        sealed: &[u8],
    ) -> Result<Secret, SealError> {
        let plain = self.open(purpose, belongs_to, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| SealError)?;
        Ok(Secret::new(text.to_owned()))
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
            Purpose::ProviderSecrets => &self.provider_secrets,
            Purpose::UpstreamTokens => &self.upstream_tokens,
            Purpose::UpstreamRequests => &self.upstream_requests,
            Purpose::CliAttempts => &self.cli_attempts,
            Purpose::DocsSecrets => &self.docs_secrets,
            Purpose::Handshakes => &self.handshakes,
            Purpose::Readers => &self.readers,
        }
    }
}

/// A thing with a name in a tenant. The tenant's id has one length, so no two pairs give the same bytes.
pub(crate) fn within(tenant: TenantId, name: &str) -> Vec<u8> {
    [tenant.bytes().as_slice(), name.as_bytes()].concat()
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
    fn t07_what_is_sealed_for_one_purpose_opens_for_no_other() {
        let root = RootKey::new(&[1; 32]).unwrap();
        let purposes = [
            Purpose::SigningKeys,
            Purpose::Requests,
            Purpose::ProviderSecrets,
            Purpose::UpstreamTokens,
            Purpose::UpstreamRequests,
            Purpose::CliAttempts,
            Purpose::DocsSecrets,
            Purpose::Handshakes,
            Purpose::Readers,
        ];
        for sealed_for in purposes {
            let sealed = root.seal(sealed_for, b"tenant", b"hello").unwrap();
            for opened_for in purposes {
                assert_eq!(
                    root.open(opened_for, b"tenant", &sealed).is_ok(),
                    sealed_for == opened_for,
                    "{sealed_for:?} {opened_for:?}"
                );
            }
        }
    }

    #[test]
    fn t07_the_secret_of_a_provider_opens_for_that_provider_of_that_tenant_only() {
        let root = RootKey::new(&[1; 32]).unwrap();
        let (acme, globex) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
        let provider = |id: &str| ProviderId::parse(id).unwrap();
        let secret = Secret::new("upstream".to_owned());
        let sealed = root
            .seal_provider_secret(acme, &provider("google"), &secret)
            .unwrap();
        let opened = |tenant, id: &str, sealed: &[u8]| {
            root.open_provider_secret(tenant, &provider(id), sealed)
                .ok()
                .map(|secret| secret.reveal().to_owned())
        };
        assert_eq!(opened(acme, "google", &sealed).as_deref(), Some("upstream"));
        assert_eq!(opened(globex, "google", &sealed), None);
        assert_eq!(opened(acme, "googl", &sealed), None);
        assert_eq!(opened(acme, "google", &[]), None);
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
