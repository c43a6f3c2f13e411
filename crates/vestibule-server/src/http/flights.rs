//! Work that is finished though nobody waits for it any more, and done once for everybody who asks for the same meanwhile.
//!
//! A handler is dropped when its client goes away. What must not stop in the middle runs here, on a task of its own that a graceful
//! stop waits for.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The most pieces of work of one kind at a time.
const FLIGHTS_COUNT_MAX: usize = 1000;

type Waiting<K, T> = Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>;

/// Work that is under way, by what it is about. Its time is limited by the work itself.
pub(crate) struct Flights<K, T> {
    waiting: Waiting<K, T>,
    running: Mutex<JoinSet<()>>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self {
            waiting: Arc::default(),
            running: Mutex::default(),
        }
    }
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// What the work for `key` comes to: that of the one that is under way, else of this one. None when too much is under way, or
    /// the work broke.
    pub(crate) async fn join(
        &self,
        key: K,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut result = self.board(key, work)?;
        let landed = result.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn board(
        &self,
        key: K,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<watch::Receiver<Option<T>>> {
        let mut waiting = self.waiting.lock();
        if let Some(result) = waiting.get(&key) {
            return Some(result.clone());
        }
        let mut running = self.running.lock();
        while running.try_join_next().is_some() {}
        if running.len() >= FLIGHTS_COUNT_MAX {
            return None;
        }
        let (sender, result) = watch::channel(None);
        waiting.insert(key.clone(), result.clone());
        let landing = Landing {
            waiting: Arc::clone(&self.waiting),
            key,
        };
        running.spawn(async move {
            let landing = landing;
            let result = work.await;
            // Whoever asks from here on begins anew: the result is that of a moment before.
            drop(landing);
            sender.send_replace(Some(result));
        });
        Some(result)
    }

    /// Waits until nothing is under way.
    pub(crate) async fn landed(&self) {
        let mut running = std::mem::take(&mut *self.running.lock());
        while running.join_next().await.is_some() {}
    }
}

/// Takes a piece of work off the list when it ends, however it ends.
struct Landing<K: Eq + Hash, T> {
    waiting: Waiting<K, T>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Work that waits for a permit and counts itself.
    fn work(
        gate: &Arc<Semaphore>,
        done: &Arc<AtomicUsize>,
    ) -> impl Future<Output = usize> + Send + 'static {
        let (gate, done) = (Arc::clone(gate), Arc::clone(done));
        async move {
            let _permit = gate.acquire().await;
            done.fetch_add(1, Ordering::AcqRel) + 1
        }
    }

    fn parts() -> (Arc<Flights<u8, usize>>, Arc<Semaphore>, Arc<AtomicUsize>) {
        (
            Arc::default(),
            Arc::new(Semaphore::new(0)),
            Arc::new(AtomicUsize::new(0)),
        )
    }

    #[tokio::test]
    async fn work_is_done_once_for_everybody_who_asks_meanwhile() {
        let (flights, gate, done) = parts();
        let mut asking = JoinSet::new();
        for index in 0..64_u8 {
            let (flights, work) = (Arc::clone(&flights), work(&gate, &done));
            asking.spawn(async move { flights.join(index % 2, work).await });
        }
        while flights.waiting.lock().len() < 2 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(1);
        let results = asking.join_all().await;
        assert!(results.iter().all(|result| matches!(result, Some(1 | 2))));
        assert_eq!(done.load(Ordering::Acquire), 2);
        assert!(flights.waiting.lock().is_empty());
        // Later is another time.
        assert_eq!(flights.join(0, work(&gate, &done)).await, Some(3));
    }

    #[tokio::test]
    async fn work_is_finished_though_nobody_waits_and_the_end_waits_for_it() {
        let (flights, gate, done) = parts();
        {
            let asked = flights.join(1, work(&gate, &done));
            tokio::pin!(asked);
            tokio::select! {
                biased;
                _ = &mut asked => panic!("the gate is closed"),
                () = tokio::task::yield_now() => {}
            }
        }
        gate.add_permits(1);
        flights.landed().await;
        assert_eq!(done.load(Ordering::Acquire), 1);
        flights.landed().await;
    }

    #[tokio::test]
    async fn too_much_work_is_refused_and_what_runs_goes_on() {
        let flights: Flights<usize, ()> = Flights::default();
        let gate = Arc::new(Semaphore::new(0));
        for key in 0..FLIGHTS_COUNT_MAX {
            let gate = Arc::clone(&gate);
            let begun = flights.board(key, async move {
                let _permit = gate.acquire().await;
            });
            assert!(begun.is_some());
        }
        assert!(flights.board(FLIGHTS_COUNT_MAX, async {}).is_none());
        assert!(
            flights.board(0, async {}).is_some(),
            "one that runs is joined"
        );
        gate.add_permits(1);
        flights.landed().await;
        assert_eq!(flights.join(FLIGHTS_COUNT_MAX, async {}).await, Some(()));
    }

    #[tokio::test]
    async fn work_that_breaks_is_said_and_may_be_tried_again() {
        let flights: Flights<u8, u8> = Flights::default();
        let broken = flights.join(1, async { panic!("broken on purpose") });
        assert_eq!(broken.await, None);
        assert_eq!(flights.join(1, async { 7 }).await, Some(7));
    }
}
