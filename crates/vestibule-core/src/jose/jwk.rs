//! The public half of a key as JSON (RFC 7517), and the thumbprint that names it (RFC 7638).

use aws_lc_rs::digest::{SHA256, digest};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::algorithm::Algorithm;
use super::base64url;
use super::key::KeyError;

/// The name of a key, the `kid` of tokens and JWKs (RFC 7515, 4.1.4; RFC 7517, 4.5).
///
/// For our own keys it is computed: the RFC 7638 thumbprint of the public JWK with SHA-256. A key that somebody else
/// published keeps the name that they gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KeyId(pub(super) String);

impl KeyId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public JSON Web Key (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2).
///
/// It has no place for a private member, and reading a JWK that carries one fails: whoever published it must learn that
/// the key is lost (RFC 7517, 9.2), not that it works. Members that we do not know are ignored (RFC 7517, 4).
///
/// Any text is fine here; [`super::key::PublicKey::from_jwk`] decides whether it is a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReadJwk")]
pub struct Jwk {
    /// The family of the key: `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// What the key is for: `sig` or `enc` (RFC 7517, 4.2).
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// The algorithm that the key is for (RFC 7517, 4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// The name of the key (RFC 7517, 4.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The curve of an `EC` or `OKP` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// The x coordinate of an `EC` key, or the public key of an `OKP` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The y coordinate of an `EC` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus of an `RSA` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The public exponent of an `RSA` key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

impl Jwk {
    /// A JWK of which only the type is known.
    pub(super) fn of_type(kty: &str) -> Self {
        Self {
            kty: kty.to_owned(),
            usage: None,
            alg: None,
            kid: None,
            crv: None,
            x: None,
            y: None,
            n: None,
            e: None,
        }
    }

    /// The thumbprint (RFC 7638, 3): SHA-256 over the required members in lexicographic order, without white space.
    pub fn thumbprint(&self) -> Result<KeyId, KeyError> {
        // RFC 7638, 3.2 and RFC 8037, 2 list the required members. Every value that makes a key is base64url or a
        // name without quotes, so nothing needs escaping; other text is refused rather than escaped.
        let members: &[(&'static str, Option<&String>)] = match self.kty.as_str() {
            "EC" => &[
                ("crv", self.crv.as_ref()),
                ("kty", Some(&self.kty)),
                ("x", self.x.as_ref()),
                ("y", self.y.as_ref()),
            ],
            "OKP" => &[
                ("crv", self.crv.as_ref()),
                ("kty", Some(&self.kty)),
                ("x", self.x.as_ref()),
            ],
            "RSA" => &[
                ("e", self.e.as_ref()),
                ("kty", Some(&self.kty)),
                ("n", self.n.as_ref()),
            ],
            _ => return Err(KeyError::UnsupportedKeyType),
        };
        let mut json = String::from("{");
        for (name, value) in members {
            let value = value.ok_or(KeyError::Member(name))?;
            if !value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            {
                return Err(KeyError::Member(name));
            }
            if json.len() > 1 {
                json.push(',');
            }
            for part in ["\"", name, "\":\"", value, "\""] {
                json.push_str(part);
            }
        }
        json.push('}');
        Ok(KeyId(base64url::encode(
            digest(&SHA256, json.as_bytes()).as_ref(),
        )))
    }

    /// The algorithm that this key can only be for: the `alg` member, or what the curve leaves open. An RSA key without
    /// `alg` could be for two, and says nothing.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match (&self.alg, self.kty.as_str(), self.crv.as_deref()) {
            (Some(name), _, _) => Algorithm::parse(name),
            (None, "EC", Some("P-256")) => Some(Algorithm::ES256),
            (None, "OKP", Some("Ed25519")) => Some(Algorithm::EdDSA),
            _ => None,
        }
    }
}

/// What a JWK looks like before we know that it keeps no secret.
#[derive(Deserialize)]
struct ReadJwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    // The private and symmetric members: RFC 7518, 6.2.2, 6.3.2 and 6.4.1; RFC 8037, 2.
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl TryFrom<ReadJwk> for Jwk {
    type Error = KeyError;

    fn try_from(read: ReadJwk) -> Result<Self, KeyError> {
        let private = [
            read.d, read.p, read.q, read.dp, read.dq, read.qi, read.oth, read.k,
        ];
        if private.iter().any(Option::is_some) {
            return Err(KeyError::PrivateMember);
        }
        Ok(Self {
            kty: read.kty,
            usage: read.usage,
            alg: read.alg,
            kid: read.kid,
            crv: read.crv,
            x: read.x,
            y: read.y,
            n: read.n,
            e: read.e,
        })
    }
}
