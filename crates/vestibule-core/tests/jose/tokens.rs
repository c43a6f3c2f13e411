//! Tokens that go round, and what is known of one before it is verified.

use serde::{Deserialize, Serialize};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::{PublicKey, SignError, SigningKey};
use vestibule_core::jose::key_set::{KeySet, KeyState};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{
    Part, TOKEN_BYTES_MAX, UnverifiedToken, VerifyError, verify, verify_upstream,
};

use crate::support::{self, forge, key, set};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Claims {
    iss: String,
    exp: i64,
}

#[test]
fn every_kind_of_token_goes_round_with_every_algorithm() {
    for algorithm in Algorithm::ALL {
        for typ in TokenType::ALL {
            let claims = Claims {
                iss: "https://id.example/ü".to_owned(),
                exp: 1_300_819_380,
            };
            let token = key(algorithm).sign(typ, &claims).unwrap();
            assert_eq!(
                token.capacity(),
                token.len(),
                "one allocation, and no byte too many"
            );
            let verified = verify(&token, &set(&Algorithm::ALL), typ).unwrap();
            assert_eq!(verified.algorithm(), algorithm);
            assert_eq!(verified.key_id(), key(algorithm).id());
            assert_eq!(verified.into_claims::<Claims>().unwrap(), claims);
        }
    }
}

#[test]
fn claims_of_another_shape_are_refused() {
    let algorithm = Algorithm::EdDSA;
    let token = key(algorithm)
        .sign_bytes(TokenType::IdToken, br#"{"iss":1}"#)
        .unwrap();
    let verified = verify(&token, &set(&[algorithm]), TokenType::IdToken).unwrap();
    assert_eq!(
        verified.into_claims::<Claims>(),
        Err(VerifyError::Malformed(Part::Payload))
    );
}

#[test]
fn nothing_but_an_object_is_signed() {
    for json in ["", "[]", "null", "1", r#""{}""#, " {}", "{} "] {
        let result = key(Algorithm::EdDSA).sign_bytes(TokenType::IdToken, json.as_bytes());
        assert!(matches!(result, Err(SignError::NotAnObject)), "{json}");
    }
    let result = key(Algorithm::EdDSA).sign(TokenType::IdToken, &["iss"]);
    assert!(matches!(result, Err(SignError::NotAnObject)));
}

#[test]
fn nothing_is_signed_that_would_be_too_long_to_read() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let sign = |length: usize| {
            let json = format!(r#"{{"x":"{}"}}"#, "x".repeat(length));
            key.sign_bytes(TokenType::AccessToken, json.as_bytes())
        };
        let length = (0..TOKEN_BYTES_MAX)
            .rev()
            .find_map(|length| sign(length).ok());
        let token = length.unwrap();
        assert!(
            token.len() > TOKEN_BYTES_MAX - 4,
            "{algorithm} {}",
            token.len()
        );
        assert!(verify(&token, &set(&[algorithm]), TokenType::AccessToken).is_ok());
        assert!(matches!(sign(TOKEN_BYTES_MAX), Err(SignError::TooLarge)));
    }
}

#[test]
fn a_forged_token_can_only_tell_whom_to_ask() {
    let token = forge(
        r#"{"alg":"none","kid":"k"}"#,
        r#"{"iss":"https://id.example","aud":["a","b"],"sub":"ada"}"#,
        |_| Vec::new(),
    );
    let peeked = UnverifiedToken::peek_unverified(&token).unwrap();
    assert_eq!(peeked.unverified_key_id(), Some("k"));
    assert_eq!(peeked.unverified_issuer(), Some("https://id.example"));
    assert_eq!(peeked.unverified_audience(), ["a", "b"]);

    let bare = UnverifiedToken::peek_unverified(&forge("{}", "{}", |_| Vec::new())).unwrap();
    assert_eq!(bare.unverified_key_id(), None);
    assert_eq!(bare.unverified_issuer(), None);
    assert!(bare.unverified_audience().is_empty());
}

#[test]
fn a_token_that_nobody_could_verify_is_not_peeked_into() {
    let malformed = VerifyError::Malformed(Part::Payload);
    for (payload, error) in [
        (r#"{"iss":1}"#, malformed),
        (r#"{"aud":1}"#, malformed),
        (r#"{"aud":["a",1]}"#, malformed),
        (
            r#"{"iss":"a","iss":"b"}"#,
            VerifyError::DuplicateMember(Part::Payload),
        ),
        ("[]", malformed),
    ] {
        let token = forge("{}", payload, |_| Vec::new());
        assert_eq!(
            UnverifiedToken::peek_unverified(&token),
            Err(error),
            "{payload}"
        );
    }
    assert_eq!(
        UnverifiedToken::peek_unverified("opaque"),
        Err(VerifyError::NotCompact)
    );
}

#[test]
fn an_upstream_token_may_leave_out_the_name_of_an_only_key_and_ours_may_not() {
    let (key, other) = (
        SigningKey::generate(Algorithm::ES256).unwrap(),
        SigningKey::generate(Algorithm::ES256).unwrap(),
    );
    let set = |keys: &[&SigningKey]| {
        KeySet::new(
            keys.iter()
                .map(|key| (PublicKey::from(*key), KeyState::Active)),
        )
        .unwrap()
    };
    let token = support::signed_anyway(&key, r#"{"alg":"ES256"}"#, "{}");
    let (alone, both) = (set(&[&key]), set(&[&key, &other]));
    assert!(verify_upstream(&token, &alone, TokenType::IdToken).is_ok());
    assert_eq!(
        verify_upstream(&token, &both, TokenType::IdToken),
        Err(VerifyError::MissingKeyId)
    );
    assert_eq!(
        verify_upstream(&token, &set(&[&other]), TokenType::IdToken),
        Err(VerifyError::BadSignature)
    );
    assert_eq!(
        verify(&token, &alone, TokenType::IdToken),
        Err(VerifyError::MissingKeyId)
    );
    assert_eq!(
        verify_upstream(&token, &alone, TokenType::AccessToken),
        Err(VerifyError::WrongType)
    );
}
