package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/postgres/dbgen"
)

// How many deltas one transaction folds. The more of a user's, the fewer times its rollups are written. Where that takes
// longer than a statement may, it is tried with half as many, down to 1/2^mostHalvings.
const (
	foldAtOnce      = 20_000
	foldUsersAtOnce = 100_000
	mostHalvings    = 6
)

// rollupWidths are those of execution_rollups, which hold the same at four widths.
var rollupWidths = []time.Duration{execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide}

// Fold merges deltas into the rollups, so that what readers have to add up stays little. It says whether there may be more.
// One replica folds at a time; for the others there is nothing to do meanwhile.
func (s *Executions) Fold(ctx context.Context) (more bool, err error) {
	halvings := s.foldHalvings.Load()
	most, mostUsers := int32(foldAtOnce>>halvings), int32(foldUsersAtOnce>>halvings)
	err = s.db.inTxAs(ctx, admin, "fold rollups", func(tx pgx.Tx) error {
		more = false
		q := s.db.queries.WithTx(tx)
		if mine, err := q.TryFolding(ctx); err != nil || !mine {
			return err
		}
		taken, err := q.TakeExecutionDeltas(ctx, most)
		if err != nil {
			return err
		}
		if err := foldExecutions(ctx, q, taken); err != nil {
			return err
		}
		users, err := q.FoldUserDeltas(ctx, dbgen.FoldUserDeltasParams{Most: mostUsers})
		more = int32(len(taken)) == most || users == int64(mostUsers)
		return err
	})
	switch {
	case errors.Is(err, fleet.ErrUnavailable) && halvings < mostHalvings:
		s.foldHalvings.CompareAndSwap(halvings, halvings+1)
	case err == nil && halvings > 0:
		s.foldHalvings.CompareAndSwap(halvings, halvings-1)
	}
	return more, err
}

// Unfolded counts the deltas that wait to be folded.
func (s *Executions) Unfolded(ctx context.Context) (int64, error) {
	n, err := s.db.queries.CountDeltas(ctx)
	return n, fault("count the deltas", err)
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

// at returns the key of the wider rollup that has the same.
func (k rollupKey) at(width time.Duration) rollupKey {
	k.seconds, k.bucket = int32(width/time.Second), time.Unix(k.bucket, 0).UTC().Truncate(width).Unix()
	return k
}

func foldExecutions(ctx context.Context, q *dbgen.Queries, taken []dbgen.ExecutionDelta) error {
	if len(taken) == 0 {
		return nil
	}
	sums, err := sumsOf(taken)
	if err != nil {
		return err
	}
	if err := addStored(ctx, q, sums); err != nil {
		return err
	}
	rows := make([]dbgen.SaveExecutionRollupParams, 0, len(sums))
	for key, m := range sums {
		rows = append(rows, dbgen.SaveExecutionRollupParams{
			Seconds: key.seconds, Bucket: time.Unix(key.bucket, 0).UTC(), Agent: key.agent, Model: key.model, Status: key.status, Request: key.request,
			Count: m.Count, TimeUs: m.Micros, TokensUsed: m.Tokens.Used, InputTokens: m.Tokens.Input, OutputTokens: m.Tokens.Output,
			CacheReadTokens: m.Tokens.CacheRead, CacheWriteTokens: m.Tokens.CacheWrite, ReasoningTokens: m.Tokens.Reasoning,
			CostNanoUsd: m.Cost, UnpricedTokens: m.Unpriced, Durations: m.Durations.Encode(),
			UnknownUsage: m.UnknownUsage, EstimatedNanoUsd: m.Estimated, ProviderCostNanoUsd: m.Provider,
			ProviderUnpricedNanoUsd: m.ProviderUnpriced, ProviderComparedNanoUsd: m.ProviderCompared,
		})
	}
	slices.SortFunc(rows, func(a, b dbgen.SaveExecutionRollupParams) int {
		return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), a.Bucket.Compare(b.Bucket), cmp.Compare(a.Agent, b.Agent),
			cmp.Compare(a.Model, b.Model), cmp.Compare(a.Status, b.Status))
	})
	return runBatch(q.SaveExecutionRollup(ctx, rows))
}

