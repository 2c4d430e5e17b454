package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// listener records what an observer receives.
type listener struct {
	mu    sync.Mutex
	heard []observation
}

type observation struct {
	name, sqlstate string
	took           time.Duration
	err            error
}

func (l *listener) ObserveQuery(name string, took time.Duration, err error, sqlstate string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, observation{name, sqlstate, took, err})
}

func (l *listener) ObserveOtherQuery(audience observe.Audience, name string, took time.Duration, err error, sqlstate string) {
	l.ObserveQuery(name+" for "+audience.String(), took, err, sqlstate)
}

// since returns the observations since the last call.
func (l *listener) since() []observation {
	l.mu.Lock()
	defer l.mu.Unlock()
	heard := l.heard
	l.heard = nil
	return heard
}

// names returns the names of the observed queries, failed ones with their SQLSTATE.
func (l *listener) names() []string {
	var names []string
	for _, o := range l.since() {
		if o.err != nil {
			o.name += " " + o.sqlstate
		}
		names = append(names, o.name)
	}
	return names
}

func TestEveryQueryIsObservedByItsName(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	l := &listener{}
	r := newReplica(t, postgres.Config{URL: db.url, Observer: l, Now: time.Now})
	id := newID()
	for _, tt := range []struct {
		do   func() error
		want []string
	}{
		{func() error { _, err := r.Ping(t.Context()); return err }, []string{"begin", "set", "SchemaVersion", "commit"}},
		{func() error { r.enroll(t, agent("a")); return nil }, []string{"InsertAgent"}},
		{
			func() error { _, err := r.agents.Enroll(t.Context(), agent("a"), fleet.HashToken("b"), 0); return err },
			[]string{"InsertAgent 23505"},
		},
		{func() error { r.createOne(t, "a"); return nil }, []string{"begin", "ExistingAgents", "InsertDeployments", "commit"}},
		{
			func() error { _, err := r.deployments.Cancel(t.Context(), id); return err },
			[]string{"begin", "LockDeployment", "rollback"},
		},
		{func() error { r.sweep(t, r.sweep(t, "", newSink()), newSink()); return nil }, []string{"DatabaseLife", "SweepWhole", "Sweep"}},
		{
			func() error { r.write(t, "r1", busyMinute(noon)); return nil },
			[]string{"begin", "SaveRequestRollup", "SaveQueryRollup", "SaveReplicaRollup", "commit"},
		},
		{
			func() error {
				broken := busyMinute(noon, func(m *metrics.MinuteRollup) { m.Requests[1].Sketch = nil })
				return r.rollups.WriteRollups(t.Context(), metrics.Rollups{Minutes: []metrics.MinuteRollup{broken}})
			},
			[]string{"begin", "SaveRequestRollup 23502", "rollback"},
		},
	} {
		err := tt.do()
		got := l.names()
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("observed, -want +got (it returned %v):\n%s", err, diff)
		}
	}
}

