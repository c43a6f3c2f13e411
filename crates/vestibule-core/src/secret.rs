//! Bearer strings: shown once, stored as digests, compared in constant time.
//!
//! A handle is `<prefix><48 bytes in base64url>`: 16 bytes of time-ordered id, by which the row is found, and 32 bytes of secret,
//! of which the row holds the digest. The kind goes into the digest, so that a handle of one kind is nothing to another consumer
//! even if the rows stood in one table (T07).

use crate::id::{Chance, time_ordered};
use crate::time::Timestamp;
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// A bearer string in the clear: what the caller presents, or what we say once. It does not print itself.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a bearer string.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The string itself, for the one place that sends it or digests it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A client secret: 256 random bits in base64url.
    pub fn random(chance: &dyn Chance) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        chance.fill(bytes.as_mut());
        Self::new(URL_SAFE_NO_PAD.encode(bytes.as_ref()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The digest of a bearer string: 32 bytes, the only form that is stored.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

impl SecretDigest {
    /// The digest of a client secret. The secret is random, so one SHA-256 guards it; it is not a person's password.
    pub fn of_client_secret(secret: &str) -> Self {
        Self::of(&[b"client secret\0", secret.as_bytes()])
    }

    /// The digest as stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are digests of the same string, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut bytes = [0_u8; 32];
        for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl std::fmt::Debug for SecretDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretDigest(…)")
    }
}

/// What a handle is for; the prefix lets a leaked one be recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// An authorization code.
    Code,
    /// An opaque access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// A browser session.
    Session,
    /// A stored authorization request.
    Request,
    /// The one-time set-up link.
    SetUp,
    /// The `state` of a request to an upstream provider.
    UpstreamState,
    /// What a command line polls with.
    CliPolling,
    /// What a browser completes a command line's sign-in with.
    CliLogin,
    /// A reader's session on a docs site.
    Reader,
}

impl HandleKind {
    /// The prefix, underscore included.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "oac_",
            Self::AccessToken => "oat_",
            Self::RefreshToken => "ort_",
            Self::Session => "ses_",
            Self::Request => "req_",
            Self::SetUp => "set_",
            Self::UpstreamState => "ups_",
            Self::CliPolling => "clp_",
            Self::CliLogin => "cll_",
            Self::Reader => "rds_",
        }
    }
}

/// The text of a handle is this many characters after its prefix.
const HANDLE_TEXT_LENGTH: usize = 64;

/// A bearer handle: the id by which its record is found, and 256 bits that prove possession.
#[derive(Clone)]
pub struct Handle {
    kind: HandleKind,
    id: [u8; 16],
    secret: Zeroizing<[u8; 32]>,
}

impl Handle {
    /// A new handle of a kind.
    pub fn mint(kind: HandleKind, now: Timestamp, chance: &dyn Chance) -> Self {
        let mut secret = Zeroizing::new([0_u8; 32]);
        chance.fill(secret.as_mut());
        Self {
            kind,
            id: time_ordered(now, chance),
            secret,
        }
    }

    /// A new secret for a record that keeps its id: whoever held the old handle holds nothing.
    #[must_use]
    pub fn renew(kind: HandleKind, id: [u8; 16], chance: &dyn Chance) -> Self {
        let mut secret = Zeroizing::new([0_u8; 32]);
        chance.fill(secret.as_mut());
        Self { kind, id, secret }
    }

    /// Reads a handle of that kind. Any other prefix, length or spelling is `None`: a truncated, extended, case-flipped or
    /// re-encoded handle is no handle (T26).
    pub fn parse(kind: HandleKind, text: &str) -> Option<Self> {
        let text = text.strip_prefix(kind.prefix())?;
        if text.len() != HANDLE_TEXT_LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0_u8; 48]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut()).ok()?;
        if length != bytes.len() {
            return None;
        }
        let (id, secret) = bytes.split_first_chunk::<16>()?;
        let secret: [u8; 32] = secret.try_into().ok()?;
        Some(Self {
            kind,
            id: *id,
            secret: Zeroizing::new(secret),
        })
    }

    /// The successor of a refresh token, derived so that everyone who presents the same predecessor receives the same
    /// successor: HMAC-SHA-256(key, predecessor id ‖ presented secret ‖ successor id).
    #[must_use]
    pub fn successor(&self, successor_id: [u8; 16], key: &DerivationKey) -> Self {
        let mut context = hmac::Context::with_key(&key.0);
        context.update(&self.id);
        context.update(self.secret.as_ref());
        context.update(&successor_id);
        let mut secret = Zeroizing::new([0_u8; 32]);
        for (to, from) in secret.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        Self {
            kind: self.kind,
            id: successor_id,
            secret,
        }
    }

    /// The id by which the record is found.
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// What the record holds.
    pub fn digest(&self) -> SecretDigest {
        SecretDigest::of(&[
            self.kind.prefix().as_bytes(),
            &self.id,
            self.secret.as_ref(),
        ])
    }

    /// The handle in the clear.
    pub fn reveal(&self) -> Secret {
        let mut bytes = Zeroizing::new([0_u8; 48]);
        for (to, from) in bytes
            .iter_mut()
            .zip(self.id.iter().chain(self.secret.iter()))
        {
            *to = *from;
        }
        let mut text = String::with_capacity(HANDLE_TEXT_LENGTH + 4);
        text.push_str(self.kind.prefix());
        URL_SAFE_NO_PAD.encode_string(bytes.as_ref(), &mut text);
        Secret::new(text)
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Handle({}…)", self.kind.prefix())
    }
}

