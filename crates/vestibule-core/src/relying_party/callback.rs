//! What a provider sends back through the browser (RFC 6749, 4.1.2; RFC 9207), by query or by form.
//!
//! The caller finds its own record by [`state`] first: the record knows which provider was asked, and only that provider's callback
//! may answer it (T05). What is read here is still anybody's word.

use super::fault::{UpstreamFault, UpstreamRefusal};
use super::metadata::ProviderMetadata;
use crate::oauth::params::{Params, ParamsError};
use crate::secret::{Handle, HandleKind, Secret};
use serde::Deserialize;

/// The longest code that is accepted from a provider, in bytes.
pub const CODE_BYTES_MAX: usize = 4096;

/// A provider's answer.
#[derive(Clone, Debug)]
pub struct Callback {
    /// The code to exchange.
    pub code: Secret,
    /// The person's name, which Apple tells here only, and only once. Nothing vouches for it: it is what it is called.
    pub name: Option<String>,
}

/// Reads what came, as a query or as a form. Providers write line breaks into what they say about an error (Microsoft does), and
/// [`Params`] takes control characters from nobody. Here they become spaces, which make no wrong code, state or issuer a right one.
pub fn read(encoded: &[u8]) -> Result<Params, ParamsError> {
    let mut clean = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = match rest {
            [b'%', b'0' | b'1', digit, after @ ..] if digit.is_ascii_hexdigit() => {
                clean.push(b'+');
                after
            }
            [b'%', b'7', b'F' | b'f', after @ ..] => {
                clean.push(b'+');
                after
            }
            _ => {
                clean.push(if byte.is_ascii_control() { b'+' } else { *byte });
                after
            }
        };
    }
    Params::parse(&clean)
}

/// The `state` of a callback, if it has the form of one of ours.
pub fn state(params: &Params) -> Option<Handle> {
    Handle::parse(HandleKind::UpstreamState, params.get("state")?)
}

impl Callback {
    /// Reads the answer of the provider that was asked.
    pub fn parse(params: &Params, metadata: &ProviderMetadata) -> Result<Self, UpstreamFault> {
        Self::parse_from(params, |iss| check_issuer(iss, metadata))
    }

    /// Reads an answer, if `check_issuer` accepts whose it says that it is.
    pub(crate) fn parse_from(
        params: &Params,
        check_issuer: impl FnOnce(Option<&str>) -> Result<(), UpstreamFault>,
    ) -> Result<Self, UpstreamFault> {
        for name in ["state", "code", "error", "iss"] {
            if params.is_repeated(name) {
                return Err(UpstreamFault::Callback("a parameter stands twice"));
            }
        }
        check_issuer(params.get("iss"))?;
        match (params.get("code"), params.get("error")) {
            (Some(code), None) if code.len() <= CODE_BYTES_MAX => Ok(Self {
                code: Secret::new(code.to_owned()),
                name: params.get("user").and_then(name_of),
            }),
            (Some(_), None) => Err(UpstreamFault::Callback("the code is too long")),
            (None, Some(error)) => Err(UpstreamFault::Refused(UpstreamRefusal::new(
                error,
                params.get("error_description").unwrap_or_default(),
            ))),
            (None, None) => Err(UpstreamFault::Callback("neither code nor error")),
            (Some(_), Some(_)) => Err(UpstreamFault::Callback("both code and error")),
        }
    }
}

/// RFC 9207, 2.4. Where we do not know an issuer (plain OAuth 2.0), a mix-up is refused by the callback's own address: one a provider.
fn check_issuer(iss: Option<&str>, metadata: &ProviderMetadata) -> Result<(), UpstreamFault> {
    match (&metadata.issuer, iss) {
        (Some(rule), Some(iss)) if !rule.accepts_response(iss) => {
            Err(UpstreamFault::CallbackIssuer)
        }
        (_, None) if metadata.iss_parameter => Err(UpstreamFault::CallbackIssuer),
        _ => Ok(()),
    }
}

