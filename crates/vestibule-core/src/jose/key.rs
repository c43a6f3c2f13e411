//! Keys, ready for use: parsed once, with everything that does not change between two tokens made beforehand.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::base64url;
use super::jwk::{Jwk, KeyId};
use super::token_type::TokenType;
use super::verify::TOKEN_BYTES_MAX;

/// The least RSA modulus, in bits (RFC 7518, 3.3 and 3.5).
pub const RSA_MODULUS_BITS_MIN: usize = 2048;
/// The greatest RSA modulus, in bits. The RFCs set none; larger keys only make verification slow.
pub const RSA_MODULUS_BITS_MAX: usize = 8192;
/// The longest `kid` that a published key may have, in bytes.
pub const KEY_ID_BYTES_MAX: usize = 256;

/// Length of an ES256 or `EdDSA` signature, in bytes (RFC 7518, 3.4; RFC 8032, 5.1.6).
const CURVE_SIGNATURE_BYTES: usize = 64;
/// Length of a P-256 coordinate and of an Ed25519 public key, in bytes (RFC 7518, 6.2.1.2; RFC 8037, 2).
const CURVE_MEMBER_BYTES: usize = 32;

/// Why a key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `kty` is not the one of the algorithm, or none that we know.
    #[error("the key type does not serve this algorithm")]
    UnsupportedKeyType,
    /// `crv` is not the one of the algorithm.
    #[error("the curve does not serve this algorithm")]
    WrongCurve,
    /// `use` says that the key is not for signatures.
    #[error("the key is not for signatures")]
    WrongUse,
    /// `alg` names another algorithm.
    #[error("the key is for another algorithm")]
    WrongAlgorithm,
    /// The JWK carries a private or symmetric member.
    #[error("the JWK contains private members")]
    PrivateMember,
    /// A member is missing, or is no canonical encoding of a value in range.
    #[error("the member {0} is missing or malformed")]
    Member(&'static str),
    /// The RSA modulus is below [`RSA_MODULUS_BITS_MIN`].
    #[error("the RSA modulus is too short")]
    RsaTooShort,
    /// The RSA modulus is above [`RSA_MODULUS_BITS_MAX`].
    #[error("the RSA modulus is too long")]
    RsaTooLong,
    /// The bytes are no key of this algorithm, or not a valid one.
    #[error("the key is not valid for this algorithm")]
    Rejected,
    /// The cryptography library could not make or write the key.
    #[error("the cryptography library failed")]
    Library,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The claims could not be written as JSON.
    #[error("the claims cannot be written as JSON")]
    Claims(#[from] serde_json::Error),
    /// The claims are no JSON object (RFC 7519, 4).
    #[error("the claims are not a JSON object")]
    NotAnObject,
    /// The token would be longer than any verifier here reads.
    #[error("the token would be longer than {TOKEN_BYTES_MAX} bytes")]
    TooLarge,
    /// The cryptography library could not sign.
    #[error("the cryptography library failed")]
    Library,
}

/// A private key with which we sign.
pub struct SigningKey {
    signer: Signer,
    public: PublicKey,
    headers: Headers,
}

impl SigningKey {
    /// Makes a new key. RSA keys have 2048 bits and take 50 to 300 milliseconds; the others take microseconds.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let signer = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => {
                RsaKeyPair::generate(KeySize::Rsa2048).map(Signer::Rsa)
            }
            Algorithm::ES256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Signer::P256)
            }
            Algorithm::EdDSA => Ed25519KeyPair::generate().map(Signer::Ed25519),
        };
        Self::new(algorithm, signer.map_err(|_| KeyError::Library)?)
    }

    /// Reads a key from PKCS#8 (RFC 5208; RFC 5958 with the public key is understood for Ed25519).
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let signer = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => RsaKeyPair::from_pkcs8(pkcs8).map(Signer::Rsa),
            Algorithm::ES256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Signer::P256)
            }
            Algorithm::EdDSA => Ed25519KeyPair::from_pkcs8(pkcs8).map(Signer::Ed25519),
        };
        Self::new(algorithm, signer.map_err(|_| KeyError::Rejected)?)
    }

    /// Writes the key as PKCS#8, version 1: the form that OpenSSL and every library reads, for Ed25519 too (RFC 8410, 7).
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let bytes = match &self.signer {
            Signer::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| KeyError::Library)?;
                der.as_ref().to_vec()
            }
            Signer::P256(key) => key
                .to_pkcs8v1()
                .map_err(|_| KeyError::Library)?
                .as_ref()
                .to_vec(),
            Signer::Ed25519(key) => key
                .to_pkcs8v1()
                .map_err(|_| KeyError::Library)?
                .as_ref()
                .to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// The algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm
    }

    /// The name of this key: its thumbprint.
    pub fn id(&self) -> &KeyId {
        &self.public.id
    }

    /// The public half, ready to check signatures.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The public half as JSON.
    pub fn public_jwk(&self) -> &Jwk {
        &self.public.jwk
    }

    /// Signs claims as a compact JWS (RFC 7515, 7.1) of the given kind.
    pub fn sign(&self, typ: TokenType, claims: &impl Serialize) -> Result<String, SignError> {
        self.sign_bytes(typ, &serde_json::to_vec(claims)?)
    }

    /// Signs claims that are JSON already. The caller answers for their being one object without duplicate members.
    pub fn sign_bytes(&self, typ: TokenType, json: &[u8]) -> Result<String, SignError> {
        if json.first() != Some(&b'{') || json.last() != Some(&b'}') {
            return Err(SignError::NotAnObject);
        }
        self.sign_under(self.headers.of(typ), json)
    }

    /// Signs claims for somebody who calls this key by a name of theirs (`kid`), and who asks for no `typ`: how a client proves
    /// itself to a provider that has our public key. `None` when the name needs escaping.
    pub fn sign_as(&self, kid: &str, claims: &impl Serialize) -> Option<Result<String, SignError>> {
        let plain = !kid.is_empty()
            && kid.len() <= KEY_ID_BYTES_MAX
            && kid
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !plain {
            return None;
        }
        let json = format!(r#"{{"alg":"{}","kid":"{kid}"}}"#, self.algorithm());
        let mut header = base64url::encode(json.as_bytes());
        header.push('.');
        Some(
            serde_json::to_vec(claims)
                .map_err(SignError::from)
                .and_then(|json| self.sign_under(&header, &json)),
        )
    }

    /// Signs under an encoded header that ends with its dot.
    fn sign_under(&self, header: &str, json: &[u8]) -> Result<String, SignError> {
        let token_bytes = header.len()
            + base64url::encoded_len(json.len())
            + 1
            + base64url::encoded_len(self.public.signature_bytes);
        if token_bytes > TOKEN_BYTES_MAX {
            return Err(SignError::TooLarge);
        }
        let mut token = String::with_capacity(token_bytes);
        token.push_str(header);
        base64url::encode_onto(json, &mut token);
        self.append_signature(&mut token)?;
        Ok(token)
    }

    /// Appends `.` and the signature over what `token` holds, the signing input of RFC 7515, 5.1.
    fn append_signature(&self, token: &mut String) -> Result<(), SignError> {
        let random = SystemRandom::new();
        match &self.signer {
            Signer::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match self.public.algorithm {
                    Algorithm::PS256 => &RSA_PSS_SHA256,
                    Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &random, token.as_bytes(), &mut signature)
                    .map_err(|_| SignError::Library)?;
                token.push('.');
                base64url::encode_onto(&signature, token);
            }
            Signer::P256(key) => {
                let signature = key
                    .sign(&random, token.as_bytes())
                    .map_err(|_| SignError::Library)?;
                token.push('.');
                base64url::encode_onto(signature.as_ref(), token);
            }
            Signer::Ed25519(key) => {
                let signature = key
                    .try_sign(token.as_bytes())
                    .map_err(|_| SignError::Library)?;
                token.push('.');
                base64url::encode_onto(signature.as_ref(), token);
            }
        }
        Ok(())
    }

    fn new(algorithm: Algorithm, signer: Signer) -> Result<Self, KeyError> {
        let mut jwk = signer.jwk()?;
        let id = jwk.thumbprint()?;
        jwk.usage = Some("sig".to_owned());
        jwk.alg = Some(algorithm.as_str().to_owned());
        jwk.kid = Some(id.0.clone());
        let headers = Headers::new(algorithm, &id);
        // The same door as for everybody's keys: an RSA key of our own that is too short is refused here too.
        let public = PublicKey::from_jwk(algorithm, &jwk)?;
        Ok(Self {
            signer,
            public,
            headers,
        })
    }
}

