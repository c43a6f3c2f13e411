//! `cargo xtask bench`: what each operation costs, beside the least that it could cost on the same core in the same minute.
//!
//! Three processes take part, all optimised: the server and its floor on the first core, the load on the second. This file
//! builds them, starts them, and puts together what they show. A figure means something only as a ratio within one run.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::postgres::{Durability, Postgres};
use crate::{process, test};

mod browser;
mod floor;
mod http;
mod load;
mod provider;
mod records;
mod report;
mod rows;
mod server;
mod workers;

use provider::Provider;
use report::{Bar, Fact, Report};
use rows::{Bench, ROWS, Stage};
use server::{Floor, Hashing, Server, Setup};

const USAGE: &str = "\
cargo xtask bench

  --database sqlite|postgres|both   the engine; SQLite when nothing is said
  --seconds N                       how long each row is measured; 5
  --connections N                   connections that are kept, each with one request at a time; 16
  --only ROW                        a part of a row's word; may stand more than once
  --scale N                         people and families that are in the database beforehand, and as many tenants, up to 2000
  --json FILE                       the figures for a program

VESTIBULE_BIN names a binary to measure instead of building one.
";

/// Starts to take the median of.
const STARTS: usize = 5;

/// Tenants beside the one that is measured; more do not fit into one unit of writes.
const TENANTS_MAX: usize = 2000;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    sqlite: bool,
    postgres: bool,
    seconds: u64,
    connections: usize,
    only: Vec<String>,
    scale: usize,
    json: Option<PathBuf>,
    /// Set in the process that drives: the binary under test.
    driver: Option<PathBuf>,
    is_pinned: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            sqlite: true,
            postgres: false,
            seconds: 5,
            connections: 16,
            only: Vec::new(),
            scale: 0,
            json: None,
            driver: None,
            is_pinned: false,
        };
        let mut words = arguments.iter();
        while let Some(flag) = words.next() {
            if flag == "--pinned" {
                options.is_pinned = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            let number = |least: usize| match value.parse::<usize>() {
                Ok(number) if number >= least => Ok(number),
                _ => Err(format!(
                    "{flag} takes a number of at least {least}, not {value}"
                )),
            };
            match flag.as_str() {
                "--database" => {
                    (options.sqlite, options.postgres) = match value.as_str() {
                        "sqlite" => (true, false),
                        "postgres" => (false, true),
                        "both" => (true, true),
                        _ => {
                            return Err(format!(
                                "--database takes sqlite, postgres or both, not {value}"
                            ));
                        }
                    }
                }
                "--seconds" => options.seconds = u64::try_from(number(1)?).unwrap_or(u64::MAX),
                "--connections" => options.connections = number(1)?,
                "--only" if ROWS.iter().any(|(key, ..)| key.contains(value.as_str())) => {
                    options.only.push(value.clone())
                }
                "--only" => {
                    return Err(format!("no row is called {value}; they are {}", row_keys()));
                }
                "--scale" => options.scale = number(0)?,
                "--json" => options.json = Some(value.into()),
                "--driver" => options.driver = Some(value.into()),
                _ => return Err(format!("bench has no flag {flag}\n\n{USAGE}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| key.contains(word))
    }

    fn people(&self) -> usize {
        self.connections.max(16) + self.scale
    }

    fn tenants(&self) -> usize {
        self.scale.min(TENANTS_MAX)
    }
}

pub fn run(root: &Path, arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help" | "-h"] => {
            println!("{USAGE}\nRows: {}", row_keys());
            return Ok(());
        }
        ["--floor-server", folder, port, database @ ..] => {
            let port = port.parse().map_err(|_| format!("{port} is no port"))?;
            let database = database.first().copied();
            return floor::serve(Path::new(folder), Provider { port }, database);
        }
        _ => {}
    }
    let options = Options::parse(arguments)?;
    match &options.driver {
        Some(binary) => drive(root, &options, binary),
        None => prepare(root, arguments),
    }
}

/// Builds what takes part, and hands over to an optimised copy of this program on the second core.
fn prepare(root: &Path, arguments: &[String]) -> Result<(), String> {
    let release = test::target_folder(root).join("release");
    let cargo = |words: &[&str]| {
        let mut command = Command::new("cargo");
        process::run(
            command
                .current_dir(root)
                .args(["build", "--release", "--quiet"])
                .args(words),
        )
    };
    cargo(&["--package", "xtask"])?;
    let binary = if let Some(named) = std::env::var_os("VESTIBULE_BIN") {
        PathBuf::from(named)
    } else {
        cargo(&["--package", "vestibule-server", "--bin", "vestibule"])?;
        release.join("vestibule")
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let is_pinned = cores > 1 && process::find("taskset").is_some();
    let own = release.join("xtask");
    let mut command = if is_pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "1"]).arg(own);
        command
    } else {
        Command::new(own)
    };
    command
        .arg("bench")
        .args(arguments)
        .arg("--driver")
        .arg(binary);
    if is_pinned {
        command.arg("--pinned");
    }
    process::run(&mut command)
}

