package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/postgres/dbgen"
)

// readCells adds up what is folded and what is not, in one statement and thus one snapshot: a delta that is folded
// meanwhile is in either, once. OFFSET 0 keeps the planner from turning the parts' look-ups in the index into one scan of
// all that there is, which it does for it cannot know how little of it the parts are.
const readCells = `-- name: ReadExecutionCells :many
SELECT r.agent, r.model, r.status, r.request, r.count, r.time_us, r.tokens_used, r.input_tokens, r.output_tokens,
	r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens, r.durations
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) AS s (seconds, "from", "to")
CROSS JOIN LATERAL (
	SELECT * FROM execution_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
) AS r
UNION ALL
SELECT d.agent, d.model, d.status, d.request, d.count, d.time_us, d.tokens_used, d.input_tokens, d.output_tokens,
	d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens, d.durations
FROM execution_deltas d WHERE d.bucket >= $4 AND d.bucket < $5`

// Facts reads what executions of a window add up to. The window comes back widened to the buckets that are kept.
func (s *Executions) Facts(ctx context.Context, w execution.Window) (execution.Facts, error) {
	w = s.kept.since(s.now()).Align(w)
	seconds, froms, tos := columnsOf(execution.Segments(w, rollupWidths...))
	rows, err := s.db.pool.Query(ctx, readCells, seconds, froms, tos, w.From, w.To)
	if err != nil {
		return execution.Facts{}, fault("read the executions' rollups", err)
	}
	cells := map[rollupKey]*execution.Cell{}
	var r dbgen.ExecutionRollup
	_, err = pgx.ForEachRow(rows, []any{
		&r.Agent, &r.Model, &r.Status, &r.Request, &r.Count, &r.TimeUs, &r.TokensUsed, &r.InputTokens, &r.OutputTokens,
		&r.CacheReadTokens, &r.CacheWriteTokens, &r.ReasoningTokens, &r.CostNanoUsd, &r.UnpricedTokens, &r.Durations,
	}, func() error {
		m, err := measuresOf(r)
		if err != nil {
			return err
		}
		key := rollupKey{agent: r.Agent, model: r.Model, status: r.Status, request: r.Request}
		cell := cells[key]
		if cell == nil {
			cell = &execution.Cell{Agent: r.Agent, Model: r.Model, Status: execution.Status(r.Status), Request: r.Request}
			cells[key] = cell
		}
		cell.Merge(m)
		return nil
	})
	if err != nil {
		return execution.Facts{}, fault("read the executions' rollups", err)
	}
	facts := execution.Facts{Window: w}
	for _, cell := range cells {
		if cell.Count != 0 { // else all that it had was taken away again
			facts.Cells = append(facts.Cells, *cell)
		}
	}
	return facts, nil
}

func columnsOf(segments []execution.Segment) (seconds []int32, froms, tos []time.Time) {
	for _, s := range segments {
		seconds, froms, tos = append(seconds, int32(s.Width/time.Second)), append(froms, s.From), append(tos, s.To)
	}
	return seconds, froms, tos
}
