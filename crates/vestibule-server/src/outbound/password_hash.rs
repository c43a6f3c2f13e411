//! Password hashing: Argon2id on threads of its own.
//!
//! The law: at most `threads` hashes run at a time, each in memory that its thread keeps; at most `queue_max` wait; what
//! comes after them is told [`HashError::Busy`] and answered with 503. Async workers never hash. A caller who has gone away
//! while waiting is skipped.
//!
//! A password is the bytes that were typed. It is not normalised: there is one way for a byte sequence to match, and
//! setting and checking cannot differ. It is refused, never cut, beyond [`PASSWORD_BYTES_MAX`].
//!
//! The memory of a finished hash is not wiped before the next one uses it. It holds values that take as much work to undo
//! as the stored hash.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// The longest password, in bytes, when it is set as when it is checked.
pub(crate) const PASSWORD_BYTES_MAX: usize = 1024;

/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 16;

/// The most memory that a stored hash may ask for, in KiB: 256 MiB.
const STORED_MEMORY_KIB_MAX: u32 = 256 * 1024;
/// The most passes that a stored hash may ask for.
const STORED_ITERATIONS_MAX: u32 = 16;
/// The most lanes that a stored hash may ask for.
const STORED_LANES_MAX: u32 = 16;
/// The most work that a stored hash may ask for, in KiB times passes: about a second of one core.
const STORED_WORK_MAX: u32 = 1024 * 1024;
/// The longest stored hash, in bytes.
const STORED_BYTES_MAX: usize = 256;
/// Bytes of the hash itself.
const OUTPUT_BYTES: usize = 32;

/// A password as it was typed: between 1 and [`PASSWORD_BYTES_MAX`] bytes, wiped when dropped.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// Takes a typed password.
    ///
    /// Policy about good passwords is [`super::strength`]'s; this is the limit that setting and checking share.
    pub(crate) fn parse(typed: String) -> Result<Self, PasswordLength> {
        let typed = Zeroizing::new(typed);
        match typed.len() {
            0 => Err(PasswordLength::Empty),
            1..=PASSWORD_BYTES_MAX => Ok(Self(typed)),
            _ => Err(PasswordLength::TooLong),
        }
    }

    /// The password itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// Why something typed is no password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordLength {
    /// Nothing was typed.
    #[error("Type a password.")]
    Empty,
    /// More than [`PASSWORD_BYTES_MAX`] bytes.
    #[error("A password has at most {PASSWORD_BYTES_MAX} bytes.")]
    TooLong,
}

/// How much work a new hash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes; computed one after the other, on one thread.
    pub lanes: u32,
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it is the password.
    pub matches: bool,
    /// Whether the stored hash was made with other parameters than new ones are. Hash again where `matches`.
    pub needs_upgrade: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    /// The queue is full: answer 503.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The threads are gone: the process is stopping.
    #[error("password hashing has stopped")]
    Stopped,
    /// The stored hash, or a parameter in it, is not one that is accepted. The text does not contain the hash.
    #[error("the stored hash is not usable: {0}")]
    Stored(&'static str),
    /// The configured parameters are not ones that Argon2 accepts.
    #[error("the password hashing parameters are not usable: {0}")]
    Parameters(argon2::Error),
}

/// The threads and their queue. Dropping it lets running hashes finish and drops the waiting ones.
pub(crate) struct PasswordHasher {
    queue: Arc<Queue>,
    params: Params,
}

struct Queue {
    state: Mutex<QueueState>,
    filled: Condvar,
    waiting_max: usize,
}

struct QueueState {
    waiting: VecDeque<Box<dyn Job>>,
    stopped: bool,
}

/// Something to run on a hashing thread.
trait Job: Send {
    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    fn run(self: Box<Self>, memory: &mut Memory);
}

struct Work<F, T> {
    run: F,
    answer: oneshot::Sender<T>,
}

impl<T: Send, F: FnOnce(&mut Memory) -> T + Send> Job for Work<F, T> {
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(self: Box<Self>, memory: &mut Memory) {
        // The error is the answer handed back because the caller went away.
        let _ = self.answer.send((self.run)(memory));
    }
}

