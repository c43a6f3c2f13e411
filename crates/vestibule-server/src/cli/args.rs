//! What can be written on the command line.

pub(super) mod broker;
pub(super) mod docs;
pub(super) mod docs_profile;

use crate::config;
use broker::{ApiKeyCommand, ProviderCommand, TrustedDomainCommand};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use docs::DocsCommand;
use docs_profile::DocsProfileFlags;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The flag that makes a command print JSON.
pub(super) const JSON: &str = "json";

const ABOUT: &str =
    "Vestibule lets people sign in: an OAuth 2.1 and OpenID Connect server in one binary.";

const EXAMPLES: &str = "\
Examples:
  vestibule demo                                   look at it
  vestibule serve --public-url https://id.example.com --listen 127.0.0.1:8080
  vestibule apply installation.toml --dry-run      see what would change
  vestibule client create shop --redirect-uri https://shop.example.com/callback
  vestibule user create --email ada@example.com --name \"Ada Lovelace\"

Commands work whether a server runs or not: they talk to it over a socket in the data folder, or open the records
themselves.

Exit status:
  0  done              2  the command cannot mean anything    4  it exists already, or is in another state
  1  the server failed 3  something named is not there        5  what is given breaks a rule
                                                              6  the records cannot be reached";

#[derive(Parser)]
#[command(name = "vestibule", version, about = ABOUT, after_help = EXAMPLES, arg_required_else_help = true, max_term_width = 120)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the server.
    ///
    /// The first start makes everything that it needs in the data folder, and prints a link that creates the operator. It stops
    /// on SIGTERM or Ctrl-C, once the requests that run are answered.
    #[command(after_help = "\
Examples:
  vestibule serve
  vestibule serve --public-url https://id.example.com --data /var/lib/vestibule
  vestibule serve --apply installation.toml")]
    Serve,
    /// Run a throwaway server with an app to sign in to. Nothing is kept.
    Demo(DemoArgs),
    /// Look at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make the installation what a file says, as a whole or not at all. A second time it changes nothing.
    #[command(after_help = "\
What the file does not name stays, unless --prune is given. Secrets that are made are printed this once.

Examples:
  vestibule apply installation.toml --dry-run
  vestibule apply installation.toml
  generate-installation | vestibule apply -
The keys of the file: vestibule schema")]
    Apply(ApplyArgs),
    /// Print the JSON Schema of the installation file.
    Schema,
    /// Tenants: isolated realms with people, clients and keys of their own.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Clients: the software that signs people in here.
    #[command(subcommand)]
    Client(ClientCommand),
    /// People.
    #[command(subcommand)]
    User(UserCommand),
    /// Hosts: where a tenant answers besides the public URL.
    #[command(subcommand)]
    Domain(DomainCommand),
    /// Scopes: what clients may ask people for, besides the standard ones.
    #[command(subcommand)]
    Scope(ScopeCommand),
    /// Providers: sign people in through Google, GitHub and others.
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// API keys: what apps and servers show to the project API.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Trusted domains: where the project API may send browsers back to.
    #[command(subcommand)]
    TrustedDomain(TrustedDomainCommand),
    /// Docs sites: documentation that knows its readers.
    #[command(subcommand)]
    Docs(DocsCommand),
    /// Signing keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Make a new link that creates the operator, while there is none. Older links stop working.
    SetupLink(Output),
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Where the server listens; the app listens on the next free port.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(super) listen: SocketAddr,
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the settings and the installation file that they name, and print what is in effect.
    Check,
    /// Print what is in effect and where each value comes from. Secrets are masked.
    Show,
    /// Print the reference of all settings as Markdown.
    Reference,
}

#[derive(Args)]
pub(super) struct Output {
    /// Print JSON.
    #[arg(long = JSON, id = JSON)]
    pub(super) _json: bool,
}

#[derive(Args)]
pub(super) struct InTenant {
    /// The tenant.
    #[arg(long, value_name = "SLUG", default_value = "default")]
    pub(super) tenant: String,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Args)]
