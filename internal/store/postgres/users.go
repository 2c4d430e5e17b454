package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// readUsers reads a page of the users of a window. $1 to $4 are the segments in the rollups, $5 to $7 the window, $8 the
// last page's value and $9 its user, $10 the limit. Its columns are those of readUserSpend, for each user.
const readUsers = `-- name: ReadUsers :many
WITH active AS (
	SELECT user_id, clamped(sum(requests)) AS requests, clamped(sum(tokens_used)) AS tokens_used,
		clamped(sum(input_tokens)) AS input_tokens, clamped(sum(output_tokens)) AS output_tokens,
		clamped(sum(cache_read_tokens)) AS cache_read_tokens, clamped(sum(cache_write_tokens)) AS cache_write_tokens,
		clamped(sum(reasoning_tokens)) AS reasoning_tokens, clamped(sum(cost_nano_usd)) AS cost_nano_usd, clamped(sum(unpriced_tokens)) AS unpriced_tokens,
		clamped(sum(unknown_usage)) AS unknown_usage, clamped(sum(estimated_nano_usd)) AS estimated_nano_usd,
		clamped(sum(provider_cost_nano_usd)) AS provider_cost_nano_usd, clamped(sum(provider_unpriced_nano_usd)) AS provider_unpriced_nano_usd,
		clamped(sum(provider_compared_nano_usd)) AS provider_compared_nano_usd
	FROM (` + userSpendRows + `) AS spent
	GROUP BY user_id
	HAVING sum(requests) <> 0 OR sum(tokens_used) <> 0 OR sum(unknown_usage) <> 0 OR sum(provider_cost_nano_usd) <> 0
)
SELECT user_id, requests, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
	cost_nano_usd, unpriced_tokens, unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd,
	provider_compared_nano_usd, (SELECT count(*) FROM active)
FROM active WHERE $9 = '' OR %[1]s < $8 OR %[1]s = $8 AND user_id > $9
ORDER BY %[1]s DESC, user_id LIMIT $10`

// userColumns are what users are sorted by, highest first.
var userColumns = map[execution.UserSort]string{
	execution.UsersByCost: "cost_nano_usd", execution.UsersByRequests: "requests", execution.UsersByTokens: "tokens_used",
	execution.UsersByID: "0::bigint",
}

// valueOf returns what a user is sorted by.
func valueOf(u *execution.User, sort execution.UserSort) int64 {
	switch sort {
	case execution.UsersByCost:
		return u.Cost
	case execution.UsersByRequests:
		return u.Requests
	case execution.UsersByTokens:
		return u.Tokens.Used
	default:
		return 0
	}
}

// readUsersSeen returns the first and last bucket of each width for users. It reads two rows of an index for each user and
// width, however many rollups the user has.
const readUsersSeen = `-- name: ReadUsersSeen :many
SELECT user_id, seconds, min(first), max(last) FROM (
	SELECT u.user_id, w.seconds, first.bucket AS first, last.bucket AS last
	FROM unnest($1::text[]) AS u (user_id)
	CROSS JOIN unnest($2::int[]) AS w (seconds)
	CROSS JOIN LATERAL (
		SELECT r.bucket FROM user_rollups r
		WHERE r.user_id = u.user_id AND r.seconds = w.seconds AND (r.requests <> 0 OR r.tokens_used <> 0 OR r.unknown_usage <> 0 OR r.provider_cost_nano_usd <> 0)
		ORDER BY r.bucket LIMIT 1
	) AS first
	CROSS JOIN LATERAL (
		SELECT r.bucket FROM user_rollups r
		WHERE r.user_id = u.user_id AND r.seconds = w.seconds AND (r.requests <> 0 OR r.tokens_used <> 0 OR r.unknown_usage <> 0 OR r.provider_cost_nano_usd <> 0)
		ORDER BY r.bucket DESC LIMIT 1
	) AS last
	UNION ALL
	SELECT d.user_id, 900, min(d.bucket), max(d.bucket) FROM user_deltas d WHERE d.user_id = ANY ($1::text[]) GROUP BY d.user_id
) AS seen
GROUP BY user_id, seconds
ORDER BY user_id, seconds DESC`

// Users returns a page of the users of the last days in a time zone, including today.
func (s *Executions) Users(ctx context.Context, query execution.UserQuery) (execution.Users, error) {
	zone, err := time.LoadLocation(query.TimeZone)
	if err != nil {
		return execution.Users{}, fmt.Errorf("time zone of users: %w", err)
	}
	days := s.lastDays(query.Days, zone)
	var page execution.Users
	err = s.db.inTxAs(ctx, admin, "list users", func(tx pgx.Tx) error {
		page = execution.Users{Window: execution.Window{From: days[0].From, To: days[len(days)-1].To}}
		args := append(spendArguments([]part{{"", page.Window}}, rollupWidths[1:]), query.After.Value, query.After.UserID, query.Limit+1)
		rows, err := tx.Query(ctx, fmt.Sprintf(readUsers, userColumns[query.Sort]), args...)
		if err != nil {
			return err
		}
		var u execution.User
		_, err = pgx.ForEachRow(rows, []any{
			&u.ID, &u.Requests, &u.Tokens.Used, &u.Tokens.Input, &u.Tokens.Output, &u.Tokens.CacheRead, &u.Tokens.CacheWrite,
			&u.Tokens.Reasoning, &u.Cost, &u.Unpriced, &u.UnknownUsage, &u.Estimated, &u.Provider, &u.ProviderUnpriced, &u.ProviderCompared, &page.Active,
		}, func() error {
			page.Users = append(page.Users, u)
			return nil
		})
		if err != nil {
			return err
		}
		if len(page.Users) > query.Limit {
			page.Users = page.Users[:query.Limit]
			last := &page.Users[query.Limit-1]
			page.Next = execution.UserPosition{UserID: last.ID, Value: valueOf(last, query.Sort)}
		}
		return seenUsers(ctx, tx, page.Users)
	})
	return page, err
}

