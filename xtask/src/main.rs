//! Vestibule's task runner: `cargo xtask TASK`.
//!
//! Each task is a module. A task prints what it found and answers with the sentence that failed it; this file turns that
//! into an exit code and does nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod bench;
mod outside;
mod postgres;
mod process;
mod test;
mod tidy;
mod tools;

const USAGE: &str = "\
cargo xtask TASK

  test [--rust | --outside] [FILTER]   every test, on SQLite and on PostgreSQL; FILTER is part of a test's name
  bench [--only ROW] [--seconds N]     what an operation costs beside its floor; `bench --help` names the rows
  tidy                                 what must never break in the tree: layers, engines, markers, maps, coverage
  coverage                             the requirements and threats that are claimed, each with its tests
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = project_root();
    let outcome = match arguments.split_first() {
        Some((task, rest)) => match task.as_str() {
            "test" => test::run(&root, rest),
            "bench" => bench::run(&root, rest),
            "tidy" if rest.is_empty() => tidy::run(&root),
            "coverage" if rest.is_empty() => tidy::coverage::run(&root),
            "help" | "--help" | "-h" => {
                print!("{USAGE}");
                Ok(())
            }
            _ => Err(format!("no such task: {}\n\n{USAGE}", arguments.join(" "))),
        },
        None => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace, wherever the task was called from. Cargo says at run time which one it is: two checkouts may
/// share one build folder.
fn project_root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map(Path::to_path_buf).unwrap_or(own)
}
