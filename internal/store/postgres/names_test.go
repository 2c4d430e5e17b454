package postgres

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestNamesReadOutOfOrder has two commits read the names, of which the earlier reading is applied last.
func TestNamesReadOutOfOrder(t *testing.T) {
	t.Parallel()
	read := func(agents ...string) registered {
		r := registered{agents: map[string]bool{}, models: map[string]bool{}}
		for _, name := range agents {
			r.agents[name] = true
		}
		return r
	}
	var n names
	n.add(read("planner", "writer"))
	n.add(read("planner"))
	for _, agent := range []string{"planner", "writer"} {
		if got := n.capped(&execution.Execution{AgentName: agent}); got != 0 {
			t.Errorf("%s: want it told apart, got %d", agent, got)
		}
	}
}
