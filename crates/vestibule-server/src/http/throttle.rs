//! How often something may be tried.
//!
//! The law: memory is bounded however many names an attacker invents (each kind of limit has a cache of its own with a fixed
//! number of entries), time is an argument, and a person can always sign in from a network of their own while others guess.
//!
//! The limiter is GCRA: one number an entry, the time at which a bucket that fills at a steady rate would be empty again.
//! What must survive a restart or hold on several nodes is counted in the store, not here.

use aws_lc_rs::digest;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::peer::Network;

/// Entries that each kind of limit remembers; about 10 MiB for all of them together when every cache is full.
const ENTRIES_MAX: usize = 16_384;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

/// What is limited, and how: `(name, tries at once, milliseconds until one more try is free)`.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $burst:expr, $interval:expr;)*) => {
        /// What is limited.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// All kinds, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Tries that are free at once, and the milliseconds in which one more becomes free.
            pub(crate) const fn rate(self) -> (u64, u64) {
                match self { $(Self::$name => ($burst, $interval),)* }
            }
        }
    };
}

limits! {
    /// Failed sign-ins of one person from one network (or known device).
    SignInPair: 10, MINUTE;
    /// The same, while the person is being attacked from many networks and this is not a known device.
    SignInPairUnderAttack: 3, 15 * MINUTE;
    /// Failed sign-ins of one person from anywhere: beyond it, the person counts as attacked.
    SignInPerson: 100, MINUTE;
    /// Failed sign-ins of anyone from one network.
    SignInNetwork: 100, 6 * SECOND;
    /// Failed client authentications of one client from one network.
    ClientSecret: 20, 15 * SECOND;
    /// New accounts from one network.
    SignUp: 20, MINUTE;
    /// People who leave for a provider, from one network.
    UpstreamDeparture: 120, SECOND;
    /// Readers of a docs site who come back from its OAuth server, from one network.
    DocsHandshake: 120, SECOND;
    /// Command lines that ask to sign in, from one network.
    CliStart: 60, 10 * SECOND;
}

/// Try again after so many seconds, at least one; the value of a `Retry-After` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many tries; one more is allowed in {0} seconds")]
pub(crate) struct RetryAfter(pub u64);

/// What a limit counts: sixteen bytes of SHA-256 over parts, each preceded by its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 16]);

impl Key {
    /// The key of these parts. Begin with the tenant, so that tenants do not share counters.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(key)
    }
}

/// All counters of the process.
pub(crate) struct Throttle {
    /// One cache a kind, in the order of [`Kind::ALL`]; the value is the theoretical arrival time in milliseconds.
    caches: Vec<Cache<Key, u64>>,
}

impl Throttle {
    /// Counters at zero.
    pub(crate) fn new() -> Self {
        Self::with_entries(ENTRIES_MAX)
    }

    /// Counters at zero, with so many entries a kind.
    fn with_entries(entries_max: usize) -> Self {
        Self {
            caches: Kind::ALL.iter().map(|_| Cache::new(entries_max)).collect(),
        }
    }

    /// Takes one try of this key, or says when the next one is free. A refused try costs nothing.
    pub(crate) fn check(&self, kind: Kind, key: Key, now_millis: u64) -> Result<(), RetryAfter> {
        let (burst, interval) = kind.rate();
        // Tries may run ahead of the steady rate by this much.
        let tolerance = burst.saturating_sub(1).saturating_mul(interval);
        self.update(kind, key, |arrival| {
            let arrival = arrival.max(now_millis);
            let wait = arrival.saturating_sub(now_millis.saturating_add(tolerance));
            if wait > 0 {
                (None, Err(RetryAfter(wait.div_ceil(SECOND))))
            } else {
                (Some(arrival.saturating_add(interval)), Ok(()))
            }
        })
    }

    /// Whether the next [`check`](Self::check) would pass; takes nothing.
    pub(crate) fn is_free(&self, kind: Kind, key: Key, now_millis: u64) -> bool {
        let (burst, interval) = kind.rate();
        let tolerance = burst.saturating_sub(1).saturating_mul(interval);
        self.cache(kind)
            .and_then(|cache| cache.get(&key))
            .is_none_or(|arrival| arrival <= now_millis.saturating_add(tolerance))
    }

