//! The rows: each operation under load, with its floor measured just before and just after it on the same core.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use super::browser::Browser;
use super::floor::{Algorithm, PLAIN_BYTES, Work};
use super::http::{self, Connection};
use super::load::{self, Measured, Worker};
use super::provider::Provider;
use super::report::{Bar, Figures, Row};
use super::server::{self, Floor, Server};
use super::workers::{
    Collect, Flow, OFFLINE_SCOPE, Redeem, Refresh, Repeat, SignIn, Tokens, WEB_SCOPE,
    authorize_path, redemption, tokens, userinfo,
};

mod brokered;

use brokered::Who;

const WARM_UP: Duration = Duration::from_millis(1000);
/// Codes that each worker holds at most: they live for a minute, and so many are redeemed well within it.
const CODES_HELD: usize = 500;
/// People who sign in while another request is measured.
const BUSY_SIGN_INS: usize = 8;

/// Every row: the word that `--only` looks into, what it is called, and its bar.
#[rustfmt::skip]
pub const ROWS: &[(&str, &str, Bar)] = &[
    ("credentials-eddsa", "client credentials, EdDSA",          Bar::OfFloor(0.6)),
    ("credentials-es256", "client credentials, ES256",          Bar::OfFloor(0.6)),
    ("credentials-rs256", "client credentials, RS256",          Bar::OfFloor(0.9)),
    ("introspection",     "introspection of a JWT",             Bar::OfFloor(0.5)),
    ("userinfo",          "user info",                          Bar::OfFloor(0.45)),
    ("jwks",              "JWKS",                               Bar::OfFloor(0.75)),
    ("discovery",         "discovery",                          Bar::OfFloor(0.75)),
    ("code",              "code → tokens",                      Bar::OfFloor(0.75)),
    ("refresh",           "refresh rotation",                   Bar::OfFloor(0.75)),
    ("flow",              "whole flow, session present",        Bar::OfFloor(0.5)),
    ("password",          "password sign-in",                   Bar::OfFloor(0.9)),
    ("busy",              "p99 of another request under sign-ins", Bar::AtMost(5.0)),
    (FLOW_SIGN_IN,        "whole flow with sign-in, less the hash", Bar::OfFloor(0.5)),
    (BROKERED_RETURNING,  "brokered sign-in (RS256, the provider's own time apart)", Bar::OfFloor(0.5)),
    (BROKERED_NEW,        "brokered sign-up (RS256, the provider's own time apart)", Bar::OfFloor(0.5)),
];

/// This row has a server of its own, whose password hash is next to nothing.
pub const FLOW_SIGN_IN: &str = "signed-in-flow";
/// These two have a server of their own, which knows a provider and sits behind a proxy.
const BROKERED_RETURNING: &str = "brokered-returning";
const BROKERED_NEW: &str = "brokered-new";

/// The server that a row is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// With everybody, and with passwords as they are.
    Main,
    /// With a password hash that is next to nothing.
    SignIn,
    /// With a provider.
    Brokered,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::Main, Self::SignIn, Self::Brokered];

    pub fn of(key: &str) -> Self {
        match key {
            FLOW_SIGN_IN => Self::SignIn,
            BROKERED_RETURNING | BROKERED_NEW => Self::Brokered,
            _ => Self::Main,
        }
    }

    /// What its folder and its database are called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::SignIn => "token",
            Self::Brokered => "brokered",
        }
    }
}

/// A server under load beside its floor.
pub struct Bench<'a> {
    pub server: &'a Server,
    pub floor: &'a Floor,
    /// The provider that the server knows, if any.
    pub upstream: Option<Provider>,
    pub connections: usize,
    pub window: Duration,
    /// The most memory that was seen after a row.
    pub resident_mib: Cell<f64>,
}

/// What a row gave: its figures, and the floor that it stands beside.
struct Run {
    outcome: Result<Measured, String>,
    floor: Option<Figures>,
    floor_is: String,
    ratio: Option<f64>,
}