// TestOtherAudiencesAreDistinguished checks that queries for callers without a token are
// counted separately, and that their connections do not count as use of the pool.
func TestOtherAudiencesAreDistinguished(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	l := &listener{}
	r := newReplica(t, postgres.Config{URL: db.url, Observer: l, Now: time.Now})
	for _, tt := range []struct {
		audience observe.Audience
		want     string
	}{
		{observe.Unauthenticated, "Now for unauthenticated"},
		{observe.Probe, "Now for probe"},
		{observe.Known, "Now"},
	} {
		if _, err := r.Now(observe.WithAudience(t.Context(), tt.audience)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{tt.want}, l.names()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		conn, err := r.Acquire(observe.WithAudience(t.Context(), tt.audience))
		if err != nil {
			t.Fatal(err)
		}
		want := int32(1)
		if tt.audience == observe.Known {
			want = 0
		}
		if pool := r.Pool(); pool.InUse != 1 || pool.Others != want {
			t.Errorf("%s holds a connection: %d in use, of these %d for others; want 1 and %d", tt.audience, pool.InUse, pool.Others, want)
		}
		conn.Release()
		if pool := r.Pool(); pool.Others != 0 {
			t.Errorf("%s released a connection: %d in use for others, want 0", tt.audience, pool.Others)
		}
		l.since()
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]string{
		"-- name: GetAgent :one\nSELECT 1":   "GetAgent",
		"-- name: GetAgent :one":             "GetAgent",
		"begin":                              "begin",
		"COMMIT;":                            "commit",
		"  rollback to savepoint x":          "rollback",
		"begin isolation level serializable": "begin",
		"SELECT 'secret'":                    "unnamed",
		"-- ping":                            "unnamed",
		"":                                   "unnamed",
	} {
		l := &listener{}
		trace := postgres.NewTracer(l, time.Now)
		ctx := trace.TraceQueryStart(t.Context(), nil, pgx.TraceQueryStartData{SQL: sql, Args: []any{"secret"}})
		trace.TraceQueryEnd(ctx, nil, pgx.TraceQueryEndData{})
		if diff := cmp.Diff([]string{want}, l.names()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", sql, diff)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	l := &listener{}
	clock := noon
	trace := postgres.NewTracer(l, func() time.Time { return clock })
	batches := trace.(pgx.BatchTracer)

	outer := trace.TraceQueryStart(t.Context(), nil, pgx.TraceQueryStartData{SQL: "begin"})
	clock = clock.Add(time.Second)
	batch := &pgx.Batch{}
	batch.Queue("-- name: First :exec\nSELECT 1")
	batch.Queue("-- name: Second :exec\nSELECT 2")
	inner := batches.TraceBatchStart(outer, nil, pgx.TraceBatchStartData{Batch: batch})
	batches.TraceBatchQuery(inner, nil, pgx.TraceBatchQueryData{SQL: "-- name: First :exec"})
	clock = clock.Add(time.Minute)
	batches.TraceBatchEnd(inner, nil, pgx.TraceBatchEndData{})
	trace.TraceQueryEnd(outer, nil, pgx.TraceQueryEndData{})
	trace.TraceQueryEnd(t.Context(), nil, pgx.TraceQueryEndData{}) // without a start

	var got []string
	for _, o := range l.since() {
		got = append(got, fmt.Sprint(o.name, " ", o.took))
	}
	if diff := cmp.Diff([]string{"First 1m0s", "begin 1m1s"}, got); diff != "" {
		t.Errorf("a batch is one query, each is timed by itself (-want +got):\n%s", diff)
	}
}

// TestParametersAreNotObserved sends a marked value through every parameter
// that accepts text, in queries that succeed and in queries that fail.
func TestParametersAreNotObserved(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	db, _ := newFleet(t, secret)
	l := &listener{}
	r := newReplica(t, postgres.Config{URL: db.url, Observer: l, Now: time.Now})
	id := r.createOne(t, secret)
	ctx := t.Context()
	marked := agent(secret, labelled("key", secret), func(a *fleet.Agent) { a.Name, a.Version = secret, secret })
	broken := agent(secret+"\x00", labelled("key", secret+"\x00"), func(a *fleet.Agent) { a.Name = secret + "\xff" })
	selector, err := fleet.ParseSelector("selector", "key="+secret)
	if err != nil {
		t.Fatal(err)
	}
	bySelector, badSpec := order(), order(secret)
	bySelector.Selector, bySelector.Name = &selector, secret
	badSpec.Spec = []byte(`{"` + secret + `": "` + secret + `\u0000"}`)
	key := &fleet.IdempotencyKey{Key: secret}
	answer := func(fleet.CreatedGroup) ([]byte, error) { return []byte(secret), nil }
	report := func(text string) fleet.Report {
		return saying(fleet.Running, 1, text, func(r *fleet.Report) { r.Message, r.Output = &text, &text })
	}

	failed := 0
	for _, err := range []error{
		second(r.agents.Enroll(ctx, marked, fleet.HashToken(secret), 0)),
		second(r.agents.Enroll(ctx, broken, fleet.HashToken(secret), 0)),
		second(r.agents.Agent(ctx, secret)),
		second(r.agents.Agents(ctx, secret, map[string]string{"key": secret}, 1)),
		second(r.agents.Agents(ctx, secret+"\x00", nil, 1)),
		r.mailbox.SavePresence(ctx, []mailbox.Sighting{{ID: secret, Interval: time.Second}}),
		r.mailbox.SavePresence(ctx, []mailbox.Sighting{{ID: secret + "\xff", Interval: time.Second}}),
		second(r.deployments.Create(ctx, order(secret, "unknown"), key, answer)),
		second(r.deployments.Create(ctx, order(secret), key, answer)),
		second(r.deployments.Create(ctx, bySelector, nil, answer)),
		second(r.deployments.Create(ctx, badSpec, nil, answer)),
		second(r.deployments.Report(ctx, secret, id, report(secret+"\x00"))),
		second(r.deployments.Report(ctx, secret, id, report(secret))),
		second(r.deployments.AppendLog(ctx, secret, id, 1, 0, []byte(secret))),
		second(r.deployments.List(ctx, fleet.DeploymentFilter{AgentID: secret, Status: secret}, newID(), 1)),
		second(r.deployments.List(ctx, fleet.DeploymentFilter{AgentID: secret + "\x00"}, newID(), 1)),
	} {
		if err != nil {
			failed++
		}
	}
	if failed < 7 {
		t.Errorf("want failures too, got %d", failed)
	}
	heard := l.since()
	if len(heard) < 30 {
		t.Errorf("want all observed, got %d", len(heard))
	}
	for _, o := range heard {
		if traced := fmt.Sprintf("%s %s %v", o.name, o.sqlstate, o.err); strings.Contains(traced, secret) {
			t.Errorf("a parameter was traced: %s", traced)
		}
	}
}

func second[T any](_ T, err error) error { return err }
