-- name: TakeUnsettled :many
-- Whoever else settles at the same time takes others.
SELECT user_id, created_at, execution_id, EXTRACT(EPOCH FROM now() - since)::float8 AS waited_seconds
FROM unsettled_executions
WHERE check_at <= now()
ORDER BY user_id, created_at, execution_id
LIMIT sqlc.arg(most)::int
FOR UPDATE SKIP LOCKED;

-- name: ExecutionsByKey :many
-- Held until the transaction ends: what is taken from the rollups must be what was added.
SELECT e.* FROM unnest(sqlc.arg(users)::text[]) WITH ORDINALITY AS u (user_id, n)
JOIN unnest(sqlc.arg(times)::timestamptz[]) WITH ORDINALITY AS t (created_at, n) USING (n)
JOIN unnest(sqlc.arg(ids)::text[]) WITH ORDINALITY AS i (execution_id, n) USING (n)
JOIN agent_executions e ON e.user_id = u.user_id AND e.created_at = t.created_at AND e.execution_id = i.execution_id
ORDER BY e.user_id, e.created_at, e.execution_id
FOR UPDATE OF e;

-- name: MoveExecution :execrows
UPDATE agent_executions moved
SET user_id = sqlc.arg(new_user), agent_name = sqlc.arg(agent_name), session_id = sqlc.arg(session_id),
    request = sqlc.arg(request), capped = sqlc.arg(capped)
WHERE moved.user_id = sqlc.arg(user_id) AND moved.created_at = sqlc.arg(created_at) AND moved.execution_id = sqlc.arg(execution_id)
  AND (sqlc.arg(new_user) = sqlc.arg(user_id) OR NOT EXISTS (
      SELECT FROM agent_executions there
      WHERE there.user_id = sqlc.arg(new_user) AND there.created_at = sqlc.arg(created_at) AND there.execution_id = sqlc.arg(execution_id)
  ));

-- name: DeleteExecution :execrows
DELETE FROM agent_executions WHERE user_id = $1 AND created_at = $2 AND execution_id = $3;

-- name: DropUnsettled :exec
DELETE FROM unsettled_executions u
USING unnest(sqlc.arg(users)::text[]) WITH ORDINALITY AS a (user_id, n)
JOIN unnest(sqlc.arg(times)::timestamptz[]) WITH ORDINALITY AS t (created_at, n) USING (n)
JOIN unnest(sqlc.arg(ids)::text[]) WITH ORDINALITY AS i (execution_id, n) USING (n)
WHERE u.user_id = a.user_id AND u.created_at = t.created_at AND u.execution_id = i.execution_id;

-- name: PostponeUnsettled :exec
-- Under the key that the execution has now.
UPDATE unsettled_executions u
SET user_id = m.user_id, check_at = now() + GREATEST(now() - u.since, sqlc.arg(least_seconds)::float8 * interval '1 second')
FROM unnest(sqlc.arg(users)::text[]) WITH ORDINALITY AS a (user_id, n)
JOIN unnest(sqlc.arg(times)::timestamptz[]) WITH ORDINALITY AS t (created_at, n) USING (n)
JOIN unnest(sqlc.arg(ids)::text[]) WITH ORDINALITY AS i (execution_id, n) USING (n)
JOIN unnest(sqlc.arg(new_users)::text[]) WITH ORDINALITY AS m (user_id, n) USING (n)
WHERE u.user_id = a.user_id AND u.created_at = t.created_at AND u.execution_id = i.execution_id;

-- name: RecentFailures :many
-- One branch a status, each in the order of its index.
(SELECT f.* FROM agent_executions f
 WHERE f.status = 'failure' AND f.created_at <= sqlc.arg(before) AND (f.created_at, f.user_id, f.execution_id) < (sqlc.arg(before), sqlc.arg(before_user)::text, sqlc.arg(before_id)::text)
 ORDER BY f.created_at DESC, f.user_id DESC, f.execution_id DESC LIMIT sqlc.arg(most)::int)
