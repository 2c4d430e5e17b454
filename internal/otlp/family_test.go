package otlp_test

import (
	"slices"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestSpansThatOthersExplain(t *testing.T) {
	t.Parallel()
	var (
		http    = says{"http.request.method": "POST"}
		chain   = says{"openinference.span.kind": "CHAIN"}
		agent   = says{"openinference.span.kind": "AGENT", "agent.name": "clerk"}
		llm     = says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-5", "llm.token_count.prompt": 40}
		silent  = says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-5"}
		embed   = says{"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "text-embedding-3-small", "gen_ai.usage.input_tokens": 5}
		use     = says{"gen_ai.operation.name": "execute_tool"}
		nothing = execution.Kind("")
	)
	for name, tt := range map[string]struct {
		spans  []*tracepb.Span
		kinds  []execution.Kind // of each span
		tokens int64
		models int
	}{
		"a chain alone":                     {[]*tracepb.Span{newSpan(1, 0, chain)}, []execution.Kind{execution.Agent}, 0, 0},
		"a chain whose parent is elsewhere": {[]*tracepb.Span{newSpan(1, 9, chain)}, []execution.Kind{execution.Agent}, 0, 0},
		"a chain in a request":              {[]*tracepb.Span{newSpan(2, 1, chain), newSpan(1, 0, http)}, []execution.Kind{execution.Agent, nothing}, 0, 0},
		"a chain's steps": {
			[]*tracepb.Span{newSpan(5, 4, llm), newSpan(4, 3, chain), newSpan(3, 2, http), newSpan(2, 1, chain), newSpan(1, 0, chain)},
			[]execution.Kind{execution.Inference, nothing, nothing, nothing, execution.Agent},
			40, 1,
		},
		"an agent's steps": {[]*tracepb.Span{newSpan(2, 1, chain), newSpan(1, 0, agent)}, []execution.Kind{nothing, execution.Agent}, 0, 0},
		"an agent's agent": {[]*tracepb.Span{newSpan(2, 1, agent), newSpan(1, 0, agent)}, []execution.Kind{execution.Agent, execution.Agent}, 0, 0},
		"a tool's chain":   {[]*tracepb.Span{newSpan(2, 1, chain), newSpan(1, 0, use)}, []execution.Kind{execution.Agent, execution.Tool}, 0, 0},
		"a call that two instrumentations see": {
			[]*tracepb.Span{newSpan(2, 1, llm), newSpan(1, 0, llm)}, []execution.Kind{execution.Inference, execution.Agent}, 40, 1,
		},
		"a call that three see, over HTTP": {
			[]*tracepb.Span{newSpan(4, 3, llm), newSpan(3, 2, llm), newSpan(2, 1, http), newSpan(1, 0, llm)},
			[]execution.Kind{execution.Inference, execution.Agent, nothing, execution.Agent},
			40, 1,
		},
		"a call whose inner span does not count": {[]*tracepb.Span{newSpan(2, 1, silent), newSpan(1, 0, llm)}, []execution.Kind{execution.Inference, execution.Inference}, 40, 2},
		"a call that nobody counts":              {[]*tracepb.Span{newSpan(2, 1, silent), newSpan(1, 0, silent)}, []execution.Kind{execution.Inference, execution.Agent}, 0, 1},
		"the AI SDK's embedding of many":         {[]*tracepb.Span{newSpan(2, 1, embed), newSpan(3, 1, embed), newSpan(1, 0, embed.with(says{"gen_ai.usage.input_tokens": 10}))}, []execution.Kind{execution.Inference, execution.Inference, execution.Agent}, 10, 2},
		"calls one after the other":              {[]*tracepb.Span{newSpan(2, 1, llm), newSpan(3, 1, llm), newSpan(1, 0, agent)}, []execution.Kind{execution.Inference, execution.Inference, execution.Agent}, 80, 2},
		"a call of a tool of a call":             {[]*tracepb.Span{newSpan(3, 2, llm), newSpan(2, 1, use), newSpan(1, 0, llm)}, []execution.Kind{execution.Inference, execution.Tool, execution.Inference}, 80, 2},
		"a circle of requests":                   {[]*tracepb.Span{newSpan(3, 2, llm), newSpan(2, 1, http), newSpan(1, 2, http)}, []execution.Kind{execution.Inference, nothing, nothing}, 40, 1},
		"a circle with a call in it":             {[]*tracepb.Span{newSpan(2, 1, llm), newSpan(1, 2, http)}, []execution.Kind{execution.Inference, nothing}, 40, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(tt.spans...))
			if partial != nil {
				t.Fatal(partial.GetErrorMessage())
			}
			byID := make(map[string]execution.Execution)
			var tokens int64
			models := 0
			for _, e := range batch.Executions {
				byID[e.SpanID] = e
				tokens += e.Tokens.Used
				if e.Model != "" {
					models++
				}
			}
			places := make(map[string]execution.Span)
			for _, place := range batch.Spans {
				places[place.SpanID] = place
			}
			for i, s := range tt.spans {
				id := hexOf(s.GetSpanId())
				if got := byID[id].Kind; got != tt.kinds[i] {
					t.Errorf("span %s is %q, not %q", id, got, tt.kinds[i])
				}
				if got := places[id].Execution; got != (tt.kinds[i] != nothing) {
					t.Errorf("span %s counts as an execution: %t", id, got)
				}
			}
			if tokens != tt.tokens || models != tt.models {
				t.Errorf("%d tokens and %d calls of a model, not %d and %d", tokens, models, tt.tokens, tt.models)
			}
		})
	}
}

// A chain that is the root of its trace names what runs below it, if nothing else does. One further down would hide the
// agent above it.
func TestNamesOfChains(t *testing.T) {
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

// processOf is the digest of the resource that exportOf has.
const processOf = "d4b3d9930413a4c5"

func TestSpansThatStandBetween(t *testing.T) {
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
