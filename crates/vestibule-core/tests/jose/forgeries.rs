//! Tokens that an attacker writes. Most carry a signature of the real key, so that only the rule under test refuses them.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use vestibule_core::jose::algorithm::Algorithm::{self, ES256, EdDSA, PS256, RS256};
use vestibule_core::jose::key::SigningKey;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{
    HEADER_MEMBERS_COUNT_MAX, Part, TOKEN_BYTES_MAX, VerifyError, verify,
};

use crate::support::{
    CLAIMS, decode, encode, forge, header_with, hs256, key, raw_signature, segments, set,
    signed_anyway, verdict,
};

fn honest(algorithm: Algorithm) -> String {
    key(algorithm)
        .sign_bytes(TokenType::AccessToken, CLAIMS.as_bytes())
        .unwrap()
}

fn header_of(algorithm: &str, kid: &str) -> String {
    format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"{kid}"}}"#)
}

// T23: algorithm confusion.

#[test]
fn t23_none_in_any_spelling_is_refused() {
    let kid = key(EdDSA).id().as_str();
    for name in ["none", "None", "nOnE", "NONE", "", " none", "none\\u0000"] {
        let header = header_of(name, kid);
        for signature in [Vec::new(), vec![0; 64]] {
            let token = forge(&header, CLAIMS, |_| signature);
            assert_eq!(
                verdict(EdDSA, &token),
                Err(VerifyError::UnsupportedAlgorithm),
                "{name:?}"
            );
        }
        let token = signed_anyway(key(EdDSA), &header, CLAIMS);
        assert_eq!(
            verdict(EdDSA, &token),
            Err(VerifyError::UnsupportedAlgorithm),
            "{name:?}"
        );
    }
}

#[test]
fn t23_algorithm_names_are_case_sensitive_and_exact() {
    for name in [
        "eddsa", "EDDSA", "EdDSA ", "Ed25519", "ES256K", "RS384", "HS512",
    ] {
        let token = signed_anyway(
            key(EdDSA),
            &header_of(name, key(EdDSA).id().as_str()),
            CLAIMS,
        );
        assert_eq!(
            verdict(EdDSA, &token),
            Err(VerifyError::UnsupportedAlgorithm),
            "{name:?}"
        );
        assert_eq!(Algorithm::parse(name), None);
    }
}

