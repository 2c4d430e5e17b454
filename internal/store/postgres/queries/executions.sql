-- name: TakeUnsettled :many
-- Other transactions that settle at the same time take others. Those that have been due for longest come first, of all users.
SELECT user_id, created_at, execution_id, trace_id, span_id, heard, EXTRACT(EPOCH FROM now() - since)::float8 AS waited_seconds
FROM unsettled_executions
WHERE check_at <= now()
ORDER BY check_at
LIMIT sqlc.arg(max_rows)::int
FOR UPDATE SKIP LOCKED;

-- name: ExecutionsByKey :many
-- Held until the transaction ends: what is taken from the rollups must be what was added. A transaction that holds several
-- executions takes them in the order in which they began.
SELECT e.* FROM (
    SELECT unnest(sqlc.arg(users)::text[]) AS user_id,
        unnest(sqlc.arg(times)::timestamptz[]) AS created_at,
        unnest(sqlc.arg(ids)::text[]) AS execution_id
) AS k
JOIN execution_figures e ON e.user_id = k.user_id AND e.created_at = k.created_at AND e.execution_id = k.execution_id
ORDER BY e.created_at, e.execution_id, e.user_id
FOR UPDATE OF e;

-- name: DeleteExecution :execrows
DELETE FROM agent_executions WHERE user_id = $1 AND created_at = $2 AND execution_id = $3;

-- name: DeleteExecutions :exec
-- They are locked.
DELETE FROM agent_executions e
USING (
    SELECT unnest(sqlc.arg(users)::text[]) AS user_id,
        unnest(sqlc.arg(times)::timestamptz[]) AS created_at,
        unnest(sqlc.arg(ids)::text[]) AS execution_id
) AS k
WHERE e.user_id = k.user_id AND e.created_at = k.created_at AND e.execution_id = k.execution_id;

-- name: DropUnsettled :exec
DELETE FROM unsettled_executions u
USING (
    SELECT unnest(sqlc.arg(users)::text[]) AS user_id,
        unnest(sqlc.arg(times)::timestamptz[]) AS created_at,
        unnest(sqlc.arg(ids)::text[]) AS execution_id
) AS k
WHERE u.user_id = k.user_id AND u.created_at = k.created_at AND u.execution_id = k.execution_id;

-- name: PostponeUnsettled :exec
-- Under the key that the execution has now. The last time is when it waits no longer.
UPDATE unsettled_executions u
SET user_id = k.new_user, check_at = CASE WHEN k.soon THEN now() + interval '1 second' ELSE GREATEST(now() + sqlc.arg(least_seconds)::float8 * interval '1 second',
    LEAST(now() + (now() - u.since), u.since + sqlc.arg(within_seconds)::float8 * interval '1 second')) END
FROM (
    SELECT unnest(sqlc.arg(users)::text[]) AS user_id,
        unnest(sqlc.arg(times)::timestamptz[]) AS created_at,
        unnest(sqlc.arg(ids)::text[]) AS execution_id,
        unnest(sqlc.arg(new_users)::text[]) AS new_user,
        unnest(sqlc.arg(soon)::boolean[]) AS soon
) AS k
WHERE u.user_id = k.user_id AND u.created_at = k.created_at AND u.execution_id = k.execution_id;

-- name: RecentFailures :many
-- One branch a status, each in the order of its index.
(SELECT f.* FROM agent_executions f
 WHERE f.status = 'failure' AND f.created_at <= sqlc.arg(before) AND (f.created_at, f.user_id, f.execution_id) < (sqlc.arg(before), sqlc.arg(before_user)::text, sqlc.arg(before_id)::text)
 ORDER BY f.created_at DESC, f.user_id DESC, f.execution_id DESC LIMIT sqlc.arg(max_rows)::int)
UNION ALL
(SELECT t.* FROM agent_executions t
 WHERE t.status = 'timeout' AND t.created_at <= sqlc.arg(before) AND (t.created_at, t.user_id, t.execution_id) < (sqlc.arg(before), sqlc.arg(before_user)::text, sqlc.arg(before_id)::text)
 ORDER BY t.created_at DESC, t.user_id DESC, t.execution_id DESC LIMIT sqlc.arg(max_rows)::int)
ORDER BY created_at DESC, user_id DESC, execution_id DESC
LIMIT sqlc.arg(max_rows)::int;

