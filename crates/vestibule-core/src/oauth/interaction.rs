//! The dialogue with the person that a request needs. [`next_step`] is the only place that knows the order.

use super::authorize::AuthorizationRequest;
use super::client::{Client, ConsentPolicy};
use super::error::{ErrorCode, OAuthError};
use super::grant::Grant;
use super::scope::{ScopeConsent, ScopeRecord, ScopeSet, describe};
use crate::id::{SessionId, UserId};
use crate::identity::acr::Acr;
use crate::identity::session::Session;
use crate::identity::tenant::SignUp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A person who is signed in in this browser, and what they allowed the client before.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// What they allowed the client.
    pub grant: Option<Grant>,
}

/// What the spokes recorded about this dialogue; it travels sealed with the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The session of a sign-in that happened for this request.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<SessionId>,
    /// The session that the person chose for this request.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub chosen: Option<SessionId>,
    /// The person who allowed this request.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub allowed: Option<UserId>,
    /// Whether the person refused this request.
    #[serde(rename = "d", skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
}

/// Why somebody must sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginReason {
    /// Nobody is signed in in this browser.
    NoSession,
    /// `prompt=login`.
    Prompt,
    /// The sign-in is older than `max_age`.
    MaxAge,
    /// The client wants another person than the one who is signed in.
    OtherSubject,
    /// The person chose another account.
    SessionEnded,
}

/// Why consent is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentReason {
    /// Something asked for was not allowed before.
    New,
    /// `prompt=consent`.
    Prompt,
    /// The client's policy asks each time.
    Policy,
    /// Nobody can verify where the answer ends (OAuth 2.1, 7.3).
    Unverifiable,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sign in.
    Login(LoginReason),
    /// Sign up (`prompt=create`).
    SignUp,
    /// Choose one of the accounts of this browser.
    ChooseAccount,
    /// Ask this session's person.
    Consent(SessionId, ConsentReason),
    /// Issue a code for this session.
    Issue(SessionId),
    /// Return an error to the client.
    Refuse(OAuthError),
}

/// What the tenant decides about the dialogue.
#[derive(Clone, Copy, Debug)]
pub struct House<'a> {
    /// The scopes that it adds to the standard ones.
    pub scopes: &'a [ScopeRecord],
    /// Who may sign up: where it is not open, `prompt=create` is a sign-in.
    pub sign_up: SignUp,
}

/// Decides what a person sees next. `people` are the valid sessions of this browser, the active one first.
pub fn next_step(
    request: &AuthorizationRequest,
    client: &Client,
    people: &[SignedIn],
    facts: &Facts,
    house: House<'_>,
    now: Timestamp,
) -> Step {
    let silent = request.prompt.none;
    let refuse = |code, description| Step::Refuse(OAuthError::new(code, description));
    if facts.denied {
        return refuse(ErrorCode::AccessDenied, "the person refused the request");
    }
    if let Some(step) = unreachable_acr(request) {
        return step;
    }
    let login = |reason: LoginReason| {
        if silent {
            refuse(ErrorCode::LoginRequired, "the person must sign in")
        } else {
            Step::Login(reason)
        }
    };

    if request.prompt.create && facts.signed_in.is_none() {
        return if house.sign_up == SignUp::Open {
            Step::SignUp
        } else {
            Step::Login(LoginReason::Prompt)
        };
    }
    if request.prompt.select_account
        && facts.signed_in.is_none()
        && facts.chosen.is_none()
        && !people.is_empty()
    {
        return Step::ChooseAccount;
    }
    let person = match choose(request, people, facts) {
        Ok(person) => person,
        Err(reason) if reason == LoginReason::OtherSubject && facts.signed_in.is_some() => {
            return refuse(
                ErrorCode::LoginRequired,
                "another person signed in than the one whom the request names",
            );
        }
        Err(reason) => return login(reason),
    };
    let fresh = facts.signed_in == Some(person.session.id);
    if request.prompt.login && !fresh {
        return login(LoginReason::Prompt);
    }
    // OpenID Connect Core, 3.1.2.1: max_age=0 is prompt=login.
    let age = now.seconds_since(person.session.auth_time);
    if request
        .max_age
        .is_some_and(|max_age| age > i64::from(max_age) || max_age == 0)
        && !fresh
    {
        return login(LoginReason::MaxAge);
    }
    match consent_reason(request, client, person, facts, house.scopes) {
        None => Step::Issue(person.session.id),
        Some(_) if silent => refuse(
            ErrorCode::ConsentRequired,
            "the person must be asked for consent",
        ),
        Some(reason) => Step::Consent(person.session.id, reason),
    }
}

