//! The ID token of a provider (OpenID Connect Core, 3.1.3.7). Everything that can be checked is checked, in its order.

use super::fault::UpstreamFault;
use super::jwks::Jwks;
use super::metadata::ProviderMetadata;
use super::provider::Provider;
use super::request::SignedInSince;
use crate::identity::account::is_subject;
use crate::jose::digest::left_half_hash;
use crate::jose::token_type::TokenType;
use crate::jose::verify::verify_upstream;
use crate::oauth::mint::Audience;
use crate::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far a provider's clock may be from ours, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// What the ID token must agree with.
#[derive(Clone, Debug)]
pub struct ExpectedIdToken<'a> {
    audiences: Vec<&'a str>,
    nonce: Option<&'a str>,
    nonce_required: bool,
    access_token: Option<&'a str>,
    signed_in: Option<SignedInSince>,
}

impl<'a> ExpectedIdToken<'a> {
    /// The ID token that came for a code: ours alone, with the nonce that we sent, beside this access token.
    pub fn of_exchange(
        provider: &'a Provider,
        nonce: &'a str,
        access_token: &'a str,
        signed_in: Option<SignedInSince>,
    ) -> Self {
        Self {
            audiences: vec![&provider.client_id],
            nonce: Some(nonce),
            nonce_required: provider.nonce_required,
            access_token: Some(access_token),
            signed_in,
        }
    }

    /// The ID token that an app on a device got by itself (Apple): for one of its bundle ids, with the nonce that the app names.
    pub fn of_native(provider: &'a Provider, nonce: Option<&'a str>) -> Self {
        Self {
            audiences: provider
                .apple_bundle_ids
                .iter()
                .map(String::as_str)
                .collect(),
            nonce,
            nonce_required: nonce.is_some(),
            access_token: None,
            signed_in: None,
        }
    }

    /// The ID token that came with refreshed tokens (OpenID Connect Core, 12.2): without a nonce of this moment.
    pub fn of_refresh(provider: &'a Provider, access_token: &'a str) -> Self {
        Self {
            audiences: vec![&provider.client_id],
            nonce: None,
            nonce_required: false,
            access_token: Some(access_token),
            signed_in: None,
        }
    }
}

/// The claims of an ID token that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamClaims {
    /// The person's id at the provider.
    pub subject: String,
    /// When the person proved to the provider who they are, where it says.
    pub auth_time: Option<Timestamp>,
    /// Every claim.
    pub claims: Map<String, Value>,
}

#[derive(Deserialize)]
struct Checked {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Value,
    iat: Value,
    #[serde(default)]
    nbf: Option<Value>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    at_hash: Option<String>,
    #[serde(default)]
    auth_time: Option<Value>,
    #[serde(default)]
    tid: Option<String>,
}

/// Checks an ID token. [`UpstreamFault::wants_fresh_keys`] says when to fetch the keys once more and ask again.
pub fn verify(
    token: &str,
    jwks: &Jwks,
    metadata: &ProviderMetadata,
    expected: &ExpectedIdToken<'_>,
    now: Timestamp,
) -> Result<UpstreamClaims, UpstreamFault> {
    let verified = verify_upstream(token, jwks.keys(), TokenType::IdToken)?;
    let algorithm = verified.algorithm();
    if !metadata.algorithms.contains(&algorithm) {
        return Err(UpstreamFault::Algorithm);
    }
    let claims = verified.claims().clone();
    for name in ["iss", "sub", "aud", "exp", "iat"] {
        if !claims.contains_key(name) {
            return Err(UpstreamFault::Claim(name));
        }
    }
    let checked: Checked =
        Checked::deserialize(&claims).map_err(|_| UpstreamFault::Claim("of another type"))?;
    let issuer = metadata.issuer.as_ref().ok_or(UpstreamFault::Issuer)?;
    if !issuer.accepts(&checked.iss, checked.tid.as_deref()) {
        return Err(UpstreamFault::Issuer);
    }
    check_audience(&checked.aud, checked.azp.as_deref(), &expected.audiences)?;
    check_times(&checked, now)?;
    match (expected.nonce, checked.nonce.as_deref()) {
        (Some(sent), Some(nonce)) if sent != nonce => return Err(UpstreamFault::Nonce),
        (Some(_), None) if expected.nonce_required => return Err(UpstreamFault::Nonce),
        _ => {}
    }
    if let (Some(hash), Some(access_token)) = (&checked.at_hash, expected.access_token)
        && *hash != left_half_hash(algorithm, access_token)
    {
        return Err(UpstreamFault::AccessTokenHash);
    }
    let auth_time = checked.auth_time.as_ref().and_then(seconds);
    let auth_time = auth_time.map(Timestamp::from_seconds);
    check_sign_in(auth_time, expected.signed_in)?;
    if !is_subject(&checked.sub) {
        return Err(UpstreamFault::Claim("sub"));
    }
    Ok(UpstreamClaims {
        subject: checked.sub,
        auth_time,
        claims,
    })
}

