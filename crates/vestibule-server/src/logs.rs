//! Logs: one event, one line, on standard error, for people or as JSON.
//!
//! The law: nothing that a stranger sends can end a line, start a terminal sequence or break the JSON around it. The writer
//! below escapes every control character of an event but its last newline, whichever formatter made it and however the
//! value was recorded; the formatters' own escaping (which lets newlines pass in `%value`) is not relied upon.
//!
//! Secrets stay out by never being given to a log; for request targets, where they travel in the open, there is
//! [`redact_target`].

use std::fmt::Write as _;
use std::io;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The longest request target that is logged, in bytes; the rest is cut.
pub(crate) const TARGET_LOGGED_MAX: usize = 512;

/// A path segment of at least this many bytes is a sealed value or a bearer handle, not a name.
const SEGMENT_SEALED_MIN: usize = 40;

/// A shorter segment is masked too when it follows one of these.
const SEALED_AFTER: &[&str] = &[
    "authorize",
    "setup",
    "reset",
    "verify",
    "invitation",
    "confirm",
];

/// … unless it is as short as an id that a person chose.
const SEGMENT_NAME_MAX: usize = 15;

/// What stands in the place of something masked.
const MASK: &str = "***";

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person at a terminal.
    Human,
    /// One JSON object per line.
    Json,
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    /// The level is neither a level nor a list of `target=level`.
    #[error(
        "log_level is not a level (error, warn, info, debug, trace) or a list of target=level: {0}"
    )]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Something else in this process has started logging before.
    #[error("logging was started twice")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Starts logging to standard error, once for the process. `level` is a level or a list of `target=level`.
pub(crate) fn start(format: Format, level: &str) -> Result<(), LogsError> {
    tracing::subscriber::set_global_default(subscriber(format, level, io::stderr)?)?;
    Ok(())
}

/// The subscriber that [`start`] installs, over any writer.
pub(crate) fn subscriber<W>(
    format: Format,
    level: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(level)?)
        .with_ansi(false)
        .with_writer(LineWriter(writer));
    Ok(match format {
        Format::Human => Box::new(builder.finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// A request target as it may be logged: the path, with sealed segments masked, and the names of the query's parameters.
/// Every value is masked, and so is a parameter without a name.
pub(crate) fn redact_target(uri: &http::Uri) -> String {
    let mut shown = String::with_capacity(uri.path().len() + MASK.len());
    let mut before = "";
    for (index, segment) in uri.path().split('/').enumerate() {
        if index > 0 {
            shown.push('/');
        }
        shown.push_str(if is_sealed(before, segment) {
            MASK
        } else {
            segment
        });
        before = segment;
    }
    if let Some(query) = uri.query() {
        let mut separator = '?';
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            shown.push(separator);
            separator = '&';
            match pair.split_once('=') {
                Some((name, _)) if name.len() < SEGMENT_SEALED_MIN => {
                    shown.push_str(name);
                    shown.push('=');
                    shown.push_str(MASK);
                }
                Some(_) | None => shown.push_str(MASK),
            }
            if shown.len() > TARGET_LOGGED_MAX {
                break;
            }
        }
    }
    if shown.len() > TARGET_LOGGED_MAX {
        shown.truncate(shown.floor_char_boundary(TARGET_LOGGED_MAX));
        shown.push('…');
    }
    shown
}

/// Whether a path segment is a bearer value. A UUID is an id and stays readable.
fn is_sealed(before: &str, segment: &str) -> bool {
    if segment.len() >= SEGMENT_SEALED_MIN {
        return true;
    }
    let is_uuid = segment.len() == 36
        && segment
            .bytes()
            .enumerate()
            .all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
    !is_uuid && segment.len() > SEGMENT_NAME_MAX && SEALED_AFTER.contains(&before)
}

/// Hands every event on as exactly one line.
struct LineWriter<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for LineWriter<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.0.make_writer())
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        Line(self.0.make_writer_for(meta))
    }
}

