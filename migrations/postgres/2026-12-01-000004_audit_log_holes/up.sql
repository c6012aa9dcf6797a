-- Ways around the audit log that plain SQL had left.

-- A shorter retention, and what was deleted with it, is told of for ten years, whatever the retention is later.
CREATE OR REPLACE FUNCTION refuse_early_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT deletable_before FROM audit_horizon)
            AND (OLD.kind <> 'audit.retention_lowered' OR OLD.at < timezone('utc', clock_timestamp()) - interval '10 years')
        THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit events are kept for AUDIT_RETENTION';
END $$;

-- No two events have one place, and places follow each other: as many at a time as the feed gives.
DROP INDEX audit_events_by_seq;
CREATE UNIQUE INDEX audit_events_by_seq ON audit_events (seq) WHERE seq IS NOT NULL;

-- In an event of others, an erasure changes what may name a person and no other fact.
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.at, NEW.kind, NEW.request_id) = (OLD.id, OLD.at, OLD.kind, OLD.request_id)
        AND NEW.actor_id IS NOT DISTINCT FROM OLD.actor_id
        AND NEW.subject_id IS NOT DISTINCT FROM OLD.subject_id
        AND (NEW.seq IS NOT DISTINCT FROM OLD.seq OR (OLD.seq IS NULL AND NEW.seq - (SELECT last_seq FROM audit_settings) BETWEEN 1 AND 1001))
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
                            SELECT 1 FROM erased_users
                            WHERE lower(pseudonym) = becomes.value COLLATE "C"
                                AND (
                                    user_id IN (OLD.actor_id, OLD.subject_id)
                                    OR was.key IN
                                        ('filters', 'upn', 'login_hint', 'email', 'display_name', 'error_description')
                                )
                        ))
                )
            )
        )
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit events are never changed';
END $$;
