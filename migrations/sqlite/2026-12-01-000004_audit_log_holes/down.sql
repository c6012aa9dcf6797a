DROP TRIGGER audit_events_append_only;
CREATE TRIGGER audit_events_append_only BEFORE UPDATE ON audit_events
WHEN (
    NEW.rowid IS OLD.rowid
    AND NEW.id IS OLD.id
    AND NEW.at IS OLD.at
    AND NEW.kind IS OLD.kind
    AND NEW.actor_id IS OLD.actor_id
    AND NEW.subject_id IS OLD.subject_id
    AND NEW.request_id IS OLD.request_id
    AND (NEW.seq IS OLD.seq OR (OLD.seq IS NULL AND NEW.seq > (SELECT last_seq FROM audit_settings)))
    AND (
        NEW.actor_name IS OLD.actor_name
        OR EXISTS (SELECT 1 FROM erased_users WHERE user_id = OLD.actor_id AND pseudonym = NEW.actor_name)
    )
    AND (
        NEW.subject_name IS OLD.subject_name
        OR EXISTS (SELECT 1 FROM erased_users WHERE user_id = OLD.subject_id AND pseudonym = NEW.subject_name)
    )
    AND (
        NEW.address IS OLD.address
        OR (NEW.address = '' AND EXISTS (
            SELECT 1 FROM erased_users WHERE user_id = coalesce(OLD.actor_id, OLD.subject_id)
        ))
        OR (NEW.address = '' AND OLD.actor_id IS NULL AND OLD.subject_id IS NULL AND NEW.detail IS NOT OLD.detail)
    )
    AND (
        NEW.detail IS OLD.detail
        OR (
            (SELECT count(*) FROM json_each(NEW.detail)) = (SELECT count(*) FROM json_each(OLD.detail))
            AND NOT EXISTS (
                SELECT 1
                FROM json_each(OLD.detail) AS was LEFT JOIN json_each(NEW.detail) AS becomes ON becomes.key = was.key
                WHERE becomes.key IS NULL
                    OR (becomes.value IS NOT was.value AND NOT EXISTS (
                        SELECT 1 FROM erased_users WHERE lower(pseudonym) = becomes.value
                    ))
            )
        )
    )
) IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'audit events are never changed');
END;
DROP INDEX audit_events_by_seq;
CREATE INDEX audit_events_by_seq ON audit_events (seq) WHERE seq IS NOT NULL;
DROP TRIGGER audit_events_retained;
CREATE TRIGGER audit_events_retained BEFORE DELETE ON audit_events
WHEN (OLD.at < (SELECT deletable_before FROM audit_horizon)) IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'audit events are kept for AUDIT_RETENTION');
END;
