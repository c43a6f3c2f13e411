//! Names of records, and where chance enters.
//!
//! An id is 16 bytes in the layout of a version 7 UUID (RFC 9562, 5.7): time first, so that rows written together lie together.
//! An id is not a secret.

use crate::time::Timestamp;

/// The source of randomness, handed in by the caller. One implementation draws from the operating system; tests count.
pub trait Chance {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);
    /// The next number of a counter that runs on within the process: it orders ids made in the same second.
    fn tick(&self) -> u32;
}

/// Sixteen time-ordered bytes.
pub(crate) fn time_ordered(now: Timestamp, chance: &dyn Chance) -> [u8; 16] {
    let mut random = [0_u8; 16];
    chance.fill(&mut random);
    let millis = u128::from(
        u64::try_from(now.seconds())
            .unwrap_or(0)
            .saturating_mul(1000),
    ) & 0xffff_ffff_ffff;
    // RFC 9562, 6.2 (method 1): a counter of 26 bits takes the left-most random bits, 12 of them before the variant, 14 after.
    let tick = u128::from(chance.tick() & 0x03ff_ffff);
    let counter = (tick >> 14) << 64 | (tick & 0x3fff) << 48;
    let rest = u128::from_be_bytes(random) & 0xffff_ffff_ffff;
    (millis << 80 | 0x7 << 76 | 0b10 << 62 | counter | rest).to_be_bytes()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new, time-ordered id.
            pub fn new(now: Timestamp, chance: &dyn Chance) -> Self {
                Self(time_ordered(now, chance))
            }

            /// The id as stored.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes to store.
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// Reads the hyphenated, lower-case form; any other spelling is `None`, so that one id has one name.
            pub fn parse(text: &str) -> Option<Self> {
                let id = uuid::Uuid::try_parse(text).ok()?;
                let id = Self(*id.as_bytes());
                (id.to_string() == text).then_some(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(formatter)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(
                    "an id is a lower-case UUID such as 6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01"))
            }
        }
    )* };
}

ids! {
    /// A tenant: an isolated realm with its own issuer, keys, people and clients.
    TenantId;
    /// A person in a tenant; its text is the `sub` of their tokens.
    UserId;
    /// A browser session.
    SessionId;
    /// What a person allowed a client.
    GrantId;
    /// What one redemption produced.
    FamilyId;
    /// An authorization code's record.
    CodeId;
    /// A refresh token's record.
    RefreshTokenId;
    /// An access token: the `jti` of a JWT, the record of an opaque one.
    AccessTokenId;
    /// A stored authorization request.
    RequestId;
    /// A one-time set-up link.
    SetUpId;
    /// A signing key's record.
    KeyRecordId;
    /// A person's link to an upstream identity.
    AccountId;
    /// An API key's record.
    ApiKeyId;
    /// A sign-in that is on its way through an upstream provider.
    UpstreamRequestId;
    /// A command line's sign-in.
    CliAttemptId;
    /// A reader's session on a docs site.
    ReaderSessionId;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Chance that counts: the same run gives the same bytes.
    #[derive(Default)]
    pub(crate) struct Counting(AtomicU32);

    impl Chance for Counting {
        fn fill(&self, out: &mut [u8]) {
            let mut state = self
                .0
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_mul(2_654_435_761)
                .wrapping_add(97);
            for byte in out {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = state.to_be_bytes()[0];
            }
        }
        fn tick(&self) -> u32 {
            self.0.fetch_add(1, Ordering::Relaxed)
        }
    }

    #[test]
    fn ids_of_one_second_are_ordered_by_the_counter_and_are_version_7() {
        let chance = Counting::default();
        let now = Timestamp::from_seconds(1_700_000_000);
        let ids: Vec<UserId> = (0..1000).map(|_| UserId::new(now, &chance)).collect();
        assert!(ids.is_sorted());
        let later = UserId::new(Timestamp::from_seconds(1_700_000_001), &chance);
        assert!(ids.iter().all(|id| *id < later));
        assert_eq!(uuid::Uuid::from_bytes(*later.bytes()).get_version_num(), 7);
    }

    #[test]
    fn one_id_has_one_spelling() {
        let id = TenantId::parse("6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01").unwrap();
        assert_eq!(id.to_string(), "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01");
        for text in [
            "6F1C1F3E-6b0e-4b7e-9a50-0c1f5d1f7a01",
            "6f1c1f3e6b0e4b7e9a500c1f5d1f7a01",
            "{6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01}",
            "",
        ] {
            assert_eq!(TenantId::parse(text), None, "{text}");
        }
    }
}
