//! The authorization request to a provider (OpenID Connect Core, 3.1.2.1; RFC 7636, 4.3).

use super::metadata::ProviderMetadata;
use super::provider::{Provider, Reauthentication};
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::scope::ScopeSet;
use crate::secret::Secret;
use crate::time::{Lifetime, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// How recently the app wants the person to have proved who they are.
    pub freshness: Freshness,
}

/// How recently an app wants a person to have proved who they are (OpenID Connect Core, 3.1.2.1). Nothing is asked by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    login: bool,
    max_age: Option<u32>,
}

/// When a person must have proved who they are at the provider, for its answer to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedInSince {
    /// Not before this.
    #[serde(rename = "s")]
    pub since: Timestamp,
    /// Whether the ID token must say when it was: `auth_time` is due to whoever sent `max_age` (OpenID Connect Core, 2).
    #[serde(rename = "t")]
    pub must_be_told: bool,
}

impl Freshness {
    /// What `prompt=login` and `max_age` of an app come to; an age of nothing is `prompt=login`.
    pub fn new(prompt_login: bool, max_age: Option<u32>) -> Self {
        Self {
            login: prompt_login || max_age == Some(0),
            max_age,
        }
    }

    /// Whether this provider is sent `prompt=login`, and which `max_age`.
    fn sent(self, provider: &Provider) -> (bool, Option<u32>) {
        match provider.reauthentication {
            Reauthentication::Standard => (self.login, self.max_age),
            Reauthentication::PromptOnly => (self.login || self.max_age.is_some(), None),
            Reauthentication::Never => (false, None),
        }
    }

    /// What the answer of this provider to a request of this moment is held to. A provider that cannot be held to it is believed
    /// unless it says itself that the person's proof is older than `max_age`.
    pub fn expected(self, provider: &Provider, now: Timestamp) -> Option<SignedInSince> {
        let (login, max_age) = self.sent(provider);
        let since = match self.max_age {
            _ if login => now,
            Some(age) => now.minus(Lifetime::from_seconds(age)),
            None => return None,
        };
        Some(SignedInSince {
            since,
            must_be_told: max_age.is_some(),
        })
    }
}

/// `login`, and what the provider's settings ask besides; nothing can be shown to somebody who must be asked nothing (`none`).
fn prompt_login(provider: &Provider) -> String {
    let set = provider
        .authorization_params
        .iter()
        .filter(|(name, _)| name == "prompt")
        .flat_map(|(_, value)| value.split_whitespace())
        .filter(|word| *word != "login" && *word != "none");
    std::iter::once("login")
        .chain(set)
        .collect::<Vec<_>>()
        .join(" ")
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
    let mut fields = CodeRequest {
        client_id: &provider.client_id,
        redirect_uri: ask.redirect_uri,
        scope: Some(&scope),
        state: ask.state,
        nonce: provider.is_openid().then_some(ask.nonce),
        challenge: challenge.as_deref(),
    }
    .fields();
    if provider.form_post {
        fields.push(("response_mode", "form_post"));
    }
    fields.extend(ask.login_hint.map(|hint| ("login_hint", hint)));
    let (login, max_age) = ask.freshness.sent(provider);
    let prompt = login.then(|| prompt_login(provider));
    let max_age = max_age.map(|age| age.to_string());
    fields.extend(prompt.as_deref().map(|prompt| ("prompt", prompt)));
    fields.extend(max_age.as_deref().map(|age| ("max_age", age)));
    let settings = &provider.authorization_params;
    add_settings(
        &mut fields,
        settings.iter().map(|(name, value)| (name, value)),
    );
    metadata.authorization_endpoint.with_query(fields)
}

/// What stands in every request for a code (RFC 6749, 4.1.1; RFC 7636, 4.3), whoever is asked.
pub(crate) struct CodeRequest<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect_uri: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) state: &'a Secret,
    pub(crate) nonce: Option<&'a Secret>,
    pub(crate) challenge: Option<&'a str>,
}

impl<'a> CodeRequest<'a> {
    /// The parameters, in the order of the specification.
    pub(crate) fn fields(&self) -> Vec<(&'a str, &'a str)> {
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
        ];
        fields.extend(self.scope.map(|scope| ("scope", scope)));
        fields.push(("state", self.state.reveal()));
        fields.extend(self.nonce.map(|nonce| ("nonce", nonce.reveal())));
        if let Some(challenge) = self.challenge {
            fields.push(("code_challenge", challenge));
            fields.push(("code_challenge_method", "S256"));
        }
        fields
    }
}

