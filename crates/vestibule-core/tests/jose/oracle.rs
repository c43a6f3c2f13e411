//! `jsonwebtoken` reads what we write, and we read what it writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::SigningKey;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::VerifyError;

use crate::support::{CLAIMS, key, set, verdict};

fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

fn encoding_key(key: &SigningKey) -> jsonwebtoken::EncodingKey {
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(key.to_pkcs8().unwrap().as_slice())
    );
    match key.algorithm() {
        Algorithm::RS256 | Algorithm::PS256 => {
            jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes())
        }
        Algorithm::ES256 => jsonwebtoken::EncodingKey::from_ec_pem(pem.as_bytes()),
        Algorithm::EdDSA => jsonwebtoken::EncodingKey::from_ed_pem(pem.as_bytes()),
    }
    .unwrap()
}

fn their_token(key: &SigningKey) -> String {
    let mut header = jsonwebtoken::Header::new(theirs(key.algorithm()));
    header.typ = Some("at+jwt".to_owned());
    header.kid = Some(key.id().to_string());
    let claims: Value = serde_json::from_str(CLAIMS).unwrap();
    jsonwebtoken::encode(&header, &claims, &encoding_key(key)).unwrap()
}

#[test]
fn jsonwebtoken_reads_our_tokens_with_the_published_key() {
    for algorithm in Algorithm::ALL {
        let token = key(algorithm)
            .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
            .unwrap();
        let document: jsonwebtoken::jwk::JwkSet =
            serde_json::from_slice(&set(&[algorithm]).to_jwks_json()).unwrap();
        let jwk = document.find(key(algorithm).id().as_str()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(theirs(algorithm));
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.set_audience(&["app"]);
        let read = jsonwebtoken::decode::<Map<String, Value>>(
            &token,
            &jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap(),
            &validation,
        )
        .unwrap();
        assert_eq!(read.claims["sub"], json!("ada"), "{algorithm}");
        assert_eq!(read.header.typ.as_deref(), Some("at+jwt"), "{algorithm}");
    }
}

#[test]
fn we_read_the_tokens_of_jsonwebtoken() {
    for algorithm in Algorithm::ALL {
        let verified = verdict(algorithm, &their_token(key(algorithm))).unwrap();
        assert_eq!(verified.claims()["sub"], json!("ada"), "{algorithm}");
    }
}

#[test]
fn a_token_of_jsonwebtoken_for_another_key_of_that_name_is_refused() {
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        let other = SigningKey::generate(algorithm).unwrap();
        let mut header = jsonwebtoken::Header::new(theirs(algorithm));
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(key(algorithm).id().to_string());
        let claims: Value = serde_json::from_str(CLAIMS).unwrap();
        let token = jsonwebtoken::encode(&header, &claims, &encoding_key(&other)).unwrap();
        assert_eq!(
            verdict(algorithm, &token),
            Err(VerifyError::BadSignature),
            "{algorithm}"
        );
    }
}
