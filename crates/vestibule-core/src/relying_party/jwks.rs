//! A provider's key set (RFC 7517, 5).

use super::fault::UpstreamFault;
use crate::jose::algorithm::Algorithm;
use crate::jose::jwk::Jwk;
use crate::jose::key::PublicKey;
use crate::jose::key_set::{KeySet, KeyState};
use serde::Deserialize;
use serde_json::Value;

/// The largest key set that is read, in bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// The most keys in one set.
pub const JWKS_KEYS_COUNT_MAX: usize = 100;

/// The keys of a provider that serve us: for signatures, of an algorithm of ours, in order.
#[derive(Clone, Debug)]
pub struct Jwks(KeySet);

impl Jwks {
    /// Reads a key set. A key that does not serve us is left out, as RFC 7517, 5 asks; a set that is none is refused.
    pub fn parse(json: &[u8]) -> Result<Self, UpstreamFault> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        if json.len() > JWKS_BYTES_MAX {
            return Err(UpstreamFault::Keys("too large"));
        }
        let document: Document = serde_json::from_slice(json)
            .map_err(|_| UpstreamFault::Keys("not a JSON object with `keys`"))?;
        if document.keys.len() > JWKS_KEYS_COUNT_MAX {
            return Err(UpstreamFault::Keys("too many keys"));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for jwk in document
            .keys
            .into_iter()
            .filter_map(|value| serde_json::from_value::<Jwk>(value).ok())
        {
            for key in algorithms(&jwk)
                .iter()
                .filter_map(|algorithm| PublicKey::from_jwk(*algorithm, &jwk).ok())
            {
                let known = keys
                    .iter()
                    .any(|one| one.algorithm() == key.algorithm() && one.id() == key.id());
                // Of two keys with one name the first counts: that a token could mean either is the provider's mistake.
                if !known {
                    keys.push(key);
                }
            }
        }
        KeySet::new(keys.into_iter().map(|key| (key, KeyState::Active)))
            .map(Self)
            .map_err(|_| UpstreamFault::Keys("ambiguous"))
    }

    /// The keys.
    pub fn keys(&self) -> &KeySet {
        &self.0
    }
}

/// What a key can be for. An RSA key without `alg` serves either padding; the token's `alg` then chooses among the two, as for one
/// key under one name for both (RFC 7517, 4.5).
fn algorithms(jwk: &Jwk) -> Vec<Algorithm> {
    match (jwk.algorithm(), jwk.kty.as_str(), &jwk.alg) {
        (Some(algorithm), _, _) => vec![algorithm],
        (None, "RSA", None) => vec![Algorithm::RS256, Algorithm::PS256],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::key::SigningKey;
    use serde_json::json;

    fn jwk(algorithm: Algorithm) -> Value {
        serde_json::to_value(SigningKey::generate(algorithm).unwrap().public_jwk()).unwrap()
    }

    fn count(keys: &Value) -> usize {
        let text = json!({ "keys": keys }).to_string();
        Jwks::parse(text.as_bytes())
            .unwrap()
            .keys()
            .public_keys()
            .count()
    }

    #[test]
    fn keys_that_do_not_serve_us_are_left_out() {
        let good = jwk(Algorithm::ES256);
        let with = |name: &str, value: &str| {
            let mut key = good.clone();
            key[name] = value.into();
            key
        };
        let mut private = good.clone();
        private["d"] = "AAAA".into();
        for bad in [
            json!({"kty": "oct", "k": "AAAA", "alg": "HS256", "kid": "h"}),
            json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "short"}),
            json!({}),
            json!(7),
            json!("key"),
            with("use", "enc"),
            with("alg", "RS512"),
            with("alg", "none"),
            with("x", "!!"),
            private,
        ] {
            assert_eq!(count(&json!([bad, good])), 1, "{bad}");
        }
    }

    #[test]
    fn an_rsa_key_that_does_not_say_serves_both_paddings_and_one_name_counts_once() {
        let mut rsa = jwk(Algorithm::RS256);
        rsa.as_object_mut().unwrap().remove("alg");
        assert_eq!(count(&json!([rsa, rsa])), 2);
        let (mut one, mut two) = (jwk(Algorithm::EdDSA), jwk(Algorithm::EdDSA));
        one["kid"] = "same".into();
        two["kid"] = "same".into();
        assert_eq!(count(&json!([one, two])), 1);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let many = json!({"keys": vec![json!({}); JWKS_KEYS_COUNT_MAX + 1]}).to_string();
        for bad in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"keys":{}}"#,
            r#"{"keys":null}"#,
            &many,
        ] {
            assert!(Jwks::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(
            Jwks::parse(&vec![b' '; JWKS_BYTES_MAX + 1]).unwrap_err(),
            UpstreamFault::Keys("too large")
        );
    }
}
