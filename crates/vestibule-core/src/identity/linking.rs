//! Whose person an upstream identity is: the most attacked decision of a broker, in one function.
//!
//! A provider's word about an address is enough to sign in to an account here only where both sides verified the address. An account
//! here whose address nobody proved never receives somebody's upstream identity: whoever made it may have been waiting for that (T46).
//! And an address that the provider does not vouch for becomes nobody's: its owner would find it taken.

use super::account::ConnectedAccount;
use super::tenant::{Linking, SignUp};
use crate::id::{AccountId, UserId};
use crate::oauth::known_error::KnownError;
use crate::relying_party::identity::UpstreamIdentity;
use crate::time::{Lifetime, Timestamp};

/// How long ago somebody may have proved who they are, for what they link to become a way in. An access token goes to many servers;
/// whoever gets hold of one later makes no way in with it.
pub const LINK_SIGN_IN_WITHIN: Lifetime = Lifetime::minutes(10);

/// What somebody came through the provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To sign in, or to sign up.
    SignIn,
    /// To link the provider to this person, who is signed in.
    Link(UserId),
    /// The same, but only for its tokens: it is long ago that the person proved who they are.
    Connect(UserId),
}

impl Intent {
    /// What somebody may link to, who proved who they are at `auth_time`.
    pub fn of_link(user_id: UserId, auth_time: Timestamp, now: Timestamp) -> Self {
        if now <= auth_time.plus(LINK_SIGN_IN_WITHIN) {
            Self::Link(user_id)
        } else {
            Self::Connect(user_id)
        }
    }
}

/// What counts about a person here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPerson {
    /// The person.
    pub user_id: UserId,
    /// Whether their address is proved.
    pub email_verified: bool,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// Whether they have an account of this provider with which they may sign in.
    pub has_sign_in_account: bool,
}

/// What the records say about an upstream identity.
#[derive(Clone, Copy, Debug)]
pub struct LinkFacts<'a> {
    /// The link of this identity, if it is linked.
    pub account: Option<&'a ConnectedAccount>,
    /// The person of that link or, for [`Intent::Link`] and [`Intent::Connect`] without one, the person who links.
    pub owner: Option<&'a LocalPerson>,
    /// The person who has the identity's address here.
    pub holder: Option<&'a LocalPerson>,
}

/// What the tenant and the provider's settings allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    /// What happens when the address is somebody's already.
    pub linking: Linking,
    /// Who may sign up.
    pub sign_up: SignUp,
    /// Whether people may sign in with the provider.
    pub sign_in: bool,
    /// Whether apps may read the provider's tokens.
    pub connected_accounts: bool,
}

/// Why an upstream identity is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRefusal {
    /// The provider is not for this.
    ProviderNotEnabled,
    /// The person may not sign in.
    PersonDisabled,
    /// The person is gone.
    PersonGone,
    /// The link serves apps, not to sign in.
    NotForSignIn,
    /// Nobody may sign up by themselves.
    SignUpClosed,
    /// The address is somebody's. Whether both sides having verified it would change that.
    EmailInUse {
        /// It would.
        would_work_if_verified: bool,
    },
    /// The identity is another person's.
    ConnectedToAnother,
}

impl LinkRefusal {
    /// What the app is told. `email` is the address that the provider told.
    pub fn known_error(self, email: Option<&str>) -> KnownError {
        match self {
            Self::ProviderNotEnabled | Self::NotForSignIn => {
                KnownError::OAuthProviderNotFoundOrNotEnabled
            }
            Self::PersonDisabled | Self::PersonGone => KnownError::SignUpRejected {
                message: "This person may not sign in here.".to_owned(),
            },
            Self::SignUpClosed => KnownError::SignUpNotEnabled,
            Self::EmailInUse {
                would_work_if_verified,
            } => KnownError::ContactChannelAlreadyUsedForAuthBySomeoneElse {
                email: email.map(str::to_owned),
                would_work_if_verified,
            },
            Self::ConnectedToAnother => KnownError::OAuthConnectionAlreadyConnectedToAnotherUser,
        }
    }
}

