package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// The numbers of deltas folded in one transaction. The more of a user's deltas are folded together, the
// less often the user's rollups are written. If a fold exceeds the statement timeout, the next one folds
// half as many, down to 1/2^maxHalvings.
const (
	foldAtOnce      = 20_000
	foldUsersAtOnce = 100_000
	maxHalvings     = 6
)

// rollupsAtOnce is the maximum number of rollups of executions read or written by one statement.
const rollupsAtOnce = 5000

// rollupWidths are the bucket widths of execution_rollups, which stores the same totals at each.
var rollupWidths = []time.Duration{execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide}

// Fold merges deltas into the rollups, so that readers have few rows to sum. It reports whether more deltas may be
// pending. One replica folds at a time; for others Fold returns immediately.
func (s *Executions) Fold(ctx context.Context) (more bool, err error) {
	halvings := s.foldHalvings.Load()
	limit, maxUsers := int32(foldAtOnce>>halvings), int32(foldUsersAtOnce>>halvings)
	err = s.db.inTxAs(ctx, admin, "fold rollups", func(tx pgx.Tx) error {
		more = false
		q := s.db.queries.WithTx(tx)
		if mine, err := q.TryFolding(ctx); err != nil || !mine {
			return err
		}
		folded, err := foldExecutions(ctx, tx, q, limit)
		if err != nil {
			return err
		}
		users, err := q.FoldUserDeltas(ctx, dbgen.FoldUserDeltasParams{MaxRows: maxUsers})
		more = folded == limit || users == int64(maxUsers)
		return err
	})
	switch {
	case errors.Is(err, fault.ErrUnavailable) && halvings < maxHalvings:
		s.foldHalvings.CompareAndSwap(halvings, halvings+1)
	case err == nil && halvings > 0:
		s.foldHalvings.CompareAndSwap(halvings, halvings-1)
	}
	return more, err
}

// Unfolded returns the number of deltas that are not folded yet.
func (s *Executions) Unfolded(ctx context.Context) (int64, error) {
	n, err := s.db.queries.CountDeltas(ctx)
	return n, wrap("count the deltas", err)
}

// rollupKey is the key of execution_rollups.
type rollupKey struct {
	seconds int32
	bucket  int64 // seconds since 1970
	agent   string
	model   string
	status  string
	request bool
}

// at returns the key of the rollup of the given width that includes k.
func (k rollupKey) at(width time.Duration) rollupKey {
	k.seconds, k.bucket = int32(width/time.Second), time.Unix(k.bucket, 0).UTC().Truncate(width).Unix()
	return k
}

func keyOfCell(bucket []byte, cell rawCell) rollupKey {
	return rollupKey{
		bucket: rawSeconds(bucket), agent: cell.agent(), model: cell.model(), status: string(cell.status()), request: cell.request(),
	}
}

const (
	takeExecutionDeltas = `-- name: TakeExecutionDeltas :many
DELETE FROM execution_deltas
WHERE ctid = ANY (ARRAY (SELECT d.ctid FROM execution_deltas d LIMIT $1))
RETURNING ` + cellDeltaColumns

	executionRollupsByKey = `-- name: ExecutionRollupsByKey :many
SELECT seconds, ` + cellDeltaColumns + ` FROM (
	SELECT r.* FROM unnest($1::int[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::boolean[])
		AS k (seconds, bucket, agent, model, status, request)
	JOIN execution_rollups r ON r.seconds = k.seconds AND r.bucket = k.bucket AND r.agent = k.agent AND r.model = k.model
		AND r.status = k.status AND r.request = k.request
) AS stored`
)

