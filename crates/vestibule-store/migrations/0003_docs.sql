-- Sites of documentation, and who reads them.

CREATE TABLE docs_sites (
    tenant_id BYTEA NOT NULL,
    name TEXT NOT NULL,
    host TEXT NOT NULL,
    listen TEXT,
    settings TEXT NOT NULL,
    sealed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE UNIQUE INDEX docs_sites_host ON docs_sites (host);

CREATE TABLE reader_sessions (
    tenant_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    site TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
