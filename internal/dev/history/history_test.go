package history_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/dev/history"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

func options(url string) history.Options {
	defaults := replica.Defaults()
	return history.Options{
		URL: url, Span: 3 * 24 * time.Hour, Executions: 3000, Agents: 4, Seed: 1, Prices: prices.Default(),
		Keep: defaults.Executions.Retention, KeepFleet: defaults.Retention, Now: time.Now, Log: zap.NewNop(),
	}
}

// TestHistoryAddsUp checks that what is read from the rollups is the sum of the executions.
func TestHistoryAddsUp(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewDatabase(t)
	opts := options(url)
	wrote, err := history.Write(t.Context(), opts)
	if err != nil || wrote.Existed || wrote.Executions != opts.Executions || wrote.Deployments == 0 || wrote.Reports == 0 {
		t.Fatalf("want the history, got %+v, %v", wrote, err)
	}
	checkSums(t, opts)
	for table, want := range map[string]string{
		"a failed call": "SELECT EXISTS (SELECT FROM agent_executions WHERE status = 'failure' AND error_message <> '')",
		"a timeout":     "SELECT EXISTS (SELECT FROM agent_executions WHERE status = 'timeout')",
		"a model without a price": `SELECT EXISTS (SELECT FROM agent_executions WHERE tokens_used > 0 AND cost_nano_usd IS NULL)
			AND EXISTS (SELECT FROM agent_executions WHERE cost_nano_usd > 0)`,
		"a trace with children": "SELECT EXISTS (SELECT FROM agent_executions c JOIN agent_executions p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id)",
		"only known parents":    "SELECT NOT EXISTS (SELECT FROM agent_executions c WHERE parent_span_id <> '' AND NOT EXISTS (SELECT FROM agent_executions p WHERE p.trace_id = c.trace_id AND p.span_id = c.parent_span_id))",
		"nothing in the future": "SELECT max(created_at) <= now() FROM agent_executions",
		"a log":                 "SELECT EXISTS (SELECT FROM deployment_logs WHERE start_offset = 0)",
		"requests of all days":  "SELECT count(DISTINCT bucket::date) >= 3 FROM request_rollups",
		"a covered window":      "SELECT sum(covered_seconds) >= 3 * 86400 - 3600 FROM replica_rollups",
		"names from the start":  "SELECT min(registered_at) < now() - interval '2 days' FROM rollup_names",
	} {
		if !ask[bool](t, url, want) {
			t.Errorf("the history lacks %s", table)
		}
	}
	again, err := history.Write(t.Context(), opts)
	if err != nil || !again.Existed {
		t.Errorf("want the existing history, got %+v, %v", again, err)
	}
	checkSums(t, opts)
	opts.Executions++
	if _, err := history.Write(t.Context(), opts); !errors.Is(err, history.ErrOther) || !strings.Contains(err.Error(), "--history-executions 3000") {
		t.Errorf("want an error that names the options, got %v", err)
	}
}

// TestHistoryContinues checks that an interrupted history is completed and not doubled.
func TestHistoryContinues(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewDatabase(t)
	opts := options(url)
	interrupted, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	opts.Now = func() time.Time {
		if calls.Add(1) == 12 { // while executions are stored
			stop()
		}
		return time.Now()
	}
	if _, err := history.Write(interrupted, opts); err == nil {
		t.Fatal("want an interruption")
	}
	opts.Now = time.Now
	if wrote, err := history.Write(t.Context(), opts); err != nil || wrote.Existed {
		t.Fatalf("want the rest of the history, got %+v, %v", wrote, err)
	}
	checkSums(t, opts)
}

// checkSums compares totals of the rollups with those of the executions.
func checkSums(t *testing.T, opts history.Options) {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: opts.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := postgres.NewExecutions(db, opts.Keep, time.Now)
	if n := ask[int64](t, opts.URL, "SELECT count(*) FROM agent_executions"); n != opts.Executions {
		t.Errorf("want %d executions, got %d", opts.Executions, n)
	}
	want := [3]int64{
		ask[int64](t, opts.URL, "SELECT sum(cost_nano_usd)::bigint FROM agent_executions"),
		ask[int64](t, opts.URL, "SELECT sum(tokens_used)::bigint FROM agent_executions"),
		ask[int64](t, opts.URL, "SELECT count(*) FILTER (WHERE request) FROM agent_executions"),
	}
	for _, by := range []execution.GroupBy{execution.ByDay, execution.ByModel, execution.ByUser, execution.ByAgent} {
		costs, err := store.Costs(t.Context(), execution.CostQuery{Days: 5, TimeZone: "UTC", GroupBy: by, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		got := [3]int64{costs.Total.Cost, costs.Total.Tokens.Used, costs.Total.Requests}
		if got != want {
			t.Errorf("by %s: want cost, tokens and requests %d, got %d", by, want, got)
		}
	}
}

// ask returns the value of a query by the administrator's role.
func ask[T any](t *testing.T, url, query string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if strings.Contains(query, "agent_executions") {
		if _, err := conn.Exec(t.Context(), "SET ROLE watchbill_admin"); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.QueryRow(t.Context(), query).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		change func(*history.Options)
		want   string
	}{
		{func(*history.Options) {}, ""},
		{func(o *history.Options) { o.Span = time.Minute }, "--history must be from 1h to 366d"},
		{func(o *history.Options) { o.Span = 400 * 24 * time.Hour }, "--history must be from 1h to 366d"},
		{func(o *history.Options) { o.Span = 91 * 24 * time.Hour }, "--keep-executions"},
		{func(o *history.Options) { o.Executions = -1 }, "--history-executions must be from 1 to"},
		{func(o *history.Options) { o.Executions = 1e9 }, "--history-executions must be from 1 to"},
	} {
		o := options("")
		tt.change(&o)
		err := o.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want an error with %q, got %v", tt.want, err)
		}
	}
}