/// One event on its way out. The formatter writes an event in one piece that ends in a newline.
struct Line<W>(W);

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        if body.chars().any(breaks_lines) {
            let mut line = escape(body);
            line.push('\n');
            self.0.write_all(line.as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters, and the separators and direction marks that make a terminal or an editor show another line.
fn breaks_lines(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes such characters as JSON does, so that an escaped character inside a JSON string is still that character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            // Every such character is in the basic plane: four digits are enough.
            other if breaks_lines(other) => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(other));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const HOSTILE: &str =
        "a\r\nINFO forged\u{1b}[31m\u{7}\u{9b}2J\"}\u{0}\t\u{7f}\u{2028}\u{202e}\\ é";

    fn record(format: Format) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(format, "info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", client_id = HOSTILE, shown = %HOSTILE);
            let _entered = span.enter();
            tracing::info!(username = HOSTILE, agent = %HOSTILE, debug = ?HOSTILE, "message {HOSTILE}");
            tracing::error!("second {}", HOSTILE);
            tracing::debug!("not at this level");
        });
        let bytes = sink.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn hostile_values_stay_on_their_line() {
        for format in [Format::Human, Format::Json] {
            let text = record(format);
            assert_eq!(text.lines().count(), 2, "{format:?}: {text}");
            assert!(
                !text
                    .trim_end_matches('\n')
                    .replace('\n', "")
                    .chars()
                    .any(breaks_lines),
                "{text:?}"
            );
            assert!(text.ends_with('\n') && !text.contains("not at this level"));
            assert!(text.contains('é'));
        }
    }

    #[test]
    fn json_lines_say_what_was_recorded() {
        let text = record(Format::Json);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["username"], HOSTILE);
        assert_eq!(lines[1]["level"], "ERROR");
    }

    #[test]
    fn a_level_that_is_none_is_refused() {
        for level in ["loud=very", "info,=,", "vestibule=nope"] {
            assert!(
                subscriber(Format::Human, level, io::sink).is_err(),
                "{level}"
            );
        }
        assert!(subscriber(Format::Human, "warn,vestibule=debug", io::sink).is_ok());
    }

    #[test]
    fn a_logged_target_holds_no_value() {
        let sealed = "v1.".to_owned() + &"A1b2".repeat(40);
        let long = "n".repeat(60);
        #[rustfmt::skip]
        let table = [
            ("/".to_owned(),                                             "/"),
            ("/oauth/token".to_owned(),                                  "/oauth/token"),
            ("/cb?code=CANARY&state=CANARY".to_owned(),                  "/cb?code=***&state=***"),
            ("/cb?code=CANARY=CANARY&&x=".to_owned(),                    "/cb?code=***&x=***"),
            ("/cb?CANARY".to_owned(),                                    "/cb?***"),
            ("/cb?=CANARY".to_owned(),                                   "/cb?=***"),
            (format!("/cb?{long}=CANARY"),                               "/cb?***"),
            (format!("/oauth/authorize/{sealed}"),                       "/oauth/authorize/***"),
            (format!("/t/acme/oauth/authorize/{sealed}?error=CANARY"),   "/t/acme/oauth/authorize/***?error=***"),
            ("/setup/CANARY-0123456789".to_owned(),                      "/setup/***"),
            ("/reset/CANARY-0123456789/done".to_owned(),                 "/reset/***/done"),
            ("/oauth/authorize/github".to_owned(),                       "/oauth/authorize/github"),
            ("/v1/users/6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01".to_owned(), "/v1/users/6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01"),
            ("https://h.example/cb?code=CANARY".to_owned(),              "/cb?code=***"),
        ];
        for (target, expected) in table {
            let uri: http::Uri = target.parse().unwrap();
            assert_eq!(redact_target(&uri), expected);
        }
    }

    #[test]
    fn a_logged_target_is_bounded() {
        let uri: http::Uri = format!("/{}?{}", "a/".repeat(2000), "b=c&".repeat(2000))
            .parse()
            .unwrap();
        assert!(redact_target(&uri).len() <= TARGET_LOGGED_MAX + '…'.len_utf8());
    }
}