// foldExecutions folds up to most deltas and returns their number.
func foldExecutions(ctx context.Context, tx pgx.Tx, q *dbgen.Queries, limit int32) (folded int32, err error) {
	taken, err := tx.Query(ctx, takeExecutionDeltas, limit)
	if err != nil {
		return 0, err
	}
	sums, folded, err := sumsOf(taken)
	if err != nil || len(sums) == 0 {
		return folded, err
	}
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b rollupKey) int {
		return cmp.Or(cmp.Compare(a.seconds, b.seconds), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.agent, b.agent),
			cmp.Compare(a.model, b.model), cmp.Compare(a.status, b.status), compareBools(a.request, b.request))
	})
	for some := range slices.Chunk(keys, rollupsAtOnce) {
		if err := saveSums(ctx, tx, q, some, sums); err != nil {
			return folded, err
		}
	}
	return folded, nil
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// sumsOf sums deltas at all widths. Each width is summed from the next narrower one, which has far fewer sums than
// there are deltas.
func sumsOf(taken pgx.Rows) (sums map[rollupKey]*execution.Measures, n int32, err error) {
	defer taken.Close()
	sums = map[rollupKey]*execution.Measures{}
	sumOf := func(key rollupKey) (sum *execution.Measures, isNew bool) {
		sum, known := sums[key]
		if !known {
			sum = &execution.Measures{}
			sums[key] = sum
		}
		return sum, !known
	}
	minutes := map[string]*execution.Measures{} // by the encoded key
	var raw []byte
	for ; taken.Next(); n++ {
		bucket, row, err := rawCellOf(taken)
		if err != nil {
			return nil, n, err
		}
		raw = row.appendKey(append(raw[:0], bucket[0]...))
		sum := minutes[string(raw)]
		if sum == nil {
			sum, _ = sumOf(keyOfCell(bucket[0], row).at(rollupWidths[0]))
			minutes[string(raw)] = sum
		}
		sum.Merge(row.measures(1))
		if err := sum.Durations.MergeEncoded(row.durations()); err != nil {
			return nil, n, fmt.Errorf("durations of %s: %w", row.agent(), err)
		}
	}
	if err := taken.Err(); err != nil {
		return nil, n, err
	}
	below := slices.Collect(maps.Keys(sums))
	for _, width := range rollupWidths[1:] {
		var made []rollupKey
		for _, key := range below {
			wider := key.at(width)
			sum, isNew := sumOf(wider)
			if sum.Merge(*sums[key]); isNew {
				made = append(made, wider)
			}
		}
		below = made
	}
	return sums, n, nil
}

// saveSums adds the stored rollups to the sums of keys and stores the result. The caller holds the lock of folding, so
// there are no concurrent writes.
func saveSums(ctx context.Context, tx pgx.Tx, q *dbgen.Queries, keys []rollupKey, sums map[rollupKey]*execution.Measures) error {
	var rows dbgen.SaveExecutionRollupsParams
	for _, key := range keys {
		rows.Seconds, rows.Buckets = append(rows.Seconds, key.seconds), append(rows.Buckets, time.Unix(key.bucket, 0))
		rows.Agents, rows.Models = append(rows.Agents, key.agent), append(rows.Models, key.model)
		rows.Statuses, rows.Requests = append(rows.Statuses, key.status), append(rows.Requests, key.request)
	}
	stored, err := tx.Query(ctx, executionRollupsByKey, rows.Seconds, rows.Buckets, rows.Agents, rows.Models, rows.Statuses, rows.Requests)
	if err != nil {
		return err
	}
	if err := addStored(stored, sums); err != nil {
		return err
	}
	for _, key := range keys {
		m := sums[key]
		rows.Count, rows.TimeUs = append(rows.Count, m.Count), append(rows.TimeUs, m.Micros)
		rows.TokensUsed, rows.InputTokens = append(rows.TokensUsed, m.Tokens.Used), append(rows.InputTokens, m.Tokens.Input)
		rows.OutputTokens, rows.ReasoningTokens = append(rows.OutputTokens, m.Tokens.Output), append(rows.ReasoningTokens, m.Tokens.Reasoning)
		rows.CacheReadTokens, rows.CacheWriteTokens = append(rows.CacheReadTokens, m.Tokens.CacheRead), append(rows.CacheWriteTokens, m.Tokens.CacheWrite)
		rows.CostNanoUsd, rows.UnpricedTokens = append(rows.CostNanoUsd, m.Cost), append(rows.UnpricedTokens, m.Unpriced)
		rows.UnknownUsage, rows.EstimatedNanoUsd = append(rows.UnknownUsage, m.UnknownUsage), append(rows.EstimatedNanoUsd, m.Estimated)
		rows.ProviderCostNanoUsd = append(rows.ProviderCostNanoUsd, m.Provider)
		rows.ProviderUnpricedNanoUsd = append(rows.ProviderUnpricedNanoUsd, m.ProviderUnpriced)
		rows.ProviderComparedNanoUsd = append(rows.ProviderComparedNanoUsd, m.ProviderCompared)
		rows.Durations = append(rows.Durations, m.Durations.Encode())
	}
	return q.SaveExecutionRollups(ctx, rows)
}

func addStored(stored pgx.Rows, sums map[rollupKey]*execution.Measures) error {
	defer stored.Close()
	for stored.Next() {
		at, row, err := rawCellOf(stored)
		if err != nil {
			return err
		}
		key := keyOfCell(at[1], row)
		key.seconds = int32(binary.BigEndian.Uint32(at[0]))
		sum := sums[key]
		if sum == nil {
			return fmt.Errorf("a rollup of %s was not asked for", key.agent)
		}
		sum.Merge(row.measures(1))
		durations, err := sketch.DecodeDistribution(row.durations())
		if err != nil {
			return fmt.Errorf("durations of %s: %w", row.agent(), err)
		}
		sum.Durations.Merge(durations)
	}
	return stored.Err()
}
