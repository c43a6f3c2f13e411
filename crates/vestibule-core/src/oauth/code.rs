//! Authorization codes (OAuth 2.1, 4.1.2 and 4.1.3): short-lived, single use, bound to client, redirect URI and challenge.
//!
//! [`redeem`] decides; the write is guarded by the same transition (`… WHERE redeemed_at IS NULL`), so that of two redemptions
//! at the same instant one wins.

use super::client_auth::AuthenticatedClient;
use super::error::OAuthError;
use super::pkce::CodeChallenge;
use super::token::{Authorization, CodeExchange, invalid_grant, narrow_resources};
use crate::id::{CodeId, FamilyId};
use crate::secret::SecretDigest;
use crate::time::Timestamp;

/// Where a code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeStage {
    /// Not yet used.
    Issued,
    /// Used; what came of it.
    Redeemed(FamilyId),
}

/// A code's record.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    /// Its record.
    pub id: CodeId,
    /// What proves possession.
    pub digest: SecretDigest,
    /// For whom it was issued.
    pub client_id: String,
    /// The redirect URI as the authorization request sent it, if it did.
    pub redirect_uri: Option<String>,
    /// What the redeemer must prove.
    pub challenge: Option<CodeChallenge>,
    /// What was approved.
    pub authorization: Authorization,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub stage: CodeStage,
}

/// What a redemption comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redemption {
    /// Redeem it, for tokens with these resources.
    Proceed(Vec<String>),
    /// It was used before and this is otherwise a valid use: end what it produced (OAuth 2.1, 4.1.3 and 7.5.2).
    Replay(FamilyId, OAuthError),
    /// No; nothing changes, so that a guesser cannot end anybody's tokens.
    Refuse(OAuthError),
}

