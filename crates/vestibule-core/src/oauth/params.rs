//! Request parameters, in the form that browsers and clients send them (application/x-www-form-urlencoded).
//!
//! A name stands once (RFC 6749, 3.1 and 3.2; OAuth 2.1, 3.1), an empty value is an absent one, everything is bounded, and what
//! cannot be read exactly is refused rather than repaired: no lossy decoding, no control characters.

/// The most parameters in one request.
pub const PARAMS_COUNT_MAX: usize = 64;
/// The most bytes of one request's parameters, encoded.
pub const PARAMS_BYTES_MAX: usize = 32 * 1024;
/// The most bytes of one value, decoded.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// The most values of the one parameter that may repeat, `resource` (RFC 8707, 2).
pub const RESOURCES_COUNT_MAX: usize = 8;

/// Why parameters cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// More than [`PARAMS_BYTES_MAX`] or [`PARAMS_COUNT_MAX`], or a value above [`VALUE_BYTES_MAX`].
    #[error("the request has too many or too long parameters")]
    TooLarge,
    /// A percent escape that is none, bytes that are not UTF-8, or a control character.
    #[error("a parameter is not well-formed UTF-8 text in form encoding")]
    Malformed,
}

/// The parameters of one request.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    repeated: Option<String>,
}

impl Params {
    /// Reads one carrier (a query or a body).
    pub fn parse(encoded: &[u8]) -> Result<Self, ParamsError> {
        Self::default().and(encoded)
    }

    /// Reads a second carrier into the same set: a name that stands in both is repeated.
    pub fn and(mut self, encoded: &[u8]) -> Result<Self, ParamsError> {
        if encoded.len() > PARAMS_BYTES_MAX {
            return Err(ParamsError::TooLarge);
        }
        for pair in encoded
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            if self.pairs.len() >= PARAMS_COUNT_MAX {
                return Err(ParamsError::TooLarge);
            }
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if self.repeated.is_none()
                && name != "resource"
                && self.pairs.iter().any(|(known, _)| *known == name)
            {
                self.repeated = Some(name.clone());
            }
            self.pairs.push((name, value));
        }
        if self.all("resource").count() > RESOURCES_COUNT_MAX {
            self.repeated.get_or_insert_with(|| "resource".to_owned());
        }
        Ok(self)
    }

    /// The value of a parameter. An empty value is an absent one (RFC 6749, 3.1); of a repeated one there is no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => Some(value),
            _ => None,
        }
    }

    /// Every value of the parameter that may repeat.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// The first name that stands more than once.
    pub fn repeated(&self) -> Option<&str> {
        self.repeated.as_deref()
    }

    /// Whether this name stands more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.pairs.iter().filter(|(known, _)| known == name).count() > 1
    }

    /// The parameters that `keep` names, encoded again: what a sealed request carries.
    pub fn encode(&self, keep: &[&str]) -> String {
        let mut out = ::url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in self
            .pairs
            .iter()
            .filter(|(name, value)| keep.contains(&name.as_str()) && !value.is_empty())
        {
            out.append_pair(name, value);
        }
        out.finish()
    }
}

/// Decodes one name or value, exactly or not at all.
fn decode(encoded: &[u8]) -> Result<String, ParamsError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = rest
                    .next()
                    .and_then(|digit| hexadecimal(*digit))
                    .ok_or(ParamsError::Malformed)?;
                let low = rest
                    .next()
                    .and_then(|digit| hexadecimal(*digit))
                    .ok_or(ParamsError::Malformed)?;
                high << 4 | low
            }
            byte => *byte,
        });
    }
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(ParamsError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| ParamsError::Malformed)?;
    if text.chars().any(char::is_control) {
        Err(ParamsError::Malformed)
    } else {
        Ok(text)
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Decodes one half of HTTP Basic credentials, which are form-encoded before base64 (RFC 6749, 2.3.1). `None` when malformed.
pub(crate) fn form_decode(text: &str) -> Option<String> {
    decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t10_a_repeated_name_has_no_value_and_is_named() {
        let params = Params::parse(b"a=1&b=2&a=1").unwrap();
        assert_eq!(
            (params.get("a"), params.get("b"), params.repeated()),
            (None, Some("2"), Some("a"))
        );
        let across = Params::parse(b"a=1").unwrap().and(b"a=2").unwrap();
        assert_eq!(across.repeated(), Some("a"));
        let resources = Params::parse(b"resource=https://a&resource=https://b").unwrap();
        assert_eq!(
            (resources.repeated(), resources.all("resource").count()),
            (None, 2)
        );
    }

    #[test]
    fn o21_11_an_empty_value_is_an_absent_one() {
        let params = Params::parse(b"a=&b&&c=x").unwrap();
        assert_eq!(
            (params.get("a"), params.get("b"), params.get("c")),
            (None, None, Some("x"))
        );
    }

    #[test]
    fn t11_what_cannot_be_read_exactly_is_refused() {
        for bad in [
            &b"a=%"[..],
            b"a=%4",
            b"a=%zz",
            b"a=%ff",
            b"a=\xff",
            b"a=%00",
            b"a=%0d%0a",
            b"a=%c0%af",
            b"a=%ed%a0%80",
            b"%00=a",
            b"a=\x7f",
            b"a=%C2%85",
        ] {
            assert_eq!(
                Params::parse(bad).unwrap_err(),
                ParamsError::Malformed,
                "{bad:?}"
            );
        }
        assert_eq!(
            Params::parse(&vec![b'a'; PARAMS_BYTES_MAX + 1]).unwrap_err(),
            ParamsError::TooLarge
        );
        assert_eq!(
            Params::parse("a=1&".repeat(65).as_bytes()).unwrap_err(),
            ParamsError::TooLarge
        );
        assert_eq!(
            Params::parse(format!("a={}", "x".repeat(VALUE_BYTES_MAX + 1)).as_bytes()).unwrap_err(),
            ParamsError::TooLarge
        );
    }

    #[test]
    fn t11_marks_and_plane_one_characters_survive() {
        let value = "a\u{202e}b\u{feff}😀 &=+%";
        let encoded: String = ::url::form_urlencoded::Serializer::new(String::new())
            .append_pair("state", value)
            .finish();
        let params = Params::parse(encoded.as_bytes()).unwrap();
        assert_eq!(params.get("state"), Some(value));
        assert_eq!(
            Params::parse(params.encode(&["state"]).as_bytes())
                .unwrap()
                .get("state"),
            Some(value)
        );
    }

    proptest! {
        #[test]
        fn t11_any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Params::parse(&bytes);
        }

        #[test]
        fn what_is_encoded_reads_back(name in "[a-z]{1,8}", value in "[^\\p{Cc}]{1,40}") {
            let encoded: String = ::url::form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            let params = Params::parse(encoded.as_bytes()).unwrap();
            prop_assert_eq!(params.get(&name), Some(value.as_str()));
        }
    }
}
