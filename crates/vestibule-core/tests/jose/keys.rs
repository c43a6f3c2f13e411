//! Keys that are read, written, published, refused.

use serde_json::{Value, json};
use vestibule_core::jose::algorithm::Algorithm::{self, ES256, EdDSA, PS256, RS256};
use vestibule_core::jose::jwk::Jwk;
use vestibule_core::jose::key::{KEY_ID_BYTES_MAX, KeyError, PublicKey, SigningKey};
use vestibule_core::jose::key_set::{KeySet, KeySetError, KeyState, SetKey};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{VerifyError, verify};

use crate::support::{CLAIMS, decode, encode, key, set};

fn jwk(value: Value) -> Jwk {
    serde_json::from_value(value).unwrap()
}

fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn ed25519() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })
}

fn rsa(modulus_bits: usize) -> Value {
    let mut n = vec![0xff; modulus_bits.div_ceil(8)];
    if !modulus_bits.is_multiple_of(8) {
        n[0] = 0xff >> (8 - modulus_bits % 8);
    }
    json!({ "kty": "RSA", "n": encode(n), "e": "AQAB" })
}

fn with(mut base: Value, member: &str, value: impl Into<Value>) -> Value {
    base[member] = value.into();
    base
}

fn without(mut base: Value, member: &str) -> Value {
    base.as_object_mut().unwrap().remove(member);
    base
}

#[test]
fn pkcs8_reads_back_for_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let pkcs8 = key(algorithm).to_pkcs8().unwrap();
        let again = SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
        assert_eq!(again.id(), key(algorithm).id(), "{algorithm}");
        assert_eq!(again.to_pkcs8().unwrap(), pkcs8, "{algorithm}");
        let token = again.sign_bytes(TokenType::IdToken, b"{}").unwrap();
        assert!(verify(&token, &set(&[algorithm]), TokenType::IdToken).is_ok());
    }
}

#[test]
fn an_ed25519_key_of_version_2_is_read() {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let read = SigningKey::from_pkcs8(EdDSA, pair.to_pkcs8().unwrap().as_ref()).unwrap();
    let again = SigningKey::from_pkcs8(EdDSA, &read.to_pkcs8().unwrap()).unwrap();
    assert_eq!(read.id(), again.id());
}

#[test]
fn t23_pkcs8_of_another_algorithm_is_refused() {
    let rsa = |algorithm| matches!(algorithm, RS256 | PS256);
    for made in Algorithm::ALL {
        let pkcs8 = key(made).to_pkcs8().unwrap();
        for read in Algorithm::ALL {
            let fits = made == read || (rsa(made) && rsa(read));
            let result = SigningKey::from_pkcs8(read, &pkcs8).map(|_| ());
            let expected = if fits {
                Ok(())
            } else {
                Err(KeyError::Rejected)
            };
            assert_eq!(result, expected, "{made} as {read}");
        }
    }
    let p384 = aws_lc_rs::signature::EcdsaKeyPair::generate(
        &aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    )
    .unwrap();
    assert_eq!(
        SigningKey::from_pkcs8(ES256, p384.to_pkcs8v1().unwrap().as_ref()).map(|_| ()),
        Err(KeyError::Rejected)
    );
}