/// Decides on a redemption. Every refusal reads the same; only the detail in our log differs.
pub fn redeem(
    code: &AuthorizationCode,
    caller: &AuthenticatedClient,
    presented: &CodeExchange,
    now: Timestamp,
) -> Redemption {
    let refuse = |detail| Redemption::Refuse(invalid_grant(detail));
    if !code.digest.matches(&presented.code.digest()) {
        return refuse("the secret of the code is wrong");
    }
    if code.client_id != caller.client().id.as_str() {
        return refuse("the code was issued to another client");
    }
    // OAuth 2.1, 10.2: clients of OAuth 2.0 repeat the redirect URI; it must then be the same.
    match (&presented.redirect_uri, &code.redirect_uri) {
        (Some(presented), Some(sent)) if presented != sent => {
            return refuse("redirect_uri is not the one of the authorization request");
        }
        (Some(presented), None)
            if caller
                .client()
                .match_redirect(None)
                .map_or(true, |uri| uri.as_str() != presented) =>
        {
            return refuse(
                "redirect_uri was not in the authorization request and is not the only registered one",
            );
        }
        _ => {}
    }
    // OAuth 2.1, 4.1.3 and RFC 9700, 4.8.2: a verifier if and only if there was a challenge.
    match (&code.challenge, &presented.verifier) {
        (Some(challenge), Some(verifier)) if challenge.accepts(verifier) => {}
        (Some(_), Some(_)) => return refuse("code_verifier is wrong"),
        (Some(_), None) => return refuse("code_verifier is missing"),
        (None, Some(_)) => {
            return refuse("code_verifier without a challenge in the authorization request");
        }
        (None, None) => {}
    }
    match code.stage {
        CodeStage::Redeemed(family) => {
            return Redemption::Replay(
                family,
                invalid_grant("the code was used before: what it produced ends"),
            );
        }
        CodeStage::Issued if now >= code.expires_at => return refuse("the code has expired"),
        CodeStage::Issued => {}
    }
    match narrow_resources(&presented.resources, &code.authorization.resources) {
        Ok(resources) => Redemption::Proceed(resources),
        Err(error) => Redemption::Refuse(error),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::client::tests::client;
    use super::super::client_auth::tests::authenticated;
    use super::super::scope::ScopeSet;
    use super::*;
    use crate::id::tests::Counting;
    use crate::id::{GrantId, SessionId, UserId};
    use crate::identity::acr::{Acr, Amr};
    use crate::secret::{Handle, HandleKind};

    const NOW: Timestamp = Timestamp::from_seconds(10_000);
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    pub(crate) fn authorization(scope: &str) -> Authorization {
        Authorization {
            user_id: UserId::from_bytes([1; 16]),
            session_id: SessionId::from_bytes([2; 16]),
            grant_id: Some(GrantId::from_bytes([3; 16])),
            scope: ScopeSet::parse(scope).unwrap(),
            claims: crate::oauth::claims::ClaimsRequest::default(),
            resources: Vec::new(),
            auth_time: NOW,
            acr: Acr::SingleFactor,
            amr: vec![Amr::Password],
            nonce: Some("n".to_owned()),
            outer: None,
        }
    }

    fn detail(
        stage: CodeStage,
        challenge: bool,
        client_id: &str,
        redirect_uri: Option<&str>,
        verifier: Option<&str>,
        now: i64,
    ) -> String {
        let chance = Counting::default();
        let handle = Handle::mint(HandleKind::Code, NOW, &chance);
        let code = AuthorizationCode {
            id: CodeId::from_bytes(*handle.id()),
            digest: handle.digest(),
            client_id: "a".to_owned(),
            redirect_uri: Some("https://a.example/cb".to_owned()),
            challenge: challenge.then(|| CodeChallenge::parse(CHALLENGE).unwrap()),
            authorization: authorization("openid"),
            expires_at: Timestamp::from_seconds(10_060),
            stage,
        };
        let caller = authenticated(client(&format!(
            r#"{{"client_id":"{client_id}","redirect_uris":["https://a.example/cb"]}}"#
        )));
        let presented = CodeExchange {
            code: handle,
            redirect_uri: redirect_uri.map(str::to_owned),
            verifier: verifier.map(str::to_owned),
            resources: Vec::new(),
        };
        match redeem(&code, &caller, &presented, Timestamp::from_seconds(now)) {
            Redemption::Proceed(_) => "proceed".to_owned(),
            Redemption::Replay(..) => "replay".to_owned(),
            Redemption::Refuse(error) => error.detail.into_owned(),
        }
    }

    #[test]
    fn o21_18_a_code_is_bound_to_client_redirect_uri_challenge_and_time() {
        let (good, uri) = (Some(VERIFIER), Some("https://a.example/cb"));
        let issued = CodeStage::Issued;
        let used = CodeStage::Redeemed(FamilyId::from_bytes([9; 16]));
        #[rustfmt::skip]
        let table = [
            (issued, true,  "a", uri,                             good,                 10_000, "proceed"),
            (issued, true,  "a", None,                            good,                 10_059, "proceed"),
            (issued, false, "a", uri,                             None,                 10_000, "proceed"),
            (issued, true,  "b", uri,                             good,                 10_000, "the code was issued to another client"),
            (issued, true,  "a", Some("https://a.example/cb/"),   good,                 10_000, "redirect_uri is not the one of the authorization request"),
            (issued, true,  "a", uri,                             None,                 10_000, "code_verifier is missing"),
            (issued, true,  "a", uri,                             Some("wrong"),        10_000, "code_verifier is wrong"),
            (issued, true,  "a", uri,                             Some(CHALLENGE),      10_000, "code_verifier is wrong"),
            (issued, false, "a", uri,                             good,                 10_000, "code_verifier without a challenge in the authorization request"),
            (issued, true,  "a", uri,                             good,                 10_060, "the code has expired"),
            (used,   true,  "a", uri,                             good,                 10_000, "replay"),
            (used,   true,  "a", uri,                             good,                 99_000, "replay"),
            (used,   true,  "b", uri,                             good,                 10_000, "the code was issued to another client"),
            (used,   true,  "a", uri,                             Some("wrong"),        10_000, "code_verifier is wrong"),
            (used,   true,  "a", uri,                             None,                 10_000, "code_verifier is missing"),
        ];
        for (row, (stage, challenge, client_id, redirect_uri, verifier, now, expected)) in
            table.into_iter().enumerate()
        {
            assert_eq!(
                detail(stage, challenge, client_id, redirect_uri, verifier, now),
                expected,
                "row {row}"
            );
        }
    }

    #[test]
    fn every_refusal_reads_the_same_to_the_caller() {
        let one = invalid_grant("one");
        let two = invalid_grant("two");
        assert_eq!((one.code, one.description), (two.code, two.description));
    }
}
