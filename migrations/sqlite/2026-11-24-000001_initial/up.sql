-- Users, their groups and roles, sessions, sign-in transactions, grants, Graph cache and audit log.
-- The same tables, columns and indices as migrations/postgres; times are UTC without a zone.

-- A person is (realm, subject): (tenant id, object id) in Entra, (issuer, sub) elsewhere.
-- Names and addresses are for display and search only; `*_fold` are lower-case, for order and search.
CREATE TABLE users (
    id              TEXT PRIMARY KEY NOT NULL,
    realm           TEXT NOT NULL,
    subject         TEXT NOT NULL,
    upn             TEXT NOT NULL,
    upn_fold        TEXT NOT NULL,
    display_name    TEXT NOT NULL,
    name_fold       TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_fold      TEXT NOT NULL,
    given_name      TEXT NOT NULL DEFAULT '',
    family_name     TEXT NOT NULL DEFAULT '',
    job_title       TEXT NOT NULL DEFAULT '',
    department      TEXT NOT NULL DEFAULT '',
    is_external     BOOLEAN NOT NULL DEFAULT FALSE,
    user_type       TEXT NOT NULL CHECK (user_type IN ('member', 'guest')),
    status          TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
    -- Who disabled them last: the directory takes back only what it did itself.
    disabled_by     TEXT NOT NULL DEFAULT '' CHECK (disabled_by IN ('', 'administrator', 'directory')),
    -- Effective roles, sorted, separated by blanks: derived from user_roles in the same transaction.
    roles           TEXT NOT NULL DEFAULT '',
    -- Claims of the last verified ID token that are shown on the profile: a JSON object.
    claims          TEXT NOT NULL DEFAULT '{}',
    created_at      TIMESTAMP NOT NULL,
    last_sign_in_at TIMESTAMP NOT NULL,
    synced_at       TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX users_identity ON users (realm, subject);
CREATE INDEX users_by_subject ON users (subject);
CREATE INDEX users_by_upn ON users (upn_fold, id);
CREATE INDEX users_by_name ON users (name_fold, id);
CREATE INDEX users_by_email ON users (email_fold, id);
CREATE INDEX users_by_last_sign_in ON users (last_sign_in_at, id);
CREATE INDEX users_by_created ON users (created_at, id);
CREATE INDEX users_disabled ON users (upn_fold, id) WHERE status = 'disabled';

-- Search: the trigrams of names and addresses, kept in step by triggers. Keys of their own, since VACUUM may change the
-- rowids of a table without an integer key. Only which user has which trigram is kept, neither text nor positions.
CREATE TABLE user_search_keys (
    key     INTEGER PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL UNIQUE REFERENCES users (id)
);
CREATE VIRTUAL TABLE user_search USING fts5 (
    text, content = '', contentless_delete = 1, detail = none, tokenize = 'trigram'
);
CREATE TRIGGER user_search_insert AFTER INSERT ON users
BEGIN
    INSERT INTO user_search_keys (user_id) VALUES (new.id);
    INSERT INTO user_search (rowid, text)
    SELECT key, new.upn_fold || char(10) || new.name_fold || char(10) || new.email_fold
    FROM user_search_keys WHERE user_id = new.id;
END;
CREATE TRIGGER user_search_update AFTER UPDATE OF upn_fold, name_fold, email_fold ON users
WHEN (old.upn_fold, old.name_fold, old.email_fold) <> (new.upn_fold, new.name_fold, new.email_fold)
BEGIN
    DELETE FROM user_search WHERE rowid = (SELECT key FROM user_search_keys WHERE user_id = new.id);
    INSERT INTO user_search (rowid, text)
    SELECT key, new.upn_fold || char(10) || new.name_fold || char(10) || new.email_fold
    FROM user_search_keys WHERE user_id = new.id;
END;
CREATE TRIGGER user_search_delete BEFORE DELETE ON users
BEGIN
    DELETE FROM user_search WHERE rowid = (SELECT key FROM user_search_keys WHERE user_id = old.id);
    DELETE FROM user_search_keys WHERE user_id = old.id;
END;

-- Where a role comes from is kept apart: the provider's claims, or an administrator here.
CREATE TABLE user_roles (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    source     TEXT NOT NULL CHECK (source IN ('provider', 'local')),
    granted_at TIMESTAMP NOT NULL,
    -- Who granted it: a UPN, `command line`, a setting; empty for the provider.
    granted_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, role, source)
);
CREATE INDEX user_roles_by_role ON user_roles (role, user_id);

-- App roles of the last sign-in, lower case: who would get a role by a mapping that is added later.
CREATE TABLE user_app_roles (
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_role TEXT NOT NULL,
    PRIMARY KEY (user_id, app_role)
);
CREATE INDEX user_app_roles_by_app_role ON user_app_roles (app_role, user_id);

-- Group or app role (lower case) to role, edited by administrators; ROLE_MAPPING adds to it.
CREATE TABLE role_mappings (
    value      TEXT NOT NULL,
    role       TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (value, role)
);

