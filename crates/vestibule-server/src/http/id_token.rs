//! ID tokens of ours that come back as hints (OpenID Connect Core, 3.1.2.1; RP-Initiated Logout, 2).

use super::configuration::TenantView;
use serde::Deserialize;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::verify;
use vestibule_core::oauth::logout::Hint;
use vestibule_core::oauth::mint::Audience;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    /// Every ID token of ours has it, and no other thing that we sign as a plain JWT does.
    #[serde(rename = "auth_time")]
    _auth_time: i64,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    sid: Option<String>,
}

/// Reads an ID token of this tenant, expired or not; `None` for anything else, an access token among it.
pub(crate) fn read(tenant: &TenantView, token: &str) -> Option<Hint> {
    let claims: Claims = verify(token, &tenant.keys, TokenType::IdToken)
        .ok()?
        .into_claims()
        .ok()?;
    if claims.iss != tenant.tenant.issuer.as_str() {
        return None;
    }
    let client_id = match (claims.azp, claims.aud) {
        (Some(azp), aud) if aud.contains(&azp) => azp,
        (None, Audience::One(one)) => one,
        _ => return None,
    };
    Some(Hint {
        subject: claims.sub,
        session: claims.sid,
        client_id,
    })
}
