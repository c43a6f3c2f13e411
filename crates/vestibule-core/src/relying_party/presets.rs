//! The providers that we know by name: one slice of data, and no code of their own.
//!
//! Endpoints, scopes and quirks are those of each provider's published guide; `docs/providers.md` says which. What a preset says, the
//! settings of a provider may say otherwise.

use super::provider::{EmailTrust, Reauthentication, UpstreamAuth};

/// How a preset's provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresetProtocol {
    /// OpenID Connect at this issuer.
    OpenId(&'static str),
    /// OpenID Connect whose endpoints are written here, since its own document cannot be relied on.
    OpenIdAt {
        /// What stands in its ID tokens.
        issuer: &'static str,
        /// Where browsers go.
        authorization: &'static str,
        /// Where codes are exchanged.
        token: &'static str,
        /// Where its keys are.
        keys: &'static str,
    },
    /// OpenID Connect at Microsoft, where the issuer is a directory's.
    Microsoft,
    /// Plain OAuth 2.0.
    OAuth {
        /// Where browsers go.
        authorization: &'static str,
        /// Where codes are exchanged.
        token: &'static str,
        /// Where the person is described.
        userinfo: &'static str,
    },
}

/// A fact about a person and where it stands in user info: a name of [`Mapping`](super::provider::Mapping) and a pointer.
pub type MappedFact = (&'static str, &'static str);

/// What we know about a provider.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about another party"
)]
pub struct ProviderPreset {
    /// Its name in settings.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// How it speaks.
    pub protocol: PresetProtocol,
    /// Whether user info is silent about verified addresses, and `{userinfo}/emails` lists them.
    pub emails: bool,
    /// The scopes of a sign-in.
    pub scopes: &'static str,
    /// How we prove ourselves.
    pub auth: UpstreamAuth,
    /// Where the facts stand, where that is not the standard claim.
    pub mapping: &'static [MappedFact],
    /// Whether its word about an address counts.
    pub email_trust: EmailTrust,
    /// What else its authorization endpoint wants.
    pub params: &'static [(&'static str, &'static str)],
    /// Whether it accepts a PKCE challenge.
    pub pkce: bool,
    /// Whether its ID token repeats the nonce.
    pub nonce: bool,
    /// How it can be held to ask the person anew who they are.
    pub reauthentication: Reauthentication,
    /// Whether it answers with a form that the browser posts across sites.
    pub form_post: bool,
}

const PRESET: ProviderPreset = ProviderPreset {
    id: "",
    name: "",
    protocol: PresetProtocol::Microsoft,
    emails: false,
    scopes: "openid email profile",
    auth: UpstreamAuth::ClientSecretPost,
    mapping: &[],
    email_trust: EmailTrust::Claim,
    params: &[],
    pkce: true,
    nonce: true,
    reauthentication: Reauthentication::Never,
    form_post: false,
};

