-- Upstream providers, the accounts that are linked through them, and what apps show to the broker.

CREATE TABLE providers (
    tenant_id BYTEA NOT NULL,
    id TEXT NOT NULL,
    settings TEXT NOT NULL,
    sealed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE api_keys (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    name TEXT NOT NULL,
    tier TEXT NOT NULL,
    digest BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (tenant_id, name);
CREATE UNIQUE INDEX api_keys_digest ON api_keys (tenant_id, digest);

CREATE TABLE trusted_domains (
    tenant_id BYTEA NOT NULL,
    base_url TEXT NOT NULL,
    PRIMARY KEY (tenant_id, base_url)
);

CREATE TABLE accounts (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    provider_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    email TEXT,
    sign_in_at BIGINT,
    connected_at BIGINT,
    scope TEXT,
    access_expires_at BIGINT,
    sealed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX accounts_identity ON accounts (tenant_id, provider_id, subject);
CREATE INDEX accounts_user ON accounts (tenant_id, user_id);

CREATE TABLE upstream_requests (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE cli_attempts (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    polling_digest BYTEA NOT NULL,
    login_digest BYTEA NOT NULL,
    user_id BYTEA,
    sealed BYTEA,
    expires_at BIGINT NOT NULL,
    completed_at BIGINT,
    used_at BIGINT,
    PRIMARY KEY (tenant_id, id)
);
