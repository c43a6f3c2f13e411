//! `cargo xtask test`: every test of the project, on both engines.
//!
//! First the tests that cargo runs, then the programs that others wrote. The outside tests come last, so that the sum of
//! what they found is the last line.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::outside::{self, Engine, Tally};
use crate::postgres::{Durability, Postgres};
use crate::process;
use crate::tools::{self, Tool};

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    rust: bool,
    outside: bool,
    filter: Option<String>,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Self {
            rust: true,
            outside: true,
            filter: None,
        };
        for argument in arguments {
            match argument.as_str() {
                "--rust" => request.outside = false,
                "--outside" => request.rust = false,
                flag if flag.starts_with('-') => return Err(format!("test has no flag {flag}")),
                word if request.filter.is_none() => request.filter = Some(word.to_owned()),
                word => return Err(format!("one filter at a time; what is {word}?")),
            }
        }
        if request.rust || request.outside {
            Ok(request)
        } else {
            Err(
                "--rust and --outside together leave nothing to run; leave both out for all tests"
                    .to_owned(),
            )
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let mut tools = vec![Tool::Postgres];
        if self.outside {
            tools.extend([Tool::Node, Tool::Python, Tool::Chromium, Tool::OpenSsl]);
        }
        tools
    }
}

pub fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let request = Request::parse(arguments)?;
    tools::require(&request.tools())?;
    let target = target_folder(root);
    let postgres = Postgres::start(&target, Durability::None)?;
    if request.rust {
        rust_tests(root, request.filter.as_deref(), &postgres)?;
    }
    if request.outside {
        outside_tests(root, &target, request.filter.as_deref(), &postgres)?;
    }
    Ok(())
}

fn rust_tests(root: &Path, filter: Option<&str>, postgres: &Postgres) -> Result<(), String> {
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .args(["test", "--workspace", "--no-fail-fast"])
        .env("VESTIBULE_TEST_POSTGRES", postgres.url());
    if let Some(filter) = filter {
        command.arg("--").arg(filter);
    }
    process::run(&mut command)
}

fn outside_tests(
    root: &Path,
    target: &Path,
    filter: Option<&str>,
    postgres: &Postgres,
) -> Result<(), String> {
    let programs = outside::Programs::prepare(root, target)?;
    let mut sum = Tally::default();
    for engine in [Engine::Sqlite, Engine::Postgres(postgres)] {
        sum += programs.run(&engine, filter)?;
    }
    println!("\n{sum}");
    if sum.failed > 0 {
        Err("Outside tests failed.".to_owned())
    } else if sum.passed == 0 {
        Err("No outside test ran.".to_owned())
    } else {
        Ok(())
    }
}

/// Where cargo builds, with the environment's word over the default.
pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn a_flag_chooses_one_kind_of_test_and_a_word_filters() {
        let request = |rust, outside, filter: Option<&str>| {
            Ok(Request {
                rust,
                outside,
                filter: filter.map(str::to_owned),
            })
        };
        assert_eq!(parse(""), request(true, true, None));
        assert_eq!(parse("--rust"), request(true, false, None));
        assert_eq!(
            parse("--outside consent"),
            request(false, true, Some("consent"))
        );
        assert_eq!(parse("o21_03"), request(true, true, Some("o21_03")));
    }

    #[test]
    fn an_unknown_flag_or_two_filters_are_refused() {
        for line in ["--fast", "one two", "--rust --outside"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