/// Adds what the operator wrote; it takes the place of nothing.
pub(crate) fn add_settings<'a>(
    fields: &mut Vec<(&'a str, &'a str)>,
    settings: impl IntoIterator<Item = (&'a String, &'a String)>,
) {
    for (name, value) in settings {
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::tests::metadata;
    use super::super::provider::tests::provider;
    use super::*;
    use std::collections::BTreeMap;

    fn sent(json: &str, freshness: Freshness) -> BTreeMap<String, String> {
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
                freshness,
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
        let google = sent(
            r#"{"id":"google","preset":"google","client_id":"c"}"#,
            Freshness::default(),
        );
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
    }

    #[test]
    fn quirks_are_data() {
        for (preset, takes_challenge) in [("linkedin", false), ("slack", false), ("twitch", true)] {
            let json = format!(r#"{{"id":"p","preset":"{preset}","client_id":"c"}}"#);
            let asked = sent(&json, Freshness::default());
            assert!(asked.contains_key("nonce"), "{preset}");
            for name in ["code_challenge", "code_challenge_method"] {
                assert_eq!(asked.contains_key(name), takes_challenge, "{preset}");
            }
        }
        let github = sent(
            r#"{"id":"g","preset":"github","client_id":"c"}"#,
            Freshness::default(),
        );
        assert!(!github.contains_key("nonce") && github.contains_key("code_challenge"));
        let apple = sent(
            r#"{"id":"a","preset":"apple","client_id":"c","apple_team_id":"T","apple_key_id":"K"}"#,
            Freshness::default(),
        );
        assert_eq!(apple["response_mode"], "form_post");
        assert_eq!(apple["scope"], "name email extra");
    }

    #[test]
    fn t44_prompt_login_and_max_age_are_passed_on_to_who_understands_them() {
        let own = r#"{"id":"o","issuer":"https://op.example","client_id":"c"}"#;
        let set = r#"{"id":"o","issuer":"https://op.example","client_id":"c","authorization_params":{"prompt":"none consent login"}}"#;
        let turned =
            r#"{"id":"o","preset":"github","issuer":"https://op.example","client_id":"c"}"#;
        let google = r#"{"id":"google","preset":"google","client_id":"c"}"#;
        let microsoft = r#"{"id":"m","preset":"microsoft","client_id":"c"}"#;
        let github = r#"{"id":"g","preset":"github","client_id":"c"}"#;
        let now = Timestamp::from_seconds(1000);
        // settings, prompt=login, max_age; sent prompt and max_age; since when, and whether that must be told.
        #[rustfmt::skip]
        let table = [
            (own,       false, None,     None,                  None,       None),
            (own,       true,  None,     Some("login"),         None,       Some((1000, false))),
            (own,       false, Some(50), None,                  Some("50"), Some((950, true))),
            (own,       false, Some(0),  Some("login"),         Some("0"),  Some((1000, true))),
            (own,       true,  Some(50), Some("login"),         Some("50"), Some((1000, true))),
            (set,       true,  None,     Some("login consent"), None,       Some((1000, false))),
            (turned,    false, Some(50), None,                  Some("50"), Some((950, true))),
            (microsoft, true,  None,     Some("login"),         None,       Some((1000, false))),
            (microsoft, false, Some(50), Some("login"),         None,       Some((1000, false))),
            (google,    true,  None,     Some("consent"),       None,       None),
            (google,    true,  Some(50), Some("consent"),       None,       Some((950, false))),
            (github,    true,  Some(50), None,                  None,       Some((950, false))),
        ];
        for (row, (json, login, age, prompt, max_age, expected)) in table.into_iter().enumerate() {
            let freshness = Freshness::new(login, age);
            let sent = sent(json, freshness);
            let found = |name: &str| sent.get(name).map(String::as_str);
            assert_eq!(
                (found("prompt"), found("max_age")),
                (prompt, max_age),
                "row {row}"
            );
            let since = freshness.expected(&provider(json), now);
            let since = since.map(|since| (since.since.seconds(), since.must_be_told));
            assert_eq!(since, expected, "row {row}");
        }
    }
}
