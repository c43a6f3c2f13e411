//! Where `now` and randomness are born, what all requests share, and what one request is.

use super::configuration::{Configuration, TenantView};
use super::peer::TrustedProxies;
use super::projects::Renewals;
use super::seal::RootKey;
use super::throttle::Throttle;
use crate::outbound::http::OutboundHttp;
use crate::outbound::password_hash::PasswordHasher;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use vestibule_core::id::{Chance, TenantId};
use vestibule_core::oauth::params::{Params, ParamsError};
use vestibule_core::time::Timestamp;
use vestibule_core::url::Issuer;
use vestibule_store::{Store, TenantStore};

/// The source of `now`.
pub(crate) trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch.
    fn millis(&self) -> u64;
}

/// The clock of the machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the clock is read"
    )]
    fn millis(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }
}

/// Milliseconds as the seconds that records and tokens use.
pub(crate) fn to_timestamp(millis: u64) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(millis / 1000).unwrap_or(i64::MAX))
}

/// Randomness of the operating system, by way of the cryptographic library.
#[derive(Debug)]
pub(crate) struct SystemChance {
    counter: AtomicU32,
    references: AtomicU64,
}

impl SystemChance {
    /// A source whose counter starts anywhere, so that two nodes do not make the same ids in the same second.
    pub(crate) fn new() -> Self {
        let chance = Self {
            counter: AtomicU32::new(0),
            references: AtomicU64::new(0),
        };
        let mut start = [0_u8; 8];
        chance.fill(&mut start);
        chance
            .references
            .store(u64::from_be_bytes(start), Ordering::Relaxed);
        let mut start = [0_u8; 4];
        chance.fill(&mut start);
        // Half of the counter's 26 bits stay free, so that it does not wrap within the first hours.
        chance
            .counter
            .store(u32::from_be_bytes(start) & 0x01ff_ffff, Ordering::Relaxed);
        chance
    }
}

impl SystemChance {
    /// A number that no other request of this process has, for logs; it is no secret, so it takes nothing from the library.
    pub(crate) fn reference(&self) -> u64 {
        // The golden ratio of 2^64, which is odd: the sum comes to every number once, and neighbours look different.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        self.references.fetch_add(STEP, Ordering::Relaxed)
    }
}

impl Chance for SystemChance {
    fn fill(&self, out: &mut [u8]) {
        if aws_lc_rs::rand::fill(out).is_err() {
            // The library aborts by itself when the system gives no randomness; nothing may go on with zeros.
            std::process::abort();
        }
    }

    fn tick(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where the public URL leads to.
#[derive(Clone, Debug)]
pub(crate) struct PublicAddress {
    /// Its host, with the port if it is not the usual one.
    pub(crate) host: String,
    /// Its origin.
    pub(crate) origin: String,
}

impl PublicAddress {
    /// The parts of a public URL.
    pub(crate) fn of(public_url: &Issuer) -> Self {
        Self {
            host: public_url.host(),
            origin: public_url.origin(),
        }
    }
}

/// What all requests and all commands share.
pub(crate) struct Shared {
    /// The records.
    pub(crate) store: Store,
    /// The public URL: the default tenant's issuer.
    pub(crate) public_url: Issuer,
    /// The host and the origin of the public URL, read once.
    pub(crate) public_address: PublicAddress,
    /// Keys that derive from the root key.
    pub(crate) root_key: RootKey,
    /// Configuration, cached.
    pub(crate) configuration: Configuration,
    /// Password hashing.
    pub(crate) hasher: PasswordHasher,
    /// Calls to other servers.
    pub(crate) outbound: OutboundHttp,
    /// Providers' tokens that are being renewed.
    pub(crate) renewals: Renewals,
    /// Counters of failures.
    pub(crate) throttle: Throttle,
    /// The proxies whose word about addresses counts.
    pub(crate) proxies: TrustedProxies,
    /// The source of `now`.
    pub(crate) clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub(crate) chance: SystemChance,
}

impl Shared {
    /// Now, for work that no request asked for.
    pub(crate) fn now(&self) -> Timestamp {
        to_timestamp(self.clock.millis())
    }

    /// The records of one tenant.
    pub(crate) fn tenant(&self, id: TenantId) -> TenantStore<'_> {
        self.store.tenant(id)
    }
}

/// One request: what came, for which tenant, when. Work that outlives its handler takes a copy.
#[derive(Clone)]
pub(crate) struct Ctx {
    /// What all requests share.
    pub(crate) shared: Arc<Shared>,
    /// The tenant that it is for.
    pub(crate) tenant: Arc<TenantView>,
    /// Whether it came over a satellite domain.
    pub(crate) satellite: bool,
    /// The origin that the browser sees: the tenant's own, or that of an alias.
    pub(crate) origin: String,
    /// The path that links of this request start with: the tenant's, or none on a domain of its own.
    pub(crate) base_path: String,
    /// The one `now` of this request.
    pub(crate) now: Timestamp,
    /// The same in milliseconds, for throttles.
    pub(crate) now_millis: u64,
    /// The request's id, in the log and on error pages.
    pub(crate) reference: String,
    /// The person's address.
    pub(crate) address: IpAddr,
    /// The method.
    pub(crate) method: Method,
    /// The path below the tenant's base.
    pub(crate) path: String,
    /// The query.
    pub(crate) query: Option<String>,
    /// The headers, cleaned of what only proxies may say.
    pub(crate) headers: HeaderMap,
    /// The body, bounded.
    pub(crate) body: Bytes,
}

impl Ctx {
    /// The records of the tenant.
    pub(crate) fn store(&self) -> TenantStore<'_> {
        self.shared.store.tenant(self.tenant.tenant.id)
    }

    /// The randomness of the installation.
    pub(crate) fn chance(&self) -> &dyn Chance {
        &self.shared.chance
    }

    /// A header, if it stands once and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }

    /// The parameters of the query.
    pub(crate) fn query_params(&self) -> Result<Params, ParamsError> {
        Params::parse(self.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// Whether the body says that it is of this media type, whatever its parameters (RFC 9110, 8.3.1).
    pub(crate) fn has_media_type(&self, media_type: &str) -> bool {
        let said = self.header(&http::header::CONTENT_TYPE).unwrap_or_default();
        let essence = said.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(media_type)
    }

    /// The parameters of the body, if it is a form.
    pub(crate) fn form(&self) -> Result<Params, FormError> {
        if self.body.is_empty() {
            return Ok(Params::default());
        }
        if !self.has_media_type("application/x-www-form-urlencoded") {
            return Err(FormError::NotAForm);
        }
        Params::parse(&self.body).map_err(FormError::Params)
    }

    /// Whether the request is one that only a script could send to a page (`Sec-Fetch-Dest: empty`, or an Accept without HTML).
    pub(crate) fn is_from_a_script(&self) -> bool {
        let fetched = self
            .headers
            .get("sec-fetch-dest")
            .is_some_and(|value| value == "empty");
        let accept = self
            .headers
            .get(http::header::ACCEPT)
            .and_then(|value| value.to_str().ok());
        let takes_html =
            accept.is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
        fetched || !takes_html
    }
}

/// Why a body is no form.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum FormError {
    /// Another media type.
    #[error("the body must be application/x-www-form-urlencoded")]
    NotAForm,
    /// A form that cannot be read.
    #[error(transparent)]
    Params(ParamsError),
}
