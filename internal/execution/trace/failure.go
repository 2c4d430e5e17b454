package trace

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// endsWith is how long after a failure in it a run may end and still count as ended by the failure.
const endsWith = time.Second

// failureOf returns the node whose failure a run inherits although the run's own span did not fail, or none if the run
// did not fail.
//
// A run that calls nothing itself ended as its last direct sub-run did, whatever its own span says. Otherwise the run's
// own status applies, unless its span has neither a status nor output. Such a run failed if
//   - its last direct model call or sub-run failed, and the run ended at most endsWith later. Earlier failures were
//     retried or tolerated. Failed tools do not count: the model receives the error and responds.
//   - both its last direct span and the span that encloses it failed: the error propagated through it.
func (t *tree) failureOf(n *node) int {
	if !n.calls && n.last != none {
		return t.failed(n.last)
	}
	if n.Status != "" {
		return none
	}
	if n.ended != none && t.nodes[n.ended].Role != execution.RoleTool && n.EndedAt.Sub(t.nodes[n.ended].EndedAt) <= endsWith {
		if from := t.failed(n.ended); from != none {
			return from
		}
	}
	if n.final != none && n.parent != none && !n.adopted && t.nodes[n.parent].failedItself() {
		return t.failed(n.final)
	}
	return none
}

// failed returns the node whose failure a node has, or none if it did not fail.
func (t *tree) failed(i int) int {
	if from := t.nodes[i].failed; t.nodes[from].failedItself() {
		return from
	}
	return none
}
