-- +goose Up
SET LOCAL lock_timeout = '5s';

-- changed_xid is the transaction that last changed what a replica's mailbox must know. Replicas ask for the rows that
-- became visible since their last snapshot, which stays right however transactions overlap.
CREATE TABLE agents (
    id                    text PRIMARY KEY CHECK (id <> '' AND octet_length(id) <= 128),
    name                  text NOT NULL,
    labels                jsonb NOT NULL DEFAULT '{}',
    token_hash            bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    poll_interval_seconds integer NOT NULL CHECK (poll_interval_seconds BETWEEN 1 AND 3600),
    version               text NOT NULL DEFAULT '',
    registered_at         timestamptz NOT NULL DEFAULT now(),
    changed_xid           xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX idx_agent_name ON agents (name);
CREATE INDEX idx_agent_labels ON agents USING gin (labels jsonb_path_ops);
CREATE INDEX idx_agent_changed ON agents (changed_xid);

-- Written by every poll, so narrow and with room for heap-only updates; no other index.
CREATE TABLE agent_presence (
    agent_id         text PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
    last_seen_at     timestamptz NOT NULL,
    interval_seconds real NOT NULL CHECK (interval_seconds > 0)
) WITH (fillfactor = 50);

-- A deleted row cannot bear a changed_xid; this does, until every replica must have seen it.
CREATE TABLE deleted_agents (
    agent_id    text PRIMARY KEY,
    deleted_at  timestamptz NOT NULL DEFAULT now(),
    changed_xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX idx_deleted_agent_changed ON deleted_agents (changed_xid);

CREATE TABLE deployments (
    id               uuid PRIMARY KEY,
    agent_id         text NOT NULL REFERENCES agents ON DELETE CASCADE,
    group_id         uuid NOT NULL,
    name             text NOT NULL,
    spec             jsonb NOT NULL,
    status           text NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled')),
    attempt          integer NOT NULL DEFAULT 1 CHECK (attempt BETWEEN 1 AND max_attempts),
    claim            text,
    max_attempts     integer NOT NULL,
    lease_seconds    integer NOT NULL,
    lease_expires_at timestamptz,
    available_at     timestamptz NOT NULL DEFAULT now(),
    progress         double precision,
    message          text,
    output           text,
    created_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    changed_xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((status = 'running') = (lease_expires_at IS NOT NULL)),
    CHECK ((status IN ('pending', 'running')) = (finished_at IS NULL)),
    CHECK (status <> 'pending' OR claim IS NULL)
);
CREATE INDEX idx_deployment_agent_status_created ON deployments (agent_id, status, created_at);
CREATE INDEX idx_deployment_status ON deployments (status);
CREATE INDEX idx_deployment_created_at ON deployments (created_at);
CREATE INDEX idx_deployment_group ON deployments (group_id);
CREATE INDEX idx_deployment_lease ON deployments (lease_expires_at) WHERE status = 'running';
CREATE INDEX idx_deployment_changed ON deployments (changed_xid);

-- All of a deployment but what is large and never changes: moving or listing one does not read its spec.
CREATE VIEW deployment_states AS
SELECT id, agent_id, group_id, name, status, attempt, claim, max_attempts, lease_seconds, lease_expires_at, available_at,
       progress, message, output, created_at, started_at, finished_at
FROM deployments;

-- How many are pending goes from none to all within a second. A planner that has seen none would read all that are
-- pending for each agent's poll; one that has seen nothing takes the index that names the agent.
ALTER TABLE deployments ALTER COLUMN status SET STATISTICS 0;

-- The runs that retries have superseded; the current one is in deployments.
CREATE TABLE deployment_attempts (
    deployment_id uuid NOT NULL REFERENCES deployments ON DELETE CASCADE,
    attempt       integer NOT NULL,
    claim         text NOT NULL,
    status        text NOT NULL CHECK (status IN ('failed', 'timed_out')),
    progress      double precision,
    message       text,
    output        text,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    PRIMARY KEY (deployment_id, attempt)
);

CREATE TABLE deployment_logs (
    deployment_id uuid NOT NULL REFERENCES deployments ON DELETE CASCADE,
    attempt       integer NOT NULL,
    start_offset  bigint NOT NULL CHECK (start_offset >= 0),
    chunk         bytea NOT NULL CHECK (octet_length(chunk) > 0),
    PRIMARY KEY (deployment_id, attempt, start_offset)
);

CREATE TABLE idempotency_keys (
    key          text PRIMARY KEY,
    request_hash bytea NOT NULL,
    answer       bytea NOT NULL,
    expires_at   timestamptz NOT NULL
);
CREATE INDEX idx_idempotency_key_expires ON idempotency_keys (expires_at);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP VIEW deployment_states;
DROP TABLE idempotency_keys, deployment_logs, deployment_attempts, deployments, deleted_agents, agent_presence, agents;
