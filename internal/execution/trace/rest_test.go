package trace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

func TestRunsWithMoreUsageThanTheirCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ spans, want []string }{
		"its calls account for all of it": {
			[]string{"1 run uses=300/30 0-99", "2<1 call uses=100/10 1-10", "3<1 tool 11-12", "4<1 call uses=200/20 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/10", "3 tool unknown", "4 inference unknown 200/20"},
		},
		"one span is of a whole loop, with the last call's counts": {
			[]string{"1 run uses=300/30/40/0/12 0-99", "2<1 call uses=200/20/40/0/8 1-50", "3<1 tool 11-12"},
			[]string{"1 agent unknown 100/10/0/0/4 request", "2 inference unknown 200/20/40/0/8", "3 tool unknown"},
		},
		"a call runs tools itself": {
			[]string{"1 run uses=300/30 0-99", "2<1 call uses=200/20 1-50", "3<2 tool 11-12"},
			[]string{"1 agent unknown 100/10 request", "2 inference unknown 200/20", "3 tool unknown"},
		},
		"no span is of a call": {
			[]string{"1 run uses=300/30 0-99", "3<1 tool 11-12"}, []string{"1 agent unknown 300/30 request", "3 tool unknown"},
		},
		"a call does not say what it used": {
			[]string{"1 run uses=300/30 0-99", "2<1 call uses=100/10 1-10", "4<1 call 13-20"},
			[]string{"1 agent unknown 200/20 request", "2 inference unknown 100/10", "4 inference unknown"},
		},
		"the call that asked for a tool is not known": {
			[]string{"1 run uses=300/30 0-99", "3<1 tool 11-12", "4<1 call uses=200/20 13-20"},
			[]string{"1 agent unknown 100/10 request", "3 tool unknown", "4 inference unknown 200/20"},
		},
		"the call that read a tool's result is not known": {
			[]string{"1 run uses=300/30 0-99", "2<1 call uses=200/20 1-10", "3<1 tool 11-12"},
			[]string{"1 agent unknown 100/10 request", "2 inference unknown 200/20", "3 tool unknown"},
		},
		"an agent and the workflow around it": {
			[]string{"1 run uses=300/30 0-99", "2<1 run uses=300/30 1-98", "4<2 tool 3-4"},
			[]string{"1 agent unknown request", "2 agent unknown 300/30", "4 tool unknown"},
		},
		"agents that hand over": {
			[]string{"1 run uses=700/70 0-99", "2<1 run uses=300/30 1-40", "3<2 call uses=200/20 2-39", "4<2 tool 4-5", "5<1 run 50-90", "6<5 call uses=400/40 51-89"},
			[]string{"1 agent unknown request", "2 agent unknown 100/10", "3 inference unknown 200/20", "4 tool unknown", "5 agent unknown", "6 inference unknown 400/40"},
		},
		"calls that two instrumentations saw": {
			[]string{"1 run uses=300/30 0-99", "2<1 call uses=300/30 1-50", "3<2 call scope=inner uses=300/30 2-49", "4<1 tool 51-52"},
			[]string{"1 agent unknown request", "2 inference unknown 300/30", "3 - parent", "4 tool unknown"},
		},
		"a run that another instrumentation saw with its calls": {
			[]string{"0 0-99", "1<0 run scope=other uses=300/30 1-98", "2<0 run 0-97", "3<2 call uses=300/30 2-50"},
			[]string{"1 agent unknown request", "2 agent unknown request", "3 inference unknown 300/30"},
		},
		"calls beside the run": {
			[]string{"0 0-99", "1<0 run uses=300/30 1-98", "3<0 call scope=inner uses=300/30 2-50"},
			[]string{"1 agent unknown request", "3 inference unknown 300/30 request"},
		},
		"a total alone": {
			[]string{"1 run uses=0/0 total=330 0-99", "2<1 call 1-10"}, []string{"1 agent unknown 0/0 request", "2 inference unknown"},
		},
		// The runs below used no more than their calls did.
		"a conversation's total": {
			[]string{"1 run uses=900/90 0-99", "2<1 call uses=100/10 1-10", "3<1 tool 11-12", "4<1 call uses=200/20 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/10", "3 tool unknown", "4 inference unknown 200/20"},
		},
		"the last call's counts": {
			[]string{"1 run uses=200/20 0-99", "2<1 call uses=100/10 1-10", "3<1 tool 5-12", "4<1 call uses=200/20 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/10", "3 tool unknown", "4 inference unknown 200/20"},
		},
		"more input and less output": {
			[]string{"1 run uses=300/10 0-99", "2<1 call uses=200/20 1-50", "3<1 tool 11-12"},
			[]string{"1 agent unknown request", "2 inference unknown 200/20", "3 tool unknown"},
		},
		"a step that says what its run used": {
			[]string{"1 run 0-99", "2<1 step uses=300/30 1-98", "3<2 call uses=100/10 2-50"},
			[]string{"1 agent unknown request", "2 - step", "3 inference unknown 100/10"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decideAs(t, tt.spans, tt.want)
		})
	}
}

// TestRemainderHasTheModelOfItsCalls checks that a run's own usage is priced like its calls, unless they are of several
// models.
func TestRemainderHasTheModelOfItsCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spans []string
		want  string // model and provider of the first span
	}{
		"its call's":       {[]string{"1 run uses=300/30 model=own 0-99", "2<1 call model=m-2026-01-01 provider=p uses=100/10 1-50", "3<1 tool 5-6"}, "m-2026-01-01 p"},
		"its own":          {[]string{"1 run uses=300/30 model=own provider=p 0-99", "3<1 tool 5-6"}, "own p"},
		"two names of one": {[]string{"1 run uses=300/30 0-99", "2<1 call model=m-2026-01-01 provider=p uses=1/1 1-50", "4<1 call model=m provider=p 1-9", "3<1 tool 5-6"}, "m-2026-01-01 p"},
		"two models":       {[]string{"1 run uses=300/30 model=own 0-99", "2<1 call model=m uses=1/1 1-50", "4<1 call model=n uses=1/1 1-50", "3<1 tool 5-6"}, " "},
		"its call's, not those of an agent in it": {[]string{"1 run uses=300/30 0-99", "2<1 call model=m uses=1/1 1-50", "3<1 tool 5-6", "4<3 run 5-6", "5<4 call model=n uses=1/1 5-6"}, "m "},
		"none, where all is reported":             {[]string{"1 run uses=10/1 model=own 0-99", "2<1 call model=m uses=10/1 1-50"}, " "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var nodes []trace.Node
			for _, described := range tt.spans {
				nodes = append(nodes, node(t, described))
			}
			decisions := trace.Decide(nodes)
			e := *nodes[0].Execution
			decisions[0].Write(&e)
			if diff := cmp.Diff(tt.want, e.Model+" "+e.Provider); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if used := e.Tokens.Used > 0; used != (e.Usage == execution.UsageReported) {
				t.Errorf("uses %+v, said to be %q", e.Tokens, e.Usage)
			}
			without := *nodes[0].Execution
			decisions[0].WriteWithoutRest(&without)
			if without.Tokens != (execution.Tokens{}) || without.Usage != execution.UsageNone || without.Model != "" {
				t.Errorf("without the rest: want nothing used, got %+v", without)
			}
		})
	}
}
