//! The machine-readable errors of the project API (seed 001): a code that apps compare, a status, a sentence, and details whose
//! members the published SDKs read.

use super::error::{ErrorCode, OAuthError};
use crate::time::Timestamp;
use crate::url::RedirectUri;
use serde_json::{Value, json};

/// A known error. Its name is its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownError {
    /// The body cannot be read.
    BodyParsingError {
        /// Why.
        message: String,
    },
    /// Fields are missing or wrong; all are named.
    SchemaError {
        /// The method and path.
        place: String,
        /// One sentence a field.
        problems: Vec<String>,
    },
    /// A key without the header that says what for.
    ProjectKeyWithoutAccessType,
    /// That header with another value than its three.
    InvalidAccessType(String),
    /// That header without a project.
    AccessTypeWithoutProjectId(String),
    /// An endpoint that needs that header.
    AccessTypeRequired,
    /// An endpoint for other tiers.
    InsufficientAccessType {
        /// The tier that was said.
        actual: String,
        /// Those that may.
        allowed: Vec<&'static str>,
    },
    /// The project of the header is not ours.
    CurrentProjectNotFound(String),
    /// The project's branch is not `main`.
    BranchDoesNotExist(String),
    /// A publishable key that is not the project's.
    InvalidPublishableClientKey(String),
    /// A secret key that is not the project's.
    InvalidSecretServerKey(String),
    /// An admin key that is not the project's.
    InvalidSuperSecretAdminKey(String),
    /// The project demands a publishable key.
    PublishableClientKeyRequiredForProject(String),
    /// A client id that is no project, or a wrong secret.
    InvalidOAuthClientIdOrSecret(Option<String>),
    /// A scope that is not served.
    InvalidScope(String),
    /// The provider is not configured, or not for this.
    OAuthProviderNotFoundOrNotEnabled,
    /// An address that is not trusted.
    RedirectUrlNotWhitelisted,
    /// Declined: there are no bot challenges here.
    BotChallengeRequired,
    /// Declined: there are no bot challenges here.
    BotChallengeFailed,
    /// Declined: there are no shared credentials here.
    OAuthExtraScopeNotAvailableWithSharedOAuthKeys,
    /// Declined: there are no shared credentials here.
    OAuthAccessTokenNotAvailableWithSharedOAuthKeys,
    /// An access token that cannot be read, or is not ours.
    UnparsableAccessToken,
    /// An access token that is over.
    AccessTokenExpired(Option<Timestamp>),
    /// An access token of another project.
    InvalidProjectForAccessToken {
        /// The project of the request.
        expected: String,
        /// The token's.
        actual: String,
    },
    /// The person took longer than the dialogue lives.
    OuterOAuthTimeout,
    /// The provider, or the person there, said no.
    OAuthProviderAccessDenied,
    /// The provider is slow or down.
    OAuthProviderTemporarilyUnavailable,
    /// Nobody may sign up by themselves.
    SignUpNotEnabled,
    /// This person may not.
    SignUpRejected {
        /// Why.
        message: String,
    },
    /// The address is somebody's.
    ContactChannelAlreadyUsedForAuthBySomeoneElse {
        /// The address.
        email: Option<String>,
        /// Whether both sides having verified it would change that.
        would_work_if_verified: bool,
    },
    /// The upstream identity is another person's.
    OAuthConnectionAlreadyConnectedToAnotherUser,
    /// The person did not link the provider.
    OAuthConnectionNotConnectedToUser,
    /// The provider did not grant the scope.
    OAuthConnectionDoesNotHaveRequiredScope,
    /// The provider gives no token for it now: the person signs in there again.
    OAuthAccessTokenNotAvailable {
        /// The provider.
        provider: String,
        /// What it said.
        message: String,
    },
    /// The upstream identity signs another person in.
    OAuthProviderAccountIdAlreadyUsedForSignIn,
    /// A code that is unknown, used or over, or whose proof is wrong.
    InvalidAuthorizationCode,
    /// A refresh token that is unknown, revoked or over.
    RefreshTokenNotFoundOrExpired,
    /// A second factor is due.
    MultiFactorAuthenticationRequired {
        /// What to continue with.
        attempt_code: String,
    },
    /// An endpoint for people who are signed in.
    UserAuthenticationRequired,
    /// An ID token of Apple that is not accepted.
    InvalidAppleCredentials,
    /// No bundle id is configured.
    AppleBundleIdNotConfigured,
    /// The session of the caller itself.
    CannotDeleteCurrentSession,
    /// `me` without a person.
    CannotGetOwnUserWithoutUser,
    /// There is no such person.
    UserNotFound,
    /// The same, where the id stands in the body.
    UserIdDoesNotExist(String),
    /// Somebody else has the address.
    UserEmailAlreadyExists(String),
    /// There is no such project, where its id stands in the path.
    ProjectNotFound(String),
    /// Declined: there are no people without an account here.
    AnonymousAccountsNotEnabled,
    /// A polling code that is none.
    InvalidPollingCode,
    /// A command line's sign-in that cannot go on.
    CliAuthError {
        /// Why.
        message: String,
    },
    /// A command line's sign-in that is over.
    CliAuthExpired,
    /// A command line's sign-in that was used.
    CliAuthUsed,
}

