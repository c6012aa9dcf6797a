CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit events are never changed'; END $$;
DROP VIEW erased_users;
DROP TRIGGER audit_events_new ON audit_events;
DROP TRIGGER audit_events_not_truncated ON audit_events;
DROP TRIGGER audit_events_retained ON audit_events;
DROP FUNCTION check_new_audit_event;
DROP FUNCTION refuse_early_deletion;
DROP VIEW audit_horizon;
DROP TABLE audit_settings;
DROP FUNCTION check_audit_settings;
DROP FUNCTION refuse_audit_settings;
DROP INDEX audit_events_unread;
DROP INDEX audit_events_by_seq;
ALTER TABLE audit_events DROP COLUMN seq;
