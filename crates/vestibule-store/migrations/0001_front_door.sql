-- Written in PostgreSQL's words; SQLite gets the same text with its own column types.
-- Times are seconds since the epoch. Yes/no is a time or nothing. Ids are 16 bytes, digests 32.

CREATE TABLE installation (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    key_check BYTEA NOT NULL,
    version BIGINT NOT NULL,
    set_up_id BYTEA,
    set_up_digest BYTEA,
    set_up_expires_at BIGINT,
    set_up_at BIGINT
);

CREATE TABLE changes (
    version BIGINT PRIMARY KEY,
    tenant_id BYTEA NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE tenants (
    id BYTEA PRIMARY KEY,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    policy TEXT NOT NULL,
    groups TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX tenants_slug ON tenants (slug);

CREATE TABLE domains (
    host TEXT PRIMARY KEY,
    tenant_id BYTEA NOT NULL,
    kind TEXT NOT NULL
);
CREATE INDEX domains_tenant ON domains (tenant_id);

CREATE TABLE scopes (
    tenant_id BYTEA NOT NULL,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    consent TEXT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);

CREATE TABLE clients (
    tenant_id BYTEA NOT NULL,
    id TEXT NOT NULL,
    metadata TEXT NOT NULL,
    secrets BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE keys (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    algorithm TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX keys_next ON keys (tenant_id, algorithm) WHERE activated_at IS NULL;
CREATE UNIQUE INDEX keys_active ON keys (tenant_id, algorithm) WHERE activated_at IS NOT NULL AND retired_at IS NULL;

CREATE TABLE users (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    username TEXT,
    username_key TEXT,
    email TEXT,
    email_key TEXT,
    email_verified_at BIGINT,
    profile TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    disabled_at BIGINT,
    operator_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX users_username ON users (tenant_id, username_key);
CREATE UNIQUE INDEX users_email ON users (tenant_id, email_key);

CREATE TABLE credentials (
    tenant_id BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    kind TEXT NOT NULL,
    secret TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, kind)
);

CREATE TABLE sessions (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    auth_time BIGINT NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX sessions_user ON sessions (tenant_id, user_id);

CREATE TABLE grants (
    tenant_id BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    id BYTEA NOT NULL,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id, client_id)
);

CREATE TABLE codes (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    session_id BYTEA NOT NULL,
    grant_id BYTEA,
    redirect_uri TEXT,
    challenge BYTEA,
    authorization_text TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    redeemed_at BIGINT,
    family_id BYTEA,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE families (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id BYTEA NOT NULL,
    session_id BYTEA NOT NULL,
    authorization_text TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    offline_at BIGINT,
    ended_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX families_session ON families (tenant_id, session_id);
CREATE INDEX families_user ON families (tenant_id, user_id);

CREATE TABLE refresh_tokens (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    family_id BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT,
    successor_id BYTEA,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE tokens (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id BYTEA,
    family_id BYTEA,
    scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE revoked_jti (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
