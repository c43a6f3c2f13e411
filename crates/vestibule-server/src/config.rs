//! Settings: one table, three sources, two types.
//!
//! [`SETTINGS`] is the only place that names a setting. The flags of the command line, the variables of the environment, the
//! keys of the file, the reference in the documentation and the effective configuration are all made from it. A flag wins
//! over a variable, a variable over the file, the file over the default.
//!
//! What was written ([`Raw`]) and what it means ([`Settings`]) are two types. The rest of the program is given values of the
//! second; this file is the only one that reads the environment.

pub(crate) mod table;
pub(crate) mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use self::table::{Default, SETTINGS, Section, Setting};
use self::value::{Hidden, OutboundHost, SealingKey, Value};
use crate::logs;

/// What every variable of ours begins with.
const PREFIX: &str = "VESTIBULE_";

/// The file that is read where none is named and this one is there.
const FILE: &str = "vestibule.toml";

/// The largest settings file or secret file, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Which command a flag belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `vestibule serve`: every setting that has a flag.
    Serve,
    /// A command that works on the records: the settings that say where they are.
    Other,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The table.
    Default,
    /// A key in the settings file.
    File(PathBuf),
    /// A variable; the name is given since there is a second one for secrets.
    Variable(String),
    /// A flag.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Everything that is wrong with the settings, one sentence a line. No sentence contains a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(crate) struct ConfigError(Vec<String>);

impl ConfigError {
    fn one(sentence: String) -> Self {
        Self(vec![sentence])
    }
}

/// What the settings mean. Every value is within the limits that [`SETTINGS`] states.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The address that is listened on.
    pub listen: SocketAddr,
    /// What browsers and applications call this server: an origin, `https` unless it is loopback. Links are built from it.
    pub public_url: Url,
    /// The folder of everything that is kept in files.
    pub data: PathBuf,
    /// The URL of the database; the store understands it. Without one the records are in a file in `data`.
    pub database: Option<Hidden>,
    /// Connections to the database at a time.
    pub database_connections: usize,
    /// Certificate authorities that outgoing calls trust besides the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// The certificate chain and the key of the listener (PEM), where it speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// The networks of the proxies whose word about a person's address is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Hosts that outgoing calls may reach at any address, also over plain http. For development.
    pub outbound_allow: Vec<OutboundHost>,
    /// How a log line looks.
    pub log_format: logs::Format,
    /// A level, or a list of `target=level`.
    pub log_level: String,
    /// The file of the sealing key; made at the first start where no key is given.
    pub key_file: PathBuf,
    /// The sealing key itself, where the environment gives it.
    pub key: Option<SealingKey>,
    /// Memory of one password hash, in KiB.
    pub password_memory_kib: u32,
    /// Passes of one password hash.
    pub password_iterations: u32,
    /// Lanes of one password hash.
    pub password_lanes: u32,
    /// Threads that hash passwords.
    pub password_threads: NonZeroUsize,
    /// Passwords that may wait for a thread.
    pub password_queue: usize,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one network.
    pub connections_per_peer_max: u32,
    /// How long a peer may take for a handshake and for the head of a request.
    pub header_timeout: Duration,
    /// How long a request may take from its head to its answer, its body included.
    pub request_timeout: Duration,
    /// How long a peer may leave an answer unread.
    pub write_timeout: Duration,
    /// How long requests may still run once the server stops.
    pub shutdown_grace: Duration,
    /// The installation file that is applied at the start.
    pub apply: Option<PathBuf>,
    /// Name, value as it may be shown, and source of each setting, in the order of the table.
    shown: Vec<(&'static str, String, Source)>,
}

/// The PEM files of the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The flags of a command.
pub(crate) fn args(command: Command) -> Vec<clap::Arg> {
    SETTINGS
        .iter()
        .filter(|setting| match setting.flag {
            table::Flag::None => false,
            table::Flag::Serve => command == Command::Serve,
            table::Flag::All => true,
        })
        .map(|setting| {
            let long_help = format!(
                "{} {}[default: {}] [variable: {}]",
                setting.doc,
                if setting.more.is_empty() {
                    String::new()
                } else {
                    format!("{} ", setting.more)
                },
                setting.default.text(),
                setting.variable(),
            );
            let action = if setting.kind.is_list() {
                clap::ArgAction::Append
            } else {
                clap::ArgAction::Set
            };
            clap::Arg::new(setting.name)
                .long(long_flag(setting))
                .value_name(setting.kind.value_name())
                .help(setting.doc)
                .long_help(long_help)
                .action(action)
        })
        .collect()
}

