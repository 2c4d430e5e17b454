package trace_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/trace"
)

func TestCumulativeCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ spans, want []string }{
		"a loop of three calls": {
			[]string{"1 run 0-99", "2<1 call uses=100/20/40 1-10", "3<1 tool adds 11-12", "4<1 call uses=230/50/110 13-20", "5<1 tool adds 21-22", "6<1 call uses=400/55/110 23-30"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20/40/0/0", "3 tool unknown", "4 inference unknown 130/30/70/0/0", "5 tool unknown", "6 inference unknown 170/5"},
		},
		"a loop of which only the root's children are known": {
			[]string{"2<1 call uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call uses=200/40 13-20"},
			[]string{"2 inference unknown 100/20 request waits for 1", "3 tool unknown waits for 1", "4 inference unknown 100/20 request waits for 1"},
		},
		"two tools at once": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool adds 11-12", "7<1 tool adds 11-15", "4<1 call uses=200/40 16-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 100/20", "7 tool unknown"},
		},
		"the first call's span is lost": {
			[]string{"1 run 0-99", "3<1 tool adds 11-12", "4<1 call uses=200/40 13-20", "5<1 tool adds 21-22", "6<1 call uses=400/55 23-30"},
			[]string{"1 agent unknown request", "3 tool unknown", "4 inference unknown 200/40", "5 tool unknown", "6 inference unknown 200/15"},
		},
		"seen by another instrumentation as well": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call uses=200/40 13-20", "5<4 call scope=inner uses=100/20 14-19"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 100/20", "5 - parent"},
		},
		"two loops at once": {
			[]string{
				"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool adds 11-13", "4<1 call uses=200/40 14-30",
				"5<1 call uses=300/60 4-15", "6<1 tool adds 16-17", "7<1 call uses=600/120 18-40",
			},
			[]string{
				"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 100/20",
				"5 inference unknown 300/60", "6 tool unknown", "7 inference unknown 300/60",
			},
		},
		// The calls below have growing counts but do not include each other's.
		"of a library that does not add up": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool 11-12", "4<1 call uses=200/40 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
		"without a tool between": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "4<1 call uses=200/40 13-20", "3<1 tool adds 21-22"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
		"a conversation that its user goes on with": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call uses=150/40 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 150/40"},
		},
		"less output than before": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call uses=250/10 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 250/10"},
		},
		"of another model": {
			[]string{"1 run 0-99", "2<1 call model=m uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call model=n uses=200/40 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
		"of another scope": {
			[]string{"1 run 0-99", "2<1 call scope=sdk uses=100/20 1-10", "3<1 tool adds 11-12", "4<1 call scope=sdk uses=200/40 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
		"each within a span of its own": {
			[]string{"1 run 0-99", "2<7 call uses=100/20 1-10", "7<1 0-10", "3<1 tool adds 11-12", "4<8 call uses=200/40 13-20", "8<1 13-20"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
		"at the same time": {
			[]string{"1 run 0-99", "2<1 call uses=100/20 1-20", "3<1 tool adds 11-12", "4<1 call uses=200/40 13-25"},
			[]string{"1 agent unknown request", "2 inference unknown 100/20", "3 tool unknown", "4 inference unknown 200/40"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decideAs(t, tt.spans, tt.want)
		})
	}
}

// decideAs checks that the decisions are as wanted in any order of the spans.
func decideAs(t *testing.T, spans, want []string) {
	t.Helper()
	for seed := range uint64(8) {
		var nodes []trace.Node
		for _, described := range spans {
			nodes = append(nodes, node(t, described))
		}
		random := rand.New(rand.NewPCG(seed, 0))
		random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		decisions := trace.Decide(nodes)
		if diff := cmp.Diff(want, reported(nodes, decisions)); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}