-- name: UserActivity :many
-- Row-level security leaves the user's own; the condition is there for the index.
SELECT * FROM agent_executions
WHERE user_id = sqlc.arg(user_id) AND (created_at, execution_id) < (sqlc.arg(before), sqlc.arg(before_id)::text)
ORDER BY created_at DESC, execution_id DESC
LIMIT sqlc.arg(max_rows)::int;

-- name: EraseExecutions :many
DELETE FROM execution_figures e
WHERE e.user_id = sqlc.arg(user_id) AND (e.created_at, e.execution_id) IN (
    SELECT d.created_at, d.execution_id FROM agent_executions d WHERE d.user_id = sqlc.arg(user_id)
    ORDER BY d.created_at, d.execution_id LIMIT sqlc.arg(max_rows)::int FOR UPDATE
)
RETURNING e.*;

-- name: EndOfPage :one
-- The last of the next executions of a window. One branch a status, each in the order of its index.
SELECT p.created_at, p.execution_id, p.user_id FROM (
    (SELECT s.created_at, s.execution_id, s.user_id FROM agent_executions s
     WHERE s.status = 'success' AND s.created_at >= sqlc.arg(window_from) AND s.created_at >= sqlc.arg(after)::timestamptz AND s.created_at < sqlc.arg(window_to)
       AND (s.created_at, s.execution_id, s.user_id) > (sqlc.arg(after)::timestamptz, sqlc.arg(after_id)::text, sqlc.arg(after_user)::text)
     ORDER BY s.created_at, s.execution_id, s.user_id LIMIT sqlc.arg(max_rows)::int)
    UNION ALL
    (SELECT f.created_at, f.execution_id, f.user_id FROM agent_executions f
     WHERE f.status = 'failure' AND f.created_at >= sqlc.arg(window_from) AND f.created_at >= sqlc.arg(after)::timestamptz AND f.created_at < sqlc.arg(window_to)
       AND (f.created_at, f.execution_id, f.user_id) > (sqlc.arg(after)::timestamptz, sqlc.arg(after_id)::text, sqlc.arg(after_user)::text)
     ORDER BY f.created_at, f.execution_id, f.user_id LIMIT sqlc.arg(max_rows)::int)
    UNION ALL
    (SELECT t.created_at, t.execution_id, t.user_id FROM agent_executions t
     WHERE t.status = 'timeout' AND t.created_at >= sqlc.arg(window_from) AND t.created_at >= sqlc.arg(after)::timestamptz AND t.created_at < sqlc.arg(window_to)
       AND (t.created_at, t.execution_id, t.user_id) > (sqlc.arg(after)::timestamptz, sqlc.arg(after_id)::text, sqlc.arg(after_user)::text)
     ORDER BY t.created_at, t.execution_id, t.user_id LIMIT sqlc.arg(max_rows)::int)
) AS p
ORDER BY p.created_at, p.execution_id, p.user_id
OFFSET sqlc.arg(max_rows)::int - 1 LIMIT 1;

-- name: ExecutionsToReprice :many
-- A page of a window. The user comes last in the order: ancestors may give an execution another one meanwhile. The statuses are all
-- that there are, for the index.
SELECT * FROM execution_figures
WHERE status IN ('success', 'failure', 'timeout') AND created_at >= sqlc.arg(window_from) AND created_at < sqlc.arg(window_to)
  AND created_at >= sqlc.arg(after)::timestamptz AND created_at <= sqlc.arg(until)::timestamptz
  AND (created_at, execution_id, user_id) > (sqlc.arg(after)::timestamptz, sqlc.arg(after_id)::text, sqlc.arg(after_user)::text)
  AND (created_at, execution_id, user_id) <= (sqlc.arg(until)::timestamptz, sqlc.arg(until_id)::text, sqlc.arg(until_user)::text)
ORDER BY created_at, execution_id, user_id
FOR NO KEY UPDATE;

-- name: SavePrices :exec
UPDATE agent_executions e
SET cost_nano_usd = NULLIF(k.cost, -1), price_version = k.price_version
FROM (
    SELECT unnest(sqlc.arg(users)::text[]) AS user_id,
        unnest(sqlc.arg(times)::timestamptz[]) AS created_at,
        unnest(sqlc.arg(ids)::text[]) AS execution_id,
        unnest(sqlc.arg(costs)::bigint[]) AS cost,
        unnest(sqlc.arg(versions)::text[]) AS price_version
) AS k
WHERE e.user_id = k.user_id AND e.created_at = k.created_at AND e.execution_id = k.execution_id;

