//! Background work: what runs beside requests, each loop ended by the same signal.

use crate::http::context::Shared;
use crate::http::signing;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vestibule_core::identity::tenant::DEFAULT_SLUG;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::time::Lifetime;
use vestibule_store::sweep::Sweep;

/// How often the configuration's version is looked at, whatever was announced.
const CATCH_UP: Duration = Duration::from_secs(1);
/// The pause between two bites of the sweep when there is little to do, and when there is much.
const SWEEP: Duration = Duration::from_secs(5);
const SWEEP_HUNGRY: Duration = Duration::from_millis(50);
/// How often keys are looked at.
const KEYS: Duration = Duration::from_mins(1);
/// How long the list of changes is kept: longer than any node sleeps without dropping what it knows.
const CHANGES_KEPT: Lifetime = Lifetime::hours(1);

/// A signal that is given once, to everyone who waits.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A signal and the sender that gives it.
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Waits for the signal.
    pub(crate) async fn wait(&mut self) {
        // An error means that the sender is gone, which is a signal too.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }

    /// Waits for a while; whether the signal came meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.wait()).await.is_ok()
    }
}

/// Starts every loop.
pub(crate) fn start(shared: &Arc<Shared>, stop: &Stop) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    jobs.spawn(catch_up(Arc::clone(shared), stop.clone()));
    jobs.spawn(sweep(Arc::clone(shared), stop.clone()));
    jobs.spawn(keys(Arc::clone(shared), stop.clone()));
    jobs
}

/// Forgets configuration that changed, when told and each second.
async fn catch_up(shared: Arc<Shared>, mut stop: Stop) {
    let mut changes = shared.store.db().subscribe();
    loop {
        tokio::select! {
            () = stop.wait() => return,
            () = changes.changed() => {}
            () = tokio::time::sleep(CATCH_UP) => {}
        }
        if let Err(error) = shared.catch_up().await {
            tracing::warn!(%error, "the configuration's version cannot be read; what is cached stays");
        }
    }
}

/// Removes expired rows in small bites.
async fn sweep(shared: Arc<Shared>, mut stop: Stop) {
    let mut sweep = Sweep::default();
    let mut pause = SWEEP;
    while !stop.pause(pause).await {
        pause = match sweep.bite(&shared.store, shared.now()).await {
            Ok((_, true)) => SWEEP_HUNGRY,
            Ok((_, false)) => SWEEP,
            Err(error) => {
                tracing::warn!(%error, "expired rows cannot be removed now");
                SWEEP
            }
        };
    }
}

/// Makes the default tenant's RSA key before anybody waits for it, and lets keys take their next step.
async fn keys(shared: Arc<Shared>, mut stop: Stop) {
    match shared.tenant_by_slug(DEFAULT_SLUG).await {
        Ok(Some(tenant)) => {
            if let Err(error) = shared.signing_key(&tenant, Algorithm::RS256).await {
                tracing::warn!(%error, "an RSA key cannot be made now");
            }
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the default tenant cannot be read"),
    }
    while !stop.pause(KEYS).await {
        if let Err(error) = signing::advance(&shared).await {
            tracing::warn!(%error, "signing keys cannot take their next step now");
        }
        if let Err(error) = shared
            .store
            .any_forget_changes(shared.now().minus(CHANGES_KEPT))
            .await
        {
            tracing::warn!(%error, "the list of changes cannot be shortened now");
        }
    }
}