pub(super) struct Yes {
    /// Do it without asking: it cannot be undone.
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Args)]
pub(super) struct ApplyArgs {
    /// The installation file, or - for standard input.
    pub(super) file: PathBuf,
    /// Write nothing; say what would change.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Remove what the file does not name: tenants but the default one, hosts, scopes, clients, providers, API keys, trusted domains,
    /// and people but operators.
    #[arg(long)]
    pub(super) prune: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

/// Any key, for those that have no flag.
#[derive(Args, Default)]
pub(super) struct Keys {
    /// Any key of the installation file, such as `policy.pkce=public_clients`; an empty value takes it away. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Args)]
pub(super) struct TenantFlags {
    /// Its name for people.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A group that people can be in; those that are given replace the present ones. Repeatable.
    #[arg(long = "group", value_name = "GROUP")]
    pub(super) groups: Vec<String>,
    /// Who may sign up: open, invited or closed.
    #[arg(long, value_name = "WHO")]
    pub(super) sign_up: Option<String>,
    /// How long a browser session lasts at most, such as 14d.
    #[arg(long, value_name = "SPAN")]
    pub(super) session_lifetime: Option<String>,
    /// How long a browser session lasts without use, such as 3d.
    #[arg(long, value_name = "SPAN")]
    pub(super) session_idle: Option<String>,
    #[command(flatten)]
    pub(super) docs: DocsProfileFlags,
    #[command(flatten)]
    pub(super) keys: Keys,
}

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// List the tenants.
    List(Output),
    /// Show a tenant with its issuer, hosts and scopes.
    Show {
        /// The tenant.
        slug: String,
        #[command(flatten)]
        output: Output,
    },
    /// Make a tenant.
    #[command(
        after_help = "Example:\n  vestibule tenant create globex --name Globex --sign-up open"
    )]
    Create {
        /// Its name in addresses: lower-case letters, digits and inner hyphens.
        slug: String,
        #[command(flatten)]
        flags: Box<TenantFlags>,
        #[command(flatten)]
        output: Output,
    },
    /// Change a tenant.
    Update {
        /// The tenant.
        slug: String,
        #[command(flatten)]
        flags: Box<TenantFlags>,
        #[command(flatten)]
        output: Output,
    },
    /// Remove a tenant with its people, clients and keys.
    #[command(visible_alias = "remove")]
    Delete {
        /// The tenant.
        slug: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(super) struct ClientFlags {
    /// Its name for people.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// An address that browsers may return to; those that are given replace the present ones. Repeatable.
    #[arg(long = "redirect-uri", value_name = "URI")]
    pub(super) redirect_uris: Vec<String>,
    /// An address that browsers may go to after sign-out. Repeatable.
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    pub(super) post_logout_redirect_uris: Vec<String>,
    /// An origin whose scripts may call the token endpoint. Repeatable.
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    pub(super) allowed_origins: Vec<String>,
    /// `authorization_code`, `refresh_token` or `client_credentials`. Repeatable.
    #[arg(long = "grant-type", value_name = "TYPE")]
    pub(super) grant_types: Vec<String>,
    /// The scopes that it may ask for, separated by spaces.
    #[arg(long, value_name = "SCOPES")]
    pub(super) scope: Option<String>,
    /// It cannot keep a secret: an app in a browser, on a phone or on a desk.
    #[arg(long)]
    pub(super) public: bool,
    /// The variable that holds its secret; without one a secret is made and printed this once.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["secret_file", "public"])]
    pub(super) secret_env: Option<String>,
    /// The file that holds its secret.
    #[arg(long, value_name = "PATH", conflicts_with = "public")]
    pub(super) secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) keys: Keys,
}

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// List the clients.
    List(InTenant),
    /// Show a client.
    Show {
        /// The client.
        client_id: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Make a client. Without a secret one is made and printed this once.
    #[command(after_help = "\
Examples:
  vestibule client create shop --redirect-uri https://shop.example.com/callback --grant-type authorization_code --grant-type refresh_token
  vestibule client create phone-app --public --redirect-uri com.example.app:/callback
  vestibule client create nightly --grant-type client_credentials --scope reports.read")]
    Create {
        /// Its name on the wire.
        client_id: String,
        #[command(flatten)]
        flags: Box<ClientFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Change a client. What is not given stays.
    #[command(
        after_help = "Example:\n  vestibule client update shop --set policy.access_token_lifetime=5m --set logo_uri="
    )]
    Update {
        /// The client.
        client_id: String,
        #[command(flatten)]
        flags: Box<ClientFlags>,
        #[command(flatten)]
        within: InTenant,
    },
    /// Give a client another secret, printed this once.
    #[command(after_help = "\