// userWidths are the widths of user_rollups in seconds.
func userWidths() []int32 {
	var widths []int32
	for _, width := range rollupWidths[1:] {
		widths = append(widths, int32(width/time.Second))
	}
	return widths
}

// seenUsers sets when users were seen first and last, as narrowly as that is kept.
func seenUsers(ctx context.Context, tx pgx.Tx, users []execution.User) error {
	index := make(map[string]*execution.User, len(users))
	ids := make([]string, len(users))
	for i := range users {
		ids[i] = users[i].ID
		index[ids[i]] = &users[i]
	}
	rows, err := tx.Query(ctx, readUsersSeen, ids, userWidths())
	if err != nil {
		return err
	}
	var id string
	var seconds int32
	var first, last time.Time
	wider := map[string]time.Duration{}
	_, err = pgx.ForEachRow(rows, []any{&id, &seconds, &first, &last}, func() error {
		u := index[id]
		if within, known := wider[id]; !known || first.Before(u.FirstSeen.Add(within)) {
			// Of a narrower width only the first bucket within the wider one is the user's first.
			u.FirstSeen, wider[id] = first.UTC(), time.Duration(seconds)*time.Second
		}
		if last.After(u.LastSeen) {
			u.LastSeen = last.UTC()
		}
		return nil
	})
	return err
}

const (
	firstAgents = `-- name: FirstDaysOfAgents :many
SELECT agent, min(bucket) FROM execution_rollups WHERE seconds = 86400 AND count <> 0 GROUP BY agent`
	newUsers = `-- name: CountNewUsers :many
SELECT p.part, count(*) FROM (
	SELECT user_id, min(bucket) AS first FROM (
		SELECT user_id, bucket FROM user_rollups
		WHERE seconds = 86400 AND (requests <> 0 OR tokens_used <> 0 OR unknown_usage <> 0 OR provider_cost_nano_usd <> 0)
		UNION ALL
		SELECT user_id, bucket FROM user_deltas
	) AS used GROUP BY user_id
) AS u
JOIN unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS p (part, "from", "to") ON u.first >= p."from" AND u.first < p."to"
GROUP BY p.part`
)

// Adoption returns the use of agents in the last weeks, from Monday in UTC, and of up to limit agents by name.
func (s *Executions) Adoption(ctx context.Context, weeks, limit int) ([]execution.AdoptionWeek, error) {
	today := s.now().UTC().Truncate(execution.DayWide)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	parts := make([]execution.Window, weeks)
	for i := range parts {
		parts[i].From = monday.AddDate(0, 0, 7*(i-weeks+1))
		parts[i].To = parts[i].From.AddDate(0, 0, 7)
	}
	sums := execution.NewSeriesSums(execution.SeriesByAgent, parts)
	all := make([]execution.AdoptionWeek, weeks)
	first := map[string]time.Time{}
	err := s.db.inTxAs(ctx, admin, "read the adoption", func(tx pgx.Tx) error {
		if err := readSums(ctx, tx, sums, parts); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, firstAgents)
		if err != nil {
			return err
		}
		var agent string
		var day time.Time
		if _, err = pgx.ForEachRow(rows, []any{&agent, &day}, func() error { first[agent] = day; return nil }); err != nil {
			return err
		}
		arguments := partArguments(parts, rollupWidths[1:])
		if err := countUsers(ctx, tx, readActiveUsers, arguments, func(part int, n int64) { all[part].ActiveUsers = n }); err != nil {
			return err
		}
		return countUsers(ctx, tx, newUsers, arguments[4:], func(part int, n int64) { all[part].NewUsers = n })
	})
	if err != nil {
		return nil, err
	}
	isNew := func(agent string, week execution.Window) bool {
		day, known := first[agent]
		return agent != execution.Other && (!known || !day.Before(week.From))
	}
	for i := range all {
		all[i].Window = parts[i]
		for _, agent := range sums.Used(i) {
			all[i].ActiveAgents++
			if isNew(agent, parts[i]) {
				all[i].NewAgents++
			}
		}
	}
	series := sums.Series(limit, nil)
	for i := range all {
		for _, one := range series {
			figures := one.Points[i].Figures
			if figures.Count == 0 && figures.Tokens.Used == 0 {
				continue
			}
			all[i].Agents = append(all[i].Agents, execution.AdoptedAgent{Agent: one.Key, New: isNew(one.Key, parts[i]), Figures: figures})
		}
		slices.SortStableFunc(all[i].Agents, func(a, b execution.AdoptedAgent) int { return cmp.Compare(b.Count, a.Count) })
	}
	return all, nil
}

// countUsers runs a query that returns a number for each part.
func countUsers(ctx context.Context, tx pgx.Tx, sql string, args []any, set func(part int, n int64)) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	var part int
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&part, &n}, func() error { set(part, n); return nil })
	return err
}

// readSums adds the cells of the parts of a window.
func readSums(ctx context.Context, from querier, sums *execution.SeriesSums, parts []execution.Window) error {
	rows, err := from.Query(ctx, readSeriesCells, partArguments(parts, rollupWidths)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		before, row, err := rawCellOf(rows)
		if err != nil {
			return err
		}
		cell := execution.Cell{Agent: row.agent(), Model: row.model(), Status: row.status(), Request: row.request(), Measures: row.measures(1)}
		if err := sums.Add(int(binary.BigEndian.Uint32(before[0])), &cell, row.durations()); err != nil {
			return err
		}
	}
	return rows.Err()
}
