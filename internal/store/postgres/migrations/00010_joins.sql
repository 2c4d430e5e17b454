-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What spans are to one another is decided anew whenever more of their trace comes, from what is known of all of them. A replica of
-- an older release stores no facts: such a span only hands its names down.
ALTER TABLE span_ancestors
    ADD COLUMN facts      smallint NOT NULL DEFAULT 0, -- role and status, and whether its name is a default: see spanFacts
    ADD COLUMN ended_at   timestamptz,
    ADD COLUMN scope      bigint NOT NULL DEFAULT 0, -- hashes, as the next three; 0: not told
    ADD COLUMN process    bigint NOT NULL DEFAULT 0,
    ADD COLUMN response   bigint NOT NULL DEFAULT 0, -- of the provider's id of a call's answer
    ADD COLUMN similar_to bigint NOT NULL DEFAULT 0, -- of a call's process, scope and model
    ADD COLUMN owner      text NOT NULL DEFAULT '',  -- the user in the key of the span's execution; empty: it has no row
    ADD COLUMN gone       boolean NOT NULL DEFAULT false; -- its execution is a step of another, or the same call as another
CREATE INDEX idx_span_response ON span_ancestors (response, started_at) WHERE response <> 0;
CREATE INDEX idx_span_similar ON span_ancestors (similar_to, started_at) WHERE similar_to <> 0;

-- Metrics have counted it, though it is looked at again.
ALTER TABLE unsettled_executions ADD COLUMN heard boolean NOT NULL DEFAULT false;

-- Executions that are steps of others or the same call as others, and those that others were merged into: what they were before.
-- What comes again with the id of one that was merged is a duplicate.
CREATE TABLE joined_executions (
    execution_id text PRIMARY KEY,
    into_id      text NOT NULL,         -- its own where others were merged into it; empty: it is a step
    reason       text NOT NULL,         -- response_id, parent, similarity or step
    user_id      text NOT NULL,         -- whose execution it is a part of
    created_at   timestamptz NOT NULL,
    trace_id     text NOT NULL,
    heard        boolean NOT NULL,      -- metrics have counted it
    figures      jsonb                  -- the execution without its contents
);
CREATE INDEX idx_joined_execution_into ON joined_executions (into_id);
CREATE INDEX idx_joined_execution_user ON joined_executions (user_id);
CREATE INDEX idx_joined_execution_created_at ON joined_executions (created_at);
ALTER TABLE joined_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE joined_executions FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON joined_executions TO watchbill_admin, watchbill_writer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON joined_executions TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON joined_executions TO watchbill_admin;

-- Which instrumentations of a process tell of calls: only where there are several may two of them tell of the same one.
CREATE TABLE call_scopes (
    process bigint NOT NULL,
    scope   bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (process, scope)
);
CREATE INDEX idx_call_scope_seen_at ON call_scopes (seen_at);
GRANT SELECT, INSERT, UPDATE ON call_scopes TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON call_scopes TO watchbill_admin;

-- What was merged and turns out to be apart is stored again.
GRANT INSERT ON agent_executions TO watchbill_admin;

-- +goose Down
SET LOCAL lock_timeout = '5s';
REVOKE INSERT ON agent_executions FROM watchbill_admin;
DROP TABLE call_scopes, joined_executions;
ALTER TABLE unsettled_executions DROP COLUMN heard;
ALTER TABLE span_ancestors DROP COLUMN facts, DROP COLUMN ended_at, DROP COLUMN scope,
    DROP COLUMN process, DROP COLUMN response, DROP COLUMN similar_to, DROP COLUMN owner, DROP COLUMN gone;
