-- name: SaveRequestRollup :batchexec
INSERT INTO request_rollups (bucket, seconds, route, method, replica, by_status, latency, bytes_in, bytes_out)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (bucket, seconds, route, method, replica) DO UPDATE
SET by_status = EXCLUDED.by_status, latency = EXCLUDED.latency, bytes_in = EXCLUDED.bytes_in, bytes_out = EXCLUDED.bytes_out;

-- name: SaveQueryRollup :batchexec
INSERT INTO query_rollups (bucket, seconds, query, replica, count, errors, latency)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (bucket, seconds, query, replica) DO UPDATE
SET count = EXCLUDED.count, errors = EXCLUDED.errors, latency = EXCLUDED.latency;

-- name: SaveReplicaRollup :batchexec
INSERT INTO replica_rollups (bucket, seconds, replica, covered_seconds,
    polls_delivered, polls_empty, polls_not_modified, polls_failed,
    pool_max, pool_samples, pool_in_use_sum, pool_in_use_peak, pool_acquires, pool_empty_acquires, pool_wait_seconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (bucket, seconds, replica) DO UPDATE
SET covered_seconds = EXCLUDED.covered_seconds,
    polls_delivered = EXCLUDED.polls_delivered, polls_empty = EXCLUDED.polls_empty,
    polls_not_modified = EXCLUDED.polls_not_modified, polls_failed = EXCLUDED.polls_failed,
    pool_max = EXCLUDED.pool_max, pool_samples = EXCLUDED.pool_samples, pool_in_use_sum = EXCLUDED.pool_in_use_sum,
    pool_in_use_peak = EXCLUDED.pool_in_use_peak, pool_acquires = EXCLUDED.pool_acquires,
    pool_empty_acquires = EXCLUDED.pool_empty_acquires, pool_wait_seconds = EXCLUDED.pool_wait_seconds;

-- name: SumReplicaRollups :many
SELECT replica,
       sum(polls_delivered)::bigint AS polls_delivered, sum(polls_empty)::bigint AS polls_empty,
       sum(polls_not_modified)::bigint AS polls_not_modified, sum(polls_failed)::bigint AS polls_failed,
       max(pool_max)::int AS pool_max, sum(pool_samples)::bigint AS pool_samples, sum(pool_in_use_sum)::bigint AS pool_in_use_sum,
       max(pool_in_use_peak)::int AS pool_in_use_peak, sum(pool_acquires)::bigint AS pool_acquires,
       sum(pool_empty_acquires)::bigint AS pool_empty_acquires, sum(pool_wait_seconds)::float8 AS pool_wait_seconds
FROM replica_rollups
WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to)
GROUP BY replica
ORDER BY replica;

-- name: CoveredSeconds :one
-- A bucket is covered for as long as the replica that was up longest in it.
SELECT COALESCE(sum(longest), 0)::float8 FROM (
    SELECT LEAST(max(covered_seconds), max(seconds)) AS longest FROM replica_rollups
    WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to)
    GROUP BY bucket
) AS buckets;

-- name: SampleFleet :one
-- The rule is that of fleet.Agent.State.
SELECT count(*) FILTER (WHERE silent <= sqlc.arg(late_after)::float8) AS online,
       count(*) FILTER (WHERE silent > sqlc.arg(late_after)::float8 AND silent <= sqlc.arg(offline_after)::float8) AS late,
       count(*) FILTER (WHERE silent IS NULL OR silent > sqlc.arg(offline_after)::float8) AS offline,
       COALESCE(sum(1.0 / poll_interval_seconds) FILTER (WHERE silent <= sqlc.arg(offline_after)::float8), 0)::float8 AS wanted,
       COALESCE(sum(1.0 / interval_seconds) FILTER (WHERE silent <= sqlc.arg(offline_after)::float8), 0)::float8 AS expected
FROM (
    SELECT a.poll_interval_seconds, p.interval_seconds,
           (EXTRACT(EPOCH FROM now() - p.last_seen_at)::float8 - sqlc.arg(lag_seconds)::float8) / p.interval_seconds AS silent
    FROM agents a LEFT JOIN agent_presence p ON p.agent_id = a.id
) AS agents;

-- name: FleetDemand :many
-- What agents that are online or late want, by who enrolled them.
SELECT COALESCE(a.enrolled_by, '') AS enrolled_by, a.poll_interval_seconds, count(*) AS agents
FROM agents a JOIN agent_presence p ON p.agent_id = a.id
WHERE (EXTRACT(EPOCH FROM now() - p.last_seen_at)::float8 - sqlc.arg(lag_seconds)::float8) / p.interval_seconds <= sqlc.arg(offline_after)::float8
GROUP BY 1, 2;

-- name: CountDeployments :many
SELECT status, count(*) AS count FROM deployments GROUP BY status;

-- name: SaveFleetRollup :exec
INSERT INTO fleet_rollups AS known (bucket, sampled_at, agents_online, agents_late, agents_offline,
    wanted_polls_per_second, expected_polls_per_second, deployments, samples, polling_sum, expected_sum)
VALUES (date_trunc('minute', now()), now(), sqlc.arg(online), sqlc.arg(late), sqlc.arg(offline),
    sqlc.arg(wanted), sqlc.arg(expected), sqlc.arg(deployments), 1, sqlc.arg(polling)::float8, sqlc.arg(expected))
ON CONFLICT (bucket) DO UPDATE
SET sampled_at = EXCLUDED.sampled_at, agents_online = EXCLUDED.agents_online, agents_late = EXCLUDED.agents_late,
    agents_offline = EXCLUDED.agents_offline, wanted_polls_per_second = EXCLUDED.wanted_polls_per_second,
    expected_polls_per_second = EXCLUDED.expected_polls_per_second, deployments = EXCLUDED.deployments,
    samples = known.samples + 1, polling_sum = known.polling_sum + EXCLUDED.polling_sum,
    expected_sum = known.expected_sum + EXCLUDED.expected_sum;

-- name: LatestFleetRollup :one
SELECT *, EXTRACT(EPOCH FROM now() - sampled_at)::float8 AS age_seconds
FROM fleet_rollups WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to)
ORDER BY bucket DESC LIMIT 1;

-- name: AverageFleetRollups :one
SELECT COALESCE(sum(polling_sum) / sum(samples), 0)::float8 AS polling,
       COALESCE(sum(expected_sum) / sum(samples), 0)::float8 AS expected
FROM fleet_rollups WHERE bucket >= sqlc.arg(window_from) AND bucket < sqlc.arg(window_to);
