-- Sites of documentation and who reads them; what other sites are told about people, and where endpoints answer besides their own places.

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

ALTER TABLE tenants ADD COLUMN docs_profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN endpoint_aliases TEXT NOT NULL DEFAULT '{}';
