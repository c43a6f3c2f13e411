//! Reading a compact JWS (RFC 7515, 7.1) whose payload is a set of claims (RFC 7519, 7.2).
//!
//! The order is: size, shape, header, key, signature, and only then the payload. Nothing that a stranger wrote is
//! interpreted beyond its header before the signature held.

use serde::de::{DeserializeOwned, Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::base64url;
use super::jwk::KeyId;
use super::key::PublicKey;
use super::key_set::KeySet;
use super::token_type::TokenType;

/// The longest token that is read, in bytes, looked at before anything is decoded.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// The most members that a header may have.
pub const HEADER_MEMBERS_COUNT_MAX: usize = 32;

/// A part of a compact JWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The protected header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum VerifyError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// Not three segments (RFC 7515, 7.1).
    #[error("the token is not a compact JWS")]
    NotCompact,
    /// A segment is not base64url as RFC 7515, 2 has it: padded, with foreign characters, or with trailing bits.
    #[error("the {0} is not canonical base64url")]
    Encoding(Part),
    /// A part is not the JSON object that it should be, or a member has the wrong type.
    #[error("the {0} is not a JSON object of the expected form")]
    Malformed(Part),
    /// A member occurs twice (RFC 7515, 4; RFC 7519, 4).
    #[error("the {0} has a duplicate member")]
    DuplicateMember(Part),
    /// The header names critical extensions; we understand none (RFC 7515, 4.1.11).
    #[error("the header has critical extensions")]
    CriticalHeader,
    /// The header has `b64`: unencoded payloads (RFC 7797) are not spoken here.
    #[error("the header asks for an unencoded payload")]
    UnencodedPayload,
    /// The header brings or points to a key: `jwk`, `jku`, `x5u` or `x5c`.
    #[error("the header carries a key of its own")]
    EmbeddedKey,
    /// `typ` is not the kind of token that is expected.
    #[error("the token is of another type")]
    WrongType,
    /// `alg` is missing, `none`, symmetric, or otherwise not one of ours.
    #[error("the algorithm is not supported")]
    UnsupportedAlgorithm,
    /// No `kid`: we do not try keys.
    #[error("the token names no key")]
    MissingKeyId,
    /// `kid` names no key of the set.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// `kid` names a key of the set that is for another algorithm than `alg`.
    #[error("the algorithm is not the one of the key")]
    AlgorithmMismatch,
    /// The signature is not the key's.
    #[error("the signature is not valid")]
    BadSignature,
}

/// The claims of a token whose signature held. Who may use them, for what and until when is for the caller to check.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedClaims {
    claims: Map<String, Value>,
    key_id: KeyId,
    algorithm: Algorithm,
}

impl VerifiedClaims {
    /// The claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// The claims as a type that says what is expected of them.
    pub fn into_claims<T: DeserializeOwned>(self) -> Result<T, VerifyError> {
        serde_json::from_value(Value::Object(self.claims))
            .map_err(|_| VerifyError::Malformed(Part::Payload))
    }

    /// The key that signed.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// The algorithm of that key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

/// Checks that `token` is of the expected kind and signed by a key of the set, and gives its claims.
pub fn verify(
    token: &str,
    keys: &KeySet,
    expected: TokenType,
) -> Result<VerifiedClaims, VerifyError> {
    // RFC 7515, 4.1.4 leaves `kid` optional; our own tokens always have it.
    verify_by(token, expected, |kid, algorithm| {
        named(keys, kid.ok_or(VerifyError::MissingKeyId)?, algorithm)
    })
}

/// The same for a token that another provider signed. It may leave out the name of the key while the provider has only one of that
/// algorithm (OpenID Connect Core, 10.1): we still try no keys.
pub fn verify_upstream(
    token: &str,
    keys: &KeySet,
    expected: TokenType,
) -> Result<VerifiedClaims, VerifyError> {
    verify_by(token, expected, |kid, algorithm| match kid {
        Some(kid) => named(keys, kid, algorithm),
        None => keys.only(algorithm).ok_or(VerifyError::MissingKeyId),
    })
}

/// RFC 8725, 3.1: the name and the algorithm must agree on one record, and that record's algorithm is the one used.
fn named<'a>(
    keys: &'a KeySet,
    kid: &str,
    algorithm: Algorithm,
) -> Result<&'a PublicKey, VerifyError> {
    keys.find(kid, algorithm).ok_or_else(|| {
        if keys.has_key_id(kid) {
            VerifyError::AlgorithmMismatch
        } else {
            VerifyError::UnknownKey
        }
    })
}

fn verify_by<'a>(
    token: &str,
    expected: TokenType,
    key_of: impl FnOnce(Option<&str>, Algorithm) -> Result<&'a PublicKey, VerifyError>,
) -> Result<VerifiedClaims, VerifyError> {
    let parts = Parts::split(token)?;
    let header = Header::read(parts.header)?;
    if header.embedded_key {
        // RFC 7515, 4.1.2, 4.1.3, 4.1.5, 4.1.6 let a token say where its key is. A key that the token brings proves
        // nothing (RFC 8725, 3.10), and no honest token for us brings one.
        return Err(VerifyError::EmbeddedKey);
    }
    if !expected.accepts(header.typ.as_deref()) {
        // RFC 8725, 3.11.
        return Err(VerifyError::WrongType);
    }
    let algorithm = header
        .alg
        .as_deref()
        .and_then(Algorithm::parse)
        .ok_or(VerifyError::UnsupportedAlgorithm)?;
    let key = key_of(header.kid.as_deref(), algorithm)?;
    let signature =
        base64url::decode(parts.signature).ok_or(VerifyError::Encoding(Part::Signature))?;
    if !key.is_signature(parts.signing_input.as_bytes(), &signature) {
        return Err(VerifyError::BadSignature);
    }
    Ok(VerifiedClaims {
        claims: read_claims(parts.payload)?,
        key_id: key.id().clone(),
        algorithm: key.algorithm(),
    })
}

