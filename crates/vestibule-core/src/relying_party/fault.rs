//! Every way in which a provider can fail us. None of them is the person's fault but one: they said no.

use crate::jose::verify::VerifyError;
use crate::oauth::known_error::KnownError;

/// The longest text of a provider that is kept for our log, in characters.
const QUOTED_LENGTH_MAX: usize = 200;

/// What a provider's error said (RFC 6749, 4.1.2.1 and 5.2), cut and cleaned for our log. Only the code decides anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamRefusal {
    /// The error code, such as `access_denied`.
    pub error: String,
    /// The description, if there was one.
    pub description: String,
}

impl UpstreamRefusal {
    /// Takes the words of a provider.
    pub fn new(error: &str, description: &str) -> Self {
        let clean = |text: &str| {
            text.chars()
                .take(QUOTED_LENGTH_MAX)
                .map(|character| {
                    if character.is_control() {
                        '?'
                    } else {
                        character
                    }
                })
                .collect()
        };
        Self {
            error: clean(error),
            description: clean(description),
        }
    }

    /// Whether the person, or a rule of the provider about them, said no.
    pub fn is_denial(&self) -> bool {
        // OpenID Connect Core, 3.1.2.6; the last three are Apple's, LinkedIn's and Microsoft's words for it.
        [
            "access_denied",
            "consent_required",
            "login_required",
            "interaction_required",
            "account_selection_required",
            "user_cancelled_authorize",
            "user_cancelled_login",
            "consent_declined",
        ]
        .contains(&self.error.as_str())
    }
}

/// Why what a provider said is not accepted. The sentence is for our log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// It answered with an error.
    #[error("the provider answered {}: {}", .0.error, .0.description)]
    Refused(UpstreamRefusal),
    /// It could not be reached, was too slow, or failed (a status of 500 and above, or 429).
    #[error("the provider cannot be reached or failed: {0}")]
    Unavailable(&'static str),
    /// Its discovery document is not one, or not the configured issuer's.
    #[error("the discovery document is not accepted: {0}")]
    Discovery(&'static str),
    /// Its key set is not one.
    #[error("the key set is not accepted: {0}")]
    Keys(&'static str),
    /// Its callback cannot be read, or says too little or too much.
    #[error("the callback is not accepted: {0}")]
    Callback(&'static str),
    /// The callback comes from another issuer than the one that was asked (RFC 9207, 2.4): a mix-up.
    #[error("the callback names another issuer")]
    CallbackIssuer,
    /// Its token endpoint answered something else than tokens.
    #[error("the token response is not accepted: {0}")]
    TokenResponse(&'static str),
    /// The ID token's form or signature.
    #[error("the ID token is not accepted: {0}")]
    IdToken(#[from] VerifyError),
    /// Signed with an algorithm that the provider does not announce.
    #[error("the ID token is signed with an algorithm that the provider does not announce")]
    Algorithm,
    /// `iss` (OpenID Connect Core, 3.1.3.7, 2).
    #[error("the ID token is another issuer's")]
    Issuer,
    /// `aud` (3.1.3.7, 3).
    #[error("the ID token is for somebody else")]
    Audience,
    /// `azp` (3.1.3.7, 4 and 5).
    #[error("the ID token was given to somebody else")]
    AuthorizedParty,
    /// `exp` (3.1.3.7, 9).
    #[error("the ID token has expired")]
    Expired,
    /// `iat` or `nbf` in the future (3.1.3.7, 10).
    #[error("the ID token is from the future")]
    NotYet,
    /// `nonce` (3.1.3.7, 11).
    #[error("the ID token answers another request: its nonce is wrong or missing")]
    Nonce,
    /// `at_hash` (3.1.3.8).
    #[error("the ID token belongs to another access token")]
    AccessTokenHash,
    /// `auth_time` (3.1.3.7, 13).
    #[error("the person proved who they are longer ago than was asked for")]
    SignInAge,
    /// A claim is missing or of another type.
    #[error("the claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// User info answered something else than a person.
    #[error("the user info is not accepted: {0}")]
    UserInfo(&'static str),
    /// User info speaks of another person than the ID token (OpenID Connect Core, 5.3.2).
    #[error("the user info is another person's")]
    UserInfoSubject,
}

impl UpstreamFault {
    /// Whether the provider's keys should be fetched once more and the ID token be looked at again: it names a key that we do not
    /// know, as it does after a rotation (OpenID Connect Core, 10.1.1).
    pub fn wants_fresh_keys(&self) -> bool {
        matches!(
            self,
            Self::IdToken(VerifyError::UnknownKey | VerifyError::MissingKeyId)
        )
    }

    /// Whether the same may go well in a moment.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Refused(refusal) => {
                ["temporarily_unavailable", "server_error"].contains(&refusal.error.as_str())
            }
            _ => false,
        }
    }

    /// Whether a person, or a rule about them, said no.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.is_denial())
    }

    /// What the app is told.
    pub fn known_error(&self) -> KnownError {
        if self.is_temporary() {
            KnownError::OAuthProviderTemporarilyUnavailable
        } else {
            KnownError::OAuthProviderAccessDenied
        }
    }
}