/// The scheme of the sentences about keys.
fn wrong_key(kind: &str, project: &str) -> String {
    format!(
        "The {kind} is not one of project {project}, has expired or was revoked. Check the project id and the key."
    )
}

impl KnownError {
    /// The table: code, HTTP status, what it is called in OAuth, and the sentence where it is fixed.
    #[rustfmt::skip]
    const fn row(&self) -> (&'static str, u16, ErrorCode, &'static str) {
        use ErrorCode::{AccessDenied, InteractionRequired, InvalidRequest, InvalidScope, ServerError, TemporarilyUnavailable, UnauthorizedClient};
        match self {
            Self::BodyParsingError { .. }                              => ("BODY_PARSING_ERROR",                                      400, InvalidRequest,         ""),
            Self::SchemaError { .. }                                   => ("SCHEMA_ERROR",                                            400, InvalidRequest,         ""),
            Self::ProjectKeyWithoutAccessType                          => ("PROJECT_KEY_WITHOUT_ACCESS_TYPE",                         400, ServerError,            "A key was sent without the x-stack-access-type header. Set it to 'client', 'server' or 'admin'."),
            Self::InvalidAccessType(_)                                 => ("INVALID_ACCESS_TYPE",                                     400, ServerError,            ""),
            Self::AccessTypeWithoutProjectId(_)                        => ("ACCESS_TYPE_WITHOUT_PROJECT_ID",                          400, ServerError,            ""),
            Self::AccessTypeRequired                                   => ("ACCESS_TYPE_REQUIRED",                                    400, ServerError,            "This endpoint needs the x-stack-access-type header ('client', 'server' or 'admin') and the project's key."),
            Self::InsufficientAccessType { .. }                        => ("INSUFFICIENT_ACCESS_TYPE",                                401, ServerError,            ""),
            Self::CurrentProjectNotFound(_)                            => ("CURRENT_PROJECT_NOT_FOUND",                               400, ServerError,            ""),
            Self::BranchDoesNotExist(_)                                => ("BRANCH_DOES_NOT_EXIST",                                   400, ServerError,            ""),
            Self::InvalidPublishableClientKey(_)                       => ("INVALID_PUBLISHABLE_CLIENT_KEY",                          401, ServerError,            ""),
            Self::InvalidSecretServerKey(_)                            => ("INVALID_SECRET_SERVER_KEY",                               401, ServerError,            ""),
            Self::InvalidSuperSecretAdminKey(_)                        => ("INVALID_SUPER_SECRET_ADMIN_KEY",                          401, ServerError,            ""),
            Self::PublishableClientKeyRequiredForProject(_)            => ("PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT",             401, ServerError,            ""),
            Self::InvalidOAuthClientIdOrSecret(_)                      => ("INVALID_OAUTH_CLIENT_ID_OR_SECRET",                       400, ServerError,            "The OAuth client id or secret is invalid. The client id is the project id, optionally with #main, and the client secret is a publishable client key."),
            Self::InvalidScope(_)                                      => ("INVALID_SCOPE",                                           400, InvalidScope,           ""),
            Self::OAuthProviderNotFoundOrNotEnabled                    => ("OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED",                 400, UnauthorizedClient,     "The OAuth provider is not found or not enabled."),
            Self::RedirectUrlNotWhitelisted                            => ("REDIRECT_URL_NOT_WHITELISTED",                            400, ServerError,            "The redirect URL is not on one of the project's trusted domains. Add its domain to them."),
            Self::BotChallengeRequired                                 => ("BOT_CHALLENGE_REQUIRED",                                  409, ServerError,            "A bot challenge is required."),
            Self::BotChallengeFailed                                   => ("BOT_CHALLENGE_FAILED",                                    400, ServerError,            "The bot challenge failed."),
            Self::OAuthExtraScopeNotAvailableWithSharedOAuthKeys       => ("OAUTH_EXTRA_SCOPE_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS",  400, ServerError,            "Extra scopes are not available with shared OAuth keys."),
            Self::OAuthAccessTokenNotAvailableWithSharedOAuthKeys      => ("OAUTH_ACCESS_TOKEN_NOT_AVAILABLE_WITH_SHARED_OAUTH_KEYS", 400, ServerError,            "Access tokens are not available with shared OAuth keys."),
            Self::UnparsableAccessToken                                => ("UNPARSABLE_ACCESS_TOKEN",                                 401, ServerError,            "The access token is not one of this project."),
            Self::AccessTokenExpired(_)                                => ("ACCESS_TOKEN_EXPIRED",                                    401, ServerError,            "The access token has expired. Refresh it and try again."),
            Self::InvalidProjectForAccessToken { .. }                  => ("INVALID_PROJECT_FOR_ACCESS_TOKEN",                        401, ServerError,            ""),
            Self::OuterOAuthTimeout                                    => ("OUTER_OAUTH_TIMEOUT",                                     408, AccessDenied,           "The sign-in took too long. Please sign in again."),
            Self::OAuthProviderAccessDenied                            => ("OAUTH_PROVIDER_ACCESS_DENIED",                            400, AccessDenied,           "The OAuth provider did not give access. Please try again, and allow it there."),
            Self::OAuthProviderTemporarilyUnavailable                  => ("OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE",                  503, TemporarilyUnavailable, "The OAuth provider does not answer as it should. Please try again later."),
            Self::SignUpNotEnabled                                     => ("SIGN_UP_NOT_ENABLED",                                     400, AccessDenied,           "New accounts cannot be made here. Ask the owner of the project to enable sign-up."),
            Self::SignUpRejected { .. }                                => ("SIGN_UP_REJECTED",                                        403, AccessDenied,           ""),
            Self::ContactChannelAlreadyUsedForAuthBySomeoneElse { .. } => ("CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE",   409, AccessDenied,           ""),
            Self::OAuthConnectionAlreadyConnectedToAnotherUser         => ("OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER",      409, AccessDenied,           "This provider account is already connected to another user."),
            Self::OAuthConnectionNotConnectedToUser                    => ("OAUTH_CONNECTION_NOT_CONNECTED_TO_USER",                  400, ServerError,            "This provider is not connected to the user."),
            Self::OAuthConnectionDoesNotHaveRequiredScope              => ("OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE",           400, ServerError,            "The connection to this provider does not have the required scope."),
            Self::OAuthAccessTokenNotAvailable { .. }                  => ("OAUTH_ACCESS_TOKEN_NOT_AVAILABLE",                        400, ServerError,            ""),
            Self::OAuthProviderAccountIdAlreadyUsedForSignIn           => ("OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN",      400, AccessDenied,           "A user already signs in with this account of the provider."),
            Self::InvalidAuthorizationCode                             => ("INVALID_AUTHORIZATION_CODE",                              400, ServerError,            "The authorization code is invalid, expired or already used."),
            Self::RefreshTokenNotFoundOrExpired                        => ("REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED",                      401, ServerError,            "The refresh token is unknown, or its session has expired or was revoked."),
            Self::MultiFactorAuthenticationRequired { .. }             => ("MULTI_FACTOR_AUTHENTICATION_REQUIRED",                    400, InteractionRequired,    "A second factor is required for this user."),
            Self::UserAuthenticationRequired                           => ("USER_AUTHENTICATION_REQUIRED",                            401, InteractionRequired,    "This endpoint is for users who are signed in."),
            Self::InvalidAppleCredentials                              => ("INVALID_APPLE_CREDENTIALS",                               400, ServerError,            "The ID token of Apple is not accepted."),
            Self::AppleBundleIdNotConfigured                           => ("APPLE_BUNDLE_ID_NOT_CONFIGURED",                          400, ServerError,            "No Apple bundle id is configured for this project."),
            Self::CannotDeleteCurrentSession                           => ("CANNOT_DELETE_CURRENT_SESSION",                           400, ServerError,            "The current session cannot be deleted here. Sign out instead."),
            Self::CannotGetOwnUserWithoutUser                          => ("CANNOT_GET_OWN_USER_WITHOUT_USER",                        400, ServerError,            "'me' stands for the user who is signed in, and there is none."),
            Self::AnonymousAccountsNotEnabled                          => ("ANONYMOUS_ACCOUNTS_NOT_ENABLED",                          400, ServerError,            "Anonymous accounts are not enabled for this project."),
            Self::UserNotFound                                         => ("USER_NOT_FOUND",                                          404, ServerError,            "There is no such user."),
            Self::UserIdDoesNotExist(_)                                => ("USER_ID_DOES_NOT_EXIST",                                  400, ServerError,            ""),
            Self::UserEmailAlreadyExists(_)                            => ("USER_EMAIL_ALREADY_EXISTS",                               409, ServerError,            ""),
            Self::ProjectNotFound(_)                                   => ("PROJECT_NOT_FOUND",                                       404, ServerError,            ""),
            Self::InvalidPollingCode                                   => ("INVALID_POLLING_CODE",                                    400, ServerError,            "The polling code is invalid or does not exist."),
            Self::CliAuthError { .. }                                  => ("CLI_AUTH_ERROR",                                          400, ServerError,            ""),
            Self::CliAuthExpired                                       => ("CLI_AUTH_EXPIRED_ERROR",                                  400, ServerError,            "The command line's sign-in has expired. Please start again."),
            Self::CliAuthUsed                                          => ("CLI_AUTH_USED_ERROR",                                     400, ServerError,            "The command line's sign-in was already used."),
        }
    }