/// The key under which successors are derived; it comes from the installation's root key and is never in the database.
pub struct DerivationKey(hmac::Key);

impl DerivationKey {
    /// A key from 32 bytes.
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::tests::Counting;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    #[test]
    fn a_handle_reads_back_and_matches_its_digest() {
        let handle = Handle::mint(HandleKind::Code, NOW, &Counting::default());
        let text = handle.reveal();
        assert_eq!(text.reveal().len(), 68);
        let read = Handle::parse(HandleKind::Code, text.reveal()).unwrap();
        assert!(read.digest().matches(&handle.digest()));
        assert_eq!(read.id(), handle.id());
    }

    #[test]
    fn o21_34_a_handle_carries_256_random_bits() {
        let chance = Counting::default();
        let one = Handle::mint(HandleKind::RefreshToken, NOW, &chance);
        let two = Handle::mint(HandleKind::RefreshToken, NOW, &chance);
        assert_eq!(one.secret.len() * 8, 256);
        assert_ne!(one.secret, two.secret);
        assert_eq!(
            URL_SAFE_NO_PAD
                .decode(Secret::random(&chance).reveal())
                .unwrap()
                .len()
                * 8,
            256
        );
    }

    #[test]
    fn t26_a_changed_handle_is_no_handle_or_another_one() {
        let handle = Handle::mint(HandleKind::RefreshToken, NOW, &Counting::default());
        let text = handle.reveal().reveal().to_owned();
        let flipped: String = text
            .chars()
            .map(|c| {
                if c.is_ascii_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        for wrong in [
            &text[..67],
            &format!("{text}A"),
            &format!("{text}="),
            &flipped,
            &text.replace("ort_", "oac_"),
            "",
            "ort_",
        ] {
            assert!(
                Handle::parse(HandleKind::RefreshToken, wrong).is_none(),
                "{wrong}"
            );
        }
        let (head, last) = text.split_at(67);
        let other = format!("{head}{}", if last == "A" { "B" } else { "A" });
        let read = Handle::parse(HandleKind::RefreshToken, &other).unwrap();
        assert!(!read.digest().matches(&handle.digest()));
    }

    #[test]
    fn t07_a_handle_of_one_kind_is_nothing_to_another() {
        let kinds = [
            HandleKind::Code,
            HandleKind::AccessToken,
            HandleKind::RefreshToken,
            HandleKind::Session,
            HandleKind::Request,
            HandleKind::SetUp,
        ];
        for (index, kind) in kinds.iter().enumerate() {
            let text = Handle::mint(*kind, NOW, &Counting::default()).reveal();
            for (other_index, other) in kinds.iter().enumerate() {
                assert_eq!(
                    Handle::parse(*other, text.reveal()).is_some(),
                    index == other_index
                );
                if index != other_index {
                    // Even when the attacker swaps the prefix, the digest is another.
                    let swapped = text.reveal().replace(kind.prefix(), other.prefix());
                    let read = Handle::parse(*other, &swapped).unwrap();
                    let original = Handle::parse(*kind, text.reveal()).unwrap();
                    assert!(!read.digest().matches(&original.digest()));
                }
            }
        }
    }

    #[test]
    fn a_successor_is_the_same_for_everyone_who_presents_the_same_predecessor() {
        let key = DerivationKey::new(&[7; 32]);
        let handle = Handle::mint(HandleKind::RefreshToken, NOW, &Counting::default());
        let one = handle.successor([1; 16], &key);
        let two = Handle::parse(HandleKind::RefreshToken, handle.reveal().reveal())
            .unwrap()
            .successor([1; 16], &key);
        assert_eq!(one.reveal().reveal(), two.reveal().reveal());
        assert_ne!(
            one.reveal().reveal(),
            handle.successor([2; 16], &key).reveal().reveal()
        );
        assert_ne!(
            one.reveal().reveal(),
            handle
                .successor([1; 16], &DerivationKey::new(&[8; 32]))
                .reveal()
                .reveal()
        );
    }

    #[test]
    fn secrets_do_not_print_themselves() {
        let handle = Handle::mint(HandleKind::Session, NOW, &Counting::default());
        let printed = format!("{handle:?} {:?} {:?}", handle.reveal(), handle.digest());
        assert_eq!(printed, "Handle(ses_…) Secret(…) SecretDigest(…)");
    }
}