#[test]
fn t23_a_header_without_algorithm_is_refused() {
    let header = format!(r#"{{"typ":"at+jwt","kid":"{}"}}"#, key(EdDSA).id());
    assert_eq!(
        verdict(EdDSA, &signed_anyway(key(EdDSA), &header, CLAIMS)),
        Err(VerifyError::UnsupportedAlgorithm)
    );
}

#[test]
fn t23_hs256_with_the_public_key_is_refused() {
    let jwk = key(RS256).public_jwk();
    let n = decode(jwk.n.as_deref().unwrap());
    let e = decode(jwk.e.as_deref().unwrap());
    let der = RsaPublicKeyComponents { n: &n, e: &e }.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let secrets: [Vec<u8>; 7] = [
        der.as_ref().to_vec(),
        pem.trim_end().as_bytes().to_vec(),
        pem.into_bytes(),
        serde_json::to_vec(jwk).unwrap(),
        set(&[RS256]).to_jwks_json(),
        n.clone(),
        jwk.n.clone().unwrap().into_bytes(),
    ];
    for (row, secret) in secrets.iter().enumerate() {
        let sign = |input: &[u8]| hs256(secret, input);
        let kid = key(RS256).id().as_str();
        let named = forge(&header_of("HS256", kid), CLAIMS, sign);
        assert_eq!(
            verdict(RS256, &named),
            Err(VerifyError::UnsupportedAlgorithm),
            "row {row}"
        );
        let hidden = forge(&header_of("RS256", kid), CLAIMS, sign);
        assert_eq!(
            verdict(RS256, &hidden),
            Err(VerifyError::BadSignature),
            "row {row}"
        );
    }
}

#[test]
fn t23_a_token_whose_algorithm_is_not_its_keys_is_refused() {
    for signer in Algorithm::ALL {
        for named in Algorithm::ALL.into_iter().filter(|named| *named != signer) {
            let header = header_of(named.as_str(), key(signer).id().as_str());
            let token = signed_anyway(key(signer), &header, CLAIMS);
            let keys = set(&Algorithm::ALL);
            assert_eq!(
                verify(&token, &keys, TokenType::AccessToken),
                Err(VerifyError::AlgorithmMismatch),
                "{signer} named {named}"
            );
        }
    }
}

#[test]
fn t23_a_token_that_names_anothers_key_is_refused() {
    for signer in Algorithm::ALL {
        for named in Algorithm::ALL.into_iter().filter(|named| *named != signer) {
            let header = header_of(named.as_str(), key(named).id().as_str());
            let token = signed_anyway(key(signer), &header, CLAIMS);
            assert_eq!(
                verify(&token, &set(&Algorithm::ALL), TokenType::AccessToken),
                Err(VerifyError::BadSignature),
                "{signer} named {named}"
            );
        }
    }
}

#[test]
fn t23_pss_and_pkcs1_signatures_of_one_key_do_not_serve_for_each_other() {
    let pkcs8 = key(RS256).to_pkcs8().unwrap();
    let pss = SigningKey::from_pkcs8(PS256, &pkcs8).unwrap();
    assert_eq!(pss.id(), key(RS256).id());
    let as_pkcs1 = forge(&header_with(key(RS256), ""), CLAIMS, |input| {
        raw_signature(&pss, input)
    });
    assert_eq!(verdict(RS256, &as_pkcs1), Err(VerifyError::BadSignature));
}

#[test]
fn t23_es256_zero_signature_is_refused() {
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let one = {
        let mut one = [0; 32];
        one[31] = 1;
        one
    };
    for r in [[0; 32], order, one, [0xff; 32]] {
        for s in [[0; 32], order, one, [0xff; 32]] {
            let token = forge(&header_with(key(ES256), ""), CLAIMS, |_| [r, s].concat());
            assert_eq!(verdict(ES256, &token), Err(VerifyError::BadSignature));
        }
    }
}

#[test]
fn t23_eddsa_zero_signature_is_refused() {
    for byte in [0x00, 0x01, 0xff] {
        let token = forge(&header_with(key(EdDSA), ""), CLAIMS, |_| vec![byte; 64]);
        assert_eq!(verdict(EdDSA, &token), Err(VerifyError::BadSignature));
    }
}

#[test]
fn t23_es256_der_signature_is_refused() {
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &key(ES256).to_pkcs8().unwrap(),
    )
    .unwrap();
    let token = forge(&header_with(key(ES256), ""), CLAIMS, |input| {
        pair.sign(&SystemRandom::new(), input)
            .unwrap()
            .as_ref()
            .to_vec()
    });
    assert_eq!(verdict(ES256, &token), Err(VerifyError::BadSignature));
}

#[test]
fn t23_an_empty_signature_is_refused() {
    for algorithm in Algorithm::ALL {
        let token = honest(algorithm);
        let (input, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            verdict(algorithm, &format!("{input}.")),
            Err(VerifyError::BadSignature),
            "{algorithm}"
        );
        assert_eq!(
            verdict(algorithm, input),
            Err(VerifyError::NotCompact),
            "{algorithm}"
        );
    }
}

