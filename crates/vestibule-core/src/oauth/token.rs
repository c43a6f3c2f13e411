//! The token request (OAuth 2.1, 3.2) and what a family of tokens stands on.

use super::claims::ClaimsRequest;
use super::client::{Client, GrantType};
use super::client_auth::AuthenticatedClient;
use super::error::{ErrorCode, OAuthError};
use super::params::Params;
use super::project::OuterOutcome;
use super::scope::ScopeSet;
use crate::id::{FamilyId, GrantId, SessionId, UserId};
use crate::identity::acr::{Acr, Amr};
use crate::secret::{Handle, HandleKind};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a person's approval came to: a code carries it to the redemption, and the family keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Who.
    #[serde(rename = "u")]
    pub user_id: UserId,
    /// In which browser session.
    #[serde(rename = "s")]
    pub session_id: SessionId,
    /// Under which grant; none where the client's policy never asks.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<GrantId>,
    /// What was allowed.
    #[serde(rename = "sc")]
    pub scope: ScopeSet,
    /// The claims asked for by name that were allowed.
    #[serde(
        rename = "cl",
        default,
        skip_serializing_if = "ClaimsRequest::is_empty"
    )]
    pub claims: ClaimsRequest,
    /// The resources that were allowed.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// When the person proved who they are.
    #[serde(rename = "at")]
    pub auth_time: Timestamp,
    /// How strongly.
    #[serde(rename = "acr")]
    pub acr: Acr,
    /// By which means.
    #[serde(rename = "amr")]
    pub amr: Vec<Amr>,
    /// Echoed in the first ID token.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What a code of the project API hands on to its redemption; none elsewhere.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub outer: Option<OuterOutcome>,
}

/// What one redemption produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its record.
    pub id: FamilyId,
    /// Whose client's.
    pub client_id: String,
    /// What it stands on.
    pub authorization: Authorization,
    /// Since when it is over: replay, reuse, sign-out, withdrawal or revocation.
    pub ended_at: Option<Timestamp>,
}

/// A request for tokens, by kind.
#[derive(Clone, Debug)]
pub enum TokenRequest {
    /// OAuth 2.1, 4.1.3.
    AuthorizationCode(CodeExchange),
    /// OAuth 2.1, 4.3.1.
    RefreshToken(RefreshExchange),
    /// OAuth 2.1, 4.2.1.
    ClientCredentials {
        /// What is asked for; everything that the client may have when absent.
        scope: Option<ScopeSet>,
        /// The resources that the token is for.
        resources: Vec<String>,
    },
}

/// What is presented with a code.
#[derive(Clone, Debug)]
pub struct CodeExchange {
    /// The code.
    pub code: Handle,
    /// The redirect URI, if the client repeats it.
    pub redirect_uri: Option<String>,
    /// The verifier.
    pub verifier: Option<String>,
    /// The resources that the token is for, of those allowed.
    pub resources: Vec<String>,
}

/// What is presented with a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshExchange {
    /// The refresh token.
    pub token: Handle,
    /// A narrower scope.
    pub scope: Option<ScopeSet>,
    /// The resources that the token is for, of those allowed.
    pub resources: Vec<String>,
}

/// The answer to a code or refresh token that we do not accept, whatever the reason: a guesser learns nothing.
pub fn invalid_grant(detail: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "the grant is invalid, expired, revoked, already used, or was issued to another client or redirect_uri").detail(detail)
}

