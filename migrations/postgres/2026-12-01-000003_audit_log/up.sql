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

CREATE FUNCTION refuse_audit_settings() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the settings of the audit log stay'; END $$;
CREATE TRIGGER audit_settings_stay BEFORE DELETE ON audit_settings
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_settings();
CREATE TRIGGER audit_settings_one BEFORE INSERT ON audit_settings
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_settings();
CREATE TRIGGER audit_settings_not_truncated BEFORE TRUNCATE ON audit_settings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_settings();

-- Places are given once, and whoever shortens the retention leaves a trace that is kept as long as any other.
CREATE FUNCTION check_audit_settings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    time   TEXT := lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::BIGINT), 12, '0');
    random TEXT := replace(gen_random_uuid()::TEXT, '-', '');
BEGIN
    IF (NEW.id = OLD.id AND NEW.last_seq >= OLD.last_seq) IS NOT TRUE THEN
        RAISE EXCEPTION 'places in the audit log are given once';
    END IF;
    IF NEW.retention_seconds < OLD.retention_seconds THEN
        INSERT INTO audit_events
            (id, at, kind, actor_id, actor_name, subject_id, subject_name, address, request_id, detail)
        VALUES (
            substr(time, 1, 8) || '-' || substr(time, 9) || '-7' || substr(random, 1, 3) || '-8' || substr(random, 4, 3)
                || '-' || substr(random, 21),
            timezone('utc', clock_timestamp()), 'audit.retention_lowered', 'system', 'system', NULL, '', '', '',
            jsonb_build_object('retention', OLD.retention_seconds || ' s → ' || NEW.retention_seconds || ' s')::TEXT
        );
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_settings_checked BEFORE UPDATE ON audit_settings
    FOR EACH ROW EXECUTE FUNCTION check_audit_settings();

-- Events from before this may be deleted.
CREATE VIEW audit_horizon AS
SELECT timezone('utc', clock_timestamp()) - make_interval(secs => retention_seconds) AS deletable_before
FROM audit_settings;

CREATE FUNCTION refuse_early_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < (SELECT deletable_before FROM audit_horizon) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit events are kept for AUDIT_RETENTION';
END $$;
CREATE TRIGGER audit_events_retained BEFORE DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_early_deletion();
CREATE TRIGGER audit_events_not_truncated BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_early_deletion();

CREATE FUNCTION check_new_audit_event() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the place of an audit event is given later'; END $$;
CREATE TRIGGER audit_events_new BEFORE INSERT ON audit_events
    FOR EACH ROW WHEN (NEW.seq IS NOT NULL) EXECUTE FUNCTION check_new_audit_event();

-- People who are gone and whose erasure is in the log, with what stands for their names.
CREATE VIEW erased_users AS
SELECT subject_id AS user_id, subject_name AS pseudonym
FROM audit_events
WHERE kind = 'user.erased'
    AND subject_name = 'erased-' || substr(subject_id, 25)
    AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = subject_id);

-- An event gets its place in the feed, once. Of somebody erased it loses the name, the address and the facts that name
-- them. Nothing else changes.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.at, NEW.kind, NEW.request_id) = (OLD.id, OLD.at, OLD.kind, OLD.request_id)
        AND NEW.actor_id IS NOT DISTINCT FROM OLD.actor_id
        AND NEW.subject_id IS NOT DISTINCT FROM OLD.subject_id
        AND (NEW.seq IS NOT DISTINCT FROM OLD.seq OR (OLD.seq IS NULL AND NEW.seq > (SELECT last_seq FROM audit_settings)))
        AND (
            NEW.actor_name = OLD.actor_name
            OR EXISTS (SELECT 1 FROM erased_users WHERE user_id = OLD.actor_id AND pseudonym = NEW.actor_name)
        )
        AND (
            NEW.subject_name = OLD.subject_name
            OR EXISTS (SELECT 1 FROM erased_users WHERE user_id = OLD.subject_id AND pseudonym = NEW.subject_name)
        )
        AND (
            NEW.address = OLD.address
            OR (NEW.address = '' AND EXISTS (
                SELECT 1 FROM erased_users WHERE user_id = coalesce(OLD.actor_id, OLD.subject_id)
            ))
            OR (NEW.address = '' AND OLD.actor_id IS NULL AND OLD.subject_id IS NULL AND NEW.detail <> OLD.detail)
        )
        AND (
            NEW.detail = OLD.detail
            OR (
                (SELECT count(*) FROM json_object_keys(NEW.detail::JSON))
                    = (SELECT count(*) FROM json_object_keys(OLD.detail::JSON))
                AND NOT EXISTS (
                    SELECT 1
                    FROM json_each_text(OLD.detail::JSON) AS was
                        LEFT JOIN json_each_text(NEW.detail::JSON) AS becomes ON becomes.key = was.key
                    WHERE becomes.key IS NULL
                        OR (becomes.value IS DISTINCT FROM was.value AND NOT EXISTS (
                            SELECT 1 FROM erased_users WHERE lower(pseudonym) = becomes.value COLLATE "C"
                        ))
                )
            )
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit events are never changed';
END $$;