/// OpenID Connect Core, 5.5.1.1: an essential `acr` that cannot be reached fails the request; a voluntary one is ignored.
fn unreachable_acr(request: &AuthorizationRequest) -> Option<Step> {
    let wanted = request.claims.essential_acr()?;
    let reachable = wanted.iter().any(|value| {
        Acr::ALL
            .iter()
            .any(|acr| value.as_str() == Some(acr.as_str()))
    });
    (!reachable).then(|| {
        Step::Refuse(OAuthError::new(
            ErrorCode::UnmetAuthenticationRequirements,
            "none of the essential acr values can be reached here",
        ))
    })
}

/// Which of the people in this browser the request is about.
fn choose<'a>(
    request: &AuthorizationRequest,
    people: &'a [SignedIn],
    facts: &Facts,
) -> Result<&'a SignedIn, LoginReason> {
    let designated = facts.signed_in.or(facts.chosen);
    let by_session = |id: SessionId| people.iter().find(|person| person.session.id == id);
    let fits = |person: &&SignedIn| {
        request
            .required_subject
            .as_ref()
            .is_none_or(|subject| *subject == person.session.user_id.to_string())
    };
    match designated {
        // What was chosen must still be signed in, and be whom the client wants.
        Some(id) => by_session(id)
            .ok_or(LoginReason::SessionEnded)
            .and_then(|person| Some(person).filter(fits).ok_or(LoginReason::OtherSubject)),
        None if people.is_empty() => Err(LoginReason::NoSession),
        None => people.iter().find(fits).ok_or(LoginReason::OtherSubject),
    }
}

/// Whether the person must be asked, and why.
fn consent_reason(
    request: &AuthorizationRequest,
    client: &Client,
    person: &SignedIn,
    facts: &Facts,
    own: &[ScopeRecord],
) -> Option<ConsentReason> {
    let asked_now = facts.allowed == Some(person.session.user_id);
    if request.prompt.consent && !asked_now {
        return Some(ConsentReason::Prompt);
    }
    if client.policy.consent == ConsentPolicy::Never {
        return None;
    }
    if client.policy.consent == ConsentPolicy::Always && !asked_now {
        return Some(ConsentReason::Policy);
    }
    if client.is_unverifiable_at(&request.return_path.redirect_uri) && !asked_now {
        return Some(ConsentReason::Unverifiable);
    }
    let needed = asked(&request.consent_scope(client), own);
    let covered = match &person.grant {
        Some(grant) => grant.covers(&needed, &request.resources),
        // Where nothing needs asking, signing in is enough; but a client is named to a person once.
        None => false,
    };
    (!covered).then_some(ConsentReason::New)
}

