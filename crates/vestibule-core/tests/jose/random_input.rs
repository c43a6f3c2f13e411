//! Whatever arrives: no panic, and nothing accepted but what was signed.

use proptest::collection::vec;
use proptest::prelude::*;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::jwk::Jwk;
use vestibule_core::jose::key::{PublicKey, SigningKey};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{UnverifiedToken, verify};

use crate::support::{CLAIMS, encode, header_with, key, set, signed_anyway};

const CURVES: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];

fn look_at(token: &str) -> bool {
    drop(UnverifiedToken::peek_unverified(token));
    TokenType::ALL
        .into_iter()
        .any(|expected| verify(token, &set(&CURVES), expected).is_ok())
}

proptest! {
    #[test]
    fn t26_any_text_is_refused_without_panic(token in any::<String>()) {
        prop_assert!(!look_at(&token));
    }

    #[test]
    fn t26_any_bytes_are_refused_without_panic(bytes in vec(any::<u8>(), 0..600)) {
        prop_assert!(!look_at(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn t26_any_segments_are_refused_without_panic(
        header in vec(any::<u8>(), 0..200),
        payload in vec(any::<u8>(), 0..200),
        signature in vec(any::<u8>(), 0..100),
    ) {
        let token = format!("{}.{}.{}", encode(header), encode(payload), encode(signature));
        prop_assert!(!look_at(&token));
    }

    #[test]
    fn t26_any_payload_under_a_real_signature_is_read_without_panic(payload in ".{0,200}") {
        let token = signed_anyway(
            key(Algorithm::EdDSA),
            &header_with(key(Algorithm::EdDSA), ""),
            &payload,
        );
        drop(verify(&token, &set(&CURVES), TokenType::AccessToken));
    }

    #[test]
    fn t23_any_signature_is_refused(signature in vec(any::<u8>(), 0..100), which in 0..2_usize) {
        let token = key(CURVES[which])
            .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
            .unwrap();
        let (input, _) = token.rsplit_once('.').unwrap();
        let token = format!("{input}.{}", encode(signature));
        prop_assert!(!look_at(&token));
    }

    #[test]
    fn t26_any_one_changed_byte_is_refused(
        which in 0..2_usize,
        place in any::<prop::sample::Index>(),
        byte in 0_u8..128,
    ) {
        let token = key(CURVES[which])
            .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
            .unwrap();
        let mut bytes = token.into_bytes();
        let index = place.index(bytes.len());
        prop_assume!(bytes[index] != byte);
        bytes[index] = byte;
        prop_assert!(!look_at(&String::from_utf8(bytes).unwrap()));
    }

    #[test]
    fn any_key_is_read_or_refused_without_panic(
        bytes in vec(any::<u8>(), 0..300),
        x in vec(any::<u8>(), 30..34),
        y in vec(any::<u8>(), 30..34),
        kty in "RSA|EC|OKP|oct|.{0,4}",
        crv in "P-256|Ed25519|.{0,4}",
    ) {
        let jwk: Jwk = serde_json::from_value(serde_json::json!({
            "kty": kty, "crv": crv, "x": encode(x), "y": encode(y),
            "n": encode(&bytes), "e": "AQAB",
        })).unwrap();
        drop(jwk.thumbprint());
        for algorithm in Algorithm::ALL {
            drop(PublicKey::from_jwk(algorithm, &jwk));
            prop_assert!(SigningKey::from_pkcs8(algorithm, &bytes).is_err());
        }
    }
}
