package ledger_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

func TestPrepare(t *testing.T) {
	t.Parallel()
	rules, err := redact.ParseRules([]string{"key:password", "builtin:email"})
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	dear, err := prices.Parse([]byte("version: dear\ncurrency: USD\nmodels: [{match: [gpt-4o], input: 1000, output: 1000}]"))
	if err != nil {
		t.Fatal(err)
	}
	list := prices.Default()
	l := newLedger(nil, nil, func(o *ledger.Options) {
		o.Payloads, o.Now, o.Prices = execution.PayloadPolicy{Max: 300, Redact: rules}, func() time.Time { return noon }, func() *prices.List { return list }
	})
	valid := func(change func(*execution.Execution)) execution.Execution {
		return anExecution(func(e *execution.Execution) { e.CreatedAt = noon }, change)
	}
	var once []execution.Execution
	for name, tt := range map[string]struct {
		came  execution.Execution
		holds func(execution.Execution) bool
	}{
		"as it is":           {valid(func(*execution.Execution) {}), func(e execution.Execution) bool { return e.PriceVersion == list.Version() && *e.Cost > 0 }},
		"tokens added up":    {valid(func(*execution.Execution) {}), func(e execution.Execution) bool { return e.Tokens.Used == 150 }},
		"a total of its own": {valid(func(e *execution.Execution) { e.Tokens.Used = 170 }), func(e execution.Execution) bool { return e.Tokens.Used == 170 }},
		"no price":           {valid(func(e *execution.Execution) { e.Model = "mine" }), func(e execution.Execution) bool { return e.Cost == nil && e.PriceVersion != "" }},
		"priced before": {
			valid(func(e *execution.Execution) { e.Cost, e.PriceVersion = new(int64(7)), "old" }),
			func(e execution.Execution) bool { return *e.Cost == 7 && e.PriceVersion == "old" },
		},
		"found to have no price before": {
			valid(func(e *execution.Execution) { e.PriceVersion = "old" }),
			func(e execution.Execution) bool { return e.Cost == nil && e.PriceVersion == "old" },
		},
		"masked": {
			valid(func(e *execution.Execution) {
				e.Input, e.ErrorMessage = json.RawMessage(`{"password":"x"}`), "for a@b.cc"
			}),
			func(e execution.Execution) bool {
				return string(e.Input) == `{"password":"[redacted]"}` && e.ErrorMessage == "for [redacted]"
			},
		},
		"bounded": {
			valid(func(e *execution.Execution) { e.Output = json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`) }),
			func(e execution.Execution) bool { return len(e.Output) <= 300 && json.Valid(e.Output) },
		},
	} {
		got, problem := l.Prepare(tt.came)
		if problem != nil || !tt.holds(got) {
			t.Errorf("%s: got %+v, %v", name, got, problem)
		}
		once = append(once, got)
	}
	list = dear // from now on
	for _, want := range once {
		if got, problem := l.Prepare(want); problem != nil || !cmp.Equal(want, got) {
			t.Errorf("prepared again (-once +twice): %v\n%s", problem, cmp.Diff(want, got))
		}
	}
	for name, tt := range map[string]struct {
		spoil func(*execution.Execution)
		field string
	}{
		"no agent":           {func(e *execution.Execution) { e.AgentName = "" }, "agent_name"},
		"too old":            {func(e *execution.Execution) { e.CreatedAt = noon.Add(-31 * day) }, "created_at"},
		"too far ahead":      {func(e *execution.Execution) { e.CreatedAt = noon.Add(time.Hour) }, "created_at"},
		"more than there is": {func(e *execution.Execution) { e.Tokens.Input = 1<<63 - 1 }, "input_tokens"},
	} {
		if _, problem := l.Prepare(valid(tt.spoil)); problem == nil || problem.Field != tt.field {
			t.Errorf("%s: want a fault of %s, got %v", name, tt.field, problem)
		}
	}
	got, problem := l.Prepare(valid(func(e *execution.Execution) { e.Input, e.ErrorMessage = json.RawMessage(`{"a`), "\x00" }))
	if problem != nil || string(got.Input) != `"{\"a"` || got.ErrorMessage != "\uFFFD" {
		t.Errorf("what cannot be stored: want it replaced, got %s, %q, %v", got.Input, got.ErrorMessage, problem)
	}
}

// TestAppend appends all kinds of batches with one caller.
func TestAppend(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	var recorded recorder
	l := newLedger(newStore(t, db.url, nil), &recorded)
	run(t, l)
	good, again := anExecution(), anExecution()
	bad := anExecution(func(e *execution.Execution) { e.Status = "lost" })
	worse := anExecution(func(e *execution.Execution) { e.SessionID = "\x00" })
	for _, tt := range []struct {
		name    string
		batch   execution.Batch
		want    execution.Outcome // without details
		settled int               // in total
	}{
		{"nothing", execution.Batch{}, execution.Outcome{}, 0},
		{"one", execution.Batch{Executions: []execution.Execution{again}}, execution.Outcome{Accepted: 1}, 1},
		{"new, again, twice and bad", execution.Batch{Executions: []execution.Execution{bad, again, good, worse, good}}, execution.Outcome{
			Accepted: 1, Duplicates: 2, Rejected: []execution.Rejection{{Index: 0, Fault: execution.Fault{Field: "status"}}, {Index: 3, Fault: execution.Fault{Field: "session_id"}}},
		}, 2},
		{"nothing but bad", execution.Batch{Executions: []execution.Execution{bad}}, execution.Outcome{
			Rejected: []execution.Rejection{{Index: 0, Fault: execution.Fault{Field: "status"}}},
		}, 2},
		{"spans alone", execution.Batch{Spans: []execution.Span{{TraceID: "t", SpanID: "s", Agent: "a"}}}, execution.Outcome{}, 2},
	} {
		got, err := l.Append(t.Context(), tt.batch)
		for i, r := range got.Rejected {
			if r.Code == "" || r.Detail == "" {
				t.Errorf("%s: want it said what is wrong, got %+v", tt.name, r)
			}
			got.Rejected[i].Code, got.Rejected[i].Detail = "", ""
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
		recorded.eachOnce(t, tt.settled)
	}
	recorded.rows(t, 2, 2, 3, 0)
	if n := ask[int](t, db, `SELECT count(*) FROM span_ancestors`); n != 1 {
		t.Errorf("want the span kept, got %d", n)
	}
	if q := l.Queue(); q.Rows != 0 || q.Bytes != 0 {
		t.Errorf("want nothing waiting, got %+v", q)
	}
	checkRollups(t, db)
}

// TestUnstorableSpans: invalid spans, such as those of rejected executions, do not prevent executions from being
// stored.
func TestUnstorableSpans(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	l := newLedger(newStore(t, db.url, nil), &recorder{})
	run(t, l)
	long := strings.Repeat("x", 1<<20)
	batch := some(2)
	batch.Executions[1].AgentName = long
	good := execution.Span{TraceID: "trace", SpanID: "span", ParentSpanID: "parent", Agent: "agent", User: "user", Session: "session"}
	batch.Spans = append(batch.Spans, good)
	for _, spoil := range []func(*execution.Span){
		func(s *execution.Span) { s.Agent = long },
		func(s *execution.Span) { s.User = long },
		func(s *execution.Span) { s.Session = "\x00" },
		func(s *execution.Span) { s.Agent = "\xff" },
		func(s *execution.Span) { s.SpanID = long },
		func(s *execution.Span) { s.ParentSpanID = "a\x00" },
		func(s *execution.Span) { s.TraceID = "\xff" },
		func(s *execution.Span) { s.TraceID = "" },
		func(s *execution.Span) { s.SpanID = "" },
	} {
		s := good
		spoil(&s)
		batch.Spans = append(batch.Spans, s)
	}
	outcome, err := l.Append(t.Context(), batch)
	answer{outcome, err}.is(t, "who brings them", 1, 0, 1)
	if n := ask[int](t, db, `SELECT count(*) FROM span_ancestors`); n != 1 {
		t.Errorf("want the good span kept, got %d", n)
	}
}

// TestQueueIsBounded: the queue is limited by rows and bytes. Queued batches are kept, and a batch may exceed the limit
// if the queue is empty.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	large := func(e *execution.Execution) { e.Input = json.RawMessage(`"` + strings.Repeat("x", 50_000) + `"`) }
	for name, tt := range map[string]struct {
		bound func(*ledger.Options)
		batch execution.Batch
		fit   int
	}{
		"by rows":           {func(o *ledger.Options) { o.MaxRows = 10 }, some(3), 3},
		"by spans":          {func(o *ledger.Options) { o.MaxRows = 10 }, execution.Batch{Spans: slices.Repeat([]execution.Span{{TraceID: "t", SpanID: "s"}}, 4)}, 2},
		"by bytes":          {func(o *ledger.Options) { o.MaxBytes = 250_000 }, some(1, large), 4},
		"a large one alone": {func(o *ledger.Options) { o.MaxRows, o.MaxBytes = 1, 1 }, some(5), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			var recorded recorder
			g := &gate{Store: newStore(t, db.url, nil)}
			release := g.holding()
			l := newLedger(g, &recorded, tt.bound)
			run(t, l)
			t.Cleanup(release)
			occupying := occupy(t, l, g)
			var waiting []<-chan answer
			for i := range tt.fit {
				waiting = append(waiting, bring(t, l, tt.batch))
				await.Until(t, "it waits", func() bool { return l.Queue().Rows == (i+1)*(len(tt.batch.Executions)+len(tt.batch.Spans)) })
			}
			for range 3 {
				_, err := l.Append(t.Context(), tt.batch)
				var full *fault.Error
				if !errors.Is(err, fault.ErrUnavailable) || !errors.As(err, &full) || full.Kind != fault.Unavailable {
					t.Errorf("want it refused, got %v", err)
				}
			}
			recorded.rows(t, 0, 0, 0, 3*len(tt.batch.Executions))
			release()
			for i, w := range slices.Concat(occupying, waiting) {
				if a := <-w; a.err != nil {
					t.Errorf("%s: %v", who(i), a.err)
				}
			}
			if q := l.Queue(); q.Rows != 0 || q.Bytes != 0 {
				t.Errorf("want nothing waiting, got %+v", q)
			}
			_, err := l.Append(t.Context(), tt.batch)
			if err != nil {
				t.Errorf("afterwards: %v", err)
			}
			checkRollups(t, db)
		})
	}
}
