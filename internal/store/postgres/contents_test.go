package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// contentTrace and contentSpan are the trace and span that the tests' contents belong to.
const contentTrace, contentSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

func newContents(t *testing.T, db database, policy execution.PayloadPolicy) *postgres.Contents {
	t.Helper()
	return postgres.NewContents(newReplica(t, postgres.Config{URL: db.url, MaxConns: 4}).DB, policy)
}

func contentOf(at time.Time, input, output string, message bool) execution.Content {
	c := execution.Content{TraceID: contentTrace, SpanID: contentSpan, At: at, Message: message}
	if input != "" {
		c.Input = json.RawMessage(input)
	}
	if output != "" {
		c.Output = json.RawMessage(output)
	}
	return c
}

// joinUntil joins contents until done returns true.
func joinUntil(t *testing.T, s *postgres.Contents, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done() {
		if _, err := s.Join(ctx); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the content was not joined")
		}
	}
}

func TestContentsJoinTheirExecution(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond)
	for name, tt := range map[string]struct {
		contents              []execution.Content
		ownInput              string
		wantInput, wantOutput string
	}{
		"all at once": {
			contents:  []execution.Content{contentOf(began, `[{"role":"user","content":"hi"}]`, `[{"role":"assistant","content":"ho"}]`, false)},
			wantInput: `[{"role":"user","content":"hi"}]`, wantOutput: `[{"role":"assistant","content":"ho"}]`,
		},
		"messages, in the order of their times": {
			contents: []execution.Content{
				contentOf(began.Add(time.Second), `{"role":"user"}`, "", true), contentOf(began, `{"role":"system"}`, "", true),
				contentOf(began.Add(2*time.Second), "", `{"role":"assistant"}`, true),
			},
			wantInput: `[{"role":"system"},{"role":"user"}]`, wantOutput: `[{"role":"assistant"}]`,
		},
		"the span has its own": {
			contents: []execution.Content{contentOf(began, `"other"`, `"out"`, false)}, ownInput: `"own"`, wantInput: `"own"`, wantOutput: `"out"`,
		},
	} {
		for _, order := range []string{"logs first", "span first"} {
			t.Run(name+"/"+order, func(t *testing.T) {
				t.Parallel()
				db := newDatabase(t)
				executions, contents := newExecutions(t, db), newContents(t, db, execution.PayloadPolicy{})
				e := anExecution(func(e *execution.Execution) {
					e.ID, e.TraceID, e.SpanID, e.CreatedAt = contentTrace+"-"+contentSpan, contentTrace, contentSpan, began
					if tt.ownInput != "" {
						e.Input = json.RawMessage(tt.ownInput)
					}
				})
				batch := execution.Batch{
					Executions: []execution.Execution{e},
					Spans:      []execution.Span{{TraceID: contentTrace, SpanID: contentSpan, Execution: true, StartedAt: began}},
				}
				store := func() {
					if _, err := executions.Commit(t.Context(), batch); err != nil {
						t.Fatal(err)
					}
				}
				keep := func() {
					for range 2 { // the second time is a no-op
						if refused, err := contents.Keep(t.Context(), tt.contents); err != nil || refused != 0 {
							t.Fatal(refused, err)
						}
					}
				}
				if order == "logs first" {
					keep()
					if _, err := contents.Join(t.Context()); err != nil {
						t.Fatal(err)
					}
					store()
				} else {
					store()
					keep()
				}
				var got execution.Execution
				joinUntil(t, contents, func() bool {
					found, err := executions.UserActivity(t.Context(), "ada", execution.Position{}, 10)
					if err != nil || len(found) != 1 {
						t.Fatal(found, err)
					}
					got = found[0]
					return got.Output != nil
				})
				if !sameJSON(t, got.Input, tt.wantInput) || !sameJSON(t, got.Output, tt.wantOutput) {
					t.Errorf("got %s and %s", got.Input, got.Output)
				}
			})
		}
	}
}

func sameJSON(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	first, _ := json.Marshal(a)
	second, _ := json.Marshal(b)
	return string(first) == string(second)
}

