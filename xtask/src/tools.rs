//! The programs that the tests need and cargo does not bring: found, installed where that is allowed, or named.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// The oldest Node.js that the client library of the outside tests runs on.
const NODE_MAJOR_MIN: u32 = 20;

/// Something to install: how to see that it is there, and the system package that brings it.
#[derive(Clone, Copy, Debug)]
pub enum Tool {
    Postgres,
    Node,
    Python,
    Chromium,
    OpenSsl,
}

impl Tool {
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["postgresql"],
            Self::Node => &["nodejs", "npm"],
            Self::Python => &["python3", "python3-venv"],
            Self::Chromium => &["chromium", "fonts-liberation"],
            Self::OpenSsl => &["openssl"],
        }
    }

    /// What is wrong, in words for the person who has to mend it.
    fn fault(self) -> Option<String> {
        match self {
            Self::Postgres => postgres_folder().is_none().then(|| {
                "a PostgreSQL server (initdb and postgres, on the search path or under /usr/lib/postgresql)".to_owned()
            }),
            Self::Node => node_fault(),
            Self::Python => {
                let probe = ["-c", "import venv, ensurepip"];
                process::read(Command::new("python3").args(probe))
                    .is_err()
                    .then(|| "python3 with its venv and ensurepip modules".to_owned())
            }
            Self::Chromium => chromium()
                .is_none()
                .then(|| "Chromium (or its path in CHROMIUM_BIN)".to_owned()),
            Self::OpenSsl => process::find("openssl")
                .is_none()
                .then(|| "the program openssl, which makes a certificate".to_owned()),
        }
    }
}

/// Makes sure that every tool is there. As root on a system with apt the missing ones are installed; otherwise they are named.
pub fn require(tools: &[Tool]) -> Result<(), String> {
    let missing: Vec<Tool> = tools
        .iter()
        .copied()
        .filter(|tool| tool.fault().is_some())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if process::is_root() && process::find("apt-get").is_some() {
        install(&missing)?;
    }
    let faults: Vec<String> = missing.iter().filter_map(|tool| tool.fault()).collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(format!(
        "The tests need what is not here:\n  - {}\nOn Debian: apt-get install {}",
        faults.join("\n  - "),
        package_names(&missing).join(" ")
    ))
}

fn install(missing: &[Tool]) -> Result<(), String> {
    let packages = package_names(missing);
    eprintln!("Installing {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        command
    };
    process::run(apt().arg("update"))?;
    process::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

fn package_names(tools: &[Tool]) -> Vec<&'static str> {
    tools
        .iter()
        .flat_map(|tool| tool.packages())
        .copied()
        .collect()
}

fn node_fault() -> Option<String> {
    let wanted = format!("Node.js {NODE_MAJOR_MIN} or newer, with npm");
    if process::find("npm").is_none() {
        return Some(wanted);
    }
    let Ok(version) = process::read(Command::new("node").arg("--version")) else {
        return Some(wanted);
    };
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MAJOR_MIN => None,
        _ => Some(format!("{wanted} (this one is {})", version.trim())),
    }
}

/// The folder that holds `initdb` and `postgres`: on the search path, or the newest that Debian keeps.
pub fn postgres_folder() -> Option<PathBuf> {
    let complete = |folder: &Path| {
        ["initdb", "postgres", "psql"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    let found = process::find("initdb").and_then(|path| {
        let real = path.canonicalize().ok()?;
        Some(real.parent()?.to_path_buf())
    });
    if let Some(folder) = found.filter(|folder| complete(folder)) {
        return Some(folder);
    }
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| complete(folder))
        .collect();
    versions.sort();
    versions.pop().map(|(_, folder)| folder)
}

/// The browser: named by the environment, or found under one of its names.
pub fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM_BIN") {
        return Some(PathBuf::from(named));
    }
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| process::find(name))
}
