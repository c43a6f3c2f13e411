//! The kinds of token, told apart by the `typ` header (RFC 8725, 3.11).

/// A kind of signed token. Each verifier expects exactly one, so that no token serves for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenType {
    /// An ID token: `JWT` (RFC 7519, 5.1).
    IdToken,
    /// A JWT access token: `at+jwt` (RFC 9068, 2.1).
    AccessToken,
    /// A logout token: `logout+jwt` (`OpenID` Connect Back-Channel Logout, 2.4).
    LogoutToken,
    /// An access token of the project API: `project+jwt`. It is none to user info and introspection, nor the other way round.
    ProjectToken,
}

impl TokenType {
    /// All kinds.
    pub const ALL: [Self; 4] = [
        Self::IdToken,
        Self::AccessToken,
        Self::LogoutToken,
        Self::ProjectToken,
    ];

    /// The value of the `typ` header in our own tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdToken => "JWT",
            Self::AccessToken => "at+jwt",
            Self::LogoutToken => "logout+jwt",
            Self::ProjectToken => "project+jwt",
        }
    }

    /// Whether a token with this `typ` header is of this kind.
    ///
    /// Media types compare without regard to case, and `application/` may be left out (RFC 7515, 4.1.9; RFC 9068, 4).
    /// A token without the header can be an ID token only: `OpenID` Connect asks for no `typ`, and large providers send
    /// none.
    pub(super) fn accepts(self, header: Option<&str>) -> bool {
        const PREFIX: &str = "application/";
        let Some(typ) = header else {
            return self == Self::IdToken;
        };
        let short = match typ.split_at_checked(PREFIX.len()) {
            Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
            _ => typ,
        };
        short.eq_ignore_ascii_case(self.as_str())
    }
}
