package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// readCells reads what is folded and what is not, in one statement and thus one snapshot: a delta that is folded meanwhile is
// in either, once, and what is taken away is of the same moment as what it is taken from. OFFSET 0 keeps the planner from
// turning the parts' look-ups in the index into one scan of all that there is, which it does for it cannot know how little of
// it the parts are.
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

// Facts reads what executions of a window add up to. The window comes back widened to the buckets that are kept.
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
		return execution.Facts{}, fault("read the executions' rollups", err)
	}
	defer rows.Close()
	cells, err := addUpCells(rows)
	if err != nil {
		return execution.Facts{}, fault("read the executions' rollups", err)
	}
	facts := execution.Facts{Window: w}
	for _, sum := range cells {
		if sum.cell.Count != 0 { // else all that it had was taken away again
			sum.cell.Durations = sum.durations.Distribution()
			facts.Cells = append(facts.Cells, sum.cell)
		}
	}
	return facts, nil
}

// cellSum is what the rollups of a cell add up to. The cell has no durations until all are there.
type cellSum struct {
	cell      execution.Cell
	durations sketch.Accumulator
}

// addUpCells adds up what readCells returns. There are thousands of rows to a hundred cells, so it takes the values as they
// came over the wire: to scan them into variables, each of a row's names a string of its own, took four times as long.
func addUpCells(rows pgx.Rows) (map[string]*cellSum, error) {
	const names, sums = 3, 15 // after minus: agent, model, status; request; count … provider_compared_nano_usd; durations
	cells := map[string]*cellSum{}
	var key []byte
	for rows.Next() {
		minus, row := rows.RawValues()[0], rows.RawValues()[1:]
		if format := rows.FieldDescriptions()[1+names+1].Format; format != pgx.BinaryFormatCode {
			return nil, fmt.Errorf("numbers come in format %d", format)
		}
		key = key[:0]
		for _, part := range row[:names+1] {
			key = append(append(key, part...), 0) // which is in no text
		}
		sum := cells[string(key)]
		if sum == nil {
			sum = &cellSum{cell: execution.Cell{
				Agent: string(row[0]), Model: string(row[1]), Status: execution.Status(row[2]), Request: row[3][0] != 0,
			}}
			cells[string(key)] = sum
		}
		sign := int64(1)
		if minus[0] != 0 {
			sign = -1
		}
		var n [sums]int64
		for i := range n {
			n[i] = sign * int64(binary.BigEndian.Uint64(row[names+1+i]))
		}
		sum.cell.Merge(execution.Measures{
			Count: n[0], Micros: n[1], Cost: n[8], Unpriced: n[9],
			Evidence: execution.Evidence{
				UnknownUsage: n[10], Estimated: n[11], Provider: n[12], ProviderUnpriced: n[13], ProviderCompared: n[14],
			},
			Tokens: execution.Tokens{Used: n[2], Input: n[3], Output: n[4], CacheRead: n[5], CacheWrite: n[6], Reasoning: n[7]},
		})
		if err := sum.durations.Add(row[names+1+sums], sign); err != nil {
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
