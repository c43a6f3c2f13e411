//! The floor server: the least that an operation can cost, done for real.
//!
//! It is a bare hyper server on one thread that does the irreducible work of an operation (so many signatures, look-ups, rows
//! written and committed, one password hash) and answers with as many bytes. It runs as a process of its own, on the core of
//! the server that it is compared with, under the same load. It decides nothing and checks nothing.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use argon2::{Algorithm as Argon2Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::http::Connection;
use super::provider::Provider;
use super::records::{ID_BYTES, Records, Unit};

/// Rows that the look-ups choose from.
const ROWS_BEFOREHAND: usize = 20_000;

/// The bytes of an answer that carries no token.
pub const PLAIN_BYTES: usize = 400;

/// A way to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    EdDsa,
    Es256,
    Rs256,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name that JOSE gave it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// What one answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub algorithm: Algorithm,
    pub signatures: usize,
    pub looks: usize,
    pub inserts: usize,
    pub updates: usize,
    pub hashes: usize,
    /// Calls of the provider's token endpoint, each with an RS256 signature to verify.
    pub exchanges: usize,
    pub bytes: usize,
}

impl Work {
    /// An HTTP answer and nothing else.
    pub const PLAIN: Self = Self {
        algorithm: Algorithm::EdDsa,
        signatures: 0,
        looks: 0,
        inserts: 0,
        updates: 0,
        hashes: 0,
        exchanges: 0,
        bytes: PLAIN_BYTES,
    };

    /// A redirect, which has no body.
    pub const REDIRECT: Self = Self {
        bytes: 0,
        ..Self::PLAIN
    };

    pub fn path(&self) -> String {
        let algorithm = Algorithm::ALL.iter().position(|one| *one == self.algorithm);
        format!(
            "/{}/{}/{}/{}/{}/{}/{}/{}",
            algorithm.unwrap_or(0),
            self.signatures,
            self.looks,
            self.inserts,
            self.updates,
            self.hashes,
            self.exchanges,
            self.bytes
        )
    }

    fn parse(path: &str) -> Option<Self> {
        let mut numbers = path.split('/').skip(1).map(str::parse::<usize>);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            algorithm: *Algorithm::ALL.get(next()?)?,
            signatures: next()?,
            looks: next()?,
            inserts: next()?,
            updates: next()?,
            hashes: next()?,
            exchanges: next()?,
            bytes: next()?,
        })
    }

    /// In words, for the table.
    pub fn shown(&self) -> String {
        let mut parts = vec!["hyper".to_owned()];
        let mut add = |count: usize, what: &str| match count {
            0 => {}
            1 => parts.push(what.to_owned()),
            _ => parts.push(format!("{count} × {what}")),
        };
        add(self.signatures, self.algorithm.name());
        add(self.looks, "look-up");
        add(self.inserts, "insert");
        add(self.updates, "update");
        add(self.hashes, "argon2id");
        add(self.exchanges, "exchange with RS256 to verify");
        parts.join(" + ")
    }
}

/// Runs until standard input ends. Prints its port as its first line. The provider is the one that answers at that port.
pub fn serve(folder: &Path, provider: Provider, database: Option<&str>) -> Result<(), String> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = listener
        .local_addr()
        .map_err(|error| error.to_string())?
        .port();
    listener
        .set_nonblocking(true)
        .map_err(|error| error.to_string())?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let floor = Rc::new(Floor::new(folder, provider, database).await?);
        println!("{port}");
        std::io::stdout()
            .flush()
            .map_err(|error| error.to_string())?;
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        loop {
            let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|error| error.to_string())?;
            let floor = Rc::clone(&floor);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| answer(Rc::clone(&floor), request));
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