    /// The code.
    pub const fn code(&self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.row().1
    }

    /// What it is called in OAuth (RFC 6749, 4.1.2.1): the `error` of a redirect.
    pub const fn oauth_code(&self) -> ErrorCode {
        self.row().2
    }

    /// The sentence, for the app's developer.
    pub fn message(&self) -> String {
        match self {
            Self::BodyParsingError { message }
            | Self::SignUpRejected { message }
            | Self::CliAuthError { message } => message.clone(),
            Self::SchemaError { place, problems } => {
                format!(
                    "Request validation failed on {place}:\n  - {}",
                    problems.join("\n  - ")
                )
            }
            Self::InvalidAccessType(actual) => {
                format!(
                    "The x-stack-access-type header must be 'client', 'server' or 'admin', but was '{actual}'."
                )
            }
            Self::AccessTypeWithoutProjectId(kind) => {
                format!(
                    "The x-stack-access-type header was '{kind}', but the x-stack-project-id header is missing."
                )
            }
            Self::InsufficientAccessType { actual, allowed } => {
                format!(
                    "The x-stack-access-type header must be '{}', but was '{actual}'.",
                    allowed.join("' or '")
                )
            }
            Self::CurrentProjectNotFound(id) => {
                format!(
                    "There is no project with the id {id}. Check the x-stack-project-id header."
                )
            }
            Self::ProjectNotFound(id) => format!("There is no project with the id {id}."),
            Self::UserIdDoesNotExist(id) => format!("There is no user with the id {id}."),
            Self::UserEmailAlreadyExists(email) => {
                format!("There is a user with the e-mail address {email} already.")
            }
            Self::BranchDoesNotExist(id) => {
                format!("There is no branch {id}. The only branch is main.")
            }
            Self::InvalidPublishableClientKey(id) => wrong_key("publishable client key", id),
            Self::InvalidSecretServerKey(id) => wrong_key("secret server key", id),
            Self::InvalidSuperSecretAdminKey(id) => wrong_key("super secret admin key", id),
            Self::PublishableClientKeyRequiredForProject(id) => {
                format!(
                    "Project {id} demands a publishable client key. Send it as client_secret or in the x-stack-publishable-client-key header."
                )
            }
            Self::InvalidScope(scope) => {
                format!("The scope '{scope}' is not served by this project.")
            }
            Self::InvalidProjectForAccessToken { expected, actual } => {
                format!("The access token is for project {actual}, not for project {expected}.")
            }
            Self::ContactChannelAlreadyUsedForAuthBySomeoneElse {
                email,
                would_work_if_verified,
            } => {
                let email = email
                    .as_deref()
                    .map(|email| format!(" ({email})"))
                    .unwrap_or_default();
                let rest = if *would_work_if_verified {
                    ", and it is not verified on both sides. Sign in the way you signed up, and verify the address first."
                } else {
                    ". Sign in the way you signed up, and link this provider from there."
                };
                format!("This e-mail address{email} is already used by another account{rest}")
            }
            Self::OAuthAccessTokenNotAvailable { provider, message } => {
                format!("There is no access token of {provider}: {message}")
            }
            _ => self.row().3.to_owned(),
        }
    }

