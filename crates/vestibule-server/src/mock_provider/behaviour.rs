//! The ways in which the provider can answer, and the words for them. One table serves the page, the tests and the lookup.

/// How an endpoint answers when it does not answer as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// As it should, but late.
    Slow,
    /// Status 500.
    ServerError,
    /// A page for people, with status 200.
    WebPage,
    /// More than anybody wants to read.
    Huge,
    /// A redirect to an address inside the network.
    PrivateAddress,
    /// The token endpoint's `invalid_grant`.
    InvalidGrant,
}

impl Fault {
    /// The fault of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "slow" => Self::Slow,
            "broken" => Self::ServerError,
            "html" => Self::WebPage,
            "huge" => Self::Huge,
            "private" => Self::PrivateAddress,
            "invalid_grant" => Self::InvalidGrant,
            _ => return None,
        })
    }
}

/// An endpoint that can misbehave for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    /// The metadata.
    Discovery,
    /// The keys.
    Jwks,
    /// The token endpoint of either dialect.
    Token,
    /// User info of either dialect.
    UserInfo,
}

impl Endpoint {
    /// The endpoint of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "discovery" => Self::Discovery,
            "jwks" => Self::Jwks,
            "token" => Self::Token,
            "userinfo" => Self::UserInfo,
            _ => return None,
        })
    }

    /// The endpoint at a path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/.well-known/openid-configuration" => Self::Discovery,
            "/jwks" => Self::Jwks,
            "/token" | "/login/oauth/access_token" => Self::Token,
            "/userinfo" | "/api/user" | "/api/user/emails" => Self::UserInfo,
            _ => return None,
        })
    }
}

/// What is wrong with an ID token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdTokenFault {
    /// Another `nonce` than the one asked with.
    Nonce,
    /// No `nonce`.
    NoNonce,
    /// Another `iss`.
    Issuer,
    /// Another `aud`.
    Audience,
    /// Signed with a key that is not published.
    Key,
    /// Names the published key, and the signature is of another.
    Signature,
    /// `alg` is `none`.
    Unsigned,
    /// Its time is over.
    Expired,
    /// An `at_hash` of another access token.
    AccessTokenHash,
    /// There is none.
    Missing,
    /// An `auth_time` of yesterday, whatever was asked.
    OldSignIn,
    /// An `auth_time` of tomorrow.
    FutureSignIn,
    /// No `auth_time`, though `max_age` asks for one.
    NoAuthTime,
}

/// What is wrong with a person's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectFault {
    /// It has a NUL.
    Nul,
    /// It has another control character.
    Control,
    /// It is longer than anybody's.
    Long,
}

impl SubjectFault {
    /// The id.
    pub(super) fn subject(self) -> String {
        match self {
            Self::Nul => "mock-\0".to_owned(),
            Self::Control => "mock-\n".to_owned(),
            Self::Long => "x".repeat(5000),
        }
    }
}

/// How the provider treats one sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As it should.
    Honest,
    /// The person refuses.
    Refuses,
    /// The answer has another `state`.
    OtherState,
    /// The answer has no `state`.
    NoState,
    /// The answer has another `iss` (RFC 9207).
    OtherIssuer,
    /// The answer has no `iss`, though the metadata promise one.
    NoIssuer,
    /// The token endpoint misbehaves.
    Token(Fault),
    /// The ID token is wrong.
    IdToken(IdTokenFault),
    /// User info misbehaves.
    UserInfo(Fault),
    /// User info speaks of somebody else.
    OtherSubject,
    /// The person's id is one that no record keeps, wherever it is said.
    Subject(SubjectFault),
}

/// A behaviour to choose.
pub(crate) struct Choice {
    /// Its name in `mock=person:name`.
    pub(crate) id: &'static str,
    /// What happens, in words.
    pub(crate) words: &'static str,
    /// What happens.
    pub(crate) behaviour: Behaviour,
}

/// Behaviours that belong together.
pub(crate) struct Group {
    /// Where it happens, in words.
    pub(crate) title: &'static str,
    /// What can happen there.
    pub(crate) choices: &'static [Choice],
}

const fn choice(id: &'static str, words: &'static str, behaviour: Behaviour) -> Choice {
    Choice {
        id,
        words,
        behaviour,
    }
}

