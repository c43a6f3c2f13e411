//! The kinds of values that settings take.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use ipnet::IpNet;
use url::Url;
use zeroize::Zeroizing;

use crate::logs::Format;

/// The shortest and the longest duration that a setting takes.
const DURATION_MIN: Duration = Duration::from_millis(1);
const DURATION_MAX: Duration = Duration::from_hours(1);

/// What a setting takes. Its `Display` is what an error says was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An address with a port.
    Address,
    /// A URL without path, query, fragment or user.
    Origin,
    /// A path of a file or folder.
    Path,
    /// What is logged.
    LogLevel,
    /// Any text, never shown.
    Hidden,
    /// 32 bytes in base64, never shown.
    Key,
    /// Networks in CIDR notation.
    Networks,
    /// Hosts, each with or without a port.
    Hosts,
    /// A whole number between two.
    Number(u64, u64),
    /// A number with a unit.
    Duration,
    /// The look of a log line.
    LogFormat,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "an address with a port, such as 127.0.0.1:8080 or [::1]:8080",
            Self::Origin => "an http or https URL without a path, such as https://id.example.com",
            Self::Path => "a path",
            Self::Hidden => "a text that is not empty",
            Self::LogLevel => {
                "error, warn, info, debug or trace, or a list of target=level, such as info,hyper=warn"
            }
            Self::Key => "32 bytes in base64",
            Self::Networks => "networks or addresses, such as 10.0.0.0/8",
            Self::Hosts => "hosts, each with or without a port, such as localhost:9000",
            Self::Number(min, max) => return write!(f, "a whole number from {min} to {max}"),
            Self::Duration => "a duration from 1ms to 1h, such as 500ms, 10s or 5m",
            Self::LogFormat => "human or json",
        })
    }
}

impl Kind {
    /// Whether it takes more than one value.
    pub(crate) const fn is_list(self) -> bool {
        matches!(self, Self::Networks | Self::Hosts)
    }

    /// The placeholder in the help of a flag.
    pub(crate) const fn value_name(self) -> &'static str {
        match self {
            Self::Address => "ADDR:PORT",
            Self::Origin | Self::Hidden => "URL",
            Self::Path => "PATH",
            Self::LogLevel => "LEVEL",
            Self::Key => "KEY",
            Self::Networks => "CIDR",
            Self::Hosts => "HOST[:PORT]",
            Self::Number(..) => "NUMBER",
            Self::Duration => "DURATION",
            Self::LogFormat => "FORMAT",
        }
    }

    /// Reads what was written; the error is what was expected. Only a list may be written in other than one text.
    pub(crate) fn parse(self, texts: &[String]) -> Result<Value, Self> {
        let value = match (self, texts) {
            (Self::Networks, texts) => texts
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| network(text))
                .collect::<Option<_>>()
                .map(Value::Networks),
            (Self::Hosts, texts) => texts
                .iter()
                .filter(|text| !text.is_empty())
                .map(|text| OutboundHost::parse(text))
                .collect::<Option<_>>()
                .map(Value::Hosts),
            (kind, [text]) => kind.parse_one(text),
            (_, _) => None,
        };
        value.ok_or(self)
    }

    fn parse_one(self, text: &str) -> Option<Value> {
        // The replacement character stands where a variable was not Unicode.
        if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        match self {
            Self::Address => text.parse().ok().map(Value::Address),
            Self::Origin => origin(text).map(Value::Url),
            Self::Path => Some(Value::Path(PathBuf::from(text))),
            Self::LogLevel => is_log_level(text).then(|| Value::Text(text.to_owned())),
            Self::Hidden => Some(Value::Hidden(Hidden::new(text.to_owned()))),
            Self::Key => SealingKey::parse(text).map(Value::Key),
            Self::Number(min, max) => {
                // `u64::from_str` would take a plus sign.
                let number = text
                    .bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| text.parse().ok())??;
                (min..=max)
                    .contains(&number)
                    .then_some(Value::Number(number))
            }
            Self::Duration => duration(text).map(Value::Duration),
            Self::LogFormat => match text {
                "human" => Some(Value::LogFormat(Format::Human)),
                "json" => Some(Value::LogFormat(Format::Json)),
                _ => None,
            },
            Self::Networks | Self::Hosts => None,
        }
    }
}

