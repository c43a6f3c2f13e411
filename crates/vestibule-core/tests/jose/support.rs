//! Keys made once a process, and the means to write tokens that the library would never write.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::{PublicKey, SigningKey};
use vestibule_core::jose::key_set::{KeySet, KeyState};
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::{VerifiedClaims, VerifyError, verify};

pub(crate) const CLAIMS: &str = r#"{"iss":"https://id.example","aud":"app","sub":"ada"}"#;

static RS256: LazyLock<SigningKey> = LazyLock::new(|| new_key(Algorithm::RS256));
static PS256: LazyLock<SigningKey> = LazyLock::new(|| new_key(Algorithm::PS256));
static ES256: LazyLock<SigningKey> = LazyLock::new(|| new_key(Algorithm::ES256));
static EDDSA: LazyLock<SigningKey> = LazyLock::new(|| new_key(Algorithm::EdDSA));

fn new_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

/// One key an algorithm, the same throughout the process.
pub(crate) fn key(algorithm: Algorithm) -> &'static SigningKey {
    match algorithm {
        Algorithm::RS256 => &RS256,
        Algorithm::PS256 => &PS256,
        Algorithm::ES256 => &ES256,
        Algorithm::EdDSA => &EDDSA,
    }
}

/// The set of the keys of these algorithms.
pub(crate) fn set(algorithms: &[Algorithm]) -> KeySet {
    let keys = algorithms
        .iter()
        .map(|algorithm| (PublicKey::from(key(*algorithm)), KeyState::Active));
    KeySet::new(keys).unwrap()
}

/// What a verifier says that knows the key of this algorithm only, and expects an access token.
pub(crate) fn verdict(algorithm: Algorithm, token: &str) -> Result<VerifiedClaims, VerifyError> {
    verify(token, &set(&[algorithm]), TokenType::AccessToken)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Signs whatever it is given, with the real private key.
pub(crate) fn raw_signature(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let pkcs8 = key.to_pkcs8().unwrap();
    let random = SystemRandom::new();
    let rsa = |padding| {
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &random, message, &mut signature)
            .unwrap();
        signature
    };
    match key.algorithm() {
        Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
        Algorithm::ES256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .unwrap()
            .sign(&random, message)
            .unwrap()
            .as_ref()
            .to_vec(),
        Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(&pkcs8)
            .unwrap()
            .sign(message)
            .as_ref()
            .to_vec(),
    }
}

/// A token with this header and payload, to which `sign` gives a signature.
pub(crate) fn forge(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = format!("{}.{}", encode(header), encode(payload));
    let signature = sign(input.as_bytes());
    format!("{input}.{}", encode(signature))
}

/// A token with this header that the real key did sign: whoever refuses it, refuses the header.
pub(crate) fn signed_anyway(key: &SigningKey, header: &str, payload: &str) -> String {
    forge(header, payload, |input| raw_signature(key, input))
}

/// The header of an honest access token of that key, with more members in front.
pub(crate) fn header_with(key: &SigningKey, members: &str) -> String {
    format!(
        r#"{{{members}"typ":"at+jwt","alg":"{}","kid":"{}"}}"#,
        key.algorithm(),
        key.id()
    )
}

pub(crate) fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message)
        .as_ref()
        .to_vec()
}

/// The token in its three segments.
pub(crate) fn segments(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}