/// What a token says about itself before anybody checked it: it can only tell whom to ask.
///
/// Anyone can write such a token. Use it to find the provider or the client whose keys to load, then [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedToken {
    key_id: Option<String>,
    issuer: Option<String>,
    audience: Vec<String>,
}

impl UnverifiedToken {
    /// Looks into a token without checking its signature.
    pub fn peek_unverified(token: &str) -> Result<Self, VerifyError> {
        let parts = Parts::split(token)?;
        let header = Header::read(parts.header)?;
        let mut claims = read_claims(parts.payload)?;
        let issuer = match claims.remove("iss") {
            Some(Value::String(issuer)) => Some(issuer),
            None => None,
            Some(_) => return Err(VerifyError::Malformed(Part::Payload)),
        };
        // RFC 7519, 4.1.3: one string, or an array of strings.
        let audience = match claims.remove("aud") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one],
            Some(many) => {
                serde_json::from_value(many).map_err(|_| VerifyError::Malformed(Part::Payload))?
            }
        };
        Ok(Self {
            key_id: header.kid,
            issuer,
            audience,
        })
    }

    /// The `kid` that the header claims.
    pub fn unverified_key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The `iss` that the payload claims.
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The `aud` that the payload claims.
    pub fn unverified_audience(&self) -> &[String] {
        &self.audience
    }
}

/// The claims of a token that its issuer handed us itself, over a channel that says who it is: there TLS stands in for the
/// signature (OpenID Connect Core, 3.1.3.7, 6). For a token that came any other way, [`verify`] it.
pub fn claims_from_issuer(token: &str) -> Result<Map<String, Value>, VerifyError> {
    let parts = Parts::split(token)?;
    let header = Header::read(parts.header)?;
    if header.alg.is_none() {
        return Err(VerifyError::Malformed(Part::Header));
    }
    read_claims(parts.payload)
}

/// The segments of a compact JWS (RFC 7515, 7.1).
struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(VerifyError::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(VerifyError::NotCompact)?;
        let (header, payload) = signing_input
            .split_once('.')
            .ok_or(VerifyError::NotCompact)?;
        // Five segments would be a JWE (RFC 7516, 7.1).
        if payload.contains('.') {
            return Err(VerifyError::NotCompact);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }
}

/// The members of a header that decide something (RFC 7515, 4.1). Others are ignored (RFC 7515, 4).
#[derive(Default)]
struct Header {
    alg: Option<String>,
    typ: Option<String>,
    kid: Option<String>,
    critical: bool,
    unencoded: bool,
    embedded_key: bool,
}

impl Header {
    fn read(segment: &str) -> Result<Self, VerifyError> {
        let json = base64url::decode(segment).ok_or(VerifyError::Encoding(Part::Header))?;
        let header = read_object(&json, Part::Header, HeaderVisitor)?;
        if header.critical {
            return Err(VerifyError::CriticalHeader);
        }
        if header.unencoded {
            // RFC 7797, 6: `b64` must be listed in `crit`, so it is refused without it too, whatever its value.
            return Err(VerifyError::UnencodedPayload);
        }
        Ok(header)
    }
}

fn read_claims(segment: &str) -> Result<Map<String, Value>, VerifyError> {
    let json = base64url::decode(segment).ok_or(VerifyError::Encoding(Part::Payload))?;
    read_object(&json, Part::Payload, ClaimsVisitor)
}

/// Reads one JSON object and nothing behind it.
fn read_object<'de, T>(
    json: &'de [u8],
    part: Part,
    visitor: impl Visitor<'de, Value = Members<T>>,
) -> Result<T, VerifyError> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let members = reader
        .deserialize_map(visitor)
        .and_then(|members| reader.end().map(|()| members))
        .map_err(|_| VerifyError::Malformed(part))?;
    match members {
        Members::Distinct(object) => Ok(object),
        Members::Duplicate => Err(VerifyError::DuplicateMember(part)),
    }
}

/// An object, unless a member occurred twice. A value rather than an error, since an error of serde is words only.
enum Members<T> {
    Distinct(T),
    Duplicate,
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Members<Header>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut header = Header::default();
        let mut seen: Vec<String> = Vec::new();
        let mut duplicate = false;
        while let Some(name) = map.next_key::<String>()? {
            if seen.len() == HEADER_MEMBERS_COUNT_MAX {
                return Err(A::Error::custom("too many members"));
            }
            duplicate |= seen.contains(&name);
            match name.as_str() {
                "alg" => header.alg = Some(map.next_value()?),
                "typ" => header.typ = Some(map.next_value()?),
                "kid" => header.kid = Some(map.next_value()?),
                other => {
                    match other {
                        "crit" => header.critical = true,
                        "b64" => header.unencoded = true,
                        "jwk" | "jku" | "x5u" | "x5c" => header.embedded_key = true,
                        _ => {}
                    }
                    map.next_value::<IgnoredAny>()?;
                }
            }
            seen.push(name);
        }
        Ok(if duplicate {
            Members::Duplicate
        } else {
            Members::Distinct(header)
        })
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Members<Map<String, Value>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a set of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut claims = Map::new();
        let mut duplicate = false;
        while let Some((name, value)) = map.next_entry()? {
            duplicate |= claims.insert(name, value).is_some();
        }
        Ok(if duplicate {
            Members::Duplicate
        } else {
            Members::Distinct(claims)
        })
    }
}
