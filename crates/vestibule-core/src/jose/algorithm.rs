//! The signature algorithms of this server.

use serde::{Deserialize, Serialize};

/// A signature algorithm (RFC 7518, 3.1; RFC 8037, 3.1).
///
/// The enumeration is the allow-list that RFC 8725, 3.1 asks for: what cannot be named cannot be confused with anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, 3.3). `OpenID` Connect Core, 15.1 asks every provider for it.
    RS256,
    /// RSASSA-PSS with SHA-256 and MGF1 with SHA-256 (RFC 7518, 3.5).
    PS256,
    /// ECDSA over P-256 with SHA-256 (RFC 7518, 3.4).
    ES256,
    /// `EdDSA` over Ed25519 (RFC 8037, 3.1). Ed448 is not supported.
    EdDSA,
}

impl Algorithm {
    /// All algorithms, in the order in which a key set lists its keys.
    pub const ALL: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];

    /// The name in the `alg` member. Names are case-sensitive (RFC 7515, 4.1.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The algorithm of that exact name, if it is one of ours.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
