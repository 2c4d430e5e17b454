-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Who may see which executions. The service's login takes one of these in every transaction that touches them; the login
-- itself sees none, not even as the owner. Roles belong to the whole server, so they may be there already; where the login
-- may not make roles, an administrator makes them beforehand and grants them to it.
-- +goose StatementBegin
DO $$
DECLARE
    taken text;
    from_16 boolean := current_setting('server_version_num')::int >= 160000;
    quietly text := CASE WHEN from_16 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
BEGIN
    FOREACH taken IN ARRAY ARRAY['watchbill_writer', 'watchbill_admin', 'watchbill_user'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = taken) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', taken);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- by the migration of another database, at this moment
            END;
        END IF;
        -- From 16 on whoever makes a role is a member that may not take it.
        IF NOT pg_has_role(current_user, taken, CASE WHEN from_16 THEN 'SET' ELSE 'MEMBER' END) THEN
            EXECUTE format('GRANT %I TO %I', taken, current_user) || quietly;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), taken); -- which PUBLIC has, unless it was taken away
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Partitions are days, made when the first of their executions comes and dropped whole. There is no default one: it would
-- keep others from being detached while executions come in.
CREATE TABLE agent_executions (
    user_id            text NOT NULL CHECK (user_id <> ''),
    created_at         timestamptz NOT NULL,
    execution_id       text NOT NULL,
    session_id         text NOT NULL,
    request_id         text NOT NULL,
    agent_name         text NOT NULL,
    kind               text NOT NULL CHECK (kind IN ('agent', 'inference', 'tool')),
    request            boolean NOT NULL,  -- it counts as a request; the others are parts of one
    variant            text NOT NULL,
    status             text NOT NULL CHECK (status IN ('success', 'failure', 'timeout')),
    error_message      text NOT NULL,
    execution_time_ms  double precision NOT NULL CHECK (execution_time_ms >= 0),
    provider           text NOT NULL,
    model_used         text NOT NULL,
    tokens_used        bigint NOT NULL CHECK (tokens_used >= 0),
    input_tokens       bigint NOT NULL CHECK (input_tokens >= 0),
    output_tokens      bigint NOT NULL CHECK (output_tokens >= 0),
    cache_read_tokens  bigint NOT NULL CHECK (cache_read_tokens >= 0),
    cache_write_tokens bigint NOT NULL CHECK (cache_write_tokens >= 0),
    reasoning_tokens   bigint NOT NULL CHECK (reasoning_tokens >= 0),
    cost_nano_usd      bigint,            -- null: no price
    price_version      text NOT NULL,
    trace_id           text NOT NULL,
    span_id            text NOT NULL,
    parent_span_id     text NOT NULL,
    capped             smallint NOT NULL, -- in the rollups its agent (1), its model (2) or both (3) are 'other'
    ingested_at        timestamptz NOT NULL DEFAULT now(),
    input_data         jsonb,
    output_data        jsonb,
    PRIMARY KEY (user_id, created_at, execution_id)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_execution_agent ON agent_executions (agent_name, created_at);
CREATE INDEX idx_execution_status ON agent_executions (status, created_at);
CREATE INDEX idx_execution_created_at ON agent_executions (created_at);

ALTER TABLE agent_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_executions FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON agent_executions TO watchbill_admin USING (true) WITH CHECK (true);
CREATE POLICY own ON agent_executions FOR SELECT TO watchbill_user
    USING (user_id = NULLIF(current_setting('watchbill.user_id', true), ''));
CREATE POLICY incoming ON agent_executions FOR INSERT TO watchbill_writer WITH CHECK (true);
CREATE POLICY written ON agent_executions FOR SELECT TO watchbill_writer USING (true); -- of the columns below
GRANT SELECT, UPDATE, DELETE ON agent_executions TO watchbill_admin;
GRANT SELECT ON agent_executions TO watchbill_user;
GRANT INSERT ON agent_executions TO watchbill_writer;
GRANT SELECT (user_id, created_at, execution_id) ON agent_executions TO watchbill_writer;

-- All of an execution but what is large, for what changes or deletes executions and never looks at that.
CREATE VIEW execution_figures WITH (security_invoker = true) AS
SELECT user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status, error_message,
    execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped
FROM agent_executions;
GRANT SELECT, UPDATE, DELETE ON execution_figures TO watchbill_admin;

-- What executions add up to. seconds is the bucket's width: a minute, a quarter of an hour, an hour and a day, each
-- complete in itself. durations is a sketch.
CREATE TABLE execution_rollups (
    seconds            integer NOT NULL,
    bucket             timestamptz NOT NULL,
    agent              text NOT NULL,
    model              text NOT NULL,
    status             text NOT NULL,
    request            boolean NOT NULL,
    count              bigint NOT NULL,
    time_us            bigint NOT NULL,
    tokens_used        bigint NOT NULL,
    input_tokens       bigint NOT NULL,
    output_tokens      bigint NOT NULL,
    cache_read_tokens  bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens   bigint NOT NULL,
    cost_nano_usd      bigint NOT NULL,
    unpriced_tokens    bigint NOT NULL,
    durations          bytea NOT NULL,
    PRIMARY KEY (seconds, bucket, agent, model, status, request)
);

-- What is not folded into the rollups yet, by the minute. Each transaction that changes executions appends what that
-- changes, with the sign it has; so writers never wait for one another's row, and readers add both up.
CREATE TABLE execution_deltas (LIKE execution_rollups);
ALTER TABLE execution_deltas DROP COLUMN seconds;

-- The same by user, from the quarter of an hour up, so that a day can be that of any time zone.
CREATE TABLE user_rollups (
    seconds            integer NOT NULL,
    bucket             timestamptz NOT NULL,
    user_id            text NOT NULL,
    model              text NOT NULL,
    requests           bigint NOT NULL,
    tokens_used        bigint NOT NULL,
    input_tokens       bigint NOT NULL,
    output_tokens      bigint NOT NULL,
    cache_read_tokens  bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    reasoning_tokens   bigint NOT NULL,
    cost_nano_usd      bigint NOT NULL,
    unpriced_tokens    bigint NOT NULL,
    PRIMARY KEY (seconds, bucket, user_id, model)
) WITH (fillfactor = 70);
CREATE INDEX idx_user_rollup_user ON user_rollups (user_id);
CREATE TABLE user_deltas (LIKE user_rollups);
ALTER TABLE user_deltas DROP COLUMN seconds;

-- Rows come and go; what is dead must not be read again and again.
ALTER TABLE execution_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1);
ALTER TABLE user_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1);