    /// Gives one try back that [`check`](Self::check) took.
    pub(crate) fn give_back(&self, kind: Kind, key: Key) {
        let (_, interval) = kind.rate();
        self.update(kind, key, |arrival| {
            (Some(arrival.saturating_sub(interval)), ())
        });
    }

    fn cache(&self, kind: Kind) -> Option<&Cache<Key, u64>> {
        self.caches.get(kind as usize)
    }

    /// Changes one number atomically. `decide` may be called with zero for a key that is not remembered.
    fn update<T>(&self, kind: Kind, key: Key, decide: impl Fn(u64) -> (Option<u64>, T)) -> T {
        let Some(cache) = self.cache(kind) else {
            return decide(0).1;
        };
        let entry = cache.entry(&key, None, |_, arrival| {
            let (changed, answer) = decide(*arrival);
            if let Some(changed) = changed {
                *arrival = changed;
            }
            EntryAction::Retain(answer)
        });
        match entry {
            EntryResult::Retained(answer) => answer,
            EntryResult::Vacant(guard) => {
                let (changed, answer) = decide(0);
                if let Some(changed) = changed {
                    // An error means that the entry was removed meanwhile: then there is nothing to count on.
                    let _ = guard.insert(changed);
                }
                answer
            }
            // The closure above never removes, and there is no time limit to wait.
            EntryResult::Removed(..) | EntryResult::Replaced(..) | EntryResult::Timeout => {
                decide(0).1
            }
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a try to sign in comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A browser that this person has not signed in with before.
    Network(Network),
    /// A browser that holds a token which only a sign-in of this person could give it; the caller has verified it.
    KnownDevice(&'a [u8]),
}

/// One try to sign in that has been counted as failed. Say otherwise with [`succeeded`](Self::succeeded) or
/// [`not_tried`](Self::not_tried); dropping it leaves it failed.
#[must_use = "a try is counted as failed until it is said to have succeeded"]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    charged: Vec<(Kind, Key)>,
}

impl Attempt<'_> {
    /// The credentials were right. Gives back what this try took and nothing that others' failures took.
    pub(crate) fn succeeded(self) {
        self.not_tried();
    }

    /// The credentials were not looked at, for example because the hash queue was full.
    pub(crate) fn not_tried(self) {
        for (kind, key) in self.charged {
            self.throttle.give_back(kind, key);
        }
    }
}

impl Throttle {
    /// Begins a try of `person` (an id or, for a name that nobody has, the name) to sign in.
    ///
    /// The try is counted before the password is looked at, so that parallel guesses cannot all pass before the first fails.
    /// A person whose failures from everywhere are too many is not locked: each network then has fewer tries, and a known
    /// device has as many as ever and is not held to its network's count.
    pub(crate) fn begin_sign_in(
        &self,
        tenant: &[u8],
        person: &[u8],
        origin: Origin<'_>,
        now_millis: u64,
    ) -> Result<Attempt<'_>, RetryAfter> {
        let mut attempt = Attempt {
            throttle: self,
            charged: Vec::with_capacity(4),
        };
        let person_key = Key::of(&[tenant, person]);
        match origin {
            Origin::KnownDevice(device) => {
                let pair = Key::of(&[tenant, person, b"device", device]);
                attempt.charge(Kind::SignInPair, pair, now_millis)?;
            }
            Origin::Network(network) => {
                let octets = network.octets();
                let pair = Key::of(&[tenant, person, b"network", &octets]);
                attempt.charge(Kind::SignInNetwork, Key::of(&[&octets]), now_millis)?;
                attempt.charge(Kind::SignInPair, pair, now_millis)?;
                if !self.is_free(Kind::SignInPerson, person_key, now_millis) {
                    attempt.charge(Kind::SignInPairUnderAttack, pair, now_millis)?;
                }
            }
        }
        if self
            .check(Kind::SignInPerson, person_key, now_millis)
            .is_ok()
        {
            attempt.charged.push((Kind::SignInPerson, person_key));
        }
        Ok(attempt)
    }

