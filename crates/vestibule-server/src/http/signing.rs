//! Signing keys at rest and in use: sealed in the database, parsed once into the tenant's view, made when first needed.
//!
//! A key is announced before it signs and published after it ceases to, so that no cached key set ever lacks the key of a token
//! that somebody holds.

use super::context::Shared;
use super::seal::Purpose;
use vestibule_core::id::{KeyRecordId, TenantId};
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::SigningKey;
use vestibule_core::jose::key_set::{KeySet, KeyState, SetKey};
use vestibule_core::oauth::client::TOKEN_LIFETIME_MAX;
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::db::DbError;
use vestibule_store::keys::KeyRecord;
use vestibule_store::{Committed, TenantUnit};

/// How long caches may keep a key set, in seconds: what the JWKS answer's `Cache-Control` says.
pub(crate) const JWKS_MAX_AGE_SECONDS: u32 = 3600;

/// How long a key is announced before it signs: twice what caches may keep.
pub(crate) const ANNOUNCED: Lifetime = Lifetime::from_seconds(2 * JWKS_MAX_AGE_SECONDS);

/// How long a retired key is published: the longest token it can have signed, and the time that caches keep.
pub(crate) const RETIRING: Lifetime = Lifetime::days(2);

const _: () = assert!(RETIRING.seconds() > TOKEN_LIFETIME_MAX.seconds());

/// Why there is no key.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SigningError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A key that cannot be opened, parsed or made.
    #[error("{0}")]
    Key(String),
}

fn belongs_to(tenant: TenantId, algorithm: Algorithm) -> Vec<u8> {
    let mut aad = tenant.bytes().to_vec();
    aad.extend_from_slice(algorithm.as_str().as_bytes());
    aad
}

/// Opens a tenant's keys.
pub(crate) fn open(
    shared: &Shared,
    tenant: TenantId,
    records: &[KeyRecord],
) -> Result<KeySet, SigningError> {
    let mut keys: Vec<(SetKey, KeyState)> = Vec::with_capacity(records.len());
    for record in records {
        let state = match (record.activated_at, record.retired_at) {
            (None, _) => KeyState::Announced,
            (Some(_), None) => KeyState::Active,
            (Some(_), Some(_)) => KeyState::Retiring,
        };
        let plain = shared
            .root_key
            .open(
                Purpose::SigningKeys,
                &belongs_to(tenant, record.algorithm),
                &record.sealed,
            )
            .map_err(|error| SigningError::Key(format!("key {}: {error}", record.id)))?;
        let key = SigningKey::from_pkcs8(record.algorithm, &plain)
            .map_err(|error| SigningError::Key(format!("key {}: {error}", record.id)))?;
        keys.push((key.into(), state));
    }
    KeySet::new(keys).map_err(|error| SigningError::Key(error.to_string()))
}

/// Makes a key and seals it. RSA keys take a tenth of a second and more: they are made off the threads that answer.
pub(crate) async fn make(
    shared: &Shared,
    tenant: TenantId,
    algorithm: Algorithm,
    activated_at: Option<Timestamp>,
) -> Result<KeyRecord, SigningError> {
    let made = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 => {
            tokio::task::spawn_blocking(move || SigningKey::generate(algorithm))
                .await
                .map_err(|error| SigningError::Key(error.to_string()))?
        }
        Algorithm::ES256 | Algorithm::EdDSA => SigningKey::generate(algorithm),
    };
    let plain = made
        .and_then(|key| key.to_pkcs8())
        .map_err(|error| SigningError::Key(format!("making a key for {algorithm}: {error}")))?;
    let sealed = shared
        .root_key
        .seal(Purpose::SigningKeys, &belongs_to(tenant, algorithm), &plain)
        .map_err(|error| SigningError::Key(error.to_string()))?;
    let now = shared.now();
    let id = KeyRecordId::new(now, &shared.chance);
    Ok(KeyRecord {
        id,
        algorithm,
        sealed,
        created_at: now,
        activated_at,
        retired_at: None,
    })
}

/// Makes and activates a key for an algorithm that has none yet. Another node may be quicker; both then use the same key.
pub(crate) async fn ensure(
    shared: &Shared,
    tenant: TenantId,
    algorithm: Algorithm,
) -> Result<(), SigningError> {
    let now = shared.now();
    let key = make(shared, tenant, algorithm, Some(now)).await?;
    let unit = TenantUnit::new(tenant)
        .insert_key(&key)
        .configuration_changed(now);
    let _: Committed = shared.store.commit(unit).await?;
    shared.configuration.forget(tenant);
    Ok(())
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rotated {
    /// A successor is announced; it signs at this time.
    Announced(Timestamp),
    /// A successor was announced before; it signs at this time.
    Waiting(Timestamp),
    /// The successor signs from now on.
    Activated,
}

/// Takes the next step of a rotation: announces a successor, or lets an announced one sign once every cache has seen it.
pub(crate) async fn rotate(
    shared: &Shared,
    tenant: TenantId,
    algorithm: Algorithm,
) -> Result<Rotated, SigningError> {
    let now = shared.now();
    let records = shared.tenant(tenant).keys().await?;
    let of_algorithm = || records.iter().filter(move |key| key.algorithm == algorithm);
    let announced = of_algorithm().find(|key| key.activated_at.is_none());
    let active = of_algorithm().find(|key| key.activated_at.is_some() && key.retired_at.is_none());
    let due = announced.map(|key| key.created_at.plus(ANNOUNCED));
    let (unit, result) = match (announced, due) {
        (Some(_), Some(due)) if now < due => return Ok(Rotated::Waiting(due)),
        (Some(next), _) => {
            let mut unit = TenantUnit::new(tenant);
            if let Some(active) = active {
                unit = unit.retire_key(active.id, now);
            }
            (unit.activate_key(next.id, now), Rotated::Activated)
        }
        (None, _) => {
            let next = make(shared, tenant, algorithm, None).await?;
            (
                TenantUnit::new(tenant).insert_key(&next),
                Rotated::Announced(now.plus(ANNOUNCED)),
            )
        }
    };
    // A lost guard means that another node took the same step.
    let _: Committed = shared.store.commit(unit.configuration_changed(now)).await?;
    shared.configuration.forget(tenant);
    Ok(result)
}

/// Lets announced keys sign whose time has come, and forgets retired ones that nobody needs any more.
pub(crate) async fn advance(shared: &Shared) -> Result<(), SigningError> {
    let now = shared.now();
    for tenant in shared
        .store
        .any_tenants_with_due_keys(now.minus(ANNOUNCED), now.minus(RETIRING))
        .await?
    {
        for key in shared.tenant(tenant).keys().await? {
            match (key.activated_at, key.retired_at) {
                (None, _) if key.created_at <= now.minus(ANNOUNCED) => {
                    let rotated = rotate(shared, tenant, key.algorithm).await?;
                    tracing::info!(%tenant, algorithm = %key.algorithm, ?rotated, "a signing key took its next step");
                }
                (_, Some(retired)) if retired <= now.minus(RETIRING) => {
                    let unit = TenantUnit::new(tenant)
                        .remove_key(key.id)
                        .configuration_changed(now);
                    let _: Committed = shared.store.commit(unit).await?;
                    shared.configuration.forget(tenant);
                    tracing::info!(%tenant, algorithm = %key.algorithm, "a retired signing key was forgotten");
                }
                _ => {}
            }
        }
    }
    Ok(())
}