impl PasswordHasher {
    /// Starts the threads. Each takes its memory when it hashes first.
    pub(crate) fn start(
        parameters: Parameters,
        threads: NonZeroUsize,
        queue_max: usize,
    ) -> io::Result<Self> {
        let params = params(parameters).map_err(io::Error::other)?;
        let queue = Arc::new(Queue {
            state: Mutex::new(QueueState {
                waiting: VecDeque::new(),
                stopped: false,
            }),
            filled: Condvar::new(),
            waiting_max: queue_max,
        });
        let hasher = Self { queue, params };
        for index in 0..threads.get() {
            let queue = Arc::clone(&hasher.queue);
            let kept = hasher.params.block_count();
            std::thread::Builder::new()
                .name(format!("hash-{index}"))
                .spawn(move || work(&queue, kept))?;
        }
        Ok(hasher)
    }

    /// Hashes a password for storage, as a PHC string.
    pub(crate) async fn hash(
        &self,
        password: Password,
        salt: [u8; SALT_BYTES],
    ) -> Result<String, HashError> {
        let params = self.params.clone();
        self.run(move |memory| {
            let salt = Salt::new(&salt).map_err(|_| HashError::Stored("salt"))?;
            let output = memory.hash(
                Algorithm::Argon2id,
                Version::V0x13,
                &params,
                &password,
                &salt,
                OUTPUT_BYTES,
            )?;
            Ok(PasswordHash {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: (&params)
                    .try_into()
                    .map_err(|_| HashError::Stored("parameters"))?,
                salt: Some(salt),
                hash: Some(Output::new(&output).map_err(|_| HashError::Stored("output"))?),
            }
            .to_string())
        })
        .await?
    }

    /// Checks a password against a stored PHC string. The parameters in the string decide the work, within limits.
    pub(crate) async fn verify(
        &self,
        stored: &str,
        password: Password,
    ) -> Result<Verdict, HashError> {
        let stored = Stored::parse(stored)?;
        let needs_upgrade = stored.algorithm != Algorithm::Argon2id
            || stored.version != Version::V0x13
            || stored.params.m_cost() != self.params.m_cost()
            || stored.params.t_cost() != self.params.t_cost()
            || stored.params.p_cost() != self.params.p_cost()
            || stored.output.len() != OUTPUT_BYTES;
        self.run(move |memory| {
            let output = memory.hash(
                stored.algorithm,
                stored.version,
                &stored.params,
                &password,
                &stored.salt,
                stored.output.len(),
            )?;
            let matches = verify_slices_are_equal(&output, &stored.output).is_ok();
            Ok(Verdict {
                matches,
                needs_upgrade,
            })
        })
        .await?
    }

    /// Does for a person who does not exist, or has no password, what [`verify`](Self::verify) does for one who has.
    pub(crate) async fn verify_absent(&self, password: Password) -> Result<(), HashError> {
        let params = self.params.clone();
        self.run(move |memory| {
            let output = memory.hash(
                Algorithm::Argon2id,
                Version::V0x13,
                &params,
                &password,
                &[0; SALT_BYTES],
                OUTPUT_BYTES,
            )?;
            let matches = verify_slices_are_equal(&output, &[0; OUTPUT_BYTES]).is_ok();
            std::hint::black_box(matches);
            Ok(())
        })
        .await?
    }

    /// Runs something else that takes milliseconds of a core in the same queue.
    pub(crate) async fn run_other<T: Send + 'static>(
        &self,
        other: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        self.run(move |_| other()).await
    }

    /// How many callers wait for a thread.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.queue.state.lock().waiting.len()
    }

    async fn run<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let (answer, receiver) = oneshot::channel();
        {
            let mut state = self.queue.state.lock();
            if state.waiting.len() >= self.queue.waiting_max {
                state.waiting.retain(|job| !job.is_abandoned());
            }
            if state.waiting.len() >= self.queue.waiting_max {
                return Err(HashError::Busy);
            }
            state.waiting.push_back(Box::new(Work { run, answer }));
        }
        self.queue.filled.notify_one();
        receiver.await.map_err(|_| HashError::Stopped)
    }
}

impl Drop for PasswordHasher {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.stopped = true;
        state.waiting.clear();
        self.queue.filled.notify_all();
    }
}

/// One thread: takes jobs until the queue stops.
fn work(queue: &Queue, kept_blocks: usize) {
    let mut memory = Memory {
        blocks: Vec::new(),
        kept_blocks,
    };
    loop {
        let job = {
            let mut state = queue.state.lock();
            loop {
                if state.stopped {
                    return;
                }
                match state.waiting.pop_front() {
                    Some(job) if job.is_abandoned() => {}
                    Some(job) => break job,
                    None => queue.filled.wait(&mut state),
                }
            }
        };
        job.run(&mut memory);
    }
}

