-- name: InsertDeployments :one
WITH made AS (
    INSERT INTO deployments (id, agent_id, group_id, name, spec, max_attempts, lease_seconds)
    SELECT target.id, target.agent_id, sqlc.arg(group_id), sqlc.arg(name), sqlc.arg(spec), sqlc.arg(max_attempts), sqlc.arg(lease_seconds)
    FROM (SELECT unnest(sqlc.arg(ids)::uuid[]) AS id, unnest(sqlc.arg(agent_ids)::text[]) AS agent_id) AS target
    ORDER BY target.id
    RETURNING created_at
)
SELECT max(created_at)::timestamptz AS created_at FROM made;

-- name: PendingDeployments :many
-- One agent, one status, oldest first. Specs are read one after the other until their sizes add up to the limit, so that
-- those beyond it are not read; the first one is returned whatever its size.
WITH RECURSIVE due AS MATERIALIZED (
    SELECT d.id, d.name, d.attempt, d.created_at, d.lease_seconds, row_number() OVER (ORDER BY d.created_at, d.id) AS place
    FROM deployments d
    WHERE d.agent_id = $1 AND d.status = 'pending' AND d.available_at <= now()
    ORDER BY d.created_at, d.id
    LIMIT sqlc.arg(max_rows)::int
), fits (place, spec, total) AS (
    SELECT due.place, one.spec, octet_length(one.spec)::bigint
    FROM due CROSS JOIN LATERAL (SELECT d.spec::text AS spec FROM deployments d WHERE d.id = due.id OFFSET 0) AS one
    WHERE due.place = 1
    UNION ALL
    SELECT due.place, one.spec, fits.total + octet_length(one.spec)
    FROM fits
    JOIN due ON due.place = fits.place + 1
    CROSS JOIN LATERAL (SELECT d.spec::text AS spec FROM deployments d WHERE d.id = due.id OFFSET 0) AS one
    WHERE fits.total + octet_length(one.spec) <= sqlc.arg(max_bytes)::bigint
)
SELECT due.id, due.name, COALESCE(fits.spec, '')::text AS spec, due.attempt, due.created_at, due.lease_seconds
FROM due LEFT JOIN fits ON fits.place = due.place
ORDER BY due.place;

-- name: GetDeployment :one
SELECT sqlc.embed(s), d.spec FROM deployment_states s JOIN deployments d ON d.id = s.id WHERE s.id = $1;

-- name: LockDeployment :one
SELECT sqlc.embed(s), clock_timestamp()::timestamptz AS read_at FROM deployment_states s WHERE s.id = $1 FOR NO KEY UPDATE;

-- name: LockForLog :one
SELECT agent_id, status, attempt FROM deployments WHERE id = $1 FOR NO KEY UPDATE;

-- name: LockExpiredDeployments :many
-- Other sweeps at the same time take other rows.
SELECT sqlc.embed(s), now()::timestamptz AS read_at
FROM deployment_states s
WHERE s.status = 'running' AND s.lease_expires_at <= now()
ORDER BY s.id
LIMIT sqlc.arg(max_rows)::int
FOR NO KEY UPDATE SKIP LOCKED;

-- name: SaveDeployment :execrows
-- A compare-and-set on (status, attempt). changed_xid moves only when an agent's pending set does.
UPDATE deployments
SET status = sqlc.arg(status), attempt = sqlc.arg(attempt), claim = sqlc.narg(claim),
    lease_expires_at = sqlc.narg(lease_expires_at), available_at = sqlc.arg(available_at),
    progress = sqlc.narg(progress), message = sqlc.narg(message), output = sqlc.narg(output),
    started_at = sqlc.narg(started_at), finished_at = sqlc.narg(finished_at),
    changed_xid = CASE WHEN sqlc.arg(delivery)::boolean THEN pg_current_xact_id() ELSE changed_xid END
WHERE id = sqlc.arg(id) AND status = sqlc.arg(was_status) AND attempt = sqlc.arg(was_attempt);

-- name: InsertAttempt :exec
INSERT INTO deployment_attempts (deployment_id, attempt, claim, status, progress, message, output, started_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: GetAttempt :one
SELECT * FROM deployment_attempts WHERE deployment_id = $1 AND attempt = $2;

-- name: ListAttempts :many
SELECT * FROM deployment_attempts WHERE deployment_id = $1 ORDER BY attempt;

-- name: ListDeployments :many
SELECT sqlc.embed(s) FROM deployment_states s
WHERE (sqlc.narg(agent_id)::text IS NULL OR s.agent_id = sqlc.narg(agent_id))
  AND (sqlc.narg(group_id)::uuid IS NULL OR s.group_id = sqlc.narg(group_id))
  AND (sqlc.narg(status)::text IS NULL OR s.status = sqlc.narg(status))
  AND s.id < sqlc.arg(before)
ORDER BY s.id DESC
LIMIT sqlc.arg(max_rows)::int;

-- name: GroupCounts :many
SELECT status, count(*) AS count, min(name)::text AS name, min(created_at)::timestamptz AS created_at
FROM deployments WHERE group_id = $1 GROUP BY status;

-- name: CancelGroup :many
UPDATE deployments
SET status = 'cancelled', finished_at = now(), lease_expires_at = NULL, changed_xid = pg_current_xact_id()
WHERE id IN (
    SELECT d.id FROM deployments d
    WHERE d.group_id = $1 AND d.status IN ('pending', 'running')
    ORDER BY d.id FOR NO KEY UPDATE
)
RETURNING agent_id;

-- name: ReserveIdempotencyKey :execrows
-- A second request with the key waits here until the first has committed, and then finds its response.
INSERT INTO idempotency_keys AS known (key, request_hash, answer, expires_at)
VALUES (sqlc.arg(key), sqlc.arg(request_hash), '', now() + sqlc.arg(keep_seconds)::float8 * interval '1 second')
ON CONFLICT (key) DO UPDATE
SET request_hash = EXCLUDED.request_hash, answer = '', expires_at = EXCLUDED.expires_at
WHERE known.expires_at <= now();

-- name: GetIdempotencyKey :one
SELECT request_hash, answer FROM idempotency_keys WHERE key = $1;

-- name: AnswerIdempotencyKey :exec
UPDATE idempotency_keys SET answer = $2 WHERE key = $1;

-- name: LogEnd :one
SELECT (start_offset + octet_length(chunk))::bigint AS next_offset FROM deployment_logs
WHERE deployment_id = $1 AND attempt = $2
ORDER BY start_offset DESC LIMIT 1;

-- name: InsertLogChunk :exec
INSERT INTO deployment_logs (deployment_id, attempt, start_offset, chunk) VALUES ($1, $2, $3, $4);

-- name: ReadLog :many
SELECT start_offset, chunk FROM deployment_logs
WHERE deployment_id = $1 AND attempt = $2 AND start_offset + octet_length(chunk) > sqlc.arg(from_offset)::bigint
ORDER BY start_offset
LIMIT sqlc.arg(max_rows)::int;