/// Apple's `user` field. The address in it is not signed, so it is not read.
fn name_of(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct User {
        name: Name,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Name {
        #[serde(default)]
        first_name: String,
        #[serde(default)]
        last_name: String,
    }
    let Name {
        first_name,
        last_name,
    } = serde_json::from_str::<User>(json).ok()?.name;
    super::identity::clean(format!("{first_name} {last_name}").trim())
}

#[cfg(test)]
mod tests {
    use super::super::metadata::tests::metadata;
    use super::super::provider::tests::provider;
    use super::*;
    use crate::id::tests::Counting;
    use crate::time::Timestamp;

    fn parse(query: &str, metadata: &ProviderMetadata) -> Result<String, UpstreamFault> {
        Callback::parse(&Params::parse(query.as_bytes()).unwrap(), metadata)
            .map(|callback| callback.code.reveal().to_owned())
    }

    #[test]
    fn t05_a_callback_of_another_issuer_is_refused_errors_included() {
        let announced = metadata();
        let silent = ProviderMetadata {
            iss_parameter: false,
            ..metadata()
        };
        let plain = ProviderMetadata::of_settings(&provider(
            r#"{"id":"g","preset":"github","client_id":"c"}"#,
        ))
        .unwrap();
        #[rustfmt::skip]
        let table = [
            (&announced, "code=c&iss=https://op.example",   Ok("c".to_owned())),
            (&announced, "code=c",                          Err(UpstreamFault::CallbackIssuer)),
            (&announced, "code=c&iss=",                     Err(UpstreamFault::CallbackIssuer)),
            (&announced, "code=c&iss=https://op.example/",  Err(UpstreamFault::CallbackIssuer)),
            (&announced, "code=c&iss=https://evil.example", Err(UpstreamFault::CallbackIssuer)),
            (&announced, "error=access_denied",             Err(UpstreamFault::CallbackIssuer)),
            (&silent,    "code=c",                          Ok("c".to_owned())),
            (&silent,    "code=c&iss=https://evil.example", Err(UpstreamFault::CallbackIssuer)),
            (&plain,     "code=c",                          Ok("c".to_owned())),
            (&plain,     "code=c&iss=https://github.com/login/oauth", Ok("c".to_owned())),
            (&plain,     "",                                Err(UpstreamFault::Callback("neither code nor error"))),
            (&plain,     "code=",                           Err(UpstreamFault::Callback("neither code nor error"))),
            (&plain,     "code=c&error=access_denied",      Err(UpstreamFault::Callback("both code and error"))),
            (&plain,     "code=c&code=d",                   Err(UpstreamFault::Callback("a parameter stands twice"))),
            (&plain,     "code=c&iss=a&iss=b",              Err(UpstreamFault::Callback("a parameter stands twice"))),
            (&plain,     "code=c&state=a&state=b",          Err(UpstreamFault::Callback("a parameter stands twice"))),
        ];
        for (row, (metadata, query, expected)) in table.into_iter().enumerate() {
            assert_eq!(parse(query, metadata), expected, "row {row}: {query}");
        }
        let long = format!("code={}", "x".repeat(CODE_BYTES_MAX + 1));
        assert_eq!(
            parse(&long, &plain),
            Err(UpstreamFault::Callback("the code is too long"))
        );
        let denied = parse("error=access_denied&error_description=No", &plain).unwrap_err();
        assert!(denied.is_denial() && !denied.is_temporary());
        assert!(
            parse("error=temporarily_unavailable", &plain)
                .unwrap_err()
                .is_temporary()
        );
    }

    #[test]
    fn what_a_provider_says_may_have_line_breaks() {
        for (encoded, description) in [
            (
                "error=e&error_description=No.%0D%0aTrace:+1%7f%00",
                "No.  Trace: 1  ",
            ),
            ("error=e&error_description=a\r\nb%20c%257F%2B", "a  b c%7F+"),
            ("error=e&error_description=%C3%A9%41", "éA"),
        ] {
            let params = read(encoded.as_bytes()).unwrap();
            assert_eq!(params.get("error"), Some("e"));
            assert_eq!(params.get("error_description"), Some(description));
        }
        // What counts is not repaired by it.
        let params = read(b"code=c%0A&iss=https://op.example%0A").unwrap();
        assert_eq!(params.get("code"), Some("c "));
        assert_eq!(
            Callback::parse(&params, &metadata()).unwrap_err(),
            UpstreamFault::CallbackIssuer
        );
        for malformed in ["a=%0", "a=%0g", "a=%", "a=%ff"] {
            assert!(read(malformed.as_bytes()).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_state_is_one_handle_of_its_kind() {
        let at = Timestamp::from_seconds(1);
        let mint = |kind| {
            Handle::mint(kind, at, &Counting::default())
                .reveal()
                .reveal()
                .to_owned()
        };
        let of = |query: &str| state(&Params::parse(query.as_bytes()).unwrap()).is_some();
        let good = mint(HandleKind::UpstreamState);
        assert!(of(&format!("state={good}")));
        for bad in [
            String::new(),
            "state=".to_owned(),
            format!("state={good}&state={good}"),
            format!("state={}", mint(HandleKind::Session)),
        ] {
            assert!(!of(&bad), "{bad}");
        }
    }

    #[test]
    fn of_apple_s_user_field_only_the_name_is_read() {
        let of = |json: &str| {
            let query: String = ::url::form_urlencoded::Serializer::new(String::new())
                .append_pair("code", "c")
                .append_pair("iss", "https://op.example")
                .append_pair("user", json)
                .finish();
            Callback::parse(&Params::parse(query.as_bytes()).unwrap(), &metadata())
                .unwrap()
                .name
        };
        assert_eq!(
            of(r#"{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"evil@x.example"}"#)
                .as_deref(),
            Some("Ada Lovelace")
        );
        for silent in [
            "",
            "x",
            "{}",
            r#"{"name":"Ada"}"#,
            r#"{"name":{}}"#,
            r#"{"email":"a@b.example"}"#,
        ] {
            assert_eq!(of(silent), None, "{silent}");
        }
    }
}