UNION ALL
(SELECT t.* FROM agent_executions t
 WHERE t.status = 'timeout' AND t.created_at <= sqlc.arg(before) AND (t.created_at, t.user_id, t.execution_id) < (sqlc.arg(before), sqlc.arg(before_user)::text, sqlc.arg(before_id)::text)
 ORDER BY t.created_at DESC, t.user_id DESC, t.execution_id DESC LIMIT sqlc.arg(most)::int)
ORDER BY created_at DESC, user_id DESC, execution_id DESC
LIMIT sqlc.arg(most)::int;

-- name: UserActivity :many
-- Row-level security leaves the user's own; the condition is there for the index.
SELECT * FROM agent_executions
WHERE user_id = sqlc.arg(user_id) AND (created_at, execution_id) < (sqlc.arg(before), sqlc.arg(before_id)::text)
ORDER BY created_at DESC, execution_id DESC
LIMIT sqlc.arg(most)::int;

-- name: EraseExecutions :many
DELETE FROM agent_executions e
WHERE e.user_id = sqlc.arg(user_id) AND (e.created_at, e.execution_id) IN (
    SELECT d.created_at, d.execution_id FROM agent_executions d WHERE d.user_id = sqlc.arg(user_id)
    ORDER BY d.created_at, d.execution_id LIMIT sqlc.arg(most)::int
)
RETURNING e.*;

-- name: ExecutionsToReprice :many
SELECT * FROM agent_executions
WHERE created_at >= sqlc.arg(window_from) AND created_at < sqlc.arg(window_to)
  AND (created_at, user_id, execution_id) > (sqlc.arg(after)::timestamptz, sqlc.arg(after_user)::text, sqlc.arg(after_id)::text)
ORDER BY created_at, user_id, execution_id
LIMIT sqlc.arg(most)::int
FOR NO KEY UPDATE;

-- name: SavePrices :exec
UPDATE agent_executions e
SET cost_nano_usd = NULLIF(c.cost, -1), price_version = v.price_version
FROM unnest(sqlc.arg(users)::text[]) WITH ORDINALITY AS u (user_id, n)
JOIN unnest(sqlc.arg(times)::timestamptz[]) WITH ORDINALITY AS t (created_at, n) USING (n)
JOIN unnest(sqlc.arg(ids)::text[]) WITH ORDINALITY AS i (execution_id, n) USING (n)
JOIN unnest(sqlc.arg(costs)::bigint[]) WITH ORDINALITY AS c (cost, n) USING (n)
JOIN unnest(sqlc.arg(versions)::text[]) WITH ORDINALITY AS v (price_version, n) USING (n)
WHERE e.user_id = u.user_id AND e.created_at = t.created_at AND e.execution_id = i.execution_id;

-- name: EraseSpans :exec
DELETE FROM span_ancestors WHERE user_id = $1;

-- name: LockFolding :exec
SELECT pg_advisory_xact_lock(hashtextextended('watchbill folding', 0));

-- name: TryFolding :one
-- One replica folds at a time.
SELECT pg_try_advisory_xact_lock(hashtextextended('watchbill folding', 0));

-- name: TakeExecutionDeltas :many
DELETE FROM execution_deltas
WHERE ctid = ANY (ARRAY (SELECT d.ctid FROM execution_deltas d LIMIT sqlc.arg(most)::int))
RETURNING *;

-- name: ExecutionRollupsByKey :many
SELECT r.* FROM unnest(sqlc.arg(seconds)::int[]) WITH ORDINALITY AS s (seconds, n)
JOIN unnest(sqlc.arg(buckets)::timestamptz[]) WITH ORDINALITY AS b (bucket, n) USING (n)
JOIN unnest(sqlc.arg(agents)::text[]) WITH ORDINALITY AS a (agent, n) USING (n)
JOIN unnest(sqlc.arg(models)::text[]) WITH ORDINALITY AS m (model, n) USING (n)
JOIN unnest(sqlc.arg(statuses)::text[]) WITH ORDINALITY AS t (status, n) USING (n)
JOIN unnest(sqlc.arg(requests)::boolean[]) WITH ORDINALITY AS q (request, n) USING (n)
JOIN execution_rollups r ON r.seconds = s.seconds AND r.bucket = b.bucket AND r.agent = a.agent AND r.model = m.model
    AND r.status = t.status AND r.request = q.request;