/// The name of a setting as a flag: `-` for `_`.
fn long_flag(setting: &Setting) -> &'static str {
    static LONG: LazyLock<BTreeMap<&str, String>> = LazyLock::new(|| {
        SETTINGS
            .iter()
            .map(|setting| (setting.name, setting.name.replace('_', "-")))
            .collect()
    });
    LONG.get(setting.name).map_or(setting.name, String::as_str)
}

/// The variables of the process that are ours. One that is not Unicode is passed on garbled, for its value to be refused.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| {
            (
                name.to_string_lossy().into_owned(),
                value.to_string_lossy().into_owned(),
            )
        })
        .filter(|(name, _)| name.starts_with(PREFIX))
}

/// One variable that an installation file names (`client_secret_env`). Empty counts as absent.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the file that reads the environment"
)]
pub(crate) fn variable(name: &str) -> Option<Hidden> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .map(Hidden::new)
}

/// Reads all sources and understands them. `folder` is where relative paths of the settings file are looked for: the
/// process's current folder.
pub(crate) fn resolve(
    matches: Option<&clap::ArgMatches>,
    environment: impl Iterator<Item = (String, String)>,
    folder: &Path,
) -> Result<Settings, ConfigError> {
    let mut problems = Vec::new();
    let mut raw = Raw::default();
    let variables: Vec<(String, String)> = environment
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    if let Some((path, text)) = read_file(matches, &variables, folder)? {
        raw.add_file(&path, &text, &mut problems);
    }
    raw.add_variables(variables, &mut problems);
    raw.add_flags(matches);
    raw.read_secret_files(folder, &mut problems);
    understand(&raw, problems)
}

/// The effective configuration, a line a setting with its source; secrets are masked.
pub(crate) fn describe(settings: &Settings) -> String {
    let mut text = String::new();
    for (name, value, source) in &settings.shown {
        let _ = writeln!(text, "{name} = {value}  # {source}");
    }
    text
}

/// The reference of all settings for the documentation.
pub(crate) fn reference_markdown() -> String {
    let mut text = "# Settings\n\n\
        A setting has one name. It is written `name = value` in `vestibule.toml`, `VESTIBULE_NAME=value` in the environment\n\
        and `--name value` on the command line (with `-` for `_`). A flag wins over a variable, a variable over the file.\n\
        An unknown key or variable is an error. Durations are written `500ms`, `10s`, `5m`, `1h`; a list is an array in the\n\
        file, separated by commas in a variable, and a repeated flag. `vestibule config check` prints what is in effect.\n"
        .to_owned();
    for section in Section::ALL {
        let _ = write!(text, "\n## {}\n", section.title());
        for setting in SETTINGS
            .iter()
            .filter(|setting| setting.section == *section)
        {
            let _ = write!(text, "\n### `{}`\n\n{}", setting.name, setting.doc);
            if !setting.more.is_empty() {
                let _ = write!(text, " {}", setting.more);
            }
            let _ = write!(
                text,
                "\n\n- Value: {}\n- Default: {}\n",
                setting.kind,
                setting.default.text()
            );
            let mut places = Vec::new();
            if setting.in_file {
                places.push("file".to_owned());
            }
            places.push(format!("`{}`", setting.variable()));
            match setting.flag {
                table::Flag::None => {}
                table::Flag::Serve => places.push(format!("`--{}` of `serve`", long_flag(setting))),
                table::Flag::All => places.push(format!("`--{}`", long_flag(setting))),
            }
            let _ = writeln!(text, "- Where: {}", places.join(", "));
            if setting.has_file_form {
                let _ = writeln!(
                    text,
                    "- Secret: `{0}_file` (or `{1}_FILE`) names a file that holds it.",
                    setting.name,
                    setting.variable()
                );
            }
        }
    }
    text
}

