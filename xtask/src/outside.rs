//! The outside tests: programs in other languages that drive the binary as its users do.
//!
//! Their folder is `tests/outside`. Node's runner and Python's report in their own ways; here both become a tally.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::postgres::Postgres;
use crate::{process, tools};

/// How many tests came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(out, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// What the binary keeps its records in.
pub enum Engine<'a> {
    Sqlite,
    Postgres(&'a Postgres),
}

impl Engine<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

/// The built binary and the installed programs, ready to run.
#[derive(Debug)]
pub struct Programs {
    folder: PathBuf,
    target: PathBuf,
    binary: PathBuf,
    python: PathBuf,
    chromium: PathBuf,
}

impl Programs {
    /// Builds the binary and installs the pinned packages of both languages, each only when its list changed.
    pub fn prepare(root: &Path, target: &Path) -> Result<Self, String> {
        let folder = root.join("tests/outside");
        let chromium = tools::chromium().ok_or("Chromium is not installed")?;
        process::run(Command::new("cargo").current_dir(root).args([
            "build",
            "--package",
            "vestibule-server",
            "--bin",
            "vestibule",
        ]))?;
        install_node_packages(&folder)?;
        let python = install_python_packages(&folder, target)?;
        Ok(Self {
            binary: binary(target),
            folder,
            target: target.to_path_buf(),
            python,
            chromium,
        })
    }

    /// Runs the programs of both languages against one engine.
    pub fn run(&self, engine: &Engine<'_>, filter: Option<&str>) -> Result<Tally, String> {
        let mut sum = Tally::default();
        for (title, command, read) in [
            (
                "node",
                self.node(filter)?,
                node_tally as fn(&str) -> Option<Tally>,
            ),
            ("python", self.python(filter), python_tally),
        ] {
            let mut command = command;
            self.describe(engine, &mut command);
            println!("\nOutside tests: {title}, {}", engine.name());
            let (ended_well, said) = run_and_keep(&mut command)?;
            let tally = read(&said).unwrap_or_default();
            sum += tally;
            // A runner that fell over has not counted itself, and must not look like success. One that a filter left
            // without tests may say so with its exit code.
            if !ended_well && tally.failed == 0 && !(filter.is_some() && tally == Tally::default())
            {
                sum.failed += 1;
            }
        }
        Ok(sum)
    }

    fn node(&self, filter: Option<&str>) -> Result<Command, String> {
        let mut command = Command::new("node");
        command.args(["--test", "--test-concurrency=2", "--test-reporter=tap"]);
        if let Some(filter) = filter {
            command.arg(format!("--test-name-pattern={filter}"));
        }
        command.args(files_ending(&self.folder, ".test.mjs")?);
        Ok(command)
    }

    fn python(&self, filter: Option<&str>) -> Command {
        let mut command = Command::new(&self.python);
        command.args([
            "-u", "-m", "unittest", "discover", "-v", "-s", "python", "-t", "python",
        ]);
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        command
    }

    fn describe(&self, engine: &Engine<'_>, command: &mut Command) {
        command
            .current_dir(&self.folder)
            .env("VESTIBULE_BIN", &self.binary)
            .env("VESTIBULE_TEST_TARGET", &self.target)
            .env("CHROMIUM_BIN", &self.chromium)
            .env("NO_PROXY", "127.0.0.1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("VESTIBULE_TEST_POSTGRES");
        if let Engine::Postgres(server) = engine {
            command
                .env("VESTIBULE_TEST_POSTGRES", server.url())
                .env("VESTIBULE_TEST_PSQL", server.psql());
        }
    }
}

/// The binary under test: named by the environment (a released one, say), or the one just built.
fn binary(target: &Path) -> PathBuf {
    std::env::var_os("VESTIBULE_BIN").map_or_else(|| target.join("debug/vestibule"), PathBuf::from)
}

fn install_node_packages(folder: &Path) -> Result<(), String> {
    let list = folder.join("package-lock.json");
    let stamp = folder.join("node_modules/.installed");
    once_per_list(&list, &stamp, || {
        process::run(Command::new("npm").current_dir(folder).args([
            "ci",
            "--ignore-scripts",
            "--loglevel=error",
        ]))
    })
}

fn install_python_packages(folder: &Path, target: &Path) -> Result<PathBuf, String> {
    let environment = target.join("outside-python");
    let python = environment.join("bin/python");
    let list = folder.join("python/requirements.txt");
    once_per_list(&list, &environment.join(".installed"), || {
        process::run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&environment),
        )?;
        process::run(
            Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args(["--no-deps", "--requirement"])
                .arg(&list),
        )
    })?;
    Ok(python)
}