-- name: EraseUnsettled :exec
-- Of executions that are gone. Locked rows are being read by another transaction, which will find the same.
DELETE FROM unsettled_executions u WHERE (u.user_id, u.created_at, u.execution_id) IN (
    SELECT w.user_id, w.created_at, w.execution_id FROM unsettled_executions w
    WHERE w.user_id = sqlc.arg(user_id) AND NOT EXISTS (
        SELECT FROM agent_executions e
        WHERE e.user_id = w.user_id AND e.created_at = w.created_at AND e.execution_id = w.execution_id)
    ORDER BY w.user_id, w.created_at, w.execution_id FOR UPDATE SKIP LOCKED
);

-- name: EraseSpans :exec
DELETE FROM span_ancestors WHERE user_id = $1;

-- name: EraseSpanOwners :exec
-- What comes again is dropped.
UPDATE span_ancestors SET owner = '', gone = true, response = 0, similar_to = 0 WHERE owner = $1;

-- name: EraseJoined :exec
DELETE FROM joined_executions WHERE user_id = $1;

-- name: LockFolding :exec
SELECT pg_advisory_xact_lock(hashtextextended('watchbill folding', 0));

-- name: TryFolding :one
-- One replica folds at a time.
SELECT pg_try_advisory_xact_lock(hashtextextended('watchbill folding', 0));

-- name: SaveExecutionRollups :exec
-- In the order of their keys.
INSERT INTO execution_rollups (seconds, bucket, agent, model, status, request, count, time_us, tokens_used, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens, unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd,
    durations)
SELECT unnest(sqlc.arg(seconds)::int[]), unnest(sqlc.arg(buckets)::timestamptz[]), unnest(sqlc.arg(agents)::text[]),
    unnest(sqlc.arg(models)::text[]), unnest(sqlc.arg(statuses)::text[]), unnest(sqlc.arg(requests)::boolean[]),
    unnest(sqlc.arg(count)::bigint[]), unnest(sqlc.arg(time_us)::bigint[]), unnest(sqlc.arg(tokens_used)::bigint[]),
    unnest(sqlc.arg(input_tokens)::bigint[]), unnest(sqlc.arg(output_tokens)::bigint[]), unnest(sqlc.arg(cache_read_tokens)::bigint[]),
    unnest(sqlc.arg(cache_write_tokens)::bigint[]), unnest(sqlc.arg(reasoning_tokens)::bigint[]), unnest(sqlc.arg(cost_nano_usd)::bigint[]),
    unnest(sqlc.arg(unpriced_tokens)::bigint[]), unnest(sqlc.arg(unknown_usage)::bigint[]), unnest(sqlc.arg(estimated_nano_usd)::bigint[]),
    unnest(sqlc.arg(provider_cost_nano_usd)::bigint[]), unnest(sqlc.arg(provider_unpriced_nano_usd)::bigint[]), unnest(sqlc.arg(provider_compared_nano_usd)::bigint[]),
    unnest(sqlc.arg(durations)::bytea[])
ON CONFLICT (seconds, bucket, agent, model, status, request) DO UPDATE
SET count = EXCLUDED.count, time_us = EXCLUDED.time_us, tokens_used = EXCLUDED.tokens_used, input_tokens = EXCLUDED.input_tokens,
    output_tokens = EXCLUDED.output_tokens, cache_read_tokens = EXCLUDED.cache_read_tokens,
    cache_write_tokens = EXCLUDED.cache_write_tokens, reasoning_tokens = EXCLUDED.reasoning_tokens,
    cost_nano_usd = EXCLUDED.cost_nano_usd, unpriced_tokens = EXCLUDED.unpriced_tokens,
    unknown_usage = EXCLUDED.unknown_usage,
    estimated_nano_usd = EXCLUDED.estimated_nano_usd,
    provider_cost_nano_usd = EXCLUDED.provider_cost_nano_usd,
    provider_unpriced_nano_usd = EXCLUDED.provider_unpriced_nano_usd,
    provider_compared_nano_usd = EXCLUDED.provider_compared_nano_usd, durations = EXCLUDED.durations;

