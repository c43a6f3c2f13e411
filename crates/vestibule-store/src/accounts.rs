//! Connected accounts: the links between people and upstream identities, with the provider's tokens, sealed.
//!
//! One upstream identity belongs to one person: the key of the table says so, whatever was decided before.

use crate::db::{DbError, Row, Sql, Value};
use crate::users::read_user;
use crate::{TenantStore, TenantUnit, corrupt, values};
use std::collections::HashMap;
use vestibule_core::id::{AccountId, UserId};
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::identity::user::User;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::relying_party::provider::{ProviderId, UpstreamGrant};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT id, user_id, provider_id, subject, email, sign_in_at, connected_at, scope, access_expires_at, created_at, updated_at
        FROM accounts WHERE tenant_id = $1 AND id = $2";
    FIND_WITH_USER: hot = "SELECT a.id, a.user_id, a.provider_id, a.subject, a.email, a.sign_in_at, a.connected_at, a.scope, a.access_expires_at, a.created_at, a.updated_at,
            u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at
        FROM accounts a JOIN users u ON u.tenant_id = a.tenant_id AND u.id = a.user_id
        WHERE a.tenant_id = $1 AND a.provider_id = $2 AND a.subject = $3";
    FIND_OF_USER: hot = "SELECT id, user_id, provider_id, subject, email, sign_in_at, connected_at, scope, access_expires_at, created_at, updated_at
        FROM accounts WHERE tenant_id = $1 AND provider_id = $3 AND subject = $4 AND user_id = $2";
    LIST_OF_USER: hot = "SELECT id, user_id, provider_id, subject, email, sign_in_at, connected_at, scope, access_expires_at, created_at, updated_at
        FROM accounts WHERE tenant_id = $1 AND user_id = $2 ORDER BY id LIMIT $3";
    // As many places as a page of people has at most; a shorter page repeats its last person.
    LIST_OF_PAGE: hot = "SELECT id, user_id, provider_id, subject, email, sign_in_at, connected_at, scope, access_expires_at, created_at, updated_at
        FROM accounts WHERE tenant_id = $1 AND user_id IN (
            $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25,
            $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47,
            $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60, $61, $62, $63, $64, $65, $66, $67, $68, $69,
            $70, $71, $72, $73, $74, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84, $85, $86, $87, $88, $89, $90, $91,
            $92, $93, $94, $95, $96, $97, $98, $99, $100, $101, $102
        ) ORDER BY id LIMIT $2";
    TOKENS: hot = "SELECT scope, access_expires_at, sealed FROM accounts WHERE tenant_id = $1 AND id = $2 AND sealed IS NOT NULL";
    INSERT: hot = "INSERT INTO accounts (tenant_id, id, user_id, provider_id, subject, email, sign_in_at, connected_at, scope, access_expires_at, sealed, created_at, updated_at)
        SELECT u.tenant_id, $3, u.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM users u WHERE u.tenant_id = $1 AND u.id = $2
        ON CONFLICT DO NOTHING";
    UPDATE_EMAIL: hot = "UPDATE accounts SET email = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2";
    UPDATE_TOKENS: hot = "UPDATE accounts SET scope = $3, access_expires_at = $4, sealed = $5, updated_at = $6 WHERE tenant_id = $1 AND id = $2";
    REFRESH_TOKENS: hot = "UPDATE accounts SET scope = $3, access_expires_at = $4, sealed = $5, updated_at = $6 WHERE tenant_id = $1 AND id = $2 AND sealed = $7";
    SET_USE: hot = "UPDATE accounts SET sign_in_at = CASE WHEN sign_in_at <= $3 THEN sign_in_at ELSE $3 END,
            connected_at = CASE WHEN connected_at <= $4 THEN connected_at ELSE $4 END
        WHERE tenant_id = $1 AND id = $2";
    REMOVE: hot = "DELETE FROM accounts WHERE tenant_id = $1 AND id = $2 AND user_id = $3";
    // Whoever takes a way to sign in away writes the person first, so that two who do it come one after the other; the other way is
    // then held until the unit is written.
    TURN: hot = "UPDATE users SET updated_at = updated_at WHERE tenant_id = $1 AND id = $2";
    HOLD_ACCOUNT: hot = "SELECT 1 FROM accounts WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND sign_in_at IS NOT NULL FOR SHARE";
    HOLD_PASSWORD: hot = "SELECT 1 FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND kind = 'password' FOR SHARE";
    REMOVE_OF_USER: hot = "DELETE FROM accounts WHERE tenant_id = $1 AND user_id = $2";
    REMOVE_ALL: hot = "DELETE FROM accounts WHERE tenant_id = $1";
}

/// The most accounts that a person's list gives.
pub const ACCOUNTS_LIST_MAX: u32 = 500;
/// The most people whose accounts one statement gives.
pub const ACCOUNTS_PAGE_USERS_MAX: usize = 100;
/// The most accounts that it gives.
const ACCOUNTS_PAGE_MAX: u32 = 50_000;

