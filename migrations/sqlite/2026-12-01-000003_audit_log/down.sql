DROP TRIGGER audit_events_append_only;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit events are never changed');
END;
DROP VIEW erased_users;
DROP TRIGGER audit_events_new;
DROP TRIGGER audit_events_retained;
DROP VIEW audit_horizon;
DROP TABLE audit_settings;
DROP INDEX audit_events_unread;
DROP INDEX audit_events_by_seq;
ALTER TABLE audit_events DROP COLUMN seq;
