package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// Queries of spend, over the rollups of executions or users and their deltas. $1 to $4 are the segments in the rollups,
// and $5 to $7 the window's parts: a single one, or each day of a time zone.
const (
	sumsOfSpend = `clamped(sum(tokens_used)), clamped(sum(input_tokens)), clamped(sum(output_tokens)), clamped(sum(cache_read_tokens)),
	clamped(sum(cache_write_tokens)), clamped(sum(reasoning_tokens)), clamped(sum(cost_nano_usd)), clamped(sum(unpriced_tokens)),
	clamped(sum(unknown_usage)), clamped(sum(estimated_nano_usd)), clamped(sum(provider_cost_nano_usd)), clamped(sum(provider_unpriced_nano_usd)), clamped(sum(provider_compared_nano_usd))`

	// userSpendRows are the rows that a user's spend is the sum of.
	userSpendRows = `
	SELECT r.user_id, r.requests, r.tokens_used, r.input_tokens, r.output_tokens,
		r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens,
		r.unknown_usage, r.estimated_nano_usd, r.provider_cost_nano_usd, r.provider_unpriced_nano_usd, r.provider_compared_nano_usd
	FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[]) AS s (part, seconds, "from", "to")
	CROSS JOIN LATERAL (
		SELECT * FROM user_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
	) AS r
	UNION ALL
	SELECT d.user_id, d.requests, d.tokens_used, d.input_tokens, d.output_tokens,
		d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens,
		d.unknown_usage, d.estimated_nano_usd, d.provider_cost_nano_usd, d.provider_unpriced_nano_usd, d.provider_compared_nano_usd
	FROM unnest($5::text[], $6::timestamptz[], $7::timestamptz[]) AS p (part, "from", "to")
	JOIN user_deltas d ON d.bucket >= p."from" AND d.bucket < p."to"
`

	readExecutionSpend = `-- name: ReadExecutionSpend :many
SELECT %s AS key, clamped(COALESCE(sum(count) FILTER (WHERE %s), 0)), ` + sumsOfSpend + `,
	clamped(COALESCE(sum(count) FILTER (WHERE request), 0)), 1
FROM (
	SELECT s.part, r.agent, r.model, r.request, r.count, r.tokens_used, r.input_tokens, r.output_tokens,
		r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens,
		r.unknown_usage, r.estimated_nano_usd, r.provider_cost_nano_usd, r.provider_unpriced_nano_usd, r.provider_compared_nano_usd
	FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[]) AS s (part, seconds, "from", "to")
	CROSS JOIN LATERAL (
		SELECT * FROM execution_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
	) AS r
	UNION ALL
	SELECT p.part, d.agent, d.model, d.request, d.count, d.tokens_used, d.input_tokens, d.output_tokens,
		d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens,
		d.unknown_usage, d.estimated_nano_usd, d.provider_cost_nano_usd, d.provider_unpriced_nano_usd, d.provider_compared_nano_usd
	FROM unnest($5::text[], $6::timestamptz[], $7::timestamptz[]) AS p (part, "from", "to")
	JOIN execution_deltas d ON d.bucket >= p."from" AND d.bucket < p."to"
) AS spent
GROUP BY 1
HAVING sum(count) <> 0 -- otherwise everything was subtracted again`

	// There may be many users: the most expensive are returned by name and the others together, with key NULL. Users
	// with neither requests nor tokens are left out, since all their usage may have been subtracted again.
	readUserSpend = `-- name: ReadUserSpend :many
SELECT CASE WHEN rank <= $8 THEN key END, clamped(sum(requests)), ` + sumsOfSpend + `,
	clamped(sum(requests)), count(*)
FROM (SELECT *, row_number() OVER (ORDER BY cost_nano_usd DESC, tokens_used DESC, key) AS rank FROM (
SELECT user_id AS key, clamped(sum(requests)) AS requests, clamped(sum(tokens_used)) AS tokens_used,
	clamped(sum(input_tokens)) AS input_tokens, clamped(sum(output_tokens)) AS output_tokens,
	clamped(sum(cache_read_tokens)) AS cache_read_tokens, clamped(sum(cache_write_tokens)) AS cache_write_tokens,
	clamped(sum(reasoning_tokens)) AS reasoning_tokens, clamped(sum(cost_nano_usd)) AS cost_nano_usd, clamped(sum(unpriced_tokens)) AS unpriced_tokens,
	clamped(sum(unknown_usage)) AS unknown_usage,
	clamped(sum(estimated_nano_usd)) AS estimated_nano_usd,
	clamped(sum(provider_cost_nano_usd)) AS provider_cost_nano_usd,
	clamped(sum(provider_unpriced_nano_usd)) AS provider_unpriced_nano_usd,
	clamped(sum(provider_compared_nano_usd)) AS provider_compared_nano_usd
FROM (` + userSpendRows + `) AS spent
GROUP BY user_id) AS users WHERE requests <> 0 OR tokens_used <> 0 OR unknown_usage <> 0
	OR provider_cost_nano_usd <> 0) AS ranked
GROUP BY 1`
)