-- Groups by object id; the name is a cache.
CREATE TABLE groups (
    id        TEXT PRIMARY KEY NOT NULL,
    realm     TEXT NOT NULL,
    object_id TEXT NOT NULL,
    name      TEXT NOT NULL DEFAULT '',
    seen_at   TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX groups_identity ON groups (realm, object_id);
CREATE INDEX groups_by_object_id ON groups (lower(object_id));

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id  TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
);
CREATE INDEX group_members_by_group ON group_members (group_id, user_id);

-- The cookie's value is never stored, only its SHA-256; `id` is for URLs and logs.
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY NOT NULL,
    id_hash      BLOB NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The provider's session id, for front-channel and back-channel logout.
    sid          TEXT,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    data         TEXT NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX sessions_by_hash ON sessions (id_hash);
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_sid ON sessions (sid) WHERE sid IS NOT NULL;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen_at, id);

-- A sign-in's state is used up at its first use; the rest of the transaction is in the browser's cookie.
CREATE TABLE used_transactions (
    state_hash BLOB PRIMARY KEY NOT NULL,
    -- The session that it begins; a reload by that session goes on to `next`.
    session_id TEXT,
    next       TEXT NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX used_transactions_by_expiry ON used_transactions (expires_at);

-- Tokens that this application holds for a person: sealed, one row a person and resource.
CREATE TABLE grants (
    id                TEXT PRIMARY KEY NOT NULL,
    user_id           TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    resource          TEXT NOT NULL,
    scopes            TEXT NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('live', 'needs_sign_in')),
    sealed            BLOB NOT NULL,
    has_refresh_token BOOLEAN NOT NULL,
    expires_at        TIMESTAMP NOT NULL,
    -- When the background refresh may take it; NULL when there is nothing to refresh.
    due_at            TIMESTAMP,
    -- Who refreshes it now: every write raises `version`, a lease ends by itself.
    version           BIGINT NOT NULL,
    leased_until      TIMESTAMP,
    failures          INTEGER NOT NULL DEFAULT 0,
    last_error        TEXT NOT NULL DEFAULT '',
    -- The claims challenge that the next token must meet: JSON, empty without one.
    challenge         TEXT NOT NULL DEFAULT '',
    refreshed_at      TIMESTAMP,
    created_at        TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX grants_by_user ON grants (user_id, resource);
CREATE INDEX grants_due ON grants (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX grants_by_state ON grants (state, id);
CREATE INDEX grants_retrying ON grants (id) WHERE failures > 0;
CREATE INDEX grants_expiring ON grants (id) WHERE NOT has_refresh_token;

-- What Microsoft Graph said last: `part` is me, manager or photo.
CREATE TABLE graph_cache (
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    part         TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body         BLOB NOT NULL,
    problem      TEXT NOT NULL DEFAULT '',
    fetched_at   TIMESTAMP NOT NULL,
    -- The last try, successful or not.
    tried_at     TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, part)
);

-- Where the directory sync of a tenant stands: one row a tenant, leased as grants are.
CREATE TABLE directory_syncs (
    tenant_id    TEXT PRIMARY KEY NOT NULL,
    -- Where Graph's delta query goes on; empty before the first complete round.
    delta_link   TEXT NOT NULL DEFAULT '',
    version      BIGINT NOT NULL DEFAULT 0,
    leased_until TIMESTAMP,
    due_at       TIMESTAMP NOT NULL,
    began_at     TIMESTAMP,
    ended_at     TIMESTAMP,
    -- What the last round came to, in words; one of the two is empty.
    result       TEXT NOT NULL DEFAULT '',
    error        TEXT NOT NULL DEFAULT '',
    failures     INTEGER NOT NULL DEFAULT 0,
    -- A round that would disable `held` of `held_of` users waits for an administrator, who allows so many.
    held         BIGINT NOT NULL DEFAULT 0,
    held_of      BIGINT NOT NULL DEFAULT 0,
    allowed      BIGINT NOT NULL DEFAULT 0
);

-- Append-only. Ids are UUIDs of version 7: their order is the order of time. No foreign keys: an
-- event outlives the people in it.
CREATE TABLE audit_events (
    id           TEXT PRIMARY KEY NOT NULL,
    at           TIMESTAMP NOT NULL,
    kind         TEXT NOT NULL,
    actor_id     TEXT,
    actor_name   TEXT NOT NULL,
    subject_id   TEXT,
    subject_name TEXT NOT NULL,
    address      TEXT NOT NULL,
    request_id   TEXT NOT NULL,
    detail       TEXT NOT NULL
);
CREATE INDEX audit_events_by_subject ON audit_events (subject_id, id);
CREATE INDEX audit_events_by_kind ON audit_events (kind, id);
CREATE INDEX audit_events_by_actor ON audit_events (actor_id, id);
CREATE INDEX audit_events_by_actor_name ON audit_events (lower(actor_name), id);
CREATE INDEX audit_events_by_subject_name ON audit_events (lower(subject_name), id);
CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are never changed');
END;