/// The memory of one thread.
struct Memory {
    blocks: Vec<Block>,
    /// What new hashes need; a stored hash that needs more has it for as long as it runs.
    kept_blocks: usize,
}

impl Memory {
    fn hash(
        &mut self,
        algorithm: Algorithm,
        version: Version,
        params: &Params,
        password: &Password,
        salt: &[u8],
        output_bytes: usize,
    ) -> Result<Zeroizing<Vec<u8>>, HashError> {
        let needed = params.block_count();
        if self.blocks.len() < needed {
            self.blocks.resize(needed, Block::new());
        }
        let mut output = Zeroizing::new(vec![0; output_bytes]);
        let result = Argon2::new(algorithm, version, params.clone())
            .hash_password_into_with_memory(
                password.expose().as_bytes(),
                salt,
                &mut output,
                self.blocks.as_mut_slice(),
            );
        if self.blocks.len() > self.kept_blocks {
            self.blocks.truncate(self.kept_blocks);
            self.blocks.shrink_to_fit();
        }
        result.map_err(HashError::Parameters)?;
        Ok(output)
    }
}

/// The configured parameters, held to what a stored hash may ask for: what we write we must be able to read.
fn params(parameters: Parameters) -> Result<Params, HashError> {
    let Parameters {
        memory_kib,
        iterations,
        lanes,
    } = parameters;
    check_work(memory_kib, iterations, lanes)?;
    Params::new(memory_kib, iterations, lanes, Some(OUTPUT_BYTES)).map_err(HashError::Parameters)
}

fn check_work(memory_kib: u32, iterations: u32, lanes: u32) -> Result<(), HashError> {
    if memory_kib > STORED_MEMORY_KIB_MAX {
        Err(HashError::Stored("more memory than is allowed"))
    } else if iterations > STORED_ITERATIONS_MAX {
        Err(HashError::Stored("more iterations than are allowed"))
    } else if lanes > STORED_LANES_MAX {
        Err(HashError::Stored("more lanes than are allowed"))
    } else if memory_kib.saturating_mul(iterations) > STORED_WORK_MAX {
        Err(HashError::Stored("more work than is allowed"))
    } else {
        Ok(())
    }
}

