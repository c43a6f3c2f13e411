//! What can be written about the broker: providers, API keys and trusted domains.

use super::{InTenant, Keys, Yes};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ProviderFlags {
    /// A provider that is known by name: google, github, microsoft, apple, gitlab, bitbucket, discord, facebook, linkedin, spotify,
    /// twitch, x or slack.
    #[arg(long)]
    pub(in crate::cli) preset: Option<String>,
    /// The issuer of any other OpenID provider; its endpoints are discovered.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) issuer: Option<String>,
    /// The authorization endpoint of any other OAuth 2.0 provider; it needs --token-url and --userinfo-url too.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) authorization_url: Option<String>,
    /// Its token endpoint.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) token_url: Option<String>,
    /// Its user info endpoint.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) userinfo_url: Option<String>,
    /// Its name for people, on the button.
    #[arg(long)]
    pub(in crate::cli) name: Option<String>,
    /// Our client id there.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) client_id: Option<String>,
    /// The variable that holds our secret there; for Apple, its private key as PEM.
    #[arg(long, value_name = "NAME", conflicts_with = "secret_file")]
    pub(in crate::cli) secret_env: Option<String>,
    /// The file that holds our secret there.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) secret_file: Option<PathBuf>,
    /// A scope to ask for besides the preset's; those that are given replace the present ones. Repeatable.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(in crate::cli) scopes: Vec<String>,
    /// A redirect URI of our own to register there instead of the usual one.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) callback_url: Option<String>,
    /// Whether its word about e-mail addresses counts: claim, never or always.
    #[arg(long, value_name = "WHEN")]
    pub(in crate::cli) email_trust: Option<String>,
    /// Microsoft's directory.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) microsoft_tenant: Option<String>,
    /// Apple's team id.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) apple_team_id: Option<String>,
    /// The id of Apple's key.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) apple_key_id: Option<String>,
    /// The bundle id of an app of ours that signs in with Apple by itself. Repeatable.
    #[arg(long = "apple-bundle-id", value_name = "ID")]
    pub(in crate::cli) apple_bundle_ids: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) keys: Keys,
}

#[derive(Subcommand)]
pub(in crate::cli) enum ProviderCommand {
    /// List the providers, each with the redirect URI to register there.
    List(InTenant),
    /// Show a provider, with the redirect URI to register there. Its secret is not shown.
    Show {
        /// The provider.
        id: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Make a provider, and print the redirect URI to register there.
    #[command(after_help = "\
Examples:
  vestibule provider create google --preset google --client-id 123.apps.googleusercontent.com --secret-env GOOGLE_SECRET
  vestibule provider create corp --issuer https://login.corp.example --client-id vestibule --secret-file corp.secret
  vestibule provider create forge --authorization-url https://forge.example/authorize --token-url https://forge.example/token \\
      --userinfo-url https://forge.example/api/user --client-id vestibule --secret-env FORGE_SECRET --set mapping.subject=/id
What to register where: docs/providers.md")]
    Create {
        /// Its name in addresses: lower-case letters, digits, `-` and `_`.
        id: String,
        #[command(flatten)]
        flags: Box<ProviderFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Change a provider. What is not given stays, the secret too.
    #[command(
        after_help = "Examples:\n  vestibule provider update google --secret-env GOOGLE_SECRET\n  vestibule provider update google --set authorization_params.prompt=select_account --set sign_in=false"
    )]
    Update {
        /// The provider.
        id: String,
        #[command(flatten)]
        flags: Box<ProviderFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Remove a provider. People keep their links to it, which sign nobody in until a provider of that id is back.
    #[command(visible_alias = "remove")]
    Delete {
        /// The provider.
        id: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
}

#[derive(Args)]
pub(in crate::cli) struct ApiKeyFlags {
    /// What it opens: publishable (it stands in browsers), secret (a server's) or admin.
    #[arg(long)]
    pub(in crate::cli) tier: String,
    /// When it ends, such as 2027-01-31T00:00:00Z; never without.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) expires_at: Option<String>,
    /// The variable that holds the key; without one a key is made and printed this once.
    #[arg(long, value_name = "NAME", conflicts_with = "from_file")]
    pub(in crate::cli) from_env: Option<String>,
    /// The file that holds the key.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) from_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(in crate::cli) enum ApiKeyCommand {
    /// List the API keys. The keys themselves are kept nowhere.
    List(InTenant),
    /// Make an API key. It is printed this once, unless it is given.
    #[command(after_help = "\
Examples:
  vestibule api-key create browser --tier publishable
  vestibule api-key create backend --tier secret --expires-at 2027-01-31T00:00:00Z
To replace a key: create another, give it to its users, then revoke the old one.")]
    Create {
        /// Its name for people.
        name: String,
        #[command(flatten)]
        flags: ApiKeyFlags,
        #[command(flatten)]
        within: InTenant,
    },
    /// End an API key at once. Its record stays, so that an installation file does not bring it back.
    Revoke {
        /// The key's name.
        name: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
    /// Remove an API key and its record.
    #[command(visible_alias = "remove")]
    Delete {
        /// The key's name.
        name: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
}

#[derive(Subcommand)]
pub(in crate::cli) enum TrustedDomainCommand {
    /// List the trusted domains.
    List(InTenant),
    /// Trust a domain.
    #[command(after_help = "\
`*` stands for part of a label, `**` for one label or more.

Examples:
  vestibule trusted-domain add https://app.example.com
  vestibule trusted-domain add 'https://preview-*.example.com'
  vestibule trusted-domain add http://localhost:3000")]
    Add {
        /// Scheme, host and port.
        base_url: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Trust a domain no more.
    #[command(visible_alias = "delete")]
    Remove {
        /// The domain as it was added.
        base_url: String,
        #[command(flatten)]
        within: InTenant,
    },
}
