-- name: DropOldDeployments :execrows
DELETE FROM deployments WHERE id IN (
    SELECT id FROM deployments
    WHERE created_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second' AND status NOT IN ('pending', 'running')
      AND finished_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
    ORDER BY id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE key IN (
    SELECT key FROM idempotency_keys WHERE expires_at <= now() ORDER BY key LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldDeletedAgents :execrows
DELETE FROM deleted_agents WHERE agent_id IN (
    SELECT agent_id FROM deleted_agents WHERE deleted_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
    ORDER BY agent_id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldReports :execrows
DELETE FROM reports WHERE id IN (
    SELECT id FROM reports WHERE created_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
    ORDER BY id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldRollups :exec
WITH old_requests AS (DELETE FROM request_rollups r WHERE r.bucket < sqlc.arg(before)),
     old_queries AS (DELETE FROM query_rollups q WHERE q.bucket < sqlc.arg(before)),
     old_replicas AS (DELETE FROM replica_rollups p WHERE p.bucket < sqlc.arg(before))
DELETE FROM fleet_rollups f WHERE f.bucket < sqlc.arg(before);

-- name: OldestMinute :one
SELECT bucket FROM replica_rollups WHERE seconds = 60 ORDER BY bucket LIMIT 1;

-- name: LockCompaction :exec
-- One replica compacts at a time: each continues after what the previous one has written.
SELECT pg_advisory_xact_lock(hashtextextended('watchbill compaction', 0));

-- name: TakeRequestRollups :many
-- With what was compacted before, if minutes came late.
DELETE FROM request_rollups
WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to)
RETURNING bucket, seconds, route, method, replica, by_status, latency, bytes_in, bytes_out;

-- name: TakeQueryRollups :many
DELETE FROM query_rollups
WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to)
RETURNING bucket, seconds, query, replica, count, errors, latency;

-- name: CompactReplicaRollups :exec
-- The hour's covered seconds are the fleet's, the same in each replica's row: replicas come and go within an hour.
WITH taken AS (
    DELETE FROM replica_rollups r
    WHERE r.bucket >= sqlc.arg(window_from) AND r.bucket < sqlc.arg(window_to)
    RETURNING r.*
), covered AS (
    SELECT LEAST(sum(longest), 3600) AS seconds
    FROM (SELECT LEAST(max(n.covered_seconds), n.seconds) AS longest FROM taken n GROUP BY n.bucket, n.seconds) AS buckets
)
INSERT INTO replica_rollups (bucket, seconds, replica, covered_seconds,
    polls_delivered, polls_empty, polls_not_modified, polls_failed,
    pool_max, pool_samples, pool_in_use_sum, pool_in_use_peak, pool_acquires, pool_empty_acquires, pool_wait_seconds)
SELECT sqlc.arg(window_from), 3600, m.replica, max(covered.seconds),
       sum(m.polls_delivered), sum(m.polls_empty), sum(m.polls_not_modified), sum(m.polls_failed),
       max(m.pool_max), sum(m.pool_samples), sum(m.pool_in_use_sum), max(m.pool_in_use_peak),
       sum(m.pool_acquires), sum(m.pool_empty_acquires), sum(m.pool_wait_seconds)
FROM taken m CROSS JOIN covered
GROUP BY m.replica ORDER BY m.replica;

-- name: DropOldExecutionRollups :execrows
DELETE FROM execution_rollups old WHERE (old.seconds, old.bucket, old.agent, old.model, old.status, old.request) IN (
    SELECT r.seconds, r.bucket, r.agent, r.model, r.status, r.request FROM execution_rollups r
    WHERE r.seconds = sqlc.arg(width) AND r.bucket < sqlc.arg(before)
    ORDER BY r.seconds, r.bucket, r.agent, r.model, r.status, r.request LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldUserRollups :execrows
DELETE FROM user_rollups old WHERE (old.seconds, old.bucket, old.user_id, old.model) IN (
    SELECT r.seconds, r.bucket, r.user_id, r.model FROM user_rollups r
    WHERE r.seconds = sqlc.arg(width) AND r.bucket < sqlc.arg(before)
    ORDER BY r.seconds, r.bucket, r.user_id, r.model LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldSpans :execrows
DELETE FROM span_ancestors old WHERE (old.trace_id, old.span_id) IN (
    SELECT a.trace_id, a.span_id FROM span_ancestors a
    WHERE a.seen_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
    ORDER BY a.trace_id, a.span_id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldJoined :execrows
DELETE FROM joined_executions old WHERE old.execution_id IN (
    SELECT j.execution_id FROM joined_executions j WHERE j.created_at < sqlc.arg(before)
    ORDER BY j.execution_id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldCallScopes :execrows
DELETE FROM call_scopes old WHERE (old.process, old.scope) IN (
    SELECT c.process, c.scope FROM call_scopes c
    WHERE c.seen_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
    ORDER BY c.process, c.scope LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropUnusedNames :exec
-- Names that nothing was executed under for a while make room for others. Rows say which names they are counted under, so
-- what comes under such a name again, and what is taken away, stays right.
DELETE FROM rollup_names n WHERE n.registered_at < now() - interval '1 hour' AND NOT EXISTS (
    SELECT FROM (
        SELECT 'agent' AS kind, r.agent AS name FROM execution_rollups r WHERE r.seconds = 86400 AND r.bucket >= sqlc.arg(since)
        UNION ALL SELECT 'model', r.model FROM execution_rollups r WHERE r.seconds = 86400 AND r.bucket >= sqlc.arg(since)
        UNION ALL SELECT 'agent', d.agent FROM execution_deltas d
        UNION ALL SELECT 'model', d.model FROM execution_deltas d
    ) AS used
    WHERE used.kind = n.kind AND used.name = n.name
);

-- name: LockUnseenAgents :many
-- Agents that enrolled by a token long ago and never polled. One that has a deployment is expected by somebody, and stays.
SELECT a.id FROM agents a
WHERE a.enrolled_by IS NOT NULL AND a.registered_at < now() - sqlc.arg(keep_seconds)::float8 * interval '1 second'
  AND NOT EXISTS (SELECT FROM agent_presence p WHERE p.agent_id = a.id)
  AND NOT EXISTS (SELECT FROM deployments d WHERE d.agent_id = a.id)
ORDER BY a.id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED;

-- name: DeleteUnseenAgents :exec
-- They are looked at again: what came before they were locked was not in the snapshot that found them.
WITH retired AS (
    DELETE FROM agents a WHERE a.id = ANY (sqlc.arg(ids)::text[])
      AND NOT EXISTS (SELECT FROM agent_presence p WHERE p.agent_id = a.id)
      AND NOT EXISTS (SELECT FROM deployments d WHERE d.agent_id = a.id)
    RETURNING a.id
)
INSERT INTO deleted_agents (agent_id) SELECT id FROM retired ORDER BY id
ON CONFLICT (agent_id) DO UPDATE SET deleted_at = now(), changed_xid = pg_current_xact_id();