/// A stored hash that may be worked on.
struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Stored {
    /// Reads a PHC string and caps what it asks for before anything is computed.
    fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > STORED_BYTES_MAX {
            return Err(HashError::Stored("too long"));
        }
        let phc = PasswordHash::new(text).map_err(|_| HashError::Stored("not a PHC string"))?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str())
            .map_err(|_| HashError::Stored("not an Argon2 hash"))?;
        let version = match phc.version {
            None => Version::V0x10,
            Some(number) => Version::try_from(number).map_err(|_| HashError::Stored("version"))?,
        };
        let number = |name: &'static str| {
            phc.params
                .get_decimal(name)
                .ok_or(HashError::Stored("a parameter is missing"))
        };
        let (memory_kib, iterations, lanes) = (number("m")?, number("t")?, number("p")?);
        check_work(memory_kib, iterations, lanes)?;
        if phc.params.iter().count() > 3 {
            return Err(HashError::Stored("an unknown parameter"));
        }
        let salt = phc.salt.ok_or(HashError::Stored("no salt"))?;
        if salt.len() < argon2::MIN_SALT_LEN {
            return Err(HashError::Stored("salt"));
        }
        let output = phc.hash.ok_or(HashError::Stored("no hash"))?;
        if output.as_bytes().len() < 16 {
            return Err(HashError::Stored("the hash is too short"));
        }
        let params = Params::new(memory_kib, iterations, lanes, Some(output.as_bytes().len()))
            .map_err(|_| HashError::Stored("parameters"))?;
        Ok(Self {
            algorithm,
            version,
            params,
            salt: salt.to_vec(),
            output: output.as_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::PasswordVerifier as _;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    const LIGHT: Parameters = Parameters {
        memory_kib: 64,
        iterations: 1,
        lanes: 1,
    };
    const SALT: [u8; SALT_BYTES] = *b"0123456789abcdef";

    fn pool(parameters: Parameters, queue_max: usize) -> PasswordHasher {
        PasswordHasher::start(parameters, NonZeroUsize::MIN, queue_max).unwrap()
    }

    fn password(text: &str) -> Password {
        Password::parse(text.to_owned()).unwrap()
    }

    /// Occupies the only thread until the sender is dropped.
    fn occupy(pool: &PasswordHasher) -> (mpsc::Sender<()>, oneshot::Receiver<()>) {
        let (release, held) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let (answer, receiver) = oneshot::channel();
        pool.queue.state.lock().waiting.push_back(Box::new(Work {
            run: move |_: &mut Memory| {
                begun.send(()).unwrap();
                let _ = held.recv();
            },
            answer,
        }));
        pool.queue.filled.notify_one();
        has_begun.recv().unwrap();
        (release, receiver)
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let pool = pool(LIGHT, 8);
        let stored = pool.hash(password("correct horse"), SALT).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"),
            "{stored}"
        );
        // The library agrees.
        assert!(
            Argon2::default()
                .verify_password(b"correct horse", stored.as_str())
                .is_ok()
        );
        let good = Verdict {
            matches: true,
            needs_upgrade: false,
        };
        assert_eq!(
            pool.verify(&stored, password("correct horse")).await,
            Ok(good)
        );
        for wrong in [
            "Correct horse",
            "correct horse ",
            "correct",
            "correct horse\0",
        ] {
            assert!(
                !pool.verify(&stored, password(wrong)).await.unwrap().matches,
                "{wrong:?}"
            );
        }
        assert_eq!(pool.verify_absent(password("anything")).await, Ok(()));
    }

    #[tokio::test]
    async fn two_spellings_of_one_letter_are_two_passwords() {
        let pool = pool(LIGHT, 8);
        let stored = pool.hash(password("caf\u{e9} noir"), SALT).await.unwrap();
        assert!(
            !pool
                .verify(&stored, password("cafe\u{301} noir"))
                .await
                .unwrap()
                .matches
        );
    }

    #[tokio::test]
    async fn other_parameters_are_honoured_and_reported() {
        let weak = pool(LIGHT, 8).hash(password("secret"), SALT).await.unwrap();
        let strong = pool(
            Parameters {
                memory_kib: 256,
                iterations: 2,
                lanes: 2,
            },
            8,
        );
        let verdict = strong.verify(&weak, password("secret")).await.unwrap();
        assert_eq!(
            verdict,
            Verdict {
                matches: true,
                needs_upgrade: true
            }
        );
        let stored = strong.hash(password("secret"), SALT).await.unwrap();
        // More memory than this pool keeps, which is given back.
        let light = pool(LIGHT, 8);
        assert!(
            light
                .verify(&stored, password("secret"))
                .await
                .unwrap()
                .matches
        );
        assert!(
            light
                .verify(&weak, password("secret"))
                .await
                .unwrap()
                .matches
        );
        // Argon2i, as other systems store it.
        let imported = "$argon2i$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let verdict = light.verify(imported, password("secret")).await.unwrap();
        assert_eq!(
            verdict,
            Verdict {
                matches: false,
                needs_upgrade: true
            }
        );
    }

    #[tokio::test]
    async fn stored_hashes_that_ask_too_much_are_refused_before_any_work() {
        let pool = pool(LIGHT, 8);
        let tail = "$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        #[rustfmt::skip]
        let table = [
            (format!("$argon2id$v=19$m=262145,t=1,p=1{tail}"),       "more memory than is allowed"),
            (format!("$argon2id$v=19$m=4294967295,t=1,p=1{tail}"),   "more memory than is allowed"),
            (format!("$argon2id$v=19$m=64,t=17,p=1{tail}"),          "more iterations than are allowed"),
            (format!("$argon2id$v=19$m=64,t=1,p=17{tail}"),          "more lanes than are allowed"),
            (format!("$argon2id$v=19$m=262144,t=16,p=1{tail}"),      "more work than is allowed"),
            (format!("$argon2id$v=19$m=64,t=1,p=16{tail}"),          "parameters"),
            (format!("$argon2id$v=19$m=1,t=1,p=1{tail}"),            "parameters"),
            (format!("$argon2id$v=19$m=64,t=0,p=1{tail}"),           "parameters"),
            (format!("$argon2id$v=19$m=64,t=1{tail}"),               "a parameter is missing"),
            (format!("$argon2id$v=19$m=64,t=1,p=1,data=AAAA{tail}"), "an unknown parameter"),
            (format!("$argon2id$v=18$m=64,t=1,p=1{tail}"),           "version"),
            (format!("$scrypt$ln=4,r=8,p=1{tail}"),                  "not an Argon2 hash"),
            ("$argon2id$v=19$m=64,t=1,p=1".to_owned(),               "no salt"),
            ("$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg".to_owned(), "no hash"),
            ("$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAA".to_owned(), "the hash is too short"),
            ("hunter2".to_owned(),                                   "not a PHC string"),
            (String::new(),                                          "not a PHC string"),
            ("$".repeat(10_000),                                     "too long"),
        ];
        for (stored, reason) in table {
            assert_eq!(
                pool.verify(&stored, password("a")).await,
                Err(HashError::Stored(reason)),
                "{stored}"
            );
        }
    }

    #[test]
    fn parameters_that_could_not_be_read_back_do_not_start() {
        for (memory_kib, iterations, lanes) in [
            (0, 1, 1),
            (64, 0, 1),
            (64, 1, 0),
            (64, 1, 16),
            (u32::MAX, 1, 1),
            (64, u32::MAX, 1),
            (64, 1, u32::MAX),
        ] {
            let parameters = Parameters {
                memory_kib,
                iterations,
                lanes,
            };
            assert!(
                PasswordHasher::start(parameters, NonZeroUsize::MIN, 1).is_err(),
                "{parameters:?}"
            );
        }
    }

    #[test]
    fn length_is_refused_never_cut() {
        assert_eq!(
            Password::parse(String::new()).unwrap_err(),
            PasswordLength::Empty
        );
        assert!(Password::parse("a".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert_eq!(
            Password::parse("a".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(),
            PasswordLength::TooLong
        );
        assert_eq!(
            Password::parse("é".repeat(600)).unwrap_err(),
            PasswordLength::TooLong
        );
        assert_eq!(format!("{:?}", password("canary")), "Password(***)");
    }

    #[tokio::test]
    async fn a_full_queue_says_busy_and_recovers() {
        let pool = pool(LIGHT, 2);
        let (release, _held) = occupy(&pool);
        let mut context = Context::from_waker(Waker::noop());
        let mut one = pin!(pool.verify_absent(password("one")));
        let mut two = pin!(pool.verify_absent(password("two")));
        assert_eq!(one.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(two.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(pool.waiting(), 2);
        assert_eq!(
            pool.verify_absent(password("three")).await,
            Err(HashError::Busy)
        );
        assert_eq!(
            pool.hash(password("four"), SALT).await,
            Err(HashError::Busy)
        );
        drop(release);
        assert_eq!(one.await, Ok(()));
        assert_eq!(two.await, Ok(()));
        assert_eq!(pool.verify_absent(password("five")).await, Ok(()));
    }

    #[tokio::test]
    async fn callers_who_left_are_skipped_and_make_room() {
        let pool = pool(LIGHT, 1);
        let (release, _held) = occupy(&pool);
        let (ran, has_run) = mpsc::channel();
        {
            let mut abandoned = pin!(pool.run_other(move || ran.send(()).unwrap()));
            assert!(
                abandoned
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        // The place of the caller who left is free at once.
        let mut next = pin!(pool.verify_absent(password("next")));
        assert!(
            next.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        drop(release);
        assert_eq!(next.await, Ok(()));
        assert!(has_run.try_recv().is_err());
    }

    #[tokio::test]
    async fn stopping_answers_those_who_wait() {
        let pool = pool(LIGHT, 4);
        let (release, _held) = occupy(&pool);
        let (answer, receiver) = oneshot::channel::<()>();
        pool.queue.state.lock().waiting.push_back(Box::new(Work {
            run: |_: &mut Memory| (),
            answer,
        }));
        drop(pool);
        assert!(receiver.await.is_err());
        drop(release);
    }

    /// Prints the speed beside the library's own; run with `--release -- --nocapture speed`.
    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    async fn speed_is_the_librarys_own() {
        let parameters = Parameters {
            memory_kib: 19 * 1024,
            iterations: 2,
            lanes: 1,
        };
        let pool = pool(parameters, 8);
        let rounds = if cfg!(debug_assertions) { 2 } else { 60 };
        let params = params(parameters).unwrap();
        let mut blocks = vec![Block::new(); params.block_count()];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut output = [0; OUTPUT_BYTES];
        pool.verify_absent(password("warm")).await.unwrap();
        let began = std::time::Instant::now();
        for _ in 0..rounds {
            argon2
                .hash_password_into_with_memory(b"password", &SALT, &mut output, &mut blocks[..])
                .unwrap();
        }
        let library = began.elapsed();
        let began = std::time::Instant::now();
        for _ in 0..rounds {
            pool.verify_absent(password("password")).await.unwrap();
        }
        let ours = began.elapsed();
        println!(
            "library {:.1}/s, pool {:.1}/s",
            f64::from(rounds) / library.as_secs_f64(),
            f64::from(rounds) / ours.as_secs_f64()
        );
    }
}