/// The scopes that people are asked about.
fn asked(scope: &ScopeSet, own: &[ScopeRecord]) -> ScopeSet {
    let mut set = ScopeSet::default();
    for name in scope
        .iter()
        .filter(|name| describe(name, own).0 == ScopeConsent::Ask)
    {
        set.insert(name);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::super::authorize::tests::{CHALLENGE, request};
    use super::super::client::tests::client;
    use super::*;
    use crate::id::GrantId;
    use crate::identity::acr::Amr;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn person(number: u8, auth_time: i64, granted: Option<&str>) -> SignedIn {
        SignedIn {
            session: Session {
                id: SessionId::from_bytes([number; 16]),
                user_id: UserId::from_bytes([number; 16]),
                auth_time: Timestamp::from_seconds(auth_time),
                acr: Acr::SingleFactor,
                amr: vec![Amr::Password],
                used_at: NOW,
                expires_at: Timestamp::from_seconds(20_000),
            },
            grant: granted.map(|scope| Grant {
                id: GrantId::from_bytes([number; 16]),
                scope: ScopeSet::parse(scope).unwrap(),
                resources: Vec::new(),
            }),
        }
    }

    fn named(step: &Step) -> String {
        match step {
            Step::Refuse(error) => error.code.as_str().to_owned(),
            Step::Consent(session, reason) => format!("consent {} {reason:?}", session.bytes()[0]),
            Step::Issue(session) => format!("issue {}", session.bytes()[0]),
            Step::Login(reason) => format!("login {reason:?}"),
            Step::SignUp => "sign up".to_owned(),
            Step::ChooseAccount => "choose".to_owned(),
        }
    }

    const WEB: &str = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"scope":"openid profile email offline_access"}"#;

    fn step(json: &str, extra: &str, people: &[SignedIn], facts: &Facts) -> String {
        let query = format!(
            "response_type=code&client_id=a&scope=openid+email&state=s&code_challenge={CHALLENGE}&code_challenge_method=S256{extra}"
        );
        named(&next_step(
            &request(json, &query).unwrap(),
            &client(json),
            people,
            facts,
            House {
                scopes: &[],
                sign_up: SignUp::Open,
            },
            NOW,
        ))
    }

    fn facts(signed_in: u8, chosen: u8, allowed: u8) -> Facts {
        let session = |number: u8| (number > 0).then(|| SessionId::from_bytes([number; 16]));
        Facts {
            signed_in: session(signed_in),
            chosen: session(chosen),
            allowed: (allowed > 0).then(|| UserId::from_bytes([allowed; 16])),
            denied: false,
        }
    }

    #[test]
    fn the_order_of_the_steps() {
        let nobody: &[SignedIn] = &[];
        let new = &[person(1, 9_000, None)][..];
        let known = &[person(1, 9_000, Some("openid email"))][..];
        let less = &[person(1, 9_000, Some("openid"))][..];
        let two = &[
            person(1, 9_000, Some("openid email")),
            person(2, 9_500, Some("openid email")),
        ][..];
        let none = facts(0, 0, 0);
        #[rustfmt::skip]
        let table: &[(&str, &[SignedIn], &Facts, &str)] = &[
            ("",                              nobody, &none,             "login NoSession"),
            ("",                              new,    &none,             "consent 1 New"),
            ("",                              less,   &none,             "consent 1 New"),
            ("",                              known,  &none,             "issue 1"),
            ("",                              two,    &none,             "issue 1"),
            ("",                              two,    &facts(2, 0, 0),   "issue 2"),
            ("",                              two,    &facts(0, 2, 0),   "issue 2"),
            ("",                              known,  &facts(2, 0, 0),   "login SessionEnded"),
            ("&prompt=none",                  nobody, &none,             "login_required"),
            ("&prompt=none",                  new,    &none,             "consent_required"),
            ("&prompt=none",                  known,  &none,             "issue 1"),
            ("&prompt=none&max_age=10",       known,  &none,             "login_required"),
            ("&prompt=none&max_age=0",        known,  &none,             "login_required"),
            ("&prompt=login",                 known,  &none,             "login Prompt"),
            ("&prompt=login",                 known,  &facts(1, 0, 0),   "issue 1"),
            ("&prompt=login",                 two,    &facts(0, 2, 0),   "login Prompt"),
            ("&max_age=0",                    known,  &none,             "login MaxAge"),
            ("&max_age=0",                    known,  &facts(1, 0, 0),   "issue 1"),
            ("&max_age=999",                  known,  &none,             "login MaxAge"),
            ("&max_age=1000",                 known,  &none,             "issue 1"),
            ("&prompt=consent",               known,  &none,             "consent 1 Prompt"),
            ("&prompt=consent",               known,  &facts(0, 0, 1),   "issue 1"),
            ("&prompt=consent",               known,  &facts(0, 0, 2),   "consent 1 Prompt"),
            ("",                              less,   &facts(0, 0, 1),   "consent 1 New"),
            ("&prompt=select_account",        nobody, &none,             "login NoSession"),
            ("&prompt=select_account",        known,  &none,             "choose"),
            ("&prompt=select_account",        two,    &facts(0, 2, 0),   "issue 2"),
            ("&prompt=select_account",        known,  &facts(1, 0, 0),   "issue 1"),
            ("&prompt=create",                known,  &none,             "sign up"),
            ("&prompt=create",                known,  &facts(1, 0, 0),   "issue 1"),
            ("&prompt=login+consent",         known,  &facts(1, 0, 0),   "consent 1 Prompt"),
            ("&claims=%7B%22userinfo%22:%7B%22name%22:null%7D%7D", known, &none, "consent 1 New"),
        ];
        for (row, (extra, people, facts, expected)) in table.iter().enumerate() {
            assert_eq!(
                step(WEB, extra, people, facts),
                *expected,
                "row {row}: {extra}"
            );
        }
    }

    #[test]
    fn oc_07_another_subject_than_the_wanted_one_is_never_issued() {
        let subject = |number: u8| {
            format!(
                "&claims=%7B%22id_token%22:%7B%22sub%22:%7B%22value%22:%22{}%22%7D%7D%7D",
                UserId::from_bytes([number; 16])
            )
        };
        let two = [
            person(1, 9_000, Some("openid email")),
            person(2, 9_500, Some("openid email")),
        ];
        assert_eq!(step(WEB, &subject(2), &two, &Facts::default()), "issue 2");
        assert_eq!(
            step(WEB, &subject(3), &two, &Facts::default()),
            "login OtherSubject"
        );
        assert_eq!(
            step(
                WEB,
                &format!("{}&prompt=none", subject(3)),
                &two,
                &Facts::default()
            ),
            "login_required"
        );
        assert_eq!(
            step(WEB, &subject(3), &two, &facts(1, 0, 0)),
            "login_required"
        );
        assert_eq!(
            step(WEB, &subject(2), &two, &facts(0, 1, 0)),
            "login OtherSubject"
        );
    }

    #[test]
    fn o21_31_an_unverifiable_client_is_asked_about_each_time() {
        let known = [person(1, 9_000, Some("openid email"))];
        let native = r#"{"client_id":"a","redirect_uris":["http://127.0.0.1/cb"],"scope":"openid email","token_endpoint_auth_method":"none"}"#;
        assert_eq!(
            step(native, "", &known, &Facts::default()),
            "consent 1 Unverifiable"
        );
        assert_eq!(
            step(native, "&prompt=none", &known, &Facts::default()),
            "consent_required"
        );
        assert_eq!(step(native, "", &known, &facts(0, 0, 1)), "issue 1");
        // One https address among them does not verify an answer at another.
        let both = native.replace(
            "[\"http://127.0.0.1/cb\"]",
            "[\"http://127.0.0.1/cb\",\"https://a.example/cb\"]",
        );
        assert_eq!(
            step(
                &both,
                "&redirect_uri=http://127.0.0.1/cb",
                &known,
                &Facts::default()
            ),
            "consent 1 Unverifiable"
        );
        assert_eq!(
            step(
                &both,
                "&redirect_uri=https://a.example/cb",
                &known,
                &Facts::default()
            ),
            "issue 1"
        );
        let https = native.replace("http://127.0.0.1/cb", "https://a.example/cb");
        assert_eq!(step(&https, "", &known, &Facts::default()), "issue 1");
        let first_party =
            native.replace("\"none\"}", "\"none\",\"policy\":{\"consent\":\"never\"}}");
        assert_eq!(step(&first_party, "", &known, &Facts::default()), "issue 1");
    }

    #[test]
    fn the_consent_policies() {
        let known = [person(1, 9_000, Some("openid email"))];
        let new = [person(1, 9_000, None)];
        let policy = |policy: &str| {
            WEB.replace(
                "offline_access\"",
                &format!("offline_access\",\"policy\":{{\"consent\":\"{policy}\"}}"),
            )
        };
        assert_eq!(
            step(&policy("always"), "", &known, &Facts::default()),
            "consent 1 Policy"
        );
        assert_eq!(
            step(&policy("always"), "", &known, &facts(0, 0, 1)),
            "issue 1"
        );
        assert_eq!(
            step(&policy("never"), "", &new, &Facts::default()),
            "issue 1"
        );
        assert_eq!(
            step(&policy("never"), "&prompt=consent", &new, &Facts::default()),
            "consent 1 Prompt"
        );
    }

    #[test]
    fn oc_18_an_essential_acr_out_of_reach_fails_and_a_voluntary_one_does_not() {
        let known = [person(1, 9_000, Some("openid email"))];
        let acr = |essential: bool, value: &str| {
            format!(
                "&claims=%7B%22id_token%22:%7B%22acr%22:%7B%22essential%22:{essential},%22values%22:[%22{value}%22]%7D%7D%7D"
            )
        };
        assert_eq!(
            step(WEB, &acr(true, "gold"), &known, &Facts::default()),
            "unmet_authentication_requirements"
        );
        assert_eq!(
            step(WEB, &acr(false, "gold"), &known, &Facts::default()),
            "issue 1"
        );
        assert_eq!(
            step(
                WEB,
                &acr(true, Acr::SingleFactor.as_str()),
                &known,
                &Facts::default()
            ),
            "issue 1"
        );
        assert_eq!(
            step(WEB, "&acr_values=gold", &known, &Facts::default()),
            "issue 1"
        );
    }

    #[test]
    fn where_nobody_may_sign_up_prompt_create_is_a_sign_in() {
        let query = format!(
            "response_type=code&client_id=a&scope=openid&state=s&code_challenge={CHALLENGE}&code_challenge_method=S256&prompt=create"
        );
        for (sign_up, expected) in [
            (SignUp::Open, "sign up"),
            (SignUp::Invited, "login Prompt"),
            (SignUp::Closed, "login Prompt"),
        ] {
            let house = House {
                scopes: &[],
                sign_up,
            };
            let step = next_step(
                &request(WEB, &query).unwrap(),
                &client(WEB),
                &[],
                &Facts::default(),
                house,
                NOW,
            );
            assert_eq!(named(&step), expected, "{sign_up:?}");
        }
    }

    #[test]
    fn a_refusal_is_final() {
        let known = [person(1, 9_000, Some("openid email"))];
        assert_eq!(
            step(
                WEB,
                "",
                &known,
                &Facts {
                    denied: true,
                    ..Facts::default()
                }
            ),
            "access_denied"
        );
    }
}
