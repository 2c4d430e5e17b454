package otlp_test

import (
	"slices"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestChainNames checks that a chain that is the root of its trace names what runs below it if nothing else does. A
// chain further down would hide the agent above it.
func TestChainNames(t *testing.T) {
	t.Parallel()
	chain := says{"openinference.span.kind": "CHAIN"}
	root, below, agent := newSpan(1, 0, chain), newSpan(2, 9, chain), newSpan(3, 9, says{"openinference.span.kind": "AGENT"})
	root.Name, below.Name, agent.Name = "LangGraph", "RunnableSequence", "planner"
	batch, _ := translated(t, exportOf(root, below, agent))
	var got []string
	for _, place := range batch.Spans {
		got = append(got, place.Agent)
	}
	if want := []string{"LangGraph", "", "planner"}; !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

// processOf is the digest of the resource of exportOf.
const processOf = "d4b3d9930413a4c5"

func TestIntermediateSpans(t *testing.T) {
	t.Parallel()
	http := says{"http.request.method": "POST"}
	otherTrace := newSpan(7, 0, http)
	otherTrace.TraceId = []byte("another trace id")
	for name, tt := range map[string]struct {
		spans []*tracepb.Span
		want  []execution.Span
	}{
		"a root that names nobody, alone":   {[]*tracepb.Span{newSpan(1, 0, http)}, nil},
		"a root that names a user":          {[]*tracepb.Span{newSpan(1, 0, http.with(says{"user.id": "ada"}))}, []execution.Span{{TraceID: traceID, SpanID: first, User: "ada"}}},
		"one with a parent":                 {[]*tracepb.Span{newSpan(2, 1, http)}, []execution.Span{{TraceID: traceID, SpanID: second, ParentSpanID: first}}},
		"a task that names a session":       {[]*tracepb.Span{newSpan(1, 0, says{"traceloop.span.kind": "task", "gen_ai.conversation.id": "c1"})}, []execution.Span{{TraceID: traceID, SpanID: first, Session: "c1"}}},
		"a root above an execution":         {[]*tracepb.Span{newSpan(2, 1, chat), newSpan(1, 0, http), otherTrace}, []execution.Span{{TraceID: traceID, SpanID: second, ParentSpanID: first, Execution: true}, {TraceID: traceID, SpanID: first}}},
		"a root above one that is rejected": {[]*tracepb.Span{newSpan(2, 1, chat.with(says{"gen_ai.usage.input_tokens": -1})), newSpan(1, 0, http)}, []execution.Span{{TraceID: traceID, SpanID: first}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, _ := translated(t, exportOf(tt.spans...))
			for i := range tt.want {
				want := &tt.want[i]
				want.StartedAt, want.EndedAt, want.Scope, want.Process = noon, noon.Add(1500*time.Millisecond), "test", processOf
				if want.Execution {
					want.Role, want.Status = execution.RoleCall, execution.Success
				}
			}
			if diff := differ(tt.want, batch.Spans); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
