package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// readCells reads rollups and unfolded deltas in one statement and thus one snapshot: a delta that is folded
// concurrently is counted exactly once, and segments that are subtracted are of the same moment as the others. OFFSET 0
// keeps the planner from replacing the segments' index look-ups with one scan of the table: it cannot estimate how
// small the segments are.
const readCells = `-- name: ReadExecutionCells :many
SELECT s.minus, r.agent, r.model, r.status, r.request, r.count, r.time_us, r.tokens_used, r.input_tokens, r.output_tokens,
	r.cache_read_tokens, r.cache_write_tokens, r.reasoning_tokens, r.cost_nano_usd, r.unpriced_tokens,
	r.unknown_usage, r.estimated_nano_usd, r.provider_cost_nano_usd, r.provider_unpriced_nano_usd, r.provider_compared_nano_usd,
	r.durations
FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[], $6::boolean[]) AS s (seconds, "from", "to", minus)
CROSS JOIN LATERAL (
	SELECT * FROM execution_rollups one WHERE one.seconds = s.seconds AND one.bucket >= s."from" AND one.bucket < s."to" OFFSET 0
) AS r
UNION ALL
SELECT false, d.agent, d.model, d.status, d.request, d.count, d.time_us, d.tokens_used, d.input_tokens, d.output_tokens,
	d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens, d.cost_nano_usd, d.unpriced_tokens,
	d.unknown_usage, d.estimated_nano_usd, d.provider_cost_nano_usd, d.provider_unpriced_nano_usd, d.provider_compared_nano_usd,
	d.durations
FROM execution_deltas d WHERE d.bucket >= $4 AND d.bucket < $5`

// Facts returns the totals of a window's executions. The returned window is widened to whole buckets that are kept.
func (s *Executions) Facts(ctx context.Context, w execution.Window) (execution.Facts, error) {
	w = s.kept.since(s.now()).Align(w)
	segments := execution.Differences(w, s.now(), rollupWidths...)
	seconds, froms, tos := columnsOf(segments)
	minus := make([]bool, len(segments))
	for i, segment := range segments {
		minus[i] = segment.Minus
	}
	rows, err := s.db.pool.Query(ctx, readCells, seconds, froms, tos, w.From, w.To, minus)
	if err != nil {
		return execution.Facts{}, wrap("read the executions' rollups", err)
	}
	defer rows.Close()
	cells, err := addUpCells(rows)
	if err != nil {
		return execution.Facts{}, wrap("read the executions' rollups", err)
	}
	facts := execution.Facts{Window: w}
	for _, sum := range cells {
		if sum.cell.Count != 0 { // otherwise all of it was subtracted
			sum.cell.Durations = sum.durations.Distribution()
			facts.Cells = append(facts.Cells, sum.cell)
		}
	}
	return facts, nil
}

// cellSum is the total of a cell. The cell's durations are set once all rows are added.
type cellSum struct {
	cell      execution.Cell
	durations sketch.Accumulator
}

// addUpCells sums the rows of readCells by cell.
func addUpCells(rows pgx.Rows) (map[string]*cellSum, error) {
	cells := map[string]*cellSum{}
	var key []byte
	for rows.Next() {
		minus, row, err := rawCellOf(rows)
		if err != nil {
			return nil, err
		}
		key = row.appendKey(key[:0])
		sum := cells[string(key)]
		if sum == nil {
			sum = &cellSum{cell: execution.Cell{Agent: row.agent(), Model: row.model(), Status: row.status(), Request: row.request()}}
			cells[string(key)] = sum
		}
		sign := int64(1)
		if minus[0][0] != 0 {
			sign = -1
		}
		sum.cell.Merge(row.measures(sign))
		if err := sum.durations.Add(row.durations(), sign); err != nil {
			return nil, fmt.Errorf("durations of %s: %w", sum.cell.Agent, err)
		}
	}
	return cells, rows.Err()
}

func columnsOf(segments []execution.Segment) (seconds []int32, froms, tos []time.Time) {
	for _, s := range segments {
		seconds, froms, tos = append(seconds, int32(s.Width/time.Second)), append(froms, s.From), append(tos, s.To)
	}
	return seconds, froms, tos
}
