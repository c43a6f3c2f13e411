//! A PostgreSQL server of our own: made for one run, on a free loopback port, and gone afterwards. For tests it is in memory
//! where there is a memory disk, without the waiting that makes data safe; for measurements it is on a disk and safe.
//!
//! A shell holds it. That shell waits for the end of its standard input, which comes when this process drops the pipe or
//! dies, however it dies; then it stops the server and removes the data. No signal handler of ours could promise as much.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{process, tools};

/// How long a server may take to answer its first query.
const START_SECONDS_MAX: u32 = 60;
const LOOK_EVERY_MILLISECONDS: u32 = 100;
/// A free port can be lost to another process between the look and the start.
const STARTS_MAX: u32 = 3;

const HOLD: &str = r#"
set -eu
data=$(mktemp -d -p "$1")
trap 'rm -rf "$data"' EXIT
trap '' INT
"$2/initdb" --pgdata "$data/data" --username postgres --auth trust --encoding UTF8 --locale C --no-sync --no-instructions
"$2/postgres" -D "$data/data" -p "$3" -k "$data" \
  -c listen_addresses=127.0.0.1 -c "fsync=$4" -c "synchronous_commit=$4" -c "full_page_writes=$4" \
  -c max_connections=300 -c shared_buffers=128MB -c max_wal_size=1GB -c dynamic_shared_memory_type=mmap &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null || true
wait "$server" 2>/dev/null || true
"#;

/// What becomes of the data when the machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is lost: memory is quicker.
    None,
    /// What was committed is on the disk of the folder for temporary files.
    Full,
}

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    holder: Child,
    port: u16,
    programs: PathBuf,
}

impl Postgres {
    /// Starts a server and waits until it answers. `target` is the folder that keeps its log.
    pub fn start(target: &Path, durability: Durability) -> Result<Self, String> {
        let programs = tools::postgres_folder().ok_or("PostgreSQL is not installed")?;
        std::fs::create_dir_all(target)
            .map_err(|error| format!("{}: {error}", target.display()))?;
        let log = target.join("postgres.log");
        let mut fault = String::new();
        for _ in 0..STARTS_MAX {
            let mut server = Self::spawn(programs.clone(), &log, durability)?;
            match server.wait_until_ready(&log) {
                Ok(()) => return Ok(server),
                Err(error) => fault = error,
            }
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        Err(format!("PostgreSQL did not start: {fault}\n{said}"))
    }

    /// The URL of its first database, with a user who may do everything.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Makes an empty database and answers with its URL.
    pub fn database(&self, name: &str) -> Result<String, String> {
        let mut create = Command::new(self.psql());
        create
            .args([
                "--no-psqlrc",
                "--quiet",
                "--command",
                &format!("CREATE DATABASE {name}"),
            ])
            .arg(self.url());
        process::read(&mut create)?;
        Ok(format!(
            "postgres://postgres@127.0.0.1:{}/{name}",
            self.port
        ))
    }

    /// The program that the outside tests make their databases with.
    pub fn psql(&self) -> PathBuf {
        self.programs.join("psql")
    }

    fn spawn(programs: PathBuf, log: &Path, durability: Durability) -> Result<Self, String> {
        let (folder, safe) = match durability {
            Durability::None => (memory_disk(), "off"),
            Durability::Full => (std::env::temp_dir(), "on"),
        };
        let port = free_port()?;
        let output = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        // The server refuses to run as root, so root runs it as the user that the package made.
        let mut command = if process::is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let holder = command
            .args(["-c", HOLD, "postgres-holder"])
            .arg(folder)
            .arg(&programs)
            .arg(port.to_string())
            .arg(safe)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("PostgreSQL could not be started: {error}"))?;
        Ok(Self {
            holder,
            port,
            programs,
        })
    }

    fn wait_until_ready(&mut self, log: &Path) -> Result<(), String> {
        let mut answer = Ok(());
        let looks = START_SECONDS_MAX * 1000 / LOOK_EVERY_MILLISECONDS;
        for _ in 0..looks {
            let mut query = Command::new(self.psql());
            query
                .args(["--no-psqlrc", "--tuples-only", "--command", "SELECT 1"])
                .arg(self.url());
            match process::read(&mut query) {
                Ok(_) => return Ok(()),
                Err(error) => answer = Err(error),
            }
            if let Ok(Some(status)) = self.holder.try_wait() {
                return Err(format!("it ended at once: {status}"));
            }
            let said = std::fs::read_to_string(log).unwrap_or_default();
            if said.contains("could not create any TCP/IP sockets") {
                return Err(format!("port {} went to another process", self.port));
            }
            std::thread::sleep(Duration::from_millis(LOOK_EVERY_MILLISECONDS.into()));
        }
        answer
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on loopback: {error}"))
}

fn memory_disk() -> PathBuf {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() {
        shared_memory.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}