#[test]
fn t23_critical_headers_are_refused() {
    for crit in [
        r#"["exp"]"#,
        r#"["b64"]"#,
        r#"["urn:example:unknown"]"#,
        "[]",
        "null",
        r#""b64""#,
    ] {
        let header = header_with(key(EdDSA), &format!(r#""exp":1,"crit":{crit},"#));
        assert_eq!(
            verdict(EdDSA, &signed_anyway(key(EdDSA), &header, CLAIMS)),
            Err(VerifyError::CriticalHeader),
            "{crit}"
        );
    }
}

#[test]
fn t23_unencoded_payloads_are_refused() {
    for value in ["false", "true", "null"] {
        let header = header_with(key(EdDSA), &format!(r#""b64":{value},"#));
        assert_eq!(
            verdict(EdDSA, &signed_anyway(key(EdDSA), &header, CLAIMS)),
            Err(VerifyError::UnencodedPayload),
            "{value}"
        );
    }
    let header = header_with(key(EdDSA), r#""b64":false,"crit":["b64"],"#);
    let input = format!(r#"{}.{{"sub":"ada"}}"#, encode(&header));
    let token = format!(
        "{input}.{}",
        encode(raw_signature(key(EdDSA), input.as_bytes()))
    );
    assert_eq!(verdict(EdDSA, &token), Err(VerifyError::CriticalHeader));
}

#[test]
fn t23_duplicate_header_members_are_refused() {
    for members in [
        r#""alg":"none","#,
        r#""alg":"EdDSA","#,
        r#""\u0061lg":"none","#,
        r#""kid":"other","#,
        r#""typ":"JWT","#,
        r#""x":1,"x":2,"#,
    ] {
        let header = header_with(key(EdDSA), members);
        assert_eq!(
            verdict(EdDSA, &signed_anyway(key(EdDSA), &header, CLAIMS)),
            Err(VerifyError::DuplicateMember(Part::Header)),
            "{members}"
        );
    }
}

#[test]
fn t23_headers_that_are_no_object_of_strings_are_refused() {
    let many: Vec<String> = (0..=HEADER_MEMBERS_COUNT_MAX)
        .map(|index| format!(r#""m{index}":0"#))
        .collect();
    let honest = header_with(key(EdDSA), "");
    for header in [
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        r#""EdDSA""#.to_owned(),
        format!("{honest}x"),
        format!("{honest}{honest}"),
        format!("\u{feff}{honest}"),
        r#"{"alg":["EdDSA"]}"#.to_owned(),
        r#"{"alg":null}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":1}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":{"$ne":""}}"#.to_owned(),
        format!("{{{}}}", many.join(",")),
        "[".repeat(4096),
        format!(r#"{{"x":{}"#, "[".repeat(4096)),
    ] {
        assert_eq!(
            verdict(EdDSA, &signed_anyway(key(EdDSA), &header, CLAIMS)),
            Err(VerifyError::Malformed(Part::Header)),
            "{header}"
        );
    }
}

// T24: keys that the header brings.

#[test]
fn t24_keys_in_the_header_are_refused() {
    let attacker = SigningKey::generate(EdDSA).unwrap();
    let jwk = serde_json::to_string(attacker.public_jwk()).unwrap();
    for member in [
        format!(r#""jwk":{jwk},"#),
        r#""jwk":null,"#.to_owned(),
        r#""jku":"http://127.0.0.1:9/keys","#.to_owned(),
        r#""x5u":"http://127.0.0.1:9/chain","#.to_owned(),
        r#""x5c":["MIIB"],"#.to_owned(),
    ] {
        for kid in [attacker.id(), key(EdDSA).id()] {
            let header = format!(r#"{{{member}"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#);
            for signer in [&attacker, key(EdDSA)] {
                assert_eq!(
                    verdict(EdDSA, &signed_anyway(signer, &header, CLAIMS)),
                    Err(VerifyError::EmbeddedKey),
                    "{member}"
                );
            }
        }
    }
}

#[test]
fn t24_strange_key_ids_name_no_key() {
    let huge = "k".repeat(8 * 1024);
    for kid in [
        "../../dev/null",
        "../../../../../../etc/passwd",
        "' OR 1=1",
        "' UNION SELECT 'secret' --",
        "http://127.0.0.1:9/key",
        "\\u0000",
        "",
        "%00",
        "*",
        huge.as_str(),
    ] {
        let token = signed_anyway(key(EdDSA), &header_of("EdDSA", kid), CLAIMS);
        assert_eq!(
            verdict(EdDSA, &token),
            Err(VerifyError::UnknownKey),
            "{kid}"
        );
        let empty = forge(&header_of("EdDSA", kid), CLAIMS, |_| hs256(b"", b""));
        assert_eq!(
            verdict(EdDSA, &empty),
            Err(VerifyError::UnknownKey),
            "{kid}"
        );
    }
}

#[test]
fn t24_key_ids_compare_exactly() {
    let kid = key(EdDSA).id().as_str();
    let lower = kid.to_ascii_lowercase();
    for almost in [
        format!("{kid} "),
        format!(" {kid}"),
        format!("{kid}\\u0000"),
        format!("{kid}="),
        kid[..kid.len() - 1].to_owned(),
        lower,
    ] {
        let token = signed_anyway(key(EdDSA), &header_of("EdDSA", &almost), CLAIMS);
        assert_eq!(
            verdict(EdDSA, &token),
            Err(VerifyError::UnknownKey),
            "{almost}"
        );
    }
}

#[test]
fn t24_a_missing_key_id_is_refused_even_when_one_key_is_there() {
    let header = r#"{"typ":"at+jwt","alg":"EdDSA"}"#;
    assert_eq!(
        verdict(EdDSA, &signed_anyway(key(EdDSA), header, CLAIMS)),
        Err(VerifyError::MissingKeyId)
    );
}

#[test]
fn t24_nothing_verifies_with_an_empty_set() {
    assert_eq!(
        verify(&honest(EdDSA), &set(&[]), TokenType::AccessToken),
        Err(VerifyError::UnknownKey)
    );
}

// T26: one token for another, and tokens that were tampered with.

#[test]
fn t26_each_kind_of_token_is_refused_where_another_is_expected() {
    for made in TokenType::ALL {
        let token = key(EdDSA).sign_bytes(made, CLAIMS.as_bytes()).unwrap();
        for expected in TokenType::ALL {
            let verdict = verify(&token, &set(&[EdDSA]), expected);
            if made == expected {
                assert!(verdict.is_ok(), "{made:?}");
            } else {
                assert_eq!(
                    verdict,
                    Err(VerifyError::WrongType),
                    "{made:?} as {expected:?}"
                );
            }
        }
    }
}

#[test]
fn t26_the_type_is_compared_as_a_media_type() {
    // typ, and the kind of token that it makes.
    let rows = [
        (r#""typ":"at+jwt","#, Some(TokenType::AccessToken)),
        (r#""typ":"AT+JWT","#, Some(TokenType::AccessToken)),
        (
            r#""typ":"application/at+jwt","#,
            Some(TokenType::AccessToken),
        ),
        (
            r#""typ":"Application/AT+jwt","#,
            Some(TokenType::AccessToken),
        ),
        (r#""typ":"jwt","#, Some(TokenType::IdToken)),
        (r#""typ":"application/jwt","#, Some(TokenType::IdToken)),
        ("", Some(TokenType::IdToken)),
        (r#""typ":"logout+JWT","#, Some(TokenType::LogoutToken)),
        (r#""typ":"","#, None),
        (r#""typ":"application/","#, None),
        (r#""typ":"application/application/at+jwt","#, None),
        (r#""typ":"text/at+jwt","#, None),
        (r#""typ":"at+jwt ","#, None),
        (r#""typ":"at+jwt; charset=utf-8","#, None),
        (r#""typ":"JOSE","#, None),
        (r#""typ":"dpop+jwt","#, None),
        (r#""typ":"oauth-authz-req+jwt","#, None),
        (r#""typ":"refresh+jwt","#, None),
        (r#""typ":"secevent+jwt","#, None),
    ];
    for (typ, kind) in rows {
        let header = format!(r#"{{{typ}"alg":"EdDSA","kid":"{}"}}"#, key(EdDSA).id());
        let token = signed_anyway(key(EdDSA), &header, CLAIMS);
        for expected in TokenType::ALL {
            assert_eq!(
                verify(&token, &set(&[EdDSA]), expected).map(|_| ()),
                if kind == Some(expected) {
                    Ok(())
                } else {
                    Err(VerifyError::WrongType)
                },
                "{typ} as {expected:?}"
            );
        }
    }
}

#[test]
fn t26_every_truncation_is_refused() {
    for algorithm in [ES256, EdDSA] {
        let token = honest(algorithm);
        for end in 0..token.len() {
            assert!(
                verdict(algorithm, &token[..end]).is_err(),
                "{algorithm} {end}"
            );
        }
    }
}

#[test]
fn t26_extended_tokens_are_refused() {
    for algorithm in Algorithm::ALL {
        let token = honest(algorithm);
        let [header, payload, signature] = segments(&token);
        for (row, changed) in [
            format!("{token}A"),
            format!("{token}AAAA"),
            format!("{token}="),
            format!("{token}=="),
            format!("{token}."),
            format!("{token}.AAAA"),
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}\0"),
            format!(".{token}"),
            format!("{token},{token}"),
            format!("{header}.{payload}AA.{signature}"),
            format!("{header}..{payload}.{signature}"),
            format!("{header}=.{payload}.{signature}"),
        ]
        .iter()
        .enumerate()
        {
            assert!(
                verdict(algorithm, changed).is_err(),
                "{algorithm} row {row}"
            );
        }
    }
}

#[test]
fn t26_case_flipped_tokens_are_refused() {
    for algorithm in [ES256, EdDSA] {
        let token = honest(algorithm);
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            if bytes[index].is_ascii_alphabetic() {
                bytes[index] ^= 0x20;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(verdict(algorithm, &changed).is_err(), "{algorithm} {index}");
            }
        }
    }
}

/// The last character of a 64-byte signature carries four bits that mean nothing: sixteen spellings, one of them ours.
#[test]
fn t26_re_encoded_signatures_are_refused() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for algorithm in Algorithm::ALL {
        let token = honest(algorithm);
        let (front, last) = token.split_at(token.len() - 1);
        let mut accepted = 0;
        for character in ALPHABET.chars() {
            let changed = format!("{front}{character}");
            match verdict(algorithm, &changed) {
                Ok(_) => accepted += 1,
                Err(error) => assert!(
                    matches!(
                        error,
                        VerifyError::BadSignature | VerifyError::Encoding(Part::Signature)
                    ),
                    "{algorithm}: {error}"
                ),
            }
        }
        assert_eq!(accepted, 1, "{algorithm} ends in {last}");
    }
    let token = honest(EdDSA);
    let [header, payload, signature] = segments(&token);
    let standard = format!("{header}.{payload}.{}", STANDARD.encode(decode(signature)));
    assert_eq!(
        verdict(EdDSA, &standard),
        Err(VerifyError::Encoding(Part::Signature))
    );
}

#[test]
fn t26_re_encoded_headers_and_payloads_are_refused() {
    let header = header_with(key(EdDSA), "");
    // The real key signed these spellings: only strict decoding refuses them.
    for (spelled, part) in [
        (
            format!("{}=.{}", encode(&header), encode(CLAIMS)),
            Part::Header,
        ),
        (
            format!("{}\n.{}", encode(&header), encode(CLAIMS)),
            Part::Header,
        ),
        (
            format!("{}.{}==", encode(&header), encode(CLAIMS)),
            Part::Payload,
        ),
        (
            format!("{}.{} ", encode(&header), encode(CLAIMS)),
            Part::Payload,
        ),
        // `{}` is `e30`; `e31` ends in bits that mean nothing.
        (format!("{}.e31", encode(&header)), Part::Payload),
        (
            format!(r#"{}.{{"sub":"ada"}}"#, encode(&header)),
            Part::Payload,
        ),
    ] {
        let signature = encode(raw_signature(key(EdDSA), spelled.as_bytes()));
        assert_eq!(
            verdict(EdDSA, &format!("{spelled}.{signature}")),
            Err(VerifyError::Encoding(part)),
            "{spelled}"
        );
    }
}

#[test]
fn t26_payloads_that_are_no_set_of_claims_are_refused() {
    let malformed = VerifyError::Malformed(Part::Payload);
    let duplicate = VerifyError::DuplicateMember(Part::Payload);
    for (payload, error) in [
        ("", malformed),
        ("[]", malformed),
        ("null", malformed),
        (r#""ada""#, malformed),
        ("{", malformed),
        ("{}{}", malformed),
        ("{} x", malformed),
        (r#"{"sub":"ada",}"#, malformed),
        (r#"{"sub":"ada","sub":"eve"}"#, duplicate),
        (r#"{"sub":"ada","\u0073ub":"eve"}"#, duplicate),
        (r#"{"aud":"a","sub":"ada","aud":["b"]}"#, duplicate),
    ] {
        let token = signed_anyway(key(EdDSA), &header_with(key(EdDSA), ""), payload);
        assert_eq!(verdict(EdDSA, &token), Err(error), "{payload}");
    }
    let input = format!(
        "{}.{}",
        encode(header_with(key(EdDSA), "")),
        encode(b"{\"a\":\"\xff\"}")
    );
    let signature = encode(raw_signature(key(EdDSA), input.as_bytes()));
    assert_eq!(
        verdict(EdDSA, &format!("{input}.{signature}")),
        Err(malformed)
    );
}

#[test]
fn t26_a_payload_that_is_no_json_is_not_looked_at_before_its_signature() {
    let token = forge(&header_with(key(EdDSA), ""), "{", |_| vec![7; 64]);
    assert_eq!(verdict(EdDSA, &token), Err(VerifyError::BadSignature));
}

#[test]
fn t26_a_payload_under_anothers_signature_is_refused() {
    for algorithm in Algorithm::ALL {
        let token = honest(algorithm);
        let [header, _, signature] = segments(&token);
        let eve = encode(CLAIMS.replace("ada", "eve"));
        assert_eq!(
            verdict(algorithm, &format!("{header}.{eve}.{signature}")),
            Err(VerifyError::BadSignature),
            "{algorithm}"
        );
    }
}

#[test]
fn t26_opaque_and_encrypted_tokens_are_refused() {
    for token in ["", "opaque", "a.b", "a.b.c.d", "a.b.c.d.e", "...."] {
        assert_eq!(
            verdict(EdDSA, token),
            Err(VerifyError::NotCompact),
            "{token}"
        );
    }
    assert_eq!(
        verdict(EdDSA, ".."),
        Err(VerifyError::Malformed(Part::Header))
    );
}

#[test]
fn a_token_is_refused_by_its_size_before_anything_else() {
    assert_eq!(
        verdict(EdDSA, &"!".repeat(TOKEN_BYTES_MAX + 1)),
        Err(VerifyError::TooLarge)
    );
    assert_eq!(
        verdict(EdDSA, &"!".repeat(TOKEN_BYTES_MAX)),
        Err(VerifyError::NotCompact)
    );
    let claims = format!(r#"{{"x":"{}"}}"#, "x".repeat(TOKEN_BYTES_MAX));
    let token = signed_anyway(key(EdDSA), &header_with(key(EdDSA), ""), &claims);
    assert_eq!(verdict(EdDSA, &token), Err(VerifyError::TooLarge));
}
