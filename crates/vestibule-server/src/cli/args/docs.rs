//! What can be written about docs sites.

use super::{InTenant, Keys, Yes};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct DocsSiteFlags {
    /// The folder of built static files; or --upstream.
    #[arg(long, value_name = "PATH", conflicts_with = "upstream")]
    pub(in crate::cli) root: Option<PathBuf>,
    /// The address of the site that is passed on; or --root.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) upstream: Option<String>,
    /// Where readers find it: a host or a port of its own, never the server's.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) public_url: Option<String>,
    /// A listener of its own; without it the host of the public URL chooses the site.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(in crate::cli) site_listen: Option<String>,
    /// Who may read it: personalised (everybody) or private (who has signed in).
    #[arg(long)]
    pub(in crate::cli) visibility: Option<String>,
    /// Where readers sign in.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) authorization_url: Option<String>,
    /// The site's client id there.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) client_id: Option<String>,
    /// The variable that holds the client's secret there, for one that is not public.
    #[arg(long, value_name = "NAME", conflicts_with = "secret_file")]
    pub(in crate::cli) secret_env: Option<String>,
    /// The file that holds the client's secret there.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) secret_file: Option<PathBuf>,
    /// A scope to ask for; those that are given replace the present ones. Repeatable.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(in crate::cli) scopes: Vec<String>,
    /// Where the code is exchanged.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) token_url: Option<String>,
    /// What tells who the reader is.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) info_api_url: Option<String>,
    /// Where signing out goes on.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) logout_url: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) keys: Keys,
}

#[derive(Subcommand)]
pub(in crate::cli) enum DocsCommand {
    /// List the docs sites, each with the redirect URI to register at its OAuth server.
    List(InTenant),
    /// Show a docs site, with the redirect URI to register. Its client's secret is not shown.
    Show {
        /// The site.
        name: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Serve a docs site, and print the redirect URI to register at its OAuth server.
    #[command(after_help = "\
Examples:
  vestibule docs create handbook --root ./site --public-url https://docs.example.com --client-id docs \\
      --authorization-url https://id.example.com/oauth/authorize --token-url https://id.example.com/oauth/token \\
      --info-api-url https://id.example.com/docs/user-info --scope docs-user-info
  vestibule docs create internal --upstream http://127.0.0.1:4000 --visibility private …
Rules, groups from tokens and more: --set, as in the installation file. Then: vestibule docs check NAME")]
    Create {
        /// Its name: lower-case letters, digits and hyphens.
        name: String,
        #[command(flatten)]
        flags: Box<DocsSiteFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Change a docs site. What is not given stays, the secret too.
    #[command(
        after_help = "Examples:\n  vestibule docs update handbook --visibility private\n  vestibule docs update handbook --set extra_authorization_params.audience=docs"
    )]
    Update {
        /// The site.
        name: String,
        #[command(flatten)]
        flags: Box<DocsSiteFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Ask every address of a site's handshake, say what is wrong, and print a link that signs you in there and shows what comes.
    #[command(after_help = "\
Examples:
  vestibule docs check handbook
  vestibule docs check handbook --json
The exit status is 5 when something is wrong.")]
    Check {
        /// The site.
        name: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Serve a docs site no more, and forget its readers. Its files stay.
    #[command(visible_alias = "remove")]
    Delete {
        /// The site.
        name: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
}