-- A sum that stops at the largest number, instead of failing whoever adds to it.
CREATE FUNCTION clamped(numeric) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN LEAST(GREATEST($1, -9223372036854775808), 9223372036854775807)::bigint;

-- The agents and models that the rollups tell apart: the first so many. All others are 'other' there.
CREATE TABLE rollup_names (
    kind text NOT NULL CHECK (kind IN ('agent', 'model')),
    name text NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(), -- some time before the first of its rows is committed
    PRIMARY KEY (kind, name)
);

-- Spans, for as long as those below them may come or wait for the ones above. Children usually arrive first.
CREATE TABLE span_ancestors (
    trace_id       text NOT NULL,
    span_id        text NOT NULL,
    parent_span_id text NOT NULL,  -- empty: the root
    agent          text NOT NULL,  -- that the span names; empty: none. Likewise the next two
    user_id        text NOT NULL,
    session_id     text NOT NULL,
    execution      boolean NOT NULL,
    seen_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (trace_id, span_id)
);
CREATE INDEX idx_span_ancestor_seen ON span_ancestors (seen_at);

-- Executions some of whose ancestors are still to come. check_at is when to look for these again: soon after more of the
-- trace came, and else at growing intervals, in case that was missed.
CREATE TABLE unsettled_executions (
    user_id      text NOT NULL,
    created_at   timestamptz NOT NULL,
    execution_id text NOT NULL,
    trace_id     text NOT NULL,
    span_id      text NOT NULL,
    since        timestamptz NOT NULL DEFAULT now(),
    check_at     timestamptz NOT NULL,
    PRIMARY KEY (user_id, created_at, execution_id)
);
CREATE INDEX idx_unsettled_trace ON unsettled_executions (trace_id);
CREATE INDEX idx_unsettled_check ON unsettled_executions (check_at);

GRANT SELECT ON rollup_names TO watchbill_writer, watchbill_admin;
GRANT INSERT ON execution_deltas, user_deltas TO watchbill_writer;
GRANT SELECT, INSERT ON span_ancestors TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE ON unsettled_executions TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_deltas, user_deltas, execution_rollups, user_rollups, span_ancestors, unsettled_executions
    TO watchbill_admin;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP VIEW execution_figures;
DROP TABLE unsettled_executions, span_ancestors, rollup_names, user_deltas, user_rollups, execution_deltas, execution_rollups, agent_executions;
DROP FUNCTION clamped(numeric);