/// A value that has been understood; each variant is of the kind of its name. Its `Display` is for the effective
/// configuration: TOML, secrets masked.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Address(SocketAddr),
    Url(Url),
    Path(PathBuf),
    Text(String),
    Hidden(Hidden),
    Key(SealingKey),
    Networks(Vec<IpNet>),
    Hosts(Vec<OutboundHost>),
    Number(u64),
    Duration(Duration),
    LogFormat(Format),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "\"{address}\""),
            Self::Url(url) => write!(f, "{:?}", url.as_str().trim_end_matches('/')),
            Self::Path(path) => write!(f, "{:?}", path.display().to_string()),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Hidden(hidden) => write!(f, "{:?}", hidden.masked()),
            Self::Key(_) => f.write_str("\"***\""),
            Self::Networks(networks) => f
                .debug_list()
                .entries(networks.iter().map(ToString::to_string))
                .finish(),
            Self::Hosts(hosts) => f
                .debug_list()
                .entries(hosts.iter().map(ToString::to_string))
                .finish(),
            Self::Number(number) => write!(f, "{number}"),
            Self::Duration(duration) => match duration.as_millis() {
                millis if millis % 1000 == 0 => write!(f, "\"{}s\"", millis / 1000),
                millis => write!(f, "\"{millis}ms\""),
            },
            Self::LogFormat(Format::Human) => f.write_str("\"human\""),
            Self::LogFormat(Format::Json) => f.write_str("\"json\""),
        }
    }
}

/// `Value::Variant(x)` to `x`, for the types that only one variant holds.
macro_rules! from_value {
    ($($variant:ident: $type:ty),* $(,)?) => {$(
        impl TryFrom<Value> for $type {
            type Error = ();

            fn try_from(value: Value) -> Result<Self, ()> {
                if let Value::$variant(value) = value { Ok(value) } else { Err(()) }
            }
        }
    )*};
}

from_value! {
    Address: SocketAddr, Url: Url, Path: PathBuf, Text: String, Hidden: Hidden, Key: SealingKey, Networks: Vec<IpNet>,
    Hosts: Vec<OutboundHost>, Number: u64, Duration: Duration, LogFormat: Format,
}

impl TryFrom<Value> for u32 {
    type Error = ();

    fn try_from(value: Value) -> Result<Self, ()> {
        u64::try_from(value).and_then(|number| Self::try_from(number).map_err(|_| ()))
    }
}

impl TryFrom<Value> for usize {
    type Error = ();

    fn try_from(value: Value) -> Result<Self, ()> {
        u64::try_from(value).and_then(|number| Self::try_from(number).map_err(|_| ()))
    }
}

/// A text that is never printed whole, such as a URL with a password in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(Zeroizing<String>);

impl Hidden {
    pub(super) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown: a URL without user, password and query, or nothing.
    fn masked(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) if url.has_host() => {
                let host = url.host_str().unwrap_or_default();
                let port = url
                    .port()
                    .map(|port| format!(":{port}"))
                    .unwrap_or_default();
                format!("{}://***@{host}{port}{}", url.scheme(), url.path())
            }
            Ok(url) if !url.path().contains('@') => format!("{}:{}", url.scheme(), url.path()),
            Ok(_) | Err(_) => "***".to_owned(),
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(***)")
    }
}

/// The key that seals what must be read back.
#[derive(Clone)]
pub(crate) struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Reads 32 bytes in base64, of either alphabet, with or without padding.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text
            .trim_end_matches('=')
            .replace('-', "+")
            .replace('_', "/");
        let bytes = Zeroizing::new(
            base64::engine::general_purpose::STANDARD_NO_PAD
                .decode(text)
                .ok()?,
        );
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self(key))
    }

    /// The bytes themselves.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// A host that outgoing calls may reach though its address is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutboundHost {
    /// A name or an address as a URL writes it, in lower case.
    pub host: url::Host,
    /// The only port, where one is named.
    pub port: Option<u16>,
}

impl OutboundHost {
    /// Reads `host` or `host:port`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // A URL knows how hosts are written, IPv6 in brackets and all; what else a URL may have is refused.
        let url = Url::parse(&format!("ftp://{text}")).ok()?;
        let is_host_only = url.path() == "/"
            && !text.contains(['/', '?', '#', '@', '\\'])
            && text.is_ascii()
            && !text.bytes().any(|byte| byte.is_ascii_whitespace())
            && !text.ends_with(':');
        let host = url.host()?.to_owned();
        // 21 is the port of that scheme, which the parser leaves out.
        let port = url.port().or_else(|| text.ends_with(":21").then_some(21));
        is_host_only.then_some(Self { host, port })
    }
}

impl fmt::Display for OutboundHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

/// A filter of the logs. The filter itself would take a misspelt level for a target of which everything is logged.
fn is_log_level(text: &str) -> bool {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    text.split(',')
        .all(|part| part.contains('=') || levels.contains(&part.trim()))
        && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}

/// A network, or one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .map(|network| network.trunc())
        .or_else(|| {
            text.parse::<std::net::IpAddr>()
                .ok()
                .map(|address| IpNet::from(address.to_canonical()))
        })
}

fn origin(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_origin.then_some(url)
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => number,
        "s" => number.checked_mul(1000)?,
        "m" => number.checked_mul(60 * 1000)?,
        "h" => number.checked_mul(60 * 60 * 1000)?,
        _ => return None,
    };
    let duration = Duration::from_millis(millis);
    (DURATION_MIN..=DURATION_MAX)
        .contains(&duration)
        .then_some(duration)
}
