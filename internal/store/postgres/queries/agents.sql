-- name: InsertAgent :one
INSERT INTO agents (id, name, labels, token_hash, poll_interval_seconds, version, enrolled_by)
VALUES ($1, $2, $3, $4, $5, $6, sqlc.narg(enrolled_by))
RETURNING registered_at;

-- name: LockEnrollment :exec
-- One transaction at a time enrols by a token whose limit is near.
SELECT pg_advisory_xact_lock(hashtextextended('enrollment ' || sqlc.arg(fingerprint)::text, 0));

-- name: CountEnrolled :one
SELECT count(*) FROM agents WHERE enrolled_by = sqlc.arg(fingerprint)::text;

-- name: GetAgent :one
SELECT a.id, a.name, a.labels, a.poll_interval_seconds, a.version, a.registered_at, a.enrolled_by, p.last_seen_at, p.interval_seconds,
       now()::timestamptz AS read_at
FROM agents a LEFT JOIN agent_presence p ON p.agent_id = a.id
WHERE a.id = $1;

-- name: ListAgents :many
SELECT a.id, a.name, a.labels, a.poll_interval_seconds, a.version, a.registered_at, a.enrolled_by, p.last_seen_at, p.interval_seconds,
       now()::timestamptz AS read_at
FROM agents a LEFT JOIN agent_presence p ON p.agent_id = a.id
WHERE a.id > sqlc.arg(after)::text AND a.labels @> sqlc.arg(labels)::jsonb
ORDER BY a.id
LIMIT sqlc.arg(max_rows)::int;

-- name: RotateToken :execrows
UPDATE agents SET token_hash = $2, changed_xid = pg_current_xact_id() WHERE id = $1;

-- name: DeleteAgent :execrows
DELETE FROM agents WHERE id = $1;

-- name: RecordDeletedAgent :exec
INSERT INTO deleted_agents (agent_id) VALUES ($1)
ON CONFLICT (agent_id) DO UPDATE SET deleted_at = now(), changed_xid = pg_current_xact_id();

-- name: ExistingAgents :many
-- Sorted, and kept from being deleted until the transaction ends.
SELECT id FROM agents WHERE id = ANY (sqlc.arg(ids)::text[]) ORDER BY id FOR KEY SHARE;

-- name: AgentsWithLabels :many
SELECT id, labels FROM agents WHERE labels @> sqlc.arg(labels)::jsonb ORDER BY id;

-- name: SavePresence :exec
-- Ages, not times: a replica's clock may be wrong, its stopwatch is not.
INSERT INTO agent_presence AS known (agent_id, last_seen_at, interval_seconds)
SELECT a.id, now() - seen.age * interval '1 second', seen.poll_interval
FROM (SELECT unnest(sqlc.arg(ids)::text[]) AS id, unnest(sqlc.arg(ages)::float8[]) AS age, unnest(sqlc.arg(intervals)::real[]) AS poll_interval) AS seen
JOIN agents a ON a.id = seen.id
ORDER BY a.id
ON CONFLICT (agent_id) DO UPDATE
SET last_seen_at = GREATEST(known.last_seen_at, EXCLUDED.last_seen_at),
    interval_seconds = CASE WHEN EXCLUDED.last_seen_at >= known.last_seen_at THEN EXCLUDED.interval_seconds ELSE known.interval_seconds END;
