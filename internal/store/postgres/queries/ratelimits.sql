-- name: ExchangeRateLimits :many
-- A row is ahead of the clock where that was set back: what was left of its time then is left of it now. It may be ahead by
-- a moment, too, having been written by who waited for it less long.
INSERT INTO rate_limits AS known (key, full_at, taken, written_at)
SELECT spent.key, now() + spent.debt * interval '1 second', spent.taken, now()
FROM (SELECT unnest(sqlc.arg(keys)::bytea[]) AS key, unnest(sqlc.arg(taken)::float8[]) AS taken, unnest(sqlc.arg(debts)::float8[]) AS debt) AS spent
ORDER BY spent.key
ON CONFLICT (key) DO UPDATE
SET full_at = GREATEST(
        known.full_at + EXCLUDED.taken * interval '1 second'
            - CASE WHEN known.written_at > now() + interval '10 seconds' THEN known.written_at - now() ELSE interval '0' END,
        EXCLUDED.full_at),
    taken = EXCLUDED.taken,
    written_at = EXCLUDED.written_at
RETURNING key, EXTRACT(EPOCH FROM full_at - now())::float8 AS full_in;

-- name: DropFullRateLimits :execrows
-- A bucket that has been full for longer than replicas take to share it equals a new one.
DELETE FROM rate_limits WHERE key IN (
    SELECT key FROM rate_limits WHERE full_at < now() - interval '1 minute' ORDER BY key LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);
