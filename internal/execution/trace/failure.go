package trace

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// endsWith is how long after what failed in it a run may end that ended by it.
const endsWith = time.Second

// failureOf returns the node whose failure is that of a run whose own span has none; none: the run did not fail.
//
// A run that calls nothing itself ended as the last run directly in it, whatever its own span says. Other runs know
// better, unless they do not say how they ended and have no output. Such a run failed if
//   - the model's call or the run that ended last directly in it failed, and it ended then. What failed before was
//     tried again or done without. A tool may fail: the model is told so, and answers.
//   - both what ended last in it and the span around it failed: the error went through it.
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

// failed returns the node whose failure is that of a node; none: it did not fail.
func (t *tree) failed(i int) int {
	if from := t.nodes[i].failed; t.nodes[from].failedItself() {
		return from
	}
	return none
}