struct Floor {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
    records: Records,
    /// Rows that may be updated, oldest first.
    ids: RefCell<VecDeque<[u8; ID_BYTES]>>,
    beforehand: Vec<[u8; ID_BYTES]>,
    counter: Cell<u64>,
    hasher: std::sync::mpsc::Sender<oneshot::Sender<()>>,
    provider: Provider,
    /// Connections to the provider that nobody uses just now.
    idle: RefCell<Vec<Connection>>,
    /// A key, and what it signed, that stand for the provider's.
    verified: (ParsedPublicKey, Vec<u8>),
}

/// What is signed in each ID token, in length.
const VERIFIED_MESSAGE: [u8; 512] = [b'x'; 512];

impl Floor {
    async fn new(
        folder: &Path,
        provider: Provider,
        database: Option<&str>,
    ) -> Result<Self, String> {
        let records = Records::open(folder, database).await?;
        let unspecified = |_| "a key could not be made".to_owned();
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(unspecified)?;
        let random = SystemRandom::new();
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(
            &RSA_PKCS1_SHA256,
            &random,
            &VERIFIED_MESSAGE,
            &mut signature,
        )
        .map_err(unspecified)?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key())
            .map_err(|error| error.to_string())?;
        let floor = Self {
            ed25519: Ed25519KeyPair::generate().map_err(unspecified)?,
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(unspecified)?,
            rsa,
            random,
            records,
            ids: RefCell::default(),
            beforehand: Vec::new(),
            counter: Cell::new(0),
            hasher: hasher()?,
            provider,
            idle: RefCell::default(),
            verified: (public, signature),
        };
        let beforehand: Vec<_> = (0..ROWS_BEFOREHAND).map(|_| floor.new_id()).collect();
        for inserts in beforehand.chunks(500) {
            let unit = Unit {
                inserts: inserts.to_vec(),
                updates: Vec::new(),
            };
            floor.records.write(unit).await?;
        }
        floor.ids.borrow_mut().extend(&beforehand);
        Ok(Self {
            beforehand,
            ..floor
        })
    }

    /// An id that sorts by the time at which it was made.
    fn new_id(&self) -> [u8; ID_BYTES] {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let count = self.counter.get() + 1;
        self.counter.set(count);
        let mut id = [0; ID_BYTES];
        id[..8].copy_from_slice(&u64::try_from(now.as_micros()).unwrap_or(0).to_be_bytes());
        id[8..].copy_from_slice(&count.to_be_bytes());
        id
    }

    fn sign(&self, algorithm: Algorithm) -> Result<String, String> {
        let header = match algorithm {
            Algorithm::EdDsa => {
                r#"{"alg":"EdDSA","typ":"at+jwt","kid":"0123456789abcdef0123456789abcdef"}"#
            }
            Algorithm::Es256 => {
                r#"{"alg":"ES256","typ":"at+jwt","kid":"0123456789abcdef0123456789abcdef"}"#
            }
            Algorithm::Rs256 => {
                r#"{"alg":"RS256","typ":"at+jwt","kid":"0123456789abcdef0123456789abcdef"}"#
            }
        };
        let id = URL_SAFE_NO_PAD.encode(self.new_id());
        let claims = format!(
            r#"{{"iss":"http://127.0.0.1:8080","sub":"bench-web","aud":"http://127.0.0.1:8080","client_id":"bench-web","scope":"openid profile email","iat":1767225600,"exp":1767226200,"jti":"{id}"}}"#
        );
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let fault = |_| "signing failed".to_owned();
        let message = token.as_bytes();
        let signature = match algorithm {
            Algorithm::EdDsa => self.ed25519.sign(message).as_ref().to_vec(),
            Algorithm::Es256 => self
                .p256
                .sign(&self.random, message)
                .map_err(fault)?
                .as_ref()
                .to_vec(),
            Algorithm::Rs256 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa
                    .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
                    .map_err(fault)?;
                signature
            }
        };
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Asks the provider for tokens over a kept connection, and verifies a signature.
    async fn exchange(&self) -> Result<(), String> {
        let idle = self.idle.borrow_mut().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.provider.port).await?,
        };
        if connection.call(&self.provider.exchange()).await? != 200 {
            return Err(connection.shown());
        }
        self.idle.borrow_mut().push(connection);
        let (key, signature) = &self.verified;
        key.verify_sig(&VERIFIED_MESSAGE, signature)
            .map_err(|_| "a signature of our own is not good".to_owned())
    }

    async fn work(&self, work: Work) -> Result<String, String> {
        if work.looks > 0 {
            let ids: Vec<_> = (0..work.looks)
                .map(|index| {
                    let at =
                        usize::try_from(self.counter.get()).unwrap_or(0) * 7919 + index * 104_729;
                    self.beforehand[at % self.beforehand.len()]
                })
                .collect();
            self.counter.set(self.counter.get() + 1);
            self.records.look(&ids).await?;
        }
        if work.hashes > 0 {
            let (done, wait) = oneshot::channel();
            self.hasher.send(done).map_err(|error| error.to_string())?;
            wait.await.map_err(|error| error.to_string())?;
        }
        for _ in 0..work.exchanges {
            self.exchange().await?;
        }
        let mut body = String::with_capacity(work.bytes.max(1024));
        for _ in 0..work.signatures {
            body.push_str(&self.sign(work.algorithm)?);
        }
        if work.inserts + work.updates > 0 {
            let inserts: Vec<_> = (0..work.inserts).map(|_| self.new_id()).collect();
            let updates: Vec<_> = {
                let mut ids = self.ids.borrow_mut();
                let updates = (0..work.updates).filter_map(|_| ids.pop_front()).collect();
                ids.extend(&inserts);
                updates
            };
            self.records.write(Unit { inserts, updates }).await?;
        }
        while body.len() < work.bytes {
            body.push('x');
        }
        Ok(body)
    }
}

