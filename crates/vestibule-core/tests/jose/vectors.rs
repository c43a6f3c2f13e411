//! What the RFCs publish.

use serde::Deserialize;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::digest::left_half_hash;
use vestibule_core::jose::jwk::Jwk;
use vestibule_core::jose::key::{PublicKey, SigningKey};
use vestibule_core::jose::key_set::{KeySet, KeyState};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{VerifyError, verify};

use crate::support::{decode, encode, segments};

#[derive(Deserialize)]
struct SignatureVector {
    source: String,
    alg: Algorithm,
    jwk: Jwk,
    token: String,
}

#[derive(Deserialize)]
struct ThumbprintVector {
    source: String,
    jwk: Jwk,
    thumbprint: String,
}

fn signature_vectors() -> Vec<SignatureVector> {
    serde_json::from_str(include_str!("vectors/signatures.json")).unwrap()
}

#[test]
fn rfc_7515_and_8037_signatures_hold_and_one_changed_bit_breaks_them() {
    for vector in signature_vectors() {
        let key = PublicKey::from_jwk(vector.alg, &vector.jwk).unwrap();
        let (input, signature) = vector.token.rsplit_once('.').unwrap();
        let signature = decode(signature);
        assert!(
            key.is_signature(input.as_bytes(), &signature),
            "{}",
            vector.source
        );
        for index in [0, signature.len() / 2, signature.len() - 1] {
            let mut changed = signature.clone();
            changed[index] ^= 1;
            assert!(
                !key.is_signature(input.as_bytes(), &changed),
                "{}",
                vector.source
            );
        }
        let changed = format!("{input}A");
        assert!(
            !key.is_signature(changed.as_bytes(), &signature),
            "{}",
            vector.source
        );
    }
}

#[test]
fn rfc_7515_tokens_without_a_key_id_are_refused() {
    for vector in signature_vectors() {
        let key = PublicKey::from_jwk(vector.alg, &vector.jwk).unwrap();
        let keys = KeySet::new([(key, KeyState::Active)]).unwrap();
        assert_eq!(
            verify(&vector.token, &keys, TokenType::IdToken),
            Err(VerifyError::MissingKeyId),
            "{}",
            vector.source
        );
    }
}

#[test]
fn rfc_7638_and_8037_thumbprints_are_computed() {
    let vectors: Vec<ThumbprintVector> =
        serde_json::from_str(include_str!("vectors/thumbprints.json")).unwrap();
    for vector in vectors {
        let thumbprint = vector.jwk.thumbprint().unwrap();
        assert_eq!(thumbprint.as_str(), vector.thumbprint, "{}", vector.source);
    }
}

/// RFC 8037, A.1 and A.3: the private key gives the published name; A.4: and signatures are deterministic.
#[test]
fn rfc_8037_private_key_has_the_published_thumbprint() {
    let mut pkcs8 = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    pkcs8.extend(decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
    let key = SigningKey::from_pkcs8(Algorithm::EdDSA, &pkcs8).unwrap();
    assert_eq!(
        key.id().as_str(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    assert_eq!(key.to_pkcs8().unwrap().as_slice(), pkcs8);
    let once = key.sign_bytes(TokenType::IdToken, b"{}").unwrap();
    assert_eq!(once, key.sign_bytes(TokenType::IdToken, b"{}").unwrap());
    let [header, ..] = segments(&once);
    assert_eq!(
        header,
        encode(
            r#"{"typ":"JWT","alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}"#
        )
    );
}

/// The values for SHA-256 are those of `OpenID` Connect Core, A.6.
#[test]
fn openid_connect_core_hashes_are_computed() {
    let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256] {
        assert_eq!(left_half_hash(algorithm, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(left_half_hash(algorithm, code), "LDktKdoQak3Pk0cnXxCltA");
    }
    assert_eq!(
        left_half_hash(Algorithm::EdDSA, token),
        "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"
    );
}
