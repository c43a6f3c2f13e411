//! The processes of a run: the server under test, its floor, and what the installation holds.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::browser::{Person, REDIRECT_URI};
use super::floor;
use super::provider::{self, Provider};

const START_SECONDS_MAX: u64 = 120;
const STOP_SECONDS_MAX: u64 = 30;
const SECRET: &str = "bench-secret-0123456789abcdef0123456789abcdef";

pub const WEB: &str = "bench-web";
pub const PUBLIC: &str = "bench-app";

/// A client of the installation that authenticates with HTTP Basic, as a header line.
pub fn basic(client_id: &str) -> String {
    format!(
        "Authorization: Basic {}\r\n",
        STANDARD.encode(format!("{client_id}:{SECRET}"))
    )
}

/// The client whose access tokens are signed so.
pub fn machine(algorithm: floor::Algorithm) -> String {
    format!("bench-machine-{}", algorithm.name().to_lowercase())
}

/// Somebody of the installation.
pub fn person(index: usize) -> Person {
    Person {
        username: format!("person{index}"),
        password: "correct horse battery staple".to_owned(),
        upstream: None,
    }
}

/// How much work a password hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashing {
    /// As the server does it by default.
    Full,
    /// Next to none: what remains is the rest of a sign-in.
    Token,
}

impl Hashing {
    fn params(self) -> Result<Params, String> {
        match self {
            Self::Full => floor::password_params(),
            Self::Token => Params::new(8, 1, 1, Some(32)).map_err(|error| error.to_string()),
        }
    }

    /// The hash of everybody's password; one salt for all, since nothing here is secret.
    fn phc(self) -> Result<String, String> {
        let params = self.params()?;
        let salt = b"0123456789abcdef";
        let mut output = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into(person(0).password.as_bytes(), salt, &mut output)
            .map_err(|error| error.to_string())?;
        Ok(format!(
            "$argon2id$v=19$m={},t={},p={}${}${}",
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(output)
        ))
    }
}

/// The slug of one of the tenants that are only there to be many.
pub fn neighbour(index: usize) -> String {
    format!("neighbour{index}")
}

/// The installation as a file: clients of each kind, so many people, so many tenants beside the one that is measured, and the
/// provider if somebody signs in with it.
pub fn installation(
    people: usize,
    tenants: usize,
    hashing: Hashing,
    upstream: Option<Provider>,
) -> Result<String, String> {
    let mut text = "[[tenant]]\nslug = \"default\"\nname = \"Bench\"\n\n[tenant.policy]\nsign_up = \"open\"\n\n\
        [[tenant.scope]]\nname = \"reports.read\"\ndescription = \"Read your reports\"\nconsent = \"implied\"\n"
        .to_owned();
    for algorithm in floor::Algorithm::ALL {
        let _ = write!(
            text,
            "\n[[tenant.client]]\nclient_id = \"{}\"\nclient_secret = \"{SECRET}\"\nclient_name = \"Machine\"\n\
             grant_types = [\"client_credentials\"]\ntoken_endpoint_auth_method = \"client_secret_basic\"\nscope = \"reports.read\"\n\n\
             [tenant.client.policy]\naccess_token_signing_alg = \"{}\"\n",
            machine(algorithm),
            algorithm.name()
        );
    }
    for (client_id, authentication, rotation) in [
        (
            WEB,
            format!(
                "client_secret = \"{SECRET}\"\ntoken_endpoint_auth_method = \"client_secret_basic\""
            ),
            "never",
        ),
        (
            PUBLIC,
            "token_endpoint_auth_method = \"none\"".to_owned(),
            "on_use",
        ),
    ] {
        let _ = write!(
            text,
            "\n[[tenant.client]]\nclient_id = \"{client_id}\"\n{authentication}\nclient_name = \"{client_id}\"\n\
             redirect_uris = [\"{REDIRECT_URI}\"]\ngrant_types = [\"authorization_code\", \"refresh_token\"]\n\
             scope = \"openid profile email offline_access\"\nid_token_signed_response_alg = \"EdDSA\"\n\n\
             [tenant.client.policy]\nconsent = \"remember\"\naccess_token_signing_alg = \"EdDSA\"\n\
             refresh_token_rotation = \"{rotation}\"\n"
        );
    }
    if let Some(upstream) = upstream {
        let _ = write!(
            text,
            "\n[[tenant.provider]]\nid = \"{}\"\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
            provider::ID,
            upstream.issuer(),
            provider::CLIENT_ID,
            provider::CLIENT_SECRET
        );
    }
    let hash = hashing.phc()?;
    for index in 0..people {
        let name = person(index).username;
        let _ = write!(
            text,
            "\n[[tenant.user]]\nusername = \"{name}\"\npassword_hash = \"{hash}\"\nemail = \"{name}@bench.test\"\n\
             email_verified = true\nname = \"Person {index}\"\n"
        );
    }
    for index in 0..tenants {
        let _ = write!(text, "\n[[tenant]]\nslug = \"{}\"\n", neighbour(index));
    }
    Ok(text)
}