Without an interruption:
  vestibule client rotate-secret shop --keep-old   both secrets serve; give the client the new one
  vestibule client rotate-secret shop --drop-old   the new one alone serves")]
    RotateSecret {
        /// The client.
        client_id: String,
        /// The present secret serves too, until --drop-old.
        #[arg(long, conflicts_with = "drop_old")]
        keep_old: bool,
        /// Make no new secret; the newest alone goes on serving.
        #[arg(long)]
        drop_old: bool,
        #[command(flatten)]
        within: InTenant,
    },
    /// Remove a client. Its tokens stop counting at once.
    #[command(visible_alias = "remove")]
    Delete {
        /// The client.
        client_id: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
}

#[derive(Args)]
pub(super) struct PasswordFlags {
    /// The variable that holds the password.
    #[arg(long, value_name = "NAME", conflicts_with = "password_stdin")]
    pub(super) password_env: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    pub(super) password_stdin: bool,
}

#[derive(Args)]
pub(super) struct UserFlags {
    /// The name to sign in with.
    #[arg(long)]
    pub(super) username: Option<String>,
    /// The address to sign in with.
    #[arg(long)]
    pub(super) email: Option<String>,
    /// The address is proved.
    #[arg(long)]
    pub(super) email_verified: bool,
    /// Full name.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// A group that the person is in; those that are given replace the present ones. Repeatable.
    #[arg(long = "group", value_name = "GROUP")]
    pub(super) groups: Vec<String>,
    #[command(flatten)]
    pub(super) keys: Keys,
}

/// A person, by user name, address or id.
#[derive(Args)]
pub(super) struct Person {
    /// User name, address or id.
    pub(super) user: String,
    #[command(flatten)]
    pub(super) within: InTenant,
}

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// List everybody.
    List(InTenant),
    /// Show a person.
    Show(Person),
    /// Make a person. Without a password one is made and printed this once.
    #[command(after_help = "\
Examples:
  vestibule user create --username ada --email ada@example.com --name \"Ada Lovelace\" --group admin
  pass show ada | vestibule user create --username ada --password-stdin")]
    Create {
        #[command(flatten)]
        flags: Box<UserFlags>,
        #[command(flatten)]
        password: PasswordFlags,
        #[command(flatten)]
        within: InTenant,
    },
    /// Change a person. What is not given stays.
    #[command(
        after_help = "Example:\n  vestibule user update ada --email ada@example.org --set locale=fr --set nickname="
    )]
    Update {
        #[command(flatten)]
        person: Person,
        #[command(flatten)]
        flags: Box<UserFlags>,
    },
    /// Give a person another password, and sign them out everywhere. Without one a password is made and printed this once.
    SetPassword {
        #[command(flatten)]
        person: Person,
        #[command(flatten)]
        password: PasswordFlags,
    },
    /// Let a person sign in no more, and sign them out everywhere.
    Disable(Person),
    /// Let a person sign in again.
    Enable(Person),
    /// Sign a person out everywhere; every token of theirs ends.
    SignOut(Person),
    /// Remove a person. Their id is never given to anybody else.
    #[command(visible_alias = "remove")]
    Delete {
        #[command(flatten)]
        person: Person,
        #[command(flatten)]
        yes: Yes,
    },
}