impl TokenRequest {
    /// Parses a token request of a client that proved itself. Unknown parameters are ignored, repeated ones refused
    /// (OAuth 2.1, 3.2).
    pub fn parse(params: &Params, caller: &AuthenticatedClient) -> Result<Self, OAuthError> {
        if let Some(name) = params.repeated() {
            return Err(OAuthError::quoting(
                ErrorCode::InvalidRequest,
                &format!("{name} may stand once"),
            ));
        }
        let missing = |name: &str| {
            OAuthError::quoting(ErrorCode::InvalidRequest, &format!("{name} is missing"))
        };
        let grant_type = match params
            .get("grant_type")
            .ok_or_else(|| missing("grant_type"))?
        {
            "authorization_code" => GrantType::AuthorizationCode,
            "refresh_token" => GrantType::RefreshToken,
            "client_credentials" => GrantType::ClientCredentials,
            // OAuth 2.1, 10.1: `password` is as unknown as anything else.
            _ => {
                return Err(OAuthError::new(
                    ErrorCode::UnsupportedGrantType,
                    "grant_type must be authorization_code, refresh_token or client_credentials",
                ));
            }
        };
        if !caller.client().may_use(grant_type)
            || (grant_type == GrantType::ClientCredentials && !caller.is_confidential())
        {
            return Err(OAuthError::quoting(
                ErrorCode::UnauthorizedClient,
                &format!("this client is not registered for {}", grant_type.as_str()),
            ));
        }
        let resources: Vec<String> = params.all("resource").map(str::to_owned).collect();
        let scope = || {
            params
                .get("scope")
                .map(ScopeSet::parse)
                .transpose()
                .map_err(|error| OAuthError::quoting(ErrorCode::InvalidScope, &error.to_string()))
        };
        match grant_type {
            GrantType::AuthorizationCode => {
                let code = params.get("code").ok_or_else(|| missing("code"))?;
                Ok(Self::AuthorizationCode(CodeExchange {
                    code: Handle::parse(HandleKind::Code, code)
                        .ok_or_else(|| invalid_grant("not in the form of a code"))?,
                    redirect_uri: params.get("redirect_uri").map(str::to_owned),
                    verifier: params.get("code_verifier").map(str::to_owned),
                    resources,
                }))
            }
            GrantType::RefreshToken => {
                let token = params
                    .get("refresh_token")
                    .ok_or_else(|| missing("refresh_token"))?;
                Ok(Self::RefreshToken(RefreshExchange {
                    token: Handle::parse(HandleKind::RefreshToken, token)
                        .ok_or_else(|| invalid_grant("not in the form of a refresh token"))?,
                    scope: scope()?,
                    resources,
                }))
            }
            GrantType::ClientCredentials => Ok(Self::ClientCredentials {
                scope: scope()?,
                resources,
            }),
        }
    }
}

/// What an access token is for: what was asked for now, else everything that was allowed (RFC 8707, 2.2).
pub fn narrow_resources(asked: &[String], allowed: &[String]) -> Result<Vec<String>, OAuthError> {
    if asked.is_empty() {
        return Ok(allowed.to_vec());
    }
    if asked.iter().all(|resource| allowed.contains(resource)) {
        Ok(asked.to_vec())
    } else {
        Err(OAuthError::new(
            ErrorCode::InvalidTarget,
            "the resource is not one that was allowed",
        ))
    }
}

