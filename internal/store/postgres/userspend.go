package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// readSpendOfUsers is like readExecutionSpend, for the users $8.
const readSpendOfUsers = `-- name: ReadSpendOfUsers :many
SELECT %s AS key, clamped(sum(requests)), ` + sumsOfSpend + `, clamped(sum(requests)), 1
FROM (
	SELECT s.part, r.model, r.requests, r.tokens_used, r.input_tokens, r.output_tokens,
		r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens,
		r.unknown_usage, r.estimated_nano_usd, r.provider_cost_nano_usd, r.provider_unpriced_nano_usd, r.provider_compared_nano_usd
	FROM unnest($1::text[], $2::int[], $3::timestamptz[], $4::timestamptz[]) AS s (part, seconds, "from", "to")
	CROSS JOIN LATERAL (
		SELECT * FROM user_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" AND one.user_id = ANY ($8::text[]) OFFSET 0
	) AS r
	UNION ALL
	SELECT p.part, d.model, d.requests, d.tokens_used, d.input_tokens, d.output_tokens,
		d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens,
		d.unknown_usage, d.estimated_nano_usd, d.provider_cost_nano_usd, d.provider_unpriced_nano_usd, d.provider_compared_nano_usd
	FROM unnest($5::text[], $6::timestamptz[], $7::timestamptz[]) AS p (part, "from", "to")
	JOIN user_deltas d ON d.bucket >= p."from" AND d.bucket < p."to" AND d.user_id = ANY ($8::text[])
) AS spent
GROUP BY 1
HAVING sum(requests) <> 0 OR sum(tokens_used) <> 0 OR sum(unknown_usage) <> 0 OR sum(provider_cost_nano_usd) <> 0`

// spendOfUsers returns the spend of the users of a query, by day or model.
func (s *Executions) spendOfUsers(ctx context.Context, query execution.CostQuery, whole execution.Window, parts []part) (execution.Costs, error) {
	key := "part"
	if query.GroupBy == execution.ByModel {
		key = "model"
	}
	var sum spendSum
	err := s.db.inTxAs(ctx, admin, "read a user's spend", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, fmt.Sprintf(readSpendOfUsers, key), append(spendArguments(parts, rollupWidths[1:]), query.UserIDs)...)
		if err != nil {
			return err
		}
		sum = spendSum{}
		return sum.read(rows)
	})
	if err != nil {
		return execution.Costs{}, err
	}
	groups := sum.groups
	if query.GroupBy == execution.ByDay {
		groups = everyDay(parts, groups)
	}
	return execution.NewCosts(whole, query.GroupBy, groups, query.Limit), nil
}
