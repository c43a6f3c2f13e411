//! Who may call now: so many at a time altogether, and so many to one host and port.
//!
//! The law: a turn at the host is waited for first. Callers who wait for a slow host hold none of the turns that calls to others
//! need.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns.
pub(super) struct Turns {
    all: Arc<Semaphore>,
    per_host_max: usize,
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Turns {
    pub(super) fn new(all_max: usize, per_host_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all_max)),
            per_host_max,
            hosts: Arc::default(),
        }
    }

    /// Waits for a turn; it lasts as long as what is returned.
    pub(super) async fn take(&self, authority: String) -> Turn {
        let host = {
            let mut hosts = self.hosts.lock();
            let new = || Arc::new(Semaphore::new(self.per_host_max));
            Arc::clone(hosts.entry(authority.clone()).or_insert_with(new))
        };
        // It exists before the waiting begins, so that a caller who gives up while waiting leaves nothing behind.
        let mut turn = Turn {
            hosts: Arc::clone(&self.hosts),
            authority,
            host,
            permits: Vec::new(),
        };
        for semaphore in [Arc::clone(&turn.host), Arc::clone(&self.all)] {
            // Neither is ever closed.
            turn.permits.extend(semaphore.acquire_owned().await.ok());
        }
        turn
    }

    /// Hosts that somebody calls or waits for.
    #[cfg(test)]
    pub(super) fn hosts(&self) -> usize {
        self.hosts.lock().len()
    }
}

/// A turn, or the wait for one.
pub(super) struct Turn {
    hosts: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    authority: String,
    host: Arc<Semaphore>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permits.clear();
        let mut hosts = self.hosts.lock();
        // The map's and this one: nobody else calls that host or waits for it, and new ones come under the same lock.
        if Arc::strong_count(&self.host) == 2 {
            hosts.remove(&self.authority);
        }
    }
}
