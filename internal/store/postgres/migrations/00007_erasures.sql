-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Which users were erased when, for as long as something of them may still be on its way: on a spool's disk, in a queue, in a run.
-- What of a user began before is not stored any more. Users are told by a hash; theirs is not kept.
CREATE TABLE erasures (
    user_hash bytea PRIMARY KEY CHECK (octet_length(user_hash) = 32),
    erased_at timestamptz NOT NULL
);
CREATE INDEX idx_erasure_erased_at ON erasures (erased_at);
GRANT SELECT ON erasures TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON erasures TO watchbill_admin;
GRANT SELECT, UPDATE ON reports TO watchbill_admin; -- which name the dearest users

-- What names a user is seen by those alone who took a role, as executions are. (user_deltas is not: PostgreSQL does not COPY into
-- such a table. What is there is folded within seconds.)
ALTER TABLE user_rollups ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_rollups FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON user_rollups TO watchbill_admin USING (true) WITH CHECK (true);
CREATE POLICY own ON user_rollups FOR SELECT TO watchbill_user
    USING (user_id = NULLIF(current_setting('watchbill.user_id', true), ''));

ALTER TABLE span_ancestors ENABLE ROW LEVEL SECURITY;
ALTER TABLE span_ancestors FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON span_ancestors TO watchbill_admin, watchbill_writer USING (true) WITH CHECK (true);

ALTER TABLE unsettled_executions ENABLE ROW LEVEL SECURITY;
ALTER TABLE unsettled_executions FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON unsettled_executions TO watchbill_admin, watchbill_writer USING (true) WITH CHECK (true);

-- The previous release folds and reads user_rollups, and cleans up, without a role. Where its replicas have run lately they may go
-- on doing so for a week: for a roll-out, and for the way back.
-- +goose StatementBegin
DO $$
DECLARE
    guarded text;
BEGIN
    IF EXISTS (SELECT FROM replica_rollups WHERE bucket > now() - interval '1 day') THEN
        FOREACH guarded IN ARRAY ARRAY['user_rollups', 'span_ancestors', 'unsettled_executions'] LOOP
            EXECUTE format('CREATE POLICY previous_release ON %I TO %I USING (now() < %L::timestamptz) WITH CHECK (now() < %L::timestamptz)',
                guarded, current_user, now() + interval '7 days', now() + interval '7 days');
        END LOOP;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
SET LOCAL lock_timeout = '5s';
-- +goose StatementBegin
DO $$
DECLARE
    guarded text;
    policy text;
BEGIN
    FOREACH guarded IN ARRAY ARRAY['user_rollups', 'span_ancestors', 'unsettled_executions'] LOOP
        FOREACH policy IN ARRAY ARRAY['everything', 'own', 'previous_release'] LOOP
            EXECUTE format('DROP POLICY IF EXISTS %I ON %I', policy, guarded);
        END LOOP;
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', guarded);
        EXECUTE format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', guarded);
    END LOOP;
END
$$;
-- +goose StatementEnd
REVOKE SELECT, UPDATE ON reports FROM watchbill_admin;
DROP TABLE erasures;
