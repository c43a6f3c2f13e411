//! Base64url as RFC 7515, 2 defines it: no padding, no line breaks, nothing else.
//!
//! Decoding also refuses trailing bits that are not zero (RFC 4648, 3.5), so that each value has one spelling only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn encode_onto(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// How many characters that many bytes need.
pub(super) fn encoded_len(bytes: usize) -> usize {
    base64::encoded_len(bytes, false).unwrap_or(usize::MAX)
}
