//! Discovery (RFC 8414; OpenID Connect Discovery 1.0): what is listed works, what works is listed.

use super::authorize::{Prompt, ResponseMode};
use super::claims::CLAIM_SCOPES;
use super::client::{ClientAuthMethod, GrantType};
use super::scope::{ScopeRecord, served};
use crate::identity::acr::Acr;
use crate::identity::tenant::SignUp;
use crate::jose::algorithm::Algorithm;
use crate::url::Issuer;
use serde_json::{Value, json};

/// Every client authentication method.
const AUTH_METHODS: [ClientAuthMethod; 3] = [
    ClientAuthMethod::ClientSecretBasic,
    ClientAuthMethod::ClientSecretPost,
    ClientAuthMethod::None,
];
/// Every grant type.
const GRANT_TYPES: [GrantType; 3] = [
    GrantType::AuthorizationCode,
    GrantType::RefreshToken,
    GrantType::ClientCredentials,
];
/// Algorithms in the order of preference.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::EdDSA,
    Algorithm::PS256,
];

/// The metadata of an issuer: one document for both well-known places. Empty lists are left out (RFC 8414, 3.2).
pub fn metadata(issuer: &Issuer, own: &[ScopeRecord], sign_up: SignUp) -> Value {
    let prompts = Prompt::VALUES
        .iter()
        .filter(|value| **value != "create" || sign_up == SignUp::Open);
    let auth_methods: Vec<&str> = AUTH_METHODS.iter().map(|method| method.as_str()).collect();
    let algorithms: Vec<&str> = ALGORITHMS
        .iter()
        .map(|algorithm| algorithm.as_str())
        .collect();
    let mut claims = vec![
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "sid",
    ];
    claims.extend(CLAIM_SCOPES.iter().map(|(claim, _)| *claim));
    json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": issuer.join("/oauth/authorize"),
        "token_endpoint": issuer.join("/oauth/token"),
        "userinfo_endpoint": issuer.join("/oauth/userinfo"),
        "jwks_uri": issuer.join("/.well-known/jwks.json"),
        "introspection_endpoint": issuer.join("/oauth/introspect"),
        "revocation_endpoint": issuer.join("/oauth/revoke"),
        "end_session_endpoint": issuer.join("/oauth/logout"),
        "scopes_supported": served(own).iter().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL.iter().map(|mode| mode.as_str()).collect::<Vec<_>>(),
        "grant_types_supported": GRANT_TYPES.iter().map(|grant_type| grant_type.as_str()).collect::<Vec<_>>(),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": auth_methods,
        "introspection_endpoint_auth_methods_supported": auth_methods.iter().filter(|method| **method != "none").collect::<Vec<_>>(),
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "authorization_response_iss_parameter_supported": true,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "userinfo_signing_alg_values_supported": algorithms,
        "acr_values_supported": Acr::ALL.iter().map(|acr| acr.as_str()).collect::<Vec<_>>(),
        "prompt_values_supported": prompts.collect::<Vec<_>>(),
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": claims,
        "claims_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "ui_locales_supported": ["en"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        metadata(
            &Issuer::parse("https://id.example/t/globex").unwrap(),
            &[],
            SignUp::Open,
        )
    }

    #[test]
    fn md_03_and_md_04_lists_are_not_empty_and_none_signs_nothing() {
        let document = document();
        for (name, value) in document.as_object().unwrap() {
            assert!(
                value.as_array().is_none_or(|list| !list.is_empty()),
                "{name}"
            );
            if name.ends_with("signing_alg_values_supported") {
                assert!(!value.as_array().unwrap().contains(&json!("none")));
            }
        }
        assert_eq!(document["response_types_supported"], json!(["code"]));
    }

    #[test]
    fn o21_37_bcp_03_iss_02_pkce_and_iss_are_advertised() {
        assert_eq!(
            document()["code_challenge_methods_supported"],
            json!(["S256"])
        );
        assert_eq!(
            document()["authorization_response_iss_parameter_supported"],
            json!(true)
        );
    }

    #[test]
    fn oc_28_the_issuer_is_identical_and_every_endpoint_hangs_from_it() {
        let document = document();
        assert_eq!(document["issuer"], "https://id.example/t/globex");
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "introspection_endpoint",
            "revocation_endpoint",
            "end_session_endpoint",
        ] {
            assert!(
                document[name]
                    .as_str()
                    .unwrap()
                    .starts_with("https://id.example/t/globex/"),
                "{name}"
            );
        }
    }
}
