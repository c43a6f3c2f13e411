//! Expired rows are removed in small bites, by walking each table in the order of its key: no index on the time of expiry has to
//! be kept up by every request, and no statement ever touches more than a bite.

use crate::db::{DbError, Sql, Unit};
use crate::{Store, values};
use vestibule_core::time::Timestamp;

/// How many rows one bite looks at.
pub const BITE_ROWS: u32 = 250;

macro_rules! swept {
    ($($scan:ident $remove:ident $table:literal;)*) => {
        crate::statements! { $(
            $scan: hot = concat!("SELECT tenant_id, id, expires_at FROM ", $table, " WHERE (tenant_id, id) > ($1, $2) ORDER BY tenant_id, id LIMIT $3");
            $remove: hot = concat!("DELETE FROM ", $table, " WHERE tenant_id = $1 AND id = $2 AND expires_at <= $3");
        )* }
        const TABLES: &[(&Sql, &Sql)] = &[$((&$scan, &$remove)),*];
    };
}

swept! {
    SCAN_CODES REMOVE_CODE "codes";
    SCAN_FAMILIES REMOVE_FAMILY "families";
    SCAN_REFRESH_TOKENS REMOVE_REFRESH_TOKEN "refresh_tokens";
    SCAN_TOKENS REMOVE_TOKEN "tokens";
    SCAN_REVOKED REMOVE_REVOKED "revoked_jti";
    SCAN_SESSIONS REMOVE_SESSION "sessions";
    SCAN_UPSTREAM_REQUESTS REMOVE_UPSTREAM_REQUEST "upstream_requests";
    SCAN_CLI_ATTEMPTS REMOVE_CLI_ATTEMPT "cli_attempts";
    SCAN_READER_SESSIONS REMOVE_READER_SESSION "reader_sessions";
}

/// How long an expired row is kept, in seconds: a used code or refresh token is still recognised when it is replayed.
const KEPT_SECONDS: i64 = 3600;

/// Where the walk through each table stands.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    cursors: [Option<([u8; 16], [u8; 16])>; TABLES.len()],
}

impl Sweep {
    /// Takes one bite of each table; gives how many rows were removed and whether a table was full of them, so that the next
    /// bite should follow soon.
    pub async fn bite(&mut self, store: &Store, now: Timestamp) -> Result<(usize, bool), DbError> {
        let before = now.seconds() - KEPT_SECONDS;
        let (mut removed, mut hungry) = (0, false);
        for (cursor, (scan, remove)) in self.cursors.iter_mut().zip(TABLES) {
            let (tenant, id) = cursor.unwrap_or_default();
            let rows = store
                .db
                .query(scan, &values![tenant, id, BITE_ROWS])
                .await?;
            let mut unit = Unit::new();
            for row in &rows {
                let key = (row.id(0)?, row.id(1)?);
                *cursor = Some(key);
                if row.int(2)? <= before {
                    unit = unit.run(remove, values![key.0, key.1, before]);
                }
            }
            let found = unit.len();
            if found > 0 {
                store.db.commit(unit).await?;
            }
            removed += found;
            hungry |= found * 2 > rows.len() && rows.len() == BITE_ROWS as usize;
            if rows.len() < BITE_ROWS as usize {
                *cursor = None;
            }
        }
        Ok((removed, hungry))
    }
}