/// What was written, and where: the texts of each setting (more than one for a list only).
#[derive(Default)]
struct Raw {
    values: BTreeMap<&'static str, (Vec<String>, Source)>,
    /// Secrets that are in a file: the setting, the file, who named it.
    secret_files: BTreeMap<&'static str, (PathBuf, Source)>,
}

/// What a written name means.
enum Named {
    Value(&'static Setting),
    SecretFile(&'static Setting),
}

/// The setting of a name as it is written in the file.
fn named(name: &str) -> Option<Named> {
    let of = |name: &str| SETTINGS.iter().find(|setting| setting.name == name);
    if let Some(setting) = of(name) {
        return Some(Named::Value(setting));
    }
    let setting = of(name.strip_suffix("_file")?)?;
    setting.has_file_form.then_some(Named::SecretFile(setting))
}

/// The known name that is most like this one.
fn nearest(name: &str) -> &'static str {
    SETTINGS
        .iter()
        .map(|setting| setting.name)
        .min_by_key(|known| strsim::damerau_levenshtein(name, known))
        .unwrap_or_default()
}

impl Raw {
    fn add_file(&mut self, path: &Path, text: &str, problems: &mut Vec<String>) {
        let file = path.display();
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                let line = error.span().map_or(1, |span| {
                    text.bytes()
                        .take(span.start)
                        .filter(|byte| *byte == b'\n')
                        .count()
                        + 1
                });
                // The message only: the parser's own text shows the line, which may hold a secret.
                problems.push(format!("{file}, line {line}: {}", error.message()));
                return;
            }
        };
        for (key, value) in table {
            let source = Source::File(path.to_owned());
            let (setting, is_secret_file) = match named(&key) {
                Some(Named::Value(setting)) if setting.in_file => (setting, false),
                Some(Named::SecretFile(setting)) => (setting, true),
                Some(Named::Value(setting)) => {
                    problems.push(format!(
                        "{file}: {key} cannot be set in the file; set the variable {}",
                        setting.variable()
                    ));
                    continue;
                }
                None => {
                    problems.push(format!(
                        "{file}: there is no setting {key:?}; the nearest is {}",
                        nearest(&key)
                    ));
                    continue;
                }
            };
            let Some(texts) = texts(value, setting.kind.is_list() && !is_secret_file) else {
                let expected = if is_secret_file {
                    "a path".to_owned()
                } else {
                    setting.kind.to_string()
                };
                problems.push(format!("{key} (from {source}): expected {expected}"));
                continue;
            };
            self.add(setting, is_secret_file, texts, source);
        }
    }

    fn add_variables(&mut self, variables: Vec<(String, String)>, problems: &mut Vec<String>) {
        for (variable, value) in variables {
            let name = variable.strip_prefix(PREFIX).unwrap_or(&variable);
            // Names are upper-case only: VESTIBULE_Listen is another variable than the one that is documented.
            let found = if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
                None
            } else {
                named(&name.to_ascii_lowercase())
            };
            let (setting, is_secret_file) = match found {
                Some(Named::Value(setting)) => (setting, false),
                Some(Named::SecretFile(setting)) => (setting, true),
                // Kubernetes sets these in every pod beside a service that is called "vestibule".
                None if name.starts_with("SERVICE_") || name.starts_with("PORT") => continue,
                None => {
                    let known = nearest(&name.to_ascii_lowercase());
                    problems.push(format!(
                        "there is no variable {variable:?}; the nearest is {PREFIX}{}",
                        known.to_ascii_uppercase()
                    ));
                    continue;
                }
            };
            let texts = if setting.kind.is_list() && !is_secret_file {
                split_list(&value)
            } else {
                vec![value]
            };
            self.add(setting, is_secret_file, texts, Source::Variable(variable));
        }
    }

    fn add_flags(&mut self, matches: Option<&clap::ArgMatches>) {
        for setting in SETTINGS {
            let given = matches.and_then(|matches| flag_values(matches, setting.name));
            if let Some(given) = given {
                let texts = if setting.kind.is_list() {
                    given.iter().flat_map(|text| split_list(text)).collect()
                } else {
                    given
                };
                self.add(setting, false, texts, Source::Flag);
            }
        }
    }

    /// A later source replaces an earlier one, whichever form either has.
    fn add(
        &mut self,
        setting: &'static Setting,
        is_secret_file: bool,
        texts: Vec<String>,
        source: Source,
    ) {
        let same_place =
            |other: &Source| std::mem::discriminant(other) == std::mem::discriminant(&source);
        if is_secret_file {
            // Both forms in one place: the value stays, and `read_secret_files` says that there are two.
            if self
                .values
                .get(setting.name)
                .is_some_and(|(_, other)| !same_place(other))
            {
                self.values.remove(setting.name);
            }
            let path = texts.into_iter().next().unwrap_or_default().into();
            self.secret_files.insert(setting.name, (path, source));
        } else {
            if self
                .secret_files
                .get(setting.name)
                .is_some_and(|(_, other)| !same_place(other))
            {
                self.secret_files.remove(setting.name);
            }
            self.values.insert(setting.name, (texts, source));
        }
    }

    fn read_secret_files(&mut self, folder: &Path, problems: &mut Vec<String>) {
        for (name, (path, source)) in std::mem::take(&mut self.secret_files) {
            if self.values.contains_key(name) {
                problems.push(format!(
                    "{name} and {name}_file are both given (from {source}); give one of them"
                ));
                continue;
            }
            match read_bounded(&folder.join(&path)) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\r', '\n']).to_owned();
                    self.values.insert(name, (vec![text], source));
                }
                Err(error) => {
                    problems.push(format!(
                        "{name}_file (from {source}): {}: {error}",
                        path.display()
                    ));
                }
            }
        }
    }
}