/// A provider's tokens, sealed, and what they are good for.
#[derive(Clone, Copy, Debug)]
pub struct SealedTokens<'a> {
    /// What they are good for.
    pub grant: &'a UpstreamGrant,
    /// The tokens, sealed under the root key.
    pub sealed: &'a [u8],
}

/// A way in which a person can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// Their password.
    Password,
    /// This account of theirs.
    Account(AccountId),
}

/// Reads the eleven columns that every statement above starts with.
fn read(row: &Row, sql: &Sql) -> Result<ConnectedAccount, DbError> {
    Ok(ConnectedAccount {
        id: AccountId::from_bytes(row.id(0)?),
        user_id: UserId::from_bytes(row.id(1)?),
        provider_id: ProviderId::parse(row.text(2)?)
            .ok_or_else(|| corrupt(sql, "provider_id", "not a provider's id"))?,
        subject: row.text(3)?.to_owned(),
        email: row.opt_text(4)?.map(str::to_owned),
        sign_in: row.opt_int(5)?.is_some(),
        connected: row.opt_int(6)?.is_some(),
        grant: read_grant(row, 7, sql)?,
        created_at: Timestamp::from_seconds(row.int(9)?),
        updated_at: Timestamp::from_seconds(row.int(10)?),
    })
}

/// Reads `scope` and `access_expires_at` from a column on.
fn read_grant(row: &Row, from: usize, sql: &Sql) -> Result<Option<UpstreamGrant>, DbError> {
    let Some(text) = row.opt_text(from)? else {
        return Ok(None);
    };
    Ok(Some(UpstreamGrant {
        scope: ScopeSet::parse(text).map_err(|error| corrupt(sql, "scope", error))?,
        access_expires_at: row.opt_int(from + 1)?.map(Timestamp::from_seconds),
    }))
}

impl TenantStore<'_> {
    /// An account by its id.
    pub async fn account(&self, id: AccountId) -> Result<Option<ConnectedAccount>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), id.bytes()])
            .await?;
        row.as_ref().map(|row| read(row, &FIND)).transpose()
    }

    /// The account of an upstream identity, with its person, who may be disabled.
    pub async fn account_of(
        &self,
        provider_id: &ProviderId,
        subject: &str,
    ) -> Result<Option<(ConnectedAccount, User)>, DbError> {
        let sql = &FIND_WITH_USER;
        let row = self
            .db
            .query_one(
                sql,
                &values![self.tenant.bytes(), provider_id.as_str(), subject],
            )
            .await?;
        row.as_ref()
            .map(|row| Ok((read(row, sql)?, read_user(row, 11, sql)?)))
            .transpose()
    }

    /// The account of an upstream identity, if it is this person's.
    pub async fn account_of_user(
        &self,
        user_id: UserId,
        provider_id: &ProviderId,
        subject: &str,
    ) -> Result<Option<ConnectedAccount>, DbError> {
        let row = self
            .db
            .query_one(
                &FIND_OF_USER,
                &values![
                    self.tenant.bytes(),
                    user_id.bytes(),
                    provider_id.as_str(),
                    subject
                ],
            )
            .await?;
        row.as_ref().map(|row| read(row, &FIND_OF_USER)).transpose()
    }

    /// A person's accounts in the order in which they were linked, those of removed providers included.
    pub async fn accounts_of(&self, user_id: UserId) -> Result<Vec<ConnectedAccount>, DbError> {
        let rows = self
            .db
            .query(
                &LIST_OF_USER,
                &values![self.tenant.bytes(), user_id.bytes(), ACCOUNTS_LIST_MAX],
            )
            .await?;
        rows.iter().map(|row| read(row, &LIST_OF_USER)).collect()
    }

    /// The accounts of a page of people, each in the order in which they were linked. Of more people than
    /// [`ACCOUNTS_PAGE_USERS_MAX`], those of the first.
    pub async fn accounts_of_page(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Vec<ConnectedAccount>>, DbError> {
        let mut found: HashMap<UserId, Vec<ConnectedAccount>> = HashMap::new();
        let Some(last) = users.last() else {
            return Ok(found);
        };
        let places = users.iter().chain(std::iter::repeat(last));
        let mut values = values![self.tenant.bytes(), ACCOUNTS_PAGE_MAX].to_vec();
        values.extend(
            places
                .take(ACCOUNTS_PAGE_USERS_MAX)
                .map(|id| Value::from(id.bytes())),
        );
        for row in &self.db.query(&LIST_OF_PAGE, &values).await? {
            let account = read(row, &LIST_OF_PAGE)?;
            found.entry(account.user_id).or_default().push(account);
        }
        Ok(found)
    }

    /// The provider's tokens of an account, sealed, and what they are good for; read apart, so that no list carries them.
    pub async fn account_tokens(
        &self,
        id: AccountId,
    ) -> Result<Option<(UpstreamGrant, Vec<u8>)>, DbError> {
        let row = self
            .db
            .query_one(&TOKENS, &values![self.tenant.bytes(), id.bytes()])
            .await?;
        row.map(|row| {
            let grant = read_grant(&row, 0, &TOKENS)?.ok_or_else(|| {
                corrupt(&TOKENS, "scope", "tokens without what they are good for")
            })?;
            Ok((grant, row.blob(2)?.to_vec()))
        })
        .transpose()
    }
}