impl Bench<'_> {
    /// Measures one row of [`ROWS`].
    pub async fn row(&self, key: &str, name: &str, bar: Bar) -> Row {
        let run = match key {
            "credentials-eddsa" => self.credentials(Algorithm::EdDsa).await,
            "credentials-es256" => self.credentials(Algorithm::Es256).await,
            "credentials-rs256" => self.credentials(Algorithm::Rs256).await,
            "introspection" => self.introspection().await,
            "userinfo" => self.userinfo().await,
            "jwks" => self.document("/.well-known/jwks.json", "\"keys\"").await,
            "discovery" => {
                self.document("/.well-known/openid-configuration", "\"issuer\"")
                    .await
            }
            "code" => self.code().await,
            "refresh" => self.refresh().await,
            "flow" => self.flow(false).await,
            "password" => self.password().await,
            "busy" => self.busy().await,
            BROKERED_RETURNING => self.brokered(Who::Returning).await,
            BROKERED_NEW => self.brokered(Who::New).await,
            _ => self.flow(true).await,
        };
        if let Ok(resident) = load::resident_mib(self.server.pid()) {
            self.resident_mib.set(self.resident_mib.get().max(resident));
        }
        let run = run.unwrap_or_else(|error| Run {
            outcome: Err(error),
            floor: None,
            floor_is: String::new(),
            ratio: None,
        });
        Row {
            name: name.to_owned(),
            outcome: run.outcome.map(Figures::of),
            floor: run.floor,
            floor_is: run.floor_is,
            bar,
            ratio: run.ratio,
        }
    }

    /// Fills the database with so many families by walking so many flows, and the server's memory with so many tenants by asking
    /// for each one's metadata.
    pub async fn fill(&self, flows: usize, tenants: usize) -> Result<(), String> {
        let mut connection = Connection::open(self.server.port).await?;
        for index in 0..tenants {
            let path = format!(
                "/t/{}/.well-known/openid-configuration",
                server::neighbour(index)
            );
            let request = http::get(self.server.port, &path, "");
            if connection.call(&request).await? != 200 {
                return Err(connection.shown());
            }
        }
        let mut workers = Vec::new();
        for (index, (browser, _)) in self.signed_in().await?.into_iter().enumerate() {
            let wanted = flows / self.connections;
            workers.push(Fill {
                flow: self.flow_worker(browser, index, false),
                left: wanted,
            });
        }
        self.drain(workers).await.map(|_| ())
    }

    async fn credentials(&self, algorithm: Algorithm) -> Result<Run, String> {
        let request = self.credentials_request(algorithm);
        let work = Work {
            algorithm,
            signatures: 1,
            ..Work::PLAIN
        };
        self.repeat(vec![request; self.connections], "access_token", work)
            .await
    }

    fn credentials_request(&self, algorithm: Algorithm) -> Vec<u8> {
        let basic = server::basic(&server::machine(algorithm));
        let form = "grant_type=client_credentials&scope=reports.read";
        http::post(self.server.port, "/oauth/token", &basic, form)
    }

    async fn introspection(&self) -> Result<Run, String> {
        let basic = server::basic(server::WEB);
        let requests = self
            .signed_in()
            .await?
            .iter()
            .map(|(_, tokens)| {
                http::post(
                    self.server.port,
                    "/oauth/introspect",
                    &basic,
                    &format!("token={}", tokens.access),
                )
            })
            .collect();
        self.repeat(
            requests,
            "\"active\":true",
            Work {
                looks: 1,
                ..Work::PLAIN
            },
        )
        .await
    }

    async fn userinfo(&self) -> Result<Run, String> {
        let people = self.signed_in().await?;
        let requests = people
            .iter()
            .map(|(_, tokens)| userinfo(self.server.port, &tokens.access))
            .collect();
        self.repeat(
            requests,
            "\"sub\"",
            Work {
                looks: 2,
                ..Work::PLAIN
            },
        )
        .await
    }

    async fn document(&self, path: &str, mark: &'static str) -> Result<Run, String> {
        let request = http::get(self.server.port, path, "");
        let mut connection = Connection::open(self.server.port).await?;
        connection.call(&request).await?;
        let work = Work {
            bytes: connection.body().len(),
            ..Work::PLAIN
        };
        self.repeat(vec![request; self.connections], mark, work)
            .await
    }

    async fn code(&self) -> Result<Run, String> {
        let mut people = self.signed_in().await?;
        let (has_refresh, has_id_token) = match people.first() {
            Some((_, tokens)) => (tokens.refresh.is_some(), tokens.has_id_token),
            None => (false, false),
        };
        let work = redeem_work(has_refresh, has_id_token);
        self.beside(&[work], async || {
            let mut sum = Measured::default();
            let mut held = CODES_HELD / 10;
            let mut browsers: Vec<Browser> = people.drain(..).map(|(browser, _)| browser).collect();
            let mut is_warm = false;
            while sum.seconds < self.window.as_secs_f64() {
                let (codes, back) = self.collect(browsers, held).await?;
                browsers = back;
                let mut workers = Vec::new();
                for codes in codes {
                    let requests = codes
                        .iter()
                        .map(|code| redemption(self.server.port, server::WEB, code))
                        .collect();
                    workers.push(Redeem {
                        connection: Connection::open(self.server.port).await?,
                        requests,
                    });
                }
                let measured = self.drain(workers).await?;
                if is_warm {
                    sum.add(measured);
                }
                is_warm = true;
                held = CODES_HELD;
            }
            Ok(sum)
        })
        .await
    }

    /// So many codes for each browser.
    async fn collect(
        &self,
        browsers: Vec<Browser>,
        wanted: usize,
    ) -> Result<(Vec<Vec<String>>, Vec<Browser>), String> {
        let workers: Vec<Collect> = browsers
            .into_iter()
            .enumerate()
            .map(|(index, browser)| Collect {
                browser,
                person: server::person(index),
                codes: Vec::new(),
                wanted,
            })
            .collect();
        let (_, workers) = load::drive(
            workers,
            Duration::ZERO,
            Duration::from_secs(40),
            self.server.pid(),
        )
        .await?;
        Ok(workers
            .into_iter()
            .map(|worker| (worker.codes, worker.browser))
            .unzip())
    }

    async fn refresh(&self) -> Result<Run, String> {
        let mut workers = Vec::new();
        let mut has_id_token = false;
        for index in 0..self.connections {
            let mut browser = Browser::open(self.server.port).await?;
            let path = authorize_path(server::PUBLIC, OFFLINE_SCOPE);
            let code = browser.authorize(&path, &server::person(index)).await?;
            let request = redemption(self.server.port, server::PUBLIC, &code);
            let answer = tokens(&mut browser.connection, &request).await?;
            has_id_token |= answer.has_id_token;
            let token = answer
                .refresh
                .ok_or("the public client was given no refresh token")?;
            workers.push(Refresh {
                connection: Connection::open(self.server.port).await?,
                port: self.server.port,
                token,
            });
        }
        // Whether a refresh brings an ID token decides how many signatures its floor makes.
        for worker in &mut workers {
            let answer = worker.rotate().await?;
            has_id_token = answer;
        }
        let work = Work {
            signatures: 1 + usize::from(has_id_token),
            looks: 2,
            inserts: 1,
            updates: 1,
            ..Work::PLAIN
        };
        self.beside(&[work], async || self.drive(workers).await)
            .await
    }

    async fn flow(&self, is_fresh: bool) -> Result<Run, String> {
        let people = self.signed_in().await?;
        let redeem = match people.first() {
            Some((_, tokens)) => redeem_work(tokens.refresh.is_some(), tokens.has_id_token),
            None => Work::PLAIN,
        };
        let issue = Work {
            looks: 3,
            inserts: 1,
            bytes: 0,
            ..Work::PLAIN
        };
        let floor = if is_fresh {
            let page = Work {
                bytes: self.page_bytes().await?,
                ..Work::PLAIN
            };
            let sign_in = Work {
                looks: 2,
                inserts: 1,
                bytes: 0,
                ..Work::PLAIN
            };
            vec![
                Work {
                    bytes: 0,
                    ..Work::PLAIN
                },
                page,
                sign_in,
                issue,
                redeem,
            ]
        } else {
            vec![
                issue,
                redeem,
                Work {
                    looks: 2,
                    ..Work::PLAIN
                },
            ]
        };
        let workers = people
            .into_iter()
            .enumerate()
            .map(|(index, (browser, _))| self.flow_worker(browser, index, is_fresh))
            .collect();
        self.beside(&floor, async || self.drive(workers).await)
            .await
    }

    fn flow_worker(&self, browser: Browser, index: usize, is_fresh: bool) -> Flow {
        Flow {
            browser,
            person: server::person(index),
            port: self.server.port,
            is_fresh,
        }
    }

    async fn password(&self) -> Result<Run, String> {
        let page = Work {
            bytes: self.page_bytes().await?,
            ..Work::PLAIN
        };
        let hash = Work {
            looks: 2,
            inserts: 1,
            hashes: 1,
            bytes: 0,
            ..Work::PLAIN
        };
        let workers = self.sign_ins(self.connections, false).await?;
        self.beside(&[page, hash], async || self.drive(workers).await)
            .await
    }

    async fn busy(&self) -> Result<Run, String> {
        let request = self.credentials_request(Algorithm::EdDsa);
        let own = async || {
            let workers = self.repeaters(
                self.server.port,
                vec![vec![request.clone()]; self.connections],
                "access_token",
            );
            self.drive(workers.await?).await
        };
        let quiet = Figures::of(own().await?);
        let (busy, sign_ins) = tokio::join!(own(), async {
            self.drive(self.sign_ins(BUSY_SIGN_INS, true).await?).await
        });
        let busy = busy?;
        let sign_ins = sign_ins?.per_second();
        let figures = Figures::of(busy.clone());
        Ok(Run {
            outcome: Ok(busy),
            ratio: Some(figures.p99_microseconds / quiet.p99_microseconds),
            floor: Some(quiet),
            floor_is: format!("the same without the {sign_ins:.0} sign-ins/s; ratio of the p99s"),
        })
    }

    async fn sign_ins(&self, count: usize, may_be_refused: bool) -> Result<Vec<SignIn>, String> {
        let mut workers = Vec::new();
        for index in 0..count {
            workers.push(SignIn {
                browser: Browser::open(self.server.port).await?,
                person: server::person(index),
                may_be_refused,
            });
        }
        Ok(workers)
    }

    async fn page_bytes(&self) -> Result<usize, String> {
        let mut connection = Connection::open(self.server.port).await?;
        connection
            .call(&http::get(self.server.port, "/sign-in", ""))
            .await?;
        Ok(connection.body().len())
    }

    /// A browser with a session for each worker, each with the tokens of a first flow: whatever is asked once has been asked.
    async fn signed_in(&self) -> Result<Vec<(Browser, Tokens)>, String> {
        let mut people = Vec::new();
        for index in 0..self.connections {
            let mut browser = Browser::open(self.server.port).await?;
            let path = authorize_path(server::WEB, WEB_SCOPE);
            let code = browser.authorize(&path, &server::person(index)).await?;
            let request = redemption(self.server.port, server::WEB, &code);
            let tokens = tokens(&mut browser.connection, &request).await?;
            people.push((browser, tokens));
        }
        Ok(people)
    }

    /// One request a worker, beside a floor of one answer.
    async fn repeat(
        &self,
        requests: Vec<Vec<u8>>,
        mark: &'static str,
        work: Work,
    ) -> Result<Run, String> {
        self.beside(&[work], async || {
            let requests = requests.into_iter().map(|request| vec![request]).collect();
            let workers = self.repeaters(self.server.port, requests, mark).await?;
            self.drive(workers).await
        })
        .await
    }

    async fn repeaters(
        &self,
        port: u16,
        requests: Vec<Vec<Vec<u8>>>,
        mark: &'static str,
    ) -> Result<Vec<Repeat>, String> {
        let mut workers = Vec::new();
        for requests in requests {
            workers.push(Repeat {
                connection: Connection::open(port).await?,
                requests,
                mark,
            });
        }
        Ok(workers)
    }

    /// Half of the floor's window before the row, half after it: the machine moves.
    async fn beside(
        &self,
        floor: &[Work],
        row: impl AsyncFnOnce() -> Result<Measured, String>,
    ) -> Result<Run, String> {
        let requests: Vec<Vec<u8>> = floor
            .iter()
            .map(|work| {
                let basic = server::basic(server::WEB);
                http::post(
                    self.floor.port,
                    &work.path(),
                    &basic,
                    "grant_type=client_credentials&scope=reports.read",
                )
            })
            .collect();
        let half = async || {
            let workers = self
                .repeaters(
                    self.floor.port,
                    vec![requests.clone(); self.connections],
                    "",
                )
                .await?;
            let measured =
                load::drive(workers, WARM_UP / 4, self.window / 2, self.floor.pid()).await?;
            Ok::<_, String>(measured.0)
        };
        let mut sum = half().await?;
        let outcome = row().await;
        sum.add(half().await?);
        let floor_is: Vec<String> = floor.iter().map(Work::shown).collect();
        Ok(Run {
            outcome,
            floor: Some(Figures::of(sum)),
            floor_is: floor_is.join("; "),
            ratio: None,
        })
    }

    async fn drive<W: Worker>(&self, workers: Vec<W>) -> Result<Measured, String> {
        let (measured, _) = load::drive(workers, WARM_UP, self.window, self.server.pid()).await?;
        if measured.count() == 0 {
            return Err(
                "nothing was answered within the window; give it more --seconds".to_owned(),
            );
        }
        Ok(measured)
    }

    /// Until no worker has anything left.
    async fn drain<W: Worker>(&self, workers: Vec<W>) -> Result<Measured, String> {
        let long = Duration::from_secs(24 * 60 * 60);
        Ok(
            load::drive(workers, Duration::ZERO, long, self.server.pid())
                .await?
                .0,
        )
    }
}

struct Fill {
    flow: Flow,
    left: usize,
}

impl Worker for Fill {
    async fn step(&mut self) -> Result<bool, String> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.flow.step().await
    }
}

/// The code is looked up and marked; a family is written, and a refresh token where there is one.
fn redeem_work(has_refresh: bool, has_id_token: bool) -> Work {
    Work {
        signatures: 1 + usize::from(has_id_token),
        looks: 1,
        inserts: 1 + usize::from(has_refresh),
        updates: 1,
        bytes: PLAIN_BYTES,
        ..Work::PLAIN
    }
}

/// What kind of disk a folder stands on, as the system calls it.
pub fn filesystem(folder: &Path) -> Result<String, String> {
    let mut command = std::process::Command::new("stat");
    command
        .args(["--file-system", "--format", "%T"])
        .arg(folder);
    crate::process::read(&mut command).map(|name| name.trim().to_owned())
}