#[test]
fn broken_pkcs8_is_refused() {
    for algorithm in Algorithm::ALL {
        let pkcs8 = key(algorithm).to_pkcs8().unwrap();
        for bytes in [&[][..], b"not a key", &pkcs8[..pkcs8.len() - 1]] {
            assert_eq!(
                SigningKey::from_pkcs8(algorithm, bytes).map(|_| ()),
                Err(KeyError::Rejected),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn t64_debug_shows_no_key_material() {
    for algorithm in Algorithm::ALL {
        let shown = format!(
            "{:?} {:?}",
            key(algorithm),
            SetKey::from(PublicKey::from(key(algorithm)))
        );
        let jwk = key(algorithm).public_jwk();
        assert!(shown.contains(key(algorithm).id().as_str()), "{shown}");
        for member in [&jwk.n, &jwk.x, &jwk.y].into_iter().flatten() {
            assert!(!shown.contains(member.as_str()), "{shown}");
        }
        assert!(shown.len() < 400, "{shown}");
    }
}

#[test]
fn t23_keys_that_do_not_serve_their_algorithm_are_refused() {
    use KeyError::{
        Member, Rejected, RsaTooLong, RsaTooShort, UnsupportedKeyType, WrongAlgorithm, WrongCurve,
        WrongUse,
    };
    let bad_point = {
        let mut y = decode(p256()["y"].as_str().unwrap());
        y[31] ^= 1;
        encode(y)
    };
    let even = {
        let mut n = vec![0xff; 256];
        n[255] = 0xfe;
        encode(n)
    };
    let padded = encode([vec![0], vec![0xff; 256]].concat());
    let rows = [
        // key type and curve
        (ES256, ed25519(), UnsupportedKeyType),
        (EdDSA, p256(), UnsupportedKeyType),
        (RS256, p256(), UnsupportedKeyType),
        (ES256, rsa(2048), UnsupportedKeyType),
        (EdDSA, rsa(2048), UnsupportedKeyType),
        (ES256, with(p256(), "kty", "ec"), UnsupportedKeyType),
        (EdDSA, json!({ "kty": "oct" }), UnsupportedKeyType),
        (ES256, with(p256(), "crv", "P-384"), WrongCurve),
        (ES256, with(p256(), "crv", "secp256k1"), WrongCurve),
        (ES256, without(p256(), "crv"), WrongCurve),
        (EdDSA, with(ed25519(), "crv", "X25519"), WrongCurve),
        (EdDSA, with(ed25519(), "crv", "Ed448"), WrongCurve),
        // use and alg
        (ES256, with(p256(), "use", "enc"), WrongUse),
        (ES256, with(p256(), "use", ""), WrongUse),
        (ES256, with(p256(), "alg", "ES384"), WrongAlgorithm),
        (ES256, with(p256(), "alg", "es256"), WrongAlgorithm),
        (RS256, with(rsa(2048), "alg", "PS256"), WrongAlgorithm),
        (PS256, with(rsa(2048), "alg", "RS256"), WrongAlgorithm),
        (RS256, with(rsa(2048), "alg", "RSA-OAEP"), WrongAlgorithm),
        // curve members
        (ES256, with(p256(), "y", bad_point), Rejected),
        (
            ES256,
            with(with(p256(), "x", encode([0; 32])), "y", encode([0; 32])),
            Rejected,
        ),
        (ES256, without(p256(), "y"), Member("y")),
        (ES256, with(p256(), "x", encode([1; 31])), Member("x")),
        (ES256, with(p256(), "x", encode([1; 33])), Member("x")),
        (ES256, with(p256(), "x", ""), Member("x")),
        (
            ES256,
            with(p256(), "x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU="),
            Member("x"),
        ),
        (EdDSA, with(ed25519(), "x", encode([1; 31])), Member("x")),
        (EdDSA, with(ed25519(), "x", encode([1; 44])), Member("x")),
        // RSA
        (RS256, rsa(512), RsaTooShort),
        (RS256, rsa(1024), RsaTooShort),
        (PS256, rsa(2047), RsaTooShort),
        (RS256, rsa(8193), RsaTooLong),
        (RS256, rsa(16384), RsaTooLong),
        (RS256, with(rsa(2048), "n", even), Member("n")),
        (RS256, with(rsa(2048), "n", padded), Member("n")),
        (RS256, with(rsa(2048), "n", ""), Member("n")),
        (RS256, without(rsa(2048), "e"), Member("e")),
        (RS256, with(rsa(2048), "e", encode([1])), Member("e")),
        (RS256, with(rsa(2048), "e", encode([2])), Member("e")),
        (
            RS256,
            with(rsa(2048), "e", encode([0, 1, 0, 1])),
            Member("e"),
        ),
        (
            RS256,
            with(rsa(2048), "e", encode([1, 0, 0, 0, 1])),
            Member("e"),
        ),
        // kid
        (EdDSA, with(ed25519(), "kid", ""), Member("kid")),
        (
            EdDSA,
            with(ed25519(), "kid", "k".repeat(KEY_ID_BYTES_MAX + 1)),
            Member("kid"),
        ),
    ];
    for (row, (algorithm, value, error)) in rows.into_iter().enumerate() {
        assert_eq!(
            PublicKey::from_jwk(algorithm, &jwk(value.clone())).map(|_| ()),
            Err(error),
            "row {row}: {algorithm} {value}"
        );
    }
}

#[test]
fn keys_that_say_less_than_they_could_are_read() {
    for (algorithm, value) in [
        (ES256, p256()),
        (EdDSA, ed25519()),
        (RS256, rsa(2048)),
        (PS256, rsa(2048)),
        (RS256, rsa(8192)),
        (EdDSA, with(ed25519(), "kid", "k".repeat(KEY_ID_BYTES_MAX))),
        (ES256, with(p256(), "x5t", "unknown members are ignored")),
    ] {
        let read = PublicKey::from_jwk(algorithm, &jwk(value.clone()));
        assert!(read.is_ok(), "{algorithm} {value}");
    }
    assert_eq!(jwk(rsa(2048)).algorithm(), None);
    assert_eq!(jwk(p256()).algorithm(), Some(ES256));
    assert_eq!(jwk(with(p256(), "alg", "HS256")).algorithm(), None);
}

#[test]
fn t64_a_jwk_with_private_members_is_refused() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        let read = serde_json::from_value::<Jwk>(with(ed25519(), member, "AQAB"));
        assert!(read.is_err(), "{member}");
    }
    let read = serde_json::from_value::<Jwk>(with(rsa(2048), "oth", json!([])));
    assert!(read.is_err());
    let twice = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","x":"AQ"}"#;
    assert!(serde_json::from_str::<Jwk>(twice).is_err());
}

#[test]
fn a_thumbprint_is_made_of_plain_members_only() {
    for value in [
        with(ed25519(), "x", "a\",\"x\":\"b"),
        with(ed25519(), "crv", "Ed25519\\"),
        with(rsa(2048), "e", "AQAB="),
    ] {
        assert!(jwk(value.clone()).thumbprint().is_err(), "{value}");
    }
    assert_eq!(
        jwk(json!({ "kty": "oct" })).thumbprint(),
        Err(KeyError::UnsupportedKeyType)
    );
}

#[test]
fn t64_the_published_document_has_public_members_only_and_a_stable_order() {
    let document = set(&Algorithm::ALL).to_jwks_json();
    let reversed = set(&[EdDSA, ES256, PS256, RS256]).to_jwks_json();
    assert_eq!(document, reversed);
    let document: Value = serde_json::from_slice(&document).unwrap();
    let keys = document["keys"].as_array().unwrap();
    let names: Vec<&str> = keys
        .iter()
        .map(|key| key["alg"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["RS256", "PS256", "ES256", "EdDSA"]);
    for (published, algorithm) in keys.iter().zip(Algorithm::ALL) {
        for member in published.as_object().unwrap().keys() {
            assert!(
                ["kty", "use", "alg", "kid", "crv", "x", "y", "n", "e"].contains(&member.as_str()),
                "{member}"
            );
        }
        let read = PublicKey::from_jwk(algorithm, &jwk(published.clone())).unwrap();
        assert_eq!(read.id(), key(algorithm).id());
        assert_eq!(read.jwk(), key(algorithm).public_jwk());
        assert_eq!(&read.jwk().thumbprint().unwrap(), read.id());
    }
    assert_eq!(set(&[]).to_jwks_json(), br#"{"keys":[]}"#);
}

#[test]
fn t64_only_an_active_key_of_ours_is_given_out_to_sign() {
    for (state, signs) in [
        (KeyState::Announced, false),
        (KeyState::Active, true),
        (KeyState::Retiring, false),
    ] {
        let key = SigningKey::generate(EdDSA).unwrap();
        let token = key
            .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
            .unwrap();
        let keys = KeySet::new([(key, state)]).unwrap();
        assert_eq!(keys.signing_key(EdDSA).is_some(), signs, "{state:?}");
        assert!(keys.signing_key(ES256).is_none());
        assert!(
            verify(&token, &keys, TokenType::AccessToken).is_ok(),
            "{state:?}"
        );
    }
    assert!(set(&[EdDSA]).signing_key(EdDSA).is_none());
}

#[test]
fn t64_rotation_keeps_old_tokens_until_their_key_leaves_the_set() {
    let old = SigningKey::generate(EdDSA).unwrap();
    let new = SigningKey::generate(EdDSA).unwrap();
    let old_public = PublicKey::from(&old);
    let token = old
        .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
        .unwrap();
    let new_id = new.id().clone();
    let keys = KeySet::new([
        (SetKey::from(old), KeyState::Retiring),
        (SetKey::from(new), KeyState::Active),
    ])
    .unwrap();
    assert_eq!(keys.signing_key(EdDSA).unwrap().id(), &new_id);
    assert!(verify(&token, &keys, TokenType::AccessToken).is_ok());
    let after = KeySet::new(
        keys.public_keys()
            .filter(|key| key.id() != old_public.id())
            .map(|key| (key.clone(), KeyState::Active)),
    )
    .unwrap();
    assert_eq!(
        verify(&token, &after, TokenType::AccessToken),
        Err(VerifyError::UnknownKey)
    );
}

#[test]
fn t24_key_id_collisions_are_no_set() {
    let named =
        |value: Value| PublicKey::from_jwk(EdDSA, &jwk(with(value, "kid", "same"))).unwrap();
    let other = with(ed25519(), "x", key(EdDSA).public_jwk().x.clone().unwrap());
    assert_eq!(
        KeySet::new([
            (named(ed25519()), KeyState::Active),
            (named(other), KeyState::Retiring)
        ])
        .map(|_| ()),
        Err(KeySetError::DuplicateKeyId)
    );
    assert_eq!(
        KeySet::new([
            (SigningKey::generate(ES256).unwrap(), KeyState::Active),
            (SigningKey::generate(ES256).unwrap(), KeyState::Active)
        ])
        .map(|_| ()),
        Err(KeySetError::TwoActiveKeys)
    );
}

#[test]
fn one_rsa_key_may_serve_two_algorithms_under_one_name() {
    let pkcs8 = key(RS256).to_pkcs8().unwrap();
    let pss = SigningKey::from_pkcs8(PS256, &pkcs8).unwrap();
    let keys = KeySet::new([
        (PublicKey::from(&pss), KeyState::Active),
        (PublicKey::from(key(RS256)), KeyState::Active),
    ])
    .unwrap();
    for signer in [&pss, key(RS256)] {
        let token = signer.sign_bytes(TokenType::IdToken, b"{}").unwrap();
        let verified = verify(&token, &keys, TokenType::IdToken).unwrap();
        assert_eq!(verified.algorithm(), signer.algorithm());
    }
}

#[test]
fn an_algorithm_is_written_by_its_name() {
    for algorithm in Algorithm::ALL {
        let written = serde_json::to_value(algorithm).unwrap();
        assert_eq!(written, json!(algorithm.as_str()));
        assert_eq!(
            serde_json::from_value::<Algorithm>(written).unwrap(),
            algorithm
        );
        assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
    }
    for name in ["none", "HS256", "es256", "Ed25519", ""] {
        assert!(
            serde_json::from_value::<Algorithm>(json!(name)).is_err(),
            "{name}"
        );
    }
}
