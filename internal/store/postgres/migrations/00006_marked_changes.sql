-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Replicas learn of changes by changed_xid and by deleted_agents. These triggers maintain both for every statement, so that rows
-- written by hand or by COPY are noticed as well. ENABLE ALWAYS: in sessions that replicate, too. pg_restore creates triggers after
-- the rows; replicas compare the rows of pg_trigger for that.
CREATE FUNCTION mark_changed() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN NEW.changed_xid := pg_current_xact_id(); RETURN NEW; END$$;

CREATE TRIGGER agent_inserted BEFORE INSERT ON agents FOR EACH ROW
    WHEN (NEW.changed_xid IS DISTINCT FROM pg_current_xact_id()) EXECUTE FUNCTION mark_changed();
CREATE TRIGGER agent_updated BEFORE UPDATE ON agents FOR EACH ROW
    WHEN ((NEW.id, NEW.token_hash, NEW.poll_interval_seconds) IS DISTINCT FROM (OLD.id, OLD.token_hash, OLD.poll_interval_seconds)
        AND NEW.changed_xid IS DISTINCT FROM pg_current_xact_id()) EXECUTE FUNCTION mark_changed();
CREATE TRIGGER deployment_inserted BEFORE INSERT ON deployments FOR EACH ROW
    WHEN (NEW.changed_xid IS DISTINCT FROM pg_current_xact_id()) EXECUTE FUNCTION mark_changed();
CREATE TRIGGER deployment_updated BEFORE UPDATE ON deployments FOR EACH ROW
    WHEN ((OLD.status = 'pending' OR NEW.status = 'pending' OR NEW.agent_id <> OLD.agent_id)
        AND NEW.changed_xid IS DISTINCT FROM pg_current_xact_id()) EXECUTE FUNCTION mark_changed();

-- An agent that is in deleted_agents and exists lost deployments, or was deleted and enrolled again: replicas look again at what it
-- has pending. Who deletes rows need not have a right to write deleted_agents.
-- +goose StatementBegin
CREATE FUNCTION record_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    deleted text;
BEGIN
    IF TG_TABLE_NAME = 'agents' THEN deleted := OLD.id; ELSE deleted := OLD.agent_id; END IF;
    INSERT INTO deleted_agents AS known (agent_id) VALUES (deleted)
    ON CONFLICT (agent_id) DO UPDATE SET deleted_at = now(), changed_xid = pg_current_xact_id()
    WHERE known.changed_xid <> pg_current_xact_id();
    RETURN NULL;
END
$$;

CREATE FUNCTION record_truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF TG_TABLE_NAME = 'agents' THEN
        INSERT INTO deleted_agents (agent_id) SELECT id FROM agents ORDER BY id
        ON CONFLICT (agent_id) DO UPDATE SET deleted_at = now(), changed_xid = pg_current_xact_id();
    ELSE
        INSERT INTO deleted_agents (agent_id) SELECT DISTINCT agent_id FROM deployments ORDER BY agent_id
        ON CONFLICT (agent_id) DO UPDATE SET deleted_at = now(), changed_xid = pg_current_xact_id();
    END IF;
    RETURN NULL;
END
$$;

-- pg_restore's sessions have an empty search_path, and who writes by hand may have any.
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION record_deleted() SET search_path = pg_catalog, %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION record_truncated() SET search_path = pg_catalog, %I, pg_temp', current_schema());
END
$$;
-- +goose StatementEnd

CREATE TRIGGER agent_deleted AFTER DELETE ON agents FOR EACH ROW EXECUTE FUNCTION record_deleted();
CREATE TRIGGER agent_renamed AFTER UPDATE OF id ON agents FOR EACH ROW WHEN (NEW.id <> OLD.id) EXECUTE FUNCTION record_deleted();
CREATE TRIGGER agents_truncated BEFORE TRUNCATE ON agents FOR EACH STATEMENT EXECUTE FUNCTION record_truncated();
-- A row that goes takes its changed_xid along, which some replica may not have seen yet: that a deployment is pending no longer, say.
-- Replicas read everything again after an hour.
CREATE TRIGGER deployment_deleted AFTER DELETE ON deployments FOR EACH ROW
    WHEN (OLD.finished_at IS NULL OR OLD.finished_at > now() - interval '2 hours' OR OLD.changed_xid = pg_current_xact_id())
    EXECUTE FUNCTION record_deleted();
CREATE TRIGGER deployment_moved AFTER UPDATE OF agent_id ON deployments FOR EACH ROW
    WHEN (NEW.agent_id <> OLD.agent_id) EXECUTE FUNCTION record_deleted();
CREATE TRIGGER deployments_truncated BEFORE TRUNCATE ON deployments FOR EACH STATEMENT EXECUTE FUNCTION record_truncated();

ALTER TABLE agents ENABLE ALWAYS TRIGGER agent_inserted, ENABLE ALWAYS TRIGGER agent_updated, ENABLE ALWAYS TRIGGER agent_deleted,
    ENABLE ALWAYS TRIGGER agent_renamed, ENABLE ALWAYS TRIGGER agents_truncated;
ALTER TABLE deployments ENABLE ALWAYS TRIGGER deployment_inserted, ENABLE ALWAYS TRIGGER deployment_updated,
    ENABLE ALWAYS TRIGGER deployment_deleted, ENABLE ALWAYS TRIGGER deployment_moved, ENABLE ALWAYS TRIGGER deployments_truncated;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TRIGGER IF EXISTS agent_inserted ON agents;
DROP TRIGGER IF EXISTS agent_updated ON agents;
DROP TRIGGER IF EXISTS agent_deleted ON agents;
DROP TRIGGER IF EXISTS agent_renamed ON agents;
DROP TRIGGER IF EXISTS agents_truncated ON agents;
DROP TRIGGER IF EXISTS deployment_inserted ON deployments;
DROP TRIGGER IF EXISTS deployment_updated ON deployments;
DROP TRIGGER IF EXISTS deployment_deleted ON deployments;
DROP TRIGGER IF EXISTS deployment_moved ON deployments;
DROP TRIGGER IF EXISTS deployments_truncated ON deployments;
DROP FUNCTION IF EXISTS mark_changed(), record_deleted(), record_truncated();
