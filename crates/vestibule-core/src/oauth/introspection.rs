//! Introspection (RFC 7662): what a token says, to whom it may be said.

use super::bearer::AccessToken;
use super::client::{Client, IntrospectionPolicy};
use super::mint::Audience;
use crate::url::Issuer;
use serde::Serialize;

/// An introspection answer (RFC 7662, 2.2). Inactive is inactive: nothing else is said.
#[derive(Debug, Serialize)]
pub struct Introspection<'a> {
    /// Whether the token counts now.
    pub active: bool,
    /// What a standing token says.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub token: Option<ActiveToken<'a>>,
}

/// What a standing token says.
#[derive(Debug, Serialize)]
pub struct ActiveToken<'a> {
    scope: String,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    token_type: &'static str,
    exp: i64,
    iat: i64,
    sub: String,
    aud: &'a Audience,
    iss: &'a str,
    jti: String,
}

impl<'a> Introspection<'a> {
    /// For everything that is inactive, unknown, malformed, foreign or not the caller's business.
    pub const INACTIVE: Self = Self {
        active: false,
        token: None,
    };

    /// For a token that counts and that the caller may see.
    pub fn active(token: &'a AccessToken, username: Option<&'a str>, issuer: &'a Issuer) -> Self {
        let token = ActiveToken {
            scope: token.scope.to_string(),
            client_id: &token.client_id,
            username,
            token_type: "Bearer",
            exp: token.expires_at.seconds(),
            iat: token.issued_at.seconds(),
            sub: token.subject(),
            aud: &token.audience,
            iss: issuer.as_str(),
            jti: token.id.to_string(),
        };
        Self {
            active: true,
            token: Some(token),
        }
    }
}

/// Who asks about a token.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'a> {
    /// A client that proved itself.
    Client(&'a Client),
    /// Whoever holds an access token of this client: it speaks for the client's own tokens and for no policy of the client.
    Holder(&'a Client),
}

/// Whether a caller may see what a token says (RFC 7662, 4): its own, one made for a resource of its, or every one by policy.
pub fn may_see(caller: Caller<'_>, token: &AccessToken) -> bool {
    match caller {
        Caller::Holder(client) => token.client_id == client.id.as_str(),
        Caller::Client(client) => {
            client.policy.introspection == IntrospectionPolicy::Tenant
                || token.client_id == client.id.as_str()
                || client
                    .resources
                    .iter()
                    .any(|resource| token.audience.contains(resource))
        }
    }
}