/// Whose person it is, and what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkDecision {
    /// This person signs in with the link that they have; its tokens and address are written anew.
    SignIn {
        /// The person.
        user_id: UserId,
        /// The link.
        account_id: AccountId,
    },
    /// This person signs in, and the identity is linked to them.
    LinkAndSignIn {
        /// The person.
        user_id: UserId,
    },
    /// A new person, with this link.
    CreateUser {
        /// Whether the identity's address becomes theirs: only one that the provider vouches for.
        with_email: bool,
    },
    /// The identity is linked to the person who asked for it.
    Connect {
        /// The person.
        user_id: UserId,
        /// Whether they may sign in with it.
        sign_in: bool,
    },
    /// It was linked to them already: its tokens and address are written anew.
    Renew {
        /// The person.
        user_id: UserId,
        /// The link.
        account_id: AccountId,
    },
    /// No; nothing is written.
    Refuse(LinkRefusal),
}

/// Decides whose person an upstream identity is.
pub fn decide(
    identity: &UpstreamIdentity,
    facts: &LinkFacts<'_>,
    intent: Intent,
    policy: LinkPolicy,
) -> LinkDecision {
    match intent {
        Intent::SignIn => sign_in(identity, facts, policy),
        Intent::Link(user_id) => link(user_id, facts, policy),
        Intent::Connect(user_id) => {
            let policy = LinkPolicy {
                sign_in: false,
                ..policy
            };
            link(user_id, facts, policy)
        }
    }
}

fn sign_in(identity: &UpstreamIdentity, facts: &LinkFacts<'_>, policy: LinkPolicy) -> LinkDecision {
    use LinkDecision::Refuse;
    if !policy.sign_in {
        return Refuse(LinkRefusal::ProviderNotEnabled);
    }
    if let Some(account) = facts.account {
        return match facts.owner {
            Some(owner) if owner.user_id != account.user_id => Refuse(LinkRefusal::PersonGone),
            None => Refuse(LinkRefusal::PersonGone),
            Some(owner) if owner.disabled => Refuse(LinkRefusal::PersonDisabled),
            Some(_) if !account.sign_in => Refuse(LinkRefusal::NotForSignIn),
            Some(owner) => LinkDecision::SignIn {
                user_id: owner.user_id,
                account_id: account.id,
            },
        };
    }
    let create = |with_email| match policy.sign_up {
        SignUp::Open => LinkDecision::CreateUser { with_email },
        SignUp::Invited | SignUp::Closed => Refuse(LinkRefusal::SignUpClosed),
    };
    let Some(holder) = facts.holder.filter(|_| identity.email.is_some()) else {
        return create(identity.email.is_some() && identity.email_verified);
    };
    let in_use = |would_work_if_verified| {
        Refuse(LinkRefusal::EmailInUse {
            would_work_if_verified,
        })
    };
    match policy.linking {
        Linking::Duplicates => create(false),
        Linking::Refuse => in_use(false),
        Linking::Link if !(identity.email_verified && holder.email_verified) => in_use(true),
        Linking::Link if holder.disabled => Refuse(LinkRefusal::PersonDisabled),
        // One account of a provider to sign in with: a second one with the same address is somebody who got the address later.
        Linking::Link if holder.has_sign_in_account => in_use(false),
        Linking::Link => LinkDecision::LinkAndSignIn {
            user_id: holder.user_id,
        },
    }
}