impl TenantUnit {
    /// Links an upstream identity to a person; `sealed` are the tokens of the account's grant. Lost when the identity is linked
    /// already, to whomever, and when the person is gone.
    #[must_use]
    pub fn insert_account(self, account: &ConnectedAccount, sealed: Option<&[u8]>) -> Self {
        let tenant = self.id();
        let grant = account.grant.as_ref();
        let created_at = account.created_at.seconds();
        self.expect(
            &INSERT,
            values![
                tenant,
                account.user_id.bytes(),
                account.id.bytes(),
                account.provider_id.as_str(),
                &account.subject,
                account.email.as_deref(),
                account.sign_in.then_some(created_at),
                account.connected.then_some(created_at),
                grant.map(|grant| grant.scope.to_string()),
                grant
                    .and_then(|grant| grant.access_expires_at)
                    .map(Timestamp::seconds),
                sealed,
                created_at,
                account.updated_at.seconds(),
            ],
        )
    }

    /// Notes the address that the provider told last.
    #[must_use]
    pub fn update_account_email(self, id: AccountId, email: Option<&str>, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &UPDATE_EMAIL,
            values![tenant, id.bytes(), email, now.seconds()],
        )
    }

    /// Replaces the provider's tokens after a sign-in, or forgets them when the provider takes them no more.
    #[must_use]
    pub fn update_account_tokens(
        self,
        id: AccountId,
        tokens: Option<SealedTokens<'_>>,
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        let (scope, access_expires_at, sealed) = columns(tokens);
        self.expect(
            &UPDATE_TOKENS,
            values![
                tenant,
                id.bytes(),
                scope,
                access_expires_at,
                sealed,
                now.seconds()
            ],
        )
    }

    /// Replaces the provider's tokens after they were refreshed, or forgets them when the refresh was refused. Lost when they are
    /// no longer the ones that were read: a provider that rotates has made the other's answer the one that counts.
    #[must_use]
    pub fn refresh_account_tokens(
        self,
        id: AccountId,
        old_sealed: &[u8],
        tokens: Option<SealedTokens<'_>>,
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        let (scope, access_expires_at, sealed) = columns(tokens);
        self.expect(
            &REFRESH_TOKENS,
            values![
                tenant,
                id.bytes(),
                scope,
                access_expires_at,
                sealed,
                now.seconds(),
                old_sealed
            ],
        )
    }

    /// Says since when the person may sign in with an account, and since when apps may ask for its tokens; an earlier time that
    /// stands is kept.
    #[must_use]
    pub fn set_account_use(
        self,
        id: AccountId,
        sign_in_at: Option<Timestamp>,
        connected_at: Option<Timestamp>,
    ) -> Self {
        let tenant = self.id();
        self.expect(
            &SET_USE,
            values![
                tenant,
                id.bytes(),
                sign_in_at.map(Timestamp::seconds),
                connected_at.map(Timestamp::seconds)
            ],
        )
    }

    /// Lost when the person can no longer sign in that way: it was relied on when another way was given up. Of two units that each
    /// give up what the other relies on, one loses. It stands first in its unit.
    #[must_use]
    pub fn guard_way_in(self, user_id: UserId, way: WayIn) -> Self {
        let tenant = self.id();
        let unit = self.expect(&TURN, values![tenant, user_id.bytes()]);
        match way {
            WayIn::Password => unit.expect(&HOLD_PASSWORD, values![tenant, user_id.bytes()]),
            WayIn::Account(id) => {
                unit.expect(&HOLD_ACCOUNT, values![tenant, id.bytes(), user_id.bytes()])
            }
        }
    }

    /// Unlinks an account of that person, with its tokens. Lost when it is another's or gone.
    #[must_use]
    pub fn remove_account(self, id: AccountId, user_id: UserId) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id.bytes(), user_id.bytes()])
    }
}

/// The columns `scope`, `access_expires_at` and `sealed`.
fn columns(tokens: Option<SealedTokens<'_>>) -> (Option<String>, Option<i64>, Option<&[u8]>) {
    let grant = tokens.map(|tokens| tokens.grant);
    (
        grant.map(|grant| grant.scope.to_string()),
        grant
            .and_then(|grant| grant.access_expires_at)
            .map(Timestamp::seconds),
        tokens.map(|tokens| tokens.sealed),
    )
}
