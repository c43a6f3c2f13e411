//! Sign-out that a client asks for (OpenID Connect RP-Initiated Logout 1.0).

use super::client::Client;
use super::error::{ErrorCode, OAuthError};
use crate::identity::session::Session;
use crate::url::RedirectUri;

/// What an `id_token_hint` says, verified as ours; an expired one counts (section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The person.
    pub subject: String,
    /// The session, by its label.
    pub session: Option<String>,
    /// The client.
    pub client_id: String,
}

/// What happens to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoutStep {
    /// Nobody is signed in: there is nothing to end.
    Nothing,
    /// End the session without asking: the hint proves that the client had it.
    End,
    /// Ask first (section 2): anybody could have sent the browser here.
    Ask,
}

/// Decides whether to ask. `session` is the active one of this browser.
pub fn next_step(hint: Option<&Hint>, session: Option<&Session>) -> LogoutStep {
    match (session, hint) {
        (None, _) => LogoutStep::Nothing,
        (Some(session), Some(hint)) => {
            let same_person = hint.subject == session.user_id.to_string();
            let same_session = hint
                .session
                .as_ref()
                .is_none_or(|label| *label == session.id.to_string());
            if same_person && same_session {
                LogoutStep::End
            } else {
                LogoutStep::Ask
            }
        }
        (Some(_), None) => LogoutStep::Ask,
    }
}

/// Which client the request is from: the hint's, which `client_id` must agree with, or the one that `client_id` names.
pub fn client_id<'a>(
    hint: Option<&'a Hint>,
    client_id: Option<&'a str>,
) -> Result<Option<&'a str>, OAuthError> {
    match (hint, client_id) {
        (Some(hint), Some(client_id)) if hint.client_id != client_id => Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "client_id is not the audience of id_token_hint",
        )),
        (Some(hint), _) => Ok(Some(&hint.client_id)),
        (None, client_id) => Ok(client_id),
    }
}

/// Where to go afterwards (section 3): an address registered for the identified client, exactly; else our own page.
pub fn destination(client: Option<&Client>, presented: Option<&str>) -> Option<RedirectUri> {
    client?.match_post_logout_redirect(presented?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SessionId, UserId};
    use crate::identity::acr::{Acr, Amr};
    use crate::time::Timestamp;

    fn session() -> Session {
        let at = Timestamp::from_seconds(1);
        Session {
            id: SessionId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([2; 16]),
            auth_time: at,
            acr: Acr::SingleFactor,
            amr: vec![Amr::Password],
            used_at: at,
            expires_at: at,
        }
    }

    fn hint(user: u8, label: Option<u8>) -> Hint {
        Hint {
            subject: UserId::from_bytes([user; 16]).to_string(),
            session: label.map(|label| SessionId::from_bytes([label; 16]).to_string()),
            client_id: "a".to_owned(),
        }
    }

    #[test]
    fn rl_04_only_a_hint_of_this_session_spares_the_question() {
        let session = session();
        #[rustfmt::skip]
        let table = [
            (None,                    None,           LogoutStep::Nothing),
            (Some(hint(2, Some(1))),  None,           LogoutStep::Nothing),
            (Some(hint(2, Some(1))),  Some(&session), LogoutStep::End),
            (Some(hint(2, None)),     Some(&session), LogoutStep::End),
            (Some(hint(2, Some(9))),  Some(&session), LogoutStep::Ask),
            (Some(hint(9, Some(1))),  Some(&session), LogoutStep::Ask),
            (None,                    Some(&session), LogoutStep::Ask),
        ];
        for (row, (hint, session, expected)) in table.into_iter().enumerate() {
            assert_eq!(next_step(hint.as_ref(), session), expected, "row {row}");
        }
    }

    #[test]
    fn rl_03_client_id_must_be_the_audience_of_the_hint() {
        let hint = hint(2, None);
        assert_eq!(client_id(Some(&hint), Some("a")).unwrap(), Some("a"));
        assert_eq!(client_id(Some(&hint), None).unwrap(), Some("a"));
        assert_eq!(client_id(None, Some("b")).unwrap(), Some("b"));
        assert_eq!(
            client_id(Some(&hint), Some("b")).unwrap_err().code,
            ErrorCode::InvalidRequest
        );
    }
}