    /// Whether a client has too many failures from this network to be looked at; takes nothing.
    ///
    /// For the token endpoint, where success is the rule: ask this first and call
    /// [`client_authentication_failed`](Self::client_authentication_failed) on failure. A secret of 256 bits is not guessed
    /// in the few tries that run in parallel.
    pub(crate) fn client_may_authenticate(
        &self,
        tenant: &[u8],
        client: &[u8],
        network: Network,
        now_millis: u64,
    ) -> Result<(), RetryAfter> {
        let key = Key::of(&[tenant, client, &network.octets()]);
        if self.is_free(Kind::ClientSecret, key, now_millis) {
            Ok(())
        } else {
            Err(RetryAfter(Kind::ClientSecret.rate().1.div_ceil(SECOND)))
        }
    }

    /// Counts a failed client authentication.
    pub(crate) fn client_authentication_failed(
        &self,
        tenant: &[u8],
        client: &[u8],
        network: Network,
        now_millis: u64,
    ) {
        let key = Key::of(&[tenant, client, &network.octets()]);
        let _ = self.check(Kind::ClientSecret, key, now_millis);
    }
}

impl Attempt<'_> {
    /// Takes one try of a limit. When it is refused, gives back what was taken from the limits before it: a try that does
    /// not happen is not a failure.
    fn charge(&mut self, kind: Kind, key: Key, now_millis: u64) -> Result<(), RetryAfter> {
        match self.throttle.check(kind, key, now_millis) {
            Ok(()) => {
                self.charged.push((kind, key));
                Ok(())
            }
            Err(refused) => {
                for (kind, key) in self.charged.drain(..) {
                    self.throttle.give_back(kind, key);
                }
                Err(refused)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;
    const TENANT: &[u8] = b"tenant";

    fn network(last: u8) -> Network {
        Network::of(std::net::IpAddr::from([192, 0, 2, last]))
    }

    fn from(last: u8) -> Origin<'static> {
        Origin::Network(network(last))
    }

    fn fails(
        throttle: &Throttle,
        person: &[u8],
        origin: Origin<'_>,
        now: u64,
    ) -> Result<(), RetryAfter> {
        throttle
            .begin_sign_in(TENANT, person, origin, now)
            .map(drop)
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        for kind in Kind::ALL {
            let throttle = Throttle::new();
            let key = Key::of(&[b"a"]);
            let (burst, interval) = kind.rate();
            for _ in 0..burst {
                assert!(throttle.is_free(*kind, key, NOW));
                assert_eq!(throttle.check(*kind, key, NOW), Ok(()), "{kind:?}");
            }
            assert!(!throttle.is_free(*kind, key, NOW));
            let seconds = interval.div_ceil(SECOND);
            assert_eq!(
                throttle.check(*kind, key, NOW),
                Err(RetryAfter(seconds)),
                "{kind:?}"
            );
            assert_eq!(
                throttle.check(*kind, key, NOW + interval - 1),
                Err(RetryAfter(1)),
                "{kind:?}"
            );
            assert_eq!(
                throttle.check(*kind, key, NOW + interval),
                Ok(()),
                "{kind:?}"
            );
            assert!(
                throttle.check(*kind, key, NOW + interval).is_err(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn keys_and_kinds_do_not_touch_one_another() {
        let throttle = Throttle::new();
        let key = Key::of(&[b"ab", b"c"]);
        for _ in 0..1000 {
            let _ = throttle.check(Kind::ClientSecret, key, NOW);
        }
        assert!(
            throttle
                .check(Kind::ClientSecret, Key::of(&[b"a", b"bc"]), NOW)
                .is_ok()
        );
        assert!(throttle.check(Kind::SignUp, key, NOW).is_ok());
        assert!(throttle.check(Kind::ClientSecret, key, NOW).is_err());
    }

    #[test]
    fn a_clock_that_steps_back_does_not_panic_or_free_anything() {
        let throttle = Throttle::new();
        let key = Key::of(&[b"a"]);
        while throttle.check(Kind::SignInPair, key, NOW).is_ok() {}
        assert!(throttle.check(Kind::SignInPair, key, 0).is_err());
        assert!(throttle.check(Kind::SignInPair, key, u64::MAX).is_ok());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::with_entries(64);
        for index in 0..10_000_u32 {
            let _ = throttle.check(Kind::SignInPair, Key::of(&[&index.to_be_bytes()]), NOW);
        }
        let remembered: usize = throttle.caches.iter().map(Cache::len).sum();
        assert!(remembered <= 128, "{remembered}");
    }

    #[test]
    fn parallel_guesses_do_not_pass_the_limit() {
        let throttle = Throttle::new();
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..50)
                            .filter(|_| fails(&throttle, b"eve", from(1), NOW).is_ok())
                            .count()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(passed as u64, Kind::SignInPair.rate().0);
    }

    #[test]
    fn an_attacker_does_not_lock_the_victim_out() {
        let throttle = Throttle::new();
        // Guessing from one network, then from two hundred.
        for last in 0..200 {
            while fails(&throttle, b"victim", from(last), NOW).is_ok() {}
        }
        assert!(fails(&throttle, b"victim", from(7), NOW).is_err());
        // The victim's own network has tries, though fewer than in peace.
        for _ in 0..Kind::SignInPairUnderAttack.rate().0 {
            assert!(fails(&throttle, b"victim", from(250), NOW).is_ok());
        }
        assert!(fails(&throttle, b"victim", from(250), NOW).is_err());
        // A known device is not held to any of it, even in the attacker's network.
        for _ in 0..Kind::SignInPair.rate().0 {
            assert!(fails(&throttle, b"victim", Origin::KnownDevice(b"laptop"), NOW).is_ok());
        }
        assert!(fails(&throttle, b"victim", Origin::KnownDevice(b"laptop"), NOW).is_err());
        // Nobody else notices.
        assert!(fails(&throttle, b"other", from(251), NOW).is_ok());
    }

    #[test]
    fn one_network_cannot_try_everybody() {
        let throttle = Throttle::new();
        let tried = (0..10_000_u32)
            .take_while(|name| fails(&throttle, &name.to_be_bytes(), from(1), NOW).is_ok())
            .count();
        assert_eq!(tried as u64, Kind::SignInNetwork.rate().0);
        assert!(fails(&throttle, b"someone", from(2), NOW).is_ok());
    }

    #[test]
    fn success_gives_back_its_own_try_only() {
        let throttle = Throttle::new();
        let burst = Kind::SignInPair.rate().0;
        for _ in 1..burst {
            assert!(fails(&throttle, b"victim", from(1), NOW).is_ok());
        }
        // The attacker signs in to an account of their own and to the victim's neighbour: nothing is reset.
        for _ in 0..50 {
            throttle
                .begin_sign_in(TENANT, b"attacker", from(1), NOW)
                .unwrap()
                .succeeded();
            throttle
                .begin_sign_in(TENANT, b"victim", from(2), NOW)
                .unwrap()
                .succeeded();
        }
        assert!(fails(&throttle, b"victim", from(1), NOW).is_ok());
        assert!(fails(&throttle, b"victim", from(1), NOW).is_err());
    }

    #[test]
    fn a_try_that_was_not_made_costs_nothing() {
        let throttle = Throttle::new();
        for _ in 0..1000 {
            throttle
                .begin_sign_in(TENANT, b"a", from(1), NOW)
                .unwrap()
                .not_tried();
        }
        while fails(&throttle, b"a", from(1), NOW).is_ok() {}
        // Refused tries do not eat into the network's count.
        for _ in 0..1000 {
            assert!(fails(&throttle, b"a", from(1), NOW).is_err());
        }
        assert!(fails(&throttle, b"b", from(1), NOW).is_ok());
    }

    #[test]
    fn tenants_do_not_share_a_person() {
        let throttle = Throttle::new();
        while fails(&throttle, b"a", from(1), NOW).is_ok() {}
        assert!(throttle.begin_sign_in(b"other", b"a", from(1), NOW).is_ok());
    }

    #[test]
    fn client_secrets_are_throttled_by_client_and_network() {
        let throttle = Throttle::new();
        let burst = Kind::ClientSecret.rate().0;
        for _ in 0..burst {
            assert!(
                throttle
                    .client_may_authenticate(TENANT, b"web", network(1), NOW)
                    .is_ok()
            );
            throttle.client_authentication_failed(TENANT, b"web", network(1), NOW);
        }
        assert!(
            throttle
                .client_may_authenticate(TENANT, b"web", network(1), NOW)
                .is_err()
        );
        assert!(
            throttle
                .client_may_authenticate(TENANT, b"web", network(2), NOW)
                .is_ok()
        );
        assert!(
            throttle
                .client_may_authenticate(TENANT, b"other", network(1), NOW)
                .is_ok()
        );
    }
}