    /// The details that the SDKs read; none for errors that have none.
    pub fn details(&self) -> Option<Value> {
        Some(match self {
            Self::BodyParsingError { message } => json!({ "message": message }),
            Self::SchemaError { .. } => json!({ "message": self.message() }),
            Self::SignUpRejected { message } | Self::CliAuthError { message } => {
                json!({ "message": message })
            }
            Self::InvalidAccessType(actual) => json!({ "accessType": actual }),
            Self::AccessTypeWithoutProjectId(kind) => json!({ "request_type": kind }),
            Self::InsufficientAccessType { actual, allowed } => {
                json!({ "actual_access_type": actual, "allowed_access_types": allowed })
            }
            Self::UserIdDoesNotExist(id) => json!({ "user_id": id }),
            Self::UserEmailAlreadyExists(email) => {
                json!({ "email": email, "would_work_if_email_was_verified": false })
            }
            Self::CurrentProjectNotFound(id)
            | Self::ProjectNotFound(id)
            | Self::InvalidPublishableClientKey(id)
            | Self::InvalidSecretServerKey(id)
            | Self::InvalidSuperSecretAdminKey(id)
            | Self::PublishableClientKeyRequiredForProject(id) => json!({ "project_id": id }),
            Self::BranchDoesNotExist(id) => json!({ "branch_id": id }),
            Self::InvalidOAuthClientIdOrSecret(id) => json!({ "client_id": id }),
            Self::InvalidScope(scope) => json!({ "scope": scope }),
            Self::AccessTokenExpired(at) => {
                json!({ "expired_at_millis": at.map(|at| at.seconds().saturating_mul(1000)) })
            }
            Self::InvalidProjectForAccessToken { expected, actual } => {
                json!({ "expected_project_id": expected, "actual_project_id": actual })
            }
            Self::ContactChannelAlreadyUsedForAuthBySomeoneElse {
                email,
                would_work_if_verified,
            } => {
                json!({ "type": "email", "contact_channel_value": email, "would_work_if_email_was_verified": would_work_if_verified })
            }
            Self::OAuthAccessTokenNotAvailable { provider, message } => {
                json!({ "provider": provider, "details": message })
            }
            Self::MultiFactorAuthenticationRequired { attempt_code } => {
                json!({ "attempt_code": attempt_code })
            }
            _ => return None,
        })
    }