-- name: SaveExecutionRollup :batchexec
INSERT INTO execution_rollups (seconds, bucket, agent, model, status, request, count, time_us, tokens_used, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens, durations)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (seconds, bucket, agent, model, status, request) DO UPDATE
SET count = EXCLUDED.count, time_us = EXCLUDED.time_us, tokens_used = EXCLUDED.tokens_used, input_tokens = EXCLUDED.input_tokens,
    output_tokens = EXCLUDED.output_tokens, cache_read_tokens = EXCLUDED.cache_read_tokens,
    cache_write_tokens = EXCLUDED.cache_write_tokens, reasoning_tokens = EXCLUDED.reasoning_tokens,
    cost_nano_usd = EXCLUDED.cost_nano_usd, unpriced_tokens = EXCLUDED.unpriced_tokens, durations = EXCLUDED.durations;

-- name: FoldUserDeltas :execrows
WITH taken AS (
    DELETE FROM user_deltas
    WHERE ctid = ANY (ARRAY (SELECT d.ctid FROM user_deltas d
        WHERE sqlc.narg(of_user)::text IS NULL OR d.user_id = sqlc.narg(of_user) LIMIT sqlc.arg(most)::int))
    RETURNING *
), folded AS (
    INSERT INTO user_rollups AS known (seconds, bucket, user_id, model, requests, tokens_used, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens)
    SELECT level.seconds, date_bin(level.seconds * interval '1 second', t.bucket, 'epoch'::timestamptz), t.user_id, t.model,
        clamped(sum(t.requests)), clamped(sum(t.tokens_used)), clamped(sum(t.input_tokens)), clamped(sum(t.output_tokens)),
        clamped(sum(t.cache_read_tokens)), clamped(sum(t.cache_write_tokens)), clamped(sum(t.reasoning_tokens)),
        clamped(sum(t.cost_nano_usd)), clamped(sum(t.unpriced_tokens))
    FROM taken t CROSS JOIN (VALUES (900), (3600), (86400)) AS level (seconds)
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (seconds, bucket, user_id, model) DO UPDATE
    SET requests = clamped(known.requests::numeric + EXCLUDED.requests),
        tokens_used = clamped(known.tokens_used::numeric + EXCLUDED.tokens_used),
        input_tokens = clamped(known.input_tokens::numeric + EXCLUDED.input_tokens),
        output_tokens = clamped(known.output_tokens::numeric + EXCLUDED.output_tokens),
        cache_read_tokens = clamped(known.cache_read_tokens::numeric + EXCLUDED.cache_read_tokens),
        cache_write_tokens = clamped(known.cache_write_tokens::numeric + EXCLUDED.cache_write_tokens),
        reasoning_tokens = clamped(known.reasoning_tokens::numeric + EXCLUDED.reasoning_tokens),
        cost_nano_usd = clamped(known.cost_nano_usd::numeric + EXCLUDED.cost_nano_usd),
        unpriced_tokens = clamped(known.unpriced_tokens::numeric + EXCLUDED.unpriced_tokens)
)
SELECT FROM taken;

-- name: EraseUserRollups :execrows
-- What is left of a user once the rows are erased and folded: nothing but zeros, and what outlived its rows.
DELETE FROM user_rollups
WHERE user_id = sqlc.arg(user_id) AND (bucket < sqlc.arg(rows_since)
    OR (requests = 0 AND tokens_used = 0 AND input_tokens = 0 AND output_tokens = 0 AND cost_nano_usd = 0 AND unpriced_tokens = 0));

-- name: CountDeltas :one
SELECT ((SELECT count(*) FROM execution_deltas) + (SELECT count(*) FROM user_deltas))::bigint AS deltas;
