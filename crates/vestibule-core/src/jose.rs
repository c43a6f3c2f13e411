//! Signed tokens: keys, key sets, compact JWS; thin over `aws-lc-rs`.
//!
//! # Map
//!
//! - [`algorithm`] names the four signature algorithms. There is no other: `none` and `HS256` cannot be written.
//! - [`jwk`] is the public half of a key as JSON, and its thumbprint.
//! - [`key`] holds a key ready for use: [`key::SigningKey`] signs, [`key::PublicKey`] checks signatures.
//! - [`key_set`] is the list of keys that are in force, and the JWKS document.
//! - [`verify`] reads a token, and says precisely why it refuses one.
//! - [`token_type`] keeps the kinds of token apart; [`digest`] makes `at_hash` and `c_hash`.
//!
//! # Law
//!
//! 1. The algorithm comes from the key's record, never from the token (RFC 8725, 3.1).
//! 2. The key comes from the caller's set, never from the token (RFC 8725, 3.10).
//! 3. One value has one spelling: a token that was encoded again is refused (RFC 8725, 3.4 for inputs as a whole).
//! 4. A key is parsed once, when it is made or loaded, and not once a signature.
//!
//! # Purity
//!
//! Nothing here reads a clock, a file, a socket or a global source of randomness, with one exception: the cryptography
//! library draws its own random numbers for new keys ([`key::SigningKey::generate`]), ECDSA nonces and PSS salts.
//!
//! # What it does not do
//!
//! It checks no claim: `iss`, `aud`, `exp` and their like belong to the caller, who knows what to expect. It encrypts
//! nothing, and it reads no JSON serialization of JWS (RFC 7515, 7.2), only the compact one (7.1).

pub mod algorithm;
mod base64url;
pub mod digest;
pub mod jwk;
pub mod key;
pub mod key_set;
pub mod token_type;
pub mod verify;