/// OpenID Connect Core, 3.1.3.7, 3 to 5. With several audiences the token must have been given to us.
pub(crate) fn check_audience(
    audience: &Audience,
    party: Option<&str>,
    ours: &[&str],
) -> Result<(), UpstreamFault> {
    if !ours.iter().any(|id| audience.contains(id)) {
        return Err(UpstreamFault::Audience);
    }
    let several = matches!(audience, Audience::Several(all) if all.len() > 1);
    match party {
        Some(party) if !ours.contains(&party) => Err(UpstreamFault::AuthorizedParty),
        None if several => Err(UpstreamFault::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_times(checked: &Checked, now: Timestamp) -> Result<(), UpstreamFault> {
    let expires_at = seconds(&checked.exp).ok_or(UpstreamFault::Claim("exp"))?;
    let issued_at = seconds(&checked.iat).ok_or(UpstreamFault::Claim("iat"))?;
    if now.seconds().saturating_sub(CLOCK_SKEW_SECONDS) >= expires_at {
        return Err(UpstreamFault::Expired);
    }
    let latest = now.seconds().saturating_add(CLOCK_SKEW_SECONDS);
    let not_before = match &checked.nbf {
        Some(value) => seconds(value).ok_or(UpstreamFault::Claim("nbf"))?,
        None => issued_at,
    };
    if issued_at > latest || not_before > latest {
        return Err(UpstreamFault::NotYet);
    }
    Ok(())
}

/// OpenID Connect Core, 3.1.3.7, 13. One that nobody asked for may be missing, and then says nothing.
fn check_sign_in(
    auth_time: Option<Timestamp>,
    signed_in: Option<SignedInSince>,
) -> Result<(), UpstreamFault> {
    let Some(SignedInSince {
        since,
        must_be_told,
    }) = signed_in
    else {
        return Ok(());
    };
    match auth_time {
        None if must_be_told => Err(UpstreamFault::Claim("auth_time")),
        Some(time) if time.seconds().saturating_add(CLOCK_SKEW_SECONDS) < since.seconds() => {
            Err(UpstreamFault::SignInAge)
        }
        _ => Ok(()),
    }
}

/// A point in time as JSON has it (RFC 7519, 2: a number, with a fraction even).
pub(crate) fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let text = number.to_string();
        let (whole, fraction) = text.split_once('.')?;
        fraction
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| whole.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Directories, IssuerRule};
    use super::super::provider::tests::provider;
    use super::*;
    use crate::jose::algorithm::Algorithm;
    use crate::jose::key::SigningKey;
    use crate::jose::verify::{Part, VerifyError};
    use crate::url::EndpointUrl;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const ISSUER: &str = "https://op.example";

    fn metadata(issuer: IssuerRule) -> ProviderMetadata {
        let at = |path: &str| EndpointUrl::parse(&format!("{ISSUER}{path}")).unwrap();
        ProviderMetadata {
            issuer: Some(issuer),
            authorization_endpoint: at("/auth"),
            token_endpoint: at("/token"),
            userinfo_endpoint: None,
            jwks_uri: Some(at("/jwks")),
            algorithms: vec![Algorithm::ES256, Algorithm::EdDSA],
            iss_parameter: false,
        }
    }

    fn exact() -> ProviderMetadata {
        metadata(IssuerRule::Exact(ISSUER.to_owned()))
    }

    fn jwks(keys: &[&SigningKey]) -> Jwks {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
        Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
    }

    fn good(access_token: &str) -> Value {
        json!({
            "iss": ISSUER, "sub": "s-1", "aud": "our-client", "exp": 1_000_300, "iat": 999_990, "nonce": "n-1",
            "at_hash": left_half_hash(Algorithm::ES256, access_token),
        })
    }

    #[test]
    fn t47_each_claim_that_is_wrong_is_refused_by_its_name() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let keys = jwks(&[&key]);
        let provider =
            provider(r#"{"id":"op","client_id":"our-client","issuer":"https://op.example"}"#);
        let with = |changes: Value| {
            let mut claims = good("at-1");
            for (name, value) in changes.as_object().unwrap() {
                if value == "(absent)" {
                    claims.as_object_mut().unwrap().remove(name);
                } else {
                    claims[name] = value.clone();
                }
            }
            let token = key.sign(TokenType::IdToken, &claims).unwrap();
            let expected = ExpectedIdToken::of_exchange(&provider, "n-1", "at-1", None);
            verify(&token, &keys, &exact(), &expected, NOW).map(|claims| claims.subject)
        };
        #[rustfmt::skip]
        let table = [
            (json!({}),                                                   Ok("s-1".to_owned())),
            (json!({"aud": ["our-client"]}),                              Ok("s-1".to_owned())),
            (json!({"aud": ["our-client", "b"], "azp": "our-client"}),    Ok("s-1".to_owned())),
            (json!({"at_hash": "(absent)"}),                              Ok("s-1".to_owned())),
            (json!({"exp": 999_941}),                                     Ok("s-1".to_owned())),
            (json!({"iat": 1_000_060}),                                   Ok("s-1".to_owned())),
            (json!({"exp": 1_000_300.5}),                                 Ok("s-1".to_owned())),
            (json!({"iss": "https://op.example/"}),                       Err(UpstreamFault::Issuer)),
            (json!({"iss": "https://OP.example"}),                        Err(UpstreamFault::Issuer)),
            (json!({"iss": "https://evil.example"}),                      Err(UpstreamFault::Issuer)),
            (json!({"iss": "(absent)"}),                                  Err(UpstreamFault::Claim("iss"))),
            (json!({"aud": "other"}),                                     Err(UpstreamFault::Audience)),
            (json!({"aud": []}),                                          Err(UpstreamFault::Audience)),
            (json!({"aud": "our-client2"}),                               Err(UpstreamFault::Audience)),
            (json!({"aud": "(absent)"}),                                  Err(UpstreamFault::Claim("aud"))),
            (json!({"aud": ["our-client", "b"]}),                         Err(UpstreamFault::AuthorizedParty)),
            (json!({"aud": ["our-client", "b"], "azp": "b"}),             Err(UpstreamFault::AuthorizedParty)),
            (json!({"azp": "b"}),                                         Err(UpstreamFault::AuthorizedParty)),
            (json!({"exp": 999_940}),                                     Err(UpstreamFault::Expired)),
            (json!({"exp": "1000300"}),                                   Err(UpstreamFault::Claim("exp"))),
            (json!({"exp": "(absent)"}),                                  Err(UpstreamFault::Claim("exp"))),
            (json!({"iat": 1_000_061}),                                   Err(UpstreamFault::NotYet)),
            (json!({"iat": "(absent)"}),                                  Err(UpstreamFault::Claim("iat"))),
            (json!({"nbf": 1_000_061}),                                   Err(UpstreamFault::NotYet)),
            (json!({"nonce": "n-2"}),                                     Err(UpstreamFault::Nonce)),
            (json!({"nonce": ""}),                                        Err(UpstreamFault::Nonce)),
            (json!({"nonce": "(absent)"}),                                Err(UpstreamFault::Nonce)),
            (json!({"at_hash": left_half_hash(Algorithm::ES256, "at-2")}), Err(UpstreamFault::AccessTokenHash)),
            (json!({"sub": "(absent)"}),                                  Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": ""}),                                          Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": "x".repeat(513)}),                             Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": "s-1\u{0}"}),                                  Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": "s-1\n"}),                                     Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": "s\u{7f}1"}),                                  Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": "s\u{85}1"}),                                  Err(UpstreamFault::Claim("sub"))),
            (json!({"sub": 7}),                                           Err(UpstreamFault::Claim("of another type"))),
        ];
        for (row, (changes, expected)) in table.into_iter().enumerate() {
            assert_eq!(with(changes.clone()), expected, "row {row}: {changes}");
        }
    }

    #[test]
    fn t47_another_key_algorithm_type_or_signature_is_refused() {
        let (key, other) = (
            SigningKey::generate(Algorithm::ES256).unwrap(),
            SigningKey::generate(Algorithm::ES256).unwrap(),
        );
        let rsa = SigningKey::generate(Algorithm::RS256).unwrap();
        let provider =
            provider(r#"{"id":"op","client_id":"our-client","issuer":"https://op.example"}"#);
        let ask = |token: &str, keys: &Jwks| {
            let expected = ExpectedIdToken::of_exchange(&provider, "n-1", "at-1", None);
            verify(token, keys, &exact(), &expected, NOW)
        };
        let unknown = other.sign(TokenType::IdToken, &good("at-1")).unwrap();
        let fault = ask(&unknown, &jwks(&[&key])).unwrap_err();
        assert_eq!(fault, UpstreamFault::IdToken(VerifyError::UnknownKey));
        assert!(fault.wants_fresh_keys());
        let of_rsa = rsa.sign(TokenType::IdToken, &good("at-1")).unwrap();
        assert_eq!(
            ask(&of_rsa, &jwks(&[&rsa])).unwrap_err(),
            UpstreamFault::Algorithm
        );
        for kind in [
            TokenType::AccessToken,
            TokenType::LogoutToken,
            TokenType::ProjectToken,
        ] {
            let token = key.sign(kind, &good("at-1")).unwrap();
            assert_eq!(
                ask(&token, &jwks(&[&key])).unwrap_err(),
                UpstreamFault::IdToken(VerifyError::WrongType)
            );
        }
        let token = key.sign(TokenType::IdToken, &good("at-1")).unwrap();
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (_, wrong) = unknown.rsplit_once('.').unwrap();
        assert_ne!(signature, wrong);
        assert_eq!(
            ask(&format!("{head}.{wrong}"), &jwks(&[&key])).unwrap_err(),
            UpstreamFault::IdToken(VerifyError::BadSignature)
        );
        // {"alg":"none"} and {"alg":"HS256"}.
        let (_, payload) = head.split_once('.').unwrap();
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
            assert_eq!(
                ask(&format!("{header}.{payload}."), &jwks(&[&key])).unwrap_err(),
                UpstreamFault::IdToken(VerifyError::UnsupportedAlgorithm)
            );
        }
        for bad in ["", "a.b", "a.b.c.d.e", "oat_x"] {
            let fault = ask(bad, &jwks(&[&key])).unwrap_err();
            assert!(
                matches!(
                    fault,
                    UpstreamFault::IdToken(
                        VerifyError::NotCompact | VerifyError::Encoding(Part::Header)
                    )
                ),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_token_may_leave_out_the_name_of_the_only_key_of_its_algorithm() {
        let (key, other) = (
            SigningKey::generate(Algorithm::EdDSA).unwrap(),
            SigningKey::generate(Algorithm::EdDSA).unwrap(),
        );
        let provider =
            provider(r#"{"id":"op","client_id":"our-client","issuer":"https://op.example"}"#);
        let mut claims = good("at-1");
        claims.as_object_mut().unwrap().remove("at_hash");
        // A header without `kid` cannot be signed here; the rule is the key set's.
        let token = key.sign(TokenType::IdToken, &claims).unwrap();
        let expected = ExpectedIdToken::of_exchange(&provider, "n-1", "at-1", None);
        assert!(verify(&token, &jwks(&[&key, &other]), &exact(), &expected, NOW).is_ok());
        assert!(jwks(&[&key]).keys().only(Algorithm::EdDSA).is_some());
        assert!(
            jwks(&[&key, &other])
                .keys()
                .only(Algorithm::EdDSA)
                .is_none()
        );
        assert!(jwks(&[&key]).keys().only(Algorithm::ES256).is_none());
    }

    #[test]
    fn microsoft_s_issuer_is_the_one_of_the_directory_that_the_token_names() {
        const WORK: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let (any, work) = (
            IssuerRule::Directory(Directories::Any),
            IssuerRule::Directory(Directories::Organizations),
        );
        let iss = |id: &str| format!("https://login.microsoftonline.com/{id}/v2.0");
        #[rustfmt::skip]
        let table = [
            (&any,  iss(WORK),                              Some(WORK),        true),
            (&any,  iss(PERSONAL),                          Some(PERSONAL),    true),
            (&work, iss(WORK),                              Some(WORK),        true),
            (&work, iss(PERSONAL),                          Some(PERSONAL),    false),
            (&any,  iss(WORK),                              Some(PERSONAL),    false),
            (&any,  iss(WORK),                              None,              false),
            (&any,  iss("{tenantid}"),                      Some("{tenantid}"), false),
            (&any,  iss("common"),                          Some("common"),    false),
            (&any,  iss("../evil"),                         Some("../evil"),   false),
            (&any,  format!("https://evil.example/{WORK}/v2.0"), Some(WORK),   false),
            (&any,  iss(WORK).to_uppercase(),               Some(WORK),        false),
        ];
        for (row, (rule, iss, tid, expected)) in table.into_iter().enumerate() {
            assert_eq!(rule.accepts(&iss, tid), expected, "row {row}");
        }
    }

    #[test]
    fn a_native_token_is_for_a_bundle_id_and_not_for_the_website() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let provider = provider(
            r#"{"id":"apple","preset":"apple","client_id":"our-client","apple_team_id":"T1","apple_key_id":"K1","apple_bundle_ids":["com.example.app"]}"#,
        );
        let ask = |audience: &str, nonce: Option<&str>| {
            let mut claims = good("at-1");
            claims["aud"] = audience.into();
            let token = key.sign(TokenType::IdToken, &claims).unwrap();
            let expected = ExpectedIdToken::of_native(&provider, nonce);
            verify(&token, &jwks(&[&key]), &exact(), &expected, NOW).err()
        };
        assert_eq!(ask("com.example.app", None), None);
        assert_eq!(ask("com.example.app", Some("n-1")), None);
        assert_eq!(
            ask("com.example.app", Some("n-2")),
            Some(UpstreamFault::Nonce)
        );
        assert_eq!(ask("our-client", None), Some(UpstreamFault::Audience));
        assert_eq!(ask("com.evil.app", None), Some(UpstreamFault::Audience));
    }

    #[test]
    fn t44_a_sign_in_that_is_too_old_or_without_its_time_is_refused_where_that_was_asked() {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let keys = jwks(&[&key]);
        let provider =
            provider(r#"{"id":"op","client_id":"our-client","issuer":"https://op.example"}"#);
        let since = |must_be_told| {
            let since = Timestamp::from_seconds(999_000);
            Some(SignedInSince {
                since,
                must_be_told,
            })
        };
        let (missing, old) = (
            Err(UpstreamFault::Claim("auth_time")),
            Err(UpstreamFault::SignInAge),
        );
        #[rustfmt::skip]
        let table = [
            (None,        json!(null),      Ok(None)),
            (None,        json!(5),         Ok(Some(5))),
            (None,        json!("999000"),  Ok(None)),
            (since(true), json!(999_000),   Ok(Some(999_000))),
            (since(true), json!(998_940),   Ok(Some(998_940))),
            (since(true), json!(998_939),   old.clone()),
            (since(true), json!(-1),        old.clone()),
            (since(true), json!(null),      missing.clone()),
            (since(true), json!("999000"),  missing.clone()),
            (since(true), json!(true),      missing),
            (since(false), json!(null),     Ok(None)),
            (since(false), json!(998_939),  old),
        ];
        for (row, (signed_in, auth_time, expected)) in table.into_iter().enumerate() {
            let mut claims = good("at-1");
            claims["auth_time"] = auth_time;
            let token = key.sign(TokenType::IdToken, &claims).unwrap();
            let wanted = ExpectedIdToken::of_exchange(&provider, "n-1", "at-1", signed_in);
            let found = verify(&token, &keys, &exact(), &wanted, NOW);
            let found = found.map(|claims| claims.auth_time.map(Timestamp::seconds));
            assert_eq!(found, expected, "row {row}");
        }
    }
}