/// What a client may have for itself (OAuth 2.1, 4.2): the scopes of a person's sign-in mean nothing there and are left out.
pub fn client_scope(client: &Client, asked: Option<&ScopeSet>) -> Result<ScopeSet, OAuthError> {
    let of_people = |name: &str| {
        super::scope::STANDARD_SCOPES
            .iter()
            .any(|scope| scope.name == name)
    };
    let Some(asked) = asked else {
        let mut scope = ScopeSet::default();
        for name in client.scope.iter().filter(|name| !of_people(name)) {
            scope.insert(name);
        }
        return Ok(scope);
    };
    match asked
        .iter()
        .find(|name| !client.scope.contains(name) || of_people(name))
    {
        Some(name) => Err(OAuthError::quoting(
            ErrorCode::InvalidScope,
            &format!("the client is not allowed to request scope '{name}' for itself"),
        )),
        None => Ok(asked.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::super::client_auth::tests::authenticated;
    use super::*;
    use crate::id::tests::Counting;

    const WEB: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"grant_types":["authorization_code","refresh_token","client_credentials"],"scope":"openid email reports"}"#;

    fn parse(json: &str, body: &str) -> Result<TokenRequest, ErrorCode> {
        let served = super::super::scope::served(&[crate::oauth::scope::ScopeRecord {
            name: "reports".to_owned(),
            description: "x".to_owned(),
            consent: crate::oauth::scope::ScopeConsent::default(),
        }]);
        let client =
            Client::from_metadata(&serde_json::from_str(json).unwrap(), Vec::new(), &served)
                .unwrap();
        TokenRequest::parse(
            &Params::parse(body.as_bytes()).unwrap(),
            &authenticated(client),
        )
        .map_err(|error| error.code)
    }

    #[test]
    fn o21_44_what_is_gone_is_unknown() {
        for grant_type in [
            "password",
            "implicit",
            "token",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "AUTHORIZATION_CODE",
        ] {
            assert_eq!(
                parse(WEB, &format!("grant_type={grant_type}")).unwrap_err(),
                ErrorCode::UnsupportedGrantType,
                "{grant_type}"
            );
        }
    }

    #[test]
    fn o21_13_missing_and_repeated_parameters_are_refused_and_unknown_ones_ignored() {
        let handle = Handle::mint(
            HandleKind::Code,
            Timestamp::from_seconds(1),
            &Counting::default(),
        )
        .reveal();
        assert_eq!(parse(WEB, "").unwrap_err(), ErrorCode::InvalidRequest);
        assert_eq!(
            parse(WEB, "grant_type=authorization_code").unwrap_err(),
            ErrorCode::InvalidRequest
        );
        assert_eq!(
            parse(WEB, "grant_type=refresh_token").unwrap_err(),
            ErrorCode::InvalidRequest
        );
        assert_eq!(
            parse(
                WEB,
                "grant_type=client_credentials&grant_type=client_credentials"
            )
            .unwrap_err(),
            ErrorCode::InvalidRequest
        );
        assert!(
            parse(
                WEB,
                &format!(
                    "grant_type=authorization_code&unknown=1&code={}",
                    handle.reveal()
                )
            )
            .is_ok()
        );
        assert_eq!(
            parse(WEB, "grant_type=authorization_code&code=oac_x").unwrap_err(),
            ErrorCode::InvalidGrant
        );
        assert_eq!(
            parse(
                WEB,
                &format!("grant_type=refresh_token&refresh_token={}", handle.reveal())
            )
            .unwrap_err(),
            ErrorCode::InvalidGrant
        );
    }

    #[test]
    fn o21_24_client_credentials_are_for_confidential_clients_that_registered_them() {
        assert!(parse(WEB, "grant_type=client_credentials").is_ok());
        let plain = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#;
        assert_eq!(
            parse(plain, "grant_type=client_credentials").unwrap_err(),
            ErrorCode::UnauthorizedClient
        );
        let public = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}"#;
        assert_eq!(
            parse(public, "grant_type=client_credentials").unwrap_err(),
            ErrorCode::UnauthorizedClient
        );
    }

    #[test]
    fn t18_a_client_gets_for_itself_only_its_own_scopes_and_none_of_a_person() {
        let mut client = client(
            r#"{"client_id":"a","grant_types":["client_credentials"],"scope":"openid email"}"#,
        );
        client.scope.insert("reports");
        assert_eq!(client_scope(&client, None).unwrap().to_string(), "reports");
        for bad in ["openid", "email", "admin", "Reports"] {
            assert_eq!(
                client_scope(&client, Some(&ScopeSet::parse(bad).unwrap()))
                    .unwrap_err()
                    .code,
                ErrorCode::InvalidScope,
                "{bad}"
            );
        }
    }

    #[test]
    fn resources_narrow_and_never_widen() {
        let allowed = ["https://a".to_owned(), "https://b".to_owned()];
        assert_eq!(narrow_resources(&[], &allowed).unwrap(), allowed);
        assert_eq!(
            narrow_resources(&["https://b".to_owned()], &allowed).unwrap(),
            ["https://b"]
        );
        assert_eq!(
            narrow_resources(&["https://c".to_owned()], &allowed)
                .unwrap_err()
                .code,
            ErrorCode::InvalidTarget
        );
        assert_eq!(
            narrow_resources(&["https://a".to_owned()], &[])
                .unwrap_err()
                .code,
            ErrorCode::InvalidTarget
        );
    }
}