// sumsOf adds up deltas at all widths: each width from the one below it, which has far fewer sums than there are deltas.
func sumsOf(taken []dbgen.ExecutionDelta) (map[rollupKey]*execution.Measures, error) {
	sums := map[rollupKey]*execution.Measures{}
	add := func(key rollupKey, m execution.Measures) (isNew bool) {
		sum, known := sums[key]
		if !known {
			sum = &execution.Measures{}
			sums[key] = sum
		}
		sum.Merge(m)
		return !known
	}
	for _, d := range taken {
		m, err := measuresOf(dbgen.ExecutionRollup{
			Count: d.Count, TimeUs: d.TimeUs, TokensUsed: d.TokensUsed, InputTokens: d.InputTokens, OutputTokens: d.OutputTokens,
			CacheReadTokens: d.CacheReadTokens, CacheWriteTokens: d.CacheWriteTokens, ReasoningTokens: d.ReasoningTokens,
			CostNanoUsd: d.CostNanoUsd, UnpricedTokens: d.UnpricedTokens, Durations: d.Durations,
			UnknownUsage: d.UnknownUsage, EstimatedNanoUsd: d.EstimatedNanoUsd, ProviderCostNanoUsd: d.ProviderCostNanoUsd,
			ProviderUnpricedNanoUsd: d.ProviderUnpricedNanoUsd, ProviderComparedNanoUsd: d.ProviderComparedNanoUsd,
		})
		if err != nil {
			return nil, err
		}
		add(rollupKey{0, d.Bucket.Unix(), d.Agent, d.Model, d.Status, d.Request}.at(rollupWidths[0]), m)
	}
	below := slices.Collect(maps.Keys(sums))
	for _, width := range rollupWidths[1:] {
		var made []rollupKey
		for _, key := range below {
			if wider := key.at(width); add(wider, *sums[key]) {
				made = append(made, wider)
			}
		}
		below = made
	}
	return sums, nil
}

// addStored adds to sums what the rollups hold already. Nobody else writes there meanwhile.
func addStored(ctx context.Context, q *dbgen.Queries, sums map[rollupKey]*execution.Measures) error {
	var keys dbgen.ExecutionRollupsByKeyParams
	for key := range sums {
		keys.Seconds, keys.Buckets = append(keys.Seconds, key.seconds), append(keys.Buckets, time.Unix(key.bucket, 0))
		keys.Agents, keys.Models = append(keys.Agents, key.agent), append(keys.Models, key.model)
		keys.Statuses, keys.Requests = append(keys.Statuses, key.status), append(keys.Requests, key.request)
	}
	stored, err := q.ExecutionRollupsByKey(ctx, keys)
	if err != nil {
		return err
	}
	for _, r := range stored {
		m, err := measuresOf(r)
		if err != nil {
			return err
		}
		sums[rollupKey{r.Seconds, r.Bucket.Unix(), r.Agent, r.Model, r.Status, r.Request}].Merge(m)
	}
	return nil
}

func measuresOf(r dbgen.ExecutionRollup) (execution.Measures, error) {
	m := execution.Measures{
		Count: r.Count, Micros: r.TimeUs, Cost: r.CostNanoUsd, Unpriced: r.UnpricedTokens,
		Evidence: execution.Evidence{
			UnknownUsage: r.UnknownUsage, Estimated: r.EstimatedNanoUsd, Provider: r.ProviderCostNanoUsd,
			ProviderUnpriced: r.ProviderUnpricedNanoUsd, ProviderCompared: r.ProviderComparedNanoUsd,
		},
		Tokens: execution.Tokens{
			Used: r.TokensUsed, Input: r.InputTokens, Output: r.OutputTokens,
			CacheRead: r.CacheReadTokens, CacheWrite: r.CacheWriteTokens, Reasoning: r.ReasoningTokens,
		},
	}
	if err := m.Durations.MergeEncoded(r.Durations); err != nil {
		return m, fmt.Errorf("durations of %s: %w", r.Agent, err)
	}
	return m, nil
}
