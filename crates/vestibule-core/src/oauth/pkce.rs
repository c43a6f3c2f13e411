//! Proof key for code exchange (RFC 7636; OAuth 2.1, 4.1.1 and 4.1.3). S256 is the only method.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A challenge: the SHA-256 of a verifier that only the client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads the 43 characters of base64url; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The challenge of a verifier; `None` when it is none (RFC 7636, 4.1). It is also what the method `plain` comes to, where the
    /// verifier itself is sent as the challenge: what is kept and what is asked for at the end are the same.
    pub fn of_verifier(verifier: &str) -> Option<Self> {
        let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
        let challenge = Self(hash.as_ref().try_into().ok()?);
        is_verifier(verifier).then_some(challenge)
    }

    /// The challenge on the wire.
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The digest as stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether the verifier is the one behind the challenge: 43 to 128 unreserved characters (RFC 7636, 4.1) whose SHA-256 it is.
    pub fn accepts(&self, verifier: &str) -> bool {
        let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
        is_verifier(verifier)
            && constant_time::verify_slices_are_equal(hash.as_ref(), &self.0).is_ok()
    }
}

fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn o21_17_s256_accepts_the_example_of_the_rfc_and_nothing_else() {
        let challenge = CodeChallenge::parse(CHALLENGE).unwrap();
        assert!(challenge.accepts(VERIFIER));
        for wrong in [
            "",
            CHALLENGE,
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl",
            &VERIFIER[..42],
            &format!("{VERIFIER}="),
            &"a".repeat(129),
        ] {
            assert!(!challenge.accepts(wrong), "{wrong}");
        }
    }

    #[test]
    fn t08_a_verifier_of_the_wrong_form_is_refused_even_when_its_hash_fits() {
        let short = "short";
        let hash: [u8; 32] = digest::digest(&digest::SHA256, short.as_bytes())
            .as_ref()
            .try_into()
            .unwrap();
        assert!(!CodeChallenge::from_bytes(hash).accepts(short));
    }

    #[test]
    fn a_challenge_is_43_characters_of_base64url() {
        for bad in [
            "",
            "x",
            &CHALLENGE[..42],
            &format!("{CHALLENGE}="),
            &format!("{CHALLENGE}A"),
            &CHALLENGE.replace('-', "+"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN",
        ] {
            assert_eq!(CodeChallenge::parse(bad), None, "{bad}");
        }
    }
}