fn link(user_id: UserId, facts: &LinkFacts<'_>, policy: LinkPolicy) -> LinkDecision {
    use LinkDecision::Refuse;
    if facts
        .account
        .is_some_and(|account| account.user_id != user_id)
    {
        return Refuse(LinkRefusal::ConnectedToAnother);
    }
    let Some(owner) = facts.owner.filter(|owner| owner.user_id == user_id) else {
        return Refuse(LinkRefusal::PersonGone);
    };
    if owner.disabled {
        return Refuse(LinkRefusal::PersonDisabled);
    }
    if let Some(account) = facts.account {
        return LinkDecision::Renew {
            user_id,
            account_id: account.id,
        };
    }
    let sign_in = policy.sign_in && !owner.has_sign_in_account;
    if sign_in || policy.connected_accounts {
        LinkDecision::Connect { user_id, sign_in }
    } else {
        Refuse(LinkRefusal::ProviderNotEnabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relying_party::provider::ProviderId;
    use crate::time::Timestamp;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const EVE: UserId = UserId::from_bytes([2; 16]);
    const LINK: AccountId = AccountId::from_bytes([9; 16]);
    const OPEN: LinkPolicy = LinkPolicy {
        linking: Linking::Link,
        sign_up: SignUp::Open,
        sign_in: true,
        connected_accounts: true,
    };
    const CLOSED: LinkPolicy = LinkPolicy {
        sign_up: SignUp::Closed,
        ..OPEN
    };
    const PERSON: LocalPerson = LocalPerson {
        user_id: ADA,
        email_verified: true,
        disabled: false,
        has_sign_in_account: false,
    };
    const UNPROVED: LocalPerson = LocalPerson {
        email_verified: false,
        ..PERSON
    };
    const DISABLED: LocalPerson = LocalPerson {
        disabled: true,
        ..PERSON
    };
    const TAKEN: LocalPerson = LocalPerson {
        has_sign_in_account: true,
        ..PERSON
    };

    fn identity(email: Option<&str>, email_verified: bool) -> UpstreamIdentity {
        UpstreamIdentity {
            subject: "s".to_owned(),
            email: email.map(str::to_owned),
            email_verified,
            name: None,
            username: None,
            picture: None,
            auth_time: None,
        }
    }

    fn account(user_id: UserId, sign_in: bool) -> ConnectedAccount {
        ConnectedAccount {
            id: LINK,
            user_id,
            provider_id: ProviderId::parse("google").unwrap(),
            subject: "s".to_owned(),
            email: None,
            sign_in,
            connected: true,
            grant: None,
            created_at: Timestamp::from_seconds(1),
            updated_at: Timestamp::from_seconds(1),
        }
    }

    #[test]
    fn t33_what_is_linked_long_after_the_proof_is_no_way_in() {
        let proved = identity(Some("ada@x.example"), true);
        let facts = LinkFacts {
            account: None,
            owner: Some(&PERSON),
            holder: None,
        };
        let no_tokens = LinkPolicy {
            connected_accounts: false,
            ..OPEN
        };
        let refused = LinkDecision::Refuse(LinkRefusal::ProviderNotEnabled);
        let connect = |sign_in| LinkDecision::Connect {
            user_id: ADA,
            sign_in,
        };
        for (now, policy, expected) in [
            (1_000, OPEN, connect(true)),
            (1_600, OPEN, connect(true)),
            (1_601, OPEN, connect(false)),
            (1_601, no_tokens, refused),
        ] {
            let intent = Intent::of_link(
                ADA,
                Timestamp::from_seconds(1_000),
                Timestamp::from_seconds(now),
            );
            assert_eq!(decide(&proved, &facts, intent, policy), expected, "{now}");
        }
    }

    #[test]
    fn t46_whose_person_an_upstream_identity_is() {
        use LinkDecision::{Connect, CreateUser, LinkAndSignIn, Refuse, Renew, SignIn};
        use LinkRefusal::{
            ConnectedToAnother, EmailInUse, NotForSignIn, PersonDisabled, PersonGone,
            ProviderNotEnabled, SignUpClosed,
        };
        let proved = identity(Some("ada@x.example"), true);
        let claimed = identity(Some("ada@x.example"), false);
        let silent = identity(None, false);
        let (mine, hers, silent_link) =
            (account(ADA, true), account(EVE, true), account(ADA, false));
        let would = Refuse(EmailInUse {
            would_work_if_verified: true,
        });
        let never = Refuse(EmailInUse {
            would_work_if_verified: false,
        });
        let of = |linking| LinkPolicy { linking, ..OPEN };
        let no_sign_in = LinkPolicy {
            sign_in: false,
            ..OPEN
        };
        let no_tokens = LinkPolicy {
            connected_accounts: false,
            ..OPEN
        };
        let link = Intent::Link(ADA);
        let (p, u, d, t) = (
            Some(&PERSON),
            Some(&UNPROVED),
            Some(&DISABLED),
            Some(&TAKEN),
        );
        let signed_in = SignIn {
            user_id: ADA,
            account_id: LINK,
        };
        #[rustfmt::skip]
        let table = [
            // Somebody new.
            (&proved,  None,               None, None, Intent::SignIn, OPEN,                    CreateUser { with_email: true }),
            (&claimed, None,               None, None, Intent::SignIn, OPEN,                    CreateUser { with_email: false }),
            (&claimed, None,               None, None, Intent::SignIn, of(Linking::Duplicates), CreateUser { with_email: false }),
            (&claimed, None,               None, None, Intent::SignIn, of(Linking::Refuse),     CreateUser { with_email: false }),
            (&claimed, None,               None, None, Intent::SignIn, CLOSED,                  Refuse(SignUpClosed)),
            (&claimed, None,               None, p,    Intent::SignIn, of(Linking::Duplicates), CreateUser { with_email: false }),
            (&silent,  None,               None, None, Intent::SignIn, OPEN,                    CreateUser { with_email: false }),
            (&proved,  None,               None, None, Intent::SignIn, CLOSED,                  Refuse(SignUpClosed)),
            (&proved,  None,               None, None, Intent::SignIn, LinkPolicy { sign_up: SignUp::Invited, ..OPEN }, Refuse(SignUpClosed)),
            (&proved,  None,               None, None, Intent::SignIn, no_sign_in,              Refuse(ProviderNotEnabled)),
            // Somebody whose address is known here.
            (&proved,  None,               None, p,    Intent::SignIn, OPEN,                    LinkAndSignIn { user_id: ADA }),
            (&proved,  None,               None, p,    Intent::SignIn, CLOSED,                  LinkAndSignIn { user_id: ADA }),
            (&claimed, None,               None, p,    Intent::SignIn, OPEN,                    would),
            (&proved,  None,               None, u,    Intent::SignIn, OPEN,                    would),
            (&claimed, None,               None, u,    Intent::SignIn, OPEN,                    would),
            (&proved,  None,               None, d,    Intent::SignIn, OPEN,                    Refuse(PersonDisabled)),
            (&proved,  None,               None, t,    Intent::SignIn, OPEN,                    never),
            (&proved,  None,               None, p,    Intent::SignIn, of(Linking::Refuse),     never),
            (&claimed, None,               None, u,    Intent::SignIn, of(Linking::Refuse),     never),
            (&proved,  None,               None, p,    Intent::SignIn, of(Linking::Duplicates), CreateUser { with_email: false }),
            (&proved,  None,               None, u,    Intent::SignIn, of(Linking::Duplicates), CreateUser { with_email: false }),
            (&proved,  None,               None, p,    Intent::SignIn, LinkPolicy { linking: Linking::Duplicates, ..CLOSED }, Refuse(SignUpClosed)),
            (&silent,  None,               None, p,    Intent::SignIn, OPEN,                    CreateUser { with_email: false }),
            // Somebody who is linked.
            (&proved,  Some(&mine),        p,    p,    Intent::SignIn, OPEN,                    signed_in),
            (&proved,  Some(&mine),        p,    None, Intent::SignIn, CLOSED,                  signed_in),
            (&claimed, Some(&mine),        u,    None, Intent::SignIn, OPEN,                    signed_in),
            (&proved,  Some(&mine),        t,    None, Intent::SignIn, of(Linking::Refuse),     signed_in),
            (&proved,  Some(&mine),        d,    d,    Intent::SignIn, OPEN,                    Refuse(PersonDisabled)),
            (&proved,  Some(&mine),        None, p,    Intent::SignIn, OPEN,                    Refuse(PersonGone)),
            (&proved,  Some(&hers),        p,    p,    Intent::SignIn, OPEN,                    Refuse(PersonGone)),
            (&proved,  Some(&silent_link), p,    p,    Intent::SignIn, OPEN,                    Refuse(NotForSignIn)),
            (&proved,  Some(&mine),        p,    p,    Intent::SignIn, no_sign_in,              Refuse(ProviderNotEnabled)),
            // Somebody who links.
            (&proved,  None,               p,    None, link,           OPEN,                    Connect { user_id: ADA, sign_in: true }),
            (&claimed, None,               u,    p,    link,           CLOSED,                  Connect { user_id: ADA, sign_in: true }),
            (&proved,  None,               t,    None, link,           OPEN,                    Connect { user_id: ADA, sign_in: false }),
            (&proved,  None,               p,    None, link,           no_sign_in,              Connect { user_id: ADA, sign_in: false }),
            (&proved,  None,               p,    None, link,           no_tokens,               Connect { user_id: ADA, sign_in: true }),
            (&proved,  None,               t,    None, link,           no_tokens,               Refuse(ProviderNotEnabled)),
            (&proved,  Some(&mine),        p,    None, link,           OPEN,                    Renew { user_id: ADA, account_id: LINK }),
            (&proved,  Some(&silent_link), t,    None, link,           OPEN,                    Renew { user_id: ADA, account_id: LINK }),
            (&proved,  Some(&hers),        p,    p,    link,           OPEN,                    Refuse(ConnectedToAnother)),
            (&proved,  None,               d,    None, link,           OPEN,                    Refuse(PersonDisabled)),
            (&proved,  None,               None, p,    link,           OPEN,                    Refuse(PersonGone)),
        ];
        for (row, (identity, account, owner, holder, intent, policy, expected)) in
            table.into_iter().enumerate()
        {
            let facts = LinkFacts {
                account,
                owner,
                holder,
            };
            assert_eq!(
                decide(identity, &facts, intent, policy),
                expected,
                "row {row}"
            );
        }
    }
}
