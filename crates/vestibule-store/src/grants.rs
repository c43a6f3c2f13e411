//! Grants: what people allowed clients.

use crate::db::DbError;
use crate::{TenantStore, TenantUnit, to_json, values};
use vestibule_core::id::{GrantId, UserId};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::time::Timestamp;

crate::statements! {
    UPSERT: hot = "INSERT INTO grants (tenant_id, user_id, client_id, id, scope, resources, created_at, updated_at)
        SELECT u.tenant_id, u.id, $3, $4, $5, $6, $7, $7
        FROM users u WHERE u.tenant_id = $1 AND u.id = $2
        ON CONFLICT (tenant_id, user_id, client_id) DO UPDATE SET scope = excluded.scope, resources = excluded.resources, updated_at = excluded.updated_at";
    REMOVE: hot = "DELETE FROM grants WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3";
    END_FAMILIES: hot = "UPDATE families SET ended_at = $4 WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND ended_at IS NULL";
}

impl TenantUnit {
    /// Remembers what a person allows a client. An earlier grant keeps its id. Lost when the person is gone.
    #[must_use]
    pub fn upsert_grant(
        self,
        id: GrantId,
        user_id: UserId,
        client_id: &str,
        (scope, resources): (&ScopeSet, &[String]),
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        let (scope, resources) = (scope.to_string(), to_json(&resources));
        self.expect(
            &UPSERT,
            values![
                tenant,
                user_id.bytes(),
                client_id,
                id.bytes(),
                scope,
                resources,
                now.seconds()
            ],
        )
    }
}

impl TenantStore<'_> {
    /// Withdraws what a person allowed a client, with all that came of it. The grant comes first: whoever holds it while a family
    /// is written is waited for, and the family is then among those that end.
    pub async fn withdraw_grant(
        &self,
        user_id: UserId,
        client_id: &str,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let tenant = *self.tenant.bytes();
        let unit = self
            .unit()
            .run(&REMOVE, values![tenant, user_id.bytes(), client_id])
            .run(
                &END_FAMILIES,
                values![tenant, user_id.bytes(), client_id, now.seconds()],
            );
        self.commit(unit).await.map(drop)
    }
}
