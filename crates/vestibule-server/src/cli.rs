//! The command line.
//!
//! `serve` and `demo` run a server; every other command makes an [`Action`] of what was written, has it performed (see [`reach`])
//! and prints the answer. The exit status says what went wrong: see the end of `vestibule --help`.

mod args;
mod flags;
mod print;
mod reach;

#[cfg(test)]
mod tests;

use crate::admin::actions::{Action, ActionError, ErrorCode};
use crate::admin::{document, secrets};
use crate::config::{self, Settings};
use crate::logs;
use args::{ApplyArgs, Cli, Command, ConfigCommand};
use clap::FromArgMatches as _;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// The exit status when a server ends with an error.
const SERVER_FAILED: u8 = 1;

/// Runs the command that was written, and gives the process's exit status.
pub fn run() -> ExitCode {
    let matches = args::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the program cannot start: {error}"), SERVER_FAILED),
    };
    let leaf = args::leaf(&matches);
    runtime.block_on(async {
        match cli.command {
            Command::Serve => serve(leaf).await,
            Command::Demo(demo) => served(crate::serve::demo::demo(demo.listen, say).await),
            Command::Config(ConfigCommand::Reference) => finish(Ok(config::reference_markdown())),
            Command::Config(ConfigCommand::Show) => {
                finish(settings(leaf).map(|settings| config::describe(&settings)))
            }
            Command::Config(ConfigCommand::Check) => {
                finish(settings(leaf).and_then(|settings| check(&settings)))
            }
            Command::Schema => finish(Ok(print::json(&document::schema()))),
            other => administer(leaf, other).await,
        }
    })
}

async fn serve(matches: &clap::ArgMatches) -> ExitCode {
    let settings = match settings(matches) {
        Ok(settings) => settings,
        Err(error) => return fail(&error.message, error.code.exit_status()),
    };
    if let Err(error) = logs::start(settings.log_format, &settings.log_level) {
        return fail(&error.to_string(), SERVER_FAILED);
    }
    served(crate::serve::run(settings, say).await)
}

fn served(result: Result<(), crate::serve::ServeError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), SERVER_FAILED),
    }
}

/// Has an action performed and prints its answer.
async fn administer(matches: &clap::ArgMatches, command: Command) -> ExitCode {
    let as_json = matches.get_flag(args::JSON);
    let result = async {
        let settings = settings(matches)?;
        // Warnings of what a command does are worth a line; what a server says at its start is not.
        let level = if settings.log_level == "info" {
            "warn"
        } else {
            &settings.log_level
        };
        logs::start(settings.log_format, level)
            .map_err(|error| ActionError::usage(error.to_string()))?;
        let (action, look) = flags::action(command)?;
        let value = reach::perform(&settings, action).await?;
        Ok(if as_json {
            (print::json(&value), found_wrong(&value))
        } else {
            (print::human(&value, look), found_wrong(&value))
        })
    };
    match result.await {
        Ok((text, true)) => {
            out(&text);
            ExitCode::from(ErrorCode::Invalid.exit_status())
        }
        Ok((text, false)) => finish(Ok(text)),
        Err(error) if as_json => {
            fail_with(&print::json(&serde_json::json!({ "error": error })), &error)
        }
        Err(error) => finish(Err(error)),
    }
}

/// Whether an action that was performed answers that something is wrong, as a check does.
fn found_wrong(value: &serde_json::Value) -> bool {
    value.get("works") == Some(&serde_json::Value::Bool(false))
}

/// The settings of a command.
fn settings(matches: &clap::ArgMatches) -> Result<Settings, ActionError> {
    config::resolve(Some(matches), config::environment(), Path::new("."))
        .map_err(|error| ActionError::invalid(&[document::Problem::new("", error.to_string())]))
}

/// What is in effect, and what is wrong with the installation file that the settings name.
fn check(settings: &Settings) -> Result<String, ActionError> {
    let mut text = config::describe(settings);
    if let Some(path) = &settings.apply {
        let file = path.display();
        let document = secrets::read_document(path)
            .map_err(|error| ActionError::usage(format!("{file}: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let given = document::parse_toml(&document)
            .map(|root| secrets::resolve(&root, folder))
            .unwrap_or_default();
        let read = document::read(&document, &given);
        if !read.problems.is_empty() {
            return Err(ActionError::invalid(&read.problems));
        }
        let _ = writeln!(
            text,
            "# {file} can be read. To compare it with the records: vestibule apply {file} --dry-run"
        );
    }
    Ok(text)
}

/// The action of `vestibule apply`: what the file names and does not hold is read here.
fn apply(args: &ApplyArgs) -> Result<Action, ActionError> {
    let (text, folder) = if args.file.as_os_str() == "-" {
        let mut text = String::new();
        let bound = document::DOCUMENT_BYTES_MAX as u64 + 1;
        std::io::stdin()
            .take(bound)
            .read_to_string(&mut text)
            .map_err(|error| ActionError::usage(error.to_string()))?;
        (text, Path::new("."))
    } else {
        let text = secrets::read_document(&args.file)
            .map_err(|error| ActionError::usage(format!("{}: {error}", args.file.display())))?;
        (text, args.file.parent().unwrap_or(Path::new(".")))
    };
    let secrets = document::parse_toml(&text)
        .map(|root| secrets::resolve(&root, folder))
        .unwrap_or_default();
    Ok(Action::Apply {
        document: text,
        secrets,
        dry_run: args.dry_run,
        prune: args.prune,
    })
}

/// Prints something for the person who started a server.
fn say(text: &str) {
    out(&format!("{text}\n"));
}

/// Prints to standard output. Nobody reads on: that is no error of ours.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

fn finish(result: Result<String, ActionError>) -> ExitCode {
    match result {
        Ok(text) => {
            out(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.message, error.code.exit_status()),
    }
}

fn fail(message: &str, status: u8) -> ExitCode {
    // A list of problems stands on lines of its own.
    let separator = if message.contains('\n') { "\n" } else { " " };
    let _ = writeln!(std::io::stderr(), "error:{separator}{message}");
    ExitCode::from(status)
}

fn fail_with(text: &str, error: &ActionError) -> ExitCode {
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::from(error.code.exit_status())
}