-- name: FoldUserDeltas :one
-- Deltas of one quarter, user and model are many while executions come in: they are added up before there are three of each.
WITH taken AS (
    DELETE FROM user_deltas
    WHERE ctid = ANY (ARRAY (SELECT d.ctid FROM user_deltas d
        WHERE sqlc.narg(of_user)::text IS NULL OR d.user_id = sqlc.narg(of_user) LIMIT sqlc.arg(max_rows)::int))
    RETURNING *
), quarters AS (
    SELECT t.bucket, t.user_id, t.model, clamped(sum(t.requests)) AS requests, clamped(sum(t.tokens_used)) AS tokens_used,
        clamped(sum(t.input_tokens)) AS input_tokens, clamped(sum(t.output_tokens)) AS output_tokens, clamped(sum(t.cache_read_tokens)) AS cache_read_tokens,
        clamped(sum(t.cache_write_tokens)) AS cache_write_tokens, clamped(sum(t.reasoning_tokens)) AS reasoning_tokens,
        clamped(sum(t.cost_nano_usd)) AS cost_nano_usd, clamped(sum(t.unpriced_tokens)) AS unpriced_tokens,
        clamped(sum(t.unknown_usage)) AS unknown_usage,
        clamped(sum(t.estimated_nano_usd)) AS estimated_nano_usd,
        clamped(sum(t.provider_cost_nano_usd)) AS provider_cost_nano_usd,
        clamped(sum(t.provider_unpriced_nano_usd)) AS provider_unpriced_nano_usd,
        clamped(sum(t.provider_compared_nano_usd)) AS provider_compared_nano_usd
    FROM taken t GROUP BY 1, 2, 3
), folded AS (
    INSERT INTO user_rollups AS known (seconds, bucket, user_id, model, requests, tokens_used, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens,
        unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd)
    SELECT level.seconds, date_bin(level.seconds * interval '1 second', q.bucket, 'epoch'::timestamptz), q.user_id, q.model,
        clamped(sum(q.requests)), clamped(sum(q.tokens_used)), clamped(sum(q.input_tokens)), clamped(sum(q.output_tokens)),
        clamped(sum(q.cache_read_tokens)), clamped(sum(q.cache_write_tokens)), clamped(sum(q.reasoning_tokens)),
        clamped(sum(q.cost_nano_usd)), clamped(sum(q.unpriced_tokens)),
        clamped(sum(q.unknown_usage)), clamped(sum(q.estimated_nano_usd)), clamped(sum(q.provider_cost_nano_usd)), clamped(sum(q.provider_unpriced_nano_usd)), clamped(sum(q.provider_compared_nano_usd))
    FROM quarters q CROSS JOIN (VALUES (900), (3600), (86400)) AS level (seconds)
    GROUP BY 1, 2, 3, 4
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (seconds, bucket, user_id, model) DO UPDATE
    SET requests = added(known.requests, EXCLUDED.requests),
        tokens_used = added(known.tokens_used, EXCLUDED.tokens_used),
        input_tokens = added(known.input_tokens, EXCLUDED.input_tokens),
        output_tokens = added(known.output_tokens, EXCLUDED.output_tokens),
        cache_read_tokens = added(known.cache_read_tokens, EXCLUDED.cache_read_tokens),
        cache_write_tokens = added(known.cache_write_tokens, EXCLUDED.cache_write_tokens),
        reasoning_tokens = added(known.reasoning_tokens, EXCLUDED.reasoning_tokens),
        cost_nano_usd = added(known.cost_nano_usd, EXCLUDED.cost_nano_usd),
        unpriced_tokens = added(known.unpriced_tokens, EXCLUDED.unpriced_tokens),
        unknown_usage = added(known.unknown_usage, EXCLUDED.unknown_usage),
        estimated_nano_usd = added(known.estimated_nano_usd, EXCLUDED.estimated_nano_usd),
        provider_cost_nano_usd = added(known.provider_cost_nano_usd, EXCLUDED.provider_cost_nano_usd),
        provider_unpriced_nano_usd = added(known.provider_unpriced_nano_usd, EXCLUDED.provider_unpriced_nano_usd),
        provider_compared_nano_usd = added(known.provider_compared_nano_usd, EXCLUDED.provider_compared_nano_usd)
)
SELECT count(*) FROM taken;

-- name: EraseUserRollups :execrows
-- What is left of a user once the rows are erased and folded: nothing but zeros, and what outlived its rows.
DELETE FROM user_rollups
WHERE user_id = sqlc.arg(user_id) AND (bucket < sqlc.arg(rows_since)
    OR (requests = 0 AND tokens_used = 0 AND input_tokens = 0 AND output_tokens = 0 AND cost_nano_usd = 0 AND unpriced_tokens = 0
        AND unknown_usage = 0 AND provider_cost_nano_usd = 0));

-- name: CountDeltas :one
SELECT ((SELECT count(*) FROM execution_deltas) + (SELECT count(*) FROM user_deltas))::bigint AS deltas;
