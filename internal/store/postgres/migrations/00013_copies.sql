-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Executions and spans are copied in by the login as the owner: PostgreSQL copies into a table with row-level security only for an
-- owner whom that does not bind. Instead the owner may not read or change them, which only watchbill_admin may.
-- A partition that a replica of the previous release makes is not so; what belongs there is inserted.
-- +goose StatementBegin
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'agent_executions'::regclass LOOP
        EXECUTE format('REVOKE SELECT, UPDATE, DELETE, TRUNCATE ON %s FROM CURRENT_USER', partition);
        EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', partition);
    END LOOP;
END
$$;
-- +goose StatementEnd
REVOKE SELECT, UPDATE, DELETE, TRUNCATE ON span_ancestors FROM CURRENT_USER;
ALTER TABLE span_ancestors NO FORCE ROW LEVEL SECURITY;

-- A sum of two that stops at the largest number, as clamped does. Where neither is large it takes no numeric.
CREATE FUNCTION added(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN $1 BETWEEN -4611686018427387904 AND 4611686018427387903 AND $2 BETWEEN -4611686018427387904 AND 4611686018427387903
    THEN $1 + $2 ELSE clamped($1::numeric + $2) END;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP FUNCTION added(bigint, bigint);
ALTER TABLE span_ancestors FORCE ROW LEVEL SECURITY;
GRANT ALL ON span_ancestors TO CURRENT_USER;
-- +goose StatementBegin
DO $$
DECLARE
    partition regclass;
BEGIN
    FOR partition IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'agent_executions'::regclass LOOP
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', partition);
        EXECUTE format('GRANT ALL ON %s TO CURRENT_USER', partition);
    END LOOP;
END
$$;
-- +goose StatementEnd
