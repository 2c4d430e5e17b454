package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

// readSeriesCells is like readCells, for several parts of a window.
const readSeriesCells = `-- name: ReadExecutionSeries :many
SELECT s.part, r.agent, r.model, r.status, r.request, r.count, r.time_us, r.tokens_used, r.input_tokens, r.output_tokens,
	r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens,
	r.unknown_usage, r.estimated_nano_usd, r.provider_cost_nano_usd, r.provider_unpriced_nano_usd, r.provider_compared_nano_usd,
	r.durations
FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::timestamptz[]) AS s (part, seconds, "from", "to")
CROSS JOIN LATERAL (
	SELECT * FROM execution_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
) AS r
UNION ALL
SELECT p.part, d.agent, d.model, d.status, d.request, d.count, d.time_us, d.tokens_used, d.input_tokens, d.output_tokens,
	d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens,
	d.unknown_usage, d.estimated_nano_usd, d.provider_cost_nano_usd, d.provider_unpriced_nano_usd, d.provider_compared_nano_usd,
	d.durations
FROM unnest($5::int[], $6::timestamptz[], $7::timestamptz[]) AS p (part, "from", "to")
JOIN execution_deltas d ON d.bucket >= p."from" AND d.bucket < p."to"`

// readActiveUsers counts the users of parts of a window, each once a part.
const readActiveUsers = `-- name: ReadActiveUsers :many
SELECT part, count(*) FROM (
	SELECT part, user_id FROM (
		SELECT s.part, r.user_id, r.requests, r.tokens_used, r.unknown_usage, r.provider_cost_nano_usd
		FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::timestamptz[]) AS s (part, seconds, "from", "to")
		CROSS JOIN LATERAL (
			SELECT * FROM user_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
		) AS r
		UNION ALL
		SELECT p.part, d.user_id, d.requests, d.tokens_used, d.unknown_usage, d.provider_cost_nano_usd
		FROM unnest($5::int[], $6::timestamptz[], $7::timestamptz[]) AS p (part, "from", "to")
		JOIN user_deltas d ON d.bucket >= p."from" AND d.bucket < p."to"
	) AS used
	GROUP BY part, user_id
	HAVING sum(requests) <> 0 OR sum(tokens_used) <> 0 OR sum(unknown_usage) <> 0 OR sum(provider_cost_nano_usd) <> 0
) AS users
GROUP BY part`

// Series returns the figures of each step of a window. The window is widened to whole buckets that are kept, as in
// Facts.
func (s *Executions) Series(ctx context.Context, query execution.SeriesQuery) (execution.SeriesSet, error) {
	kept := s.kept.since(s.now())
	set := execution.SeriesSet{Window: kept.Align(query.Window)}
	finest := kept.Finest(set.Window.From)
	if query.ActiveUsers && query.Step == "" {
		finest = max(finest, execution.QuarterWide) // see activeUsers
	}
	parts, step, err := execution.Split(set.Window, query.Step, finest)
	if err != nil {
		return set, err
	}
	set.Step = step
	var users []int64
	if query.ActiveUsers {
		if users, err = s.activeUsers(ctx, parts, step); err != nil {
			return set, err
		}
	}
	sums := execution.NewSeriesSums(query.By, parts)
	if err := readSums(ctx, s.db.pool, sums, parts); err != nil {
		return set, wrap("read a series of executions", err)
	}
	set.Series = sums.Series(query.Limit, users)
	return set, nil
}

// activeUsers returns the number of users of each part. Rollups of users have no minutes.
func (s *Executions) activeUsers(ctx context.Context, parts []execution.Window, step execution.Step) ([]int64, error) {
	if step.Width() < execution.QuarterWide {
		return nil, fault.InvalidField("active_users", "needs a step of at least 15m")
	}
	whole := make([]execution.Window, len(parts))
	for i, p := range parts { // the first and the last part may begin or end within a quarter
		whole[i] = s.quarters(p.From, p.To.Add(execution.QuarterWide-1))
	}
	counts := make([]int64, len(parts))
	err := s.db.inTxAs(ctx, admin, "count active users", func(tx pgx.Tx) error {
		return countUsers(ctx, tx, readActiveUsers, partArguments(whole, rollupWidths[1:]), func(part int, n int64) { counts[part] = n })
	})
	return counts, err
}

// partArguments returns $1 to $7: the segments of all parts, and the parts themselves, for the deltas.
func partArguments(parts []execution.Window, widths []time.Duration) []any {
	var segmentOf, seconds, numbers []int32
	var froms, tos, wholeFroms, wholeTos []time.Time
	for i, p := range parts {
		numbers, wholeFroms, wholeTos = append(numbers, int32(i)), append(wholeFroms, p.From), append(wholeTos, p.To)
		widthsOf, from, to := columnsOf(execution.Segments(p, widths...))
		for range widthsOf {
			segmentOf = append(segmentOf, int32(i))
		}
		seconds, froms, tos = append(seconds, widthsOf...), append(froms, from...), append(tos, to...)
	}
	return []any{segmentOf, seconds, froms, tos, numbers, wholeFroms, wholeTos}
}