// part is a part of a window with the key of its spend, if the spend is grouped by part.
type part struct {
	name string
	execution.Window
}

// Costs returns the spend of the last days in a time zone, including today.
func (s *Executions) Costs(ctx context.Context, query execution.CostQuery) (execution.Costs, error) {
	zone, err := time.LoadLocation(query.TimeZone)
	if err != nil {
		return execution.Costs{}, fmt.Errorf("time zone of costs: %w", err)
	}
	days := s.lastDays(query.Days, zone)
	whole := execution.Window{From: days[0].From, To: days[len(days)-1].To}
	parts := days
	if query.GroupBy != execution.ByDay {
		parts = []part{{"", whole}}
	}
	if len(query.UserIDs) > 0 {
		return s.spendOfUsers(ctx, query, whole, parts)
	}
	return s.spend(ctx, query.GroupBy, whole, parts, query.Limit)
}

// lastDays returns the last n days in a time zone, without overlap: if the kept buckets are too wide for a day to begin
// at its midnight, the day before ends earlier too.
func (s *Executions) lastDays(n int, zone *time.Location) []part {
	year, month, day := s.now().In(zone).Date()
	days := make([]part, n)
	for i := range days {
		date := time.Date(year, month, day-n+1+i, 0, 0, 0, 0, time.UTC)
		days[i] = part{date.Format(time.DateOnly), s.quarters(startOfDay(date, zone), startOfDay(date.AddDate(0, 0, 1), zone))}
		if i > 0 {
			days[i-1].To = days[i].From
		}
	}
	return days
}

// startOfDay returns when a date begins in a time zone: at midnight, or at the time to which clocks
// are put forward at midnight.
func startOfDay(date time.Time, zone *time.Location) time.Time {
	year, month, day := date.Date()
	midnight := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if midnight.Hour() == 0 {
		return midnight
	}
	changed, _ := time.Date(year, month, day, 12, 0, 0, 0, zone).ZoneBounds()
	return changed
}

// quarters widens a window to buckets that are kept. It assumes that time zones differ from UTC by whole quarters of an
// hour; historical exceptions are ignored.
func (s *Executions) quarters(begin, end time.Time) execution.Window {
	kept := s.kept.since(s.now())
	kept.Minutes = kept.Quarters // rollups of users have no minutes
	return kept.Align(execution.Window{From: begin.UTC().Truncate(execution.QuarterWide), To: end.UTC().Truncate(execution.QuarterWide)})
}

// Spend returns the spend of a window by user, agent or model: up to most groups by cost, highest
// first, and the others together.
func (s *Executions) Spend(ctx context.Context, w execution.Window, by execution.GroupBy, limit int) (execution.Costs, error) {
	w = s.quarters(w.From, w.To.Add(execution.QuarterWide-1))
	return s.spend(ctx, by, w, []part{{"", w}}, limit)
}

// DayCost returns the cost of the executions of the current UTC day, by the database's clock, in nano-USD.
func (s *Executions) DayCost(ctx context.Context) (int64, error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, err
	}
	midnight := now.UTC().Truncate(execution.DayWide)
	today := execution.Window{From: midnight, To: midnight.Add(execution.DayWide)}
	costs, err := s.spend(ctx, execution.ByDay, today, []part{{"", today}}, 1)
	return costs.Total.Cost, err
}

