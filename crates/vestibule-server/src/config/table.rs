//! The table of all settings.

use super::value::Kind;

/// One setting. Everything that is said about it is said here.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in the file; upper-case after `VESTIBULE_` it is the variable, with `-` for `_` the flag.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is when nobody says.
    pub default: Default,
    /// One sentence.
    pub doc: &'static str,
    /// What else there is to know; may be empty.
    pub more: &'static str,
    /// Whether its value is never shown.
    pub is_secret: bool,
    /// Whether `…_file` may name a file that holds it.
    pub has_file_form: bool,
    /// Whether the settings file may hold it.
    pub in_file: bool,
    /// Which commands have a flag for it.
    pub flag: Flag,
    /// Under which heading it is documented.
    pub section: Section,
}

impl Setting {
    /// The name of its variable.
    pub(crate) fn variable(&self) -> String {
        format!("{}{}", super::PREFIX, self.name.to_ascii_uppercase())
    }
}

/// What a setting is when nobody says.
#[derive(Debug)]
pub(crate) enum Default {
    /// This text, read like any other.
    Text(&'static str),
    /// Something that follows from other settings; the text describes it.
    Derived(&'static str),
    /// Nothing; the text says what that means.
    None(&'static str),
}

impl Default {
    /// For help and documentation.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Self::Text("") => "empty",
            Self::Text(text) | Self::Derived(text) | Self::None(text) => text,
        }
    }
}

/// Which commands have a flag for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// None.
    None,
    /// `vestibule serve`.
    Serve,
    /// All that work on the records.
    All,
}

/// The headings of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Where the server is.
    Address,
    /// Where it keeps things.
    Records,
    /// The sealing key.
    Key,
    /// Calls to others.
    Outbound,
    /// Hashing.
    Passwords,
    /// What strangers may hold.
    Limits,
    /// What it says.
    Logs,
    /// How it starts.
    Start,
}

impl Section {
    /// All of them, in the order of the reference.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Start,
        Self::Address,
        Self::Records,
        Self::Key,
        Self::Outbound,
        Self::Passwords,
        Self::Limits,
        Self::Logs,
    ];

    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Address => "Address",
            Self::Records => "Records",
            Self::Key => "Key",
            Self::Outbound => "Outgoing calls",
            Self::Passwords => "Passwords",
            Self::Limits => "Limits",
            Self::Logs => "Logs",
            Self::Start => "Start",
        }
    }
}

/// What most settings are: not secret, in the file, a flag of `serve`.
const fn setting(
    section: Section,
    name: &'static str,
    kind: Kind,
    default: Default,
    doc: &'static str,
    more: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        doc,
        more,
        is_secret: false,
        has_file_form: false,
        in_file: true,
        flag: Flag::Serve,
        section,
    }
}

impl Setting {
    const fn for_all_commands(self) -> Self {
        Self {
            flag: Flag::All,
            ..self
        }
    }

    const fn without_flag(self) -> Self {
        Self {
            flag: Flag::None,
            ..self
        }
    }

    const fn not_in_file(self) -> Self {
        Self {
            in_file: false,
            ..self
        }
    }

    const fn secret(self) -> Self {
        Self {
            is_secret: true,
            ..self
        }
    }

    const fn with_file_form(self) -> Self {
        Self {
            has_file_form: true,
            ..self
        }
    }
}

