//! How strongly and by which means somebody proved who they are (OpenID Connect Core, 2: `acr`, `amr`; RFC 8176).

use serde::{Deserialize, Serialize};

/// The level of assurance that a sign-in reached, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Acr {
    /// One factor: a password.
    #[serde(rename = "urn:vestibule:acr:single-factor")]
    SingleFactor,
}

impl Acr {
    /// Every level that can be reached, weakest first: what discovery lists.
    pub const ALL: &'static [Self] = &[Self::SingleFactor];

    /// The level's name in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SingleFactor => "urn:vestibule:acr:single-factor",
        }
    }
}

/// A method by which somebody proved who they are (RFC 8176, 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Amr {
    /// A password.
    #[serde(rename = "pwd")]
    Password,
    /// Another provider said who they are; by which means is its to say.
    #[serde(rename = "fed")]
    Federated,
}