fn flag_values(matches: &clap::ArgMatches, name: &str) -> Option<Vec<String>> {
    // A command without this flag is no error: its value comes from elsewhere.
    let values = matches.try_get_many::<String>(name).ok()??;
    Some(values.cloned().collect())
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The texts of a TOML value; `None` where it is of no kind that a setting has.
fn texts(value: toml::Value, is_list: bool) -> Option<Vec<String>> {
    match value {
        toml::Value::String(text) => Some(vec![text]),
        toml::Value::Integer(number) => Some(vec![number.to_string()]),
        toml::Value::Array(items) if is_list => items
            .into_iter()
            .map(|item| match item {
                toml::Value::String(text) => Some(text),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The settings file: the one that a flag or a variable names, or the usual one where it is there.
fn read_file(
    matches: Option<&clap::ArgMatches>,
    variables: &[(String, String)],
    folder: &Path,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let by_flag = matches
        .and_then(|matches| flag_values(matches, "config"))
        .and_then(|values| values.into_iter().next());
    let by_variable = variables
        .iter()
        .find(|(name, _)| name == "VESTIBULE_CONFIG")
        .map(|(_, value)| value.clone());
    let chosen = by_flag.or(by_variable);
    let path = PathBuf::from(chosen.as_deref().unwrap_or(FILE));
    match read_bounded(&folder.join(&path)) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && chosen.is_none() => Ok(None),
        Err(error) => Err(ConfigError::one(format!(
            "the settings file {}: {error}",
            path.display()
        ))),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

/// From texts to values, from values to what follows from several of them.
fn understand(raw: &Raw, mut problems: Vec<String>) -> Result<Settings, ConfigError> {
    let mut given = Given::default();
    for setting in SETTINGS {
        let (texts, source) = match (raw.values.get(setting.name), &setting.default) {
            (Some((texts, source)), _) => (texts.clone(), source.clone()),
            (None, Default::Text(text)) => (vec![(*text).to_owned()], Source::Default),
            (None, Default::Derived(_) | Default::None(_)) => continue,
        };
        match setting.kind.parse(&texts) {
            Ok(value) => {
                given.values.insert(setting.name, (value, source));
            }
            Err(expected) => {
                let wrong = if setting.is_secret {
                    String::new()
                } else {
                    format!(", not {:?}", texts.join(","))
                };
                problems.push(format!(
                    "{} (from {source}): expected {expected}{wrong}",
                    setting.name
                ));
            }
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError(problems));
    }
    let settings = given.settle(&mut problems);
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        Some(_) => Err(ConfigError(problems)),
        None => {
            problems.push("a setting has neither a value nor a default".to_owned());
            Err(ConfigError(problems))
        }
    }
}

/// The values that are given or have a fixed default.
#[derive(Default)]
struct Given {
    values: BTreeMap<&'static str, (Value, Source)>,
}

impl Given {
    /// Takes a setting that is given or has a fixed default.
    fn get<T: TryFrom<Value>>(&self, name: &str) -> Option<T> {
        self.values
            .get(name)
            .and_then(|(value, _)| T::try_from(value.clone()).ok())
    }

    /// Takes a setting whose default follows from others, and remembers what it became.
    fn or<T: TryFrom<Value>>(
        &mut self,
        name: &'static str,
        derived: impl FnOnce() -> Value,
    ) -> Option<T> {
        let (value, _) = self
            .values
            .entry(name)
            .or_insert_with(|| (derived(), Source::Default));
        T::try_from(value.clone()).ok()
    }

    /// `None` means that the table and this function disagree, which a test excludes.
    fn settle(mut self, problems: &mut Vec<String>) -> Option<Settings> {
        let listen: SocketAddr = self.get("listen")?;
        let data: PathBuf = self.get("data")?;
        let tls = match (self.get("tls_certificate"), self.get("tls_key")) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                problems.push(
                    "tls_certificate is given without tls_key; give both or neither".to_owned(),
                );
                None
            }
            (None, Some(_)) => {
                problems.push(
                    "tls_key is given without tls_certificate; give both or neither".to_owned(),
                );
                None
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let own_url = format!("{scheme}://{listen}");
        let public_url: Url = self.or("public_url", || {
            // An address with a port always makes a URL; were it not to, the setting would be said to have no value.
            Url::parse(&own_url).map_or(Value::Text(own_url), Value::Url)
        })?;
        if public_url.scheme() == "http" && !is_loopback(&public_url) {
            problems.push(format!(
                "public_url is {public_url}: http is for loopback addresses only, since sign-in over it can be read and \
                 changed on the way. Set public_url to the https URL that people use."
            ));
        }
        let threads = || {
            let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            Value::Number(cores.saturating_sub(1).max(1) as u64)
        };
        let key_file = data.join("vestibule.key");
        let password_memory_kib = self.get("password_memory_kib")?;
        let password_lanes: u32 = self.get("password_lanes")?;
        if password_lanes.saturating_mul(8) > password_memory_kib {
            problems.push("password_memory_kib must be at least 8 times password_lanes".to_owned());
        }
        let key_file = self.or("key_file", || Value::Path(key_file))?;
        let password_threads: usize = self.or("password_threads", threads)?;
        Some(Settings {
            listen,
            public_url,
            data,
            database: self.get("database"),
            tls,
            key_file,
            password_memory_kib,
            password_lanes,
            password_threads: NonZeroUsize::new(password_threads)?,
            database_connections: self.get("database_connections")?,
            ca_file: self.get("ca_file"),
            trusted_proxies: self.get("trusted_proxies")?,
            outbound_allow: self.get("outbound_allow")?,
            log_format: self.get("log_format")?,
            log_level: self.get("log_level")?,
            key: self.get("key"),
            password_iterations: self.get("password_iterations")?,
            password_queue: self.get("password_queue")?,
            connections_max: self.get("connections_max")?,
            connections_per_peer_max: self.get("connections_per_peer_max")?,
            header_timeout: self.get("header_timeout")?,
            request_timeout: self.get("request_timeout")?,
            write_timeout: self.get("write_timeout")?,
            shutdown_grace: self.get("shutdown_grace")?,
            apply: self.get("apply"),
            shown: self.shown(),
        })
    }

    fn shown(&self) -> Vec<(&'static str, String, Source)> {
        SETTINGS
            .iter()
            .filter_map(|setting| {
                let (value, source) = self.values.get(setting.name)?;
                Some((setting.name, value.to_string(), source.clone()))
            })
            .collect()
    }
}

/// Whether a URL names this machine: `localhost`, a name below it, or a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