/// Every setting there is.
pub(crate) static SETTINGS: &[Setting] = &[
    setting(Section::Start, "config", Kind::Path, Default::Derived("vestibule.toml in the current folder, where it is there"),
        "The settings file.", "")
        .for_all_commands().not_in_file(),
    setting(Section::Start, "apply", Kind::Path, Default::None("nothing is applied"),
        "An installation file that is applied before the server answers.",
        "It names tenants, clients, people and providers."),
    setting(Section::Address, "listen", Kind::Address, Default::Text("127.0.0.1:8080"),
        "The address and port to listen on.", "Port 0 takes a free one."),
    setting(Section::Address, "public_url", Kind::Origin, Default::Derived("http:// (with tls_certificate https://) and the value of listen"),
        "The URL that browsers and applications use.",
        "It is the issuer of the default tenant and the beginning of every link. http is accepted for loopback only."),
    setting(Section::Address, "tls_certificate", Kind::Path, Default::None("no TLS; a proxy in front speaks it"),
        "The certificate chain (PEM) with which the server speaks TLS itself.", "Needs tls_key."),
    setting(Section::Address, "tls_key", Kind::Path, Default::None("no TLS"),
        "The private key (PEM) of tls_certificate.", ""),
    setting(Section::Address, "trusted_proxies", Kind::Networks, Default::Text(""),
        "The networks of the proxies in front of this server.",
        "Only they are believed when X-Forwarded-For or Forwarded names a person's address."),
    setting(Section::Records, "data", Kind::Path, Default::Text("vestibule-data"),
        "The folder of everything that is kept in files.", "It is made with access for its owner only.")
        .for_all_commands(),
    setting(Section::Records, "database", Kind::Hidden, Default::None("a file in the data folder"),
        "The URL of the database.", "")
        .for_all_commands().secret().with_file_form(),
    setting(Section::Records, "database_connections", Kind::Number(1, 1024), Default::Text("8"),
        "Connections to the database at a time.", ""),
    setting(Section::Key, "key_file", Kind::Path, Default::Derived("vestibule.key in the data folder"),
        "The file of the key that seals secrets in the database.",
        "It is made at the first start. Without it the sealed secrets are lost: keep a copy away from the database.")
        .for_all_commands(),
    setting(Section::Key, "key", Kind::Key, Default::None("key_file holds it"),
        "The sealing key itself, in place of key_file.", "")
        .without_flag().not_in_file().secret(),
    setting(Section::Outbound, "ca_file", Kind::Path, Default::None("the authorities that the system trusts"),
        "Certificate authorities (PEM) that outgoing calls trust besides the system's.",
        "They count for the database and for other servers. The file is read at the start.")
        .for_all_commands(),
    setting(Section::Outbound, "outbound_allow", Kind::Hosts, Default::Text(""),
        "Hosts that outgoing calls may reach at any address, private ones and this machine included, over plain http too.",
        "Everything else is called at public addresses over https only. A host counts as the URL writes it: to allow an address does \
         not allow the names that lead to it. For development: a server that calls into its own network can be made to do so by \
         strangers."),
    setting(Section::Passwords, "password_memory_kib", Kind::Number(8, 262_144), Default::Text("19456"),
        "Memory of one password hash (Argon2id), in KiB.", "Each of password_threads keeps as much."),
    setting(Section::Passwords, "password_iterations", Kind::Number(1, 4), Default::Text("2"),
        "Passes of one password hash over its memory.", ""),
    setting(Section::Passwords, "password_lanes", Kind::Number(1, 16), Default::Text("1"),
        "Lanes of one password hash.", "They are computed one after the other."),
    setting(Section::Passwords, "password_threads", Kind::Number(1, 256), Default::Derived("one fewer than there are processors, at least one"),
        "Threads that hash passwords.", ""),
    setting(Section::Passwords, "password_queue", Kind::Number(1, 65_536), Default::Text("64"),
        "Passwords that may wait for a thread; further ones are answered with 503.", ""),
    setting(Section::Limits, "connections_max", Kind::Number(1, 1_000_000), Default::Text("4096"),
        "Connections at a time.", "Further ones wait until one ends."),
    setting(Section::Limits, "connections_per_peer_max", Kind::Number(1, 1_000_000), Default::Text("512"),
        "Connections at a time from one address (IPv6: one /64).", "Trusted proxies have no such limit."),
    setting(Section::Limits, "header_timeout", Kind::Duration, Default::Text("10s"),
        "How long a peer may take for a TLS handshake, and for the head of a request.",
        "A connection without a request ends after it too."),
    setting(Section::Limits, "request_timeout", Kind::Duration, Default::Text("30s"),
        "How long a request may take from its head to its answer, its body included.", ""),
    setting(Section::Limits, "write_timeout", Kind::Duration, Default::Text("20s"),
        "How long a peer may leave an answer unread.", ""),
    setting(Section::Limits, "shutdown_grace", Kind::Duration, Default::Text("20s"),
        "How long requests may still run once the server has been told to stop.", ""),
    setting(Section::Logs, "log_format", Kind::LogFormat, Default::Text("human"),
        "How a log line looks.", ""),
    setting(Section::Logs, "log_level", Kind::LogLevel, Default::Text("info"),
        "What is logged: error, warn, info, debug, trace, or a list of target=level.", "")
        .for_all_commands(),
];