    /// The body of an answer.
    pub fn body(&self) -> Value {
        match self.details() {
            Some(details) => {
                json!({ "code": self.code(), "details": details, "error": self.message() })
            }
            None => json!({ "code": self.code(), "error": self.message() }),
        }
    }

    /// What it is called in OAuth (RFC 6749, 4.1.2.1): the `error` of a redirect.
    /// The address at the app that the error is returned to: what OAuth says of errors (with `state` and `iss`, RFC 9207), and what
    /// the SDKs read beside it.
    pub fn redirect(&self, to: &RedirectUri, state: &str, iss: &str) -> String {
        let message = self.message();
        let description = OAuthError::quoting(self.oauth_code(), &message.replace('\n', " "));
        let mut query = ::url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("error", self.oauth_code().as_str())
            .append_pair("error_description", &description.description)
            .append_pair("errorCode", self.code())
            .append_pair("message", &message)
            .append_pair(
                "details",
                &self.details().unwrap_or_else(|| json!({})).to_string(),
            )
            .append_pair("state", state)
            .append_pair("iss", iss);
        join(to, &query.finish())
    }
}

/// The address at the app that a code is returned to.
pub fn code_redirect(to: &RedirectUri, code: &str, state: &str, iss: &str) -> String {
    let mut query = ::url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("code", code)
        .append_pair("state", state)
        .append_pair("iss", iss);
    join(to, &query.finish())
}