/// Shows the name of the key, and nothing of the key itself.
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.public.algorithm)
            .field("id", &self.public.id)
            .finish_non_exhaustive()
    }
}

/// A public key that checks signatures of one algorithm only (RFC 8725, 3.1).
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    id: KeyId,
    key: ParsedPublicKey,
    signature_bytes: usize,
    jwk: Jwk,
}

impl PublicKey {
    /// Reads a JWK as a key for `algorithm`, which the caller knows from its own records. The JWK may agree or be silent;
    /// when `use` or `alg` say otherwise, it is refused (RFC 7517, 4.2 and 4.4).
    ///
    /// The key is called by the `kid` of the JWK, or by its thumbprint when it has none.
    pub fn from_jwk(algorithm: Algorithm, jwk: &Jwk) -> Result<Self, KeyError> {
        if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(KeyError::WrongUse);
        }
        if jwk
            .alg
            .as_deref()
            .is_some_and(|name| name != algorithm.as_str())
        {
            return Err(KeyError::WrongAlgorithm);
        }
        let (key, signature_bytes) = match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => parse_rsa(algorithm, jwk)?,
            Algorithm::ES256 => parse_p256(jwk)?,
            Algorithm::EdDSA => parse_ed25519(jwk)?,
        };
        let id = match &jwk.kid {
            Some(kid) if kid.is_empty() || kid.len() > KEY_ID_BYTES_MAX => {
                return Err(KeyError::Member("kid"));
            }
            Some(kid) => KeyId(kid.clone()),
            None => jwk.thumbprint()?,
        };
        let jwk = Jwk {
            usage: Some("sig".to_owned()),
            alg: Some(algorithm.as_str().to_owned()),
            kid: Some(id.0.clone()),
            ..jwk.clone()
        };
        Ok(Self {
            algorithm,
            id,
            key,
            signature_bytes,
            jwk,
        })
    }

    /// The algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of this key.
    pub fn id(&self) -> &KeyId {
        &self.id
    }

    /// The key as JSON, with `use`, `alg` and `kid` filled in.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Whether `signature` is this key's over `message` (RFC 7515, 5.2, step 8).
    ///
    /// A signature of another length than the algorithm's is none: that refuses the DER form of ECDSA (RFC 7518, 3.4).
    pub fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.signature_bytes && self.key.verify_sig(message, signature).is_ok()
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl From<&SigningKey> for PublicKey {
    fn from(key: &SigningKey) -> Self {
        key.public.clone()
    }
}

