-- name: MarkReplica :exec
INSERT INTO replicas (name, version, started_at, faults, pool_max, pool_in_use, pool_waiting)
VALUES (sqlc.arg(name), sqlc.arg(version), sqlc.arg(started_at), sqlc.arg(faults)::text[], sqlc.arg(pool_max), sqlc.arg(pool_in_use), sqlc.arg(pool_waiting))
ON CONFLICT (name) DO UPDATE
SET seen_at = now(), stopped_at = NULL, faults = EXCLUDED.faults,
    pool_max = EXCLUDED.pool_max, pool_in_use = EXCLUDED.pool_in_use, pool_waiting = EXCLUDED.pool_waiting;

-- name: MarkReplicaStopped :exec
UPDATE replicas SET seen_at = now(), stopped_at = now() WHERE name = sqlc.arg(name);

-- name: ListReplicas :many
SELECT name, version, started_at, seen_at, stopped_at, faults, pool_max, pool_in_use, pool_waiting,
       EXTRACT(EPOCH FROM now() - seen_at)::float8 AS silent
FROM replicas
WHERE seen_at > now() - interval '1 day'
ORDER BY stopped_at DESC NULLS FIRST, started_at DESC, name
LIMIT sqlc.arg(most)::int;

-- name: DropOldReplicas :exec
DELETE FROM replicas WHERE seen_at < now() - interval '7 days';