#[derive(Subcommand)]
pub(super) enum DomainCommand {
    /// List the hosts.
    List(InTenant),
    /// Let the tenant answer on a host.
    #[command(after_help = "\
Examples:
  vestibule domain add id.globex.example --kind primary --tenant globex
  vestibule domain add login.example.com --kind alias")]
    Add {
        /// The host in lower case, and the port where it is not the scheme's own.
        host: String,
        /// `primary` (the issuer is on this host), `alias` (answers like the primary) or `satellite` (shares sign-in only).
        #[arg(long)]
        kind: String,
        #[command(flatten)]
        within: InTenant,
    },
    /// Let the tenant answer on a host no more. What was issued for a primary host's issuer stops counting there.
    #[command(visible_alias = "delete")]
    Remove {
        /// The host.
        host: String,
        #[command(flatten)]
        within: InTenant,
    },
}

#[derive(Args)]
pub(super) struct ScopeFlags {
    /// What it allows, in words for the consent page.
    #[arg(long)]
    pub(super) description: Option<String>,
    /// `ask` (people are asked) or `implied` (they are not).
    #[arg(long, value_name = "HOW")]
    pub(super) consent: Option<String>,
}

#[derive(Subcommand)]
pub(super) enum ScopeCommand {
    /// List the scopes that the tenant adds to the standard ones.
    List(InTenant),
    /// Make a scope.
    #[command(
        after_help = "Example:\n  vestibule scope create reports.read --description \"Read your reports\""
    )]
    Create {
        /// Its name on the wire.
        name: String,
        #[command(flatten)]
        flags: ScopeFlags,
        #[command(flatten)]
        within: InTenant,
    },
    /// Change a scope. What is not given stays.
    Update {
        /// The scope.
        name: String,
        #[command(flatten)]
        flags: ScopeFlags,
        #[command(flatten)]
        within: InTenant,
    },
    /// Remove a scope that no client names.
    #[command(visible_alias = "remove")]
    Delete {
        /// The scope.
        name: String,
        #[command(flatten)]
        yes: Yes,
        #[command(flatten)]
        within: InTenant,
    },
}

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// List the signing keys.
    List(InTenant),
    /// Take the next step of replacing a signing key: announce a successor, or let it sign once every cache has seen it.
    Rotate {
        #[arg(help = "RS256, PS256, ES256 or EdDSA")]
        algorithm: String,
        #[command(flatten)]
        within: InTenant,
    },
}

/// The whole command line: what stands above, and the flags of the settings.
pub(super) fn command() -> clap::Command {
    let settings = |which: config::Command| {
        move |command: clap::Command| {
            command.args(
                config::args(which)
                    .into_iter()
                    .map(|arg| arg.help_heading("Settings")),
            )
        }
    };
    let mut command = Cli::command().mut_subcommand("serve", settings(config::Command::Serve));
    for leaf in ["check", "show"] {
        command = command.mut_subcommand("config", |group| {
            group.mut_subcommand(leaf, settings(config::Command::Serve))
        });
    }
    for leaf in ["apply", "setup-link"] {
        command = command.mut_subcommand(leaf, settings(config::Command::Other));
    }
    for group in [
        "tenant",
        "client",
        "user",
        "domain",
        "scope",
        "provider",
        "api-key",
        "trusted-domain",
        "docs",
        "key",
    ] {
        command = command.mut_subcommand(group, |group| {
            let leaves: Vec<String> = group
                .get_subcommands()
                .map(|leaf| leaf.get_name().to_owned())
                .collect();
            leaves.into_iter().fold(group, |group, leaf| {
                group.mut_subcommand(leaf, settings(config::Command::Other))
            })
        });
    }
    command
}

/// What was written for the innermost command.
pub(super) fn leaf(matches: &clap::ArgMatches) -> &clap::ArgMatches {
    let mut leaf = matches;
    while let Some((_, inner)) = leaf.subcommand() {
        leaf = inner;
    }
    leaf
}