// spend returns the spend of parts of a window. Each part begins and ends at bucket boundaries of the narrowest width.
func (s *Executions) spend(ctx context.Context, by execution.GroupBy, whole execution.Window, parts []part, limit int) (execution.Costs, error) {
	args, sql := []any{}, ""
	switch by {
	case execution.ByUser:
		sql, args = readUserSpend, append(spendArguments(parts, rollupWidths[1:]), limit)
	case execution.ByDay:
		sql, args = fmt.Sprintf(readExecutionSpend, "part", "request"), spendArguments(parts, rollupWidths)
	case execution.ByAgent:
		sql, args = fmt.Sprintf(readExecutionSpend, "agent", "request"), spendArguments(parts, rollupWidths)
	case execution.ByModel:
		sql, args = fmt.Sprintf(readExecutionSpend, "model", "request OR model <> ''"), spendArguments(parts, rollupWidths)
	}
	var sum spendSum
	read := func(from querier) error {
		rows, err := from.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		sum = spendSum{}
		return sum.read(rows)
	}
	var err error
	if by == execution.ByUser {
		err = s.db.inTxAs(ctx, admin, "read the spend", func(tx pgx.Tx) error { return read(tx) })
	} else {
		err = wrap("read the spend", read(s.db.pool))
	}
	if err != nil {
		return execution.Costs{}, err
	}
	groups := sum.groups
	if by == execution.ByDay {
		groups = everyDay(parts, groups)
	}
	costs := execution.NewCosts(whole, by, groups, limit)
	if sum.rest != nil {
		costs.Rest, costs.Many = sum.rest, sum.many
		costs.Total.Add(sum.rest.Spend)
	}
	costs.Total.Requests = sum.requests // groups by model count calls instead of requests
	return costs, nil
}

// spendSum is the result of a query of spend.
type spendSum struct {
	groups         []execution.SpendOf
	rest           *execution.SpendOf // nil if there are no others than groups
	requests, many int64
}

func (s *spendSum) read(rows pgx.Rows) error {
	var key *string
	var g execution.SpendOf
	var requests, many int64
	_, err := pgx.ForEachRow(rows, []any{
		&key, &g.Requests, &g.Tokens.Used, &g.Tokens.Input, &g.Tokens.Output, &g.Tokens.CacheRead,
		&g.Tokens.CacheWrite, &g.Tokens.Reasoning, &g.Cost, &g.Unpriced,
		&g.UnknownUsage, &g.Estimated, &g.Provider, &g.ProviderUnpriced, &g.ProviderCompared, &requests, &many,
	}, func() error {
		s.requests += requests
		s.many += many
		if key == nil {
			s.rest = &execution.SpendOf{Key: execution.Other, Spend: g.Spend}
			return nil
		}
		s.groups = append(s.groups, execution.SpendOf{Key: *key, Spend: g.Spend})
		return nil
	})
	return err
}

// spendArguments returns $1 to $7: the segments of all parts, and the parts themselves, for the deltas.
func spendArguments(parts []part, widths []time.Duration) []any {
	var names, wholes []string
	var seconds []int32
	var froms, tos, wholeFroms, wholeTos []time.Time
	for _, p := range parts {
		wholes, wholeFroms, wholeTos = append(wholes, p.name), append(wholeFroms, p.From), append(wholeTos, p.To)
		partSeconds, partFroms, partTos := columnsOf(execution.Segments(p.Window, widths...))
		names = append(names, slices.Repeat([]string{p.name}, len(partSeconds))...)
		seconds, froms, tos = append(seconds, partSeconds...), append(froms, partFroms...), append(tos, partTos...)
	}
	return []any{names, seconds, froms, tos, wholes, wholeFroms, wholeTos}
}

// everyDay returns the spend of all days in order, including days without spend.
func everyDay(days []part, spent []execution.SpendOf) []execution.SpendOf {
	byDay := make(map[string]execution.SpendOf, len(spent))
	for _, g := range spent {
		byDay[g.Key] = g
	}
	all := make([]execution.SpendOf, len(days))
	for i, day := range days {
		all[i] = byDay[day.name]
		all[i].Key = day.name
	}
	return all
}