enum Signer {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// The public half: the members that make the key and none that describe it.
    fn jwk(&self) -> Result<Jwk, KeyError> {
        match self {
            Self::Rsa(key) => {
                // RFC 7518, 6.3.1: big-endian, in as few octets as the value needs.
                let public = key.public_key();
                let n = public.modulus().big_endian_without_leading_zero();
                let e = public.exponent().big_endian_without_leading_zero();
                Ok(Jwk {
                    n: Some(base64url::encode(n)),
                    e: Some(base64url::encode(e)),
                    ..Jwk::of_type("RSA")
                })
            }
            Self::P256(key) => {
                // The library gives the uncompressed point of SEC 1, 2.3.3: 04 ‖ x ‖ y.
                let (x, y) = key
                    .public_key()
                    .as_ref()
                    .strip_prefix(&[4])
                    .and_then(|point| point.split_at_checked(CURVE_MEMBER_BYTES))
                    .ok_or(KeyError::Library)?;
                Ok(Jwk {
                    crv: Some("P-256".to_owned()),
                    x: Some(base64url::encode(x)),
                    y: Some(base64url::encode(y)),
                    ..Jwk::of_type("EC")
                })
            }
            Self::Ed25519(key) => Ok(Jwk {
                crv: Some("Ed25519".to_owned()),
                x: Some(base64url::encode(key.public_key().as_ref())),
                ..Jwk::of_type("OKP")
            }),
        }
    }
}

/// The encoded header of each kind of token with the dot behind it: it depends on the key alone.
struct Headers {
    id: String,
    access: String,
    logout: String,
    project: String,
}

