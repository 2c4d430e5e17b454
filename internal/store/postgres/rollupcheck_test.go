package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/sketch"
)

// The names under which rollups count a row. A row records which of its names are counted as "other".
const (
	agentInRollups = `CASE WHEN capped & 1 = 1 THEN 'other' ELSE agent_name END`
	modelInRollups = `CASE WHEN capped & 2 = 2 THEN 'other' ELSE model_used END`
)

// sums are the values of a rollup, or the sums of rows.
type sums struct {
	Count, Micros, Used, Input, Output, Read, Write, Reasoning, Cost, Unpriced int64
	Unknown, Estimated, Provider, ProviderUnpriced, ProviderCompared           int64
	Durations                                                                  string
}

// checkRollups compares every rollup, including what is not folded yet, with a scan of the rows.
func checkRollups(t testing.TB, db database) {
	t.Helper()
	for name, width := range map[string]string{"minutes": "60", "quarters": "900", "hours": "3600", "days": "86400"} {
		rows := cellSums(t, db, `
			SELECT date_bin(`+width+` * interval '1 second', created_at, 'epoch')::text || ' ' || status || ' ' || request
					|| ' ' || `+agentInRollups+`
					|| ' ' || `+modelInRollups+`,
				1, round(execution_time_ms * 1000)::bigint, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
				reasoning_tokens, COALESCE(cost_nano_usd, 0), `+unpricedTokens+`,
				CASE WHEN usage IN ('unknown', 'estimated') THEN 1 ELSE 0 END,
				CASE WHEN usage = 'estimated' THEN COALESCE(cost_nano_usd, 0) ELSE 0 END, COALESCE(provider_cost_nano_usd, 0),
				CASE WHEN cost_nano_usd IS NULL THEN COALESCE(provider_cost_nano_usd, 0) ELSE 0 END,
				CASE WHEN provider_cost_nano_usd IS NULL THEN 0 ELSE COALESCE(cost_nano_usd, 0) END, NULL
			FROM agent_executions`)
		rollups := cellSums(t, db, `
			SELECT date_bin(`+width+` * interval '1 second', bucket, 'epoch')::text || ' ' || status || ' ' || request || ' ' || agent || ' ' || model,
				count, time_us, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
				cost_nano_usd, unpriced_tokens, unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd, durations
			FROM (SELECT * FROM execution_rollups WHERE seconds = `+width+` UNION ALL SELECT `+width+`, * FROM execution_deltas) AS all_of_them`)
		if diff := cmp.Diff(rows, rollups); diff != "" {
			t.Errorf("%s (-rows +rollups):\n%s", name, diff)
		}
		if width == "60" {
			continue
		}
		rows = cellSums(t, db, `
			SELECT date_bin(`+width+` * interval '1 second', created_at, 'epoch')::text || ' ' || user_id
					|| ' ' || `+modelInRollups+`,
				request::int, 0, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
				reasoning_tokens, COALESCE(cost_nano_usd, 0), `+unpricedTokens+`,
				CASE WHEN usage IN ('unknown', 'estimated') THEN 1 ELSE 0 END,
				CASE WHEN usage = 'estimated' THEN COALESCE(cost_nano_usd, 0) ELSE 0 END, COALESCE(provider_cost_nano_usd, 0),
				CASE WHEN cost_nano_usd IS NULL THEN COALESCE(provider_cost_nano_usd, 0) ELSE 0 END,
				CASE WHEN provider_cost_nano_usd IS NULL THEN 0 ELSE COALESCE(cost_nano_usd, 0) END, '\x01'::bytea
			FROM agent_executions`)
		rollups = cellSums(t, db, `
			SELECT date_bin(`+width+` * interval '1 second', bucket, 'epoch')::text || ' ' || user_id || ' ' || model,
				requests, 0, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
				cost_nano_usd, unpriced_tokens, unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd, '\x01'::bytea
			FROM (SELECT * FROM user_rollups WHERE seconds = `+width+` UNION ALL SELECT `+width+`, * FROM user_deltas) AS all_of_them`)
		if diff := cmp.Diff(rows, rollups); diff != "" {
			t.Errorf("users' %s (-rows +rollups):\n%s", name, diff)
		}
	}
}

// cellSums sums rows by their first column. A row whose last column is null is one duration.
func cellSums(t testing.TB, db database, sql string) map[string]sums {
	t.Helper()
	tx, err := db.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }() // read-only
	if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_admin`); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all, durations := map[string]sums{}, map[string]*sketch.Distribution{}
	for rows.Next() {
		var key string
		var one sums
		var encoded []byte
		if err := rows.Scan(&key, &one.Count, &one.Micros, &one.Used, &one.Input, &one.Output, &one.Read, &one.Write, &one.Reasoning,
			&one.Cost, &one.Unpriced, &one.Unknown, &one.Estimated, &one.Provider, &one.ProviderUnpriced, &one.ProviderCompared, &encoded); err != nil {
			t.Fatal(err)
		}
		if durations[key] == nil {
			durations[key] = &sketch.Distribution{}
		}
		if encoded == nil {
			durations[key].Add((time.Duration(one.Micros) * time.Microsecond).Seconds(), 1)
		} else if err := durations[key].MergeEncoded(encoded); err != nil {
			t.Fatal(err)
		}
		sum := all[key]
		sum.Count += one.Count
		sum.Micros += one.Micros
		sum.Used += one.Used
		sum.Input += one.Input
		sum.Output += one.Output
		sum.Read += one.Read
		sum.Write += one.Write
		sum.Reasoning += one.Reasoning
		sum.Cost += one.Cost
		sum.Unpriced += one.Unpriced
		sum.Unknown += one.Unknown
		sum.Estimated += one.Estimated
		sum.Provider += one.Provider
		sum.ProviderUnpriced += one.ProviderUnpriced
		sum.ProviderCompared += one.ProviderCompared
		all[key] = sum
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for key, sum := range all {
		if sum.Durations = string(durations[key].Encode()); sum == (sums{Durations: "\x01"}) {
			delete(all, key) // everything in it was subtracted
			continue
		}
		all[key] = sum
	}
	return all
}
