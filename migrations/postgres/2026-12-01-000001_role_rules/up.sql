-- Which rule gives whom which role from the provider, and how old the news are that it rests on.

CREATE TABLE user_role_rules (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role    TEXT COLLATE "C" NOT NULL,
    -- The rule without its role, in its one spelling (server/src/config/rule.rs).
    rule    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, role, rule)
);
CREATE INDEX user_role_rules_by_rule ON user_role_rules (rule, role, user_id);

-- The last verified token that told app roles; NULL: since before this migration.
ALTER TABLE users ADD COLUMN roles_synced_at TIMESTAMP;
-- When the groups were last told; NULL with groups_kept: there is nothing to keep.
ALTER TABLE users ADD COLUMN groups_synced_at TIMESTAMP;
-- Whether they could not be read since, and stay as they were for a while.
ALTER TABLE users ADD COLUMN groups_kept BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX users_with_kept_groups ON users (groups_synced_at) WHERE groups_kept;

-- A name is an app role from now on. Where it can only have been a group, it stays one.
UPDATE role_mappings SET value = 'approle:' || value WHERE value LIKE 'group:%' OR value LIKE 'approle:%';
UPDATE role_mappings SET value = 'group:' || value
WHERE value NOT LIKE 'approle:%'
  AND value NOT LIKE '________-____-____-____-____________'
  AND value IN (SELECT lower(object_id) FROM groups)
  AND value NOT IN (SELECT app_role FROM user_app_roles);
