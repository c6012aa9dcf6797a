UPDATE role_mappings SET value = substr(value, 7) WHERE value LIKE 'group:%';
UPDATE role_mappings SET value = substr(value, 9) WHERE value LIKE 'approle:%';
DROP INDEX users_with_kept_groups;
ALTER TABLE users DROP COLUMN groups_kept;
ALTER TABLE users DROP COLUMN groups_synced_at;
ALTER TABLE users DROP COLUMN roles_synced_at;
DROP TABLE user_role_rules;
