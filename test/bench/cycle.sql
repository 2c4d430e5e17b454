-- One deployment's life for pgbench, with the product's statements: created, claimed, finished.
\set agent random(0, :agents - 1)
\set key random(0, 9223372036854775806)
BEGIN;
INSERT INTO idempotency_keys AS known (key, request_hash, answer, expires_at)
VALUES ('bare-' || :key || '-' || :client_id, '\x00', '', now() + 86400::float8 * interval '1 second')
ON CONFLICT (key) DO UPDATE SET request_hash = EXCLUDED.request_hash, answer = '', expires_at = EXCLUDED.expires_at
WHERE known.expires_at <= now();
SELECT id FROM agents WHERE id = ANY (ARRAY['agent-' || lpad((:agent)::text, 8, '0')]) ORDER BY id FOR KEY SHARE;
WITH made AS (
    INSERT INTO deployments (id, agent_id, group_id, name, spec, max_attempts, lease_seconds)
    SELECT target.id, target.agent_id, gen_random_uuid(), 'bench', '{"image": "registry.example/app:1"}', 3, 60
    FROM (SELECT unnest(ARRAY[gen_random_uuid()]) AS id, unnest(ARRAY['agent-' || lpad((:agent)::text, 8, '0')]) AS agent_id) AS target
    ORDER BY target.id
    RETURNING id, created_at
)
SELECT id AS deployment, created_at FROM made \gset
UPDATE idempotency_keys SET answer = convert_to(repeat('x', 300), 'UTF8') WHERE key = 'bare-' || :key || '-' || :client_id;
COMMIT;
BEGIN;
SELECT s.*, clock_timestamp()::timestamptz AS read_at FROM deployment_states s WHERE s.id = (:deployment)::uuid FOR NO KEY UPDATE;
UPDATE deployments
SET status = 'running', attempt = 1, claim = 'bench', lease_expires_at = now() + interval '60 s', available_at = available_at,
    progress = NULL, message = NULL, output = NULL, started_at = now(), finished_at = NULL, changed_xid = pg_current_xact_id()
WHERE id = (:deployment)::uuid AND status = 'pending' AND attempt = 1;
COMMIT;
BEGIN;
SELECT s.*, clock_timestamp()::timestamptz AS read_at FROM deployment_states s WHERE s.id = (:deployment)::uuid FOR NO KEY UPDATE;
UPDATE deployments
SET status = 'succeeded', attempt = 1, claim = 'bench', lease_expires_at = NULL, available_at = available_at,
    progress = NULL, message = NULL, output = NULL, started_at = started_at, finished_at = now(), changed_xid = changed_xid
WHERE id = (:deployment)::uuid AND status = 'running' AND attempt = 1;
COMMIT;