func TestContentsAreBounded(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	contents := newContents(t, db, execution.PayloadPolicy{Max: 1000, Refuse: true})
	keep := func(source byte, c execution.Content) (int, error) {
		ctx := execution.WithSource(t.Context(), execution.Source{source})
		return contents.Keep(ctx, []execution.Content{c})
	}
	count := func() metrics.ContentSample {
		t.Helper()
		if err := contents.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
		return contents.Sample()
	}
	large, _ := json.Marshal(strings.Repeat("x", 2000))
	if refused, err := keep(1, contentOf(time.Now(), string(large), "", false)); err != nil || refused != 1 {
		t.Errorf("oversized: refused %d, %v", refused, err)
	}
	first := contentOf(time.Now(), `"asked"`, "", false)
	for range 2 { // the second is a duplicate
		if refused, err := keep(1, first); err != nil || refused != 0 {
			t.Fatal(refused, err)
		}
	}
	if got := count(); got.Waiting != 1 || got.Bytes != 7 || got.Kept != 1 || got.Large != 1 {
		t.Errorf("got %+v", got)
	}
	db.execAsAdmin(t, `UPDATE pending_contents SET bytes = 128 << 20`)
	count()
	second := contentOf(time.Now(), `"asked again"`, "", false)
	var limited *fault.Error
	if _, err := keep(1, second); !errors.As(err, &limited) || limited.Kind != fault.Limited {
		t.Errorf("one token's share is full: got %v", err)
	}
	if _, err := keep(2, second); err != nil {
		t.Errorf("another token: %v", err)
	}
	db.execAsAdmin(t, `UPDATE pending_contents SET bytes = 128 << 20`)
	count()
	if _, err := keep(3, second); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("all is full: got %v", err)
	}
	db.execAsAdmin(t, `UPDATE pending_contents SET since = since - interval '1 hour' WHERE bytes > 1000 AND input = '"asked"'`)
	if err := contents.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(); got.Waiting != 1 || got.Expired != 1 || got.Full != 2 {
		t.Errorf("got %+v", got)
	}
	if _, err := keep(1, first); err != nil {
		t.Errorf("after some expired: %v", err)
	}
}

// TestContentsOfOneCall checks that content of a span that is merged into another span of the
// same call is joined to the remaining execution, whether it arrives before the merge or after.
func TestContentsOfOneCall(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"logs first", "joined first", "between"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			executions, contents, o := newExecutions(t, db), newContents(t, db, execution.PayloadPolicy{}), &settling{db: db}
			s := newScene()
			outer, inside := s.piece(call, "1", "", 0, 900, response), s.piece(call, "2", "1", 1, 899, inner, response)
			outer.execution.Input, outer.execution.Output = nil, nil
			inside.execution.Input, inside.execution.Output = nil, nil
			keep := func() {
				content := contentOf(s.began, `"asked"`, `"answered"`, false)
				content.TraceID, content.SpanID = string(s.trace), "2"
				if refused, err := contents.Keep(t.Context(), []execution.Content{content}); err != nil || refused != 0 {
					t.Fatal(refused, err)
				}
			}
			has := func() bool { return rowCount(t, db, "input_json IS NOT NULL AND output_json IS NOT NULL") == 1 }
			switch order {
			case "logs first":
				keep()
				o.commit(t, executions, outer, inside)
				o.settle(t, executions)
			case "joined first":
				o.commit(t, executions, outer, inside)
				o.settle(t, executions)
				keep()
			case "between":
				o.commit(t, executions, inside)
				keep()
				joinUntil(t, contents, has)
				o.commit(t, executions, outer)
				o.settle(t, executions)
			}
			if all := rowCount(t, db, "true"); all != 1 {
				t.Fatalf("%d executions tell of one call", all)
			}
			joinUntil(t, contents, has)
		})
	}
}

func rowCount(t *testing.T, db database, where string) int64 {
	t.Helper()
	return naive(t, db, pgx.RowTo[int64], `SELECT count(*) FROM agent_executions WHERE `+where)[0]
}