fn join(to: &RedirectUri, query: &str) -> String {
    let joint = if to.as_str().contains('?') { '&' } else { '?' };
    format!("{}{joint}{query}", to.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_error_says_its_code_status_and_details() {
        let at = Some(Timestamp::from_seconds(12));
        #[rustfmt::skip]
        let table = [
            (KnownError::ProjectKeyWithoutAccessType,                       400, "PROJECT_KEY_WITHOUT_ACCESS_TYPE",       None),
            (KnownError::AccessTypeWithoutProjectId("client".to_owned()),   400, "ACCESS_TYPE_WITHOUT_PROJECT_ID",        Some(json!({"request_type": "client"}))),
            (KnownError::InvalidPublishableClientKey("p".to_owned()),       401, "INVALID_PUBLISHABLE_CLIENT_KEY",        Some(json!({"project_id": "p"}))),
            (KnownError::InvalidOAuthClientIdOrSecret(None),                400, "INVALID_OAUTH_CLIENT_ID_OR_SECRET",     Some(json!({"client_id": null}))),
            (KnownError::AccessTokenExpired(at),                            401, "ACCESS_TOKEN_EXPIRED",                  Some(json!({"expired_at_millis": 12_000}))),
            (KnownError::OuterOAuthTimeout,                                 408, "OUTER_OAUTH_TIMEOUT",                   None),
            (KnownError::OAuthProviderTemporarilyUnavailable,               503, "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE", None),
            (KnownError::OAuthConnectionAlreadyConnectedToAnotherUser,      409, "OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER", None),
            (KnownError::RefreshTokenNotFoundOrExpired,                     401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED",    None),
            (KnownError::AnonymousAccountsNotEnabled,                       400, "ANONYMOUS_ACCOUNTS_NOT_ENABLED",        None),
            (KnownError::UserNotFound,                                      404, "USER_NOT_FOUND",                        None),
            (KnownError::UserIdDoesNotExist("u".to_owned()),                400, "USER_ID_DOES_NOT_EXIST",                Some(json!({"user_id": "u"}))),
            (KnownError::UserEmailAlreadyExists("a@x.test".to_owned()),     409, "USER_EMAIL_ALREADY_EXISTS",             Some(json!({"email": "a@x.test", "would_work_if_email_was_verified": false}))),
            (KnownError::ProjectNotFound("p".to_owned()),                   404, "PROJECT_NOT_FOUND",                     Some(json!({"project_id": "p"}))),
        ];
        for (error, status, code, details) in table {
            assert_eq!(
                (error.status(), error.code(), error.details()),
                (status, code, details.clone())
            );
            let body = error.body();
            assert_eq!(body["code"], code);
            assert_eq!(body.get("details"), details.as_ref());
            assert!(!body["error"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn a_redirected_error_is_oauth_s_and_the_sdks_with_state_and_iss() {
        let error = KnownError::ContactChannelAlreadyUsedForAuthBySomeoneElse {
            email: Some("\u{202e}é\"@x.example".to_owned()),
            would_work_if_verified: true,
        };
        let address = error.redirect(
            &RedirectUri::matched("https://a.example/cb?x=1"),
            "s&t",
            "https://id.example",
        );
        let pairs: std::collections::BTreeMap<String, String> = ::url::Url::parse(&address)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
        assert_eq!(
            pairs.keys().map(String::as_str).collect::<Vec<_>>(),
            [
                "details",
                "error",
                "errorCode",
                "error_description",
                "iss",
                "message",
                "state",
                "x"
            ]
        );
        assert_eq!(
            (
                pairs["error"].as_str(),
                pairs["state"].as_str(),
                pairs["iss"].as_str()
            ),
            ("access_denied", "s&t", "https://id.example")
        );
        assert!(pairs["error_description"].is_ascii() && !pairs["error_description"].contains('"'));
        assert!(serde_json::from_str::<Value>(&pairs["details"]).is_ok());
    }
}