async fn answer(
    floor: Rc<Floor>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, String> {
    let (head, body) = request.into_parts();
    let work = Work::parse(head.uri.path()).ok_or("no such work")?;
    let body = body
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    // What a presented secret costs.
    let mut digest = Sha256::new();
    digest.update(
        head.headers
            .get(AUTHORIZATION)
            .map_or(&body[..], HeaderValue::as_bytes),
    );
    std::hint::black_box(digest.finalize());
    let text = floor.work(work).await?;
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A thread that hashes passwords as the server does by default, in memory that it keeps.
fn hasher() -> Result<std::sync::mpsc::Sender<oneshot::Sender<()>>, String> {
    let (sender, receiver) = std::sync::mpsc::channel::<oneshot::Sender<()>>();
    let params = password_params()?;
    std::thread::spawn(move || {
        let mut memory = vec![Block::default(); params.block_count()];
        let argon2 = Argon2::new(Argon2Algorithm::Argon2id, Version::V0x13, params);
        let mut output = [0; 32];
        for done in receiver {
            let hashed = argon2.hash_password_into_with_memory(
                b"correct horse battery staple",
                b"0123456789abcdef",
                &mut output,
                &mut memory,
            );
            std::hint::black_box(&output);
            if hashed.is_ok() {
                let _ = done.send(());
            }
        }
    });
    Ok(sender)
}

/// 19 MiB, two passes, one lane.
pub fn password_params() -> Result<Params, String> {
    Params::new(19_456, 2, 1, Some(32)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_travels_in_its_path() {
        let work = Work {
            algorithm: Algorithm::Rs256,
            signatures: 2,
            looks: 3,
            updates: 1,
            exchanges: 1,
            bytes: 9,
            ..Work::PLAIN
        };
        assert_eq!(Work::parse(&work.path()), Some(work));
        assert_eq!(Work::parse("/9/0/0/0/0/0/0/0"), None);
        assert_eq!(Work::parse("/"), None);
        assert_eq!(
            work.shown(),
            "hyper + 2 × RS256 + 3 × look-up + update + exchange with RS256 to verify"
        );
    }
}
