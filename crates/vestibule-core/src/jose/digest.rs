//! Digests that bind one token to another.

use aws_lc_rs::digest::{SHA256, SHA512, digest};

use super::algorithm::Algorithm;
use super::base64url;

/// `at_hash` or `c_hash` for an ID token signed with `algorithm` (`OpenID` Connect Core, 3.1.3.6 and 3.3.2.11): the left
/// half of the digest of the token's or code's ASCII octets, base64url encoded.
///
/// The digest is the one of the signature algorithm. For `EdDSA` the text names none; Ed25519 hashes with SHA-512
/// (RFC 8032, 5.1), and the working group agreed on that (<https://bitbucket.org/openid/connect/issues/1125>).
pub fn left_half_hash(algorithm: Algorithm, ascii: &str) -> String {
    let hash = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &SHA256,
        Algorithm::EdDSA => &SHA512,
    };
    let full = digest(hash, ascii.as_bytes());
    let (left, _) = full.as_ref().split_at(full.as_ref().len() / 2);
    base64url::encode(left)
}