fn drive(root: &Path, options: &Options, binary: &Path) -> Result<(), String> {
    let target = test::target_folder(root);
    let mut reports = Vec::new();
    if options.sqlite {
        reports.push(measure(&target, options, binary, None)?);
    }
    if options.postgres {
        let postgres = Postgres::start(&target, Durability::Full)?;
        reports.push(measure(&target, options, binary, Some(&postgres))?);
    }
    if let Some(file) = &options.json {
        let all: Vec<_> = reports.iter().map(Report::json).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
        std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let void = reports
        .iter()
        .flat_map(|report| &report.rows)
        .filter(|row| row.outcome.is_err())
        .count();
    if void > 0 {
        return Err(format!("{void} rows are void."));
    }
    Ok(())
}

/// A folder of this run's own on the disk that cargo builds on.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn measure(
    target: &Path,
    options: &Options,
    binary: &Path,
    postgres: Option<&Postgres>,
) -> Result<Report, String> {
    let folder = Folder(target.join(format!("bench-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)
        .map_err(|error| format!("{}: {error}", folder.0.display()))?;
    let disk_folder = if postgres.is_some() {
        std::env::temp_dir()
    } else {
        folder.0.clone()
    };
    let disk = rows::filesystem(&disk_folder)?;
    if disk == "tmpfs" {
        return Err(format!(
            "{} is in memory; records must be measured on a disk",
            disk_folder.display()
        ));
    }
    let provider = Provider::start()?;
    let place = Place {
        folder: &folder.0,
        binary,
        options,
        postgres,
        provider,
    };
    let mut report = Report {
        engine: if postgres.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
        .to_owned(),
        conditions: conditions(options, &disk, postgres.is_some()),
        ..Report::default()
    };
    place.starts(&mut report)?;
    let floor_database = postgres
        .map(|postgres| postgres.database("bench_floor"))
        .transpose()?;
    let floor_folder = folder.0.join("floor");
    std::fs::create_dir_all(&floor_folder).map_err(|error| error.to_string())?;
    let floor = Floor::start(
        &floor_folder,
        provider,
        floor_database.as_deref(),
        options.is_pinned,
    )?;
    for stage in Stage::ALL {
        let is_wanted = |key: &str| options.wants(key) && Stage::of(key) == stage;
        if ROWS.iter().any(|(key, ..)| is_wanted(key)) {
            place.rows(&mut report, &floor, stage, is_wanted)?;
        }
    }
    println!("{}", report.markdown());
    Ok(report)
}

fn conditions(options: &Options, disk: &str, is_postgres: bool) -> Vec<String> {
    let mut conditions = vec![
        if options.is_pinned {
            "The server and its floor have core 0, the load core 1.".to_owned()
        } else {
            "Nothing is pinned: rates move with whatever else runs, and the load takes from the server.".to_owned()
        },
        format!(
            "{} kept connections, one request at a time each; {} s a row, its floor half before and half after it.",
            options.connections, options.seconds
        ),
        "CPU is the server's process alone, in hundredths of a second. The floor is a bare hyper server doing the work that is named, under the same load.".to_owned(),
    ];
    if ROWS
        .iter()
        .any(|(key, ..)| options.wants(key) && Stage::of(key) == Stage::Brokered)
    {
        conditions.push(format!(
            "The provider of brokered sign-ins is a bare one inside the load; it signs with {}. Each person comes from a network of their own.",
            provider::ALGORITHM
        ));
    }
    if is_postgres {
        conditions.push(format!(
            "PostgreSQL runs {} with fsync on, its data on {disk}; its own CPU is not counted.",
            if options.is_pinned {
                "on core 1, beside the load,"
            } else {
                "unpinned"
            }
        ));
    } else {
        conditions.push(format!("Records are on {disk}, synchronous=FULL; the floor commits as SQLite does for all that wait."));
    }
    if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
        let minute = load.split_whitespace().next().unwrap_or_default();
        conditions.push(format!(
            "The load average before it began was {minute}: what else runs here widens every p99."
        ));
    }
    if options.scale > 0 {
        conditions.push(format!(
            "{} people, as many families and {} more tenants were there beforehand.",
            options.scale,
            options.tenants()
        ));
    }
    conditions
}

/// Where a run happens.
struct Place<'a> {
    folder: &'a Path,
    binary: &'a Path,
    options: &'a Options,
    postgres: Option<&'a Postgres>,
    provider: Provider,
}

impl Place<'_> {
    fn setup(
        &self,
        name: &str,
        stage: Stage,
        (people, tenants): (usize, usize),
    ) -> Result<Setup, String> {
        let hashing = if stage == Stage::SignIn {
            Hashing::Token
        } else {
            Hashing::Full
        };
        let upstream = (stage == Stage::Brokered).then_some(self.provider);
        let apply = self.folder.join(format!("{name}.toml"));
        let installation = server::installation(people, tenants, hashing, upstream)?;
        std::fs::write(&apply, installation).map_err(|error| error.to_string())?;
        let database = self
            .postgres
            .map(|postgres| postgres.database(&format!("bench_{name}")))
            .transpose()?;
        Ok(Setup {
            binary: self.binary.to_path_buf(),
            data: self.folder.join(name),
            apply: Some(apply),
            database,
            hashing,
            upstream,
            is_pinned: self.options.is_pinned,
        })
    }

    /// What is one number: the first start, the next ones, the size of the binary.
    fn starts(&self, report: &mut Report) -> Result<(), String> {
        let mut first_ever = Vec::new();
        let mut warm = Vec::new();
        for index in 0..STARTS {
            let mut setup = self.setup(&format!("start{index}"), Stage::Main, (0, 0))?;
            let server = Server::start(&setup)?;
            first_ever.push(server.start);
            server.stop()?;
            setup.apply = None;
            let server = Server::start(&setup)?;
            warm.push(server.start);
            server.stop()?;
        }
        let size = std::fs::metadata(self.binary)
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let note = format!(
            "median of {STARTS}, from the start of the process to the first 200 of /readyz"
        );
        let mut fact = |name: &str, value: f64, unit: &'static str, most: f64, note: &str| {
            report.facts.push(Fact {
                name: name.to_owned(),
                value,
                unit,
                bar: Bar::AtMost(most),
                note: note.to_owned(),
            });
        };
        fact("start, warm", median_milliseconds(warm), "ms", 50.0, &note);
        fact(
            "start, first ever",
            median_milliseconds(first_ever),
            "ms",
            500.0,
            "with five clients to apply and every key to make",
        );
        fact("binary", mebibytes(size.len()), "MiB", 20.0, "");
        Ok(())
    }

    fn rows(
        &self,
        report: &mut Report,
        floor: &Floor,
        stage: Stage,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<(), String> {
        let filled = if stage == Stage::Main {
            (self.options.people(), self.options.tenants())
        } else {
            (self.options.connections.max(16), 0)
        };
        let mut setup = self.setup(stage.name(), stage, filled)?;
        Server::start(&setup)?.stop()?;
        // Applying looks at passwords; what is measured has hashed none before it is asked to.
        setup.apply = None;
        let server = Server::start(&setup)?;
        std::thread::sleep(Duration::from_secs(1));
        let idle = load::resident_mib(server.pid())?;
        let bench = Bench {
            server: &server,
            floor,
            upstream: setup.upstream,
            connections: self.options.connections,
            window: Duration::from_secs(self.options.seconds),
            resident_mib: Cell::new(idle),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            if self.options.scale > 0 && stage == Stage::Main {
                bench
                    .fill(self.options.scale, self.options.tenants())
                    .await?;
            }
            for (key, name, bar) in ROWS.iter().filter(|(key, ..)| is_wanted(key)) {
                eprintln!("{name} …");
                report.rows.push(bench.row(key, name, *bar).await);
            }
            Ok::<_, String>(())
        })?;
        if stage == Stage::Main {
            let loaded = bench.resident_mib.get();
            let mut fact = |name: &str, value: f64, most: f64, note: String| {
                let name = name.to_owned();
                report.facts.push(Fact {
                    name,
                    value,
                    unit: "MiB",
                    bar: Bar::AtMost(most),
                    note,
                });
            };
            fact(
                "resident, idle",
                idle,
                25.0,
                "a second after the start; no password hashed yet".to_owned(),
            );
            let note = format!(
                "{loaded:.1} MiB less one password thread of 19 MiB; the most seen after a row"
            );
            fact("resident, under load", loaded - 19.0, 64.0, note);
        }
        server.stop()
    }
}

fn row_keys() -> String {
    let keys: Vec<&str> = ROWS.iter().map(|(key, ..)| *key).collect();
    keys.join(", ")
}

fn median_milliseconds(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
        * 1000.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a file is far smaller than 2^52 bytes"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn flags_choose_engines_and_rows() {
        let options = parse("--database both --only jwks --only credentials --seconds 2").unwrap();
        assert!(options.sqlite && options.postgres && options.seconds == 2);
        assert!(
            options.wants("jwks") && options.wants("credentials-rs256") && !options.wants("code")
        );
        let options = parse("").unwrap();
        assert!(options.sqlite && !options.postgres && options.wants("code"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "--fast",
            "--seconds 0",
            "--seconds",
            "--only nothing",
            "--database mysql",
            "--scale x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_median_is_one_of_the_times() {
        let times = [3, 1, 2].map(Duration::from_millis).to_vec();
        assert!((median_milliseconds(times) - 2.0).abs() < 1e-9);
        assert!(median_milliseconds(Vec::new()).abs() < 1e-9);
    }
}