/// Every behaviour besides the honest one, whose name is `honest`, and refusing, whose name is `refuse`.
#[rustfmt::skip]
pub(crate) const GROUPS: [Group; 5] = [
    Group { title: "The way back", choices: &[
        choice("wrong-state",        "Comes back with another state",          Behaviour::OtherState),
        choice("no-state",           "Comes back without a state",             Behaviour::NoState),
        choice("wrong-iss",          "Comes back in another provider’s name",  Behaviour::OtherIssuer),
        choice("no-iss",             "Comes back without saying who answers",  Behaviour::NoIssuer),
    ]},
    Group { title: "The token endpoint", choices: &[
        choice("slow",               "Takes very long",                        Behaviour::Token(Fault::Slow)),
        choice("broken",             "Answers with an error 500",              Behaviour::Token(Fault::ServerError)),
        choice("html",               "Answers with a web page",                Behaviour::Token(Fault::WebPage)),
        choice("huge",               "Answers with 16 MiB",                    Behaviour::Token(Fault::Huge)),
        choice("private",            "Redirects to a private address",         Behaviour::Token(Fault::PrivateAddress)),
        choice("invalid_grant",      "Refuses the code",                       Behaviour::Token(Fault::InvalidGrant)),
    ]},
    Group { title: "The ID token", choices: &[
        choice("wrong-nonce",        "Has another nonce",                      Behaviour::IdToken(IdTokenFault::Nonce)),
        choice("no-nonce",           "Has no nonce",                           Behaviour::IdToken(IdTokenFault::NoNonce)),
        choice("wrong-issuer",       "Is from another issuer",                 Behaviour::IdToken(IdTokenFault::Issuer)),
        choice("wrong-audience",     "Is for another app",                     Behaviour::IdToken(IdTokenFault::Audience)),
        choice("wrong-key",          "Is signed with an unknown key",          Behaviour::IdToken(IdTokenFault::Key)),
        choice("wrong-signature",    "Has a signature that does not hold",     Behaviour::IdToken(IdTokenFault::Signature)),
        choice("unsigned",           "Is not signed",                          Behaviour::IdToken(IdTokenFault::Unsigned)),
        choice("expired",            "Has expired",                            Behaviour::IdToken(IdTokenFault::Expired)),
        choice("wrong-at-hash",      "Belongs to another access token",        Behaviour::IdToken(IdTokenFault::AccessTokenHash)),
        choice("old-sign-in",        "Says that the sign-in was yesterday",    Behaviour::IdToken(IdTokenFault::OldSignIn)),
        choice("future-sign-in",     "Says that the sign-in is tomorrow",      Behaviour::IdToken(IdTokenFault::FutureSignIn)),
        choice("no-auth-time",       "Never says when the sign-in was",        Behaviour::IdToken(IdTokenFault::NoAuthTime)),
        choice("no-id-token",        "Is missing",                             Behaviour::IdToken(IdTokenFault::Missing)),
    ]},
    Group { title: "The person’s id", choices: &[
        choice("nul-subject",        "Has a NUL character",                    Behaviour::Subject(SubjectFault::Nul)),
        choice("control-subject",    "Has a line break",                       Behaviour::Subject(SubjectFault::Control)),
        choice("long-subject",       "Has 5000 letters",                       Behaviour::Subject(SubjectFault::Long)),
    ]},
    Group { title: "User info", choices: &[
        choice("wrong-subject",      "Is about somebody else",                 Behaviour::OtherSubject),
        choice("userinfo-slow",      "Takes very long",                        Behaviour::UserInfo(Fault::Slow)),
        choice("userinfo-broken",    "Answers with an error 500",              Behaviour::UserInfo(Fault::ServerError)),
        choice("userinfo-html",      "Answers with a web page",                Behaviour::UserInfo(Fault::WebPage)),
        choice("userinfo-huge",      "Answers with 16 MiB",                    Behaviour::UserInfo(Fault::Huge)),
        choice("userinfo-private",   "Redirects to a private address",         Behaviour::UserInfo(Fault::PrivateAddress)),
    ]},
];

impl Behaviour {
    /// The behaviour of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "honest" => Some(Self::Honest),
            "refuse" => Some(Self::Refuses),
            _ => GROUPS
                .iter()
                .flat_map(|group| group.choices)
                .find(|choice| choice.id == name)
                .map(|choice| choice.behaviour),
        }
    }
}
