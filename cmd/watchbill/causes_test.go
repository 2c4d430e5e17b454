package main

import (
	"slices"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

func TestCausesOf(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	failed := func(id, parent, message string, kind openapi.ExecutionKind, after, took float64) openapi.Execution {
		return openapi.Execution{
			ExecutionID: id, TraceID: "t", SpanID: id, ParentSpanID: parent, ErrorMessage: &message, Kind: kind,
			CreatedAt: start.Add(time.Duration(after * float64(time.Second))), ExecutionTimeMs: took * 1000,
		}
	}
	const agent, inference = openapi.ExecutionKindAgent, openapi.ExecutionKindInference
	other := failed("call", "run", "429", inference, 1, 1)
	other.TraceID = "u"
	for name, tt := range map[string]struct {
		failed []openapi.Execution
		want   []string // execution and run
	}{
		"a call fails its agent": {
			[]openapi.Execution{failed("call", "run", "429", inference, 1, 1), failed("run", "", "429", agent, 0, 3)},
			[]string{"call<run"},
		},
		"the agent wraps the error": {
			[]openapi.Execution{failed("call", "run", "429", inference, 1, 1), failed("run", "", "ModelError: 429", agent, 0, 3)},
			[]string{"call<run"},
		},
		"the agent has no error": {
			[]openapi.Execution{failed("call", "run", "429", inference, 1, 1), failed("run", "", "", agent, 0, 3)},
			[]string{"call<run"},
		},
		"the agent fails by something else": {
			[]openapi.Execution{failed("call", "run", "429", inference, 1, 1), failed("run", "", "disk full", agent, 0, 3)},
			[]string{"call<run", "run<"},
		},
		"the call has no error": {
			[]openapi.Execution{failed("call", "run", "", inference, 1, 1), failed("run", "", "disk full", agent, 0, 3)},
			[]string{"call<run", "run<"},
		},
		"three levels": {
			[]openapi.Execution{failed("call", "step", "429", inference, 2, 1), failed("step", "run", "429", agent, 1, 2), failed("run", "", "429", agent, 0, 3)},
			[]string{"call<run"},
		},
		"every retry is listed": {
			[]openapi.Execution{failed("b", "run", "429", inference, 2, 1), failed("a", "run", "503", inference, 1, 1), failed("run", "", "429", agent, 0, 3)},
			[]string{"b<run", "a<run"},
		},
		"a span between them is not an execution": {
			[]openapi.Execution{failed("call", "chain", "429", inference, 2, 1), failed("step", "x", "429", agent, 1, 2), failed("run", "", "429", agent, 0, 3)},
			[]string{"call<run"},
		},
		"the agent had ended": {
			[]openapi.Execution{failed("call", "chain", "429", inference, 2, 1), failed("run", "", "429", agent, 0, 1)},
			[]string{"call<", "run<"},
		},
		"another trace": {
			[]openapi.Execution{other, failed("run", "", "429", agent, 0, 3)},
			[]string{"call<", "run<"},
		},
		"no trace": {
			[]openapi.Execution{{ExecutionID: "a"}, {ExecutionID: "b"}},
			[]string{"a<", "b<"},
		},
		"its own parent": {
			[]openapi.Execution{failed("a", "a", "429", agent, 0, 1)},
			[]string{"a<"},
		},
		"parents in a loop": {
			[]openapi.Execution{failed("a", "b", "429", agent, 0, 1), failed("b", "c", "429", agent, 0, 1), failed("c", "a", "429", agent, 0, 1)},
			[]string{"b<a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range causesOf(tt.failed) {
				run := ""
				if f.run != nil {
					run = f.run.ExecutionID
				}
				got = append(got, f.ExecutionID+"<"+run)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