/// Installs when the copy of the list that the last installation left behind is not the list of today.
fn once_per_list(
    list: &Path,
    stamp: &Path,
    install: impl Fn() -> Result<(), String>,
) -> Result<(), String> {
    let wanted = std::fs::read(list).map_err(|error| format!("{}: {error}", list.display()))?;
    if std::fs::read(stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn files_ending(folder: &Path, end: &str) -> Result<Vec<OsString>, String> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<OsString> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().ends_with(end))
        .collect();
    names.sort();
    Ok(names)
}

/// Runs to the end, shows each line when it comes, and answers with whether it ended well and all it said.
fn run_and_keep(command: &mut Command) -> Result<(bool, String), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
    let complaints = child.stderr.take();
    let answers = child.stdout.take();
    let (complained, answered) = std::thread::scope(|threads| {
        let complained = threads.spawn(|| complaints.map(show_and_keep).unwrap_or_default());
        let answered = answers.map(show_and_keep).unwrap_or_default();
        (complained.join().unwrap_or_default(), answered)
    });
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok((status.success(), answered + &complained))
}

fn show_and_keep(stream: impl std::io::Read) -> String {
    let mut kept = String::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        kept.push_str(&line);
        kept.push('\n');
    }
    kept
}

/// The sums at the end of a TAP report: `# pass 12`, `# fail 0`, `# cancelled 0`, `# skipped 1`.
fn node_tally(report: &str) -> Option<Tally> {
    let sum = |name: &str| {
        report.lines().rev().find_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["#", word, count] if *word == name => count.parse::<u32>().ok(),
                _ => None,
            }
        })
    };
    Some(Tally {
        passed: sum("pass")?,
        failed: sum("fail")? + sum("cancelled").unwrap_or(0),
        skipped: sum("skipped").unwrap_or(0),
    })
}

/// The end of a report of Python's unittest: `Ran 5 tests in 1.2s`, then `OK` or `FAILED (failures=1, errors=2, skipped=1)`.
fn python_tally(report: &str) -> Option<Tally> {
    let ran: u32 = report
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse().ok())?;
    let verdict = report.lines().rev().find(|line| {
        ["OK", "FAILED", "NO TESTS RAN"]
            .iter()
            .any(|word| line.starts_with(word))
    })?;
    let count = |name: &str| {
        verdict
            .split(['(', ')', ',', ' '])
            .find_map(|part| {
                part.strip_prefix(name)?
                    .strip_prefix('=')?
                    .parse::<u32>()
                    .ok()
            })
            .unwrap_or(0)
    };
    let failed = count("failures") + count("errors") + count("unexpected successes");
    let skipped = count("skipped");
    Some(Tally {
        passed: ran.saturating_sub(failed + skipped),
        failed,
        skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_tap_report_are_read() {
        let report = "ok 1 - one\n# tests 4\n# suites 0\n# pass 1\n# fail 1\n# cancelled 1\n# skipped 1\n# todo 0\n";
        let tally = Tally {
            passed: 1,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(node_tally(report), Some(tally));
        assert_eq!(node_tally("node: cannot find module"), None);
    }

    #[test]
    fn the_end_of_a_unittest_report_is_read() {
        #[rustfmt::skip]
        let table = [
            ("Ran 5 tests in 1.0s\n\nOK\n",                                     5, 0, 0),
            ("Ran 1 test in 1.0s\n\nOK (skipped=1)\n",                          0, 0, 1),
            ("Ran 5 tests in 1.0s\n\nFAILED (failures=1, errors=2)\n",          2, 3, 0),
            ("Ran 5 tests in 1.0s\n\nFAILED (errors=1, skipped=2)\n",           2, 1, 2),
        ];
        for (row, (report, passed, failed, skipped)) in table.into_iter().enumerate() {
            assert_eq!(
                python_tally(report),
                Some(Tally {
                    passed,
                    failed,
                    skipped
                }),
                "row {row}"
            );
        }
        assert_eq!(python_tally("ModuleNotFoundError"), None);
    }

    #[test]
    fn a_tally_is_said_as_one_plain_line() {
        let mut sum = Tally {
            passed: 2,
            failed: 0,
            skipped: 0,
        };
        assert_eq!(sum.to_string(), "2 passed, 0 failed");
        sum += Tally {
            passed: 1,
            failed: 1,
            skipped: 3,
        };
        assert_eq!(sum.to_string(), "3 passed, 1 failed, 3 skipped");
    }
}
