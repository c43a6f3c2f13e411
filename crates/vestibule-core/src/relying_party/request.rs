//! The authorization request to a provider (OpenID Connect Core, 3.1.2.1; RFC 7636, 4.3).

use super::metadata::ProviderMetadata;
use super::provider::Provider;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::scope::ScopeSet;
use crate::secret::Secret;

/// What one request adds to what the provider always gets.
#[derive(Clone, Debug)]
pub struct UpstreamAsk<'a> {
    /// Our callback, as it is registered there.
    pub redirect_uri: &'a str,
    /// What comes back with the answer.
    pub state: &'a Secret,
    /// What comes back in the ID token.
    pub nonce: &'a Secret,
    /// What proves at the token endpoint that we asked.
    pub verifier: &'a Secret,
    /// Scopes besides the provider's own.
    pub extra_scopes: &'a ScopeSet,
    /// Whom the app expects.
    pub login_hint: Option<&'a str>,
    /// What the app wants the person to be asked, instead of the provider's setting.
    pub prompt: Option<&'a str>,
}

/// The scopes that are asked for in one request.
pub fn asked_scopes(provider: &Provider, extra: &ScopeSet) -> ScopeSet {
    provider.scopes.union(extra)
}

/// The address to send the browser to.
pub fn authorization_url(
    provider: &Provider,
    metadata: &ProviderMetadata,
    ask: &UpstreamAsk<'_>,
) -> String {
    let scope = asked_scopes(provider, ask.extra_scopes).to_string();
    let challenge = provider
        .pkce
        .then(|| CodeChallenge::of_verifier(ask.verifier.reveal()))
        .flatten()
        .map(|challenge| challenge.to_text());
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", provider.client_id.as_str()),
        ("redirect_uri", ask.redirect_uri),
        ("scope", scope.as_str()),
        ("state", ask.state.reveal()),
    ];
    if provider.is_openid() {
        fields.push(("nonce", ask.nonce.reveal()));
    }
    if let Some(challenge) = &challenge {
        fields.push(("code_challenge", challenge));
        fields.push(("code_challenge_method", "S256"));
    }
    if provider.form_post {
        fields.push(("response_mode", "form_post"));
    }
    fields.extend(ask.login_hint.map(|hint| ("login_hint", hint)));
    fields.extend(ask.prompt.map(|prompt| ("prompt", prompt)));
    for (name, value) in &provider.authorization_params {
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name, value));
        }
    }
    metadata.authorization_endpoint.with_query(fields)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::tests::metadata;
    use super::super::provider::tests::provider;
    use super::*;
    use std::collections::BTreeMap;

    fn sent(json: &str, prompt: Option<&str>) -> BTreeMap<String, String> {
        let provider = provider(json);
        let metadata = ProviderMetadata::of_settings(&provider).unwrap_or_else(metadata);
        let secret = |text: &str| Secret::new(text.to_owned());
        let address = authorization_url(
            &provider,
            &metadata,
            &UpstreamAsk {
                redirect_uri: "https://id.example/cb",
                state: &secret("ups_x"),
                nonce: &secret("n-1"),
                verifier: &secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                extra_scopes: &ScopeSet::parse("email extra").unwrap(),
                login_hint: None,
                prompt,
            },
        );
        let pairs: Vec<_> = ::url::Url::parse(&address)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
        let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "no parameter stands twice");
        map
    }

    #[test]
    fn a_request_has_state_nonce_and_challenge_and_never_the_verifier() {
        let google = sent(r#"{"id":"google","preset":"google","client_id":"c"}"#, None);
        #[rustfmt::skip]
        let expected = [
            ("access_type", "offline"), ("client_id", "c"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("code_challenge_method", "S256"),
            ("nonce", "n-1"), ("prompt", "consent"), ("redirect_uri", "https://id.example/cb"), ("response_type", "code"),
            ("scope", "openid email profile extra"), ("state", "ups_x"),
        ];
        assert_eq!(
            google,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
        let asked = sent(
            r#"{"id":"google","preset":"google","client_id":"c"}"#,
            Some("login"),
        );
        assert_eq!(asked["prompt"], "login");
    }

    #[test]
    fn quirks_are_data() {
        for (preset, takes_challenge) in [("linkedin", false), ("slack", false), ("twitch", true)] {
            let json = format!(r#"{{"id":"p","preset":"{preset}","client_id":"c"}}"#);
            let asked = sent(&json, None);
            assert!(asked.contains_key("nonce"), "{preset}");
            for name in ["code_challenge", "code_challenge_method"] {
                assert_eq!(asked.contains_key(name), takes_challenge, "{preset}");
            }
        }
        let github = sent(r#"{"id":"g","preset":"github","client_id":"c"}"#, None);
        assert!(!github.contains_key("nonce") && github.contains_key("code_challenge"));
        let apple = sent(
            r#"{"id":"a","preset":"apple","client_id":"c","apple_team_id":"T","apple_key_id":"K"}"#,
            None,
        );
        assert_eq!(apple["response_mode"], "form_post");
        assert_eq!(apple["scope"], "name email extra");
    }
}