/// Every provider that we know by name.
pub const PRESETS: &[ProviderPreset] = &[
    // A refresh token comes only with `offline` and a fresh consent.
    ProviderPreset {
        id: "google",
        name: "Google",
        protocol: PresetProtocol::OpenId("https://accounts.google.com"),
        params: &[("access_type", "offline"), ("prompt", "consent")],
        ..PRESET
    },
    // The address in `/user` is the one that the person shows; whether it is verified stands in `/user/emails`.
    ProviderPreset {
        id: "github",
        name: "GitHub",
        protocol: PresetProtocol::OAuth {
            authorization: "https://github.com/login/oauth/authorize",
            token: "https://github.com/login/oauth/access_token",
            userinfo: "https://api.github.com/user",
        },
        emails: true,
        scopes: "read:user user:email",
        mapping: &[
            ("subject", "/id"),
            ("username", "/login"),
            ("picture", "/avatar_url"),
        ],
        ..PRESET
    },
    // An administrator of any directory can write any address: never trusted. Its guide knows `prompt=login` and no `max_age`, and
    // its ID tokens tell `auth_time` only where an administrator wished so.
    ProviderPreset {
        id: "microsoft",
        name: "Microsoft",
        protocol: PresetProtocol::Microsoft,
        reauthentication: Reauthentication::PromptOnly,
        scopes: "openid email profile offline_access",
        email_trust: EmailTrust::Never,
        ..PRESET
    },
    // With `name` or `email` Apple insists on the posted form, and tells the name there only, once. For a day of June 2025 its document
    // named another issuer than its ID tokens and moved elsewhere by a redirect; the endpoints of its guide stood still.
    ProviderPreset {
        id: "apple",
        name: "Apple",
        protocol: PresetProtocol::OpenIdAt {
            issuer: "https://appleid.apple.com",
            authorization: "https://appleid.apple.com/auth/authorize",
            token: "https://appleid.apple.com/auth/token",
            keys: "https://appleid.apple.com/auth/keys",
        },
        scopes: "name email",
        auth: UpstreamAuth::SignedSecret,
        form_post: true,
        ..PRESET
    },
    ProviderPreset {
        id: "gitlab",
        name: "GitLab",
        protocol: PresetProtocol::OpenId("https://gitlab.com"),
        reauthentication: Reauthentication::Standard,
        ..PRESET
    },
    // `username` is no more in what Bitbucket says of people; the nickname is what others see.
    ProviderPreset {
        id: "bitbucket",
        name: "Bitbucket",
        protocol: PresetProtocol::OAuth {
            authorization: "https://bitbucket.org/site/oauth2/authorize",
            token: "https://bitbucket.org/site/oauth2/access_token",
            userinfo: "https://api.bitbucket.org/2.0/user",
        },
        emails: true,
        scopes: "account email",
        auth: UpstreamAuth::ClientSecretBasic,
        mapping: &[
            ("subject", "/uuid"),
            ("name", "/display_name"),
            ("username", "/nickname"),
            ("picture", "/links/avatar/href"),
        ],
        ..PRESET
    },
    ProviderPreset {
        id: "discord",
        name: "Discord",
        protocol: PresetProtocol::OAuth {
            authorization: "https://discord.com/oauth2/authorize",
            token: "https://discord.com/api/oauth2/token",
            userinfo: "https://discord.com/api/users/@me",
        },
        scopes: "identify email",
        mapping: &[
            ("subject", "/id"),
            ("email_verified", "/verified"),
            ("name", "/global_name"),
            ("username", "/username"),
        ],
        ..PRESET
    },
    // A version lives for two years after the next one came out; calls to one that is gone are answered by the oldest there is.
    ProviderPreset {
        id: "facebook",
        name: "Facebook",
        protocol: PresetProtocol::OAuth {
            authorization: "https://www.facebook.com/v25.0/dialog/oauth",
            token: "https://graph.facebook.com/v25.0/oauth/access_token",
            userinfo: "https://graph.facebook.com/v25.0/me?fields=id,name,email,picture",
        },
        scopes: "public_profile email",
        mapping: &[("subject", "/id"), ("picture", "/picture/data/url")],
        email_trust: EmailTrust::Never,
        ..PRESET
    },
    // LinkedIn refuses a challenge in this flow, and its ID token has no nonce.
    ProviderPreset {
        id: "linkedin",
        name: "LinkedIn",
        protocol: PresetProtocol::OpenId("https://www.linkedin.com/oauth"),
        pkce: false,
        nonce: false,
        ..PRESET
    },
    ProviderPreset {
        id: "spotify",
        name: "Spotify",
        protocol: PresetProtocol::OAuth {
            authorization: "https://accounts.spotify.com/authorize",
            token: "https://accounts.spotify.com/api/token",
            userinfo: "https://api.spotify.com/v1/me",
        },
        scopes: "user-read-email user-read-private",
        auth: UpstreamAuth::ClientSecretBasic,
        mapping: &[
            ("subject", "/id"),
            ("name", "/display_name"),
            ("picture", "/images/0/url"),
        ],
        email_trust: EmailTrust::Never,
        ..PRESET
    },
    // Twitch tells a claim only when it is asked for by name (OpenID Connect Core, 5.5), and has no `name`: what it calls the preferred
    // user name is the name that is shown.
    ProviderPreset {
        id: "twitch",
        name: "Twitch",
        protocol: PresetProtocol::OpenId("https://id.twitch.tv/oauth2"),
        scopes: "openid user:read:email",
        mapping: &[("name", "/preferred_username")],
        params: &[(
            "claims",
            r#"{"id_token":{"email":null,"email_verified":null,"picture":null,"preferred_username":null},"userinfo":{"email":null,"email_verified":null,"picture":null,"preferred_username":null}}"#,
        )],
        ..PRESET
    },
    ProviderPreset {
        id: "x",
        name: "X",
        protocol: PresetProtocol::OAuth {
            authorization: "https://x.com/i/oauth2/authorize",
            token: "https://api.x.com/2/oauth2/token",
            userinfo: "https://api.x.com/2/users/me?user.fields=profile_image_url,confirmed_email",
        },
        scopes: "users.read tweet.read users.email offline.access",
        auth: UpstreamAuth::ClientSecretBasic,
        mapping: &[
            ("subject", "/data/id"),
            ("email", "/data/confirmed_email"),
            ("name", "/data/name"),
            ("username", "/data/username"),
            ("picture", "/data/profile_image_url"),
        ],
        email_trust: EmailTrust::Never,
        ..PRESET
    },
    // Slack takes a challenge only from an app that was turned into a public client, which ours are not.
    ProviderPreset {
        id: "slack",
        name: "Slack",
        protocol: PresetProtocol::OpenId("https://slack.com"),
        pkce: false,
        ..PRESET
    },
];

/// The preset of that name.
pub fn preset(id: &str) -> Option<&'static ProviderPreset> {
    PRESETS.iter().find(|preset| preset.id == id)
}
