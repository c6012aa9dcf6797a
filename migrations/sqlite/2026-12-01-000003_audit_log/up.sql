-- The audit log keeps itself: no event is replaced, none goes before its time, and none changes but by an erasure.

-- The place of an event in the feed for other systems, given when it is first read there: an event that is committed
-- late comes late, and is never passed over.
ALTER TABLE audit_events ADD COLUMN seq BIGINT;
CREATE INDEX audit_events_by_seq ON audit_events (seq) WHERE seq IS NOT NULL;
CREATE INDEX audit_events_unread ON audit_events (id) WHERE seq IS NULL;

-- One row. `server serve` writes AUDIT_RETENTION; `last_seq` is the highest place given so far.
CREATE TABLE audit_settings (
    id                INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    retention_seconds BIGINT NOT NULL CHECK (retention_seconds BETWEEN 1 AND 315360000),
    last_seq          BIGINT NOT NULL
);
INSERT INTO audit_settings (id, retention_seconds, last_seq) VALUES (1, 31536000, 0);
CREATE TRIGGER audit_settings_stay BEFORE DELETE ON audit_settings
BEGIN
    SELECT RAISE(ABORT, 'the settings of the audit log stay');
END;
CREATE TRIGGER audit_settings_one BEFORE INSERT ON audit_settings
BEGIN
    SELECT RAISE(ABORT, 'the settings of the audit log stay');
END;
CREATE TRIGGER audit_settings_forward BEFORE UPDATE ON audit_settings
WHEN (NEW.id = OLD.id AND NEW.last_seq >= OLD.last_seq) IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'places in the audit log are given once');
END;

-- Whoever shortens the retention leaves a trace that is kept as long as any other.
CREATE TRIGGER audit_settings_lowered AFTER UPDATE ON audit_settings
WHEN NEW.retention_seconds < OLD.retention_seconds
BEGIN
    INSERT INTO audit_events
        (id, at, kind, actor_id, actor_name, subject_id, subject_name, address, request_id, detail)
    SELECT
        substr(time, 1, 8) || '-' || substr(time, 9) || '-7' || substr(random, 1, 3) || '-8' || substr(random, 4, 3)
            || '-' || substr(random, 7),
        strftime('%Y-%m-%d %H:%M:%f', 'now'), 'audit.retention_lowered', 'system', 'system', NULL, '', '', '',
        json_object('retention', OLD.retention_seconds || ' s → ' || NEW.retention_seconds || ' s')
    FROM (
        SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS time, lower(hex(randomblob(9))) AS random
    );
END;

-- Events from before this may be deleted.
CREATE VIEW audit_horizon AS
SELECT strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || retention_seconds || ' seconds') AS deletable_before
FROM audit_settings;

CREATE TRIGGER audit_events_retained BEFORE DELETE ON audit_events
WHEN (OLD.at < (SELECT deletable_before FROM audit_horizon)) IS NOT TRUE
BEGIN
    SELECT RAISE(ABORT, 'audit events are kept for AUDIT_RETENTION');
END;

-- What INSERT OR REPLACE replaces is deleted without a trigger's being asked: by the id, or by the hidden rowid (which
-- is -1 here unless it was given).
CREATE TRIGGER audit_events_new BEFORE INSERT ON audit_events
WHEN NEW.seq IS NOT NULL
    OR EXISTS (SELECT 1 FROM audit_events WHERE id = NEW.id)
    OR (NEW.rowid <> -1 AND EXISTS (SELECT 1 FROM audit_events WHERE rowid = NEW.rowid))
BEGIN
    SELECT RAISE(ABORT, 'audit events are never replaced');
END;

-- People who are gone and whose erasure is in the log, with what stands for their names.
CREATE VIEW erased_users AS
SELECT subject_id AS user_id, subject_name AS pseudonym
FROM audit_events
WHERE kind = 'user.erased'
    AND subject_name = 'erased-' || substr(subject_id, 25)
    AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = subject_id);

-- An event gets its place in the feed, once. Of somebody erased it loses the name, the address and the facts that name
-- them. Nothing else changes.
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
