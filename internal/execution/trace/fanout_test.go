package trace_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

// fanOut describes simultaneous calls of one process, each in a trace of its own: a framework's spans and those of the
// SDK below it.
type fanOut struct {
	calls                  int
	within                 time.Duration // within which they begin
	onlySDK, onlyFramework float64       // the share that only one of the two reports
	outputs                int64         // number of different output counts; 0 if output is not counted, as for embeddings
	silent                 bool          // the framework does not know the counts
	median                 time.Duration
	sharedResponseIDs      int // number of response ids that the server cycles through; 0 if it gives none
	maxLost                float64
}

// spans returns the spans, and the call of each.
func (f fanOut) spans(random *rand.Rand) (nodes []trace.Node, of map[string]int) {
	of = map[string]int{}
	for i := range f.calls {
		began := noon.Add(time.Duration(random.Int64N(int64(f.within) + 1)))
		long := time.Duration(float64(f.median) * math.Exp(random.NormFloat64()/2))
		e := execution.Execution{UserID: execution.Unknown, AgentName: execution.Unknown, Kind: execution.Inference, Model: "m", Status: execution.Success}
		e.Tokens.Input = 1000
		if f.outputs > 0 {
			e.Tokens.Output = 1 + random.Int64N(f.outputs)
		}
		e.Tokens.Used = e.Tokens.Input + e.Tokens.Output
		response := ""
		if f.sharedResponseIDs > 0 {
			response = fmt.Sprint("chatcmpl-", random.IntN(f.sharedResponseIDs))
		}
		add := func(scope string, from, to time.Time, silent bool) {
			one := e
			one.ID = fmt.Sprintf("%s%d-1", scope, i)
			if silent {
				one.Tokens = execution.Tokens{}
			}
			of[one.ID] = i
			nodes = append(nodes, trace.Node{Span: &execution.Span{
				TraceID: fmt.Sprint(scope, i), SpanID: "1", Role: execution.RoleCall, Execution: true, Scope: scope, Process: "p",
				Status: execution.Success, StartedAt: from, EndedAt: to, ResponseID: response,
			}, Execution: &one})
		}
		luck := random.Float64()
		if luck >= f.onlySDK {
			add("framework", began, began.Add(long), f.silent)
		}
		if luck < f.onlySDK || luck >= f.onlySDK+f.onlyFramework {
			before, after := time.Duration(random.Int64N(int64(5*time.Millisecond))), time.Duration(random.Int64N(int64(5*time.Millisecond)))
			add("sdk", began.Add(before), began.Add(long-after), false)
		}
	}
	random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes, of
}

// TestSimilarityInFanOuts limits how many calls are lost by being joined with another call, and how many count twice.
func TestSimilarityInFanOuts(t *testing.T) {
	t.Parallel()
	const rounds, maxTwice = 40, 0.003
	seed := rand.Uint64()
	for name, f := range map[string]fanOut{
		"all seen twice":                         {calls: 100, outputs: 300},
		"all seen twice, all alike":              {calls: 100, outputs: 1},
		"embeddings, all seen twice":             {calls: 100},
		"the framework's are silent":             {calls: 100, outputs: 300, silent: true},
		"some seen by the SDK alone":             {calls: 100, outputs: 300, onlySDK: 0.3},
		"alike, some seen by the SDK alone":      {calls: 100, outputs: 1, onlySDK: 0.3},
		"some seen by one of the two alone":      {calls: 100, outputs: 300, onlySDK: 0.3, onlyFramework: 0.3, maxLost: 0.05},
		"none seen twice":                        {calls: 100, outputs: 300, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.1},
		"embeddings, none seen twice":            {calls: 100, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.6},
		"silent, none seen twice":                {calls: 100, outputs: 300, silent: true, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.6},
		"ten at a time, silent, none seen twice": {calls: 10, within: 2 * time.Second, outputs: 300, silent: true, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.15},
		"few response ids":                       {calls: 100, outputs: 300, sharedResponseIDs: 999},
		"one response id":                        {calls: 100, outputs: 300, sharedResponseIDs: 1},
		"few response ids, none seen twice":      {calls: 100, outputs: 300, sharedResponseIDs: 999, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.01},
		"one response id, none seen twice":       {calls: 100, outputs: 300, sharedResponseIDs: 1, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.2},
		"spread over a minute, none seen twice":  {calls: 100, outputs: 300, within: time.Minute, onlySDK: 0.5, onlyFramework: 0.5, maxLost: 0.02},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			if f.within == 0 {
				f.within = 50 * time.Millisecond
			}
			f.median = 2 * time.Second
			lost, twice, mixed := 0, 0, 0
			for range rounds {
				nodes, of := f.spans(random)
				decisions := trace.Decide(nodes)
				rows := map[int]int{} // per call
				for i := range nodes {
					call := of[nodes[i].Execution.ID]
					rows[call] += 0
					if !decisions[i].Gone {
						rows[call]++
					} else if of[nodes[decisions[i].Into].Execution.ID] != call {
						mixed++
					}
				}
				all := 0
				for _, n := range rows {
					all += n
				}
				lost, twice = lost+max(len(rows)-all, 0), twice+max(all-len(rows), 0)
			}
			share := func(n int) float64 { return float64(n) / float64(f.calls*rounds) }
			t.Logf("lost %.2f %%, twice %.2f %%, joined with another %.2f %%", 100*share(lost), 100*share(twice), 100*share(mixed))
			if share(lost) > f.maxLost {
				t.Errorf("seed %d: want at most %.1f %% lost, got %.2f %%", seed, 100*f.maxLost, 100*share(lost))
			}
			if share(twice) > maxTwice {
				t.Errorf("seed %d: want at most %.1f %% twice, got %.2f %%", seed, 100*maxTwice, 100*share(twice))
			}
		})
	}
}
