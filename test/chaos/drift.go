package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/sketch"
)

// cell identifies a row of a rollup: its width, its start, and its other keys.
type cell struct {
	width time.Duration
	begin int64 // Unix seconds
	of    string
}

// sums holds the totals of a cell, by the rollup or by the rows.
type sums struct {
	Count, Micros, Used, Input, Output, Read, Write, Reasoning, Cost, Unpriced int64
}

func (s *sums) add(o sums) {
	s.Count += o.Count
	s.Micros += o.Micros
	s.Used += o.Used
	s.Input += o.Input
	s.Output += o.Output
	s.Read += o.Read
	s.Write += o.Write
	s.Reasoning += o.Reasoning
	s.Cost += o.Cost
	s.Unpriced += o.Unpriced
}

// figures maps cells to their sums and the sketches of their durations.
type figures struct {
	sums      map[cell]*sums
	durations map[cell]*sketch.Distribution
}

func newFigures() figures {
	return figures{map[cell]*sums{}, map[cell]*sketch.Distribution{}}
}

func (f figures) at(c cell) (*sums, *sketch.Distribution) {
	if f.sums[c] == nil {
		f.sums[c], f.durations[c] = &sums{}, &sketch.Distribution{}
	}
	return f.sums[c], f.durations[c]
}

var cellWidths = []time.Duration{time.Minute, 15 * time.Minute, time.Hour, 24 * time.Hour}

// The columns shared by rows, rollups and deltas. The last is a sketch, null in rows, which have one duration each.
const (
	cellRows = `SELECT 0, created_at, status || ' ' || request
			|| ' ' || CASE WHEN capped & 1 = 1 THEN 'other' ELSE agent_name END
			|| ' ' || CASE WHEN capped & 2 = 2 THEN 'other' ELSE model_used END,
		1, round(execution_time_ms * 1000)::bigint, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
		reasoning_tokens, COALESCE(cost_nano_usd, 0), CASE WHEN cost_nano_usd IS NULL THEN tokens_used
			ELSE GREATEST(tokens_used - input_tokens - output_tokens, 0) END, NULL::bytea
	FROM agent_executions`
	cellRollups = `SELECT seconds, bucket, status || ' ' || request || ' ' || agent || ' ' || model,
		count, time_us, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
		cost_nano_usd, unpriced_tokens, durations
	FROM (SELECT * FROM execution_rollups UNION ALL SELECT 0, * FROM execution_deltas) AS all_of_them`
	userRows = `SELECT 0, created_at, user_id || ' ' || CASE WHEN capped & 2 = 2 THEN 'other' ELSE model_used END,
		request::int::bigint, 0::bigint, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
		reasoning_tokens, COALESCE(cost_nano_usd, 0), CASE WHEN cost_nano_usd IS NULL THEN tokens_used
			ELSE GREATEST(tokens_used - input_tokens - output_tokens, 0) END, '\x'::bytea
	FROM agent_executions`
	userRollups = `SELECT seconds, bucket, user_id || ' ' || model,
		requests, 0::bigint, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
		cost_nano_usd, unpriced_tokens, '\x'::bytea
	FROM (SELECT * FROM user_rollups UNION ALL SELECT 0, * FROM user_deltas) AS all_of_them`
)

// drift counts the rollup cells that differ from the totals of the rows in one snapshot, while writers may continue.
// example is one of them.
func drift(ctx context.Context, conn *pgx.Conn) (cells int, example string, err error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return 0, "", fmt.Errorf("compare rollups with rows: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
	for _, of := range []struct {
		what, rows, rollups string
		widths              []time.Duration
	}{
		{"executions", cellRows, cellRollups, cellWidths},
		{"users", userRows, userRollups, cellWidths[1:]},
	} {
		rows, err := readFigures(ctx, tx, of.rows, of.widths)
		if err != nil {
			return 0, "", fmt.Errorf("add up the rows of %s: %w", of.what, err)
		}
		rollups, err := readFigures(ctx, tx, of.rollups, of.widths)
		if err != nil {
			return 0, "", fmt.Errorf("read the rollups of %s: %w", of.what, err)
		}
		n, one := rows.compare(rollups)
		cells += n
		if one != "" {
			example = of.what + ": " + one
		}
	}
	return cells, example, nil
}

// readFigures adds up the results of a statement. A row with 0 in the first column counts for every width.
func readFigures(ctx context.Context, tx pgx.Tx, sql string, widths []time.Duration) (figures, error) {
	all := newFigures()
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return all, err
	}
	var (
		seconds int32
		when    time.Time
		of      string
		one     sums
		encoded []byte
	)
	into := []any{
		&seconds, &when, &of, &one.Count, &one.Micros, &one.Used, &one.Input, &one.Output, &one.Read, &one.Write,
		&one.Reasoning, &one.Cost, &one.Unpriced, &encoded,
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		for _, width := range widths {
			if seconds != 0 && time.Duration(seconds)*time.Second != width {
				continue
			}
			sum, durations := all.at(cell{width, when.UTC().Truncate(width).Unix(), of})
			sum.add(one)
			switch {
			case encoded == nil:
				durations.Add((time.Duration(one.Micros) * time.Microsecond).Seconds(), 1)
			case len(encoded) > 0:
				if err := durations.MergeEncoded(encoded); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, err
}

// compare counts the cells that differ, and returns an example. An empty cell equals a missing one.
func (f figures) compare(o figures) (differ int, example string) {
	seen := map[cell]bool{}
	for _, all := range []figures{f, o} {
		for c := range all.sums {
			if seen[c] {
				continue
			}
			seen[c] = true
			have, haveDurations := f.at(c)
			want, wantDurations := o.at(c)
			if *have == *want && string(haveDurations.Encode()) == string(wantDurations.Encode()) {
				continue
			}
			differ++
			example = fmt.Sprintf("%s from %s of %s: rows %+v, rollup %+v", c.width, time.Unix(c.begin, 0).UTC().Format(time.RFC3339), c.of, *have, *want)
		}
	}
	return differ, example
}