/// How the server under test is started.
#[derive(Clone, Debug)]
pub struct Setup {
    pub binary: PathBuf,
    pub data: PathBuf,
    pub apply: Option<PathBuf>,
    pub database: Option<String>,
    pub hashing: Hashing,
    pub upstream: Option<Provider>,
    pub is_pinned: bool,
}

/// A running server; dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub port: u16,
    /// From the start of the process to its first 200 on `/readyz`.
    pub start: Duration,
}

impl Server {
    pub fn start(setup: &Setup) -> Result<Self, String> {
        std::fs::create_dir_all(&setup.data).map_err(|error| error.to_string())?;
        let port = free_port()?;
        let log = setup.data.with_extension("log");
        let output = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        let mut command = pinned(&setup.binary, setup.is_pinned);
        // What is set in the shell of whoever measures is no setting of this run, and VESTIBULE_BIN is none of the server's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("VESTIBULE_") {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--public-url", &format!("http://127.0.0.1:{port}")])
            .arg("--data")
            .arg(&setup.data)
            .env("VESTIBULE_PASSWORD_THREADS", "1")
            .env("VESTIBULE_LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        if setup.hashing == Hashing::Token {
            command
                .env("VESTIBULE_PASSWORD_MEMORY_KIB", "8")
                .env("VESTIBULE_PASSWORD_ITERATIONS", "1");
        }
        if let Some(upstream) = setup.upstream {
            // Everybody comes through a proxy and from a network of their own: from one network few may leave for a provider.
            command
                .args(["--outbound-allow", &format!("127.0.0.1:{}", upstream.port)])
                .env("VESTIBULE_TRUSTED_PROXIES", "127.0.0.1");
        }
        if let Some(file) = &setup.apply {
            command.arg("--apply").arg(file);
        }
        if let Some(url) = &setup.database {
            command.args(["--database", url]);
        }
        let begin = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("{}: {error}", setup.binary.display()))?;
        let mut server = Self {
            child,
            port,
            start: Duration::ZERO,
        };
        while !is_ready(port) {
            let ended = server.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || begin.elapsed().as_secs() > START_SECONDS_MAX {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("the server did not become ready\n{said}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        server.start = begin.elapsed();
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop, as an operator does.
    pub fn stop(mut self) -> Result<(), String> {
        crate::process::run(
            Command::new("kill")
                .arg("-TERM")
                .arg(self.pid().to_string()),
        )?;
        let begin = Instant::now();
        while begin.elapsed().as_secs() < STOP_SECONDS_MAX {
            if self
                .child
                .try_wait()
                .map_err(|error| error.to_string())?
                .is_some()
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!(
            "the server did not stop within {STOP_SECONDS_MAX} s"
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The running floor server; it ends with us.
#[derive(Debug)]
pub struct Floor {
    child: Child,
    pub port: u16,
}

impl Floor {
    pub fn start(
        folder: &Path,
        provider: Provider,
        database: Option<&str>,
        is_pinned: bool,
    ) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = pinned(&own, is_pinned);
        command
            .args(["bench", "--floor-server"])
            .arg(folder)
            .arg(provider.port.to_string())
            .args(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
        }
        let port = line
            .trim()
            .parse()
            .map_err(|_| "the floor server did not start".to_owned())?;
        Ok(Self { child, port })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The first core is the server's, alone.
fn pinned(program: &Path, is_pinned: bool) -> Command {
    if is_pinned {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_ready(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(
            stream,
            "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

fn free_port() -> Result<u16, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on loopback: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installation_is_toml_with_a_client_of_each_kind() {
        let text = installation(3, 2, Hashing::Token, Some(Provider { port: 81 })).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["tenant"].as_array().unwrap().len(), 3);
        let tenant = &table["tenant"][0];
        assert_eq!(tenant["client"].as_array().unwrap().len(), 5);
        assert_eq!(tenant["user"].as_array().unwrap().len(), 3);
        assert_eq!(
            tenant["provider"][0]["issuer"].as_str(),
            Some("http://127.0.0.1:81")
        );
        let hash = tenant["user"][2]["password_hash"].as_str().unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"),
            "{hash}"
        );
    }
}