impl Headers {
    fn new(algorithm: Algorithm, id: &KeyId) -> Self {
        // All three values are names from closed alphabets; nothing needs escaping.
        let header = |typ: TokenType| {
            let json = format!(
                r#"{{"typ":"{}","alg":"{algorithm}","kid":"{id}"}}"#,
                typ.as_str()
            );
            let mut segment = base64url::encode(json.as_bytes());
            segment.push('.');
            segment
        };
        Self {
            id: header(TokenType::IdToken),
            access: header(TokenType::AccessToken),
            logout: header(TokenType::LogoutToken),
            project: header(TokenType::ProjectToken),
        }
    }

    fn of(&self, typ: TokenType) -> &str {
        match typ {
            TokenType::IdToken => &self.id,
            TokenType::AccessToken => &self.access,
            TokenType::LogoutToken => &self.logout,
            TokenType::ProjectToken => &self.project,
        }
    }
}

fn parse_rsa(algorithm: Algorithm, jwk: &Jwk) -> Result<(ParsedPublicKey, usize), KeyError> {
    if jwk.kty != "RSA" {
        return Err(KeyError::UnsupportedKeyType);
    }
    let n = unsigned(jwk.n.as_deref(), "n")?;
    let e = unsigned(jwk.e.as_deref(), "e")?;
    let leading_zeros = n.first().map_or(0, |byte| byte.leading_zeros());
    let bits = (n.len() * 8).saturating_sub(usize::try_from(leading_zeros).unwrap_or(0));
    if bits < RSA_MODULUS_BITS_MIN {
        return Err(KeyError::RsaTooShort);
    }
    if bits > RSA_MODULUS_BITS_MAX {
        return Err(KeyError::RsaTooLong);
    }
    // RFC 8017, 3.1: the exponent is odd and at least 3. Beyond 32 bits it only makes verification slow.
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !odd(&n) {
        return Err(KeyError::Member("n"));
    }
    if !odd(&e) || e == [1] || e.len() > 4 {
        return Err(KeyError::Member("e"));
    }
    let parameters = match algorithm {
        Algorithm::PS256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => &RSA_PKCS1_2048_8192_SHA256,
    };
    let signature_bytes = n.len();
    RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(parameters)
        .map(|key| (key, signature_bytes))
        .map_err(|_| KeyError::Rejected)
}

fn parse_p256(jwk: &Jwk) -> Result<(ParsedPublicKey, usize), KeyError> {
    if jwk.kty != "EC" {
        return Err(KeyError::UnsupportedKeyType);
    }
    if jwk.crv.as_deref() != Some("P-256") {
        return Err(KeyError::WrongCurve);
    }
    let mut point = vec![4];
    point.extend(fixed(jwk.x.as_deref(), "x")?);
    point.extend(fixed(jwk.y.as_deref(), "y")?);
    // The library refuses a point that is not on the curve (RFC 8725, 3.4).
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point)
        .map(|key| (key, CURVE_SIGNATURE_BYTES))
        .map_err(|_| KeyError::Rejected)
}

fn parse_ed25519(jwk: &Jwk) -> Result<(ParsedPublicKey, usize), KeyError> {
    if jwk.kty != "OKP" {
        return Err(KeyError::UnsupportedKeyType);
    }
    if jwk.crv.as_deref() != Some("Ed25519") {
        return Err(KeyError::WrongCurve);
    }
    ParsedPublicKey::new(&ED25519, fixed(jwk.x.as_deref(), "x")?)
        .map(|key| (key, CURVE_SIGNATURE_BYTES))
        .map_err(|_| KeyError::Rejected)
}

/// A member of fixed length: leading zeros stay (RFC 7518, 6.2.1.2; RFC 8037, 2).
fn fixed(member: Option<&str>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    member
        .and_then(base64url::decode)
        .filter(|bytes| bytes.len() == CURVE_MEMBER_BYTES)
        .ok_or(KeyError::Member(name))
}

/// A `Base64urlUInt`: in as few octets as the value needs (RFC 7518, 2).
fn unsigned(member: Option<&str>, name: &'static str) -> Result<Vec<u8>, KeyError> {
    member
        .and_then(base64url::decode)
        .filter(|bytes| bytes.first().is_some_and(|byte| *byte != 0))
        .ok_or(KeyError::Member(name))
}
