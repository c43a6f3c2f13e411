//! Refusals. An error has three readers: the code is for the machine, the description for the app's developer, the detail for
//! our own log. A refusal says whether the person sees it here or the client gets it back.

use crate::oauth::authorize::ResponseMode;
use crate::url::RedirectUri;
use std::borrow::Cow;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// The registered error codes that we say.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// The code on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// RFC 6749, 4.1.2.1 and 5.2.
    InvalidRequest = "invalid_request";
    /// RFC 6749, 5.2.
    InvalidClient = "invalid_client";
    /// RFC 6749, 5.2.
    InvalidGrant = "invalid_grant";
    /// RFC 6749, 4.1.2.1 and 5.2.
    UnauthorizedClient = "unauthorized_client";
    /// RFC 6749, 5.2.
    UnsupportedGrantType = "unsupported_grant_type";
    /// RFC 6749, 4.1.2.1.
    UnsupportedResponseType = "unsupported_response_type";
    /// RFC 6749, 4.1.2.1 and 5.2.
    InvalidScope = "invalid_scope";
    /// RFC 6749, 4.1.2.1.
    AccessDenied = "access_denied";
    /// RFC 6749, 4.1.2.1.
    ServerError = "server_error";
    /// RFC 6749, 4.1.2.1.
    TemporarilyUnavailable = "temporarily_unavailable";
    /// OpenID Connect Core, 3.1.2.6.
    LoginRequired = "login_required";
    /// OpenID Connect Core, 3.1.2.6.
    ConsentRequired = "consent_required";
    /// OpenID Connect Core, 3.1.2.6.
    InteractionRequired = "interaction_required";
    /// OpenID Connect Core, 3.1.2.6.
    AccountSelectionRequired = "account_selection_required";
    /// OpenID Connect Core, 3.1.2.6.
    RequestNotSupported = "request_not_supported";
    /// OpenID Connect Core, 3.1.2.6.
    RequestUriNotSupported = "request_uri_not_supported";
    /// OpenID Connect Core, 3.1.2.6.
    RegistrationNotSupported = "registration_not_supported";
    /// OpenID Connect Core Error Code `unmet_authentication_requirements` 1.0.
    UnmetAuthenticationRequirements = "unmet_authentication_requirements";
    /// RFC 8707, 2.
    InvalidTarget = "invalid_target";
    /// RFC 6750, 3.1.
    InvalidToken = "invalid_token";
    /// RFC 6750, 3.1.
    InsufficientScope = "insufficient_scope";
    /// RFC 7009, 2.2.1.
    UnsupportedTokenType = "unsupported_token_type";
}

/// The longest description that we send.
const DESCRIPTION_LENGTH_MAX: usize = 400;

/// An answer that is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// For the machine.
    pub code: ErrorCode,
    /// For the app's developer: printable ASCII without `"` and `\` (RFC 6749, 5.2).
    pub description: Cow<'static, str>,
    /// For our log only: what exactly was seen. Never a secret.
    pub detail: Cow<'static, str>,
}

impl OAuthError {
    /// A refusal with a fixed description.
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self {
            code,
            description: Cow::Borrowed(description),
            detail: Cow::Borrowed(""),
        }
    }

    /// A refusal whose description quotes the request: whatever RFC 6749 does not allow becomes `?`.
    pub fn quoting(code: ErrorCode, description: &str) -> Self {
        let description = description
            .chars()
            .take(DESCRIPTION_LENGTH_MAX)
            .map(|character| match character {
                '"' => '\'',
                ' '..='~' if character != '\\' => character,
                _ => '?',
            })
            .collect::<String>();
        Self {
            code,
            description: Cow::Owned(description),
            detail: Cow::Borrowed(""),
        }
    }

    /// Adds what only our log should read.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// Where an answer to an authorization request goes, and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnPath {
    /// The client's address, matched.
    pub redirect_uri: RedirectUri,
    /// The form.
    pub response_mode: ResponseMode,
    /// Echoed exactly.
    pub state: Option<String>,
}

/// Why the person must be shown an error here: there is no checked place to send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowReason {
    /// The client is unknown: 401 in the words of seed 002.
    UnknownClient,
    /// The redirect URI is missing, ambiguous or not registered.
    RedirectUri,
    /// The request cannot be read, or repeats the parameters that would say where to return.
    Malformed,
}

/// Two kinds of refusal of an authorization request: shown to the person here, or returned to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A page of ours (OAuth 2.1, 2.3.5 and 4.1.2.1).
    Show(ShowReason, OAuthError),
    /// An error response at the client's address, with `state` and `iss`.
    Return(Box<ReturnPath>, OAuthError),
}

impl Refusal {
    /// The error in either.
    pub const fn error(&self) -> &OAuthError {
        match self {
            Self::Show(_, error) | Self::Return(_, error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o21_15_a_description_is_printable_ascii_without_quotes_and_backslashes() {
        let error = OAuthError::quoting(
            ErrorCode::InvalidScope,
            "scope \"x\\y\"\r\n\u{202e}é is unknown",
        );
        assert_eq!(
            error.description,
            "scope 'x?y'????\u{3f} is unknown".replace("????\u{3f}", "????")
        );
        assert!(
            OAuthError::quoting(ErrorCode::InvalidScope, &"x".repeat(9999))
                .description
                .len()
                <= DESCRIPTION_LENGTH_MAX
        );
    }
}
